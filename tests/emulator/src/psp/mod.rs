// SPDX-License-Identifier: MIT OR Apache-2.0
//! The secure processor in software: what SNP firmware answers to a guest's messages. AMD 56860.
//!
//! ```text
//! chip         the chip's secrets and its test keys: ARK, ASK, VCEK
//! launch       keys for a guest, its secrets page, and the end of the launch
//! identity     the ID block and the keys that sign it
//! cpuid_policy what a CPUID page may promise
//! message      AES-256-GCM messages under a VMPCK
//! report       attestation reports
//! derived_key  keys that depend on the chip and the guest
//! certificate  X.509 certificates for the test keys
//! der          writes their encoding
//! software     all of it for tests on the host, without a machine
//! ```
//!
//! The keys are **test keys**: anybody can compute them from this source. A verifier that trusts
//! this chain trusts everybody.
#![forbid(unsafe_code)]

pub(crate) mod certificate;
pub(crate) mod chip;
pub(crate) mod cpuid_policy;
mod der;
mod derived_key;
mod identity;
pub(crate) mod launch;
mod message;
mod report;
mod software;
#[cfg(test)]
mod tests;

use core::fmt;

use snp_abi::{
    PAGE_SIZE,
    guest_request::{
        KeyRequest, KeyResponse, MessageHeader, MessageType, PAYLOAD_MAX, ReportRequest,
        ReportResponse, status,
    },
};
use zerocopy::{FromBytes, IntoBytes};
use zeroize::Zeroize;

use chip::Chip;
use launch::Guest;
use message::Opened;
pub use software::SoftwarePsp;

/// A page that holds a message.
pub(crate) type MessagePage = [u8; PAGE_SIZE];

/// Random numbers, as the secure processor needs them for the keys of a guest.
pub(crate) trait Entropy {
    /// Fills the bytes with random ones.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Why the firmware refuses a command: one of [`status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirmwareError(pub(crate) u32);

impl fmt::Display for FirmwareError {
    /// Of the statuses that a launch can end with, what they mean there.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meaning = match self.0 {
            status::BAD_MEASUREMENT => "the ID block is for another launch digest",
            status::BAD_SIGNATURE => "a signature of the ID block is wrong",
            status::INVALID_PARAMETER => "the ID block's form is wrong",
            _ => "unknown",
        };
        write!(formatter, "status {:#x}: {meaning}", self.0)
    }
}

const INVALID_PARAMETER: FirmwareError = FirmwareError(status::INVALID_PARAMETER);

/// The secure processor with its one guest.
pub(crate) struct Psp {
    chip: Chip,
    guest: Guest,
}

impl Psp {
    /// The secure processor for a guest whose launch is finished.
    pub(crate) const fn new(chip: Chip, guest: Guest) -> Self {
        Self { chip, guest }
    }

    /// Serves a guest's message. AMD 56860, 8.26 (SNP_GUEST_REQUEST). Both pages are copies that
    /// the host can't change meanwhile. The answer, sealed, is in `response` on success only.
    ///
    /// # Errors
    /// A message that isn't one is refused as a whole; a request in a good message that can't be
    /// granted is answered with a status.
    pub(crate) fn guest_request(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
    ) -> Result<(), FirmwareError> {
        let opened = message::open(request, self.guest.keys())?;
        self.guest.check_sequence(&opened.header)?;
        if opened.header.message_version != 1 {
            return Err(INVALID_PARAMETER);
        }
        match MessageType::from_number(opened.header.message_type) {
            Some(MessageType::ReportRequest) => {
                let request = payload::<ReportRequest>(&opened)?;
                let answer = report::answer(&self.chip, &self.guest, opened.sender, &request);
                let header = answer_header::<ReportResponse>(&opened, MessageType::ReportResponse);
                self.seal(header, answer.as_bytes(), response)
            }
            Some(MessageType::KeyRequest) => {
                let request = payload::<KeyRequest>(&opened)?;
                let mut answer =
                    derived_key::answer(&self.chip, &self.guest, opened.sender, &request);
                let header = answer_header::<KeyResponse>(&opened, MessageType::KeyResponse);
                let sealed = self.seal(header, answer.as_bytes(), response);
                answer.key.zeroize();
                sealed
            }
            _ => Err(INVALID_PARAMETER),
        }
    }

    /// Writes the table of certificates that an extended request brings along; `None` would be a
    /// defect of this program.
    pub(crate) fn write_certificates(&self, page: &mut MessagePage) -> Option<()> {
        certificate::write_table(&self.chip, page)
    }

    fn seal(
        &mut self,
        header: MessageHeader,
        payload: &[u8],
        response: &mut MessagePage,
    ) -> Result<(), FirmwareError> {
        message::seal(header, payload, self.guest.keys(), response)?;
        self.guest.count_exchange(&header);
        Ok(())
    }
}

/// The request in a message, which may be longer than it.
fn payload<T: FromBytes>(opened: &Opened) -> Result<T, FirmwareError> {
    T::read_from_prefix(opened.payload()).map(|(value, _)| value).map_err(|_| INVALID_PARAMETER)
}

/// The head of an answer of type `T`.
fn answer_header<T>(opened: &Opened, message_type: MessageType) -> MessageHeader {
    const { assert!(size_of::<T>() <= PAYLOAD_MAX) };
    #[expect(clippy::cast_possible_truncation, reason = "less than a page")]
    let size = size_of::<T>() as u16;
    let sequence = opened.header.sequence.wrapping_add(1);
    MessageHeader::new(message_type, 1, size, opened.sender, sequence)
}
