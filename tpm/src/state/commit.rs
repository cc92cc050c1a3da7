// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes what changed in one commit, and reads everything back at power-on.

use zeroize::Zeroize;

use super::capacity::{NV_INDICES, PERSISTENT_OBJECTS, TIMERS};
use super::groups::{Orderly, Permanent};
use super::launch::Launch;
use super::object::{Object, Persistents, Transients};
use super::record::RECORD_VERSION;
use super::tracked::Tracked;
use super::{Fault, Mode, State, Timer};
use crate::platform::{Platform, PlatformFault, RecordKind, RecordName, Storage};
use crate::session::Sessions;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::nv::NvPublic;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

const PERMANENT: RecordName = RecordName { kind: RecordKind::Permanent, number: 0 };
const ORDERLY: RecordName = RecordName { kind: RecordKind::Orderly, number: 0 };
/// More records than there can be: a storage that goes on forever is a fault.
const RECORDS_MAX: usize = PERSISTENT_OBJECTS + NV_INDICES + 64;

/// Writes every marked value as a record, then commits. Nothing is done if nothing is marked.
///
/// # Errors
/// [`PlatformFault`] when the storage fails: what is durable is then the state of before.
pub fn commit(
    state: &mut State,
    platform: &mut dyn Platform,
    scratch: &mut [u8],
) -> core::result::Result<(), PlatformFault> {
    let storage = platform.storage();
    let mut is_pending = false;
    if state.permanent.is_changed() {
        put(storage, PERMANENT, &*state.permanent, scratch)?;
        is_pending = true;
    }
    if state.orderly.is_changed() {
        put(storage, ORDERLY, &*state.orderly, scratch)?;
        is_pending = true;
    }
    is_pending |= put_objects(state, storage, scratch)?;
    is_pending |= put_indices(state, storage, scratch)?;
    if is_pending {
        let committed = storage.commit();
        scratch.zeroize();
        committed?;
    }
    settle(state);
    Ok(())
}

fn put(
    storage: &mut dyn Storage,
    name: RecordName,
    value: &impl Marshal,
    scratch: &mut [u8],
) -> core::result::Result<(), PlatformFault> {
    let mut writer = Writer::new(scratch);
    let written = writer.value(&RECORD_VERSION).and_then(|()| writer.value(value));
    written.map_err(|_| PlatformFault)?;
    storage.put(name, writer.written())
}

const fn object_record(handle: Handle) -> RecordName {
    RecordName { kind: RecordKind::Object, number: handle.0 }
}

const fn index_record(handle: Handle) -> RecordName {
    RecordName { kind: RecordKind::NvIndex, number: handle.0 }
}

fn put_objects(
    state: &State,
    storage: &mut dyn Storage,
    scratch: &mut [u8],
) -> core::result::Result<bool, PlatformFault> {
    let mut is_pending = false;
    if !state.persistents.is_changed() {
        return Ok(false);
    }
    for handle in state.persistents.removed.iter().flatten() {
        storage.delete(object_record(*handle))?;
        is_pending = true;
    }
    for slot in state.persistents.slots.iter().filter(|slot| slot.is_changed()) {
        if let Some(entry) = &**slot {
            put(storage, object_record(entry.handle), &entry.object, scratch)?;
            is_pending = true;
        }
    }
    Ok(is_pending)
}

/// An NV index in a record.
struct IndexRecord<'a> {
    index: &'a super::nv::NvIndex,
    data: &'a [u8],
}

impl Marshal for IndexRecord<'_> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.index.public)?;
        writer.value(&self.index.auth)?;
        writer.bytes(self.data)
    }
}

