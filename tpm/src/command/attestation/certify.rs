// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Certify (Part 3, 18.2).

use crate::pipeline::Context;
use crate::protect::attestation::Signer;
use crate::structure::attest::Attested;
use crate::structure::digest::Data;
use crate::structure::scheme::SignatureScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: objectHandle, signHandle. Parameters: qualifyingData, inScheme. The response:
/// certifyInfo, signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (qualifying, wanted): (Data, Option<SignatureScheme>) = parameters.read()?;
    let signer = Signer::select(context, 2, wanted, 2)?;
    let object = context.state.object(context.handle(1))?;
    let attested = Attested::Certify(object.name.clone(), object.qualified_name.clone());
    signer.attest(context, qualifying, attested, response)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, public_part, verify_body};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL};

    const BODY: &[u8] = &[0, 1, b'q', 0, 0x18, 0, 0x0b];

    #[test]
    fn the_signer_signs_and_the_object_is_all_there() {
        let mut machine = Machine::started();
        let decrypting = ecc(&mut machine, DECRYPT, &[0x10]);
        let key = ecc(&mut machine, SIGN, &[0x10]);
        let public = public_part(&mut machine, key);
        let mut certify =
            |object: u32, key: u32| machine.authorised(0x148, &[object, key], BODY).map(|_| ());
        assert_eq!(certify(key, decrypting), Err(ResponseCode::KEY.in_handle(2)));
        assert_eq!(certify(public, key), Err(ResponseCode::AUTH_UNAVAILABLE));
        assert_eq!(certify(decrypting, key), Ok(()));
    }

    #[test]
    fn says_the_names() {
        let mut machine = Machine::started();
        let object = ecc(&mut machine, DECRYPT, &[0x10]);
        let key = ecc(&mut machine, SIGN, &[0x10]);
        let response = machine.authorised(0x148, &[object, key], BODY).unwrap();
        let size = usize::from(u16::from_be_bytes(*response.first_chunk().unwrap()));
        let (certified, signature) = response[2..].split_at(size);
        let found = machine.tpm.state().find_object(crate::structure::handle::Handle(object));
        let found = found.unwrap();
        let names = [&[0, 34][..], &found.name, &[0, 34], &found.qualified_name].concat();
        assert_eq!(certified[4..6], [0x80, 0x17]);
        assert_eq!(certified[size - 72..], names);
        assert!(machine.command(0x177, &verify_body(key, certified, signature)).is_ok());
        let unsigned = machine.authorised(0x148, &[object, NULL], BODY).unwrap();
        assert_eq!(unsigned[2 + 6..2 + 12], [0, 4, 0x40, 0, 0, 7]);
        assert_eq!(unsigned[unsigned.len() - 2..], [0, 0x10]);
    }
}
