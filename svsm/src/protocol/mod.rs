// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM's calls (AMD 58019): who may ask what, and what the answer is.
//!
//! The run loop reads the caller's registers from its VMSA, hands them to [`dispatch`] and writes
//! them back. RAX carries protocol and call in, the result code out; the other registers change
//! only where the call defines an output. All arguments are allegations until a handler has checked
//! them.
//!
//! Locks, in the order in which they are taken: one for the firmware, one for the vTPM, one for the
//! core protocol's state. A lock that another vCPU holds is waited for with a bound; then the
//! caller gets BUSY and nothing has changed.

#![forbid(unsafe_code)]

extern crate alloc;

pub mod attest;
pub mod cases;
pub mod core;
pub mod deposits;
#[cfg(any(test, feature = "simulation"))]
pub mod fuzz;
pub mod guest_pages;
pub mod outcome;
pub mod page_list;
pub mod vcpus;
pub mod vtpm;

#[cfg(test)]
mod tests;

use crate::machine::Machine;
use ::core::hint::spin_loop;
use alloc::boxed::Box;
use outcome::Refusal;
use snp_abi::svsm::{CallNumber, CallResult, protocol};
use spin::mutex::{Mutex, MutexGuard};
use vcpus::{TableFull, Vcpu, VmsaOwner};

/// Tries to get a lock before a call is answered with BUSY. A core lock is held for one page's
/// work; a vTPM's for one command, and its caller only re-issues.
const LOCK_TRIES: u32 = 100_000;

/// The registers that carry a call and its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named by the processor")]
pub struct Registers {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub r8: u64,
    pub r9: u64,
}

/// The vCPU that makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its APIC id.
    pub apic_id: u32,
}

/// Everything that the calls act on; one for the whole machine.
pub struct Services {
    core: Mutex<core::CoreState>,
    vtpm: Mutex<Option<vtpm::Port>>,
    attestation: Mutex<Option<attest::Port>>,
}

impl Default for Services {
    fn default() -> Self {
        Self::new()
    }
}

impl Services {
    /// A guest without vCPUs, without a vTPM and without firmware to ask for reports.
    pub const fn new() -> Self {
        Self {
            core: Mutex::new(core::CoreState::new()),
            vtpm: Mutex::new(None),
            attestation: Mutex::new(None),
        }
    }

    /// Attaches the TPM. To be called before the guest starts.
    pub fn attach_vtpm(&self, engine: Box<dyn vtpm::Engine + Send>) -> Result<(), Refusal> {
        *self.vtpm()? = Some(vtpm::Port::new(engine));
        Ok(())
    }

    /// Attaches the firmware that makes reports. To be called before the guest starts.
    pub fn attach_firmware(
        &self,
        firmware: Box<dyn attest::Firmware + Send>,
    ) -> Result<(), Refusal> {
        *self.attestation()? = Some(attest::Port::new(firmware));
        Ok(())
    }

    /// Registers a vCPU whose VMSA the SVSM itself made.
    pub fn add_own_vcpu(&self, apic_id: u32, vmsa: u64, calling_area: u64) -> Result<(), Refusal> {
        let mut state = self.core()?;
        state
            .vcpus
            .insert(apic_id, vmsa, calling_area, VmsaOwner::Svsm)
            .map_err(|TableFull| Refusal::InvalidRequest)
    }

    /// Says where the guest's secrets page is and which vCPU it starts on.
    pub fn set_guest_boot(&self, boot: core::GuestBoot) -> Result<(), Refusal> {
        self.core()?.boot = Some(boot);
        Ok(())
    }

    /// The VMSA and calling area of a vCPU that has just entered the SVSM. Until
    /// [`Services::end_call`] the VMSA can't be deleted, so its registers may be read and written.
    /// `None`: it has no VMSA now.
    pub fn begin_call(&self, apic_id: u32) -> Result<Option<Vcpu>, Refusal> {
        Ok(self.core()?.vcpus.begin_call(apic_id))
    }

    /// Ends what [`Services::begin_call`] began.
    pub fn end_call(&self, vcpu: &Vcpu) {
        self.core_after_effects().vcpus.end_call(vcpu.vmsa);
    }

    /// Least and greatest version of a protocol; `None` if it isn't offered.
    pub fn versions(&self, protocol: u32) -> Option<(u32, u32)> {
        match protocol {
            protocol::CORE => Some((1, 1)),
            protocol::ATTESTATION if self.has_firmware() => Some((1, 1)),
            protocol::VTPM if self.has_vtpm() => Some((1, 1)),
            _ => None,
        }
    }

    fn has_vtpm(&self) -> bool {
        // A vTPM that is busy at this moment is there.
        self.vtpm.try_lock().is_none_or(|port| port.is_some())
    }

    fn has_firmware(&self) -> bool {
        // As above.
        self.attestation.try_lock().is_none_or(|port| port.is_some())
    }

    /// The core protocol's state.
    pub(crate) fn core(&self) -> Result<MutexGuard<'_, core::CoreState>, Refusal> {
        lock(&self.core)
    }

    /// The core protocol's state, for a call that has had an effect already and can't say BUSY any
    /// more. Each holder has the lock for one page's work only (or one answer's) and none waits for
    /// another lock meanwhile. There is no cap: what follows has to be done, and only a host that
    /// stops a vCPU in between makes this long, as it may stop any.
    pub(crate) fn core_after_effects(&self) -> MutexGuard<'_, core::CoreState> {
        self.core.lock()
    }

    /// The vTPM.
    pub(crate) fn vtpm(&self) -> Result<MutexGuard<'_, Option<vtpm::Port>>, Refusal> {
        lock(&self.vtpm)
    }

    /// The firmware that makes reports.
    pub(crate) fn attestation(&self) -> Result<MutexGuard<'_, Option<attest::Port>>, Refusal> {
        lock(&self.attestation)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>, Refusal> {
    for _ in 0..LOCK_TRIES {
        if let Some(guard) = mutex.try_lock() {
            return Ok(guard);
        }
        spin_loop();
    }
    Err(Refusal::Busy)
}

/// Upper and lower half of a register.
fn halves(register: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = register.to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}

/// Serves the call in `registers` and puts the answer there.
pub fn dispatch(
    services: &Services,
    machine: &mut dyn Machine,
    caller: Caller,
    registers: &mut Registers,
) {
    let CallNumber { protocol, call } = CallNumber::decode(registers.rax);
    let outcome = match protocol {
        protocol::CORE => core::call(services, machine, caller, call, registers),
        protocol::ATTESTATION => attest::call(services, machine, call, registers),
        protocol::VTPM => vtpm::call(services, machine, call, registers),
        _ => Err(Refusal::UnsupportedProtocol),
    };
    registers.rax = match outcome {
        Ok(()) => CallResult::Success.encode(),
        Err(refusal) => refusal.code(),
    };
}
