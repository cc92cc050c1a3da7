// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_RSA_Encrypt (Part 3, 14.2).

use super::rsa_padding::{Padding, check_label};
use crate::crypto::CryptoError;
use crate::crypto::rsa::{oaep_encrypt, rsaes_encrypt};
use crate::pipeline::Context;
use crate::protect::key::rsa_public;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::digest::Data;
use crate::structure::public::{ObjectType, RsaBuffer};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::RsaDecryptScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. Parameters: message, inScheme, label. The response: outData, as long as the
/// modulus.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (message, RsaDecryptScheme(wanted), label): (RsaBuffer, RsaDecryptScheme, Data) =
        parameters.read()?;
    let public = &context.state.object(context.handle(1))?.public;
    if public.object_type() != ObjectType::Rsa {
        return Err(ResponseCode::KEY.in_handle(1));
    }
    if !public.has(Bits::DECRYPT) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    check_label(&label)?;
    let padding = Padding::select(public, wanted)?;
    let key = rsa_public(public)?;
    let power = context.platform.power();
    let random = context.state.random()?;
    let encrypted = match padding {
        Padding::None => key.apply(power, &message),
        Padding::Pkcs1 => rsaes_encrypt(&key, power, random, &message),
        Padding::Oaep(hash) => oaep_encrypt(&key, power, random, hash, &label, &message),
    };
    let encrypted = encrypted.map_err(|error| match error {
        // The digests alone are too long for the key.
        CryptoError::Size => ResponseCode::HASH,
        other => other.into(),
    })?;
    response.sized_bytes(encrypted.as_bytes())
}

#[cfg(test)]
pub(super) mod tests {
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, public_part, rsa};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};
    use std::vec::Vec;

    pub(in super::super) fn body(message: &[u8], scheme: &[u16], label: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(message)?;
            scheme.iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(label)
        })
    }

    fn encrypt(machine: &mut Machine, key: u32, body: &[u8]) -> crate::wire::Result<Vec<u8>> {
        machine.command(0x174, &[&key.to_be_bytes(), body].concat())
    }

    #[test]
    fn refuses_other_keys_labels_and_messages() {
        let mut machine = Machine::started();
        let curve = ecc(&mut machine, DECRYPT, &[0x10]);
        let signing = rsa(&mut machine, SIGN, &[0x10]);
        let key = rsa(&mut machine, DECRYPT, &[0x17, 0x0b]);
        let mut encrypt = |key, body: &[u8]| encrypt(&mut machine, key, body).map(|_| ());
        let none = &[0x10];
        assert_eq!(encrypt(curve, &body(b"m", none, b"")), Err(ResponseCode::KEY.in_handle(1)));
        let refused = encrypt(signing, &body(b"m", none, b""));
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        let refused = encrypt(key, &body(b"m", none, b"label"));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(3)));
        let refused = encrypt(key, &body(b"m", &[0x15], b""));
        assert_eq!(refused, Err(ResponseCode::SCHEME.in_parameter(2)));
        let refused = encrypt(key, &body(b"m", &[0x14, 0x0b], b""));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(2)), "a signing scheme");
        assert_eq!(encrypt(key, &body(&[1; 191], none, b"")), Err(ResponseCode::VALUE));
        assert_eq!(encrypt(key, &body(&[1; 190], none, b"")), Ok(()));
    }

    /// CVE-2021-3569: the size of what is decrypted.
    #[test]
    fn cve_2021_3569_what_is_decrypted_has_its_own_size() {
        let mut machine = Machine::started();
        let key = rsa(&mut machine, DECRYPT, &[0x10]);
        let public = public_part(&mut machine, key);
        for (scheme, label) in
            [(&[0x17, 0x0b][..], &b"label\0"[..]), (&[0x15], b""), (&[0x10], b"")]
        {
            let sent = encrypt(&mut machine, public, &body(b"message", scheme, label)).unwrap();
            assert_eq!(sent.len(), 2 + 256);
            let received = machine.authorised(0x159, &[key], &body(&sent[2..], scheme, label));
            let received = received.unwrap();
            if scheme == [0x10] {
                assert_eq!(received, [&[1, 0][..], &[0; 249], b"message"].concat());
            } else {
                assert_eq!(received, [&[0, 7][..], b"message"].concat());
            }
        }
    }
}
