// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes the secrets and the unique value of an object (Part 1, 27): at random, from a hierarchy's
//! primary seed, or from a derivation parent.
//!
//! A primary object draws its key and its seed from two generators ([`Primary`]), since the primes
//! of a key may come from a cache that leaves their generator untouched. Which generator gives
//! what, and what is stirred into it, is part of the derivation's version: it never changes for a
//! seed that was made under it.

use zeroize::Zeroizing;

use super::binding::symmetric_unique;
use super::key::wire_point;
use crate::crypto::drbg::{CtrDrbg, DerivationVersion};
use crate::crypto::hash::{DIGEST_SIZE_MAX, HashAlgorithm};
use crate::crypto::kdf::KdfaGenerator;
use crate::crypto::rsa::{DEFAULT_EXPONENT, PRIME_SIZE_MAX, RsaPrivateKey, check_exponent};
use crate::crypto::{Random, ecc};
use crate::platform::{KeyFault, Platform, PrimeSource};
use crate::state::{Fault, State};
use crate::structure::attributes::ObjectAttributes;
use crate::structure::buffer::Buffer;
use crate::structure::digest::Auth;
use crate::structure::handle::Handle;
use crate::structure::public::{
    Public, PublicParameters, RsaBuffer, RsaKeyBits, RsaParameters, Unique,
};
use crate::structure::response_code::ResponseCode;
use crate::structure::scheme::KeyedHashScheme;
use crate::structure::sensitive::{SEALED_SIZE_MAX, SECRET_SIZE_MAX, Sensitive, SensitiveCreate};
use crate::wire::Result;

/// Where an object's secrets come from.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack; there is no heap")]
pub enum Source<'a> {
    /// The TPM's random bit generator.
    Random,
    /// Generators seeded from a primary seed.
    Primary(Primary),
    /// The KDF of a derivation parent.
    Derived(KdfaGenerator<'a>),
}

/// The generators of a primary object.
pub struct Primary {
    key: CtrDrbg,
    seed: CtrDrbg,
}

impl Primary {
    /// Those of a template under a hierarchy, with the caller's data: the same three give the same
    /// object. The seed of an endorsement key also depends on the owner's and the endorsement
    /// hierarchy's proofs, so that TPM2_Clear makes its children useless while the key stays the
    /// same (Part 1, 14.4).
    pub fn new(state: &State, hierarchy: Handle, template: &Public, data: &[u8]) -> Result<Self> {
        let found = state.hierarchy(hierarchy);
        let version = found.map_or(DerivationVersion::One, |found| found.derivation);
        let name = template.name()?;
        let primary_seed = state.primary_seed(hierarchy);
        let generator = || CtrDrbg::for_primary(version, primary_seed, &name, data);
        let mut seed = generator();
        seed.stir(b"SEED");
        if hierarchy == Handle::ENDORSEMENT {
            seed.stir(state.proof(Handle::OWNER));
            seed.stir(state.proof(Handle::ENDORSEMENT));
        }
        Ok(Self { key: generator(), seed })
    }
}

impl Source<'_> {
    /// Octets of a symmetric key.
    fn fill_key(&mut self, state: &mut State, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Random => state.fill_random(bytes),
            Self::Primary(generators) => Ok(generators.key.fill(bytes)?),
            Self::Derived(generator) => Ok(generator.fill(bytes)?),
        }
    }

    /// Octets of the seed.
    fn fill_seed(&mut self, state: &mut State, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Primary(generators) => Ok(generators.seed.fill(bytes)?),
            Self::Random | Self::Derived(_) => self.fill_key(state, bytes),
        }
    }
}

