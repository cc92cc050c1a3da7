// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtio disk (5.2) as the store's block device.

use super::queue::{DATA, QUEUE_SIZE, Queue, Transfer};
use super::{DeviceMemory, Transport, VirtioError};
use nvstore::{BlockDevice, DeviceError};

/// Bytes in a block of the store. Disks write 4 KiB at a time whatever they say: with smaller
/// blocks a loss of power might damage a neighbour.
pub const BLOCK_BYTES: usize = 4096;
/// Bytes in a sector, the unit of all requests.
const SECTOR_BYTES: usize = 512;
const SECTORS_PER_BLOCK: u64 = (BLOCK_BYTES / SECTOR_BYTES) as u64;

/// Device status (2.1).
mod status {
    pub(super) const ACKNOWLEDGE: u8 = 1;
    pub(super) const DRIVER: u8 = 2;
    pub(super) const DRIVER_OK: u8 = 4;
    pub(super) const FEATURES_OK: u8 = 8;
    pub(super) const NEEDS_RESET: u32 = 0x40;
    pub(super) const FAILED: u8 = 0x80;
}

/// Feature bits (5.2.3, 6), each in its half.
mod feature {
    pub(super) const READ_ONLY: u32 = 1 << 5;
    pub(super) const BLOCK_SIZE: u32 = 1 << 6;
    pub(super) const FLUSH: u32 = 1 << 9;
    /// In the upper half: version 1.
    pub(super) const VERSION_1: u32 = 1 << 0;
    /// In the upper half: addresses are the platform's, as on SNP they are.
    pub(super) const ACCESS_PLATFORM: u32 = 1 << 1;
}

/// Types of requests (5.2.6).
mod request {
    pub(super) const READ: u32 = 0;
    pub(super) const WRITE: u32 = 1;
    pub(super) const FLUSH: u32 = 4;
}

/// Fields of the configuration (5.2.4).
const CONFIG_CAPACITY: u8 = 0;
const CONFIG_BLOCK_SIZE: u8 = 20;
/// Attempts to read a configuration that stays the same meanwhile.
const CONFIG_ATTEMPTS: usize = 16;
/// Looks at the status until a reset is done.
const RESET_POLLS: usize = 1_000_000;
/// The request was done.
const STATUS_OK: u8 = 0;

/// A disk that is ready.
pub struct VirtioBlock<T: Transport, M> {
    transport: T,
    queue: Queue<M>,
    blocks: u64,
    /// Why it is no longer spoken to.
    failure: Option<DeviceError>,
}

impl<T: Transport, M: DeviceMemory> VirtioBlock<T, M> {
    /// Resets the device and gets it ready (3.1.1).
    ///
    /// # Errors
    /// See [`VirtioError`]; the device is then told that the driver has given up.
    pub fn start(mut transport: T, memory: M, clock_ms: fn() -> u64) -> Result<Self, VirtioError> {
        let queue = Queue::new(memory, clock_ms)?;
        match bring_up(&mut transport, &queue) {
            Ok(blocks) => Ok(Self { transport, queue, blocks, failure: None }),
            Err(error) => {
                // It may not even take this.
                let _told = transport.set_status(status::FAILED);
                Err(error)
            }
        }
    }

