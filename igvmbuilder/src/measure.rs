// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a verifier must know of a file: launch digest, policy, ID block, and on request how the
//! digest comes about, page by page.

use std::fmt;

use igvm::IgvmFile;
use serde_json::{Value, json};
use snp_abi::launch::Digest;

use crate::{
    digest::{self, MeasureError, MeasuredPage},
    file,
    id_block::{self, IdBlockError, Verified},
};

/// A file's measurements.
#[derive(Debug)]
pub struct Measurement {
    /// The launch digest.
    pub launch_digest: Digest,
    /// The guest policy.
    pub policy: Option<u64>,
    /// The ID block, if it is good.
    pub id_block: Result<Verified, IdBlockError>,
    /// The pages, in the order in which they are measured.
    pub pages: Vec<MeasuredPage>,
}

/// Measures a file.
///
/// # Errors
/// See [`MeasureError`].
pub fn measure(igvm: &IgvmFile) -> Result<Measurement, MeasureError> {
    let pages = digest::pages(igvm.directives())?;
    Ok(Measurement {
        launch_digest: digest::measure(igvm.directives())?,
        policy: file::policy(igvm),
        id_block: id_block::verify(igvm),
        pages,
    })
}

impl Measurement {
    /// As JSON: numbers of 64 bits as hexadecimal text, digests too. `id_block` is `null` without
    /// one, and `{"error": …}` when it isn't good.
    #[must_use]
    pub fn json(&self, explain: bool) -> Value {
        let mut value = json!({
            "launch_digest": hex::encode(self.launch_digest),
            "policy": self.policy.map(|policy| format!("{policy:#x}")),
            "id_block": match &self.id_block {
                Ok(verified) => verified_json(verified),
                Err(IdBlockError::None) => Value::Null,
                Err(error) => json!({ "error": error.to_string() }),
            },
        });
        if explain {
            value["pages"] = self.pages.iter().map(page_json).collect();
        }
        value
    }

    /// The table of pages.
    #[must_use]
    pub const fn explanation(&self) -> Explanation<'_> {
        Explanation(self)
    }
}

fn verified_json(verified: &Verified) -> Value {
    let block = &verified.block;
    json!({
        "family_id": hex::encode(block.family_id),
        "image_id": hex::encode(block.image_id),
        "guest_svn": block.guest_svn,
        "id_key_digest": hex::encode(verified.id_key_digest),
        "author_key_digest": verified.author_key_digest.map(hex::encode),
    })
}

fn page_json(page: &MeasuredPage) -> Value {
    json!({
        "gpa": format!("{:#x}", page.gpa),
        "type": page.page_type as u8,
        "contents": hex::encode(page.contents),
        "digest_after": hex::encode(page.digest_after),
    })
}

impl fmt::Display for Measurement {
    /// The digest alone on the first line.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", hex::encode(self.launch_digest))?;
        match self.policy {
            Some(policy) => writeln!(formatter, "policy        {policy:#x}")?,
            None => writeln!(formatter, "policy        none")?,
        }
        match &self.id_block {
            Ok(verified) => write!(formatter, "{verified}"),
            Err(IdBlockError::None) => writeln!(formatter, "ID block      none"),
            Err(error) => writeln!(formatter, "ID block      BAD: {error}"),
        }
    }
}

/// How the digest comes about.
pub struct Explanation<'a>(&'a Measurement);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "\n{:>5}  {:<16} {:<10}  {:<96}  digest with this page",
            "page", "address", "type", "SHA-384 of the contents"
        )?;
        for (number, page) in self.0.pages.iter().enumerate() {
            let contents = match page.contents {
                [0, rest @ ..] if rest.iter().all(|&byte| byte == 0) => "-".to_owned(),
                contents => hex::encode(contents),
            };
            writeln!(
                formatter,
                "{number:>5}  {:<#16x} {:<10}  {contents:<96}  {}",
                page.gpa,
                format!("{:?}", page.page_type),
                hex::encode(page.digest_after)
            )?;
        }
        Ok(())
    }
}
