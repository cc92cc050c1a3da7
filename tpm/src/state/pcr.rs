// SPDX-License-Identifier: MIT OR Apache-2.0
//! Platform configuration registers (Part 1, 17; PC Client Platform TPM Profile, 4.6).

use super::tracked::Tracked;
use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest, HashAlgorithm};
use crate::structure::attributes::LocalityAttributes;
use crate::structure::pcr_selection::{PCR_COUNT, PcrBitmap, PcrSelectionList};

/// The banks, in the order in which TPM2_GetCapability lists them.
pub const BANKS: [HashAlgorithm; 4] =
    [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha384, HashAlgorithm::Sha512];

/// What may be done with a PCR, the same in every bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrAttributes {
    /// Kept over a Shutdown(STATE) and Startup(STATE).
    pub is_saved: bool,
    /// Localities that may reset it.
    pub reset: LocalityAttributes,
    /// Localities that may extend it.
    pub extend: LocalityAttributes,
    /// Changing it counts in pcrUpdateCounter.
    pub is_counted: bool,
    /// It belongs to the group with an authorisation value and a policy.
    pub has_auth: bool,
    /// Only a dynamic launch resets it to zero: until then all its bits are set.
    pub is_drtm: bool,
}

const fn attributes(reset: u8, extend: u8, is_counted: bool, has_auth: bool) -> PcrAttributes {
    PcrAttributes {
        is_saved: reset == 0,
        reset: LocalityAttributes(reset),
        extend: LocalityAttributes(extend),
        is_counted,
        has_auth,
        is_drtm: reset & 0x10 != 0,
    }
}

/// The attributes of PCR `index` (PC Client Platform TPM Profile, table 5). The debug and
/// application PCRs 16 and 23 and the ones that the dynamically launched system uses, 21 and 22,
/// do not count; 20 to 22 have an authorisation value and a policy.
pub const fn pcr_attributes(index: usize) -> PcrAttributes {
    match index {
        16 | 23 => attributes(0x0f, 0x1f, false, false),
        17 | 18 => attributes(0x10, 0x1c, true, false),
        19 => attributes(0x10, 0x0c, true, false),
        20 => attributes(0x14, 0x0e, true, true),
        21 | 22 => attributes(0x14, 0x04, false, true),
        _ => attributes(0x00, 0x1f, true, false),
    }
}

/// The values of all PCRs. Which of them exist is the allocation, part of the permanent state.
#[derive(Clone, Debug)]
pub struct PcrValues {
    values: [[Digest; PCR_COUNT]; BANKS.len()],
}

impl PcrValues {
    /// Before Startup.
    pub const EMPTY: Self = Self { values: [[Digest::EMPTY; PCR_COUNT]; BANKS.len()] };

    /// The value, or `None` for a bank or PCR that doesn't exist.
    pub fn get(&self, bank: HashAlgorithm, index: usize) -> Option<&Digest> {
        self.values.get(bank_index(bank)?)?.get(index)
    }

    /// The value, to be changed.
    pub fn get_mut(&mut self, bank: HashAlgorithm, index: usize) -> Option<&mut Digest> {
        self.values.get_mut(bank_index(bank)?)?.get_mut(index)
    }
}

/// The place of a bank in [`BANKS`].
pub fn bank_index(bank: HashAlgorithm) -> Option<usize> {
    BANKS.iter().position(|candidate| *candidate == bank)
}

/// PCRs that are allocated in each bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcrAllocation(pub [PcrBitmap; BANKS.len()]);

impl PcrAllocation {
    /// Every PCR in every bank.
    pub const ALL: Self = Self([PcrBitmap::ALL; BANKS.len()]);

    /// The PCRs of a bank; none if there is no such bank.
    pub fn of(&self, bank: HashAlgorithm) -> PcrBitmap {
        bank_index(bank).and_then(|index| self.0.get(index).copied()).unwrap_or_default()
    }
}

/// All PCRs and what belongs to them while the TPM is powered.
#[derive(Debug)]
pub struct Pcrs {
    /// The values, kept over a Resume as far as their attributes say.
    pub values: Tracked<PcrValues>,
    /// The allocation in force: changes of the permanent one wait for the next Startup.
    pub allocation: PcrAllocation,
    /// TPM2_PCR_Allocate was used: until the next TPM Reset or Restart no state can be saved.
    pub is_allocated_anew: bool,
}

