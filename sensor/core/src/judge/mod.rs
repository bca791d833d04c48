//! Floor 7, the second door: facts in, findings out. There is one, whatever the number of workers.
//!
//! Facts come in the one order of [`Key`]; sessions and messages pass through, with their direction and the names of the
//! inventory. The judge alone knows hosts, and it alone opens, updates and closes findings. Before each fact, findings
//! past their deadline close, stamped with the deadline. Saying that time passed, anywhere, changes nothing of what
//! comes out, as long as stamps do not go back.

mod event;
mod findings;
mod hosts;

use alloc::string::String;
use alloc::vec::Vec;

// Estimates of distinct counts want all bits of a hash to be good.
use foldhash::quality::FixedState;

pub use event::{Direction, Event, EventSink, Finding, Status};

use crate::base::{Addr, Counters, Endpoint, Flow, Limits, Net, Stamp};
use crate::detect::{
    ALL, Directions, Entry, Happening, Hit, HostCx, Match, NotObservable, Reached, Role, Rule,
    Severity, Subject, Terms, Tuned, Tuning, is_loopback,
};
use crate::dns::Lookup;
use crate::smtp::{CaptureState, Session, Visible};
use crate::tracker::{AttemptEnd, Fact, Key};
use findings::{Findings, Seen};
use hosts::Hosts;

/// What the operator says of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// Which ones.
    pub net: Net,
    /// What they are for.
    pub role: Role,
    /// `host.name` of their lines.
    pub name: Option<String>,
    /// `botlike.tenant` of their lines.
    pub tenant: Option<String>,
}

/// A finding that the operator knows of and does not want to see (guard G12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The detection's index in the list.
    pub entry: u16,
    /// Of which hosts.
    pub net: Net,
    /// Before this stamp.
    pub until: Stamp,
}

/// What a judge is told at its start.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Watched hosts; none: every client is judged as if it were watched.
    pub watched: Vec<Net>,
    /// Addresses under which watched hosts appear outside.
    pub public: Vec<Net>,
    /// Resolvers that watched hosts use; none: not said.
    pub resolvers: Vec<Net>,
    /// What is known of hosts; the first that fits holds.
    pub hosts: Vec<HostRule>,
    /// Settings of the detections.
    pub tuning: Tuning,
    /// Caps.
    pub limits: Limits,
    /// Key of the hash tables.
    pub seed: u64,
    /// What is known already.
    pub acks: Vec<Ack>,
}

/// Knows hosts and gives findings.
#[derive(Debug)]
pub struct Judge {
    settings: Settings,
    hosts: Hosts,
    findings: Findings,
    hasher: FixedState,
    counters: Counters,
}

/// Who is judged in a connection.
#[derive(Clone, Copy)]
struct Judged {
    host: Addr,
    direction: Direction,
    role: Role,
}

impl Judged {
    fn outbound(&self) -> bool {
        self.direction != Direction::Inbound
    }
}

