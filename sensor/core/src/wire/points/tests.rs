#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::base::{Addr, MILLI, MINUTE, SECOND};

fn end(host: u8, port: u16) -> Endpoint {
    Endpoint { addr: Addr::v4([192, 0, 2, host]), port }
}

const GUEST: u8 = 10;
const NAT: u8 = 1;
const SERVER: u8 = 25;

/// A packet: from, to, flags, sequence and acknowledgement number.
#[derive(Clone, Copy, Debug)]
struct Packet {
    src: Endpoint,
    dst: Endpoint,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
    /// TCP time stamp; 0: none.
    stamp: u32,
    window: u16,
}

impl Packet {
    fn new(src: Endpoint, dst: Endpoint, flags: TcpFlags, seq: u32, ack: u32) -> Self {
        Self { src, dst, flags, seq, ack, stamp: 0, window: 1000 }
    }

    /// The same with one address in the place of another.
    fn with(self, from: Endpoint, to: Endpoint) -> Self {
        let map = |end| if end == from { to } else { end };
        Self { src: map(self.src), dst: map(self.dst), ..self }
    }
}

struct Seen {
    points: Points,
    counters: Counters,
}

impl Seen {
    fn new() -> Self {
        Self::with(&Limits::default())
    }

    fn with(limits: &Limits) -> Self {
        Self { points: Points::new(limits, 7), counters: Counters::default() }
    }

    /// Whether it is let through.
    fn shows(&mut self, at: Nanos, iface: u32, packet: Packet) -> bool {
        let mut options = vec![1, 1, 8, 10];
        options.extend(packet.stamp.to_be_bytes());
        options.extend([0; 4]);
        let segment = Segment {
            src: packet.src,
            dst: packet.dst,
            seq: packet.seq,
            ack: packet.ack,
            flags: packet.flags,
            window: packet.window,
            ttl: 64,
            options: if packet.stamp == 0 { &[] } else { &options },
            payload: &[],
            len: 0,
            vlan: 0,
            iface,
        };
        let at = Stamp::from_nanos(1_000 * SECOND + at);
        !self.points.passes_over(at, &segment, &mut self.counters)
    }

    fn copies(&self) -> (u64, u64) {
        (self.counters.copies, self.counters.copies_translated)
    }
}

fn syn(src: Endpoint, dst: Endpoint, isn: u32) -> Packet {
    Packet::new(src, dst, TcpFlags::SYN, isn, 0)
}

/// The answer to a SYN.
fn answer(syn: Packet, isn: u32) -> Packet {
    Packet::new(syn.dst, syn.src, TcpFlags::SYN | TcpFlags::ACK, isn, syn.seq.wrapping_add(1))
}

fn data(src: Endpoint, dst: Endpoint) -> Packet {
    Packet::new(src, dst, TcpFlags::ACK, 100, 100)
}

const TAP: u32 = 3;
const UPLINK: u32 = 8;

#[test]
fn one_point_alone_is_never_asked() {
    let mut seen = Seen::new();
    let (guest, server) = (end(GUEST, 4000), end(SERVER, 25));
    for n in 0..10 {
        assert!(seen.shows(n, TAP, syn(guest, server, 5)));
        assert!(seen.shows(n, TAP, data(server, guest)));
    }
    assert_eq!(seen.copies(), (0, 0));
    assert!(!seen.points.several);
}

#[test]
fn a_direction_belongs_to_the_point_that_showed_it_first() {
    let mut seen = Seen::new();
    let (guest, server) = (end(GUEST, 4000), end(SERVER, 25));
    let syn = syn(guest, server, 5);
    assert!(seen.shows(0, TAP, syn));
    assert!(!seen.shows(1, UPLINK, syn), "also that of the first packet of all");
    assert!(seen.shows(MILLI, UPLINK, answer(syn, 9)));
    assert!(!seen.shows(MILLI, TAP, answer(syn, 9)));
    assert!(seen.shows(2 * MILLI, TAP, data(guest, server)));
    assert!(!seen.shows(2 * MILLI, UPLINK, data(guest, server)));
    assert!(!seen.shows(2 * MILLI, 77, data(guest, server)), "a third point");
    assert_eq!(seen.copies(), (4, 0));
}

#[test]
fn the_first_packet_that_is_no_syn_has_its_owner_too() {
    let mut seen = Seen::new();
    let (guest, server) = (end(GUEST, 4000), end(SERVER, 25));
    assert!(seen.shows(0, TAP, data(guest, server)));
    assert!(!seen.shows(1, UPLINK, data(guest, server)));
}