impl Pcrs {
    /// Before Startup.
    pub const fn new() -> Self {
        let (values, allocation) = (Tracked::new(PcrValues::EMPTY), PcrAllocation::ALL);
        Self { values, allocation, is_allocated_anew: false }
    }

    /// The value, or `None` if the bank doesn't have the PCR.
    pub fn value(&self, bank: HashAlgorithm, index: usize) -> Option<&Digest> {
        if self.allocation.of(bank).contains(index) { self.values.get(bank, index) } else { None }
    }

    /// Extends one PCR of one bank (Part 1, 17.5); nothing happens if the bank doesn't have it.
    pub fn extend(&mut self, bank: HashAlgorithm, index: usize, digest: &[u8]) {
        if self.allocation.of(bank).contains(index)
            && let Some(value) = self.values.change().get_mut(bank, index)
        {
            *value = bank.digest(&[value.as_bytes(), digest]);
        }
    }

    /// Sets every octet of a PCR in all banks that have it.
    pub fn fill(&mut self, index: usize, octet: u8) {
        for bank in BANKS {
            if self.allocation.of(bank).contains(index)
                && let Some(value) = self.values.change().get_mut(bank, index)
            {
                *value = Digest::filled(bank, octet);
            }
        }
    }

    /// Writes the locality of the start into the last octet of PCR 0.
    pub fn start_with_locality(&mut self, bank: HashAlgorithm, locality: u8) {
        if self.allocation.of(bank).contains(0)
            && let Some(value) = self.values.change().get_mut(bank, 0)
        {
            let mut octets = [0; DIGEST_SIZE_MAX];
            let (used, _) = octets.split_at_mut(bank.digest_size().min(DIGEST_SIZE_MAX));
            if let Some(last) = used.last_mut() {
                *last = locality;
            }
            *value = Digest::from_slice(used).unwrap_or_default();
        }
    }

    /// The selection without the PCRs that don't exist (Part 1, 17.6.2).
    #[must_use]
    pub fn existing(&self, mut selection: PcrSelectionList) -> PcrSelectionList {
        for entry in selection.as_mut_slice() {
            let existing = self.allocation.of(entry.bank);
            for index in 0..PCR_COUNT {
                if !existing.contains(index) {
                    entry.pcrs.remove(index);
                }
            }
        }
        selection
    }

    /// The digest of the selected PCRs, in the order of the list and then of the numbers.
    pub fn selected_digest(
        &self,
        algorithm: HashAlgorithm,
        selection: &PcrSelectionList,
    ) -> Digest {
        let mut hasher = crate::crypto::hash::Hasher::new(algorithm);
        for entry in selection.as_slice() {
            for index in entry.pcrs.iter() {
                if let Some(value) = self.value(entry.bank, index) {
                    hasher.update(value.as_bytes());
                }
            }
        }
        hasher.finish()
    }
}

impl super::State {
    /// Counts a change of a PCR in pcrUpdateCounter, unless it is one that doesn't count.
    pub fn count_pcr_change(&mut self, index: usize) {
        if pcr_attributes(index).is_counted {
            self.reset.change().pcr_counter = self.reset.pcr_counter.wrapping_add(1);
        }
    }
}

impl Default for Pcrs {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structure::pcr_selection::{NO_SELECTION, PcrSelection};

    #[test]
    fn only_dynamic_launch_pcrs_start_with_all_bits_set() {
        let drtm: [bool; PCR_COUNT] = core::array::from_fn(|index| pcr_attributes(index).is_drtm);
        assert!(drtm.iter().enumerate().all(|(index, drtm)| *drtm == (17..=22).contains(&index)));
        assert!((0..16).all(|index| pcr_attributes(index).is_saved));
        assert!((16..24).all(|index| !pcr_attributes(index).is_saved));
    }

    #[test]
    fn unallocated_pcrs_are_neither_read_nor_extended() {
        let mut pcrs = Pcrs::new();
        pcrs.allocation.0[0] = PcrBitmap::default();
        pcrs.extend(HashAlgorithm::Sha1, 3, &[1; 20]);
        assert_eq!(pcrs.value(HashAlgorithm::Sha1, 3), None);
        let mut selection = PcrSelectionList::new(NO_SELECTION);
        selection.push(PcrSelection { bank: HashAlgorithm::Sha1, pcrs: PcrBitmap::ALL }).unwrap();
        assert!(pcrs.existing(selection)[0].pcrs.is_empty());
    }
}
