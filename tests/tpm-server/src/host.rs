// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine around the TPM: entropy from the operating system, its clock, and a disk image.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use svsm::vtpm::arithmetic::Arithmetic;
use tpm::Tpm;
use tpm::crypto::rsa::ModularPower;
use tpm::platform::{Keys, Platform, PlatformFault, Storage, Vendor};
use tpm::provision::{StandardTemplate, VOLATILE_SIZE_MAX};

use crate::blob;
use crate::keys::ReadyKeys;
use crate::options::Options;
use crate::storage::{self, Records, StateFiles};
use crate::volatile::Volatile;

/// Octets of the longest response.
const RESPONSE_SIZE_MAX: usize = 4096;

/// Standard keys that are derived before anybody asks.
const DERIVED_AHEAD: [StandardTemplate; 3] =
    [StandardTemplate::L1, StandardTemplate::H1, StandardTemplate::StorageRsa2048];

/// The TPM and its machine; connections take turns.
pub(crate) struct Host {
    inner: Mutex<Machine>,
}

/// A TPM with power or without.
pub(crate) struct Machine {
    tpm: Box<Tpm>,
    platform: HostPlatform,
    /// The state of the primary seeds that derivations were kept for.
    seeds: Option<u64>,
    /// Whether the TPM has power.
    is_on: bool,
    /// The locality of raw frames, which do not carry one.
    pub(crate) locality: u8,
    /// Whether there was a dynamic launch since somebody said that it is known.
    pub(crate) is_established: bool,
    /// What this or another server's memory held: taken at the next power-on.
    volatile: Volatile,
}

struct HostPlatform {
    started: Instant,
    storage: Records,
    keys: ReadyKeys,
    physical_presence: bool,
    /// Whether the TPM may write its storage.
    is_nv_on: bool,
}

impl Host {
    /// Opens the state and gives the TPM power.
    pub(crate) fn open(options: &Options) -> Result<Self, String> {
        let storage = storage::open(options.state.as_ref())?;
        let volatile = Volatile::open(options.state.as_ref().map(StateFiles::volatile))
            .map_err(|problem| format!("the volatile state: {problem}"))?;
        let keys = ReadyKeys::start(options.ready_keys)
            .map_err(|problem| format!("no source of keys: {problem}"))?;
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
            seeds: None,
            is_on: false,
            locality: 0,
            is_established: false,
            volatile,
        };
        machine.power_on();
        for (template, file) in &options.certificates {
            machine.provision(*template, file)?;
        }
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
            self.resume();
            // Another state may have been put into its storage.
            self.seeds = None;
            self.note_seeds();
        }
    }

    /// Goes on with a volatile state that was kept, which is used once.
    fn resume(&mut self) {
        match self.volatile.take() {
            Ok(None) => {}
            Ok(Some(octets)) => {
                if self.tpm.restore_volatile(&mut self.platform, &octets).is_err() {
                    eprintln!("tpm_server: the volatile state cannot be used");
                }
            }
            Err(problem) => eprintln!("tpm_server: the volatile state: {problem}"),
        }
    }

    /// Puts an endorsement key's certificate into its NV index.
    fn provision(&mut self, template: StandardTemplate, file: &Path) -> Result<(), String> {
        let failed = |problem: &dyn std::fmt::Display| format!("{}: {problem}", file.display());
        let certificate = std::fs::read(file).map_err(|problem| failed(&problem))?;
        let put = self.tpm.provision_certificate(&mut self.platform, template, &certificate);
        put.map_err(|fault| failed(&format!("no certificate for the TPM ({fault:?})")))
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
        self.is_on && self.parts_from_kept() && self.tpm.hash_start(&mut self.platform).is_ok()
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

    /// Keeps what memory holds for the next time that there is power; whether that was done.
    pub(crate) fn store_volatile(&mut self) -> bool {
        let Some(octets) = self.volatile_state() else { return false };
        match self.volatile.store(octets) {
            Ok(()) => true,
            Err(problem) => {
                eprintln!("tpm_server: the volatile state: {problem}");
                false
            }
        }
    }

    /// Takes what another server's memory held.
    pub(crate) fn set_volatile_state(&mut self, octets: Vec<u8>) {
        self.volatile.set(octets);
    }

    /// The TPM goes on: what was kept of it is forgotten, for later it would turn the TPM back.
    /// Whether that was done.
    fn parts_from_kept(&mut self) -> bool {
        !self.volatile.is_there() || self.volatile.forget().is_ok()
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
        if !self.parts_from_kept() {
            return Vec::new();
        }
        let mut response = vec![0; RESPONSE_SIZE_MAX];
        let length = self.tpm.execute(&mut self.platform, locality, command, &mut response);
        response.truncate(length);
        self.note_seeds();
        response
    }

    /// Forgets what was derived from seeds that are no more, and has the standard keys derived
    /// before anybody asks for them.
    fn note_seeds(&mut self) {
        let seeds = Some(self.tpm.seed_changes());
        if self.seeds != seeds {
            self.seeds = seeds;
            self.platform.keys.forget_derived();
            self.platform.keys.set_planning(true);
            for template in DERIVED_AHEAD {
                // Planned keys are not ready; in failure mode there are none.
                let _not_ready = self.tpm.standard_key(&mut self.platform, template);
            }
            self.platform.keys.set_planning(false);
        }
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
            command_size_max: usize::MAX,
            response_size_max: usize::MAX,
        }
    }
}

