// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between two IGVM files, and what of it their launch digests show.

use std::{collections::BTreeMap, fmt};

use igvm::{IgvmDirectiveHeader, IgvmFile, IgvmInitializationHeader};
use snp_abi::{
    PAGE_SIZE_U64,
    config::{LaunchConfig, LaunchConfigPage, PayloadDigest},
    launch::{Digest, IdBlock, PageType},
};
use zerocopy::FromBytes;

use crate::{
    digest::{self, MeasureError, MeasuredPage},
    file,
    id_block::{self, IdBlockError},
};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whether the launch digest depends on it.
    pub is_measured: bool,
    /// What it is, for people.
    pub text: String,
}

/// The differences between two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The launch digests.
    pub digests: [Digest; 2],
    /// Everything that differs.
    pub changes: Vec<Change>,
}

/// Compares two files.
///
/// # Errors
/// One of them can't be measured.
pub fn compare(first: &IgvmFile, second: &IgvmFile) -> Result<Comparison, MeasureError> {
    let pages = [digest::pages(first.directives())?, digest::pages(second.directives())?];
    let mut changes = Changes::default();
    changes.unmeasured("policy", file::policy(first), file::policy(second), |policy| {
        policy.map_or("none".to_owned(), |policy| format!("{policy:#x}"))
    });
    compare_id_blocks(&mut changes, first, second);
    compare_configurations(&mut changes, first, second);
    compare_pages(&mut changes, &pages);
    compare_the_rest(&mut changes, first, second);
    let digests = pages.map(|pages| pages.last().map_or([0; 48], |page| page.digest_after));
    Ok(Comparison { digests, changes: changes.0 })
}

/// The differences so far.
#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, is_measured: bool, text: String) {
        self.0.push(Change { is_measured, text });
    }

    /// A value that the digest does not depend on.
    fn unmeasured<T: PartialEq>(
        &mut self,
        what: &str,
        first: T,
        second: T,
        show: impl Fn(&T) -> String,
    ) {
        if first != second {
            self.add(false, format!("{what}: {} → {}", show(&first), show(&second)));
        }
    }

    /// A value on a measured page.
    fn measured<T: PartialEq>(
        &mut self,
        what: &str,
        first: T,
        second: T,
        show: impl Fn(&T) -> String,
    ) {
        if first != second {
            self.add(true, format!("{what}: {} → {}", show(&first), show(&second)));
        }
    }
}

fn compare_id_blocks(changes: &mut Changes, first: &IgvmFile, second: &IgvmFile) {
    let (first, second) = (id_block::verify(first), id_block::verify(second));
    let state = |result: &Result<_, IdBlockError>| match result {
        Ok(_) => "good".to_owned(),
        Err(IdBlockError::None) => "none".to_owned(),
        Err(error) => format!("BAD ({error})"),
    };
    let (Ok(a), Ok(b)) = (&first, &second) else {
        changes.unmeasured("ID block", state(&first), state(&second), Clone::clone);
        return;
    };
    let hexadecimal = |bytes: &[u8; 16]| hex::encode(bytes);
    let IdBlock { family_id, image_id, guest_svn, .. } = a.block;
    changes.unmeasured("ID block, family ID", family_id, b.block.family_id, hexadecimal);
    changes.unmeasured("ID block, image ID", image_id, b.block.image_id, hexadecimal);
    changes.unmeasured("ID block, guest SVN", guest_svn, b.block.guest_svn, u32::to_string);
    changes.unmeasured("ID key", a.id_key_digest, b.id_key_digest, short);
    changes.unmeasured("author key", a.author_key_digest, b.author_key_digest, |digest| {
        digest.as_ref().map_or("none".to_owned(), short)
    });
}

/// The front of a digest.
fn short(digest: &Digest) -> String {
    let text = hex::encode(digest);
    format!("{}…", text.get(..16).unwrap_or(&text))
}

fn compare_configurations(changes: &mut Changes, first: &IgvmFile, second: &IgvmFile) {
    let (Some(a), Some(b)) = (configuration(first), configuration(second)) else {
        return;
    };
    let range = |config: &LaunchConfig| (config.image_start, config.image_end);
    changes.measured("image", range(&a), range(&b), |(start, end)| format!("{start:#x}..{end:#x}"));
    let region = |config: &LaunchConfig| (config.region_base, config.region_size);
    changes.measured("region", region(&a), region(&b), |(base, size)| {
        format!("{base:#x}, {size:#x} bytes")
    });
    changes.measured("console", a.console, b.console, |console| format!("{console:?}"));
    changes.measured("flags", a.flags, b.flags, |flags| format!("{flags:?}"));
    changes.measured("state's owner", a.state_owner, b.state_owner, |owner| {
        owner.map_or("none".to_owned(), hex::encode)
    });
    changes.measured("guest's VMPL", a.guest_vmpl, b.guest_vmpl, |vmpl| format!("{vmpl:?}"));
    changes.measured("policy that the SVSM expects", a.guest_policy, b.guest_policy, |policy| {
        format!("{:#x}", policy.bits())
    });
    changes.measured("arguments", a.arguments.as_str(), b.arguments.as_str(), |text| {
        format!("{text:?}")
    });
    let payload = |digest: &Option<PayloadDigest>| match digest {
        Some(payload) => format!("{} bytes, {}", payload.length, short(&payload.digest)),
        None => "none".to_owned(),
    };
    changes.measured("kernel", a.kernel, b.kernel, payload);
    changes.measured("initrd", a.initrd, b.initrd, payload);
    changes.measured("cmdline", a.cmdline, b.cmdline, payload);
}

