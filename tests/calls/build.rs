// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linker arguments of the bare-metal program; host builds of the library get none.

use std::env;

const LINK_ARGUMENTS: [&str; 10] = [
    "-nostartfiles",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,--gc-sections",
    "-Wl,-z,norelro",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-z,noexecstack",
    "-Wl,--no-dynamic-linker",
];

fn main() {
    println!("cargo:rerun-if-changed=calls.ld");
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BARE_METAL").is_none() {
        return;
    }
    let Some(folder) = env::var_os("CARGO_MANIFEST_DIR") else {
        panic!("cargo sets CARGO_MANIFEST_DIR for build scripts");
    };
    for argument in LINK_ARGUMENTS {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}/calls.ld", folder.display());
}
