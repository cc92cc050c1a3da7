// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_StartAuthSession (Part 3, 11.1).

use crate::crypto::hash::HashAlgorithm;
use crate::crypto::kdf::kdfa;
use crate::pipeline::Context;
use crate::protect::secret::{EncryptedSecret, SharedSecret, decrypt_secret};
use crate::session::{PolicyState, Session, SessionKey, SessionKind};
use crate::state::State;
use crate::structure::attributes::ObjectAttributes;
use crate::structure::digest::Nonce;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::nv::NvType;
use crate::structure::public::ObjectType;
use crate::structure::response_code::ResponseCode;
use crate::structure::symmetric::{CipherMode, SymmetricDefinition};
use crate::wire::{Parameters, Result, Writer};
use zeroize::Zeroize;

/// Octets of the shortest nonce.
const NONCE_SIZE_MIN: usize = 16;

/// Handles: tpmKey, bind. Parameters: nonceCaller, encryptedSalt, sessionType, symmetric,
/// authHash. The response: sessionHandle; nonceTPM.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (nonce_caller, encrypted_salt, kind, symmetric, hash): (
        Nonce,
        EncryptedSecret,
        SessionKind,
        SymmetricDefinition,
        HashAlgorithm,
    ) = parameters.read()?;
    let (tpm_key, bind) = (context.handle(1), context.handle(2));
    if nonce_caller.len() < NONCE_SIZE_MIN || nonce_caller.len() > hash.digest_size() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    if let SymmetricDefinition::Cipher(definition) = symmetric
        && definition.mode != Some(CipherMode::Cfb)
    {
        return Err(ResponseCode::MODE.in_parameter(4));
    }
    let salt = salt(context, tpm_key, &encrypted_salt)?;
    let state = &mut *context.state;
    check_bind(state, bind)?;
    state.sessions.check_room(state.reset.session_context_count)?;

    let mut nonce_tpm = Nonce::zeroed(nonce_caller.len())?;
    state.fill_random(nonce_tpm.as_mut_slice())?;
    let is_keyed = tpm_key != Handle::NULL || bind != Handle::NULL;
    let key = if is_keyed {
        session_key(state, bind, &salt, hash, (&nonce_tpm, &nonce_caller))?
    } else {
        SessionKey::EMPTY
    };
    let bound = match bind {
        Handle::NULL => None,
        _ if kind != SessionKind::Hmac => None,
        _ => {
            let auth = state.auth_value(bind).map_or(&[][..], |auth| auth.as_slice());
            Some(Session::binding_of(&state.name(bind)?, auth))
        }
    };
    let session = Session {
        kind,
        hash,
        symmetric,
        nonce_tpm: nonce_tpm.clone(),
        key,
        bound,
        is_bound_to_da: bind != Handle::NULL && state.is_da_protected(bind),
        is_bound_to_lockout: bind == Handle::LOCKOUT,
        audit: None,
        started_ms: state.clock.time_ms(),
        epoch: state.clock.epoch,
        policy: PolicyState::new(hash),
    };
    let handle = state.sessions.insert(session)?;
    context.response_handle = Some(handle);
    response.value(&nonce_tpm)
}

/// The salt that only the holder of `tpm_key` could read; empty without such a key.
fn salt(
    context: &mut Context<'_>,
    tpm_key: Handle,
    encrypted: &EncryptedSecret,
) -> Result<SharedSecret> {
    if tpm_key == Handle::NULL {
        if !encrypted.is_empty() {
            return Err(ResponseCode::VALUE.in_parameter(2));
        }
        return Ok(SharedSecret::EMPTY);
    }
    let object = context.state.object(tpm_key).map_err(|_| ResponseCode::KEY.in_handle(1))?;
    if !matches!(object.public.object_type(), ObjectType::Rsa | ObjectType::Ecc) {
        return Err(ResponseCode::KEY.in_handle(1));
    }
    if object.sensitive.is_none() {
        return Err(ResponseCode::HANDLE.in_handle(1));
    }
    if !object.has(ObjectAttributes::DECRYPT) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(1));
    }
    if encrypted.is_empty() {
        return Err(ResponseCode::VALUE.in_parameter(2));
    }
    decrypt_secret(context, tpm_key, b"SECRET", encrypted).map_err(|code| match code {
        ResponseCode::ECC_POINT | ResponseCode::SIZE => ResponseCode::VALUE.in_parameter(2),
        other => other.in_parameter(2),
    })
}

/// An entity that a session can be bound to has an authorisation value that the TPM knows, and no
/// index that counts the tries of its value: the session would tell of it without a count.
fn check_bind(state: &State, bind: Handle) -> Result<()> {
    let is_object = matches!(bind.kind(), Some(HandleKind::Transient | HandleKind::Persistent));
    let index_type = state.nv.get(bind).and_then(|index| index.public.attributes.nv_type());
    let is_pin = matches!(index_type, Some(NvType::PinFail | NvType::PinPass));
    if is_pin || is_object && state.auth_value(bind).is_none() {
        return Err(ResponseCode::HANDLE.in_handle(2));
    }
    Ok(())
}

