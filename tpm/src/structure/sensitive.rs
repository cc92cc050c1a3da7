// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sensitive areas (Part 2, 12.3) and what a caller supplies for one (11.1.14 to 11.1.16).

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::buffer::Buffer;
use super::digest::Auth;
use super::public::ObjectType;
use crate::crypto::hash::DIGEST_SIZE_MAX;
use crate::wire::{Marshal, Reader, Result, Unmarshal, Writer};

/// Octets that may be sealed, and of an imported HMAC key (MAX_SYM_DATA).
pub const SEALED_SIZE_MAX: usize = 128;
/// Octets of the longest secret: a prime of RSA 4096.
pub const SECRET_SIZE_MAX: usize = 256;
/// Octets of the longest marshalled sensitive area.
pub const SENSITIVE_SIZE_MAX: usize = 2 + 3 * 2 + 2 * DIGEST_SIZE_MAX + SECRET_SIZE_MAX;
/// Octets of the longest TPM2B_PRIVATE: two integrity digests, an IV and the sensitive area.
pub const PRIVATE_SIZE_MAX: usize = 2 * (2 + DIGEST_SIZE_MAX) + 2 + 16 + 2 + SENSITIVE_SIZE_MAX;

/// TPM2B_PRIVATE.
pub type Private = Buffer<PRIVATE_SIZE_MAX>;

/// TPMT_SENSITIVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensitive {
    /// The type, the same as the public area's.
    pub sensitive_type: ObjectType,
    /// The authorisation value.
    pub auth: Auth,
    /// The seed of a parent, or what obfuscates the unique value of a symmetric object.
    pub seed: Buffer<DIGEST_SIZE_MAX>,
    /// A prime, a private scalar, a key, or sealed data.
    pub secret: Buffer<SECRET_SIZE_MAX>,
}

impl Zeroize for Sensitive {
    fn zeroize(&mut self) {
        self.auth.zeroize();
        self.seed.zeroize();
        self.secret.zeroize();
    }
}

// Each buffer wipes itself.
impl ZeroizeOnDrop for Sensitive {}

impl Unmarshal for Sensitive {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let sensitive_type = reader.value()?;
        let auth = reader.value()?;
        let seed = reader.value()?;
        Ok(Self { sensitive_type, auth, seed, secret: reader.value()? })
    }
}

impl Marshal for Sensitive {
    fn marshal(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.value(&self.sensitive_type)?;
        writer.value(&self.auth)?;
        writer.value(&self.seed)?;
        writer.value(&self.secret)
    }
}

/// TPM2B_SENSITIVE: empty when there is no sensitive part (TPM2_LoadExternal).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizedSensitive(pub Option<Sensitive>);

impl Unmarshal for SizedSensitive {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut inner = reader.sized(usize::from(u16::MAX))?;
        if inner.is_empty() {
            return Ok(Self(None));
        }
        let sensitive = inner.value()?;
        inner.finish()?;
        Ok(Self(Some(sensitive)))
    }
}

/// TPM2B_SENSITIVE_CREATE: what a caller supplies for a new object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensitiveCreate {
    /// The authorisation value.
    pub user_auth: Auth,
    /// Sealed data, an HMAC or cipher key, a TPMS_DERIVE, or what enters the derivation of a
    /// primary object; more than may be sealed is TPM_RC_SIZE.
    pub data: Buffer<SEALED_SIZE_MAX>,
}

impl SensitiveCreate {
    /// Nothing.
    pub const EMPTY: Self = Self { user_auth: Auth::EMPTY, data: Buffer::EMPTY };
}

impl Unmarshal for SensitiveCreate {
    fn unmarshal(reader: &mut Reader<'_>) -> Result<Self> {
        let mut inner = reader.sized(usize::from(u16::MAX))?;
        if inner.is_empty() {
            return Err(super::response_code::ResponseCode::SIZE);
        }
        let user_auth = inner.value()?;
        let data = inner.value()?;
        inner.finish()?;
        Ok(Self { user_auth, data })
    }
}
