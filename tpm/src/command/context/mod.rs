// SPDX-License-Identifier: MIT OR Apache-2.0
//! Saved contexts (Part 3, 28).

mod cipher;
pub mod context_load;
pub mod context_save;
