// SPDX-License-Identifier: MIT OR Apache-2.0
//! Says on standard error what takes time, and how much it took.

use crate::failure::{Context, Failure, Result};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Runs a long step and reports its time.
pub(crate) fn step<T>(what: &str, action: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = action();
    let outcome = if result.is_ok() { "" } else { "failed after " };
    eprintln!("launcher: {what} … {outcome}{:.1} s", start.elapsed().as_secs_f64());
    result
}

/// Runs a program as a step. What it prints is shown only when it fails.
pub(crate) fn step_command(what: &str, command: &mut Command) -> Result<()> {
    step(what, || {
        let program = command.get_program().to_string_lossy().into_owned();
        let output =
            command.stdin(Stdio::null()).output().context(|| format!("start {program}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
        Err(Failure::new(format!(
            "{program} failed ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&said).trim_end()
        )))
    })
}
