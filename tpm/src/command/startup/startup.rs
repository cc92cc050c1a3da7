// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Startup (Part 3, 9.3): TPM Reset, Restart or Resume.

use super::shutdown::StartupType;
use crate::pipeline::Context;
use crate::state::groups::{Shutdown, StateClear, StateReset};
use crate::state::pcr::{PcrValues, pcr_attributes};
use crate::state::{Mode, NvStart, State, restore_saved};
use crate::structure::handle::Handle;
use crate::structure::pcr_selection::PCR_COUNT;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// What a TPM2_Startup is, by what TPM2_Shutdown there was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Startup(CLEAR) without Shutdown(STATE).
    Reset,
    /// Startup(CLEAR) after Shutdown(STATE).
    Restart,
    /// Startup(STATE) after Shutdown(STATE).
    Resume,
}

/// startupType.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (startup_type,): (StartupType,) = parameters.read()?;
    if !matches!(context.locality, 0 | 3) {
        return Err(ResponseCode::LOCALITY);
    }
    let shutdown = context.state.orderly.shutdown;
    let origin = context.state.origin_at(context.locality);
    let start = match (startup_type, shutdown) {
        (StartupType::State, Shutdown::State) => {
            restore_saved(context.state, context.platform, Some(origin))?;
            Start::Resume
        }
        // CVE-2018-6622: without a matching shutdown there is no state to resume.
        (StartupType::State, _) => return Err(ResponseCode::VALUE.in_parameter(1)),
        (StartupType::Clear, Shutdown::State) => {
            // What was saved and cannot be read is lost, as if there had been no shutdown.
            match restore_saved(context.state, context.platform, None) {
                Ok(()) => Start::Restart,
                Err(_) => Start::Reset,
            }
        }
        (StartupType::Clear, _) => Start::Reset,
    };
    begin(context.state, start)?;
    note_loss_of_power(context.state, shutdown);
    if start != Start::Resume {
        *context.state.clear.change() = StateClear::INITIAL;
    }
    // phEnable is set by every Startup.
    context.state.clear.change().is_platform_enabled = true;
    context.state.origin = origin;
    start_pcrs(context.state, start);
    let nv_start = match start {
        Start::Reset => NvStart::Reset,
        Start::Restart => NvStart::Restart,
        Start::Resume => NvStart::Resume,
    };
    context.state.start_nv(nv_start, shutdown);
    context.state.shutdown_before = shutdown;
    context.state.orderly.change().shutdown = Shutdown::None;
    context.state.mode = Mode::Operational;
    Ok(())
}

/// Counts the start, and makes what a TPM Reset makes anew.
fn begin(state: &mut State, start: Start) -> Result<()> {
    if start != Start::Reset {
        let restart_count = state.reset.restart_count.saturating_add(1);
        state.reset.change().restart_count = restart_count;
        if start == Start::Restart {
            state.reset.change().clear_count = state.reset.clear_count.saturating_add(1);
        }
        return Ok(());
    }
    state.sessions.clear();
    *state.reset.change() = StateReset::EMPTY;
    state.renew_seed(Handle::NULL)?;
    state.renew_proof(Handle::NULL)?;
    let mut random = crate::state::hierarchy::Seed::zeroed(crate::state::hierarchy::SEED_SIZE)?;
    state.fill_random(random.as_mut_slice())?;
    state.reset.change().commit.random = random;
    let permanent = state.permanent.change();
    permanent.reset_count = permanent.reset_count.saturating_add(1);
    permanent.total_reset_count = permanent.total_reset_count.saturating_add(1);
    Ok(())
}

/// What a loss of power without TPM2_Shutdown means for Clock and failed authorisations.
fn note_loss_of_power(state: &mut State, shutdown: Shutdown) {
    let is_orderly = matches!(shutdown, Shutdown::Clear | Shutdown::State);
    state.clock.is_safe = is_orderly && state.orderly.is_clock_safe;
    let attack = state.permanent.dictionary_attack;
    let may_count = attack.recovery_time_s != 0 && attack.failed_tries < attack.max_tries;
    if shutdown == Shutdown::NoneAfterDaUse && may_count {
        // Otherwise pulling the plug would undo failed tries.
        let failed_tries = attack.failed_tries.saturating_add(1);
        state.permanent.change().dictionary_attack.failed_tries = failed_tries;
    }
    if attack.lockout_recovery_s == 0 && !attack.is_lockout_auth_enabled {
        state.permanent.change().dictionary_attack.is_lockout_auth_enabled = true;
    }
}

