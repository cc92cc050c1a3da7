// SPDX-License-Identifier: MIT OR Apache-2.0
//! State by how long it lives (Part 1, 12.2): what outlives power, what a Startup(CLEAR) resets,
//! and what only a TPM Reset resets.

use super::hierarchy::{EntityPolicy, Hierarchy, Seed};
use super::pcr::PcrAllocation;
use crate::command::CommandSet;
use crate::crypto::hash::{Digest, HashAlgorithm};
use crate::structure::command_code::CommandCode;
use crate::structure::digest::Auth;

/// Protection against dictionary attacks (Part 1, 19.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DictionaryAttack {
    /// Failures that still count.
    pub failed_tries: u32,
    /// Failures until lockout; 0 is always lockout.
    pub max_tries: u32,
    /// Seconds until a failure no longer counts; 0 disables the protection.
    pub recovery_time_s: u32,
    /// Seconds until lockoutAuth may be used after a failure; 0 is until the next Startup.
    pub lockout_recovery_s: u32,
    /// Whether lockoutAuth may be used.
    pub is_lockout_auth_enabled: bool,
}

impl DictionaryAttack {
    /// As manufactured, and after TPM2_Clear (of the parameters, what Part 3 says).
    pub const DEFAULT: Self = Self {
        failed_tries: 0,
        max_tries: 3,
        recovery_time_s: 1000,
        lockout_recovery_s: 1000,
        is_lockout_auth_enabled: true,
    };

    /// Whether DA-protected entities are locked.
    pub const fn is_locked_out(&self) -> bool {
        self.recovery_time_s != 0 && self.failed_tries >= self.max_tries
    }
}

/// Command audit (Part 1, 31.3).
#[derive(Clone, Debug)]
pub struct CommandAudit {
    /// The algorithm of the audit digest.
    pub algorithm: HashAlgorithm,
    /// The commands that are audited beside the one that always is.
    pub commands: CommandSet,
    /// Counts digests begun.
    pub counter: u64,
}

impl CommandAudit {
    /// Whether a command is audited: TPM2_SetCommandCodeAuditStatus always is (Part 3, 21.2).
    pub fn audits(&self, code: CommandCode) -> bool {
        code == CommandCode::SET_COMMAND_CODE_AUDIT_STATUS || self.commands.contains(code)
    }
}

/// What outlives power and is changed by commands.
#[derive(Clone, Debug)]
pub struct Permanent {
    /// The owner or storage hierarchy.
    pub owner: Hierarchy,
    /// The endorsement hierarchy.
    pub endorsement: Hierarchy,
    /// The platform hierarchy; its authorisation is part of [`StateClear`].
    pub platform: Hierarchy,
    /// lockoutAuth.
    pub lockout_auth: Auth,
    /// lockoutPolicy.
    pub lockout_policy: EntityPolicy,
    /// TPM2_Clear is disabled.
    pub is_clear_disabled: bool,
    /// Dictionary attack protection.
    pub dictionary_attack: DictionaryAttack,
    /// PCRs to allocate at the next Startup.
    pub pcr_allocation: PcrAllocation,
    /// The policy of the PCR group.
    pub pcr_policy: EntityPolicy,
    /// Command audit.
    pub audit: CommandAudit,
    /// Commands that need physical presence with platformAuth.
    pub physical_presence_commands: CommandSet,
    /// TPM Resets since the last TPM2_Clear.
    pub reset_count: u32,
    /// TPM Resets since manufacture.
    pub total_reset_count: u64,
    /// The greatest value of any NV counter that was deleted.
    pub nv_counter_max: u64,
    /// TPM2_SetAlgorithmSet.
    pub algorithm_set: u32,
    /// The seeds and proofs are made.
    pub is_manufactured: bool,
}

impl Permanent {
    /// Before manufacture.
    pub const EMPTY: Self = Self {
        owner: Hierarchy::EMPTY,
        endorsement: Hierarchy::EMPTY,
        platform: Hierarchy::EMPTY,
        lockout_auth: Auth::EMPTY,
        lockout_policy: EntityPolicy { algorithm: None, digest: Digest::EMPTY },
        is_clear_disabled: false,
        dictionary_attack: DictionaryAttack::DEFAULT,
        pcr_allocation: PcrAllocation::ALL,
        pcr_policy: EntityPolicy { algorithm: None, digest: Digest::EMPTY },
        audit: CommandAudit {
            algorithm: HashAlgorithm::Sha256,
            commands: CommandSet::EMPTY,
            counter: 0,
        },
        physical_presence_commands: CommandSet::EMPTY,
        reset_count: 0,
        total_reset_count: 0,
        nv_counter_max: 0,
        algorithm_set: 0,
        is_manufactured: false,
    };
}

