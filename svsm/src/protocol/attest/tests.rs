// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attestation protocol with a firmware and a TPM that do as each test wants.

use super::*;
use crate::machine::fake::{FakeMachine, MEMORY_END, SVSM_START};
use crate::protocol::vtpm::Engine;
use crate::protocol::{Caller, dispatch};
use snp_abi::svsm::{AttestationOperation, SERVICES_MANIFEST_GUID, VTPM_SERVICE_GUID};
use std::sync::{Arc, Mutex};
use zerocopy::{FromZeros, IntoBytes};

const OPERATION: u64 = 0x1000_0008;
const REPORT: u64 = 0x1001_0000;
const MANIFEST: u64 = 0x1002_0000;
const CERTIFICATES: u64 = 0x1003_0000;
/// Not aligned, and across a page's end.
const NONCE: u64 = 0x1004_0fe5;
const GUEST_VMSA: u64 = 0x1005_0000;
const OWN_VMSA: u64 = SVSM_START + 0x3_0000;
const NONCE_BYTES: [u8; 64] = [0x4e; 64];

const SERVICES: u64 = 1 << 32;
const SINGLE_SERVICE: u64 = 1 << 32 | 1;
const BUSY: u64 = 0x8000_0007;
const INVALID_ADDRESS: u64 = 0x8000_0003;
const INVALID_PARAMETER: u64 = 0x8000_0005;
const INVALID_REQUEST: u64 = 0x8000_0006;

/// What the firmware and the TPM answer next, and what they were asked.
#[derive(Default)]
struct Script {
    faults: Vec<FirmwareFault>,
    certificates: Vec<u8>,
    asked: Vec<([u8; 64], bool)>,
    manifest_fault: Option<ManifestFault>,
}

type Shared = Arc<Mutex<Script>>;

struct FakeFirmware(Shared);

impl Firmware for FakeFirmware {
    fn report(&mut self, data: &[u8; 64], with: bool) -> Result<Evidence, FirmwareFault> {
        let mut script = self.0.lock().unwrap();
        script.asked.push((*data, with));
        if let Some(fault) = script.faults.pop() {
            return Err(fault);
        }
        let mut report = Box::new([0xaa; REPORT_SIZE]);
        report[0x50..0x90].copy_from_slice(data);
        let certificates = if with { script.certificates.clone() } else { Vec::new() };
        Ok(Evidence { report, certificates })
    }
}

/// A TPM whose manifest is as long as its version says, and which knows two versions.
struct FakeTpm(Shared);

impl Engine for FakeTpm {
    fn execute(&mut self, _: u8, _: &[u8], _: &mut [u8]) -> usize {
        0
    }

    fn set_launch_log(&mut self, _: snp_abi::launch::Digest) {}

    fn manifest(&mut self, version: u32, buffer: &mut [u8]) -> Result<usize, ManifestFault> {
        if let Some(fault) = self.0.lock().unwrap().manifest_fault {
            return Err(fault);
        }
        let length = [300, 700].get(version as usize).copied().ok_or(ManifestFault::Version)?;
        buffer[..length].fill(0x70 + u8::try_from(version).unwrap());
        Ok(length)
    }
}

struct Scene {
    services: Services,
    machine: FakeMachine,
    script: Shared,
}

impl Scene {
    fn new() -> Self {
        let script = Shared::default();
        let services = Services::new();
        services.attach_vtpm(Box::new(FakeTpm(script.clone()))).unwrap();
        services.attach_firmware(Box::new(FakeFirmware(script.clone()))).unwrap();
        services.add_own_vcpu(0, OWN_VMSA, 0x1_6000).unwrap();
        let mut machine = FakeMachine::new();
        machine.poke(NONCE, &NONCE_BYTES);
        Self { services, machine, script }
    }

    /// The registers after a call with this structure.
    fn call(&mut self, rax: u64, operation: &[u8]) -> Registers {
        self.machine.poke(OPERATION, operation);
        self.call_at(rax, OPERATION)
    }

    fn call_at(&mut self, rax: u64, address: u64) -> Registers {
        let mut registers = Registers { rax, rcx: address, rdx: 22, r8: 33, r9: 44 };
        let caller = Caller { apic_id: 0 };
        dispatch(&self.services, &mut self.machine, caller, &mut registers);
        assert_eq!(registers.r9, 44);
        registers
    }

