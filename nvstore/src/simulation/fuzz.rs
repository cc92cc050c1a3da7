// SPDX-License-Identifier: MIT OR Apache-2.0
//! Harnesses for a fuzzer: its bytes decide, the model judges.

use std::sync::OnceLock;
use std::vec::Vec;

use super::adversary::{Outcomes, World};
use super::choice::{Choice, Script};
use super::disk::SimulatedDisk;
use super::model::{Changes, Model, Shape, after, commit, holds, master_key, open};
use super::nonces;
use super::random::SimulatedRandom;
use super::witness::Witness;
use crate::{Anchored, Error, Examined, Store, Unanchored, Unrecovered};

/// Attacks on a fixed world, one after another, as the bytes say.
///
/// # Panics
/// When the store breaks a promise.
pub fn attacks(bytes: &[u8]) {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(|| World::new(Shape::TINY, 0x51a7e, 60));
    let mut script = Script::new(bytes);
    let mut outcomes = Outcomes::default();
    for _ in 0..4 {
        world.attack(&mut script, &mut outcomes);
        if script.is_exhausted() {
            return;
        }
    }
}

/// Opens a disk with any content at all: nothing may come of it but an error or emptiness.
///
/// # Panics
/// When the store breaks a promise.
pub fn arbitrary_image(bytes: &[u8]) {
    let Shape { block_bytes, capacity, blocks, .. } = Shape::TINY;
    // Bytes go to where the store looks: the headers, then the log.
    let mut image = std::vec![0; block_bytes * blocks];
    let mut parts = bytes.chunks(400);
    for start in [0, 4096, 8192, 12288] {
        if let Some(part) = parts.next() {
            image[start..start + part.len()].copy_from_slice(part);
        }
    }
    let log = image.len() - capacity.log_blocks as usize * block_bytes;
    for (place, part) in image[log..].chunks_mut(block_bytes).zip(parts) {
        place[..part.len()].copy_from_slice(part);
    }
    let disk = SimulatedDisk::with_image(block_bytes, image);
    if let Ok(Examined::Formatted(disk)) = Unrecovered::new(disk).examine(capacity) {
        let mut random = SimulatedRandom::new(1);
        let result = disk.recover(&master_key(1), Unanchored, &mut random);
        assert!(result.is_err(), "a store out of nothing");
    }
}

/// A store and the map that it should be, driven by bytes: transactions, openings, compaction,
/// change of keys, a disk that fails, and a host that winds it back. No nonce may repeat in all of
/// that.
///
/// # Panics
/// When the store breaks a promise.
pub fn operations(bytes: &[u8]) {
    nonces::watched(|| run(bytes));
}

fn run(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let shapes = [Shape::TINY, Shape::FINE, Shape::COARSE, Shape::WIDE, Shape::SHORT];
    let shape = shapes[script.below(shapes.len())];
    let mut run = Run {
        shape,
        random: SimulatedRandom::new(script.byte().into()),
        inspections: 0,
        model: Model::new(),
        key: 1,
        next_key: 1,
        retired: None,
        anchored: Anchored::Unset,
        image: shape.blank().into_image(),
    };
    let mut countdown = None;
    let mut kept: Option<Run> = None;
    while !script.is_exhausted() {
        run.session(countdown, &mut script);
        match script.below(8) {
            0 => kept = Some(run.clone()),
            1 => run.wind_back(kept.as_ref()),
            _ => {}
        }
        countdown = script.one_in(2).then(|| script.below(200) as u64);
    }
    // Whatever happened, a disk that no longer fails yields the model.
    run.session(None, &mut Script::new(&[]));
}

/// What the outside world remembers from one opening to the next.
#[derive(Clone)]
struct Run {
    shape: Shape,
    /// Never repeats itself, as an honest random source.
    random: SimulatedRandom,
    inspections: u64,
    model: Model,
    key: u8,
    /// The key that an interrupted change of keys was about to set.
    next_key: u8,
    /// A key that was replaced and must not open the store any more.
    retired: Option<u8>,
    anchored: Anchored,
    image: Vec<u8>,
}

/// What a step did to the world.
enum Step {
    /// What it says, durably.
    Done,
    /// The disk failed; these changes may or may not have been made.
    Failed(Changes),
    /// The session is over.
    Close,
}

impl Run {
    /// Opens the store on a disk that fails after so many operations, and uses it until it ends.
    fn session(&mut self, countdown: Option<u64>, script: &mut Script<'_>) {
        let image = core::mem::take(&mut self.image);
        let mut disk = SimulatedDisk::with_image(self.shape.block_bytes, image);
        if let Some(countdown) = countdown {
            disk = disk.failing_after(countdown, script.byte().into());
        }
        let mut witness = Witness::new(self.anchored);
        let mut in_doubt = Changes::new();
        if let Some(mut store) = self.open(&mut disk, &mut witness) {
            assert!(holds(&store, &self.model), "the store opened with a wrong state");
            loop {
                match self.step(&mut store, script) {
                    Step::Done => assert!(holds(&store, &self.model), "a step left a wrong state"),
                    Step::Failed(changes) => {
                        assert!(holds(&store, &self.model), "a failed commit shows in memory");
                        in_doubt = changes;
                        break;
                    }
                    Step::Close => break,
                }
            }
        }
        self.anchored = witness.remembered;
        self.image = disk.into_image();
        self.settle(&in_doubt);
    }

