// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole way from the host's files to a guest that could start, and what a bad host gets
//! instead.

use super::acpi::sample;
use super::{GuestEntry, Launch, PayloadError, PayloadFile, load};
use crate::machine::fake::{FakeMachine, MEMORY_END, SVSM_END, SVSM_START};
use crate::machine::{FileFault, MemoryKind, MemoryRange};
use crate::protocol::attest::ManifestFault;
use crate::protocol::vtpm::Engine;
use sha2::{Digest, Sha256, Sha384};
use snp_abi::Vmpl;
use snp_abi::config::{Arguments, Console, LaunchConfig, LaunchFlags, PayloadDigest};
use snp_abi::cpuid::{CpuidFunction, CpuidPage};
use snp_abi::fw_cfg::{FILE_ACPI_TABLES, FILE_CMDLINE, FILE_INITRD, FILE_KERNEL};
use snp_abi::launch::GuestPolicy;
use snp_abi::linux::{BOOT_FLAG, BootParams, CcBlob, CcSetupData, HEADER_MAGIC, SetupHeader};
use snp_abi::secrets::SecretsPage;
use std::string::ToString;
use std::vec::Vec;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

const C_BIT: u32 = 39;

/// A TPM that knows TPM2_Startup and TPM2_PCR_Event, with two banks.
pub(super) struct TinyTpm {
    started: bool,
    pub(super) sha256: [[u8; 32]; 24],
    pub(super) sha384: [[u8; 48]; 24],
    /// Answer this code to the n-th command from now.
    fail: Option<(usize, u32)>,
    launch_log: Option<[u8; 48]>,
}

impl TinyTpm {
    pub(super) fn new() -> Self {
        Self {
            started: false,
            sha256: [[0; 32]; 24],
            sha384: [[0; 48]; 24],
            fail: None,
            launch_log: None,
        }
    }

    fn answer(&mut self, command: &[u8]) -> Result<Vec<u8>, u32> {
        if let Some((count, code)) = self.fail.as_mut() {
            if *count == 0 {
                return Err(*code);
            }
            *count -= 1;
        }
        match command[6..10] {
            [0, 0, 1, 0x44] if command[10..] == [0, 0] && !self.started => {
                self.started = true;
                Ok(Vec::new())
            }
            [0, 0, 1, 0x3c] if self.started => Ok(self.event(command)),
            _ => Err(0x100),
        }
    }

    fn event(&mut self, command: &[u8]) -> Vec<u8> {
        let pcr = u32::from_be_bytes(command[10..14].try_into().unwrap()) as usize;
        assert_eq!(command[14..27], [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0]);
        let (size, data) = command[27..].split_first_chunk::<2>().unwrap();
        assert_eq!(usize::from(u16::from_be_bytes(*size)), data.len());
        let (short, long) = (Sha256::digest(data), Sha384::digest(data));
        self.sha256[pcr] =
            Sha256::new().chain_update(self.sha256[pcr]).chain_update(short).finalize().into();
        self.sha384[pcr] =
            Sha384::new().chain_update(self.sha384[pcr]).chain_update(long).finalize().into();
        let mut out = vec![0, 0, 0, 88, 0, 0, 0, 2, 0, 0x0b];
        out.extend(short);
        out.extend([0, 0x0c]);
        out.extend(long);
        out.extend([0; 5]);
        out
    }
}

impl Engine for TinyTpm {
    fn execute(&mut self, locality: u8, command: &[u8], response: &mut [u8]) -> usize {
        assert_eq!(locality, 0);
        assert_eq!(command[2..6], u32::try_from(command.len()).unwrap().to_be_bytes());
        let (code, body) = match self.answer(command) {
            Ok(body) => (0, body),
            Err(code) => (code, Vec::new()),
        };
        let length = 10 + body.len();
        response[..2].copy_from_slice(&command[..2]);
        response[2..6].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
        response[6..10].copy_from_slice(&code.to_be_bytes());
        response[10..length].copy_from_slice(&body);
        length
    }

