// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way to the firmware on this machine: two shared pages and the GHCB's guest request
//! (AMD 56421, 4.1.7).

use super::guest_request::{Mailbox, MailboxFault, MessagePage};
use super::page_state::{PageStateError, allocate_shared};
use crate::cpu::per_cpu;
use crate::cpu::registers::read_tsc;
use crate::memory::shared::SharedPages;
use snp_abi::ghcb::GuestRequestStatus;

/// Ticks to let pass before the same message is sent again: some 50 ms.
const PAUSE_TICKS: u64 = 150_000_000;
/// Looks at the clock while waiting, should it stand still.
const PAUSE_LOOKS_MAX: u64 = 50_000_000;

/// Two shared pages.
#[derive(Debug)]
pub struct FirmwareMailbox {
    request: SharedPages,
    response: SharedPages,
}

impl FirmwareMailbox {
    /// Takes the shared pages that it needs.
    ///
    /// # Errors
    /// No memory, or the hypervisor does not share it.
    pub fn new() -> Result<Self, PageStateError> {
        Ok(Self { request: allocate_shared(1)?, response: allocate_shared(1)? })
    }
}

impl Mailbox for FirmwareMailbox {
    fn exchange(
        &mut self,
        request: &MessagePage,
        response: &mut MessagePage,
    ) -> Result<GuestRequestStatus, MailboxFault> {
        self.request.write(0, request).map_err(|_| MailboxFault)?;
        self.response.write(0, &[0; snp_abi::PAGE_SIZE]).map_err(|_| MailboxFault)?;
        let status = per_cpu::current()
            .ghcb
            .guest_request(self.request.address(), self.response.address())
            .map_err(|_| MailboxFault)?;
        self.response.read(0, response).map_err(|_| MailboxFault)?;
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
