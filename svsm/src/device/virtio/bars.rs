// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses for a function's memory BARs (PCI 3.0, 6.2.5.1), when nobody has given it any: on a
//! host that starts the SVSM itself no firmware runs before.
//!
//! The function says how much it wants. What it says only moves the addresses that the SVSM then
//! names to the hypervisor; none of them is ever used as memory.

use super::VirtioError;
use super::pci::{COMMAND, ConfigSpace, FIRST_BAR, MEMORY_SPACE};
use core::ops::Range;

const BARS: u8 = 6;
const IS_IO: u32 = 1;
const TYPE: u32 = 6;
const TYPE_32: u32 = 0;
const TYPE_64: u32 = 4;
/// Bits of a BAR that are no address.
const FLAGS: u32 = 0xf;
/// Bytes of the largest BAR that is given an address: more than any virtio disk wants.
const BAR_BYTES_MAX: u32 = 1 << 24;

/// What a memory BAR says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bar {
    /// 0: it has none.
    address: u64,
    is_wide: bool,
}

/// The address in a memory BAR.
///
/// # Errors
/// `Capability` for anything else, `Unassigned`, `Host`.
pub(super) fn address(config: &mut dyn ConfigSpace, number: u8) -> Result<u64, VirtioError> {
    match read(config, number)?.ok_or(VirtioError::Capability)?.address {
        0 => Err(VirtioError::Unassigned),
        address => Ok(address),
    }
}

/// Gives each memory BAR an address in `hole`, which lies below 4 GiB and is nobody's. If one of
/// them has an address already, somebody has seen to it, and all of them are left as they are.
///
/// # Errors
/// `Unassigned` if the hole is too small, `Capability` for a BAR that breaks the rules, `Host`.
pub(super) fn assign(
    config: &mut dyn ConfigSpace,
    mut hole: Range<u64>,
) -> Result<(), VirtioError> {
    let mut bars = [None; BARS as usize];
    let mut is_upper_half = false;
    for (number, place) in (0..).zip(&mut bars) {
        if !core::mem::take(&mut is_upper_half) {
            *place = read(config, number)?;
            is_upper_half = place.is_some_and(|bar| bar.is_wide);
        }
    }
    if bars.iter().flatten().any(|bar| bar.address != 0) {
        return Ok(());
    }
    for (number, bar) in (0..).zip(bars) {
        let Some(bar) = bar else { continue };
        let Some(bytes) = wanted(config, number, bar.is_wide)? else { continue };
        let start = hole.start.checked_next_multiple_of(bytes.into());
        let start = start.ok_or(VirtioError::Unassigned)?;
        let end = start.checked_add(bytes.into()).filter(|end| *end <= hole.end);
        hole.start = end.ok_or(VirtioError::Unassigned)?;
        write(config, number, bar.is_wide, start)?;
        if read(config, number)? != Some(Bar { address: start, ..bar }) {
            return Err(VirtioError::Capability);
        }
    }
    Ok(())
}

const fn place(number: u8) -> u8 {
    FIRST_BAR + 4 * number
}

/// A memory BAR; `None` for ports and for types that no longer exist.
fn read(config: &mut dyn ConfigSpace, number: u8) -> Result<Option<Bar>, VirtioError> {
    let low = config.read(place(number))?;
    let high = match low & (IS_IO | TYPE) {
        TYPE_32 => None,
        TYPE_64 if number + 1 < BARS => Some(config.read(place(number + 1))?),
        _ => return Ok(None),
    };
    let address = u64::from(high.unwrap_or(0)) << 32 | u64::from(low & !FLAGS);
    Ok(Some(Bar { address, is_wide: high.is_some() }))
}

fn write(
    config: &mut dyn ConfigSpace,
    number: u8,
    is_wide: bool,
    address: u64,
) -> Result<(), VirtioError> {
    config.write(place(number), (address & 0xffff_ffff) as u32)?;
    if is_wide {
        config.write(place(number + 1), (address >> 32) as u32)?;
    }
    Ok(())
}

