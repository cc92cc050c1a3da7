// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_ChangeAuth (Part 3, 31.15).

use crate::pipeline::Context;
use crate::structure::digest::Auth;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: nvIndex, with a policy for this command. Parameters: newAuth.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (auth,): (Auth,) = parameters.read()?;
    let auth = auth.without_trailing_zeros();
    let handle = context.handle(1);
    let index = context.state.nv.get(handle).ok_or(ResponseCode::HANDLE.in_handle(1))?;
    if auth.len() > index.public.name_algorithm.digest_size() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    let index = context.state.nv.change(handle).ok_or(ResponseCode::HANDLE.in_handle(1))?;
    index.auth = auth;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::command::nv::scene::{
        AUTH, INDEX, command_policy, define, definition, restart, with_policy,
    };
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    const CHANGE_AUTH: u32 = 0x13b;

    #[test]
    fn the_value_alone_does_not_change_it() {
        let mut machine = Machine::started();
        define(&mut machine, OWNER, INDEX, AUTH, 4);
        let refused = machine.authorised(CHANGE_AUTH, &[INDEX], &[0, 1, 7]);
        assert_eq!(refused, Err(ResponseCode::AUTH_TYPE.in_session(1)));
    }

    #[test]
    fn a_policy_for_this_command_does() {
        let mut machine = Machine::started();
        let policy = command_policy(CHANGE_AUTH);
        let body = definition(INDEX, AUTH.raw(), b"", &policy, 4);
        machine.authorised(0x12a, &[OWNER], &body).unwrap();
        let long = [&[0, 33][..], &[1; 33]].concat();
        let refused = with_policy(&mut machine, CHANGE_AUTH, &[INDEX], &long);
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        let changed = with_policy(&mut machine, CHANGE_AUTH, &[INDEX], &[0, 3, 7, 8, 0]);
        assert_eq!(changed, Ok(std::vec![]));
        restart(&mut machine, None, 0);
        let read = [0, 4, 0, 0];
        let refused = machine.authorised(0x14e, &[INDEX, INDEX], &read);
        assert_eq!(refused, Err(ResponseCode::AUTH_FAIL.in_session(1)));
        let unwritten = machine.with_password(0x14e, &[INDEX, INDEX], &[7, 8], &read);
        assert_eq!(unwritten, Err(ResponseCode::NV_UNINITIALIZED));
    }
}
