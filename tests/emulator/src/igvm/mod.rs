// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads an IGVM file and loads it the way QEMU and the secure processor do together, computing the
//! launch digest on the way. Format: the `igvm_defs` crate. What is honoured: QEMU's
//! `docs/system/igvm.rst`. Digest: AMD 56860, 8.17 (SNP_LAUNCH_UPDATE).
//!
//! Nothing here allocates or touches memory: the machine does that behind [`Loader`]. Whatever
//! isn't known is refused, and so is whatever would give another digest on another host.
#![forbid(unsafe_code)]

mod area;
mod directive;
mod header;
#[cfg(test)]
mod tests;

use igvm_defs::IGVM_VHS_SNP_ID_BLOCK;
use sha2::{Digest as _, Sha384};
use snp_abi::{
    PAGE_SIZE, PAGE_SIZE_U64,
    launch::{Digest, GuestPolicy, PageInfo, PageType},
    vmsa::Vmsa,
};
use zerocopy::{FromBytes, IntoBytes};

use area::Areas;
pub(crate) use area::ParameterKind;
use directive::Directive;
use header::Headers;

/// A page of the launch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaunchPage<'file> {
    /// Its GPA, page aligned.
    pub(crate) gpa: u64,
    /// Its type. Secrets and CPUID pages are the machine's to fill in.
    pub(crate) page_type: PageType,
    /// Its contents; `None` for zeros.
    pub(crate) contents: Option<&'file [u8; PAGE_SIZE]>,
}

/// A parameter that the machine writes into pages that were just loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// What it is.
    pub(crate) kind: ParameterKind,
    /// Where it goes.
    pub(crate) gpa: u64,
    /// Bytes there, to the end of its area.
    pub(crate) room_bytes: u64,
}

/// The machine, as the file's directives see it.
pub(crate) trait Loader {
    /// Why the machine refuses something.
    type Error;

    /// Makes a page part of the launch: assigned, validated, with these contents. A page can't be
    /// part of it twice.
    fn page(&mut self, page: LaunchPage<'_>) -> Result<(), Self::Error>;

    /// Writes a parameter into pages that [`Self::page`] has loaded.
    fn parameter(&mut self, parameter: Parameter) -> Result<(), Self::Error>;

    /// The range must be RAM.
    fn required_memory(&mut self, gpa: u64, size_bytes: u64) -> Result<(), Self::Error>;

    /// Sets the boot processor's first state.
    fn context(&mut self, vmsa: &Vmsa) -> Result<(), Self::Error>;
}

/// What a file has led to.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The guest policy.
    pub(crate) policy: GuestPolicy,
    /// The launch digest.
    pub(crate) digest: Digest,
    /// The ID block, not checked yet.
    pub(crate) id_block: Option<IGVM_VHS_SNP_ID_BLOCK>,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IgvmError<E> {
    /// Not an IGVM file of version 1.
    NotIgvm,
    /// The sizes in the fixed header don't describe this file.
    Sizes,
    /// The checksum over the headers isn't this.
    Checksum(u32),
    /// A header goes beyond the header section, or has another length than its type, or padding
    /// that isn't zero; with its type.
    Header(u32),
    /// Headers of the three sections are mixed.
    Order(u32),
    /// A type that isn't known and not optional.
    UnknownType(u32),
    /// The file is not for SNP, or says so twice.
    Platform,
    /// No guest policy, or two, or one that firmware refuses.
    Policy,
    /// An address isn't page aligned, or the range wraps.
    Address(u64),
    /// The page's flags or type aren't known.
    PageKind(u64),
    /// The data isn't all in the file.
    Data(u32),
    /// The parameter area isn't there (any more), is declared twice, is empty or too large, or
    /// has too many parameters.
    Area(u32),
    /// A parameter doesn't lie within its area.
    ParameterPlace(u32),
    /// A reserved field isn't zero.
    Reserved,
    /// No VP context, or two, or one for another processor or place.
    Context,
    /// Something measured follows the VP context: hosts differ in when they measure that.
    AfterContext(u64),
    /// Two ID blocks.
    IdBlock,
    /// The machine refuses.
    Machine(E),
}

/// Loads `file`.
///
/// # Errors
/// The first thing that is wrong; what was loaded up to there stays loaded.
pub(crate) fn load<L: Loader>(file: &[u8], loader: &mut L) -> Result<Launch, IgvmError<L::Error>> {
    let mut session = Session {
        file,
        loader,
        areas: Areas::default(),
        digest: [0; 48],
        policy: None,
        id_block: None,
        has_context: false,
    };
    let mut headers = Headers::parse(file)?;
    let compatibility = headers.snp_compatibility()?;
    while let Some(header) = headers.next_header()? {
        if let Some(directive) = Directive::decode(header, compatibility)? {
            session.carry_out(directive)?;
        }
    }
    if !session.has_context {
        return Err(IgvmError::Context);
    }
    Ok(Launch {
        policy: session.policy.ok_or(IgvmError::Policy)?,
        digest: session.digest,
        id_block: session.id_block,
    })
}

/// A load in progress.
struct Session<'file, 'machine, L> {
    file: &'file [u8],
    loader: &'machine mut L,
    areas: Areas,
    digest: Digest,
    policy: Option<GuestPolicy>,
    id_block: Option<IGVM_VHS_SNP_ID_BLOCK>,
    has_context: bool,
}

impl<L: Loader> Session<'_, '_, L> {
    fn carry_out(&mut self, directive: Directive) -> Result<(), IgvmError<L::Error>> {
        match directive {
            Directive::Policy(bits) => {
                let policy = GuestPolicy::parse(bits).ok_or(IgvmError::Policy)?;
                match self.policy.replace(policy) {
                    None => Ok(()),
                    Some(_) => Err(IgvmError::Policy),
                }
            }
            Directive::RequiredMemory { gpa, size_bytes } => {
                self.loader.required_memory(gpa, size_bytes).map_err(IgvmError::Machine)
            }
            Directive::Page { gpa, page_type, file_offset } => {
                self.page(gpa, page_type, file_offset)
            }
            Directive::Area { index, size_bytes, file_offset } => {
                self.areas.declare(index, size_bytes, file_offset)
            }
            Directive::Parameter { kind, index, offset } => self.areas.add(index, kind, offset),
            Directive::Insert { index, gpa } => self.insert(index, gpa),
            Directive::Context { file_offset } => self.context(file_offset),
            Directive::IdBlock(block) => match self.id_block.replace(block) {
                None => Ok(()),
                Some(_) => Err(IgvmError::IdBlock),
            },
        }
    }

