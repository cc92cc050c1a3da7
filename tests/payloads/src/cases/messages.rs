// SPDX-License-Identifier: MIT OR Apache-2.0
//! Encrypted messages to the secure processor, through the hypervisor and back. AMD 56860, chapter
//! 7.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use snp_abi::certificates::{self, ARK_GUID, ASK_GUID, VCEK_GUID};
use snp_abi::config::{REGION_BASE, SECRETS_OFFSET};
use snp_abi::ghcb::{Field, exit, malformed};
use snp_abi::guest_request::{
    HEADER_SIZE, KeyRequest, KeyResponse, MessageHeader, MessageType, ReportRequest,
    ReportResponse, TAG_SIZE, status,
};
use snp_abi::report::AttestationReport;
use snp_abi::secrets::SecretsPage;
use snp_abi::{PAGE_SIZE, Vmpl};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use crate::ghcb::{Answer, Call, call, get};
use crate::memory::{OTHER_PAGE, PAGE, TEST_PAGE, read_private, read_shared, write_shared};
use crate::{check, check_eq, outcome};

const BUSY: u64 = 2 << 32;
const REPORT_DATA: [u8; 64] = [0x5a; 64];

/// The VMPCK with this number, of this boot.
fn cipher(number: usize) -> Aes256Gcm {
    let secrets: SecretsPage = read_private(REGION_BASE + SECRETS_OFFSET);
    match secrets.vmpck.get(number).and_then(|key| Aes256Gcm::new_from_slice(key).ok()) {
        Some(cipher) => cipher,
        None => outcome::fail(format_args!("VMPCK{number}")),
    }
}

/// A sealed request.
fn seal<T: IntoBytes + Immutable>(
    kind: MessageType,
    sequence: u64,
    request: &T,
) -> [u8; PAGE_SIZE] {
    let mut page = [0; PAGE_SIZE];
    let size = request.as_bytes().len();
    let size_field = u16::try_from(size).unwrap_or(u16::MAX);
    let mut header = MessageHeader::new(kind, 1, size_field, Vmpl::Vmpl0, sequence);
    let text = &mut page[HEADER_SIZE..HEADER_SIZE + size];
    text.copy_from_slice(request.as_bytes());
    let tag = cipher(0).encrypt_inout_detached(
        &header.iv().into(),
        header.authenticated_part(),
        text.into(),
    );
    match tag {
        Ok(tag) => header.tag[..TAG_SIZE].copy_from_slice(&tag),
        Err(_) => outcome::fail(format_args!("sealing")),
    }
    page[..HEADER_SIZE].copy_from_slice(header.as_bytes());
    page
}

fn send(message: [u8; PAGE_SIZE]) -> Answer {
    write_shared(TEST_PAGE, message);
    write_shared(OTHER_PAGE, [0u8; PAGE_SIZE]);
    let code = exit::GUEST_REQUEST;
    call(Call { code, info_1: TEST_PAGE, info_2: OTHER_PAGE, fields: &[] })
}

/// Opens the answer.
fn open<T: FromBytes>(kind: MessageType, sequence: u64) -> T {
    let mut page: [u8; PAGE_SIZE] = read_shared(OTHER_PAGE);
    let (head, body) = page.split_at_mut(HEADER_SIZE);
    let Ok(header) = MessageHeader::read_from_bytes(head) else {
        outcome::fail(format_args!("an answer without a header"));
    };
    check_eq!(header.check(), Ok(Vmpl::Vmpl0));
    check_eq!(header.message_type, kind as u8);
    check_eq!(header.sequence, sequence);
    let text = &mut body[..usize::from(header.message_size)];
    let Some(tag) = header.tag.first_chunk::<TAG_SIZE>() else {
        outcome::fail(format_args!("an answer without a tag"));
    };
    let opened = cipher(0).decrypt_inout_detached(
        &header.iv().into(),
        header.authenticated_part(),
        (&mut *text).into(),
        &(*tag).into(),
    );
    check!(opened.is_ok());
    match T::read_from_prefix(text) {
        Ok((answer, _)) => answer,
        Err(_) => outcome::fail(format_args!("an answer that is too short")),
    }
}

fn report_request() -> ReportRequest {
    ReportRequest { report_data: REPORT_DATA, ..ReportRequest::new_zeroed() }
}

const DONE: Answer = Answer::DONE;

fn refused(status: u32) -> Answer {
    Answer { info_1: 0, info_2: u64::from(status) }
}

/// The report that message 1 asks for.
pub(super) fn first_report() -> AttestationReport {
    check_eq!(send(seal(MessageType::ReportRequest, 1, &report_request())), DONE);
    let answer: ReportResponse = open(MessageType::ReportResponse, 2);
    check_eq!(answer.status, status::SUCCESS);
    match AttestationReport::read_from_bytes(&answer.report[..]) {
        Ok(report) => report,
        Err(_) => outcome::fail(format_args!("a report of another size")),
    }
}

/// The answer to a request for a key in message `sequence`.
pub(super) fn key(sequence: u64, request: &KeyRequest) -> KeyResponse {
    check_eq!(send(seal(MessageType::KeyRequest, sequence, request)), DONE);
    open(MessageType::KeyResponse, sequence + 1)
}

