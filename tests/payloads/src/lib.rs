// SPDX-License-Identifier: MIT OR Apache-2.0
//! Conformance payloads for the SNP machine: tiny guests that take the SVSM's place at VMPL0 and
//! try one rule each, kept or broken.
//!
//! All cases are in one image; the launch configuration's arguments name the one to run. A case
//! whose checks hold ends QEMU through `isa-debug-exit` with [`outcome::PASSED`], one whose checks
//! fail with [`outcome::FAILED`], and one that breaks a rule is ended by the machine, with the
//! rule's name.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod cases;
mod faults;
mod ghcb;
mod instructions;
mod levels;
mod memory;
pub mod outcome;

use snp_abi::config::{CONFIG_OFFSET, LaunchConfigPage, REGION_BASE};

pub use cases::{CASES, Case, Expectation, FAMILY_ID, GUEST_SVN, IMAGE_ID, IdBlock};

// Position-independent, so that host programs that use the list of cases link it too.
core::arch::global_asm!(include_str!("assembly/faults.S"), options(att_syntax));

/// What the entry code provides.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// The page tables' root.
    pub page_tables: u64,
    /// The descriptor table.
    pub gdt: u64,
    /// Where further VMPLs and processors enter, with what to run in RDI.
    pub entry: u64,
}

/// Runs the case that the launch configuration names.
pub fn run(image: &Image) -> ! {
    levels::remember(image);
    faults::install();
    ghcb::setup();
    let page: LaunchConfigPage = memory::read_private(REGION_BASE + CONFIG_OFFSET);
    let Ok(config) = page.parse() else {
        outcome::fail(format_args!("the launch configuration isn't valid"))
    };
    let name = config.arguments.as_str();
    match CASES.iter().find(|case| case.name == name) {
        Some(case) => {
            (case.run)();
            outcome::pass()
        }
        None => outcome::fail(format_args!("there is no case named {name:?}")),
    }
}
