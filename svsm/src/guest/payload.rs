// SPDX-License-Identifier: MIT OR Apache-2.0
//! The payload on this machine: what it needs of the launch, and how long it took.

use super::kernel_machine::{KernelMachine, World};
use crate::boot::launch::Inputs;
use crate::cpu::registers::read_tsc;
use crate::payload::{self, GuestEntry, Launch};
use crate::platform::clock::Clock;
use crate::protocol::vtpm::Engine;
use crate::snp::termination::Reason;
use snp_abi::config::LaunchConfig;

/// Fetches, checks and measures the payload. The keys in `inputs` are gone afterwards.
pub(super) fn load(
    world: &World,
    config: &LaunchConfig,
    inputs: Inputs,
    engine: &mut (dyn Engine + Send),
    clock: &Clock,
) -> Result<GuestEntry, Reason> {
    let start = read_tsc();
    let cpuid = inputs.cpuid()?;
    let launch = Launch {
        config,
        cpuid,
        secrets: inputs.secrets().page()?,
        c_bit: cpuid.c_bit_position().map_err(|_| Reason::Cpuid)?,
    };
    let entry =
        payload::load(&mut KernelMachine::new(world), &launch, engine).map_err(|error| {
            crate::error!("payload: {error}");
            Reason::Payload
        })?;
    crate::info!(
        "payload: loaded, checked and measured in {} us",
        clock.microseconds(read_tsc().wrapping_sub(start)),
    );
    Ok(entry)
}
