//! One flow, one capture point.
//!
//! What is captured at several interfaces shows a packet several times: on a guest's tap, on the uplink, there perhaps
//! with another address. Each direction of a flow belongs to the point that showed it first; what other points show of it
//! is a copy, and passed over. When the owner has shown nothing for a while ([`Limits::point_silence`]), the
//! next point that shows something takes over.
//!
//! A connection seen before and after address translation is one: two SYNs at different points within a short time, with
//! the same initial sequence number, time stamp and window, and one end that is the same. The later is an *alias* of the
//! earlier; both its directions are passed over. It becomes a connection of its own only if it goes on for the time of
//! silence while the earlier shows nothing: that the earlier was idle before says nothing, as a reply after a pause passes
//! the uplink first.
//!
//! It promises: while only one point has shown anything it costs a comparison, and a note for each SYN; no allocation for
//! a packet once the tables have grown; what it remembers is bounded, and what it forgot is taken for new. It refuses: to
//! judge bytes. What the owner missed is a gap, though another point may have shown it.
//!
//! Two machines that answer for each other could hide a connection behind another by choosing its numbers. Both must be
//! behind points of this sensor, and the other connection must go on as long.

mod handshakes;
mod table;
#[cfg(test)]
mod tests;

use self::handshakes::{Handshake, Handshakes};
use self::table::{Entry, Key, Role, Side, Table};
use super::{Datagram, Segment, TcpFlags};
use crate::base::{Counters, Endpoint, Limits, Nanos, Stamp};

/// Knows which point each flow belongs to.
#[derive(Debug)]
pub(super) struct Points {
    /// The only point that has shown anything.
    only: Option<u32>,
    /// What it showed last.
    last: (Stamp, Endpoint, Endpoint),
    several: bool,
    handshakes: Handshakes,
    connections: Table,
    /// Flows without connection: DNS.
    datagrams: Table,
    /// Nothing is passed over.
    off: bool,
    silence: Nanos,
}

impl Points {
    pub(super) fn new(limits: &Limits, seed: u64) -> Self {
        let table = || Table::new(limits.point_flows, limits.idle_timeout, seed);
        Self {
            only: None,
            last: Default::default(),
            several: false,
            handshakes: Handshakes::new(limits.point_handshakes),
            connections: table(),
            datagrams: table(),
            off: false,
            silence: limits.point_silence,
        }
    }

    /// Takes every point for the only one from now on.
    pub(super) fn tell_nothing_apart(&mut self) {
        self.off = true;
    }

    /// Whether a segment is to be passed over, as another point shows its flow.
    #[inline]
    pub(super) fn passes_over(
        &mut self,
        at: Stamp,
        segment: &Segment<'_>,
        counters: &mut Counters,
    ) -> bool {
        if self.is_alone(segment.iface) {
            if segment.flags.contains(TcpFlags::SYN) {
                self.handshakes.note(at, segment, counters);
            }
            self.last = (at, segment.src, segment.dst);
            return false;
        }
        self.judge(at, segment, counters)
    }

    /// As [`passes_over`](Self::passes_over), of a datagram.
    #[inline]
    pub(super) fn passes_over_datagram(
        &mut self,
        at: Stamp,
        datagram: &Datagram<'_>,
        counters: &mut Counters,
    ) -> bool {
        let iface = datagram.iface;
        if self.is_alone(iface) {
            return false;
        }
        let (key, side) = Key::new(datagram.src, datagram.dst);
        let entry = match self.datagrams.find(at, &key, counters) {
            Some(entry) => entry,
            None => self.datagrams.insert(at, key, Entry::default(), counters),
        };
        let Role::Own(sides) = &mut entry.role else { return false };
        let copy = !side.of(sides).shows(at, iface, self.silence);
        counters.copies += u64::from(copy);
        copy
    }

