// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the secrets and the unique value of an object (Part 1, 27): at random, from a hierarchy's
//! primary seed, or from a derivation parent.
//!
//! A primary object draws from its generator first `seed`, then the key. The order is part of the
//! derivation (the key's primes may come from a cache, which leaves the generator untouched).

use zeroize::Zeroizing;

use super::key::wire_point;
use crate::crypto::drbg::CtrDrbg;
use crate::crypto::hash::{DIGEST_SIZE_MAX, HashAlgorithm};
use crate::crypto::kdf::KdfaGenerator;
use crate::crypto::rsa::{PRIME_SIZE_MAX, RsaPrivateKey, check_exponent};
use crate::crypto::{Random, ecc};
use crate::pipeline::Context;
use crate::platform::{KeyFault, PrimeSource};
use crate::state::Fault;
use crate::structure::buffer::Buffer;
use crate::structure::digest::Auth;
use crate::structure::public::{Public, PublicParameters, RsaBuffer, RsaParameters, Unique};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::KeyedHashScheme;
use crate::structure::sensitive::{SEALED_SIZE_MAX, SECRET_SIZE_MAX, Sensitive, SensitiveCreate};
use crate::wire::Result;

/// Where an object's secrets come from.
pub enum Source<'a> {
    /// The TPM's random bit generator.
    Random,
    /// A generator seeded from a primary seed.
    Primary(CtrDrbg),
    /// The KDF of a derivation parent.
    Derived(KdfaGenerator<'a>),
}

impl Source<'_> {
    fn fill(&mut self, context: &mut Context<'_>, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Random => context.state.fill_random(bytes),
            Self::Primary(generator) => Ok(generator.fill(bytes)?),
            Self::Derived(generator) => Ok(generator.fill(bytes)?),
        }
    }
}

/// Makes the sensitive area of an object whose public area is checked, and fills in its unique
/// value. TPM_RC_RETRY when there are no primes yet.
pub fn generate(
    context: &mut Context<'_>,
    public: &mut Public,
    create: &SensitiveCreate,
    mut source: Source<'_>,
) -> Result<Sensitive> {
    let algorithm = public.name_algorithm.ok_or(ResponseCode::HASH)?;
    let mut sensitive = Sensitive {
        sensitive_type: public.object_type(),
        auth: padded_auth(&create.user_auth, algorithm)?,
        seed: Buffer::EMPTY,
        secret: Buffer::EMPTY,
    };
    let is_symmetric = matches!(
        public.parameters,
        PublicParameters::KeyedHash(_) | PublicParameters::SymmetricCipher(_)
    );
    if is_symmetric || public.is_parent() {
        sensitive.seed = Buffer::zeroed(algorithm.digest_size())?;
        source.fill(context, sensitive.seed.as_mut_slice())?;
    }
    match public.parameters {
        PublicParameters::Rsa(parameters) => {
            let (modulus, prime) = rsa_key(context, &parameters, &mut source)?;
            public.unique = Unique::Rsa(modulus);
            sensitive.secret = prime;
        }
        PublicParameters::Ecc(parameters) => {
            let pair = match &mut source {
                Source::Random => ecc::generate(parameters.curve, context.state.random()?)?,
                Source::Primary(generator) => ecc::generate(parameters.curve, generator)?,
                Source::Derived(generator) => ecc::generate(parameters.curve, generator)?,
            };
            public.unique = Unique::Ecc(wire_point(&pair.public)?);
            sensitive.secret = Buffer::new(pair.private.as_bytes())?;
        }
        PublicParameters::KeyedHash(_) | PublicParameters::SymmetricCipher(_) => {
            sensitive.secret = symmetric_secret(context, public, create, &mut source)?;
            let unique = algorithm.digest(&[&sensitive.seed, &sensitive.secret]);
            public.unique = Unique::Digest(unique);
        }
    }
    Ok(sensitive)
}

/// An authorisation value without trailing zeros, which is how it is compared.
fn padded_auth(auth: &Auth, algorithm: HashAlgorithm) -> Result<Auth> {
    let auth = auth.clone().without_trailing_zeros();
    if auth.len() > algorithm.digest_size() {
        return Err(ResponseCode::SIZE.in_parameter(1));
    }
    Ok(auth)
}

