// SPDX-License-Identifier: MIT OR Apache-2.0
//! Complete evidence without a machine: the software secure processor signs reports, the TPM engine
//! quotes, the guest's own agent collects.

use std::{io, sync::OnceLock};

use attest_agent::{
    EkKind, Tpm as Transport,
    command::{Command, PASSWORD},
    evidence::{Request, activate, collect},
    kernel::{Report, Reports, Service},
    keys::{EndorsementKey, Selection},
};
use emulator::SoftwarePsp;
use p384::ecdsa::{SigningKey, signature::hazmat::PrehashSigner};
use rand_core::{TryCryptoRng, TryRng, UnwrapErr};
use sha2::{Digest as _, Sha384, Sha512};
use snp_abi::{
    Vmpl,
    config::{Arguments, Console, LaunchConfig, LaunchFlags, PayloadDigest},
    launch::{Digest, GuestPolicy},
    manifest::{Firmware, Manifest, State, VtpmOptions},
    measurement::Subject,
};
use tpm::{
    Tpm,
    crypto::{drbg::CtrDrbg, rsa::Portable},
    platform::{Keys, NoStorage, Platform, PlatformFault, PrimeSearch, Storage, Vendor},
};
use zerocopy::IntoBytes;

use crate::{
    Evidence, Reference,
    chain::{Chain, Roots},
    credential::Credential,
    reference::Payload,
    report::Nonce,
    verdict::Verdict,
    verify::{Activation, Question, verify, verify_platform},
};

use super::log::log;

pub(super) const NONCE: Nonce = [0x6e; 64];
pub(crate) const IMAGE: Digest = [0x77; 48];
/// Some day in 2026.
pub(crate) const TIME_S: u64 = 1_790_000_000;
const FIRMWARE_VERSION: u64 = 0x0001_0002_0000_0003;
const SECRET: [u8; 32] = [0x5e; 32];

/// The engine, as the agent reaches it.
pub(super) struct Engine {
    tpm: Box<Tpm>,
    platform: HostPlatform,
}

struct HostPlatform {
    count: u8,
    storage: NoStorage,
    keys: PrimeSearch,
}

impl Platform for HostPlatform {
    fn entropy(&mut self, bytes: &mut [u8]) -> Result<(), PlatformFault> {
        for chunk in bytes.chunks_mut(48) {
            self.count = self.count.wrapping_add(1);
            let digest = Sha384::digest([self.count]);
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
        Ok(())
    }

    fn uptime_ms(&mut self) -> u64 {
        1
    }

    fn physical_presence(&mut self) -> bool {
        false
    }

    fn storage(&mut self) -> &mut dyn Storage {
        &mut self.storage
    }

    fn keys(&mut self) -> &mut dyn Keys {
        &mut self.keys
    }

    fn vendor(&self) -> Vendor {
        Vendor {
            manufacturer: *b"MCDM",
            string: *b"Macadamia\0\0\0\0\0\0\0",
            tpm_type: 1,
            firmware_version: FIRMWARE_VERSION,
            command_size_max: usize::MAX,
            response_size_max: usize::MAX,
        }
    }
}

impl Transport for Engine {
    fn transmit(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        let mut response = vec![0; 4096];
        let length = self.tpm.execute(&mut self.platform, 0, command, &mut response);
        response.truncate(length);
        Ok(response)
    }
}

impl Engine {
    /// A TPM that is started; `seed` tells it from others.
    pub(super) fn new(seed: u8) -> Self {
        let keys = PrimeSearch::new(&Portable, CtrDrbg::from_seed(&[seed; 48]));
        let platform = HostPlatform { count: seed, storage: NoStorage, keys };
        let mut engine = Self { tpm: Box::new(Tpm::new()), platform };
        engine.tpm.power_on(&mut engine.platform);
        let startup = Command::new("TPM2_Startup", 0x144).bytes(&[0, 0]);
        startup.send(&mut engine).expect("it starts");
        engine
    }

    /// Measures as the SVSM does.
    pub(super) fn measure(&mut self, events: &[(u32, u32, Vec<u8>)]) {
        for (pcr, _, data) in events {
            let event = Command::new("TPM2_PCR_Event", 0x13c).authorised(*pcr, PASSWORD);
            event.sized(data).send(self).expect("it measures");
        }
    }

