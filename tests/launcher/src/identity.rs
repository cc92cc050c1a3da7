// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who signs the IGVM files that machines start from: a test key, made at first use and kept under
//! `build/`, unless another is given.

use crate::failure::{Context, Failure, Result};
use crate::images::Images;
use crate::options::IdBlock;
use crate::progress::step_command;
use crate::project;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

/// `macadamia-svsm` and the test kit, as bytes of ASCII.
const FAMILY_ID: [u8; 16] = *b"macadamia-svsm\0\0";
const IMAGE_ID: [u8; 16] = *b"test-guest-kit\0\0";

/// The arguments that have igvmbuilder sign a file.
pub(crate) fn arguments(images: &Images, id_block: &IdBlock) -> Result<Vec<String>> {
    let IdBlock { id_key, guest_svn } = id_block;
    let id_key = match id_key {
        Some(file) => file.clone(),
        None => test_key(images)?,
    };
    let id_key = id_key.to_str().ok_or_else(|| Failure::new("a key's path isn't text"))?;
    let svn = guest_svn.to_string();
    let (family, image) = (hexadecimal(&FAMILY_ID), hexadecimal(&IMAGE_ID));
    let options = ["--id-key", id_key, "--svn", &svn, "--family-id", &family, "--image-id", &image];
    Ok(options.map(str::to_owned).to_vec())
}

/// The test key; made if it isn't there.
fn test_key(images: &Images) -> Result<PathBuf> {
    let folder = project::build_folder("keys")?;
    let key = folder.join("id-key.pem");
    // Two programs that both find no key must end up with the same one.
    let lock = File::create(folder.join("lock")).context(|| "create a lock file".to_owned())?;
    lock.lock().context(|| "lock build/keys".to_owned())?;
    if !key.is_file() {
        let partial = key.with_extension("new");
        if partial.exists() {
            fs::remove_file(&partial).context(|| format!("remove {}", partial.display()))?;
        }
        step_command(
            "make a test key for ID blocks",
            Command::new(&images.igvmbuilder).arg("keygen").arg("--output").arg(&partial),
        )?;
        fs::rename(&partial, &key).context(|| format!("rename {}", partial.display()))?;
    }
    Ok(key)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
