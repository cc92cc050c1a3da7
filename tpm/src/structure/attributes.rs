// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attribute words (Part 2, 8): objects, sessions, localities, permanent and start-up flags.

use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer, wire_bits};

wire_bits! {
    /// TPMA_OBJECT (Part 2, 8.3).
    ObjectAttributes: u32 {
        /// The hierarchy of the object cannot change.
        FIXED_TPM = 1 << 1,
        /// Saved contexts do not survive a TPM Reset or Restart.
        ST_CLEAR = 1 << 2,
        /// The parent cannot change.
        FIXED_PARENT = 1 << 4,
        /// The TPM made all of the sensitive data but authValue.
        SENSITIVE_DATA_ORIGIN = 1 << 5,
        /// USER role: password or HMAC is accepted.
        USER_WITH_AUTH = 1 << 6,
        /// ADMIN role: only a policy is accepted.
        ADMIN_WITH_POLICY = 1 << 7,
        /// The object exists only while this firmware runs.
        FIRMWARE_LIMITED = 1 << 8,
        /// The object exists only up to this firmware's security version.
        SVN_LIMITED = 1 << 9,
        /// Not subject to dictionary-attack protection.
        NO_DA = 1 << 10,
        /// Duplicates are encrypted, and never under the NULL hierarchy.
        ENCRYPTED_DUPLICATION = 1 << 11,
        /// Only for structures that the TPM knows.
        RESTRICTED = 1 << 16,
        /// May decrypt.
        DECRYPT = 1 << 17,
        /// May sign (or, for a symmetric cipher, encrypt).
        SIGN_ENCRYPT = 1 << 18,
        /// May sign X.509 certificates only.
        X509_SIGN = 1 << 19,
    }
}

wire_bits! {
    /// TPMA_SESSION (Part 2, 8.4).
    SessionAttributes: u8 {
        /// The session stays after the command.
        CONTINUE = 1 << 0,
        /// The command runs only if the session is exclusive.
        AUDIT_EXCLUSIVE = 1 << 1,
        /// The audit digest starts afresh.
        AUDIT_RESET = 1 << 2,
        /// The first parameter of the command is encrypted.
        DECRYPT = 1 << 5,
        /// The first parameter of the response is to be encrypted.
        ENCRYPT = 1 << 6,
        /// The session audits.
        AUDIT = 1 << 7,
    }
}

/// TPMA_LOCALITY (Part 2, 8.5): a set of localities 0 to 4, or one extended locality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalityAttributes(pub u8);

impl LocalityAttributes {
    /// Values from here on are extended localities.
    const EXTENDED_FIRST: u8 = 32;

    /// The attribute of a single locality.
    pub const fn of(locality: u8) -> Self {
        if locality < 5 { Self(1 << locality) } else { Self(locality) }
    }

    /// Whether this is one extended locality instead of a set.
    pub const fn is_extended(self) -> bool {
        self.0 >= Self::EXTENDED_FIRST
    }

    /// Whether `locality` is in the set, or is the extended locality.
    pub const fn allows(self, locality: u8) -> bool {
        if self.is_extended() {
            self.0 == locality
        } else {
            locality < 5 && self.0 & (1 << locality) != 0
        }
    }
}

impl Unmarshal for LocalityAttributes {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.value().map(Self)
    }
}

impl Marshal for LocalityAttributes {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.0)
    }
}

wire_bits! {
    /// TPMA_PERMANENT (Part 2, 8.6).
    PermanentAttributes: u32 {
        /// The owner has an authorisation value.
        OWNER_AUTH_SET = 1 << 0,
        /// The endorsement hierarchy has an authorisation value.
        ENDORSEMENT_AUTH_SET = 1 << 1,
        /// Lockout has an authorisation value.
        LOCKOUT_AUTH_SET = 1 << 2,
        /// TPM2_Clear is disabled.
        DISABLE_CLEAR = 1 << 8,
        /// The TPM is in lockout.
        IN_LOCKOUT = 1 << 9,
        /// The endorsement primary seed was made by the TPM.
        TPM_GENERATED_EPS = 1 << 10,
    }
}

wire_bits! {
    /// TPMA_STARTUP_CLEAR (Part 2, 8.7).
    StartupClearAttributes: u32 {
        /// The platform hierarchy is enabled.
        PLATFORM_ENABLE = 1 << 0,
        /// The storage hierarchy is enabled.
        STORAGE_ENABLE = 1 << 1,
        /// The endorsement hierarchy is enabled.
        ENDORSEMENT_ENABLE = 1 << 2,
        /// NV indices of the platform are enabled.
        PLATFORM_NV_ENABLE = 1 << 3,
        /// The TPM is in read-only mode.
        READ_ONLY = 1 << 4,
        /// The last shutdown was orderly.
        ORDERLY = 1 << 31,
    }
}

wire_bits! {
    /// TPMA_MEMORY (Part 2, 8.8).
    MemoryAttributes: u32 {
        /// Sessions and objects share RAM.
        SHARED_RAM = 1 << 0,
        /// Persistent objects and NV indices share NV memory.
        SHARED_NV = 1 << 1,
        /// Persistent objects are copied to RAM when they are used.
        OBJECT_COPIED_TO_RAM = 1 << 2,
    }
}

wire_bits! {
    /// TPMA_CC (Part 2, 8.9) without the command index.
    CommandAttributes: u32 {
        /// The command may write to NV.
        NV = 1 << 22,
        /// The command could flush any number of loaded contexts.
        EXTENSIVE = 1 << 23,
        /// The context of a transient handle in the command is flushed.
        FLUSHED = 1 << 24,
        /// The response has a handle area.
        RESPONSE_HANDLE = 1 << 28,
    }
}

wire_bits! {
    /// TPMA_MODES (Part 2, 8.10).
    ModeAttributes: u32 {
        /// FIPS 140-2 level 1.
        FIPS_140_2 = 1 << 0,
        /// FIPS 140-3 level 1.
        FIPS_140_3 = 1 << 1,
    }
}

wire_bits! {
    /// TPMA_ACT (Part 2, 8.12).
    TimerAttributes: u32 {
        /// The timer has expired.
        SIGNALED = 1 << 0,
        /// The signal survives a Shutdown and Startup(STATE).
        PRESERVE_SIGNALED = 1 << 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::response_code::ResponseCode;

    #[test]
    fn reserved_bits_are_refused() {
        let read = ObjectAttributes::unmarshal(&mut Reader::new(&[0, 0, 0, 1]));
        assert_eq!(read, Err(ResponseCode::RESERVED_BITS));
        let read = SessionAttributes::unmarshal(&mut Reader::new(&[0x18]));
        assert_eq!(read, Err(ResponseCode::RESERVED_BITS));
    }

    #[test]
    fn localities_are_a_set_or_one_extended_locality() {
        assert!(!LocalityAttributes(0).allows(0));
        assert!(LocalityAttributes(0b1_0001).allows(4));
        assert!(!LocalityAttributes(0b1_0001).allows(32));
        assert!(!LocalityAttributes(0b1_0001).allows(5));
        assert!(LocalityAttributes(40).allows(40));
        assert!(!LocalityAttributes(40).allows(3));
        assert_eq!(LocalityAttributes::of(3).0, 8);
    }
}
