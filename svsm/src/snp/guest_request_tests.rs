// SPDX-License-Identifier: MIT OR Apache-2.0
//! The channel against a firmware and a host that behave as each test wants.

use super::*;
use crate::memory::scarce::{with_plenty, without_one_allocation};

const KEY: [u8; 32] = [0x42; 32];
const PATIENCE: u32 = 3;

/// What the host does to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Pass,
    Busy,
    /// Lets the firmware answer, but does not deliver the answer.
    LoseAnswer,
    FlipAnswer(usize),
    ReplayFirstAnswer,
    FirmwareError,
    HostError,
    Fault,
}

/// Firmware behind a host.
struct FakeHost {
    deeds: Vec<Deed>,
    expected: u64,
    status: u32,
    seen: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    pauses: usize,
    /// What an extended request brings along: from the host, a table of this length.
    certificates: usize,
    extended: usize,
}

impl FakeHost {
    fn new(deeds: &[Deed]) -> Self {
        let deeds = deeds.to_vec();
        Self {
            deeds,
            expected: 1,
            status: 0,
            seen: vec![],
            answers: vec![],
            pauses: 0,
            certificates: 0,
            extended: 0,
        }
    }

    /// The firmware: a report holds the report data, a key is the field selection.
    fn answer(&mut self, page: &MessagePage) -> MessagePage {
        let (header, body) = MessageHeader::read_from_prefix(page).unwrap();
        assert_eq!(header.check(), Ok(Vmpl::Vmpl0));
        assert_eq!(header.sequence, self.expected, "one number, one message");
        self.expected += 2;
        let cipher = Aes256Gcm::new(&KEY.into());
        let mut request = body[..usize::from(header.message_size)].to_vec();
        let tag: [u8; 16] = header.tag[..16].try_into().unwrap();
        cipher
            .decrypt_inout_detached(
                &header.iv().into(),
                header.authenticated_part(),
                request.as_mut_slice().into(),
                &tag.into(),
            )
            .unwrap();
        let (kind, mut payload) = if header.message_type == MessageType::ReportRequest as u8 {
            let mut response = ReportResponse::new_zeroed();
            response.status = self.status;
            response.report_size = 0x4a0;
            response.report[0x50..0x90].copy_from_slice(&request[..64]);
            (MessageType::ReportResponse, response.as_bytes().to_vec())
        } else {
            let mut response = KeyResponse::new_zeroed();
            response.status = self.status;
            response.key[..8].copy_from_slice(&request[8..16]);
            (MessageType::KeyResponse, response.as_bytes().to_vec())
        };
        let size = u16::try_from(payload.len()).unwrap();
        let mut header = MessageHeader::new(kind, 1, size, Vmpl::Vmpl0, header.sequence + 1);
        let tag = cipher
            .encrypt_inout_detached(
                &header.iv().into(),
                header.authenticated_part(),
                payload.as_mut_slice().into(),
            )
            .unwrap();
        header.tag[..16].copy_from_slice(&tag);
        let mut page = [0; PAGE_SIZE];
        page[..HEADER_SIZE].copy_from_slice(header.as_bytes());
        page[HEADER_SIZE..][..payload.len()].copy_from_slice(&payload);
        self.answers.push(page.to_vec());
        page
    }

    fn pass(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
    ) -> Result<GuestRequestStatus, MailboxFault> {
        self.seen.push(request.to_vec());
        let deed = if self.deeds.is_empty() { Deed::Pass } else { self.deeds.remove(0) };
        let status = |hypervisor, firmware| Ok(GuestRequestStatus { hypervisor, firmware });
        match deed {
            Deed::Busy => status(GuestRequestStatus::BUSY, 0),
            Deed::FirmwareError => status(0, 0x16),
            Deed::HostError => status(1, 0),
            Deed::Fault => Err(MailboxFault),
            Deed::ReplayFirstAnswer => {
                response.copy_from_slice(&self.answers[0]);
                status(0, 0)
            }
            Deed::Pass | Deed::LoseAnswer | Deed::FlipAnswer(_) => {
                let mut answer = self.answer(request);
                if let Deed::FlipAnswer(offset) = deed {
                    answer[offset] ^= 1;
                }
                if deed != Deed::LoseAnswer {
                    response.copy_from_slice(&answer);
                }
                status(0, 0)
            }
        }
    }
}

impl Mailbox for FakeHost {
    fn exchange(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
    ) -> Result<GuestRequestStatus, MailboxFault> {
        with_plenty(|| self.pass(request, response))
    }

    fn exchange_extended(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
        certificates: &mut [u8; CERTIFICATES_MAX],
    ) -> Result<GuestRequestStatus, MailboxFault> {
        self.extended += 1;
        // Rubbish, should the answer not come.
        certificates.fill(0xee);
        if self.certificates > CERTIFICATES_MAX {
            self.seen.push(request.to_vec());
            let hypervisor = GuestRequestStatus::INVALID_LENGTH;
            return Ok(GuestRequestStatus { hypervisor, firmware: 0 });
        }
        certificates[self.certificates..].fill(0);
        self.exchange(request, response)
    }

    fn pause(&mut self) {
        self.pauses += 1;
    }
}

fn channel(deeds: &[Deed]) -> FirmwareChannel<FakeHost> {
    FirmwareChannel::new(FakeHost::new(deeds), Vmpl::Vmpl0, &KEY)
}

fn report(channel: &mut FirmwareChannel<FakeHost>, data: u8) -> Result<u8, ChannelError> {
    channel.report(&[data; 64], Vmpl::Vmpl0, None, PATIENCE).map(|report| report[0x50])
}

