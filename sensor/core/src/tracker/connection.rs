//! One connection that has a dialogue: its streams, what is said in them, and where both go.

use alloc::vec::Vec;

use crate::base::{Counters, Limits, Side, Stamp};
use crate::detect::{self, FlowEvent, Hit, Tuning};
use crate::mail::HeaderReader;
use crate::smtp::{CaptureState, Close, Content, Dialogue, DialogueSink, Message, Session};
use crate::stream::{Assembler, Entry, Piece, Place, State, StreamSink};

use super::{Cause, Fact, FactSink, Key};

/// SMTP over TLS from the first byte (RFC 8314 section 3.3): there the client speaks first, as it should.
const IMPLICIT_TLS_PORT: u16 = 465;

/// What all connections of a worker share while one of them is at work.
#[derive(Debug)]
pub(super) struct Tools {
    limits: Limits,
    tuning: Tuning,
    pub(super) counters: Counters,
    pub(super) mail_counters: Counters,
    hits: Vec<Hit>,
}

impl Tools {
    pub(super) fn new(limits: Limits, tuning: Tuning) -> Self {
        Self {
            limits,
            tuning,
            counters: Counters::default(),
            mail_counters: Counters::default(),
            hits: Vec::new(),
        }
    }
}

/// Hands facts of one flow and one cause on, numbered.
pub(super) struct Teller<'a, S> {
    sink: &'a mut S,
    cause: &'a Cause,
    flow: u64,
}

impl<'a, S: FactSink> Teller<'a, S> {
    pub(super) fn new(sink: &'a mut S, cause: &'a Cause, flow: u64) -> Self {
        Self { sink, cause, flow }
    }

    pub(super) fn tell(&mut self, at: Stamp, fact: Fact<'_>) {
        let Cause { frame, deadline, said } = self.cause;
        let ordinal = said.replace(said.get() + 1);
        self.sink.fact(
            at,
            Key { frame: *frame, deadline: *deadline, flow: self.flow, ordinal },
            fact,
        );
    }
}

/// Whether the client spoke before the greeting had reached it.
#[derive(Clone, Copy, Debug, Default)]
enum Pregreet {
    /// It has not spoken yet, or it waited, or it was said.
    #[default]
    No,
    /// It did not wait; said when the greeting comes, to tell by how much, or at the end.
    Pending { at: Stamp, in_syn: bool },
}

/// What is said in a connection.
#[derive(Debug, Default)]
pub(super) struct Talk {
    pub(super) dialogue: Dialogue,
    headers: HeaderReader,
    pregreet: Pregreet,
    /// Who sent payload last, and when.
    last: Option<(Side, Stamp)>,
    finished: [bool; 2],
}

/// Pooled: [`Connection::start`] makes it new and keeps its memory.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) assembler: Assembler,
    pub(super) talk: Talk,
    losses: u64,
}

impl Connection {
    /// A new connection, of which `entry` is known. The assembler was reset.
    pub(super) fn start(&mut self, entry: &Entry, losses: u64) {
        self.losses = losses;
        if entry.state.contains(State::SYN) {
            self.assembler.start(Side::Client, entry.first[0]);
        }
        if entry.state.contains(State::SYN_ACK) {
            self.assembler.start(Side::Server, entry.first[1]);
        }
        let Talk { dialogue, headers: _, pregreet, last, finished } = &mut self.talk;
        *pregreet = Pregreet::No;
        *last = None;
        *finished = [false; 2];
        dialogue.start(entry.flow(), entry.server.port == IMPLICIT_TLS_PORT);
        let session = dialogue.session_mut();
        session.client_packets = u64::from(entry.packets[0]);
        session.server_packets = u64::from(entry.packets[1]);
        session.end = entry.start;
        if !entry.state.intersects(State::SYN | State::SYN_ACK) {
            session.capture |= CaptureState::JOINED_LATE;
        }
    }

    /// The session so far.
    pub(super) fn session(&self) -> &Session {
        self.talk.dialogue.session()
    }

