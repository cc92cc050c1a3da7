// SPDX-License-Identifier: MIT OR Apache-2.0
//! Malformed and borderline calls with the result each must get.
//!
//! One table for two callers: host tests run it against a fake machine, and a payload at the
//! guest's VMPL runs it against the SVSM on the emulator. So it names addresses by what they are
//! ([`Value`]) and needs nothing but this file. Cases run in order; each prepares the memory that
//! it needs, and none leaves a page in another state than it found it.

/// A register or memory value that may depend on the machine.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// As it stands.
    Exactly(u64),
    /// Offset into the arena: [`ARENA_BYTES`] of the caller's own private memory, 2 MiB aligned.
    Arena(u64),
    /// The PVALIDATE or DEPOSIT entry for an arena page: offset, and the low 12 bits.
    Entry(u64, u64),
    /// Offset into the SVSM's region.
    Svsm(u64),
    /// The last page below the end of the guest's memory, plus this.
    LastPage(u64),
    /// `sev_features` of this machine.
    SevFeatures,
    /// The caller's VMPL.
    OwnVmpl,
    /// The caller's APIC id.
    OwnApicId,
}

/// Size of the arena in bytes.
pub const ARENA_BYTES: u64 = 0x40_0000;

/// What the values stand for on a particular machine.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Guest-physical address of the arena.
    pub arena: u64,
    /// First address of the SVSM's region.
    pub svsm: u64,
    /// End of the guest's memory.
    pub memory_end: u64,
    /// `sev_features` of this machine.
    pub sev_features: u64,
    /// The caller's VMPL.
    pub vmpl: u8,
    /// The caller's APIC id.
    pub apic_id: u32,
}

impl Layout {
    /// The number that `value` stands for.
    pub fn resolve(&self, value: Value) -> u64 {
        match value {
            Value::Exactly(number) => number,
            Value::Arena(offset) => self.arena.wrapping_add(offset),
            Value::Entry(offset, low) => self.arena.wrapping_add(offset) | low,
            Value::Svsm(offset) => self.svsm.wrapping_add(offset),
            Value::LastPage(offset) => self.memory_end.wrapping_sub(0x1000).wrapping_add(offset),
            Value::SevFeatures => self.sev_features,
            Value::OwnVmpl => u64::from(self.vmpl),
            Value::OwnApicId => u64::from(self.apic_id),
        }
    }
}

/// A store into the arena before the call.
#[derive(Clone, Copy, Debug)]
pub enum Store {
    /// A zeroed page at this offset.
    ClearPage(u64),
    /// One byte.
    Byte(u64, Value),
    /// Two bytes, little-endian.
    Half(u64, u16),
    /// Eight bytes, little-endian.
    Word(u64, Value),
    /// Raw bytes.
    Bytes(u64, &'static [u8]),
}

/// A call and its result.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What is tried.
    pub name: &'static str,
    /// RAX, upper half.
    pub protocol: u32,
    /// RAX, lower half.
    pub call: u32,
    /// RCX.
    pub rcx: Value,
    /// RDX.
    pub rdx: Value,
    /// R8.
    pub r8: Value,
    /// Stores to do first, in order.
    pub memory: &'static [Store],
    /// RAX afterwards.
    pub rax_after: u64,
    /// RCX afterwards.
    pub rcx_after: Value,
    /// A u16 in the arena afterwards: offset, value.
    pub half_after: Option<(u64, u16)>,
}

/// Result codes (AMD 58019), written out: the table must not follow a wrong constant.
const SUCCESS: u64 = 0;
const UNSUPPORTED_PROTOCOL: u64 = 0x8000_0001;
const UNSUPPORTED_CALL: u64 = 0x8000_0002;
const INVALID_ADDRESS: u64 = 0x8000_0003;
const INVALID_PARAMETER: u64 = 0x8000_0005;
const INVALID_REQUEST: u64 = 0x8000_0006;
const NO_CHANGE: u64 = 0x8000_1010;
const SIZE_MISMATCH: u64 = 0x8000_1006;
const FAIL_INPUT: u64 = 0x8000_1001;