/// Bytes that a BAR without address wants; `None` if it isn't there at all. The function decodes no
/// addresses meanwhile.
fn wanted(
    config: &mut dyn ConfigSpace,
    number: u8,
    is_wide: bool,
) -> Result<Option<u32>, VirtioError> {
    let command = config.read(COMMAND)? & 0xffff;
    config.write(COMMAND, command & !MEMORY_SPACE)?;
    config.write(place(number), u32::MAX)?;
    let mask = config.read(place(number))? & !FLAGS;
    config.write(place(number), 0)?;
    if mask == 0 && !is_wide {
        return Ok(None);
    }
    let bytes = (!mask).wrapping_add(1);
    if bytes.is_power_of_two() && bytes <= BAR_BYTES_MAX {
        Ok(Some(bytes))
    } else {
        Err(VirtioError::Capability)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::machine::HostFault;

    /// A configuration space of 64 words.
    #[derive(Clone)]
    pub(in super::super) struct Space {
        pub(in super::super) words: [u32; 64],
        /// Which bits of the BARs can be written.
        pub(in super::super) masks: [u32; 6],
    }

    impl ConfigSpace for Space {
        fn read(&mut self, offset: u8) -> Result<u32, HostFault> {
            assert!(offset.is_multiple_of(4));
            Ok(self.words[usize::from(offset / 4)])
        }
        fn write(&mut self, offset: u8, value: u32) -> Result<(), HostFault> {
            let word = usize::from(offset / 4);
            let bar = word.checked_sub(usize::from(FIRST_BAR / 4));
            let mask = bar.map_or(u32::MAX, |bar| self.masks.get(bar).copied().unwrap_or(u32::MAX));
            assert!(bar.is_none() || self.words[1] & MEMORY_SPACE == 0, "decoding is off");
            // The upper half beside the command is the status: zeros change nothing there.
            let mask = if word == 1 { 0xffff } else { mask };
            self.words[word] = value & mask | self.words[word] & !mask;
            Ok(())
        }
    }

    /// As QEMU's disk before anybody has given it addresses: ports, MSI-X, and 16 KiB of registers.
    fn bare() -> Space {
        let mut space = Space { words: [0; 64], masks: [0; 6] };
        space.words[1] = MEMORY_SPACE;
        space.words[4] = IS_IO;
        space.words[8] = 0xc;
        space.masks = [!0x7f, !0xfff, 0, 0, !0x3fff, u32::MAX];
        space
    }

    const HOLE: Range<u64> = 0xe000_0800..0xe002_0000;

    #[test]
    fn bars_that_break_the_rules_are_refused() {
        let refused = |change: fn(&mut Space)| {
            let mut space = bare();
            change(&mut space);
            assign(&mut space, HOLE).err()
        };
        // More than 16 MiB, more than 4 GiB, masks with holes, and one that wants all the room.
        assert_eq!(refused(|space| space.masks[4] = !0x1ff_ffff), Some(VirtioError::Capability));
        assert_eq!(refused(|space| space.masks[4] = 0), Some(VirtioError::Capability));
        assert_eq!(refused(|space| space.masks[4] = 0xfff0_f000), Some(VirtioError::Capability));
        assert_eq!(refused(|space| space.masks[4] = 0x10), Some(VirtioError::Capability));
        assert_eq!(refused(|space| space.masks[4] = !0x1_ffff), Some(VirtioError::Unassigned));
        for hole in [0..0, 0xe000_0000..0xe000_4000, u64::MAX - 1..u64::MAX] {
            assert_eq!(assign(&mut bare(), hole).err(), Some(VirtioError::Unassigned));
        }
    }

    #[test]
    fn a_function_with_addresses_is_left_alone() {
        let mut space = bare();
        space.words[8] = 0xfebd_400c;
        let before = space.words;
        assign(&mut space, HOLE).unwrap();
        assert_eq!(space.words, before);
    }

    #[test]
    fn bars_get_addresses_that_are_multiples_of_their_sizes() {
        let mut space = bare();
        assign(&mut space, HOLE).unwrap();
        assert_eq!(address(&mut space, 1), Ok(0xe000_1000));
        assert_eq!(address(&mut space, 4), Ok(0xe000_4000));
        assert_eq!((space.words[8] & FLAGS, space.words[9]), (0xc, 0));
        assert_eq!(address(&mut space, 0), Err(VirtioError::Capability), "ports");
        assert_eq!(address(&mut space, 2), Err(VirtioError::Unassigned), "not there");
        // The last one has no room for an upper half.
        space.words[9] = TYPE_64;
        assert_eq!(address(&mut space, 5), Err(VirtioError::Capability));
    }
}
