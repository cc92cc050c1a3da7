// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the vTPM's state outlives the machine, isn't older than one that was seen, and who gets
//! its key.

use crate::{
    manifest::{FreshnessRoot, Manifest, State, StateBinding},
    reference::Reference,
    verdict::{Reason, Refused, Verdict},
};

/// Whether the state is as fresh as it must be; its place in history, if it has one.
pub(crate) fn check(
    verdict: &mut Verdict,
    manifest: &Manifest,
    reference: &Reference,
) -> Option<FreshnessRoot> {
    let must_persist = reference.persistent_state
        || reference.last_seen.is_some()
        || reference.state_binding.is_some();
    let state = manifest.details.map(|details| details.state);
    let binding = manifest.details.and_then(|details| details.firmware.options.state_binding());
    match state {
        None if !must_persist => {
            verdict.not_asked("state", "manifest version 0 doesn't tell");
            None
        }
        Some(State::Ephemeral) if !must_persist => {
            verdict.require("state", Ok("ephemeral: made anew at every start".to_owned()));
            None
        }
        None | Some(State::Ephemeral) => {
            let detail = "the manifest tells of no persistent state";
            verdict.require("state", Err(Refused::new(Reason::StateEphemeral, detail)));
            None
        }
        Some(State::Persistent(now)) => {
            let checked = check_freshness(&now, reference.last_seen.as_ref());
            let checked = checked.and_then(|place| {
                let key = check_binding(binding, reference.state_binding)?;
                Ok((now, format!("{place}; {key}")))
            });
            verdict.check("state", checked)
        }
    }
}

fn check_freshness(now: &FreshnessRoot, seen: Option<&FreshnessRoot>) -> Result<String, Refused> {
    let place = |root: &FreshnessRoot| format!("epoch {}, sequence {}", root.epoch, root.sequence);
    let Some(seen) = seen else {
        return Ok(format!("{}; nothing older to compare with", place(now)));
    };
    // Both numbers only grow, and every opening takes a place in the sequence.
    if now.sequence < seen.sequence || now.epoch < seen.epoch {
        let detail = format!("{}, but {} was seen", place(now), place(seen));
        return Err(Refused::new(Reason::StateRolledBack, detail));
    }
    if now.sequence == seen.sequence && now != seen {
        let detail = format!("{} with another history than the one seen", place(now));
        return Err(Refused::new(Reason::StateForked, detail));
    }
    Ok(format!("{}, not older than {}", place(now), place(seen)))
}

fn check_binding(
    told: Option<StateBinding>,
    wanted: Option<StateBinding>,
) -> Result<&'static str, Refused> {
    let text = match told {
        None => "it isn't told who gets its key",
        Some(StateBinding::Signer) => "its key is for the signer's images",
        Some(StateBinding::Image) => "its key is for this very image",
        Some(StateBinding::Owner) => "its key is for whom its owner gives it",
    };
    if wanted.is_some() && wanted != told {
        return Err(Refused::new(Reason::StateBinding, text));
    }
    Ok(text)
}
