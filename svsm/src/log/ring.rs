// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last bytes of the log.

/// A ring of `SIZE` bytes: the newest overwrite the oldest.
#[derive(Debug)]
pub struct Ring<const SIZE: usize> {
    bytes: [u8; SIZE],
    /// Bytes ever written.
    written: usize,
}

impl<const SIZE: usize> Default for Ring<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize> Ring<SIZE> {
    /// An empty ring.
    pub const fn new() -> Self {
        Self { bytes: [0; SIZE], written: 0 }
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) =
                self.written.checked_rem(SIZE).and_then(|at| self.bytes.get_mut(at))
            {
                *place = *byte;
            }
            self.written = self.written.wrapping_add(1);
        }
    }

    /// Passes on what the ring holds, oldest first, in chunks of at most `size` bytes.
    pub fn for_each_chunk(&self, size: usize, mut take: impl FnMut(&[u8])) {
        let wrapped = self.written > SIZE;
        let split = self.written.checked_rem(SIZE).filter(|_| wrapped).unwrap_or(0);
        let end = self.written.min(SIZE);
        let older = self.bytes.get(split..end).unwrap_or(&[]);
        let newer = self.bytes.get(..split).unwrap_or(&[]);
        for part in [older, newer] {
            part.chunks(size.max(1)).for_each(&mut take);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content<const SIZE: usize>(ring: &Ring<SIZE>) -> Vec<u8> {
        let mut all = Vec::new();
        ring.for_each_chunk(3, |chunk| {
            assert!(chunk.len() <= 3);
            all.extend_from_slice(chunk);
        });
        all
    }

    #[test]
    fn a_ring_without_room_keeps_nothing() {
        let mut ring = Ring::<0>::new();
        ring.push(b"abc");
        assert_eq!(content(&ring), b"");
    }

    #[test]
    fn the_oldest_bytes_go_first() {
        let mut ring = Ring::<8>::new();
        ring.push(b"abcd");
        assert_eq!(content(&ring), b"abcd");
        ring.push(b"efgh");
        assert_eq!(content(&ring), b"abcdefgh");
        ring.push(b"ij");
        assert_eq!(content(&ring), b"cdefghij");
        ring.push(b"0123456789");
        assert_eq!(content(&ring), b"23456789");
    }
}
