// SPDX-License-Identifier: MIT OR Apache-2.0
//! A session's salt, as only the TPM with the key can read it (Part 1, annexes B.10.2 and C.6.1).

use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::ecc;
use tpm::crypto::kdf::kdfe;
use tpm::crypto::rsa::{Portable, oaep_encrypt};
use tpm::protect::key::{ecc_public, rsa_public};
use tpm::structure::public::{ObjectType, Public};
use tpm::wire::{Reader, Unmarshal};

use crate::octets::Octets;

/// A salt.
#[derive(Clone, Debug)]
pub struct Salt {
    /// What caller and TPM know.
    pub secret: Vec<u8>,
    /// What the TPM gets.
    pub encrypted: Vec<u8>,
}

impl Salt {
    /// That of sessions without one.
    pub const NONE: Self = Self { secret: Vec::new(), encrypted: Vec::new() };

    /// One for the key with this public area. For what is no such key it is nothing that a TPM
    /// could read.
    pub fn for_key(public: &[u8]) -> Self {
        let public = Public::unmarshal(&mut Reader::new(public)).ok();
        let salt = public.and_then(|public| match public.object_type() {
            ObjectType::Rsa => Self::by_oaep(&public),
            ObjectType::Ecc => Self::by_agreement(&public),
            ObjectType::KeyedHash | ObjectType::SymmetricCipher => None,
        });
        salt.unwrap_or_else(|| Self { secret: Vec::new(), encrypted: vec![1; 32] })
    }

    fn by_oaep(public: &Public) -> Option<Self> {
        let hash = public.name_algorithm?;
        let key = rsa_public(public).ok()?;
        let secret = vec![0x5a; hash.digest_size()];
        let label = b"SECRET\0";
        let sent = oaep_encrypt(&key, &Portable, &mut random(), hash, label, &secret).ok()?;
        Some(Self { secret, encrypted: sent.as_bytes().to_vec() })
    }

    fn by_agreement(public: &Public) -> Option<Self> {
        let hash = public.name_algorithm?;
        let (curve, point) = ecc_public(public).ok()?;
        let own = ecc::generate(curve, &mut random()).ok()?;
        let shared = ecc::multiply(curve, &own.private, &point).ok()?;
        let (x, y) = (own.public.x.as_bytes(), own.public.y.as_bytes());
        let mut secret = vec![0; hash.digest_size()];
        let bits = u32::try_from(secret.len() * 8).ok()?;
        let (shared, other) = (shared.x.as_bytes(), point.x.as_bytes());
        kdfe(hash, shared, b"SECRET", x, other, bits, &mut secret).ok()?;
        Some(Self { secret, encrypted: Octets::new().sized(x).sized(y).0 })
    }
}

/// The same each time: nothing here needs to stay secret.
fn random() -> CtrDrbg {
    CtrDrbg::from_seed(&[0x5a; 48])
}
