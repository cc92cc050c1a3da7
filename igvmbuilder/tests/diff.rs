// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two files that differ in one thing each: what is said about it.
#![forbid(unsafe_code)]

mod sample;

use std::io;

use igvmbuilder::{
    build::{Input, build},
    diff::{Comparison, compare},
    digest, file,
    id_block::{self, Identity, Signer},
    key::PrivateKey,
    measure,
};
use sample::{elf, input};
use snp_abi::config::Console;

fn built(change: impl Fn(&mut Input)) -> Vec<u8> {
    let mut input = input();
    change(&mut input);
    build(&input).expect("a good input")
}

fn compared(first: &[u8], second: &[u8]) -> Comparison {
    let read = |bytes| file::read(bytes).expect("a file of ours");
    compare(&read(first), &read(second)).expect("measurable")
}

/// The texts of what differs after a change, measured and not.
fn changes(change: impl Fn(&mut Input)) -> (Vec<String>, Vec<String>) {
    let comparison = compared(&built(|_| ()), &built(change));
    let (measured, unmeasured): (Vec<_>, Vec<_>) =
        comparison.changes.into_iter().partition(|change| change.is_measured);
    let is_explained = measured.is_empty() == (comparison.digests[0] == comparison.digests[1]);
    assert!(is_explained, "a digest changes if and only if something measured has");
    let texts = |list: Vec<igvmbuilder::diff::Change>| list.into_iter().map(|c| c.text).collect();
    (texts(measured), texts(unmeasured))
}

#[test]
fn equal_files_have_no_differences() {
    assert_eq!(changes(|_| ()), (Vec::new(), Vec::new()));
    let text = compared(&built(|_| ()), &built(|_| ())).to_string();
    assert!(text.starts_with("launch digest") && text.ends_with(", both\n"), "{text}");
}

#[test]
fn a_change_of_the_configuration_is_named() {
    let (measured, unmeasured) = changes(|input| input.kernel = None);
    assert!(measured[0].starts_with("kernel: 6 bytes, ") && measured[0].ends_with(" → none"));
    assert_eq!(measured[1], "1 page(s) 0x4000000..0x4001000: contents (Normal)");
    assert_eq!((measured.len(), unmeasured.len()), (2, 0));
    let (measured, _) = changes(|input| input.console = Console::None);
    assert_eq!(measured[0], "console: Debug(233) → None");
    let (measured, _) = changes(|input| input.arguments = "case=2".into());
    assert_eq!(measured[0], r#"arguments: "case=1" → "case=2""#);
}

#[test]
fn a_change_of_the_image_is_a_run_of_pages() {
    let (measured, unmeasured) = changes(|input| input.image = elf(&[0xf4; 0x1800]));
    assert_eq!(measured, ["2 page(s) 0x4010000..0x4012000: contents (Normal)"]);
    assert_eq!(unmeasured, Vec::<String>::new());
}

#[test]
fn a_policy_shows_in_the_configuration_too() {
    let (measured, unmeasured) = changes(|input| input.policy = 0xb_0000);
    assert_eq!(unmeasured, ["policy: 0x30000 → 0xb0000"]);
    assert_eq!(measured[0], "policy that the SVSM expects: 0x30000 → 0xb0000");
}

fn signed(svn: u32) -> Vec<u8> {
    let id_key = PrivateKey::generate(&mut io::repeat(1)).expect("a scalar");
    let identity = Identity { guest_svn: svn, ..Identity::default() };
    let unsigned = file::read(&built(|_| ())).expect("a file of ours");
    let signer = Signer { id_key, author_key: None };
    id_block::sign(&unsigned, &identity, &signer).expect("a signable file")
}

#[test]
fn an_id_block_is_not_in_the_digest() {
    for (first, second, expected) in [
        (built(|_| ()), signed(1), "ID block: none → good"),
        (signed(1), signed(2), "ID block, guest SVN: 1 → 2"),
    ] {
        let comparison = compared(&first, &second);
        assert_eq!(comparison.digests[0], comparison.digests[1]);
        let texts: Vec<_> = comparison.changes.iter().map(|change| &change.text).collect();
        assert_eq!(texts, [expected]);
        assert!(!comparison.changes[0].is_measured);
    }
}

#[test]
fn a_measurement_tells_a_verifier_all() {
    let igvm = file::read(&signed(7)).expect("a file of ours");
    let measurement = measure::measure(&igvm).expect("measurable");
    let digest = digest::measure(igvm.directives()).expect("measurable");
    assert_eq!(measurement.launch_digest, digest);
    let last = measurement.pages.last().expect("pages");
    assert_eq!((measurement.pages.len(), last.digest_after), (1 + 2 + 3 + 3 + 1, digest));

    let text = measurement.to_string();
    assert_eq!(text.lines().next(), Some(hex::encode(digest).as_str()));
    assert!(text.contains("policy        0x30000") && text.contains("guest SVN     7"), "{text}");
    let explanation = measurement.explanation().to_string();
    assert_eq!(explanation.lines().count(), 2 + measurement.pages.len());
    assert!(explanation.trim_end().ends_with(&hex::encode(digest)), "{explanation}");

    let json = measurement.json(true);
    assert_eq!(json["launch_digest"], hex::encode(digest));
    assert_eq!((&json["policy"], &json["id_block"]["guest_svn"]), (&"0x30000".into(), &7.into()));
    assert_eq!(json["pages"][1]["type"], 6);
    assert_eq!(json["pages"].as_array().map(Vec::len), Some(measurement.pages.len()));
    let unsigned = file::read(&built(|_| ())).expect("a file of ours");
    let json = measure::measure(&unsigned).expect("measurable").json(false);
    assert!(json["id_block"].is_null() && json.get("pages").is_none());
}
