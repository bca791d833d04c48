//! The header section of a message, read as it passes.

use alloc::vec::Vec;

use memchr::{memchr, memchr2};

use super::{address, word};
use crate::base::{Counters, Limits, Text};
use crate::smtp::{Message, Outcome};

/// The fields that are kept, in the order of [`HeaderReader::values`] and of `Message::fields_seen`.
const KEPT: [(&[u8], u8); 5] =
    [(b"from", b'F'), (b"to", b'T'), (b"subject", b'S'), (b"date", b'D'), (b"message-id", b'M')];

/// Bytes of a field name that are kept: one more than the longest that is looked for.
const NAME: usize = 11;

/// Where the reader stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first byte of a line. The field read last may go on here.
    #[default]
    LineStart,
    /// Behind a CR that began a line: an empty line, it seems.
    EmptyLine,
    /// In a field's name.
    Name,
    /// In a field's value, or in a line that is passed over.
    Value,
    /// Behind a gap: nothing is certain up to the next line's start.
    Lost,
    /// The header section is over.
    Done,
}

/// The field that is being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    /// None that counts.
    #[default]
    Ignored,
    Received,
    /// An index into [`KEPT`].
    Kept(usize),
}

/// A field's name so far.
#[derive(Debug, Default)]
struct Name {
    bytes: [u8; NAME],
    len: usize,
    /// White space came after it; only that may follow up to the colon (RFC 5322 section 4.5.8).
    spaced: bool,
    /// Holds what no field name holds (RFC 5322 section 3.6.8).
    bad: bool,
}

impl Name {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.bad {
                return;
            }
            match byte {
                b' ' | b'\t' => self.spaced = true,
                b'!'..=b'~' if !self.spaced => {
                    if let Some(slot) = self.bytes.get_mut(self.len) {
                        *slot = byte.to_ascii_lowercase();
                        self.len += 1;
                    }
                }
                _ => self.bad = true,
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// `None`: this is no field name.
    fn field(&self) -> Option<Field> {
        let name = self.as_bytes();
        if self.bad || name.is_empty() {
            return None;
        }
        Some(match KEPT.iter().position(|&(kept, _)| kept == name) {
            Some(index) => Field::Kept(index),
            None if name == b"received" => Field::Received,
            None => Field::Ignored,
        })
    }

    /// Whether the line looks like the `From ` line of a mailbox file.
    fn is_mbox(&self) -> bool {
        self.spaced && matches!(self.as_bytes(), b"from" | b">from")
    }
}

/// A kept field: unfolded, capped, not yet decoded.
#[derive(Debug, Default)]
struct Value {
    bytes: Vec<u8>,
    /// Bytes beyond the cap.
    lost: u32,
    seen: bool,
    /// A gap hit the field: the next of its kind is not the first.
    spoiled: bool,
}

impl Value {
    fn clear(&mut self) {
        self.bytes.clear();
        self.lost = 0;
        self.seen = false;
        self.spoiled = false;
    }

    fn push(&mut self, mut bytes: &[u8], cap: usize) {
        if self.bytes.is_empty() {
            bytes = bytes.trim_ascii_start();
        }
        let room = cap.saturating_sub(self.bytes.len()).min(bytes.len());
        let (kept, lost) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.bytes.extend_from_slice(kept);
        self.lost = self.lost.saturating_add(u32::try_from(lost.len()).unwrap_or(u32::MAX));
    }
}

/// Reads the header section of one message after the other; its memory is kept between them.
#[derive(Debug, Default)]
pub struct HeaderReader {
    state: State,
    name: Name,
    field: Field,
    values: [Value; KEPT.len()],
    received: u32,
    /// Bytes of the section so far.
    read: usize,
    /// No line has ended yet.
    first_line: bool,
    /// A CR that ended the last piece of a value: part of it unless LF follows.
    cr: bool,
    gapped: bool,
    /// The section's end was seen.
    ended: bool,
    decoded: Vec<u8>,
    word: Vec<u8>,
}

impl HeaderReader {
    /// A reader that is ready for a message.
    pub fn new() -> Self {
        let mut reader = Self::default();
        reader.start();
        reader
    }

    /// A new message begins.
    pub fn start(&mut self) {
        self.state = State::LineStart;
        self.field = Field::Ignored;
        self.values.iter_mut().for_each(Value::clear);
        self.received = 0;
        self.read = 0;
        self.first_line = true;
        self.cr = false;
        self.gapped = false;
        self.ended = false;
    }

    /// Takes the next bytes of the content. `false`: the header section is over, no more bytes are wanted.
    ///
    /// It is over at the empty line, at a line that is neither a field nor the continuation of one (that is where an MTA
    /// begins the body, too), or at `limits.header_bytes`.
    pub fn bytes(&mut self, bytes: &[u8], limits: &Limits, counters: &mut Counters) -> bool {
        let room = limits.header_bytes.saturating_sub(self.read);
        let (mut rest, beyond) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
        self.read += rest.len();
        while self.state != State::Done {
            let Some(used) = self.step(rest, limits.field_bytes) else {
                break;
            };
            rest = rest.get(used..).unwrap_or_default();
        }
        if self.state != State::Done && !beyond.is_empty() {
            counters.headers_cut += 1;
            self.drop_field();
            self.state = State::Done;
        }
        self.state != State::Done
    }

    /// Bytes are missing here. The field that they hit is dropped; fields after them count again from the next line on.
    pub fn gap(&mut self) {
        if self.state != State::Done {
            self.gapped = true;
            self.drop_field();
            self.first_line = false;
            self.state = State::Lost;
        }
    }

