// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest kit's files: tests/guest/build makes them, and does nothing when they are there.

use crate::failure::{Context, Failure, Result};
use crate::options::Options;
use crate::project;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// What Linux boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestFiles {
    /// The kernel (a bzImage).
    pub kernel: PathBuf,
    /// The initramfs.
    pub initrd: PathBuf,
}

/// The guest kit's initramfs with Python and the tests that Linux's own source has for a TPM, under
/// `/usr/lib/selftests/tpm2`; made if it is not there.
pub fn initrd_with_selftests() -> Result<PathBuf> {
    GuestFiles::kit()?;
    Ok(kit_folder().join("initrd-selftests"))
}

fn kit_folder() -> PathBuf {
    project::root().join("build/guest")
}

impl GuestFiles {
    /// The files that `options` name, and the kit's for those that they don't.
    pub fn for_options(options: &Options) -> Result<Self> {
        if let (Some(kernel), Some(initrd)) = (&options.kernel, &options.initrd) {
            return Ok(Self { kernel: kernel.clone(), initrd: initrd.clone() });
        }
        let kit = Self::kit()?;
        Ok(Self {
            kernel: options.kernel.clone().unwrap_or(kit.kernel),
            initrd: options.initrd.clone().unwrap_or(kit.initrd),
        })
    }

    /// The guest kit's files, made if they are not there.
    pub fn kit() -> Result<Self> {
        // Asked for by every test of a process: the script need look only once.
        static MADE: Mutex<bool> = Mutex::new(false);
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if !*made {
            let status = Command::new(project::root().join("tests/guest/build"))
                .stdin(Stdio::null())
                .status()
                .context(|| "start tests/guest/build".to_owned())?;
            if !status.success() {
                return Err(Failure::new("the guest was not made: see above"));
            }
            *made = true;
        }
        let folder = kit_folder();
        Ok(Self { kernel: folder.join("kernel"), initrd: folder.join("initrd") })
    }
}
