// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attestation report: who signed it, what it says of the launch, and what it vouches for. AMD
//! 56860, 7.3.

use p384::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
use sha2::{Digest as _, Sha384, Sha512};
use snp_abi::{
    launch::{DIGEST_SIZE, Digest, GuestPolicy},
    report::{AttestationReport, COMPONENT_SIZE},
};

use crate::{
    chain::Chip,
    reference::Reference,
    tcb::Tcb,
    verdict::{Reason, Refused},
};

/// Bytes of the nonce: exactly as many, so that nothing of the manifest can pass for a part of it.
pub const NONCE_BYTES: usize = 64;
/// The nonce.
pub type Nonce = [u8; NONCE_BYTES];

/// Flags: the chip's identity is left out, and so is the signature.
const FLAG_CHIP_KEY_MASKED: u32 = 1 << 1;
const FLAG_SIGNING_KEY_SHIFT: u32 = 2;
const FLAG_SIGNING_KEY_MASK: u32 = 0b111;

type Check = Result<String, Refused>;

fn refuse<T>(reason: Reason, detail: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::new(reason, detail))
}

/// Reads a report that a chip's own key should have signed.
///
/// # Errors
/// [`Reason::ReportMalformed`], [`Reason::ReportSigner`].
pub fn parse(bytes: &[u8]) -> Result<AttestationReport, Refused> {
    let report = AttestationReport::parse(bytes)
        .map_err(|error| Refused::new(Reason::ReportMalformed, format!("{error:?}")))?;
    let signer = report.flags >> FLAG_SIGNING_KEY_SHIFT & FLAG_SIGNING_KEY_MASK;
    if signer != 0 || report.flags & FLAG_CHIP_KEY_MASKED != 0 {
        return refuse(Reason::ReportSigner, format!("flags {:#x}: not the VCEK", report.flags));
    }
    Ok(report)
}

/// Whether the chip signed the report, with the key for its current firmware.
///
/// # Errors
/// [`Reason::ReportSignature`], [`Reason::VcekTcb`], [`Reason::VcekChip`].
pub fn check_signature(report: &AttestationReport, chip: &Chip) -> Check {
    if !is_signed_by(report, &chip.key) {
        return refuse(Reason::ReportSignature, "not signed by the chip's key");
    }
    let tcb = Tcb::of(report, report.reported_tcb);
    if tcb != chip.tcb {
        let detail = format!("the report's is {tcb}, the certificate's is {}", chip.tcb);
        return refuse(Reason::VcekTcb, detail);
    }
    // From family 1Ah the identity is shorter, and zeros fill the report's field.
    let (front, rest) = report.chip_id.split_at_checked(chip.hardware_id.len()).unwrap_or_default();
    if front != chip.hardware_id || rest.iter().any(|&byte| byte != 0) {
        return refuse(Reason::VcekChip, "the certificate is another chip's");
    }
    Ok(format!("ECDSA P-384 by chip {}…", hex::encode(&report.chip_id[..8])))
}

fn is_signed_by(report: &AttestationReport, key: &VerifyingKey) -> bool {
    let signature = big_endian(&report.signature.r)
        .zip(big_endian(&report.signature.s))
        .and_then(|(r, s)| Signature::from_scalars(r, s).ok());
    signature.is_some_and(|signature| {
        key.verify_prehash(&Sha384::digest(report.signed_part()), &signature).is_ok()
    })
}

/// A scalar, which the report has little-endian and zero-extended.
fn big_endian(number: &[u8; COMPONENT_SIZE]) -> Option<[u8; 48]> {
    let mut scalar: [u8; 48] = *number.first_chunk()?;
    scalar.reverse();
    Some(scalar)
}

/// Whether the report was asked for by VMPL0: the SVSM, and never the guest.
///
/// # Errors
/// [`Reason::ReportVmpl`].
pub fn check_level(report: &AttestationReport) -> Check {
    match report.vmpl {
        0 => Ok("VMPL0".to_owned()),
        other => refuse(Reason::ReportVmpl, format!("the report is about VMPL{other}")),
    }
}

