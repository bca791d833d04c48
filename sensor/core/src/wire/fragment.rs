//! IP fragments that wait for the rest of their datagram.
//!
//! What is kept is bounded in datagrams, in bytes and in pieces for each datagram; when full, the oldest datagram by order
//! of arrival goes. Parts that overlap must agree byte for byte: a datagram with two versions of a byte is dropped, and all
//! its later parts until the time-out (RFC 5722 section 4; done for IPv4, too, where receivers differ in what they keep).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::Fragment;
use super::ip::Header;
use crate::base::{Addr, Counters, Limits, Nanos, Stamp};

/// The longest datagram (RFC 791 section 3.1: 65 535 with its header; RFC 8200 section 3: without).
const MAX_DATAGRAM: u32 = 65_535;

/// What the record of a piece counts for, beside its bytes.
const PIECE_COST: usize = size_of::<Piece>();

/// Which datagram a part belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    id: u32,
    src: Addr,
    dst: Addr,
    v6: bool,
    /// The protocol; 0 for IPv6, where only the first part tells it (RFC 8200 section 4.5).
    proto: u8,
}

/// Bytes `start..end` of a datagram; they lie at `at` in [`Datagram::bytes`].
#[derive(Clone, Copy, Debug)]
struct Piece {
    start: u32,
    end: u32,
    at: u32,
}

/// What the first part tells of the whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joined {
    pub(super) header: Header,
    pub(super) v6: bool,
    /// What the datagram begins with.
    pub(super) next: u8,
    pub(super) vlan: u16,
    pub(super) iface: u32,
}

#[derive(Debug)]
struct Datagram {
    arrival: u64,
    first: Stamp,
    /// Known from the part with offset 0.
    head: Option<Joined>,
    /// Known from the part that no more follow.
    total: Option<u32>,
    /// In order, without overlap.
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
    /// Parts that came.
    parts: u64,
    /// Given up; only the key is still kept.
    dead: bool,
}

impl Datagram {
    fn cost(&self) -> usize {
        self.bytes.len() + self.pieces.len() * PIECE_COST
    }

    /// Puts a part in. `None`: it contradicts what is there, or is one piece too many.
    fn insert(&mut self, start: u32, payload: &[u8], more: bool, max_pieces: usize) -> Option<()> {
        let end = start.checked_add(u32::try_from(payload.len()).ok()?)?;
        let highest = self.pieces.last().map_or(0, |p| p.end);
        if more {
            if self.total.is_some_and(|total| end > total) {
                return None;
            }
        } else {
            if highest > end || self.total.is_some_and(|total| total != end) {
                return None;
            }
            self.total = Some(end);
        }
        let mut index = self.pieces.partition_point(|p| p.end <= start);
        let mut cursor = start;
        while let Some(&piece) = self.pieces.get(index).filter(|p| p.start < end) {
            if cursor < piece.start {
                self.add(index, start, cursor, piece.start, payload)?;
                index += 1;
            }
            let (from, to) = (start.max(piece.start), end.min(piece.end));
            let old = self.bytes.get((piece.at + (from - piece.start)) as usize..)?;
            let new = payload.get((from - start) as usize..(to - start) as usize)?;
            if !old.starts_with(new) {
                return None;
            }
            cursor = piece.end;
            index += 1;
        }
        if cursor < end {
            self.add(index, start, cursor, end, payload)?;
        }
        (self.pieces.len() <= max_pieces).then_some(())
    }

    /// Adds the bytes `from..to` out of a part that begins at `start`.
    fn add(&mut self, index: usize, start: u32, from: u32, to: u32, payload: &[u8]) -> Option<()> {
        let at = u32::try_from(self.bytes.len()).ok()?;
        let new = payload.get((from - start) as usize..(to - start) as usize)?;
        self.bytes.extend_from_slice(new);
        self.pieces.insert(index, Piece { start: from, end: to, at });
        Some(())
    }

