// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processor time that a TPM server needs for a command: ours beside libtpms (swtpm), in one run.
//!
//! Both serve the same raw frames on loopback, on the same processor. The rows are measured in
//! rounds that alternate between the servers, and of each server's rounds the one counts in which
//! the machine disturbed it least. Times are the servers' own (from the kernel's scheduler),
//! transport included; only ratios say anything.
#![forbid(unsafe_code)]

mod client;
mod public;
mod rows;
mod server;
mod warm;

use std::process::ExitCode;

use client::{Client, Problem};
use rows::{ROWS, Row};
use server::Server;

const USAGE: &str = "\
usage: bench [--runs N] [--limit RATIO] [--only TEXT | --warm] TPM_SERVER

  TPM_SERVER      the program to measure beside swtpm
  --runs N        runs of a quick command (200); slow ones are run less often
  --limit RATIO   fail if a row costs more than this times what it costs libtpms (1.15)
  --only TEXT     only rows whose name contains this
  --warm          only what RSA keys cost that are ready; the limit is 3/215 of libtpms' search
";
/// Turns that each server has at a row: many and short, so that both have quiet ones on a machine
/// whose speed changes from one moment to the next.
const ROUNDS: usize = 25;

struct Options {
    program: String,
    runs: usize,
    limit: f64,
    only: String,
    is_warm: bool,
}

fn main() -> ExitCode {
    let Some(options) = parse(std::env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let outcome = if options.is_warm {
        warm::measure(&options.program, options.runs)
    } else {
        measure(&options)
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        program: String::new(),
        runs: 200,
        limit: 1.15,
        only: String::new(),
        is_warm: false,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--runs" => options.runs = arguments.next()?.parse().ok()?,
            "--limit" => options.limit = arguments.next()?.parse().ok()?,
            "--only" => options.only = arguments.next()?,
            "--warm" => options.is_warm = true,
            _ if argument.starts_with('-') || !options.program.is_empty() => return None,
            _ => options.program = argument,
        }
    }
    (!options.program.is_empty()).then_some(options)
}

/// A server, a client of it, and the storage key that rows make their keys below.
struct Subject {
    server: Server,
    client: Client,
    storage_key: u32,
}

impl Subject {
    fn start(server: Server) -> Result<Self, Problem> {
        let mut client = Client::connect(server.port())?;
        client.start_up()?;
        let storage_key = client.create_primary(&public::RSA_STORAGE)?;
        Ok(Self { server, client, storage_key })
    }

    /// Nanoseconds of each run of a row.
    fn run(&mut self, row: &Row, runs: usize) -> Result<Vec<u64>, Problem> {
        let mut operation = (row.prepare)(&mut self.client, self.storage_key)?;
        let mut times = Vec::new();
        // The first run brings everything into the caches.
        for number in 0..=runs {
            let before = self.server.processor_ns()?;
            let left_behind = operation(&mut self.client)?;
            let after = self.server.processor_ns()?;
            if let Some(handle) = left_behind {
                self.client.flush(handle)?;
            }
            if number > 0 {
                times.push(after.saturating_sub(before));
            }
        }
        self.client.clean_up(self.storage_key)?;
        Ok(times)
    }
}

/// Prints the table; whether every row is within the limit.
fn measure(options: &Options) -> Result<bool, Problem> {
    let mut ours = Subject::start(Server::ours(&options.program, &[])?)?;
    let mut theirs = Subject::start(Server::swtpm()?)?;
    println!("| command | libtpms, µs | this engine, µs | ratio |\n|---|---|---|---|");
    let mut worst = 0.0_f64;
    for row in ROWS.iter().filter(|row| row.name.contains(&options.only)) {
        let runs = (options.runs / row.divisor / ROUNDS).max(1);
        let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            our_times.push(ours.run(row, runs)?);
            their_times.push(theirs.run(row, runs)?);
        }
        let (our_us, their_us) = (typical_us(our_times, row), typical_us(their_times, row));
        let ratio = our_us / their_us;
        worst = worst.max(ratio);
        println!("| {} | {their_us:.1} | {our_us:.1} | {ratio:.2} |", row.name);
    }
    println!("\nworst ratio {worst:.2}, limit {:.2}", options.limit);
    Ok(worst <= options.limit)
}

/// The median of the round in which it is lowest; for rows whose cost is a matter of luck the mean
/// of all runs.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn typical_us(mut rounds: Vec<Vec<u64>>, row: &Row) -> f64 {
    let typical_ns = if row.is_random {
        let runs: usize = rounds.iter().map(Vec::len).sum();
        rounds.iter().flatten().sum::<u64>() as f64 / runs.max(1) as f64
    } else {
        let medians = rounds.iter_mut().filter_map(|times| {
            times.sort_unstable();
            times.get(times.len() / 2).copied()
        });
        medians.min().unwrap_or(0) as f64
    };
    typical_ns / 1000.0
}
