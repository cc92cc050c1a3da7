// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store's master key: derived by the platform's firmware (AMD 56860, 7.2, MSG_KEY_REQ) from
//! the chip's secret and from who this launch is.
//!
//! A launch with a signed ID block gets a key that every image of the same signer, family, image
//! id and policy gets, if its security version (SVN) is not lower: an upgraded image opens the
//! store, and an older one or another signer's does not. Without an ID block nothing but the
//! launch digest tells this image from any other, so the key is bound to that.
//!
//! The firmware gives keys for its own and for earlier versions. So the store names, in the label
//! beside its wrapped key, the versions for which it is sealed.

use alloc::boxed::Box;
use nvstore::{KeyLabel, MasterKey};
use snp_abi::guest_request::{GuestFields, KeyRequest};
use snp_abi::manifest::VtpmOptions;
use snp_abi::report::REPORT_SIZE;
use zerocopy::FromZeros;
use zeroize::Zeroizing;

/// What the firmware says of this launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaunchIdentity {
    /// The SVN in the ID block, 0 without one.
    pub guest_svn: u32,
    /// The version below which the platform's firmware can't be wound back.
    pub committed_tcb: u64,
    /// Whether there is a signed ID block.
    pub has_signer: bool,
}

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// The firmware can't be reached.
    Unavailable,
    /// It refuses, with this status.
    Refused(u32),
}

/// The platform's firmware.
pub trait KeySource {
    /// Who this launch is.
    ///
    /// # Errors
    /// See [`KeyFault`].
    fn identity(&mut self) -> Result<LaunchIdentity, KeyFault>;

    /// A derived key.
    ///
    /// # Errors
    /// See [`KeyFault`].
    fn derive(&mut self, request: &KeyRequest) -> Result<Zeroizing<[u8; 32]>, KeyFault>;

    /// A report about the SVSM with these data, signed.
    ///
    /// # Errors
    /// See [`KeyFault`].
    fn report(&mut self, data: &[u8; 64]) -> Result<Box<[u8; REPORT_SIZE]>, KeyFault>;
}

/// To what a store is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The ID block's signer, family, image id and SVN.
    Signer,
    /// This very image.
    Measurement,
    /// A key that the guest's owner gives: to whom, is the owner's business.
    Owner,
}

impl Binding {
    /// What the vTPM's manifest says of it.
    pub const fn option(self) -> VtpmOptions {
        match self {
            Self::Signer => VtpmOptions::STATE_OF_SIGNER,
            Self::Measurement => VtpmOptions::STATE_OF_IMAGE,
            Self::Owner => VtpmOptions::STATE_OF_OWNER,
        }
    }
}

/// For which launches a store is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// To what it is bound.
    pub binding: Binding,
    /// The lowest SVN that opens it; 0 when bound to the measurement.
    pub guest_svn: u32,
    /// The lowest firmware version that opens it.
    pub tcb: u64,
}

const LABEL_VERSION: u8 = 1;
const LABEL_SIGNER: u8 = 1;
const LABEL_MEASUREMENT: u8 = 2;
const LABEL_OWNER: u8 = 3;

impl Seal {
    /// Sealed with the key of the guest's owner, and not by the firmware.
    pub const OWNER: Self = Self { binding: Binding::Owner, guest_svn: 0, tcb: 0 };

    /// How a launch seals.
    pub const fn of(identity: &LaunchIdentity, binds_measurement: bool) -> Self {
        let tcb = identity.committed_tcb;
        if identity.has_signer && !binds_measurement {
            Self { binding: Binding::Signer, guest_svn: identity.guest_svn, tcb }
        } else {
            Self { binding: Binding::Measurement, guest_svn: 0, tcb }
        }
    }

    /// Reads a label: nobody has vouched for it. `None` for one that this version doesn't know.
    pub fn from_label(label: &KeyLabel) -> Option<Self> {
        let (head, rest) = label.split_first_chunk::<4>()?;
        let (svn, tcb) = rest.split_first_chunk()?;
        let binding = match *head {
            [LABEL_VERSION, LABEL_SIGNER, 0, 0] => Binding::Signer,
            [LABEL_VERSION, LABEL_MEASUREMENT, 0, 0] => Binding::Measurement,
            [LABEL_VERSION, LABEL_OWNER, 0, 0] => Binding::Owner,
            _ => return None,
        };
        let tcb = u64::from_le_bytes(tcb.try_into().ok()?);
        Some(Self { binding, guest_svn: u32::from_le_bytes(*svn), tcb })
    }

    /// The label.
    pub fn to_label(self) -> KeyLabel {
        let kind = match self.binding {
            Binding::Signer => LABEL_SIGNER,
            Binding::Measurement => LABEL_MEASUREMENT,
            Binding::Owner => LABEL_OWNER,
        };
        let mut label = KeyLabel::default();
        let fields = [LABEL_VERSION, kind, 0, 0]
            .into_iter()
            .chain(self.guest_svn.to_le_bytes())
            .chain(self.tcb.to_le_bytes());
        label.iter_mut().zip(fields).for_each(|(place, byte)| *place = byte);
        label
    }