    /// RAX, and all other registers as they came.
    fn refused(&mut self, rax: u64, operation: &[u8]) -> u64 {
        let after = self.call(rax, operation);
        assert_eq!((after.rcx, after.rdx, after.r8), (OPERATION, 22, 33));
        after.rax
    }

    fn asked(&self) -> usize {
        self.script.lock().unwrap().asked.len()
    }
}

fn good() -> AttestationOperation {
    AttestationOperation {
        report_gpa: REPORT,
        report_size: 0x1000,
        nonce_gpa: NONCE,
        nonce_size: 64,
        manifest_gpa: MANIFEST,
        manifest_size: 0x1000,
        certificates_gpa: CERTIFICATES,
        certificates_size: 0x4000,
        ..AttestationOperation::new_zeroed()
    }
}

fn changed(change: impl Fn(&mut AttestationOperation)) -> Vec<u8> {
    let mut operation = good();
    change(&mut operation);
    operation.as_bytes().to_vec()
}

fn single(guid: [u8; 16], version: u32) -> Vec<u8> {
    let tail: [&[u8]; 3] = [&guid, &version.to_le_bytes(), &[0; 4]];
    [good().as_bytes(), &tail.concat()].concat()
}

/// Whether the buffers are as they were: zeros.
fn is_untouched(scene: &mut Scene) -> bool {
    [REPORT, MANIFEST, CERTIFICATES]
        .iter()
        .all(|&place| scene.machine.peek(place, 0x4000).iter().all(|&byte| byte == 0))
}

#[test]
fn without_firmware_there_is_no_such_protocol() {
    let services = Services::new();
    let mut registers = Registers { rax: SERVICES, ..Registers::default() };
    dispatch(&services, &mut FakeMachine::new(), Caller { apic_id: 0 }, &mut registers);
    assert_eq!(registers.rax, 0x8000_0001);
    assert_eq!(services.versions(1), None);
    assert_eq!(Scene::new().services.versions(1), Some((1, 1)));
}

#[test]
fn malformed_operations_are_refused_and_cost_nothing() {
    let mut scene = Scene::new();
    assert_eq!(scene.refused(1 << 32 | 2, &changed(|_| ())), 0x8000_0002);
    let parameters: [&dyn Fn(&mut AttestationOperation); 11] = [
        &|operation| operation.reserved_0c = 1,
        &|operation| operation.reserved_1a[5] = 1,
        &|operation| operation.reserved_2c = 1 << 31,
        &|operation| operation.reserved_3c = 1,
        &|operation| operation.nonce_size = 0,
        &|operation| operation.nonce_size = 63,
        &|operation| operation.nonce_size = 65,
        &|operation| operation.nonce_size = u16::MAX,
        &|operation| operation.report_gpa += 8,
        &|operation| operation.manifest_gpa += 1,
        &|operation| operation.certificates_gpa += 0x800,
    ];
    for (number, change) in parameters.iter().enumerate() {
        assert_eq!(scene.refused(SERVICES, &changed(change)), INVALID_PARAMETER, "{number}");
    }
    let mut reserved = single(VTPM_SERVICE_GUID, 0);
    reserved[0x54] = 1;
    assert_eq!(scene.refused(SINGLE_SERVICE, &reserved), INVALID_PARAMETER);
    assert!(scene.asked() == 0 && is_untouched(&mut scene));
}

#[test]
fn unknown_services_and_versions_are_refused() {
    let mut scene = Scene::new();
    let other = [0x11; 16];
    for (guid, version) in [(other, 0), (SERVICES_MANIFEST_GUID, 0), (VTPM_SERVICE_GUID, 2)] {
        let operation = single(guid, version);
        assert_eq!(scene.refused(SINGLE_SERVICE, &operation), INVALID_PARAMETER, "{version}");
    }
    assert!(scene.asked() == 0 && is_untouched(&mut scene));
}

