//! The content of DATA: dot-stuffing undone, its end found (RFC 5321 sections 4.1.1.4 and 4.5.2).
//!
//! Content passes by reference, in slices between stuffed dots. The end is CRLF.CRLF and nothing else; a dot alone between
//! ends of lines of which one is not CRLF is remembered as a *loose end*, for there are servers that take it for the end,
//! and their answer tells.

use memchr::memmem::Finder;

use super::FalseEnd;
use super::newline::{FalseEnds, Newlines};

/// Where a line ended the content for a server that is not strict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LooseEnd {
    /// Bytes of content before it.
    pub(super) size: u64,
    /// Bytes that had been read when it was over, and the empty lines behind it.
    read: u64,
    /// Empty lines follow it: a server that stopped at it may answer them, too.
    pub(super) empty_lines: bool,
}

/// What the bytes just before the next one were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    /// The end of a line, CRLF, or the beginning of the content.
    #[default]
    Line,
    /// The end of a line and a dot that was held back.
    LineDot,
    /// The end of a line, and a dot and a CR that were held back.
    LineDotCr,
    /// A bare LF, or a gap: perhaps the end of a line.
    Loose,
    /// The same and a dot.
    LooseDot,
    /// The same, a dot and a CR.
    LooseDotCr,
    /// CR.
    Cr,
    /// Any other byte.
    Other,
}

/// Reads the content of one DATA command.
#[derive(Debug)]
pub(super) struct Body {
    before: Before,
    read: u64,
    size: u64,
    loose: Option<LooseEnd>,
    /// What some servers take for the end, and is none.
    ends: FalseEnds,
    newlines: Newlines,
    line_dot: Finder<'static>,
}

impl Default for Body {
    fn default() -> Self {
        Self {
            before: Before::Line,
            read: 0,
            size: 0,
            loose: None,
            ends: FalseEnds::default(),
            newlines: Newlines::default(),
            line_dot: Finder::new(b"\n."),
        }
    }
}

impl Body {
    /// Begins another content.
    pub(super) fn start(&mut self) {
        self.before = Before::Line;
        self.read = 0;
        self.size = 0;
        self.loose = None;
        self.ends = FalseEnds::default();
        self.newlines.start();
    }

    /// Newlines that were bare, in the bytes in which they are looked for.
    pub(super) fn bare_newlines(&self) -> u32 {
        self.newlines.bare()
    }

    /// The first false end, or the first that a command follows. Asked when the true end was read.
    pub(super) fn false_end(&self) -> Option<FalseEnd> {
        let [ours, others] = [self.ends, self.newlines.ends()].map(FalseEnds::finish);
        let is_worse = |end: &FalseEnd| (end.command.is_none(), end.offset);
        ours.into_iter().chain(others).min_by_key(is_worse)
    }

    /// Bytes of content so far: stuffed dots and the final dot line not counted, missing ones counted.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The first loose end, if nothing was read behind it but empty lines: to the server that stopped there these are
    /// empty commands.
    pub(super) fn loose_end(&self) -> Option<LooseEnd> {
        self.loose.filter(|end| end.read == self.read)
    }

    /// This many bytes are missing.
    pub(super) fn gap(&mut self, len: u64) {
        self.read = self.read.saturating_add(len);
        self.size = self.size.saturating_add(len);
        self.before = Before::Loose;
        self.ends.gap();
        self.newlines.gap();
    }

    /// Reads `bytes` and hands the content in them to `out`. Some: the content ended behind so many of them.
    pub(super) fn feed(&mut self, bytes: &[u8], out: impl FnMut(&[u8])) -> Option<usize> {
        let end = self.read(bytes, out);
        self.newlines.look(bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default());
        end
    }

