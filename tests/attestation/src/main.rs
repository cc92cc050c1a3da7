// SPDX-License-Identifier: MIT OR Apache-2.0
//! `make attest`: boots, lets two clients collect evidence in the guest, checks it on the host, and
//! prints the chain of reasoning. The evidence stays in `build/attest`. With a disk for the TPM's
//! state, how fresh that was is remembered beside the disk, and nothing older accepted.
#![forbid(unsafe_code)]

use attest::{Reference, last_seen, manifest::FreshnessRoot};
use attestation::{Request, converse, reference, tools};
use launcher::{Failure, Machine, Options, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// RSA keys take their time on an emulated processor.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let cpus = arguments.next().unwrap_or_else(|| "1".to_owned());
    let disk = arguments.next().map(PathBuf::from);
    let (Ok(cpus), None) = (cpus.parse(), arguments.next()) else {
        eprintln!("usage: attestation [CPUS [STATE]]");
        return ExitCode::from(2);
    };
    match run(cpus, disk) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("attestation: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything was accepted.
fn run(cpus: u8, disk: Option<PathBuf>) -> Result<bool> {
    let memory = disk.as_ref().map(|disk| disk.with_added_extension("last-seen"));
    let options =
        Options { cpus, state: disk, command_timeout: COMMAND_TIMEOUT, ..Options::default() };
    let mut machine = Machine::boot(&options)?;
    let image = reference(&machine)?;
    let fresh = Reference {
        persistent_state: memory.is_some(),
        last_seen: memory.as_deref().map(remembered).transpose()?.flatten(),
        ..image.clone()
    };
    println!("The agent, with the P-256 endorsement key and manifest version 1:");
    let request = Request { manifest: "1", ek: "p256" };
    let conversation = converse(&mut machine, &fresh, request)?;
    println!("{}", conversation.verdict);
    if !conversation.verdict.is_accepted() {
        return Ok(false);
    }
    conversation.keep("build/attest".as_ref(), &machine)?;
    if let (Some(memory), Some(root)) = (&memory, &conversation.freshness) {
        fs::write(memory, last_seen::to_text(root)).map_err(|error| failed(memory, &error))?;
    }
    // Of the state, version 0 tells nothing.
    println!("tpm2-tools and the shell, with the RSA endorsement key and manifest version 0:");
    let tools = tools::converse(&mut machine, &image)?;
    println!("{tools}");
    machine.power_off()?;
    Ok(tools.is_accepted())
}

/// How fresh the state was the last time; `None` the first time.
fn remembered(memory: &Path) -> Result<Option<FreshnessRoot>> {
    if !memory.exists() {
        return Ok(None);
    }
    let file = fs::read(memory).map_err(|error| failed(memory, &error))?;
    let root = last_seen::parse(&file);
    root.ok_or_else(|| failed(memory, &"not a freshness root")).map(Some)
}

fn failed(path: &Path, reason: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {reason}", path.display()))
}
