// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest requests: encrypted messages to the secure processor. AMD 56421, 4.1.7 and 4.1.8.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use snp_abi::PAGE_SIZE;
use snp_abi::ghcb::GuestRequestStatus;
use spin::Mutex;

use super::call::{Call, INVALID_INPUT, Refusal};
use super::{is_shared, note_refusal};
use crate::layout::PAGE;
use crate::physical;

/// A page of a message.
pub(crate) type MessagePage = [u8; PAGE_SIZE];
/// The secure processor: reads the request, fills in the response, answers with its status.
pub(crate) type SecureProcessor = fn(request: &MessagePage, response: &mut MessagePage) -> u32;

static SECURE_PROCESSOR: Mutex<Option<SecureProcessor>> = Mutex::new(None);
/// Requests still to be answered with "busy", as hosts that limit the rate do.
static THROTTLED: AtomicU32 = AtomicU32::new(0);
/// Firmware status when there is no secure processor: INVALID_GUEST_STATE.
const NO_FIRMWARE: u32 = 0x18;

/// Connects the secure processor, once, at launch.
pub(crate) fn install(secure_processor: SecureProcessor) {
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
    let throttled =
        THROTTLED.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    let status = if throttled {
        GuestRequestStatus { hypervisor: GuestRequestStatus::BUSY, firmware: 0 }
    } else {
        // Copied in and out once: the pages are shared.
        let mut message = [0; PAGE_SIZE];
        let mut answer = [0; PAGE_SIZE];
        physical::read_bytes(request, &mut message);
        let firmware = match *SECURE_PROCESSOR.lock() {
            Some(secure_processor) => secure_processor(&message, &mut answer),
            None => NO_FIRMWARE,
        };
        if firmware == 0 {
            physical::write_bytes(response, &answer);
        }
        GuestRequestStatus { hypervisor: 0, firmware }
    };
    Ok(status.encode())
}
