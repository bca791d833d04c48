//! The rules of hosts, at their thresholds and with their guards.

use super::*;

const NONE: [Found; 0] = [];

// --- session.no_quit ------------------------------------------------------------------------------------------------

const MANY: Found = ("session.no_quit", "many");
const MOST: Found = ("session.no_quit", "most");

fn hung_up(n: usize) -> Session {
    Session { quit: false, close: Some(Close::ClientFin), ..honest(n) }
}

/// What the last of so many sessions leads to, those with QUIT first, all within a second.
fn no_quit(with: usize, without: usize) -> Vec<Found> {
    let mut bench = Bench::new();
    (0..with).for_each(|n| assert_eq!(bench.ended(0, &honest(n)), NONE));
    (0..without).map(|n| bench.ended(SECOND, &hung_up(n))).last().unwrap()
}

#[test]
fn no_quit_by_number_and_share() {
    for (with, without, expected) in [
        (16, 4, &[MANY][..]),
        (15, 4, &[]), // 19 sessions
        (17, 4, &[]), // 19 per cent
        (0, 19, &[]),
        (0, 20, &[MANY]),
        (0, 49, &[MANY]),
        (0, 50, &[MOST]),
        (10, 40, &[MOST]),
        (9, 40, &[MANY]),  // 49 sessions
        (11, 39, &[MANY]), // 78 per cent
    ] {
        assert_eq!(no_quit(with, without), expected, "{with} with, {without} without");
    }
}

#[test]
fn no_quit_within_an_hour() {
    for (later, expected) in [(HOUR - 1, &[MANY][..]), (HOUR, &[])] {
        let mut bench = Bench::new();
        (0..19).for_each(|n| assert_eq!(bench.ended(0, &hung_up(n)), NONE));
        assert_eq!(bench.ended(later, &hung_up(19)), expected, "{later}");
    }
}

/// Sessions of which it is not known, or not the client's fault, that there was no QUIT.
fn innocent() -> Vec<(&'static str, Session)> {
    let with = |change: fn(&mut Session)| {
        let mut session = hung_up(0);
        change(&mut session);
        session
    };
    vec![
        ("server closed first", with(|s| s.close = Some(Close::ServerFin))),
        ("server reset", with(|s| s.close = Some(Close::ServerRst))),
        ("421", with(|s| s.said_421 = true)),
        ("time-out", with(|s| s.close = Some(Close::Timeout))),
        ("end of capture", with(|s| s.close = Some(Close::EndOfCapture))),
        ("evicted", with(|s| s.close = Some(Close::Evicted))),
        ("hidden by TLS", with(|s| s.visible = Visible::UntilStarttls)),
        ("implicit TLS", with(|s| s.visible = Visible::ImplicitTls)),
        ("gap", with(|s| s.capture = CaptureState::GAP)),
        ("one-sided", with(|s| s.capture = CaptureState::ONE_SIDED)),
        ("joined late", with(|s| s.capture = CaptureState::JOINED_LATE)),
        ("cut", with(|s| s.capture = CaptureState::SNAPLEN)),
        ("no command", with(|s| s.commands = 0)),
    ]
}

#[test]
fn no_quit_is_not_the_clients_fault() {
    for (why, session) in innocent() {
        let mut bench = Bench::new();
        (0..60).for_each(|_| assert_eq!(bench.ended(0, &session), NONE, "{why}"));
    }
}

/// A session that does not count must not bring up again what others did, least of all hours ago.
#[test]
fn no_quit_is_not_said_again_of_an_innocent_session() {
    for (why, session) in innocent() {
        let mut bench = Bench::new();
        (0..30).for_each(|n| drop(bench.ended(0, &hung_up(n))));
        assert_eq!(bench.ended(0, &hung_up(0)), [MANY]);
        assert_eq!(bench.ended(1, &session), NONE, "{why}");
        assert_eq!(bench.ended(9 * HOUR, &session), NONE, "{why}, hours later");
    }
}

// --- session.empty_connect ------------------------------------------------------------------------------------------