    /// The firmware's key for it, as the store's.
    ///
    /// # Errors
    /// As for [`secret`](Self::secret).
    pub fn key(self, source: &mut dyn KeySource) -> Result<MasterKey, KeyFault> {
        Ok(MasterKey::labelled(self.secret(source)?, self.to_label()))
    }

    /// The firmware's key for it.
    ///
    /// # Errors
    /// The firmware's: an SVN or a version above its own among them. `Unavailable` for the owner's:
    /// that key isn't the firmware's.
    pub fn secret(self, source: &mut dyn KeySource) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
        let mut request = KeyRequest::new_zeroed();
        let own = match self.binding {
            Binding::Signer => {
                request.guest_svn = self.guest_svn;
                GuestFields::FAMILY_ID | GuestFields::IMAGE_ID | GuestFields::GUEST_SVN
            }
            Binding::Measurement => GuestFields::MEASUREMENT,
            Binding::Owner => return Err(KeyFault::Unavailable),
        };
        request.tcb_version = self.tcb;
        request.guest_field_select = (own | GuestFields::POLICY | GuestFields::TCB_VERSION).bits();
        source.derive(&request)
    }

    /// How a launch goes on to seal a store that it has opened. A store that was bound to an exact
    /// image stays so: the host chooses who signs an ID block, and must not be able to choose who
    /// opens the store next.
    #[must_use]
    pub fn renewed(self, wanted: Self) -> Self {
        match (self.binding, wanted.binding) {
            (Binding::Measurement, Binding::Signer) => Self { tcb: wanted.tcb, ..self },
            _ => wanted,
        }
    }
}

impl core::fmt::Display for Seal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.binding {
            Binding::Signer => {
                write!(formatter, "this signer's images from SVN {}", self.guest_svn)
            }
            Binding::Measurement => formatter.write_str("this very image"),
            Binding::Owner => formatter.write_str("whom the owner gives its key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: LaunchIdentity =
        LaunchIdentity { guest_svn: 7, committed_tcb: 0x0102, has_signer: true };

    #[test]
    fn labels_of_other_versions_are_unknown() {
        let label = Seal::of(&IDENTITY, false).to_label();
        for (place, byte) in [(0, 2), (1, 0), (1, 4), (2, 1), (3, 1)] {
            let mut other = label;
            other[place] = byte;
            assert_eq!(Seal::from_label(&other), None);
        }
        assert_eq!(Seal::from_label(&KeyLabel::default()), None);
    }

    #[test]
    fn a_seal_survives_its_label() {
        for binds_measurement in [false, true] {
            let seal = Seal::of(&IDENTITY, binds_measurement);
            assert_eq!(Seal::from_label(&seal.to_label()), Some(seal));
        }
    }

    #[test]
    fn without_a_signer_only_the_measurement_is_left() {
        let seal = Seal::of(&LaunchIdentity { has_signer: false, ..IDENTITY }, false);
        assert_eq!(seal.binding, Binding::Measurement);
        assert_eq!(Seal::of(&IDENTITY, true).binding, Binding::Measurement);
        assert_eq!(Seal::of(&IDENTITY, false).binding, Binding::Signer);
    }

    #[test]
    fn nobody_loosens_a_binding() {
        let exact = Seal { binding: Binding::Measurement, guest_svn: 0, tcb: 1 };
        let signer = Seal::of(&IDENTITY, false);
        assert_eq!(exact.renewed(signer), Seal { tcb: signer.tcb, ..exact });
        assert_eq!(signer.renewed(exact), exact);
    }

    #[test]
    fn the_request_selects_what_the_seal_says() {
        struct Seen(Option<KeyRequest>);
        impl KeySource for Seen {
            fn identity(&mut self) -> Result<LaunchIdentity, KeyFault> {
                Err(KeyFault::Unavailable)
            }
            fn derive(&mut self, request: &KeyRequest) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
                self.0 = Some(*request);
                Err(KeyFault::Refused(9))
            }
            fn report(&mut self, _: &[u8; 64]) -> Result<Box<[u8; REPORT_SIZE]>, KeyFault> {
                Err(KeyFault::Unavailable)
            }
        }
        let mut seen = Seen(None);
        assert!(matches!(Seal::of(&IDENTITY, false).key(&mut seen), Err(KeyFault::Refused(9))));
        let request = seen.0.unwrap();
        assert_eq!((request.guest_svn, request.tcb_version, request.vmpl), (7, 0x0102, 0));
        assert_eq!(request.guest_field_select, 0b11_0111);
        assert!(Seal::of(&IDENTITY, true).key(&mut seen).is_err());
        let request = seen.0.unwrap();
        assert_eq!((request.guest_svn, request.guest_field_select), (0, 0b10_1001));
        seen.0 = None;
        assert!(matches!(Seal::OWNER.key(&mut seen), Err(KeyFault::Unavailable)));
        assert!(seen.0.is_none(), "the firmware isn't asked for the owner's key");
    }
}