/// Makes the sensitive area of an object whose public area is checked, and fills in its unique
/// value. TPM_RC_RETRY when there are no primes yet.
pub fn generate(
    state: &mut State,
    platform: &mut dyn Platform,
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
    match public.parameters {
        PublicParameters::Rsa(parameters) => {
            let (modulus, prime) = rsa_key(state, platform, &parameters, &mut source)?;
            public.unique = Unique::Rsa(modulus);
            sensitive.secret = prime;
        }
        PublicParameters::Ecc(parameters) => {
            let pair = match &mut source {
                Source::Random => ecc::generate(parameters.curve, state.random()?)?,
                Source::Primary(generators) => {
                    ecc::generate(parameters.curve, &mut generators.key)?
                }
                Source::Derived(generator) => ecc::derive(parameters.curve, generator)?,
            };
            public.unique = Unique::Ecc(wire_point(&pair.public)?);
            sensitive.secret = Buffer::new(pair.private.as_bytes())?;
        }
        PublicParameters::KeyedHash(_) | PublicParameters::SymmetricCipher(_) => {
            sensitive.secret = symmetric_secret(state, public, create, &mut source)?;
        }
    }
    if is_symmetric || public.is_parent() {
        sensitive.seed = Buffer::zeroed(algorithm.digest_size())?;
        source.fill_seed(state, sensitive.seed.as_mut_slice())?;
    }
    if is_symmetric {
        public.unique = Unique::Digest(symmetric_unique(algorithm, public, &sensitive));
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
    state: &mut State,
    public: &Public,
    create: &SensitiveCreate,
    source: &mut Source<'_>,
) -> Result<Buffer<SECRET_SIZE_MAX>> {
    let wrong_size = ResponseCode::SIZE.in_parameter(1);
    let is_derived = matches!(source, Source::Derived(_));
    let is_made_here = is_derived || public.has(ObjectAttributes::SENSITIVE_DATA_ORIGIN);
    let data = if is_made_here { &[] } else { create.data.as_slice() };
    let size = match &public.parameters {
        PublicParameters::SymmetricCipher(definition) => {
            let size = definition.key_size();
            if !data.is_empty() && data.len() != size {
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
            if data.len() > limit {
                return Err(wrong_size);
            }
            keyed_hash_size(public, *scheme)
        }
        PublicParameters::Rsa(_) | PublicParameters::Ecc(_) => return Err(ResponseCode::FAILURE),
    };
    if !data.is_empty() {
        return Buffer::new(data).map_err(|_| wrong_size);
    }
    let mut secret = Buffer::zeroed(size)?;
    source.fill_key(state, secret.as_mut_slice())?;
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
    state: &mut State,
    platform: &mut dyn Platform,
    parameters: &RsaParameters,
    source: &mut Source<'_>,
) -> Result<(RsaBuffer, Buffer<SECRET_SIZE_MAX>)> {
    let exponent = parameters.public_exponent();
    if exponent < DEFAULT_EXPONENT {
        return Err(ResponseCode::RANGE);
    }
    check_exponent(exponent).map_err(|_| ResponseCode::RANGE)?;
    // Old keys can be loaded; none is made that could be broken.
    if parameters.key_bits == RsaKeyBits::Bits1024 {
        return Err(ResponseCode::VALUE);
    }
    let prime_size = parameters.modulus_size() / 2;
    let mut primes = Zeroizing::new([0; 2 * PRIME_SIZE_MAX]);
    let (p, q) = primes.split_at_mut(PRIME_SIZE_MAX);
    let p = p.get_mut(..prime_size).ok_or(ResponseCode::FAILURE)?;
    let q = q.get_mut(..prime_size).ok_or(ResponseCode::FAILURE)?;
    let key_bits = parameters.key_bits.raw();
    let keys = platform.keys();
    let found = match source {
        Source::Random => {
            let source = PrimeSource::Fresh(state.random()?);
            keys.rsa_primes(key_bits, exponent, source, p, q)
        }
        Source::Primary(generators) => {
            let source = PrimeSource::Derived(&mut generators.key);
            keys.rsa_primes(key_bits, exponent, source, p, q)
        }
        // An RSA key cannot be derived: the search would not end in bounded data.
        Source::Derived(_) => return Err(ResponseCode::TYPE),
    };
    found.map_err(|fault| match fault {
        KeyFault::NotReady => ResponseCode::RETRY,
        KeyFault::Unsupported => ResponseCode::VALUE,
        KeyFault::Fault => state.fail(Fault::Cryptography),
    })?;
    let key =
        RsaPrivateKey::from_primes(p, q, exponent).map_err(|_| state.fail(Fault::Cryptography))?;
    Ok((RsaBuffer::new(key.public().modulus())?, Buffer::new(p)?))
}
