// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of objects in the form that [`crypto`](crate::crypto) works with, and its errors as
//! response codes.

use crate::crypto::CryptoError;
use crate::crypto::drbg::CtrDrbg;
use crate::crypto::ecc::{self, EccCurve};
use crate::crypto::rsa::{RsaPrivateKey, RsaPublicKey};
use crate::state::State;
use crate::state::object::Object;
use crate::structure::ecc::{EccParameter, EccPoint};
use crate::structure::handle::Handle;
use crate::structure::public::{Public, PublicParameters, Unique};
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// What a command says of an operation that gave no result, unless it knows better.
impl From<CryptoError> for ResponseCode {
    fn from(error: CryptoError) -> Self {
        match error {
            CryptoError::Value => Self::VALUE,
            CryptoError::Size => Self::SIZE,
            CryptoError::KeySize => Self::KEY_SIZE,
            CryptoError::Point => Self::ECC_POINT,
            CryptoError::Curve => Self::CURVE,
            CryptoError::Scheme => Self::SCHEME,
            CryptoError::NoResult => Self::NO_RESULT,
            CryptoError::Signature => Self::SIGNATURE,
            CryptoError::Binding => Self::BINDING,
            CryptoError::State | CryptoError::Random | CryptoError::Fault => Self::FAILURE,
        }
    }
}

/// The public key of an RSA object; TPM_RC_KEY for another object.
pub fn rsa_public(public: &Public) -> Result<RsaPublicKey> {
    match (&public.parameters, &public.unique) {
        (PublicParameters::Rsa(rsa), Unique::Rsa(modulus)) => {
            Ok(RsaPublicKey::new(modulus, rsa.public_exponent())?)
        }
        _ => Err(ResponseCode::KEY),
    }
}

/// The private key of a loaded RSA object and the generator that its operations draw from;
/// TPM_RC_KEY for another object or one without secrets.
pub fn rsa_private(
    state: &mut State,
    handle: Handle,
) -> Result<(&mut RsaPrivateKey, &mut CtrDrbg)> {
    let object = state.object(handle)?;
    let public = rsa_public(&object.public)?;
    let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::KEY)?;
    let place = match state.prepared.place_of(&public, &sensitive.secret) {
        Some(place) => place,
        None => {
            let key = RsaPrivateKey::from_prime(&public, &sensitive.secret)?;
            state.prepared.insert(key)
        }
    };
    state.prepared_key(place)
}

/// The curve and point of an elliptic curve object; TPM_RC_KEY for another object.
pub fn ecc_public(public: &Public) -> Result<(EccCurve, ecc::EccPoint)> {
    match (&public.parameters, &public.unique) {
        (PublicParameters::Ecc(parameters), Unique::Ecc(point)) => {
            Ok((parameters.curve, curve_point(parameters.curve, point)?))
        }
        _ => Err(ResponseCode::KEY),
    }
}

/// The curve and private scalar of an elliptic curve object; TPM_RC_KEY for another object or one
/// without secrets.
pub fn ecc_private(object: &Object) -> Result<(EccCurve, ecc::EccParameter)> {
    let PublicParameters::Ecc(parameters) = &object.public.parameters else {
        return Err(ResponseCode::KEY);
    };
    let sensitive = object.sensitive.as_ref().ok_or(ResponseCode::KEY)?;
    Ok((parameters.curve, ecc::EccParameter::new(parameters.curve, &sensitive.secret)?))
}

/// A point from the wire with the width of a curve; whether it is on the curve is checked by the
/// operation. Coordinates that are too long are TPM_RC_ECC_POINT.
pub fn curve_point(curve: EccCurve, point: &EccPoint) -> Result<ecc::EccPoint> {
    ecc::EccPoint::new(curve, &point.x, &point.y).map_err(|_| ResponseCode::ECC_POINT)
}

/// A point as it goes to the wire: both coordinates as wide as the field.
pub fn wire_point(point: &ecc::EccPoint) -> Result<EccPoint> {
    Ok(EccPoint {
        x: EccParameter::new(point.x.as_bytes())?,
        y: EccParameter::new(point.y.as_bytes())?,
    })
}
