// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be done to the platform's part: certificates, and the report.

use snp_abi::{Vmpl, certificates::TableEntry, launch::GuestPolicy};

use super::{ARK, ASK, Tampering, flip, flip_in};
use crate::{
    tcb::Tcb,
    tests::{
        fixture::{IMAGE, chain_key, launch},
        reissue::reissue,
    },
    verdict::Reason::*,
};

pub(super) const CHAIN: &[Tampering] = &[
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
    ("an ASK whose key may not certify", ChainAuthority, |case| {
        let chain = case.chain_mut();
        // keyCertSign becomes cRLSign.
        chain.ask = reissue(&chain.ask, &chain_key(ARK), &[3, 2, 2, 4], &[3, 2, 1, 2]);
    }),
    ("a VCEK of another issuer", ChainName, |case| {
        let chain = case.chain_mut();
        chain.vcek = reissue(&chain.vcek, &chain_key(ASK), b"test ASK", b"fake ASK");
    }),
    ("a VCEK in the ASK's place", AskSignature, |case| {
        let chain = case.chain_mut();
        chain.ask = chain.vcek.clone();
    }),
    ("before the chain is valid", ChainValidity, |case| case.reference.time_s = 1_500_000_000),
    ("a VCEK that has expired", ChainValidity, |case| {
        let chain = case.chain_mut();
        chain.vcek = reissue(&chain.vcek, &chain_key(ASK), b"99991231", b"20251231");
    }),
    ("an ASK that has expired", ChainValidity, |case| {
        let chain = case.chain_mut();
        chain.ask = reissue(&chain.ask, &chain_key(ARK), b"99991231", b"20251231");
    }),
    ("a VCEK with two versions of a part", VcekExtension, |case| {
        let chain = case.chain_mut();
        let oid = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 8];
        let other = [0x2b, 6, 1, 4, 1, 0x9c, 0x78, 1, 3, 3];
        chain.vcek = reissue(&chain.vcek, &chain_key(ASK), &oid, &other);
    }),
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

pub(super) const REPORT: &[Tampering] = &[
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
    ("scalars above the group's order", ReportSignature, |case| {
        case.evidence.report[0x2a0..0x2d0].fill(0xff);
    }),
    ("an order of the TCB's parts that isn't the certificate's", VcekTcb, |case| {
        case.report_with(0x188, &[0x1a]);
    }),
    ("a signed report for other firmware", VcekTcb, |case| case.report_with(0x186, &[23])),
    ("a signed report without the chip's identity", VcekChip, |case| {
        case.report_with(0x1a0, &[0; 64]);
    }),
];

pub(super) const LAUNCH: &[Tampering] = &[
    ("a report about VMPL2", ReportVmpl, |case| {
        case.report_again(&launch(GuestPolicy::DEFAULT, IMAGE), Vmpl::Vmpl2);
    }),
    ("a report about VMPL1", ReportVmpl, |case| case.report_with(0x30, &[1])),
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
    ("zeros for an ID key", ReportIdKey, |case| {
        case.reference.launch_digest = None;
        case.reference.id_key_digest = Some([0; 48]);
    }),
    ("zeros for an author key", ReportAuthorKey, |case| {
        case.reference.author_key_digest = Some([0; 48]);
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
    // Of each TCB one part, whatever the others are: SNP, microcode, the boot loader.
    ("current firmware that is too old", ReportTcb, |case| {
        case.reference.minimum_tcb = Tcb::parse("4.0.24.219");
        case.report_with(0x38, &[9, 9, 0, 0, 0, 0, 23, 255]);
    }),
    ("committed firmware that is too old", ReportTcb, |case| {
        case.reference.minimum_tcb = Tcb::parse("4.0.24.219");
        case.report_with(0x1e0, &[9, 9, 0, 0, 0, 0, 99, 218]);
    }),
    ("firmware that was too old at launch", ReportTcb, |case| {
        case.reference.minimum_tcb = Tcb::parse("4.0.24.219");
        case.report_with(0x1f0, &[3, 9, 0, 0, 0, 0, 99, 255]);
    }),
    ("another chip than the expected", ReportChip, |case| {
        case.reference.chip_id = Some([1; 64]);
    }),
    ("an answer to an older nonce", ReportData, |case| flip(&mut case.nonce, 63)),
];
