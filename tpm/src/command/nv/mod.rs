// SPDX-License-Identifier: MIT OR Apache-2.0
//! Non-volatile storage (Part 3, 31).

pub mod change_auth;
pub mod define_space;
pub mod define_space_2;
pub mod extend;
pub mod global_write_lock;
pub mod increment;
pub mod read;
pub mod read_lock;
pub mod read_public;
pub mod read_public_2;
pub mod set_bits;
pub mod undefine_space;
pub mod undefine_space_special;
pub mod write;
pub mod write_lock;

#[cfg(test)]
mod pin_tests;
#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
pub(in crate::command) mod test_index;
