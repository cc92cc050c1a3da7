// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protocol 2, vTPM (AMD 58019, "vTPM protocol"): a TPM behind one 4 KiB buffer.
//!
//! The request is copied out of the guest's page once and parsed in private memory; the response is
//! written once. What is wrong with the buffer is told in RAX, what is wrong with the TPM command
//! in the TPM's response, with RAX 0. The buffer may cross a page: clients don't promise alignment.

use super::attest::ManifestFault;
use super::outcome::Refusal;
use super::{Registers, Services};
use crate::machine::{Machine, PAGE_LENGTH};
use alloc::boxed::Box;
use snp_abi::launch::Digest;
use snp_abi::svsm::{
    TPM_SEND_COMMAND, VTPM_RESPONSE_MAX, VTPM_RESPONSE_OFFSET, VtpmRequest, VtpmRequestError,
    vtpm_call,
};
use zeroize::Zeroize;

/// Size of the guest's buffer in bytes.
const BUFFER_BYTES: usize = PAGE_LENGTH;
/// Header of a TPM command: tag, commandSize, commandCode (TPM 2.0 part 1, "Command header").
const COMMAND_HEADER_BYTES: usize = 10;
/// Localities 0 to 4 (PC Client profile).
const LOCALITY_MAX: u8 = 4;

/// A TPM that turns one command into one response.
pub trait Engine {
    /// Executes `command`, which has a whole header and the length that it states, and writes the
    /// response. Returns the response's length, at most `response.len()`.
    fn execute(&mut self, locality: u8, command: &[u8], response: &mut [u8]) -> usize;

    /// Is told the SHA-384 of the log of everything that was measured before the guest started.
    fn set_launch_log(&mut self, digest: Digest);

    /// Writes what the TPM says of itself to a verifier, in this version, to the front of
    /// `buffer`; the length.
    ///
    /// # Errors
    /// See [`ManifestFault`].
    fn manifest(&mut self, version: u32, buffer: &mut [u8]) -> Result<usize, ManifestFault>;
}

/// The TPM and the private copies of request and response.
pub struct Port {
    engine: Box<dyn Engine + Send>,
    request: [u8; BUFFER_BYTES],
    response: [u8; BUFFER_BYTES],
}

impl Port {
    /// A port in front of `engine`.
    pub fn new(engine: Box<dyn Engine + Send>) -> Self {
        Self { engine, request: [0; BUFFER_BYTES], response: [0; BUFFER_BYTES] }
    }

    /// What the TPM says of itself; see [`Engine::manifest`].
    pub(super) fn manifest(
        &mut self,
        version: u32,
        buffer: &mut [u8],
    ) -> Result<usize, ManifestFault> {
        self.engine.manifest(version, buffer)
    }

    /// Executes the request and returns what is to be written back.
    fn execute(&mut self) -> Result<&[u8], Refusal> {
        let Request { locality, command } = Request::parse(&self.request)?;
        let (header, body) = self.response.split_at_mut(VTPM_RESPONSE_OFFSET);
        let length = self.engine.execute(locality, command, body).min(VTPM_RESPONSE_MAX);
        let size = u32::try_from(length).map_err(|_| Refusal::InvalidRequest)?;
        header.copy_from_slice(&size.to_le_bytes());
        let total = VTPM_RESPONSE_OFFSET.saturating_add(length);
        self.response.get(..total).ok_or(Refusal::InvalidRequest)
    }

    /// Passwords, keys and secrets pass through both.
    fn wipe(&mut self) {
        self.request.zeroize();
        self.response.zeroize();
    }
}

/// A request whose shape has been checked.
struct Request<'a> {
    locality: u8,
    command: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(buffer: &'a [u8; BUFFER_BYTES]) -> Result<Self, Refusal> {
        let (head, rest) = buffer.split_first_chunk().ok_or(Refusal::InvalidParameter)?;
        let VtpmRequest { locality, size, .. } =
            VtpmRequest::parse(head).map_err(|why| match why {
                VtpmRequestError::PlatformCommand(_) => Refusal::UnsupportedCall,
                VtpmRequestError::Size(_) => Refusal::InvalidParameter,
            })?;
        if locality > LOCALITY_MAX || size < COMMAND_HEADER_BYTES {
            return Err(Refusal::InvalidParameter);
        }
        let command = rest.get(..size).ok_or(Refusal::InvalidParameter)?;
        let [_, _, c0, c1, c2, c3, ..] = command else { return Err(Refusal::InvalidParameter) };
        let stated = u32::from_be_bytes([*c0, *c1, *c2, *c3]);
        if usize::try_from(stated) != Ok(size) {
            return Err(Refusal::InvalidParameter);
        }
        Ok(Self { locality, command })
    }
}

/// Serves one vTPM call.
pub(super) fn call(
    services: &Services,
    machine: &mut dyn Machine,
    number: u32,
    registers: &mut Registers,
) -> Result<(), Refusal> {
    if !services.has_vtpm() {
        return Err(Refusal::UnsupportedProtocol);
    }
    match number {
        vtpm_call::QUERY => {
            registers.rcx = 1 << TPM_SEND_COMMAND;
            registers.rdx = 0;
            Ok(())
        }
        vtpm_call::COMMAND => command(services, machine, registers.rcx),
        _ => Err(Refusal::UnsupportedCall),
    }
}

/// RCX = address of the buffer.
fn command(services: &Services, machine: &mut dyn Machine, address: u64) -> Result<(), Refusal> {
    let mut port = services.vtpm()?;
    let port = port.as_mut().ok_or(Refusal::UnsupportedProtocol)?;
    services.core()?.pages().check_range(machine, address, BUFFER_BYTES as u64)?;
    let outcome = exchange(port, services, machine, address);
    port.wipe();
    outcome
}

fn exchange(
    port: &mut Port,
    services: &Services,
    machine: &mut dyn Machine,
    address: u64,
) -> Result<(), Refusal> {
    machine.read_guest(address, &mut port.request).map_err(|_| Refusal::InvalidAddress)?;
    let response = port.execute()?;
    // Another vCPU may have given the page away meanwhile. The command has been executed, so
    // waiting is better than BUSY, which promises that nothing happened.
    let state = services.core_after_effects();
    state.pages().check_range(machine, address, BUFFER_BYTES as u64)?;
    machine.write_guest(address, response).map_err(|_| Refusal::InvalidAddress)
}
