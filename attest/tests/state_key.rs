// SPDX-License-Identifier: MIT OR Apache-2.0
//! `attest state-key` as a state's owner runs it: who gets a package, and who doesn't.
#![forbid(unsafe_code)]

mod program;

use std::{fs, path::Path};

use emulator::SoftwarePsp;
use p384::{
    SecretKey,
    elliptic_curve::sec1::ToSec1Point,
    pkcs8::{EncodePrivateKey, LineEnding},
};
use program::{Ran, folder, run};
use sha2::{Digest, Sha256};
use snp_abi::{
    Vmpl,
    launch::GuestPolicy,
    state_key::{PublicKey, REPORT_DATA_END, REQUEST_LINE, StateKeyPackage, StateKeyRequest},
};
use zerocopy::{FromZeros, IntoBytes};

const IMAGE: [u8; 48] = [0x77; 48];
const REFUSED: i32 = 1;
const FAILED: i32 = 2;

fn public_key(secret: &SecretKey) -> PublicKey {
    let point = secret.public_key().to_sec1_point(false);
    point.as_bytes()[1..].try_into().expect("two coordinates")
}

/// A machine that asked its owner for the state's key: the log, the chip's certificates in the
/// host's table, and the owner's files.
fn asked(folder: &Path) {
    let owner = SecretKey::from_slice(&[0x11; 48]).expect("a scalar");
    let mut request = StateKeyRequest {
        magic: StateKeyRequest::MAGIC,
        seal: [3; 16],
        public_key: public_key(&SecretKey::from_slice(&[0x33; 48]).expect("a scalar")),
        ..StateKeyRequest::new_zeroed()
    };
    let vouched = Sha256::new()
        .chain_update(request.vouched_part())
        .chain_update(public_key(&owner))
        .finalize();
    let data = [vouched.as_slice(), &REPORT_DATA_END].concat();
    let psp = SoftwarePsp::launch(GuestPolicy::DEFAULT, IMAGE, None).expect("a launch");
    request.report = psp.report(Vmpl::Vmpl0, data.try_into().expect("64")).expect("a report");
    let table = psp.certificates().expect("a table");
    let pem = owner.to_pkcs8_pem(LineEnding::LF).expect("PEM");
    for (name, bytes) in [
        ("log", format!("svsm: {REQUEST_LINE}{}\n", hex::encode(request.as_bytes())).as_bytes()),
        ("table", &table[..]),
        ("owner.pem", pem.as_bytes()),
        ("state.key", &[0x5c; 32]),
    ] {
        fs::write(folder.join(name), bytes).expect("a file");
    }
}

#[test]
fn only_the_expected_image_gets_a_package() {
    let folder = folder("state-key");
    asked(&folder);
    let package = folder.join("package");
    let image = hex::encode(IMAGE);
    let asks = "state-key --request log --owner-key owner.pem --key state.key --package package";
    let test_root = "--trust-root emulator-test-root";
    let table = "--certificates table";
    for (code, named, rest) in [
        (REFUSED, "RootIsForTests", format!("--launch-digest {image} {table}")),
        (
            REFUSED,
            "ReportMeasurement",
            format!("--launch-digest {} {table} {test_root}", "78".repeat(48)),
        ),
        (FAILED, "--vcek is missing", format!("--launch-digest {image} {test_root}")),
        (FAILED, "one of --igvm", format!("{table} {test_root}")),
        // What this task doesn't look at must not seem to have been looked at.
        (
            FAILED,
            "--persistent-state is for another task",
            format!("--launch-digest {image} {table} {test_root} --persistent-state"),
        ),
        // A table that is none is the command's fault, as any other file that is given.
        (
            FAILED,
            "CertificatesMalformed",
            format!("--launch-digest {image} --certificates log {test_root}"),
        ),
    ] {
        let Ran { code: found, said, complained } = run(&folder, &format!("{asks} {rest}"));
        let text = said + &complained;
        assert!(found == Some(code) && text.contains(named), "{rest}: {found:?}\n{text}");
        assert!(!package.exists(), "{rest}");
    }
    let line = format!("{asks} --launch-digest {image} {table} {test_root} --json");
    let Ran { code, said, complained } = run(&folder, &line);
    assert!(code == Some(0) && said.contains("\"accepted\": true"), "{said}{complained}");
    let bytes = fs::read(&package).expect("a package");
    let sealed = StateKeyPackage::parse(&bytes).expect("a package");
    assert!(sealed.seal == [3; 16] && !bytes.windows(32).any(|window| window == [0x5c; 32]));
}
