// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that can be done to evidence, and the reason for which each is refused.

use std::collections::BTreeSet;

use attest_agent::keys::Selection;
use snp_abi::{
    Vmpl, certificates::TableEntry, launch::GuestPolicy, manifest::State, measurement::Subject,
};

use super::endorsement::TAMPERINGS as CERTIFICATE;
use super::fixture::{
    Case, IMAGE, chain_key, events, file_event, launch, log_of, manifest, reissue, services,
};
use crate::{
    Reason::{self, *},
    manifest::FreshnessRoot,
    tcb::Tcb,
};

pub(super) const ARK: &str = "Macadamia-SVSM test ARK";
const ASK: &str = "Macadamia-SVSM test ASK";
const SHA256: u16 = 0x000b;
const ROOT: FreshnessRoot = FreshnessRoot { epoch: 4, sequence: 40, digest: [0xaa; 32] };

/// What is done, the reason that must come first, and how it is done.
pub(super) type Tampering = (&'static str, Reason, fn(&mut Case));

#[test]
fn every_tampering_is_refused_with_its_reason() {
    let mut count = 0;
    let tables = [CHAIN, REPORT, LAUNCH, MANIFEST, CERTIFICATE, KEYS, LOG, QUOTE];
    for (name, expected, tamper) in tables.concat() {
        let mut case = Case::good();
        tamper(&mut case);
        let verdict = case.verdict();
        assert!(!verdict.is_accepted(), "{name}: accepted\n{verdict}");
        assert_eq!(verdict.reasons().first(), Some(&expected), "{name}\n{verdict}");
        count += 1;
    }
    assert!(count >= 40, "{count}");
}

/// No reason is there that nothing leads to. Files that aren't evidence have tests of their own.
#[test]
fn every_reason_is_reached() {
    let tables = [CHAIN, REPORT, LAUNCH, MANIFEST, CERTIFICATE, KEYS, LOG, QUOTE];
    let mut reached: BTreeSet<Reason> =
        tables.concat().iter().map(|(_, reason, _)| *reason).collect();
    reached.insert(EvidenceMalformed);
    let last = QuoteFirmware as usize;
    assert_eq!(reached.len(), last + 1, "{reached:?}");
}

/// No single byte of a signed report can change.
#[test]
fn every_byte_of_the_report_counts() {
    let good = Case::good();
    for place in (0..good.evidence.report.len()).step_by(7) {
        let mut case = good.clone();
        case.evidence.report[place] ^= 0x80;
        assert!(!case.verdict().is_accepted(), "{place:#x}");
    }
}

pub(super) fn flip(bytes: &mut [u8], place: usize) {
    bytes[place] ^= 1;
}

/// Flips a bit behind the first occurrence of a pattern.
fn flip_in(bytes: &mut [u8], pattern: &[u8]) {
    let place = bytes.windows(pattern.len()).position(|window| window == pattern);
    flip(bytes, place.expect("it is there"));
}

fn quoted(registers: u32) -> Selection {
    Selection { bank: SHA256, registers }
}

const CHAIN: &[Tampering] = &[
    ("no certificates", CertificateMissing, |case| case.evidence.certificates.clear()),
    ("a table without an end", CertificatesMalformed, |case| {
        case.evidence.certificates.truncate(24);
        case.evidence.certificates[0] ^= 1;
    }),
    ("a certificate outside the table", CertificatesMalformed, |case| {
        case.evidence.certificates[16..20].fill(0xff);
    }),
    ("no ARK", CertificateMissing, |case| {
        let size = size_of::<TableEntry>();
        case.evidence.certificates[2 * size..3 * size].fill(0);
    }),
    ("a cut ARK", CertificateMalformed, |case| {
        case.chain_mut().ark.pop();
    }),
    ("an ASK that is none", CertificateMalformed, |case| case.chain_mut().ask = vec![0x30, 0]),
    ("a VCEK with bytes behind it", CertificateMalformed, |case| case.chain_mut().vcek.push(0)),
    ("a VCEK with a point that isn't on the curve", CertificateMalformed, |case| {
        let chain = case.chain_mut();
        let place = chain.vcek.windows(4).position(|window| window == [3, 0x62, 0, 4]);
        flip(&mut chain.vcek, place.expect("a key") + 50);
    }),
    ("the test root without being asked for", RootIsForTests, |case| {
        case.reference.roots.test_root = false;
    }),
    ("another root", RootUntrusted, |case| {
        let chain = case.chain_mut();
        let key = |label| {
            let key = p384::ecdsa::VerifyingKey::from(&chain_key(label));
            key.to_sec1_point(false).as_bytes().to_vec()
        };
        chain.ark = reissue(&chain.ark, &chain_key("forger"), &key(ARK), &key("forger"));
    }),
    ("a root that doesn't sign itself", RootSignature, |case| {
        flip_in(&mut case.chain_mut().ark, b"2001010000");
    }),
    ("an ASK that was changed", AskSignature, |case| {
        flip_in(&mut case.chain_mut().ask, b"2001010000");
    }),
    ("an ASK that the chip signed", AskSignature, |case| {
        let chain = case.chain_mut();
        let key = chain_key("Macadamia-SVSM test VCEK");
        chain.ask = reissue(&chain.ask, &key, b"200101", b"200102");
    }),
    ("a VCEK that was changed", VcekSignature, |case| {
        flip_in(&mut case.chain_mut().vcek, b"Macadamia-TEST");
    }),
    ("a VCEK that the root signed", VcekSignature, |case| {
        let chain = case.chain_mut();
        chain.vcek = reissue(&chain.vcek, &chain_key(ARK), b"TEST", b"Test");
    }),
    ("an ASK of another issuer", ChainName, |case| {
        let chain = case.chain_mut();
        chain.ask = reissue(&chain.ask, &chain_key(ARK), b"test ARK", b"fake ARK");
    }),
    ("an ASK that is no authority", ChainAuthority, |case| {
        let chain = case.chain_mut();
        let constraints = [0x30, 3, 1, 1, 0xff];
        chain.ask = reissue(&chain.ask, &chain_key(ARK), &constraints, &[0x30, 3, 1, 1, 0]);
    }),
    ("before the chain is valid", ChainValidity, |case| case.reference.time_s = 1_500_000_000),
    ("a VCEK without a version", VcekExtension, |case| {
        let chain = case.chain_mut();
        let oid = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 3];
        let other = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 4];
        chain.vcek = reissue(&chain.vcek, &chain_key(ASK), &oid, &other);
    }),
    ("a VCEK for other firmware", VcekTcb, |case| {
        let chain = case.chain_mut();
        let tcb = [1, 3, 3, 4, 3, 2, 1, 24];
        chain.vcek = reissue(&chain.vcek, &chain_key(ASK), &tcb, &[1, 3, 3, 4, 3, 2, 1, 23]);
    }),
    ("a VCEK of another chip", VcekChip, |case| {
        let id = case.evidence.report[0x1a0..0x1e0].to_vec();
        let chain = case.chain_mut();
        chain.vcek = reissue(&chain.vcek, &chain_key(ASK), &id, &[0x11; 64]);
    }),
];

