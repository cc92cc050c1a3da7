// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds, signs, inspects, measures and compares the IGVM files that an SNP host boots
//! Macadamia-SVSM from.
//!
//! An IGVM file is a list of directives that the host carries out in order: load this page, put
//! the memory map there, start the vCPU in this state. The firmware measures what is loaded, so the
//! digest of a file is known as soon as the file is.
//!
//! Everything here is a function of its inputs: the same inputs give the same bytes.
#![forbid(unsafe_code)]

pub mod build;
pub mod diff;
pub mod digest;
pub mod file;
pub mod id_block;
pub mod image;
pub mod inspect;
pub mod key;
pub mod measure;
pub mod options;

/// The bit by which directives say that they are for SNP; the files have no other platform.
pub const SNP_COMPATIBILITY: u32 = 1;
