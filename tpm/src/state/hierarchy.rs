// SPDX-License-Identifier: MIT OR Apache-2.0
//! The hierarchies (Part 1, 13 and 23): seeds, proofs, authorisation values and policies.

use zeroize::Zeroize;

use crate::crypto::drbg::DerivationVersion;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::structure::buffer::Buffer;
use crate::structure::digest::Auth;

/// Octets of a primary seed and of a proof: as long as the longest digest.
pub const SEED_SIZE: usize = 64;

/// A primary seed or a proof.
pub type Seed = Buffer<SEED_SIZE>;

/// A policy of an entity that has no public area: an algorithm and a digest, or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntityPolicy {
    /// The algorithm; `None` when there is no policy.
    pub algorithm: Option<HashAlgorithm>,
    /// The digest, empty when there is no policy.
    pub digest: Digest,
}

/// The part of a hierarchy that outlives power.
#[derive(Clone, Debug)]
pub struct Hierarchy {
    /// Primary objects are derived from it.
    pub seed: Seed,
    /// How they are derived.
    pub derivation: DerivationVersion,
    /// Tickets and contexts are made with it.
    pub proof: Seed,
    /// The authorisation value (of the platform: not used, it is volatile).
    pub auth: Auth,
    /// The policy (of the platform: not used, it is volatile).
    pub policy: EntityPolicy,
}

impl Hierarchy {
    /// A hierarchy before manufacture.
    pub const EMPTY: Self = Self {
        seed: Seed::EMPTY,
        derivation: DerivationVersion::One,
        proof: Seed::EMPTY,
        auth: Auth::EMPTY,
        policy: EntityPolicy { algorithm: None, digest: Digest::EMPTY },
    };
}

impl Zeroize for Hierarchy {
    fn zeroize(&mut self) {
        self.seed.zeroize();
        self.proof.zeroize();
        self.auth.zeroize();
    }
}
