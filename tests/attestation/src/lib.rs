// SPDX-License-Identifier: MIT OR Apache-2.0
//! A relying party's conversation with the guest of a machine: nonce, evidence, credential,
//! verdict. The line to the guest stands for a network.
#![forbid(unsafe_code)]

pub mod issuer;
pub mod tools;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use attest::{
    Evidence, Reference, Verdict,
    chain::Roots,
    credential::{Credential, SECRET_BYTES},
    manifest::FreshnessRoot,
    report::Nonce,
    verify::{Activation, Question, verify, verify_platform},
};
use getrandom::{SysRng, rand_core::UnwrapErr};
use launcher::{Failure, Machine, Result};

/// What the agent in the guest is asked for: its `--manifest` and `--ek`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// `0`, `1` or `all`.
    pub manifest: &'static str,
    /// `rsa2048`, `p256` or `p384`.
    pub ek: &'static str,
}

/// What was said.
#[derive(Clone, Debug)]
pub struct Conversation {
    /// Of the relying party.
    pub nonce: Nonce,
    /// What the agent printed.
    pub json: String,
    /// The same, read.
    pub evidence: Evidence,
    /// The credential, and what came back; `None` when the platform was refused before.
    pub activation: Option<Activation>,
    /// What came of it.
    pub verdict: Verdict,
    /// What to remember of the vTPM's state, if all is accepted and it persists.
    pub freshness: Option<FreshnessRoot>,
}

impl Conversation {
    /// Leaves files in a folder for other verifiers, as they want them.
    ///
    /// # Errors
    /// A file can't be read or written.
    pub fn keep(&self, folder: &Path, machine: &Machine) -> Result<()> {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
        let igvm = machine.igvm().map(fs::read).transpose().map_err(failed)?.unwrap_or_default();
        fs::create_dir_all(folder).map_err(failed)?;
        let Some(Activation { secret, returned }) = &self.activation else {
            return Err(Failure::new("what is refused is not worth keeping"));
        };
        for (name, bytes) in [
            ("evidence.json", self.json.as_bytes()),
            ("nonce", hex::encode(self.nonce).as_bytes()),
            ("secret", hex::encode(secret).as_bytes()),
            ("returned", hex::encode(returned).as_bytes()),
            ("report.bin", &self.evidence.report),
            ("certificates.bin", &self.evidence.certificates),
            ("manifest.bin", &self.evidence.manifest),
            ("event-log", &self.evidence.event_log),
            ("image.igvm", &igvm),
        ] {
            fs::write(folder.join(name), bytes).map_err(failed)?;
        }
        Ok(())
    }
}

/// Has report, certificates, data and launch digest in a folder of [`Conversation::keep`] checked
/// by implementations that aren't ours, and copies refused that were tampered with; what they say.
///
/// # Errors
/// They refuse, or accept what they mustn't.
pub fn cross_check(folder: &Path) -> Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cross-check/evidence");
    let ran = Command::new(script).arg(folder).output();
    let ran = ran.map_err(|error| Failure::new(error.to_string()))?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    Err(Failure::new(String::from_utf8_lossy(&ran.stderr).into_owned()))
}

/// What is expected of a machine: exactly its image, and the emulated chip's root.
///
/// # Errors
/// The image can't be read.
pub fn reference(machine: &Machine) -> Result<Reference> {
    let igvm = machine.igvm().ok_or_else(|| Failure::new("no IGVM file"))?;
    let igvm = fs::read(igvm).map_err(|error| Failure::new(error.to_string()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut reference = Reference {
        roots: Roots { test_root: true },
        time_s: now.as_secs(),
        ..Reference::default()
    };
    reference.expect_image(&igvm).map_err(|error| Failure::new(error.to_string()))?;
    Ok(reference)
}

/// Random bytes.
///
/// # Errors
/// The operating system has none.
pub fn random<const LENGTH: usize>() -> Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new(error.to_string()))?;
    Ok(bytes)
}

/// Has the whole conversation.
///
/// # Errors
/// The agent failed. Evidence that is refused is no error: the verdict tells.
pub fn converse(
    machine: &mut Machine,
    reference: &Reference,
    request: Request,
) -> Result<Conversation> {
    let nonce = random()?;
    let Request { manifest, ek } = request;
    let json = machine.check(&format!(
        "attest-agent collect --nonce {} --manifest {manifest} --ek {ek}",
        hex::encode(nonce)
    ))?;
    let evidence = parse(&json)?;
    let activation = match credential(&evidence, &nonce, reference)? {
        None => None,
        Some((secret, credential)) => {
            let credential = hex::encode(credential.to_file());
            let returned =
                machine.check(&format!("attest-agent activate --credential {credential}"))?;
            let returned = hex::decode(returned.trim());
            let returned = returned.map_err(|error| Failure::new(error.to_string()))?;
            Some(Activation { secret, returned })
        }
    };
    let question = Question { nonce: &nonce, chain: None, activation: activation.as_ref() };
    let (verdict, freshness) = verify(&evidence, &question, reference);
    Ok(Conversation { nonce, json, evidence, activation, verdict, freshness })
}

/// Reads what the agent printed.
///
/// # Errors
/// It isn't evidence.
pub fn parse(json: &str) -> Result<Evidence> {
    Evidence::parse(json.as_bytes()).map_err(|refused| Failure::new(refused.to_string()))
}

/// A credential for the keys in the evidence, and the secret in it; `None` when the platform is
/// refused.
///
/// # Errors
/// No credential can be made for these keys.
pub fn credential(
    evidence: &Evidence,
    nonce: &Nonce,
    reference: &Reference,
) -> Result<Option<([u8; SECRET_BYTES], Credential)>> {
    let question = Question { nonce, chain: None, activation: None };
    let (_, vouched) = verify_platform(evidence, &question, reference);
    let Some(vouched) = vouched else { return Ok(None) };
    let secret = random()?;
    let credential = vouched.credential(nonce, &secret, &mut UnwrapErr(SysRng));
    let credential = credential.ok_or_else(|| Failure::new("no credential for this key"))?;
    Ok(Some((secret, credential)))
}
