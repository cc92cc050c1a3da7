// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key derivation (Part 1, 11.4.10) and what is built on it.

mod kdfa;
mod kdfe;
mod mgf1;
mod xor;

pub use kdfa::{DERIVATION_BITS_MAX, KdfaGenerator, kdfa};
pub use kdfe::kdfe;
pub use mgf1::{kdf2_xor, mgf1, mgf1_xor};
pub use xor::xor_obfuscate;

/// Clears the bits of `output` above the first `bits` (Part 1, 11.4.10: an output that is no
/// multiple of eight bits has its unused bits in the most significant octet, and they are zero).
fn clear_unused_bits(output: &mut [u8], bits: u32) {
    let used = bits % 8;
    if used != 0
        && let Some(first) = output.first_mut()
    {
        *first &= (1u8 << used).wrapping_sub(1);
    }
}

/// Number of octets that hold `bits`.
fn octets(bits: u32) -> usize {
    usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod testing {
    extern crate std;

    use crate::crypto::CryptoError;
    use crate::crypto::hash::HashAlgorithm;
    use crate::crypto::vectors::records;

    /// KDFa or KDFe: hash, key, usage, two contexts, bits, output.
    type Derive =
        fn(HashAlgorithm, &[u8], &[u8], &[u8], &[u8], u32, &mut [u8]) -> Result<(), CryptoError>;

    /// Each record of a vector file, which calls the inputs by these names; the second is text.
    pub(super) fn check_vectors(file: &str, names: [&str; 4], derive: Derive) {
        let [key, usage, first, second] = names;
        for record in records(file) {
            let bits = u32::try_from(record.number("bits")).unwrap();
            let mut output = std::vec![0; super::octets(bits)];
            let usage = record.text(usage).as_bytes();
            let [key, first, second] = [key, first, second].map(|name| record.bytes(name));
            derive(record.hash(), &key, usage, &first, &second, bits, &mut output).unwrap();
            assert_eq!(output, record.bytes("output"));
        }
    }
}
