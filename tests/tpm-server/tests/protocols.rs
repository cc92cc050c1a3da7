// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the server's protocols carry beside commands: measurements by hardware, storage that is
//! taken away, the flag of a dynamic launch.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tpm::crypto::hash::HashAlgorithm;

/// How long the server may take to listen, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
const STARTUP: &[u8] = &[0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
/// TPM2_PCR_Read of PCR 0 in the bank of SHA-256.
const READ_PCR_0: &[u8] = &[0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0];
/// TPM2_HierarchyChangeAuth of the owner, from nothing to nothing.
const CHANGE_AUTH: &[u8] = &[
    0x80, 2, 0, 0, 0, 29, 0, 0, 1, 0x29, 0x40, 0, 0, 1, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0,
    0, 0,
];

/// A server, ended when dropped.
struct Server(Child);

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tpm_server"));
        let process = command.arg("--ephemeral").args(arguments).stdin(Stdio::null()).spawn();
        Self(process.expect("the server starts"))
    }

    fn connect<S>(&mut self, connect: impl Fn() -> io::Result<S>) -> S {
        let began = Instant::now();
        loop {
            match connect() {
                Ok(stream) => return stream,
                Err(problem) => {
                    let ended = self.0.try_wait().expect("the process can be asked");
                    assert!(ended.is_none(), "the server ended: {ended:?}");
                    assert!(began.elapsed() < START_LIMIT, "no server: {problem}");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Either may have happened already.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

fn ask<const N: usize>(stream: &mut (impl Read + Write), request: &[u8]) -> [u8; N] {
    stream.write_all(request).expect("the server takes the request");
    let mut answer = [0; N];
    stream.read_exact(&mut answer).expect("an answer");
    answer
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// What PCR 0 is when hardware has measured this before TPM2_Startup.
fn measured(data: &[u8]) -> Vec<u8> {
    let mut start = [0; 32];
    start[31] = 4;
    let digest = HashAlgorithm::Sha256.digest(&[data]);
    HashAlgorithm::Sha256.digest(&[&start, &digest]).to_vec()
}

/// A server with swtpm's two sockets.
struct Swtpm {
    control: UnixStream,
    data: UnixStream,
    folder: PathBuf,
    _server: Server,
}

impl Swtpm {
    fn start(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tpm-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let socket = folder.join("socket");
        let text = socket.to_str().expect("a path of characters");
        let mut server = Server::start(&["--unix", text]);
        let control = server.connect(|| UnixStream::connect(format!("{text}.ctrl")));
        let data = server.connect(|| UnixStream::connect(&socket));
        Self { control, data, folder, _server: server }
    }

    /// A part of the state.
    fn state(&mut self, part: u32) -> Vec<u8> {
        let header: [u8; 16] = ask(&mut self.control, &words(&[0x0c, 0, part, 0]));
        assert_eq!(header[..4], [0; 4]);
        assert_eq!(header[8..12], header[12..], "all at once");
        let size = u32::from_be_bytes(*header.last_chunk().expect("a size"));
        let mut octets = vec![0; usize::try_from(size).expect("a size")];
        self.control.read_exact(&mut octets).expect("the state");
        octets
    }

    /// Gives it a part of the state: the result.
    fn set_state(&mut self, part: u32, octets: &[u8]) -> [u8; 4] {
        let size = u32::try_from(octets.len()).expect("a state is short");
        ask(&mut self.control, &[&words(&[0x0d, 0, part, size])[..], octets].concat())
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

/// TPM2_PCR_Extend of PCR 0 in the bank of SHA-256.
fn extend_pcr_0() -> Vec<u8> {
    let header = [0x80, 2, 0, 0, 0, 65, 0, 0, 1, 0x82, 0, 0, 0, 0];
    let area = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 1, 0, 0];
    [&header[..], &area, &[0, 0, 0, 1, 0, 0x0b], &[7; 32]].concat()
}

/// A TPM goes on behind another server, and refuses what is no state.
#[test]
fn a_running_tpm_moves_to_another_server() {
    let (mut from, mut to) = (Swtpm::start("from"), Swtpm::start("to"));
    let started: [u8; 10] = ask(&mut from.data, STARTUP);
    assert_eq!(started[6..], [0; 4]);
    let extended: [u8; 19] = ask(&mut from.data, &extend_pcr_0());
    assert_eq!(extended[6..10], [0; 4]);
    let before: [u8; 62] = ask(&mut from.data, READ_PCR_0);
    let (permanent, volatile) = (from.state(1), from.state(2));
    assert!(from.state(3).is_empty());

    assert_ne!(to.set_state(1, &permanent), [0; 4], "it has power");
    assert_eq!(ask(&mut to.control, &words(&[0x0e])), [0; 4]);
    let refused: [u8; 16] = ask(&mut to.control, &words(&[0x0c, 0, 2, 0]));
    assert_ne!(refused[..4], [0; 4], "without power memory is empty");
    assert_ne!(to.set_state(1, &permanent[1..]), [0; 4], "no state");
    assert_eq!(to.set_state(1, &permanent), [0; 4]);
    assert_eq!(to.set_state(2, &volatile), [0; 4]);
    assert_eq!(to.set_state(3, &[]), [0; 4]);
    assert_eq!(ask(&mut to.control, &words(&[2, 0])), [0; 4]);
    let after: [u8; 62] = ask(&mut to.data, READ_PCR_0);
    assert_eq!(after[28..], before[28..]);
    let again: [u8; 10] = ask(&mut to.data, STARTUP);
    assert_eq!(again[6..], [0, 0, 1, 0], "it is started");

    // The same with octets that are no state: the TPM says that it failed.
    assert_eq!(ask(&mut to.control, &words(&[0x0e])), [0; 4]);
    assert_eq!(to.set_state(2, &volatile[1..]), [0; 4]);
    assert_eq!(ask(&mut to.control, &words(&[2, 0])), [0; 4]);
    let failed: [u8; 10] = ask(&mut to.data, STARTUP);
    assert_eq!(failed[6..], [0, 0, 1, 1]);
}

#[test]
fn the_control_channel_measures() {
    let mut server = Swtpm::start("measures");
    let Swtpm { control, data, .. } = &mut server;
    let capabilities = u64::from_be_bytes(ask(control, &words(&[1])));
    assert_ne!(capabilities & 1 << 4, 0, "it says so");
    assert_eq!(ask(control, &words(&[4])), [0; 8], "no launch yet");

    assert_eq!(ask(control, &words(&[2, 0])), [0; 4], "power");
    assert_eq!(ask(control, &words(&[6])), [0; 4]);
    assert_eq!(ask(control, &[&words(&[7, 5])[..], b"first"].concat()), [0; 4]);
    assert_eq!(ask(control, &[&words(&[7, 5])[..], b" code"].concat()), [0; 4]);
    assert_eq!(ask(control, &words(&[8])), [0; 4]);
    let started: [u8; 10] = ask(data, STARTUP);
    assert_eq!(started[6..], [0; 4]);
    let read: [u8; 62] = ask(data, READ_PCR_0);
    assert_eq!(read[30..], measured(b"first code"));

    assert_eq!(ask(control, &words(&[4])), [0, 0, 0, 0, 1, 0, 0, 0], "a launch");
    assert_eq!(ask(control, &[&words(&[0x0b])[..], &[0]].concat()), [0; 4]);
    assert_eq!(ask(control, &words(&[4])), [0; 8]);
    assert_eq!(ask(control, &words(&[0x0e])), [0; 4], "no power");
    assert_ne!(ask(control, &words(&[6])), [0; 4], "nothing measures");
}

/// Two ports, one behind the other, that nobody listens on now.
fn free_ports() -> u16 {
    (0..100)
        .find_map(|_| {
            let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            let port = first.local_addr().ok()?.port();
            let next = TcpListener::bind((Ipv4Addr::LOCALHOST, port.checked_add(1)?)).ok()?;
            drop((first, next));
            Some(port)
        })
        .expect("free ports")
}

/// A command over the mssim protocol: its response.
fn execute(commands: &mut TcpStream, command: &[u8]) -> Vec<u8> {
    let size = u32::try_from(command.len()).expect("a command is short");
    let request = [&words(&[8])[..], &[0], &words(&[size]), command].concat();
    let size: [u8; 4] = ask(commands, &request);
    let size = usize::try_from(u32::from_be_bytes(size)).expect("a size");
    let mut response = vec![0; size + 4];
    commands.read_exact(&mut response).expect("a response");
    assert_eq!(response.split_off(size), [0; 4]);
    response
}

#[test]
fn the_simulators_protocol_measures_and_takes_storage_away() {
    let port = free_ports();
    let mut server = Server::start(&["-port", &port.to_string()]);
    let mut platform = server.connect(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port + 1)));
    let mut commands = server.connect(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
    assert_eq!(ask(&mut commands, &words(&[5])), [0; 4]);
    assert_eq!(ask(&mut commands, &[&words(&[6, 4])[..], b"code"].concat()), [0; 4]);
    assert_eq!(ask(&mut commands, &words(&[7])), [0; 4]);
    assert_eq!(execute(&mut commands, STARTUP)[6..], [0; 4]);
    assert_eq!(execute(&mut commands, READ_PCR_0)[30..], measured(b"code"));

    assert_eq!(ask(&mut platform, &words(&[12])), [0; 4], "storage is off");
    assert_eq!(execute(&mut commands, CHANGE_AUTH)[6..], [0, 0, 9, 0x23]);
    assert_eq!(ask(&mut platform, &words(&[11])), [0; 4], "storage is on");
    assert_eq!(execute(&mut commands, CHANGE_AUTH)[6..10], [0; 4]);
}
