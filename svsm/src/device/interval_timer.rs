// SPDX-License-Identifier: MIT OR Apache-2.0
//! The legacy interval timer (8254, channel 2), only to measure the time stamp counter's frequency.
//!
//! The host owns both, so the result is an allegation: `platform::clock` checks that it is
//! plausible. Where the platform offers Secure TSC the frequency comes from there instead.

use crate::cpu::per_cpu;
use crate::cpu::registers::read_tsc;
use crate::snp::ghcb::{Ghcb, GhcbError};
use snp_abi::ghcb::PortSize;

const PORT_CHANNEL_2: u16 = 0x42;
const PORT_COMMAND: u16 = 0x43;
const PORT_CONTROL: u16 = 0x61;
/// Channel 2, low then high byte, mode 0 (the output rises at the end of the count).
const COMMAND_ONE_SHOT: u32 = 0xb0;
const CONTROL_GATE: u32 = 1;
const CONTROL_SPEAKER: u32 = 2;
const CONTROL_OUTPUT: u32 = 1 << 5;
const FREQUENCY_HZ: u64 = 1_193_182;
/// About 10 ms.
const COUNT: u32 = 11_932;
/// Reads of the output before the timer counts as absent.
const POLLS_MAX: usize = 20_000;

/// Ticks of the time stamp counter in a second; `None` when there is no such timer.
pub fn measure_tsc_hz() -> Option<u64> {
    measure(&per_cpu::current().ghcb).ok().flatten()
}

fn measure(ghcb: &Ghcb) -> Result<Option<u64>, GhcbError> {
    let write = |port, value| ghcb.port_write(port, PortSize::Byte, value);
    let control = ghcb.port_read(PORT_CONTROL, PortSize::Byte)?;
    write(PORT_CONTROL, control & !CONTROL_SPEAKER | CONTROL_GATE)?;
    write(PORT_COMMAND, COMMAND_ONE_SHOT)?;
    write(PORT_CHANNEL_2, COUNT & 0xff)?;
    write(PORT_CHANNEL_2, COUNT >> 8)?;
    let start = read_tsc();
    let mut ticks = None;
    for _ in 0..POLLS_MAX {
        if ghcb.port_read(PORT_CONTROL, PortSize::Byte)? & CONTROL_OUTPUT != 0 {
            ticks = Some(read_tsc().wrapping_sub(start));
            break;
        }
    }
    write(PORT_CONTROL, control)?;
    Ok(ticks.and_then(|ticks| ticks.checked_mul(FREQUENCY_HZ)).map(|all| all / u64::from(COUNT)))
}
