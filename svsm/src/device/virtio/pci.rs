// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio over PCI, the modern interface (4.1): four structures in memory BARs, named by vendor
//! capabilities.

use super::bars;
use super::{CONFIG_BYTES, QueueAddresses, Registers, Transport, VirtioError, Width};
use crate::machine::HostFault;
use core::ops::Range;

/// The configuration space of one PCI function, in words.
pub trait ConfigSpace {
    /// Reads the word at `offset`, a multiple of 4.
    ///
    /// # Errors
    /// The hypervisor's.
    fn read(&mut self, offset: u8) -> Result<u32, HostFault>;

    /// Writes the word at `offset`, a multiple of 4.
    ///
    /// # Errors
    /// The hypervisor's.
    fn write(&mut self, offset: u8, value: u32) -> Result<(), HostFault>;
}

const VENDOR: u32 = 0x1af4;
/// Device 2 of virtio, modern and transitional.
const DEVICES: [u32; 2] = [0x1042, 0x1001];
/// Offsets in the configuration space (PCI 3.0, 6.1 and 6.7).
pub(super) const COMMAND: u8 = 0x04;
pub(super) const FIRST_BAR: u8 = 0x10;
const CAPABILITIES: u8 = 0x34;
/// In the word of command and status: memory decoding, bus master, no INTx; a list of capabilities.
pub(super) const MEMORY_SPACE: u32 = 1 << 1;
const BUS_MASTER: u32 = 1 << 2;
const INTERRUPT_DISABLE: u32 = 1 << 10;
const HAS_CAPABILITIES: u32 = 1 << 20;
/// Capabilities looked at: more don't fit the space.
const CAPABILITIES_MAX: usize = 48;
const VENDOR_CAPABILITY: u32 = 0x09;

/// Types of structures (4.1.4).
const TYPE_COMMON: u32 = 1;
const TYPE_NOTIFY: u32 = 2;
const TYPE_DEVICE: u32 = 4;

/// Offsets in the common structure (4.1.4.3).
mod common {
    pub(super) const DEVICE_FEATURE_SELECT: u64 = 0;
    pub(super) const DEVICE_FEATURE: u64 = 4;
    pub(super) const DRIVER_FEATURE_SELECT: u64 = 8;
    pub(super) const DRIVER_FEATURE: u64 = 12;
    pub(super) const MSIX_CONFIG: u64 = 16;
    pub(super) const STATUS: u64 = 20;
    pub(super) const GENERATION: u64 = 21;
    pub(super) const QUEUE_SELECT: u64 = 22;
    pub(super) const QUEUE_SIZE: u64 = 24;
    pub(super) const QUEUE_MSIX: u64 = 26;
    pub(super) const QUEUE_ENABLE: u64 = 28;
    pub(super) const QUEUE_NOTIFY: u64 = 30;
    pub(super) const QUEUE_DESCRIPTORS: u64 = 32;
    pub(super) const QUEUE_AVAILABLE: u64 = 40;
    pub(super) const QUEUE_USED: u64 = 48;
    pub(super) const BYTES: u32 = 56;
}
/// VIRTIO_MSI_NO_VECTOR.
const NO_VECTOR: u32 = 0xffff;

/// A structure in device memory.
#[derive(Clone, Copy, Debug)]
struct Window {
    address: u64,
    bytes: u32,
}

/// The registers of one virtio function.
pub struct PciTransport<R> {
    registers: R,
    common: Window,
    device: Window,
    notify: Window,
    notify_multiplier: u32,
    /// Where queue 0 is notified; known when it is started.
    notify_address: Option<u64>,
}

