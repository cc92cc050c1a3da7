// SPDX-License-Identifier: MIT OR Apache-2.0
//! The standard primary keys as the platform sees them: what TPM2_CreatePrimary would make, without
//! a command, a slot or an authorisation. An attestation service tells a verifier the endorsement
//! key so.

use super::{ProvisionFault, StandardTemplate};
use crate::Tpm;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::crypto::hmac::Hmac;
use crate::platform::Platform;
use crate::protect::generate::{Primary, Source, generate};
use crate::protect::template::check_creation;
use crate::state::State;
use crate::structure::buffer::Buffer;
use crate::structure::digest::Name;
use crate::structure::handle::Handle;
use crate::structure::public::PUBLIC_SIZE_MAX;
use crate::structure::sensitive::SensitiveCreate;
use crate::wire::{Result, Writer};

/// The public part of a primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardKey {
    /// TPMT_PUBLIC, marshalled: what stands behind the size in outPublic of TPM2_CreatePrimary.
    pub public: Buffer<PUBLIC_SIZE_MAX>,
    /// The Name: the algorithm and the digest of `public`.
    pub name: Name,
}

impl Tpm {
    /// The key that TPM2_CreatePrimary makes of a standard template in its hierarchy with empty
    /// inSensitive. It can be had from power-on, and whatever has been disabled. Nothing changes;
    /// each call derives the key anew, which takes as long as the command does.
    ///
    /// # Errors
    /// [`ProvisionFault::NotReady`] while an RSA key has no primes yet,
    /// [`ProvisionFault::Unsupported`] when the platform never has any, and
    /// [`ProvisionFault::Failure`].
    pub fn standard_key(
        &mut self,
        platform: &mut dyn Platform,
        template: StandardTemplate,
    ) -> core::result::Result<StandardKey, ProvisionFault> {
        Ok(self.change(platform, |state, platform| derive(state, platform, template))?)
    }

    /// A digest that stays the same as long as the endorsement keys do, over power cycles, too:
    /// who keeps a key that [`Tpm::standard_key`] gave asks again when it is another. It tells
    /// nothing of the seed, and needs not be kept secret.
    pub fn endorsement_generation(&self) -> Digest {
        let endorsement = &self.state().permanent.endorsement;
        let mut hmac = Hmac::new(HashAlgorithm::Sha256, &endorsement.seed);
        hmac.update(b"MACADAMIA ENDORSEMENT GENERATION");
        hmac.update(&[endorsement.derivation as u8]);
        hmac.finish()
    }
}

