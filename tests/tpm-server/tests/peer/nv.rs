// SPDX-License-Identifier: MIT OR Apache-2.0
//! NV indices of every type, defined, written, read, locked and deleted in both TPMs: the same
//! response codes, the same data, the same Names.

use crate::client::{Fields, Octets, Tpm};

const OWNER: u32 = 0x4000_0001;
const PLATFORM: u32 = 0x4000_000c;
const INDEX: u32 = 0x0180_0042;

const UNDEFINE_SPACE: u32 = 0x122;
const DEFINE_SPACE: u32 = 0x12a;
const GLOBAL_WRITE_LOCK: u32 = 0x132;
const INCREMENT: u32 = 0x134;
const SET_BITS: u32 = 0x135;
const EXTEND: u32 = 0x136;
const WRITE: u32 = 0x137;
const WRITE_LOCK: u32 = 0x138;
const READ: u32 = 0x14e;
const READ_LOCK: u32 = 0x14f;
const READ_PUBLIC: u32 = 0x169;

/// TPMA_NV.
mod attribute {
    pub(super) const PP_WRITE: u32 = 1;
    pub(super) const OWNER_WRITE: u32 = 1 << 1;
    pub(super) const AUTH_WRITE: u32 = 1 << 2;
    pub(super) const WRITE_ALL: u32 = 1 << 12;
    pub(super) const WRITE_DEFINE: u32 = 1 << 13;
    pub(super) const WRITE_ST_CLEAR: u32 = 1 << 14;
    pub(super) const GLOBAL_LOCK: u32 = 1 << 15;
    pub(super) const PP_READ: u32 = 1 << 16;
    pub(super) const OWNER_READ: u32 = 1 << 17;
    pub(super) const AUTH_READ: u32 = 1 << 18;
    pub(super) const NO_DA: u32 = 1 << 25;
    pub(super) const ORDERLY: u32 = 1 << 26;
    pub(super) const CLEAR_ST_CLEAR: u32 = 1 << 27;
    pub(super) const WRITTEN: u32 = 1 << 29;
    pub(super) const PLATFORM_CREATE: u32 = 1 << 30;
    pub(super) const READ_ST_CLEAR: u32 = 1 << 31;
}
use attribute::*;

/// By everybody.
const OPEN: u32 = PP_WRITE | OWNER_WRITE | AUTH_WRITE | PP_READ | OWNER_READ | AUTH_READ | NO_DA;

/// Both TPMs; a step's outcome in one must be that in the other.
struct Pair {
    ours: Tpm,
    theirs: Tpm,
    /// How many steps succeeded, and how many didn't.
    counts: [usize; 2],
}

impl Pair {
    fn new(name: &str) -> Self {
        let ours = Tpm::ours(&format!("{name}-a"));
        Self { ours, theirs: Tpm::libtpms(&format!("{name}-b")), counts: [0; 2] }
    }

    fn step(&mut self, what: &str, code: u32, handles: &[u32], body: &[u8]) -> bool {
        let ours = self.ours.authorised(code, handles, 1, body);
        let theirs = self.theirs.authorised(code, handles, 1, body);
        let hex = |outcome: &crate::client::Outcome| match outcome {
            Ok(bytes) => format!("{bytes:02x?}"),
            Err(code) => format!("code {code:#x}"),
        };
        assert_eq!(hex(&ours), hex(&theirs), "{what}: {code:#x} {handles:x?} {body:02x?}");
        self.counts[usize::from(ours.is_err())] += 1;
        ours.is_ok()
    }

    /// TPM2_NV_ReadPublic: the public area, with its attributes, and the Name.
    fn same_public(&mut self, what: &str) {
        let [ours, theirs] = [&mut self.ours, &mut self.theirs]
            .map(|tpm| tpm.command(READ_PUBLIC, &INDEX.to_be_bytes()));
        assert_eq!(ours, theirs, "{what}");
    }

    fn define(&mut self, what: &str, auth: u32, attributes: u32, size: u16) -> bool {
        let public = Octets::default().u32(INDEX).u16(0x0b).u32(attributes).sized(b"").u16(size);
        let body = Octets::default().sized(b"").sized(&public.0).0;
        self.step(what, DEFINE_SPACE, &[auth], &body)
    }

