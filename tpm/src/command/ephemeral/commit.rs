// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_Commit (Part 3, 19.2; Part 1, annex C.4.2): the first half of an anonymous signature.

use crate::command::asymmetric::point::{SizedPoint, on_curve};
use crate::crypto::ecc;
use crate::pipeline::Context;
use crate::protect::key::{ecc_private, wire_point};
use crate::structure::algorithm::AlgorithmId;
use crate::structure::buffer::Buffer;
use crate::structure::ecc::{EccParameter, EccPoint};
use crate::structure::public::PublicParameters;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::SEALED_SIZE_MAX;
use crate::wire::{Parameters, Result, Writer};

/// TPM2B_SENSITIVE_DATA.
type SensitiveData = Buffer<SEALED_SIZE_MAX>;

/// Handles: signHandle. Parameters: P1, s2, y2: points to be multiplied, the second by its hashed
/// x-coordinate; each may be empty. The response: K, L, E, counter.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (SizedPoint(first), s2, y2): (SizedPoint, SensitiveData, EccParameter) =
        parameters.read()?;
    let object = context.state.object(context.handle(1))?;
    let PublicParameters::Ecc(own) = object.public.parameters else {
        return Err(ResponseCode::KEY.in_handle(1));
    };
    if own.scheme.is_none_or(|scheme| scheme.algorithm() != AlgorithmId::ECDAA) {
        return Err(ResponseCode::SCHEME.in_handle(1));
    }
    if s2.is_empty() != y2.is_empty() {
        return Err(ResponseCode::SIZE.in_parameter(3));
    }
    let hash = object.public.name_algorithm.ok_or(ResponseCode::HASH.in_handle(1))?;
    let second = if s2.is_empty() {
        None
    } else {
        let x = ecc::hash_to_x_coordinate(own.curve, hash, &s2)?;
        let point = EccPoint { x: EccParameter::new(x.as_bytes())?, y: y2 };
        Some(on_curve(own.curve, &point).map_err(|code| code.in_parameter(2))?)
    };
    let first = if first.x.is_empty() && first.y.is_empty() {
        None
    } else {
        Some(on_curve(own.curve, &first).map_err(|code| code.in_parameter(1))?)
    };
    let commit = &context.state.reset.commit;
    let scalar = ecc::commit_scalar(own.curve, &commit.random, &object.name, commit.counter)?;
    let (_, private) = ecc_private(object)?;

    let times = |factor: &ecc::EccParameter, point: Option<&ecc::EccPoint>| match point {
        Some(point) => wire_point(&ecc::multiply(own.curve, factor, point)?),
        None => Ok(EccPoint::default()),
    };
    response.sized_value(&times(&private, second.as_ref())?)?;
    response.sized_value(&times(&scalar, second.as_ref())?)?;
    if first.is_none() && second.is_none() {
        response.sized_value(&wire_point(&ecc::public_point(own.curve, &scalar)?)?)?;
    } else {
        response.sized_value(&times(&scalar, first.as_ref())?)?;
    }
    response.value(&context.state.reset.change().commit.begin_low())
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{SIGN, ecc, sign_body};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};
    use std::vec::Vec;

    fn body(x: &[u8], y: &[u8], s2: &[u8], y2: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized(|inner| {
                inner.sized_bytes(x)?;
                inner.sized_bytes(y)
            })?;
            writer.sized_bytes(s2)?;
            writer.sized_bytes(y2)
        })
    }

    #[test]
    fn a_commitment_is_for_one_anonymous_signature() {
        let mut machine = Machine::started();
        let other = ecc(&mut machine, SIGN, &[0x18, 0x0b]);
        let key = ecc(&mut machine, SIGN, &[0x1a, 0x0b, 0]);
        let empty = body(&[], &[], &[], &[]);
        let refused = machine.authorised(0x18b, &[other], &empty);
        assert_eq!(refused, Err(ResponseCode::SCHEME.in_handle(1)));
        for (wrong, code) in [
            (body(&[1; 32], &[1; 32], &[], &[]), ResponseCode::ECC_POINT.in_parameter(1)),
            (body(&[], &[], b"s2", &[1; 32]), ResponseCode::ECC_POINT.in_parameter(2)),
            (body(&[], &[], b"s2", &[]), ResponseCode::SIZE.in_parameter(3)),
        ] {
            assert_eq!(machine.authorised(0x18b, &[key], &wrong), Err(code));
        }
        let made = machine.authorised(0x18b, &[key], &empty).unwrap();
        assert_eq!(made.len(), 6 + 6 + 70 + 2);
        let count = u16::from_be_bytes(*made.last_chunk().unwrap());
        let mut sign = |scheme: &[u16]| {
            machine.authorised(0x15d, &[key], &sign_body(b"m", scheme)).map(|_| ())
        };
        assert_eq!(sign(&[0x10]), Err(ResponseCode::SCHEME.in_parameter(2)), "which commitment?");
        let later = count.wrapping_add(1);
        assert_eq!(sign(&[0x1a, 0x0b, later]), Err(ResponseCode::VALUE));
        assert_eq!(sign(&[0x1a, 0x0b, count]), Ok(()));
        assert_eq!(sign(&[0x1a, 0x0b, count]), Err(ResponseCode::VALUE), "used up");
    }
}
