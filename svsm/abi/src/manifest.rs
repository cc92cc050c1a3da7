// SPDX-License-Identifier: MIT OR Apache-2.0
//! Version 1 of the vTPM's manifest: what the SVSM says of its vTPM in an attestation (AMD 58019,
//! 7.2, SVSM_ATTEST_SINGLE_SERVICE). Version 0 is a bare TPMT_PUBLIC and has nothing to lay out.
//!
//! ```text
//! 0x00  magic      "MCDMvTPM"
//! 0x08  version    u32, 1
//! 0x0c  length     u32, of the whole manifest
//! 0x10  records    each: kind u16, reserved u16 (0), length u32, then as many bytes
//! ```
//!
//! All numbers are little-endian. Kinds ascend; only endorsement keys may follow one another. What
//! a reader doesn't know it skips: new kinds don't make a new version.
//!
//! | kind | record | bytes |
//! |---|---|---|
//! | 1 | an endorsement key, TPMT_PUBLIC; one to [`KEYS_MAX`] | |
//! | 2 | firmware: version u64, manufacturer 4 bytes, vendor string 16 bytes, revision u32, [`VtpmOptions`] u32 | 36 |
//! | 3 | state: 0 u32; or 1 u32, epoch u64, sequence u64, chain digest 32 bytes | 4 or 52 |
//! | 4 | SHA-384 of the launch event log | 48 |

use crate::launch::Digest;

/// What a manifest begins with.
pub const MAGIC: [u8; 8] = *b"MCDMvTPM";
/// The version.
pub const VERSION: u32 = 1;
/// Bytes before the first record.
pub const HEADER_BYTES: usize = 16;
/// Most endorsement keys.
pub const KEYS_MAX: usize = 8;
/// Most records.
const RECORDS_MAX: usize = 64;
/// Bytes of the longest manifest.
pub const MANIFEST_BYTES_MAX: usize = 4096;
const RECORD_HEADER_BYTES: usize = 8;

const KIND_ENDORSEMENT_KEY: u16 = 1;
const KIND_FIRMWARE: u16 = 2;
const KIND_STATE: u16 = 3;
const KIND_EVENT_LOG: u16 = 4;
const FIRMWARE_BYTES: usize = 36;
const STATE_EPHEMERAL: u32 = 0;
const STATE_PERSISTENT: u32 = 1;

bitflags::bitflags! {
    /// How a vTPM is set up. Bits that a reader doesn't know say nothing to it: new ones don't make
    /// a new version.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct VtpmOptions: u32 {
        /// A vCPU that stays with the SVSM makes keys.
        const SERVICE_VCPU = 1 << 0;
        /// The firmware gives the state's key to the images of one signer.
        const STATE_OF_SIGNER = 1 << 1;
        /// The firmware gives the state's key to one image.
        const STATE_OF_IMAGE = 1 << 2;
        /// The guest's owner gives the state's key.
        const STATE_OF_OWNER = 1 << 3;
    }
}

/// Who gets the key of a persistent state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateBinding {
    /// The images of one signer, family, image id and policy, from a security version on.
    Signer,
    /// One image.
    Image,
    /// Whoever the guest's owner gives it to.
    Owner,
}

impl VtpmOptions {
    /// Who gets the key of the state; `None` when the options don't tell, or contradict themselves.
    #[must_use]
    pub fn state_binding(self) -> Option<StateBinding> {
        let told = Self::STATE_OF_SIGNER | Self::STATE_OF_IMAGE | Self::STATE_OF_OWNER;
        match self & told {
            Self::STATE_OF_SIGNER => Some(StateBinding::Signer),
            Self::STATE_OF_IMAGE => Some(StateBinding::Image),
            Self::STATE_OF_OWNER => Some(StateBinding::Owner),
            _ => None,
        }
    }
}

/// Which program the vTPM is, and how it is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Firmware {
    /// As in every attestation structure that the vTPM signs.
    pub version: u64,
    /// TPM_PT_MANUFACTURER.
    pub manufacturer: [u8; 4],
    /// TPM_PT_VENDOR_STRING_1 to 4.
    pub vendor_string: [u8; 16],
    /// TPM_PT_REVISION: of the specification, times 100.
    pub revision: u32,
    /// How it is set up.
    pub options: VtpmOptions,
}

/// Where a persistent state stands in its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// How often the store was opened.
    pub epoch: u64,
    /// How many commits and openings there were.
    pub sequence: u64,
    /// SHA-256 chain over all of them.
    pub digest: [u8; 32],
}

/// What becomes of the vTPM's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is lost when the machine ends.
    Ephemeral,
    /// It is kept in a store.
    Persistent(Freshness),
}

