// SPDX-License-Identifier: MIT OR Apache-2.0
//! SEV-SNP: its instructions, the two GHCB protocols, page states, messages to the firmware.

#[cfg(feature = "bare-metal")]
pub mod firmware_mailbox;
#[cfg(feature = "bare-metal")]
pub mod ghcb;
pub mod guest_request;
#[cfg(feature = "bare-metal")]
pub mod instruction;
#[cfg(feature = "bare-metal")]
pub mod msr_protocol;
#[cfg(feature = "bare-metal")]
pub mod page_state;
pub mod termination;
#[cfg(feature = "bare-metal")]
pub mod vmsa;
