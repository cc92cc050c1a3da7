// SPDX-License-Identifier: MIT OR Apache-2.0
//! Audit of sessions (Part 1, 20) and of commands (Part 1, 31.3).

use super::area::SessionUses;
use super::{Work, hash};
use crate::command::Command;
use crate::command::Traits;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::state::State;
use crate::structure::attributes::SessionAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// The cpHashes that are needed after the action, taken before the first parameter is decrypted.
#[derive(Debug, Default)]
pub(super) struct Audits {
    session: Option<Digest>,
    /// With the algorithm, which the command may change.
    command: Option<(HashAlgorithm, Digest)>,
}

impl Work<'_> {
    /// Takes the cpHashes of the audits.
    pub(super) fn prepare_audits(&self, parameters: &[u8]) -> Result<Audits> {
        let mut audits = Audits::default();
        if let Some(session_use) = self.sessions.audit() {
            let session = self.state.sessions.get(session_use.handle);
            let algorithm = session.ok_or(ResponseCode::FAILURE)?.hash;
            audits.session = Some(self.cp_hash(algorithm, parameters)?);
        }
        let audit = &self.state.permanent.audit;
        if audit.audits(self.command.code) {
            let cp_hash = self.cp_hash(audit.algorithm, parameters)?;
            audits.command = Some((audit.algorithm, cp_hash));
        }
        Ok(audits)
    }
}

impl Audits {
    /// Extends the audit digests with a command that succeeded.
    pub(super) fn record(
        &self,
        state: &mut State,
        command: &Command,
        sessions: &SessionUses,
        parameters: &[u8],
    ) -> Result<()> {
        self.record_session(state, command, sessions, parameters)?;
        let audit = &state.permanent.audit;
        // The algorithm may have changed under a TPM2_SetCommandCodeAuditStatus: it says which
        // digest begins, and is itself not audited then.
        if let Some((algorithm, cp_hash)) = self.command
            && audit.audits(command.code)
            && audit.algorithm == algorithm
        {
            let rp_hash = hash::rp_hash(algorithm, command.code, parameters);
            let mut digest = state.reset.command_audit_digest;
            if digest.is_empty() {
                digest = Digest::zero(algorithm);
                let counter = state.permanent.audit.counter.saturating_add(1);
                state.permanent.change().audit.counter = counter;
            }
            state.reset.change().command_audit_digest =
                algorithm.digest(&[&digest, &cp_hash, &rp_hash]);
        }
        Ok(())
    }

    fn record_session(
        &self,
        state: &mut State,
        command: &Command,
        sessions: &SessionUses,
        parameters: &[u8],
    ) -> Result<()> {
        let (Some(cp_hash), Some(session_use)) = (&self.session, sessions.audit()) else {
            // A command that could have been audited and wasn't ends exclusivity.
            if !command.traits.contains(Traits::NO_SESSIONS) {
                state.sessions.exclusive = None;
            }
            return Ok(());
        };
        // The command may have ended the session.
        let Some(session) = state.sessions.get_mut(session_use.handle) else { return Ok(()) };
        let is_first = session.audit.is_none()
            || session_use.attributes.contains(SessionAttributes::AUDIT_RESET);
        let digest = session.audit.filter(|_| !is_first);
        let digest = digest.unwrap_or_else(|| Digest::zero(session.hash));
        let rp_hash = hash::rp_hash(session.hash, command.code, parameters);
        session.audit = Some(session.hash.digest(&[&digest, cp_hash, &rp_hash]));
        // A session that audits is bound to nothing any more: where the reference implementation
        // remembers the entity, it then has the digest, and clients count on it.
        session.bound = None;
        if is_first {
            state.sessions.exclusive = Some(session_use.handle);
        } else if state.sessions.exclusive != Some(session_use.handle) {
            state.sessions.exclusive = None;
        }
        Ok(())
    }
}
