// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every entity has, whatever its kind: a Name, an authorisation value and a policy
//! (Part 1, 11.5 and 16).

use super::State;
use super::hierarchy::{EntityPolicy, Hierarchy, Seed};
use super::object::{Object, Sequence, Transient};
use super::pcr::pcr_attributes;
use crate::structure::attributes::ObjectAttributes;
use crate::structure::digest::{Auth, Name};
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// The policy of an entity.
pub type AuthPolicy = EntityPolicy;

impl State {
    /// The object with this handle, transient or persistent; a sequence is none.
    pub fn find_object(&self, handle: Handle) -> Option<&Object> {
        match handle.kind()? {
            HandleKind::Persistent => self.persistents.get(handle),
            _ => match self.transients.get(handle)? {
                Transient::Object(object) => Some(object),
                Transient::Sequence(_) => None,
            },
        }
    }

    /// The object with this handle. A sequence where an object is wanted is TPM_RC_SEQUENCE;
    /// nothing at all cannot be, since the pipeline has resolved the handle.
    pub fn object(&self, handle: Handle) -> Result<&Object> {
        if let Some(Transient::Sequence(_)) = self.transients.get(handle) {
            return Err(ResponseCode::SEQUENCE);
        }
        self.find_object(handle).ok_or(ResponseCode::HANDLE)
    }

    /// The sequence with this handle; an object where a sequence is wanted is TPM_RC_MODE.
    pub fn sequence_mut(&mut self, handle: Handle) -> Result<&mut Sequence> {
        match self.transients.get_mut(handle) {
            Some(Transient::Sequence(sequence)) => Ok(sequence),
            _ => Err(ResponseCode::MODE),
        }
    }

    /// The lasting part of a hierarchy; `None` for TPM_RH_NULL and everything else.
    pub fn hierarchy(&self, handle: Handle) -> Option<&Hierarchy> {
        match handle {
            Handle::OWNER => Some(&self.permanent.owner),
            Handle::ENDORSEMENT => Some(&self.permanent.endorsement),
            Handle::PLATFORM => Some(&self.permanent.platform),
            _ => None,
        }
    }

    /// The proof of a hierarchy; that of the NULL hierarchy for anything else.
    pub fn proof(&self, hierarchy: Handle) -> &Seed {
        self.hierarchy(hierarchy).map_or(&self.reset.null_proof, |found| &found.proof)
    }

    /// The primary seed of a hierarchy; that of the NULL hierarchy for anything else.
    pub fn primary_seed(&self, hierarchy: Handle) -> &Seed {
        self.hierarchy(hierarchy).map_or(&self.reset.null_seed, |found| &found.seed)
    }

    /// The Name: of an object or NV index the digest of its public area, of a sequence nothing, of
    /// anything else its handle.
    pub fn name(&self, handle: Handle) -> Result<Name> {
        match handle.kind() {
            Some(HandleKind::Transient | HandleKind::Persistent) => {
                Ok(self.find_object(handle).map_or(Name::EMPTY, |object| object.name.clone()))
            }
            Some(HandleKind::NvIndex) => match self.nv.get(handle) {
                Some(index) => index.public.name(),
                None => Ok(Name::EMPTY),
            },
            _ => Name::new(&handle.0.to_be_bytes()),
        }
    }

