// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parameter areas: declared, given parameters, then inserted into the guest's memory once.

use igvm_defs::IgvmVariableHeaderType;
use snp_abi::PAGE_SIZE_U64;

use super::IgvmError;

/// Most areas of a file.
const MAX_AREAS: usize = 8;
/// Most parameters of an area.
const MAX_PARAMETERS: usize = 4;
/// Most bytes of an area.
const MAX_AREA_BYTES: u64 = 1 << 20;

/// What the machine can tell its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterKind {
    /// The memory map: `IGVM_VHS_MEMORY_MAP_ENTRY` each.
    MemoryMap,
    /// The number of vCPUs, `u32`.
    VpCount,
    /// The environment, `u32`; bit 0: memory that isn't loaded is shared.
    Environment,
    /// An ACPI MADT.
    Madt,
}

impl ParameterKind {
    pub(super) fn of(kind: IgvmVariableHeaderType) -> Option<Self> {
        match kind {
            IgvmVariableHeaderType::IGVM_VHT_MEMORY_MAP => Some(Self::MemoryMap),
            IgvmVariableHeaderType::IGVM_VHT_VP_COUNT_PARAMETER => Some(Self::VpCount),
            IgvmVariableHeaderType::IGVM_VHT_ENVIRONMENT_INFO_PARAMETER => Some(Self::Environment),
            IgvmVariableHeaderType::IGVM_VHT_MADT => Some(Self::Madt),
            _ => None,
        }
    }
}

/// An area.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    index: u32,
    size_bytes: u64,
    file_offset: u32,
    parameters: [Option<(ParameterKind, u32)>; MAX_PARAMETERS],
}

impl Area {
    /// Whole pages.
    pub(super) const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Where its first contents lie in the file; 0 for zeros.
    pub(super) const fn file_offset(&self) -> u32 {
        self.file_offset
    }

    /// Its parameters and their offsets, which lie within the area.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (ParameterKind, u32)> {
        self.parameters.into_iter().flatten()
    }
}

/// The areas that haven't been inserted yet.
#[derive(Debug, Default)]
pub(super) struct Areas {
    slots: [Option<Area>; MAX_AREAS],
}

impl Areas {
    pub(super) fn declare<E>(
        &mut self,
        index: u32,
        size_bytes: u64,
        file_offset: u32,
    ) -> Result<(), IgvmError<E>> {
        let sensible = size_bytes != 0
            && size_bytes <= MAX_AREA_BYTES
            && size_bytes.is_multiple_of(PAGE_SIZE_U64);
        if !sensible || self.find(index).is_some() {
            return Err(IgvmError::Area(index));
        }
        let slot = self.slots.iter_mut().find(|slot| slot.is_none());
        let slot = slot.ok_or(IgvmError::Area(index))?;
        *slot = Some(Area { index, size_bytes, file_offset, parameters: [None; MAX_PARAMETERS] });
        Ok(())
    }

    pub(super) fn add<E>(
        &mut self,
        index: u32,
        kind: ParameterKind,
        offset: u32,
    ) -> Result<(), IgvmError<E>> {
        let area = self.find(index).and_then(Option::as_mut).ok_or(IgvmError::Area(index))?;
        if u64::from(offset) >= area.size_bytes || !offset.is_multiple_of(4) {
            return Err(IgvmError::ParameterPlace(index));
        }
        let place = area.parameters.iter_mut().find(|place| place.is_none());
        *place.ok_or(IgvmError::Area(index))? = Some((kind, offset));
        Ok(())
    }

    pub(super) fn take<E>(&mut self, index: u32) -> Result<Area, IgvmError<E>> {
        self.find(index).and_then(Option::take).ok_or(IgvmError::Area(index))
    }

    fn find(&mut self, index: u32) -> Option<&mut Option<Area>> {
        self.slots.iter_mut().find(|slot| slot.as_ref().is_some_and(|area| area.index == index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Result = core::result::Result<(), IgvmError<()>>;

    #[test]
    fn areas_have_limits() {
        let mut areas = Areas::default();
        for size in [0, 1, MAX_AREA_BYTES + PAGE_SIZE_U64] {
            assert_eq!(areas.declare(0, size, 0) as Result, Err(IgvmError::Area(0)), "{size}");
        }
        for index in 0..8 {
            assert_eq!(areas.declare(index, 0x1000, 0) as Result, Ok(()));
            assert_eq!(areas.declare(index, 0x1000, 0) as Result, Err(IgvmError::Area(index)));
        }
        assert_eq!(areas.declare(8, 0x1000, 0) as Result, Err(IgvmError::Area(8)));
    }

    #[test]
    fn parameters_have_limits() {
        let mut areas = Areas::default();
        let kind = ParameterKind::VpCount;
        assert_eq!(areas.add(0, kind, 0) as Result, Err(IgvmError::Area(0)));
        assert_eq!(areas.declare(0, 0x1000, 0) as Result, Ok(()));
        for offset in [0x1000, u32::MAX, 2] {
            assert_eq!(areas.add(0, kind, offset) as Result, Err(IgvmError::ParameterPlace(0)));
        }
        for offset in [0, 4, 8, 0xffc] {
            assert_eq!(areas.add(0, kind, offset) as Result, Ok(()));
        }
        assert_eq!(areas.add(0, kind, 12) as Result, Err(IgvmError::Area(0)));
        let area = areas.take::<()>(0).expect("it is there");
        assert_eq!(area.parameters().count(), 4);
        assert_eq!(areas.take::<()>(0).err(), Some(IgvmError::Area(0)));
    }
}
