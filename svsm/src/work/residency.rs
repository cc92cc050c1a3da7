// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters of residency: for each kind of call a histogram of its time in powers of two.
//!
//! "What a request may cost" (docs/design.md) is measured by these, not assumed.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Kind {
    /// Core protocol, everything but PVALIDATE.
    Core,
    /// Core protocol, PVALIDATE.
    Pvalidate,
    /// vTPM protocol.
    Vtpm,
    /// Everything else, refused calls among it.
    Other,
    /// Returns to the SVSM without a call.
    Spurious,
    /// Background work at the end of a call, beyond the call itself.
    Background,
    /// Attestation protocol.
    Attestation,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Core,
        Self::Pvalidate,
        Self::Vtpm,
        Self::Other,
        Self::Spurious,
        Self::Background,
        Self::Attestation,
    ];

    /// The kind of the call in RAX.
    pub const fn of_call(rax: u64) -> Self {
        match (rax >> 32, rax & 0xffff_ffff) {
            (0, 1) => Self::Pvalidate,
            (0, _) => Self::Core,
            (1, _) => Self::Attestation,
            (2, _) => Self::Vtpm,
            _ => Self::Other,
        }
    }
}

/// Buckets of a histogram: bucket n counts times of 2^n to 2^(n+1) ticks.
const BUCKETS: usize = 40;

/// Words of one kind's counters.
pub const WORDS: usize = 64;
/// Where the buckets begin among them.
pub const WORDS_BUCKETS: usize = 8;

/// Time of one kind of call.
#[derive(Debug)]
struct Histogram {
    buckets: [AtomicU32; BUCKETS],
    total: AtomicU64,
    longest: AtomicU64,
}

/// The time that calls took on this machine.
pub static RESIDENCY: Residency = Residency::new();

/// The counters.
#[derive(Debug)]
pub struct Residency {
    histograms: [Histogram; Kind::ALL.len()],
}

impl Default for Residency {
    fn default() -> Self {
        Self::new()
    }
}

impl Residency {
    /// Counters at zero.
    pub const fn new() -> Self {
        Self {
            histograms: [const {
                Histogram {
                    buckets: [const { AtomicU32::new(0) }; BUCKETS],
                    total: AtomicU64::new(0),
                    longest: AtomicU64::new(0),
                }
            }; Kind::ALL.len()],
        }
    }

    /// Counts one stay of `ticks`.
    pub fn record(&self, kind: Kind, ticks: u64) {
        let Some(histogram) = self.histograms.get(kind as usize) else { return };
        let bucket = (ticks | 1).ilog2() as usize;
        if let Some(count) = histogram.buckets.get(bucket.min(BUCKETS - 1)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        histogram.total.fetch_add(ticks, Ordering::Relaxed);
        histogram.longest.fetch_max(ticks, Ordering::Relaxed);
    }

    /// Stays of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        let histogram = self.histograms.get(kind as usize);
        histogram.map_or(0, |histogram| {
            histogram.buckets.iter().map(|count| u64::from(count.load(Ordering::Relaxed))).sum()
        })
    }

    /// The counters of a kind as words, for whoever reads them with a number: at 0 the stays, at 1
    /// and 2 the upper and lower half of all ticks, at 3 and 4 those of the longest stay, from
    /// [`WORDS_BUCKETS`] on the buckets. `None` beyond [`WORDS`].
    pub fn word(&self, kind: Kind, index: usize) -> Option<u32> {
        let histogram = self.histograms.get(kind as usize)?;
        let halves = |value: u64| [value >> 32, value & 0xffff_ffff];
        let value = match index {
            0 => self.count(kind).min(u32::MAX.into()),
            1 | 2 => *halves(histogram.total.load(Ordering::Relaxed)).get(index - 1)?,
            3 | 4 => *halves(histogram.longest.load(Ordering::Relaxed)).get(index - 3)?,
            WORDS.. => return None,
            _ => {
                let bucket = index.checked_sub(WORDS_BUCKETS);
                let count = bucket.and_then(|bucket| histogram.buckets.get(bucket));
                count.map_or(0, |count| count.load(Ordering::Relaxed).into())
            }
        };
        u32::try_from(value).ok()
    }

    /// A line for the log.
    pub const fn line(&self, kind: Kind) -> Line<'_> {
        Line { residency: self, kind }
    }
}

/// One kind's counters as text: `kind count total longest | bucket:count …`, times in ticks.
#[derive(Debug)]
pub struct Line<'a> {
    residency: &'a Residency,
    kind: Kind,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(histogram) = self.residency.histograms.get(self.kind as usize) else {
            return Ok(());
        };
        write!(
            formatter,
            "residency kind={:?} count={} ticks={} longest={} log2=",
            self.kind,
            self.residency.count(self.kind),
            histogram.total.load(Ordering::Relaxed),
            histogram.longest.load(Ordering::Relaxed),
        )?;
        let mut separator = "";
        for (bucket, count) in histogram.buckets.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count != 0 {
                write!(formatter, "{separator}{bucket}:{count}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_times_have_a_bucket() {
        let residency = Residency::new();
        for ticks in [0, 1, 2, 3, 1 << 39, u64::MAX] {
            residency.record(Kind::Vtpm, ticks);
        }
        assert_eq!(residency.count(Kind::Vtpm), 6);
        assert_eq!(residency.count(Kind::Core), 0);
        let line = residency.line(Kind::Vtpm).to_string();
        assert!(line.ends_with("log2=0:2,1:2,39:2"), "{line}");
    }

    #[test]
    fn words_are_bounded_and_hold_the_counters() {
        let residency = Residency::new();
        residency.record(Kind::Vtpm, 5 << 32 | 7);
        residency.record(Kind::Vtpm, 6);
        let word = |index| residency.word(Kind::Vtpm, index);
        assert_eq!([0, 1, 2, 3, 4].map(word), [2, 5, 13, 5, 7].map(Some));
        assert_eq!((word(8 + 2), word(8 + 34), word(8 + 3)), (Some(1), Some(1), Some(0)));
        assert_eq!((word(5), word(WORDS - 1), word(WORDS)), (Some(0), Some(0), None));
        assert_eq!(residency.word(Kind::Core, 0), Some(0));
    }

    #[test]
    fn calls_have_kinds() {
        assert_eq!(Kind::of_call(1), Kind::Pvalidate);
        assert_eq!(Kind::of_call(6), Kind::Core);
        assert_eq!(Kind::of_call(2 << 32 | 1), Kind::Vtpm);
        assert_eq!(Kind::of_call(1 << 32 | 1), Kind::Attestation);
        assert_eq!(Kind::of_call(3 << 32 | 1), Kind::Other);
        assert_eq!(Kind::of_call(u64::MAX), Kind::Other);
    }

    /// Counters are read by the number of their kind.
    #[test]
    fn kinds_have_their_place() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
