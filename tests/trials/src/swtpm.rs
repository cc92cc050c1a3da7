// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's swtpm, libtpms in a process of its own: raw frames on one socket, power and locality on
//! another.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::transport::Transport;

/// How long it may take to listen, on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Commands of the control channel.
const CONTROL_INIT: u32 = 2;
const CONTROL_SET_LOCALITY: u32 = 5;
/// TPM_RC_RETRY: libtpms says so when it first uses an object with dictionary-attack protection.
const RETRY: [u8; 4] = [0, 0, 9, 0x22];
/// Times that a command is sent.
const TRIES_MAX: usize = 3;
const RESPONSE_SIZE_MAX: usize = 4096;
const HEADER_SIZE: usize = 10;

/// A new TPM; ended, and its state deleted, when dropped.
pub struct Swtpm {
    process: Child,
    data: UnixStream,
    control: UnixStream,
    locality: u8,
    folder: PathBuf,
}

impl Swtpm {
    /// A new one in a folder of its own below `folder`, with power, before TPM2_Startup.
    ///
    /// # Errors
    /// When swtpm isn't installed or doesn't start.
    pub fn start(folder: &Path) -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = folder.join(format!("tpm-trials-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (data, control) = (folder.join("data"), folder.join("control"));
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init", "--seccomp", "action=none"])
            .arg("--tpmstate")
            .arg(format!("dir={}", folder.display()))
            .arg("--server")
            .arg(format!("type=unixio,path={}", data.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", control.display()))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let control = connect(&control, &mut process)?;
        let data = connect(&data, &mut process)?;
        Ok(Self { process, data, control, locality: 0, folder })
    }

    fn order(&mut self, code: u32, octets: &[u8]) -> io::Result<()> {
        self.control.write_all(&[&code.to_be_bytes(), octets].concat())?;
        let mut answer = [0; 4];
        self.control.read_exact(&mut answer)?;
        if answer == [0; 4] {
            Ok(())
        } else {
            Err(io::Error::other(format!("control command {code}: {answer:02x?}")))
        }
    }

    fn exchange(&mut self, locality: u8, command: &[u8]) -> io::Result<Vec<u8>> {
        if locality != self.locality {
            self.order(CONTROL_SET_LOCALITY, &[locality])?;
            self.locality = locality;
        }
        for _ in 1..TRIES_MAX {
            let response = self.exchange_once(command)?;
            if response[6..HEADER_SIZE] != RETRY {
                return Ok(response);
            }
        }
        self.exchange_once(command)
    }

    fn exchange_once(&mut self, command: &[u8]) -> io::Result<Vec<u8>> {
        self.data.write_all(command)?;
        let mut response = vec![0; HEADER_SIZE];
        self.data.read_exact(&mut response)?;
        let size = u32::from_be_bytes(*response[2..].first_chunk().unwrap_or(&[0; 4]));
        let size = usize::try_from(size).unwrap_or_default();
        if !(HEADER_SIZE..=RESPONSE_SIZE_MAX).contains(&size) {
            return Err(io::Error::other("no response has that size"));
        }
        response.resize(size, 0);
        self.data.read_exact(&mut response[HEADER_SIZE..])?;
        Ok(response)
    }
}

fn connect(path: &Path, process: &mut Child) -> io::Result<UnixStream> {
    let began = Instant::now();
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(problem) => {
                if process.try_wait()?.is_some() || began.elapsed() > START_LIMIT {
                    return Err(problem);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

impl Transport for Swtpm {
    /// Executes a command.
    ///
    /// # Panics
    /// When swtpm ended or says what no TPM says: there is nothing to compare with any more.
    fn execute(&mut self, locality: u8, command: &[u8]) -> Vec<u8> {
        self.exchange(locality, command).expect("swtpm answers")
    }

    fn power_cycle(&mut self) {
        self.order(CONTROL_INIT, &[0; 4]).expect("swtpm starts its TPM again");
        self.locality = u8::MAX;
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // Either may have happened already.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}
