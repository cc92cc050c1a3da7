// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtio disk in the tests' own memory, honest or not.

use super::{DeviceMemory, QueueAddresses, Transport, VirtioError};
use std::cell::RefCell;
use std::rc::Rc;
use std::vec::Vec;

const SECTOR: usize = 512;
/// An address that is no offset.
const BASE: u64 = 0x7000_0000;
const PAGES: usize = 5;

/// What a device does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    NoRegisters,
    NeverReset,
    Features,
    Generation,
    UsedTwice,
    OtherChain,
    NoStatus,
    Silence,
    IoError,
}

/// A device.
pub(super) struct Device {
    pub(super) features: u64,
    pub(super) sectors: u64,
    pub(super) block_size: u32,
    pub(super) queue_size: u32,
    pub(super) lie: Option<Lie>,
    content: Vec<u8>,
    status: u8,
    taken: u64,
    generation: u32,
    queue: Option<(u16, QueueAddresses)>,
    requests: u32,
}

impl Device {
    /// A disk that keeps to the rules.
    pub(super) fn honest(sectors: usize) -> Self {
        Self {
            features: 1 << 32 | 1 << 33 | 1 << 9 | 1 << 6 | 1 << 2,
            sectors: sectors as u64,
            block_size: 512,
            queue_size: 256,
            lie: None,
            content: vec![0; sectors * SECTOR],
            status: 0,
            taken: 0,
            generation: 0,
            queue: None,
            requests: 0,
        }
    }
}

struct World {
    device: Device,
    memory: Vec<u8>,
}

/// The driver's view of the shared memory.
pub(super) struct Memory(Rc<RefCell<World>>);

/// The driver's view of the registers.
#[derive(Clone)]
pub(super) struct FakeTransport(Rc<RefCell<World>>);

/// Memory and registers of a device.
pub(super) fn memory(device: Device) -> (Memory, FakeTransport) {
    let world = Rc::new(RefCell::new(World { device, memory: vec![0; PAGES * 4096] }));
    (Memory(Rc::clone(&world)), FakeTransport(world))
}

impl FakeTransport {
    pub(super) fn lie(&mut self, lie: Lie) {
        self.0.borrow_mut().device.lie = Some(lie);
    }

    pub(super) fn tell_the_truth(&mut self) {
        self.0.borrow_mut().device.lie = None;
    }

    pub(super) fn requests(&self) -> u32 {
        self.0.borrow().device.requests
    }
}

impl DeviceMemory for Memory {
    fn address(&self) -> u64 {
        BASE
    }

    fn size(&self) -> usize {
        PAGES * 4096
    }

    fn read(&self, offset: usize, buffer: &mut [u8]) -> Result<(), VirtioError> {
        let world = self.0.borrow();
        let from =
            world.memory.get(offset..offset + buffer.len()).ok_or(VirtioError::OutOfRange)?;
        buffer.copy_from_slice(from);
        Ok(())
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) -> Result<(), VirtioError> {
        let mut world = self.0.borrow_mut();
        let to =
            world.memory.get_mut(offset..offset + bytes.len()).ok_or(VirtioError::OutOfRange)?;
        to.copy_from_slice(bytes);
        Ok(())
    }