fn empty(n: usize) -> Session {
    Session {
        client_bytes: 0,
        commands: 0,
        transactions: 0,
        messages: 0,
        ehlo_accepted: false,
        helo: Text::new(),
        ..hung_up(n)
    }
}

#[test]
fn empty_connects() {
    let found = &[("session.empty_connect", "many")][..];
    for (connections, servers, span, expected) in [
        (20, 10, SECOND, found),
        (19, 10, SECOND, &[]),
        (20, 9, SECOND, &[]),
        (20, 10, 10 * MINUTE, &[]),
    ] {
        let mut bench = Bench::new();
        let last = (0..connections)
            .map(|n| bench.ended(if n < 10 { 0 } else { span }, &empty(n % servers)))
            .last()
            .unwrap();
        assert_eq!(last, expected, "{connections} to {servers} over {span}");
    }
}

#[test]
fn empty_connects_that_are_nobodys_fault() {
    let with = |change: fn(&mut Session)| {
        move |n| {
            let mut session = empty(n);
            change(&mut session);
            session
        }
    };
    let cases: [(&str, &dyn Fn(usize) -> Session); 8] = [
        ("a byte", &with(|s| s.client_bytes = 1)),
        ("554", &with(|s| s.greeting_code = Some(554))),
        ("421", &with(|s| s.greeting_code = Some(421))),
        ("server closed first", &with(|s| s.close = Some(Close::ServerFin))),
        ("server reset", &with(|s| s.close = Some(Close::ServerRst))),
        ("gap", &with(|s| s.capture = CaptureState::GAP)),
        ("one-sided", &with(|s| s.capture = CaptureState::ONE_SIDED)),
        ("submission", &with(|s| s.flow.server.port = 587)),
    ];
    for (why, session) in cases {
        let mut bench = Bench::new();
        (0..40).for_each(|n| assert_eq!(bench.ended(0, &session(n)), NONE, "{why}"));
        (0..20).for_each(|n| drop(bench.ended(0, &empty(n))));
        assert_eq!(bench.ended(HOUR, &session(0)), NONE, "{why}: an old count is said again");
    }
    for role in [Role::Monitor, Role::Scanner] {
        let mut bench = Bench::of(role);
        (0..40).for_each(|n| assert_eq!(bench.ended(0, &empty(n)), NONE, "{role:?}"));
    }
}

// --- session.hold_open ----------------------------------------------------------------------------------------------

#[test]
fn held_open_by_the_median() {
    let found = &[("session.hold_open", "median")][..];
    for (prompt, held, expected) in
        [(0, 4, &[][..]), (0, 5, found), (5, 5, found), (6, 5, &[]), (7, 6, &[])]
    {
        let mut bench = Bench::new();
        (0..prompt).for_each(|n| assert_eq!(bench.ended(0, &honest(n)), NONE));
        let last = (0..held).map(|n| bench.held(SECOND, 100 + n)).last().unwrap();
        assert_eq!(last, expected, "{held} held, {prompt} not");
    }
    let mut bench = Bench::of(Role::Monitor);
    (0..20).for_each(|n| assert_eq!(bench.held(0, n), NONE));
}

#[test]
fn held_open_in_parallel() {
    let mut bench = Bench::new();
    (0..40).for_each(|n| drop(bench.ended(0, &honest(n))));
    // Ten at a time to one server are not more than ten, however many there were.
    for n in 0..10 {
        assert_eq!(bench.held(n, 7), NONE);
    }
    let gone = honest(7);
    assert_eq!(bench.happen(20, Happening::Ended { session: &gone, held: true }), NONE);
    assert_eq!(bench.held(21, 7), NONE);
    assert_eq!(bench.held(22, 8), NONE, "another server");
    assert_eq!(bench.held(23, 7), [("session.hold_open", "parallel")]);
}

// --- fanout.dst_ips -------------------------------------------------------------------------------------------------

const NO_MAIL_HOST: Found = ("fanout.dst_ips", "no_mail_host");

