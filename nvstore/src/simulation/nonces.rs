// SPDX-License-Identifier: MIT OR Apache-2.0
//! A watch over the one rule of AES-GCM: no two texts under the same key and nonce.

use std::cell::RefCell;
use std::collections::HashMap;

use sha2::{Digest, Sha256};

/// What was sealed, by key and nonce.
type Seen = HashMap<([u8; 32], u64), [u8; 32]>;

std::thread_local! {
    static SEEN: RefCell<Option<Seen>> = const { RefCell::new(None) };
}

/// Watches every seal that `action` makes on this thread, and says how many there were. Only
/// meaningful when the random source of `action` does not repeat itself.
pub fn watched(action: impl FnOnce()) -> usize {
    SEEN.set(Some(Seen::new()));
    action();
    SEEN.take().map_or(0, |seen| seen.len())
}

/// Names a key while a watch is on.
pub(crate) fn key_name(key: &[u8; 32]) -> Option<[u8; 32]> {
    SEEN.with_borrow(|seen| seen.is_some().then(|| Sha256::digest(key).into()))
}

/// Takes note of a seal.
///
/// # Panics
/// When another text was sealed under this key and nonce.
pub(crate) fn note(key_name: Option<[u8; 32]>, counter: u64, associated: &[u8], text: &[u8]) {
    let Some(key_name) = key_name else { return };
    SEEN.with_borrow_mut(|seen| {
        let Some(seen) = seen else { return };
        let mut hash = Sha256::new_with_prefix(associated);
        hash.update(text);
        let sealed = hash.finalize().into();
        let earlier = seen.insert((key_name, counter), sealed);
        assert!(earlier.is_none_or(|earlier| earlier == sealed), "a nonce was used twice");
    });
}
