// SPDX-License-Identifier: MIT OR Apache-2.0
//! Guest requests: encrypted messages to the secure processor. AMD 56421, 4.1.7 and 4.1.8.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use snp_abi::PAGE_SIZE;
use snp_abi::ghcb::{Field, GuestRequestStatus, exit};
use snp_abi::guest_request::status;
use spin::Mutex;

use super::call::{Call, INVALID_INPUT, Refusal};
use super::{is_shared, note_refusal};
use crate::layout::PAGE;
use crate::psp::{FirmwareError, MessagePage, Psp};
use crate::{fatal, physical};

/// The secure processor with its guest, once that is launched.
static SECURE_PROCESSOR: Mutex<Option<Psp>> = Mutex::new(None);
/// Requests still to be answered with "busy", as hosts that limit the rate do.
static THROTTLED: AtomicU32 = AtomicU32::new(0);

/// The host has no certificates.
static WITHOUT_CERTIFICATES: AtomicBool = AtomicBool::new(false);
/// Pages that the host's certificates take.
const CERTIFICATE_PAGES: u64 = 1;
/// Most pages that a guest may offer for them.
const CERTIFICATE_PAGES_MAX: u64 = 16;

/// Connects the secure processor, once, at launch.
pub(crate) fn install(secure_processor: Psp) {
    *SECURE_PROCESSOR.lock() = Some(secure_processor);
}

/// Has the next `count` requests answered with "busy".
pub(crate) fn throttle(count: u32) {
    THROTTLED.store(count, SeqCst);
}

/// Leaves the certificates out of extended requests.
pub(crate) fn set_without_certificates(without: bool) {
    WITHOUT_CERTIFICATES.store(without, SeqCst);
}

/// Serves a guest request, plain or extended.
pub(super) fn serve(call: &mut Call) -> Result<u64, Refusal> {
    let (request, response) = (call.info_1, call.info_2);
    let usable = |gpa: u64| gpa.is_multiple_of(PAGE) && is_shared(gpa);
    if request == response || !usable(request) || !usable(response) {
        note_refusal("guest request with pages", request, response);
        return Err(INVALID_INPUT);
    }
    let mut certificates = None;
    if call.code == exit::EXTENDED_GUEST_REQUEST {
        let (gpa, pages) = certificate_room(call)?;
        if pages < CERTIFICATE_PAGES {
            call.set(Field::Rbx, CERTIFICATE_PAGES);
            let hypervisor = GuestRequestStatus::INVALID_LENGTH;
            return Ok(GuestRequestStatus { hypervisor, firmware: 0 }.encode());
        }
        certificates = Some(gpa);
    }
    let throttled = THROTTLED.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
    let status = if throttled {
        GuestRequestStatus { hypervisor: GuestRequestStatus::BUSY, firmware: 0 }
    } else {
        certificates.into_iter().for_each(write_certificates);
        GuestRequestStatus { hypervisor: 0, firmware: exchange(request, response) }
    };
    Ok(status.encode())
}

/// Where the guest wants the certificates: address and number of pages, all of them shared.
fn certificate_room(call: &Call) -> Result<(u64, u64), Refusal> {
    let (gpa, pages) = (call.get(Field::Rax)?, call.get(Field::Rbx)?);
    let shared = pages <= CERTIFICATE_PAGES_MAX
        && gpa.is_multiple_of(PAGE)
        && gpa.checked_add(pages * PAGE).is_some()
        && (0..pages).all(|page| is_shared(gpa + page * PAGE));
    if !shared {
        note_refusal("guest request with room for certificates", gpa, pages);
        return Err(INVALID_INPUT);
    }
    Ok((gpa, pages))
}

/// Writes the table of certificates; one without entries when there are none.
fn write_certificates(gpa: u64) {
    let mut page: MessagePage = [0; PAGE_SIZE];
    if !WITHOUT_CERTIFICATES.load(SeqCst)
        && let Some(secure_processor) = SECURE_PROCESSOR.lock().as_ref()
        && secure_processor.write_certificates(&mut page).is_none()
    {
        fatal!("the certificates can't be made");
    }
    physical::write_bytes(gpa, &page);
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
