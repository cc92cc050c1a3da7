// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest requests: encrypted messages to the secure processor. AMD 56421, 4.1.7 and 4.1.8.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use snp_abi::PAGE_SIZE;
use snp_abi::ghcb::GuestRequestStatus;
use snp_abi::guest_request::status;
use spin::Mutex;

use super::call::{Call, INVALID_INPUT, Refusal};
use super::{is_shared, note_refusal};
use crate::layout::PAGE;
use crate::physical;
use crate::psp::{FirmwareError, MessagePage, Psp};

/// The secure processor with its guest, once that is launched.
static SECURE_PROCESSOR: Mutex<Option<Psp>> = Mutex::new(None);
/// Requests still to be answered with "busy", as hosts that limit the rate do.
static THROTTLED: AtomicU32 = AtomicU32::new(0);

/// Connects the secure processor, once, at launch.
pub(crate) fn install(secure_processor: Psp) {
    *SECURE_PROCESSOR.lock() = Some(secure_processor);
}

/// Has the next `count` requests answered with "busy".
pub(crate) fn throttle(count: u32) {
    THROTTLED.store(count, SeqCst);
}

/// Serves a guest request, plain or extended; there are no certificates to add.
pub(super) fn serve(call: &Call) -> Result<u64, Refusal> {
    let (request, response) = (call.info_1, call.info_2);
    let usable = |gpa: u64| gpa.is_multiple_of(PAGE) && is_shared(gpa);
    if request == response || !usable(request) || !usable(response) {
        note_refusal("guest request with pages", request, response);
        return Err(INVALID_INPUT);
    }
    let throttled = THROTTLED.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    let status = if throttled {
        GuestRequestStatus { hypervisor: GuestRequestStatus::BUSY, firmware: 0 }
    } else {
        GuestRequestStatus { hypervisor: 0, firmware: exchange(request, response) }
    };
    Ok(status.encode())
}

/// Has the secure processor answer; its status. The pages are shared: each is copied once.
fn exchange(request: u64, response: u64) -> u32 {
    let mut message: MessagePage = [0; PAGE_SIZE];
    let mut answer: MessagePage = [0; PAGE_SIZE];
    physical::read_bytes(request, &mut message);
    let result = match SECURE_PROCESSOR.lock().as_mut() {
        Some(secure_processor) => secure_processor.guest_request(&message, &mut answer),
        None => Err(FirmwareError(status::INVALID_GUEST_STATE)),
    };
    match result {
        Ok(()) => {
            physical::write_bytes(response, &answer);
            status::SUCCESS
        }
        Err(FirmwareError(status)) => status,
    }
}