fn configuration(igvm: &IgvmFile) -> Option<LaunchConfig> {
    igvm.directives().iter().find_map(|directive| match directive {
        IgvmDirectiveHeader::PageData { data, .. } => {
            LaunchConfigPage::read_from_bytes(data).ok()?.parse().ok()
        }
        _ => None,
    })
}

/// How a page differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PageChange {
    OnlyInFirst,
    OnlyInSecond,
    Type(PageType, PageType),
    Contents(PageType),
}

impl fmt::Display for PageChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyInFirst => write!(formatter, "only in the first file"),
            Self::OnlyInSecond => write!(formatter, "only in the second file"),
            Self::Type(first, second) => write!(formatter, "type {first:?} → {second:?}"),
            Self::Contents(page_type) => write!(formatter, "contents ({page_type:?})"),
        }
    }
}

/// Pages by address, neighbours that differ in the same way as one; then their order.
fn compare_pages(changes: &mut Changes, pages: &[Vec<MeasuredPage>; 2]) {
    let [first, second] = pages;
    let by_address = |pages: &[MeasuredPage]| -> BTreeMap<u64, MeasuredPage> {
        pages.iter().map(|page| (page.gpa, *page)).collect()
    };
    let (a, b) = (by_address(first), by_address(second));
    let mut runs: Vec<(u64, u64, PageChange)> = Vec::new();
    for (&gpa, page) in a.iter().chain(b.iter().filter(|(gpa, _)| !a.contains_key(gpa))) {
        let change = match (a.contains_key(&gpa), b.get(&gpa)) {
            (false, _) => PageChange::OnlyInSecond,
            (true, None) => PageChange::OnlyInFirst,
            (true, Some(other)) if other.page_type != page.page_type => {
                PageChange::Type(page.page_type, other.page_type)
            }
            (true, Some(other)) if other.contents != page.contents => {
                PageChange::Contents(page.page_type)
            }
            (true, Some(_)) => continue,
        };
        match runs.last_mut() {
            Some((_, end, last)) if *end == gpa && *last == change => *end = gpa + PAGE_SIZE_U64,
            _ => runs.push((gpa, gpa.saturating_add(PAGE_SIZE_U64), change)),
        }
    }
    for (start, end, change) in runs {
        let count = (end - start) / PAGE_SIZE_U64;
        changes.add(true, format!("{count} page(s) {start:#x}..{end:#x}: {change}"));
    }
    let order = |pages: &[MeasuredPage], other: &BTreeMap<u64, MeasuredPage>| -> Vec<u64> {
        pages.iter().map(|page| page.gpa).filter(|gpa| other.contains_key(gpa)).collect()
    };
    if order(first, &b) != order(second, &a) {
        changes.add(true, "pages: their order".to_owned());
    }
}

/// What isn't a page, the policy or the ID block: parameters, required memory, headers.
fn compare_the_rest(changes: &mut Changes, first: &IgvmFile, second: &IgvmFile) {
    let other_directives = |file: &IgvmFile| -> Vec<String> {
        file.directives()
            .iter()
            .filter(|directive| {
                !matches!(
                    directive,
                    IgvmDirectiveHeader::PageData { .. }
                        | IgvmDirectiveHeader::ParameterInsert(_)
                        | IgvmDirectiveHeader::SnpVpContext { .. }
                        | IgvmDirectiveHeader::SnpIdBlock { .. }
                )
            })
            .map(|directive| format!("{directive:?}"))
            .collect()
    };
    if other_directives(first) != other_directives(second) {
        changes.add(false, "parameters or required memory (`inspect` lists them)".to_owned());
    }
    let platforms = |file: &IgvmFile| format!("{:?}", file.platforms());
    changes.unmeasured("platforms", platforms(first), platforms(second), Clone::clone);
    let other_headers = |file: &IgvmFile| -> Vec<String> {
        file.initializations()
            .iter()
            .filter(|header| !matches!(header, IgvmInitializationHeader::GuestPolicy { .. }))
            .map(|header| format!("{header:?}"))
            .collect()
    };
    changes.unmeasured("other headers", other_headers(first), other_headers(second), |list| {
        list.join(", ")
    });
}

impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = &self.digests;
        for (title, is_measured) in [
            ("measured: these changed the launch digest", true),
            ("not in the launch digest", false),
        ] {
            let mut changes =
                self.changes.iter().filter(|change| change.is_measured == is_measured).peekable();
            if changes.peek().is_some() {
                writeln!(formatter, "{title}")?;
            }
            for change in changes {
                writeln!(formatter, "  {}", change.text)?;
            }
        }
        if first == second {
            writeln!(formatter, "launch digest  {}, both", hex::encode(first))
        } else {
            writeln!(formatter, "launch digest  {}", hex::encode(first))?;
            writeln!(formatter, "            →  {}", hex::encode(second))
        }
    }
}
