// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the platform itself asks of its TPM, beside the commands (TCG EK Credential Profile, TCG
//! Provisioning Guidance): the standard primary keys, places for endorsement certificates,
//! measurements by hardware, and moving to another machine.
//!
//! Nothing here asks for an authorisation, since it is the machine that calls and no guest can;
//! and nothing here depends on what a guest has enabled, disabled or set.

mod certificate;
mod launch;
mod primary;
mod template;
mod volatile;

pub use primary::StandardKey;
pub use template::StandardTemplate;
pub use volatile::VOLATILE_SIZE_MAX;

use crate::structure::response_code::ResponseCode;

/// Why the TPM didn't do what its platform asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProvisionFault {
    /// There are no primes for the key yet: ask again later.
    NotReady,
    /// The TPM is in failure mode, or has just entered it.
    Failure,
    /// The platform's source of primes has none for such a key, ever.
    Unsupported,
    /// Certificates of this key have no place.
    NoPlace,
    /// The certificate is empty, or longer than an NV index can be.
    Size,
    /// There is no room in NV.
    NvSpace,
    /// Storage cannot be written now.
    NvUnavailable,
}

impl From<ResponseCode> for ProvisionFault {
    fn from(code: ResponseCode) -> Self {
        match code {
            ResponseCode::RETRY => Self::NotReady,
            ResponseCode::VALUE => Self::Unsupported,
            ResponseCode::NV_SPACE => Self::NvSpace,
            ResponseCode::NV_UNAVAILABLE => Self::NvUnavailable,
            _ => Self::Failure,
        }
    }
}