fn start_pcrs(state: &mut State, start: Start) {
    if start != Start::Resume {
        *state.pcrs.values.change() = PcrValues::EMPTY;
    }
    state.pcrs.allocation = state.permanent.pcr_allocation;
    state.pcrs.is_allocated_anew = false;
    for index in 0..PCR_COUNT {
        let attributes = pcr_attributes(index);
        if start != Start::Resume || !attributes.is_saved {
            state.pcrs.fill(index, if attributes.is_drtm { 0xff } else { 0 });
        }
    }
    if start != Start::Resume {
        state.start_static_pcr();
    }
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL, PLATFORM};

    const CLEAR: &[u8] = &[0, 0];
    const STATE: &[u8] = &[0, 1];

    #[test]
    fn refuses_what_is_no_start() {
        let mut machine = Machine::powered();
        let start = |machine: &mut Machine, bytes: &[u8]| machine.command(0x144, bytes);
        assert_eq!(start(&mut machine, &[0, 2]), Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(start(&mut machine, &[0]), Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
        assert_eq!(start(&mut machine, &[0, 0, 0]), Err(ResponseCode::SIZE));
        machine.locality = 1;
        assert_eq!(start(&mut machine, CLEAR), Err(ResponseCode::LOCALITY));
        machine.locality = 0;
        assert_eq!(start(&mut machine, CLEAR), Ok(std::vec![]));
        assert_eq!(start(&mut machine, CLEAR), Err(ResponseCode::INITIALIZE));
    }

    #[test]
    fn nothing_else_is_accepted_before() {
        let mut machine = Machine::powered();
        assert_eq!(machine.command(0x17b, &[0, 4]), Err(ResponseCode::INITIALIZE));
    }

    /// CVE-2018-6622.
    #[test]
    fn cve_2018_6622_no_resume_without_a_matching_shutdown() {
        let mut machine = Machine::started();
        machine.power_cycle();
        assert_eq!(machine.command(0x144, STATE), Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(machine.command(0x144, CLEAR), Ok(std::vec![]));
        machine.command(0x145, CLEAR).unwrap();
        machine.power_cycle();
        assert_eq!(machine.command(0x144, STATE), Err(ResponseCode::VALUE.in_parameter(1)));
    }

    #[test]
    fn a_change_after_the_shutdown_makes_it_useless() {
        let mut machine = Machine::started();
        machine.command(0x145, STATE).unwrap();
        machine.extend_pcr(5, &[7; 32]);
        machine.power_cycle();
        assert_eq!(machine.command(0x144, STATE), Err(ResponseCode::VALUE.in_parameter(1)));
    }

    #[test]
    fn a_resume_keeps_pcrs_and_a_restart_does_not() {
        let mut machine = Machine::started();
        machine.extend_pcr(5, &[7; 32]);
        machine.extend_pcr(16, &[7; 32]);
        let before = (machine.read_pcr(5), machine.read_pcr(16));
        machine.command(0x145, STATE).unwrap();
        machine.power_cycle();
        machine.command(0x144, STATE).unwrap();
        assert_eq!(machine.read_pcr(5), before.0);
        assert_eq!(machine.read_pcr(16), [0; 32]);
        assert_ne!(before.1, [0; 32]);
        machine.command(0x145, STATE).unwrap();
        machine.power_cycle();
        machine.command(0x144, CLEAR).unwrap();
        assert_eq!(machine.read_pcr(5), [0; 32]);
        assert_eq!(machine.tpm.state().reset.restart_count, 2);
    }

    /// Linux tells by the key of the NULL hierarchy whether its TPM was reset behind its back.
    #[test]
    fn only_a_reset_makes_another_null_seed() {
        let mut machine = Machine::started();
        let mut name_after = |shutdown: Option<&[u8]>, startup: &[u8]| {
            if let Some(shutdown) = shutdown {
                machine.command(0x145, shutdown).unwrap();
            }
            machine.power_cycle();
            machine.command(0x144, startup).unwrap();
            let template = body(b"", b"", &storage_key());
            machine.authorised(0x131, &[NULL], &template).unwrap();
            let public = machine.command(0x173, &[0x80, 0, 0, 0]).unwrap();
            machine.command(0x165, &[0x80, 0, 0, 0]).unwrap();
            public
        };
        let first = name_after(None, CLEAR);
        assert_eq!(name_after(Some(STATE), STATE), first, "Resume");
        assert_eq!(name_after(Some(STATE), CLEAR), first, "Restart");
        let second = name_after(Some(CLEAR), CLEAR);
        assert_ne!(second, first, "Reset");
        assert_ne!(name_after(None, CLEAR), second, "Reset without a shutdown");
    }

    #[test]
    fn locality_three_shows_in_pcr_zero() {
        let mut machine = Machine::powered();
        machine.locality = 3;
        machine.command(0x144, CLEAR).unwrap();
        let mut expected = [0; 32];
        expected[31] = 3;
        assert_eq!(machine.read_pcr(0), expected);
    }

    #[test]
    fn a_partial_allocation_survives_a_resume() {
        let mut machine = Machine::started();
        // SHA-256 has the first eight PCRs only.
        let allocation = [0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0, 0];
        machine.authorised(0x12b, &[PLATFORM], &allocation).unwrap();
        assert_eq!(machine.command(0x145, STATE), Err(ResponseCode::TYPE.in_parameter(1)));
        machine.power_cycle();
        machine.command(0x144, CLEAR).unwrap();
        machine.extend_pcr(7, &[1; 32]);
        let value = machine.read_pcr(7);
        machine.command(0x145, STATE).unwrap();
        // Another process: nothing is left in memory.
        *machine.tpm = crate::Tpm::new();
        machine.power_cycle();
        machine.command(0x144, STATE).unwrap();
        assert_eq!(machine.read_pcr(7), value);
        assert!(machine.tpm.state().pcrs.value(HashAlgorithm::Sha256, 8).is_none());
    }

    #[test]
    fn an_allocation_makes_a_saved_state_useless() {
        let mut machine = Machine::started();
        machine.command(0x145, STATE).unwrap();
        let allocation = [0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0xff, 0xff];
        machine.authorised(0x12b, &[PLATFORM], &allocation).unwrap();
        machine.power_cycle();
        assert_eq!(machine.command(0x144, STATE), Err(ResponseCode::VALUE.in_parameter(1)));
        machine.command(0x144, CLEAR).unwrap();
    }
}
