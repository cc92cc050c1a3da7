// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vTPM: the TPM engine on this kernel's entropy and clock.
//!
//! Its state is ephemeral: each launch manufactures a new TPM, with new seeds. Commands arrive in
//! private memory (see [`crate::protocol::vtpm`]) and one at a time; whoever calls holds the vTPM's
//! lock.

#![forbid(unsafe_code)]

mod description;
mod keys;
mod platform;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::power_on as for_tests;

use crate::platform::entropy::Entropy;
use crate::protocol::attest::ManifestFault;
use crate::protocol::vtpm::Engine;
use alloc::boxed::Box;
use description::Description;
use platform::VtpmPlatform;
use snp_abi::launch::Digest;
use snp_abi::manifest::{Freshness, State};
use spin::mutex::{Mutex, MutexGuard};
use tpm::Tpm;

/// The engine's state. It is too big for a stack, and there is only one.
static TPM: Mutex<Tpm> = Mutex::new(Tpm::new());

/// Milliseconds since the machine was started; never goes back.
pub type Uptime = fn() -> u64;

/// A TPM that is powered on.
pub struct VirtualTpm {
    tpm: &'static mut Tpm,
    platform: Box<VtpmPlatform>,
    description: Box<Description>,
}

impl VirtualTpm {
    /// Powers the machine's TPM on; it waits for TPM2_Startup then. `None` when it is already in
    /// use.
    pub fn power_on(entropy: Entropy, uptime_ms: Uptime) -> Option<Self> {
        let tpm = MutexGuard::leak(TPM.try_lock()?);
        Some(Self::power_on_in(tpm, entropy, uptime_ms))
    }

    fn power_on_in(tpm: &'static mut Tpm, entropy: Entropy, uptime_ms: Uptime) -> Self {
        let mut platform = Box::new(VtpmPlatform::new(entropy, uptime_ms));
        tpm.power_on(&mut *platform);
        Self { tpm, platform, description: Box::new(Description::new()) }
    }

    /// Where the store's history stands; `None`: the state isn't kept.
    const fn freshness(&self) -> Option<Freshness> {
        None
    }
}

impl Engine for VirtualTpm {
    fn execute(&mut self, locality: u8, command: &[u8], response: &mut [u8]) -> usize {
        self.tpm.execute(&mut *self.platform, locality, command, response)
    }

    fn set_launch_log(&mut self, digest: Digest) {
        self.description.set_launch_log(digest);
    }

    fn manifest(&mut self, version: u32, buffer: &mut [u8]) -> Result<usize, ManifestFault> {
        let state = self.freshness().map_or(State::Ephemeral, State::Persistent);
        self.description.write(self.tpm, &mut self.platform, version, state, buffer)
    }
}
