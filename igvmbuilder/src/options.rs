// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `igvmbuilder`.

mod given;

use std::{fmt, path::PathBuf};

use snp_abi::{
    config::{Console, DEFAULT_CONSOLE_PORT, LaunchFlags},
    launch::{Digest, GuestPolicy},
};

use crate::id_block::Identity;
use given::{Given, Known};

/// What `--help` prints.
pub const HELP: &str = "\
igvmbuilder - builds, signs, inspects and measures IGVM files for Macadamia-SVSM

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
    --service-vcpu        the last vCPU is not the guest's: it makes keys for the TPM
    --bind-measurement    the TPM's state is for this very image, whoever signs it
    --state-owner FILE    the key for the TPM's state comes from whoever has the private part of
                          this P-384 key (PEM; the public part is enough)
  and, for a file with a signed ID block:
    --id-key FILE         the private key that signs it: P-384, PEM
    --author-key FILE     a private key that signs the ID key
    --family-id HEX       16 bytes (default: zeros)
    --image-id HEX        16 bytes (default: zeros)
    --svn NUMBER          security version of the guest (default 0)
igvmbuilder keygen --output FILE
                          makes a P-384 key, PKCS#8 in PEM, and prints its digest
igvmbuilder sign FILE --output FILE --id-key FILE [the options of an ID block]
                          gives a file a new ID block
igvmbuilder verify FILE [--id-key-digest HEX] [--author-key-digest HEX]
                          checks the ID block, and who signed it
igvmbuilder inspect FILE  prints what is in the file
igvmbuilder measure FILE [--json] [--explain]
                          prints the launch digest, the policy and the ID block; with --explain
                          how each page changes the digest
igvmbuilder diff FILE FILE
                          prints what differs, and what of it the digest shows; ends with 0
                          when the digests are equal, with 1 when not
igvmbuilder --help        prints this
";

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Build a file.
    Build(BuildOptions),
    /// Make a key.
    Keygen {
        /// Where it goes.
        output: PathBuf,
    },
    /// Give a file an ID block.
    Sign {
        /// The file.
        file: PathBuf,
        /// Where the signed one goes.
        output: PathBuf,
        /// Who says what.
        identity: IdentityOptions,
    },
    /// Check a file's ID block.
    Verify {
        /// The file.
        file: PathBuf,
        /// The digest that the ID key must have.
        id_key_digest: Option<Digest>,
        /// The digest that the author key must have.
        author_key_digest: Option<Digest>,
    },
    /// Print what is in a file.
    Inspect(PathBuf),
    /// Print a file's launch digest.
    Measure {
        /// The file.
        file: PathBuf,
        /// As JSON.
        json: bool,
        /// With all pages.
        explain: bool,
    },
    /// Compare two files.
    Diff([PathBuf; 2]),
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
    /// Who gives the key for the TPM's state.
    pub state_owner: Option<PathBuf>,
    /// The ID block.
    pub identity: Option<IdentityOptions>,
}

/// Options of an ID block.
#[derive(Debug, PartialEq, Eq)]
pub struct IdentityOptions {
    /// The key that signs the block.
    pub id_key: PathBuf,
    /// The key that signs that key.
    pub author_key: Option<PathBuf>,
    /// What is said.
    pub identity: Identity,
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
    /// Not so many bytes in hexadecimal digits.
    Bytes(String, usize),
    /// An option about the ID block, and no key to sign one with.
    NoIdKey(&'static str),
    /// `--console-port` and `--no-console` exclude each other.
    TwoConsoles,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommand => write!(formatter, "no command given"),
            Self::Unknown(argument) => write!(formatter, "unknown argument {argument:?}"),
            Self::Twice(option) => write!(formatter, "{option} is given twice"),
            Self::NoValue(option) => write!(formatter, "{option} needs a value"),
            Self::Missing(what) => write!(formatter, "{what} is missing"),
            Self::Number(text) => write!(formatter, "{text:?} isn't a number that fits"),
            Self::Bytes(text, count) => {
                write!(formatter, "{text:?} isn't {count} bytes in hexadecimal digits")
            }
            Self::NoIdKey(option) => write!(formatter, "{option} needs --id-key"),
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
        "keygen" => parse_keygen(rest),
        "sign" => parse_sign(rest),
        "verify" => parse_verify(rest),
        "inspect" => parse_inspect(rest),
        "measure" => parse_measure(rest),
        "diff" => parse_diff(rest),
        _ => Err(OptionsError::Unknown(command)),
    }
}

