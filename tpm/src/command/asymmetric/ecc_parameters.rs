// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_ECC_Parameters (Part 3, 14.6; Part 2, 11.2.5.6 TPMS_ALGORITHM_DETAIL_ECC).

use crate::crypto::hash::HashAlgorithm;
use crate::pipeline::Context;
use crate::structure::algorithm::AlgorithmId;
use crate::structure::ecc::EccCurve;
use crate::structure::scheme::{KdfScheme, KeyDerivation};
use crate::wire::{Parameters, Result, Writer};

/// curveID. The response: parameters; every curve here has the cofactor 1.
pub fn execute(
    _context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (curve,): (EccCurve,) = parameters.read()?;
    response.value(&curve)?;
    response.value(&curve.bits())?;
    // The curve's derivation with the hash of its strength; any signing scheme.
    response.value(&KdfScheme(Some((KeyDerivation::Sp800_56a, usual_hash(curve)))))?;
    response.value(&AlgorithmId::NULL)?;
    let domain = curve.parameters();
    for number in [domain.p, domain.a, domain.b, domain.g_x, domain.g_y, domain.n, &[1]] {
        response.sized_bytes(number)?;
    }
    Ok(())
}

const fn usual_hash(curve: EccCurve) -> HashAlgorithm {
    match curve {
        EccCurve::NistP256 => HashAlgorithm::Sha256,
        EccCurve::NistP384 => HashAlgorithm::Sha384,
        EccCurve::NistP521 => HashAlgorithm::Sha512,
        EccCurve::Sm2P256 => HashAlgorithm::Sm3_256,
    }
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn the_curves_are_told_and_no_others() {
        let mut machine = Machine::started();
        let unknown = machine.command(0x178, &[0, 0x10]);
        assert_eq!(unknown, Err(ResponseCode::CURVE.in_parameter(1)));
        for (curve, bits, size) in [(3, 256, 32), (4, 384, 48), (5, 521, 66), (0x20, 256, 32)] {
            let told = machine.command(0x178, &[0, curve]).unwrap();
            assert_eq!(told[..2], [0, curve]);
            assert_eq!(told[2..4], u16::to_be_bytes(bits));
            assert_eq!(told[4..6], [0, 0x20]);
            assert_eq!(told[8..10], [0, 0x10]);
            assert_eq!(told.len(), 10 + 6 * (2 + size) + 3);
        }
    }
}
