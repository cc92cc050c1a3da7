// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the engine with libtpms: `differential [COMMANDS [SEED [PATTERN]]]`. Exits with 1 when
//! there is a divergence that accepted.txt doesn't have; each kind is shown once, with the fewest
//! steps that lead to it, if its line has the pattern.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use tpm_trials::accepted::Accepted;
use tpm_trials::choices::Choices;
use tpm_trials::differential::{Divergence, Episode, Pair, episode};
use tpm_trials::machine::Machine;
use tpm_trials::minimise::minimise;
use tpm_trials::step::Action;
use tpm_trials::swtpm::Swtpm;

const COMMANDS: usize = 100_000;
const SEED: u64 = 1;
/// Steps of an episode, which begins with new TPMs.
const EPISODE_LENGTH: usize = 150;
/// Kinds of divergences that are made smaller; more are only listed.
const MINIMISED_MAX: usize = 30;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("differential: {problem}");
            ExitCode::from(2)
        }
    }
}

/// A kind of divergence that isn't accepted.
struct Finding {
    seed: u64,
    divergence: Divergence,
    episode: Episode,
    count: usize,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Divergence { command, ours, theirs, .. } = &self.divergence;
        write!(formatter, "{command} {ours} {theirs}")
    }
}

#[derive(Default)]
struct Tally {
    commands: usize,
    successes: usize,
    episodes: usize,
    /// How often each line of the list was used.
    accepted: BTreeMap<usize, usize>,
    findings: Vec<Finding>,
    /// Response codes of each command.
    codes: BTreeMap<(&'static str, u32), usize>,
}

fn run() -> Result<bool, String> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: u64| match arguments.next() {
        None => Ok(usual),
        Some(text) => text.parse().map_err(|_| format!("{text} is no number")),
    };
    let commands = usize::try_from(number(COMMANDS as u64)?).map_err(|_| "too many commands")?;
    let seed = number(SEED)?;
    let pattern = arguments.next().unwrap_or_default();
    let accepted = Accepted::parse(include_str!("../../accepted.txt"))?;
    let folder = scratch_folder();
    Swtpm::start(&folder)
        .map_err(|problem| format!("cannot start swtpm (Debian's package swtpm): {problem}"))?;
    let began = Instant::now();
    let mut tally = Tally::default();
    while tally.commands < commands {
        let seed = seed.wrapping_add(tally.episodes as u64);
        let length = EPISODE_LENGTH.min(commands - tally.commands);
        let mut pair = new_pair(&folder);
        let episode = episode(&mut pair, Choices::from_seed(seed), length);
        tally.add(seed, episode, &accepted);
    }
    tally.report(&accepted, began.elapsed().as_secs());
    tally.findings.sort_by_key(|finding| std::cmp::Reverse(finding.count));
    for finding in &tally.findings {
        println!("{:5} {finding}", finding.count);
    }
    let shown = tally.findings.iter().filter(|finding| finding.to_string().contains(&pattern));
    for finding in shown.take(MINIMISED_MAX) {
        show(finding, &folder);
    }
    Ok(tally.findings.is_empty())
}

/// Memory, if the machine has such a folder: libtpms writes its state after each change.
fn scratch_folder() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn new_pair(folder: &std::path::Path) -> Pair<Machine, Swtpm> {
    let theirs = Swtpm::start(folder).expect("swtpm started before");
    Pair::new(Machine::new(), theirs)
}

impl Tally {
    fn add(&mut self, seed: u64, episode: Episode, accepted: &Accepted) {
        self.episodes += 1;
        self.commands += episode.steps.len();
        self.successes += episode.codes.iter().filter(|code| **code == 0).count();
        for (step, code) in episode.steps.iter().zip(&episode.codes) {
            if let Action::Command(command) = &step.action {
                *self.codes.entry((command.code.name(), *code)).or_default() += 1;
            }
        }
        for divergence in &episode.divergences {
            if let Some(line) = accepted.line_for(divergence) {
                *self.accepted.entry(line).or_default() += 1;
                continue;
            }
            let known = self.findings.iter_mut().find(|f| f.divergence.is_like(divergence));
            match known {
                Some(finding) => finding.count += 1,
                None => self.findings.push(Finding {
                    seed,
                    divergence: divergence.clone(),
                    episode: episode.clone(),
                    count: 1,
                }),
            }
        }
    }

    fn report(&self, accepted: &Accepted, seconds: u64) {
        if std::env::var_os("DIFFERENTIAL_CODES").is_some() {
            for ((name, code), count) in &self.codes {
                println!("{name} {code:#x} {count}");
            }
        }
        let used: usize = self.accepted.values().sum();
        println!(
            "differential: {} commands ({} succeed) in {} episodes, {seconds} s; {used} accepted \
             divergences by {} of {} lines; {} kinds that are not accepted",
            self.commands,
            self.successes,
            self.episodes,
            self.accepted.len(),
            accepted.lines().count(),
            self.findings.len(),
        );
    }
}

fn show(finding: &Finding, folder: &std::path::Path) {
    let Finding { seed, divergence, episode, count } = finding;
    println!(
        "\n{} ours {} theirs {} ({count} times, first with seed {seed} in step {}) {}",
        divergence.command, divergence.ours, divergence.theirs, divergence.step, divergence.detail
    );
    for step in minimise(&episode.steps, divergence, || new_pair(folder)) {
        println!("    {step}");
    }
}