#[test]
fn many_servers_in_ten_minutes() {
    for (servers, last_at, expected) in [
        (19, 0, &[][..]),
        (20, 0, &[NO_MAIL_HOST]),
        (20, 10 * MINUTE - 1, &[NO_MAIL_HOST]),
        (20, 10 * MINUTE, &[]),
    ] {
        let mut bench = Bench::new().about("fanout.dst_ips");
        (0..servers - 1).for_each(|n| assert_eq!(bench.opened(0, n), NONE));
        assert_eq!(bench.opened(last_at, servers - 1), expected, "{servers}, last at {last_at}");
        assert_eq!(bench.opened(last_at, 0), expected, "none of them is new");
    }
}

#[test]
fn many_servers_in_an_hour() {
    for (servers, expected) in [(99, &[][..]), (100, &[NO_MAIL_HOST])] {
        let mut bench = Bench::new().about("fanout.dst_ips");
        let last = (0..servers).map(|n| bench.opened(n as u64 * 35 * SECOND, n)).last().unwrap();
        assert_eq!(last, expected, "{servers}");
    }
}

#[test]
fn many_servers_are_the_work_of_mail_hosts() {
    for (role, expected) in [
        (Role::Unknown, &[NO_MAIL_HOST][..]),
        (Role::App, &[NO_MAIL_HOST]),
        (Role::Mta, &[]),
        (Role::Gateway, &[]),
        (Role::Bulk, &[]),
        (Role::List, &[]),
        (Role::Forwarder, &[]),
        (Role::Hosting, &[]),
        (Role::Monitor, &[]),
        (Role::Scanner, &[]),
    ] {
        let mut bench = Bench::of(role).about("fanout.dst_ips");
        let last = (0..150).map(|n| bench.opened(0, n)).last().unwrap();
        assert_eq!(last, expected, "{role:?}");
    }
    let mut bench = Bench::new().about("fanout.dst_ips");
    bench.host.note_greeting();
    (0..150).for_each(|n| assert_eq!(bench.opened(0, n), NONE));
}

#[test]
fn submission_servers_are_no_receivers() {
    let mut bench = Bench::new().about("fanout.dst_ips");
    for n in 0..150 {
        let flow = flow(n, 587);
        assert_eq!(bench.happen(0, Happening::Opened { flow: &flow, stack: 1 }), NONE);
        let end = Reached::Refused;
        assert_eq!(bench.happen(0, Happening::Attempt { flow: &flow, end }), NONE);
    }
    (0..19).for_each(|n| assert_eq!(bench.opened(0, n), NONE));
    assert_eq!(bench.opened(0, 19), [NO_MAIL_HOST]);
}

/// A mail host that reached so many servers in each of its hours; what the n-th server of the hour after leads to.
fn after(hours: &[usize], servers: usize) -> Vec<Found> {
    let mut bench = Bench::new().about("fanout.dst_ips");
    bench.host.note_greeting();
    for (hour, &count) in hours.iter().enumerate() {
        (0..count).for_each(|n| assert_eq!(bench.opened(hour as u64 * HOUR, n), NONE, "{hour}"));
    }
    let now = hours.len() as u64 * HOUR;
    (0..servers).map(|n| bench.opened(now, n)).last().unwrap()
}

#[test]
fn a_mail_host_beyond_its_habit() {
    let found = &[("fanout.dst_ips", "mail_host")][..];
    let even = [40; 14 * 24];
    let uneven: Vec<_> = (0..14 * 24).map(|hour| if hour % 2 == 0 { 10 } else { 70 }).collect();
    for (hours, servers, expected) in [
        (&even[..], 119, &[][..]),
        (&even, 120, found),
        (&even[1..], 400, &[]),    // an hour short of 14 days
        (&[20; 14 * 24], 99, &[]), // five times, but few
        (&[20; 14 * 24], 100, found),
        (&uneven, 200, &[]), // three times the mean of 40, within four times the deviation of 60
        (&uneven, 400, found),
    ] {
        assert_eq!(after(hours, servers), expected, "{servers} after {:?}…", &hours[..2]);
    }
}

