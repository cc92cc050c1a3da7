// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's side of the messages, good and bad.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use igvm_defs::{
    IGVM_VHS_SNP_ID_BLOCK, IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY, IGVM_VHS_SNP_ID_BLOCK_SIGNATURE,
};
use p384::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::hazmat::{PrehashSigner, PrehashVerifier},
};
use sha2::{Digest, Sha384};
use snp_abi::{
    Vmpl,
    guest_request::{
        GuestFields, HEADER_SIZE, KeyRequest, KeyResponse, MessageHeader, MessageType,
        ReportRequest, ReportResponse, TAG_SIZE, status,
    },
    launch::{CURVE_P384, GuestPolicy, IdBlock},
    report::AttestationReport,
    secrets::SecretsPage,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

use super::{
    Entropy, FirmwareError, MessagePage, Psp,
    chip::{Chip, TestKey},
    launch::LaunchContext,
};

const FAMILY_MODEL_STEPPING: u32 = 0x00a0_0f11;
const DIGEST: [u8; 48] = [0x77; 48];

/// Counts up: no two fills are alike.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0 += 1;
        bytes.fill(self.0);
    }
}

/// A secure processor, and the secrets page that its guest got.
struct Machine {
    psp: Psp,
    secrets: SecretsPage,
    sequence: [u64; 4],
}

impl Machine {
    fn new(id_block: Option<&IGVM_VHS_SNP_ID_BLOCK>) -> Self {
        Self::try_new(id_block).expect("a good launch")
    }

    fn try_new(id_block: Option<&IGVM_VHS_SNP_ID_BLOCK>) -> Result<Self, FirmwareError> {
        let launch = LaunchContext::start(&mut Counter(0));
        let mut secrets = SecretsPage::new_zeroed();
        launch.fill_secrets(FAMILY_MODEL_STEPPING, &mut secrets);
        let guest = launch.finish(GuestPolicy::DEFAULT, DIGEST, [5; 32], id_block)?;
        let chip = Chip::new(FAMILY_MODEL_STEPPING).expect("a key");
        Ok(Self { psp: Psp::new(chip, guest), secrets, sequence: [1; 4] })
    }

    fn cipher(&self, level: Vmpl) -> Aes256Gcm {
        Aes256Gcm::new_from_slice(&self.secrets.vmpck[level.index()]).expect("32 bytes")
    }

    fn header(&self, level: Vmpl, message_type: MessageType, size: usize) -> MessageHeader {
        let size = u16::try_from(size).expect("less than a page");
        MessageHeader::new(message_type, 1, size, level, self.sequence[level.index()])
    }

    fn seal(&self, mut header: MessageHeader, payload: &[u8]) -> MessagePage {
        let mut page = [0; 4096];
        let text = &mut page[HEADER_SIZE..HEADER_SIZE + payload.len()];
        text.copy_from_slice(payload);
        let level = Vmpl::from_number(u64::from(header.vmpck)).unwrap_or(Vmpl::Vmpl0);
        let tag = self
            .cipher(level)
            .encrypt_inout_detached(&header.iv().into(), header.authenticated_part(), text.into())
            .expect("a short message");
        header.tag[..TAG_SIZE].copy_from_slice(&tag);
        page[..HEADER_SIZE].copy_from_slice(header.as_bytes());
        page
    }

    fn open<T: FromBytes>(&self, page: &MessagePage, request: &MessageHeader) -> T {
        let (header, body) = MessageHeader::read_from_prefix(page).expect("a page");
        let level = header.check().expect("a good header");
        assert_eq!(header.sequence, request.sequence + 1);
        assert_eq!(header.message_type, request.message_type + 1);
        assert_eq!(header.vmpck, request.vmpck);
        let mut text = body[..usize::from(header.message_size)].to_vec();
        let tag: [u8; TAG_SIZE] = header.tag[..TAG_SIZE].try_into().expect("16 bytes");
        self.cipher(level)
            .decrypt_inout_detached(
                &header.iv().into(),
                header.authenticated_part(),
                text.as_mut_slice().into(),
                &tag.into(),
            )
            .expect("the tag is right");
        T::read_from_bytes(&text).expect("the size is right")
    }

