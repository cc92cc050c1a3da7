// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two TPMs get the same steps; what they answer is compared as far as it must be the same.

use std::collections::BTreeSet;

use tpm::structure::command_code::CommandCode;

use crate::choices::Choices;
use crate::generator::Generator;
use crate::layout::{self, Field};
use crate::side::{Outcome, Side};
use crate::step::{Action, Command, Handle, Step, StepId};
use crate::transport::Transport;

/// TPM_RC_FAILURE.
const FAILURE: u32 = 0x101;
/// TPM_RC_AUTH_FAIL and TPM_RC_BAD_AUTH of a session, whichever it is.
const AUTH_FAIL: u32 = 0x88e;
const BAD_AUTH: u32 = 0x8a2;
const FORMAT_ONE_MASK: u32 = 0x8bf;

/// A difference between two TPMs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Where.
    pub step: StepId,
    /// The command's name.
    pub command: String,
    /// What this engine answered.
    pub ours: String,
    /// What the other TPM answered.
    pub theirs: String,
    /// What exactly differs, when both succeeded.
    pub detail: String,
}

impl Divergence {
    /// Whether both are the same kind of divergence.
    pub fn is_like(&self, other: &Self) -> bool {
        self.command == other.command && self.ours == other.ours && self.theirs == other.theirs
    }

    /// Whether both TPMs refused the command for a reason that leaves their states alike. A wrong
    /// authorisation value counts; a TPM that failed for good says nothing any more.
    pub fn is_about_reasons(&self) -> bool {
        let code = |answer: &str| {
            let digits = answer.strip_prefix("0x")?;
            u32::from_str_radix(digits, 16).ok()
        };
        let (Some(ours), Some(theirs)) = (code(&self.ours), code(&self.theirs)) else {
            return false;
        };
        let counts = |code| matches!(code & FORMAT_ONE_MASK, AUTH_FAIL | BAD_AUTH);
        theirs != FAILURE && counts(ours) == counts(theirs)
    }
}

/// Two TPMs side by side.
pub struct Pair<A, B> {
    ours: Side<A>,
    theirs: Side<B>,
    /// Steps whose results differ from one TPM to the other by their nature.
    tainted: BTreeSet<StepId>,
}

impl<A: Transport, B: Transport> Pair<A, B> {
    /// Two new TPMs.
    pub fn new(ours: A, theirs: B) -> Self {
        let (ours, theirs) = (Side::new(ours), Side::new(theirs));
        Self { ours, theirs, tainted: BTreeSet::new() }
    }

    /// Both do a step: what came of it here, and the difference if there is one.
    pub fn perform(&mut self, step: &Step) -> (Outcome, Option<Divergence>) {
        let ours = self.ours.perform(step);
        let theirs = self.theirs.perform(step);
        let Action::Command(command) = &step.action else { return (ours, None) };
        let is_tainted = self.taint(step.id, command);
        let divergence = compare(step.id, command, is_tainted, &ours, &theirs);
        (ours, divergence)
    }

    /// Whether the command uses something that differs from one TPM to the other; remembers it
    /// for what comes of it.
    fn taint(&mut self, step: StepId, command: &Command) -> bool {
        let is_persistent =
            |handle: &Handle| matches!(handle, Handle::Fixed(0x8100_0000..=0x81ff_ffff));
        let is_known = |used: StepId| self.tainted.contains(&used);
        let handles_are =
            command.handle_references().any(is_known) || command.handles.iter().any(is_persistent);
        let is_tainted = match command.code {
            // Nonces differ always, and are never shown.
            CommandCode::START_AUTH_SESSION => false,
            // Signature and nonce say nothing but that they are right.
            CommandCode::POLICY_SIGNED
            | CommandCode::POLICY_SECRET
            | CommandCode::VERIFY_SIGNATURE => handles_are,
            _ => handles_are || command.shows_nonce() || command.body_references().any(is_known),
        };
        let makes_keys = matches!(
            command.code,
            CommandCode::CREATE_PRIMARY
                | CommandCode::CREATE
                | CommandCode::CREATE_LOADED
                | CommandCode::IMPORT
                | CommandCode::MAKE_CREDENTIAL
                | CommandCode::RSA_ENCRYPT
                | CommandCode::ECDH_KEY_GEN
                | CommandCode::EC_EPHEMERAL
                | CommandCode::COMMIT
                | CommandCode::DUPLICATE
                | CommandCode::REWRAP
                | CommandCode::SIGN
        );
        if is_tainted || makes_keys {
            self.tainted.insert(step);
        }
        // A policy's digest has the Names of what was asked.
        if is_tainted && command.code.name().starts_with("Policy") {
            for handle in &command.handles {
                if let Handle::Of(session) = handle {
                    self.tainted.insert(*session);
                }
            }
        }
        is_tainted
    }
}