#[test]
fn the_habit_outlives_stamps_a_little_out_of_order() {
    let mut bench = Bench::new().about("fanout.dst_ips");
    bench.host.note_greeting();
    for hour in 0..14 * 24 {
        (0..40).for_each(|n| drop(bench.opened(hour * HOUR, n)));
        drop(bench.opened((hour * HOUR).saturating_sub(1), 0));
    }
    let now = 14 * 24 * HOUR;
    let last = (0..120).map(|n| bench.opened(now, n)).last().unwrap();
    assert_eq!(last, [("fanout.dst_ips", "mail_host")]);
}

// --- fanout.syn_fail_ratio ------------------------------------------------------------------------------------------

/// Of what a rule found: its level.
fn only<'a>(id: &str, found: &[Found]) -> Vec<&'a str> {
    found.iter().filter(|(known, _)| *known == id).map(|(_, level)| *level).collect()
}

#[test]
fn attempts_that_fail() {
    let some = &["many_fail"][..];
    for (good, bad, servers, expected) in [
        (10, 20, 20, some),
        (9, 20, 20, &[][..]), // 29 attempts
        (20, 20, 20, some),
        (21, 20, 20, &[]), // 48 per cent
        (1, 60, 19, &[]),
        (1, 30, 20, some),
        (0, 30, 20, &[]), // nothing was reached: another finding
    ] {
        for end in [Reached::Refused, Reached::Silence] {
            let mut bench = Bench::of(Role::Mta);
            (0..good).for_each(|n| assert_eq!(bench.attempt(0, n, Reached::Yes), NONE));
            let last = (0..bad).map(|n| bench.attempt(0, 1000 + n % servers, end)).last().unwrap();
            let last = only("fanout.syn_fail_ratio", &last);
            assert_eq!(last, expected, "{good} good, {bad} bad to {servers}");
        }
    }
}

/// Something was reached within the hour, but nothing within ten minutes: it is no closed exit.
#[test]
fn attempts_that_all_fail_after_one_that_did_not() {
    let mut bench = Bench::new().about("fanout.syn_fail_ratio");
    assert_eq!(bench.attempt(0, 0, Reached::Yes), NONE);
    let later = 20 * MINUTE;
    let last = (0..30).map(|n| bench.attempt(later, 1000 + n, Reached::Silence)).last().unwrap();
    assert_eq!(last, [("fanout.syn_fail_ratio", "many_fail")]);
}

#[test]
fn failures_are_forgotten_and_a_scanners_work() {
    let mut bench = Bench::new().about("fanout.syn_fail_ratio");
    (0..29).for_each(|n| drop(bench.attempt(0, n, Reached::Silence)));
    assert_eq!(bench.attempt(10 * MINUTE, 99, Reached::Silence), NONE);
    let mut bench = Bench::of(Role::Scanner);
    (0..90).for_each(|n| assert_eq!(bench.attempt(0, n, Reached::Refused), NONE));
}

// --- dialect.ignores_starttls ---------------------------------------------------------------------------------------

const IGNORES: Found = ("dialect.ignores_starttls", "never");

fn offered(n: usize) -> Session {
    Session { capabilities: Capability::STARTTLS, ..honest(n) }
}

#[test]
fn starttls_is_never_used() {
    for (sessions, servers, expected) in
        [(19, 10, &[][..]), (20, 9, &[]), (20, 10, &[IGNORES]), (200, 9, &[])]
    {
        let mut bench = Bench::new();
        let last = (0..sessions).map(|n| bench.ended(0, &offered(n % servers))).last().unwrap();
        assert_eq!(last, expected, "{sessions} to {servers}");
    }
}

#[test]
fn one_use_of_starttls_clears_the_host() {
    use Starttls::{AcceptedButPlain, Established, Refused, Unanswered};
    for starttls in [Established, Refused, Unanswered, AcceptedButPlain] {
        let mut bench = Bench::new();
        (0..19).for_each(|n| assert_eq!(bench.ended(0, &offered(n)), NONE));
        let used = Session { starttls, visible: Visible::UntilStarttls, ..offered(50) };
        assert_eq!(bench.ended(1, &used), NONE);
        (0..19).for_each(|n| assert_eq!(bench.ended(2, &offered(n)), NONE, "{starttls:?}"));
        assert_eq!(bench.ended(3, &offered(20)), [IGNORES]);
        assert_eq!(bench.ended(4, &used), NONE);
    }
}

