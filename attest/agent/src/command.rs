// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM commands and responses (TPM 2.0 Part 1, 18; Part 3), as many as attestation needs.

use std::{fmt, io, thread, time::Duration};

/// Bytes of the longest response.
const RESPONSE_BYTES_MAX: usize = 4096;
/// TPM_RC_RETRY: the same command again.
const RC_RETRY: u32 = 0x922;
/// Times that a command is sent: a key may take a while to be ready.
const TRIES_MAX: u32 = 200;
const TRY_PAUSE: Duration = Duration::from_millis(50);

const NO_SESSIONS: u16 = 0x8001;
const SESSIONS: u16 = 0x8002;

/// TPM_RS_PW: authorised by a password, which is empty.
pub const PASSWORD: u32 = 0x4000_0009;

/// Where commands go: a device, or an engine in a test.
pub trait Tpm {
    /// Sends a command and waits for its response.
    ///
    /// # Errors
    /// The transport's.
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>>;
}

/// Why a command gave nothing.
#[derive(Debug)]
pub enum TpmError {
    /// The transport failed.
    Transport(io::Error),
    /// The TPM refused: the command, and the response code.
    Refused(&'static str, u32),
    /// The response isn't one.
    Malformed(&'static str),
}

impl fmt::Display for TpmError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(formatter, "the TPM can't be reached: {error}"),
            Self::Refused(command, code) => {
                write!(formatter, "{command} ended with response code {code:#x}")
            }
            Self::Malformed(command) => write!(formatter, "{command}: a malformed response"),
        }
    }
}

impl std::error::Error for TpmError {}

/// A command in the making.
#[derive(Clone, Debug)]
pub struct Command {
    name: &'static str,
    code: u32,
    handles: Vec<u32>,
    sessions: Vec<u32>,
    parameters: Vec<u8>,
    has_response_handle: bool,
}

impl Command {
    /// A command without handles, sessions and parameters.
    #[must_use]
    pub fn new(name: &'static str, code: u32) -> Self {
        Self {
            name,
            code,
            handles: Vec::new(),
            sessions: Vec::new(),
            parameters: Vec::new(),
            has_response_handle: false,
        }
    }

    /// Adds a handle that needs no authorisation.
    #[must_use]
    pub fn handle(mut self, handle: u32) -> Self {
        self.handles.push(handle);
        self
    }

    /// Adds a handle that this session authorises ([`PASSWORD`] or a policy session).
    #[must_use]
    pub fn authorised(mut self, handle: u32, session: u32) -> Self {
        self.handles.push(handle);
        self.sessions.push(session);
        self
    }

    /// Adds bytes of the parameters.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.parameters.extend(bytes);
        self
    }

    /// Adds a TPM2B of the parameters.
    #[must_use]
    pub fn sized(mut self, bytes: &[u8]) -> Self {
        self.parameters.extend(sized(bytes));
        self
    }

    /// Says that the response begins with a handle.
    #[must_use]
    pub const fn gives_handle(mut self) -> Self {
        self.has_response_handle = true;
        self
    }

    /// Sends the command until the TPM is ready for it.
    ///
    /// # Errors
    /// See [`TpmError`].
    pub fn send(&self, tpm: &mut dyn Tpm) -> Result<Response, TpmError> {
        let frame = self.frame();
        for _ in 1..TRIES_MAX {
            match self.send_once(tpm, &frame) {
                Err(TpmError::Refused(_, RC_RETRY)) => thread::sleep(TRY_PAUSE),
                other => return other,
            }
        }
        self.send_once(tpm, &frame)
    }

    fn send_once(&self, tpm: &mut dyn Tpm, frame: &[u8]) -> Result<Response, TpmError> {
        let response = tpm.transmit(frame).map_err(TpmError::Transport)?;
        self.parse(&response).ok_or(TpmError::Malformed(self.name))?
    }

    fn frame(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for handle in &self.handles {
            body.extend(handle.to_be_bytes());
        }
        if !self.sessions.is_empty() {
            let mut area = Vec::new();
            for session in &self.sessions {
                area.extend(session.to_be_bytes());
                // No nonce; a policy session ends with the command; no HMAC.
                area.extend([0; 5]);
            }
            body.extend(length_u32(&area).to_be_bytes());
            body.extend(area);
        }
        body.extend(&self.parameters);
        let tag = if self.sessions.is_empty() { NO_SESSIONS } else { SESSIONS };
        let size = length_u32(&body).saturating_add(10);
        [&tag.to_be_bytes()[..], &size.to_be_bytes(), &self.code.to_be_bytes(), &body].concat()
    }

    /// `None` when the response is malformed.
    fn parse(&self, response: &[u8]) -> Option<Result<Response, TpmError>> {
        let mut fields = Fields::new(response);
        let tag = fields.u16()?;
        let size = usize::try_from(fields.u32()?).ok()?;
        let code = fields.u32()?;
        if size != response.len() || size > RESPONSE_BYTES_MAX {
            return None;
        }
        if code != 0 {
            return Some(Err(TpmError::Refused(self.name, code)));
        }
        let handle = if self.has_response_handle { fields.u32()? } else { 0 };
        let parameters = if tag == SESSIONS {
            let length = usize::try_from(fields.u32()?).ok()?;
            fields.bytes(length)?
        } else {
            fields.rest
        };
        Some(Ok(Response { name: self.name, handle, parameters: parameters.to_vec() }))
    }
}

