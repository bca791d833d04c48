//! The small writers that lines are made of: numbers, stamps, addresses and strings into a byte vector.
//!
//! None of them allocates beyond the vector, goes through `core::fmt`, or fails. What comes from the wire may be any
//! bytes; what comes out is JSON text as RFC 8259 wants it, and holds no control character, not even those of the C1
//! range that JSON would allow and a terminal would obey.

use botlike_core::base::{Addr, Stamp};

const PAIRS: [u8; 200] = {
    let mut table = [0u8; 200];
    let mut i = 0;
    while i < 100 {
        table[2 * i] = b'0' + (i / 10) as u8;
        table[2 * i + 1] = b'0' + (i % 10) as u8;
        i += 1;
    }
    table
};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `n` in decimal.
#[inline]
pub(super) fn number(out: &mut Vec<u8>, mut n: u64) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    while n >= 100 {
        let pair = (n % 100) as usize * 2;
        n /= 100;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if n >= 10 {
        let pair = n as usize * 2;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        buffer[at] = b'0' + n as u8;
    }
    out.extend_from_slice(&buffer[at..]);
}

/// Writes `n`, below 100, over the two bytes at `at`.
fn pair(text: &mut [u8; 27], at: usize, n: u64) {
    let from = n as usize % 100 * 2;
    text[at..at + 2].copy_from_slice(&PAIRS[from..from + 2]);
}

/// Year, month and day of a count of days since 1970-01-01 (proleptic Gregorian calendar).
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    // Years that begin in March, so that the leap day is the last one; eras of 400 years, 146 097 days.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Appends `at` as RFC 3339, UTC, microseconds: 27 bytes, `2026-11-23T08:15:02.481120Z`.
pub(super) fn stamp(out: &mut Vec<u8>, at: Stamp) {
    let mut text = *b"0000-00-00T00:00:00.000000Z";
    let micros = at.as_nanos() / 1000;
    let seconds = micros / 1_000_000;
    let (year, month, day) = civil(seconds / 86_400);
    let of_day = seconds % 86_400;
    let fraction = micros % 1_000_000;
    for (at, n) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, of_day / 3600),
        (14, of_day / 60 % 60),
        (17, of_day % 60),
        (20, fraction / 10_000),
        (22, fraction / 100 % 100),
        (24, fraction % 100),
    ] {
        pair(&mut text, at, n);
    }
    out.extend_from_slice(&text);
}

/// Appends an address: dotted quad, or the form of RFC 5952.
pub(super) fn addr(out: &mut Vec<u8>, addr: Addr) {
    if let Some(octets) = addr.as_v4() {
        for (i, octet) in octets.into_iter().enumerate() {
            if i > 0 {
                out.push(b'.');
            }
            number(out, u64::from(octet));
        }
        return;
    }
    let octets = addr.octets();
    let mut groups = [0u16; 8];
    for (group, pair) in groups.iter_mut().zip(octets.chunks_exact(2)) {
        *group = u16::from_be_bytes([pair[0], pair[1]]);
    }
    // The first of the longest runs of two or more zero groups becomes "::".
    let (mut best, mut best_len, mut run) = (8, 1, 0);
    for (i, group) in groups.iter().enumerate() {
        run = if *group == 0 { run + 1 } else { 0 };
        if run > best_len {
            (best, best_len) = (i + 1 - run, run);
        }
    }
    let mut i = 0;
    while i < 8 {
        if i == best {
            out.extend_from_slice(b"::");
            i += best_len;
            continue;
        }
        if i > 0 && i != best + best_len {
            out.push(b':');
        }
        let group = groups[i];
        for shift in [12, 8, 4, 0] {
            if shift == 0 || group >> shift != 0 {
                out.push(HEX[usize::from(group >> shift & 15)]);
            }
        }
        i += 1;
    }
}

/// Appends bytes in hexadecimal, lower case.
pub(super) fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

/// Appends bytes in base64 with padding (RFC 4648 section 4).
pub(super) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let index = (word >> (18 - 6 * i) & 63) as usize;
            out.push(if i <= chunk.len() { ALPHABET[index] } else { b'=' });
        }
    }
}

/// What happened to a string on its way into a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    /// Bytes that are not UTF-8 became U+FFFD.
    pub(super) lossy: bool,
    /// It was longer than its room and ends early.
    pub(super) cut: bool,
}

