// SPDX-License-Identifier: MIT OR Apache-2.0
//! The structure that an attestation call is made with (AMD 58019, tables 11 and 13), copied out of
//! the guest's memory once.

use super::super::Services;
use super::super::outcome::Refusal;
use crate::machine::{Machine, PAGE_BYTES};
use snp_abi::guid::Guid;
use snp_abi::svsm::{AttestationOperation, NONCE_MAX, SingleService, attestation_call};
use zerocopy::{FromZeros, IntoBytes};

const NONCE_BYTES: usize = NONCE_MAX as usize;

/// What a report is wanted about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// All services.
    Services,
    /// One service, and the version of its manifest.
    Service(Guid, u32),
}

/// A buffer of the caller's, not checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buffer {
    pub(super) address: u64,
    /// In bytes.
    pub(super) size: usize,
}

/// Where the answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Buffers {
    pub(super) report: Buffer,
    pub(super) manifest: Buffer,
    /// Size 0: no certificates are wanted.
    pub(super) certificates: Buffer,
}

/// A call's arguments.
pub(super) struct Operation {
    pub(super) subject: Subject,
    pub(super) nonce: [u8; NONCE_BYTES],
    pub(super) buffers: Buffers,
}

impl Operation {
    /// Reads the structure and the nonce. The structure may lie anywhere; so may the nonce.
    pub(super) fn read(
        services: &Services,
        machine: &mut dyn Machine,
        call: u32,
        address: u64,
    ) -> Result<Self, Refusal> {
        let mut head = AttestationOperation::new_zeroed();
        let subject = match call {
            attestation_call::SERVICES => {
                copy(services, machine, address, head.as_mut_bytes())?;
                Subject::Services
            }
            attestation_call::SINGLE_SERVICE => {
                let (service, version) = read_single(services, machine, address, &mut head)?;
                Subject::Service(service, version)
            }
            _ => return Err(Refusal::UnsupportedCall),
        };
        head.check().map_err(|_| Refusal::InvalidParameter)?;
        if head.nonce_size != NONCE_MAX {
            return Err(Refusal::InvalidParameter);
        }
        let buffers = Buffers {
            report: buffer(head.report_gpa, head.report_size)?,
            manifest: buffer(head.manifest_gpa, head.manifest_size)?,
            certificates: match (head.certificates_gpa, head.certificates_size) {
                (0, _) | (_, 0) => Buffer { address: 0, size: 0 },
                (address, size) => buffer(address, size)?,
            },
        };
        let mut nonce = [0; NONCE_BYTES];
        copy(services, machine, head.nonce_gpa, &mut nonce)?;
        Ok(Self { subject, nonce, buffers })
    }
}

/// The longer structure of SINGLE_SERVICE, in one copy.
fn read_single(
    services: &Services,
    machine: &mut dyn Machine,
    address: u64,
    head: &mut AttestationOperation,
) -> Result<(Guid, u32), Refusal> {
    const HEAD_BYTES: usize = size_of::<AttestationOperation>();
    let mut bytes = [0; HEAD_BYTES + size_of::<SingleService>()];
    copy(services, machine, address, &mut bytes)?;
    let mut single = SingleService::new_zeroed();
    let (front, back) = bytes.split_at(HEAD_BYTES);
    head.as_mut_bytes().copy_from_slice(front);
    single.as_mut_bytes().copy_from_slice(back);
    if single.reserved_54 != 0 {
        return Err(Refusal::InvalidParameter);
    }
    Ok((single.service_guid, single.manifest_version))
}

fn copy(
    services: &Services,
    machine: &mut dyn Machine,
    address: u64,
    bytes: &mut [u8],
) -> Result<(), Refusal> {
    let state = services.core()?;
    state.pages().check_range(machine, address, bytes.len() as u64)?;
    machine.read_guest(address, bytes).map_err(|_| Refusal::InvalidAddress)
}

/// Buffers begin with a page, as the specification has it.
fn buffer(address: u64, size: u32) -> Result<Buffer, Refusal> {
    if !address.is_multiple_of(PAGE_BYTES) {
        return Err(Refusal::InvalidParameter);
    }
    let size = usize::try_from(size).map_err(|_| Refusal::InvalidParameter)?;
    Ok(Buffer { address, size })
}
