// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `attest`.

use std::{fmt, path::PathBuf};

use attest::{chain::TEST_ROOT_NAME, manifest::StateBinding, report::Nonce, tcb::Tcb};
use snp_abi::launch::Digest;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
attest - checks the evidence of a guest with a vTPM at VMPL0

attest nonce               prints a nonce: 64 random bytes
attest credential …        checks the platform's part of the evidence; prints a credential for the
                           guest's attestation key, and writes the secret in it to --secret
attest verify …            checks everything; the secret that the guest returned is --returned
attest state-key …         gives a guest whose image has a --state-owner the key for its TPM's state
attest --help              prints this

    --evidence FILE        what the agent in the guest printed
    --nonce HEX            what it was asked with
    --secret FILE          the credential's secret, hexadecimal
    --returned HEX         what the guest got out of the credential
    --json                 the verdict as JSON
    --ek-pem FILE          once all is accepted, the endorsement key is written here, for an issuer

For state-key, beside what is expected:
    --request FILE         the SVSM's log, with its request
    --owner-key FILE       the owner's private key: P-384, PKCS#8 in PEM
    --key FILE             the state's key: 32 random bytes
    --previous-key FILE    the key before it: a state under that goes over to the new one
    --package FILE         what the host gets, to pass it on

What is expected; one of --igvm, --launch-digest and --id-key must be given:
    --igvm FILE            exactly this image, its policy, and what it may start
    --launch-digest HEX    exactly this image
    --id-key HEX           any image signed by this key (SHA-384 of the key, as reports have it)
    --author-key HEX       … which this key signed
    --family-id HEX, --image-id HEX, --minimum-svn NUMBER
    --policy NUMBER        exactly this guest policy
    --minimum-tcb TEXT     oldest firmware: bootloader.tee.snp.microcode, or fmc. and these
    --chip-id HEX          only this chip
    --ek-issuer FILE       the endorsement key has a certificate by this issuer (X.509, PEM or DER)
    --persistent-state     the vTPM's state must outlive the machine
    --last-seen FILE       … and not be older than this; the file is made and kept up to date
    --state-binding WHO    … under a key that only these get: signer (its images), image (this very
                           one), owner (whom the owner gives it)
    --vcek FILE, --chain FILE
                           certificates from AMD (DER; PEM with ASK and ARK), for hosts without
    --certificates FILE    or the host's table of certificates, as its operator or a guest has it
    --trust-root emulator-test-root
                           also believe the emulated machine, whose keys everybody knows

Exit code 0: accepted; 1: refused; 2: the command can't be carried out.
";

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print a nonce.
    Nonce,
    /// Make a credential.
    Credential,
    /// Check everything.
    Verify,
    /// Give a guest the key for its TPM's state.
    StateKey,
    /// Print [`HELP`].
    Help,
}

/// The command line.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) evidence: Option<PathBuf>,
    pub(crate) nonce: Option<Nonce>,
    pub(crate) secret: Option<PathBuf>,
    pub(crate) returned: Option<Vec<u8>>,
    pub(crate) json: bool,
    pub(crate) igvm: Option<PathBuf>,
    pub(crate) launch_digest: Option<Digest>,
    pub(crate) id_key: Option<Digest>,
    pub(crate) author_key: Option<Digest>,
    pub(crate) family_id: Option<[u8; 16]>,
    pub(crate) image_id: Option<[u8; 16]>,
    pub(crate) minimum_svn: Option<u32>,
    pub(crate) policy: Option<u64>,
    pub(crate) minimum_tcb: Option<Tcb>,
    pub(crate) chip_id: Option<[u8; 64]>,
    pub(crate) ek_issuer: Option<PathBuf>,
    pub(crate) ek_pem: Option<PathBuf>,
    pub(crate) persistent_state: bool,
    pub(crate) last_seen: Option<PathBuf>,
    pub(crate) certificates: Option<PathBuf>,
    pub(crate) state_binding: Option<StateBinding>,
    pub(crate) vcek: Option<PathBuf>,
    pub(crate) chain: Option<PathBuf>,
    pub(crate) trust_test_root: bool,
    pub(crate) request: Option<PathBuf>,
    pub(crate) owner_key: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) previous_key: Option<PathBuf>,
    pub(crate) package: Option<PathBuf>,
}

/// What is wrong with the arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OptionsError {
    /// No task, or one that isn't known.
    Task(String),
    /// An argument that isn't known here.
    Unknown(String),
    /// An option lacks its value.
    NoValue(String),
    /// An option's value isn't one.
    Value(String),
    /// An option that this task can't heed.
    Unheeded(String),
    /// An option that must be given isn't.
    Missing(&'static str),
}

