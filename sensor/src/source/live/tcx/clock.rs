//! From the kernel's clock since the start of the machine to that on the wall.

use botlike_core::base::{MICRO, Nanos, SECOND, Stamp};

/// How often the two clocks are compared.
const PERIOD: Nanos = SECOND;
/// Both clocks are slewed alike, so that they differ by a constant until somebody sets one. Differences below this are
/// those of measuring.
const JUMP: u64 = 100 * MICRO;

/// The difference of the two clocks.
pub(super) struct Clock {
    offset: i64,
    /// When it was measured, on the clock since the start.
    measured: Nanos,
}

impl Clock {
    pub(super) fn new() -> Self {
        let (measured, offset) = measure();
        Self { offset, measured }
    }

    /// Measures again, where that was long ago, and follows a clock that was set.
    pub(super) fn refresh(&mut self) {
        let now = read(libc::CLOCK_BOOTTIME);
        if now.saturating_sub(self.measured) < PERIOD {
            return;
        }
        let (measured, offset) = measure();
        self.measured = measured;
        if offset.abs_diff(self.offset) > JUMP {
            self.offset = offset;
        }
    }

    /// The time on the wall at a time since the start.
    pub(super) fn stamp(&self, since_start: Nanos) -> Stamp {
        Stamp::from_nanos(since_start.saturating_add_signed(self.offset))
    }
}

/// The time since the start, and what the wall's clock shows more, from the quickest of some readings.
fn measure() -> (Nanos, i64) {
    (0..5)
        .map(|_| {
            let before = read(libc::CLOCK_BOOTTIME);
            let wall = read(libc::CLOCK_REALTIME);
            let after = read(libc::CLOCK_BOOTTIME);
            let width = after.saturating_sub(before);
            let middle = before + width / 2;
            (width, middle, wall.wrapping_sub(middle) as i64)
        })
        .min()
        .map_or((0, 0), |(_, at, offset)| (at, offset))
}

fn read(clock: libc::clockid_t) -> Nanos {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one value may be written where one lies. It cannot fail: Linux has both clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    (time.tv_sec as u64).saturating_mul(SECOND).saturating_add(time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_time_becomes_wall_time() {
        let clock = Clock::new();
        let before = read(libc::CLOCK_REALTIME);
        let stamp = clock.stamp(read(libc::CLOCK_BOOTTIME)).as_nanos();
        let after = read(libc::CLOCK_REALTIME);
        // No bound on how long that took, but on how far the clocks may be apart.
        assert!(before - 10 * JUMP <= stamp && stamp <= after + 10 * JUMP);
    }

    #[test]
    fn a_clock_that_was_set_is_followed_and_noise_is_not() {
        let mut clock = Clock::new();
        let right = clock.offset;
        clock.offset = right + SECOND as i64;
        clock.refresh();
        assert_eq!(clock.offset, right + SECOND as i64, "it was measured just now");
        clock.measured = 0;
        clock.refresh();
        assert!(clock.offset.abs_diff(right) < 10 * JUMP);
        let near = clock.offset;
        clock.measured = 0;
        clock.refresh();
        assert_eq!(clock.offset, near);
    }

    #[test]
    fn stamps_saturate() {
        let clock = Clock { offset: -5, measured: 0 };
        assert_eq!(clock.stamp(3), Stamp::ZERO);
        assert_eq!(Clock { offset: 5, measured: 0 }.stamp(u64::MAX), Stamp::MAX);
    }
}
