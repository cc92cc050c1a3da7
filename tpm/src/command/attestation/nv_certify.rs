// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_NV_Certify (Part 3, 31.16).

use crate::pipeline::Context;
use crate::protect::attestation::Signer;
use crate::structure::attest::Attested;
use crate::structure::digest::Data;
use crate::structure::nv::NvBuffer;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::SignatureScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: signHandle, authHandle, nvIndex. Parameters: qualifyingData, inScheme, size, offset;
/// neither size nor offset asks for the digest of all. The response: certifyInfo, signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (qualifying, wanted, size, offset): (Data, Option<SignatureScheme>, u16, u16) =
        parameters.read()?;
    let (auth, index) = (context.handle(2), context.handle(3));
    let signer = Signer::select(context, 1, wanted, 2)?;
    let state = &*context.state;
    state.check_nv_read(auth, index)?;
    let (name, data) = (state.name(index)?, state.nv.data(index));
    let attested = if size == 0 && offset == 0 {
        let hash = signer.hash().ok_or(ResponseCode::SCHEME.in_parameter(2))?;
        Attested::NvDigest(name, hash.digest(&[data]))
    } else {
        if usize::from(size) > NvBuffer::CAPACITY {
            return Err(ResponseCode::VALUE.in_parameter(3));
        }
        let rest = data.get(usize::from(offset)..).ok_or(ResponseCode::VALUE.in_parameter(4))?;
        let read = rest.get(..usize::from(size)).ok_or(ResponseCode::NV_RANGE)?;
        Attested::Nv(name, offset, NvBuffer::new(read)?)
    };
    signer.attest(context, qualifying, attested, response)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crate::command::nv::scene::{BOTH, INDEX, define, write};
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, verify_body};
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{Machine, NULL, OWNER, parameters};
    use crate::wire::Result;

    const ECDSA: &[u16] = &[0x18, 0x0b];

    fn certify(machine: &mut Machine, key: u32, size: u16, offset: u16) -> Result<Vec<u8>> {
        let body = parameters(|writer| {
            writer.sized_bytes(b"nonce")?;
            writer.value(&0x10_u16)?;
            writer.value(&size)?;
            writer.value(&offset)
        });
        machine.authorised(0x184, &[key, OWNER, INDEX], &body)
    }

    #[test]
    fn certifies_only_what_can_be_read_and_with_a_signing_key() {
        let mut machine = Machine::started();
        define(&mut machine, OWNER, INDEX, BOTH, 2048);
        let unwritten = certify(&mut machine, NULL, 4, 0);
        assert_eq!(unwritten, Err(ResponseCode::NV_UNINITIALIZED));
        write(&mut machine, OWNER, INDEX, b"data", 0).unwrap();
        let decrypting = ecc(&mut machine, DECRYPT, &[0x10]);
        let refused = certify(&mut machine, decrypting, 4, 0);
        assert_eq!(refused, Err(ResponseCode::KEY.in_handle(1)));
        let mut outcome = |size, offset| certify(&mut machine, NULL, size, offset).err();
        assert_eq!(outcome(1025, 0), Some(ResponseCode::VALUE.in_parameter(3)));
        assert_eq!(outcome(1, 2049), Some(ResponseCode::VALUE.in_parameter(4)));
        assert_eq!(outcome(1, 2048), Some(ResponseCode::NV_RANGE));
        assert_eq!(outcome(0, 0), Some(ResponseCode::SCHEME.in_parameter(2)));
        assert_eq!(outcome(1024, 1024), None);
    }

    #[test]
    fn says_what_the_index_holds_and_is_signed() {
        let mut machine = Machine::started();
        define(&mut machine, OWNER, INDEX, BOTH, 8);
        write(&mut machine, OWNER, INDEX, b"contents", 0).unwrap();
        let key = ecc(&mut machine, SIGN, ECDSA);
        let name = machine.command(0x169, &INDEX.to_be_bytes()).unwrap()[16..].to_vec();
        let digest = HashAlgorithm::Sha256.digest(&[b"contents"]);
        let part = [&name[..], &[0, 3, 0, 5], b"tents"].concat();
        let all = [&name[..], &[0, 32], &digest].concat();
        for (size, offset, tag, expected) in [(5, 3, 0x14, part), (0, 0, 0x1c, all)] {
            let response = certify(&mut machine, key, size, offset).unwrap();
            let length = usize::from(u16::from_be_bytes(*response.first_chunk().unwrap()));
            let (info, signature) = response[2..].split_at(length);
            assert_eq!(info[..6], [0xff, 0x54, 0x43, 0x47, 0x80, tag]);
            assert!(info.ends_with(&expected), "{size}");
            assert!(machine.command(0x177, &verify_body(key, info, signature)).is_ok());
        }
    }
}
