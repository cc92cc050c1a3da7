// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects: made, loaded, moved, deleted (Part 3, 12, 13, 24, 28).

use std::sync::OnceLock;

use tpm::crypto::drbg::CtrDrbg;
use tpm::crypto::rsa::{Portable, RsaPrivateKey};
use tpm::platform::{Keys, PrimeSearch, PrimeSource};
use tpm::structure::command_code::CommandCode;

use super::template::{self, Template, attribute};
use super::world::{Class, Creation, Effect, Object, Policy, SESSIONS_MAX, Saved};
use super::{Generator, NULL, OWNER, PLATFORM};
use crate::octets::Octets;
use crate::step::{Command, Handle, Piece, StepId};

const PERSISTENT: [u32; 4] = [0x8100_0001, 0x8100_0002, 0x8180_0001, 0x8101_0001];

impl Generator<'_> {
    pub(super) fn about_objects(&mut self) {
        match self.choices.below(25) {
            0..=4 => self.create_primary(),
            5..=8 => self.create(),
            9..=11 => self.load(),
            12 | 13 => self.load_external(),
            14 => self.create_loaded(),
            15 => self.evict_control(),
            16 | 17 => self.read_public(),
            18 => self.object_change_auth(),
            19 | 20 => self.save_or_load_context(),
            21 => self.make_credential(),
            22 | 23 => self.about_duplication(),
            _ => self.import(),
        }
    }

    fn some_template(&mut self, is_child: bool) -> Template {
        const CLASSES: [Class; 8] = [
            Class::Storage,
            Class::Storage,
            Class::SignEcc,
            Class::SignDaa,
            Class::Mac,
            Class::Cipher,
            Class::Sealed,
            Class::Agreement,
        ];
        // libtpms searches a fifth of a second for an RSA key.
        let is_rsa = self.choices.once_in(60);
        let class = if is_rsa { Class::Rsa } else { *self.choices.one_of(&CLASSES) };
        template::of_class(&mut self.choices, class, is_child)
    }

    /// The parameters of a creation.
    fn creation(&mut self, template: &Template, auth: &[u8]) -> Octets {
        let size = *self.choices.one_of(&[16, 16, 16, 5, 129]);
        let data = if template.wants_data { vec![0x11; size] } else { Vec::new() };
        let sensitive = Octets::new().sized(auth).sized(&data).0;
        let outside = self.some_auth();
        let octets = Octets::new().sized(&sensitive).sized(&template.public).sized(&outside);
        let selection =
            if self.choices.once_in(4) { self.pcr_selection() } else { vec![0, 0, 0, 0] };
        octets.bytes(&selection)
    }

    fn object_of(template: &Template, handle: Handle, auth: Vec<u8>) -> Object {
        let Template { class, policy, .. } = *template;
        Object { handle, class, auth, policy, is_tainted: true, name: None }
    }

    fn create_primary(&mut self) {
        let hierarchy = self.some_hierarchy();
        let template = self.some_template(false);
        let auth = self.some_auth();
        let octets = self.creation(&template, &auth);
        let command = Command::new(CommandCode::CREATE_PRIMARY).handle(hierarchy).octets(octets);
        let object = Self::object_of(&template, NULL, auth);
        self.plan_authorised_loading(command, object, 4);
    }

    fn create(&mut self) {
        let parents = self.world.of_class(Class::Storage);
        let Some(parent) = self.choices.any_of(&parents).cloned() else {
            return self.create_primary();
        };
        let template = self.some_template(true);
        let auth = self.some_auth();
        let octets = self.creation(&template, &auth);
        let command = Command::new(CommandCode::CREATE).handle(parent.handle).octets(octets);
        let step = self.plan_authorised(command, Effect::None);
        let object = Self::object_of(&template, NULL, auth);
        self.attach(step, Effect::Created(Creation { step, parent: parent.handle, object }));
    }

    fn load(&mut self) {
        let Some(creation) = self.choices.any_of(&self.world.creations).cloned() else {
            return self.create();
        };
        let command = Command::new(CommandCode::LOAD)
            .handle(creation.parent)
            .piece(Piece::Field(creation.step, 0))
            .piece(Piece::Field(creation.step, 1));
        self.plan_authorised_loading(command, creation.object, 0);
    }

    fn load_external(&mut self) {
        let auth = self.some_auth();
        let (class, public, sensitive) = self.some_external(&auth);
        let hierarchy = if sensitive.0.is_empty() { OWNER } else { NULL };
        let hierarchy = if self.choices.once_in(10) { PLATFORM } else { hierarchy };
        let octets = Octets::new().sized(&sensitive.0).sized(&public.0);
        let Handle::Fixed(hierarchy) = hierarchy else { return };
        let command = Command::new(CommandCode::LOAD_EXTERNAL).octets(octets.u32(hierarchy));
        self.plan_with(command, |step| {
            let (handle, name) = (Handle::Of(step), Some((step, 0)));
            let (policy, is_tainted) = (Policy::None, false);
            Effect::Loaded(Object { handle, class, auth, policy, is_tainted, name })
        });
    }

    /// An object whose keys are the same for both TPMs: its public and its sensitive area.
    fn some_external(&mut self, auth: &[u8]) -> (Class, Octets, Octets) {
        let base = attribute::USER_WITH_AUTH;
        let base = if self.choices.once_in(12) { base | attribute::FIXED_TPM } else { base };
        let hash = tpm::crypto::hash::HashAlgorithm::Sha256;
        let seed = [0x33; 32];
        match self.choices.below(6) {
            0 => {
                let key = *b"sixteen octets!!";
                let unique = hash.digest(&[&seed, &key]);
                let public = Octets::new().words(&[0x25, 0x0b]);
                let own = base | attribute::SIGN | attribute::DECRYPT;
                let mode = *self.choices.one_of(&[0x10, 0x43, 0x40]);
                let public = public.u32(own).sized(&[]).words(&[6, 128, mode]).sized(&unique);
                let sensitive = Octets::new().u16(0x25).sized(auth).sized(&seed).sized(&key);
                (Class::Cipher, public, sensitive)
            }
            1 => {
                let key = b"an HMAC key";
                let unique = hash.digest(&[&seed, key]);
                let public = Octets::new().words(&[8, 0x0b]).u32(base | attribute::SIGN);
                let public = public.sized(&[]).words(&[5, 0x0b]).sized(&unique);
                (Class::Mac, public, Octets::new().u16(8).sized(auth).sized(&seed).sized(key))
            }
            2 => {
                // The base point of P-256, whose private key is 1.
                let public = Octets::new().words(&[0x23, 0x0b]).u32(base | attribute::SIGN);
                let public = public.sized(&[]).words(&[0x10, 0x10, 3, 0x10]);
                let public = public.sized(&P256_BASE[0]).sized(&P256_BASE[1]);
                let sensitive = Octets::new().u16(0x23).sized(auth).sized(&[]).sized(&one());
                (Class::SignEcc, public, sensitive)
            }
            3 => {
                let (modulus, prime) = rsa_key();
                let own = base | attribute::SIGN | attribute::DECRYPT;
                let public = Octets::new().words(&[1, 0x0b]).u32(own);
                let public = public.sized(&[]).words(&[0x10, 0x10, 2048, 0, 0]);
                let sensitive = Octets::new().u16(1).sized(auth).sized(&[]).sized(prime);
                (Class::Rsa, public.sized(modulus), sensitive)
            }
            4 => {
                // For agreement: the same key.
                let public = Octets::new().words(&[0x23, 0x0b]).u32(base | attribute::DECRYPT);
                let public = public.sized(&[]).words(&[0x10, 0x10, 3, 0x10]);
                let public = public.sized(&P256_BASE[0]).sized(&P256_BASE[1]);
                let sensitive = Octets::new().u16(0x23).sized(auth).sized(&[]).sized(&one());
                (Class::Agreement, public, sensitive)
            }
            _ => {
                let public = Octets::new().words(&[1, 0x0b]).u32(base | attribute::SIGN);
                let public = public.sized(&[]).words(&[0x10, 0x10, 2048, 0, 0]);
                let mut modulus = [0xc5; 256];
                modulus[255] = 0x01;
                (Class::PublicOnly, public.sized(&modulus), Octets::new())
            }
        }
    }

    fn create_loaded(&mut self) {
        let parents = self.world.of_class(Class::Storage);
        let parent = self.choices.any_of(&parents).map(|parent| parent.handle);
        let parent = if self.choices.once_in(2) { parent } else { None };
        let is_child = parent.is_some();
        let parent = parent.unwrap_or_else(|| self.some_hierarchy());
        let template = self.some_template(is_child);
        let auth = self.some_auth();
        let data = if template.wants_data { vec![0x11; 16] } else { Vec::new() };
        let sensitive = Octets::new().sized(&auth).sized(&data).0;
        let octets = Octets::new().sized(&sensitive).sized(&template.public);
        let command = Command::new(CommandCode::CREATE_LOADED).handle(parent).octets(octets);
        let object = Self::object_of(&template, NULL, auth);
        self.plan_authorised_loading(command, object, 2);
    }

    fn evict_control(&mut self) {
        let persistent = *self.choices.one_of(&PERSISTENT);
        let mut known = self.world.persistent.iter();
        let known = known.find(|object| object.handle == Handle::Fixed(persistent)).cloned();
        let loaded = self.choices.any_of(&self.world.objects).cloned();
        let Some(object) = known.or(loaded) else { return };
        let by = if self.choices.once_in(4) { PLATFORM } else { OWNER };
        let command = Command::new(CommandCode::EVICT_CONTROL).handle(by).handle(object.handle);
        let command = command.octets(Octets::new().u32(persistent));
        let handle = Handle::Fixed(persistent);
        self.plan_authorised(command, Effect::Evicted(Object { handle, ..object }));
    }

    pub(super) fn any_object(&mut self) -> Option<Object> {
        let all = [&self.world.objects[..], &self.world.persistent].concat();
        self.choices.any_of(&all).cloned()
    }

    fn read_public(&mut self) {
        let Some(object) = self.any_object() else { return self.create_primary() };
        let command = Command::new(CommandCode::READ_PUBLIC).handle(object.handle);
        self.plan_authorised(command, Effect::None);
    }

    fn object_change_auth(&mut self) {
        let (Some(object), Some(parent)) = (self.any_object(), self.any_object()) else { return };
        let auth = self.some_auth();
        let command = Command::new(CommandCode::OBJECT_CHANGE_AUTH)
            .handle(object.handle)
            .handle(parent.handle)
            .octets(Octets::new().sized(&auth));
        self.plan_authorised(command, Effect::None);
    }

    fn save_or_load_context(&mut self) {
        let known = self.choices.any_of(&self.world.contexts).cloned();
        if let (Some((step, saved)), true) = (known, self.choices.once_in(2)) {
            let command = Command::new(CommandCode::CONTEXT_LOAD).piece(Piece::Field(step, 0));
            let is_full = self.world.sessions.len() >= SESSIONS_MAX;
            if !is_full || matches!(saved, Saved::Object(_)) {
                self.plan_with(command, |step| Effect::Restored(step, Box::new(saved)));
            }
            return;
        }
        let object = self.choices.any_of(&self.world.objects).cloned().map(Saved::Object);
        let session = self.choices.any_of(&self.world.sessions).cloned().map(Saved::Session);
        let saved = if self.choices.once_in(2) { object } else { session };
        let Some(saved) = saved else { return };
        let handle = match &saved {
            Saved::Object(object) => object.handle,
            Saved::Session(session) => Handle::Of(session.step),
        };
        let command = Command::new(CommandCode::CONTEXT_SAVE).handle(handle);
        self.plan_with(command, |step| Effect::Saved(step, Box::new(saved)));
    }

    /// TPM2_MakeCredential, and TPM2_ActivateCredential of the same TPM.
    fn make_credential(&mut self) {
        let keys = self.world.of_class(Class::Storage);
        let Some(key) = self.choices.any_of(&keys).cloned() else { return };
        let Some((step, field)) = key.name else { return };
        let size = *self.choices.one_of(&[16, 32, 0, 33]);
        let command = Command::new(CommandCode::MAKE_CREDENTIAL)
            .handle(key.handle)
            .octets(Octets::new().sized(&vec![0x77; size]))
            .piece(Piece::Field(step, field));
        let made = self.plan_authorised(command, Effect::None);
        let command = Command::new(CommandCode::ACTIVATE_CREDENTIAL)
            .handle(key.handle)
            .handle(key.handle)
            .piece(Piece::Field(made, 0))
            .piece(Piece::Field(made, 1));
        self.plan_authorised(command, Effect::None);
    }

    /// Plans a command that loads this object; `field` of its response is the Name.
    pub(super) fn plan_authorised_loading(
        &mut self,
        command: Command,
        object: Object,
        field: usize,
    ) -> StepId {
        let step = self.plan_authorised(command, Effect::None);
        let (handle, name) = (Handle::Of(step), Some((step, field)));
        self.attach(step, Effect::Loaded(Object { handle, name, ..object }));
        step
    }
}

/// The private key whose public key is the base point.
fn one() -> [u8; 32] {
    let mut one = [0; 32];
    one[31] = 1;
    one
}

/// An RSA key of 2048 bits that is the same each time: the modulus and a prime.
fn rsa_key() -> (&'static [u8], &'static [u8]) {
    static KEY: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (modulus, prime) = KEY.get_or_init(|| {
        let (mut p, mut q) = ([0; 128], [0; 128]);
        let mut random = CtrDrbg::from_seed(&[9; 48]);
        let mut search = PrimeSearch::new(&Portable, CtrDrbg::from_seed(&[3; 48]));
        let source = PrimeSource::Fresh(&mut random);
        search.rsa_primes(2048, 65537, source, &mut p, &mut q).expect("primes are found");
        let key = RsaPrivateKey::from_primes(&p, &q, 65537).expect("primes of a key");
        (key.public().modulus().to_vec(), p.to_vec())
    });
    (modulus, prime)
}

/// The base point of P-256 (FIPS 186-4, D.1.2.3).
pub(super) const P256_BASE: [[u8; 32]; 2] = [
    [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
        0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98,
        0xc2, 0x96,
    ],
    [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
        0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf,
        0x51, 0xf5,
    ],
];
