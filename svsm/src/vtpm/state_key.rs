// SPDX-License-Identifier: MIT OR Apache-2.0
//! A master key from the guest's owner ([`snp_abi::state_key`] has the messages).
//!
//! The host carries the key, so it is sealed; and the host could seal a key of its own, with which
//! it would read a new TPM's state, so the sealing must be the owner's. Both come from one ECDH
//! between two static keys: the owner's, whose public part is measured at launch, and one that is
//! derived from the firmware's key for this launch. It needs no storage, is the same at each
//! start, and is the key of no other signer, image version, policy, firmware version or chip.

use super::master_key::{KeyFault, KeySource, Seal};
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use nvstore::MasterKey;
use sha2::{Digest as _, Sha256};
use snp_abi::state_key::{
    PUBLIC_KEY_SIZE, PublicKey, REPORT_DATA_END, STATE_KEY_SIZE, StateKeyPackage, StateKeyRequest,
    WRAPPING_USE,
};
use tpm::crypto::CryptoError;
use tpm::crypto::ecc::{self, EccCurve, EccParameter, EccPoint};
use tpm::crypto::hash::HashAlgorithm;
use tpm::crypto::kdf::{KdfaGenerator, kdfe};
use zerocopy::FromZeros;
use zeroize::Zeroizing;

/// Where there is no previous key.
const NO_KEY: [u8; STATE_KEY_SIZE] = [0; STATE_KEY_SIZE];
const CURVE: EccCurve = EccCurve::NistP384;
/// What the firmware's key derives here; stores are sealed under it by other means.
const RECIPIENT: &[u8] = b"STATE KEY RECIPIENT";

/// Why the owner's key isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateKeyFault {
    /// The host passes nothing on that could be a package.
    Missing,
    /// The package is for another launch, or nobody's who knows the owner's private key.
    NotAuthentic,
    /// The owner's public key, in the launch configuration, isn't on the curve.
    Owner,
    /// The firmware gives no key, or refuses a report.
    Firmware(KeyFault),
}

impl core::fmt::Display for StateKeyFault {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Missing => formatter.write_str("the owner's key package isn't there"),
            Self::NotAuthentic => {
                formatter.write_str("the key package isn't the owner's, or not for this launch")
            }
            Self::Owner => formatter.write_str("the image's owner has no valid public key"),
            Self::Firmware(fault) => write!(formatter, "the firmware gives no key ({fault:?})"),
        }
    }
}

/// Who gives the master key, and what the host passed on of theirs.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Measured at launch.
    pub public_key: PublicKey,
    /// `None`: nothing that could be a package.
    pub package: Option<StateKeyPackage>,
}

/// The keys of a package.
pub struct GivenKeys {
    /// The state's key.
    pub current: MasterKey,
    /// The key before it, from which a store goes over to the current one.
    pub previous: Option<MasterKey>,
}

/// The key pair to which a package is sealed.
pub struct Recipient {
    seal: Seal,
    private: EccParameter,
    public: EccPoint,
    owner: EccPoint,
}

impl Recipient {
    /// The key pair of the launches that `seal` names.
    ///
    /// # Errors
    /// `Owner`, `Firmware`.
    pub fn derive(
        seal: Seal,
        owner: &PublicKey,
        source: &mut dyn KeySource,
    ) -> Result<Self, StateKeyFault> {
        let owner = point(owner).map_err(|_| StateKeyFault::Owner)?;
        let secret = seal.secret(source).map_err(StateKeyFault::Firmware)?;
        let label = seal.to_label();
        let mut stream = KdfaGenerator::new(HashAlgorithm::Sha256, &*secret, RECIPIENT, &label);
        let pair = ecc::derive(CURVE, &mut stream).map_err(|_| StateKeyFault::NotAuthentic)?;
        Ok(Self { seal, private: pair.private, public: pair.public, owner })
    }

    /// What the owner needs to know to make a package: a public key, and the firmware's word that
    /// it is this SVSM's.
    ///
    /// # Errors
    /// `Firmware`.
    pub fn request(&self, source: &mut dyn KeySource) -> Result<StateKeyRequest, StateKeyFault> {
        let mut request = StateKeyRequest {
            magic: StateKeyRequest::MAGIC,
            seal: self.seal.to_label(),
            public_key: coordinates(&self.public),
            ..StateKeyRequest::new_zeroed()
        };
        let vouched = Sha256::new()
            .chain_update(request.vouched_part())
            .chain_update(coordinates(&self.owner))
            .finalize();
        let mut data = [0; 64];
        let halves = vouched.iter().chain(&REPORT_DATA_END);
        data.iter_mut().zip(halves).for_each(|(place, byte)| *place = *byte);
        request.report = *source.report(&data).map_err(StateKeyFault::Firmware)?;
        Ok(request)
    }

