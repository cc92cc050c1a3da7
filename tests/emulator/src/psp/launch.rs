// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's keys from the start of its launch, and what is known of it at the end. AMD 56860, 8.15
//! (SNP_LAUNCH_START), 8.17 (SNP_LAUNCH_UPDATE) and 8.18 (SNP_LAUNCH_FINISH).

use igvm_defs::IGVM_VHS_SNP_ID_BLOCK;
use snp_abi::{
    guest_request::{MessageHeader, status},
    launch::{Digest, GuestPolicy},
    secrets::{SECRETS_VERSION, SecretsPage, VMPCK_SIZE},
};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::{Entropy, FirmwareError, chip::Tcb, identity::Identity};

/// The keys of the four VMPLs.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct MessageKeys {
    keys: [[u8; VMPCK_SIZE]; 4],
}

impl MessageKeys {
    /// The key of this number.
    pub(super) fn key(&self, number: usize) -> Option<&[u8; VMPCK_SIZE]> {
        self.keys.get(number)
    }
}

/// A launch that has begun.
pub(crate) struct LaunchContext {
    keys: MessageKeys,
    report_id: [u8; 32],
}

/// A guest whose launch is finished.
pub(crate) struct Guest {
    keys: MessageKeys,
    /// Messages exchanged under each key: always even.
    message_counts: [u64; 4],
    pub(super) policy: GuestPolicy,
    pub(super) digest: Digest,
    pub(super) host_data: [u8; 32],
    pub(super) report_id: [u8; 32],
    pub(super) launch_tcb: Tcb,
    pub(super) identity: Identity,
}

impl LaunchContext {
    /// Begins a launch: fresh keys and a fresh report ID.
    pub(crate) fn start(entropy: &mut impl Entropy) -> Self {
        let mut context =
            Self { keys: MessageKeys { keys: [[0; VMPCK_SIZE]; 4] }, report_id: [0; 32] };
        for key in &mut context.keys.keys {
            entropy.fill(key);
        }
        entropy.fill(&mut context.report_id);
        context
    }

    /// Fills in the secrets page, which is all zeros.
    pub(crate) fn fill_secrets(&self, family_model_stepping: u32, page: &mut SecretsPage) {
        page.version = SECRETS_VERSION;
        page.family_model_stepping = family_model_stepping;
        page.vmpck = self.keys.keys;
    }

    /// Ends the launch.
    ///
    /// # Errors
    /// The ID block isn't for this launch, or not signed by its key.
    pub(crate) fn finish(
        self,
        policy: GuestPolicy,
        digest: Digest,
        host_data: [u8; 32],
        id_block: Option<&IGVM_VHS_SNP_ID_BLOCK>,
    ) -> Result<Guest, FirmwareError> {
        let identity = match id_block {
            Some(block) => Identity::verify(block, policy, &digest)?,
            None => Identity::NONE,
        };
        Ok(Guest {
            keys: self.keys,
            message_counts: [0; 4],
            policy,
            digest,
            host_data,
            report_id: self.report_id,
            launch_tcb: super::Chip::TCB,
            identity,
        })
    }
}

impl Guest {
    pub(super) const fn keys(&self) -> &MessageKeys {
        &self.keys
    }

    /// A request's number must be the one after all messages so far.
    pub(super) fn check_sequence(&self, header: &MessageHeader) -> Result<(), FirmwareError> {
        let expected = self
            .message_counts
            .get(usize::from(header.vmpck))
            // The answer's number must exist too.
            .filter(|&&count| count < u64::MAX - 1)
            .and_then(|count| count.checked_add(1));
        if expected == Some(header.sequence) {
            Ok(())
        } else {
            Err(FirmwareError(status::AEAD_OVERFLOW))
        }
    }

    /// A request was answered with this header.
    pub(super) fn count_exchange(&mut self, answer: &MessageHeader) {
        if let Some(count) = self.message_counts.get_mut(usize::from(answer.vmpck)) {
            *count = answer.sequence;
        }
    }
}
