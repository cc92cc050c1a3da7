// SPDX-License-Identifier: MIT OR Apache-2.0
//! Authorisation by a policy (Part 1, 19.7): whether one will do, and what was put off until its
//! use.

use super::Work;
use super::authorise::NvUse;
use crate::command::Role;
use crate::crypto::hash::Digest;
use crate::session::{PolicyAuth, PolicyBinding, Session};
use crate::structure::command_code::CommandCode;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Reader, Result};

impl Work<'_> {
    /// Whether the entity has a policy, and may be used with it for this.
    pub(super) fn accepts_policy(&self, entity: Handle) -> bool {
        let state = &*self.state;
        let has_policy = !state.auth_policy(entity).digest.is_empty();
        match entity.kind() {
            Some(HandleKind::NvIndex) => state.nv.get(entity).is_some_and(|index| {
                let attributes = index.public.attributes;
                has_policy
                    && match NvUse::of(self.command.code) {
                        NvUse::Write => attributes.contains(NvAttributes::POLICY_WRITE),
                        NvUse::Read => attributes.contains(NvAttributes::POLICY_READ),
                        NvUse::Other => true,
                    }
            }),
            Some(HandleKind::Transient | HandleKind::Persistent) => {
                has_policy
                    && state.find_object(entity).is_some_and(|object| object.sensitive.is_some())
            }
            _ => has_policy,
        }
    }

    /// Checks a policy and everything that it put off until its use (Part 1, 19.7).
    pub(super) fn check_policy(
        &mut self,
        session: &Session,
        entity: Handle,
        role: Role,
        parameters: &[u8],
    ) -> Result<()> {
        let policy = &session.policy;
        // TPM2_PolicySecret is about knowing the value (Part 3, 23.4).
        if self.command.code == CommandCode::POLICY_SECRET && policy.auth == PolicyAuth::None {
            return Err(ResponseCode::MODE);
        }
        let wanted = self.state.auth_policy(entity);
        if wanted.algorithm != Some(session.hash) || wanted.digest != policy.digest {
            return Err(ResponseCode::POLICY_FAIL);
        }
        if policy.pcr_counter.is_some_and(|counter| counter != self.state.reset.pcr_counter) {
            return Err(ResponseCode::PCR_CHANGED);
        }
        match policy.command_code {
            Some(code) if code != self.command.code => return Err(ResponseCode::POLICY_CC),
            None if matches!(role, Role::Admin | Role::Dup) => {
                return Err(ResponseCode::POLICY_FAIL);
            }
            _ => {}
        }
        if policy.locality.is_some_and(|allowed| !allowed.allows(self.locality)) {
            return Err(ResponseCode::LOCALITY);
        }
        let is_bound = match &policy.binding {
            PolicyBinding::None => true,
            PolicyBinding::CpHash(wanted) => self.cp_hash(session.hash, parameters)? == *wanted,
            PolicyBinding::NameHash(wanted) => self.name_hash(session.hash)? == *wanted,
            PolicyBinding::ParameterHash(wanted) => {
                self.parameter_hash(session.hash, parameters) == *wanted
            }
            PolicyBinding::TemplateHash(wanted) => {
                template_hash(self.command.code, session, parameters)? == *wanted
            }
        };
        if !is_bound {
            return Err(ResponseCode::POLICY_FAIL);
        }
        if policy.needs_physical_presence && !self.platform.physical_presence() {
            return Err(ResponseCode::PP);
        }
        // No machine has a secure channel to its TPM yet.
        if policy.needs_secure_channel {
            return Err(ResponseCode::CHANNEL);
        }
        self.check_nv_written(policy.nv_written, entity)?;
        match policy.timeout_ms {
            Some(timeout_ms) if self.state.clock.is_over(timeout_ms, session.epoch) => {
                Err(ResponseCode::EXPIRED)
            }
            _ => Ok(()),
        }
    }

    fn check_nv_written(&self, wanted: Option<bool>, entity: Handle) -> Result<()> {
        let Some(wanted) = wanted else { return Ok(()) };
        let index = self.state.nv.get(entity).ok_or(ResponseCode::POLICY_FAIL)?;
        if index.public.attributes.contains(NvAttributes::WRITTEN) != wanted {
            return Err(ResponseCode::POLICY_FAIL);
        }
        Ok(())
    }
}

/// The digest of the template in a command that creates an object; it is the second parameter
/// of TPM2_Create and TPM2_CreatePrimary, and of TPM2_CreateLoaded (Part 3, 23.15).
fn template_hash(code: CommandCode, session: &Session, parameters: &[u8]) -> Result<Digest> {
    if !matches!(
        code,
        CommandCode::CREATE | CommandCode::CREATE_PRIMARY | CommandCode::CREATE_LOADED
    ) {
        return Err(ResponseCode::POLICY_FAIL);
    }
    let mut reader = Reader::new(parameters);
    let any = usize::from(u16::MAX);
    let template = reader.sized(any).and_then(|_| reader.sized(any));
    let template = template.map_err(|_| ResponseCode::POLICY_FAIL)?;
    Ok(session.hash.digest(&[template.rest()]))
}
