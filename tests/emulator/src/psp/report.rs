// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attestation reports. AMD 56860, 7.3.

use p384::ecdsa::{Signature, signature::hazmat::PrehashSigner};
use sha2::{Digest, Sha384};
use snp_abi::{
    Vmpl,
    guest_request::{ReportRequest, ReportResponse, status},
    report::{
        ALGORITHM_ECDSA_P384_SHA384, AttestationReport, COMPONENT_SIZE, FirmwareVersion,
        REPORT_SIZE, ReportSignature, SigningKey,
    },
};
use zerocopy::{FromZeros, IntoBytes};

use super::{chip::Chip, launch::Guest};

/// Version of the report: the one that adds family, model and stepping.
const REPORT_VERSION: u32 = 3;
/// Key selection: only a VLEK, which this chip doesn't have.
const KEY_SELECT_VLEK: u32 = 2;

/// Answers a request for a report that came under the key of `sender`.
pub(super) fn answer(
    chip: &Chip,
    guest: &Guest,
    sender: Vmpl,
    request: &ReportRequest,
) -> ReportResponse {
    let mut response = ReportResponse::new_zeroed();
    #[expect(clippy::cast_possible_truncation, reason = "0x4a0")]
    let size = REPORT_SIZE as u32;
    response.report_size = size;
    match request.check(sender) {
        Err(error) => response.status = error.status(),
        Ok(_) if request.key_select == KEY_SELECT_VLEK => response.status = status::INVALID_KEY,
        Ok(vmpl) => match signed_report(chip, guest, vmpl, request) {
            Some(report) => {
                response.status = status::SUCCESS;
                response.report.copy_from_slice(report.as_bytes());
            }
            None => response.status = status::INVALID_KEY,
        },
    }
    response
}

fn signed_report(
    chip: &Chip,
    guest: &Guest,
    vmpl: Vmpl,
    request: &ReportRequest,
) -> Option<AttestationReport> {
    let mut report = unsigned_report(chip, guest, vmpl, request);
    let digest = Sha384::digest(report.signed_part());
    let signature: Signature = chip.vcek().sign_prehash(&digest).ok()?;
    let (r, s) = signature.split_bytes();
    report.signature = ReportSignature {
        r: little_endian(&r),
        s: little_endian(&s),
        ..ReportSignature::new_zeroed()
    };
    Some(report)
}

fn unsigned_report(
    chip: &Chip,
    guest: &Guest,
    vmpl: Vmpl,
    request: &ReportRequest,
) -> AttestationReport {
    let tcb = Chip::TCB.encode();
    let (build, minor, major) = Chip::FIRMWARE;
    let version = FirmwareVersion { build, minor, major, reserved: 0 };
    let (family, model, stepping) = split_family(chip.family_model_stepping());
    let identity = &guest.identity;
    AttestationReport {
        version: REPORT_VERSION,
        guest_svn: identity.guest_svn,
        policy: guest.policy.bits(),
        family_id: identity.family_id,
        image_id: identity.image_id,
        vmpl: vmpl as u32,
        signature_algorithm: ALGORITHM_ECDSA_P384_SHA384,
        current_tcb: tcb,
        flags: AttestationReport::encode_flags(
            identity.author_key_digest.is_some(),
            SigningKey::Vcek,
        ),
        report_data: request.report_data,
        measurement: guest.digest,
        host_data: guest.host_data,
        id_key_digest: identity.id_key_digest,
        author_key_digest: identity.author_key_digest.unwrap_or([0; 48]),
        report_id: guest.report_id,
        // No migration agent.
        report_id_ma: [0xff; 32],
        reported_tcb: tcb,
        cpuid_family: family,
        cpuid_model: model,
        cpuid_stepping: stepping,
        chip_id: *chip.chip_id(),
        committed_tcb: tcb,
        current_version: version,
        committed_version: version,
        launch_tcb: guest.launch_tcb.encode(),
        ..AttestationReport::new_zeroed()
    }
}

/// Family, model and stepping with the extended parts added, from CPUID Fn0000_0001 EAX.
fn split_family(eax: u32) -> (u8, u8, u8) {
    let field = |shift: u32, width: u32| {
        u8::try_from(eax >> shift & ((1 << width) - 1)).unwrap_or_default()
    };
    let family = field(8, 4).wrapping_add(field(20, 8));
    let model = field(16, 4) << 4 | field(4, 4);
    (family, model, field(0, 4))
}

/// A number as the firmware writes it: little endian, zero extended.
fn little_endian(number: &[u8]) -> [u8; COMPONENT_SIZE] {
    let mut bytes = [0; COMPONENT_SIZE];
    for (place, byte) in bytes.iter_mut().zip(number.iter().rev()) {
        *place = *byte;
    }
    bytes
}
