// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clock and time (Part 2, 10.10 and 10.11).

use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// TPMS_CLOCK_INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockInfo {
    /// Milliseconds that the TPM was powered since it was manufactured or cleared.
    pub clock_ms: u64,
    /// TPM Resets since TPM2_Clear.
    pub reset_count: u32,
    /// Resumes and Restarts since the last TPM Reset.
    pub restart_count: u32,
    /// No larger value of Clock was ever reported.
    pub safe: bool,
}

impl Marshal for ClockInfo {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.clock_ms)?;
        writer.value(&self.reset_count)?;
        writer.value(&self.restart_count)?;
        writer.value(&self.safe)
    }
}

impl Unmarshal for ClockInfo {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let clock_ms = reader.value()?;
        let reset_count = reader.value()?;
        let restart_count = reader.value()?;
        Ok(Self { clock_ms, reset_count, restart_count, safe: reader.value()? })
    }
}

/// TPMS_TIME_INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeInfo {
    /// Milliseconds since the last _TPM_Init.
    pub time_ms: u64,
    /// The clock.
    pub clock: ClockInfo,
}

impl Marshal for TimeInfo {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.time_ms)?;
        writer.value(&self.clock)
    }
}
