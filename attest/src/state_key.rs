// SPDX-License-Identifier: MIT OR Apache-2.0
//! The owner's side of [`snp_abi::state_key`]: whether an SVSM that asks for the key of its TPM's
//! state is the expected one, and the package that only this SVSM can open and only this owner can
//! make.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use p384::{
    NistP384, PublicKey, SecretKey, ecdh::diffie_hellman, elliptic_curve::sec1::ToSec1Point,
    pkcs8::DecodePrivateKey,
};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use snp_abi::{
    report::AttestationReport,
    state_key::{
        PUBLIC_KEY_SIZE, REPORT_DATA_END, REQUEST_LINE, STATE_KEY_SIZE, StateKeyPackage,
        StateKeyRequest, WRAPPING_USE,
    },
};
use zerocopy::{FromBytes, FromZeros};
use zeroize::Zeroizing;

use crate::{
    chain::Chain,
    credential::kdf_e,
    hash::Hash,
    reference::Reference,
    verdict::{Reason, Refused, Verdict},
    verify::verify_report,
};

type StateKey = [u8; STATE_KEY_SIZE];
/// How a point begins whose two coordinates follow (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Whoever has the private key that an image names.
pub struct Owner {
    secret: SecretKey,
    public_key: [u8; PUBLIC_KEY_SIZE],
}

/// The state's key, and the one before it.
pub struct Keys(Zeroizing<[StateKey; 2]>);

impl Keys {
    /// Keys of 32 bytes. `None` for another length, and for zeros, which stand for no key.
    #[must_use]
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Option<Self> {
        let key = |bytes: &[u8]| {
            StateKey::try_from(bytes).ok().filter(|key| key.iter().any(|byte| *byte != 0))
        };
        let current = key(current)?;
        let previous = match previous {
            Some(previous) => key(previous)?,
            None => StateKey::default(),
        };
        Some(Self(Zeroizing::new([current, previous])))
    }
}

/// Finds the last whole request in an SVSM's log.
///
/// # Errors
/// [`Reason::EvidenceMalformed`].
pub fn find_request(log: &str) -> Result<StateKeyRequest, Refused> {
    let parts = log.lines().filter_map(|line| line.split_once(REQUEST_LINE));
    let digits: String = parts.map(|(_, digits)| digits.trim()).collect();
    let size = 2 * size_of::<StateKeyRequest>();
    let start = digits.len().checked_sub(size);
    let last = start.and_then(|start| digits.get(start..));
    let bytes = last.and_then(|digits| hex::decode(digits).ok());
    bytes
        .and_then(|bytes| StateKeyRequest::read_from_bytes(&bytes).ok())
        .filter(|request| request.magic == StateKeyRequest::MAGIC)
        .ok_or_else(|| Refused::new(Reason::EvidenceMalformed, "no request for a state's key"))
}

/// Whether the request is from VMPL0 of the expected image on a genuine chip, and asks this owner.
#[must_use]
pub fn verify(
    request: &StateKeyRequest,
    owner: &Owner,
    chain: Chain,
    reference: &Reference,
) -> Verdict {
    let mut verdict = Verdict::default();
    match verify_report(&mut verdict, &request.report, Ok(chain), reference) {
        Some(report) => verdict.require("request", check_data(request, owner, &report)),
        None => verdict.not_reached(&["request"]),
    }
    verdict
}

/// Whether the report vouches for the SVSM's key, as one for packages of this owner's.
fn check_data(
    request: &StateKeyRequest,
    owner: &Owner,
    report: &AttestationReport,
) -> Result<String, Refused> {
    let vouched = Sha256::new()
        .chain_update(request.vouched_part())
        .chain_update(owner.public_key)
        .finalize();
    if report.report_data == *[vouched.as_slice(), &REPORT_DATA_END].concat() {
        return Ok(format!("key {}…", hex::encode(&request.public_key[..8])));
    }
    let detail = "the report is about another key, or the image has another owner";
    Err(Refused::new(Reason::ReportData, detail))
}

