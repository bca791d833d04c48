//! Encoded words (RFC 2047).

use alloc::vec::Vec;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::{CoderResult, Encoding};
use memchr::memmem;

/// Senders leave out padding and forget bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The longest charset name that is looked up; the longest label of the encoding standard has 19 bytes.
const MAX_CHARSET: usize = 40;

/// Appends `raw` to `out`, its encoded words decoded to UTF-8. `bytes` is room to work in.
///
/// A word in an unknown charset, or a broken one, is left as it is. Words are found wherever they stand, also inside
/// quotes, where section 5 does not allow them: mail programs write and read them there. Between two words white space
/// goes (section 6.2), and their bytes are joined before they are decoded if the charset is the same, for senders that cut
/// in the middle of a character.
pub(super) fn decode(raw: &[u8], bytes: &mut Vec<u8>, out: &mut Vec<u8>) {
    bytes.clear();
    let mut run: Option<&'static Encoding> = None;
    // What lies before `copied` is in `out` or in `bytes`.
    let (mut copied, mut at) = (0, 0);
    // Behind the last end no word begins; it keeps the search for ends linear.
    let last_end = memmem::rfind(raw, b"?=").unwrap_or(0);
    while let Some(found) = raw.get(at..).and_then(|tail| memmem::find(tail, b"=?")) {
        let start = at + found;
        let Some(tail) = raw.get(start + 2..).filter(|_| start < last_end) else {
            break;
        };
        let Some(word) = Word::parse(tail) else {
            at = start + 2;
            continue;
        };
        at = start + 2 + word.len;
        let before = bytes.len();
        let Some(encoding) = word.decode(bytes) else {
            bytes.truncate(before);
            continue;
        };
        let between = raw.get(copied..start).unwrap_or_default();
        let adjacent = run.is_some() && between.iter().all(u8::is_ascii_whitespace);
        if let Some(previous) = run
            && !(adjacent && previous == encoding)
        {
            charset(previous, bytes.get(..before).unwrap_or_default(), out);
            bytes.drain(..before);
        }
        if !adjacent {
            out.extend_from_slice(between);
        }
        run = Some(encoding);
        copied = at;
    }
    if let Some(encoding) = run {
        charset(encoding, bytes, out);
    }
    out.extend_from_slice(raw.get(copied..).unwrap_or_default());
}

/// An encoded word, taken apart.
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
    /// Length of the whole behind its `=?`.
    len: usize,
}

impl<'a> Word<'a> {
    /// Reads what follows `=?`: charset, optional language (RFC 2231 section 5), `?`, encoding, `?`, text, `?=`.
    fn parse(tail: &'a [u8]) -> Option<Self> {
        let token = |b: &u8| b.is_ascii_graphic() && *b != b'?' && *b != b'=';
        let name_len = tail.iter().take(MAX_CHARSET + 1).take_while(|b| token(b)).count();
        let (name, rest) = tail.split_at_checked(name_len)?;
        let charset = name.split(|&b| b == b'*').next().filter(|c| !c.is_empty())?;
        let (base64, rest) = match rest {
            [b'?', b'B' | b'b', b'?', rest @ ..] => (true, rest),
            [b'?', b'Q' | b'q', b'?', rest @ ..] => (false, rest),
            _ => return None,
        };
        let end = memmem::find(rest, b"?=")?;
        let text = rest.get(..end)?;
        Some(Self { charset, base64, text, len: name_len + 3 + end + 2 })
    }

