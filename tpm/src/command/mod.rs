// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands (Part 3): one table of all of them, one file for each under a folder for each
//! chapter of Part 3. A file has the action and its tests; everything that all commands have in
//! common (frame, handles, authorisation, encryption, commit) is the
//! [`pipeline`](crate::pipeline)'s.

pub mod act;
pub mod asymmetric;
pub mod attached;
pub mod attestation;
pub mod audit;
pub mod capability;
pub mod clock;
pub mod context;
#[cfg(test)]
mod cost_tests;
pub mod dictionary_attack;
pub mod duplication;
pub mod ephemeral;
pub mod hash_hmac;
pub mod hierarchy;
pub mod management;
pub mod miscellaneous;
pub mod nv;
pub mod object;
pub mod pcr;
pub mod policy;
pub mod random;
pub mod session;
pub mod signing;
pub mod startup;
pub mod symmetric;
mod table;
pub mod testing;

pub use table::{COMMANDS, find};

use crate::pipeline::Context;
use crate::structure::attributes::CommandAttributes;
use crate::structure::command_code::CommandCode;
use crate::wire::{Marshal, Parameters, Reader, Result, Unmarshal, Writer};

/// What a command does once it is authorised: reads its parameters, checks them, and only then
/// changes state and writes its response parameters. On an error the state must be as before.
pub type Action = fn(&mut Context<'_>, Parameters<'_>, &mut Writer<'_>) -> Result<()>;

/// One row of the table.
#[derive(Debug)]
pub struct Command {
    /// Its code.
    pub code: CommandCode,
    /// Its handles, in order.
    pub handles: &'static [HandleSlot],
    /// What else is known of it.
    pub traits: Traits,
    /// What it does; `None` for a command that isn't implemented.
    pub action: Option<Action>,
}

/// A handle of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandleSlot {
    /// Which handles are accepted.
    pub kind: HandleType,
    /// What authorisation is needed.
    pub role: Role,
}

/// Authorisation roles (Part 1, 19.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// No authorisation.
    None,
    /// Ordinary use.
    User,
    /// Changes of the entity itself.
    Admin,
    /// Duplication.
    Dup,
}

/// The interface types of handles (Part 2, 9). `OrNull` ones also accept TPM_RH_NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleType {
    /// TPMI_DH_OBJECT: transient or persistent.
    Object,
    /// TPMI_DH_OBJECT+.
    ObjectOrNull,
    /// TPMI_DH_PARENT: an object or a hierarchy.
    Parent,
    /// TPMI_DH_ENTITY: anything with an authorisation value.
    Entity,
    /// TPMI_DH_ENTITY+.
    EntityOrNull,
    /// TPMI_DH_PCR.
    Pcr,
    /// TPMI_DH_PCR+.
    PcrOrNull,
    /// TPMI_DH_CONTEXT: a transient object or a loaded session.
    Context,
    /// TPMI_SH_HMAC.
    HmacSession,
    /// TPMI_SH_POLICY.
    PolicySession,
    /// TPMI_RH_HIERARCHY: owner, endorsement, platform.
    Hierarchy,
    /// TPMI_RH_HIERARCHY+.
    HierarchyOrNull,
    /// TPMI_RH_BASE_HIERARCHY of TPM2_HierarchyControl: owner, endorsement, platform, enabled or
    /// not.
    BaseHierarchy,
    /// TPMI_RH_HIERARCHY_AUTH: owner, endorsement, platform, lockout.
    HierarchyAuth,
    /// TPMI_RH_HIERARCHY_POLICY: those and the timers.
    HierarchyPolicy,
    /// TPMI_RH_PLATFORM.
    Platform,
    /// TPMI_RH_ENDORSEMENT: no command takes its TPM_RH_NULL.
    Endorsement,
    /// TPMI_RH_PROVISION: owner or platform.
    Provision,
    /// TPMI_RH_CLEAR: lockout or platform.
    Clear,
    /// TPMI_RH_NV_AUTH: platform, owner, or an NV index.
    NvAuth,
    /// TPMI_RH_LOCKOUT.
    Lockout,
    /// TPMI_RH_NV_INDEX.
    NvIndex,
    /// TPMI_RH_AC: an attached component.
    Attached,
    /// TPMI_RH_ACT: an authenticated countdown timer.
    Timer,
}

/// What a command is like, beside its handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits(u16);

