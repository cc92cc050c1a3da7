// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole state of the TPM in one struct, and access to its entities.
//!
//! Reading is free. What persists is [`Tracked`]: changing it marks it, and the pipeline writes
//! what is marked in one commit before the response leaves ([`commit`]).

pub mod capacity;
pub mod clock;
mod commit;
mod commitment;
mod context;
mod entity;
pub mod groups;
pub mod hierarchy;
pub mod launch;
pub mod nv;
mod nv_access;
mod nv_start;
mod nv_write;
pub mod object;
pub mod pcr;
pub mod prepared;
mod record;
mod saved;
pub mod ticket;
pub mod tracked;
mod volatile;

pub use commit::{commit, load};
pub use entity::AuthPolicy;
pub use nv_start::NvStart;
pub use saved::{restore_saved, save_state};
pub use volatile::{VOLATILE_SIZE_MAX, restore_volatile, save_volatile};

use crate::crypto::drbg::{CtrDrbg, ENTROPY_SIZE_MIN};
use crate::crypto::{CryptoError, Random};
use crate::platform::Platform;
use crate::session::Sessions;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::wire::Result;
use clock::Clock;
use groups::{Orderly, Permanent, Shutdown, StateClear, StateReset};
use launch::{Launch, Origin};
use nv::Nv;
use object::{Persistents, Transients};
use pcr::Pcrs;
use prepared::PreparedKeys;
use tracked::Tracked;
use zeroize::Zeroize;

/// What the TPM is able to do at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Powered, before TPM2_Startup.
    Initialized,
    /// After TPM2_Startup.
    Operational,
    /// A fault of its own: only TPM2_GetTestResult and TPM2_GetCapability (Part 1, 12.4).
    Failure(Fault),
}

/// Why the TPM is in failure mode; the number is what TPM2_GetTestResult tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The entropy source failed.
    Entropy,
    /// Storage can't be read, or a commit failed.
    Storage {
        /// The machine's own reason ([`crate::platform::Storage::fault_reason`]).
        reason: u16,
    },
    /// A record in storage is damaged, or of a version that this engine doesn't know.
    Record,
    /// A cryptographic operation failed its own check.
    Cryptography,
    /// The engine found its own state inconsistent.
    Internal,
    /// A self-test failed.
    SelfTest,
}

/// The state. It is large: put it in a `static` or on the heap, not on a stack.
#[derive(Debug)]
pub struct State {
    /// What the TPM is able to do.
    pub mode: Mode,
    /// What outlives power.
    pub permanent: Tracked<Permanent>,
    /// What outlives power but is written now and then.
    pub orderly: Tracked<Orderly>,
    /// What a Startup(CLEAR) resets.
    pub clear: Tracked<StateClear>,
    /// What a TPM Reset resets.
    pub reset: Tracked<StateReset>,
    /// PCRs.
    pub pcrs: Pcrs,
    /// NV indices.
    pub nv: Nv,
    /// Persistent objects.
    pub persistents: Persistents,
    /// Transient objects and sequences.
    pub transients: Transients,
    /// Keys of loaded objects that are ready for use.
    pub prepared: PreparedKeys,
    /// Sessions.
    pub sessions: Sessions,
    /// Time and Clock.
    pub clock: Clock,
    /// Authenticated countdown timers.
    pub timers: [Timer; capacity::TIMERS],
    /// How the TPM was started.
    pub origin: Origin,
    /// Measurements beside the commands.
    pub launch: Launch,
    /// How the TPM had been shut down when it started, for TPMA_STARTUP_CLEAR.orderly.
    pub shutdown_before: Shutdown,
    /// The command is TPM2_Shutdown: what it changes does not make its own record useless.
    pub is_shutting_down: bool,
    /// Primary seeds that were made anew since the program started.
    pub seed_changes: u64,
    /// The random bit generator; there is one from power-on to failure.
    drbg: Option<CtrDrbg>,
}

/// An authenticated countdown timer (Part 1, 40).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// TPM time at which it expires; `None` when it isn't running, all ones when it never expires.
    pub expires_ms: Option<u64>,
    /// Signaled.
    pub is_signaled: bool,
    /// The signal survives a Resume.
    pub preserves_signaled: bool,
    /// It was set since the last TPM2_Startup.
    pub is_set: bool,
}

impl Timer {
    /// Neither runs nor signals.
    pub const STOPPED: Self =
        Self { expires_ms: None, is_signaled: false, preserves_signaled: false, is_set: false };
    /// The timeout in seconds of one that never expires.
    pub const NEVER_S: u32 = u32::MAX;

