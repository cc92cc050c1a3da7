// SPDX-License-Identifier: MIT OR Apache-2.0
//! What TPM2_PolicySigned, TPM2_PolicySecret and TPM2_PolicyTicket have in common (Part 3, 23.2):
//! an approval that may be limited in time and to one command, and a ticket that stands for it.

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::{PolicyBinding, Session, SessionKind};
use crate::state::State;
use crate::structure::command_code::CommandCode;
use crate::structure::digest::{Name, Nonce};
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::tag::StructureTag;
use crate::structure::ticket::Ticket;
use crate::wire::{Result, Writer};

const MS_PER_S: u64 = 1000;
/// The bit of a ticket's timeout that says that the approval was not bound to a session.
const WITHOUT_NONCE: u64 = 1 << 63;

/// An approval as TPM2_PolicySigned and TPM2_PolicySecret get it.
pub(super) struct Approval {
    pub(super) nonce_tpm: Nonce,
    pub(super) cp_hash: Digest,
    pub(super) policy_ref: Nonce,
    /// Seconds; negative ones ask for a ticket.
    pub(super) expiration_s: i32,
    /// Each such approval is counted, so that no ticket may stand for it.
    pub(super) is_counted: bool,
}

/// The numbers of the parameters that can be wrong.
#[derive(Clone, Copy)]
pub(super) struct Places {
    pub(super) nonce: u8,
    pub(super) cp_hash: u8,
    pub(super) expiration: u8,
}

impl Approval {
    /// When it expires, in TPM time: seconds from the start of the session if the approval is
    /// bound to it by its nonce, seconds of TPM time otherwise; zero is never.
    pub(super) fn timeout_ms(&self, session: &Session, now_ms: u64) -> u64 {
        let length_ms = u64::from(self.expiration_s.unsigned_abs()).saturating_mul(MS_PER_S);
        if self.expiration_s == 0 {
            0
        } else if self.nonce_tpm.is_empty() {
            length_ms.saturating_add(now_ms % MS_PER_S)
        } else {
            session.started_ms.saturating_add(length_ms)
        }
    }

    /// Checks an approval for a session that is no trial.
    pub(super) fn check(
        &self,
        state: &State,
        session: &Session,
        timeout_ms: u64,
        places: Places,
    ) -> Result<()> {
        if !self.nonce_tpm.is_empty() && self.nonce_tpm != session.nonce_tpm {
            return Err(ResponseCode::NONCE.in_parameter(places.nonce));
        }
        check_limits(state, session, timeout_ms, &self.cp_hash, places)
    }

    /// Adds the approval of an entity to the policy, and writes timeout and ticket.
    pub(super) fn grant(
        &self,
        context: &mut Context<'_>,
        session: Handle,
        code: CommandCode,
        entity: (&Name, Handle),
        response: &mut Writer<'_>,
    ) -> Result<()> {
        let (entity_name, hierarchy) = entity;
        let state = &mut *context.state;
        let now_ms = state.clock.time_ms();
        let kind = state.sessions.policy_mut(session)?.kind;
        let timeout_ms = self.timeout_ms(state.sessions.policy_mut(session)?, now_ms);
        let limits = Limits { cp_hash: &self.cp_hash, timeout_ms };
        add(state, session, code, entity_name, &self.policy_ref, limits)?;
        let tag = ticket_tag(code);
        if self.expiration_s < 0 && kind != SessionKind::Trial && !self.is_counted {
            let is_unbound = self.nonce_tpm.is_empty();
            let timeout = if is_unbound { timeout_ms | WITHOUT_NONCE } else { timeout_ms };
            let ticket = ticket(
                state,
                tag,
                hierarchy,
                timeout,
                (&self.cp_hash, &self.policy_ref, entity_name),
            )?;
            response.sized_value(&timeout)?;
            response.value(&ticket)
        } else {
            response.sized_bytes(&[])?;
            response.value(&Ticket::null(tag))
        }
    }
}

