// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where random bytes come from.

/// A random bit generator.
pub trait Random {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`NoRandomness`] when the generator has no entropy; `bytes` is then not to be used.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The generator has no entropy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;