#[test]
fn starttls_that_there_was_no_reason_to_use() {
    let with = |change: fn(&mut Session)| {
        move |n| {
            let mut session = offered(n);
            change(&mut session);
            session
        }
    };
    let cases: [(&str, &dyn Fn(usize) -> Session); 6] = [
        ("not offered", &with(|s| s.capabilities = Capability::SIZE)),
        ("EHLO refused", &with(|s| s.ehlo_accepted = false)),
        ("nothing sent", &with(|s| s.transactions = 0)),
        ("gap", &with(|s| s.capture = CaptureState::GAP)),
        ("one-sided", &with(|s| s.capture = CaptureState::ONE_SIDED)),
        ("a cap was hit", &with(|s| s.capture = CaptureState::LIMIT)),
    ];
    for (why, session) in cases {
        let mut bench = Bench::new();
        (0..60).for_each(|n| assert_eq!(bench.ended(0, &session(n)), NONE, "{why}"));
        (0..30).for_each(|n| drop(bench.ended(0, &offered(n))));
        assert_eq!(bench.ended(72 * HOUR, &session(0)), NONE, "{why}: an old count is said again");
    }
}

// --- helo.varies_per_ip ---------------------------------------------------------------------------------------------

const VARIES: Found = ("helo.varies_per_ip", "many");
const SOME: Found = ("helo.varies_per_ip", "some");

fn named(helo: &str) -> Session {
    let mut session = honest(0);
    session.helo.set(helo.as_bytes(), 255);
    session
}

/// What the last of these names leads to, said one after the other.
fn said(bench: &mut Bench, step: Nanos, names: &[&str]) -> Vec<Found> {
    let mut last = Vec::new();
    for (at, name) in (0u64..).zip(names) {
        last = bench.ended(at * step, &named(name));
    }
    last
}

#[test]
fn names_that_change() {
    for (step, names, expected) in [
        (0, &["a.example.org", "b.example.org", "example.org", "c.d.EXAMPLE.org."][..], &[][..]),
        (0, &["a.example.co.uk", "b.example.co.uk"], &[]),
        (0, &["a.example.co.uk", "a.other.co.uk"], &[SOME]),
        (0, &["a.example.org", "A.Example.ORG", "a.example.org."], &[]),
        (0, &["a.example.org", "a.example.net"], &[SOME]),
        (0, &["a.example.org", "a.example.net", "a.example.com"], &[VARIES]),
        (0, &["pc1", "pc2", "pc3"], &[VARIES]),
        (0, &["a.example.org", "", "", ""], &[]),
        // Each of them was last said ten minutes before.
        (10 * MINUTE, &["a.example.org", "a.example.net", "a.example.com", "a.example.de"], &[]),
        (10 * MINUTE - 1, &["a.example.org", "a.example.net"], &[SOME]),
        (15 * MINUTE, &["a.org", "b.org", "c.org", "d.org"], &[]),
        (15 * MINUTE, &["a.org", "b.org", "c.org", "d.org", "e.org"], &[VARIES]),
        (6 * HOUR, &["a.org", "b.org", "c.org", "d.org", "e.org"], &[]),
    ] {
        assert_eq!(said(&mut Bench::new(), step, names), expected, "{names:?} every {step}");
    }
}

#[test]
fn names_that_are_meant() {
    let long = format!("{}second.example.net", "a-very-long-name-of-a-host.".repeat(4));
    let mut bench = Bench::new();
    let allow = Given::Names(vec!["mail.example.net".into(), "[45.0.2.10]".into()]);
    bench.tuning.set("helo.varies_per_ip", "allow", allow).unwrap();
    let names = ["a.example.org", &long, "B.EXAMPLE.net", "[45.0.2.10]", "a.example.org"];
    assert_eq!(said(&mut bench, 0, &names), NONE);
    assert_eq!(bench.ended(0, &named("a.example.com")), [SOME], "it is not allowed");
}

