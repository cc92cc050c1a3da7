// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be done to the vTPM's part: manifest, keys, event log, quote.

use attest_agent::{EkKind, keys::Selection};
use snp_abi::{Vmpl, launch::GuestPolicy, manifest::State, measurement::Subject};

use super::{ROOT, Tampering, flip};
use crate::{
    manifest::FreshnessRoot,
    tests::fixture::{Case, Engine, IMAGE, events, file_event, launch, log_of, manifest, services},
    verdict::Reason::*,
};

const SHA256: u16 = 0x000b;

fn quoted(registers: u32) -> Selection {
    Selection { bank: SHA256, registers }
}

pub(super) const MANIFEST: &[Tampering] = &[
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
pub(super) fn persist(case: &mut Case, root: FreshnessRoot) {
    let keys = [case.evidence.ek_public.clone()];
    case.vouch_for(manifest(&keys, State::Persistent(root), &case.evidence.event_log));
    case.reference.last_seen = Some(ROOT);
}

pub(super) const KEYS: &[Tampering] = &[
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
    ("a key that hashes with SHA-1", AkMalformed, |case| case.evidence.ak_public[15] = 4),
    ("a key whose Name is of SHA-1", AkMalformed, |case| case.evidence.ak_public[3] = 4),
    ("a key that may get another parent", AkAttributes, |case| {
        case.evidence.ak_public[7] ^= 0x10;
    }),
    ("a key that came after the credential", ActivationSecret, |case| {
        let activation = case.activation.clone();
        let message = case.evidence.quote.clone();
        case.sign_as_quote(&message);
        case.activation = activation;
    }),
    ("an endorsement key that came after the credential", ActivationSecret, |case| {
        let other = Engine::new(2).public_of(EkKind::P256);
        case.evidence.ek_public = other.clone();
        case.vouch_for(manifest(&[other], State::Ephemeral, &case.evidence.event_log));
    }),
    ("a credential for another nonce", ActivationSecret, |case| {
        flip(&mut case.nonce, 0);
        case.report_again(&launch(GuestPolicy::DEFAULT, IMAGE), Vmpl::Vmpl0);
    }),
    ("a quote by another key", QuoteSignature, |case| {
        let quote = (case.evidence.quote.clone(), case.evidence.signature.clone());
        case.sign_as_quote(b"something");
        (case.evidence.quote, case.evidence.signature) = quote;
    }),
];

pub(super) const LOG: &[Tampering] = &[
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
    ("a kernel of the host's choice", EventPayload, |case| {
        case.reference.payload.as_mut().expect("an image").config.kernel = None;
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

pub(super) const QUOTE: &[Tampering] = &[
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
    ("a signature of SHA-1", QuoteSignature, |case| case.evidence.signature[3] = 4),
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
    ("a quote of another bank alone", QuoteSelection, |case| {
        let mut message = case.evidence.quote.clone();
        // TPMS_PCR_SELECTION's hash, in front of the digest: SHA-1.
        let place = message.len() - 34 - 6;
        message[place + 1] = 4;
        case.sign_as_quote(&message);
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