#[test]
fn addresses_that_are_not_the_guests_are_refused() {
    let mut scene = Scene::new();
    for address in [SVSM_START, MEMORY_END - 8, MEMORY_END, u64::MAX - 3, OWN_VMSA] {
        let after = scene.call_at(SERVICES, address);
        assert_eq!((after.rax, after.rcx), (INVALID_ADDRESS, address), "{address:#x}");
    }
    let foreign = [SVSM_START, MEMORY_END, 0xffff_ffff_ffff_f000, OWN_VMSA];
    for address in foreign {
        let nonce = changed(|operation| operation.nonce_gpa = address);
        assert_eq!(scene.refused(SERVICES, &nonce), INVALID_ADDRESS, "{address:#x}");
    }
    let buffers: [fn(&mut AttestationOperation, u64); 2] = [
        |operation, address| operation.report_gpa = address,
        |operation, address| operation.manifest_gpa = address,
    ];
    for address in foreign {
        for set in buffers {
            let operation = changed(|operation| set(operation, address));
            assert_eq!(scene.refused(SERVICES, &operation), INVALID_ADDRESS, "{address:#x}");
        }
    }
    assert!(scene.asked() == 0 && is_untouched(&mut scene));
    scene.script.lock().unwrap().certificates = vec![0xce; 100];
    let operation = changed(|operation| operation.certificates_gpa = SVSM_START);
    assert_eq!(scene.refused(SERVICES, &operation), INVALID_ADDRESS);
    assert!(is_untouched(&mut scene), "all buffers are checked before one is written");
}

#[test]
fn a_vmsa_of_the_guests_is_not_written_to() {
    let mut scene = Scene::new();
    scene.machine.poke(GUEST_VMSA + 0xca, &[2]);
    scene.machine.poke(GUEST_VMSA + 0xd0, &0x1000_u64.to_le_bytes());
    scene.machine.poke(GUEST_VMSA + 0x3b0, &1_u64.to_le_bytes());
    let mut create =
        Registers { rax: 2, rcx: GUEST_VMSA, rdx: 0x1006_0000, r8: 1, ..Registers::default() };
    dispatch(&scene.services, &mut scene.machine, Caller { apic_id: 0 }, &mut create);
    assert_eq!(create.rax, 0);
    let operation = changed(|operation| operation.report_gpa = GUEST_VMSA);
    assert_eq!(scene.refused(SERVICES, &operation), INVALID_ADDRESS);
}

#[test]
fn short_buffers_get_the_needed_lengths() {
    let mut scene = Scene::new();
    let shorten: [fn(&mut AttestationOperation); 2] =
        [|operation| operation.report_size = 0x49f, |operation| operation.manifest_size = 347];
    for shorten in shorten {
        let without = changed(|operation| {
            shorten(operation);
            operation.certificates_size = 0;
        });
        let after = scene.call(SERVICES, &without);
        assert_eq!((after.rax, after.rcx, after.rdx, after.r8), (INVALID_PARAMETER, 348, 0, 0x4a0));
    }
    assert!(scene.asked() == 0 && is_untouched(&mut scene));
    let exact = changed(|operation| {
        operation.manifest_size = 348;
        operation.report_size = 0x4a0;
    });
    assert_eq!(scene.call(SERVICES, &exact).rax, 0);
}

/// A length of 0 would say that the host has none.
#[test]
fn certificates_of_unknown_length_are_asked_for_before_a_length_is_told() {
    let mut scene = Scene::new();
    scene.script.lock().unwrap().certificates = vec![0xce; 100];
    let short = changed(|operation| operation.report_size = 0x49f);
    for asked in [1, 1] {
        let after = scene.call(SERVICES, &short);
        assert_eq!((after.rax, after.rcx, after.rdx), (INVALID_PARAMETER, 348, 100));
        assert_eq!(scene.asked(), asked, "the first time only");
        assert!(is_untouched(&mut scene));
    }
}

#[test]
fn certificates_that_do_not_fit_are_told_and_remembered() {
    let mut scene = Scene::new();
    scene.script.lock().unwrap().certificates = vec![0xce; 0x4001 - 0x1000];
    let small = changed(|operation| operation.certificates_size = 0x3000);
    for asked in [1, 1] {
        let after = scene.call(SERVICES, &small);
        assert_eq!((after.rax, after.rdx, after.r8), (INVALID_PARAMETER, 0x3001, 0x4a0));
        assert_eq!(scene.asked(), asked, "the firmware is asked the first time only");
        assert!(is_untouched(&mut scene));
    }
    let after = scene.call(SERVICES, &changed(|_| ()));
    assert_eq!((after.rax, after.rdx), (0, 0x3001));
    assert_eq!(scene.machine.peek(CERTIFICATES + 0x2fff, 3), [0xce, 0xce, 0]);
}

