// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ECC_Decrypt (Part 3, 14.9).

use super::ecc_encrypt::select;
use super::point::{AgreementKey, SizedPoint};
use crate::crypto::ecc;
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::protect::key::curve_point;
use crate::structure::digest::MaxBuffer;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::KdfScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. Parameters: C1, C2, C3, inScheme. The response: plainText. A digest that
/// isn't that of the message is TPM_RC_VALUE.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (SizedPoint(point), mut data, digest, wanted): (SizedPoint, MaxBuffer, Digest, KdfScheme) =
        parameters.read()?;
    let key = AgreementKey::first(context)?;
    let hash = select(&context.state.object(context.handle(1))?.public, wanted, 4)?;
    let point = curve_point(key.curve, &point).map_err(|code| code.in_parameter(1))?;
    ecc::decrypt(key.curve, hash, &key.private, &point, data.as_mut_slice(), &digest).map_err(
        |error| match ResponseCode::from(error) {
            ResponseCode::ECC_POINT => ResponseCode::ECC_POINT.in_parameter(1),
            code => code,
        },
    )?;
    response.sized_bytes(&data)
}

#[cfg(test)]
mod tests {
    use super::super::ecc_encrypt::tests::{KDF2, encrypt};
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, hmac};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;
    use std::vec::Vec;

    /// What TPM2_ECC_Encrypt gave, as parameters.
    fn body(sent: &[u8], scheme: &[u16]) -> Vec<u8> {
        sent.iter().copied().chain(scheme.iter().flat_map(|word| word.to_be_bytes())).collect()
    }

    #[test]
    fn refuses_other_keys_points_and_schemes() {
        let mut machine = Machine::started();
        let mac = hmac(&mut machine, SIGN);
        let signing = ecc(&mut machine, SIGN, &[0x10]);
        let key = ecc(&mut machine, DECRYPT, &[0x10]);
        let sent = encrypt(&mut machine, key, b"message", KDF2).unwrap();
        let mut decrypt = |key, sent: &[u8], scheme: &[u16]| {
            machine.authorised(0x19a, &[key], &body(sent, scheme)).map(|_| ())
        };
        assert_eq!(decrypt(mac, &sent, KDF2), Err(ResponseCode::KEY.in_handle(1)));
        assert_eq!(decrypt(signing, &sent, KDF2), Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        assert_eq!(decrypt(key, &sent, &[0x10]), Err(ResponseCode::SCHEME.in_parameter(4)));
        let mut off = sent.clone();
        off[4] ^= 1;
        assert_eq!(decrypt(key, &off, KDF2), Err(ResponseCode::ECC_POINT.in_parameter(1)));
        // An octet of the message, and one of the digest.
        for place in [72, sent.len() - 1] {
            let mut other = sent.clone();
            other[place] ^= 1;
            assert_eq!(decrypt(key, &other, KDF2), Err(ResponseCode::VALUE), "{place}");
        }
        assert_eq!(decrypt(key, &sent, &[0x21, 0x0c]), Err(ResponseCode::VALUE));
        assert_eq!(decrypt(key, &sent, KDF2), Ok(()));
    }

    #[test]
    fn gives_the_message_back() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, DECRYPT, &[0x10]);
        for size in [0, 1, 32, 33, 1024] {
            let message: Vec<u8> = (0..size).map(|place: u32| place.to_be_bytes()[3]).collect();
            let sent = encrypt(&mut machine, key, &message, KDF2).unwrap();
            let received = machine.authorised(0x19a, &[key], &body(&sent, KDF2)).unwrap();
            assert_eq!(received[2..], message);
        }
    }
}
