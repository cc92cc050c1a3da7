// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages to the firmware: attestation reports and derived keys (AMD 56860, chapter 7), through a
//! hypervisor that may drop, delay, replay or alter them.
//!
//! A sequence number makes the nonce, so one number never encrypts two messages. A request that the
//! host has not let through stays pending, and is sent again byte for byte before any other; when
//! an answer is wrong, or the firmware refuses, nobody knows which number it expects, and the
//! channel is closed for good. All memory for an answer is there before the request goes.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use alloc::boxed::Box;
use alloc::vec::Vec;
use snp_abi::ghcb::GuestRequestStatus;
use snp_abi::guest_request::{
    HEADER_SIZE, KeyRequest, KeyResponse, MessageHeader, MessageType, ReportRequest,
    ReportResponse, TAG_SIZE, status,
};
use snp_abi::report::REPORT_SIZE;
use snp_abi::secrets::VMPCK_SIZE;
use snp_abi::{PAGE_SIZE, Vmpl};
use zerocopy::{FromBytes, FromZeros, IntoBytes};
use zeroize::Zeroizing;

/// Version of the request payloads.
const MESSAGE_VERSION: u8 = 1;

/// Room for the host's table of certificates: as much as Linux gives it.
pub const CERTIFICATES_MAX: usize = 0x4000;
/// Pages of it.
pub const CERTIFICATES_PAGES: usize = CERTIFICATES_MAX / PAGE_SIZE;

/// The content of an answer.
type Payload = Zeroizing<Vec<u8>>;

/// A page with a message.
pub type MessagePage = [u8; PAGE_SIZE];

/// The way to the firmware.
pub trait Mailbox {
    /// Sends a message and takes the answer.
    ///
    /// # Errors
    /// The hypervisor breaks its protocol.
    fn exchange(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
    ) -> Result<GuestRequestStatus, MailboxFault>;

    /// The same as an extended request: the host adds its certificates, in a table (AMD 56421,
    /// 4.1.8.1), if it has any and they fit.
    ///
    /// # Errors
    /// As for [`exchange`](Self::exchange).
    fn exchange_extended(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
        certificates: &mut [u8; CERTIFICATES_MAX],
    ) -> Result<GuestRequestStatus, MailboxFault>;

    /// Lets time pass before the same message is sent again; a bounded time.
    fn pause(&mut self);
}

/// The hypervisor broke the GHCB protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxFault;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// The host has not let the request through so often as we were ready to ask. It stays
    /// pending; asking for the same thing again later is right.
    Busy,
    /// The firmware understood, and refuses: its status.
    Refused(u32),
    /// Something that cannot be made good: the channel is closed from now on.
    Closed,
    /// No memory.
    OutOfMemory,
}

/// A request that is on its way.
struct Pending {
    page: Box<MessagePage>,
    kind: MessageType,
    /// What is asked, to know the same question when it comes again. Nothing secret.
    question: Box<[u8]>,
}

/// What is asked.
struct Question<'a> {
    kind: MessageType,
    payload: &'a [u8],
    certificates: Option<&'a mut [u8; CERTIFICATES_MAX]>,
}

/// The channel under one VMPCK.
pub struct FirmwareChannel<M> {
    mailbox: M,
    key: Zeroizing<[u8; VMPCK_SIZE]>,
    vmpl: Vmpl,
    /// Number of the last message that was answered, the answer's.
    sequence: u64,
    pending: Option<Pending>,
    closed: bool,
}

impl<M: Mailbox> FirmwareChannel<M> {
    /// A channel that nobody has used before: the firmware expects number 1.
    pub fn new(mailbox: M, vmpl: Vmpl, key: &[u8; VMPCK_SIZE]) -> Self {
        let key = Zeroizing::new(*key);
        // A key of zeros is one that somebody has wiped.
        let closed = key.iter().all(|byte| *byte == 0);
        Self { mailbox, key, vmpl, sequence: 0, pending: None, closed }
    }

