//! Tables of odd headers, and properties against a reference that works by the letter.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::string::String;
use alloc::vec;

use super::*;

/// A piece of content: bytes or a gap.
type Piece<'a> = Option<&'a [u8]>;

fn read_with(pieces: &[Piece<'_>], limits: &Limits, outcome: Outcome) -> (Message, Counters) {
    let mut counters = Counters::default();
    let mut message = Message { outcome, ..Message::default() };
    let mut reader = HeaderReader::new();
    // What was there before must not matter.
    reader.bytes(b"From: old@old\r\nReceived: x\r\nX: y", limits, &mut counters);
    counters = Counters::default();
    reader.start();
    for piece in pieces {
        match piece {
            Some(bytes) => {
                reader.bytes(bytes, limits, &mut counters);
            }
            None => reader.gap(),
        }
    }
    reader.finish(&mut message, limits);
    (message, counters)
}

fn read(pieces: &[Piece<'_>]) -> Message {
    read_with(pieces, &Limits::default(), Outcome::Accepted).0
}

/// The interesting fields in one line.
fn line(m: &Message) -> String {
    let text = |t: &Text| String::from_utf8_lossy(t.as_bytes()).into_owned();
    alloc::format!(
        "{}|{}|{}|{}|{}|{}|{}|{}{}",
        text(&m.from),
        text(&m.from_address),
        text(&m.to),
        text(&m.subject),
        text(&m.date),
        text(&m.message_id),
        String::from_utf8_lossy(&m.fields_seen),
        m.received_count,
        if m.header_complete { "" } else { " incomplete" },
    )
}

#[test]
fn header_sections_as_they_come() {
    let raw = "Received: from a\r\n\tby b; Mon, 1 Jan 2024 00:00:00 +0000\r\nReceived: from c\r\n\
        From: =?utf-8?q?J=C3=B6?= <j@a.example>\r\nTo: k@b.example\r\nSubject: Hi\r\n there\r\n\
        Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@a.example>\r\n\r\nSubject: no\r\n";
    let expected = "Jö <j@a.example>|j@a.example|k@b.example|Hi there|Mon, 1 Jan 2024 00:00:00 +0000|\
        <1@a.example>|FTSDM|2";
    assert_eq!(line(&read(&[Some(raw.as_bytes())])), expected);

    // Subject, fields seen and completeness only.
    let cases: &[(&str, &str, &str, bool)] = &[
        ("", "", "", true),
        ("\r\nSubject: body\r\n", "", "", true),
        ("\nSubject: body\n", "", "", true),
        ("Subject: a\n\nbody", "a", "S", true),
        ("Subject: a\r\n\r\n", "a", "S", true),
        // All header, no body.
        ("Subject: a\r\n", "a", "S", true),
        ("Subject: a", "", "", false),
        ("Subject: a\r", "", "", false),
        // Names.
        ("SUBJECT:a\r\n\r\n", "a", "S", true),
        ("Subject : a\r\n\r\n", "a", "S", true),
        ("Subject\t:\ta \t\r\n\r\n", "a", "S", true),
        ("Subjects: a\r\nXSubject: b\r\n\r\n", "", "", true),
        ("Subject:\r\n\r\n", "", "S", true),
        ("Subject: \r\n a\r\n\r\n", "a", "S", true),
        ("Subject: a\r\n\t\r\n b\r\n\r\n", "a\t b", "S", true),
        ("Subject: a\n b\n\tc\n\n", "a b\tc", "S", true),
        ("X: 1\r\n Subject: b\r\n\r\n", "", "", true),
        // The first wins, an empty one, too.
        ("Subject: a\r\nSubject: b\r\n\r\n", "a", "S", true),
        ("Subject:\r\nSubject: b\r\n\r\n", "", "S", true),
        // Line ends gone wrong.
        ("Subject: a\r\r\n\r\r\nTo: body\r\r\n", "a", "S", true),
        ("Subject: a\rb\r\n\r\n", "a\rb", "S", true),
        ("X: a\rSubject: b\r\n\r\n", "", "", true),
        ("Subject: a\u{0}b\r\n\r\n", "a\u{0}b", "S", true),
        // The body begins without an empty line.
        ("Subject: a\r\nHello\r\nTo: body\r\n", "a", "S", true),
        ("Subject: a\r\nHello: you\r\nDear: all\r\n\r\n", "a", "S", true),
        ("Subject: a\r\nDear all: hi\r\nTo: body\r\n", "a", "S", true),
        ("Subject: a\r\nGrüße: hi\r\nTo: body\r\n", "a", "S", true),
        ("Subject: a\r\n: hi\r\nTo: body\r\n", "a", "S", true),
        ("Subject: a\r\n\rTo: body\r\n", "a", "S", true),
        // Mailbox files.
        ("From a@b Mon Jan  1 00:00:00 2024\r\nSubject: a\r\n\r\n", "a", "S", true),
        (">From a@b Mon Jan  1\r\nSubject: a\r\n\r\n", "a", "S", true),
        ("X: y\r\nFrom a@b Mon Jan  1 00:00:00 2024\r\nSubject: a\r\n\r\n", "", "", true),
        (" odd\r\nSubject: a\r\n\r\n", "a", "S", true),
        // Two words over two lines.
        ("Subject: =?utf-8?Q?a?=\r\n =?utf-8?Q?b?=\r\n\r\n", "ab", "S", true),
    ];
    for &(raw, subject, seen, complete) in cases {
        let m = read(&[Some(raw.as_bytes())]);
        assert_eq!(m.subject.as_bytes(), subject.as_bytes(), "{raw:?}");
        assert_eq!(m.fields_seen, seen.as_bytes(), "{raw:?}");
        assert_eq!(m.header_complete, complete, "{raw:?}");
    }
}

#[test]
fn raw_eight_bit_bytes_pass() {
    let m = read(&[Some(b"Subject: caf\xe9\r\nFrom: \xc3\xa4 <a@b>\r\n\r\n")]);
    assert_eq!(m.subject.as_bytes(), b"caf\xe9");
    assert_eq!(m.from.as_bytes(), "ä <a@b>".as_bytes());
}

#[test]
fn a_gap_costs_what_it_hits() {
    let at = |s: &'static str| Some(s.as_bytes());
    let cases: &[(&[Piece<'_>], &str)] = &[
        (
            &[at("Subject: a\r\nTo: b"), None, at("c\r\nFrom: x@y\r\n\r\n")],
            "x@y|x@y||a|||FS|0 incomplete",
        ),
        // Behind a whole line the field may have gone on.
        (
            &[at("To: b\r\nSubject: a\r\n"), None, at("x\r\nDate: d\r\n\r\n")],
            "||b||d||TD|0 incomplete",
        ),
        (&[at("Subject: a\r\n"), None], "|||||||0 incomplete"),
        (&[None, at("From: cut\r\nTo: b\r\n\r\n")], "||b||||T|0 incomplete"),
        (&[None, at("\r\n\r\nTo: body\r\n")], "|||||||0 incomplete"),
        (&[None, at("x\r\n folded\r\nTo: b\r\n\r\n")], "||b||||T|0 incomplete"),
        // The first was lost: the second is not the first.
        (&[at("Subject: a"), None, at("b\r\nSubject: c\r\n\r\n")], "|||||||0 incomplete"),
        (
            &[at("Received: a"), None, at("b\r\nReceived: c\r\nTo: b\r\n\r\n")],
            "||b||||T|1 incomplete",
        ),
        // In the body it is nothing to us.
        (&[at("Subject: a\r\n\r\nbo"), None, at("dy")], "|||a|||S|0"),
        (&[at("Subject: a\r\n\r\n"), None], "|||a|||S|0"),
        (&[at("Subj"), None, at("ect: a\r\nTo: b\r\n\r\n")], "||b||||T|0 incomplete"),
    ];
    for (pieces, expected) in cases {
        let got = line(&read(pieces));
        assert_eq!(got, *expected, "{pieces:?}");
    }
}

#[test]
fn an_aborted_header_loses_its_last_field() {
    let raw: &[u8] = b"Subject: a\r\nTo: b\r\n";
    let (m, _) = read_with(&[Some(raw)], &Limits::default(), Outcome::Aborted);
    assert_eq!(m.fields_seen, b"S");
    assert!(!m.header_complete);
    let (m, _) = read_with(&[Some(raw)], &Limits::default(), Outcome::Unanswered);
    assert_eq!(m.fields_seen, b"TS");
    assert!(m.header_complete);
}

#[test]
fn limits_hold_and_show() {
    let limits = Limits { header_bytes: 40, field_bytes: 8, ..Limits::default() };
    let raw: &[u8] = b"Subject: 0123456789\r\n abc\r\nTo: b\r\n\r\n";
    let (m, counters) = read_with(&[Some(raw)], &limits, Outcome::Accepted);
    assert_eq!(m.subject.as_bytes(), b"01234567");
    assert_eq!((m.subject.full_len(), m.subject.is_cut()), (14, true));
    assert_eq!(counters.headers_cut, 0);
    assert!(m.header_complete);

    // A character is not cut in two.
    let (m, _) =
        read_with(&[Some("Subject: 0123456ä\r\n\r\n".as_bytes())], &limits, Outcome::Accepted);
    assert_eq!((m.subject.as_bytes(), m.subject.full_len()), (&b"0123456"[..], 9));
    let raw: &[u8] = b"Subject: \xff\xff\xff\xff\xff\xff\xff\xff\xff\r\n\r\n";
    let (m, _) = read_with(&[Some(raw)], &limits, Outcome::Accepted);
    assert_eq!((m.subject.as_bytes(), m.subject.full_len()), (&[0xff; 8][..], 9));

    let raw: &[u8] = b"Subject: a\r\nTo: b\r\nDate: 0123456789012345678901234567890\r\n\r\n";
    let (m, counters) = read_with(&[Some(raw)], &limits, Outcome::Accepted);
    assert_eq!((m.fields_seen.as_slice(), m.header_complete), (&b"TS"[..], false));
    assert_eq!(counters.headers_cut, 1);
    // Exactly at the limit.
    let exact = Limits { header_bytes: raw.len(), ..limits };
    let (m, counters) = read_with(&[Some(raw), Some(b"body")], &exact, Outcome::Accepted);
    assert_eq!((m.fields_seen.as_slice(), m.header_complete), (&b"TSD"[..], true));
    assert_eq!(counters.headers_cut, 0);
}

#[test]
fn it_says_when_no_more_is_wanted() {
    let (limits, mut counters) = (Limits::default(), Counters::default());
    let mut reader = HeaderReader::new();
    assert!(reader.bytes(b"To: a\r\n\r", &limits, &mut counters));
    assert!(!reader.bytes(b"\nTo: b\r\n", &limits, &mut counters));
    assert!(!reader.bytes(b"To: b\r\n", &limits, &mut counters));
    reader.gap();
    let mut message = Message::default();
    reader.finish(&mut message, &limits);
    assert_eq!((message.to.as_bytes(), message.header_complete), (&b"a"[..], true));
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}

/// Content made of what headers are made of.
fn content(random: &mut Random) -> Vec<u8> {
    const PARTS: &[&str] = &[
        "From: ",
        "To:",
        "subject: ",
        "Message-ID:\t",
        "Date: ",
        "Received: ",
        "X-Other: ",
        "From ",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ":",
        "a@b.example",
        "<c@d>",
        "=?utf-8?Q?=c3=a4?=",
        "=?utf-8?B?w6Q",
        "?=",
        "words",
        "\u{fffd}",
        "\0",
        "\"",
        "(",
        ")",
        "0123456789012345678901234567890",
    ];
    let mut raw = Vec::new();
    for _ in 0..random.below(60) {
        raw.extend_from_slice(PARTS[random.below(PARTS.len())].as_bytes());
    }
    raw
}

#[test]
fn cuts_change_nothing() {
    let seed = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..3000u64 {
        let mut random = Random(seed ^ (round << 20 | round));
        let raw = content(&mut random);
        let limits = Limits {
            header_bytes: [20, 200, 64 << 10][random.below(3)],
            field_bytes: [5, 40, 1024][random.below(3)],
            ..Limits::default()
        };
        let gap = (random.below(2) == 0).then(|| random.below(raw.len() + 1));
        let cut = |random: &mut Random, step: Option<usize>| {
            let mut pieces = vec![];
            let mut at = 0;
            loop {
                let end = gap.filter(|&g| g >= at).unwrap_or(raw.len());
                while at < end {
                    let size = step.unwrap_or_else(|| 1 + random.below(30)).min(end - at);
                    pieces.push(Some(&raw[at..at + size]));
                    at += size;
                }
                if gap == Some(at) && !pieces.contains(&None) {
                    pieces.push(None);
                    if at < raw.len() {
                        pieces.push(Some(&raw[at..at + 1]));
                        at += 1;
                    }
                } else if at == raw.len() {
                    return pieces;
                }
            }
        };
        let outcome = [Outcome::Accepted, Outcome::Aborted][random.below(2)];
        let whole = read_with(&cut(&mut random, Some(usize::MAX)), &limits, outcome);
        for step in [Some(1), None, None] {
            let pieces = cut(&mut random, step);
            let got = read_with(&pieces, &limits, outcome);
            assert_eq!(got, whole, "seed {seed:#x} round {round} pieces {pieces:?}");
        }
    }
}

/// Splits and unfolds by the letter of RFC 5322, with no thought of speed or streams.
fn reference(raw: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = vec![];
    for line in raw.split_inclusive(|&b| b == b'\n') {
        let Some(line) = line.strip_suffix(b"\n") else {
            fields.pop();
            break;
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if matches!(line[0], b' ' | b'\t') {
            if let Some((_, value)) = fields.last_mut() {
                value.extend_from_slice(line);
            }
            continue;
        }
        let colon = line.iter().position(|&b| b == b':').unwrap();
        let name = line[..colon].trim_ascii_end().to_ascii_lowercase();
        fields.push((name, line[colon + 1..].to_vec()));
    }
    let mut out: Vec<(u8, Vec<u8>)> = vec![];
    for (kept, letter) in KEPT {
        if let Some((_, value)) = fields.iter().find(|(name, _)| name == kept) {
            out.push((letter, value.trim_ascii().to_vec()));
        }
    }
    out
}

#[test]
fn well_formed_fields_are_what_the_letter_says() {
    const NAMES: &[&str] =
        &["From", "to", "Subject", "DATE", "Message-Id", "Received", "X-Y", "Fro", "Dates"];
    const VALUES: &[&str] =
        &["", "a", " b c", "\td", "e:f", "g@h", "ä", " ", "i\r\n j", "k\r\n\t l", "\r\n m"];
    let seed = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..2000u64 {
        let mut random = Random(seed ^ (round << 20 | round));
        let mut raw = String::new();
        for _ in 0..random.below(12) {
            raw += NAMES[random.below(NAMES.len())];
            raw += [":", ": ", " :"][random.below(3)];
            raw += VALUES[random.below(VALUES.len())];
            raw += ["\r\n", "\n"][random.below(2)];
        }
        raw += ["", "\r\n", "\nTo: body\n"][random.below(3)];
        let m = read(&[Some(raw.as_bytes())]);
        let mut got = vec![];
        for (letter, text) in [
            (b'F', &m.from),
            (b'T', &m.to),
            (b'S', &m.subject),
            (b'D', &m.date),
            (b'M', &m.message_id),
        ] {
            if m.fields_seen.contains(&letter) {
                got.push((letter, text.as_bytes().to_vec()));
            }
        }
        assert_eq!(got, reference(raw.as_bytes()), "seed {seed:#x} round {round} {raw:?}");
    }
}
