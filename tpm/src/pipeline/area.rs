// SPDX-License-Identifier: MIT OR Apache-2.0
//! The authorisation area (Part 1, 18.6; Part 3, 5.5): up to three sessions, each of which
//! authorises a handle, audits, or encrypts.

use crate::command::{Command, Traits};
use crate::session::SessionKind;
use crate::state::State;
use crate::state::capacity::SESSIONS_MAX;
use crate::structure::attributes::SessionAttributes;
use crate::structure::digest::{Auth, Nonce};
use crate::structure::handle::Handle;
use crate::structure::response_code::ResponseCode;
use crate::structure::symmetric::SymmetricDefinition;
use crate::structure::tag::StructureTag;
use crate::wire::{Reader, Result};

/// Octets of the shortest session: handle, two empty TPM2B and the attributes.
const SESSION_SIZE_MIN: usize = 9;

/// A session as the command uses it.
#[derive(Clone, Debug)]
pub(super) struct SessionUse {
    /// The session, or TPM_RS_PW.
    pub(super) handle: Handle,
    /// The caller's nonce.
    pub(super) nonce_caller: Nonce,
    /// What it is to do.
    pub(super) attributes: SessionAttributes,
    /// The HMAC, or the password.
    pub(super) hmac: Auth,
    /// Place of the handle that it authorises, from 0.
    pub(super) authorises: Option<usize>,
    /// It is bound to the entity that it authorises, as the command found both.
    pub(super) is_bound: bool,
}

impl SessionUse {
    const EMPTY: Self = Self {
        handle: Handle::UNASSIGNED,
        nonce_caller: Nonce::EMPTY,
        attributes: SessionAttributes::empty(),
        hmac: Auth::EMPTY,
        authorises: None,
        is_bound: false,
    };

    /// Whether it is no session but a password.
    pub(super) fn is_password(&self) -> bool {
        self.handle == Handle::PASSWORD
    }
}

/// The sessions of a command.
#[derive(Clone, Debug)]
pub(super) struct SessionUses {
    uses: [SessionUse; SESSIONS_MAX],
    count: usize,
    /// Octets of the area, its own size included.
    pub(super) size: usize,
}

impl SessionUses {
    /// Reads the area, if the tag says that there is one, and checks what can be checked without
    /// any secret.
    pub(super) fn parse(
        state: &State,
        command: &Command,
        tag: StructureTag,
        body: &[u8],
    ) -> Result<Self> {
        let mut sessions = Self { uses: [SessionUse::EMPTY; SESSIONS_MAX], count: 0, size: 0 };
        if tag == StructureTag::Sessions {
            sessions.read(state, command, body)?;
        }
        if sessions.count < command.authorisations() {
            return Err(ResponseCode::AUTH_MISSING);
        }
        Ok(sessions)
    }

    /// Notes that a session is bound to the entity that it authorises.
    pub(super) fn note_bound(&mut self, session: Handle) {
        let count = self.count;
        let uses = self.uses.iter_mut().take(count);
        uses.filter(|known| known.handle == session).for_each(|known| known.is_bound = true);
    }

    fn read(&mut self, state: &State, command: &Command, body: &[u8]) -> Result<()> {
        if command.traits.contains(Traits::NO_SESSIONS) {
            return Err(ResponseCode::AUTH_CONTEXT);
        }
        let mut reader = Reader::new(body);
        let size = usize::try_from(reader.value::<u32>()?).map_err(|_| ResponseCode::SIZE)?;
        if size < SESSION_SIZE_MIN || size > reader.remaining() {
            return Err(ResponseCode::SIZE);
        }
        self.size = size.saturating_add(4);
        let mut area = Reader::new(reader.take(size)?);
        let authorisations = command.authorisations();
        while !area.is_empty() {
            let place = self.count;
            let number = u8::try_from(place.saturating_add(1)).unwrap_or(u8::MAX);
            if place == SESSIONS_MAX {
                return Err(ResponseCode::SIZE.in_session(number));
            }
            let mut session = read_session(&mut area).map_err(|code| code.in_session(number))?;
            session.authorises = (place < authorisations).then_some(place);
            self.check(state, command, &session).map_err(|code| match code {
                ResponseCode::REFERENCE_S0 => ResponseCode::reference_session(number),
                code => code.in_session(number),
            })?;
            if let Some(free) = self.uses.get_mut(place) {
                *free = session;
            }
            self.count = place.saturating_add(1);
        }
        Ok(())
    }

