// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of cases: one rule each.

mod events;
mod identity;
mod instructions;
mod levels;
mod memory;
mod messages;
mod processors;

/// How a case must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Its checks hold.
    Pass,
    /// The machine ends it with this rule.
    Violation(&'static str),
    /// It asks for its end with this reason.
    Terminated {
        /// Reason set.
        set: u8,
        /// Reason code.
        code: u8,
    },
    /// The machine refuses to launch it, with this report.
    Refused(&'static str),
}

/// Who answers for the case's IGVM file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdBlock {
    /// Nobody.
    None,
    /// An ID key and an author key, with [`FAMILY_ID`], [`IMAGE_ID`] and [`GUEST_SVN`].
    Signed,
    /// The same, with another launch digest.
    OtherDigest,
    /// The same, with another SVN than the one that was signed.
    OtherSvn,
    /// The same, with an ID key that the author key has not signed.
    OtherAuthor,
}

/// The family in a case's ID block.
pub const FAMILY_ID: [u8; 16] = [0xfa; 16];
/// The image in a case's ID block.
pub const IMAGE_ID: [u8; 16] = [0x1a; 16];
/// The security version in a case's ID block.
pub const GUEST_SVN: u32 = 3;

/// One case.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// What the launch configuration names it by.
    pub name: &'static str,
    /// How it must end.
    pub expectation: Expectation,
    /// vCPUs it needs.
    pub processors: u32,
    /// Words for the machine's command line.
    pub options: &'static str,
    /// The ID block that it is launched with.
    pub id_block: IdBlock,
    /// The code; it passes by returning.
    pub run: fn(),
}

const fn passes(name: &'static str, run: fn()) -> Case {
    Case {
        name,
        expectation: Expectation::Pass,
        processors: 1,
        options: "",
        id_block: IdBlock::None,
        run,
    }
}

const fn violates(name: &'static str, rule: &'static str, run: fn()) -> Case {
    Case { expectation: Expectation::Violation(rule), ..passes(name, run) }
}

const fn refused(name: &'static str, id_block: IdBlock, report: &'static str) -> Case {
    // It is never started.
    Case { expectation: Expectation::Refused(report), id_block, ..passes(name, || {}) }
}

const fn on_two(case: Case) -> Case {
    Case { processors: 2, ..case }
}