/// Whether a byte stands for itself in a JSON string. Everything above ASCII is looked at more closely.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0x20;
    while i < 0x7f {
        table[i] = i != b'"' as usize && i != b'\\' as usize;
        i += 1;
    }
    table
};

/// Appends `bytes` as a JSON string with its quotation marks, in no more than `room` bytes (which is at least 2), cut
/// between characters where that is too little.
#[inline]
pub(super) fn string(out: &mut Vec<u8>, bytes: &[u8], room: usize) -> Loss {
    out.push(b'"');
    let clean = bytes.iter().position(|b| !PLAIN[usize::from(*b)]).unwrap_or(bytes.len());
    let room = room.saturating_sub(2);
    let loss = if clean == bytes.len() && clean <= room {
        out.extend_from_slice(bytes);
        Loss::default()
    } else {
        escaped(out, bytes, room)
    };
    out.push(b'"');
    loss
}

/// A text of our own as a JSON string with its quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    string(&mut out, text.as_bytes(), usize::MAX);
    String::from_utf8_lossy(&out).into_owned()
}

#[cold]
fn escaped(out: &mut Vec<u8>, bytes: &[u8], room: usize) -> Loss {
    let end = out.len().saturating_add(room);
    let mut loss = Loss::default();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !escaped_char(out, c, end) {
                loss.cut = true;
                return loss;
            }
        }
        if !chunk.invalid().is_empty() {
            loss.lossy = true;
            if !escaped_char(out, char::REPLACEMENT_CHARACTER, end) {
                loss.cut = true;
                return loss;
            }
        }
    }
    loss
}

/// Appends one character as it stands in a JSON string; `false` when it would go beyond `end`.
fn escaped_char(out: &mut Vec<u8>, c: char, end: usize) -> bool {
    let mut buffer = [0u8; 6];
    let text: &[u8] = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\0'..'\x20' | '\x7f'..='\u{9f}' => {
            let code = c as usize;
            buffer = [b'\\', b'u', b'0', b'0', HEX[code >> 4 & 15], HEX[code & 15]];
            &buffer
        }
        _ => c.encode_utf8(&mut buffer).as_bytes(),
    };
    let fits = out.len() + text.len() <= end;
    if fits {
        out.extend_from_slice(text);
    }
    fits
}

