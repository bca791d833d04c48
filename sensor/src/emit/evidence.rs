//! Evidence in words: one string of `key=value` pairs.

use botlike_core::detect::{Evidence, EvidenceValue};

use super::{Style, words, write};

/// Bytes that the pairs take at most; quoted once more as JSON they are twice as long at worst.
const ROOM: usize = 1536;

/// Appends a space or so of our own text.
fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Evidence as one string of `key=value` pairs, in at most [`EVIDENCE`] bytes before it is quoted once more.
pub(super) fn pairs(
    out: &mut Vec<u8>,
    evidence: &[Evidence],
    style: &Style,
    scratch: &mut Vec<u8>,
) {
    let start = out.len();
    for piece in evidence {
        let before = out.len();
        let room = (ROOM).saturating_sub(before - start);
        if before > start {
            out.push(b' ');
        }
        put(out, piece.key);
        out.push(b'=');
        match &piece.value {
            EvidenceValue::Count(n) => write::number(out, *n),
            EvidenceValue::Span(nanos) => put(out, &words::span(*nanos)),
            EvidenceValue::Percent(share) => {
                write::number(out, u64::from(*share));
                out.push(b'%');
            }
            EvidenceValue::Addr(addr) => write::addr(out, *addr),
            EvidenceValue::Wire(text) => {
                match style.privacy.perhaps(&style.key, text.as_bytes(), scratch) {
                    Some(shown) => {
                        out.push(b'"');
                        let whole = write::shown(out, shown, '"', room);
                        put(out, if whole && !text.is_cut() { "\"" } else { "\"…" });
                    }
                    None => put(out, "hidden"),
                }
            }
            EvidenceValue::Word(text) => put(out, text),
            EvidenceValue::Words(text) => {
                out.push(b'"');
                let whole = write::shown(out, text.as_bytes(), '"', room);
                put(out, if whole { "\"" } else { "\"…" });
            }
        }
        if out.len() - start > ROOM + 64 {
            out.truncate(before);
            put(out, " …");
            break;
        }
    }
}