    fn set_launch_log(&mut self, digest: [u8; 48]) {
        self.launch_log = Some(digest);
    }

    fn manifest(&mut self, _: u32, _: &mut [u8]) -> Result<usize, ManifestFault> {
        Err(ManifestFault::Failed)
    }
}

fn kernel_image() -> Vec<u8> {
    let mut header = SetupHeader::new_zeroed();
    header.setup_sects = 3;
    header.boot_flag = U16::new(BOOT_FLAG);
    header.header = HEADER_MAGIC;
    header.version = U16::new(0x020f);
    header.loadflags = 1;
    header.xloadflags = U16::new(1);
    header.relocatable_kernel = 1;
    header.kernel_alignment = U32::new(0x20_0000);
    header.init_size = U32::new(0x310_0000);
    header.initrd_addr_max = U32::new(0x7fff_ffff);
    header.cmdline_size = U32::new(2047);
    let mut image = vec![0xee; 0x800];
    image[0x1f1..0x26c].copy_from_slice(header.as_bytes());
    image.extend((0..0x3_0000_u32).map(|index| index.to_le_bytes()[0] ^ 0x77));
    image
}

fn digest(bytes: &[u8]) -> Option<PayloadDigest> {
    Some(PayloadDigest { length: bytes.len() as u64, digest: Sha384::digest(bytes).into() })
}

struct Scene {
    machine: FakeMachine,
    tpm: TinyTpm,
    config: LaunchConfig,
    cpuid: CpuidPage,
    secrets: SecretsPage,
}

const COMMAND_LINE: &[u8] = b"console=ttyS0 panic=-1";

fn scene() -> Scene {
    let (kernel, initrd) = (kernel_image(), vec![0x42; 0x2_3456]);
    let mut cpuid = CpuidPage::new_zeroed();
    for (leaf, eax, ebx) in [(0, 0xd, 0), (0x8000_001f, 0x1a, C_BIT)] {
        cpuid.push(CpuidFunction { leaf, eax, ebx, ..CpuidFunction::new_zeroed() }).unwrap();
    }
    let mut secrets = SecretsPage::new_zeroed();
    secrets.vmpck = [[1; 32], [2; 32], [3; 32], [4; 32]];
    let config = LaunchConfig {
        flags: LaunchFlags::empty(),
        region_base: SVSM_START,
        region_size: SVSM_END - SVSM_START,
        image_start: SVSM_START + 0x1_0000,
        image_end: SVSM_START + 0x10_0000,
        guest_policy: GuestPolicy::DEFAULT,
        console: Console::None,
        guest_vmpl: Vmpl::Vmpl2,
        kernel: digest(&kernel),
        initrd: digest(&initrd),
        cmdline: digest(COMMAND_LINE),
        arguments: Arguments::EMPTY,
        state_owner: None,
    };
    let mut machine = FakeMachine::new();
    machine.files.insert(FILE_KERNEL.to_string(), kernel);
    machine.files.insert(FILE_INITRD.to_string(), initrd);
    machine.files.insert(FILE_CMDLINE.to_string(), COMMAND_LINE.to_vec());
    sample::add_to(&mut machine.files);
    Scene { machine, tpm: TinyTpm::new(), config, cpuid, secrets }
}

impl Scene {
    fn load(&mut self) -> Result<GuestEntry, PayloadError> {
        let launch = Launch {
            config: &self.config,
            cpuid: &self.cpuid,
            secrets: &self.secrets,
            c_bit: C_BIT,
        };
        load(&mut self.machine, &launch, &mut self.tpm)
    }

    fn file(&mut self, name: &str) -> &mut Vec<u8> {
        self.machine.files.get_mut(name).unwrap()
    }

