//! Floor 5: the detections. One file per family; the list of all is in this file.

mod dynamic;
mod special;

pub use dynamic::{Looks, looks_dynamic};
pub use special::{is_public, same_neighbourhood, special_block};

use alloc::string::String;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::base::{Addr, Nanos, Text};

/// How bad a finding is for whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Info,
    /// Worth mending.
    Low,
    /// Worth a look.
    Medium,
    /// Worth a look today.
    High,
    /// Worth a call.
    Critical,
}

impl Severity {
    /// As written in lines and configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The number of `event.severity`.
    pub const fn number(self) -> u8 {
        match self {
            Self::Info => 10,
            Self::Low => 25,
            Self::Medium => 47,
            Self::High => 73,
            Self::Critical => 99,
        }
    }

    /// All, from the least to the worst.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// From its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}

bitflags! {
    /// What a detection must be able to see (catalogue section 0.1).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Needs: u16 {
        /// The plain dialogue.
        const PLAIN = 1;
        /// Its early part: greeting, first HELO or EHLO, capabilities, STARTTLS.
        const EARLY = 1 << 1;
        /// TCP headers.
        const TCP = 1 << 2;
        /// The operator's inventory.
        const INVENTORY = 1 << 3;
        /// Both directions, without a gap, from the start.
        const WHOLE = 1 << 4;
    }

    /// Why something could not be seen, for `botlike.not_observable`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct NotObservable: u16 {
        /// No name service.
        const DNS = 1;
        /// Hidden by TLS.
        const TLS = 1 << 1;
        /// Only one direction was seen.
        const ONE_SIDED = 1 << 2;
        /// No process information.
        const PROCESS = 1 << 3;
        /// The host's role is not known.
        const ROLE = 1 << 4;
        /// No feed.
        const FEED = 1 << 5;
        /// No history yet.
        const HISTORY = 1 << 6;
        /// The capture has gaps.
        const CAPTURE = 1 << 7;
        /// Which side is watched is not known.
        const DIRECTION = 1 << 8;
        /// Content was not looked at.
        const CONTENT = 1 << 9;
    }
}

/// What a level weighs in a verdict (catalogue section 6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weight {
    /// Hygiene points, in tenths.
    Hygiene(u16),
    /// Behavioural evidence.
    Behaviour {
        /// `protocol`, `traffic`, `reaction` or `host`.
        plane: &'static str,
        /// The family within the plane.
        family: &'static str,
        /// Strong, or else weak.
        strong: bool,
    },
    /// Both: behavioural evidence and hygiene points in tenths.
    Both {
        /// See [`Weight::Behaviour`].
        plane: &'static str,
        /// See [`Weight::Behaviour`].
        family: &'static str,
        /// See [`Weight::Behaviour`].
        strong: bool,
        /// Hygiene points in tenths.
        hygiene: u16,
    },
    /// None: information only.
    Info,
    /// A direct verdict.
    Conclusive,
}

/// One way in which a detection matches.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// Short name, unique within the entry.
    pub name: &'static str,
    /// When it holds, in words.
    pub when: &'static str,
    /// Its severity by default.
    pub severity: Severity,
    /// Its weight in the verdict.
    pub weight: Weight,
}

/// The default of a setting, and so its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A span of time; written in the configuration as `"10m"`, `"1h"`, `"60s"`.
    Span(Nanos),
    /// A share in per cent.
    Percent(u8),
    /// A list of names (host names, in most cases).
    Names(&'static [&'static str]),
}

/// Something about a detection that the operator may change.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key below `[detect."id"]`.
    pub key: &'static str,
    /// Its default.
    pub default: Value,
    /// What it does.
    pub doc: &'static str,
}

/// A piece of evidence: a name and what was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The field's name, e.g. `helo`, `dst_ips`, `limit`.
    pub key: &'static str,
    /// What was seen.
    pub value: EvidenceValue,
}

/// The value of a piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub enum EvidenceValue {
    /// A number.
    Count(u64),
    /// A span of time.
    Span(Nanos),
    /// A share in per cent.
    Percent(u8),
    /// An address.
    Addr(Addr),
    /// Bytes from the wire, to be escaped by whoever prints them.
    Wire(Text),
    /// Our own words.
    Word(&'static str),
    /// Our own words, made for the occasion.
    Words(String),
}

/// A rule matched in one flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The entry's index in the list.
    pub entry: u16,
    /// The level's index in the entry.
    pub level: u8,
    /// A hash of id and value: equal ones are one observation (guard G4).
    pub fingerprint: u64,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// What a rule of a flow is asked about.
#[derive(Clone, Copy, Debug)]
pub enum FlowEvent<'a> {
    /// A HELO, EHLO or LHLO was read.
    Helo,
    /// The client's first payload was sent before any byte of the greeting had reached it, by its own acknowledgement
    /// number (catalogue section 0.5). Said when the greeting's first byte was seen or the session ended.
    Pregreet {
        /// The client's first bytes, at most 100.
        first: &'a [u8],
        /// Payload lay in the SYN itself.
        in_syn: bool,
        /// From the client's first payload to the first byte of the greeting; `None` if no greeting came.
        before_greeting: Option<Nanos>,
    },
}
