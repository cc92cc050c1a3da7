// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_Extend (Part 3, 31.9).

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::structure::nv::{NvAttributes, NvBuffer, NvType};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: authHandle, nvIndex. Parameters: data.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (data,): (NvBuffer,) = parameters.read()?;
    let (auth, index) = (context.handle(1), context.handle(2));
    context.state.check_nv_write(auth, index)?;
    let found = context.state.nv.get(index).ok_or(ResponseCode::HANDLE)?;
    let attributes = found.public.attributes;
    if attributes.nv_type() != Some(NvType::Extend) {
        return Err(ResponseCode::ATTRIBUTES.in_handle(2));
    }
    let hash = found.public.name_algorithm;
    let zero = Digest::zero(hash);
    let is_written = attributes.contains(NvAttributes::WRITTEN);
    let before = if is_written { context.state.nv.data(index) } else { &zero };
    let digest = hash.digest(&[before, &data]);
    context.state.write_nv(index, 0, &digest)
}

#[cfg(test)]
mod tests {
    use crate::command::nv::test_index::{INDEX, OPEN, define, read};
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, OWNER};

    #[test]
    fn extends_as_a_pcr_does() {
        let mut machine = Machine::started();
        define(&mut machine, OPEN, 32).unwrap();
        let refused = machine.authorised(0x136, &[INDEX, INDEX], &[0, 0]);
        assert_eq!(refused, Err(ResponseCode::ATTRIBUTES.in_handle(2)));
        machine.authorised(0x122, &[OWNER, INDEX], &[]).unwrap();
        define(&mut machine, OPEN | 0x40, 32).unwrap();
        machine.authorised(0x136, &[INDEX, INDEX], &[0, 1, b'a']).unwrap();
        let first = HashAlgorithm::Sha256.digest(&[&[0; 32], b"a"]);
        assert_eq!(read(&mut machine, 32, 0).unwrap(), first.as_bytes());
        machine.authorised(0x136, &[INDEX, INDEX], &[0, 1, b'b']).unwrap();
        let second = HashAlgorithm::Sha256.digest(&[&first, b"b"]);
        assert_eq!(read(&mut machine, 32, 0).unwrap(), second.as_bytes());
    }
}
