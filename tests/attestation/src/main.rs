// SPDX-License-Identifier: MIT OR Apache-2.0
//! `make attest`: boots, lets two clients collect evidence in the guest, checks it on the host, and
//! prints the chain of reasoning. The evidence stays in `build/attest`.
#![forbid(unsafe_code)]

use attestation::{Request, converse, reference, tools};
use launcher::{Machine, Options, Result};
use std::{process::ExitCode, time::Duration};

/// RSA keys take their time on an emulated processor.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_else(|| "1".to_owned());
    let Ok(cpus) = argument.parse() else {
        eprintln!("usage: attestation [CPUS]");
        return ExitCode::from(2);
    };
    match run(cpus) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("attestation: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything was accepted.
fn run(cpus: u8) -> Result<bool> {
    let options = Options { cpus, command_timeout: COMMAND_TIMEOUT, ..Options::default() };
    let mut machine = Machine::boot(&options)?;
    let reference = reference(&machine)?;
    println!("The agent, with the P-256 endorsement key and manifest version 1:");
    let request = Request { manifest: "1", ek: "p256" };
    let conversation = converse(&mut machine, &reference, request)?;
    println!("{}", conversation.verdict);
    conversation.keep("build/attest".as_ref(), &machine)?;
    println!("tpm2-tools and the shell, with the RSA endorsement key and manifest version 0:");
    let tools = tools::converse(&mut machine, &reference)?;
    println!("{tools}");
    machine.power_off()?;
    Ok(conversation.verdict.is_accepted() && tools.is_accepted())
}
