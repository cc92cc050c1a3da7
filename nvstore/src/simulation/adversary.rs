// SPDX-License-Identifier: MIT OR Apache-2.0
//! A host that knows every past image of the disk and edits, swaps, replays, truncates and forges.
//!
//! It may make a recovery fail. It must never make one yield a state that the store was not in, nor
//! a panic, nor a write to a disk that is then refused; and with an anchor it must not even turn
//! back to an earlier state.

use std::collections::HashMap;
use std::vec::Vec;

use super::choice::Choice;
use super::disk::SimulatedDisk;
use super::model::{Model, Shape, after, commit, draw_changes, holds, master_key, open};
use super::random::SimulatedRandom;
use super::witness::Witness;
use crate::{Anchored, Error, Evidence, Examined, FreshnessRoot, Unrecovered};

/// How recoveries ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// A state that the store had been in.
    pub opened: u64,
    /// Of these, an earlier state than the last: a rollback that only an anchor or attestation
    /// shows.
    pub opened_earlier: u64,
    /// An empty disk.
    pub unformatted: u64,
    /// No header was whole.
    pub headers: u64,
    /// A header, newest or not, was not authentic.
    pub header_authentication: u64,
    /// A checkpoint's body was not authentic.
    pub checkpoint_body: u64,
    /// A later commit than the recovered ones was found.
    pub lost_commit: u64,
    /// The anchor remembers another history, or less of one.
    pub rolled_back: u64,
    /// Another master key.
    pub wrong_key: u64,
    /// Not a store, another version, or too small a disk.
    pub not_a_store: u64,
}

impl Outcomes {
    /// All recoveries.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.opened
            + self.unformatted
            + self.headers
            + self.header_authentication
            + self.checkpoint_body
            + self.lost_commit
            + self.rolled_back
            + self.wrong_key
            + self.not_a_store
    }

    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.opened_earlier += other.opened_earlier;
        self.unformatted += other.unformatted;
        self.headers += other.headers;
        self.header_authentication += other.header_authentication;
        self.checkpoint_body += other.checkpoint_body;
        self.lost_commit += other.lost_commit;
        self.rolled_back += other.rolled_back;
        self.wrong_key += other.wrong_key;
        self.not_a_store += other.not_a_store;
    }

    fn count(&mut self, error: Error) {
        match error {
            Error::Tampered(Evidence::Headers) => self.headers += 1,
            Error::Tampered(Evidence::HeaderAuthentication | Evidence::NewerHeader) => {
                self.header_authentication += 1;
            }
            Error::Tampered(Evidence::CheckpointBody) => self.checkpoint_body += 1,
            Error::Tampered(Evidence::LostCommit { .. }) => self.lost_commit += 1,
            Error::RolledBack { .. } | Error::AnchorBehind { .. } => self.rolled_back += 1,
            Error::WrongKey => self.wrong_key += 1,
            Error::Foreign | Error::UnsupportedVersion { .. } | Error::Geometry(_) => {
                self.not_a_store += 1;
            }
            other => panic!("a changed disk led to {other:?}"),
        }
    }
}

/// Two stores under one master key, with every image they left and every state they were in.
pub struct World {
    shape: Shape,
    images: Vec<Vec<u8>>,
    truth: HashMap<[u8; 32], Model>,
    last: FreshnessRoot,
}

/// A master key that opens nothing in a [`World`].
const WRONG_KEY: u8 = 2;

impl World {
    /// Runs both stores for `commits` commits each.
    ///
    /// # Panics
    /// When a healthy disk fails.
    #[must_use]
    pub fn new(shape: Shape, seed: u64, commits: usize) -> Self {
        let mut world = Self {
            shape,
            images: Vec::new(),
            truth: HashMap::new(),
            last: FreshnessRoot { epoch: 0, sequence: 0, digest: [0; 32] },
        };
        let mut random = SimulatedRandom::new(seed);
        world.live(commits, &mut random);
        world.live(commits, &mut random);
        world
    }

