// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the guest and packs it like a Linux kernel.

use launcher::Options;
use object::{Object, ObjectSegment};
use snp_abi::linux::{
    BOOT_FLAG, HEADER_MAGIC, LOADED_HIGH, PROTOCOL_MIN, SetupHeader, XLF_KERNEL_64,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes};

/// How long a start may take on a busy machine.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(180);
/// Boot sector and one sector of setup code.
const SETUP_SECTORS: u8 = 1;
/// Where the code begins: behind both.
const CODE_OFFSET: usize = 2 * 512;

fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the tree's top").to_path_buf()
}

/// Builds the guest; its ELF file.
pub(crate) fn build() -> Vec<u8> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bare-metal");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["--config", "bare-metal.toml", "build", "--quiet", "--profile", "image"])
        .args(["--package", "calls", "--features", "bare-metal", "--target-dir"])
        .arg(&target)
        .current_dir(root())
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the guest builds");
    std::fs::read(target.join("x86_64-unknown-linux-gnu/image/calls")).expect("the guest")
}

/// Packs an ELF file like a Linux kernel that wants to be loaded where it is linked.
pub(crate) fn kernel_image(elf: &[u8]) -> Vec<u8> {
    let file = object::File::parse(elf).expect("an ELF file");
    let start = file.segments().map(|segment| segment.address()).min().expect("a segment");
    let ends = file.segments().map(|segment| segment.address() + segment.size());
    let end = ends.max().expect("a segment");
    let mut header = SetupHeader::new_zeroed();
    header.setup_sects = SETUP_SECTORS;
    header.boot_flag = U16::new(BOOT_FLAG);
    header.header = HEADER_MAGIC;
    header.version = U16::new(PROTOCOL_MIN);
    header.loadflags = LOADED_HIGH;
    header.xloadflags = U16::new(XLF_KERNEL_64);
    header.kernel_alignment = U32::new(0x20_0000);
    header.pref_address = U64::new(start);
    header.init_size = U32::new(u32::try_from(end - start).expect("a small guest"));
    header.initrd_addr_max = U32::new(0x7fff_ffff);
    header.cmdline_size = U32::new(2047);
    let mut image = vec![0; CODE_OFFSET];
    image[0x1f1..0x1f1 + size_of::<SetupHeader>()].copy_from_slice(header.as_bytes());
    for segment in file.segments() {
        let data = segment.data().expect("its bytes");
        let offset = usize::try_from(segment.address() - start).expect("a small guest");
        let place = CODE_OFFSET + offset;
        image.resize(image.len().max(place + data.len()), 0);
        image[place..place + data.len()].copy_from_slice(data);
    }
    image
}

/// A machine whose kernel is the guest.
pub(crate) fn options(cpus: u8) -> Options {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (kernel, initrd) = (folder.join(format!("kernel-{cpus}")), folder.join("initrd"));
    std::fs::write(&kernel, kernel_image(&build())).expect("a file");
    std::fs::write(&initrd, b"none").expect("a file");
    Options { cpus, kernel: Some(kernel), initrd: Some(initrd), ..Options::default() }
}
