// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files by igvmbuilder, whole and damaged, loaded into a machine that only keeps a list.

use std::{vec, vec::Vec};

use igvm::{
    IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader, IgvmPlatformHeader, IgvmRevision,
    measurement::generate_snp_measurement,
};
use igvm_defs::{IGVM_FIXED_HEADER, IgvmPageDataFlags, IgvmPageDataType};
use igvmbuilder::build::{Input, build};
use snp_abi::{
    config::{Console, LaunchFlags, REGION_BASE, REGION_SIZE},
    launch::PageType,
    vmsa::Vmsa,
};
use zerocopy::FromBytes;

use super::{IgvmError, LaunchPage, Loader, Parameter, ParameterKind, load};

const ENTRY: u64 = 0x401_0000;

/// Keeps what it is told, and refuses a page that it has already.
#[derive(Default)]
struct Recorder {
    pages: Vec<(u64, PageType, bool)>,
    parameters: Vec<Parameter>,
    required: Vec<(u64, u64)>,
    entry: Option<u64>,
}

impl Loader for Recorder {
    type Error = u64;

    fn page(&mut self, page: LaunchPage<'_>) -> Result<(), u64> {
        if self.pages.iter().any(|&(gpa, _, _)| gpa == page.gpa) {
            return Err(page.gpa);
        }
        self.pages.push((page.gpa, page.page_type, page.contents.is_some()));
        Ok(())
    }

    fn parameter(&mut self, parameter: Parameter) -> Result<(), u64> {
        self.parameters.push(parameter);
        Ok(())
    }

    fn required_memory(&mut self, gpa: u64, size_bytes: u64) -> Result<(), u64> {
        self.required.push((gpa, size_bytes));
        Ok(())
    }

    fn context(&mut self, vmsa: &Vmsa) -> Result<(), u64> {
        self.entry = Some(vmsa.rip);
        Ok(())
    }
}

/// An ELF64 executable with one segment: three bytes of code, then zeros up to three pages.
fn elf() -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [ENTRY, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 7, 0, 0, 0]);
    for word in [120, ENTRY, ENTRY, 3, 0x3000, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(b"\xf4\xeb\xfd");
    file
}

fn file() -> Vec<u8> {
    let input = Input {
        image: elf(),
        kernel: Some(b"kernel".to_vec()),
        initrd: None,
        cmdline: None,
        arguments: "case=1".into(),
        policy: 0x3_0000,
        console: Console::Debug(0xe9),
        flags: LaunchFlags::empty(),
        state_owner: None,
    };
    build(&input).expect("a good input")
}

fn error(file: &[u8]) -> IgvmError<u64> {
    load(file, &mut Recorder::default()).expect_err("a broken file")
}

/// The file with its checksum put right after a change.
fn changed(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = file();
    change(&mut file);
    match error(&file) {
        IgvmError::Checksum(right) => file[20..24].copy_from_slice(&right.to_le_bytes()),
        other => panic!("the checksum must see the change, not {other:?}"),
    }
    file
}

/// Where the content of the `count`th header of this type begins.
fn position(file: &[u8], kind: u32, count: usize) -> usize {
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("4 bytes"));
    let mut at = 24;
    let mut left = count;
    loop {
        if word(at) == kind {
            if left == 0 {
                return at + 8;
            }
            left -= 1;
        }
        at += 8 + (word(at + 4) as usize).next_multiple_of(8);
    }
}

/// Changes a byte of the first header of this type.
fn patch(file: &mut [u8], kind: u32, offset: usize, value: u8) {
    let place = position(file, kind, 0) + offset;
    file[place] = value;
}

/// The file with other directives.
fn rebuilt(change: impl Fn(&mut Vec<IgvmDirectiveHeader>)) -> Vec<u8> {
    let igvm = IgvmFile::new_from_binary(&file(), None).expect("a valid file");
    let mut directives = igvm.directives().to_vec();
    change(&mut directives);
    serialized(igvm.platforms().to_vec(), igvm.initializations().to_vec(), directives)
}

fn serialized(
    platforms: Vec<IgvmPlatformHeader>,
    initializations: Vec<IgvmInitializationHeader>,
    directives: Vec<IgvmDirectiveHeader>,
) -> Vec<u8> {
    let file = IgvmFile::new(IgvmRevision::V1, platforms, initializations, directives);
    let mut bytes = Vec::new();
    file.expect("the crate accepts it").serialize(&mut bytes).expect("it fits");
    bytes
}

