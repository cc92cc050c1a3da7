// SPDX-License-Identifier: MIT OR Apache-2.0
//! swtpm's control channel: volatile state that is kept, also by swtpm's own tool; and QEMU.

#[path = "peer/client.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod client;
mod state;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use client::{Octets, Tpm};
use state::State;

const PCR_EXTEND: u32 = 0x182;
const PCR_READ: u32 = 0x17e;
const READ_CLOCK: u32 = 0x181;
/// Commands of the control channel.
const INIT: u32 = 2;
const STORE_VOLATILE: [u32; 1] = [0x0a];
const STOP: [u32; 1] = [0x0e];
/// PCR 16 of the bank of SHA-256.
const SELECTION: [u8; 10] = [0, 0, 0, 1, 0, 0x0b, 3, 0, 0, 1];

impl State {
    fn control(&self) -> PathBuf {
        self.sockets().join("socket.ctrl")
    }

    /// A command of the control channel: whether it was done.
    fn order(&self, words: &[u32]) -> bool {
        let mut stream = UnixStream::connect(self.control()).expect("the channel is there");
        let request: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        stream.write_all(&request).expect("the server takes the order");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer");
        answer == [0; 4]
    }

    fn volatile(&self) -> PathBuf {
        self.file("state.volatile")
    }

    /// Lets swtpm's own tool do something: whether it says that it was done.
    fn tool(&self, option: &str) -> bool {
        let mut command = Command::new("swtpm_ioctl");
        let outcome = command.arg("--unix").arg(self.control()).arg(option).output();
        outcome.expect("Debian's package swtpm-tools is there").status.success()
    }
}

fn extend(tpm: &mut Tpm) {
    let body = Octets::default().u32(1).u16(0x0b).bytes(&[7; 32]).0;
    tpm.authorised(PCR_EXTEND, &[16], 1, &body).expect("PCR 16 can be extended");
}

/// The value of PCR 16.
fn pcr(tpm: &mut Tpm) -> Vec<u8> {
    let read = tpm.command(PCR_READ, &SELECTION).expect("PCR 16 can be read");
    read[read.len() - 32..].to_vec()
}

#[test]
fn stored_volatile_state_is_taken_once() {
    let state = State::new("control-once");
    let mut tpm = state.start();
    extend(&mut tpm);
    let value = pcr(&mut tpm);
    assert_ne!(value, [0; 32]);
    assert!(state.order(&STORE_VOLATILE));
    assert!(state.volatile().exists());
    // Dropping it kills the process.
    drop(tpm);
    let mut tpm = state.start();
    assert!(!state.volatile().exists(), "it was taken");
    assert_eq!(pcr(&mut tpm), value, "the TPM goes on");
    drop(tpm);
    assert_eq!(pcr(&mut state.start()), [0; 32], "a loss of power");
}

#[test]
fn volatile_state_of_a_tpm_that_went_on_is_not_taken() {
    let state = State::new("control-stale");
    let mut tpm = state.start();
    extend(&mut tpm);
    assert!(state.order(&STORE_VOLATILE));
    tpm.command(READ_CLOCK, &[]).expect("it goes on");
    assert!(!state.volatile().exists());
    drop(tpm);
    let mut tpm = state.start();
    assert_eq!(pcr(&mut tpm), [0; 32]);
    // Without power there is none.
    assert!(state.order(&STOP));
    assert!(!state.order(&STORE_VOLATILE));
    assert!(!state.volatile().exists());
}

#[test]
fn a_start_takes_volatile_state_in_the_same_process() {
    let state = State::new("control-resume");
    let mut tpm = state.start();
    extend(&mut tpm);
    let value = pcr(&mut tpm);
    // With the flag and without: it is taken, and deleted then.
    for init in [[INIT, 0], [INIT, 1]] {
        assert!(state.order(&STORE_VOLATILE) && state.order(&STOP) && state.order(&init));
        assert!(!state.volatile().exists());
        assert_eq!(pcr(&mut tpm), value);
    }
}