impl Judge {
    /// A judge that has heard nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            hosts: Hosts::new(settings.limits.hosts, settings.limits.host_timeout, settings.seed),
            findings: Findings::new(settings.limits.findings, settings.seed),
            hasher: FixedState::with_seed(settings.seed),
            counters: Counters::default(),
            settings,
        }
    }

    /// Hears a fact. `at` is its own time; keys rise from fact to fact.
    pub fn push(&mut self, at: Stamp, _key: Key, fact: Fact<'_>, sink: &mut impl EventSink) {
        self.findings.close(at, sink, &self.settings);
        match fact {
            Fact::Opened { flow, stack } => {
                self.happened(at, flow, None, Happening::Opened { flow, stack }, sink)
            }
            Fact::Attempt { flow, end, .. } => {
                let end = match end {
                    AttemptEnd::Completed => Reached::Yes,
                    AttemptEnd::Refused => Reached::Refused,
                    AttemptEnd::TimedOut => Reached::Silence,
                };
                self.happened(at, flow, None, Happening::Attempt { flow, end }, sink);
            }
            Fact::Greeted { flow, code } => {
                // Who answers so on port 25 runs a mail server. Of servers outside nobody asks.
                let ours = matches!(
                    self.direction(flow.client, flow.server),
                    Direction::Inbound | Direction::Internal | Direction::Unknown
                );
                if code == 220 && flow.server.port == 25 && ours {
                    self.hosts.get(flow.server.addr, at, &mut self.counters).host.note_greeting();
                }
                // Of a client that was not seen to connect nothing is begun.
                if self.hosts.peek(flow.client.addr).is_some() {
                    self.happened(at, flow, None, Happening::Greeted { flow, code }, sink);
                }
            }
            Fact::Held { session, idle } => {
                self.happened(
                    at,
                    &session.flow,
                    Some(session),
                    Happening::Held { session, idle },
                    sink,
                );
            }
            Fact::Dns { lookup, losses } => self.dns(at, lookup, losses, sink),
            Fact::Hit { session, hit } => self.hit(at, session, hit, sink),
            Fact::Message { session, message } => {
                let direction = self.direction(session.flow.client, session.flow.server);
                let (host_name, tenant) = self.settings.label(&session.flow, direction);
                sink.event(at, Event::Message { session, message, direction, host_name, tenant });
            }
            Fact::Session { session, held } => {
                let direction = self.direction(session.flow.client, session.flow.server);
                let (host_name, tenant) = self.settings.label(&session.flow, direction);
                sink.event(at, Event::Session { session, direction, host_name, tenant });
                self.happened(
                    at,
                    &session.flow,
                    Some(session),
                    Happening::Ended { session, held },
                    sink,
                );
            }
        }
    }

    fn dns(&mut self, at: Stamp, lookup: &Lookup, losses: u64, sink: &mut impl EventSink) {
        let (client, server) = (lookup.client, lookup.server);
        let resolves =
            lookup.response && lookup.recursion_available && matches!(lookup.rcode, 0 | 3);
        if resolves && let Some(host) = self.hosts.peek(server.addr) {
            host.note_resolver();
        }
        // Whom others ask is no client; and what goes to one's own stub is asked again outside.
        if self.direction(client, server) == Direction::Inbound || is_loopback(client.addr) {
            return;
        }
        let resolvers = &self.settings.resolvers;
        let known_resolver =
            (!resolvers.is_empty()).then(|| resolvers.iter().any(|net| net.contains(server.addr)));
        let flow = Flow { client, server, start: at, ..Flow::default() };
        let happening = Happening::Dns { lookup, losses, known_resolver };
        self.happened(at, &flow, None, happening, sink);
    }

    /// Time passed.
    pub fn idle(&mut self, at: Stamp, sink: &mut impl EventSink) {
        self.findings.close(at, sink, &self.settings);
    }

    /// The input ended: what is open is said as it stands.
    pub fn finish(&mut self, sink: &mut impl EventSink) {
        self.findings.finish(sink, &self.settings);
    }

    /// Everything counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn direction(&self, client: Endpoint, server: Endpoint) -> Direction {
        let watched = &self.settings.watched;
        let is = |addr| watched.iter().any(|net| net.contains(addr));
        match (watched.is_empty(), is(client.addr), is(server.addr)) {
            (true, ..) => Direction::Unknown,
            (_, true, true) => Direction::Internal,
            (_, true, false) => Direction::Outbound,
            (_, false, true) => Direction::Inbound,
            (_, false, false) => Direction::External,
        }
    }

    /// The client, unless neither end is watched.
    fn judged(&self, flow: &Flow) -> Option<Judged> {
        let direction = self.direction(flow.client, flow.server);
        let host = flow.client.addr;
        let role = self.settings.rule(host).map_or(Role::Unknown, |rule| rule.role);
        (direction != Direction::External).then_some(Judged { host, direction, role })
    }

    fn happened(
        &mut self,
        at: Stamp,
        flow: &Flow,
        session: Option<&Session>,
        happening: Happening<'_>,
        sink: &mut impl EventSink,
    ) {
        let Some(judged) = self.judged(flow) else { return };
        let known = self.hosts.get(judged.host, at, &mut self.counters);
        let outbound = judged.outbound();
        let (hasher, limits) = (&self.hasher, &self.settings.limits);
        let terms = Terms { role: judged.role, outbound, hasher, limits };
        known.host.note(at, &happening, &terms);
        // The ports and the route of a question are not those of a connection.
        let shown = (!matches!(happening, Happening::Dns { .. })).then_some(*flow);
        for (index, entry) in (0u16..).zip(ALL) {
            let Rule::Host(rule) = entry.rule else { continue };
            let Some(settings) = enabled(&self.settings.tuning, index, entry, judged) else {
                continue;
            };
            let cx = HostCx {
                now: at,
                host: known.host,
                role: judged.role,
                outbound,
                internal: judged.direction == Direction::Internal,
                settings,
            };
            if let Some(Match { level, evidence, .. }) = rule(&cx, &happening) {
                let seen = Seen {
                    at,
                    entry: index,
                    level,
                    evidence,
                    flow: shown,
                    not_observable: unseen(entry, judged, session),
                };
                self.findings.hit(
                    seen,
                    judged.host,
                    judged.direction,
                    &self.settings,
                    &mut self.counters,
                    sink,
                );
            }
        }
    }

    fn hit(&mut self, at: Stamp, session: &Session, hit: &Hit, sink: &mut impl EventSink) {
        let Some(judged) = self.judged(&session.flow) else { return };
        let Some(entry) = ALL.get(usize::from(hit.entry)) else { return };
        let Rule::Flow { admits, sessions, .. } = entry.rule else { return };
        let Some(settings) = enabled(&self.settings.tuning, hit.entry, entry, judged) else {
            return;
        };
        let public = &self.settings.public;
        let subject = Subject { session, outbound: judged.outbound(), role: judged.role, public };
        let Some(level) = admits(&subject, hit.level) else { return };
        let mut known = self.hosts.get(judged.host, at, &mut self.counters);
        if let Some(setting) = sessions
            && known.sessions_with(hit.entry, session.flow.first_frame) < settings.sessions(setting)
        {
            return;
        }
        let seen = Seen {
            at,
            entry: hit.entry,
            level,
            evidence: hit.evidence.clone(),
            flow: Some(session.flow),
            not_observable: unseen(entry, judged, Some(session)),
        };
        self.findings.hit(
            seen,
            judged.host,
            judged.direction,
            &self.settings,
            &mut self.counters,
            sink,
        );
    }
}

