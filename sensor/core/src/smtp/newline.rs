//! Newlines that are none, and what they are misused for: ends of data that only some servers see.
//!
//! Lines end with CRLF (RFC 5321 section 2.3.8). [`Newlines`] looks at every newline in the first bytes of a text,
//! [`FalseEnds`] keeps the first sequence that looks like an end of data and whether a command comes behind it. Of the
//! text itself nothing is kept beyond the word that may be a command.

use super::{FalseEnd, NEWLINE_BYTES};

/// Bytes behind a false end that are looked at: as many as the longest command that is looked for.
const BEHIND: usize = b"MAIL FROM:".len();

/// The false ends of one text. The first is kept, or rather the first that a command follows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FalseEnds {
    found: Option<FalseEnd>,
    /// The one whose following bytes are being read.
    open: Option<FalseEnd>,
    behind: [u8; BEHIND],
    len: usize,
    /// A gap was hit: nothing more is said.
    blind: bool,
}

impl FalseEnds {
    /// A text with a gap: nothing is said of it.
    pub(super) fn gap(&mut self) {
        *self = Self { blind: true, ..Self::default() };
    }

    /// A false end of which the last byte is the `offset`-th of the text.
    pub(super) fn begin(&mut self, sequence: &'static str, offset: u64) {
        self.judge();
        if !self.blind && self.found.is_none_or(|found| found.command.is_none()) {
            self.open = Some(FalseEnd { sequence, offset, command: None });
            self.len = 0;
        }
    }

    /// Whether bytes behind a false end are wanted.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The bytes that follow.
    pub(super) fn follow(&mut self, bytes: &[u8]) {
        if self.open.is_none() {
            return;
        }
        for &byte in bytes {
            let Some(slot) = self.behind.get_mut(self.len) else { break };
            *slot = byte;
            self.len += 1;
            if matches!(byte, b'\r' | b'\n') {
                return self.judge();
            }
        }
        if self.len == BEHIND {
            self.judge();
        }
    }

    fn judge(&mut self) {
        let Some(open) = self.open.take() else { return };
        let behind = self.behind.get(..self.len).unwrap_or_default();
        let command = command(behind);
        if command.is_some() || self.found.is_none() {
            self.found = Some(FalseEnd { command, ..open });
        }
    }

    /// The text is over.
    pub(super) fn finish(mut self) -> Option<FalseEnd> {
        self.judge();
        self.found
    }
}

/// The command that a line begins with, as strictly as whoever smuggles it must write it.
fn command(line: &[u8]) -> Option<&'static str> {
    const BEGIN: [(&[u8], &str); 7] = [
        (b"MAIL FROM:", "MAIL"),
        (b"RCPT TO:", "RCPT"),
        (b"EHLO ", "EHLO"),
        (b"HELO ", "HELO"),
        (b"LHLO ", "LHLO"),
        (b"BDAT ", "BDAT"),
        (b"AUTH ", "AUTH"),
    ];
    const ALONE: [(&[u8], &str); 4] =
        [(b"DATA", "DATA"), (b"RSET", "RSET"), (b"QUIT", "QUIT"), (b"STARTTLS", "STARTTLS")];
    let begins = |word: &[u8]| {
        line.split_at_checked(word.len()).filter(|(head, _)| head.eq_ignore_ascii_case(word))
    };
    let ends = |rest: &[u8]| matches!(rest.first(), Some(b'\r' | b'\n'));
    let begun = BEGIN.iter().find(|(word, _)| begins(word).is_some());
    let alone = || ALONE.iter().find(|(word, _)| begins(word).is_some_and(|(_, rest)| ends(rest)));
    begun.or_else(alone).map(|&(_, name)| name)
}

/// What the bytes before the next one may be the beginning of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    #[default]
    Nothing,
    /// CRLF and NUL.
    Nul,
    /// The same and a dot.
    NulDot,
    /// The same and CR.
    NulDotCr,
    /// A lone CR and a dot.
    CrDot,
}

/// Looks at every newline in the first [`NEWLINE_BYTES`] of a text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Newlines {
    looked: usize,
    last: Option<u8>,
    before: Before,
    /// LF without CR and CR without LF.
    bare: u32,
    ends: FalseEnds,
}

impl Newlines {
    /// Begins another text.
    pub(super) fn start(&mut self) {
        // What came before the text was the end of a line.
        *self = Self { last: Some(b'\n'), ..Self::default() };
    }

    /// Bytes are missing: what comes next cannot be told from what came before.
    pub(super) fn gap(&mut self) {
        self.looked = NEWLINE_BYTES;
        self.ends.gap();
    }

    /// How many were bare so far.
    pub(super) fn bare(&self) -> u32 {
        self.bare
    }

    /// False ends that begin with a lone CR or hold a NUL.
    pub(super) fn ends(&self) -> FalseEnds {
        self.ends
    }