    fn send(&mut self, page: &MessagePage) -> Result<MessagePage, FirmwareError> {
        let mut response = [0xee; 4096];
        self.psp.guest_request(page, &mut response).map(|()| response)
    }

    fn exchange<Q: IntoBytes + Immutable, A: FromBytes>(
        &mut self,
        level: Vmpl,
        message_type: MessageType,
        request: &Q,
    ) -> A {
        let header = self.header(level, message_type, size_of::<Q>());
        let page = self.seal(header, request.as_bytes());
        let response = self.send(&page).expect("a good message");
        self.sequence[level.index()] += 2;
        self.open(&response, &header)
    }

    fn report(&mut self, level: Vmpl, request: &ReportRequest) -> ReportResponse {
        self.exchange(level, MessageType::ReportRequest, request)
    }

    fn key(&mut self, level: Vmpl, request: &KeyRequest) -> KeyResponse {
        self.exchange(level, MessageType::KeyRequest, request)
    }
}

fn report_request(vmpl: u32) -> ReportRequest {
    ReportRequest { report_data: [9; 64], vmpl, ..ReportRequest::new_zeroed() }
}

fn key_request(fields: GuestFields) -> KeyRequest {
    KeyRequest { guest_field_select: fields.bits(), ..KeyRequest::new_zeroed() }
}

/// The status of a report request's message after a change to its header or page.
fn refused(header: impl Fn(&mut MessageHeader), page: impl Fn(&mut MessagePage)) -> Option<u32> {
    let mut machine = Machine::new(None);
    let mut changed = machine.header(Vmpl::Vmpl0, MessageType::ReportRequest, 0x60);
    header(&mut changed);
    let mut sealed = machine.seal(changed, report_request(0).as_bytes());
    page(&mut sealed);
    let error = machine.send(&sealed).err();
    // Whatever was refused changed nothing.
    assert_eq!(machine.report(Vmpl::Vmpl0, &report_request(0)).status, status::SUCCESS);
    error.map(|error| error.0)
}

#[test]
fn tampered_messages_are_refused() {
    // The tag, type, version, size and the payload's first and last bytes.
    for offset in [0x00, 0x0f, 0x34, 0x35, 0x36, 0x60, 0x9f, 0xbf] {
        let error = refused(|_| (), |page| page[offset] ^= 0x10);
        assert_eq!(error, Some(status::BAD_MEASUREMENT), "{offset:#x}");
    }
}

#[test]
fn malformed_headers_are_refused() {
    let none = |_: &mut MessagePage| ();
    let invalid = Some(status::INVALID_PARAMETER);
    assert_eq!(refused(|header| header.algorithm = 2, none), invalid);
    assert_eq!(refused(|header| header.header_version = 2, none), invalid);
    assert_eq!(refused(|header| header.header_size = 0x50, none), invalid);
    assert_eq!(refused(|header| header.vmpck = 4, none), invalid);
    assert_eq!(refused(|header| header.message_size = 0, none), invalid);
    assert_eq!(refused(|header| header.message_size = 0x5f, none), invalid);
    assert_eq!(refused(|header| header.message_size = 0xfff0, none), invalid);
    assert_eq!(refused(|header| header.reserved_38 = 1, none), invalid);
    assert_eq!(refused(|header| header.message_version = 0, none), invalid);
    assert_eq!(refused(|header| header.message_version = 9, none), invalid);
    assert_eq!(refused(|header| header.message_type = 6, none), invalid);
    assert_eq!(refused(|header| header.message_type = 0xff, none), invalid);
}

#[test]
fn wrong_sequence_numbers_are_refused() {
    for sequence in [0, 2, 3, u64::MAX] {
        let error = refused(|header| header.sequence = sequence, |_| ());
        assert_eq!(error, Some(status::AEAD_OVERFLOW), "{sequence}");
    }
}

#[test]
fn a_replayed_message_is_refused() {
    let mut machine = Machine::new(None);
    let header = machine.header(Vmpl::Vmpl0, MessageType::ReportRequest, 0x60);
    let page = machine.seal(header, report_request(0).as_bytes());
    assert!(machine.send(&page).is_ok());
    assert_eq!(machine.send(&page).err(), Some(FirmwareError(status::AEAD_OVERFLOW)));
}

