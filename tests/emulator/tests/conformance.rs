// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every conformance payload on the machine under QEMU and checks how it ends.
//!
//! `cargo test -p emulator --test conformance [-- WORD…]` runs all cases, or those whose names
//! contain a word. The bare-metal images are built once, by cargo, into `target/bare-metal`
//! (`BARE_METAL_TARGET_DIR` names another folder, `QEMU` another program).

mod signing;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use emulator::exit_code;
use igvmbuilder::build::{Input, build};
use payloads::{CASES, Case, Expectation};
use snp_abi::config::{Console, LaunchFlags};

/// Far more than a case needs, on a busy machine.
const TIME_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Programs and files that every case uses.
struct Bench {
    qemu: String,
    machine: PathBuf,
    payload: Vec<u8>,
    folder: PathBuf,
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let cases: Vec<&Case> = CASES
        .iter()
        .filter(|case| words.is_empty() || words.iter().any(|word| case.name.contains(word)))
        .collect();
    let bench = match Bench::prepare() {
        Ok(bench) => bench,
        Err(problem) => {
            eprintln!("conformance: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let failures = bench.run_all(&cases);
    println!("conformance: {} cases, {failures} failed", cases.len());
    if failures == 0 && !cases.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Bench {
    fn prepare() -> Result<Self, String> {
        let qemu = env::var("QEMU").unwrap_or_else(|_| "qemu-system-x86_64".into());
        let version = Command::new(&qemu).arg("--version").stdout(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            return Err(format!(
                "{qemu} can't be run; install it (apt-get install qemu-system-x86) or set QEMU"
            ));
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = env::var_os("BARE_METAL_TARGET_DIR")
            .map_or_else(|| root.join("target/bare-metal"), PathBuf::from);
        build_images(&root, &target)?;
        let images = target.join("x86_64-unknown-linux-gnu/image");
        let payload = images.join("payloads");
        let payload = fs::read(&payload).map_err(|e| format!("{}: {e}", payload.display()))?;
        let folder = target.join("conformance");
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        Ok(Self { qemu, machine: images.join("emulator"), payload, folder })
    }

    /// Runs the cases on as many threads as there are processors; the number of failures.
    fn run_all(&self, cases: &[&Case]) -> usize {
        let next = AtomicUsize::new(0);
        let failures = AtomicUsize::new(0);
        let output = Mutex::new(());
        let workers = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, SeqCst)) {
                        let begin = Instant::now();
                        let result = self.run(case);
                        let time_ms = begin.elapsed().as_millis();
                        let lock = output.lock();
                        match result {
                            Ok(()) => println!("ok     {} ({time_ms} ms)", case.name),
                            Err(problem) => {
                                failures.fetch_add(1, SeqCst);
                                println!("FAILED {} ({time_ms} ms): {problem}", case.name);
                            }
                        }
                        drop(lock);
                    }
                });
            }
        });
        failures.load(SeqCst)
    }

    fn run(&self, case: &Case) -> Result<(), String> {
        let file = self.folder.join(format!("{}.igvm", case.name));
        let log = self.folder.join(format!("{}.log", case.name));
        let igvm = build(&Input {
            image: self.payload.clone(),
            kernel: None,
            initrd: None,
            cmdline: None,
            arguments: case.name.into(),
            policy: 0x3_0000,
            console: Console::Debug(0xe9),
            flags: LaunchFlags::empty(),
            state_owner: None,
        })
        .map_err(|error| format!("IGVM file: {error}"))?;
        let igvm = signing::with_id_block(&igvm, case.id_block)?;
        fs::write(&file, igvm).map_err(|e| format!("{}: {e}", file.display()))?;
        let status = self.boot(case, &file, &log)?;
        let text = fs::read(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        judge(case, status, &String::from_utf8_lossy(&text))
    }

    /// QEMU's exit status.
    fn boot(&self, case: &Case, file: &Path, log: &Path) -> Result<i32, String> {
        // QEMU's first processor runs no guest (docs/decisions/0001-cpu-0-runs-no-guest.md).
        let processors = (case.processors + 1).to_string();
        let mut child = Command::new(&self.qemu)
            .args([
                "-machine",
                "q35,smm=off",
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "EPYC,+svm,+npt",
            ])
            .args(["-m", "512", "-smp", &processors, "-display", "none", "-nodefaults"])
            .args(["-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
            .arg("-debugcon")
            .arg(format!("file:{}", log.display()))
            .arg("-kernel")
            .arg(&self.machine)
            .arg("-initrd")
            .arg(file)
            .args(["-append", case.options])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.qemu))?;
        wait(&mut child)
    }
}

fn wait(child: &mut Child) -> Result<i32, String> {
    let begin = Instant::now();
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => return status.code().ok_or_else(|| status.to_string()),
            None if begin.elapsed() > TIME_LIMIT => {
                child.kill().map_err(|error| error.to_string())?;
                child.wait().map_err(|error| error.to_string())?;
                return Err(format!("no end after {} s", TIME_LIMIT.as_secs()));
            }
            None => thread::sleep(POLL),
        }
    }
}

fn build_images(root: &Path, target: &Path) -> Result<(), String> {
    println!("conformance: building the bare-metal images");
    let status = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["--config", "bare-metal.toml", "build", "--profile", "image"])
        .args(["-p", "emulator", "-p", "payloads"])
        .args(["--features", "emulator/bare-metal,payloads/bare-metal"])
        .arg("--target-dir")
        .arg(target)
        .env_remove("CARGO_TARGET_DIR")
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo build: {status}")) }
}

/// Compares what happened with what must happen.
fn judge(case: &Case, status: i32, log: &str) -> Result<(), String> {
    let expected_code = match case.expectation {
        Expectation::Pass => exit_code::PAYLOAD_PASSED,
        Expectation::Terminated { .. } => exit_code::GUEST_TERMINATED,
        Expectation::Violation(rule) if is_limit(rule) => exit_code::NOT_IMPLEMENTED,
        Expectation::Violation(_) => exit_code::VIOLATION,
        Expectation::Refused(_) => exit_code::CANNOT_START,
    };
    let expected_line = match case.expectation {
        Expectation::Pass => None,
        Expectation::Terminated { set, code } => {
            Some(format!("machine-termination: set={set:#x} code={code:#x} "))
        }
        Expectation::Violation(rule) => Some(format!("machine-violation: rule={rule} ")),
        Expectation::Refused(report) => Some(format!("the launch can't be finished: {report}")),
    };
    let line_is_there = expected_line.as_deref().is_none_or(|line| log.contains(line));
    let code_is_right = u32::try_from(status) == Ok(exit_code::qemu_status(expected_code));
    if line_is_there && code_is_right {
        return Ok(());
    }
    let mut problem = format!("expected {:?}, QEMU's status was {status}", case.expectation);
    let is_telling = |line: &&str| {
        ["machine-violation", "machine-fatal", "machine-cannot", "machine-termination", "payload"]
            .iter()
            .any(|prefix| line.starts_with(prefix))
    };
    for line in log.lines().filter(is_telling) {
        write!(problem, "\n       {line}").map_err(|error| error.to_string())?;
    }
    Err(problem)
}

/// Rules that say that the machine, not the guest, is at its limit.
fn is_limit(rule: &str) -> bool {
    rule == "table-entry-without-c-bit"
}
