// SPDX-License-Identifier: MIT OR Apache-2.0
//! The GHCB MSR protocol: requests and answers that need no page. AMD 56421, 2.3.1.
//!
//! The value's low 12 bits (GHCBInfo) say what it is; 0 means that the rest is the GHCB's GPA.

use crate::{Vmpl, ghcb::PageOperation};

const INFO_MASK: u64 = 0xfff;
const GPA_MASK: u64 = !INFO_MASK;
/// Answer to [`Request::PreferredGhcb`] of a hypervisor that has no preference.
pub const NO_PREFERRED_GHCB: u64 = GPA_MASK;

/// Which register of a CPUID function is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registers' own names")]
pub enum CpuidRegister {
    Eax = 0,
    Ebx = 1,
    Ecx = 2,
    Edx = 3,
}

impl CpuidRegister {
    const fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Eax,
            1 => Self::Ebx,
            2 => Self::Ecx,
            _ => Self::Edx,
        }
    }
}

/// What a guest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// 0x000: the GHCB at this GPA holds the request.
    Ghcb(u64),
    /// 0x002: versions and C-bit.
    SevInformation,
    /// 0x004: one register of a CPUID leaf (subleaf 0).
    Cpuid {
        /// The leaf.
        leaf: u32,
        /// The register.
        register: CpuidRegister,
    },
    /// 0x006: AP reset hold.
    ApResetHold,
    /// 0x010: which GHCB GPA the hypervisor would like.
    PreferredGhcb,
    /// 0x012: use the GHCB at this GPA.
    RegisterGhcb(u64),
    /// 0x014: change the state of one 4 KiB page.
    PageState {
        /// GPA of the page, below 2^52.
        gpa: u64,
        /// What it is to become.
        operation: PageOperation,
    },
    /// 0x016: run another VMPL of this vCPU.
    RunVmpl(Vmpl),
    /// 0x080: hypervisor features.
    HypervisorFeatures,
    /// 0x100: end the guest.
    Terminate {
        /// Reason set, 0 to 15.
        set: u8,
        /// Reason code.
        code: u8,
    },
}

/// A value that isn't a request, or not the answer to the request that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub u64);

impl Request {
    /// The value for the MSR. Bits of an address that don't fit are dropped.
    #[must_use]
    pub const fn encode(self) -> u64 {
        match self {
            Self::Ghcb(gpa) => gpa & GPA_MASK,
            Self::SevInformation => 0x002,
            Self::Cpuid { leaf, register } => (leaf as u64) << 32 | (register as u64) << 30 | 0x004,
            Self::ApResetHold => 0x006,
            Self::PreferredGhcb => 0x010,
            Self::RegisterGhcb(gpa) => gpa & GPA_MASK | 0x012,
            Self::PageState { gpa, operation } => {
                (operation as u64) << 52 | gpa & 0x000f_ffff_ffff_f000 | 0x014
            }
            Self::RunVmpl(vmpl) => (vmpl as u64) << 32 | 0x016,
            Self::HypervisorFeatures => 0x080,
            Self::Terminate { set, code } => {
                (code as u64) << 16 | ((set & 0xf) as u64) << 12 | 0x100
            }
        }
    }

    /// Reads the MSR's value as the hypervisor does.
    ///
    /// # Errors
    /// An unknown request, or one with reserved bits set.
    pub const fn decode(value: u64) -> Result<Self, Malformed> {
        let data = value & GPA_MASK;
        let request = match value & INFO_MASK {
            0x000 => Self::Ghcb(data),
            0x002 if data == 0 => Self::SevInformation,
            0x004 if data & 0x3fff_ffff == 0 => Self::Cpuid {
                leaf: (value >> 32) as u32,
                register: CpuidRegister::from_bits(value >> 30),
            },
            0x006 if data == 0 => Self::ApResetHold,
            0x010 if data == 0 => Self::PreferredGhcb,
            0x012 => Self::RegisterGhcb(data),
            0x014 if value >> 56 == 0 => match PageOperation::from_number(value >> 52 & 0xf) {
                Some(operation @ (PageOperation::Private | PageOperation::Shared)) => {
                    Self::PageState { gpa: data & 0x000f_ffff_ffff_f000, operation }
                }
                _ => return Err(Malformed(value)),
            },
            0x016 if data & 0xffff_ffff == 0 => match Vmpl::from_number(value >> 32) {
                Some(vmpl) => Self::RunVmpl(vmpl),
                None => return Err(Malformed(value)),
            },
            0x080 if data == 0 => Self::HypervisorFeatures,
            0x100 if value >> 24 == 0 => {
                Self::Terminate { set: (value >> 12 & 0xf) as u8, code: (value >> 16 & 0xff) as u8 }
            }
            _ => return Err(Malformed(value)),
        };
        Ok(request)
    }
}

