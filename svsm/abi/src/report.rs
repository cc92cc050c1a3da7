// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attestation report. AMD 56860, 7.3, table 23 (ATTESTATION_REPORT).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{
    Vmpl,
    launch::{Digest, GuestPolicy},
};

/// Bytes of a report.
pub const REPORT_SIZE: usize = 0x4a0;
/// Bytes of a report that are signed: everything before the signature.
pub const SIGNED_SIZE: usize = 0x2a0;
/// Signature algorithm: ECDSA with P-384 and SHA-384.
pub const ALGORITHM_ECDSA_P384_SHA384: u32 = 1;
/// Bytes of a component of the signature.
pub const COMPONENT_SIZE: usize = 72;

/// Which key signed, bits `[4:2]` of `flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningKey {
    /// The versioned chip endorsement key.
    Vcek = 0,
    /// The versioned loaded endorsement key.
    Vlek = 1,
    /// Not signed.
    None = 7,
}

/// An ECDSA signature: little-endian components, zero extended. AMD 56860, table 130.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ReportSignature {
    /// r.
    pub r: [u8; COMPONENT_SIZE],
    /// s.
    pub s: [u8; COMPONENT_SIZE],
    /// Reserved.
    pub reserved: [u8; 0x170],
}

/// A firmware's version in a report.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FirmwareVersion {
    /// Build.
    pub build: u8,
    /// Minor version.
    pub minor: u8,
    /// Major version.
    pub major: u8,
    /// Reserved.
    pub reserved: u8,
}

/// The report.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct AttestationReport {
    /// Version of this layout: 2, 3 or 5.
    pub version: u32,
    /// Security version of the guest, from the ID block.
    pub guest_svn: u32,
    /// Guest policy.
    pub policy: u64,
    /// Family, from the ID block.
    pub family_id: [u8; 16],
    /// Image, from the ID block.
    pub image_id: [u8; 16],
    /// The VMPL that the report was asked for.
    pub vmpl: u32,
    /// [`ALGORITHM_ECDSA_P384_SHA384`].
    pub signature_algorithm: u32,
    /// TCB of the running firmware.
    pub current_tcb: u64,
    /// Properties of the platform: SMT, TSME, ECC and more.
    pub platform_info: u64,
    /// Author key enabled `[0]`, chip key masked `[1]`, signing key `[4:2]`.
    pub flags: u32,
    /// Reserved.
    pub reserved_4c: u32,
    /// What the guest wanted in the report.
    pub report_data: [u8; 64],
    /// The launch digest.
    pub measurement: Digest,
    /// What the host gave at launch.
    pub host_data: [u8; 32],
    /// SHA-384 of the ID key.
    pub id_key_digest: Digest,
    /// SHA-384 of the author key.
    pub author_key_digest: Digest,
    /// Identity of this run of the guest.
    pub report_id: [u8; 32],
    /// The same for a migration agent.
    pub report_id_ma: [u8; 32],
    /// TCB that the signing key is derived from.
    pub reported_tcb: u64,
    /// CPU family (extended), from version 3.
    pub cpuid_family: u8,
    /// CPU model (extended), from version 3.
    pub cpuid_model: u8,
    /// CPU stepping, from version 3.
    pub cpuid_stepping: u8,
    /// Reserved.
    pub reserved_18b: [u8; 21],
    /// The chip, unless masked.
    pub chip_id: [u8; 64],
    /// Committed TCB.
    pub committed_tcb: u64,
    /// Version of the running firmware.
    pub current_version: FirmwareVersion,
    /// Version of the committed firmware.
    pub committed_version: FirmwareVersion,
    /// TCB when the guest was launched or imported.
    pub launch_tcb: u64,
    /// Mitigations at launch, from version 5.
    pub launch_mitigation_vector: u64,
    /// Mitigations now, from version 5.
    pub current_mitigation_vector: u64,
    /// Reserved.
    pub reserved_208: [u8; 0x98],
    /// Over the first [`SIGNED_SIZE`] bytes.
    pub signature: ReportSignature,
}

