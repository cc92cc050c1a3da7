// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that a loss of power would take, as one value: what another machine needs, beside
//! the records in storage, to go on as if nothing had happened. It holds secrets in the clear.

use super::capacity::{ACTIVE_SESSIONS, LOADED_SESSIONS, TRANSIENT_OBJECTS};
use super::context::Maybe;
use super::pcr::{BANKS, Pcrs};
use super::record::RECORD_VERSION;
use super::{Mode, State, Timer};
use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest, HASHER_STATE_SIZE_MAX};
use crate::platform::RECORD_SIZE_MAX;
use crate::session::Active;
use crate::structure::context::CONTENT_SIZE_MAX;
use crate::structure::handle::Handle;
use crate::structure::pcr_selection::PCR_COUNT;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Reader, Result, Writer};

/// Octets of the longest volatile state: loaded objects and sessions with their numbers, where
/// sessions are, PCRs, a measurement, and what else a record holds.
pub const VOLATILE_SIZE_MAX: usize = (TRANSIENT_OBJECTS + LOADED_SESSIONS) * (4 + CONTENT_SIZE_MAX)
    + ACTIVE_SESSIONS * 9
    + BANKS.len() * (PCR_COUNT + 1) * (2 + DIGEST_SIZE_MAX)
    + BANKS.len() * (2 + HASHER_STATE_SIZE_MAX)
    + 2 * RECORD_SIZE_MAX;

/// Where a session is, on the wire.
const FREE: u8 = 0;
const LOADED: u8 = 1;
const SAVED: u8 = 2;

/// Writes the volatile state. TPM_RC_FAILURE in failure mode, which has none.
pub fn save_volatile(state: &State, writer: &mut Writer<'_>) -> Result<()> {
    writer.value(&RECORD_VERSION)?;
    writer.value(&match state.mode {
        Mode::Initialized => false,
        Mode::Operational => true,
        Mode::Failure(_) => return Err(ResponseCode::FAILURE),
    })?;
    writer.value(&*state.clear)?;
    writer.value(&*state.reset)?;
    writer.value(&state.origin)?;
    writer.value(&state.launch)?;
    writer.value(&state.shutdown_before)?;
    writer.value(&state.clock)?;
    for timer in &state.timers {
        writer.value(&Maybe(timer.expires_ms))?;
        writer.value(&timer.is_signaled)?;
        writer.value(&timer.preserves_signaled)?;
    }
    save_pcrs(&state.pcrs, writer)?;
    save_sessions(state, writer)?;
    for number in 0..TRANSIENT_OBJECTS {
        let transient = state.transients.get(Handle::TRANSIENT_FIRST.offset(number));
        writer.value(&transient.is_some())?;
        if let Some(transient) = transient {
            writer.value(transient)?;
        }
    }
    Ok(())
}

fn save_pcrs(pcrs: &Pcrs, writer: &mut Writer<'_>) -> Result<()> {
    writer.value(&pcrs.allocation)?;
    for bank in BANKS {
        for index in 0..PCR_COUNT {
            writer.value(pcrs.values.get(bank, index).ok_or(ResponseCode::FAILURE)?)?;
        }
    }
    Ok(())
}

fn save_sessions(state: &State, writer: &mut Writer<'_>) -> Result<()> {
    for (number, active) in state.sessions.active().iter().enumerate() {
        match active {
            Active::Free => writer.value(&FREE)?,
            Active::Saved(counter) => {
                writer.value(&SAVED)?;
                writer.value(counter)?;
            }
            Active::Loaded(_) => {
                writer.value(&LOADED)?;
                let session = state.sessions.by_number(number).ok_or(ResponseCode::FAILURE)?;
                writer.value(session)?;
            }
        }
    }
    writer.value(&Maybe(state.sessions.exclusive))
}

/// Takes the volatile state of a TPM whose records are those in storage, at this time of the
/// machine's clock. On an error the state is useless.
pub fn restore_volatile(state: &mut State, uptime_ms: u64, octets: &[u8]) -> Result<()> {
    let mut reader = Reader::new(octets);
    if reader.value::<u16>()? != RECORD_VERSION {
        return Err(ResponseCode::VALUE);
    }
    let is_operational: bool = reader.value()?;
    *state.clear.change_volatile() = reader.value()?;
    *state.reset.change_volatile() = reader.value()?;
    state.origin = reader.value()?;
    state.launch = reader.value()?;
    state.shutdown_before = reader.value()?;
    state.clock = reader.value()?;
    state.clock.continue_at(uptime_ms);
    for timer in &mut state.timers {
        let expires_ms = reader.value::<Maybe<u64>>()?.0;
        let (is_signaled, preserves_signaled) = (reader.value()?, reader.value()?);
        *timer = Timer { expires_ms, is_signaled, preserves_signaled, is_set: false };
    }
    restore_pcrs(&mut state.pcrs, &mut reader)?;
    restore_sessions(state, &mut reader)?;
    for number in 0..TRANSIENT_OBJECTS {
        if reader.value()? {
            state.transients.put(number, reader.value()?);
        }
    }
    reader.finish()?;
    state.mode = if is_operational { Mode::Operational } else { Mode::Initialized };
    crate::invariant::check(state).map_err(|_| ResponseCode::VALUE)
}

fn restore_pcrs(pcrs: &mut Pcrs, reader: &mut Reader<'_>) -> Result<()> {
    pcrs.allocation = reader.value()?;
    for bank in BANKS {
        for index in 0..PCR_COUNT {
            let value: Digest = reader.value()?;
            if !value.is_empty() && value.len() != bank.digest_size() {
                return Err(ResponseCode::SIZE);
            }
            let values = pcrs.values.change_volatile();
            *values.get_mut(bank, index).ok_or(ResponseCode::FAILURE)? = value;
        }
    }
    Ok(())
}

fn restore_sessions(state: &mut State, reader: &mut Reader<'_>) -> Result<()> {
    for number in 0..ACTIVE_SESSIONS {
        match reader.value()? {
            FREE => {}
            SAVED => state.sessions.restore_saved(number, reader.value()?),
            LOADED => state.sessions.restore_loaded(number, reader.value()?)?,
            _ => return Err(ResponseCode::VALUE),
        }
    }
    state.sessions.exclusive = reader.value::<Maybe<Handle>>()?.0;
    Ok(())
}