pub(super) fn report() {
    let report = first_report();
    check_eq!(report.report_data, REPORT_DATA);
    check_eq!(report.vmpl, 0);
    check!(report.measurement != [0; 48]);
    // The next exchange goes on where this one ended; a less privileged level may be asked for.
    let request = ReportRequest { vmpl: 3, ..report_request() };
    check_eq!(send(seal(MessageType::ReportRequest, 3, &request)), DONE);
    let answer: ReportResponse = open(MessageType::ReportResponse, 4);
    check_eq!(answer.status, status::SUCCESS);
}

pub(super) fn derived_key() {
    let request = KeyRequest::new_zeroed();
    let first = key(1, &request);
    check_eq!(first.status, status::SUCCESS);
    let second = key(3, &request);
    check!(first.key == second.key && first.key != [0; 32]);
    let third = key(5, &KeyRequest { vmpl: 2, ..request });
    check!(third.status == status::SUCCESS && third.key != first.key);
}

/// A number that was used, or one too many.
pub(super) fn replayed() {
    let first = seal(MessageType::ReportRequest, 1, &report_request());
    check_eq!(send(first), DONE);
    check_eq!(send(first), refused(status::AEAD_OVERFLOW));
    let skipped = seal(MessageType::ReportRequest, 4, &report_request());
    check_eq!(send(skipped), refused(status::AEAD_OVERFLOW));
    check_eq!(send(seal(MessageType::ReportRequest, 3, &report_request())), DONE);
}

pub(super) fn tampered() {
    let good = seal(MessageType::ReportRequest, 1, &report_request());
    for place in [HEADER_SIZE, HEADER_SIZE + 0x40, 0] {
        let mut bad = good;
        bad[place] ^= 1;
        check!(send(bad).info_2 != 0);
        check_eq!(read_shared::<[u8; 64]>(OTHER_PAGE), [0; 64]);
    }
    // Nothing was used up.
    check_eq!(send(good), DONE);
}

/// Sealed under VMPCK0, but said to be under VMPCK1.
pub(super) fn other_key() {
    const VMPCK_FIELD: usize = 0x3c;
    let mut message = seal(MessageType::ReportRequest, 1, &report_request());
    message[VMPCK_FIELD] = 1;
    check!(send(message).info_2 != 0);
}

/// Where certificates go.
const CERTIFICATE_PAGE: u64 = OTHER_PAGE + PAGE;

/// Sends with room for certificates: as many pages.
fn send_extended(message: [u8; PAGE_SIZE], pages: u64) -> Answer {
    write_shared(TEST_PAGE, message);
    write_shared(OTHER_PAGE, [0u8; PAGE_SIZE]);
    write_shared(CERTIFICATE_PAGE, [0xeeu8; PAGE_SIZE]);
    let fields = [(Field::Rax, CERTIFICATE_PAGE), (Field::Rbx, pages)];
    let code = exit::EXTENDED_GUEST_REQUEST;
    call(Call { code, info_1: TEST_PAGE, info_2: OTHER_PAGE, fields: &fields })
}

fn certificate_page() -> [u8; PAGE_SIZE] {
    read_shared(CERTIFICATE_PAGE)
}

/// Without room the firmware doesn't see the message, which is as good as new then.
pub(super) fn certificates() {
    const NO_ROOM: u64 = 1 << 32;
    let message = seal(MessageType::ReportRequest, 1, &report_request());
    check_eq!(send_extended(message, 0), Answer { info_1: 0, info_2: NO_ROOM });
    check_eq!(get(Field::Rbx), (1, true));
    check_eq!(send_extended(message, 1), DONE);
    let answer: ReportResponse = open(MessageType::ReportResponse, 2);
    check_eq!(answer.status, status::SUCCESS);
    let page = certificate_page();
    for kind in [VCEK_GUID, ASK_GUID, ARK_GUID] {
        let certificate = certificates::find(&page, kind);
        check!(matches!(certificate, Ok(Some(bytes)) if bytes.starts_with(&[0x30, 0x82])));
    }
}

/// A host without certificates says so by an empty table.
pub(super) fn no_certificates() {
    let message = seal(MessageType::ReportRequest, 1, &report_request());
    check_eq!(send_extended(message, 1), DONE);
    check_eq!(certificate_page()[..24], [0; 24]);
}

/// Room that isn't shared memory.
pub(super) fn certificates_elsewhere() {
    let message = seal(MessageType::ReportRequest, 1, &report_request());
    write_shared(TEST_PAGE, message);
    for (gpa, pages) in
        [(REGION_BASE, 1), (CERTIFICATE_PAGE + 8, 1), (CERTIFICATE_PAGE, u64::MAX), (!0xfff, 1)]
    {
        let fields = [(Field::Rax, gpa), (Field::Rbx, pages)];
        let code = exit::EXTENDED_GUEST_REQUEST;
        let answer = call(Call { code, info_1: TEST_PAGE, info_2: OTHER_PAGE, fields: &fields });
        check_eq!(answer, Answer::malformed(malformed::INVALID_INPUT));
    }
    check_eq!(send(message), DONE);
}

/// After "busy" the same message is sent again, and is as good as new.
pub(super) fn sent_again() {
    let message = seal(MessageType::ReportRequest, 1, &report_request());
    check_eq!(send(message), Answer { info_1: 0, info_2: BUSY });
    check_eq!(send(message), DONE);
    let answer: ReportResponse = open(MessageType::ReportResponse, 2);
    check_eq!(answer.status, status::SUCCESS);
}
