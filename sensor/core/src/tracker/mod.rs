//! Floor 7, the first door: frames in, facts out. One per worker.
//!
//! Before each input, connections past their deadline expire, the oldest deadline first, and what is said of them is
//! stamped with the deadline, not with the moment of noticing. A deadline depends on its own connection alone: neither
//! what else is tracked nor a stamp that lies far off changes it. Only a cap that was hit makes connections depend on
//! each other: then the one that came first is given up, and counted.

mod connection;
mod fact;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;

pub use fact::{AttemptEnd, Fact, FactSink, Input, Key, OwnedFact};

use crate::base::{Counters, Flow, Limits, Nanos, Ports, Side, Stamp};
use crate::detect::Tuning;
use crate::dns::{Lookup, Messages};
use crate::smtp::{CaptureState, Close, Visible};
use crate::stream::table::{deadline, second};
use crate::stream::{Piece, Reserve, State, Table};
use crate::wire::{Datagram, Segment, TcpFlags};
use connection::{Bridge, Connection, Teller, Tools};

/// What a tracker is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Caps and time-outs.
    pub limits: Limits,
    /// The settings of the rules that look at one connection.
    pub tuning: Tuning,
    /// The ports of SMTP servers.
    pub ports: Ports,
    /// A client that has been silent for so long after the server's last reply holds its connection open.
    pub hold_after: Nanos,
    /// Key of the flow table's hash.
    pub seed: u64,
}

/// Connections kept for reuse; more would only keep memory after a burst.
const SPARE_CONNECTIONS: usize = 256;

/// Follows connections.
#[derive(Debug)]
pub struct Tracker {
    settings: Settings,
    table: Table,
    connections: Vec<Option<Box<Connection>>>,
    vacant: Vec<u32>,
    // Boxed, because a connection is large and moves between here and its place.
    #[allow(clippy::vec_box)]
    spare: Vec<Box<Connection>>,
    open_sessions: usize,
    tools: Tools,
    reserve: Reserve,
    counters: Counters,
    /// How often the source reported losses.
    losses: u64,
    last_at: Stamp,
    due: Vec<u32>,
    lookup: Lookup,
}

/// Where a late packet's number lies, seen from the end of its stream: a retransmission before it, or what was under way
/// when the other side reset. Narrow, so that the numbers of a next connection hardly ever lie there.
const LATE: core::ops::RangeInclusive<i32> = -(1 << 17)..=1 << 17;

/// What facts are said because of, and how many were.
struct Cause {
    frame: u64,
    deadline: Stamp,
    said: Cell<u32>,
}

