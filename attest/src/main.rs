// SPDX-License-Identifier: MIT OR Apache-2.0
//! `attest`: the relying party's program; `attest --help` tells its arguments.
#![forbid(unsafe_code)]

mod options;

use std::{
    error::Error,
    fs::{self, OpenOptions, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use attest::{
    Evidence, Reference, Verdict,
    chain::{Chain, Roots},
    credential::SECRET_BYTES,
    endorsement::{self, Issuer},
    last_seen,
    manifest::FreshnessRoot,
    public_area::PublicArea,
    report::Nonce,
    state_key::{self, Keys, Owner},
    verify::{Activation, Question, verify, verify_platform},
};
use getrandom::{SysRng, rand_core::UnwrapErr};
use options::{Options, OptionsError, Task};
use zerocopy::IntoBytes;
use zeroize::Zeroizing;

/// The evidence is refused.
const REFUSED: u8 = 1;
/// The command can't be carried out.
const FAILED: u8 = 2;

/// What a file holds, wiped afterwards.
type Secret = Zeroizing<Vec<u8>>;
type Outcome = Result<ExitCode, Box<dyn Error>>;

fn main() -> ExitCode {
    let outcome = match options::parse(std::env::args().skip(1)) {
        Err(error) => {
            eprintln!("attest: {error}; attest --help tells the arguments");
            return ExitCode::from(FAILED);
        }
        Ok((Task::Help, _)) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Ok((Task::Nonce, _)) => print_nonce(),
        Ok((Task::Credential, options)) => Session::open(&options).and_then(Session::credential),
        Ok((Task::StateKey, options)) => give_state_key(&options),
        Ok((Task::Verify, options)) => Session::open(&options).and_then(Session::verify),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("attest: {error}");
        ExitCode::from(FAILED)
    })
}

fn print_nonce() -> Outcome {
    let mut nonce: Nonce = [0; 64];
    getrandom::fill(&mut nonce)?;
    println!("{}", hex::encode(nonce));
    Ok(ExitCode::SUCCESS)
}

/// Makes a package with the state's key, if the guest that asks for it is the expected one.
fn give_state_key(options: &Options) -> Outcome {
    let owner = Owner::from_pem(&needed(&options.owner_key, "--owner-key")?)
        .ok_or("the owner's key isn't a private P-384 key in PKCS#8")?;
    let current = needed(&options.key, "--key")?;
    let previous = options.previous_key.as_deref().map(read).transpose()?.map(Zeroizing::new);
    let keys = Keys::new(&current, previous.as_ref().map(|key| key.as_slice()))
        .ok_or("a state's key is 32 random bytes")?;
    let chain = certificates(options)?.ok_or(OptionsError::Missing("--vcek"))?;
    let log = needed(&options.request, "--request")?;
    let request = match state_key::find_request(&String::from_utf8_lossy(&log)) {
        Ok(request) => request,
        Err(refused) => return report(&Verdict::malformed(Some(refused)), options),
    };
    let verdict = state_key::verify(&request, &owner, chain, &reference(options)?);
    if verdict.is_accepted() {
        let package = owner.pack(&request, &keys, &mut UnwrapErr(SysRng));
        let path = options.package.as_deref().ok_or(OptionsError::Missing("--package"))?;
        fs::write(path, package.ok_or("the request's key is no point")?.as_bytes())
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    report(&verdict, options)
}

/// The content of a file that must be given.
fn needed(path: &Option<PathBuf>, name: &'static str) -> Result<Secret, Box<dyn Error>> {
    let path = path.as_deref().ok_or(OptionsError::Missing(name))?;
    Ok(Zeroizing::new(read(path)?))
}

/// The files of a command line, read.
struct Session<'options> {
    options: &'options Options,
    /// The verdict's first line instead, when the file isn't evidence at all.
    evidence: Result<Evidence, attest::Refused>,
    nonce: Nonce,
    chain: Option<Chain>,
    reference: Reference,
}

impl<'options> Session<'options> {
    fn open(options: &'options Options) -> Result<Self, Box<dyn Error>> {
        let evidence = options.evidence.as_deref().ok_or(OptionsError::Missing("--evidence"))?;
        Ok(Self {
            options,
            evidence: Evidence::parse(&read(evidence)?),
            nonce: options.nonce.ok_or(OptionsError::Missing("--nonce"))?,
            chain: certificates(options)?,
            reference: reference(options)?,
        })
    }

    fn question<'given>(&'given self, activation: Option<&'given Activation>) -> Question<'given> {
        Question { nonce: &self.nonce, chain: self.chain.as_ref(), activation }
    }

    /// Makes a credential, if the platform is believed.
    fn credential(self) -> Outcome {
        let Ok(evidence) = &self.evidence else {
            return self.report(&self.malformed());
        };
        let (verdict, vouched) = verify_platform(evidence, &self.question(None), &self.reference);
        let Some(vouched) = vouched else {
            return self.report(&verdict);
        };
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret)?;
        let credential = vouched.credential(&self.nonce, &secret, &mut UnwrapErr(SysRng));
        let credential = credential.ok_or("the endorsement key takes no credential")?;
        let path = self.options.secret.as_deref().ok_or(OptionsError::Missing("--secret"))?;
        write_secret(path, &hex::encode(secret))?;
        println!("{}", hex::encode(credential.to_file()));
        Ok(ExitCode::SUCCESS)
    }

    /// Makes every check.
    fn verify(self) -> Outcome {
        let Ok(evidence) = &self.evidence else {
            return self.report(&self.malformed());
        };
        let activation = activation(self.options)?;
        let question = self.question(activation.as_ref());
        let (verdict, freshness) = verify(evidence, &question, &self.reference);
        if let (Some(root), Some(path)) = (freshness, &self.options.last_seen) {
            replace(path, &last_seen::to_text(&root))?;
        }
        if let (true, Some(path)) = (verdict.is_accepted(), &self.options.ek_pem) {
            // What was accepted is a key of the manifest's, and can be written.
            let key = PublicArea::parse_either(&evidence.ek_public);
            let pem = key.as_ref().and_then(endorsement::to_pem).ok_or("no PEM for this key")?;
            write(path, &pem)?;
        }
        self.report(&verdict)
    }

    fn malformed(&self) -> Verdict {
        Verdict::malformed(self.evidence.as_ref().err().cloned())
    }

    fn report(&self, verdict: &Verdict) -> Outcome {
        report(verdict, self.options)
    }
}

