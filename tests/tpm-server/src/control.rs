// SPDX-License-Identifier: MIT OR Apache-2.0
//! swtpm's control channel, as far as QEMU's `-tpmdev emulator` and swtpm's TCTI need it: power,
//! localities, and the data socket that QEMU hands over. What isn't here is refused, and the
//! capabilities say so.

use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::host::Host;
use crate::stream::Stream;

/// Commands of the control channel.
mod command {
    pub(super) const GET_CAPABILITY: u32 = 0x01;
    pub(super) const INIT: u32 = 0x02;
    pub(super) const SHUTDOWN: u32 = 0x03;
    pub(super) const GET_ESTABLISHED: u32 = 0x04;
    pub(super) const SET_LOCALITY: u32 = 0x05;
    pub(super) const HASH_START: u32 = 0x06;
    pub(super) const HASH_DATA: u32 = 0x07;
    pub(super) const HASH_END: u32 = 0x08;
    pub(super) const CANCEL: u32 = 0x09;
    pub(super) const STORE_VOLATILE: u32 = 0x0a;
    pub(super) const RESET_ESTABLISHED: u32 = 0x0b;
    pub(super) const GET_STATE: u32 = 0x0c;
    pub(super) const SET_STATE: u32 = 0x0d;
    pub(super) const STOP: u32 = 0x0e;
    pub(super) const SET_DATA_DESCRIPTOR: u32 = 0x10;
    pub(super) const SET_BUFFER_SIZE: u32 = 0x11;
}

/// What GET_CAPABILITY tells: init, shutdown, established flag, locality, measurements, cancel,
/// storing of volatile state, reset of the flag, getting and setting state, stop, data descriptor,
/// buffer size.
const CAPABILITIES: u64 = 1
    | 1 << 1
    | 1 << 2
    | 1 << 3
    | 1 << 4
    | 1 << 5
    | 1 << 6
    | 1 << 7
    | 1 << 8
    | 1 << 9
    | 1 << 10
    | 1 << 12
    | 1 << 13;
const SUCCESS: u32 = 0;
/// TPM_FAIL of TPM 1.2, which is what swtpm says.
const REFUSED: u32 = 9;
const BUFFER_SIZE: u32 = 4096;
const BUFFER_SIZE_MIN: u32 = 1024;
const LOCALITY_LAST: u8 = 4;
/// Octets of a measurement that are taken at once.
const HASH_DATA_SIZE_LIMIT: usize = 1 << 20;

/// A state that its sender has encrypted.
const ENCRYPTED: u32 = 2;
/// Octets of the longest state that is taken.
const STATE_SIZE_LIMIT: usize = 1 << 21;

/// Parts of the state.
mod state {
    pub(super) const PERMANENT: u32 = 1;
    pub(super) const VOLATILE: u32 = 2;
    /// What TPM2_Shutdown(STATE) saved: one of the records here, and so always empty.
    pub(super) const SAVED: u32 = 3;
}

const fn outcome(is_done: bool) -> u32 {
    if is_done { SUCCESS } else { REFUSED }
}

