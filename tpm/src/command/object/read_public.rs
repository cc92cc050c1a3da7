// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ReadPublic (Part 3, 12.4).

use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};

/// Handles: objectHandle. The response: outPublic, name, qualifiedName.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let object = context.state.object(context.handle(1))?;
    response.sized_value(&object.public)?;
    response.value(&object.name)?;
    response.value(&object.qualified_name)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn a_sequence_has_no_public_area() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        let read = machine.command(0x173, &[0x80, 0, 0, 0]);
        assert_eq!(read, Err(ResponseCode::SEQUENCE));
    }

    #[test]
    fn tells_name_and_qualified_name() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let read = machine.command(0x173, &[0x80, 0, 0, 0]).unwrap();
        assert_eq!(read.len(), 2 + 90 + 36 + 36);
        let name = &read[94..128];
        let qualified = HashAlgorithm::Sha256.digest(&[&OWNER.to_be_bytes(), name]);
        assert_eq!(read[132..], *qualified.as_bytes());
    }
}