/// Whether a character could change how a terminal or a reader shows what stands around it: controls, format characters
/// of the bidirectional algorithm, zero-width and tag characters, line and paragraph separators.
pub(crate) fn is_unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Appends bytes of the wire for human eyes: printable text as it is, all else as `\xNN` or `\u{N}`, and a backslash or
/// `quote` with a backslash before it, so that nobody can make bytes look like our own words. At most `room` bytes;
/// `false` when that was too little and it ends early.
pub(super) fn shown(out: &mut Vec<u8>, bytes: &[u8], quote: char, room: usize) -> bool {
    use std::io::Write;
    let end = out.len() + room;
    let fits = |out: &Vec<u8>, more: usize| out.len() + more <= end;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let before = out.len();
            let mut buffer = [0u8; 4];
            // Writing to a vector cannot fail.
            let _ = match c {
                '\n' => out.write_all(b"\\n"),
                '\r' => out.write_all(b"\\r"),
                '\t' => out.write_all(b"\\t"),
                c if c == quote || c == '\\' => write!(out, "\\{c}"),
                c if c.is_ascii_control() => write!(out, "\\x{:02x}", c as u32),
                c if is_unsafe_to_show(c) => write!(out, "\\u{{{:x}}}", c as u32),
                c => out.write_all(c.encode_utf8(&mut buffer).as_bytes()),
            };
            if !fits(out, 0) {
                out.truncate(before);
                return false;
            }
        }
        for byte in chunk.invalid() {
            if !fits(out, 4) {
                return false;
            }
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn made(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// xorshift64*: the tests' only source of chance, from a printed seed.
    struct Chance(u64);

    impl Chance {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
        }
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        let mut chance = Chance(7);
        for i in 0..20_000u64 {
            let n = match i {
                0..1200 => i,
                1200 => u64::MAX,
                _ => chance.next() >> (chance.next() % 64),
            };
            assert_eq!(made(|o| number(o, n)), n.to_string());
        }
    }

    #[test]
    fn stamps_are_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399_999_999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400_000_001_000, "2000-02-29T00:00:00.000001Z"),
            (951_868_800_000_000_999, "2000-03-01T00:00:00.000000Z"),
            (1_795_421_702_481_120_000, "2026-11-23T08:15:02.481120Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551Z"),
        ] {
            assert_eq!(made(|o| stamp(o, Stamp::from_nanos(nanos))), text);
        }
    }

    #[test]
    fn the_calendar_has_every_day_once() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..220_000 {
            assert_eq!(civil(days), (year, month, day), "day {days}");
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                [month as usize - 1];
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
    }

    #[test]
    fn addresses_are_those_of_the_standard_library() {
        let seed = 11;
        let mut chance = Chance(seed);
        for round in 0..20_000 {
            let mut octets = [0u8; 16];
            for pair in octets.chunks_exact_mut(2) {
                // Half of the groups are zero, so that runs of every length occur.
                let value = if chance.next() & 1 == 0 {
                    0
                } else {
                    (chance.next() as u16) >> (chance.next() % 16)
                };
                pair.copy_from_slice(&value.to_be_bytes());
            }
            let v6 = Ipv6Addr::from(octets);
            let a = Addr::v6(octets);
            if !a.is_v4() {
                // The standard library writes ::ffff:a.b.c.d style only for mapped ones, which are IPv4 to us.
                assert_eq!(made(|o| addr(o, a)), v6.to_string(), "seed {seed} round {round}");
            }
            let v4 = [octets[0], octets[3], octets[5], octets[7]];
            assert_eq!(made(|o| addr(o, Addr::v4(v4))), std::net::Ipv4Addr::from(v4).to_string());
        }
        for text in ["::", "::1", "1::", "2001:db8::1:0:0:1", "1:0:0:2::3", "fe80::1:2:3:4"] {
            let v6: Ipv6Addr = text.parse().unwrap();
            assert_eq!(made(|o| addr(o, Addr::v6(v6.octets()))), v6.to_string());
        }
    }

    #[test]
    fn base64_of_rfc_4648_section_10() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
        ] {
            assert_eq!(made(|o| base64(o, plain.as_bytes())), coded);
        }
    }

    #[test]
    fn strings_survive_a_json_parser_and_stay_in_their_room() {
        let seed = 23;
        let mut chance = Chance(seed);
        for round in 0..20_000 {
            let bytes: Vec<u8> = (0..chance.next() % 40)
                .map(|_| match chance.next() % 4 {
                    0 => b'a',
                    1 => (chance.next() % 0x20) as u8,
                    2 => {
                        b"\"\\/\x7f\xc2\x80\xe2\x82\xac\xf0\x9f\x98\x80\xff"
                            [(chance.next() % 14) as usize]
                    }
                    _ => chance.next() as u8,
                })
                .collect();
            let room = 2 + (chance.next() % 80) as usize;
            let mut out = Vec::new();
            let loss = string(&mut out, &bytes, room);
            assert!(out.len() <= room, "seed {seed} round {round}");
            let text: String = serde_json::from_slice(&out)
                .unwrap_or_else(|e| panic!("seed {seed} round {round}: {e}"));
            let full = String::from_utf8_lossy(&bytes);
            assert_eq!(loss.cut, text != full, "seed {seed} round {round}");
            assert!(full.starts_with(&text), "seed {seed} round {round}");
            assert!(
                !String::from_utf8(out).unwrap().chars().any(char::is_control),
                "seed {seed} round {round}"
            );
            if !loss.cut {
                assert_eq!(
                    loss.lossy,
                    std::str::from_utf8(&bytes).is_err(),
                    "seed {seed} round {round}"
                );
            }
        }
    }

    #[test]
    fn nothing_that_is_shown_can_steer_a_terminal() {
        let evil = "\x1b]0;gone\x07\u{9b}31m\u{202e}abc\u{200b}\u{e0041}\n\r\\\"é".as_bytes();
        let text = made(|o| assert!(shown(o, &[evil, b"\xff\xc3"].concat(), '"', 1000)));
        assert_eq!(
            text,
            "\\x1b]0;gone\\x07\\u{9b}31m\\u{202e}abc\\u{200b}\\u{e0041}\\n\\r\\\\\\\"é\\xff\\xc3"
        );
        for room in 0..text.len() {
            let cut = made(|o| assert!(!shown(o, &[evil, b"\xff\xc3"].concat(), '"', room)));
            assert!(cut.len() <= room && text.starts_with(&cut));
        }
    }
}
