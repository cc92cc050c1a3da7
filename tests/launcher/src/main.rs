// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program behind `make run` and `make boots-20`; `launcher --help` tells its arguments.
#![forbid(unsafe_code)]

mod arguments;

use arguments::{Arguments, Task};
use launcher::{Console, Ending, Failure, Layers, Machine, Options, Result};
use std::io::{self, IsTerminal};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The exit code when the machine itself, and not the command in it, failed.
const MACHINE_FAILED: u8 = 125;

/// A command given by a person may run as long as it likes: this is a week.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            eprintln!("launcher: {complaint}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    let options = arguments.options;
    let outcome = match arguments.task {
        Task::Help => {
            print!("{}", arguments::USAGE);
            return ExitCode::SUCCESS;
        }
        Task::Shell => shell(options),
        Task::Command(command) => run_command(&options, &command),
        Task::Boots { count, cpus } => boots(&options, count, &cpus),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("launcher: {failure}");
        ExitCode::from(MACHINE_FAILED)
    })
}

/// A shell on this terminal until the guest powers off.
fn shell(mut options: Options) -> Result<ExitCode> {
    options.console = Console::Terminal;
    let mut machine = Machine::start(&options)?;
    eprintln!(
        "launcher: booting; the log is {}; Ctrl-A x gives up",
        machine.log().path().display()
    );
    match machine.wait_ready() {
        Ok(()) => {
            eprintln!("launcher: up after {:.1} s\r", machine.age().as_secs_f64());
            if let Some((rows, columns)) = window_size() {
                machine.set_window_size(rows, columns)?;
            }
        }
        // An initramfs of the user's own has no agent: that is no reason to end the machine.
        Err(failure) if options.initrd.is_none() => return Err(failure),
        Err(_) => {}
    }
    match machine.wait(None)? {
        Ending::PoweredOff => Ok(ExitCode::SUCCESS),
        ending => Err(Failure::with_log(format!("the machine ended: {ending:?}"), machine.log())),
    }
}

/// Only the command's output on this program's outputs, and its exit code.
fn run_command(options: &Options, command: &str) -> Result<ExitCode> {
    let mut machine = Machine::start(options)?;
    eprintln!("launcher: booting; the log is {}", machine.log().path().display());
    machine.wait_ready()?;
    eprintln!("launcher: up after {:.1} s", machine.age().as_secs_f64());
    let code = machine.stream(command, &mut io::stdout(), &mut io::stderr(), COMMAND_TIMEOUT)?;
    machine.power_off()?;
    // A process's exit code is a byte, in the guest as here.
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// Boots again and again; the first failure ends it.
fn boots(options: &Options, count: u32, cpus: &[u8]) -> Result<ExitCode> {
    for &cpus in cpus {
        let options = Options { cpus, ..options.clone() };
        for number in 1..=count {
            let mut machine = Machine::boot(&options)?;
            let (start, up) = (Instant::now(), machine.age().as_secs_f64());
            machine.check(match options.layers {
                Layers::Svsm => {
                    "test -c /dev/tpm0 && test -c /dev/tpmrm0 && tpm2_getrandom --hex 8"
                }
                Layers::LinuxAlone => "true",
            })?;
            machine.power_off()?;
            println!(
                "boot {number} of {count}, {cpus} CPU(s): up after {up:.1} s, off after {:.1} s",
                up + start.elapsed().as_secs_f64()
            );
        }
    }
    println!("{} boots passed", count as usize * cpus.len());
    Ok(ExitCode::SUCCESS)
}

/// Rows and columns of this terminal, if it is one.
fn window_size() -> Option<(u16, u16)> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let output = Command::new("stty").arg("size").stdin(Stdio::inherit()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (rows, columns) = text.trim().split_once(' ')?;
    Some((rows.parse().ok()?, columns.parse().ok()?))
}
