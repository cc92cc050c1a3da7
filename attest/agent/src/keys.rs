// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attestation key: made below an endorsement key, quoted with, and bound to it by a
//! credential.

use crate::command::{Command, Fields, PASSWORD, Response, Tpm, TpmError};
use crate::endorsement::EkKind;

/// TPM_RH_ENDORSEMENT and TPM_RH_NULL.
const ENDORSEMENT: u32 = 0x4000_000b;
const NULL: u32 = 0x4000_0007;
/// TPM_ALG_SHA256.
const SHA256: u16 = 0x000b;
/// TPM_SE_POLICY.
const POLICY: u8 = 1;
/// Most registers that one TPM2_PCR_Read is expected to need calls for.
const READS_MAX: usize = 32;

/// TPMT_PUBLIC of a restricted ECDSA key on P-256 with SHA-256: fixedTPM, fixedParent,
/// sensitiveDataOrigin, userWithAuth, restricted, sign.
const AK_TEMPLATE: [u8; 24] = [
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x05, 0x00, 0x72, 0x00, 0x00, 0x00, 0x10, 0x00, 0x18, 0x00, 0x0b,
    0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00,
];

/// A loaded endorsement key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndorsementKey {
    kind: EkKind,
    handle: u32,
    /// TPMT_PUBLIC.
    pub public: Vec<u8>,
}

/// An attestation key, outside of the TPM: only the TPM that made it can use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationKey {
    /// The kind of its parent.
    pub parent: EkKind,
    /// TPM2B_PRIVATE's contents: encrypted by the TPM.
    pub private: Vec<u8>,
    /// TPMT_PUBLIC.
    pub public: Vec<u8>,
}

/// A quote and its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// TPMS_ATTEST.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
}

/// Some PCRs of one bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// TPM_ALG_ID of the bank.
    pub bank: u16,
    /// A bit for each PCR, 0 lowest.
    pub registers: u32,
}

impl Selection {
    /// TPML_PCR_SELECTION with one entry.
    fn list(self) -> Vec<u8> {
        let [low, middle, high, _] = self.registers.to_le_bytes();
        let bank = self.bank.to_be_bytes();
        [&[0, 0, 0, 1], &bank[..], &[3, low, middle, high]].concat()
    }
}

impl EndorsementKey {
    /// Makes the key, or finds that the TPM makes the same again.
    ///
    /// # Errors
    /// See [`TpmError`].
    pub fn create(tpm: &mut dyn Tpm, kind: EkKind) -> Result<Self, TpmError> {
        let response = Command::new("TPM2_CreatePrimary", 0x131)
            .authorised(ENDORSEMENT, PASSWORD)
            .sized(&[0; 4]) // no password, no data
            .sized(&kind.template())
            .sized(&[])
            .bytes(&[0; 4]) // no PCRs in the creation data
            .gives_handle()
            .send(tpm)?;
        let public = response.read(|fields| fields.sized().map(<[u8]>::to_vec))?;
        Ok(Self { kind, handle: response.handle, public })
    }

    /// Forgets the key's handle.
    ///
    /// # Errors
    /// See [`TpmError`].
    pub fn flush(self, tpm: &mut dyn Tpm) -> Result<(), TpmError> {
        flush(tpm, self.handle)
    }

    /// What authorises its use, once.
    fn session(&self, tpm: &mut dyn Tpm) -> Result<u32, TpmError> {
        if !self.kind.wants_policy() {
            return Ok(PASSWORD);
        }
        let session = Command::new("TPM2_StartAuthSession", 0x176)
            .handle(NULL)
            .handle(NULL)
            .sized(&[0; 16]) // a nonce, of which nothing depends without an HMAC
            .sized(&[])
            .bytes(&[POLICY, 0x00, 0x10]) // no symmetric algorithm
            .bytes(&SHA256.to_be_bytes())
            .gives_handle()
            .send(tpm)?
            .handle;
        let satisfied = Command::new("TPM2_PolicySecret", 0x151)
            .authorised(ENDORSEMENT, PASSWORD)
            .handle(session)
            .sized(&[])
            .sized(&[])
            .sized(&[])
            .bytes(&[0; 4]) // for ever
            .send(tpm);
        match satisfied {
            Ok(_) => Ok(session),
            Err(error) => {
                flush(tpm, session)?;
                Err(error)
            }
        }
    }
}

impl AttestationKey {
    /// Makes a key below an endorsement key.
    ///
    /// # Errors
    /// See [`TpmError`].
    pub fn create(tpm: &mut dyn Tpm, parent: &EndorsementKey) -> Result<Self, TpmError> {
        let session = parent.session(tpm)?;
        let response = Command::new("TPM2_Create", 0x153)
            .authorised(parent.handle, session)
            .sized(&[0; 4])
            .sized(&AK_TEMPLATE)
            .sized(&[])
            .bytes(&[0; 4])
            .send(tpm)?;
        let (private, public) =
            response.read(|fields| Some((fields.sized()?.to_vec(), fields.sized()?.to_vec())))?;
        Ok(Self { parent: parent.kind, private, public })
    }