    fn read_half(&self, offset: usize) -> Result<u16, VirtioError> {
        let mut bytes = [0; 2];
        self.read(offset, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn write_half(&mut self, offset: usize, value: u16) -> Result<(), VirtioError> {
        self.write(offset, &value.to_le_bytes())
    }
}

impl Transport for FakeTransport {
    fn device_features(&mut self, half: u32) -> Result<u32, VirtioError> {
        let features = self.0.borrow().device.features >> (32 * half);
        Ok((features & 0xffff_ffff) as u32)
    }

    fn set_driver_features(&mut self, half: u32, features: u32) -> Result<(), VirtioError> {
        self.0.borrow_mut().device.taken |= u64::from(features) << (32 * half);
        Ok(())
    }

    fn status(&mut self) -> Result<u32, VirtioError> {
        let device = &self.0.borrow().device;
        Ok(match device.lie {
            Some(Lie::NoRegisters) => return Err(VirtioError::Host),
            Some(Lie::NeverReset) => 1,
            Some(Lie::Features) => u32::from(device.status) & !8,
            _ => u32::from(device.status),
        })
    }

    fn set_status(&mut self, status: u8) -> Result<(), VirtioError> {
        let device = &mut self.0.borrow_mut().device;
        device.status = status;
        if status == 0 {
            (device.taken, device.queue) = (0, None);
        }
        Ok(())
    }

    fn queue_size_max(&mut self) -> Result<u32, VirtioError> {
        Ok(self.0.borrow().device.queue_size)
    }

    fn start_queue(&mut self, size: u16, addresses: QueueAddresses) -> Result<(), VirtioError> {
        let device = &mut self.0.borrow_mut().device;
        assert_eq!(device.status & 0xb, 0xb, "features first");
        assert_eq!(device.taken & !device.features, 0, "only what was offered");
        device.queue = Some((size, addresses));
        Ok(())
    }

    fn notify(&mut self) -> Result<(), VirtioError> {
        let mut world = self.0.borrow_mut();
        assert_ne!(world.device.status & 4, 0, "DRIVER_OK first");
        world.serve();
        Ok(())
    }

    fn config(&mut self, offset: u8) -> Result<u32, VirtioError> {
        let device = &self.0.borrow().device;
        Ok(match offset {
            0 => (device.sectors & 0xffff_ffff) as u32,
            4 => (device.sectors >> 32) as u32,
            20 => device.block_size,
            _ => 0xdead_beef,
        })
    }

    fn config_generation(&mut self) -> Result<u32, VirtioError> {
        let device = &mut self.0.borrow_mut().device;
        if device.lie == Some(Lie::Generation) {
            device.generation += 1;
        }
        Ok(device.generation)
    }
}

/// A descriptor: where, how long, may the device write, the next one.
struct Descriptor {
    offset: usize,
    length: usize,
    is_writable: bool,
    next: Option<u64>,
}

impl World {
    fn number(&self, address: u64, bytes: usize) -> u64 {
        let offset = usize::try_from(address - BASE).unwrap();
        self.memory[offset..offset + bytes]
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        let offset = usize::try_from(address - BASE).unwrap();
        self.memory[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn descriptor(&self, table: u64, number: u64) -> Descriptor {
        let at = table + number * 16;
        let flags = self.number(at + 12, 2);
        Descriptor {
            offset: usize::try_from(self.number(at, 8) - BASE).unwrap(),
            length: usize::try_from(self.number(at + 8, 4)).unwrap(),
            is_writable: flags & 2 != 0,
            next: (flags & 1 != 0).then(|| self.number(at + 14, 2)),
        }
    }

    /// Takes the one request that is new, as a device does.
    fn serve(&mut self) {
        let (size, queue) = self.device.queue.expect("a queue");
        self.device.requests += 1;
        let lie = self.device.lie;
        if lie == Some(Lie::Silence) {
            return;
        }
        assert_eq!(self.number(queue.available, 2), 1, "no interrupts");
        let used = self.number(queue.used + 2, 2);
        let available = self.number(queue.available + 2, 2);
        assert_eq!(available, (used + 1) & 0xffff, "one at a time");
        let slot = used % u64::from(size);
        let head = self.number(queue.available + 4 + slot * 2, 2);
        let mut chain = vec![self.descriptor(queue.descriptors, head)];
        while let Some(next) = chain.last().and_then(|last| last.next) {
            chain.push(self.descriptor(queue.descriptors, next));
        }
        let done = self.execute(&chain);
        if lie != Some(Lie::NoStatus) {
            let status = chain.last().expect("a status");
            assert!(status.is_writable && status.length == 1);
            self.memory[status.offset] = if lie == Some(Lie::IoError) { 1 } else { done };
        }
        let head = if lie == Some(Lie::OtherChain) { 3 } else { head };
        self.put(queue.used + 4 + slot * 8, &head.to_le_bytes());
        let step = if lie == Some(Lie::UsedTwice) { 2 } else { 1 };
        self.put(
            queue.used + 2,
            &u16::try_from((used + step) & 0xffff).unwrap_or_default().to_le_bytes(),
        );
    }

    fn execute(&mut self, chain: &[Descriptor]) -> u8 {
        let header = &chain[0];
        assert!(!header.is_writable && header.length == 16);
        let kind = self.number(BASE + header.offset as u64, 4);
        let sector = self.number(BASE + header.offset as u64 + 8, 8);
        let data = &chain[1];
        let start = usize::try_from(sector).unwrap_or(usize::MAX).saturating_mul(SECTOR);
        let Some(range) = self.device.content.get_mut(start..start.saturating_add(data.length))
        else {
            return 1;
        };
        let memory = data.offset..data.offset + data.length;
        match kind {
            0 => {
                assert!(data.is_writable);
                self.memory[memory].copy_from_slice(range);
            }
            1 => {
                assert!(!data.is_writable);
                range.copy_from_slice(&self.memory[memory]);
            }
            4 => assert_eq!(chain.len(), 2, "a flush moves nothing"),
            _ => return 2,
        }
        0
    }
}