fn report(verdict: &Verdict, options: &Options) -> Outcome {
    if options.json {
        println!("{:#}", verdict.to_json());
    } else {
        print!("{verdict}");
    }
    let code = if verdict.is_accepted() { 0 } else { REFUSED };
    Ok(ExitCode::from(code))
}

fn reference(options: &Options) -> Result<Reference, Box<dyn Error>> {
    let mut reference = Reference {
        id_key_digest: options.id_key,
        author_key_digest: options.author_key,
        family_id: options.family_id,
        image_id: options.image_id,
        minimum_svn: options.minimum_svn.unwrap_or(0),
        minimum_tcb: options.minimum_tcb,
        chip_id: options.chip_id,
        ek_issuer: options.ek_issuer.as_deref().map(read).transpose()?,
        persistent_state: options.persistent_state || options.last_seen.is_some(),
        state_binding: options.state_binding,
        last_seen: options.last_seen.as_deref().map(read_last_seen).transpose()?.flatten(),
        roots: Roots { test_root: options.trust_test_root },
        time_s: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs(),
        ..Reference::default()
    };
    // One that can't be read is the command's fault, not the evidence's.
    if let Some(issuer) = &reference.ek_issuer {
        Issuer::parse(issuer)?;
    }
    if let Some(igvm) = &options.igvm {
        reference.expect_image(&read(igvm)?)?;
    }
    // What is said on the command line counts more than what the file says.
    reference.launch_digest = options.launch_digest.or(reference.launch_digest);
    reference.policy = options.policy.or(reference.policy);
    Ok(reference)
}

/// The root of the last accepted evidence; `None` before the first.
fn read_last_seen(path: &Path) -> Result<Option<FreshnessRoot>, String> {
    // Only where nothing is there: a file that can't be read isn't forgotten.
    let file = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let root = last_seen::parse(&file);
    root.ok_or_else(|| format!("{}: not a freshness root", path.display())).map(Some)
}

fn certificates(options: &Options) -> Result<Option<Chain>, Box<dyn Error>> {
    Ok(match (&options.certificates, &options.vcek, &options.chain) {
        (Some(table), ..) => Some(Chain::from_table(&read(table)?)?),
        (None, Some(vcek), Some(chain)) => Some(Chain::from_files(&read(vcek)?, &read(chain)?)?),
        _ => None,
    })
}

fn activation(options: &Options) -> Result<Option<Activation>, Box<dyn Error>> {
    let Some(path) = &options.secret else {
        return Ok(None);
    };
    let secret = hex::decode(String::from_utf8(read(path)?)?.trim())?;
    let secret = secret.try_into().map_err(|_| format!("{}: not a secret", path.display()))?;
    Ok(Some(Activation { secret, returned: options.returned.clone().unwrap_or_default() }))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file as a whole or not at all: losing it would be forgetting.
fn replace(path: &Path, text: &str) -> Result<(), String> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    write(new.as_ref(), text)?;
    fs::rename(&new, path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file that nobody else may read, also where one was that others could.
fn write_secret(path: &Path, text: &str) -> Result<(), String> {
    const OWNERS_ALONE: u32 = 0o600;
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(OWNERS_ALONE);
        let mut file = options.open(path)?;
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(OWNERS_ALONE))?;
        }
        file.write_all(text.as_bytes())
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}
