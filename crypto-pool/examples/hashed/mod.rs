// SPDX-License-Identifier: MIT OR Apache-2.0
//! A generator whose own cost and quality are not what examples look at.

use crypto_pool::{NoRandomness, Random};
use sha2::Digest;

/// SHA-256 in counter mode.
pub(crate) struct Hashed(pub(crate) u64);

impl Random for Hashed {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            let block = sha2::Sha256::digest(self.0.to_le_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}
