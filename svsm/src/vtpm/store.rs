// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a disk to an open store: formatted if it is empty, recovered under the key that the
//! firmware derives, sealed again when this image is newer than the seal. A disk that doesn't open
//! is left as it is.

use super::master_key::{Binding, KeyFault, KeySource, LaunchIdentity, Seal};
use super::records;
use super::state_key::{GivenKeys, Owner, Recipient, StateKeyFault};
use nvstore::{
    BlockDevice, Capacity, Error, Examined, Formatted, MasterKey, Store, Unanchored, Unformatted,
    Unrecovered,
};
use rand_core::TryCryptoRng;
use zeroize::Zeroizing;

/// A store on the disk that the SVSM has.
pub type VtpmStore<D> = Store<D, Unanchored>;

/// Why the disk isn't used. None of these has written to it, but for [`Error::Device`] and its
/// like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The store's own reason.
    Store(Error),
    /// The firmware gives no keys.
    NoKey(KeyFault),
    /// The store is sealed for a higher SVN than this image has.
    OlderImage {
        /// The lowest SVN that opens it.
        sealed: u32,
        /// This image's.
        own: u32,
    },
    /// The store is sealed for a signer's images, and this one has no ID block.
    NoSigner,
    /// The firmware refuses the store's key: the platform is older than when it was sealed.
    OlderPlatform {
        /// The firmware's status.
        status: u32,
    },
    /// The store is sealed in a way that this version doesn't know.
    UnknownSeal,
    /// The store's key is its owner's and this image takes the firmware's, or the other way round.
    OtherOrigin,
    /// The owner's key isn't there.
    StateKey(StateKeyFault),
}

impl Refusal {
    /// The number for TPM2_GetTestResult; `docs/nvstore.md` has the table.
    #[must_use]
    pub fn reason(&self) -> u16 {
        match self {
            Self::Store(error) => records::reason(error),
            Self::NoKey(_) => 32,
            Self::OlderImage { .. } => 33,
            Self::OlderPlatform { .. } => 34,
            Self::UnknownSeal => 35,
            Self::OtherOrigin => 37,
            Self::StateKey(StateKeyFault::Missing) => 38,
            Self::StateKey(StateKeyFault::NotAuthentic | StateKeyFault::Owner) => 39,
            Self::StateKey(StateKeyFault::Firmware(_)) => 32,
            Self::NoSigner => 40,
        }
    }
}

impl From<StateKeyFault> for Refusal {
    fn from(fault: StateKeyFault) -> Self {
        Self::StateKey(fault)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl core::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Store(Error::WrongKey) => formatter.write_str(
                "the store is sealed for another signer, family, image id, policy, chip or image",
            ),
            Self::Store(error) => error.fmt(formatter),
            Self::NoKey(fault) => write!(formatter, "the firmware gives no key ({fault:?})"),
            Self::OlderImage { sealed, own } => write!(
                formatter,
                "the store is sealed for images from SVN {sealed} on, and this one has {own}"
            ),
            Self::NoSigner => formatter
                .write_str("the store is sealed for a signer's images, and this one has none"),
            Self::OlderPlatform { status } => write!(
                formatter,
                "the firmware refuses the store's key (status {status:#x}): it is older than the \
                 one that the store is sealed for"
            ),
            Self::UnknownSeal => formatter.write_str("the store is sealed in an unknown way"),
            Self::OtherOrigin => formatter.write_str(
                "the store's key is its owner's and this image takes the firmware's, or the other \
                 way round",
            ),
            Self::StateKey(fault) => fault.fmt(formatter),
        }
    }
}

/// What opening did, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The disk was empty (or a formatting had been interrupted): a new store, and a new TPM.
    Formatted,
    /// The store was there.
    Recovered {
        /// Commits read from the log.
        replayed: u32,
    },
    /// The store was there, and is sealed anew.
    Resealed {
        /// How it was sealed.
        from: Seal,
    },
    /// The store was there, under the owner's previous key.
    Rekeyed,
}

impl core::fmt::Display for Opening {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Formatted => formatter.write_str("a new store for a new TPM"),
            Self::Recovered { replayed } => write!(formatter, "recovered, {replayed} commits read"),
            Self::Resealed { from } => write!(formatter, "recovered, was sealed for {from}"),
            Self::Rekeyed => formatter.write_str("recovered, had the owner's previous key"),
        }
    }
}

/// How a launch wants its store's key.
#[derive(Clone, Debug, Default)]
pub struct KeyChoice {
    /// From the firmware: to this very image even if it has a signer.
    pub binds_measurement: bool,
    /// From the guest's owner.
    pub owner: Option<Owner>,
}

