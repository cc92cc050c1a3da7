// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cuts the power at every point of random workloads, deeper than the tests do: before each write
//! and flush, with all subsets of up to eight blocks that were not flushed and samples of more,
//! each block torn in eight ways, and one in 25 recoveries cut everywhere in its turn.
//!
//! `cargo run --release -p nvstore --example crash -- COUNT [FIRST]` explores `COUNT` workloads,
//! numbered from `FIRST` (1) on, on each shape of store. A broken promise panics.

use std::time::Instant;

use nvstore::simulation::crash::{Bounds, Report, explore};
use nvstore::simulation::model::Shape;

/// Shapes with their names and the commits of a workload: enough for a few compactions each.
const SHAPES: [(&str, Shape, usize); 5] = [
    ("tiny", Shape::TINY, 40),
    ("fine", Shape::FINE, 60),
    ("coarse", Shape::COARSE, 40),
    ("wide", Shape::WIDE, 60),
    ("short", Shape::SHORT, 40),
];

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (count, first) = match (arguments.next(), arguments.next()) {
        (Some(Ok(count)), None) => (count, 1),
        (Some(Ok(count)), Some(Ok(first))) => (count, first),
        _ => {
            eprintln!("usage: crash COUNT [FIRST]");
            std::process::exit(2);
        }
    };
    let start = Instant::now();
    let mut sum = Report::default();
    println!("shape   workloads  cuts  recoveries");
    for (name, shape, commits) in SHAPES {
        let mut of_shape = Report::default();
        for seed in first..first + count {
            add(&mut of_shape, explore(shape, seed, commits, Bounds::DEEP));
        }
        println!("{name:<7} {count:>9} {:>5} {:>11}", of_shape.cuts, of_shape.recoveries);
        add(&mut sum, of_shape);
    }
    println!("all     {:>9} {:>5} {:>11}", count * SHAPES.len() as u64, sum.cuts, sum.recoveries);
    println!("no promise broken, {:.1} s", start.elapsed().as_secs_f64());
}

fn add(sum: &mut Report, report: Report) {
    sum.cuts += report.cuts;
    sum.recoveries += report.recoveries;
}
