// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, and who is at fault.

use crate::anchor::{AnchorError, FreshnessRoot};
use crate::device::DeviceError;

/// A failure of the store.
///
/// Every error from examining and recovering a disk comes before the first write: the disk is as it
/// was. The exceptions are [`Error::Device`] and [`Error::Anchor`], which may also arise while a
/// new epoch is opened; then the disk recovers to the same records as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The device failed to read, write or flush.
    Device(DeviceError),
    /// The device's geometry can't carry the store.
    Geometry(GeometryFault),
    /// The disk holds something, and it isn't a store.
    Foreign,
    /// The disk holds a store of a format version that this code doesn't know.
    UnsupportedVersion {
        /// The version that the disk names.
        found: u16,
    },
    /// The store is intact, and the master key isn't the one that it was sealed with.
    WrongKey,
    /// The disk holds a store, and a part that must be right isn't.
    Tampered(Evidence),
    /// The disk is older than the anchor says, or comes from another history.
    RolledBack {
        /// What the anchor remembers; nothing when the disk has a history that the anchor denies.
        anchored: Option<FreshnessRoot>,
        /// What the disk holds; nothing when it holds no store.
        found: Option<FreshnessRoot>,
    },
    /// The anchor is further behind the disk than any loss of power explains: it was wound back, or
    /// the disk is another store's.
    AnchorBehind {
        /// What the anchor remembers.
        anchored: FreshnessRoot,
        /// What the disk holds.
        found: FreshnessRoot,
    },
    /// The anchor could not be read or advanced.
    Anchor(AnchorError),
    /// The request needs more room than there is. Nothing was changed.
    Capacity(Limit),
    /// The name is empty.
    EmptyName,
    /// The random source gave nothing.
    Randomness,
    /// The heap could not give the memory that the store needs.
    Memory,
    /// An earlier failure stopped this store: what the disk holds is known only after a recovery.
    Stopped,
    /// A defect of this crate.
    Internal(Invariant),
}

/// Who has to act on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The host or its device.
    Host,
    /// Whoever supplies the master key.
    Key,
    /// Whoever called the store.
    Caller,
    /// The platform: memory, randomness or the anchor.
    Platform,
    /// This crate.
    Ours,
}

impl Error {
    /// Who has to act.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Device(_)
            | Self::Geometry(_)
            | Self::Foreign
            | Self::UnsupportedVersion { .. }
            | Self::Tampered(_)
            | Self::RolledBack { .. }
            | Self::AnchorBehind { .. } => Fault::Host,
            Self::WrongKey => Fault::Key,
            Self::Capacity(_) | Self::EmptyName | Self::Stopped => Fault::Caller,
            Self::Anchor(_) | Self::Randomness | Self::Memory => Fault::Platform,
            Self::Internal(_) => Fault::Ours,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Device(error) => write!(f, "the disk failed ({error:?})"),
            Self::Geometry(fault) => write!(f, "the disk can't carry the store ({fault:?})"),
            Self::Foreign => f.write_str("the disk holds something that is not a store"),
            Self::UnsupportedVersion { found } => {
                write!(f, "the disk holds a store of the unknown version {found}")
            }
            Self::WrongKey => f.write_str("the store was sealed with another master key"),
            Self::Tampered(evidence) => write!(f, "the disk was changed or damaged ({evidence:?})"),
            Self::RolledBack { .. } => f.write_str("the disk was rolled back"),
            Self::AnchorBehind { .. } => {
                f.write_str("the anchor and the disk do not belong together")
            }
            Self::Anchor(error) => write!(f, "the anchor failed ({error:?})"),
            Self::Capacity(limit) => write!(f, "the store has no room ({limit:?})"),
            Self::EmptyName => f.write_str("a record's name can't be empty"),
            Self::Randomness => f.write_str("the random source failed"),
            Self::Memory => f.write_str("there is not enough memory for the store"),
            Self::Stopped => f.write_str("the store stopped after an earlier failure"),
            Self::Internal(invariant) => write!(f, "defect in the store ({invariant:?})"),
        }
    }
}

impl core::error::Error for Error {}

impl From<DeviceError> for Error {
    fn from(error: DeviceError) -> Self {
        Self::Device(error)
    }
}

impl From<AnchorError> for Error {
    fn from(error: AnchorError) -> Self {
        Self::Anchor(error)
    }
}

/// Why a device's geometry doesn't do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryFault {
    /// Blocks are neither of 512 nor of 4096 bytes, or of another size than when it was formatted.
    BlockSize,
    /// The device has fewer blocks than the store needs, or than it had when it was formatted.
    TooSmall,
}

/// The part of a disk that isn't what the store wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Checkpoint headers are there, and none is intact. Also what a bad disk looks like.
    Headers,
    /// A header is intact and its authentication tag or wrapped key is not by this store's key.
    HeaderAuthentication,
    /// A header newer than the newest authentic one is intact and not authentic.
    NewerHeader,
    /// The body of the checkpoint that an authentic header describes is not authentic.
    CheckpointBody,
    /// A log record was lost: a later one is on the disk.
    LostCommit {
        /// The last sequence number that could be recovered.
        recovered: u64,
        /// The later sequence number that a block on the disk names.
        found: u64,
    },
}

/// A limit of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`crate::MAX_NAME_BYTES`].
    NameBytes,
    /// [`crate::MAX_VALUE_BYTES`].
    ValueBytes,
    /// [`crate::Capacity::transaction_bytes`].
    TransactionBytes,
    /// [`crate::Capacity::state_bytes`].
    StateBytes,
    /// The capacity asked for is outside of what the format allows.
    Format,
}

/// What "cannot happen".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invariant {
    /// A buffer was not as long as its use needs.
    BufferLength,
    /// A key could not be derived or a seal not be made for its length.
    Cryptography,
    /// An authentic record or checkpoint holds what this crate never writes.
    AuthenticNonsense,
    /// A counter reached its end.
    CounterExhausted,
    /// Records that passed every check did not fit when they were applied.
    Apply,
    /// The log had no room although space had been made.
    LogFull,
}
