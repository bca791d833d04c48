//! Rich, poor and hostile happenings for the tests of the encoders.

use std::net::IpAddr;

use botlike_core::base::{Addr, Counters, Endpoint, Flow, HOUR, MILLI, MINUTE, Stamp};
use botlike_core::detect::{
    Directions, Evidence, EvidenceValue, Level, Needs, NotObservable, Rule, Setting, Severity,
    Value, Weight,
};
use botlike_core::judge::{Direction, Event, Finding, Status};
use botlike_core::smtp::{
    Capability, CaptureState, Close, HeloVerb, Message, Outcome, Session, Starttls, Visible,
};

use super::{Line, Sensor, Stats, Style};
use crate::rules::Entry;
use crate::source::live::{Observe, Places, RungKind};

/// Detections that the findings of the samples refer to.
pub(crate) static RULES: &[&Entry] = &[&Entry {
    id: "test.fanout",
    rev: 3,
    name: "Many mail servers contacted",
    what: "One host contacted more mail servers than an ordinary sender does.",
    advice: "Find the process or guest that sends.",
    source: "RFC 5321 section 5; \"a quoted source\"",
    attack: "T1071.003",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS,
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "many",
            when: "more than `limit` in an hour",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: true },
        },
        Level {
            name: "proof",
            when: "beyond doubt",
            severity: Severity::Critical,
            weight: Weight::Conclusive,
        },
    ],
    window: HOUR,
    settings: &[
        Setting { key: "limit", default: Value::Count(120), doc: "Servers in an hour." },
        Setting { key: "within", default: Value::Span(HOUR), doc: "The hour." },
        Setting { key: "share", default: Value::Percent(50), doc: "Share." },
        Setting { key: "names", default: Value::Names(&["localhost"]), doc: "Names." },
    ],
    rule: Rule::Host(|_, _| None),
}];

/// The style of the tests.
pub(crate) fn style() -> Style {
    Style { rules: RULES, ..Style::default() }
}

/// 2026-11-23T08:15:00Z and so many milliseconds.
pub(crate) fn at(millis: u64) -> Stamp {
    Stamp::from_parts(1_795_421_700, 0).plus(millis * MILLI)
}

/// An address from its text.
pub(crate) fn addr(text: &str) -> Addr {
    text.parse::<IpAddr>().unwrap().into()
}

fn flow(client: &str, port: u16, server: &str) -> Flow {
    Flow {
        client: Endpoint { addr: addr(client), port },
        server: Endpoint { addr: addr(server), port: 25 },
        start: at(102),
        first_frame: 1,
        iface: 0,
        vlan: 0,
    }
}

/// A session in which everything happened.
pub(crate) fn rich_session() -> Session {
    let mut s = Session {
        flow: Flow { vlan: 210, ..flow("192.0.2.77", 50_122, "198.51.100.25") },
        end: at(2481),
        client_packets: 31,
        server_packets: 27,
        client_bytes: 18_422,
        server_bytes: 2210,
        close: Some(Close::ServerFin),
        quit: true,
        visible: Visible::Plain,
        capture: CaptureState::all(),
        gap_bytes: 1460,
        overlap_differs: true,
        greeting_code: Some(220),
        greeting_delay: Some(142 * MILLI),
        last_reply_code: Some(221),
        helo_verb: Some(HeloVerb::Ehlo),
        helo_count: 2,
        ehlo_accepted: true,
        capabilities: Capability::all(),
        starttls: Starttls::AcceptedButPlain,
        commands: 9,
        commands_unknown: 1,
        errors_4xx: 1,
        errors_5xx: 2,
        said_421: true,
        pipelined: true,
        transactions: 2,
        messages: 1,
        transactions_partial: 1,
        stack: 0x00c0_ffee,
        ..Session::default()
    };
    s.helo.set(b"pc-77\xff", 255);
    s.auth.attempts = 2;
    s.auth.failed = 1;
    s.auth.succeeded = true;
    s.auth.mechanism.set(b"LOGIN", 64);
    s
}

/// The message of the pretty test: ordinary, rejected.
pub(crate) fn plain_message() -> Message {
    let mut m = Message {
        number: 0,
        start: at(300),
        end: at(7003),
        rcpt_rejected: 1,
        rcpt_accepted: 1,
        outcome: Outcome::Rejected,
        reply_code: Some(554),
        size: 21_877,
        header_complete: true,
        received_count: 2,
        ..Message::default()
    };
    m.mail_from.set(b"bounce@example.com", 320);
    m.mail_parameters.set(b"SIZE=21000 BODY=8BITMIME", 320);
    m.rcpt_to.push(b"a@example.net", 320, 50);
    m.rcpt_to.push(b"b@example.net", 320, 50);
    m.from.set(b"Billing <billing@example.com>", 1024);
    m.from_address.set(b"billing@example.com", 1024);
    m.to.set(b"a@example.net", 1024);
    m.subject.set(b"Invoice \"4471\"", 1024);
    m.date.set(b"Mon, 23 Nov 2026 03:15:00 +0000", 1024);
    m.message_id.set(b"<5f1.77@pc-77>", 1024);
    m
}

/// Every value as long and as nasty as the limits allow.
fn hostile(bytes: &[u8]) -> (Session, Message) {
    let long: Vec<u8> = bytes.iter().copied().cycle().take(70_000).collect();
    let mut s = rich_session();
    s.helo.set(&long, 255);
    s.auth.mechanism.set(&long, 64);
    let mut m = plain_message();
    m.mail_from.set(&long, 320);
    m.mail_parameters.set(&long, 320);
    for text in [
        &mut m.from,
        &mut m.from_address,
        &mut m.to,
        &mut m.subject,
        &mut m.date,
        &mut m.message_id,
    ] {
        text.set(&long, 1024);
    }
    m.rcpt_to.clear();
    for _ in 0..5000 {
        m.rcpt_to.push(&long, 320, 50);
    }
    (s, m)
}

