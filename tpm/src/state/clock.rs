// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time and Clock (Part 1, 36), and what happens merely because time passes.

use super::State;
use super::capacity::CLOCK_UPDATE_MS;
use crate::platform::Platform;
use crate::structure::clock::{ClockInfo, TimeInfo};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

const MS_PER_S: u64 = 1000;
/// Faults of the platform's clock aside, no command is longer after the one before than this.
const LONGEST_STEP_MS: u64 = 100 * 365 * 24 * 3600 * MS_PER_S;
/// A step of TPM2_ClockRateAdjust changes the rate by so much of a million.
const RATE_STEP_PPM: [i32; 3] = [10, 100, 1000];
/// The rate cannot be adjusted beyond this.
const RATE_LIMIT_PPM: i32 = 150_000;
const MILLION: u32 = 1_000_000;

/// The running clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The platform's clock when it was last looked at.
    uptime_ms: u64,
    /// What had passed then beyond whole milliseconds of these clocks: one that is looked at often
    /// loses nothing by it.
    rest_ns: u32,
    /// Milliseconds since _TPM_Init.
    time_ms: u64,
    /// Clock.
    clock_ms: u64,
    /// No larger value of Clock was ever reported.
    pub is_safe: bool,
    /// How much faster (or slower) than the platform's clock these run.
    rate_ppm: i32,
    /// Time at which the counter of failed authorisations last went up or down.
    healed_at_ms: u64,
    /// Time at which lockoutAuth last failed.
    lockout_failed_at_ms: u64,
    /// Changes whenever Time starts afresh without Clock telling: part of timed tickets.
    pub epoch: u32,
}

impl Clock {
    /// Before power-on.
    pub const fn new() -> Self {
        Self {
            uptime_ms: 0,
            rest_ns: 0,
            time_ms: 0,
            clock_ms: 0,
            is_safe: true,
            rate_ppm: 0,
            healed_at_ms: 0,
            lockout_failed_at_ms: 0,
            epoch: 0,
        }
    }

    /// _TPM_Init: Time starts at zero, Clock where it was left.
    pub fn start(&mut self, uptime_ms: u64, clock_ms: u64, epoch: u32) {
        *self = Self { uptime_ms, clock_ms, epoch, ..Self::new() };
    }

    /// Goes on from this time of the machine's clock.
    pub const fn continue_at(&mut self, uptime_ms: u64) {
        self.uptime_ms = uptime_ms;
    }

    /// Milliseconds since _TPM_Init.
    pub const fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Clock.
    pub const fn clock_ms(&self) -> u64 {
        self.clock_ms
    }

    /// TPM2_ClockSet: the caller has checked that it only goes forward.
    pub const fn set(&mut self, clock_ms: u64) {
        self.clock_ms = clock_ms;
    }

    /// TPM2_ClockRateAdjust: `coarseness` 0 to 2, faster or slower.
    pub fn adjust_rate(&mut self, coarseness: usize, is_faster: bool) {
        let step = RATE_STEP_PPM.get(coarseness).copied().unwrap_or_default();
        let step = if is_faster { step } else { step.saturating_neg() };
        self.rate_ppm = self.rate_ppm.saturating_add(step).clamp(-RATE_LIMIT_PPM, RATE_LIMIT_PPM);
    }

    /// A failed authorisation was counted: recovery takes its whole time from now on, since only
    /// time without a failure counts (Part 1, 19.11).
    pub const fn note_failure(&mut self) {
        self.healed_at_ms = self.time_ms;
    }

    /// Whether a time of some epoch is over. Times of another one are: how long ago, nobody knows.
    pub const fn is_over(&self, time_ms: u64, epoch: u32) -> bool {
        time_ms < self.time_ms || epoch != self.epoch
    }

    /// lockoutAuth failed: its recovery begins now.
    pub const fn note_lockout_failure(&mut self) {
        self.lockout_failed_at_ms = self.time_ms;
    }

    fn advance(&mut self, uptime_ms: u64) {
        let passed_ms = uptime_ms.saturating_sub(self.uptime_ms).min(LONGEST_STEP_MS);
        self.uptime_ms = self.uptime_ms.max(uptime_ms);
        // Of a millisecond, a millionth is a nanosecond.
        let rate_ns = MILLION.saturating_add_signed(self.rate_ppm);
        let passed_ns = u128::from(passed_ms).saturating_mul(u128::from(rate_ns));
        let passed_ns = passed_ns.saturating_add(u128::from(self.rest_ns));
        let million = u128::from(MILLION);
        let scaled_ms = passed_ns.checked_div(million).unwrap_or_default();
        let scaled_ms = u64::try_from(scaled_ms).unwrap_or(passed_ms);
        let rest_ns = passed_ns.checked_rem(million).unwrap_or_default();
        self.rest_ns = u32::try_from(rest_ns).unwrap_or_default();
        self.time_ms = self.time_ms.saturating_add(scaled_ms);
        self.clock_ms = self.clock_ms.saturating_add(scaled_ms);
    }
}

