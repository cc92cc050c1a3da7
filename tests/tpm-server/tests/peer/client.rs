// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM in a process of its own, behind a socket with raw frames, and commands to it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to listen, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// TPM_RS_PW.
pub(crate) const PASSWORD: u32 = 0x4000_0009;
/// TPM_SU_CLEAR.
pub(crate) const STARTUP_CLEAR: u16 = 0;
/// TPM_RC_RETRY.
const RETRY: u32 = 0x922;
/// Times that a command is sent.
const TRIES_MAX: usize = 3;

/// The outcome of a command: what stands behind the header, or the response code.
pub(crate) type Outcome = Result<Vec<u8>, u32>;

/// A server, ended when dropped.
pub(crate) struct Tpm {
    process: Child,
    stream: UnixStream,
    folder: PathBuf,
}

impl Tpm {
    /// This project's server.
    pub(crate) fn ours(name: &str) -> Self {
        let folder = new_folder(name);
        let socket = folder.join("socket");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tpm_server"));
        command.arg("--ephemeral").arg("--unix").arg(&socket);
        Self::start(command, &socket, folder)
    }

    /// swtpm with libtpms, as Debian has it.
    pub(crate) fn libtpms(name: &str) -> Self {
        let folder = new_folder(name);
        let socket = folder.join("socket");
        let mut command = Command::new("swtpm");
        command
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", folder.display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", socket.display()));
        Self::start(command, &socket, folder)
    }

    /// Starts a server that listens on `socket`; `folder` goes with it.
    pub(crate) fn start(command: Command, socket: &Path, folder: PathBuf) -> Self {
        Self::start_with(command, socket, folder, STARTUP_CLEAR)
    }

    /// The same, with this TPM_SU in TPM2_Startup.
    pub(crate) fn start_with(
        mut command: Command,
        socket: &Path,
        folder: PathBuf,
        startup: u16,
    ) -> Self {
        let mut process = command.stdin(Stdio::null()).spawn().expect("the server starts");
        let began = Instant::now();
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(problem) => {
                    let ended = process.try_wait().expect("the process can be asked");
                    assert!(ended.is_none(), "the server ended: {ended:?}");
                    assert!(began.elapsed() < START_LIMIT, "no server: {problem}");
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        let mut tpm = Self { process, stream, folder };
        match tpm.command(0x144, &startup.to_be_bytes()) {
            // TPM_RC_INITIALIZE: it was started already.
            Ok(_) | Err(0x100) => tpm,
            Err(code) => panic!("TPM2_Startup: {code:#x}"),
        }
    }

    /// A command without sessions.
    pub(crate) fn command(&mut self, code: u32, body: &[u8]) -> Outcome {
        self.exchange(0x8001, code, body)
    }

    /// A command whose handles are authorised by empty passwords: the response's handle, if it has
    /// one, and its parameters.
    pub(crate) fn authorised(
        &mut self,
        code: u32,
        handles: &[u32],
        authorised: usize,
        body: &[u8],
    ) -> Outcome {
        self.with_sessions(code, handles, &vec![PASSWORD; authorised], body)
    }

    /// A command with sessions that need no HMAC.
    pub(crate) fn with_sessions(
        &mut self,
        code: u32,
        handles: &[u32],
        sessions: &[u32],
        body: &[u8],
    ) -> Outcome {
        let sessions: Vec<_> = sessions.iter().map(|session| (*session, &[][..])).collect();
        self.with_passwords(code, handles, &sessions, body)
    }

    /// The same with passwords.
    pub(crate) fn with_passwords(
        &mut self,
        code: u32,
        handles: &[u32],
        sessions: &[(u32, &[u8])],
        body: &[u8],
    ) -> Outcome {
        let mut area = Octets::default();
        for (session, password) in sessions {
            area = area.u32(*session).sized(&[]).u8(1).sized(password);
        }
        self.with_area(code, handles, &area.0, body)
    }

    /// A command with this password for its first handle, which is the only one that needs one.
    pub(crate) fn with_password(
        &mut self,
        code: u32,
        handles: &[u32],
        password: &[u8],
        body: &[u8],
    ) -> Outcome {
        let area = Octets::default().u32(PASSWORD).sized(&[]).u8(1).sized(password);
        self.with_area(code, handles, &area.0, body)
    }

    fn with_area(&mut self, code: u32, handles: &[u32], area: &[u8], body: &[u8]) -> Outcome {
        let mut octets = Octets::default();
        for handle in handles {
            octets = octets.u32(*handle);
        }
        let size = u32::try_from(area.len()).expect("an area is short");
        let octets = octets.u32(size).bytes(area).bytes(body);
        let response = self.exchange(0x8002, code, &octets.0)?;
        let has_handle = matches!(code, 0x131 | 0x157 | 0x167 | 0x191);
        let (handle, rest) = response.split_at(if has_handle { 4 } else { 0 });
        let (size, rest) = rest.split_first_chunk().expect("a parameter size");
        let size = usize::try_from(u32::from_be_bytes(*size)).expect("a size");
        Ok([handle, &rest[..size]].concat())
    }

    /// Sends a command, again when the TPM asks for that: libtpms does so at the first use of an
    /// object with dictionary-attack protection.
    fn exchange(&mut self, tag: u16, code: u32, body: &[u8]) -> Outcome {
        let mut outcome = Err(RETRY);
        for _ in 0..TRIES_MAX {
            outcome = self.exchange_once(tag, code, body);
            if outcome != Err(RETRY) {
                break;
            }
        }
        outcome
    }

    fn exchange_once(&mut self, tag: u16, code: u32, body: &[u8]) -> Outcome {
        let size = u32::try_from(10 + body.len()).expect("a command is short");
        let frame = Octets::default().u16(tag).u32(size).u32(code).bytes(body);
        self.stream.write_all(&frame.0).expect("the server takes the command");
        let mut header = [0; 10];
        self.stream.read_exact(&mut header).expect("a response");
        let word =
            |place: usize| u32::from_be_bytes(*header[place..].first_chunk().expect("four octets"));
        let mut rest = vec![0; usize::try_from(word(2)).expect("a size") - header.len()];
        self.stream.read_exact(&mut rest).expect("a whole response");
        if word(6) == 0 { Ok(rest) } else { Err(word(6)) }
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        // Either may have happened already.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn new_folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tpm-peer-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    folder
}

/// Octets of a command.
#[derive(Clone, Default)]
pub(crate) struct Octets(pub(crate) Vec<u8>);

impl Octets {
    pub(crate) fn u8(self, value: u8) -> Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(self, value: u16) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(self, value: u32) -> Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn words(mut self, words: &[u16]) -> Self {
        for word in words {
            self = self.u16(*word);
        }
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn sized(self, bytes: &[u8]) -> Self {
        let size = u16::try_from(bytes.len()).expect("a TPM2B is short");
        self.u16(size).bytes(bytes)
    }
}

/// Octets of a response.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn u32(&mut self) -> u32 {
        let (value, rest) = self.0.split_first_chunk().expect("four octets");
        self.0 = rest;
        u32::from_be_bytes(*value)
    }

    pub(crate) fn sized(&mut self) -> &'a [u8] {
        let (size, rest) = self.0.split_first_chunk().expect("a size");
        let (value, rest) = rest.split_at(usize::from(u16::from_be_bytes(*size)));
        self.0 = rest;
        value
    }
}
