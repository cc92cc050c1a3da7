// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the outcome leaves the guest: reason set and code of the GHCB termination request.

/// Reason set of all our requests.
pub const REASON_SET: u64 = 6;
/// All cases gave what they must.
pub const PASSED: u64 = 0;
/// The guest wasn't started as it expects.
pub const NO_START: u64 = 0xff;
/// A page that was exchanged without the SVSM gave another result than it must.
pub const EXCHANGED: u64 = 0xfc;
/// The secrets page holds a key that isn't the guest's, or not the guest's own.
pub const WRONG_KEYS: u64 = 0xfd;
/// The hypervisor or the SVSM didn't serve a call at all.
pub const NOT_SERVED: u64 = 0xfe;

/// The code for the case at `index` of the table: its number, from 1.
pub const fn failed(index: usize) -> u64 {
    index as u64 + 1
}
