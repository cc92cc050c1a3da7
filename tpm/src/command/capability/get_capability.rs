// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_GetCapability (Part 3, 30.2): a part of a list, from a value on.

use super::property;
use crate::command::{COMMANDS, Command};
use crate::crypto::hash::DIGEST_SIZE_MAX;
use crate::pipeline::Context;
use crate::platform::{Platform, Vendor};
use crate::state::State;
use crate::state::capacity::{CAPABILITY_BUFFER_SIZE, TIMERS};
use crate::state::object::Persistent;
use crate::state::pcr::{BANKS, PcrAttributes, pcr_attributes};
use crate::structure::algorithm::AlgorithmId;
use crate::structure::attributes::TimerAttributes;
use crate::structure::capability::{Capability, Property};
use crate::structure::digest::TaggedDigest;
use crate::structure::ecc::EccCurve;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::pcr_selection::{PCR_COUNT, PcrBitmap, PcrSelection};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Counter, Marshal, Parameters, Reader, Result, Writer};

/// Octets of the capability and of a list's count, which are part of the buffer.
const LIST_HEADER_SIZE: usize = 8;

/// capability, property, propertyCount. The response: moreData, capabilityData.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    response: &mut Writer<'_>,
) -> Result<()> {
    let (capability, property, count): (Capability, u32, u32) = parameters.read()?;
    let more_data = response.len();
    response.value(&false)?;
    response.value(&capability)?;
    let is_more = if capability == Capability::Vendor {
        write_vendor_values(context.platform, property, count, response)?
    } else {
        let vendor = context.platform.vendor();
        write_list(context.state, &vendor, (capability, property, count), response)?
    };
    response.patch(more_data, &[u8::from(is_more)])
}

/// Writes the machine's numbers, from a property on and of so many entries; whether there are more.
/// TPM_RC_VALUE for a property that it does not have.
fn write_vendor_values(
    platform: &mut dyn Platform,
    property: u32,
    count: u32,
    response: &mut Writer<'_>,
) -> Result<bool> {
    let mut list = Listing::begin(response, count)?;
    let mut numbers =
        (property..=u32::MAX).map_while(|property| platform.vendor_value(property)).peekable();
    if numbers.peek().is_none() {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    list.add(response, 4, numbers)?;
    list.counter.end(response)?;
    Ok(list.is_more)
}

/// Writes the one entry of a group that `property` names; nothing if there is none. TPM_RC_VALUE
/// for a group without single entries (parameter 4, as TPM2_PolicyCapability counts them).
pub(in crate::command) fn one_entry(
    state: &State,
    vendor: &Vendor,
    capability: Capability,
    property: u32,
    writer: &mut Writer<'_>,
) -> Result<()> {
    let is_u16 = matches!(capability, Capability::Algorithms | Capability::EccCurves);
    if capability == Capability::Pcrs {
        return Err(ResponseCode::VALUE.in_parameter(4));
    }
    let mut buffer = [0; 256];
    let mut list = Writer::new(&mut buffer);
    write_list(state, vendor, (capability, property, 1), &mut list)
        .map_err(|_| ResponseCode::VALUE.in_parameter(4))?;
    let mut reader = Reader::new(list.written());
    if reader.value::<u32>()? != 1 {
        return Ok(());
    }
    let entry = reader.rest();
    let key = match capability {
        _ if is_u16 => u32::from(reader.value::<u16>()?),
        // The number of a command stands in the low half of its attributes.
        Capability::Commands => reader.value::<u32>()? & 0xffff,
        _ => reader.value()?,
    };
    if key == property { writer.bytes(entry) } else { Ok(()) }
}

/// Writes a list, from a property on and of so many entries; whether there are more.
fn write_list(
    state: &State,
    vendor: &Vendor,
    (capability, property, count): (Capability, u32, u32),
    response: &mut Writer<'_>,
) -> Result<bool> {
    let mut list = Listing::begin(response, count)?;
    match capability {
        Capability::Algorithms => {
            let known = AlgorithmId::IMPLEMENTED.iter().filter(|(id, _)| id.is_listed());
            let known = known.filter(|(id, _)| u32::from(id.0) >= property);
            list.add(response, 6, known.copied())?;
        }
        Capability::Handles => add_handles(&mut list, response, state, Handle(property))?,
        Capability::Commands => {
            let known = commands_from(property).map(Command::attribute_word);
            list.add(response, 4, known)?;
        }
        Capability::PhysicalPresenceCommands => {
            let known = commands_from(property).filter(|row| state.needs_physical_presence(row));
            list.add(response, 4, known.map(|row| row.code))?;
        }
        Capability::AuditCommands => {
            let audit = &state.permanent.audit;
            let known = commands_from(property).filter(|row| audit.audits(row.code));
            list.add(response, 4, known.map(|row| row.code))?;
        }
        Capability::Pcrs => {
            if property != 0 {
                return Err(ResponseCode::VALUE.in_parameter(2));
            }
            // Every bank, also one without PCRs: Linux wants to see them. The count is no limit.
            list.limit = BANKS.len();
            let pcrs = |bank| PcrSelection { bank, pcrs: state.pcrs.allocation.of(bank) };
            list.add(response, 6, BANKS.into_iter().map(pcrs))?;
        }
        Capability::TpmProperties => {
            let known = Property::ALL.iter().filter(|known| known.raw() >= property);
            let known = known.map(|known| (known.raw(), property::value(state, vendor, *known)));
            list.add(response, 8, known)?;
        }
        Capability::PcrProperties => {
            let known = PCR_PROPERTIES.iter().filter(|known| known.0 >= property);
            list.add(response, 8, known.map(|(tag, has)| (*tag, pcrs_with(*has))))?;
        }
        Capability::EccCurves => {
            let known = EccCurve::ALL.into_iter().filter(|curve| u32::from(curve.id()) >= property);
            list.add(response, 2, known)?;
        }
        Capability::AuthPolicies => add_policies(&mut list, response, state, Handle(property))?,
        Capability::Timers => add_timers(&mut list, response, state, Handle(property))?,
        Capability::PublicKeys | Capability::SpdmSessions | Capability::Vendor => {
            return Err(ResponseCode::VALUE.in_parameter(1));
        }
    }
    list.counter.end(response)?;
    Ok(list.is_more)
}

/// A list that ends where the caller or the buffer has had enough.
struct Listing {
    counter: Counter,
    limit: usize,
    is_more: bool,
}

impl Listing {
    fn begin(response: &mut Writer<'_>, count: u32) -> Result<Self> {
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Self { counter: Counter::begin(response)?, limit, is_more: false })
    }

    /// Appends entries of `size` octets, as many as the limit and the buffer allow.
    fn add(
        &mut self,
        response: &mut Writer<'_>,
        size: usize,
        entries: impl Iterator<Item = impl Marshal>,
    ) -> Result<()> {
        let room = CAPABILITY_BUFFER_SIZE.saturating_sub(LIST_HEADER_SIZE).checked_div(size);
        let limit = self.limit.min(room.unwrap_or_default());
        for entry in entries {
            if usize::try_from(self.counter.count()).unwrap_or(usize::MAX) >= limit {
                self.is_more = true;
                return Ok(());
            }
            self.counter.entry(response, &entry)?;
        }
        Ok(())
    }
}

