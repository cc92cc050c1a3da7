// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the machine's parts, boots it under QEMU, and talks to the guest inside.
//!
//! ```text
//! images ──► igvmbuilder ──► X.igvm ─┐
//! guest kit ─► kernel, initrd ───────┼─► QEMU ─► emulator ─► SVSM ─► Linux
//! symbols of the SVSM ───────────────┘            │ debug console: one log file
//!                                                 │ serial 1: the guest's console
//!                                                 └ serial 2: commands for the guest's agent
//! ```
//!
//! The program `launcher` stands behind `make run`. Scenario tests use [`Machine`] directly.
#![forbid(unsafe_code)]

mod agent;
mod failure;
mod guest;
mod identity;
mod images;
mod log;
mod machine;
mod options;
mod payload;
mod progress;
mod project;
mod qemu;
mod symbols;

pub use agent::CommandOutput;
pub use failure::{Failure, Result};
pub use guest::{GuestFiles, initrd_with_selftests};
pub use images::{Images, svsm_image};
pub use log::Log;
pub use machine::{Ending, Machine};
pub use options::{Accelerator, Console, IdBlock, Layers, Options};
