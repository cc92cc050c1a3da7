// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_IncrementalSelfTest (Part 3, 10.3).

use super::known_key_answer::Extent;
use super::self_test;
use crate::pipeline::Context;
use crate::structure::algorithm::AlgorithmId;
use crate::structure::digest::List;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Reader, Result, Unmarshal, Writer};

/// Algorithms that a TPML_ALG may have (MAX_ALG_LIST_SIZE).
const ALGORITHM_LIST_MAX: usize = 64;

/// Algorithms over curves: whoever asks for one of them gets all curves tested.
const OVER_CURVES: [AlgorithmId; 7] = [
    AlgorithmId::ECC,
    AlgorithmId::ECDSA,
    AlgorithmId::ECDH,
    AlgorithmId::ECDAA,
    AlgorithmId::SM2,
    AlgorithmId::EC_SCHNORR,
    AlgorithmId::EC_MQV,
];

/// TPML_ALG.
type AlgorithmList = List<AlgorithmId, ALGORITHM_LIST_MAX>;

impl Unmarshal for AlgorithmList {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::read(reader, AlgorithmId::NULL)
    }
}

/// toTest, of algorithms that there are; the response says what is still to be tested, which is
/// nothing.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (to_test,): (AlgorithmList,) = parameters.read()?;
    let known = AlgorithmId::IMPLEMENTED;
    let is_known = |wanted: &AlgorithmId| known.iter().any(|(id, _)| id == wanted);
    if !to_test.iter().all(is_known) {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    let names_curves = to_test.iter().any(|algorithm| OVER_CURVES.contains(algorithm));
    self_test::run(context, if names_curves { Extent::Full } else { Extent::Brief })?;
    response.value(&AlgorithmList::new(AlgorithmId::NULL))
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn leaves_nothing_to_do() {
        let mut machine = Machine::started();
        let too_many = machine.command(0x142, &[0, 0, 0, 65]);
        assert_eq!(too_many, Err(ResponseCode::SIZE.in_parameter(1)));
        let unknown = machine.command(0x142, &[0, 0, 0, 2, 0, 1, 0, 0xff]);
        assert_eq!(unknown, Err(ResponseCode::VALUE.in_parameter(1)));
        for algorithm in [0x0b, 0x23] {
            let done = machine.command(0x142, &[0, 0, 0, 2, 0, 1, 0, algorithm]);
            assert_eq!(done, Ok(std::vec![0; 4]));
        }
    }
}
