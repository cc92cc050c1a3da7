// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file in which a relying party remembers how fresh a vTPM's state was, from one accepted
//! evidence to the next: `{"epoch": …, "sequence": …, "digest": "…"}`.

use serde_json::{Value, json};

use crate::manifest::FreshnessRoot;

/// Reads the file; `None` when it is something else.
#[must_use]
pub fn parse(file: &[u8]) -> Option<FreshnessRoot> {
    let file: Value = serde_json::from_slice(file).ok()?;
    Some(FreshnessRoot {
        epoch: file["epoch"].as_u64()?,
        sequence: file["sequence"].as_u64()?,
        digest: hex::decode(file["digest"].as_str()?).ok()?.try_into().ok()?,
    })
}

/// What is written into it.
#[must_use]
pub fn to_text(root: &FreshnessRoot) -> String {
    let digest = hex::encode(root.digest);
    let file = json!({ "epoch": root.epoch, "sequence": root.sequence, "digest": digest });
    format!("{file}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: FreshnessRoot = FreshnessRoot { epoch: 3, sequence: u64::MAX, digest: [0xa5; 32] };

    #[test]
    fn what_is_no_root_is_not_read() {
        let good = to_text(&ROOT);
        for (from, to) in [
            ("}", ""),
            ("epoch", "Epoch"),
            (":3", ":-3"),
            (":3", ":\"3\""),
            (":18446744073709551615", ":18446744073709551616"),
            ("a5a5", "a5"),
            ("a5a5", "a5a5a5"),
            ("a5a5", "x5a5"),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert_eq!(parse(changed.as_bytes()), None, "{changed}");
        }
        assert_eq!(parse(b"null"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn what_was_remembered_is_read() {
        assert_eq!(parse(to_text(&ROOT).as_bytes()), Some(ROOT));
    }
}
