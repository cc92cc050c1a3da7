// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TPM that moves to another machine while it runs: its records go there with the storage, and
//! what only memory holds goes as one value.

use super::ProvisionFault;
use crate::Tpm;
use crate::platform::Platform;
pub use crate::state::VOLATILE_SIZE_MAX;
use crate::state::{Fault, Mode, restore_volatile, save_volatile};
use crate::structure::nv::NvAttributes;
use crate::structure::response_code::ResponseCode;
use crate::wire::Writer;

impl Tpm {
    /// Writes what a loss of power would take, and commits what storage doesn't have yet: the two
    /// belong together until the next command. The octets written are returned; there are at most
    /// [`VOLATILE_SIZE_MAX`]. They hold secrets, and whoever changes them changes the TPM: the
    /// caller encrypts and authenticates them.
    ///
    /// # Errors
    /// [`ProvisionFault::NvUnavailable`]; [`ProvisionFault::Failure`], also when `buffer` is too
    /// short.
    pub fn save_volatile(
        &mut self,
        platform: &mut dyn Platform,
        buffer: &mut [u8],
    ) -> Result<usize, ProvisionFault> {
        self.change(platform, |state, platform| {
            if !platform.is_storage_writable() {
                return Err(ResponseCode::NV_UNAVAILABLE);
            }
            state.nv.mark_if(|index| index.public.attributes.contains(NvAttributes::ORDERLY));
            Ok(())
        })?;
        let mut writer = Writer::new(buffer);
        save_volatile(self.state(), &mut writer).map_err(|_| ProvisionFault::Failure)?;
        Ok(writer.len())
    }