    /// A report about the guest with `report_data` in it, for `vmpl`. With room for `certificates`
    /// the host's table comes along; without one, or with one that is too long, the room is zeros.
    ///
    /// # Errors
    /// See [`ChannelError`]. `patience` is how often a message is sent at most.
    pub fn report(
        &mut self,
        report_data: &[u8; 64],
        vmpl: Vmpl,
        certificates: Option<&mut [u8; CERTIFICATES_MAX]>,
        patience: u32,
    ) -> Result<Box<[u8; REPORT_SIZE]>, ChannelError> {
        let mut request = ReportRequest::new_zeroed();
        request.report_data = *report_data;
        request.vmpl = vmpl as u32;
        let (request_kind, response_kind) =
            (MessageType::ReportRequest, MessageType::ReportResponse);
        let question = Question { kind: request_kind, payload: request.as_bytes(), certificates };
        let payload = self.ask(question, response_kind, patience)?;
        let (response, _) =
            ReportResponse::ref_from_prefix(payload.as_slice()).map_err(|_| self.close())?;
        match response.status {
            status::SUCCESS if response.report_size as usize == REPORT_SIZE => {
                copied(&response.report)?.try_into().map_err(|_| ChannelError::OutOfMemory)
            }
            status::SUCCESS => Err(self.close()),
            refused => Err(ChannelError::Refused(refused)),
        }
    }

    /// A key that depends on the chip and on what the request selects.
    ///
    /// # Errors
    /// As for [`report`](Self::report).
    pub fn derived_key(
        &mut self,
        request: &KeyRequest,
        patience: u32,
    ) -> Result<Zeroizing<[u8; 32]>, ChannelError> {
        let (request_kind, response_kind) = (MessageType::KeyRequest, MessageType::KeyResponse);
        let payload = request.as_bytes();
        let question = Question { kind: request_kind, payload, certificates: None };
        let payload = self.ask(question, response_kind, patience)?;
        let (response, _) =
            KeyResponse::ref_from_prefix(payload.as_slice()).map_err(|_| self.close())?;
        match response.status {
            status::SUCCESS => Ok(Zeroizing::new(response.key)),
            refused => Err(ChannelError::Refused(refused)),
        }
    }

    /// Sends a request until it is answered, at most `patience` times.
    fn ask(
        &mut self,
        question: Question<'_>,
        answer: MessageType,
        patience: u32,
    ) -> Result<Payload, ChannelError> {
        if self.closed {
            return Err(ChannelError::Closed);
        }
        let Question { kind, payload, certificates } = question;
        let mut left = patience;
        let request = match self.pending.take() {
            Some(same) if same.kind == kind && *same.question == *payload => same,
            earlier => {
                if let Some(earlier) = earlier {
                    // Its sender has gone, but its number is used: it has to be answered first.
                    let earlier_answer = answer_kind(earlier.kind);
                    self.deliver(earlier, earlier_answer, None, &mut left)?;
                }
                let question = copied(payload)?;
                Pending { page: self.seal(kind, payload)?, kind, question }
            }
        };
        self.deliver(request, answer, certificates, &mut left)
    }

    fn deliver(
        &mut self,
        request: Pending,
        answer: MessageType,
        mut certificates: Option<&mut [u8; CERTIFICATES_MAX]>,
        left: &mut u32,
    ) -> Result<Payload, ChannelError> {
        let (Ok(mut response), Ok(payload)) = (zeroed_page(), payload_room()) else {
            // It may have been sent before: its number is used.
            self.pending = Some(request);
            return Err(ChannelError::OutOfMemory);
        };
        while let Some(fewer) = left.checked_sub(1) {
            *left = fewer;
            let outcome = match certificates.as_deref_mut() {
                Some(room) => self.mailbox.exchange_extended(&request.page, &mut response, room),
                None => self.mailbox.exchange(&request.page, &mut response),
            };
            match outcome.map(|status| (status.hypervisor, status.firmware)) {
                Ok((0, 0)) => return self.open(&response, answer, payload),
                Ok((GuestRequestStatus::BUSY, _)) => self.mailbox.pause(),
                // The firmware has not seen the message: it goes again, without the certificates.
                Ok((GuestRequestStatus::INVALID_LENGTH, _)) if certificates.is_some() => {
                    if let Some(room) = certificates.take() {
                        room.fill(0);
                    }
                }
                _ => return Err(self.close()),
            }
        }
        self.pending = Some(request);
        Err(ChannelError::Busy)
    }

