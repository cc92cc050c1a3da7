// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processor time that a TPM server needs for a command: ours beside libtpms (swtpm), in one run.
//!
//! Both serve the same raw frames on loopback, on the same processor, and take turns at each row.
//! A row's ratio is the median of the ratios of its turns: what slows the machine down for longer
//! than a turn slows both down. Times are the servers' own (from the kernel's scheduler), transport
//! included; only ratios say anything.
#![forbid(unsafe_code)]

mod client;
mod public;
mod rows;
mod server;
mod warm;

use std::process::ExitCode;

use client::{Client, Problem};
use rows::{Operation, ROWS, Row};
use server::Server;

const USAGE: &str = "\
usage: bench [--runs N] [--limit RATIO] [--only TEXT | --warm] TPM_SERVER

  TPM_SERVER      the program to measure beside swtpm
  --runs N        runs of a quick command (200); slow ones are run less often
  --limit RATIO   fail if a row costs more than this times what it costs libtpms (1.0)
  --only TEXT     only rows whose name contains this
  --warm          only what RSA keys cost that are ready; the limit is 3/215 of libtpms' search
";
/// Turns that each server has at a row: many and short, since the machine's speed changes from one
/// moment to the next.
const TURNS: usize = 25;
/// So many for a row that comes out above the limit: it may just have been disturbed.
const MANY_TURNS: usize = 4 * TURNS;

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
        limit: 1.0,
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

    fn prepare(&mut self, row: &Row) -> Result<Operation, Problem> {
        (row.prepare)(&mut self.client, self.storage_key)
    }

    /// Microseconds of each run in a turn.
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
    fn turn(&mut self, operation: &mut Operation, runs: usize) -> Result<Vec<f64>, Problem> {
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
                times.push(after.saturating_sub(before) as f64 / 1000.0);
            }
        }
        Ok(times)
    }

    fn clean_up(&mut self) -> Result<(), Problem> {
        self.client.clean_up(self.storage_key)
    }
}

/// Prints the table; whether every row is within the limit.
fn measure(options: &Options) -> Result<bool, Problem> {
    let mut ours = Subject::start(Server::ours(&options.program, &[])?)?;
    let mut theirs = Subject::start(Server::swtpm()?)?;
    println!("| command | libtpms, µs | this engine, µs | ratio |\n|---|---|---|---|");
    let (mut worst, mut is_within) = (0.0_f64, true);
    for row in ROWS.iter().filter(|row| row.name.contains(&options.only)) {
        let runs = (options.runs / row.divisor / TURNS).max(1);
        let mut costs = compare([&mut ours, &mut theirs], row, TURNS, runs)?;
        if costs[2] > options.limit {
            costs = compare([&mut ours, &mut theirs], row, MANY_TURNS, runs)?;
        }
        let [our_us, their_us, ratio] = costs;
        worst = worst.max(ratio);
        is_within &= ratio <= options.limit;
        println!("| {} | {their_us:.1} | {our_us:.1} | {ratio:.2} |", row.name);
    }
    println!("\nworst ratio {worst:.2}, limit {:.2}", options.limit);
    Ok(is_within)
}

/// What a row costs each of two servers in microseconds, and the ratio.
fn compare(
    [first, second]: [&mut Subject; 2],
    row: &Row,
    count: usize,
    runs: usize,
) -> Result<[f64; 3], Problem> {
    let mut operations = [first.prepare(row)?, second.prepare(row)?];
    let mut turns = Vec::new();
    for _ in 0..count {
        let ours = first.turn(&mut operations[0], runs)?;
        turns.push([ours, second.turn(&mut operations[1], runs)?]);
    }
    first.clean_up()?;
    second.clean_up()?;
    // A search for primes may take any time: its mean is what counts.
    if row.is_random {
        let [ours, theirs] = [0, 1].map(|server| mean(turns.iter().flat_map(|turn| &turn[server])));
        return Ok([ours, theirs, ours / theirs]);
    }
    let turns: Vec<_> = turns.into_iter().map(|turn| turn.map(median)).collect();
    let [ours, theirs] =
        [0, 1].map(|server| median(turns.iter().map(|turn| turn[server]).collect()));
    Ok([ours, theirs, median(turns.iter().map(|[ours, theirs]| ours / theirs).collect())])
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^52 runs")]
fn mean<'a>(values: impl Iterator<Item = &'a f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
