// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the bare-metal images and igvmbuilder through cargo.
//!
//! The images share the host's triple, so their flags live in a configuration file of their own and
//! their artifacts in a target folder of their own.

use crate::failure::{Context, Result};
use crate::progress::step_command;
use crate::project;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// The built programs that a machine is made of.
#[derive(Debug, Clone)]
pub struct Images {
    /// The emulator, which QEMU starts as its kernel (ELF).
    pub emulator: PathBuf,
    /// The SVSM (ELF).
    pub svsm: PathBuf,
    /// The host program that packs the SVSM into an IGVM file.
    pub igvmbuilder: PathBuf,
}

impl Images {
    /// Builds what changed. `svsm_features` are features of the SVSM beyond `bare-metal`.
    pub fn build(svsm_features: &[String]) -> Result<Self> {
        static BUILT: Mutex<Option<HashMap<Vec<String>, Images>>> = Mutex::new(None);
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let built = built.get_or_insert_default();
        if let Some(images) = built.get(svsm_features) {
            return Ok(images.clone());
        }
        let images = Self {
            emulator: bare_metal("emulator", &[])?,
            svsm: svsm_image(svsm_features)?,
            igvmbuilder: igvmbuilder()?,
        };
        built.insert(svsm_features.to_vec(), images.clone());
        Ok(images)
    }
}

/// Builds the SVSM alone; its ELF file.
pub fn svsm_image(features: &[String]) -> Result<PathBuf> {
    bare_metal("svsm", features)
}

fn bare_metal(package: &str, features: &[String]) -> Result<PathBuf> {
    let mut all_features = vec!["bare-metal".to_owned()];
    all_features.extend_from_slice(features);
    let target = project::target_folder().join("bare-metal");
    let name = [&[package.to_owned()], features].concat().join("+");

    // One build after the other, across processes too: each leaves its image at the same place.
    let folder = project::build_folder("images")?;
    let lock = File::create(folder.join("lock")).context(|| "create a lock file".to_owned())?;
    lock.lock().context(|| "lock build/images".to_owned())?;
    step_command(
        &format!("build the image {name}"),
        Command::new(project::cargo())
            .args(["--config", "bare-metal.toml", "build", "--quiet", "--profile", "image"])
            .args(["--package", package, "--features", &all_features.join(",")])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(project::root()),
    )?;
    let elf = folder.join(format!("{name}.elf"));
    let made = target.join("x86_64-unknown-linux-gnu/image").join(package);
    copy_if_changed(&made, &elf)?;
    Ok(elf)
}

/// In the tests' profile, whose artifacts of its dependencies are there already.
fn igvmbuilder() -> Result<PathBuf> {
    step_command(
        "build igvmbuilder",
        Command::new(project::cargo())
            .args(["build", "--quiet", "--package", "igvmbuilder"])
            .arg("--target-dir")
            .arg(project::target_folder())
            .current_dir(project::root()),
    )?;
    Ok(project::target_folder().join("debug/igvmbuilder"))
}

/// A machine that is being started may have the old file open: it is replaced, never overwritten.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("copy {} to {}", from.display(), to.display());
    let new = fs::read(from).context(doing)?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    let partial = to.with_extension("new");
    fs::write(&partial, new).context(doing)?;
    fs::rename(&partial, to).context(doing)
}