fn put_indices(
    state: &State,
    storage: &mut dyn Storage,
    scratch: &mut [u8],
) -> core::result::Result<bool, PlatformFault> {
    let mut is_pending = false;
    if !state.nv.is_changed() {
        return Ok(false);
    }
    for handle in state.nv.removed.iter().flatten() {
        storage.delete(index_record(*handle))?;
        is_pending = true;
    }
    for slot in state.nv.indices.iter().filter(|slot| slot.is_changed()) {
        if let Some(index) = &**slot {
            let handle = index.public.index;
            let record = IndexRecord { index, data: state.nv.data(handle) };
            put(storage, index_record(handle), &record, scratch)?;
            is_pending = true;
        }
    }
    Ok(is_pending)
}

fn settle(state: &mut State) {
    state.permanent.settle();
    state.orderly.settle();
    state.transients.settle();
    state.persistents.settle();
    state.nv.settle();
}

/// _TPM_Init: reads everything that persists, or manufactures the TPM when there is nothing.
/// Whatever goes wrong is failure mode.
pub fn load(state: &mut State, platform: &mut dyn Platform, scratch: &mut [u8]) {
    // What was in memory is gone with the power.
    state.mode = Mode::Initialized;
    state.permanent = Tracked::new(Permanent::EMPTY);
    state.orderly = Tracked::new(Orderly::EMPTY);
    state.transients = Transients::new();
    state.prepared.clear();
    state.sessions = Sessions::new();
    state.timers = [Timer::STOPPED; TIMERS];
    state.launch = Launch::NONE;
    state.persistents = Persistents::new();
    state.nv.clear();
    state.drbg = None;
    let loaded = state.seed_random(platform);
    let Ok(records) = loaded.and_then(|()| load_records(state, platform, scratch)) else { return };
    if !state.permanent.is_manufactured {
        // Never over what is left of another TPM.
        if records > 0 {
            state.fail(Fault::Record);
            return;
        }
        if state.manufacture().is_err() {
            return;
        }
    }
    let mut epoch = [0; 4];
    if state.fill_random(&mut epoch).is_ok() {
        let clock_ms = state.orderly.clock_ms;
        state.clock.start(platform.uptime_ms(), clock_ms, u32::from_be_bytes(epoch));
    }
}

/// Reads all records: how many there are.
fn load_records(
    state: &mut State,
    platform: &mut dyn Platform,
    scratch: &mut [u8],
) -> Result<usize> {
    let mut behind = None;
    for count in 0..RECORDS_MAX {
        let next = platform.storage().next(behind);
        let Some(name) = next.map_err(|_| state.fail_storage(platform))? else {
            return Ok(count);
        };
        let length = platform.storage().read(name, scratch);
        let length = length.map_err(|_| state.fail_storage(platform))?;
        let record = length.and_then(|length| scratch.get(..length)).unwrap_or_default();
        load_record(state, name, record).map_err(|_| state.fail(Fault::Record))?;
        behind = Some(name);
    }
    Err(state.fail(Fault::Record))
}

fn load_record(state: &mut State, name: RecordName, record: &[u8]) -> Result<()> {
    let mut reader = Reader::new(record);
    if reader.value::<u16>()? != RECORD_VERSION {
        return Err(ResponseCode::VALUE);
    }
    match name.kind {
        RecordKind::Permanent => state.permanent = Tracked::new(whole(&mut reader)?),
        RecordKind::Orderly => state.orderly = Tracked::new(whole(&mut reader)?),
        // Read by TPM2_Startup(STATE), and only by it.
        RecordKind::Saved => {}
        RecordKind::Object => {
            let handle = Handle(name.number);
            let object = whole::<Object>(&mut reader)?;
            // Each hierarchy has its own handles: TPM2_EvictControl made no other.
            let is_platforms = handle >= Handle::PLATFORM_PERSISTENT_FIRST;
            let is_possible = handle.kind() == Some(HandleKind::Persistent)
                && (object.hierarchy == Handle::PLATFORM) == is_platforms;
            if !is_possible {
                return Err(ResponseCode::VALUE);
            }
            state.persistents.insert(handle, object)?;
            state.persistents.settle();
        }
        RecordKind::NvIndex => {
            let public: NvPublic = reader.value()?;
            let auth = reader.value()?;
            if public.index.0 != name.number || reader.remaining() != usize::from(public.data_size)
            {
                return Err(ResponseCode::VALUE);
            }
            state.nv.define(public, auth)?;
            let data = state.nv.change_data(public.index);
            data.iter_mut().zip(reader.rest()).for_each(|(place, octet)| *place = *octet);
            state.nv.settle();
        }
    }
    Ok(())
}

