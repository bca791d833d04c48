//! Floor 3: DNS messages as they were seen on the wire (RFC 1035, RFC 3596).
//!
//! Of a message the header, the first question and the records that say where mail goes are read: A, AAAA, MX and CNAME.
//! Everything else is passed over. [`Message`] is a borrowed view that allocates nothing; [`Lookup`] is the bounded
//! summary that leaves the first stage. No bytes make it panic or loop: a compression pointer must point before the name
//! that it is in, so a name is followed only a bounded way back, and no more records are looked at than a limit says.
//!
//! Over TCP a message has a length of two bytes before it ([`Messages`]). Only messages that lie whole in one segment are
//! read; of others, which are rare (an answer is longer than a packet), it is known that they were there.

mod lookup;
mod message;
mod name;

pub use lookup::Lookup;
pub use message::{Data, Message, Question, Record, Records, Section};
pub use name::{Name, Plain};

/// Types of records and questions (RFC 1035 section 3.2.2, RFC 3596).
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// The canonical name of an alias.
    pub const CNAME: u16 = 5;
    /// A mail exchanger.
    pub const MX: u16 = 15;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
}

/// The messages in a datagram or in a segment of TCP.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
    framed: bool,
}

impl<'a> Messages<'a> {
    /// The message of a datagram.
    pub const fn of_datagram(payload: &'a [u8]) -> Self {
        Self { rest: payload, framed: false }
    }

    /// The messages of a segment, each with its length before it.
    pub const fn of_segment(payload: &'a [u8]) -> Self {
        Self { rest: payload, framed: true }
    }
}

/// Each is the bytes of a whole message, or `Err` where a part of one is left, with which it ends.
impl<'a> Iterator for Messages<'a> {
    type Item = Result<&'a [u8], ()>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = core::mem::take(&mut self.rest);
        if rest.is_empty() {
            return None;
        }
        if !self.framed {
            return Some(Ok(rest));
        }
        let whole = rest.split_first_chunk::<2>().and_then(|(length, behind)| {
            behind.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        });
        Some(whole.ok_or(()).map(|(message, behind)| {
            self.rest = behind;
            message
        }))
    }
}

#[cfg(test)]
mod tests;
