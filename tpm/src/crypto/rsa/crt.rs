// SPDX-License-Identifier: MIT OR Apache-2.0
//! The arithmetic of private keys: parameters of the Chinese remainder theorem from one prime
//! (RFC 8017, 3.2), and recombination. `N` limbs hold a prime and `M` = 2·`N` the modulus.

use crypto_bigint::{Limb, NonZero, Odd, Uint};
use zeroize::Zeroize;

use super::limbs::{LIMB_SIZE, from_bytes, to_bytes};
use super::power::ModularPower;
use crate::crypto::CryptoError;

/// A private key in limbs; wiped on drop.
pub(super) struct Crt<const N: usize> {
    pub(super) p: Uint<N>,
    pub(super) q: Uint<N>,
    pub(super) d_p: Uint<N>,
    pub(super) d_q: Uint<N>,
    /// q⁻¹ modulo p.
    pub(super) q_inverse: Uint<N>,
}

impl<const N: usize> Drop for Crt<N> {
    fn drop(&mut self) {
        for number in [&mut self.p, &mut self.q, &mut self.d_p, &mut self.d_q, &mut self.q_inverse]
        {
            number.zeroize();
        }
    }
}

impl<const N: usize> Crt<N> {
    /// The parameters of the key with this modulus, exponent and prime.
    ///
    /// # Errors
    /// [`CryptoError::Binding`] if the prime does not divide the modulus into two odd numbers of
    /// full length, or the exponent has no inverse.
    pub(super) fn from_prime<const M: usize>(
        modulus: &Uint<M>,
        exponent: u32,
        p: Uint<N>,
    ) -> Result<Self, CryptoError> {
        let full_length = |number: &Uint<N>| number.leading_zeros() == 0;
        let divisor = NonZero::new(p).into_option().ok_or(CryptoError::Binding)?;
        let (quotient, remainder) = modulus.div_rem(&divisor);
        let q: Uint<N> = quotient.resize();
        let exact = remainder == Uint::ZERO && q.resize::<M>() == quotient;
        let odd_p = Odd::new(p).into_option().ok_or(CryptoError::Binding)?;
        if !exact || !full_length(&p) || !full_length(&q) {
            return Err(CryptoError::Binding);
        }
        let d_p = inverse_of_exponent(&p, exponent)?;
        let d_q = inverse_of_exponent(&q, exponent)?;
        let q_inverse = q.invert_odd_mod(&odd_p).into_option().ok_or(CryptoError::Binding)?;
        Ok(Self { p, q, d_p, d_q, q_inverse })
    }

    /// `input`^d modulo p·q, by the theorem (RFC 8017, 5.1.2, 2.b). `input` is less than p·q.
    pub(super) fn power<const M: usize>(
        &self,
        power: &dyn ModularPower,
        input: &Uint<M>,
    ) -> Result<Uint<M>, CryptoError> {
        let mut m_p = half(power, input, &self.p, &self.d_p)?;
        let mut m_q = half(power, input, &self.q, &self.d_q)?;
        // h = (m_p - m_q)·q⁻¹ modulo p; m_q may be larger than p.
        let p = NonZero::new(self.p).into_option().ok_or(CryptoError::Fault)?;
        let mut difference = m_p.sub_mod(&m_q.rem(&p), &p);
        let (low, high) = difference.widening_mul(&self.q_inverse);
        let mut product: Uint<M> = join(&low, &high)?;
        let mut h = product.rem(&p);
        product.zeroize();
        let (low, high) = h.widening_mul(&self.q);
        let mut result = join::<N, M>(&low, &high)?.wrapping_add(&m_q.resize::<M>());
        for secret in [&mut m_p, &mut m_q, &mut difference, &mut h] {
            secret.zeroize();
        }
        let output = result;
        result.zeroize();
        Ok(output)
    }

    /// Octets of each number.
    const SIZE: usize = N * LIMB_SIZE;

    /// Writes the primes and the parameters after one another into `bytes`.
    pub(super) fn save(&self, bytes: &mut [u8]) {
        let numbers = [&self.p, &self.q, &self.d_p, &self.d_q, &self.q_inverse];
        for (number, place) in numbers.into_iter().zip(bytes.chunks_exact_mut(Self::SIZE)) {
            to_bytes(number, place);
        }
    }

