//! The bounded flow table: one small entry per connection, found by its two endpoints in either order.
//!
//! An entry is kept small (see the test) because the commonest connection is an attempt that never completes; what a
//! dialogue needs lives elsewhere and is only pointed at. Deadlines lie on a grid of whole seconds, rounded up, so that a
//! heap of eight bytes per connection is enough and expiry does not depend on what else is in the table.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::hash::BuildHasher;

use bitflags::bitflags;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::base::{Endpoint, Flow, SECOND, Stamp};

bitflags! {
    /// What was seen of a connection.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct State: u16 {
        /// The client's SYN.
        const SYN = 1;
        /// The server's SYN and ACK.
        const SYN_ACK = 1 << 1;
        /// The handshake was completed, or it was joined in the middle.
        const ESTABLISHED = 1 << 2;
        /// Any packet of the client.
        const CLIENT = 1 << 3;
        /// Any packet of the server.
        const SERVER = 1 << 4;
        /// FIN of the client.
        const CLIENT_FIN = 1 << 5;
        /// FIN of the server.
        const SERVER_FIN = 1 << 6;
        /// The session was told; the entry only keeps late packets from opening it again.
        const OVER = 1 << 7;
        /// A FIN came from the server first.
        const SERVER_FIRST = 1 << 8;
        /// The end of the attempt was told.
        const ATTEMPT_TOLD = 1 << 9;
        /// That the connection is held open was told.
        const HELD_TOLD = 1 << 10;
        /// Its server's port is not watched (it was opened *from* a watched port): passed over.
        const IGNORED = 1 << 11;
        /// There was no room for a dialogue when one was needed: it is not begun in the middle.
        const HEADERS_ONLY = 1 << 12;
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Who opened it.
    pub client: Endpoint,
    /// Who listened.
    pub server: Endpoint,
    /// Outermost VLAN id of its first packet.
    pub vlan: u16,
    /// Interface of its first packet.
    pub iface: u16,
    /// Stamp of its first packet.
    pub start: Stamp,
    /// Number of its first frame.
    pub first_frame: u64,
    /// Sequence numbers of the first byte of the client and of the server, as far as `state` says that a SYN was seen.
    pub first: [u32; 2],
    /// Second in which its last packet lies, rounded down.
    pub last: u32,
    /// Second for which the *slot* is in the heap: it outlives the connection, so that a slot has one place there.
    scheduled: u32,
    /// Index of its dialogue, if it has one, plus one.
    pub session: u32,
    /// What was seen.
    pub state: State,
    /// Packets of the client and the server before there was a dialogue; saturating.
    pub packets: [u8; 2],
}

impl Entry {
    /// Whether it is more than an attempt: the handshake was completed, or payload was seen.
    pub fn is_session(&self) -> bool {
        self.session != 0 || self.state.intersects(State::ESTABLISHED | State::HEADERS_ONLY)
    }

    /// As upper floors know it.
    pub fn flow(&self) -> Flow {
        Flow {
            client: self.client,
            server: self.server,
            start: self.start,
            first_frame: self.first_frame,
            iface: u32::from(self.iface),
            vlan: self.vlan,
        }
    }
}

const FREE: u32 = u32::MAX;

/// Marks a slot that is not in use; frames are counted from 1.
const NO_FRAME: u64 = 0;

/// All connections of a worker.
#[derive(Debug)]
pub struct Table {
    index: HashTable<u32>,
    slots: Vec<Entry>,
    free: Vec<u32>,
    heap: BinaryHeap<Reverse<(u32, u32)>>,
    hasher: FixedState,
    /// Where the search for something to evict goes on.
    hand: usize,
    cap: usize,
}

/// The second on the grid at which `span` after second `last` is over for certain: the packet lay somewhere in `last`.
pub fn deadline(last: u32, span: u64) -> u32 {
    u32::try_from(u64::from(last).saturating_add(1).saturating_add(span.div_ceil(SECOND)))
        .unwrap_or(u32::MAX)
}

