// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hypervisor's side of the GHCB protocol. AMD 56421.
//!
//! Requests are decoded by snp-abi. A request that the standard lets a hypervisor refuse is refused
//! with the standard's error; what can only be a mistake ends the machine with a report.

mod ap_creation;
mod call;
mod device;
mod dma;
mod guest_request;
mod owned_disk;
mod page_state;

use core::sync::atomic::{AtomicBool, Ordering::SeqCst};

use snp_abi::Vmpl;
use snp_abi::ghcb::{HypervisorFeatures, PageOperation};
use snp_abi::msr_protocol::{
    CpuidRegister, NO_PREFERRED_GHCB, Request, SevInformation, encode_cpuid_answer,
    encode_features_answer, encode_page_state_answer, encode_preferred_ghcb_answer,
    encode_register_ghcb_answer, encode_run_vmpl_answer,
};

use crate::counters::{Event, count, count_many};
use crate::layout::{C_BIT_POSITION, PAGE};
use crate::vcpu::{Context, Next};
use crate::violation::{Place, Rule, guest_terminated, stop};
use crate::{cpuid, say, world};

pub(crate) use guest_request::{
    install as install_secure_processor, set_without_certificates, throttle,
};
pub(crate) use owned_disk::{install as install_owned_disk, set_bare as set_bare_disk};

/// What this hypervisor offers.
const FEATURES: HypervisorFeatures = HypervisorFeatures::SNP
    .union(HypervisorFeatures::AP_CREATION)
    .union(HypervisorFeatures::MULTI_VMPL);

/// Serves a VMGEXIT; RIP is behind it already.
pub(crate) fn vmgexit(context: &mut Context) -> Next {
    let value = context.ghcb;
    match Request::decode(value) {
        Ok(Request::Ghcb(gpa)) => {
            count(context.processor, context.vmpl, Event::GhcbCall);
            call::serve(context, gpa)
        }
        Ok(request) => {
            count(context.processor, context.vmpl, Event::MsrProtocol);
            msr_protocol(context, request)
        }
        Err(_) => {
            let known = matches!(
                value & 0xfff,
                0x002 | 0x004 | 0x006 | 0x010 | 0x012 | 0x014 | 0x016 | 0x080 | 0x100
            );
            let rule = if known { Rule::MsrProtocolMalformed } else { Rule::MsrProtocolUnknown };
            stop(context, rule, Place::gpa(value, "ghcb-msr"))
        }
    }
}

fn msr_protocol(context: &mut Context, request: Request) -> Next {
    let mut next = Next::Same;
    context.ghcb = match request {
        Request::Ghcb(gpa) => gpa,
        Request::SevInformation => SevInformation {
            version_max: 2,
            version_min: 1,
            c_bit_position: u8::try_from(C_BIT_POSITION).unwrap_or(0),
        }
        .encode(),
        Request::Cpuid { leaf, register } => {
            let [eax, ebx, ecx, edx] = cpuid::guest_cpuid(leaf, 0);
            let value = match register {
                CpuidRegister::Eax => eax,
                CpuidRegister::Ebx => ebx,
                CpuidRegister::Ecx => ecx,
                CpuidRegister::Edx => edx,
            };
            encode_cpuid_answer(register, value)
        }
        Request::PreferredGhcb => encode_preferred_ghcb_answer(NO_PREFERRED_GHCB),
        Request::RegisterGhcb(gpa) => {
            let accepted = is_shared(gpa);
            context.registered_ghcb = accepted.then_some(gpa);
            encode_register_ghcb_answer(accepted.then_some(gpa))
        }
        Request::PageState { gpa, operation } => {
            count(context.processor, context.vmpl, Event::PageStateChange);
            let private = operation == PageOperation::Private;
            let result = world::memory().change_state(context.processor, gpa, private, false);
            count_many(context.processor, context.vmpl, Event::PageStatePages, 1);
            encode_page_state_answer(u32::from(result.is_err()))
        }
        Request::RunVmpl(vmpl) => {
            count(context.processor, context.vmpl, Event::RunVmpl);
            match run_vmpl(context, vmpl) {
                Some(vmpl) => {
                    next = Next::Run(vmpl);
                    encode_run_vmpl_answer(0)
                }
                None => encode_run_vmpl_answer(1),
            }
        }
        Request::HypervisorFeatures => encode_features_answer(FEATURES.bits()),
        Request::Terminate { set, code } => {
            guest_terminated(context, u64::from(set), u64::from(code))
        }
        // Offered to guests without AP creation only.
        Request::ApResetHold => {
            stop(context, Rule::MsrProtocolUnknown, Place::gpa(6, "ap-reset-hold"))
        }
    };
    next
}

/// Whether this VMPL may be run now. VMPL0 may run one that has no VMSA yet: the processor then
/// waits until AP creation gives it one. For the others that would be a way to lose the processor.
fn run_vmpl(context: &Context, vmpl: Vmpl) -> Option<Vmpl> {
    let (_, member) = world::member(context.processor as u64)?;
    (context.vmpl == Vmpl::Vmpl0 || member.vmsa(vmpl).is_some()).then_some(vmpl)
}

/// Memory that isn't assigned.
fn is_shared(gpa: u64) -> bool {
    world::memory().rmp.entry(gpa / PAGE).is_shared()
}

/// Says once that something was refused that a hypervisor may refuse: it is often a mistake.
fn note_refusal(what: &str, first: u64, second: u64) {
    static NOTES: [AtomicBool; 32] = [const { AtomicBool::new(false) }; 32];
    if NOTES.iter().any(|note| !note.swap(true, SeqCst)) {
        say!("refused: {what} {first:#x} {second:#x}");
    }
}
