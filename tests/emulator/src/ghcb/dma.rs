// SPDX-License-Identifier: MIT OR Apache-2.0
//! fw_cfg's DMA interface, checked before it runs: a device reaches shared memory only. Real
//! platforms see to that with the RMP checks of the IOMMU; here the device would overwrite
//! private memory
//! unnoticed. Other devices' DMA isn't checked.
//!
//! The interface: QEMU, `docs/specs/fw_cfg.rst`. All numbers are big endian.

use core::sync::atomic::{AtomicU32, Ordering::SeqCst};

use snp_abi::fw_cfg::{DmaAccess, DmaControl, PORT_DMA_HIGH, PORT_DMA_LOW};

use crate::layout::PAGE;
use crate::processor::Width;
use crate::vcpu::Context;
use crate::violation::{Place, Rule, stop};
use crate::{physical, world};

/// The upper half of the address that the guest has written last.
static ADDRESS_HIGH: AtomicU32 = AtomicU32::new(0);

/// Looks at a port write that may start a transfer; ends the machine if it reaches private memory.
pub(super) fn check(context: &Context, port: u16, width: Width, value: u32) {
    if width != Width::Double {
        return;
    }
    match port {
        PORT_DMA_HIGH => ADDRESS_HIGH.store(u32::from_be(value), SeqCst),
        PORT_DMA_LOW => {
            let high = ADDRESS_HIGH.swap(0, SeqCst);
            check_transfer(context, crate::bits::pair(high, u32::from_be(value)));
        }
        _ => {}
    }
}

fn check_transfer(context: &Context, structure: u64) {
    require_shared(context, structure, size_of::<DmaAccess>() as u64, "dma-control");
    let access: DmaAccess = physical::read(structure);
    let control = DmaControl::from_bits_retain(access.control.get());
    if control.intersects(DmaControl::READ | DmaControl::WRITE) {
        let length = u64::from(access.length.get());
        require_shared(context, access.address.get(), length, "dma-transfer");
    }
}

fn require_shared(context: &Context, address: u64, length: u64, access: &'static str) {
    let last = address.saturating_add(length.saturating_sub(1));
    let memory = world::memory();
    let private =
        (address / PAGE..=last / PAGE).find(|&frame| !memory.rmp.entry(frame).is_shared());
    drop(memory);
    if let Some(frame) = private {
        stop(context, Rule::DmaToPrivateMemory, Place::gpa(frame * PAGE, access));
    }
}
