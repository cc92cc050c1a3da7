// SPDX-License-Identifier: MIT OR Apache-2.0
//! The certificate of an endorsement key, which the TPM keeps in an NV index if somebody put it
//! there (TCG EK Credential Profile, 2.2.1).

use crate::command::{Command, PASSWORD, Tpm, TpmError};
use crate::endorsement::EkKind;

/// Bytes of the longest certificate.
const CERTIFICATE_BYTES_MAX: u16 = 2048;
/// Bytes that are read at a time: every TPM can do as many.
const CHUNK_BYTES: u16 = 512;

/// Reads the certificate of a standard endorsement key; empty when the TPM has none that everybody
/// can read.
///
/// # Errors
/// The TPM can't be reached, or answers with what is no response.
pub fn read(tpm: &mut dyn Tpm, kind: EkKind) -> Result<Vec<u8>, TpmError> {
    match read_index(tpm, kind.certificate_index()) {
        Err(TpmError::Refused(..)) => Ok(Vec::new()),
        other => other,
    }
}

fn read_index(tpm: &mut dyn Tpm, index: u32) -> Result<Vec<u8>, TpmError> {
    let size = size(tpm, index)?;
    let mut content = Vec::new();
    for offset in (0..size).step_by(usize::from(CHUNK_BYTES)) {
        let length = CHUNK_BYTES.min(size.saturating_sub(offset));
        // Authorised by the index itself, whose password is empty.
        let response = Command::new("TPM2_NV_Read", 0x14e)
            .authorised(index, PASSWORD)
            .handle(index)
            .bytes(&length.to_be_bytes())
            .bytes(&offset.to_be_bytes())
            .send(tpm)?;
        content.extend(response.read(|fields| fields.sized().map(<[u8]>::to_vec))?);
    }
    Ok(content)
}

/// The size of an index.
fn size(tpm: &mut dyn Tpm, index: u32) -> Result<u16, TpmError> {
    const NAME: &str = "TPM2_NV_ReadPublic";
    let response = Command::new(NAME, 0x169).handle(index).send(tpm)?;
    // TPM2B_NV_PUBLIC: index, algorithm of the Name, attributes, policy, size of the data.
    let size = response.read(|fields| {
        let _length = fields.u16()?;
        fields.bytes(4 + 2 + 4)?;
        fields.sized()?;
        fields.u16()
    })?;
    if size > CERTIFICATE_BYTES_MAX {
        return Err(TpmError::Malformed(NAME));
    }
    Ok(size)
}