    fn boot_params(&mut self, entry: &GuestEntry) -> BootParams {
        BootParams::read_from_bytes(&self.machine.peek(entry.rsi, 4096)).unwrap()
    }
}

#[test]
fn a_file_that_is_not_the_measured_one_ends_the_launch() {
    let files = [
        (FILE_KERNEL, PayloadFile::Kernel),
        (FILE_INITRD, PayloadFile::Initrd),
        (FILE_CMDLINE, PayloadFile::CommandLine),
    ];
    for (name, file) in files {
        let mut changed = scene();
        *changed.file(name).last_mut().unwrap() ^= 1;
        assert_eq!(changed.load(), Err(PayloadError::WrongDigest(file)));
        let mut longer = scene();
        longer.file(name).push(0);
        assert_eq!(longer.load(), Err(PayloadError::WrongLength(file)));
        let mut missing = scene();
        missing.machine.files.remove(name);
        assert_eq!(missing.load(), Err(PayloadError::File(file, FileFault::Missing)));
    }
}

#[test]
fn without_a_measured_kernel_there_is_none_unless_the_build_allows_it() {
    let mut scene = scene();
    scene.config.kernel = None;
    assert_eq!(scene.load(), Err(PayloadError::NoKernel));
    scene.tpm = TinyTpm::new();
    scene.config.flags = LaunchFlags::ALLOW_UNMEASURED_PAYLOAD;
    assert!(scene.load().is_ok());
    scene.tpm = TinyTpm::new();
    scene.machine.files.remove(FILE_KERNEL);
    assert_eq!(scene.load(), Err(PayloadError::NoKernel));
}

#[test]
fn an_unmeasured_initrd_is_ignored() {
    let mut scene = scene();
    scene.config.initrd = None;
    let entry = scene.load().unwrap();
    let params = scene.boot_params(&entry);
    assert_eq!((params.header.ramdisk_image.get(), params.header.ramdisk_size.get()), (0, 0));
}

#[test]
fn an_image_that_is_no_kernel_is_refused() {
    let mut scene = scene();
    scene.file(FILE_KERNEL)[0x202] = 0;
    assert!(matches!(scene.load(), Err(PayloadError::Kernel(_))));
}

#[test]
fn a_kernel_that_wants_more_memory_than_there_is_has_no_room() {
    let mut scene = scene();
    let image = scene.file(FILE_KERNEL);
    image[0x260..0x264].copy_from_slice(&[0xff; 4]);
    let image = image.clone();
    scene.config.kernel = digest(&image);
    assert_eq!(scene.load(), Err(PayloadError::NoRoom("kernel")));
}

#[test]
fn a_kernel_that_cannot_move_is_loaded_where_it_wants_or_not_at_all() {
    let mut scene = scene();
    let image = scene.file(FILE_KERNEL);
    image[0x234] = 0;
    image[0x258..0x260].copy_from_slice(&0x1000_0000_u64.to_le_bytes());
    let image = image.clone();
    scene.config.kernel = digest(&image);
    assert_eq!(scene.load().unwrap().rip, 0x1000_0200);
    scene.tpm = TinyTpm::new();
    scene.file(FILE_KERNEL)[0x258..0x260].copy_from_slice(&SVSM_START.to_le_bytes());
    assert_eq!(scene.load(), Err(PayloadError::NoRoom("kernel")));
}

#[test]
fn command_lines_that_are_too_long_or_hide_something_are_refused() {
    for text in [vec![b'a'; 2048], b"quiet\0init=/evil".to_vec()] {
        let mut scene = scene();
        scene.config.cmdline = digest(&text);
        *scene.file(FILE_CMDLINE) = text;
        assert_eq!(scene.load(), Err(PayloadError::CommandLine));
    }
}

#[test]
fn a_tpm_that_refuses_ends_the_launch() {
    for (count, code) in [(0, 0x100), (1, 0x101), (2, 0x101), (3, 0x101), (4, 0x101)] {
        let mut scene = scene();
        scene.tpm.fail = Some((count, code));
        let refused = super::MeasurementError::Refused(code);
        assert_eq!(scene.load(), Err(PayloadError::Measurement(refused)));
    }
}

