// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's command line.

use crate::failure::{Context, Failure, Result};
use crate::guest::GuestFiles;
use crate::log::Log;
use crate::options::{Accelerator, Console, Layers, Options};
use crate::payload::{Payload, RunFolder};
use snp_abi::disk::DISK_FILE;
use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// fw_cfg files of this project are named below this.
const FW_CFG_PREFIX: &str = "opt/org.macadamia-svsm";

/// The sockets that QEMU connects to, by their names in the run's folder.
pub(crate) const DEBUG_SOCKET: &str = "debug";
pub(crate) const CONSOLE_SOCKET: &str = "console";
pub(crate) const AGENT_SOCKET: &str = "agent";

/// What QEMU starts.
pub(crate) enum Start {
    /// The emulator, which starts the SVSM.
    Payload(Payload),
    /// Linux.
    Guest(GuestFiles),
}

/// Starts QEMU.
pub(crate) fn start(
    options: &Options,
    start: &Start,
    folder: &RunFolder,
    log: &Log,
) -> Result<Child> {
    // Should this program be killed, the kernel ends QEMU too.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program());
    command.args(["-nodefaults", "-display", "none", "-no-reboot"]);
    // No system-management mode: an SMI would run its code under the nested page tables.
    command.args(["-M", "q35,smm=off", "-cpu", "EPYC,+svm,+npt"]);
    command.args(accelerator(&options.accelerator));
    command.args(["-smp", &cpus(options).to_string()]);
    command.args(["-m", &options.memory_mib.to_string()]);
    match start {
        Start::Payload(payload) => {
            add_payload(&mut command, options, payload);
            if let Some(image) = &options.state {
                add_state(&mut command, image)?;
            }
        }
        Start::Guest(guest) => {
            command.arg("-kernel").arg(&guest.kernel).arg("-initrd").arg(&guest.initrd);
            command.arg("-append").arg(&options.command_line);
        }
    }
    add_lines(&mut command, options, folder, log);
    command.args(&options.qemu_arguments);
    command.spawn().map_err(|error| {
        Failure::new(format!(
            "start setpriv and qemu-system-x86_64: {error}; tests/guest/install installs them"
        ))
    })
}

/// The environment may name another QEMU.
fn program() -> OsString {
    env::var_os("QEMU").unwrap_or_else(|| "qemu-system-x86_64".into())
}

/// QEMU's CPU 0 runs no guest: another CPU's floating-point instructions can corrupt its nested
/// state (see docs/decisions). The emulator parks it, so that the guest's CPUs need one more.
fn cpus(options: &Options) -> u16 {
    match options.layers {
        Layers::Svsm => u16::from(options.cpus) + u16::from(options.service_cpu) + 1,
        Layers::LinuxAlone => u16::from(options.cpus),
    }
}

fn accelerator(accelerator: &Accelerator) -> Vec<String> {
    match accelerator {
        Accelerator::Threads => vec!["-accel".into(), "tcg,thread=multi".into()],
        Accelerator::InstructionCount { shift } => vec![
            "-accel".into(),
            "tcg,thread=single".into(),
            "-icount".into(),
            format!("shift={shift},sleep=off"),
        ],
    }
}

fn add_payload(command: &mut Command, options: &Options, payload: &Payload) {
    command.arg("-kernel").arg(&payload.emulator).arg("-initrd").arg(&payload.igvm);
    command.arg("-append").arg(options.machine_switches.join(" "));
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    for (name, file) in &payload.fw_cfg {
        let file = quoted(&file.display().to_string());
        command.arg("-fw_cfg").arg(format!("name={FW_CFG_PREFIX}/{name},file={file}"));
    }
}

/// Where the disk for the TPM's state sits on bus 0: both the SVSM and the emulator, which hides it
/// from the guest, are told.
const STATE_SLOT: &str = "1e.0";

/// Bytes of a new disk image: what the store takes, and room for a larger one.
const STATE_BYTES: u64 = 4 << 20;

/// The disk for the TPM's state.
fn add_state(command: &mut Command, image: &Path) -> Result<()> {
    let doing = || format!("make the disk image {}", image.display());
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(image);
    let file = file.context(doing)?;
    if file.metadata().context(doing)?.len() == 0 {
        file.set_len(STATE_BYTES).context(doing)?;
    }
    let path = quoted(&image.display().to_string());
    command.arg("-drive").arg(format!("if=none,id=state,format=raw,cache=writeback,file={path}"));
    command.arg("-device").arg(format!(
        "virtio-blk-pci,drive=state,addr={STATE_SLOT},disable-legacy=on,iommu_platform=on"
    ));
    command.arg("-fw_cfg").arg(format!("name={DISK_FILE},string=pci {STATE_SLOT}"));
    Ok(())
}

/// The debug console, the guest's console, and the agent's line, in that order of serial ports.
fn add_lines(command: &mut Command, options: &Options, folder: &RunFolder, log: &Log) {
    let socket = |name: &str| {
        let path = quoted(&folder.file(name).display().to_string());
        format!("socket,id={name},path={path}")
    };
    command.arg("-chardev").arg(socket(DEBUG_SOCKET));
    command.args(["-device", &format!("isa-debugcon,iobase=0xe9,chardev={DEBUG_SOCKET}")]);
    command.arg("-chardev");
    match options.console {
        Console::Log => {
            command.arg(socket(CONSOLE_SOCKET));
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        Console::Terminal => {
            let file = quoted(&log.path().display().to_string());
            command.arg(format!(
                "stdio,id={CONSOLE_SOCKET},mux=on,signal=off,logfile={file},logappend=on"
            ));
            command.args(["-mon", &format!("chardev={CONSOLE_SOCKET},mode=readline")]);
        }
    }
    command.args(["-serial", &format!("chardev:{CONSOLE_SOCKET}")]);
    command.arg("-chardev").arg(socket(AGENT_SOCKET));
    command.args(["-serial", &format!("chardev:{AGENT_SOCKET}")]);
    // QEMU's own warnings and errors; they would mix with a command's output.
    command.stderr(Stdio::piped());
}

/// A comma inside a value of QEMU's options is written twice.
fn quoted(value: &str) -> String {
    value.replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_does_not_end_the_option() {
        assert_eq!(quoted("/tmp/a,b"), "/tmp/a,,b");
    }

    #[test]
    fn counting_instructions_needs_one_thread() {
        let arguments = accelerator(&Accelerator::InstructionCount { shift: 3 });
        assert!(arguments.contains(&"tcg,thread=single".to_owned()));
        assert!(arguments.contains(&"shift=3,sleep=off".to_owned()));
    }
}