    /// Whether no point but this has shown anything.
    #[inline]
    fn is_alone(&mut self, iface: u32) -> bool {
        if self.off {
            return true;
        }
        if self.several {
            return false;
        }
        match self.only {
            Some(only) if only != iface => {
                self.begin(only);
                false
            }
            _ => {
                self.only = Some(iface);
                true
            }
        }
    }

    /// A second point: what the first one showed of late is its own.
    #[cold]
    fn begin(&mut self, only: u32) {
        self.several = true;
        let mut nobody = Counters::default();
        let (at, src, dst) = self.last;
        let (key, side) = Key::new(src, dst);
        let mut entry = Entry::default();
        if let Role::Own(sides) = &mut entry.role {
            side.of(sides).shows(at, only, self.silence);
        }
        self.connections.insert(at, key, entry, &mut nobody);
        for note in self.handshakes.iter() {
            let (key, side) = Key::new(note.src, note.dst);
            let mut entry = self.connections.peek(&key).copied().unwrap_or_default();
            entry.handshake(side, note);
            if let Role::Own(sides) = &mut entry.role {
                side.of(sides).shows(note.at, note.iface, self.silence);
            }
            self.connections.insert(note.at, key, entry, &mut nobody);
        }
    }

    fn judge(&mut self, at: Stamp, segment: &Segment<'_>, counters: &mut Counters) -> bool {
        let (key, side) = Key::new(segment.src, segment.dst);
        let handshake = Handshake::of(at, segment);
        let silence = self.silence;
        if let Some(entry) = self.connections.find(at, &key, counters)
            && !handshake.is_some_and(|note| entry.is_other(side, &note))
        {
            if let Some(note) = &handshake {
                entry.handshake(side, note);
            }
            let owner = match &mut entry.role {
                Role::Own(sides) => {
                    let copy = !side.of(sides).shows(at, segment.iface, silence);
                    counters.copies += u64::from(copy);
                    if let (Some(note), false) = (handshake, copy) {
                        self.handshakes.push(note, counters);
                    }
                    return copy;
                }
                Role::Alias { owner, .. } => *owner,
            };
            let last = self.connections.last(&owner);
            // Found once more: what is asked between may be in the same table.
            if let Some(entry) = self.connections.find(at, &key, counters)
                && !entry.goes_on_alone(at, last, silence)
            {
                counters.copies_translated += 1;
                return true;
            }
            self.own(at, key, side, segment.iface, None, counters);
            return false;
        }
        let owner = handshake.and_then(|note| self.owner(key, &note));
        match (owner, handshake) {
            (Some(owner), Some(note)) => {
                let role = Role::Alias { owner, alone: Stamp::ZERO };
                let mut entry = Entry::new(role);
                entry.handshake(side, &note);
                self.connections.insert(at, key, entry, counters);
                counters.copies_translated += 1;
                true
            }
            _ => {
                self.own(at, key, side, segment.iface, handshake, counters);
                false
            }
        }
    }

    /// A connection that belongs to the point that shows it now.
    fn own(
        &mut self,
        at: Stamp,
        key: Key,
        side: Side,
        iface: u32,
        handshake: Option<Handshake>,
        counters: &mut Counters,
    ) {
        let mut entry = Entry::default();
        if let Role::Own(sides) = &mut entry.role {
            side.of(sides).shows(at, iface, self.silence);
        }
        if let Some(note) = handshake {
            entry.handshake(side, &note);
            self.handshakes.push(note, counters);
        }
        self.connections.insert(at, key, entry, counters);
    }

    /// The connection that this handshake belongs to, under other addresses.
    fn owner(&self, key: Key, handshake: &Handshake) -> Option<Key> {
        let found = self.handshakes.same(handshake)?;
        let (owner, _) = Key::new(found.src, found.dst);
        match self.connections.peek(&owner)?.role {
            Role::Alias { owner, .. } => Some(owner),
            Role::Own(_) => Some(owner),
        }
        .filter(|owner| *owner != key)
    }
}
