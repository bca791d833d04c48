#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::base::{Addr, Endpoint, MINUTE, SECOND};

const CLIENT: Endpoint = Endpoint { addr: Addr::v4([192, 0, 2, 10]), port: 40_000 };
const SERVER: Endpoint = Endpoint { addr: Addr::v4([198, 51, 100, 25]), port: 25 };

/// A frame of a script: nanoseconds, who sent it, flags, sequence number, acknowledgement, payload.
#[derive(Clone)]
struct Shot {
    at: u64,
    src: Endpoint,
    dst: Endpoint,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    payload: Vec<u8>,
}

impl Shot {
    fn segment(&self) -> Segment<'_> {
        Segment {
            src: self.src,
            dst: self.dst,
            seq: self.seq,
            ack: self.ack,
            flags: self.flags,
            window: 1000,
            ttl: 64,
            options: &[],
            payload: &self.payload,
            len: self.payload.len() as u32,
            vlan: 0,
            iface: 0,
        }
    }
}

/// Two hosts that talk, with right numbers.
struct Wire {
    at: u64,
    ends: [Endpoint; 2],
    next: [u32; 2],
    shots: Vec<Shot>,
}

impl Wire {
    fn new(client: Endpoint, server: Endpoint, at: u64) -> Self {
        Self { at, ends: [client, server], next: [1000, 5000], shots: Vec::new() }
    }

    fn send(&mut self, side: Side, flags: TcpFlags, payload: &str) -> &mut Self {
        let (me, other) = (side as usize, side.other() as usize);
        let ack = if flags.contains(TcpFlags::ACK) { self.next[other] } else { 0 };
        self.shots.push(Shot {
            at: self.at,
            src: self.ends[me],
            dst: self.ends[other],
            flags,
            seq: self.next[me],
            ack,
            payload: payload.as_bytes().to_vec(),
        });
        let counted = flags.intersects(TcpFlags::SYN | TcpFlags::FIN);
        self.next[me] = self.next[me].wrapping_add(payload.len() as u32 + u32::from(counted));
        self.at += 10_000_000;
        self
    }

    fn shake(&mut self) -> &mut Self {
        self.send(Side::Client, TcpFlags::SYN, "");
        self.send(Side::Server, TcpFlags::SYN | TcpFlags::ACK, "");
        self.send(Side::Client, TcpFlags::ACK, "")
    }

    fn say(&mut self, side: Side, text: &str) -> &mut Self {
        self.send(side, TcpFlags::ACK | TcpFlags::PSH, text)
    }

    fn fin(&mut self, side: Side) -> &mut Self {
        self.send(side, TcpFlags::ACK | TcpFlags::FIN, "")
    }

    fn mail(&mut self) -> &mut Self {
        self.shake()
            .say(Side::Server, "220 mx ESMTP\r\n")
            .say(Side::Client, "EHLO mail.example.org\r\n");
        self.say(Side::Server, "250-mx\r\n250 PIPELINING\r\n")
            .say(Side::Client, "MAIL FROM:<a@example.org>\r\n");
        self.say(Side::Server, "250 ok\r\n").say(Side::Client, "RCPT TO:<b@example.net>\r\n");
        self.say(Side::Server, "250 ok\r\n")
            .say(Side::Client, "DATA\r\n")
            .say(Side::Server, "354 go\r\n");
        self.say(Side::Client, "Subject: hi\r\n\r\nhello\r\n.\r\n")
            .say(Side::Server, "250 queued\r\n");
        self.say(Side::Client, "QUIT\r\n")
            .say(Side::Server, "221 bye\r\n")
            .fin(Side::Server)
            .fin(Side::Client)
    }

    fn pause(&mut self, nanos: u64) -> &mut Self {
        self.at += nanos;
        self
    }
}

fn settings() -> Settings {
    Settings {
        limits: Limits::default(),
        tuning: Tuning::default(),
        ports: Ports::new(&[25]),
        hold_after: 60 * SECOND,
        seed: 1,
    }
}