#[test]
fn names_of_user_agents_say_nothing() {
    let mut bench = Bench::new();
    for n in 0..9 {
        let mut session = named(&format!("laptop-{n}"));
        session.flow.server.port = 587;
        assert_eq!(bench.ended(0, &session), NONE);
    }
    assert_eq!(bench.ended(0, &named("mail.example.org")), NONE);
}

#[test]
fn several_mail_servers_behind_a_gateway() {
    let names = ["a.example.org", "a.example.net", "a.example.com"];
    let mut bench = Bench::of(Role::Gateway);
    assert_eq!(said(&mut bench, 0, &names), [SOME]);
    assert!(bench.evidence("subject").is_some());

    for (stacks, expected) in [(2, VARIES), (3, SOME)] {
        let mut bench = Bench::new();
        for stack in (0..=stacks).chain(0..=stacks) {
            drop(bench.happen(0, Happening::Opened { flow: &flow(0, 25), stack }));
        }
        assert_eq!(said(&mut bench, 0, &names), [expected], "{stacks} stacks");
    }
}

/// A name with a stamp from elsewhere is not "just now" until that time comes.
#[test]
fn a_name_from_the_future_is_forgotten() {
    let mut bench = Bench::new();
    assert_eq!(bench.ended(20 * HOUR, &named("a.example.net")), NONE);
    for minute in 0..30 {
        assert_eq!(bench.ended(minute * MINUTE, &named("a.example.org")), NONE, "{minute}");
    }
}

// --- helo.victim_name -----------------------------------------------------------------------------------------------

/// A session with `greeting` as the server's name, from this client.
fn greeted(client: &str, server: &str, greeting: &str, helo: &str) -> Session {
    let mut session = named(helo);
    session.flow.client.addr = addr(client);
    session.flow.server.addr = addr(server);
    session.banner.set(greeting.as_bytes(), 255);
    session
}

#[test]
fn the_receivers_own_name() {
    let server = &[("helo.victim_name", "server")][..];
    for (client, receiver, greeting, helo, expected) in [
        ("45.0.2.10", "45.9.9.25", "mx.example.net", "mx.example.net", server),
        ("45.0.2.10", "45.9.9.25", "MX.example.net", "mx.Example.net.", server),
        ("45.0.2.10", "45.9.9.25", "mx.example.net", "[45.9.9.25]", server),
        ("45.0.2.10", "45.9.9.25", "mx.example.net", "45.9.9.25", server),
        ("45.0.2.10", "2a01:4f8::25", "mx.example.net", "[IPv6:2a01:4f8::25]", server),
        ("45.0.2.10", "45.9.9.25", "mx.example.net", "mail.example.org", &[]),
        ("45.0.2.10", "45.9.9.25", "mx.example.net", "example.net", &[]),
        ("45.0.2.10", "45.9.9.25", "", "mail.example.org", &[]),
        // Names that many machines have.
        ("45.0.2.10", "45.9.9.25", "localhost", "localhost", &[]),
        ("45.0.2.10", "45.9.9.25", "mail.office.local", "mail.office.local", &[]),
        ("45.0.2.10", "45.9.9.25", "mail", "mail", &[]),
        // The next machine of the same site, the server itself from behind a translation, and within one network.
        ("45.9.9.26", "45.9.9.25", "mx.example.net", "mx.example.net", &[]),
        ("10.0.0.5", "45.9.9.25", "mx.example.net", "[45.9.9.25]", &[]),
        ("45.0.2.10", "10.0.0.25", "mx.example.net", "mx.example.net", &[]),
    ] {
        let mut bench = Bench::new();
        let session = greeted(client, receiver, greeting, helo);
        assert_eq!(bench.ended(0, &session), expected, "{client} {receiver} {greeting} {helo}");
    }
}

