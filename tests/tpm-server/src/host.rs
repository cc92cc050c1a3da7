// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine around the TPM: entropy from the operating system, its clock, and a file.

use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use tpm::Tpm;
use tpm::crypto::drbg::{CtrDrbg, SEED_SIZE};
use tpm::crypto::rsa::ModularPower;
use tpm::platform::{Keys, Platform, PlatformFault, Storage, Vendor};
use tpm::provision::VOLATILE_SIZE_MAX;

use crate::blob;
use crate::keys::{Arithmetic, Search};
use crate::options::Options;
use crate::storage::FileStorage;

/// Octets of the longest response.
const RESPONSE_SIZE_MAX: usize = 4096;

/// The TPM and its machine; connections take turns.
pub(crate) struct Host {
    inner: Mutex<Machine>,
}

/// A TPM with power or without.
pub(crate) struct Machine {
    tpm: Box<Tpm>,
    platform: HostPlatform,
    /// Whether the TPM has power.
    is_on: bool,
    /// The locality of raw frames, which do not carry one.
    pub(crate) locality: u8,
    /// Whether there was a dynamic launch since somebody said that it is known.
    pub(crate) is_established: bool,
    /// What another server's memory held: taken at the next power-on.
    pub(crate) volatile: Option<Vec<u8>>,
}

struct HostPlatform {
    started: Instant,
    storage: FileStorage,
    keys: Search,
    physical_presence: bool,
    /// Whether the TPM may write its storage.
    is_nv_on: bool,
}

impl Host {
    /// Opens the state and gives the TPM power.
    pub(crate) fn open(options: &Options) -> Result<Self, String> {
        let storage = FileStorage::open(options.state.as_deref())
            .map_err(|problem| format!("cannot use the state file: {problem}"))?;
        let mut seed = [0; SEED_SIZE];
        read_entropy(&mut seed).map_err(|problem| format!("no entropy: {problem}"))?;
        let keys = Search::new(CtrDrbg::from_seed(&seed));
        let platform = HostPlatform {
            started: Instant::now(),
            storage,
            keys,
            physical_presence: false,
            is_nv_on: true,
        };
        let mut machine = Machine {
            tpm: Box::new(Tpm::new()),
            platform,
            is_on: false,
            locality: 0,
            is_established: false,
            volatile: None,
        };
        machine.power_on();
        Ok(Self { inner: Mutex::new(machine) })
    }

    /// The machine, for one request.
    pub(crate) fn machine(&self) -> MutexGuard<'_, Machine> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Machine {
    /// Gives the TPM power, if it has none.
    pub(crate) fn power_on(&mut self) {
        if !self.is_on {
            self.tpm.power_on(&mut self.platform);
            self.is_on = true;
            if let Some(octets) = self.volatile.take()
                && self.tpm.restore_volatile(&mut self.platform, &octets).is_err()
            {
                eprintln!("tpm_server: the volatile state cannot be used");
            }
        }
    }

    /// Takes the power away.
    pub(crate) fn power_off(&mut self) {
        self.platform.storage.forget_pending();
        self.is_on = false;
    }

    /// Asserts physical presence or ends the assertion.
    pub(crate) const fn set_physical_presence(&mut self, is_present: bool) {
        self.platform.physical_presence = is_present;
    }

    /// Makes storage writable or not.
    pub(crate) const fn set_nv(&mut self, is_on: bool) {
        self.platform.is_nv_on = is_on;
    }

    /// Begins a measurement by hardware; whether the TPM works.
    pub(crate) fn hash_start(&mut self) -> bool {
        self.is_established = true;
        self.is_on && self.tpm.hash_start(&mut self.platform).is_ok()
    }

    /// Goes on with a measurement; whether the TPM works.
    pub(crate) fn hash_data(&mut self, data: &[u8]) -> bool {
        self.is_on && self.tpm.hash_data(&mut self.platform, data).is_ok()
    }

    /// Ends a measurement; whether the TPM works.
    pub(crate) fn hash_end(&mut self) -> bool {
        self.is_on && self.tpm.hash_end(&mut self.platform).is_ok()
    }

    /// All records of the storage.
    pub(crate) fn permanent_state(&mut self) -> Option<Vec<u8>> {
        blob::export(&mut self.platform.storage).ok()
    }

    /// What memory holds; `None` without power.
    pub(crate) fn volatile_state(&mut self) -> Option<Vec<u8>> {
        let mut octets = vec![0; VOLATILE_SIZE_MAX];
        let saved = self.is_on.then(|| self.tpm.save_volatile(&mut self.platform, &mut octets));
        octets.truncate(saved?.ok()?);
        Some(octets)
    }

    /// Replaces all records of a TPM without power; whether that was done.
    pub(crate) fn set_permanent_state(&mut self, octets: &[u8]) -> bool {
        !self.is_on && blob::import(&mut self.platform.storage, octets).is_ok()
    }

    /// Executes a command; a TPM without power says nothing.
    pub(crate) fn execute(&mut self, locality: u8, command: &[u8]) -> Vec<u8> {
        if !self.is_on {
            return Vec::new();
        }
        let mut response = vec![0; RESPONSE_SIZE_MAX];
        let length = self.tpm.execute(&mut self.platform, locality, command, &mut response);
        response.truncate(length);
        response
    }
}

impl Platform for HostPlatform {
    fn entropy(&mut self, bytes: &mut [u8]) -> Result<(), PlatformFault> {
        read_entropy(bytes).map_err(|_| PlatformFault)
    }

    fn uptime_ms(&mut self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn physical_presence(&mut self) -> bool {
        self.physical_presence
    }

    fn storage(&mut self) -> &mut dyn Storage {
        &mut self.storage
    }

    fn is_storage_writable(&mut self) -> bool {
        self.is_nv_on
    }

    fn keys(&mut self) -> &mut dyn Keys {
        &mut self.keys
    }

    fn power(&self) -> &'static dyn ModularPower {
        &Arithmetic
    }

    fn vendor(&self) -> Vendor {
        Vendor {
            manufacturer: *b"MCDM",
            // tpm2-tools takes the first four characters for a simulator's.
            string: *b"SW  Macadamia\0\0\0",
            tpm_type: 1,
            firmware_version: 0x0000_0001_0000_0000,
        }
    }
}

/// The operating system's generator.
fn read_entropy(bytes: &mut [u8]) -> std::io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}