    fn undefine(&mut self, what: &str, auth: u32) {
        assert!(self.step(what, UNDEFINE_SPACE, &[auth, INDEX], &[]), "{what}");
    }

    /// Every command that reads, writes or locks, each with its own idea of the index.
    fn use_index(&mut self, what: &str, auth: u32) {
        let handles = [auth, INDEX];
        let write = |data: &[u8], offset: u16| Octets::default().sized(data).u16(offset).0;
        let read = |size: u16, offset: u16| Octets::default().words(&[size, offset]).0;
        for (code, body) in [
            (READ, read(8, 0)),
            (WRITE, write(&[], 0)),
            (WRITE, write(&[1, 2], 0)),
            (WRITE, write(&[0, 0, 0, 1, 0, 0, 0, 9], 0)),
            (WRITE, write(&[5; 9], 0)),
            (WRITE, write(&[5; 4], 6)),
            (WRITE, write(&[5], 0xffff)),
            (INCREMENT, Vec::new()),
            (INCREMENT, vec![0]),
            (SET_BITS, 0x8000_0001_u64.to_be_bytes().to_vec()),
            (SET_BITS, 2_u64.to_be_bytes().to_vec()),
            (EXTEND, Octets::default().sized(b"data").0),
            (READ, read(8, 0)),
            (READ, read(0, 0)),
            (READ, read(1, 7)),
            (READ, read(1, 8)),
            (READ, read(32, 0)),
            (READ, read(9, 0)),
            (READ, read(1025, 0)),
        ] {
            self.step(what, code, &handles, &body);
        }
        self.same_public(what);
    }
}

/// The types of Part 2, 13.2, and one that isn't any, with the sizes that they have.
const TYPES: [(u32, u16); 7] = [(0, 8), (1, 8), (2, 8), (4, 32), (8, 8), (9, 8), (3, 8)];

#[test]
#[ignore = "needs swtpm"]
fn every_type_is_used_as_in_libtpms() {
    let mut pair = Pair::new("nv-types");
    for (nv_type, size) in TYPES {
        for extra in [0, ORDERLY, CLEAR_ST_CLEAR, WRITE_ALL, WRITE_DEFINE, ORDERLY | CLEAR_ST_CLEAR]
        {
            let is_pin = nv_type >= 8;
            let open = if is_pin { OPEN & !AUTH_WRITE } else { OPEN };
            let attributes = open | nv_type << 4 | extra;
            let what = format!("type {nv_type} attributes {attributes:#x}");
            for wrong in [size - 1, size + 1] {
                if pair.define(&what, OWNER, attributes, wrong) {
                    pair.undefine(&what, OWNER);
                }
            }
            if !pair.define(&what, OWNER, attributes, size) {
                continue;
            }
            assert!(!pair.define(&what, OWNER, attributes, size), "only once");
            pair.use_index(&what, OWNER);
            pair.use_index(&what, PLATFORM);
            // A PIN's own value counts, which has its own tests.
            if !is_pin {
                pair.use_index(&what, INDEX);
            }
            pair.undefine(&what, OWNER);
        }
    }
    assert!(pair.counts.iter().all(|count| *count > 300), "{:?}", pair.counts);
}

