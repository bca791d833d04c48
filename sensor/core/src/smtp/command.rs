//! One line of a client, as a command.
//!
//! The parser is pure: bytes in, a value that borrows from them out. It accepts what servers on the wire accept (paths
//! without brackets, spaces after the colon, lower case) and returns everything else as [`Command::Malformed`] or
//! [`Command::Unknown`]; it never fails. It keeps no part of an AUTH command but the mechanism.

use super::HeloVerb;

/// What a client said in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// HELO, EHLO or LHLO and its argument, trimmed; empty where there was none.
    Helo(HeloVerb, &'a [u8]),
    /// MAIL FROM.
    Mail(Path<'a>),
    /// RCPT TO.
    Rcpt(Path<'a>),
    /// DATA.
    Data,
    /// BDAT (RFC 3030 section 2): so many bytes follow the line.
    Bdat {
        /// The chunk's size in bytes.
        size: u64,
        /// The message ends with it.
        last: bool,
    },
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
    /// AUTH (RFC 4954 section 4) and the mechanism, as sent. Whatever followed it is not here.
    Auth(&'a [u8]),
    /// STARTTLS.
    Starttls,
    /// Another command of the standards, its arguments not looked at: NOOP, VRFY, EXPN, HELP, TURN, ETRN, …
    Other,
    /// A known verb with arguments that make no sense.
    Malformed,
    /// Anything else.
    Unknown,
}

/// The argument of MAIL or RCPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    /// The path as sent, without brackets; empty for `<>`.
    pub(super) path: &'a [u8],
    /// What follows the path, trimmed.
    pub(super) parameters: &'a [u8],
}

impl Command<'_> {
    /// Whether the line can hardly be anything but this command: used where it is not known whether commands, an
    /// answer to AUTH or message text is being sent.
    pub(super) fn is_certain(&self) -> bool {
        !matches!(self, Self::Malformed | Self::Unknown)
    }
}

/// Verbs whose arguments do not matter here.
const OTHERS: [&[u8]; 13] = [
    b"NOOP",
    b"VRFY",
    b"EXPN",
    b"HELP",
    b"TURN",
    b"ATRN",
    b"ETRN",
    b"XCLIENT",
    b"XFORWARD",
    b"SEND",
    b"SOML",
    b"SAML",
    b"BURL",
];

/// The verb of a [`Command::Other`]; empty for another line.
pub(super) fn other_verb(line: &[u8]) -> &'static str {
    let line = line.trim_ascii();
    let end = line.iter().position(|b| matches!(b, b' ' | b'\t' | b':')).unwrap_or(line.len());
    let verb = line.get(..end).unwrap_or_default();
    let known = OTHERS.iter().find(|name| verb.eq_ignore_ascii_case(name));
    known.and_then(|name| core::str::from_utf8(name).ok()).unwrap_or_default()
}

/// Reads a line, its end already taken off.
pub(super) fn parse(line: &[u8]) -> Command<'_> {
    let line = line.trim_ascii();
    let end = line.iter().position(|b| matches!(b, b' ' | b'\t' | b':')).unwrap_or(line.len());
    let (verb, rest) = line.split_at_checked(end).unwrap_or((line, &[]));
    let argument = rest.trim_ascii_start();
    let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
    // The letters settle most lines at once: only what may be a verb is compared with all of them.
    match verb.first().map(u8::to_ascii_uppercase) {
        Some(b'M') if is(b"MAIL") => {
            path(argument, b"FROM").map_or(Command::Malformed, Command::Mail)
        }
        Some(b'R') if is(b"RCPT") => {
            path(argument, b"TO").map_or(Command::Malformed, Command::Rcpt)
        }
        Some(b'R') if is(b"RSET") => alone(argument, Command::Rset),
        Some(b'D') if is(b"DATA") => alone(argument, Command::Data),
        Some(b'B') if is(b"BDAT") => bdat(argument),
        Some(b'E') if is(b"EHLO") => Command::Helo(HeloVerb::Ehlo, argument),
        Some(b'H') if is(b"HELO") => Command::Helo(HeloVerb::Helo, argument),
        Some(b'L') if is(b"LHLO") => Command::Helo(HeloVerb::Lhlo, argument),
        Some(b'Q') if is(b"QUIT") => alone(argument, Command::Quit),
        Some(b'A') if is(b"AUTH") => match argument.split(|b| matches!(b, b' ' | b'\t')).next() {
            Some(mechanism) if !mechanism.is_empty() => Command::Auth(mechanism),
            _ => Command::Malformed,
        },
        Some(b'S') if is(b"STARTTLS") => alone(argument, Command::Starttls),
        Some(b'A'..=b'Z') if OTHERS.iter().any(|name| is(name)) => Command::Other,
        _ => Command::Unknown,
    }
}

