// SPDX-License-Identifier: MIT OR Apache-2.0
//! Protocol 1, attestation (AMD 58019, section 7): a report of the platform's firmware, made at
//! VMPL0, about a nonce of the caller's and a manifest of what the SVSM serves.
//!
//! The report's REPORT_DATA is SHA-512(nonce ‖ manifest), so whoever checks the report knows that
//! the SVSM, and not the guest, says what is in the manifest. The nonce has exactly 64 bytes:
//! with a shorter one a caller could pass the front of another manifest off as the nonce's end.
//!
//! Hosts limit how often a guest may ask the firmware. The caller then gets BUSY, which clients
//! answer with the same call; what is on its way to the firmware stays there and serves that call.
//! A host that never lets it through gets the caller an error in the end.

mod manifest;
mod operation;
#[cfg(test)]
mod tests;

use super::outcome::Refusal;
use super::{Registers, Services};
use crate::machine::Machine;
use alloc::boxed::Box;
use alloc::vec::Vec;
use manifest::MANIFEST_MAX;
pub use manifest::ManifestFault;
use operation::{Buffers, Operation};
use sha2::{Digest, Sha512};
use snp_abi::report::REPORT_SIZE;

/// BUSY in a row until a call fails: with the pauses between, some four seconds.
const BUSY_MAX: u32 = 40;

/// A report, and what came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The report, without a head.
    pub report: Box<[u8; REPORT_SIZE]>,
    /// The host's table of certificates (AMD 56421, 4.1.8.1); empty when it has none, or none were
    /// wanted. Nobody here looks into it.
    pub certificates: Vec<u8>,
}

/// Why there is no report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwareFault {
    /// The host has not let the request through yet. Asking for the same thing again is right.
    Busy,
    /// There is none, and won't be.
    Failed,
}

/// The platform's firmware.
pub trait Firmware {
    /// A report about this guest at VMPL0 with `report_data` in it, and the host's certificates
    /// if they are wanted. Takes a bounded time.
    ///
    /// # Errors
    /// See [`FirmwareFault`].
    fn report(
        &mut self,
        report_data: &[u8; 64],
        with_certificates: bool,
    ) -> Result<Evidence, FirmwareFault>;
}

/// The firmware, and what is remembered between calls.
pub struct Port {
    firmware: Box<dyn Firmware + Send>,
    manifest: Box<[u8; MANIFEST_MAX]>,
    /// Of the table of certificates that came last; `None` before the first.
    certificates_length: Option<usize>,
    /// Answers with BUSY in a row.
    busy: u32,
}

/// Needed or used bytes of the caller's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lengths {
    manifest: usize,
    certificates: usize,
}

impl Lengths {
    /// Whether the caller's buffers are large enough.
    const fn fit(&self, buffers: &Buffers) -> bool {
        buffers.report.size >= REPORT_SIZE
            && buffers.manifest.size >= self.manifest
            && (buffers.certificates.size == 0 || buffers.certificates.size >= self.certificates)
    }

    /// RCX, RDX and R8.
    const fn answer(&self, registers: &mut Registers) {
        registers.rcx = self.manifest as u64;
        registers.rdx = self.certificates as u64;
        registers.r8 = REPORT_SIZE as u64;
    }
}

impl Port {
    /// A port in front of `firmware`.
    pub fn new(firmware: Box<dyn Firmware + Send>) -> Self {
        let manifest = Box::new([0; MANIFEST_MAX]);
        Self { firmware, manifest, certificates_length: None, busy: 0 }
    }

    fn evidence(
        &mut self,
        nonce: &[u8; 64],
        length: usize,
        with_certificates: bool,
    ) -> Result<Evidence, Refusal> {
        let manifest = self.manifest.get(..length).ok_or(Refusal::InvalidRequest)?;
        let report_data = Sha512::new().chain_update(nonce).chain_update(manifest).finalize();
        let evidence = self.firmware.report(&report_data.into(), with_certificates);
        let busy = core::mem::take(&mut self.busy);
        match evidence {
            Ok(evidence) => {
                if with_certificates {
                    self.certificates_length = Some(evidence.certificates.len());
                }
                Ok(evidence)
            }
            Err(FirmwareFault::Busy) if busy < BUSY_MAX => {
                self.busy = busy + 1;
                Err(Refusal::Busy)
            }
            Err(_) => Err(Refusal::InvalidRequest),
        }
    }
}

/// Serves one attestation call: RCX = the operation structure.
pub(super) fn call(
    services: &Services,
    machine: &mut dyn Machine,
    number: u32,
    registers: &mut Registers,
) -> Result<(), Refusal> {
    let mut port = services.attestation()?;
    let port = port.as_mut().ok_or(Refusal::UnsupportedProtocol)?;
    let operation = Operation::read(services, machine, number, registers.rcx)?;
    let buffers = &operation.buffers;
    let with_certificates = buffers.certificates.size != 0;
    check_places(services, machine, buffers)?;
    let length = manifest::write(services, operation.subject, &mut port.manifest)?;
    // Where all lengths are known, and one is too long, the firmware isn't asked. The host's table
    // is taken to be as long as last time.
    let known = if with_certificates { port.certificates_length } else { Some(0) };
    if let Some(certificates) = known {
        let expected = Lengths { manifest: length, certificates };
        if !expected.fit(buffers) {
            expected.answer(registers);
            return Err(Refusal::InvalidParameter);
        }
    }
    let evidence = port.evidence(&operation.nonce, length, with_certificates)?;
    let lengths = Lengths { manifest: length, certificates: evidence.certificates.len() };
    if lengths.fit(buffers) {
        let manifest = port.manifest.get(..length).unwrap_or_default();
        deliver(services, machine, buffers, manifest, &evidence)?;
    }
    lengths.answer(registers);
    if lengths.fit(buffers) { Ok(()) } else { Err(Refusal::InvalidParameter) }
}

/// Whether report and manifest may begin where the caller says: deriving keys for the manifest and
/// asking the firmware cost more than this.
fn check_places(
    services: &Services,
    machine: &mut dyn Machine,
    buffers: &Buffers,
) -> Result<(), Refusal> {
    let state = services.core()?;
    let pages = state.pages();
    for buffer in [&buffers.report, &buffers.manifest] {
        if buffer.size != 0 {
            pages.check_range(machine, buffer.address, 1)?;
        }
    }
    Ok(())
}

/// Writes everything to the caller's buffers, which are checked now: another vCPU may have given
/// their pages away since the call began.
fn deliver(
    services: &Services,
    machine: &mut dyn Machine,
    buffers: &Buffers,
    manifest: &[u8],
    evidence: &Evidence,
) -> Result<(), Refusal> {
    let parts = [
        (buffers.report.address, evidence.report.as_slice()),
        (buffers.manifest.address, manifest),
        (buffers.certificates.address, evidence.certificates.as_slice()),
    ];
    let parts = parts.into_iter().filter(|(_, bytes)| !bytes.is_empty());
    let state = services.core_after_effects();
    for (address, bytes) in parts.clone() {
        state.pages().check_range(machine, address, bytes.len() as u64)?;
    }
    for (address, bytes) in parts {
        machine.write_guest(address, bytes).map_err(|_| Refusal::InvalidAddress)?;
    }
    Ok(())
}
