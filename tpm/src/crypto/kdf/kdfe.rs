// SPDX-License-Identifier: MIT OR Apache-2.0
//! KDFe (Part 1, 11.4.10.3): the one-step KDF of NIST SP 800-56A for secrets from ECDH.
//!
//! Block i = H(i as 32 bits ‖ Z ‖ use ‖ 0x00 ‖ PartyUInfo ‖ PartyVInfo).

use zeroize::Zeroize;

use super::{clear_unused_bits, octets};
use crate::crypto::CryptoError;
use crate::crypto::hash::HashAlgorithm;

/// Derives `bits` bits from the shared x-coordinate `z` into `output`. `party_u` and `party_v` are
/// the x-coordinates of the two public keys. `usage` has no terminating zero: KDFe adds it.
///
/// # Errors
/// [`CryptoError::Size`] if `output` is not exactly as long as `bits` needs.
pub fn kdfe(
    algorithm: HashAlgorithm,
    z: &[u8],
    usage: &[u8],
    party_u: &[u8],
    party_v: &[u8],
    bits: u32,
    output: &mut [u8],
) -> Result<(), CryptoError> {
    if output.len() != octets(bits) {
        return Err(CryptoError::Size);
    }
    for (counter, chunk) in (1u32..).zip(output.chunks_mut(algorithm.digest_size())) {
        let mut block =
            algorithm.digest(&[&counter.to_be_bytes(), z, usage, &[0], party_u, party_v]);
        chunk.iter_mut().zip(block.as_bytes()).for_each(|(place, byte)| *place = *byte);
        block.zeroize();
    }
    clear_unused_bits(output, bits);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::kdf::testing::check_vectors;

    #[test]
    fn the_output_must_fit_the_bits() {
        let mut output = [0; 16];
        for bits in [0, 120, 129] {
            let result = kdfe(HashAlgorithm::Sha256, b"z", b"ID", b"", b"", bits, &mut output);
            assert_eq!(result, Err(CryptoError::Size));
        }
    }

    #[test]
    fn vectors() {
        let names = ["z", "use", "partyU", "partyV"];
        check_vectors(include_str!("../vectors/kdfe.txt"), names, kdfe);
    }
}
