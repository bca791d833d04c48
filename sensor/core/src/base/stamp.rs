//! Packet time: nanoseconds since the Unix epoch, saturating in both directions.

/// A span of time in nanoseconds.
pub type Nanos = u64;

/// One microsecond.
pub const MICRO: Nanos = 1_000;
/// One millisecond.
pub const MILLI: Nanos = 1_000 * MICRO;
/// One second.
pub const SECOND: Nanos = 1_000 * MILLI;
/// One minute.
pub const MINUTE: Nanos = 60 * SECOND;
/// One hour.
pub const HOUR: Nanos = 60 * MINUTE;
/// One day.
pub const DAY: Nanos = 24 * HOUR;

/// A point in packet time: nanoseconds since 1970-01-01T00:00:00Z. Never the time of a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// The epoch.
    pub const ZERO: Self = Self(0);
    /// The end of representable time (year 2554); "never" where a deadline is meant.
    pub const MAX: Self = Self(u64::MAX);

    /// A stamp from nanoseconds since the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A stamp from seconds and nanoseconds since the epoch; saturates.
    pub const fn from_parts(seconds: u64, nanos: u32) -> Self {
        Self(seconds.saturating_mul(SECOND).saturating_add(nanos as u64))
    }

    /// Nanoseconds since the epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0)
    }

    /// This much later; saturates at [`Stamp::MAX`].
    pub const fn plus(self, span: Nanos) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// This much earlier; saturates at [`Stamp::ZERO`].
    pub const fn minus(self, span: Nanos) -> Self {
        Self(self.0.saturating_sub(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Stamp::MAX.plus(1), Stamp::MAX);
        assert_eq!(Stamp::ZERO.since(Stamp::MAX), 0);
        assert_eq!(Stamp::ZERO.minus(1), Stamp::ZERO);
        assert_eq!(Stamp::from_parts(2, 5).as_nanos(), 2_000_000_005);
        assert_eq!(Stamp::from_parts(u64::MAX, 5), Stamp::MAX);
    }
}
