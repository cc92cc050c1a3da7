// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_HashSequenceStart (Part 3, 17.3).

use crate::crypto::hash::{HashAlgorithm, Hasher};
use crate::pipeline::Context;
use crate::state::object::{Sequence, SequenceKind, Transient};
use crate::state::pcr::BANKS;
use crate::structure::digest::Auth;
use crate::wire::{Parameters, Result, Writer};

/// auth, hashAlg: TPM_ALG_NULL starts an event sequence. The response: sequenceHandle.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (auth, algorithm): (Auth, Option<HashAlgorithm>) = parameters.read()?;
    let kind = match algorithm {
        Some(algorithm) => SequenceKind::Hash(Hasher::new(algorithm)),
        None => SequenceKind::Event(BANKS.map(Hasher::new)),
    };
    let sequence = Sequence::new(auth.without_trailing_zeros(), kind);
    let handle = context.state.transients.insert(Transient::Sequence(sequence))?;
    context.response_handle = Some(handle);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn there_are_as_many_as_slots() {
        let mut machine = Machine::started();
        let refused = machine.command(0x186, &[0, 0, 0, 7]);
        assert_eq!(refused, Err(ResponseCode::HASH.in_parameter(2)));
        for slot in 0..8 {
            let response = machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
            assert_eq!(response, (0x8000_0000_u32 + slot).to_be_bytes());
        }
        let refused = machine.command(0x186, &[0, 0, 0, 0x0b]);
        assert_eq!(refused, Err(ResponseCode::OBJECT_MEMORY));
    }
}
