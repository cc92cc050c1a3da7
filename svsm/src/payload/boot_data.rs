// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Linux finds when it starts: boot_params, command line, the confidential-computing blob with
//! the secrets and CPUID pages it names, a calling area, page tables, a descriptor table.
//!
//! The block lies below 4 GiB and is reserved in the memory map: Linux reads parts of it late.

use super::kernel::{Initrd, Kernel};
use super::page_tables::{self, MAPPED_END};
use super::placement::{From, Placement, Request, Use};
use super::{GuestEntry, Launch, PayloadError, e820};
use crate::machine::{Machine, PAGE_BYTES, Page};
use snp_abi::cpuid::{CpuidPage, LEAF_MEMORY_ENCRYPTION, SVSM_PRESENT};
use snp_abi::linux::{
    BootParams, CcBlob, CcSetupData, ENTRY_64_OFFSET, LOADER_UNDEFINED, SetupHeader,
};
use snp_abi::secrets::SvsmLocation;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromZeros, IntoBytes};
use zeroize::Zeroize;

/// Preferred place: conventional memory above what real-mode start-up code likes to use.
const LOW_WINDOW: core::ops::Range<u64> = 0x1_0000..0x8_0000;
/// Offsets in the page that holds the small things.
const CC_BLOB: u64 = 0x000;
const SETUP_DATA: u64 = 0x100;
const GDT: u64 = 0x200;

/// Linux' `__BOOT_CS` and `__BOOT_DS`.
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;
/// Null, unused, 64-bit code, data (AMD 24593, 4.8).
const DESCRIPTORS: [u64; 4] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

/// Where each page of the block is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Addresses {
    boot_params: u64,
    command_line: u64,
    small: u64,
    secrets: u64,
    cpuid: u64,
    calling_area: u64,
    page_tables: u64,
}

/// Pages in the block.
const PAGES: u64 = 6 + page_tables::PAGES;

impl Addresses {
    /// Finds a place for the block.
    pub(super) fn place(placement: &mut Placement) -> Result<Self, PayloadError> {
        let low = Request {
            what: "boot data",
            size: PAGES * PAGE_BYTES,
            alignment: PAGE_BYTES,
            window: LOW_WINDOW,
            from: From::Bottom,
            usage: Use::Reserved,
        };
        let anywhere = Request { window: LOW_WINDOW.start..MAPPED_END, ..low.clone() };
        let base = placement.place(&low).or_else(|_| placement.place(&anywhere))?;
        let page = |index: u64| base.saturating_add(index.saturating_mul(PAGE_BYTES));
        Ok(Self {
            boot_params: page(0),
            command_line: page(1),
            small: page(2),
            secrets: page(3),
            cpuid: page(4),
            calling_area: page(5),
            page_tables: page(6),
        })
    }

    fn pages(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.boot_params;
        (0..PAGES).map(move |index| first.saturating_add(index.saturating_mul(PAGE_BYTES)))
    }
}

/// What was loaded.
pub(super) struct Payload<'a> {
    /// The kernel.
    pub(super) kernel: &'a Kernel,
    /// The initial RAM disk.
    pub(super) initrd: Option<&'a Initrd>,
    /// Address of the ACPI root pointer, or 0.
    pub(super) rsdp: u64,
}

/// Writes everything and says how to enter the kernel.
pub(super) fn write(
    machine: &mut dyn Machine,
    placement: &Placement,
    launch: &Launch<'_>,
    addresses: &Addresses,
    payload: &Payload<'_>,
    command_line: &[u8],
) -> Result<GuestEntry, PayloadError> {
    for address in addresses.pages() {
        let page = Page::small(address).ok_or(PayloadError::GuestMemory)?;
        machine.zero_page(page).map_err(|_| PayloadError::GuestMemory)?;
    }
    let mut put = |address: u64, bytes: &[u8]| {
        machine.write_guest(address, bytes).map_err(|_| PayloadError::GuestMemory)
    };
    put(addresses.command_line, command_line)?;
    put(addresses.boot_params, boot_params(placement, addresses, payload)?.as_bytes())?;
    let at = |offset: u64| addresses.small.saturating_add(offset);
    put(at(CC_BLOB), CcBlob::new(addresses.secrets, addresses.cpuid).as_bytes())?;
    put(at(SETUP_DATA), CcSetupData::new(below_4_gib(at(CC_BLOB))?).as_bytes())?;
    put(at(GDT), DESCRIPTORS.as_bytes())?;
    put(addresses.cpuid, guest_cpuid(launch.cpuid)?.as_bytes())?;
    let mut secrets = launch.secrets.clone();
    secrets.hand_over(&SvsmLocation {
        base: launch.config.region_base,
        size: launch.config.region_size,
        caa: addresses.calling_area,
        guest_vmpl: launch.config.guest_vmpl,
    });
    let written = put(addresses.secrets, secrets.as_bytes());
    secrets.as_mut_bytes().zeroize();
    written?;
    let c_bit = 1_u64.checked_shl(launch.c_bit).ok_or(PayloadError::Cpuid)?;
    let cr3 = page_tables::write(machine, addresses.page_tables, c_bit)?;
    Ok(GuestEntry {
        rip: payload.kernel.address.saturating_add(ENTRY_64_OFFSET),
        rsi: addresses.boot_params,
        rsp: addresses.small.saturating_add(PAGE_BYTES),
        cr3,
        gdt_base: at(GDT),
        gdt_limit: u32::try_from(size_of_val(&DESCRIPTORS)).map_or(0, |size| size - 1),
        code_selector: CODE_SELECTOR,
        data_selector: DATA_SELECTOR,
        calling_area: addresses.calling_area,
        secrets_page: addresses.secrets,
    })
}

fn boot_params(
    placement: &Placement,
    addresses: &Addresses,
    payload: &Payload<'_>,
) -> Result<BootParams, PayloadError> {
    let mut params = BootParams::new_zeroed();
    let (ramdisk_image, ramdisk_size) = match payload.initrd {
        Some(initrd) => (below_4_gib(initrd.address)?, below_4_gib(initrd.file.length)?),
        None => (0, 0),
    };
    params.header = SetupHeader {
        type_of_loader: LOADER_UNDEFINED,
        code32_start: U32::new(below_4_gib(payload.kernel.address)?),
        ramdisk_image: U32::new(ramdisk_image),
        ramdisk_size: U32::new(ramdisk_size),
        cmd_line_ptr: U32::new(below_4_gib(addresses.command_line)?),
        setup_data: U64::new(addresses.small.saturating_add(SETUP_DATA)),
        ..payload.kernel.image.header
    };
    params.acpi_rsdp_addr = U64::new(payload.rsdp);
    params.set_memory(&e820::memory_map(placement)).map_err(|_| PayloadError::MemoryMapTooLong)?;
    Ok(params)
}

/// The guest's CPUID page says that there is an SVSM (AMD 58019, "Discovery").
fn guest_cpuid(own: &CpuidPage) -> Result<CpuidPage, PayloadError> {
    let mut page = own.clone();
    let count = page.functions().map_err(|_| PayloadError::Cpuid)?.len();
    for function in page.functions.iter_mut().take(count) {
        if function.leaf == LEAF_MEMORY_ENCRYPTION {
            function.eax |= SVSM_PRESENT;
        }
    }
    Ok(page)
}

fn below_4_gib(number: u64) -> Result<u32, PayloadError> {
    u32::try_from(number).map_err(|_| PayloadError::NoRoom("payload below 4 GiB"))
}