/// The second in which a stamp lies.
pub fn second(at: Stamp) -> u32 {
    u32::try_from(at.as_nanos() / SECOND).unwrap_or(u32::MAX)
}

impl Table {
    /// An empty table for at most `cap` connections, hashed with `seed`.
    pub fn new(cap: usize, seed: u64) -> Self {
        Self {
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            heap: BinaryHeap::new(),
            hasher: FixedState::with_seed(seed),
            hand: 0,
            cap: cap.clamp(1, FREE as usize - 1),
        }
    }

    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Whether another one needs an eviction first.
    pub fn is_full(&self) -> bool {
        self.index.len() >= self.cap
    }

    /// The connection between two endpoints, whoever opened it.
    pub fn find(&self, a: &Endpoint, b: &Endpoint) -> Option<u32> {
        let slots = &self.slots;
        self.index
            .find(self.hash(a, b), |&i| {
                slots.get(i as usize).is_some_and(|e| {
                    e.client == *a && e.server == *b || e.client == *b && e.server == *a
                })
            })
            .copied()
    }

    /// The entry at an index.
    pub fn get(&self, index: u32) -> Option<&Entry> {
        self.slots.get(index as usize)
    }

    /// The entry at an index.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Entry> {
        self.slots.get_mut(index as usize)
    }

    /// Adds a connection that is not in it, first seen in `flow`; the caller has made room.
    pub fn insert(&mut self, flow: &Flow) -> u32 {
        let entry = Entry {
            client: flow.client,
            server: flow.server,
            vlan: flow.vlan,
            iface: u16::try_from(flow.iface).unwrap_or(u16::MAX),
            start: flow.start,
            first_frame: flow.first_frame,
            first: [0; 2],
            last: second(flow.start),
            scheduled: u32::MAX,
            session: 0,
            state: State::empty(),
            packets: [0; 2],
        };
        let hash = self.hash(&flow.client, &flow.server);
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(slot) = self.slots.get_mut(index as usize) {
                    *slot = Entry { scheduled: slot.scheduled, ..entry };
                }
                index
            }
            None => {
                let index = u32::try_from(self.slots.len()).unwrap_or(FREE);
                self.slots.push(entry);
                index
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.index.insert_unique(hash, index, |&i| {
            slots.get(i as usize).map_or(0, |e| endpoints_hash(hasher, &e.client, &e.server))
        });
        index
    }

    /// Takes a connection out.
    pub fn remove(&mut self, index: u32) {
        let Some(entry) = self.slots.get_mut(index as usize) else { return };
        let hash = endpoints_hash(&self.hasher, &entry.client, &entry.server);
        if let Ok(found) = self.index.find_entry(hash, |&i| i == index) {
            found.remove();
            entry.first_frame = NO_FRAME;
            self.free.push(index);
        }
    }

    /// Asks to be told of a connection at the latest in this second.
    pub fn schedule(&mut self, index: u32, deadline: u32) {
        if let Some(entry) = self.slots.get_mut(index as usize)
            && deadline < entry.scheduled
        {
            entry.scheduled = deadline;
            // Entries that were scheduled anew leave their old place behind: swept when they are the most of it.
            if self.heap.len() > 2 * self.index.len() + 1024 {
                let slots = &self.slots;
                self.heap.retain(|Reverse((at, i))| {
                    slots.get(*i as usize).is_some_and(|e| e.scheduled == *at)
                });
            }
            self.heap.push(Reverse((deadline, index)));
        }
    }

    /// The next connection whose scheduled second is over at `now`, and that second. It is no longer scheduled.
    pub fn due(&mut self, now: Stamp) -> Option<(u32, u32)> {
        loop {
            let &Reverse((at, index)) = self.heap.peek()?;
            if u64::from(at).saturating_mul(SECOND) > now.as_nanos() {
                return None;
            }
            self.heap.pop();
            if let Some(entry) = self.slots.get_mut(index as usize)
                && entry.scheduled == at
            {
                entry.scheduled = u32::MAX;
                if entry.first_frame != NO_FRAME {
                    return Some((at, index));
                }
            }
        }
    }

    /// Whether anything could be due at `now`.
    pub fn is_due(&self, now: Stamp) -> bool {
        self.heap
            .peek()
            .is_some_and(|Reverse((at, _))| u64::from(*at).saturating_mul(SECOND) <= now.as_nanos())
    }

    /// The connection to evict from a full table: slots go round, which is the order of arrival once it is full.
    pub fn victim(&mut self) -> Option<u32> {
        for _ in 0..self.slots.len() {
            let index = self.hand;
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            if self.slots.get(index)?.first_frame != NO_FRAME {
                return u32::try_from(index).ok();
            }
        }
        None
    }

    /// All connections, in the order of their first frame.
    pub fn in_order(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.index.iter().copied().collect();
        all.sort_unstable_by_key(|&i| self.get(i).map_or(0, |e| e.first_frame));
        all
    }

    fn hash(&self, a: &Endpoint, b: &Endpoint) -> u64 {
        endpoints_hash(&self.hasher, a, b)
    }
}

