// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state that TPM2_Shutdown(STATE) saves and TPM2_Startup takes back (Part 1, 12.2.4).

use zeroize::Zeroize;

use super::capacity::{ACTIVE_SESSIONS, TIMERS};
use super::groups::{StateClear, StateReset};
use super::launch::Origin;
use super::pcr::{BANKS, PcrValues, pcr_attributes};
use super::record::RECORD_VERSION;
use super::{State, Timer};
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
        let put = platform.storage().put(SAVED, writer.written());
        put.map_err(|_| state.fail_storage(platform))
    });
    record.zeroize();
    put
}

fn write(state: &State, writer: &mut Writer<'_>) -> Result<()> {
    writer.value(&RECORD_VERSION)?;
    writer.value(&*state.clear)?;
    writer.value(&*state.reset)?;
    writer.value(&state.origin)?;
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
        writer.value(&timer.is_signaled)?;
        writer.value(&timer.preserves_signaled)?;
    }
    for bank in BANKS {
        for index in (0..PCR_COUNT).filter(|index| pcr_attributes(*index).is_saved) {
            // A PCR that isn't allocated has no value: zeros are in its place.
            let value = state.pcrs.value(bank, index).filter(|value| !value.is_empty());
            writer.bytes(value.unwrap_or(&Digest::zero(bank)).as_bytes())?;
        }
    }
    state.timers.iter().try_for_each(|timer| writer.value(&left_s(timer, state.clock.time_ms())))
}

/// The seconds that a timer has left. Of one that was not set since the start it is half of them:
/// who only saves the state and resumes does not hold up the timer.
fn left_s(timer: &Timer, now_ms: u64) -> u32 {
    match timer.left_s(now_ms) {
        left_s if timer.is_set || left_s == Timer::NEVER_S => left_s,
        left_s => left_s.div_ceil(2),
    }
}

/// Takes back the saved state: all of it for a Resume, which must start as the TPM was started
/// before; without STATE_CLEAR_DATA and PCRs for a Restart. On an error nothing is taken back:
/// TPM_RC_NV_UNINITIALIZED for a record that is missing or damaged, TPM_RC_LOCALITY for a Resume
/// from another locality, TPM_RC_VALUE when the hardware has measured only one of the two starts.
pub fn restore_saved(
    state: &mut State,
    platform: &mut dyn Platform,
    resume: Option<Origin>,
) -> Result<()> {
    let mut record = [0; RECORD_SIZE_MAX];
    let length = platform.storage().read(SAVED, &mut record).map_err(|_| ResponseCode::FAILURE)?;
    let record_bytes = length.and_then(|length| record.get(..length)).unwrap_or_default();
    let saved = Saved::read(&mut Reader::new(record_bytes));
    record.zeroize();
    let saved = saved.map_err(|_| ResponseCode::NV_UNINITIALIZED)?;
    match resume {
        None => {}
        Some(origin) if origin.is_measured != saved.origin.is_measured => {
            return Err(ResponseCode::VALUE.in_parameter(1));
        }
        Some(origin) if origin != saved.origin => return Err(ResponseCode::LOCALITY),
        Some(_) => {}
    }
    saved.restore(state, resume.is_some());
    Ok(())
}

/// What the record holds.
struct Saved {
    clear: StateClear,
    reset: StateReset,
    origin: Origin,
    /// The counters of saved sessions.
    sessions: [Option<u64>; ACTIVE_SESSIONS],
    /// Whether a timer is signaled, and whether that is preserved.
    signals: [(bool, bool); TIMERS],
    values: PcrValues,
    /// The seconds that timers have left.
    left_s: [u32; TIMERS],
}

impl Saved {
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.value::<u16>()? != RECORD_VERSION {
            return Err(ResponseCode::VALUE);
        }
        let clear = reader.value()?;
        let reset = reader.value()?;
        let origin = reader.value()?;
        let mut sessions = [None; ACTIVE_SESSIONS];
        for place in &mut sessions {
            if reader.value()? {
                *place = Some(reader.value::<u64>()?);
            }
        }
        let mut signals = [(false, false); TIMERS];
        for place in &mut signals {
            *place = (reader.value()?, reader.value()?);
        }
        let mut values = PcrValues::EMPTY;
        for bank in BANKS {
            for index in (0..PCR_COUNT).filter(|index| pcr_attributes(*index).is_saved) {
                let value = Digest::from_slice(reader.take(bank.digest_size())?);
                let place = values.get_mut(bank, index).ok_or(ResponseCode::FAILURE)?;
                *place = value.map_err(|_| ResponseCode::SIZE)?;
            }
        }
        let mut left_s = [0; TIMERS];
        for place in &mut left_s {
            *place = reader.value()?;
        }
        reader.finish()?;
        Ok(Self { clear, reset, origin, sessions, signals, values, left_s })
    }

    fn restore(self, state: &mut State, is_resume: bool) {
        *state.reset.change() = self.reset;
        for (number, counter) in self.sessions.iter().enumerate() {
            if let Some(counter) = counter {
                state.sessions.restore_saved(number, *counter);
            }
        }
        if is_resume {
            *state.clear.change() = self.clear;
            *state.pcrs.values.change() = self.values;
            let saved = self.signals.iter().zip(self.left_s);
            for (timer, ((is_signaled, preserves_signaled), left_s)) in
                state.timers.iter_mut().zip(saved)
            {
                timer.is_signaled = *is_signaled;
                timer.preserves_signaled = *preserves_signaled;
                timer.run(left_s, state.clock.time_ms());
            }
        }
    }
}
