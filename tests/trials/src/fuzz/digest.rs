// SPDX-License-Identifier: MIT OR Apache-2.0
//! A digest of all that a failed command must leave alone. What it may change is left out: the
//! counters of failed authorisations, Clock, and the random bit generator (see the engine's
//! `pipeline`).

use tpm::crypto::hash::HashAlgorithm;
use tpm::state::State;
use tpm::state::pcr::BANKS;
use tpm::structure::handle::Handle;
use tpm::structure::nv::NvType;
use tpm::structure::pcr_selection::PCR_COUNT;
use tpm::wire::{Marshal, Writer};

/// Octets of the longest part.
const PART_SIZE_MAX: usize = 16 * 1024;

/// A digest of each group of the state, with the group's name.
pub fn of(state: &State) -> Vec<(&'static str, Vec<u8>)> {
    let mut permanent = (*state.permanent).clone();
    permanent.dictionary_attack.failed_tries = 0;
    permanent.dictionary_attack.is_lockout_auth_enabled = false;
    let mode = format!("{:?}", state.mode).into_bytes();
    vec![
        ("mode", mode),
        ("permanent", octets(&permanent)),
        ("clear", octets(&*state.clear)),
        ("reset", octets(&*state.reset)),
        ("PCRs", pcrs(state)),
        ("NV", nv(state)),
        ("persistent objects", persistents(state)),
        ("transient objects", transients(state)),
        ("sessions", sessions(state)),
    ]
}

fn digest(octets: &[u8]) -> Vec<u8> {
    HashAlgorithm::Sha256.digest(&[octets]).as_bytes().to_vec()
}

fn octets(value: &impl Marshal) -> Vec<u8> {
    let mut buffer = vec![0; PART_SIZE_MAX];
    let mut writer = Writer::new(&mut buffer);
    writer.value(value).expect("a part fits");
    digest(writer.written())
}

fn pcrs(state: &State) -> Vec<u8> {
    let mut all = Vec::new();
    for bank in BANKS {
        for index in 0..PCR_COUNT {
            let value = state.pcrs.values.get(bank, index);
            all.extend_from_slice(value.map_or(&[], |value| value.as_bytes()));
        }
    }
    digest(&all)
}

fn nv(state: &State) -> Vec<u8> {
    let mut all = Vec::new();
    for index in state.nv.iter() {
        all.extend(octets(&index.public));
        all.extend(octets(&index.auth));
        // A wrong password counts in a PIN-fail index.
        if index.public.attributes.nv_type() != Some(NvType::PinFail) {
            all.extend_from_slice(state.nv.data(index.public.index));
        }
    }
    digest(&all)
}

fn persistents(state: &State) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in state.persistents.iter() {
        all.extend_from_slice(&entry.handle.0.to_be_bytes());
        all.extend(octets(&entry.object));
    }
    digest(&all)
}

fn transients(state: &State) -> Vec<u8> {
    let mut all = Vec::new();
    for handle in state.transients.handles() {
        all.extend_from_slice(&handle.0.to_be_bytes());
        if let Some(transient) = state.transients.get(handle) {
            all.extend(octets(transient));
        }
    }
    digest(&all)
}

fn sessions(state: &State) -> Vec<u8> {
    let mut all = format!("{:?}", state.sessions.exclusive).into_bytes();
    for (number, active) in (0_u32..).zip(state.sessions.active()) {
        all.extend_from_slice(format!("{active:?}").as_bytes());
        for kind in [Handle::HMAC_SESSION_FIRST, Handle::POLICY_SESSION_FIRST] {
            if let Some(session) = state.sessions.get(Handle(kind.0 + number)) {
                all.extend(octets(session));
            }
        }
    }
    digest(&all)
}
