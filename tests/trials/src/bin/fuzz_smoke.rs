// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzing without a fuzzer: `fuzz_smoke [SECONDS [SEED [HARNESS]]]` gives each harness its corpus
//! from fuzz/corpus, and then for so many seconds changed and crossed inputs of it. It knows
//! nothing of coverage; `cargo fuzz` does.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tpm_trials::choices::Choices;
use tpm_trials::fuzz::{HARNESSES, Harness};

const SECONDS: u64 = 30;
const SEED: u64 = 1;
const INPUT_SIZE_MAX: usize = 2000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual| arguments.next().map_or(Some(usual), |text| text.parse().ok());
    let (Some(seconds), Some(seed)) = (number(SECONDS), number(SEED)) else {
        eprintln!("usage: fuzz_smoke [SECONDS [SEED [HARNESS]]]");
        return ExitCode::from(2);
    };
    let only = arguments.next();
    let chosen: Vec<_> = HARNESSES
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|one| one == *name))
        .collect();
    if chosen.is_empty() {
        eprintln!("fuzz_smoke: there is no such harness");
        return ExitCode::from(2);
    }
    show_findings();
    std::thread::scope(|scope| {
        for (name, harness) in chosen {
            scope.spawn(move || run(name, *harness, Duration::from_secs(seconds), seed));
        }
    });
    ExitCode::SUCCESS
}

fn run(name: &str, harness: Harness, time: Duration, seed: u64) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} has no inputs");
    for input in &corpus {
        attempt(name, harness, input);
    }
    let mut choices = Choices::from_seed(seed);
    let began = Instant::now();
    let mut count = 0_u64;
    while began.elapsed() < time {
        let input = changed(&corpus, &mut choices);
        attempt(name, harness, &input);
        count += 1;
    }
    println!("fuzz_smoke: {name}: {} inputs of the corpus, {count} changed ones", corpus.len());
}

/// The harness and the input.
type Attempt = (String, Vec<u8>);

thread_local! {
    /// What is being tried.
    static CURRENT: RefCell<Attempt> = const { RefCell::new((String::new(), Vec::new())) };
}

fn attempt(name: &str, harness: Harness, input: &[u8]) {
    CURRENT.set((name.to_string(), input.to_vec()));
    harness(input);
}

/// Shows what was tried when a harness panics, which ends the process.
fn show_findings() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        CURRENT.with_borrow(|(name, input)| {
            let digits: String = input.iter().map(|octet| format!("{octet:02x}")).collect();
            eprintln!("fuzz_smoke: {name} fails with {digits}");
        });
        usual(panic);
    }));
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// One or two inputs of the corpus with some changes, or any octets.
fn changed(corpus: &[Vec<u8>], choices: &mut Choices<'_>) -> Vec<u8> {
    if choices.once_in(8) {
        let size = choices.below(INPUT_SIZE_MAX);
        return choices.octets(size);
    }
    let mut input = choices.one_of(corpus).clone();
    if choices.once_in(3) {
        let other = choices.one_of(corpus);
        let (keep, skip) = (choices.below(input.len()), choices.below(other.len()));
        input.truncate(keep);
        input.extend_from_slice(&other[skip..]);
    }
    for _ in 0..=choices.below(8) {
        let place = choices.below(input.len());
        match choices.below(5) {
            _ if input.is_empty() => input.push(choices.octet()),
            0 => input[place] ^= 1 << choices.below(8),
            1 => input[place] = choices.octet(),
            2 => drop(input.remove(place)),
            3 => input.insert(place, choices.octet()),
            _ => input[place] = *choices.one_of(&[0, 1, 0x7f, 0x80, 0xff]),
        }
    }
    input.truncate(INPUT_SIZE_MAX);
    input
}