/// Whether the policy keeps the host out.
///
/// # Errors
/// [`Reason::ReportDebug`], [`Reason::ReportMigration`], [`Reason::ReportPolicy`].
pub fn check_policy(report: &AttestationReport, reference: &Reference) -> Check {
    let policy = report.policy;
    let has = |bit: GuestPolicy| policy & bit.bits() != 0;
    if has(GuestPolicy::DEBUG) && !reference.allows(GuestPolicy::DEBUG) {
        return refuse(Reason::ReportDebug, format!("policy {policy:#x} allows debugging"));
    }
    if has(GuestPolicy::MIGRATION_AGENT) && !reference.allows(GuestPolicy::MIGRATION_AGENT) {
        return refuse(Reason::ReportMigration, format!("policy {policy:#x} allows migration"));
    }
    match reference.policy {
        Some(expected) if expected != policy => {
            refuse(Reason::ReportPolicy, format!("{policy:#x}, expected {expected:#x}"))
        }
        _ => {
            // With either only if the expected policy has it.
            let whether = |bit| if has(bit) { "allowed, as expected" } else { "not allowed" };
            let (debug, migration) =
                (whether(GuestPolicy::DEBUG), whether(GuestPolicy::MIGRATION_AGENT));
            Ok(format!("{policy:#x}: debugging {debug}, migration {migration}"))
        }
    }
}

/// Whether the image is the expected one, or one of the expected signer's.
///
/// # Errors
/// [`Reason::ReportMeasurement`] and those of the ID block.
pub fn check_image(report: &AttestationReport, reference: &Reference) -> Check {
    let mut evidence = Vec::new();
    let mut compare = |expected: Option<Digest>, found: &Digest, reason, what: &str| {
        let Some(expected) = expected else {
            return Ok(());
        };
        if expected != *found {
            let (found, expected) = (hex::encode(found), hex::encode(expected));
            return refuse(reason, format!("{what} {found}, expected {expected}"));
        }
        evidence.push(format!("{what} {}", hex::encode(found)));
        Ok(())
    };
    let Reference { launch_digest, id_key_digest, author_key_digest, .. } = *reference;
    compare(launch_digest, &report.measurement, Reason::ReportMeasurement, "launch digest")?;
    // Reports have zeros where nobody signed.
    for (expected, reason) in
        [(id_key_digest, Reason::ReportIdKey), (author_key_digest, Reason::ReportAuthorKey)]
    {
        if expected == Some([0; DIGEST_SIZE]) {
            return refuse(reason, "zeros are no key's digest: every image would do");
        }
    }
    compare(id_key_digest, &report.id_key_digest, Reason::ReportIdKey, "ID key")?;
    compare(author_key_digest, &report.author_key_digest, Reason::ReportAuthorKey, "author key")?;
    if launch_digest.is_none() && id_key_digest.is_none() {
        return refuse(Reason::ReportMeasurement, "no image is expected: every image would do");
    }
    for (expected, found, reason) in [
        (reference.family_id, report.family_id, Reason::ReportFamily),
        (reference.image_id, report.image_id, Reason::ReportImage),
    ] {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            let (found, expected) = (hex::encode(found), hex::encode(expected));
            return refuse(reason, format!("{found}, expected {expected}"));
        }
    }
    if report.guest_svn < reference.minimum_svn {
        let detail = format!("{}, at least {} expected", report.guest_svn, reference.minimum_svn);
        return refuse(Reason::ReportSvn, detail);
    }
    evidence.push(format!("SVN {}", report.guest_svn));
    Ok(evidence.join(", "))
}

/// Whether the firmware is new enough: what runs, what is committed, what the key is for, and what
/// the guest was launched with.
///
/// # Errors
/// [`Reason::ReportTcb`], [`Reason::ReportChip`].
pub fn check_platform(report: &AttestationReport, reference: &Reference) -> Check {
    let reported = Tcb::of(report, report.reported_tcb);
    if let Some(minimum) = reference.minimum_tcb {
        for (what, value) in [
            ("reported", report.reported_tcb),
            ("current", report.current_tcb),
            ("committed", report.committed_tcb),
            ("at launch", report.launch_tcb),
        ] {
            let tcb = Tcb::of(report, value);
            if !tcb.is_at_least(&minimum) {
                let detail = format!("{tcb} {what}, at least {minimum} expected");
                return refuse(Reason::ReportTcb, detail);
            }
        }
    }
    if reference.chip_id.is_some_and(|expected| expected != report.chip_id) {
        return refuse(Reason::ReportChip, format!("chip {}", hex::encode(report.chip_id)));
    }
    let demanded = reference.minimum_tcb.map(|minimum| format!("at least {minimum} demanded"));
    Ok(format!("TCB {reported}, {}", demanded.as_deref().unwrap_or("no minimum demanded")))
}

/// Whether the report vouches for this nonce and this manifest.
///
/// # Errors
/// [`Reason::ReportData`].
pub fn check_data(report: &AttestationReport, nonce: &Nonce, manifest: &[u8]) -> Check {
    let expected = Sha512::new().chain_update(nonce).chain_update(manifest).finalize();
    if expected.as_slice() == report.report_data {
        return Ok(format!("SHA-512(nonce, manifest) {}…", hex::encode(&expected[..8])));
    }
    let detail = "the report is about another nonce or another manifest";
    refuse(Reason::ReportData, detail)
}
