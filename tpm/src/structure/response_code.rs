// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_RC (Part 2, 6.6): response codes, and how a format-one code names what is at fault.

use crate::wire::{Marshal, Result, Writer};

/// A response code. `TPM_RC_SUCCESS` is no value of this type: success is `Ok`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode(u32);

const FORMAT_ONE: u32 = 0x080;
const PARAMETER: u32 = 0x040;
const SESSION: u32 = 0x800;
const NUMBER_SHIFT: u32 = 8;
/// Bits of a format-one code that say handle, session or parameter, and which.
const ALL_LOCATION_BITS: u32 = 0xf40;

macro_rules! codes {
    ($($name:ident = $value:literal, $what:literal;)*) => {
        impl ResponseCode {
            $(#[doc = $what] pub const $name: Self = Self($value);)*
        }

        impl core::fmt::Debug for ResponseCode {
            fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let name = match self.kind().0 {
                    $($value => stringify!($name),)*
                    _ => "?",
                };
                write!(formatter, "{name}({:#05x})", self.0)
            }
        }
    };
}

codes! {
    BAD_TAG = 0x01e, "The tag is neither TPM_ST_NO_SESSIONS nor TPM_ST_SESSIONS.";
    INITIALIZE = 0x100, "TPM2_Startup is missing, or came twice.";
    FAILURE = 0x101, "The TPM is in failure mode, or found a fault of its own.";
    SEQUENCE = 0x103, "Improper use of a sequence handle.";
    PRIVATE = 0x10b, "Not currently used.";
    HMAC = 0x119, "Not currently used.";
    DISABLED = 0x120, "The command is disabled.";
    EXCLUSIVE = 0x121, "An audit session required exclusivity and did not have it.";
    AUTH_TYPE = 0x124, "The authorisation is of a kind that the handle does not accept.";
    AUTH_MISSING = 0x125, "A handle that needs authorisation has no session.";
    POLICY = 0x126, "A policy failure in computing a digest.";
    PCR = 0x127, "PCR check failed.";
    PCR_CHANGED = 0x128, "PCRs changed since they were checked by the policy.";
    UPGRADE = 0x12d, "Field upgrade mode.";
    TOO_MANY_CONTEXTS = 0x12e, "The context counter is at its maximum.";
    AUTH_UNAVAILABLE = 0x12f, "authValue or authPolicy is not available for the entity.";
    REBOOT = 0x130, "_TPM_Init and Startup(CLEAR) are needed.";
    UNBALANCED = 0x131, "The protection algorithms are not reasonably balanced.";
    COMMAND_SIZE = 0x142, "commandSize is inconsistent with the command buffer.";
    COMMAND_CODE = 0x143, "The command is not implemented.";
    AUTHSIZE = 0x144, "authorizationSize is out of range.";
    AUTH_CONTEXT = 0x145, "The command does not take sessions.";
    NV_RANGE = 0x146, "NV offset and size are out of the index's range.";
    NV_SIZE = 0x147, "The requested allocation is larger than allowed.";
    NV_LOCKED = 0x148, "NV access is locked.";
    NV_AUTHORIZATION = 0x149, "NV access authorisation fails in command actions.";
    NV_UNINITIALIZED = 0x14a, "The NV index was never written, or state could not be restored.";
    NV_SPACE = 0x14b, "NV space is insufficient.";
    NV_DEFINED = 0x14c, "The NV index or persistent object is already defined.";
    BAD_CONTEXT = 0x150, "The context in TPM2_ContextLoad is not valid.";
    CPHASH = 0x151, "cpHash is already set, or not correct for use.";
    PARENT = 0x152, "The handle is not a valid parent.";
    NEEDS_TEST = 0x153, "A function needs testing.";
    NO_RESULT = 0x154, "A function could not be performed because of an internal computation.";
    SENSITIVE = 0x155, "The sensitive area did not unmarshal correctly after decryption.";
    READ_ONLY = 0x156, "The TPM is in read-only mode.";
    ASYMMETRIC = 0x081, "Asymmetric algorithm not supported or not correct.";
    ATTRIBUTES = 0x082, "Inconsistent attributes.";
    HASH = 0x083, "Hash algorithm not supported or not appropriate.";
    VALUE = 0x084, "The value is out of range or not correct for the context.";
    HIERARCHY = 0x085, "The hierarchy is not enabled or not correct for the use.";
    KEY_SIZE = 0x087, "The key size is not supported.";
    MGF = 0x088, "The mask generation function is not supported.";
    MODE = 0x089, "The mode of operation is not supported.";
    TYPE = 0x08a, "The type of the value is not appropriate for the use.";
    HANDLE = 0x08b, "The handle is not correct for the use.";
    KDF = 0x08c, "Unsupported key derivation function, or not appropriate for the use.";
    RANGE = 0x08d, "The value was out of the allowed range.";
    AUTH_FAIL = 0x08e, "The authorisation HMAC check failed, and the DA counter incremented.";
    NONCE = 0x08f, "Invalid nonce size or nonce value mismatch.";
    PP = 0x090, "Authorisation requires assertion of physical presence.";
    SCHEME = 0x092, "Unsupported or incompatible scheme.";
    SIZE = 0x095, "The structure is the wrong size.";
    SYMMETRIC = 0x096, "Unsupported symmetric algorithm or key size, or not appropriate.";
    TAG = 0x097, "Incorrect structure tag.";
    SELECTOR = 0x098, "The union selector is incorrect.";
    INSUFFICIENT = 0x09a, "The buffer does not hold the whole value.";
    SIGNATURE = 0x09b, "The signature is not valid.";
    KEY = 0x09c, "Key fields are not compatible with the selected use.";
    POLICY_FAIL = 0x09d, "A policy check failed.";
    INTEGRITY = 0x09f, "Integrity check failed.";
    TICKET = 0x0a0, "Invalid ticket.";
    RESERVED_BITS = 0x0a1, "Reserved bits are not zero.";
    BAD_AUTH = 0x0a2, "Authorisation failure without DA implications.";
    EXPIRED = 0x0a3, "The policy has expired.";
    POLICY_CC = 0x0a4, "The commandCode in the policy is not that of the command.";
    BINDING = 0x0a5, "Public and sensitive portions of an object are not bound.";
    CURVE = 0x0a6, "The curve is not supported.";
    ECC_POINT = 0x0a7, "The point is not on the required curve.";
    FW_LIMITED = 0x0a8, "The hierarchy is limited by firmware.";
    SVN_LIMITED = 0x0a9, "The hierarchy is limited by the firmware's security version.";
    CHANNEL = 0x0b0, "Command requires secure channel protection.";
    CHANNEL_KEY = 0x0b1, "Secure channel was not established with the required key.";
    CONTEXT_GAP = 0x901, "The gap for context ID is too large.";
    OBJECT_MEMORY = 0x902, "Out of memory for object contexts.";
    SESSION_MEMORY = 0x903, "Out of memory for session contexts.";
    MEMORY = 0x904, "Out of shared memory, or need division between object and session.";
    SESSION_HANDLES = 0x905, "Out of session handles: a session must be flushed.";
    OBJECT_HANDLES = 0x906, "Out of object handles.";
    LOCALITY = 0x907, "Bad locality.";
    YIELDED = 0x908, "The TPM has suspended operation on the command.";
    CANCELED = 0x909, "The command was cancelled.";
    TESTING = 0x90a, "The TPM is performing self-tests.";
    REFERENCE_H0 = 0x910, "The first handle references a transient object that is not loaded.";
    REFERENCE_S0 = 0x918, "The first session handle references a session that is not loaded.";
    NV_RATE = 0x920, "The TPM is rate-limiting accesses to prevent wearout of NV.";
    LOCKOUT = 0x921, "Authorisations for DA-protected objects are locked out.";
    RETRY = 0x922, "The TPM was not able to start the command: submit it again.";
    NV_UNAVAILABLE = 0x923, "The command may require writing of NV, which isn't accessible.";
}

