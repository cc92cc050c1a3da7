// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole TPM that this version left must be the same TPM to every later version: a disk image of
//! tpm_server's with its key, and what the TPM said when it was made.

#[path = "../peer/client.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod client;
mod commands;
mod facts;
mod image;
mod made;
mod records;
#[path = "../state/mod.rs"]
mod state;

use commands::Start;
use facts::Facts;
use state::State;

/// TPM_SU_STATE.
const STARTUP_STATE: u16 = 1;

const IMAGE: &[u8] = include_bytes!("version-1.blocks");
const KEY: &[u8] = include_bytes!("version-1.key");
const FACTS: &str = include_str!("version-1.txt");

/// A copy of the golden TPM.
fn copy(name: &'static str) -> State {
    let state = State::new(name);
    std::fs::write(state.file("state"), image::unpacked(IMAGE)).expect("the image");
    std::fs::write(state.file("state.key"), KEY).expect("the key");
    state
}

#[test]
fn a_copy_resumes_where_the_golden_tpm_was_shut_down() {
    let state = copy("golden-resume");
    let mut tpm = state.start_with(STARTUP_STATE);
    let start = Start { resets: 2, restarts: 1, is_clock_safe: true, was_orderly: true };
    assert_eq!(commands::start_of(&mut tpm), start);
    let facts = Facts::parse(FACTS);
    made::check_what_outlives_power(&mut tpm, &facts);
    made::check_what_a_resume_keeps(&mut tpm, &facts);
    // Nothing was shut down: the next start is a TPM Reset.
    drop(tpm);
    let mut tpm = state.start();
    let start = Start { resets: 3, restarts: 0, is_clock_safe: false, was_orderly: false };
    assert_eq!(commands::start_of(&mut tpm), start);
    made::check_what_outlives_power(&mut tpm, &facts);
}

#[test]
fn a_copy_restarts() {
    let state = copy("golden-restart");
    let mut tpm = state.start();
    let start = Start { resets: 2, restarts: 1, is_clock_safe: true, was_orderly: true };
    assert_eq!(commands::start_of(&mut tpm), start);
    made::check_what_outlives_power(&mut tpm, &Facts::parse(FACTS));
}

#[test]
fn the_golden_records_are_laid_out_as_documented() {
    records::check(&image::unpacked(IMAGE), KEY.try_into().expect("32 bytes"));
}

#[test]
fn this_version_still_makes_such_a_tpm() {
    let (state, facts) = made::make("golden-new");
    let image = std::fs::read(state.file("state")).expect("the image");
    let key = std::fs::read(state.file("state.key")).expect("the key");
    records::check(&image, key.try_into().expect("32 bytes"));
    let mut tpm = state.start_with(STARTUP_STATE);
    made::check_what_outlives_power(&mut tpm, &facts);
    made::check_what_a_resume_keeps(&mut tpm, &facts);
    // Another TPM than the golden one.
    let golden = Facts::parse(FACTS);
    assert_ne!(facts.get("endorsement key P-256"), golden.get("endorsement key P-256"));
}

/// Needed once for each version of the records.
#[test]
#[ignore = "writes a new golden TPM to the folder GOLDEN"]
fn write_a_golden_tpm() {
    let folder = std::path::PathBuf::from(std::env::var_os("GOLDEN").expect("GOLDEN is a folder"));
    let (state, facts) = made::make("golden-write");
    let image = std::fs::read(state.file("state")).expect("the image");
    for (name, content) in [
        ("version-1.blocks", image::packed(&image)),
        ("version-1.key", std::fs::read(state.file("state.key")).expect("the key")),
        ("version-1.txt", facts.text().into_bytes()),
    ] {
        std::fs::write(folder.join(name), content).expect("it is written");
    }
}
