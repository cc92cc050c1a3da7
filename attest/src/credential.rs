// SPDX-License-Identifier: MIT OR Apache-2.0
//! Credentials: a secret that only the TPM with this endorsement key can open, and only for the key
//! with this Name. TPM 2.0 Part 1, 24 (Credential Protection) and Annexes B.10.4, C.6.1; the same
//! as TPM2_MakeCredential, without a TPM.

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use p256::elliptic_curve::{
    CurveArithmetic, PublicKey, SecretKey,
    ecdh::diffie_hellman,
    sec1::{FromSec1Point, ModulusSize, ToSec1Point},
};
use rand_core::CryptoRng;
use rsa::Oaep;
use sha2::{Sha256, Sha384, Sha512};

use crate::{
    hash::Hash,
    public_area::{Curve, Key, PublicArea},
    signature::rsa_key,
};

/// Bytes of the secret in a credential.
pub const SECRET_BYTES: usize = 32;
/// What tpm2-tools' credential files begin with: a magic number and version 1.
const FILE_HEAD: [u8; 8] = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];
/// Scalars drawn before giving up: one draw fails with a chance below 2^-32.
const DRAWS_MAX: usize = 8;

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// TPM2B_ID_OBJECT.
    pub id_object: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET.
    pub encrypted_secret: Vec<u8>,
}

impl Credential {
    /// Both parts behind the head of tpm2-tools' files, as tpm2_activatecredential reads them.
    #[must_use]
    pub fn to_file(&self) -> Vec<u8> {
        [&FILE_HEAD, self.id_object.as_slice(), &self.encrypted_secret].concat()
    }

    /// Hides a secret; `None` when the endorsement key isn't a storage key on which that is
    /// possible.
    pub fn make(
        ek: &PublicArea,
        name: &[u8],
        secret: &[u8; SECRET_BYTES],
        random: &mut impl CryptoRng,
    ) -> Option<Self> {
        let hash = ek.name_algorithm;
        let key_bits = ek.symmetric_bits?;
        let (seed, encrypted_secret) = share_seed(ek, random)?;

        let storage_key = kdf_a(hash, &seed, b"STORAGE", name, usize::from(key_bits / 8));
        let mut identity = sized(secret)?;
        encrypt_cfb(&storage_key, &mut identity)?;
        let integrity_key = kdf_a(hash, &seed, b"INTEGRITY", &[], hash.size());
        let integrity = hash.hmac(&integrity_key, &[&identity, name]);

        let id_object = sized(&[sized(&integrity)?, identity].concat())?;
        Some(Self { id_object, encrypted_secret: sized(&encrypted_secret)? })
    }
}

/// A seed that the key's owner can recover, and what it recovers it from.
fn share_seed(ek: &PublicArea, random: &mut impl CryptoRng) -> Option<(Vec<u8>, Vec<u8>)> {
    let hash = ek.name_algorithm;
    match &ek.key {
        Key::Rsa { modulus, exponent } => {
            let mut seed = vec![0; hash.size()];
            random.fill_bytes(&mut seed);
            let key = rsa_key(modulus, *exponent)?;
            // The label's terminating zero is part of it (Part 1, B.4).
            let label = &b"IDENTITY\0"[..];
            let encrypted = match hash {
                Hash::Sha256 => key.encrypt(random, Oaep::<Sha256>::new_with_label(label), &seed),
                Hash::Sha384 => key.encrypt(random, Oaep::<Sha384>::new_with_label(label), &seed),
                Hash::Sha512 => key.encrypt(random, Oaep::<Sha512>::new_with_label(label), &seed),
                Hash::Sha1 => return None,
            };
            Some((seed, encrypted.ok()?))
        }
        Key::Ecc { curve: Curve::P256, point } => share_on::<p256::NistP256>(hash, point, random),
        Key::Ecc { curve: Curve::P384, point } => share_on::<p384::NistP384>(hash, point, random),
    }
}

