// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_EC_Ephemeral (Part 3, 19.3).

use crate::crypto::ecc;
use crate::pipeline::Context;
use crate::protect::key::wire_point;
use crate::structure::ecc::EccCurve;
use crate::wire::{Parameters, Result, Writer};

/// curveID. The response: Q, counter.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (curve,): (EccCurve,) = parameters.read()?;
    let commit = &context.state.reset.commit;
    let private = ecc::commit_scalar(curve, &commit.random, &[], commit.counter)?;
    response.sized_value(&wire_point(&ecc::public_point(curve, &private)?)?)?;
    response.value(&context.state.reset.change().commit.begin_low())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn each_key_is_another() {
        let mut machine = Machine::started();
        let unknown = machine.command(0x18e, &[0, 0x10]);
        assert_eq!(unknown, Err(ResponseCode::CURVE.in_parameter(1)));
        let first = machine.command(0x18e, &[0, 3]).unwrap();
        let second = machine.command(0x18e, &[0, 3]).unwrap();
        assert_eq!(first.len(), 72);
        assert_ne!(first[..70], second[..70]);
        assert_eq!(first[71] + 1, second[71]);
    }
}
