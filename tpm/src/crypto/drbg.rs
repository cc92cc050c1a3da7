// SPDX-License-Identifier: MIT OR Apache-2.0
//! The random bit generator: CTR_DRBG with AES-256 (NIST SP 800-90A Rev. 1, 10.2.1), 256 bits of
//! security strength.
//!
//! * The engine's own generator is instantiated and reseeded through the derivation function, so
//!   that any number of entropy bytes of any quality is used well.
//! * An object that is derived from a primary seed has a generator of its own
//!   ([`CtrDrbg::for_primary`]), whose seed is a KDFa output and needs no derivation function.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::hash::{Digest, HashAlgorithm};
use super::kdf::kdfa;
use super::symmetric::{BLOCK_SIZE, Block, BlockCipher, Permutation};
use super::{CryptoError, Random};

/// Size of the seed: a key and a block (table 3, `seedlen`).
pub const SEED_SIZE: usize = KEY_SIZE + BLOCK_SIZE;
/// Least entropy at instantiation and reseeding, in bytes; 384 bits, as much as the seed holds.
pub const ENTROPY_SIZE_MIN: usize = SEED_SIZE;
/// Requests after which the engine asks its platform for entropy. The standard allows 2^48; this
/// bounds what a compromised state tells about the future.
pub const RESEED_INTERVAL: u64 = 1 << 16;

const KEY_SIZE: usize = 32;
/// Requests after which no bit is given out (table 3, `reseed_interval`).
const REQUESTS_MAX: u64 = 1 << 48;
/// Longest request, in bytes (table 3, `max_number_of_bits_per_request` is 2^19 bits).
const REQUEST_SIZE_MAX: usize = 1 << 16;

/// Label of the derivation of primary objects. Its number is the version of the whole rule: how
/// seed, template and data enter (here) and how keys are drawn (`ecc::generate`, `rsa::prime`). A
/// different rule needs a different label, since an endorsement key must never change.
const PRIMARY_LABEL_1: &[u8] = b"MACADAMIA PRIMARY 1";

/// How primary objects are derived; stored with each hierarchy's seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DerivationVersion {
    /// [`CtrDrbg`] without derivation function, seeded by KDFa with SHA-512.
    One = 1,
}

/// A CTR_DRBG with AES-256. A copy gives the same: only for a derivation that is to be done again.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct CtrDrbg {
    key: [u8; KEY_SIZE],
    v: Block,
    reseed_counter: u64,
}

impl CtrDrbg {
    /// Instantiates with the derivation function (10.2.1.3.2). `parts` are entropy, nonce and
    /// personalization, one after the other.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if they are shorter than [`ENTROPY_SIZE_MIN`] in all.
    pub fn new(parts: &[&[u8]]) -> Result<Self, CryptoError> {
        check_entropy(parts)?;
        Ok(Self::from_seed(&derive_seed(parts)))
    }

    /// Instantiates without the derivation function (10.2.1.3.1) from a seed of full entropy.
    #[must_use]
    pub fn from_seed(seed: &[u8; SEED_SIZE]) -> Self {
        let mut drbg = Self { key: [0; KEY_SIZE], v: [0; BLOCK_SIZE], reseed_counter: 1 };
        drbg.update(seed);
        drbg
    }

    /// The generator from which the primary object of a template is derived (Part 1, 27.3
    /// "Primary objects"): the same seed, `template_name` and `data` always give the same object.
    ///
    /// * `primary_seed`: the hierarchy's seed.
    /// * `template_name`: the Name of the template (its nameAlg, then the digest of the public
    ///   area as the caller gave it).
    /// * `data`: `inSensitive.data`, which may be empty.
    #[must_use]
    pub fn for_primary(
        version: DerivationVersion,
        primary_seed: &[u8],
        template_name: &[u8],
        data: &[u8],
    ) -> Self {
        let DerivationVersion::One = version;
        let mut seed = Zeroizing::new([0; SEED_SIZE]);
        let bits = 384;
        let algorithm = HashAlgorithm::Sha512;
        let done =
            kdfa(algorithm, primary_seed, PRIMARY_LABEL_1, template_name, data, bits, &mut *seed);
        debug_assert!(done.is_ok(), "the seed is as long as its bits");
        Self::from_seed(&seed)
    }

    /// Mixes in new entropy (10.2.1.4.2). `parts` are entropy and additional input.
    ///
    /// # Errors
    /// [`CryptoError::Random`] if they are shorter than [`ENTROPY_SIZE_MIN`] in all.
    pub fn reseed(&mut self, parts: &[&[u8]]) -> Result<(), CryptoError> {
        check_entropy(parts)?;
        self.update(&derive_seed(parts));
        self.reseed_counter = 1;
        Ok(())
    }

