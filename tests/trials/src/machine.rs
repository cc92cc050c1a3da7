// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine around the engine that is the same each time: entropy that is counted, a clock that
//! goes on by a millisecond for each command, records in memory, RSA primes from a list.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, PoisonError};

use tpm::Tpm;
use tpm::command::COMMANDS;
use tpm::crypto::Random;
use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::hash::HashAlgorithm;
use tpm::crypto::rsa::Portable;
use tpm::platform::{
    KeyFault, Keys, Platform, PlatformFault, PrimeSearch, PrimeSource, RecordName, Storage, Vendor,
};
use tpm::provision::{ProvisionFault, VOLATILE_SIZE_MAX};
use tpm::state::State;

use crate::transport::Transport;

/// Octets of the longest response.
const RESPONSE_SIZE_MAX: usize = 4096;
const HEADER_SIZE: usize = 10;

/// Records by their names.
pub type Records = BTreeMap<RecordName, Vec<u8>>;

/// Records in memory: those that are durable, and those that wait for the commit.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    /// What outlives a loss of power.
    pub durable: Records,
    pending: BTreeMap<RecordName, Option<Vec<u8>>>,
}

impl Storage for MemoryStorage {
    fn read(
        &mut self,
        name: RecordName,
        buffer: &mut [u8],
    ) -> Result<Option<usize>, PlatformFault> {
        let durable = self.durable.get(&name);
        let Some(record) = self.pending.get(&name).map_or(durable, Option::as_ref) else {
            return Ok(None);
        };
        buffer.get_mut(..record.len()).ok_or(PlatformFault)?.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    fn next(&mut self, behind: Option<RecordName>) -> Result<Option<RecordName>, PlatformFault> {
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.durable.range((from, Bound::Unbounded)).next().map(|(name, _)| *name))
    }

    fn put(&mut self, name: RecordName, bytes: &[u8]) -> Result<(), PlatformFault> {
        self.pending.insert(name, Some(bytes.to_vec()));
        Ok(())
    }

    fn delete(&mut self, name: RecordName) -> Result<(), PlatformFault> {
        self.pending.insert(name, None);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), PlatformFault> {
        for (name, record) in std::mem::take(&mut self.pending) {
            match record {
                Some(record) => self.durable.insert(name, record),
                None => self.durable.remove(&name),
            };
        }
        Ok(())
    }
}

/// Primes that are found once in a process: a search for each key would be all that a trial has
/// time for.
struct ListedPrimes;

/// Different keys of each size.
const KEYS_OF_A_SIZE: u8 = 2;

type PrimePairs = BTreeMap<(u16, u32), Vec<(Vec<u8>, Vec<u8>)>>;
static FOUND: Mutex<PrimePairs> = Mutex::new(PrimePairs::new());

impl Keys for ListedPrimes {
    fn rsa_primes(
        &mut self,
        key_bits: u16,
        exponent: u32,
        source: PrimeSource<'_>,
        p: &mut [u8],
        q: &mut [u8],
    ) -> Result<(), KeyFault> {
        let mut draw = [0];
        match source {
            PrimeSource::Fresh(random) => random.fill(&mut draw),
            PrimeSource::Derived(random) => random.fill(&mut draw),
        }
        .map_err(|_| KeyFault::Fault)?;
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = found.entry((key_bits, exponent)).or_default();
        let place = usize::from(draw[0] % KEYS_OF_A_SIZE);
        while pairs.len() <= place {
            let seed = [u8::try_from(pairs.len()).unwrap_or_default(); 48];
            let mut drbg = CtrDrbg::from_seed(&seed);
            let (mut p, mut q) = (vec![0; p.len()], vec![0; q.len()]);
            let source = PrimeSource::Fresh(&mut drbg);
            let mut search = PrimeSearch::new(&Portable, CtrDrbg::from_seed(&[3; 48]));
            search.rsa_primes(key_bits, exponent, source, &mut p, &mut q)?;
            pairs.push((p, q));
        }
        let (found_p, found_q) = &pairs[place];
        p.copy_from_slice(found_p);
        q.copy_from_slice(found_q);
        Ok(())
    }
}

struct SimulatedPlatform {
    entropy_count: u64,
    uptime_ms: u64,
    storage: MemoryStorage,
    keys: ListedPrimes,
}

impl Platform for SimulatedPlatform {
    fn entropy(&mut self, bytes: &mut [u8]) -> Result<(), PlatformFault> {
        for chunk in bytes.chunks_mut(32) {
            self.entropy_count += 1;
            let digest = HashAlgorithm::Sha256.digest(&[&self.entropy_count.to_be_bytes()]);
            chunk.iter_mut().zip(digest.as_bytes()).for_each(|(place, octet)| *place = *octet);
        }
        Ok(())
    }

