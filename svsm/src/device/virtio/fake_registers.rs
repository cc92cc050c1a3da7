// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registers of the tests' virtio disk, over MMIO and over PCI as the standard lays them out,
//! and the whole driver on both: transport, queue, block device. The numbers here are the
//! standard's own, not the transports' constants.

use super::bars::tests::Space;
use super::block::{BLOCK_BYTES, VirtioBlock};
use super::fake::{Device, FakeTransport, Lie, Memory, memory};
use super::mmio::MmioTransport;
use super::pci::PciTransport;
use super::{QueueAddresses, Registers, Transport, VirtioError, Width};
use crate::machine::HostFault;
use nvstore::{BlockDevice, DeviceError};
use std::cell::Cell;
use std::rc::Rc;
use std::vec::Vec;

/// What a register means, on either transport.
#[derive(Clone, Copy, Debug)]
enum Register {
    /// It always reads as this.
    Constant(u32),
    /// It can be written, and nothing comes of it.
    Ignored,
    DeviceFeatureSelect,
    DeviceFeatures,
    DriverFeatureSelect,
    DriverFeatures,
    QueueSelect,
    QueueSize,
    QueueReady,
    /// Descriptors, available ring, used ring; in halves.
    QueueAddress(usize),
    QueueNotifyOffset,
    Notify,
    Status,
    Generation,
    Config(u8),
}

fn byte(offset: u64) -> u8 {
    u8::try_from(offset).expect("a short structure")
}

fn word(offset: u64) -> usize {
    usize::from(byte(offset)) / 4
}

/// 4.2.2.
fn mmio_register(offset: u64) -> Register {
    match offset {
        0x000 => Register::Constant(u32::from_le_bytes(*b"virt")),
        0x004 | 0x008 => Register::Constant(2),
        0x010 => Register::DeviceFeatures,
        0x014 => Register::DeviceFeatureSelect,
        0x020 => Register::DriverFeatures,
        0x024 => Register::DriverFeatureSelect,
        0x030 => Register::QueueSelect,
        0x034 | 0x038 => Register::QueueSize,
        0x044 => Register::QueueReady,
        0x050 => Register::Notify,
        0x070 => Register::Status,
        0x080 | 0x084 => Register::QueueAddress(word(offset - 0x080)),
        0x090 | 0x094 => Register::QueueAddress(2 + word(offset - 0x090)),
        0x0a0 | 0x0a4 => Register::QueueAddress(4 + word(offset - 0x0a0)),
        0x0fc => Register::Generation,
        0x100..0x118 => Register::Config(byte(offset - 0x100)),
        _ => panic!("no register at {offset:#x}"),
    }
}

/// 4.1.4.3 and, behind it, the other structures of [`function`]; with the register's width.
fn pci_register(offset: u64) -> (Register, Width) {
    match offset {
        0x00 => (Register::DeviceFeatureSelect, Width::Word),
        0x04 => (Register::DeviceFeatures, Width::Word),
        0x08 => (Register::DriverFeatureSelect, Width::Word),
        0x0c => (Register::DriverFeatures, Width::Word),
        0x10 | 0x1a => (Register::Ignored, Width::Half),
        0x14 => (Register::Status, Width::Byte),
        0x15 => (Register::Generation, Width::Byte),
        0x16 => (Register::QueueSelect, Width::Half),
        0x18 => (Register::QueueSize, Width::Half),
        0x1c => (Register::QueueReady, Width::Half),
        0x1e => (Register::QueueNotifyOffset, Width::Half),
        0x20..0x38 => (Register::QueueAddress(word(offset - 0x20)), Width::Word),
        // The interrupt status at 0x1000 is read by nobody: there are no interrupts.
        0x2000..0x2018 => (Register::Config(byte(offset - 0x2000)), Width::Word),
        NOTIFY_PLACE => (Register::Notify, Width::Half),
        _ => panic!("no register at {offset:#x}"),
    }
}

const MMIO_BASE: u64 = 0xfeb0_0e00;
const PCI_HOLE: core::ops::Range<u64> = 0xe000_0000..0xe100_0000;
/// Where queue 0 of the PCI function is notified: number 5 of places that are 4 bytes apart.
const NOTIFY_NUMBER: u32 = 5;
const NOTIFY_PLACE: u64 = 0x3000 + 4 * NOTIFY_NUMBER as u64;

