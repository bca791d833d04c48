//! The rules about the traffic of hosts: how fast, to whom, with what success, and what DNS said before.

use super::*;
use crate::dns::{Lookup, kind};

const NONE: [Found; 0] = [];

/// What is different about a session.
type Change = fn(&mut Session);

/// Of what a rule found: its level.
fn only(id: &str, found: &[Found]) -> Option<&'static str> {
    found.iter().find(|(known, _)| *known == id).map(|(_, level)| *level)
}

fn private(n: usize) -> Flow {
    let mut flow = flow(n, 25);
    flow.server.addr = Addr::v4([10, 0, (n >> 8) as u8, n as u8]);
    flow
}

impl Bench {
    fn opened_to(&mut self, at: Nanos, flow: &Flow) -> Vec<Found> {
        self.happen(at, Happening::Opened { flow, stack: 1 })
    }

    fn ask(&mut self, at: Nanos, lookup: &Lookup, known_resolver: Option<bool>) -> Vec<Found> {
        self.happen(at, Happening::Dns { lookup, losses: self.losses, known_resolver })
    }
}

// --- fanout.conn_rate -----------------------------------------------------------------------------------------------

#[test]
fn fast_connections() {
    for (syns, servers, over, expected) in [
        (9, 9, 0, None),
        (10, 3, 0, Some("many")),
        (10, 2, 0, None), // one application and its relays
        (200, 2, 0, None),
        (59, 5, 0, Some("many")),
        (60, 5, 0, Some("flood")),
        (10, 10, MINUTE, None), // the last one a minute later
    ] {
        let mut bench = Bench::new();
        let last = (0..syns)
            .map(|n| bench.opened(if n + 1 == syns { over } else { 0 }, n % servers))
            .last()
            .unwrap();
        assert_eq!(only("fanout.conn_rate", &last), expected, "{syns} to {servers} {over}");
    }
    for role in [Role::Scanner, Role::Mta] {
        let mut bench = Bench::of(role);
        (0..100).for_each(|n| assert_eq!(only("fanout.conn_rate", &bench.opened(0, n % 9)), None));
    }
    // Joined in the middle: no SYN was seen.
    let mut bench = Bench::new();
    for n in 0..15 {
        assert_eq!(bench.happen(0, Happening::Opened { flow: &flow(n, 25), stack: 0 }), NONE);
    }
}

/// A mail host that opened so many connections in each of its hours; what the last one in the hour after leads to.
fn rate_after(hours: &[usize], connects: usize) -> Option<&'static str> {
    let mut bench = Bench::of(Role::Mta);
    for (hour, &count) in hours.iter().enumerate() {
        for n in 0..count {
            let found = bench.opened(hour as u64 * HOUR, n % 40);
            assert_eq!(only("fanout.conn_rate", &found), None, "{hour}");
        }
    }
    let now = hours.len() as u64 * HOUR;
    (0..connects).map(|n| only("fanout.conn_rate", &bench.opened(now, n % 40))).last().unwrap()
}

#[test]
fn a_mail_host_faster_than_in_any_hour() {
    let even = [100; 7 * 24];
    // An office: nothing at night, 300 in the hours of work.
    let office: Vec<usize> = (0..14 * 24).map(|h| if h % 24 < 10 { 300 } else { 0 }).collect();
    for (hours, connects, expected) in [
        (&even[..], 299, None),
        (&even, 420, Some("mail_host")),
        (&even[1..], 900, None),    // an hour short of a week
        (&[20; 7 * 24], 199, None), // ten times, but few
        (&[20; 7 * 24], 200, Some("mail_host")),
        (&office, 899, None),
    ] {
        assert_eq!(rate_after(hours, connects), expected, "{connects} after {}", hours.len());
    }
}

// --- fanout.first_contact_ratio -------------------------------------------------------------------------------------

const RATIO: &str = "fanout.first_contact_ratio";

