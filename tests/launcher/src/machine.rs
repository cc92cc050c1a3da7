// SPDX-License-Identifier: MIT OR Apache-2.0
//! A running machine.

use crate::agent::{Agent, CommandOutput};
use crate::failure::{Context, Failure, Result};
use crate::guest::GuestFiles;
use crate::log::Log;
use crate::options::{Console, Layers, Options};
use crate::payload::{Payload, RunFolder};
use crate::qemu::{self, Start};
use guest_agent::Message;
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often QEMU is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// How long QEMU may take to connect to its sockets: it does so before it runs anything.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A command's output that is kept in memory at most.
const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The guest powered it off.
    PoweredOff,
    /// The emulator stopped it with this code (see its documentation), written to the debug exit
    /// device.
    Stopped(u8),
    /// QEMU ended with this code, which is no debug exit.
    Failed(i32),
    /// A signal killed QEMU.
    Killed(i32),
}

impl From<ExitStatus> for Ending {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(0), _) => Self::PoweredOff,
            // The device exits with (code << 1) | 1; QEMU's own failures exit with 1 as well,
            // before anything has run, so that code 0 is not used.
            (Some(1), _) => Self::Failed(1),
            (Some(code), _) if code & 1 == 1 => match u8::try_from(code >> 1) {
                Ok(code) => Self::Stopped(code),
                Err(_) => Self::Failed(code),
            },
            (Some(code), _) => Self::Failed(code),
            (None, signal) => Self::Killed(signal.unwrap_or(0)),
        }
    }
}

/// A machine: QEMU, and the lines to it. Dropping it ends QEMU.
#[derive(Debug)]
pub struct Machine {
    options: Options,
    qemu: Child,
    agent: Agent,
    log: Log,
    payload: Option<(String, PathBuf)>,
    readers: Vec<JoinHandle<()>>,
    // Last, so that the sockets' folder goes after QEMU has gone.
    _folder: RunFolder,
}

impl Machine {
    /// Builds what is missing, starts a machine, and waits until its guest can run commands.
    pub fn boot(options: &Options) -> Result<Self> {
        let mut machine = Self::start(options)?;
        machine.wait_ready()?;
        Ok(machine)
    }

    /// Builds what is missing and starts a machine, without waiting for anything. For machines
    /// whose guest is not expected to come up.
    pub fn start(options: &Options) -> Result<Self> {
        let guest = GuestFiles::for_options(options)?;
        let folder = RunFolder::create()?;
        let start = match options.layers {
            Layers::Svsm => Start::Payload(Payload::build(options, &guest, &folder)?),
            Layers::LinuxAlone => Start::Guest(guest),
        };
        // Its clock begins when QEMU does.
        let log = Log::create(options.log.as_deref())?;
        let debug = folder.socket(qemu::DEBUG_SOCKET)?;
        let console = match options.console {
            Console::Log => Some(folder.socket(qemu::CONSOLE_SOCKET)?),
            Console::Terminal => None,
        };
        let agent = folder.socket(qemu::AGENT_SOCKET)?;

        let mut qemu = qemu::start(options, &start, &folder, &log)?;
        let connected = Self::connect(&mut qemu, &log, options.console, debug, console, agent);
        match connected {
            Ok((agent, readers)) => {
                let payload = match start {
                    Start::Payload(payload) => Some((payload.digest, payload.igvm)),
                    Start::Guest(_) => None,
                };
                let options = options.clone();
                Ok(Self { options, qemu, agent, log, payload, readers, _folder: folder })
            }
            Err(failure) => {
                end(&mut qemu);
                Err(failure)
            }
        }
    }

    fn connect(
        qemu: &mut Child,
        log: &Log,
        shown: Console,
        debug: UnixListener,
        console: Option<UnixListener>,
        agent: UnixListener,
    ) -> Result<(Agent, Vec<JoinHandle<()>>)> {
        let echo = shown == Console::Terminal;
        let mut readers = Vec::new();
        if let Some(errors) = qemu.stderr.take() {
            readers.push(log.follow(errors, "qemu: ", echo));
        }
        readers.push(log.follow(accept(&debug, qemu, log)?, "", echo));
        if let Some(console) = console {
            readers.push(log.follow(accept(&console, qemu, log)?, "guest: ", false));
        }
        Ok((Agent::new(accept(&agent, qemu, log)?)?, readers))
    }

    /// Waits until the guest can run commands.
    pub fn wait_ready(&mut self) -> Result<()> {
        let ready = self.agent.wait_ready(self.options.boot_timeout);
        self.explained(ready)
    }

    /// Runs a shell command in the guest.
    pub fn run(&mut self, command: &str) -> Result<CommandOutput> {
        self.run_with_input(command, &[])
    }

    /// Runs a shell command in the guest with these bytes as its standard input.
    pub fn run_with_input(&mut self, command: &str, input: &[u8]) -> Result<CommandOutput> {
        let (mut stdout, mut stderr) = (Bounded::default(), Bounded::default());
        let timeout = self.options.command_timeout;
        let code = self.agent.run(command, input, &mut stdout, &mut stderr, timeout);
        let code = self.explained(code)?;
        Ok(CommandOutput { stdout: stdout.0, stderr: stderr.0, code })
    }

