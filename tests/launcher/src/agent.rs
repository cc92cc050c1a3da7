// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's end of the conversation with the guest's agent.

use crate::failure::{Context, Failure, Result};
use guest_agent::frame::FrameReader;
use guest_agent::{COMMAND_BYTES_MAX, Message, VERSION};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of standard input in one message: what a serial port's receiver surely has room for.
const INPUT_BYTES: usize = 1024;

/// What one command wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandOutput {
    /// Bytes of its standard output.
    pub stdout: Vec<u8>,
    /// Bytes of its standard error.
    pub stderr: Vec<u8>,
    /// Its exit code; 128 + n when signal n killed it.
    pub code: i32,
}

/// The line to the agent. A thread reads it, so that waiting can have an end.
#[derive(Debug)]
pub(crate) struct Agent {
    line: UnixStream,
    messages: Receiver<std::result::Result<Message, String>>,
}

/// What came of waiting for the agent.
enum Heard {
    Message(Message),
    /// Nothing more will come; why.
    Nothing(String),
    TooLate,
}

impl Agent {
    pub(crate) fn new(line: UnixStream) -> Result<Self> {
        let mut reader =
            FrameReader::new(line.try_clone().context(|| "share the agent's line".to_owned())?);
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            loop {
                let message = Message::read(&mut reader).map_err(|error| error.to_string());
                let ended = message.is_err();
                if sender.send(message).is_err() || ended {
                    return;
                }
            }
        });
        Ok(Self { line, messages })
    }

    /// Waits until the agent listens.
    pub(crate) fn wait_ready(&mut self, timeout: Duration) -> Result<()> {
        match self.hear(Instant::now() + timeout) {
            Heard::Message(Message::Ready(VERSION)) => Ok(()),
            Heard::Message(other) => Err(Failure::new(format!(
                "the guest's agent began with {other:?} instead of version {VERSION}; \
                 is the initramfs of this tree (tests/guest/build)?"
            ))),
            Heard::Nothing(why) => Err(Failure::new(format!("the guest never came up: {why}"))),
            Heard::TooLate => Err(Failure::new(format!(
                "no word from the guest's agent within {} s",
                timeout.as_secs()
            ))),
        }
    }

    /// Runs a command with `input` as its standard input and passes its output on as it comes.
    pub(crate) fn run(
        &mut self,
        command: &str,
        mut input: &[u8],
        output: &mut dyn Write,
        errors: &mut dyn Write,
        timeout: Duration,
    ) -> Result<i32> {
        if command.len() > COMMAND_BYTES_MAX {
            return Err(Failure::new(format!("a command may have {COMMAND_BYTES_MAX} bytes")));
        }
        let deadline = Instant::now() + timeout;
        self.tell(&Message::Run(command.as_bytes().to_vec()))?;
        input = self.feed(input)?;
        loop {
            match self.hear(deadline) {
                Heard::Message(Message::Output(bytes)) => output
                    .write_all(&bytes)
                    .and_then(|()| output.flush())
                    .context(|| "pass the command's output on".to_owned())?,
                Heard::Message(Message::ErrorOutput(bytes)) => errors
                    .write_all(&bytes)
                    .and_then(|()| errors.flush())
                    .context(|| "pass the command's error output on".to_owned())?,
                Heard::Message(Message::InputTaken) => input = self.feed(input)?,
                Heard::Message(Message::Exit(code)) => return Ok(code),
                Heard::Message(Message::Refused(reason)) => {
                    let reason = String::from_utf8_lossy(&reason).into_owned();
                    return Err(Failure::new(format!("the guest's agent refused: {reason}")));
                }
                Heard::Message(other) => {
                    return Err(Failure::new(format!("the guest's agent said {other:?}")));
                }
                Heard::Nothing(why) => {
                    return Err(Failure::new(format!(
                        "the machine ended during `{command}`: {why}"
                    )));
                }
                Heard::TooLate => {
                    let seconds = timeout.as_secs();
                    return Err(Failure::new(format!("`{command}` ran for {seconds} s: given up")));
                }
            }
        }
    }

    pub(crate) fn tell(&mut self, message: &Message) -> Result<()> {
        message.write(&mut self.line).context(|| "talk to the guest's agent".to_owned())
    }

    /// Sends the next part of a command's standard input, or its end; what remains.
    fn feed<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8]> {
        let (now, later) = input.split_at(input.len().min(INPUT_BYTES));
        if now.is_empty() {
            self.tell(&Message::InputEnd)?;
        } else {
            self.tell(&Message::Input(now.to_vec()))?;
        }
        Ok(later)
    }

    fn hear(&mut self, deadline: Instant) -> Heard {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Ok(message)) => Heard::Message(message),
            Ok(Err(why)) => Heard::Nothing(why),
            Err(RecvTimeoutError::Timeout) => Heard::TooLate,
            Err(RecvTimeoutError::Disconnected) => Heard::Nothing("it has ended".to_owned()),
        }
    }
}