const REPORT: &[Tampering] = &[
    ("a cut report", ReportMalformed, |case| {
        case.evidence.report.pop();
    }),
    ("a report with bytes behind it", ReportMalformed, |case| case.evidence.report.push(0)),
    ("an unknown version", ReportMalformed, |case| case.evidence.report[0] = 9),
    ("another algorithm", ReportMalformed, |case| case.evidence.report[0x34] = 2),
    ("a policy that can't be", ReportMalformed, |case| case.evidence.report[0x0a] = 0),
    ("a VMPL that can't be", ReportMalformed, |case| case.evidence.report[0x30] = 4),
    ("a scalar that is too long", ReportMalformed, |case| flip(&mut case.evidence.report, 0x2d0)),
    ("a loaded key's report", ReportSigner, |case| case.evidence.report[0x48] |= 1 << 2),
    ("an unsigned report", ReportSigner, |case| case.evidence.report[0x48] |= 7 << 2),
    ("a masked chip", ReportSigner, |case| case.evidence.report[0x48] |= 1 << 1),
    ("another SVN", ReportSignature, |case| flip(&mut case.evidence.report, 0x04)),
    ("another policy", ReportSignature, |case| flip(&mut case.evidence.report, 0x08)),
    ("another family", ReportSignature, |case| flip(&mut case.evidence.report, 0x10)),
    ("another image ID", ReportSignature, |case| flip(&mut case.evidence.report, 0x20)),
    ("another VMPL", ReportSignature, |case| flip(&mut case.evidence.report, 0x30)),
    ("another current TCB", ReportSignature, |case| flip(&mut case.evidence.report, 0x38)),
    ("another platform", ReportSignature, |case| flip(&mut case.evidence.report, 0x40)),
    ("another author flag", ReportSignature, |case| flip(&mut case.evidence.report, 0x48)),
    ("other data", ReportSignature, |case| flip(&mut case.evidence.report, 0x50)),
    ("another measurement", ReportSignature, |case| flip(&mut case.evidence.report, 0x90)),
    ("other host data", ReportSignature, |case| flip(&mut case.evidence.report, 0xc0)),
    ("another ID key", ReportSignature, |case| flip(&mut case.evidence.report, 0xe0)),
    ("another author key", ReportSignature, |case| flip(&mut case.evidence.report, 0x110)),
    ("another report ID", ReportSignature, |case| flip(&mut case.evidence.report, 0x140)),
    ("another agent's report ID", ReportSignature, |case| flip(&mut case.evidence.report, 0x160)),
    ("another reported TCB", ReportSignature, |case| flip(&mut case.evidence.report, 0x180)),
    ("another processor", ReportSignature, |case| flip(&mut case.evidence.report, 0x188)),
    ("another chip", ReportSignature, |case| flip(&mut case.evidence.report, 0x1a0)),
    ("another committed TCB", ReportSignature, |case| flip(&mut case.evidence.report, 0x1e0)),
    ("another firmware", ReportSignature, |case| flip(&mut case.evidence.report, 0x1e8)),
    ("another TCB at launch", ReportSignature, |case| flip(&mut case.evidence.report, 0x1f0)),
    ("another reserved byte", ReportSignature, |case| flip(&mut case.evidence.report, 0x29f)),
    ("another r", ReportSignature, |case| flip(&mut case.evidence.report, 0x2a0)),
    ("another s", ReportSignature, |case| flip(&mut case.evidence.report, 0x2e8)),
    ("a signature of zeros", ReportSignature, |case| case.evidence.report[0x2a0..].fill(0)),
];

