// SPDX-License-Identifier: MIT OR Apache-2.0
//! The relying party's side of attestation: whether a quote was made by a vTPM that lives at VMPL0
//! of a genuine SNP guest, launched with exactly the expected image, and how fresh the state is
//! that the vTPM keeps.
//!
//! ```text
//! AMD's root ─► ASK ─► VCEK      chain        which chip, which firmware
//!                       │ signs
//!                     report     report       which image at which level, under which policy
//!                       │ SHA-512(nonce ‖ manifest)
//!                    manifest    manifest     which endorsement key, which state
//!                       │ credential
//!                      EK ─► AK  credential   which attestation key
//!                       │ signs
//!                     quote      quote        which PCRs, for which nonce
//!                       │ digest
//!                   event log    event_log    what was measured
//! ```
//!
//! Nothing in the evidence is believed before something that is believed vouches for it: that is
//! the order of [`verify()`]. docs/attestation.md has the argument step by step.
#![forbid(unsafe_code)]

mod activation;
mod certificate;
pub mod chain;
pub mod credential;
pub mod endorsement;
pub mod event_log;
pub mod evidence;
pub mod fuzz;
pub mod hash;
pub mod last_seen;
pub mod manifest;
pub mod public_area;
pub mod quote;
mod reader;
pub mod reference;
pub mod report;
pub mod signature;
mod state;
pub mod state_key;
pub mod tcb;
#[cfg(test)]
mod tests;
pub mod verdict;
pub mod verify;

pub use evidence::Evidence;
pub use reference::Reference;
pub use verdict::{Reason, Refused, Verdict};
pub use verify::verify;
