#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::*;
use crate::base::{DAY, HOUR, MINUTE, Nanos, SECOND, Text};
use crate::detect::{EvidenceValue, FlowEvent, flow_event};
use crate::smtp::{Capability, Close, HeloVerb, Starttls};
use crate::tracker::OwnedFact;

mod bounds;
mod findings;
mod honest;
mod sides;

/// A whole number of days after the epoch.
const START: Stamp = Stamp::from_parts(20_000 * 86_400, 0);

/// Every event as a line of text, so that two runs can be compared.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    findings: Vec<(Stamp, Finding)>,
    names: Vec<(Option<String>, Option<String>)>,
}

impl EventSink for Told {
    fn event(&mut self, at: Stamp, event: Event<'_>) {
        let since = at.since(START) / SECOND;
        match event {
            Event::Finding { finding, host_name, tenant } => {
                self.lines.push(format!("{since} {finding:?} {host_name:?} {tenant:?}"));
                self.findings.push((at, finding.clone()));
                self.names.push((host_name.map(Into::into), tenant.map(Into::into)));
            }
            Event::Session { session, direction, host_name, tenant } => {
                let flow = session.flow;
                self.lines.push(format!("{since} {flow:?} {direction:?} {host_name:?} {tenant:?}"));
                self.names.push((host_name.map(Into::into), tenant.map(Into::into)));
            }
            Event::Message { session, direction, .. } => {
                self.lines.push(format!("{since} message {:?} {direction:?}", session.flow));
            }
        }
    }
}

impl Told {
    /// Id, status and second of each finding, in their order.
    fn story(&self) -> Vec<(&'static str, Status, u64)> {
        let one = |(at, f): &(Stamp, Finding)| (id(f), f.status, at.since(START) / SECOND);
        self.findings.iter().map(one).collect()
    }
}

fn id(finding: &Finding) -> &'static str {
    ALL[usize::from(finding.entry)].id
}

fn addr(text: &str) -> Addr {
    Addr::from(text.parse::<IpAddr>().unwrap())
}

fn net(text: &str, bits: u8) -> Net {
    Net::new(addr(text), if text.contains(':') { bits } else { 96 + bits })
}

/// The n-th mail server of the world.
fn server(n: u64) -> Addr {
    let [.., a, b, c] = n.to_be_bytes();
    Addr::v4([60, a, b, c])
}

const KEY: Key = Key { frame: 0, deadline: Stamp::MAX, flow: 0, ordinal: 0 };