    /// Checks a session against the command and the sessions before it.
    fn check(&self, state: &State, command: &Command, new: &SessionUse) -> Result<()> {
        use SessionAttributes as Bits;
        let roles = Bits::AUDIT.with(Bits::DECRYPT).with(Bits::ENCRYPT);
        if new.is_password() {
            if new.attributes.intersects(roles.with(Bits::AUDIT_EXCLUSIVE).with(Bits::AUDIT_RESET))
            {
                return Err(ResponseCode::ATTRIBUTES);
            }
            if !new.nonce_caller.is_empty() {
                return Err(ResponseCode::NONCE);
            }
            // A password can do nothing but authorise.
            return if new.authorises.is_some() { Ok(()) } else { Err(ResponseCode::HANDLE) };
        }
        if !new.handle.is_session() {
            return Err(ResponseCode::VALUE);
        }
        let session = state.sessions.get(new.handle).ok_or(ResponseCode::REFERENCE_S0)?;
        if self.iter().any(|other| other.handle == new.handle) {
            return Err(ResponseCode::HANDLE);
        }
        if new.attributes.intersects(Bits::AUDIT_EXCLUSIVE.with(Bits::AUDIT_RESET))
            && !new.attributes.contains(Bits::AUDIT)
        {
            return Err(ResponseCode::ATTRIBUTES);
        }
        let has_symmetric = session.symmetric != SymmetricDefinition::Null;
        for (role, needed) in [
            (Bits::DECRYPT, Some(Traits::DECRYPT)),
            (Bits::ENCRYPT, Some(Traits::ENCRYPT)),
            (Bits::AUDIT, None),
        ] {
            if !new.attributes.contains(role) {
                continue;
            }
            if self.iter().any(|other| other.attributes.contains(role))
                || needed.is_some_and(|needed| !command.traits.contains(needed))
            {
                return Err(ResponseCode::ATTRIBUTES);
            }
            if needed.is_some() && !has_symmetric {
                return Err(ResponseCode::SYMMETRIC);
            }
            if needed.is_none() && session.is_policy() {
                return Err(ResponseCode::ATTRIBUTES);
            }
        }
        if new.authorises.is_none() && !new.attributes.intersects(roles)
            || session.kind == SessionKind::Trial
        {
            return Err(ResponseCode::ATTRIBUTES);
        }
        if new.attributes.contains(Bits::AUDIT_EXCLUSIVE)
            && session.audit.is_some()
            && !new.attributes.contains(Bits::AUDIT_RESET)
            && state.sessions.exclusive != Some(new.handle)
        {
            return Err(ResponseCode::EXCLUSIVE);
        }
        Ok(())
    }

    /// The sessions in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SessionUse> {
        self.uses.iter().take(self.count)
    }

    fn with(&self, role: SessionAttributes) -> Option<&SessionUse> {
        self.iter().find(|session| session.attributes.contains(role))
    }

    /// The session that encrypted the first parameter.
    pub(super) fn decrypting(&self) -> Option<&SessionUse> {
        self.with(SessionAttributes::DECRYPT)
    }

    /// The session that is to encrypt the first response parameter.
    pub(super) fn encrypting(&self) -> Option<&SessionUse> {
        self.with(SessionAttributes::ENCRYPT)
    }

    /// The session that audits.
    pub(super) fn audit(&self) -> Option<&SessionUse> {
        self.with(SessionAttributes::AUDIT)
    }
}

fn read_session(area: &mut Reader<'_>) -> Result<SessionUse> {
    let handle = area.value()?;
    let nonce_caller = area.value()?;
    let attributes = area.value()?;
    let hmac = area.value()?;
    Ok(SessionUse { handle, nonce_caller, attributes, hmac, authorises: None, is_bound: false })
}
