// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_LoadExternal (Part 3, 12.3).

use crate::command::hash_hmac::hash::TicketHierarchy;
use crate::pipeline::Context;
use crate::protect::binding::{self, Blame};
use crate::protect::template::check_external;
use crate::state::object::{Object, Transient};
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::handle::Handle;
use crate::structure::public::SizedPublicOrNull;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::SizedSensitive;
use crate::wire::{Parameters, Result, Writer};

/// inPrivate, inPublic, hierarchy. The response: objectHandle; name.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (SizedSensitive(sensitive), SizedPublicOrNull(public), TicketHierarchy(hierarchy)): (
        SizedSensitive,
        SizedPublicOrNull,
        TicketHierarchy,
    ) = parameters.read()?;
    context.state.transients.check_room()?;
    if !context.state.is_hierarchy_enabled(hierarchy) {
        return Err(ResponseCode::HIERARCHY.in_parameter(3));
    }
    if sensitive.is_some() {
        // With secrets from outside it is not of any hierarchy, and claims nothing.
        if hierarchy != Handle::NULL {
            return Err(ResponseCode::HIERARCHY.in_parameter(3));
        }
        let claims = Bits::FIXED_TPM.with(Bits::FIXED_PARENT).with(Bits::RESTRICTED);
        if public.attributes.intersects(claims) {
            return Err(ResponseCode::ATTRIBUTES.in_parameter(2));
        }
    }
    check_external(&public, sensitive.is_some()).map_err(|code| code.in_parameter(2))?;
    binding::check(&public, sensitive.as_ref(), Blame { public: 2, sensitive: 1 })?;
    let name = public.name()?;
    let object = Object {
        // Nothing is above it: its Qualified Name is its Name.
        qualified_name: name.clone(),
        name,
        is_st_clear: public.has(Bits::ST_CLEAR),
        public,
        sensitive: sensitive.map(|mut sensitive| {
            sensitive.auth = sensitive.auth.clone().without_trailing_zeros();
            sensitive
        }),
        hierarchy,
        is_external: true,
        is_primary: false,
        is_temporary: true,
    };
    response.value(&object.name)?;
    context.response_handle = Some(context.state.transients.insert(Transient::Object(object))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::crypto::vectors::records;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL, OWNER, parameters};
    use std::vec::Vec;

    fn hmac_key(attributes: u32, unique: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.value(&8_u16)?;
            writer.value(&0x0b_u16)?;
            writer.value(&attributes)?;
            writer.sized_bytes(&[])?;
            writer.value(&5_u16)?;
            writer.value(&0x0b_u16)?;
            writer.sized_bytes(unique)
        })
    }

    const SEED: [u8; 32] = [7; 32];

    fn body(secret: Option<&[u8]>, public: &[u8], hierarchy: u32) -> Vec<u8> {
        parameters(|writer| {
            match secret {
                None => writer.sized_bytes(&[])?,
                Some(secret) => writer.sized(|inner| {
                    inner.value(&8_u16)?;
                    inner.sized_bytes(b"pw")?;
                    inner.sized_bytes(&SEED)?;
                    inner.sized_bytes(secret)
                })?,
            }
            writer.sized_bytes(public)?;
            writer.value(&hierarchy)
        })
    }

    const SIGN: u32 = 0x0004_0040;

    #[test]
    fn secrets_from_outside_belong_to_no_hierarchy() {
        let mut machine = Machine::started();
        let digest = crate::crypto::hash::HashAlgorithm::Sha256.digest(&[&SEED, b"key"]);
        let mut load = |body: &[u8]| machine.command(0x167, body);
        let public = hmac_key(SIGN, &digest);
        let refused = load(&body(Some(b"key"), &public, OWNER));
        assert_eq!(refused, Err(ResponseCode::HIERARCHY.in_parameter(3)));
        for claim in [0x02, 0x10, 0x1_0000] {
            let refused = load(&body(Some(b"key"), &hmac_key(SIGN | claim, &digest), NULL));
            assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_parameter(2)));
        }
        let refused = load(&body(Some(b"kex"), &public, NULL));
        assert_eq!(refused, Err(ResponseCode::BINDING.in_parameter(2)));
        let refused = load(&body(Some(&[0; 65]), &public, NULL));
        assert_eq!(refused, Err(ResponseCode::KEY_SIZE.in_parameter(1)));
        assert_eq!(load(&body(Some(b"key"), &public, NULL)).unwrap()[..4], [0x80, 0, 0, 0]);
        assert_eq!(load(&body(None, &public, OWNER)).unwrap()[..4], [0x80, 0, 0, 1]);
        // A public part alone cannot be used.
        let used = machine.authorised(0x15e, &[0x8000_0001], &[]);
        assert_eq!(used, Err(ResponseCode::AUTH_UNAVAILABLE));
    }

    /// A P-256 signing key without a Name algorithm.
    fn nameless(private: &[u8]) -> Vec<u8> {
        let g = crate::crypto::ecc::EccCurve::NistP256.parameters();
        let public = parameters(|writer| {
            [0x23_u16, 0x10].iter().try_for_each(|word| writer.value(word))?;
            writer.value(&SIGN)?;
            [0_u16, 0x10, 0x18, 0x0b, 3, 0x10].iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(g.g_x)?;
            writer.sized_bytes(g.g_y)
        });
        parameters(|writer| {
            writer.sized(|inner| {
                [0x23_u16, 0, 0].iter().try_for_each(|word| inner.value(word))?;
                inner.sized_bytes(private)
            })?;
            writer.sized_bytes(&public)?;
            writer.value(&NULL)
        })
    }

    #[test]
    fn a_private_scalar_is_below_the_order_with_or_without_a_name() {
        let mut machine = Machine::started();
        let order = crate::crypto::ecc::EccCurve::NistP256.parameters().n;
        for private in [&[0; 32][..], order] {
            let refused = machine.command(0x167, &nameless(private));
            assert_eq!(refused, Err(ResponseCode::KEY_SIZE.in_parameter(1)));
        }
        assert!(machine.command(0x167, &nameless(&[7])).is_ok());
    }

    /// A key of 1024 bits, which no command makes.
    #[test]
    fn an_old_rsa_key_still_signs() {
        let mut machine = Machine::started();
        let keys = records(include_str!("../../crypto/vectors/rsa_keys.txt"));
        let public = parameters(|writer| {
            [1_u16, 0x0b].iter().try_for_each(|word| writer.value(word))?;
            writer.value(&SIGN)?;
            [0_u16, 0x10, 0x14, 0x0b, 1024, 0, 0].iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(&keys[0].bytes("n"))
        });
        let load = parameters(|writer| {
            writer.sized(|inner| {
                [1_u16, 0, 0].iter().try_for_each(|word| inner.value(word))?;
                inner.sized_bytes(&keys[0].bytes("p"))
            })?;
            writer.sized_bytes(&public)?;
            writer.value(&NULL)
        });
        machine.command(0x167, &load).unwrap();
        let signatures = records(include_str!("../../crypto/vectors/rsassa.txt"));
        let known = signatures
            .iter()
            .find(|known| known.number("key") == 0 && known.text("hash") == "000b");
        let sign = parameters(|writer| {
            writer.sized_bytes(&known.unwrap().bytes("digest"))?;
            writer.value(&0x10_u16)?;
            writer.value(&0x8024_u16)?;
            writer.value(&NULL)?;
            writer.value(&0_u16)
        });
        let signed = machine.authorised(0x15d, &[0x8000_0000], &sign).unwrap();
        assert_eq!(signed[..6], [0, 0x14, 0, 0x0b, 0, 128]);
        assert_eq!(signed[6..], known.unwrap().bytes("signature"));
    }
}
