// SPDX-License-Identifier: MIT OR Apache-2.0
//! The SVSM's image. Everything is in the library; this file makes it a program without a runtime.
#![no_std]
#![no_main]

// The library holds the entry point, the panic handler and the allocator.
use svsm as _;
