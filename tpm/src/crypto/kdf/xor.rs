// SPDX-License-Identifier: MIT OR Apache-2.0
//! XOR obfuscation of session parameters (Part 1, 11.4.7.3): the mask is KDFa with label "XOR".

use zeroize::Zeroize;

use super::kdfa::kdfa;
use crate::crypto::CryptoError;
use crate::crypto::hash::HashAlgorithm;

/// The longest parameter that can be obfuscated, in bytes; longer than any command.
const DATA_SIZE_MAX: usize = 8192;

/// Obfuscates `data` in place; doing it twice gives it back.
///
/// # Errors
/// [`CryptoError::Size`] if `data` is longer than any command.
pub fn xor_obfuscate(
    algorithm: HashAlgorithm,
    key: &[u8],
    context_u: &[u8],
    context_v: &[u8],
    data: &mut [u8],
) -> Result<(), CryptoError> {
    let mut mask = [0; DATA_SIZE_MAX];
    let used = mask.get_mut(..data.len()).ok_or(CryptoError::Size)?;
    let bits = data.len().checked_mul(8).and_then(|bits| u32::try_from(bits).ok());
    let bits = bits.ok_or(CryptoError::Size)?;
    kdfa(algorithm, key, b"XOR", context_u, context_v, bits, used)?;
    data.iter_mut().zip(used.iter()).for_each(|(place, byte)| *place ^= *byte);
    used.zeroize();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_long_a_parameter_is_refused() {
        let mut data = [0; DATA_SIZE_MAX + 1];
        let result = xor_obfuscate(HashAlgorithm::Sha256, b"key", b"u", b"v", &mut data);
        assert_eq!(result, Err(CryptoError::Size));
        assert_eq!(data, [0; DATA_SIZE_MAX + 1]);
    }

    #[test]
    fn the_mask_is_kdfa_and_undoes_itself() {
        let mut mask = [0; 50];
        kdfa(HashAlgorithm::Sha1, b"key", b"XOR", b"newer", b"older", 400, &mut mask).unwrap();
        let mut data = [0x55; 50];
        xor_obfuscate(HashAlgorithm::Sha1, b"key", b"newer", b"older", &mut data).unwrap();
        assert_eq!(data, mask.map(|byte| byte ^ 0x55));
        xor_obfuscate(HashAlgorithm::Sha1, b"key", b"newer", b"older", &mut data).unwrap();
        assert_eq!(data, [0x55; 50]);
        xor_obfuscate(HashAlgorithm::Sha1, b"key", b"", b"", &mut []).unwrap();
    }
}
