// SPDX-License-Identifier: MIT OR Apache-2.0
//! The GHCB page protocol (AMD 56421, 2.6 and 4): one shared page per CPU.
//!
//! The page is memory of the hypervisor's as much as ours: every access is a volatile one of a
//! number, nothing is ever a reference into it, and what is read is read once.

use super::instruction::vmgexit;
use crate::cpu::registers::write_msr;
use crate::memory::pointer_sized;
use core::sync::atomic::{AtomicBool, Ordering};
use snp_abi::ghcb::{
    ApCreation, ApRequest, ExitVerdict, Field, GhcbPage, GuestRequestStatus, MSR_GHCB,
    PAGE_STATE_ENTRIES, PROTOCOL_VERSION, PageStateEntry, PortAccess, PortSize,
    SHARED_BUFFER_OFFSET, SHARED_BUFFER_SIZE, USAGE_STANDARD, exit,
};
use snp_abi::{PAGE_SIZE, Vmpl};

/// What went wrong between us and the hypervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GhcbError {
    /// It refused, for this reason (`snp_abi::ghcb::malformed`).
    Refused(u64),
    /// It wants an exception raised, in the form of EVENTINJ.
    Exception(u64),
    /// Its answer is not defined.
    Undefined(u64),
    /// It did not finish a page state change; this is exit info 2.
    PageState(u64),
    /// The request does not fit the shared buffer.
    TooLong,
}

/// One CPU's GHCB.
#[derive(Debug)]
pub struct Ghcb {
    /// Virtual and physical address: the region is mapped one to one.
    address: u64,
    /// Whether the MSR names the page. The MSR protocol overwrites it.
    selected: AtomicBool,
}

impl Ghcb {
    /// The GHCB at `address`.
    ///
    /// # Safety
    /// The page is shared with the hypervisor, mapped shared at its physical address, registered
    /// on the CPU that will use this value, and used through this value alone.
    pub unsafe fn new(address: u64) -> Self {
        Self { address, selected: AtomicBool::new(false) }
    }

    /// Address of the page.
    pub const fn address(&self) -> u64 {
        self.address
    }

    /// To be called after a request of the MSR protocol on this CPU.
    pub fn deselect(&self) {
        self.selected.store(false, Ordering::Relaxed);
    }

    /// Writes one value to a port.
    ///
    /// # Errors
    /// The hypervisor's.
    pub fn port_write(&self, port: u16, size: PortSize, value: u32) -> Result<(), GhcbError> {
        let access = PortAccess { port, size, input: false, string: false, repeat: false };
        self.call(exit::IOIO, access.encode(), 0, &[(Field::Rax, value.into())])?;
        Ok(())
    }

    /// Reads one value from a port.
    ///
    /// # Errors
    /// The hypervisor's.
    pub fn port_read(&self, port: u16, size: PortSize) -> Result<u32, GhcbError> {
        let access = PortAccess { port, size, input: true, string: false, repeat: false };
        self.call(exit::IOIO, access.encode(), 0, &[(Field::Rax, 0)])?;
        let mask = match size {
            PortSize::Byte => 0xff,
            PortSize::Word => 0xffff,
            PortSize::Long => 0xffff_ffff,
        };
        Ok((self.read(Field::Rax.offset()) & 0xffff_ffff) as u32 & mask)
    }

    /// Writes bytes to a port, one by one but in one exit.
    ///
    /// # Errors
    /// The hypervisor's; `TooLong` beyond the shared buffer.
    pub fn port_write_bytes(&self, port: u16, bytes: &[u8]) -> Result<(), GhcbError> {
        if bytes.len() > SHARED_BUFFER_SIZE {
            return Err(GhcbError::TooLong);
        }
        for (offset, byte) in bytes.iter().enumerate() {
            self.write_byte(SHARED_BUFFER_OFFSET + offset, *byte);
        }
        let access =
            PortAccess { port, size: PortSize::Byte, input: false, string: true, repeat: true };
        let scratch = self.address + SHARED_BUFFER_OFFSET as u64;
        let count = bytes.len() as u64;
        self.call(exit::IOIO, access.encode(), count, &[(Field::Scratch, scratch)])?;
        Ok(())
    }