/// A command that takes no argument. Servers differ on one that has some (Postfix refuses, Sendmail does not care), so it
/// is no longer certain what it is.
fn alone<'a>(argument: &[u8], command: Command<'a>) -> Command<'a> {
    if argument.is_empty() { command } else { Command::Malformed }
}

/// `FROM:<path> parameters`. `None` where keyword, colon or path is missing.
fn path<'a>(argument: &'a [u8], keyword: &[u8]) -> Option<Path<'a>> {
    let (word, rest) = argument.split_at_checked(keyword.len())?;
    if !word.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let (path, parameters) = match rest.strip_prefix(b"<") {
        Some(inner) => {
            let close = closing(inner).or_else(|| memchr::memrchr(b'>', inner))?;
            let (path, rest) = inner.split_at_checked(close)?;
            (path, rest.get(1..).unwrap_or_default())
        }
        None => {
            let end = unquoted(rest, |b| matches!(b, b' ' | b'\t')).unwrap_or(rest.len());
            let (path, rest) = rest.split_at_checked(end)?;
            if path.is_empty() {
                return None;
            }
            (path, rest)
        }
    };
    Some(Path { path, parameters: parameters.trim_ascii() })
}

/// The bracket that closes a path: one in a quoted local part does not (RFC 5321 section 4.1.2).
fn closing(inner: &[u8]) -> Option<usize> {
    unquoted(inner, |b| b == b'>')
}

/// The first byte outside quotes for which `wanted` holds; `None` also when a quote is never closed.
fn unquoted(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (i, &b) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            quoted = b != b'"';
            escaped = b == b'\\';
        } else if wanted(b) {
            return Some(i);
        } else {
            quoted = b == b'"';
        }
    }
    None
}

/// `size [LAST]`: decimal digits, at most 20 of them (RFC 3030 section 2). What does not fit the signed 64 bits of a
/// server's file offset is no size: the server refuses it and goes on with the next line.
fn bdat(argument: &[u8]) -> Command<'_> {
    let mut words = argument.split(|b| matches!(b, b' ' | b'\t')).filter(|w| !w.is_empty());
    let size = words.next().and_then(decimal).filter(|&size| size <= i64::MAX as u64);
    let last = match words.next() {
        None => Some(false),
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => Some(true),
        Some(_) => None,
    };
    match (size, last, words.next()) {
        (Some(size), Some(last), None) => Command::Bdat { size, last },
        _ => Command::Malformed,
    }
}

/// An unsigned decimal number without sign, `None` on overflow.
fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |n, &d| {
        let d = d.is_ascii_digit().then(|| u64::from(d - b'0'))?;
        n.checked_mul(10)?.checked_add(d)
    })
}

/// Whether a line looks like the field of a message header (RFC 5322 section 2.2): a name of printable characters and a
/// colon, no space before it.
pub(super) fn is_header_field(line: &[u8]) -> bool {
    match memchr::memchr(b':', line) {
        None | Some(0) => false,
        Some(colon) => line.iter().take(colon).all(|b| (33..=126).contains(b)),
    }
}