/// What goes wrong below the device: from this access to a register on.
#[derive(Clone, Default)]
struct Trouble {
    /// Accesses that still go well; `None`: all.
    good: Rc<Cell<Option<u32>>>,
    /// The device is gone: all bits are set. Otherwise the hypervisor refuses.
    is_gone: bool,
}

/// The registers, in front of the device that the other tests speak to directly.
struct RegisterFile {
    device: FakeTransport,
    is_pci: bool,
    feature_select: u32,
    driver_select: u32,
    queue_select: u32,
    queue_size: u16,
    addresses: [u32; 6],
    trouble: Trouble,
}

impl RegisterFile {
    fn new(device: FakeTransport, is_pci: bool, trouble: Trouble) -> Self {
        Self {
            device,
            is_pci,
            // Nothing may rely on what these begin with.
            feature_select: 7,
            driver_select: 7,
            queue_select: 7,
            queue_size: 0,
            addresses: [0; 6],
            trouble,
        }
    }

    fn register(&self, address: u64, width: Width) -> Register {
        if self.is_pci {
            let (register, expected) = pci_register(address - PCI_HOLE.start);
            assert_eq!(width, expected, "{register:?}");
            register
        } else {
            assert_eq!(width, Width::Word);
            mmio_register(address - MMIO_BASE)
        }
    }

    /// Whether the access goes well.
    fn is_good(&self) -> bool {
        match self.trouble.good.get() {
            None => true,
            Some(0) => false,
            Some(left) => {
                self.trouble.good.set(Some(left - 1));
                true
            }
        }
    }

    fn get(&mut self, register: Register) -> Result<u32, VirtioError> {
        Ok(match register {
            Register::Constant(value) => value,
            Register::DeviceFeatures if self.feature_select < 2 => {
                self.device.device_features(self.feature_select)?
            }
            Register::QueueSize if self.queue_select == 0 => self.device.queue_size_max()?,
            Register::QueueNotifyOffset if self.queue_select == 0 => NOTIFY_NUMBER,
            Register::Status => self.device.status()?,
            Register::Generation => self.device.config_generation()?,
            Register::Config(offset) => self.device.config(offset)?,
            Register::DeviceFeatures | Register::QueueSize => 0,
            _ => panic!("{register:?} is read"),
        })
    }

    fn set(&mut self, register: Register, value: u32) -> Result<(), VirtioError> {
        match register {
            Register::Ignored => assert_eq!(value, 0xffff, "no interrupts"),
            Register::DeviceFeatureSelect => self.feature_select = value,
            Register::DriverFeatureSelect => self.driver_select = value,
            Register::DriverFeatures => {
                self.device.set_driver_features(self.driver_select, value)?;
            }
            Register::QueueSelect => self.queue_select = value,
            Register::QueueSize => self.queue_size = u16::try_from(value).expect("a size"),
            Register::QueueAddress(half) => self.addresses[half] = value,
            Register::QueueReady => {
                assert_eq!((self.queue_select, value), (0, 1));
                let [descriptors, available, used] = self.queue_addresses();
                let addresses = QueueAddresses { descriptors, available, used };
                self.device.start_queue(self.queue_size, addresses)?;
            }
            Register::Notify => {
                assert_eq!(value, 0, "the only queue");
                self.device.notify()?;
            }
            Register::Status => {
                self.device.set_status(u8::try_from(value).expect("eight bits"))?;
            }
            _ => panic!("{register:?} is written"),
        }
        Ok(())
    }

    fn queue_addresses(&self) -> [u64; 3] {
        let [a, b, c, d, e, f] = self.addresses.map(u64::from);
        [b << 32 | a, d << 32 | c, f << 32 | e]
    }
}

impl Registers for RegisterFile {
    fn read(&mut self, address: u64, width: Width) -> Result<u32, HostFault> {
        let register = self.register(address, width);
        match (self.is_good(), self.trouble.is_gone) {
            (true, _) => self.get(register).map_err(|_| HostFault),
            (false, true) => Ok(u32::MAX >> (32 - 8 * width as u32)),
            (false, false) => Err(HostFault),
        }
    }