    /// Takes what [`save_volatile`](Self::save_volatile) wrote, instead of TPM2_Startup: after
    /// [`power_on`](Self::power_on) with the storage that belongs to it.
    ///
    /// # Errors
    /// [`ProvisionFault::Failure`] for octets that are no volatile state: the TPM is then in
    /// failure mode. Also for a TPM that has been started, which stays as it is.
    pub fn restore_volatile(
        &mut self,
        platform: &mut dyn Platform,
        octets: &[u8],
    ) -> Result<(), ProvisionFault> {
        if self.state().mode != Mode::Initialized {
            return Err(ProvisionFault::Failure);
        }
        let uptime_ms = platform.uptime_ms();
        let restored = self.change(platform, |state, _| restore_volatile(state, uptime_ms, octets));
        if restored.is_ok() {
            return Ok(());
        }
        // A part of it is in the state, and need not be consistent.
        self.power_on(platform);
        Ok(self.change(platform, |state, _| Err(state.fail(Fault::Record)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::{ProvisionFault, VOLATILE_SIZE_MAX};
    use crate::command::nv::scene::{self, BOTH, INDEX};
    use crate::command::object::create_primary::tests::{body, storage_key};
    use crate::session::Active;
    use crate::structure::nv::NvAttributes;
    use crate::structure::response_code::ResponseCode;
    use crate::testing::client::{AUDIT, Client};
    use crate::testing::{Machine, OWNER};
    use std::vec::Vec;

    fn save(machine: &mut Machine) -> Vec<u8> {
        let mut buffer = std::vec![0; VOLATILE_SIZE_MAX];
        let length = machine.tpm.save_volatile(&mut machine.platform, &mut buffer).unwrap();
        buffer.truncate(length);
        buffer
    }

    /// Loses power and continues, as on another machine whose clock shows something else.
    fn move_with(machine: &mut Machine, octets: &[u8]) -> Result<(), ProvisionFault> {
        machine.platform.uptime_ms = 7_000_000;
        machine.power_cycle();
        machine.tpm.restore_volatile(&mut machine.platform, octets)
    }

    #[test]
    fn everything_goes_on() {
        let mut machine = Machine::started();
        machine.platform.uptime_ms = 5000;
        machine.extend_pcr(5, &[7; 32]);
        machine.extend_pcr(16, &[8; 32]);
        scene::define(&mut machine, OWNER, INDEX, BOTH.with(NvAttributes::ORDERLY), 4);
        scene::write(&mut machine, OWNER, INDEX, b"1234", 0).unwrap();
        scene::write(&mut machine, OWNER, INDEX, b"abcd", 0).unwrap();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        machine.command(0x165, &[0x80, 0, 0, 0]).unwrap();
        machine.command(0x186, &[0, 0, 0, 0x0b]).unwrap();
        machine.authorised(0x15c, &[0x8000_0000], &[0, 2, b'a', b'b']).unwrap();
        let mut client = Client::hmac(&mut machine, b"");
        client.attributes |= AUDIT;
        machine.with_sessions(0x17b, &[], &mut [&mut client], &[0, 4]).unwrap();
        let other = Client::hmac(&mut machine, b"");
        let context = machine.command(0x162, &other.handle.0.to_be_bytes()).unwrap();
        let known = |machine: &mut Machine| {
            let sessions = &machine.tpm.state().sessions;
            let audit = sessions.get(client.handle).map(|session| session.audit);
            let (active, time) = (*sessions.active(), machine.tpm.state().clock.time_ms());
            let name = machine.command(0x173, &[0x80, 0, 0, 1]).unwrap();
            (machine.read_pcr(5), machine.read_pcr(16), audit, active, time, name)
        };
        let before = known(&mut machine);

        let octets = save(&mut machine);
        move_with(&mut machine, &octets).unwrap();
        assert_eq!(known(&mut machine), before);
        assert_eq!(machine.command(0x144, &[0, 0]), Err(ResponseCode::INITIALIZE));
        assert_eq!(scene::read(&mut machine, OWNER, INDEX, 4, 0).unwrap(), b"abcd");
        let hashed = machine.authorised(0x13e, &[0x8000_0000], &[0, 1, b'c', 0x40, 0, 0, 7]);
        assert_eq!(hashed.unwrap()[2..6], [0xba, 0x78, 0x16, 0xbf]);
        machine.with_sessions(0x17b, &[], &mut [&mut client], &[0, 4]).unwrap();
        assert_eq!(machine.command(0x161, &context).unwrap(), other.handle.0.to_be_bytes());
    }

    #[test]
    fn a_tpm_before_startup_goes_on_to_it() {
        let mut machine = Machine::powered();
        machine.tpm.hash_start(&mut machine.platform).unwrap();
        machine.tpm.hash_data(&mut machine.platform, b"code").unwrap();
        let octets = save(&mut machine);
        move_with(&mut machine, &octets).unwrap();
        machine.tpm.hash_end(&mut machine.platform).unwrap();
        let octets = save(&mut machine);
        move_with(&mut machine, &octets).unwrap();
        machine.command(0x144, &[0, 0]).unwrap();
        assert_ne!(machine.read_pcr(0), [0; 32]);
    }

    #[test]
    fn nothing_is_left_of_a_state_that_is_refused() {
        let mut machine = Machine::started();
        let mut client = Client::hmac(&mut machine, b"");
        client.attributes |= AUDIT;
        machine.with_sessions(0x17b, &[], &mut [&mut client], &[0, 4]).unwrap();
        assert_eq!(machine.tpm.state().sessions.exclusive, Some(client.handle));
        let octets = save(&mut machine);
        // Cut in the objects, which are last: the sessions have been read.
        assert!(move_with(&mut machine, &octets[..octets.len() - 1]).is_err());
        let sessions = &machine.tpm.state().sessions;
        assert_eq!(sessions.exclusive, None);
        assert!(sessions.active().iter().all(|active| *active == Active::Free));
        assert_eq!(machine.command(0x17b, &[0, 4]), Err(ResponseCode::FAILURE));
        machine.power_cycle();
        assert!(machine.command(0x144, &[0, 0]).is_ok());
    }

    /// CVE-2022-23645, CVE-2021-3623: whatever is in the octets, it is refused or consistent.
    #[test]
    fn what_is_no_state_is_failure_mode() {
        let mut machine = Machine::started();
        machine.authorised(0x131, &[OWNER], &body(b"", b"", &storage_key())).unwrap();
        Client::hmac(&mut machine, b"");
        let octets = save(&mut machine);
        let refused = Err(ProvisionFault::Failure);
        let started = machine.tpm.restore_volatile(&mut machine.platform, &octets);
        assert_eq!(started, refused, "it has been started");
        assert!(machine.command(0x17b, &[0, 4]).is_ok(), "and goes on");
        for cut in (0..octets.len()).step_by(97) {
            assert_eq!(move_with(&mut machine, &octets[..cut]), refused, "{cut}");
            assert_eq!(machine.command(0x17b, &[0, 4]), Err(ResponseCode::FAILURE));
        }
        let longer = [&octets[..], &[0]].concat();
        assert_eq!(move_with(&mut machine, &longer), refused);
        for place in (0..octets.len()).step_by(13) {
            let mut changed = octets.clone();
            changed[place] ^= 0xff;
            let restored = move_with(&mut machine, &changed);
            // Each response is checked to be well-formed, and the state to be valid.
            let answered = machine.command(0x17b, &[0, 4]);
            assert!(restored.is_ok() || answered == Err(ResponseCode::FAILURE), "{place}");
        }
        assert_eq!(move_with(&mut machine, &octets), Ok(()));
    }

    #[test]
    fn a_buffer_that_is_too_short_gets_nothing() {
        let mut machine = Machine::started();
        let saved = machine.tpm.save_volatile(&mut machine.platform, &mut [0; 100]);
        assert_eq!(saved, Err(ProvisionFault::Failure));
        assert!(machine.command(0x17b, &[0, 4]).is_ok());
    }
}