impl<R: Registers> PciTransport<R> {
    /// Finds the structures and switches the function on. If its BARs have no addresses they get
    /// some in `hole`: addresses below 4 GiB that are nobody's.
    ///
    /// # Errors
    /// `NotADisk`, `Capability`, `Unassigned`, `Host`.
    pub fn find(
        config: &mut dyn ConfigSpace,
        hole: Range<u64>,
        registers: R,
    ) -> Result<Self, VirtioError> {
        let identity = config.read(0)?;
        if identity & 0xffff != VENDOR || !DEVICES.contains(&(identity >> 16)) {
            return Err(VirtioError::NotADisk);
        }
        bars::assign(config, hole)?;
        let Structures { common, device, notify } = structures(config)?;
        let (notify, notify_multiplier) = notify.ok_or(VirtioError::Capability)?;
        let command = config.read(COMMAND)? & 0xffff;
        config.write(COMMAND, command | MEMORY_SPACE | BUS_MASTER | INTERRUPT_DISABLE)?;
        Ok(Self {
            registers,
            common: common
                .filter(|found| found.bytes >= common::BYTES)
                .ok_or(VirtioError::Capability)?,
            device: device
                .filter(|found| found.bytes >= CONFIG_BYTES)
                .ok_or(VirtioError::Capability)?,
            notify,
            notify_multiplier,
            notify_address: None,
        })
    }

    fn get(&mut self, field: u64, width: Width) -> Result<u32, VirtioError> {
        Ok(self.registers.read(self.common.address + field, width)?)
    }

    fn set(&mut self, field: u64, width: Width, value: u32) -> Result<(), VirtioError> {
        Ok(self.registers.write(self.common.address + field, width, value)?)
    }

    /// 64-bit fields are written in halves (4.1.3.1).
    fn set_address(&mut self, field: u64, address: u64) -> Result<(), VirtioError> {
        self.set(field, Width::Word, (address & 0xffff_ffff) as u32)?;
        self.set(field + 4, Width::Word, (address >> 32) as u32)
    }
}

/// What the capabilities name; the first of each type counts.
#[derive(Default)]
struct Structures {
    common: Option<Window>,
    device: Option<Window>,
    notify: Option<(Window, u32)>,
}

fn structures(config: &mut dyn ConfigSpace) -> Result<Structures, VirtioError> {
    let mut found = Structures::default();
    if config.read(COMMAND)? & HAS_CAPABILITIES == 0 {
        return Err(VirtioError::Capability);
    }
    let mut next = config.read(CAPABILITIES)?;
    for _ in 0..CAPABILITIES_MAX {
        let Some(at) = place(next) else { return Ok(found) };
        let head = config.read(at)?;
        next = head >> 8;
        if head & 0xff != VENDOR_CAPABILITY {
            continue;
        }
        // The whole structure, with the multiplier behind it, lies in the space.
        let Some(end) = at.checked_add(16) else { return Err(VirtioError::Capability) };
        match head >> 24 {
            TYPE_COMMON if found.common.is_none() => found.common = Some(window(config, at)?),
            TYPE_DEVICE if found.device.is_none() => found.device = Some(window(config, at)?),
            TYPE_NOTIFY if found.notify.is_none() => {
                found.notify = Some((window(config, at)?, config.read(end)?));
            }
            _ => {}
        }
    }
    Err(VirtioError::Capability)
}

/// A pointer of the list: beyond the header, a multiple of 4; otherwise its end.
fn place(pointer: u32) -> Option<u8> {
    let place = (pointer & 0xfc) as u8;
    (place >= 0x40).then_some(place)
}

/// Where a structure lies.
fn window(config: &mut dyn ConfigSpace, at: u8) -> Result<Window, VirtioError> {
    let word = |config: &mut dyn ConfigSpace, offset: u8| {
        let place = at.checked_add(offset).ok_or(VirtioError::Capability)?;
        config.read(place).map_err(VirtioError::from)
    };
    let number = (word(config, 4)? & 0xff) as u8;
    let (offset, bytes) = (word(config, 8)?, word(config, 12)?);
    if number > 5 {
        return Err(VirtioError::Capability);
    }
    let address =
        bars::address(config, number)?.checked_add(offset.into()).ok_or(VirtioError::Capability)?;
    address.checked_add(bytes.into()).ok_or(VirtioError::Capability)?;
    Ok(Window { address, bytes })
}