/// How the TPM was shut down (TPM_SU, and what else a loss of power means).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shutdown {
    /// Not at all: state changed since the last Startup.
    None = 0,
    /// Not at all, and a DA-protected entity was used: losing power counts as a failed try.
    NoneAfterDaUse = 1,
    /// TPM2_Shutdown(CLEAR).
    Clear = 2,
    /// TPM2_Shutdown(STATE): the saved record belongs to it.
    State = 3,
}

/// What outlives power but is written only now and then.
#[derive(Clone, Debug)]
pub struct Orderly {
    /// Clock as last written: at most [`super::capacity::CLOCK_UPDATE_MS`] behind.
    pub clock_ms: u64,
    /// How the TPM was shut down.
    pub shutdown: Shutdown,
    /// Whether Clock was safe at the shutdown.
    pub is_clock_safe: bool,
}

impl Orderly {
    /// As manufactured.
    pub const EMPTY: Self = Self { clock_ms: 0, shutdown: Shutdown::Clear, is_clock_safe: true };
}

/// STATE_CLEAR_DATA: kept over a Resume, reset by Startup(CLEAR).
#[derive(Clone, Debug)]
pub struct StateClear {
    /// shEnable.
    pub is_owner_enabled: bool,
    /// ehEnable.
    pub is_endorsement_enabled: bool,
    /// phEnable: not kept, every Startup sets it.
    pub is_platform_enabled: bool,
    /// phEnableNV.
    pub is_platform_nv_enabled: bool,
    /// platformAuth.
    pub platform_auth: Auth,
    /// platformPolicy.
    pub platform_policy: EntityPolicy,
    /// The authorisation value of the PCR group.
    pub pcr_auth: Auth,
    /// TPM2_ReadOnlyControl.
    pub is_read_only: bool,
    /// Policies of the authenticated countdown timers.
    pub timer_policy: [EntityPolicy; super::capacity::TIMERS],
}

impl StateClear {
    /// After Startup(CLEAR).
    pub const INITIAL: Self = Self {
        is_owner_enabled: true,
        is_endorsement_enabled: true,
        is_platform_enabled: true,
        is_platform_nv_enabled: true,
        platform_auth: Auth::EMPTY,
        platform_policy: EntityPolicy { algorithm: None, digest: Digest::EMPTY },
        pcr_auth: Auth::EMPTY,
        is_read_only: false,
        timer_policy: [EntityPolicy { algorithm: None, digest: Digest::EMPTY };
            super::capacity::TIMERS],
    };
}

/// STATE_RESET_DATA: kept over a Resume and a Restart, reset by a TPM Reset.
#[derive(Clone, Debug)]
pub struct StateReset {
    /// The seed of the NULL hierarchy.
    pub null_seed: Seed,
    /// The proof of the NULL hierarchy.
    pub null_proof: Seed,
    /// Resumes and Restarts since the last TPM Reset.
    pub restart_count: u32,
    /// TPM Restarts (not Resumes) since the last TPM Reset.
    pub clear_count: u32,
    /// Counts saved object contexts.
    pub object_context_count: u64,
    /// Counts started and saved sessions: the next number.
    pub session_context_count: u64,
    /// The command audit digest; empty before the first audited command.
    pub command_audit_digest: Digest,
    /// pcrUpdateCounter.
    pub pcr_counter: u32,
    /// Key material of TPM2_Commit, counter and the bits of the counters in use.
    pub commit: Commit,
}

/// State of the two-phase operations (Part 1, annex C.2).
#[derive(Clone, Debug)]
pub struct Commit {
    /// commitRandom.
    pub random: Seed,
    /// The next counter.
    pub counter: u64,
    /// A bit for each counter that is committed and not used.
    pub outstanding: [u8; COMMIT_BITMAP_SIZE],
}

/// Octets of the commit bit map: so many bits are the commits that can be outstanding.
pub const COMMIT_BITMAP_SIZE: usize = 16;

impl StateReset {
    /// Before the first TPM Reset.
    pub const EMPTY: Self = Self {
        null_seed: Seed::EMPTY,
        null_proof: Seed::EMPTY,
        restart_count: 0,
        clear_count: 0,
        object_context_count: 0,
        session_context_count: 0,
        command_audit_digest: Digest::EMPTY,
        pcr_counter: 0,
        commit: Commit { random: Seed::EMPTY, counter: 0, outstanding: [0; COMMIT_BITMAP_SIZE] },
    };
}
