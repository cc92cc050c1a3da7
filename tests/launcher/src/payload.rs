// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that one start of a machine needs, in a folder of their own that goes away with it:
//! the IGVM file, the fw_cfg files, and the sockets that QEMU connects to.

use crate::failure::{Context, Failure, Result};
use crate::guest::GuestFiles;
use crate::identity;
use crate::images::Images;
use crate::options::Options;
use crate::progress::step_command;
use crate::symbols;
use std::env;
use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder of one start; removed when dropped.
#[derive(Debug)]
pub(crate) struct RunFolder(PathBuf);

impl RunFolder {
    /// Under the system's folder for such, since the path of a socket must be short.
    pub(crate) fn create() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("macadamia-{}-{number}", process::id()));
        fs::create_dir(&path).context(|| format!("make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn socket(&self, name: &str) -> Result<UnixListener> {
        let path = self.file(name);
        let listener = UnixListener::bind(&path)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        listener.context(|| format!("listen on {}", path.display()))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, bytes).context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("launcher: remove {}: {error}", self.0.display());
        }
    }
}

/// What the emulator and the SVSM start from.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) emulator: PathBuf,
    pub(crate) igvm: PathBuf,
    /// The launch digest that igvmbuilder computes for the file, hexadecimal.
    pub(crate) digest: String,
    /// fw_cfg files: the name without `opt/org.macadamia-svsm/`, and the file.
    pub(crate) fw_cfg: Vec<(&'static str, PathBuf)>,
}

impl Payload {
    pub(crate) fn build(options: &Options, guest: &GuestFiles, folder: &RunFolder) -> Result<Self> {
        let images = Images::build(&options.svsm_features)?;
        let igvm = options.igvm.clone().unwrap_or_else(|| folder.file("svsm.igvm"));
        pack(&images, guest, options, &igvm)?;
        let digest = measure(&images, &igvm)?;
        let symbols = folder.write("symbols", symbols::of_file(&images.svsm)?.as_bytes())?;
        let command_line = folder.write("cmdline", options.command_line.as_bytes())?;
        let mut fw_cfg = vec![
            ("kernel", guest.kernel.clone()),
            ("initrd", guest.initrd.clone()),
            ("cmdline", command_line),
            ("symbols", symbols),
        ];
        fw_cfg.extend(options.state_key.iter().map(|file| ("state-key", file.clone())));
        Ok(Self { emulator: images.emulator, igvm, digest, fw_cfg })
    }
}

/// Packs the SVSM, and the digests of what it may start, into an IGVM file.
fn pack(images: &Images, guest: &GuestFiles, options: &Options, igvm: &Path) -> Result<()> {
    for file in [&guest.kernel, &guest.initrd] {
        if !file.is_file() {
            return Err(Failure::new(format!("{} is no file", file.display())));
        }
    }
    let policy = options.policy.map(|policy| policy.to_string());
    let id_block = options.id_block.as_ref();
    let id_block = id_block.map(|block| identity::arguments(images, block)).transpose()?;
    step_command(
        "pack the IGVM file",
        Command::new(&images.igvmbuilder)
            .arg("build")
            .arg("--image")
            .arg(&images.svsm)
            .arg("--kernel")
            .arg(&guest.kernel)
            .arg("--initrd")
            .arg(&guest.initrd)
            .arg("--cmdline")
            .arg(&options.command_line)
            .args(options.service_cpu.then_some("--service-vcpu"))
            .args(options.bind_measurement.then_some("--bind-measurement"))
            .args(policy.iter().flat_map(|policy| ["--policy", policy]))
            .args(id_block.unwrap_or_default())
            .args(options.state_owner.iter().flat_map(|owner| [Path::new("--state-owner"), owner]))
            .arg("--output")
            .arg(igvm),
    )
}

/// What igvmbuilder measures; the emulator, and a secure processor, must measure the same.
fn measure(images: &Images, igvm: &Path) -> Result<String> {
    let doing = || "measure the IGVM file".to_owned();
    let output = Command::new(&images.igvmbuilder).arg("measure").arg(igvm).output();
    let output = output.context(doing)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let digest = text.lines().next().unwrap_or_default().to_owned();
    if !output.status.success() || digest.is_empty() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::new(format!("{}: {complaint}", doing())));
    }
    Ok(digest)
}
