// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endorsement certificates that the platform puts into its TPM (TCG EK Credential Profile, 2.2.1).

#[path = "peer/client.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod client;
mod state;

use client::{Fields, Octets, Tpm};
use state::State;
use std::path::Path;
use std::process::Command;

const OWNER: u32 = 0x4000_0001;
const NV_UNDEFINE_SPACE: u32 = 0x122;
const NV_WRITE: u32 = 0x137;
const NV_READ: u32 = 0x14e;
/// TPM_RC_AUTH_UNAVAILABLE and TPM_RC_NV_AUTHORIZATION.
const AUTH_UNAVAILABLE: u32 = 0x12f;
const NV_AUTHORIZATION: u32 = 0x149;
/// TPM_RC_HANDLE, of the first handle.
const NO_SUCH_INDEX: u32 = 0x18b;

const P256: u32 = 0x01c0_000a;
const P384: u32 = 0x01c0_0016;

/// A server with these certificates: keys and files.
fn start(state: &State, certificates: &[&str]) -> Tpm {
    let folder = state.sockets();
    let socket = folder.join("socket");
    let mut command = server(&state.file("state"), certificates);
    command.arg("--unix").arg(&socket);
    Tpm::start(command, &socket, folder)
}

fn server(state: &Path, certificates: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tpm_server"));
    command.arg("--state").arg(state);
    for certificate in certificates {
        command.arg("--ek-certificate").arg(certificate);
    }
    command
}

/// Reads an index with its own, empty password.
fn read(tpm: &mut Tpm, index: u32, size: u16) -> Result<Vec<u8>, u32> {
    let body = Octets::default().u16(size).u16(0).0;
    let read = tpm.authorised(NV_READ, &[index, index], 1, &body)?;
    Ok(Fields(&read).sized().to_vec())
}

#[test]
fn what_is_no_certificate_keeps_the_server_from_starting() {
    let state = State::new("certificate-refused");
    let (empty, long) = (state.file("empty"), state.file("long"));
    std::fs::write(&empty, []).expect("a file");
    std::fs::write(&long, [0x30; 2049]).expect("a file");
    for (file, complaint) in
        [(empty, "Size"), (long, "Size"), (state.file("absent"), "No such file")]
    {
        let certificate = format!("p256={}", file.display());
        let mut command = server(&state.file("state"), &[&certificate]);
        let ran = command.arg("--unix").arg(state.file("socket")).output().expect("it starts");
        let complained = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{complained}");
        assert!(complained.contains(complaint), "{complained}");
    }
}

#[test]
fn everybody_reads_it_and_only_the_platform_replaces_it() {
    let state = State::new("certificate");
    let [first, other] = ["first.der", "other.der"].map(|name| state.file(name));
    std::fs::write(&first, b"a certificate").expect("a file");
    std::fs::write(&other, b"another").expect("a file");
    let p256 = format!("p256={}", first.display());
    let p384 = format!("p384={}", other.display());

    let mut tpm = start(&state, &[&p256, &p384]);
    assert_eq!(read(&mut tpm, P256, 13).as_deref(), Ok(&b"a certificate"[..]));
    assert_eq!(read(&mut tpm, P384, 7).as_deref(), Ok(&b"another"[..]));
    assert_eq!(read(&mut tpm, 0x01c0_0002, 7), Err(NO_SUCH_INDEX), "none for the RSA key");
    let write = Octets::default().sized(b"forged").u16(0).0;
    let written = tpm.authorised(NV_WRITE, &[P256, P256], 1, &write);
    assert_eq!(written, Err(AUTH_UNAVAILABLE));
    let undefined = tpm.authorised(NV_UNDEFINE_SPACE, &[OWNER, P256], 1, &[]);
    assert_eq!(undefined, Err(NV_AUTHORIZATION));
    drop(tpm);

    let mut tpm = state.start();
    assert_eq!(read(&mut tpm, P256, 13).as_deref(), Ok(&b"a certificate"[..]), "it persists");
    drop(tpm);
    let mut tpm = start(&state, &[&p256.replace("first", "other")]);
    assert_eq!(read(&mut tpm, P256, 7).as_deref(), Ok(&b"another"[..]));
}
