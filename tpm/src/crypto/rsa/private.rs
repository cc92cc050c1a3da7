// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA private keys and RSADP/RSASP1 (RFC 8017, 5.1.2 and 5.2.1).
//!
//! A TPM stores one prime; the rest is computed once, when the key is made ready for use. Each
//! operation is blinded with a random number whose pair is squared from use to use and replaced
//! after [`BLINDING_USES_MAX`] uses, and its result is raised to the public exponent and compared
//! with the input before it leaves (a fault in one half would give away the factors).

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, Uint};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::crt::Crt;
use super::key::{RsaNumber, RsaPublicKey};
use super::limbs::{from_bytes, to_bytes};
use super::power::ModularPower;
use super::{MODULUS_SIZE_MAX, PRIME_SIZE_MAX};
use crate::crypto::{CryptoError, Random};

/// Uses of one blinding pair.
const BLINDING_USES_MAX: u32 = 32;
/// Random numbers to try for a blinding pair: only multiples of a prime have no inverse.
const BLINDING_DRAWS_MAX: usize = 8;

/// Evaluates `$body` with `$N` limbs of a prime and `$M` limbs of a modulus of `$size` bytes.
macro_rules! with_limbs {
    ($size:expr, $N:ident, $M:ident => $body:expr) => {
        match $size {
            128 => {
                const $N: usize = 8;
                const $M: usize = 16;
                $body
            }
            256 => {
                const $N: usize = 16;
                const $M: usize = 32;
                $body
            }
            384 => {
                const $N: usize = 24;
                const $M: usize = 48;
                $body
            }
            512 => {
                const $N: usize = 32;
                const $M: usize = 64;
                $body
            }
            _ => Err(CryptoError::KeySize),
        }
    };
}

/// A private key that is ready for use. Wiped on drop.
#[derive(Clone)]
pub struct RsaPrivateKey {
    public: RsaPublicKey,
    secret: Secret,
    blinding: Option<Blinding>,
}

/// The two primes and the parameters of the theorem, each as long as a prime.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
struct Secret([u8; 5 * PRIME_SIZE_MAX]);

/// b^e and b⁻¹ for a random b, in Montgomery form.
#[derive(Clone)]
struct Blinding {
    factor: RsaNumber,
    inverse: RsaNumber,
    uses: u32,
}

impl RsaPrivateKey {
    /// The private key that belongs to `public` and has the prime factor `prime`.
    ///
    /// # Errors
    /// [`CryptoError::Binding`] if it has no such factor of half its length.
    pub fn from_prime(public: &RsaPublicKey, prime: &[u8]) -> Result<Self, CryptoError> {
        let mut secret = Secret([0; 5 * PRIME_SIZE_MAX]);
        with_limbs!(public.size(), N, M => {
            let modulus: Uint<M> = from_bytes(public.modulus())?;
            let p = from_bytes(prime).map_err(|_| CryptoError::Binding)?;
            let key = Crt::<N>::from_prime(&modulus, public.exponent(), p)?;
            key.save(&mut secret.0);
            Ok(())
        })?;
        Ok(Self { public: public.clone(), secret, blinding: None })
    }

