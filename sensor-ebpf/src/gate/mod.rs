//! How much of a connection `observe = metadata` lets through.
//!
//! The greeting, the first lines of the client up to its first command that names somebody, the replies to them, the
//! first TLS record of the client and the beginning of the server's answer pass. From the first other client line on
//! (MAIL, RCPT, AUTH, DATA, BDAT, GET …) a connection is *shut*: of that line the verb passes, at most four letters, and
//! then nothing in either direction but headers, for ever.
//!
//! What it promises: no byte of the client passes but in its place in the stream and once, as a part of a line or of the TLS
//! record that may pass; no byte of the server passes that answers what was not looked at. Where it cannot know, it shuts: a connection whose SYN
//! was not seen, a hole in the client's stream, a line of more than [`LINE`] bytes, a segment of more than [`WINDOW`]. An
//! honest dialogue loses what lies behind that, which is the price. It keeps no byte of what it looked at.
//!
//! A [`State`] belongs to one connection as one interface shows it. Zeroes mean shut. Each direction writes fields of its
//! own, and `open` is only ever cleared (but by a new SYN): two processors that look at one connection at the same time
//! can shut it once too often, and not open it.

mod verbs;

#[cfg(test)]
mod tests;

/// Bytes of a client line that pass.
pub const LINE: u16 = 512;
/// Bytes of one client segment that are looked at.
pub const WINDOW: u32 = 1024;
/// Bytes of the client's first TLS record that pass, header included.
pub const HELLO: u16 = 4096;
/// Bytes of the server that pass after the client's TLS record began.
pub const ANSWER: u32 = 4096;
/// Letters of the line that shuts a connection that pass.
const VERB: u16 = 4;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who sent the SYN.
    Client,
    /// Who was called.
    Server,
}

/// What is known of a connection. `default()` is one whose SYN was not seen: nothing passes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    client: Client,
    /// Sequence number of the SYN.
    isn: u32,
    /// Bytes of the server that still pass once TLS began.
    answer: u32,
    /// Something may still pass.
    open: u8,
    /// A SYN came within a connection that was known: it counts once the server agrees.
    pending: u8,
    _pad: [u8; 2],
}

/// Where the client's stream is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Client {
    /// Sequence number of the next byte.
    next: u32,
    /// Bytes of the current line, or of the TLS record, that were looked at.
    seen: u16,
    /// Bytes of the TLS record, header included.
    record: u16,
    /// Verbs that the line may still begin with.
    verbs: u8,
    phase: u8,
    _pad: [u8; 2],
}

/// Nothing of the client passes any more.
const DONE: u8 = 0;
/// At the beginning of a line, or within its verb.
const AT_VERB: u8 = 1;
/// Within a line that passes.
const IN_LINE: u8 = 2;
/// The same, after a CR: only LF may follow, or another CR. (Some servers take a lone CR for the end of a line.)
const AFTER_CR: u8 = 3;
/// Within the verb of the line that shuts the connection.
const LAST_VERB: u8 = 4;
/// Within the header of the TLS record.
const TLS_HEADER: u8 = 5;
/// Within the TLS record.
const TLS_RECORD: u8 = 6;

impl State {
    /// A connection that this SYN opens.
    #[inline(always)]
    pub const fn opened(isn: u32) -> Self {
        let client = Client {
            next: isn.wrapping_add(1),
            seen: 0,
            record: 0,
            verbs: verbs::ALL,
            phase: AT_VERB,
            _pad: [0; 2],
        };
        Self { client, isn, answer: ANSWER, open: 1, pending: 0, _pad: [0; 2] }
    }

    /// Another SYN between the same ends, without ACK.
    ///
    /// The same SYN once more changes nothing. One of a new connection shuts the old one, and opens the new one when
    /// [`syn_ack`](Self::syn_ack) agrees: a SYN that nobody answers must not make bytes of a body pass for commands.
    #[inline(always)]
    pub const fn syn(&mut self, isn: u32) {
        if isn != self.isn {
            self.open = 0;
            self.client.phase = DONE;
            self.pending = 1;
            self.isn = isn;
        }
    }

    /// The server's SYN and ACK.
    #[inline(always)]
    pub const fn syn_ack(&mut self, ack: u32) {
        if self.pending != 0 && ack == self.isn.wrapping_add(1) {
            *self = Self::opened(self.isn);
        }
    }

    /// The client's FIN, which takes a number of its own: that of the byte after its payload. To be told after [`gate`].
    ///
    /// The server acknowledges it with its last reply, which passes only when all that it acknowledges was seen.
    #[inline(always)]
    pub const fn fin(&mut self, seq: u32) {
        if seq == self.client.next {
            self.client.next = seq.wrapping_add(1);
        }
    }

    /// Whether nothing passes any more but what is left of the last verb.
    #[inline(always)]
    pub const fn is_shut(&self) -> bool {
        self.open == 0
    }
}

/// The bytes of a segment, as far as they can be read.
pub trait Payload {
    /// Calls [`Scan::step`] with `count` bytes from `from` on, in order, until it returns `false` or a byte cannot be read.
    fn scan(&self, from: u32, count: u32, scan: &mut Scan);
}

