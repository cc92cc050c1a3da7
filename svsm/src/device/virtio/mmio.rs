// SPDX-License-Identifier: MIT OR Apache-2.0
//! Virtio over MMIO, version 2 (4.2).

use super::{QueueAddresses, Registers, Transport, VirtioError, Width};

/// Registers (4.2.2).
mod register {
    pub(super) const MAGIC: u64 = 0x000;
    pub(super) const VERSION: u64 = 0x004;
    pub(super) const DEVICE: u64 = 0x008;
    pub(super) const DEVICE_FEATURES: u64 = 0x010;
    pub(super) const DEVICE_FEATURES_SELECT: u64 = 0x014;
    pub(super) const DRIVER_FEATURES: u64 = 0x020;
    pub(super) const DRIVER_FEATURES_SELECT: u64 = 0x024;
    pub(super) const QUEUE_SELECT: u64 = 0x030;
    pub(super) const QUEUE_SIZE_MAX: u64 = 0x034;
    pub(super) const QUEUE_SIZE: u64 = 0x038;
    pub(super) const QUEUE_READY: u64 = 0x044;
    pub(super) const QUEUE_NOTIFY: u64 = 0x050;
    pub(super) const STATUS: u64 = 0x070;
    pub(super) const QUEUE_DESCRIPTORS: u64 = 0x080;
    pub(super) const QUEUE_AVAILABLE: u64 = 0x090;
    pub(super) const QUEUE_USED: u64 = 0x0a0;
    pub(super) const CONFIG_GENERATION: u64 = 0x0fc;
    pub(super) const CONFIG: u64 = 0x100;
}
/// "virt".
const MAGIC: u32 = 0x7472_6976;
const VERSION: u32 = 2;
const DISK: u32 = 2;
/// Bytes of the registers, the configuration included.
const BYTES: u64 = 0x200;

/// The registers of one device.
pub struct MmioTransport<R> {
    registers: R,
    base: u64,
}

impl<R: Registers> MmioTransport<R> {
    /// The device whose registers begin at `base`.
    ///
    /// # Errors
    /// `NotADisk`; `Capability` for an address that can't be one; `Host`.
    pub fn find(base: u64, registers: R) -> Result<Self, VirtioError> {
        if !base.is_multiple_of(4) || base.checked_add(BYTES).is_none() {
            return Err(VirtioError::Capability);
        }
        let mut transport = Self { registers, base };
        let expected =
            [(register::MAGIC, MAGIC), (register::VERSION, VERSION), (register::DEVICE, DISK)];
        for (place, value) in expected {
            if transport.get(place)? != value {
                return Err(VirtioError::NotADisk);
            }
        }
        Ok(transport)
    }

    fn get(&mut self, register: u64) -> Result<u32, VirtioError> {
        Ok(self.registers.read(self.base + register, Width::Word)?)
    }

    fn set(&mut self, register: u64, value: u32) -> Result<(), VirtioError> {
        Ok(self.registers.write(self.base + register, Width::Word, value)?)
    }

    fn set_address(&mut self, register: u64, address: u64) -> Result<(), VirtioError> {
        self.set(register, (address & 0xffff_ffff) as u32)?;
        self.set(register + 4, (address >> 32) as u32)
    }
}

impl<R: Registers> Transport for MmioTransport<R> {
    fn device_features(&mut self, half: u32) -> Result<u32, VirtioError> {
        self.set(register::DEVICE_FEATURES_SELECT, half)?;
        self.get(register::DEVICE_FEATURES)
    }

    fn set_driver_features(&mut self, half: u32, features: u32) -> Result<(), VirtioError> {
        self.set(register::DRIVER_FEATURES_SELECT, half)?;
        self.set(register::DRIVER_FEATURES, features)
    }

    fn status(&mut self) -> Result<u32, VirtioError> {
        self.get(register::STATUS)
    }

    fn set_status(&mut self, status: u8) -> Result<(), VirtioError> {
        self.set(register::STATUS, status.into())
    }

    fn queue_size_max(&mut self) -> Result<u32, VirtioError> {
        self.set(register::QUEUE_SELECT, 0)?;
        self.get(register::QUEUE_SIZE_MAX)
    }

    fn start_queue(&mut self, size: u16, addresses: QueueAddresses) -> Result<(), VirtioError> {
        self.set(register::QUEUE_SELECT, 0)?;
        self.set(register::QUEUE_SIZE, size.into())?;
        self.set_address(register::QUEUE_DESCRIPTORS, addresses.descriptors)?;
        self.set_address(register::QUEUE_AVAILABLE, addresses.available)?;
        self.set_address(register::QUEUE_USED, addresses.used)?;
        self.set(register::QUEUE_READY, 1)
    }

    fn notify(&mut self) -> Result<(), VirtioError> {
        self.set(register::QUEUE_NOTIFY, 0)
    }

    fn config(&mut self, offset: u8) -> Result<u32, VirtioError> {
        self.get(register::CONFIG + u64::from(offset))
    }

    fn config_generation(&mut self) -> Result<u32, VirtioError> {
        self.get(register::CONFIG_GENERATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::HostFault;

    /// The registers of a device as a list of words.
    struct Words(Vec<u32>);

    fn place(address: u64) -> usize {
        usize::try_from((address - 0x1000) / 4).unwrap_or(usize::MAX)
    }

    impl Registers for Words {
        fn read(&mut self, address: u64, width: Width) -> Result<u32, HostFault> {
            assert_eq!(width, Width::Word);
            self.0.get(place(address)).copied().ok_or(HostFault)
        }
        fn write(&mut self, address: u64, _: Width, value: u32) -> Result<(), HostFault> {
            *self.0.get_mut(place(address)).ok_or(HostFault)? = value;
            Ok(())
        }
    }

    fn words() -> Vec<u32> {
        let mut words = vec![0; 0x80];
        words[..3].copy_from_slice(&[MAGIC, VERSION, DISK]);
        words
    }

    #[test]
    fn what_is_no_disk_is_refused() {
        for (place, value) in [(0, 0), (1, 1), (2, 1)] {
            let mut words = words();
            words[place] = value;
            assert_eq!(
                MmioTransport::find(0x1000, Words(words)).err(),
                Some(VirtioError::NotADisk)
            );
        }
        let find = |base| MmioTransport::find(base, Words(words())).err();
        assert_eq!(find(0x1002), Some(VirtioError::Capability));
        assert_eq!(find(u64::MAX - 3), Some(VirtioError::Capability));
        assert_eq!(MmioTransport::find(0x1000, Words(vec![])).err(), Some(VirtioError::Host));
    }

    #[test]
    fn registers_are_where_the_standard_has_them() {
        let mut transport = MmioTransport::find(0x1000, Words(words())).unwrap();
        let addresses = QueueAddresses { descriptors: 0x5_0000_0001, available: 2, used: 3 };
        transport.start_queue(4, addresses).unwrap();
        transport.set_status(15).unwrap();
        let at = |place: usize| transport.registers.0[place / 4];
        assert_eq!((at(0x38), at(0x44), at(0x70)), (4, 1, 15));
        assert_eq!((at(0x80), at(0x84), at(0x90), at(0xa0)), (1, 5, 2, 3));
    }
}