/// A host that contacts one of `circle` servers in each of `hours`, then `old` of them and `new` others within an hour.
fn strangers(
    role: Role,
    circle: usize,
    hours: usize,
    old: usize,
    new: usize,
) -> Option<&'static str> {
    let mut bench = Bench::of(role);
    for hour in 0..hours {
        for n in 0..circle.div_ceil(20) {
            let n = (hour * circle.div_ceil(20) + n) % circle;
            assert_eq!(only(RATIO, &bench.opened(hour as u64 * HOUR, n)), None);
        }
    }
    let now = hours as u64 * HOUR;
    let contacts = (0..old).chain(10_000..10_000 + new);
    contacts.map(|n| only(RATIO, &bench.opened(now, n))).last().unwrap()
}

#[test]
fn nearly_all_are_new() {
    let week = 7 * 24;
    for (role, circle, hours, old, new, expected) in [
        (Role::Unknown, 20, week, 10, 40, Some("new")),
        (Role::Unknown, 20, week, 11, 40, None), // 78 per cent
        (Role::Unknown, 20, week, 9, 40, None),  // 49 servers
        (Role::Unknown, 20, week - 1, 10, 40, None), // an hour short of a week
        (Role::Unknown, 20, 0, 0, 120, None),    // just started
        (Role::Mta, 220, week, 10, 40, Some("new")),
        (Role::Mta, 150, week, 10, 40, None), // a mail host without a habit yet
        (Role::Bulk, 220, week, 10, 60, None),
        (Role::Scanner, 20, week, 10, 60, None),
    ] {
        let found = strangers(role, circle, hours, old, new);
        assert_eq!(found, expected, "{role:?} {circle} {hours} {old} {new}");
    }
}

// --- fanout.egress_blocked ------------------------------------------------------------------------------------------

const BLOCKED: &str = "fanout.egress_blocked";

#[test]
fn nobody_is_reached() {
    use Reached::{Refused, Silence};
    for (role, silent, refused, servers, expected) in [
        (Role::Unknown, 15, 0, 10, Some("dropped")),
        (Role::Unknown, 14, 0, 10, None),
        (Role::Unknown, 30, 0, 9, None),
        (Role::Unknown, 0, 15, 10, Some("refused")),
        (Role::Unknown, 8, 7, 15, Some("dropped")),
        (Role::App, 15, 0, 10, Some("dropped")),
        (Role::Mta, 15, 0, 10, Some("mail_host")),
        (Role::Scanner, 50, 0, 50, None),
    ] {
        let mut bench = Bench::of(role);
        let ends =
            core::iter::repeat_n(Refused, refused).chain(core::iter::repeat_n(Silence, silent));
        let last = ends
            .enumerate()
            .map(|(n, end)| only(BLOCKED, &bench.attempt(0, n % servers, end)))
            .last()
            .unwrap();
        assert_eq!(last, expected, "{role:?} {silent} {refused} {servers}");
    }
}

#[test]
fn one_that_is_reached_opens_the_way() {
    let mut bench = Bench::new();
    assert_eq!(bench.attempt(0, 0, Reached::Yes), NONE);
    (0..60).for_each(|n| {
        assert_eq!(only(BLOCKED, &bench.attempt(MINUTE, 1 + n, Reached::Silence)), None);
    });
    // A relay inside says nothing about the way out, and attempts at it are none to get out.
    let mut bench = Bench::new();
    for n in 0..40 {
        let (relay, end) = (private(n), Reached::Silence);
        assert_eq!(only(BLOCKED, &bench.happen(0, Happening::Attempt { flow: &relay, end })), None);
    }
    let relay = private(1);
    bench.happen(0, Happening::Attempt { flow: &relay, end: Reached::Yes });
    let last = (0..15).map(|n| bench.attempt(0, n, Reached::Silence)).last().unwrap();
    assert_eq!(only(BLOCKED, &last), Some("dropped"));
}

// --- fanout.port25_sweep --------------------------------------------------------------------------------------------

const SWEEP: &str = "fanout.port25_sweep";

/// Leaves without a byte a server that greeted.
fn silent(n: usize) -> Session {
    let mut session = honest(n);
    (session.client_bytes, session.commands, session.transactions, session.messages) = (0, 0, 0, 0);
    (session.quit, session.close) = (false, Some(Close::ClientFin));
    session.helo = Text::new();
    session
}

