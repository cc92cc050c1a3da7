// SPDX-License-Identifier: MIT OR Apache-2.0
//! KDFa (Part 1, 11.4.10.2): the counter-mode KDF of NIST SP 800-108 with HMAC.
//!
//! Block i = HMAC(key, i as 32 bits ‖ label ‖ 0x00 ‖ contextU ‖ contextV ‖ bits as 32 bits).

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{clear_unused_bits, octets};
use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest, HashAlgorithm};
use crate::crypto::hmac::Hmac;
use crate::crypto::{CryptoError, Random};

/// How many bits can be drawn from one [`KdfaGenerator`].
pub const DERIVATION_BITS_MAX: u32 = 8192;

/// Derives `bits` bits into `output`, which is as long as they need. `label` has no terminating
/// zero: KDFa adds it.
///
/// # Errors
/// [`CryptoError::Size`] if `output` is not exactly as long as `bits` needs.
pub fn kdfa(
    algorithm: HashAlgorithm,
    key: &[u8],
    label: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    bits: u32,
    output: &mut [u8],
) -> Result<(), CryptoError> {
    if output.len() != octets(bits) {
        return Err(CryptoError::Size);
    }
    let keyed = Hmac::new(algorithm, key);
    for (counter, chunk) in (1u32..).zip(output.chunks_mut(algorithm.digest_size())) {
        let mut block = block(&keyed, counter, label, &[context_u, context_v], bits);
        chunk.iter_mut().zip(block.as_bytes()).for_each(|(place, byte)| *place = *byte);
        block.zeroize();
    }
    clear_unused_bits(output, bits);
    Ok(())
}

fn block(keyed: &Hmac, counter: u32, label: &[u8], contexts: &[&[u8]], bits: u32) -> Digest {
    let mut hmac = keyed.clone();
    hmac.update(&counter.to_be_bytes());
    hmac.update(label);
    hmac.update(&[0]);
    for context in contexts {
        hmac.update(context);
    }
    hmac.update(&bits.to_be_bytes());
    hmac.finish()
}

/// The bytes of one KDFa of [`DERIVATION_BITS_MAX`] bits, drawn piece by piece: the source of
/// randomness for objects under a derivation parent (Part 1, 28 "Derived objects").
pub struct KdfaGenerator<'a> {
    keyed: Hmac,
    label: &'a [u8],
    context: &'a [u8],
    counter: u32,
    drawn_bytes: usize,
    current: Zeroizing<[u8; DIGEST_SIZE_MAX]>,
    /// How much of `current` is not given out yet.
    left_bytes: usize,
}

impl<'a> KdfaGenerator<'a> {
    /// A generator keyed with the derivation parent's `key`.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm, key: &[u8], label: &'a [u8], context: &'a [u8]) -> Self {
        Self {
            keyed: Hmac::new(algorithm, key),
            label,
            context,
            counter: 0,
            drawn_bytes: 0,
            current: Zeroizing::new([0; DIGEST_SIZE_MAX]),
            left_bytes: 0,
        }
    }

    fn next_byte(&mut self) -> Option<u8> {
        let size = self.keyed.algorithm().digest_size();
        if self.left_bytes == 0 {
            self.counter = self.counter.checked_add(1)?;
            let contexts = [self.context];
            let mut digest =
                block(&self.keyed, self.counter, self.label, &contexts, DERIVATION_BITS_MAX);
            self.current.iter_mut().zip(digest.as_bytes()).for_each(|(place, byte)| *place = *byte);
            digest.zeroize();
            self.left_bytes = size;
        }
        let byte = self.current.get(size.checked_sub(self.left_bytes)?).copied()?;
        self.left_bytes = self.left_bytes.checked_sub(1)?;
        Some(byte)
    }
}

impl ZeroizeOnDrop for KdfaGenerator<'_> {}

impl Random for KdfaGenerator<'_> {
    /// The next bytes; [`CryptoError::NoResult`] when [`DERIVATION_BITS_MAX`] are used up.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        let drawn = self.drawn_bytes.saturating_add(bytes.len());
        if drawn > octets(DERIVATION_BITS_MAX) {
            return Err(CryptoError::NoResult);
        }
        self.drawn_bytes = drawn;
        for byte in bytes {
            *byte = self.next_byte().ok_or(CryptoError::NoResult)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::kdf::testing::check_vectors;

    #[test]
    fn the_output_must_fit_the_bits() {
        let mut output = [0; 32];
        for bits in [0, 248, 257, 264, u32::MAX] {
            let result = kdfa(HashAlgorithm::Sha256, b"k", b"L", b"", b"", bits, &mut output);
            assert_eq!(result, Err(CryptoError::Size));
        }
    }

    #[test]
    fn unused_bits_are_zero() {
        let mut full = [0; 66];
        kdfa(HashAlgorithm::Sha256, b"k", b"L", b"u", b"v", 521, &mut full).unwrap();
        assert_eq!(full[0] & 0xfe, 0);
        assert_ne!(full[1..], [0; 65]);
    }

    #[test]
    fn a_generator_is_one_long_kdfa_and_ends() {
        for algorithm in HashAlgorithm::ALL {
            let mut whole = [0; 1024];
            kdfa(algorithm, b"parent", b"label", b"ctx", b"", 8192, &mut whole).unwrap();
            let mut generator = KdfaGenerator::new(algorithm, b"parent", b"label", b"ctx");
            let mut pieces = std::vec::Vec::new();
            for length in [1, 31, 64, 0, 100, 828] {
                let mut piece = std::vec![0; length];
                generator.fill(&mut piece).unwrap();
                pieces.extend_from_slice(&piece);
            }
            assert_eq!(pieces, whole);
            assert_eq!(generator.fill(&mut [0]), Err(CryptoError::NoResult));
        }
    }

    #[test]
    fn vectors() {
        let names = ["key", "label", "contextU", "contextV"];
        check_vectors(include_str!("../vectors/kdfa.txt"), names, kdfa);
    }
}
