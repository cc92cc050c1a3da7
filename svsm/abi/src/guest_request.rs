// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages between a guest and the firmware. AMD 56860, chapter 7 (guest messages) and 8.26
//! (SNP_GUEST_REQUEST).
//!
//! A message is one page: [`MessageHeader`], then the payload, encrypted with AES-256-GCM under a
//! VMPCK. The 12-byte IV is the sequence number, little endian, zero extended. The additional
//! authenticated data are the header's bytes from [`AUTHENTICATED_OFFSET`] on.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::{PAGE_SIZE, Vmpl, report::REPORT_SIZE};

/// Bytes of the header.
pub const HEADER_SIZE: usize = 0x60;
/// The header is authenticated from here to its end.
pub const AUTHENTICATED_OFFSET: usize = 0x30;
/// Most bytes of a payload.
pub const PAYLOAD_MAX: usize = PAGE_SIZE - HEADER_SIZE;
/// Bytes of the authentication tag in use.
pub const TAG_SIZE: usize = 16;
/// Bytes of the IV.
pub const IV_SIZE: usize = 12;
/// AEAD algorithm: AES-256-GCM.
pub const ALGORITHM_AES_256_GCM: u8 = 1;
/// Version of the header.
pub const HEADER_VERSION: u8 = 1;

/// Types of messages. AMD 56860, table 99.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MessageType {
    /// Ask what the CPUID policy says.
    CpuidRequest = 1,
    /// Its answer.
    CpuidResponse = 2,
    /// Ask for a derived key.
    KeyRequest = 3,
    /// Its answer.
    KeyResponse = 4,
    /// Ask for a report.
    ReportRequest = 5,
    /// Its answer.
    ReportResponse = 6,
    /// Ask for Secure TSC parameters.
    TscInfoRequest = 17,
    /// Its answer.
    TscInfoResponse = 18,
}

impl MessageType {
    /// The type with this number, of those that this project knows.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::CpuidRequest),
            2 => Some(Self::CpuidResponse),
            3 => Some(Self::KeyRequest),
            4 => Some(Self::KeyResponse),
            5 => Some(Self::ReportRequest),
            6 => Some(Self::ReportResponse),
            17 => Some(Self::TscInfoRequest),
            18 => Some(Self::TscInfoResponse),
            _ => None,
        }
    }
}

/// The head of a message. AMD 56860, table 97.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct MessageHeader {
    /// The authentication tag, zero extended.
    pub tag: [u8; 32],
    /// The sequence number; never 0.
    pub sequence: u64,
    /// Reserved.
    pub reserved_28: u64,
    /// [`ALGORITHM_AES_256_GCM`].
    pub algorithm: u8,
    /// [`HEADER_VERSION`].
    pub header_version: u8,
    /// [`HEADER_SIZE`].
    pub header_size: u16,
    /// A [`MessageType`].
    pub message_type: u8,
    /// Version of the payload.
    pub message_version: u8,
    /// Bytes of the payload.
    pub message_size: u16,
    /// Reserved.
    pub reserved_38: u32,
    /// Number of the VMPCK.
    pub vmpck: u8,
    /// Reserved.
    pub reserved_3d: [u8; 35],
}

assert_layout!(
    MessageHeader, size HEADER_SIZE,
    sequence: 0x20, algorithm: AUTHENTICATED_OFFSET, header_version: 0x31, header_size: 0x32,
    message_type: 0x34, message_version: 0x35, message_size: 0x36, vmpck: 0x3c,
    reserved_3d: 0x3d,
);

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Another algorithm.
    Algorithm(u8),
    /// Another version or size of the header.
    Header,
    /// The payload doesn't fit the page.
    Size(u16),
    /// No such VMPCK.
    Vmpck(u8),
    /// The sequence number is 0.
    Sequence,
    /// A reserved field isn't zero.
    Reserved,
}

impl MessageHeader {
    /// A header without a tag.
    #[must_use]
    pub fn new(
        message_type: MessageType,
        version: u8,
        size: u16,
        vmpck: Vmpl,
        sequence: u64,
    ) -> Self {
        Self {
            sequence,
            algorithm: ALGORITHM_AES_256_GCM,
            header_version: HEADER_VERSION,
            header_size: 0x60,
            message_type: message_type as u8,
            message_version: version,
            message_size: size,
            vmpck: vmpck as u8,
            ..Self::new_zeroed()
        }
    }