#[test]
#[ignore = "needs swtpm"]
fn swtpms_tool_stores_and_resumes() {
    let state = State::new("control-tool");
    let mut tpm = state.start();
    extend(&mut tpm);
    let value = pcr(&mut tpm);
    assert!(state.tool("-v") && state.tool("--stop") && state.tool("-i"));
    assert!(!state.volatile().exists());
    assert_eq!(pcr(&mut tpm), value);
}

/// QEMU with a TPM behind the control channel. Its processor rests: its bus is driven from here.
struct Qemu {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Registers of locality 0 (PC Client Platform TPM Profile, 6.4.2).
mod register {
    pub(super) const ACCESS: u32 = 0xfed4_0000;
    pub(super) const STATUS: u32 = 0xfed4_0018;
    pub(super) const FIFO: u32 = 0xfed4_0024;
}

const REQUEST_USE: u8 = 0x02;
const ACTIVE_LOCALITY: u8 = 0x20;
const COMMAND_READY: u8 = 0x40;
const GO: u8 = 0x20;
const DATA_AVAILABLE: u8 = 0x10;
/// How long a command may take, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

impl Qemu {
    fn start(control: &Path) -> Self {
        let mut process = Command::new("qemu-system-x86_64")
            .args(["-machine", "q35", "-accel", "tcg", "-S", "-nodefaults", "-display", "none"])
            .args(["-qtest", "stdio", "-qtest-log", "/dev/null"])
            .args(["-tpmdev", "emulator,id=tpm,chardev=control"])
            .arg("-chardev")
            .arg(format!("socket,id=control,path={}", control.display()))
            .args(["-device", "tpm-tis,tpmdev=tpm"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("QEMU is installed");
        let orders = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, orders, answers }
    }

    /// An order of QEMU's qtest protocol: what it answers behind OK.
    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("QEMU runs");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("QEMU answers");
        let answer = answer.trim_end().strip_prefix("OK").map(str::trim);
        answer.unwrap_or_else(|| panic!("{order} is refused")).to_owned()
    }

    fn write(&mut self, register: u32, octet: u8) {
        self.order(&format!("writeb {register:#x} {octet:#x}"));
    }

    fn read(&mut self, register: u32) -> u8 {
        let answer = self.order(&format!("readb {register:#x}"));
        let digits = answer.strip_prefix("0x").expect("a number");
        let number = u64::from_str_radix(digits, 16).expect("a number");
        u8::try_from(number).expect("an octet")
    }

    /// A command through the FIFO of the TPM's interface: the response.
    fn execute(&mut self, command: &[u8]) -> Vec<u8> {
        self.write(register::STATUS, COMMAND_READY);
        for octet in command {
            self.write(register::FIFO, *octet);
        }
        self.write(register::STATUS, GO);
        let began = Instant::now();
        let mut response = Vec::new();
        loop {
            let is_there = self.read(register::STATUS) & DATA_AVAILABLE != 0;
            match (is_there, response.is_empty()) {
                (true, _) => response.push(self.read(register::FIFO)),
                (false, false) => return response,
                (false, true) => {
                    assert!(began.elapsed() < ANSWER_LIMIT, "no response");
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // Either may have happened already.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

#[test]
fn qemu_finds_its_tpm_behind_the_control_channel() {
    let state = State::new("control-qemu");
    let mut direct = state.start();
    extend(&mut direct);
    let value = pcr(&mut direct);
    let mut qemu = Qemu::start(&state.control());
    qemu.write(register::ACCESS, REQUEST_USE);
    assert_ne!(qemu.read(register::ACCESS) & ACTIVE_LOCALITY, 0);
    // QEMU has made its TPM start anew.
    let read = [&[0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e][..], &SELECTION].concat();
    assert_eq!(qemu.execute(&read), [0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0]);
    let startup = [0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0];
    assert_eq!(qemu.execute(&startup), [0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0]);
    let response = qemu.execute(&read);
    assert_eq!(response[..10], [0x80, 1, 0, 0, 0, 62, 0, 0, 0, 0]);
    assert_eq!(response[30..], [0; 32]);
    assert_ne!(value, [0; 32], "it was another one before");
    assert_eq!(pcr(&mut direct), [0; 32], "and both talk to the same TPM");
}
