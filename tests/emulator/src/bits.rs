// SPDX-License-Identifier: MIT OR Apache-2.0
//! Narrowing that is meant: taking the low part of a register or field.

/// The low 8 bits.
#[expect(clippy::cast_possible_truncation, reason = "taking the low part is the purpose")]
pub(crate) const fn low_8(value: u64) -> u8 {
    value as u8
}

/// The low 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "taking the low part is the purpose")]
pub(crate) const fn low_16(value: u64) -> u16 {
    value as u16
}

/// The low 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "taking the low part is the purpose")]
pub(crate) const fn low_32(value: u64) -> u32 {
    value as u32
}

/// The high 32 bits.
pub(crate) const fn high_32(value: u64) -> u32 {
    low_32(value >> 32)
}

/// A register pair such as EDX:EAX.
pub(crate) const fn pair(high: u32, low: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// A number used as an index; the machine is a 64-bit program.
#[expect(clippy::cast_possible_truncation, reason = "usize has 64 bits here")]
pub(crate) const fn index(value: u64) -> usize {
    value as usize
}

/// Bits `[last:first]` of a value.
pub(crate) const fn field(value: u64, first: u32, last: u32) -> u64 {
    value >> first & (u64::MAX >> (63 - (last - first)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_halves() {
        assert_eq!(field(0xabcd, 4, 7), 0xc);
        assert_eq!(field(u64::MAX, 0, 63), u64::MAX);
        assert_eq!(high_32(pair(7, 9)), 7);
        assert_eq!(low_32(pair(7, 9)), 9);
        assert_eq!(low_16(0x1_2345), 0x2345);
        assert_eq!(low_8(0x1ff), 0xff);
    }
}
