//! What is remembered of flows: bounded, in two generations.
//!
//! What is used moves to the younger generation. When that has half of what is allowed, or is as old as a connection may
//! be idle, the older one is forgotten and the younger takes its place. Both tables keep their memory.

use core::mem;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::handshakes::Handshake;
use crate::base::{Counters, Endpoint, Nanos, Stamp};

/// Two ends, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([Endpoint; 2]);

/// Which of the two ends sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    First,
    Second,
}

impl Side {
    pub(super) const fn of<T>(self, both: &mut [T; 2]) -> &mut T {
        let [first, second] = both;
        match self {
            Self::First => first,
            Self::Second => second,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl Key {
    pub(super) fn new(src: Endpoint, dst: Endpoint) -> (Self, Side) {
        if src <= dst { (Self([src, dst]), Side::First) } else { (Self([dst, src]), Side::Second) }
    }
}

/// Who owns a direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Owner {
    /// The point; `None` while nobody showed anything.
    iface: Option<u32>,
    last: Stamp,
}

impl Owner {
    /// A point shows something; whether that is the owner now.
    pub(super) fn shows(&mut self, at: Stamp, iface: u32, silence: Nanos) -> bool {
        let owns = match self.iface {
            Some(owner) if owner != iface => at.since(self.last) >= silence,
            _ => true,
        };
        if owns {
            self.last = if self.iface == Some(iface) { self.last.max(at) } else { at };
            self.iface = Some(iface);
        }
        owns
    }
}

/// What a connection is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// One of its own: who owns its directions.
    Own([Owner; 2]),
    /// Another one under other addresses.
    Alias {
        owner: Key,
        /// When it began to go on while the owner was silent.
        alone: Stamp,
    },
}

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) role: Role,
    /// The number of each end's SYN.
    numbers: [Option<u32>; 2],
}

impl Default for Entry {
    fn default() -> Self {
        Self::new(Role::Own(Default::default()))
    }
}

impl Entry {
    pub(super) const fn new(role: Role) -> Self {
        Self { role, numbers: [None; 2] }
    }

    /// Notes the numbers that a handshake tells.
    pub(super) fn handshake(&mut self, side: Side, note: &Handshake) {
        *side.of(&mut self.numbers) = Some(note.seq);
        let answered = side.other().of(&mut self.numbers);
        *answered = answered.or(note.syn);
    }

    /// Whether a handshake between the same ends is that of another connection.
    pub(super) fn is_other(&mut self, side: Side, note: &Handshake) -> bool {
        match *side.of(&mut self.numbers) {
            Some(number) => number != note.seq,
            // A SYN within a connection whose own was not seen; an answer to a SYN that was seen, or was not, fits.
            None => note.syn.is_none(),
        }
    }

    /// Whether an alias, which goes on at `at`, did so long enough without its owner, which showed something `last` at that
    /// time.
    pub(super) fn goes_on_alone(&mut self, at: Stamp, last: Option<Stamp>, silence: Nanos) -> bool {
        let Role::Alias { alone, .. } = &mut self.role else { return true };
        let last = last.unwrap_or(Stamp::ZERO);
        if at.since(last) < silence {
            return false;
        }
        if *alone <= last {
            *alone = at;
        }
        at.since(*alone) >= silence
    }

    /// When a point that owns it showed something.
    fn last(&self) -> Option<Stamp> {
        match &self.role {
            Role::Own(sides) => sides.iter().map(|side| side.last).max(),
            Role::Alias { .. } => None,
        }
    }
}

type Generation = HashMap<Key, Entry, FixedState>;

#[derive(Debug)]
pub(super) struct Table {
    young: Generation,
    old: Generation,
    /// When the younger began.
    since: Stamp,
    span: Nanos,
    /// What each generation holds at most.
    cap: usize,
}

impl Table {
    pub(super) fn new(cap: usize, span: Nanos, seed: u64) -> Self {
        let generation = || HashMap::with_hasher(FixedState::with_seed(seed));
        Self {
            young: generation(),
            old: generation(),
            since: Stamp::ZERO,
            span,
            cap: (cap / 2).max(1),
        }
    }

    /// An entry, which is used now.
    #[inline]
    pub(super) fn find(
        &mut self,
        at: Stamp,
        key: &Key,
        counters: &mut Counters,
    ) -> Option<&mut Entry> {
        if !self.young.contains_key(key) {
            let entry = self.old.remove(key)?;
            return Some(self.insert(at, *key, entry, counters));
        }
        self.young.get_mut(key)
    }

    /// How many flows are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// An entry, without using it.
    pub(super) fn peek(&self, key: &Key) -> Option<&Entry> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// When the owner of a connection showed it last; `None` where it is not known any more.
    pub(super) fn last(&self, key: &Key) -> Option<Stamp> {
        self.peek(key)?.last()
    }

    pub(super) fn insert(
        &mut self,
        at: Stamp,
        key: Key,
        entry: Entry,
        counters: &mut Counters,
    ) -> &mut Entry {
        let full = self.young.len() >= self.cap;
        if full || at.since(self.since) >= self.span {
            if full {
                counters.point_flows_forgotten += self.old.len() as u64;
            }
            mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            self.since = at;
        }
        self.old.remove(&key);
        self.young.entry(key).insert(entry).into_mut()
    }
}
