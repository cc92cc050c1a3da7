// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gives the linker the kernel's layout. Host builds of the library are left alone.

fn main() {
    println!("cargo:rerun-if-changed=kernel.ld");
    if std::env::var_os("CARGO_FEATURE_BARE_METAL").is_none() {
        return;
    }
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let arguments = [
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
    for argument in arguments {
        println!("cargo:rustc-link-arg-bin=svsm={argument}");
    }
    println!("cargo:rustc-link-arg-bin=svsm=-Wl,-T,{directory}/kernel.ld");
}