    /// Opens a package. One that was made for an earlier image or firmware doesn't do: whoever
    /// broke that image may have made it.
    ///
    /// # Errors
    /// `NotAuthentic`.
    pub fn open(&self, package: &StateKeyPackage) -> Result<GivenKeys, StateKeyFault> {
        if package.seal != self.seal.to_label() {
            return Err(StateKeyFault::NotAuthentic);
        }
        let key = self.wrapping_key().map_err(|_| StateKeyFault::NotAuthentic)?;
        let mut keys = Zeroizing::new(package.keys);
        let opened = Aes256Gcm::new(&(*key).into()).decrypt_inout_detached(
            &package.nonce.into(),
            package.associated_data(),
            keys.as_mut_slice().into(),
            &package.tag.into(),
        );
        opened.map_err(|_| StateKeyFault::NotAuthentic)?;
        let (current, previous) =
            keys.split_first_chunk::<STATE_KEY_SIZE>().ok_or(StateKeyFault::NotAuthentic)?;
        let previous = previous.first_chunk().ok_or(StateKeyFault::NotAuthentic)?;
        let key = |bytes: &[u8; STATE_KEY_SIZE]| {
            MasterKey::labelled(Zeroizing::new(*bytes), Seal::OWNER.to_label())
        };
        // Everybody knows the key of zeros: it stands for no key, and never opens a store.
        let previous = Some(previous).filter(|previous| **previous != NO_KEY);
        if *current == NO_KEY {
            return Err(StateKeyFault::NotAuthentic);
        }
        Ok(GivenKeys { current: key(current), previous: previous.map(key) })
    }

    fn wrapping_key(&self) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let shared = ecc::multiply(CURVE, &self.private, &self.owner)?;
        let mut key = Zeroizing::new([0; 32]);
        kdfe(
            HashAlgorithm::Sha256,
            shared.x.as_bytes(),
            WRAPPING_USE,
            self.owner.x.as_bytes(),
            self.public.x.as_bytes(),
            256,
            &mut *key,
        )?;
        Ok(key)
    }
}

/// A point of the curve.
fn point(key: &PublicKey) -> Result<EccPoint, CryptoError> {
    let (x, y) = key.split_at_checked(PUBLIC_KEY_SIZE / 2).ok_or(CryptoError::Point)?;
    let point = EccPoint::new(CURVE, x, y)?;
    ecc::check_point(CURVE, &point)?;
    Ok(point)
}

