// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions (Part 1, 19 and 30): those in memory, those whose context is saved, and their keys.

mod cipher;
mod policy;

pub use cipher::{decrypt_parameter, encrypt_parameter};
pub use policy::{PolicyAuth, PolicyBinding, PolicyState};

use zeroize::Zeroize;

use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest, HashAlgorithm};
use crate::state::capacity::{ACTIVE_SESSIONS, CONTEXT_GAP_MAX, LOADED_SESSIONS};
use crate::structure::buffer::Buffer;
use crate::structure::digest::Nonce;
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::symmetric::SymmetricDefinition;
use crate::wire::{Result, wire_enum};

wire_enum! {
    /// TPM_SE (Part 2, 6.11). Any other value is TPM_RC_VALUE.
    SessionKind: u8, else VALUE {
        /// Proves knowledge of authorisation values.
        Hmac = 0x00,
        /// Proves that a policy is satisfied.
        Policy = 0x01,
        /// Computes the digest of a policy and authorises nothing.
        Trial = 0x03,
    }
}

/// A session key: as long as a digest of the session's hash, or empty.
pub type SessionKey = Buffer<DIGEST_SIZE_MAX>;

/// A session in memory.
#[derive(Clone, Debug)]
pub struct Session {
    /// What it is for.
    pub kind: SessionKind,
    /// The hash of its HMACs and of its policy digest.
    pub hash: HashAlgorithm,
    /// How it encrypts parameters.
    pub symmetric: SymmetricDefinition,
    /// The newest nonce of the TPM.
    pub nonce_tpm: Nonce,
    /// The key; empty for a session without salt and binding.
    pub key: SessionKey,
    /// What tells whether an entity is the one that the session is bound to; see
    /// [`Session::binding_of`].
    pub bound: Option<Digest>,
    /// The bound entity is subject to dictionary-attack protection.
    pub is_bound_to_da: bool,
    /// The bound entity is lockout.
    pub is_bound_to_lockout: bool,
    /// The audit digest, once the session has audited.
    pub audit: Option<Digest>,
    /// TPM time at the start.
    pub started_ms: u64,
    /// Epoch of the start: TPM time is only comparable within one.
    pub epoch: u32,
    /// The policy so far, of a policy or trial session.
    pub policy: PolicyState,
}

impl Session {
    /// Whether it is a policy or trial session.
    pub const fn is_policy(&self) -> bool {
        matches!(self.kind, SessionKind::Policy | SessionKind::Trial)
    }

    /// Begins the policy anew, but not the session: what approved of it by its nonce until some
    /// time after its start still ends then.
    pub fn restart_policy(&mut self) {
        self.policy = PolicyState::new(self.hash);
    }

    /// Begins anew with a new nonce, as every use of a policy session does.
    pub fn begin_anew(&mut self, now_ms: u64, epoch: u32) {
        self.restart_policy();
        self.started_ms = now_ms;
        self.epoch = epoch;
    }

    /// The digest by which a bound entity is recognised: its Name and authorisation value at the
    /// start of the session. Another Name or a new value make it another entity.
    pub fn binding_of(name: &[u8], auth: &[u8]) -> Digest {
        let size = u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes();
        HashAlgorithm::Sha512.digest(&[&size, name, auth])
    }
}

impl Zeroize for Session {
    fn zeroize(&mut self) {
        self.key.zeroize();
        self.nonce_tpm.zeroize();
    }
}

/// Where the context of an active session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Active {
    /// There is no session with this number.
    Free,
    /// In memory, in this slot.
    Loaded(u8),
    /// Outside; the number is that of its only valid context.
    Saved(u64),
}

/// All sessions. A session's number, the low part of its handle, is its place among the active
/// ones; it keeps it when its context is saved and loaded.
#[derive(Debug)]
pub struct Sessions {
    active: [Active; ACTIVE_SESSIONS],
    slots: [Option<Session>; LOADED_SESSIONS],
    /// The number of the session that audits exclusively.
    pub exclusive: Option<Handle>,
}

