// SPDX-License-Identifier: MIT OR Apache-2.0
//! MGF1, the mask generation function of PKCS #1 (RFC 8017, B.2.1; Part 1, 11.4.10 and annex B),
//! and KDF2 (ISO/IEC 18033-2, 6.2.3; IEEE 1363a), which is the same but counts from one.

use zeroize::Zeroize;

use crate::crypto::hash::{HashAlgorithm, Hasher};

/// Fills `output` with the mask of `seed`.
pub fn mgf1(algorithm: HashAlgorithm, seed: &[u8], output: &mut [u8]) {
    output.fill(0);
    mgf1_xor(algorithm, seed, output);
}

/// Masks `data` in place with the mask of `seed`.
pub fn mgf1_xor(algorithm: HashAlgorithm, seed: &[u8], data: &mut [u8]) {
    xor_blocks(algorithm, &[seed], 0, data);
}

/// Masks `data` in place with what KDF2 derives from `secret`, the parts one behind the other.
pub fn kdf2_xor(algorithm: HashAlgorithm, secret: &[&[u8]], data: &mut [u8]) {
    xor_blocks(algorithm, secret, 1, data);
}

/// Block i of the mask = H(seed ‖ i as 32 bits), i counting from `first`.
fn xor_blocks(algorithm: HashAlgorithm, seed: &[&[u8]], first: u32, data: &mut [u8]) {
    for (counter, chunk) in (first..).zip(data.chunks_mut(algorithm.digest_size())) {
        let mut hasher = Hasher::new(algorithm);
        seed.iter().for_each(|part| hasher.update(part));
        hasher.update(&counter.to_be_bytes());
        let mut block = hasher.finish();
        chunk.iter_mut().zip(block.as_bytes()).for_each(|(place, byte)| *place ^= *byte);
        block.zeroize();
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::crypto::vectors::records;

    #[test]
    fn masking_twice_gives_the_data_back() {
        let mut data = [3; 100];
        mgf1_xor(HashAlgorithm::Sha384, b"seed", &mut data);
        assert_ne!(data, [3; 100]);
        mgf1_xor(HashAlgorithm::Sha384, b"seed", &mut data);
        assert_eq!(data, [3; 100]);
    }

    #[test]
    fn kdf2_is_mgf1_without_its_first_block() {
        let (mut mask, mut derived) = ([0; 96], [0; 64]);
        mgf1(HashAlgorithm::Sha256, b"secret", &mut mask);
        kdf2_xor(HashAlgorithm::Sha256, &[b"sec", b"ret"], &mut derived);
        assert_eq!(derived, mask[32..]);
    }

    /// What ANS X9.63 derives without shared information is KDF2.
    #[test]
    fn nist_vectors_of_kdf2() {
        for record in records(include_str!("../vectors/nist_kdf2.txt")) {
            let expected = record.bytes("output");
            let mut output = std::vec![0; expected.len()];
            kdf2_xor(record.hash(), &[&record.bytes("secret")], &mut output);
            assert_eq!(output, expected);
        }
    }

    #[test]
    fn vectors() {
        for record in records(include_str!("../vectors/mgf1.txt")) {
            let expected = record.bytes("output");
            let mut output = std::vec![0; expected.len()];
            mgf1(record.hash(), &record.bytes("seed"), &mut output);
            assert_eq!(output, expected);
        }
    }
}
