// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_EncryptDecrypt (Part 3, 15.2): deprecated, as its data cannot be encrypted on their way in.

use super::cipher::{EncryptionMode, InitialVector, Places, Work};
use crate::pipeline::Context;
use crate::structure::digest::MaxBuffer;
use crate::wire::{Parameters, Result, Writer};

const PLACES: Places = Places { data: 4, mode: 2, vector: 3 };

/// Handles: keyHandle. Parameters: decrypt, mode, ivIn, inData. The response: outData, ivOut.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (is_decryption, mode, vector, data): (bool, EncryptionMode, InitialVector, MaxBuffer) =
        parameters.read()?;
    Work { is_decryption, mode, vector, data }.execute(context, &PLACES, response)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{DECRYPT, SIGN, aes};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn errors_have_the_numbers_of_its_own_parameters() {
        let mut machine = Machine::started();
        let key = aes(&mut machine, SIGN | DECRYPT, 0x42);
        let mut run = |body: &[u8]| machine.authorised(0x164, &[key], body).map(|_| ());
        let vector = [&[0, 16][..], &[0; 16]].concat();
        let body =
            |mode: u8, vector: &[u8], data: &[u8]| [&[0, 0, mode][..], vector, data].concat();
        assert_eq!(run(&[2, 0, 0x42]), Err(ResponseCode::VALUE.in_parameter(1)));
        let other = run(&body(0x43, &vector, &[0, 0]));
        assert_eq!(other, Err(ResponseCode::MODE.in_parameter(2)));
        let none = run(&body(0x42, &[0, 0], &[0, 0]));
        assert_eq!(none, Err(ResponseCode::SIZE.in_parameter(3)));
        let part = run(&body(0x42, &vector, &[0, 1, 7]));
        assert_eq!(part, Err(ResponseCode::SIZE.in_parameter(4)));
        assert_eq!(run(&body(0x42, &vector, &[0, 0])), Ok(()));
    }
}
