// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line.

use std::fmt;
use std::path::PathBuf;

use tpm::provision::StandardTemplate;

use crate::keys::READY_MAX;
use crate::storage::StateFiles;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: tpm_server [-port N] [--state FILE] [--key FILE] [--anchor FILE] [--sync]
                  [--data ADDRESS] [--ctrl ADDRESS]
  -port N          mssim protocol on loopback: commands on N, the platform on N+1 (default 2321,
                   unless --data is given)
  --state FILE     a disk image with what persists, made if it isn't there (default: tpm-state in
                   the working directory)
                   (and FILE.volatile, when swtpm's control channel is told to keep volatile state)
  --key FILE       the 32 bytes that open it, made with it (default: the state's name and .key)
  --anchor FILE    remembers where the state stands, made with it: an older state is refused
  --sync           each commit waits for the disk: what was acknowledged survives a loss of the
                   host's power (without: the end of this process)
  --ephemeral      nothing persists
  --data ADDRESS   raw TPM frames, as swtpm's server socket
  --ctrl ADDRESS   swtpm's control channel, for QEMU's -tpmdev emulator and swtpm's TCTI
  --unix PATH      the same as --data unix:PATH --ctrl unix:PATH.ctrl
  --ek-certificate KEY=FILE
                   the certificate (DER) of the endorsement key rsa2048, p256 or p384 goes into its
                   NV index, in place of one that is there; once for each key
  --keys N         RSA keys of 2048 bits to have ready, at most 64 (default: none before the first
                   one is asked for, then 8)
  -rm              ignored
An ADDRESS is a port on loopback, or unix:PATH.
";

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A port on loopback.
    Tcp(u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Address {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let port = text.parse().map_err(|_| format!("{text} is neither a port nor unix:PATH"))?;
        Ok(Self::Tcp(port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(formatter, "port {port}"),
            Self::Unix(path) => write!(formatter, "{}", path.display()),
        }
    }
}

/// What to serve, and where state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The command port of the mssim protocol.
    pub(crate) port: Option<u16>,
    /// The files of the state; `None` when nothing persists.
    pub(crate) state: Option<StateFiles>,
    /// Raw frames.
    pub(crate) data: Option<Address>,
    /// The control channel.
    pub(crate) control: Option<Address>,
    /// RSA keys to have ready from the start on.
    pub(crate) ready_keys: Option<usize>,
    /// Certificates of endorsement keys, to be put into the TPM.
    pub(crate) certificates: Vec<(StandardTemplate, PathBuf)>,
}

const DEFAULT_PORT: u16 = 2321;
const DEFAULT_STATE: &str = "tpm-state";

impl Options {
    /// Reads the arguments; `None` when only help is wanted.
    pub(crate) fn parse(
        mut arguments: impl Iterator<Item = String>,
    ) -> Result<Option<Self>, String> {
        let mut options = Self {
            port: None,
            state: None,
            data: None,
            control: None,
            ready_keys: None,
            certificates: Vec::new(),
        };
        let (mut state, mut key) = (Some(PathBuf::from(DEFAULT_STATE)), None);
        let mut anchor = None;
        let mut syncs = false;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "-h" | "-help" | "--help" => return Ok(None),
                "-rm" | "--rm" => {}
                "-port" | "--port" => {
                    let text = value()?;
                    let port = text.parse().map_err(|_| format!("{text} is no port"))?;
                    options.port = Some(port);
                }
                "--state" => state = Some(PathBuf::from(value()?)),
                "--key" => key = Some(PathBuf::from(value()?)),
                "--anchor" => anchor = Some(PathBuf::from(value()?)),
                "--sync" => syncs = true,
                "--ephemeral" => state = None,
                "--data" => options.data = Some(Address::parse(&value()?)?),
                "--ctrl" => options.control = Some(Address::parse(&value()?)?),
                "--keys" => options.ready_keys = Some(ready_keys(&value()?)?),
                "--ek-certificate" => options.certificates.push(certificate(&value()?)?),
                "--unix" => {
                    let path = value()?;
                    options.data = Some(Address::Unix(PathBuf::from(&path)));
                    options.control = Some(Address::Unix(PathBuf::from(path + ".ctrl")));
                }
                _ => return Err(format!("what is {argument}?")),
            }
        }
        if options.port.is_none() && options.data.is_none() && options.control.is_none() {
            options.port = Some(DEFAULT_PORT);
        }
        options.state = state.map(|state| StateFiles { state, key, anchor, syncs });
        Ok(Some(options))
    }
}

fn ready_keys(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= READY_MAX);
    number.ok_or_else(|| format!("--keys is 0 to {READY_MAX}, not {text}"))
}

fn certificate(text: &str) -> Result<(StandardTemplate, PathBuf), String> {
    let (key, file) = text.split_once('=').unwrap_or((text, ""));
    let template = match key {
        "rsa2048" => StandardTemplate::L1,
        "p256" => StandardTemplate::L2,
        "p384" => StandardTemplate::H3,
        _ => return Err(format!("--ek-certificate is for rsa2048, p256 or p384, not {key}")),
    };
    if file.is_empty() {
        return Err(format!("--ek-certificate {key}= needs a file"));
    }
    Ok((template, PathBuf::from(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Option<Options>, String> {
        Options::parse(arguments.iter().map(ToString::to_string))
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(parse(&["-port"]).is_err());
        assert!(parse(&["-port", "70000"]).is_err());
        assert!(parse(&["--data", "elsewhere"]).is_err());
        assert!(parse(&["--frobnicate"]).is_err());
        assert!(parse(&["--keys", "65"]).is_err());
        for certificate in ["p256", "p256=", "p521=file", "file"] {
            assert!(parse(&["--ek-certificate", certificate]).is_err(), "{certificate}");
        }
    }

    #[test]
    fn the_simulators_options_work() {
        let options = parse(&["-port", "4000", "-rm"]).unwrap().unwrap();
        assert_eq!(options.port, Some(4000));
        assert_eq!(parse(&[]).unwrap().unwrap().port, Some(DEFAULT_PORT));
        assert_eq!(parse(&["--ephemeral"]).unwrap().unwrap().state, None);
        let kept = parse(&["--state", "a", "--key", "b", "--anchor", "c"]).unwrap().unwrap();
        let kept = kept.state.unwrap();
        assert_eq!(kept.anchor, Some(PathBuf::from("c")));
        assert_eq!((kept.state, kept.key), (PathBuf::from("a"), Some(PathBuf::from("b"))));
        let unix = parse(&["--unix", "socket"]).unwrap().unwrap();
        assert_eq!(unix.port, None);
        assert_eq!(unix.control, Some(Address::Unix(PathBuf::from("socket.ctrl"))));
    }
}