/// Implemented commands from a code on.
fn commands_from(code: u32) -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().filter(move |row| row.is_implemented() && row.code.0 >= code)
}

/// Permanent handles that exist; timers are listed behind them.
const PERMANENT_HANDLES: [Handle; 7] = [
    Handle::OWNER,
    Handle::NULL,
    Handle::PASSWORD,
    Handle::LOCKOUT,
    Handle::ENDORSEMENT,
    Handle::PLATFORM,
    Handle::PLATFORM_NV,
];

fn timers() -> impl Iterator<Item = Handle> {
    (0..TIMERS).map(|number| Handle::ACT_FIRST.offset(number))
}

fn add_handles(
    list: &mut Listing,
    response: &mut Writer<'_>,
    state: &State,
    from: Handle,
) -> Result<()> {
    match from.kind() {
        Some(HandleKind::Pcr) => {
            let all = (0..PCR_COUNT).map(|index| Handle::PCR_FIRST.offset(index));
            list.add(response, 4, all.filter(|handle| *handle >= from))
        }
        Some(HandleKind::NvIndex) => {
            let all = || state.nv.iter().map(|index| index.public.index);
            list.add(response, 4, ascending(all, from))
        }
        // The handle type 2 asks for loaded sessions of both kinds, 3 for saved ones.
        Some(HandleKind::HmacSession) => {
            let all = state.sessions.loaded_handles();
            list.add(response, 4, all.filter(|handle| handle.number() >= from.number()))
        }
        Some(HandleKind::PolicySession) => {
            let all = state.sessions.saved_handles();
            list.add(response, 4, all.filter(|handle| handle.number() >= from.number()))
        }
        Some(HandleKind::Permanent) => {
            let all = PERMANENT_HANDLES.into_iter().chain(timers());
            list.add(response, 4, all.filter(|handle| *handle >= from))
        }
        Some(HandleKind::Transient) => {
            let all = state.transients.handles();
            list.add(response, 4, all.filter(|handle| *handle >= from))
        }
        Some(HandleKind::Persistent) => {
            let enabled = |entry: &&Persistent| state.is_hierarchy_enabled(entry.object.hierarchy);
            let all = || state.persistents.iter().filter(enabled).map(|entry| entry.handle);
            list.add(response, 4, ascending(all, from))
        }
        // No component is attached.
        Some(HandleKind::Attached) => Ok(()),
        None => Err(ResponseCode::HANDLE.in_parameter(2)),
    }
}