    fn write(&mut self, address: u64, width: Width, value: u32) -> Result<(), HostFault> {
        let register = self.register(address, width);
        match (self.is_good(), self.trouble.is_gone) {
            (true, _) => self.set(register, value).map_err(|_| HostFault),
            (false, true) => Ok(()),
            (false, false) => Err(HostFault),
        }
    }
}

/// A function as QEMU has it before anybody has given it addresses: BAR 4 with 16 KiB, and the
/// structures common, interrupt status, device and notification in it.
fn function() -> Space {
    let mut words = [0; 64];
    words[0] = 0x1042_1af4;
    words[1] = 1 << 20;
    words[8] = 0xc;
    words[0x34 / 4] = 0x40;
    // Type, place, next one, offset in the BAR.
    for (kind, at, next, offset) in
        [(1, 0x40, 0x54, 0), (3, 0x54, 0x68, 0x1000), (4, 0x68, 0x7c, 0x2000), (2, 0x7c, 0, 0x3000)]
    {
        words[at / 4] = kind << 24 | 0x14 << 16 | next << 8 | 9;
        words[at / 4 + 1] = 4;
        words[at / 4 + 2] = offset;
        words[at / 4 + 3] = 0x1000;
    }
    // Behind the last: the multiplier.
    words[0x8c / 4] = 4;
    Space { words, masks: [0, 0, 0, 0, !0x3fff, u32::MAX] }
}

type Disk = VirtioBlock<std::boxed::Box<dyn Transport>, Memory>;

/// The driver on a device behind one of the transports, and the device.
fn start(
    device: Device,
    is_pci: bool,
    trouble: Trouble,
    clock_ms: fn() -> u64,
) -> Result<(Disk, FakeTransport), VirtioError> {
    let (memory, fake) = memory(device);
    let registers = RegisterFile::new(fake.clone(), is_pci, trouble);
    let transport: std::boxed::Box<dyn Transport> = if is_pci {
        std::boxed::Box::new(PciTransport::find(&mut function(), PCI_HOLE, registers)?)
    } else {
        std::boxed::Box::new(MmioTransport::find(MMIO_BASE, registers)?)
    };
    Ok((VirtioBlock::start(transport, memory, clock_ms)?, fake))
}

fn healthy(is_pci: bool) -> (Disk, FakeTransport) {
    start(Device::honest(64), is_pci, Trouble::default(), || 0).expect("a disk")
}

const BOTH: [bool; 2] = [false, true];

#[test]
fn devices_that_lie_from_the_start_are_refused() {
    for is_pci in BOTH {
        let refused = |change: fn(&mut Device)| {
            let mut device = Device::honest(64);
            change(&mut device);
            start(device, is_pci, Trouble::default(), || 0).err().expect("it must be refused")
        };
        assert_eq!(refused(|device| device.lie = Some(Lie::NeverReset)), VirtioError::TimedOut);
        assert_eq!(refused(|device| device.lie = Some(Lie::Features)), VirtioError::Features);
        assert_eq!(refused(|device| device.lie = Some(Lie::Generation)), VirtioError::Protocol);
        assert_eq!(refused(|device| device.lie = Some(Lie::NoRegisters)), VirtioError::Host);
        assert_eq!(refused(|device| device.features = 1 << 9), VirtioError::Features);
        assert_eq!(refused(|device| device.queue_size = 0), VirtioError::Geometry);
        assert_eq!(refused(|device| device.sectors = 7), VirtioError::Geometry);
    }
}

#[test]
fn a_device_that_begins_to_lie_is_never_asked_again() {
    for is_pci in BOTH {
        for lie in [Lie::UsedTwice, Lie::OtherChain, Lie::NoStatus] {
            let (mut disk, mut device) = healthy(is_pci);
            disk.write(1, &[5; BLOCK_BYTES]).unwrap();
            device.lie(lie);
            assert_eq!(disk.read(1, &mut [0; BLOCK_BYTES]), Err(DeviceError::Failed), "{lie:?}");
            let requests = device.requests();
            device.tell_the_truth();
            assert_eq!(disk.flush(), Err(DeviceError::Failed), "{lie:?}");
            assert_eq!(device.requests(), requests, "{lie:?}");
        }
        let (mut disk, mut device) = healthy(is_pci);
        device.lie(Lie::IoError);
        assert_eq!(disk.flush(), Err(DeviceError::Failed), "only this request");
        device.tell_the_truth();
        assert_eq!(disk.flush(), Ok(()));
    }
}

