// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `igvmbuilder`.

use std::{fmt, path::PathBuf};

use snp_abi::{
    config::{Console, DEFAULT_CONSOLE_PORT, LaunchFlags},
    launch::GuestPolicy,
};

/// What `--help` prints.
pub const HELP: &str = "\
igvmbuilder - builds, inspects and measures IGVM files for Macadamia-SVSM

igvmbuilder build --image SVSM --output FILE [options]
    --image FILE          the SVSM, an ELF64 executable
    --output FILE         where the IGVM file goes
    --kernel FILE         the Linux kernel that may be booted; its SHA-384 is measured
    --initrd FILE         the initial RAM disk that may be used; likewise
    --cmdline TEXT|@FILE  the command line that may be used; likewise, byte for byte
    --arguments TEXT      text for test payloads, at most 511 bytes
    --policy NUMBER       guest policy (default 0x30000)
    --console-port PORT   debug console of the SVSM (default 0xe9)
    --no-console          the SVSM logs nowhere
    --allow-unmeasured-payload
                          payload files without a measured digest may be used
    --verbose             the SVSM logs at debug level
igvmbuilder inspect FILE  prints what is in the file
igvmbuilder measure FILE [--json]
                          prints the launch digest
igvmbuilder --help        prints this
";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Build a file.
    Build(BuildOptions),
    /// Print what is in a file.
    Inspect(PathBuf),
    /// Print a file's launch digest.
    Measure {
        /// The file.
        file: PathBuf,
        /// As JSON.
        json: bool,
    },
    /// Print [`HELP`].
    Help,
}

/// A command line given as it is, or in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Text {
    /// As it is.
    Inline(String),
    /// In a file, taken byte for byte.
    File(PathBuf),
}

/// Options of `build`.
#[derive(Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// The SVSM.
    pub image: PathBuf,
    /// Where the file goes.
    pub output: PathBuf,
    /// The Linux kernel.
    pub kernel: Option<PathBuf>,
    /// The initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// The command line.
    pub cmdline: Option<Text>,
    /// Text for test payloads.
    pub arguments: String,
    /// The guest policy.
    pub policy: u64,
    /// Where the SVSM logs.
    pub console: Console,
    /// Options for the SVSM.
    pub flags: LaunchFlags,
}

/// What is wrong with the arguments.
#[derive(Debug, PartialEq, Eq)]
pub enum OptionsError {
    /// No command was given.
    NoCommand,
    /// An argument that isn't known here.
    Unknown(String),
    /// An option is given twice.
    Twice(String),
    /// An option lacks its value.
    NoValue(String),
    /// An option or file that must be given isn't.
    Missing(&'static str),
    /// Not a number, or too large.
    Number(String),
    /// `--console-port` and `--no-console` exclude each other.
    TwoConsoles,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand => write!(formatter, "no command given: build, inspect or measure"),
            Self::Unknown(argument) => write!(formatter, "unknown argument {argument:?}"),
            Self::Twice(option) => write!(formatter, "{option} is given twice"),
            Self::NoValue(option) => write!(formatter, "{option} needs a value"),
            Self::Missing(what) => write!(formatter, "{what} is missing"),
            Self::Number(text) => write!(formatter, "{text:?} isn't a number that fits"),
            Self::TwoConsoles => {
                write!(formatter, "--console-port and --no-console exclude each other")
            }
        }
    }
}

impl std::error::Error for OptionsError {}

/// Reads the arguments behind the program's name.
///
/// # Errors
/// See [`OptionsError`].
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, OptionsError> {
    let mut arguments = arguments.into_iter();
    let command = arguments.next().ok_or(OptionsError::NoCommand)?;
    let rest: Vec<String> = arguments.collect();
    if command == "--help" || rest.iter().any(|argument| argument == "--help") {
        return Ok(Command::Help);
    }
    match command.as_str() {
        "build" => parse_build(rest).map(Command::Build),
        "inspect" => parse_file(rest, false).map(|(file, _)| Command::Inspect(file)),
        "measure" => parse_file(rest, true).map(|(file, json)| Command::Measure { file, json }),
        _ => Err(OptionsError::Unknown(command)),
    }
}

fn parse_file(arguments: Vec<String>, json_allowed: bool) -> Result<(PathBuf, bool), OptionsError> {
    let (mut file, mut json) = (None, false);
    for argument in arguments {
        if argument == "--json" && json_allowed {
            json = true;
        } else if argument.starts_with('-') || file.is_some() {
            return Err(OptionsError::Unknown(argument));
        } else {
            file = Some(PathBuf::from(argument));
        }
    }
    Ok((file.ok_or(OptionsError::Missing("the file"))?, json))
}

/// The options of `build` as they were given.
#[derive(Default)]
struct Given {
    values: Vec<(String, String)>,
    switches: Vec<String>,
}

