// SPDX-License-Identifier: MIT OR Apache-2.0
//! The values of TPM_PT (Part 2, 6.13).

use crate::SPECIFICATION_REVISION;
use crate::command::COMMANDS;
use crate::crypto::hash::DIGEST_SIZE_MAX;
use crate::platform::Vendor;
use crate::state::State;
use crate::state::capacity::{
    ACTIVE_SESSIONS, CAPABILITY_BUFFER_SIZE, CLOCK_UPDATE_MS, COMMAND_SIZE_MAX, CONTEXT_GAP_MAX,
    INPUT_BUFFER_SIZE, LOADED_SESSIONS, ORDERLY_COUNT, PERSISTENT_OBJECTS, RESPONSE_SIZE_MAX,
    TRANSIENT_OBJECTS,
};
use crate::state::groups::Shutdown;
use crate::state::ticket::CONTEXT_HASH;
use crate::structure::algorithm::AlgorithmId;
use crate::structure::attributes::{MemoryAttributes, PermanentAttributes, StartupClearAttributes};
use crate::structure::capability::Property;
use crate::structure::command_code::CommandCode;
use crate::structure::context::SAVED_CONTEXT_SIZE_MAX;
use crate::structure::ecc::EccCurve;
use crate::structure::nv::{NV_BUFFER_SIZE_MAX, NV_INDEX_SIZE_MAX, NvType};
use crate::structure::pcr_selection::{PCR_COUNT, PCR_SELECT_SIZE};

/// "2.0".
const FAMILY: u32 = u32::from_be_bytes(*b"2.0\0");
/// The day and year of that revision: 20 March 2025.
const DAY_OF_YEAR: u32 = 79;
const YEAR: u32 = 2025;
/// The PC Client Platform TPM Profile: family, revision 1.06.
const PLATFORM_FAMILY_PC_CLIENT: u32 = 1;
const PLATFORM_REVISION: u32 = 0x106;
/// Bits of the key that encrypts contexts.
const CONTEXT_KEY_BITS: u32 = 256;
/// Commits of two-phase signatures that can be outstanding.
const SPLIT_MAXIMUM: u32 = 128;

/// The value of a property.
pub(super) fn value(state: &State, vendor: &Vendor, property: Property) -> u32 {
    if property.raw() < Property::Permanent.raw() {
        fixed(vendor, property)
    } else {
        variable(state, property)
    }
}

/// Counts and sizes of this engine are far below 2^32.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn octets(vendor: &Vendor, place: usize) -> u32 {
    vendor.string.as_chunks().0.get(place).map_or(0, |chunk| u32::from_be_bytes(*chunk))
}

fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}

/// Implemented commands, of the library or of the vendor.
fn commands(is_vendor: bool) -> u32 {
    let implemented = COMMANDS.iter().filter(|command| command.is_implemented());
    let fits = |code: u32| (code & CommandCode::VENDOR != 0) == is_vendor;
    count(implemented.filter(|command| fits(command.code.0)).count())
}

fn fixed(vendor: &Vendor, property: Property) -> u32 {
    match property {
        Property::FamilyIndicator => FAMILY,
        Property::Revision => SPECIFICATION_REVISION,
        Property::DayOfYear => DAY_OF_YEAR,
        Property::Year => YEAR,
        Property::Manufacturer => u32::from_be_bytes(vendor.manufacturer),
        Property::VendorString1 => octets(vendor, 0),
        Property::VendorString2 => octets(vendor, 1),
        Property::VendorString3 => octets(vendor, 2),
        Property::VendorString4 => octets(vendor, 3),
        Property::VendorTpmType => vendor.tpm_type,
        Property::FirmwareVersion1 => halves(vendor.firmware_version)[0],
        Property::FirmwareVersion2 => halves(vendor.firmware_version)[1],
        Property::InputBuffer => count(INPUT_BUFFER_SIZE),
        Property::TransientMinimum => count(TRANSIENT_OBJECTS),
        Property::PersistentMinimum => count(PERSISTENT_OBJECTS),
        Property::LoadedMinimum => count(LOADED_SESSIONS),
        Property::ActiveSessionsMaximum => count(ACTIVE_SESSIONS),
        Property::PcrCount => count(PCR_COUNT),
        Property::PcrSelectMinimum => count(PCR_SELECT_SIZE),
        Property::ContextGapMaximum => u32::try_from(CONTEXT_GAP_MAX).unwrap_or(u32::MAX),
        Property::NvIndexMaximum => count(NV_INDEX_SIZE_MAX),
        Property::Memory => MemoryAttributes::OBJECT_COPIED_TO_RAM.raw(),
        Property::ClockUpdate => u32::try_from(CLOCK_UPDATE_MS).unwrap_or(u32::MAX),
        Property::ContextHash => u32::from(CONTEXT_HASH.id()),
        Property::ContextSymmetric => u32::from(AlgorithmId::AES.0),
        Property::ContextSymmetricSize => CONTEXT_KEY_BITS,
        Property::OrderlyCount => ORDERLY_COUNT,
        Property::MaxCommandSize => count(COMMAND_SIZE_MAX.min(vendor.command_size_max)),
        Property::MaxResponseSize => count(RESPONSE_SIZE_MAX.min(vendor.response_size_max)),
        Property::MaxDigest => count(DIGEST_SIZE_MAX),
        Property::MaxObjectContext | Property::MaxSessionContext => count(SAVED_CONTEXT_SIZE_MAX),
        Property::PlatformFamily => PLATFORM_FAMILY_PC_CLIENT,
        Property::PlatformRevision => PLATFORM_REVISION,
        Property::SplitMaximum => SPLIT_MAXIMUM,
        Property::TotalCommands => commands(false).saturating_add(commands(true)),
        Property::LibraryCommands => commands(false),
        Property::VendorCommands => commands(true),
        Property::NvBufferMaximum => count(NV_BUFFER_SIZE_MAX),
        Property::MaxCapabilityBuffer => count(CAPABILITY_BUFFER_SIZE),
        // The level, the platform specification's level and date, no limit of counters, no
        // claim of FIPS, and the security version of a firmware that is replaced as a whole.
        _ => 0,
    }
}

