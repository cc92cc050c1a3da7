// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's arguments.

use launcher::{Accelerator, Layers, Options};
use std::path::PathBuf;

pub(crate) const USAGE: &str = "\
usage: launcher shell [OPTION…]                 boot, with the guest's shell on this terminal
       launcher command COMMAND [OPTION…]       boot, run COMMAND in the guest, power off
       launcher boots COUNT CPUS,… [OPTION…]    boot COUNT times with each number of CPUs

  --cpus N               virtual CPUs (default 1)
  --service-cpu          a virtual CPU more, which makes keys for the TPM
  --memory MIB           RAM (default 1024)
  --kernel FILE          a kernel instead of the guest kit's
  --initrd FILE          an initramfs instead of the guest kit's
  --cmdline TEXT         the kernel's command line
  --policy HEX           the guest policy
  --id-key FILE          a private key for the ID block instead of the test key
  --svn NUMBER           the guest's security version in the ID block (default 1)
  --no-id-block          no ID block
  --state FILE           a disk image for the TPM's state, made if it isn't there
  --bind-measurement     the TPM's state is for this very image, whoever signs it
  --state-owner FILE     whose key the TPM's state is encrypted with (P-384, PEM)
  --state-key FILE       the package with that key, made with `attest state-key`
  --igvm FILE            where the machine's IGVM file is kept, for a verifier
  --log FILE             the boot log (default: a new file in build/log)
  --machine SWITCH       a switch of the emulator, as trace or counters (may be repeated)
  --svsm-feature NAME    a cargo feature of the SVSM (may be repeated)
  --icount SHIFT         count instructions: each takes 2^SHIFT ns of virtual time
  --qemu ARGUMENT        a further argument for QEMU (may be repeated)
  --linux-alone          without emulator and SVSM, to test the guest kit
";

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Shell,
    Command(String),
    Boots { count: u32, cpus: Vec<u8> },
}

/// The parsed arguments.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub(crate) task: Task,
    pub(crate) options: Options,
}

impl Arguments {
    /// Reads the arguments that follow the program's name. The error says what is wrong.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let mut value = |name: &str| arguments.next().ok_or(format!("{name} needs a value"));
        let task = match value("launcher")?.as_str() {
            "help" | "--help" | "-h" => Task::Help,
            "shell" => Task::Shell,
            "command" => Task::Command(value("command")?),
            "boots" => Task::Boots {
                count: number("COUNT", &value("boots")?)?,
                cpus: value("boots")?
                    .split(',')
                    .map(|cpus| number("CPUS", cpus))
                    .collect::<Result<_, _>>()?,
            },
            other => return Err(format!("no such task: {other}")),
        };
        let mut options = Options::default();
        while let Some(option) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{option} needs a value"));
            match option.as_str() {
                "--cpus" => options.cpus = number(&option, &value()?)?,
                "--service-cpu" => options.service_cpu = true,
                "--memory" => options.memory_mib = number(&option, &value()?)?,
                "--kernel" => options.kernel = Some(PathBuf::from(value()?)),
                "--initrd" => options.initrd = Some(PathBuf::from(value()?)),
                "--cmdline" => options.command_line = value()?,
                "--policy" => options.policy = Some(policy(&value()?)?),
                "--id-key" => {
                    let id_key = PathBuf::from(value()?);
                    options.id_block.get_or_insert_default().id_key = Some(id_key);
                }
                "--svn" => {
                    let guest_svn = number(&option, &value()?)?;
                    options.id_block.get_or_insert_default().guest_svn = guest_svn;
                }
                "--no-id-block" => options.id_block = None,
                "--state" => options.state = Some(PathBuf::from(value()?)),
                "--bind-measurement" => options.bind_measurement = true,
                "--state-owner" => options.state_owner = Some(PathBuf::from(value()?)),
                "--state-key" => options.state_key = Some(PathBuf::from(value()?)),
                "--igvm" => options.igvm = Some(PathBuf::from(value()?)),
                "--log" => options.log = Some(PathBuf::from(value()?)),
                "--machine" => options.machine_switches.push(value()?),
                "--svsm-feature" => options.svsm_features.push(value()?),
                "--icount" => {
                    let shift = number(&option, &value()?)?;
                    options.accelerator = Accelerator::InstructionCount { shift };
                }
                "--qemu" => options.qemu_arguments.push(value()?),
                "--linux-alone" => options.layers = Layers::LinuxAlone,
                _ => return Err(format!("no such option: {option}")),
            }
        }
        Ok(Self { task, options })
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} is not a number in its range: {value}"))
}

/// Policies are bit fields: hexadecimal, with or without `0x`.
fn policy(value: &str) -> Result<u64, String> {
    u64::from_str_radix(value.trim_start_matches("0x"), 16)
        .map_err(|_| format!("--policy is not a hexadecimal number: {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments, String> {
        Arguments::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (text, named) in [
            ("", "needs a value"),
            ("sing", "sing"),
            ("shell --cups 2", "--cups"),
            ("shell --cpus", "--cpus"),
            ("shell --cpus 300", "300"),
            ("boots many 1", "many"),
            ("boots 3 1,x", "x"),
            ("command", "needs a value"),
            ("shell --svn -1", "-1"),
            ("shell --policy debug", "debug"),
        ] {
            let complaint = parse(text).expect_err(text);
            assert!(complaint.contains(named), "{text}: {complaint}");
        }
    }

    #[test]
    fn a_guest_is_signed_unless_it_must_not_be() {
        let parsed = |text| parse(text).expect("good arguments").options;
        assert_eq!(parsed("shell").id_block, Some(launcher::IdBlock::default()));
        assert_eq!(parsed("shell --no-id-block").id_block, None);
        let signed = parsed("shell --svn 7 --id-key k --policy 0xb0000");
        let id_block = signed.id_block.expect("an ID block");
        assert_eq!((id_block.id_key, id_block.guest_svn), (Some("k".into()), 7));
        assert_eq!(signed.policy, Some(0xb_0000));
    }

    #[test]
    fn options_follow_the_task() {
        let arguments = parse("boots 20 1,2 --memory 512 --machine trace --machine counters")
            .expect("good arguments");
        assert_eq!(arguments.task, Task::Boots { count: 20, cpus: vec![1, 2] });
        assert_eq!(arguments.options.memory_mib, 512);
        assert_eq!(arguments.options.machine_switches, ["trace", "counters"]);
    }
}