/// The tag of the ticket of each of the two commands.
pub(super) const fn ticket_tag(code: CommandCode) -> StructureTag {
    match code {
        CommandCode::POLICY_SIGNED => StructureTag::AuthSigned,
        _ => StructureTag::AuthSecret,
    }
}

/// TPM_RC_EXPIRED, TPM_RC_SIZE or TPM_RC_CPHASH for limits that cannot be.
pub(super) fn check_limits(
    state: &State,
    session: &Session,
    timeout_ms: u64,
    cp_hash: &Digest,
    places: Places,
) -> Result<()> {
    if timeout_ms != 0 && state.clock.is_over(timeout_ms, session.epoch) {
        return Err(ResponseCode::EXPIRED.in_parameter(places.expiration));
    }
    if !cp_hash.is_empty() {
        if cp_hash.len() != session.hash.digest_size() {
            return Err(ResponseCode::SIZE.in_parameter(places.cp_hash));
        }
        let binding = PolicyBinding::CpHash(*cp_hash);
        if session.policy.binding != PolicyBinding::None && session.policy.binding != binding {
            return Err(ResponseCode::CPHASH);
        }
    }
    Ok(())
}

/// What an approval is limited to.
#[derive(Clone, Copy)]
pub(super) struct Limits<'a> {
    pub(super) cp_hash: &'a Digest,
    pub(super) timeout_ms: u64,
}

/// Adds an approval to the policy.
pub(super) fn add(
    state: &mut State,
    session: Handle,
    code: CommandCode,
    entity_name: &Name,
    policy_ref: &Nonce,
    limits: Limits<'_>,
) -> Result<()> {
    let session = state.sessions.policy_mut(session)?;
    let hash = session.hash;
    if session.kind != SessionKind::Trial {
        if !limits.cp_hash.is_empty() {
            session.policy.bind(PolicyBinding::CpHash(*limits.cp_hash))?;
        }
        if limits.timeout_ms != 0 {
            session.policy.limit_timeout(limits.timeout_ms);
        }
    }
    session.policy.update(hash, code, entity_name, policy_ref);
    Ok(())
}

/// The ticket of an approval. The epoch is part of it: TPM time means nothing in another one.
fn ticket(
    state: &State,
    tag: StructureTag,
    hierarchy: Handle,
    timeout: u64,
    parts: (&Digest, &Nonce, &Name),
) -> Result<Ticket> {
    let mut buffer = [0; TICKET_CONTENT_SIZE_MAX];
    let mut writer = Writer::new(&mut buffer);
    write_content(state, &mut writer, timeout, parts)?;
    Ok(state.ticket(tag, hierarchy, &[writer.written()]))
}

const TICKET_CONTENT_SIZE_MAX: usize = 8 + 4 + 3 * (2 + 66);

fn write_content(
    state: &State,
    writer: &mut Writer<'_>,
    timeout: u64,
    (cp_hash, policy_ref, entity_name): (&Digest, &Nonce, &Name),
) -> Result<()> {
    writer.value(&timeout)?;
    writer.value(&state.clock.epoch)?;
    writer.value(cp_hash)?;
    writer.value(policy_ref)?;
    writer.value(entity_name)
}

/// Whether a ticket says this; and when it then expires.
pub(super) fn check_ticket(
    state: &State,
    given: &Ticket,
    timeout: u64,
    parts: (&Digest, &Nonce, &Name),
) -> Result<()> {
    let mut buffer = [0; TICKET_CONTENT_SIZE_MAX];
    let mut writer = Writer::new(&mut buffer);
    write_content(state, &mut writer, timeout, parts)?;
    if state.is_ticket(given, &[writer.written()]) { Ok(()) } else { Err(ResponseCode::TICKET) }
}

/// The TPM time in a ticket's timeout.
pub(super) const fn timeout_of(timeout: u64) -> u64 {
    timeout & !WITHOUT_NONCE
}
