// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log of what was measured before the guest's first instruction: the TCG's crypto-agile format
//! (TCG PC Client Platform Firmware Profile, 10.2 and 10.4.5), little-endian. What the SVSM writes
//! into it: docs/decisions/0031-event-log.md.

use std::collections::BTreeMap;

use snp_abi::measurement::Subject;

use crate::{hash::Hash, quote::PcrValues, reader::Reader};

/// Bytes of the longest log that is read.
pub const LOG_BYTES_MAX: usize = 1 << 20;
/// Most events of a log.
const EVENTS_MAX: usize = 4096;
/// Most banks of a log.
const BANKS_MAX: u32 = 16;
/// PCRs that begin with zeros and that nobody can reset: the only ones a log can explain.
const PCRS: u32 = 16;

const EV_NO_ACTION: u32 = 3;
const EV_EVENT_TAG: u32 = 6;
const EV_S_CRTM_VERSION: u32 = 8;

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Into which PCR.
    pub pcr: u32,
    /// EV_….
    pub kind: u32,
    /// The digest that each bank got.
    pub digests: Vec<(Hash, Vec<u8>)>,
    /// What the event says.
    pub data: Vec<u8>,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    /// Its banks.
    pub banks: Vec<Hash>,
    /// Its events, without the one that lists the banks.
    pub events: Vec<Event>,
}

/// A file that was measured by length and SHA-384.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeasuredFile {
    /// Bytes.
    pub length: u64,
    /// SHA-384.
    pub digest: [u8; 48],
}

impl EventLog {
    /// Reads a log; `None` when it is too long, ends early, has an event with other banks than the
    /// first one lists, or a bank of an algorithm that isn't known here.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LOG_BYTES_MAX {
            return None;
        }
        let mut reader = Reader::new(bytes);
        let banks = parse_spec_id(&mut reader)?;
        let mut events = Vec::new();
        while !reader.is_empty() {
            if events.len() == EVENTS_MAX {
                return None;
            }
            events.push(parse_event(&mut reader, &banks)?);
        }
        Some(Self { banks, events })
    }

    /// The first event whose digest isn't that of its data, in any bank.
    #[must_use]
    pub fn first_mismatch(&self) -> Option<&Event> {
        self.measured().find(|event| {
            event.digests.iter().any(|(hash, digest)| hash.digest(&[&event.data]) != *digest)
        })
    }

    /// What the PCRs of a bank hold after all events; `None` when the log doesn't have the bank.
    #[must_use]
    pub fn replay(&self, bank: Hash) -> Option<BTreeMap<u32, Vec<u8>>> {
        if !self.banks.contains(&bank) {
            return None;
        }
        let mut values: BTreeMap<u32, Vec<u8>> =
            (0..PCRS).map(|number| (number, vec![0; bank.size()])).collect();
        for event in self.measured() {
            let (_, digest) = event.digests.iter().find(|(hash, _)| *hash == bank)?;
            let value = values.get_mut(&event.pcr)?;
            *value = bank.digest(&[value, digest]);
        }
        Some(values)
    }

    /// The same for all banks.
    #[must_use]
    pub fn replay_all(&self) -> Option<PcrValues> {
        self.banks.iter().map(|bank| Some((*bank, self.replay(*bank)?))).collect()
    }

    /// The files that were measured as this; a structure that isn't one is no file.
    pub fn files(&self, subject: Subject) -> impl Iterator<Item = MeasuredFile> + '_ {
        self.measured()
            .filter(move |event| event.kind == EV_EVENT_TAG && event.pcr == subject.pcr())
            .filter_map(move |event| parse_file(&event.data, subject))
    }

    /// The version of the SVSM, as it measured it.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let event = self.measured().find(|event| event.kind == EV_S_CRTM_VERSION)?;
        let mut reader = Reader::new(&event.data);
        let units: Vec<u16> = std::iter::from_fn(|| reader.le_u16()).collect();
        let text = String::from_utf16(&units).ok()?;
        Some(text.trim_end_matches('\0').escape_debug().to_string())
    }

    /// Events that went into a PCR.
    fn measured(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(|event| event.kind != EV_NO_ACTION)
    }
}

/// The first event, in the old format: which banks there are.
fn parse_spec_id(reader: &mut Reader<'_>) -> Option<Vec<Hash>> {
    let pcr = reader.le_u32()?;
    let kind = reader.le_u32()?;
    let digest: [u8; 20] = reader.array()?;
    let length = usize::try_from(reader.le_u32()?).ok()?;
    let mut body = Reader::new(reader.bytes(length)?);
    if (pcr, kind, digest) != (0, EV_NO_ACTION, [0; 20]) || body.bytes(16)? != b"Spec ID Event03\0"
    {
        return None;
    }
    let _platform: [u8; 8] = body.array()?;
    let count = body.le_u32()?;
    if count == 0 || count > BANKS_MAX {
        return None;
    }
    let mut banks = Vec::new();
    for _ in 0..count {
        let hash = Hash::from_number(body.le_u16()?)?;
        if usize::from(body.le_u16()?) != hash.size() || banks.contains(&hash) {
            return None;
        }
        banks.push(hash);
    }
    let vendor_bytes = body.byte()?;
    body.bytes(usize::from(vendor_bytes))?;
    body.is_empty().then_some(banks)
}