    /// Checks everything that can be checked without the key, and gives the VMPCK's level.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<Vmpl, HeaderError> {
        if self.algorithm != ALGORITHM_AES_256_GCM {
            return Err(HeaderError::Algorithm(self.algorithm));
        }
        if self.header_version != HEADER_VERSION || usize::from(self.header_size) != HEADER_SIZE {
            return Err(HeaderError::Header);
        }
        if usize::from(self.message_size) > PAYLOAD_MAX {
            return Err(HeaderError::Size(self.message_size));
        }
        if self.sequence == 0 {
            return Err(HeaderError::Sequence);
        }
        let reserved = self.reserved_28 != 0
            || self.reserved_38 != 0
            || self.reserved_3d.iter().chain(self.tag.iter().skip(TAG_SIZE)).any(|&b| b != 0);
        if reserved {
            return Err(HeaderError::Reserved);
        }
        Vmpl::from_number(u64::from(self.vmpck)).ok_or(HeaderError::Vmpck(self.vmpck))
    }

    /// The additional authenticated data.
    #[must_use]
    pub fn authenticated_part(&self) -> &[u8] {
        self.as_bytes().get(AUTHENTICATED_OFFSET..).unwrap_or_default()
    }

    /// The IV for this message.
    #[must_use]
    pub const fn iv(&self) -> [u8; IV_SIZE] {
        let [a, b, c, d, e, f, g, h] = self.sequence.to_le_bytes();
        [a, b, c, d, e, f, g, h, 0, 0, 0, 0]
    }
}

/// Status codes of the firmware: of the command as a whole, and in the answers' `status` field.
/// AMD 56860, table 8 (status codes).
pub mod status {
    /// Done.
    pub const SUCCESS: u32 = 0;
    /// The guest isn't in the state for this: no launch was finished.
    pub const INVALID_GUEST_STATE: u32 = 0x02;
    /// The ID block is for another policy.
    pub const POLICY_FAILURE: u32 = 0x07;
    /// The ID block's signature is wrong.
    pub const BAD_SIGNATURE: u32 = 0x0a;
    /// A message's tag is wrong, or the ID block is for another launch digest.
    pub const BAD_MEASUREMENT: u32 = 0x0b;
    /// A parameter isn't acceptable.
    pub const INVALID_PARAMETER: u32 = 0x16;
    /// A message's sequence number isn't the next one.
    pub const AEAD_OVERFLOW: u32 = 0x1d;
    /// The key that was asked for isn't there.
    pub const INVALID_KEY: u32 = 0x27;
}

/// MSG_REPORT_REQ. AMD 56860, table 105.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportRequest {
    /// Goes into the report as it is.
    pub report_data: [u8; 64],
    /// The VMPL for the report; not more privileged than the VMPCK.
    pub vmpl: u32,
    /// Key `[1:0]`: 0 VLEK if there is one, else VCEK; 1 VCEK; 2 VLEK.
    pub key_select: u32,
    /// Reserved.
    pub reserved: [u8; 24],
}

/// MSG_REPORT_RSP: this head, then the report.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportResponse {
    /// See [`status`].
    pub status: u32,
    /// Bytes of the report.
    pub report_size: u32,
    /// Reserved.
    pub reserved: [u8; 24],
    /// The report.
    pub report: [u8; REPORT_SIZE],
}

assert_layout!(ReportRequest, size 0x60, vmpl: 0x40, key_select: 0x44);
assert_layout!(ReportResponse, size 0x20 + REPORT_SIZE, report_size: 4, report: 0x20);

bitflags::bitflags! {
    /// What a derived key depends on. AMD 56860, table 108 (GUEST_FIELD_SELECT).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct GuestFields: u64 {
        /// The guest policy.
        const POLICY = 1 << 0;
        /// The image ID of the ID block.
        const IMAGE_ID = 1 << 1;
        /// The family ID of the ID block.
        const FAMILY_ID = 1 << 2;
        /// The launch digest.
        const MEASUREMENT = 1 << 3;
        /// The guest SVN that the request names.
        const GUEST_SVN = 1 << 4;
        /// The TCB version that the request names.
        const TCB_VERSION = 1 << 5;
    }
}

/// MSG_KEY_REQ. AMD 56860, table 107.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct KeyRequest {
    /// Root key `[0]`: 0 VCEK (or VLEK), 1 VMRK; key `[2:1]` as in a report request.
    pub root_key_select: u32,
    /// Reserved.
    pub reserved_04: u32,
    /// See [`GuestFields`].
    pub guest_field_select: u64,
    /// Mixed into the key; not more privileged than the VMPCK.
    pub vmpl: u32,
    /// Mixed in if selected; not above the guest's.
    pub guest_svn: u32,
    /// Mixed in if selected; not above the committed TCB.
    pub tcb_version: u64,
}

/// MSG_KEY_RSP. No `Debug`: it holds a key.
#[repr(C)]
#[derive(Clone, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct KeyResponse {
    /// See [`status`].
    pub status: u32,
    /// Reserved.
    pub reserved: [u8; 28],
    /// The derived key.
    pub key: [u8; 32],
}

assert_layout!(KeyRequest, size 0x20, guest_field_select: 8, vmpl: 0x10, guest_svn: 0x14,
    tcb_version: 0x18);
assert_layout!(KeyResponse, size 0x40, key: 0x20);

