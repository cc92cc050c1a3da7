// SPDX-License-Identifier: MIT OR Apache-2.0
//! Anchors for tests: one in memory, one in a file.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use super::disk::{Event, Trace};
use crate::{Anchor, AnchorError, Anchored, FreshnessRoot};

/// An anchor in memory; what it learns can be part of a trace.
#[derive(Clone)]
pub struct Witness {
    /// What it remembers.
    pub remembered: Anchored,
    trace: Option<Trace>,
}

impl Witness {
    /// An anchor that remembers this.
    #[must_use]
    pub fn new(remembered: Anchored) -> Self {
        Self { remembered, trace: None }
    }

    /// Reports every advance to `trace`.
    #[must_use]
    pub fn traced(mut self, trace: &Trace) -> Self {
        self.trace = Some(Trace::clone(trace));
        self
    }
}

impl Anchor for Witness {
    fn read(&mut self) -> Result<Anchored, AnchorError> {
        Ok(self.remembered)
    }

    fn advance(&mut self, root: &FreshnessRoot) -> Result<(), AnchorError> {
        match self.remembered {
            Anchored::Nowhere => return Ok(()),
            Anchored::At(last) if last.sequence > root.sequence => {
                return Err(AnchorError::Refused);
            }
            Anchored::Unset | Anchored::At(_) => {}
        }
        self.remembered = Anchored::At(*root);
        if let Some(trace) = &self.trace {
            trace.borrow_mut().push(Event::Anchored(*root));
        }
        Ok(())
    }
}

/// An anchor in a file, replaced atomically. It shows how one is written; a file beside the disk
/// is under the same host's control and proves nothing.
pub struct FileAnchor {
    path: PathBuf,
}

impl FileAnchor {
    /// An anchor in this file, unset while the file does not exist.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn replace(&self, root: &FreshnessRoot) -> io::Result<()> {
        let next = self.path.with_extension("next");
        let mut file = fs::File::create(&next)?;
        file.write_all(&root.to_bytes())?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        match self.path.parent() {
            Some(folder) => fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Anchor for FileAnchor {
    fn read(&mut self) -> Result<Anchored, AnchorError> {
        match fs::read(&self.path) {
            Ok(bytes) => match bytes.as_slice().try_into() {
                Ok(bytes) => Ok(Anchored::At(FreshnessRoot::from_bytes(bytes))),
                Err(_) => Err(AnchorError::Invalid),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Anchored::Unset),
            Err(_) => Err(AnchorError::Unreachable),
        }
    }

    fn advance(&mut self, root: &FreshnessRoot) -> Result<(), AnchorError> {
        self.replace(root).map_err(|_| AnchorError::Unreachable)
    }
}
