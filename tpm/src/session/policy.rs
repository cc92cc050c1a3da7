// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a policy session has gathered (Part 1, 19.7): its digest, and conditions that are checked
//! when it is used.

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::structure::attributes::LocalityAttributes;
use crate::structure::command_code::CommandCode;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// Which proof of the authorisation value the policy demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyAuth {
    /// None.
    #[default]
    None,
    /// An HMAC with the authorisation value (TPM2_PolicyAuthValue).
    AuthValue,
    /// The authorisation value itself (TPM2_PolicyPassword).
    Password,
}

/// The one digest that ties a policy to a use; only one of these can be set (Part 3, 23).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyBinding {
    /// Not tied.
    #[default]
    None,
    /// TPM2_PolicyCpHash, TPM2_PolicySigned and _Secret: the command and its parameters.
    CpHash(Digest),
    /// TPM2_PolicyNameHash, TPM2_PolicyDuplicationSelect: the Names of the handles.
    NameHash(Digest),
    /// TPM2_PolicyTemplate: the template of an object to create.
    TemplateHash(Digest),
    /// TPM2_PolicyParameters: the parameters without the handles.
    ParameterHash(Digest),
}

/// A policy so far.
#[derive(Clone, Debug, Default)]
pub struct PolicyState {
    /// policyDigest; empty until the session starts, then of the session's hash.
    pub digest: Digest,
    /// Only this command (TPM2_PolicyCommandCode and others).
    pub command_code: Option<CommandCode>,
    /// Only these localities.
    pub locality: Option<LocalityAttributes>,
    /// What ties it to a use.
    pub binding: PolicyBinding,
    /// pcrUpdateCounter when PCRs were checked.
    pub pcr_counter: Option<u32>,
    /// TPM time at which it expires.
    pub timeout_ms: Option<u64>,
    /// Only an NV index that is (or isn't) written.
    pub nv_written: Option<bool>,
    /// Which proof of the authorisation value is demanded.
    pub auth: PolicyAuth,
    /// Physical presence is demanded.
    pub needs_physical_presence: bool,
    /// The command must come through a secure channel (TPM2_PolicyTransportSPDM).
    pub needs_secure_channel: bool,
    /// TPM2_PolicyDuplicationSelect named the object as well.
    pub includes_object: bool,
}

impl PolicyState {
    /// A fresh policy of a session with this hash.
    pub fn new(hash: HashAlgorithm) -> Self {
        Self { digest: Digest::zero(hash), ..Self::default() }
    }

    /// policyDigest ← H(policyDigest ‖ TPM_CC ‖ parts).
    pub fn extend(&mut self, hash: HashAlgorithm, code: CommandCode, parts: &[&[u8]]) {
        let mut hasher = crate::crypto::hash::Hasher::new(hash);
        hasher.update(self.digest.as_bytes());
        hasher.update(&code.0.to_be_bytes());
        parts.iter().for_each(|part| hasher.update(part));
        self.digest = hasher.finish();
    }

    /// PolicyUpdate (Part 3, 23.2.3): extends with `object`, then with the caller's qualifier.
    pub fn update(
        &mut self,
        hash: HashAlgorithm,
        code: CommandCode,
        object: &[u8],
        qualifier: &[u8],
    ) {
        self.extend(hash, code, &[object]);
        self.digest = hash.digest(&[self.digest.as_bytes(), qualifier]);
    }

    /// Ties the policy to a use. Another tie already there is TPM_RC_CPHASH.
    pub fn bind(&mut self, binding: PolicyBinding) -> Result<()> {
        if self.binding != PolicyBinding::None && self.binding != binding {
            return Err(ResponseCode::CPHASH);
        }
        self.binding = binding;
        Ok(())
    }

    /// Restricts the time; an earlier end stays (Part 3, 23.2.2).
    pub fn limit_timeout(&mut self, timeout_ms: u64) {
        self.timeout_ms = Some(self.timeout_ms.map_or(timeout_ms, |old| old.min(timeout_ms)));
    }
}
