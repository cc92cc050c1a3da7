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
/// Channel 2, low then high byte, mode 0: counts down once, then on from the top.
const COMMAND_COUNT: u32 = 0xb0;
/// Latch the count of channel 2.
const COMMAND_LATCH: u32 = 0x80;
const CONTROL_GATE: u32 = 1;
const CONTROL_SPEAKER: u32 = 2;
const FREQUENCY_HZ: u64 = 1_193_182;
/// Counts to wait for: about 5 ms, far from the 55 ms in which the counter goes round.
const COUNTS: u16 = 6_000;
/// Readings of the count before the timer counts as absent.
const READINGS_MAX: usize = 5_000;
/// Measurements, of which the most precise counts: this CPU may be held up in the middle of one.
const MEASUREMENTS: usize = 4;

/// Ticks of the time stamp counter in a second; `None` when there is no such timer.
pub fn measure_tsc_hz() -> Option<u64> {
    let ghcb = &per_cpu::current().ghcb;
    let control = ghcb.port_read(PORT_CONTROL, PortSize::Byte).ok()?;
    let best = (0..MEASUREMENTS)
        .filter_map(|_| measure(ghcb, control).ok().flatten())
        .min_by_key(|measurement| measurement.uncertainty_permille);
    ghcb.port_write(PORT_CONTROL, PortSize::Byte, control).ok()?;
    best.map(|measurement| measurement.hz)
}

/// The count at some moment between two time stamps.
struct Reading {
    before: u64,
    after: u64,
    count: u16,
}

struct Measurement {
    hz: u64,
    uncertainty_permille: u64,
}

fn measure(ghcb: &Ghcb, control: u32) -> Result<Option<Measurement>, GhcbError> {
    let write = |port, value| ghcb.port_write(port, PortSize::Byte, value);
    write(PORT_CONTROL, control & !CONTROL_SPEAKER | CONTROL_GATE)?;
    write(PORT_COMMAND, COMMAND_COUNT)?;
    write(PORT_CHANNEL_2, 0xff)?;
    write(PORT_CHANNEL_2, 0xff)?;
    let first = read(ghcb)?;
    for _ in 0..READINGS_MAX {
        let last = read(ghcb)?;
        let counts = first.count.wrapping_sub(last.count);
        if counts >= COUNTS {
            return Ok(evaluate(&first, &last, counts));
        }
    }
    Ok(None)
}

fn read(ghcb: &Ghcb) -> Result<Reading, GhcbError> {
    let before = read_tsc();
    ghcb.port_write(PORT_COMMAND, PortSize::Byte, COMMAND_LATCH)?;
    let after = read_tsc();
    let low = ghcb.port_read(PORT_CHANNEL_2, PortSize::Byte)?;
    let high = ghcb.port_read(PORT_CHANNEL_2, PortSize::Byte)?;
    let count = u16::try_from(high << 8 | low).unwrap_or(0);
    Ok(Reading { before, after, count })
}

fn evaluate(first: &Reading, last: &Reading, counts: u16) -> Option<Measurement> {
    let middle = |reading: &Reading| reading.before / 2 + reading.after / 2;
    let doubt = |reading: &Reading| reading.after.wrapping_sub(reading.before);
    let ticks = middle(last).checked_sub(middle(first))?;
    let uncertainty = doubt(first).checked_add(doubt(last))?.checked_mul(1000)?;
    Some(Measurement {
        hz: ticks.checked_mul(FREQUENCY_HZ)? / u64::from(counts),
        uncertainty_permille: uncertainty.checked_div(ticks)?,
    })
}