/// A manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest<'bytes> {
    keys: [&'bytes [u8]; KEYS_MAX],
    key_count: usize,
    /// Which program the vTPM is.
    pub firmware: Firmware,
    /// What becomes of its state.
    pub state: State,
    /// SHA-384 of the launch event log.
    pub event_log: Digest,
}

/// Why bytes aren't a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// Neither magic nor length fit.
    Header,
    /// Another version.
    Version(u32),
    /// A record that leaves the manifest, is out of order, there twice, or malformed.
    Record(u16),
    /// A record that must be there isn't.
    Missing(u16),
}

impl<'bytes> Manifest<'bytes> {
    /// A manifest with these endorsement keys; `None` when there are none or too many.
    #[must_use]
    pub fn new(
        endorsement_keys: &[&'bytes [u8]],
        firmware: Firmware,
        state: State,
        event_log: Digest,
    ) -> Option<Self> {
        let key_count = endorsement_keys.len();
        let mut keys: [&[u8]; KEYS_MAX] = [&[]; KEYS_MAX];
        keys.get_mut(..key_count)?.copy_from_slice(endorsement_keys);
        (key_count > 0).then_some(Self { keys, key_count, firmware, state, event_log })
    }

    /// The endorsement keys, each a TPMT_PUBLIC.
    #[must_use]
    pub fn endorsement_keys(&self) -> &[&'bytes [u8]] {
        self.keys.get(..self.key_count).unwrap_or_default()
    }

    /// Reads a manifest; nothing may stand behind it.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(bytes: &'bytes [u8]) -> Result<Self, ManifestError> {
        let (header, mut rest) =
            bytes.split_first_chunk::<HEADER_BYTES>().ok_or(ManifestError::Header)?;
        let (magic, [v0, v1, v2, v3, l0, l1, l2, l3]) =
            header.split_first_chunk::<8>().map_or(([0; 8], [0; 8]), |(magic, numbers)| {
                (*magic, numbers.try_into().unwrap_or_default())
            });
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3]));
        if magic != MAGIC || length != Ok(bytes.len()) || bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ManifestError::Header);
        }
        match u32::from_le_bytes([v0, v1, v2, v3]) {
            VERSION => {}
            other => return Err(ManifestError::Version(other)),
        }
        let mut found = Found::default();
        for _ in 0..RECORDS_MAX {
            if rest.is_empty() {
                return found.finish();
            }
            rest = found.read_record(rest)?;
        }
        Err(ManifestError::Record(found.kind))
    }

    /// Writes the manifest to the front of a buffer; its length, or `None` when it doesn't fit.
    #[must_use]
    pub fn write(&self, buffer: &mut [u8]) -> Option<usize> {
        let limit = buffer.len().min(MANIFEST_BYTES_MAX);
        let mut writer = Writer { buffer: buffer.get_mut(..limit)?, length: HEADER_BYTES };
        for key in self.endorsement_keys() {
            writer.record(KIND_ENDORSEMENT_KEY, &[key])?;
        }
        let Firmware { version, manufacturer, vendor_string, revision, options } = self.firmware;
        writer.record(
            KIND_FIRMWARE,
            &[
                &version.to_le_bytes(),
                &manufacturer,
                &vendor_string,
                &revision.to_le_bytes(),
                &options.bits().to_le_bytes(),
            ],
        )?;
        match self.state {
            State::Ephemeral => writer.record(KIND_STATE, &[&STATE_EPHEMERAL.to_le_bytes()])?,
            State::Persistent(Freshness { epoch, sequence, digest }) => writer.record(
                KIND_STATE,
                &[
                    &STATE_PERSISTENT.to_le_bytes(),
                    &epoch.to_le_bytes(),
                    &sequence.to_le_bytes(),
                    &digest,
                ],
            )?,
        }
        writer.record(KIND_EVENT_LOG, &[&self.event_log])?;
        writer.finish()
    }
}

/// What was read so far.
#[derive(Default)]
struct Found<'bytes> {
    keys: [&'bytes [u8]; KEYS_MAX],
    key_count: usize,
    firmware: Option<Firmware>,
    state: Option<State>,
    event_log: Option<Digest>,
    /// Of the record before.
    kind: u16,
}

