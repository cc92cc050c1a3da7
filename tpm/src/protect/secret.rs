// SPDX-License-Identifier: MIT OR Apache-2.0
//! Secrets shared under an asymmetric key (Part 1, annexes B.10 and C.6): salts, seeds of
//! duplicates, and seeds of credentials.

use super::key::{curve_point, ecc_private, ecc_public, rsa_private, rsa_public, wire_point};
use crate::crypto::ecc;
use crate::crypto::hash::{DIGEST_SIZE_MAX, HashAlgorithm};
use crate::crypto::kdf::kdfe;
use crate::crypto::rsa::{oaep_decrypt, oaep_encrypt};
use crate::pipeline::Context;
use crate::structure::buffer::Buffer;
use crate::structure::ecc::EccPoint;
use crate::structure::handle::Handle;
use crate::structure::public::{ObjectType, Public};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Reader, Result, Writer};
use zeroize::{Zeroize, Zeroizing};

/// Octets of the longest encrypted secret: an RSA 4096 ciphertext; a point is shorter.
pub const ENCRYPTED_SECRET_SIZE_MAX: usize = 512;

/// TPM2B_ENCRYPTED_SECRET.
pub type EncryptedSecret = Buffer<ENCRYPTED_SECRET_SIZE_MAX>;

/// A shared secret: as long as a digest, or less under OAEP.
pub type SharedSecret = Buffer<DIGEST_SIZE_MAX>;

/// Octets of the longest label with its terminating zero.
const LABEL_SIZE_MAX: usize = 16;

/// The label as OAEP hashes it: with a terminating zero.
fn terminated(label: &[u8]) -> Result<Buffer<LABEL_SIZE_MAX>> {
    let mut terminated = Buffer::new(label)?;
    terminated.append(&[0])?;
    Ok(terminated)
}

fn name_algorithm(public: &Public) -> Result<HashAlgorithm> {
    public.name_algorithm.ok_or(ResponseCode::HASH)
}

/// Recovers the secret that somebody shared under the public part of a loaded key.
///
/// TPM_RC_KEY for a key that cannot share secrets, TPM_RC_VALUE for a wrong padding or a secret
/// longer than the key's digests, TPM_RC_ECC_POINT for a point that isn't on the curve, and
/// TPM_RC_SIZE or TPM_RC_INSUFFICIENT for a ciphertext of the wrong length.
pub fn decrypt_secret(
    context: &mut Context<'_>,
    key: Handle,
    label: &[u8],
    encrypted: &EncryptedSecret,
) -> Result<SharedSecret> {
    let object = context.state.object(key)?;
    let hash = name_algorithm(&object.public)?;
    match object.public.object_type() {
        ObjectType::Rsa => {
            let mut message = Zeroizing::new([0; ENCRYPTED_SECRET_SIZE_MAX]);
            let label = terminated(label)?;
            let power = context.platform.power();
            let (private, random) = rsa_private(context.state, key)?;
            let size =
                oaep_decrypt(private, power, random, (hash, &label), encrypted, &mut *message)?;
            if size > hash.digest_size() {
                return Err(ResponseCode::VALUE);
            }
            SharedSecret::new(message.get(..size).unwrap_or_default())
        }
        ObjectType::Ecc => {
            let mut reader = Reader::new(encrypted);
            let sent: EccPoint = reader.value()?;
            reader.finish()?;
            let (curve, private) = ecc_private(object)?;
            let (_, own) = ecc_public(&object.public)?;
            let sent = curve_point(curve, &sent)?;
            let shared = ecc::multiply(curve, &private, &sent)?;
            derive(hash, label, shared.x.as_bytes(), sent.x.as_bytes(), own.x.as_bytes())
        }
        ObjectType::KeyedHash | ObjectType::SymmetricCipher => Err(ResponseCode::KEY),
    }
}

/// Makes a fresh secret and shares it under a public key: the secret, and what to send.
pub fn encrypt_secret(
    context: &mut Context<'_>,
    public: &Public,
    label: &[u8],
) -> Result<(SharedSecret, EncryptedSecret)> {
    let hash = name_algorithm(public)?;
    match public.object_type() {
        ObjectType::Rsa => {
            let key = rsa_public(public)?;
            let mut secret = SharedSecret::zeroed(hash.digest_size())?;
            context.state.fill_random(secret.as_mut_slice())?;
            let label = terminated(label)?;
            let power = context.platform.power();
            let random = context.state.random()?;
            let sent = oaep_encrypt(&key, power, random, hash, &label, &secret)?;
            Ok((secret, EncryptedSecret::new(sent.as_bytes())?))
        }
        ObjectType::Ecc => {
            let (curve, own) = ecc_public(public)?;
            let ephemeral = ecc::generate(curve, context.state.random()?)?;
            let shared = ecc::multiply(curve, &ephemeral.private, &own)?;
            let sent_x = ephemeral.public.x.as_bytes();
            let secret = derive(hash, label, shared.x.as_bytes(), sent_x, own.x.as_bytes())?;
            let mut buffer = [0; ENCRYPTED_SECRET_SIZE_MAX];
            let mut writer = Writer::new(&mut buffer);
            writer.value(&wire_point(&ephemeral.public)?)?;
            Ok((secret, EncryptedSecret::new(writer.written())?))
        }
        ObjectType::KeyedHash | ObjectType::SymmetricCipher => Err(ResponseCode::KEY),
    }
}

/// KDFe over the shared coordinate and those of the ephemeral and the static key.
fn derive(
    hash: HashAlgorithm,
    label: &[u8],
    shared_x: &[u8],
    sent_x: &[u8],
    own_x: &[u8],
) -> Result<SharedSecret> {
    let mut secret = [0; DIGEST_SIZE_MAX];
    let (used, _) = secret.split_at_mut_checked(hash.digest_size()).unwrap_or_default();
    let bits = u32::try_from(used.len().saturating_mul(8)).map_err(|_| ResponseCode::FAILURE)?;
    kdfe(hash, shared_x, label, sent_x, own_x, bits, used)?;
    let shared = SharedSecret::new(used);
    secret.zeroize();
    shared
}
