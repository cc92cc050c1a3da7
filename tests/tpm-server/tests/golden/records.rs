// SPDX-License-Identifier: MIT OR Apache-2.0
//! The records of a golden TPM, read by the tables of `docs/nvstore-format.md` alone: nothing here
//! comes from the engine.

use std::collections::BTreeMap;

use crate::made;
use nvstore::simulation::disk::SimulatedDisk;
use nvstore::simulation::random::SimulatedRandom;
use nvstore::{Capacity, Examined, MasterKey, Unanchored, Unrecovered};
use zeroize::Zeroizing;

/// The fields of one record.
#[derive(Default)]
struct Fields<'a> {
    rest: &'a [u8],
    found: BTreeMap<String, &'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(record: &'a [u8]) -> Self {
        Self { rest: record, found: BTreeMap::new() }
    }

    fn take(&mut self, name: &str, bytes: usize) -> &'a [u8] {
        let (field, rest) =
            self.rest.split_at_checked(bytes).unwrap_or_else(|| panic!("{name} is cut off"));
        self.rest = rest;
        assert_eq!(self.found.insert(name.to_owned(), field), None, "{name}");
        field
    }

    fn number(&mut self, name: &str, bytes: usize) -> u64 {
        self.take(name, bytes).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn yes_no(&mut self, name: &str) -> bool {
        let number = self.number(name, 1);
        assert!(number < 2, "{name} is {number}");
        number == 1
    }

    /// TPM2B.
    fn sized(&mut self, name: &str) -> &'a [u8] {
        let size = self.number(&format!("{name}, size"), 2);
        self.take(name, usize::try_from(size).expect("a size"))
    }

    /// An algorithm and a TPM2B.
    fn policy(&mut self, name: &str) {
        self.number(&format!("{name}, algorithm"), 2);
        self.sized(name);
    }

    fn version(&mut self) {
        assert_eq!(self.number("version", 2), 1);
    }

    fn get(&self, name: &str) -> &'a [u8] {
        self.found.get(name).unwrap_or_else(|| panic!("no field {name}"))
    }

    fn number_of(&self, name: &str) -> u64 {
        self.get(name).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn end(self) -> BTreeMap<String, &'a [u8]> {
        assert_eq!(self.rest, [0_u8; 0], "behind the last field");
        self.found
    }
}

/// Opens the store with its key, and looks at every record.
pub(crate) fn check(image: &[u8], key: [u8; 32]) {
    let disk = SimulatedDisk::with_image(4096, image.to_vec());
    let examined = Unrecovered::new(disk).examine(Capacity::for_tpm(4096)).expect("a store");
    let Examined::Formatted(found) = examined else { panic!("a formatted disk") };
    let key = MasterKey::new(Zeroizing::new(key));
    let mut random = SimulatedRandom::new(1);
    let store = found.recover(&key, Unanchored, &mut random).expect("it opens with its key");
    let mut names = Vec::new();
    for (name, record) in store.iter() {
        let (kind, number) = name.split_first().expect("a name");
        let number = u32::from_be_bytes(number.try_into().expect("five bytes of name"));
        let mut fields = Fields::of(record);
        fields.version();
        match *kind {
            1 => permanent(fields),
            2 => orderly(fields),
            3 => saved(fields),
            4 => object(number, fields),
            5 => index(number, fields),
            _ => panic!("kind {kind}"),
        }
        names.push((*kind, number));
    }
    let objects = [made::STORAGE_KEY, made::SEALED, made::CIPHER_KEY, made::RSA_KEY];
    let objects = objects.into_iter().chain([made::PLATFORM_KEY]).map(|handle| (4, handle));
    let indices = [made::DATA, made::COUNTER, made::BITS, made::DIGEST, made::UNWRITTEN];
    let indices = indices.into_iter().chain([made::ORDERLY]).map(|handle| (5, handle));
    let expected: Vec<_> =
        [(1, 0), (2, 0), (3, 0)].into_iter().chain(objects).chain(indices).collect();
    assert_eq!(names, expected);
}

