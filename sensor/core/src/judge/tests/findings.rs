//! The life of findings.

use super::*;

const HOST: &str = "45.0.2.10";
const MX: &str = "45.9.9.25";
const LOCALHOST: &str = "helo.localhost";

fn court() -> Court {
    Court::new(Settings::default())
}

#[test]
fn closes_at_the_last_hit_and_the_window() {
    let mut court = court();
    court.says(0, HOST, MX, "localhost");
    court.says(5 * MINUTE, HOST, MX, "localhost");
    court.idle(5 * MINUTE + HOUR - 1);
    assert_eq!(court.story(), [(LOCALHOST, Status::Open, 0)]);
    court.idle(9 * HOUR);
    let closed = (LOCALHOST, Status::Closed, 3900);
    assert_eq!(court.story(), [(LOCALHOST, Status::Open, 0), closed]);
    let (at, finding) = &court.told.findings[1];
    assert_eq!(*at, START.plus(5 * MINUTE + HOUR));
    assert_eq!((finding.count, finding.last_seen), (2, START.plus(5 * MINUTE)));
}

/// A hit at the very deadline is another finding; a nanosecond before it is the same.
#[test]
fn the_edge_of_the_window() {
    for (gap, expected) in [
        (HOUR - 1, &[Status::Open, Status::Update][..]),
        (HOUR, &[Status::Open, Status::Closed, Status::Open]),
    ] {
        let mut court = court();
        court.says(0, HOST, MX, "localhost");
        court.says(gap, HOST, MX, "localhost");
        let statuses: Vec<_> = court.story().iter().map(|s| s.1).collect();
        assert_eq!(statuses, expected, "{gap}");
    }
}

#[test]
fn closes_in_the_order_of_deadlines() {
    let mut court = court();
    court.says(0, HOST, MX, "localhost");
    court.says(SECOND, HOST, MX, "desk");
    court.says(2 * SECOND, "45.0.2.9", MX, "localhost");
    court.says(3 * SECOND, HOST, MX, "localhost");
    court.idle(2 * HOUR);
    let closed: Vec<_> = court.story().into_iter().filter(|s| s.1 == Status::Closed).collect();
    let expected = [("helo.unqualified", 3601), (LOCALHOST, 3602), (LOCALHOST, 3603)];
    let seen: Vec<_> = closed.iter().map(|s| (s.0, s.2)).collect();
    // Two names of the host also make the weak level of `helo.varies_per_ip`, at its last session.
    assert_eq!(seen, [&expected[..], &[("helo.varies_per_ip", 3603)]].concat());
}

#[test]
fn is_told_again_after_ten_minutes() {
    let mut court = court();
    for minute in 0..=25 {
        court.says(minute * MINUTE, HOST, MX, "localhost");
    }
    let expected = [
        (LOCALHOST, Status::Open, 0),
        (LOCALHOST, Status::Update, 600),
        (LOCALHOST, Status::Update, 1200),
    ];
    assert_eq!(court.story(), expected);
    assert_eq!(court.told.findings[2].1.count, 21);
}

#[test]
fn is_told_again_at_once_when_it_is_worse_and_only_then() {
    let mut court = court();
    let names =
        ["a.example.org", "a.example.net", "a.example.org", "a.example.com", "a.example.net"];
    for (at, name) in (0u64..).zip(names) {
        court.says(at * SECOND, HOST, MX, name);
    }
    let id = "helo.varies_per_ip";
    assert_eq!(court.story(), [(id, Status::Open, 1), (id, Status::Update, 3)]);
    let told: Vec<_> = court.told.findings.iter().map(|(_, f)| (f.severity, f.level)).collect();
    assert_eq!(told, [(Severity::Low, 1), (Severity::High, 0)]);
    // A milder hit counts and keeps the finding open; it does not make it milder.
    court.says(5 * MINUTE, HOST, MX, "a.example.org");
    court.says(16 * MINUTE, HOST, MX, "a.example.org");
    court.says(17 * MINUTE, HOST, MX, "a.example.net");
    let (_, last) = court.told.findings.last().unwrap();
    assert_eq!((last.status, last.severity, last.count), (Status::Update, Severity::High, 6));
    let names = last.evidence.iter().find(|e| e.key == "names_10m").unwrap();
    assert_eq!(names.value, EvidenceValue::Count(3), "the evidence is of the level that is told");
}