    /// The content ended: decodes what was found and writes it into `message`.
    ///
    /// A message may be all header, without the empty line (RFC 5322 section 2.1), so that its last field is whole if the
    /// content ended with that line; of a transaction that was aborted nobody knows, and that field is dropped.
    pub fn finish(&mut self, message: &mut Message, limits: &Limits) {
        if self.state == State::LineStart && message.outcome != Outcome::Aborted {
            self.end();
        }
        if self.state != State::Done {
            self.drop_field();
            self.state = State::Done;
        }
        message.header_complete = self.ended && !self.gapped;
        message.received_count = self.received;
        message.fields_seen.clear();
        for (value, (_, letter)) in self.values.iter().zip(KEPT) {
            if value.seen {
                message.fields_seen.push(letter);
            }
        }
        let [from, to, subject, date, message_id] = &self.values;
        let cap = limits.field_bytes;
        for (value, text) in
            [(from, &mut message.from), (to, &mut message.to), (subject, &mut message.subject)]
        {
            self.decoded.clear();
            word::decode(value.bytes.trim_ascii(), &mut self.word, &mut self.decoded);
            write(text, &self.decoded, value.lost, cap);
        }
        write(&mut message.date, date.bytes.trim_ascii(), date.lost, cap);
        write(&mut message.message_id, message_id.bytes.trim_ascii(), message_id.lost, cap);
        self.decoded.clear();
        address::first(&from.bytes, from.lost > 0, &mut self.decoded);
        message.from_address.set(&self.decoded, cap);
    }

    /// Goes one step on, over at most one line. Gives the bytes used, `None` when there are none left.
    fn step(&mut self, rest: &[u8], cap: usize) -> Option<usize> {
        let &first = rest.first()?;
        match self.state {
            State::LineStart => match first {
                b' ' | b'\t' => self.state = State::Value,
                b'\r' => {
                    self.state = State::EmptyLine;
                    return Some(1);
                }
                b'\n' => self.end(),
                _ => {
                    self.commit();
                    self.name = Name::default();
                    self.state = State::Name;
                }
            },
            State::EmptyLine => match first {
                // A file with CR LF that was converted once more.
                b'\r' => return Some(1),
                _ => self.end(),
            },
            State::Name => return Some(self.in_name(rest)),
            State::Value => {
                let end = memchr(b'\n', rest);
                let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                self.push(piece, end.is_some(), cap);
                return Some(self.line_end(end, rest));
            }
            State::Lost => {
                let end = memchr(b'\n', rest);
                return Some(self.line_end(end, rest));
            }
            State::Done => return None,
        }
        Some(0)
    }

    /// The line ends at `end`, or goes on behind `rest`.
    fn line_end(&mut self, end: Option<usize>, rest: &[u8]) -> usize {
        let Some(end) = end else {
            return rest.len();
        };
        self.state = State::LineStart;
        self.first_line = false;
        end + 1
    }

    fn in_name(&mut self, rest: &[u8]) -> usize {
        let end = memchr2(b':', b'\n', rest);
        let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        self.name.push(piece);
        let Some(end) = end else {
            return rest.len();
        };
        let is_colon = rest.get(end) == Some(&b':');
        match self.name.field() {
            Some(field) if is_colon => {
                // The first of a kind wins.
                self.field = match field {
                    Field::Kept(index)
                        if self.values.get(index).is_some_and(|v| v.seen || v.spoiled) =>
                    {
                        Field::Ignored
                    }
                    field => field,
                };
                self.state = State::Value;
                end + 1
            }
            _ if self.first_line && self.name.is_mbox() => {
                self.state = State::Value;
                end
            }
            _ => {
                self.end();
                end
            }
        }
    }

    /// Appends a piece of the value, of a line that ends behind it or goes on. The line's end is no part of it.
    fn push(&mut self, piece: &[u8], line_ends: bool, cap: usize) {
        let Field::Kept(index) = self.field else {
            return;
        };
        let Some(value) = self.values.get_mut(index) else {
            return;
        };
        let (bare, cr) = match piece.strip_suffix(b"\r") {
            Some(bare) => (bare, true),
            None => (piece, false),
        };
        if self.cr && !piece.is_empty() {
            value.push(b"\r", cap);
        }
        value.push(bare, cap);
        self.cr = !line_ends && (cr || (self.cr && piece.is_empty()));
    }

    /// The field read last is whole.
    fn commit(&mut self) {
        match self.field {
            Field::Ignored => {}
            Field::Received => self.received = self.received.saturating_add(1),
            Field::Kept(index) => {
                if let Some(value) = self.values.get_mut(index) {
                    value.seen = true;
                }
            }
        }
        self.field = Field::Ignored;
        self.cr = false;
    }

    fn drop_field(&mut self) {
        if let Field::Kept(index) = self.field
            && let Some(value) = self.values.get_mut(index)
        {
            value.clear();
            value.spoiled = true;
        }
        self.field = Field::Ignored;
        self.cr = false;
    }

    /// The header section ends here.
    fn end(&mut self) {
        self.commit();
        self.ended = true;
        self.state = State::Done;
    }
}

/// Writes a value of which `lost` more bytes were not kept. Where it is cut, no character is cut in two.
fn write(text: &mut Text, bytes: &[u8], lost: u32, cap: usize) {
    let mut kept = bytes.get(..cap.min(bytes.len())).unwrap_or_default();
    if (kept.len() < bytes.len() || lost > 0)
        && let Err(error) = core::str::from_utf8(kept)
        && error.error_len().is_none()
    {
        kept = kept.get(..error.valid_up_to()).unwrap_or_default();
    }
    text.set(kept, cap);
    let beyond = bytes.len() - kept.len();
    text.count(u32::try_from(beyond).unwrap_or(u32::MAX).saturating_add(lost));
}

#[cfg(test)]
mod tests;