/// Answer to [`Request::SevInformation`], 0x001.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SevInformation {
    /// Highest protocol version.
    pub version_max: u16,
    /// Lowest protocol version.
    pub version_min: u16,
    /// Position of the C-bit.
    pub c_bit_position: u8,
}

impl SevInformation {
    /// The value for the MSR.
    #[must_use]
    pub const fn encode(self) -> u64 {
        (self.version_max as u64) << 48
            | (self.version_min as u64) << 32
            | (self.c_bit_position as u64) << 24
            | 0x001
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// The value is something else, or its versions are the wrong way round.
    pub const fn decode(value: u64) -> Result<Self, Malformed> {
        let answer = Self {
            version_max: (value >> 48) as u16,
            version_min: (value >> 32 & 0xffff) as u16,
            c_bit_position: (value >> 24 & 0xff) as u8,
        };
        if value & 0xff_ffff != 0x001 || answer.version_min > answer.version_max {
            return Err(Malformed(value));
        }
        Ok(answer)
    }
}

/// Answer to [`Request::Cpuid`], 0x005.
#[must_use]
pub const fn encode_cpuid_answer(register: CpuidRegister, value: u32) -> u64 {
    (value as u64) << 32 | (register as u64) << 30 | 0x005
}

/// Reads the answer to [`Request::Cpuid`]: the register's value.
///
/// # Errors
/// The value is something else, or is for another register.
pub const fn decode_cpuid_answer(register: CpuidRegister, value: u64) -> Result<u32, Malformed> {
    if value & 0xffff_ffff != (register as u64) << 30 | 0x005 {
        return Err(Malformed(value));
    }
    Ok((value >> 32) as u32)
}

/// Answer to [`Request::PreferredGhcb`], 0x011.
#[must_use]
pub const fn encode_preferred_ghcb_answer(gpa: u64) -> u64 {
    gpa & GPA_MASK | 0x011
}

/// Reads the answer to [`Request::PreferredGhcb`]; `None` when the hypervisor has no preference.
///
/// # Errors
/// The value is something else.
pub const fn decode_preferred_ghcb_answer(value: u64) -> Result<Option<u64>, Malformed> {
    match (value & INFO_MASK, value & GPA_MASK) {
        (0x011, NO_PREFERRED_GHCB) => Ok(None),
        (0x011, gpa) => Ok(Some(gpa)),
        _ => Err(Malformed(value)),
    }
}

/// Answer to [`Request::RegisterGhcb`], 0x013: the same GPA, or all ones for a refusal.
#[must_use]
pub const fn encode_register_ghcb_answer(gpa: Option<u64>) -> u64 {
    match gpa {
        Some(gpa) => gpa & GPA_MASK | 0x013,
        None => GPA_MASK | 0x013,
    }
}

/// Reads the answer to [`Request::RegisterGhcb`]: whether the hypervisor took this GPA.
///
/// # Errors
/// The value is something else.
pub const fn decode_register_ghcb_answer(gpa: u64, value: u64) -> Result<bool, Malformed> {
    if value & INFO_MASK != 0x013 {
        return Err(Malformed(value));
    }
    Ok(value & GPA_MASK == gpa & GPA_MASK)
}

/// Answer to [`Request::PageState`], 0x015; 0 is success.
#[must_use]
pub const fn encode_page_state_answer(error: u32) -> u64 {
    (error as u64) << 32 | 0x015
}

/// Reads the answer to [`Request::PageState`]: the error, 0 for success.
///
/// # Errors
/// The value is something else.
pub const fn decode_page_state_answer(value: u64) -> Result<u32, Malformed> {
    decode_error_answer(value, 0x015)
}

/// Answer to [`Request::RunVmpl`], 0x017; 0 is success.
#[must_use]
pub const fn encode_run_vmpl_answer(error: u32) -> u64 {
    (error as u64) << 32 | 0x017
}

/// Reads the answer to [`Request::RunVmpl`]: the error, 0 for success.
///
/// # Errors
/// The value is something else.
pub const fn decode_run_vmpl_answer(value: u64) -> Result<u32, Malformed> {
    decode_error_answer(value, 0x017)
}

const fn decode_error_answer(value: u64, info: u64) -> Result<u32, Malformed> {
    if value & 0xffff_ffff != info {
        return Err(Malformed(value));
    }
    Ok((value >> 32) as u32)
}

/// Answer to [`Request::HypervisorFeatures`], 0x081.
#[must_use]
pub const fn encode_features_answer(features: u64) -> u64 {
    features << 12 | 0x081
}

/// Reads the answer to [`Request::HypervisorFeatures`].
///
/// # Errors
/// The value is something else.
pub const fn decode_features_answer(value: u64) -> Result<u64, Malformed> {
    if value & INFO_MASK != 0x081 {
        return Err(Malformed(value));
    }
    Ok(value >> 12)
}

/// Termination reasons. AMD 56421, 2.3.1 (set 0) and this project's own set.
pub mod termination {
    /// The set defined by AMD 56421.
    pub const SET_STANDARD: u8 = 0;
    /// Standard set: general.
    pub const GENERAL: u8 = 0;
    /// Standard set: the protocol's versions don't meet.
    pub const PROTOCOL_VERSION: u8 = 1;
    /// Standard set: a feature is missing.
    pub const FEATURES: u8 = 2;
    /// The set that this project uses for its own reasons.
    pub const SET_MACADAMIA: u8 = 0xd;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_requests_are_refused() {
        for value in [
            0x001,                     // an answer
            1 << 12 | 0x002,           // reserved bits
            1 << 29 | 0x004,           // reserved bits
            3 << 52 | 0x1000 | 0x014,  // SMASH has no place in the MSR protocol
            1 << 56 | 1 << 52 | 0x014, // reserved bits
            4 << 32 | 0x016,           // VMPL 4
            1 << 32 | 1 << 20 | 0x016, // reserved bits
            1 << 24 | 0x100,           // reserved bits
            0xfff,
        ] {
            assert_eq!(Request::decode(value), Err(Malformed(value)), "{value:#x}");
        }
    }