    fn request(
        &mut self,
        kind: u32,
        first_block: u64,
        transfer: Transfer,
    ) -> Result<(), DeviceError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let mut header = [0; 16];
        let (front, sector) = header.split_at_mut(8);
        let (kind_bytes, _reserved) = front.split_at_mut(4);
        kind_bytes.copy_from_slice(&kind.to_le_bytes());
        sector.copy_from_slice(&(first_block * SECTORS_PER_BLOCK).to_le_bytes());
        let failure = match self.queue.exchange(&mut self.transport, &header, transfer) {
            Ok(STATUS_OK) => return Ok(()),
            // It has read the request and refused it: the queue is in order.
            Ok(_) => return Err(DeviceError::Failed),
            Err(VirtioError::TimedOut) => DeviceError::TimedOut,
            Err(_) => DeviceError::Failed,
        };
        // Whatever it still writes goes to pages that nobody else ever gets.
        self.failure = Some(failure);
        let _reset = self.transport.set_status(0);
        Err(failure)
    }

    fn check_range(&self, first_block: u64, bytes: usize) -> Result<(), DeviceError> {
        let blocks = (bytes / BLOCK_BYTES) as u64;
        let fits = first_block.checked_add(blocks).is_some_and(|end| end <= self.blocks);
        if fits && bytes.is_multiple_of(BLOCK_BYTES) {
            Ok(())
        } else {
            Err(DeviceError::OutOfRange)
        }
    }

    /// Bytes in one request: whole blocks.
    fn step(&self) -> usize {
        self.queue.capacity() / BLOCK_BYTES * BLOCK_BYTES
    }
}

/// From reset to the running queue; blocks of the disk.
fn bring_up<T: Transport, M: DeviceMemory>(
    transport: &mut T,
    queue: &Queue<M>,
) -> Result<u64, VirtioError> {
    use status::{ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK};
    transport.set_status(0)?;
    let mut is_reset = false;
    for _ in 0..RESET_POLLS {
        is_reset = transport.status()? == 0;
        if is_reset {
            break;
        }
    }
    if !is_reset {
        return Err(VirtioError::TimedOut);
    }
    transport.set_status(ACKNOWLEDGE)?;
    transport.set_status(ACKNOWLEDGE | DRIVER)?;
    let (low, high) = (transport.device_features(0)?, transport.device_features(1)?);
    if low & feature::FLUSH == 0 || high & feature::VERSION_1 == 0 {
        return Err(VirtioError::Features);
    }
    if low & feature::READ_ONLY != 0 {
        return Err(VirtioError::ReadOnly);
    }
    let has_block_size = low & feature::BLOCK_SIZE != 0;
    transport.set_driver_features(0, low & (feature::FLUSH | feature::BLOCK_SIZE))?;
    transport.set_driver_features(1, high & (feature::VERSION_1 | feature::ACCESS_PLATFORM))?;
    let negotiated = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    transport.set_status(negotiated)?;
    if transport.status()? != u32::from(negotiated) {
        return Err(VirtioError::Features);
    }
    let blocks = blocks(transport, has_block_size)?;
    if transport.queue_size_max()? < u32::from(QUEUE_SIZE) {
        return Err(VirtioError::Geometry);
    }
    transport.start_queue(QUEUE_SIZE, queue.addresses())?;
    transport.set_status(negotiated | DRIVER_OK)?;
    if transport.status()? & status::NEEDS_RESET != 0 {
        return Err(VirtioError::Protocol);
    }
    Ok(blocks)
}

/// Blocks of the disk, from a configuration that did not change meanwhile (2.5.3).
fn blocks<T: Transport>(transport: &mut T, has_block_size: bool) -> Result<u64, VirtioError> {
    for _ in 0..CONFIG_ATTEMPTS {
        let before = transport.config_generation()?;
        let low = transport.config(CONFIG_CAPACITY)?;
        let high = transport.config(CONFIG_CAPACITY + 4)?;
        let block_size = if has_block_size { transport.config(CONFIG_BLOCK_SIZE)? } else { 512 };
        if transport.config_generation()? != before {
            continue;
        }
        let is_usable = matches!(block_size, 512 | 1024 | 2048 | 4096);
        let sectors = u64::from(high) << 32 | u64::from(low);
        // Beyond this the offset in bytes has no number.
        let blocks = (sectors / SECTORS_PER_BLOCK).min(u64::MAX / BLOCK_BYTES as u64);
        return if is_usable && blocks > 0 { Ok(blocks) } else { Err(VirtioError::Geometry) };
    }
    Err(VirtioError::Protocol)
}

