//! The simulated network: plays a [`Script`] into [`Packet`]s whose sequence and acknowledgement numbers are what real
//! TCP stacks would have put there, and keeps what was said as the truth to compare with.

use std::collections::BTreeMap;
use std::net::SocketAddr;

mod directive;

use crate::packet::{Flags, Fragmented, Packet, Side};
use crate::script::{Item, Script};

const MILLI: u64 = 1_000_000;
/// Between a flight and what it waited for.
const STEP: u64 = 10 * MILLI;
/// From a flight to the bare acknowledgement of it.
const ACK_DELAY: u64 = MILLI;
/// Between the segments of a flight.
const SEGMENT: u64 = 20_000;
/// Between the end of a connection and the beginning of the next.
const PAUSE: u64 = 1_000 * MILLI;
/// The largest payload of an IPv4 packet with a bare TCP header.
const SUPER: usize = 65_535 - 40;

/// What a script becomes.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// All packets, in the order of their stamps.
    pub packets: Vec<Packet>,
    /// For each connection and side, the bytes that were shown, by their offset in the stream: the first ones win.
    pub truth: Vec<[BTreeMap<u32, u8>; 2]>,
}

/// Plays a script.
pub fn play(script: &Script) -> Result<Played, String> {
    let mut net = Net { clock: script.start, midnight: script.start / DAY * DAY, ..Net::default() };
    let mut items = script.items.iter().peekable();
    while let Some((line, item)) = items.next() {
        let next = items.peek().map(|(_, item)| item);
        net.item(item, next).map_err(|e| format!("line {line}: {e}"))?;
    }
    net.settle(None);
    net.out.packets.sort_by_key(|p| p.at);
    Ok(net.out)
}

const DAY: u64 = 86_400_000 * MILLI;

fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

/// One connection as both stacks see it. Offsets count from the first byte after the SYN; a FIN counts one.
#[derive(Debug)]
struct Conn {
    ends: [SocketAddr; 2],
    isn: [u32; 2],
    /// How far each side has sent.
    sent: [u64; 2],
    /// How far each side has received.
    received: [u64; 2],
    /// The same before the other side's last flight.
    received_before: [u64; 2],
    /// What each side still owes an acknowledgement for.
    owes: [bool; 2],
    handshake: bool,
    shown: [bool; 2],
    ttl: [u8; 2],
    window: [u16; 2],
    mss: usize,
    vlan: Option<u16>,
    point: u32,
    /// Other interfaces that show it, some with other ends.
    also: Vec<(u32, Option<[SocketAddr; 2]>)>,
    snap: Option<usize>,
    last_flight: [Vec<Packet>; 2],
    syns: u64,
    syn_data: Vec<u8>,
    hidden: Vec<&'static str>,
    acks: bool,
    probe: [bool; 2],
    next: Next,
}

/// What only holds for the next flight.
#[derive(Debug, Default)]
struct Next {
    lost: Option<Vec<usize>>,
    cuts: Vec<usize>,
    order: Vec<usize>,
    whole: bool,
    fin: bool,
    fragmented: Option<Fragmented>,
    skew: i64,
}

#[derive(Default)]
struct Net {
    clock: u64,
    midnight: u64,
    conn: Option<Conn>,
    /// DNS questions so far: each has its own number and port.
    questions: u16,
    /// Bytes written and not yet sent: consecutive lines of a side are one flight.
    pending: Option<(Side, bool, Vec<u8>)>,
    out: Played,
}

impl Net {
    fn item(&mut self, item: &Item, next: Option<&Item>) -> Result<(), String> {
        if let Item::Data { side, early, bytes } = item {
            let open = self.pending.get_or_insert_with(|| (*side, *early, Vec::new()));
            open.2.extend_from_slice(bytes);
            let goes_on = matches!(next, Some(Item::Data { side: s, early: e, .. }) if s == side && e == early);
            if !goes_on && let Some((side, early, bytes)) = self.pending.take() {
                self.flight(side, early, &bytes);
            }
            return Ok(());
        }
        match item {
            Item::Connection { client, server } => {
                self.settle(None);
                if self.conn.is_some() {
                    self.clock += PAUSE;
                }
                let number = self.out.truth.len() as u32;
                self.out.truth.push(Default::default());
                self.conn = Some(Conn::new(*client, *server, number));
            }
            Item::Wait(span) => {
                self.settle(None);
                self.clock += span;
            }
            Item::At(time) => {
                self.settle(None);
                self.clock = self.midnight + time;
            }
            Item::Do { word, arguments } => self.directive(word, arguments)?,
            Item::Data { .. } => {}
        }
        Ok(())
    }

