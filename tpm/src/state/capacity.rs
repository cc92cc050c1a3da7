// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of everything there is. A guest can fill each of these, and then gets a response
//! code; none of them costs memory that isn't set aside from the start.

/// Octets of the longest command (TPM_PT_MAX_COMMAND_SIZE).
pub const COMMAND_SIZE_MAX: usize = 4096;
/// Octets of the longest response (TPM_PT_MAX_RESPONSE_SIZE).
pub const RESPONSE_SIZE_MAX: usize = 4096;
/// Loaded transient objects and sequences (TPM_PT_HR_TRANSIENT_MIN).
pub const TRANSIENT_OBJECTS: usize = 8;
/// Private RSA keys that are kept ready for use.
pub const PREPARED_KEYS: usize = 2;
/// Sessions in memory (TPM_PT_HR_LOADED_MIN).
pub const LOADED_SESSIONS: usize = 8;
/// Sessions in memory or saved (TPM_PT_ACTIVE_SESSIONS_MAX).
pub const ACTIVE_SESSIONS: usize = 64;
/// Persistent objects.
pub const PERSISTENT_OBJECTS: usize = 64;
/// NV indices.
pub const NV_INDICES: usize = 256;
/// Octets of data of all NV indices together.
pub const NV_DATA_SIZE: usize = 128 * 1024;
/// The greatest difference of two context counters (TPM_PT_CONTEXT_GAP_MAX).
pub const CONTEXT_GAP_MAX: u64 = 0xffff;
/// Authenticated countdown timers.
pub const TIMERS: usize = 1;
/// Most handles of a command.
pub const HANDLES_MAX: usize = 3;
/// Most sessions of a command (Part 1, 18.5).
pub const SESSIONS_MAX: usize = 3;
/// Octets of a TPM2B_MAX_BUFFER (TPM_PT_INPUT_BUFFER).
pub const INPUT_BUFFER_SIZE: usize = 1024;
/// Octets of a TPMS_CAPABILITY_DATA (TPM_PT_MAX_CAP_BUFFER).
pub const CAPABILITY_BUFFER_SIZE: usize = 1024;
/// Milliseconds of Clock between writes of it (TPM_PT_CLOCK_UPDATE): at most 2^22.
pub const CLOCK_UPDATE_MS: u64 = 1 << 16;
/// Increments of an orderly counter between writes of it (TPM_PT_ORDERLY_COUNT): a mask.
pub const ORDERLY_COUNT: u32 = 0xff;
