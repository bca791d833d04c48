//! The first address of a From field (RFC 5322 section 3.4).

use alloc::vec::Vec;

/// Appends the first addr-spec of `raw` to `out`; nothing if there is none. `cut`: bytes are missing at the end, so that
/// an address that reaches it is not whole.
///
/// Understands angle brackets, quoted strings, nested comments, groups and the obsolete route. Of a mailbox that names
/// one address as text and another in angle brackets the latter counts. One pass: a quote or comment that is never closed
/// is looked for once, then all such characters are taken as plain ones.
pub(super) fn first(raw: &[u8], cut: bool, out: &mut Vec<u8>) {
    let from = out.len();
    let mut scan = Scan { rest: raw, quotes: true, comments: true };
    let mut bare = Bare { from, at_sign: None, broken: false, done: false };
    loop {
        match scan.next() {
            Token::Plain(b'<') => {
                // Behind a finished bare address the brackets still win, if they hold one.
                let mark = out.len();
                let closed = bracketed(&mut scan, out);
                let found = out.get(mark..).unwrap_or_default();
                let whole = closed || !(cut || found.contains(&b','));
                if whole && is_address(found) {
                    out.drain(from..mark);
                    return;
                }
                out.truncate(mark);
                bare.broken = true;
            }
            Token::Plain(b',' | b';') => {
                if bare.is_address(out) {
                    return;
                }
                bare.reset(out);
            }
            // What came was the name of a group; behind an `@` it is an IPv6 literal.
            Token::Plain(b':') if bare.at_sign.is_none() => bare.reset(out),
            Token::Plain(byte) if byte.is_ascii_whitespace() => bare.broken = true,
            Token::Comment => bare.broken = true,
            Token::Plain(byte) => bare.push(&[byte], byte == b'@', out),
            Token::Quoted(text) => bare.push(text, false, out),
            Token::End => {
                let touches_end = cut && !bare.done;
                if touches_end || !bare.is_address(out) {
                    out.truncate(from);
                }
                return;
            }
        }
    }
}

/// Whether there is something on both sides of the last `@`.
fn is_address(bytes: &[u8]) -> bool {
    match memchr::memrchr(b'@', bytes) {
        Some(at) => at > 0 && at + 1 < bytes.len(),
        None => false,
    }
}

/// Appends what stands before `>`, without white space, comments and route. Whether that was there.
fn bracketed(scan: &mut Scan<'_>, out: &mut Vec<u8>) -> bool {
    let mark = out.len();
    loop {
        match scan.next() {
            Token::Plain(b'>') => return true,
            Token::End => return false,
            Token::Comment => {}
            Token::Plain(byte) if byte.is_ascii_whitespace() => {}
            // `<<local@domain>>`, or a bracket that was never closed.
            Token::Plain(b'<') => out.truncate(mark),
            // `<@one,@two:local@domain>` (RFC 5322 section 4.4).
            Token::Plain(b':') if out.get(mark) == Some(&b'@') => out.truncate(mark),
            Token::Plain(byte) => out.push(byte),
            Token::Quoted(text) => out.extend_from_slice(text),
        }
    }
}

/// An address without angle brackets: the last word, or the first one with an `@`.
struct Bare {
    /// Where in the output it begins.
    from: usize,
    /// Where in the output the unquoted `@` is.
    at_sign: Option<usize>,
    /// White space or a comment came behind it.
    broken: bool,
    /// It has its `@`, and another word began.
    done: bool,
}

impl Bare {
    fn push(&mut self, text: &[u8], at_sign: bool, out: &mut Vec<u8>) {
        if self.done {
            return;
        }
        // Obsolete, but meant: white space around `@` and dots.
        let glue = |byte: Option<&u8>| matches!(byte, Some(b'@' | b'.'));
        if self.broken && out.len() > self.from && !glue(out.last()) && !glue(text.first()) {
            if self.at_sign.is_some() {
                self.done = true;
                return;
            }
            self.reset(out);
        }
        self.broken = false;
        if at_sign {
            self.at_sign = Some(out.len());
        }
        out.extend_from_slice(text);
    }

    fn reset(&mut self, out: &mut Vec<u8>) {
        out.truncate(self.from);
        *self = Self { from: self.from, at_sign: None, broken: false, done: false };
    }

    fn is_address(&self, out: &[u8]) -> bool {
        self.at_sign.is_some_and(|at| at > self.from && at + 1 < out.len())
    }
}

enum Token<'a> {
    Plain(u8),
    /// With its quotes.
    Quoted(&'a [u8]),
    Comment,
    End,
}

