// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocols against a fake machine: the table of malformed calls, then what needs a closer
//! look.

use super::attest::{Evidence, Firmware, FirmwareFault, ManifestFault};
use super::cases::{CASES, Case, Layout, Store};
use super::core::GuestBoot;
use super::vtpm::Engine;
use super::{Caller, Registers, Services, dispatch};
use crate::machine::fake::{FakeMachine, MEMORY_END, SEV_FEATURES, SVSM_START};
use crate::machine::{Machine, Permissions, RmpFault};
use snp_abi::launch::Digest;
use std::boxed::Box;
use std::vec::Vec;

const ARENA: u64 = 0x1000_0000;
const BOOT_AREA: u64 = 0x1_6000;
const SECRETS: u64 = 0x1_4000;
const CALLER: Caller = Caller { apic_id: 0 };

/// Answers with the locality and the command itself.
struct Echo;

impl Engine for Echo {
    fn execute(&mut self, locality: u8, command: &[u8], response: &mut [u8]) -> usize {
        response[0] = locality;
        response[1..=command.len()].copy_from_slice(command);
        command.len() + 1
    }

    fn set_launch_log(&mut self, _: Digest) {}

    fn manifest(&mut self, version: u32, _: &mut [u8]) -> Result<usize, ManifestFault> {
        if version > 1 { Err(ManifestFault::Version) } else { Ok(100) }
    }
}

/// Must not be asked.
struct NoFirmware;

impl Firmware for NoFirmware {
    fn report(&mut self, _: &[u8; 64], _: bool) -> Result<Evidence, FirmwareFault> {
        panic!("asked for a report");
    }
}

fn start() -> (Services, FakeMachine) {
    let services = Services::new();
    services.attach_vtpm(Box::new(Echo)).unwrap();
    services.attach_firmware(Box::new(NoFirmware)).unwrap();
    services.add_own_vcpu(0, SVSM_START + 0x3_0000, BOOT_AREA).unwrap();
    services.set_guest_boot(GuestBoot { apic_id: 0, secrets_page: SECRETS }).unwrap();
    (services, FakeMachine::new())
}

fn call(
    services: &Services,
    machine: &mut FakeMachine,
    rax: u64,
    [rcx, rdx, r8]: [u64; 3],
) -> Registers {
    let mut registers = Registers { rax, rcx, rdx, r8, r9: 0x99 };
    dispatch(services, machine, CALLER, &mut registers);
    assert_eq!(registers.r9, 0x99);
    registers
}

fn result(services: &Services, machine: &mut FakeMachine, rax: u64, arguments: [u64; 3]) -> u64 {
    call(services, machine, rax, arguments).rax
}

fn list(machine: &mut FakeMachine, next: u16, entries: &[u64]) -> u64 {
    let mut bytes = Vec::from(u16::try_from(entries.len()).unwrap().to_le_bytes());
    bytes.extend(next.to_le_bytes());
    // Linux leaves rubbish in the reserved word.
    bytes.extend([0xff; 4]);
    entries.iter().for_each(|entry| bytes.extend(entry.to_le_bytes()));
    machine.poke(ARENA, &bytes);
    ARENA
}

fn vmsa(machine: &mut FakeMachine, address: u64) {
    machine.poke(address + 0xca, &[2]);
    machine.poke(address + 0xd0, &0x1000_u64.to_le_bytes());
    machine.poke(address + 0x3b0, &SEV_FEATURES.to_le_bytes());
}

fn prepare(machine: &mut FakeMachine, layout: &Layout, store: Store) {
    let at = |offset| layout.arena + offset;
    match store {
        Store::ClearPage(offset) => machine.poke(at(offset), &[0; 4096]),
        Store::Byte(offset, value) => {
            machine.poke(at(offset), &layout.resolve(value).to_le_bytes()[..1])
        }
        Store::Half(offset, value) => machine.poke(at(offset), &value.to_le_bytes()),
        Store::Word(offset, value) => {
            machine.poke(at(offset), &layout.resolve(value).to_le_bytes());
        }
        Store::Bytes(offset, bytes) => machine.poke(at(offset), bytes),
    }
}

