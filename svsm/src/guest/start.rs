// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a running kernel to a running guest.

use crate::boot::launch::Secrets;
use crate::snp::termination::Reason;
use core::convert::Infallible;

/// Starts the guest and serves it.
///
/// # Errors
/// Why there is no guest.
pub fn start(memory_map: &[u8], vcpus: u32, secrets: Secrets) -> Result<Infallible, Reason> {
    crate::info!("{} vCPUs, map {} bytes", vcpus, memory_map.len());
    drop(secrets);
    Err(Reason::GuestLaunch)
}
