// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the checks found: one line each, with its evidence.

use std::fmt;

use serde_json::{Value, json};

/// Why evidence is refused. The names are stable: programs may depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The evidence isn't a file of this format.
    EvidenceMalformed,

    /// The table of certificates points outside itself or has no end.
    CertificatesMalformed,
    /// A certificate isn't there.
    CertificateMissing,
    /// A certificate isn't X.509 in DER, or has a key that such a chain doesn't have.
    CertificateMalformed,
    /// The root isn't one that is trusted.
    RootUntrusted,
    /// The root is the test root, whose key everybody knows, and nobody asked for it by name.
    RootIsForTests,
    /// The root's certificate isn't signed by itself.
    RootSignature,
    /// The certificate between root and chip isn't signed by the root.
    AskSignature,
    /// The chip's certificate isn't signed by the one above.
    VcekSignature,
    /// A certificate names another issuer than the one above it.
    ChainName,
    /// A certificate that signs others isn't one of an authority.
    ChainAuthority,
    /// A certificate isn't valid yet, or no more.
    ChainValidity,
    /// The chip's certificate lacks an extension, or has one that can't be read.
    VcekExtension,
    /// The chip's certificate is for another version of the platform than the report's.
    VcekTcb,
    /// The chip's certificate is for another chip than the report's.
    VcekChip,

    /// The report has another structure, or breaks one of its rules.
    ReportMalformed,
    /// The report is signed by another kind of key than a chip's.
    ReportSigner,
    /// The report isn't signed by the chip.
    ReportSignature,
    /// The report is not about VMPL0.
    ReportVmpl,
    /// The host may debug the guest: it reads all of its memory.
    ReportDebug,
    /// A migration agent may move the guest elsewhere.
    ReportMigration,
    /// The policy isn't the expected one.
    ReportPolicy,
    /// Another image was launched.
    ReportMeasurement,
    /// The image isn't signed by the expected ID key.
    ReportIdKey,
    /// The ID key isn't signed by the expected author's key.
    ReportAuthorKey,
    /// The image is of another family.
    ReportFamily,
    /// The image has another ID.
    ReportImage,
    /// The image's security version is too old.
    ReportSvn,
    /// The platform's firmware is too old.
    ReportTcb,
    /// The report is from another chip than the expected one.
    ReportChip,
    /// The report isn't about this nonce and this manifest.
    ReportData,

    /// The manifest isn't of its format.
    ManifestMalformed,
    /// The manifest has a version that isn't known here.
    ManifestVersion,
    /// No vTPM is among the services.
    ManifestService,
    /// The manifest has no endorsement key of the kind that was used.
    ManifestKey,
    /// The endorsement key can't be one of a vTPM's.
    EkMalformed,
    /// The endorsement key could be used for something else.
    EkAttributes,
    /// The endorsement key has no certificate, and must have one.
    EkCertificateMissing,
    /// The endorsement key's certificate isn't X.509 in DER.
    EkCertificateMalformed,
    /// The endorsement key's certificate isn't the issuer's.
    EkCertificateSignature,
    /// The endorsement key's certificate or its issuer's isn't valid yet, or no more.
    EkCertificateValidity,
    /// The endorsement key's certificate is for another purpose.
    EkCertificatePurpose,
    /// The certificate is another endorsement key's.
    EkCertificateKey,

    /// The state of the vTPM is lost at every start, and must not be.
    StateEphemeral,
    /// The state is older than one that was seen before.
    StateRolledBack,
    /// The state has the place of one that was seen before, and isn't that one.
    StateForked,
    /// The state's key is for others than those who may get it.
    StateBinding,

    /// The event log isn't of its format.
    EventLogMalformed,
    /// The event log isn't the one that the manifest names.
    EventLogDigest,
    /// An event's digest isn't that of its data.
    EventDigest,
    /// The event log lacks the quoted bank.
    EventBank,
    /// What was measured isn't what the image says may be started.
    EventPayload,

    /// The attestation key's public area can't be read, or its kind isn't supported.
    AkMalformed,
    /// The attestation key could sign something that isn't from the TPM, or live elsewhere.
    AkAttributes,
    /// No credential was activated: nothing ties the attestation key to the endorsement key.
    ActivationMissing,
    /// Another secret came back.
    ActivationSecret,

    /// The quote's structure can't be read.
    QuoteMalformed,
    /// What is signed isn't from a TPM, or isn't a quote.
    QuoteKind,
    /// The quote isn't signed by the attestation key.
    QuoteSignature,
    /// The quote isn't about this nonce.
    QuoteNonce,
    /// A PCR that must be quoted isn't, or one is that the log can't explain.
    QuoteSelection,
    /// The quoted PCRs aren't those that the event log leads to.
    QuotePcrs,
    /// The PCR values that were sent along aren't those that the event log leads to.
    PcrValues,
    /// The quote is of another firmware than the manifest's.
    QuoteFirmware,
}

impl Reason {
    /// The name that programs see.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }
}

/// A check that failed: why, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub reason: Reason,
    /// What was found and what was expected.
    pub detail: String,
}

impl Refused {
    /// A refusal.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason.name(), self.detail)
    }
}

impl std::error::Error for Refused {}

/// What came out of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed; with the evidence.
    Passed(String),
    /// It failed.
    Failed(Refused),
    /// It couldn't be made, since one that it builds on failed.
    NotReached,
    /// It wasn't asked for, or the evidence can't have it; with the reason.
    NotAsked(String),
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was checked.
    pub check: &'static str,
    /// What came out.
    pub outcome: Outcome,
}

/// All checks, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    lines: Vec<Line>,
}

