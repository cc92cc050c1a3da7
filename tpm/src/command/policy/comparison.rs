// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_EO (Part 2, 6.18): comparisons of numbers of any length, and of bits.

use core::cmp::Ordering;

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::wire::wire_enum;

wire_enum! {
    /// TPM_EO. Any other value is TPM_RC_VALUE.
    Comparison: u16, else VALUE {
        /// A = B.
        Equal = 0x0,
        /// A ≠ B.
        NotEqual = 0x1,
        /// A > B, signed.
        SignedGreater = 0x2,
        /// A > B, unsigned.
        UnsignedGreater = 0x3,
        /// A < B, signed.
        SignedLess = 0x4,
        /// A < B, unsigned.
        UnsignedLess = 0x5,
        /// A ≥ B, signed.
        SignedGreaterOrEqual = 0x6,
        /// A ≥ B, unsigned.
        UnsignedGreaterOrEqual = 0x7,
        /// A ≤ B, signed.
        SignedLessOrEqual = 0x8,
        /// A ≤ B, unsigned.
        UnsignedLessOrEqual = 0x9,
        /// All bits of B are set in A.
        BitSet = 0xa,
        /// All bits of B are clear in A.
        BitClear = 0xb,
    }
}

impl Comparison {
    /// Whether it holds for two equally long operands.
    pub(super) fn holds(self, a: &[u8], b: &[u8]) -> bool {
        let unsigned = a.cmp(b);
        let signed = match (is_negative(a), is_negative(b)) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => unsigned,
        };
        match self {
            Self::Equal => a == b,
            Self::NotEqual => a != b,
            Self::SignedGreater => signed.is_gt(),
            Self::UnsignedGreater => unsigned.is_gt(),
            Self::SignedLess => signed.is_lt(),
            Self::UnsignedLess => unsigned.is_lt(),
            Self::SignedGreaterOrEqual => signed.is_ge(),
            Self::UnsignedGreaterOrEqual => unsigned.is_ge(),
            Self::SignedLessOrEqual => signed.is_le(),
            Self::UnsignedLessOrEqual => unsigned.is_le(),
            Self::BitSet => a.iter().zip(b).all(|(a, b)| a & b == *b),
            Self::BitClear => a.iter().zip(b).all(|(a, b)| a & b == 0),
        }
    }

    /// The digest of the arguments, which is what enters the policy.
    pub(super) fn arguments(self, hash: HashAlgorithm, operand: &[u8], offset: u16) -> Digest {
        hash.digest(&[operand, &offset.to_be_bytes(), &self.raw().to_be_bytes()])
    }
}

fn is_negative(number: &[u8]) -> bool {
    number.first().is_some_and(|octet| octet & 0x80 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_count_only_where_they_should() {
        let (minus_one, one) = ([0xff, 0xff], [0x00, 0x01]);
        assert!(Comparison::SignedLess.holds(&minus_one, &one));
        assert!(Comparison::UnsignedGreater.holds(&minus_one, &one));
        assert!(!Comparison::SignedGreaterOrEqual.holds(&minus_one, &one));
        assert!(Comparison::SignedGreater.holds(&[0xff, 0xff], &[0xff, 0xfe]));
        assert!(Comparison::UnsignedLessOrEqual.holds(&one, &one));
    }

    #[test]
    fn bits_are_compared_by_mask() {
        assert!(Comparison::BitSet.holds(&[0b1110], &[0b0110]));
        assert!(!Comparison::BitSet.holds(&[0b1110], &[0b0001]));
        assert!(Comparison::BitClear.holds(&[0b1110], &[0b0001]));
        assert!(!Comparison::BitClear.holds(&[0b1110], &[0b0011]));
    }
}
