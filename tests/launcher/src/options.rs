// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be chosen about a machine.

use std::path::PathBuf;
use std::time::Duration;

/// How QEMU executes the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accelerator {
    /// TCG, a thread for each CPU.
    Threads,
    /// TCG in one thread with virtual time: one emulated instruction takes 2^shift nanoseconds. For
    /// counting instructions.
    InstructionCount {
        /// The binary logarithm of an instruction's nanoseconds, 0 to 10.
        shift: u8,
    },
}

/// What runs below Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layers {
    /// The emulator and the SVSM: the product.
    Svsm,
    /// Nothing: QEMU boots Linux itself, without a TPM. For testing the guest kit and this library.
    LinuxAlone,
}

/// Where the guest's console goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// Into the log.
    Log,
    /// To the terminal that the program runs in (Ctrl-A x ends QEMU), and into the log.
    Terminal,
}

/// The IGVM file's ID block: who answers for the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdBlock {
    /// The private key that signs, P-384 in PEM, in place of the test key under `build/keys`.
    pub id_key: Option<PathBuf>,
    /// The guest's security version.
    pub guest_svn: u32,
}

impl Default for IdBlock {
    fn default() -> Self {
        Self { id_key: None, guest_svn: 1 }
    }
}

/// A machine's options; the default is a small one with everything built from this tree.
#[derive(Debug, Clone)]
pub struct Options {
    /// What runs below Linux.
    pub layers: Layers,
    /// Virtual CPUs.
    pub cpus: u8,
    /// A virtual CPU more, which stays with the SVSM.
    pub service_cpu: bool,
    /// RAM in MiB.
    pub memory_mib: u32,
    /// The guest's kernel, in place of the guest kit's.
    pub kernel: Option<PathBuf>,
    /// The guest's initramfs, in place of the guest kit's. Without the kit's agent in it, no
    /// commands can be run.
    pub initrd: Option<PathBuf>,
    /// The guest's command line; it is measured.
    pub command_line: String,
    /// The guest policy, in place of igvmbuilder's default.
    pub policy: Option<u64>,
    /// The IGVM file's ID block; `None`: the guest is nobody's.
    pub id_block: Option<IdBlock>,
    /// The disk image with the TPM's state, made if it isn't there; without one the TPM is
    /// ephemeral.
    pub state: Option<PathBuf>,
    /// The state is for this very image, whoever signs it.
    pub bind_measurement: bool,
    /// The key of the state's owner (PEM), if it isn't the platform's firmware that gives the
    /// state's key.
    pub state_owner: Option<PathBuf>,
    /// The package with the state's key that the owner made for this launch.
    pub state_key: Option<PathBuf>,
    /// Where the IGVM file is kept; without it, it goes with the machine.
    pub igvm: Option<PathBuf>,
    /// The log file, in place of one under `build/log`.
    pub log: Option<PathBuf>,
    /// The guest's console.
    pub console: Console,
    /// Cargo features of the SVSM beyond `bare-metal`: deliberate faults.
    pub svsm_features: Vec<String>,
    /// Switches of the emulator, as `trace` or `counters`.
    pub machine_switches: Vec<String>,
    /// How QEMU executes the machine.
    pub accelerator: Accelerator,
    /// Further arguments for QEMU.
    pub qemu_arguments: Vec<String>,
    /// How long the guest may take until it runs commands.
    pub boot_timeout: Duration,
    /// How long one command in the guest, or powering off, may take.
    pub command_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            layers: Layers::Svsm,
            cpus: 1,
            service_cpu: false,
            memory_mib: 1024,
            kernel: None,
            initrd: None,
            command_line: "console=ttyS0,115200 panic=-1".to_owned(),
            policy: None,
            id_block: Some(IdBlock::default()),
            state: None,
            bind_measurement: false,
            state_owner: None,
            state_key: None,
            igvm: None,
            log: None,
            console: Console::Log,
            svsm_features: Vec::new(),
            machine_switches: Vec::new(),
            accelerator: Accelerator::Threads,
            qemu_arguments: Vec::new(),
            // Generous: on a busy machine everything takes several times as long.
            boot_timeout: Duration::from_secs(180),
            command_timeout: Duration::from_secs(180),
        }
    }
}
