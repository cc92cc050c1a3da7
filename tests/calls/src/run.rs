// SPDX-License-Identifier: MIT OR Apache-2.0
//! From boot_params to the verdict.

use crate::cases::{CASES, Case, Layout, Store};
use crate::{guest, verdict};
use core::mem::offset_of;
use snp_abi::linux::{
    BootParams, CC_BLOB_MAGIC, CcBlob, CcSetupData, E820_MAX, E820Entry, SETUP_CC_BLOB, SetupHeader,
};
use snp_abi::secrets::{SecretsPage, VMPCK_SIZE};

/// The command line that asks for the writer.
pub const WRITER: &[u8; 9] = b"nv-writer";

/// The registers of a call that the table sets.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named by the processor")]
pub struct Call {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub r8: u64,
}

/// The registers afterwards that the table knows.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "named by the processor")]
pub struct Outcome {
    pub rax: u64,
    pub rcx: u64,
    pub r8: u64,
}

/// Does what the command line asks for: [`crate::writer`], or the table. The termination code.
pub fn run(boot_params: u64, arena: u64) -> u64 {
    let Some((layout, secrets)) = find_svsm(boot_params, arena) else { return verdict::NO_START };
    if !holds_own_keys(secrets, layout.vmpl) {
        return verdict::WRONG_KEYS;
    }
    let area = word(secrets + offset_of!(SecretsPage, svsm_caa) as u64);
    let header = boot_params + offset_of!(BootParams, header) as u64;
    let place = header + offset_of!(SetupHeader, cmd_line_ptr) as u64;
    let command_line = u64::from(u32::from_le_bytes(guest::read(place)));
    if command_line != 0 && guest::read(command_line) == *WRITER {
        return crate::writer::run(arena, area);
    }
    run_table(&layout, area)
}

/// Runs the table.
fn run_table(layout: &Layout, area: u64) -> u64 {
    for (index, case) in CASES.iter().enumerate() {
        match run_case(layout, area, case) {
            Some(true) => {}
            Some(false) => return verdict::failed(index),
            None => return verdict::NOT_SERVED,
        }
    }
    match use_exchanged_page(layout, area) {
        Some(true) => verdict::PASSED,
        Some(false) => verdict::EXCHANGED,
        None => verdict::NOT_SERVED,
    }
}

/// Names a page of which the SVSM thinks that it is validated, and it isn't: in an entry of
/// PVALIDATE, as a VMSA, as a TPM's buffer, as a deposit. Each is refused, and the SVSM lives on.
fn use_exchanged_page(layout: &Layout, area: u64) -> Option<bool> {
    const INVALID_ADDRESS: u64 = 0x8000_0003;
    const FAIL_INPUT: u64 = 0x8000_1001;
    const NO_CHANGE: u64 = 0x8000_1010;
    let (list, page, other) = (layout.arena, layout.arena + 0x2000, layout.arena + 0x3000);
    if !guest::exchange_page(page) {
        return Some(false);
    }
    let calls = [
        (1, list, page, NO_CHANGE),
        (1, list, page | 4, NO_CHANGE),
        (2, page, 0, INVALID_ADDRESS),
        (2 << 32 | 1, page, 0, INVALID_ADDRESS),
        (4, list, page, FAIL_INPUT),
    ];
    for (rax, rcx, entry, expected) in calls {
        guest::write(list, 1_u64.to_le_bytes());
        guest::write(list + 8, entry.to_le_bytes());
        let call = Call { rax, rcx, rdx: other, r8: layout.apic_id.into() };
        if guest::call(area, &call)?.rax != expected {
            return Some(false);
        }
    }
    Some(true)
}

