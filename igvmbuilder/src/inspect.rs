// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints what is in an IGVM file, as a table.

use std::{collections::BTreeMap, fmt};

use igvm::{IgvmDirectiveHeader, IgvmFile, IgvmPlatformHeader, snp_defs::SevVmsa};
use igvm_defs::IGVM_VHS_PARAMETER;
use snp_abi::{PAGE_SIZE_U64, config::LaunchConfigPage};
use zerocopy::FromBytes;

use crate::{
    digest, file,
    id_block::{self, IdBlockError},
};

/// One line of the table: a run of pages, or a single directive.
struct Row {
    start: u64,
    end: u64,
    what: &'static str,
    detail: String,
}

/// The whole text for `inspect`.
pub struct Description<'file>(pub &'file IgvmFile);

impl fmt::Display for Description<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_all(formatter, self.0)
    }
}

fn write_all(out: &mut fmt::Formatter<'_>, igvm: &IgvmFile) -> fmt::Result {
    for IgvmPlatformHeader::SupportedPlatform(platform) in igvm.platforms() {
        writeln!(
            out,
            "platform  {:?} version {}, compatibility {:#x}",
            platform.platform_type, platform.platform_version, platform.compatibility_mask
        )?;
    }
    match file::policy(igvm) {
        Some(policy) => writeln!(out, "policy    {policy:#x}")?,
        None => writeln!(out, "policy    none")?,
    }
    match digest::measure(igvm.directives()) {
        Ok(digest) => writeln!(out, "digest    {}", hex::encode(digest))?,
        Err(error) => writeln!(out, "digest    none: {error}")?,
    }
    match id_block::verify(igvm) {
        Ok(verified) => write!(out, "\nID block, signature good\n{verified}")?,
        Err(IdBlockError::None) => writeln!(out, "ID block  none")?,
        Err(error) => writeln!(out, "ID block  BAD: {error}")?,
    }
    writeln!(out, "\n{:<18} {:<18} {:>6}  {:<16} detail", "from", "to", "pages", "directive")?;
    for row in rows(igvm.directives()) {
        write_row(out, &row)?;
    }
    write_counts(out, igvm.directives())?;
    for directive in igvm.directives() {
        write_contents(out, directive)?;
    }
    Ok(())
}

fn write_row(out: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let Row { start, end, what, detail } = row;
    if start == end {
        writeln!(out, "{:<18} {:<18} {:>6}  {what:<16} {detail}", "-", "-", "-")
    } else {
        let pages = (end - start) / PAGE_SIZE_U64;
        writeln!(out, "{start:<#18x} {end:<#18x} {pages:>6}  {what:<16} {detail}")
    }
}

/// Directives in order, neighbouring pages of the same kind as one row.
fn rows(directives: &[IgvmDirectiveHeader]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut areas = BTreeMap::new();
    for directive in directives {
        if let IgvmDirectiveHeader::ParameterArea {
            number_of_bytes, parameter_area_index, ..
        } = directive
        {
            areas.insert(*parameter_area_index, *number_of_bytes);
        }
        let row = row(directive, &areas);
        match rows.last_mut() {
            Some(last)
                if last.end == row.start
                    && row.start != row.end
                    && last.what == row.what
                    && last.detail == row.detail =>
            {
                last.end = row.end;
            }
            _ => rows.push(row),
        }
    }
    rows
}

fn row(directive: &IgvmDirectiveHeader, areas: &BTreeMap<u32, u64>) -> Row {
    let range = |start: u64, size: u64, what, detail| Row {
        start,
        end: start.saturating_add(size),
        what,
        detail,
    };
    let line = |what, detail| Row { start: 0, end: 0, what, detail };
    let parameter = |what, parameter: &IGVM_VHS_PARAMETER| {
        line(what, format!("area {}+{:#x}", parameter.parameter_area_index, parameter.byte_offset))
    };
    match directive {
        IgvmDirectiveHeader::PageData { gpa, .. } => {
            range(*gpa, PAGE_SIZE_U64, page_kind(directive), String::new())
        }
        IgvmDirectiveHeader::ParameterArea { number_of_bytes, parameter_area_index, .. } => line(
            "parameter area",
            format!("area {parameter_area_index}, {number_of_bytes:#x} bytes"),
        ),
        IgvmDirectiveHeader::ParameterInsert(insert) => range(
            insert.gpa,
            areas.get(&insert.parameter_area_index).copied().unwrap_or_default(),
            "parameters",
            format!("area {}", insert.parameter_area_index),
        ),
        IgvmDirectiveHeader::MemoryMap(info) => parameter("memory map", info),
        IgvmDirectiveHeader::VpCount(info) => parameter("vCPU count", info),
        IgvmDirectiveHeader::Madt(info) => parameter("MADT", info),
        IgvmDirectiveHeader::EnvironmentInfo(info) => parameter("environment", info),
        IgvmDirectiveHeader::CommandLine(info) => parameter("command line", info),
        IgvmDirectiveHeader::DeviceTree(info) => parameter("device tree", info),
        IgvmDirectiveHeader::RequiredMemory { gpa, number_of_bytes, .. } => {
            range(*gpa, u64::from(*number_of_bytes), "required memory", String::new())
        }
        IgvmDirectiveHeader::SnpVpContext { gpa, vp_index, vmsa, .. } => range(
            *gpa,
            PAGE_SIZE_U64,
            "VMSA",
            format!("vCPU {vp_index}, entry {:#x}, VMPL{}", vmsa.rip, vmsa.vmpl),
        ),
        IgvmDirectiveHeader::SnpIdBlock { guest_svn, .. } => {
            line("ID block", format!("guest SVN {guest_svn}"))
        }
        other => {
            let text = other.to_string();
            line("other", text.lines().next().unwrap_or_default().to_owned())
        }
    }
}

