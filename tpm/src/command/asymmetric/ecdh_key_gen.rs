// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ECDH_KeyGen (Part 3, 14.4).

use crate::crypto::ecc;
use crate::pipeline::Context;
use crate::protect::key::{ecc_public, wire_point};
use crate::structure::public::ObjectType;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. The response: zPoint, the shared point; pubPoint, the ephemeral one.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let public = &context.state.object(context.handle(1))?.public;
    if public.object_type() != ObjectType::Ecc {
        return Err(ResponseCode::KEY.in_handle(1));
    }
    let (curve, own) = ecc_public(public)?;
    let ephemeral = ecc::generate(curve, context.state.random()?)?;
    let shared = ecc::multiply(curve, &ephemeral.private, &own)?;
    response.sized_value(&wire_point(&shared)?)?;
    response.sized_value(&wire_point(&ephemeral.public)?)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{DECRYPT, ecc, hmac, public_part};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn both_sides_come_to_the_same_point() {
        let mut machine = Machine::started();
        let other = hmac(&mut machine, 4);
        let refused = machine.command(0x163, &other.to_be_bytes());
        assert_eq!(refused, Err(ResponseCode::KEY.in_handle(1)));
        let key = ecc(&mut machine, DECRYPT, &[0x19, 0x0b]);
        let public = public_part(&mut machine, key);
        let points = machine.command(0x163, &public.to_be_bytes()).unwrap();
        assert_eq!(points.len(), 2 * 70);
        let (shared, sent) = points.split_at(70);
        assert_eq!(machine.authorised(0x154, &[key], sent).unwrap(), shared);
    }
}
