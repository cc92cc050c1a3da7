// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small operations on little-endian limbs, in constant time.

/// `carry` · 2^(64·N) + `number` - `modulus` if that is not negative, else `number`; constant time.
pub(crate) fn subtract_once<const N: usize>(
    number: &[u64; N],
    carry: u64,
    modulus: &[u64; N],
) -> [u64; N] {
    let mut difference = [0; N];
    let mut borrow = false;
    for (place, (one, other)) in difference.iter_mut().zip(number.iter().zip(modulus)) {
        (*place, borrow) = one.borrowing_sub(*other, borrow);
    }
    // 0 when the difference is right; -1, that is all ones, when it is negative.
    let mask = core::hint::black_box(carry.wrapping_sub(u64::from(borrow)));
    for (place, original) in difference.iter_mut().zip(number) {
        *place = (*place & !mask) | (original & mask);
    }
    difference
}

/// Doubles a number and returns the bit that falls out.
pub(crate) fn double(number: &mut [u64]) -> u64 {
    let mut carry = 0;
    for limb in number {
        (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
    }
    carry
}

/// One of `table`, the one at `index`, reading all of them.
///
/// The mask passes through `black_box` because the compiler otherwise sees that it is all ones or
/// all zeros and reads the one entry only, behind a branch; `examples/timing.rs` found that.
pub(super) fn select<const N: usize>(table: &[[u64; N]], index: u64) -> [u64; N] {
    let mut selected = [0; N];
    for (position, entry) in (0u64..).zip(table) {
        // All ones if they are equal: only then does the subtraction borrow.
        let mask = ((position ^ index).wrapping_sub(1) >> 63).wrapping_neg();
        let mask = core::hint::black_box(mask);
        selected.iter_mut().zip(entry).for_each(|(place, limb)| *place |= limb & mask);
    }
    selected
}

/// `count` bits of `number`, at most 63, from bit `position` on; bits beyond its end are zero.
pub(crate) fn bits<const N: usize>(number: &[u64; N], position: usize, count: usize) -> u64 {
    let (limb, offset) = (position / 64, position % 64);
    let low = number.get(limb).copied().unwrap_or(0);
    let high = number.get(limb + 1).copied().unwrap_or(0);
    let wide = u128::from(high) << 64 | u128::from(low);
    // The lowest 63 bits of the shifted number are what is asked for, or more.
    let [a, b, c, d, e, f, g, h, ..] = (wide >> offset).to_le_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) & ((1 << count) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtraction_happens_at_most_once_and_only_if_it_can() {
        let modulus = [5, 7];
        assert_eq!(subtract_once(&[4, 7], 0, &modulus), [4, 7]);
        assert_eq!(subtract_once(&[5, 7], 0, &modulus), [0, 0]);
        assert_eq!(subtract_once(&[4, 8], 0, &modulus), [u64::MAX, 0]);
        assert_eq!(subtract_once(&[0, 0], 1, &modulus), [u64::MAX - 4, u64::MAX - 7]);
        assert_eq!(subtract_once(&[0, 0], 0, &modulus), [0, 0]);
    }

    #[test]
    fn bits_across_limbs() {
        let number = [0x8000_0000_0000_0001, 0x6];
        assert_eq!(bits(&number, 0, 5), 1);
        assert_eq!(bits(&number, 63, 5), 0b01101);
        assert_eq!(bits(&number, 65, 5), 3);
        assert_eq!(bits(&number, 127, 5), 0);
        assert_eq!(bits(&number, 500, 5), 0);
    }

    #[test]
    fn selection() {
        let table = [[1, 2], [3, 4], [5, 6]];
        assert_eq!(select(&table, 2), [5, 6]);
        assert_eq!(select(&table, 0), [1, 2]);
        assert_eq!(select(&table, 3), [0, 0]);
    }
}