impl<T: Transport, M: DeviceMemory> BlockDevice for VirtioBlock<T, M> {
    fn block_bytes(&self) -> usize {
        BLOCK_BYTES
    }

    fn block_count(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, first_block: u64, into: &mut [u8]) -> Result<(), DeviceError> {
        self.check_range(first_block, into.len())?;
        let mut block = first_block;
        for part in into.chunks_mut(self.step().max(BLOCK_BYTES)) {
            let bytes = u32::try_from(part.len()).map_err(|_| DeviceError::OutOfRange)?;
            self.queue.renew_patience();
            self.request(request::READ, block, Transfer::In(bytes))?;
            self.queue.memory().read(DATA, part).map_err(|_| DeviceError::OutOfRange)?;
            block += (part.len() / BLOCK_BYTES) as u64;
        }
        Ok(())
    }

    fn write(&mut self, first_block: u64, from: &[u8]) -> Result<(), DeviceError> {
        self.check_range(first_block, from.len())?;
        let mut block = first_block;
        for part in from.chunks(self.step().max(BLOCK_BYTES)) {
            let bytes = u32::try_from(part.len()).map_err(|_| DeviceError::OutOfRange)?;
            self.queue.memory().write(DATA, part).map_err(|_| DeviceError::OutOfRange)?;
            self.request(request::WRITE, block, Transfer::Out(bytes))?;
            block += (part.len() / BLOCK_BYTES) as u64;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DeviceError> {
        self.request(request::FLUSH, 0, Transfer::None)?;
        self.queue.renew_patience();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Device, FakeTransport, Lie, memory};
    use super::*;

    fn started(
        device: Device,
    ) -> Result<VirtioBlock<FakeTransport, super::super::fake::Memory>, VirtioError> {
        let (memory, transport) = memory(device);
        VirtioBlock::start(transport, memory, || 0)
    }

    fn disk() -> VirtioBlock<FakeTransport, super::super::fake::Memory> {
        started(Device::honest(64)).unwrap()
    }

    #[test]
    fn devices_that_will_not_do_are_refused() {
        let refused = |change: fn(&mut Device)| {
            let mut device = Device::honest(64);
            change(&mut device);
            started(device).err().expect("it must be refused")
        };
        assert_eq!(refused(|device| device.features = 1 << 32), VirtioError::Features);
        assert_eq!(refused(|device| device.features = 1 << 9), VirtioError::Features);
        assert_eq!(refused(|device| device.features |= 1 << 5), VirtioError::ReadOnly);
        assert_eq!(refused(|device| device.sectors = 7), VirtioError::Geometry);
        assert_eq!(refused(|device| device.block_size = 8192), VirtioError::Geometry);
        assert_eq!(refused(|device| device.block_size = 0), VirtioError::Geometry);
        assert_eq!(refused(|device| device.queue_size = 2), VirtioError::Geometry);
        assert_eq!(refused(|device| device.lie = Some(Lie::NeverReset)), VirtioError::TimedOut);
        assert_eq!(refused(|device| device.lie = Some(Lie::Features)), VirtioError::Features);
        assert_eq!(refused(|device| device.lie = Some(Lie::Generation)), VirtioError::Protocol);
        assert_eq!(refused(|device| device.lie = Some(Lie::NoRegisters)), VirtioError::Host);
    }

    #[test]
    fn a_disk_of_unthinkable_size_has_numbers_for_all_its_blocks() {
        let mut device = Device::honest(64);
        device.sectors = u64::MAX;
        let mut disk = started(device).unwrap();
        assert!(disk.block_count().checked_mul(BLOCK_BYTES as u64).is_some());
        let last = disk.block_count() - 1;
        assert_eq!(disk.read(last, &mut [0; BLOCK_BYTES]), Err(DeviceError::Failed));
    }

    #[test]
    fn ranges_that_are_not_on_the_disk_reach_nobody() {
        let mut disk = disk();
        let mut block = [0; BLOCK_BYTES];
        for first in [8, 9, u64::MAX] {
            assert_eq!(disk.read(first, &mut block), Err(DeviceError::OutOfRange));
            assert_eq!(disk.write(first, &block), Err(DeviceError::OutOfRange));
        }
        assert_eq!(disk.write(0, &block[1..]), Err(DeviceError::OutOfRange));
        assert_eq!(disk.transport.requests(), 0);
    }

    #[test]
    fn a_device_that_lies_is_never_asked_again() {
        for (lie, error) in [
            (Lie::UsedTwice, DeviceError::Failed),
            (Lie::OtherChain, DeviceError::Failed),
            (Lie::NoStatus, DeviceError::Failed),
        ] {
            let mut disk = disk();
            disk.transport.lie(lie);
            assert_eq!(disk.flush(), Err(error), "{lie:?}");
            let requests = disk.transport.requests();
            assert_eq!(disk.flush(), Err(error), "{lie:?}");
            assert_eq!(disk.write(0, &[0; BLOCK_BYTES]), Err(error), "{lie:?}");
            assert_eq!(disk.transport.requests(), requests, "{lie:?}");
        }
    }

    #[test]
    fn a_device_that_does_not_answer_costs_a_bounded_time() {
        use core::sync::atomic::{AtomicU64, Ordering};
        static NOW: AtomicU64 = AtomicU64::new(0);
        let (memory, transport) = memory(Device::honest(64));
        let clock = || NOW.fetch_add(1_000, Ordering::Relaxed);
        let mut disk = VirtioBlock::start(transport, memory, clock).unwrap();
        disk.transport.lie(Lie::Silence);
        assert_eq!(disk.flush(), Err(DeviceError::TimedOut));
        assert_eq!(disk.flush(), Err(DeviceError::TimedOut));
        assert!(NOW.load(Ordering::Relaxed) < 100_000);
    }

    /// A call has a few writes and a flush: the limit is for all of them.
    #[test]
    fn a_device_that_is_slow_each_time_is_slow_altogether() {
        use core::sync::atomic::{AtomicU64, Ordering};
        static NOW: AtomicU64 = AtomicU64::new(0);
        let (memory, transport) = memory(Device::honest(64));
        // Each request looks at the clock twice or three times.
        let clock = || NOW.fetch_add(1_200, Ordering::Relaxed);
        let mut disk = VirtioBlock::start(transport, memory, clock).unwrap();
        let mut block = [0; BLOCK_BYTES];
        for _ in 0..20 {
            disk.write(0, &block).unwrap();
            disk.write(1, &block).unwrap();
            disk.flush().unwrap();
            disk.read(0, &mut block).unwrap();
        }
        let written = (0..20).take_while(|_| disk.write(0, &block).is_ok()).count();
        assert!((2..10).contains(&written), "{written}");
        assert_eq!(disk.flush(), Err(DeviceError::TimedOut));
    }

    #[test]
    fn a_request_that_fails_is_only_that() {
        let mut disk = disk();
        disk.transport.lie(Lie::IoError);
        assert_eq!(disk.flush(), Err(DeviceError::Failed));
        disk.transport.tell_the_truth();
        assert_eq!(disk.flush(), Ok(()));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut disk = started(Device::honest(8 * 40)).unwrap();
        assert_eq!(disk.block_count(), 40);
        let content: Vec<u8> = (0..=250).cycle().take(30 * BLOCK_BYTES).collect();
        disk.write(7, &content).unwrap();
        disk.flush().unwrap();
        let mut read = vec![0; content.len()];
        disk.read(7, &mut read).unwrap();
        assert_eq!(read, content);
        let mut block = [1; BLOCK_BYTES];
        disk.read(6, &mut block).unwrap();
        assert_eq!(block, [0; BLOCK_BYTES]);
        // Many more requests than the rings have entries.
        for number in 0..70_000_u32 {
            disk.flush().unwrap_or_else(|error| panic!("{number}: {error:?}"));
        }
    }
}