    pub(super) fn public_of(&mut self, kind: EkKind) -> Vec<u8> {
        let key = EndorsementKey::create(self, kind).expect("a key");
        let public = key.public.clone();
        key.flush(self).expect("it goes");
        public
    }
}

/// The SVSM's part: a manifest, and reports that vouch for it.
pub(super) struct Svsm {
    pub(super) psp: SoftwarePsp,
    pub(super) manifest: Vec<u8>,
}

impl Svsm {
    pub(super) fn report_data(nonce: &Nonce, manifest: &[u8]) -> [u8; 64] {
        Sha512::new().chain_update(nonce).chain_update(manifest).finalize().into()
    }
}

impl Reports for Svsm {
    fn report(&mut self, nonce: &Nonce, _service: Service) -> io::Result<Report> {
        let data = Self::report_data(nonce, &self.manifest);
        Ok(Report {
            report: self.psp.report(Vmpl::Vmpl0, data).expect("a report").to_vec(),
            certificates: self.psp.certificates().expect("a table").to_vec(),
            manifest: self.manifest.clone(),
        })
    }
}

/// Counts: nothing here is secret.
struct Counter(u64);

impl TryRng for Counter {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes([1; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.0 += 1;
        bytes.fill(u8::try_from(self.0 & 0x7f).unwrap_or(1));
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

/// The launch configuration of the image.
pub(super) fn config() -> LaunchConfig {
    let file = |length, byte| Some(PayloadDigest { length, digest: [byte; 48] });
    LaunchConfig {
        flags: LaunchFlags::empty(),
        region_base: 0x0400_0000,
        region_size: 0x0100_0000,
        image_start: 0x0401_0000,
        image_end: 0x0410_0000,
        guest_policy: GuestPolicy::DEFAULT,
        console: Console::None,
        guest_vmpl: Vmpl::Vmpl2,
        kernel: file(1, 1),
        initrd: file(2, 2),
        cmdline: file(3, 3),
        arguments: Arguments::new("").expect("short"),
        state_owner: None,
    }
}

pub(super) fn payload() -> Payload {
    let config = config();
    let page = config.to_page();
    Payload { page_digest: Sha384::digest(page.as_bytes()).into(), config }
}

/// A tagged event: PCR, kind, data.
pub(super) fn file_event(subject: Subject, length: u64, digest: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut data = (subject as u32).to_le_bytes().to_vec();
    data.extend(56_u32.to_le_bytes());
    data.extend(length.to_le_bytes());
    data.extend(digest);
    (subject.pcr(), 6, data)
}

/// What the SVSM measures.
pub(super) fn events() -> Vec<(u32, u32, Vec<u8>)> {
    let mut events = vec![(0, 8, b"V\0".to_vec())];
    events.push(file_event(Subject::LaunchConfig, 4096, &payload().page_digest));
    events.extend((0..8).map(|pcr| (pcr, 4, vec![0; 4])));
    events.push(file_event(Subject::Kernel, 1, &[1; 48]));
    events.push(file_event(Subject::CommandLine, 3, &[3; 48]));
    events.push(file_event(Subject::Initrd, 2, &[2; 48]));
    events
}

pub(super) fn log_of(events: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let events: Vec<(u32, u32, &[u8])> =
        events.iter().map(|(pcr, kind, data)| (*pcr, *kind, data.as_slice())).collect();
    log(&events)
}

/// Version 1, for these keys.
pub(super) fn manifest(keys: &[Vec<u8>], state: State, log: &[u8]) -> Vec<u8> {
    let firmware = Firmware {
        version: FIRMWARE_VERSION,
        manufacturer: *b"MCDM",
        vendor_string: *b"Macadamia\0\0\0\0\0\0\0",
        revision: 184,
        options: VtpmOptions::STATE_OF_SIGNER,
    };
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let manifest = Manifest::new(&keys, firmware, state, Sha384::digest(log).into());
    let mut bytes = vec![0; 4096];
    let length = manifest.and_then(|manifest| manifest.write(&mut bytes)).expect("it fits");
    bytes.truncate(length);
    bytes
}

/// Everything that a verdict depends on.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) evidence: Evidence,
    pub(super) nonce: Nonce,
    pub(super) chain: Option<Chain>,
    pub(super) activation: Option<Activation>,
    pub(super) reference: Reference,
}

impl Case {
    /// Evidence that is accepted.
    pub(super) fn good() -> Self {
        static GOOD: OnceLock<Case> = OnceLock::new();
        GOOD.get_or_init(|| Self::collect(EkKind::P256, Service::Vtpm(1))).clone()
    }

    /// Evidence for a key and a manifest, all of it made by those who should make it.
    pub(super) fn collect(ek: EkKind, service: Service) -> Self {
        let mut engine = Engine::new(1);
        engine.measure(&events());
        let log = log_of(&events());
        let manifest = match service {
            Service::Vtpm(1) => {
                let keys = [EkKind::P256, EkKind::P384].map(|kind| engine.public_of(kind));
                manifest(&keys, State::Ephemeral, &log)
            }
            Service::Vtpm(_) => engine.public_of(ek),
            Service::All => services(&engine.public_of(ek)),
        };
        let mut svsm = Svsm { psp: launch(GuestPolicy::DEFAULT, IMAGE), manifest };
        let request = Request { nonce: NONCE, service, ek };
        let collected = collect(&mut engine, &mut svsm, &log, &request).expect("evidence");
        let evidence = Evidence::parse(collected.json.as_bytes()).expect("good JSON");
        let mut case = Self {
            evidence,
            nonce: NONCE,
            chain: None,
            activation: None,
            reference: Reference {
                launch_digest: Some(IMAGE),
                policy: Some(GuestPolicy::DEFAULT.bits()),
                payload: Some(payload()),
                roots: Roots { test_root: true },
                time_s: TIME_S,
                ..Reference::default()
            },
        };
        let credential = case.credential();
        let returned =
            activate(&mut engine, &collected.key, &credential.to_file()).expect("it opens");
        case.activation = Some(Activation { secret: SECRET, returned });
        case
    }

    /// A credential for the case's keys.
    pub(super) fn credential(&self) -> Credential {
        let (verdict, vouched) = verify_platform(&self.evidence, &self.question(), &self.reference);
        let vouched = vouched.unwrap_or_else(|| panic!("{verdict}"));
        let random = &mut UnwrapErr(Counter(0x40));
        vouched.credential(&self.nonce, &SECRET, random).expect("a credential")
    }

    pub(super) fn question(&self) -> Question<'_> {
        Question {
            nonce: &self.nonce,
            chain: self.chain.as_ref(),
            activation: self.activation.as_ref(),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        verify(&self.evidence, &self.question(), &self.reference).0
    }

    /// Lets the secure processor sign a new report about the case's manifest.
    pub(super) fn report_again(&mut self, psp: &SoftwarePsp, vmpl: Vmpl) {
        let data = Svsm::report_data(&self.nonce, &self.evidence.manifest);
        self.evidence.report = psp.report(vmpl, data).expect("a report").to_vec();
    }

    /// Puts another manifest there, and a report that vouches for it.
    pub(super) fn vouch_for(&mut self, manifest: Vec<u8>) {
        self.evidence.manifest = manifest;
        self.report_again(&launch(GuestPolicy::DEFAULT, IMAGE), Vmpl::Vmpl0);
    }

    /// Puts another log there, and a manifest that vouches for it.
    pub(super) fn vouch_for_log(&mut self, log: Vec<u8>) {
        let keys = [self.evidence.ek_public.clone()];
        self.vouch_for(manifest(&keys, State::Ephemeral, &log));
        self.evidence.event_log = log;
    }

    /// Lets another quote be made, in a TPM that measured these events, and believes its key.
    pub(super) fn quote_again(
        &mut self,
        events: &[(u32, u32, Vec<u8>)],
        nonce: &[u8],
        selection: Selection,
    ) {
        use attest_agent::keys::AttestationKey;
        let mut engine = Engine::new(1);
        engine.measure(events);
        let ek = EndorsementKey::create(&mut engine, EkKind::P256).expect("a key");
        let key = AttestationKey::create(&mut engine, &ek).expect("a key");
        let quote = key.quote(&mut engine, &ek, nonce, selection).expect("a quote");
        self.evidence.ak_public = key.public;
        self.evidence.quote = quote.attest;
        self.evidence.signature = quote.signature;
        self.believe_key();
    }

    /// Lets a key in software, which is believed, sign anything as if it were a quote.
    pub(super) fn sign_as_quote(&mut self, message: &[u8]) {
        use p256::ecdsa::{Signature, SigningKey, VerifyingKey, signature::hazmat::PrehashSigner};
        let key = SigningKey::from_slice(&[9; 32]).expect("a scalar");
        let point = VerifyingKey::from(&key).to_sec1_point(false);
        let mut area = vec![0x00, 0x23, 0x00, 0x0b, 0x00, 0x05, 0x00, 0x72, 0, 0, 0, 0x10];
        area.extend([0, 0x18, 0, 0x0b, 0, 3, 0, 0x10]);
        for coordinate in [point.x(), point.y()] {
            area.extend([0, 32]);
            area.extend(coordinate.expect("a point"));
        }
        let digest = sha2::Sha256::digest(message);
        let signature: Signature = key.sign_prehash(&digest).expect("a signature");
        let (r, s) = signature.split_bytes();
        self.evidence.ak_public = area;
        self.evidence.quote = message.to_vec();
        self.evidence.signature =
            [&[0, 0x18, 0, 0x0b, 0, 32], r.as_slice(), &[0, 32], s.as_slice()].concat();
        self.believe_key();
    }

    /// Answers a credential for the keys in the evidence, as if a TPM held both.
    pub(super) fn believe_key(&mut self) {
        let (verdict, vouched) = verify_platform(&self.evidence, &self.question(), &self.reference);
        let vouched = vouched.unwrap_or_else(|| panic!("{verdict}"));
        let returned = vouched.content(&self.nonce, &SECRET);
        self.activation = Some(Activation { secret: SECRET, returned });
    }

    /// Changes the report, and lets the chip sign it so.
    pub(super) fn report_with(&mut self, place: usize, bytes: &[u8]) {
        const SIGNED_BYTES: usize = 0x2a0;
        let report = &mut self.evidence.report;
        report[place..place + bytes.len()].copy_from_slice(bytes);
        let digest = Sha384::digest(&report[..SIGNED_BYTES]);
        let signature: p384::ecdsa::Signature =
            chain_key("Macadamia-SVSM test VCEK").sign_prehash(&digest).expect("a signature");
        let (r, s) = signature.split_bytes();
        for (place, scalar) in [(SIGNED_BYTES, r), (SIGNED_BYTES + 72, s)] {
            let bytes: Vec<u8> = scalar.iter().rev().copied().collect();
            report[place..place + 48].copy_from_slice(&bytes);
        }
    }

    /// The case's chain, to be changed.
    pub(super) fn chain_mut(&mut self) -> &mut Chain {
        let table = &self.evidence.certificates;
        self.chain.get_or_insert_with(|| Chain::from_table(table).expect("a chain"))
    }
}

pub(crate) fn launch(policy: GuestPolicy, image: Digest) -> SoftwarePsp {
    SoftwarePsp::launch(policy, image, None).expect("a launch")
}

/// The manifest of all services, with the vTPM's only.
pub(super) fn services(key: &[u8]) -> Vec<u8> {
    use snp_abi::svsm::{SERVICES_MANIFEST_GUID, VTPM_SERVICE_GUID};
    let length = u32::try_from(key.len()).expect("short");
    let mut bytes = SERVICES_MANIFEST_GUID.to_vec();
    bytes.extend((48 + length).to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(VTPM_SERVICE_GUID);
    bytes.extend(48_u32.to_le_bytes());
    bytes.extend(length.to_le_bytes());
    bytes.extend(key);
    bytes
}

/// A key of the test chain: anybody can compute it.
pub(super) fn chain_key(label: &str) -> SigningKey {
    let scalar = Sha384::new().chain_update(label).chain_update([0]).finalize();
    SigningKey::from_slice(&scalar).expect("a scalar")
}