#[test]
fn a_tpm_in_failure_mode_from_the_start_does_not_hold_the_guest() {
    let mut scene = scene();
    scene.tpm.fail = Some((0, 0x101));
    assert!(scene.load().is_ok());
    assert!(scene.tpm.sha256.iter().all(|value| *value == [0; 32]), "and measures nothing");
}

#[test]
fn a_memory_map_in_too_many_pieces_is_refused() {
    let mut scene = scene();
    let pieces = (0..140_u64).map(|index| {
        let start = MEMORY_END + index * 0x2000;
        MemoryRange { start, end: start + 0x1000, kind: MemoryKind::Reserved }
    });
    scene.machine.ranges.extend(pieces);
    assert_eq!(scene.load(), Err(PayloadError::MemoryMapTooLong));
}

#[test]
fn guest_memory_that_is_not_there_is_an_error() {
    let mut scene = scene();
    scene.machine.page(SVSM_END).validated = false;
    assert_eq!(scene.load(), Err(PayloadError::GuestMemory));
}

#[test]
fn kernel_and_initrd_are_where_the_boot_parameters_say() {
    let mut scene = scene();
    let entry = scene.load().unwrap();
    let params = scene.boot_params(&entry);
    let kernel = kernel_image();
    assert_eq!(entry.rip, SVSM_END + 0x200, "the first free place that is aligned and big enough");
    assert_eq!(scene.machine.peek(entry.rip - 0x200, kernel.len() - 0x800), kernel[0x800..]);
    assert_eq!(params.header.code32_start.get(), u32::try_from(SVSM_END).unwrap());
    let (address, size) = (params.header.ramdisk_image.get(), params.header.ramdisk_size.get());
    assert_eq!(size, 0x2_3456);
    assert_eq!(scene.machine.peek(u64::from(address), size as usize), vec![0x42; size as usize]);
    let text = scene.machine.peek(u64::from(params.header.cmd_line_ptr.get()), 4096);
    assert_eq!(text.strip_prefix(COMMAND_LINE).unwrap(), vec![0; 4096 - COMMAND_LINE.len()]);
    assert_eq!((params.header.type_of_loader, params.sentinel), (0xff, 0));
}

#[test]
fn a_kernel_goes_below_the_svsm_when_it_fits_there() {
    let mut scene = scene();
    let image = scene.file(FILE_KERNEL);
    image[0x260..0x264].copy_from_slice(&0x200_0000_u32.to_le_bytes());
    let image = image.clone();
    scene.config.kernel = digest(&image);
    assert_eq!(scene.load().unwrap().rip, 0x100_0200);
}

#[test]
fn the_guest_finds_its_pages_and_not_the_svsms_keys() {
    let mut scene = scene();
    let entry = scene.load().unwrap();
    let params = scene.boot_params(&entry);
    let setup_data = scene.machine.peek(params.header.setup_data.get(), 20);
    let setup_data = CcSetupData::read_from_bytes(&setup_data).unwrap();
    assert_eq!((setup_data.kind.get(), setup_data.next.get()), (7, 0));
    let blob = scene.machine.peek(u64::from(setup_data.cc_blob_address.get()), 0x28);
    let blob = CcBlob::read_from_bytes(&blob).unwrap();
    assert_eq!(blob.secrets_address.get(), entry.secrets_page);
    let secrets = scene.machine.peek(entry.secrets_page, 4096);
    let secrets = SecretsPage::read_from_bytes(&secrets).unwrap();
    assert!(secrets.vmpck == [[0; 32], [0; 32], [3; 32], [4; 32]]);
    let location = secrets.svsm_location().unwrap();
    assert_eq!((location.base, location.caa), (SVSM_START, entry.calling_area));
    let cpuid = scene.machine.peek(blob.cpuid_address.get(), 4096);
    let cpuid = CpuidPage::read_from_bytes(&cpuid).unwrap();
    assert_eq!(cpuid.find(0x8000_001f, 0).unwrap().eax, 0x1000_001a);
    assert_eq!(cpuid.find(0, 0), scene.cpuid.find(0, 0));
    assert_eq!(scene.machine.peek(entry.calling_area, 4096), vec![0; 4096]);
}

