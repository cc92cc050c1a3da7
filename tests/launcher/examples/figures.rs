// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures what `docs/performance.md` reports, and prints it as a table: `make figures`.
//!
//! Instructions are counted by QEMU itself (`-icount`): its time stamp counter then advances by one
//! with each emulated instruction, so the counters of the machine are counts of instructions. Exits
//! are counted by the machine. Neither depends on how busy the host is.

use launcher::{Accelerator, Failure, Images, Machine, Options, Result};
use serde_json::Value;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// Counting makes the machine slow, and a busy host slower.
const PATIENCE: Duration = Duration::from_secs(1800);
/// TPM commands whose exits are counted.
const COMMANDS: u64 = 200;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("figures: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let images = Images::build(&[])?;
    let idle = Run::new(0)?;
    let busy = Run::new(COMMANDS)?;

    println!("| figure | value |");
    println!("|---|---|");
    let size = |path: &std::path::Path| {
        std::fs::metadata(path)
            .map(|data| data.len())
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())))
    };
    row("size of the SVSM's ELF image with its symbols", "bytes", size(&images.svsm)?);
    row("size of the IGVM file, no payload in it", "bytes", size(&pack(&images)?)?);
    let start = idle.number("times", "start", None)?;
    let first = idle.number("times", "vmpl0_entry", None)?;
    let guest = idle.number("times", "vmpl2_entry", None)?;
    row("machine start to the SVSM's first instruction", "instructions", first - start);
    row("the SVSM's first instruction to the guest's", "instructions", guest - first);
    let validated = idle.number("exits", "pvalidate_pages", Some(0))?;
    row("PVALIDATE before and during the boot, in 4 KiB pages", "pages", validated);
    for (name, event) in [
        ("calls into the SVSM for one vTPM command", "run_vmpl"),
        ("GHCB calls of the guest for it", "ghcb_calls"),
        ("of these by the MSR protocol", "msr_protocol"),
    ] {
        let more = busy.number("exits", event, Some(2))? - idle.number("exits", event, Some(2))?;
        println!("| {name} | {:.2} |", ratio(more, COMMANDS));
    }
    for line in ["granted in", "of the region free", "guest starts", "payload: loaded"] {
        if let Some(found) = idle.log.iter().find(|entry| entry.contains(line)) {
            println!("| the SVSM says | `{}` |", found.trim());
        }
    }
    Ok(())
}

fn row(name: &str, unit: &str, value: u64) {
    println!("| {name} | {value} {unit} |");
}

#[expect(clippy::cast_precision_loss, reason = "counts of a few thousand")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// An IGVM file of the SVSM, as `make run` makes it.
fn pack(images: &Images) -> Result<std::path::PathBuf> {
    let file = std::env::temp_dir().join(format!("figures-{}.igvm", std::process::id()));
    let packed = Command::new(&images.igvmbuilder)
        .args(["build", "--allow-unmeasured-payload", "--image"])
        .arg(&images.svsm)
        .arg("--output")
        .arg(&file)
        .output()
        .map_err(|error| Failure::new(format!("igvmbuilder: {error}")))?;
    if !packed.status.success() {
        let complaint = String::from_utf8_lossy(&packed.stderr).into_owned();
        return Err(Failure::new(format!("igvmbuilder: {complaint}")));
    }
    Ok(file)
}

/// One boot with instructions counted, in which the guest sends some TPM commands.
struct Run {
    log: Vec<String>,
}

impl Run {
    fn new(commands: u64) -> Result<Self> {
        let mut machine = Machine::boot(&Options {
            machine_switches: vec!["counters".to_owned()],
            accelerator: Accelerator::InstructionCount { shift: 0 },
            boot_timeout: PATIENCE,
            command_timeout: PATIENCE,
            ..Options::default()
        })?;
        // TPM2_GetRandom(8) through the raw device: one write and one read for each command.
        machine.check(&format!(
            "exec 3<>/dev/tpm0; n=0; while [ $n -lt {commands} ]; do \
             printf '\\200\\001\\000\\000\\000\\014\\000\\000\\001\\173\\000\\010' >&3; \
             head -c 20 <&3 >/dev/null || exit 1; n=$((n+1)); done"
        ))?;
        Ok(Self { log: machine.power_off()?.lines()? })
    }

    /// A number of the machine's report, summed over CPUs; `vmpl` where it is counted by VMPL.
    fn number(&self, kind: &str, name: &str, vmpl: Option<u64>) -> Result<u64> {
        let reports = self.log.iter().filter_map(|line| {
            let (_, json) = line.split_once("machine-json: ")?;
            serde_json::from_str::<Value>(json).ok()
        });
        let fitting = reports
            .filter(|report| report["kind"] == kind)
            .filter(|report| vmpl.is_none_or(|vmpl| report["vmpl"] == vmpl));
        let numbers: Vec<u64> = fitting.filter_map(|report| report[name].as_u64()).collect();
        if numbers.is_empty() {
            return Err(Failure::new(format!("the log has no {kind}/{name}")));
        }
        Ok(numbers.iter().sum())
    }
}
