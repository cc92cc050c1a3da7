// SPDX-License-Identifier: MIT OR Apache-2.0
//! GUIDs in the byte order of tables. RFC 9562, and UEFI 2.10, appendix A.

/// A GUID as it lies in memory.
pub type Guid = [u8; 16];

/// A GUID from its text's groups: the first three are little endian, the rest are bytes.
#[must_use]
pub const fn guid(first: u32, second: u16, third: u16, rest: [u8; 8]) -> Guid {
    let [a, b, c, d] = first.to_le_bytes();
    let [e, f] = second.to_le_bytes();
    let [g, h] = third.to_le_bytes();
    let [i, j, k, l, m, n, o, p] = rest;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}