fn derive(
    state: &mut State,
    platform: &mut dyn Platform,
    template: StandardTemplate,
) -> Result<StandardKey> {
    let mut public = template.public()?;
    check_creation(None, &public, 0)?;
    let hierarchy: Handle = template.hierarchy();
    let create = SensitiveCreate::EMPTY;
    let primary = Primary::new(state, hierarchy, &public, &create.data)?;
    // The sensitive area is wiped as it goes.
    generate(state, platform, &mut public, &create, Source::Primary(primary))?;
    let mut octets = [0; PUBLIC_SIZE_MAX];
    let mut writer = Writer::new(&mut octets);
    writer.value(&public)?;
    Ok(StandardKey { public: Buffer::new(writer.written())?, name: public.name()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::object::create_primary::tests::body;
    use crate::testing::{ENDORSEMENT, LOCKOUT, Machine, OWNER, PLATFORM, parameters};

    fn key(
        machine: &mut Machine,
        template: StandardTemplate,
    ) -> core::result::Result<StandardKey, ProvisionFault> {
        machine.tpm.standard_key(&mut machine.platform, template)
    }

    /// outPublic and name of TPM2_CreatePrimary.
    fn created(machine: &mut Machine, template: StandardTemplate) -> StandardKey {
        let public = parameters(|writer| writer.value(&template.public().unwrap()));
        let body = body(b"", b"", &public);
        let response = machine.authorised(0x131, &[template.hierarchy().0], &body).unwrap();
        machine.command(0x165, &response[..4]).unwrap();
        let size = usize::from(u16::from_be_bytes([response[4], response[5]]));
        let public = &response[6..6 + size];
        let algorithm = HashAlgorithm::from_id(u16::from_be_bytes([public[2], public[3]]));
        let name = &response[response.len() - 2 - algorithm.unwrap().digest_size()..];
        StandardKey { public: Buffer::new(public).unwrap(), name: Name::new(name).unwrap() }
    }

    const ELLIPTIC: [StandardTemplate; 6] = [
        StandardTemplate::L2,
        StandardTemplate::H2,
        StandardTemplate::H3,
        StandardTemplate::H4,
        StandardTemplate::H5,
        StandardTemplate::StorageP256,
    ];

    #[test]
    fn a_key_is_what_the_command_makes() {
        let mut machine = Machine::started();
        for template in ELLIPTIC.into_iter().chain([StandardTemplate::L1]) {
            let key = key(&mut machine, template).unwrap();
            assert_eq!(key, created(&mut machine, template), "{template:?}");
        }
    }

    #[test]
    fn it_is_had_before_startup_and_from_a_disabled_hierarchy() {
        let mut machine = Machine::powered();
        let before = key(&mut machine, StandardTemplate::H3).unwrap();
        machine.command(0x144, &[0, 0]).unwrap();
        machine.authorised(0x129, &[ENDORSEMENT], &[0, 1, 7]).unwrap();
        let disable = [ENDORSEMENT.to_be_bytes().as_slice(), &[0]].concat();
        machine.authorised(0x121, &[PLATFORM], &disable).unwrap();
        assert_eq!(key(&mut machine, StandardTemplate::H3).unwrap(), before);
        assert_eq!(machine.tpm.state().transients.free(), 8);
    }

    /// What the storage holds, and what a command would draw next, is as if nothing was asked.
    #[test]
    fn nothing_changes() {
        let mut asked = Machine::started();
        let mut unasked = Machine::started();
        let commits = asked.platform.storage.commits;
        for template in ELLIPTIC {
            key(&mut asked, template).unwrap();
        }
        assert_eq!(asked.platform.storage.commits, commits);
        let random = |machine: &mut Machine| machine.command(0x17b, &[0, 32]).unwrap();
        assert_eq!(random(&mut asked), random(&mut unasked));
    }

    #[test]
    fn the_generation_follows_the_endorsement_seed() {
        let mut machine = Machine::started();
        let generation = |machine: &Machine| machine.tpm.endorsement_generation();
        let first = generation(&machine);
        let storage = key(&mut machine, StandardTemplate::StorageP256).unwrap();
        let endorsement = key(&mut machine, StandardTemplate::L2).unwrap();
        machine.authorised(0x126, &[LOCKOUT], &[]).unwrap();
        machine.power_cycle();
        assert_eq!(generation(&machine), first, "TPM2_Clear leaves the endorsement keys");
        assert_eq!(key(&mut machine, StandardTemplate::L2).unwrap(), endorsement);
        assert_ne!(key(&mut machine, StandardTemplate::StorageP256).unwrap(), storage);
        machine.command(0x144, &[0, 0]).unwrap();
        machine.authorised(0x124, &[PLATFORM], &[]).unwrap();
        assert_ne!(generation(&machine), first);
        assert_ne!(key(&mut machine, StandardTemplate::L2).unwrap(), endorsement);
        let other = Machine::started();
        assert_ne!(machine.authorised(0x124, &[OWNER], &[]), Ok(std::vec![]));
        assert_eq!(generation(&other), first, "the test's entropy is always the same");
    }

    #[test]
    fn a_tpm_that_failed_has_no_key() {
        let mut machine = Machine::started();
        machine.platform.storage.is_broken = true;
        machine.authorised(0x129, &[ENDORSEMENT], &[0, 1, 7]).unwrap_err();
        let refused = key(&mut machine, StandardTemplate::L2);
        assert_eq!(refused, Err(ProvisionFault::Failure));
    }
}