const LAUNCH: &[Tampering] = &[
    ("a report about VMPL2", ReportVmpl, |case| {
        case.report_again(&launch(GuestPolicy::DEFAULT, IMAGE), Vmpl::Vmpl2);
    }),
    ("a report about VMPL2 offered as VMPL0", ReportSignature, |case| {
        case.report_again(&launch(GuestPolicy::DEFAULT, IMAGE), Vmpl::Vmpl2);
        case.evidence.report[0x30] = 0;
    }),
    ("a guest that may be debugged", ReportDebug, |case| {
        let policy = GuestPolicy::DEFAULT | GuestPolicy::DEBUG;
        case.report_again(&launch(policy, IMAGE), Vmpl::Vmpl0);
    }),
    ("a guest that may be moved", ReportMigration, |case| {
        let policy = GuestPolicy::DEFAULT | GuestPolicy::MIGRATION_AGENT;
        case.report_again(&launch(policy, IMAGE), Vmpl::Vmpl0);
    }),
    ("a guest under another policy", ReportPolicy, |case| {
        case.report_again(&launch(GuestPolicy::RESERVED_ONE, IMAGE), Vmpl::Vmpl0);
    }),
    ("another image", ReportMeasurement, |case| {
        case.report_again(&launch(GuestPolicy::DEFAULT, [0x78; 48]), Vmpl::Vmpl0);
    }),
    ("no image expected", ReportMeasurement, |case| case.reference.launch_digest = None),
    ("an image that isn't signed", ReportIdKey, |case| {
        case.reference.id_key_digest = Some([1; 48]);
    }),
    ("an ID key that isn't signed", ReportAuthorKey, |case| {
        case.reference.author_key_digest = Some([1; 48]);
    }),
    ("an image of another family", ReportFamily, |case| {
        case.reference.family_id = Some([1; 16]);
    }),
    ("an image of another ID", ReportImage, |case| case.reference.image_id = Some([1; 16])),
    ("an image that is too old", ReportSvn, |case| case.reference.minimum_svn = 1),
    ("firmware that is too old", ReportTcb, |case| {
        case.reference.minimum_tcb = Tcb::parse("4.0.25.0");
    }),
    ("another chip than the expected", ReportChip, |case| {
        case.reference.chip_id = Some([1; 64]);
    }),
    ("an answer to an older nonce", ReportData, |case| flip(&mut case.nonce, 63)),
];

