//! Who is judged: watched hosts, direction, role, names.

use super::*;

const OURS: &str = "45.0.2.10";
const ALSO_OURS: &str = "45.0.2.11";
const THEIRS: &str = "93.184.3.4";
const OTHERS: &str = "93.184.9.9";

fn watching() -> Settings {
    let rule = |text, role, name: &str| HostRule {
        net: net(text, 32),
        role,
        name: Some(name.into()),
        tenant: Some(format!("tenant of {name}")),
    };
    Settings {
        watched: vec![net("45.0.2.0", 24)],
        hosts: vec![rule(OURS, Role::Unknown, "ours"), rule(THEIRS, Role::Mta, "theirs")],
        ..Settings::default()
    }
}

#[test]
fn directions() {
    use Direction::{External, Inbound, Internal, Outbound, Unknown};
    for (client, server, direction) in [
        (OURS, THEIRS, Outbound),
        (THEIRS, OURS, Inbound),
        (OURS, ALSO_OURS, Internal),
        (THEIRS, OTHERS, External),
    ] {
        for (settings, expected) in [(watching(), direction), (Settings::default(), Unknown)] {
            let mut court = Court::new(settings);
            court.says(0, client, server, "mail.example.org");
            let end = format!(" {expected:?} ");
            assert!(court.told.lines[0].contains(&end), "{client} {server} {expected:?}");
        }
    }
}

#[test]
fn the_client_is_judged_unless_neither_is_watched() {
    let localhost = ("helo.localhost", Status::Open, 0);
    for (client, server, expected) in [
        (OURS, THEIRS, &[localhost][..]),
        (THEIRS, OURS, &[localhost]),
        (OURS, ALSO_OURS, &[localhost]),
        (THEIRS, OTHERS, &[]),
    ] {
        let mut court = Court::new(watching());
        court.says(0, client, server, "localhost");
        assert_eq!(court.story(), expected, "{client} to {server}");
        assert!(court.told.findings.iter().all(|(_, f)| f.host == addr(client)));
    }
}

/// Everything that a host can do wrong, many times over.
fn rampage(court: &mut Court, client: &str, servers: impl Fn(u64) -> Addr) {
    for n in 0..300 {
        let mut one = session(addr(client), servers(n), &format!("desk{n}"));
        one.flow.first_frame = n;
        one.capabilities = Capability::STARTTLS;
        (one.quit, one.close) = (false, Some(Close::ClientFin));
        let flow = &one.flow.clone();
        let at = n * SECOND;
        court.push(at, Fact::Opened { flow, stack: 1 });
        court.push(at, Fact::Attempt { flow, end: AttemptEnd::Refused, syns: 1 });
        for _ in 0..3 {
            court.push(at, Fact::Held { session: &one, idle: 60 * SECOND });
        }
        court.talks(at, one.clone());
        (one.client_bytes, one.commands) = (0, 0);
        court.talks(at, one);
    }
}