    /// Reads a register in device memory: 1, 2 or 4 bytes.
    ///
    /// # Errors
    /// The hypervisor's.
    pub fn mmio_read(&self, address: u64, bytes: usize) -> Result<u32, GhcbError> {
        self.write(SHARED_BUFFER_OFFSET, 0);
        self.mmio(exit::MMIO_READ, address, bytes)?;
        let mask = u32::MAX >> (32 - 8 * bytes.clamp(1, 4));
        Ok((self.read(SHARED_BUFFER_OFFSET) & 0xffff_ffff) as u32 & mask)
    }

    /// Writes a register in device memory.
    ///
    /// # Errors
    /// The hypervisor's.
    pub fn mmio_write(&self, address: u64, bytes: usize, value: u32) -> Result<(), GhcbError> {
        self.write(SHARED_BUFFER_OFFSET, value.into());
        self.mmio(exit::MMIO_WRITE, address, bytes)
    }

    fn mmio(&self, code: u64, address: u64, bytes: usize) -> Result<(), GhcbError> {
        let scratch = self.address + SHARED_BUFFER_OFFSET as u64;
        self.call(code, address, bytes as u64, &[(Field::Scratch, scratch)])
    }

    /// Asks for page states to be changed, in one structure.
    ///
    /// # Errors
    /// `TooLong` beyond 253 entries; `PageState` when the hypervisor did not do all of them.
    pub fn change_page_states(
        &self,
        entries: impl ExactSizeIterator<Item = PageStateEntry>,
    ) -> Result<(), GhcbError> {
        let count = entries.len();
        if count > PAGE_STATE_ENTRIES {
            return Err(GhcbError::TooLong);
        }
        let Some(last) = count.checked_sub(1) else { return Ok(()) };
        for (index, entry) in entries.enumerate() {
            self.write(SHARED_BUFFER_OFFSET + 8 + index * 8, entry.encode());
        }
        self.write(SHARED_BUFFER_OFFSET, (last as u64) << 16);
        // The hypervisor may stop half-way to look after other things, but not for ever.
        for _ in 0..=count {
            let scratch = self.address + SHARED_BUFFER_OFFSET as u64;
            self.call(exit::PAGE_STATE_CHANGE, 0, 0, &[(Field::Scratch, scratch)])?;
            let result = self.read(Field::ExitInfo2.offset());
            if result != 0 {
                return Err(GhcbError::PageState(result));
            }
            let current = self.read(SHARED_BUFFER_OFFSET) & 0xffff;
            if current > last as u64 {
                return Ok(());
            }
        }
        Err(GhcbError::PageState(0))
    }

    /// Lets the guest's VMPL run on this vCPU; returns when the guest (or the hypervisor) switches
    /// back.
    ///
    /// # Errors
    /// The hypervisor's.
    pub fn run_vmpl(&self, vmpl: Vmpl) -> Result<(), GhcbError> {
        self.call(exit::RUN_VMPL, vmpl as u64, 0, &[])?;
        Ok(())
    }

    /// Tells the hypervisor about a vCPU's VMSA.
    ///
    /// # Errors
    /// The hypervisor's.
    pub fn create_vcpu(
        &self,
        request: ApRequest,
        vmpl: Vmpl,
        apic_id: u32,
        vmsa: u64,
        sev_features: u64,
    ) -> Result<(), GhcbError> {
        let creation = ApCreation { request, vmpl, apic_id };
        let rax = [(Field::Rax, sev_features)];
        self.call(exit::AP_CREATION, creation.encode(), vmsa, &rax)?;
        Ok(())
    }

    /// Passes a message to the firmware; all pages are shared. With `certificates`, the address and
    /// number of pages for them, the hypervisor adds what it has.
    ///
    /// # Errors
    /// The hypervisor's, against the protocol. What it says within the protocol is the result.
    pub fn guest_request(
        &self,
        request: u64,
        response: u64,
        certificates: Option<(u64, u64)>,
    ) -> Result<GuestRequestStatus, GhcbError> {
        match certificates {
            None => self.call(exit::GUEST_REQUEST, request, response, &[])?,
            Some((address, pages)) => {
                let place = [(Field::Rax, address), (Field::Rbx, pages)];
                self.call(exit::EXTENDED_GUEST_REQUEST, request, response, &place)?;
            }
        }
        Ok(GuestRequestStatus::decode(self.read(Field::ExitInfo2.offset())))
    }

