//! The last SYNs and SYN-ACKs that were let through, to find them again under other addresses.

use alloc::vec::Vec;

use super::super::{Segment, TcpFlags, TcpOption};
use crate::base::{Counters, Endpoint, Nanos, SECOND, Stamp};

/// A packet passes two points of one machine within this time; mostly it is microseconds.
const NEAR: Nanos = 2 * SECOND;

/// Places that are made at once.
const MOST_AT_ONCE: usize = 1 << 16;

/// What is known of a SYN or SYN-ACK.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handshake {
    pub(super) at: Stamp,
    pub(super) src: Endpoint,
    pub(super) dst: Endpoint,
    pub(super) iface: u32,
    pub(super) seq: u32,
    /// Of a SYN-ACK: the SYN's number.
    pub(super) syn: Option<u32>,
    /// The TCP time stamp, where there is one.
    stamp: Option<u32>,
    window: u16,
}

impl Handshake {
    pub(super) fn of(at: Stamp, segment: &Segment<'_>) -> Option<Self> {
        if !segment.flags.contains(TcpFlags::SYN) {
            return None;
        }
        let stamp = segment.tcp_options().find_map(|option| match option {
            TcpOption::Other(8, value) => value.first_chunk().map(|v| u32::from_be_bytes(*v)),
            _ => None,
        });
        let ack = segment.flags.contains(TcpFlags::ACK);
        Some(Self {
            at,
            src: segment.src,
            dst: segment.dst,
            iface: segment.iface,
            seq: segment.seq,
            syn: ack.then(|| segment.ack.wrapping_sub(1)),
            stamp,
            window: segment.window,
        })
    }

    /// Whether this is `other` with one of its addresses translated, or the answer to it.
    fn is(&self, other: &Self) -> bool {
        let apart = self.at.since(other.at).max(other.at.since(self.at));
        if self.iface == other.iface || apart > NEAR {
            return false;
        }
        if self.syn.is_some() && other.syn.is_none() {
            // The SYN itself was not seen here: the answer knows its number.
            return self.syn == Some(other.seq)
                && (self.src == other.dst) != (self.dst == other.src);
        }
        let stamps = self.stamp.zip(other.stamp).is_none_or(|(a, b)| a == b);
        self.seq == other.seq
            && self.syn == other.syn
            && self.window == other.window
            && stamps
            && (self.src == other.src) != (self.dst == other.dst)
    }
}

/// A ring of them.
#[derive(Debug)]
pub(super) struct Handshakes {
    /// Their sequence numbers, apart: they are what is searched.
    numbers: Vec<u32>,
    notes: Vec<Handshake>,
    next: usize,
    cap: usize,
}

impl Handshakes {
    pub(super) const fn new(cap: usize) -> Self {
        Self { numbers: Vec::new(), notes: Vec::new(), next: 0, cap }
    }

    /// Remembers a SYN.
    #[inline(never)]
    pub(super) fn note(&mut self, at: Stamp, segment: &Segment<'_>, counters: &mut Counters) {
        if let Some(note) = Handshake::of(at, segment) {
            self.push(note, counters);
        }
    }

    /// Remembers one in the place of the oldest.
    pub(super) fn push(&mut self, note: Handshake, counters: &mut Counters) {
        if self.notes.is_empty() {
            // At once, so that no later packet grows it; without memory it grows as far as there is some.
            let places = self.cap.min(MOST_AT_ONCE);
            let _ = self.notes.try_reserve_exact(places);
            let _ = self.numbers.try_reserve_exact(places);
        }
        if self.notes.len() < self.cap {
            self.notes.push(note);
            self.numbers.push(note.seq);
            return;
        }
        if let (Some(oldest), Some(number)) =
            (self.notes.get_mut(self.next), self.numbers.get_mut(self.next))
        {
            counters.point_handshakes_forgotten += u64::from(note.at.since(oldest.at) < NEAR);
            *oldest = note;
            *number = note.seq;
            self.next = (self.next + 1) % self.cap;
        }
    }

    /// The oldest of which this is a translation.
    pub(super) fn same(&self, note: &Handshake) -> Option<&Handshake> {
        let wanted = [note.seq, note.syn.unwrap_or(note.seq)];
        self.numbers
            .iter()
            .zip(&self.notes)
            .filter(|(number, other)| wanted.contains(number) && note.is(other))
            .map(|(_, other)| other)
            .min_by_key(|other| other.at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Handshake> {
        let (newer, older) = self.notes.split_at(self.next.min(self.notes.len()));
        older.iter().chain(newer)
    }
}
