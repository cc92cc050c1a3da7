// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ContextLoad (Part 3, 28.3).

use super::cipher;
use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::session::Session;
use crate::state::object::Transient;
use crate::structure::buffer::Buffer;
use crate::structure::context::{CONTENT_SIZE_MAX, SAVED_CONTEXT_SIZE_MAX, SavedContext};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// context. The response: loadedHandle. Windows pads the context to the size that
/// TPM_PT_MAX_OBJECT_CONTEXT names; octets behind it are refused at any other size.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (saved,): (SavedContext,) = parameters.read_padded(SAVED_CONTEXT_SIZE_MAX)?;
    let handle = load(context, &saved).map_err(|code| code.in_parameter(1))?;
    context.response_handle = Some(handle);
    Ok(())
}

fn load(
    context: &mut Context<'_>,
    saved: &SavedContext,
) -> Result<crate::structure::handle::Handle> {
    let state = &mut *context.state;
    let mut reader = Reader::new(&saved.blob);
    let integrity: Digest = reader.value()?;
    if cipher::integrity(state, saved, reader.rest()) != integrity {
        return Err(ResponseCode::INTEGRITY);
    }
    if !state.is_hierarchy_enabled(saved.hierarchy) {
        return Err(ResponseCode::HIERARCHY);
    }
    let mut content = Buffer::<CONTENT_SIZE_MAX>::new(reader.rest())?;
    cipher::apply(state, saved, content.as_mut_slice(), false)?;
    if saved.saved_handle.is_session() {
        if !state.sessions.is_saved_as(saved.saved_handle, saved.sequence) {
            // Another context of the session was saved since, or it is loaded, or ended.
            return Err(ResponseCode::HANDLE);
        }
        let session: Session = whole(&content)?;
        let next_counter = state.reset.session_context_count;
        let handle = state.sessions.load(saved.saved_handle, next_counter, session)?;
        state.reset.change();
        Ok(handle)
    } else {
        let transient: Transient = whole(&content)?;
        state.transients.insert(transient)
    }
}

/// What this TPM wrote and authenticated reads back whole.
fn whole<T: Unmarshal>(content: &[u8]) -> Result<T> {
    let mut reader = Reader::new(content);
    let value = reader.value().map_err(|_| ResponseCode::FAILURE)?;
    reader.finish().map_err(|_| ResponseCode::FAILURE)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests as create_primary;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER, parameters};

    #[test]
    fn a_context_may_be_padded_as_windows_does() {
        let mut machine = Machine::started();
        let body = create_primary::body(b"", b"", &create_primary::storage_key());
        machine.authorised(0x131, &[OWNER], &body).unwrap();
        let saved = machine.command(0x162, &[0x80, 0, 0, 0]).unwrap();
        let size = usize::try_from(machine.property(0x121)).unwrap();
        let mut padded = saved;
        padded.resize(size - 1, 0);
        assert_eq!(machine.command(0x161, &padded), Err(ResponseCode::SIZE));
        padded.push(0);
        assert_eq!(machine.command(0x161, &padded), Ok(std::vec![0x80, 0, 0, 1]));
        padded.push(0);
        assert_eq!(machine.command(0x161, &padded), Err(ResponseCode::SIZE));
    }

    #[test]
    fn refuses_what_is_no_context() {
        let mut machine = Machine::started();
        let context = |handle: u32, hierarchy: u32, blob: &[u8]| {
            parameters(|writer| {
                writer.value(&0_u64)?;
                writer.value(&handle)?;
                writer.value(&hierarchy)?;
                writer.sized_bytes(blob)
            })
        };
        let mut load = |body: &[u8]| machine.command(0x161, body).unwrap_err();
        let first = |code: ResponseCode| code.in_parameter(1);
        assert_eq!(load(&context(0x8000_0003, OWNER, &[])), first(ResponseCode::VALUE));
        assert_eq!(load(&context(0x8000_0000, 1, &[])), first(ResponseCode::VALUE));
        assert_eq!(load(&context(0x8000_0000, OWNER, &[])), first(ResponseCode::INSUFFICIENT));
        assert_eq!(load(&context(0x8000_0000, OWNER, &[0; 80])), first(ResponseCode::INTEGRITY));
        assert_eq!(load(&context(0x0200_0000, OWNER, &[0; 80])), first(ResponseCode::INTEGRITY));
    }
}
