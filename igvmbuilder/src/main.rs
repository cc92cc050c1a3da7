// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program: reads files, calls the library, writes files.
#![forbid(unsafe_code)]

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use igvmbuilder::{
    build::{self, Input},
    digest, file,
    inspect::Description,
    options::{self, BuildOptions, Command, HELP, Text},
};

fn main() -> ExitCode {
    let command = match options::parse(std::env::args().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("igvmbuilder: {error}; --help explains");
            return ExitCode::from(2);
        }
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("igvmbuilder: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Help => print!("{HELP}"),
        Command::Build(options) => run_build(options)?,
        Command::Inspect(path) => print!("{}", Description(&file::read(&read(&path)?)?)),
        Command::Measure { file: path, json } => run_measure(&path, json)?,
    }
    Ok(())
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
    };
    let bytes = build::build(&input)?;
    fs::write(&options.output, bytes)
        .map_err(|error| format!("{}: {error}", options.output.display()))?;
    Ok(())
}

fn run_measure(path: &Path, json: bool) -> Result<(), Box<dyn Error>> {
    let igvm = file::read(&read(path)?)?;
    let digest = hex::encode(digest::measure(igvm.directives())?);
    if json {
        let policy = file::policy(&igvm).map(|policy| format!("{policy:#x}"));
        println!("{}", serde_json::json!({ "launch_digest": digest, "policy": policy }));
    } else {
        println!("{digest}");
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}