    /// The life of one store.
    fn live(&mut self, commits: usize, random: &mut SimulatedRandom) {
        let mut disk = self.shape.blank();
        let mut model = Model::new();
        let (capacity, key) = (self.shape.capacity, master_key(1));
        let mut anchored = Anchored::Unset;
        let mut done = 0;
        while done < commits {
            self.images.push(disk.image().to_vec());
            let witness = Witness::new(anchored);
            let mut store = open(disk, capacity, &key, witness, random).expect("a healthy disk");
            self.truth.insert(store.recovery().root.digest, model.clone());
            self.truth.insert(store.root().digest, model.clone());
            for _ in 0..1 + random.below(12) {
                let changes = draw_changes(random, &self.shape);
                match commit(&mut store, &changes) {
                    Ok(root) => {
                        model = after(&model, &changes);
                        self.truth.insert(root.digest, model.clone());
                    }
                    Err(Error::Capacity(_)) => {}
                    Err(error) => panic!("a healthy disk failed a commit: {error:?}"),
                }
                done += 1;
                self.images.push(store.device().image().to_vec());
            }
            self.last = store.root();
            anchored = Anchored::At(self.last);
            disk = store.into_device();
        }
    }

    /// Changes an image as the choices say, recovers it, and judges the result.
    ///
    /// # Panics
    /// When the store breaks a promise.
    pub fn attack(&self, choice: &mut impl Choice, outcomes: &mut Outcomes) {
        // The last image of the second store comes up half of the time.
        let latest = self.images.len() - 1;
        let start = if choice.one_in(2) { latest } else { choice.below(self.images.len()) };
        let mut image = self.images[start].clone();
        for _ in 0..1 + choice.below(4) {
            self.change(&mut image, choice);
        }
        let anchored = if choice.one_in(3) { Anchored::At(self.last) } else { Anchored::Nowhere };
        let key = if choice.one_in(32) { WRONG_KEY } else { 1 };
        self.judge(image, anchored, key, choice, outcomes);
    }

    fn judge(
        &self,
        image: Vec<u8>,
        anchored: Anchored,
        key: u8,
        choice: &mut impl Choice,
        outcomes: &mut Outcomes,
    ) {
        let Shape { block_bytes, capacity, .. } = self.shape;
        let mut disk = SimulatedDisk::with_image(block_bytes, image);
        let mut random = SimulatedRandom::new(choice.below(1 << 16) as u64);
        let examined = match Unrecovered::new(&mut disk).examine(capacity) {
            Ok(Examined::Unformatted(_)) => {
                assert!(only_a_beginning(disk.image(), block_bytes), "data taken for emptiness");
                outcomes.unformatted += 1;
                return;
            }
            Ok(Examined::Formatted(formatted)) => formatted,
            Err(error) => {
                outcomes.count(error);
                return;
            }
        };
        let witness = Witness::new(anchored);
        let mut store = match examined.recover(&master_key(key), witness, &mut random) {
            Ok(store) => store,
            Err(error) => {
                outcomes.count(error);
                let counts = disk.counts();
                assert_eq!((counts.writes, counts.flushes), (0, 0), "a refused disk was written");
                return;
            }
        };
        assert_ne!(key, WRONG_KEY, "a wrong key opened a store");
        let found = store.recovery().root;
        let Some(model) = self.truth.get(&found.digest) else {
            panic!("a history that never was: {found:?}");
        };
        assert!(holds(&store, model), "a state that never was, at {found:?}");
        outcomes.opened += 1;
        outcomes.opened_earlier += u64::from(found != self.last);
        if let Anchored::At(anchored) = anchored {
            assert_eq!(found, anchored, "an anchored store was rolled back");
        }
        if choice.one_in(8) {
            let changes = std::vec![(b"after".to_vec(), Some(std::vec![7; 20]))];
            let expected = after(model, &changes);
            match commit(&mut store, &changes) {
                Ok(_) => {}
                Err(Error::Capacity(_)) => return,
                Err(error) => panic!("a recovered store refused a commit: {error:?}"),
            }
            drop(store);
            let store = open(disk, capacity, &master_key(1), crate::Unanchored, &mut random)
                .expect("a recovered store can be recovered again");
            assert!(holds(&store, &expected));
        }
    }

