// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that counts in an NV index until the power is cut, and says on the console each time
//! that a count was acknowledged. What the host has seen must be there at the next start.

use crate::console::Console;
use crate::run::Call;
use crate::{guest, verdict};
use snp_abi::svsm::{TPM_SEND_COMMAND, VTPM_RESPONSE_OFFSET, protocol, vtpm_call};

/// Said by the writer: what it found, and each count that the TPM has acknowledged.
pub const FOUND: &str = "writer: found";
/// See [`FOUND`].
pub const ACKNOWLEDGED: &str = "writer: acknowledged";
/// The response code of a TPM that can't be used.
pub const REFUSED: &str = "writer: refused";
/// What TPM2_GetTestResult tells then.
pub const BECAUSE: &str = "writer: because";

/// The index: 8 octets, written and read by the owner.
const INDEX: u32 = 0x0150_0020;
const OWNER: u32 = 0x4000_0001;
const ATTRIBUTES: u32 = 0x0002_0002;
const PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
const SESSIONS: u16 = 0x8002;
const NO_SESSIONS: u16 = 0x8001;
const NV_READ: u32 = 0x14e;
const NV_WRITE: u32 = 0x137;
const NV_DEFINE: u32 = 0x12a;
const GET_TEST_RESULT: u32 = 0x17c;
/// TPM_RC_HANDLE for handle 1 and 2: there is no such index yet.
const NO_INDEX: [u32; 2] = [0x18b, 0x28b];
/// TPM_RC_NV_UNINITIALIZED.
const UNWRITTEN: u32 = 0x14a;

/// Writes until the end; returns only when something is wrong: the termination code.
pub fn run(arena: u64, area: u64) -> u64 {
    let Some(console) = Console::open(arena + 0x20_0000, arena + 0x2000, area) else {
        return verdict::NOT_SERVED;
    };
    let tpm = Tpm { area, buffer: arena };
    match count(&tpm, &console) {
        Some(code) => {
            console.line(REFUSED, code.into());
            let told = tpm.execute(NO_SESSIONS, GET_TEST_RESULT, &[]);
            // outData: a size and the number.
            let number = u32::from_be_bytes(guest::read(tpm.response() + 12));
            console.line(BECAUSE, if told == Some(0) { number.into() } else { 0 });
            verdict::PASSED
        }
        None => verdict::NOT_SERVED,
    }
}

/// Counts for ever; the response code that ends it, `None` when a call was not served.
fn count(tpm: &Tpm, console: &Console) -> Option<u32> {
    let mut next =
        match tpm.execute(SESSIONS, NV_READ, &[&handles()[..], &PASSWORD, &[0, 8, 0, 0]])? {
            // Header, parameterSize, size, data.
            0 => u64::from_be_bytes(guest::read(tpm.response() + 16)),
            UNWRITTEN => 0,
            code if NO_INDEX.contains(&code) => {
                let public = [
                    &[0, 0, 0, 14][..],
                    &INDEX.to_be_bytes(),
                    &[0, 0x0b],
                    &ATTRIBUTES.to_be_bytes(),
                    &[0, 0, 0, 8],
                ];
                let [empty_auth, index, name, attributes, rest] = public;
                let parts = [
                    &OWNER.to_be_bytes()[..],
                    &PASSWORD,
                    empty_auth,
                    index,
                    name,
                    attributes,
                    rest,
                ];
                match tpm.execute(SESSIONS, NV_DEFINE, &parts)? {
                    0 => 0,
                    code => return Some(code),
                }
            }
            code => return Some(code),
        };
    console.line(FOUND, next);
    loop {
        next += 1;
        let data = next.to_be_bytes();
        let parts = [&handles()[..], &PASSWORD, &[0, 8], &data, &[0, 0]];
        match tpm.execute(SESSIONS, NV_WRITE, &parts)? {
            0 => console.line(ACKNOWLEDGED, next),
            code => return Some(code),
        }
    }
}

/// authHandle and nvIndex.
fn handles() -> [u8; 8] {
    (u64::from(OWNER) << 32 | u64::from(INDEX)).to_be_bytes()
}

/// The vTPM behind the calling area, with a page for command and response.
struct Tpm {
    area: u64,
    buffer: u64,
}

impl Tpm {
    /// Where the response is.
    fn response(&self) -> u64 {
        self.buffer + VTPM_RESPONSE_OFFSET as u64
    }

    /// Executes a command: its response code, `None` when the call was not served.
    fn execute(&self, tag: u16, code: u32, parts: &[&[u8]]) -> Option<u32> {
        let length = 10 + parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).ok()?;
        guest::write(self.buffer, TPM_SEND_COMMAND.to_le_bytes());
        // Locality 0, then the command's size.
        guest::write(self.buffer + 4, [0]);
        guest::write(self.buffer + 5, length.to_le_bytes());
        guest::write(self.buffer + 9, tag.to_be_bytes());
        guest::write(self.buffer + 11, length.to_be_bytes());
        guest::write(self.buffer + 15, code.to_be_bytes());
        let bytes = parts.iter().copied().flatten();
        for (place, byte) in (self.buffer + 19..).zip(bytes) {
            guest::write(place, [*byte]);
        }
        let rax = u64::from(protocol::VTPM) << 32 | u64::from(vtpm_call::COMMAND);
        let call = Call { rax, rcx: self.buffer, rdx: 0, r8: 0 };
        let outcome = guest::call(self.area, &call)?;
        if outcome.rax != 0 {
            return None;
        }
        Some(u32::from_be_bytes(guest::read(self.response() + 6)))
    }
}
