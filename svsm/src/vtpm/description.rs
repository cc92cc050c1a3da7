// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the vTPM says of itself to a verifier: its endorsement keys, which program it is, what
//! becomes of its state, and what was measured before the guest started.
//!
//! The keys are those that TPM2_CreatePrimary gives with the standard templates (TCG EK Credential
//! Profile, annex B). They are derived once, and again when TPM2_ChangeEPS has changed the seed;
//! nothing that a guest can set matters, and no slot is taken. Those on curves are there before the
//! guest starts, the RSA key as soon as the background has found its primes.

use super::platform::VtpmPlatform;
use crate::protocol::attest::ManifestFault;
use core::ops::Range;
use snp_abi::launch::Digest;
use snp_abi::manifest::{Firmware, Manifest, State, VtpmOptions};
use tpm::Tpm;
use tpm::crypto::hash::Digest as Generation;
use tpm::platform::Platform;
use tpm::provision::{ProvisionFault, StandardKey, StandardTemplate};

/// Version 0 of the manifest is the public area of the first of these keys, and nothing else;
/// version 1 has them all: RSA-2048, P-256, P-384.
const KEYS: [StandardTemplate; 3] =
    [StandardTemplate::L1, StandardTemplate::L2, StandardTemplate::H3];

/// What is kept between two questions.
pub(super) struct Description {
    /// Of the seed that the keys are from.
    generation: Option<Generation>,
    keys: [Option<StandardKey>; KEYS.len()],
    launch_log: Digest,
    options: VtpmOptions,
}

impl From<ProvisionFault> for ManifestFault {
    fn from(fault: ProvisionFault) -> Self {
        match fault {
            ProvisionFault::NotReady => Self::NotReady,
            _ => Self::Failed,
        }
    }
}

impl Description {
    /// Nothing is known yet.
    pub(super) const fn new() -> Self {
        Self {
            generation: None,
            keys: [const { None }; KEYS.len()],
            launch_log: [0; 48],
            options: VtpmOptions::empty(),
        }
    }

    /// SHA-384 of the log of what was measured before the guest started.
    pub(super) fn set_launch_log(&mut self, digest: Digest) {
        self.launch_log = digest;
    }

    /// How the vTPM is set up.
    pub(super) fn set_options(&mut self, options: VtpmOptions) {
        self.options = options;
    }

    /// Derives the keys that take no search, before anybody asks.
    pub(super) fn derive_ahead(&mut self, tpm: &mut Tpm, platform: &mut VtpmPlatform) {
        // In failure mode there are none; who asks is told.
        let _none = self.derive(tpm, platform, 1..KEYS.len());
    }

    /// Writes the manifest; see [`Engine::manifest`](crate::protocol::vtpm::Engine::manifest).
    pub(super) fn write(
        &mut self,
        tpm: &mut Tpm,
        platform: &mut VtpmPlatform,
        version: u32,
        state: State,
        buffer: &mut [u8],
    ) -> Result<usize, ManifestFault> {
        match version {
            0 => {
                self.derive(tpm, platform, 0..1)?;
                let [Some(key), ..] = &self.keys else { return Err(ManifestFault::Failed) };
                let public: &[u8] = &key.public;
                let place = buffer.get_mut(..public.len()).ok_or(ManifestFault::Failed)?;
                place.copy_from_slice(public);
                Ok(public.len())
            }
            snp_abi::manifest::VERSION => {
                self.derive(tpm, platform, 0..KEYS.len())?;
                let [Some(rsa), Some(p256), Some(p384)] = &self.keys else {
                    return Err(ManifestFault::Failed);
                };
                let keys: [&[u8]; KEYS.len()] = [&rsa.public, &p256.public, &p384.public];
                Manifest::new(&keys, firmware(platform, self.options), state, self.launch_log)
                    .and_then(|manifest| manifest.write(buffer))
                    .ok_or(ManifestFault::Failed)
            }
            _ => Err(ManifestFault::Version),
        }
    }

    /// Derives those of these keys that aren't known, or no longer right.
    fn derive(
        &mut self,
        tpm: &mut Tpm,
        platform: &mut VtpmPlatform,
        wanted: Range<usize>,
    ) -> Result<(), ManifestFault> {
        let generation = tpm.endorsement_generation();
        if self.generation.as_ref() != Some(&generation) {
            self.keys = [const { None }; KEYS.len()];
            self.generation = Some(generation);
        }
        for (key, template) in self.keys.iter_mut().zip(KEYS).take(wanted.end).skip(wanted.start) {
            if key.is_none() {
                *key = Some(tpm.standard_key(platform, template)?);
            }
        }
        Ok(())
    }
}

fn firmware(platform: &VtpmPlatform, options: VtpmOptions) -> Firmware {
    let vendor = platform.vendor();
    Firmware {
        version: vendor.firmware_version,
        manufacturer: vendor.manufacturer,
        vendor_string: vendor.string,
        revision: tpm::SPECIFICATION_REVISION,
        options,
    }
}

#[cfg(test)]
mod tests {
    use crate::vtpm::for_tests;

    #[test]
    fn keys_on_curves_are_there_before_anybody_asks() {
        let tpm = for_tests();
        let [_, p256, p384] = &tpm.description.keys;
        assert!(p256.is_some() && p384.is_some());
    }
}