#[test]
fn a_wiped_key_is_no_key() {
    let mut channel = FirmwareChannel::new(FakeHost::new(&[]), Vmpl::Vmpl0, &[0; 32]);
    assert_eq!(report(&mut channel, 1), Err(ChannelError::Closed));
    assert!(channel.mailbox.seen.is_empty());
}

#[test]
fn whatever_the_host_does_to_an_answer_closes_the_channel() {
    let deeds = [0, 0x20, 0x34, 0x35, 0x36, 0x3c, 0x60, 0x100].map(Deed::FlipAnswer);
    let others = [Deed::LoseAnswer, Deed::FirmwareError, Deed::HostError, Deed::Fault];
    for deed in deeds.into_iter().chain(others) {
        let mut channel = channel(&[deed]);
        assert_eq!(report(&mut channel, 1), Err(ChannelError::Closed), "{deed:?}");
        assert_eq!(report(&mut channel, 1), Err(ChannelError::Closed), "{deed:?}");
        assert_eq!(channel.mailbox.seen.len(), 1);
    }
}

#[test]
fn an_old_answer_is_no_answer() {
    let mut channel = channel(&[Deed::Pass, Deed::ReplayFirstAnswer]);
    assert_eq!(report(&mut channel, 1), Ok(1));
    assert_eq!(report(&mut channel, 2), Err(ChannelError::Closed));
}

#[test]
fn a_busy_host_gets_the_same_message_again() {
    let mut channel = channel(&[Deed::Busy, Deed::Busy]);
    assert_eq!(report(&mut channel, 7), Ok(7));
    let seen = &channel.mailbox.seen;
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|page| *page == seen[0]));
    assert_eq!(channel.mailbox.pauses, 2);
}

#[test]
fn a_request_that_was_given_up_goes_before_the_next() {
    let mut channel = channel(&[Deed::Busy; 4]);
    assert_eq!(report(&mut channel, 1), Err(ChannelError::Busy));
    assert_eq!(channel.mailbox.seen.len(), PATIENCE as usize);
    // Refused once more, then the old one passes, then the new one: three messages.
    assert_eq!(report(&mut channel, 2), Ok(2));
    let seen = &channel.mailbox.seen;
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[4], seen[0]);
    assert_ne!(seen[5], seen[0]);
}

/// Asked for again, what is on its way is all that is sent.
#[test]
fn a_request_that_was_given_up_serves_the_same_question() {
    let mut channel = channel(&[Deed::Busy; 4]);
    assert_eq!(report(&mut channel, 1), Err(ChannelError::Busy));
    assert_eq!(report(&mut channel, 1), Ok(1));
    let seen = &channel.mailbox.seen;
    assert_eq!(seen.len(), 5);
    assert!(seen.iter().all(|page| *page == seen[0]));
    assert_eq!(report(&mut channel, 1), Ok(1), "and after that it is a new question");
    assert_ne!(channel.mailbox.seen[5], channel.mailbox.seen[0]);
}

#[test]
fn certificates_come_along_or_are_left_out() {
    let mut room = Box::new([0xaa; CERTIFICATES_MAX]);
    let mut channel = channel(&[Deed::Busy]);
    channel.mailbox.certificates = 300;
    let report = |channel: &mut FirmwareChannel<FakeHost>, room: &mut [u8; CERTIFICATES_MAX]| {
        channel.report(&[5; 64], Vmpl::Vmpl0, Some(room), PATIENCE).map(|report| report[0x50])
    };
    assert_eq!(report(&mut channel, &mut room), Ok(5));
    assert_eq!((room[299], room[300], channel.mailbox.extended), (0xee, 0, 2));

    // Too long: the firmware has not seen the message, and the same one goes without them.
    channel.mailbox.certificates = CERTIFICATES_MAX + 1;
    assert_eq!(report(&mut channel, &mut room), Ok(5));
    assert!(room.iter().all(|&byte| byte == 0));
    let seen = &channel.mailbox.seen;
    assert_eq!((seen.len(), channel.mailbox.extended), (4, 3));
    assert_eq!(seen[2], seen[3]);
}

#[test]
fn what_the_firmware_says_in_its_answer_leaves_the_channel_open() {
    let mut channel = channel(&[]);
    channel.mailbox.status = status::INVALID_PARAMETER;
    assert_eq!(report(&mut channel, 1), Err(ChannelError::Refused(status::INVALID_PARAMETER)));
    channel.mailbox.status = 0;
    assert_eq!(report(&mut channel, 2), Ok(2));
    let request = KeyRequest { guest_field_select: 0x2b, ..KeyRequest::new_zeroed() };
    let key = channel.derived_key(&request, PATIENCE).unwrap();
    assert_eq!(key[0], 0x2b);
}

/// Whichever allocation fails: what the host has seen under a number is all it ever sees under it.
#[test]
fn without_memory_no_number_is_used_twice() {
    let mut failures = 0;
    for before in 0..40 {
        let mut channel = channel(&[Deed::Busy; 4]);
        assert_eq!(report(&mut channel, 1), Err(ChannelError::Busy));
        let (outcome, has_failed) = without_one_allocation(before, || report(&mut channel, 2));
        let expected = if has_failed { Err(ChannelError::OutOfMemory) } else { Ok(2) };
        assert_eq!(outcome, expected, "allocation {before}");
        assert_eq!(report(&mut channel, 3), Ok(3), "allocation {before}");
        let seen = &channel.mailbox.seen;
        let number = |page: &[u8]| page[0x20..0x28].to_vec();
        for (one, other) in seen.iter().flat_map(|one| seen.iter().map(move |other| (one, other))) {
            assert!(one == other || number(one) != number(other), "allocation {before}");
        }
        failures += usize::from(has_failed);
    }
    assert!((6..40).contains(&failures), "{failures}");
}
