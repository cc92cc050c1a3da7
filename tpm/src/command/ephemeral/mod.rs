// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ephemeral keys over elliptic curves (Part 3, 19; Part 1, annex C.2): the TPM keeps a counter
//! and a secret instead of each of them.

pub mod commit;
pub mod ec_ephemeral;