impl ResponseCode {
    /// The value on the wire.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// A code from its value on the wire, as kept in a record.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    const fn is_format_one(self) -> bool {
        self.0 & FORMAT_ONE != 0
    }

    const fn is_located(self) -> bool {
        self.0 & ALL_LOCATION_BITS != 0
    }

    const fn located(self, bits: u32, number: u8) -> Self {
        if self.is_format_one() && !self.is_located() {
            Self(self.0 | bits | ((number as u32) << NUMBER_SHIFT))
        } else {
            self
        }
    }

    /// The code without the place of the fault.
    #[must_use]
    pub const fn kind(self) -> Self {
        if self.is_format_one() { Self(self.0 & !ALL_LOCATION_BITS) } else { self }
    }

    /// Adds the number of the parameter, from 1, to a format-one code that names no place yet.
    #[must_use]
    pub const fn in_parameter(self, number: u8) -> Self {
        self.located(PARAMETER, number)
    }

    /// Adds the number of the handle, from 1, to a format-one code that names no place yet.
    #[must_use]
    pub const fn in_handle(self, number: u8) -> Self {
        self.located(0, number)
    }

    /// Adds the number of the session, from 1, to a format-one code that names no place yet.
    #[must_use]
    pub const fn in_session(self, number: u8) -> Self {
        self.located(SESSION, number)
    }

    /// TPM_RC_REFERENCE_H0 and its successors, by handle number from 1.
    pub const fn reference_handle(number: u8) -> Self {
        Self(Self::REFERENCE_H0.0.saturating_add(number.saturating_sub(1) as u32))
    }

    /// TPM_RC_REFERENCE_S0 and its successors, by session number from 1.
    pub const fn reference_session(number: u8) -> Self {
        Self(Self::REFERENCE_S0.0.saturating_add(number.saturating_sub(1) as u32))
    }
}

impl Marshal for ResponseCode {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_format_one_codes_name_a_place_and_only_once() {
        assert_eq!(ResponseCode::FAILURE.in_parameter(1), ResponseCode::FAILURE);
        assert_eq!(ResponseCode::LOCKOUT.in_session(1), ResponseCode::LOCKOUT);
        assert_eq!(ResponseCode::VALUE.in_parameter(2).raw(), 0x2c4);
        assert_eq!(ResponseCode::VALUE.in_parameter(2).in_parameter(1).raw(), 0x2c4);
        assert_eq!(ResponseCode::VALUE.in_parameter(2).in_handle(1).raw(), 0x2c4);
        assert_eq!(ResponseCode::HANDLE.in_handle(1).raw(), 0x18b);
        assert_eq!(ResponseCode::AUTH_FAIL.in_session(1).raw(), 0x98e);
        assert_eq!(ResponseCode::AUTH_FAIL.in_session(3).kind(), ResponseCode::AUTH_FAIL);
        assert_eq!(ResponseCode::reference_session(2).raw(), 0x919);
    }
}
