// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ContextSave (Part 3, 28.2).

use super::cipher::{self, OBJECT, SEQUENCE, ST_CLEAR_OBJECT};
use crate::pipeline::Context;
use crate::state::object::Transient;
use crate::structure::buffer::Buffer;
use crate::structure::context::{CONTENT_SIZE_MAX, SavedContext};
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: saveHandle. The response: context. An object stays; a session does not.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let () = parameters.read()?;
    let handle = context.handle(1);
    let content: Buffer<CONTENT_SIZE_MAX>;
    let (sequence, saved_handle, hierarchy) = if handle.is_session() {
        let session = context.state.sessions.get(handle).ok_or(ResponseCode::HANDLE)?;
        content = Buffer::written(|writer| writer.value(session))?;
        let sequence = context.state.reset.session_context_count;
        context.state.sessions.check_gap(sequence)?;
        (sequence, handle, Handle::NULL)
    } else {
        let transient = context.state.transients.get(handle).ok_or(ResponseCode::HANDLE)?;
        content = Buffer::written(|writer| writer.value(transient))?;
        let (saved_handle, hierarchy) = match transient {
            Transient::Sequence(_) => (SEQUENCE, Handle::NULL),
            Transient::Object(object) if object.is_st_clear => (ST_CLEAR_OBJECT, object.hierarchy),
            Transient::Object(object) => (OBJECT, object.hierarchy),
        };
        (context.state.reset.object_context_count, saved_handle, hierarchy)
    };
    let mut saved = SavedContext { sequence, saved_handle, hierarchy, blob: Buffer::EMPTY };
    let mut encrypted = content;
    cipher::apply(context.state, &saved, encrypted.as_mut_slice(), true)?;
    let integrity = cipher::integrity(context.state, &saved, &encrypted);
    let size = u16::try_from(integrity.len()).map_err(|_| ResponseCode::FAILURE)?;
    saved.blob.append(&size.to_be_bytes())?;
    saved.blob.append(&integrity)?;
    saved.blob.append(&encrypted)?;
    response.value(&saved)?;

    let reset = context.state.reset.change();
    if handle.is_session() {
        reset.session_context_count = saved.sequence.saturating_add(1);
        context.state.sessions.save(handle, saved.sequence);
    } else {
        reset.object_context_count = saved.sequence.saturating_add(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL, OWNER};
    use std::vec::Vec;

    const OBJECT: [u8; 4] = [0x80, 0, 0, 0];

    #[test]
    fn only_what_is_loaded_can_be_saved() {
        let mut machine = Machine::started();
        assert_eq!(machine.command(0x162, &OBJECT), Err(ResponseCode::REFERENCE_H0));
        assert_eq!(machine.command(0x162, &[2, 0, 0, 0]), Err(ResponseCode::REFERENCE_H0));
        let persistent = machine.command(0x162, &[0x81, 0, 0, 1]);
        assert_eq!(persistent, Err(ResponseCode::VALUE.in_handle(1)));
    }

    #[test]
    fn an_object_comes_back_the_same() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[NULL], &body(b"pw", b"", &storage_key())).unwrap();
        let public = machine.command(0x173, &OBJECT).unwrap();
        let saved = machine.command(0x162, &OBJECT).unwrap();
        assert!(saved.len() + 10 < 4096);
        machine.command(0x165, &OBJECT).unwrap();
        assert_eq!(machine.command(0x161, &saved), Ok(OBJECT.to_vec()));
        assert_eq!(machine.command(0x173, &OBJECT).unwrap(), public);
        // It can be loaded again, as often as there are slots.
        assert_eq!(machine.command(0x161, &saved), Ok(std::vec![0x80, 0, 0, 1]));
    }

    #[test]
    fn every_changed_octet_is_noticed() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let saved = machine.command(0x162, &OBJECT).unwrap();
        for place in 0..saved.len() {
            let mut changed: Vec<u8> = saved.clone();
            changed[place] ^= 1;
            assert!(machine.command(0x161, &changed).is_err(), "{place}");
        }
        let cut = machine.command(0x161, &saved[..saved.len() - 1]);
        assert_eq!(cut, Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
    }

    #[test]
    fn no_context_outlives_a_reset() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        let saved = machine.command(0x162, &OBJECT).unwrap();
        machine.command(0x145, &[0, 1]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 1]).unwrap();
        assert_eq!(machine.command(0x161, &saved), Ok(OBJECT.to_vec()));
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        let refused = machine.command(0x161, &saved);
        assert_eq!(refused, Err(ResponseCode::INTEGRITY.in_parameter(1)));
    }

    /// The count of contexts begins anew with each TPM Reset, and the proof stays: a key that both
    /// alone decide would encrypt two contents with one key stream.
    #[test]
    fn no_two_contexts_have_the_same_key() {
        let mut machine = Machine::started();
        let mut save = || {
            machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
            let saved = machine.command(0x162, &OBJECT).unwrap();
            machine.power_cycle();
            machine.command(0x144, &[0, 0]).unwrap();
            saved
        };
        let (first, second) = (save(), save());
        // Sequence, handle, hierarchy, and the lengths of the blob and of the integrity value.
        assert_eq!(first[..20], second[..20]);
        let encrypted = 20 + 64;
        assert_ne!(first[encrypted..encrypted + 16], second[encrypted..encrypted + 16]);
    }

    /// TPM2_Shutdown(STATE), then a loss of power and a start of one kind or the other.
    fn restart(machine: &mut Machine, startup: u8) {
        machine.command(0x145, &[0, 1]).unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, startup]).unwrap();
    }

    #[test]
    fn an_object_with_st_clear_outlives_a_resume_and_no_restart() {
        let mut machine = Machine::started();
        let mut template = storage_key();
        template[7] |= 0x04;
        let mut saved = Vec::new();
        for (template, handle) in [(template, 0x8000_0002_u32), (storage_key(), 0x8000_0000)] {
            machine.authorised(0x131, &[OWNER], &body(b"", b"", &template)).unwrap();
            let context = machine.command(0x162, &OBJECT).unwrap();
            assert_eq!(context[8..12], handle.to_be_bytes());
            machine.command(0x165, &OBJECT).unwrap();
            saved.push(context);
        }
        restart(&mut machine, 1);
        for context in &saved {
            machine.command(0x161, context).unwrap();
        }
        restart(&mut machine, 0);
        let refused = machine.command(0x161, &saved[0]);
        assert_eq!(refused, Err(ResponseCode::INTEGRITY.in_parameter(1)));
        assert_eq!(machine.command(0x161, &saved[1]), Ok(OBJECT.to_vec()));
    }

    /// Everything that can be loaded can be saved, and comes back.
    #[test]
    fn the_longest_sequence_and_session_fit() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x10]).unwrap();
        for _ in 0..200 {
            machine.authorised(0x15c, &[0x8000_0000], &[0, 3, 1, 2, 3]).unwrap();
        }
        let saved = machine.command(0x162, &OBJECT).unwrap();
        assert_eq!(saved[8..12], [0x80, 0, 0, 1]);
        assert_eq!(machine.command(0x161, &saved), Ok(std::vec![0x80, 0, 0, 1]));
    }

    #[test]
    fn a_session_is_loaded_once() {
        let mut machine = Machine::started();
        let session = machine.start_session(SessionKind::Policy).0.to_be_bytes();
        let saved = machine.command(0x162, &session).unwrap();
        assert_eq!(machine.command(0x180, &session), Err(ResponseCode::REFERENCE_H0));
        assert_eq!(machine.command(0x161, &saved), Ok(session.to_vec()));
        assert_eq!(machine.command(0x180, &session), Ok(std::vec![]));
        let replayed = machine.command(0x161, &saved);
        assert_eq!(replayed, Err(ResponseCode::HANDLE.in_parameter(1)));
        let newer = machine.command(0x162, &session).unwrap();
        let replayed = machine.command(0x161, &saved);
        assert_eq!(replayed, Err(ResponseCode::HANDLE.in_parameter(1)));
        machine.command(0x165, &session).unwrap();
        let flushed = machine.command(0x161, &newer);
        assert_eq!(flushed, Err(ResponseCode::HANDLE.in_parameter(1)));
    }

    #[test]
    fn a_sequence_goes_on() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        machine.authorised(0x15c, &[0x8000_0000], &[0, 1, b'a']).unwrap();
        let saved = machine.command(0x162, &OBJECT).unwrap();
        machine.command(0x165, &OBJECT).unwrap();
        machine.command(0x161, &saved).unwrap();
        let done = [&[0, 2, b'b', b'c'][..], &OWNER.to_be_bytes()].concat();
        let response = machine.authorised(0x13e, &[0x8000_0000], &done).unwrap();
        let digest = crate::crypto::hash::HashAlgorithm::Sha256.digest(&[b"abc"]);
        assert_eq!(response[2..34], *digest.as_bytes());
    }
}
