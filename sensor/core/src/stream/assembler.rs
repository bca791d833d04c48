//! Puts the segments of one connection in order, both directions together.
//!
//! The common case borrows: a segment that continues its stream, and whose acknowledgement asks for nothing that is
//! missing on the other side, is handed over by reference. Only what comes out of order is copied, and only up to a cap.
//!
//! Invariants:
//! - `half.next` never goes back: each byte of a stream is handed over once, or counted once in a gap.
//! - of overlapping bytes those that arrived first are handed over. Whether the others differ is seen against what is
//!   held, and against the last [`TAIL`] bytes that were handed over: commands and replies whole, bodies at their end.
//! - `held` is in order of arrival, and nothing in it could be handed over now.

use alloc::vec::Vec;

use crate::base::{Counters, Limits, Side, Stamp};

/// Where a piece of stream lies: everything that upper floors may know of TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Stamp of the packet.
    pub at: Stamp,
    /// Offset of the first byte in its side's stream, missing parts counted; 0 is the first byte after the SYN, or the
    /// first that was seen of a connection joined in the middle.
    pub offset: u64,
    /// How many bytes of the *other* side's stream the sender had received when it sent this (its acknowledgement number
    /// as an offset there). `None` where the other side's numbering is not known.
    pub acked: Option<u64>,
}

/// Takes the streams of a connection, in causal order.
pub trait StreamSink {
    /// Bytes of a side's stream.
    fn data(&mut self, side: Side, place: Place, bytes: &[u8]);
    /// `len` bytes of a side's stream are missing at `place.offset`.
    fn gap(&mut self, side: Side, place: Place, len: u64);
    /// A side said that nothing more follows.
    fn fin(&mut self, side: Side, at: Stamp);
}

/// What one segment adds to a connection.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Who sent it.
    pub side: Side,
    /// Stamp of the packet.
    pub at: Stamp,
    /// Sequence number of the first payload byte.
    pub seq: u32,
    /// Acknowledgement number, if significant.
    pub ack: Option<u32>,
    /// Whether FIN is set.
    pub fin: bool,
    /// The bytes that were captured.
    pub payload: &'a [u8],
    /// The payload's length on the wire.
    pub len: u32,
}

/// Memory for out-of-order bytes, shared by all connections of a worker.
#[derive(Debug, Default)]
pub struct Reserve {
    spare: Vec<Vec<u8>>,
    /// Bytes that what is held now takes, over all connections.
    held: usize,
}

/// What a held segment takes beside its bytes: segments of one byte cost memory, too.
const HELD: usize = 128;

/// Buffers kept for reuse; more would only keep memory after a burst.
const SPARE_BUFFERS: usize = 64;

