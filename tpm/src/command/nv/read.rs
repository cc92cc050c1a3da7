// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_Read (Part 3, 31.13).

use crate::pipeline::Context;
use crate::structure::nv::NV_BUFFER_SIZE_MAX;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex. Parameters: size, offset. The response: data.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (size, offset): (u16, u16) = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    context.state.check_nv_read(auth, index)?;
    if usize::from(size) > NV_BUFFER_SIZE_MAX {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    let start = usize::from(offset);
    let end = start.saturating_add(usize::from(size));
    let data = context.state.nv.data(index);
    if start > data.len() {
        return Err(ResponseCode::VALUE.in_parameter(2));
    }
    response.sized_bytes(data.get(start..end).ok_or(ResponseCode::NV_RANGE)?)
}

#[cfg(test)]
mod tests {
    use crate::command::nv::test_index::{INDEX, OPEN, define, read, write};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn stays_within_the_index() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN, 2048).unwrap();
        assert_eq!(read(&mut machine, 1, 0), Err(ResponseCode::NV_UNINITIALIZED));
        write(&mut machine, b"data", 0).unwrap();
        let size = Err(ResponseCode::VALUE.in_parameter(1));
        assert_eq!(read(&mut machine, 1025, 0), size);
        let offset = Err(ResponseCode::VALUE.in_parameter(2));
        assert_eq!(read(&mut machine, 0, 2049), offset);
        assert_eq!(read(&mut machine, 1, 2048), Err(ResponseCode::NV_RANGE));
        assert_eq!(read(&mut machine, 0, 2048), Ok(std::vec![]));
        assert_eq!(read(&mut machine, 5, 0).unwrap(), b"data\xff");
    }

    #[test]
    fn an_index_is_read_with_itself_or_a_hierarchy() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN, 4).unwrap();
        write(&mut machine, b"data", 0).unwrap();
        let other = crate::command::nv::test_index::definition(INDEX + 1, OPEN, 4);
        machine.authorised(0x12a, &[OWNER], &other).unwrap();
        let refused = machine.authorised(0x14e, &[INDEX + 1, INDEX], &[0, 4, 0, 0]);
        assert_eq!(refused, Err(ResponseCode::NV_AUTHORIZATION));
        assert!(machine.authorised(0x14e, &[OWNER, INDEX], &[0, 4, 0, 0]).is_ok());
    }

    /// NO_DA indices counted toward lockout in a from-scratch TPM.
    #[test]
    fn only_protected_indices_count_failures() {
        for (attributes, code, tries) in
            [(OPEN, ResponseCode::BAD_AUTH, 0), (OPEN & !(1 << 25), ResponseCode::AUTH_FAIL, 1)]
        {
            let mut machine = Machine::started();
            define(&mut machine, attributes, 4).unwrap();
            write(&mut machine, b"data", 0).unwrap();
            let wrong = machine.with_password(0x14e, &[INDEX, INDEX], b"no", &[0, 4, 0, 0]);
            assert_eq!(wrong, Err(code.in_session(1)));
            assert_eq!(machine.property(0x20e), tries);
        }
    }
}
