// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine with a TPM for the tests beside the commands: deterministic entropy, a clock that the
//! test sets, storage that can break.

pub(crate) mod client;

use core::cell::Cell;
use core::ops::Bound;
use std::boxed::Box;
use std::collections::BTreeMap;
use std::vec::Vec;

use crate::Tpm;
use crate::crypto::CryptoError;
use crate::crypto::drbg::CtrDrbg;
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::rsa::{ModularPower, Portable};
use crate::platform::{
    KeyFault, Keys, Platform, PlatformFault, PrimeSearch, PrimeSource, RecordName, Storage, Vendor,
};
use crate::session::SessionKind;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Result, Writer};

/// Permanent handles, as tests write them.
pub(crate) const OWNER: u32 = 0x4000_0001;
pub(crate) const NULL: u32 = 0x4000_0007;
pub(crate) const PASSWORD: u32 = 0x4000_0009;
pub(crate) const LOCKOUT: u32 = 0x4000_000a;
pub(crate) const ENDORSEMENT: u32 = 0x4000_000b;
pub(crate) const PLATFORM: u32 = 0x4000_000c;

/// Records in memory: those that are durable, and those that wait for the commit.
#[derive(Default)]
pub(crate) struct TestStorage {
    durable: BTreeMap<RecordName, Vec<u8>>,
    pending: BTreeMap<RecordName, Option<Vec<u8>>>,
    /// Every commit fails.
    pub(crate) is_broken: bool,
    /// The machine refuses to read, for this reason.
    pub(crate) refusal: Option<u16>,
    /// Commits so far.
    pub(crate) commits: usize,
}

impl TestStorage {
    fn lose_power(&mut self) {
        self.pending.clear();
    }

    /// The records that are durable.
    pub(crate) fn records(&self) -> BTreeMap<RecordName, Vec<u8>> {
        self.durable.clone()
    }

    /// Puts back what was durable earlier.
    pub(crate) fn restore(&mut self, records: &BTreeMap<RecordName, Vec<u8>>) {
        self.durable.clone_from(records);
    }

    /// Puts a record in the place of a durable one, as somebody with access to the medium could.
    pub(crate) fn tamper(&mut self, name: RecordName, record: &[u8]) {
        self.durable.insert(name, record.to_vec());
    }

    /// Loses a record.
    pub(crate) fn lose(&mut self, name: RecordName) {
        self.durable.remove(&name);
    }
}

impl Storage for TestStorage {
    fn read(
        &mut self,
        name: RecordName,
        buffer: &mut [u8],
    ) -> core::result::Result<Option<usize>, PlatformFault> {
        let durable = self.durable.get(&name);
        let Some(record) = self.pending.get(&name).map_or(durable, Option::as_ref) else {
            return Ok(None);
        };
        buffer.get_mut(..record.len()).ok_or(PlatformFault)?.copy_from_slice(record);
        Ok(Some(record.len()))
    }

    fn next(
        &mut self,
        behind: Option<RecordName>,
    ) -> core::result::Result<Option<RecordName>, PlatformFault> {
        if self.refusal.is_some() {
            return Err(PlatformFault);
        }
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.durable.range((from, Bound::Unbounded)).next().map(|(name, _)| *name))
    }

    fn put(&mut self, name: RecordName, bytes: &[u8]) -> core::result::Result<(), PlatformFault> {
        self.pending.insert(name, Some(bytes.to_vec()));
        Ok(())
    }

    fn delete(&mut self, name: RecordName) -> core::result::Result<(), PlatformFault> {
        self.pending.insert(name, None);
        Ok(())
    }

    fn fault_reason(&self) -> u16 {
        self.refusal.unwrap_or(0)
    }

    fn commit(&mut self) -> core::result::Result<(), PlatformFault> {
        if self.is_broken {
            return Err(PlatformFault);
        }
        for (name, record) in core::mem::take(&mut self.pending) {
            match record {
                Some(record) => self.durable.insert(name, record),
                None => self.durable.remove(&name),
            };
        }
        self.commits += 1;
        Ok(())
    }
}

std::thread_local! {
    /// Modular powers in this test so far: with secret exponents, with public ones.
    static POWERS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Counts what it is asked for.
struct CountingPower;

impl ModularPower for CountingPower {
    fn secret(
        &self,
        base: &[u64],
        exponent: &[u64],
        modulus: &[u64],
        result: &mut [u64],
    ) -> core::result::Result<(), CryptoError> {
        POWERS.set((POWERS.get().0 + 1, POWERS.get().1));
        Portable.secret(base, exponent, modulus, result)
    }

    fn public(
        &self,
        base: &[u64],
        exponent: u32,
        modulus: &[u64],
        result: &mut [u64],
    ) -> core::result::Result<(), CryptoError> {
        POWERS.set((POWERS.get().0, POWERS.get().1 + 1));
        Portable.public(base, exponent, modulus, result)
    }
}

/// What the machine was asked for so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demands {
    pub(crate) commits: usize,
    /// Fillings with entropy, in pieces of 32 octets.
    pub(crate) entropy: u64,
    pub(crate) secret_powers: usize,
    pub(crate) public_powers: usize,
}