assert_layout!(ReportSignature, size 0x200, s: 0x48, reserved: 0x90);
assert_layout!(
    AttestationReport, size REPORT_SIZE,
    guest_svn: 0x04, policy: 0x08, family_id: 0x10, image_id: 0x20, vmpl: 0x30,
    signature_algorithm: 0x34, current_tcb: 0x38, platform_info: 0x40, flags: 0x48,
    report_data: 0x50, measurement: 0x90, host_data: 0xc0, id_key_digest: 0xe0,
    author_key_digest: 0x110, report_id: 0x140, report_id_ma: 0x160, reported_tcb: 0x180,
    cpuid_family: 0x188, chip_id: 0x1a0, committed_tcb: 0x1e0, current_version: 0x1e8,
    committed_version: 0x1ec, launch_tcb: 0x1f0, launch_mitigation_vector: 0x1f8,
    signature: SIGNED_SIZE,
);

/// What is wrong with a report before its signature is even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportError {
    /// Not [`REPORT_SIZE`] bytes.
    Size,
    /// A version that this code doesn't know.
    Version(u32),
    /// Another signature algorithm.
    Algorithm(u32),
    /// A policy that firmware doesn't accept.
    Policy,
    /// A VMPL above 3 (0xffff_ffff: the host asked for the report).
    Vmpl(u32),
    /// A reserved field or the upper part of a signature's component isn't zero.
    Reserved,
}

impl AttestationReport {
    /// Reads a report and checks its structure; the signature is the caller's to check.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let report = Self::read_from_bytes(bytes).map_err(|_| ReportError::Size)?;
        if !(2..=5).contains(&report.version) {
            return Err(ReportError::Version(report.version));
        }
        if report.signature_algorithm != ALGORITHM_ECDSA_P384_SHA384 {
            return Err(ReportError::Algorithm(report.signature_algorithm));
        }
        GuestPolicy::parse(report.policy).ok_or(ReportError::Policy)?;
        Vmpl::from_number(u64::from(report.vmpl)).ok_or(ReportError::Vmpl(report.vmpl))?;
        let high_part =
            |component: &[u8; COMPONENT_SIZE]| component.iter().skip(48).any(|&byte| byte != 0);
        if report.reserved_4c != 0
            || high_part(&report.signature.r)
            || high_part(&report.signature.s)
            || report.signature.reserved.iter().any(|&byte| byte != 0)
        {
            return Err(ReportError::Reserved);
        }
        Ok(report)
    }

    /// The bytes under the signature.
    #[must_use]
    pub fn signed_part(&self) -> &[u8] {
        self.as_bytes().get(..SIGNED_SIZE).unwrap_or_default()
    }

    /// The flags for a signing key.
    #[must_use]
    pub const fn encode_flags(author_key_enabled: bool, signing_key: SigningKey) -> u32 {
        author_key_enabled as u32 | (signing_key as u32) << 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    fn report() -> AttestationReport {
        AttestationReport {
            version: 3,
            signature_algorithm: ALGORITHM_ECDSA_P384_SHA384,
            policy: GuestPolicy::DEFAULT.bits(),
            ..AttestationReport::new_zeroed()
        }
    }

    fn refused(change: impl Fn(&mut AttestationReport)) -> Option<ReportError> {
        let mut report = report();
        change(&mut report);
        AttestationReport::parse(report.as_bytes()).err()
    }

    #[test]
    fn a_report_that_breaks_a_rule_is_refused() {
        assert_eq!(AttestationReport::parse(&[0; 0x49f]), Err(ReportError::Size));
        assert_eq!(refused(|report| report.version = 1), Some(ReportError::Version(1)));
        assert_eq!(
            refused(|report| report.signature_algorithm = 0),
            Some(ReportError::Algorithm(0))
        );
        assert_eq!(refused(|report| report.policy = 0), Some(ReportError::Policy));
        assert_eq!(refused(|report| report.vmpl = u32::MAX), Some(ReportError::Vmpl(u32::MAX)));
        assert_eq!(refused(|report| report.reserved_4c = 1), Some(ReportError::Reserved));
        assert_eq!(refused(|report| report.signature.r[48] = 1), Some(ReportError::Reserved));
        assert_eq!(refused(|report| report.signature.s[71] = 1), Some(ReportError::Reserved));
        assert_eq!(refused(|_| ()), None);
        assert_eq!(report().signed_part().len(), SIGNED_SIZE);
    }
}
