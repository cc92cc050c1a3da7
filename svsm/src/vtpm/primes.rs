// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every source of the engine's primes does that takes them from crypto-pool: which key is
//! asked for, by which name a derivation is found again, what a fault means, and handing over.

use crypto_pool::primaries::DerivationName;
use crypto_pool::search::{KeyKind, RsaPrimes, SearchFault};
use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::hash::HashAlgorithm;
use tpm::platform::KeyFault;

/// The kind of key that is asked for, with `p` and `q` as the places of its primes.
///
/// # Errors
/// [`KeyFault::Unsupported`] when the places are not as long as the primes.
pub fn kind(bits: u16, exponent: u32, p: &[u8], q: &[u8]) -> Result<KeyKind, KeyFault> {
    let kind = KeyKind { bits, exponent };
    if p.len() == kind.prime_size() && q.len() == kind.prime_size() {
        Ok(kind)
    } else {
        Err(KeyFault::Unsupported)
    }
}

/// The name of a derivation: a digest of all that determines its result.
///
/// # Errors
/// [`KeyFault::Fault`] when a digest isn't as long as a name.
pub fn name(generator: &CtrDrbg, kind: KeyKind) -> Result<DerivationName, KeyFault> {
    let state = generator.fingerprint();
    let parts = [state.as_bytes(), &kind.bits.to_be_bytes()[..], &kind.exponent.to_be_bytes()[..]];
    let name = HashAlgorithm::Sha256.digest(&parts);
    name.as_bytes().try_into().map_err(|_| KeyFault::Fault)
}

/// What a search's fault is to the engine.
pub const fn fault(fault: SearchFault) -> KeyFault {
    match fault {
        SearchFault::Unsupported => KeyFault::Unsupported,
        SearchFault::Randomness | SearchFault::Arithmetic => KeyFault::Fault,
    }
}

/// Copies the primes, most significant octet first, to places as long as they are.
pub fn hand_over(primes: &RsaPrimes, p: &mut [u8], q: &mut [u8]) {
    for (place, prime) in [(p, primes.p()), (q, primes.q())] {
        place.iter_mut().zip(prime).for_each(|(place, octet)| *place = *octet);
    }
}
