// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM: the kernel that runs at VMPL0 and serves an unmodified guest at VMPL2 (AMD 58019).
//!
//! Everything that touches the machine lives in `boot`, `cpu`, `memory`, `snp` and `device`; only
//! those may contain `unsafe`. The rest is plain logic over small traits and runs in host tests.
//!
//! - `boot`: from the launch VMSA to the first line of ordinary Rust, and the order of bring-up.
//! - `cpu`: descriptor tables, exceptions, per-CPU data, the CPUID table.
//! - `memory`: frames, heap, page tables, the guest window.
//! - `snp`: instructions, GHCB, page states, guest requests.
//! - `device`: console, fw_cfg, interval timer, PCI and the virtio disk.
//! - `payload`: what is booted, checked, measured and placed.
//! - `protocol`: the guest's calls: core, attestation, vTPM.
//! - `vtpm`: the TPM engine on this kernel, with its keys and its store.
//! - `guest`: launch at VMPL2 and the run loop.
#![cfg_attr(not(any(test, feature = "simulation")), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(feature = "bare-metal")]
#[allow(unsafe_code, reason = "bring-up: assembly entry, linker symbols")]
pub mod boot;
#[allow(unsafe_code, reason = "privileged instructions and descriptor tables")]
pub mod cpu;
#[allow(unsafe_code, reason = "device registers and shared pages")]
pub mod device;
pub mod guest;
pub mod log;
pub mod machine;
#[allow(unsafe_code, reason = "raw memory")]
pub mod memory;
pub mod payload;
pub mod platform;
pub mod protocol;
#[allow(unsafe_code, reason = "SNP instructions and the GHCB")]
pub mod snp;
pub mod vtpm;
pub mod work;
