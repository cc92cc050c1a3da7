// SPDX-License-Identifier: MIT OR Apache-2.0
//! The conversation between the host program and the agent in the test guest.
//!
//! The line is the guest's second serial port in raw mode: bytes arrive in order, but nothing marks
//! where a message begins, so each travels in a [`frame`]. The host speaks first only after it has
//! seen [`Message::Ready`]. One command runs at a time; whoever breaks that order gets an error,
//! never a guess at what was meant.
#![forbid(unsafe_code)]

pub mod frame;
mod message;

pub use message::{COMMAND_BYTES_MAX, Message, VERSION};
