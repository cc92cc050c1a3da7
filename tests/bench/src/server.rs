// SPDX-License-Identifier: MIT OR Apache-2.0
//! The servers that are measured: child processes with a folder of their own.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::client::Problem;

const ATTEMPTS_MAX: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// A TPM server; it ends with this value.
pub(crate) struct Server {
    command: Command,
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Server {
    /// This project's, with these options.
    pub(crate) fn ours(program: &str, options: &[&str]) -> Result<Self, Problem> {
        let (port, control) = (free_port()?, free_port()?);
        let program = fs::canonicalize(program)?;
        let mut command = on_one_processor();
        command.arg(program);
        command.args(["--data", &port.to_string(), "--ctrl", &control.to_string()]);
        command.args(options);
        Self::start(command, port)
    }

    /// libtpms behind swtpm.
    pub(crate) fn swtpm() -> Result<Self, Problem> {
        let (port, control) = (free_port()?, free_port()?);
        let mut command = on_one_processor();
        command.args([
            "swtpm",
            "socket",
            "--tpm2",
            "--flags",
            "not-need-init",
            "--seccomp",
            "action=none",
        ]);
        command.args(["--server", &format!("type=tcp,port={port}")]);
        command.args(["--ctrl", &format!("type=tcp,port={control}")]);
        command.args(["--tpmstate", "dir=."]);
        Self::start(command, port)
    }

    fn start(mut command: Command, port: u16) -> Result<Self, Problem> {
        let folder = std::env::temp_dir().join(format!("bench-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder)?;
        command.current_dir(&folder).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn()?;
        Ok(Self { command, child, folder, port })
    }

    /// Ends it and starts it again with the state that it left.
    pub(crate) fn restart(&mut self) -> Result<(), Problem> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = self.command.spawn()?;
        Ok(())
    }

    /// The port of raw frames, once something listens there.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Processor time of all its threads so far.
    pub(crate) fn processor_ns(&self) -> Result<u64, Problem> {
        let mut sum = 0_u64;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let schedule = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = schedule.split(' ').next().ok_or("an empty schedstat")?;
            sum = sum.saturating_add(first.parse::<u64>().map_err(|problem| problem.to_string())?);
        }
        Ok(sum)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell that its folder stays.
        let _ended = self.child.kill().and_then(|()| self.child.wait());
        let _removed = fs::remove_dir_all(&self.folder);
    }
}

/// Runs a program on the first processor, as the same process.
fn on_one_processor() -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0"]);
    command
}

fn free_port() -> Result<u16, Problem> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Connects to a server that may still be starting.
pub(crate) fn connect(port: u16) -> Result<TcpStream, Problem> {
    let mut attempts = 0;
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(problem) if attempts == ATTEMPTS_MAX => return Err(problem.into()),
            Err(_) => thread::sleep(PAUSE),
        }
        attempts += 1;
    }
}
