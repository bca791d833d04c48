//! The lines of a server, as replies (RFC 5321 section 4.2).

use super::{Capability, Place};

/// The host name that a greeting begins with (RFC 5321 section 4.2), or the first word of one that refuses: most name
/// themselves there, too.
pub(super) fn greeting_name(line: &[u8]) -> Option<&[u8]> {
    let line = parse(line).filter(|line| line.code == 220 || line.code >= 400)?;
    line.text.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())
}

/// One line of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReplyLine<'a> {
    /// The code, 200 to 599.
    pub(super) code: u16,
    /// Whether another line of the same reply follows.
    pub(super) more: bool,
    /// The text behind the code.
    pub(super) text: &'a [u8],
}

/// Reads a line, its end already taken off. `None`: it does not begin with a code.
pub(super) fn parse(line: &[u8]) -> Option<ReplyLine<'_>> {
    let (&[a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'], rest) =
        line.split_first_chunk::<3>()?
    else {
        return None;
    };
    let code = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    let (more, text) = match rest {
        [] => (false, rest),
        [b' ' | b'\t', text @ ..] => (false, text),
        [b'-', text @ ..] => (true, text),
        _ => return None,
    };
    Some(ReplyLine { code, more, text })
}

/// Whether a line is the first of an HTTP answer that grants what was asked (RFC 9112 section 4, RFC 9110 section 15.3).
pub(super) fn grants_tunnel(line: &[u8]) -> bool {
    line.starts_with(b"HTTP/1.") && line.get(8..10) == Some(b" 2")
}

/// A reply read to its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// Its code.
    pub(super) code: u16,
    /// The place of its first byte.
    pub(super) first: Place,
    /// The place of the piece that brought its end, `offset` moved behind it.
    pub(super) end: Place,
    /// All its lines were seen.
    pub(super) whole: bool,
    /// It has more lines than were looked at.
    pub(super) cut: bool,
    /// What its lines but the first offer, should it answer EHLO.
    pub(super) capabilities: Capability,
}

/// Puts lines together to replies.
#[derive(Debug, Default)]
pub(super) struct Replies {
    open: Option<Open>,
    /// The next line may belong to a reply whose beginning was lost.
    ragged: bool,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    code: u16,
    first: Place,
    whole: bool,
    lines: usize,
    capabilities: Capability,
}

impl Replies {
    /// Takes a line that begins at `first` and ends before `end`. Some reply when it was its last.
    pub(super) fn line(
        &mut self,
        line: &[u8],
        first: Place,
        end: Place,
        max_lines: usize,
    ) -> Option<Reply> {
        let line = parse(line)?;
        let mut open = match self.open.take() {
            Some(open) if open.code == line.code => open,
            // A server that changes the code in mid-reply has begun another one, as far as a client can tell.
            _ => Open {
                code: line.code,
                first,
                whole: !self.ragged,
                lines: 0,
                capabilities: Capability::empty(),
            },
        };
        if open.lines > 0 && open.lines < max_lines {
            open.capabilities |= capability(line.text);
        }
        open.lines = open.lines.saturating_add(1);
        if line.more {
            self.open = Some(open);
            return None;
        }
        self.ragged = false;
        let Open { code, first, whole, lines, capabilities } = open;
        Some(Reply { code, first, end, whole, cut: lines > max_lines, capabilities })
    }

    /// Bytes are missing: what was begun is forgotten.
    pub(super) fn gap(&mut self) {
        self.open = None;
        self.ragged = true;
    }

    /// The next line is the first of a reply.
    pub(super) fn set_clean(&mut self) {
        self.ragged = false;
    }
}

/// The extension that a line of an EHLO reply offers (RFC 5321 section 4.1.1.1); empty for an empty line.
fn capability(text: &[u8]) -> Capability {
    const KEYWORDS: [(&[u8], Capability); 15] = [
        (b"STARTTLS", Capability::STARTTLS),
        (b"PIPELINING", Capability::PIPELINING),
        (b"SIZE", Capability::SIZE),
        (b"8BITMIME", Capability::EIGHT_BIT_MIME),
        (b"SMTPUTF8", Capability::SMTPUTF8),
        (b"CHUNKING", Capability::CHUNKING),
        (b"BINARYMIME", Capability::BINARYMIME),
        (b"DSN", Capability::DSN),
        (b"ENHANCEDSTATUSCODES", Capability::ENHANCED_STATUS_CODES),
        (b"AUTH", Capability::AUTH),
        (b"VRFY", Capability::VRFY),
        (b"ETRN", Capability::ETRN),
        (b"HELP", Capability::HELP),
        (b"XCLIENT", Capability::XCLIENT),
        (b"XFORWARD", Capability::XFORWARD),
    ];
    let text = text.trim_ascii();
    // `AUTH=LOGIN` is how servers offered it before RFC 2554.
    let end = text.iter().position(|b| matches!(b, b' ' | b'\t' | b'=')).unwrap_or(text.len());
    let keyword = text.get(..end).unwrap_or_default();
    if keyword.is_empty() {
        return Capability::empty();
    }
    KEYWORDS
        .iter()
        .find(|(name, _)| keyword.eq_ignore_ascii_case(name))
        .map_or(Capability::OTHER, |&(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Stamp;

    #[test]
    fn lines() {
        type Parts = Option<(u16, bool, &'static [u8])>;
        let table: &[(&[u8], Parts)] = &[
            (b"250 OK", Some((250, false, b"OK"))),
            (b"250-SIZE 1", Some((250, true, b"SIZE 1"))),
            (b"250", Some((250, false, b""))),
            (b"354\tgo", Some((354, false, b"go"))),
            (b"599 x", Some((599, false, b"x"))),
            (b"600 x", None),
            (b"150 x", None),
            (b"25", None),
            (b"2500 x", None),
            (b"4.7.0 [TS01] deferred", None),
            (b"", None),
        ];
        for &(line, expected) in table {
            assert_eq!(
                parse(line).map(|l| (l.code, l.more, l.text)),
                expected,
                "{:?}",
                core::str::from_utf8(line)
            );
        }
    }

    #[test]
    fn a_reply_of_several_lines() {
        let place = |offset| Place { at: Stamp::ZERO, offset, acked: None };
        let mut replies = Replies::default();
        assert_eq!(replies.line(b"250-mx STARTTLS", place(0), place(10), 9), None);
        assert_eq!(replies.line(b"250-AUTH=PLAIN", place(10), place(20), 9), None);
        assert_eq!(replies.line(b"noise", place(20), place(25), 9), None);
        let reply = replies
            .line(b"250 x-thing 1", place(25), place(30), 9)
            .map(|r| (r.code, r.whole, r.capabilities));
        assert_eq!(reply, Some((250, true, Capability::AUTH | Capability::OTHER)));
        replies.gap();
        let reply = replies.line(b"250 HELP", place(90), place(99), 9).map(|r| (r.code, r.whole));
        assert_eq!(reply, Some((250, false)));
    }
}