impl<'bytes> Found<'bytes> {
    /// Reads one record; what stands behind it.
    fn read_record(&mut self, bytes: &'bytes [u8]) -> Result<&'bytes [u8], ManifestError> {
        let (&[k0, k1, r0, r1, l0, l1, l2, l3], rest) = bytes
            .split_first_chunk::<RECORD_HEADER_BYTES>()
            .ok_or(ManifestError::Record(self.kind))?;
        let kind = u16::from_le_bytes([k0, k1]);
        let malformed = ManifestError::Record(kind);
        let is_in_order =
            kind > self.kind || kind == KIND_ENDORSEMENT_KEY && self.kind == KIND_ENDORSEMENT_KEY;
        if !is_in_order || [r0, r1] != [0, 0] {
            return Err(malformed);
        }
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3]));
        let length = length.map_err(|_| malformed)?;
        let (data, rest) = rest.split_at_checked(length).ok_or(malformed)?;
        match kind {
            KIND_ENDORSEMENT_KEY => {
                *self.keys.get_mut(self.key_count).ok_or(malformed)? = data;
                self.key_count = self.key_count.saturating_add(1);
            }
            KIND_FIRMWARE => self.firmware = Some(parse_firmware(data).ok_or(malformed)?),
            KIND_STATE => self.state = Some(parse_state(data).ok_or(malformed)?),
            KIND_EVENT_LOG => self.event_log = Some(data.try_into().map_err(|_| malformed)?),
            _ => {}
        }
        self.kind = kind;
        Ok(rest)
    }

    fn finish(self) -> Result<Manifest<'bytes>, ManifestError> {
        if self.key_count == 0 {
            return Err(ManifestError::Missing(KIND_ENDORSEMENT_KEY));
        }
        Ok(Manifest {
            keys: self.keys,
            key_count: self.key_count,
            firmware: self.firmware.ok_or(ManifestError::Missing(KIND_FIRMWARE))?,
            state: self.state.ok_or(ManifestError::Missing(KIND_STATE))?,
            event_log: self.event_log.ok_or(ManifestError::Missing(KIND_EVENT_LOG))?,
        })
    }
}

fn parse_firmware(data: &[u8]) -> Option<Firmware> {
    let data: &[u8; FIRMWARE_BYTES] = data.try_into().ok()?;
    let (version, rest) = data.split_first_chunk()?;
    let (manufacturer, rest) = rest.split_first_chunk()?;
    let (vendor_string, rest) = rest.split_first_chunk()?;
    let (revision, options) = rest.split_first_chunk()?;
    Some(Firmware {
        version: u64::from_le_bytes(*version),
        manufacturer: *manufacturer,
        vendor_string: *vendor_string,
        revision: u32::from_le_bytes(*revision),
        options: VtpmOptions::from_bits_retain(u32::from_le_bytes(options.try_into().ok()?)),
    })
}

fn parse_state(data: &[u8]) -> Option<State> {
    let (kind, rest) = data.split_first_chunk()?;
    match (u32::from_le_bytes(*kind), rest.len()) {
        (STATE_EPHEMERAL, 0) => Some(State::Ephemeral),
        (STATE_PERSISTENT, _) => {
            let (epoch, rest) = rest.split_first_chunk()?;
            let (sequence, digest) = rest.split_first_chunk()?;
            Some(State::Persistent(Freshness {
                epoch: u64::from_le_bytes(*epoch),
                sequence: u64::from_le_bytes(*sequence),
                digest: digest.try_into().ok()?,
            }))
        }
        _ => None,
    }
}

/// Writes records.
struct Writer<'buffer> {
    buffer: &'buffer mut [u8],
    length: usize,
}

