// SPDX-License-Identifier: MIT OR Apache-2.0
//! A simulated world for the store: disks that lose power, fail and lie, and the harnesses over
//! them.
//!
//! Everything is a deterministic function of a seed. The harnesses panic when the store breaks a
//! promise; unit tests, the `adversary` example and the fuzz targets are thin wrappers over them.

pub mod adversary;
pub mod choice;
pub mod crash;
pub mod disk;
pub mod fuzz;
pub mod golden;
pub mod model;
pub mod nonces;
pub mod random;
pub mod witness;
