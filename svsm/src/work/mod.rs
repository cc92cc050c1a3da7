// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time that the SVSM spends: how long each kind of call holds the vCPU.

pub mod residency;