fn coordinates(point: &EccPoint) -> PublicKey {
    let mut key = [0; PUBLIC_KEY_SIZE];
    let bytes = point.x.as_bytes().iter().chain(point.y.as_bytes());
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    key
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::vtpm::master_key::LaunchIdentity;
    use snp_abi::guest_request::KeyRequest;
    use snp_abi::report::REPORT_SIZE;
    use tpm::crypto::Random;

    /// A firmware whose keys are its number and the launch's SVN, and that remembers what it
    /// vouched for.
    struct Firmware {
        number: u8,
        vouched: Option<[u8; 64]>,
    }

    impl KeySource for Firmware {
        fn identity(&mut self) -> Result<LaunchIdentity, KeyFault> {
            Ok(LaunchIdentity { guest_svn: 3, committed_tcb: 9, has_signer: true })
        }
        fn derive(&mut self, request: &KeyRequest) -> Result<Zeroizing<[u8; 32]>, KeyFault> {
            let mut key = Zeroizing::new([self.number; 32]);
            key[..4].copy_from_slice(&request.guest_svn.to_le_bytes());
            Ok(key)
        }
        fn report(&mut self, data: &[u8; 64]) -> Result<Box<[u8; REPORT_SIZE]>, KeyFault> {
            self.vouched = Some(*data);
            Ok(Box::new([self.number; REPORT_SIZE]))
        }
    }

    struct Bytes(u8);

    impl Random for Bytes {
        fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CryptoError> {
            bytes.fill(self.0);
            Ok(())
        }
    }

    fn owner(number: u8) -> ecc::EccKeyPair {
        ecc::generate(CURVE, &mut Bytes(number)).unwrap()
    }

    fn seal(guest_svn: u32) -> Seal {
        Seal::of(&LaunchIdentity { guest_svn, committed_tcb: 9, has_signer: true }, false)
    }

    fn recipient(number: u8, guest_svn: u32) -> Recipient {
        let mut source = Firmware { number, vouched: None };
        Recipient::derive(seal(guest_svn), &coordinates(&owner(1).public), &mut source).unwrap()
    }

    /// What an owner makes for a recipient.
    fn package(owner: &ecc::EccKeyPair, to: &Recipient, keys: [[u8; 32]; 2]) -> StateKeyPackage {
        let shared = ecc::multiply(CURVE, &owner.private, &to.public).unwrap();
        let mut key = [0; 32];
        let (u, v) = (owner.public.x.as_bytes(), to.public.x.as_bytes());
        let shared = shared.x.as_bytes();
        kdfe(HashAlgorithm::Sha256, shared, WRAPPING_USE, u, v, 256, &mut key).unwrap();
        let mut package = StateKeyPackage {
            magic: StateKeyPackage::MAGIC,
            seal: to.seal.to_label(),
            nonce: [7; 12],
            ..StateKeyPackage::new_zeroed()
        };
        let associated_data = package.associated_data().to_vec();
        package.keys.copy_from_slice(keys.as_flattened());
        let tag = Aes256Gcm::new(&key.into())
            .encrypt_inout_detached(
                &package.nonce.into(),
                &associated_data,
                package.keys.as_mut_slice().into(),
            )
            .unwrap();
        package.tag.copy_from_slice(&tag);
        package
    }

    /// What the owner of a launch gives; `None`: nothing.
    pub(in crate::vtpm) fn packed(
        seal: Seal,
        source: &mut dyn KeySource,
        keys: Option<[[u8; 32]; 2]>,
    ) -> Owner {
        let owner = owner(1);
        let public_key = coordinates(&owner.public);
        let to = Recipient::derive(seal, &public_key, source).unwrap();
        Owner { public_key, package: keys.map(|keys| package(&owner, &to, keys)) }
    }

    fn refused(recipient: &Recipient, package: &StateKeyPackage) -> bool {
        matches!(recipient.open(package).err(), Some(StateKeyFault::NotAuthentic))
    }

    #[test]
    fn nobody_but_the_owner_gives_a_key() {
        let to = recipient(5, 3);
        assert!(refused(&to, &package(&owner(2), &to, [[1; 32], [0; 32]])));
        // Made for another chip or signer, and for another version of the image.
        assert!(refused(&to, &package(&owner(1), &recipient(6, 3), [[1; 32], [0; 32]])));
        for guest_svn in [2, 4] {
            let other = recipient(5, guest_svn);
            let mut package = package(&owner(1), &other, [[1; 32], [0; 32]]);
            assert!(refused(&to, &package));
            package.seal = seal(3).to_label();
            assert!(refused(&to, &package));
        }
    }

    #[test]
    fn every_byte_of_a_package_counts() {
        let to = recipient(5, 3);
        let good = package(&owner(1), &to, [[1; 32], [2; 32]]);
        assert!(to.open(&good).is_ok_and(|keys| keys.previous.is_some()));
        let bytes = zerocopy::IntoBytes::as_bytes(&good);
        for at in 8..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            assert!(refused(&to, &StateKeyPackage::parse(&changed).unwrap()), "{at}");
        }
    }

    #[test]
    fn the_key_of_zeros_is_no_key() {
        let to = recipient(5, 3);
        assert!(refused(&to, &package(&owner(1), &to, [[0; 32], [2; 32]])));
        let keys = to.open(&package(&owner(1), &to, [[1; 32], [0; 32]])).unwrap();
        assert!(keys.previous.is_none());
    }

    #[test]
    fn an_owner_off_the_curve_is_refused() {
        let mut source = Firmware { number: 1, vouched: None };
        for key in [[0; 96], [1; 96], [0xff; 96]] {
            let refused = Recipient::derive(seal(3), &key, &mut source).err();
            assert_eq!(refused, Some(StateKeyFault::Owner));
        }
    }

    #[test]
    fn the_report_vouches_for_the_key_and_its_owner() {
        let mut source = Firmware { number: 5, vouched: None };
        let to = recipient(5, 3);
        let request = to.request(&mut source).unwrap();
        assert_eq!(request.public_key, recipient(5, 3).request(&mut source).unwrap().public_key);
        let data = source.vouched.unwrap();
        let expected = Sha256::new()
            .chain_update(request.vouched_part())
            .chain_update(coordinates(&owner(1).public))
            .finalize();
        assert_eq!((&data[..32], &data[32..]), (expected.as_slice(), REPORT_DATA_END.as_slice()));
        let other = recipient(6, 3).request(&mut source).unwrap();
        assert_ne!(other.public_key, request.public_key);
    }
}
