// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Rewrap (Part 3, 13.2; Part 1, 23.3): another outer wrapper around the same duplicate.

use super::duplicate::wrapping_key;
use crate::pipeline::Context;
use crate::protect::secret::{EncryptedSecret, decrypt_secret, encrypt_secret};
use crate::protect::storage::Protection;
use crate::structure::digest::Name;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::Private;
use crate::wire::{Parameters, Result, Writer};

/// Handles: oldParent, newParent. Parameters: inDuplicate, name, inSymSeed. The response:
/// outDuplicate, outSymSeed.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (duplicate, name, secret): (Private, Name, EncryptedSecret) = parameters.read()?;
    let (old_parent, new_parent) = (context.handle(1), context.handle(2));
    // The seed and the parent it is for come together, or neither of them.
    if (old_parent == Handle::NULL) != secret.is_empty() {
        return Err(ResponseCode::HANDLE.in_handle(1));
    }
    let new_public = match new_parent {
        Handle::NULL => None,
        handle => Some(wrapping_key(&context.state.object(handle)?.public, 2)?),
    };
    let mut inner = duplicate;
    if old_parent != Handle::NULL {
        let public = wrapping_key(&context.state.object(old_parent)?.public, 1)?;
        let seed = decrypt_secret(context, old_parent, b"DUPLICATE", &secret)
            .map_err(|_| ResponseCode::VALUE.in_parameter(3))?;
        inner = Protection::new(&public, &seed)
            .map_err(|code| code.in_handle(1))?
            .unwrap(&name, &inner)
            .map_err(|code| code.in_parameter(1))?;
    }
    let mut sent = EncryptedSecret::EMPTY;
    if let Some(public) = &new_public {
        let (seed, encrypted) =
            encrypt_secret(context, public, b"DUPLICATE").map_err(|code| code.in_handle(2))?;
        inner = Protection::new(public, &seed)?
            .wrap(&name, &inner)
            .map_err(|code| code.in_parameter(1))?;
        sent = encrypted;
    }
    response.value(&inner)?;
    response.value(&sent)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::structure::sensitive::PRIVATE_SIZE_MAX;
    use crate::testing::{Machine, NULL, OWNER, PASSWORD, frame, parameters, split};
    use std::vec::Vec;

    const FIRST: u32 = 0x8000_0000;

    fn rewrap(
        machine: &mut Machine,
        handles: [u32; 2],
        duplicate: &[u8],
        seed: &[u8],
    ) -> crate::wire::Result<Vec<u8>> {
        let octets = parameters(|writer| {
            handles.iter().try_for_each(|handle| writer.value(handle))?;
            writer.value(&9_u32)?;
            writer.value(&PASSWORD)?;
            writer.sized_bytes(&[])?;
            writer.value(&1_u8)?;
            writer.sized_bytes(&[])?;
            writer.sized_bytes(duplicate)?;
            writer.sized_bytes(b"name")?;
            writer.sized_bytes(seed)
        });
        let response = machine.raw(&frame(0x8002, 0x152, &octets));
        split(&response).map(|rest| rest[4..rest.len() - 5].to_vec())
    }

    #[test]
    fn goes_around_and_comes_off_again() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let wrong = rewrap(&mut machine, [NULL, FIRST], b"inner", b"seed");
        assert_eq!(wrong, Err(ResponseCode::HANDLE.in_handle(1)));
        let wrong = rewrap(&mut machine, [FIRST, NULL], b"inner", b"");
        assert_eq!(wrong, Err(ResponseCode::HANDLE.in_handle(1)));
        let wrapped = rewrap(&mut machine, [NULL, FIRST], b"inner", b"").unwrap();
        let size = usize::from(u16::from_be_bytes([wrapped[0], wrapped[1]]));
        let (duplicate, seed) = (&wrapped[2..2 + size], &wrapped[4 + size..]);
        let off = rewrap(&mut machine, [FIRST, NULL], duplicate, seed).unwrap();
        assert_eq!(off, [&[0, 5][..], b"inner", &[0, 0]].concat());
        let mut changed = duplicate.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        let refused = rewrap(&mut machine, [FIRST, NULL], &changed, seed);
        assert_eq!(refused, Err(ResponseCode::INTEGRITY.in_parameter(1)));
    }

    #[test]
    fn a_duplicate_that_has_no_room_for_a_wrapper_is_too_long() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let longest = [0; PRIVATE_SIZE_MAX];
        let room = PRIVATE_SIZE_MAX - (2 + 32);
        let refused = rewrap(&mut machine, [NULL, FIRST], &longest[..room + 1], b"");
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        assert!(rewrap(&mut machine, [NULL, FIRST], &longest[..room], b"").is_ok());
    }

    /// A cipher protects its children, but shares no secret with anybody.
    #[test]
    fn an_old_parent_is_asymmetric() {
        let mut machine = Machine::started();
        let words = [0x25_u16, 0x0b, 3, 0x0072, 0, 6, 128, 0x43, 0];
        let cipher: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &cipher)).unwrap();
        let refused = rewrap(&mut machine, [FIRST, NULL], b"inner", b"seed");
        assert_eq!(refused, Err(ResponseCode::TYPE.in_handle(1)));
    }
}
