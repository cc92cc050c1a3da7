// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMSA pages: our own, made here, and the guest's, which it gives by CREATE_VCPU.
//!
//! While the SVSM serves a call, EFER.SVME of the caller's VMSA is clear, so that the hypervisor
//! cannot run the guest's vCPU at the same time (AMD 58019, "Calling convention").

use super::instruction::rmpadjust;
use crate::machine::{GuestFault, PageSize, Permissions};
use crate::memory::kernel_space::{self, SpaceError};
use crate::memory::{PAGE_SIZE, guest, pointer_sized};
use core::mem::offset_of;
use snp_abi::vmsa::{EFER_SVME, Vmsa};
use spin::Mutex;

/// VMSAs of the SVSM's own making: one per CPU for itself, one for the guest's boot vCPU.
const OWN_MAX: usize = crate::cpu::CPUS_MAX + 1;

static OWN: Mutex<[u64; OWN_MAX]> = Mutex::new([0; OWN_MAX]);

/// Why a VMSA could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmsaError {
    /// No memory.
    Space(SpaceError),
    /// More than there are CPUs for.
    TooMany,
    /// RMPADJUST refused to make the page a VMSA.
    Adjust(crate::machine::RmpFault),
}

/// Puts `content` into a fresh page of ours and makes it a VMSA; its address.
///
/// # Errors
/// No memory, or the hardware refuses.
pub fn create(content: &Vmsa) -> Result<u64, VmsaError> {
    // A VMSA on a 2 MiB boundary can be an erratum's victim on real processors: allocating two
    // pages and leaving an aligned one alone avoids it.
    let mut address = kernel_space::allocate_frames(1).map_err(VmsaError::Space)?;
    if address.is_multiple_of(crate::memory::LARGE_PAGE_SIZE) {
        address = kernel_space::allocate_frames(1).map_err(VmsaError::Space)?;
    }
    let page = core::ptr::with_exposed_provenance_mut::<Vmsa>(pointer_sized(address));
    // SAFETY: a fresh frame of ours, page aligned, as large as a VMSA; nothing refers to it.
    unsafe { page.write_volatile(*content) };
    let mut own = OWN.lock();
    let slot = own.iter_mut().find(|slot| **slot == 0).ok_or(VmsaError::TooMany)?;
    // The VMSA attribute is set together with VMPL1's permissions, of which there are none: no less
    // privileged level may touch a page of ours.
    // SAFETY: the frame is mapped.
    unsafe { rmpadjust(address, PageSize::Small, 1, Permissions::NONE, true) }
        .map_err(VmsaError::Adjust)?;
    *slot = address;
    Ok(address)
}

/// The registers of a vCPU that is not running, in its VMSA.
#[derive(Clone, Copy, Debug)]
pub struct VmsaRegisters {
    address: u64,
    own: bool,
}

macro_rules! registers {
    ($($name:ident $set_name:ident $field:ident),* $(,)?) => {
        impl VmsaRegisters {
            $(
                #[doc = concat!("Reads `", stringify!($field), "`.\n\n")]
                #[doc = "# Errors\nThe page is not there."]
                pub fn $name(&self) -> Result<u64, GuestFault> {
                    self.read(offset_of!(Vmsa, $field))
                }
                #[doc = concat!("Sets `", stringify!($field), "`.\n\n")]
                #[doc = "# Errors\nThe page is not there."]
                pub fn $set_name(&self, value: u64) -> Result<(), GuestFault> {
                    self.write(offset_of!(Vmsa, $field), value)
                }
            )*
        }
    };
}

registers!(
    rax set_rax rax,
    rcx set_rcx rcx,
    rdx set_rdx rdx,
    r8 set_r8 r8,
    r9 set_r9 r9,
    efer set_efer efer,
    exit_code set_exit_code guest_exit_code,
);

impl VmsaRegisters {
    /// The VMSA at a physical address that the table of vCPUs holds: ours, or a page that the guest
    /// gave and that was checked then.
    pub fn at(address: u64) -> Self {
        let own = address != 0 && OWN.lock().contains(&address);
        Self { address, own }
    }

    /// Keeps the hypervisor from running the vCPU, or lets it.
    ///
    /// # Errors
    /// The page is not there.
    pub fn set_runnable(&self, runnable: bool) -> Result<(), GuestFault> {
        let efer = self.efer()?;
        self.set_efer(if runnable { efer | EFER_SVME } else { efer & !EFER_SVME })
    }

    fn read(&self, offset: usize) -> Result<u64, GuestFault> {
        if self.own {
            // SAFETY: as `place` says; the hardware writes it while the vCPU runs, so volatile.
            return Ok(unsafe { self.place(offset).read_volatile() });
        }
        let mut bytes = [0; 8];
        guest::read(self.address.wrapping_add(offset as u64), &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn write(&self, offset: usize, value: u64) -> Result<(), GuestFault> {
        if self.own {
            // SAFETY: as in `read`.
            unsafe { self.place(offset).write_volatile(value) };
            return Ok(());
        }
        guest::write(self.address.wrapping_add(offset as u64), &value.to_le_bytes())
    }

    /// A quadword of a page that `create` made: it is never freed, and `offset` is a field's.
    fn place(&self, offset: usize) -> *mut u64 {
        debug_assert!(offset as u64 <= PAGE_SIZE - 8);
        core::ptr::with_exposed_provenance_mut(pointer_sized(self.address) + offset)
    }
}