    /// Reads what [`save`](Self::save) wrote.
    pub(super) fn load(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut numbers = bytes.chunks_exact(Self::SIZE);
        let mut next = || from_bytes(numbers.next().ok_or(CryptoError::Size)?);
        Ok(Self { p: next()?, q: next()?, d_p: next()?, d_q: next()?, q_inverse: next()? })
    }
}

/// (`input` modulo `prime`) ^ `exponent` modulo `prime`.
fn half<const N: usize, const M: usize>(
    power: &dyn ModularPower,
    input: &Uint<M>,
    prime: &Uint<N>,
    exponent: &Uint<N>,
) -> Result<Uint<N>, CryptoError> {
    let divisor = NonZero::new(*prime).into_option().ok_or(CryptoError::Fault)?;
    let mut base = input.rem(&divisor);
    let mut result = [0; N];
    power.secret(base.as_words(), exponent.as_words(), prime.as_words(), &mut result)?;
    base.zeroize();
    let number = Uint::from_words(result);
    result.zeroize();
    Ok(number)
}

fn join<const N: usize, const M: usize>(
    low: &Uint<N>,
    high: &Uint<N>,
) -> Result<Uint<M>, CryptoError> {
    let mut words = [0; M];
    let (low_place, high_place) = words.split_at_mut_checked(N).ok_or(CryptoError::Fault)?;
    low_place.copy_from_slice(low.as_words());
    let high_place = <&mut [u64; N]>::try_from(high_place).map_err(|_| CryptoError::Fault)?;
    *high_place = high.to_words();
    Ok(Uint::from_words(words))
}

/// e⁻¹ modulo `prime` - 1. With `prime` - 1 = e·t + r and k = -r⁻¹ modulo e, e divides
/// k·(`prime` - 1) + 1, and the quotient k·t + (k·r + 1)/e is the inverse. In constant time: the
/// divisions are multiplications by a reciprocal of e, the processor's own would not be.
fn inverse_of_exponent<const N: usize>(
    prime: &Uint<N>,
    exponent: u32,
) -> Result<Uint<N>, CryptoError> {
    let e = Uint::<1>::from_u32(exponent);
    let divisor = NonZero::new(Limb::from_u32(exponent)).into_option();
    let divisor = divisor.ok_or(CryptoError::Value)?;
    let (t, r) = prime.wrapping_sub(&Uint::ONE).div_rem_limb(divisor);
    let r = Uint::<1>::from_u64(r.0);
    let k = e.wrapping_sub(&inverse_modulo(&r, e).ok_or(CryptoError::Binding)?);
    // k, r and e have at most 32 bits.
    let last = k.wrapping_mul(&r).wrapping_add(&Uint::ONE).div_rem_limb(divisor).0;
    Ok(t.wrapping_mul(&k).wrapping_add(&last.resize()))
}

/// The inverse of `value`, which is less than `modulus`, if there is one: none modulo an even
/// number, as e would have none modulo p - 1 either.
fn inverse_modulo(value: &Uint<1>, modulus: Uint<1>) -> Option<Uint<1>> {
    let modulus = Odd::new(modulus).into_option()?;
    value.invert_odd_mod(&modulus).into_option()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_modulo_small_numbers() {
        let inverse = |value, modulus| {
            let inverse = inverse_modulo(&Uint::from_u64(value), Uint::from_u64(modulus))?;
            Some(inverse.to_words()[0])
        };
        assert_eq!(inverse(0, 65537), None);
        assert_eq!((inverse(6, 9), inverse(3, 8)), (None, None));
        assert_eq!((inverse(3, 7), inverse(2, 9)), (Some(5), Some(5)));
        assert_eq!(inverse(1, 65537), Some(1));
        for value in 1..257 {
            assert_eq!(inverse(value, 257).unwrap() * value % 257, 1);
        }
    }

    #[test]
    fn the_inverse_of_the_exponent_is_one() {
        for (prime, exponent) in [(1_000_003u64, 17), (4_294_967_291, 65537), (u64::MAX - 58, 3)] {
            let d = inverse_of_exponent(&Uint::<1>::from_u64(prime), exponent).unwrap();
            let product = u128::from(d.as_words()[0]) * u128::from(exponent);
            assert_eq!(product % u128::from(prime - 1), 1);
        }
        // 7 divides 29 - 1.
        let none = inverse_of_exponent(&Uint::<1>::from_u64(29), 7);
        assert_eq!(none, Err(CryptoError::Binding));
    }
}
