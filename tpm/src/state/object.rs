// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loaded objects, sequences and persistent objects (Part 1, 27 and 32).

use zeroize::Zeroize;

use super::capacity::{PERSISTENT_OBJECTS, TRANSIENT_OBJECTS};
use super::tracked::Tracked;
use crate::crypto::cmac::CmacState;
use crate::crypto::hash::{DIGEST_SIZE_MAX, Digest, Hasher};
use crate::crypto::hmac::Hmac;
use crate::crypto::symmetric::{BlockCipher, SymmetricAlgorithm};
use crate::structure::attributes::ObjectAttributes;
use crate::structure::buffer::Buffer;
use crate::structure::digest::{Auth, Name};
use crate::structure::handle::{Handle, HandleKind};
use crate::structure::public::{PUBLIC_SIZE_MAX, Public};
use crate::structure::response_code::ResponseCode;
use crate::structure::sensitive::{SENSITIVE_SIZE_MAX, Sensitive};
use crate::structure::symmetric::CipherDefinition;
use crate::wire::Result;

/// PCR banks, and so the hashes that an event sequence computes at once.
pub const EVENT_HASHES: usize = super::pcr::BANKS.len();

/// An object with its secrets, as far as it has any.
#[derive(Clone, Debug)]
pub struct Object {
    /// The public area.
    pub public: Public,
    /// The sensitive area; `None` when only the public area was loaded.
    pub sensitive: Option<Sensitive>,
    /// The Name.
    pub name: Name,
    /// The Qualified Name: which ancestors it has.
    pub qualified_name: Name,
    /// The hierarchy that it belongs to, TPM_RH_NULL for external and temporary objects.
    pub hierarchy: Handle,
    /// Loaded by TPM2_LoadExternal.
    pub is_external: bool,
    /// A primary object.
    pub is_primary: bool,
    /// It, or an ancestor of it, has stClear: its saved contexts don't survive a Reset or Restart.
    pub is_st_clear: bool,
    /// Below TPM_RH_NULL, though it may have been made by TPM2_Create: it cannot be made
    /// persistent.
    pub is_temporary: bool,
}

impl Object {
    /// Whether all these attributes are set.
    pub const fn has(&self, attributes: ObjectAttributes) -> bool {
        self.public.has(attributes)
    }

    /// Whether it can have children: a parent with its secrets.
    pub const fn is_parent(&self) -> bool {
        self.public.is_parent() && self.sensitive.is_some() && !self.is_external
    }
}

/// What a sequence computes.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to put the hashes on")]
pub enum SequenceKind {
    /// A hash; whether the message so far could pass for one of the TPM's own structures is not
    /// known before its first four octets are there.
    Hash(Hasher),
    /// An HMAC.
    Hmac(Hmac),
    /// A CMAC, kept with its key.
    Cmac(CmacSequence),
    /// One hash for each PCR bank.
    Event([Hasher; EVENT_HASHES]),
}

/// A CMAC in progress.
#[derive(Clone)]
pub struct CmacSequence {
    /// The cipher and the size of the key.
    pub definition: CipherDefinition,
    /// The key.
    pub key: Buffer<CIPHER_KEY_SIZE_MAX>,
    /// The state without the key.
    pub state: CmacState,
}

impl core::fmt::Debug for CmacSequence {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("CmacSequence")
    }
}

impl CmacSequence {
    fn cipher(&self) -> Result<BlockCipher> {
        let algorithm = SymmetricAlgorithm::from_id(self.definition.cipher.raw());
        BlockCipher::new(algorithm.ok_or(ResponseCode::SYMMETRIC)?, &self.key)
            .map_err(|_| ResponseCode::SYMMETRIC)
    }

    /// Appends to the message.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        let cipher = self.cipher()?;
        self.state.update(&cipher, data);
        Ok(())
    }

    /// The MAC of the message.
    pub fn finish(self) -> Result<Digest> {
        let cipher = self.cipher()?;
        Ok(self.state.finish(&cipher))
    }
}