    /// The session so far.
    pub(super) fn session_mut(&mut self) -> &mut Session {
        self.talk.dialogue.session_mut()
    }

    /// Since when it has been the client's turn, if it is and the client has not said that it is done.
    pub(super) fn silent_since(&self) -> Option<Stamp> {
        let (side, at) = self.talk.last?;
        (side == Side::Server && !self.session().quit && !self.talk.finished[0]).then_some(at)
    }

    /// Whether both sides are done and all of it was handed over.
    pub(super) fn is_finished(&self) -> bool {
        self.talk.finished == [true; 2]
    }

    pub(super) fn count_packet(&mut self, side: Side, at: Stamp) {
        let session = self.session_mut();
        let count = if side == Side::Client {
            &mut session.client_packets
        } else {
            &mut session.server_packets
        };
        *count += 1;
        session.end = at;
    }

    /// The ACK rule: the first transmission of the client's first byte, sent without having received a byte of the
    /// greeting. Retransmissions and connections whose start was not seen say nothing.
    pub(super) fn look_at_first_payload(&mut self, entry: &Entry, piece: &Piece<'_>, in_syn: bool) {
        if !entry.state.contains(State::SYN) || !self.assembler.begins(piece) {
            return;
        }
        let waited = match piece.ack {
            Some(ack) if entry.state.contains(State::SYN_ACK) => {
                ack.wrapping_sub(entry.first[1]).cast_signed() > 0
            }
            // Without the server's first number nothing can be said, but that data in a SYN cannot have waited.
            _ => !in_syn,
        };
        if !waited {
            self.talk.pregreet = Pregreet::Pending { at: piece.at, in_syn };
        }
    }

    /// Says what the end of a connection settles.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn settle<S: FactSink>(
        &mut self,
        at: Stamp,
        end: Stamp,
        close: Close,
        losses: u64,
        state: State,
        tools: &mut Tools,
        teller: &mut Teller<'_, S>,
    ) {
        let one_sided = !state.contains(State::CLIENT | State::SERVER);
        let lossy = self.losses != losses;
        let differs = self.assembler.differs();
        let session = self.session_mut();
        session.capture.set(CaptureState::ONE_SIDED, one_sided);
        if lossy {
            session.capture |= CaptureState::GAP;
        }
        session.overlap_differs = differs;
        session.end = session.end.max(end);
        let seen = session.close;
        session.close.get_or_insert(close);
        self.talk.tell_pregreet(at, None, tools, teller);
        let Talk { dialogue, headers, .. } = &mut self.talk;
        let Tools { limits, tuning, counters, mail_counters, hits } = tools;
        dialogue.close(
            at,
            limits,
            counters,
            &mut Ear { headers, limits, tuning, mail_counters, hits, teller },
        );
        let session = dialogue.session_mut();
        if seen.is_none() && session.quit {
            session.close = Some(Close::Quit);
        }
        detect::flow_event(FlowEvent::Closed, session, tuning, hits);
        tell_hits(at, session, hits, mail_counters, teller);
    }
}

impl Talk {
    fn tell_pregreet<S: FactSink>(
        &mut self,
        at: Stamp,
        greeting: Option<Stamp>,
        tools: &mut Tools,
        teller: &mut Teller<'_, S>,
    ) {
        if let Pregreet::Pending { at: spoke, in_syn } = core::mem::take(&mut self.pregreet) {
            let session = self.dialogue.session();
            let before_greeting = greeting.map(|greeting| greeting.since(spoke));
            let event = FlowEvent::Pregreet {
                first: session.first_bytes.as_bytes(),
                in_syn,
                before_greeting,
            };
            detect::flow_event(event, session, &tools.tuning, &mut tools.hits);
            tell_hits(at, session, &mut tools.hits, &mut tools.mail_counters, teller);
        }
    }
}

fn tell_hits<S: FactSink>(
    at: Stamp,
    session: &Session,
    hits: &mut Vec<Hit>,
    counters: &mut Counters,
    teller: &mut Teller<'_, S>,
) {
    for hit in hits.drain(..) {
        counters.hits += 1;
        teller.tell(at, Fact::Hit { session, hit: &hit });
    }
}