    /// The private key with these two primes.
    ///
    /// # Errors
    /// [`CryptoError::KeySize`] for lengths that are not supported, [`CryptoError::Value`] or
    /// [`CryptoError::Binding`] if the primes or the exponent make no key.
    pub fn from_primes(p: &[u8], q: &[u8], exponent: u32) -> Result<Self, CryptoError> {
        if p.len() != q.len() {
            return Err(CryptoError::KeySize);
        }
        let size = p.len().saturating_mul(2);
        let mut modulus = RsaNumber::zero(size);
        with_limbs!(size, N, M => {
            let (p, q) = (from_bytes::<N>(p)?, from_bytes::<N>(q)?);
            let product: Uint<M> = p.concatenating_mul(&q);
            to_bytes(&product, modulus.as_mut_bytes());
            Ok(())
        })?;
        Self::from_prime(&RsaPublicKey::new(modulus.as_bytes(), exponent)?, p)
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &RsaPublicKey {
        &self.public
    }

    /// The prime that a TPM stores (`TPM2B_PRIVATE_KEY_RSA`).
    #[must_use]
    pub fn prime(&self) -> &[u8] {
        self.secret.0.get(..self.public.size() / 2).unwrap_or_default()
    }

    /// `input` to the power of the private exponent, as wide as the modulus.
    ///
    /// # Errors
    /// [`CryptoError::Value`] if `input` is not less than the modulus, [`CryptoError::Fault`] if
    /// the result does not verify; those of `random`.
    pub fn apply(
        &mut self,
        power: &dyn ModularPower,
        random: &mut dyn Random,
        input: &[u8],
    ) -> Result<RsaNumber, CryptoError> {
        with_limbs!(self.public.size(), N, M => {
            self.apply_limbs::<N, M>(power, random, input)
        })
    }

    fn apply_limbs<const N: usize, const M: usize>(
        &mut self,
        power: &dyn ModularPower,
        random: &mut dyn Random,
        input: &[u8],
    ) -> Result<RsaNumber, CryptoError> {
        let modulus: Uint<M> = from_bytes(self.public.modulus())?;
        let odd = Odd::new(modulus).into_option().ok_or(CryptoError::Fault)?;
        let parameters = FixedMontyParams::new_vartime(odd);
        let input: Uint<M> = from_bytes(input)?;
        if input >= modulus {
            return Err(CryptoError::Value);
        }
        let (factor, inverse) = self.next_blinding::<M>(power, random, &parameters)?;

        let key = Crt::<N>::load(&self.secret.0)?;
        let blinded = times(&input, &factor, &parameters);
        let mut result = key.power(power, &blinded)?;

        let mut check = [0; M];
        let exponent = self.public.exponent();
        power.public(result.as_words(), exponent, modulus.as_words(), &mut check)?;
        if Uint::from_words(check) != blinded {
            result.zeroize();
            return Err(CryptoError::Fault);
        }
        let mut unblinded = times(&result, &inverse, &parameters);
        let mut output = RsaNumber::zero(self.public.size());
        to_bytes(&unblinded, output.as_mut_bytes());
        for secret in [&mut result, &mut unblinded] {
            secret.zeroize();
        }
        Ok(output)
    }

    /// The pair for this operation, in Montgomery form; the one for the next is put in its place.
    fn next_blinding<const M: usize>(
        &mut self,
        power: &dyn ModularPower,
        random: &mut dyn Random,
        parameters: &FixedMontyParams<M>,
    ) -> Result<BlindingPair<M>, CryptoError> {
        let form = |number: &RsaNumber| {
            let number = Zeroizing::new(from_bytes::<M>(number.as_bytes())?);
            Ok(Zeroizing::new(FixedMontyForm::from_montgomery(*number, parameters)))
        };
        let (factor, inverse, uses) = match self.blinding.take() {
            Some(pair) if pair.uses < BLINDING_USES_MAX => {
                (form(&pair.factor)?, form(&pair.inverse)?, pair.uses)
            }
            _ => {
                let (factor, inverse) = self.new_blinding(power, random, parameters)?;
                (factor, inverse, 0)
            }
        };
        let stored = |form: &FixedMontyForm<M>| {
            let square = Zeroizing::new(form.square());
            let mut number = RsaNumber::zero(self.public.size());
            to_bytes(square.as_montgomery(), number.as_mut_bytes());
            number
        };
        let (next_factor, next_inverse) = (stored(&factor), stored(&inverse));
        let uses = uses.saturating_add(1);
        self.blinding = Some(Blinding { factor: next_factor, inverse: next_inverse, uses });
        Ok((factor, inverse))
    }

    fn new_blinding<const M: usize>(
        &self,
        power: &dyn ModularPower,
        random: &mut dyn Random,
        parameters: &FixedMontyParams<M>,
    ) -> Result<BlindingPair<M>, CryptoError> {
        let mut draw = Zeroizing::new([0; MODULUS_SIZE_MAX]);
        let draw = draw.get_mut(..self.public.size()).ok_or(CryptoError::KeySize)?;
        for _ in 0..BLINDING_DRAWS_MAX {
            random.fill(draw)?;
            // Less than twice the modulus, and brought below it by the form.
            let number = Zeroizing::new(from_bytes::<M>(draw)?);
            let form = Zeroizing::new(FixedMontyForm::new(&number, parameters));
            let Some(inverse) = form.invert().into_option() else { continue };
            let (base, modulus) = (Zeroizing::new(form.retrieve()), parameters.modulus());
            let mut factor = [0; M];
            let exponent = self.public.exponent();
            power.public(base.as_words(), exponent, modulus.as_words(), &mut factor)?;
            let factor = FixedMontyForm::new(&Uint::from_words(factor), parameters);
            return Ok((Zeroizing::new(factor), Zeroizing::new(inverse)));
        }
        Err(CryptoError::Random)
    }
}

/// `number` · `factor`. A number that is taken for a Montgomery form, as it is, makes a product
/// that is none: no conversion is needed.
fn times<const M: usize>(
    number: &Uint<M>,
    factor: &FixedMontyForm<M>,
    parameters: &FixedMontyParams<M>,
) -> Uint<M> {
    let number = Zeroizing::new(FixedMontyForm::from_montgomery(*number, parameters));
    let product = Zeroizing::new(number.mul(factor));
    product.to_montgomery()
}

type BlindingPair<const M: usize> = (Zeroizing<FixedMontyForm<M>>, Zeroizing<FixedMontyForm<M>>);

impl core::fmt::Debug for RsaPrivateKey {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "RsaPrivateKey({} bytes)", self.public.size())
    }
}

