// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules, negative cases first.

use std::format;

use super::*;

const READ_PRIVATE: Access = Access { private: true, write: false, fetch: false, user: false };
const READ_SHARED: Access = Access { private: false, ..READ_PRIVATE };
const WRITE: Access = Access { write: true, ..READ_PRIVATE };
const FETCH: Access = Access { fetch: true, ..READ_PRIVATE };

/// 4 MiB of unassigned memory from frame 512 on; frame 0 to 511 is no memory.
fn with_rmp(test: impl FnOnce(&mut Rmp<'_>)) {
    let mut entries = [Entry::default(); 1536];
    let mut rmp = Rmp::new(&mut entries);
    rmp.add_memory(512, 1024);
    test(&mut rmp);
}

fn assign(rmp: &mut Rmp<'_>, frame: u64, large: bool) {
    rmp.change_state(frame, true, large, |_| ()).expect("memory");
}

#[test]
fn an_access_needs_every_step_before_it() {
    with_rmp(|rmp| {
        assert_eq!(rmp.check(Vmpl::Vmpl0, 0, READ_PRIVATE), Err(Fault::PrivateDevice));
        assert_eq!(rmp.check(Vmpl::Vmpl0, 0, READ_SHARED), Err(Fault::Device));
        assert_eq!(rmp.check(Vmpl::Vmpl0, u64::MAX, READ_SHARED), Err(Fault::Device));
        assert_eq!(rmp.check(Vmpl::Vmpl0, 600, READ_PRIVATE), Err(Fault::Unassigned));
        assert_eq!(rmp.check(Vmpl::Vmpl0, 600, READ_SHARED), Ok(()));
        assign(rmp, 600, false);
        assert_eq!(rmp.check(Vmpl::Vmpl0, 600, READ_SHARED), Err(Fault::SharedAccess));
        assert_eq!(rmp.check(Vmpl::Vmpl0, 600, READ_PRIVATE), Err(Fault::NotValidated));
        rmp.pvalidate(600, false, true).expect("assigned");
        assert_eq!(rmp.check(Vmpl::Vmpl0, 600, WRITE), Ok(()));
        assert_eq!(rmp.check(Vmpl::Vmpl2, 600, READ_PRIVATE), Err(Fault::Permission));
    });
}

#[test]
fn vmpl_permissions_are_kept_apart() {
    with_rmp(|rmp| {
        assign(rmp, 600, false);
        rmp.pvalidate(600, false, true).expect("assigned");
        let read_execute = Permissions::READ | Permissions::EXECUTE_USER;
        rmp.adjust(Vmpl::Vmpl0, 600, false, 2, read_execute, false).expect("validated");
        assert_eq!(rmp.check(Vmpl::Vmpl2, 600, READ_PRIVATE), Ok(()));
        assert_eq!(rmp.check(Vmpl::Vmpl2, 600, WRITE), Err(Fault::Permission));
        assert_eq!(rmp.check(Vmpl::Vmpl2, 600, FETCH), Err(Fault::Permission));
        assert_eq!(rmp.check(Vmpl::Vmpl2, 600, Access { user: true, ..FETCH }), Ok(()));
        assert_eq!(rmp.check(Vmpl::Vmpl1, 600, READ_PRIVATE), Err(Fault::Permission));
        assert_eq!(rmp.check(Vmpl::Vmpl0, 600, WRITE), Ok(()));
    });
}

#[test]
fn pvalidate_refuses_what_hardware_refuses() {
    with_rmp(|rmp| {
        assert_eq!(rmp.pvalidate(600, false, true), Err(Fault::Unassigned));
        assert_eq!(rmp.pvalidate(0, false, true), Err(Fault::Unassigned));
        assign(rmp, 1024, true);
        let (done, carry) = rmp.pvalidate(1025, true, true).expect("no fault");
        assert_eq!((done.outcome, carry), (Outcome::FailInput, false));
        assign(rmp, 512, false);
        let (done, _) = rmp.pvalidate(512, true, true).expect("assigned");
        assert_eq!(done.outcome, Outcome::FailSizeMismatch);
        let (done, carry) = rmp.pvalidate(1024, true, true).expect("assigned");
        assert_eq!((done.outcome, carry), (Outcome::Success, false));
        assert!(rmp.entry(1535).is_validated());
        let (done, carry) = rmp.pvalidate(1024, true, true).expect("assigned");
        assert_eq!((done.change, carry), (None, true));
        // A 4 KiB operation splits the entry, and then 2 MiB operations don't fit any more.
        let (done, carry) = rmp.pvalidate(1030, false, false).expect("assigned");
        assert_eq!((done.outcome, carry), (Outcome::Success, false));
        let (done, _) = rmp.pvalidate(1024, true, false).expect("assigned");
        assert_eq!(done.outcome, Outcome::FailSizeMismatch);
    });
}

#[test]
fn rmpadjust_checks_levels_before_the_page() {
    with_rmp(|rmp| {
        let all = Permissions::all();
        let outcome = |result: Result<Done, Fault>| result.map(|done| done.outcome);
        for caller in Vmpl::ALL {
            let own = caller.index() as u64;
            let result = rmp.adjust(caller, 600, false, own, all, false);
            assert_eq!(outcome(result), Ok(Outcome::FailPermission), "{caller:?}");
        }
        let result = rmp.adjust(Vmpl::Vmpl0, 600, false, 4, all, false);
        assert_eq!(outcome(result), Ok(Outcome::FailInput));
        let result = rmp.adjust(Vmpl::Vmpl0, 600, false, 1, all, false);
        assert_eq!(outcome(result), Err(Fault::Unassigned));
        assign(rmp, 600, false);
        let result = rmp.adjust(Vmpl::Vmpl0, 600, false, 1, all, false);
        assert_eq!(outcome(result), Err(Fault::NotValidated));
        rmp.pvalidate(600, false, true).expect("assigned");
        let result = rmp.adjust(Vmpl::Vmpl1, 600, false, 2, Permissions::READ, false);
        assert_eq!(outcome(result), Ok(Outcome::FailPermission), "more than its own");
        let result = rmp.adjust(Vmpl::Vmpl0, 600, false, 1, all, false);
        assert_eq!(outcome(result), Ok(Outcome::Success));
        let result = rmp.adjust(Vmpl::Vmpl1, 600, false, 2, Permissions::READ, false);
        assert_eq!(outcome(result), Ok(Outcome::Success));
        let result = rmp.adjust(Vmpl::Vmpl1, 600, false, 2, Permissions::READ, true);
        assert_eq!(outcome(result), Ok(Outcome::FailPermission), "VMSA below VMPL0");
        let result = rmp.adjust(Vmpl::Vmpl0, 512, true, 1, all, false);
        assert_ne!(outcome(result), Ok(Outcome::Success));
    });
}

#[test]
fn a_vmsa_has_one_user_and_stays_while_used() {
    with_rmp(|rmp| {
        assign(rmp, 600, false);
        assert_eq!(rmp.take_vmsa(600), Err(VmsaRefusal::NotVmsa));
        rmp.pvalidate(600, false, true).expect("assigned");
        assert_eq!(rmp.take_vmsa(600), Err(VmsaRefusal::NotVmsa));
        rmp.adjust(Vmpl::Vmpl0, 600, false, 1, Permissions::empty(), true).expect("validated");
        assert_eq!(rmp.take_vmsa(600), Ok(()));
        assert_eq!(rmp.take_vmsa(600), Err(VmsaRefusal::InUse));
        let result = rmp.adjust(Vmpl::Vmpl0, 600, false, 1, Permissions::empty(), false);
        assert_eq!(result.map(|done| done.outcome), Ok(Outcome::FailInUse));
        assert_eq!(rmp.change_state(600, false, false, |_| ()), Err(600));
        rmp.release_vmsa(600);
        assert_eq!(rmp.take_vmsa(600), Ok(()));
    });
}

#[test]
fn a_state_change_scrambles_what_it_changes_and_only_that() {
    with_rmp(|rmp| {
        let mut scrambled = 0;
        assert_eq!(rmp.change_state(0, true, false, |_| ()), Err(0), "not memory");
        assert_eq!(rmp.change_state(513, true, true, |_| ()), Err(513), "not aligned");
        assign(rmp, 520, false);
        rmp.pvalidate(520, false, true).expect("assigned");
        rmp.change_state(512, true, true, |_| scrambled += 1).expect("memory");
        assert_eq!(scrambled, 511, "one page was private already");
        assert!(rmp.entry(520).is_validated());
        assert!(!rmp.entry(521).is_validated());
        assert!(!rmp.entry(512).is_large(), "built from a mixture");
        let change = rmp.change_state(520, false, false, |_| scrambled += 1).expect("memory");
        assert_eq!(change, Some(Change { first_frame: 520, frames: 1, rights_lost: true }));
        assert_eq!(scrambled, 512);
        assert!(rmp.entry(520).is_shared());
        assert_eq!(rmp.change_state(520, false, false, |_| ()), Ok(None));
    });
}

#[test]
fn the_entry_says_what_it_is() {
    with_rmp(|rmp| {
        assert_eq!(format!("{}", rmp.entry(0)), "not-memory");
        assert_eq!(format!("{}", rmp.entry(600)), "shared,4k");
        rmp.launch_page(600);
        rmp.adjust(Vmpl::Vmpl0, 600, false, 2, Permissions::READ, true).expect("validated");
        assert_eq!(
            format!("{}", rmp.entry(600)),
            "assigned,validated,vmsa,4k,vmpl0=rwus,vmpl2=r---"
        );
    });
}