/// Takes the streams and hands them to the dialogue.
pub(super) struct Bridge<'a, 'b, S> {
    pub(super) talk: &'a mut Talk,
    pub(super) tools: &'a mut Tools,
    pub(super) teller: &'a mut Teller<'b, S>,
}

impl<S: FactSink> StreamSink for Bridge<'_, '_, S> {
    fn data(&mut self, side: Side, place: Place, bytes: &[u8]) {
        if side == Side::Server {
            self.talk.tell_pregreet(place.at, Some(place.at), self.tools, self.teller);
        }
        let Talk { dialogue, headers, last, .. } = &mut *self.talk;
        *last = Some((side, place.at));
        let session = dialogue.session_mut();
        match side {
            Side::Client => session.client_bytes += bytes.len() as u64,
            Side::Server => session.server_bytes += bytes.len() as u64,
        }
        let Tools { limits, tuning, counters, mail_counters, hits } = &mut *self.tools;
        let mut ear = Ear { headers, limits, tuning, mail_counters, hits, teller: self.teller };
        dialogue.data(side, place, bytes, limits, counters, &mut ear);
    }

    fn gap(&mut self, side: Side, place: Place, len: u64) {
        let Talk { dialogue, headers, .. } = &mut *self.talk;
        let session = dialogue.session_mut();
        session.gap_bytes += len;
        session.capture |= CaptureState::GAP;
        let Tools { limits, tuning, counters, mail_counters, hits } = &mut *self.tools;
        let mut ear = Ear { headers, limits, tuning, mail_counters, hits, teller: self.teller };
        dialogue.gap(side, place, len, limits, counters, &mut ear);
    }

    fn fin(&mut self, side: Side, at: Stamp) {
        match side {
            Side::Client => self.talk.finished[0] = true,
            Side::Server => self.talk.finished[1] = true,
        }
        let last = self.talk.last;
        let session = self.talk.dialogue.session_mut();
        if let (Side::Client, Some((Side::Server, since))) = (side, last) {
            session.idle_at_fin = at.since(since);
        }
        let by = match side {
            _ if session.quit => Close::Quit,
            Side::Client => Close::ClientFin,
            Side::Server => Close::ServerFin,
        };
        session.close.get_or_insert(by);
    }
}

/// Takes what the dialogue says and tells it.
struct Ear<'a, 'b, S> {
    headers: &'a mut HeaderReader,
    limits: &'a Limits,
    tuning: &'a Tuning,
    mail_counters: &'a mut Counters,
    hits: &'a mut Vec<Hit>,
    teller: &'a mut Teller<'b, S>,
}

impl<S: FactSink> DialogueSink for Ear<'_, '_, S> {
    fn greeted(&mut self, at: Stamp, session: &Session, code: u16) {
        self.teller.tell(at, Fact::Greeted { flow: &session.flow, code });
    }

    fn helo(&mut self, at: Stamp, session: &Session) {
        self.mail_counters.values_cut += u64::from(session.helo.is_cut());
        detect::flow_event(FlowEvent::Helo, session, self.tuning, self.hits);
        tell_hits(at, session, self.hits, self.mail_counters, self.teller);
    }

    fn content(&mut self, _: &Session, message: &mut Message, content: Content<'_>) -> bool {
        match content {
            Content::Start => self.headers.start(),
            Content::Bytes(bytes) => {
                return self.headers.bytes(bytes, self.limits, self.mail_counters);
            }
            Content::Gap(_) => self.headers.gap(),
            Content::End => self.headers.finish(message, self.limits),
        }
        true
    }

    fn message(&mut self, at: Stamp, session: &Session, message: &Message) {
        self.mail_counters.messages += 1;
        self.mail_counters.values_cut += u64::from(message.values_cut());
        self.mail_counters.recipients_cut += u64::from(message.rcpt_to.lost());
        self.teller.tell(at, Fact::Message { session, message });
    }
}
