// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measurements of a launch that reach the TPM beside the commands (Part 1, 34; Part 3, 22.9 to
//! 22.11: _TPM_Hash_Start, _TPM_Hash_Data and _TPM_Hash_End). Before TPM2_Startup the machine's
//! hardware measures its first code so (H-CRTM, into PCR 0), later a dynamic launch (D-RTM, into
//! PCR 17).

use super::pcr::{BANKS, pcr_attributes};
use super::{Mode, State};
use crate::crypto::hash::{Digest, Hasher};
use crate::structure::pcr_selection::PCR_COUNT;
use crate::structure::response_code::ResponseCode;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// The PCR of the first code.
const STATIC_PCR: usize = 0;
/// The PCR of a dynamic launch.
const DYNAMIC_PCR: usize = 17;
/// What PCR 0 starts with when hardware has measured (PC Client Platform TPM Profile, 4.6).
const MEASURED_LOCALITY: u8 = 4;

/// How the TPM was started: a Resume must be as the start that it resumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The locality of TPM2_Startup, 0 or 3.
    pub locality: u8,
    /// Whether an H-CRTM came before it.
    pub is_measured: bool,
}

/// Measurements that are not in a PCR yet.
#[derive(Debug)]
pub struct Launch {
    /// A measurement without its end.
    hashers: Option<[Hasher; BANKS.len()]>,
    /// What hardware measured since power-on, until TPM2_Startup takes it.
    measured: Option<[Digest; BANKS.len()]>,
}

impl Launch {
    /// Nothing is measured.
    pub const NONE: Self = Self { hashers: None, measured: None };
}

impl Marshal for Origin {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.locality)?;
        writer.value(&self.is_measured)
    }
}

impl Unmarshal for Origin {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { locality: reader.value()?, is_measured: reader.value()? })
    }
}

impl Marshal for Launch {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.hashers.is_some())?;
        self.hashers.iter().flatten().try_for_each(|hasher| writer.value(hasher))?;
        writer.value(&self.measured.is_some())?;
        self.measured.iter().flatten().try_for_each(|digest| writer.value(digest))
    }
}

impl Unmarshal for Launch {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut launch = Self::NONE;
        if reader.value()? {
            let mut hashers = BANKS.map(Hasher::new);
            for (place, bank) in hashers.iter_mut().zip(BANKS) {
                *place = reader.value()?;
                check(place.algorithm() == bank)?;
            }
            launch.hashers = Some(hashers);
        }
        if reader.value()? {
            let mut digests = [Digest::EMPTY; BANKS.len()];
            for (place, bank) in digests.iter_mut().zip(BANKS) {
                *place = reader.value()?;
                check(place.len() == bank.digest_size())?;
            }
            launch.measured = Some(digests);
        }
        Ok(launch)
    }
}

fn check(is_right: bool) -> Result<()> {
    if is_right { Ok(()) } else { Err(ResponseCode::VALUE) }
}

impl State {
    /// _TPM_Hash_Start: begins a measurement, in place of one that has not ended. A dynamic launch
    /// resets its PCRs.
    pub fn start_measurement(&mut self) {
        self.launch.hashers = Some(BANKS.map(Hasher::new));
        if self.mode == Mode::Operational {
            for index in (0..PCR_COUNT).filter(|index| pcr_attributes(*index).is_drtm) {
                self.pcrs.fill(index, 0);
            }
        }
    }

    /// _TPM_Hash_Data: more of it; without a start, nothing.
    pub fn measure(&mut self, data: &[u8]) {
        for hasher in self.launch.hashers.iter_mut().flatten() {
            hasher.update(data);
        }
    }

    /// _TPM_Hash_End: the measurement is complete.
    pub fn end_measurement(&mut self) {
        let Some(hashers) = self.launch.hashers.take() else { return };
        let digests = hashers.map(Hasher::finish);
        if self.mode == Mode::Initialized {
            self.launch.measured = Some(digests);
        } else {
            self.extend_all(DYNAMIC_PCR, &digests);
            self.count_pcr_change(DYNAMIC_PCR);
        }
    }

    /// How a TPM2_Startup at this locality starts the TPM.
    pub const fn origin_at(&self, locality: u8) -> Origin {
        Origin { locality, is_measured: self.launch.measured.is_some() }
    }

    /// Puts into PCR 0 how the TPM was started, and what hardware measured.
    pub fn start_static_pcr(&mut self) {
        let Origin { locality, is_measured } = self.origin;
        let locality = if is_measured { MEASURED_LOCALITY } else { locality };
        if locality != 0 {
            for bank in BANKS {
                self.pcrs.start_with_locality(bank, locality);
            }
        }
        if let Some(digests) = self.launch.measured.take() {
            self.extend_all(STATIC_PCR, &digests);
        }
    }

    /// Extends a PCR in each bank with that bank's digest.
    fn extend_all(&mut self, index: usize, digests: &[Digest; BANKS.len()]) {
        for (bank, digest) in BANKS.into_iter().zip(digests) {
            self.pcrs.extend(bank, index, digest);
        }
    }
}
