//! Floor 5: the detections. One file per family; the list of all is in this file.
//!
//! A detection is an [`Entry`] in its family's file and a line in [`ALL`]. Its rule looks either at one connection, in the
//! tracker ([`Rule::Flow`]), or at what is known of a host, in the judge ([`Rule::Host`]); it reads no clock and keeps
//! nothing. Everything else, configuration, manual, lines, derives from the entry. What an entry needs and cannot see
//! makes it silent: nothing is ever argued from what was not seen.

mod contacts;
mod dialect;
mod distinct;
mod dynamic;
mod fanout;
mod filter;
mod helo;
mod host;
mod lookups;
mod name;
mod random;
mod reply;
mod session;
mod special;
mod tuning;
mod window;

use alloc::string::String;
use alloc::vec::Vec;

use bitflags::bitflags;

use crate::base::{Addr, Nanos, Net, Stamp, Text};
use crate::smtp::{CaptureState, Session};

pub use host::{Happening, Host, Reached, Role, Terms};
pub use special::{is_loopback, is_public};
pub use tuning::{Given, Tuned, Tuning, TuningError};

/// All detections. An entry that is not built is not in the list.
pub static ALL: &[&Entry] = &[
    &helo::BARE_IP,
    &helo::LITERAL_MISMATCH,
    &helo::LITERAL_PRIVATE,
    &helo::UNQUALIFIED,
    &helo::LOCALHOST,
    &helo::RESERVED_SUFFIX,
    &helo::SYNTAX_INVALID,
    &helo::VICTIM_NAME,
    &helo::VARIES_PER_IP,
    &helo::DYNAMIC_PATTERN,
    &helo::RANDOM_LABEL,
    &helo::KNOWN_BOT,
    &helo::DESKTOP_NAME,
    &helo::CHANGES_IN_SESSION,
    &helo::MISSING,
    &session::PREGREET,
    &session::UNAUTHORISED_PIPELINING,
    &session::IGNORES_REJECTION,
    &session::DATA_BEFORE_354,
    &session::NON_SMTP_COMMAND,
    &session::NO_QUIT,
    &session::RST_CLOSE,
    &session::HOLD_OPEN,
    &session::HELO_QUIT_LOOP,
    &session::EMPTY_CONNECT,
    &session::CONCURRENCY,
    &session::ERROR_FLOOD,
    &session::BARE_NEWLINE,
    &session::SMUGGLING_EOD,
    &fanout::DST_IPS,
    &fanout::CONN_RATE,
    &fanout::SYN_FAIL_RATIO,
    &fanout::EGRESS_BLOCKED,
    &fanout::FIRST_CONTACT_RATIO,
    &fanout::MX_QUERY_NONMAILER,
    &fanout::NO_DNS_BEFORE_CONNECT,
    &fanout::RESOLVER_BYPASS,
    &fanout::PORT25_SWEEP,
    &reply::BANNER_REFUSAL,
    &dialect::IGNORES_STARTTLS,
];

/// A detection: what it is called, what it looks at, how it matches, what follows from it.
#[derive(Debug)]
pub struct Entry {
    /// Its id in the catalogue, e.g. `helo.bare_ip`; the part before the dot is the file it stands in.
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
    /// ATT&CK techniques, separated by commas; empty where there is none.
    pub attack: &'static str,
    /// What it must be able to see.
    pub needs: Needs,
    /// What else would help to judge and is not seen yet.
    pub unseen: NotObservable,
    /// Whether it is judged of watched clients, of clients of watched servers, or both.
    pub directions: Directions,
    /// The ways in which it matches, the worst first.
    pub levels: &'static [Level],
    /// A finding closes after so long without a hit.
    pub window: Nanos,
    /// What may be changed about it.
    pub settings: &'static [Setting],
    /// How it looks.
    pub rule: Rule,
}

/// How a detection looks.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// At one connection, in the tracker; then the judge, who knows host and direction, admits the hit or not.
    Flow {
        /// What is looked for.
        matches: fn(&FlowCx<'_>, FlowEvent<'_>) -> Option<Match>,
        /// The guards that need host, direction and inventory; gives the level, which may be another one.
        admits: fn(&Subject<'_>, u8) -> Option<u8>,
        /// The setting (by its index) that says in how many sessions it must have been seen; `None`: one is enough.
        sessions: Option<usize>,
    },
    /// At what is known of a host, in the judge, whenever something happens to it.
    Host(fn(&HostCx<'_>, &Happening<'_>) -> Option<Match>),
}

bitflags! {
    /// Of whom a detection is judged.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Directions: u8 {
        /// Of watched hosts as clients.
        const OUT = 1;
        /// Of clients of watched servers.
        const IN = 1 << 1;
    }
}

/// What a rule found.
#[derive(Clone, Debug)]
pub struct Match {
    /// The level's index.
    pub level: u8,
    /// The value that makes two matches the same observation.
    pub value: u64,
    /// What was seen.
    pub evidence: Vec<Evidence>,
}

/// What a rule of a connection may read.
#[derive(Debug)]
pub struct FlowCx<'a> {
    /// The session so far.
    pub session: &'a Session,
    /// The entry's settings.
    pub settings: &'a Tuned,
}

/// What the guards of a connection's rule may read.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The session so far.
    pub session: &'a Session,
    /// The client is watched, or judged as if it were.
    pub outbound: bool,
    /// What the operator says that the client is for.
    pub role: Role,
    /// Addresses under which watched hosts appear outside.
    pub public: &'a [Net],
}

/// What a rule of a host may read.
#[derive(Debug)]
pub struct HostCx<'a> {
    /// Packet time.
    pub now: Stamp,
    /// What is known of the host.
    pub host: &'a Host,
    /// What the operator says that it is for.
    pub role: Role,
    /// It is watched, or judged as if it were; else it is a client of a watched server.
    pub outbound: bool,
    /// It is watched, and so is the server.
    pub internal: bool,
    /// The entry's settings.
    pub settings: &'a Tuned,
}

/// Whether no byte of a session is missing, from its start up to now.
fn is_whole(session: &Session) -> bool {
    !session.capture.intersects(CaptureState::GAP | CaptureState::JOINED_LATE)
}

/// Asks the rules that look at one connection.
pub fn flow_event(event: FlowEvent<'_>, session: &Session, tuning: &Tuning, out: &mut Vec<Hit>) {
    for (index, entry) in (0u16..).zip(ALL) {
        if let Rule::Flow { matches, .. } = entry.rule
            && let Some(settings) = tuning.of(index).filter(|t| t.enabled())
            && let Some(found) = matches(&FlowCx { session, settings }, event)
        {
            let fingerprint = tuning.fingerprint(index, found.value);
            out.push(Hit {
                entry: index,
                level: found.level,
                fingerprint,
                evidence: found.evidence,
            });
        }
    }
}

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
        /// DNS of the host, on the wire.
        const DNS = 1 << 5;
        /// What the host did in the days before.
        const HISTORY = 1 << 6;
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
    /// The session is over; how the client conducted it is in `session.conduct`.
    Closed,
}

#[cfg(test)]
mod tests;
