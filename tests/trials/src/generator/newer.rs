// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands that libtpms 0.9 doesn't have, or answers with what each TPM has of its own: only an
//! engine that is alone is given them (Part 3, 11, 12, 14, 18, 23, 29 to 32, 35).

use tpm::structure::command_code::CommandCode;

use super::nv::attribute;
use super::world::{Class, Effect, Index, Policy};
use super::{Generator, HMAC_SESSION, NULL, OWNER, PLATFORM};
use crate::octets::Octets;
use crate::step::{Command, Handle, Piece};

const SHA256: u16 = 0x0b;
const ALG_NULL: u16 = 0x10;
const KDF2: u16 = 0x21;
/// TPM_HT_NV_INDEX, the selector of TPMT_NV_PUBLIC_2.
const NV_INDEX_KIND: u8 = 1;
const INDEX: u32 = 0x0180_0020;
/// The first attached component and the first authenticated countdown timer.
const COMPONENT: Handle = Handle::Fixed(0x9000_0000);
const TIMER: Handle = Handle::Fixed(0x4000_0110);
/// A partial certificate: names and validity of any kind, and the keyUsage digitalSignature.
const CERTIFICATE: [u8; 31] = [
    0x30, 29, 0x30, 1, 1, 0x30, 2, 1, 2, 0x30, 3, 1, 2, 3, 0xa3, 15, 0x30, 13, 0x30, 11, 6, 3,
    0x55, 0x1d, 0x0f, 4, 4, 3, 2, 7, 0x80,
];