#[test]
fn a_short_request_is_refused() {
    let mut machine = Machine::new(None);
    let header = machine.header(Vmpl::Vmpl0, MessageType::ReportRequest, 0x50);
    let page = machine.seal(header, &[0; 0x50]);
    assert_eq!(machine.send(&page).err(), Some(FirmwareError(status::INVALID_PARAMETER)));
}

#[test]
fn a_key_of_another_level_does_not_open_a_message() {
    let mut machine = Machine::new(None);
    let header = machine.header(Vmpl::Vmpl2, MessageType::ReportRequest, 0x60);
    let mut page = machine.seal(header, report_request(2).as_bytes());
    page[0x3c] = 0;
    assert_eq!(machine.send(&page).err(), Some(FirmwareError(status::BAD_MEASUREMENT)));
}

#[test]
fn each_level_has_its_own_sequence() {
    let mut machine = Machine::new(None);
    for level in Vmpl::ALL {
        for _ in 0..2 {
            let response = machine.report(level, &report_request(3));
            assert_eq!(response.status, status::SUCCESS);
        }
    }
    assert_eq!(machine.sequence, [5; 4]);
}

#[test]
fn reports_for_more_privileged_levels_are_refused() {
    let mut machine = Machine::new(None);
    for (sender, vmpl) in [(Vmpl::Vmpl2, 0), (Vmpl::Vmpl2, 1), (Vmpl::Vmpl1, 0)] {
        let response = machine.report(sender, &report_request(vmpl));
        assert_eq!(response.status, status::INVALID_PARAMETER);
        assert!(response.report.iter().all(|&byte| byte == 0));
    }
    let response = machine.report(Vmpl::Vmpl0, &report_request(4));
    assert_eq!(response.status, status::INVALID_PARAMETER);
    let vlek = ReportRequest { key_select: 2, ..report_request(0) };
    assert_eq!(machine.report(Vmpl::Vmpl0, &vlek).status, status::INVALID_KEY);
    let reserved = ReportRequest { key_select: 4, ..report_request(0) };
    assert_eq!(machine.report(Vmpl::Vmpl0, &reserved).status, status::INVALID_PARAMETER);
}

#[test]
fn a_report_says_what_was_launched_and_is_signed() {
    let mut machine = Machine::new(None);
    let response = machine.report(Vmpl::Vmpl0, &report_request(2));
    assert_eq!((response.status, response.report_size), (status::SUCCESS, 0x4a0));
    let report = AttestationReport::parse(&response.report).expect("a good report");
    assert_eq!(report.measurement, DIGEST);
    assert_eq!(report.report_data, [9; 64]);
    assert_eq!(report.vmpl, 2);
    assert_eq!(report.policy, GuestPolicy::DEFAULT.bits());
    assert_eq!(report.host_data, [5; 32]);
    assert_eq!(report.report_id, [5; 32]);
    assert_eq!((report.cpuid_family, report.cpuid_model, report.cpuid_stepping), (0x19, 0x01, 0x1));
    assert_eq!(report.reported_tcb, Chip::TCB.encode());
    assert!(verifies(&report));
    let mut forged = report;
    forged.vmpl = 0;
    assert!(!verifies(&forged));
}

fn verifies(report: &AttestationReport) -> bool {
    let number = |component: &[u8; 72]| {
        let mut bytes: [u8; 48] = component[..48].try_into().expect("48 bytes");
        bytes.reverse();
        bytes
    };
    let signature =
        Signature::from_scalars(number(&report.signature.r), number(&report.signature.s))
            .expect("two scalars");
    let vcek = TestKey::Vcek.signing_key().expect("a key");
    VerifyingKey::from(&vcek)
        .verify_prehash(&Sha384::digest(report.signed_part()), &signature)
        .is_ok()
}

