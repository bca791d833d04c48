//! The bounded table of hosts.

use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::base::{Addr, Counters, Nanos, Stamp};
use crate::detect::Host;

/// A host, and what the judge itself remembers of it.
#[derive(Debug, Default)]
struct Slot {
    addr: Addr,
    host: Host,
    /// Of each entry that wants several sessions: how many had a hit, and the last one.
    hits: Vec<(u16, u64, u64)>,
    last: Stamp,
    /// How much happened lately, at most [`HOT`]; the hand takes one off as it passes.
    heat: u8,
}

/// Passes of the hand that the busiest host survives. A stranger who comes once brings a handful of facts, so that a flood
/// of them does not push out who is at work all the time, and with it what was learned of its role.
const HOT: u8 = 16;

/// A host that was looked up.
pub(super) struct Known<'a> {
    pub(super) host: &'a mut Host,
    hits: &'a mut Vec<(u16, u64, u64)>,
}

impl Known<'_> {
    /// Notes a hit of an entry in the session that began with this frame; in how many sessions there was one.
    pub(super) fn sessions_with(&mut self, entry: u16, session: u64) -> u64 {
        match self.hits.iter_mut().find(|(e, ..)| *e == entry) {
            Some((_, count, last)) => {
                *count += u64::from(*last != session);
                *last = session;
                *count
            }
            None => {
                self.hits.push((entry, 1, session));
                1
            }
        }
    }
}

/// Hosts by their addresses. A full table gives up one to which little happened lately: the first that the hand meets
/// without heat.
#[derive(Debug)]
pub(super) struct Hosts {
    index: HashMap<Addr, u32, FixedState>,
    slots: Vec<Slot>,
    hand: usize,
    cap: usize,
    timeout: Nanos,
    spare: Slot,
}

impl Hosts {
    pub(super) fn new(cap: usize, timeout: Nanos, seed: u64) -> Self {
        let index = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { index, slots: Vec::new(), hand: 0, cap: cap.max(1), timeout, spare: Slot::default() }
    }

    /// The host at an address, if it is known. That it was looked at is no sign of life.
    pub(super) fn peek(&mut self, addr: Addr) -> Option<&mut Host> {
        let place = *self.index.get(&addr)?;
        self.slots.get_mut(place as usize).map(|slot| &mut slot.host)
    }

    /// The host at an address; new if it is not known, or was quiet for too long.
    pub(super) fn get(&mut self, addr: Addr, at: Stamp, counters: &mut Counters) -> Known<'_> {
        let place = match self.index.get(&addr) {
            Some(&place) => place as usize,
            None => self.insert(addr, counters),
        };
        // `insert` makes room for it; the spare one is never used.
        let slot = self.slots.get_mut(place).unwrap_or(&mut self.spare);
        if at.since(slot.last) > self.timeout && slot.last != Stamp::ZERO {
            *slot = Slot { addr, ..Slot::default() };
        }
        slot.last = at;
        slot.heat = (slot.heat + 1).min(HOT);
        Known { host: &mut slot.host, hits: &mut slot.hits }
    }

    fn insert(&mut self, addr: Addr, counters: &mut Counters) -> usize {
        counters.hosts += 1;
        let fresh = Slot { addr, ..Slot::default() };
        let place = if self.slots.len() < self.cap {
            self.slots.push(fresh);
            self.slots.len() - 1
        } else {
            counters.hosts_evicted += 1;
            let place = self.victim();
            if let Some(slot) = self.slots.get_mut(place) {
                self.index.remove(&slot.addr);
                *slot = fresh;
            }
            place
        };
        self.index.insert(addr, u32::try_from(place).unwrap_or(u32::MAX));
        place
    }

    fn victim(&mut self) -> usize {
        loop {
            let place = self.hand;
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            match self.slots.get_mut(place) {
                Some(slot) if slot.heat > 0 => slot.heat -= 1,
                _ => return place,
            }
        }
    }
}