#[test]
fn a_sweep_says_nothing() {
    for (role, spoken, unspoken, expected) in [
        (Role::Unknown, 10, 40, Some("silent")),
        (Role::Unknown, 11, 40, None), // 78 per cent
        (Role::Unknown, 9, 40, None),  // 49 servers
        (Role::Mta, 0, 50, Some("silent")),
        (Role::Scanner, 0, 90, None),
    ] {
        let mut bench = Bench::of(role);
        bench.attempt(0, 5000, Reached::Yes);
        (0..spoken).for_each(|n| assert_eq!(only(SWEEP, &bench.ended(0, &honest(7 * n))), None));
        let last = (0..unspoken)
            .map(|n| only(SWEEP, &bench.ended(0, &silent(1000 + 50 * n))))
            .last()
            .unwrap();
        assert_eq!(last, expected, "{role:?} {spoken} {unspoken}");
    }
    // Who is refused has no reason to speak, and of whom half was seen it is not known.
    for change in [
        (|s: &mut Session| s.greeting_code = Some(554)) as Change,
        |s| s.capture = CaptureState::ONE_SIDED,
        |s| s.close = Some(Close::ServerFin),
    ] {
        let mut bench = Bench::new();
        bench.attempt(0, 5000, Reached::Yes);
        for n in 0..80 {
            let mut session = silent(50 * n);
            change(&mut session);
            assert_eq!(only(SWEEP, &bench.ended(0, &session)), None);
        }
    }
}

#[test]
fn a_sweep_goes_in_order() {
    for (role, step, servers, expected) in [
        (Role::Unknown, 1, 50, Some("in_order")),
        (Role::Unknown, 1, 49, None),
        (Role::Unknown, 8, 50, Some("in_order")),
        (Role::Unknown, 9, 50, None),
        (Role::Mta, 1, 90, None),
        (Role::Scanner, 1, 90, None),
    ] {
        let mut bench = Bench::of(role);
        let last =
            (0..servers).map(|n| only(SWEEP, &bench.opened(0, 1 + n * step))).last().unwrap();
        assert_eq!(last, expected, "{role:?} {step} {servers}");
    }
    // Downwards, and now and then somewhere else.
    let mut bench = Bench::new();
    let last = (0..100)
        .map(|n| if n % 12 == 0 { 9000 + n } else { 500 - n })
        .map(|n| only(SWEEP, &bench.opened(0, n)))
        .last()
        .unwrap();
    assert_eq!(last, Some("in_order"));
}

// --- fanout.mx_query_nonmailer --------------------------------------------------------------------------------------

const MX: &str = "fanout.mx_query_nonmailer";

fn lookup(id: u16, response: bool, kind: u16, name: &str) -> Lookup {
    let mut lookup = Lookup {
        client: Endpoint { addr: addr("45.0.2.10"), port: 5000 },
        server: Endpoint { addr: addr("9.9.9.9"), port: 53 },
        id,
        response,
        kind,
        recursion_desired: true,
        ..Lookup::default()
    };
    lookup.name.set(name.as_bytes(), 255);
    lookup
}

fn exchanges(id: u16, name: &str, names: &[&str]) -> Lookup {
    let mut lookup = lookup(id, true, kind::MX, name);
    names.iter().for_each(|name| lookup.exchanges.push(name.as_bytes(), 255, 9));
    lookup
}

fn address(id: u16, name: &str, n: usize) -> Lookup {
    Lookup { addrs: vec![server(n)], ..lookup(id, true, kind::A, name) }
}

impl Bench {
    /// A host of which DNS need not have been seen for some time.
    fn at_once(mut self) -> Self {
        self.tuning.set(MX, "observed", Given::Span(0)).unwrap();
        self
    }
}

/// The answers to MX and A, the second so much later, then a connection so much later.
fn follow(bench: &mut Bench, second: Nanos, third: Nanos, to: usize) -> Option<&'static str> {
    assert_eq!(bench.ask(0, &exchanges(1, "a.example", &["mx.a.example"]), None), NONE);
    assert_eq!(bench.ask(second, &address(2, "mx.a.example", 7), None), NONE);
    only(MX, &bench.opened(second + third, to))
}

