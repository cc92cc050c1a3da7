// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way to the firmware on this machine: shared pages and the GHCB's guest requests (AMD 56421,
//! 4.1.7 and 4.1.8).

use super::guest_request::{
    CERTIFICATES_MAX, CERTIFICATES_PAGES, Mailbox, MailboxFault, MessagePage,
};
use super::page_state::{PageStateError, allocate_shared};
use crate::cpu::per_cpu;
use crate::cpu::registers::read_tsc;
use crate::memory::shared::SharedPages;
use snp_abi::PAGE_SIZE;
use snp_abi::ghcb::GuestRequestStatus;

/// Ticks to let pass before the same message is sent again: some 50 ms.
const PAUSE_TICKS: u64 = 150_000_000;
/// Looks at the clock while waiting, should it stand still.
const PAUSE_LOOKS_MAX: u64 = 50_000_000;

/// Shared pages: for the message, the answer, and the host's certificates.
#[derive(Debug)]
pub struct FirmwareMailbox {
    request: SharedPages,
    response: SharedPages,
    certificates: SharedPages,
}

impl FirmwareMailbox {
    /// Takes the shared pages that it needs.
    ///
    /// # Errors
    /// No memory, or the hypervisor does not share it.
    pub fn new() -> Result<Self, PageStateError> {
        Ok(Self {
            request: allocate_shared(1)?,
            response: allocate_shared(1)?,
            certificates: allocate_shared(CERTIFICATES_PAGES)?,
        })
    }

    fn send(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
        certificates: Option<(u64, u64)>,
    ) -> Result<GuestRequestStatus, MailboxFault> {
        self.request.write(0, request).map_err(|_| MailboxFault)?;
        self.response.write(0, &[0; PAGE_SIZE]).map_err(|_| MailboxFault)?;
        let status = per_cpu::current()
            .ghcb
            .guest_request(self.request.address(), self.response.address(), certificates)
            .map_err(|_| MailboxFault)?;
        self.response.read(0, response).map_err(|_| MailboxFault)?;
        Ok(status)
    }
}

impl Mailbox for FirmwareMailbox {
    fn exchange(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
    ) -> Result<GuestRequestStatus, MailboxFault> {
        self.send(request, response, None)
    }

    fn exchange_extended(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
        certificates: &mut [u8; CERTIFICATES_MAX],
    ) -> Result<GuestRequestStatus, MailboxFault> {
        for page in 0..CERTIFICATES_PAGES {
            let cleared = self.certificates.write(page * PAGE_SIZE, &[0; PAGE_SIZE]);
            cleared.map_err(|_| MailboxFault)?;
        }
        let place = (self.certificates.address(), CERTIFICATES_PAGES as u64);
        let status = self.send(request, response, Some(place))?;
        self.certificates.read(0, certificates).map_err(|_| MailboxFault)?;
        Ok(status)
    }

    fn pause(&mut self) {
        let start = read_tsc();
        for _ in 0..PAUSE_LOOKS_MAX {
            if read_tsc().wrapping_sub(start) > PAUSE_TICKS {
                return;
            }
            core::hint::spin_loop();
        }
    }
}
