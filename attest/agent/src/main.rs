// SPDX-License-Identifier: MIT OR Apache-2.0
//! `attest-agent`: the guest's side of attestation, as a command; `attest-agent --help` tells how.
#![forbid(unsafe_code)]

use std::{error::Error, fs, path::PathBuf, process::ExitCode};

use attest_agent::{
    EkKind,
    evidence::{self, Request},
    kernel::{self, ConfigFs, Device, Service},
    keys::AttestationKey,
};

const HELP: &str = "\
attest-agent - collects a guest's evidence for a relying party

attest-agent collect --nonce HEX [--manifest 0|1|all] [--ek rsa2048|p256|p384] [--state FILE]
    prints the evidence: JSON. The nonce is 64 bytes, the relying party's.
attest-agent activate --credential HEX [--state FILE]
    opens a credential for the key of the last evidence, and prints the secret

--manifest   the vTPM's manifest in this version, or that of all services (default 1)
--ek         the endorsement key (default p256; rsa2048 with manifest 0 and all)
--state      where the key is kept in between (default /run/attest-agent)
";

/// What was asked for.
struct Arguments {
    values: Vec<(String, String)>,
}

impl Arguments {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut values = Vec::new();
        let mut arguments = arguments;
        while let Some(option) = arguments.next() {
            let known = ["--nonce", "--manifest", "--ek", "--state", "--credential"];
            if !known.contains(&option.as_str()) {
                return Err(format!("unknown argument {option:?}"));
            }
            let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
            values.push((option, value));
        }
        Ok(Self { values })
    }

    fn get(&self, option: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == option).map(|(_, value)| value.as_str())
    }

    fn bytes(&self, option: &str) -> Result<Vec<u8>, String> {
        let text = self.get(option).ok_or_else(|| format!("{option} is missing"))?;
        hex::decode(text).map_err(|error| format!("{option}: {error}"))
    }

    fn state(&self) -> PathBuf {
        PathBuf::from(self.get("--state").unwrap_or("/run/attest-agent"))
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let outcome = match command.as_str() {
        "collect" => run(arguments, collect),
        "activate" => run(arguments, activate),
        _ => {
            print!("{HELP}");
            return ExitCode::from(u8::from(command != "--help") * 2);
        }
    };
    match outcome {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("attest-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<String, Box<dyn Error>>;

fn run(arguments: impl Iterator<Item = String>, task: fn(&Arguments) -> Outcome) -> Outcome {
    task(&Arguments::parse(arguments)?)
}

fn collect(arguments: &Arguments) -> Outcome {
    let nonce = arguments.bytes("--nonce")?;
    let nonce = nonce.try_into().map_err(|_| "the nonce must be 64 bytes")?;
    let service = match arguments.get("--manifest").unwrap_or("1") {
        "all" => Service::All,
        version => Service::Vtpm(version.parse().map_err(|_| "--manifest: 0, 1 or all")?),
    };
    let ek = match (arguments.get("--ek"), service) {
        (Some(name), _) => EkKind::from_name(name).ok_or("--ek: rsa2048, p256 or p384")?,
        (None, Service::All | Service::Vtpm(0)) => EkKind::Rsa2048,
        (None, Service::Vtpm(_)) => EkKind::P256,
    };
    let event_log = kernel::event_log(kernel::EVENT_LOG.as_ref())?;
    let mut tpm = Device::open(kernel::TPM_DEVICE.as_ref())?;
    let request = Request { nonce, service, ek };
    let collected = evidence::collect(&mut tpm, &mut ConfigFs::default(), &event_log, &request)?;
    fs::write(arguments.state(), collected.key.to_text())?;
    Ok(collected.json)
}

fn activate(arguments: &Arguments) -> Outcome {
    let credential = arguments.bytes("--credential")?;
    let text = fs::read_to_string(arguments.state())?;
    let key = AttestationKey::from_text(&text).ok_or("the kept key can't be read")?;
    let mut tpm = Device::open(kernel::TPM_DEVICE.as_ref())?;
    let secret = evidence::activate(&mut tpm, &key, &credential)?;
    Ok(format!("{}\n", hex::encode(secret)))
}
