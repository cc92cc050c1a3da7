// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the TPM's state is kept: on the host's disk, or nowhere.

use super::kernel_machine::World;
use crate::platform::entropy::Entropy;
use crate::vtpm::records::StateStorage;
use alloc::boxed::Box;
use snp_abi::config::LaunchConfig;
use snp_abi::manifest::VtpmOptions;
use tpm::platform::NoStorage;

/// What TPM2_GetTestResult tells of a disk that the driver doesn't take.
#[cfg(feature = "block-device")]
const REASON_NO_DISK: u16 = 36;

/// Where the state is kept, and who gets its key.
pub(super) type OpenedState = (Box<dyn StateStorage + Send>, VtpmOptions);

/// Opens the TPM's storage, and says on the console what it is.
#[cfg(feature = "block-device")]
pub(super) fn open(world: &World, config: &LaunchConfig, entropy: &mut Entropy) -> OpenedState {
    use crate::vtpm::random::Randomness;
    use crate::vtpm::records::{RefusedStorage, StoredRecords};
    use crate::vtpm::store::{self, KeyChoice, Refusal};
    use nvstore::BlockDevice;
    use snp_abi::config::LaunchFlags;

    let disk = match super::disk::find(world) {
        Ok(Some(disk)) => disk,
        Ok(None) => {
            crate::warning!("state: no disk: this TPM is ephemeral");
            return (Box::new(NoStorage), VtpmOptions::empty());
        }
        Err(error) => {
            crate::error!("state: the disk can't be used ({error:?}): the TPM is in failure mode");
            return (Box::new(RefusedStorage(REASON_NO_DISK)), VtpmOptions::empty());
        }
    };
    crate::info!("state: a disk of {} KiB", disk.block_count() * (disk.block_bytes() as u64 >> 10));
    let choice = KeyChoice {
        binds_measurement: config.flags.contains(LaunchFlags::BIND_MEASUREMENT),
        owner: super::state_key::owner(world, config),
    };
    let mut random = Randomness::new(|bytes: &mut [u8]| entropy.fill(bytes).is_ok());
    match store::open(disk, &mut super::sealing::Firmware, &choice, &mut random) {
        Ok((store, seal, opening)) => {
            let root = store.root();
            crate::info!("state: {opening}, epoch {}, sequence {}", root.epoch, root.sequence);
            crate::info!("state: sealed for {seal}");
            (Box::new(StoredRecords::new(store)), seal.binding.option())
        }
        Err(refusal) => {
            crate::error!("state: refused: {refusal}");
            crate::error!("state: the disk is as it was, the TPM is in failure mode");
            if let (Refusal::StateKey(_), Some(owner)) = (refusal, &choice.owner) {
                super::state_key::ask(owner, config);
            }
            (Box::new(RefusedStorage(refusal.reason())), VtpmOptions::empty())
        }
    }
}

/// Without the drivers there is no disk.
#[cfg(not(feature = "block-device"))]
pub(super) fn open(_: &World, _: &LaunchConfig, _: &mut Entropy) -> OpenedState {
    crate::warning!("state: built without drivers for disks: this TPM is ephemeral");
    (Box::new(NoStorage), VtpmOptions::empty())
}
