// SPDX-License-Identifier: MIT OR Apache-2.0
//! The conversation by which a guest's owner gives the key for the TPM's state. The host carries
//! both messages; it can read neither key, and can't put one of its own in their place.
//!
//! ```text
//! SVSM ─► owner   StateKeyRequest   a public key, and a report at VMPL0 that vouches for it
//! owner ─► SVSM   StateKeyPackage   the state's key, sealed under what ECDH between that key and
//!                                   the owner's makes; the owner's is in the measured LaunchConfig
//! ```
//! Both keys are on NIST P-384, and both are static: whoever seals a package knows the private part
//! of one of them.

use core::mem::offset_of;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::report::REPORT_SIZE;

/// The fw_cfg file with a [`StateKeyPackage`].
pub const STATE_KEY_FILE: &str = "opt/org.macadamia-svsm/state-key";
/// Bytes of a public key: the coordinates of a point on P-384, big-endian.
pub const PUBLIC_KEY_SIZE: usize = 96;
/// Bytes of a state key.
pub const STATE_KEY_SIZE: usize = 32;
/// A public key.
pub type PublicKey = [u8; PUBLIC_KEY_SIZE];
/// For which launches the SVSM's key is: the label of a firmware-sealed store.
pub type SealLabel = [u8; 16];

/// In front of each part of a [`StateKeyRequest`] on the console.
pub const REQUEST_LINE: &str = "state key request: ";
/// Bytes of a request on one line of the console, two digits each.
pub const REQUEST_LINE_BYTES: usize = 96;
/// The second half of the report's data. No SHA-512, which attestation puts there, ends like this.
pub const REPORT_DATA_END: [u8; 32] = *b"macadamia-svsm state key request";
/// What the wrapping key is for (KDFe's use, with SHA-256; party U is the owner).
pub const WRAPPING_USE: &[u8] = b"STATE KEY";

/// What the SVSM asks.
#[repr(C)]
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct StateKeyRequest {
    /// [`Self::MAGIC`].
    pub magic: [u8; 8],
    /// For which launches the key is.
    pub seal: SealLabel,
    /// The SVSM's public key.
    pub public_key: PublicKey,
    /// The report. Its data are SHA-256 of everything before it and of the owner's public key,
    /// then [`REPORT_DATA_END`].
    pub report: [u8; REPORT_SIZE],
}

/// What the owner answers.
#[repr(C)]
#[derive(Clone, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct StateKeyPackage {
    /// [`Self::MAGIC`].
    pub magic: [u8; 8],
    /// As in the request.
    pub seal: SealLabel,
    /// AES-GCM's nonce: random.
    pub nonce: [u8; 12],
    /// The state's key and the one before it, sealed.
    pub keys: [u8; 2 * STATE_KEY_SIZE],
    /// AES-256-GCM's tag, over magic and seal as well.
    pub tag: [u8; 16],
}

assert_layout!(
    StateKeyRequest, size 0x78 + REPORT_SIZE,
    seal: 0x08, public_key: 0x18, report: 0x78,
);
assert_layout!(StateKeyPackage, size 116, seal: 0x08, nonce: 0x18, keys: 0x24, tag: 0x64);

impl StateKeyRequest {
    /// The first bytes, with the version.
    pub const MAGIC: [u8; 8] = *b"MCDMskr1";

    /// Whose SHA-256, with the owner's public key behind it, is the front of the report's data.
    #[must_use]
    pub fn vouched_part(&self) -> &[u8] {
        self.as_bytes().get(..offset_of!(Self, report)).unwrap_or_default()
    }
}

impl StateKeyPackage {
    /// The first bytes, with the version.
    pub const MAGIC: [u8; 8] = *b"MCDMskp1";

    /// Reads a package; whether anything in it is true is for the tag to say.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Self::read_from_bytes(bytes).ok().filter(|package| package.magic == Self::MAGIC)
    }

    /// What the tag covers beside the keys.
    #[must_use]
    pub fn associated_data(&self) -> &[u8] {
        self.as_bytes().get(..offset_of!(Self, nonce)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn what_is_no_package_is_refused() {
        let good =
            StateKeyPackage { magic: StateKeyPackage::MAGIC, ..StateKeyPackage::new_zeroed() };
        let bytes = good.as_bytes();
        assert!(StateKeyPackage::parse(bytes).is_some());
        assert!(StateKeyPackage::parse(&bytes[1..]).is_none());
        assert!(StateKeyPackage::parse(&[]).is_none());
        assert!(StateKeyPackage::parse(StateKeyPackage::new_zeroed().as_bytes()).is_none());
        assert_eq!(good.associated_data().len(), 24);
    }
}
