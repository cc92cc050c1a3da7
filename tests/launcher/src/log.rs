// SPDX-License-Identifier: MIT OR Apache-2.0
//! One log file for each machine: lines of the debug console (emulator and SVSM) and of the guest's
//! console, each with the seconds since the machine was started.
//!
//! ```text
//!    0.214 machine: …
//!    0.391 svsm: …
//!    2.870 guest: [    0.000000] Linux version …
//! ```

use crate::failure::{Context, Result};
use crate::project;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A line without an end is cut there, so that a guest that never ends its line can't fill memory.
const LINE_BYTES_MAX: u64 = 4096;

/// The most bytes that are written; what follows is read and dropped.
const LOG_BYTES_MAX: u64 = 256 << 20;

/// A machine's log. Clones write to the same file.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    start: Instant,
    file: Arc<Mutex<Written>>,
}

#[derive(Debug)]
struct Written {
    file: File,
    bytes: u64,
}

impl Log {
    /// An empty log at `path`, or at a place of its own below `build/log`.
    pub(crate) fn create(path: Option<&Path>) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let path = match path {
            Some(path) => path.to_path_buf(),
            None => project::build_folder("log")?.join(format!(
                "{}-{}.log",
                process::id(),
                NUMBER.fetch_add(1, Ordering::Relaxed)
            )),
        };
        let doing = || format!("create the log file {}", path.display());
        File::create(&path).context(doing)?;
        // Appending, since QEMU may write the console into the same file.
        let file = OpenOptions::new().append(true).open(&path).context(doing)?;
        let file = Arc::new(Mutex::new(Written { file, bytes: 0 }));
        Ok(Self { path, start: Instant::now(), file })
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The time since the machine was started.
    pub(crate) fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// All lines so far, without their line ends.
    pub fn lines(&self) -> Result<Vec<String>> {
        let bytes = std::fs::read(&self.path)
            .context(|| format!("read the log file {}", self.path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
    }

    /// The rest of every line that contains `text`, from `text` on.
    pub fn find(&self, text: &str) -> Result<Vec<String>> {
        let found =
            |line: &String| line.find(text).and_then(|at| line.get(at..).map(str::to_owned));
        Ok(self.lines()?.iter().filter_map(found).collect())
    }

    /// Copies lines from `source` into the log until it ends, in a thread of its own.
    pub(crate) fn follow(
        &self,
        source: impl Read + Send + 'static,
        prefix: &'static str,
        echo: bool,
    ) -> thread::JoinHandle<()> {
        let log = self.clone();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            loop {
                let mut line = Vec::new();
                let read = source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
                if !matches!(read, Ok(1..)) {
                    return;
                }
                let line = String::from_utf8_lossy(&line);
                log.append(prefix, line.trim_end(), echo);
            }
        })
    }

    fn append(&self, prefix: &str, line: &str, echo: bool) {
        let line = format!("{:8.3} {prefix}{line}\n", self.start.elapsed().as_secs_f64());
        if echo {
            eprint!("{line}");
        }
        let mut written = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        written.bytes = written.bytes.saturating_add(line.len() as u64);
        if written.bytes > LOG_BYTES_MAX {
            return;
        }
        if let Err(error) = written.file.write_all(line.as_bytes()) {
            eprintln!("launcher: the log file {}: {error}", self.path.display());
            // Said once: no further line is tried.
            written.bytes = LOG_BYTES_MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_an_end_is_cut_and_the_rest_kept() {
        let log = Log::create(None).expect("a log");
        let long = "x".repeat(5000) + "\nshort";
        log.follow(std::io::Cursor::new(long), "guest: ", false).join().expect("the reader ends");
        let lines = log.lines().expect("lines");
        let kept: Vec<usize> = lines.iter().map(|line| line.matches('x').count()).collect();
        assert_eq!(kept, [4096, 904, 0]);
        assert_eq!(log.find("short").expect("found"), ["short"]);
        std::fs::remove_file(log.path()).expect("the file was there");
    }
}