/// TCG_PCR_EVENT2.
fn parse_event(reader: &mut Reader<'_>, banks: &[Hash]) -> Option<Event> {
    let pcr = reader.le_u32().filter(|pcr| *pcr < PCRS)?;
    let kind = reader.le_u32()?;
    let count = reader.le_u32()?;
    if usize::try_from(count) != Ok(banks.len()) {
        return None;
    }
    let mut digests = Vec::new();
    for bank in banks {
        if Hash::from_number(reader.le_u16()?) != Some(*bank) {
            return None;
        }
        digests.push((*bank, reader.bytes(bank.size())?.to_vec()));
    }
    let length = usize::try_from(reader.le_u32()?).ok()?;
    Some(Event { pcr, kind, digests, data: reader.bytes(length)?.to_vec() })
}

/// TCG_PCClientTaggedEvent with length and SHA-384.
fn parse_file(data: &[u8], subject: Subject) -> Option<MeasuredFile> {
    let mut reader = Reader::new(data);
    let head = (reader.le_u32()?, reader.le_u32()?);
    let length = reader.array().map(u64::from_le_bytes)?;
    let digest = reader.array()?;
    (head == (subject as u32, 56) && reader.is_empty()).then_some(MeasuredFile { length, digest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::log::log;

    #[test]
    fn cut_logs_are_refused() {
        let whole = log(&[(0, 8, b"a\0"), (4, 6, b"data")]);
        let first = log(&[]).len();
        let second = log(&[(0, 8, b"a\0")]).len();
        for length in 0..whole.len() {
            let parsed = EventLog::parse(&whole[..length]);
            // A log is whole at each end of an event: what is missing then, the quote tells.
            assert_eq!(parsed.is_some(), length == first || length == second, "{length}");
        }
    }

    #[test]
    fn events_that_no_log_can_have_are_refused() {
        for (place, value) in [
            (0, 1),   // the first event in another PCR
            (4, 4),   // of another kind
            (8, 1),   // with a digest
            (28, 38), // of another length
            (32, 0),  // without its signature
            (56, 17), // too many banks
            (56, 0),  // none
            (60, 9),  // an unknown bank
            (62, 33), // of another size
            (64, 11), // twice the same
            (68, 1),  // vendor information outside
            (69, 16), // a PCR that there isn't
            (77, 3),  // more digests than banks
            (81, 12), // of another bank
        ] {
            let mut bytes = log(&[(1, 6, b"data")]);
            bytes[place] = value;
            assert_eq!(EventLog::parse(&bytes), None, "{place}");
        }
    }

    #[test]
    fn a_digest_of_other_data_is_found() {
        let good = EventLog::parse(&log(&[(0, 8, b"a"), (1, 6, b"b")])).expect("a good log");
        assert_eq!(good.first_mismatch(), None);
        let mut bad = good.clone();
        bad.events[1].data[0] ^= 1;
        assert_eq!(bad.first_mismatch().map(|event| event.pcr), Some(1));
        let mut bad = good;
        bad.events[0].digests[1].1[0] ^= 1;
        assert_eq!(bad.first_mismatch().map(|event| event.pcr), Some(0), "in every bank");
    }

    #[test]
    fn registers_are_extended_in_order() {
        let parsed = EventLog::parse(&log(&[(9, 6, b"a"), (9, 6, b"b")])).expect("a good log");
        let values = parsed.replay(Hash::Sha256).expect("a bank");
        let one = Hash::Sha256.digest(&[&[0; 32], &Hash::Sha256.digest(&[b"a"])]);
        let two = Hash::Sha256.digest(&[&one, &Hash::Sha256.digest(&[b"b"])]);
        assert_eq!(values[&9], two);
        assert_eq!(values[&0], [0; 32]);
        assert_eq!(parsed.replay(Hash::Sha512), None);
        let ignored = EventLog::parse(&log(&[(9, EV_NO_ACTION, b"a")])).expect("a good log");
        assert_eq!(ignored.replay(Hash::Sha256).expect("a bank")[&9], [0; 32]);
    }

    #[test]
    fn only_whole_tagged_events_name_files() {
        let mut data = (Subject::Kernel as u32).to_le_bytes().to_vec();
        data.extend(56_u32.to_le_bytes());
        data.extend(7_u64.to_le_bytes());
        data.extend([5; 48]);
        let kernel = |pcr, kind, data: &[u8]| {
            let log = EventLog::parse(&log(&[(pcr, kind, data)])).expect("a good log");
            log.files(Subject::Kernel).next()
        };
        assert_eq!(kernel(4, 6, &data), Some(MeasuredFile { length: 7, digest: [5; 48] }));
        assert_eq!(kernel(5, 6, &data), None);
        assert_eq!(kernel(4, 4, &data), None);
        assert_eq!(kernel(4, 6, &data[..63]), None);
        assert_eq!(kernel(4, 6, &[data.as_slice(), &[0]].concat()), None);
        data[0] ^= 1;
        assert_eq!(kernel(4, 6, &data), None);
    }
}