type Told = Vec<(Stamp, Key, OwnedFact)>;

fn play(settings: Settings, shots: &[Shot]) -> (Told, Tracker) {
    let mut tracker = Tracker::new(settings);
    let mut told = Told::new();
    for (n, shot) in shots.iter().enumerate() {
        let input = Input::Frame { number: n as u64 + 1, segment: shot.segment() };
        tracker.push(Stamp::from_nanos(shot.at), input, &mut told);
    }
    (told, tracker)
}

/// Ends a chain.
fn unit(_: &mut Wire) {}

/// One word for each fact.
fn words(told: &Told) -> Vec<String> {
    told.iter()
        .map(|(at, _, fact)| {
            let seconds = at.as_nanos() / SECOND;
            match fact {
                OwnedFact::Opened(..) => "opened".into(),
                OwnedFact::Attempt(_, end, syns) => format!("{end:?} after {syns} at {seconds}"),
                OwnedFact::Greeted(_, code) => format!("greeted {code}"),
                OwnedFact::Held(_, idle) => format!("held {} at {seconds}", idle / SECOND),
                OwnedFact::Message(both) => format!("message {:?}", both.1.outcome),
                OwnedFact::Session(s, held) => {
                    format!("session {:?} {:?} {held} at {seconds}", s.close.unwrap(), s.capture)
                }
                OwnedFact::Dns(lookup, _) => format!("dns {:?}", lookup.name),
                OwnedFact::Hit(both) => format!("hit {}", both.1.entry),
            }
        })
        .filter(|word: &String| !word.starts_with("hit"))
        .collect()
}

#[test]
fn an_ordinary_session() {
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.mail();
    let (told, tracker) = play(settings(), &wire.shots);
    assert_eq!(
        words(&told),
        [
            "opened",
            "Completed after 1 at 0",
            "greeted 220",
            "message Accepted",
            "session Quit CaptureState(0x0) false at 0"
        ]
    );
    let OwnedFact::Session(session, _) = &told.last().unwrap().2 else { panic!("not a session") };
    assert_eq!((session.client_packets, session.server_packets), (9, 9));
    assert_eq!(session.helo.as_bytes(), b"mail.example.org");
    assert_eq!(session.messages, 1);
    assert_eq!(tracker.flows(), 1, "it lingers to catch late packets");
}

#[test]
fn attempts_end_by_reset_or_in_time() {
    let mut refused = Wire::new(CLIENT, SERVER, 0);
    refused.send(Side::Client, TcpFlags::SYN, "").send(
        Side::Server,
        TcpFlags::RST | TcpFlags::ACK,
        "",
    );
    assert_eq!(words(&play(settings(), &refused.shots).0), ["opened", "Refused after 1 at 0"]);

    let mut silent = Wire::new(CLIENT, SERVER, 0);
    for _ in 0..3 {
        silent.send(Side::Client, TcpFlags::SYN, "").pause(SECOND);
        silent.next[0] = 1000;
    }
    let (mut told, mut tracker) = play(settings(), &silent.shots);
    tracker.push(Stamp::from_nanos(10 * MINUTE), Input::Idle { number: 9 }, &mut told);
    assert_eq!(words(&told), ["opened", "TimedOut after 3 at 123"], "stamped with the deadline");
    assert_eq!(tracker.flows(), 0);
}

#[test]
fn a_connection_held_open_is_found_while_it_is_open() {
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.shake()
        .say(Side::Server, "220 mx\r\n")
        .say(Side::Client, "EHLO x.example.org\r\n")
        .say(Side::Server, "250 mx\r\n");
    let (mut told, mut tracker) = play(settings(), &wire.shots);
    told.clear();
    tracker.push(Stamp::from_nanos(70 * SECOND), Input::Idle { number: 9 }, &mut told);
    assert_eq!(words(&told), ["held 60 at 61"]);
    tracker.push(Stamp::from_nanos(80 * SECOND), Input::Idle { number: 9 }, &mut told);
    assert_eq!(told.len(), 1, "said once");
    tracker.push(Stamp::from_nanos(30 * MINUTE), Input::Idle { number: 9 }, &mut told);
    assert_eq!(words(&told)[1..], ["session Timeout CaptureState(0x0) true at 601"]);
}