#[cfg(test)]
pub(super) mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;
    use crate::crypto::drbg::CtrDrbg;
    use crate::crypto::rsa::Portable;
    use crate::crypto::rsa::testing::Faulty;
    use crate::crypto::vectors::{Record, records};

    fn key_records() -> Vec<Record> {
        records(include_str!("../vectors/rsa_keys.txt"))
    }

    /// The test key with this number.
    pub(crate) fn key(number: usize) -> RsaPrivateKey {
        let record = &key_records()[number];
        let exponent = u32::try_from(record.number("exponent")).unwrap();
        let public = RsaPublicKey::new(&record.bytes("n"), exponent).unwrap();
        RsaPrivateKey::from_prime(&public, &record.bytes("p")).unwrap()
    }

    /// Every test key; the first has 1024 bits.
    pub(crate) fn keys() -> Vec<RsaPrivateKey> {
        (0..key_records().len()).map(key).collect()
    }

    /// The public part of the test key with this number.
    pub(crate) fn public_key(number: usize) -> RsaPublicKey {
        key(number).public().clone()
    }

    #[test]
    fn a_prime_of_another_key_is_refused() {
        let keys = keys();
        for key in &keys {
            let prime = key.prime();
            let mut other = prime.to_vec();
            *other.last_mut().unwrap() ^= 2;
            for bad in [&other[..], &prime[1..], &[], &[1], &[0; 64], key.public().modulus()] {
                let result = RsaPrivateKey::from_prime(key.public(), bad);
                assert_eq!(result.err(), Some(CryptoError::Binding));
            }
        }
    }

    #[test]
    fn a_fault_does_not_leave() {
        let mut drbg = CtrDrbg::from_seed(&[1; 48]);
        let mut key = key(0);
        let faulty = Faulty::at(key.prime());
        let result = key.apply(&faulty, &mut drbg, &[5; 100]);
        assert_eq!(result.err(), Some(CryptoError::Fault));
        assert!(key.apply(&Faulty(0), &mut drbg, &[5; 100]).is_ok());
    }

    #[test]
    fn inputs_are_less_than_the_modulus() {
        let mut drbg = CtrDrbg::from_seed(&[1; 48]);
        let mut key = key(0);
        let modulus = key.public().modulus().to_vec();
        let result = key.apply(&Portable, &mut drbg, &modulus);
        assert_eq!(result.err(), Some(CryptoError::Value));
        for small in [0, 1] {
            let output = key.apply(&Portable, &mut drbg, &[small]).unwrap();
            assert_eq!(output, RsaNumber::new(&[small], 128).unwrap());
        }
    }

    /// The private operation undoes the public one, also when blinding pairs are renewed, and both
    /// primes of a key make the same one.
    #[test]
    fn private_undoes_public() {
        let mut drbg = CtrDrbg::from_seed(&[2; 48]);
        for (mut key, record) in keys().into_iter().zip(key_records()) {
            let exponent = key.public().exponent();
            let mut other =
                RsaPrivateKey::from_primes(&record.bytes("q"), &record.bytes("p"), exponent)
                    .unwrap();
            assert_eq!(other.public(), key.public());
            let uses = if key.public().size() == 128 { 70u8 } else { 2 };
            for round in 0..uses {
                let input = RsaNumber::new(&[round; 90], key.public().size()).unwrap();
                let output = key.apply(&Portable, &mut drbg, input.as_bytes()).unwrap();
                let back = key.public().apply(&Portable, output.as_bytes()).unwrap();
                assert_eq!(back, input);
                if round == 1 {
                    let same = other.apply(&Portable, &mut drbg, input.as_bytes()).unwrap();
                    assert_eq!(same, output);
                }
            }
        }
    }
}
