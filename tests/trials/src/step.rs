// SPDX-License-Identifier: MIT OR Apache-2.0
//! A step of a trial, in words that hold for every TPM: what differs from one TPM to the next
//! (handles, keys, tickets, nonces) is named by the step whose response brought it.

use std::fmt;

use tpm::crypto::hash::HashAlgorithm;
use tpm::structure::command_code::CommandCode;

use crate::session::Encryption;

/// The number of a step; steps keep theirs when others are left out.
pub type StepId = u32;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub id: StepId,
    /// What happens.
    pub action: Action,
}

/// What happens in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The TPM loses its power and gets it back.
    PowerCycle,
    /// It gets a command.
    Command(Command),
}

/// A handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handle {
    /// The same for every TPM.
    Fixed(u32),
    /// That of the response to a step.
    Of(StepId),
}

impl Handle {
    const fn reference(&self) -> Option<StepId> {
        match self {
            Self::Of(step) => Some(*step),
            Self::Fixed(_) => None,
        }
    }
}

/// A part of a command's parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The same for every TPM.
    Octets(Vec<u8>),
    /// A field of the response to a step, as [`crate::layout`] divides it, with its size if it is a
    /// TPM2B.
    Field(StepId, usize),
    /// A handle among the parameters.
    Handle(Handle),
    /// The newest nonce of a session, as a TPM2B.
    Nonce(StepId),
    /// The salt of the session that the command starts, encrypted, as a TPM2B.
    Salt,
    /// What a TPM2B holds, without its size.
    Content(Box<Piece>),
    /// These, as a TPM2B.
    Sized(Vec<Piece>),
    /// The digest of these, without a size.
    Digest(HashAlgorithm, Vec<Piece>),
}

impl Piece {
    fn shows_nonce(&self) -> bool {
        match self {
            Self::Nonce(_) => true,
            Self::Content(piece) => piece.shows_nonce(),
            Self::Sized(pieces) | Self::Digest(_, pieces) => pieces.iter().any(Self::shows_nonce),
            Self::Octets(_) | Self::Field(..) | Self::Handle(_) | Self::Salt => false,
        }
    }

    /// The steps whose responses it uses.
    fn references(&self) -> Vec<StepId> {
        match self {
            Self::Octets(_) | Self::Salt => Vec::new(),
            Self::Field(step, _) | Self::Nonce(step) => vec![*step],
            Self::Handle(handle) => handle.reference().into_iter().collect(),
            Self::Content(piece) => piece.references(),
            Self::Sized(pieces) | Self::Digest(_, pieces) => {
                pieces.iter().flat_map(Self::references).collect()
            }
        }
    }
}

/// A session with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUse {
    /// TPM_RS_PW, or the step that started it.
    pub session: Handle,
    /// TPMA_SESSION.
    pub attributes: u8,
    /// What it proves.
    pub proof: Proof,
    /// The authorisation value of what it authorises: part of the key of parameter encryption.
    pub entity_auth: Vec<u8>,
}

/// What stands in the place of a session's HMAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// These octets: a password, or nothing.
    Plain(Vec<u8>),
    /// The HMAC with the session key and this authorisation value.
    Hmac(Vec<u8>),
}

/// How a command is broken after it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Octet `at % length` is changed by this pattern; the command code is left alone.
    Change {
        /// Which octet, if there are so many.
        at: usize,
        /// What is turned over.
        pattern: u8,
    },
    /// Octet `at % length` becomes this one; the command code is left alone.
    Set {
        /// Which octet, if there are so many.
        at: usize,
        /// What it becomes.
        octet: u8,
    },
    /// So many octets are missing at the end, and the size in the header says so.
    Cut(usize),
    /// These stand at the end, and the size in the header says so.
    Append(Vec<u8>),
    /// Another tag.
    Tag(u16),
    /// Another command code, of no command.
    Code(u32),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// 0 to 4.
    pub locality: u8,
    /// Which one.
    pub code: CommandCode,
    /// Its handles.
    pub handles: Vec<Handle>,
    /// Its sessions.
    pub sessions: Vec<SessionUse>,
    /// Its parameters.
    pub body: Vec<Piece>,
    /// How it is broken.
    pub damage: Option<Damage>,
    /// The session that it starts.
    pub starts: Option<SessionStart>,
}

/// What the caller knows of a session that it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStart {
    /// Its hash.
    pub hash: HashAlgorithm,
    /// How it encrypts.
    pub encryption: Encryption,
    /// The authorisation value of the entity that it is bound to.
    pub bind_auth: Option<Vec<u8>>,
    /// The key that its salt is encrypted for.
    pub salt_key: Option<Handle>,
    /// The caller's nonce.
    pub nonce_caller: Vec<u8>,
}

impl Command {
    /// A command with nothing in it.
    pub const fn new(code: CommandCode) -> Self {
        Self {
            locality: 0,
            code,
            handles: Vec::new(),
            sessions: Vec::new(),
            body: Vec::new(),
            damage: None,
            starts: None,
        }
    }

    /// With this handle.
    #[must_use]
    pub fn handle(mut self, handle: Handle) -> Self {
        self.handles.push(handle);
        self
    }

    /// With these octets behind the parameters so far.
    #[must_use]
    pub fn octets(self, octets: crate::octets::Octets) -> Self {
        self.piece(Piece::Octets(octets.0))
    }

    /// With this behind the parameters so far.
    #[must_use]
    pub fn piece(mut self, piece: Piece) -> Self {
        self.body.push(piece);
        self
    }

    /// The steps whose responses are in its handles.
    pub fn handle_references(&self) -> impl Iterator<Item = StepId> {
        self.handles.iter().filter_map(Handle::reference)
    }

    /// Whether a nonce of the TPM's is in its parameters.
    pub fn shows_nonce(&self) -> bool {
        self.body.iter().any(Piece::shows_nonce)
    }

    /// The steps whose responses are in its parameters.
    pub fn body_references(&self) -> impl Iterator<Item = StepId> {
        self.body.iter().flat_map(Piece::references)
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(handle) => write!(formatter, "{handle:#x}"),
            Self::Of(step) => write!(formatter, "handle#{step}"),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Octets(octets) => write!(formatter, "{}", hex(octets)),
            Self::Field(step, field) => write!(formatter, "field#{step}.{field}"),
            Self::Handle(handle) => write!(formatter, "{handle}"),
            Self::Nonce(step) => write!(formatter, "nonce#{step}"),
            Self::Salt => write!(formatter, "salt"),
            Self::Content(piece) => write!(formatter, "{piece}[2..]"),
            Self::Sized(pieces) => write!(formatter, "sized({})", list(pieces)),
            Self::Digest(hash, pieces) => write!(formatter, "{hash:?}({})", list(pieces)),
        }
    }
}

impl fmt::Display for SessionUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, attributes, proof, .. } = self;
        match proof {
            Proof::Plain(octets) => write!(formatter, "{session}/{attributes:02x}={}", hex(octets)),
            Proof::Hmac(auth) => write!(formatter, "{session}/{attributes:02x} key {}", hex(auth)),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{} ", self.id)?;
        let Action::Command(command) = &self.action else { return write!(formatter, "power") };
        write!(formatter, "{}", command.code.name())?;
        let Command { handles, sessions, body, .. } = command;
        write!(formatter, " [{}] ({}) {}", list(handles), list(sessions), list(body))?;
        if command.locality != 0 {
            write!(formatter, " locality {}", command.locality)?;
        }
        match &command.damage {
            Some(damage) => write!(formatter, " {damage:x?}"),
            None => Ok(()),
        }
    }
}

fn list<T: fmt::Display>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

/// Octets as hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
