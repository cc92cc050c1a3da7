// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vTPM: the TPM engine on this kernel's entropy and clock.
//!
//! Its state is on a disk of the host's, encrypted ([`store`]), or ephemeral: then each launch
//! manufactures a new TPM, with new seeds. Commands arrive in private memory (see
//! [`crate::protocol::vtpm`]) and one at a time; whoever calls holds the vTPM's lock.

#![forbid(unsafe_code)]

pub mod arithmetic;
mod counters;
mod description;
mod keys;
pub mod master_key;
mod platform;
pub mod primes;
pub mod random;
pub mod records;
pub mod state_key;
pub mod store;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod write_cost;
#[cfg(test)]
pub(crate) use tests::power_on as for_tests;

use crate::platform::entropy::{Entropy, EntropyFault};
use crate::protocol::attest::ManifestFault;
use crate::protocol::vtpm::Engine;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, Ordering};
use description::Description;
pub use keys::KeyStock;
use nvstore::FreshnessRoot;
use platform::VtpmPlatform;
use records::StateStorage;
use snp_abi::launch::Digest;
use snp_abi::manifest::{Freshness, State, VtpmOptions};
use spin::mutex::{Mutex, MutexGuard};
use tpm::Tpm;
use tpm::provision::StandardTemplate;

/// The engine's state. It is too big for a stack, and there is only one.
static TPM: Mutex<Tpm> = Mutex::new(Tpm::new());

/// TPM_CC_Shutdown: Linux sends it before the power goes, and nothing else tells.
const SHUTDOWN: u32 = 0x145;
static WAS_SHUT_DOWN: AtomicBool = AtomicBool::new(false);

/// Whether a TPM2_Shutdown was sent since the last call.
pub fn take_shutdown() -> bool {
    WAS_SHUT_DOWN.swap(false, Ordering::Relaxed)
}

/// Standard keys that are derived before anybody asks.
const DERIVED_AHEAD: [StandardTemplate; 2] =
    [StandardTemplate::L1, StandardTemplate::StorageRsa2048];

/// Milliseconds since the machine was started; never goes back.
pub type Uptime = fn() -> u64;

/// A TPM that is powered on.
pub struct VirtualTpm {
    tpm: &'static mut Tpm,
    platform: Box<VtpmPlatform>,
    description: Box<Description>,
    stock: Option<&'static KeyStock>,
    /// The state of the primary seeds that derivations are kept for.
    seeds: u64,
}

impl VirtualTpm {
    /// Powers the machine's TPM on with its state from `storage`; it waits for TPM2_Startup then.
    /// `None` when it is already in use.
    pub fn power_on(
        entropy: Entropy,
        uptime_ms: Uptime,
        storage: Box<dyn StateStorage + Send>,
    ) -> Option<Self> {
        let tpm = MutexGuard::leak(TPM.try_lock()?);
        Some(Self::power_on_in(tpm, entropy, uptime_ms, storage))
    }

    fn power_on_in(
        tpm: &'static mut Tpm,
        entropy: Entropy,
        uptime_ms: Uptime,
        storage: Box<dyn StateStorage + Send>,
    ) -> Self {
        let stock: Option<&'static KeyStock> = match KeyStock::new(&entropy) {
            Ok(stock) => Some(Box::leak(stock)),
            Err(EntropyFault) => None,
        };
        let mut platform = Box::new(VtpmPlatform::new(entropy, uptime_ms, stock, storage));
        tpm.power_on(&mut *platform);
        let seeds = tpm.seed_changes();
        let mut description = Box::new(Description::new());
        description.derive_ahead(tpm, &mut platform);
        let mut powered = Self { tpm, platform, description, stock, seeds };
        powered.plan_derivations();
        powered
    }

    /// Is told how it is set up, for whoever asks for the manifest.
    pub fn set_options(&mut self, options: VtpmOptions) {
        self.description.set_options(options);
    }

    /// The keys that are ready or being searched for: background work for any CPU. `None` when
    /// there was no entropy for them.
    pub const fn stock(&self) -> Option<&'static KeyStock> {
        self.stock
    }

    /// Where the store's history stands; `None`: the state isn't kept.
    fn freshness(&self) -> Option<Freshness> {
        let FreshnessRoot { epoch, sequence, digest } = self.platform.freshness_root()?;
        Some(Freshness { epoch, sequence, digest })
    }

    /// Forgets what was derived from seeds that are no more.
    fn note_seeds(&mut self) {
        let seeds = self.tpm.seed_changes();
        if self.seeds != seeds {
            self.seeds = seeds;
            self.platform.keys.forget_derived();
            self.plan_derivations();
        }
    }

    fn plan_derivations(&mut self) {
        self.platform.keys.set_planning(true);
        for template in DERIVED_AHEAD {
            // Planned keys are not ready; in failure mode there are none.
            let _not_ready = self.tpm.standard_key(&mut *self.platform, template);
        }
        self.platform.keys.set_planning(false);
    }
}

impl Engine for VirtualTpm {
    fn execute(&mut self, locality: u8, command: &[u8], response: &mut [u8]) -> usize {
        let length = self.tpm.execute(&mut *self.platform, locality, command, response);
        self.note_seeds();
        if command.get(6..10) == Some(&SHUTDOWN.to_be_bytes()) {
            WAS_SHUT_DOWN.store(true, Ordering::Relaxed);
        }
        length
    }

    fn set_launch_log(&mut self, digest: Digest) {
        self.description.set_launch_log(digest);
    }

    fn manifest(&mut self, version: u32, buffer: &mut [u8]) -> Result<usize, ManifestFault> {
        let state = self.freshness().map_or(State::Ephemeral, State::Persistent);
        self.description.write(self.tpm, &mut self.platform, version, state, buffer)
    }
}