#[test]
fn the_order_at_the_end_is_that_of_opening() {
    let run = |seed| {
        let mut court = Court::new(Settings { seed, ..Settings::default() });
        for n in 0..200u64 {
            let host = Addr::v4([45, 1, (n * 7 % 200) as u8, 1]).to_string();
            court.says(n / 5 * SECOND, &host, MX, if n % 2 == 0 { "localhost" } else { "desk" });
        }
        court.finish();
        let ends = court.told.findings.iter().filter(|(_, f)| f.status == Status::OpenAtEnd);
        ends.map(|(_, f)| (f.first_seen, f.host, f.entry)).collect::<Vec<_>>()
    };
    let told = run(1);
    assert_eq!(told.len(), 200);
    assert!(told.is_sorted());
    assert_eq!(told, run(2));
}

#[test]
fn nothing_is_told_after_the_end() {
    let mut court = court();
    court.says(0, HOST, MX, "localhost");
    court.finish();
    let told = court.story().len();
    court.finish();
    court.idle(9 * HOUR);
    assert_eq!(court.story().len(), told);
}

#[test]
fn acknowledged_until_then() {
    let entry = ALL.iter().position(|e| e.id == LOCALHOST).unwrap() as u16;
    let ack = Ack { entry, net: net("45.0.2.0", 24), until: START.plus(MINUTE) };
    let mut court = Court::new(Settings { acks: vec![ack], ..Settings::default() });
    court.says(0, HOST, MX, "localhost");
    court.says(MINUTE - 1, HOST, MX, "localhost");
    assert_eq!(court.story(), []);
    court.says(0, "45.0.3.10", MX, "localhost");
    court.says(0, HOST, MX, "desk");
    let seen: Vec<_> = court.story().iter().map(|s| s.0).collect();
    assert_eq!(seen, [LOCALHOST, "helo.unqualified", "helo.varies_per_ip"], "others are told");
    court.says(MINUTE, HOST, MX, "localhost");
    let (_, last) = court.told.findings.iter().rfind(|(_, f)| f.entry == entry).unwrap();
    assert_eq!((last.host, last.count, last.status), (addr(HOST), 1, Status::Open));
}

#[test]
fn the_operators_severity_window_and_switch() {
    let mut settings = Settings::default();
    settings.tuning.set_severity(LOCALHOST, Severity::Critical).unwrap();
    settings.tuning.set_window(LOCALHOST, 7 * MINUTE).unwrap();
    settings.tuning.set_enabled("helo.unqualified", false).unwrap();
    settings.tuning.set_enabled("helo.varies_per_ip", false).unwrap();
    let mut court = Court::new(settings);
    court.says(0, HOST, MX, "localhost");
    court.says(0, HOST, MX, "desk");
    court.says(0, HOST, MX, "other");
    court.idle(HOUR);
    let expected = [(LOCALHOST, Status::Open, 0), (LOCALHOST, Status::Closed, 7 * 60)];
    assert_eq!(court.story(), expected);
    assert!(court.told.findings.iter().all(|(_, f)| f.severity == Severity::Critical));
}

#[test]
fn a_bare_address_needs_two_sessions() {
    let mut court = court();
    let one = session(addr(HOST), addr(MX), "45.0.2.10");
    for hit in hits(&one).iter().chain(&hits(&one)) {
        court.push(0, Fact::Hit { session: &one, hit });
    }
    assert_eq!(court.story(), [], "EHLO and HELO of one session");
    let two = Session { flow: Flow { first_frame: 2, ..one.flow }, ..one.clone() };
    court.push(SECOND, Fact::Hit { session: &two, hit: &hits(&two)[0] });
    assert_eq!(court.story(), [("helo.bare_ip", Status::Open, 1)]);
}

/// Stamps that go back or far ahead: nothing breaks, and what they put off comes nearer again.
#[test]
fn stamps_from_elsewhere_heal() {
    for far in [HOUR, 40 * DAY, 400 * 365 * DAY] {
        let mut court = court();
        court.says(far, HOST, MX, "localhost");
        for minute in 0..12 {
            court.says(minute * MINUTE, HOST, MX, "localhost");
        }
        court.idle(11 * MINUTE + HOUR - 1);
        assert_eq!(court.story().last().unwrap().1, Status::Update, "{far}: told again");
        court.idle(11 * MINUTE + HOUR);
        assert_eq!(court.story().last().unwrap(), &(LOCALHOST, Status::Closed, 71 * 60), "{far}");
    }
}

#[test]
fn any_stamps_are_survived() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut court = Court::new(strict());
        for (at, fact) in traffic(seed, 500) {
            let at = match random.below(20) {
                0 => random.below(u64::MAX),
                1 => u64::MAX,
                2 => at.saturating_sub(random.below(2 * DAY)),
                _ => at,
            };
            court.push(at, fact.as_fact());
        }
        court.finish();
        let count = |status| court.told.findings.iter().filter(|(_, f)| f.status == status).count();
        let ends = count(Status::Closed) + count(Status::OpenAtEnd);
        assert_eq!(count(Status::Open), ends, "seed {seed}");
    }
}
