// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loaded objects, sequences and sessions as the content of a saved context. No TPM but this one
//! reads it, and only until the next TPM Reset, so it has no version.

use super::object::{
    CIPHER_KEY_SIZE_MAX, CmacSequence, OBJECT_RECORD_SIZE_MAX, Sequence, SequenceKind, Transient,
};
use super::pcr::BANKS;
use crate::crypto::cmac::{CMAC_STATE_SIZE, CmacState};
use crate::crypto::hash::{DIGEST_SIZE_MAX, HASHER_STATE_SIZE_MAX, Hasher};
use crate::crypto::hmac::{HMAC_STATE_SIZE_MAX, Hmac};
use crate::session::{PolicyAuth, PolicyBinding, PolicyState, Session};
use crate::structure::command_code::CommandCode;
use crate::structure::context::CONTENT_SIZE_MAX;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};
use zeroize::Zeroizing;

const SIZED_DIGEST: usize = 2 + DIGEST_SIZE_MAX;
/// Octets of the longest sequence: one with a hash for each bank.
const SEQUENCE_SIZE_MAX: usize =
    1 + BANKS.len() * (2 + HASHER_STATE_SIZE_MAX) + SIZED_DIGEST + 4 + 1;
/// Octets of the longest policy: digest, command, locality, binding, PCR counter, timeout, whether
/// an index is written, proof, and three flags.
const POLICY_SIZE_MAX: usize =
    SIZED_DIGEST + (1 + 4) + (1 + 1) + (1 + SIZED_DIGEST) + (1 + 4) + (1 + 8) + (1 + 1) + 4;
/// Octets of the longest session: kind, hash, cipher, nonce, key, what it is bound to, audit
/// digest, times, policy.
const SESSION_SIZE_MAX: usize = 1
    + (2 + 6)
    + 2 * SIZED_DIGEST
    + (1 + SIZED_DIGEST + 2)
    + (1 + SIZED_DIGEST)
    + (8 + 4)
    + POLICY_SIZE_MAX;

// A size that is too small would let TPM2_ContextSave end in failure mode.
const _: () = assert!(
    OBJECT_RECORD_SIZE_MAX < CONTENT_SIZE_MAX
        && SEQUENCE_SIZE_MAX <= CONTENT_SIZE_MAX
        && SESSION_SIZE_MAX <= CONTENT_SIZE_MAX,
    "every object, sequence and session can be saved"
);
const _: () = assert!(
    HMAC_STATE_SIZE_MAX <= BANKS.len() * HASHER_STATE_SIZE_MAX
        && 6 + 2 + CIPHER_KEY_SIZE_MAX + CMAC_STATE_SIZE <= HASHER_STATE_SIZE_MAX,
    "no sequence is longer than an event sequence"
);

const OBJECT: u8 = 0;
const HASH: u8 = 1;
const HMAC: u8 = 2;
const CMAC: u8 = 3;
const EVENT: u8 = 4;

impl Marshal for Hasher {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        let mut state = Zeroizing::new([0; HASHER_STATE_SIZE_MAX]);
        let size = self.save(&mut state);
        writer.sized_bytes(state.get(..size).unwrap_or_default())
    }
}

impl Unmarshal for Hasher {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self::restore(reader.sized(HASHER_STATE_SIZE_MAX)?.rest())?)
    }
}

impl Marshal for Hmac {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        let mut state = Zeroizing::new([0; HMAC_STATE_SIZE_MAX]);
        let size = self.save(&mut state);
        writer.sized_bytes(state.get(..size).unwrap_or_default())
    }
}

impl Unmarshal for Hmac {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self::restore(reader.sized(HMAC_STATE_SIZE_MAX)?.rest())?)
    }
}

impl Marshal for CmacSequence {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.definition)?;
        writer.value(&self.key)?;
        writer.bytes(&*Zeroizing::new(self.state.save()))
    }
}

impl Unmarshal for CmacSequence {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let definition = reader.value()?;
        let key = reader.value()?;
        let state = CmacState::restore(reader.take(CMAC_STATE_SIZE)?)?;
        Ok(Self { definition, key, state })
    }
}

impl Marshal for Transient {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        let sequence = match self {
            Self::Object(object) => {
                writer.value(&OBJECT)?;
                return writer.value(object);
            }
            Self::Sequence(sequence) => sequence,
        };
        match &sequence.kind {
            SequenceKind::Hash(hasher) => {
                writer.value(&HASH)?;
                writer.value(hasher)?;
            }
            SequenceKind::Hmac(hmac) => {
                writer.value(&HMAC)?;
                writer.value(hmac)?;
            }
            SequenceKind::Cmac(cmac) => {
                writer.value(&CMAC)?;
                writer.value(cmac)?;
            }
            SequenceKind::Event(hashers) => {
                writer.value(&EVENT)?;
                hashers.iter().try_for_each(|hasher| writer.value(hasher))?;
            }
        }
        writer.value(&sequence.auth)?;
        writer.bytes(&sequence.first_octets)?;
        writer.value(&sequence.first_octets_count)
    }
}

