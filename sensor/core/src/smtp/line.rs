//! Lines out of segments.
//!
//! A line that lies in one piece is borrowed from it; only one that a segment edge cuts is copied, up to a cap. What a
//! line has beyond the cap is dropped, and the line says so. Lines end with LF; a CR before it is taken off.

use alloc::vec::Vec;
use core::mem;

use super::Place;
use crate::base::{Counters, Limits};

/// Puts the lines of one side together.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of a line whose end has not come.
    buf: Vec<u8>,
    /// Whether `buf` is the line handed out last.
    given: bool,
    /// Length of the line so far, dropped bytes counted.
    len: u64,
    /// Where the line began.
    first: Option<Place>,
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Its bytes with the end, as far as they were kept.
    pub(super) raw: &'a [u8],
    /// Bytes were dropped from its end.
    pub(super) cut: bool,
    /// The place of its first byte.
    pub(super) first: Place,
    /// The place of the piece that brought its end, `offset` moved behind the line.
    pub(super) end: Place,
}

impl<'a> Line<'a> {
    /// The line without its end.
    pub(super) fn text(&self) -> &'a [u8] {
        let line = self.raw.strip_suffix(b"\n").unwrap_or(self.raw);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// A piece of stream that is being eaten.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// The place of the first byte that is left.
    pub(super) place: Place,
    /// What is left.
    pub(super) bytes: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Takes the first `n` bytes, or all there are.
    pub(super) fn eat(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.bytes.split_at_checked(n).unwrap_or((self.bytes, &[]));
        self.bytes = rest;
        self.place.offset = self.place.offset.saturating_add(head.len() as u64);
        head
    }
}

impl Lines {
    /// The next whole line; `None` when the piece is used up before its end came.
    pub(super) fn next<'l, 'p: 'l>(
        &'l mut self,
        piece: &mut Piece<'p>,
        limits: &Limits,
        counters: &mut Counters,
    ) -> Option<Line<'l>> {
        if mem::take(&mut self.given) {
            self.clear();
        }
        let first = *self.first.get_or_insert(piece.place);
        let end = memchr::memchr(b'\n', piece.bytes);
        let head = piece.eat(end.map_or(usize::MAX, |i| i.saturating_add(1)));
        let whole = end.is_some();
        let before = self.len;
        self.len = self.len.saturating_add(head.len() as u64);
        let cap = limits.line_bytes;
        if self.len > cap as u64 && before <= cap as u64 {
            counters.lines_cut = counters.lines_cut.saturating_add(1);
        }
        if before == 0 && whole {
            self.len = 0;
            self.first = None;
            let raw = head.get(..cap.min(head.len())).unwrap_or_default();
            return Some(Line { raw, cut: raw.len() < head.len(), first, end: piece.place });
        }
        let room = cap.saturating_sub(self.buf.len()).min(head.len());
        self.buf.extend_from_slice(head.get(..room).unwrap_or_default());
        self.given = whole;
        whole.then(|| Line { raw: &self.buf, cut: self.len > cap as u64, first, end: piece.place })
    }

    /// The beginning of a line whose end has not come, as far as it was kept.
    pub(super) fn pending(&self) -> &[u8] {
        if self.given { &[] } else { &self.buf }
    }

    /// Where the line began whose end has not come.
    pub(super) fn first(&self) -> Option<Place> {
        if self.given { None } else { self.first }
    }

    /// Whether a line has begun whose end has not come.
    pub(super) fn is_open(&self) -> bool {
        !self.given && self.len > 0
    }

    /// Length of the line so far.
    pub(super) fn len(&self) -> u64 {
        if self.given { 0 } else { self.len }
    }

    /// Forgets the line that was begun and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.buf.clear();
        self.given = false;
        self.len = 0;
        self.first = None;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::base::Stamp;

    /// Every cut of the input gives the same lines.
    #[test]
    fn lines_do_not_depend_on_cuts() {
        let limits = Limits { line_bytes: 8, ..Limits::default() };
        let input = b"one\r\ntwo\n\r\nfar too long\r\n\nexactly8\nseven..\nx";
        let expected: Vec<(&[u8], bool, u64)> = vec![
            (b"one", false, 0),
            (b"two", false, 5),
            (b"", false, 9),
            (b"far too ", true, 11),
            (b"", false, 25),
            (b"exactly8", true, 26),
            (b"seven..", false, 35),
        ];
        for step in 1..=input.len() {
            let mut lines = Lines::default();
            let mut counters = Counters::default();
            let mut got: Vec<(Vec<u8>, bool, u64)> = Vec::new();
            let mut offset = 0;
            for bytes in input.chunks(step) {
                let mut piece =
                    Piece { place: Place { at: Stamp::ZERO, offset, acked: None }, bytes };
                offset += bytes.len() as u64;
                while let Some(line) = lines.next(&mut piece, &limits, &mut counters) {
                    got.push((line.text().to_vec(), line.cut, line.first.offset));
                }
            }
            let got: Vec<_> = got.iter().map(|(l, c, o)| (l.as_slice(), *c, *o)).collect();
            assert_eq!(got, expected, "step {step}");
            assert_eq!(lines.pending(), b"x");
            assert_eq!(counters.lines_cut, 2);
        }
    }
}
