// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PCR_Event (Part 3, 22.3).

use super::extend::{check_locality, extend};
use crate::pipeline::Context;
use crate::state::pcr::BANKS;
use crate::structure::digest::{DigestValues, Event, NO_TAGGED_DIGEST, TaggedDigest};
use crate::structure::handle::Handle;
use crate::wire::{Parameters, Result, Writer};

/// Handles: pcrHandle. Parameters: eventData. The response: its digests.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (event,): (Event,) = parameters.read()?;
    let handle = context.handle(1);
    if handle != Handle::NULL {
        check_locality(handle, context.locality)?;
    }
    let mut digests = DigestValues::new(NO_TAGGED_DIGEST);
    for algorithm in BANKS {
        digests.push(TaggedDigest { algorithm, digest: algorithm.digest(&[&event]) })?;
    }
    if handle != Handle::NULL {
        for digest in digests.iter() {
            extend(context.state, handle, digest.algorithm, digest.digest.as_bytes());
        }
    }
    response.value(&digests)
}

#[cfg(test)]
mod tests {
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn extends_the_digest_of_the_event() {
        let mut machine = Machine::started();
        let refused = machine.authorised(0x13c, &[18], &[0, 1, 7]);
        assert_eq!(refused, Err(ResponseCode::LOCALITY));
        let refused = machine.authorised(0x13c, &[1], &[4, 1]);
        assert_eq!(refused, Err(ResponseCode::SIZE.in_parameter(1)));
        let response = machine.authorised(0x13c, &[1], &[0, 3, b'a', b'b', b'c']).unwrap();
        assert_eq!(response[..6], [0, 0, 0, 4, 0, 4]);
        let digest = HashAlgorithm::Sha256.digest(&[b"abc"]);
        assert_eq!(response[28..60], *digest.as_bytes());
        let value = HashAlgorithm::Sha256.digest(&[&[0; 32], digest.as_bytes()]);
        assert_eq!(machine.read_pcr(1), value.as_bytes());
    }
}
