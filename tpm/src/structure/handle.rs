// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM_HANDLE (Part 2, 7): what kind of entity a handle names, and the permanent handles.

use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// A handle: its first octet is the kind, the others are the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handle(pub u32);

/// TPM_HT, the first octet of a handle (Part 2, 7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleKind {
    /// A PCR.
    Pcr,
    /// An ordinary NV index.
    NvIndex,
    /// An HMAC session, loaded.
    HmacSession,
    /// A policy or trial session, loaded.
    PolicySession,
    /// Permanent: hierarchies, password authorisation, authenticated timers.
    Permanent,
    /// A transient object.
    Transient,
    /// A persistent object.
    Persistent,
    /// An attached component.
    Attached,
}

impl Handle {
    /// The first PCR.
    pub const PCR_FIRST: Self = Self(0x0000_0000);
    /// The first NV index.
    pub const NV_FIRST: Self = Self(0x0100_0000);
    /// The first HMAC session.
    pub const HMAC_SESSION_FIRST: Self = Self(0x0200_0000);
    /// The first policy session.
    pub const POLICY_SESSION_FIRST: Self = Self(0x0300_0000);
    /// The owner hierarchy.
    pub const OWNER: Self = Self(0x4000_0001);
    /// The NULL hierarchy, and "no handle".
    pub const NULL: Self = Self(0x4000_0007);
    /// A handle that is not assigned.
    pub const UNASSIGNED: Self = Self(0x4000_0008);
    /// TPM_RS_PW: password authorisation.
    pub const PASSWORD: Self = Self(0x4000_0009);
    /// The dictionary attack lockout reset.
    pub const LOCKOUT: Self = Self(0x4000_000a);
    /// The endorsement hierarchy.
    pub const ENDORSEMENT: Self = Self(0x4000_000b);
    /// The platform hierarchy.
    pub const PLATFORM: Self = Self(0x4000_000c);
    /// phEnableNV (as a value of TPMI_RH_ENABLES).
    pub const PLATFORM_NV: Self = Self(0x4000_000d);
    /// The first authenticated countdown timer.
    pub const ACT_FIRST: Self = Self(0x4000_0110);
    /// The number of [`Self::ACT_FIRST`], for patterns.
    pub const ACT_FIRST_RAW: u32 = 0x4000_0110;
    /// The number of [`Self::ACT_LAST`], for patterns.
    pub const ACT_LAST_RAW: u32 = 0x4000_011f;
    /// The last handle that an authenticated countdown timer can have.
    pub const ACT_LAST: Self = Self(0x4000_011f);
    /// The first transient object.
    pub const TRANSIENT_FIRST: Self = Self(0x8000_0000);
    /// The first persistent object of the owner.
    pub const PERSISTENT_FIRST: Self = Self(0x8100_0000);
    /// The first persistent object of the platform.
    pub const PLATFORM_PERSISTENT_FIRST: Self = Self(0x8180_0000);
    /// The last persistent object.
    pub const PERSISTENT_LAST: Self = Self(0x81ff_ffff);
    /// The first attached component.
    pub const ATTACHED_FIRST: Self = Self(0x9000_0000);

    /// The kind, or `None` for a first octet that means nothing.
    pub const fn kind(self) -> Option<HandleKind> {
        Some(match self.0 >> 24 {
            0x00 => HandleKind::Pcr,
            0x01 => HandleKind::NvIndex,
            0x02 => HandleKind::HmacSession,
            0x03 => HandleKind::PolicySession,
            0x40 => HandleKind::Permanent,
            0x80 => HandleKind::Transient,
            0x81 => HandleKind::Persistent,
            0x90 => HandleKind::Attached,
            _ => return None,
        })
    }

    /// The number behind the kind.
    pub const fn number(self) -> u32 {
        self.0 & 0x00ff_ffff
    }

    /// The number as an index into a list.
    pub const fn index(self) -> usize {
        self.number() as usize
    }

    /// The handle `index` places behind this one.
    pub const fn offset(self, index: usize) -> Self {
        // Lists of entities are far shorter than 2^24.
        #[expect(clippy::cast_possible_truncation, reason = "masked to 24 bits")]
        let index = (index & 0x00ff_ffff) as u32;
        Self(self.0.saturating_add(index))
    }

    /// The place of an authenticated countdown timer among them; `None` for other handles.
    pub fn timer_index(self) -> Option<usize> {
        let is_timer = (Self::ACT_FIRST..=Self::ACT_LAST).contains(&self);
        let place = self.0.checked_sub(Self::ACT_FIRST_RAW).filter(|_| is_timer)?;
        usize::try_from(place).ok()
    }

    /// Whether this is a loaded session's handle.
    pub const fn is_session(self) -> bool {
        matches!(self.kind(), Some(HandleKind::HmacSession | HandleKind::PolicySession))
    }
}

impl core::fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "Handle({:#010x})", self.0)
    }
}

impl Unmarshal for Handle {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.value().map(Self)
    }
}

impl Marshal for Handle {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.0)
    }
}