impl Verdict {
    /// The verdict on what isn't evidence at all.
    #[must_use]
    pub fn malformed(refused: Option<Refused>) -> Self {
        let mut verdict = Self::default();
        if let Some(refused) = refused {
            verdict.require("evidence", Err(refused));
        }
        verdict
    }

    /// Notes a check that gives a value and its evidence; the value, if it passed.
    pub(crate) fn check<T>(
        &mut self,
        check: &'static str,
        result: Result<(T, String), Refused>,
    ) -> Option<T> {
        let (outcome, value) = match result {
            Ok((value, evidence)) => (Outcome::Passed(evidence), Some(value)),
            Err(refused) => (Outcome::Failed(refused), None),
        };
        self.lines.push(Line { check, outcome });
        value
    }

    /// Notes a check that gives only its evidence.
    pub(crate) fn require(&mut self, check: &'static str, result: Result<String, Refused>) {
        self.check(check, result.map(|evidence| ((), evidence)));
    }

    /// Notes checks that can't be made.
    pub(crate) fn not_reached(&mut self, checks: &[&'static str]) {
        self.lines.extend(checks.iter().map(|check| Line { check, outcome: Outcome::NotReached }));
    }

    /// Notes a check that wasn't asked for.
    pub(crate) fn not_asked(&mut self, check: &'static str, why: impl Into<String>) {
        self.lines.push(Line { check, outcome: Outcome::NotAsked(why.into()) });
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether every check that was asked for was made and passed.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        !self.lines.is_empty()
            && self
                .lines
                .iter()
                .all(|line| matches!(line.outcome, Outcome::Passed(_) | Outcome::NotAsked(_)))
    }

    /// Why the evidence is refused: every failed check, in order.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        self.lines
            .iter()
            .filter_map(|line| match &line.outcome {
                Outcome::Failed(refused) => Some(refused.reason),
                _ => None,
            })
            .collect()
    }

    /// As JSON: `{"accepted", "reasons", "checks": [{"check", "result", "evidence", "reason"}]}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let checks: Vec<Value> = self.lines.iter().map(line_json).collect();
        let reasons: Vec<String> = self.reasons().into_iter().map(Reason::name).collect();
        json!({ "accepted": self.is_accepted(), "reasons": reasons, "checks": checks })
    }
}

fn line_json(line: &Line) -> Value {
    let check = line.check;
    match &line.outcome {
        Outcome::Passed(evidence) => {
            json!({ "check": check, "result": "passed", "evidence": evidence })
        }
        Outcome::Failed(Refused { reason, detail }) => json!({
            "check": check, "result": "failed", "reason": reason.name(), "evidence": detail,
        }),
        Outcome::NotReached => json!({ "check": check, "result": "not reached" }),
        Outcome::NotAsked(why) => {
            json!({ "check": check, "result": "not asked", "evidence": why })
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(evidence) => formatter.write_str(evidence),
            Self::Failed(refused) => write!(formatter, "{refused}"),
            Self::NotReached => formatter.write_str("not reached"),
            Self::NotAsked(why) => formatter.write_str(why),
        }
    }
}

/// Names in certificates and files are whoever's who made them, believed or not: on a terminal they
/// must not look like lines of a verdict.
fn printable(text: &str) -> String {
    let is_plain = |character: char| {
        !character.is_control()
            && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            && !matches!(character, '\u{2066}'..='\u{2069}')
    };
    let mut plain = String::new();
    for character in text.chars() {
        if is_plain(character) {
            plain.push(character);
        } else {
            plain.extend(character.escape_default());
        }
    }
    plain
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Line { check, outcome } in &self.lines {
            let mark = match outcome {
                Outcome::Passed(_) => "ok",
                Outcome::Failed(_) => "FAILED",
                Outcome::NotReached | Outcome::NotAsked(_) => "-",
            };
            writeln!(formatter, "{mark:<7} {check:<18} {}", printable(&outcome.to_string()))?;
        }
        if self.is_accepted() {
            return writeln!(formatter, "accepted");
        }
        let reasons: Vec<String> = self.reasons().into_iter().map(Reason::name).collect();
        writeln!(formatter, "refused: {}", reasons.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_checked_is_nothing_accepted() {
        let mut verdict = Verdict::default();
        assert!(!verdict.is_accepted());
        verdict.require("one", Ok("fine".to_owned()));
        assert!(verdict.is_accepted());
        verdict.not_asked("two", "nobody asked");
        assert!(verdict.is_accepted());
        verdict.not_reached(&["three"]);
        assert!(!verdict.is_accepted(), "what wasn't reached didn't pass");
    }

    #[test]
    fn what_others_wrote_stays_on_its_line() {
        let mut verdict = Verdict::default();
        let name = "name\naccepted\u{1b}[2K\u{202e}é".to_owned();
        verdict.require("chain", Ok(name.clone()));
        verdict.require("root", Err(Refused::new(Reason::RootUntrusted, name)));
        let text = verdict.to_string();
        let escaped = r"name\naccepted\u{1b}[2K\u{202e}é";
        let expected = format!(
            "ok      chain              {escaped}\n\
             FAILED  root               RootUntrusted: {escaped}\nrefused: RootUntrusted\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn one_failure_refuses_and_is_named() {
        let mut verdict = Verdict::default();
        verdict.require("level", Err(Refused::new(Reason::ReportVmpl, "VMPL2")));
        verdict.require("policy", Ok("0x30000".to_owned()));
        assert!(!verdict.is_accepted());
        assert_eq!(verdict.reasons(), [Reason::ReportVmpl]);
        assert!(verdict.to_string().contains("FAILED  level              ReportVmpl: VMPL2"));
        let json = verdict.to_json();
        assert_eq!(json["accepted"], false);
        assert_eq!(json["checks"][0]["reason"], "ReportVmpl");
    }
}
