//! The ways in which one case is played. Every one of them is something that a capture of the same connections could
//! show, so all are compared with the same golden.

use std::collections::HashMap;

use crate::frame::{Frame, Framer, Link};
use crate::packet::{Flags, Packet, Side};
use crate::random::Random;

/// A way of playing a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As the script says.
    Plain,
    /// Every data segment cut into segments of one byte.
    Bytes,
    /// Segments of one side overtake each other, and packets of both sides that are on their way at the same time.
    Reordered,
    /// Neighbours of both sides change places although the later one answers the earlier: what a capture with several
    /// queues shows.
    Crossed,
    /// Every frame twice, and earlier data again.
    Duplicated,
    /// With an 802.1Q tag.
    Vlan,
    /// With an 802.1ad and an 802.1Q tag.
    Qinq,
    /// Every IPv4 address mapped to an IPv6 one.
    Ipv6,
    /// Linux cooked, version 1.
    Sll,
    /// Linux cooked, version 2.
    Sll2,
    /// No link layer.
    Raw,
    /// BSD loopback.
    Null,
    /// Captured at three interfaces, at one of them with a tag: what the client sends passes them in order, what the server
    /// sends the other way.
    Points,
}

impl Variant {
    /// All.
    pub const ALL: [Self; 13] = [
        Self::Plain,
        Self::Bytes,
        Self::Reordered,
        Self::Crossed,
        Self::Duplicated,
        Self::Vlan,
        Self::Qinq,
        Self::Ipv6,
        Self::Sll,
        Self::Sll2,
        Self::Raw,
        Self::Null,
        Self::Points,
    ];

    /// As a case's `variants:` line writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Bytes => "bytes",
            Self::Reordered => "reordered",
            Self::Crossed => "crossed",
            Self::Duplicated => "duplicated",
            Self::Vlan => "vlan",
            Self::Qinq => "qinq",
            Self::Ipv6 => "ipv6",
            Self::Sll => "sll",
            Self::Sll2 => "sll2",
            Self::Raw => "raw",
            Self::Null => "null",
            Self::Points => "points",
        }
    }

    fn link(self) -> Link {
        match self {
            Self::Vlan => Link::Vlan,
            Self::Qinq => Link::Qinq,
            Self::Sll => Link::Sll,
            Self::Sll2 => Link::Sll2,
            Self::Raw => Link::Raw,
            Self::Null => Link::Null,
            _ => Link::Ethernet,
        }
    }

    /// What this variant makes of the packets.
    pub fn packets(self, packets: &[Packet], seed: u64) -> Vec<Packet> {
        match self {
            Self::Bytes => packets.iter().flat_map(single_bytes).collect(),
            Self::Reordered => reordered(packets, seed),
            Self::Crossed => crossed(packets, seed),
            Self::Duplicated => duplicated(packets, seed),
            Self::Ipv6 => packets.iter().map(to_v6).collect(),
            _ => packets.to_vec(),
        }
    }

    /// The frames that this variant shows.
    pub fn frames(self, packets: &[Packet], seed: u64) -> Vec<Frame> {
        let mut framer = Framer::new(self.link());
        let mut tagging = Framer::new(Link::Vlan);
        let mut out = Vec::new();
        for packet in self.packets(packets, seed) {
            // Numbers apart, as each point of the script is three in one variant.
            let mut shown = vec![(packet.point * 3, packet.clone())];
            if self == Self::Points {
                shown.extend([1, 2].map(|more| (packet.point * 3 + more, packet.clone())));
            }
            for (point, ends) in &packet.also {
                let [src, dst] = ends.unwrap_or([packet.src, packet.dst]);
                shown.push((point * 3, Packet { src, dst, ..packet.clone() }));
            }
            if packet.from == Side::Server {
                shown.reverse();
            }
            for (iface, packet) in shown {
                let first = out.len();
                let tagged = self == Self::Points && iface % 3 == 1;
                if tagged { &mut tagging } else { &mut framer }.frames(&packet, &mut out);
                out[first..].iter_mut().for_each(|frame| frame.iface = iface);
            }
        }
        out
    }
}

fn single_bytes(packet: &Packet) -> Vec<Packet> {
    if !packet.is_plain_data() || packet.payload.len() == 1 {
        return vec![packet.clone()];
    }
    let last = packet.payload.len() - 1;
    let piece = |(i, byte): (usize, &u8)| Packet {
        seq: packet.seq.wrapping_add(i as u32),
        flags: if i == last { packet.flags } else { packet.flags - (Flags::FIN | Flags::PSH) },
        payload: vec![*byte],
        fragmented: None,
        ..packet.clone()
    };
    packet.payload.iter().enumerate().map(piece).collect()
}

/// How far apart packets may be that change places: more than that, and a real TCP would have sent again.
const WINDOW: u64 = 50_000_000;
/// How many places a packet may move.
const PLACES: usize = 3;

