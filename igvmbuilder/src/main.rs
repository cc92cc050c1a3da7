// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program: reads files, calls the library, writes files.
#![forbid(unsafe_code)]

use std::{
    error::Error,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use igvmbuilder::{
    build::{self, Input},
    diff, file,
    id_block::{self, Signer},
    inspect::Description,
    key::{self, PrivateKey},
    measure,
    options::{self, BuildOptions, Command, HELP, IdentityOptions, Text},
};
use snp_abi::{launch::Digest, state_key::PublicKey};
use zeroize::Zeroizing;

fn main() -> ExitCode {
    let command = match options::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("igvmbuilder: {error}; --help explains");
            return ExitCode::from(2);
        }
    };
    run(command).unwrap_or_else(|error| {
        eprintln!("igvmbuilder: {error}");
        ExitCode::from(2)
    })
}

/// Does it; 0 for success. Only `diff` has more to say.
fn run(command: Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Help => print!("{HELP}"),
        Command::Build(options) => run_build(options)?,
        Command::Keygen { output } => run_keygen(&output)?,
        Command::Sign { file: path, output, identity } => {
            write(&output, &signed(&read(&path)?, &identity)?)?;
        }
        Command::Verify { file: path, id_key_digest, author_key_digest } => {
            run_verify(&path, id_key_digest, author_key_digest)?;
        }
        Command::Inspect(path) => print!("{}", Description(&file::read(&read(&path)?)?)),
        Command::Measure { file: path, json, explain } => run_measure(&path, json, explain)?,
        Command::Diff([first, second]) => return run_diff(&first, &second),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_build(options: BuildOptions) -> Result<(), Box<dyn Error>> {
    let optional = |path: Option<PathBuf>| path.map(|path| read(&path)).transpose();
    let input = Input {
        image: read(&options.image)?,
        kernel: optional(options.kernel)?,
        initrd: optional(options.initrd)?,
        cmdline: match options.cmdline {
            Some(Text::Inline(text)) => Some(text.into_bytes()),
            Some(Text::File(path)) => Some(read(&path)?),
            None => None,
        },
        arguments: options.arguments,
        policy: options.policy,
        console: options.console,
        flags: options.flags,
        state_owner: options.state_owner.as_deref().map(read_owner).transpose()?,
    };
    let unsigned = build::build(&input)?;
    let bytes = match &options.identity {
        Some(identity) => signed(&unsigned, identity)?,
        None => unsigned,
    };
    write(&options.output, &bytes)?;
    Ok(())
}

/// The file with an ID block.
fn signed(bytes: &[u8], options: &IdentityOptions) -> Result<Vec<u8>, Box<dyn Error>> {
    let signer = Signer {
        id_key: read_key(&options.id_key)?,
        author_key: options.author_key.as_deref().map(read_key).transpose()?,
    };
    Ok(id_block::sign(&file::read(bytes)?, &options.identity, &signer)?)
}

fn read_key(path: &Path) -> Result<PrivateKey, String> {
    let complain = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| complain(&error))?);
    PrivateKey::from_pem(&text).map_err(|error| complain(&error))
}

/// The public part of the key of the state's owner.
fn read_owner(path: &Path) -> Result<PublicKey, String> {
    let complain = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| complain(&error))?);
    key::public_point(&text).map_err(|error| complain(&error))
}

/// Makes a key. A file that is there stays: it may be the only copy of a key.
fn run_keygen(output: &Path) -> Result<(), Box<dyn Error>> {
    let key = PrivateKey::generate(&mut File::open("/dev/urandom")?)?;
    let text = key.to_pem()?;
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output);
    options
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| format!("{}: {error}", output.display()))?;
    println!("{}", hex::encode(key::digest(&key.public_key())));
    Ok(())
}

fn run_verify(
    path: &Path,
    id_key_digest: Option<Digest>,
    author_key_digest: Option<Digest>,
) -> Result<(), Box<dyn Error>> {
    let verified = id_block::verify(&file::read(&read(path)?)?)?;
    if id_key_digest.is_some_and(|expected| expected != verified.id_key_digest) {
        return Err(format!("the ID key is {}", hex::encode(verified.id_key_digest)).into());
    }
    if author_key_digest.is_some() && author_key_digest != verified.author_key_digest {
        let found = verified.author_key_digest.map_or("missing".into(), hex::encode);
        return Err(format!("the author key is {found}").into());
    }
    print!("{verified}");
    Ok(())
}

fn run_measure(path: &Path, json: bool, explain: bool) -> Result<(), Box<dyn Error>> {
    let measurement = measure::measure(&file::read(&read(path)?)?)?;
    if json {
        println!("{}", measurement.json(explain));
        return Ok(());
    }
    print!("{measurement}");
    if explain {
        print!("{}", measurement.explanation());
    }
    Ok(())
}

fn run_diff(first: &Path, second: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let comparison = diff::compare(&file::read(&read(first)?)?, &file::read(&read(second)?)?)?;
    print!("{comparison}");
    let [first, second] = comparison.digests;
    Ok(if first == second { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
