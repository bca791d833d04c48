//! `observe = metadata` where no probe enforces it: nothing of a frame that may not be seen is handed on, and what is not
//! handed on is overwritten where it lies.
//!
//! What passes of a connection says [`botlike_ebpf::gate`], the same that the probe asks. Here is the memory for it: one
//! state for each connection and point, bounded; of a connection that is not known (any more) headers pass. A fragment
//! cannot be judged before it is put together, and does not pass at all.

use std::mem;

use botlike_core::base::Endpoint;
use botlike_core::wire::{Parsed, Segment, TcpFlags, parse};
use botlike_ebpf::gate::{Side, State, gate};
use foldhash::fast::RandomState;
use std::collections::HashMap;

use super::{Interest, Point};

/// Connections of which is known how far they are; 96 bytes each.
const MAX_FLOWS: usize = 1 << 16;

const DNS: u16 = 53;

/// A connection at a point, its ends in the order of their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    point: u32,
    ends: [Endpoint; 2],
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    state: State,
    /// Which of the two ends sent the SYN.
    client: usize,
}

/// What passes of the points that are looked at for metadata only.
pub(super) struct Metadata {
    interest: Interest,
    /// Two generations: when the younger is half of what is allowed, the older is forgotten.
    young: HashMap<Key, Flow, RandomState>,
    old: HashMap<Key, Flow, RandomState>,
    max: usize,
    forgotten: u64,
    fragments: u64,
}

impl Metadata {
    pub(super) fn new(interest: &Interest) -> Self {
        Self {
            interest: interest.clone(),
            young: HashMap::default(),
            old: HashMap::default(),
            max: MAX_FLOWS,
            forgotten: 0,
            fragments: 0,
        }
    }

    /// Connections that were forgotten because there were too many.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Fragments that did not pass.
    pub(super) fn fragments(&self) -> u64 {
        self.fragments
    }

    /// What of a frame may be handed on; the rest is overwritten. `None`: nothing.
    pub(super) fn allow<'a>(
        &mut self,
        point: &Point,
        data: &'a mut [u8],
        orig_len: u32,
    ) -> Option<&'a [u8]> {
        let allowed = self.judge(point, data, orig_len);
        let (seen, unseen) = data.split_at_mut(allowed.min(data.len()));
        unseen.fill(0);
        (!seen.is_empty()).then_some(seen)
    }

    /// How many bytes of a frame may be handed on.
    fn judge(&mut self, point: &Point, data: &[u8], orig_len: u32) -> usize {
        match parse(point.interface.link, data, orig_len, point.number) {
            Parsed::Segment(segment) => {
                // Both borrow from the frame, so that the payload begins within it.
                let from = (segment.payload.as_ptr() as usize).wrapping_sub(data.as_ptr() as usize);
                let head = if segment.payload.is_empty() { data.len() } else { from };
                let smtp = |port| self.interest.ports.contains(&port);
                let (src, dst) = (segment.src.port, segment.dst.port);
                if smtp(src) || smtp(dst) {
                    head + self.pass(point.number, &segment)
                } else if self.interest.dns && (src == DNS || dst == DNS) {
                    data.len()
                } else {
                    head
                }
            }
            Parsed::Datagram(_) if self.interest.dns => data.len(),
            Parsed::Datagram(_) | Parsed::Other(_) => 0,
            Parsed::Fragment(_) => {
                self.fragments += 1;
                0
            }
        }
    }

    /// How many bytes of a segment's payload pass.
    fn pass(&mut self, point: u32, segment: &Segment<'_>) -> usize {
        let mut ends = [segment.src, segment.dst];
        ends.sort_unstable();
        let key = Key { point, ends };
        let from = usize::from(ends[0] != segment.src);
        let handshake = segment.flags & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST);
        let syn = handshake == TcpFlags::SYN;
        let flow = match self.find(key) {
            Some(flow) if syn && flow.client != from => {
                // Who was called calls: the old connection is over, and of the new one its SYN is too little to go by.
                *flow = Flow { state: State::default(), client: from };
                flow.state.syn(segment.seq);
                flow
            }
            Some(flow) => {
                if syn {
                    flow.state.syn(segment.seq);
                } else if handshake == TcpFlags::SYN | TcpFlags::ACK && flow.client != from {
                    flow.state.syn_ack(segment.ack);
                }
                flow
            }
            None if syn => {
                self.insert(key, Flow { state: State::opened(segment.seq), client: from })
            }
            None => return 0,
        };
        let side = if flow.client == from { Side::Client } else { Side::Server };
        let seq = segment.seq.wrapping_add(u32::from(segment.flags.contains(TcpFlags::SYN)));
        let count =
            gate(&mut flow.state, side, seq, segment.ack, segment.payload, segment.len) as usize;
        if side == Side::Client && segment.flags.contains(TcpFlags::FIN) {
            flow.state.fin(seq.wrapping_add(segment.len));
        }
        count.min(segment.payload.len())
    }

    fn find(&mut self, key: Key) -> Option<&mut Flow> {
        if !self.young.contains_key(&key) {
            let flow = self.old.remove(&key)?;
            return Some(self.insert(key, flow));
        }
        self.young.get_mut(&key)
    }

    fn insert(&mut self, key: Key, flow: Flow) -> &mut Flow {
        if self.young.len() >= self.max / 2 {
            self.forgotten += self.old.len() as u64;
            self.old = mem::take(&mut self.young);
        }
        self.young.entry(key).insert_entry(flow).into_mut()
    }
}

#[cfg(test)]
mod tests {
    use botlike_core::wire::LinkType;
    use etherparse::PacketBuilder;

