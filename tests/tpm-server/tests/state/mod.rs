// SPDX-License-Identifier: MIT OR Apache-2.0
//! A state on disk that outlives its servers.

use crate::client::{STARTUP_CLEAR, Tpm, new_folder};
use std::path::PathBuf;
use std::process::Command;

/// A state that servers one after another open; it goes away with this.
pub(crate) struct State {
    name: &'static str,
    folder: PathBuf,
}

impl State {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, folder: new_folder(&format!("{name}-state")) }
    }

    /// A file of the state's: the image, or what lies beside it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The folder of the server's sockets, which goes with the server.
    pub(crate) fn sockets(&self) -> PathBuf {
        new_folder(self.name)
    }

    /// This project's server, with the state.
    pub(crate) fn start(&self) -> Tpm {
        self.start_with(STARTUP_CLEAR)
    }

    /// The same, with this TPM_SU in TPM2_Startup.
    pub(crate) fn start_with(&self, startup: u16) -> Tpm {
        let folder = self.sockets();
        let socket = folder.join("socket");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tpm_server"));
        command.arg("--state").arg(self.file("state")).arg("--unix").arg(&socket);
        Tpm::start_with(command, &socket, folder, startup)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let _removed = std::fs::remove_dir_all(&self.folder);
    }
}
