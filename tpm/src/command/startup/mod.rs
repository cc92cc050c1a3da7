// SPDX-License-Identifier: MIT OR Apache-2.0
//! Start-up (Part 3, 9).

pub mod shutdown;
#[expect(clippy::module_inception, reason = "the command that the chapter is named after")]
pub mod startup;
