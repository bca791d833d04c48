//! The list of detections as the program around core needs it: to name rules in lines, to check settings, to explain.

pub use botlike_core::detect::Entry;

/// A list of detections.
pub type Entries = &'static [&'static Entry];

/// All detections of this version.
pub static ALL: Entries = botlike_core::detect::ALL;
