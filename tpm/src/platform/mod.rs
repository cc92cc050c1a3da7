// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the engine needs from the machine it runs on: entropy, a clock, storage, RSA primes, and
//! the answers that only a platform can give. The engine trusts each of them, and checks what is
//! cheap to check.

mod no_storage;
mod prime_search;

pub use no_storage::NoStorage;
pub use prime_search::PrimeSearch;

use crate::crypto::Random;
use crate::crypto::drbg::CtrDrbg;
use crate::crypto::rsa::{ModularPower, Portable};

/// The machine.
pub trait Platform {
    /// Fills `bytes` with full-entropy bytes, already health-tested; only ever used to seed.
    ///
    /// # Errors
    /// [`PlatformFault`] when the source is broken: the TPM then enters failure mode.
    fn entropy(&mut self, bytes: &mut [u8]) -> Result<(), PlatformFault>;

    /// Milliseconds since the machine was powered; never goes back while it is powered.
    fn uptime_ms(&mut self) -> u64;

    /// Whether somebody stands at the machine (Part 1, 19.8).
    fn physical_presence(&mut self) -> bool;

    /// Where state is kept over power cycles.
    fn storage(&mut self) -> &mut dyn Storage;

    /// Whether storage can be written now. While it cannot, commands that may write answer
    /// TPM_RC_NV_UNAVAILABLE, and what time changes by itself waits.
    fn is_storage_writable(&mut self) -> bool {
        true
    }

    /// Where RSA primes come from.
    fn keys(&mut self) -> &mut dyn Keys;

    /// The arithmetic of RSA; a machine may have a faster one.
    fn power(&self) -> &'static dyn ModularPower {
        &Portable
    }

    /// What the TPM says of its maker.
    fn vendor(&self) -> Vendor;

    /// Number `property` of the numbers that this machine tells with TPM_CAP_VENDOR_PROPERTY;
    /// `None` behind the last one of a row.
    fn vendor_value(&mut self, _property: u32) -> Option<u32> {
        None
    }

    /// An authenticated countdown timer expired (TPM2_ACT_SetTimeout); most machines do nothing.
    fn timer_expired(&mut self, _timer: u8) {}
}

/// The platform could not do its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformFault;

/// What a record is about; with a number it is the record's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum RecordKind {
    /// Seeds, authorisation values, policies, counters.
    Permanent = 1,
    /// Clock, and what else is only written now and then.
    Orderly = 2,
    /// What TPM2_Shutdown(STATE) saved.
    Saved = 3,
    /// A persistent object; the number is its handle.
    Object = 4,
    /// An NV index with its data; the number is its handle.
    NvIndex = 5,
}

impl RecordKind {
    /// Every kind; its number is the first octet of a name wherever names are written down.
    pub const ALL: [Self; 5] =
        [Self::Permanent, Self::Orderly, Self::Saved, Self::Object, Self::NvIndex];

    /// The kind with this number; `None` for one that no engine of this version writes.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The name of a record: unique, and ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordName {
    /// What it is about.
    pub kind: RecordKind,
    /// Which one of its kind.
    pub number: u32,
}

/// Octets of the longest record.
pub const RECORD_SIZE_MAX: usize = 4096;

/// Named records that survive power loss. Writes become visible to a later power-on only with
/// [`Storage::commit`], and then all or none of them.
pub trait Storage {
    /// Copies a committed or pending record into `buffer`: its length, or `None` if there is none.
    ///
    /// # Errors
    /// [`PlatformFault`] when it cannot be read or does not fit.
    fn read(&mut self, name: RecordName, buffer: &mut [u8])
    -> Result<Option<usize>, PlatformFault>;

    /// The first record behind `name`, or the first of all.
    ///
    /// # Errors
    /// [`PlatformFault`] when the list cannot be read.
    fn next(&mut self, behind: Option<RecordName>) -> Result<Option<RecordName>, PlatformFault>;

    /// Writes a record, pending until the commit.
    ///
    /// # Errors
    /// [`PlatformFault`] when there is no room or the medium fails.
    fn put(&mut self, name: RecordName, bytes: &[u8]) -> Result<(), PlatformFault>;

    /// Deletes a record, pending until the commit; a record that isn't there is no error.
    ///
    /// # Errors
    /// [`PlatformFault`] when the medium fails.
    fn delete(&mut self, name: RecordName) -> Result<(), PlatformFault>;

    /// Why the last call failed, as a number of this machine's: TPM2_GetTestResult tells it beside
    /// the engine's own reason. 0 says nothing.
    fn fault_reason(&self) -> u16 {
        0
    }

    /// Makes everything pending durable, or nothing of it.
    ///
    /// # Errors
    /// [`PlatformFault`] when the medium fails: what is durable is then the state of before.
    fn commit(&mut self) -> Result<(), PlatformFault>;
}

/// From which generator the candidates of an RSA key come.
pub enum PrimeSource<'a> {
    /// A new key: any primes will do, also ones found earlier.
    Fresh(&'a mut dyn Random),
    /// A key that must come out the same each time: each prime is the first draw that fits.
    Derived(&'a mut CtrDrbg),
}

/// Why there are no primes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// Not yet: the command answers TPM_RC_RETRY and is to be sent again.
    NotReady,
    /// Never for these parameters.
    Unsupported,
    /// The generator is broken.
    Fault,
}

/// A source of RSA primes.
pub trait Keys {
    /// Fills `p` and `q`, each `key_bits / 16` octets, with primes whose two highest bits are set
    /// and for which `exponent` is invertible.
    ///
    /// # Errors
    /// [`KeyFault`]; the buffers are then not to be used.
    fn rsa_primes(
        &mut self,
        key_bits: u16,
        exponent: u32,
        source: PrimeSource<'_>,
        p: &mut [u8],
        q: &mut [u8],
    ) -> Result<(), KeyFault>;

    /// Whether the source is sound; the TPM's self-test asks.
    fn is_sound(&mut self) -> bool {
        true
    }
}

/// What the TPM says of its maker (TPM_PT_MANUFACTURER and the following) and of the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// Four characters of the manufacturer.
    pub manufacturer: [u8; 4],
    /// Sixteen characters; tpm2-tools takes "SW  " for a simulator.
    pub string: [u8; 16],
    /// A number for the type of the TPM.
    pub tpm_type: u32,
    /// The version of the firmware.
    pub firmware_version: u64,
    /// Octets of the longest command that the way to the TPM carries; no more than
    /// [`COMMAND_SIZE_MAX`](crate::state::capacity::COMMAND_SIZE_MAX) are told of.
    pub command_size_max: usize,
    /// The same of responses and
    /// [`RESPONSE_SIZE_MAX`](crate::state::capacity::RESPONSE_SIZE_MAX).
    pub response_size_max: usize,
}
