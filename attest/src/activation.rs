// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the attestation key is in the endorsement key's TPM: what a credential had in it came
//! back.
//!
//! The content is made of the relying party's secret, the nonce and the Names of both keys. Were it
//! the secret alone, a guest could have a credential opened for a key of its TPM, and then send
//! other evidence with a key that no TPM holds.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;

use crate::{
    credential::{Credential, SECRET_BYTES},
    hash::Hash,
    report::Nonce,
    verdict::{Reason, Refused},
    verify::{Question, Vouched},
};

/// What the content is for (the label of an HMAC).
const USE: &[u8] = b"macadamia-svsm credential";

/// What came of a credential that was sent to the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The secret that [`Vouched::credential`] was given.
    pub secret: [u8; SECRET_BYTES],
    /// What the TPM took out of the credential; empty when nothing came.
    pub returned: Vec<u8>,
}

impl Vouched {
    /// A credential for the two keys; `None` when the endorsement key takes none. `secret` is
    /// random and the relying party's alone; what is in the credential comes of it, for this nonce
    /// and these keys only.
    pub fn credential(
        &self,
        nonce: &Nonce,
        secret: &[u8; SECRET_BYTES],
        random: &mut impl CryptoRng,
    ) -> Option<Credential> {
        let content = self.content(nonce, secret).try_into().ok()?;
        Credential::make(&self.endorsement_key, &self.attestation_key.name(), &content, random)
    }

    /// What a TPM with both keys takes out of the credential.
    #[must_use]
    pub fn content(&self, nonce: &Nonce, secret: &[u8; SECRET_BYTES]) -> Vec<u8> {
        // A Name begins with its algorithm, which tells its length.
        let (ek, ak) = (self.endorsement_key.name(), self.attestation_key.name());
        Hash::Sha256.hmac(secret, &[USE, nonce, &ek, &ak])
    }
}

/// Whether the answer is that to a credential for these keys and this nonce.
pub(crate) fn check(question: &Question<'_>, vouched: &Vouched) -> Result<String, Refused> {
    let Some(activation) = question.activation else {
        let detail = "no credential was sent: the attestation key could be anybody's";
        return Err(Refused::new(Reason::ActivationMissing, detail));
    };
    if activation.returned.is_empty() {
        let detail = "the credential wasn't activated";
        return Err(Refused::new(Reason::ActivationMissing, detail));
    }
    let expected = vouched.content(question.nonce, &activation.secret);
    if bool::from(expected.ct_eq(&activation.returned)) {
        let name = hex::encode(vouched.attestation_key.name());
        return Ok(format!("the endorsement key's TPM opened the secret for {}…", &name[..20]));
    }
    let detail = "not what a credential for this nonce and these two keys had in it";
    Err(Refused::new(Reason::ActivationSecret, detail))
}
