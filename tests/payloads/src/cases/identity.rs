// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the secure processor makes of the ID block that the launch ended with. AMD 56860, 7.2, 7.3
//! and 8.18.

use snp_abi::guest_request::{GuestFields, KeyRequest, status};
use zerocopy::FromZeros;

use super::messages::{first_report, key};
use super::{FAMILY_ID, GUEST_SVN, IMAGE_ID};
use crate::{check, check_eq};

pub(super) fn report() {
    let report = first_report();
    check_eq!(report.family_id, FAMILY_ID);
    check_eq!(report.image_id, IMAGE_ID);
    check_eq!(report.guest_svn, GUEST_SVN);
    check!(report.id_key_digest != [0; 48]);
    check!(report.author_key_digest != [0; 48]);
    check!(report.id_key_digest != report.author_key_digest);
}

/// A key for a newer guest is refused; keys for this one and older ones differ from each other.
pub(super) fn derived_key() {
    let fields = GuestFields::POLICY
        | GuestFields::FAMILY_ID
        | GuestFields::IMAGE_ID
        | GuestFields::GUEST_SVN;
    let request = |guest_svn| KeyRequest {
        guest_field_select: fields.bits(),
        guest_svn,
        ..KeyRequest::new_zeroed()
    };
    let newer = key(1, &request(GUEST_SVN + 1));
    check_eq!(newer.status, status::INVALID_PARAMETER);
    check_eq!(newer.key, [0; 32]);
    let own = key(3, &request(GUEST_SVN));
    let older = key(5, &request(GUEST_SVN - 1));
    check_eq!((own.status, older.status), (status::SUCCESS, status::SUCCESS));
    check!(own.key != older.key);
    check!(key(7, &request(GUEST_SVN)).key == own.key);
}