    /// The authorisation value, without trailing zeros. `None` when there is no such entity, or
    /// when it has no sensitive part.
    pub fn auth_value(&self, handle: Handle) -> Option<&Auth> {
        const NONE: &Auth = &Auth::EMPTY;
        match handle.kind()? {
            HandleKind::Pcr => Some(if pcr_attributes(handle.index()).has_auth {
                &self.clear.pcr_auth
            } else {
                NONE
            }),
            HandleKind::NvIndex => self.nv.get(handle).map(|index| &index.auth),
            HandleKind::Transient | HandleKind::Persistent => {
                if let Some(Transient::Sequence(sequence)) = self.transients.get(handle) {
                    return Some(&sequence.auth);
                }
                self.find_object(handle)?.sensitive.as_ref().map(|sensitive| &sensitive.auth)
            }
            HandleKind::Permanent => match handle {
                Handle::OWNER => Some(&self.permanent.owner.auth),
                Handle::ENDORSEMENT => Some(&self.permanent.endorsement.auth),
                Handle::LOCKOUT => Some(&self.permanent.lockout_auth),
                Handle::PLATFORM => Some(&self.clear.platform_auth),
                Handle::NULL => Some(NONE),
                // The timers are the platform's (Part 3, 32.2).
                Handle(Handle::ACT_FIRST_RAW..=Handle::ACT_LAST_RAW) => {
                    Some(&self.clear.platform_auth)
                }
                _ => None,
            },
            HandleKind::HmacSession | HandleKind::PolicySession | HandleKind::Attached => None,
        }
    }

    /// The policy; one without algorithm when there is none.
    pub fn auth_policy(&self, handle: Handle) -> AuthPolicy {
        match handle.kind() {
            Some(HandleKind::Pcr) if pcr_attributes(handle.index()).has_auth => {
                self.permanent.pcr_policy
            }
            Some(HandleKind::NvIndex) => {
                self.nv.get(handle).map_or_else(Default::default, |index| {
                    let algorithm = Some(index.public.name_algorithm);
                    AuthPolicy { algorithm, digest: index.public.auth_policy }
                })
            }
            Some(HandleKind::Transient | HandleKind::Persistent) => {
                self.find_object(handle).map_or_else(Default::default, |object| AuthPolicy {
                    algorithm: object.public.name_algorithm,
                    digest: object.public.auth_policy,
                })
            }
            Some(HandleKind::Permanent) => match handle {
                Handle::OWNER => self.permanent.owner.policy,
                Handle::ENDORSEMENT => self.permanent.endorsement.policy,
                Handle::LOCKOUT => self.permanent.lockout_policy,
                Handle::PLATFORM => self.clear.platform_policy,
                _ => self.timer_policy(handle),
            },
            _ => AuthPolicy::default(),
        }
    }

    fn timer_policy(&self, handle: Handle) -> AuthPolicy {
        let policy = handle.timer_index().and_then(|place| self.clear.timer_policy.get(place));
        policy.copied().unwrap_or_default()
    }

    /// The hierarchy that an entity belongs to, for tickets about it.
    pub fn hierarchy_of(&self, handle: Handle) -> Handle {
        match handle.kind() {
            Some(HandleKind::Transient | HandleKind::Persistent) => {
                self.find_object(handle).map_or(Handle::NULL, |object| object.hierarchy)
            }
            Some(HandleKind::NvIndex) => match self.nv.get(handle) {
                Some(index) if index.public.attributes.contains(NvAttributes::PLATFORM_CREATE) => {
                    Handle::PLATFORM
                }
                _ => Handle::OWNER,
            },
            Some(HandleKind::Permanent) => match handle {
                Handle::PLATFORM | Handle::ENDORSEMENT | Handle::NULL => handle,
                // Lockout is the owner's.
                _ => Handle::OWNER,
            },
            // PCRs are, too.
            _ => Handle::OWNER,
        }
    }

    /// Whether failed authorisations of the entity count for dictionary-attack protection.
    pub fn is_da_protected(&self, handle: Handle) -> bool {
        match handle.kind() {
            Some(HandleKind::Transient | HandleKind::Persistent) => {
                self.find_object(handle).is_some_and(|object| !object.has(ObjectAttributes::NO_DA))
            }
            Some(HandleKind::NvIndex) => self
                .nv
                .get(handle)
                .is_some_and(|index| !index.public.attributes.contains(NvAttributes::NO_DA)),
            _ => handle == Handle::LOCKOUT,
        }
    }
}