#[test]
fn a_server_that_is_slow_is_not_the_clients_fault() {
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.shake().say(Side::Server, "220 mx\r\n").say(Side::Client, "EHLO x.example.org\r\n");
    let (mut told, mut tracker) = play(settings(), &wire.shots);
    tracker.push(Stamp::from_nanos(5 * MINUTE), Input::Idle { number: 9 }, &mut told);
    assert!(!words(&told).iter().any(|w| w.starts_with("held")));
}

#[test]
fn ports_are_used_again() {
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.mail();
    wire.next = [90_000, 70_000];
    wire.mail();
    let (told, _) = play(settings(), &wire.shots);
    assert_eq!(words(&told).iter().filter(|w| w.starts_with("session Quit")).count(), 2);
    // Also when the end of the first one was not seen.
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.shake().say(Side::Server, "220 mx\r\n");
    wire.next = [90_000, 70_000];
    wire.mail();
    let words = words(&play(settings(), &wire.shots).0);
    assert!(words.contains(&"session Timeout CaptureState(0x0) false at 0".into()), "{words:?}");
    assert!(words.contains(&"session Quit CaptureState(0x0) false at 0".into()), "{words:?}");
}

#[test]
fn ports_are_used_again_and_no_syn_was_seen() {
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.mail();
    // Late packets of the first connection, then the next one.
    let late: Vec<Shot> = wire.shots[14..].to_vec();
    wire.shots.extend(late);
    wire.next = [900_000, 700_000];
    wire.mail();
    wire.shots.retain(|s| !s.flags.contains(TcpFlags::SYN));
    let words = words(&play(settings(), &wire.shots).0);
    assert_eq!(words.iter().filter(|w| w.starts_with("message Accepted")).count(), 2, "{words:?}");
    assert_eq!(words.iter().filter(|w| w.starts_with("session Quit")).count(), 2, "{words:?}");
}

#[test]
fn who_ended_it() {
    let body = |end: &dyn Fn(&mut Wire)| {
        let mut wire = Wire::new(CLIENT, SERVER, 0);
        wire.shake()
            .say(Side::Server, "220 mx\r\n")
            .say(Side::Client, "EHLO x.example.org\r\n")
            .say(Side::Server, "250 mx\r\n");
        end(&mut wire);
        let (mut told, mut tracker) = play(settings(), &wire.shots);
        tracker.finish(&mut told);
        words(&told).last().unwrap().split(' ').nth(1).map(String::from).unwrap()
    };
    let fins = |a, b| move |w: &mut Wire| unit(w.fin(a).fin(b));
    assert_eq!(body(&fins(Side::Client, Side::Server)), "ClientFin");
    assert_eq!(body(&fins(Side::Server, Side::Client)), "ServerFin");
    assert_eq!(body(&|w| unit(w.send(Side::Client, TcpFlags::RST, ""))), "ClientRst");
    assert_eq!(body(&|w| unit(w.send(Side::Server, TcpFlags::RST, ""))), "ServerRst");
    assert_eq!(
        body(&|w| unit(w.fin(Side::Server).send(Side::Client, TcpFlags::RST, ""))),
        "ServerFin"
    );
    assert_eq!(body(&|_| ()), "EndOfCapture");
    assert_eq!(
        body(&|w| unit(w.say(Side::Client, "QUIT\r\n").send(Side::Client, TcpFlags::RST, ""))),
        "Quit"
    );
}

#[test]
fn a_reset_from_far_away_is_not_believed() {
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.shake().say(Side::Server, "220 mx\r\n");
    wire.next[0] = 0xc000_0000;
    wire.send(Side::Client, TcpFlags::RST, "");
    let (told, tracker) = play(settings(), &wire.shots);
    assert!(!words(&told).iter().any(|w| w.starts_with("session")));
    assert_eq!(tracker.counters().malformed, 1);
}