/// Everything but the machine's clock, which another machine has another of.
impl Marshal for Clock {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.time_ms)?;
        writer.value(&self.clock_ms)?;
        writer.value(&self.is_safe)?;
        writer.bytes(&self.rate_ppm.to_be_bytes())?;
        writer.value(&self.healed_at_ms)?;
        writer.value(&self.lockout_failed_at_ms)?;
        writer.value(&self.epoch)
    }
}

impl Unmarshal for Clock {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let (time_ms, clock_ms) = (reader.value()?, reader.value()?);
        let is_safe = reader.value()?;
        let rate_ppm = i32::from_be_bytes(reader.array()?);
        if !(-RATE_LIMIT_PPM..=RATE_LIMIT_PPM).contains(&rate_ppm) {
            return Err(ResponseCode::VALUE);
        }
        let (healed_at_ms, lockout_failed_at_ms) = (reader.value()?, reader.value()?);
        let epoch = reader.value()?;
        Ok(Self {
            uptime_ms: 0,
            rest_ns: 0,
            time_ms,
            clock_ms,
            is_safe,
            rate_ppm,
            healed_at_ms,
            lockout_failed_at_ms,
            epoch,
        })
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Lets time pass up to now: Clock, recovery from failed authorisations, timers.
    pub fn pass_time(&mut self, platform: &mut dyn Platform) {
        self.clock.advance(platform.uptime_ms());
        let unwritten_ms = self.clock.clock_ms.saturating_sub(self.orderly.clock_ms);
        if unwritten_ms >= CLOCK_UPDATE_MS {
            self.orderly.change().clock_ms = self.clock.clock_ms;
            self.clock.is_safe = true;
        }
        self.recover_from_failures();
        self.expire_timers(platform);
    }

    fn recover_from_failures(&mut self) {
        let attack = self.permanent.dictionary_attack;
        let recovery_ms = u64::from(attack.recovery_time_s).saturating_mul(MS_PER_S);
        let passed_ms = self.clock.time_ms.saturating_sub(self.clock.healed_at_ms);
        if attack.failed_tries > 0
            && let Some(healed) = passed_ms.checked_div(recovery_ms)
            && healed > 0
        {
            let healed = u32::try_from(healed).unwrap_or(u32::MAX);
            let left = attack.failed_tries.saturating_sub(healed);
            self.permanent.change().dictionary_attack.failed_tries = left;
            let step_ms = u64::from(healed).saturating_mul(recovery_ms);
            self.clock.healed_at_ms = self.clock.healed_at_ms.saturating_add(step_ms);
        }
        let lockout_ms = u64::from(attack.lockout_recovery_s).saturating_mul(MS_PER_S);
        let passed_ms = self.clock.time_ms.saturating_sub(self.clock.lockout_failed_at_ms);
        if !attack.is_lockout_auth_enabled && lockout_ms != 0 && passed_ms >= lockout_ms {
            self.permanent.change().dictionary_attack.is_lockout_auth_enabled = true;
        }
    }

    fn expire_timers(&mut self, platform: &mut dyn Platform) {
        for (number, timer) in (0..).zip(&mut self.timers) {
            if timer.expires_ms.is_some_and(|expires_ms| expires_ms <= self.clock.time_ms) {
                timer.expires_ms = None;
                timer.is_signaled = true;
                platform.timer_expired(number);
            }
        }
    }

    /// TPMS_TIME_INFO of now.
    pub fn time_info(&self) -> TimeInfo {
        TimeInfo {
            time_ms: self.clock.time_ms,
            clock: ClockInfo {
                clock_ms: self.clock.clock_ms,
                reset_count: self.permanent.reset_count,
                restart_count: self.reset.restart_count,
                safe: self.clock.is_safe,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let mut clock = Clock::new();
        clock.start(1000, 5000, 1);
        clock.advance(500);
        assert_eq!((clock.time_ms(), clock.clock_ms()), (0, 5000));
        clock.advance(1500);
        assert_eq!((clock.time_ms(), clock.clock_ms()), (500, 5500));
        clock.advance(u64::MAX);
        assert!(clock.time_ms() <= 500 + LONGEST_STEP_MS);
    }

    #[test]
    fn the_rate_is_limited() {
        let mut clock = Clock::new();
        (0..1000).for_each(|_| clock.adjust_rate(2, true));
        clock.advance(1_000_000);
        assert_eq!(clock.time_ms(), 1_150_000);
    }

    #[test]
    fn a_clock_that_is_looked_at_often_loses_no_time() {
        for (is_faster, expected_ms) in [(false, 999_000), (true, 1_001_000)] {
            let mut clock = Clock::new();
            clock.adjust_rate(2, is_faster);
            (1..=1_000_000).for_each(|uptime_ms| clock.advance(uptime_ms));
            assert_eq!(clock.time_ms(), expected_ms);
        }
    }
}
