// SPDX-License-Identifier: MIT OR Apache-2.0
//! NV indices (Part 3, 31).

use tpm::structure::command_code::CommandCode;

use super::world::{Class, Effect, Index, Policy};
use super::{Generator, NULL, OWNER, PLATFORM, template};
use crate::octets::Octets;
use crate::step::{Command, Handle};

const HANDLES: [u32; 5] = [0x0100_0001, 0x0100_0002, 0x0180_0003, 0x01c0_0004, 0x0100_0005];

/// Bits of TPMA_NV.
pub(super) mod attribute {
    pub(in crate::generator) const PPWRITE: u32 = 1;
    pub(in crate::generator) const OWNERWRITE: u32 = 1 << 1;
    pub(in crate::generator) const AUTHWRITE: u32 = 1 << 2;
    pub(in crate::generator) const POLICYWRITE: u32 = 1 << 3;
    pub(in crate::generator) const POLICY_DELETE: u32 = 1 << 10;
    pub(in crate::generator) const WRITELOCKED: u32 = 1 << 11;
    pub(in crate::generator) const WRITEALL: u32 = 1 << 12;
    pub(in crate::generator) const WRITEDEFINE: u32 = 1 << 13;
    pub(in crate::generator) const WRITE_STCLEAR: u32 = 1 << 14;
    pub(in crate::generator) const GLOBALLOCK: u32 = 1 << 15;
    pub(in crate::generator) const PPREAD: u32 = 1 << 16;
    pub(in crate::generator) const OWNERREAD: u32 = 1 << 17;
    pub(in crate::generator) const AUTHREAD: u32 = 1 << 18;
    pub(in crate::generator) const POLICYREAD: u32 = 1 << 19;
    pub(in crate::generator) const NO_DA: u32 = 1 << 25;
    pub(in crate::generator) const ORDERLY: u32 = 1 << 26;
    pub(in crate::generator) const CLEAR_STCLEAR: u32 = 1 << 27;
    pub(in crate::generator) const READ_STCLEAR: u32 = 1 << 31;
    /// What indices often have.
    pub(in crate::generator) const USUAL: u32 = OWNERWRITE | AUTHWRITE | OWNERREAD | AUTHREAD;
    /// What some have.
    pub(in crate::generator) const SOME: [u32; 16] = [
        PPWRITE,
        POLICYWRITE,
        POLICY_DELETE,
        WRITELOCKED,
        WRITEALL,
        WRITEDEFINE,
        WRITE_STCLEAR,
        GLOBALLOCK,
        PPREAD,
        POLICYREAD,
        NO_DA,
        NO_DA,
        ORDERLY,
        CLEAR_STCLEAR,
        READ_STCLEAR,
        1 << 8,
    ];
}

/// TPM_NT.
const KINDS: [u32; 9] = [0, 0, 0, 1, 2, 4, 8, 9, 3];

