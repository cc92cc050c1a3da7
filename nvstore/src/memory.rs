// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only place that allocates: a store asks for all its memory when it is opened.

extern crate alloc;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::error::Error;

/// An empty buffer with room for `bytes` bytes.
pub(crate) fn reserve(bytes: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut buffer = Zeroizing::new(Vec::new());
    buffer.try_reserve_exact(bytes).map_err(|_| Error::Memory)?;
    Ok(buffer)
}

/// A buffer of `bytes` zeros.
pub(crate) fn zeros(bytes: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut buffer = reserve(bytes)?;
    buffer.resize(bytes, 0);
    Ok(buffer)
}