#[test]
fn joined_late_and_one_side_only() {
    let mut wire = Wire::new(CLIENT, SERVER, 0);
    wire.mail();
    let late: Vec<Shot> = wire.shots[3..].to_vec();
    let late = words(&play(settings(), &late).0);
    assert!(late.last().unwrap().contains("CaptureState(JOINED_LATE)"), "{late:?}");
    let client: Vec<Shot> = wire.shots.iter().filter(|s| s.src == CLIENT).cloned().collect();
    let (mut told, mut tracker) = play(settings(), &client);
    tracker.finish(&mut told);
    let words = words(&told);
    assert!(words.contains(&"message Unanswered".into()), "{words:?}");
    assert!(words.last().unwrap().contains("CaptureState(ONE_SIDED)"), "{words:?}");
}

#[test]
fn a_full_table_gives_up_what_came_first() {
    let mut settings = settings();
    settings.limits.flows = 2;
    let shots: Vec<Shot> = (0..3u16)
        .flat_map(|n| {
            let mut wire =
                Wire::new(Endpoint { port: 1000 + n, ..CLIENT }, SERVER, u64::from(n) * SECOND);
            wire.shake().say(Side::Server, "220 mx\r\n");
            wire.shots
        })
        .collect();
    let (told, tracker) = play(settings, &shots);
    assert_eq!(tracker.counters().flows_evicted, 1);
    let evicted = told.iter().find_map(|(_, _, fact)| match fact {
        OwnedFact::Session(s, _) => Some((s.flow.client.port, s.close)),
        _ => None,
    });
    assert_eq!(evicted, Some((1000, Some(Close::Evicted))));
}

#[test]
fn too_many_dialogues_leave_their_headers() {
    let mut settings = settings();
    settings.limits.sessions = 1;
    let mut shots = Vec::new();
    for n in 0..2u16 {
        let mut wire = Wire::new(Endpoint { port: 1000 + n, ..CLIENT }, SERVER, u64::from(n));
        wire.shake().say(Side::Server, "220 mx\r\n");
        shots.extend(wire.shots);
    }
    let (mut told, mut tracker) = play(settings, &shots);
    tracker.finish(&mut told);
    assert!(tracker.counters().sessions_refused > 0);
    let visible: Vec<Visible> = told
        .iter()
        .filter_map(|(_, _, fact)| match fact {
            OwnedFact::Session(s, _) => Some(s.visible),
            _ => None,
        })
        .collect();
    assert_eq!(visible, [Visible::Plain, Visible::Headers]);
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n.max(1)
    }
}

/// Sessions of several clients, mixed, with pauses long enough to expire, and now and then a stamp from elsewhere.
fn traffic(random: &mut Random) -> Vec<Shot> {
    let mut shots = Vec::new();
    for n in 0..12u16 {
        let client = Endpoint { addr: Addr::v4([192, 0, 2, (n % 5) as u8]), port: 1000 + n % 7 };
        let mut wire = Wire::new(client, SERVER, random.below(20 * MINUTE));
        match random.below(4) {
            0 => unit(wire.send(Side::Client, TcpFlags::SYN, "")),
            1 => unit(
                wire.shake().say(Side::Server, "220 mx\r\n").pause(3 * MINUTE).fin(Side::Client),
            ),
            2 => unit(wire.mail()),
            _ => {
                wire.mail();
                let n = random.below(wire.shots.len() as u64) as usize;
                wire.shots.remove(n);
            }
        }
        shots.extend(wire.shots);
    }
    shots.sort_by_key(|s| s.at);
    if random.below(3) == 0 {
        let n = random.below(shots.len() as u64) as usize;
        shots[n].at = random.below(1 << 62);
    }
    shots
}

fn whole(told: &Told) -> Vec<String> {
    told.iter().map(|(at, _, fact)| format!("{at:?} {fact:?}")).collect()
}