impl Generator<'_> {
    pub(super) fn about_nv(&mut self) {
        let known = self.choices.any_of(&self.world.indices).cloned();
        let choice = self.choices.below(24);
        let Some(index) = known.filter(|_| choice > 3) else { return self.define() };
        let handle = Handle::Fixed(index.handle);
        let by = *self.choices.one_of(&[handle, handle, OWNER, PLATFORM]);
        let with = |code| Command::new(code).handle(by).handle(handle);
        let command = match choice {
            4..=8 => self.nv_write(with(CommandCode::NV_WRITE), &index),
            9..=11 => {
                let size = *self.choices.one_of(&[index.size, 1, 0, index.size + 1, 2048]);
                let offset = *self.choices.one_of(&[0, 0, 0, 1, index.size]);
                with(CommandCode::NV_READ).octets(Octets::new().u16(size).u16(offset))
            }
            12 | 13 => with(CommandCode::NV_INCREMENT),
            14 => {
                let bits = 1 << self.choices.below(64);
                with(CommandCode::NV_SET_BITS).octets(Octets::new().u64(bits))
            }
            15 => {
                let size = *self.choices.one_of(&[0, 8, 1024]);
                let octets = Octets::new().sized(&vec![0x41; size]);
                with(CommandCode::NV_EXTEND).octets(octets)
            }
            16 => with(CommandCode::NV_WRITE_LOCK),
            17 => with(CommandCode::NV_READ_LOCK),
            18 | 19 => Command::new(CommandCode::NV_READ_PUBLIC).handle(handle),
            20 => return self.nv_change_auth(&index),
            21 => return self.nv_certify(&index),
            22 => return self.undefine(&index),
            _ if self.choices.once_in(4) => {
                let by = *self.choices.one_of(&[OWNER, PLATFORM]);
                Command::new(CommandCode::NV_GLOBAL_WRITE_LOCK).handle(by)
            }
            _ => with(CommandCode::NV_READ).octets(Octets::new().u16(index.size).u16(0)),
        };
        self.plan_authorised(command, Effect::None);
    }

    fn define(&mut self) {
        let handle = *self.choices.one_of(&HANDLES);
        let by = *self.choices.one_of(&[OWNER, OWNER, OWNER, PLATFORM]);
        let kind = *self.choices.one_of(&KINDS);
        let mut attributes = attribute::USUAL | kind << 4;
        if by == PLATFORM {
            attributes |= 1 << 30;
        }
        for _ in 0..self.choices.below(4) {
            attributes ^= *self.choices.one_of(&attribute::SOME);
        }
        let size = match kind {
            1 | 2 | 8 | 9 if !self.choices.once_in(16) => 8,
            4 if !self.choices.once_in(16) => 32,
            _ => *self.choices.one_of(&[32, 8, 0, 1, 34, 100, 2048, 2049]),
        };
        let policy = template::policy(&mut self.choices);
        let hash = match policy {
            Policy::None => *self.choices.one_of(&[0x0b, 0x0b, 0x0b, 0x0b, 0x04, 0x0c, 0x10]),
            _ => 0x0b,
        };
        let auth = self.some_auth();
        let public = Octets::new().u32(handle).u16(hash).u32(attributes);
        let public = public.sized(&policy.digest()).u16(size).0;
        let octets = Octets::new().sized(&auth).sized(&public);
        let command = Command::new(CommandCode::NV_DEFINE_SPACE).handle(by).octets(octets);
        let index = Index { handle, attributes, size, auth, policy };
        self.plan_authorised(command, Effect::Defined(index));
    }

    fn nv_write(&mut self, command: Command, index: &Index) -> Command {
        let mut size = *self.choices.one_of(&[index.size, index.size, 1, 0, index.size + 1]);
        let mut offset = *self.choices.one_of(&[0, 0, 0, 1, index.size]);
        if index.attributes & attribute::ORDERLY != 0 {
            // What the rest has then is not specified.
            (size, offset) = (index.size, 0);
        }
        let size = usize::from(size.min(1024));
        let mut data = vec![self.choices.octet(); size];
        if size == 8 {
            // pinCount and pinLimit, when it is a PIN index.
            data = Octets::new().u32(0).u32(3).0;
        }
        command.octets(Octets::new().sized(&data).u16(offset))
    }

    fn nv_change_auth(&mut self, index: &Index) {
        let auth = self.some_auth();
        let command = Command::new(CommandCode::NV_CHANGE_AUTH).handle(Handle::Fixed(index.handle));
        let command = command.octets(Octets::new().sized(&auth));
        self.plan_authorised(command, Effect::IndexAuth(index.handle, auth));
    }

    fn nv_certify(&mut self, index: &Index) {
        let keys = self.world.of_class(Class::SignEcc);
        let key = self.choices.any_of(&keys).map_or(NULL, |key| key.handle);
        let handle = Handle::Fixed(index.handle);
        let size = *self.choices.one_of(&[index.size, 1, 0, index.size + 1]);
        let octets = Octets::new().sized(b"data").u16(0x10).u16(size).u16(0);
        let by = *self.choices.one_of(&[handle, OWNER]);
        let command = Command::new(CommandCode::NV_CERTIFY).handle(key).handle(by).handle(handle);
        self.plan_authorised(command.octets(octets), Effect::None);
    }

    fn undefine(&mut self, index: &Index) {
        let handle = Handle::Fixed(index.handle);
        let is_policy = index.attributes & attribute::POLICY_DELETE != 0;
        let command = if is_policy != self.choices.once_in(8) {
            Command::new(CommandCode::NV_UNDEFINE_SPACE_SPECIAL).handle(handle).handle(PLATFORM)
        } else {
            let by = *self.choices.one_of(&[OWNER, OWNER, PLATFORM]);
            Command::new(CommandCode::NV_UNDEFINE_SPACE).handle(by).handle(handle)
        };
        self.plan_authorised(command, Effect::Undefined(index.handle));
    }
}