impl Generator<'_> {
    pub(super) fn about_newer(&mut self) {
        let command = match self.choices.below(20) {
            0..=4 => return self.encrypt_for_a_curve(),
            5..=7 => return self.newer_policy(),
            8 | 9 => return self.define_space_2(),
            10 | 11 => {
                let index = self.choices.any_of(&self.world.indices).map(|index| index.handle);
                let index = Handle::Fixed(index.unwrap_or(INDEX));
                Command::new(CommandCode::NV_READ_PUBLIC_2).handle(index)
            }
            12 | 13 => return self.certify_x509(),
            14 => {
                let seconds = *self.choices.one_of(&[0, 1, 60, u32::MAX]);
                let octets = Octets::new().u32(seconds);
                Command::new(CommandCode::ACT_SET_TIMEOUT).handle(TIMER).octets(octets)
            }
            15 => {
                // Mostly off: else nearly everything is refused.
                let state = *self.choices.one_of(&[0, 0, 0, 1, 2]);
                let octets = Octets::new().u8(state);
                Command::new(CommandCode::READ_ONLY_CONTROL).handle(PLATFORM).octets(octets)
            }
            16 => {
                let octets = Octets::new().u32(0).u32(1);
                Command::new(CommandCode::AC_GET_CAPABILITY).handle(COMPONENT).octets(octets)
            }
            17 => {
                let Some(object) = self.any_object() else { return };
                Command::new(CommandCode::AC_SEND)
                    .handle(object.handle)
                    .handle(OWNER)
                    .handle(COMPONENT)
                    .octets(Octets::new().sized(b"data"))
            }
            18 => {
                let data = *self.choices.one_of(&[&[0, 0, 0, 1][..], &[], &[0; 7]]);
                let octets = Octets::new().sized(data);
                Command::new(CommandCode::SET_CAPABILITY).handle(OWNER).octets(octets)
            }
            _ => {
                let by = *self.choices.one_of(&[OWNER, PLATFORM]);
                let clock_ms = *self.choices.one_of(&[0, 1_000_000, u64::MAX]);
                let octets = Octets::new().u64(clock_ms);
                Command::new(CommandCode::CLOCK_SET).handle(by).octets(octets)
            }
        };
        self.plan_authorised(command, Effect::None);
    }

    /// TPM2_ECC_Encrypt, and TPM2_ECC_Decrypt of what came of it, perhaps with other data.
    fn encrypt_for_a_curve(&mut self) {
        let Some(key) = self.key(Class::Agreement) else { return };
        let scheme: &[u16] = match self.choices.below(6) {
            0 => &[ALG_NULL],
            1 => &[0x20, SHA256],
            _ => &[KDF2, SHA256],
        };
        let scheme = Octets::new().words(scheme);
        let size = *self.choices.one_of(&[1, 16, 0, 1024, 1025]);
        let command = Command::new(CommandCode::ECC_ENCRYPT)
            .handle(key.handle)
            .octets(Octets::new().sized(&vec![0x17; size]).bytes(&scheme.0));
        let encrypted = self.plan_authorised(command, Effect::None);
        let command = Command::new(CommandCode::ECC_DECRYPT).handle(key.handle);
        let command = command.piece(Piece::Field(encrypted, 0));
        let command = if self.choices.once_in(4) {
            command.octets(Octets::new().sized(&vec![0x18; size]))
        } else {
            command.piece(Piece::Field(encrypted, 1))
        };
        let command = command.piece(Piece::Field(encrypted, 2)).octets(scheme);
        self.plan_authorised(command, Effect::None);
    }

    fn newer_policy(&mut self) {
        let sessions = self.world.sessions.iter().filter(|session| session.kind != HMAC_SESSION);
        let sessions: Vec<_> = sessions.cloned().collect();
        let Some(session) = self.choices.any_of(&sessions).cloned() else { return };
        let digest = self.some_digest(session.hash.digest_size());
        let name = *self.choices.one_of(&[&[0, 11, 7][..], &[], &[0x40, 0, 0, 1]]);
        let (code, octets) = match self.choices.below(4) {
            0 => (CommandCode::POLICY_PARAMETERS, Octets::new().sized(&digest)),
            1 => (CommandCode::POLICY_TRANSPORT_SPDM, Octets::new().sized(name).sized(&[])),
            2 => {
                let includes = *self.choices.one_of(&[0, 1, 2]);
                let octets = Octets::new().sized(name).sized(name).sized(name).u8(includes);
                (CommandCode::POLICY_AC_SEND_SELECT, octets)
            }
            _ => {
                let offset = *self.choices.one_of(&[0, 4, 200]);
                let operation = *self.choices.one_of(&[0, 1, 3, 9, 12]);
                let capability = *self.choices.one_of(&[6, 0, 5, 99]);
                let octets = Octets::new().sized(&[0, 0, 1]).u16(offset).u16(operation);
                (CommandCode::POLICY_CAPABILITY, octets.u32(capability).u32(0x100))
            }
        };
        let command = Command::new(code).handle(Handle::Of(session.step)).octets(octets);
        self.plan_authorised(command, Effect::None);
    }

    fn define_space_2(&mut self) {
        let attributes = attribute::USUAL;
        let kind = if self.choices.once_in(8) { 2 } else { NV_INDEX_KIND };
        let size = *self.choices.one_of(&[8, 32, 2048]);
        let auth = self.some_auth();
        let public = Octets::new().u8(kind).u32(INDEX).u16(SHA256).u32(attributes);
        let public = public.sized(&[]).u16(size).0;
        let octets = Octets::new().sized(&auth).sized(&public);
        let command = Command::new(CommandCode::NV_DEFINE_SPACE_2).handle(OWNER).octets(octets);
        let index = Index { handle: INDEX, attributes, size, auth, policy: Policy::None };
        self.plan_authorised(command, Effect::Defined(index));
    }

    fn certify_x509(&mut self) {
        let Some(subject) = self.any_object() else { return };
        let key = self.key(Class::SignEcc).map_or(NULL, |key| key.handle);
        let scheme: &[u16] = if self.choices.once_in(3) { &[ALG_NULL] } else { &[0x18, SHA256] };
        let mut certificate = CERTIFICATE;
        if self.choices.once_in(3) {
            let place = self.choices.below(certificate.len());
            certificate[place] = self.choices.octet();
        }
        let octets = Octets::new().sized(&[]).words(scheme).sized(&certificate);
        let command = Command::new(CommandCode::CERTIFY_X509).handle(subject.handle).handle(key);
        self.plan_authorised(command.octets(octets), Effect::None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::Choices;
    use crate::machine::Machine;
    use crate::side::Side;
    use crate::step::Action;

    /// Those that can succeed: nothing is attached, and there is nothing to set.
    const POSSIBLE: [CommandCode; 12] = [
        CommandCode::ECC_ENCRYPT,
        CommandCode::ECC_DECRYPT,
        CommandCode::CERTIFY_X509,
        CommandCode::NV_DEFINE_SPACE_2,
        CommandCode::NV_READ_PUBLIC_2,
        CommandCode::ACT_SET_TIMEOUT,
        CommandCode::READ_ONLY_CONTROL,
        CommandCode::CLOCK_SET,
        CommandCode::POLICY_PARAMETERS,
        CommandCode::POLICY_TRANSPORT_SPDM,
        CommandCode::POLICY_AC_SEND_SELECT,
        CommandCode::POLICY_CAPABILITY,
    ];

    #[test]
    fn each_succeeds_sometimes() {
        let mut missing = POSSIBLE.to_vec();
        for seed in 0..400 {
            let mut side = Side::new(Machine::new());
            let mut generator = Generator::for_one(Choices::from_seed(seed));
            for _ in 0..60 {
                let step = generator.next_step();
                let outcome = side.perform(&step);
                generator.observe(&step, &outcome);
                if let Action::Command(command) = &step.action
                    && outcome.code == 0
                {
                    missing.retain(|code| *code != command.code);
                }
            }
            if missing.is_empty() {
                return;
            }
        }
        panic!("never: {missing:?}");
    }
}
