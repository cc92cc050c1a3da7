// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fewer steps that still show a divergence.

use crate::differential::{Divergence, Pair};
use crate::step::Step;
use crate::transport::Transport;

/// Leaves out what isn't needed for a divergence like this one: halves, quarters, …, single steps,
/// until nothing more can go. `pair` makes two new TPMs.
pub fn minimise<A: Transport, B: Transport>(
    steps: &[Step],
    divergence: &Divergence,
    mut pair: impl FnMut() -> Pair<A, B>,
) -> Vec<Step> {
    let mut shows = |steps: &[Step]| {
        let mut pair = pair();
        steps.iter().any(|step| {
            let (_, found) = pair.perform(step);
            found.is_some_and(|found| found.is_like(divergence))
        })
    };
    let end = steps.iter().position(|step| step.id == divergence.step).map_or(0, |at| at + 1);
    let mut kept = steps[..end].to_vec();
    if !shows(&kept) {
        return kept;
    }
    let mut part = kept.len().div_ceil(2);
    while part > 0 {
        let mut start = 0;
        while start < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(start..(start + part).min(kept.len()));
            if shows(&fewer) {
                kept = fewer;
            } else {
                start += part;
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    kept
}
