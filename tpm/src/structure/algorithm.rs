// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_ALG_ID (Part 2, 6.3) and what the engine says of each (TPMA_ALGORITHM, 8.2).

use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer, wire_bits};

/// An algorithm identifier; not necessarily one that is implemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AlgorithmId(pub u16);

impl Unmarshal for AlgorithmId {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.value().map(Self)
    }
}

impl Marshal for AlgorithmId {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.0)
    }
}

wire_bits! {
    /// TPMA_ALGORITHM (Part 2, 8.2).
    AlgorithmAttributes: u32 {
        /// An asymmetric algorithm with public and private portions.
        ASYMMETRIC = 1 << 0,
        /// A symmetric block cipher.
        SYMMETRIC = 1 << 1,
        /// A hash algorithm.
        HASH = 1 << 2,
        /// May be used as an object type.
        OBJECT = 1 << 3,
        /// A signing algorithm.
        SIGNING = 1 << 8,
        /// An encryption or decryption algorithm.
        ENCRYPTING = 1 << 9,
        /// A method such as a key derivation function.
        METHOD = 1 << 10,
    }
}

macro_rules! algorithms {
    ($($(#[$doc:meta])* $name:ident = $value:literal: $($attribute:ident)|+;)*) => {
        impl AlgorithmId {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The implemented algorithms in ascending order, with their attributes.
            pub const IMPLEMENTED: &'static [(Self, AlgorithmAttributes)] = &[$(
                (
                    Self::$name,
                    AlgorithmAttributes::empty()$(.with(AlgorithmAttributes::$attribute))+,
                ),
            )*];
        }
    };
}

impl AlgorithmId {
    /// Whether TPM2_GetCapability lists an implemented algorithm. SHA-3 is not: the feature API of
    /// tpm2-tss (at least to 4.1.3) has no name for it, and refuses to work with a TPM that lists
    /// an algorithm that it cannot name. TPM2_TestParms and TPM2_Hash tell that it is there.
    pub const fn is_listed(self) -> bool {
        !matches!(self, Self::SHA3_256 | Self::SHA3_384 | Self::SHA3_512)
    }

    /// No algorithm.
    pub const NULL: Self = Self(0x0010);
}

algorithms! {
    /// RSA.
    RSA = 0x0001: ASYMMETRIC | OBJECT;
    /// SHA-1.
    SHA1 = 0x0004: HASH;
    /// HMAC as a signing scheme.
    HMAC = 0x0005: HASH | SIGNING;
    /// AES.
    AES = 0x0006: SYMMETRIC;
    /// Mask generation function 1.
    MGF1 = 0x0007: HASH | METHOD;
    /// A keyed hash object: HMAC key, XOR key or sealed data.
    KEYED_HASH = 0x0008: HASH | OBJECT | SIGNING | ENCRYPTING;
    /// XOR obfuscation.
    XOR = 0x000a: HASH | SYMMETRIC;
    /// SHA-256.
    SHA256 = 0x000b: HASH;
    /// SHA-384.
    SHA384 = 0x000c: HASH;
    /// SHA-512.
    SHA512 = 0x000d: HASH;
    /// SM3 with 256 bits.
    SM3_256 = 0x0012: HASH;
    /// SM4.
    SM4 = 0x0013: SYMMETRIC;
    /// RSASSA-PKCS1-v1_5.
    RSASSA = 0x0014: ASYMMETRIC | SIGNING;
    /// RSAES-PKCS1-v1_5.
    RSAES = 0x0015: ASYMMETRIC | ENCRYPTING;
    /// RSASSA-PSS.
    RSAPSS = 0x0016: ASYMMETRIC | SIGNING;
    /// RSAES-OAEP.
    OAEP = 0x0017: ASYMMETRIC | ENCRYPTING;
    /// ECDSA.
    ECDSA = 0x0018: ASYMMETRIC | SIGNING;
    /// Diffie-Hellman over elliptic curves.
    ECDH = 0x0019: ASYMMETRIC | METHOD;
    /// Anonymous attestation over elliptic curves.
    ECDAA = 0x001a: ASYMMETRIC | SIGNING;
    /// SM2 signatures and key exchange.
    SM2 = 0x001b: ASYMMETRIC | SIGNING;
    /// Schnorr signatures over elliptic curves.
    EC_SCHNORR = 0x001c: ASYMMETRIC | SIGNING;
    /// Two-phase key exchange MQV over elliptic curves.
    EC_MQV = 0x001d: ASYMMETRIC | METHOD;
    /// Concatenation KDF of SP 800-56A.
    KDF1_SP800_56A = 0x0020: HASH | METHOD;
    /// KDF2 of IEEE 1363a.
    KDF2 = 0x0021: HASH | METHOD;
    /// Counter-mode KDF of SP 800-108.
    KDF1_SP800_108 = 0x0022: HASH | METHOD;
    /// Elliptic curve keys.
    ECC = 0x0023: ASYMMETRIC | OBJECT;
    /// Symmetric cipher objects.
    SYMMETRIC_CIPHER = 0x0025: OBJECT;
    /// Camellia.
    CAMELLIA = 0x0026: SYMMETRIC;
    /// SHA3-256.
    SHA3_256 = 0x0027: HASH;
    /// SHA3-384.
    SHA3_384 = 0x0028: HASH;
    /// SHA3-512.
    SHA3_512 = 0x0029: HASH;
    /// Cipher-based MAC.
    CMAC = 0x003f: SYMMETRIC | SIGNING;
    /// Counter mode.
    CTR = 0x0040: SYMMETRIC | ENCRYPTING;
    /// Output feedback mode.
    OFB = 0x0041: SYMMETRIC | ENCRYPTING;
    /// Cipher block chaining mode.
    CBC = 0x0042: SYMMETRIC | ENCRYPTING;
    /// Cipher feedback mode.
    CFB = 0x0043: SYMMETRIC | ENCRYPTING;
    /// Electronic codebook mode.
    ECB = 0x0044: SYMMETRIC | ENCRYPTING;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_ascending() {
        assert!(AlgorithmId::IMPLEMENTED.is_sorted_by(|a, b| a.0 < b.0));
        assert!(!AlgorithmId::IMPLEMENTED.iter().any(|entry| entry.0 == AlgorithmId::NULL));
    }
}