impl<R: Registers> Transport for PciTransport<R> {
    fn device_features(&mut self, half: u32) -> Result<u32, VirtioError> {
        self.set(common::DEVICE_FEATURE_SELECT, Width::Word, half)?;
        self.get(common::DEVICE_FEATURE, Width::Word)
    }

    fn set_driver_features(&mut self, half: u32, features: u32) -> Result<(), VirtioError> {
        self.set(common::DRIVER_FEATURE_SELECT, Width::Word, half)?;
        self.set(common::DRIVER_FEATURE, Width::Word, features)
    }

    fn status(&mut self) -> Result<u32, VirtioError> {
        self.get(common::STATUS, Width::Byte)
    }

    fn set_status(&mut self, status: u8) -> Result<(), VirtioError> {
        self.set(common::STATUS, Width::Byte, status.into())
    }

    fn queue_size_max(&mut self) -> Result<u32, VirtioError> {
        self.set(common::QUEUE_SELECT, Width::Half, 0)?;
        self.get(common::QUEUE_SIZE, Width::Half)
    }

    fn start_queue(&mut self, size: u16, addresses: QueueAddresses) -> Result<(), VirtioError> {
        self.set(common::MSIX_CONFIG, Width::Half, NO_VECTOR)?;
        self.set(common::QUEUE_SELECT, Width::Half, 0)?;
        let number = self.get(common::QUEUE_NOTIFY, Width::Half)?;
        let offset = u64::from(number) * u64::from(self.notify_multiplier);
        if offset.checked_add(2).is_none_or(|end| end > self.notify.bytes.into()) {
            return Err(VirtioError::Capability);
        }
        self.notify_address = Some(self.notify.address + offset);
        self.set(common::QUEUE_SIZE, Width::Half, size.into())?;
        self.set(common::QUEUE_MSIX, Width::Half, NO_VECTOR)?;
        self.set_address(common::QUEUE_DESCRIPTORS, addresses.descriptors)?;
        self.set_address(common::QUEUE_AVAILABLE, addresses.available)?;
        self.set_address(common::QUEUE_USED, addresses.used)?;
        self.set(common::QUEUE_ENABLE, Width::Half, 1)
    }

    fn notify(&mut self) -> Result<(), VirtioError> {
        let address = self.notify_address.ok_or(VirtioError::Capability)?;
        Ok(self.registers.write(address, Width::Half, 0)?)
    }

    fn config(&mut self, offset: u8) -> Result<u32, VirtioError> {
        Ok(self.registers.read(self.device.address + u64::from(offset), Width::Word)?)
    }

    fn config_generation(&mut self) -> Result<u32, VirtioError> {
        self.get(common::GENERATION, Width::Byte)
    }
}

#[cfg(test)]
mod tests {
    use super::super::bars::tests::Space;
    use super::*;
    use std::collections::BTreeMap;

    /// Registers that remember.
    #[derive(Default)]
    struct Plain(BTreeMap<u64, u32>);

    impl Registers for Plain {
        fn read(&mut self, address: u64, _: Width) -> Result<u32, HostFault> {
            Ok(self.0.get(&address).copied().unwrap_or(0))
        }
        fn write(&mut self, address: u64, _: Width, value: u32) -> Result<(), HostFault> {
            self.0.insert(address, value);
            Ok(())
        }
    }

    /// As QEMU has it: BAR 4 with 64 bits, capabilities at 0x40, 0x50, 0x60, 0x84.
    fn space() -> Space {
        let mut words = [0; 64];
        words[0] = 0x1042_1af4;
        words[1] = HAS_CAPABILITIES;
        words[8] = 0xfe00_000c;
        words[9] = 0;
        words[0x34 / 4] = 0x84;
        let mut capability = |at: usize, kind: u32, next: u32, offset: u32, bytes: u32| {
            words[at / 4] = kind << 24 | 16 << 16 | next << 8 | 9;
            words[at / 4 + 1] = 4;
            words[at / 4 + 2] = offset;
            words[at / 4 + 3] = bytes;
        };
        capability(0x84, 5, 0x60, 0, 0);
        capability(0x60, TYPE_NOTIFY, 0x50, 0x3000, 0x1000);
        capability(0x50, TYPE_DEVICE, 0x40, 0x2000, 0x1000);
        capability(0x40, TYPE_COMMON, 0, 0, 0x1000);
        words[0x70 / 4] = 4;
        Space { words, masks: [0, 0, 0, 0, !0x3fff, 0] }
    }