fn findings() -> Vec<Finding> {
    let mut wire = botlike_core::base::Text::new();
    wire.set(b"evil\" key=\"value\x1b[2J \xe2\x80\xae a@b", 255);
    let open = Finding {
        entry: 0,
        level: 0,
        severity: Severity::High,
        status: Status::Open,
        host: addr("192.0.2.77"),
        count: 14,
        first_seen: at(0),
        last_seen: at(60_120),
        flow: Some(rich_session().flow),
        evidence: vec![
            Evidence { key: "dst_ips", value: EvidenceValue::Count(388) },
            Evidence { key: "limit", value: EvidenceValue::Count(120) },
            Evidence { key: "within", value: EvidenceValue::Span(HOUR) },
        ],
        not_observable: NotObservable::all(),
        direction: Direction::Outbound,
    };
    let update = Finding {
        status: Status::Update,
        level: 1,
        severity: Severity::Critical,
        flow: None,
        evidence: vec![
            Evidence { key: "share", value: EvidenceValue::Percent(50) },
            Evidence { key: "ip", value: EvidenceValue::Addr(addr("2001:db8::1")) },
            Evidence { key: "helo", value: EvidenceValue::Wire(wire.clone()) },
            Evidence { key: "word", value: EvidenceValue::Word("dial-up") },
            Evidence { key: "words", value: EvidenceValue::Words("of two \"kinds\"".into()) },
            Evidence { key: "pause", value: EvidenceValue::Span(1250 * MILLI) },
        ],
        not_observable: NotObservable::empty(),
        ..open.clone()
    };
    let huge = (0..500)
        .map(|_| Evidence { key: "helo", value: EvidenceValue::Wire(wire.clone()) })
        .collect();
    vec![
        Finding {
            status: Status::Closed,
            evidence: Vec::new(),
            entry: 999,
            flow: None,
            ..open.clone()
        },
        Finding {
            status: Status::OpenAtEnd,
            evidence: huge,
            host: addr("2001:db8::1"),
            ..open.clone()
        },
        update,
        open,
    ]
}

/// Calls `take` with every sample: rich, poor and hostile ones of each kind.
pub(crate) fn each(mut take: impl FnMut(&Line<'_>)) {
    let poor = Session {
        flow: flow("2001:db8::7", 1, "2001:db8::25"),
        end: at(102),
        ..Session::default()
    };
    let tls = Session {
        visible: Visible::UntilStarttls,
        starttls: Starttls::Established,
        ..rich_session()
    };
    let implicit =
        Session { visible: Visible::ImplicitTls, close: Some(Close::Timeout), ..poor.clone() };
    for session in [&rich_session(), &poor, &tls, &implicit] {
        for (direction, host_name, tenant) in
            [(Direction::Outbound, Some("vm-101"), Some("acme")), (Direction::Unknown, None, None)]
        {
            take(&Line::Event(at(2481), Event::Session { session, direction, host_name, tenant }));
        }
    }
    let plain = Session { flow: Flow { vlan: 0, ..rich_session().flow }, ..rich_session() };
    take(&Line::Event(
        at(7003),
        Event::Message {
            session: &plain,
            message: &plain_message(),
            direction: Direction::Outbound,
            host_name: Some("vm-101"),
            tenant: Some("acme"),
        },
    ));
    take(&Line::Event(
        at(1),
        Event::Message {
            session: &poor,
            message: &Message::default(),
            direction: Direction::Internal,
            host_name: None,
            tenant: None,
        },
    ));
    for bytes in [
        &b"\x1b[31m\"\\\0"[..],
        b"\xff\xfe",
        b"a@b\r\n",
        "é\u{202e}\u{9b}".as_bytes(),
        b"plain-",
        b"\x01",
    ] {
        let (session, message) = hostile(bytes);
        let direction = Direction::External;
        let name = "x\x1b".repeat(2000);
        let (host_name, tenant) = (Some(name.as_str()), Some(name.as_str()));
        take(&Line::Event(
            at(9),
            Event::Session { session: &session, direction, host_name, tenant },
        ));
        take(&Line::Event(
            at(9),
            Event::Message { session: &session, message: &message, direction, host_name, tenant },
        ));
    }
    for finding in &findings() {
        for (host_name, tenant) in [(Some("vm-101"), Some("acme")), (None, None)] {
            take(&Line::Event(at(60_120), Event::Finding { finding, host_name, tenant }));
        }
    }
    let counters = Counters { frames: u64::MAX, sessions: 7, ..Counters::default() };
    take(&Line::Stats(Stats { at: at(5 * MINUTE / MILLI), counters: &counters }));
    let watched: Vec<String> =
        (0..300).map(|i| format!("10.{}.{}.0/24", i / 256, i % 256)).collect();
    let ports: Vec<u16> = (1..1000).collect();
    let interfaces = (0..60)
        .map(|i| (format!("tap{i}"), if i % 2 == 0 { Observe::Metadata } else { Observe::Full }));
    let places = [
        None,
        Some(Places::default()),
        Some(Places { rung: Some(RungKind::Tcx), interfaces: interfaces.collect() }),
    ];
    let few = [(&watched[..0], &ports[..1]), (&watched[..3], &ports[..2]), (&watched, &ports)];
    for ((watched, ports), places) in few.into_iter().zip(&places) {
        take(&Line::Sensor(Sensor {
            at: at(0),
            watched,
            ports,
            memory: 64 << 20,
            config_hash: 0x9d1f,
            places: places.as_ref(),
            changed: places.as_ref().is_some_and(|p| p.rung.is_some()),
        }));
    }
}
