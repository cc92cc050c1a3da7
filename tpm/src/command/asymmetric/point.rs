// SPDX-License-Identifier: MIT OR Apache-2.0
//! Points as parameters, and the private keys that commands multiply them with.

use crate::crypto::ecc::{self, EccCurve};
use crate::pipeline::Context;
use crate::protect::key::{curve_point, ecc_private};
use crate::structure::attributes::ObjectAttributes as Bits;
use crate::structure::ecc::EccPoint;
use crate::structure::public::PublicParameters;
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::AsymmetricScheme;
use crate::wire::{Reader, Result, Unmarshal};

/// TPM2B_ECC_POINT: sized, never empty.
pub(in crate::command) struct SizedPoint(pub(in crate::command) EccPoint);

impl Unmarshal for SizedPoint {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        reader.sized_value().map(Self)
    }
}

/// A point as the curve's arithmetic takes it: TPM_RC_ECC_POINT if it isn't on the curve.
pub(in crate::command) fn on_curve(curve: EccCurve, point: &EccPoint) -> Result<ecc::EccPoint> {
    let point = curve_point(curve, point)?;
    ecc::check_point(curve, &point).map_err(|_| ResponseCode::ECC_POINT)?;
    Ok(point)
}

/// A key for agreements, with its private part.
pub(super) struct AgreementKey {
    pub(super) curve: EccCurve,
    pub(super) private: ecc::EccParameter,
    pub(super) scheme: Option<AsymmetricScheme>,
}

impl AgreementKey {
    /// The key of the command's first handle: TPM_RC_KEY if it isn't one of a curve,
    /// TPM_RC_ATTRIBUTES if it isn't an unrestricted decryption key.
    pub(super) fn first(context: &Context<'_>) -> Result<Self> {
        let object = context.state.object(context.handle(1))?;
        let PublicParameters::Ecc(parameters) = object.public.parameters else {
            return Err(ResponseCode::KEY.in_handle(1));
        };
        if !object.has(Bits::DECRYPT) || object.has(Bits::RESTRICTED) {
            return Err(ResponseCode::ATTRIBUTES.in_handle(1));
        }
        let (curve, private) = ecc_private(object)?;
        Ok(Self { curve, private, scheme: parameters.scheme })
    }
}
