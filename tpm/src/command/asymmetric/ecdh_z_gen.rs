// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ECDH_ZGen (Part 3, 14.5).

use super::point::{AgreementKey, SizedPoint};
use crate::crypto::ecc;
use crate::pipeline::Context;
use crate::protect::key::{curve_point, wire_point};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::AsymmetricScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: keyHandle. Parameters: inPoint. The response: outPoint.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (SizedPoint(point),): (SizedPoint,) = parameters.read()?;
    let key = AgreementKey::first(context)?;
    if !matches!(key.scheme, None | Some(AsymmetricScheme::Ecdh(_))) {
        return Err(ResponseCode::SCHEME.in_handle(1));
    }
    let point = curve_point(key.curve, &point).map_err(|code| code.in_parameter(1))?;
    let shared = ecc::multiply(key.curve, &key.private, &point)
        .map_err(|error| ResponseCode::from(error).in_parameter(1))?;
    response.sized_value(&wire_point(&shared)?)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, hmac};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};
    use std::vec::Vec;

    fn body(x: &[u8], y: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized(|inner| {
                inner.sized_bytes(x)?;
                inner.sized_bytes(y)
            })
        })
    }

    #[test]
    fn refuses_other_keys_and_points_beside_the_curve() {
        let mut machine = Machine::started();
        let mac = hmac(&mut machine, SIGN);
        let signing = ecc(&mut machine, SIGN, &[0x10]);
        let other = ecc(&mut machine, DECRYPT, &[0x1d, 0x0b]);
        let key = ecc(&mut machine, DECRYPT, &[0x10]);
        let mut agree = |key: u32, body: &[u8]| machine.authorised(0x154, &[key], body);
        let ones = body(&[1; 32], &[1; 32]);
        assert_eq!(agree(mac, &ones), Err(ResponseCode::KEY.in_handle(1)));
        assert_eq!(agree(signing, &ones), Err(ResponseCode::ATTRIBUTES.in_handle(1)));
        assert_eq!(agree(other, &ones), Err(ResponseCode::SCHEME.in_handle(1)));
        let off = Err(ResponseCode::ECC_POINT.in_parameter(1));
        assert_eq!(agree(key, &ones), off);
        assert_eq!(agree(key, &body(&[0xff; 32], &[1; 32])), off);
        assert_eq!(agree(key, &body(&[1; 33], &[1; 32])), off);
        assert_eq!(agree(key, &body(&[], &[])), off);
        assert_eq!(agree(key, &[0, 0]), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(agree(key, &body(&[1; 67], &[1])), Err(ResponseCode::SIZE.in_parameter(1)));
    }
}
