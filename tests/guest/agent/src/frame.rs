// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames on a serial line: a marker, the kind, the payload's length (little endian), the payload,
//! and a CRC-32 (IEEE 802.3) over kind, length and payload.
//!
//! A serial line can lose bytes when a receiver is late. A lost byte then is an error with a name,
//! not a strange result of the command under test.

use std::fmt;
use std::io::{self, Read, Write};

/// The most bytes one frame carries.
pub const PAYLOAD_BYTES_MAX: usize = 4096;

/// The most bytes that are skipped in search of the first frame (whatever was on the line before).
const NOISE_BYTES_MAX: usize = 64 * 1024;

const MARKER: u8 = 0xa6;
const HEADER_BYTES: usize = 3;
const CHECKSUM_BYTES: usize = 4;

/// One frame: what kind of message its payload is, and the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The kind of message, a number of [`crate::Message`].
    pub kind: u8,
    /// At most [`PAYLOAD_BYTES_MAX`] bytes.
    pub payload: Vec<u8>,
}

/// Why no frame could be read or written.
#[derive(Debug)]
pub enum FrameError {
    /// The line failed, or ended in the middle of a frame.
    Line(io::Error),
    /// The line ended between two frames.
    Closed,
    /// Where a frame should begin there was something else.
    NoMarker(u8),
    /// No frame among the first bytes of the line.
    OnlyNoise,
    /// A payload longer than [`PAYLOAD_BYTES_MAX`]; the value is its length in bytes.
    TooLong(usize),
    /// The checksum is not that of what arrived: bytes were lost or changed.
    Checksum,
}

impl fmt::Display for FrameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(error) => write!(formatter, "the serial line failed: {error}"),
            Self::Closed => write!(formatter, "the serial line was closed"),
            Self::NoMarker(byte) => write!(formatter, "byte {byte:#04x} where a frame begins"),
            Self::OnlyNoise => write!(formatter, "no frame in {NOISE_BYTES_MAX} bytes"),
            Self::TooLong(bytes) => write!(formatter, "a frame of {bytes} bytes is too long"),
            Self::Checksum => write!(formatter, "a frame was damaged on the serial line"),
        }
    }
}

impl std::error::Error for FrameError {}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Line(error)
    }
}

/// Reads frames from a line.
#[derive(Debug)]
pub struct FrameReader<R> {
    line: R,
    in_step: bool,
}

impl<R: Read> FrameReader<R> {
    /// A reader that skips whatever is on the line before the first frame.
    pub fn new(line: R) -> Self {
        Self { line, in_step: false }
    }

    /// Waits for the next frame.
    pub fn read(&mut self) -> Result<Frame, FrameError> {
        self.find_marker()?;
        let mut header = [0; HEADER_BYTES];
        self.line.read_exact(&mut header)?;
        let [kind, length_low, length_high] = header;
        let length = usize::from(u16::from_le_bytes([length_low, length_high]));
        if length > PAYLOAD_BYTES_MAX {
            return Err(FrameError::TooLong(length));
        }
        let mut payload = vec![0; length];
        self.line.read_exact(&mut payload)?;
        let mut checksum = [0; CHECKSUM_BYTES];
        self.line.read_exact(&mut checksum)?;
        if u32::from_le_bytes(checksum) != crc32(&[&header, &payload]) {
            return Err(FrameError::Checksum);
        }
        self.in_step = true;
        Ok(Frame { kind, payload })
    }

    fn find_marker(&mut self) -> Result<(), FrameError> {
        for _ in 0..NOISE_BYTES_MAX {
            let mut byte = [0];
            if self.line.read(&mut byte)? == 0 {
                return Err(FrameError::Closed);
            }
            match byte {
                [MARKER] => return Ok(()),
                [other] if self.in_step => return Err(FrameError::NoMarker(other)),
                _ => {}
            }
        }
        Err(FrameError::OnlyNoise)
    }
}

/// Writes one frame, in one piece.
pub fn write(line: &mut impl Write, kind: u8, payload: &[u8]) -> Result<(), FrameError> {
    let length = u16::try_from(payload.len())
        .ok()
        .filter(|length| usize::from(*length) <= PAYLOAD_BYTES_MAX)
        .ok_or(FrameError::TooLong(payload.len()))?;
    let [length_low, length_high] = length.to_le_bytes();
    let header = [kind, length_low, length_high];
    let mut bytes = vec![MARKER];
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(payload);
    bytes.extend_from_slice(&crc32(&[&header, payload]).to_le_bytes());
    line.write_all(&bytes)?;
    line.flush()?;
    Ok(())
}

/// CRC-32 as in IEEE 802.3: reflected polynomial 0xedb88320, all ones before and after.
fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.iter().flat_map(|part| part.iter()) {
        crc ^= u32::from(*byte);
        for _ in 0..u8::BITS {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        write(&mut line, kind, payload).expect("a vector takes every frame");
        line
    }

    #[test]
    fn a_changed_bit_anywhere_is_an_error() {
        let good = written(7, b"some payload");
        // The first byte is the marker: before the first frame another one is noise.
        for index in 1..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x10;
            assert!(FrameReader::new(bad.as_slice()).read().is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_lost_byte_is_an_error() {
        let good = written(7, b"some payload");
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad.remove(index);
            assert!(FrameReader::new(bad.as_slice()).read().is_err(), "byte {index}");
        }
    }

    #[test]
    fn noise_is_skipped_before_the_first_frame_only() {
        let mut line = b"login: ".to_vec();
        line.extend(written(1, b"a"));
        line.extend(b"?");
        let mut reader = FrameReader::new(line.as_slice());
        assert_eq!(reader.read().expect("a frame"), Frame { kind: 1, payload: b"a".to_vec() });
        assert!(matches!(reader.read(), Err(FrameError::NoMarker(b'?'))));
    }

    #[test]
    fn endless_noise_is_given_up() {
        let mut reader = FrameReader::new(io::repeat(b'x'));
        assert!(matches!(reader.read(), Err(FrameError::OnlyNoise)));
    }

    #[test]
    fn payloads_have_a_limit_both_ways() {
        let payload = vec![0; PAYLOAD_BYTES_MAX + 1];
        assert!(matches!(write(&mut Vec::new(), 0, &payload), Err(FrameError::TooLong(_))));
        let mut line = written(0, &payload[1..]);
        line[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
        assert!(matches!(FrameReader::new(line.as_slice()).read(), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn an_ended_line_is_told_from_a_cut_frame() {
        assert!(matches!(FrameReader::new(&[][..]).read(), Err(FrameError::Closed)));
        let line = written(3, b"abc");
        let cut = FrameReader::new(&line[..line.len() - 1]).read();
        assert!(matches!(cut, Err(FrameError::Line(_))));
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
    }
}
