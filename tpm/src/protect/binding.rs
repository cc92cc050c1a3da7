// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether public and sensitive parts are well-formed and belong together (Part 3, 12.2 and 12.3).

use crate::crypto::ecc;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::crypto::hmac::Hmac;
use crate::crypto::rsa::{RsaPrivateKey, RsaPublicKey};
use crate::protect::key::curve_point;
use crate::structure::ecc::EccPoint;
use crate::structure::public::{EccParameters, Public, PublicParameters, RsaParameters, Unique};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::KeyedHashScheme;
use crate::structure::sensitive::{SEALED_SIZE_MAX, Sensitive};
use crate::wire::Result;

/// The least public exponent of a key from outside.
const EXPONENT_MIN: u32 = 7;

/// Numbers of the parameters that the public and the sensitive part came in.
#[derive(Clone, Copy, Debug)]
pub struct Blame {
    /// The public part's.
    pub public: u8,
    /// The sensitive part's.
    pub sensitive: u8,
}

impl Blame {
    const fn public(self, code: ResponseCode) -> ResponseCode {
        code.in_parameter(self.public)
    }

    const fn sensitive(self, code: ResponseCode) -> ResponseCode {
        code.in_parameter(self.sensitive)
    }
}

/// Checks the unique value, and that the sensitive part, if there is one, belongs to it.
pub fn check(public: &Public, sensitive: Option<&Sensitive>, blame: Blame) -> Result<()> {
    if let Some(sensitive) = sensitive {
        check_sensitive(public, sensitive, blame)?;
    }
    match (&public.parameters, &public.unique) {
        (PublicParameters::Rsa(rsa), Unique::Rsa(modulus)) => {
            check_rsa(rsa, modulus, sensitive, blame)
        }
        (PublicParameters::Ecc(ecc), Unique::Ecc(point)) => {
            check_ecc(public, ecc, point, sensitive, blame)
        }
        (_, Unique::Digest(_)) => check_symmetric(public, sensitive, blame),
        _ => Err(blame.public(ResponseCode::TYPE)),
    }
}

/// What all sensitive parts have in common.
fn check_sensitive(public: &Public, sensitive: &Sensitive, blame: Blame) -> Result<()> {
    if sensitive.sensitive_type != public.object_type() {
        return Err(blame.sensitive(ResponseCode::TYPE));
    }
    let Some(algorithm) = public.name_algorithm else { return Ok(()) };
    let size = algorithm.digest_size();
    if sensitive.seed.len() > size {
        return Err(blame.sensitive(ResponseCode::KEY_SIZE));
    }
    if sensitive.auth.clone().without_trailing_zeros().len() > size {
        return Err(blame.sensitive(ResponseCode::SIZE));
    }
    // Children are wrapped under the seed: it has at least half the strength of the digests.
    if public.is_parent() && sensitive.seed.len() < size / 2 {
        return Err(blame.sensitive(ResponseCode::SIZE));
    }
    Ok(())
}

fn check_rsa(
    parameters: &RsaParameters,
    modulus: &[u8],
    sensitive: Option<&Sensitive>,
    blame: Blame,
) -> Result<()> {
    let is_full = |number: &[u8]| number.first().is_some_and(|octet| octet & 0x80 != 0);
    if modulus.len() != parameters.modulus_size() || !is_full(modulus) {
        return Err(blame.public(ResponseCode::KEY));
    }
    if parameters.public_exponent() < EXPONENT_MIN {
        return Err(blame.public(ResponseCode::VALUE));
    }
    let public = RsaPublicKey::new(modulus, parameters.public_exponent())
        .map_err(|_| blame.public(ResponseCode::VALUE))?;
    let Some(sensitive) = sensitive else { return Ok(()) };
    let prime = &sensitive.secret;
    if prime.len().saturating_mul(2) != modulus.len() || !is_full(prime) {
        return Err(blame.sensitive(ResponseCode::KEY_SIZE));
    }
    RsaPrivateKey::from_prime(&public, &sensitive.secret)
        .map(|_| ())
        .map_err(|_| blame.sensitive(ResponseCode::BINDING))
}

fn check_ecc(
    public: &Public,
    parameters: &EccParameters,
    point: &EccPoint,
    sensitive: Option<&Sensitive>,
    blame: Blame,
) -> Result<()> {
    let curve = parameters.curve;
    let known = curve_point(curve, point).map_err(|_| blame.public(ResponseCode::KEY))?;
    ecc::check_point(curve, &known).map_err(|_| blame.public(ResponseCode::ECC_POINT))?;
    let Some(sensitive) = sensitive else { return Ok(()) };
    let private = ecc::EccParameter::new(curve, &sensitive.secret)
        .map_err(|_| blame.sensitive(ResponseCode::KEY_SIZE))?;
    let computed =
        ecc::public_point(curve, &private).map_err(|_| blame.sensitive(ResponseCode::KEY_SIZE))?;
    // Without a Name nothing says that the two must belong together (Part 3, 12.3).
    if public.name_algorithm.is_none() || computed == known {
        Ok(())
    } else {
        Err(blame.public(ResponseCode::BINDING))
    }
}

/// The unique value of an object without a public key: the digest of seed and secret, and of a
/// parent the HMAC of the secret with the seed (Part 1, 27.5).
pub fn symmetric_unique(
    algorithm: HashAlgorithm,
    public: &Public,
    sensitive: &Sensitive,
) -> Digest {
    if public.is_parent() {
        Hmac::mac(algorithm, &sensitive.seed, &[&sensitive.secret])
    } else {
        algorithm.digest(&[&sensitive.seed, &sensitive.secret])
    }
}

fn check_symmetric(public: &Public, sensitive: Option<&Sensitive>, blame: Blame) -> Result<()> {
    let Unique::Digest(unique) = &public.unique else {
        return Err(blame.public(ResponseCode::TYPE));
    };
    let Some(sensitive) = sensitive else {
        // A public part alone: its unique value is a digest.
        let size = public.name_algorithm.map(HashAlgorithm::digest_size);
        return match size {
            Some(size) if unique.len() != size => Err(blame.public(ResponseCode::KEY)),
            _ => Ok(()),
        };
    };
    match &public.parameters {
        PublicParameters::SymmetricCipher(definition) => {
            if sensitive.secret.len() != definition.key_size() {
                return Err(blame.sensitive(ResponseCode::KEY_SIZE));
            }
        }
        PublicParameters::KeyedHash(scheme) => {
            let limit = match scheme {
                Some(KeyedHashScheme::Hmac(hash) | KeyedHashScheme::Xor(hash, _)) => {
                    hash.block_size()
                }
                None => SEALED_SIZE_MAX,
            };
            if sensitive.secret.len() > limit {
                return Err(blame.sensitive(ResponseCode::KEY_SIZE));
            }
        }
        PublicParameters::Rsa(_) | PublicParameters::Ecc(_) => {}
    }
    let Some(algorithm) = public.name_algorithm else { return Ok(()) };
    // The seed is what hides a weak secret from those who know the unique value.
    if sensitive.seed.len() != algorithm.digest_size() {
        return Err(blame.sensitive(ResponseCode::KEY_SIZE));
    }
    if symmetric_unique(algorithm, public, sensitive) == *unique {
        Ok(())
    } else {
        Err(blame.public(ResponseCode::BINDING))
    }
}
