// SPDX-License-Identifier: MIT OR Apache-2.0
//! What host and agent say to each other, one message in each frame.

use crate::frame::{self, Frame, FrameError, FrameReader, PAYLOAD_BYTES_MAX};
use std::io::{Error, ErrorKind, Read, Write};

/// The version of this conversation; the agent tells its own in [`Message::Ready`].
pub const VERSION: u8 = 1;

/// The longest command line that can be run, in bytes.
pub const COMMAND_BYTES_MAX: usize = PAYLOAD_BYTES_MAX;

/// A message in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Agent: it listens, and speaks this version.
    Ready(u8),
    /// Host: run this in a shell; standard input comes in [`Message::Input`].
    Run(Vec<u8>),
    /// Host: bytes for the command's standard input. The next ones may follow only after
    /// [`Message::InputTaken`], since a serial line does not wait for a slow reader.
    Input(Vec<u8>),
    /// Host: the command's standard input ends.
    InputEnd,
    /// Agent: the command took, or no longer wants, the last input.
    InputTaken,
    /// Agent: bytes of the command's standard output.
    Output(Vec<u8>),
    /// Agent: bytes of the command's standard error.
    ErrorOutput(Vec<u8>),
    /// Agent: the command ended with this exit code; 128 + n when signal n killed it.
    Exit(i32),
    /// Agent: what the host asked for can't be done; why, as text.
    Refused(Vec<u8>),
    /// Host: the size of the terminal that the console is shown on.
    WindowSize {
        /// Lines.
        rows: u16,
        /// Characters in a line.
        columns: u16,
    },
    /// Host: power the machine off.
    PowerOff,
}

impl Message {
    /// Writes the message as one frame.
    pub fn write(&self, line: &mut impl Write) -> Result<(), FrameError> {
        match self {
            Self::Ready(version) => frame::write(line, 1, &[*version]),
            Self::Run(command) => frame::write(line, 2, command),
            Self::Input(bytes) => frame::write(line, 3, bytes),
            Self::InputEnd => frame::write(line, 4, &[]),
            Self::InputTaken => frame::write(line, 5, &[]),
            Self::Output(bytes) => frame::write(line, 6, bytes),
            Self::ErrorOutput(bytes) => frame::write(line, 7, bytes),
            Self::Exit(code) => frame::write(line, 8, &code.to_le_bytes()),
            Self::Refused(reason) => frame::write(line, 9, reason),
            Self::WindowSize { rows, columns } => {
                let ([a, b], [c, d]) = (rows.to_le_bytes(), columns.to_le_bytes());
                frame::write(line, 10, &[a, b, c, d])
            }
            Self::PowerOff => frame::write(line, 11, &[]),
        }
    }

    /// Waits for the next message.
    pub fn read<R: Read>(reader: &mut FrameReader<R>) -> Result<Self, FrameError> {
        Self::from_frame(reader.read()?)
    }

    fn from_frame(frame: Frame) -> Result<Self, FrameError> {
        let Frame { kind, payload } = frame;
        Ok(match (kind, payload.as_slice()) {
            (1, [version]) => Self::Ready(*version),
            (2, _) => Self::Run(payload),
            (3, _) => Self::Input(payload),
            (4, []) => Self::InputEnd,
            (5, []) => Self::InputTaken,
            (6, _) => Self::Output(payload),
            (7, _) => Self::ErrorOutput(payload),
            (8, [a, b, c, d]) => Self::Exit(i32::from_le_bytes([*a, *b, *c, *d])),
            (9, _) => Self::Refused(payload),
            (10, [a, b, c, d]) => Self::WindowSize {
                rows: u16::from_le_bytes([*a, *b]),
                columns: u16::from_le_bytes([*c, *d]),
            },
            (11, []) => Self::PowerOff,
            _ => {
                let reason = format!("message {kind} with {} bytes is unknown", payload.len());
                return Err(FrameError::Line(Error::new(ErrorKind::InvalidData, reason)));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_or_misshapen_messages_are_refused() {
        for (kind, payload) in [(0, &b""[..]), (1, b""), (4, b"x"), (8, b"123"), (12, b"")] {
            let frame = Frame { kind, payload: payload.to_vec() };
            assert!(Message::from_frame(frame).is_err(), "kind {kind}");
        }
    }

    #[test]
    fn every_message_arrives_as_it_was_sent() {
        let messages = [
            Message::Ready(VERSION),
            Message::Run(b"tpm2_getrandom 8".to_vec()),
            Message::Input(vec![0xa6; 9]),
            Message::InputEnd,
            Message::InputTaken,
            Message::Output(Vec::new()),
            Message::ErrorOutput(b"e".to_vec()),
            Message::Exit(-1),
            Message::Refused(b"busy".to_vec()),
            Message::WindowSize { rows: 50, columns: 300 },
            Message::PowerOff,
        ];
        let mut line = Vec::new();
        for message in &messages {
            message.write(&mut line).expect("a vector takes every message");
        }
        let mut reader = FrameReader::new(line.as_slice());
        for message in &messages {
            assert_eq!(&Message::read(&mut reader).expect("a message"), message);
        }
        assert!(matches!(Message::read(&mut reader), Err(FrameError::Closed)));
    }
}
