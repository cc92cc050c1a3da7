// SPDX-License-Identifier: MIT OR Apache-2.0
//! Model-specific registers that a guest asks the hypervisor for: a list, since anything else is a
//! #GP, as on KVM. AMD 56421, 4.1.3.

use crate::processor::read_msr;

const APIC_BASE: u32 = 0x1b;
const X2APIC_ENABLE: u64 = 1 << 10;
const MICROCODE_PATCH: u32 = 0x8b;
const MISC_ENABLE: u32 = 0x1a0;
const MTRR_CAPABILITY: u32 = 0xfe;
const MACHINE_CHECK_CAPABILITY: u32 = 0x179;
const MACHINE_CHECK_CONTROL: u32 = 0x17b;
const MTRR_DEFAULT_TYPE: u32 = 0x2ff;
const HARDWARE_CONFIGURATION: u32 = 0xc001_0015;
const SYSTEM_CONFIGURATION: u32 = 0xc001_0010;
const NORTH_BRIDGE_CONFIGURATION: u32 = 0xc001_001f;
const DECODE_CONFIGURATION: u32 = 0xc001_1029;
const LOAD_STORE_CONFIGURATION: u32 = 0xc001_1020;
const INTERRUPT_PENDING_MESSAGE: u32 = 0xc001_0055;
const OS_VISIBLE_WORKAROUNDS: core::ops::RangeInclusive<u32> = 0xc001_0140..=0xc001_0141;

/// The value of a register, or `None` for #GP.
pub(crate) fn read(msr: u32) -> Option<u64> {
    match msr {
        APIC_BASE => Some(read_msr(msr) & !X2APIC_ENABLE),
        MTRR_CAPABILITY
        | MTRR_DEFAULT_TYPE
        | 0x200..=0x20f
        | 0x250
        | 0x258
        | 0x259
        | 0x268..=0x26f => Some(read_msr(msr)),
        MICROCODE_PATCH
        | MISC_ENABLE
        | MACHINE_CHECK_CAPABILITY
        | MACHINE_CHECK_CONTROL
        | HARDWARE_CONFIGURATION
        | SYSTEM_CONFIGURATION
        | NORTH_BRIDGE_CONFIGURATION
        | DECODE_CONFIGURATION
        | LOAD_STORE_CONFIGURATION
        | INTERRUPT_PENDING_MESSAGE => Some(0),
        _ if OS_VISIBLE_WORKAROUNDS.contains(&msr) => Some(0),
        _ => None,
    }
}

/// Accepts a write, or `None` for #GP. What is accepted has no effect in this machine: memory types
/// and machine checks aren't emulated.
pub(crate) fn write(msr: u32, value: u64) -> Option<()> {
    match msr {
        // The APIC stays where it is, in the mode it is in.
        APIC_BASE if value & X2APIC_ENABLE == 0 => Some(()),
        MTRR_DEFAULT_TYPE
        | 0x200..=0x20f
        | 0x250
        | 0x258
        | 0x259
        | 0x268..=0x26f
        | MISC_ENABLE
        | MICROCODE_PATCH
        | MACHINE_CHECK_CONTROL
        | HARDWARE_CONFIGURATION
        | DECODE_CONFIGURATION
        | LOAD_STORE_CONFIGURATION
        | INTERRUPT_PENDING_MESSAGE => Some(()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_registers_are_refused() {
        assert_eq!(read(0xdead), None);
        assert_eq!(read(0x802), None, "x2APIC");
        assert_eq!(write(0xdead, 0), None);
        assert_eq!(write(APIC_BASE, X2APIC_ENABLE), None);
        assert_eq!(write(APIC_BASE, 0xfee0_0900), Some(()));
        assert_eq!(read(MICROCODE_PATCH), Some(0));
    }
}
