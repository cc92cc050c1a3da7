// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the parameters of a response are made of (Part 3), and which of it two TPMs must agree on
//! though their keys and nonces differ.

use tpm::structure::algorithm::AlgorithmId;
use tpm::structure::command_code::CommandCode;
use tpm::structure::public::Public;
use tpm::wire::{Reader, Unmarshal};

use crate::octets::Fields;

/// A field of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// So many octets.
    Word(usize),
    /// So many octets that TPMs count in their own way.
    Count(usize),
    /// A TPM2B.
    Sized,
    /// A TPM2B that random numbers went into: only its size counts.
    RandomSized,
    /// A TPM2B with something encrypted, or an ECC point that loses its leading zeros: not even its
    /// size counts.
    Opaque,
    /// TPM2B_PUBLIC: all but what identifies the key.
    Public,
    /// TPMT_TK_*: all but the HMAC.
    Ticket,
    /// TPMT_SIGNATURE: the algorithms and the sizes.
    Signature,
    /// TPM2B_ATTEST: what doesn't come from keys and clocks.
    Attest,
    /// TPMS_CONTEXT: handle and hierarchy.
    Context,
    /// TPMS_TIME_INFO: the counters.
    TimeInfo,
    /// Everything that is left.
    Rest,
}

use Field::{
    Attest, Context, Count, Opaque, Public as PublicField, RandomSized, Rest, Signature, Sized,
    Ticket, TimeInfo, Word,
};

/// The fields of a command's response parameters.
pub const fn fields(code: CommandCode) -> &'static [Field] {
    match code {
        CommandCode::CREATE_PRIMARY => &[PublicField, Sized, Sized, Ticket, RandomSized],
        CommandCode::CREATE => &[Opaque, PublicField, Sized, Sized, Ticket],
        CommandCode::CREATE_LOADED => &[Opaque, PublicField, RandomSized],
        CommandCode::LOAD | CommandCode::LOAD_EXTERNAL => &[Sized],
        CommandCode::HASH => &[Sized, Ticket],
        CommandCode::READ_PUBLIC => &[PublicField, Sized, Sized],
        CommandCode::NV_READ_PUBLIC => &[Sized, Sized],
        CommandCode::START_AUTH_SESSION
        | CommandCode::GET_RANDOM
        | CommandCode::OBJECT_CHANGE_AUTH
        | CommandCode::IMPORT
        | CommandCode::RSA_ENCRYPT => &[RandomSized],
        CommandCode::MAKE_CREDENTIAL | CommandCode::REWRAP => &[Opaque, Opaque],
        CommandCode::DUPLICATE => &[RandomSized, Opaque, Opaque],
        CommandCode::CERTIFY
        | CommandCode::CERTIFY_CREATION
        | CommandCode::QUOTE
        | CommandCode::GET_TIME
        | CommandCode::NV_CERTIFY
        | CommandCode::GET_COMMAND_AUDIT_DIGEST
        | CommandCode::GET_SESSION_AUDIT_DIGEST => &[Attest, Signature],
        CommandCode::SIGN => &[Signature],
        CommandCode::VERIFY_SIGNATURE => &[Ticket],
        CommandCode::POLICY_SECRET | CommandCode::POLICY_SIGNED => &[RandomSized, Ticket],
        CommandCode::SEQUENCE_COMPLETE => &[Sized, Ticket],
        CommandCode::CONTEXT_SAVE => &[Context],
        CommandCode::PCR_READ => &[Count(4), Rest],
        CommandCode::READ_CLOCK => &[TimeInfo],
        CommandCode::ENCRYPT_DECRYPT | CommandCode::ENCRYPT_DECRYPT_2 => &[Sized, Sized],
        CommandCode::ECDH_KEY_GEN => &[Opaque, Opaque],
        CommandCode::EC_EPHEMERAL => &[Opaque, Word(2)],
        CommandCode::COMMIT => &[Opaque, Opaque, Opaque, Word(2)],
        CommandCode::Z_GEN_2_PHASE => &[Opaque, Opaque],
        CommandCode::ECC_ENCRYPT => &[Opaque, Sized, Sized],
        _ => &[Rest],
    }
}