const CORE: u32 = 0;
const ATTESTATION: u32 = 1;
const VTPM: u32 = 2;

/// Arena offsets.
const LIST: u64 = 0x0;
const TARGET: u64 = 0x2000;
const OTHER: u64 = 0x3000;
const BUFFER: u64 = 0x4000;
const VMSA: u64 = 0x6000;
const CALLING_AREA: u64 = 0x7000;
const LARGE: u64 = 0x20_0000;

/// Bits of a PVALIDATE entry.
const VALIDATE: u64 = 4;
const IGNORE: u64 = 8;
const SIZE_2M: u64 = 1;

const ZERO: Value = Value::Exactly(0);

const fn case(name: &'static str, protocol: u32, call: u32, rcx: Value, rax_after: u64) -> Case {
    Case {
        name,
        protocol,
        call,
        rcx,
        rdx: ZERO,
        r8: ZERO,
        memory: &[],
        rax_after,
        rcx_after: rcx,
        half_after: None,
    }
}

const fn remap(name: &'static str, address: Value, result: u64) -> Case {
    case(name, CORE, 0, address, result)
}

const fn list(
    name: &'static str,
    call: u32,
    memory: &'static [Store],
    result: u64,
    next: u16,
) -> Case {
    let half_after = Some((LIST + 2, next));
    Case { memory, half_after, ..case(name, CORE, call, Value::Arena(LIST), result) }
}

const fn pvalidate(name: &'static str, memory: &'static [Store], result: u64, next: u16) -> Case {
    list(name, 1, memory, result, next)
}

const fn create(name: &'static str, vmsa: Value, area: Value, apic: Value, result: u64) -> Case {
    Case { rdx: area, r8: apic, ..case(name, CORE, 2, vmsa, result) }
}

const fn create_from(name: &'static str, memory: &'static [Store]) -> Case {
    let (vmsa, area) = (Value::Arena(VMSA), Value::Arena(CALLING_AREA));
    Case { memory, ..create(name, vmsa, area, Value::OwnApicId, INVALID_PARAMETER) }
}

const fn command(name: &'static str, memory: &'static [Store], result: u64) -> Case {
    Case { memory, ..case(name, VTPM, 1, Value::Arena(BUFFER), result) }
}

/// SERVICES with the operation structure in [`BUFFER`].
const fn services(name: &'static str, memory: &'static [Store], result: u64) -> Case {
    Case { memory, ..case(name, ATTESTATION, 0, Value::Arena(BUFFER), result) }
}

/// The same for SINGLE_SERVICE.
const fn service(name: &'static str, memory: &'static [Store], result: u64) -> Case {
    Case { memory, ..case(name, ATTESTATION, 1, Value::Arena(BUFFER), result) }
}

const fn query(name: &'static str, question: u64, answer: u64) -> Case {
    let asked = Value::Exactly(question);
    Case { rcx_after: Value::Exactly(answer), ..case(name, CORE, 6, asked, SUCCESS) }
}

/// A list with `entries`, `next` and one entry.
macro_rules! one_entry {
    ($entries:expr, $next:expr, $entry:expr) => {
        &[
            Store::ClearPage(LIST),
            Store::Half(LIST, $entries),
            Store::Half(LIST + 2, $next),
            Store::Word(LIST + 8, $entry),
        ]
    };
}

/// A VMSA with the three fields that are checked.
macro_rules! vmsa {
    ($vmpl:expr, $efer:expr, $features:expr) => {
        &[
            Store::ClearPage(VMSA),
            Store::ClearPage(CALLING_AREA),
            Store::Byte(VMSA + 0xca, $vmpl),
            Store::Word(VMSA + 0xd0, Value::Exactly($efer)),
            Store::Word(VMSA + 0x3b0, $features),
        ]
    };
}

/// A vTPM request: header and the start of the command.
macro_rules! request {
    ($($byte:expr),*) => { &[Store::ClearPage(BUFFER), Store::Bytes(BUFFER, &[$($byte),*])] };
}

