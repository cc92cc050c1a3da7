// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel image and initial RAM disk: from the host's files to their places (boot.rst, "64-bit boot
//! protocol").

use super::files::{self, FileRecord};
use super::page_tables::MAPPED_END;
use super::placement::{From, Placement, Request, Use};
use super::{PayloadError, PayloadFile};
use crate::machine::{Machine, PAGE_BYTES};
use snp_abi::config::LaunchConfig;
use snp_abi::linux::KernelImage;

/// The kernel is placed at 16 MiB or above, as Linux itself prefers.
const KERNEL_LOWEST: u64 = 16 << 20;

/// A kernel in guest memory.
pub(super) struct Kernel {
    /// Address of its protected-mode code.
    pub(super) address: u64,
    /// Its header, checked.
    pub(super) image: KernelImage,
    /// What was read.
    pub(super) file: FileRecord,
}

/// Loads the kernel. The header decides where it goes before the digest is known, so it is checked
/// like any hostile structure; a wrong digest ends the launch.
pub(super) fn load(
    machine: &mut dyn Machine,
    placement: &mut Placement,
    config: &LaunchConfig,
) -> Result<Kernel, PayloadError> {
    let file = PayloadFile::Kernel;
    let length = files::length(machine, config, file)?.ok_or(PayloadError::NoKernel)?;
    let mut found: Option<(KernelImage, u64)> = None;
    let record = files::read(machine, config, file, length, |machine, offset, piece| {
        let (image, address) = match found {
            Some(found) => found,
            None => {
                let image =
                    KernelImage::parse(piece, u64::from(length)).map_err(PayloadError::Kernel)?;
                let address = placement.place(&request(&image))?;
                *found.insert((image, address))
            }
        };
        write_code(machine, &image, address, offset, piece)
    })?;
    let (image, address) = found.ok_or(PayloadError::NoKernel)?;
    Ok(Kernel { address, image, file: record })
}

fn request(image: &KernelImage) -> Request {
    let movable = image.header.relocatable_kernel != 0;
    let fixed = image.header.pref_address.get();
    let window = if movable {
        KERNEL_LOWEST..MAPPED_END
    } else {
        fixed..fixed.saturating_add(image.init_size).min(MAPPED_END)
    };
    Request {
        what: "kernel",
        size: image.init_size,
        alignment: if movable { image.alignment } else { PAGE_BYTES },
        window,
        from: From::Bottom,
        usage: Use::Ram,
    }
}

/// Writes the part of a piece that is protected-mode code; the setup code before it isn't needed.
fn write_code(
    machine: &mut dyn Machine,
    image: &KernelImage,
    address: u64,
    offset: u64,
    piece: &[u8],
) -> Result<(), PayloadError> {
    let skip = image.code_offset.saturating_sub(offset);
    let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
    let code = piece.get(skip..).unwrap_or_default();
    if code.is_empty() {
        return Ok(());
    }
    let place = address.saturating_add(offset.saturating_sub(image.code_offset));
    machine.write_guest(place, code).map_err(|_| PayloadError::GuestMemory)
}

/// An initial RAM disk in guest memory.
pub(super) struct Initrd {
    /// Its address, page aligned.
    pub(super) address: u64,
    /// What was read.
    pub(super) file: FileRecord,
}

/// Loads the initial RAM disk as high as the kernel allows; `None` without one.
pub(super) fn load_initrd(
    machine: &mut dyn Machine,
    placement: &mut Placement,
    config: &LaunchConfig,
    kernel: &KernelImage,
) -> Result<Option<Initrd>, PayloadError> {
    let file = PayloadFile::Initrd;
    let length = match files::length(machine, config, file)? {
        None | Some(0) => return Ok(None),
        Some(length) => length,
    };
    let highest = u64::from(kernel.header.initrd_addr_max.get());
    let address = placement.place(&Request {
        what: "initial RAM disk",
        size: u64::from(length),
        alignment: PAGE_BYTES,
        window: KERNEL_LOWEST..highest.saturating_add(1).min(MAPPED_END),
        from: From::Top,
        usage: Use::Ram,
    })?;
    let record = files::read(machine, config, file, length, |machine, offset, piece| {
        let place = address.saturating_add(offset);
        machine.write_guest(place, piece).map_err(|_| PayloadError::GuestMemory)
    })?;
    Ok(Some(Initrd { address, file: record }))
}
