//! The honest sender: a mail server as they are must not be accused of anything, whatever it meets in a day.

use super::*;
use crate::dns::{Lookup, kind};

/// A mail server of the world, as the honest sender meets it.
#[derive(Clone, Copy)]
struct Peer {
    addr: Addr,
    /// Does not answer.
    dead: bool,
    starttls: bool,
    greylists: bool,
    /// Closes the connection itself now and then.
    rude: bool,
}

fn peers(random: &mut Random) -> Vec<Peer> {
    (0..600)
        .map(|n| Peer {
            addr: server(n),
            dead: random.percent(4),
            starttls: random.percent(70),
            greylists: random.percent(20),
            rude: random.percent(5),
        })
        .collect()
}

/// One session of the honest sender with a peer.
fn delivery(random: &mut Random, own: Addr, peer: Peer, number: u64) -> Session {
    let mut one = session(own, peer.addr, "mail.example.org");
    one.flow.first_frame = number;
    one.flow.client.port = 20_000 + (number % 40_000) as u16;
    one.commands = 4 + random.below(20) as u32;
    if peer.starttls {
        one.capabilities = Capability::STARTTLS | Capability::PIPELINING;
        one.starttls = Starttls::Established;
        one.visible = Visible::UntilStarttls;
        // What follows is hidden: QUIT, too.
        (one.quit, one.close) = (false, Some(Close::ClientFin));
        (one.transactions, one.messages) = (0, 0);
    }
    if peer.rude && random.percent(30) {
        (one.quit, one.close) = (false, Some(Close::ServerFin));
        one.said_421 = random.percent(50);
    }
    if random.percent(2) {
        // A server that is full: it says 421 in its greeting, and the client leaves.
        let full = session(own, peer.addr, "");
        one = Session { helo: Text::new(), commands: 0, transactions: 0, messages: 0, ..full };
        (one.greeting_code, one.quit, one.close) = (Some(421), false, Some(Close::ClientFin));
        (one.client_bytes, one.ehlo_accepted, one.flow.first_frame) = (0, false, number);
    }
    if random.percent(1) {
        one.capture = CaptureState::GAP;
    }
    one
}

/// An answer of the resolver.
fn answer(own: Addr, id: u64, kind: u16, name: &str, says: &[Addr]) -> Lookup {
    let mut lookup = Lookup {
        client: Endpoint { addr: own, port: 1024 + (id % 60_000) as u16 },
        server: Endpoint { addr: addr("45.0.2.53"), port: 53 },
        id: id as u16,
        response: true,
        recursion_desired: true,
        recursion_available: true,
        kind,
        ..Lookup::default()
    };
    lookup.name.set(name.as_bytes(), 255);
    match kind {
        kind::MX => lookup.exchanges.push(format!("mx.{name}").as_bytes(), 255, 9),
        _ => lookup.addrs.extend(says),
    }
    lookup
}

/// A whole day of facts, in their order.
fn day(seed: u64) -> Vec<(Nanos, OwnedFact)> {
    let mut random = Random::new(seed);
    let own = addr("45.0.2.10");
    let peers = peers(&mut random);
    let mut facts = Vec::new();
    let mut number = 0;
    let come = |random: &mut Random,
                at: Nanos,
                facts: &mut Vec<(Nanos, OwnedFact)>,
                number: u64| {
        // Mail that comes in, from a sender that is honest as well.
        let n = random.below(400);
        let mut one =
            session(Addr::v4([70, 1, (n >> 8) as u8, n as u8]), own, &format!("mx.sender{n}.net"));
        one.flow.first_frame = number;
        let flow = one.flow;
        facts.push((at, Fact::Opened { flow: &flow, stack: 2 }.into()));
        facts.push((at, Fact::Greeted { flow: &flow, code: 220 }.into()));
        facts.push((at + SECOND, Fact::Session { session: &one, held: false }.into()));
    };
    come(&mut random, 0, &mut facts, number);
    let mut queue: Vec<(Nanos, usize)> = Vec::new();
    for hour in 0..24 {
        for _ in 0..150 {
            let at = hour * HOUR + SECOND + random.below(HOUR);
            queue.push((at, random.below(peers.len() as u64) as usize));
        }
        for _ in 0..40 {
            number += 1;
            let at = hour * HOUR + SECOND + random.below(HOUR);
            come(&mut random, at, &mut facts, number);
        }
    }
    let mut asked = vec![0; peers.len()];
    queue.sort_unstable_by_key(|(at, _)| core::cmp::Reverse(*at));
    while let Some((at, place)) = queue.pop() {
        number += 1;
        let peer = peers[place];
        let mut one = delivery(&mut random, own, peer, number);
        one.flow.start = START.plus(at);
        let flow = one.flow;
        // It asks first, unless it has the answer still.
        if at.saturating_sub(asked[place]) > DAY / 4 || asked[place] == 0 {
            asked[place] = at;
            let domain = format!("d{place}.example");
            let mx = answer(own, 2 * number, kind::MX, &domain, &[]);
            let a = answer(own, 2 * number + 1, kind::A, &format!("mx.{domain}"), &[peer.addr]);
            for (lookup, before) in [(mx, 20), (a, 10)] {
                let fact = Fact::Dns { lookup: &lookup, losses: 0 };
                facts.push((at - before, fact.into()));
            }
        }
        facts.push((at, Fact::Opened { flow: &flow, stack: 1 }.into()));
        if peer.dead {
            let end = if place % 2 == 0 { AttemptEnd::Refused } else { AttemptEnd::TimedOut };
            facts.push((at + 2 * MINUTE, Fact::Attempt { flow: &flow, end, syns: 6 }.into()));
            // It tries again, at growing intervals, as long as the day lasts.
            let again = at + 15 * MINUTE + random.below(HOUR);
            if again < DAY && random.percent(30) {
                queue.push((again, place));
            }
            continue;
        }
        let end = AttemptEnd::Completed;
        facts.push((at, Fact::Attempt { flow: &flow, end, syns: 1 }.into()));
        let code = one.greeting_code.unwrap();
        facts.push((at, Fact::Greeted { flow: &flow, code }.into()));
        for hit in &hits(&one) {
            facts.push((at, Fact::Hit { session: &one, hit }.into()));
        }
        if peer.greylists && random.percent(50) {
            queue.push((at + 5 * MINUTE + random.below(20 * MINUTE), place));
        }
        let lasts = SECOND + random.below(50 * SECOND);
        facts.push((at + lasts, Fact::Session { session: &one, held: false }.into()));
    }
    facts.sort_by_key(|(at, _)| *at);
    facts
}