    /// Runs a shell command in the guest and passes its output on as it comes; its exit code.
    pub fn stream(
        &mut self,
        command: &str,
        output: &mut dyn Write,
        errors: &mut dyn Write,
        timeout: Duration,
    ) -> Result<i32> {
        let code = self.agent.run(command, &[], output, errors, timeout);
        self.explained(code)
    }

    /// Runs a command that must end with exit code 0; its standard output as text.
    pub fn check(&mut self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        if output.code == 0 {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stdout, output.stderr].concat();
        let message =
            format!("`{command}` ended with {}: {}", output.code, String::from_utf8_lossy(&said));
        Err(Failure::with_log(message, &self.log))
    }

    /// Tells the guest the size of the terminal that its console is shown on.
    pub fn set_window_size(&mut self, rows: u16, columns: u16) -> Result<()> {
        self.agent.tell(&Message::WindowSize { rows, columns })
    }

    /// Has the guest power the machine off, and waits until it has. Any other ending is a failure.
    pub fn power_off(mut self) -> Result<Log> {
        self.agent.tell(&Message::PowerOff)?;
        let timeout = self.options.command_timeout;
        match self.wait(Some(timeout))? {
            Ending::PoweredOff => Ok(self.log.clone()),
            other => {
                Err(Failure::with_log(format!("powering off ended with {other:?}"), &self.log))
            }
        }
    }

    /// Waits until the machine ends by itself.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Ending> {
        let start = Instant::now();
        loop {
            let status = self.qemu.try_wait().context(|| "wait for QEMU".to_owned())?;
            if let Some(status) = status {
                self.finish_log();
                return Ok(status.into());
            }
            if timeout.is_some_and(|timeout| start.elapsed() > timeout) {
                let seconds = start.elapsed().as_secs();
                let message = format!("the machine did not end within {seconds} s");
                return Err(Failure::with_log(message, &self.log));
            }
            thread::sleep(POLL);
        }
    }

    /// The machine's log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The launch digest of the machine's IGVM file as igvmbuilder computes it, hexadecimal; `None`
    /// for Linux alone.
    #[must_use]
    pub fn launch_digest(&self) -> Option<&str> {
        self.payload.as_ref().map(|(digest, _)| digest.as_str())
    }

    /// The machine's IGVM file, which is there as long as the machine; `None` for Linux alone.
    #[must_use]
    pub fn igvm(&self) -> Option<&Path> {
        self.payload.as_ref().map(|(_, igvm)| igvm.as_path())
    }

    /// The time since QEMU was started.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.log.age()
    }

    /// Everything QEMU said before it ended is in the log after this.
    fn finish_log(&mut self) {
        for reader in self.readers.drain(..) {
            if reader.join().is_err() {
                eprintln!("launcher: a thread that writes the log died");
            }
        }
    }

    /// Adds to a failure how the machine ended, if it has, and the end of its log.
    fn explained<T>(&mut self, result: Result<T>) -> Result<T> {
        let Err(failure) = result else {
            return result;
        };
        // When the line breaks QEMU is about to end: give it time to say how.
        thread::sleep(10 * POLL);
        let ending = match self.qemu.try_wait() {
            Ok(Some(status)) => {
                self.finish_log();
                format!("; the machine ended with {:?}", Ending::from(status))
            }
            _ => "; the machine is still running".to_owned(),
        };
        Err(Failure::with_log(format!("{failure}{ending}"), &self.log))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.qemu);
        self.finish_log();
    }
}

/// Ends QEMU if it still runs.
fn end(qemu: &mut Child) {
    if matches!(qemu.try_wait(), Ok(Some(_))) {
        return;
    }
    if let Err(error) = qemu.kill().and_then(|()| qemu.wait()) {
        eprintln!("launcher: end QEMU: {error}");
    }
}

/// Waits until QEMU connects to a socket.
fn accept(listener: &UnixListener, qemu: &mut Child, log: &Log) -> Result<UnixStream> {
    let start = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).context(|| "a socket to QEMU".to_owned())?;
            return Ok(stream);
        }
        if let Ok(Some(status)) = qemu.try_wait() {
            // Its complaint is on its way into the log.
            thread::sleep(10 * POLL);
            return Err(Failure::with_log(format!("QEMU did not start ({status})"), log));
        }
        if start.elapsed() > CONNECT_TIMEOUT {
            return Err(Failure::with_log("QEMU did not connect to its sockets", log));
        }
        thread::sleep(POLL);
    }
}

/// Keeps what is written, up to a limit.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len().saturating_add(bytes.len()) > OUTPUT_BYTES_MAX {
            let reason = format!("the command wrote more than {OUTPUT_BYTES_MAX} bytes");
            return Err(std::io::Error::other(reason));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
