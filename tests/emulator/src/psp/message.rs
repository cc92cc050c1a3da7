// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens and seals messages. AMD 56860, chapter 7 and 8.26.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use snp_abi::{
    Vmpl,
    guest_request::{HEADER_SIZE, HeaderError, MessageHeader, PAYLOAD_MAX, TAG_SIZE, status},
};
use zerocopy::{FromBytes, IntoBytes};
use zeroize::Zeroizing;

use super::{FirmwareError, INVALID_PARAMETER, MessagePage, launch::MessageKeys};

/// A request whose tag was right.
pub(super) struct Opened {
    pub(super) header: MessageHeader,
    /// The level whose key it came under.
    pub(super) sender: Vmpl,
    payload: Zeroizing<[u8; PAYLOAD_MAX]>,
}

impl Opened {
    /// The request in clear.
    pub(super) fn payload(&self) -> &[u8] {
        self.payload.get(..usize::from(self.header.message_size)).unwrap_or_default()
    }
}

/// Checks and decrypts a request. Its sequence number is the caller's to check.
pub(super) fn open(page: &MessagePage, keys: &MessageKeys) -> Result<Opened, FirmwareError> {
    let (header, ciphertext) =
        MessageHeader::read_from_prefix(page).map_err(|_| INVALID_PARAMETER)?;
    let sender = header.check().map_err(|error| match error {
        HeaderError::Sequence => FirmwareError(status::AEAD_OVERFLOW),
        _ => INVALID_PARAMETER,
    })?;
    let size = usize::from(header.message_size);
    // The cipher's blocks: the firmware takes whole ones.
    if size == 0 || !size.is_multiple_of(16) {
        return Err(INVALID_PARAMETER);
    }
    let mut payload = Zeroizing::new([0; PAYLOAD_MAX]);
    let text = payload.get_mut(..size).ok_or(INVALID_PARAMETER)?;
    text.copy_from_slice(ciphertext.get(..size).ok_or(INVALID_PARAMETER)?);
    let tag = header.tag.first_chunk::<TAG_SIZE>().ok_or(INVALID_PARAMETER)?;
    cipher(keys, sender)?
        .decrypt_inout_detached(
            &header.iv().into(),
            header.authenticated_part(),
            text.into(),
            &(*tag).into(),
        )
        .map_err(|_| FirmwareError(status::BAD_MEASUREMENT))?;
    Ok(Opened { header, sender, payload })
}

/// Encrypts an answer under the key that its header names. The rest of the page becomes zeros.
pub(super) fn seal(
    mut header: MessageHeader,
    payload: &[u8],
    keys: &MessageKeys,
    page: &mut MessagePage,
) -> Result<(), FirmwareError> {
    page.fill(0);
    let sender = header.check().map_err(|_| INVALID_PARAMETER)?;
    let (head, body) = page.split_at_mut(HEADER_SIZE);
    let text = body.get_mut(..payload.len()).ok_or(INVALID_PARAMETER)?;
    text.copy_from_slice(payload);
    let sealed = cipher(keys, sender)?.encrypt_inout_detached(
        &header.iv().into(),
        header.authenticated_part(),
        text.into(),
    );
    let Ok(tag) = sealed else {
        page.fill(0);
        return Err(INVALID_PARAMETER);
    };
    for (place, byte) in header.tag.iter_mut().zip(tag) {
        *place = byte;
    }
    head.copy_from_slice(header.as_bytes());
    Ok(())
}

fn cipher(keys: &MessageKeys, level: Vmpl) -> Result<Aes256Gcm, FirmwareError> {
    let key = keys.key(level.index()).ok_or(INVALID_PARAMETER)?;
    Aes256Gcm::new_from_slice(key).map_err(|_| INVALID_PARAMETER)
}
