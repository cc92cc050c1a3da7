// SPDX-License-Identifier: MIT OR Apache-2.0
//! The chip: its secret, its identity and the keys that endorse it. AMD 56860, chapter 3.

use hmac::{Hmac, KeyInit, Mac};
use p384::ecdsa::SigningKey;
use sha2::{Digest, Sha384};
use zeroize::Zeroizing;

/// Security versions of the parts of a platform. AMD 56860, 2.2 (TCB_VERSION).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tcb {
    pub(super) boot_loader: u8,
    pub(super) tee: u8,
    pub(super) snp: u8,
    pub(super) microcode: u8,
}

impl Tcb {
    /// As a number: boot loader lowest, four reserved bytes, then SNP and microcode.
    pub(crate) const fn encode(self) -> u64 {
        u64::from_le_bytes([self.boot_loader, self.tee, 0, 0, 0, 0, self.snp, self.microcode])
    }

    /// Reads a number; `None` when a reserved byte isn't zero.
    pub(crate) const fn decode(value: u64) -> Option<Self> {
        let [boot_loader, tee, a, b, c, d, snp, microcode] = value.to_le_bytes();
        if a | b | c | d != 0 {
            return None;
        }
        Some(Self { boot_loader, tee, snp, microcode })
    }

    /// No part is newer than in `limit`.
    pub(crate) const fn is_within(self, limit: Self) -> bool {
        self.boot_loader <= limit.boot_loader
            && self.tee <= limit.tee
            && self.snp <= limit.snp
            && self.microcode <= limit.microcode
    }
}

/// A chip with test keys.
pub(crate) struct Chip {
    vcek: SigningKey,
    chip_id: [u8; 64],
    family_model_stepping: u32,
}

/// The keys of the test chain, from the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TestKey {
    /// The root.
    Ark,
    /// Between root and chip.
    Ask,
    /// The chip's, for [`Chip::TCB`].
    Vcek,
}

impl TestKey {
    /// What the key is made from, and its name in certificates.
    pub(super) const fn label(self) -> &'static [u8] {
        match self {
            Self::Ark => b"Macadamia-SVSM test ARK",
            Self::Ask => b"Macadamia-SVSM test ASK",
            Self::Vcek => b"Macadamia-SVSM test VCEK",
        }
    }

    /// The key: SHA-384 of its label and a counter, the first that is a scalar. `None` would take
    /// eight digests above the group's order, or a broken SHA-384.
    pub(crate) fn signing_key(self) -> Option<SigningKey> {
        (0u8..8).find_map(|counter| {
            let scalar = Sha384::new().chain_update(self.label()).chain_update([counter]);
            SigningKey::from_slice(&scalar.finalize()).ok()
        })
    }
}

impl Chip {
    /// CPUID Fn0000_0001 EAX of the chip that is played, a Milan: family 0x19, model 1, stepping 1.
    /// It needn't be the processor that QEMU plays, since the host may show a guest an older one;
    /// clients refuse reports of chips that never had SNP.
    pub(crate) const MILAN: u32 = 0x00a0_0f11;

    /// The version of everything on this chip: current, committed, reported, at launch.
    pub(crate) const TCB: Tcb = Tcb { boot_loader: 4, tee: 0, snp: 24, microcode: 219 };
    /// Version of the firmware that is played: build, minor, major.
    pub(crate) const FIRMWARE: (u8, u8, u8) = (21, 55, 1);

    /// The one chip there is; `None` if its key can't be made.
    pub(crate) fn new(family_model_stepping: u32) -> Option<Self> {
        let mut chip_id = [0; 64];
        let digest = Sha384::digest(b"Macadamia-SVSM test chip");
        for (place, byte) in chip_id.iter_mut().zip(digest) {
            *place = byte;
        }
        Some(Self { vcek: TestKey::Vcek.signing_key()?, chip_id, family_model_stepping })
    }

    /// The key that signs reports.
    pub(super) const fn vcek(&self) -> &SigningKey {
        &self.vcek
    }

    /// Identity of the chip.
    pub(crate) const fn chip_id(&self) -> &[u8; 64] {
        &self.chip_id
    }

    /// CPUID Fn0000_0001 EAX.
    pub(crate) const fn family_model_stepping(&self) -> u32 {
        self.family_model_stepping
    }

    /// The secret that keys are derived from, for a platform of version `tcb`.
    pub(super) fn root_secret(tcb: Tcb) -> Zeroizing<[u8; 48]> {
        keyed_digest(b"Macadamia-SVSM test chip secret", &[&tcb.encode().to_le_bytes()])
    }
}

/// HMAC-SHA-384 over the parts, one after the other.
pub(super) fn keyed_digest(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 48]> {
    // HMAC takes keys of any length; the error is that of other MACs.
    let Ok(mut mac) = <Hmac<Sha384> as KeyInit>::new_from_slice(key) else {
        return Zeroizing::new([0; 48]);
    };
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}