#[test]
fn asked_and_followed() {
    for (second, third, to, expected) in [
        (SECOND, SECOND, 7, Some("connects")),
        (60 * SECOND, 60 * SECOND, 7, Some("connects")),
        (61 * SECOND, SECOND, 7, None),
        (SECOND, 61 * SECOND, 7, None),
        (SECOND, SECOND, 8, None),
    ] {
        assert_eq!(
            follow(&mut Bench::new().at_once(), second, third, to),
            expected,
            "{second} {third} {to}"
        );
    }
    for role in [Role::Mta, Role::Gateway, Role::Monitor, Role::Scanner] {
        assert_eq!(follow(&mut Bench::of(role).at_once(), SECOND, SECOND, 7), None, "{role:?}");
    }
    assert_eq!(follow(&mut Bench::of(Role::App), SECOND, SECOND, 7), Some("connects"));
    let mut greeted = Bench::new().at_once();
    greeted.host.note_greeting();
    assert_eq!(follow(&mut greeted, SECOND, SECOND, 7), None);
    let mut resolver = Bench::new().at_once();
    resolver.host.note_resolver();
    assert_eq!(follow(&mut resolver, SECOND, SECOND, 7), None);
    // What was asked for reading, not for sending.
    let mut bench = Bench::new().at_once();
    bench.ask(0, &address(2, "www.a.example", 7), None);
    assert_eq!(only(MX, &bench.opened(SECOND, 7)), None);
}

#[test]
fn addresses_beside_the_exchangers_and_a_domain_without() {
    let mut bench = Bench::new().at_once();
    let beside = Lookup { addrs: vec![server(7)], ..exchanges(1, "a.example", &["mx.a.example"]) };
    bench.ask(0, &beside, None);
    assert_eq!(only(MX, &bench.opened(SECOND, 7)), Some("connects"));
    // The domain itself takes mail where there is no MX record; where there is no such name it does not.
    for (rcode, expected) in [(0, Some("connects")), (3, None)] {
        let mut bench = Bench::new().at_once();
        bench.ask(0, &Lookup { rcode, ..exchanges(1, "a.example", &[]) }, None);
        bench.ask(0, &address(2, "a.example", 7), None);
        assert_eq!(only(MX, &bench.opened(SECOND, 7)), expected, "{rcode}");
    }
    // Without recursion: a resolver at work.
    let mut bench = Bench::new().at_once();
    let iterative = Lookup {
        recursion_desired: false,
        addrs: vec![server(7)],
        ..exchanges(1, "a.example", &["mx.a.example"])
    };
    bench.ask(0, &iterative, None);
    assert_eq!(only(MX, &bench.opened(SECOND, 7)), None);
}

/// A mail server has time to be seen greeting.
#[test]
fn a_stranger_is_observed_before_it_is_judged() {
    for (role, seen, expected) in [
        (Role::Unknown, 10 * MINUTE - 1, None),
        (Role::Unknown, 10 * MINUTE, Some("connects")),
        (Role::App, 0, Some("connects")),
    ] {
        let mut bench = Bench::of(role);
        bench.ask(0, &address(9, "www.example", 900), None);
        let beside =
            Lookup { addrs: vec![server(7)], ..exchanges(1, "a.example", &["mx.a.example"]) };
        bench.ask(seen, &beside, None);
        assert_eq!(only(MX, &bench.opened(seen, 7)), expected, "{role:?} {seen}");
    }
}

#[test]
fn several_domains_are_asked_for() {
    let ask = |role: Role, names: usize, copies: usize, last: Nanos| {
        let mut bench = Bench::of(role);
        let mut found = None;
        for n in 0..names {
            for copy in 0..copies {
                let at = if n + 1 == names { last } else { 0 };
                let name = format!("d{n}.example");
                let id = (n * copies + copy) as u16;
                found = only(MX, &bench.ask(at, &exchanges(id, &name, &["mx.example"]), None));
            }
        }
        found
    };
    assert_eq!(ask(Role::Unknown, 3, 1, 0), Some("asks"));
    assert_eq!(ask(Role::Unknown, 2, 5, 0), None);
    assert_eq!(ask(Role::Unknown, 3, 1, 10 * MINUTE), None);
    for role in [Role::App, Role::Mta, Role::Monitor] {
        assert_eq!(ask(role, 9, 1, 0), None, "{role:?}");
    }
    // Questions alone say nothing: they may be another's that passes by.
    let mut bench = Bench::new();
    for n in 0..9 {
        let name = format!("d{n}.example");
        assert_eq!(bench.ask(0, &lookup(n, false, kind::MX, &name), None), NONE);
    }
}

