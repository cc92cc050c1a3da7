// SPDX-License-Identifier: MIT OR Apache-2.0
//! The counters that a guest may read: TPM2_GetCapability(TPM_CAP_VENDOR_PROPERTY), a list of
//! 32-bit numbers from the property on. None of them tells anything of a key.
//!
//! | property | what |
//! |---|---|
//! | `0x40 * n + i` | residency of calls of kind `n`, word `i` ([`Residency::word`]) |
//! | `0x1000 + 4 * n` | keys of shelf `n` (2048, 3072, 4096 bits): ready, made, taken, missed |
//! | `0x100c` | multiplications of all searches, upper and lower half |
//! | `0x100e` | how often a job was asked for the first time, the second, … (10 numbers) |
//! | `0x1018` | multiplications of the longest such attempt, and of the longest background slice |
//! | `0x101a` | numbers drawn that became no prime of a key, upper and lower half |
//! | `0x101c` | attempts by the power of two of their multiplications (22 numbers) |
//!
//! Kinds of calls: 0 core but for PVALIDATE, 1 PVALIDATE, 2 vTPM, 3 others, 4 returns without a
//! call, 5 background work, 6 attestation ([`Kind`]).
//!
//! Multiplications are of 1024 bits. From `0x100c` on all are zero while another CPU works on keys.
//!
//! [`Residency::word`]: crate::work::residency::Residency::word

use super::KeyStock;
use crate::work::residency::{Kind, RESIDENCY, WORDS};

/// Properties of the keys begin here.
const KEYS: usize = 0x1000;

/// The number of a property.
pub(super) fn value(stock: Option<&KeyStock>, property: u32) -> Option<u32> {
    let property = usize::try_from(property).ok()?;
    match property.checked_sub(KEYS) {
        Some(index) => key_value(stock?, index),
        None => RESIDENCY.word(*Kind::ALL.get(property / WORDS)?, property % WORDS),
    }
}

fn key_value(stock: &KeyStock, index: usize) -> Option<u32> {
    let shelves = stock
        .shelves()
        .flat_map(|(_, counters)| [counters.ready, counters.made, counters.taken, counters.missed]);
    let tally = stock.work_done().unwrap_or_default();
    let halves = |number: u64| [number >> 32, number & 0xffff_ffff];
    let longest = [tally.longest_attempt, tally.longest_background];
    let value = shelves
        .chain(halves(tally.multiplications))
        .chain(tally.attempts.into_iter().chain(longest).map(u64::from))
        .chain(halves(tally.rejected))
        .chain(tally.attempt_sizes.map(u64::from))
        .nth(index)?;
    Some(u32::try_from(value).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::entropy::tests::good;

    #[test]
    fn rows_end() {
        let stock = KeyStock::new(&good()).unwrap();
        let rows = u32::try_from(Kind::ALL.len() * WORDS).unwrap();
        assert!(value(Some(&stock), rows - 1).is_some());
        for beyond in [rows, 0xfff, 0x1032, 0x1040, u32::MAX] {
            assert_eq!(value(Some(&stock), beyond), None, "{beyond:#x}");
        }
        assert_eq!(value(None, 0x1000), None);
    }

    #[test]
    fn keys_are_counted() {
        let stock = KeyStock::new(&good()).unwrap();
        let row = || (0x1000..).map_while(|property| value(Some(&stock), property));
        assert_eq!(row().collect::<Vec<_>>(), [0; 50]);
        while value(Some(&stock), 0x1001) == Some(0) {
            assert!(stock.work(100_000));
        }
        assert_eq!(row().take(4).collect::<Vec<_>>(), [1, 1, 0, 0]);
        assert!(row().nth(13) > Some(50_000));
        let [attempt, background] = [0x1018, 0x1019].map(|number| value(Some(&stock), number));
        assert!(attempt == Some(0) && background > Some(50_000));
        assert!(value(Some(&stock), 0x101b) > Some(400), "numbers are rejected");
    }
}