/// The operating system's generator.
pub(crate) fn read_entropy(bytes: &mut [u8]) -> std::io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: u32 = 0x4000_0001;
    const LOCKOUT: u32 = 0x4000_000a;
    const ENDORSEMENT: u32 = 0x4000_000b;
    const PLATFORM: u32 = 0x4000_000c;
    const NULL: u32 = 0x4000_0007;

    fn host() -> Host {
        let arguments = ["--ephemeral", "--keys", "0"].map(str::to_owned);
        let host = Host::open(&Options::parse(arguments.into_iter()).unwrap().unwrap()).unwrap();
        startup(&host);
        host
    }

    /// TPM2_Startup(CLEAR).
    fn startup(host: &Host) {
        let command = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
        assert_eq!(host.machine().execute(0, &command)[6..], [0; 4]);
    }

    /// A command whose handle is authorised by an empty password: the response's parameters.
    fn authorised(host: &Host, code: u32, handle: u32, parameters: &[u8]) -> Vec<u8> {
        let password = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0];
        let body = [&handle.to_be_bytes()[..], &password, parameters].concat();
        let size = u32::try_from(10 + body.len()).unwrap();
        let head = [&[0x80, 2][..], &size.to_be_bytes(), &code.to_be_bytes()].concat();
        let response = host.machine().execute(0, &[head, body].concat());
        assert_eq!(response[6..10], [0; 4], "command {code:#x}");
        response[10..].to_vec()
    }

    /// The public area of TPM2_CreatePrimary with the standard template of a storage root key.
    fn storage_root_key(host: &Host, hierarchy: u32) -> Vec<u8> {
        let words = [1_u16, 0x0b, 3, 0x0472, 0, 6, 128, 0x43, 0x10, 2048, 0, 0, 256];
        let mut template: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        template.extend([0; 256]);
        let size = u16::try_from(template.len()).unwrap().to_be_bytes();
        let parameters = [&[0, 4, 0, 0, 0, 0], &size[..], &template, &[0, 0, 0, 0, 0, 0]].concat();
        let made = authorised(host, 0x131, hierarchy, &parameters);
        let flush = [&[0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x65], &made[..4]].concat();
        assert_eq!(host.machine().execute(0, &flush)[6..], [0; 4]);
        let length = usize::from(u16::from_be_bytes([made[8], made[9]]));
        made[10..10 + length].to_vec()
    }

    fn work(host: &Host) -> u64 {
        host.machine().platform.keys.multiplications()
    }

    #[test]
    fn a_primary_key_is_derived_once_for_each_seed() {
        let host = host();
        let first = storage_root_key(&host, OWNER);
        host.machine().platform.keys.wait_for_plans();
        let before = work(&host);
        assert_eq!(storage_root_key(&host, OWNER), first);
        assert_eq!(work(&host), before, "it was derived before");
        let other = storage_root_key(&host, NULL);
        assert_ne!(other, first);
        assert!(work(&host) > before, "nobody plans for the NULL hierarchy");

        let kept = storage_root_key(&host, NULL);
        assert_eq!(kept, other);
        authorised(&host, 0x126, LOCKOUT, &[]);
        host.machine().platform.keys.wait_for_plans();
        let before = work(&host);
        assert_ne!(storage_root_key(&host, OWNER), first, "TPM2_Clear made a new seed");
        assert_eq!(work(&host), before, "derived ahead again");
        assert_eq!(storage_root_key(&host, NULL), other);
        assert!(work(&host) > before, "what was kept of the old seeds is gone, all of it");
    }

    /// After a change that leaves the NULL seed alone its key is the same, but not kept any more.
    fn assert_forgotten(host: &Host, null: &[u8]) {
        host.machine().platform.keys.wait_for_plans();
        let before = work(host);
        assert_eq!(storage_root_key(host, NULL), null);
        assert!(work(host) > before, "what was derived before is gone, all of it");
    }

    #[test]
    fn new_seeds_of_other_hierarchies_have_new_keys() {
        const CHANGE_EPS: u32 = 0x124;
        const CHANGE_PPS: u32 = 0x125;
        let host = host();
        let owner = storage_root_key(&host, OWNER);
        let null = storage_root_key(&host, NULL);
        for (code, hierarchy) in [(CHANGE_EPS, ENDORSEMENT), (CHANGE_PPS, PLATFORM)] {
            let old = storage_root_key(&host, hierarchy);
            authorised(&host, code, PLATFORM, &[]);
            assert_forgotten(&host, &null);
            assert_ne!(storage_root_key(&host, hierarchy), old, "command {code:#x}");
        }
        // A TPM Reset makes a new NULL seed, and no other.
        host.machine().power_off();
        host.machine().power_on();
        startup(&host);
        assert_ne!(storage_root_key(&host, NULL), null);
        assert_eq!(storage_root_key(&host, OWNER), owner);
    }
}
