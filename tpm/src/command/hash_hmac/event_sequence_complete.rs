// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_EventSequenceComplete (Part 3, 17.6).

use crate::command::pcr::extend::{check_locality, extend};
use crate::crypto::hash::Hasher;
use crate::pipeline::Context;
use crate::state::object::SequenceKind;
use crate::structure::digest::{DigestValues, MaxBuffer, NO_TAGGED_DIGEST, TaggedDigest};
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: pcrHandle, sequenceHandle. Parameters: buffer. The response: results.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (data,): (MaxBuffer,) = parameters.read()?;
    let (pcr, handle) = (context.handle(1), context.handle(2));
    if pcr != Handle::NULL {
        check_locality(pcr, context.locality)?;
    }
    let mode = ResponseCode::MODE.in_handle(2);
    let mut sequence = context.state.sequence_mut(handle).map_err(|_| mode)?.clone();
    sequence.update(&data)?;
    let SequenceKind::Event(hashers) = sequence.kind else { return Err(mode) };
    let mut digests = DigestValues::new(NO_TAGGED_DIGEST);
    for hasher in hashers {
        let algorithm = hasher.algorithm();
        digests.push(TaggedDigest { algorithm, digest: Hasher::finish(hasher) })?;
    }
    response.value(&digests)?;
    if pcr != Handle::NULL {
        for digest in digests.iter() {
            extend(context.state, pcr, digest.algorithm, &digest.digest);
        }
    }
    context.state.transients.remove(handle);
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    const SEQUENCE: u32 = 0x8000_0000;

    #[test]
    fn needs_an_event_sequence_and_the_right_locality() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        let refused = machine.authorised(0x185, &[4, SEQUENCE], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::MODE.in_handle(2)));
        let refused = machine.authorised(0x185, &[17, SEQUENCE], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::LOCALITY));
    }

    #[test]
    fn extends_all_banks() {
        let mut machine = Machine::started();
        machine.command(0x186, &[0, 0, 0, 0x10]).unwrap();
        machine.authorised(0x15c, &[SEQUENCE], &[0, 2, b'a', b'b']).unwrap();
        let response = machine.authorised(0x185, &[4, SEQUENCE], &[0, 1, b'c']).unwrap();
        assert_eq!(response[..6], [0, 0, 0, 4, 0, 4]);
        let digest = HashAlgorithm::Sha256.digest(&[b"abc"]);
        let value = HashAlgorithm::Sha256.digest(&[&[0; 32], digest.as_bytes()]);
        assert_eq!(machine.read_pcr(4), value.as_bytes());
    }
}