fn answer(outcome: &Outcome) -> String {
    if outcome.code == 0 { "ok".to_string() } else { format!("{:#05x}", outcome.code) }
}

fn compare(
    step: StepId,
    command: &Command,
    is_tainted: bool,
    ours: &Outcome,
    theirs: &Outcome,
) -> Option<Divergence> {
    let name = match command.code.name() {
        "?" => format!("{:#x}", command.code.0),
        name => name.to_string(),
    };
    let divergence = |ours: String, theirs: String, detail: String| {
        Some(Divergence { step, command: name, ours, theirs, detail })
    };
    if ours.code != theirs.code {
        return divergence(answer(ours), answer(theirs), String::new());
    }
    if ours.code != 0 {
        return None;
    }
    let field = || "field".to_string();
    if ours.handle != theirs.handle {
        let detail = format!("handle {:x?} / {:x?}", ours.handle, theirs.handle);
        return divergence("handle".to_string(), field(), detail);
    }
    if ours.sessions != theirs.sessions {
        let detail = format!("sessions {:x?} / {:x?}", ours.sessions, theirs.sessions);
        return divergence("sessions".to_string(), field(), detail);
    }
    let our_parts = layout::split(command.code, &ours.parameters);
    let their_parts = layout::split(command.code, &theirs.parameters);
    let fields = layout::fields(command.code);
    if our_parts.len() != their_parts.len() {
        let detail = format!("{our_parts:02x?} / {their_parts:02x?}");
        return divergence("fields".to_string(), field(), detail);
    }
    for (place, (our, their)) in our_parts.iter().zip(&their_parts).enumerate() {
        let kind = fields.get(place).copied().unwrap_or(Field::Rest);
        if !layout::agree(kind, is_tainted, our, their) {
            let detail = format!("field {place}: {our:02x?} / {their:02x?}");
            return divergence(format!("field{place}"), field(), detail);
        }
    }
    None
}

/// What came of an episode.
#[derive(Clone, Debug, Default)]
pub struct Episode {
    /// The steps that were done.
    pub steps: Vec<Step>,
    /// Their outcomes here: the response codes.
    pub codes: Vec<u32>,
    /// What differed, in order; at most one that isn't about reasons, and that one is the last.
    pub divergences: Vec<Divergence>,
}

/// An episode of at most `length` steps. It ends early when the TPMs' states may differ.
pub fn episode<A: Transport, B: Transport>(
    pair: &mut Pair<A, B>,
    choices: Choices<'_>,
    length: usize,
) -> Episode {
    let mut generator = Generator::for_both(choices);
    let mut episode = Episode::default();
    for _ in 0..length {
        let step = generator.next_step();
        let (outcome, divergence) = pair.perform(&step);
        generator.observe(&step, &outcome);
        episode.steps.push(step);
        episode.codes.push(outcome.code);
        if let Some(divergence) = divergence {
            let may_go_on = divergence.is_about_reasons();
            episode.divergences.push(divergence);
            if !may_go_on {
                break;
            }
        }
    }
    episode
}
