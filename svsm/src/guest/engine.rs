// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TPM engine on this machine. It is not connected yet: there is no guest without a vTPM.

use crate::platform::clock::Clock;
use crate::protocol::vtpm::Engine;
use crate::snp::termination::Reason;
use alloc::boxed::Box;

/// Makes the engine.
///
/// # Errors
/// There is none yet.
pub(super) fn create(_clock: &Clock) -> Result<Box<dyn Engine + Send>, Reason> {
    crate::error!("the TPM engine is not connected yet");
    Err(Reason::Vtpm)
}
