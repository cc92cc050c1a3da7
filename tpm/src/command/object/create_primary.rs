// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_CreatePrimary (Part 3, 24.1).

use crate::pipeline::Context;
use crate::protect::creation::Circumstances;
use crate::protect::generate::{Primary, Source, generate};
use crate::protect::template::check_creation;
use crate::state::object::Transient;
use crate::structure::digest::Data;
use crate::structure::pcr_selection::PcrSelectionList;
use crate::structure::public::SizedPublic;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::SensitiveCreate;
use crate::wire::{Parameters, Result, Writer};

/// Handles: primaryHandle. Parameters: inSensitive, inPublic, outsideInfo, creationPCR. The
/// response: objectHandle; outPublic, creationData, creationHash, creationTicket, name.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (create, SizedPublic(mut public), outside_info, pcrs): (
        SensitiveCreate,
        SizedPublic,
        Data,
        PcrSelectionList,
    ) = parameters.read()?;
    let hierarchy = context.handle(1);
    context.state.transients.check_room()?;
    check_creation(None, &public, create.data.len()).map_err(|code| code.in_parameter(2))?;
    let source = Source::Primary(Primary::new(context.state, hierarchy, &public, &create.data)?);
    let sensitive = generate(context.state, context.platform, &mut public, &create, source)
        .map_err(|code| code.in_parameter(2))?;
    let algorithm = public.name_algorithm.ok_or(ResponseCode::HASH)?;
    let object = context.state.child(hierarchy, public, Some(sensitive))?;
    response.sized_value(&object.public)?;
    let circumstances = Circumstances { parent: hierarchy, outside_info, pcrs };
    circumstances.write(context, algorithm, &object.name, response)?;
    response.value(&object.name)?;
    context.response_handle = Some(context.state.transients.insert(Transient::Object(object))?);
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::crypto::hash::{Digest, HashAlgorithm};
    use crate::structure::digest::Name;
    use crate::structure::response_code::ResponseCode;
    use crate::structure::tag::StructureTag;
    use crate::structure::ticket::Ticket;
    use crate::testing::{ENDORSEMENT, Machine, NULL, OWNER, PLATFORM, parameters};
    use crate::wire::Reader;
    use std::vec::Vec;

    /// The parameters of a creation: authorisation value, data, public area.
    pub(crate) fn body(auth: &[u8], data: &[u8], public: &[u8]) -> Vec<u8> {
        parameters(|writer| {
            writer.sized(|inner| {
                inner.sized_bytes(auth)?;
                inner.sized_bytes(data)
            })?;
            writer.sized_bytes(public)?;
            writer.sized_bytes(b"outside")?;
            writer.value(&0_u32)
        })
    }

    /// The public area of a P-256 storage key, as Linux makes one in the NULL hierarchy.
    pub(crate) fn storage_key() -> Vec<u8> {
        let mut public = Vec::new();
        let words: [u16; 13] = [0x23, 0x0b, 3, 0x0072, 0, 6, 128, 0x43, 0x10, 3, 0x10, 0, 0];
        words.iter().for_each(|word| public.extend(word.to_be_bytes()));
        public
    }

    #[test]
    fn refuses_templates_that_make_no_sense() {
        let mut machine = Machine::started();
        let mut create = |body: &[u8]| machine.authorised(0x131, &[OWNER], body);
        let mut public = storage_key();
        public[7] = 0x70; // fixedTPM missing, fixedParent set
        let refused = create(&body(b"", b"", &public));
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_parameter(2)));
        let refused = create(&body(b"", &[1; 129], &storage_key()));
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        let refused = create(&body(&[1; 33], b"", &storage_key()));
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        let mut public = storage_key();
        public[3] = 0x10;
        let refused = create(&body(b"", b"", &public));
        assert_eq!(refused, Err(ResponseCode::HASH.in_parameter(2)));
        let mut trailing = storage_key();
        trailing.push(0);
        let refused = create(&body(b"", b"", &trailing));
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(2)));
        let lockout = machine.authorised(0x131, &[0x4000_000a], &body(b"", b"", &storage_key()));
        assert_eq!(lockout, Err(ResponseCode::VALUE.in_handle(1)));
    }

    #[test]
    fn is_the_same_each_time_and_another_in_each_hierarchy() {
        let mut machine = Machine::started();
        let mut names = Vec::new();
        let cases = [(OWNER, ""), (OWNER, ""), (OWNER, "data"), (ENDORSEMENT, ""), (PLATFORM, "")];
        for (hierarchy, data) in cases.into_iter().chain([(NULL, "")]) {
            let body = body(b"", data.as_bytes(), &storage_key());
            let response = machine.authorised(0x131, &[hierarchy], &body).unwrap();
            names.push(response[response.len() - 34..].to_vec());
            let flushed = machine.command(0x165, &response[..4]);
            assert_eq!(flushed, Ok(std::vec![]));
        }
        assert_eq!(names[0], names[1]);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), 5);
    }

    /// TPM2_Clear makes new proofs: the endorsement key stays, what it protected is lost.
    #[test]
    fn an_endorsement_key_outlives_clear_and_its_children_do_not() {
        let mut machine = Machine::started();
        let primary = body(b"", b"", &storage_key());
        let key = machine.authorised(0x131, &[ENDORSEMENT], &primary).unwrap();
        let created = machine.authorised(0x153, &[0x8000_0000], &primary).unwrap();
        let private = 2 + usize::from(u16::from_be_bytes([created[0], created[1]]));
        let child = &created[..private + 2 + 90];
        assert!(machine.authorised(0x157, &[0x8000_0000], child).is_ok());
        machine.authorised(0x126, &[PLATFORM], &[]).unwrap();
        let again = machine.authorised(0x131, &[ENDORSEMENT], &primary).unwrap();
        assert_eq!(again[again.len() - 34..], key[key.len() - 34..]);
        let lost = machine.authorised(0x157, &[0x8000_0000], child);
        assert_eq!(lost, Err(ResponseCode::INTEGRITY.in_parameter(1)));
    }

    /// What Linux checks when it makes its NULL primary.
    #[test]
    fn the_null_primary_of_linux() {
        let mut machine = Machine::started();
        let body = parameters(|writer| {
            writer.sized(|inner| {
                inner.sized_bytes(b"")?;
                inner.sized_bytes(b"")
            })?;
            writer.sized_bytes(&storage_key())?;
            writer.sized_bytes(b"")?;
            writer.value(&0_u32)
        });
        let response = machine.authorised(0x131, &[NULL], &body).unwrap();
        assert_eq!(response[..4], [0x80, 0, 0, 0]);
        let size = usize::from(u16::from_be_bytes([response[4], response[5]]));
        let public = &response[6..6 + size];
        assert_eq!(public[..22], storage_key()[..22], "attributes and parameters are echoed");
        assert_eq!(public[22..24], [0, 32]);
        assert_eq!(public[56..58], [0, 32]);
        assert_eq!(size, 90);
        let rest = &response[6 + size..];
        let data = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let rest = &rest[2 + data..];
        assert_eq!(rest[..2], [0, 32], "creation hash");
        assert_eq!(rest[34..40], [0x80, 0x21, 0x40, 0, 0, 7]);
        let name = &response[response.len() - 36..];
        assert_eq!(name[..4], [0, 34, 0, 0x0b]);
        let digest = crate::crypto::hash::HashAlgorithm::Sha256.digest(&[public]);
        assert_eq!(name[4..], *digest.as_bytes());
    }

    /// A ticket's HMAC covers the Name first, then the digest of the creation data.
    #[test]
    fn order_of_the_creation_ticket() {
        let mut machine = Machine::started();
        let response = machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key()));
        let response = response.unwrap();
        let mut reader = Reader::new(&response[4..]);
        let _public = reader.sized(4096).unwrap();
        let data = reader.sized(4096).unwrap();
        let digest: Digest = reader.value().unwrap();
        assert_eq!(digest, HashAlgorithm::Sha256.digest(&[data.rest()]));
        let ticket: Ticket = reader.value().unwrap();
        let name: Name = reader.value().unwrap();
        assert_eq!(ticket.tag, StructureTag::Creation);
        let state = machine.tpm.state();
        assert!(state.is_ticket(&ticket, &[&name, &digest]));
        assert!(!state.is_ticket(&ticket, &[&digest, &name]));
    }

    #[test]
    fn creation_data_say_where_and_when() {
        let mut machine = Machine::started();
        machine.locality = 3;
        machine.extend_pcr(16, &[1; 32]);
        let value = machine.read_pcr(16);
        let body = parameters(|writer| {
            writer.sized(|inner| inner.bytes(&[0; 4]))?;
            writer.sized_bytes(&storage_key())?;
            writer.sized_bytes(b"outside")?;
            writer.value(&1_u32)?;
            writer.bytes(&[0, 0x0b, 3, 0, 0, 1])
        });
        let response = machine.authorised(0x131, &[OWNER], &body).unwrap();
        let mut reader = Reader::new(&response[4..]);
        let _public = reader.sized(4096).unwrap();
        let mut data = reader.sized(4096).unwrap();
        assert_eq!(data.take(10).unwrap(), [0, 0, 0, 1, 0, 0x0b, 3, 0, 0, 1]);
        let digest: Digest = data.value().unwrap();
        assert_eq!(digest, HashAlgorithm::Sha256.digest(&[&value]));
        assert_eq!(data.take(3).unwrap(), [8, 0, 0x10], "locality 3, no parent's algorithm");
        let (name, qualified): (Name, Name) = (data.value().unwrap(), data.value().unwrap());
        assert_eq!(
            (name.as_slice(), qualified.as_slice()),
            (&[0x40, 0, 0, 1][..], &[0x40, 0, 0, 1][..])
        );
        assert_eq!(data.rest(), [&[0, 7][..], b"outside"].concat());
    }

    /// The template L-2 of TCG's EK credential profile.
    #[test]
    fn the_standard_endorsement_key() {
        let mut machine = Machine::started();
        let policy = HashAlgorithm::Sha256.digest(&[&HashAlgorithm::Sha256.digest(&[
            &[0; 32],
            &[0, 0, 1, 0x51],
            &[0x40, 0, 0, 0x0b],
        ])]);
        let template = parameters(|writer| {
            [0x23_u16, 0x0b, 3, 0x00b2].iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(&policy)?;
            [6_u16, 128, 0x43, 0x10, 3, 0x10].iter().try_for_each(|word| writer.value(word))?;
            writer.sized_bytes(&[0; 32])?;
            writer.sized_bytes(&[0; 32])
        });
        assert_eq!(policy[..4], [0x83, 0x71, 0x97, 0x67], "PolicyA as the profile prints it");
        let made = machine.authorised(0x131, &[ENDORSEMENT], &body(b"", b"", &template)).unwrap();
        assert_eq!(made[4..6], [0, 122]);
        // It is not used with its (empty) password.
        let refused = machine.authorised(0x153, &[0x8000_0000], &body(b"", b"", &storage_key()));
        assert_eq!(refused, Err(ResponseCode::AUTH_UNAVAILABLE));
    }

    #[test]
    fn there_are_as_many_as_slots() {
        let mut machine = Machine::started();
        let body = body(b"", b"", &storage_key());
        for _ in 0..8 {
            machine.authorised(0x131, &[OWNER], &body).unwrap();
        }
        let refused = machine.authorised(0x131, &[OWNER], &body);
        assert_eq!(refused, Err(ResponseCode::OBJECT_MEMORY));
    }

    #[test]
    fn an_rsa_primary_can_be_made() {
        let mut machine = Machine::started();
        let template = |key_bits: u16| {
            let words = [1, 0x0b, 3, 0x0072, 0, 6, 128, 0x43, 0x10, key_bits, 0, 0, 0];
            words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>()
        };
        let short = machine.authorised(0x131, &[OWNER], &body(b"", b"", &template(1024)));
        assert_eq!(short, Err(ResponseCode::VALUE.in_parameter(2)), "only to be loaded");
        let body = body(b"", b"", &template(2048));
        let first = machine.authorised(0x131, &[OWNER], &body).unwrap();
        let second = machine.authorised(0x131, &[OWNER], &body).unwrap();
        assert_eq!(first[4..], second[4..]);
    }
}
