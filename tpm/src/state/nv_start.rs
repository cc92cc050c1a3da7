// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a start does to NV indices (Part 1, 34.7 and 34.8; Part 2, 13.4).

use super::State;
use crate::structure::nv::NvAttributes;

impl State {
    /// Ends locks that last until a Reset or Restart, and forgets what is not to outlive one.
    pub fn start_nv(&mut self, is_resume: bool) {
        if is_resume {
            return;
        }
        let volatile = NvAttributes::READ_LOCKED
            .with(NvAttributes::WRITE_LOCKED)
            .with(NvAttributes::CLEAR_ST_CLEAR);
        for slot in &mut self.nv.indices {
            let attributes = slot.as_ref().map(|index| index.public.attributes);
            if let Some(attributes) = attributes.filter(|found| found.intersects(volatile))
                && let Some(index) = slot.change()
            {
                index.public.attributes = attributes.after_clear();
            }
        }
    }
}

impl NvAttributes {
    /// The attributes after a Reset or Restart.
    const fn after_clear(self) -> Self {
        let unlocked = self.without(Self::READ_LOCKED);
        // A lock with WRITEDEFINE is for good, once the index is written.
        let stays_locked = self.contains(Self::WRITE_DEFINE.with(Self::WRITTEN));
        let unlocked = if stays_locked { unlocked } else { unlocked.without(Self::WRITE_LOCKED) };
        if self.contains(Self::CLEAR_ST_CLEAR) { unlocked.without(Self::WRITTEN) } else { unlocked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_for_good_stays() {
        let locked = NvAttributes::WRITE_LOCKED.with(NvAttributes::WRITTEN);
        assert!(!locked.after_clear().contains(NvAttributes::WRITE_LOCKED));
        let defined = locked.with(NvAttributes::WRITE_DEFINE);
        assert!(defined.after_clear().contains(NvAttributes::WRITE_LOCKED));
        let read = NvAttributes::READ_LOCKED.with(NvAttributes::CLEAR_ST_CLEAR);
        let read = read.with(NvAttributes::WRITTEN).after_clear();
        assert_eq!(read, NvAttributes::CLEAR_ST_CLEAR);
    }
}
