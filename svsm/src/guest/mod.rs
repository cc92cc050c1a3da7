// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest: its memory, its launch at VMPL2, and the loop that serves it.

#[cfg(feature = "bare-metal")]
mod background;
#[cfg(feature = "bare-metal")]
mod engine;
#[cfg(feature = "bare-metal")]
mod firmware;
#[cfg(feature = "bare-metal")]
mod kernel_machine;
pub mod memory_map;
#[cfg(feature = "bare-metal")]
mod payload;
#[cfg(feature = "bare-metal")]
mod run_loop;
#[cfg(feature = "bare-metal")]
mod start;
pub mod vcpu_list;

#[cfg(feature = "bare-metal")]
pub use start::{run_other_cpu, start};
