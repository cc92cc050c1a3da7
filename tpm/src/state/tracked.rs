// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that persist: reading is free, changing marks them to be written at the next commit.

/// A value with a mark that says whether its record is out of date.
#[derive(Clone, Debug, Default)]
pub struct Tracked<T> {
    value: T,
    changed: bool,
}

impl<T> Tracked<T> {
    /// A value that is as its record has it.
    pub const fn new(value: T) -> Self {
        Self { value, changed: false }
    }

    /// The value, to be changed.
    pub const fn change(&mut self) -> &mut T {
        self.changed = true;
        &mut self.value
    }

    /// The value, to be changed in a way that need not survive a loss of power.
    pub const fn change_volatile(&mut self) -> &mut T {
        &mut self.value
    }

    /// Whether the record is out of date.
    pub const fn is_changed(&self) -> bool {
        self.changed
    }

    /// The record was written.
    pub const fn settle(&mut self) {
        self.changed = false;
    }
}

impl<T> core::ops::Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
