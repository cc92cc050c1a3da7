// SPDX-License-Identifier: MIT OR Apache-2.0
//! cpHash, rpHash and their kin (Part 1, 18.7 and 18.8).

use super::Work;
use crate::crypto::hash::{Digest, HashAlgorithm, Hasher};
use crate::structure::command_code::CommandCode;
use crate::wire::Result;

impl Work<'_> {
    /// cpHash: the command code, the Names of the handles, and the parameters as they came.
    pub(super) fn cp_hash(&self, algorithm: HashAlgorithm, parameters: &[u8]) -> Result<Digest> {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(&self.command.code.0.to_be_bytes());
        self.names(&mut hasher)?;
        hasher.update(parameters);
        Ok(hasher.finish())
    }

    /// nameHash: the Names of the handles.
    pub(super) fn name_hash(&self, algorithm: HashAlgorithm) -> Result<Digest> {
        let mut hasher = Hasher::new(algorithm);
        self.names(&mut hasher)?;
        Ok(hasher.finish())
    }

    /// pHash of TPM2_PolicyParameters: the command code and the parameters.
    pub(super) fn parameter_hash(&self, algorithm: HashAlgorithm, parameters: &[u8]) -> Digest {
        algorithm.digest(&[&self.command.code.0.to_be_bytes(), parameters])
    }

    fn names(&self, hasher: &mut Hasher) -> Result<()> {
        for (handle, _) in self.handles.iter().zip(self.command.handles) {
            hasher.update(&self.state.name(*handle)?);
        }
        Ok(())
    }
}

/// rpHash: success, the command code, and the response parameters as they leave.
pub(super) fn rp_hash(algorithm: HashAlgorithm, code: CommandCode, parameters: &[u8]) -> Digest {
    algorithm.digest(&[&[0; 4], &code.0.to_be_bytes(), parameters])
}
