//! Medians with intervals, and an order by chance that can be had again.

/// The probability with which an interval is to hold the median.
const CONFIDENCE: f64 = 0.95;

/// A median, and between which of the values the true one lies with a probability of 95 % at least.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Median {
    pub(super) median: f64,
    /// `None` where there are too few values to say.
    pub(super) interval: Option<(f64, f64)>,
}

impl Median {
    /// The interval is that of the sign test: it takes nothing of the values for granted but that they are independent.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let median = match count {
            0 => f64::NAN,
            _ if count % 2 == 1 => values[count / 2],
            _ => f64::midpoint(values[count / 2 - 1], values[count / 2]),
        };
        // So many of the least and of the greatest values may be left out. `below` is the chance that no more than `left`
        // of `count` tosses of a coin show heads.
        let (mut left, mut chance) = (None, 0.5_f64.powi(i32::try_from(count).unwrap_or(i32::MAX)));
        let mut below = chance;
        for heads in 0..count {
            if 2.0 * below > 1.0 - CONFIDENCE {
                break;
            }
            left = Some(heads);
            chance *= (count - heads) as f64 / (heads + 1) as f64;
            below += chance;
        }
        let interval = left.map(|left| (values[left], values[count - 1 - left]));
        Self { median, interval }
    }

    /// Its upper and its lower end; the median itself where there is no interval.
    pub(super) fn ends(self) -> (f64, f64) {
        self.interval.unwrap_or((self.median, self.median))
    }
}

impl std::fmt::Display for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3}", self.median)?;
        match self.interval {
            Some((low, high)) => write!(f, " ({low:.3}–{high:.3})"),
            None => Ok(()),
        }
    }
}

/// Numbers by chance, the same for the same seed (xorshift).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        // Seeds that lie side by side begin apart; zero would stay zero.
        Self((seed.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() >> 40 & 1 == 1
    }

    /// The same things in another order.
    pub(super) fn shuffled<T: Clone>(&mut self, things: &[T]) -> Vec<T> {
        let mut things = things.to_vec();
        for last in (1..things.len()).rev() {
            let other = (self.next() >> 16) % (last as u64 + 1);
            things.swap(last, usize::try_from(other).unwrap_or(0));
        }
        things
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // Ranks of the sign test at 95 %, as tables have them: 6: 1 and 6, 8: 1 and 8, 9: 2 and 8, 12: 3 and 10, 20: 6 and 15.
        for (count, low, high) in [(6, 1, 6), (8, 1, 8), (9, 2, 8), (12, 3, 10), (20, 6, 15)] {
            let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            let interval = Some((f64::from(low), f64::from(high)));
            assert_eq!(Median::of(&values).interval, interval, "{count}");
        }
        assert_eq!(Median::of(&[3.0, 1.0, 2.0]), Median { median: 2.0, interval: None });
        assert_eq!(Median::of(&[4.0, 1.0]).median, 2.5);
        assert!(Median::of(&[]).median.is_nan());
    }

    #[test]
    fn chance_is_the_same_again_and_leaves_nothing_out() {
        let order = |seed| Chance::new(seed).shuffled(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
        let mut sorted = order(7);
        sorted.sort_unstable();
        assert_eq!(sorted, [1, 2, 3, 4, 5, 6, 7, 8]);
        let mut chance = Chance::new(0);
        let heads = (0..1000).filter(|_| chance.coin()).count();
        assert!((400..600).contains(&heads), "{heads}");
    }
}