/// Serves one connection.
pub(crate) fn serve(host: &Host, mut stream: Stream) -> io::Result<()> {
    loop {
        let (command, descriptor) = next_command(&mut stream)?;
        match command {
            command::GET_CAPABILITY => stream.write_all(&CAPABILITIES.to_be_bytes())?,
            command::INIT => {
                // The only flag: volatile state goes once it was taken. It always does.
                let _flags = stream.next_u32()?;
                let mut machine = host.machine();
                machine.power_off();
                machine.power_on();
                drop(machine);
                answer(&mut stream, &[SUCCESS])?;
            }
            command::STOP => {
                host.machine().power_off();
                answer(&mut stream, &[SUCCESS])?;
            }
            command::SHUTDOWN => {
                answer(&mut stream, &[SUCCESS])?;
                std::process::exit(0);
            }
            command::GET_ESTABLISHED => {
                // The flag tells of a dynamic launch; three octets pad it.
                let flag = u32::from(host.machine().is_established) << 24;
                answer(&mut stream, &[SUCCESS, flag])?;
            }
            command::SET_LOCALITY => {
                let locality = stream.next_u8()?;
                let is_known = locality <= LOCALITY_LAST;
                if is_known {
                    host.machine().locality = locality;
                }
                answer(&mut stream, &[outcome(is_known)])?;
            }
            command::HASH_START => {
                let is_done = host.machine().hash_start();
                answer(&mut stream, &[outcome(is_done)])?;
            }
            command::HASH_DATA => {
                let length = stream.next_u32()?;
                let data = stream.next_bytes(length, HASH_DATA_SIZE_LIMIT)?;
                let is_done = host.machine().hash_data(&data);
                answer(&mut stream, &[outcome(is_done)])?;
            }
            command::HASH_END => {
                let is_done = host.machine().hash_end();
                answer(&mut stream, &[outcome(is_done)])?;
            }
            command::CANCEL => answer(&mut stream, &[SUCCESS])?,
            command::STORE_VOLATILE => {
                let is_done = host.machine().store_volatile();
                answer(&mut stream, &[outcome(is_done)])?;
            }
            command::RESET_ESTABLISHED => {
                let _locality = stream.next_u8()?;
                host.machine().is_established = false;
                answer(&mut stream, &[SUCCESS])?;
            }
            command::GET_STATE => get_state(host, &mut stream)?,
            command::SET_STATE => set_state(host, &mut stream)?,
            command::SET_DATA_DESCRIPTOR => {
                let Some(descriptor) = descriptor else {
                    answer(&mut stream, &[REFUSED])?;
                    continue;
                };
                answer(&mut stream, &[SUCCESS])?;
                serve_beside(host, &mut stream, Stream::from_descriptor(descriptor))?;
                return Ok(());
            }
            command::SET_BUFFER_SIZE => {
                let _wanted = stream.next_u32()?;
                answer(&mut stream, &[SUCCESS, BUFFER_SIZE, BUFFER_SIZE_MIN, BUFFER_SIZE])?;
            }
            _ => answer(&mut stream, &[REFUSED])?,
        }
    }
}

/// A part of the state from an offset on, to its end.
fn get_state(host: &Host, stream: &mut Stream) -> io::Result<()> {
    let _flags = stream.next_u32()?;
    let part = stream.next_u32()?;
    let offset = usize::try_from(stream.next_u32()?).map_err(io::Error::other)?;
    let found = match part {
        state::PERMANENT => host.machine().permanent_state(),
        state::VOLATILE => host.machine().volatile_state(),
        state::SAVED => Some(Vec::new()),
        _ => None,
    };
    let rest = found.as_ref().and_then(|octets| octets.get(offset..));
    let (Some(octets), Some(rest)) = (&found, rest) else {
        return answer(stream, &[REFUSED, 0, 0, 0]);
    };
    let size = |octets: &[u8]| u32::try_from(octets.len()).map_err(io::Error::other);
    answer(stream, &[SUCCESS, 0, size(octets)?, size(rest)?])?;
    stream.write_all(rest)
}

/// Takes a part of the state for a TPM without power.
fn set_state(host: &Host, stream: &mut Stream) -> io::Result<()> {
    let (flags, part, size) = (stream.next_u32()?, stream.next_u32()?, stream.next_u32()?);
    let octets = stream.next_bytes(size, STATE_SIZE_LIMIT)?;
    let mut machine = host.machine();
    let is_done = flags & ENCRYPTED == 0
        && match part {
            state::PERMANENT => machine.set_permanent_state(&octets),
            state::VOLATILE => {
                machine.set_volatile_state(octets);
                true
            }
            state::SAVED => octets.is_empty(),
            _ => false,
        };
    drop(machine);
    answer(stream, &[outcome(is_done)])
}

/// Serves the data socket in a thread of its own while this one goes on with the channel.
fn serve_beside(host: &Host, control: &mut Stream, data: Stream) -> io::Result<()> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| crate::raw::serve(host, data));
        let outcome = serve(host, control.try_clone()?);
        let _ended = worker.join();
        outcome
    })
}

/// The next command, with the descriptor that came with it.
fn next_command(stream: &mut Stream) -> io::Result<(u32, Option<OwnedFd>)> {
    let Some(socket) = stream.unix() else { return Ok((stream.next_u32()?, None)) };
    let mut bytes = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
    let received = recvmsg(socket.as_fd(), &mut slices, &mut ancillary, flags)?;
    if received.bytes < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((u32::from_be_bytes(bytes), descriptor))
}

fn answer(stream: &mut Stream, words: &[u32]) -> io::Result<()> {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    stream.write_all(&bytes)
}
