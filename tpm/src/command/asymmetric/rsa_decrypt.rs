// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_RSA_Decrypt (Part 3, 14.3).

use zeroize::Zeroizing;

use super::rsa_padding::{Padding, check_label};
use crate::crypto::rsa::{MODULUS_SIZE_MAX, oaep_decrypt, rsaes_decrypt};
use crate::pipeline::Context;
use crate::protect::key::rsa_private;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::digest::Data;
use crate::structure::public::{ObjectType, RsaBuffer};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::RsaDecryptScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. Parameters: cipherText, as long as the modulus; inScheme; label. The
/// response: message, without its padding; as long as the modulus if there was none.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (ciphertext, RsaDecryptScheme(wanted), label): (RsaBuffer, RsaDecryptScheme, Data) =
        parameters.read()?;
    let handle = context.handle(1);
    let object = context.state.object(handle)?;
    if object.public.object_type() != ObjectType::Rsa {
        return Err(ResponseCode::KEY.in_handle(1));
    }
    if object.has(Bits::RESTRICTED) || !object.has(Bits::DECRYPT) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    check_label(&label)?;
    let padding = Padding::select(&object.public, wanted)?;
    let power = context.platform.power();
    let (key, random) = rsa_private(context.state, handle)?;
    if ciphertext.len() != key.public().size() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    let mut message = Zeroizing::new([0; MODULUS_SIZE_MAX]);
    let size = match padding {
        Padding::None => {
            let number = key.apply(power, random, &ciphertext)?;
            return response.sized_bytes(number.as_bytes());
        }
        Padding::Pkcs1 => rsaes_decrypt(key, power, random, &ciphertext, &mut *message)?,
        Padding::Oaep(hash) => {
            let message = &mut *message;
            oaep_decrypt(key, power, random, (hash, &label), &ciphertext, message)?
        }
    };
    response.sized_bytes(message.get(..size).ok_or(ResponseCode::FAILURE)?)
}

#[cfg(test)]
mod tests {
    use crate::command::asymmetric::rsa_encrypt::tests::body;
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, rsa};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn refuses_other_keys_and_what_is_not_encrypted_so() {
        let mut machine = Machine::started();
        let curve = ecc(&mut machine, DECRYPT, &[0x10]);
        let signing = rsa(&mut machine, SIGN, &[0x10]);
        let key = rsa(&mut machine, DECRYPT, &[0x17, 0x0b]);
        let mut decrypt = |key: u32, body: &[u8]| machine.authorised(0x159, &[key], body);
        let cipher = [1; 256];
        let none = &[0x10];
        assert_eq!(decrypt(curve, &body(&cipher, none, b"")), Err(ResponseCode::KEY.in_handle(1)));
        let refused = decrypt(signing, &body(&cipher, none, b""));
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        let refused = decrypt(key, &body(&cipher, none, b"x"));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(3)));
        let refused = decrypt(key, &body(&cipher, &[0x17, 0x0c], b""));
        assert_eq!(refused, Err(ResponseCode::SCHEME.in_parameter(2)));
        for size in [0, 255, 257] {
            let refused = decrypt(key, &body(&std::vec![1; size], none, b""));
            assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        }
        assert_eq!(decrypt(key, &body(&[0xff; 256], none, b"")), Err(ResponseCode::VALUE));
        assert_eq!(decrypt(key, &body(&cipher, none, b"")), Err(ResponseCode::VALUE));
    }
}