    /// Mixes in `data` that may have no entropy at all and comes from anyone
    /// (`TPM2_StirRandom`): nothing is lost, and no reseeding is saved by it.
    pub fn stir(&mut self, data: &[u8]) {
        self.update(&derive_seed(&[data]));
    }

    /// Whether it is time to [`reseed`](Self::reseed).
    #[must_use]
    pub fn wants_reseed(&self) -> bool {
        self.reseed_counter > RESEED_INTERVAL
    }

    /// A name for everything that this generator will give, to find out whether it was made
    /// before (a cache of derived keys); it says nothing about the state.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        HashAlgorithm::Sha256.digest(&[b"CTR_DRBG FINGERPRINT", &self.key, &self.v])
    }

    /// CTR_DRBG_Update (10.2.1.2).
    fn update(&mut self, provided: &[u8; SEED_SIZE]) {
        let mut next = Zeroizing::new(*provided);
        self.cipher().encrypting(&mut |encrypt| {
            for chunk in next.chunks_mut(BLOCK_SIZE) {
                let mut stream = self.next_block(encrypt);
                chunk.iter_mut().zip(stream).for_each(|(place, byte)| *place ^= byte);
                stream.as_mut_slice().zeroize();
            }
        });
        let (key, v) = next.split_at(KEY_SIZE);
        self.key.copy_from_slice(key);
        self.v.copy_from_slice(v);
    }

    fn next_block(&mut self, encrypt: Permutation<'_>) -> Block {
        self.v = u128::from_be_bytes(self.v).wrapping_add(1).to_be_bytes();
        let mut block = self.v;
        encrypt(&mut block);
        block
    }

    fn cipher(&self) -> BlockCipher {
        BlockCipher::aes_256(&self.key)
    }

    /// One request (10.2.1.5.1) without additional input.
    fn generate(&mut self, output: &mut [u8]) -> Result<(), CryptoError> {
        if self.reseed_counter > REQUESTS_MAX {
            return Err(CryptoError::Random);
        }
        self.cipher().encrypting(&mut |encrypt| {
            for chunk in output.chunks_mut(BLOCK_SIZE) {
                let mut block = self.next_block(encrypt);
                chunk.iter_mut().zip(block).for_each(|(place, byte)| *place = byte);
                block.as_mut_slice().zeroize();
            }
        });
        self.update(&[0; SEED_SIZE]);
        self.reseed_counter = self.reseed_counter.saturating_add(1);
        Ok(())
    }
}

impl Random for CtrDrbg {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        bytes.chunks_mut(REQUEST_SIZE_MAX).try_for_each(|request| self.generate(request))
    }
}

impl core::fmt::Debug for CtrDrbg {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("CtrDrbg")
    }
}

fn check_entropy(parts: &[&[u8]]) -> Result<(), CryptoError> {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    if size < ENTROPY_SIZE_MIN { Err(CryptoError::Random) } else { Ok(()) }
}

/// Block_Cipher_df (10.3.2) of `parts`, with as many bytes as a seed has.
fn derive_seed(parts: &[&[u8]]) -> Zeroizing<[u8; SEED_SIZE]> {
    let counting = core::array::from_fn(|i| u8::try_from(i).unwrap_or(0));
    let cipher = BlockCipher::aes_256(&counting);
    let mut temporary = Zeroizing::new([0; SEED_SIZE]);
    cipher.encrypting(&mut |encrypt| {
        for (counter, chunk) in (0u32..).zip(temporary.chunks_mut(BLOCK_SIZE)) {
            let mut block = chain(encrypt, counter, parts);
            chunk.copy_from_slice(&block);
            block.as_mut_slice().zeroize();
        }
    });
    let mut key = Zeroizing::new([0; KEY_SIZE]);
    let mut block = [0; BLOCK_SIZE];
    let (first, last) = temporary.split_at(KEY_SIZE);
    key.copy_from_slice(first);
    block.copy_from_slice(last);
    BlockCipher::aes_256(&key).encrypting(&mut |encrypt| {
        for chunk in temporary.chunks_mut(BLOCK_SIZE) {
            encrypt(&mut block);
            chunk.copy_from_slice(&block);
        }
    });
    block.zeroize();
    temporary
}