impl Payload for [u8] {
    fn scan(&self, from: u32, count: u32, scan: &mut Scan) {
        for &byte in self.iter().skip(from as usize).take(count as usize) {
            if !scan.step(byte) {
                break;
            }
        }
    }
}

/// A walk over bytes of the client.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    client: Client,
    /// Bytes that pass.
    passed: u32,
}

impl Scan {
    /// Takes the next byte; `false` when no more are wanted.
    #[inline(always)]
    pub fn step(&mut self, byte: u8) -> bool {
        let passes = self.client.step(byte);
        self.passed = self.passed.wrapping_add(u32::from(passes));
        passes && self.client.phase != TLS_RECORD
    }
}

impl Client {
    /// Takes the next byte, and says whether it passes.
    #[inline(always)]
    fn step(&mut self, byte: u8) -> bool {
        let at = self.seen;
        self.seen = at.wrapping_add(1);
        match self.phase {
            AT_VERB => {
                if at == 0 && byte == 0x16 {
                    self.phase = TLS_HEADER;
                    return true;
                }
                self.verbs &= verbs::with(byte, at);
                if verbs::complete(self.verbs, at) {
                    self.phase = IN_LINE;
                } else if self.verbs == 0 {
                    self.phase = LAST_VERB;
                    return at < VERB && byte.is_ascii_alphabetic();
                }
                true
            }
            IN_LINE | AFTER_CR if byte == b'\n' => {
                self.phase = AT_VERB;
                self.seen = 0;
                self.verbs = verbs::ALL;
                at < LINE
            }
            IN_LINE | AFTER_CR => {
                let fits = at < LINE && (self.phase == IN_LINE || byte == b'\r');
                self.phase = if byte == b'\r' { AFTER_CR } else { IN_LINE };
                fits
            }
            LAST_VERB => at < VERB && byte.is_ascii_alphabetic(),
            TLS_HEADER => {
                match at {
                    1 => return byte == 3,
                    3 => self.record = u16::from(byte) << 8,
                    4 => {
                        let length = (self.record | u16::from(byte)).saturating_add(5);
                        self.record = if length < HELLO { length } else { HELLO };
                        self.phase = TLS_RECORD;
                    }
                    _ => {}
                }
                true
            }
            _ => false,
        }
    }
}

/// Says how many bytes of a segment's payload may be copied, from its beginning.
///
/// `seq` is the number of the first payload byte (one more than the SYN's where there is one), `ack` the acknowledgement
/// number, `len` the payload's length on the wire; of `payload` fewer bytes may be there. Segments are to be shown in the
/// order in which they pass, each once for each interface.
#[inline(always)]
pub fn gate<P: Payload + ?Sized>(
    state: &mut State,
    side: Side,
    seq: u32,
    ack: u32,
    payload: &P,
    len: u32,
) -> u32 {
    if len == 0 {
        return 0;
    }
    match side {
        Side::Client => client(state, seq, payload, len),
        Side::Server => server(state, ack, len),
    }
}

#[inline(always)]
fn client<P: Payload + ?Sized>(state: &mut State, seq: u32, payload: &P, len: u32) -> u32 {
    if state.is_shut() && state.client.phase != LAST_VERB {
        return 0;
    }
    let old = state.client.next.wrapping_sub(seq);
    if old > 1 << 31 {
        // Something is missing before it.
        state.open = 0;
        state.client.phase = DONE;
        return 0;
    }
    if old >= len {
        return 0;
    }
    let count = len - old;
    let mut scan = Scan { client: state.client, passed: 0 };
    if scan.client.phase != DONE && scan.client.phase != TLS_RECORD {
        payload.scan(old, if count < WINDOW { count } else { WINDOW }, &mut scan);
    }
    let mut passed = scan.passed;
    let mut open = true;
    if scan.client.phase == TLS_RECORD {
        let record = u32::from(scan.client.record.saturating_sub(scan.client.seen));
        let rest = count.saturating_sub(passed);
        if rest < record {
            scan.client.seen = scan.client.seen.wrapping_add(rest as u16);
            passed = count;
        } else {
            scan.client.phase = DONE;
            passed += record;
        }
    } else if scan.client.phase != DONE {
        open = scan.client.phase != LAST_VERB;
        if passed < count {
            // A byte that does not pass, or one that was not looked at.
            open = false;
            scan.client.phase = DONE;
        }
    }
    scan.client.next = seq.wrapping_add(len);
    state.client = scan.client;
    if !open {
        state.open = 0;
    }
    // What was seen before is not looked at again, and may be other bytes this time.
    if old == 0 { passed } else { 0 }
}

#[inline(always)]
fn server(state: &mut State, ack: u32, len: u32) -> u32 {
    // What it acknowledges was looked at.
    let ahead = ack.wrapping_sub(state.client.next);
    if state.is_shut() || (ahead > 0 && ahead <= 1 << 31) {
        return 0;
    }
    if matches!(state.client.phase, AT_VERB | IN_LINE | AFTER_CR) {
        return len;
    }
    let passed = if len < state.answer { len } else { state.answer };
    state.answer -= passed;
    passed
}
