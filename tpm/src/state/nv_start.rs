// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a TPM Reset or Restart does to NV indices (Part 1, 34.7 and 34.8; Part 2, 13.4). A Resume
//! does nothing to them.

use super::State;
use super::groups::Shutdown;
use crate::structure::nv::{NvAttributes, NvType};

/// What a TPM2_Startup is to NV indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvStart {
    /// Everything begins anew.
    Reset,
    /// Startup(CLEAR) after Shutdown(STATE).
    Restart,
    /// Everything goes on.
    Resume,
}

impl State {
    /// Ends locks that last until a Reset or Restart, and forgets what is not to outlive one.
    /// Without a shutdown the last counts of orderly counters are lost: those continue where none
    /// of them can have been.
    pub fn start_nv(&mut self, start: NvStart, shutdown: Shutdown) {
        if start == NvStart::Resume {
            return;
        }
        self.nv.change_each(|index| {
            let before = index.public.attributes;
            index.public.attributes = before.after_start(start == NvStart::Reset);
            index.public.attributes != before
        });
        if !matches!(shutdown, Shutdown::Clear | Shutdown::State) {
            self.nv.skip_lost_counts();
        }
    }
}

impl NvAttributes {
    /// The attributes after a Reset or Restart.
    fn after_start(self, is_reset: bool) -> Self {
        let is_volatile =
            self.contains(Self::CLEAR_ST_CLEAR) || is_reset && self.contains(Self::ORDERLY);
        let is_forgotten = is_volatile && self.nv_type() != Some(NvType::Counter);
        let kept = if is_forgotten { self.without(Self::WRITTEN) } else { self };
        // A lock with WRITEDEFINE is for good, once the index is written.
        let stays_locked = kept.contains(Self::WRITE_DEFINE.with(Self::WRITTEN));
        let unlocked = kept.without(Self::READ_LOCKED);
        if stays_locked { unlocked } else { unlocked.without(Self::WRITE_LOCKED) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_for_good_stays() {
        let locked = NvAttributes::WRITE_LOCKED.with(NvAttributes::WRITTEN);
        assert!(!locked.after_start(false).contains(NvAttributes::WRITE_LOCKED));
        let defined = locked.with(NvAttributes::WRITE_DEFINE);
        assert!(defined.after_start(true).contains(NvAttributes::WRITE_LOCKED));
        // An index that is unwritten again is not locked for good.
        let orderly = defined.with(NvAttributes::ORDERLY);
        assert!(orderly.after_start(false).contains(NvAttributes::WRITE_LOCKED));
        assert!(!orderly.after_start(true).contains(NvAttributes::WRITE_LOCKED));
        let read = NvAttributes::READ_LOCKED.with(NvAttributes::CLEAR_ST_CLEAR);
        let read = read.with(NvAttributes::WRITTEN).after_start(false);
        assert_eq!(read, NvAttributes::CLEAR_ST_CLEAR);
    }
}