impl Cause {
    const fn new(frame: u64, deadline: Stamp) -> Self {
        Self { frame, deadline, said: Cell::new(0) }
    }
}

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            table: Table::new(settings.limits.flows, settings.seed),
            connections: Vec::new(),
            vacant: Vec::new(),
            spare: Vec::new(),
            open_sessions: 0,
            tools: Tools::new(settings.limits.clone(), settings.tuning.clone()),
            reserve: Reserve::default(),
            counters: Counters::default(),
            losses: 0,
            last_at: Stamp::ZERO,
            due: Vec::new(),
            lookup: Lookup::default(),
            settings,
        }
    }

    /// Takes in what happened at `at`, the packet's own time, and says what is known thereby.
    pub fn push(&mut self, at: Stamp, input: Input<'_>, sink: &mut impl FactSink) {
        match input {
            Input::Frame { number, segment } => {
                if at < self.last_at {
                    self.counters.time_backwards += 1;
                }
                self.last_at = at;
                self.expire(at, number, sink);
                self.frame(at, number, &segment, sink);
            }
            Input::Dns { number, datagram } => {
                self.expire(at, number, sink);
                self.dns(at, number, &datagram, sink);
            }
            Input::Idle { number } => self.expire(at, number, sink),
            Input::Lost { .. } => self.losses += 1,
        }
    }

    /// Every message in a packet of DNS. There is nothing to follow: each one says all that is known of it.
    fn dns(&mut self, at: Stamp, number: u64, packet: &Datagram<'_>, sink: &mut impl FactSink) {
        let cause = Cause::new(number, Stamp::MAX);
        let mut teller = Teller::new(sink, &cause, number);
        let messages = match packet.over_tcp {
            true => Messages::of_segment(packet.payload),
            false => Messages::of_datagram(packet.payload),
        };
        let mut said = false;
        for message in messages {
            let limits = &self.settings.limits;
            if message.is_ok_and(|m| self.lookup.read(m, packet.src, packet.dst, limits)) {
                said = true;
                self.counters.dns_lookups += 1;
                self.counters.dns_partial += u64::from(self.lookup.partial);
                let losses = self.losses;
                teller.tell(at, Fact::Dns { lookup: &self.lookup, losses });
            } else {
                self.counters.dns_unread += 1;
            }
        }
        self.counters.dns_unread += u64::from(!said && packet.payload.is_empty());
    }

    /// The input ended: what is still open is said as it stands, in the order in which it was first seen.
    pub fn finish(&mut self, sink: &mut impl FactSink) {
        let cause = Cause::new(u64::MAX, Stamp::MAX);
        for index in self.table.in_order() {
            let Some(entry) = self.table.get(index) else { continue };
            let last = entry.start.max(Stamp::from_parts(u64::from(entry.last), 0));
            if entry.is_session() && !entry.state.contains(State::OVER) {
                let at = self.connection(index).map_or(last, |c| c.session().end);
                self.end(index, at, at, Close::EndOfCapture, &cause, sink);
            }
            self.table.remove(index);
        }
    }

    /// Everything counted so far.
    pub fn counters(&self) -> Counters {
        let mut sum = self.counters.clone();
        sum.add(&self.tools.counters);
        sum.add(&self.tools.mail_counters);
        sum
    }

    /// Connections that are tracked now.
    pub fn flows(&self) -> usize {
        self.table.len()
    }

    fn connection(&self, index: u32) -> Option<&Connection> {
        let place = self.table.get(index)?.session.checked_sub(1)?;
        self.connections.get(place as usize)?.as_deref()
    }

    // --- time -------------------------------------------------------------------------------------------------------

    fn expire(&mut self, now: Stamp, frame: u64, sink: &mut impl FactSink) {
        while let Some((at, index)) = self.table.due(now) {
            let mut due = core::mem::take(&mut self.due);
            due.push(index);
            // All of one second together, in the order of their first frames.
            while let Some((_, index)) = self.table.due(Stamp::from_parts(u64::from(at), 0)) {
                due.push(index);
            }
            due.sort_unstable_by_key(|&i| self.table.get(i).map_or(0, |e| e.first_frame));
            let cause = Cause::new(frame, Stamp::from_parts(u64::from(at), 0));
            for index in due.drain(..) {
                self.expire_one(index, at, &cause, sink);
            }
            self.due = due;
        }
    }

    /// The seconds in which a connection ends and in which it counts as held open.
    fn deadlines(&self, index: u32) -> (u32, u32) {
        let Some(entry) = self.table.get(index) else { return (u32::MAX, u32::MAX) };
        let limits = &self.settings.limits;
        let connection = self.connection(index);
        let patience = if entry.state.contains(State::OVER)
            || connection.is_some_and(|c| c.assembler.both_ended())
        {
            limits.linger
        } else if entry.state.contains(State::ESTABLISHED) {
            limits.idle_timeout
        } else {
            limits.handshake_timeout
        };
        let held = connection
            .filter(|_| !entry.state.contains(State::HELD_TOLD))
            .and_then(Connection::silent_since);
        let held = held.map_or(u32::MAX, |since| deadline(second(since), self.settings.hold_after));
        (deadline(entry.last, patience), held)
    }

    fn expire_one(&mut self, index: u32, now: u32, cause: &Cause, sink: &mut impl FactSink) {
        let (end, held) = self.deadlines(index);
        let at = cause.deadline;
        let Some(entry) = self.table.get_mut(index) else { return };
        if end <= now {
            let state = entry.state;
            let flow = entry.flow();
            let syns = u32::from(entry.packets[0]);
            let is_session = entry.is_session() && !state.contains(State::OVER);
            if state.contains(State::SYN) && !state.intersects(State::ATTEMPT_TOLD | State::OVER) {
                let outcome = if state.contains(State::SYN_ACK) {
                    AttemptEnd::Completed
                } else {
                    AttemptEnd::TimedOut
                };
                let mut teller = Teller::new(sink, cause, flow.first_frame);
                teller.tell(at, Fact::Attempt { flow: &flow, end: outcome, syns });
            }
            if is_session {
                let over = self.connection(index).is_some_and(|c| c.assembler.both_ended());
                let last = self.connection(index).map_or(at, |c| c.session().end);
                self.end(index, at, if over { last } else { at }, Close::Timeout, cause, sink);
            }
            self.table.remove(index);
        } else if held <= now {
            entry.state |= State::HELD_TOLD;
            let flow = entry.first_frame;
            if let Some(connection) = self.connection(index) {
                let idle = connection.silent_since().map_or(0, |since| at.since(since));
                let mut teller = Teller::new(sink, cause, flow);
                teller.tell(at, Fact::Held { session: connection.session(), idle });
            }
            self.table.schedule(index, end);
        } else {
            self.table.schedule(index, end.min(held));
        }
    }

    // --- one segment ------------------------------------------------------------------------------------------------

    fn frame(&mut self, at: Stamp, number: u64, segment: &Segment<'_>, sink: &mut impl FactSink) {
        let cause = Cause::new(number, Stamp::MAX);
        let index = match self.table.find(&segment.src, &segment.dst) {
            Some(index) if self.is_new(index, segment) => {
                self.give_up(index, at, Close::Timeout, &cause, sink);
                self.open(at, &cause, segment, sink)
            }
            Some(index) => Some(index),
            None => self.open(at, &cause, segment, sink),
        };
        let Some(index) = index else { return };
        let Some(entry) = self.table.get_mut(index) else { return };
        if entry.state.intersects(State::OVER | State::IGNORED) {
            return;
        }
        entry.last = second(at);
        let side = if entry.client == segment.src { Side::Client } else { Side::Server };
        let syn = segment.flags.contains(TcpFlags::SYN);
        let was_established = entry.state.contains(State::ESTABLISHED);
        match (side, syn) {
            (Side::Client, true) => {
                entry.state |= State::SYN | State::CLIENT;
                entry.first[0] = segment.seq.wrapping_add(1);
            }
            (Side::Client, false) => {
                entry.state |= State::CLIENT;
                if !segment.flags.contains(TcpFlags::RST) {
                    entry.state |= State::ESTABLISHED;
                }
            }
            (Side::Server, true) => {
                entry.state |= State::SYN_ACK | State::SERVER;
                entry.first[1] = segment.seq.wrapping_add(1);
            }
            (Side::Server, false) => {
                entry.state |= State::SERVER;
                if segment.len > 0 {
                    entry.state |= State::ESTABLISHED;
                }
            }
        }
        let state = entry.state;
        let flow = entry.flow();
        let syns = u32::from(entry.packets[0]);
        let completes = state.contains(State::ESTABLISHED | State::SYN) && !was_established;
        if completes && !state.contains(State::ATTEMPT_TOLD) {
            entry.state |= State::ATTEMPT_TOLD;
            let mut teller = Teller::new(sink, &cause, flow.first_frame);
            teller.tell(at, Fact::Attempt { flow: &flow, end: AttemptEnd::Completed, syns });
        }
        let has_dialogue = entry.session != 0;
        if segment.flags.contains(TcpFlags::RST) {
            self.reset(index, side, at, segment, &cause, sink);
        } else if segment.len > 0 || segment.flags.contains(TcpFlags::FIN) || has_dialogue {
            self.piece(index, side, at, segment, &cause, sink);
        } else {
            let [of_client, of_server] = &mut entry.packets;
            let count = if side == Side::Client { of_client } else { of_server };
            *count = count.saturating_add(1);
        }
        let (end, held) = self.deadlines(index);
        self.table.schedule(index, end.min(held));
    }

    /// Whether a segment is of another connection between the same endpoints than the one that is known.
    fn is_new(&self, index: u32, segment: &Segment<'_>) -> bool {
        let Some(entry) = self.table.get(index) else { return false };
        let (syn, ack) =
            (segment.flags.contains(TcpFlags::SYN), segment.flags.contains(TcpFlags::ACK));
        if entry.state.contains(State::OVER) && !entry.state.contains(State::IGNORED) {
            // Late packets of what is over lie where its streams ended. Ports may be used again at once, and the SYNs
            // of the next connection may not have been seen.
            let opens = syn && !ack;
            let of_client = entry.client == segment.src;
            let known = if of_client { State::SYN } else { State::SYN_ACK };
            let [client, server] = entry.first;
            let end = if of_client { client } else { server };
            let seq = if syn { segment.seq.wrapping_add(1) } else { segment.seq };
            let distance = seq.wrapping_sub(end).cast_signed();
            // A SYN is late only if it is a copy of the one that began what is over.
            let late =
                entry.state.contains(known) && LATE.contains(&distance) && !(opens && distance > 0);
            return (opens || segment.len > 0) && !segment.flags.contains(TcpFlags::RST) && !late;
        }
        if !syn || ack {
            return false;
        }
        if entry.client != segment.src {
            return entry.state.contains(State::IGNORED);
        }
        let first = segment.seq.wrapping_add(1);
        if entry.state.contains(State::SYN) {
            return entry.first[0] != first;
        }
        // The SYN of a connection that was joined late: perhaps only reordered.
        entry.state.contains(State::IGNORED)
            || self
                .connection(index)
                .and_then(|c| c.assembler.base(Side::Client))
                .is_some_and(|base| base != first)
    }

    /// Takes a connection in that is not in the table. `None`: nothing is to be followed.
    fn open(
        &mut self,
        at: Stamp,
        cause: &Cause,
        segment: &Segment<'_>,
        sink: &mut impl FactSink,
    ) -> Option<u32> {
        let (syn, ack) =
            (segment.flags.contains(TcpFlags::SYN), segment.flags.contains(TcpFlags::ACK));
        let ports = &self.settings.ports;
        let to_server = match (syn, ack) {
            (true, false) => true,
            (true, true) => false,
            // In the middle: by the port; where both are watched, a reply code tells the server.
            (false, _) => {
                match (ports.contains(segment.dst.port), ports.contains(segment.src.port)) {
                    (true, true) => !starts_like_a_reply(segment.payload),
                    (dst, _) => dst,
                }
            }
        };
        if !syn && (segment.len == 0 || segment.flags.contains(TcpFlags::RST)) {
            return None;
        }
        let (client, server) =
            if to_server { (segment.src, segment.dst) } else { (segment.dst, segment.src) };
        let watched = ports.contains(server.port);
        if self.table.is_full() {
            let victim = self.table.victim()?;
            self.counters.flows_evicted += 1;
            self.give_up(victim, at, Close::Evicted, cause, sink);
        }
        let flow = Flow {
            client,
            server,
            start: at,
            first_frame: cause.frame,
            iface: segment.iface,
            vlan: segment.vlan,
        };
        let index = self.table.insert(&flow);
        let entry = self.table.get_mut(index)?;
        if !watched {
            entry.state |= State::IGNORED | State::OVER;
            let end = deadline(entry.last, self.settings.limits.idle_timeout);
            self.table.schedule(index, end);
            return None;
        }
        self.counters.flows += 1;
        if !syn {
            entry.state |= State::ESTABLISHED;
            self.counters.flows_midstream += 1;
        }
        let stack = if syn && !ack { segment.stack() } else { 0 };
        let mut teller = Teller::new(sink, cause, flow.first_frame);
        teller.tell(at, Fact::Opened { flow: &flow, stack });
        Some(index)
    }

    fn reset(
        &mut self,
        index: u32,
        side: Side,
        at: Stamp,
        segment: &Segment<'_>,
        cause: &Cause,
        sink: &mut impl FactSink,
    ) {
        let Some(entry) = self.table.get_mut(index) else { return };
        if !entry.state.contains(State::ESTABLISHED) {
            if entry.state.contains(State::SYN) && !entry.state.contains(State::ATTEMPT_TOLD) {
                let end = match (side, entry.state.contains(State::SYN_ACK)) {
                    (_, true) => Some(AttemptEnd::Completed),
                    (Side::Server, false) => Some(AttemptEnd::Refused),
                    // The client took it back before anybody answered.
                    (Side::Client, false) => None,
                };
                let (flow, syns) = (entry.flow(), u32::from(entry.packets[0]));
                if let Some(end) = end {
                    let mut teller = Teller::new(sink, cause, flow.first_frame);
                    teller.tell(at, Fact::Attempt { flow: &flow, end, syns });
                }
            }
            let Some(entry) = self.table.get_mut(index) else { return };
            entry.state |= State::ATTEMPT_TOLD;
            if entry.session == 0 {
                entry.state |= State::OVER;
                return;
            }
        }
        // A reset far outside of the stream is not of this connection: its receiver would not heed it.
        let plausible =
            self.connection(index).is_none_or(|c| c.assembler.is_near(side, segment.seq));
        if !plausible {
            self.counters.malformed += 1;
            return;
        }
        let close = if side == Side::Client { Close::ClientRst } else { Close::ServerRst };
        if side == Side::Client {
            self.note_reset_in_turn(index);
        }
        self.count_packet(index, side, at);
        self.end(index, at, at, close, cause, sink);
    }

    fn note_reset_in_turn(&mut self, index: u32) {
        let Some(place) = self.table.get(index).and_then(|e| e.session.checked_sub(1)) else {
            return;
        };
        if let Some(Some(connection)) = self.connections.get_mut(place as usize) {
            connection.session_mut().reset_in_turn = connection.silent_since().is_some();
        }
    }

    fn count_packet(&mut self, index: u32, side: Side, at: Stamp) {
        let Some(place) = self.table.get(index).and_then(|e| e.session.checked_sub(1)) else {
            return;
        };
        if let Some(Some(connection)) = self.connections.get_mut(place as usize) {
            connection.count_packet(side, at);
        }
    }

    fn piece(
        &mut self,
        index: u32,
        side: Side,
        at: Stamp,
        segment: &Segment<'_>,
        cause: &Cause,
        sink: &mut impl FactSink,
    ) {
        let Some((place, mut connection)) = self.take_connection(index) else { return };
        let Some(entry) = self.table.get(index) else { return };
        let syn = segment.flags.contains(TcpFlags::SYN);
        let ack = segment.flags.contains(TcpFlags::ACK).then_some(segment.ack);
        let piece = Piece {
            side,
            at,
            seq: if syn { segment.seq.wrapping_add(1) } else { segment.seq },
            ack,
            fin: segment.flags.contains(TcpFlags::FIN),
            payload: segment.payload,
            len: segment.len,
        };
        connection.count_packet(side, at);
        if (segment.payload.len() as u64) < u64::from(segment.len) {
            connection.session_mut().capture |= CaptureState::SNAPLEN;
        }
        if side == Side::Client && segment.len > 0 {
            connection.look_at_first_payload(entry, &piece, syn);
        }
        let mut teller = Teller::new(sink, cause, entry.first_frame);
        let Connection { assembler, talk, .. } = &mut *connection;
        let mut bridge = Bridge { talk, tools: &mut self.tools, teller: &mut teller };
        assembler.piece(
            piece,
            &self.settings.limits,
            &mut self.counters,
            &mut self.reserve,
            &mut bridge,
        );
        let over = connection.is_finished();
        if let Some(slot) = self.connections.get_mut(place as usize) {
            *slot = Some(connection);
        }
        if over {
            self.end_with(index, at, at, Close::EndOfCapture, teller);
        }
    }

    // --- connections ------------------------------------------------------------------------------------------------

    /// The connection of an entry, taken out of its place; made now if it had none. `None`: there is no room.
    fn take_connection(&mut self, index: u32) -> Option<(u32, Box<Connection>)> {
        let entry = self.table.get_mut(index)?;
        if let Some(place) = entry.session.checked_sub(1) {
            let connection = self.connections.get_mut(place as usize)?.take()?;
            return Some((place, connection));
        }
        if entry.state.contains(State::HEADERS_ONLY) {
            return None;
        }
        if self.open_sessions >= self.settings.limits.sessions {
            self.counters.sessions_refused += 1;
            entry.state |= State::HEADERS_ONLY;
            return None;
        }
        self.open_sessions += 1;
        let mut connection = self.spare.pop().unwrap_or_default();
        connection.start(entry, self.losses);
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.connections.push(None);
            u32::try_from(self.connections.len() - 1).unwrap_or(u32::MAX)
        });
        entry.session = place + 1;
        Some((place, connection))
    }

    fn give_up(
        &mut self,
        index: u32,
        at: Stamp,
        close: Close,
        cause: &Cause,
        sink: &mut impl FactSink,
    ) {
        let Some(entry) = self.table.get(index) else { return };
        if entry.is_session() && !entry.state.contains(State::OVER) {
            self.end(index, at, at, close, cause, sink);
        }
        self.table.remove(index);
    }

    fn end(
        &mut self,
        index: u32,
        at: Stamp,
        end: Stamp,
        close: Close,
        cause: &Cause,
        sink: &mut impl FactSink,
    ) {
        let Some(entry) = self.table.get(index) else { return };
        let teller = Teller::new(sink, cause, entry.first_frame);
        self.end_with(index, at, end, close, teller);
    }

    /// Says the session of an entry. The entry stays for a while to catch late packets.
    fn end_with(
        &mut self,
        index: u32,
        at: Stamp,
        end: Stamp,
        close: Close,
        mut teller: Teller<'_, impl FactSink>,
    ) {
        let had_dialogue = self.table.get(index).is_some_and(|e| e.session != 0);
        let (place, mut connection) = match self.take_connection(index) {
            Some((place, connection)) => (Some(place), connection),
            None => {
                // No room for a dialogue: its headers are all that is known.
                let mut connection = self.spare.pop().unwrap_or_default();
                if let Some(entry) = self.table.get(index) {
                    connection.start(entry, self.losses);
                    connection.session_mut().visible = Visible::Headers;
                    connection.session_mut().capture |= CaptureState::LIMIT;
                }
                (None, connection)
            }
        };
        let Some(entry) = self.table.get_mut(index) else { return };
        entry.state |= State::OVER;
        entry.session = 0;
        let held = entry.state.contains(State::HELD_TOLD);
        let state = entry.state;
        if !had_dialogue {
            connection.session_mut().end = end;
        }
        let Connection { assembler, talk, .. } = &mut *connection;
        let mut bridge = Bridge { talk, tools: &mut self.tools, teller: &mut teller };
        assembler.finish(&mut self.counters, &mut self.reserve, &mut bridge);
        connection.settle(at, end, close, self.losses, state, &mut self.tools, &mut teller);
        self.counters.sessions += 1;
        teller.tell(at, Fact::Session { session: connection.session(), held });
        if let Some(entry) = self.table.get_mut(index) {
            for (side, flag, first) in
                [(Side::Client, State::SYN, 0), (Side::Server, State::SYN_ACK, 1)]
            {
                let position = connection.assembler.position(side);
                entry.state.set(flag, position.is_some());
                if let Some(slot) = entry.first.get_mut(first) {
                    *slot = position.unwrap_or(0);
                }
            }
        }
        connection.assembler.reset(&mut self.reserve);
        if let Some(place) = place {
            self.open_sessions -= 1;
            self.vacant.push(place);
        }
        if self.spare.len() < SPARE_CONNECTIONS {
            self.spare.push(connection);
        }
    }
}

fn starts_like_a_reply(payload: &[u8]) -> bool {
    matches!(payload, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9', b' ' | b'-' | b'\r', ..])
}

#[cfg(test)]
mod tests;
