// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loss of power at every point: every cut, every legal subset of the writes that were not flushed
//! (up to a bound), torn blocks, and cuts within the recovery that follows.

use std::rc::Rc;
use std::vec::Vec;

use super::disk::{Event, SimulatedDisk, Trace, tear};
use super::model::{Model, Shape, after, commit, draw_changes, holds, master_key, open};
use super::random::SimulatedRandom;
use super::witness::Witness;
use crate::{Anchored, Error, Examined, Unrecovered};

/// What an exploration did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Points at which power was cut.
    pub cuts: u64,
    /// Images that were recovered.
    pub recoveries: u64,
}

/// How far subsets are explored.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// All subsets are tried when at most so many blocks are not flushed.
    pub all_subsets_of: usize,
    /// Random subsets tried when there are more.
    pub random_subsets: usize,
    /// Torn variants of each block that is not flushed.
    pub torn_variants: usize,
    /// One in so many recoveries is itself cut everywhere.
    pub nested_one_in: usize,
}

impl Bounds {
    /// For a test that takes seconds.
    pub const QUICK: Self =
        Self { all_subsets_of: 4, random_subsets: 6, torn_variants: 2, nested_one_in: 60 };
    /// For a run that takes minutes.
    pub const DEEP: Self =
        Self { all_subsets_of: 8, random_subsets: 60, torn_variants: 8, nested_one_in: 25 };
}

/// A workload that ran to its end, and what was promised on the way.
struct History {
    shape: Shape,
    blank: Vec<u8>,
    events: Vec<Event>,
    /// States in order; the first is the empty store.
    states: Vec<Model>,
    /// For each state the number of events after which it was promised.
    promised_at: Vec<usize>,
}

/// Runs a workload of `commits` transactions, with openings in between, and cuts it everywhere.
///
/// # Panics
/// When a recovery yields anything but the state after a prefix that contains every promised
/// commit.
#[must_use]
pub fn explore(shape: Shape, seed: u64, commits: usize, bounds: Bounds) -> Report {
    let history = record(shape, seed, commits);
    let mut random = SimulatedRandom::new(seed ^ 0xc5a5);
    let mut explorer = Explorer { history: &history, bounds, report: Report::default() };
    let mut durable = history.blank.clone();
    let mut pending = Vec::new();
    let mut anchored = Anchored::Unset;
    for cut in 0..=history.events.len() {
        explorer.cut(cut, &durable, &pending, anchored, &mut random);
        match history.events.get(cut) {
            Some(Event::Write { block, content }) => pending.push((*block, content.as_slice())),
            Some(Event::Flush) => {
                apply(&mut durable, shape.block_bytes, pending.drain(..));
            }
            Some(Event::Anchored(root)) => anchored = Anchored::At(*root),
            None => {}
        }
    }
    explorer.report
}

/// Runs the workload on a disk that keeps everything.
fn record(shape: Shape, seed: u64, commits: usize) -> History {
    let mut random = SimulatedRandom::new(seed);
    // Half of the workloads leave all compaction to the commits.
    let idle = random.one_in(2);
    let trace = Trace::default();
    let witness = Witness::new(Anchored::Unset).traced(&trace);
    let disk = shape.blank().traced(&trace);
    let blank = disk.image().to_vec();
    let key = master_key(1);
    let mut store =
        open(disk, shape.capacity, &key, witness, &mut random).expect("a blank disk formats");
    let mut states = std::vec![Model::new()];
    let mut promised_at = std::vec![trace.borrow().len()];
    for _ in 0..commits {
        if random.one_in(9) {
            let root = store.root();
            let witness = Witness::new(Anchored::At(root)).traced(&trace);
            let disk = store.into_device();
            store = open(disk, shape.capacity, &key, witness, &mut random)
                .expect("what was closed opens");
        }
        let model = states.last().cloned().unwrap_or_default();
        let changes = draw_changes(&mut random, &shape);
        match commit(&mut store, &changes) {
            Ok(_) => {
                states.push(after(&model, &changes));
                promised_at.push(trace.borrow().len());
            }
            Err(Error::Capacity(_)) => {
                assert!(holds(&store, &model), "a refusal changed the state")
            }
            Err(error) => panic!("a healthy disk failed a commit: {error:?}"),
        }
        while idle && random.one_in(3) {
            store.maintain().expect("a healthy disk allows compaction");
        }
    }
    drop(store);
    let events = Rc::unwrap_or_clone(trace).into_inner();
    History { shape, blank, events, states, promised_at }
}