#[test]
fn a_device_that_falls_silent_costs_a_bounded_time() {
    use core::sync::atomic::{AtomicU64, Ordering};
    static NOW: AtomicU64 = AtomicU64::new(0);
    for is_pci in BOTH {
        let clock = || NOW.fetch_add(1_000, Ordering::Relaxed);
        let device = Device::honest(64);
        let (mut disk, mut device) = start(device, is_pci, Trouble::default(), clock).unwrap();
        device.lie(Lie::Silence);
        assert_eq!(disk.write(0, &[1; BLOCK_BYTES]), Err(DeviceError::TimedOut));
        assert_eq!(disk.flush(), Err(DeviceError::TimedOut));
    }
    assert!(NOW.load(Ordering::Relaxed) < 200_000);
}

/// Starts the driver and has it read, write and flush while the accesses go wrong from the nth on.
fn troubled(is_pci: bool, is_gone: bool, good: u32) -> Result<(), Option<VirtioError>> {
    let trouble = Trouble { good: Rc::new(Cell::new(Some(good))), is_gone };
    let (mut disk, _device) = start(Device::honest(64), is_pci, trouble, || u64::MAX / 2)?;
    let mut block = [0; BLOCK_BYTES];
    disk.write(0, &[1; BLOCK_BYTES]).map_err(|_| None)?;
    disk.flush().map_err(|_| None)?;
    disk.read(0, &mut block).map_err(|_| None)
}

#[test]
fn a_hypervisor_may_refuse_every_access() {
    for is_pci in BOTH {
        let outcomes: Vec<_> =
            (0..).map(|good| troubled(is_pci, false, good)).take_while(Result::is_err).collect();
        assert!(outcomes.len() > 20, "{outcomes:?}");
        assert!(
            outcomes.iter().all(|outcome| matches!(outcome, Err(None | Some(VirtioError::Host))))
        );
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Err(None)).count(), 3);
    }
}

#[test]
fn a_device_may_vanish_at_any_time() {
    for is_pci in BOTH {
        let used = Rc::new(Cell::new(Some(u32::MAX)));
        let trouble = Trouble { good: Rc::clone(&used), is_gone: true };
        drop(start(Device::honest(64), is_pci, trouble, || 0).unwrap());
        let starting = u32::MAX - used.get().unwrap();
        for good in 0..starting {
            let outcome = troubled(is_pci, true, good);
            assert!(matches!(outcome, Err(Some(_))), "{good} of {starting}: {outcome:?}");
        }
    }
}

#[test]
fn what_is_written_over_either_transport_can_be_read() {
    for is_pci in BOTH {
        let (mut disk, device) = healthy(is_pci);
        assert_eq!(disk.block_count(), 8);
        let content: Vec<u8> = (0..=250).cycle().take(6 * BLOCK_BYTES).collect();
        disk.write(1, &content).unwrap();
        disk.flush().unwrap();
        let mut read = vec![0; content.len()];
        disk.read(1, &mut read).unwrap();
        assert_eq!(read, content);
        disk.read(7, &mut read[..BLOCK_BYTES]).unwrap();
        assert_eq!(read[..BLOCK_BYTES], [0; BLOCK_BYTES]);
        // Two for each six blocks through four pages, and the rest.
        assert_eq!(device.requests(), 2 + 1 + 2 + 1);
    }
}

#[test]
fn a_store_lives_on_either_transport() {
    use nvstore::simulation::model::{master_key, open};
    use nvstore::simulation::random::SimulatedRandom;
    use nvstore::{Capacity, Unanchored};
    for is_pci in BOTH {
        let device = Device::honest(8 * 768);
        let (mut disk, _device) = start(device, is_pci, Trouble::default(), || 0).unwrap();
        let capacity = Capacity::for_tpm(BLOCK_BYTES);
        let mut random = SimulatedRandom::new(1);
        let mut store = open(&mut disk, capacity, &master_key(1), Unanchored, &mut random).unwrap();
        let mut transaction = store.transaction();
        transaction.put(b"name", &[3; 9000]).unwrap();
        transaction.commit().unwrap();
        drop(store);
        let store = open(&mut disk, capacity, &master_key(1), Unanchored, &mut random).unwrap();
        assert_eq!(store.value(b"name"), Some(&[3; 9000][..]));
    }
}