fn run_case(services: &Services, machine: &mut FakeMachine, layout: &Layout, case: &Case) {
    case.memory.iter().for_each(|&store| prepare(machine, layout, store));
    let rax = u64::from(case.protocol) << 32 | u64::from(case.call);
    let arguments = [case.rcx, case.rdx, case.r8].map(|value| layout.resolve(value));
    let after = call(services, machine, rax, arguments);
    assert_eq!(after.rax, case.rax_after, "{}: RAX is {:#x}", case.name, after.rax);
    assert_eq!(after.rcx, layout.resolve(case.rcx_after), "{}: RCX", case.name);
    assert_eq!(after.r8, arguments[2], "{}: R8", case.name);
    if let Some((offset, half)) = case.half_after {
        let seen = machine.peek(layout.arena + offset, 2);
        assert_eq!(seen, half.to_le_bytes(), "{}: the list", case.name);
    }
}

#[test]
fn malformed_calls_get_their_result_codes() {
    let (services, mut machine) = start();
    let layout = Layout {
        arena: ARENA,
        svsm: SVSM_START,
        memory_end: MEMORY_END,
        sev_features: SEV_FEATURES,
        vmpl: 2,
        apic_id: 0,
    };
    assert!(CASES.len() >= 60);
    for case in CASES {
        run_case(&services, &mut machine, &layout, case);
    }
    for page in (ARENA..ARENA + 0x8000).step_by(0x1000) {
        assert_eq!(machine.guest_permissions(page), 0xf, "{page:#x} changed hands");
        assert!(machine.page(page).validated && !machine.page(page).vmsa);
    }
}