    /// One change to an image.
    fn change(&self, image: &mut Vec<u8>, choice: &mut impl Choice) {
        let block_bytes = self.shape.block_bytes;
        let blocks = image.len() / block_bytes;
        if blocks < 2 {
            return;
        }
        let pick = |choice: &mut dyn FnMut(usize) -> usize| {
            let block = choice(blocks);
            block * block_bytes..(block + 1) * block_bytes
        };
        let place = pick(&mut |bound| choice.below(bound));
        match choice.below(12) {
            0 => {
                let at = place.start + choice.below(block_bytes);
                image[at] ^= 1 << choice.below(8);
            }
            1 => image[place].iter_mut().for_each(|byte| *byte = choice.byte()),
            2 => image[place].fill(0),
            3 => self.replay(image, place, choice),
            4 => {
                let length = place.len() * (1 + choice.below(16));
                let end = (place.start + length).min(image.len());
                self.replay(image, place.start..end, choice);
            }
            5 => {
                let half = place.start + block_bytes / 2;
                self.replay(image, place.start..half, choice);
            }
            6 => {
                let source = pick(&mut |bound| choice.below(bound));
                image.copy_within(source, place.start);
            }
            7 => {
                let other = pick(&mut |bound| choice.below(bound));
                let kept = image[other.clone()].to_vec();
                image.copy_within(place.clone(), other.start);
                image[place].copy_from_slice(&kept);
            }
            8 => {
                // The end of the log, or of the device, is cut off.
                if choice.one_in(2) {
                    image[place.start..].fill(0);
                } else {
                    image.truncate(place.start);
                }
            }
            9 => self.forge_header(image, choice),
            10 => self.forge_record(image, place.start, choice),
            _ => image[..16].copy_from_slice(b"MACADAMIA-FORMAT"),
        }
    }

    /// Copies a range from another image.
    fn replay(&self, image: &mut [u8], range: core::ops::Range<usize>, choice: &mut impl Choice) {
        let source = &self.images[choice.below(self.images.len())];
        image[range.clone()].copy_from_slice(&source[range]);
    }

    /// Changes a header's field and makes its checksum right.
    fn forge_header(&self, image: &mut [u8], choice: &mut impl Choice) {
        let start = choice.below(4) * 4096;
        let Some(header) = image.get_mut(start..start + 352) else { return };
        header[choice.below(320)] = choice.byte();
        let (checked, sum) = header.split_at_mut(320);
        sum.copy_from_slice(&crate::seal::checksum(checked));
    }

    /// Gives a block the front of a record.
    fn forge_record(&self, image: &mut [u8], start: usize, choice: &mut impl Choice) {
        let source = &self.images[choice.below(self.images.len())];
        let record = source.chunks(self.shape.block_bytes).rev().find(|b| b.starts_with(b"MNVR"));
        let Some(record) = record else { return };
        let front = &mut image[start..start + 48];
        front.copy_from_slice(&record[..48]);
        front[4 + choice.below(36)] = choice.byte();
        let (checked, check) = front.split_at_mut(40);
        check.copy_from_slice(&crate::seal::front_check(checked));
    }
}

/// Whether an image shows nothing but what a formatting may have left before it was done.
fn only_a_beginning(image: &[u8], block_bytes: usize) -> bool {
    let second_area = [8192..8192 + block_bytes, 12288..12288 + block_bytes];
    let beyond = |at: usize| at >= 16 && !second_area.iter().any(|range| range.contains(&at));
    !image.iter().enumerate().any(|(at, &byte)| byte != 0 && beyond(at))
}

#[cfg(test)]
mod tests {
    use super::{Outcomes, World};
    use crate::simulation::model::Shape;
    use crate::simulation::random::SimulatedRandom;

    fn attacked(shape: Shape, seed: u64, recoveries: usize) -> Outcomes {
        let world = World::new(shape, seed, 40);
        let mut random = SimulatedRandom::new(!seed);
        let mut outcomes = Outcomes::default();
        for _ in 0..recoveries {
            world.attack(&mut random, &mut outcomes);
        }
        outcomes
    }

    #[test]
    fn no_attack_yields_a_state_that_never_was() {
        let outcomes = attacked(Shape::TINY, 1, 20_000);
        assert_eq!(outcomes.total(), 20_000);
        // The attacks reach every kind of refusal, and some are harmless.
        let Outcomes { opened, opened_earlier, headers, header_authentication, .. } = outcomes;
        let Outcomes { checkpoint_body, lost_commit, rolled_back, wrong_key, .. } = outcomes;
        let reached = [opened, opened_earlier, headers, header_authentication, checkpoint_body];
        assert!(reached.iter().all(|&count| count > 0), "{outcomes:?}");
        let reached = [lost_commit, rolled_back, wrong_key, outcomes.not_a_store];
        assert!(reached.iter().all(|&count| count > 0), "{outcomes:?}");
    }

    #[test]
    fn no_attack_succeeds_on_larger_stores() {
        assert_eq!(attacked(Shape::FINE, 2, 3_000).total(), 3_000);
        assert_eq!(attacked(Shape::COARSE, 3, 3_000).total(), 3_000);
    }
}
