// SPDX-License-Identifier: MIT OR Apache-2.0
//! All checks, in the order in which each may rely on those before.

use sha2::{Digest as _, Sha384};
use snp_abi::{config::PayloadDigest, measurement::Subject, report::AttestationReport};

use crate::{
    activation,
    chain::{Chain, ParsedChain},
    endorsement,
    event_log::{EventLog, MeasuredFile},
    evidence::Evidence,
    hash::Hash,
    manifest::{Details, FreshnessRoot, Manifest},
    public_area::{PublicArea, attribute},
    quote::{Quote, QuoteError},
    reference::{PCRS, Payload, Reference},
    report::{self, Nonce},
    signature, state,
    verdict::{Reason, Refused, Verdict},
};

pub use activation::Activation;

/// What the relying party asked, and how.
#[derive(Clone, Debug)]
pub struct Question<'given> {
    /// The nonce: random, and used once.
    pub nonce: &'given Nonce,
    /// The chain, when it doesn't come with the evidence.
    pub chain: Option<&'given Chain>,
    /// The credential; `None` when none was sent.
    pub activation: Option<&'given Activation>,
}

/// What is known of the guest once the report and its manifest are believed: enough to send it a
/// credential.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// The endorsement key.
    pub endorsement_key: PublicArea,
    /// The attestation key, of which nothing is known yet but its structure.
    pub attestation_key: PublicArea,
    /// Where the vTPM's state stands, if it is persistent and the manifest tells.
    pub freshness: Option<FreshnessRoot>,
    details: Option<Details>,
}

/// Makes every check up to the manifest's: those that must pass before a credential is worth
/// sending.
pub fn verify_platform(
    evidence: &Evidence,
    question: &Question<'_>,
    reference: &Reference,
) -> (Verdict, Option<Vouched>) {
    let mut verdict = Verdict::default();
    let chain = match question.chain {
        Some(chain) => Ok(chain.clone()),
        None => Chain::from_table(&evidence.certificates),
    };
    let Some(report) = verify_report(&mut verdict, &evidence.report, chain, reference) else {
        verdict.not_reached(&MANIFEST_CHECKS);
        return (verdict, None);
    };
    let vouched = check_manifest(&mut verdict, evidence, &report, question, reference);
    let vouched = vouched.filter(|_| verdict.is_accepted());
    (verdict, vouched)
}

/// Makes the checks of a report but for what it vouches for; the report, if it is one at all.
pub(crate) fn verify_report(
    verdict: &mut Verdict,
    report: &[u8],
    chain: Result<Chain, Refused>,
    reference: &Reference,
) -> Option<AttestationReport> {
    let chip = check_chain(verdict, chain, reference);
    let parsed =
        report::parse(report).map(|report| (report, format!("version {}", report.version)));
    let Some(report) = verdict.check("report", parsed) else {
        verdict.not_reached(&REPORT_CHECKS);
        return None;
    };
    match &chip {
        Some(chip) => {
            verdict.require("report signature", report::check_signature(&report, chip));
        }
        None => verdict.not_reached(&["report signature"]),
    }
    verdict.require("level", report::check_level(&report));
    verdict.require("policy", report::check_policy(&report, reference));
    verdict.require("image", report::check_image(&report, reference));
    verdict.require("platform", report::check_platform(&report, reference));
    Some(report)
}

/// Makes every check. The freshness root to remember comes with the verdict, and only when the
/// evidence is accepted.
pub fn verify(
    evidence: &Evidence,
    question: &Question<'_>,
    reference: &Reference,
) -> (Verdict, Option<FreshnessRoot>) {
    let (mut verdict, vouched) = verify_platform(evidence, question, reference);
    let Some(vouched) = vouched else {
        verdict.not_reached(&VTPM_CHECKS);
        return (verdict, None);
    };
    let ak = &vouched.attestation_key;
    verdict.require("activation", activation::check(question, &vouched));
    let log = verdict.check("event log", check_log(evidence, vouched.details.as_ref()));
    match (&log, &reference.payload) {
        (None, _) => verdict.not_reached(&["payload"]),
        (Some(log), Some(payload)) => verdict.require("payload", check_payload(log, payload)),
        (Some(_), None) => verdict.not_asked("payload", "no IGVM file tells what may be started"),
    }
    match verdict.check("quote", check_quote(evidence, question, ak)) {
        None => verdict.not_reached(&["PCRs", "firmware"]),
        Some(quote) => {
            match &log {
                Some(log) => verdict.require("PCRs", check_pcrs(evidence, &quote, log, ak)),
                None => verdict.not_reached(&["PCRs"]),
            }
            match vouched.details {
                Some(details) => verdict.require("firmware", check_firmware(&quote, &details)),
                None => verdict.not_asked("firmware", "manifest version 0 doesn't tell"),
            }
        }
    }
    let freshness = vouched.freshness.filter(|_| verdict.is_accepted());
    (verdict, freshness)
}