    fn read(&mut self, bytes: &[u8], mut out: impl FnMut(&[u8])) -> Option<usize> {
        // `from` is the first byte not yet handed out, `at` the next to be read.
        let mut from = 0usize;
        let mut at = 0usize;
        // What follows a false end begins here.
        let mut behind = 0usize;
        let mut size = self.size;
        let mut emit = |slice: &[u8]| {
            if !slice.is_empty() {
                size = size.saturating_add(slice.len() as u64);
                out(slice);
            }
            size
        };
        while let Some(&byte) = bytes.get(at) {
            if matches!(self.before, Before::Other | Before::Cr) {
                // Inside a line nothing matters but the next line that begins with a dot.
                let rest = bytes.get(at..).unwrap_or_default();
                match self.line_dot.find(rest) {
                    Some(i) => {
                        let cr = match i.checked_sub(1) {
                            Some(i) => rest.get(i) == Some(&b'\r'),
                            None => self.before == Before::Cr,
                        };
                        self.before = if cr { Before::Line } else { Before::Loose };
                        at += i + 1;
                    }
                    None => {
                        self.before = match rest {
                            [.., b'\r', b'\n'] => Before::Line,
                            [b'\n'] if self.before == Before::Cr => Before::Line,
                            [.., b'\n'] => Before::Loose,
                            [.., b'\r'] => Before::Cr,
                            _ => Before::Other,
                        };
                        at = bytes.len();
                    }
                }
                continue;
            }
            let plain = match byte {
                b'\r' => Before::Cr,
                b'\n' => Before::Loose,
                _ => Before::Other,
            };
            let read = self.read.saturating_add(at as u64).saturating_add(1);
            if let Some(sequence) = false_end(self.before, byte) {
                self.ends.follow(bytes.get(behind..at).unwrap_or_default());
                // What follows CR begins with this byte.
                let own = usize::from(byte == b'\n');
                self.ends.begin(sequence, read.saturating_sub(1).saturating_add(own as u64));
                behind = at + own;
            }
            self.before = match (self.before, byte) {
                (Before::Line, b'.') => {
                    emit(bytes.get(from..at).unwrap_or_default());
                    from = at + 1;
                    Before::LineDot
                }
                (Before::LineDot, b'\r') => {
                    from = at + 1;
                    Before::LineDotCr
                }
                (Before::LineDotCr, b'\n') => {
                    self.ends.follow(bytes.get(behind..at).unwrap_or_default());
                    self.read = read;
                    self.size = emit(&[]);
                    return Some(at + 1);
                }
                (Before::LineDotCr, _) => {
                    emit(b"\r");
                    from = at;
                    plain
                }
                (Before::LineDot, b'\n') => {
                    let size = emit(&[]);
                    self.loose.get_or_insert(LooseEnd { size, read, empty_lines: false });
                    Before::Loose
                }
                (Before::Loose, b'.') => Before::LooseDot,
                (Before::LooseDot, b'\r') => Before::LooseDotCr,
                (Before::LooseDot | Before::LooseDotCr, b'\n') => {
                    let whole = emit(bytes.get(from..=at).unwrap_or_default());
                    from = at + 1;
                    let dot_line = if self.before == Before::LooseDot { 2 } else { 3 };
                    let size = whole.saturating_sub(dot_line);
                    self.loose.get_or_insert(LooseEnd { size, read, empty_lines: false });
                    if self.before == Before::LooseDot { Before::Loose } else { Before::Line }
                }
                (_, _) => plain,
            };
            at += 1;
        }
        self.size = emit(bytes.get(from..).unwrap_or_default());
        self.ends.follow(bytes.get(behind..).unwrap_or_default());
        let before = self.read;
        self.read = before.saturating_add(bytes.len() as u64);
        if let Some(end) = &mut self.loose
            && let Some(skip) = end.read.checked_sub(before)
            && let Some(behind) = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..))
            && behind.iter().all(|b| matches!(b, b'\r' | b'\n'))
        {
            end.empty_lines |= end.read < self.read;
            end.read = self.read;
        }
        None
    }
}

