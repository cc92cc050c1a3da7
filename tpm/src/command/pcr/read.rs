// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_PCR_Read (Part 3, 22.4).

use crate::crypto::hash::Digest;
use crate::pipeline::Context;
use crate::structure::digest::DigestList;
use crate::structure::pcr_selection::{PcrBitmap, PcrSelectionList};
use crate::wire::{Parameters, Result, Writer};

/// pcrSelectionIn. The response: pcrUpdateCounter, the PCRs that were read, their values. As many
/// are read as a list of digests can hold; the caller asks again for the rest.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (selection,): (PcrSelectionList,) = parameters.read()?;
    let pcrs = &context.state.pcrs;
    let mut read = pcrs.existing(selection);
    let mut values = DigestList::new(Digest::EMPTY);
    for entry in read.as_mut_slice() {
        let mut listed = PcrBitmap::default();
        for index in entry.pcrs.iter() {
            if let Some(value) = pcrs.value(entry.bank, index)
                && values.push(*value).is_ok()
            {
                listed.insert(index);
            }
        }
        entry.pcrs = listed;
    }
    response.value(&context.state.reset.pcr_counter)?;
    response.value(&read)?;
    response.value(&values)
}

#[cfg(test)]
mod tests {
    use crate::structure::response_code::ResponseCode;
    use crate::testing::Machine;

    #[test]
    fn refuses_broken_selections() {
        let mut machine = Machine::started();
        let mut read = |bytes: &[u8]| machine.command(0x17e, bytes);
        let parameter = |code: ResponseCode| Err(code.in_parameter(1));
        assert_eq!(read(&[0, 0, 0, 1, 0, 0x0b, 2, 0, 0]), parameter(ResponseCode::VALUE));
        assert_eq!(read(&[0, 0, 0, 1, 0, 0x07, 3, 0, 0, 0]), parameter(ResponseCode::HASH));
        assert_eq!(read(&[0, 0, 0, 9]), parameter(ResponseCode::SIZE));
        assert_eq!(read(&[0, 0, 0, 1, 0]), parameter(ResponseCode::INSUFFICIENT));
    }

    #[test]
    fn reads_eight_at_a_time_and_says_which() {
        let mut machine = Machine::started();
        let response = machine.command(0x17e, &[0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0xff, 0xff]).unwrap();
        assert_eq!(response[4..14], [0, 0, 0, 1, 0, 0x0b, 3, 0xff, 0, 0]);
        assert_eq!(response[14..18], [0, 0, 0, 8]);
        assert_eq!(response.len(), 18 + 8 * 34);
    }

    #[test]
    fn a_bank_that_is_not_there_has_no_pcrs() {
        let mut machine = Machine::started();
        let response = machine.command(0x17e, &[0, 0, 0, 1, 0, 0x12, 3, 1, 0, 0]).unwrap();
        assert_eq!(response[4..], [0, 0, 0, 1, 0, 0x12, 3, 0, 0, 0, 0, 0, 0, 0]);
    }
}