#[test]
fn another_point_takes_over_after_silence_only() {
    let mut seen = Seen::new();
    let (guest, server) = (end(GUEST, 4000), end(SERVER, 25));
    assert!(seen.shows(0, TAP, data(guest, server)));
    assert!(!seen.shows(5 * SECOND - 1, UPLINK, data(guest, server)));
    assert!(seen.shows(5 * SECOND, UPLINK, data(guest, server)));
    assert!(!seen.shows(5 * SECOND + 1, TAP, data(guest, server)), "it owns it now");
}

#[test]
fn where_nothing_is_told_apart_everything_is_shown() {
    let mut seen = Seen::new();
    seen.points.tell_nothing_apart();
    let (guest, server) = (end(GUEST, 4000), end(SERVER, 25));
    for point in 0..100 {
        assert!(seen.shows(u64::from(point), point, data(guest, server)));
    }
}

/// The guest's connection on the tap, and on the uplink with the address of the host.
fn masquerade() -> (Packet, Packet) {
    let (guest, nat, server) = (end(GUEST, 4000), end(NAT, 61_000), end(SERVER, 25));
    let mut inner = syn(guest, server, 5);
    inner.stamp = 77;
    (inner, inner.with(guest, nat))
}

#[test]
fn a_connection_behind_source_nat_is_one() {
    let mut seen = Seen::new();
    let (inner, outer) = masquerade();
    assert!(seen.shows(0, TAP, inner));
    assert!(!seen.shows(1000, UPLINK, outer));
    let (inside, outside) = (answer(inner, 9), answer(outer, 9));
    assert!(!seen.shows(MILLI, UPLINK, outside), "the reply passes the uplink first");
    assert!(seen.shows(MILLI + 10, TAP, inside));
    assert!(seen.shows(2 * MILLI, TAP, data(inner.src, inner.dst)));
    assert!(!seen.shows(2 * MILLI, UPLINK, data(outer.src, outer.dst)));
    assert_eq!(seen.copies(), (0, 3));
}

#[test]
fn a_connection_behind_destination_nat_is_one() {
    let mut seen = Seen::new();
    let (client, public, guest) = (end(200, 4000), end(NAT, 25), end(GUEST, 25));
    let outer = syn(client, public, 5);
    let inner = outer.with(public, guest);
    assert!(seen.shows(0, UPLINK, outer));
    assert!(!seen.shows(1000, TAP, inner));
    assert!(!seen.shows(MILLI, TAP, answer(inner, 9)), "the reply passes the tap first");
    assert!(seen.shows(MILLI + 10, UPLINK, answer(outer, 9)));
}

#[test]
fn what_is_not_the_same_connection_is_not_joined() {
    let (inner, outer) = masquerade();
    let other = end(99, 26);
    let cases: &[(&str, Packet, u32, Nanos)] = &[
        ("another number", Packet { seq: 6, ..outer }, UPLINK, 1),
        ("another time stamp", Packet { stamp: 78, ..outer }, UPLINK, 1),
        ("another window", Packet { window: 1001, ..outer }, UPLINK, 1),
        ("both ends differ", outer.with(outer.dst, other), UPLINK, 1),
        ("the same point", outer, TAP, 1),
        ("long after", outer, UPLINK, 2 * SECOND + 1),
    ];
    for (case, packet, iface, at) in cases {
        let mut seen = Seen::new();
        assert!(seen.shows(0, 99, data(other, other)));
        assert!(seen.shows(0, TAP, inner));
        assert!(seen.shows(*at, *iface, *packet), "{case}");
    }
    // Without time stamps the number is enough.
    let mut seen = Seen::new();
    assert!(seen.shows(0, TAP, Packet { stamp: 0, ..inner }));
    assert!(!seen.shows(1, UPLINK, outer));
}

#[test]
fn an_alias_waits_while_the_owner_is_only_idle() {
    let mut seen = Seen::new();
    let (inner, outer) = masquerade();
    assert!(seen.shows(0, TAP, inner));
    assert!(!seen.shows(10, UPLINK, outer));
    // Keep-alives from outside, each after a pause, pass the uplink before the tap.
    for n in 1..20 {
        let at = n * 30 * SECOND;
        assert!(!seen.shows(at, UPLINK, data(outer.dst, outer.src)), "{n}");
        assert!(seen.shows(at + 10, TAP, data(inner.dst, inner.src)), "{n}");
        assert!(seen.shows(at + MILLI, TAP, data(inner.src, inner.dst)), "{n}");
        assert!(!seen.shows(at + MILLI + 10, UPLINK, data(outer.src, outer.dst)), "{n}");
    }
}

