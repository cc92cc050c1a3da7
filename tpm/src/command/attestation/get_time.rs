// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_GetTime (Part 3, 18.7).

use crate::pipeline::Context;
use crate::protect::attestation::Signer;
use crate::structure::attest::Attested;
use crate::structure::digest::Data;
use crate::structure::scheme::SignatureScheme;
use crate::wire::{Parameters, Result, Writer};

/// Handles: privacyAdminHandle, signHandle. Parameters: qualifyingData, inScheme. The response:
/// timeInfo, in which time and version are in the clear, and signature.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (qualifying, wanted): (Data, Option<SignatureScheme>) = parameters.read()?;
    let signer = Signer::select(context, 2, wanted, 2)?;
    let version = context.platform.vendor().firmware_version;
    let attested = Attested::Time(context.state.time_info(), version);
    signer.attest(context, qualifying, attested, response)
}

#[cfg(test)]
mod tests {
    use crate::command::signing::test_key::{DECRYPT, SIGN, ecc, verify_body};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine, NULL, OWNER};

    const BODY: &[u8] = &[0, 0, 0, 0x18, 0, 0x0b];

    #[test]
    fn the_privacy_administrator_has_the_time_signed() {
        let mut machine = Machine::started();
        let decrypting = ecc(&mut machine, DECRYPT, &[0x10]);
        let key = ecc(&mut machine, SIGN, &[0x10]);
        for other in [OWNER, NULL] {
            let refused = machine.authorised(0x14c, &[other, key], BODY);
            assert_eq!(refused, Err(ResponseCode::VALUE.in_handle(1)));
        }
        let refused = machine.authorised(0x14c, &[ENDORSEMENT, decrypting], BODY);
        assert_eq!(refused, Err(ResponseCode::KEY.in_handle(2)));
        machine.platform.uptime_ms = 5000;
        let response = machine.authorised(0x14c, &[ENDORSEMENT, key], BODY).unwrap();
        let size = usize::from(u16::from_be_bytes(*response.first_chunk().unwrap()));
        let (timed, signature) = response[2..].split_at(size);
        assert_eq!(timed[4..6], [0x80, 0x19]);
        let time = &timed[size - 33..];
        assert_eq!(time[..8], 5000_u64.to_be_bytes());
        assert_eq!(time[16..25], [0, 0, 0, 1, 0, 0, 0, 0, 1]);
        assert_eq!(time[25..], 0x0001_0002_0003_0004_u64.to_be_bytes());
        assert!(machine.command(0x177, &verify_body(key, timed, signature)).is_ok());
    }
}
