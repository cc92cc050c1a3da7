// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an NV index may be read or written with an authorisation that is already checked
//! (Part 1, 34.2; Part 3, 31).

use super::State;
use crate::structure::handle::Handle;
use crate::structure::nv::NvAttributes as Bits;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

impl State {
    /// TPM_RC_NV_LOCKED, TPM_RC_NV_AUTHORIZATION or TPM_RC_NV_UNINITIALIZED if the index cannot be
    /// read with the authorisation of `auth`.
    pub fn check_nv_read(&self, auth: Handle, index: Handle) -> Result<()> {
        let attributes = self.nv_attributes(index)?;
        if attributes.contains(Bits::READ_LOCKED) {
            return Err(ResponseCode::NV_LOCKED);
        }
        let by_hierarchy = [(Handle::OWNER, Bits::OWNER_READ), (Handle::PLATFORM, Bits::PP_READ)];
        check_nv_auth(auth, index, attributes, by_hierarchy)?;
        if attributes.contains(Bits::WRITTEN) {
            Ok(())
        } else {
            Err(ResponseCode::NV_UNINITIALIZED)
        }
    }

    /// TPM_RC_READ_ONLY, TPM_RC_NV_LOCKED or TPM_RC_NV_AUTHORIZATION if the index cannot be written
    /// with the authorisation of `auth`.
    pub fn check_nv_write(&self, auth: Handle, index: Handle) -> Result<()> {
        self.check_nv_read_only(index)?;
        let attributes = self.nv_attributes(index)?;
        if attributes.contains(Bits::WRITE_LOCKED) {
            return Err(ResponseCode::NV_LOCKED);
        }
        let by_hierarchy = [(Handle::OWNER, Bits::OWNER_WRITE), (Handle::PLATFORM, Bits::PP_WRITE)];
        check_nv_auth(auth, index, attributes, by_hierarchy)
    }

    /// TPM_RC_READ_ONLY in read-only mode, unless the index is one that the next start forgets
    /// (Part 3, 24.9).
    pub fn check_nv_read_only(&self, index: Handle) -> Result<()> {
        let is_forgotten = Bits::ORDERLY.with(Bits::CLEAR_ST_CLEAR);
        if self.clear.is_read_only && !self.nv_attributes(index)?.contains(is_forgotten) {
            return Err(ResponseCode::READ_ONLY);
        }
        Ok(())
    }

    /// The attributes of an index that the pipeline has resolved.
    pub fn nv_attributes(&self, index: Handle) -> Result<Bits> {
        self.nv.get(index).map(|found| found.public.attributes).ok_or(ResponseCode::HANDLE)
    }
}

/// The index's own authorisation was checked against its attributes when it was used; that of a
/// hierarchy is checked here.
fn check_nv_auth(
    auth: Handle,
    index: Handle,
    attributes: Bits,
    by_hierarchy: [(Handle, Bits); 2],
) -> Result<()> {
    let needed = by_hierarchy.iter().find(|(hierarchy, _)| *hierarchy == auth);
    let is_allowed = match needed {
        Some((_, needed)) => attributes.contains(*needed),
        None => auth == index,
    };
    if is_allowed { Ok(()) } else { Err(ResponseCode::NV_AUTHORIZATION) }
}