fn variable(state: &State, property: Property) -> u32 {
    let attack = &state.permanent.dictionary_attack;
    match property {
        Property::Permanent => permanent(state),
        Property::StartupClear => startup_clear(state),
        Property::NvIndices => count(state.nv.iter().count()),
        Property::Loaded => count(state.sessions.loaded()),
        Property::LoadedAvailable => count(LOADED_SESSIONS.saturating_sub(state.sessions.loaded())),
        Property::Active => count(state.sessions.active_count()),
        Property::ActiveAvailable => {
            count(ACTIVE_SESSIONS.saturating_sub(state.sessions.active_count()))
        }
        Property::TransientAvailable => count(state.transients.free()),
        Property::Persistent => count(state.persistents.iter().count()),
        Property::PersistentAvailable => count(state.persistents.free()),
        Property::NvCounters => count(state.nv.iter().filter(|index| is_counter(index)).count()),
        Property::NvCountersAvailable => count(state.nv.free_counters()),
        Property::AlgorithmSet => state.permanent.algorithm_set,
        Property::LoadedCurves => count(EccCurve::ALL.len()),
        Property::LockoutCounter => attack.failed_tries,
        Property::MaxAuthFail => attack.max_tries,
        Property::LockoutInterval => attack.recovery_time_s,
        Property::LockoutRecovery => attack.lockout_recovery_s,
        Property::AuditCounter0 => halves(state.permanent.audit.counter)[0],
        Property::AuditCounter1 => halves(state.permanent.audit.counter)[1],
        // NV can be written without waiting.
        _ => 0,
    }
}

fn is_counter(index: &crate::state::nv::NvIndex) -> bool {
    index.public.attributes.nv_type() == Some(NvType::Counter)
}

fn permanent(state: &State) -> u32 {
    use PermanentAttributes as Bits;
    let permanent = &*state.permanent;
    Bits::TPM_GENERATED_EPS
        .with_if(!permanent.owner.auth.is_empty(), Bits::OWNER_AUTH_SET)
        .with_if(!permanent.endorsement.auth.is_empty(), Bits::ENDORSEMENT_AUTH_SET)
        .with_if(!permanent.lockout_auth.is_empty(), Bits::LOCKOUT_AUTH_SET)
        .with_if(permanent.is_clear_disabled, Bits::DISABLE_CLEAR)
        .with_if(permanent.dictionary_attack.is_locked_out(), Bits::IN_LOCKOUT)
        .raw()
}

fn startup_clear(state: &State) -> u32 {
    use StartupClearAttributes as Bits;
    let clear = &*state.clear;
    let is_orderly = matches!(state.shutdown_before, Shutdown::Clear | Shutdown::State);
    Bits::empty()
        .with_if(clear.is_platform_enabled, Bits::PLATFORM_ENABLE)
        .with_if(clear.is_owner_enabled, Bits::STORAGE_ENABLE)
        .with_if(clear.is_endorsement_enabled, Bits::ENDORSEMENT_ENABLE)
        .with_if(clear.is_platform_nv_enabled, Bits::PLATFORM_NV_ENABLE)
        .with_if(clear.is_read_only, Bits::READ_ONLY)
        .with_if(is_orderly, Bits::ORDERLY)
        .raw()
}