#[test]
fn an_honest_sender_is_accused_of_nothing() {
    for seed in 0..16 {
        let facts = day(seed);
        assert!(facts.len() > 10_000);
        let watched = vec![net("45.0.2.10", 32)];
        for settings in [Settings::default(), Settings { watched, ..Settings::default() }] {
            let mut court = Court::new(settings);
            facts.iter().for_each(|(at, fact)| court.push(*at, fact.as_fact()));
            court.finish();
            let first = court.told.findings.first();
            assert!(first.is_none(), "seed {seed}: {first:?}");
        }
    }
}

/// A day of a host that is no mail server: its user's names are resolved, its application writes through two relays,
/// one of which it knows by its address, and asks now and then whether a domain takes mail.
#[test]
fn an_honest_host_that_is_no_mail_server_is_accused_of_nothing() {
    for seed in 0..8 {
        let mut random = Random::new(seed + 77);
        let own = addr("45.0.2.20");
        let mut court = Court::new(Settings::default());
        let mut id = 0;
        for second in (0..24 * 3600).step_by(20) {
            let at = second * SECOND;
            id += 1;
            let name = format!("www{}.example", random.below(500));
            let web = answer(own, id, kind::A, &name, &[server(20_000 + random.below(500))]);
            court.push(at, Fact::Dns { lookup: &web, losses: 0 });
            if random.percent(2) {
                id += 1;
                let name = format!("d{}.example", random.below(2));
                let mx = answer(own, id, kind::MX, &name, &[]);
                court.push(at, Fact::Dns { lookup: &mx, losses: 0 });
            }
            if random.percent(60) {
                let relay = server(random.below(2));
                if relay == server(1) {
                    id += 1;
                    let a = answer(own, id, kind::A, "relay.example", &[relay]);
                    court.push(at, Fact::Dns { lookup: &a, losses: 0 });
                }
                let mut one = session(own, relay, "app.example.org");
                one.flow.first_frame = id;
                let flow = one.flow;
                court.push(at, Fact::Opened { flow: &flow, stack: 1 });
                let end = AttemptEnd::Completed;
                court.push(at, Fact::Attempt { flow: &flow, end, syns: 1 });
                court.push(at, Fact::Greeted { flow: &flow, code: 220 });
                court.push(at + SECOND, Fact::Session { session: &one, held: false });
            }
        }
        court.finish();
        let first = court.told.findings.first();
        assert!(first.is_none(), "seed {seed}: {first:?}");
    }
}

/// The same day with one thing changed is seen: the property above can fail.
#[test]
fn a_dishonest_day_is_seen() {
    type Change = fn(&mut Session);
    let changes: [(&str, Change); 3] = [
        ("session.no_quit", |s| {
            (s.quit, s.visible) = (false, Visible::Plain);
            (s.close, s.said_421) = (Some(Close::ClientFin), false);
        }),
        ("helo.varies_per_ip", |s| {
            let name = format!("mail.example{}.org", s.flow.first_frame % 7);
            s.helo.set(name.as_bytes(), 255);
        }),
        ("dialect.ignores_starttls", |s| {
            (s.starttls, s.visible) = (Starttls::Unused, Visible::Plain);
            (s.transactions, s.quit) = (1, true);
        }),
    ];
    for (expected, change) in changes {
        let mut court = Court::new(Settings::default());
        for (at, mut fact) in day(1) {
            if let OwnedFact::Session(session, _) = &mut fact
                && session.flow.client.addr == addr("45.0.2.10")
            {
                change(session);
            }
            court.push(at, fact.as_fact());
        }
        let mut ids: Vec<_> = court.told.findings.iter().map(|(_, f)| id(f)).collect();
        ids.dedup();
        assert!(!ids.is_empty() && ids.iter().all(|id| *id == expected), "{expected}: {ids:?}");
    }
}
