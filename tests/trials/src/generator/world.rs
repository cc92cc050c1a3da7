// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a generator remembers of the TPM that its commands go to, so that most of them make sense.
//! It may be wrong: then more commands fail, and that is well too.

use tpm::crypto::hash::HashAlgorithm;

use crate::step::{Handle, StepId};

/// Loaded objects at most: libtpms has three slots, and commands need one for themselves.
pub const OBJECTS_MAX: usize = 2;
/// Loaded sessions at most: libtpms has three slots.
pub const SESSIONS_MAX: usize = 3;

/// What an object can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Have children.
    Storage,
    /// Sign with ECDSA.
    SignEcc,
    /// Sign with ECDAA.
    SignDaa,
    /// Sign or decrypt with RSA.
    Rsa,
    /// Agree on secrets over a curve.
    Agreement,
    /// Compute HMACs.
    Mac,
    /// Encrypt with a block cipher.
    Cipher,
    /// Hold data.
    Sealed,
    /// Only verify: there is no private part.
    PublicOnly,
    /// A hash in progress.
    HashSequence,
    /// An HMAC in progress.
    MacSequence,
    /// Hashes for PCRs in progress.
    EventSequence,
}

/// A policy that entities of a trial have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// None.
    None,
    /// TPM2_PolicyAuthValue or TPM2_PolicyPassword.
    AuthValue,
    /// TPM2_PolicyCommandCode.
    CommandCode(u32),
    /// TPM2_PolicySecret of the owner.
    OwnerSecret,
}

/// An object or a sequence.
#[derive(Clone, Debug)]
pub struct Object {
    /// Where it is.
    pub handle: Handle,
    /// What it can do.
    pub class: Class,
    /// Its authorisation value.
    pub auth: Vec<u8>,
    /// Its policy.
    pub policy: Policy,
    /// Whether its Name differs from one TPM to the other.
    pub is_tainted: bool,
    /// The step and the fields with its Name, if a field has it.
    pub name: Option<(StepId, usize)>,
}

/// What TPM2_Create made.
#[derive(Clone, Debug)]
pub struct Creation {
    /// The step: its fields are the private and the public area.
    pub step: StepId,
    /// Under which parent.
    pub parent: Handle,
    /// The object that it will be.
    pub object: Object,
}

/// A session.
#[derive(Clone, Debug)]
pub struct KnownSession {
    /// The step that started it.
    pub step: StepId,
    /// TPM_SE.
    pub kind: u8,
    /// Its hash.
    pub hash: HashAlgorithm,
    /// Whether it can encrypt.
    pub encrypts: bool,
    /// The entity that it is bound to: its value is not part of the HMAC's key for that entity.
    pub bound: Option<Handle>,
    /// Whether it has a key: it is bound, or salted.
    pub has_key: bool,
}

/// An NV index.
#[derive(Clone, Debug)]
pub struct Index {
    /// Its handle.
    pub handle: u32,
    /// TPMA_NV.
    pub attributes: u32,
    /// Octets of data.
    pub size: u16,
    /// Its authorisation value.
    pub auth: Vec<u8>,
    /// Its policy.
    pub policy: Policy,
}

/// What a saved context is of.
#[derive(Clone, Debug)]
pub enum Saved {
    /// An object, which is still loaded.
    Object(Object),
    /// A session, which is not.
    Session(KnownSession),
}

/// What is known of a TPM.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Loaded objects.
    pub objects: Vec<Object>,
    /// Persistent objects.
    pub persistent: Vec<Object>,
    /// Private areas that can be loaded.
    pub creations: Vec<Creation>,
    /// Loaded sessions.
    pub sessions: Vec<KnownSession>,
    /// NV indices.
    pub indices: Vec<Index>,
    /// Saved contexts, and the steps that saved them.
    pub contexts: Vec<(StepId, Saved)>,
    /// ownerAuth, endorsementAuth, platformAuth, lockoutAuth.
    pub auths: [Vec<u8>; 4],
}

