//! How many different things: exact up to 128, then a HyperLogLog of 256 registers (standard error 1.04 / √256 = 6.5 %;
//! Flajolet et al. 2007). The thresholds of the detections lie within the exact part.

use alloc::boxed::Box;
use alloc::vec::Vec;

const EXACT: usize = 128;
const REGISTERS: usize = 256;
/// The bias correction of 256 registers: 0.7213 / (1 + 1.079 / 256).
const ALPHA: f64 = 0.718_273;

/// A set of hashes of which only the size is asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Distinct {
    exact: Vec<u64>,
    registers: Option<Box<[u8; REGISTERS]>>,
}

impl Distinct {
    /// Adds a thing by its hash; the hash must be good in all of its bits.
    pub(super) fn add(&mut self, hash: u64) {
        match &mut self.registers {
            Some(registers) => note(registers, hash),
            None if self.exact.contains(&hash) => {}
            None if self.exact.len() < EXACT => self.exact.push(hash),
            None => {
                let mut registers = Box::new([0; REGISTERS]);
                core::mem::take(&mut self.exact).into_iter().for_each(|h| note(&mut registers, h));
                note(&mut registers, hash);
                self.registers = Some(registers);
            }
        }
    }

    /// How many different things are in either of two sets.
    pub(super) fn union([a, b]: [&Self; 2]) -> u64 {
        if a.registers.is_none() && b.registers.is_none() {
            let more = b.exact.iter().filter(|hash| !a.exact.contains(hash)).count();
            return (a.exact.len() + more) as u64;
        }
        let mut all = [0; REGISTERS];
        for set in [a, b] {
            set.exact.iter().for_each(|&hash| note(&mut all, hash));
            for (ours, theirs) in all.iter_mut().zip(set.registers.iter().flat_map(|r| r.iter())) {
                *ours = (*ours).max(*theirs);
            }
        }
        estimate(&all)
    }
}

fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    // The low byte chooses the register, the rest tells how rare the hash is.
    let rank = u8::try_from(((hash >> 8) | 1 << 56).trailing_zeros() + 1).unwrap_or(u8::MAX);
    if let Some(register) = registers.get_mut(usize::from(hash as u8)) {
        *register = (*register).max(rank);
    }
}

fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    let m = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|&r| libm::exp2(-f64::from(r))).sum();
    let raw = ALPHA * m * m / sum;
    let empty = registers.iter().filter(|&&r| r == 0).count();
    // Small counts are better told by the empty registers (linear counting).
    let estimate = if raw <= 2.5 * m && empty > 0 { m * libm::log(m / empty as f64) } else { raw };
    libm::round(estimate) as u64
}

#[cfg(test)]
mod tests {
    use core::hash::BuildHasher;

    use super::*;

    fn set(range: core::ops::Range<u64>) -> Distinct {
        let hasher = foldhash::quality::FixedState::with_seed(3);
        let mut set = Distinct::default();
        range.for_each(|n| set.add(hasher.hash_one(n)));
        set
    }

    #[test]
    fn exact_while_small() {
        for n in 0..=EXACT as u64 {
            assert_eq!(Distinct::union([&set(0..n), &set(0..n)]), n);
        }
        assert_eq!(Distinct::union([&set(0..20), &set(10..30)]), 30);
    }

    #[test]
    fn never_more_than_its_bounds() {
        let set = set(0..100_000);
        assert_eq!((set.exact.capacity(), set.registers.is_some()), (0, true));
        assert!(self::set(0..EXACT as u64).exact.capacity() <= 2 * EXACT);
    }

    #[test]
    fn near_when_large() {
        for n in [140, 200, 400, 2000, 50_000] {
            let told = Distinct::union([&set(0..n), &set(n / 2..n)]);
            assert!(told.abs_diff(n) * 100 <= n * 20, "{told} for {n}");
        }
    }
}