/// BCC (10.3.3) of the block `counter` and the string S = length ‖ output length ‖ input ‖ 0x80,
/// padded with zeros.
fn chain(encrypt: Permutation<'_>, counter: u32, parts: &[&[u8]]) -> Block {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    // Inputs are commands or entropy blocks: far below 4 GiB.
    let size = u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes();
    let output_size = 48u32.to_be_bytes();
    let start = [0; BLOCK_SIZE - 4];
    let prefix = [&counter.to_be_bytes()[..], &start, &size, &output_size];
    let mut block = [0; BLOCK_SIZE];
    let mut filled = 0usize;
    for part in prefix.iter().chain(parts).chain(&[&[0x80][..]]) {
        for byte in *part {
            if filled == BLOCK_SIZE {
                encrypt(&mut block);
                filled = 0;
            }
            if let Some(place) = block.get_mut(filled) {
                *place ^= byte;
            }
            filled = filled.saturating_add(1);
        }
    }
    encrypt(&mut block);
    block
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::vectors::records;

    #[test]
    fn too_little_entropy_is_refused() {
        assert_eq!(CtrDrbg::new(&[]).err(), Some(CryptoError::Random));
        assert_eq!(CtrDrbg::new(&[&[1; 32], &[2; 15]]).err(), Some(CryptoError::Random));
        let mut drbg = CtrDrbg::new(&[&[1; 32], &[2; 16]]).unwrap();
        assert_eq!(drbg.reseed(&[&[1; 47]]), Err(CryptoError::Random));
    }

    #[test]
    fn a_generator_that_is_never_reseeded_stops() {
        let mut drbg = CtrDrbg::from_seed(&[1; SEED_SIZE]);
        drbg.reseed_counter = REQUESTS_MAX;
        let mut output = [0; 8];
        drbg.fill(&mut output).unwrap();
        assert!(drbg.wants_reseed());
        assert_eq!(drbg.fill(&mut output), Err(CryptoError::Random));
        drbg.stir(&[5; 100]);
        assert_eq!(drbg.fill(&mut output), Err(CryptoError::Random));
        drbg.reseed(&[&[5; 48]]).unwrap();
        assert!(!drbg.wants_reseed());
        drbg.fill(&mut output).unwrap();
    }

    #[test]
    fn stirring_changes_what_follows() {
        let mut one = CtrDrbg::from_seed(&[1; SEED_SIZE]);
        let mut other = CtrDrbg::from_seed(&[1; SEED_SIZE]);
        other.stir(&[]);
        let (mut a, mut b) = ([0; 32], [0; 32]);
        one.fill(&mut a).unwrap();
        other.fill(&mut b).unwrap();
        assert_ne!(a, b);
    }

    #[test]
    fn a_fingerprint_names_what_is_to_come() {
        let mut one = CtrDrbg::from_seed(&[1; SEED_SIZE]);
        let other = CtrDrbg::from_seed(&[1; SEED_SIZE]);
        assert_eq!(one.fingerprint(), other.fingerprint());
        one.fill(&mut [0]).unwrap();
        assert_ne!(one.fingerprint(), other.fingerprint());
    }

    #[test]
    fn every_input_of_a_derivation_counts() {
        let derive = |seed: &[u8], name: &[u8], data: &[u8]| {
            let mut output = [0; 32];
            let version = DerivationVersion::One;
            CtrDrbg::for_primary(version, seed, name, data).fill(&mut output).unwrap();
            output
        };
        let first = derive(&[1; 64], b"name", b"data");
        assert_eq!(first, derive(&[1; 64], b"name", b"data"));
        assert_ne!(first, derive(&[2; 64], b"name", b"data"));
        assert_ne!(first, derive(&[1; 64], b"nome", b"data"));
        assert_ne!(first, derive(&[1; 64], b"name", b""));
    }

    /// The derivation is part of what a TPM promises: this value must never change.
    #[test]
    fn derivation_version_one_is_frozen() {
        let mut output = [0; 16];
        CtrDrbg::for_primary(DerivationVersion::One, &[7; 64], b"template", b"unique")
            .fill(&mut output)
            .unwrap();
        let expected = crate::crypto::vectors::unhex(FROZEN);
        assert_eq!(output[..], expected);
    }

    const FROZEN: &str = "a1468a98a739946b77656e8cc5926138";

    /// NIST CAVP: instantiate, perhaps reseed, generate twice, compare the second output.
    #[test]
    fn vectors() {
        for record in records(include_str!("vectors/ctr_drbg.txt")) {
            let entropy = record.bytes("entropy");
            let mut drbg = if record.text("df") == "no" {
                CtrDrbg::from_seed(&entropy.try_into().unwrap())
            } else {
                let (nonce, personal) = (record.bytes("nonce"), record.bytes("personalization"));
                CtrDrbg::new(&[&entropy, &nonce, &personal]).unwrap()
            };
            let mut output = [0; 64];
            let reseed = record.bytes("reseed");
            match (reseed.is_empty(), record.text("df")) {
                (true, _) => {}
                (false, "no") => drbg.update(&reseed.try_into().unwrap()),
                // CAVP gives less than reseed() asks for.
                (false, _) => drbg.update(&derive_seed(&[&reseed])),
            }
            drbg.fill(&mut output).unwrap();
            drbg.fill(&mut output).unwrap();
            assert_eq!(output[..], record.bytes("output"));
        }
    }
}
