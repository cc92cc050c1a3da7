// SPDX-License-Identifier: MIT OR Apache-2.0
//! AP creation: which VMSA a processor's VMPL runs from. AMD 56421, 4.1.9.

use core::hint::spin_loop;
use core::sync::atomic::Ordering::SeqCst;

use snp_abi::ghcb::{ApCreation, ApRequest, Field};
use snp_abi::vmsa::SevFeatures;

use super::call::{Call, INVALID_INPUT, Refusal};
use crate::layout::PAGE;
use crate::processor::ticks;
use crate::vcpu::Context;
use crate::{say, world};

/// Ticks that a destroyer waits for the processor to give up the VMSA. When two processors destroy
/// each other's VMSA neither can answer: then it is given up later.
const RELEASE_WAIT_TICKS: u64 = 2_000_000_000;

/// Serves the event.
pub(super) fn serve(context: &Context, call: &Call) -> Result<u64, Refusal> {
    let request = ApCreation::decode(call.info_1).ok_or(INVALID_INPUT)?;
    let (target, member) = world::member(u64::from(request.apic_id)).ok_or(INVALID_INPUT)?;
    // A guest decides about its own level and those below, not about the SVSM's.
    if request.vmpl < context.vmpl {
        return Err(INVALID_INPUT);
    }
    let vmsa = call.info_2;
    let wanted = match request.request {
        ApRequest::Destroy => None,
        ApRequest::Create | ApRequest::CreateOnInit => {
            let memory = world::memory().rmp.entry(vmsa / PAGE).is_memory();
            let same_features = call.get(Field::Rax)? == SevFeatures::SNP_ACTIVE.bits();
            if !vmsa.is_multiple_of(PAGE) || !memory || !same_features {
                return Err(INVALID_INPUT);
            }
            Some(vmsa)
        }
    };
    say!(
        "AP creation: {:?} cpu {target} vmpl {} vmsa {vmsa:#x}",
        request.request,
        request.vmpl.index(),
    );
    let before = member.vmsa(request.vmpl);
    member.set_vmsa(request.vmpl, wanted);
    // After the change: see `follow_vmsa`.
    member.wake.store(1, SeqCst);
    if target != context.processor {
        world::kick(target);
        if let Some(before) = before.filter(|_| before != wanted) {
            wait_for_release(before);
        }
    }
    Ok(0)
}

/// Waits until nobody runs from a VMSA any more, so that its owner may use the page.
fn wait_for_release(vmsa: u64) {
    let begin = ticks();
    while world::memory().rmp.entry(vmsa / PAGE).is_in_use()
        && ticks().wrapping_sub(begin) < RELEASE_WAIT_TICKS
    {
        spin_loop();
    }
}
