// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of X.509 certificates (RFC 5280) that TPM2_CertifyX509 reads and writes: the caller
//! gives what names people and times, the TPM adds what it vouches for.

mod der;
mod extension;
mod identifier;
mod partial;

pub use der::{DerWriter, header};
pub use extension::check_extensions;
pub use identifier::{public_key, signature_algorithm};
pub use partial::PartialCertificate;

/// Tags of ASN.1 (X.690, 8): universal ones, and those of certificates.
pub mod tag {
    /// BOOLEAN.
    pub const BOOLEAN: u8 = 0x01;
    /// INTEGER.
    pub const INTEGER: u8 = 0x02;
    /// BIT STRING.
    pub const BIT_STRING: u8 = 0x03;
    /// OCTET STRING.
    pub const OCTET_STRING: u8 = 0x04;
    /// NULL.
    pub const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER.
    pub const OBJECT_IDENTIFIER: u8 = 0x06;
    /// SEQUENCE.
    pub const SEQUENCE: u8 = 0x30;
    /// The version of a certificate, and the hash of RSASSA-PSS.
    pub const EXPLICIT_0: u8 = 0xa0;
    /// The mask generation of RSASSA-PSS.
    pub const EXPLICIT_1: u8 = 0xa1;
    /// The length of the salt of RSASSA-PSS.
    pub const EXPLICIT_2: u8 = 0xa2;
    /// The extensions of a certificate.
    pub const EXPLICIT_3: u8 = 0xa3;
}
