// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocol of the reference simulator, "mssim": a command port and a platform port. Every
//! request is answered by a u32 of zero, behind the response if there is one.

use std::io::{self, Write};

use crate::host::Host;
use crate::stream::Stream;

/// Requests of both ports.
mod request {
    pub(super) const POWER_ON: u32 = 1;
    pub(super) const POWER_OFF: u32 = 2;
    pub(super) const PHYSICAL_PRESENCE_ON: u32 = 3;
    pub(super) const PHYSICAL_PRESENCE_OFF: u32 = 4;
    pub(super) const HASH_START: u32 = 5;
    pub(super) const HASH_DATA: u32 = 6;
    pub(super) const HASH_END: u32 = 7;
    pub(super) const SEND_COMMAND: u32 = 8;
    pub(super) const CANCEL_ON: u32 = 9;
    pub(super) const CANCEL_OFF: u32 = 10;
    pub(super) const NV_ON: u32 = 11;
    pub(super) const NV_OFF: u32 = 12;
    pub(super) const REMOTE_HANDSHAKE: u32 = 15;
    pub(super) const RESET: u32 = 17;
    pub(super) const SESSION_END: u32 = 20;
    pub(super) const STOP: u32 = 21;
}

const SERVER_VERSION: u32 = 1;
/// A TPM in a process, with platform requests.
const ENDPOINT: u32 = 0x0000_0003;
/// Octets of the longest command that is read at all; the TPM refuses what is longer than it takes.
const COMMAND_SIZE_LIMIT: usize = 1 << 16;

/// Octets of a measurement that are taken at once.
const HASH_DATA_SIZE_LIMIT: usize = 1 << 20;

/// Serves a connection to the command port.
pub(crate) fn serve_commands(host: &Host, mut stream: Stream) -> io::Result<()> {
    loop {
        match stream.next_u32()? {
            request::SEND_COMMAND => {
                let locality = stream.next_u8()?;
                let length = stream.next_u32()?;
                let command = stream.next_bytes(length, COMMAND_SIZE_LIMIT)?;
                let response = host.machine().execute(locality, &command);
                let length = u32::try_from(response.len()).map_err(io::Error::other)?;
                let answer = [&length.to_be_bytes()[..], &response, &[0; 4]].concat();
                stream.write_all(&answer)?;
            }
            // These have no outcome: what fails here, the next command will say.
            request::HASH_START => {
                host.machine().hash_start();
                stream.write_all(&[0; 4])?;
            }
            request::HASH_DATA => {
                let length = stream.next_u32()?;
                let data = stream.next_bytes(length, HASH_DATA_SIZE_LIMIT)?;
                host.machine().hash_data(&data);
                stream.write_all(&[0; 4])?;
            }
            request::HASH_END => {
                host.machine().hash_end();
                stream.write_all(&[0; 4])?;
            }
            request::REMOTE_HANDSHAKE => {
                let _client_version = stream.next_u32()?;
                let answer = [SERVER_VERSION, ENDPOINT, 0].map(u32::to_be_bytes).concat();
                stream.write_all(&answer)?;
            }
            request::SESSION_END => return Ok(()),
            request::STOP => std::process::exit(0),
            other => return Err(unknown(other)),
        }
    }
}

/// Serves a connection to the platform port.
pub(crate) fn serve_platform(host: &Host, mut stream: Stream) -> io::Result<()> {
    loop {
        match stream.next_u32()? {
            request::POWER_ON => host.machine().power_on(),
            request::POWER_OFF => host.machine().power_off(),
            request::RESET => {
                let mut machine = host.machine();
                machine.power_off();
                machine.power_on();
            }
            request::PHYSICAL_PRESENCE_ON => host.machine().set_physical_presence(true),
            request::PHYSICAL_PRESENCE_OFF => host.machine().set_physical_presence(false),
            request::NV_ON => host.machine().set_nv(true),
            request::NV_OFF => host.machine().set_nv(false),
            // No command lasts long enough to be cancelled.
            request::CANCEL_ON | request::CANCEL_OFF => {}
            request::SESSION_END => return Ok(()),
            request::STOP => std::process::exit(0),
            other => return Err(unknown(other)),
        }
        stream.write_all(&[0; 4])?;
    }
}

fn unknown(request: u32) -> io::Error {
    io::Error::other(format!("request {request} is not known"))
}
