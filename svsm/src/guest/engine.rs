// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TPM engine on this machine: its entropy comes from the processor, its clock from the time
//! stamp counter.

use super::kernel_machine::World;
use super::start::uptime_ms;
use super::state;
use crate::boot::launch;
use crate::cpu::registers::{read_random, read_seed};
use crate::platform::entropy::{Entropy, Quality};
use crate::protocol::vtpm::Engine;
use crate::snp::termination::Reason;
use crate::vtpm::{KeyStock, VirtualTpm};
use alloc::boxed::Box;
use snp_abi::config::LaunchConfig;
use snp_abi::manifest::VtpmOptions;

/// Powers the TPM on; with it comes what is to be worked on in the background.
///
/// # Errors
/// `Entropy` when the processor offers no generator or it is broken; `Vtpm` when there is a TPM
/// already.
pub(super) fn create(
    world: &World,
    config: &LaunchConfig,
) -> Result<(Box<dyn Engine + Send>, Option<&'static KeyStock>), Reason> {
    let cpuid = launch::cpuid_table().ok_or(Reason::Internal)?;
    let entropy = if cpuid.has_rdseed() {
        Entropy::start(read_seed, Quality::Full)
    } else if cpuid.has_rdrand() {
        crate::info!("entropy: no RDSEED, seeds are made from many values of RDRAND");
        Entropy::start(read_random, Quality::Generated)
    } else {
        crate::error!("entropy: neither RDSEED nor RDRAND");
        return Err(Reason::Entropy);
    };
    let mut entropy = entropy.map_err(|_| Reason::Entropy)?;
    let (storage, mut options) = state::open(world, config, &mut entropy);
    let mut tpm = VirtualTpm::power_on(entropy, uptime_ms, storage).ok_or(Reason::Vtpm)?;
    options.set(VtpmOptions::SERVICE_VCPU, world.service_vcpu.is_some());
    tpm.set_options(options);
    let stock = tpm.stock();
    Ok((Box::new(tpm), stock))
}
