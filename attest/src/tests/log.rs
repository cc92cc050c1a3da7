// SPDX-License-Identifier: MIT OR Apache-2.0
//! Event logs as the SVSM writes them.

use crate::hash::Hash;

/// A log with SHA-256 and SHA-384 banks: events by PCR, kind and data.
pub(crate) fn log(events: &[(u32, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 3, 0, 0, 0];
    bytes.extend([0; 20]);
    bytes.extend([37, 0, 0, 0]);
    bytes.extend(b"Spec ID Event03\0");
    bytes.extend([0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 11, 0, 32, 0, 12, 0, 48, 0, 0]);
    for (pcr, kind, data) in events {
        bytes.extend(pcr.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend([2, 0, 0, 0]);
        for hash in [Hash::Sha256, Hash::Sha384] {
            bytes.extend(hash.number().to_le_bytes());
            bytes.extend(hash.digest(&[data]));
        }
        bytes.extend(u32::try_from(data.len()).expect("short").to_le_bytes());
        bytes.extend(*data);
    }
    bytes
}