    fn uptime_ms(&mut self) -> u64 {
        self.uptime_ms
    }

    fn physical_presence(&mut self) -> bool {
        false
    }

    fn storage(&mut self) -> &mut dyn Storage {
        &mut self.storage
    }

    fn keys(&mut self) -> &mut dyn Keys {
        &mut self.keys
    }

    fn vendor(&self) -> Vendor {
        Vendor {
            manufacturer: *b"MCDM",
            string: *b"SW  TPM trials\0\0",
            tpm_type: 1,
            firmware_version: 1,
            command_size_max: usize::MAX,
            response_size_max: usize::MAX,
        }
    }
}

/// The engine in its machine.
pub struct Machine {
    tpm: Box<Tpm>,
    platform: SimulatedPlatform,
}

impl Machine {
    /// Powered for the first time, before TPM2_Startup.
    pub fn new() -> Self {
        Self::with_records(Records::new())
    }

    /// Powered with these records, before TPM2_Startup.
    pub fn with_records(durable: Records) -> Self {
        let platform = SimulatedPlatform {
            entropy_count: 0,
            uptime_ms: 0,
            storage: MemoryStorage { durable, ..MemoryStorage::default() },
            keys: ListedPrimes,
        };
        let mut machine = Self { tpm: Box::new(Tpm::new()), platform };
        machine.tpm.power_on(&mut machine.platform);
        machine
    }

    /// What a loss of power would take.
    ///
    /// # Panics
    /// When the TPM is in failure mode.
    pub fn volatile_state(&mut self) -> Vec<u8> {
        let mut octets = vec![0; VOLATILE_SIZE_MAX];
        let size = self.tpm.save_volatile(&mut self.platform, &mut octets).expect("a sound TPM");
        octets.truncate(size);
        octets
    }

    /// Goes on from a volatile state, before TPM2_Startup.
    ///
    /// # Errors
    /// It is none; the TPM is then in failure mode.
    ///
    /// # Panics
    /// When the state is not valid afterwards, though the TPM says that it works.
    pub fn restore_volatile(&mut self, octets: &[u8]) -> Result<(), ProvisionFault> {
        self.tpm.restore_volatile(&mut self.platform, octets)?;
        tpm::invariant::check(self.tpm.state()).expect("a valid state");
        Ok(())
    }

    /// What is in the machine's storage.
    pub const fn records(&self) -> &Records {
        &self.platform.storage.durable
    }

    /// The engine's state.
    pub const fn state(&self) -> &State {
        self.tpm.state()
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for Machine {
    /// Executes a command.
    ///
    /// # Panics
    /// When the state is not valid afterwards, or the response is not well-formed.
    fn execute(&mut self, locality: u8, command: &[u8]) -> Vec<u8> {
        self.platform.uptime_ms += 1;
        let mut response = vec![0xee; RESPONSE_SIZE_MAX];
        let length = self.tpm.execute(&mut self.platform, locality, command, &mut response);
        response.truncate(length);
        tpm::invariant::check(self.tpm.state()).expect("a valid state");
        assert!(self.platform.storage.pending.is_empty(), "nothing waits behind a command");
        check_form(command, &response);
        response
    }

    fn power_cycle(&mut self) {
        self.platform.storage.pending.clear();
        self.tpm.power_on(&mut self.platform);
    }
}

/// A response has a header that tells its size; an error has nothing else; a success has the tag of
/// its command.
fn check_form(command: &[u8], response: &[u8]) {
    assert!(response.len() >= HEADER_SIZE, "a header");
    let size = u32::from_be_bytes(*response[2..].first_chunk().expect("a size"));
    assert_eq!(usize::try_from(size).ok(), Some(response.len()), "the size in the header");
    let code = u32::from_be_bytes(*response[6..].first_chunk().expect("a code"));
    if code == 0 {
        assert_eq!(response[..2], command[..2], "the tag of the command");
        let known = u32::from_be_bytes(*command[6..].first_chunk().expect("a command code"));
        assert!(COMMANDS.iter().any(|row| row.code.0 == known && row.is_implemented()));
    } else {
        assert_eq!(response.len(), HEADER_SIZE, "an error is a header alone");
        assert!(response[..2] == [0x80, 0x01] || response[..2] == [0x00, 0xc4], "an error's tag");
    }
}
