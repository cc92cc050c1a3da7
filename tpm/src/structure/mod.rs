// SPDX-License-Identifier: MIT OR Apache-2.0
//! The structures of Part 2, read and written with the checks that it demands.
//!
//! Everything has a fixed largest size and lives inline. A type that Part 2 lets be
//! TPM_ALG_NULL in some places ("+") is an `Option` there, and its own type where it must not be.

pub mod algorithm;
pub mod attest;
pub mod attributes;
pub mod buffer;
pub mod capability;
pub mod clock;
pub mod command_code;
pub mod context;
pub mod creation;
pub mod digest;
pub mod ecc;
pub mod handle;
pub mod nv;
pub mod pcr_selection;
pub mod public;
pub mod response_code;
pub mod scheme;
pub mod sensitive;
pub mod signature;
pub mod symmetric;
pub mod tag;
pub mod ticket;
