// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_TestParms (Part 3, 30.3): reading the parameters is the test.

use crate::pipeline::Context;
use crate::structure::public::PublicParameters;
use crate::wire::{Parameters, Result, Writer};

/// parameters.
pub fn execute(
    _context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (_supported,): (PublicParameters,) = parameters.read()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};

    #[test]
    fn says_what_is_not_supported() {
        let mut machine = Machine::started();
        let mut test = |words: &[u16]| {
            let body = parameters(|writer| words.iter().try_for_each(|word| writer.value(word)));
            machine.command(0x18a, &body)
        };
        let parameter = |code: ResponseCode| Err(code.in_parameter(1));
        assert_eq!(test(&[0x25, 0x06, 100, 0x43]), parameter(ResponseCode::VALUE));
        assert_eq!(test(&[0x25, 0x03, 128, 0x43]), parameter(ResponseCode::SYMMETRIC));
        assert_eq!(test(&[0x22]), parameter(ResponseCode::TYPE));
        assert_eq!(test(&[0x01, 0x10, 0x18, 0x0b]), parameter(ResponseCode::VALUE));
        assert_eq!(test(&[0x23, 0x10, 0x10, 0x01, 0x10]), parameter(ResponseCode::CURVE));
        assert_eq!(test(&[0x08, 0x0a, 0x0b, 0x23]), parameter(ResponseCode::KDF));
        assert_eq!(test(&[0x08, 0x0a, 0x10, 0x22]), parameter(ResponseCode::HASH));
        assert_eq!(test(&[0x08, 0x0a, 0x0b, 0x22]), Ok(std::vec![]));
        assert_eq!(test(&[0x08, 0x0a, 0x0b, 0x10]), Ok(std::vec![]), "only the hash is fixed");
        assert_eq!(test(&[0x25, 0x06, 256, 0x43]), Ok(std::vec![]));
        assert_eq!(test(&[0x01, 0x10, 0x14, 0x0b, 4096, 0, 0]), Ok(std::vec![]));
        assert_eq!(test(&[0x23, 0x10, 0x18, 0x0b, 0x03, 0x10]), Ok(std::vec![]));
    }
}