    #[test]
    fn requests_survive_their_encoding() {
        for (request, value) in [
            (Request::Ghcb(0x7000), 0x7000),
            (Request::SevInformation, 2),
            (
                Request::Cpuid { leaf: 0x8000_001f, register: CpuidRegister::Ebx },
                0x8000_001f_4000_0004,
            ),
            (Request::ApResetHold, 6),
            (Request::PreferredGhcb, 0x10),
            (Request::RegisterGhcb(0x7000), 0x7012),
            (
                Request::PageState { gpa: 0x9000, operation: PageOperation::Shared },
                0x0020_0000_0000_9014,
            ),
            (Request::RunVmpl(Vmpl::Vmpl2), 0x2_0000_0016),
            (Request::HypervisorFeatures, 0x80),
            (Request::Terminate { set: 0xd, code: 3 }, 0x3_d100),
        ] {
            assert_eq!(request.encode(), value);
            assert_eq!(Request::decode(value), Ok(request));
        }
    }

    #[test]
    fn answers_to_other_questions_are_refused() {
        assert!(SevInformation::decode(0x002).is_err());
        assert!(SevInformation::decode(1 << 48 | 2 << 32 | 1).is_err());
        assert!(decode_cpuid_answer(CpuidRegister::Ebx, 5).is_err());
        assert!(decode_page_state_answer(0x017).is_err());
        assert!(decode_run_vmpl_answer(1 << 12 | 0x017).is_err());
        assert!(decode_features_answer(0x80).is_err());
        assert!(decode_register_ghcb_answer(0x7000, 0x7012).is_err());
        assert!(decode_preferred_ghcb_answer(0x7012).is_err());
    }

    #[test]
    fn answers_survive_their_encoding() {
        let information = SevInformation { version_max: 2, version_min: 1, c_bit_position: 51 };
        assert_eq!(SevInformation::decode(information.encode()), Ok(information));
        let register = CpuidRegister::Edx;
        assert_eq!(decode_cpuid_answer(register, encode_cpuid_answer(register, 9)), Ok(9));
        assert_eq!(decode_page_state_answer(encode_page_state_answer(4)), Ok(4));
        assert_eq!(decode_run_vmpl_answer(encode_run_vmpl_answer(0)), Ok(0));
        assert_eq!(decode_features_answer(encode_features_answer(0x23)), Ok(0x23));
        assert_eq!(
            decode_register_ghcb_answer(0x7000, encode_register_ghcb_answer(Some(0x7000))),
            Ok(true)
        );
        assert_eq!(
            decode_register_ghcb_answer(0x7000, encode_register_ghcb_answer(None)),
            Ok(false)
        );
        assert_eq!(
            decode_preferred_ghcb_answer(encode_preferred_ghcb_answer(NO_PREFERRED_GHCB)),
            Ok(None)
        );
    }
}
