// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measurements by the machine's hardware: _TPM_Hash_Start, _TPM_Hash_Data, _TPM_Hash_End (Part 3,
//! 22.9 to 22.11).

use super::ProvisionFault;
use crate::Tpm;
use crate::platform::Platform;
use crate::state::State;

impl Tpm {
    /// _TPM_Hash_Start, at locality 4: begins a measurement. After TPM2_Startup it is a dynamic
    /// launch, and resets PCRs 17 to 22.
    ///
    /// # Errors
    /// [`ProvisionFault::Failure`]: nothing is measured, here and in the other two.
    pub fn hash_start(&mut self, platform: &mut dyn Platform) -> Result<(), ProvisionFault> {
        self.signal(platform, State::start_measurement)
    }

    /// _TPM_Hash_Data: more of what is measured, in as many pieces as the caller likes.
    ///
    /// # Errors
    /// [`ProvisionFault::Failure`].
    pub fn hash_data(
        &mut self,
        platform: &mut dyn Platform,
        data: &[u8],
    ) -> Result<(), ProvisionFault> {
        self.signal(platform, |state| state.measure(data))
    }

    /// _TPM_Hash_End: the measurement goes into PCR 17 or, before TPM2_Startup, at that into PCR 0.
    ///
    /// # Errors
    /// [`ProvisionFault::Failure`].
    pub fn hash_end(&mut self, platform: &mut dyn Platform) -> Result<(), ProvisionFault> {
        self.signal(platform, State::end_measurement)
    }

    fn signal(
        &mut self,
        platform: &mut dyn Platform,
        act: impl FnOnce(&mut State),
    ) -> Result<(), ProvisionFault> {
        Ok(self.change(platform, |state, _| {
            act(state);
            Ok(())
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::ProvisionFault;
    use crate::crypto::hash::HashAlgorithm;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    const CLEAR: &[u8] = &[0, 0];
    const STATE: &[u8] = &[0, 1];

    fn measure(machine: &mut Machine, pieces: &[&[u8]]) {
        machine.tpm.hash_start(&mut machine.platform).unwrap();
        for piece in pieces {
            machine.tpm.hash_data(&mut machine.platform, piece).unwrap();
        }
        machine.tpm.hash_end(&mut machine.platform).unwrap();
    }

    /// A PCR of SHA-256 that began with an octet at its end, extended by this measurement.
    fn expected(first: u8, data: &[u8]) -> [u8; 32] {
        let mut start = [0; 32];
        start[31] = first;
        let digest = HashAlgorithm::Sha256.digest(&[data]);
        *HashAlgorithm::Sha256.digest(&[&start, &digest]).first_chunk().unwrap()
    }

    #[test]
    fn without_a_start_or_an_end_nothing_is_measured() {
        let mut machine = Machine::powered();
        machine.tpm.hash_data(&mut machine.platform, b"data").unwrap();
        machine.tpm.hash_end(&mut machine.platform).unwrap();
        machine.tpm.hash_start(&mut machine.platform).unwrap();
        machine.tpm.hash_data(&mut machine.platform, b"data").unwrap();
        machine.command(0x144, CLEAR).unwrap();
        assert_eq!(machine.read_pcr(0), [0; 32]);
        // The measurement that began before goes on as one of a dynamic launch.
        machine.tpm.hash_end(&mut machine.platform).unwrap();
        assert_ne!(machine.read_pcr(17), [0xff; 32]);
    }

    #[test]
    fn hardware_measures_into_pcr_zero() {
        let mut machine = Machine::powered();
        measure(&mut machine, &[b"forgotten"]);
        measure(&mut machine, &[b"first ", b"code"]);
        machine.locality = 3;
        machine.command(0x144, CLEAR).unwrap();
        assert_eq!(machine.read_pcr(0), expected(4, b"first code"));
        assert_eq!(machine.read_pcr(17), [0xff; 32]);
        machine.power_cycle();
        machine.locality = 0;
        machine.command(0x144, CLEAR).unwrap();
        assert_eq!(machine.read_pcr(0), [0; 32]);
    }

    #[test]
    fn a_dynamic_launch_measures_into_pcr_17() {
        let mut machine = Machine::started();
        machine.extend_pcr(16, &[1; 32]);
        let (zero, debug) = (machine.read_pcr(0), machine.read_pcr(16));
        measure(&mut machine, &[b"launched"]);
        assert_eq!(machine.read_pcr(17), expected(0, b"launched"));
        for index in 18..23 {
            assert_eq!(machine.read_pcr(index), [0; 32], "{index}");
        }
        assert_eq!((machine.read_pcr(0), machine.read_pcr(16)), (zero, debug));
        // A saved state is of no use any more.
        machine.command(0x145, STATE).unwrap();
        measure(&mut machine, &[b"launched"]);
        machine.power_cycle();
        assert_eq!(machine.command(0x144, STATE), Err(ResponseCode::VALUE.in_parameter(1)));
    }

    /// Part 3, 9.3: from where the TPM was started, and whether hardware measured, is part of what
    /// is resumed.
    #[test]
    fn a_resume_is_as_the_start_was() {
        for (first, second, refused) in [
            ((0, false), (3, false), Some(ResponseCode::LOCALITY)),
            ((3, false), (0, false), Some(ResponseCode::LOCALITY)),
            ((0, true), (0, false), Some(ResponseCode::VALUE.in_parameter(1))),
            ((0, false), (0, true), Some(ResponseCode::VALUE.in_parameter(1))),
            ((3, false), (3, false), None),
            ((0, true), (0, true), None),
        ] {
            let mut machine = Machine::powered();
            let start = |machine: &mut Machine, (locality, is_measured): (u8, bool), kind| {
                if is_measured {
                    measure(machine, &[b"code"]);
                }
                machine.locality = locality;
                machine.command(0x144, kind)
            };
            start(&mut machine, first, CLEAR).unwrap();
            let before = machine.read_pcr(0);
            machine.locality = 0;
            machine.command(0x145, STATE).unwrap();
            machine.power_cycle();
            let resumed = start(&mut machine, second, STATE);
            assert_eq!(resumed.err(), refused, "{first:?} {second:?}");
            if refused.is_none() {
                assert_eq!(machine.read_pcr(0), before);
                // And once more.
                machine.locality = 0;
                machine.command(0x145, STATE).unwrap();
                machine.power_cycle();
                start(&mut machine, second, STATE).unwrap();
                assert_eq!(machine.read_pcr(0), before);
            } else {
                // It is not lost: a start of the right kind resumes, and any other begins anew.
                start(&mut machine, (0, false), CLEAR).unwrap();
            }
        }
    }

    #[test]
    fn a_tpm_that_failed_measures_nothing() {
        let mut machine = Machine::started();
        machine.platform.storage.is_broken = true;
        machine.authorised(0x129, &[crate::testing::OWNER], &[0, 1, 1]).unwrap_err();
        let failure = Err(ProvisionFault::Failure);
        assert_eq!(machine.tpm.hash_start(&mut machine.platform), failure);
        assert_eq!(machine.tpm.hash_data(&mut machine.platform, b"data"), failure);
        assert_eq!(machine.tpm.hash_end(&mut machine.platform), failure);
    }
}