    /// A message under the next number.
    fn seal(
        &mut self,
        kind: MessageType,
        payload: &[u8],
    ) -> Result<Box<MessagePage>, ChannelError> {
        let size = u16::try_from(payload.len()).map_err(|_| ChannelError::Closed)?;
        // Two numbers for each exchange; long before they run out the machine is gone.
        let sequence = self.sequence.checked_add(1).ok_or(ChannelError::Closed)?;
        let mut header = MessageHeader::new(kind, MESSAGE_VERSION, size, self.vmpl, sequence);
        let mut page = zeroed_page()?;
        let (head, body) = page.split_at_mut(HEADER_SIZE);
        let text = body.get_mut(..payload.len()).ok_or(ChannelError::Closed)?;
        text.copy_from_slice(payload);
        let sealed = self.cipher().encrypt_inout_detached(
            &header.iv().into(),
            header.authenticated_part(),
            text.into(),
        );
        let tag = sealed.map_err(|_| self.close())?;
        for (place, byte) in header.tag.iter_mut().zip(tag) {
            *place = byte;
        }
        head.copy_from_slice(header.as_bytes());
        Ok(page)
    }

    /// Checks an answer: it is the firmware's, to this request, and new. `payload` is empty, with
    /// room for any.
    fn open(
        &mut self,
        page: &MessagePage,
        kind: MessageType,
        mut payload: Payload,
    ) -> Result<Payload, ChannelError> {
        let Ok((header, body)) = MessageHeader::read_from_prefix(page) else {
            return Err(self.close());
        };
        let expected = self.sequence.checked_add(2).ok_or(ChannelError::Closed)?;
        let size = usize::from(header.message_size);
        if header.check() != Ok(self.vmpl)
            || header.sequence != expected
            || MessageType::from_number(header.message_type) != Some(kind)
            || header.message_version != MESSAGE_VERSION
        {
            return Err(self.close());
        }
        let (Some(sealed), Some(tag)) = (body.get(..size), header.tag.first_chunk::<TAG_SIZE>())
        else {
            return Err(self.close());
        };
        payload.extend_from_slice(sealed);
        let opened = self.cipher().decrypt_inout_detached(
            &header.iv().into(),
            header.authenticated_part(),
            payload.as_mut_slice().into(),
            &(*tag).into(),
        );
        opened.map_err(|_| self.close())?;
        self.sequence = expected;
        Ok(payload)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&(*self.key).into())
    }

    fn close(&mut self) -> ChannelError {
        self.closed = true;
        self.pending = None;
        ChannelError::Closed
    }
}

const fn answer_kind(request: MessageType) -> MessageType {
    match request {
        MessageType::KeyRequest => MessageType::KeyResponse,
        MessageType::CpuidRequest => MessageType::CpuidResponse,
        MessageType::TscInfoRequest => MessageType::TscInfoResponse,
        _ => MessageType::ReportResponse,
    }
}

fn copied(bytes: &[u8]) -> Result<Box<[u8]>, ChannelError> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| ChannelError::OutOfMemory)?;
    copy.extend_from_slice(bytes);
    Ok(copy.into_boxed_slice())
}

fn payload_room() -> Result<Payload, ChannelError> {
    let mut payload = Zeroizing::new(Vec::new());
    payload.try_reserve_exact(PAGE_SIZE).map_err(|_| ChannelError::OutOfMemory)?;
    Ok(payload)
}

fn zeroed_page() -> Result<Box<MessagePage>, ChannelError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(PAGE_SIZE).map_err(|_| ChannelError::OutOfMemory)?;
    bytes.resize(PAGE_SIZE, 0);
    bytes.into_boxed_slice().try_into().map_err(|_| ChannelError::OutOfMemory)
}

#[cfg(test)]
#[path = "guest_request_tests.rs"]
mod tests;
