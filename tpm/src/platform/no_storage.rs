// SPDX-License-Identifier: MIT OR Apache-2.0
//! A [`Storage`] for machines without a medium: nothing survives, everything succeeds.

use super::{PlatformFault, RecordName, Storage};

/// Accepts every write and keeps none: the TPM is manufactured anew at each power-on.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoStorage;

impl Storage for NoStorage {
    fn read(&mut self, _: RecordName, _: &mut [u8]) -> Result<Option<usize>, PlatformFault> {
        Ok(None)
    }

    fn next(&mut self, _: Option<RecordName>) -> Result<Option<RecordName>, PlatformFault> {
        Ok(None)
    }

    fn put(&mut self, _: RecordName, _: &[u8]) -> Result<(), PlatformFault> {
        Ok(())
    }

    fn delete(&mut self, _: RecordName) -> Result<(), PlatformFault> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), PlatformFault> {
        Ok(())
    }
}
