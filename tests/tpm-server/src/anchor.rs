// SPDX-License-Identifier: MIT OR Apache-2.0
//! What remembers where the state stands, if anything does: a file. On another medium than the
//! state it tells when somebody has put an old state back; beside the state it proves nothing.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use nvstore::{Anchor, AnchorError, Anchored, FreshnessRoot};

/// An anchor, or none.
pub(crate) enum StateAnchor {
    /// Nobody remembers.
    Nowhere,
    /// The last root, 48 bytes.
    File {
        /// Replaced as a whole; it isn't there before the first use.
        path: PathBuf,
        /// It survives a loss of the host's power too.
        syncs: bool,
    },
}

impl Anchor for StateAnchor {
    fn read(&mut self) -> Result<Anchored, AnchorError> {
        let Self::File { path, .. } = self else { return Ok(Anchored::Nowhere) };
        match fs::read(path) {
            Ok(bytes) => match bytes.as_slice().try_into() {
                Ok(bytes) => Ok(Anchored::At(FreshnessRoot::from_bytes(bytes))),
                Err(_) => Err(AnchorError::Invalid),
            },
            Err(problem) if problem.kind() == ErrorKind::NotFound => Ok(Anchored::Unset),
            Err(_) => Err(AnchorError::Unreachable),
        }
    }

    fn advance(&mut self, root: &FreshnessRoot) -> Result<(), AnchorError> {
        match self {
            Self::Nowhere => Ok(()),
            Self::File { path, syncs } => {
                replace(path, *syncs, &root.to_bytes()).map_err(|_| AnchorError::Unreachable)
            }
        }
    }
}

fn replace(path: &Path, syncs: bool, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    let next = PathBuf::from(name);
    let mut file = File::create(&next)?;
    file.write_all(bytes)?;
    if syncs {
        file.sync_all()?;
    }
    fs::rename(&next, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if syncs { File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}