    use super::*;
    use crate::source::live::{Interface, Observe};

    fn point() -> Point {
        let interface =
            Interface { index: 7, name: "tap0".into(), link: LinkType::Ethernet, loopback: false };
        Point { number: 0, interface, observe: Observe::Metadata }
    }

    fn metadata() -> Metadata {
        Metadata::new(&Interest { ports: vec![25], dns: true, syn: true })
    }

    struct Talk {
        metadata: Metadata,
        seq: [u32; 2],
        port: u16,
    }

    impl Talk {
        fn new(metadata: Metadata, port: u16) -> Self {
            let mut talk = Self { metadata, seq: [1000, 5000], port };
            talk.frame(0, true, false, b"");
            talk.seq[0] += 1;
            talk.frame(1, true, true, b"");
            talk.seq[1] += 1;
            talk
        }

        /// The payload that passes.
        fn frame(&mut self, from: usize, syn: bool, ack: bool, payload: &[u8]) -> Vec<u8> {
            let (a, b, s, d) = ([192, 0, 2, 1], [192, 0, 2, 2], 40_000, self.port);
            let (a, b, s, d) = if from == 0 { (a, b, s, d) } else { (b, a, d, s) };
            let mut builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(a, b, 64).tcp(
                s,
                d,
                self.seq[from],
                1000,
            );
            if syn {
                builder = builder.syn();
            }
            if ack {
                builder = builder.ack(self.seq[1 - from]);
            }
            let mut frame = Vec::new();
            builder.write(&mut frame, payload).expect("memory");
            let length = frame.len() as u32;
            let seen = self.metadata.allow(&point(), &mut frame, length).map(<[u8]>::len);
            let seen = seen.unwrap_or(0);
            assert!(seen >= 54, "headers pass");
            assert!(frame[seen..].iter().all(|byte| *byte == 0), "the rest is overwritten");
            frame[54..seen].to_vec()
        }

        fn says(&mut self, from: usize, payload: &[u8]) -> String {
            let seen = self.frame(from, false, true, payload);
            self.seq[from] += payload.len() as u32;
            String::from_utf8(seen).expect("text")
        }
    }

    #[test]
    fn the_greeting_passes_and_the_envelope_does_not() {
        let mut talk = Talk::new(metadata(), 25);
        assert_eq!(talk.says(1, b"220 mx\r\n"), "220 mx\r\n");
        assert_eq!(talk.says(0, b"EHLO one.example\r\n"), "EHLO one.example\r\n");
        assert_eq!(talk.says(1, b"250-mx\r\n250 STARTTLS\r\n"), "250-mx\r\n250 STARTTLS\r\n");
        assert_eq!(talk.says(0, b"MAIL FROM:<a@secret.example>\r\n"), "MAIL");
        assert_eq!(talk.says(1, b"250 a@secret.example\r\n"), "");
        assert_eq!(talk.says(0, b"DATA\r\nEHLO two.example\r\n"), "");
    }

    #[test]
    fn a_connection_whose_beginning_was_not_seen_is_shut() {
        let mut talk = Talk { metadata: metadata(), seq: [1, 1], port: 25 };
        assert_eq!(talk.says(0, b"EHLO one.example\r\n"), "");
        assert_eq!(talk.says(1, b"250 mx\r\n"), "");
    }

    #[test]
    fn a_syn_the_other_way_opens_nothing() {
        let mut talk = Talk::new(metadata(), 25);
        talk.seq[1] = 9000;
        talk.frame(1, true, false, b"");
        talk.seq[1] = 9001;
        assert_eq!(talk.says(1, b"EHLO not@command.example\r\n"), "");
    }

    #[test]
    fn the_table_is_bounded_and_what_it_forgot_is_shut() {
        let mut small = metadata();
        small.max = 8;
        let mut talk = Talk::new(small, 25);
        for number in 0..100 {
            let end = |port| Endpoint { port, ..Endpoint::default() };
            let key = Key { point: 9, ends: [end(number), end(25)] };
            talk.metadata.insert(key, Flow { state: State::opened(1), client: 0 });
            assert!(talk.metadata.young.len() + talk.metadata.old.len() <= 8);
        }
        assert!(talk.metadata.forgotten() > 90);
        assert_eq!(talk.says(0, b"EHLO one.example\r\n"), "");
    }

    #[test]
    fn dns_passes_and_other_connections_do_not() {
        let mut dns = Talk::new(metadata(), 53);
        assert_eq!(dns.says(0, b"question"), "question");
        let mut other = Talk::new(metadata(), 80);
        assert_eq!(other.says(0, b"GET / HTTP/1.1\r\n"), "");
        let mut frame = Vec::new();
        let udp = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([1; 4], [2; 4], 64).udp(4000, 53);
        udp.write(&mut frame, b"question").expect("memory");
        let whole = frame.clone();
        let length = frame.len() as u32;
        assert_eq!(metadata().allow(&point(), &mut frame, length), Some(&whole[..]));
    }

    #[test]
    fn fragments_do_not_pass() {
        let mut metadata = metadata();
        let mut frame = Vec::new();
        let tcp =
            PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([1; 4], [2; 4], 64).tcp(1, 25, 1, 1);
        tcp.write(&mut frame, b"MAIL FROM:<secret>").expect("memory");
        frame[20] |= 0x20;
        let length = frame.len() as u32;
        assert_eq!(metadata.allow(&point(), &mut frame, length), None);
        assert!(frame.iter().all(|byte| *byte == 0));
        assert_eq!(metadata.fragments(), 1);
    }
}