#[test]
fn descriptors_and_page_tables_are_ready() {
    let mut scene = scene();
    let entry = scene.load().unwrap();
    let code = scene.machine.peek(entry.gdt_base + u64::from(entry.code_selector), 8);
    assert_eq!(u64::from_le_bytes(code.try_into().unwrap()), 0x00af_9b00_0000_ffff);
    assert_eq!(entry.gdt_limit, 31);
    assert_eq!(entry.cr3 >> C_BIT, 1);
    assert!(entry.rsp > entry.gdt_base + 0x100);
}

#[test]
fn the_memory_map_is_ordered_and_keeps_boot_data_and_acpi_apart() {
    let mut scene = scene();
    let entry = scene.load().unwrap();
    let params = scene.boot_params(&entry);
    let map = &params.e820_table[..usize::from(params.e820_entries)];
    let mut end = 0;
    for range in map {
        assert_eq!(range.address.get(), end, "no gap in this machine's memory, no overlap");
        end += range.size.get();
    }
    assert_eq!(end, MEMORY_END);
    let kind = |address: u64| {
        let holds = |start: u64, size: u64| (start..start + size).contains(&address);
        map.iter().find(|e| holds(e.address.get(), e.size.get())).unwrap().kind.get()
    };
    for address in [entry.rsi, entry.secrets_page, entry.calling_area, entry.gdt_base] {
        assert_eq!(kind(address), 2);
    }
    assert_eq!(kind(SVSM_START), 2);
    assert_eq!(kind(0xc_0000), 2);
    assert_eq!(kind(entry.rip), 1);
    assert_eq!(kind(u64::from(params.header.ramdisk_image.get())), 1);
    assert_eq!(kind(params.acpi_rsdp_addr.get()), 3);
}

#[test]
fn the_event_log_in_acpi_replays_to_the_pcrs() {
    let mut scene = scene();
    let entry = scene.load().unwrap();
    let rsdp = scene.boot_params(&entry).acpi_rsdp_addr.get();
    let table = sample::find_table(&mut scene.machine, rsdp, *b"OEMT").unwrap();
    let whole_log: [u8; 48] = Sha384::digest(&table[36..]).into();
    assert_eq!(scene.tpm.launch_log, Some(whole_log));
    let events = parse_log(&table[36..]);
    let mut pcrs = [[0; 32]; 24];
    for (pcr, _, digest, data) in &events {
        assert_eq!(digest[..], Sha256::digest(data)[..]);
        let extended = Sha256::new().chain_update(pcrs[*pcr]).chain_update(digest);
        pcrs[*pcr] = extended.finalize().into();
    }
    assert_eq!(pcrs, scene.tpm.sha256);
    let of = |pcr| events.iter().filter(move |event| event.0 == pcr && event.1 != 4).count();
    assert_eq!([0, 1, 4, 9].map(of), [1, 4, 1, 2]);
    assert_eq!(events.iter().filter(|event| event.1 == 4).count(), 8);
    let kernel: [u8; 48] = Sha384::digest(kernel_image()).into();
    let measured = events.iter().find(|event| event.0 == 4 && event.1 == 6).unwrap();
    assert_eq!(measured.3[16..], kernel);
}