/// The octets of each field, as far as they are there.
pub fn split(code: CommandCode, parameters: &[u8]) -> Vec<&[u8]> {
    let mut rest = Fields(parameters);
    let mut parts = Vec::new();
    for field in fields(code) {
        let before = rest.0;
        if take(*field, &mut rest).is_none() {
            parts.push(before);
            return parts;
        }
        parts.push(&before[..before.len() - rest.0.len()]);
    }
    if !rest.0.is_empty() {
        parts.push(rest.0);
    }
    parts
}

fn take(field: Field, rest: &mut Fields<'_>) -> Option<()> {
    match field {
        Field::Word(size) | Field::Count(size) => rest.take(size).map(|_| ()),
        Field::Sized | Field::RandomSized | Field::Opaque | Field::Public | Field::Attest => {
            rest.sized().map(|_| ())
        }
        Field::Ticket => {
            rest.take(6)?;
            rest.sized().map(|_| ())
        }
        Field::Signature | Field::Rest => {
            rest.rest();
            Some(())
        }
        Field::Context => {
            rest.take(16)?;
            rest.sized().map(|_| ())
        }
        Field::TimeInfo => rest.take(25).map(|_| ()),
    }
}

/// Whether two TPMs' octets of a field say the same. `is_tainted`: the command used something that
/// differs from one TPM to the other, so that values may differ and only sizes count.
pub fn agree(field: Field, is_tainted: bool, ours: &[u8], theirs: &[u8]) -> bool {
    let same_size = ours.len() == theirs.len();
    match field {
        Field::Word(_) | Field::Sized | Field::Rest => ours == theirs || (is_tainted && same_size),
        Field::RandomSized | Field::Count(_) => same_size,
        Field::Opaque => (ours.len() > 2) == (theirs.len() > 2),
        Field::Public => publics_agree(ours, theirs, is_tainted),
        Field::Ticket => same_size && ours.get(..6) == theirs.get(..6),
        Field::Signature => signatures_agree(ours, theirs),
        Field::Attest => attested(ours) == attested(theirs) && (is_tainted || same_size),
        Field::Context => ours.get(8..16) == theirs.get(8..16),
        // resetCount and restartCount stand behind time and clock.
        Field::TimeInfo => ours.get(16..24) == theirs.get(16..24),
    }
}

fn publics_agree(ours: &[u8], theirs: &[u8], is_tainted: bool) -> bool {
    let parse = |octets: &[u8]| {
        let mut fields = Fields(octets);
        Public::unmarshal(&mut Reader::new(fields.sized()?)).ok()
    };
    match (parse(ours), parse(theirs)) {
        (Some(ours), Some(theirs)) => {
            ours.attributes == theirs.attributes
                && ours.name_algorithm == theirs.name_algorithm
                && (is_tainted || ours.auth_policy == theirs.auth_policy)
                && ours.parameters == theirs.parameters
        }
        _ => ours == theirs,
    }
}

/// Whether two signatures are of one scheme and hash, and of the same size; libtpms leaves out
/// leading zeros of an ECDAA signature's numbers.
fn signatures_agree(ours: &[u8], theirs: &[u8]) -> bool {
    let two_numbers = |octets: &[u8]| {
        let mut fields = Fields(octets);
        fields.take(4)?;
        fields.sized()?;
        fields.sized()?;
        fields.0.is_empty().then_some(())
    };
    let same_sizes = match ours.get(..2) {
        Some(scheme) if scheme == AlgorithmId::ECDAA.0.to_be_bytes() => {
            two_numbers(ours).is_some() && two_numbers(theirs).is_some()
        }
        _ => ours.len() == theirs.len(),
    };
    same_sizes && ours.get(..4) == theirs.get(..4)
}

/// What an attestation says whoever signs it: its type, extraData, and the counters.
fn attested(octets: &[u8]) -> Option<(Vec<u8>, Vec<u8>, usize)> {
    let mut fields = Fields(octets);
    let mut fields = Fields(fields.sized()?);
    let kind = fields.take(6)?.to_vec();
    fields.sized()?;
    let extra = fields.sized()?.to_vec();
    fields.take(25)?;
    Some((kind, extra, fields.0.len()))
}
