// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a command costs whose RSA key is ready: from a full pool, or derived before. The slowest
//! of twenty is what counts, beside the mean of libtpms, which searches each time.

use std::thread;
use std::time::Duration;

use crate::client::{Client, OWNER, Problem, create, create_primary, sized};
use crate::public;
use crate::server::Server;

/// Ready keys: as many as the server can have. It makes more when half of them are taken.
const READY: usize = 64;
const BATCH: usize = READY / 2 - 1;
/// Runs of a search with libtpms.
const SEARCHES: usize = 20;
/// Starts of the server, for what is measured once in each.
const STARTS: usize = 20;
/// The 95th percentile, as a part of libtpms' mean for TPM2_Create: 3 of 215 ms.
const LIMIT: f64 = 3.0 / 215.0;

/// The server has nothing to do when it used no processor in so many of these intervals in a row:
/// on a busy machine it may have none to use for one.
const INTERVAL: Duration = Duration::from_millis(100);
const QUIET_INTERVALS: usize = 10;
const INTERVALS_MAX: usize = 3000;

/// Prints the table; whether every row is within the limit.
pub(crate) fn measure(program: &str, runs: usize) -> Result<bool, Problem> {
    let mut theirs = Server::swtpm()?;
    let mut client = Client::connect(theirs.port())?;
    client.start_up()?;
    let parent = client.create_primary(&public::RSA_STORAGE)?;
    let command = create(parent, &public::RSA_SIGN, &[]);
    let searches = times(&mut theirs, &mut client, SEARCHES, &command)?;
    let mean_us = searches.iter().sum::<f64>() / searches.len() as f64;
    drop(theirs);

    let mut ours = Server::ours(program, &["--keys", &READY.to_string()])?;
    let mut client = Client::connect(ours.port())?;
    client.start_up()?;
    let rows = [
        ("Create, RSA-2048, pool full", from_the_pool(&mut ours, &mut client, runs)?),
        ("CreatePrimary, storage key, again", once_more(&mut ours, &mut client, runs)?),
        ("CreatePrimary, storage key, first after a start", after_starts(program)?),
    ];
    println!("Create, RSA-2048, libtpms: mean {:.1} ms of {SEARCHES}\n", mean_us / 1000.0);
    println!("| command | p50, µs | p95, µs | part of libtpms' mean |\n|---|---|---|---|");
    let mut worst = 0.0_f64;
    for (name, mut times) in rows {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        let ratio = at(95) / mean_us;
        worst = worst.max(ratio);
        println!("| {name} | {:.1} | {:.1} | {ratio:.5} |", at(50), at(95));
    }
    println!("\nworst part {worst:.5}, limit {LIMIT:.5}");
    Ok(worst > 0.0 && worst <= LIMIT)
}

fn from_the_pool(
    server: &mut Server,
    client: &mut Client,
    runs: usize,
) -> Result<Vec<f64>, Problem> {
    let parent = client.create_primary(&public::RSA_STORAGE)?;
    let command = create(parent, &public::RSA_SIGN, &[]);
    let mut all = Vec::new();
    while all.len() < runs {
        wait_until_quiet(server)?;
        all.extend(times(server, client, BATCH, &command)?);
        // One more, and the server fills the pool again.
        client.send(&command)?;
    }
    client.flush(parent)?;
    Ok(all)
}

/// TCG's template for a storage key: the unique value has zeros.
fn storage_key() -> Vec<u8> {
    let front = public::RSA_STORAGE.split_last_chunk::<2>().map_or(&[][..], |(front, _)| front);
    create_primary(OWNER, &[front, &sized(&[0; 256])].concat())
}

fn once_more(server: &mut Server, client: &mut Client, runs: usize) -> Result<Vec<f64>, Problem> {
    let command = storage_key();
    let first = client.send_for_handle(&command)?;
    client.flush(first)?;
    wait_until_quiet(server)?;
    let mut all = Vec::new();
    for _ in 0..runs {
        let (handle, time) = timed(server, || client.send_for_handle(&command))?;
        client.flush(handle)?;
        all.push(time);
    }
    Ok(all)
}

/// After a start the server derives standard keys before anybody asks. Nothing fills its pool.
fn after_starts(program: &str) -> Result<Vec<f64>, Problem> {
    let mut server = Server::ours(program, &[])?;
    let mut all = Vec::new();
    for _ in 0..STARTS {
        server.restart()?;
        let mut client = Client::connect(server.port())?;
        client.start_up()?;
        wait_until_quiet(&server)?;
        let (_, time) = timed(&server, || client.send_for_handle(&storage_key()))?;
        all.push(time);
    }
    Ok(all)
}

/// Microseconds of each run of a command that leaves nothing behind.
fn times(
    server: &mut Server,
    client: &mut Client,
    runs: usize,
    command: &[u8],
) -> Result<Vec<f64>, Problem> {
    (0..runs).map(|_| timed(server, || client.send(command)).map(|(_, time)| time)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn timed<T>(
    server: &Server,
    operation: impl FnOnce() -> Result<T, Problem>,
) -> Result<(T, f64), Problem> {
    let before = server.processor_ns()?;
    let result = operation()?;
    let after = server.processor_ns()?;
    Ok((result, after.saturating_sub(before) as f64 / 1000.0))
}

fn wait_until_quiet(server: &Server) -> Result<(), Problem> {
    let mut quiet = 0;
    for _ in 0..INTERVALS_MAX {
        let before = server.processor_ns()?;
        thread::sleep(INTERVAL);
        quiet = if server.processor_ns()? == before { quiet + 1 } else { 0 };
        if quiet == QUIET_INTERVALS {
            return Ok(());
        }
    }
    Err("the server is never done".into())
}
