// SPDX-License-Identifier: MIT OR Apache-2.0
//! Trials of the TPM engine with commands that a generator makes up: by the seed, compared with
//! libtpms in a process of its own ([`differential`]); by a fuzzer's octets, against what is always
//! true ([`fuzz`]).
//!
//! | module | what |
//! |---|---|
//! | [`choices`] | where choices come from |
//! | [`generator`] | steps that make sense, mostly |
//! | [`step`] | a step in words that hold for every TPM |
//! | [`side`] | a TPM and its caller's memory: makes octets of a step |
//! | [`salt`] | a session's salt, as only its TPM can read it |
//! | [`machine`] | the engine in a machine that is the same each time |
//! | [`swtpm`] | libtpms |
//! | [`layout`] | what two TPMs must agree on |
//! | [`accepted`] | divergences that have a reason |
//! | [`minimise`] | fewer steps that still show a divergence |
#![forbid(unsafe_code)]

pub mod accepted;
pub mod choices;
pub mod differential;
pub mod fuzz;
pub mod generator;
pub mod layout;
pub mod machine;
pub mod minimise;
pub mod octets;
pub mod salt;
pub mod session;
pub mod side;
pub mod step;
pub mod swtpm;
pub mod transport;