// --- fanout.no_dns_before_connect -----------------------------------------------------------------------------------

const UNNAMED: &str = "fanout.no_dns_before_connect";

/// A host with so many answers an hour for so many hours, each with an address; then it contacts `named` of those and
/// `unnamed` others.
fn without_dns(
    bench: &mut Bench,
    answers: u64,
    hours: u64,
    named: usize,
    unnamed: usize,
) -> Option<&'static str> {
    let mut id = 0;
    for hour in 0..=hours {
        for n in 0..answers {
            id += 1;
            let name = format!("www{n}.example");
            bench.ask(hour * HOUR + n * SECOND, &address(id, &name, n as usize), None);
        }
    }
    let now = hours * HOUR + answers * SECOND;
    let contacts = (0..named).chain((0..unnamed).map(|n| 5000 + 20 * n));
    contacts.map(|n| only(UNNAMED, &bench.opened(now, n))).last().unwrap()
}

#[test]
fn nobody_named_them() {
    for (role, answers, hours, named, unnamed, expected) in [
        (Role::Unknown, 50, 2, 0, 10, Some("unnamed")),
        (Role::Unknown, 50, 2, 40, 9, None),
        (Role::Unknown, 49, 2, 0, 40, None), // its DNS is not seen, or not all
        (Role::Unknown, 50, 1, 0, 40, None), // what it knows may be older than we are
        (Role::Mta, 50, 23, 0, 40, None),
        (Role::Mta, 50, 24, 0, 10, Some("unnamed")),
        (Role::Gateway, 50, 24, 0, 40, None),
        (Role::Scanner, 50, 24, 0, 40, None),
    ] {
        let mut bench = Bench::of(role);
        let found = without_dns(&mut bench, answers, hours, named, unnamed);
        assert_eq!(found, expected, "{role:?} {answers} {hours} {named} {unnamed}");
    }
    // DNS that is not seen at all says nothing (DNS over HTTPS, another address).
    let mut bench = Bench::new();
    (0..60).for_each(|n| assert_eq!(only(UNNAMED, &bench.opened(0, 20 * n)), None));
}

#[test]
fn what_was_not_seen_is_not_held_against_it() {
    // An answer was cut, or packets were lost, within the hour.
    for lost in [false, true] {
        let mut bench = Bench::new();
        assert_eq!(without_dns(&mut bench, 50, 2, 0, 9), None);
        let cut = Lookup { partial: !lost, ..address(9999, "big.example", 1) };
        bench.losses = u64::from(lost);
        bench.ask(2 * HOUR + MINUTE, &cut, None);
        assert_eq!(only(UNNAMED, &bench.opened(2 * HOUR + MINUTE, 9000)), None, "{lost}");
        bench.losses = 0;
    }
    // A relay inside, and one that is named in /etc/hosts, are not ten public servers.
    let mut bench = Bench::new();
    without_dns(&mut bench, 50, 2, 0, 1);
    for n in 0..40 {
        assert_eq!(only(UNNAMED, &bench.opened_to(2 * HOUR + MINUTE, &private(n))), None);
    }
}

// --- fanout.resolver_bypass -----------------------------------------------------------------------------------------

