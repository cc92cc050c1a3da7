// SPDX-License-Identifier: MIT OR Apache-2.0
//! Freshness: the root that stands for a store's whole history, and the anchor that remembers it.
//!
//! A disk under a host's control can be replaced by any earlier copy of itself. No cryptography on
//! the disk alone can tell, so the store makes a rollback *evident* instead: the [`FreshnessRoot`]
//! goes into attestation, or is compared with an [`Anchor`] outside the host's reach.
//! `docs/nvstore.md` states what is promised in each mode.

/// The state of a store's history in 48 bytes.
///
/// Two stores with equal roots went through the same commits and openings in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FreshnessRoot {
    /// How often the store was opened, 0 when it has just been formatted.
    pub epoch: u64,
    /// How many commits and openings there were.
    pub sequence: u64,
    /// SHA-256 chain over all of them.
    pub digest: [u8; 32],
}

impl FreshnessRoot {
    /// Bytes of the encoding.
    pub const BYTES: usize = 48;

    /// Epoch and sequence, little-endian, then the digest: for attestation and for anchors.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (numbers, digest) = bytes.split_at_mut(16);
        let (epoch, sequence) = numbers.split_at_mut(8);
        epoch.copy_from_slice(&self.epoch.to_le_bytes());
        sequence.copy_from_slice(&self.sequence.to_le_bytes());
        digest.copy_from_slice(&self.digest);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let mut reader = crate::wire::Reader::new(bytes);
        // An array of this length holds all three: the defaults are never taken.
        Self {
            epoch: reader.u64().unwrap_or_default(),
            sequence: reader.u64().unwrap_or_default(),
            digest: reader.array().unwrap_or_default(),
        }
    }
}

/// A small memory that the host can't wind back: a monotonic counter, or a witness over the
/// network.
///
/// The store advances it after a commit is durable and before the commit is acknowledged, so that
/// the disk is at most one step ahead of the anchor, and never behind.
pub trait Anchor {
    /// What the anchor remembers.
    ///
    /// # Errors
    /// When the anchor can't be reached or its answer is not authentic.
    fn read(&mut self) -> Result<Anchored, AnchorError>;

    /// Remembers `root`; durable, and never undone, when this returns.
    ///
    /// # Errors
    /// When the anchor can't be reached or refuses. It may have advanced all the same.
    fn advance(&mut self, root: &FreshnessRoot) -> Result<(), AnchorError>;
}

impl<A: Anchor + ?Sized> Anchor for &mut A {
    fn read(&mut self) -> Result<Anchored, AnchorError> {
        (**self).read()
    }
    fn advance(&mut self, root: &FreshnessRoot) -> Result<(), AnchorError> {
        (**self).advance(root)
    }
}

/// An anchor's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchored {
    /// There is no anchor: freshness is not checked.
    Nowhere,
    /// The anchor has never seen this store.
    Unset,
    /// The last root that was anchored.
    At(FreshnessRoot),
}

/// Why an anchor did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorError {
    /// It can't be reached.
    Unreachable,
    /// It answered with what can't be authentic.
    Invalid,
    /// It refuses to advance to this root.
    Refused,
}

/// The choice of having no anchor: rollback shows only to those who compare attested roots.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unanchored;

impl Anchor for Unanchored {
    fn read(&mut self) -> Result<Anchored, AnchorError> {
        Ok(Anchored::Nowhere)
    }
    fn advance(&mut self, _: &FreshnessRoot) -> Result<(), AnchorError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FreshnessRoot;

    #[test]
    fn a_root_survives_its_encoding() {
        let root = FreshnessRoot { epoch: 3, sequence: 0x0102_0304_0506_0708, digest: [0xa5; 32] };
        let bytes = root.to_bytes();
        assert_eq!(bytes[..16], [3, 0, 0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(FreshnessRoot::from_bytes(&bytes), root);
    }
}
