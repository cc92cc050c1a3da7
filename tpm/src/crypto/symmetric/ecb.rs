// SPDX-License-Identifier: MIT OR Apache-2.0
//! Electronic code book (NIST SP 800-38A, 6.1). `data` is a whole number of blocks.

use super::block::{BLOCK_SIZE, Permutation};

pub(super) fn apply(permute: Permutation<'_>, data: &mut [u8]) {
    let (blocks, _) = data.as_chunks_mut::<BLOCK_SIZE>();
    blocks.iter_mut().for_each(permute);
}