#[test]
fn keys_that_can_not_be_made_are_refused() {
    let mut machine = Machine::new(None);
    let plain = key_request(GuestFields::empty());
    let newer = Chip::TCB.encode() + 1;
    for (sender, request, expected) in [
        (Vmpl::Vmpl1, plain, status::INVALID_PARAMETER),
        (Vmpl::Vmpl0, KeyRequest { root_key_select: 1, ..plain }, status::INVALID_KEY),
        (Vmpl::Vmpl0, KeyRequest { root_key_select: 4, ..plain }, status::INVALID_KEY),
        (Vmpl::Vmpl0, KeyRequest { root_key_select: 6, ..plain }, status::INVALID_KEY),
        (Vmpl::Vmpl0, KeyRequest { root_key_select: 8, ..plain }, status::INVALID_PARAMETER),
        (Vmpl::Vmpl0, KeyRequest { guest_field_select: 64, ..plain }, status::INVALID_PARAMETER),
        (
            Vmpl::Vmpl0,
            KeyRequest { guest_svn: 1, ..key_request(GuestFields::GUEST_SVN) },
            status::INVALID_PARAMETER,
        ),
        (
            Vmpl::Vmpl0,
            KeyRequest { tcb_version: newer, ..key_request(GuestFields::TCB_VERSION) },
            status::INVALID_PARAMETER,
        ),
        (
            Vmpl::Vmpl0,
            KeyRequest { tcb_version: 1 << 20, ..key_request(GuestFields::TCB_VERSION) },
            status::INVALID_PARAMETER,
        ),
    ] {
        let response = machine.key(sender, &request);
        assert_eq!(response.status, expected);
        assert_eq!(response.key, [0; 32]);
    }
}

#[test]
fn a_key_depends_on_what_was_selected() {
    let mut machine = Machine::new(None);
    let plain = key_request(GuestFields::empty());
    let first = machine.key(Vmpl::Vmpl0, &plain).key;
    assert_ne!(first, [0; 32]);
    assert_eq!(machine.key(Vmpl::Vmpl0, &plain).key, first, "the same again");
    let mut seen = std::vec![first];
    let requests = [
        KeyRequest { vmpl: 1, ..plain },
        key_request(GuestFields::POLICY),
        key_request(GuestFields::IMAGE_ID),
        key_request(GuestFields::FAMILY_ID),
        key_request(GuestFields::MEASUREMENT),
        key_request(GuestFields::GUEST_SVN),
        KeyRequest { tcb_version: Chip::TCB.encode(), ..key_request(GuestFields::TCB_VERSION) },
        key_request(GuestFields::TCB_VERSION),
    ];
    for request in requests {
        let key = machine.key(Vmpl::Vmpl0, &request).key;
        assert!(!seen.contains(&key), "{request:?}");
        seen.push(key);
    }
}

/// An ID block for [`DIGEST`], signed by a key, which an author's key signs.
fn signed_block() -> IGVM_VHS_SNP_ID_BLOCK {
    let key = |label: &[u8]| SigningKey::from_slice(&Sha384::digest(label)).expect("a scalar");
    let (id_key, author_key) = (key(b"test ID key"), key(b"test author key"));
    let block = IdBlock {
        launch_digest: DIGEST,
        family_id: [1; 16],
        image_id: [2; 16],
        version: 1,
        guest_svn: 3,
        policy: GuestPolicy::DEFAULT.bits(),
    };
    let id_public_key = public_key(&id_key);
    let mut firmware_key = std::vec![0; 0x404];
    firmware_key[..4].copy_from_slice(&CURVE_P384.to_le_bytes());
    firmware_key[4..76].copy_from_slice(&id_public_key.qx);
    firmware_key[76..148].copy_from_slice(&id_public_key.qy);
    IGVM_VHS_SNP_ID_BLOCK {
        compatibility_mask: 1,
        author_key_enabled: 1,
        reserved: [0; 3],
        ld: DIGEST,
        family_id: block.family_id,
        image_id: block.image_id,
        version: 1,
        guest_svn: block.guest_svn,
        id_key_algorithm: 1,
        author_key_algorithm: 1,
        id_key_signature: sign(&id_key, block.as_bytes()),
        id_public_key,
        author_key_signature: sign(&author_key, &firmware_key),
        author_public_key: public_key(&author_key),
    }
}