/// The sequence that ends with this byte and that some servers take for the end (those without CR and LF as halves of
/// newlines; [`Newlines`] sees the others).
fn false_end(before: Before, byte: u8) -> Option<&'static str> {
    match (before, byte) {
        (Before::LineDot, b'\n') => Some("\\r\\n.\\n"),
        (Before::LineDotCr, b'\n') => None,
        (Before::LineDotCr, _) => Some("\\r\\n.\\r"),
        (Before::LooseDot, b'\n') => Some("\\n.\\n"),
        (Before::LooseDotCr, b'\n') => Some("\\n.\\r\\n"),
        (Before::LooseDotCr, _) => Some("\\n.\\r"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// What a reader that looks at the whole content at once makes of it: the content and where it ended.
    fn reference(input: &[u8]) -> (Vec<u8>, Option<usize>) {
        let mut out = Vec::new();
        let mut at = 0;
        let mut line_start = true;
        while at < input.len() {
            if line_start && input[at..].starts_with(b".\r\n") {
                return (out, Some(at + 3));
            }
            if line_start && input[at] == b'.' {
                at += 1;
                line_start = false;
                continue;
            }
            out.push(input[at]);
            at += 1;
            line_start = input[..at].ends_with(b"\r\n");
        }
        (out, None)
    }

    fn run(input: &[u8], mut next_cut: impl FnMut() -> usize) -> (Vec<u8>, Option<usize>, u64) {
        let mut body = Body::default();
        let mut out = Vec::new();
        let mut at = 0;
        while at < input.len() {
            let end = (at + next_cut().max(1)).min(input.len());
            if let Some(n) = body.feed(&input[at..end], |s| out.extend_from_slice(s)) {
                return (out, Some(at + n), body.size());
            }
            at = end;
        }
        (out, None, body.size())
    }

    #[test]
    fn the_end_and_the_dots() {
        for (input, content, end) in [
            (&b".\r\n"[..], &b""[..], Some(3)),
            (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", Some(6)),
            (b"..\r\n.\r\n", b".\r\n", Some(7)),
            (b".a\r\n..b\r\n.\r\n", b"a\r\n.b\r\n", Some(12)),
            (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", Some(11)),
            (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", Some(11)),
            (b"a.\r\n.\r\n", b"a.\r\n", Some(7)),
            (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", Some(11)),
            (b"a\r\n.\r\r\n.\r\n", b"a\r\n\r\r\n", Some(10)),
        ] {
            let text = core::str::from_utf8(input).unwrap();
            for step in 1..=input.len() {
                let (out, at, size) = run(input, || step);
                assert_eq!((out.as_slice(), at), (content, end), "{text:?} step {step}");
                assert_eq!(size, content.len() as u64, "{text:?}");
            }
        }
    }

    #[test]
    fn any_cut_equals_the_reference() {
        let mut seed = 0x5eed_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for round in 0..20_000 {
            let input: Vec<u8> =
                (0..random() % 40).map(|_| b"a\r\n.\r\n..\n"[(random() % 9) as usize]).collect();
            let (content, end) = reference(&input);
            let (out, at, size) = run(&input, || (random() % 9) as usize);
            // What may still turn out to be the end is held back.
            let held = if at.is_none() && content.len() > out.len() {
                content.len() - out.len()
            } else {
                0
            };
            assert!(held <= 1, "round {round} {input:?}");
            assert_eq!(
                (&out[..], at),
                (&content[..content.len() - held], end),
                "round {round} {input:?}"
            );
            assert_eq!(size, out.len() as u64);
        }
    }

    #[test]
    fn false_ends() {
        for (input, sequence, offset, command) in [
            (&b"a\n.\nMAIL FROM:<x@y>\r\n.\r\n"[..], "\\n.\\n", 4, Some("MAIL")),
            (b"a\n.\r\nrcpt to:<x@y>\r\n.\r\n", "\\n.\\r\\n", 5, Some("RCPT")),
            (b"a\r\n.\nDATA\r\n.\r\n", "\\r\\n.\\n", 5, Some("DATA")),
            (b"a\r\n.\rEHLO x\r\n.\r\n", "\\r\\n.\\r", 5, Some("EHLO")),
            (b"a\n.\rHELO x\r\n.\r\n", "\\n.\\r", 4, Some("HELO")),
            (b"a\r.\rBDAT 4\r\n.\r\n", "\\r.\\r", 4, Some("BDAT")),
            (b"a\n.\nmore\n.\nQUIT\r\n.\r\n", "\\n.\\n", 11, Some("QUIT")),
            (b"a\n.\n.\nRSET\r\n.\r\n", "\\n.\\n", 6, Some("RSET")),
            (b"a\n.\nMAIL order\r\n.\r\n", "\\n.\\n", 4, None),
            (b"a\n.\n\r\n.\r\n", "\\n.\\n", 4, None),
            (b"a\n.\nRSET\r\nb\n.\nDATA\n.\r\n\r\n.\r\n", "\\n.\\n", 4, Some("RSET")),
            (b"a\r\n..\nMAIL FROM:<x>\r\n.\r\n", "", 0, None),
            (b"a\r\n..\r\nMAIL FROM:<x>\r\n.\r\n", "", 0, None),
            (b".\r\n", "", 0, None),
        ] {
            for step in 1..=input.len() {
                let mut body = Body::default();
                body.start();
                let pieces = input.chunks(step);
                let ended = pieces.into_iter().find_map(|piece| body.feed(piece, |_| ()));
                assert!(ended.is_some(), "{input:?}");
                let end = body.false_end();
                let seen = end.map_or(("", 0, None), |e| (e.sequence, e.offset, e.command));
                assert_eq!(seen, (sequence, offset, command), "{input:?} step {step}");
            }
        }
    }

    #[test]
    fn nothing_is_said_of_what_a_gap_touched() {
        let mut body = Body::default();
        body.start();
        body.feed(b"a\r", |_| ());
        body.gap(1);
        assert!(body.feed(b".\nMAIL FROM:<x>\r\n.\r\n", |_| ()).is_some());
        assert_eq!((body.bare_newlines(), body.false_end().map(|e| e.sequence)), (0, None));
    }

    #[test]
    fn loose_ends() {
        for (input, size) in [
            (&b"a\n.\n"[..], Some(2)),
            (b"a\n.\r\n", Some(2)),
            (b"a\r\n.\n", Some(3)),
            (b"a\r\n.\n\n", Some(3)),
            (b"a\n.\n\r\n\n", Some(2)),
            (b"a\n.\nb", None),
            (b"a\n.\n\nb", None),
            (b"a\n.\nb\n", None),
            (b"a\n.\nb\n.\n", None),
            (b"a.\n", None),
        ] {
            for step in 1..=input.len() {
                let mut body = Body::default();
                for piece in input.chunks(step) {
                    assert_eq!(body.feed(piece, |_| ()), None);
                }
                assert_eq!(body.loose_end().map(|e| e.size), size, "{input:?} step {step}");
            }
        }
        let mut body = Body::default();
        body.gap(10);
        assert_eq!(body.feed(b".\r\n", |_| ()), None);
        assert_eq!(body.loose_end().map(|e| e.size), Some(10));
        assert_eq!(body.size(), 13);
    }
}