#[test]
fn another_resolver_is_asked() {
    let ask = |questions: u16, known: Option<bool>, change: fn(&mut Lookup)| {
        let mut bench = Bench::of(Role::Mta);
        let mut found = None;
        for id in 0..questions {
            let mut question = lookup(id, false, kind::MX, "a.example");
            change(&mut question);
            found = only("fanout.resolver_bypass", &bench.ask(0, &question, known));
        }
        found
    };
    assert_eq!(ask(5, Some(false), |_| {}), Some("foreign"));
    assert_eq!(ask(4, Some(false), |_| {}), None);
    assert_eq!(ask(40, Some(true), |_| {}), None);
    assert_eq!(ask(40, None, |_| {}), None);
    assert_eq!(ask(40, Some(false), |l| l.recursion_desired = false), None);
    assert_eq!(ask(40, Some(false), |l| l.kind = kind::A), None);
    assert_eq!(ask(40, Some(false), |l| l.response = true), None);
    // The same question again is the same question.
    assert_eq!(ask(40, Some(false), |l| l.id = 1), None);
}

// --- reply.banner_refusal -------------------------------------------------------------------------------------------

const REFUSAL: &str = "reply.banner_refusal";

fn refused(n: usize, code: u16, name: &str) -> Session {
    let mut session = silent(n);
    session.greeting_code = Some(code);
    session.banner.set(name.as_bytes(), 255);
    session
}

#[test]
fn receivers_refuse() {
    // Servers lie 300 apart: each in a network of its own.
    for (code, orgs, greeted, expected) in [
        (554, 3, 27, Some("refused")),
        (554, 3, 28, None), // of 31 sessions not a tenth
        (521, 3, 0, Some("refused")),
        (421, 3, 0, Some("put_off")),
        (450, 3, 0, Some("put_off")),
        (554, 2, 0, None),
        (451, 9, 0, None),
    ] {
        let mut bench = Bench::of(Role::Mta);
        (0..greeted).for_each(|n| drop(bench.ended(0, &honest(300 * n))));
        let last = (0..orgs)
            .map(|n| refused(300 * (100 + n), code, &format!("mx.org{n}.example")))
            .map(|session| only(REFUSAL, &bench.ended(0, &session)))
            .last()
            .unwrap();
        assert_eq!(last, expected, "{code} {orgs} {greeted}");
    }
}

#[test]
fn one_organisation_is_one() {
    let mut bench = Bench::new();
    for n in 0..9 {
        let session = refused(300 * n, 554, &format!("mx{n}.big.example"));
        assert_eq!(only(REFUSAL, &bench.ended(0, &session)), None);
    }
    // Those that do not say who they are: by their networks.
    let mut bench = Bench::new();
    for n in 0..9 {
        assert_eq!(only(REFUSAL, &bench.ended(0, &refused(n, 554, "no"))), None);
    }
    assert_eq!(only(REFUSAL, &bench.ended(0, &refused(300, 554, "5.7.1"))), None);
    assert_eq!(only(REFUSAL, &bench.ended(0, &refused(600, 554, ""))), Some("refused"));
}

// --- session.rst_close ----------------------------------------------------------------------------------------------

const RST: &str = "session.rst_close";

fn aborted(n: usize) -> Session {
    let close = Some(Close::ClientRst);
    Session { quit: false, close, reset_in_turn: true, ..honest(n) }
}

#[test]
fn aborts() {
    for (outbound, good, bad, servers, expected) in [
        (true, 10, 10, 5, Some("many")),
        (true, 9, 10, 5, None), // 19
        (true, 11, 10, 5, None),
        (true, 0, 40, 4, None),
        (false, 0, 20, 1, Some("many")),
    ] {
        let mut bench = Bench::new();
        bench.outbound = outbound;
        (0..good).for_each(|n| drop(bench.ended(0, &honest(n))));
        let last =
            (0..bad).map(|n| only(RST, &bench.ended(0, &aborted(n % servers)))).last().unwrap();
        assert_eq!(last, expected, "{outbound} {good} {bad} {servers}");
    }
    let innocent: [(&str, Change); 7] = [
        ("it had answered", |s| s.reset_in_turn = false),
        ("after FIN", |s| s.close = Some(Close::ClientFin)),
        ("after QUIT", |s| s.close = Some(Close::Quit)),
        ("421", |s| s.said_421 = true),
        ("refused", |s| s.greeting_code = Some(554)),
        ("headers only", |s| s.visible = Visible::Headers),
        ("a gap", |s| s.capture = CaptureState::GAP),
    ];
    for (why, change) in innocent {
        let mut bench = Bench::new();
        for n in 0..60 {
            let mut session = aborted(n);
            change(&mut session);
            assert_eq!(only(RST, &bench.ended(0, &session)), None, "{why}");
        }
    }
    // What waits for minutes is cut by a NAT, not by the client.
    let mut bench = Bench::new();
    for n in 0..60 {
        let session = aborted(n);
        let found = bench.happen(0, Happening::Ended { session: &session, held: true });
        assert_eq!(only(RST, &found), None);
    }
}

