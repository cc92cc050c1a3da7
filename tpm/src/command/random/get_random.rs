// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_GetRandom (Part 3, 16.1).

use crate::crypto::hash::DIGEST_SIZE_MAX;
use crate::pipeline::Context;
use crate::wire::{Parameters, Result, Writer};
use zeroize::Zeroize;

/// bytesRequested; the response has at most as many octets as the longest digest.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (requested,): (u16,) = parameters.read()?;
    let mut random = [0; DIGEST_SIZE_MAX];
    let size = usize::from(requested).min(DIGEST_SIZE_MAX);
    let (bytes, _) = random.split_at_mut_checked(size).unwrap_or_default();
    context.state.fill_random(bytes)?;
    let written = response.sized_bytes(bytes);
    random.zeroize();
    written
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn gives_what_was_asked_up_to_a_digest() {
        let mut machine = Machine::started();
        let short = machine.command(0x17b, &[0]);
        assert_eq!(short, Err(ResponseCode::INSUFFICIENT.in_parameter(1)));
        assert_eq!(machine.command(0x17b, &[0, 0]), Ok(std::vec![0, 0]));
        let first = machine.command(0x17b, &[0, 32]).unwrap();
        let second = machine.command(0x17b, &[0, 32]).unwrap();
        assert_eq!((first.len(), &first[..2]), (34, &[0, 32][..]));
        assert_ne!(first, second);
        assert_eq!(machine.command(0x17b, &[0xff, 0xff]).unwrap().len(), 66);
    }

    #[test]
    fn is_a_function_of_state_and_entropy() {
        let random = || Machine::started().command(0x17b, &[0, 32]).unwrap();
        assert_eq!(random(), random());
    }
}