impl Sessions {
    /// No session.
    pub const fn new() -> Self {
        Self {
            active: [Active::Free; ACTIVE_SESSIONS],
            slots: [const { None }; LOADED_SESSIONS],
            exclusive: None,
        }
    }

    /// Forgets all sessions, also the saved ones (TPM Reset).
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Forgets the loaded sessions (any loss of power).
    pub fn clear_loaded(&mut self) {
        self.slots = [const { None }; LOADED_SESSIONS];
        for active in &mut self.active {
            if let Active::Loaded(_) = active {
                *active = Active::Free;
            }
        }
        self.exclusive = None;
    }

    /// The loaded session with this handle. The kind of the handle must be the session's.
    pub fn get(&self, handle: Handle) -> Option<&Session> {
        let slot = self.slot(handle)?;
        self.slots.get(slot)?.as_ref().filter(|session| Self::fits(session, handle))
    }

    /// The loaded session with this handle, to be changed.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Session> {
        let slot = self.slot(handle)?;
        self.slots.get_mut(slot)?.as_mut().filter(|session| Self::fits(session, handle))
    }

    /// The loaded policy or trial session with this handle, for the commands that build policies.
    pub fn policy_mut(&mut self, handle: Handle) -> Result<&mut Session> {
        self.get_mut(handle).filter(|session| session.is_policy()).ok_or(ResponseCode::HANDLE)
    }

    fn fits(session: &Session, handle: Handle) -> bool {
        let is_policy_handle = handle.0 >> 24 == Handle::POLICY_SESSION_FIRST.0 >> 24;
        session.is_policy() == is_policy_handle
    }

    fn slot(&self, handle: Handle) -> Option<usize> {
        match self.active.get(handle.index())? {
            Active::Loaded(slot) if handle.is_session() => Some(usize::from(*slot)),
            _ => None,
        }
    }

    /// TPM_RC_SESSION_MEMORY without a free slot, TPM_RC_SESSION_HANDLES without a free number,
    /// TPM_RC_CONTEXT_GAP when the gap is full and the last slot is needed for the context that
    /// closes it (Part 1, 30.5).
    pub fn check_room(&self, next_counter: u64) -> Result<()> {
        match self.free_slots() {
            0 => return Err(ResponseCode::SESSION_MEMORY),
            1 => self.check_gap(next_counter)?,
            _ => {}
        }
        if !self.active.contains(&Active::Free) {
            return Err(ResponseCode::SESSION_HANDLES);
        }
        Ok(())
    }

    /// TPM_RC_CONTEXT_GAP when counting on would make the oldest saved context too old.
    pub fn check_gap(&self, next_counter: u64) -> Result<()> {
        match self.oldest_saved() {
            Some(oldest) if next_counter.saturating_sub(oldest) >= CONTEXT_GAP_MAX => {
                Err(ResponseCode::CONTEXT_GAP)
            }
            _ => Ok(()),
        }
    }

    fn free_slots(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_none()).count()
    }

    fn oldest_saved(&self) -> Option<u64> {
        let saved = self.active.iter().filter_map(|active| match active {
            Active::Saved(counter) => Some(*counter),
            _ => None,
        });
        saved.min()
    }

    /// Adds a session: its handle. The room was checked.
    pub fn insert(&mut self, session: Session) -> Result<Handle> {
        let number = self.active.iter().position(|active| *active == Active::Free);
        let number = number.ok_or(ResponseCode::SESSION_HANDLES)?;
        self.put(number, session)
    }

    fn put(&mut self, number: usize, session: Session) -> Result<Handle> {
        let slot = self.slots.iter().position(Option::is_none);
        let slot = slot.ok_or(ResponseCode::SESSION_MEMORY)?;
        let kind = if session.is_policy() {
            Handle::POLICY_SESSION_FIRST
        } else {
            Handle::HMAC_SESSION_FIRST
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(session);
        }
        if let Some(active) = self.active.get_mut(number) {
            *active = Active::Loaded(u8::try_from(slot).map_err(|_| ResponseCode::FAILURE)?);
        }
        Ok(kind.offset(number))
    }

    /// Marks a loaded session as saved with this counter and frees its slot.
    pub fn save(&mut self, handle: Handle, counter: u64) {
        if let Some(slot) = self.slot(handle).and_then(|slot| self.slots.get_mut(slot)) {
            *slot = None;
        }
        if let Some(active) = self.active.get_mut(handle.index()) {
            *active = Active::Saved(counter);
        }
    }

    /// Whether this is the session's only valid saved context.
    pub fn is_saved_as(&self, handle: Handle, counter: u64) -> bool {
        self.active.get(handle.index()) == Some(&Active::Saved(counter))
    }

    /// Brings a saved session back, with the handle that it had. TPM_RC_SESSION_MEMORY when there
    /// is no slot; TPM_RC_CONTEXT_GAP when the gap is full, only one slot is free, and this is not
    /// the oldest context: the last slot is then for the one that closes the gap (Part 1, 30.5).
    pub fn load(&mut self, handle: Handle, next_counter: u64, session: Session) -> Result<Handle> {
        let is_oldest = match (self.active.get(handle.index()), self.oldest_saved()) {
            (Some(Active::Saved(counter)), Some(oldest)) => *counter == oldest,
            _ => false,
        };
        if self.free_slots() == 1 && !is_oldest {
            self.check_gap(next_counter)?;
        }
        self.put(handle.index(), session)
    }

    /// Ends a session, loaded or saved; whether there was one.
    pub fn remove(&mut self, handle: Handle) -> bool {
        let slot = self.slot(handle);
        if let Some(place) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            *place = None;
        }
        if self.exclusive == Some(handle) {
            self.exclusive = None;
        }
        match self.active.get_mut(handle.index()) {
            Some(active) if *active != Active::Free => {
                *active = Active::Free;
                true
            }
            _ => false,
        }
    }

    /// Whether a session with this number is loaded or saved.
    pub fn is_active(&self, handle: Handle) -> bool {
        self.active.get(handle.index()).is_some_and(|active| *active != Active::Free)
    }

    /// Where the contexts are, by number.
    pub const fn active(&self) -> &[Active; ACTIVE_SESSIONS] {
        &self.active
    }

    /// Takes over where saved contexts are (Resume, Restart).
    pub fn restore_saved(&mut self, number: usize, counter: u64) {
        if let Some(active) = self.active.get_mut(number) {
            *active = Active::Saved(counter);
        }
    }

    /// Takes over a session that was loaded.
    pub fn restore_loaded(&mut self, number: usize, session: Session) -> Result<()> {
        self.put(number, session).map(|_| ())
    }

    /// The loaded session with this number.
    pub fn by_number(&self, number: usize) -> Option<&Session> {
        match self.active.get(number)? {
            Active::Loaded(slot) => self.slots.get(usize::from(*slot))?.as_ref(),
            Active::Free | Active::Saved(_) => None,
        }
    }

    /// Loaded sessions.
    pub fn loaded(&self) -> usize {
        self.slots.iter().flatten().count()
    }

    /// Loaded and saved sessions.
    pub fn active_count(&self) -> usize {
        self.active.iter().filter(|active| **active != Active::Free).count()
    }

    /// The handles of loaded sessions, ascending by number.
    pub fn loaded_handles(&self) -> impl Iterator<Item = Handle> + '_ {
        self.active.iter().enumerate().filter_map(|(number, active)| {
            let Active::Loaded(slot) = active else { return None };
            let session = self.slots.get(usize::from(*slot))?.as_ref()?;
            let kind = if session.is_policy() {
                Handle::POLICY_SESSION_FIRST
            } else {
                Handle::HMAC_SESSION_FIRST
            };
            Some(kind.offset(number))
        })
    }

    /// The numbers of saved sessions, as HMAC session handles (Part 2, 7.4), ascending.
    pub fn saved_handles(&self) -> impl Iterator<Item = Handle> + '_ {
        let saved = |active: &Active| matches!(active, Active::Saved(_));
        let numbers = self.active.iter().enumerate().filter(move |(_, active)| saved(active));
        numbers.map(|(number, _)| Handle::HMAC_SESSION_FIRST.offset(number))
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new()
    }
}
