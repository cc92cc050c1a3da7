// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ZGen_2Phase (Part 3, 14.7).

use super::point::{AgreementKey, SizedPoint, on_curve};
use crate::crypto::CryptoError;
use crate::crypto::ecc::{self, OtherKeys, OwnKeys};
use crate::pipeline::Context;
use crate::protect::key::wire_point;
use crate::structure::algorithm::AlgorithmId;
use crate::structure::ecc::EccPoint;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// TPMI_ECC_KEY_EXCHANGE: any other algorithm is TPM_RC_SCHEME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exchange {
    Ecdh,
    EcMqv,
    Sm2,
}

impl Exchange {
    const fn algorithm(self) -> AlgorithmId {
        match self {
            Self::Ecdh => AlgorithmId::ECDH,
            Self::EcMqv => AlgorithmId::EC_MQV,
            Self::Sm2 => AlgorithmId::SM2,
        }
    }
}

impl Unmarshal for Exchange {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value()? {
            AlgorithmId::ECDH => Ok(Self::Ecdh),
            AlgorithmId::EC_MQV => Ok(Self::EcMqv),
            AlgorithmId::SM2 => Ok(Self::Sm2),
            _ => Err(ResponseCode::SCHEME),
        }
    }
}

/// Handles: keyA. Parameters: inQsB, inQeB, inScheme, counter: which ephemeral key of
/// TPM2_EC_Ephemeral, which is used up. The response: outZ1, outZ2, which is empty unless it is
/// Diffie-Hellman.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (SizedPoint(static_point), SizedPoint(ephemeral_point), exchange, count): (
        SizedPoint,
        SizedPoint,
        Exchange,
        u16,
    ) = parameters.read()?;
    let key = AgreementKey::first(context)?;
    if key.scheme.is_some_and(|scheme| scheme.algorithm() != exchange.algorithm()) {
        return Err(ResponseCode::SCHEME.in_parameter(3));
    }
    let static_public = on_curve(key.curve, &static_point).map_err(|code| code.in_parameter(1))?;
    let ephemeral_public =
        on_curve(key.curve, &ephemeral_point).map_err(|code| code.in_parameter(2))?;
    let commit = &context.state.reset.commit;
    let counter = commit.counter_of(count).ok_or(ResponseCode::VALUE.in_parameter(4))?;
    let ephemeral = ecc::commit_scalar(key.curve, &commit.random, &[], counter)?;
    let other = OtherKeys { static_public: &static_public, ephemeral_public: &ephemeral_public };
    let (first, second) = agree(&key, &ephemeral, &other, exchange)?;
    response.sized_value(&wire_point(&first)?)?;
    match second {
        Some(second) => response.sized_value(&wire_point(&second)?)?,
        None => response.sized_value(&EccPoint::default())?,
    }
    context.state.reset.change().commit.end(count);
    Ok(())
}

fn agree(
    key: &AgreementKey,
    ephemeral: &ecc::EccParameter,
    other: &OtherKeys<'_>,
    exchange: Exchange,
) -> core::result::Result<(ecc::EccPoint, Option<ecc::EccPoint>), CryptoError> {
    if exchange == Exchange::Ecdh {
        let first = ecc::multiply(key.curve, &key.private, other.static_public)?;
        let second = ecc::multiply(key.curve, ephemeral, other.ephemeral_public)?;
        return Ok((first, Some(second)));
    }
    let own = OwnKeys {
        static_private: &key.private,
        ephemeral_private: ephemeral,
        ephemeral_public: &ecc::public_point(key.curve, ephemeral)?,
    };
    let shared = match exchange {
        Exchange::Sm2 => ecc::sm2_exchange(key.curve, &own, other)?,
        _ => ecc::ecmqv(key.curve, &own, other)?,
    };
    Ok((shared, None))
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{DECRYPT, ecc};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, parameters};
    use std::vec::Vec;

    fn body(fixed: &[u8], ephemeral: &[u8], exchange: u16, count: u16) -> Vec<u8> {
        parameters(|writer| {
            writer.bytes(fixed)?;
            writer.bytes(ephemeral)?;
            writer.value(&exchange)?;
            writer.value(&count)
        })
    }

    fn ephemeral(machine: &mut Machine) -> (Vec<u8>, u16) {
        let mut made = machine.command(0x18e, &[0, 3]).unwrap();
        let count = made.split_off(70);
        (made, u16::from_be_bytes(*count.first_chunk().unwrap()))
    }

    fn static_point(machine: &mut Machine, key: u32) -> Vec<u8> {
        let key = machine.tpm.state().find_object(crate::structure::handle::Handle(key)).unwrap();
        parameters(|writer| writer.sized_value(&key.public.unique))
    }

    #[test]
    fn an_ephemeral_key_is_used_once() {
        let mut machine = Machine::started();
        let key = ecc(&mut machine, DECRYPT, &[0x10]);
        let (point, count) = ephemeral(&mut machine);
        let fixed = static_point(&mut machine, key);
        let mut agree = |body: &[u8]| machine.authorised(0x18d, &[key], body).map(|_| ());
        let off = parameters(|writer| {
            writer.sized(|inner| {
                inner.sized_bytes(&[1; 32])?;
                inner.sized_bytes(&[1; 32])
            })
        });
        let refused = agree(&body(&off, &point, 0x19, count));
        assert_eq!(refused, Err(ResponseCode::ECC_POINT.in_parameter(1)));
        let refused = agree(&body(&fixed, &off, 0x19, count));
        assert_eq!(refused, Err(ResponseCode::ECC_POINT.in_parameter(2)));
        let refused = agree(&body(&fixed, &point, 0x18, count));
        assert_eq!(refused, Err(ResponseCode::SCHEME.in_parameter(3)));
        let refused = agree(&body(&fixed, &point, 0x19, count.wrapping_add(1)));
        assert_eq!(refused, Err(ResponseCode::VALUE.in_parameter(4)));
        assert_eq!(agree(&body(&fixed, &point, 0x19, count)), Ok(()));
        let again = agree(&body(&fixed, &point, 0x19, count));
        assert_eq!(again, Err(ResponseCode::VALUE.in_parameter(4)));
    }

    #[test]
    fn both_sides_come_to_the_same_points() {
        let mut machine = Machine::started();
        for exchange in [0x19, 0x1d, 0x1b] {
            let scheme: &[u16] = if exchange == 0x1b { &[0x10] } else { &[exchange, 0x0b] };
            let (one, other) =
                (ecc(&mut machine, DECRYPT, scheme), ecc(&mut machine, DECRYPT, &[0x10]));
            let (first, first_count) = ephemeral(&mut machine);
            let (second, second_count) = ephemeral(&mut machine);
            let to_other = body(&static_point(&mut machine, other), &second, exchange, first_count);
            let to_one = body(&static_point(&mut machine, one), &first, exchange, second_count);
            let here = machine.authorised(0x18d, &[one], &to_other).unwrap();
            let there = machine.authorised(0x18d, &[other], &to_one).unwrap();
            assert_eq!(here, there);
            assert_eq!(here.len(), if exchange == 0x19 { 140 } else { 70 + 6 });
            machine.command(0x165, &one.to_be_bytes()).unwrap();
            machine.command(0x165, &other.to_be_bytes()).unwrap();
        }
    }
}