/// A request's payload that the firmware refuses, with [`status::INVALID_KEY`] for a key and
/// [`status::INVALID_PARAMETER`] for all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// A reserved field isn't zero.
    Reserved,
    /// A VMPL above 3, or more privileged than the VMPCK that carried the request.
    Vmpl(u32),
    /// No such key.
    Key(u32),
    /// An unknown field is selected.
    Fields(u64),
}

impl RequestError {
    /// The status in the answer.
    #[must_use]
    pub const fn status(self) -> u32 {
        match self {
            Self::Key(_) => status::INVALID_KEY,
            Self::Reserved | Self::Vmpl(_) | Self::Fields(_) => status::INVALID_PARAMETER,
        }
    }
}

impl ReportRequest {
    /// Checks a request that came under the VMPCK of `sender`.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, sender: Vmpl) -> Result<Vmpl, RequestError> {
        if self.key_select & !3 != 0 || self.reserved != [0; 24] {
            return Err(RequestError::Reserved);
        }
        if self.key_select == 3 {
            return Err(RequestError::Key(3));
        }
        check_vmpl(self.vmpl, sender)
    }
}

impl KeyRequest {
    /// Checks a request that came under the VMPCK of `sender`.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, sender: Vmpl) -> Result<(Vmpl, GuestFields), RequestError> {
        if self.root_key_select & !7 != 0 || self.reserved_04 != 0 {
            return Err(RequestError::Reserved);
        }
        if self.root_key_select == 6 {
            return Err(RequestError::Key(3));
        }
        let fields = GuestFields::from_bits(self.guest_field_select)
            .ok_or(RequestError::Fields(self.guest_field_select))?;
        Ok((check_vmpl(self.vmpl, sender)?, fields))
    }
}

fn check_vmpl(vmpl: u32, sender: Vmpl) -> Result<Vmpl, RequestError> {
    Vmpl::from_number(u64::from(vmpl))
        .filter(|&vmpl| vmpl >= sender)
        .ok_or(RequestError::Vmpl(vmpl))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> MessageHeader {
        MessageHeader::new(MessageType::ReportRequest, 1, 0x60, Vmpl::Vmpl0, 1)
    }

    fn refused(change: impl Fn(&mut MessageHeader)) -> Option<HeaderError> {
        let mut header = header();
        change(&mut header);
        header.check().err()
    }

    #[test]
    fn a_header_that_breaks_a_rule_is_refused() {
        assert_eq!(refused(|header| header.algorithm = 2), Some(HeaderError::Algorithm(2)));
        assert_eq!(refused(|header| header.header_version = 2), Some(HeaderError::Header));
        assert_eq!(refused(|header| header.header_size = 0x61), Some(HeaderError::Header));
        assert_eq!(refused(|header| header.message_size = 4001), Some(HeaderError::Size(4001)));
        assert_eq!(refused(|header| header.vmpck = 4), Some(HeaderError::Vmpck(4)));
        assert_eq!(refused(|header| header.sequence = 0), Some(HeaderError::Sequence));
        assert_eq!(refused(|header| header.reserved_3d[34] = 1), Some(HeaderError::Reserved));
        assert_eq!(refused(|header| header.tag[16] = 1), Some(HeaderError::Reserved));
        assert_eq!(header().check(), Ok(Vmpl::Vmpl0));
    }

    #[test]
    fn the_authenticated_part_leaves_tag_and_sequence_out() {
        assert_eq!(header().authenticated_part().len(), 0x30);
        assert_eq!(header().authenticated_part()[0], ALGORITHM_AES_256_GCM);
        assert_eq!(header().iv(), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn nobody_speaks_for_a_more_privileged_level() {
        let request = ReportRequest { vmpl: 1, ..ReportRequest::new_zeroed() };
        assert_eq!(request.check(Vmpl::Vmpl2), Err(RequestError::Vmpl(1)));
        assert_eq!(request.check(Vmpl::Vmpl0), Ok(Vmpl::Vmpl1));
        let key = KeyRequest { vmpl: 4, ..KeyRequest::new_zeroed() };
        assert_eq!(key.check(Vmpl::Vmpl0), Err(RequestError::Vmpl(4)));
    }

    #[test]
    fn unknown_bits_are_refused() {
        let key = KeyRequest { guest_field_select: 1 << 6, ..KeyRequest::new_zeroed() };
        assert_eq!(key.check(Vmpl::Vmpl0), Err(RequestError::Fields(1 << 6)));
        let key = KeyRequest { root_key_select: 8, ..KeyRequest::new_zeroed() };
        assert_eq!(key.check(Vmpl::Vmpl0), Err(RequestError::Reserved));
        let key = KeyRequest { root_key_select: 6, ..KeyRequest::new_zeroed() };
        assert_eq!(key.check(Vmpl::Vmpl0), Err(RequestError::Key(3)));
        let report = ReportRequest { key_select: 3, ..ReportRequest::new_zeroed() };
        assert_eq!(report.check(Vmpl::Vmpl0), Err(RequestError::Key(3)));
    }
}