impl Writer<'_> {
    fn record(&mut self, kind: u16, parts: &[&[u8]]) -> Option<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.bytes(&kind.to_le_bytes())?;
        self.bytes(&[0; 2])?;
        self.bytes(&u32::try_from(length).ok()?.to_le_bytes())?;
        parts.iter().try_for_each(|part| self.bytes(part))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.length.checked_add(bytes.len())?;
        self.buffer.get_mut(self.length..end)?.copy_from_slice(bytes);
        self.length = end;
        Some(())
    }

    /// Writes the header.
    fn finish(self) -> Option<usize> {
        let header = self.buffer.first_chunk_mut::<HEADER_BYTES>()?;
        let (magic, rest) = header.split_first_chunk_mut::<8>()?;
        *magic = MAGIC;
        let (version, length) = rest.split_first_chunk_mut::<4>()?;
        *version = VERSION.to_le_bytes();
        length.copy_from_slice(&u32::try_from(self.length).ok()?.to_le_bytes());
        Some(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESHNESS: Freshness = Freshness { epoch: 3, sequence: 9, digest: [0xdd; 32] };

    fn manifest(state: State) -> Manifest<'static> {
        let firmware = Firmware {
            version: 0x0001_0000_0000_0000,
            manufacturer: *b"MCDM",
            vendor_string: *b"Macadamia\0\0\0\0\0\0\0",
            revision: 184,
            // One that nobody knows yet among them.
            options: VtpmOptions::from_bits_retain(1 << 31 | 0b101),
        };
        Manifest::new(&[&[1, 2, 3], &[4, 5]], firmware, state, [0xee; 48]).expect("two keys")
    }

    fn written(state: State) -> ([u8; 512], usize) {
        let mut buffer = [0; 512];
        let length = manifest(state).write(&mut buffer).expect("it fits");
        (buffer, length)
    }

    #[test]
    fn cut_and_longer_manifests_are_refused() {
        let (buffer, length) = written(State::Persistent(FRESHNESS));
        for cut in 0..length {
            assert!(Manifest::parse(&buffer[..cut]).is_err(), "{cut}");
        }
        assert_eq!(Manifest::parse(&buffer[..=length]), Err(ManifestError::Header));
        // Cut with the length corrected: a record is cut, or one is missing.
        for cut in HEADER_BYTES..length {
            let mut bytes = buffer;
            bytes[12..16].copy_from_slice(&u32::try_from(cut).expect("short").to_le_bytes());
            let error = Manifest::parse(&bytes[..cut]).err();
            assert!(
                matches!(error, Some(ManifestError::Record(_) | ManifestError::Missing(_))),
                "{cut}: {error:?}"
            );
        }
    }

    #[test]
    fn records_that_break_a_rule_are_refused() {
        let refused = |place: usize, value: u8| {
            let (mut buffer, length) = written(State::Ephemeral);
            buffer[place] = value;
            Manifest::parse(&buffer[..length]).err()
        };
        assert_eq!(refused(0, b'm'), Some(ManifestError::Header));
        assert_eq!(refused(8, 2), Some(ManifestError::Version(2)));
        assert_eq!(refused(16, 0), Some(ManifestError::Record(0)));
        assert_eq!(refused(18, 1), Some(ManifestError::Record(1)), "reserved");
        assert_eq!(refused(20, 0xff), Some(ManifestError::Record(1)), "too long");
        assert_eq!(refused(27, 2), Some(ManifestError::Record(2)), "firmware of another size");
        // Record 2 begins at 16 + 11 + 10.
        assert_eq!(refused(37, 3), Some(ManifestError::Record(3)), "a state of 36 bytes");
        assert_eq!(refused(81, 5), Some(ManifestError::Record(4)), "out of order");
        assert_eq!(refused(89, 2), Some(ManifestError::Record(3)), "an unknown state");
    }

    #[test]
    fn what_was_written_is_read() {
        for state in [State::Ephemeral, State::Persistent(FRESHNESS)] {
            let (buffer, length) = written(state);
            let parsed = Manifest::parse(&buffer[..length]).expect("a good manifest");
            assert_eq!(parsed, manifest(state));
            assert_eq!(parsed.endorsement_keys(), [&[1, 2, 3][..], &[4, 5]]);
            assert_eq!(manifest(state).write(&mut [0; 100]), None, "no room");
        }
    }

    #[test]
    fn unknown_kinds_are_skipped() {
        let (mut buffer, length) = written(State::Ephemeral);
        let new = [9, 0, 0, 0, 2, 0, 0, 0, 0xaa, 0xbb];
        buffer[length..length + new.len()].copy_from_slice(&new);
        let length = length + new.len();
        buffer[12..14].copy_from_slice(&u16::try_from(length).expect("short").to_le_bytes());
        assert_eq!(Manifest::parse(&buffer[..length]), Ok(manifest(State::Ephemeral)));
    }

    #[test]
    fn only_one_binding_is_told() {
        let told = |bits| VtpmOptions::from_bits_retain(bits).state_binding();
        for contradiction in [0b0000, 0b0001, 0b0110, 0b1010, 0b1100, 0b1110, 1 << 31] {
            assert_eq!(told(contradiction), None, "{contradiction:#b}");
        }
        assert_eq!(told(0b0010), Some(StateBinding::Signer));
        assert_eq!(told(0b0101), Some(StateBinding::Image));
        assert_eq!(told(1 << 31 | 0b1000), Some(StateBinding::Owner));
    }

    #[test]
    fn keys_have_a_limit() {
        let new = |count: usize| {
            Manifest::new(
                &[&[1][..]; KEYS_MAX + 1][..count],
                Firmware::default(),
                State::Ephemeral,
                [0; 48],
            )
        };
        assert_eq!(new(0), None);
        assert_eq!(new(KEYS_MAX + 1), None);
        assert!(new(KEYS_MAX).is_some());
    }
}