#[test]
fn files_that_are_not_whole_are_refused() {
    let good = file();
    assert_eq!(error(b""), IgvmError::NotIgvm);
    assert_eq!(error(b"MZ"), IgvmError::NotIgvm);
    for length in [23, 24, 100, good.len() - 1] {
        let error = error(&good[..length]);
        assert!(matches!(error, IgvmError::NotIgvm | IgvmError::Sizes), "{length}: {error:?}");
    }
    let mut wrong = good.clone();
    wrong[0] = b'J';
    assert_eq!(error(&wrong), IgvmError::NotIgvm);
    let mut version = good.clone();
    version[4] = 2;
    assert_eq!(error(&version), IgvmError::NotIgvm);
    let mut size = good;
    size[12..16].fill(0xff);
    assert_eq!(error(&size), IgvmError::Sizes);
}

#[test]
fn a_changed_header_is_noticed() {
    let mut file = file();
    file[40] ^= 1;
    assert!(matches!(error(&file), IgvmError::Checksum(_)));
}

#[test]
fn every_damaged_header_is_refused_or_harmless() {
    // Whatever a header says, the loader ends and doesn't panic.
    let good = file();
    let (fixed, _) = IGVM_FIXED_HEADER::read_from_prefix(&good).expect("a fixed header");
    let end = 24 + fixed.variable_header_size as usize;
    let mut refused = 0;
    for position in 24..end {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            if good[position] == value {
                continue;
            }
            let mut file = good.clone();
            file[position] = value;
            let IgvmError::Checksum(right) = error(&file) else {
                panic!("the checksum must see every change");
            };
            file[20..24].copy_from_slice(&right.to_le_bytes());
            refused += usize::from(load(&file, &mut Recorder::default()).is_err());
        }
    }
    assert!(refused > end, "{refused} of {end}");
}

#[test]
fn the_platform_must_be_snp_once() {
    let other = changed(|file| file[24 + 8 + 5] = 3);
    assert_eq!(error(&other), IgvmError::Platform);
    let mask = changed(|file| file[24 + 8] = 3);
    assert_eq!(error(&mask), IgvmError::Platform);
}

#[test]
fn unknown_types_are_refused_unless_optional() {
    // The guest policy is the second header: type at 24 + 24.
    let unknown = changed(|file| file[48..52].copy_from_slice(&0x1fe_u32.to_le_bytes()));
    assert_eq!(error(&unknown), IgvmError::UnknownType(0x1fe));
    let nowhere = changed(|file| file[48..52].copy_from_slice(&0x7000_u32.to_le_bytes()));
    assert_eq!(error(&nowhere), IgvmError::UnknownType(0x7000));
    let optional = changed(|file| file[48..52].copy_from_slice(&0x8000_01fe_u32.to_le_bytes()));
    assert_eq!(error(&optional), IgvmError::Policy, "skipped, and so there is no policy");
    let order = changed(|file| file[24..28].copy_from_slice(&0x302_u32.to_le_bytes()));
    assert!(matches!(error(&order), IgvmError::Order(_)));
}

#[test]
fn pages_that_snp_does_not_have_are_refused() {
    let page = |flags: IgvmPageDataFlags, data_type| IgvmDirectiveHeader::PageData {
        gpa: 0x8000,
        compatibility_mask: 1,
        flags,
        data_type,
        data: vec![1; 4096],
    };
    let shared = rebuilt(|list| {
        list.insert(0, page(IgvmPageDataFlags::new().with_shared(true), IgvmPageDataType::NORMAL));
    });
    assert_eq!(error(&shared), IgvmError::PageKind(0x8000));
    // In a page's header, flags are at 16 and the type at 20.
    let unknown = changed(|file| patch(file, 0x302, 20, 9));
    assert_eq!(error(&unknown), IgvmError::PageKind(REGION_BASE));
    let flags = changed(|file| patch(file, 0x302, 19, 0x80));
    assert_eq!(error(&flags), IgvmError::PageKind(REGION_BASE));
    let address = changed(|file| patch(file, 0x302, 0, 8));
    assert_eq!(error(&address), IgvmError::Address(REGION_BASE + 8));
    let data = changed(|file| patch(file, 0x302, 15, 0x80));
    assert!(matches!(error(&data), IgvmError::Data(0x8000_0000..)));
    let twice = rebuilt(|list| {
        let page = page(IgvmPageDataFlags::new(), IgvmPageDataType::NORMAL);
        list.insert(0, page.clone());
        list.insert(0, page);
    });
    assert_eq!(error(&twice), IgvmError::Machine(0x8000));
}

