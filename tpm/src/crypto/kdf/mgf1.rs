// SPDX-License-Identifier: MIT OR Apache-2.0
//! MGF1, the mask generation function of PKCS #1 (RFC 8017, B.2.1; Part 1, 11.4.10 and annex B).

use zeroize::Zeroize;

use crate::crypto::hash::HashAlgorithm;

/// Fills `output` with the mask of `seed`.
pub fn mgf1(algorithm: HashAlgorithm, seed: &[u8], output: &mut [u8]) {
    output.fill(0);
    mgf1_xor(algorithm, seed, output);
}

/// Masks `data` in place with the mask of `seed`.
pub fn mgf1_xor(algorithm: HashAlgorithm, seed: &[u8], data: &mut [u8]) {
    for (counter, chunk) in (0u32..).zip(data.chunks_mut(algorithm.digest_size())) {
        let mut block = algorithm.digest(&[seed, &counter.to_be_bytes()]);
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
    fn vectors() {
        for record in records(include_str!("../vectors/mgf1.txt")) {
            let id = u16::from_str_radix(record.text("hash"), 16).unwrap();
            let expected = record.bytes("output");
            let mut output = std::vec![0; expected.len()];
            mgf1(HashAlgorithm::from_id(id).unwrap(), &record.bytes("seed"), &mut output);
            assert_eq!(output, expected);
        }
    }
}
