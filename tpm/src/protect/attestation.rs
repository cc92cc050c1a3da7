// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all attestations have in common (Part 1, 31; Part 3, 18.1): who signs, what is said of the
//! TPM itself, and when that is obfuscated.

use super::signature::{is_signing_key, select_scheme, sign};
use crate::crypto::hash::HashAlgorithm;
use crate::crypto::kdf::kdfa;
use crate::pipeline::Context;
use crate::state::State;
use crate::state::ticket::CONTEXT_HASH;
use crate::structure::algorithm::AlgorithmId;
use crate::structure::attest::{ATTEST_SIZE_MAX, Attest, Attested};
use crate::structure::digest::{Data, Name};
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::structure::signature::Signature;
use crate::wire::{Result, Writer};

/// Label of the derivation of what obfuscates counters and the firmware's version.
const OBFUSCATION_LABEL: &[u8] = b"OBFUSCATE";
/// 64 bits for the firmware's version, 32 for each of the counters.
const OBFUSCATION_SIZE: usize = 16;
const OBFUSCATION_BITS: u32 = 128;

/// The key that signs an attestation, with its scheme; TPM_RH_NULL doesn't sign.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    key: Option<(Handle, SignatureScheme)>,
}

impl Signer {
    /// The signer whose handle is the `place`th of the command, where the caller wants a scheme in
    /// parameter `parameter`: TPM_RC_KEY when it cannot sign, TPM_RC_SCHEME when not so.
    pub fn select(
        context: &Context<'_>,
        place: u8,
        wanted: Option<SignatureScheme>,
        parameter: u8,
    ) -> Result<Self> {
        let handle = context.handle(usize::from(place));
        if handle == Handle::NULL {
            return Ok(Self { key: None });
        }
        let public = &context.state.object(handle)?.public;
        if !is_signing_key(public) {
            return Err(ResponseCode::KEY.in_handle(place));
        }
        let scheme = select_scheme(public, wanted).map_err(|code| code.in_parameter(parameter))?;
        Ok(Self { key: Some((handle, scheme)) })
    }

    /// The hash of the scheme; `None` without a key.
    pub fn hash(self) -> Option<HashAlgorithm> {
        self.key.map(|(_, scheme)| scheme.hash())
    }

    /// Whether there will be a signature.
    pub const fn has_key(self) -> bool {
        self.key.is_some()
    }

    /// Whether the signature does not tell whose it is.
    fn is_anonymous(self) -> bool {
        self.key.is_some_and(|(_, scheme)| scheme.algorithm() == AlgorithmId::ECDAA)
    }

    /// Writes the attestation and its signature. A commitment of ECDAA is used up; beside that
    /// nothing changes, and nothing that can fail comes after it.
    pub fn attest(
        self,
        context: &mut Context<'_>,
        extra_data: Data,
        attested: Attested,
        response: &mut Writer<'_>,
    ) -> Result<()> {
        // With an anonymous signature the caller's data is hashed beside the attestation.
        let (extra_data, beside) =
            if self.is_anonymous() { (Data::EMPTY, extra_data) } else { (extra_data, Data::EMPTY) };
        let attest = self.describe(context, extra_data, attested)?;
        let mut buffer = [0; ATTEST_SIZE_MAX];
        let mut writer = Writer::new(&mut buffer);
        writer.value(&attest)?;
        response.sized_bytes(writer.written())?;
        let Some((handle, scheme)) = self.key else {
            return response.value(&None::<Signature>);
        };
        let mut digest = scheme.hash().digest(&[writer.written()]);
        if !beside.is_empty() {
            digest = scheme.hash().digest(&[&beside, &digest]);
        }
        response.value(&sign(context, handle, scheme, &digest)?)
    }

    fn describe(
        self,
        context: &Context<'_>,
        extra_data: Data,
        attested: Attested,
    ) -> Result<Attest> {
        let state = &*context.state;
        let signer = match self.key {
            Some((handle, _)) => Some(state.object(handle)?),
            None => None,
        };
        let mut attest = Attest {
            qualified_signer: match signer {
                // The Name would tell the key that the signature does not.
                Some(_) if self.is_anonymous() => Name::EMPTY,
                Some(object) => object.qualified_name.clone(),
                None => Name::new(&Handle::NULL.0.to_be_bytes())?,
            },
            extra_data,
            clock: state.time_info().clock,
            firmware_version: context.platform.vendor().firmware_version,
            attested,
        };
        let hierarchy = signer.map_or(Handle::NULL, |object| object.hierarchy);
        if !matches!(hierarchy, Handle::PLATFORM | Handle::ENDORSEMENT) {
            obfuscate(state, &mut attest)?;
        }
        Ok(attest)
    }
}

/// Hides from the verifiers of keys outside the platform's and the endorsement hierarchy by what
/// they could tell that two keys are of one TPM: the same offsets for each key, others for another.
fn obfuscate(state: &State, attest: &mut Attest) -> Result<()> {
    let mut octets = [0; OBFUSCATION_SIZE];
    let signer = &attest.qualified_signer;
    let proof = state.proof(Handle::OWNER);
    kdfa(CONTEXT_HASH, proof, OBFUSCATION_LABEL, signer, &[], OBFUSCATION_BITS, &mut octets)?;
    let [version @ .., a, b, c, d, e, f, g, h] = octets;
    let clock = &mut attest.clock;
    attest.firmware_version = attest.firmware_version.wrapping_add(u64::from_be_bytes(version));
    clock.reset_count = clock.reset_count.wrapping_add(u32::from_be_bytes([a, b, c, d]));
    clock.restart_count = clock.restart_count.wrapping_add(u32::from_be_bytes([e, f, g, h]));
    Ok(())
}