/// Equal for both orders of the endpoints. Each end is hashed with the key first, so that nobody can make collisions.
fn endpoints_hash(hasher: &FixedState, a: &Endpoint, b: &Endpoint) -> u64 {
    hasher.hash_one(a).wrapping_add(hasher.hash_one(b))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::base::Addr;

    fn flow(n: u32, at: u64) -> Flow {
        let client = Endpoint { addr: Addr::v4(n.to_be_bytes()), port: 1024 };
        let server = Endpoint { addr: Addr::v4([192, 0, 2, 25]), port: 25 };
        Flow {
            client,
            server,
            start: Stamp::from_parts(at, 0),
            first_frame: u64::from(n) + 1,
            ..Flow::default()
        }
    }

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 80, "{}", size_of::<Entry>());
    }

    #[test]
    fn found_in_either_order_and_gone_after_removal() {
        let mut table = Table::new(10, 7);
        let f = flow(1, 0);
        let index = table.insert(&f);
        assert_eq!(table.find(&f.client, &f.server), Some(index));
        assert_eq!(table.find(&f.server, &f.client), Some(index));
        table.remove(index);
        assert_eq!(table.find(&f.client, &f.server), None);
        table.remove(index);
        assert!(table.is_empty());
        assert_eq!(table.insert(&flow(2, 0)), index, "slots are used again");
    }

    #[test]
    fn deadlines_come_in_order_once_and_move() {
        let mut table = Table::new(10, 7);
        let a = table.insert(&flow(1, 0));
        let b = table.insert(&flow(2, 0));
        table.schedule(a, 20);
        table.schedule(b, 10);
        table.schedule(a, 5);
        assert_eq!(table.due(Stamp::from_parts(4, 999_999_999)), None);
        assert!(table.is_due(Stamp::from_parts(5, 0)));
        assert_eq!(table.due(Stamp::MAX), Some((5, a)));
        assert_eq!(table.due(Stamp::MAX), Some((10, b)));
        assert_eq!(table.due(Stamp::MAX), None, "the old place of a is passed over");
    }

    #[test]
    fn stale_deadlines_do_not_pile_up() {
        let mut table = Table::new(10, 7);
        for n in 0..100_000 {
            let index = table.insert(&flow(n, 0));
            table.schedule(index, 600);
            table.remove(index);
        }
        assert!(table.heap.len() < 3000, "{}", table.heap.len());
    }

    #[test]
    fn the_oldest_is_evicted() {
        let mut table = Table::new(3, 7);
        let all: Vec<u32> = (0..3).map(|n| table.insert(&flow(n, 0))).collect();
        assert!(table.is_full());
        for expected in all {
            assert_eq!(table.victim(), Some(expected));
        }
    }

    #[test]
    fn rounding_is_never_early() {
        assert_eq!(deadline(second(Stamp::from_parts(100, 999_999_999)), 60 * SECOND), 161);
        assert_eq!(deadline(u32::MAX, 1), u32::MAX);
    }
}