/// The secret of a keyed hash object or a cipher: the caller's, or one of the TPM.
fn symmetric_secret(
    context: &mut Context<'_>,
    public: &Public,
    create: &SensitiveCreate,
    source: &mut Source<'_>,
) -> Result<Buffer<SECRET_SIZE_MAX>> {
    let wrong_size = ResponseCode::SIZE.in_parameter(1);
    let is_derived = matches!(source, Source::Derived(_));
    let size = match &public.parameters {
        PublicParameters::SymmetricCipher(definition) => {
            let size = definition.key_size();
            if !is_derived && !create.data.is_empty() && create.data.len() != size {
                return Err(ResponseCode::KEY_SIZE.in_parameter(1));
            }
            size
        }
        PublicParameters::KeyedHash(scheme) => {
            let limit = match scheme {
                Some(KeyedHashScheme::Hmac(hash) | KeyedHashScheme::Xor(hash, _)) => {
                    hash.block_size()
                }
                None => SEALED_SIZE_MAX,
            };
            if !is_derived && create.data.len() > limit {
                return Err(wrong_size);
            }
            keyed_hash_size(public, *scheme)
        }
        PublicParameters::Rsa(_) | PublicParameters::Ecc(_) => return Err(ResponseCode::FAILURE),
    };
    if !is_derived && !create.data.is_empty() {
        return Buffer::new(&create.data).map_err(|_| wrong_size);
    }
    let mut secret = Buffer::zeroed(size)?;
    source.fill(context, secret.as_mut_slice())?;
    Ok(secret)
}

/// Octets of a key that the TPM makes: as long as the scheme's digest, or the Name's.
fn keyed_hash_size(public: &Public, scheme: Option<KeyedHashScheme>) -> usize {
    match scheme {
        Some(KeyedHashScheme::Hmac(hash) | KeyedHashScheme::Xor(hash, _)) => hash.digest_size(),
        None => public.name_algorithm.map_or(DIGEST_SIZE_MAX, HashAlgorithm::digest_size),
    }
}

/// Modulus and first prime of an RSA key.
fn rsa_key(
    context: &mut Context<'_>,
    parameters: &RsaParameters,
    source: &mut Source<'_>,
) -> Result<(RsaBuffer, Buffer<SECRET_SIZE_MAX>)> {
    let exponent = parameters.public_exponent();
    check_exponent(exponent).map_err(|_| ResponseCode::RANGE)?;
    let prime_size = parameters.modulus_size() / 2;
    let mut primes = Zeroizing::new([0; 2 * PRIME_SIZE_MAX]);
    let (p, q) = primes.split_at_mut(PRIME_SIZE_MAX);
    let p = p.get_mut(..prime_size).ok_or(ResponseCode::FAILURE)?;
    let q = q.get_mut(..prime_size).ok_or(ResponseCode::FAILURE)?;
    let key_bits = parameters.key_bits.raw();
    let keys = context.platform.keys();
    let found = match source {
        Source::Random => {
            let source = PrimeSource::Fresh(context.state.random()?);
            keys.rsa_primes(key_bits, exponent, source, p, q)
        }
        Source::Primary(generator) => {
            keys.rsa_primes(key_bits, exponent, PrimeSource::Derived(generator), p, q)
        }
        // An RSA key cannot be derived: the search would not end in bounded data.
        Source::Derived(_) => return Err(ResponseCode::TYPE),
    };
    found.map_err(|fault| match fault {
        KeyFault::NotReady => ResponseCode::RETRY,
        KeyFault::Unsupported => ResponseCode::VALUE,
        KeyFault::Fault => context.state.fail(Fault::Cryptography),
    })?;
    let key = RsaPrivateKey::from_primes(p, q, exponent)
        .map_err(|_| context.state.fail(Fault::Cryptography))?;
    Ok((RsaBuffer::new(key.public().modulus())?, Buffer::new(p)?))
}
