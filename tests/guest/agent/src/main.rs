// SPDX-License-Identifier: MIT OR Apache-2.0
//! `guest-agent LINE CONSOLE`: runs commands for the host.
//!
//! LINE is the serial port of the conversation (already in raw mode), CONSOLE the terminal whose
//! size the host may tell. The agent is started by the guest's init and lives until the machine is
//! off.
#![forbid(unsafe_code)]

use guest_agent::frame::{FrameError, FrameReader, PAYLOAD_BYTES_MAX};
use guest_agent::{Message, VERSION};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// From Linux's `asm-generic/fcntl.h`.
const O_NOCTTY: i32 = 0o400;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [line, console] = arguments.as_slice() else {
        eprintln!("usage: guest-agent LINE CONSOLE");
        return ExitCode::from(2);
    };
    match serve(line, console) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The sending half of the line, shared by the threads that report a command's output.
#[derive(Clone)]
struct Host(Arc<Mutex<File>>);

impl Host {
    fn tell(&self, message: &Message) -> Result<(), FrameError> {
        let mut line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        message.write(&mut *line)
    }

    /// For threads, which have nobody to return an error to: the console is all that is left.
    fn tell_or_complain(&self, message: &Message) {
        if let Err(error) = self.tell(message) {
            eprintln!("guest-agent: {error}");
        }
    }
}

fn serve(line: &str, console: &str) -> Result<(), FrameError> {
    // Not as the controlling terminal: a command that writes to /dev/tty must not break into
    // frames.
    let mut options = OpenOptions::new();
    options.custom_flags(O_NOCTTY);
    let mut reader = FrameReader::new(options.clone().read(true).open(line)?);
    let host = Host(Arc::new(Mutex::new(options.write(true).open(line)?)));
    let running = Arc::new(AtomicBool::new(false));
    let mut input = None;
    host.tell(&Message::Ready(VERSION))?;
    loop {
        match Message::read(&mut reader)? {
            Message::Run(command) if running.swap(true, Ordering::AcqRel) => {
                let reason = format!("busy: {} was not run", String::from_utf8_lossy(&command));
                host.tell(&Message::Refused(reason.into_bytes()))?;
            }
            Message::Run(command) => input = start(&command, &host, &running)?,
            Message::Input(bytes) => {
                // A command that ended or closed its input wants no more of it: that is its right.
                if input
                    .as_mut()
                    .is_some_and(|pipe: &mut ChildStdin| pipe.write_all(&bytes).is_err())
                {
                    input = None;
                }
                host.tell(&Message::InputTaken)?;
            }
            Message::InputEnd => input = None,
            Message::WindowSize { rows, columns } => resize(console, rows, columns),
            Message::PowerOff => power_off()?,
            other => {
                let reason = format!("the agent takes no such message: {other:?}");
                host.tell(&Message::Refused(reason.into_bytes()))?;
            }
        }
    }
}

/// Starts a command; threads of its own tell the host what it writes and how it ends.
fn start(
    command: &[u8],
    host: &Host,
    running: &Arc<AtomicBool>,
) -> Result<Option<ChildStdin>, FrameError> {
    let spawned = Command::new("sh")
        .arg("-c")
        .arg(String::from_utf8_lossy(command).as_ref())
        .current_dir("/root")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match spawned {
        Ok(mut child) => {
            let input = child.stdin.take();
            let (host, running) = (host.clone(), Arc::clone(running));
            thread::spawn(move || {
                let code = report(child, &host);
                // Before the host hears of the end, since it may send the next command at once.
                running.store(false, Ordering::Release);
                host.tell_or_complain(&Message::Exit(code));
            });
            Ok(input)
        }
        Err(error) => {
            running.store(false, Ordering::Release);
            host.tell(&Message::Refused(format!("no shell: {error}").into_bytes()))?;
            Ok(None)
        }
    }
}

/// Passes both outputs on until they end; the command's exit code.
fn report(mut child: Child, host: &Host) -> i32 {
    let output = child.stdout.take().map(|pipe| pass_on(pipe, host.clone(), Message::Output));
    let errors = child.stderr.take().map(|pipe| pass_on(pipe, host.clone(), Message::ErrorOutput));
    for thread in [output, errors].into_iter().flatten() {
        if thread.join().is_err() {
            eprintln!("guest-agent: a thread that reads the command's output died");
        }
    }
    match child.wait() {
        Ok(status) => status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
        Err(error) => {
            eprintln!("guest-agent: {error}");
            i32::from(u8::MAX)
        }
    }
}

fn pass_on(
    mut pipe: impl Read + Send + 'static,
    host: Host,
    message: fn(Vec<u8>) -> Message,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut bytes = [0; PAYLOAD_BYTES_MAX];
        while let Ok(count @ 1..) = pipe.read(&mut bytes) {
            host.tell_or_complain(&message(bytes[..count].to_vec()));
        }
    })
}

fn resize(console: &str, rows: u16, columns: u16) {
    let result = Command::new("stty")
        .args(["-F", console, "rows", &rows.to_string(), "cols", &columns.to_string()])
        .status();
    if let Err(error) = result {
        eprintln!("guest-agent: stty: {error}");
    }
}

fn power_off() -> Result<(), FrameError> {
    Command::new("sync").status()?;
    Command::new("poweroff").arg("-f").status()?;
    Ok(())
}