const VALUES: [&str; 8] = [
    "--image",
    "--output",
    "--kernel",
    "--initrd",
    "--cmdline",
    "--arguments",
    "--policy",
    "--console-port",
];
const SWITCHES: [&str; 3] = ["--no-console", "--allow-unmeasured-payload", "--verbose"];

impl Given {
    fn read(arguments: Vec<String>) -> Result<Self, OptionsError> {
        let mut given = Self::default();
        let mut arguments = arguments.into_iter();
        while let Some(option) = arguments.next() {
            let seen = given.switches.contains(&option)
                || given.values.iter().any(|(name, _)| *name == option);
            if seen {
                return Err(OptionsError::Twice(option));
            }
            if SWITCHES.contains(&option.as_str()) {
                given.switches.push(option);
            } else if VALUES.contains(&option.as_str()) {
                let value =
                    arguments.next().ok_or_else(|| OptionsError::NoValue(option.clone()))?;
                given.values.push((option, value));
            } else {
                return Err(OptionsError::Unknown(option));
            }
        }
        Ok(given)
    }

    fn take(&mut self, option: &str) -> Option<String> {
        let index = self.values.iter().position(|(name, _)| name == option)?;
        Some(self.values.swap_remove(index).1)
    }

    fn has(&self, switch: &str) -> bool {
        self.switches.iter().any(|name| name == switch)
    }

    fn flags(&self) -> LaunchFlags {
        let mut flags = LaunchFlags::empty();
        flags.set(LaunchFlags::ALLOW_UNMEASURED_PAYLOAD, self.has("--allow-unmeasured-payload"));
        flags.set(LaunchFlags::VERBOSE, self.has("--verbose"));
        flags
    }
}

fn parse_build(arguments: Vec<String>) -> Result<BuildOptions, OptionsError> {
    let mut given = Given::read(arguments)?;
    let console = match (given.take("--console-port"), given.has("--no-console")) {
        (Some(_), true) => return Err(OptionsError::TwoConsoles),
        (None, true) => Console::None,
        (Some(port), false) => {
            Console::Debug(u16::try_from(number(&port)?).map_err(|_| OptionsError::Number(port))?)
        }
        (None, false) => Console::Debug(DEFAULT_CONSOLE_PORT),
    };
    let policy = match given.take("--policy") {
        Some(text) => number(&text)?,
        None => GuestPolicy::DEFAULT.bits(),
    };
    let cmdline = given.take("--cmdline").map(|text| match text.strip_prefix('@') {
        Some(file) => Text::File(PathBuf::from(file)),
        None => Text::Inline(text),
    });
    Ok(BuildOptions {
        image: given.take("--image").ok_or(OptionsError::Missing("--image"))?.into(),
        output: given.take("--output").ok_or(OptionsError::Missing("--output"))?.into(),
        kernel: given.take("--kernel").map(PathBuf::from),
        initrd: given.take("--initrd").map(PathBuf::from),
        cmdline,
        arguments: given.take("--arguments").unwrap_or_default(),
        policy,
        console,
        flags: given.flags(),
    })
}

fn number(text: &str) -> Result<u64, OptionsError> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| OptionsError::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, OptionsError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn wrong_arguments_are_named() {
        use OptionsError::{Missing, NoCommand, NoValue, Number, Twice, TwoConsoles, Unknown};
        for (line, error) in [
            ("", NoCommand),
            ("bild", Unknown("bild".into())),
            ("build", Missing("--image")),
            ("build --image a", Missing("--output")),
            ("build --image", NoValue("--image".into())),
            ("build --image a --image b", Twice("--image".into())),
            ("build --verbose --verbose", Twice("--verbose".into())),
            ("build a", Unknown("a".into())),
            ("build --image a --output b --policy x", Number("x".into())),
            ("build --console-port 65536", Number("65536".into())),
            ("build --console-port 1 --no-console", TwoConsoles),
            ("inspect", Missing("the file")),
            ("inspect a b", Unknown("b".into())),
            ("inspect a --json", Unknown("--json".into())),
            ("measure --jsn a", Unknown("--jsn".into())),
        ] {
            assert_eq!(parsed(line), Err(error), "{line}");
        }
    }

    #[test]
    fn a_build_has_defaults() {
        let Ok(Command::Build(options)) = parsed("build --image a --output b --cmdline @c") else {
            panic!("these options are complete");
        };
        assert_eq!(options.policy, 0x3_0000);
        assert_eq!(options.console, Console::Debug(0xe9));
        assert_eq!(options.cmdline, Some(Text::File("c".into())));
        assert_eq!(options.flags, LaunchFlags::empty());
    }

    #[test]
    fn help_wins() {
        assert_eq!(parsed("--help"), Ok(Command::Help));
        assert_eq!(parsed("build --help"), Ok(Command::Help));
        assert_eq!(
            parsed("measure a --json"),
            Ok(Command::Measure { file: "a".into(), json: true })
        );
    }
}
