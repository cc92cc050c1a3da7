// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time that the SVSM spends: how long each kind of call holds the vCPU, and how much background
//! work fits the end of one.

pub mod pace;
pub mod residency;
