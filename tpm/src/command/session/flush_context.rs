// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_FlushContext (Part 3, 28.4).

use crate::pipeline::Context;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// flushHandle: a parameter, not a handle, since a saved session can be flushed as well.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (handle,): (Handle,) = parameters.read()?;
    let state = &mut *context.state;
    let was_there = match handle.kind() {
        Some(HandleKind::Transient) => state.transients.remove(handle),
        Some(HandleKind::HmacSession | HandleKind::PolicySession) => {
            let was_there = state.sessions.remove(handle);
            if was_there {
                // What TPM2_Shutdown saved lists the saved sessions.
                state.reset.change();
            }
            was_there
        }
        _ => return Err(ResponseCode::VALUE.in_parameter(1)),
    };
    if was_there { Ok(()) } else { Err(ResponseCode::HANDLE.in_parameter(1)) }
}

#[cfg(test)]
mod tests {
    use crate::session::SessionKind;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn flushes_what_is_loaded_and_nothing_else() {
        let mut machine = Machine::started();
        let flush =
            |machine: &mut Machine, handle: u32| machine.command(0x165, &handle.to_be_bytes());
        let missing = Err(ResponseCode::HANDLE.in_parameter(1));
        assert_eq!(flush(&mut machine, 0x8000_0000), missing);
        assert_eq!(flush(&mut machine, 0x0200_0000), missing);
        assert_eq!(flush(&mut machine, 0x0200_0040), missing);
        assert_eq!(flush(&mut machine, OWNER), Err(ResponseCode::VALUE.in_parameter(1)));
        assert_eq!(flush(&mut machine, 0x8100_0001), Err(ResponseCode::VALUE.in_parameter(1)));
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        assert_eq!(flush(&mut machine, 0x8000_0000), Ok(std::vec![]));
        assert_eq!(flush(&mut machine, 0x8000_0000), missing);
        let session = machine.start_session(SessionKind::Hmac);
        assert_eq!(flush(&mut machine, session.0), Ok(std::vec![]));
        assert_eq!(flush(&mut machine, session.0), missing);
    }
}
