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
