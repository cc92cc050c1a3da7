// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Unseal (Part 3, 12.7).

use crate::pipeline::Context;
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::public::ObjectType;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: itemHandle. The response: outData.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let object = context.state.find_object(context.handle(1));
    let object = object.ok_or(ResponseCode::TYPE.in_handle(1))?;
    if object.public.object_type() != ObjectType::KeyedHash {
        return Err(ResponseCode::TYPE.in_handle(1));
    }
    let key = Bits::DECRYPT.with(Bits::SIGN_ENCRYPT).with(Bits::RESTRICTED);
    if object.public.attributes.intersects(key) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::TYPE.in_handle(1))?;
    response.sized_bytes(&sensitive.secret)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    #[test]
    fn keys_are_not_data() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let refused = machine.authorised(0x15e, &[0x8000_0000], &[]);
        assert_eq!(refused, Err(ResponseCode::TYPE.in_handle(1)));
        let hmac = parameters(|writer| {
            let words: [u16; 8] = [8, 0x0b, 4, 0x0072, 0, 5, 0x0b, 0];
            words.iter().try_for_each(|word| writer.value(word))
        });
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &hmac)).unwrap();
        let refused = machine.authorised(0x15e, &[0x8000_0001], &[]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(1)));
    }
}
