// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys that only this chip can make, and only for this guest. AMD 56860, 7.2.
//!
//! What goes into a key is as the firmware has it; how it is mixed isn't published and here simply
//! HMAC-SHA-384, cut to 32 bytes.

use snp_abi::{
    Vmpl,
    guest_request::{GuestFields, KeyRequest, KeyResponse, status},
};
use zerocopy::FromZeros;
use zeroize::Zeroizing;

use super::{
    chip::{Chip, Tcb, keyed_digest},
    launch::Guest,
};

/// Bit of `root_key_select`: the guest's own migratable root rather than the chip's.
const ROOT_VMRK: u32 = 1;
/// Value of `root_key_select` without that bit: only a VLEK, which this chip doesn't have.
const KEY_SELECT_VLEK: u32 = 2;

/// Answers a request for a key that came under the VMPCK of `sender`.
pub(super) fn answer(
    chip: &Chip,
    guest: &Guest,
    sender: Vmpl,
    request: &KeyRequest,
) -> KeyResponse {
    let mut response = KeyResponse::new_zeroed();
    match derive(chip, guest, sender, request) {
        Ok(key) => {
            for (place, byte) in response.key.iter_mut().zip(key.iter()) {
                *place = *byte;
            }
        }
        Err(status) => response.status = status,
    }
    response
}

fn derive(
    chip: &Chip,
    guest: &Guest,
    sender: Vmpl,
    request: &KeyRequest,
) -> Result<Zeroizing<[u8; 48]>, u32> {
    let (vmpl, fields) = request.check(sender).map_err(|error| error.status())?;
    // No migration agent has given this guest a root key.
    if request.root_key_select & ROOT_VMRK != 0 || request.root_key_select >> 1 == KEY_SELECT_VLEK {
        return Err(status::INVALID_KEY);
    }
    let tcb = if fields.contains(GuestFields::TCB_VERSION) {
        Tcb::decode(request.tcb_version)
            .filter(|tcb| tcb.is_within(Chip::TCB))
            .ok_or(status::INVALID_PARAMETER)?
    } else {
        Chip::TCB
    };
    if fields.contains(GuestFields::GUEST_SVN) && request.guest_svn > guest.identity.guest_svn {
        return Err(status::INVALID_PARAMETER);
    }
    let root = Chip::root_secret(tcb);
    Ok(mix(root.as_slice(), chip, guest, vmpl, fields, request))
}

/// Every field has its place and length, selected or not, so that no two choices collide.
fn mix(
    root: &[u8],
    chip: &Chip,
    guest: &Guest,
    vmpl: Vmpl,
    fields: GuestFields,
    request: &KeyRequest,
) -> Zeroizing<[u8; 48]> {
    let identity = &guest.identity;
    let (signer_kind, signer) = match identity.author_key_digest {
        Some(author) => (2u8, author),
        None if identity.id_key_digest != [0; 48] => (1, identity.id_key_digest),
        None => (0, [0; 48]),
    };
    let selected = |field: GuestFields, value: u64| {
        if fields.contains(field) { value.to_le_bytes() } else { [0; 8] }
    };
    let id = |field: GuestFields, value: [u8; 16]| {
        if fields.contains(field) { value } else { [0; 16] }
    };
    let measurement =
        if fields.contains(GuestFields::MEASUREMENT) { guest.digest } else { [0; 48] };
    keyed_digest(
        root,
        &[
            b"Macadamia-SVSM test derived key",
            chip.chip_id(),
            &[vmpl as u8, signer_kind],
            &signer,
            &guest.host_data,
            &fields.bits().to_le_bytes(),
            &selected(GuestFields::POLICY, guest.policy.bits()),
            &id(GuestFields::IMAGE_ID, identity.image_id),
            &id(GuestFields::FAMILY_ID, identity.family_id),
            &measurement,
            &selected(GuestFields::GUEST_SVN, u64::from(request.guest_svn)),
            &selected(GuestFields::TCB_VERSION, request.tcb_version),
        ],
    )
}
