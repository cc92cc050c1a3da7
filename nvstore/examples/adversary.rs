// SPDX-License-Identifier: MIT OR Apache-2.0
//! Placeholder until the simulation is in place.
fn main() {}