const REPORT_CHECKS: [&str; 5] = ["report signature", "level", "policy", "image", "platform"];
const MANIFEST_CHECKS: [&str; 6] =
    ["nonce", "manifest", "endorsement key", "EK certificate", "state", "attestation key"];
const VTPM_CHECKS: [&str; 6] = ["activation", "event log", "payload", "quote", "PCRs", "firmware"];

fn check_chain(
    verdict: &mut Verdict,
    chain: Result<Chain, Refused>,
    reference: &Reference,
) -> Option<crate::chain::Chip> {
    let parsed = chain.and_then(|chain| ParsedChain::parse(&chain));
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(refused) => {
            verdict.require("root", Err(refused));
            verdict.not_reached(&["chain", "chip"]);
            return None;
        }
    };
    verdict.require("root", parsed.check_root(&reference.roots));
    verdict.require("chain", parsed.check_links(reference.time_s));
    let chip = parsed.chip().map(|chip| {
        let evidence = format!("VCEK for TCB {}", chip.tcb);
        (chip, evidence)
    });
    verdict.check("chip", chip)
}

fn check_manifest(
    verdict: &mut Verdict,
    evidence: &Evidence,
    report: &AttestationReport,
    question: &Question<'_>,
    reference: &Reference,
) -> Option<Vouched> {
    let data = report::check_data(report, question.nonce, &evidence.manifest);
    verdict.require("nonce", data);
    let parsed = Manifest::parse(&evidence.manifest, evidence.manifest_version).map(|manifest| {
        let summary = manifest.summary();
        (manifest, summary)
    });
    let Some(manifest) = verdict.check("manifest", parsed) else {
        verdict.not_reached(&MANIFEST_CHECKS[2..]);
        return None;
    };
    let ek = manifest.endorsement_key(&evidence.ek_public).map(|key| {
        let detail = format!("{}, Name {}", key.kind(), hex::encode(key.name()));
        (key.clone(), detail)
    });
    let ek = verdict.check("endorsement key", ek);
    match (&ek, &reference.ek_issuer) {
        (_, None) => verdict.not_asked("EK certificate", "no issuer was named"),
        (None, Some(_)) => verdict.not_reached(&["EK certificate"]),
        (Some(key), Some(issuer)) => {
            let certificate = &evidence.ek_certificate;
            let checked = endorsement::check(certificate, issuer, key, reference.time_s);
            verdict.require("EK certificate", checked);
        }
    }
    let freshness = state::check(verdict, &manifest, reference);
    let ak = verdict.check("attestation key", check_attestation_key(&evidence.ak_public));
    Some(Vouched {
        endorsement_key: ek?,
        attestation_key: ak?,
        freshness,
        details: manifest.details,
    })
}

/// A key that signs only what its own TPM made, and lives nowhere else. That it lives in *this* TPM
/// only the credential tells.
fn check_attestation_key(public: &[u8]) -> Result<(PublicArea, String), Refused> {
    const SET: u32 = attribute::FIXED_TPM
        | attribute::FIXED_PARENT
        | attribute::SENSITIVE_DATA_ORIGIN
        | attribute::RESTRICTED
        | attribute::SIGN;
    let key = PublicArea::parse_either(public)
        .filter(|key| key.scheme.is_some_and(|scheme| scheme.hash() != Hash::Sha1))
        .filter(|key| key.name_algorithm != Hash::Sha1);
    let Some(key) = key else {
        let detail = "no TPMT_PUBLIC of a signing key of a known kind";
        return Err(Refused::new(Reason::AkMalformed, detail));
    };
    if !key.has(SET, attribute::DECRYPT) {
        let detail = format!("attributes {:#010x}", key.attributes);
        return Err(Refused::new(Reason::AkAttributes, detail));
    }
    let detail = format!("{}, restricted, Name {}", key.kind(), hex::encode(key.name()));
    Ok((key, detail))
}

fn check_log(
    evidence: &Evidence,
    details: Option<&Details>,
) -> Result<(EventLog, String), Refused> {
    let digest = Sha384::digest(&evidence.event_log);
    if details.is_some_and(|details| details.event_log != digest.as_slice()) {
        let detail = "the manifest names another event log";
        return Err(Refused::new(Reason::EventLogDigest, detail));
    }
    let Some(log) = EventLog::parse(&evidence.event_log) else {
        return Err(Refused::new(Reason::EventLogMalformed, "not a crypto-agile event log"));
    };
    if let Some(event) = log.first_mismatch() {
        let detail = format!("an event of PCR {} has another digest than its data", event.pcr);
        return Err(Refused::new(Reason::EventDigest, detail));
    }
    let version = log.version().unwrap_or_else(|| "no version".to_owned());
    let detail = format!("{} events; PCR 0: {version}", log.events.len());
    Ok((log, detail))
}