impl Traits {
    /// Nothing special.
    pub const NONE: Self = Self(0);
    /// May write to NV (TPMA_CC.nv).
    pub const NV: Self = Self(1);
    /// May flush any number of contexts (TPMA_CC.extensive).
    pub const EXTENSIVE: Self = Self(2);
    /// Flushes the context of a transient handle (TPMA_CC.flushed).
    pub const FLUSHED: Self = Self(4);
    /// Its response has a handle (TPMA_CC.rHandle).
    pub const RESPONSE_HANDLE: Self = Self(8);
    /// The first parameter is a TPM2B: a session can decrypt it.
    pub const DECRYPT: Self = Self(16);
    /// The first response parameter is a TPM2B: a session can encrypt it.
    pub const ENCRYPT: Self = Self(32);
    /// No authorisation area at all.
    pub const NO_SESSIONS: Self = Self(64);
    /// TPM2_PP_Commands can make it need physical presence with platformAuth.
    pub const PRESENCE_SETTABLE: Self = Self(128);
    /// It needs physical presence always.
    pub const PRESENCE_REQUIRED: Self = Self(256);
    /// It is accepted in failure mode.
    pub const IN_FAILURE_MODE: Self = Self(512);
    /// It is accepted before TPM2_Startup (and TPM2_Startup is only accepted then).
    pub const BEFORE_STARTUP: Self = Self(1024);
    /// It is denied in read-only mode (TPM2_ReadOnlyControl). What only writes to an NV index is
    /// not: that depends on the index.
    pub const DENIED_READ_ONLY: Self = Self(2048);

    /// These and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` hold.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Command {
    /// Whether it can be executed.
    pub const fn is_implemented(&self) -> bool {
        self.action.is_some()
    }

    /// How many of its handles need authorisation; these come first.
    pub fn authorisations(&self) -> usize {
        self.handles.iter().take_while(|slot| slot.role != Role::None).count()
    }

    /// TPMA_CC with the command index (Part 2, 8.9).
    pub fn attribute_word(&self) -> u32 {
        const HANDLES_SHIFT: u32 = 25;
        let traits = self.traits;
        let attributes = CommandAttributes::empty()
            .with_if(traits.contains(Traits::NV), CommandAttributes::NV)
            .with_if(traits.contains(Traits::EXTENSIVE), CommandAttributes::EXTENSIVE)
            .with_if(traits.contains(Traits::FLUSHED), CommandAttributes::FLUSHED)
            .with_if(traits.contains(Traits::RESPONSE_HANDLE), CommandAttributes::RESPONSE_HANDLE);
        let handles = u32::try_from(self.handles.len()).unwrap_or_default() << HANDLES_SHIFT;
        attributes.raw() | handles | (self.code.0 & 0xffff)
    }
}

/// A set of command codes of the library (not of a vendor). It does not depend on what is
/// implemented, so that a record with one stays valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandSet([u8; Self::SIZE]);

impl CommandSet {
    const FIRST: u32 = 0x100;
    const SIZE: usize = 32;

    /// No command.
    pub const EMPTY: Self = Self([0; Self::SIZE]);

    fn place(code: CommandCode) -> Option<(usize, u8)> {
        let number = usize::try_from(code.0.checked_sub(Self::FIRST)?).ok()?;
        (number < Self::SIZE.saturating_mul(8)).then_some((number / 8, 1 << (number % 8)))
    }

    /// Whether the command is in the set.
    pub fn contains(&self, code: CommandCode) -> bool {
        Self::place(code)
            .and_then(|(octet, bit)| self.0.get(octet).map(|octet| octet & bit != 0))
            .unwrap_or_default()
    }

    /// Puts a command into the set or takes it out.
    pub fn set(&mut self, code: CommandCode, is_member: bool) {
        if let Some((octet, bit)) = Self::place(code)
            && let Some(octet) = self.0.get_mut(octet)
        {
            *octet = if is_member { *octet | bit } else { *octet & !bit };
        }
    }
}

impl Marshal for CommandSet {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.bytes(&self.0)
    }
}

impl Unmarshal for CommandSet {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.array().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_outside_the_library_are_in_no_set() {
        let mut set = CommandSet::EMPTY;
        set.set(CommandCode(0x2000_0000), true);
        set.set(CommandCode(0xff), true);
        assert_eq!(set, CommandSet::EMPTY);
        set.set(CommandCode::CLEAR, true);
        assert!(set.contains(CommandCode::CLEAR));
        set.set(CommandCode::CLEAR, false);
        assert_eq!(set, CommandSet::EMPTY);
    }
}
