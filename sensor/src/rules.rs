//! The list of detections as the program around core needs it: to name rules in lines, to check settings, to explain.

use botlike_core::base::Nanos;
use botlike_core::detect::{Level, Needs, Setting};

/// What is said of a detection.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its id, e.g. `helo.bare_ip`.
    pub id: &'static str,
    /// Raised when what it matches changes.
    pub rev: u16,
    /// A short title.
    pub name: &'static str,
    /// What is seen when it matches, and why it matters.
    pub what: &'static str,
    /// What to do about it.
    pub advice: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// The ATT&CK technique, empty where there is none.
    pub attack: &'static str,
    /// What it must be able to see.
    pub needs: Needs,
    /// The ways in which it matches.
    pub levels: &'static [Level],
    /// A finding closes after so long without a hit.
    pub window: Nanos,
    /// What may be changed about it.
    pub settings: &'static [Setting],
}

/// A list of them.
pub type Entries = &'static [&'static Entry];

/// All detections of this version.
pub static ALL: Entries = &[];
