// SPDX-License-Identifier: MIT OR Apache-2.0
//! What processors share data with; the model check puts other types of the same names here.

pub(crate) use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
pub(crate) use spin::Mutex;