fn apply<'w>(
    image: &mut [u8],
    block_bytes: usize,
    writes: impl IntoIterator<Item = (u64, &'w [u8])>,
) {
    for (block, content) in writes {
        image_block(image, block_bytes, block).copy_from_slice(content);
    }
}

fn image_block(image: &mut [u8], block_bytes: usize, block: u64) -> &mut [u8] {
    let start = usize::try_from(block).expect("blocks of a simulated disk are few") * block_bytes;
    &mut image[start..start + block_bytes]
}

struct Explorer<'h> {
    history: &'h History,
    bounds: Bounds,
    report: Report,
}

impl Explorer<'_> {
    /// Tries what may be on the disk when power is cut before event `cut`.
    fn cut(
        &mut self,
        cut: usize,
        durable: &[u8],
        pending: &[(u64, &[u8])],
        anchored: Anchored,
        random: &mut SimulatedRandom,
    ) {
        self.report.cuts += 1;
        let block_bytes = self.history.shape.block_bytes;
        let promised = self.history.promised_at.iter().filter(|&&at| at <= cut).count();
        for subset in subsets(pending.len(), self.bounds, random) {
            let mut image = durable.to_vec();
            let kept =
                pending.iter().zip(&subset).filter_map(|(write, keep)| keep.then_some(*write));
            apply(&mut image, block_bytes, kept);
            self.recover(image, promised, anchored, random);
        }
        for (torn, (block, content)) in pending.iter().enumerate() {
            for _ in 0..self.bounds.torn_variants {
                let mut image = durable.to_vec();
                for (other, (block, content)) in pending.iter().enumerate() {
                    if other != torn && random.one_in(2) {
                        apply(&mut image, block_bytes, [(*block, *content)]);
                    }
                }
                tear(image_block(&mut image, block_bytes, *block), content, random);
                self.recover(image, promised, anchored, random);
            }
        }
    }

    /// Recovers an image and compares. `promised` states were promised, the first being the empty
    /// store; none when formatting had not returned.
    fn recover(
        &mut self,
        image: Vec<u8>,
        promised: usize,
        anchored: Anchored,
        random: &mut SimulatedRandom,
    ) {
        self.report.recoveries += 1;
        let shape = self.history.shape;
        let trace = Trace::default();
        let before = image.clone();
        let disk = SimulatedDisk::with_image(shape.block_bytes, image).traced(&trace);
        let examined = Unrecovered::new(disk).examine(shape.capacity);
        let disk = match examined.expect("a crash leaves a disk that can be examined") {
            Examined::Formatted(disk) => disk,
            Examined::Unformatted(disk) => {
                assert_eq!(promised, 0, "a store that was promised has become an empty disk");
                let witness = Witness::new(anchored);
                let store = disk.format(&master_key(1), witness, random);
                assert!(holds(&store.expect("what was begun can be begun again"), &Model::new()));
                return;
            }
        };
        let witness = Witness::new(anchored).traced(&trace);
        let mut store = disk
            .recover(&master_key(1), witness, random)
            .expect("a crash leaves a disk that can be recovered");
        let first = promised.saturating_sub(1);
        let states = &self.history.states;
        let found = (first..states.len().min(promised + 1)).find(|&at| holds(&store, &states[at]));
        let Some(found) = found else {
            panic!("after {promised} promises a crash led to none of the allowed states");
        };
        if random.one_in(self.bounds.nested_one_in) {
            self.cut_recovery(&before, &trace, &states[found], anchored, random);
        }
        // What was recovered must also be of use.
        let changes = std::vec![(b"after".to_vec(), Some(std::vec![7; 20]))];
        let root = match commit(&mut store, &changes) {
            Ok(root) => root,
            Err(Error::Capacity(_)) => return,
            Err(error) => panic!("a recovered store refused a commit: {error:?}"),
        };
        let disk = store.into_device();
        let witness = Witness::new(Anchored::At(root));
        let store = open(disk, shape.capacity, &master_key(1), witness, random)
            .expect("a recovered store can be recovered again");
        assert!(holds(&store, &after(&states[found], &changes)));
    }

    /// Cuts a recovery everywhere: the next one must find the same state.
    fn cut_recovery(
        &mut self,
        before: &[u8],
        trace: &Trace,
        expected: &Model,
        mut anchored: Anchored,
        random: &mut SimulatedRandom,
    ) {
        let shape = self.history.shape;
        let events = trace.borrow().clone();
        let mut durable = before.to_vec();
        let mut pending: Vec<(u64, &[u8])> = Vec::new();
        for cut in 0..=events.len() {
            for subset in
                subsets(pending.len(), Bounds { random_subsets: 3, ..self.bounds }, random)
            {
                let mut image = durable.clone();
                let kept = pending.iter().zip(&subset).filter_map(|(w, keep)| keep.then_some(*w));
                apply(&mut image, shape.block_bytes, kept);
                if let Some((block, content)) = pending.last() {
                    tear(image_block(&mut image, shape.block_bytes, *block), content, random);
                }
                let disk = SimulatedDisk::with_image(shape.block_bytes, image);
                let witness = Witness::new(anchored);
                let store = open(disk, shape.capacity, &master_key(1), witness, random)
                    .expect("a recovery that was cut can be repeated");
                assert!(holds(&store, expected), "a recovery that was cut changed the state");
                self.report.recoveries += 1;
            }
            match events.get(cut) {
                Some(Event::Write { block, content }) => pending.push((*block, content.as_slice())),
                Some(Event::Flush) => apply(&mut durable, shape.block_bytes, pending.drain(..)),
                Some(Event::Anchored(root)) => anchored = Anchored::At(*root),
                None => {}
            }
        }
    }
}

