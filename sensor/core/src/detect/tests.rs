#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use foldhash::quality::FixedState;

use super::host::{Happening, Host, Reached, Role, Terms};
use super::*;
use crate::base::{Endpoint, Flow, HOUR, Limits, MINUTE, Nanos, SECOND, Stamp};
use crate::smtp::{
    Capability, CaptureState, Close, Conduct, FalseEnd, Foreign, HeloVerb, Ignored, Starttls,
    Visible,
};

mod flows;
mod hosts;
mod list;
mod traffic;

/// A whole number of days after the epoch, so that all windows begin here.
const START: Stamp = Stamp::from_parts(20_000 * 86_400, 0);

fn addr(text: &str) -> Addr {
    Addr::from(text.parse::<IpAddr>().unwrap())
}

/// The n-th mail server of the world.
fn server(n: usize) -> Addr {
    let [.., a, b, c] = n.to_be_bytes();
    Addr::v4([60, a, b, c])
}

fn flow(n: usize, port: u16) -> Flow {
    Flow {
        client: Endpoint { addr: addr("45.0.2.10"), port: 41_322 },
        server: Endpoint { addr: server(n), port },
        start: START,
        first_frame: 1,
        ..Flow::default()
    }
}

/// What a mail server does: greeted, said its name, was offered no STARTTLS, left a message, said QUIT.
fn honest(n: usize) -> Session {
    let mut session = Session {
        flow: flow(n, 25),
        client_packets: 9,
        server_packets: 8,
        client_bytes: 900,
        server_bytes: 300,
        close: Some(Close::Quit),
        quit: true,
        greeting_code: Some(220),
        helo_verb: Some(HeloVerb::Ehlo),
        helo_count: 1,
        ehlo_accepted: true,
        commands: 5,
        transactions: 1,
        messages: 1,
        ..Session::default()
    };
    session.helo.set(b"mail.example.org", 255);
    session
}

/// Id and level of what was found.
type Found = (&'static str, &'static str);

/// A host to which things happen, and all rules of hosts.
struct Bench {
    host: Host,
    role: Role,
    outbound: bool,
    internal: bool,
    losses: u64,
    /// Only what this one finds is told.
    about: Option<&'static str>,
    tuning: Tuning,
    hasher: FixedState,
    /// What the last happening led to.
    matches: Vec<(Found, Vec<Evidence>)>,
}

impl Bench {
    fn new() -> Self {
        Self::of(Role::Unknown)
    }

    fn of(role: Role) -> Self {
        Self {
            host: Host::default(),
            role,
            outbound: true,
            internal: false,
            losses: 0,
            about: None,
            tuning: Tuning::default(),
            hasher: FixedState::with_seed(7),
            matches: Vec::new(),
        }
    }

    /// Leaves out what other rules find.
    fn about(self, id: &'static str) -> Self {
        Self { about: Some(id), ..self }
    }

    fn happen(&mut self, at: Nanos, happening: Happening<'_>) -> Vec<Found> {
        let now = START.plus(at);
        let limits = Limits::default();
        let (role, outbound, hasher) = (self.role, self.outbound, &self.hasher);
        self.host.note(now, &happening, &Terms { role, outbound, hasher, limits: &limits });
        self.matches.clear();
        for (index, entry) in (0u16..).zip(ALL) {
            let Rule::Host(rule) = entry.rule else { continue };
            if self.about.is_some_and(|id| id != entry.id) {
                continue;
            }
            let settings = self.tuning.of(index).unwrap();
            let cx = HostCx {
                now,
                host: &self.host,
                role: self.role,
                outbound: self.outbound,
                internal: self.internal,
                settings,
            };
            if let Some(found) = rule(&cx, &happening) {
                let level = entry.levels[usize::from(found.level)].name;
                self.matches.push(((entry.id, level), found.evidence));
            }
        }
        self.matches.iter().map(|(found, _)| *found).collect()
    }

    fn ended(&mut self, at: Nanos, session: &Session) -> Vec<Found> {
        self.happen(at, Happening::Ended { session, held: false })
    }

    fn opened(&mut self, at: Nanos, n: usize) -> Vec<Found> {
        self.happen(at, Happening::Opened { flow: &flow(n, 25), stack: 1 })
    }

    fn attempt(&mut self, at: Nanos, n: usize, end: Reached) -> Vec<Found> {
        self.happen(at, Happening::Attempt { flow: &flow(n, 25), end })
    }

    fn held(&mut self, at: Nanos, n: usize) -> Vec<Found> {
        let session = honest(n);
        self.happen(at, Happening::Held { session: &session, idle: 60 * SECOND })
    }

    fn evidence(&self, key: &str) -> Option<&EvidenceValue> {
        let mut all = self.matches.iter().flat_map(|(_, evidence)| evidence);
        all.find(|e| e.key == key).map(|e| &e.value)
    }
}