    /// Opens the store; nothing when the disk failed first.
    fn open<'d>(
        &mut self,
        disk: &'d mut SimulatedDisk,
        witness: &'d mut Witness,
    ) -> Option<Store<&'d mut SimulatedDisk, &'d mut Witness>> {
        let capacity = self.shape.capacity;
        match open(disk, capacity, &master_key(self.key), witness, &mut self.random) {
            Ok(store) => Some(store),
            Err(Error::Device(_)) => None,
            Err(error) => panic!("an honest disk led to {error:?}"),
        }
    }

    fn step(
        &mut self,
        store: &mut Store<&mut SimulatedDisk, &mut Witness>,
        script: &mut Script<'_>,
    ) -> Step {
        if script.is_exhausted() {
            return Step::Close;
        }
        let result = match script.below(16) {
            0 => return Step::Close,
            1 => store.maintain().map(drop),
            2 => self.change_key(store, false),
            3 => self.change_key(store, true),
            _ => {
                let changes = self.draw_changes(script);
                return self.commit(store, changes);
            }
        };
        match result {
            Ok(()) => Step::Done,
            Err(Error::Device(_)) => Step::Failed(Changes::new()),
            Err(error) => panic!("maintenance led to {error:?}"),
        }
    }

    fn draw_changes(&mut self, script: &mut Script<'_>) -> Changes {
        let count = script.below(4);
        let mut changes = Changes::new();
        for _ in 0..count {
            let name = std::vec![b'a' + script.byte() % 7; 1 + script.below(66)];
            let value = if script.one_in(4) {
                None
            } else {
                let length = script.below(1500);
                Some(self.random.bytes(length))
            };
            changes.push((name, value));
        }
        changes
    }

    fn commit(
        &mut self,
        store: &mut Store<&mut SimulatedDisk, &mut Witness>,
        changes: Changes,
    ) -> Step {
        match commit(store, &changes) {
            Ok(_) => {
                self.model = after(&self.model, &changes);
                Step::Done
            }
            Err(Error::Capacity(_)) => Step::Done,
            Err(Error::Device(_)) => Step::Failed(changes),
            Err(error) => panic!("a commit led to {error:?}"),
        }
    }

    fn change_key(
        &mut self,
        store: &mut Store<&mut SimulatedDisk, &mut Witness>,
        rotate: bool,
    ) -> Result<(), Error> {
        self.next_key = self.key % 200 + 1;
        self.retired = None;
        let key = master_key(self.next_key);
        if rotate {
            store.rotate(&key, &mut self.random)?;
        } else {
            store.rewrap(&key, &mut self.random)?;
        }
        self.retired = Some(self.key);
        self.key = self.next_key;
        Ok(())
    }

    /// Looks at what a session left, without a failing disk: the last promised state, or the one
    /// that was in the making. Takes note of which, and of the key.
    fn settle(&mut self, in_doubt: &Changes) {
        let next = after(&self.model, in_doubt);
        let found = self.recovered(self.next_key).or_else(|error| {
            assert_eq!(error, Error::WrongKey, "an honest disk and the new key");
            self.next_key = self.key;
            self.recovered(self.key)
        });
        self.key = self.next_key;
        let found = found.expect("an honest disk opens with the last key or the next");
        if found == next {
            self.model = next;
        } else {
            assert_eq!(found, self.model, "neither the last state nor the next");
        }
        if let Some(retired) = self.retired {
            let result = self.recovered(retired);
            assert_eq!(result, Err(Error::WrongKey), "a key that was replaced opened the store");
        }
    }

    /// The host shows an earlier disk, and the world forgets what happened since; the random source
    /// does not.
    fn wind_back(&mut self, kept: Option<&Self>) {
        if let Some(kept) = kept {
            let (random, inspections) = (self.random.clone(), self.inspections);
            *self = Self { random, inspections, ..kept.clone() };
        }
    }

    /// What a copy of the disk holds.
    fn recovered(&mut self, key: u8) -> Result<Model, Error> {
        let Shape { block_bytes, capacity, .. } = self.shape;
        let disk = SimulatedDisk::with_image(block_bytes, self.image.clone());
        let Examined::Formatted(disk) = Unrecovered::new(disk).examine(capacity)? else {
            return Ok(Model::new());
        };
        let witness = Witness::new(self.anchored);
        self.inspections += 1;
        let mut random = SimulatedRandom::new(self.inspections << 32);
        let store = disk.recover(&master_key(key), witness, &mut random)?;
        Ok(store.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::{arbitrary_image, attacks, operations};
    use crate::simulation::random::SimulatedRandom;

    #[test]
    fn random_operations_agree_with_the_model() {
        let mut random = SimulatedRandom::new(11);
        for _ in 0..300 {
            let length = 1 + random.below(600);
            operations(&random.bytes(length));
        }
    }

    #[test]
    fn scripted_attacks_gain_nothing() {
        let mut random = SimulatedRandom::new(12);
        for _ in 0..2_000 {
            attacks(&random.bytes(60));
        }
    }

    #[test]
    fn a_store_does_not_come_out_of_nothing() {
        let mut random = SimulatedRandom::new(13);
        for _ in 0..2_000 {
            let length = random.below(3_000);
            let mut bytes = random.bytes(length);
            for part in bytes.chunks_mut(400) {
                if let Some(front) = part.first_chunk_mut() {
                    *front = *[b"MCDMNVST", b"MNVR\x01\0\x01\0"][random.below(2)];
                }
            }
            arbitrary_image(&bytes);
        }
    }
}