fn parse_keygen(arguments: Vec<String>) -> Result<Command, OptionsError> {
    let known = Known { values: &["--output"], switches: &[], files: 0 };
    let mut given = Given::read(arguments, &known)?;
    Ok(Command::Keygen { output: given.need("--output")?.into() })
}

fn parse_sign(arguments: Vec<String>) -> Result<Command, OptionsError> {
    let known = Known {
        values: &["--output", "--id-key", "--author-key", "--family-id", "--image-id", "--svn"],
        switches: &[],
        files: 1,
    };
    let mut given = Given::read(arguments, &known)?;
    let identity = parse_identity(&mut given)?.ok_or(OptionsError::Missing("--id-key"))?;
    let output = given.need("--output")?.into();
    let [file] = given.files()?;
    Ok(Command::Sign { file, output, identity })
}

fn parse_verify(arguments: Vec<String>) -> Result<Command, OptionsError> {
    let known =
        Known { values: &["--id-key-digest", "--author-key-digest"], switches: &[], files: 1 };
    let mut given = Given::read(arguments, &known)?;
    let mut digest = |option| given.take(option).map(|text| hexadecimal(&text)).transpose();
    let (id_key_digest, author_key_digest) =
        (digest("--id-key-digest")?, digest("--author-key-digest")?);
    let [file] = given.files()?;
    Ok(Command::Verify { file, id_key_digest, author_key_digest })
}

fn parse_inspect(arguments: Vec<String>) -> Result<Command, OptionsError> {
    let given = Given::read(arguments, &Known { values: &[], switches: &[], files: 1 })?;
    given.files().map(|[file]| Command::Inspect(file))
}

fn parse_measure(arguments: Vec<String>) -> Result<Command, OptionsError> {
    let known = Known { values: &[], switches: &["--json", "--explain"], files: 1 };
    let given = Given::read(arguments, &known)?;
    let (json, explain) = (given.has("--json"), given.has("--explain"));
    given.files().map(|[file]| Command::Measure { file, json, explain })
}

fn parse_diff(arguments: Vec<String>) -> Result<Command, OptionsError> {
    let given = Given::read(arguments, &Known { values: &[], switches: &[], files: 2 })?;
    given.files().map(Command::Diff)
}

/// What an ID block is made from; `None` when the options don't mention one.
fn parse_identity(given: &mut Given) -> Result<Option<IdentityOptions>, OptionsError> {
    let Some(id_key) = given.take("--id-key") else {
        const OTHERS: [&str; 4] = ["--author-key", "--family-id", "--image-id", "--svn"];
        return given.any_of(&OTHERS).map_or(Ok(None), |option| Err(OptionsError::NoIdKey(option)));
    };
    let mut id = |option| given.take(option).map_or(Ok([0; 16]), |text| hexadecimal(&text));
    let (family_id, image_id) = (id("--family-id")?, id("--image-id")?);
    let guest_svn = match given.take("--svn") {
        Some(text) => u32::try_from(number(&text)?).map_err(|_| OptionsError::Number(text))?,
        None => 0,
    };
    Ok(Some(IdentityOptions {
        id_key: id_key.into(),
        author_key: given.take("--author-key").map(PathBuf::from),
        identity: Identity { family_id, image_id, guest_svn },
    }))
}

const BUILD: Known = Known {
    values: &[
        "--image",
        "--output",
        "--kernel",
        "--initrd",
        "--cmdline",
        "--arguments",
        "--policy",
        "--console-port",
        "--state-owner",
        "--id-key",
        "--author-key",
        "--family-id",
        "--image-id",
        "--svn",
    ],
    switches: &[
        "--no-console",
        "--allow-unmeasured-payload",
        "--verbose",
        "--service-vcpu",
        "--bind-measurement",
    ],
    files: 0,
};