/// Opens the disk's store.
///
/// # Errors
/// See [`Refusal`].
pub fn open<D: BlockDevice>(
    disk: D,
    source: &mut dyn KeySource,
    choice: &KeyChoice,
    random: &mut impl TryCryptoRng,
) -> Result<(VtpmStore<D>, Seal, Opening), Refusal> {
    let capacity = Capacity::for_tpm(disk.block_bytes());
    let examined = Unrecovered::new(disk).examine(capacity)?;
    let identity = source.identity().map_err(Refusal::NoKey)?;
    let wanted = Seal::of(&identity, choice.binds_measurement);
    if let Some(owner) = &choice.owner {
        let package = owner.package.as_ref().ok_or(StateKeyFault::Missing)?;
        let keys = Recipient::derive(wanted, &owner.public_key, source)?.open(package)?;
        return open_given(examined, &keys, random);
    }
    match examined {
        Examined::Unformatted(empty) => format(empty, source, wanted, random),
        Examined::Formatted(found) => recover(found, source, &identity, wanted, random),
    }
}

fn format<D: BlockDevice>(
    empty: Unformatted<D>,
    source: &mut dyn KeySource,
    seal: Seal,
    random: &mut impl TryCryptoRng,
) -> Result<(VtpmStore<D>, Seal, Opening), Refusal> {
    let key = seal.key(source).map_err(Refusal::NoKey)?;
    let store = empty.format(&key, Unanchored, random)?;
    Ok((store, seal, Opening::Formatted))
}

fn recover<D: BlockDevice>(
    found: Formatted<D>,
    source: &mut dyn KeySource,
    identity: &LaunchIdentity,
    wanted: Seal,
    random: &mut impl TryCryptoRng,
) -> Result<(VtpmStore<D>, Seal, Opening), Refusal> {
    let (key, seal) = fitting_key(&found, source, identity)?;
    let mut store = found.recover(&key, Unanchored, random)?;
    let renewed = seal.renewed(wanted);
    if renewed == seal {
        let replayed = store.recovery().replayed;
        return Ok((store, seal, Opening::Recovered { replayed }));
    }
    // A new store key: whoever breaks the older image must not read what is written from now on.
    let key = renewed.key(source).map_err(Refusal::NoKey)?;
    store.rotate(&key, random)?;
    Ok((store, renewed, Opening::Resealed { from: seal }))
}

fn open_given<D: BlockDevice>(
    examined: Examined<D>,
    keys: &GivenKeys,
    random: &mut impl TryCryptoRng,
) -> Result<(VtpmStore<D>, Seal, Opening), Refusal> {
    let found = match examined {
        Examined::Unformatted(empty) => {
            let store = empty.format(&keys.current, Unanchored, random)?;
            return Ok((store, Seal::OWNER, Opening::Formatted));
        }
        Examined::Formatted(found) => found,
    };
    if found.labels().any(|label| label != Seal::OWNER.to_label()) {
        return Err(Refusal::OtherOrigin);
    }
    match (found.check_key(&keys.current), &keys.previous) {
        (Err(Error::WrongKey), Some(previous)) => {
            let mut store = found.recover(previous, Unanchored, random)?;
            store.rotate(&keys.current, random)?;
            Ok((store, Seal::OWNER, Opening::Rekeyed))
        }
        _ => {
            let store = found.recover(&keys.current, Unanchored, random)?;
            let replayed = store.recovery().replayed;
            Ok((store, Seal::OWNER, Opening::Recovered { replayed }))
        }
    }
}

/// The key of the header from which the recovery will start. While a store was being sealed anew
/// there may be two seals; the first is the newer one.
fn fitting_key<D: BlockDevice>(
    found: &Formatted<D>,
    source: &mut dyn KeySource,
    identity: &LaunchIdentity,
) -> Result<(MasterKey, Seal), Refusal> {
    let mut refusal = None;
    for label in found.labels() {
        match key_for(&label, source, identity) {
            Ok((key, seal)) => match found.check_key(&key) {
                Ok(()) => return Ok((key, seal)),
                Err(Error::WrongKey) => refusal = refusal.or(Some(Error::WrongKey.into())),
                Err(other) => return Err(other.into()),
            },
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    if let Some(refusal) = refusal {
        return Err(refusal);
    }
    // Not one header is whole. That is the store's to say, whatever the key.
    let any = MasterKey::new(Zeroizing::new([0; 32]));
    Err(found.check_key(&any).err().unwrap_or(Error::WrongKey).into())
}

fn key_for(
    label: &nvstore::KeyLabel,
    source: &mut dyn KeySource,
    identity: &LaunchIdentity,
) -> Result<(MasterKey, Seal), Refusal> {
    let seal = Seal::from_label(label).ok_or(Refusal::UnknownSeal)?;
    if seal.binding == Binding::Owner {
        return Err(Refusal::OtherOrigin);
    }
    if seal.binding == Binding::Signer && !identity.has_signer {
        return Err(Refusal::NoSigner);
    }
    if seal.guest_svn > identity.guest_svn {
        let (sealed, own) = (seal.guest_svn, identity.guest_svn);
        return Err(Refusal::OlderImage { sealed, own });
    }
    match seal.key(source) {
        Ok(key) => Ok((key, seal)),
        Err(KeyFault::Refused(status)) if seal.tcb != identity.committed_tcb => {
            Err(Refusal::OlderPlatform { status })
        }
        Err(fault) => Err(Refusal::NoKey(fault)),
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
