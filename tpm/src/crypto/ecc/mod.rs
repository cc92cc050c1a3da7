// SPDX-License-Identifier: MIT OR Apache-2.0
//! Elliptic curves (Part 1, annex C; Part 2, 11.2.5 for the structures).
//!
//! Curves: NIST P-256, P-384, P-521 (SP 800-186) and SM2 (GB/T 32918.5). P-192, P-224, BN_P256 and
//! BN_P638 are known to the standard and missing here: there is no well-kept crate for them.
//!
//! Coordinates and scalars are [`EccParameter`]s, always as wide as the curve's field. Secret
//! scalars are only used in constant-time arithmetic.

mod arithmetic;
mod comb;
mod curve;
mod ecdaa;
mod ecdh;
mod ecdsa;
mod encryption;
mod key;
mod mqv;
mod parameter;
mod schnorr;
mod sm2;

pub use curve::{CurveParameters, EccCurve};
#[cfg(test)]
pub(crate) use ecdaa::opened_commitment;
pub use ecdaa::{commit_scalar, ecdaa_sign, hash_to_x_coordinate};
pub use ecdh::multiply;
pub use ecdsa::{ecdsa_sign, ecdsa_verify};
pub use encryption::{decrypt, encrypt};
pub use key::{EccKeyPair, check_point, derive, generate, public_point};
pub use mqv::{OtherKeys, OwnKeys, ecmqv, sm2_exchange};
pub use parameter::{EccParameter, EccPoint, EccSignature, PARAMETER_SIZE_MAX};
pub use schnorr::{schnorr_sign, schnorr_verify};
pub use sm2::{sm2_sign, sm2_verify};
