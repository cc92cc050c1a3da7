// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ECC_Encrypt (Part 3, 14.8), and which scheme it and TPM2_ECC_Decrypt use.

use crate::crypto::ecc;
use crate::crypto::hash::HashAlgorithm;
use crate::pipeline::Context;
use crate::protect::key::{ecc_public, wire_point};
use crate::structure::digest::MaxBuffer;
use crate::structure::public::{Public, PublicParameters};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::{KdfScheme, KeyDerivation};
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. Parameters: plainText, inScheme. The response: C1, C2, C3. What the key may
/// be used for is not looked at: only its public point is needed.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (mut data, wanted): (MaxBuffer, KdfScheme) = parameters.read()?;
    let public = &context.state.object(context.handle(1))?.public;
    let hash = select(public, wanted, 2)?;
    let (curve, point) = ecc_public(public)?;
    let random = context.state.random()?;
    let (ephemeral, digest) = ecc::encrypt(curve, hash, &point, data.as_mut_slice(), random)?;
    response.sized_value(&wire_point(&ephemeral)?)?;
    response.sized_bytes(&data)?;
    response.value(&digest)
}

/// The hash of the scheme: the key's, or what the caller wants in parameter `parameter`. There is
/// only KDF2. TPM_RC_KEY for a key of another kind, TPM_RC_SCHEME for another scheme or none.
pub(super) fn select(public: &Public, wanted: KdfScheme, parameter: u8) -> Result<HashAlgorithm> {
    let PublicParameters::Ecc(key) = &public.parameters else {
        return Err(ResponseCode::KEY.in_handle(1));
    };
    let selected = match (key.kdf.0, wanted.0) {
        (own, None) => own,
        (None, wanted) => wanted,
        (own, wanted) if own == wanted => own,
        _ => None,
    };
    match selected {
        Some((KeyDerivation::Kdf2, hash)) => Ok(hash),
        _ => Err(ResponseCode::SCHEME.in_parameter(parameter)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, hmac, public_part};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};
    use crate::wire::Result;
    use std::vec::Vec;

    /// KDF2 with SHA-256.
    pub(in super::super) const KDF2: &[u16] = &[0x21, 0x0b];

    /// TPM2_ECC_Encrypt.
    pub(in super::super) fn encrypt(
        machine: &mut Machine,
        key: u32,
        message: &[u8],
        scheme: &[u16],
    ) -> Result<Vec<u8>> {
        let body = parameters(|writer| {
            writer.value(&key)?;
            writer.sized_bytes(message)?;
            scheme.iter().try_for_each(|word| writer.value(word))
        });
        machine.command(0x199, &body)
    }

    #[test]
    fn refuses_other_keys_schemes_and_messages() {
        let mut machine = Machine::started();
        let mac = hmac(&mut machine, SIGN);
        let key = ecc(&mut machine, DECRYPT, &[0x10]);
        let refused = encrypt(&mut machine, mac, b"m", KDF2);
        assert_eq!(refused, Err(ResponseCode::KEY.in_handle(1)));
        for scheme in [&[0x10][..], &[0x07, 0x0b], &[0x20, 0x0b], &[0x22, 0x0b]] {
            let refused = encrypt(&mut machine, key, b"m", scheme);
            assert_eq!(refused, Err(ResponseCode::SCHEME.in_parameter(2)), "{scheme:x?}");
        }
        let refused = encrypt(&mut machine, key, b"m", &[0x14, 0x0b]);
        assert_eq!(refused, Err(ResponseCode::KDF.in_parameter(2)));
        let refused = encrypt(&mut machine, key, b"m", &[0x21, 0x10]);
        assert_eq!(refused, Err(ResponseCode::HASH.in_parameter(2)));
        let refused = encrypt(&mut machine, key, &[0; 1025], KDF2);
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
    }

    #[test]
    fn a_public_point_is_enough() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, SIGN, &[0x10]);
        let public = public_part(&mut machine, key);
        let sent = encrypt(&mut machine, public, &[7; 1024], KDF2).unwrap();
        assert_eq!(sent.len(), 2 + 68 + 2 + 1024 + 2 + 32);
        let again = encrypt(&mut machine, public, &[7; 1024], KDF2).unwrap();
        assert_ne!(sent, again, "the ephemeral key is fresh");
    }
}
