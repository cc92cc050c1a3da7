// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the engine gets from this kernel.

use super::Uptime;
use super::arithmetic::Arithmetic;
use super::keys::{KeyStock, ReadyKeys};
use super::records::StateStorage;
use crate::platform::entropy::Entropy;
use alloc::boxed::Box;
use nvstore::FreshnessRoot;
use snp_abi::svsm::{VTPM_COMMAND_MAX, VTPM_RESPONSE_MAX};
use tpm::crypto::rsa::ModularPower;
use tpm::platform::{Keys, Platform, PlatformFault, Storage, Vendor};

/// TPM_PT_MANUFACTURER and the vendor strings: four and sixteen characters.
const MANUFACTURER: [u8; 4] = *b"MSVM";
const VENDOR_STRING: [u8; 16] = *b"Macadamia-SVSM\0\0";
/// TPM_PT_VENDOR_TPM_TYPE.
const TPM_TYPE: u32 = 1;
/// TPM_PT_FIRMWARE_VERSION_1 and _2: major and minor number, then the patch level.
const FIRMWARE_VERSION: u64 = number(env!("CARGO_PKG_VERSION_MAJOR")) << 48
    | number(env!("CARGO_PKG_VERSION_MINOR")) << 32
    | number(env!("CARGO_PKG_VERSION_PATCH")) << 16;

const fn number(text: &str) -> u64 {
    match u64::from_str_radix(text, 10) {
        Ok(number) => number & 0xffff,
        Err(_) => 0,
    }
}

/// Entropy, clock and the rest, owned by the vTPM.
pub(super) struct VtpmPlatform {
    entropy: Entropy,
    uptime_ms: Uptime,
    storage: Box<dyn StateStorage + Send>,
    pub(super) keys: ReadyKeys,
}

impl VtpmPlatform {
    pub(super) const fn new(
        entropy: Entropy,
        uptime_ms: Uptime,
        stock: Option<&'static KeyStock>,
        storage: Box<dyn StateStorage + Send>,
    ) -> Self {
        Self { entropy, uptime_ms, storage, keys: ReadyKeys::new(stock) }
    }

    /// What stands for the state's history; `None` if it isn't kept.
    pub(super) fn freshness_root(&self) -> Option<FreshnessRoot> {
        self.storage.freshness_root()
    }
}

impl Platform for VtpmPlatform {
    fn entropy(&mut self, bytes: &mut [u8]) -> Result<(), PlatformFault> {
        self.entropy.fill(bytes).map_err(|_| PlatformFault)
    }

    fn uptime_ms(&mut self) -> u64 {
        (self.uptime_ms)()
    }

    fn physical_presence(&mut self) -> bool {
        // Nobody stands at a virtual machine, and whoever pretends to is the host.
        false
    }

    fn storage(&mut self) -> &mut dyn Storage {
        &mut *self.storage
    }

    fn keys(&mut self) -> &mut dyn Keys {
        &mut self.keys
    }

    fn power(&self) -> &'static dyn ModularPower {
        &Arithmetic
    }

    fn vendor_value(&mut self, property: u32) -> Option<u32> {
        super::counters::value(self.keys.stock(), property)
    }

    fn vendor(&self) -> Vendor {
        Vendor {
            manufacturer: MANUFACTURER,
            string: VENDOR_STRING,
            tpm_type: TPM_TYPE,
            firmware_version: FIRMWARE_VERSION,
            command_size_max: VTPM_COMMAND_MAX,
            response_size_max: VTPM_RESPONSE_MAX,
        }
    }
}
