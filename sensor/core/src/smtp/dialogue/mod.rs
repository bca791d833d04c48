//! The dialogue: commands, replies and content of one connection.
//!
//! [`client`] and [`server`] read the two sides, [`content`] is what the client sends between commands, [`gaps`] what it
//! sent and was not seen, [`conduct`] where it did otherwise than the standard says; [`transactions`] keeps what is between MAIL and the answer to the end of data, and [`opening`]
//! knows what may come before SMTP or instead of it.

mod client;
mod conduct;
mod content;
mod gaps;
mod opening;
mod server;
mod transactions;

#[cfg(test)]
mod tests;

use self::client::Client;
use self::server::Server;
use self::transactions::Book;
use super::body::Body;
use super::line::Piece;
use super::pending::{Asked, Pending, Queue};
use super::{CaptureState, DialogueSink, Place, Session};
use crate::base::{Counters, Flow, Limits, Side, Stamp};

/// What a call brings along.
struct Context<'a, S> {
    limits: &'a Limits,
    counters: &'a mut Counters,
    sink: &'a mut S,
}

/// The state of one connection's dialogue; pooled: [`Dialogue::start`] makes it ready for another connection and keeps
/// its memory.
///
/// Bytes of one side are to be handed over only after all bytes of the other side that their sender had acknowledged were
/// handed over or declared a gap.
#[derive(Debug, Default)]
pub struct Dialogue {
    session: Session,
    client: Client,
    server: Server,
    pending: Queue,
    book: Book,
    body: Body,
    /// The first byte or gap was handed over.
    begun: bool,
    /// The port is one on which TLS is expected from the first byte.
    implicit_tls: bool,
}

impl Dialogue {
    /// A dialogue without a connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins another connection. Where it is joined in the middle, [`CaptureState::JOINED_LATE`] is to be set in
    /// [`Dialogue::session_mut`] before the first bytes: then nothing is taken for granted. `implicit_tls` says that the
    /// port is one for TLS from the first byte; it only matters where the first byte was lost.
    pub fn start(&mut self, flow: Flow, implicit_tls: bool) {
        self.session.reset(flow);
        self.client.reset();
        self.server.reset();
        self.pending.clear();
        self.book.clear();
        self.begun = false;
        self.implicit_tls = implicit_tls;
    }

    /// The session so far.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The session, for what is not in the dialogue: packets, bytes, what ended it, what was missing.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The place of the client's first byte, a PROXY header not counted.
    pub fn first_client(&self) -> Option<Place> {
        self.client.first_place
    }

    /// Whether nothing but TLS is to come: the bytes are no longer looked at.
    pub fn is_encrypted(&self) -> bool {
        self.client.is_tls()
    }

    /// Takes the next bytes of a side.
    pub fn data(
        &mut self,
        side: Side,
        place: Place,
        bytes: &[u8],
        limits: &Limits,
        counters: &mut Counters,
        sink: &mut impl DialogueSink,
    ) {
        let cx = &mut Context { limits, counters, sink };
        self.begin(cx);
        let piece = Piece { place, bytes };
        match side {
            Side::Client => self.client_data(piece, cx),
            Side::Server => self.server_data(piece, cx),
        }
    }

    /// `len` bytes of a side are missing at `place.offset`.
    pub fn gap(
        &mut self,
        side: Side,
        place: Place,
        len: u64,
        limits: &Limits,
        counters: &mut Counters,
        sink: &mut impl DialogueSink,
    ) {
        if len == 0 {
            return;
        }
        let cx = &mut Context { limits, counters, sink };
        self.begin(cx);
        match side {
            Side::Client => self.client_gap(place, len, cx),
            Side::Server => self.server_gap(place, len),
        }
    }

    /// No more bytes will come: settles what is open. `session.close` is to be set before: it tells whether the client
    /// left or the sensor lost sight of it.
    pub fn close(
        &mut self,
        at: Stamp,
        limits: &Limits,
        counters: &mut Counters,
        sink: &mut impl DialogueSink,
    ) {
        let cx = &mut Context { limits, counters, sink };
        self.client_close();
        self.close_transactions(at, cx);
        self.pending.clear();
    }

    /// What waits first: the greeting; or, where the beginning was not seen, nobody knows what.
    fn begin<S>(&mut self, cx: &mut Context<'_, S>) {
        if self.begun {
            return;
        }
        self.begun = true;
        let greeting = Pending { asked: Asked::Greeting, transaction: 0, acked: None };
        self.pending.push(greeting, cx.limits.pending_commands.max(2));
        if self.session.capture.contains(CaptureState::JOINED_LATE) {
            self.pending.server_gap(0);
            self.pending.push_unheard(0, cx.limits.pending_commands.max(2));
            self.client.join_late();
            self.server.join_late();
        }
    }

    /// Acts upon everything of which it has become known that it was answered, and not how.
    fn settle_unknown<S: DialogueSink>(&mut self, at: Stamp, cx: &mut Context<'_, S>) {
        while let Some(pending) = self.pending.next_settled() {
            self.settle(pending, None, at, cx);
        }
    }
}
