// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ID block: who made the guest, signed. AMD 56860, 8.18 (SNP_LAUNCH_FINISH), tables 76 and 77.

use igvm_defs::{
    IGVM_VHS_SNP_ID_BLOCK, IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY as PublicKey,
    IGVM_VHS_SNP_ID_BLOCK_SIGNATURE as IdSignature,
};
use p384::{
    Sec1Point,
    ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier},
};
use sha2::{Digest as _, Sha384};
use snp_abi::{
    guest_request::status,
    launch::{CURVE_P384, Digest, GuestPolicy, IdBlock, IdKey},
    report::ALGORITHM_ECDSA_P384_SHA384,
};
use zerocopy::{FromZeros, IntoBytes};

use super::{FirmwareError, INVALID_PARAMETER};

/// Bytes of a coordinate or scalar of P-384.
const FIELD_SIZE: usize = 48;
/// Version that QEMU, and so the machine, gives an ID block.
const ID_BLOCK_VERSION: u32 = 1;

/// What a verified ID block says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) family_id: [u8; 16],
    pub(super) image_id: [u8; 16],
    pub(super) guest_svn: u32,
    /// SHA-384 of the key that signed the block; zeros without a block.
    pub(super) id_key_digest: Digest,
    /// SHA-384 of the key that signed that key, if there is one.
    pub(super) author_key_digest: Option<Digest>,
}

impl Identity {
    /// No ID block.
    pub(super) const NONE: Self = Self {
        family_id: [0; 16],
        image_id: [0; 16],
        guest_svn: 0,
        id_key_digest: [0; 48],
        author_key_digest: None,
    };

    /// Checks a block against the launch.
    pub(super) fn verify(
        block: &IGVM_VHS_SNP_ID_BLOCK,
        policy: GuestPolicy,
        digest: &Digest,
    ) -> Result<Self, FirmwareError> {
        if block.ld != *digest {
            return Err(FirmwareError(status::BAD_MEASUREMENT));
        }
        // QEMU goes by the key's curve, other hosts by the flag.
        let has_author = match (block.author_key_enabled, block.author_public_key.curve) {
            (0, 0) => false,
            (1, 1..) => true,
            _ => return Err(INVALID_PARAMETER),
        };
        let algorithms = [
            block.id_key_algorithm,
            if has_author { block.author_key_algorithm } else { ALGORITHM_ECDSA_P384_SHA384 },
        ];
        if algorithms != [ALGORITHM_ECDSA_P384_SHA384; 2] {
            return Err(INVALID_PARAMETER);
        }
        let signed = IdBlock {
            launch_digest: block.ld,
            family_id: block.family_id,
            image_id: block.image_id,
            version: ID_BLOCK_VERSION,
            guest_svn: block.guest_svn,
            policy: policy.bits(),
        };
        let id_key = id_key(&block.id_public_key);
        check_signature(&id_key, &block.id_key_signature, signed.as_bytes())?;
        let author_key_digest = if has_author {
            let author_key = self::id_key(&block.author_public_key);
            check_signature(&author_key, &block.author_key_signature, id_key.as_bytes())?;
            Some(Sha384::digest(author_key.as_bytes()).into())
        } else {
            None
        };
        Ok(Self {
            family_id: block.family_id,
            image_id: block.image_id,
            guest_svn: block.guest_svn,
            id_key_digest: Sha384::digest(id_key.as_bytes()).into(),
            author_key_digest,
        })
    }
}

/// The key as the firmware has it; the IGVM file's form differs.
fn id_key(key: &PublicKey) -> IdKey {
    IdKey { curve: key.curve, x: key.qx, y: key.qy, ..IdKey::new_zeroed() }
}

fn check_signature(
    key: &IdKey,
    signature: &IdSignature,
    message: &[u8],
) -> Result<(), FirmwareError> {
    verifying_key(key)
        .zip(decode_signature(signature))
        .filter(|(key, signature)| key.verify_prehash(&Sha384::digest(message), signature).is_ok())
        .map(|_| ())
        .ok_or(FirmwareError(status::BAD_SIGNATURE))
}

fn verifying_key(key: &IdKey) -> Option<VerifyingKey> {
    if key.curve != CURVE_P384 {
        return None;
    }
    let (x, y) = (big_endian(&key.x)?, big_endian(&key.y)?);
    let point = Sec1Point::from_affine_coordinates(&x.into(), &y.into(), false);
    VerifyingKey::from_sec1_point(&point).ok()
}

fn decode_signature(signature: &IdSignature) -> Option<Signature> {
    let (r, s) = (big_endian(&signature.r_comp)?, big_endian(&signature.s_comp)?);
    Signature::from_scalars(r, s).ok()
}

/// A number of the firmware's, which is little endian and zero extended.
fn big_endian(number: &[u8; 72]) -> Option<[u8; FIELD_SIZE]> {
    let (low, high) = number.split_first_chunk::<FIELD_SIZE>()?;
    let mut bytes = *low;
    bytes.reverse();
    high.iter().all(|&byte| byte == 0).then_some(bytes)
}
