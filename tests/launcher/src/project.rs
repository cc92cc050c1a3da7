// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are in the project's tree.

use crate::failure::{Context, Result};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The top of the work tree that this program was built from.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// A folder below `build/`, made if need be. Nothing in there is committed.
pub(crate) fn build_folder(name: &str) -> Result<PathBuf> {
    let folder = root().join("build").join(name);
    fs::create_dir_all(&folder).context(|| format!("make the folder {}", folder.display()))?;
    Ok(folder)
}

/// Cargo's target folder for host programs.
pub(crate) fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs this program, or else the one on the path.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
