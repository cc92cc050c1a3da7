// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processor: CPUID table, registers, descriptor tables, exceptions, per-CPU data.

pub mod cpuid;
#[cfg(feature = "bare-metal")]
mod descriptor;
#[cfg(feature = "bare-metal")]
mod exception;
#[cfg(feature = "bare-metal")]
pub mod per_cpu;
#[cfg(feature = "bare-metal")]
pub mod registers;

/// Most vCPUs that the SVSM serves; each costs it about 330 KiB.
pub const CPUS_MAX: usize = 8;

#[cfg(feature = "bare-metal")]
core::arch::global_asm!(include_str!("vectors.s"), options(att_syntax));