#[test]
fn an_alias_takes_over_when_it_goes_on_alone() {
    let mut seen = Seen::new();
    let (inner, outer) = masquerade();
    assert!(seen.shows(0, TAP, inner));
    assert!(!seen.shows(10, UPLINK, outer));
    let mut first = None;
    for n in 0..100 {
        let at = MINUTE + n * 200 * MILLI;
        if seen.shows(at, UPLINK, data(outer.src, outer.dst)) {
            first.get_or_insert(at);
        } else {
            assert_eq!(first, None, "once it is its own it stays so");
        }
    }
    assert_eq!(first, Some(MINUTE + 5 * SECOND));
    // The reply is its own, too, and another point's view of it a copy.
    assert!(seen.shows(2 * MINUTE, UPLINK, data(outer.dst, outer.src)));
    assert!(!seen.shows(2 * MINUTE, 99, data(outer.dst, outer.src)));
}

#[test]
fn an_alias_whose_port_is_used_again_is_a_new_one() {
    let mut seen = Seen::new();
    let (inner, outer) = masquerade();
    assert!(seen.shows(0, TAP, inner));
    assert!(!seen.shows(10, UPLINK, outer));
    // The host's own connection, under the same numbers, later.
    let own = Packet { seq: 1234, stamp: 999, ..outer };
    assert!(seen.shows(SECOND, UPLINK, own));
    assert!(seen.shows(SECOND + 1, UPLINK, data(own.src, own.dst)));
    assert!(seen.shows(SECOND + 1, UPLINK, answer(own, 5)));
}

#[test]
fn a_syn_that_one_point_missed_is_known_by_its_answer() {
    let mut seen = Seen::new();
    let (inner, outer) = masquerade();
    assert!(seen.shows(0, 99, data(end(7, 7), end(8, 25))));
    assert!(seen.shows(0, TAP, inner));
    assert!(!seen.shows(MILLI, UPLINK, answer(outer, 9)));
    assert!(seen.shows(MILLI + 10, TAP, answer(inner, 9)));
    assert!(!seen.shows(2 * MILLI, UPLINK, data(outer.src, outer.dst)));
    // Only replies are seen: the answers tell that they are one.
    let mut seen = Seen::new();
    assert!(seen.shows(MILLI, UPLINK, answer(outer, 9)));
    assert!(!seen.shows(MILLI + 10, TAP, answer(inner, 9)));
}

#[test]
fn a_syn_sent_again_stays_where_it_was() {
    let mut seen = Seen::new();
    let (inner, outer) = masquerade();
    for n in 0..3u32 {
        let again = |packet| Packet { stamp: 77 + n * 1000, ..packet };
        assert!(seen.shows(u64::from(n) * SECOND, TAP, again(inner)));
        assert!(!seen.shows(u64::from(n) * SECOND + 9, UPLINK, again(outer)));
        assert!(!seen.shows(u64::from(n) * SECOND + 9, 99, again(inner)));
    }
    // The same between points that see the address before translation.
    assert_eq!(seen.copies(), (3, 3));
}

#[test]
fn datagrams_are_shown_once() {
    let mut points = Points::new(&Limits::default(), 1);
    let mut counters = Counters::default();
    let (a, b) = (end(1, 5000), end(2, 53));
    let mut shows = |at, iface, src, dst| {
        let at = Stamp::from_nanos(at);
        let datagram = Datagram { src, dst, payload: b"", len: 0, over_tcp: false, vlan: 0, iface };
        !points.passes_over_datagram(at, &datagram, &mut counters)
    };
    assert!(shows(0, 9, b, a));
    assert!(shows(1, TAP, a, b));
    assert!(!shows(1, UPLINK, a, b));
    assert!(shows(2, TAP, a, b), "asked again");
    assert!(shows(9 * SECOND, UPLINK, a, b));
    assert_eq!(counters.copies, 1);
}