    /// One register set of CPUID as the hypervisor sees it, for what differs between vCPUs.
    ///
    /// # Errors
    /// The hypervisor's.
    pub fn cpuid(&self, leaf: u32, subleaf: u32) -> Result<[u64; 4], GhcbError> {
        let inputs = [(Field::Rax, leaf.into()), (Field::Rcx, subleaf.into())];
        self.call(exit::CPUID, 0, 0, &inputs)?;
        let fields = [Field::Rax, Field::Rbx, Field::Rcx, Field::Rdx];
        Ok(fields.map(|field| self.read(field.offset()) & 0xffff_ffff))
    }

    fn call(
        &self,
        code: u64,
        info_1: u64,
        info_2: u64,
        inputs: &[(Field, u64)],
    ) -> Result<(), GhcbError> {
        let bitmap = core::mem::offset_of!(GhcbPage, valid_bitmap);
        self.write(bitmap, 0);
        self.write(bitmap + 8, 0);
        // Version and usage share the page's last quadword with reserved bytes.
        let last = u64::from(USAGE_STANDARD) << 32 | u64::from(PROTOCOL_VERSION) << 16;
        self.write(PAGE_SIZE - 8, last);
        let exits =
            [(Field::ExitCode, code), (Field::ExitInfo1, info_1), (Field::ExitInfo2, info_2)];
        for (field, value) in exits.iter().chain(inputs) {
            self.set(*field, *value);
        }
        if !self.selected.swap(true, Ordering::Relaxed) {
            // SAFETY: the MSR exists and is never a #VC; the page is a registered GHCB.
            unsafe { write_msr(MSR_GHCB, self.address) };
        }
        // SAFETY: the MSR names this page; the hypervisor writes only to it and to what the request
        // names, which is shared memory too.
        unsafe { vmgexit() };
        self.verdict()
    }

    fn verdict(&self) -> Result<(), GhcbError> {
        let info_1 = self.read(Field::ExitInfo1.offset());
        let info_2 = self.read(Field::ExitInfo2.offset());
        match ExitVerdict::decode(info_1) {
            Some(ExitVerdict::Done) => Ok(()),
            Some(ExitVerdict::Exception) => Err(GhcbError::Exception(info_2)),
            Some(ExitVerdict::Malformed) => Err(GhcbError::Refused(info_2)),
            None => Err(GhcbError::Undefined(info_1)),
        }
    }

    fn set(&self, field: Field, value: u64) {
        self.write(field.offset(), value);
        let (byte, bit) = field.valid_bit();
        let quadword = byte & !7;
        let bits = self.read(quadword) | u64::from(bit) << (8 * (byte - quadword));
        self.write(quadword, bits);
    }

    fn read(&self, offset: usize) -> u64 {
        assert!(offset <= PAGE_SIZE - 8 && offset.is_multiple_of(8));
        let pointer =
            core::ptr::with_exposed_provenance::<u64>(pointer_sized(self.address) + offset);
        // SAFETY: inside the page that `new` was promised, aligned; volatile because it is shared.
        unsafe { pointer.read_volatile() }
    }

    fn write(&self, offset: usize, value: u64) {
        assert!(offset <= PAGE_SIZE - 8 && offset.is_multiple_of(8));
        let pointer =
            core::ptr::with_exposed_provenance_mut::<u64>(pointer_sized(self.address) + offset);
        // SAFETY: as in `read`.
        unsafe { pointer.write_volatile(value) };
    }

    fn write_byte(&self, offset: usize, value: u8) {
        assert!(offset < PAGE_SIZE);
        let pointer =
            core::ptr::with_exposed_provenance_mut::<u8>(pointer_sized(self.address) + offset);
        // SAFETY: as in `read`.
        unsafe { pointer.write_volatile(value) };
    }
}