#[test]
fn case_names_are_unique() {
    let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn vtpm_calls_without_a_vtpm_have_no_protocol() {
    let (services, mut machine) = (Services::new(), FakeMachine::new());
    assert_eq!(result(&services, &mut machine, 2 << 32, [0; 3]), 0x8000_0001);
    assert_eq!(call(&services, &mut machine, 6, [2 << 32 | 1, 0, 0]).rcx, 0);
}

#[test]
fn the_vtpm_buffer_may_be_unaligned_and_is_read_and_written_once() {
    let (services, mut machine) = start();
    let buffer = ARENA + 0x4ffb;
    machine.poke(buffer, &[8, 0, 0, 0, 3, 12, 0, 0, 0, 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7a, 9, 9]);
    let (reads, writes) = (machine.reads, machine.writes);
    assert_eq!(result(&services, &mut machine, 2 << 32 | 1, [buffer, 0, 0]), 0);
    assert_eq!((machine.reads, machine.writes), (reads + 1, writes + 1));
    let reply = machine.peek(buffer, 4 + 13);
    assert_eq!(reply, [13, 0, 0, 0, 3, 0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x7a, 9, 9]);
}

#[test]
fn the_longest_command_fits() {
    let (services, mut machine) = start();
    struct Quiet;
    impl Engine for Quiet {
        fn execute(&mut self, _: u8, command: &[u8], response: &mut [u8]) -> usize {
            assert_eq!((command.len(), response.len()), (4087, 4092));
            5000
        }

        fn set_launch_log(&mut self, _: Digest) {}

        fn manifest(&mut self, _: u32, _: &mut [u8]) -> Result<usize, ManifestFault> {
            Err(ManifestFault::Failed)
        }
    }
    services.attach_vtpm(Box::new(Quiet)).unwrap();
    machine.poke(ARENA, &[8, 0, 0, 0, 0, 0xf7, 0xf, 0, 0, 0x80, 1, 0, 0, 0xf, 0xf7]);
    assert_eq!(result(&services, &mut machine, 2 << 32 | 1, [ARENA, 0, 0]), 0);
    assert_eq!(machine.peek(ARENA, 4), 4092_u32.to_le_bytes());
}

#[test]
fn a_vtpm_held_by_another_vcpu_is_busy_and_the_call_has_no_effect() {
    let (services, mut machine) = start();
    machine.poke(ARENA, &[8, 0, 0, 0, 0, 10, 0, 0, 0, 0x80, 1, 0, 0, 0, 10]);
    let before = machine.peek(ARENA, 4096);
    let held = services.vtpm().unwrap();
    assert_eq!(result(&services, &mut machine, 2 << 32 | 1, [ARENA, 0, 0]), 0x8000_0007);
    assert_eq!(call(&services, &mut machine, 2 << 32, [0; 3]).rcx, 0x100, "a query needs no lock");
    drop(held);
    assert_eq!(machine.peek(ARENA, 4096), before);
    assert_eq!(result(&services, &mut machine, 2 << 32 | 1, [ARENA, 0, 0]), 0);
}

#[test]
fn a_busy_core_lock_is_busy_without_effect() {
    let (services, mut machine) = start();
    let list = list(&mut machine, 0, &[ARENA + 0x2000]);
    let held = services.core().unwrap();
    assert_eq!(result(&services, &mut machine, 1, [list, 0, 0]), 0x8000_0007);
    drop(held);
    assert!(machine.page(ARENA + 0x2000).validated);
}

#[test]
fn an_invalidated_page_is_lost_to_every_vmpl_and_comes_back_empty() {
    let (services, mut machine) = start();
    let target = ARENA + 0x2000;
    machine.poke(target, &[7; 4096]);
    machine.page(target).permissions[3] = 1;
    let take = list(&mut machine, 0, &[target]);
    assert_eq!(result(&services, &mut machine, 1, [take, 0, 0]), 0);
    assert!(!machine.page(target).validated);
    assert_eq!(machine.page(target).permissions, [0xf, 0, 0, 0]);
    assert_eq!(machine.flushes, 1);
    let give = list(&mut machine, 0, &[target | 4]);
    assert_eq!(result(&services, &mut machine, 1, [give, 0, 0]), 0);
    assert_eq!(machine.guest_permissions(target), 0xf);
    assert_eq!(machine.peek(target, 4096), [0; 4096]);
}

#[test]
fn an_invalid_page_taken_again_is_no_change() {
    let (services, mut machine) = start();
    let twice = list(&mut machine, 0, &[ARENA + 0x2000, ARENA + 0x2000]);
    assert_eq!(result(&services, &mut machine, 1, [twice, 0, 0]), 0x8000_1010);
    assert_eq!(machine.peek(ARENA + 2, 2), [1, 0]);
}

#[test]
fn after_a_size_mismatch_linux_goes_on_from_next() {
    let (services, mut machine) = start();
    let large = ARENA + 0x20_0000;
    let small = list(&mut machine, 0, &[large]);
    assert_eq!(result(&services, &mut machine, 1, [small, 0, 0]), 0);
    let mixed = list(&mut machine, 0, &[ARENA + 0x2000, large | 5, (ARENA + 0x2000) | 4]);
    assert_eq!(result(&services, &mut machine, 1, [mixed, 0, 0]), 0x8000_1006);
    assert_eq!(machine.peek(ARENA + 2, 2), [1, 0]);
    let rest = list(&mut machine, 1, &[0xbad, large | 4, (ARENA + 0x2000) | 4]);
    assert_eq!(result(&services, &mut machine, 1, [rest, 0, 0]), 0);
    assert_eq!(machine.peek(ARENA + 2, 2), [3, 0]);
    assert!(machine.page(large).validated);
}

#[test]
fn a_large_page_goes_and_comes_whole() {
    let (services, mut machine) = start();
    let large = 0x2000_0000;
    let take = list(&mut machine, 0, &[large | 1]);
    assert_eq!(result(&services, &mut machine, 1, [take, 0, 0]), 0);
    assert!(!machine.page(large + 0x1f_f000).validated);
    let give = list(&mut machine, 0, &[large | 5]);
    assert_eq!(result(&services, &mut machine, 1, [give, 0, 0]), 0);
    assert_eq!(machine.guest_permissions(large + 0x1f_f000), 0xf);
}

#[test]
fn a_list_that_takes_its_own_page_gets_an_error_not_a_crash() {
    let (services, mut machine) = start();
    let own = list(&mut machine, 0, &[ARENA]);
    assert_eq!(result(&services, &mut machine, 1, [own, 0, 0]), 0x8000_0003);
    assert!(!machine.page(ARENA).validated);
    assert_eq!(result(&services, &mut machine, 1, [own, 0, 0]), 0x8000_0003, "unreadable list");
}

#[test]
fn a_grant_that_fails_leaves_the_page_invalid() {
    let (services, mut machine) = start();
    let target = ARENA + 0x2000;
    let take = list(&mut machine, 0, &[target]);
    assert_eq!(result(&services, &mut machine, 1, [take, 0, 0]), 0);
    machine.fail_rmpadjust = Some((Permissions::ALL, RmpFault::Input));
    let give = list(&mut machine, 0, &[target | 4]);
    assert_eq!(result(&services, &mut machine, 1, [give, 0, 0]), 0x8000_1001);
    assert!(!machine.page(target).validated);
}

#[test]
fn a_page_whose_access_cannot_be_revoked_stays_valid() {
    let (services, mut machine) = start();
    let target = ARENA + 0x2000;
    machine.fail_rmpadjust = Some((Permissions::NONE, RmpFault::Input));
    let take = list(&mut machine, 0, &[target]);
    assert_eq!(result(&services, &mut machine, 1, [take, 0, 0]), 0x8000_1001);
    assert!(machine.page(target).validated);
    assert_eq!(machine.guest_permissions(target), 0xf);
}

#[test]
fn remap_moves_the_calling_area_and_tells_the_secrets_page() {
    let (services, mut machine) = start();
    let area = ARENA + 0x7000;
    machine.poke(area, &[1, 1]);
    assert_eq!(result(&services, &mut machine, 0, [area, 0, 0]), 0);
    assert_eq!(machine.peek(area, 2), [0, 0]);
    assert_eq!(machine.peek(SECRETS + 0x150, 8), area.to_le_bytes());
    let vcpu = services.begin_call(0).unwrap().unwrap();
    assert_eq!(vcpu.calling_area, Some(area));
}

#[test]
fn remap_to_an_invalid_page_keeps_the_old_area() {
    let (services, mut machine) = start();
    machine.page(ARENA + 0x7000).validated = false;
    assert_eq!(result(&services, &mut machine, 0, [ARENA + 0x7000, 0, 0]), 0x8000_0003);
    assert_eq!(services.begin_call(0).unwrap().unwrap().calling_area, Some(BOOT_AREA));
}

#[test]
fn a_created_vmsa_is_read_only_and_out_of_the_guests_hands() {
    let (services, mut machine) = start();
    let (page, area) = (ARENA + 0x6000, ARENA + 0x7000);
    vmsa(&mut machine, page);
    assert_eq!(result(&services, &mut machine, 2, [page, area, 1]), 0);
    assert!(machine.page(page).vmsa);
    assert_eq!(machine.guest_permissions(page), 1);
    let vcpu = services.begin_call(1).unwrap().unwrap();
    assert_eq!((vcpu.vmsa, vcpu.calling_area), (page, Some(area)));
    let take = list(&mut machine, 0, &[page]);
    assert_eq!(result(&services, &mut machine, 1, [take, 0, 0]), 0x8000_0003);
    assert_eq!(result(&services, &mut machine, 4, [take, 0, 0]), 0x8000_0003);
    assert_eq!(result(&services, &mut machine, 0, [page, 0, 0]), 0x8000_0003);
    assert_eq!(result(&services, &mut machine, 1, [page, 0, 0]), 0x8000_0003);
    assert_eq!(result(&services, &mut machine, 2 << 32 | 1, [page - 8, 0, 0]), 0x8000_0003);
    assert_eq!(result(&services, &mut machine, 2, [page, area, 1]), 0x8000_0005, "twice");
    assert_eq!(result(&services, &mut machine, 2, [area, page, 2]), 0x8000_0003, "as an area");
}

#[test]
fn a_vmsa_may_carry_fields_that_we_do_not_know() {
    let (services, mut machine) = start();
    let page = ARENA + 0x6000;
    machine.poke(page, &[0x5a; 4096]);
    vmsa(&mut machine, page);
    machine.poke(page + 0xd0, &u64::MAX.to_le_bytes());
    assert_eq!(result(&services, &mut machine, 2, [page, ARENA + 0x7000, 1]), 0);
}

#[test]
fn a_second_vcpu_for_an_apic_id_succeeds_and_the_first_can_go() {
    let (services, mut machine) = start();
    let (old, new) = (ARENA + 0x6000, ARENA + 0x8000);
    vmsa(&mut machine, old);
    vmsa(&mut machine, new);
    assert_eq!(result(&services, &mut machine, 2, [old, ARENA + 0x7000, 1]), 0);
    assert_eq!(result(&services, &mut machine, 2, [new, ARENA + 0x9000, 1]), 0);
    assert_eq!(services.core().unwrap().vcpus.current(1).map(|vcpu| vcpu.vmsa), Some(new));
    assert_eq!(result(&services, &mut machine, 3, [old, 0, 0]), 0);
    assert_eq!(machine.guest_permissions(old), 0xf);
    assert!(!machine.page(old).vmsa);
    assert_eq!(machine.peek(old + 0xd0, 8), [0; 8], "no SVME any more");
    assert_eq!(result(&services, &mut machine, 3, [old, 0, 0]), 0x8000_0005, "only once");
}

#[test]
fn edk2_starts_the_same_page_again_and_again() {
    let (services, mut machine) = start();
    let (page, area) = (ARENA + 0x6000, ARENA + 0x7000);
    for _ in 0..600 {
        machine.poke(page, &[0; 4096]);
        machine.poke(area, &[0; 4096]);
        vmsa(&mut machine, page);
        assert_eq!(result(&services, &mut machine, 2, [page, area, 3]), 0);
        assert_eq!(result(&services, &mut machine, 3, [page, 0, 0]), 0);
    }
    assert!(services.begin_call(3).unwrap().is_none());
}

#[test]
fn a_running_vmsa_is_not_deleted_and_can_still_run() {
    let (services, mut machine) = start();
    let page = ARENA + 0x6000;
    vmsa(&mut machine, page);
    assert_eq!(result(&services, &mut machine, 2, [page, ARENA + 0x7000, 1]), 0);
    machine.page(page).running = true;
    assert_eq!(result(&services, &mut machine, 3, [page, 0, 0]), 0x8000_1003);
    assert_eq!(machine.peek(page + 0xd0, 8), 0x1000_u64.to_le_bytes());
    machine.page(page).running = false;
    let vcpu = services.begin_call(1).unwrap().unwrap();
    assert_eq!(result(&services, &mut machine, 3, [page, 0, 0]), 0x8000_1003, "being served");
    services.end_call(&vcpu);
    assert_eq!(result(&services, &mut machine, 3, [page, 0, 0]), 0);
}

#[test]
fn a_refused_vmsa_is_still_the_guests_page() {
    let (services, mut machine) = start();
    let page = ARENA + 0x6000;
    assert_eq!(result(&services, &mut machine, 2, [page, ARENA + 0x7000, 1]), 0x8000_0005);
    assert_eq!(machine.guest_permissions(page), 0xf);
    vmsa(&mut machine, page);
    machine.fail_rmpadjust = Some((Permissions::READ, RmpFault::Input));
    assert_eq!(result(&services, &mut machine, 2, [page, ARENA + 0x7000, 1]), 0x8000_1001);
    assert_eq!(machine.guest_permissions(page), 0xf);
    machine.page(page).validated = false;
    assert_eq!(result(&services, &mut machine, 2, [page, ARENA + 0x7000, 1]), 0x8000_0003);
}

#[test]
fn the_callers_own_calling_area_does_not_become_a_vmsa() {
    let (services, mut machine) = start();
    vmsa(&mut machine, BOOT_AREA);
    let vcpu = services.begin_call(0).unwrap().unwrap();
    assert_eq!(result(&services, &mut machine, 2, [BOOT_AREA, ARENA, 1]), 0x8000_0005);
    services.end_call(&vcpu);
}

/// The run loop writes to the area that the call came through when the call has ended.
#[test]
fn nor_does_the_one_that_a_call_has_moved_away_from() {
    let (services, mut machine) = start();
    vmsa(&mut machine, BOOT_AREA);
    let vcpu = services.begin_call(0).unwrap().unwrap();
    assert_eq!(result(&services, &mut machine, 0, [ARENA + 0x7000, 0, 0]), 0);
    assert_eq!(result(&services, &mut machine, 2, [BOOT_AREA, ARENA, 1]), 0x8000_0005);
    services.end_call(&vcpu);
    assert_eq!(result(&services, &mut machine, 2, [BOOT_AREA, ARENA, 1]), 0);
}

#[test]
fn a_deposit_leaves_the_guest_and_comes_back_empty() {
    let (services, mut machine) = start();
    let pages = [ARENA + 0x2000, 0x2000_0000 | 1];
    machine.poke(ARENA + 0x2000, &[7; 4096]);
    let give = list(&mut machine, 0, &pages);
    assert_eq!(result(&services, &mut machine, 4, [give, 0, 0]), 0);
    assert_eq!(machine.guest_permissions(ARENA + 0x2000), 0);
    assert_eq!(machine.guest_permissions(0x2010_0000), 0);
    assert_eq!(machine.peek(BOOT_AREA, 2), [0, 1], "mem_available");
    let room = list(&mut machine, 0, &[0; 8]);
    assert_eq!(result(&services, &mut machine, 5, [room, 0, 0]), 0);
    let mut expected = vec![2, 0, 0, 0, 0, 0, 0, 0];
    // The last first.
    pages.iter().rev().for_each(|page| expected.extend(page.to_le_bytes()));
    assert_eq!(machine.peek(room, 24), expected);
    assert_eq!(machine.guest_permissions(0x2010_0000), 0xf);
    assert_eq!(machine.peek(ARENA + 0x2000, 4096), [0; 4096]);
    assert_eq!(machine.peek(BOOT_AREA, 2), [0, 0]);
}

#[test]
fn deposits_are_bounded_and_partly_withdrawn() {
    let (services, mut machine) = start();
    let pages: Vec<u64> = (0..200).map(|index| 0x2000_0000 + index * 0x1000).collect();
    let give = list(&mut machine, 0, &pages);
    assert_eq!(result(&services, &mut machine, 4, [give, 0, 0]), 0x8000_0006);
    assert_eq!(machine.peek(give + 2, 2), [128, 0]);
    assert_eq!(machine.guest_permissions(pages[127]), 0);
    assert_eq!(machine.guest_permissions(pages[128]), 0xf);
    let room = list(&mut machine, 0, &[0; 3]);
    assert_eq!(result(&services, &mut machine, 5, [room, 0, 0]), 0);
    assert_eq!(services.core().unwrap().deposits.count(), 125);
    assert_eq!(machine.peek(BOOT_AREA, 2), [0, 1]);
}

#[test]
fn a_calling_area_is_not_taken_as_a_deposit() {
    let (services, mut machine) = start();
    let give = list(&mut machine, 0, &[BOOT_AREA]);
    assert_eq!(result(&services, &mut machine, 4, [give, 0, 0]), 0x8000_0005);
    assert_eq!(machine.guest_permissions(BOOT_AREA), 0xf);
}

#[test]
fn an_invalid_page_is_no_deposit() {
    let (services, mut machine) = start();
    machine.page(ARENA + 0x2000).validated = false;
    let give = list(&mut machine, 0, &[ARENA + 0x2000]);
    assert_ne!(result(&services, &mut machine, 4, [give, 0, 0]), 0);
    assert_eq!(services.core().unwrap().deposits.count(), 0);
}

#[test]
fn the_fake_machine_refuses_what_a_real_one_would() {
    let mut machine = FakeMachine::new();
    assert!(machine.read_guest(MEMORY_END - 1, &mut [0; 2]).is_err());
    assert!(machine.read_guest(u64::MAX, &mut [0; 2]).is_err());
    assert!(!machine.is_guest_ram(SVSM_START - 1, 2));
    assert!(!machine.is_guest_ram(0, 0));
}