/// Every case.
pub const CASES: &[Case] = &[
    // Memory: what may be accessed how.
    violates(
        "private-read-of-unassigned",
        "private-access-to-unassigned-page",
        memory::private_read_of_unassigned,
    ),
    violates(
        "private-write-of-unassigned",
        "private-access-to-unassigned-page",
        memory::private_write_of_unassigned,
    ),
    violates(
        "shared-read-of-private",
        "shared-access-to-private-page",
        memory::shared_read_of_private,
    ),
    violates(
        "shared-read-of-unvalidated",
        "shared-access-to-private-page",
        memory::shared_read_of_unvalidated,
    ),
    violates(
        "shared-write-of-private",
        "shared-access-to-private-page",
        memory::shared_write_of_private,
    ),
    violates("private-access-to-device", "private-access-to-device", memory::private_device),
    violates("private-access-to-machine", "private-access-to-device", memory::private_machine),
    violates("fetch-from-shared", "fetch-from-shared-page", memory::fetch_from_shared),
    violates("unvalidated-without-gate", "access-to-unvalidated-page", memory::no_gate),
    violates("table-entry-without-c-bit", "table-entry-without-c-bit", memory::table_without_c_bit),
    violates("event-stack-unvalidated", "event-delivery-fault", memory::stack_unvalidated),
    passes("unvalidated-read-is-vc", memory::unvalidated_read),
    passes("unvalidated-write-is-vc", memory::unvalidated_write),
    passes("unvalidated-alias-cr2", memory::unvalidated_alias),
    passes("shared-device-is-vc", memory::shared_device),
    passes("contents-lost-on-change", memory::contents_lost),
    passes("contents-kept-without-change", memory::contents_kept),
    passes("pages-of-a-block-differ", memory::pages_of_a_block),
    // The instructions.
    passes("validate-twice", instructions::validate_twice),
    passes("validate-wrong-size", instructions::validate_wrong_size),
    passes("validate-misaligned", instructions::validate_misaligned),
    passes("validate-block", instructions::validate_block),
    passes("validate-splits-block", instructions::validate_splits_block),
    passes("rescind-then-access", instructions::rescind_then_access),
    violates(
        "validate-unassigned",
        "pvalidate-of-unassigned-page",
        instructions::validate_unassigned,
    ),
    violates("validate-shared-address", "rmp-instruction-operand", instructions::validate_shared),
    violates("validate-unmapped", "rmp-instruction-operand", instructions::validate_unmapped),
    passes("rmpadjust-own-level", instructions::adjust_own_level),
    passes("rmpadjust-bad-operands", instructions::adjust_bad_operands),
    passes("rmpadjust-sizes", instructions::adjust_sizes),
    passes("rmpadjust-unvalidated-is-vc", instructions::adjust_unvalidated),
    violates(
        "rmpadjust-unassigned",
        "rmpadjust-of-unassigned-page",
        instructions::adjust_unassigned,
    ),
    passes("rmpquery", instructions::query),
    passes("invalid-opcode-is-ud", instructions::invalid_opcode),
    passes("cpuid-is-vc", instructions::cpuid_is_vc),
    passes("port-access-is-vc", instructions::port_is_vc),
    passes("msr-is-vc", instructions::msr_is_vc),
    passes("sev-status", instructions::sev_status),
    passes("svm-instruction-is-ud", instructions::svm_is_ud),
    // GHCB: MSR protocol and events.
    violates("msr-protocol-unknown", "msr-protocol-unknown", events::unknown_request),
    violates("msr-protocol-reserved", "msr-protocol-malformed", events::malformed_request),
    violates("ghcb-private", "ghcb-not-shared", events::private_ghcb),
    violates("ghcb-nowhere", "ghcb-not-memory", events::ghcb_nowhere),
    violates("ghcb-on-machine", "ghcb-not-memory", events::ghcb_on_machine),
    violates("unsupported-event", "event-unknown", events::unsupported),
    violates("dma-control-private", "dma-to-private-memory", events::dma_control_private),
    violates("dma-to-private", "dma-to-private-memory", events::dma_to_private),
    passes("dma-to-shared", events::dma_to_shared),
    Case {
        expectation: Expectation::Terminated { set: 0xd, code: 0x42 },
        ..passes("terminate-by-msr", events::terminate_by_msr)
    },
    Case {
        expectation: Expectation::Terminated { set: 0x3, code: 0x7 },
        ..passes("terminate-by-page", events::terminate_by_page)
    },
    passes("ghcb-register-private-refused", events::register_private),
    passes("ghcb-unregistered", events::unregistered),
    passes("ghcb-usage", events::usage),
    passes("ghcb-missing-field", events::missing_field),
    passes("ghcb-bitmap-cleared", events::bitmap_cleared),
    passes("unknown-event", events::unknown_event),
    passes("sev-information", events::sev_information),
    passes("hypervisor-features", events::features),
    passes("cpuid-agrees", events::cpuid_agrees),
    passes("cpuid-policy", events::cpuid_policy),
    passes("msr-policy", events::msr_policy),
    passes("port-io", events::port_io),
    passes("port-string", events::port_string),
    passes("port-string-bounds", events::port_string_bounds),
    passes("mmio", events::mmio),
    passes("mmio-refuses-memory", events::mmio_refuses_memory),
    passes("page-state-list", events::page_state_list_works),
    passes("page-state-bad-header", events::page_state_bad_header),
    passes("page-state-bad-entry", events::page_state_bad_entry),
    passes("page-state-outside-memory", events::page_state_outside),
    passes("guest-request-bad-pages", events::guest_request_bad_pages),
    Case {
        options: "throttle=2",
        ..passes("guest-request-throttled", events::guest_request_throttled)
    },
    // Messages to the secure processor.
    passes("report", messages::report),
    passes("derived-key", messages::derived_key),
    passes("message-replayed", messages::replayed),
    passes("message-tampered", messages::tampered),
    passes("message-under-other-key", messages::other_key),
    Case { options: "throttle=1", ..passes("message-sent-again", messages::sent_again) },
    passes("certificates", messages::certificates),
    passes("certificates-elsewhere", messages::certificates_elsewhere),
    Case { options: "no-certificates", ..passes("certificates-none", messages::no_certificates) },
    // The ID block.
    Case { id_block: IdBlock::Signed, ..passes("id-block-in-report", identity::report) },
    Case { id_block: IdBlock::Signed, ..passes("id-block-in-key", identity::derived_key) },
    refused(
        "id-block-other-digest",
        IdBlock::OtherDigest,
        "status 0xb: the ID block is for another launch digest",
    ),
    refused(
        "id-block-other-svn",
        IdBlock::OtherSvn,
        "status 0xa: a signature of the ID block is wrong",
    ),
    refused(
        "id-block-other-author",
        IdBlock::OtherAuthor,
        "status 0xa: a signature of the ID block is wrong",
    ),
    // VMPLs.
    passes("vmpl2-round-trip", levels::round_trip),
    passes("vmpl2-state-is-in-the-vmsa", levels::state_in_vmsa),
    passes("vmpl2-probe", levels::probe),
    passes("vmpl2-pvalidate-is-gp", levels::pvalidate_at_vmpl2),
    passes("vmpl2-unvalidated-is-vc", levels::unvalidated_at_vmpl2),
    passes("vmpl2-may-not-create-vmpl0", levels::create_vmpl0_refused),
    passes("run-bad-vmpl", levels::run_bad_vmpl),
    violates("vmpl2-read-denied", "vmpl-permission", levels::read_denied),
    violates("vmpl2-write-denied", "vmpl-permission", levels::write_denied),
    violates("vmpl2-execute-denied", "vmpl-permission", levels::execute_denied),
    violates("vmpl2-reads-vmpl1-page", "vmpl-permission", levels::vmpl1_page),
    violates("vmpl2-permission-withdrawn", "vmpl-permission", levels::withdrawn),
    violates("vmsa-not-marked", "vmsa-not-marked", levels::not_marked),
    violates("vmsa-mark-removed", "vmsa-not-marked", levels::mark_removed),
    violates("vmsa-svme-clear", "vmsa-svme-clear", levels::svme_clear),
    violates("vmsa-wrong-vmpl", "vmsa-wrong-vmpl", levels::wrong_vmpl),
    violates("vmsa-sev-features", "vmsa-sev-features", levels::wrong_features),
    violates("vmsa-invalid-state", "vmsa-invalid-state", levels::invalid_state),
    violates("vmpl2-triple-fault", "shutdown", levels::triple_fault),
    // More than one processor.
    on_two(passes("ap-creation", processors::creation)),
    on_two(passes("ap-destroy-and-create-again", processors::destroy_and_create)),
    on_two(passes("ap-reset-hold", processors::reset_hold)),
    on_two(passes("ap-creation-refused", processors::creation_refused)),
    on_two(passes("vmsa-in-use", processors::in_use)),
    on_two(passes("permissions-reach-other-processors", processors::permissions_reach)),
    on_two(violates("vmsa-on-two-processors", "vmsa-in-use", processors::on_two_processors)),
    on_two(violates("withdrawn-on-other-processor", "vmpl-permission", processors::withdrawn)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, case) in CASES.iter().enumerate() {
            assert!(CASES[..index].iter().all(|other| other.name != case.name), "{}", case.name);
        }
    }
}