/// The settings of an entry that is on and is judged in this direction.
fn enabled<'a>(tuning: &'a Tuning, index: u16, entry: &Entry, judged: Judged) -> Option<&'a Tuned> {
    let wanted = if judged.outbound() { Directions::OUT } else { Directions::IN };
    tuning.of(index).filter(|t| t.enabled() && entry.directions.contains(wanted))
}

/// What could not be seen and would have helped.
fn unseen(entry: &Entry, judged: Judged, session: Option<&Session>) -> NotObservable {
    let mut unseen = entry.unseen;
    unseen.set(
        NotObservable::ROLE,
        unseen.contains(NotObservable::ROLE) && judged.role == Role::Unknown,
    );
    unseen.set(NotObservable::DIRECTION, judged.direction == Direction::Unknown);
    if let Some(session) = session {
        unseen.set(
            NotObservable::TLS,
            matches!(session.visible, Visible::UntilStarttls | Visible::ImplicitTls),
        );
        unseen.set(NotObservable::ONE_SIDED, session.capture.contains(CaptureState::ONE_SIDED));
        let holes = CaptureState::GAP
            | CaptureState::SNAPLEN
            | CaptureState::JOINED_LATE
            | CaptureState::LIMIT;
        unseen.set(NotObservable::CAPTURE, session.capture.intersects(holes));
    }
    unseen
}

impl Settings {
    fn rule(&self, addr: Addr) -> Option<&HostRule> {
        self.hosts.iter().find(|rule| rule.net.contains(addr))
    }

    /// The names that the inventory gives the watched host: of an inbound connection, the server.
    fn label(&self, flow: &Flow, direction: Direction) -> (Option<&str>, Option<&str>) {
        let addr = match direction {
            Direction::External => return (None, None),
            Direction::Inbound => flow.server.addr,
            _ => flow.client.addr,
        };
        self.names(addr)
    }

    /// The names that the inventory gives an address.
    fn names(&self, addr: Addr) -> (Option<&str>, Option<&str>) {
        let rule = self.rule(addr);
        (rule.and_then(|r| r.name.as_deref()), rule.and_then(|r| r.tenant.as_deref()))
    }

    fn is_acked(&self, entry: u16, host: Addr, at: Stamp) -> bool {
        self.acks.iter().any(|ack| ack.entry == entry && ack.net.contains(host) && at < ack.until)
    }

    fn severity(&self, entry: u16, level: u8) -> Severity {
        let levels = ALL.get(usize::from(entry)).map_or(&[][..], |e| e.levels);
        let own = levels.get(usize::from(level)).map_or(Severity::Info, |l| l.severity);
        self.tuning.of(entry).and_then(Tuned::severity).unwrap_or(own)
    }
}

#[cfg(test)]
mod tests;
