// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the relying party expects: the image, who signed it, and how old things may be.

use std::fmt;

use igvm::IgvmDirectiveHeader;
use igvmbuilder::{digest, file};
use sha2::{Digest as _, Sha384};
use snp_abi::{
    config::{LaunchConfig, LaunchConfigPage},
    launch::{Digest, GuestPolicy},
};
use zerocopy::FromBytes;

use crate::{
    chain::Roots,
    manifest::{FreshnessRoot, StateBinding},
    tcb::Tcb,
};

/// PCRs that a quote must cover unless the relying party says otherwise: all that the SVSM measures
/// into, and those that nothing may be in.
pub const PCRS: std::ops::Range<u32> = 0..10;

/// What is expected. Fields that are `None` aren't checked, but one of launch digest and ID key
/// must be there.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    /// The digest of the one image that may run.
    pub launch_digest: Option<Digest>,
    /// SHA-384 of the key whose images may run.
    pub id_key_digest: Option<Digest>,
    /// SHA-384 of the key that signs such keys.
    pub author_key_digest: Option<Digest>,
    /// The images' family.
    pub family_id: Option<[u8; 16]>,
    /// The image.
    pub image_id: Option<[u8; 16]>,
    /// The oldest image, by its security version.
    pub minimum_svn: u32,
    /// The exact policy. Debugging and migration are refused unless this has them.
    pub policy: Option<u64>,
    /// The oldest firmware.
    pub minimum_tcb: Option<Tcb>,
    /// The one chip.
    pub chip_id: Option<[u8; 64]>,
    /// What the image may start.
    pub payload: Option<Payload>,
    /// Who must have certified the endorsement key: a certificate ([`Issuer::parse`]).
    ///
    /// [`Issuer::parse`]: crate::endorsement::Issuer::parse
    pub ek_issuer: Option<Vec<u8>>,
    /// Whether the vTPM's state must outlive the machine.
    pub persistent_state: bool,
    /// The newest state that was seen.
    pub last_seen: Option<FreshnessRoot>,
    /// Who must be the only one to get the state's key.
    pub state_binding: Option<StateBinding>,
    /// Which roots are believed.
    pub roots: Roots,
    /// The time, in seconds since 1970, at which certificates must be valid.
    pub time_s: u64,
}

/// What an image may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The launch configuration page.
    pub page_digest: Digest,
    /// The same, read.
    pub config: LaunchConfig,
}

/// Why an IGVM file can't be a reference.
#[derive(Debug)]
pub enum ReferenceError {
    /// It can't be read.
    File(file::FileError),
    /// It can't be measured.
    Measure(digest::MeasureError),
    /// It has no launch configuration: it isn't an image of this project.
    NoConfiguration,
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => write!(formatter, "{error}"),
            Self::Measure(error) => write!(formatter, "{error}"),
            Self::NoConfiguration => write!(formatter, "no launch configuration in the IGVM file"),
        }
    }
}

impl std::error::Error for ReferenceError {}

impl Reference {
    /// Expects exactly the image in an IGVM file, with the policy that it was built for, and what
    /// it may start.
    ///
    /// # Errors
    /// See [`ReferenceError`].
    pub fn expect_image(&mut self, igvm: &[u8]) -> Result<(), ReferenceError> {
        let igvm = file::read(igvm).map_err(ReferenceError::File)?;
        let digest = digest::measure(igvm.directives()).map_err(ReferenceError::Measure)?;
        let payload = igvm.directives().iter().find_map(payload);
        let payload = payload.ok_or(ReferenceError::NoConfiguration)?;
        self.launch_digest = Some(digest);
        self.policy = Some(payload.config.guest_policy.bits());
        self.payload = Some(payload);
        Ok(())
    }

    /// Whether the policy may have this bit.
    #[must_use]
    pub const fn allows(&self, bit: GuestPolicy) -> bool {
        match self.policy {
            Some(policy) => policy & bit.bits() != 0,
            None => false,
        }
    }
}

fn payload(directive: &IgvmDirectiveHeader) -> Option<Payload> {
    let IgvmDirectiveHeader::PageData { data, .. } = directive else {
        return None;
    };
    let config = LaunchConfigPage::read_from_bytes(data).ok()?.parse().ok()?;
    Some(Payload { page_digest: Sha384::digest(data).into(), config })
}
