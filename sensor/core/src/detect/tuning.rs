//! The settings of the detections, as the operator left or changed them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::{ALL, Severity, Value};
use crate::base::Nanos;

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// A number of things.
    Count(u64),
    /// A span of time.
    Span(Nanos),
    /// A share in per cent.
    Percent(u8),
    /// A list of names.
    Names(Vec<String>),
}

impl From<Value> for Given {
    fn from(value: Value) -> Self {
        match value {
            Value::Count(n) => Self::Count(n),
            Value::Span(span) => Self::Span(span),
            Value::Percent(share) => Self::Percent(share),
            Value::Names(names) => Self::Names(names.iter().map(|&n| n.into()).collect()),
        }
    }
}

/// Why a setting was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TuningError {
    /// There is no detection of that id.
    UnknownId,
    /// The detection has no such setting.
    UnknownKey,
    /// The setting is of another type.
    WrongType,
}

impl fmt::Display for TuningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownId => "there is no detection of that id",
            Self::UnknownKey => "the detection has no such setting",
            Self::WrongType => "the setting takes a value of another type",
        })
    }
}

/// The settings of one detection. Rules ask by the index of the setting in their entry.
#[derive(Clone, Debug)]
pub struct Tuned {
    enabled: bool,
    severity: Option<Severity>,
    window: Nanos,
    values: Vec<Given>,
}

impl Tuned {
    /// Whether it is on.
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The severity of all its levels, where the operator says one.
    pub fn severity(&self) -> Option<Severity> {
        self.severity
    }

    /// A finding closes after so long without a hit.
    pub fn window(&self) -> Nanos {
        self.window
    }

    /// In how many sessions a hit must be seen, by the index of the setting that says so.
    pub fn sessions(&self, index: usize) -> u64 {
        self.count(index)
    }

    /// A number; 0 where the setting is none.
    pub(super) fn count(&self, index: usize) -> u64 {
        match self.values.get(index) {
            Some(Given::Count(n)) => *n,
            _ => 0,
        }
    }

    /// A span of time; 0 where the setting is none.
    pub(super) fn span(&self, index: usize) -> Nanos {
        match self.values.get(index) {
            Some(Given::Span(span)) => *span,
            _ => 0,
        }
    }

    /// A share in per cent; 0 where the setting is none.
    pub(super) fn percent(&self, index: usize) -> u64 {
        match self.values.get(index) {
            Some(Given::Percent(share)) => u64::from(*share),
            _ => 0,
        }
    }

    /// Names; none where the setting is none.
    pub(super) fn names(&self, index: usize) -> &[String] {
        match self.values.get(index) {
            Some(Given::Names(names)) => names,
            _ => &[],
        }
    }
}

/// The settings of all detections.
#[derive(Clone, Debug)]
pub struct Tuning {
    entries: Vec<Tuned>,
    hasher: FixedState,
}

impl Default for Tuning {
    fn default() -> Self {
        let entries = ALL.iter().map(|entry| Tuned {
            enabled: true,
            severity: None,
            window: entry.window,
            values: entry.settings.iter().map(|s| s.default.into()).collect(),
        });
        Self { entries: entries.collect(), hasher: FixedState::with_seed(0) }
    }
}

impl Tuning {
    /// Keys the fingerprints of hits.
    pub fn set_seed(&mut self, seed: u64) {
        self.hasher = FixedState::with_seed(seed);
    }

    /// Switches a detection on or off.
    ///
    /// # Errors
    ///
    /// Where there is none of that id.
    pub fn set_enabled(&mut self, id: &str, enabled: bool) -> Result<(), TuningError> {
        self.entry(id)?.enabled = enabled;
        Ok(())
    }

    /// Gives all levels of a detection one severity.
    ///
    /// # Errors
    ///
    /// Where there is none of that id.
    pub fn set_severity(&mut self, id: &str, severity: Severity) -> Result<(), TuningError> {
        self.entry(id)?.severity = Some(severity);
        Ok(())
    }

    /// Says after how long without a hit a finding closes.
    ///
    /// # Errors
    ///
    /// Where there is none of that id.
    pub fn set_window(&mut self, id: &str, window: Nanos) -> Result<(), TuningError> {
        self.entry(id)?.window = window;
        Ok(())
    }

    /// Changes a setting of a detection.
    ///
    /// # Errors
    ///
    /// Where there is no such id or key, or the setting is of another type.
    pub fn set(&mut self, id: &str, key: &str, value: Given) -> Result<(), TuningError> {
        let index = ALL.iter().position(|e| e.id == id).ok_or(TuningError::UnknownId)?;
        let settings = ALL.get(index).map_or(&[][..], |e| e.settings);
        let place = settings.iter().position(|s| s.key == key).ok_or(TuningError::UnknownKey)?;
        let slot = self
            .entries
            .get_mut(index)
            .and_then(|t| t.values.get_mut(place))
            .ok_or(TuningError::UnknownKey)?;
        if core::mem::discriminant(slot) != core::mem::discriminant(&value) {
            return Err(TuningError::WrongType);
        }
        *slot = value;
        Ok(())
    }

    /// The settings of the detection at this index of the list.
    pub fn of(&self, index: u16) -> Option<&Tuned> {
        self.entries.get(usize::from(index))
    }

    /// After how long a silent client holds its connection open, for the tracker.
    pub fn hold_after(&self) -> Nanos {
        let index = ALL.iter().position(|e| e.id == super::session::HOLD_OPEN.id);
        index.and_then(|i| self.entries.get(i)).map_or(Nanos::MAX, |t| t.span(super::session::IDLE))
    }

    pub(super) fn fingerprint(&self, entry: u16, value: u64) -> u64 {
        self.hasher.hash_one((entry, value))
    }

    fn entry(&mut self, id: &str) -> Result<&mut Tuned, TuningError> {
        let index = ALL.iter().position(|e| e.id == id).ok_or(TuningError::UnknownId)?;
        self.entries.get_mut(index).ok_or(TuningError::UnknownId)
    }
}

/// A value for [`Match::value`](super::Match) from bytes, equal for all spellings in upper and lower case.
pub(super) fn value_of(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in bytes {
        hash = (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_settings_are_told_apart() {
        let mut tuning = Tuning::default();
        assert_eq!(
            tuning.set("helo.bare", "sessions", Given::Count(1)),
            Err(TuningError::UnknownId)
        );
        assert_eq!(
            tuning.set("helo.bare_ip", "session", Given::Count(1)),
            Err(TuningError::UnknownKey)
        );
        assert_eq!(
            tuning.set("helo.bare_ip", "sessions", Given::Percent(1)),
            Err(TuningError::WrongType)
        );
        assert_eq!(tuning.set("helo.bare_ip", "sessions", Given::Count(7)), Ok(()));
        assert_eq!(tuning.of(0).map(|t| t.count(0)), Some(7));
        assert_eq!(tuning.set_enabled("x", false), Err(TuningError::UnknownId));
    }
}