impl fmt::Display for OptionsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => write!(formatter, "no such task: {task:?}"),
            Self::Unknown(argument) => write!(formatter, "unknown argument {argument:?}"),
            Self::NoValue(option) => write!(formatter, "{option} needs a value"),
            Self::Value(option) => write!(formatter, "{option}: not a value of its kind"),
            Self::Unheeded(option) => write!(formatter, "{option} is for another task"),
            Self::Missing(option) => write!(formatter, "{option} is missing"),
        }
    }
}

impl std::error::Error for OptionsError {}

/// Reads the arguments behind the program's name.
///
/// # Errors
/// See [`OptionsError`].
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = String>,
) -> Result<(Task, Options), OptionsError> {
    let mut arguments = arguments.into_iter();
    let task = match arguments.next().unwrap_or_default().as_str() {
        "nonce" => Task::Nonce,
        "credential" => Task::Credential,
        "verify" => Task::Verify,
        "state-key" => Task::StateKey,
        "--help" => return Ok((Task::Help, Options::default())),
        other => return Err(OptionsError::Task(other.to_owned())),
    };
    let mut options = Options::default();
    while let Some(option) = arguments.next() {
        if !is_heeded(task, &option) {
            return Err(OptionsError::Unheeded(option));
        }
        match option.as_str() {
            "--json" => options.json = true,
            "--persistent-state" => options.persistent_state = true,
            _ => {
                let value =
                    arguments.next().ok_or_else(|| OptionsError::NoValue(option.clone()))?;
                set(&mut options, option, value)?;
            }
        }
    }
    if task != Task::Nonce {
        check(&options, task)?;
    }
    Ok((task, options))
}

/// Whether a task does what an option says: what is demanded must not be passed over in silence.
fn is_heeded(task: Task, option: &str) -> bool {
    const EVIDENCE: [&str; 9] = [
        "--evidence",
        "--nonce",
        "--secret",
        "--returned",
        "--ek-pem",
        "--ek-issuer",
        "--persistent-state",
        "--last-seen",
        "--state-binding",
    ];
    const OWNER: [&str; 5] = ["--request", "--owner-key", "--key", "--previous-key", "--package"];
    match task {
        Task::Nonce | Task::Help => false,
        Task::StateKey => !EVIDENCE.contains(&option),
        Task::Verify => !OWNER.contains(&option),
        Task::Credential => {
            !OWNER.contains(&option) && !["--returned", "--ek-pem"].contains(&option)
        }
    }
}

fn set(options: &mut Options, option: String, value: String) -> Result<(), OptionsError> {
    let path = Some(PathBuf::from(&value));
    // The field's new value; `None` when the text isn't one.
    let outcome = match option.as_str() {
        "--evidence" => assign(&mut options.evidence, path),
        "--nonce" => assign(&mut options.nonce, bytes(&value)),
        "--secret" => assign(&mut options.secret, path),
        "--returned" => assign(&mut options.returned, hex::decode(&value).ok()),
        "--igvm" => assign(&mut options.igvm, path),
        "--launch-digest" => assign(&mut options.launch_digest, bytes(&value)),
        "--id-key" => assign(&mut options.id_key, bytes(&value)),
        "--author-key" => assign(&mut options.author_key, bytes(&value)),
        "--family-id" => assign(&mut options.family_id, bytes(&value)),
        "--image-id" => assign(&mut options.image_id, bytes(&value)),
        "--minimum-svn" => assign(&mut options.minimum_svn, number(&value)),
        "--policy" => assign(&mut options.policy, number(&value)),
        "--minimum-tcb" => assign(&mut options.minimum_tcb, Tcb::parse(&value)),
        "--chip-id" => assign(&mut options.chip_id, bytes(&value)),
        "--ek-issuer" => assign(&mut options.ek_issuer, path),
        "--ek-pem" => assign(&mut options.ek_pem, path),
        "--last-seen" => assign(&mut options.last_seen, path),
        "--certificates" => assign(&mut options.certificates, path),
        "--state-binding" => assign(&mut options.state_binding, binding(&value)),
        "--vcek" => assign(&mut options.vcek, path),
        "--chain" => assign(&mut options.chain, path),
        "--request" => assign(&mut options.request, path),
        "--owner-key" => assign(&mut options.owner_key, path),
        "--key" => assign(&mut options.key, path),
        "--previous-key" => assign(&mut options.previous_key, path),
        "--package" => assign(&mut options.package, path),
        "--trust-root" => {
            options.trust_test_root = value == TEST_ROOT_NAME;
            options.trust_test_root.then_some(())
        }
        _ => return Err(OptionsError::Unknown(option)),
    };
    outcome.ok_or(OptionsError::Value(option))
}

fn assign<T>(field: &mut Option<T>, value: Option<T>) -> Option<()> {
    *field = value;
    field.as_ref().map(|_| ())
}

