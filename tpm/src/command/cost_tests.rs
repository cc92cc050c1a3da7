// SPDX-License-Identifier: MIT OR Apache-2.0
//! What commands ask of the machine: commits, entropy, modular powers. Each is dear, and none may
//! creep into a command that can do without.

use crate::command::nv::test_index::{INDEX, OPEN, define, read, write};
use crate::command::signing::test_key::{SIGN, rsa, sign_body, verify_body};
use crate::session::SessionKind;
use crate::testing::{Demands, Machine, OWNER};

/// What `work` asked for.
fn demands(machine: &mut Machine, work: impl FnOnce(&mut Machine)) -> Demands {
    let before = machine.demands();
    work(machine);
    let after = machine.demands();
    Demands {
        commits: after.commits - before.commits,
        entropy: after.entropy - before.entropy,
        secret_powers: after.secret_powers - before.secret_powers,
        public_powers: after.public_powers - before.public_powers,
    }
}

#[test]
fn what_changes_nothing_lasting_asks_for_nothing() {
    let mut machine = Machine::started();
    let key = rsa(&mut machine, SIGN, &[0x10]);
    define(&mut machine, OPEN, 64).unwrap();
    write(&mut machine, &[1; 64], 0).unwrap();
    let asked = demands(&mut machine, |machine| {
        machine.command(0x17b, &[0, 64]).unwrap();
        machine.extend_pcr(16, &[1; 32]);
        machine.read_pcr(16);
        machine.command(0x173, &key.to_be_bytes()).unwrap();
        let saved = machine.command(0x162, &key.to_be_bytes()).unwrap();
        let loaded = machine.command(0x161, &saved).unwrap();
        machine.command(0x165, &loaded).unwrap();
        let session = machine.start_session(SessionKind::Policy);
        machine.command(0x165, &session.0.to_be_bytes()).unwrap();
        read(machine, 64, 0).unwrap();
        // Nothing new.
        write(machine, &[1; 64], 0).unwrap();
        machine.command(0x144, &[0, 0]).unwrap_err();
    });
    assert_eq!(asked, Demands::default());
}

#[test]
fn what_lasts_is_one_commit() {
    let mut machine = Machine::started();
    define(&mut machine, OPEN, 64).unwrap();
    for number in 1..4 {
        let asked = demands(&mut machine, |machine| write(machine, &[number; 64], 0).unwrap());
        assert_eq!(asked, Demands { commits: 1, ..Demands::default() });
    }
    let asked = demands(&mut machine, |machine| {
        machine.authorised(0x122, &[OWNER, INDEX], &[]).unwrap();
    });
    assert_eq!(asked, Demands { commits: 1, ..Demands::default() });
}

#[test]
fn a_key_that_is_ready_is_not_made_ready_again() {
    let mut machine = Machine::started();
    let key = rsa(&mut machine, SIGN, &[0x10]);
    let body = sign_body(b"m", &[0x14, 0x0b]);
    let sign = |machine: &mut Machine| {
        machine.authorised(0x15d, &[key], &body).unwrap();
    };
    // Two halves, a new blinding factor, and the check of the result; and once in the life of
    // the machine it is to last that something with dictionary-attack protection was used.
    let first = Demands { commits: 1, entropy: 0, secret_powers: 2, public_powers: 2 };
    assert_eq!(demands(&mut machine, sign), first);
    let later = Demands { commits: 0, public_powers: 1, ..first };
    assert_eq!(demands(&mut machine, sign), later);
    let signature = machine.authorised(0x15d, &[key], &body).unwrap();
    let verified = demands(&mut machine, |machine| {
        machine.command(0x177, &verify_body(key, b"m", &signature)).unwrap();
    });
    assert_eq!(verified, Demands { public_powers: 1, ..Demands::default() });
}

/// How many keys are ready.
fn prepared(machine: &Machine) -> usize {
    machine.tpm.state().prepared.iter().count()
}

#[test]
fn a_key_does_not_outlive_its_object() {
    let mut machine = Machine::started();
    let one = rsa(&mut machine, SIGN, &[0x10]);
    let other = rsa(&mut machine, SIGN, &[0x16, 0xb]);
    let body = sign_body(b"m", &[0x16, 0x0b]);
    let first = machine.authorised(0x15d, &[one], &body).unwrap();
    let second = machine.authorised(0x15d, &[one], &body).unwrap();
    assert_ne!(first, second, "PSS draws a salt");
    assert_eq!(prepared(&machine), 1);
    machine.authorised(0x15d, &[other], &body).unwrap();
    assert_eq!(prepared(&machine), 2);
    machine.command(0x165, &other.to_be_bytes()).unwrap();
    assert_eq!(prepared(&machine), 0);
    machine.authorised(0x15d, &[one], &body).unwrap();
    machine.power_cycle();
    assert_eq!(prepared(&machine), 0);
}

#[test]
fn the_oldest_key_makes_room() {
    let mut machine = Machine::started();
    for (own, wanted) in
        [(&[0x10][..], &[0x14, 0xb][..]), (&[0x14, 0xb], &[0x10]), (&[0x16, 0xb], &[0x10])]
    {
        let key = rsa(&mut machine, SIGN, own);
        machine.authorised(0x15d, &[key], &sign_body(b"m", wanted)).unwrap();
    }
    assert_eq!(prepared(&machine), 2);
}