fn firmware_number(big_endian: &[u8]) -> [u8; 72] {
    let mut number = [0; 72];
    for (place, byte) in number.iter_mut().zip(big_endian.iter().rev()) {
        *place = *byte;
    }
    number
}

fn public_key(key: &SigningKey) -> IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY {
    let point = VerifyingKey::from(key).to_sec1_point(false);
    IGVM_VHS_SNP_ID_BLOCK_PUBLIC_KEY {
        curve: CURVE_P384,
        reserved: 0,
        qx: firmware_number(point.x().expect("not the identity")),
        qy: firmware_number(point.y().expect("not compressed")),
    }
}

fn sign(key: &SigningKey, message: &[u8]) -> IGVM_VHS_SNP_ID_BLOCK_SIGNATURE {
    let signature: Signature = key.sign_prehash(&Sha384::digest(message)).expect("a signature");
    let (r, s) = signature.split_bytes();
    IGVM_VHS_SNP_ID_BLOCK_SIGNATURE { r_comp: firmware_number(&r), s_comp: firmware_number(&s) }
}

#[test]
fn an_id_block_that_is_not_for_this_launch_is_refused() {
    let refused = |change: &dyn Fn(&mut IGVM_VHS_SNP_ID_BLOCK)| {
        let mut block = signed_block();
        change(&mut block);
        Machine::try_new(Some(&block)).err().map(|error| error.0)
    };
    assert_eq!(refused(&|block| block.ld[0] ^= 1), Some(status::BAD_MEASUREMENT));
    let bad = Some(status::BAD_SIGNATURE);
    assert_eq!(refused(&|block| block.guest_svn = 4), bad);
    assert_eq!(refused(&|block| block.image_id[0] ^= 1), bad);
    assert_eq!(refused(&|block| block.id_key_signature.r_comp[0] ^= 1), bad);
    assert_eq!(refused(&|block| block.id_key_signature.s_comp[71] = 1), bad);
    assert_eq!(refused(&|block| block.id_key_signature.s_comp = [0; 72]), bad);
    assert_eq!(refused(&|block| block.id_public_key.curve = 1), bad);
    assert_eq!(refused(&|block| block.id_public_key.qx[0] ^= 1), bad);
    assert_eq!(refused(&|block| block.author_key_signature.r_comp[0] ^= 1), bad);
    let invalid = Some(status::INVALID_PARAMETER);
    assert_eq!(refused(&|block| block.id_key_algorithm = 2), invalid);
    assert_eq!(refused(&|block| block.author_key_algorithm = 0), invalid);
    assert_eq!(refused(&|block| block.author_key_enabled = 2), invalid);
    assert_eq!(refused(&|block| block.author_key_enabled = 0), invalid, "there is a key");
    assert_eq!(refused(&|block| block.author_public_key.curve = 0), invalid, "there is none");
}

#[test]
fn a_signed_identity_shows_in_reports_and_keys() {
    let block = signed_block();
    let mut signed = Machine::new(Some(&block));
    let response = signed.report(Vmpl::Vmpl0, &report_request(0));
    let report = AttestationReport::parse(&response.report).expect("a good report");
    assert_eq!((report.family_id, report.image_id, report.guest_svn), ([1; 16], [2; 16], 3));
    assert_eq!(report.flags & 1, 1);
    assert_ne!(report.id_key_digest, [0; 48]);
    assert_ne!(report.author_key_digest, [0; 48]);
    let older = KeyRequest { guest_svn: 2, ..key_request(GuestFields::GUEST_SVN) };
    let own = KeyRequest { guest_svn: 3, ..older };
    let (older, own) = (signed.key(Vmpl::Vmpl0, &older), signed.key(Vmpl::Vmpl0, &own));
    assert_eq!((older.status, own.status), (status::SUCCESS, status::SUCCESS));
    assert_ne!(older.key, own.key);
    let plain = key_request(GuestFields::empty());
    let unsigned = Machine::new(None).key(Vmpl::Vmpl0, &plain).key;
    assert_ne!(signed.key(Vmpl::Vmpl0, &plain).key, unsigned, "the signer always counts");
}