/// Octets of the longest record of an object: both areas, a Name, and what else is known.
pub const OBJECT_RECORD_SIZE_MAX: usize =
    PUBLIC_SIZE_MAX + SENSITIVE_SIZE_MAX + (2 + 2 + DIGEST_SIZE_MAX) + 4 + 8;

/// Octets of the longest key of a block cipher.
pub const CIPHER_KEY_SIZE_MAX: usize = 32;

/// A hash, MAC or event sequence in progress.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// Its authorisation value.
    pub auth: Auth,
    /// What it computes.
    pub kind: SequenceKind,
    /// The first four octets of the message, as far as they are known.
    pub first_octets: [u8; 4],
    /// How many octets of the message there were, up to four.
    pub first_octets_count: u8,
}

/// What a transient handle names.
#[derive(Clone, Debug)]
pub enum Transient {
    /// An object.
    Object(Object),
    /// A sequence.
    Sequence(Sequence),
}

/// The slots of transient objects.
#[derive(Debug)]
pub struct Transients {
    slots: [Option<Transient>; TRANSIENT_OBJECTS],
    /// Something was removed since the last commit.
    has_removed: bool,
}

impl Transients {
    /// All slots free.
    pub const fn new() -> Self {
        Self { slots: [const { None }; TRANSIENT_OBJECTS], has_removed: false }
    }

    /// Whether something was removed since the last commit.
    pub(super) const fn has_removed(&self) -> bool {
        self.has_removed
    }

    /// The command has ended.
    pub(super) const fn settle(&mut self) {
        self.has_removed = false;
    }

    /// Puts something into a free slot: its handle, or TPM_RC_OBJECT_MEMORY.
    pub fn insert(&mut self, transient: Transient) -> Result<Handle> {
        let index =
            self.slots.iter().position(Option::is_none).ok_or(ResponseCode::OBJECT_MEMORY)?;
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(transient);
        }
        Ok(Handle::TRANSIENT_FIRST.offset(index))
    }

    /// Puts something into the slot with this number.
    pub(super) fn put(&mut self, number: usize, transient: Transient) {
        if let Some(slot) = self.slots.get_mut(number) {
            *slot = Some(transient);
        }
    }

    /// TPM_RC_OBJECT_MEMORY when no slot is free: to be asked before long work.
    pub fn check_room(&self) -> Result<()> {
        if self.free() == 0 { Err(ResponseCode::OBJECT_MEMORY) } else { Ok(()) }
    }

    /// What a handle names.
    pub fn get(&self, handle: Handle) -> Option<&Transient> {
        self.slots.get(Self::index(handle)?)?.as_ref()
    }

    /// What a handle names, to be changed.
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Transient> {
        self.slots.get_mut(Self::index(handle)?)?.as_mut()
    }

    /// Frees a slot; whether it was in use.
    pub fn remove(&mut self, handle: Handle) -> bool {
        let slot = Self::index(handle).and_then(|index| self.slots.get_mut(index));
        let Some(slot) = slot.filter(|slot| slot.is_some()) else { return false };
        *slot = None;
        self.has_removed = true;
        true
    }

    /// Frees every slot whose content fits.
    pub fn remove_if(&mut self, mut fits: impl FnMut(&Transient) -> bool) {
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(&mut fits) {
                *slot = None;
                self.has_removed = true;
            }
        }
    }

    /// Free slots.
    pub fn free(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_none()).count()
    }

    /// Handles in use, ascending.
    pub fn handles(&self) -> impl Iterator<Item = Handle> + '_ {
        let used = self.slots.iter().enumerate().filter(|(_, slot)| slot.is_some());
        used.map(|(index, _)| Handle::TRANSIENT_FIRST.offset(index))
    }

    /// The contents in use.
    pub fn iter(&self) -> impl Iterator<Item = &Transient> {
        self.slots.iter().flatten()
    }

    fn index(handle: Handle) -> Option<usize> {
        (handle.kind() == Some(HandleKind::Transient)).then(|| handle.index())
    }
}