const MANIFEST: &[Tampering] = &[
    ("a changed manifest", ReportData, |case| {
        let last = case.evidence.manifest.len() - 1;
        flip(&mut case.evidence.manifest, last);
    }),
    ("a manifest with bytes behind it", ReportData, |case| case.evidence.manifest.push(0)),
    ("an unknown version", ManifestVersion, |case| case.evidence.manifest_version = 2),
    ("a version that isn't the manifest's", EkMalformed, |case| {
        case.evidence.manifest_version = 0;
    }),
    ("a manifest that is none", ManifestMalformed, |case| {
        let mut manifest = case.evidence.manifest.clone();
        manifest.truncate(40);
        case.vouch_for(manifest);
    }),
    ("services without a vTPM", ManifestService, |case| {
        let mut manifest = services(&case.evidence.ek_public);
        flip(&mut manifest, 24);
        case.evidence.manifest_version = 0;
        case.vouch_for(manifest);
    }),
    ("another endorsement key", ManifestKey, |case| {
        let last = case.evidence.ek_public.len() - 1;
        flip(&mut case.evidence.ek_public, last);
    }),
    ("an endorsement key that also signs", EkAttributes, |case| {
        // sign, in the third byte of the attributes.
        case.evidence.ek_public[5] |= 4;
        let keys = [case.evidence.ek_public.clone()];
        case.vouch_for(manifest(&keys, State::Ephemeral, &case.evidence.event_log));
    }),
    ("a state that is lost", StateEphemeral, |case| case.reference.persistent_state = true),
    ("no state where one was seen", StateEphemeral, |case| {
        case.reference.last_seen = Some(ROOT);
    }),
    ("an older sequence", StateRolledBack, |case| {
        persist(case, FreshnessRoot { sequence: 39, ..ROOT });
    }),
    ("an older epoch", StateRolledBack, |case| {
        persist(case, FreshnessRoot { epoch: 3, sequence: 50, ..ROOT });
    }),
    ("another history", StateForked, |case| {
        persist(case, FreshnessRoot { digest: [0xab; 32], ..ROOT });
    }),
];

/// A vTPM whose state is at this place, and one that was seen at [`ROOT`].
fn persist(case: &mut Case, root: FreshnessRoot) {
    let keys = [case.evidence.ek_public.clone()];
    case.vouch_for(manifest(&keys, State::Persistent(root), &case.evidence.event_log));
    case.reference.last_seen = Some(ROOT);
}

const KEYS: &[Tampering] = &[
    ("an attestation key that is none", AkMalformed, |case| {
        case.evidence.ak_public.pop();
    }),
    ("a key without restrictions", AkAttributes, |case| case.evidence.ak_public[5] ^= 1),
    ("a key that decrypts", AkAttributes, |case| case.evidence.ak_public[5] |= 2),
    ("a key from outside", AkAttributes, |case| case.evidence.ak_public[7] ^= 0x20),
    ("a key that may leave", AkAttributes, |case| case.evidence.ak_public[7] ^= 0x02),
    ("no credential", ActivationMissing, |case| case.activation = None),
    ("a credential that wasn't opened", ActivationMissing, |case| {
        case.activation.as_mut().expect("one").returned.clear();
    }),
    ("another secret", ActivationSecret, |case| {
        flip(&mut case.activation.as_mut().expect("one").returned, 0);
    }),
    ("a shorter secret", ActivationSecret, |case| {
        case.activation.as_mut().expect("one").returned.pop();
    }),
    ("a swapped attestation key", QuoteSignature, |case| {
        let quote = (case.evidence.quote.clone(), case.evidence.signature.clone());
        case.sign_as_quote(b"something");
        (case.evidence.quote, case.evidence.signature) = quote;
    }),
];