    /// Sends the acknowledgements that are owed, but for the one of a side that is about to write.
    fn settle(&mut self, writer: Option<Side>) {
        for side in [Side::Client, Side::Server] {
            let Some(conn) = &mut self.conn else { return };
            if writer != Some(side) && std::mem::take(&mut conn.owes[index(side)]) && conn.acks {
                self.clock += ACK_DELAY;
                self.bare(side, Flags::ACK);
            }
        }
    }

    /// A packet of a side as its stack would send it now.
    fn packet(&self, side: Side, flags: Flags) -> Option<Packet> {
        let conn = self.conn.as_ref()?;
        let (me, other) = (index(side), index(side.other()));
        let acked = conn.isn[other].wrapping_add(1).wrapping_add(conn.received[me] as u32);
        Some(Packet {
            at: self.clock,
            skew: conn.next.skew,
            conn: Some(self.out.truth.len() as u32 - 1),
            from: side,
            src: conn.ends[me],
            dst: conn.ends[other],
            seq: conn.isn[me].wrapping_add(1).wrapping_add(conn.sent[me] as u32),
            ack: if flags.contains(Flags::ACK) { acked } else { 0 },
            flags,
            window: conn.window[me],
            ttl: conn.ttl[me],
            options: Vec::new(),
            payload: Vec::new(),
            fragmented: conn.next.fragmented,
            snap: conn.snap,
            vlan: conn.vlan,
            point: conn.point,
            also: conn
                .also
                .iter()
                .map(|(point, ends)| (*point, ends.map(|ends| [ends[me], ends[other]])))
                .collect(),
            dns: None,
            fixed: false,
        })
    }

    /// Shows a packet, unless its side is not seen.
    fn show(&mut self, packet: Packet) {
        let Some(conn) = &self.conn else { return };
        if !conn.shown[index(packet.from)] {
            return;
        }
        if let Some(truth) = self.out.truth.last_mut() {
            let shown = packet.snap.map_or(usize::MAX, |snap| snap.saturating_sub(14 + 20 + 20));
            let syn = u32::from(packet.flags.contains(Flags::SYN));
            let offset = packet
                .seq
                .wrapping_add(syn)
                .wrapping_sub(conn.isn[index(packet.from)].wrapping_add(1));
            // A keep-alive's byte lies before what was sent last and is none of the stream.
            if !(packet.fixed && packet.payload == [0]) {
                for (i, byte) in packet.payload.iter().take(shown).enumerate() {
                    truth[index(packet.from)].entry(offset.wrapping_add(i as u32)).or_insert(*byte);
                }
            }
        }
        self.out.packets.push(packet);
    }

    /// A packet without payload.
    fn bare(&mut self, side: Side, flags: Flags) {
        if let Some(conn) = &mut self.conn {
            conn.owes[index(side)] = false;
            conn.received_before[index(side)] = conn.received[index(side)];
        }
        if let Some(packet) = self.packet(side, flags) {
            self.show(packet);
        }
    }

    fn handshake(&mut self) {
        let Some(conn) = &mut self.conn else { return };
        if std::mem::replace(&mut conn.handshake, true) {
            return;
        }
        let (syns, data) = (conn.syns, std::mem::take(&mut conn.syn_data));
        self.syns(syns, &data);
        self.clock += STEP;
        let Some(conn) = &mut self.conn else { return };
        conn.sent[0] += data.len() as u64;
        conn.received[1] += data.len() as u64;
        let hidden = conn.hidden.clone();
        if let Some(mut packet) = self.packet(Side::Server, Flags::SYN | Flags::ACK)
            && !hidden.contains(&"syn-ack")
        {
            packet.seq = packet.seq.wrapping_sub(1);
            packet.options = syn_options();
            self.show(packet);
        }
        self.clock += ACK_DELAY;
        if !hidden.contains(&"ack") {
            self.bare(Side::Client, Flags::ACK);
        }
    }

    /// The client's SYN, and again after 1, 2, 4 … seconds.
    fn syns(&mut self, count: u64, data: &[u8]) {
        for attempt in 0..count {
            if attempt > 0 {
                self.clock += (1_000 * MILLI) << (attempt - 1).min(6);
            }
            let Some(mut packet) = self.packet(Side::Client, Flags::SYN) else { return };
            packet.seq = packet.seq.wrapping_sub(1);
            packet.options = syn_options();
            packet.payload = data.to_vec();
            if !self.conn.as_ref().is_some_and(|c| c.hidden.contains(&"syn")) {
                self.show(packet);
            }
        }
    }

