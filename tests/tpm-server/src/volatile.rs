// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a loss of power would take, kept for the next time that the TPM gets power: in memory, and
//! beside the state's image when there is one. The file holds secrets in the clear and lies, like
//! the key, where only its owner can read it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use tpm::provision::VOLATILE_SIZE_MAX;
use zeroize::Zeroizing;

/// A volatile state, if there is one.
pub(crate) struct Volatile {
    file: Option<PathBuf>,
    kept: Option<Zeroizing<Vec<u8>>>,
}

impl Volatile {
    /// What an earlier process kept in `file`.
    ///
    /// # Errors
    /// When there is a file that cannot be read.
    pub(crate) fn open(file: Option<PathBuf>) -> io::Result<Self> {
        let mut kept = None;
        if let Some(path) = &file {
            match File::open(path) {
                Ok(file) => {
                    // An octet more than there can be: then it is no state.
                    let limit = VOLATILE_SIZE_MAX as u64 + 1;
                    let mut octets = Zeroizing::new(Vec::new());
                    file.take(limit).read_to_end(&mut octets)?;
                    kept = Some(octets);
                }
                Err(problem) if problem.kind() == ErrorKind::NotFound => {}
                Err(problem) => return Err(problem),
            }
        }
        Ok(Self { file, kept })
    }

    /// Keeps it in memory.
    pub(crate) fn set(&mut self, octets: Vec<u8>) {
        self.kept = Some(Zeroizing::new(octets));
    }

    /// Keeps it also beyond the end of the process, as far as anything is.
    ///
    /// # Errors
    /// Those of the file; then nothing is kept.
    pub(crate) fn store(&mut self, octets: Vec<u8>) -> io::Result<()> {
        self.forget()?;
        if let Some(path) = &self.file {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
            let written = file.write_all(&octets).and_then(|()| file.sync_all());
            if let Err(problem) = written {
                self.forget()?;
                return Err(problem);
            }
        }
        self.set(octets);
        Ok(())
    }

    /// It is taken, and no longer there.
    ///
    /// # Errors
    /// When the file is still there: then it may not be used either, or it could be used twice.
    pub(crate) fn take(&mut self) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        let kept = self.kept.take();
        self.forget()?;
        Ok(kept)
    }

    /// Whether there is one.
    pub(crate) const fn is_there(&self) -> bool {
        self.kept.is_some()
    }

    /// Nothing is kept any more.
    ///
    /// # Errors
    /// When the file is still there.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        self.kept = None;
        match self.file.as_ref().map(std::fs::remove_file) {
            Some(Err(problem)) if problem.kind() != ErrorKind::NotFound => Err(problem),
            _ => Ok(()),
        }
    }
}
