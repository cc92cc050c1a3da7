// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client of raw TPM frames that builds its commands octet by octet.

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::server::connect;

/// Handles and constants of Part 2.
pub(crate) const OWNER: u32 = 0x4000_0001;
pub(crate) const NULL: u32 = 0x4000_0007;
const HEADER_SIZE: usize = 10;
const RESPONSE_SIZE_MAX: usize = 4096;
/// libtpms says TPM_RC_RETRY at the first use of an entity with dictionary-attack protection.
const RETRY: u32 = 0x922;
const RETRIES_MAX: usize = 20;

/// What went wrong.
#[derive(Debug)]
pub(crate) struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Problem {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    random: u64,
}

/// A TPM2B.
pub(crate) fn sized(octets: &[u8]) -> Vec<u8> {
    let size = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    [&size.to_be_bytes()[..], octets].concat()
}

/// The TPM2B at the front, with its size, and what is behind it.
pub(crate) fn split_sized(octets: &[u8]) -> Result<(&[u8], &[u8]), Problem> {
    let size = octets.first_chunk().map(|size| u16::from_be_bytes(*size));
    let size = size.ok_or("a response that is too short")?;
    octets.split_at_checked(2 + usize::from(size)).ok_or_else(|| "a truncated response".into())
}

/// A command without sessions.
pub(crate) fn plain(code: u32, handles: &[u32], parameters: &[u8]) -> Vec<u8> {
    frame(0x8001, code, handles, &[], parameters)
}

/// A command with an empty password for its first handle.
pub(crate) fn authorised(code: u32, handles: &[u32], parameters: &[u8]) -> Vec<u8> {
    let area = [&9_u32.to_be_bytes()[..], &0x4000_0009_u32.to_be_bytes(), &[0; 5]].concat();
    frame(0x8002, code, handles, &area, parameters)
}

fn frame(tag: u16, code: u32, handles: &[u32], area: &[u8], parameters: &[u8]) -> Vec<u8> {
    let handles: Vec<u8> = handles.iter().flat_map(|handle| handle.to_be_bytes()).collect();
    let size = HEADER_SIZE + handles.len() + area.len() + parameters.len();
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    let header = [&tag.to_be_bytes()[..], &size.to_be_bytes(), &code.to_be_bytes()].concat();
    [&header, &handles, area, parameters].concat()
}

impl Client {
    /// Connects to a server that may still be starting.
    pub(crate) fn connect(port: u16) -> Result<Self, Problem> {
        Ok(Self { stream: connect(port)?, random: u64::from(std::process::id()) })
    }

    /// Sends a command; what comes behind the header of a response of success.
    pub(crate) fn send(&mut self, command: &[u8]) -> Result<Vec<u8>, Problem> {
        for _ in 0..RETRIES_MAX {
            let (code, body) = self.exchange(command)?;
            match code {
                0 => return Ok(body),
                RETRY => {}
                _ => return Err(format!("response {code:#x} to {:02x?}", &command[6..10]).into()),
            }
        }
        Err("TPM_RC_RETRY without end".into())
    }

    fn exchange(&mut self, command: &[u8]) -> Result<(u32, Vec<u8>), Problem> {
        self.stream.write_all(command)?;
        let mut response = vec![0; RESPONSE_SIZE_MAX];
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut response[length..])?;
            length += read;
            let size = response.get(2..6).and_then(|size| size.first_chunk());
            let size = size.map_or(0, |size| u32::from_be_bytes(*size));
            if read == 0 {
                return Err("the server ended the connection".into());
            }
            if length >= HEADER_SIZE && u32::try_from(length) == Ok(size) {
                break;
            }
        }
        response.truncate(length);
        let code = response.get(6..).and_then(|code| code.first_chunk()).copied();
        let code = u32::from_be_bytes(code.ok_or("a response without code")?);
        Ok((code, response.split_off(HEADER_SIZE)))
    }

    /// Sends a command whose response has a handle.
    pub(crate) fn send_for_handle(&mut self, command: &[u8]) -> Result<u32, Problem> {
        let body = self.send(command)?;
        body.first_chunk().map(|handle| u32::from_be_bytes(*handle)).ok_or("no handle".into())
    }

    /// Octets that are different each time, without any claim beyond that.
    pub(crate) fn octets<const N: usize>(&mut self) -> [u8; N] {
        let mut octets = [0; N];
        for octet in &mut octets {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            *octet = self.random.to_be_bytes()[0];
        }
        octets
    }

    /// TPM2_Startup(CLEAR).
    pub(crate) fn start_up(&mut self) -> Result<(), Problem> {
        self.random |= 1;
        self.send(&plain(0x144, &[], &[0, 0])).map(|_| ())
    }

    /// TPM2_CreatePrimary for the owner.
    pub(crate) fn create_primary(&mut self, public: &[u8]) -> Result<u32, Problem> {
        self.send_for_handle(&create_primary(OWNER, public))
    }

    /// TPM2_Create: private and public area, as TPM2_Load takes them.
    pub(crate) fn create(&mut self, parent: u32, public: &[u8]) -> Result<Vec<u8>, Problem> {
        let body = self.send(&create(parent, public, &[]))?;
        let areas = body.get(4..).ok_or("no parameters")?;
        let (private, rest) = split_sized(areas)?;
        let (public, _) = split_sized(rest)?;
        Ok([private, public].concat())
    }

    /// TPM2_Create and TPM2_Load.
    pub(crate) fn new_key(&mut self, parent: u32, public: &[u8]) -> Result<u32, Problem> {
        let areas = self.create(parent, public)?;
        self.send_for_handle(&authorised(0x157, &[parent], &areas))
    }

    /// TPM2_FlushContext.
    pub(crate) fn flush(&mut self, handle: u32) -> Result<(), Problem> {
        self.send(&plain(0x165, &[], &handle.to_be_bytes())).map(|_| ())
    }

    /// Flushes every object and session but one object.
    pub(crate) fn clean_up(&mut self, but: u32) -> Result<(), Problem> {
        for first in [0x8000_0000_u32, 0x0200_0000, 0x0300_0000] {
            let parameters = [1, first, 64].map(u32::to_be_bytes).concat();
            let body = self.send(&plain(0x17a, &[], &parameters))?;
            let handles = body.get(9..).unwrap_or_default();
            for handle in handles.as_chunks().0 {
                let handle = u32::from_be_bytes(*handle);
                if handle != but {
                    self.flush(handle)?;
                }
            }
        }
        Ok(())
    }
}

/// TPM2_CreatePrimary without authorisation value.
pub(crate) fn create_primary(hierarchy: u32, public: &[u8]) -> Vec<u8> {
    let parameters = [&[0, 4, 0, 0, 0, 0][..], &sized(public), &[0; 6]].concat();
    authorised(0x131, &[hierarchy], &parameters)
}

/// TPM2_Create without authorisation value, perhaps with data to seal.
pub(crate) fn create(parent: u32, public: &[u8], data: &[u8]) -> Vec<u8> {
    let sensitive = [&[0, 0][..], &sized(data)].concat();
    let parameters = [&sized(&sensitive)[..], &sized(public), &[0; 6]].concat();
    authorised(0x153, &[parent], &parameters)
}