struct Scan<'a> {
    rest: &'a [u8],
    /// Quotes that open may still close.
    quotes: bool,
    comments: bool,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Token<'a> {
        let Some((&first, rest)) = self.rest.split_first() else {
            return Token::End;
        };
        if first == b'"' && self.quotes {
            let len = closing(self.rest, |byte| if byte == b'"' { -1 } else { 0 });
            if let Some((text, rest)) = len.and_then(|len| self.rest.split_at_checked(len)) {
                self.rest = rest;
                return Token::Quoted(text);
            }
            self.quotes = false;
        }
        if first == b'(' && self.comments {
            let len = closing(self.rest, |byte| match byte {
                b'(' => 1,
                b')' => -1,
                _ => 0,
            });
            if let Some((_, rest)) = len.and_then(|len| self.rest.split_at_checked(len)) {
                self.rest = rest;
                return Token::Comment;
            }
            self.comments = false;
        }
        self.rest = rest;
        Token::Plain(first)
    }
}

/// The length of what the first byte opens, where `depth` says how much deeper a byte leads; backslash escapes.
fn closing(bytes: &[u8], depth: impl Fn(u8) -> isize) -> Option<usize> {
    let mut level = 1isize;
    let mut escaped = false;
    for (index, &byte) in bytes.iter().enumerate().skip(1) {
        if escaped {
            escaped = false;
        } else if byte == b'\\' {
            escaped = true;
        } else {
            level += depth(byte);
            if level == 0 {
                return Some(index + 1);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn found(raw: &[u8], cut: bool) -> String {
        let mut out = Vec::new();
        first(raw, cut, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn addresses_as_they_come() {
        let cases: &[(&str, &str)] = &[
            ("", ""),
            ("a@b.example", "a@b.example"),
            ("  a@b.example  ", "a@b.example"),
            ("<a@b.example>", "a@b.example"),
            ("Joe <a@b.example>", "a@b.example"),
            ("Joe Q. Public<a@b.example>", "a@b.example"),
            ("\"Joe, <x@y>\" <a@b.example>", "a@b.example"),
            ("\"a \\\" <x@y>\" <a@b.example>", "a@b.example"),
            ("a@b.example (Joe <x@y>)", "a@b.example"),
            ("(one (two) x@y) a@b.example", "a@b.example"),
            ("(\\) x@y) a@b.example", "a@b.example"),
            ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", "pete@silly.test"),
            ("a@b.example, c@d.example", "a@b.example"),
            ("root, Joe <c@d.example>", "c@d.example"),
            ("A Group:Ed Jones <joe@where.test>,john@one.test;", "joe@where.test"),
            ("Undisclosed recipients:;", ""),
            ("Undisclosed:; , a@b", "a@b"),
            ("Mary Smith <@node.test,@other:mary@example.net>", "mary@example.net"),
            ("\"quoted local\"@b.example", "\"quoted local\"@b.example"),
            ("<\"quoted @ local\"@b.example>", "\"quoted @ local\"@b.example"),
            ("john . doe @ example . com", "john.doe@example.com"),
            ("< a @ b.example >", "a@b.example"),
            ("a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]"),
            ("Joe <a@[192.0.2.1]>", "a@[192.0.2.1]"),
            // An address in the name is not the sender's.
            ("service@bank.example <x@evil.example>", "x@evil.example"),
            ("service@bank.example more words <x@evil.example>", "x@evil.example"),
            ("\"service@bank.example\" <x@evil.example>", "x@evil.example"),
            ("=?utf-8?Q?a=40b?= <x@y>", "x@y"),
            // Broken.
            ("<>", ""),
            ("MAILER-DAEMON", ""),
            ("root <root>", ""),
            ("@b.example", ""),
            ("a@", ""),
            ("John Doe a@b.example", "a@b.example"),
            ("a@b.example John Doe", "a@b.example"),
            ("<<a@b.example>>", "a@b.example"),
            ("Joe <a@b.example", "a@b.example"),
            ("Joe <a@b.example, c@d.example", ""),
            ("\"Joe <a@b.example>", "a@b.example"),
            ("(Joe <a@b.example>", "a@b.example"),
            ("Joe <> a@b.example", "a@b.example"),
            ("Joe <joe> a@b.example", "a@b.example"),
            ("a@b@c", "a@b@c"),
            ("ä@ö.example", "ä@ö.example"),
        ];
        for (raw, expected) in cases {
            assert_eq!(found(raw.as_bytes(), false), *expected, "{raw}");
        }
    }

    #[test]
    fn of_a_cut_field_only_whole_addresses() {
        assert_eq!(found(b"Joe <a@b.exam", true), "");
        assert_eq!(found(b"a@b.exam", true), "");
        assert_eq!(found(b"a@b.example, c@d", true), "a@b.example");
        assert_eq!(found(b"Joe <a@b.example>, c@d", true), "a@b.example");
    }

    #[test]
    fn nothing_hostile_takes_long() {
        // Quadratic work would be 10^12 steps.
        for unit in ["\"", "(", "<", "\\", "(\"", "\"(", "a@", "<a@", "(((\"<", "\"\\", ":", "@:"] {
            let raw = unit.repeat(1_000_000 / unit.len());
            let mut out = Vec::new();
            first(raw.as_bytes(), false, &mut out);
            assert!(out.len() <= raw.len(), "{unit}");
        }
    }
}
