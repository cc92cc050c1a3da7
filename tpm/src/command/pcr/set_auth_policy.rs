// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PCR_SetAuthPolicy (Part 3, 22.6).

use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::pipeline::Context;
use crate::state::hierarchy::EntityPolicy;
use crate::state::pcr::pcr_attributes;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::pcr_selection::PCR_COUNT;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle. Parameters: authPolicy, hashAlg, pcrNum.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (digest, algorithm, pcr): (Digest, Option<HashAlgorithm>, Handle) = parameters.read()?;
    if pcr.kind() != Some(HandleKind::Pcr) || pcr.index() >= PCR_COUNT {
        return Err(ResponseCode::VALUE.in_parameter(3));
    }
    if digest.len() != algorithm.map_or(0, HashAlgorithm::digest_size) {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    if !pcr_attributes(pcr.index()).has_auth {
        return Err(ResponseCode::VALUE.in_parameter(3));
    }
    context.state.permanent.change().pcr_policy = EntityPolicy { algorithm, digest };
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, PLATFORM, parameters};

    #[test]
    fn policy_and_algorithm_belong_together() {
        let mut machine = Machine::started();
        let body = |size: usize, algorithm: u16, pcr: u32| {
            parameters(|writer| {
                writer.sized_bytes(&std::vec![7; size])?;
                writer.value(&algorithm)?;
                writer.value(&pcr)
            })
        };
        let mut set = |body: &[u8]| machine.authorised(0x12c, &[PLATFORM], body);
        assert_eq!(set(&body(20, 0x0b, 20)), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(set(&body(32, 0x10, 20)), Err(ResponseCode::SIZE.in_parameter(1)));
        assert_eq!(set(&body(32, 0x0b, 24)), Err(ResponseCode::VALUE.in_parameter(3)));
        assert_eq!(set(&body(32, 0x0b, 1)), Err(ResponseCode::VALUE.in_parameter(3)));
        assert_eq!(set(&body(32, 0x0b, 20)), Ok(std::vec![]));
        assert_eq!(set(&body(0, 0x10, 20)), Ok(std::vec![]));
    }

    #[test]
    fn a_pcr_with_a_policy_has_no_other_authorisation() {
        let mut machine = Machine::started();
        machine.locality = 2;
        let body = parameters(|writer| {
            writer.sized_bytes(&[7; 32])?;
            writer.value(&0x0b_u16)?;
            writer.value(&20_u32)
        });
        assert!(machine.authorised(0x13c, &[20], b"\0\0").is_ok());
        machine.authorised(0x12c, &[PLATFORM], &body).unwrap();
        let refused = machine.authorised(0x13c, &[20], b"\0\0");
        assert_eq!(refused, Err(ResponseCode::AUTH_TYPE));
        assert!(machine.authorised(0x13c, &[16], b"\0\0").is_ok(), "another PCR");
    }
}
