// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a call is refused, and the value that says so in RAX (AMD 58019, "Result codes").

use crate::machine::RmpFault;
use snp_abi::svsm::CallResult;

/// A call that isn't carried out, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Progress was made and recorded in the caller's structure; call again with the same
    /// registers.
    Incomplete,
    /// No such protocol here.
    UnsupportedProtocol,
    /// The protocol has no such call.
    UnsupportedCall,
    /// An address isn't the guest's RAM, or belongs to the SVSM at the moment.
    InvalidAddress,
    /// An argument's value is illegal.
    InvalidParameter,
    /// The call is legal but can't be served in this state.
    InvalidRequest,
    /// Another vCPU uses the service; nothing was changed.
    Busy,
    /// The page already was in the state asked for (PVALIDATE's carry flag).
    NoChange,
    /// PVALIDATE or RMPADJUST failed.
    Instruction(RmpFault),
}

impl Refusal {
    /// The value for RAX.
    pub const fn code(self) -> u64 {
        let result = match self {
            Self::Incomplete => CallResult::Incomplete,
            Self::UnsupportedProtocol => CallResult::UnsupportedProtocol,
            Self::UnsupportedCall => CallResult::UnsupportedCall,
            Self::InvalidAddress => CallResult::InvalidAddress,
            Self::InvalidParameter => CallResult::InvalidParameter,
            Self::InvalidRequest => CallResult::InvalidRequest,
            Self::Busy => CallResult::Busy,
            Self::NoChange => CallResult::PVALIDATE_NO_CHANGE,
            // The instructions' codes are small; a garbled one must not look like another result.
            Self::Instruction(fault) => CallResult::Protocol(fault.code() & 0xf),
        };
        result.encode()
    }
}

impl From<RmpFault> for Refusal {
    fn from(fault: RmpFault) -> Self {
        Self::Instruction(fault)
    }
}