fn permanent(mut fields: Fields<'_>) {
    for hierarchy in ["owner", "endorsement", "platform"] {
        assert_eq!(fields.sized(&format!("{hierarchy}, seed")).len(), 64);
        assert_eq!(fields.number(&format!("{hierarchy}, derivation"), 1), 1);
        assert_eq!(fields.sized(&format!("{hierarchy}, proof")).len(), 64);
        fields.sized(&format!("{hierarchy}, auth"));
        fields.policy(&format!("{hierarchy}, policy"));
    }
    fields.sized("lockout, auth");
    fields.policy("lockout, policy");
    assert!(fields.yes_no("clear is disabled"));
    fields.number("failed tries", 4);
    fields.number("most tries", 4);
    fields.number("recovery time", 4);
    fields.number("lockout recovery", 4);
    assert!(fields.yes_no("lockoutAuth may be used"));
    for bank in ["SHA-1", "SHA-256", "SHA-384", "SHA-512"] {
        assert_eq!(fields.number(&format!("{bank}, size of the bit map"), 1), 3);
        fields.take(&format!("{bank}, PCRs"), 3);
    }
    fields.policy("PCR policy");
    fields.number("audit algorithm", 2);
    fields.take("audited commands", 32);
    fields.number("audit counter", 8);
    assert_eq!(fields.take("commands with physical presence", 32), [0; 32]);
    fields.number("resets", 4);
    fields.number("resets since manufacture", 8);
    fields.number("greatest deleted counter", 8);
    fields.number("algorithm set", 4);
    assert!(fields.yes_no("manufactured"));
    let octets: [(&str, &[u8]); 13] = [
        ("owner, auth", b"owner"),
        ("owner, policy", &[1; 32]),
        ("endorsement, auth", b"endorsement"),
        ("endorsement, policy", &[2; 32]),
        ("platform, auth", b""),
        ("platform, policy, algorithm", &[0, 0x10]),
        ("lockout, auth", b"lockout"),
        ("lockout, policy", &[3; 32]),
        ("SHA-1, PCRs", &[0; 3]),
        ("SHA-512, PCRs", &[0xff; 3]),
        ("PCR policy", &[4; 48]),
        ("PCR policy, algorithm", &[0, 0x0c]),
        ("audit algorithm", &[0, 0x0c]),
    ];
    for (name, value) in octets {
        assert_eq!(fields.get(name), value, "{name}");
    }
    let numbers = [
        ("failed tries", 1),
        ("most tries", 7),
        ("recovery time", 100_000),
        ("lockout recovery", 200_000),
        ("resets", 2),
        ("resets since manufacture", 2),
        ("greatest deleted counter", 12),
        ("algorithm set", 0x0102_0304),
    ];
    for (name, value) in numbers {
        assert_eq!(fields.number_of(name), value, "{name}");
    }
    // TPM2_NV_Increment is 0x134, TPM2_Unseal 0x15e: bits 0x34 and 0x5e.
    let mut audited = [0; 32];
    audited[0x34 / 8] |= 1 << (0x34 % 8);
    audited[0x5e / 8] |= 1 << (0x5e % 8);
    assert_eq!(fields.get("audited commands"), audited);
    fields.end();
}

fn orderly(mut fields: Fields<'_>) {
    fields.number("Clock", 8);
    assert_eq!(fields.number("shutdown", 1), 3, "TPM2_Shutdown(STATE)");
    assert!(fields.yes_no("Clock is safe"));
    fields.end();
}

fn saved(mut fields: Fields<'_>) {
    for switch in ["owner", "endorsement", "platform", "the platform's NV"] {
        assert!(fields.yes_no(&format!("{switch} is enabled")));
    }
    assert_eq!(fields.sized("platform, auth"), b"platform");
    fields.policy("platform, policy");
    assert_eq!(fields.sized("PCR group, auth"), b"pcr");
    assert!(!fields.yes_no("read only"));
    fields.policy("timer, policy");
    assert_eq!(fields.sized("seed of the NULL hierarchy").len(), 64);
    assert_eq!(fields.sized("proof of the NULL hierarchy").len(), 64);
    assert_eq!(fields.number("restarts", 4), 0);
    assert_eq!(fields.number("clears", 4), 0);
    fields.number("object contexts", 8);
    fields.number("session contexts", 8);
    fields.sized("audit digest");
    fields.number("changes of PCRs", 4);
    fields.sized("random of TPM2_Commit");
    fields.number("counter of TPM2_Commit", 8);
    assert_eq!(fields.take("commits outstanding", 16), [0; 16]);
    assert_eq!(fields.number("locality", 1), 0);
    assert!(!fields.yes_no("measured"));
    let mut sessions = 0;
    for place in 0..64 {
        if fields.yes_no(&format!("session {place} is saved")) {
            fields.number(&format!("session {place}, counter"), 8);
            sessions += 1;
        }
    }
    assert_eq!(sessions, 1);
    assert!(!fields.yes_no("timer is signaled"));
    assert!(!fields.yes_no("timer preserves it"));
    for (bank, bytes) in [("SHA-1", 20), ("SHA-256", 32), ("SHA-384", 48), ("SHA-512", 64)] {
        for number in 0..16 {
            let value = fields.take(&format!("{bank}, PCR {number}"), bytes);
            let is_extended = (bank, number) == ("SHA-256", 7);
            assert_eq!(value.iter().any(|byte| *byte != 0), is_extended, "{bank} {number}");
        }
    }
    assert_eq!(fields.number("timer, seconds left", 4), 0);
    fields.end();
}

