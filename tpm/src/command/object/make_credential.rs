// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_MakeCredential (Part 3, 12.6; Part 1, 24).

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::protect::secret::encrypt_secret;
use crate::protect::storage::Protection;
use crate::structure::digest::Name;
use crate::structure::public::{ObjectType, Public};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};
use zeroize::Zeroizing;

/// Handles: handle. Parameters: credential, objectName. The response: credentialBlob, secret.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (credential, name): (Digest, Name) = parameters.read()?;
    let credential = Zeroizing::new(credential);
    let public = context.state.object(context.handle(1))?.public.clone();
    if !is_credential_key(&public) {
        return Err(ResponseCode::TYPE.in_handle(1));
    }
    if credential.len() > public.name_algorithm.map_or(0, HashAlgorithm::digest_size) {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    let (seed, sent) = encrypt_secret(context, &public, b"IDENTITY")?;
    let mut buffer = Zeroizing::new([0; 2 + crate::crypto::hash::DIGEST_SIZE_MAX]);
    let mut writer = Writer::new(&mut *buffer);
    writer.value(&*credential)?;
    let blob = Protection::new(&public, &seed)?.wrap(&name, writer.written())?;
    response.value(&blob)?;
    response.value(&sent)
}

/// Whether credentials can be made for a key: an asymmetric parent, as an endorsement key is one.
pub(super) fn is_credential_key(public: &Public) -> bool {
    matches!(public.object_type(), ObjectType::Rsa | ObjectType::Ecc) && public.is_parent()
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, frame, parameters, split};

    /// CVE-2023-1017 and -1018 concerned Names shorter than two octets as well.
    #[test]
    fn cve_2023_1017_and_1018_short_names_are_only_names() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        for size in [0, 1, 66] {
            let made = machine.command(
                0x168,
                &parameters(|writer| {
                    writer.value(&0x8000_0000_u32)?;
                    writer.sized_bytes(b"credential")?;
                    writer.sized_bytes(&std::vec![0; size])
                }),
            );
            assert!(made.is_ok());
        }
        let long = parameters(|writer| {
            writer.value(&0x8000_0000_u32)?;
            writer.sized_bytes(&[1; 33])?;
            writer.sized_bytes(&[])
        });
        assert_eq!(machine.command(0x168, &long), Err(ResponseCode::SIZE.in_parameter(1)));
    }

    #[test]
    fn only_the_named_object_gets_the_credential() {
        let mut machine = Machine::started();
        let key = machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let name = key[key.len() - 34..].to_vec();
        let make = |name: &[u8]| {
            parameters(|writer| {
                writer.value(&0x8000_0000_u32)?;
                writer.sized_bytes(b"credential")?;
                writer.sized_bytes(name)
            })
        };
        let mut activate =
            |made: &[u8]| machine.authorised(0x147, &[0x8000_0000, 0x8000_0000], made);
        let mut other = Machine::started();
        other.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let made = split(&other.raw(&frame(0x8001, 0x168, &make(&name)))).unwrap().to_vec();
        assert_eq!(activate(&made).unwrap(), [&[0, 10][..], b"credential"].concat());
        let mut wrong = name.clone();
        wrong[5] ^= 1;
        let made = split(&other.raw(&frame(0x8001, 0x168, &make(&wrong)))).unwrap().to_vec();
        assert_eq!(activate(&made), Err(ResponseCode::INTEGRITY.in_parameter(1)));
    }
}
