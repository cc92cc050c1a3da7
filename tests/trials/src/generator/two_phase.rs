// SPDX-License-Identifier: MIT OR Apache-2.0
//! Elliptic curves: agreement on secrets, at once or in two phases, and signatures in two phases
//! (Part 3, 14.4 to 14.7, 19).

use tpm::structure::command_code::CommandCode;

use super::objects::P256_BASE;
use super::world::{Class, Effect};
use super::{ENDORSEMENT, Generator};
use crate::octets::Octets;
use crate::step::{Command, Handle, Piece, StepId};

const SHA256: u16 = 0x0b;
const ECDAA: u16 = 0x1a;
/// TPM_ECC: P-256, P-384, P-521, none, and an unknown one.
const CURVES: [u16; 5] = [3, 4, 5, 0, 0x99];
/// The SHA-256 digest of this is the first coordinate of points of P-256 and P-384 …
const POINT_SEED: &[u8] = b"point 3";
/// … with these as the second.
const POINT_Y_P256: [u8; 32] = [
    0x57, 0xc4, 0xac, 0xe3, 0x0c, 0x21, 0x34, 0x0f, 0x87, 0x9a, 0x01, 0xff, 0xdc, 0x2d, 0xb9, 0x06,
    0x2f, 0xfa, 0x0a, 0x48, 0x17, 0x22, 0xca, 0x49, 0x79, 0x44, 0x93, 0x11, 0x75, 0x2e, 0x61, 0x8f,
];
const POINT_Y_P384: [u8; 48] = [
    0x2e, 0x98, 0x4b, 0x63, 0x49, 0xfb, 0x69, 0xeb, 0xc6, 0x84, 0xea, 0x58, 0x54, 0xef, 0x85, 0x6f,
    0xb8, 0x02, 0x50, 0xb1, 0x9c, 0xc7, 0x49, 0x84, 0x3d, 0x0c, 0x48, 0x67, 0xf1, 0x6f, 0x19, 0x9c,
    0x83, 0x1a, 0x91, 0xd4, 0x64, 0x56, 0x87, 0xa7, 0x21, 0xae, 0xf4, 0x8c, 0xa1, 0xa0, 0x09, 0x8a,
];

impl Generator<'_> {
    pub(super) fn agree(&mut self) {
        let Some(key) = self.key(Class::Agreement) else { return };
        match self.choices.below(6) {
            0 | 1 => {
                let command = Command::new(CommandCode::ECDH_KEY_GEN).handle(key.handle);
                let step = self.plan_authorised(command, Effect::None);
                let command = Command::new(CommandCode::ECDH_Z_GEN)
                    .handle(key.handle)
                    .piece(Piece::Field(step, 1));
                self.plan_authorised(command, Effect::None);
            }
            2 => {
                // No point of the curve.
                let point = Octets::new().sized(&[1; 32]).sized(&[2; 32]).0;
                let command = Command::new(CommandCode::ECDH_Z_GEN).handle(key.handle);
                let command = command.octets(Octets::new().sized(&point));
                self.plan_authorised(command, Effect::None);
            }
            _ => {
                let curve = if self.choices.once_in(3) { *self.choices.one_of(&CURVES) } else { 3 };
                let command = Command::new(CommandCode::EC_EPHEMERAL);
                let command = command.octets(Octets::new().u16(curve));
                let ephemeral = self.plan_authorised(command, Effect::None);
                self.z_gen(key.handle, ephemeral);
            }
        }
    }

    /// TPM2_ZGen_2Phase with an ephemeral key of the TPM's.
    fn z_gen(&mut self, key: Handle, ephemeral: StepId) {
        let base = Octets::new().sized(&P256_BASE[0]).sized(&P256_BASE[1]).0;
        let base = if self.choices.once_in(12) { vec![0, 1, 1, 0, 1, 1] } else { base };
        let scheme = *self.choices.one_of(&[0x19, 0x19, 0x19, 0x1d, 0x1b, 0x10]);
        let times = if self.choices.once_in(6) { 2 } else { 1 };
        for _ in 0..times {
            let command = Command::new(CommandCode::Z_GEN_2_PHASE)
                .handle(key)
                .octets(Octets::new().sized(&base))
                .piece(Piece::Field(ephemeral, 0))
                .octets(Octets::new().u16(scheme))
                .piece(Piece::Field(ephemeral, 1));
            self.plan_authorised(command, Effect::None);
        }
    }

    /// TPM2_Commit, and what signs with it.
    pub(super) fn commit_and_sign(&mut self) {
        let Some(key) = self.key(Class::SignDaa) else { return };
        let point = match self.choices.below(6) {
            0 | 1 => Octets::new().sized(&P256_BASE[0]).sized(&P256_BASE[1]),
            2 => Octets::new().sized(&[1; 32]).sized(&[2; 32]),
            _ => Octets::new().sized(&[]).sized(&[]),
        };
        let (seed, y) = match self.choices.below(6) {
            0 | 1 => (POINT_SEED, &POINT_Y_P256[..]),
            2 => (POINT_SEED, &POINT_Y_P384[..]),
            3 => (POINT_SEED, &[][..]),
            _ => (&[][..], &[][..]),
        };
        let octets = Octets::new().sized(&point.0).sized(seed).sized(y);
        let command = Command::new(CommandCode::COMMIT).handle(key.handle).octets(octets);
        let committed = self.plan_authorised(command, Effect::None);
        if self.choices.once_in(8) {
            let command = Command::new(CommandCode::COMMIT).handle(key.handle);
            let octets = Octets::new().sized(&[0; 4]).sized(&[]).sized(&[]);
            self.plan_authorised(command.octets(octets), Effect::None);
        }
        let times = if self.choices.once_in(6) { 2 } else { 1 };
        for _ in 0..times {
            self.sign_committed(key.handle, committed);
        }
    }

    fn sign_committed(&mut self, key: Handle, committed: StepId) {
        let hash = if self.choices.once_in(12) { 0x0c } else { SHA256 };
        let scheme = Octets::new().words(&[ECDAA, hash]);
        let count = Piece::Field(committed, 3);
        let command = match self.choices.below(4) {
            0 => Command::new(CommandCode::QUOTE)
                .handle(key)
                .octets(Octets::new().sized(b"data").bytes(&scheme.0))
                .piece(count)
                .octets(Octets::new().u32(0)),
            1 => Command::new(CommandCode::GET_TIME)
                .handle(ENDORSEMENT)
                .handle(key)
                .octets(Octets::new().sized(b"data").bytes(&scheme.0))
                .piece(count),
            _ => Command::new(CommandCode::SIGN)
                .handle(key)
                .octets(Octets::new().sized(&[0x42; 32]).bytes(&scheme.0))
                .piece(count)
                .octets(Octets::new().u16(0x8024).u32(0x4000_0007).sized(&[])),
        };
        let is_signature = command.code == CommandCode::SIGN;
        let signed = self.plan_authorised(command, Effect::None);
        if is_signature && self.choices.once_in(2) {
            let command = Command::new(CommandCode::VERIFY_SIGNATURE)
                .handle(key)
                .octets(Octets::new().sized(&[0x42; 32]))
                .piece(Piece::Field(signed, 0));
            self.plan_authorised(command, Effect::None);
        }
    }

    pub(super) fn curve_parameters(&mut self) {
        let curve = *self.choices.one_of(&CURVES);
        let command = Command::new(CommandCode::ECC_PARAMETERS).octets(Octets::new().u16(curve));
        self.plan_authorised(command, Effect::None);
    }
}