#[test]
fn idle_anywhere_changes_nothing() {
    for seed in 1..300u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let shots = traffic(&mut random);
        let (mut plain, mut tracker) = play(settings(), &shots);
        tracker.finish(&mut plain);
        let mut tracker = Tracker::new(settings());
        let mut told = Told::new();
        let mut before = 0;
        for (n, shot) in shots.iter().enumerate() {
            let number = n as u64 + 1;
            if before <= shot.at {
                for _ in 0..random.below(3) {
                    before += random.below(shot.at - before + 1);
                    tracker.push(Stamp::from_nanos(before), Input::Idle { number }, &mut told);
                }
            }
            before = shot.at;
            tracker.push(
                Stamp::from_nanos(shot.at),
                Input::Frame { number, segment: shot.segment() },
                &mut told,
            );
        }
        tracker.finish(&mut told);
        assert_eq!(whole(&told), whole(&plain), "seed {seed}");
    }
}

#[test]
fn the_number_of_workers_changes_nothing() {
    for seed in 1..300u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let shots = traffic(&mut random);
        let (mut plain, mut tracker) = play(settings(), &shots);
        tracker.finish(&mut plain);
        assert!(plain.windows(2).all(|w| w[0].1 < w[1].1), "seed {seed}: keys rise");
        for workers in [2, 3] {
            let mut merged = Told::new();
            for worker in 0..workers {
                let mut tracker = Tracker::new(Settings { seed: seed + worker, ..settings() });
                for (n, shot) in shots.iter().enumerate() {
                    let number = n as u64 + 1;
                    let port = shot.src.port.max(shot.dst.port);
                    let input = if u64::from(port) % workers == worker {
                        Input::Frame { number, segment: shot.segment() }
                    } else {
                        Input::Idle { number }
                    };
                    tracker.push(Stamp::from_nanos(shot.at), input, &mut merged);
                }
                tracker.finish(&mut merged);
            }
            merged.sort_by_key(|(_, key, _)| *key);
            assert_eq!(whole(&merged), whole(&plain), "seed {seed}, {workers} workers");
        }
    }
}

#[test]
fn random_segments_do_no_harm() {
    for seed in 1..100u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut settings = settings();
        settings.limits.flows = 8;
        settings.limits.sessions = 4;
        settings.limits.reorder_total = 1000;
        let mut tracker = Tracker::new(settings);
        let mut told = Told::new();
        let texts: [&[u8]; 6] = [
            b"",
            b"220 x\r\n",
            b"DATA\r\n",
            b"EHLO a\r\nMAIL FROM:<>\r\n",
            b"\r\n.\r\n",
            &[0; 700],
        ];
        for number in 1..2000u64 {
            let ends = [CLIENT, SERVER].map(|e| Endpoint {
                port: e.port + random.below(6) as u16 % 6 * u16::from(e == CLIENT),
                ..e
            });
            let (src, dst) =
                if random.below(2) == 0 { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
            let payload = texts[random.below(6) as usize];
            let shot = Shot {
                at: random.below(1 << 40),
                src,
                dst,
                flags: TcpFlags::from_bits_truncate(random.below(64) as u8),
                seq: random.below(3000) as u32,
                ack: random.below(3000) as u32,
                payload: payload.to_vec(),
            };
            tracker.push(
                Stamp::from_nanos(shot.at),
                Input::Frame { number, segment: shot.segment() },
                &mut told,
            );
            assert!(tracker.flows() <= 8 && tracker.open_sessions <= 4, "seed {seed}");
            assert!(tracker.reserve.held() <= 1000, "seed {seed}");
        }
        tracker.finish(&mut told);
        assert_eq!(
            (tracker.flows(), tracker.open_sessions, tracker.reserve.held()),
            (0, 0, 0),
            "seed {seed}"
        );
    }
}

#[test]
fn no_frames_no_facts() {
    let (mut told, mut tracker) = play(settings(), &[]);
    tracker.finish(&mut told);
    assert!(told.is_empty());
}