/// Messages to the firmware under a VMPCK below the guest's VMPL would be the SVSM's: those keys
/// are gone. The guest's own is there.
fn holds_own_keys(secrets: u64, vmpl: u8) -> bool {
    let keys = secrets + offset_of!(SecretsPage, vmpck) as u64;
    (0..=vmpl).all(|level| {
        let key: [u8; VMPCK_SIZE] = guest::read(keys + u64::from(level) * VMPCK_SIZE as u64);
        let is_wiped = key.iter().all(|&byte| byte == 0);
        is_wiped == (level < vmpl)
    })
}

fn word(address: u64) -> u64 {
    u64::from_le_bytes(guest::read(address))
}

/// The way that Linux takes: setup_data, confidential-computing blob, secrets page. The layout, and
/// where that page is.
fn find_svsm(boot_params: u64, arena: u64) -> Option<(Layout, u64)> {
    let half = |address: u64| u32::from_le_bytes(guest::read(address));
    let header = boot_params + offset_of!(BootParams, header) as u64;
    let node = word(header + offset_of!(snp_abi::linux::SetupHeader, setup_data) as u64);
    if node == 0 || half(node + offset_of!(CcSetupData, kind) as u64) != SETUP_CC_BLOB {
        return None;
    }
    let blob = u64::from(half(node + offset_of!(CcSetupData, cc_blob_address) as u64));
    if half(blob) != CC_BLOB_MAGIC {
        return None;
    }
    let secrets = word(blob + offset_of!(CcBlob, secrets_address) as u64);
    let [vmpl] = guest::read(secrets + offset_of!(SecretsPage, svsm_guest_vmpl) as u64);
    let layout = Layout {
        arena,
        svsm: word(secrets + offset_of!(SecretsPage, svsm_base) as u64),
        memory_end: memory_end(boot_params),
        sev_features: guest::sev_features(),
        vmpl,
        apic_id: guest::apic_id()?,
    };
    Some((layout, secrets))
}

/// The end of the last range of the memory map.
fn memory_end(boot_params: u64) -> u64 {
    let [count] = guest::read(boot_params + offset_of!(BootParams, e820_entries) as u64);
    let table = boot_params + offset_of!(BootParams, e820_table) as u64;
    let mut end = 0;
    for index in 0..usize::from(count).min(E820_MAX) {
        let entry = table + (index * size_of::<E820Entry>()) as u64;
        let address = u64::from_le_bytes(guest::read(entry));
        let size = u64::from_le_bytes(guest::read(entry + 8));
        end = end.max(address.wrapping_add(size));
    }
    end
}

fn run_case(layout: &Layout, area: u64, case: &Case) -> Option<bool> {
    for store in case.memory {
        prepare(layout, *store);
    }
    let call = Call {
        rax: u64::from(case.protocol) << 32 | u64::from(case.call),
        rcx: layout.resolve(case.rcx),
        rdx: layout.resolve(case.rdx),
        r8: layout.resolve(case.r8),
    };
    let outcome = guest::call(area, &call)?;
    let list = case.half_after.is_none_or(|(offset, half)| {
        u16::from_le_bytes(guest::read(layout.arena + offset)) == half
    });
    let registers = outcome.rax == case.rax_after
        && outcome.rcx == layout.resolve(case.rcx_after)
        && outcome.r8 == call.r8;
    Some(registers && list)
}

fn prepare(layout: &Layout, store: Store) {
    let at = |offset: u64| layout.arena + offset;
    match store {
        Store::ClearPage(offset) => {
            for place in (0..0x1000).step_by(64) {
                guest::write(at(offset) + place, [0; 64]);
            }
        }
        Store::Byte(offset, value) => {
            let [byte, ..] = layout.resolve(value).to_le_bytes();
            guest::write(at(offset), [byte]);
        }
        Store::Half(offset, half) => guest::write(at(offset), half.to_le_bytes()),
        Store::Word(offset, value) => {
            guest::write(at(offset), layout.resolve(value).to_le_bytes());
        }
        Store::Bytes(offset, bytes) => {
            for (place, byte) in (at(offset)..).zip(bytes) {
                guest::write(place, [*byte]);
            }
        }
    }
}