impl Default for Transients {
    fn default() -> Self {
        Self::new()
    }
}

/// An object that outlives power.
#[derive(Clone, Debug)]
pub struct Persistent {
    /// Its handle.
    pub handle: Handle,
    /// The object.
    pub object: Object,
}

/// The persistent objects. A removed one leaves its handle behind until the commit has deleted
/// the record.
#[derive(Debug)]
pub struct Persistents {
    pub(super) slots: [Tracked<Option<Persistent>>; PERSISTENT_OBJECTS],
    pub(super) removed: [Option<Handle>; PERSISTENT_OBJECTS],
    /// Something may be marked, or removed, since the last commit: most commands need not look.
    is_changed: bool,
}

impl Persistents {
    /// None.
    pub const fn new() -> Self {
        Self {
            slots: [const { Tracked::new(None) }; PERSISTENT_OBJECTS],
            removed: [None; PERSISTENT_OBJECTS],
            is_changed: false,
        }
    }

    /// Whether there may be records to write or delete.
    pub(super) const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// The records were written.
    pub(super) fn settle(&mut self) {
        if self.is_changed {
            self.slots.iter_mut().for_each(Tracked::settle);
            self.removed = [None; PERSISTENT_OBJECTS];
            self.is_changed = false;
        }
    }

    /// The object with this handle.
    pub fn get(&self, handle: Handle) -> Option<&Object> {
        self.iter().find(|entry| entry.handle == handle).map(|entry| &entry.object)
    }

    /// All objects, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Persistent> {
        self.slots.iter().filter_map(|slot| slot.as_ref())
    }

    /// Free places.
    pub fn free(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_none()).count()
    }

    /// Makes an object persistent: TPM_RC_NV_DEFINED if the handle is in use, TPM_RC_NV_SPACE if
    /// there is no place.
    pub fn insert(&mut self, handle: Handle, object: Object) -> Result<()> {
        if self.get(handle).is_some() {
            return Err(ResponseCode::NV_DEFINED);
        }
        let slot = self.slots.iter_mut().find(|slot| slot.is_none());
        *slot.ok_or(ResponseCode::NV_SPACE)?.change() = Some(Persistent { handle, object });
        self.is_changed = true;
        Ok(())
    }

    /// Removes every object that fits.
    pub fn remove_if(&mut self, mut fits: impl FnMut(&Persistent) -> bool) {
        for (slot, removed) in self.slots.iter_mut().zip(&mut self.removed) {
            if let Some(entry) = slot.as_ref().filter(|entry| fits(entry)) {
                *removed = Some(entry.handle);
                *slot.change() = None;
                self.is_changed = true;
            }
        }
    }
}

impl Default for Persistents {
    fn default() -> Self {
        Self::new()
    }
}

impl Zeroize for Object {
    fn zeroize(&mut self) {
        self.sensitive.zeroize();
    }
}

impl Sequence {
    /// A sequence without any message yet.
    pub const fn new(auth: Auth, kind: SequenceKind) -> Self {
        Self { auth, kind, first_octets: [0; 4], first_octets_count: 0 }
    }

    /// Appends to the message.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        let known = usize::from(self.first_octets_count);
        let unknown = self.first_octets.iter_mut().skip(known);
        for (place, octet) in unknown.zip(data) {
            *place = *octet;
            self.first_octets_count = self.first_octets_count.saturating_add(1);
        }
        match &mut self.kind {
            SequenceKind::Hash(hasher) => hasher.update(data),
            SequenceKind::Hmac(hmac) => hmac.update(data),
            SequenceKind::Cmac(cmac) => cmac.update(data)?,
            SequenceKind::Event(hashers) => hashers.iter_mut().for_each(|each| each.update(data)),
        }
        Ok(())
    }

    /// Whether the message cannot pass for one of the TPM's own structures.
    pub fn is_safe(&self) -> bool {
        self.first_octets_count < 4
            || self.first_octets != crate::structure::attest::GENERATED_VALUE.to_be_bytes()
    }
}
