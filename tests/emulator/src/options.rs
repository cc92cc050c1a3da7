// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine's command line (QEMU's `-append`): words separated by blanks.
//!
//! | word | meaning |
//! |---|---|
//! | `trace` | print every exit |
//! | `counters` | print counters when the machine ends |
//! | `throttle=N` | answer the first N guest requests with "busy" |
//! | `no-certificates` | no certificates in answers to extended guest requests |
//! | `bare-disk` | the SVSM's disk has no addresses, as on a host without firmware |
//! | `guests=N` | use at most N vCPUs |

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

static TRACE: AtomicBool = AtomicBool::new(false);

/// Longest command line, in bytes.
pub(crate) const MAX_LENGTH: usize = 1024;

/// What the command line says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) trace: bool,
    pub(crate) counters: bool,
    pub(crate) throttle: u32,
    pub(crate) without_certificates: bool,
    pub(crate) bare_disk: bool,
    pub(crate) guests: Option<usize>,
}

/// A word that isn't understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown<'a>(pub(crate) &'a str);

impl Options {
    pub(crate) fn parse(line: &str) -> Result<Self, Unknown<'_>> {
        let mut options = Self::default();
        for word in line.split_ascii_whitespace() {
            match word.split_once('=') {
                None if word == "trace" => options.trace = true,
                None if word == "counters" => options.counters = true,
                None if word == "bare-disk" => options.bare_disk = true,
                None if word == "no-certificates" => options.without_certificates = true,
                Some(("throttle", number)) => {
                    options.throttle = number.parse().map_err(|_| Unknown(word))?;
                }
                Some(("guests", number)) => {
                    options.guests = Some(number.parse().map_err(|_| Unknown(word))?);
                }
                _ => return Err(Unknown(word)),
            }
        }
        Ok(options)
    }
}

/// Turns tracing on.
pub(crate) fn set_trace(on: bool) {
    TRACE.store(on, Relaxed);
}

/// Whether exits are printed.
pub(crate) fn trace() -> bool {
    TRACE.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_refused() {
        assert_eq!(Options::parse("trace what"), Err(Unknown("what")));
        assert_eq!(Options::parse("throttle=x"), Err(Unknown("throttle=x")));
        assert_eq!(Options::parse("throttle"), Err(Unknown("throttle")));
        assert_eq!(Options::parse("trace=1"), Err(Unknown("trace=1")));
    }

    #[test]
    fn words_in_any_order() {
        assert_eq!(Options::parse(""), Ok(Options::default()));
        let all = Options {
            trace: true,
            counters: true,
            throttle: 3,
            without_certificates: true,
            bare_disk: true,
            guests: Some(2),
        };
        let line = " guests=2 counters  throttle=3 no-certificates bare-disk trace\t";
        assert_eq!(Options::parse(line), Ok(all));
    }
}