fn ids(court: &Court) -> Vec<&'static str> {
    let mut ids: Vec<_> = court.told.findings.iter().map(|(_, f)| id(f)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[test]
fn strangers_are_judged_only_by_what_is_meant_for_them() {
    let mut court = Court::new(watching());
    rampage(&mut court, THEIRS, |n| Addr::v4([45, 0, 2, n as u8]));
    let inbound =
        ["helo.unqualified", "helo.varies_per_ip", "session.empty_connect", "session.no_quit"];
    assert_eq!(ids(&court), inbound);
    assert!(court.told.findings.iter().all(|(_, f)| f.direction == Direction::Inbound));

    let mut court = Court::new(watching());
    rampage(&mut court, OURS, server);
    let out = [
        "dialect.ignores_starttls",
        "fanout.conn_rate",
        "fanout.dst_ips",
        "fanout.egress_blocked",
        "fanout.port25_sweep",
    ];
    let hold = "session.hold_open";
    let mut all = [&out[..], &inbound[..2], &[inbound[2], hold, inbound[3]]].concat();
    all.sort_unstable();
    assert_eq!(ids(&court), all);
}

#[test]
fn external_traffic_is_never_judged_and_no_host_of_it_kept() {
    let mut court = Court::new(watching());
    rampage(&mut court, THEIRS, server);
    let flow = session(addr(THEIRS), addr(OTHERS), "x").flow;
    court.push(0, Fact::Greeted { flow: &flow, code: 220 });
    let flow = session(addr(OURS), addr(OTHERS), "x").flow;
    court.push(0, Fact::Greeted { flow: &flow, code: 220 });
    assert_eq!((ids(&court), court.judge.counters().hosts), (vec![], 0));
}

/// `host.name` and the tenant are those of the watched host: of what comes in, the server.
#[test]
fn names_of_the_inventory() {
    let name = |text: &str| (Some(text.to_string()), Some(format!("tenant of {text}")));
    for (client, server, expected) in [
        (OURS, OTHERS, name("ours")),
        (OTHERS, OURS, name("ours")),
        (THEIRS, OURS, name("ours")),
        (OURS, ALSO_OURS, name("ours")),
        (ALSO_OURS, OURS, (None, None)),
        (THEIRS, OTHERS, (None, None)),
    ] {
        let mut court = Court::new(watching());
        court.says(0, client, server, "localhost");
        court.finish();
        let told = &court.told.names;
        assert!(
            !told.is_empty() && told.iter().all(|n| *n == expected),
            "{client} to {server}: {told:?}"
        );
    }
    let mut court = Court::new(Settings { watched: vec![], ..watching() });
    court.says(0, OURS, OTHERS, "localhost");
    assert!(court.told.names.iter().all(|n| *n == name("ours")));
}

#[test]
fn the_first_rule_that_fits_holds() {
    let mut settings = watching();
    settings.hosts.push(HostRule {
        net: net("45.0.2.0", 24),
        role: Role::Mta,
        name: None,
        tenant: None,
    });
    for (client, found) in [
        (OURS, vec!["fanout.conn_rate", "fanout.dst_ips", "fanout.port25_sweep"]),
        (ALSO_OURS, vec![]),
    ] {
        let mut court = Court::new(settings.clone());
        for n in 0..50 {
            let flow = session(addr(client), server(n), "").flow;
            court.push(0, Fact::Opened { flow: &flow, stack: 1 });
        }
        assert_eq!(ids(&court), found, "{client}");
    }
}

/// Who answers 220 on port 25 is a mail host.
#[test]
fn a_role_is_learned_from_a_greeting() {
    for (code, port, settings, found) in [
        (220, 25, watching(), false),
        (220, 25, Settings::default(), false),
        (554, 25, watching(), true),
        (421, 25, watching(), true),
        (220, 587, watching(), true),
    ] {
        let mut court = Court::new(settings);
        let mut flow = session(addr(THEIRS), addr(OURS), "").flow;
        flow.server.port = port;
        court.push(0, Fact::Greeted { flow: &flow, code });
        for n in 0..50 {
            let flow = session(addr(OURS), server(n), "").flow;
            court.push(SECOND, Fact::Opened { flow: &flow, stack: 1 });
        }
        assert_eq!(ids(&court).contains(&"fanout.dst_ips"), found, "{code} at {port}");
    }
}

#[test]
fn what_was_not_observable() {
    let unseen = |settings, visible| {
        let mut court = Court::new(settings);
        let one = Session { visible, ..session(addr(OURS), addr(THEIRS), "localhost") };
        court.talks(0, one);
        court.told.findings[0].1.not_observable
    };
    let plain = unseen(watching(), Visible::Plain);
    assert_eq!(plain, NotObservable::PROCESS);
    assert_eq!(unseen(Settings::default(), Visible::Plain), plain | NotObservable::DIRECTION);
    assert_eq!(unseen(watching(), Visible::UntilStarttls), plain | NotObservable::TLS);
}
