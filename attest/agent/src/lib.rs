// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest's side of attestation: collects evidence and activates credentials.
//!
//! ```text
//! configfs-tsm  ─► report, certificates, manifest ─┐
//! /dev/tpmrm0   ─► EK, AK, quote, PCRs             ├─► evidence (JSON) ─► relying party
//! ACPI table    ─► event log                       ┘
//! relying party ─► credential ─► /dev/tpmrm0 ─► secret ─► relying party
//! ```
//!
//! The agent is believed in nothing: whatever it does wrong, the relying party refuses. It needs no
//! state but the attestation key's blob, which only its own TPM can use.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod command;
pub mod endorsement;
pub mod evidence;
pub mod kernel;
pub mod keys;

pub use command::{Tpm, TpmError};
pub use endorsement::EkKind;