/// One-pass Diffie-Hellman (Part 1, C.6.1): the seed, and the ephemeral point as TPMS_ECC_POINT.
fn share_on<C>(hash: Hash, point: &[u8], random: &mut impl CryptoRng) -> Option<(Vec<u8>, Vec<u8>)>
where
    C: CurveArithmetic,
    C::FieldBytesSize: ModulusSize,
    C::AffinePoint: FromSec1Point<C> + ToSec1Point<C>,
{
    let recipient = PublicKey::<C>::from_sec1_bytes(point).ok()?;
    let ephemeral = (0..DRAWS_MAX).find_map(|_| {
        let mut scalar = vec![0; point.len() / 2];
        random.fill_bytes(&mut scalar);
        SecretKey::<C>::from_slice(&scalar).ok()
    })?;
    let shared = diffie_hellman(ephemeral.to_nonzero_scalar(), recipient.as_affine());
    let own = ephemeral.public_key().to_sec1_point(false);
    let (own_x, own_y) = (own.x()?, own.y()?);
    let recipient = recipient.to_sec1_point(false);
    let seed = kdf_e(hash, shared.raw_secret_bytes(), b"IDENTITY", own_x, recipient.x()?);
    Some((seed, [sized(own_x)?, sized(own_y)?].concat()))
}

/// KDFa (Part 1, 11.4.10.2) without contextV.
fn kdf_a(hash: Hash, key: &[u8], label: &[u8], context: &[u8], length: usize) -> Vec<u8> {
    let bits = u32::try_from(length * 8).unwrap_or(u32::MAX).to_be_bytes();
    let mut stream = Vec::new();
    for counter in 1_u32.. {
        if stream.len() >= length {
            break;
        }
        stream.extend(hash.hmac(key, &[&counter.to_be_bytes(), label, &[0], context, &bits]));
    }
    stream.truncate(length);
    stream
}

/// KDFe (Part 1, 11.4.10.3) for as many bits as the hash gives.
pub(crate) fn kdf_e(hash: Hash, z: &[u8], label: &[u8], party_u: &[u8], party_v: &[u8]) -> Vec<u8> {
    hash.digest(&[&1_u32.to_be_bytes(), z, label, &[0], party_u, party_v])
}

/// AES-CFB with an IV of zeros.
fn encrypt_cfb(key: &[u8], bytes: &mut [u8]) -> Option<()> {
    match key.len() {
        16 => cfb(&Aes128::new_from_slice(key).ok()?, bytes),
        24 => cfb(&Aes192::new_from_slice(key).ok()?, bytes),
        32 => cfb(&Aes256::new_from_slice(key).ok()?, bytes),
        _ => return None,
    }
    Some(())
}

fn cfb<C: BlockCipherEncrypt<BlockSize = aes::cipher::consts::U16>>(cipher: &C, bytes: &mut [u8]) {
    let mut feedback = aes::Block::default();
    for chunk in bytes.chunks_mut(16) {
        cipher.encrypt_block(&mut feedback);
        for (byte, mask) in chunk.iter_mut().zip(&mut feedback) {
            *byte ^= *mask;
            *mask = *byte;
        }
    }
}

/// A TPM2B.
fn sized(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    Some([&length.to_be_bytes(), bytes].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfb_is_that_of_the_standard() {
        // NIST SP 800-38A, F.3.13, with its IV folded into the first block.
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").expect("hex");
        let mut zeros = vec![0; 16];
        encrypt_cfb(&key, &mut zeros).expect("a key");
        // FIPS 197: AES-128 of a block of zeros under this key.
        assert_eq!(hex::encode(&zeros), "7df76b0c1ab899b33e42f047b91b546f");
        assert_eq!(encrypt_cfb(&key[..15], &mut zeros), None);
    }

    #[test]
    fn keys_are_as_long_as_they_must_be() {
        let long = kdf_a(Hash::Sha256, b"key", b"STORAGE", b"name", 80);
        assert_eq!(long.len(), 80);
        let other = kdf_a(Hash::Sha256, b"key", b"STORAGE", b"name", 32);
        assert_ne!(long[..32], other, "the length is part of the input");
    }
}
