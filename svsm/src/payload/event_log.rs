// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of what was measured, in the TCG's crypto-agile format (TCG PC Client Platform Firmware
//! Profile, 10.2 and 10.4.5): a Spec ID event, then one TCG_PCR_EVENT2 per measurement, all
//! little-endian.
//!
//! The digest of every event is the hash of its event data, in every bank; what is bigger than a
//! few bytes is named there by its SHA-384. So a verifier needs nothing but the log and the
//! expected SHA-384 values, and the SVSM hashes each file once. docs/decisions/0031-event-log.md
//! has the layout.

use alloc::vec::Vec;

/// Signature of the ACPI table whose body is the log; `OEM` and a character is left to platforms
/// (ACPI 6.5, 5.2.6). Linux shows it under `/sys/firmware/acpi/tables`.
pub const TABLE_SIGNATURE: [u8; 4] = *b"OEMT";

/// Longest log in bytes.
const LOG_BYTES_MAX: usize = 16 << 10;

/// Event types (TCG PC Client Platform Firmware Profile, 10.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum EventType {
    NoAction = 3,
    Separator = 4,
    Tag = 6,
    CrtmVersion = 8,
}

/// The digest that one bank got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BankDigest<'a> {
    /// TPM_ALG_ID.
    pub(super) algorithm: u16,
    /// As long as the algorithm says.
    pub(super) digest: &'a [u8],
}

/// The log can't take the event: it is full, or its banks are not those of the events before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogFault;

/// The log.
pub(super) struct EventLog {
    bytes: Vec<u8>,
    /// TPM_ALG_ID and digest size of each bank, as the Spec ID event lists them.
    banks: Vec<(u16, u16)>,
}

impl EventLog {
    /// An empty log; the Spec ID event comes with the first entry.
    pub(super) const fn new() -> Self {
        Self { bytes: Vec::new(), banks: Vec::new() }
    }

    /// The log so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Appends an event.
    pub(super) fn append(
        &mut self,
        pcr: u32,
        kind: EventType,
        digests: &[BankDigest<'_>],
        data: &[u8],
    ) -> Result<(), LogFault> {
        let size = |bytes: &[u8]| u16::try_from(bytes.len()).map_err(|_| LogFault);
        let mut banks = Vec::new();
        for bank in digests {
            banks.push((bank.algorithm, size(bank.digest)?));
        }
        if self.bytes.is_empty() {
            self.bytes = spec_id_event(&banks);
            self.banks = banks;
        } else if self.banks != banks {
            return Err(LogFault);
        }
        let mut event = Vec::new();
        put_u32(&mut event, pcr);
        put_u32(&mut event, kind as u32);
        put_u32(&mut event, u32::try_from(digests.len()).map_err(|_| LogFault)?);
        for bank in digests {
            event.extend(bank.algorithm.to_le_bytes());
            event.extend(bank.digest);
        }
        put_u32(&mut event, u32::from(size(data)?));
        event.extend(data);
        if self.bytes.len().saturating_add(event.len()) > LOG_BYTES_MAX {
            return Err(LogFault);
        }
        self.bytes.extend(event);
        Ok(())
    }
}

/// TCG_EfiSpecIDEvent in the old event structure with a SHA-1 digest of zeros (10.4.5.1).
fn spec_id_event(banks: &[(u16, u16)]) -> Vec<u8> {
    /// Client platform, specification 2.0 errata 0, 64-bit UINTN.
    const PLATFORM: [u8; 8] = [0, 0, 0, 0, 0, 2, 0, 2];
    let mut data = Vec::from(*b"Spec ID Event03\0");
    data.extend(PLATFORM);
    put_u32(&mut data, u32::try_from(banks.len()).unwrap_or(u32::MAX));
    for (algorithm, size) in banks {
        data.extend(algorithm.to_le_bytes());
        data.extend(size.to_le_bytes());
    }
    data.push(0); // no vendor information
    let mut event = Vec::new();
    put_u32(&mut event, 0);
    put_u32(&mut event, EventType::NoAction as u32);
    event.extend([0; 20]);
    put_u32(&mut event, u32::try_from(data.len()).unwrap_or(u32::MAX));
    event.extend(data);
    event
}

fn put_u32(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: BankDigest<'_> = BankDigest { algorithm: 4, digest: &[0x11; 20] };
    const SHA256: BankDigest<'_> = BankDigest { algorithm: 11, digest: &[0x22; 32] };

    #[test]
    fn a_full_log_takes_no_more() {
        let mut log = EventLog::new();
        let data = [0; 1000];
        let accepted = (0..100).filter(|_| log.append(9, EventType::Tag, &[SHA256], &data).is_ok());
        assert_eq!(accepted.count(), 15);
        assert!(log.bytes().len() <= LOG_BYTES_MAX);
    }

    #[test]
    fn banks_do_not_change_on_the_way() {
        let mut log = EventLog::new();
        log.append(0, EventType::Tag, &[SHA1, SHA256], b"x").unwrap();
        let length = log.bytes().len();
        assert_eq!(log.append(0, EventType::Tag, &[SHA256], b"x"), Err(LogFault));
        assert_eq!(log.append(0, EventType::Tag, &[SHA256, SHA1], b"x"), Err(LogFault));
        assert_eq!(log.bytes().len(), length);
    }

    #[test]
    fn the_layout_is_the_profiles() {
        let mut log = EventLog::new();
        log.append(7, EventType::Separator, &[SHA1, SHA256], &[0; 4]).unwrap();
        let mut expected = vec![0, 0, 0, 0, 3, 0, 0, 0];
        expected.extend([0; 20]);
        expected.extend([37, 0, 0, 0]);
        expected.extend(b"Spec ID Event03\0");
        expected.extend([0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 4, 0, 20, 0, 11, 0, 32, 0, 0]);
        expected.extend([7, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 4, 0]);
        expected.extend([0x11; 20]);
        expected.extend([11, 0]);
        expected.extend([0x22; 32]);
        expected.extend([4, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(log.bytes(), expected);
    }
}