/// Which of `count` writes reached the disk: all possibilities, or a sample when there are too
/// many.
fn subsets(count: usize, bounds: Bounds, random: &mut SimulatedRandom) -> Vec<Vec<bool>> {
    if count <= bounds.all_subsets_of {
        let all = 0..1_usize << count;
        return all.map(|mask| (0..count).map(|bit| mask >> bit & 1 == 1).collect()).collect();
    }
    let mut chosen = std::vec![std::vec![false; count], std::vec![true; count]];
    for one in 0..count {
        chosen.push((0..count).map(|at| at == one).collect());
        chosen.push((0..count).map(|at| at != one).collect());
        chosen.push((0..count).map(|at| at < one).collect());
    }
    for _ in 0..bounds.random_subsets {
        chosen.push((0..count).map(|_| random.one_in(2)).collect());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Report, explore};
    use crate::simulation::model::Shape;

    fn explored(shape: Shape, seed: u64, commits: usize) -> Report {
        let report = explore(shape, seed, commits, Bounds::QUICK);
        assert!(report.recoveries > report.cuts);
        report
    }

    #[test]
    fn power_cuts_while_formatting_leave_an_empty_disk_or_an_empty_store() {
        let bounds = Bounds { torn_variants: 200, nested_one_in: 5, ..Bounds::QUICK };
        for shape in [Shape::TINY, Shape::COARSE] {
            assert!(explore(shape, 4, 0, bounds).recoveries > 1_000);
        }
    }

    #[test]
    fn power_cuts_leave_a_promised_prefix_on_fine_blocks() {
        let report = explored(Shape::FINE, 1, 60);
        assert!(report.recoveries > 2_000, "{report:?}");
    }

    #[test]
    fn power_cuts_leave_a_promised_prefix_on_coarse_blocks() {
        explored(Shape::COARSE, 2, 40);
    }

    #[test]
    fn power_cuts_leave_a_promised_prefix_of_wide_records() {
        explored(Shape::WIDE, 5, 22);
    }

    #[test]
    fn power_cuts_leave_a_promised_prefix_when_the_log_is_short() {
        for seed in 6..9 {
            explored(Shape::SHORT, seed, 60);
        }
    }

    #[test]
    fn power_cuts_leave_a_promised_prefix_on_the_smallest_store() {
        explored(Shape::TINY, 3, 60);
    }
}
