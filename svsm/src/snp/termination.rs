// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why the SVSM ends the guest: the codes of its reason set in the GHCB MSR protocol's termination
//! request (AMD 56421, 2.3.1).

use snp_abi::msr_protocol::{Request, termination};

/// Reason codes. The numbers are stable: scripts and the documentation know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// A fault of ours: a panic, or an invariant that does not hold.
    Internal = 0x01,
    /// The CPUID page has no plausible C-bit.
    NoCBit = 0x02,
    /// The CPUID page is malformed, or the processor lacks what the SVSM needs.
    Cpuid = 0x03,
    /// The launch configuration is malformed.
    LaunchConfig = 0x04,
    /// The hypervisor offers too little, or another GHCB protocol version.
    Hypervisor = 0x05,
    /// The hypervisor answered against the protocol.
    HypervisorAnswer = 0x06,
    /// The memory map or vCPU count is malformed.
    MemoryMap = 0x07,
    /// A page could not be validated.
    Validation = 0x08,
    /// The SVSM's own code touched a page that is not validated.
    NotValidated = 0x09,
    /// An exception that the SVSM's code must not raise.
    Exception = 0x0a,
    /// A stack ran into its guard page.
    StackOverflow = 0x0b,
    /// The region is too small for what the SVSM needs.
    OutOfMemory = 0x0c,
    /// No entropy.
    Entropy = 0x0d,
    /// A payload file is missing, malformed, or not the one that was measured.
    Payload = 0x0e,
    /// The guest's vCPU could not be made or run.
    GuestLaunch = 0x0f,
    /// The vTPM could not start.
    Vtpm = 0x10,
}

/// The value for the GHCB MSR.
pub const fn request(reason: Reason) -> u64 {
    Request::Terminate { set: termination::SET_MACADAMIA, code: reason as u8 }.encode()
}

/// Ends the guest.
#[cfg(feature = "bare-metal")]
pub fn terminate(reason: Reason) -> ! {
    loop {
        super::msr_protocol::exchange(request(reason));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_request_of_our_set() {
        let expected = Request::Terminate { set: 0xd, code: 9 };
        assert_eq!(Request::decode(request(Reason::NotValidated)), Ok(expected));
    }
}
