// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Clear (Part 3, 24.6): everything of the owner is gone.

use crate::pipeline::Context;
use crate::state::State;
use crate::state::groups::DictionaryAttack;
use crate::state::hierarchy::EntityPolicy;
use crate::state::object::Transient;
use crate::structure::digest::Auth;
use crate::structure::handle::Handle;
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let state = &mut *context.state;
    if state.permanent.is_clear_disabled {
        return Err(ResponseCode::DISABLED);
    }
    state.renew_seed(Handle::OWNER)?;
    state.renew_proof(Handle::OWNER)?;
    state.renew_proof(Handle::ENDORSEMENT)?;
    remove_entities(state);
    clear_authorisations(state);
    clear_counters(state);
    Ok(())
}

/// Objects of the owner and of endorsement, and every NV index that the platform didn't make.
fn remove_entities(state: &mut State) {
    let is_cleared = |hierarchy| matches!(hierarchy, Handle::OWNER | Handle::ENDORSEMENT);
    state.transients.remove_if(|transient| match transient {
        Transient::Object(object) => is_cleared(object.hierarchy),
        Transient::Sequence(_) => false,
    });
    state.persistents.remove_if(|entry| is_cleared(entry.object.hierarchy));
    state.remove_indices(|index| !index.public.attributes.contains(NvAttributes::PLATFORM_CREATE));
}

fn clear_authorisations(state: &mut State) {
    let clear = state.clear.change();
    clear.is_owner_enabled = true;
    clear.is_endorsement_enabled = true;
    clear.pcr_auth = Auth::EMPTY;
    let permanent = state.permanent.change();
    for hierarchy in [&mut permanent.owner, &mut permanent.endorsement] {
        hierarchy.auth = Auth::EMPTY;
        hierarchy.policy = EntityPolicy::default();
    }
    permanent.lockout_auth = Auth::EMPTY;
    permanent.lockout_policy = EntityPolicy::default();
    permanent.dictionary_attack = DictionaryAttack::DEFAULT;
}

fn clear_counters(state: &mut State) {
    state.permanent.change().reset_count = 0;
    let reset = state.reset.change();
    reset.restart_count = 0;
    reset.clear_count = reset.clear_count.saturating_add(1);
    // Policies over PCRs that were satisfied before do not hold any more.
    reset.pcr_counter = reset.pcr_counter.wrapping_add(1);
    state.clock.set(0);
    state.clock.is_safe = true;
    state.orderly.change().clock_ms = 0;
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, LOCKOUT, Machine, OWNER, PLATFORM};

    #[test]
    fn policies_over_pcrs_have_to_be_satisfied_again() {
        let mut machine = Machine::started();
        let before = machine.tpm.state().reset.pcr_counter;
        machine.authorised(0x126, &[LOCKOUT], &[]).unwrap();
        assert_eq!(machine.tpm.state().reset.pcr_counter, before + 1);
    }

    #[test]
    fn only_lockout_and_platform_may() {
        let mut machine = Machine::started();
        let refused = machine.authorised(0x126, &[OWNER], &[]);
        assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        machine.authorised(0x127, &[LOCKOUT], &[1]).unwrap();
        assert_eq!(machine.authorised(0x126, &[LOCKOUT], &[]), Err(ResponseCode::DISABLED));
        assert_eq!(machine.authorised(0x126, &[PLATFORM], &[]), Err(ResponseCode::DISABLED));
    }

    #[test]
    fn values_and_counts_are_gone() {
        let mut machine = Machine::started();
        machine.authorised(0x129, &[OWNER], &[0, 1, 7]).unwrap();
        machine.authorised(0x129, &[ENDORSEMENT], &[0, 1, 7]).unwrap();
        machine.authorised(0x129, &[LOCKOUT], &[0, 1, 7]).unwrap();
        let seed = machine.tpm.state().permanent.owner.seed.clone();
        let endorsement = machine.tpm.state().permanent.endorsement.seed.clone();
        machine.platform.uptime_ms += 1_000_000;
        assert_eq!(machine.with_password(0x126, &[LOCKOUT], &[7], &[]), Ok(std::vec![]));
        assert_eq!(machine.authorised(0x129, &[OWNER], &[0, 0]), Ok(std::vec![]));
        assert_eq!(machine.authorised(0x129, &[ENDORSEMENT], &[0, 0]), Ok(std::vec![]));
        assert_eq!(machine.authorised(0x129, &[LOCKOUT], &[0, 0]), Ok(std::vec![]));
        assert!(machine.tpm.state().permanent.owner.seed != seed);
        assert!(machine.tpm.state().permanent.endorsement.seed == endorsement);
        machine.authorised(0x183, &[20], &[0, 1, 7]).unwrap();
        machine.authorised(0x126, &[LOCKOUT], &[]).unwrap();
        assert_eq!(machine.authorised(0x183, &[20], &[0, 0]), Ok(std::vec![]), "PCRs");
        let clock = machine.command(0x181, &[]).unwrap();
        assert_eq!(clock[8..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