fn page_kind(directive: &IgvmDirectiveHeader) -> &'static str {
    let IgvmDirectiveHeader::PageData { flags, data_type, data, .. } = directive else {
        return "-";
    };
    use snp_abi::launch::PageType;
    match digest::page_type(*data_type, flags.unmeasured()) {
        PageType::Normal if data.iter().all(|&byte| byte == 0) => "normal (zeros)",
        PageType::Normal => "normal",
        PageType::Unmeasured => "unmeasured",
        PageType::Secrets => "secrets",
        PageType::Cpuid => "CPUID",
        PageType::Vmsa => "VMSA",
        PageType::Zero => "zero",
    }
}

fn write_counts(out: &mut fmt::Formatter<'_>, directives: &[IgvmDirectiveHeader]) -> fmt::Result {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for directive in directives {
        if matches!(directive, IgvmDirectiveHeader::PageData { .. }) {
            *counts.entry(page_kind(directive)).or_default() += 1;
        }
    }
    writeln!(out, "\npages by kind")?;
    for (kind, count) in counts {
        writeln!(out, "  {kind:<16} {count:>6}")?;
    }
    Ok(())
}

/// Shows the contents of what is known: the launch configuration and the VMSA.
fn write_contents(out: &mut fmt::Formatter<'_>, directive: &IgvmDirectiveHeader) -> fmt::Result {
    match directive {
        IgvmDirectiveHeader::PageData { gpa, data, .. } => {
            let config = LaunchConfigPage::read_from_bytes(data).ok().map(|page| page.parse());
            if let Some(Ok(config)) = config {
                writeln!(out, "\nlaunch configuration at {gpa:#x}")?;
                writeln!(out, "  image      {:#x}..{:#x}", config.image_start, config.image_end)?;
                writeln!(
                    out,
                    "  region     {:#x}, {:#x} bytes",
                    config.region_base, config.region_size
                )?;
                writeln!(out, "  console    {:?}", config.console)?;
                writeln!(out, "  flags      {:?}", config.flags)?;
                if let Some(owner) = config.state_owner {
                    writeln!(out, "  owner      {}", hex::encode(owner))?;
                }
                writeln!(out, "  guest      {:?}", config.guest_vmpl)?;
                writeln!(out, "  arguments  {:?}", config.arguments.as_str())?;
                for (name, payload) in [
                    ("kernel", config.kernel),
                    ("initrd", config.initrd),
                    ("cmdline", config.cmdline),
                ] {
                    if let Some(payload) = payload {
                        let digest = hex::encode(payload.digest);
                        writeln!(out, "  {name:<9}  {} bytes, SHA-384 {digest}", payload.length)?;
                    }
                }
            }
            Ok(())
        }
        IgvmDirectiveHeader::SnpVpContext { vp_index, vmsa, .. } => {
            writeln!(out, "\nentry state of vCPU {vp_index}")?;
            write_vmsa(out, vmsa)
        }
        _ => Ok(()),
    }
}

fn write_vmsa(out: &mut fmt::Formatter<'_>, vmsa: &SevVmsa) -> fmt::Result {
    let sev_features = u64::from(vmsa.sev_features);
    for (name, value) in [
        ("rip", vmsa.rip),
        ("rsp", vmsa.rsp),
        ("rflags", vmsa.rflags),
        ("cr0", vmsa.cr0),
        ("cr3", vmsa.cr3),
        ("cr4", vmsa.cr4),
        ("efer", vmsa.efer),
        ("cs.base", vmsa.cs.base),
        ("features", sev_features),
    ] {
        writeln!(out, "  {name:<9}  {value:#x}")?;
    }
    Ok(())
}
