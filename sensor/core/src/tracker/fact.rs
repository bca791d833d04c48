//! What goes into a tracker and what comes out of it.

use alloc::vec::Vec;

use crate::base::{Flow, Nanos, Stamp};
use crate::detect::Hit;
use crate::dns::Lookup;
use crate::smtp::{Message, Session};
use crate::wire::{Datagram, Segment};

/// What happens to a tracker.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A TCP segment on a watched port, with its number: counted over the whole input from 1, never repeated, rising.
    Frame {
        /// The frame's number.
        number: u64,
        /// What lay in it.
        segment: Segment<'a>,
    },
    /// A packet of DNS, numbered like the others.
    Dns {
        /// The frame's number.
        number: u64,
        /// What lay in it.
        datagram: Datagram<'a>,
    },
    /// The source lost this many packets somewhere before now.
    Lost {
        /// How many.
        packets: u64,
    },
    /// Nothing but time passed. Said anywhere, it changes nothing of what comes out, nor its order.
    Idle {
        /// The number of the frame that comes next, or any up to it.
        number: u64,
    },
}

/// Where a fact belongs in the one order in which the judge takes them: that of a single worker that sees every frame.
///
/// What a frame causes comes in the order of frames; what a deadline causes comes before the first frame whose stamp is
/// not before the deadline, in the order of deadlines and then of flows. The order does not depend on the number of
/// workers, nor on stamps being in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The frame that caused it or before which it was noticed; `u64::MAX` at the end of the input.
    pub frame: u64,
    /// The deadline that caused it; [`Stamp::MAX`] where the frame itself did.
    pub deadline: Stamp,
    /// First frame of the flow.
    pub flow: u64,
    /// Running number among facts that are equal up to here.
    pub ordinal: u32,
}

/// What became of an attempt to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The handshake was completed.
    Completed,
    /// The server answered with RST.
    Refused,
    /// Nothing came back.
    TimedOut,
}

/// Something that was seen on the wire.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// A client sent its first SYN to a server, or a connection was joined in the middle.
    Opened {
        /// The connection.
        flow: &'a Flow,
        /// Fingerprint of the SYN, 0 where none was seen.
        stack: u32,
    },
    /// An attempt whose SYN was seen came to its end; not said where the input ended first.
    Attempt {
        /// The connection.
        flow: &'a Flow,
        /// How.
        end: AttemptEnd,
        /// How many SYNs were sent.
        syns: u32,
    },
    /// A server greeted with this code on this connection.
    Greeted {
        /// The connection.
        flow: &'a Flow,
        /// The code of the greeting.
        code: u16,
    },
    /// The client has kept silent for `idle` since the server's last reply, and the connection is open. Said once.
    Held {
        /// The session so far.
        session: &'a Session,
        /// How long the client has been silent.
        idle: Nanos,
    },
    /// A transaction ended.
    Message {
        /// The session so far.
        session: &'a Session,
        /// The transaction.
        message: &'a Message,
    },
    /// A connection ended. It had a completed handshake, or payload, or was joined in the middle.
    Session {
        /// The session.
        session: &'a Session,
        /// Whether [`Fact::Held`] was said of it.
        held: bool,
    },
    /// A DNS question or answer.
    Dns {
        /// What was asked or answered.
        lookup: &'a Lookup,
        /// How often the source reported losses so far: who argues from what was not answered must ask.
        losses: u64,
    },
    /// A detection's rule matched in a flow.
    Hit {
        /// The session so far.
        session: &'a Session,
        /// What matched.
        hit: &'a Hit,
    },
}

/// A [`Fact`] that owns what it says, to cross between threads.
#[derive(Clone, Debug)]
pub enum OwnedFact {
    /// See [`Fact::Opened`].
    Opened(Flow, u32),
    /// See [`Fact::Attempt`].
    Attempt(Flow, AttemptEnd, u32),
    /// See [`Fact::Greeted`].
    Greeted(Flow, u16),
    /// See [`Fact::Held`].
    Held(alloc::boxed::Box<Session>, Nanos),
    /// See [`Fact::Message`].
    Message(alloc::boxed::Box<(Session, Message)>),
    /// See [`Fact::Session`].
    Session(alloc::boxed::Box<Session>, bool),
    /// See [`Fact::Dns`].
    Dns(alloc::boxed::Box<Lookup>, u64),
    /// See [`Fact::Hit`].
    Hit(alloc::boxed::Box<(Session, Hit)>),
}

/// Takes what a tracker finds, in the order of the keys.
pub trait FactSink {
    /// `at` is the fact's own time: the stamp of its packet, or the deadline.
    fn fact(&mut self, at: Stamp, key: Key, fact: Fact<'_>);
}

impl FactSink for Vec<(Stamp, Key, OwnedFact)> {
    fn fact(&mut self, at: Stamp, key: Key, fact: Fact<'_>) {
        self.push((at, key, OwnedFact::from(fact)));
    }
}

impl From<Fact<'_>> for OwnedFact {
    fn from(fact: Fact<'_>) -> Self {
        use alloc::boxed::Box;
        match fact {
            Fact::Opened { flow, stack } => Self::Opened(*flow, stack),
            Fact::Attempt { flow, end, syns } => Self::Attempt(*flow, end, syns),
            Fact::Greeted { flow, code } => Self::Greeted(*flow, code),
            Fact::Held { session, idle } => Self::Held(Box::new(session.clone()), idle),
            Fact::Message { session, message } => {
                Self::Message(Box::new((session.clone(), message.clone())))
            }
            Fact::Session { session, held } => Self::Session(Box::new(session.clone()), held),
            Fact::Dns { lookup, losses } => Self::Dns(Box::new(lookup.clone()), losses),
            Fact::Hit { session, hit } => Self::Hit(Box::new((session.clone(), hit.clone()))),
        }
    }
}

impl OwnedFact {
    /// The borrowed form.
    pub fn as_fact(&self) -> Fact<'_> {
        match self {
            Self::Opened(flow, stack) => Fact::Opened { flow, stack: *stack },
            Self::Attempt(flow, end, syns) => Fact::Attempt { flow, end: *end, syns: *syns },
            Self::Greeted(flow, code) => Fact::Greeted { flow, code: *code },
            Self::Held(session, idle) => Fact::Held { session, idle: *idle },
            Self::Message(both) => Fact::Message { session: &both.0, message: &both.1 },
            Self::Session(session, held) => Fact::Session { session, held: *held },
            Self::Dns(lookup, losses) => Fact::Dns { lookup, losses: *losses },
            Self::Hit(both) => Fact::Hit { session: &both.0, hit: &both.1 },
        }
    }
}
