// SPDX-License-Identifier: MIT OR Apache-2.0
//! How state is written into records: big-endian like everything on the wire, behind a version.
//! The order of the fields is the format; a new field goes to the end under a new version.

use super::groups::{
    COMMIT_BITMAP_SIZE, CommandAudit, Commit, DictionaryAttack, Orderly, Permanent, Shutdown,
    StateClear, StateReset,
};
use super::hierarchy::{EntityPolicy, Hierarchy};
use super::object::Object;
use super::pcr::{BANKS, PcrAllocation};
use crate::crypto::drbg::DerivationVersion;
use crate::structure::handle::Handle;
use crate::structure::public::Public;
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::Sensitive;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// The version of all records. Version 1 is the first.
pub(super) const RECORD_VERSION: u16 = 1;

/// Writes and reads the fields of a struct in order.
macro_rules! records {
    ($($name:ident { $($field:ident),* $(,)? })*) => {$(
        impl Marshal for $name {
            fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
                $(writer.value(&self.$field)?;)*
                Ok(())
            }
        }

        impl Unmarshal for $name {
            fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
                $(let $field = reader.value()?;)*
                Ok(Self { $($field),* })
            }
        }
    )*};
}

records! {
    EntityPolicy { algorithm, digest }
    Hierarchy { seed, derivation, proof, auth, policy }
    DictionaryAttack {
        failed_tries, max_tries, recovery_time_s, lockout_recovery_s, is_lockout_auth_enabled,
    }
    CommandAudit { algorithm, commands, counter }
    Permanent {
        owner, endorsement, platform, lockout_auth, lockout_policy, is_clear_disabled,
        dictionary_attack, pcr_allocation, pcr_policy, audit, physical_presence_commands,
        reset_count, total_reset_count, nv_counter_max, algorithm_set, is_manufactured,
    }
    Orderly { clock_ms, shutdown, is_clock_safe }
    StateClear {
        is_owner_enabled, is_endorsement_enabled, is_platform_enabled, is_platform_nv_enabled,
        platform_auth, platform_policy, pcr_auth, is_read_only, timer_policy,
    }
    Commit { random, counter, outstanding }
    StateReset {
        null_seed, null_proof, restart_count, clear_count, object_context_count,
        session_context_count, command_audit_digest, pcr_counter, commit,
    }
}

impl Marshal for DerivationVersion {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        match self {
            Self::One => writer.value(&1_u8),
        }
    }
}

impl Unmarshal for DerivationVersion {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.value::<u8>()? {
            1 => Ok(Self::One),
            _ => Err(ResponseCode::VALUE),
        }
    }
}

impl Marshal for Shutdown {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        let number: u8 = match self {
            Self::None => 0,
            Self::NoneAfterDaUse => 1,
            Self::Clear => 2,
            Self::State => 3,
        };
        writer.value(&number)
    }
}

impl Unmarshal for Shutdown {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(match reader.value::<u8>()? {
            0 => Self::None,
            1 => Self::NoneAfterDaUse,
            2 => Self::Clear,
            3 => Self::State,
            _ => return Err(ResponseCode::VALUE),
        })
    }
}

impl Marshal for PcrAllocation {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.0.iter().try_for_each(|bank| writer.value(bank))
    }
}

impl Unmarshal for PcrAllocation {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut allocation = Self([crate::structure::pcr_selection::PcrBitmap::ALL; BANKS.len()]);
        for bank in &mut allocation.0 {
            *bank = reader.value()?;
        }
        Ok(allocation)
    }
}

impl Marshal for [u8; COMMIT_BITMAP_SIZE] {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.bytes(self)
    }
}

impl Unmarshal for [u8; COMMIT_BITMAP_SIZE] {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.array()
    }
}

impl Marshal for [EntityPolicy; super::capacity::TIMERS] {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.iter().try_for_each(|policy| writer.value(policy))
    }
}

impl Unmarshal for [EntityPolicy; super::capacity::TIMERS] {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut policies = [EntityPolicy::default(); super::capacity::TIMERS];
        for policy in &mut policies {
            *policy = reader.value()?;
        }
        Ok(policies)
    }
}

/// An object, in a record or in a saved context.
impl Marshal for Object {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.public)?;
        writer.value(&self.sensitive.is_some())?;
        if let Some(sensitive) = &self.sensitive {
            writer.value(sensitive)?;
        }
        writer.value(&self.qualified_name)?;
        writer.value(&self.hierarchy)?;
        writer.value(&self.is_external)?;
        writer.value(&self.is_primary)?;
        writer.value(&self.is_st_clear)?;
        writer.value(&self.is_temporary)
    }
}

impl Unmarshal for Object {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let public: Public = reader.value()?;
        let sensitive = if reader.value()? { Some(reader.value::<Sensitive>()?) } else { None };
        if sensitive.as_ref().is_some_and(|found| found.sensitive_type != public.object_type()) {
            return Err(ResponseCode::VALUE);
        }
        Ok(Self {
            name: public.name()?,
            public,
            sensitive,
            qualified_name: reader.value()?,
            hierarchy: read_hierarchy(reader)?,
            is_external: reader.value()?,
            is_primary: reader.value()?,
            is_st_clear: reader.value()?,
            is_temporary: reader.value()?,
        })
    }
}

fn read_hierarchy(reader: &mut Reader<'_>) -> Result<Handle> {
    match reader.value()? {
        known @ (Handle::OWNER | Handle::ENDORSEMENT | Handle::PLATFORM | Handle::NULL) => {
            Ok(known)
        }
        _ => Err(ResponseCode::VALUE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_truncation_of_a_record_is_refused() {
        let mut buffer = [0; 4096];
        let mut writer = Writer::new(&mut buffer);
        writer.value(&Permanent::EMPTY).unwrap();
        let record = writer.written();
        assert!(Permanent::unmarshal(&mut Reader::new(record)).is_ok());
        for cut in 0..record.len() {
            assert!(Permanent::unmarshal(&mut Reader::new(&record[..cut])).is_err(), "{cut}");
        }
    }

    #[test]
    fn unknown_states_are_refused() {
        assert!(Shutdown::unmarshal(&mut Reader::new(&[4])).is_err());
        assert!(DerivationVersion::unmarshal(&mut Reader::new(&[2])).is_err());
    }
}