    /// Quotes PCRs with the nonce.
    ///
    /// # Errors
    /// See [`TpmError`].
    pub fn quote(
        &self,
        tpm: &mut dyn Tpm,
        parent: &EndorsementKey,
        nonce: &[u8],
        selection: Selection,
    ) -> Result<Quote, TpmError> {
        let handle = self.load(tpm, parent)?;
        let response = Command::new("TPM2_Quote", 0x158)
            .authorised(handle, PASSWORD)
            .sized(nonce)
            .bytes(&[0x00, 0x10]) // the key's own scheme
            .bytes(&selection.list())
            .send(tpm);
        flush(tpm, handle)?;
        response?.read(|fields| {
            Some(Quote { attest: fields.sized()?.to_vec(), signature: fields.rest.to_vec() })
        })
    }

    /// Opens a credential: TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET, with or without the head of
    /// tpm2-tools' files.
    ///
    /// # Errors
    /// See [`TpmError`].
    pub fn activate(
        &self,
        tpm: &mut dyn Tpm,
        parent: &EndorsementKey,
        credential: &[u8],
    ) -> Result<Vec<u8>, TpmError> {
        /// Magic and version of such a file.
        const FILE_HEAD: [u8; 8] = [0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1];
        let credential = credential.strip_prefix(&FILE_HEAD).unwrap_or(credential);
        let handle = self.load(tpm, parent)?;
        let session = parent.session(tpm);
        let response = session.and_then(|session| {
            Command::new("TPM2_ActivateCredential", 0x147)
                .authorised(handle, PASSWORD)
                .authorised(parent.handle, session)
                .bytes(credential)
                .send(tpm)
        });
        flush(tpm, handle)?;
        response?.read(|fields| fields.sized().map(<[u8]>::to_vec))
    }

    fn load(&self, tpm: &mut dyn Tpm, parent: &EndorsementKey) -> Result<u32, TpmError> {
        let session = parent.session(tpm)?;
        let response = Command::new("TPM2_Load", 0x157)
            .authorised(parent.handle, session)
            .sized(&self.private)
            .sized(&self.public)
            .gives_handle()
            .send(tpm)?;
        Ok(response.handle)
    }

    /// As text, to be kept until a credential comes.
    #[must_use]
    pub fn to_text(&self) -> String {
        let (private, public) = (hex::encode(&self.private), hex::encode(&self.public));
        format!("{}\n{private}\n{public}\n", self.parent.name())
    }

    /// Reads what [`Self::to_text`] wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let parent = EkKind::from_name(lines.next()?)?;
        let private = hex::decode(lines.next()?).ok()?;
        let public = hex::decode(lines.next()?).ok()?;
        Some(Self { parent, private, public })
    }
}

/// The values of PCRs, by number.
///
/// # Errors
/// See [`TpmError`].
pub fn read_registers(
    tpm: &mut dyn Tpm,
    selection: Selection,
) -> Result<Vec<(u32, Vec<u8>)>, TpmError> {
    let mut values = Vec::new();
    let mut left = selection;
    // The TPM gives as many as it likes, and says which.
    for _ in 0..READS_MAX {
        if left.registers == 0 {
            break;
        }
        let response = Command::new("TPM2_PCR_Read", 0x17e).bytes(&left.list()).send(tpm)?;
        let (read, digests) = parse_registers(&response)?;
        let numbers = (0..32).filter(|number| read >> number & 1 == 1);
        values.extend(numbers.zip(digests));
        left.registers &= !read;
        if read == 0 {
            return Err(TpmError::Malformed("TPM2_PCR_Read"));
        }
    }
    Ok(values)
}

fn parse_registers(response: &Response) -> Result<(u32, Vec<Vec<u8>>), TpmError> {
    response.read(|fields: &mut Fields<'_>| {
        let _update_counter = fields.u32()?;
        if fields.u32()? != 1 {
            return None;
        }
        let _bank = fields.u16()?;
        let size = usize::from(fields.u8()?);
        let mut registers = [0; 4];
        registers.get_mut(..size)?.copy_from_slice(fields.bytes(size)?);
        let count = fields.u32()?.min(8);
        let digests: Option<Vec<Vec<u8>>> =
            (0..count).map(|_| fields.sized().map(<[u8]>::to_vec)).collect();
        Some((u32::from_le_bytes(registers), digests?))
    })
}

fn flush(tpm: &mut dyn Tpm, handle: u32) -> Result<(), TpmError> {
    // The handle is a parameter here (Part 3, 28.4).
    Command::new("TPM2_FlushContext", 0x165).bytes(&handle.to_be_bytes()).send(tpm).map(|_| ())
}