impl Reserve {
    /// Bytes that what is held now takes, over all connections: buffers as they are, not as they are filled.
    pub fn held(&self) -> usize {
        self.held
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.extend_from_slice(bytes);
        self.held += HELD + buffer.capacity();
        buffer
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        self.held = self.held.saturating_sub(HELD + buffer.capacity());
        if self.spare.len() < SPARE_BUFFERS {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

/// Places for held segments that a connection keeps when it holds none.
const HELD_KEPT: usize = 16;

/// Bytes kept of what was handed over last, to see whether a retransmission says something else.
const TAIL: usize = 128;

/// Sequence numbers further away than this from what is expected are nonsense, not a hole.
const FAR: i32 = 64 << 20;

/// Packets that pass before a hole is given up that the receiver has acknowledged: the capture lost it, so it will not
/// be sent again, but the capture may still show it late.
const PATIENCE_ACKNOWLEDGED: u32 = 16;

/// How often the two sides may wait for each other when a hole is given up. In an honest dialogue each wait lies further
/// back in it; in nonsense they may go round, and the limit ends that.
const ADVANCE_DEPTH: u8 = 64;

#[derive(Debug)]
struct Half {
    /// Sequence number of offset 0.
    base: u32,
    /// Whether `base` is known.
    started: bool,
    /// Whether any packet of this side was seen.
    seen: bool,
    /// Everything before this offset was handed over or given up.
    next: u64,
    /// Up to here the other side has acknowledged.
    acked: u64,
    /// Where the stream ends, once a FIN was seen.
    end: Option<u64>,
    /// Whether the FIN was handed over.
    finished: bool,
    tail: [u8; TAIL],
    tail_len: usize,
}

impl Half {
    const NEW: Self = Self {
        base: 0,
        started: false,
        seen: false,
        next: 0,
        acked: 0,
        end: None,
        finished: false,
        tail: [0; TAIL],
        tail_len: 0,
    };

    fn start(&mut self, seq: u32) {
        if !self.started {
            self.base = seq;
            self.started = true;
        }
    }

    /// The offset of a sequence number: the one nearest to what is expected next. Negative before the start; `None` if
    /// too far away to make sense.
    fn offset(&self, seq: u32) -> Option<i64> {
        let expected = self.base.wrapping_add(self.next as u32);
        let delta = seq.wrapping_sub(expected) as i32;
        (-(1 << 30)..=FAR).contains(&delta).then(|| self.next as i64 + i64::from(delta))
    }

    fn remember(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk::<TAIL>() {
            self.tail = *last;
            self.tail_len = TAIL;
            return;
        }
        let keep = self.tail_len.min(TAIL - bytes.len());
        self.tail.copy_within(self.tail_len - keep..self.tail_len, 0);
        if let Some(room) = self.tail.get_mut(keep..keep + bytes.len()) {
            room.copy_from_slice(bytes);
        }
        self.tail_len = keep + bytes.len();
    }

    /// Whether bytes at `offset`, all before `next`, differ from what was handed over there, as far as is remembered.
    fn contradicts(&self, offset: i64, bytes: &[u8]) -> bool {
        let tail_start = self.next as i64 - self.tail_len as i64;
        let (from, to) =
            (offset.max(tail_start), (offset + bytes.len() as i64).min(self.next as i64));
        if from >= to {
            return false;
        }
        let ours = self.tail.get((from - tail_start) as usize..(to - tail_start) as usize);
        let theirs = bytes.get((from - offset) as usize..(to - offset) as usize);
        ours != theirs
    }
}

#[derive(Debug)]
struct Held {
    side: Side,
    at: Stamp,
    offset: u64,
    acked: Option<u64>,
    fin: bool,
    bytes: Vec<u8>,
    len: u64,
}

impl Held {
    fn end(&self) -> u64 {
        self.offset + self.len
    }
}

/// The two streams of one connection. Pooled: [`Assembler::reset`] makes it new and keeps its memory.
#[derive(Debug)]
pub struct Assembler {
    client: Half,
    server: Half,
    held: Vec<Held>,
    held_bytes: usize,
    /// Packets since something was last handed over while something is held.
    waited: u32,
    /// An overlap said something else than what was seen first.
    differs: bool,
    /// Nothing more will come.
    closing: bool,
}

impl Default for Assembler {
    fn default() -> Self {
        Self::new()
    }
}

impl Assembler {
    /// A connection of which nothing is known.
    pub const fn new() -> Self {
        Self {
            client: Half::NEW,
            server: Half::NEW,
            held: Vec::new(),
            held_bytes: 0,
            waited: 0,
            differs: false,
            closing: false,
        }
    }

    /// Makes it new; what was still held goes back to the reserve.
    pub fn reset(&mut self, reserve: &mut Reserve) {
        for held in self.held.drain(..) {
            reserve.give(held.bytes);
        }
        self.shrink();
        self.client = Half::NEW;
        self.server = Half::NEW;
        self.held_bytes = 0;
        self.waited = 0;
        self.differs = false;
        self.closing = false;
    }

    /// Says what a side's first byte is numbered, from its SYN (the SYN's own number and one).
    pub fn start(&mut self, side: Side, seq: u32) {
        let half = self.half_mut(side);
        half.start(seq);
        half.seen = true;
    }

    /// The sequence number of a side's first byte, once known.
    pub fn base(&self, side: Side) -> Option<u32> {
        let half = self.half(side);
        half.started.then_some(half.base)
    }

    /// Whether a sequence number of `side` lies near what is expected of it.
    pub fn is_near(&self, side: Side, seq: u32) -> bool {
        let half = self.half(side);
        !half.started
            || half.offset(seq).is_some_and(|offset| offset >= half.next as i64 - i64::from(FAR))
    }

    /// The sequence number that is expected next of a side, once known.
    pub fn position(&self, side: Side) -> Option<u32> {
        let half = self.half(side);
        half.started.then_some(half.base.wrapping_add(half.next as u32))
    }

    /// Whether the FIN of both sides was seen, handed over or not.
    pub fn both_ended(&self) -> bool {
        self.client.end.is_some() && self.server.end.is_some()
    }

    /// Whether an overlap was seen whose bytes differ from those that came first.
    pub fn differs(&self) -> bool {
        self.differs
    }

    /// Whether bytes wait for a hole before them to be filled.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether this piece is the first to carry the first byte of its side's stream.
    pub fn begins(&self, piece: &Piece<'_>) -> bool {
        let half = self.half(piece.side);
        let first = !half.started
            || (half.next == 0
                && half.offset(piece.seq).is_some_and(|o| o <= 0 && o + i64::from(piece.len) > 0));
        first
            && piece.len > 0
            && !self.held.iter().any(|h| h.side == piece.side && h.offset == 0 && h.len > 0)
    }

    /// Takes a segment in; hands over what has become whole.
    pub fn piece(
        &mut self,
        piece: Piece<'_>,
        limits: &Limits,
        counters: &mut Counters,
        reserve: &mut Reserve,
        sink: &mut impl StreamSink,
    ) {
        let Piece { side, at, payload, len, fin, .. } = piece;
        let half = self.half_mut(side);
        half.start(piece.seq);
        half.seen = true;
        let next = half.next as i64;
        let offset = half.offset(piece.seq);
        let acked = piece.ack.and_then(|ack| self.note_ack(side, ack));
        let Some(offset) = offset else {
            counters.malformed += 1;
            return;
        };
        let end = offset + i64::from(len);
        if fin && end >= 0 {
            self.half_mut(side).end.get_or_insert(end as u64);
        }
        let new_fin = fin && !self.half(side).finished && end >= next;
        if len == 0 && !new_fin || end <= next && len > 0 && !new_fin {
            // A keep-alive probe (RFC 1122 section 4.2.3.6) may carry one byte of garbage at next - 1.
            if len > 1 || len == 1 && end < next {
                counters.retransmitted_bytes += u64::from(len);
                self.compare(side, offset, payload, counters);
            }
            if !self.held.is_empty() {
                self.wait(limits, counters, reserve, sink);
            }
            return;
        }
        if self.held.is_empty() && offset <= next && self.may_pass(side, acked) {
            let known = (next - offset) as usize;
            if known > 0 {
                let overlap = payload.get(..known.min(payload.len())).unwrap_or_default();
                counters.retransmitted_bytes += known as u64;
                self.compare(side, offset, overlap, counters);
            }
            let bytes = payload.get(known..).unwrap_or_default();
            self.hand_over(side, at, acked, bytes, (end - next) as u64, fin, counters, sink);
            return;
        }
        // Out of order, in its own stream or against the other one. What lies before `next` is dropped here.
        let known = (next - offset).max(0);
        let (old, new) = payload.split_at_checked(known as usize).unwrap_or((payload, &[]));
        self.compare(side, offset, old, counters);
        let (start, len) = ((offset + known) as u64, (i64::from(len) - known).max(0) as u64);
        self.hold(
            Held { side, at, offset: start, acked, fin, bytes: Vec::new(), len },
            new,
            counters,
            reserve,
        );
        while !self.held.is_empty()
            && (self.held_bytes > limits.reorder_bytes
                || self.held.len() > limits.reorder_segments
                || reserve.held > limits.reorder_total)
        {
            counters.reorder_full += 1;
            self.give_up_one(counters, reserve, sink);
        }
        self.settle(counters, reserve, sink);
        if !self.held.is_empty() {
            self.wait(limits, counters, reserve, sink);
        }
        self.shrink();
    }

    /// Gives memory back that only a flood needs.
    fn shrink(&mut self) {
        if self.held.is_empty() && self.held.capacity() > HELD_KEPT {
            self.held.shrink_to(HELD_KEPT);
        }
    }

    /// Nothing more will come: hands over all that is held, with gaps where bytes are missing.
    pub fn finish(
        &mut self,
        counters: &mut Counters,
        reserve: &mut Reserve,
        sink: &mut impl StreamSink,
    ) {
        self.closing = true;
        while !self.held.is_empty() {
            self.give_up_one(counters, reserve, sink);
        }
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn half_mut(&mut self, side: Side) -> &mut Half {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    /// What `side` says it has received of the other side, as an offset there.
    fn note_ack(&mut self, side: Side, ack: u32) -> Option<u64> {
        let other = self.half_mut(side.other());
        other.start(ack);
        let offset = other.offset(ack)?.max(0) as u64;
        // The FIN takes a number of its own.
        let offset = other.end.map_or(offset, |end| offset.min(end));
        other.acked = other.acked.max(offset);
        Some(offset)
    }

    /// Whether everything of the other side that the sender had received was handed over.
    fn may_pass(&self, side: Side, acked: Option<u64>) -> bool {
        let other = self.half(side.other());
        !other.seen
            || acked.is_none_or(|acked| acked <= other.next)
            || other.end.is_some_and(|end| end <= other.next)
    }

    fn compare(&mut self, side: Side, offset: i64, bytes: &[u8], counters: &mut Counters) {
        if self.half(side).contradicts(offset, bytes) {
            self.differs = true;
            counters.overlaps_differing += 1;
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn hand_over(
        &mut self,
        side: Side,
        at: Stamp,
        acked: Option<u64>,
        bytes: &[u8],
        len: u64,
        fin: bool,
        counters: &mut Counters,
        sink: &mut impl StreamSink,
    ) {
        let half = self.half_mut(side);
        if !bytes.is_empty() {
            let place = Place { at, offset: half.next, acked };
            half.remember(bytes);
            half.next += bytes.len() as u64;
            sink.data(side, place, bytes);
        }
        let missing = len.saturating_sub(bytes.len() as u64);
        if missing > 0 {
            self.skip(side, at, acked, missing, counters, sink);
        }
        let half = self.half_mut(side);
        if fin && !half.finished {
            half.finished = true;
            sink.fin(side, at);
        }
    }

    /// Gives up `len` bytes.
    fn skip(
        &mut self,
        side: Side,
        at: Stamp,
        acked: Option<u64>,
        len: u64,
        counters: &mut Counters,
        sink: &mut impl StreamSink,
    ) {
        let half = self.half_mut(side);
        let place = Place { at, offset: half.next, acked };
        half.next += len;
        half.tail_len = 0;
        counters.gaps += 1;
        counters.gap_bytes += len;
        sink.gap(side, place, len);
    }

    fn hold(
        &mut self,
        mut held: Held,
        bytes: &[u8],
        counters: &mut Counters,
        reserve: &mut Reserve,
    ) {
        let end = held.end();
        for other in self
            .held
            .iter()
            .filter(|h| h.side == held.side && h.offset < end && held.offset < h.end())
        {
            let (from, to) = (other.offset.max(held.offset), other.end().min(end));
            let theirs =
                other.bytes.get((from - other.offset) as usize..(to - other.offset) as usize);
            let ours = bytes.get((from - held.offset) as usize..(to - held.offset) as usize);
            if theirs.is_some() && ours.is_some() && theirs != ours {
                self.differs = true;
                counters.overlaps_differing += 1;
            }
        }
        if self.held.iter().any(|h| {
            h.side == held.side && h.offset <= held.offset && h.end() >= end && h.fin == held.fin
        }) {
            counters.retransmitted_bytes += held.len;
            return;
        }
        counters.segments_reordered += 1;
        held.bytes = reserve.take(bytes);
        self.held_bytes += bytes.len();
        self.held.push(held);
    }

    fn drop_held(&mut self, index: usize, reserve: &mut Reserve) {
        if index < self.held.len() {
            let held = self.held.remove(index);
            self.held_bytes = self.held_bytes.saturating_sub(held.bytes.len());
            reserve.give(held.bytes);
        }
    }

    /// Hands over everything that can be.
    fn settle(
        &mut self,
        counters: &mut Counters,
        reserve: &mut Reserve,
        sink: &mut impl StreamSink,
    ) {
        while let Some(index) = self
            .held
            .iter()
            .position(|h| h.offset <= self.half(h.side).next && self.may_pass(h.side, h.acked))
        {
            self.hand_over_held(index, u64::MAX, counters, reserve, sink);
            self.waited = 0;
        }
    }

    /// Hands over one held segment that begins at or before what is expected, up to `limit` or to where bytes begin that
    /// arrived earlier.
    fn hand_over_held(
        &mut self,
        index: usize,
        limit: u64,
        counters: &mut Counters,
        reserve: &mut Reserve,
        sink: &mut impl StreamSink,
    ) {
        let Some(held) = self.held.get_mut(index) else { return };
        let (side, at, acked, start, len, fin) =
            (held.side, held.at, held.acked, held.offset, held.len, held.fin);
        let bytes = core::mem::take(&mut held.bytes);
        let next = self.half(side).next;
        let earlier =
            self.held.iter().take(index).filter(|h| h.side == side && h.offset > next && h.len > 0);
        let stop = earlier
            .map(|h| h.offset)
            .min()
            .unwrap_or(u64::MAX)
            .min(limit)
            .min(start + len)
            .max(next.min(start + len));
        let part = bytes.get(next.saturating_sub(start) as usize..).unwrap_or_default();
        let wanted = stop.saturating_sub(next);
        let part = part.get(..(wanted as usize).min(part.len())).unwrap_or_default();
        let whole = stop == start + len;
        self.hand_over(side, at, acked, part, wanted, fin && whole, counters, sink);
        if let Some(held) = self.held.get_mut(index) {
            held.bytes = bytes;
        }
        if whole {
            self.drop_held(index, reserve);
        }
    }

    /// One more packet went by and something is still held.
    fn wait(
        &mut self,
        limits: &Limits,
        counters: &mut Counters,
        reserve: &mut Reserve,
        sink: &mut impl StreamSink,
    ) {
        self.waited += 1;
        let acknowledged = self.nearest().and_then(|i| self.held.get(i)).is_some_and(|h| {
            let own = self.half(h.side);
            !self.may_pass(h.side, h.acked) || own.acked >= h.offset && h.offset > own.next
        });
        let patience = if acknowledged { PATIENCE_ACKNOWLEDGED } else { limits.reorder_packets };
        if self.waited >= patience.min(limits.reorder_packets) {
            self.give_up_one(counters, reserve, sink);
        }
    }

    /// The held segment that the fewest missing bytes keep back, the earliest of equals: one that lies far ahead does
    /// not make everything before it be given up.
    fn nearest(&self) -> Option<usize> {
        let missing = |h: &Held| {
            let other = h.acked.map_or(0, |a| {
                if self.may_pass(h.side, h.acked) { 0 } else { a - self.half(h.side.other()).next }
            });
            h.offset.saturating_sub(self.half(h.side).next).saturating_add(other)
        };
        self.held.iter().enumerate().min_by_key(|(_, h)| missing(h)).map(|(i, _)| i)
    }

    /// Gives up what the nearest segment waits for, and hands over what that sets free.
    fn give_up_one(
        &mut self,
        counters: &mut Counters,
        reserve: &mut Reserve,
        sink: &mut impl StreamSink,
    ) {
        let Some(index) = self.nearest() else { return };
        let Some(held) = self.held.get(index) else { return };
        let (side, at, offset, acked) = (held.side, held.at, held.offset, held.acked);
        let before = self.held.len();
        self.waited = 0;
        if let Some(acked) = acked.filter(|_| !self.may_pass(side, acked)) {
            self.advance(side.other(), at, acked, 0, counters, reserve, sink);
        }
        self.advance(side, at, offset, 0, counters, reserve, sink);
        if self.half(side).next < offset && self.held.len() == before {
            // It lies behind the end of its own stream.
            self.drop_held(index, reserve);
        }
        self.settle(counters, reserve, sink);
    }

    /// Brings a side's stream up to `to`, with what is held and with gaps between. What is held may itself wait for the
    /// other side: that is brought up first, to a depth that only nonsense reaches.
    #[allow(clippy::too_many_arguments)]
    fn advance(
        &mut self,
        side: Side,
        at: Stamp,
        to: u64,
        depth: u8,
        counters: &mut Counters,
        reserve: &mut Reserve,
        sink: &mut impl StreamSink,
    ) {
        while self.half(side).next < to
            && self.half(side).end.is_none_or(|end| self.half(side).next < end)
        {
            let next = self.half(side).next;
            if let Some(index) = self
                .held
                .iter()
                .position(|h| h.side == side && h.len > 0 && h.offset <= next && h.end() > next)
            {
                let acked = self
                    .held
                    .get(index)
                    .and_then(|h| h.acked)
                    .filter(|&a| !self.may_pass(side, Some(a)));
                if let Some(acked) = acked.filter(|_| depth < ADVANCE_DEPTH) {
                    self.advance(side.other(), at, acked, depth + 1, counters, reserve, sink);
                    continue;
                }
                self.hand_over_held(index, to, counters, reserve, sink);
                continue;
            }
            let resume = self
                .held
                .iter()
                .filter(|h| h.side == side && h.len > 0 && h.offset > next)
                .map(|h| h.offset)
                .min();
            let stop = resume.map_or(to, |r| r.min(to));
            // At the end, an acknowledgement one beyond the last byte with nothing behind it is that of a FIN not seen.
            if self.closing && stop - next == 1 && resume.is_none() && self.half(side).end.is_none()
            {
                let half = self.half_mut(side);
                half.end = Some(next);
                half.finished = true;
                sink.fin(side, at);
                return;
            }
            self.skip(side, at, None, stop - next, counters, sink);
        }
    }
}

#[cfg(test)]
mod tests;