#[test]
fn the_context_must_come_once_and_last() {
    let none = rebuilt(|list| {
        list.pop();
    });
    assert_eq!(error(&none), IgvmError::Context);
    let two = rebuilt(|list| list.extend(list.last().cloned()));
    assert_eq!(error(&two), IgvmError::Context);
    let early = rebuilt(|list| {
        let context = list.pop().expect("a context");
        list.insert(list.len() - 1, context);
    });
    assert_eq!(error(&early), IgvmError::AfterContext(ENTRY + 0x2000));
    let elsewhere = rebuilt(|list| match list.last_mut() {
        Some(IgvmDirectiveHeader::SnpVpContext { gpa, .. }) => *gpa = 0x8000,
        _ => panic!("the context comes last"),
    });
    assert_eq!(error(&elsewhere), IgvmError::Context);
}

#[test]
fn parameters_need_their_area() {
    // A parameter's header: the area at 0, the offset at 4. An insertion's: the area at 12.
    let outside = changed(|file| patch(file, 0x30c, 5, 0x10));
    assert_eq!(error(&outside), IgvmError::ParameterPlace(0));
    let elsewhere = changed(|file| patch(file, 0x30c, 0, 7));
    assert_eq!(error(&elsewhere), IgvmError::Area(7));
    let again = changed(|file| {
        let second = position(file, 0x303, 1);
        file[second + 12] = 0;
    });
    assert_eq!(error(&again), IgvmError::Area(0));
    let unheard = changed(|file| {
        let place = position(file, 0x30c, 0) - 8;
        file[place..place + 2].copy_from_slice(&0x308_u16.to_le_bytes());
    });
    assert_eq!(error(&unheard), IgvmError::UnknownType(0x308));
}

#[test]
fn the_digest_is_the_one_that_others_compute() {
    let file = file();
    let launch = load(&file, &mut Recorder::default()).expect("a good file");
    let igvm = IgvmFile::new_from_binary(&file, None).expect("a valid file");
    let ours = igvmbuilder::digest::measure(igvm.directives()).expect("measurable");
    let theirs = generate_snp_measurement(igvm.initializations(), igvm.directives(), 1);
    assert_eq!(launch.digest, ours);
    assert_eq!(launch.digest, theirs.expect("measurable"));
    assert_eq!(launch.policy.bits(), 0x3_0000);
    assert!(launch.id_block.is_none());
}

#[test]
fn a_page_without_data_is_measured_as_qemu_does() {
    let bare = rebuilt(|list| {
        let page = IgvmDirectiveHeader::PageData {
            gpa: 0x8000,
            compatibility_mask: 1,
            flags: IgvmPageDataFlags::new(),
            data_type: IgvmPageDataType::NORMAL,
            data: Vec::new(),
        };
        list.insert(0, page);
    });
    let mut machine = Recorder::default();
    load(&bare, &mut machine).expect("a good file");
    assert_eq!(machine.pages.first(), Some(&(0x8000, PageType::Zero, false)));
}

#[test]
fn the_machine_is_told_everything() {
    let mut machine = Recorder::default();
    load(&file(), &mut machine).expect("a good file");
    let page = |offset| REGION_BASE + offset;
    assert_eq!(
        machine.pages,
        [
            (page(0), PageType::Normal, true),
            (page(0x1000), PageType::Cpuid, false),
            (page(0x2000), PageType::Secrets, false),
            (page(0x3000), PageType::Unmeasured, false),
            (page(0x4000), PageType::Unmeasured, false),
            (page(0x5000), PageType::Unmeasured, false),
            (page(0x1_0000), PageType::Normal, true),
            (page(0x1_1000), PageType::Normal, true),
            (page(0x1_2000), PageType::Normal, true),
        ]
    );
    let parameter = |kind, offset| Parameter { kind, gpa: page(offset), room_bytes: 0x1000 };
    assert_eq!(
        machine.parameters,
        [
            parameter(ParameterKind::MemoryMap, 0x3000),
            parameter(ParameterKind::VpCount, 0x4000),
            parameter(ParameterKind::Madt, 0x5000),
        ]
    );
    assert_eq!(machine.required, [(REGION_BASE, REGION_SIZE)]);
    assert_eq!(machine.entry, Some(ENTRY));
}