    /// Appends the bytes that it stands for. `None`: unknown charset or broken; `bytes` may have grown.
    fn decode(&self, bytes: &mut Vec<u8>) -> Option<&'static Encoding> {
        let encoding = Encoding::for_label_no_replacement(self.charset)?;
        if self.base64 {
            BASE64.decode_vec(self.text, bytes).ok()?;
        } else {
            let mut text = self.text.iter();
            while let Some(&byte) = text.next() {
                bytes.push(match byte {
                    b'_' => b' ',
                    b'=' => hex(*text.next()?)? << 4 | hex(*text.next()?)?,
                    other => other,
                });
            }
        }
        Some(encoding)
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Appends `bytes` as UTF-8; what is no character becomes U+FFFD.
fn charset(encoding: &'static Encoding, mut bytes: &[u8], out: &mut Vec<u8>) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut buffer = [0u8; 256];
    loop {
        let (result, read, written, _) = decoder.decode_to_utf8(bytes, &mut buffer, true);
        out.extend_from_slice(buffer.get(..written).unwrap_or_default());
        bytes = bytes.get(read..).unwrap_or_default();
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn decoded(raw: &[u8]) -> Vec<u8> {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        decode(raw, &mut bytes, &mut out);
        out
    }

    #[test]
    fn words_as_they_come() {
        let cases: &[(&str, &str)] = &[
            ("", ""),
            ("plain text", "plain text"),
            // RFC 2047 section 8.
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            (
                "=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
                "Keld Jørn Simonsen <keld@dkuug.dk>",
            ),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example.",
            ),
            ("=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
            // Case, missing padding, no text, no space before or behind.
            ("=?utf-8?b?w6Q?=", "ä"),
            ("=?utf-8?q?=c3=A4?=", "ä"),
            ("=?UTF-8?Q??=", ""),
            ("x=?UTF-8?Q?y?=z", "xyz"),
            ("\"=?utf-8?Q?Doe,_J?=\" <a@b>", "\"Doe, J\" <a@b>"),
            // White space and question marks in the text: against the rules, and sent.
            ("=?utf-8?Q?two words?=", "two words"),
            ("=?utf-8?Q?really? yes?=", "really? yes"),
            // A character cut in two.
            ("=?utf-8?B?w6TD?= =?utf-8?B?tg==?=", "äö"),
            ("=?utf-8?Q?=e2=9c?=\t=?UTF8?Q?=93?=", "✓"),
            ("=?utf-8?Q?=c3?= =?iso-8859-1?Q?=e4?=", "\u{fffd}ä"),
            ("=?utf-8?Q?=c3?= x", "\u{fffd} x"),
            // Charsets.
            ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
            ("=?shift_jis?B?k/qWew==?=", "日本"),
            ("=?gb2312?B?1tDOxA==?=", "中文"),
            ("=?koi8-r?Q?=F0=D2=C9?=", "При"),
            ("=?windows-1252?Q?=80?=", "€"),
            // Left as they are.
            ("=?x-unknown?Q?a?= b", "=?x-unknown?Q?a?= b"),
            ("=?utf-7?Q?+AOQ-?=", "=?utf-7?Q?+AOQ-?="),
            ("=?iso-2022-kr?Q?a?=", "=?iso-2022-kr?Q?a?="),
            ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
            ("=?utf-8?Q?a", "=?utf-8?Q?a"),
            ("=?utf-8?Q?a=4?=", "=?utf-8?Q?a=4?="),
            ("=?utf-8?Q?a=zz?=", "=?utf-8?Q?a=zz?="),
            ("=?utf-8?B?%%%?=", "=?utf-8?B?%%%?="),
            ("=??Q?a?=", "=??Q?a?="),
            ("=?=?utf-8?Q?a?=", "=?a"),
            ("=? =?utf-8?Q?a?= =?", "=? a =?"),
            // A broken word between two good ones keeps its spaces.
            ("=?utf-8?Q?a?= =?no?Q?b?= =?utf-8?Q?c?=", "a =?no?Q?b?= c"),
            // Control characters stay.
            ("=?utf-8?Q?a=0D=0Ab=00?=", "a\r\nb\0"),
        ];
        for (raw, expected) in cases {
            assert_eq!(String::from_utf8_lossy(&decoded(raw.as_bytes())), *expected, "{raw}");
        }
    }

    #[test]
    fn eight_bit_bytes_pass() {
        assert_eq!(decoded(b"caf\xe9 =?utf-8?Q?=c3=a9?= \xff"), b"caf\xe9 \xc3\xa9 \xff");
    }

    #[test]
    fn long_texts_and_their_growth() {
        let mut raw = b"=?koi8-r?Q?".to_vec();
        raw.extend([b"=F0".as_slice(); 1000].concat());
        raw.extend(b"?=");
        assert_eq!(decoded(&raw), "П".repeat(1000).as_bytes());
    }

    #[test]
    fn nothing_hostile_takes_long() {
        // Quadratic work would be 10^12 steps.
        for unit in [
            "=?",
            "=?a?q?",
            "?=",
            "=?utf-8?Q?a",
            "=?utf-8?Q?a?=",
            "=?a?Q?b?= ",
            "=?a",
            "=?utf-8?B?",
        ] {
            let raw = unit.repeat(1_000_000 / unit.len());
            assert!(decoded(raw.as_bytes()).len() <= raw.len(), "{unit}");
        }
    }
}
