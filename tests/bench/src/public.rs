// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public areas of the keys that the rows use (Part 2, 12.2.4).

/// RSA-2048 storage key, AES-128-CFB.
pub(crate) const RSA_STORAGE: [u8; 26] = rsa(0x0003_0472, &[0, 6, 0, 0x80, 0, 0x43, 0, 0x10], 2048);
/// RSA-2048 that signs in any scheme.
pub(crate) const RSA_SIGN: [u8; 22] = rsa(0x0004_0072, &[0, 0x10, 0, 0x10], 2048);
/// RSA-3072 that signs in any scheme.
pub(crate) const RSA_3072: [u8; 22] = rsa(0x0004_0072, &[0, 0x10, 0, 0x10], 3072);
/// RSA-2048 that decrypts.
pub(crate) const RSA_DECRYPT: [u8; 22] = rsa(0x0002_0072, &[0, 0x10, 0, 0x10], 2048);
/// Restricted RSA-2048 that signs with RSASSA and SHA-256.
pub(crate) const RSA_ATTEST: [u8; 24] = rsa(0x0005_0072, &[0, 0x10, 0, 0x14, 0, 0xb], 2048);
/// P-256 that signs in any scheme.
pub(crate) const P256_SIGN: [u8; 22] = ecc(0x0004_0072, &[0, 0x10, 0, 0x10], 3);
/// P-384 that signs in any scheme.
pub(crate) const P384_SIGN: [u8; 22] = ecc(0x0004_0072, &[0, 0x10, 0, 0x10], 4);
/// Restricted P-256 that signs with ECDSA and SHA-256.
pub(crate) const P256_ATTEST: [u8; 24] = ecc(0x0005_0072, &[0, 0x10, 0, 0x18, 0, 0xb], 3);
/// P-256 for key agreement.
pub(crate) const P256_DECRYPT: [u8; 22] = ecc(0x0002_0072, &[0, 0x10, 0, 0x10], 3);
/// Sealed data.
pub(crate) const SEALED: [u8; 14] = [0, 8, 0, 0xb, 0, 0, 0, 0x52, 0, 0, 0, 0x10, 0, 0];
/// An HMAC key, SHA-256.
pub(crate) const HMAC: [u8; 16] = [0, 8, 0, 0xb, 0, 4, 0, 0x72, 0, 0, 0, 5, 0, 0xb, 0, 0];
/// An AES-128 key, CFB.
pub(crate) const AES: [u8; 18] =
    [0, 0x25, 0, 0xb, 0, 6, 0, 0x72, 0, 0, 0, 6, 0, 0x80, 0, 0x43, 0, 0];

/// A storage key on a curve with AES, its unique value as given: another primary for each.
pub(crate) fn ecc_storage(curve: u8, cipher_bits: u16, unique: &[u8]) -> Vec<u8> {
    let bits = cipher_bits.to_be_bytes();
    let half = unique.len() / 2;
    let (x, y) = unique.split_at(half);
    [
        &[0, 0x23, 0, 0xb, 0, 3, 4, 0x72, 0, 0, 0, 6][..],
        &bits,
        &[0, 0x43, 0, 0x10, 0, curve, 0, 0x10],
        &crate::client::sized(x),
        &crate::client::sized(y),
    ]
    .concat()
}

const fn rsa<const N: usize>(attributes: u32, middle: &[u8], bits: u16) -> [u8; N] {
    let [high, low] = bits.to_be_bytes();
    area(1, attributes, middle, [high, low, 0, 0, 0, 0, 0, 0])
}

const fn ecc<const N: usize>(attributes: u32, middle: &[u8], curve: u8) -> [u8; N] {
    area(0x23, attributes, middle, [0, curve, 0, 0x10, 0, 0, 0, 0])
}

/// Type, SHA-256, attributes, no policy; cipher and scheme; and the rest.
const fn area<const N: usize>(kind: u8, attributes: u32, middle: &[u8], end: [u8; 8]) -> [u8; N] {
    assert!(N == 10 + middle.len() + 8, "the area is as long as its parts");
    let [a, b, c, d] = attributes.to_be_bytes();
    let front = [0, kind, 0, 0xb, a, b, c, d, 0, 0];
    let mut area = [0; N];
    let mut place = 0;
    while place < N {
        area[place] = if place < 10 {
            front[place]
        } else if place < 10 + middle.len() {
            middle[place - 10]
        } else {
            end[place - 10 - middle.len()]
        };
        place += 1;
    }
    area
}