/// The mechanism of an AUTH command in upper case, if it is one of those in use. A client that puts its secret in the
/// mechanism's place must not have it kept.
pub(super) fn mechanism(word: &[u8]) -> Option<&[u8]> {
    const KNOWN: [&[u8]; 14] = [
        b"PLAIN",
        b"LOGIN",
        b"CRAM-MD5",
        b"DIGEST-MD5",
        b"SCRAM-SHA-1",
        b"SCRAM-SHA-1-PLUS",
        b"SCRAM-SHA-256",
        b"SCRAM-SHA-256-PLUS",
        b"XOAUTH2",
        b"OAUTHBEARER",
        b"NTLM",
        b"GSSAPI",
        b"EXTERNAL",
        b"ANONYMOUS",
    ];
    KNOWN.into_iter().find(|name| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail<'a>(path: &'a [u8], parameters: &'a [u8]) -> Command<'a> {
        Command::Mail(Path { path, parameters })
    }

    fn rcpt(path: &[u8]) -> Command<'_> {
        Command::Rcpt(Path { path, parameters: b"" })
    }

    #[test]
    fn commands() {
        use HeloVerb::{Ehlo, Helo, Lhlo};
        let table: &[(&[u8], Command<'_>)] = &[
            (b"HELO mail.example", Command::Helo(Helo, b"mail.example")),
            (b"ehlo [192.0.2.1] ", Command::Helo(Ehlo, b"[192.0.2.1]")),
            (b"LHLO x", Command::Helo(Lhlo, b"x")),
            (b"EHLO", Command::Helo(Ehlo, b"")),
            (b"EHLOx", Command::Unknown),
            (b"MAIL FROM:<a@b.example>", mail(b"a@b.example", b"")),
            (
                b"mail from: <a@b.example> SIZE=10 BODY=8BITMIME",
                mail(b"a@b.example", b"SIZE=10 BODY=8BITMIME"),
            ),
            (b"MAIL FROM:a@b.example SIZE=1", mail(b"a@b.example", b"SIZE=1")),
            (b"MAIL FROM:<>", mail(b"", b"")),
            (b"MAIL FROM:<> RET=HDRS", mail(b"", b"RET=HDRS")),
            (b"MAIL FROM:<a@b>SIZE=1", mail(b"a@b", b"SIZE=1")),
            (b"MAIL FROM :<a@b>", mail(b"a@b", b"")),
            (b"  MAIL  FROM:<a@b>  ", mail(b"a@b", b"")),
            (b"MAIL FROM:<\"a>b\"@c>", mail(b"\"a>b\"@c", b"")),
            (b"MAIL FROM:<\"a\\\">b\"@c> X", mail(b"\"a\\\">b\"@c", b"X")),
            (b"MAIL FROM:\"a b\"@c X", mail(b"\"a b\"@c", b"X")),
            (b"MAIL FROM:<\"a@c> X", mail(b"\"a@c", b"X")),
            (b"MAIL FROM:", Command::Malformed),
            (b"MAIL FROM", Command::Malformed),
            (b"MAIL", Command::Malformed),
            (b"MAIL FROM:<a@b", Command::Malformed),
            (b"MAIL <a@b>", Command::Malformed),
            (b"MAIL TO:<a@b>", Command::Malformed),
            (b"RCPT TO:<@x,@y:a@b>", rcpt(b"@x,@y:a@b")),
            (b"RCPT TO:<Postmaster>", rcpt(b"Postmaster")),
            (b"rcpt to:<>", rcpt(b"")),
            (b"RCPT FROM:<a@b>", Command::Malformed),
            (b"DATA", Command::Data),
            (b"data ", Command::Data),
            (b"DATA now", Command::Malformed),
            (b"BDAT 12", Command::Bdat { size: 12, last: false }),
            (b"bdat 0 last", Command::Bdat { size: 0, last: true }),
            (b"BDAT 9223372036854775807 LAST", Command::Bdat { size: i64::MAX as u64, last: true }),
            (b"BDAT 9223372036854775808 LAST", Command::Malformed),
            (b"BDAT 18446744073709551617 LAST", Command::Malformed),
            (b"BDAT -1", Command::Malformed),
            (b"BDAT +1", Command::Malformed),
            (b"BDAT", Command::Malformed),
            (b"BDAT LAST", Command::Malformed),
            (b"BDAT 5 X", Command::Malformed),
            (b"BDAT 5 LAST X", Command::Malformed),
            (b"RSET", Command::Rset),
            (b"Quit", Command::Quit),
            (b"AUTH PLAIN AGEAYg==", Command::Auth(b"PLAIN")),
            (b"AUTH\tlogin", Command::Auth(b"login")),
            (b"AUTH", Command::Malformed),
            (b"staRttLs", Command::Starttls),
            (b"NOOP anything", Command::Other),
            (b"XCLIENT ADDR=192.0.2.1", Command::Other),
            (b"", Command::Unknown),
            (b"\xff\xfe\0", Command::Unknown),
            (b"GET / HTTP/1.1", Command::Unknown),
        ];
        for &(line, expected) in table {
            assert_eq!(parse(line), expected, "{:?}", core::str::from_utf8(line));
        }
    }

    #[test]
    fn header_fields() {
        for (line, expected) in [
            (&b"Subject: x"[..], true),
            (b"X-Y:z", true),
            (b"Hello, Alice (2)", false),
            (b"Dear: friend", true),
            (b"not a field: x", false),
            (b": x", false),
            (b"", false),
        ] {
            assert_eq!(is_header_field(line), expected, "{:?}", core::str::from_utf8(line));
        }
    }

    #[test]
    fn a_secret_in_the_place_of_the_mechanism_is_not_one() {
        assert_eq!(mechanism(b"cram-md5"), Some(&b"CRAM-MD5"[..]));
        assert_eq!(mechanism(b"AHVzZXIAcGFzcw=="), None);
    }
}
