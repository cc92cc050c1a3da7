// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_HMAC and TPM2_MAC (Part 3, 15.5 and 15.6), which are one command.

use super::mac_key::{WantedScheme, start};
use crate::pipeline::Context;
use crate::state::object::SequenceKind;
use crate::structure::digest::{Auth, MaxBuffer};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: handle. Parameters: buffer, inScheme. The response: outMAC.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (data, wanted): (MaxBuffer, WantedScheme) = parameters.read()?;
    let mut sequence = start(context, &wanted, Auth::EMPTY)?;
    sequence.update(&data)?;
    match sequence.kind {
        SequenceKind::Hmac(hmac) => response.value(&hmac.finish()),
        SequenceKind::Cmac(cmac) => response.value(&cmac.finish()?),
        SequenceKind::Hash(_) | SequenceKind::Event(_) => Err(ResponseCode::FAILURE),
    }
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{RESTRICTED, SIGN, aes, ecc, hmac};
    use crate::crypto::hash::HashAlgorithm;
    use crate::crypto::hmac::Hmac;
    use crate::structure::handle::Handle;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};
    use std::vec::Vec;

    fn body(data: &[u8], scheme: u16) -> Vec<u8> {
        parameters(|writer| {
            writer.sized_bytes(data)?;
            writer.value(&scheme)
        })
    }

    /// CVE-2025-2884 and CVE-2025-49133: the scheme is that of the key, whatever the wire says.
    #[test]
    fn cve_2025_2884_and_49133_the_scheme_is_one_of_the_key() {
        let mut machine = Machine::started();
        let curve = ecc(&mut machine, SIGN, &[0x10]);
        let key = hmac(&mut machine, SIGN);
        let restricted = hmac(&mut machine, SIGN | RESTRICTED);
        let cipher = aes(&mut machine, SIGN, 0x43);
        let cmac = aes(&mut machine, SIGN, 0x3f);
        let mut mac =
            |key: u32, scheme| machine.authorised(0x155, &[key], &body(b"m", scheme)).map(|_| ());
        assert_eq!(mac(curve, 0x0b), Err(ResponseCode::TYPE.in_handle(1)));
        assert_eq!(mac(restricted, 0x0b), Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        assert_eq!(mac(key, 0x18), Err(ResponseCode::SYMMETRIC.in_parameter(2)));
        let value = Err(ResponseCode::VALUE.in_parameter(2));
        assert_eq!(mac(key, 0x0c), value);
        assert_eq!(mac(key, 0x3f), value);
        assert_eq!(mac(cipher, 0x3f), value);
        assert_eq!(mac(cmac, 0x0b), value);
        for (key, scheme) in [(key, 0x10), (key, 0x0b), (cmac, 0x10), (cmac, 0x3f)] {
            assert_eq!(mac(key, scheme), Ok(()));
        }
    }

    #[test]
    fn is_the_hmac_of_the_message() {
        let mut machine = Machine::started();
        let key = hmac(&mut machine, SIGN);
        let found = machine.tpm.state().find_object(Handle(key)).unwrap();
        let secret = found.sensitive.as_ref().unwrap().secret.to_vec();
        let expected = Hmac::mac(HashAlgorithm::Sha256, &secret, &[b"message"]);
        let made = machine.authorised(0x155, &[key], &body(b"message", 0x10)).unwrap();
        assert_eq!(made, [&[0, 32][..], &expected].concat());
    }
}