#[test]
fn what_is_remembered_is_bounded_and_what_is_used_is_kept() {
    let limits = Limits { point_flows: 100, point_handshakes: 10, ..Limits::default() };
    let mut seen = Seen::with(&limits);
    let kept = data(end(GUEST, 1), end(SERVER, 25));
    assert!(seen.shows(0, UPLINK, data(end(9, 9), end(9, 25))));
    assert!(seen.shows(0, TAP, kept));
    for n in 0..10_000u32 {
        let from = end((n >> 8) as u8, n as u16 + 100);
        seen.shows(u64::from(n), TAP, syn(from, end(SERVER, 25), n));
        if n % 20 == 0 {
            assert!(!seen.shows(u64::from(n), UPLINK, kept), "{n}");
        }
        let table = &seen.points.connections;
        assert!(table.len() <= 100, "{n}");
        assert!(seen.points.handshakes.iter().count() <= 10);
    }
    assert!(seen.counters.point_flows_forgotten > 9_000);
    assert!(seen.counters.point_handshakes_forgotten > 9_000);
}

/// xorshift64*; the seed is printed where something fails.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % n
    }
}

/// Connections, each shown at one to three points, each point with another delay and one of them with losses, some with a
/// translated address at the last: what is let through is what the first point of each direction showed, all of it and
/// nothing else.
#[test]
fn several_points_show_what_the_first_alone_shows() {
    for seed in 1..=200u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Time, iface, packet, and the connection's number with the direction.
        let mut shown: Vec<(Nanos, u32, Packet, (u32, bool))> = Vec::new();
        let mut expected: BTreeMap<(u32, bool), Vec<(Nanos, u32)>> = BTreeMap::new();
        for number in 0..5u32 {
            let count = 1 + random.below(3) as usize;
            let mut ifaces = [0u32, 1, 2, 3];
            for at in (1..ifaces.len()).rev() {
                ifaces.swap(at, random.below(at as u64 + 1) as usize);
            }
            let delays: Vec<Nanos> = (0..count).map(|at| at as u64 * 20_000).collect();
            let lossy = random.below(count as u64 + 1) as usize;
            let translated = count > 1 && random.below(2) == 0;
            let (inside, server) = (end(10 + number as u8, 4000), end(SERVER, 25));
            let outside = end(NAT, 60_000 + number as u16);
            let isn = random.below(u64::from(u32::MAX)) as u32;
            let mut now = random.below(10) * MILLI;
            for step in 0..30u32 {
                let out = if step < 2 { step == 0 } else { random.below(2) == 0 };
                let packet = match step {
                    0 => syn(inside, server, isn),
                    1 => answer(syn(inside, server, isn), !isn),
                    _ if out => Packet { seq: isn + step, ..data(inside, server) },
                    _ => Packet { seq: !isn + step, ..data(server, inside) },
                };
                for (place, iface) in ifaces.into_iter().enumerate().take(count) {
                    // The handshake is lost nowhere: who is first would be another one.
                    if place == lossy && step >= 2 && random.below(4) == 0 {
                        continue;
                    }
                    // What goes out passes the points in order, what comes in the other way.
                    let order = if out { place } else { count - 1 - place };
                    let last = place == count - 1 && translated;
                    let packet = if last { packet.with(inside, outside) } else { packet };
                    let at = now + delays[order];
                    shown.push((at, iface, packet, (number, out)));
                    let first = if translated && !out { count - 2 } else { count - 1 };
                    let owner = if out { 0 } else { first };
                    if place == owner {
                        expected.entry((number, out)).or_default().push((at, iface));
                    }
                }
                now += 100_000 + random.below(if step == 13 { 4000 } else { 3 }) * MILLI;
            }
        }
        shown.sort_by_key(|(at, ..)| *at);
        let mut seen = Seen::new();
        assert!(seen.shows(0, 50, data(end(1, 1), end(2, 25))));
        assert!(seen.shows(0, 51, data(end(3, 1), end(2, 25))));
        let mut got: BTreeMap<(u32, bool), Vec<(Nanos, u32)>> = BTreeMap::new();
        for (at, iface, packet, of) in &shown {
            if seen.shows(*at, *iface, *packet) {
                got.entry(*of).or_default().push((*at, *iface));
            }
        }
        // Connections overlap in time and may share a nanosecond.
        let same = format!("{got:?}") == format!("{expected:?}");
        assert!(same, "seed {seed}:\n{got:?}\n{expected:?}");
        let let_through: usize = got.values().map(Vec::len).sum();
        let (copies, translated) = seen.copies();
        assert_eq!(let_through as u64 + copies + translated, shown.len() as u64, "seed {seed}");
    }
}
