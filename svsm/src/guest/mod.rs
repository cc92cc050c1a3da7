// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest: its memory, its launch at VMPL2, and the loop that serves it.

#[cfg(feature = "bare-metal")]
mod start;
#[cfg(feature = "bare-metal")]
pub use start::start;
