// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key of the guest's owner: what the host passes on of it, and how the SVSM asks for it.

use super::firmware::Hex;
use super::kernel_machine::World;
use super::sealing::Firmware;
use crate::vtpm::master_key::{KeySource, Seal};
use crate::vtpm::state_key::{Owner, Recipient, StateKeyFault};
use snp_abi::config::{LaunchConfig, LaunchFlags};
use snp_abi::state_key::{REQUEST_LINE, REQUEST_LINE_BYTES, STATE_KEY_FILE, StateKeyPackage};
use zerocopy::IntoBytes;

/// The owner, if the image has one, with the host's file.
pub(super) fn owner(world: &World, config: &LaunchConfig) -> Option<Owner> {
    let public_key = config.state_owner?;
    Some(Owner { public_key, package: package(world) })
}

/// The host's file, if it could be a package.
fn package(world: &World) -> Option<StateKeyPackage> {
    let mut files = world.files.lock();
    let files = files.as_mut()?;
    let mut bytes = [0; size_of::<StateKeyPackage>()];
    if usize::try_from(files.size(STATE_KEY_FILE).ok()?) != Ok(bytes.len()) {
        return None;
    }
    files.read(STATE_KEY_FILE, 0, &mut bytes).ok()?;
    StateKeyPackage::parse(&bytes)
}

/// Asks the owner, on the console: nothing in it is secret, and the owner checks all of it.
pub(super) fn ask(owner: &Owner, config: &LaunchConfig) {
    if let Err(fault) = try_ask(owner, config) {
        crate::error!("state: {fault}");
    }
}

fn try_ask(owner: &Owner, config: &LaunchConfig) -> Result<(), StateKeyFault> {
    let identity = Firmware.identity().map_err(StateKeyFault::Firmware)?;
    let binds_measurement = config.flags.contains(LaunchFlags::BIND_MEASUREMENT);
    let seal = Seal::of(&identity, binds_measurement);
    let recipient = Recipient::derive(seal, &owner.public_key, &mut Firmware)?;
    let request = recipient.request(&mut Firmware)?;
    for part in request.as_bytes().chunks(REQUEST_LINE_BYTES) {
        crate::info!("{REQUEST_LINE}{}", Hex(part));
    }
    Ok(())
}
