// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a disk to an open store: formatted if it is empty, recovered under the key that the
//! firmware derives, sealed again when this image is newer than the seal. A disk that doesn't open
//! is left as it is.

use super::master_key::{KeyFault, KeySource, LaunchIdentity, Seal};
use super::records;
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
    /// The firmware refuses the store's key: the platform is older than when it was sealed.
    OlderPlatform {
        /// The firmware's status.
        status: u32,
    },
    /// The store is sealed in a way that this version doesn't know.
    UnknownSeal,
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
        }
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
            Self::OlderPlatform { status } => write!(
                formatter,
                "the firmware refuses the store's key (status {status:#x}): it is older than the \
                 one that the store is sealed for"
            ),
            Self::UnknownSeal => formatter.write_str("the store is sealed in an unknown way"),
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
}

impl core::fmt::Display for Opening {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Formatted => formatter.write_str("a new store for a new TPM"),
            Self::Recovered { replayed } => write!(formatter, "recovered, {replayed} commits read"),
            Self::Resealed { from } => write!(formatter, "recovered, was sealed for {from}"),
        }
    }
}

/// Opens the disk's store. `binds_measurement`: to this very image even if it has a signer.
///
/// # Errors
/// See [`Refusal`].
pub fn open<D: BlockDevice>(
    disk: D,
    source: &mut dyn KeySource,
    binds_measurement: bool,
    random: &mut impl TryCryptoRng,
) -> Result<(VtpmStore<D>, Seal, Opening), Refusal> {
    let capacity = Capacity::for_tpm(disk.block_bytes());
    let examined = Unrecovered::new(disk).examine(capacity)?;
    let identity = source.identity().map_err(Refusal::NoKey)?;
    let wanted = Seal::of(&identity, binds_measurement);
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
mod tests {
    use super::*;
    use nvstore::simulation::disk::SimulatedDisk;
    use nvstore::simulation::random::SimulatedRandom;
    use snp_abi::guest_request::{GuestFields, KeyRequest, status};

    /// A firmware that mixes as AMD's does, only not secretly.
    #[derive(Clone)]
    struct Firmware {
        signer: u8,
        policy: u8,
        measurement: u8,
        svn: u32,
        tcb: u64,
        is_silent: bool,
    }

    const FIRMWARE: Firmware =
        Firmware { signer: 1, policy: 1, measurement: 1, svn: 5, tcb: 10, is_silent: false };

    impl KeySource for Firmware {
        fn identity(&mut self) -> Result<LaunchIdentity, KeyFault> {
            if self.is_silent {
                return Err(KeyFault::Unavailable);
            }
            Ok(LaunchIdentity {
                guest_svn: self.svn,
                committed_tcb: self.tcb,
                has_signer: self.signer != 0,
            })
        }

        fn derive(&mut self, request: &KeyRequest) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
            if request.guest_svn > self.svn || request.tcb_version > self.tcb {
                return Err(KeyFault::Refused(status::INVALID_PARAMETER));
            }
            let fields = GuestFields::from_bits(request.guest_field_select).unwrap();
            let selected = |field, value| if fields.contains(field) { value } else { 0 };
            let mut key = Zeroizing::new([0; 32]);
            key[0] = self.signer;
            key[1] = selected(GuestFields::POLICY, self.policy);
            key[2] = selected(GuestFields::MEASUREMENT, self.measurement);
            key[3..7].copy_from_slice(&request.guest_svn.to_le_bytes());
            key[7..15].copy_from_slice(&request.tcb_version.to_le_bytes());
            key[15] = fields.bits().to_le_bytes()[0];
            Ok(key)
        }
    }

    type Opened = Result<(VtpmStore<SimulatedDisk>, Seal, Opening), Refusal>;

    fn open_with(disk: SimulatedDisk, firmware: &Firmware, binds_measurement: bool) -> Opened {
        let mut random = SimulatedRandom::new(3);
        open(disk, &mut firmware.clone(), binds_measurement, &mut random)
    }

    /// A disk with a record, sealed by this firmware.
    fn sealed(firmware: &Firmware, binds_measurement: bool) -> SimulatedDisk {
        let blank = SimulatedDisk::blank(4096, 768);
        let (mut store, _, opening) = open_with(blank, firmware, binds_measurement).unwrap();
        assert_eq!(opening, Opening::Formatted);
        let mut transaction = store.transaction();
        transaction.put(b"n", b"kept").unwrap();
        transaction.commit().unwrap();
        store.into_device()
    }

    fn refused(disk: &SimulatedDisk, firmware: &Firmware) -> Refusal {
        let before = disk.counts().writes;
        let mut disk = disk.clone();
        let mut random = SimulatedRandom::new(3);
        let refusal = open(&mut disk, &mut firmware.clone(), false, &mut random).err();
        assert_eq!(disk.counts().writes, before, "it was left alone");
        refusal.expect("it must not open")
    }

    #[test]
    fn another_signer_policy_or_svn_opens_nothing() {
        let disk = sealed(&FIRMWARE, false);
        let wrong = Refusal::Store(Error::WrongKey);
        assert_eq!(refused(&disk, &Firmware { signer: 2, ..FIRMWARE }), wrong);
        assert_eq!(refused(&disk, &Firmware { policy: 2, ..FIRMWARE }), wrong);
        assert_eq!(
            refused(&disk, &Firmware { svn: 4, ..FIRMWARE }),
            Refusal::OlderImage { sealed: 5, own: 4 }
        );
        assert_eq!(
            refused(&disk, &Firmware { tcb: 9, ..FIRMWARE }),
            Refusal::OlderPlatform { status: status::INVALID_PARAMETER }
        );
        assert_eq!(
            refused(&disk, &Firmware { is_silent: true, ..FIRMWARE }),
            Refusal::NoKey(KeyFault::Unavailable)
        );
        let without_block = Firmware { signer: 0, svn: 0, ..FIRMWARE };
        assert_eq!(refused(&disk, &without_block), Refusal::OlderImage { sealed: 5, own: 0 });
    }

    #[test]
    fn another_image_of_the_same_signer_opens_it() {
        let disk = sealed(&FIRMWARE, false);
        let other = Firmware { measurement: 2, ..FIRMWARE };
        let (store, _, opening) = open_with(disk, &other, false).unwrap();
        assert_eq!(opening, Opening::Recovered { replayed: 1 });
        assert_eq!(store.value(b"n"), Some(&b"kept"[..]));
    }

    #[test]
    fn a_higher_svn_opens_it_and_locks_the_older_out() {
        let disk = sealed(&FIRMWARE, false);
        let newer = Firmware { svn: 6, tcb: 11, measurement: 2, ..FIRMWARE };
        let (store, seal, opening) = open_with(disk, &newer, false).unwrap();
        assert_eq!((seal.guest_svn, seal.tcb), (6, 11));
        assert!(matches!(opening, Opening::Resealed { from } if from.guest_svn == 5));
        assert_eq!(store.value(b"n"), Some(&b"kept"[..]));
        let disk = store.into_device();
        let older = Refusal::OlderImage { sealed: 6, own: 5 };
        assert_eq!(refused(&disk, &FIRMWARE), older);
        assert_eq!(older.reason(), 33);
        let (_, _, opening) = open_with(disk, &newer, false).unwrap();
        assert!(matches!(opening, Opening::Recovered { .. }));
    }

    #[test]
    fn bound_to_the_measurement_nothing_else_opens_it() {
        let disk = sealed(&FIRMWARE, true);
        let other = Firmware { measurement: 2, ..FIRMWARE };
        assert_eq!(refused(&disk, &other), Refusal::Store(Error::WrongKey));
        // The same image goes on with it, and does not loosen the binding.
        let (_, seal, opening) = open_with(disk, &FIRMWARE, false).unwrap();
        assert_eq!(seal, Seal::of(&FIRMWARE.clone().identity().unwrap(), true));
        assert!(matches!(opening, Opening::Recovered { .. }));
    }

    #[test]
    fn a_power_cut_while_it_is_sealed_anew_locks_nobody_out() {
        let newer = Firmware { svn: 6, ..FIRMWARE };
        let disk = sealed(&FIRMWARE, false);
        let (store, _, _) = open_with(disk.clone(), &newer, false).unwrap();
        let (old, new) = (disk.image().to_vec(), store.into_device().image().to_vec());
        // Each header of the old image in place of the new one: what a cut may leave.
        for slot in 0..4 {
            let mut image = new.clone();
            let range = slot * 4096..(slot + 1) * 4096;
            image[range.clone()].copy_from_slice(&old[range]);
            let mixed = SimulatedDisk::with_image(4096, image);
            let (store, _, _) = open_with(mixed, &newer, false).unwrap();
            assert_eq!(store.value(b"n"), Some(&b"kept"[..]), "{slot}");
        }
    }

    #[test]
    fn damage_has_its_own_name() {
        let disk = sealed(&FIRMWARE, false);
        let mut image = disk.image().to_vec();
        for slot in image.chunks_mut(4096).take(4) {
            slot[170] ^= 1;
        }
        let refusal = refused(&SimulatedDisk::with_image(4096, image), &FIRMWARE);
        assert!(matches!(refusal, Refusal::Store(Error::Tampered(_))));
        assert_eq!(refusal.reason(), 6);
        let foreign = SimulatedDisk::with_image(4096, vec![7; 768 * 4096]);
        assert_eq!(refused(&foreign, &FIRMWARE), Refusal::Store(Error::Foreign));
    }
}