    /// Lets it run so many seconds from now on; none stop it.
    pub fn run(&mut self, timeout_s: u32, now_ms: u64) {
        self.expires_ms = match timeout_s {
            0 => None,
            Self::NEVER_S => Some(u64::MAX),
            _ => Some(now_ms.saturating_add(u64::from(timeout_s).saturating_mul(1000))),
        };
    }

    /// The seconds that are left.
    pub fn left_s(&self, now_ms: u64) -> u32 {
        let left_ms = self.expires_ms.unwrap_or_default().saturating_sub(now_ms);
        u32::try_from(left_ms.div_ceil(1000)).unwrap_or(Self::NEVER_S)
    }
}

impl Fault {
    /// The number of the fault; in its upper half the reason that the machine gave.
    pub const fn number(self) -> u32 {
        match self {
            Self::Entropy => 1,
            // A u16 in a u32, in a constant function.
            Self::Storage { reason } => 2 | (reason as u32) << 16,
            Self::Record => 3,
            Self::Cryptography => 4,
            Self::Internal => 5,
            Self::SelfTest => 6,
        }
    }
}

impl State {
    /// Before power-on.
    pub const fn new() -> Self {
        Self {
            mode: Mode::Initialized,
            permanent: Tracked::new(Permanent::EMPTY),
            orderly: Tracked::new(Orderly::EMPTY),
            clear: Tracked::new(StateClear::INITIAL),
            reset: Tracked::new(StateReset::EMPTY),
            pcrs: Pcrs::new(),
            nv: Nv::new(),
            persistents: Persistents::new(),
            transients: Transients::new(),
            prepared: PreparedKeys::new(),
            sessions: Sessions::new(),
            clock: Clock::new(),
            timers: [Timer::STOPPED; capacity::TIMERS],
            origin: Origin { locality: 0, is_measured: false },
            launch: Launch::NONE,
            shutdown_before: Shutdown::None,
            is_shutting_down: false,
            seed_changes: 0,
            drbg: None,
        }
    }

    /// Enters failure mode; the first fault stays the reason.
    pub fn fail(&mut self, fault: Fault) -> ResponseCode {
        if !matches!(self.mode, Mode::Failure(_)) {
            self.mode = Mode::Failure(fault);
        }
        ResponseCode::FAILURE
    }

    /// Enters failure mode because of what storage did.
    pub fn fail_storage(&mut self, platform: &mut dyn Platform) -> ResponseCode {
        let reason = platform.storage().fault_reason();
        self.fail(Fault::Storage { reason })
    }

    /// Seeds the random bit generator from the platform, mixing in what it already had.
    pub fn seed_random(&mut self, platform: &mut dyn Platform) -> Result<()> {
        let mut entropy = [0; ENTROPY_SIZE_MIN];
        let seeded = platform.entropy(&mut entropy).map_err(|_| CryptoError::Random);
        let seeded = seeded.and_then(|()| match &mut self.drbg {
            Some(drbg) => drbg.reseed(&[&entropy]),
            None => CtrDrbg::new(&[&entropy, b"Macadamia TPM"]).map(|drbg| self.drbg = Some(drbg)),
        });
        entropy.zeroize();
        seeded.map_err(|_| self.fail(Fault::Entropy))
    }

    /// The random bit generator, or failure mode.
    pub fn random(&mut self) -> Result<&mut CtrDrbg> {
        if self.drbg.is_none() {
            return Err(self.fail(Fault::Entropy));
        }
        self.drbg.as_mut().ok_or(ResponseCode::FAILURE)
    }

    /// Fills `bytes` from the random bit generator.
    pub fn fill_random(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.random()?.fill(bytes).map_err(|_| self.fail(Fault::Entropy))
    }

    /// Whether the generator has given out enough to be seeded again.
    pub fn wants_reseed(&self) -> bool {
        self.drbg.as_ref().is_none_or(CtrDrbg::wants_reseed)
    }

    /// What the generator would give, to see whether it was drawn from.
    #[cfg(test)]
    pub(crate) fn random_fingerprint(&self) -> Option<crate::crypto::hash::Digest> {
        self.drbg.as_ref().map(CtrDrbg::fingerprint)
    }

    /// Whether a hierarchy can be used; the NULL hierarchy always can.
    pub fn is_hierarchy_enabled(&self, hierarchy: Handle) -> bool {
        match hierarchy {
            Handle::OWNER => self.clear.is_owner_enabled,
            Handle::ENDORSEMENT => self.clear.is_endorsement_enabled,
            Handle::PLATFORM => self.clear.is_platform_enabled,
            _ => true,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}
