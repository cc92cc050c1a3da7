// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which implementation multiplies.

#[cfg(target_arch = "x86_64")]
use super::adx::Adx;

/// An implementation of Montgomery multiplication.
#[derive(Clone, Copy, Debug)]
pub struct Backend(pub(super) Kind);

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Adx(Adx),
}

impl Backend {
    /// The one that runs everywhere.
    #[must_use]
    pub const fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// The fastest one that this processor can run. Asks the processor: keep the answer.
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(adx) = Adx::detect() {
            return Self(Kind::Adx(adx));
        }
        Self::portable()
    }

    /// Whether this is the portable one.
    #[must_use]
    pub const fn is_portable(self) -> bool {
        matches!(self.0, Kind::Portable)
    }
}
