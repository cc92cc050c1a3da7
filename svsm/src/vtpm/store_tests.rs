// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who opens a store, and who doesn't.

use super::*;
use crate::vtpm::state_key::tests::packed;
use nvstore::simulation::disk::SimulatedDisk;
use nvstore::simulation::random::SimulatedRandom;
use snp_abi::guest_request::{GuestFields, KeyRequest, status};
use snp_abi::report::REPORT_SIZE;

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

    fn report(&mut self, _: &[u8; 64]) -> Result<Box<[u8; REPORT_SIZE]>, KeyFault> {
        Err(KeyFault::Unavailable)
    }
}

type Opened = Result<(VtpmStore<SimulatedDisk>, Seal, Opening), Refusal>;

fn open_with(disk: SimulatedDisk, firmware: &Firmware, binds_measurement: bool) -> Opened {
    let mut random = SimulatedRandom::new(3);
    let choice = KeyChoice { binds_measurement, owner: None };
    open(disk, &mut firmware.clone(), &choice, &mut random)
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
    refused_with(disk, firmware, &KeyChoice::default())
}

fn refused_with(disk: &SimulatedDisk, firmware: &Firmware, choice: &KeyChoice) -> Refusal {
    let before = disk.counts().writes;
    let mut disk = disk.clone();
    let mut random = SimulatedRandom::new(3);
    let refusal = open(&mut disk, &mut firmware.clone(), choice, &mut random).err();
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
    // Not by its SVN, which it has none of: also a store from SVN 0 on is refused for this.
    let without_block = Firmware { signer: 0, svn: 0, ..FIRMWARE };
    assert_eq!(refused(&disk, &without_block), Refusal::NoSigner);
    let from_zero = sealed(&Firmware { svn: 0, ..FIRMWARE }, false);
    assert_eq!(refused(&from_zero, &without_block), Refusal::NoSigner);
    assert_eq!(Refusal::NoSigner.reason(), 40);
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

/// A launch whose owner gave these keys; `None`: nothing came.
fn owned(firmware: &Firmware, keys: Option<[[u8; 32]; 2]>) -> KeyChoice {
    let mut source = firmware.clone();
    let seal = Seal::of(&source.identity().unwrap(), false);
    KeyChoice { binds_measurement: false, owner: Some(packed(seal, &mut source, keys)) }
}

fn open_choice(disk: SimulatedDisk, firmware: &Firmware, choice: &KeyChoice) -> Opened {
    open(disk, &mut firmware.clone(), choice, &mut SimulatedRandom::new(3))
}

const KEYS: [[u8; 32]; 2] = [[0x11; 32], [0; 32]];

/// A disk with a record, under the owner's key.
fn owners_disk() -> SimulatedDisk {
    let blank = SimulatedDisk::blank(4096, 768);
    let opened = open_choice(blank, &FIRMWARE, &owned(&FIRMWARE, Some(KEYS)));
    let (mut store, seal, opening) = opened.unwrap();
    assert_eq!((seal, opening), (Seal::OWNER, Opening::Formatted));
    let mut transaction = store.transaction();
    transaction.put(b"n", b"kept").unwrap();
    transaction.commit().unwrap();
    store.into_device()
}

#[test]
fn without_the_owners_key_nothing_is_touched() {
    let missing = Refusal::StateKey(StateKeyFault::Missing);
    let none = owned(&FIRMWARE, None);
    assert_eq!(refused_with(&owners_disk(), &FIRMWARE, &none), missing);
    // Not even an empty disk is formatted.
    assert_eq!(refused_with(&SimulatedDisk::blank(4096, 768), &FIRMWARE, &none), missing);
    assert_eq!(missing.reason(), 38);
    let newer = Firmware { svn: 6, ..FIRMWARE };
    let foreign = Refusal::StateKey(StateKeyFault::NotAuthentic);
    let package = owned(&FIRMWARE, Some(KEYS));
    assert_eq!(refused_with(&owners_disk(), &newer, &package), foreign);
    assert_eq!(foreign.reason(), 39);
    let other = owned(&FIRMWARE, Some([[0x22; 32], [0x33; 32]]));
    assert_eq!(refused_with(&owners_disk(), &FIRMWARE, &other), Error::WrongKey.into());
}

#[test]
fn the_owners_key_and_the_firmwares_are_not_exchanged() {
    let choice = owned(&FIRMWARE, Some(KEYS));
    let sealed_by_firmware = sealed(&FIRMWARE, false);
    assert_eq!(refused_with(&sealed_by_firmware, &FIRMWARE, &choice), Refusal::OtherOrigin);
    assert_eq!(refused(&owners_disk(), &FIRMWARE), Refusal::OtherOrigin);
}

#[test]
fn the_owner_chooses_on_which_chip_and_image_the_state_goes_on() {
    let elsewhere = Firmware { signer: 2, policy: 2, svn: 1, tcb: 3, ..FIRMWARE };
    let choice = owned(&elsewhere, Some(KEYS));
    let (store, seal, opening) = open_choice(owners_disk(), &elsewhere, &choice).unwrap();
    assert_eq!((seal, opening), (Seal::OWNER, Opening::Recovered { replayed: 1 }));
    assert_eq!(store.value(b"n"), Some(&b"kept"[..]));
}

#[test]
fn the_owner_changes_the_key() {
    let new = [0x44; 32];
    let choice = owned(&FIRMWARE, Some([new, KEYS[0]]));
    let (store, _, opening) = open_choice(owners_disk(), &FIRMWARE, &choice).unwrap();
    assert_eq!(opening, Opening::Rekeyed);
    assert_eq!(store.value(b"n"), Some(&b"kept"[..]));
    let disk = store.into_device();
    let old = owned(&FIRMWARE, Some(KEYS));
    assert_eq!(refused_with(&disk, &FIRMWARE, &old), Error::WrongKey.into());
    let (_, _, opening) = open_choice(disk, &FIRMWARE, &choice).unwrap();
    assert_eq!(opening, Opening::Recovered { replayed: 0 });
}