/// TPMT_PUBLIC, as far as these objects use it.
fn public(fields: &mut Fields<'_>) {
    let kind = fields.number("type", 2);
    fields.number("algorithm of the Name", 2);
    fields.number("attributes", 4);
    fields.sized("policy");
    let cipher = |fields: &mut Fields<'_>| {
        if fields.number("cipher", 2) != 0x10 {
            fields.number("bits of the cipher", 2);
            fields.number("mode of the cipher", 2);
        }
    };
    match kind {
        0x01 => {
            cipher(fields);
            assert_eq!(fields.number("scheme", 2), 0x10);
            fields.number("bits", 2);
            fields.number("exponent", 4);
            assert_eq!(fields.sized("modulus").len(), 256);
        }
        0x08 => {
            assert_eq!(fields.number("scheme", 2), 0x10);
            fields.sized("unique");
        }
        0x23 => {
            cipher(fields);
            assert_eq!(fields.number("scheme", 2), 0x10);
            fields.number("curve", 2);
            assert_eq!(fields.number("KDF", 2), 0x10);
            fields.sized("x");
            fields.sized("y");
        }
        0x25 => {
            cipher(fields);
            fields.sized("unique");
        }
        _ => panic!("type {kind:#x}"),
    }
}

fn object(handle: u32, mut fields: Fields<'_>) {
    public(&mut fields);
    assert!(fields.yes_no("there is a sensitive area"));
    let kind = fields.number("type of the sensitive area", 2);
    assert_eq!(kind, fields.number_of("type"));
    let auth = fields.sized("auth");
    fields.sized("seed");
    let secret = fields.sized("secret");
    let qualified_name = fields.sized("Qualified Name");
    let hierarchy = fields.number("hierarchy", 4);
    assert!(!fields.yes_no("external"));
    assert!(fields.yes_no("primary"));
    assert!(!fields.yes_no("stClear"));
    assert!(!fields.yes_no("temporary"));
    fields.end();
    let is_platforms = handle == made::PLATFORM_KEY;
    assert_eq!(hierarchy, if is_platforms { 0x4000_000c } else { 0x4000_0001 });
    assert_eq!((qualified_name.len(), &qualified_name[..2]), (34, &[0, 0x0b][..]));
    let (expected_kind, secret_bytes) = match handle {
        made::STORAGE_KEY => (0x23, 32),
        made::SEALED => (0x08, b"sealed data".len()),
        made::CIPHER_KEY => (0x25, 16),
        // One of the primes.
        made::RSA_KEY => (0x01, 128),
        _ => (0x23, 48),
    };
    assert_eq!((kind, secret.len()), (expected_kind, secret_bytes), "{handle:#x}");
    if handle == made::SEALED {
        assert_eq!((auth, secret), (&b"seal"[..], &b"sealed data"[..]));
    }
}

fn index(handle: u32, mut fields: Fields<'_>) {
    assert_eq!(fields.number("index", 4), u64::from(handle));
    assert_eq!(fields.number("algorithm of the Name", 2), 0x0b);
    let attributes = fields.number("attributes", 4);
    assert_eq!(fields.sized("policy"), b"");
    let size = fields.number("size of the data", 2);
    assert_eq!(fields.sized("auth"), b"index");
    let data = fields.take("data", usize::try_from(size).expect("a size"));
    fields.end();
    assert_eq!(attributes >> 29 & 1 == 1, handle != made::UNWRITTEN, "TPMA_NV_WRITTEN");
    match handle {
        made::DATA => assert_eq!(data, b"8 octets"),
        made::COUNTER => assert_eq!(data, 2_u64.to_be_bytes()),
        made::BITS => assert_eq!(data, 0x0100_0000_0000_0005_u64.to_be_bytes()),
        made::UNWRITTEN => assert_eq!(data, [0xff; 8]),
        made::ORDERLY => assert_eq!(data, 3_u64.to_be_bytes()),
        _ => assert_eq!(data.len(), 32),
    }
}
