//! What the judge says.

use alloc::vec::Vec;

use crate::base::{Addr, Flow, Stamp};
use crate::detect::{Evidence, NotObservable, Severity};
use crate::smtp::{Message, Session};

/// Seen from the watched hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From a watched host to another.
    Outbound,
    /// To a watched host from another.
    Inbound,
    /// Between watched hosts.
    Internal,
    /// Between others.
    External,
    /// Nobody said which hosts are watched: the client is judged as if it were.
    Unknown,
}

/// Where a finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// First seen.
    Open,
    /// More of it, or worse.
    Update,
    /// No hit for the entry's window; stamped with that deadline.
    Closed,
    /// The input ended while it was open.
    OpenAtEnd,
}

/// A detection that holds for a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The entry's index in [`detect::ALL`](crate::detect).
    pub entry: u16,
    /// The level's index in the entry.
    pub level: u8,
    /// The level's severity, as configured.
    pub severity: Severity,
    /// Where it stands.
    pub status: Status,
    /// The host it is about: the SMTP client's address.
    pub host: Addr,
    /// Hits so far.
    pub count: u64,
    /// The first hit.
    pub first_seen: Stamp,
    /// The last hit.
    pub last_seen: Stamp,
    /// The flow of the last hit, where there was one.
    pub flow: Option<Flow>,
    /// What was seen, of the worst or else the last hit.
    pub evidence: Vec<Evidence>,
    /// What could not be seen and would have helped to judge.
    pub not_observable: NotObservable,
    /// Seen from the watched hosts.
    pub direction: Direction,
}

/// What the judge says, in the order of the lines.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A session ended.
    Session {
        /// The session.
        session: &'a Session,
        /// Seen from the watched hosts.
        direction: Direction,
        /// The name that the configuration gives the watched host: the server of an inbound connection, else the client.
        host_name: Option<&'a str>,
        /// The tenant that the configuration gives it.
        tenant: Option<&'a str>,
    },
    /// A transaction ended.
    Message {
        /// The session so far.
        session: &'a Session,
        /// The transaction.
        message: &'a Message,
        /// Seen from the watched hosts.
        direction: Direction,
        /// See [`Event::Session`].
        host_name: Option<&'a str>,
        /// See [`Event::Session`].
        tenant: Option<&'a str>,
    },
    /// A finding was opened, updated or closed.
    Finding {
        /// The finding.
        finding: &'a Finding,
        /// See [`Event::Session`].
        host_name: Option<&'a str>,
        /// See [`Event::Session`].
        tenant: Option<&'a str>,
    },
}

/// Takes what the judge says.
pub trait EventSink {
    /// `at` becomes the line's `@timestamp`.
    fn event(&mut self, at: Stamp, event: Event<'_>);
}
