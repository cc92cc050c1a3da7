// SPDX-License-Identifier: MIT OR Apache-2.0
//! The curves and their domain parameters (`TPM_ECC_CURVE`, Part 2, 6.4; `TPM2_ECC_Parameters`):
//! SP 800-186, 3.2.1 for the NIST curves and GB/T 32918.5 for SM2.

/// An elliptic curve; the discriminant is its `TPM_ECC_CURVE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum EccCurve {
    /// NIST P-256.
    NistP256 = 0x0003,
    /// NIST P-384.
    NistP384 = 0x0004,
    /// NIST P-521.
    NistP521 = 0x0005,
    /// SM2's recommended curve.
    Sm2P256 = 0x0020,
}

/// Domain parameters of y² = x³ + ax + b over the integers modulo p, all as wide as p. The
/// cofactor of every curve here is 1.
#[derive(Debug)]
pub struct CurveParameters {
    /// The field's prime.
    pub p: &'static [u8],
    /// Coefficient a.
    pub a: &'static [u8],
    /// Coefficient b.
    pub b: &'static [u8],
    /// The generator's x-coordinate.
    pub g_x: &'static [u8],
    /// The generator's y-coordinate.
    pub g_y: &'static [u8],
    /// The generator's order.
    pub n: &'static [u8],
}

impl EccCurve {
    /// Every curve that is implemented, in the order of `TPM_ECC_CURVE`.
    pub const ALL: [Self; 4] = [Self::NistP256, Self::NistP384, Self::NistP521, Self::Sm2P256];

    /// The curve with this `TPM_ECC_CURVE`, if it is implemented.
    #[must_use]
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|curve| curve.id() == id)
    }

    /// The `TPM_ECC_CURVE`.
    #[must_use]
    pub const fn id(self) -> u16 {
        self as u16
    }

    /// Size of the field's prime and of the order, in bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::NistP256 | Self::Sm2P256 => 256,
            Self::NistP384 => 384,
            Self::NistP521 => 521,
        }
    }

    /// Width of a coordinate or scalar, in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::NistP256 | Self::Sm2P256 => 32,
            Self::NistP384 => 48,
            Self::NistP521 => 66,
        }
    }

    /// The domain parameters.
    #[must_use]
    pub const fn parameters(self) -> &'static CurveParameters {
        match self {
            Self::NistP256 => &P256,
            Self::NistP384 => &P384,
            Self::NistP521 => &P521,
            Self::Sm2P256 => &SM2,
        }
    }
}

/// The bytes of a hexadecimal constant.
macro_rules! hex {
    ($digits:literal $(,)?) => {{
        const BYTES: [u8; $digits.len() / 2] = unhex($digits);
        &BYTES
    }};
}
pub(super) use hex;

const P256: CurveParameters = CurveParameters {
    p: hex!(b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
    a: hex!(b"ffffffff00000001000000000000000000000000fffffffffffffffffffffffc"),
    b: hex!(b"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
    g_x: hex!(b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
    g_y: hex!(b"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
    n: hex!(b"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
};

const P384: CurveParameters = CurveParameters {
    p: hex!(
        b"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe\
          ffffffff0000000000000000ffffffff",
    ),
    a: hex!(
        b"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe\
          ffffffff0000000000000000fffffffc",
    ),
    b: hex!(
        b"b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875a\
          c656398d8a2ed19d2a85c8edd3ec2aef",
    ),
    g_x: hex!(
        b"aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a38\
          5502f25dbf55296c3a545e3872760ab7",
    ),
    g_y: hex!(
        b"3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c0\
          0a60b1ce1d7e819d7a431d7c90ea0e5f",
    ),
    n: hex!(
        b"ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
          581a0db248b0a77aecec196accc52973",
    ),
};

const P521: CurveParameters = CurveParameters {
    p: hex!(
        b"01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
          ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
          ffff",
    ),
    a: hex!(
        b"01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
          ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
          fffc",
    ),
    b: hex!(
        b"0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef1\
          09e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b50\
          3f00",
    ),
    g_x: hex!(
        b"00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d\
          3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5\
          bd66",
    ),
    g_y: hex!(
        b"011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e\
          662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd1\
          6650",
    ),
    n: hex!(
        b"01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
          fffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e9138\
          6409",
    ),
};

const SM2: CurveParameters = CurveParameters {
    p: hex!(b"fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff"),
    a: hex!(b"fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc"),
    b: hex!(b"28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93"),
    g_x: hex!(b"32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7"),
    g_y: hex!(b"bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"),
    n: hex!(b"fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123"),
};

/// The bytes of a hexadecimal constant, at compile time.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated at compile time only"
)]
pub(super) const fn unhex<const DIGITS: usize, const SIZE: usize>(
    digits: &[u8; DIGITS],
) -> [u8; SIZE] {
    assert!(DIGITS == 2 * SIZE);
    let mut bytes = [0; SIZE];
    let mut i = 0;
    while i < SIZE {
        bytes[i] = digit(digits[2 * i]) << 4 | digit(digits[2 * i + 1]);
        i += 1;
    }
    bytes
}

#[expect(clippy::arithmetic_side_effects, reason = "evaluated at compile time only")]
const fn digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'f' => character - b'a' + 10,
        _ => panic!("a constant with another character than a hex digit does not compile"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::ecc::{EccParameter, public_point};

    #[test]
    fn curves_without_implementation_are_unknown() {
        // None, P-192, P-224, BN_P256, BN_P638, and what is in no table.
        for id in [0x0000, 0x0001, 0x0002, 0x0010, 0x0011, 0x0021, 0xffff] {
            assert_eq!(EccCurve::from_id(id), None);
        }
    }

    #[test]
    fn generator_and_order_are_those_of_the_arithmetic() {
        for curve in EccCurve::ALL {
            let parameters = curve.parameters();
            let all = [parameters.p, parameters.a, parameters.b, parameters.n];
            assert!(all.iter().all(|number| number.len() == curve.size()));
            let one = EccParameter::new(curve, &[1]).unwrap();
            let generator = public_point(curve, &one).unwrap();
            assert_eq!(generator.x.as_bytes(), parameters.g_x);
            assert_eq!(generator.y.as_bytes(), parameters.g_y);
            // [n - 1]G = -G, and n itself is no scalar.
            let mut scalar = EccParameter::new(curve, parameters.n).unwrap();
            assert!(public_point(curve, &scalar).is_err());
            *scalar.as_mut_bytes().last_mut().unwrap() -= 1;
            let opposite = public_point(curve, &scalar).unwrap();
            assert_eq!(opposite.x, generator.x);
            assert_ne!(opposite.y, generator.y);
        }
    }
}
