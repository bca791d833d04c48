//! The verbs of the lines that pass, matched byte by byte without a byte being kept.

/// Of four letters but the last one. Their order is that of the bits.
const VERBS: [&[u8]; 7] = [b"HELO", b"EHLO", b"LHLO", b"NOOP", b"RSET", b"QUIT", b"STARTTLS"];
/// Nothing was looked at yet: all are possible.
pub(super) const ALL: u8 = (1 << VERBS.len()) - 1;
/// STARTTLS.
const LONG: u8 = 1 << 6;

/// The verbs that have this byte in this place, in either case.
#[inline(always)]
pub(super) const fn with(byte: u8, at: u16) -> u8 {
    if at >= 8 {
        return 0;
    }
    // A letter's places: a bit for each verb and place. Constants in the code, so that the probe needs no table.
    let places = match byte.to_ascii_uppercase() {
        b'A' => const { places(b'A') },
        b'E' => const { places(b'E') },
        b'H' => const { places(b'H') },
        b'I' => const { places(b'I') },
        b'L' => const { places(b'L') },
        b'N' => const { places(b'N') },
        b'O' => const { places(b'O') },
        b'P' => const { places(b'P') },
        b'Q' => const { places(b'Q') },
        b'R' => const { places(b'R') },
        b'S' => const { places(b'S') },
        b'T' => const { places(b'T') },
        b'U' => const { places(b'U') },
        _ => 0,
    };
    (places >> (at * 8)) as u8
}

/// Whether one of the verbs left ends in this place.
#[inline(always)]
pub(super) const fn complete(left: u8, at: u16) -> bool {
    at == 3 && left & !LONG != 0 || at == 7 && left & LONG != 0
}

const fn places(letter: u8) -> u64 {
    let mut found = 0;
    let mut verb = 0;
    while verb < VERBS.len() {
        let mut at = 0;
        while at < VERBS[verb].len() {
            if VERBS[verb][at] == letter {
                found |= 1 << (at * 8 + verb);
            }
            at += 1;
        }
        verb += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_found_and_nothing_else() {
        for (index, verb) in VERBS.iter().enumerate() {
            let mut left = ALL;
            for (at, &byte) in verb.iter().enumerate() {
                left &= with(byte.to_ascii_lowercase(), at as u16);
                assert_ne!(left & 1 << index, 0, "{index} {at}");
                assert_eq!(complete(left, at as u16), at + 1 == verb.len());
            }
        }
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let want = VERBS
                    .iter()
                    .enumerate()
                    .filter(|(_, verb)| {
                        verb.get(usize::from(at)) == Some(&byte.to_ascii_uppercase())
                    })
                    .fold(0, |all, (index, _)| all | 1 << index);
                assert_eq!(with(byte, at), want, "{byte} {at}");
            }
        }
    }
}
