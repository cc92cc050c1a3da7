// SPDX-License-Identifier: MIT OR Apache-2.0
//! An SEV-SNP machine inside plain QEMU: a thin hypervisor with nested SVM that presents to its
//! guests what SNP hardware and its hypervisor would, and enforces the rules.
//!
//! What runs where: QEMU emulates a processor with SVM (or KVM virtualises one). This program is
//! its kernel. It loads an IGVM file, and runs what is in it at VMPL0, and what that starts at the
//! other VMPLs, as its own nested guests. All devices are QEMU's and belong to the guest.
//!
//! ```text
//! start      what QEMU was started with; memory; the other processors
//! igvm       reading of IGVM files, and the launch digest
//! launch     the IGVM file, CPUID and secrets pages, the boot processor's VMSA
//! psp        the secure processor: guest messages, reports, derived keys
//! rmp        who may do what with each page; PVALIDATE, RMPADJUST, RMPQUERY
//! nested     page tables that make the real processor enforce the RMP
//! world      state shared by the processors, and stopping them
//! vcpu       one VMCB for each VMPL: entry and exit, exits, #VC delivery
//! ghcb       the hypervisor's side of the GHCB protocol
//! violation  the report when a rule is broken
//! ```
#![no_std]

#[cfg(test)]
extern crate std;

mod bits;
pub mod console;
mod counters;
mod cpuid;
mod exceptions;
pub mod exit_code;
pub mod fatal;
mod fw_cfg;
mod ghcb;
mod igvm;
mod launch;
mod layout;
mod model_specific;
mod nested;
mod options;
pub mod physical;
mod pool;
mod processor;
mod psp;
pub mod rmp;
pub mod start;
mod symbols;
mod vcpu;
pub mod violation;
mod vmcb;
mod world;

pub use psp::SoftwarePsp;

// Position-independent and free of symbols of the image, so that host tests link it too.
core::arch::global_asm!(include_str!("assembly/world_switch.S"), options(att_syntax));
