//! Counting over a sliding window in two rotating halves: what is counted is never older than the window, and never
//! younger than half of it. Time may go back or jump: a half too far away begins anew.

use crate::base::{Nanos, Stamp};

/// The last `span` of something.
#[derive(Clone, Debug, Default)]
pub(super) struct Window<T> {
    half: u64,
    now: T,
    before: T,
}

impl<T: Default> Window<T> {
    /// Brings it to `at`; the span is that of the whole window. Returns what counts now.
    pub(super) fn at(&mut self, at: Stamp, span: Nanos) -> &mut T {
        let half = at.as_nanos() / (span / 2).max(1);
        if half == self.half.wrapping_add(1) {
            self.before = core::mem::take(&mut self.now);
            self.half = half;
        } else if half != self.half && half.wrapping_add(1) != self.half {
            self.before = T::default();
            self.now = T::default();
            self.half = half;
        }
        &mut self.now
    }

    /// Both halves, the younger first, as of the last [`Window::at`].
    pub(super) fn halves(&self) -> [&T; 2] {
        [&self.now, &self.before]
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.now = T::default();
        self.before = T::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SECOND;

    fn sum(window: &Window<u32>) -> u32 {
        window.halves().into_iter().sum()
    }

    #[test]
    fn old_counts_go_and_a_bogus_stamp_heals() {
        let mut window = Window::<u32>::default();
        let second = |s| Stamp::from_parts(s, 0);
        for (at, expected) in
            [(1000, 1), (1004, 2), (1005, 3), (1009, 4), (1010, 3), (1015, 2), (1014, 3), (1030, 1)]
        {
            *window.at(second(at), 10 * SECOND) += 1;
            assert_eq!(sum(&window), expected, "at {at}");
        }
        *window.at(second(9_000_000), 10 * SECOND) += 1;
        *window.at(second(1031), 10 * SECOND) += 1;
        assert_eq!(sum(&window), 1, "what a stamp from elsewhere left is gone");
        *window.at(second(1042), 10 * SECOND) += 1;
        assert_eq!(sum(&window), 1);
    }
}
