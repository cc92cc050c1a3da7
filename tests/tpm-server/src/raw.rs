// SPDX-License-Identifier: MIT OR Apache-2.0
//! Raw TPM frames, as swtpm's server socket has them: the size in the header says where a command
//! ends.

use std::io::{self, Write};

use crate::host::Host;
use crate::stream::Stream;

/// Octets of tag, size and code.
const HEADER_SIZE: usize = 10;
/// Octets of the longest command that is read at all.
const COMMAND_SIZE_LIMIT: u32 = 1 << 16;

/// Serves one connection.
pub(crate) fn serve(host: &Host, mut stream: Stream) -> io::Result<()> {
    loop {
        let mut command = vec![0; HEADER_SIZE];
        stream.fill(&mut command)?;
        let size = command.get(2..6).and_then(|size| size.first_chunk()).copied();
        let size = u32::from_be_bytes(size.unwrap_or_default());
        if size > COMMAND_SIZE_LIMIT {
            return Err(io::Error::other(format!("a command of {size} octets")));
        }
        let size = usize::try_from(size).map_err(io::Error::other)?;
        command.resize(size.max(HEADER_SIZE), 0);
        stream.fill(&mut command[HEADER_SIZE..])?;
        let mut machine = host.machine();
        // Whoever connects has a machine that is on; swtpm does the same with --flags.
        let locality = machine.locality;
        let response = machine.execute(locality, &command);
        drop(machine);
        stream.write_all(&response)?;
    }
}
