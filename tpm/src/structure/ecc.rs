// SPDX-License-Identifier: MIT OR Apache-2.0
//! Elliptic curves and points on the wire (Part 2, 6.4 and 11.2.5).

use super::buffer::Buffer;
use super::response_code::ResponseCode;
pub use crate::crypto::ecc::EccCurve;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// Octets of the longest coordinate (P-521).
pub const COORDINATE_SIZE_MAX: usize = 66;

/// TPM2B_ECC_PARAMETER: a coordinate or a scalar.
pub type EccParameter = Buffer<COORDINATE_SIZE_MAX>;

/// TPMI_ECC_CURVE: any other value is TPM_RC_CURVE.
impl Unmarshal for EccCurve {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        Self::from_id(reader.value()?).ok_or(ResponseCode::CURVE)
    }
}

impl Marshal for EccCurve {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.id())
    }
}

/// TPMS_ECC_POINT: not necessarily a point of any curve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EccPoint {
    /// The first coordinate.
    pub x: EccParameter,
    /// The second coordinate.
    pub y: EccParameter,
}

impl Unmarshal for EccPoint {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let x = reader.value()?;
        Ok(Self { x, y: reader.value()? })
    }
}

impl Marshal for EccPoint {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.x)?;
        writer.value(&self.y)
    }
}
