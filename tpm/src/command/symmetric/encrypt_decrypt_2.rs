// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_EncryptDecrypt2 (Part 3, 15.3).

use super::cipher::{EncryptionMode, InitialVector, Places, Work};
use crate::pipeline::Context;
use crate::structure::digest::MaxBuffer;
use crate::wire::{Parameters, Result, Writer};

const PLACES: Places = Places { data: 1, mode: 3, vector: 4 };

/// Handles: keyHandle. Parameters: inData, decrypt, mode, ivIn. The response: outData, ivOut.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (data, is_decryption, mode, vector): (MaxBuffer, bool, EncryptionMode, InitialVector) =
        parameters.read()?;
    Work { is_decryption, mode, vector, data }.execute(context, &PLACES, response)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{DECRYPT, SIGN, aes, ecc};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};
    use std::vec::Vec;

    fn body(data: &[u8], is_decryption: bool, mode: u16, vector: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(data)?;
            writer.value(&is_decryption)?;
            writer.value(&mode)?;
            writer.sized_bytes(vector)
        })
    }

    #[test]
    fn the_key_decides_what_it_does() {
        let mut machine = Machine::started();
        let curve = ecc(&mut machine, DECRYPT, &[0x10]);
        let encrypting = aes(&mut machine, SIGN, 0x10);
        let decrypting = aes(&mut machine, DECRYPT, 0x43);
        let mac = aes(&mut machine, SIGN, 0x3f);
        let mut run = |key: u32, is_decryption: bool, mode: u16| {
            let body = body(&[1; 16], is_decryption, mode, &[0; 16]);
            machine.authorised(0x193, &[key], &body).map(|_| ())
        };
        assert_eq!(run(curve, true, 0x43), Err(ResponseCode::KEY.in_handle(1)));
        assert_eq!(run(encrypting, true, 0x43), Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        assert_eq!(run(decrypting, false, 0x43), Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        assert_eq!(run(mac, false, 0x43), Err(ResponseCode::MODE.in_handle(1)));
        assert_eq!(run(encrypting, false, 0x3f), Err(ResponseCode::MODE.in_parameter(3)));
        assert_eq!(run(encrypting, false, 0x10), Err(ResponseCode::MODE.in_parameter(3)));
        assert_eq!(run(decrypting, true, 0x42), Err(ResponseCode::MODE.in_parameter(3)));
        assert_eq!(run(encrypting, false, 0x44), Err(ResponseCode::SIZE.in_parameter(4)));
        assert_eq!(run(decrypting, true, 0x10), Ok(()));
        assert_eq!(run(encrypting, false, 0x42), Ok(()));
    }

    /// CVE-2026-21444 and CVE-2021-3446: the vector that comes back goes on with the message.
    #[test]
    fn cve_2026_21444_and_2021_3446_two_parts_are_the_same_as_the_whole() {
        let mut machine = Machine::started();
        let key = aes(&mut machine, SIGN | DECRYPT, 0x10);
        let message: Vec<u8> = (0..64).collect();
        for mode in [0x40, 0x41, 0x42, 0x43] {
            let mut run = |data: &[u8], is_decryption: bool, vector: &[u8]| {
                let body = body(data, is_decryption, mode, vector);
                let mut out = machine.authorised(0x193, &[key], &body).unwrap();
                let next = out.split_off(2 + data.len());
                (out[2..].to_vec(), next[2..].to_vec())
            };
            let (whole, last) = run(&message, false, &[9; 16]);
            for is_decryption in [false, true] {
                let source = if is_decryption { &whole } else { &message };
                let wanted = if is_decryption { &message } else { &whole };
                let (first, next) = run(&source[..32], is_decryption, &[9; 16]);
                let (second, end) = run(&source[32..], is_decryption, &next);
                assert_eq!([first, second].concat(), *wanted, "mode {mode:#x}");
                assert_eq!(end, last);
            }
        }
        let ecb = body(&message, false, 0x44, &[]);
        let out = machine.authorised(0x193, &[key], &ecb).unwrap();
        assert_eq!(out[66..], [0, 0], "no vector");
    }
}