    /// The next bytes of the text.
    pub(super) fn look(&mut self, bytes: &[u8]) {
        let room = NEWLINE_BYTES.saturating_sub(self.looked);
        let bytes = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return };
        let begins_odd = self.last.is_some_and(|last| is_odd(last, first));
        // A text without any is passed over in one go.
        if begins_odd || self.before != Before::Nothing || self.ends.is_open() || holds_odd(bytes) {
            for (at, &byte) in (1u64..).zip(bytes) {
                self.byte(byte, (self.looked as u64).saturating_add(at));
            }
        }
        self.last = Some(last);
        self.looked = self.looked.saturating_add(bytes.len());
    }

    fn byte(&mut self, byte: u8, offset: u64) {
        let last = self.last.replace(byte);
        if last.is_some_and(|last| is_newline_odd(last, byte)) {
            self.bare = self.bare.saturating_add(1);
        }
        let ended = match (self.before, byte) {
            (Before::CrDot, b'\r') => Some("\\r.\\r"),
            (Before::CrDot, b'\n') => Some("\\r.\\n"),
            (Before::NulDotCr, b'\n') => Some("\\r\\n\\0.\\r\\n"),
            _ => None,
        };
        self.before = match (self.before, last, byte) {
            (Before::Nul, _, b'.') => Before::NulDot,
            (Before::NulDot, _, b'\r') => Before::NulDotCr,
            (_, Some(b'\r'), b'.') => Before::CrDot,
            (_, Some(b'\n'), 0) => Before::Nul,
            _ => Before::Nothing,
        };
        match ended {
            Some(sequence) => self.ends.begin(sequence, offset),
            None => self.ends.follow(&[byte]),
        }
    }
}

/// Whether of two bytes one is half of a newline and the other is not its other half.
fn is_newline_odd(a: u8, b: u8) -> bool {
    (a == b'\r') != (b == b'\n')
}

/// The same, or a NUL.
fn is_odd(a: u8, b: u8) -> bool {
    is_newline_odd(a, b) | (b == 0)
}

/// Whether there is anything in it that a text of lines does not hold. Written without a branch in the loop, so that it
/// works on many bytes at a time.
fn holds_odd(bytes: &[u8]) -> bool {
    let behind = bytes.get(1..).unwrap_or_default();
    let odd = |any: bool, (&a, &b): (&u8, &u8)| any | is_odd(a, b);
    bytes.first() == Some(&0) || bytes.iter().zip(behind).fold(false, odd)
}

/// How many newlines of a line that ends with LF are bare.
pub(super) fn bare_in_line(raw: &[u8]) -> u32 {
    let text = raw.strip_suffix(b"\n").unwrap_or(raw);
    let (text, bare_lf) = match text.strip_suffix(b"\r") {
        Some(text) => (text, 0),
        None => (text, 1),
    };
    let bare_cr = u32::try_from(memchr::memchr_iter(b'\r', text).count()).unwrap_or(u32::MAX);
    bare_cr.saturating_add(bare_lf)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn look(text: &[u8], step: usize) -> (u32, Option<FalseEnd>) {
        let mut newlines = Newlines::default();
        newlines.start();
        text.chunks(step).for_each(|piece| newlines.look(piece));
        (newlines.bare(), newlines.ends().finish())
    }

    #[test]
    fn any_cut_finds_the_same() {
        for (text, bare, sequence, command) in [
            (&b"Subject: x\r\n\r\nText.\r\n.\r\n"[..], 0, None, None),
            (b"a\nb\r\n", 1, None, None),
            (b"a\n\nb\r\r\n", 3, None, None),
            (b"\na\r\n", 1, None, None),
            (b"a\rb\r\n", 1, None, None),
            (b"a\r.\rMAIL FROM:<a@b>\r\n", 2, Some("\\r.\\r"), Some("MAIL")),
            (b"a\r.\nquit\r\n", 2, Some("\\r.\\n"), Some("QUIT")),
            (b"a\r.\nquitting\r\n", 2, Some("\\r.\\n"), None),
            (b"a\r.b\r\n", 1, None, None),
            (b"a\r\n\0.\r\nDATA\r\n", 0, Some("\\r\\n\\0.\\r\\n"), Some("DATA")),
            (b"a\0.\r\nDATA\r\n", 0, None, None),
            (b"a\r.\rfoo\r.\rRSET\n", 5, Some("\\r.\\r"), Some("RSET")),
            (b"a\r.\r", 1, Some("\\r.\\r"), None),
        ] {
            for step in 1..=text.len() {
                let (n, end) = look(text, step);
                let seen = (n, end.map(|e| e.sequence), end.and_then(|e| e.command));
                assert_eq!(seen, (bare, sequence, command), "{text:?} step {step}");
            }
        }
    }

    #[test]
    fn only_the_first_bytes_are_looked_at() {
        let mut text = alloc::vec![b'a'; NEWLINE_BYTES - 1];
        text.extend_from_slice(b"\n\n\n");
        for step in [1, 7, 2048, 4096] {
            assert_eq!(look(&text, step).0, 1, "step {step}");
        }
    }

    #[test]
    fn lines() {
        for (line, bare) in
            [(&b"NOOP\r\n"[..], 0), (b"NOOP\n", 1), (b"NO\rOP\r\n", 1), (b"\n", 1), (b"\r\r\n", 1)]
        {
            assert_eq!(bare_in_line(line), bare, "{line:?}");
        }
    }
}