#[test]
#[ignore = "needs swtpm"]
fn locks_and_permissions_are_those_of_libtpms() {
    let mut pair = Pair::new("nv-locks");
    let mut sets = vec![OPEN];
    for lock in [WRITE_DEFINE, WRITE_ST_CLEAR, READ_ST_CLEAR, GLOBAL_LOCK] {
        sets.extend([OPEN | lock, OPEN | lock | READ_ST_CLEAR | WRITE_ST_CLEAR]);
    }
    for removed in [PP_WRITE, OWNER_WRITE, AUTH_WRITE, PP_READ, OWNER_READ, AUTH_READ, NO_DA] {
        sets.push(OPEN & !removed);
    }
    sets.extend([
        OPEN | WRITTEN,
        OPEN | PLATFORM_CREATE,
        OPEN & !(PP_READ | OWNER_READ | AUTH_READ),
        OPEN & !(PP_WRITE | OWNER_WRITE | AUTH_WRITE),
        OPEN | WRITE_DEFINE | GLOBAL_LOCK,
        OPEN | WRITE_DEFINE | CLEAR_ST_CLEAR,
    ]);
    for attributes in sets {
        for creator in [OWNER, PLATFORM] {
            let what = format!("attributes {attributes:#x} by {creator:#x}");
            if !pair.define(&what, creator, attributes, 8) {
                continue;
            }
            for auth in [OWNER, PLATFORM, INDEX] {
                pair.use_index(&what, auth);
            }
            for lock in [READ_LOCK, WRITE_LOCK] {
                for auth in [OWNER, PLATFORM, INDEX] {
                    pair.step(&what, lock, &[auth, INDEX], &[]);
                    pair.use_index(&what, OWNER);
                }
            }
            pair.step(&what, GLOBAL_WRITE_LOCK, &[OWNER], &[]);
            pair.use_index(&what, OWNER);
            pair.step(&what, UNDEFINE_SPACE, &[OWNER, INDEX], &[]);
            pair.step(&what, UNDEFINE_SPACE, &[PLATFORM, INDEX], &[]);
            let known = [&mut pair.ours, &mut pair.theirs]
                .map(|tpm| tpm.command(READ_PUBLIC, &INDEX.to_be_bytes()).is_ok());
            assert_eq!(known, [false; 2], "{what}");
        }
    }
    assert!(pair.counts.iter().all(|count| *count > 300), "{:?}", pair.counts);
}

/// The sizes that can be defined, and how the data are before they are all written.
#[test]
#[ignore = "needs swtpm"]
fn sizes_are_those_of_libtpms() {
    let mut pair = Pair::new("nv-sizes");
    for size in [0, 1, 1024, 1025, 2048, 2049, 0xffff] {
        let what = format!("size {size}");
        if !pair.define(&what, OWNER, OPEN, size) {
            continue;
        }
        let write = |data: &[u8], offset: u16| Octets::default().sized(data).u16(offset).0;
        for (data, offset) in [(0, size), (1, size.saturating_sub(1)), (1024, 0), (1024, 1)] {
            pair.step(&what, WRITE, &[OWNER, INDEX], &write(&vec![7; data], offset));
        }
        for (octets, offset) in [(size, 0), (1024, 0), (1024, 1024), (16, size.saturating_sub(16))]
        {
            let body = Octets::default().words(&[octets, offset]).0;
            pair.step(&what, READ, &[OWNER, INDEX], &body);
        }
        pair.same_public(&what);
        pair.undefine(&what, OWNER);
    }
    let read = pair.ours.command(READ_PUBLIC, &INDEX.to_be_bytes());
    assert_eq!(read.map(|bytes| Fields(&bytes).sized().len()), Err(0x18b));
}

/// PINs count as libtpms' do: right and wrong values, limits that are reached, changed, or below
/// the count; the owner sees the counts.
#[test]
#[ignore = "needs swtpm"]
fn pins_count_as_in_libtpms() {
    let mut pair = Pair::new("nv-pins");
    let mut compared = 0;
    for pin_type in [8, 9] {
        let attributes = OWNER_WRITE | OWNER_READ | AUTH_READ | NO_DA | pin_type << 4;
        let public = Octets::default().u32(INDEX).u16(0x0b).u32(attributes).sized(b"").u16(8);
        let body = Octets::default().sized(b"pin").sized(&public.0).0;
        assert!(pair.step("a PIN", DEFINE_SPACE, &[OWNER], &body));
        for (count, limit) in [(0_u32, 3_u32), (0, 0), (2, 3), (3, 3), (5, 3), (0, 1)] {
            let data = Octets::default().u32(count).u32(limit).0;
            let write = Octets::default().sized(&data).u16(0).0;
            assert!(pair.step("a limit", WRITE, &[OWNER, INDEX], &write));
            for value in [&b"pin"[..], b"pun", b"", b"pun", b"pin", b"pin", b"pun", b"pin"] {
                let read = Octets::default().words(&[8, 0]).0;
                let [ours, theirs] = [&mut pair.ours, &mut pair.theirs]
                    .map(|tpm| tpm.with_password(READ, &[INDEX, INDEX], value, &read));
                assert_eq!(ours, theirs, "type {pin_type}, {count} of {limit}, {value:?}");
                assert!(pair.step("the counts", READ, &[OWNER, INDEX], &read));
                compared += 1;
            }
        }
        pair.undefine("a PIN", OWNER);
    }
    assert_eq!(compared, 96);
}
