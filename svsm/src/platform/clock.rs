// SPDX-License-Identifier: MIT OR Apache-2.0
//! A clock over the time stamp counter.

/// Below and above these a frequency is not believed.
const PLAUSIBLE_HZ: core::ops::RangeInclusive<u64> = 100_000_000..=20_000_000_000;
/// Used when nobody gives a plausible frequency: time then runs at a wrong but steady pace.
const FALLBACK_HZ: u64 = 2_000_000_000;

/// Converts readings of the time stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    start: u64,
    hz: u64,
    measured: bool,
}

impl Clock {
    /// A clock that is zero at `start`. `alleged_hz` is used if it is plausible.
    pub fn new(start: u64, alleged_hz: Option<u64>) -> Self {
        match alleged_hz.filter(|hz| PLAUSIBLE_HZ.contains(hz)) {
            Some(hz) => Self { start, hz, measured: true },
            None => Self { start, hz: FALLBACK_HZ, measured: false },
        }
    }

    /// Whether the frequency is a plausible measured one.
    pub const fn is_measured(&self) -> bool {
        self.measured
    }

    /// Ticks in a second.
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    /// Milliseconds since the start. A reading from before it counts as the start.
    pub fn milliseconds(&self, now: u64) -> u64 {
        self.convert(now.saturating_sub(self.start), 1000)
    }

    /// Microseconds that `ticks` are.
    pub fn microseconds(&self, ticks: u64) -> u64 {
        self.convert(ticks, 1_000_000)
    }

    fn convert(&self, ticks: u64, per_second: u64) -> u64 {
        let scaled = u128::from(ticks) * u128::from(per_second);
        u64::try_from(scaled / u128::from(self.hz.max(1))).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implausible_frequencies_are_not_believed() {
        for alleged in [None, Some(0), Some(99_999_999), Some(u64::MAX)] {
            let clock = Clock::new(0, alleged);
            assert!(!clock.is_measured());
            assert_eq!(clock.milliseconds(FALLBACK_HZ), 1000);
        }
    }

    #[test]
    fn time_neither_overflows_nor_goes_below_zero() {
        let clock = Clock::new(1000, Some(3_000_000_000));
        assert_eq!(clock.milliseconds(0), 0);
        assert_eq!(clock.milliseconds(1000 + 3_000_000), 1);
        assert_eq!(clock.milliseconds(u64::MAX), (u64::MAX - 1000) / 3_000_000);
        assert_eq!(clock.microseconds(3000), 1);
    }
}
