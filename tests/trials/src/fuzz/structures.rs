// SPDX-License-Identifier: MIT OR Apache-2.0
//! Structures of Part 2 out of any octets: what can be read is written as the same octets. What no
//! response holds is only read; what a command keeps to itself, `raw_commands` reaches.

use tpm::command::CommandSet;
use tpm::crypto::hash::{Digest, HashAlgorithm};
use tpm::session::Session;
use tpm::state::clock::Clock;
use tpm::state::groups::{Orderly, Permanent, StateClear, StateReset};
use tpm::state::launch::{Launch, Origin};
use tpm::state::object::{Object, Transient};
use tpm::state::pcr::PcrAllocation;
use tpm::structure::attributes::LocalityAttributes;
use tpm::structure::clock::ClockInfo;
use tpm::structure::context::SavedContext;
use tpm::structure::digest::{DigestList, DigestValues, TaggedDigest};
use tpm::structure::ecc::EccPoint;
use tpm::structure::nv::{NvPublic, NvPublic2, SizedNvPublic};
use tpm::structure::pcr_selection::PcrSelectionList;
use tpm::structure::public::{Public, PublicParameters, SizedPublic, SizedPublicOrNull};
use tpm::structure::scheme::{
    EccScheme, KdfScheme, KeyedHashScheme, RsaDecryptScheme, RsaScheme, SignatureScheme,
};
use tpm::structure::sensitive::{Sensitive, SensitiveCreate, SizedSensitive};
use tpm::structure::signature::Signature;
use tpm::structure::symmetric::{CipherDefinition, SymmetricDefinition};
use tpm::structure::ticket::Ticket;
use tpm::wire::{Marshal, Reader, Unmarshal, Writer};

const BUFFER_SIZE: usize = 16 * 1024;

type Check = fn(&[u8]);

/// Reads the octets behind the first as the structure that the first names.
///
/// # Panics
/// When what was read is not written as it was read.
pub fn structures(octets: &[u8]) {
    const CHECKS: [Check; 44] = [
        round_trip::<Public>,
        round_trip::<PublicParameters>,
        round_trip::<Sensitive>,
        round_trip::<Signature>,
        round_trip::<Option<Signature>>,
        round_trip::<SignatureScheme>,
        round_trip::<Option<SignatureScheme>>,
        round_trip::<KdfScheme>,
        round_trip::<Option<KeyedHashScheme>>,
        round_trip::<CipherDefinition>,
        round_trip::<Option<CipherDefinition>>,
        round_trip::<SymmetricDefinition>,
        round_trip::<NvPublic>,
        round_trip::<NvPublic2>,
        round_trip::<SizedNvPublic>,
        round_trip::<PcrSelectionList>,
        round_trip::<SavedContext>,
        round_trip::<Ticket>,
        round_trip::<EccPoint>,
        round_trip::<TaggedDigest>,
        round_trip::<Digest>,
        round_trip::<Option<HashAlgorithm>>,
        round_trip::<LocalityAttributes>,
        round_trip::<ClockInfo>,
        round_trip::<CommandSet>,
        round_trip::<Permanent>,
        round_trip::<Orderly>,
        round_trip::<StateClear>,
        round_trip::<StateReset>,
        round_trip::<Object>,
        round_trip::<Whole>,
        round_trip::<DigestList>,
        round_trip::<DigestValues>,
        round_trip::<PcrAllocation>,
        round_trip::<Launch>,
        round_trip::<Origin>,
        round_trip::<Clock>,
        read::<SensitiveCreate>,
        read::<SizedSensitive>,
        read::<SizedPublic>,
        read::<SizedPublicOrNull>,
        read::<RsaScheme>,
        read::<RsaDecryptScheme>,
        read::<EccScheme>,
    ];
    let Some((first, rest)) = octets.split_first() else { return };
    CHECKS[usize::from(*first) % CHECKS.len()](rest);
}

fn round_trip<T: Unmarshal + Marshal>(octets: &[u8]) {
    let mut reader = Reader::new(octets);
    let Ok(value) = T::unmarshal(&mut reader) else { return };
    let read = &octets[..octets.len() - reader.remaining()];
    let mut buffer = vec![0; BUFFER_SIZE];
    let mut writer = Writer::new(&mut buffer);
    writer.value(&value).expect("what was read can be written");
    assert_eq!(writer.written(), read, "{}", std::any::type_name::<T>());
}

fn read<T: Unmarshal>(octets: &[u8]) {
    let mut reader = Reader::new(octets);
    let read = T::unmarshal(&mut reader);
    assert!(read.is_err() || reader.remaining() < octets.len(), "nothing is read of nothing");
}

/// What is in a saved context: a transient object or a session.
enum Whole {
    Transient(Box<Transient>),
    Session(Box<Session>),
}

impl Unmarshal for Whole {
    fn unmarshal(reader: &mut Reader<'_>) -> tpm::wire::Result<Self> {
        if reader.value::<bool>()? {
            reader.value().map(|transient| Self::Transient(Box::new(transient)))
        } else {
            reader.value().map(|session| Self::Session(Box::new(session)))
        }
    }
}

impl Marshal for Whole {
    fn marshal(&self, writer: &mut Writer<'_>) -> tpm::wire::Result<()> {
        match self {
            Self::Transient(transient) => {
                writer.value(&true)?;
                writer.value(&**transient)
            }
            Self::Session(session) => {
                writer.value(&false)?;
                writer.value(&**session)
            }
        }
    }
}