/// PCR, type, SHA-256 digest and data of each event behind the Spec ID event.
fn parse_log(log: &[u8]) -> Vec<(usize, u32, [u8; 32], Vec<u8>)> {
    let number = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
    let mut at = 32 + number(28) as usize;
    let mut events = Vec::new();
    while at < log.len() {
        assert_eq!(number(at + 8), 2);
        let digest = log[at + 14..at + 46].try_into().unwrap();
        let size_at = at + 12 + 34 + 50;
        let end = size_at + 4 + number(size_at) as usize;
        events.push((number(at) as usize, number(at + 4), digest, log[size_at + 4..end].to_vec()));
        at = end;
    }
    events
}

/// Linux' view after the launch: the real engine has taken what the log says.
#[test]
fn the_real_engine_holds_what_the_log_says() {
    let mut scene = scene();
    let mut tpm = crate::vtpm::for_tests();
    let launch = Launch {
        config: &scene.config,
        cpuid: &scene.cpuid,
        secrets: &scene.secrets,
        c_bit: C_BIT,
    };
    let entry = load(&mut scene.machine, &launch, &mut tpm).unwrap();
    let rsdp = scene.boot_params(&entry).acpi_rsdp_addr.get();
    let table = sample::find_table(&mut scene.machine, rsdp, *b"OEMT").unwrap();
    let (banks, events) = parse_banks(&table[36..]);
    assert_eq!(banks, [(4, 20), (11, 32), (12, 48), (13, 64)]);
    let mut pcrs = [[0; 48]; 10];
    for (pcr, digest) in events {
        pcrs[pcr] = Sha384::new().chain_update(pcrs[pcr]).chain_update(digest).finalize().into();
    }
    for (pcr, value) in pcrs.iter().enumerate() {
        // TPM2_PCR_Read of one PCR in the SHA-384 bank.
        let mut command =
            vec![0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0x0c, 3, 0, 0, 0];
        command[17 + pcr / 8] = 1 << (pcr % 8);
        let mut response = [0; 256];
        let length = tpm.execute(0, &command, &mut response);
        assert_eq!(response[6..10], [0; 4]);
        assert_eq!(response[length - 48..length], *value, "PCR {pcr}");
    }
}

/// TPM_ALG_ID and digest size of a bank.
type Bank = (u16, u16);
/// PCR and SHA-384 digest of an event.
type Extension = (usize, Vec<u8>);

/// The banks of the Spec ID event, and the events behind it.
fn parse_banks(log: &[u8]) -> (Vec<Bank>, Vec<Extension>) {
    let half = |at: usize| u16::from_le_bytes(log[at..at + 2].try_into().unwrap());
    let number = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().unwrap()) as usize;
    let banks: Vec<_> = (0..number(56)).map(|i| (half(60 + 4 * i), half(62 + 4 * i))).collect();
    let mut at = 32 + number(28);
    let mut events = Vec::new();
    while at < log.len() {
        let pcr = number(at);
        assert_eq!(number(at + 8), banks.len());
        at += 12;
        for (algorithm, size) in &banks {
            assert_eq!(half(at), *algorithm);
            if *algorithm == 12 {
                events.push((pcr, log[at + 2..at + 50].to_vec()));
            }
            at += 2 + usize::from(*size);
        }
        at += 4 + number(at);
    }
    (banks, events)
}

#[test]
fn another_host_table_gives_another_pcr_1() {
    let (mut a, mut b) = (scene(), scene());
    b.file(FILE_ACPI_TABLES).push(0);
    a.load().unwrap();
    b.load().unwrap();
    assert_ne!(a.tpm.sha384[1], b.tpm.sha384[1]);
    assert_eq!(a.tpm.sha384[4], b.tpm.sha384[4]);
}

#[test]
fn a_host_without_acpi_gives_a_guest_without() {
    let mut scene = scene();
    scene.machine.files.remove("etc/table-loader");
    let entry = scene.load().unwrap();
    assert_eq!(scene.boot_params(&entry).acpi_rsdp_addr.get(), 0);
    assert_eq!(scene.machine.log.len(), 1);
}
