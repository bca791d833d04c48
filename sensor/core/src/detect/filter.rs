//! Sets of which nothing is ever taken out but by time, in little memory: a small one that is exact, and a filter that
//! may take a stranger for one it knows, never the other way round.

use alloc::vec;
use alloc::vec::Vec;

/// A set of hashes, exact up to a small size; what is more is not taken in. For thresholds well below that size.
#[derive(Clone, Debug, Default)]
pub(super) struct Few(Vec<u64>);

impl Few {
    /// The most it holds.
    pub(super) const MOST: usize = 64;

    /// Adds a thing by its hash.
    pub(super) fn add(&mut self, hash: u64) {
        if self.0.len() < Self::MOST && !self.0.contains(&hash) {
            self.0.push(hash);
        }
    }

    /// How many different things are in either of two sets.
    pub(super) fn union([a, b]: [&Self; 2]) -> u64 {
        let more = b.0.iter().filter(|hash| !a.0.contains(hash)).count();
        a.0.len().saturating_add(more) as u64
    }
}

/// A Bloom filter (four bits a thing) that takes its memory with the first thing. At one thing in eight bits it takes one
/// stranger in 40 for known, when full all of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// Adds a thing by its hash, which must be good in all of its bits. The filter is of so many bytes, rounded up.
    pub(super) fn add(&mut self, hash: u64, bytes: usize) {
        if self.0.is_empty() {
            self.0 = vec![0; bytes.div_ceil(8).max(1)];
        }
        for (word, mask) in places(hash, self.0.len()) {
            if let Some(word) = self.0.get_mut(word) {
                *word |= mask;
            }
        }
    }

    /// Whether a thing was added, or looks like one that was.
    pub(super) fn has(&self, hash: u64) -> bool {
        !self.0.is_empty()
            && places(hash, self.0.len())
                .all(|(word, mask)| self.0.get(word).is_some_and(|w| w & mask != 0))
    }
}

/// The four bits of a hash: word and mask.
fn places(hash: u64, words: usize) -> impl Iterator<Item = (usize, u64)> {
    let (first, step) = (hash & 0xffff_ffff, (hash >> 32) | 1);
    (0..4u64).map(move |n| {
        let bit = first.wrapping_add(n.wrapping_mul(step)) % (words as u64 * 64).max(1);
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use core::hash::BuildHasher;

    use super::*;

    fn hash(n: u64) -> u64 {
        foldhash::quality::FixedState::with_seed(3).hash_one(n)
    }

    #[test]
    fn a_few_are_exact_and_bounded() {
        let (mut a, mut b) = (Few::default(), Few::default());
        (0..10).for_each(|n| a.add(n));
        (5..15).for_each(|n| b.add(n));
        assert_eq!(Few::union([&a, &b]), 15);
        (0..1000).for_each(|n| a.add(n));
        assert_eq!(Few::union([&a, &Few::default()]), Few::MOST as u64);
    }

    #[test]
    fn a_filter_forgets_nothing_and_mistakes_few() {
        let mut bits = Bits::default();
        assert!(!bits.has(hash(1)));
        (0..2048).for_each(|n| bits.add(hash(n), 2048));
        assert!((0..2048).all(|n| bits.has(hash(n))));
        let mistaken = (10_000..20_000).filter(|n| bits.has(hash(*n))).count();
        assert!((50..500).contains(&mistaken), "{mistaken}");
        assert_eq!(bits.0.len(), 256);
    }
}