/// KDFa(authHash, bind.authValue ‖ salt, "ATH", nonceTPM, nonceCaller, bits) (Part 1, 19.6.8).
fn session_key(
    state: &State,
    bind: Handle,
    salt: &SharedSecret,
    hash: HashAlgorithm,
    (nonce_tpm, nonce_caller): (&Nonce, &Nonce),
) -> Result<SessionKey> {
    let mut secret = crate::structure::buffer::Buffer::<{ 2 * 66 }>::EMPTY;
    if let Some(auth) = state.auth_value(bind) {
        secret.append(auth)?;
    }
    secret.append(salt)?;
    let mut key = [0; crate::crypto::hash::DIGEST_SIZE_MAX];
    let (used, _) = key.split_at_mut_checked(hash.digest_size()).unwrap_or_default();
    let bits = u32::try_from(used.len().saturating_mul(8)).map_err(|_| ResponseCode::FAILURE)?;
    let derived = kdfa(hash, &secret, b"ATH", nonce_tpm, nonce_caller, bits, used)
        .map_err(|_| ResponseCode::FAILURE)
        .and_then(|()| SessionKey::new(used));
    key.zeroize();
    derived
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body as create_body, storage_key};
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    const NULL: u32 = 0x4000_0007;

    fn body(handles: [u32; 2], nonce: usize, salt: &[u8], rest: &[u16]) -> std::vec::Vec<u8> {
        parameters(|writer| {
            writer.value(&handles[0])?;
            writer.value(&handles[1])?;
            writer.sized_bytes(&std::vec![1; nonce])?;
            writer.sized_bytes(salt)?;
            writer.value(&0_u8)?;
            rest.iter().try_for_each(|word| writer.value(word))
        })
    }

    #[test]
    fn refuses_wrong_parameters() {
        let mut machine = Machine::started();
        let mut start = |body: &[u8]| machine.command(0x176, body);
        let plain: &[u16] = &[0x10, 0x0b];
        let size = Err(ResponseCode::SIZE.in_parameter(1));
        assert_eq!(start(&body([NULL, NULL], 15, &[], plain)), size);
        assert_eq!(start(&body([NULL, NULL], 33, &[], plain)), size);
        let salt = Err(ResponseCode::VALUE.in_parameter(2));
        assert_eq!(start(&body([NULL, NULL], 16, &[1], plain)), salt);
        let mode = Err(ResponseCode::MODE.in_parameter(4));
        assert_eq!(start(&body([NULL, NULL], 16, &[], &[6, 128, 0x42, 0x0b])), mode);
        let bits = Err(ResponseCode::VALUE.in_parameter(4));
        assert_eq!(start(&body([NULL, NULL], 16, &[], &[6, 127, 0x43, 0x0b])), bits);
        let hash = Err(ResponseCode::HASH.in_parameter(5));
        assert_eq!(start(&body([NULL, NULL], 16, &[], &[0x10, 0x10])), hash);
        let owner = Err(ResponseCode::VALUE.in_handle(1));
        assert_eq!(start(&body([OWNER, NULL], 16, &[], plain)), owner);
        let object = Err(ResponseCode::REFERENCE_H0);
        assert_eq!(start(&body([0x8000_0000, NULL], 16, &[1], plain)), object);
    }

    #[test]
    fn a_salt_that_is_no_point_is_a_wrong_value() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &create_body(b"", b"", &storage_key())).unwrap();
        let value = Err(ResponseCode::VALUE.in_parameter(2));
        let no_point = [&[0, 32][..], &[1; 32], &[0, 32], &[1; 32]].concat();
        let long_coordinate = [&[0x80, 32][..], &[1; 32], &[0, 32], &[1; 32]].concat();
        for salt in [no_point, long_coordinate] {
            let body = body([0x8000_0000, NULL], 16, &salt, &[0x10, 0x0b]);
            assert_eq!(machine.command(0x176, &body), value);
        }
    }

    #[test]
    fn there_are_as_many_as_slots() {
        let mut machine = Machine::started();
        for number in 0..8 {
            assert_eq!(machine.start_session(SessionKind::Hmac).0, 0x0200_0000 + number);
        }
        let refused = machine.command(0x176, &body([NULL, NULL], 16, &[], &[0x10, 0x0b]));
        assert_eq!(refused, Err(ResponseCode::SESSION_MEMORY));
    }

    #[test]
    fn the_nonce_is_as_long_as_the_callers() {
        let mut machine = Machine::started();
        let response = machine.command(0x176, &body([NULL, NULL], 20, &[], &[0x10, 0x0b]));
        let response = response.unwrap();
        assert_eq!(response.len(), 4 + 2 + 20);
        assert_eq!(response[..6], [2, 0, 0, 0, 0, 20]);
    }

    /// Only contexts that are saved count: sessions that come and go make none too old.
    #[test]
    fn a_start_does_not_widen_the_gap() {
        let mut machine = Machine::started();
        let saved = machine.start_session(SessionKind::Hmac).0.to_be_bytes();
        let saved = machine.command(0x162, &saved).unwrap();
        let before = machine.tpm.state().reset.session_context_count;
        for _ in 0..3 {
            let session = machine.start_session(SessionKind::Hmac).0.to_be_bytes();
            machine.command(0x165, &session).unwrap();
        }
        assert_eq!(machine.tpm.state().reset.session_context_count, before);
        assert!(machine.command(0x161, &saved).is_ok());
    }
}
