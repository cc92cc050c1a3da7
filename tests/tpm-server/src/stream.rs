// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections over TCP and Unix sockets, alike to the protocols above.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

/// Where connections come from.
pub(crate) enum Listener {
    /// A port.
    Tcp(TcpListener),
    /// A path.
    Unix(UnixListener),
}

impl Listener {
    /// The next connection.
    pub(crate) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

/// A connection.
pub(crate) enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

impl Stream {
    /// The connection of a descriptor that was handed over a Unix socket.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self::Unix(UnixStream::from(descriptor))
    }

    /// The Unix socket, if it is one.
    pub(crate) fn unix(&self) -> Option<&UnixStream> {
        match self {
            Self::Unix(stream) => Some(stream),
            Self::Tcp(_) => None,
        }
    }

    /// Another handle of the same connection.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
        }
    }

    /// Reads exactly `bytes.len()` octets.
    ///
    /// Clients write a command in several pieces. Without an immediate acknowledgement of each
    /// the next one waits for the client's kernel, up to 40 ms.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        if let Self::Tcp(stream) = self {
            rustix::net::sockopt::set_tcp_quickack(stream.as_fd(), true)?;
        }
        self.read_exact(bytes)
    }

    /// The next big-endian u32.
    pub(crate) fn next_u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// The next octet.
    pub(crate) fn next_u8(&mut self) -> io::Result<u8> {
        let mut bytes = [0; 1];
        self.fill(&mut bytes)?;
        Ok(bytes[0])
    }

    /// `length` octets, of which there may be no more than `limit`.
    pub(crate) fn next_bytes(&mut self, length: u32, limit: usize) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limit {
            return Err(io::Error::other(format!("{length} octets where at most {limit} fit")));
        }
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(bytes),
            Self::Unix(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

/// Whether a connection ended as connections end.
pub(crate) fn is_end(problem: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(problem.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe)
}
