// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ports and device memory: all of QEMU's devices belong to the guest, except what would let it
//! reset or stop a processor under the machine. AMD 56421, 4.1.2 and 4.1.5.

use snp_abi::ghcb::{Field, PortAccess, exit};

use super::call::{Call, INVALID_INPUT, Refusal};
use super::{dma, note_refusal, owned_disk};
use crate::bits::{field, low_32};
use crate::layout::{MACHINE_END, MACHINE_START, PAGE, REACHABLE_END};
use crate::processor::{self, Width};
use crate::vcpu::Context;
use crate::{counters, physical, world};

/// QEMU's PM1a control register: writing SLP_EN powers off.
const POWER_CONTROL_PORT: u16 = 0x604;
const SLEEP_ENABLE: u32 = 1 << 13;
/// `isa-debug-exit`, with which test payloads end QEMU.
const DEBUG_EXIT_PORT: u16 = 0xf4;
/// The chipset's reset control.
const RESET_PORT: u16 = 0xcf9;

/// IN, OUT, INS and OUTS.
pub(super) fn port_access(context: &Context, call: &mut Call) -> Result<u64, Refusal> {
    let access = PortAccess::decode(call.info_1).ok_or(INVALID_INPUT)?;
    let bytes = access.size as u64;
    let width = Width::from_bytes(bytes).ok_or(INVALID_INPUT)?;
    if access.string {
        return port_string(context, call, access, width);
    }
    if access.input {
        let value = owned_disk::read_port(context.vmpl, access.port, width);
        call.set(Field::Rax, u64::from(value));
    } else {
        write_port(context, access.port, width, low_32(call.get(Field::Rax)?));
    }
    Ok(0)
}

/// The count is bounded by the scratch area.
fn port_string(
    context: &Context,
    call: &Call,
    access: PortAccess,
    width: Width,
) -> Result<u64, Refusal> {
    let length = call.info_2.checked_mul(width.bytes()).ok_or(INVALID_INPUT)?;
    let scratch = call.scratch(length)?;
    for address in (scratch..scratch + length).step_by(access.size as usize) {
        if access.input {
            let value = owned_disk::read_port(context.vmpl, access.port, width);
            write_physical(address, width, u64::from(value));
        } else {
            write_port(context, access.port, width, low_32(read_physical(address, width)));
        }
    }
    Ok(0)
}

/// A write that may be the last one: the counters come first. QEMU ends some time after the write,
/// and until then the guest mustn't go on.
fn write_port(context: &Context, port: u16, width: Width, value: u32) {
    dma::check(context, port, width, value);
    let ends = match port {
        POWER_CONTROL_PORT => value & SLEEP_ENABLE != 0,
        DEBUG_EXIT_PORT => true,
        _ => false,
    };
    if ends || port == RESET_PORT {
        counters::print_all();
    }
    owned_disk::write_port(context.vmpl, port, width, value);
    if ends {
        processor::rest();
    }
}

fn read_physical(address: u64, width: Width) -> u64 {
    match width {
        Width::Byte => u64::from(physical::read::<u8>(address)),
        Width::Word => u64::from(physical::read::<u16>(address)),
        Width::Double => u64::from(physical::read::<u32>(address)),
        Width::Quad => physical::read(address),
    }
}

fn write_physical(address: u64, width: Width, value: u64) {
    match width {
        Width::Byte => physical::write(address, crate::bits::low_8(value)),
        Width::Word => physical::write(address, crate::bits::low_16(value)),
        Width::Double => physical::write(address, low_32(value)),
        Width::Quad => physical::write(address, value),
    }
}

/// A read or write of device memory.
pub(super) fn mmio(context: &Context, call: &Call) -> Result<u64, Refusal> {
    let (gpa, width) = (call.info_1, Width::from_bytes(call.info_2).ok_or(INVALID_INPUT)?);
    if !is_device(gpa, width.bytes()) {
        note_refusal("device memory", gpa, width.bytes());
        return Err(INVALID_INPUT);
    }
    let scratch = call.scratch(width.bytes())?;
    if owned_disk::hides_memory(context.vmpl, gpa, width.bytes()) {
        if call.code == exit::MMIO_READ {
            write_physical(scratch, width, u64::MAX);
        }
        return Ok(0);
    }
    if call.code == exit::MMIO_READ {
        write_physical(scratch, width, read_physical(gpa, width));
        return Ok(0);
    }
    let value = read_physical(scratch, width);
    if gpa == INTERRUPT_COMMAND && !may_send(context, low_32(value)) {
        return Ok(0);
    }
    write_physical(gpa, width, value);
    Ok(0)
}

/// Neither memory nor the machine's own, and within reach.
fn is_device(gpa: u64, bytes: u64) -> bool {
    let Some(end) = gpa.checked_add(bytes) else { return false };
    let own = gpa < MACHINE_END && end > MACHINE_START;
    let memory = world::memory();
    end <= REACHABLE_END
        && !own
        && !memory.rmp.entry(gpa / PAGE).is_memory()
        && !memory.rmp.entry((end - 1) / PAGE).is_memory()
}

/// The local APIC's interrupt command register, lower half.
const INTERRUPT_COMMAND: u64 = 0xfee0_0300;
const INTERRUPT_DESTINATION: u64 = 0xfee0_0310;

/// Looks at an interprocessor interrupt before it is sent. NMIs between vCPUs look like the
/// machine's own kicks, so they are passed on as a mark and a kick. INIT, STARTUP and SMI would hit
/// the processor under the machine: an SNP guest starts processors by AP creation, and these do
/// nothing. Says whether the interrupt may go out as it is.
fn may_send(context: &Context, command: u32) -> bool {
    const FIXED: u64 = 0;
    const LOWEST_PRIORITY: u64 = 1;
    const NMI: u64 = 4;
    match field(u64::from(command), 8, 10) {
        FIXED | LOWEST_PRIORITY => true,
        NMI => {
            let destination: u32 = physical::read(INTERRUPT_DESTINATION);
            for (id, member) in world::guests() {
                if is_destination(context.processor, id, command, destination >> 24) {
                    member.send_guest_nmi();
                    if id != context.processor {
                        world::kick(id);
                    }
                }
            }
            false
        }
        mode => {
            note_refusal("interprocessor interrupt of mode", mode, u64::from(command));
            false
        }
    }
}

/// Whether a command names a processor. Logical destinations are taken as the flat model, in which
/// Linux gives processor *n* bit *n*.
fn is_destination(sender: usize, id: usize, command: u32, destination: u32) -> bool {
    const LOGICAL: u32 = 1 << 11;
    match command >> 18 & 3 {
        0 if command & LOGICAL != 0 => destination >> id & 1 != 0,
        0 => destination == 0xff || usize::try_from(destination) == Ok(id),
        1 => id == sender,
        2 => true,
        _ => id != sender,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations() {
        let shorthand = |n: u32| n << 18 | 0x400;
        assert!(is_destination(1, 2, shorthand(0), 2));
        assert!(!is_destination(1, 2, shorthand(0), 1));
        assert!(is_destination(1, 2, shorthand(0), 0xff));
        assert!(is_destination(1, 1, shorthand(1), 0));
        assert!(!is_destination(1, 2, shorthand(1), 2));
        assert!(is_destination(1, 1, shorthand(2), 0));
        assert!(!is_destination(1, 1, shorthand(3), 0));
        assert!(is_destination(1, 2, shorthand(3), 0));
        assert!(is_destination(1, 2, 1 << 11 | 0x400, 1 << 2));
    }
}
