// SPDX-License-Identifier: MIT OR Apache-2.0
//! Connections over TCP and Unix sockets, alike to the protocols above.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Range;
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
                Ok(Stream::new(Socket::Tcp(stream)))
            }
            Self::Unix(listener) => {
                listener.accept().map(|(stream, _)| Stream::new(Socket::Unix(stream)))
            }
        }
    }
}

/// A connection, with what was received and isn't read yet.
pub(crate) struct Stream {
    socket: Socket,
    buffer: Box<[u8; RECEIVE_SIZE]>,
    /// What of the buffer was received and isn't read yet.
    waiting: Range<usize>,
    /// Something was received since the last answer: what follows is the rest of a request.
    is_inside: bool,
}

/// The socket of a connection.
enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix socket.
    Unix(UnixStream),
}

/// Octets to receive at once: a whole command of any kind.
const RECEIVE_SIZE: usize = 8192;

impl Stream {
    fn new(socket: Socket) -> Self {
        Self { socket, buffer: Box::new([0; RECEIVE_SIZE]), waiting: 0..0, is_inside: false }
    }

    /// The connection of a descriptor that was handed over a Unix socket.
    pub(crate) fn from_descriptor(descriptor: OwnedFd) -> Self {
        Self::new(Socket::Unix(UnixStream::from(descriptor)))
    }

    /// The Unix socket, if it is one and nothing from it waits to be read.
    pub(crate) fn unix(&self) -> Option<&UnixStream> {
        match &self.socket {
            Socket::Unix(stream) if self.waiting.is_empty() => Some(stream),
            _ => None,
        }
    }

    /// Another handle of the same connection, of which nothing waits to be read.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match &self.socket {
            Socket::Tcp(stream) => stream.try_clone().map(Socket::Tcp).map(Self::new),
            Socket::Unix(stream) => stream.try_clone().map(Socket::Unix).map(Self::new),
        }
    }

    /// Reads exactly `bytes.len()` octets.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut wanted = bytes;
        while !wanted.is_empty() {
            if self.waiting.is_empty() {
                self.receive()?;
            }
            let waiting = &self.buffer[self.waiting.clone()];
            let size = waiting.len().min(wanted.len());
            let (now, later) = wanted.split_at_mut(size);
            now.copy_from_slice(&waiting[..size]);
            self.waiting.start += size;
            wanted = later;
        }
        Ok(())
    }

    /// Receives what there is.
    ///
    /// Clients may write a command in several pieces. Without an immediate acknowledgement of each
    /// the next one waits for the client's kernel, up to 40 ms. The last piece needs none: the
    /// answer acknowledges it.
    fn receive(&mut self) -> io::Result<()> {
        let size = match &mut self.socket {
            Socket::Tcp(stream) => {
                if self.is_inside {
                    rustix::net::sockopt::set_tcp_quickack(stream.as_fd(), true)?;
                }
                stream.read(&mut self.buffer[..])
            }
            Socket::Unix(stream) => stream.read(&mut self.buffer[..]),
        }?;
        if size == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.waiting = 0..size;
        self.is_inside = true;
        Ok(())
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

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.is_inside = false;
        match &mut self.socket {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(stream) => stream.flush(),
            Socket::Unix(stream) => stream.flush(),
        }
    }
}

/// Whether a connection ended as connections end.
pub(crate) fn is_end(problem: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(problem.kind(), Kind::UnexpectedEof | Kind::ConnectionReset | Kind::BrokenPipe)
}