const LOG: &[Tampering] = &[
    ("a cut log", EventLogDigest, |case| {
        case.evidence.event_log.pop();
    }),
    ("another event", EventLogDigest, |case| {
        let last = case.evidence.event_log.len() - 1;
        flip(&mut case.evidence.event_log, last);
    }),
    ("a log that is none", EventLogMalformed, |case| {
        let mut log = case.evidence.event_log.clone();
        log.pop();
        case.vouch_for_log(log);
    }),
    ("an event with another digest", EventDigest, |case| {
        let mut log = case.evidence.event_log.clone();
        let last = log.len() - 1;
        flip(&mut log, last);
        case.vouch_for_log(log);
    }),
    ("another kernel", EventPayload, |case| {
        let mut events = events();
        events[10] = file_event(Subject::Kernel, 1, &[9; 48]);
        case.vouch_for_log(log_of(&events));
    }),
    ("no initrd", EventPayload, |case| {
        let mut events = events();
        events.pop();
        case.vouch_for_log(log_of(&events));
    }),
    ("two command lines", EventPayload, |case| {
        let mut events = events();
        events.push(file_event(Subject::CommandLine, 3, &[3; 48]));
        case.vouch_for_log(log_of(&events));
    }),
    ("another configuration", EventPayload, |case| {
        let mut events = events();
        events[1] = file_event(Subject::LaunchConfig, 4096, &[9; 48]);
        case.vouch_for_log(log_of(&events));
    }),
    ("an event too many", PcrValues, |case| {
        let mut events = events();
        events.push((2, 6, b"more".to_vec()));
        case.vouch_for_log(log_of(&events));
    }),
    ("events in another order", PcrValues, |case| {
        let mut events = events();
        events.swap(11, 12);
        case.vouch_for_log(log_of(&events));
    }),
];

const QUOTE: &[Tampering] = &[
    ("a changed quote", QuoteSignature, |case| {
        let last = case.evidence.quote.len() - 1;
        flip(&mut case.evidence.quote, last);
    }),
    ("a changed signature", QuoteSignature, |case| {
        let last = case.evidence.signature.len() - 1;
        flip(&mut case.evidence.signature, last);
    }),
    ("a signature of another algorithm", QuoteSignature, |case| {
        case.evidence.signature[1] = 0x14;
    }),
    ("a signature with bytes behind it", QuoteSignature, |case| case.evidence.signature.push(0)),
    ("something else from a TPM", QuoteKind, |case| {
        let mut message = case.evidence.quote.clone();
        message[5] = 0x17;
        case.sign_as_quote(&message);
    }),
    ("something that isn't from a TPM", QuoteKind, |case| {
        let mut message = case.evidence.quote.clone();
        message[0] = 0;
        case.sign_as_quote(&message);
    }),
    ("a cut quote", QuoteMalformed, |case| {
        let mut message = case.evidence.quote.clone();
        message.pop();
        case.sign_as_quote(&message);
    }),
    ("a quote for another nonce", QuoteNonce, |case| {
        case.quote_again(&events(), &[1; 64], quoted(0x3ff));
    }),
    ("a quote without PCR 4", QuoteSelection, |case| {
        let nonce = case.nonce;
        case.quote_again(&events(), &nonce, quoted(0x3ef));
    }),
    ("a quote of a register that can be reset", QuoteSelection, |case| {
        let nonce = case.nonce;
        case.quote_again(&events(), &nonce, quoted(0x1_03ff));
    }),
    ("a quote of a bank that the log lacks", EventBank, |case| {
        let mut message = case.evidence.quote.clone();
        let place = message.len() - 34 - 10;
        // One more selection: SHA-512 without a register.
        message[place + 3] = 2;
        let end = message.len() - 34;
        message.splice(end..end, [0, 0x0d, 3, 0, 0, 0]);
        case.sign_as_quote(&message);
    }),
    ("other measurements", QuotePcrs, |case| {
        let nonce = case.nonce;
        let mut other = events();
        other.push((2, 6, b"more".to_vec()));
        case.quote_again(&other, &nonce, quoted(0x3ff));
    }),
    ("another register's value", PcrValues, |case| {
        let bank = case.evidence.pcrs.values_mut().next().expect("a bank");
        flip(bank.get_mut(&9).expect("a register"), 0);
    }),
    ("another firmware", QuoteFirmware, |case| {
        let mut manifest = case.evidence.manifest.clone();
        let version = 0x0001_0002_0000_0003_u64.to_le_bytes();
        let place = manifest.windows(8).position(|window| window == version).expect("it");
        flip(&mut manifest, place);
        case.vouch_for(manifest);
    }),
];

/// What was seen before is no reason to refuse what comes later.
#[test]
fn a_state_that_moved_on_is_accepted() {
    for root in [
        ROOT,
        FreshnessRoot { sequence: 41, digest: [1; 32], ..ROOT },
        FreshnessRoot { epoch: 5, sequence: 41, digest: [1; 32] },
    ] {
        let mut case = Case::good();
        persist(&mut case, root);
        let verdict = case.verdict();
        assert!(verdict.is_accepted(), "{verdict}");
    }
}