fn bytes<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
    hex::decode(text).ok()?.try_into().ok()
}

fn number<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    T::try_from(number.ok()?).ok()
}

fn check(options: &Options, task: Task) -> Result<(), OptionsError> {
    let has_image =
        options.igvm.is_some() || options.launch_digest.is_some() || options.id_key.is_some();
    let is_owner = task == Task::StateKey;
    if options.certificates.is_some() && options.vcek.is_some() {
        return Err(OptionsError::Unheeded("--certificates".to_owned()));
    }
    for (is_there, name) in [
        (is_owner || options.evidence.is_some(), "--evidence"),
        (is_owner || options.nonce.is_some(), "--nonce"),
        (!is_owner || options.request.is_some(), "--request"),
        (!is_owner || options.owner_key.is_some(), "--owner-key"),
        (!is_owner || options.key.is_some(), "--key"),
        (!is_owner || options.package.is_some(), "--package"),
        (!is_owner || options.vcek.is_some() || options.certificates.is_some(), "--vcek"),
        (has_image, "one of --igvm, --launch-digest and --id-key"),
        (task != Task::Credential || options.secret.is_some(), "--secret"),
        (options.returned.is_none() || options.secret.is_some(), "--secret"),
        (options.vcek.is_none() || options.chain.is_some(), "--chain"),
        (options.chain.is_none() || options.vcek.is_some(), "--vcek"),
    ] {
        if !is_there {
            return Err(OptionsError::Missing(name));
        }
    }
    Ok(())
}

fn binding(value: &str) -> Option<StateBinding> {
    match value {
        "signer" => Some(StateBinding::Signer),
        "image" => Some(StateBinding::Image),
        "owner" => Some(StateBinding::Owner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Task, Options), OptionsError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn wrong_arguments_are_named() {
        use OptionsError::{Missing, NoValue, Task, Unheeded, Unknown, Value};
        let nonce = "11".repeat(64);
        let image = "22".repeat(48);
        for (line, error) in [
            (String::new(), Task(String::new())),
            ("check".into(), Task("check".into())),
            ("verify --nonce".into(), NoValue("--nonce".into())),
            ("verify --nonce 11".into(), Value("--nonce".into())),
            ("verify --minimum-svn 4294967296".into(), Value("--minimum-svn".into())),
            ("verify --trust-root anybody".into(), Value("--trust-root".into())),
            ("verify --minimum-tcb 1.2.3".into(), Value("--minimum-tcb".into())),
            ("verify --state-binding anybody".into(), Value("--state-binding".into())),
            ("verify --speed 1".into(), Unknown("--speed".into())),
            ("nonce --json".into(), Unheeded("--json".into())),
            ("verify --package p".into(), Unheeded("--package".into())),
            ("credential --returned 00".into(), Unheeded("--returned".into())),
            ("state-key --last-seen f".into(), Unheeded("--last-seen".into())),
            ("state-key --state-binding image".into(), Unheeded("--state-binding".into())),
            ("state-key --persistent-state".into(), Unheeded("--persistent-state".into())),
            (
                "state-key --request r --owner-key o --igvm f --key k --package p --vcek v \
                 --chain c --certificates t"
                    .into(),
                Unheeded("--certificates".into()),
            ),
            ("verify".into(), Missing("--evidence")),
            ("verify --evidence e".into(), Missing("--nonce")),
            (
                format!("verify --evidence e --nonce {nonce}"),
                Missing("one of --igvm, --launch-digest and --id-key"),
            ),
            (
                format!("credential --evidence e --nonce {nonce} --launch-digest {image}"),
                Missing("--secret"),
            ),
            (format!("verify --evidence e --nonce {nonce} --igvm f --vcek v"), Missing("--chain")),
            ("state-key --request r --owner-key o --igvm f".into(), Missing("--key")),
            (
                "state-key --request r --owner-key o --igvm f --key k --package p".into(),
                Missing("--vcek"),
            ),
        ] {
            assert_eq!(parsed(&line).err(), Some(error), "{line}");
        }
    }

    #[test]
    fn a_whole_line_is_read() {
        let nonce = "11".repeat(64);
        let line = format!(
            "verify --evidence e --nonce {nonce} --igvm f --policy 0x30000 \
             --minimum-tcb 4.0.24.219 --trust-root {TEST_ROOT_NAME} --json --minimum-svn 3"
        );
        let (task, options) = parsed(&line).expect("a good line");
        assert_eq!(task, Task::Verify);
        assert_eq!(options.nonce, Some([0x11; 64]));
        assert_eq!((options.policy, options.minimum_svn), (Some(0x3_0000), Some(3)));
        assert!(options.trust_test_root && options.json);
    }
}