fn whole<T: Unmarshal>(reader: &mut Reader<'_>) -> Result<T> {
    let value = reader.value()?;
    reader.finish()?;
    Ok(value)
}

impl State {
    /// Makes the seeds and proofs of a new TPM (Part 1, 14; 12.2.5).
    fn manufacture(&mut self) -> Result<()> {
        *self.permanent.change() = Permanent::EMPTY;
        *self.orderly.change() = Orderly::EMPTY;
        for hierarchy in [Handle::OWNER, Handle::ENDORSEMENT, Handle::PLATFORM] {
            self.renew_seed(hierarchy)?;
            self.renew_proof(hierarchy)?;
        }
        self.permanent.change().is_manufactured = true;
        Ok(())
    }

    /// Gives a hierarchy a new primary seed.
    pub fn renew_seed(&mut self, hierarchy: Handle) -> Result<()> {
        let mut seed = super::hierarchy::Seed::zeroed(super::hierarchy::SEED_SIZE)?;
        self.fill_random(seed.as_mut_slice())?;
        match hierarchy {
            Handle::OWNER => self.permanent.change().owner.seed = seed,
            Handle::ENDORSEMENT => self.permanent.change().endorsement.seed = seed,
            Handle::PLATFORM => self.permanent.change().platform.seed = seed,
            _ => self.reset.change().null_seed = seed,
        }
        self.seed_changes = self.seed_changes.wrapping_add(1);
        Ok(())
    }

    /// Gives a hierarchy a new proof.
    pub fn renew_proof(&mut self, hierarchy: Handle) -> Result<()> {
        let mut proof = super::hierarchy::Seed::zeroed(super::hierarchy::SEED_SIZE)?;
        self.fill_random(proof.as_mut_slice())?;
        match hierarchy {
            Handle::OWNER => self.permanent.change().owner.proof = proof,
            Handle::ENDORSEMENT => self.permanent.change().endorsement.proof = proof,
            Handle::PLATFORM => self.permanent.change().platform.proof = proof,
            _ => self.reset.change().null_proof = proof,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::PERMANENT;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    /// TPM2_GetTestResult: outData with the number, and testResult.
    fn failure(machine: &mut Machine) -> std::vec::Vec<u8> {
        assert_eq!(machine.command(0x144, &[0, 0]), Err(ResponseCode::FAILURE));
        machine.command(0x17c, &[]).unwrap()
    }

    #[test]
    fn storage_that_refuses_is_failure_mode_and_says_why() {
        let mut machine = Machine::started();
        let commits = machine.platform.storage.commits;
        machine.platform.storage.refusal = Some(0x0105);
        machine.power_cycle();
        assert_eq!(failure(&mut machine), [0, 4, 1, 5, 0, 2, 0, 0, 1, 1]);
        assert_eq!(machine.platform.storage.commits, commits, "nothing is written");
        machine.platform.storage.refusal = None;
        machine.power_cycle();
        assert_eq!(machine.command(0x144, &[0, 0]), Ok(std::vec![]));
    }

    #[test]
    fn no_new_tpm_is_made_over_what_is_left_of_another() {
        let mut machine = Machine::started();
        machine.platform.storage.lose(PERMANENT);
        machine.power_cycle();
        assert_eq!(failure(&mut machine), [0, 4, 0, 0, 0, 3, 0, 0, 1, 1]);
    }
}