    /// A side writes.
    fn flight(&mut self, side: Side, early: bool, bytes: &[u8]) {
        self.handshake();
        self.settle(Some(side));
        let (me, other) = (index(side), index(side.other()));
        if early {
            // It had not yet received what the other side sent last; it acknowledges that afterwards.
            if let Some(conn) = &mut self.conn {
                std::mem::swap(&mut conn.received[me], &mut conn.received_before[me]);
            }
        }
        if self.conn.as_mut().is_some_and(|c| std::mem::take(&mut c.probe[me])) {
            self.probe(side, bytes);
        }
        self.clock += STEP;
        let Some(conn) = &mut self.conn else { return };
        let next = std::mem::take(&mut conn.next);
        let mut sizes = next.cuts.clone();
        let largest = if next.whole { SUPER } else { conn.mss };
        let mut segments = Vec::new();
        let (mut rest, mut offset) = (bytes, 0);
        while !rest.is_empty() {
            let size = if sizes.is_empty() { largest } else { sizes.remove(0).clamp(1, largest) };
            let (now, later) = rest.split_at(size.min(rest.len()));
            segments.push((offset, now));
            offset += now.len();
            rest = later;
        }
        let count = segments.len();
        let mut packets = Vec::new();
        for (number, (offset, piece)) in segments.into_iter().enumerate() {
            let push = if number + 1 == count { Flags::PSH } else { Flags::empty() };
            let Some(mut packet) = self.packet(side, Flags::ACK | push) else { return };
            packet.seq = packet.seq.wrapping_add(offset as u32);
            packet.payload = piece.to_vec();
            packet.fragmented = next.fragmented;
            packet.skew = next.skew;
            if next.fin && number + 1 == count {
                packet.flags |= Flags::FIN;
            }
            packets.push(packet);
        }
        let lost = |number: usize| match &next.lost {
            None => false,
            Some(numbers) => numbers.is_empty() || numbers.contains(&number),
        };
        let order: Vec<usize> = match next.order.is_empty() {
            true => (1..=count).collect(),
            false => next.order.clone(),
        };
        let start = self.clock;
        for (place, number) in order.into_iter().enumerate() {
            if let Some(packet) = packets.get(number.wrapping_sub(1))
                && !lost(number)
            {
                self.clock = start + place as u64 * SEGMENT;
                self.show(Packet { at: self.clock, ..packet.clone() });
            }
        }
        let Some(conn) = &mut self.conn else { return };
        conn.last_flight[me] = packets;
        conn.advance(side, bytes.len() as u64 + u64::from(next.fin));
        if early {
            std::mem::swap(&mut conn.received[me], &mut conn.received_before[me]);
        } else {
            conn.owes[me] = false;
            conn.received_before[me] = conn.received[me];
        }
        conn.owes[other] = true;
    }

    /// A zero-window probe: the first byte of what comes is sent, not accepted, and sent again later.
    fn probe(&mut self, side: Side, bytes: &[u8]) {
        let closed = |net: &mut Self| {
            net.clock += ACK_DELAY;
            if let Some(packet) = net.packet(side.other(), Flags::ACK) {
                net.show(Packet { window: 0, ..packet });
            }
        };
        closed(self);
        self.clock += 5_000 * MILLI;
        if let Some(packet) = self.packet(side, Flags::ACK) {
            self.show(Packet {
                payload: bytes.iter().take(1).copied().collect(),
                fixed: true,
                ..packet
            });
        }
        closed(self);
        self.clock += 5_000 * MILLI;
        self.bare(side.other(), Flags::ACK);
    }
}

impl Conn {
    fn new(client: SocketAddr, server: SocketAddr, number: u32) -> Self {
        // Any rule that never gives two connections near numbers does.
        let isn = number.wrapping_mul(2_654_435_761).wrapping_add(0x1234_5678);
        Self {
            ends: [client, server],
            isn: [isn, isn.rotate_left(13) ^ 0x5bd1_e995],
            sent: [0; 2],
            received: [0; 2],
            received_before: [0; 2],
            owes: [false; 2],
            handshake: false,
            shown: [true; 2],
            ttl: [64; 2],
            window: [64_240; 2],
            mss: 1460,
            vlan: None,
            point: 0,
            also: Vec::new(),
            snap: None,
            last_flight: Default::default(),
            syns: 1,
            syn_data: Vec::new(),
            hidden: Vec::new(),
            acks: true,
            probe: [false; 2],
            next: Next::default(),
        }
    }

    /// `side` has sent so many bytes more, and the other side has received them.
    fn advance(&mut self, side: Side, len: u64) {
        let (me, other) = (index(side), index(side.other()));
        self.sent[me] += len;
        self.received_before[other] = self.received[other];
        self.received[other] = self.sent[me];
    }
}

/// Maximum segment size 1460, selective acknowledgement permitted, window scale 7.
fn syn_options() -> Vec<u8> {
    vec![2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 0, 0]
}
