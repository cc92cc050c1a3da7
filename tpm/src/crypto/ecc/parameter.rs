// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers and points of a curve as they are on the wire: `TPM2B_ECC_PARAMETER` and
//! `TPMS_ECC_POINT` (Part 2, 11.2.5), but always as wide as the curve's field.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::EccCurve;
use crate::crypto::CryptoError;

/// Width of the widest coordinate, in bytes (P-521).
pub const PARAMETER_SIZE_MAX: usize = 66;

/// A coordinate, a scalar, or a part of a signature: big-endian, padded on the left to the width
/// of its curve. Wiped on drop, since it may be a private key; compared in constant time.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct EccParameter {
    size: usize,
    bytes: [u8; PARAMETER_SIZE_MAX],
}

impl EccParameter {
    /// The number `value` with the width of `curve`. Leading zeros are dropped or added as needed;
    /// whether the number is less than p or n is checked where it is used.
    ///
    /// # Errors
    /// [`CryptoError::Value`] if it has too many significant bytes.
    pub fn new(curve: EccCurve, value: &[u8]) -> Result<Self, CryptoError> {
        let excess = value.len().saturating_sub(curve.size());
        let (dropped, kept) = value.split_at_checked(excess).ok_or(CryptoError::Value)?;
        if dropped.iter().any(|byte| *byte != 0) {
            return Err(CryptoError::Value);
        }
        let mut parameter = Self::zero(curve);
        let padding = curve.size().saturating_sub(kept.len());
        let places = parameter.as_mut_bytes().iter_mut().skip(padding);
        places.zip(kept).for_each(|(place, byte)| *place = *byte);
        Ok(parameter)
    }

    pub(super) fn zero(curve: EccCurve) -> Self {
        Self { size: curve.size(), bytes: [0; PARAMETER_SIZE_MAX] }
    }

    /// The bytes, as many as the curve's width.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or(&self.bytes)
    }

    pub(super) fn as_mut_bytes(&mut self) -> &mut [u8] {
        let size = self.size.min(PARAMETER_SIZE_MAX);
        self.bytes.split_at_mut(size).0
    }
}

impl PartialEq for EccParameter {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().ct_eq(other.as_bytes()).into()
    }
}

impl Eq for EccParameter {}

impl core::fmt::Debug for EccParameter {
    /// Only the width: the number may be a private key.
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "EccParameter({} bytes)", self.size)
    }
}

/// A point in affine coordinates. That it lies on its curve is checked by each operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EccPoint {
    /// The x-coordinate.
    pub x: EccParameter,
    /// The y-coordinate.
    pub y: EccParameter,
}

impl EccPoint {
    /// The point with these coordinates.
    ///
    /// # Errors
    /// [`CryptoError::Value`] if a coordinate is too long for `curve`.
    pub fn new(curve: EccCurve, x: &[u8], y: &[u8]) -> Result<Self, CryptoError> {
        Ok(Self { x: EccParameter::new(curve, x)?, y: EccParameter::new(curve, y)? })
    }
}

/// A signature of two numbers (`TPMS_SIGNATURE_ECC`, Part 2, 11.3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EccSignature {
    /// `signatureR`.
    pub r: EccParameter,
    /// `signatureS`.
    pub s: EccParameter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_padded_stripped_and_bounded() {
        let curve = EccCurve::NistP256;
        let mut long = [0; 40];
        long[7] = 1;
        assert_eq!(EccParameter::new(curve, &long).err(), Some(CryptoError::Value));
        long[7] = 0;
        long[8] = 9;
        assert_eq!(EccParameter::new(curve, &long).unwrap().as_bytes(), &long[8..]);
        let short = EccParameter::new(curve, &[1, 2]).unwrap();
        assert_eq!((&short.as_bytes()[..30], &short.as_bytes()[30..]), (&[0; 30][..], &[1, 2][..]));
        assert_eq!(EccParameter::new(EccCurve::NistP521, &[]).unwrap().as_bytes(), [0; 66]);
        assert_ne!(short, EccParameter::new(EccCurve::NistP384, &[1, 2]).unwrap());
    }
}
