// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gives the linker the image's layout. The other flags of images are in bare-metal.toml; host
//! builds of the library get none.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=kernel.ld");
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_BARE_METAL").is_none() {
        return;
    }
    let Some(folder) = env::var_os("CARGO_MANIFEST_DIR") else {
        panic!("cargo sets CARGO_MANIFEST_DIR for build scripts");
    };
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}/kernel.ld", folder.display());
}