    fn page(
        &mut self,
        gpa: u64,
        page_type: PageType,
        file_offset: u32,
    ) -> Result<(), IgvmError<L::Error>> {
        if self.has_context {
            return Err(IgvmError::AfterContext(gpa));
        }
        let contents = match file_offset {
            0 => None,
            offset => Some(page_at(self.file, offset)?),
        };
        self.measure(page_type, gpa, contents);
        let page = LaunchPage { gpa, page_type, contents };
        self.loader.page(page).map_err(IgvmError::Machine)
    }

    /// Loads the pages of a parameter area, then has the machine write the parameters into them.
    fn insert(&mut self, index: u32, gpa: u64) -> Result<(), IgvmError<L::Error>> {
        let area = self.areas.take(index)?;
        let end = gpa.checked_add(area.size_bytes()).ok_or(IgvmError::Address(gpa))?;
        for page in 0..area.size_bytes() / PAGE_SIZE_U64 {
            let distance = page * PAGE_SIZE_U64;
            let file_offset = match area.file_offset() {
                0 => 0,
                offset => u32::try_from(u64::from(offset) + distance)
                    .map_err(|_| IgvmError::Data(offset))?,
            };
            self.page(gpa + distance, PageType::Unmeasured, file_offset)?;
        }
        for (kind, offset) in area.parameters() {
            let place = gpa + u64::from(offset);
            let parameter = Parameter { kind, gpa: place, room_bytes: end - place };
            self.loader.parameter(parameter).map_err(IgvmError::Machine)?;
        }
        Ok(())
    }

    fn context(&mut self, file_offset: u32) -> Result<(), IgvmError<L::Error>> {
        if self.has_context {
            return Err(IgvmError::Context);
        }
        self.has_context = true;
        let contents = page_at(self.file, file_offset)?;
        self.measure(PageType::Vmsa, snp_abi::launch::VMSA_GPA, Some(contents));
        let vmsa = Vmsa::read_from_bytes(contents).map_err(|_| IgvmError::Data(file_offset))?;
        self.loader.context(&vmsa).map_err(IgvmError::Machine)
    }

    fn measure(&mut self, page_type: PageType, gpa: u64, contents: Option<&[u8; PAGE_SIZE]>) {
        let contents = match contents {
            Some(page) if page_type.has_content_digest() => Sha384::digest(page).into(),
            _ => [0; 48],
        };
        let info = PageInfo::new(self.digest, page_type, contents, gpa);
        self.digest = Sha384::digest(info.as_bytes()).into();
    }
}

/// The page of data at this offset in the file.
fn page_at<E>(file: &[u8], offset: u32) -> Result<&[u8; PAGE_SIZE], IgvmError<E>> {
    usize::try_from(offset)
        .ok()
        .and_then(|start| file.get(start..))
        .and_then(|rest| rest.first_chunk::<PAGE_SIZE>())
        .ok_or(IgvmError::Data(offset))
}