/// What a step changes in the world when it succeeds.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Nothing that is remembered.
    None,
    /// An object was loaded.
    Loaded(Object),
    /// An object was made.
    Created(Creation),
    /// An object became persistent, or no longer is.
    Evicted(Object),
    /// A session started.
    Started(KnownSession),
    /// Something was flushed, or flushed itself.
    Flushed(Handle),
    /// A context was saved.
    Saved(StepId, Box<Saved>),
    /// A context was loaded by this step.
    Restored(StepId, Box<Saved>),
    /// An index was defined.
    Defined(Index),
    /// An index was deleted.
    Undefined(u32),
    /// The index has another value.
    IndexAuth(u32, Vec<u8>),
    /// A hierarchy has another value.
    HierarchyAuth(usize, Vec<u8>),
    /// TPM2_Clear.
    Cleared,
    /// A power cycle.
    PowerLost,
    /// TPM2_Startup(CLEAR).
    StartedClear,
}

/// The permanent handles with authorisation values, in the order of [`World::auths`].
pub const HIERARCHIES: [u32; 4] = [0x4000_0001, 0x4000_000b, 0x4000_000c, 0x4000_000a];

impl World {
    /// Does what a successful step did.
    pub fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Loaded(object) => self.objects.push(object),
            Effect::Created(creation) => {
                self.creations.push(creation);
                let surplus = self.creations.len().saturating_sub(8);
                self.creations.drain(..surplus);
            }
            Effect::Evicted(object) => {
                let before = self.persistent.len();
                self.persistent.retain(|known| known.handle != object.handle);
                if self.persistent.len() == before {
                    self.persistent.push(object);
                }
            }
            Effect::Started(session) => self.sessions.push(session),
            Effect::Flushed(handle) => self.flush(handle),
            Effect::Saved(step, saved) => {
                if let Saved::Session(session) = &*saved {
                    self.flush(Handle::Of(session.step));
                }
                self.contexts.push((step, *saved));
                let surplus = self.contexts.len().saturating_sub(4);
                self.contexts.drain(..surplus);
            }
            Effect::Restored(step, saved) => match *saved {
                Saved::Object(object) => {
                    self.objects.push(Object { handle: Handle::Of(step), ..object });
                }
                Saved::Session(session) => self.sessions.push(session),
            },
            Effect::Defined(index) => self.indices.push(index),
            Effect::Undefined(handle) => self.indices.retain(|index| index.handle != handle),
            Effect::IndexAuth(handle, auth) => {
                for index in self.indices.iter_mut().filter(|index| index.handle == handle) {
                    index.auth.clone_from(&auth);
                }
            }
            Effect::HierarchyAuth(place, auth) => self.auths[place] = auth,
            Effect::Cleared => {
                let [.., platform, _] = core::mem::take(&mut self.auths);
                self.auths[2] = platform;
                self.persistent.clear();
            }
            Effect::PowerLost => {
                self.objects.clear();
                self.sessions.clear();
            }
            Effect::StartedClear => self.auths[2].clear(),
        }
    }

    fn flush(&mut self, handle: Handle) {
        self.objects.retain(|object| object.handle != handle);
        self.sessions.retain(|session| Handle::Of(session.step) != handle);
    }

    /// Objects of a class, loaded or persistent.
    pub fn of_class(&self, class: Class) -> Vec<Object> {
        let all = self.objects.iter().chain(&self.persistent);
        all.filter(|object| object.class == class).cloned().collect()
    }

    /// The authorisation value of a handle, as far as it is known.
    pub fn auth(&self, handle: Handle) -> Vec<u8> {
        if let Handle::Fixed(fixed) = handle {
            if let Some(place) = HIERARCHIES.iter().position(|known| *known == fixed) {
                return self.auths[place].clone();
            }
            if let Some(index) = self.indices.iter().find(|index| index.handle == fixed) {
                return index.auth.clone();
            }
        }
        let mut all = self.objects.iter().chain(&self.persistent);
        all.find(|object| object.handle == handle).map_or(Vec::new(), |object| object.auth.clone())
    }

    /// The policy of a handle, as far as it is known.
    pub fn policy(&self, handle: Handle) -> Policy {
        let index = self.indices.iter().find(|index| Handle::Fixed(index.handle) == handle);
        if let Some(index) = index {
            return index.policy;
        }
        let mut all = self.objects.iter().chain(&self.persistent);
        all.find(|object| object.handle == handle).map_or(Policy::None, |object| object.policy)
    }
}
