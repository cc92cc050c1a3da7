// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest: its memory, its launch at VMPL2, and the loop that serves it.

#[cfg(feature = "bare-metal")]
mod background;
#[cfg(all(feature = "bare-metal", feature = "block-device"))]
mod disk;
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
#[cfg(all(feature = "bare-metal", feature = "block-device"))]
mod sealing;
#[cfg(feature = "bare-metal")]
mod start;
#[cfg(feature = "bare-metal")]
mod state;
#[cfg(all(feature = "bare-metal", feature = "block-device"))]
mod state_key;
pub mod vcpu_list;

#[cfg(feature = "bare-metal")]
pub use start::{run_other_cpu, start};