impl Unmarshal for Transient {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let kind = match reader.value::<u8>()? {
            OBJECT => return reader.value().map(Self::Object),
            HASH => SequenceKind::Hash(reader.value()?),
            HMAC => SequenceKind::Hmac(reader.value()?),
            CMAC => SequenceKind::Cmac(reader.value()?),
            EVENT => {
                let mut hashers = BANKS.map(Hasher::new);
                for (hasher, bank) in hashers.iter_mut().zip(BANKS) {
                    *hasher = reader.value()?;
                    if hasher.algorithm() != bank {
                        return Err(ResponseCode::VALUE);
                    }
                }
                SequenceKind::Event(hashers)
            }
            _ => return Err(ResponseCode::VALUE),
        };
        let auth = reader.value()?;
        let first_octets = reader.array()?;
        Ok(Self::Sequence(Sequence {
            auth,
            kind,
            first_octets,
            first_octets_count: reader.value()?,
        }))
    }
}

/// A value that may be missing, behind an octet that says whether it is there.
pub(super) struct Maybe<T>(pub(super) Option<T>);

impl<T: Marshal> Marshal for Maybe<T> {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.0.is_some())?;
        self.0.as_ref().map_or(Ok(()), |value| writer.value(value))
    }
}

impl<T: Unmarshal> Unmarshal for Maybe<T> {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        if reader.value()? { reader.value().map(Some).map(Self) } else { Ok(Self(None)) }
    }
}

impl Marshal for PolicyBinding {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        let (kind, digest) = match self {
            Self::None => return writer.value(&0_u8),
            Self::CpHash(digest) => (1_u8, digest),
            Self::NameHash(digest) => (2, digest),
            Self::TemplateHash(digest) => (3, digest),
            Self::ParameterHash(digest) => (4, digest),
        };
        writer.value(&kind)?;
        writer.value(digest)
    }
}

impl Unmarshal for PolicyBinding {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match reader.value::<u8>()? {
            0 => Self::None,
            1 => Self::CpHash(reader.value()?),
            2 => Self::NameHash(reader.value()?),
            3 => Self::TemplateHash(reader.value()?),
            4 => Self::ParameterHash(reader.value()?),
            _ => return Err(ResponseCode::VALUE),
        })
    }
}

impl Marshal for PolicyState {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.digest)?;
        writer.value(&Maybe(self.command_code))?;
        writer.value(&Maybe(self.locality))?;
        writer.value(&self.binding)?;
        writer.value(&Maybe(self.pcr_counter))?;
        writer.value(&Maybe(self.timeout_ms))?;
        writer.value(&Maybe(self.nv_written))?;
        let auth: u8 = match self.auth {
            PolicyAuth::None => 0,
            PolicyAuth::AuthValue => 1,
            PolicyAuth::Password => 2,
        };
        writer.value(&auth)?;
        writer.value(&self.needs_physical_presence)?;
        writer.value(&self.needs_secure_channel)?;
        writer.value(&self.includes_object)
    }
}

impl Unmarshal for PolicyState {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            digest: reader.value()?,
            command_code: reader.value::<Maybe<CommandCode>>()?.0,
            locality: reader.value::<Maybe<_>>()?.0,
            binding: reader.value()?,
            pcr_counter: reader.value::<Maybe<_>>()?.0,
            timeout_ms: reader.value::<Maybe<_>>()?.0,
            nv_written: reader.value::<Maybe<_>>()?.0,
            auth: match reader.value::<u8>()? {
                0 => PolicyAuth::None,
                1 => PolicyAuth::AuthValue,
                2 => PolicyAuth::Password,
                _ => return Err(ResponseCode::VALUE),
            },
            needs_physical_presence: reader.value()?,
            needs_secure_channel: reader.value()?,
            includes_object: reader.value()?,
        })
    }
}

impl Marshal for Session {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.kind)?;
        writer.value(&self.hash)?;
        writer.value(&self.symmetric)?;
        writer.value(&self.nonce_tpm)?;
        writer.value(&self.key)?;
        writer.value(&Maybe(self.bound))?;
        writer.value(&self.is_bound_to_da)?;
        writer.value(&self.is_bound_to_lockout)?;
        writer.value(&Maybe(self.audit))?;
        writer.value(&self.started_ms)?;
        writer.value(&self.epoch)?;
        writer.value(&self.policy)
    }
}

impl Unmarshal for Session {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            kind: reader.value()?,
            hash: reader.value()?,
            symmetric: reader.value()?,
            nonce_tpm: reader.value()?,
            key: reader.value()?,
            bound: reader.value::<Maybe<_>>()?.0,
            is_bound_to_da: reader.value()?,
            is_bound_to_lockout: reader.value()?,
            audit: reader.value::<Maybe<_>>()?.0,
            started_ms: reader.value()?,
            epoch: reader.value()?,
            policy: reader.value()?,
        })
    }
}