pub(crate) struct TestPlatform {
    entropy_count: u64,
    pub(crate) uptime_ms: u64,
    pub(crate) physical_presence: bool,
    /// Storage cannot be written now.
    pub(crate) is_read_only: bool,
    pub(crate) storage: TestStorage,
    pub(crate) keys: TestKeys,
    /// What TPM_CAP_VENDOR_PROPERTY tells.
    pub(crate) vendor_values: Vec<u32>,
}

/// A source of primes that may have none for some time.
pub(crate) struct TestKeys {
    search: PrimeSearch,
    /// Answers "not ready" to come.
    pub(crate) not_ready: u32,
    pub(crate) is_unsound: bool,
}

impl Keys for TestKeys {
    fn rsa_primes(
        &mut self,
        key_bits: u16,
        exponent: u32,
        source: PrimeSource<'_>,
        p: &mut [u8],
        q: &mut [u8],
    ) -> core::result::Result<(), KeyFault> {
        if let Some(left) = self.not_ready.checked_sub(1) {
            self.not_ready = left;
            return Err(KeyFault::NotReady);
        }
        self.search.rsa_primes(key_bits, exponent, source, p, q)
    }

    fn is_sound(&mut self) -> bool {
        !self.is_unsound
    }
}

impl Platform for TestPlatform {
    fn entropy(&mut self, bytes: &mut [u8]) -> core::result::Result<(), PlatformFault> {
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
        self.physical_presence
    }

    fn storage(&mut self) -> &mut dyn Storage {
        &mut self.storage
    }

    fn is_storage_writable(&mut self) -> bool {
        !self.is_read_only
    }

    fn keys(&mut self) -> &mut dyn Keys {
        &mut self.keys
    }

    fn vendor_value(&mut self, property: u32) -> Option<u32> {
        self.vendor_values.get(usize::try_from(property).ok()?).copied()
    }

    fn power(&self) -> &'static dyn ModularPower {
        &CountingPower
    }

    fn vendor(&self) -> Vendor {
        Vendor {
            manufacturer: *b"MCDM",
            string: *b"SW  TPM test\0\0\0\0",
            tpm_type: 1,
            firmware_version: 0x0001_0002_0003_0004,
            command_size_max: usize::MAX,
            response_size_max: usize::MAX,
        }
    }
}

/// A TPM and the machine around it.
pub(crate) struct Machine {
    pub(crate) tpm: Box<Tpm>,
    pub(crate) platform: TestPlatform,
    pub(crate) locality: u8,
    /// The command that was sent last.
    pub(crate) last: Vec<u8>,
}

impl Machine {
    /// Powered for the first time, before TPM2_Startup.
    pub(crate) fn powered() -> Self {
        let platform = TestPlatform {
            entropy_count: 0,
            uptime_ms: 0,
            physical_presence: false,
            is_read_only: false,
            storage: TestStorage::default(),
            keys: TestKeys {
                search: PrimeSearch::new(&Portable, CtrDrbg::from_seed(&[3; 48])),
                not_ready: 0,
                is_unsound: false,
            },
            vendor_values: Vec::new(),
        };
        let last = Vec::new();
        let mut machine = Self { tpm: Box::new(Tpm::new()), platform, locality: 0, last };
        machine.tpm.power_on(&mut machine.platform);
        machine
    }

    /// After TPM2_Startup(CLEAR).
    pub(crate) fn started() -> Self {
        let mut machine = Self::powered();
        machine.command(0x144, &[0, 0]).unwrap();
        machine
    }

    /// Loses power and gets it back; TPM2_Startup is the test's.
    pub(crate) fn power_cycle(&mut self) {
        self.platform.storage.lose_power();
        self.tpm.power_on(&mut self.platform);
    }

    /// What the machine was asked for so far.
    pub(crate) fn demands(&self) -> Demands {
        let (secret_powers, public_powers) = POWERS.get();
        Demands {
            commits: self.platform.storage.commits,
            entropy: self.platform.entropy_count,
            secret_powers,
            public_powers,
        }
    }

    /// Executes raw octets: the raw response. The state must be valid afterwards.
    pub(crate) fn raw(&mut self, command: &[u8]) -> Vec<u8> {
        let mut response = std::vec![0xee; 4096];
        self.last = command.to_vec();
        let Self { tpm, platform, locality, .. } = self;
        let length = tpm.execute(platform, *locality, command, &mut response);
        crate::invariant::check(tpm.state()).unwrap();
        response.truncate(length);
        let size = u32::from_be_bytes(*response[2..].first_chunk().unwrap());
        assert_eq!(usize::try_from(size).unwrap(), length, "the size in the header");
        response
    }

