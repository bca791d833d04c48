//! Floor 3: lines, commands, replies, the dialogue, DATA and BDAT framing.
//!
//! [`Dialogue`] is a state machine over both directions of one connection. It is handed the bytes of each side in causal
//! order, with their place, and the gaps; it fills a [`Session`], and says through a [`DialogueSink`] what happened. It
//! promises not to panic on any bytes, to keep its memory under the limits, to give the same answer however the bytes
//! were cut, and to say nothing that was not on the wire whole. It refuses to guess: what a loss made unclear is
//! absent. AUTH secrets and user names are kept nowhere.

mod body;
mod command;
mod dialogue;
mod facts;
mod line;
mod newline;
mod pending;
mod reply;

pub use dialogue::Dialogue;
pub use facts::{
    Auth, Capability, CaptureState, Close, Conduct, FalseEnd, Foreign, HeloVerb, Ignored, Message,
    NEWLINE_BYTES, Outcome, Session, Starttls, Visible,
};

use crate::base::Stamp;
pub use crate::stream::Place;

/// A piece of a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A new message's content begins.
    Start,
    /// Bytes as the author wrote them: dot-stuffing undone.
    Bytes(&'a [u8]),
    /// This many bytes are missing.
    Gap(u64),
    /// The content ended; whoever read it writes into the message what was found.
    End,
}

/// Takes what a dialogue shows, in the order in which it was said.
pub trait DialogueSink {
    /// The server's greeting was read to its last line.
    fn greeted(&mut self, at: Stamp, session: &Session, code: u16);
    /// A HELO, EHLO or LHLO was read; the argument is in `session.helo`.
    fn helo(&mut self, at: Stamp, session: &Session);
    /// A piece of content. `false`: no more [`Content::Bytes`] of this message is wanted (`End` still comes).
    fn content(&mut self, session: &Session, message: &mut Message, content: Content<'_>) -> bool;
    /// A transaction ended whose envelope was whole and whose DATA or BDAT began: DATA was answered with 354, or content
    /// came, or the server refused it although it had taken a recipient.
    fn message(&mut self, at: Stamp, session: &Session, message: &Message);
}