fn session(client: Addr, server: Addr, helo: &str) -> Session {
    let flow = Flow {
        client: Endpoint { addr: client, port: 41_322 },
        server: Endpoint { addr: server, port: 25 },
        start: START,
        first_frame: 1,
        ..Flow::default()
    };
    let mut session = Session {
        flow,
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
    session.helo.set(helo.as_bytes(), 255);
    session
}

/// The hits that a tracker would make of the HELO.
fn hits(session: &Session) -> Vec<Hit> {
    let mut hits = Vec::new();
    if session.helo.is_empty() {
        return hits;
    }
    flow_event(FlowEvent::Helo, session, &Tuning::default(), &mut hits);
    hits
}

/// A judge and what it told.
struct Court {
    judge: Judge,
    told: Told,
    /// Sessions so far.
    number: u64,
}

impl Court {
    fn new(settings: Settings) -> Self {
        Self { judge: Judge::new(settings), told: Told::default(), number: 0 }
    }

    fn push(&mut self, at: Nanos, fact: Fact<'_>) {
        self.judge.push(START.plus(at), KEY, fact, &mut self.told);
    }

    /// A whole session with this HELO.
    fn says(&mut self, at: Nanos, client: &str, server: &str, helo: &str) {
        let session = session(addr(client), addr(server), helo);
        self.talks(at, session);
    }

    fn talks(&mut self, at: Nanos, mut session: Session) {
        self.number += 1;
        session.flow.first_frame = self.number;
        for hit in &hits(&session) {
            self.push(at, Fact::Hit { session: &session, hit });
        }
        self.push(at, Fact::Session { session: &session, held: false });
    }

    fn idle(&mut self, at: Nanos) {
        self.judge.idle(START.plus(at), &mut self.told);
    }

    fn finish(&mut self) {
        self.judge.finish(&mut self.told);
    }

    fn story(&self) -> Vec<(&'static str, Status, u64)> {
        self.told.story()
    }
}

struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// Facts of a few hosts that do a little of everything, with the gaps between them.
fn traffic(seed: u64, count: u64) -> Vec<(Nanos, OwnedFact)> {
    let mut random = Random::new(seed);
    let mut at = 0;
    let mut facts = Vec::new();
    for number in 0..count {
        at += match random.below(40) {
            0 => random.below(3 * HOUR),
            1..8 => random.below(10 * MINUTE),
            _ => random.below(20 * SECOND),
        };
        let client = Addr::v4([45, 0, 2, random.below(4) as u8]);
        let helo =
            ["localhost", "desk", "mail.example.org", "10.0.0.1", "[45.9.9.9]", "a.example.net"];
        let helo = helo[random.below(6) as usize];
        let mut session = session(client, server(random.below(60)), helo);
        session.flow.first_frame = number;
        if random.percent(50) {
            session.quit = false;
            session.close = Some(Close::ClientFin);
        }
        if random.percent(30) {
            (session.client_bytes, session.commands) = (0, 0);
        }
        if random.percent(50) {
            session.capabilities = Capability::STARTTLS;
        }
        let flow = &session.flow;
        let fact = match random.below(6) {
            0 => Fact::Opened { flow, stack: random.below(5) as u32 },
            1 => Fact::Attempt { flow, end: AttemptEnd::Refused, syns: 1 },
            2 => Fact::Held { session: &session, idle: 60 * SECOND },
            3 => {
                facts.extend(
                    hits(&session)
                        .iter()
                        .map(|hit| (at, OwnedFact::from(Fact::Hit { session: &session, hit }))),
                );
                continue;
            }
            _ => Fact::Session { session: &session, held: random.percent(20) },
        };
        facts.push((at, OwnedFact::from(fact)));
    }
    facts
}

/// Settings in which every threshold is low.
fn strict() -> Settings {
    let mut settings = Settings::default();
    for entry in ALL {
        for setting in entry.settings {
            if let crate::detect::Value::Count(n) = setting.default {
                let few = crate::detect::Given::Count(n.div_ceil(5));
                settings.tuning.set(entry.id, setting.key, few).unwrap();
            }
        }
    }
    settings
}

/// "Time passed", said anywhere, changes nothing of what is told, nor its order.
#[test]
fn idle_changes_nothing() {
    let mut told = 0;
    for seed in 0..30 {
        let facts = traffic(seed, 600);
        let run = |idles: u64| {
            let mut random = Random::new(seed + 1000);
            let mut court = Court::new(strict());
            let mut last = 0;
            for (at, fact) in &facts {
                for _ in 0..random.below(idles + 1) {
                    last += random.below(at - last + 1);
                    court.idle(last);
                }
                court.push(*at, fact.as_fact());
                last = *at;
            }
            court.finish();
            court.told
        };
        let plain = run(0);
        assert_eq!(plain.lines, run(3).lines, "seed {seed}");
        let closed = |status| plain.findings.iter().filter(|(_, f)| f.status == status).count();
        assert!(closed(Status::Closed) > 3 && closed(Status::Update) > 0, "seed {seed}");
        told += plain.findings.len();
    }
    assert!(told > 1000, "{told} findings are too few to say anything");
}

/// What is told does not depend on the key of the hash tables.
#[test]
fn the_seed_of_the_tables_changes_nothing() {
    for seed in 0..10 {
        let facts = traffic(seed, 600);
        let run = |key| {
            let mut court = Court::new(Settings { seed: key, ..strict() });
            facts.iter().for_each(|(at, fact)| court.push(*at, fact.as_fact()));
            court.finish();
            court.told.lines
        };
        assert_eq!(run(1), run(99), "seed {seed}");
    }
}

/// Whatever the facts: a finding is opened once, told again only when it is open, closed at its last hit and window, and
/// told nothing of afterwards.
#[test]
fn every_finding_lives_one_life() {
    for seed in 0..20 {
        let mut court = Court::new(strict());
        for (at, fact) in traffic(seed, 600) {
            court.push(at, fact.as_fact());
        }
        court.finish();
        let mut open: Vec<(u16, Addr, u64, Stamp, Stamp)> = Vec::new();
        let mut last = Stamp::ZERO;
        for (at, finding) in &court.told.findings {
            let key =
                |o: &(u16, Addr, u64, Stamp, Stamp)| (o.0, o.1) == (finding.entry, finding.host);
            let place = open.iter().position(key);
            let ended = finding.status == Status::OpenAtEnd;
            assert!(ended || last <= *at, "seed {seed}: stamps go back");
            last = last.max(*at);
            match (finding.status, place) {
                (Status::Open, None) => {
                    assert_eq!((finding.count, finding.first_seen), (1, *at), "seed {seed}");
                    open.push((finding.entry, finding.host, 1, *at, *at));
                }
                (Status::Update, Some(place)) => {
                    assert!(finding.count > open[place].2, "seed {seed}");
                    (open[place].2, open[place].4) = (finding.count, *at);
                }
                (Status::Closed, Some(place)) => {
                    let gone = open.remove(place);
                    assert_eq!(*at, finding.last_seen.plus(HOUR), "seed {seed}");
                    assert!(finding.last_seen >= gone.4 && finding.first_seen == gone.3);
                }
                (Status::OpenAtEnd, Some(place)) => {
                    open.remove(place);
                    assert_eq!(*at, finding.last_seen, "seed {seed}");
                }
                (status, place) => panic!("seed {seed}: {status:?} of {place:?}"),
            }
        }
        assert!(open.is_empty(), "seed {seed}: {open:?} is never told of again");
    }
}