// --- session.helo_quit_loop -----------------------------------------------------------------------------------------

const LOOP: &str = "session.helo_quit_loop";

fn idle(n: usize) -> Session {
    Session { transactions: 0, messages: 0, ..honest(n) }
}

#[test]
fn hello_and_goodbye() {
    let last = |outbound, sessions: u64, servers: usize, gap: Nanos| {
        let mut bench = Bench::new();
        bench.outbound = outbound;
        (0..sessions)
            .map(|n| only(LOOP, &bench.ended(n * gap, &idle(n as usize % servers))))
            .last()
            .unwrap()
    };
    assert_eq!(last(true, 20, 1, SECOND), Some("outbound"));
    assert_eq!(last(false, 20, 1, SECOND), Some("inbound"));
    assert_eq!(last(true, 19, 1, SECOND), None);
    assert_eq!(last(true, 38, 2, SECOND), None);
    assert_eq!(last(true, 500, 1, MINUTE), None, "a monitor that looks once a minute");
    for role in [Role::Monitor, Role::Scanner] {
        let mut bench = Bench::of(role);
        (0..90).for_each(|n| assert_eq!(only(LOOP, &bench.ended(n, &idle(0))), None));
    }
    let innocent: [(&str, Change); 6] = [
        ("mail", |s| s.transactions = 1),
        ("AUTH", |s| s.auth.attempts = 1),
        ("STARTTLS", |s| s.starttls = Starttls::Refused),
        ("the server said no", |s| s.errors_5xx = 1),
        ("the server closed", |s| s.close = Some(Close::ServerFin)),
        ("a balancer", |s| s.flow = private(1)),
    ];
    for (why, change) in innocent {
        let mut bench = Bench::new();
        for n in 0..90 {
            let mut session = idle(0);
            change(&mut session);
            assert_eq!(only(LOOP, &bench.ended(n, &session)), None, "{why}");
        }
    }
}

// --- session.concurrency --------------------------------------------------------------------------------------------

const CONCURRENCY: &str = "session.concurrency";

#[test]
fn many_at_a_time() {
    let greet = |bench: &mut Bench, n| {
        let flow = flow(n, 25);
        only(CONCURRENCY, &bench.happen(0, Happening::Greeted { flow: &flow, code: 220 }))
    };
    for (role, outbound, sessions, expected) in [
        (Role::Unknown, true, 19, None),
        (Role::Unknown, true, 20, Some("many")),
        (Role::Unknown, true, 100, Some("most")),
        (Role::Mta, true, 149, None),
        (Role::Mta, true, 150, Some("most")),
        (Role::Unknown, false, 149, None),
        (Role::Unknown, false, 150, Some("most")),
        (Role::Bulk, true, 900, None),
        (Role::Gateway, true, 900, None),
        (Role::Monitor, true, 900, None),
    ] {
        let mut bench = Bench::of(role);
        bench.outbound = outbound;
        let last = (0..sessions).map(|_| greet(&mut bench, 1)).last().unwrap();
        assert_eq!(last, expected, "{role:?} {outbound} {sessions}");
    }
    // One after the other, or spread over servers, they are not many.
    let mut bench = Bench::new();
    for n in 0..200 {
        assert_eq!(greet(&mut bench, 1), None);
        drop(bench.ended(0, &honest(1)));
        assert_eq!(greet(&mut bench, 100 + n % 12), None);
        drop(bench.ended(0, &honest(100 + n % 12)));
    }
    (0..19).for_each(|n| assert_eq!((greet(&mut bench, 1), n), (None, n)));
}