fn parse_build(arguments: Vec<String>) -> Result<BuildOptions, OptionsError> {
    let mut given = Given::read(arguments, &BUILD)?;
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
        image: given.need("--image")?.into(),
        output: given.need("--output")?.into(),
        kernel: given.take("--kernel").map(PathBuf::from),
        initrd: given.take("--initrd").map(PathBuf::from),
        cmdline,
        arguments: given.take("--arguments").unwrap_or_default(),
        policy,
        console,
        flags: flags(&given),
        state_owner: given.take("--state-owner").map(PathBuf::from),
        identity: parse_identity(&mut given)?,
    })
}

fn flags(given: &Given) -> LaunchFlags {
    let mut flags = LaunchFlags::empty();
    flags.set(LaunchFlags::ALLOW_UNMEASURED_PAYLOAD, given.has("--allow-unmeasured-payload"));
    flags.set(LaunchFlags::VERBOSE, given.has("--verbose"));
    flags.set(LaunchFlags::SERVICE_VCPU, given.has("--service-vcpu"));
    flags.set(LaunchFlags::BIND_MEASUREMENT, given.has("--bind-measurement"));
    flags
}

fn hexadecimal<const SIZE: usize>(text: &str) -> Result<[u8; SIZE], OptionsError> {
    let mut bytes = [0; SIZE];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| OptionsError::Bytes(text.to_owned(), SIZE))?;
    Ok(bytes)
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
        use OptionsError::{
            Bytes, Missing, NoCommand, NoIdKey, NoValue, Number, Twice, TwoConsoles, Unknown,
        };
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
            ("build --image a --output b --svn 1", NoIdKey("--svn")),
            ("build --image a --output b --id-key k --svn 4294967296", Number("4294967296".into())),
            ("build --image a --output b --id-key k --image-id 00", Bytes("00".into(), 16)),
            ("keygen", Missing("--output")),
            ("sign a --output b", Missing("--id-key")),
            ("sign --output b --id-key k", Missing("the file")),
            ("verify a --id-key-digest zz", Bytes("zz".into(), 48)),
            ("inspect", Missing("the file")),
            ("inspect a b", Unknown("b".into())),
            ("inspect a --json", Unknown("--json".into())),
            ("diff a", Missing("one of the two files")),
            ("diff a b c", Unknown("c".into())),
            ("measure --jsn a", Unknown("--jsn".into())),
        ] {
            assert_eq!(parsed(line), Err(error), "{line}");
        }
    }

    #[test]
    fn a_build_has_defaults() {
        let Ok(Command::Build(options)) =
            parsed("build --image a --output b --cmdline @c --state-owner o")
        else {
            panic!("these options are complete");
        };
        assert_eq!(options.policy, 0x3_0000);
        assert_eq!(options.console, Console::Debug(0xe9));
        assert_eq!(options.cmdline, Some(Text::File("c".into())));
        assert_eq!(options.flags, LaunchFlags::empty());
        assert_eq!(options.state_owner, Some("o".into()));
    }

    #[test]
    fn an_identity_is_made_of_what_was_given() {
        let line = "sign a --output b --id-key k --author-key l --svn 0x10 \
                    --family-id 0102030405060708090a0b0c0d0e0f10";
        let Ok(Command::Sign { file, output, identity }) = parsed(line) else {
            panic!("these options are complete");
        };
        assert_eq!((file, output), ("a".into(), "b".into()));
        assert_eq!((identity.id_key, identity.author_key), ("k".into(), Some("l".into())));
        let Identity { family_id, image_id, guest_svn } = identity.identity;
        assert_eq!((family_id[0], family_id[15], image_id, guest_svn), (1, 16, [0; 16], 16));
    }

    #[test]
    fn help_wins() {
        assert_eq!(parsed("--help"), Ok(Command::Help));
        assert_eq!(parsed("build --help"), Ok(Command::Help));
        assert_eq!(
            parsed("measure a --json"),
            Ok(Command::Measure { file: "a".into(), json: true, explain: false })
        );
    }
}
