// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state that TPM2_Shutdown(STATE) saves and TPM2_Startup takes back (Part 1, 12.2.4).

use zeroize::Zeroize;

use super::groups::{StateClear, StateReset};
use super::pcr::{BANKS, pcr_attributes};
use super::record::RECORD_VERSION;
use super::{Fault, State};
use crate::crypto::hash::Digest;
use crate::platform::{Platform, RECORD_SIZE_MAX, RecordKind, RecordName};
use crate::session::Active;
use crate::structure::pcr_selection::PCR_COUNT;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Reader, Result, Writer};

const SAVED: RecordName = RecordName { kind: RecordKind::Saved, number: 0 };

/// Writes the saved state as a pending record; the command's commit makes it durable.
pub fn save_state(state: &mut State, platform: &mut dyn Platform) -> Result<()> {
    let mut record = [0; RECORD_SIZE_MAX];
    let mut writer = Writer::new(&mut record);
    let written = write(state, &mut writer);
    let put = written.and_then(|()| {
        platform.storage().put(SAVED, writer.written()).map_err(|_| state.fail(Fault::Storage))
    });
    record.zeroize();
    put
}

fn write(state: &State, writer: &mut Writer<'_>) -> Result<()> {
    writer.value(&RECORD_VERSION)?;
    writer.value(&*state.clear)?;
    writer.value(&*state.reset)?;
    for active in state.sessions.active() {
        match active {
            Active::Saved(counter) => {
                writer.value(&true)?;
                writer.value(counter)?;
            }
            Active::Free | Active::Loaded(_) => writer.value(&false)?,
        }
    }
    for timer in &state.timers {
        writer.value(&(timer.is_signaled && timer.preserves_signaled))?;
        writer.value(&timer.preserves_signaled)?;
    }
    for bank in BANKS {
        for index in (0..PCR_COUNT).filter(|index| pcr_attributes(*index).is_saved) {
            writer.bytes(state.pcrs.values.get(bank, index).map_or(&[], Digest::as_bytes))?;
        }
    }
    Ok(())
}

/// Takes back the saved state: all of it for a Resume, without STATE_CLEAR_DATA and PCRs for a
/// Restart. A record that is missing or damaged is an error, and nothing is taken back then.
pub fn restore_saved(
    state: &mut State,
    platform: &mut dyn Platform,
    is_resume: bool,
) -> Result<()> {
    let mut record = [0; RECORD_SIZE_MAX];
    let length = platform.storage().read(SAVED, &mut record).map_err(|_| ResponseCode::FAILURE)?;
    let record_bytes = length.and_then(|length| record.get(..length)).unwrap_or_default();
    let restored = read(state, &mut Reader::new(record_bytes), is_resume);
    record.zeroize();
    restored
}

fn read(state: &mut State, reader: &mut Reader<'_>, is_resume: bool) -> Result<()> {
    if reader.value::<u16>()? != RECORD_VERSION {
        return Err(ResponseCode::VALUE);
    }
    let clear: StateClear = reader.value()?;
    let reset: StateReset = reader.value()?;
    let mut saved = [None; super::capacity::ACTIVE_SESSIONS];
    for place in &mut saved {
        if reader.value()? {
            *place = Some(reader.value::<u64>()?);
        }
    }
    let mut signals = [(false, false); super::capacity::TIMERS];
    for place in &mut signals {
        *place = (reader.value()?, reader.value()?);
    }
    let mut values = super::pcr::PcrValues::EMPTY;
    for bank in BANKS {
        for index in (0..PCR_COUNT).filter(|index| pcr_attributes(*index).is_saved) {
            let value = Digest::from_slice(reader.take(bank.digest_size())?);
            let place = values.get_mut(bank, index).ok_or(ResponseCode::FAILURE)?;
            *place = value.map_err(|_| ResponseCode::SIZE)?;
        }
    }
    reader.finish()?;

    *state.reset.change() = reset;
    for (number, counter) in saved.iter().enumerate() {
        if let Some(counter) = counter {
            state.sessions.restore_saved(number, *counter);
        }
    }
    if is_resume {
        *state.clear.change() = clear;
        *state.pcrs.values.change() = values;
        for (timer, (is_signaled, preserves_signaled)) in state.timers.iter_mut().zip(signals) {
            timer.is_signaled = is_signaled;
            timer.preserves_signaled = preserves_signaled;
        }
    }
    Ok(())
}
