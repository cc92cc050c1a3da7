// SPDX-License-Identifier: MIT OR Apache-2.0
//! TPM2_EvictControl (Part 3, 28.5).

use crate::pipeline::Context;
use crate::state::object::Object;
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::response_code::ResponseCode;
use crate::wire::{Parameters, Result, Writer};

/// Handles: auth, objectHandle. Parameters: persistentHandle. A transient object becomes
/// persistent under that handle; a persistent one, named twice, is removed.
pub fn execute(
    context: &mut Context<'_>,
    parameters: Parameters<'_>,
    _response: &mut Writer<'_>,
) -> Result<()> {
    let (persistent,): (Handle,) = parameters.read()?;
    let (auth, handle) = (context.handle(1), context.handle(2));
    if persistent.kind() != Some(HandleKind::Persistent) {
        return Err(ResponseCode::VALUE.in_parameter(1));
    }
    let object = context.state.object(handle).map_err(|_| ResponseCode::ATTRIBUTES.in_handle(2))?;
    let is_persistent = handle.kind() == Some(HandleKind::Persistent);
    check_object(object, auth, is_persistent)?;
    if is_persistent {
        if handle != persistent {
            return Err(ResponseCode::HANDLE.in_handle(2));
        }
        context.state.persistents.remove_if(|entry| entry.handle == handle);
        return Ok(());
    }
    let is_platform_range = persistent >= Handle::PLATFORM_PERSISTENT_FIRST;
    if is_platform_range != (auth == Handle::PLATFORM) {
        return Err(ResponseCode::RANGE.in_parameter(1));
    }
    let object = object.clone();
    context.state.persistents.insert(persistent, object)
}

/// Only a whole object that outlives power can be made persistent, and only by its hierarchy; the
/// platform can remove any.
fn check_object(object: &Object, auth: Handle, is_persistent: bool) -> Result<()> {
    if object.is_temporary || object.is_st_clear || object.sensitive.is_none() {
        return Err(ResponseCode::ATTRIBUTES.in_handle(2));
    }
    let is_of_platform = object.hierarchy == Handle::PLATFORM;
    let is_of_auth =
        if auth == Handle::PLATFORM { is_of_platform || is_persistent } else { !is_of_platform };
    if is_of_auth { Ok(()) } else { Err(ResponseCode::HIERARCHY.in_handle(2)) }
}

#[cfg(test)]
mod tests {
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::structure::response_code::ResponseCode;
    use crate::testing::{ENDORSEMENT, Machine, NULL, OWNER, PLATFORM};

    const OBJECT: u32 = 0x8000_0000;