    fn refused(change: impl Fn(&mut [u32; 64])) -> VirtioError {
        let mut space = space();
        change(&mut space.words);
        PciTransport::find(&mut space, 0..0, Plain::default()).err().expect("it must be refused")
    }

    #[test]
    fn malformed_functions_are_refused() {
        assert_eq!(refused(|words| words[0] = u32::MAX), VirtioError::NotADisk);
        assert_eq!(refused(|words| words[0] = 0x1041_1af4), VirtioError::NotADisk);
        assert_eq!(refused(|words| words[1] = 0), VirtioError::Capability);
        assert_eq!(refused(|words| words[0x34 / 4] = 0), VirtioError::Capability);
        assert_eq!(refused(|words| words[8] = 0xc), VirtioError::Unassigned);
        assert_eq!(refused(|words| words[8] = 0xc001), VirtioError::Capability);
        assert_eq!(refused(|words| words[8] |= 2), VirtioError::Capability);
        assert_eq!(refused(|words| words[0x44 / 4] = 6), VirtioError::Capability);
        assert_eq!(refused(|words| words[0x4c / 4] = 55), VirtioError::Capability);
        assert_eq!(refused(|words| words[0x5c / 4] = 23), VirtioError::Capability);
        // A list that goes round, and one that ends where a structure doesn't fit.
        assert_eq!(refused(|words| words[0x40 / 4] |= 0x6000), VirtioError::Capability);
        assert_eq!(
            refused(|words| {
                words[0x34 / 4] = 0xfc;
                words[0xfc / 4] = TYPE_COMMON << 24 | 9;
            }),
            VirtioError::Capability
        );
        // A BAR so high that the structure would have no address.
        assert_eq!(
            refused(|words| {
                words[8] = 0xffff_fffc;
                words[9] = u32::MAX;
            }),
            VirtioError::Capability
        );
    }

    #[test]
    fn a_function_without_addresses_gets_some() {
        let mut space = space();
        space.words[8] = 0xc;
        let hole = 0xe000_0000..0xe001_0000;
        let mut transport = PciTransport::find(&mut space, hole, Plain::default()).unwrap();
        assert_eq!((space.words[8], space.words[9]), (0xe000_000c, 0));
        transport.registers.0.insert(0xe000_2004, 88);
        assert_eq!(transport.config(4), Ok(88));
    }

    #[test]
    fn the_structures_are_found_and_the_function_is_on() {
        let mut space = space();
        let mut transport = PciTransport::find(&mut space, 0..0, Plain::default()).unwrap();
        assert_eq!(space.words[1] & 0x406, 0x406);
        transport.registers.0.insert(0xfe00_2000, 77);
        assert_eq!(transport.config(0), Ok(77));
        transport.registers.0.insert(0xfe00_0000 + common::QUEUE_NOTIFY, 3);
        let addresses = QueueAddresses { descriptors: 1 << 32, available: 2, used: 3 };
        transport.start_queue(4, addresses).unwrap();
        transport.notify().unwrap();
        assert_eq!(transport.registers.0.get(&(0xfe00_3000 + 12)), Some(&0));
        assert_eq!(transport.registers.0.get(&0xfe00_0024), Some(&1), "the upper half");
        // A place to notify that is outside of what was promised.
        transport.registers.0.insert(0xfe00_0000 + common::QUEUE_NOTIFY, 0x400);
        assert_eq!(transport.start_queue(4, addresses), Err(VirtioError::Capability));
    }
}