/// An attestation operation with a page for the report, one for the manifest, and a nonce across a
/// page's end; then what is wrong with it.
macro_rules! operation {
    ($($store:expr),*) => {
        &[
            Store::ClearPage(BUFFER),
            Store::Word(BUFFER, Value::Arena(TARGET)),
            Store::Word(BUFFER + 0x08, Value::Exactly(0x1000)),
            Store::Word(BUFFER + 0x10, Value::Arena(VMSA + 0xfe5)),
            Store::Half(BUFFER + 0x18, 64),
            Store::Word(BUFFER + 0x20, Value::Arena(OTHER)),
            Store::Word(BUFFER + 0x28, Value::Exactly(0x1000)),
            $($store),*
        ]
    };
}

/// The vTPM's GUID in an operation.
const VTPM_SERVICE: Store = Store::Bytes(
    BUFFER + 0x40,
    &[
        0xeb, 0xf1, 0x76, 0xc4, 0x23, 0x01, 0xa5, 0x45, 0x96, 0x41, 0xb4, 0xe7, 0xdd, 0xe5, 0xbf,
        0xe3,
    ],
);

/// The table.
pub const CASES: &[Case] = &[
    // Protocols and call numbers
    case("unknown protocol 3", 3, 0, ZERO, UNSUPPORTED_PROTOCOL),
    case("unknown protocol 4", 4, 1, ZERO, UNSUPPORTED_PROTOCOL),
    case("unknown protocol 0xffffffff", u32::MAX, 0, ZERO, UNSUPPORTED_PROTOCOL),
    case("core call 8", CORE, 8, ZERO, UNSUPPORTED_CALL),
    case("core call 0xffffffff", CORE, u32::MAX, ZERO, UNSUPPORTED_CALL),
    case("vTPM call 2", VTPM, 2, ZERO, UNSUPPORTED_CALL),
    case("vTPM call 0xffffffff", VTPM, u32::MAX, ZERO, UNSUPPORTED_CALL),
    // QUERY_PROTOCOL and CONFIGURE_VTOM
    query("core, version 1", 1, 0x1_0000_0001),
    query("core, version 0", 0, 0),
    query("core, version 2", 2, 0),
    query("vTPM, version 1", 0x2_0000_0001, 0x1_0000_0001),
    query("vTPM, version 0xffffffff", 0x2_ffff_ffff, 0),
    query("attestation, version 1", 0x1_0000_0001, 0x1_0000_0001),
    query("attestation, version 0", 0x1_0000_0000, 0),
    query("attestation, version 2", 0x1_0000_0002, 0),
    query("protocol 7", 0x7_0000_0001, 0),
    query("protocol 0xffffffff", 0xffff_ffff_0000_0001, 0),
    Case { rcx_after: ZERO, ..case("vTOM query", CORE, 7, Value::Exactly(1), SUCCESS) },
    case("vTOM configuration", CORE, 7, ZERO, INVALID_REQUEST),
    // REMAP_CA
    remap("calling area at 8 mod 4096", Value::Arena(OTHER + 8), INVALID_PARAMETER),
    remap("calling area at 1", Value::Exactly(1), INVALID_PARAMETER),
    remap("calling area in the SVSM", Value::Svsm(0), INVALID_ADDRESS),
    remap("calling area on the SVSM's last page", Value::Svsm(0xff_f000), INVALID_ADDRESS),
    remap("calling area behind memory", Value::LastPage(0x1000), INVALID_ADDRESS),
    remap("calling area at the top", Value::Exactly(0xffff_ffff_ffff_f000), INVALID_ADDRESS),
    remap("calling area with bit 51", Value::Exactly(0x8_0000_0000_2000), INVALID_ADDRESS),
    remap("calling area in MMIO", Value::Exactly(0xfee0_0000), INVALID_ADDRESS),
    // PVALIDATE, the list
    case("list at 4 mod 8", CORE, 1, Value::Arena(LIST + 4), INVALID_PARAMETER),
    case("list in the SVSM", CORE, 1, Value::Svsm(0x2000), INVALID_ADDRESS),
    case("list behind memory", CORE, 1, Value::LastPage(0x1000), INVALID_ADDRESS),
    case("list at the top", CORE, 1, Value::Exactly(0xffff_ffff_ffff_fff8), INVALID_ADDRESS),
    pvalidate("no entries", one_entry!(0, 0, ZERO), INVALID_PARAMETER, 0),
    pvalidate("next = entries", one_entry!(1, 1, ZERO), INVALID_PARAMETER, 1),
    pvalidate("next > entries", one_entry!(1, 2, ZERO), INVALID_PARAMETER, 2),
    pvalidate("next = 0xffff", one_entry!(1, 0xffff, ZERO), INVALID_PARAMETER, 0xffff),
    pvalidate("512 entries", one_entry!(512, 0, ZERO), INVALID_PARAMETER, 0),
    pvalidate("65535 entries", one_entry!(0xffff, 0, ZERO), INVALID_PARAMETER, 0),
    Case {
        memory: &[Store::ClearPage(LIST), Store::Half(LIST + 0xff8, 1)],
        ..case("list without room", CORE, 1, Value::Arena(LIST + 0xff8), INVALID_PARAMETER)
    },
    Case {
        memory: &[Store::ClearPage(LIST), Store::Half(LIST + 0xff0, 2)],
        ..case("list across its page", CORE, 1, Value::Arena(LIST + 0xff0), INVALID_PARAMETER)
    },
    // PVALIDATE, the entries
    pvalidate("size 2", one_entry!(1, 0, Value::Entry(TARGET, 2)), INVALID_PARAMETER, 0),
    pvalidate("size 3", one_entry!(1, 0, Value::Entry(TARGET, 3)), INVALID_PARAMETER, 0),
    pvalidate("reserved bit 4", one_entry!(1, 0, Value::Entry(TARGET, 0x10)), INVALID_PARAMETER, 0),
    pvalidate("bit 11", one_entry!(1, 0, Value::Entry(TARGET, 0x800)), INVALID_PARAMETER, 0),
    pvalidate("2M at 4K", one_entry!(1, 0, Value::Entry(TARGET, SIZE_2M)), INVALID_PARAMETER, 0),
    pvalidate(
        "the SVSM's page",
        one_entry!(1, 0, Value::Svsm(0x10_0000 | VALIDATE)),
        INVALID_ADDRESS,
        0,
    ),
    pvalidate(
        "taking the SVSM's page",
        one_entry!(1, 0, Value::Svsm(0x10_0000)),
        INVALID_ADDRESS,
        0,
    ),
    pvalidate(
        "2M over the SVSM",
        one_entry!(1, 0, Value::Svsm(SIZE_2M | VALIDATE)),
        INVALID_ADDRESS,
        0,
    ),
    pvalidate("behind memory", one_entry!(1, 0, Value::LastPage(0x1004)), INVALID_ADDRESS, 0),
    pvalidate(
        "the last page of all",
        one_entry!(1, 0, Value::Exactly(0xffff_ffff_ffff_f004)),
        INVALID_PARAMETER,
        0,
    ),
    pvalidate("valid page again", one_entry!(1, 0, Value::Entry(TARGET, VALIDATE)), NO_CHANGE, 0),
    pvalidate(
        "valid page again, ignored",
        one_entry!(1, 0, Value::Entry(TARGET, VALIDATE | IGNORE)),
        SUCCESS,
        1,
    ),
    pvalidate(
        "take, take again, give back",
        &[
            Store::ClearPage(LIST),
            Store::Half(LIST, 3),
            Store::Word(LIST + 8, Value::Entry(TARGET, 0)),
            Store::Word(LIST + 16, Value::Entry(TARGET, IGNORE)),
            Store::Word(LIST + 24, Value::Entry(TARGET, VALIDATE)),
        ],
        SUCCESS,
        3,
    ),
    pvalidate(
        "second entry fails, the first counts",
        &[
            Store::ClearPage(LIST),
            Store::Half(LIST, 3),
            Store::Word(LIST + 8, Value::Entry(TARGET, VALIDATE | IGNORE)),
            Store::Word(LIST + 16, Value::Svsm(VALIDATE)),
            Store::Word(LIST + 24, Value::Entry(OTHER, VALIDATE | IGNORE)),
        ],
        INVALID_ADDRESS,
        1,
    ),
    pvalidate(
        "2M where a 4K page was exchanged",
        &[
            Store::ClearPage(LIST),
            Store::Half(LIST, 3),
            Store::Word(LIST + 8, Value::Entry(LARGE, 0)),
            Store::Word(LIST + 16, Value::Entry(LARGE, VALIDATE)),
            Store::Word(LIST + 24, Value::Entry(LARGE, SIZE_2M | VALIDATE | IGNORE)),
        ],
        SIZE_MISMATCH,
        2,
    ),
    pvalidate(
        "taking 2M without a 4K page that was taken",
        &[
            Store::ClearPage(LIST),
            Store::Half(LIST, 2),
            Store::Word(LIST + 8, Value::Entry(LARGE, 0)),
            Store::Word(LIST + 16, Value::Entry(LARGE, SIZE_2M)),
        ],
        SIZE_MISMATCH,
        1,
    ),
    pvalidate("that page again", one_entry!(1, 0, Value::Entry(LARGE, 0)), NO_CHANGE, 0),
    list("as a deposit", 4, one_entry!(1, 0, Value::Entry(LARGE, 0)), FAIL_INPUT, 0),
    pvalidate("back it comes", one_entry!(1, 0, Value::Entry(LARGE, VALIDATE)), SUCCESS, 1),
    // CREATE_VCPU
    create(
        "VMSA at 16",
        Value::Arena(VMSA + 16),
        Value::Arena(CALLING_AREA),
        ZERO,
        INVALID_PARAMETER,
    ),
    create(
        "area at 8",
        Value::Arena(VMSA),
        Value::Arena(CALLING_AREA + 8),
        ZERO,
        INVALID_PARAMETER,
    ),
    create(
        "VMSA = area",
        Value::Arena(VMSA),
        Value::Arena(VMSA),
        Value::OwnApicId,
        INVALID_PARAMETER,
    ),
    create(
        "VMSA in the SVSM",
        Value::Svsm(0),
        Value::Arena(CALLING_AREA),
        Value::OwnApicId,
        INVALID_ADDRESS,
    ),
    create(
        "area in the SVSM",
        Value::Arena(VMSA),
        Value::Svsm(0),
        Value::OwnApicId,
        INVALID_ADDRESS,
    ),
    create(
        "VMSA behind memory",
        Value::LastPage(0x1000),
        Value::Arena(CALLING_AREA),
        Value::OwnApicId,
        INVALID_ADDRESS,
    ),
    create(
        "unknown APIC id",
        Value::Arena(VMSA),
        Value::Arena(CALLING_AREA),
        Value::Exactly(0xffff_fffe),
        INVALID_PARAMETER,
    ),
    create(
        "APIC id beyond 32 bits",
        Value::Arena(VMSA),
        Value::Arena(CALLING_AREA),
        Value::Exactly(1 << 32),
        INVALID_PARAMETER,
    ),
    create_from("VMPL 0", vmsa!(ZERO, 0x1000, Value::SevFeatures)),
    create_from("VMPL 1", vmsa!(Value::Exactly(1), 0x1000, Value::SevFeatures)),
    create_from("VMPL 3", vmsa!(Value::Exactly(3), 0x1000, Value::SevFeatures)),
    create_from("VMPL 0xff", vmsa!(Value::Exactly(0xff), 0x1000, Value::SevFeatures)),
    create_from("no SVME", vmsa!(Value::OwnVmpl, 0xd00, Value::SevFeatures)),
    create_from("features 0", vmsa!(Value::OwnVmpl, 0x1000, ZERO)),
    create_from("all features", vmsa!(Value::OwnVmpl, 0x1000, Value::Exactly(u64::MAX))),
    // DELETE_VCPU
    case("delete at 1", CORE, 3, Value::Exactly(1), INVALID_PARAMETER),
    case("delete no VMSA", CORE, 3, Value::Arena(VMSA), INVALID_PARAMETER),
    case("delete in the SVSM", CORE, 3, Value::Svsm(0), INVALID_PARAMETER),
    case("delete at the top", CORE, 3, Value::Exactly(0xffff_ffff_ffff_f000), INVALID_PARAMETER),
    // DEPOSIT_MEM and WITHDRAW_MEM
    list("deposit nothing", 4, one_entry!(0, 0, ZERO), INVALID_PARAMETER, 0),
    list("deposit size 2", 4, one_entry!(1, 0, Value::Entry(TARGET, 2)), INVALID_PARAMETER, 0),
    list("deposit with bit 2", 4, one_entry!(1, 0, Value::Entry(TARGET, 4)), INVALID_PARAMETER, 0),
    list("deposit the SVSM's", 4, one_entry!(1, 0, Value::Svsm(0)), INVALID_ADDRESS, 0),
    list("deposit the list", 4, one_entry!(1, 0, Value::Entry(LIST, 0)), INVALID_PARAMETER, 0),
    list("deposit beyond", 4, one_entry!(1, 0, Value::LastPage(0x1000)), INVALID_ADDRESS, 0),
    case("deposit list at 4", CORE, 4, Value::Arena(LIST + 4), INVALID_PARAMETER),
    case("deposit list in the SVSM", CORE, 4, Value::Svsm(0), INVALID_ADDRESS),
    list("withdraw into no room", 5, one_entry!(0, 0, ZERO), INVALID_PARAMETER, 0),
    list("withdraw nothing", 5, one_entry!(1, 0, ZERO), SUCCESS, 0),
    list("deposit one page", 4, one_entry!(1, 0, Value::Entry(TARGET, 0)), SUCCESS, 1),
    list("deposit it twice", 4, one_entry!(1, 0, Value::Entry(TARGET, 0)), INVALID_ADDRESS, 0),
    pvalidate(
        "take a deposited page",
        one_entry!(1, 0, Value::Entry(TARGET, 0)),
        INVALID_ADDRESS,
        0,
    ),
    remap("calling area on a deposited page", Value::Arena(TARGET), INVALID_ADDRESS),
    Case {
        half_after: Some((LIST, 1)),
        ..list("withdraw it", 5, one_entry!(2, 0, ZERO), SUCCESS, 0)
    },
    case("withdraw list at 2", CORE, 5, Value::Arena(LIST + 2), INVALID_PARAMETER),
    case("withdraw list in the SVSM", CORE, 5, Value::Svsm(0), INVALID_ADDRESS),
    // Attestation; whatever is right with these, the firmware is never asked
    case("attestation call 2", ATTESTATION, 2, Value::Arena(BUFFER), UNSUPPORTED_CALL),
    case("operation in the SVSM", ATTESTATION, 0, Value::Svsm(0x2000), INVALID_ADDRESS),
    case("operation across the end", ATTESTATION, 0, Value::LastPage(0xfc8), INVALID_ADDRESS),
    case("longer one across the end", ATTESTATION, 1, Value::LastPage(0xfb0), INVALID_ADDRESS),
    case("operation at the top", ATTESTATION, 0, Value::Exactly(u64::MAX), INVALID_ADDRESS),
    services("reserved at 0xc", operation!(Store::Half(BUFFER + 0xe, 1)), INVALID_PARAMETER),
    services("reserved at 0x1a", operation!(Store::Half(BUFFER + 0x1e, 1)), INVALID_PARAMETER),
    services("reserved at 0x3c", operation!(Store::Half(BUFFER + 0x3c, 1)), INVALID_PARAMETER),
    services("no nonce", operation!(Store::Half(BUFFER + 0x18, 0)), INVALID_PARAMETER),
    services("short nonce", operation!(Store::Half(BUFFER + 0x18, 63)), INVALID_PARAMETER),
    services("long nonce", operation!(Store::Half(BUFFER + 0x18, 65)), INVALID_PARAMETER),
    services(
        "nonce in the SVSM",
        operation!(Store::Word(BUFFER + 0x10, Value::Svsm(0x2000))),
        INVALID_ADDRESS,
    ),
    services(
        "report not at a page",
        operation!(Store::Word(BUFFER, Value::Arena(TARGET + 8))),
        INVALID_PARAMETER,
    ),
    services(
        "report in the SVSM",
        operation!(Store::Word(BUFFER, Value::Svsm(0x1_0000))),
        INVALID_ADDRESS,
    ),
    services(
        "manifest in MMIO",
        operation!(Store::Word(BUFFER + 0x20, Value::Exactly(0xfee0_0000))),
        INVALID_ADDRESS,
    ),
    service("service 0", operation!(), INVALID_PARAMETER),
    service(
        "version 2 of the manifest",
        operation!(VTPM_SERVICE, Store::Half(BUFFER + 0x50, 2)),
        INVALID_PARAMETER,
    ),
    service(
        "reserved at 0x54",
        operation!(VTPM_SERVICE, Store::Half(BUFFER + 0x56, 1)),
        INVALID_PARAMETER,
    ),
    // vTPM
    Case { rcx_after: Value::Exactly(0x100), ..case("vTPM query", VTPM, 0, ZERO, SUCCESS) },
    case("buffer in the SVSM", VTPM, 1, Value::Svsm(0), INVALID_ADDRESS),
    case("buffer before the SVSM", VTPM, 1, Value::Svsm(0xffff_ffff_ffff_f800), INVALID_ADDRESS),
    case("buffer across the end", VTPM, 1, Value::LastPage(1), INVALID_ADDRESS),
    case("buffer at the top", VTPM, 1, Value::Exactly(u64::MAX), INVALID_ADDRESS),
    command("platform command 0", request!(0, 0, 0, 0), UNSUPPORTED_CALL),
    command("platform command 9", request!(9, 0, 0, 0), UNSUPPORTED_CALL),
    command("platform command 0x100", request!(0, 1, 0, 0), UNSUPPORTED_CALL),
    command(
        "locality 5",
        request!(8, 0, 0, 0, 5, 10, 0, 0, 0, 0x80, 1, 0, 0, 0, 10),
        INVALID_PARAMETER,
    ),
    command(
        "locality 255",
        request!(8, 0, 0, 0, 255, 10, 0, 0, 0, 0x80, 1, 0, 0, 0, 10),
        INVALID_PARAMETER,
    ),
    command("size 0", request!(8, 0, 0, 0, 0, 0, 0, 0, 0), INVALID_PARAMETER),
    command("size 9", request!(8, 0, 0, 0, 0, 9, 0, 0, 0, 0x80, 1, 0, 0, 0, 9), INVALID_PARAMETER),
    command(
        "size 4088",
        request!(8, 0, 0, 0, 0, 0xf8, 0xf, 0, 0, 0x80, 1, 0, 0, 0xf, 0xf8),
        INVALID_PARAMETER,
    ),
    command("size 2^32 - 1", request!(8, 0, 0, 0, 0, 255, 255, 255, 255), INVALID_PARAMETER),
    command(
        "commandSize too small",
        request!(8, 0, 0, 0, 0, 12, 0, 0, 0, 0x80, 1, 0, 0, 0, 10),
        INVALID_PARAMETER,
    ),
    command(
        "commandSize too big",
        request!(8, 0, 0, 0, 0, 12, 0, 0, 0, 0x80, 1, 0, 0, 0, 13),
        INVALID_PARAMETER,
    ),
    command(
        "unknown TPM command",
        request!(8, 0, 0, 0, 0, 10, 0, 0, 0, 0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0),
        SUCCESS,
    ),
];
