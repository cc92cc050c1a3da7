// SPDX-License-Identifier: MIT OR Apache-2.0
//! Endorsement certificates in NV (TCG EK Credential Profile, 2.2.1): each standard endorsement
//! key has an index, which the platform writes and everybody can read.

use super::{ProvisionFault, StandardTemplate};
use crate::Tpm;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::platform::Platform;
use crate::state::State;
use crate::structure::digest::Auth;
use crate::structure::handle::Handle;
use crate::structure::nv::{NV_INDEX_SIZE_MAX, NvAttributes, NvPublic};
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;

/// Written by the platform and locked for good; read with any authorisation, the empty one of the
/// index among them; TPM2_Clear leaves it, and only platformAuth deletes it.
const ATTRIBUTES: NvAttributes = NvAttributes::PLATFORM_CREATE
    .with(NvAttributes::NO_DA)
    .with(NvAttributes::AUTH_READ)
    .with(NvAttributes::OWNER_READ)
    .with(NvAttributes::PP_READ)
    .with(NvAttributes::PP_WRITE)
    .with(NvAttributes::WRITE_DEFINE);

impl Tpm {
    /// Puts the certificate (DER) of a standard endorsement key into its NV index, in place of
    /// anything that is there, in one commit. Whether it is a certificate, and of that key, is not
    /// looked at.
    ///
    /// # Errors
    /// [`ProvisionFault::NoPlace`] for a storage key, [`ProvisionFault::Size`],
    /// [`ProvisionFault::NvSpace`], [`ProvisionFault::NvUnavailable`], and
    /// [`ProvisionFault::Failure`].
    pub fn provision_certificate(
        &mut self,
        platform: &mut dyn Platform,
        template: StandardTemplate,
        certificate: &[u8],
    ) -> core::result::Result<(), ProvisionFault> {
        let index = template.certificate_index().ok_or(ProvisionFault::NoPlace)?;
        let size = u16::try_from(certificate.len()).map_err(|_| ProvisionFault::Size)?;
        if size == 0 || certificate.len() > NV_INDEX_SIZE_MAX {
            return Err(ProvisionFault::Size);
        }
        Ok(self.change(platform, |state, platform| {
            if !platform.is_storage_writable() {
                return Err(ResponseCode::NV_UNAVAILABLE);
            }
            put(state, index, size, certificate)
        })?)
    }
}

fn put(state: &mut State, index: Handle, size: u16, certificate: &[u8]) -> Result<()> {
    state.nv.check_room(index, certificate.len())?;
    state.remove_indices(|found| found.public.index == index);
    let public = NvPublic {
        index,
        name_algorithm: HashAlgorithm::Sha256,
        attributes: ATTRIBUTES,
        auth_policy: Digest::EMPTY,
        data_size: size,
    };
    state.nv.define(public, Auth::EMPTY)?;
    state.write_nv(index, 0, certificate)?;
    state.set_nv_attribute(index, NvAttributes::WRITE_LOCKED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::nv::scene;
    use crate::testing::{LOCKOUT, Machine, OWNER, PLATFORM};

    const INDEX: u32 = 0x01c0_000a;

    fn provision(
        machine: &mut Machine,
        template: StandardTemplate,
        certificate: &[u8],
    ) -> core::result::Result<(), ProvisionFault> {
        machine.tpm.provision_certificate(&mut machine.platform, template, certificate)
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let mut machine = Machine::powered();
        let storage = provision(&mut machine, StandardTemplate::StorageP256, b"DER");
        assert_eq!(storage, Err(ProvisionFault::NoPlace));
        let mut provision = |size| provision(&mut machine, StandardTemplate::L2, &vec_of(size));
        assert_eq!(provision(0), Err(ProvisionFault::Size));
        assert_eq!(provision(2049), Err(ProvisionFault::Size));
        assert_eq!(provision(0x1_0001), Err(ProvisionFault::Size));
        assert_eq!(provision(2048), Ok(()));
    }

    fn vec_of(size: usize) -> std::vec::Vec<u8> {
        std::vec![0x30; size]
    }

    /// A certificate that doesn't fit leaves the one that is there.
    #[test]
    fn a_full_memory_keeps_what_it_has() {
        let mut machine = Machine::started();
        provision(&mut machine, StandardTemplate::L2, b"first").unwrap();
        for number in 0..63 {
            scene::define(&mut machine, OWNER, 0x0180_0100 + number, scene::BOTH, 2048);
        }
        scene::define(&mut machine, OWNER, 0x0180_0200, scene::BOTH, 2043);
        let other = provision(&mut machine, StandardTemplate::L1, b"1");
        assert_eq!(other, Err(ProvisionFault::NvSpace));
        let longer = provision(&mut machine, StandardTemplate::L2, b"longer");
        assert_eq!(longer, Err(ProvisionFault::NvSpace));
        assert_eq!(scene::read(&mut machine, INDEX, INDEX, 5, 0).unwrap(), b"first");
        assert_eq!(provision(&mut machine, StandardTemplate::L2, b"secon"), Ok(()));
        assert_eq!(scene::read(&mut machine, INDEX, INDEX, 5, 0).unwrap(), b"secon");
    }

    #[test]
    fn everybody_reads_it_and_no_command_changes_it() {
        let mut machine = Machine::powered();
        provision(&mut machine, StandardTemplate::L2, b"certificate").unwrap();
        machine.power_cycle();
        machine.command(0x144, &[0, 0]).unwrap();
        for auth in [INDEX, OWNER, PLATFORM] {
            assert_eq!(scene::read(&mut machine, auth, INDEX, 11, 0).unwrap(), b"certificate");
            let written = scene::write(&mut machine, auth, INDEX, b"forged", 0);
            let is_own = auth == INDEX;
            let expected =
                if is_own { ResponseCode::AUTH_UNAVAILABLE } else { ResponseCode::NV_LOCKED };
            assert_eq!(written, Err(expected));
        }
        machine.authorised(0x126, &[LOCKOUT], &[]).unwrap();
        scene::restart(&mut machine, Some(0), 0);
        assert_eq!(scene::read(&mut machine, INDEX, INDEX, 11, 0).unwrap(), b"certificate");
        let undefined = machine.authorised(0x122, &[OWNER, INDEX], &[]);
        assert_eq!(undefined, Err(ResponseCode::NV_AUTHORIZATION));
        let public = machine.command(0x169, &INDEX.to_be_bytes()).unwrap();
        assert_eq!(public[8..12], 0x6207_2801_u32.to_be_bytes());
    }

    #[test]
    fn a_commit_that_fails_is_failure_mode() {
        let mut machine = Machine::started();
        machine.platform.is_read_only = true;
        let put = provision(&mut machine, StandardTemplate::L2, b"certificate");
        assert_eq!(put, Err(ProvisionFault::NvUnavailable));
        machine.platform.is_read_only = false;
        machine.platform.storage.is_broken = true;
        let put = provision(&mut machine, StandardTemplate::L2, b"certificate");
        assert_eq!(put, Err(ProvisionFault::Failure));
        let again = provision(&mut machine, StandardTemplate::L2, b"certificate");
        assert_eq!(again, Err(ProvisionFault::Failure));
        assert_eq!(machine.command(0x17b, &[0, 4]), Err(ResponseCode::FAILURE));
    }
}
