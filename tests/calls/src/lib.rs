// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest that makes malformed SVSM calls: the table of `svsm/src/protocol/cases.rs`, run at the
//! guest's VMPL against the real SVSM.
//!
//! It poses as a Linux kernel, so it arrives there as Linux does, by the direct boot, and finds the
//! SVSM as Linux does. It ends with a termination request whose reason code tells the outcome (see
//! [`verdict`]).

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

#[path = "../../../svsm/src/protocol/cases.rs"]
pub mod cases;
pub mod console;
#[allow(unsafe_code, reason = "raw memory, MSRs and VMGEXIT are what a guest is made of")]
pub mod guest;
pub mod run;
pub mod verdict;
pub mod writer;