/// Handles that are kept in no order, in ascending order and without repetition.
fn ascending<I: Iterator<Item = Handle>>(
    all: impl Fn() -> I,
    from: Handle,
) -> impl Iterator<Item = Handle> {
    let first = all().filter(|handle| *handle >= from).min();
    core::iter::successors(first, move |last| all().filter(|handle| handle > last).min())
}

/// TPMS_TAGGED_POLICY of the permanent entities that have a policy.
fn add_policies(
    list: &mut Listing,
    response: &mut Writer<'_>,
    state: &State,
    from: Handle,
) -> Result<()> {
    if from.kind() != Some(HandleKind::Permanent) {
        return Err(ResponseCode::VALUE.in_parameter(2));
    }
    let all = PERMANENT_HANDLES.into_iter().chain(timers()).filter(|handle| *handle >= from);
    let tagged = all.filter_map(|handle| {
        let policy = state.auth_policy(handle);
        let algorithm = policy.algorithm?;
        Some((handle, TaggedDigest { algorithm, digest: policy.digest }))
    });
    list.add(response, 4 + 2 + DIGEST_SIZE_MAX, tagged)
}

/// TPMS_ACT_DATA: handle, seconds left, attributes.
fn add_timers(
    list: &mut Listing,
    response: &mut Writer<'_>,
    state: &State,
    from: Handle,
) -> Result<()> {
    if !(Handle::ACT_FIRST..=Handle::ACT_LAST).contains(&from) {
        return Err(ResponseCode::VALUE.in_parameter(2));
    }
    let all = timers().zip(&state.timers).filter(|(handle, _)| *handle >= from);
    let data = all.map(|(handle, timer)| {
        let left_s = timer.left_s(state.clock.time_ms());
        let attributes = TimerAttributes::empty()
            .with_if(timer.is_signaled, TimerAttributes::SIGNALED)
            .with_if(timer.preserves_signaled, TimerAttributes::PRESERVE_SIGNALED);
        (handle, (left_s, attributes))
    });
    list.add(response, 12, data)
}

/// Whether a PCR has a property.
type HasProperty = fn(&PcrAttributes) -> bool;

/// TPM_PT_PCR (Part 2, 6.14).
const PCR_PROPERTIES: [(u32, HasProperty); 15] = [
    (0x00, |pcr| pcr.is_saved),
    (0x01, |pcr| pcr.extend.allows(0)),
    (0x02, |pcr| pcr.reset.allows(0)),
    (0x03, |pcr| pcr.extend.allows(1)),
    (0x04, |pcr| pcr.reset.allows(1)),
    (0x05, |pcr| pcr.extend.allows(2)),
    (0x06, |pcr| pcr.reset.allows(2)),
    (0x07, |pcr| pcr.extend.allows(3)),
    (0x08, |pcr| pcr.reset.allows(3)),
    (0x09, |pcr| pcr.extend.allows(4)),
    (0x0a, |pcr| pcr.reset.allows(4)),
    (0x11, |pcr| !pcr.is_counted),
    (0x12, |pcr| pcr.is_drtm),
    (0x13, |pcr| pcr.has_auth),
    (0x14, |pcr| pcr.has_auth),
];