    fn machine(hierarchy: u32) -> Machine {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[hierarchy], &body(b"", b"", &storage_key())).unwrap();
        machine
    }

    fn evict(
        machine: &mut Machine,
        auth: u32,
        object: u32,
        persistent: u32,
    ) -> crate::wire::Result<()> {
        machine.authorised(0x120, &[auth, object], &persistent.to_be_bytes()).map(|_| ())
    }

    #[test]
    fn each_hierarchy_has_its_range() {
        let mut owner = machine(OWNER);
        let range = Err(ResponseCode::RANGE.in_parameter(1));
        assert_eq!(evict(&mut owner, OWNER, OBJECT, 0x8180_0000), range);
        let value = Err(ResponseCode::VALUE.in_parameter(1));
        assert_eq!(evict(&mut owner, OWNER, OBJECT, 0x8000_0000), value);
        let hierarchy = Err(ResponseCode::HIERARCHY.in_handle(2));
        assert_eq!(evict(&mut owner, PLATFORM, OBJECT, 0x8180_0000), hierarchy);
        let mut platform = machine(PLATFORM);
        assert_eq!(evict(&mut platform, PLATFORM, OBJECT, 0x8100_0000), range);
        assert_eq!(evict(&mut platform, OWNER, OBJECT, 0x8100_0000), hierarchy);
        assert_eq!(evict(&mut platform, PLATFORM, OBJECT, 0x8180_0000), Ok(()));
        let attributes = Err(ResponseCode::ATTRIBUTES.in_handle(2));
        assert_eq!(evict(&mut machine(NULL), OWNER, OBJECT, 0x8100_0000), attributes);
        assert_eq!(evict(&mut platform, OWNER, 0x8180_0000, 0x8180_0000), hierarchy);
        assert_eq!(evict(&mut owner, OWNER, OBJECT, 0x8100_0000), Ok(()));
        assert_eq!(evict(&mut owner, PLATFORM, 0x8100_0000, 0x8100_0000), Ok(()));
        assert_eq!(evict(&mut machine(ENDORSEMENT), OWNER, OBJECT, 0x8101_0001), Ok(()));
    }

    #[test]
    fn a_persistent_object_outlives_power_and_can_be_removed() {
        let mut machine = machine(OWNER);
        let handle = 0x8100_0001_u32;
        let before = machine.command(0x173, &OBJECT.to_be_bytes()).unwrap();
        evict(&mut machine, OWNER, OBJECT, handle).unwrap();
        let again = evict(&mut machine, OWNER, OBJECT, handle);
        assert_eq!(again, Err(ResponseCode::NV_DEFINED));
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_eq!(machine.command(0x173, &handle.to_be_bytes()).unwrap(), before);
        let wrong = evict(&mut machine, OWNER, handle, handle + 1);
        assert_eq!(wrong, Err(ResponseCode::HANDLE.in_handle(2)));
        evict(&mut machine, OWNER, handle, handle).unwrap();
        let gone = machine.command(0x173, &handle.to_be_bytes());
        assert_eq!(gone, Err(ResponseCode::HANDLE.in_handle(1)));
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        let gone = machine.command(0x173, &handle.to_be_bytes());
        assert_eq!(gone, Err(ResponseCode::HANDLE.in_handle(1)));
    }

    #[test]
    fn clear_leaves_no_persistent_object_of_owner_and_endorsement() {
        let mut machine = machine(OWNER);
        evict(&mut machine, OWNER, OBJECT, 0x8100_0001).unwrap();
        for (hierarchy, auth, object, handle) in [
            (ENDORSEMENT, OWNER, OBJECT + 1, 0x8101_0001),
            (PLATFORM, PLATFORM, OBJECT + 2, 0x8180_0001),
        ] {
            machine.authorised(0x131, &[hierarchy], &body(b"", b"", &storage_key())).unwrap();
            evict(&mut machine, auth, object, handle).unwrap();
        }
        machine.authorised(0x126, &[PLATFORM], &[]).unwrap();
        let mut is_there = |handle: u32| machine.command(0x173, &handle.to_be_bytes()).is_ok();
        assert!(!is_there(0x8100_0001) && !is_there(0x8101_0001));
        assert!(!is_there(OBJECT) && !is_there(OBJECT + 1));
        assert!(is_there(0x8180_0001) && is_there(OBJECT + 2));
    }

    #[test]
    fn what_cannot_outlive_power_stays_transient() {
        let attributes = Err(ResponseCode::ATTRIBUTES.in_handle(2));
        let mut machine = Machine::started();
        let mut template = storage_key();
        template[7] |= 0x04; // stClear
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &template)).unwrap();
        assert_eq!(evict(&mut machine, OWNER, OBJECT, 0x8100_0000), attributes);
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        assert_eq!(evict(&mut machine, OWNER, OBJECT + 1, 0x8100_0000), attributes);
    }

    #[test]
    fn there_are_as_many_as_places() {
        let mut machine = machine(OWNER);
        for number in 0..64 {
            evict(&mut machine, OWNER, OBJECT, 0x8100_0000 + number).unwrap();
        }
        let full = evict(&mut machine, OWNER, OBJECT, 0x8100_0040);
        assert_eq!(full, Err(ResponseCode::NV_SPACE));
    }
}
