// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who gets the key of a persistent state: what the vTPM's options say of it.

use super::{
    accepted,
    fixture::{Case, manifest},
    tampering::Tampering,
};
use crate::{
    Reason::StateBinding as OtherBinding,
    manifest::{FreshnessRoot, State, StateBinding, VtpmOptions},
};
use snp_abi::manifest::Manifest;

pub(super) const TAMPERINGS: &[Tampering] = &[
    ("a state whose key other images get", OtherBinding, |case| {
        persist(case, VtpmOptions::STATE_OF_SIGNER);
        case.reference.state_binding = Some(StateBinding::Image);
    }),
    ("a state whose owner gives its key to anybody", OtherBinding, |case| {
        persist(case, VtpmOptions::STATE_OF_OWNER);
        case.reference.state_binding = Some(StateBinding::Signer);
    }),
    ("a state of which nobody tells who gets its key", OtherBinding, |case| {
        persist(case, VtpmOptions::empty());
        case.reference.state_binding = Some(StateBinding::Signer);
    }),
    ("a state with two answers to who gets its key", OtherBinding, |case| {
        persist(case, VtpmOptions::STATE_OF_SIGNER | VtpmOptions::STATE_OF_IMAGE);
        case.reference.state_binding = Some(StateBinding::Image);
    }),
];

/// A vTPM with a store and these options, and a report that vouches for it.
fn persist(case: &mut Case, options: VtpmOptions) {
    let keys = [case.evidence.ek_public.clone()];
    let root = FreshnessRoot { epoch: 1, sequence: 1, digest: [1; 32] };
    let made = manifest(&keys, State::Persistent(root), &case.evidence.event_log);
    let mut changed = Manifest::parse(&made).expect("a manifest");
    changed.firmware.options = options;
    let mut bytes = vec![0; made.len()];
    changed.write(&mut bytes).expect("it is as long");
    case.vouch_for(bytes);
}

#[test]
fn the_binding_that_is_wanted_is_accepted() {
    for (options, binding, told) in [
        (VtpmOptions::STATE_OF_SIGNER, StateBinding::Signer, "signer's images"),
        (VtpmOptions::STATE_OF_IMAGE, StateBinding::Image, "this very image"),
        (VtpmOptions::STATE_OF_OWNER, StateBinding::Owner, "its owner gives it"),
    ] {
        let mut case = Case::good();
        persist(&mut case, options);
        case.reference.state_binding = Some(binding);
        accepted(&case);
        assert!(case.verdict().to_string().contains(told), "{}", case.verdict());
    }
}

/// Nobody has to ask for it, and what a later version says more is no reason to refuse.
#[test]
fn what_was_not_asked_for_is_told_only() {
    let mut case = Case::good();
    persist(&mut case, VtpmOptions::from_bits_retain(1 << 31 | 0b1));
    accepted(&case);
    let verdict = case.verdict().to_string();
    for told in ["it isn't told who gets its key", "a vCPU of its own", "options 0x80000000"] {
        assert!(verdict.contains(told), "{verdict}");
    }
}