/// Whether the log tells of exactly what the image says may be started. The report vouches for the
/// image already; this ties the log to it. An image that leaves it to the host what is started, as
/// development builds may, says nothing that evidence could bear out.
fn check_payload(log: &EventLog, payload: &Payload) -> Result<String, Refused> {
    let config = &payload.config;
    let page = MeasuredFile { length: 4096, digest: payload.page_digest };
    let file = |payload: &Option<PayloadDigest>| {
        payload.map(|file| MeasuredFile { length: file.length, digest: file.digest })
    };
    let mut named = Vec::new();
    for (what, subject, expected) in [
        ("launch configuration", Subject::LaunchConfig, Some(page)),
        ("kernel", Subject::Kernel, file(&config.kernel)),
        ("command line", Subject::CommandLine, file(&config.cmdline)),
        ("initrd", Subject::Initrd, file(&config.initrd)),
    ] {
        let found: Vec<MeasuredFile> = log.files(subject).collect();
        if found != expected.as_slice() {
            let detail = match expected {
                Some(_) => format!("the {what} that was measured isn't the one of the image"),
                None => format!("the {what} that was measured isn't named by the image"),
            };
            return Err(Refused::new(Reason::EventPayload, detail));
        }
        if let Some(found) = found.first() {
            named.push(format!("{what} {}…", hex::encode(&found.digest[..6])));
        }
    }
    Ok(named.join(", "))
}

fn check_quote(
    evidence: &Evidence,
    question: &Question<'_>,
    ak: &PublicArea,
) -> Result<(Quote, String), Refused> {
    if !signature::is_signed(ak, &evidence.quote, &evidence.signature) {
        let detail = "not signed by the attestation key";
        return Err(Refused::new(Reason::QuoteSignature, detail));
    }
    let quote = Quote::parse(&evidence.quote).map_err(|error| match error {
        QuoteError::Kind => Refused::new(Reason::QuoteKind, "not a quote of a TPM"),
        QuoteError::Malformed => Refused::new(Reason::QuoteMalformed, "TPMS_ATTEST"),
    })?;
    if quote.extra_data != question.nonce {
        return Err(Refused::new(Reason::QuoteNonce, "the quote is about another nonce"));
    }
    let nonce = hex::encode(&question.nonce[..8]);
    let detail = format!("nonce {nonce}…, reset count {}", quote.reset_count);
    Ok((quote, detail))
}

fn check_pcrs(
    evidence: &Evidence,
    quote: &Quote,
    log: &EventLog,
    ak: &PublicArea,
) -> Result<String, Refused> {
    // One bank with all that must be quoted is enough; SHA-1 is no bank to believe.
    let bank = [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(|bank| {
        let quoted: Vec<u32> = quote.selected(*bank).collect();
        PCRS.into_iter().all(|number| quoted.contains(&number))
    });
    let Some(bank) = bank else {
        let detail = format!("PCRs {} to {} must be quoted", PCRS.start, PCRS.end - 1);
        return Err(Refused::new(Reason::QuoteSelection, detail));
    };
    let Some(values) = log.replay_all() else {
        return Err(Refused::new(Reason::EventLogMalformed, "an event lacks a digest"));
    };
    for (quoted, numbers) in &quote.selections {
        let Some(known) = values.get(quoted) else {
            let detail = format!("the log has no bank {}", quoted.name());
            return Err(Refused::new(Reason::EventBank, detail));
        };
        if let Some(number) = numbers.iter().find(|number| !known.contains_key(number)) {
            let detail = format!("the log can't explain PCR {number}");
            return Err(Refused::new(Reason::QuoteSelection, detail));
        }
    }
    // Before the digest, since this names the register that differs.
    for (sent, registers) in &evidence.pcrs {
        for (number, value) in registers {
            if values.get(sent).and_then(|known| known.get(number)) != Some(value) {
                let detail = format!("PCR {number} of bank {} isn't the log's", sent.name());
                return Err(Refused::new(Reason::PcrValues, detail));
            }
        }
    }
    let hash = ak.scheme.map_or(Hash::Sha256, crate::public_area::Scheme::hash);
    if quote.digest_of(&values, hash).as_ref() != Some(&quote.pcr_digest) {
        let detail = "the log doesn't lead to the quoted values";
        return Err(Refused::new(Reason::QuotePcrs, detail));
    }
    let zeros = vec![0; bank.size()];
    let used = values.get(&bank).into_iter().flatten().filter(|(_, value)| **value != zeros);
    let used: Vec<String> = used.map(|(number, _)| number.to_string()).collect();
    Ok(format!("{} replayed from the log; in use: {}", bank.name(), used.join(" ")))
}

fn check_firmware(quote: &Quote, details: &Details) -> Result<String, Refused> {
    let (quoted, expected) = (quote.firmware_version, details.firmware.version);
    if quoted == expected {
        return Ok(format!("{quoted:#x} in quote and manifest"));
    }
    let detail = format!("{quoted:#x} in the quote, {expected:#x} in the manifest");
    Err(Refused::new(Reason::QuoteFirmware, detail))
}
