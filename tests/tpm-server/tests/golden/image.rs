// SPDX-License-Identifier: MIT OR Apache-2.0
//! A disk image without its empty blocks: for each other block its number as a little-endian u32,
//! and its 4096 bytes.

const BLOCK_BYTES: usize = 4096;
/// What tpm_server's disks have.
const IMAGE_BYTES: usize = 3 << 20;

pub(crate) fn packed(image: &[u8]) -> Vec<u8> {
    assert_eq!(image.len(), IMAGE_BYTES);
    let mut packed = Vec::new();
    for (number, block) in (0_u32..).zip(image.chunks(BLOCK_BYTES)) {
        if block.iter().any(|byte| *byte != 0) {
            packed.extend(number.to_le_bytes());
            packed.extend(block);
        }
    }
    packed
}

pub(crate) fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut image = vec![0; IMAGE_BYTES];
    assert!(packed.len().is_multiple_of(4 + BLOCK_BYTES));
    for entry in packed.chunks(4 + BLOCK_BYTES) {
        let (number, block) = entry.split_first_chunk().expect("a number");
        let number = usize::try_from(u32::from_le_bytes(*number)).expect("a number of a block");
        image[number * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(block);
    }
    image
}
