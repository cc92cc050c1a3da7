// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM 2.0 command engine (Trusted Platform Module Library, revision 184, Parts 1 to 3) that
//! needs no operating system and no allocator in the path of a command.
//!
//! [`Tpm::execute`] is a deterministic function of the state, the command, and what the
//! [`platform`] gives: entropy, clock, storage, RSA primes.
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | bounded reading and writing of the canonical form |
//! | [`structure`] | the structures of Part 2 |
//! | [`command`] | the table of commands and what each does |
//! | [`pipeline`] | what all commands have in common |
//! | [`protect`] | keys of objects as the algorithms want them, and how secrets travel |
//! | [`provision`] | what the platform itself asks of its TPM: endorsement keys, certificates |
//! | [`session`] | authorisation sessions |
//! | [`state`] | everything the TPM remembers |
//! | [`invariant`] | what is always true of the state |
//! | [`x509`] | what TPM2_CertifyX509 reads and writes of certificates |
//! | [`crypto`] | algorithms |
//! | [`platform`] | what the engine needs from its machine |
#![no_std]
#![forbid(unsafe_code)]
// Whatever a guest can send passes through this crate, so the parsers' lints hold in all of it.
#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

#[cfg(test)]
extern crate std;

pub mod command;
pub mod crypto;
pub mod invariant;
pub mod pipeline;
pub mod platform;
pub mod protect;
pub mod provision;
pub mod session;
pub mod state;
pub mod structure;
pub mod wire;
pub mod x509;

#[cfg(test)]
pub(crate) mod testing;

pub use pipeline::Tpm;

/// The revision of the library that the engine follows, times 100: TPM_PT_REVISION.
pub const SPECIFICATION_REVISION: u32 = 184;