    /// Whether every byte is there: the pieces do not overlap and none goes past the total.
    fn complete(&self) -> Option<Joined> {
        if self.total? as usize == self.bytes.len() { self.head } else { None }
    }
}

/// The table of datagrams.
#[derive(Debug)]
pub(super) struct Fragments {
    // Ordered maps: no key of a stranger's choice makes them slow.
    datagrams: BTreeMap<Key, Datagram>,
    arrivals: BTreeMap<u64, Key>,
    arrival: u64,
    held: usize,
    max_datagrams: usize,
    max_bytes: usize,
    max_pieces: usize,
    timeout: Nanos,
}

impl Fragments {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            datagrams: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            arrival: 0,
            held: 0,
            max_datagrams: limits.fragment_datagrams,
            max_bytes: limits.fragment_bytes,
            max_pieces: limits.fragment_pieces,
            timeout: limits.fragment_timeout,
        }
    }

    /// Takes a part. When its datagram is whole, writes that to `out` and forgets it.
    pub(super) fn push(
        &mut self,
        at: Stamp,
        part: &Fragment<'_>,
        out: &mut Vec<u8>,
        counters: &mut Counters,
    ) -> Option<Joined> {
        counters.fragments += 1;
        self.expire(at, counters);
        let end = part.offset.saturating_add(part.len);
        let cut = part.payload.len() < part.len as usize;
        counters.snaplen_cut += u64::from(cut);
        // An empty part, or one in the middle that is no multiple of 8, is of no use to any receiver.
        if cut
            || part.len == 0
            || (part.more && !part.len.is_multiple_of(8))
            || end > MAX_DATAGRAM
            || self.max_datagrams == 0
        {
            counters.fragments_dropped += 1;
            return None;
        }
        let key = Key {
            id: part.id,
            src: part.src,
            dst: part.dst,
            v6: part.v6,
            proto: if part.v6 { 0 } else { part.next },
        };
        // One with a stamp out of order may lie behind younger ones in the queue.
        let outdated = |d: &Datagram| at.since(d.first) > self.timeout;
        if self.datagrams.get(&key).is_some_and(outdated) {
            self.remove(&key, counters);
        }
        if !self.datagrams.contains_key(&key) {
            while self.datagrams.len() >= self.max_datagrams {
                self.evict(counters);
            }
            self.arrival += 1;
            self.arrivals.insert(self.arrival, key);
        }
        let arrival = self.arrival;
        let datagram = self.datagrams.entry(key).or_insert_with(|| Datagram {
            arrival,
            first: at,
            head: None,
            total: None,
            pieces: Vec::new(),
            bytes: Vec::new(),
            parts: 0,
            dead: false,
        });
        if datagram.dead {
            counters.fragments_dropped += 1;
            return None;
        }
        datagram.parts += 1;
        let before = datagram.cost();
        if datagram.insert(part.offset, part.payload, part.more, self.max_pieces).is_none() {
            counters.fragments_dropped += datagram.parts;
            datagram.parts = 0;
            datagram.dead = true;
            datagram.pieces = Vec::new();
            datagram.bytes = Vec::new();
            self.held -= before;
            return None;
        }
        self.held += datagram.cost() - before;
        if part.offset == 0 && datagram.head.is_none() {
            datagram.head = Some(Joined {
                header: Header { src: part.src, dst: part.dst, ttl: part.ttl },
                v6: part.v6,
                next: part.next,
                vlan: part.vlan,
                iface: part.iface,
            });
        }
        if let Some(joined) = datagram.complete() {
            out.clear();
            for piece in &datagram.pieces {
                let from = piece.at as usize;
                let to = from + (piece.end - piece.start) as usize;
                out.extend_from_slice(datagram.bytes.get(from..to).unwrap_or_default());
            }
            datagram.parts = 0;
            self.remove(&key, counters);
            counters.fragments_joined += 1;
            return Some(joined);
        }
        while self.held > self.max_bytes {
            self.evict(counters);
        }
        None
    }

    /// Drops what waited too long, from the oldest on.
    fn expire(&mut self, at: Stamp, counters: &mut Counters) {
        while let Some((_, &key)) = self.arrivals.first_key_value() {
            match self.datagrams.get(&key) {
                Some(d) if at.since(d.first) <= self.timeout => break,
                _ => self.remove(&key, counters),
            }
        }
    }

    fn evict(&mut self, counters: &mut Counters) {
        if let Some((_, &key)) = self.arrivals.first_key_value() {
            self.remove(&key, counters);
        }
    }

    fn remove(&mut self, key: &Key, counters: &mut Counters) {
        if let Some(datagram) = self.datagrams.remove(key) {
            self.held -= datagram.cost();
            self.arrivals.remove(&datagram.arrival);
            counters.fragments_dropped += datagram.parts;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use alloc::vec;

    use super::super::tests::Random;
    use super::*;

    fn part(id: u32, offset: u32, more: bool, payload: &[u8]) -> Fragment<'_> {
        Fragment {
            src: Addr::v4([192, 0, 2, 1]),
            dst: Addr::v4([192, 0, 2, 2]),
            v6: false,
            id,
            next: 6,
            offset,
            more,
            ttl: 64,
            vlan: 0,
            iface: 0,
            payload,
            len: payload.len() as u32,
        }
    }

    struct Table {
        fragments: Fragments,
        out: Vec<u8>,
        counters: Counters,
    }

    impl Table {
        fn new(limits: &Limits) -> Self {
            let (out, counters) = (vec![], Counters::default());
            Self { fragments: Fragments::new(limits), out, counters }
        }

        fn push(&mut self, at: Nanos, part: &Fragment<'_>) -> Option<Vec<u8>> {
            let at = Stamp::from_nanos(at);
            self.fragments.push(at, part, &mut self.out, &mut self.counters)?;
            Some(self.out.clone())
        }

        /// Joined and dropped.
        fn counted(&self) -> (u64, u64) {
            (self.counters.fragments_joined, self.counters.fragments_dropped)
        }

        fn check(&self) {
            let f = &self.fragments;
            assert_eq!(f.datagrams.len(), f.arrivals.len());
            assert_eq!(f.held, f.datagrams.values().map(Datagram::cost).sum::<usize>());
            assert!(f.held <= f.max_bytes && f.datagrams.len() <= f.max_datagrams);
        }
    }

    #[test]
    fn parts_in_any_order_once_or_twice() {
        let text = b"0123456701234567abcdefgh!";
        let (a, b, c, d) = (
            part(1, 0, true, &text[..8]),
            part(1, 8, true, &text[8..16]),
            part(1, 16, false, &text[16..]),
            part(1, 0, true, &text[..16]),
        );
        for order in [
            &[&a, &b, &c][..],
            &[&c, &b, &a],
            &[&b, &c, &a],
            &[&a, &a, &b, &c],
            &[&c, &c, &a, &b],
            &[&d, &c],
            &[&b, &d, &c],
            &[&c, &a, &d],
        ] {
            let mut table = Table::new(&Limits::default());
            let (last, first) = order.split_last().unwrap();
            for part in first {
                assert_eq!(table.push(0, part), None);
                table.check();
            }
            assert_eq!(table.push(0, last).unwrap(), text);
            table.check();
            assert_eq!((table.fragments.held, table.counted()), (0, (1, 0)));
        }
    }

    #[test]
    fn contradictions_drop_the_datagram() {
        let cases: &[(&str, &[Fragment<'_>])] = &[
            ("other bytes", &[part(1, 0, true, b"01234567"), part(1, 0, true, b"0123456x")]),
            (
                "partly other",
                &[part(1, 8, true, b"01234567"), part(1, 0, true, b"aaaaaaaa0x234567")],
            ),
            ("two ends", &[part(1, 8, false, b"0123"), part(1, 8, false, b"01234")]),
            ("end before", &[part(1, 16, true, b"01234567"), part(1, 8, false, b"0123")]),
            ("beyond the end", &[part(1, 8, false, b"0123"), part(1, 16, true, b"01234567")]),
            // Teardrop: the second lies within the first.
            ("teardrop", &[part(1, 0, true, &[7; 32]), part(1, 24, false, b"abcd")]),
        ];
        for (name, parts) in cases {
            let mut table = Table::new(&Limits::default());
            for part in *parts {
                assert_eq!(table.push(0, part), None, "{name}");
            }
            assert_eq!(table.counted(), (0, parts.len() as u64), "{name}");
            // What comes later does not revive it.
            assert_eq!(table.push(0, &part(1, 0, false, b"whole")), None, "{name}");
            table.check();
            assert_eq!(table.fragments.held, 0, "{name}");
            // Another datagram is another matter.
            assert!(table.push(0, &part(2, 0, false, b"whole")).is_some(), "{name}");
        }
    }

    #[test]
    fn useless_parts_are_dropped() {
        let mut table = Table::new(&Limits::default());
        let mut cut = part(1, 0, true, b"01234567");
        cut.len = 16;
        for useless in [
            part(1, 0, true, b""),
            part(1, 0, true, b"0123"),
            part(1, 65_528, false, b"01234567"),
            part(1, 65_528, true, b"01234567"),
            cut,
        ] {
            assert_eq!(table.push(0, &useless), None);
        }
        assert!(table.fragments.datagrams.is_empty());
        assert_eq!((table.counted(), table.counters.snaplen_cut), ((0, 5), 1));
        // The very last byte of the longest datagram.
        assert_eq!(table.push(0, &part(1, 65_528, false, b"0123456")), None);
        assert_eq!(table.fragments.datagrams.len(), 1);
    }

    #[test]
    fn keys_are_kept_apart() {
        let (head, tail) = (part(1, 0, true, b"01234567"), part(1, 8, false, b"89"));
        let other = Addr::v4([192, 0, 2, 9]);
        for wrong in [
            Fragment { id: 2, ..tail },
            Fragment { src: other, ..tail },
            Fragment { dst: other, ..tail },
            Fragment { next: 51, ..tail },
            Fragment { v6: true, ..tail },
        ] {
            let mut table = Table::new(&Limits::default());
            assert_eq!(table.push(0, &head), None);
            assert_eq!(table.push(0, &wrong), None);
            assert!(table.push(0, &tail).is_some());
        }
        // Of IPv6 only the first part tells what it carries.
        let mut table = Table::new(&Limits::default());
        assert_eq!(table.push(0, &Fragment { v6: true, next: 60, ..tail }), None);
        assert!(table.push(0, &Fragment { v6: true, ..head }).is_some());
    }

    #[test]
    fn time_passes_by_packets() {
        let limits = Limits { fragment_timeout: 100, ..Limits::default() };
        let (head, tail) = (part(1, 0, true, b"01234567"), part(1, 8, false, b"89"));
        let mut table = Table::new(&limits);
        assert_eq!(table.push(1000, &head), None);
        assert!(table.push(1100, &tail).is_some());
        assert_eq!(table.push(1000, &head), None);
        assert_eq!(table.push(1101, &tail), None);
        assert_eq!(table.counted(), (1, 1));
        // Behind one from the future, too.
        let mut table = Table::new(&limits);
        assert_eq!(table.push(9000, &part(7, 0, true, b"01234567")), None);
        assert_eq!(table.push(1000, &head), None);
        assert_eq!(table.push(1101, &tail), None);
        assert_eq!(table.counted(), (0, 1));
        table.check();
    }

    #[test]
    fn the_oldest_goes_when_a_cap_is_hit() {
        let limits = Limits { fragment_datagrams: 2, ..Limits::default() };
        let mut table = Table::new(&limits);
        for id in 0..3 {
            assert_eq!(table.push(0, &part(id, 0, true, b"01234567")), None);
            table.check();
        }
        assert_eq!(table.counted(), (0, 1));
        assert!(table.push(0, &part(1, 8, false, b"8")).is_some());
        assert!(table.push(0, &part(2, 8, false, b"8")).is_some());
        assert_eq!(table.push(0, &part(0, 8, false, b"8")), None);

        let limits = Limits { fragment_bytes: 100, ..Limits::default() };
        let mut table = Table::new(&limits);
        for id in 0..50 {
            assert_eq!(table.push(0, &part(id, 0, true, &[1; 24])), None);
            table.check();
        }
        assert_eq!(table.counted(), (0, 48));
        assert_eq!(table.push(0, &part(99, 0, true, &[1; 104])), None);
        assert_eq!((table.fragments.held, table.counted()), (0, (0, 51)));

        let limits = Limits { fragment_pieces: 3, ..Limits::default() };
        let mut table = Table::new(&limits);
        for i in 0..4 {
            assert_eq!(table.push(0, &part(1, i * 16, true, b"01234567")), None);
        }
        assert_eq!((table.fragments.held, table.counted()), (0, (0, 4)));

        let none = Limits { fragment_datagrams: 0, ..Limits::default() };
        assert_eq!(Table::new(&none).push(0, &part(1, 0, true, b"01234567")), None);
    }

    /// A datagram as a map of bytes.
    #[derive(Default)]
    struct Slow {
        bytes: Vec<Option<u8>>,
        total: Option<usize>,
        dead: bool,
    }

    impl Slow {
        fn push(&mut self, part: &Fragment<'_>) -> Option<Vec<u8>> {
            let (start, end) = (part.offset as usize, part.offset as usize + part.payload.len());
            let too_far = self.total.is_some_and(|t| end > t || (!part.more && end != t))
                || (!part.more && self.bytes.len() > end);
            if self.bytes.len() < end {
                self.bytes.resize(end, None);
            }
            for (old, new) in self.bytes[start..end].iter_mut().zip(part.payload) {
                self.dead |= *old.get_or_insert(*new) != *new;
            }
            if !part.more {
                self.total = Some(end);
            }
            self.dead |= too_far;
            if self.dead || self.total != Some(self.bytes.len()) {
                return None;
            }
            self.bytes.iter().copied().collect()
        }
    }

    #[test]
    fn the_table_equals_a_map_of_bytes() {
        let seed = 0x9e37_79b9_7f4a_7c15_u64;
        let (mut joined, mut dead) = (0, 0);
        for round in 0..3000 {
            let random = &mut Random::of(seed, round);
            let mut table = Table::new(&Limits::default());
            let mut slow: [Slow; 3] = Default::default();
            let texts: Vec<Vec<u8>> = (0..3)
                .map(|_| {
                    let len = 1 + random.below(80);
                    random.bytes(len)
                })
                .collect();
            // One round in four has a liar.
            let lies = random.below(4) == 0;
            for step in 0..60 {
                let id = random.below(3);
                let text = &texts[id];
                let start = random.below(text.len().div_ceil(8)) * 8;
                let end = (start + 8 * (1 + random.below(4))).min(text.len());
                let mut payload = text[start..end].to_vec();
                let mut more = end < text.len();
                if lies && random.below(30) == 0 {
                    payload[0] ^= 1;
                }
                if lies && random.below(30) == 0 && payload.len().is_multiple_of(8) {
                    more = !more;
                }
                let part = part(id as u32, start as u32, more, &payload);
                let got = table.push(step, &part);
                let expected = slow[id].push(&part);
                assert_eq!(got, expected, "seed {seed:#x} round {round} step {step}");
                table.check();
                if expected.is_some() {
                    slow[id] = Slow::default();
                    joined += 1;
                }
                dead += usize::from(slow[id].dead);
            }
        }
        assert!(joined > 1000 && dead > 1000, "{joined} {dead}");
    }
}