/// Whether `later` was sent with the knowledge of `earlier`: it acknowledges some of it.
fn answers(later: &Packet, earlier: &Packet) -> bool {
    later.ack.wrapping_sub(earlier.seq.wrapping_add(1)) < 1 << 31
}

/// Puts packets at places: who stands at a place was captured then.
fn place(packets: &[Packet], order: &[usize]) -> Vec<Packet> {
    let moved =
        |(place, &from): (usize, &usize)| Packet { at: packets[place].at, ..packets[from].clone() };
    order.iter().enumerate().map(moved).collect()
}

/// The places of each connection's packets, in order.
fn by_connection(packets: &[Packet]) -> Vec<Vec<usize>> {
    let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
    for (place, packet) in packets.iter().enumerate() {
        if let Some(conn) = packet.conn {
            places.entry(conn).or_default().push(place);
        }
    }
    let mut all: Vec<_> = places.into_iter().collect();
    all.sort();
    all.into_iter().map(|(_, places)| places).collect()
}

fn movable(packet: &Packet) -> bool {
    !packet.fixed && packet.skew == 0 && !packet.flags.intersects(Flags::SYN | Flags::RST)
}

fn reordered(packets: &[Packet], seed: u64) -> Vec<Packet> {
    let mut random = Random::new(seed);
    let mut order: Vec<usize> = (0..packets.len()).collect();
    for places in by_connection(packets) {
        let mut moves = vec![0; places.len()];
        for _ in 0..2 {
            for i in 1..places.len() {
                let (x, y) = (&packets[order[places[i - 1]]], &packets[order[places[i]]]);
                let same = x.from == y.from;
                // Of one side: only what was sent with the same knowledge of the other, for what came after an answer was
                // not on its way together with what was answered. A FIN changes places with nothing of the other side,
                // for who closed first is what a case may be about.
                let free = match same {
                    true => x.ack == y.ack && (!y.payload.is_empty() || !x.payload.is_empty()),
                    false => !answers(y, x) && !(x.flags | y.flags).contains(Flags::FIN),
                };
                let near = packets[places[i]].at.abs_diff(packets[places[i - 1]].at) <= WINDOW;
                if free
                    && near
                    && movable(x)
                    && movable(y)
                    && moves[i] < PLACES
                    && moves[i - 1] < PLACES
                    && random.one_in(2)
                {
                    order.swap(places[i - 1], places[i]);
                    moves.swap(i - 1, i);
                    moves[i] += 1;
                    moves[i - 1] += 1;
                }
            }
        }
    }
    place(packets, &order)
}

fn crossed(packets: &[Packet], seed: u64) -> Vec<Packet> {
    let mut random = Random::new(seed);
    let mut order: Vec<usize> = (0..packets.len()).collect();
    for places in by_connection(packets) {
        let mut i = 1;
        while i < places.len() {
            let (x, y) = (&packets[places[i - 1]], &packets[places[i]]);
            let near = y.at.abs_diff(x.at) <= WINDOW;
            let closes = (x.flags | y.flags).contains(Flags::FIN);
            if x.from != y.from && near && !closes && movable(x) && movable(y) && random.one_in(2) {
                order.swap(places[i - 1], places[i]);
                i += 1;
            }
            i += 1;
        }
    }
    place(packets, &order)
}

fn duplicated(packets: &[Packet], seed: u64) -> Vec<Packet> {
    let mut random = Random::new(seed);
    let mut out: Vec<Packet> = Vec::with_capacity(packets.len() * 3);
    // Data that may come again, until its connection begins to close.
    let mut earlier: HashMap<u32, Vec<Packet>> = HashMap::new();
    for packet in packets {
        out.push(packet.clone());
        out.push(packet.clone());
        let Some(conn) = packet.conn else { continue };
        let kept = earlier.entry(conn).or_default();
        if packet.flags.intersects(Flags::FIN | Flags::RST) {
            kept.clear();
            kept.shrink_to_fit();
            continue;
        }
        if packet.is_plain_data() && packet.snap.is_none() {
            kept.push(packet.clone());
        }
        if !kept.is_empty() && random.one_in(3) {
            let again = kept[random.below(kept.len() as u64) as usize].clone();
            out.push(Packet { at: packet.at, ..again });
        }
    }
    out
}

fn to_v6(packet: &Packet) -> Packet {
    let map = |end: std::net::SocketAddr| match end.ip() {
        std::net::IpAddr::V4(v4) => {
            std::net::SocketAddr::new(crate::frame::map_v6(v4).into(), end.port())
        }
        std::net::IpAddr::V6(_) => end,
    };
    let dns = packet.dns.as_ref().map(crate::dns::Message::to_v6);
    let payload = dns.as_ref().map_or_else(|| packet.payload.clone(), |message| message.bytes());
    let also = packet.also.iter().map(|(point, ends)| (*point, ends.map(|ends| ends.map(map))));
    Packet {
        src: map(packet.src),
        dst: map(packet.dst),
        payload,
        dns,
        also: also.collect(),
        ..packet.clone()
    }
}
