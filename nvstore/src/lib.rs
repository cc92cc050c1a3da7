// SPDX-License-Identifier: MIT OR Apache-2.0
//! An encrypted, authenticated, crash-consistent store of small named records on a disk that
//! belongs to an adversary.
//!
//! The whole state lives in memory and on the disk as a checkpoint and a log of commits after it:
//!
//! ```text
//! 0        4 KiB    8 KiB    12 KiB   16 KiB
//! ┌────────┬────────┬────────┬────────┬───────────────┬───────────────┬─────────────────────────┐
//! │ header │ header │ header │ header │ body of       │ body of       │ log: a ring of blocks   │
//! │ area 0 │ twin   │ area 1 │ twin   │ area 0        │ area 1        │                         │
//! └────────┴────────┴────────┴────────┴───────────────┴───────────────┴─────────────────────────┘
//!                     │                                 ▲               ▲
//!                     └── generation, root, keys ───────┘── log start ──┘
//!
//! a unit of a body, 4 KiB                      a log record, whole blocks
//! ┌───────────────────────────────┬─────┐      ┌────────┬────────────────────────────────┬─────┐
//! │ part of the records, sealed   │ tag │      │ header │ length, changes, zeros, sealed │ tag │
//! └───────────────────────────────┴─────┘      └────────┴────────────────────────────────┴─────┘
//! ```
//!
//! A commit seals its changes into one record, writes it after the last one and flushes. When half
//! of the ring is in use, the state is copied, and written step by step to the area that isn't in
//! use; its header then takes over and the ring behind it is free:
//!
//! ```text
//!        start of generation g     start of generation g+1          end
//!              ▼                         ▼                          ▼
//! ┌────────────┬─────────────────────────┬──────────────────────────┬───────────┐
//! │ free       │ in checkpoint g+1:      │ replayed on g+1 after    │ free      │
//! │            │ free once g+1 is durable│ a crash                  │           │
//! └────────────┴─────────────────────────┴──────────────────────────┴───────────┘
//! ```
//!
//! No block that holds promised data is ever overwritten, so torn and reordered writes cost nothing
//! but the commit that was in flight. Each opening begins a new epoch with a fresh boot nonce, from
//! which its keys derive, and a new checkpoint that makes the nonce durable. Each record's tag
//! covers the digest of all history before it: records can't be moved, dropped or spliced. What an
//! adversary can still do is to go back to an earlier disk as a whole; [`FreshnessRoot`] and
//! [`Anchor`] are there to make that evident.
//!
//! ```
//! use nvstore::simulation::{disk::SimulatedDisk, random::SimulatedRandom};
//! use nvstore::{Capacity, Examined, MasterKey, Unanchored, Unrecovered};
//!
//! # fn main() -> Result<(), nvstore::Error> {
//! let disk = SimulatedDisk::blank(4096, 768);
//! let key = MasterKey::new([7; 32].into());
//! let mut random = SimulatedRandom::new(1); // in earnest: a DRBG
//! let mut store = match Unrecovered::new(disk).examine(Capacity::for_tpm(4096))? {
//!     Examined::Unformatted(disk) => disk.format(&key, Unanchored, &mut random)?,
//!     Examined::Formatted(disk) => disk.recover(&key, Unanchored, &mut random)?,
//! };
//! let mut transaction = store.transaction();
//! transaction.put(b"clock", &42_u64.to_le_bytes())?;
//! transaction.delete(b"orderly")?;
//! transaction.commit()?;
//! assert_eq!(store.value(b"clock"), Some(&42_u64.to_le_bytes()[..]));
//! # Ok(())
//! # }
//! ```
//!
//! `docs/nvstore.md` says what is promised; `docs/nvstore-format.md` has the format to the byte.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(not(any(test, feature = "simulation")), deny(clippy::indexing_slicing))]

#[cfg(any(test, feature = "simulation"))]
extern crate std;

/// The version of the format on disk.
pub(crate) const FORMAT_VERSION: u16 = 1;

mod anchor;
mod checkpoint;
mod device;
mod error;
mod format;
mod geometry;
mod header;
mod log;
mod memory;
mod records;
mod recovery;
mod seal;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod store;
mod transaction;
mod volume;
mod wire;

pub use anchor::{Anchor, AnchorError, Anchored, FreshnessRoot, Unanchored};
pub use device::{BlockDevice, DeviceError};
pub use error::{Error, Evidence, Fault, GeometryFault, Invariant, Limit};
pub use format::Unformatted;
pub use geometry::{Capacity, MAX_LOG_BLOCKS, MAX_STATE_BYTES, MAX_TRANSACTION_BYTES};
pub use records::{MAX_NAME_BYTES, MAX_VALUE_BYTES};
pub use recovery::{Examined, Formatted, Unrecovered};
pub use seal::{KeyLabel, MasterKey};
pub use store::{Maintenance, Recovery, Store};
pub use transaction::Transaction;
