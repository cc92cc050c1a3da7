// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `attest` in a folder of a test's.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// What a run of the program left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    pub(crate) complained: String,
}

pub(crate) fn run(folder: &Path, line: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_attest");
    let ran = Command::new(program).args(line.split_whitespace()).current_dir(folder).output();
    let Output { status, stdout, stderr } = ran.expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: status.code(), said: text(stdout), complained: text(stderr) }
}

/// A folder of this name that is empty. The tests of all packages share the place where it is.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("attest-{name}"));
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