fn pcrs_with(has: HasProperty) -> PcrBitmap {
    let mut bitmap = PcrBitmap::default();
    (0..PCR_COUNT).filter(|index| has(&pcr_attributes(*index))).for_each(|pcr| bitmap.insert(pcr));
    bitmap
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Machine, parameters};
    use std::vec::Vec;

    fn ask(machine: &mut Machine, capability: u32, property: u32, count: u32) -> Result<Vec<u8>> {
        let body = parameters(|writer| {
            writer.value(&capability)?;
            writer.value(&property)?;
            writer.value(&count)
        });
        machine.command(0x17a, &body)
    }

    fn count(response: &[u8]) -> u32 {
        u32::from_be_bytes(*response[5..].first_chunk().unwrap())
    }

    #[test]
    fn tells_the_numbers_of_the_machine() {
        let machine = &mut Machine::started();
        machine.platform.vendor_values = Vec::from([7, 8, 9]);
        let expected = |more: u8, numbers: &[u32]| {
            let count = u32::try_from(numbers.len()).unwrap();
            let words = [&[0x100, count][..], numbers].concat();
            let octets = words.iter().flat_map(|word| word.to_be_bytes());
            Ok(core::iter::once(more).chain(octets).collect())
        };
        assert_eq!(ask(machine, 0x100, 1, 1), expected(1, &[8]));
        assert_eq!(ask(machine, 0x100, 1, 9), expected(0, &[8, 9]));
        let refused = Err(ResponseCode::VALUE.in_parameter(1));
        assert_eq!(ask(machine, 0x100, 3, 1), refused);
        assert_eq!(ask(machine, 0x100, u32::MAX, 1), refused);
    }

    #[test]
    fn refuses_groups_that_do_not_exist() {
        let machine = &mut Machine::started();
        let first = Err(ResponseCode::VALUE.in_parameter(1));
        for capability in [0x0d, 0x100, 0xffff_ffff] {
            assert_eq!(ask(machine, capability, 0, 1), first);
        }
        let second = Err(ResponseCode::VALUE.in_parameter(2));
        assert_eq!(ask(machine, 5, 1, 1), second);
        assert_eq!(ask(machine, 9, 0, 1), second);
        assert_eq!(ask(machine, 10, 0, 1), second);
        let kind = Err(ResponseCode::HANDLE.in_parameter(2));
        assert_eq!(ask(machine, 1, 0x1200_0000, 1), kind);
    }

    /// Linux takes a TPM whose count differs for one in firmware upgrade.
    #[test]
    fn the_number_of_commands_is_that_of_the_list() {
        let machine = &mut Machine::started();
        let response = ask(machine, 2, 0, 0xffff).unwrap();
        assert_eq!(response[0], 0, "all commands fit");
        assert_eq!(count(&response), machine.property(0x129));
        assert!(response.len() + 10 < 4096);
    }

    #[test]
    fn a_list_can_be_read_in_pieces() {
        let machine = &mut Machine::started();
        let all = ask(machine, 2, 0, 0xffff).unwrap();
        let mut pieces = Vec::new();
        let mut from = 0;
        loop {
            let piece = ask(machine, 2, from, 7).unwrap();
            pieces.extend_from_slice(&piece[9..]);
            if piece[0] == 0 {
                break;
            }
            let last = u32::from_be_bytes(*piece.last_chunk().unwrap());
            from = (last & 0xffff) + 1;
        }
        assert_eq!(pieces, all[9..]);
    }

    #[test]
    fn every_bank_is_listed_whatever_the_count() {
        let machine = &mut Machine::started();
        let response = ask(machine, 5, 0, 0).unwrap();
        assert_eq!(count(&response), 4);
        assert_eq!(response[9..15], [0, 4, 3, 0xff, 0xff, 0xff]);
        assert_eq!(response[0], 0);
    }

    #[test]
    fn handles_of_each_kind() {
        let machine = &mut Machine::started();
        assert_eq!(count(&ask(machine, 1, 0, 100).unwrap()), 24);
        assert_eq!(count(&ask(machine, 1, 0x4000_0000, 100).unwrap()), 8);
        assert_eq!(count(&ask(machine, 1, 0x8000_0000, 100).unwrap()), 0);
        machine.start_session(crate::session::SessionKind::Policy);
        let loaded = ask(machine, 1, 0x0200_0000, 100).unwrap();
        assert_eq!(loaded[9..], [3, 0, 0, 0]);
        assert_eq!(count(&ask(machine, 1, 0x0300_0000, 100).unwrap()), 0);
        assert_eq!(count(&ask(machine, 1, 0x9000_0000, 100).unwrap()), 0);
    }

    #[test]
    fn all_groups_answer() {
        let machine = &mut Machine::started();
        for (capability, property) in
            [(0, 0), (3, 0), (4, 0), (6, 0x100), (6, 0x200), (7, 0), (8, 0), (9, 0x4000_0000)]
        {
            let response = ask(machine, capability, property, 0xffff).unwrap();
            assert_eq!(response[1..5], capability.to_be_bytes());
            assert_eq!(response[0], 0, "{capability}");
        }
        assert_eq!(count(&ask(machine, 7, 0, 100).unwrap()), 15);
        assert_eq!(count(&ask(machine, 10, 0x4000_0110, 10).unwrap()), 1);
    }
}