impl Owner {
    /// Reads a private key, PKCS#8 in PEM, as `igvmbuilder keygen` makes it.
    #[must_use]
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let secret = SecretKey::from_pkcs8_pem(std::str::from_utf8(pem).ok()?).ok()?;
        let point = secret.public_key().to_sec1_point(false);
        let public_key = point.as_bytes().get(1..)?.try_into().ok()?;
        Some(Self { secret, public_key })
    }

    /// Seals keys for whoever asked. Whether they should have them is to be verified before. `None`
    /// if the request's key isn't one.
    #[must_use]
    pub fn pack(
        &self,
        request: &StateKeyRequest,
        keys: &Keys,
        random: &mut impl CryptoRng,
    ) -> Option<StateKeyPackage> {
        let key = self.wrapping_key(&request.public_key)?;
        let mut package = StateKeyPackage {
            magic: StateKeyPackage::MAGIC,
            seal: request.seal,
            ..StateKeyPackage::new_zeroed()
        };
        random.fill_bytes(&mut package.nonce);
        package.keys.copy_from_slice(keys.0.as_flattened());
        let associated_data = package.associated_data().to_vec();
        let tag = Aes256Gcm::new_from_slice(&key).ok()?.encrypt_inout_detached(
            &package.nonce.into(),
            &associated_data,
            package.keys.as_mut_slice().into(),
        );
        package.tag.copy_from_slice(&tag.ok()?);
        Some(package)
    }

    fn wrapping_key(&self, recipient: &[u8; PUBLIC_KEY_SIZE]) -> Option<Zeroizing<Vec<u8>>> {
        let point = [&[UNCOMPRESSED], recipient.as_slice()].concat();
        let point = PublicKey::from_sec1_bytes(&point).ok()?;
        let shared = diffie_hellman::<NistP384>(self.secret.to_nonzero_scalar(), point.as_affine());
        let (own_x, _) = self.public_key.split_at(PUBLIC_KEY_SIZE / 2);
        let (recipient_x, _) = recipient.split_at(PUBLIC_KEY_SIZE / 2);
        let secret = shared.raw_secret_bytes();
        Some(Zeroizing::new(kdf_e(Hash::Sha256, secret, WRAPPING_USE, own_x, recipient_x)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chain::Roots,
        tests::fixture::{IMAGE, TIME_S, launch},
    };
    use p384::pkcs8::{EncodePrivateKey, LineEnding};
    use snp_abi::{Vmpl, launch::GuestPolicy};
    use zerocopy::IntoBytes;

    fn owner(byte: u8) -> Owner {
        let secret = SecretKey::from_slice(&[byte; 48]).expect("a scalar");
        Owner::from_pem(secret.to_pkcs8_pem(LineEnding::LF).expect("PEM").as_bytes())
            .expect("a key")
    }

    /// A request to this owner with a report from this level.
    fn request(owner: &Owner, vmpl: Vmpl) -> StateKeyRequest {
        let mut request = StateKeyRequest {
            magic: StateKeyRequest::MAGIC,
            seal: [3; 16],
            public_key: self::owner(0x33).public_key,
            ..StateKeyRequest::new_zeroed()
        };
        let vouched = Sha256::new()
            .chain_update(request.vouched_part())
            .chain_update(owner.public_key)
            .finalize();
        let data = [vouched.as_slice(), &REPORT_DATA_END].concat();
        let psp = launch(GuestPolicy::DEFAULT, IMAGE);
        request.report = psp.report(vmpl, data.try_into().expect("64 bytes")).expect("a report");
        request
    }

    fn reference() -> Reference {
        Reference {
            launch_digest: Some(IMAGE),
            policy: Some(GuestPolicy::DEFAULT.bits()),
            roots: Roots { test_root: true },
            time_s: TIME_S,
            ..Reference::default()
        }
    }

    fn reasons(request: &StateKeyRequest, owner: &Owner, reference: &Reference) -> Vec<Reason> {
        let table = launch(GuestPolicy::DEFAULT, IMAGE).certificates().expect("a table");
        let chain = Chain::from_table(&table).expect("a chain");
        let verdict = verify(request, owner, chain, reference);
        assert_eq!(verdict.is_accepted(), verdict.reasons().is_empty());
        verdict.reasons()
    }

    #[test]
    fn only_the_expected_svsm_gets_a_package() {
        let (me, other) = (owner(0x11), owner(0x22));
        let good = request(&me, Vmpl::Vmpl0);
        assert_eq!(reasons(&good, &me, &reference()), []);
        assert_eq!(reasons(&good, &other, &reference()), [Reason::ReportData]);
        let guests = request(&me, Vmpl::Vmpl2);
        assert_eq!(reasons(&guests, &me, &reference()), [Reason::ReportVmpl]);
        let image = Reference { launch_digest: Some([1; 48]), ..reference() };
        assert_eq!(reasons(&good, &me, &image), [Reason::ReportMeasurement]);
        let amd = Reference { roots: Roots { test_root: false }, ..reference() };
        assert_eq!(reasons(&good, &me, &amd), [Reason::RootIsForTests]);
        for at in [8, 24, 119] {
            let mut changed = good.clone();
            changed.as_mut_bytes()[at] ^= 1;
            assert_eq!(reasons(&changed, &me, &reference()), [Reason::ReportData], "{at}");
        }
        let mut changed = good.clone();
        changed.report[0x90] ^= 1;
        let expected = [Reason::ReportSignature, Reason::ReportMeasurement];
        assert_eq!(reasons(&changed, &me, &reference()), expected);
        changed.report[0] = 9;
        assert_eq!(reasons(&changed, &me, &reference()), [Reason::ReportMalformed]);
    }

    #[test]
    fn a_request_is_found_in_a_log() {
        assert!(find_request("").is_err());
        let request = request(&owner(0x11), Vmpl::Vmpl0);
        let mut log = "svsm: something else\n".to_owned();
        for part in request.as_bytes().chunks(snp_abi::state_key::REQUEST_LINE_BYTES) {
            log += &format!("   1.234 svsm: {REQUEST_LINE}{}\r\nnoise\n", hex::encode(part));
        }
        let found = find_request(&(log.clone() + &log)).expect("a request");
        assert_eq!(found.as_bytes(), request.as_bytes());
        assert!(find_request(&log.replacen("state key", "state-key", 1)).is_err());
        assert!(find_request(&log.replace(": 4d43", ": 5d43")).is_err(), "another magic");
    }

    #[test]
    fn keys_are_32_bytes_and_not_zeros() {
        assert!(Keys::new(&[1; 31], None).is_none());
        assert!(Keys::new(&[0; 32], None).is_none());
        assert!(Keys::new(&[1; 32], Some(&[0; 32])).is_none());
        assert!(Keys::new(&[1; 32], Some(&[2; 32])).is_some());
    }

    #[test]
    fn who_is_no_point_gets_nothing() {
        struct Fixed;
        impl rand_core::TryRng for Fixed {
            type Error = std::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                Ok(1)
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(1)
            }
            fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
                bytes.fill(1);
                Ok(())
            }
        }
        impl rand_core::TryCryptoRng for Fixed {}
        let (me, keys) = (owner(0x11), Keys::new(&[1; 32], None).expect("keys"));
        let mut request = request(&me, Vmpl::Vmpl0);
        let package = me.pack(&request, &keys, &mut Fixed).expect("a package");
        // The other half of the exchange has the same wrapping key.
        let theirs = owner(0x33);
        let shared = diffie_hellman::<NistP384>(
            theirs.secret.to_nonzero_scalar(),
            me.secret.public_key().as_affine(),
        );
        let (u, v) = (&me.public_key[..48], &theirs.public_key[..48]);
        let key = kdf_e(Hash::Sha256, shared.raw_secret_bytes(), WRAPPING_USE, u, v);
        let mut opened = package.keys;
        Aes256Gcm::new_from_slice(&key)
            .expect("a key")
            .decrypt_inout_detached(
                &package.nonce.into(),
                package.associated_data(),
                opened.as_mut_slice().into(),
                &package.tag.into(),
            )
            .expect("it opens");
        assert_eq!((&opened[..32], &opened[32..]), (&[1; 32][..], &[0; 32][..]));
        request.public_key = [5; 96];
        assert!(me.pack(&request, &keys, &mut Fixed).is_none());
    }
}
