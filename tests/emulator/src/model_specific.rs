// SPDX-License-Identifier: MIT OR Apache-2.0
//! Model-specific registers that a guest asks the hypervisor for: a list, since anything else is a
//! #GP, as on KVM. AMD 56421, 4.1.3.

use crate::processor::read_msr;

const APIC_BASE: u32 = 0x1b;
const X2APIC_ENABLE: u64 = 1 << 10;
const BOOT_PROCESSOR: u64 = 1 << 8;
const MICROCODE_PATCH: u32 = 0x8b;
const MISC_ENABLE: u32 = 0x1a0;
const MTRR_CAPABILITY: u32 = 0xfe;
const MACHINE_CHECK_CAPABILITY: u32 = 0x179;
const MACHINE_CHECK_STATUS: u32 = 0x17a;
const MACHINE_CHECK_CONTROL: u32 = 0x17b;
/// Control, status, address and more of the banks, of which there are none: Linux looks all the
/// same.
const MACHINE_CHECK_BANKS: core::ops::RangeInclusive<u32> = 0x400..=0x47f;
const MTRR_DEFAULT_TYPE: u32 = 0x2ff;
const HARDWARE_CONFIGURATION: u32 = 0xc001_0015;
const SYSTEM_CONFIGURATION: u32 = 0xc001_0010;
const NORTH_BRIDGE_CONFIGURATION: u32 = 0xc001_001f;
const FLOATING_POINT_CONFIGURATION: u32 = 0xc001_1028;
const DECODE_CONFIGURATION: u32 = 0xc001_1029;
const LOAD_STORE_CONFIGURATION: u32 = 0xc001_1020;
const INTERRUPT_PENDING_MESSAGE: u32 = 0xc001_0055;
const OS_VISIBLE_WORKAROUNDS: core::ops::RangeInclusive<u32> = 0xc001_0140..=0xc001_0141;

/// The value of a register, or `None` for #GP. The guest's boot processor isn't QEMU's, which alone
/// is marked as one in the real register.
pub(crate) fn read(msr: u32, is_boot_processor: bool) -> Option<u64> {
    match msr {
        APIC_BASE => {
            let mark = if is_boot_processor { BOOT_PROCESSOR } else { 0 };
            Some(read_msr(msr) & !X2APIC_ENABLE & !BOOT_PROCESSOR | mark)
        }
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
        | MACHINE_CHECK_STATUS
        | MACHINE_CHECK_CONTROL
        | HARDWARE_CONFIGURATION
        | SYSTEM_CONFIGURATION
        | NORTH_BRIDGE_CONFIGURATION
        | FLOATING_POINT_CONFIGURATION
        | DECODE_CONFIGURATION
        | LOAD_STORE_CONFIGURATION
        | INTERRUPT_PENDING_MESSAGE => Some(0),
        _ if OS_VISIBLE_WORKAROUNDS.contains(&msr) => Some(0),
        _ if MACHINE_CHECK_BANKS.contains(&msr) => Some(0),
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
        | MACHINE_CHECK_STATUS
        | MACHINE_CHECK_CONTROL
        | HARDWARE_CONFIGURATION
        | NORTH_BRIDGE_CONFIGURATION
        | FLOATING_POINT_CONFIGURATION
        | DECODE_CONFIGURATION
        | LOAD_STORE_CONFIGURATION
        | INTERRUPT_PENDING_MESSAGE => Some(()),
        _ if MACHINE_CHECK_BANKS.contains(&msr) => Some(()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_registers_are_refused() {
        assert_eq!(read(0xdead, true), None);
        assert_eq!(read(0x802, true), None, "x2APIC");
        assert_eq!(write(0xdead, 0), None);
        assert_eq!(write(APIC_BASE, X2APIC_ENABLE), None);
        assert_eq!(write(APIC_BASE, 0xfee0_0900), Some(()));
        assert_eq!(read(MICROCODE_PATCH, false), Some(0));
    }
}
