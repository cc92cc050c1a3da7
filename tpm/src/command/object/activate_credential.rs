// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ActivateCredential (Part 3, 12.5; Part 1, 24).

use super::make_credential::is_credential_key;
use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest};
use crate::pipeline::Context;
use crate::protect::secret::{EncryptedSecret, decrypt_secret};
use crate::protect::storage::Protection;
use crate::structure::buffer::Buffer;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Writer};
use zeroize::Zeroizing;

/// TPM2B_ID_OBJECT: an integrity digest and the encrypted credential.
type Credential = Buffer<{ 2 * (2 + DIGEST_SIZE_MAX) }>;

/// Handles: activateHandle, keyHandle. Parameters: credentialBlob, secret. The response: certInfo.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (blob, secret): (Credential, EncryptedSecret) = parameters.read()?;
    let (activated, key) = (context.handle(1), context.handle(2));
    let key_object = context.state.object(key)?;
    if !is_credential_key(&key_object.public) {
        return Err(ResponseCode::TYPE.in_handle(2));
    }
    let name = context.state.object(activated)?.name.clone();
    let public = key_object.public.clone();
    let seed =
        decrypt_secret(context, key, b"IDENTITY", &secret).map_err(|code| code.in_parameter(2))?;
    let unwrapped = Protection::new(&public, &seed)?
        .unwrap(&name, &blob)
        .map_err(|code| code.in_parameter(1))?;
    let mut reader = Reader::new(&unwrapped);
    let credential: Digest = reader.value().map_err(|code| code.in_parameter(1))?;
    let credential = Zeroizing::new(credential);
    reader.finish().map_err(|code| code.in_parameter(1))?;
    response.value(&*credential)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn refuses_rubbish() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let mut activate = |octets: &[u8]| {
            machine.authorised(0x147, &[0x8000_0000, 0x8000_0000], octets).unwrap_err()
        };
        assert_eq!(activate(&[0, 0, 0, 0]), ResponseCode::INSUFFICIENT.in_parameter(2));
        let point = [&[0, 0, 0, 68][..], &[0, 32], &[1; 32], &[0, 32], &[1; 32]].concat();
        assert_eq!(activate(&point), ResponseCode::ECC_POINT.in_parameter(2));
        assert_eq!(activate(&[0xff; 4]), ResponseCode::SIZE.in_parameter(1));
    }
}