    /// Executes a command without sessions: what stands behind the response header.
    pub(crate) fn command(&mut self, code: u32, body: &[u8]) -> Result<Vec<u8>> {
        let response = self.raw(&frame(0x8001, code, body));
        split(&response).map(<[u8]>::to_vec)
    }

    /// Executes a command whose handles' authorisation values are empty: its parameters.
    pub(crate) fn authorised(
        &mut self,
        code: u32,
        handles: &[u32],
        body: &[u8],
    ) -> Result<Vec<u8>> {
        self.with_password(code, handles, &[], body)
    }

    /// Executes a command with the same password for each handle that needs one: its response
    /// parameters, behind the handle if there is one.
    pub(crate) fn with_password(
        &mut self,
        code: u32,
        handles: &[u32],
        password: &[u8],
        body: &[u8],
    ) -> Result<Vec<u8>> {
        let command = crate::command::find(crate::structure::command_code::CommandCode(code));
        let command = command.expect("a command in the table");
        let area = parameters(|writer| {
            (0..command.authorisations()).try_for_each(|_| {
                writer.value(&PASSWORD)?;
                writer.sized_bytes(&[])?;
                writer.value(&1_u8)?;
                writer.sized_bytes(password)
            })
        });
        let octets = parameters(|writer| {
            handles.iter().try_for_each(|handle| writer.value(handle))?;
            writer.value(&u32::try_from(area.len()).unwrap())?;
            writer.bytes(&area)?;
            writer.bytes(body)
        });
        let response = self.raw(&frame(0x8002, code, &octets));
        let rest = split(&response)?;
        let has_handle = command.traits.contains(crate::command::Traits::RESPONSE_HANDLE);
        let (handle, rest) = rest.split_at(if has_handle { 4 } else { 0 });
        let (size, rest) = rest.split_first_chunk().unwrap();
        let size = usize::try_from(u32::from_be_bytes(*size)).unwrap();
        assert_eq!(rest.len() - size, 5 * command.authorisations(), "password responses");
        Ok([handle, &rest[..size]].concat())
    }

    /// The value of a property.
    pub(crate) fn property(&mut self, property: u32) -> u32 {
        let body = parameters(|writer| {
            writer.value(&6_u32)?;
            writer.value(&property)?;
            writer.value(&1_u32)
        });
        let response = self.command(0x17a, &body).unwrap();
        assert_eq!(response[9..13], property.to_be_bytes());
        u32::from_be_bytes(*response[13..].first_chunk().unwrap())
    }

    /// Extends a PCR of the SHA-256 bank; whether that worked is the caller's to see.
    pub(crate) fn extend_pcr(&mut self, pcr: u32, digest: &[u8; 32]) {
        let body = parameters(|writer| {
            writer.value(&1_u32)?;
            writer.value(&0x0b_u16)?;
            writer.bytes(digest)
        });
        let _outcome = self.authorised(0x182, &[pcr], &body);
    }

    /// The value of a PCR of the SHA-256 bank.
    pub(crate) fn read_pcr(&mut self, pcr: usize) -> [u8; 32] {
        let mut map = [0; 3];
        map[pcr / 8] = 1 << (pcr % 8);
        let body = [&[0, 0, 0, 1, 0, 0x0b, 3][..], &map].concat();
        let response = self.command(0x17e, &body).unwrap();
        *response.last_chunk().unwrap()
    }

    /// Starts a session without salt, binding or encryption, with SHA-256.
    pub(crate) fn start_session(&mut self, kind: SessionKind) -> Handle {
        let body = parameters(|writer| {
            writer.value(&NULL)?;
            writer.value(&NULL)?;
            writer.sized_bytes(&[7; 32])?;
            writer.sized_bytes(&[])?;
            writer.value(&kind.raw())?;
            writer.value(&0x10_u16)?;
            writer.value(&0x0b_u16)
        });
        let response = self.command(0x176, &body).unwrap();
        Handle(u32::from_be_bytes(*response.first_chunk().unwrap()))
    }
}

/// A command with its header.
pub(crate) fn frame(tag: u16, code: u32, body: &[u8]) -> Vec<u8> {
    parameters(|writer| {
        writer.value(&tag)?;
        writer.value(&u32::try_from(10 + body.len()).unwrap())?;
        writer.value(&code)?;
        writer.bytes(body)
    })
}

/// The octets that a closure writes.
pub(crate) fn parameters(fill: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Vec<u8> {
    let mut buffer = std::vec![0; 8192];
    let mut writer = Writer::new(&mut buffer);
    fill(&mut writer).unwrap();
    let length = writer.len();
    buffer.truncate(length);
    buffer
}

/// What stands behind the header of a successful response, or its code.
pub(crate) fn split(response: &[u8]) -> Result<&[u8]> {
    let code = u32::from_be_bytes(*response[6..].first_chunk().unwrap());
    if code == 0 { Ok(&response[10..]) } else { Err(ResponseCode::from_raw(code)) }
}