#[test]
fn own_hosts_may_share_a_name() {
    let session = greeted("45.0.2.10", "45.9.9.25", "mx.example.net", "mx.example.net");
    for role in [Role::Mta, Role::Hosting, Role::Forwarder, Role::Gateway] {
        assert_eq!(Bench::of(role).ended(0, &session), NONE, "{role:?}");
    }
    let mut bench = Bench { internal: true, ..Bench::new() };
    assert_eq!(bench.ended(0, &session), NONE);
    let mut bench = Bench { outbound: false, ..Bench::new() };
    assert_eq!(bench.ended(0, &session), [("helo.victim_name", "inbound")]);
}

#[test]
fn domains_of_recipients() {
    let to_itself = |n: usize| {
        let mut session = named(&format!("shop{n}.example{n}.org"));
        session.conduct.helo_is_recipient = true;
        session
    };
    let victim = ("helo.victim_name", "recipients");
    for (domains, every, expected) in
        [(4, MINUTE, false), (5, MINUTE, true), (5, 16 * MINUTE, false)]
    {
        let mut bench = Bench::new();
        let mut found = Vec::new();
        for n in 0..domains {
            found = bench.ended(n as u64 * every, &to_itself(n));
            found.extend(bench.ended(n as u64 * every, &to_itself(n)));
        }
        assert_eq!(found.contains(&victim), expected, "{domains} every {every}");
    }
}

// --- helo.random_label ----------------------------------------------------------------------------------------------

#[test]
fn names_made_up_at_random() {
    let random = ("helo.random_label", "many");
    let names = ["xkqjzvbt.example.com", "www.qhwzfxkd.net", "vbnqwxjk.org"];
    for (names, every, expected) in [
        (&names[..], MINUTE, true),
        (&names[..2], MINUTE, false),
        (&names, 31 * MINUTE, false),
        (&["xkqjzvbt.example.com", "xkqjzvbt.example.com", "qhwzfxkd.example.com"], MINUTE, false),
        (
            &["outbound-smtp17.example.com", "blumenwiese.net", "schwimmverein-nord.org"],
            MINUTE,
            false,
        ),
        (&["3f4e5a6b7c8d", "4f4e5a6b7c8e", "5f4e5a6b7c8f"], MINUTE, false),
        (&["web-7d9f8b6c5d-x2x4z", "web-xqzvbwjk-a", "ip-10-0-0-1"], MINUTE, false),
    ] {
        let mut bench = Bench::new();
        let all = said(&mut bench, every, names);
        assert_eq!(all.contains(&random), expected, "{names:?} every {every}");
    }
    let mut bench = Bench::of(Role::Gateway);
    assert!(said(&mut bench, MINUTE, &names).contains(&("helo.random_label", "gateway")));
}

// --- bounds ---------------------------------------------------------------------------------------------------------

#[test]
fn a_host_of_a_hundred_thousand_servers_and_names_stays_small() {
    let mut bench = Bench::of(Role::Mta);
    let mut session = honest(0);
    for n in 0..100_000 {
        let at = START.plus(n as u64 * SECOND);
        let flow = flow(n, 25);
        session.flow = flow;
        session.helo.set(format!("{n}.{}example{n}.org", "long-".repeat(30)).as_bytes(), 255);
        let mut victim = session.clone();
        victim.conduct.helo_is_recipient = true;
        for happening in [
            Happening::Opened { flow: &flow, stack: n as u32 },
            Happening::Attempt { flow: &flow, end: Reached::Silence },
            Happening::Held { session: &session, idle: 0 },
            Happening::Ended { session: &victim, held: false },
            Happening::Ended { session: &empty(n), held: false },
        ] {
            let limits = Limits::default();
            let (role, outbound, hasher) = (bench.role, true, &bench.hasher);
            bench.host.note(at, &happening, &Terms { role, outbound, hasher, limits: &limits });
        }
    }
    let host = &bench.host;
    assert_eq!((host.names.len(), host.stacks.len(), host.idle_now.len()), (16, 3, 16));
    assert_eq!(host.victims.len(), 16);
    assert!(host.names.iter().all(|name| name.sample.as_bytes().len() <= 64));
    for window in [&host.tried_10m, &host.tried_1h] {
        assert!(window.halves().iter().all(|half| half.sample.len() <= 5));
    }
    assert!(host.baseline.as_ref().unwrap().before.len() <= 14 * 24);
}