#[test]
fn without_certificates_none_are_told() {
    let mut scene = Scene::new();
    let after = scene.call(SERVICES, &changed(|_| ()));
    assert_eq!((after.rax, after.rdx), (0, 0), "the host has none");
    scene.script.lock().unwrap().certificates = vec![0xce; 100];
    let unwanted: [&dyn Fn(&mut AttestationOperation); 2] =
        [&|operation| operation.certificates_size = 0, &|operation| operation.certificates_gpa = 0];
    for change in unwanted {
        let after = scene.call(SERVICES, &changed(change));
        assert_eq!((after.rax, after.rdx), (0, 0));
        assert!(!scene.script.lock().unwrap().asked.last().unwrap().1);
    }
    assert_eq!(scene.machine.peek(CERTIFICATES, 1), [0]);
}

#[test]
fn the_report_is_about_nonce_and_manifest() {
    let mut scene = Scene::new();
    let expected =
        |manifest: &[u8]| -> [u8; 64] { Sha512::digest([&NONCE_BYTES, manifest].concat()).into() };
    let after = scene.call(SERVICES, &changed(|_| ()));
    assert_eq!((after.rax, after.rcx, after.r8), (0, 348, 0x4a0));
    let table = scene.machine.peek(MANIFEST, 348);
    assert_eq!(table[..16], SERVICES_MANIFEST_GUID);
    assert_eq!(table[16..24], [0x5c, 1, 0, 0, 1, 0, 0, 0]);
    assert_eq!(table[24..40], VTPM_SERVICE_GUID);
    assert_eq!(table[40..48], [48, 0, 0, 0, 0x2c, 1, 0, 0]);
    assert_eq!(table[48..], [0x70; 300]);
    assert_eq!(scene.machine.peek(REPORT, 0x4a0)[0x50..0x90], expected(&table));
    for (version, length) in [(0, 300), (1, 700)] {
        let after = scene.call(SINGLE_SERVICE, &single(VTPM_SERVICE_GUID, version));
        assert_eq!((after.rax, after.rcx), (0, length as u64));
        let manifest = scene.machine.peek(MANIFEST, length);
        assert_eq!(manifest, vec![0x70 + u8::try_from(version).unwrap(); length]);
        assert_eq!(scene.machine.peek(REPORT, 0x4a0)[0x50..0x90], expected(&manifest));
    }
}

#[test]
fn a_throttled_firmware_is_busy_and_not_for_ever() {
    let mut scene = Scene::new();
    scene.script.lock().unwrap().faults = vec![FirmwareFault::Busy; 2];
    for _ in 0..2 {
        assert_eq!(scene.refused(SERVICES, &changed(|_| ())), BUSY);
    }
    assert_eq!(scene.call(SERVICES, &changed(|_| ())).rax, 0);
    let asked = scene.script.lock().unwrap().asked.clone();
    assert!(asked.iter().all(|question| *question == asked[0]), "the same question");
    scene.script.lock().unwrap().faults = vec![FirmwareFault::Busy; 200];
    for _ in 0..BUSY_MAX {
        assert_eq!(scene.refused(SERVICES, &changed(|_| ())), BUSY);
    }
    assert_eq!(scene.refused(SERVICES, &changed(|_| ())), INVALID_REQUEST);
    assert_eq!(scene.refused(SERVICES, &changed(|_| ())), BUSY, "and again from the start");
}

#[test]
fn faults_leave_the_registers_alone() {
    let mut scene = Scene::new();
    scene.script.lock().unwrap().faults = vec![FirmwareFault::Failed];
    assert_eq!(scene.refused(SERVICES, &changed(|_| ())), INVALID_REQUEST);
    for (fault, rax) in [(ManifestFault::NotReady, BUSY), (ManifestFault::Failed, INVALID_REQUEST)]
    {
        scene.script.lock().unwrap().manifest_fault = Some(fault);
        assert_eq!(scene.refused(SERVICES, &changed(|_| ())), rax);
    }
    assert!(scene.asked() == 1 && is_untouched(&mut scene));
}

#[test]
fn what_another_vcpu_holds_is_busy() {
    let scene = Scene::new();
    let mut machine = FakeMachine::new();
    machine.poke(OPERATION, good().as_bytes());
    let mut busy = || {
        let mut registers = Registers { rax: SERVICES, rcx: OPERATION, ..Registers::default() };
        dispatch(&scene.services, &mut machine, Caller { apic_id: 0 }, &mut registers);
        registers.rax
    };
    let held = scene.services.attestation().unwrap();
    assert_eq!(busy(), BUSY);
    drop(held);
    let held = scene.services.vtpm().unwrap();
    assert_eq!(busy(), BUSY);
    drop(held);
    assert_eq!(busy(), 0);
}