/// A successful response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    name: &'static str,
    /// The handle, if the command gives one.
    pub handle: u32,
    parameters: Vec<u8>,
}

impl Response {
    /// Reads the parameters; all that is left may be ignored.
    ///
    /// # Errors
    /// [`TpmError::Malformed`] when `read` finds no value.
    pub fn read<'a, T>(
        &'a self,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Result<T, TpmError> {
        read(&mut Fields::new(&self.parameters)).ok_or(TpmError::Malformed(self.name))
    }
}

/// Big-endian fields, from the front.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    /// What is left.
    pub rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// All of these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next bytes.
    pub fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(front)
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    /// A UINT16.
    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.bytes(2)?.try_into().ok()?))
    }

    /// A UINT32.
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.bytes(4)?.try_into().ok()?))
    }

    /// The contents of a TPM2B.
    pub fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }
}

/// A TPM2B. What is longer than any TPM2B becomes one that the TPM refuses.
#[must_use]
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn length_u32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with what it was given, the first first.
    struct Answers(Vec<Vec<u8>>);

    impl Tpm for Answers {
        fn transmit(&mut self, _command: &[u8]) -> io::Result<Vec<u8>> {
            Ok(self.0.remove(0))
        }
    }

    #[test]
    fn malformed_responses_are_errors() {
        let command = Command::new("Test", 1).authorised(2, PASSWORD);
        for response in [
            &[][..],
            &[0x80, 1, 0, 0, 0, 10, 0, 0, 0],
            &[0x80, 1, 0, 0, 0, 11, 0, 0, 0, 0],
            &[0x80, 2, 0, 0, 0, 10, 0, 0, 0, 0],
            &[0x80, 2, 0, 0, 0, 14, 0, 0, 0, 0, 0, 0, 0, 1],
        ] {
            let outcome = command.send(&mut Answers(vec![response.to_vec()]));
            assert!(matches!(outcome, Err(TpmError::Malformed("Test"))), "{response:?}");
        }
    }

    #[test]
    fn a_command_that_must_wait_is_sent_again() {
        let retry = vec![0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x22];
        let done = vec![0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 7, 8];
        let refused = vec![0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1];
        let command = Command::new("Test", 1);
        let outcome = command.send(&mut Answers(vec![retry, done])).expect("it succeeds");
        assert_eq!(outcome.read(|fields| fields.u16()).expect("two bytes"), 0x0708);
        let outcome = command.send(&mut Answers(vec![refused]));
        assert!(matches!(outcome, Err(TpmError::Refused("Test", 0x101))));
    }

    #[test]
    fn the_frame_is_the_specifications() {
        let command = Command::new("Test", 0x158).authorised(0x8100_0001, PASSWORD).sized(&[5]);
        let expected = [
            0x80, 2, 0, 0, 0, 30, 0, 0, 1, 0x58, 0x81, 0, 0, 1, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0,
            0, 0, 0, 1, 5,
        ];
        assert_eq!(command.frame(), expected);
    }
}
