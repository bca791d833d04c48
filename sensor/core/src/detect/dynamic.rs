//! The "looks dynamic" classifier: does a host name look like one that an access provider made up for a line?
//!
//! Catalogue section 3. It takes a name (HELO or PTR) and the address it goes with and gives a score from 0 to 5: 4 and
//! 5 are *dynamic*, 3 is *generic*, less is nothing. A name that says of itself that it is static or a mail server never
//! goes over 2, and an access word without a digit near it never does either.
//!
//! It promises time linear in the name, no allocation, and no opinion about what is not a name (longer than 255 bytes,
//! an address, a literal). It does not decode `xn--` labels: every word and digit it looks for is ASCII, and Punycode
//! (RFC 3492) keeps the ASCII letters of a label as they are, so that decoding could only add what it does not look for.

use psl::{List, Psl, Type};

use crate::base::Addr;

/// The longest name looked at, in bytes (RFC 1035, section 2.3.4).
const NAME: usize = 255;

/// What a name looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looks {
    /// 0 to 5: from 4 on dynamic, 3 generic, below nothing.
    pub(super) score: u8,
    /// What decided: `none`, `embedded_decimal`, `embedded_digits`, `embedded_hex`, `embedded_v6`, `foreign_address`,
    /// `access_word`, `address_and_word`, or `static_name` where such a word held a higher score down.
    pub(super) rule: &'static str,
    /// Octets of the host's own address found in the name: 0, 3 or 4 for IPv4, 0 or 8 to 16 for IPv6.
    pub(super) octets: u8,
}

const NONE: Looks = Looks { score: 0, rule: "none", octets: 0 };

/// The most a name with a static word, or an access word without a digit, is given.
pub(super) const HARMLESS: u8 = 2;

/// Words of a name that was given by somebody, not by a machine: to be found as a whole token.
#[rustfmt::skip] // a table
const STATIC: &[&[u8]] = &[
    b"static", b"fix", b"fixip", b"fixed", b"sta", b"dedicated", b"business", b"biz", b"corp", b"mail", b"smtp", b"mx",
    b"mta", b"out", b"outbound", b"relay", b"mailout", b"send", b"esp", b"click",
];

/// An access word: its letters, its score next to a digit, its score as a label of its own beside a label with a digit.
///
/// Words that also name a department or a subject (`wireless`, `dsl`, `res`) say nothing alone in their label:
/// SpamAssassin notes a "surprisingly large" ham rate for them. They stay *generic* there, and an address decides.
type Word = (&'static [u8], u8, u8);

#[rustfmt::skip] // a table
const WORDS: &[Word] = &[
    // strong
    (b"dyn", 5, 5), (b"dynamic", 5, 5), (b"dynip", 5, 5), (b"dynamicip", 5, 5), (b"dhcp", 5, 5), (b"ppp", 5, 5),
    (b"pppoe", 5, 5), (b"pptp", 5, 5), (b"dialup", 5, 5), (b"dialin", 5, 5), (b"dip", 5, 5), (b"cablemodem", 5, 5),
    (b"catv", 5, 5), (b"docsis", 5, 5), (b"gprs", 5, 5), (b"cdma", 5, 5), (b"homeuser", 5, 5), (b"cpe", 5, 5),
    (b"dsl", 5, 3), (b"adsl", 5, 3), (b"vdsl", 5, 3), (b"xdsl", 5, 3), (b"ftth", 5, 3), (b"broadband", 5, 3),
    (b"lte", 5, 3), (b"wifi", 5, 3), (b"wireless", 5, 3), (b"nat", 5, 3), (b"res", 5, 3), (b"resnet", 5, 3),
    (b"pool", 5, 3),
    // medium
    (b"kabel", 4, 3), (b"cable", 4, 3), (b"fbx", 4, 3), (b"rev", 3, 3),
    // weak
    (b"user", 2, 1), (b"client", 2, 1), (b"customer", 2, 1), (b"cust", 2, 1), (b"host", 2, 1), (b"peer", 2, 1),
    (b"node", 2, 1), (b"ip", 2, 1), (b"vps", 2, 1), (b"unassigned", 2, 2),
];

/// Words of two parts with a hyphen or underscore between them.
const PAIRS: &[(&[u8], Word)] = &[
    (b"dial", (b"in", 5, 5)),
    (b"dial", (b"up", 5, 5)),
    (b"cable", (b"modem", 5, 5)),
    (b"home", (b"user", 5, 5)),
    (b"in", (b"addr", 4, 3)),
    (b"unused", (b"addr", 4, 3)),
];

/// Says how much `name` looks like that of an access line with the address `addr`.
pub(super) fn looks_dynamic(name: &[u8], addr: Addr) -> Looks {
    let mut lower = [0; NAME];
    let Some(lower) = lower.get_mut(..name.len()) else { return NONE };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let h = host_part(lower);
    if h.is_empty() {
        return NONE;
    }
    let found = match addr.as_v4() {
        Some(octets) => best([decimal(h, Some(octets)), digits(h, octets), hex(h, octets)]),
        None => best([v6(h, addr.octets()), decimal(h, None), NONE]),
    };
    let (word, fixed) = words(h, found.score > 0);
    let mut looks = if word > found.score {
        Looks { score: word, rule: "access_word", ..found }
    } else {
        found
    };
    // They agree when each alone says at least "generic": `host` or `node` beside an address adds nothing to it.
    if found.score >= 3 && word >= 3 {
        looks = Looks { score: (looks.score + 1).min(5), rule: "address_and_word", ..found };
    }
    if fixed && looks.score > HARMLESS {
        looks = Looks { score: HARMLESS, rule: "static_name", ..looks };
    }
    looks
}

fn best(found: [Looks; 3]) -> Looks {
    found.into_iter().fold(NONE, |a, b| if b.score > a.score { b } else { a })
}

/// What is left of a lower-case name without its public suffix and the organisation's label.
///
/// Private entries of the list (`*.compute.amazonaws.com`) do not count: there the provider names the hosts.
/// A name of one label has neither and is left whole; so is one below `arpa`, where the address is the name.
fn host_part(name: &[u8]) -> &[u8] {
    let name = name.strip_suffix(b".").unwrap_or(name);
    let letter = name.iter().any(|b| b.is_ascii_lowercase());
    if !letter || name.iter().any(|b| matches!(b, b':' | b'[' | b']')) {
        return &[];
    }
    if !name.contains(&b'.') || name.ends_with(b".arpa") {
        return name;
    }
    let mut rest = name;
    // Each turn takes a label off, and no entry of the list has more labels than this.
    for _ in 0..8 {
        let Some(suffix) = List.suffix(rest) else { return &[] };
        if suffix.typ() != Some(Type::Private) {
            let Some(above) = name.len().checked_sub(suffix.as_bytes().len() + 1) else {
                return &[];
            };
            let above = name.get(..above).unwrap_or(&[]);
            let dot = above.iter().rposition(|&b| b == b'.');
            return dot.and_then(|dot| above.get(..dot)).unwrap_or(&[]);
        }
        let Some(dot) = suffix.as_bytes().iter().position(|&b| b == b'.') else { return &[] };
        rest = suffix.as_bytes().get(dot + 1..).unwrap_or(&[]);
    }
    &[]
}

/// A maximal run of bytes of one kind: what it holds, where it starts and ends.
#[derive(Clone, Copy)]
struct Run<'a> {
    bytes: &'a [u8],
    start: usize,
    end: usize,
}

/// The maximal runs of bytes for which `kind` holds, from left to right.
fn runs<'a>(h: &'a [u8], kind: impl Fn(u8) -> bool + Copy + 'a) -> impl Iterator<Item = Run<'a>> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let start = at + h.get(at..)?.iter().position(|&b| kind(b))?;
        let rest = h.get(start..)?;
        let bytes = rest.get(..rest.iter().position(|&b| !kind(b)).unwrap_or(rest.len()))?;
        at = start + bytes.len();
        Some(Run { bytes, start, end: at })
    })
}

fn byte(h: &[u8], at: usize) -> Option<u8> {
    h.get(at).copied()
}

fn before(h: &[u8], at: usize) -> Option<u8> {
    byte(h, at.checked_sub(1)?)
}

fn is_digit(b: Option<u8>) -> bool {
    b.is_some_and(|b| b.is_ascii_digit())
}

fn is_joint(b: Option<u8>) -> bool {
    matches!(b, Some(b'-' | b'_'))
}

/// The best score of an access word, and whether there is a static word.
fn words(h: &[u8], address: bool) -> (u8, bool) {
    // Bytes that are neither letter nor delimiter belong to a word, so that they do not cut one out of another.
    let letter = |b: u8| !matches!(b, b'.' | b'-' | b'_' | b'0'..=b'9');
    let mut score = 0;
    let mut fixed = false;
    let mut last: Option<Run<'_>> = None;
    for run in runs(h, letter) {
        fixed |= STATIC.contains(&run.bytes);
        if let Some(&(_, near, own)) = WORDS.iter().find(|w| w.0 == run.bytes) {
            score = score.max(weigh(h, run, near, own, address));
        }
        if let Some(last) = last
            && last.end + 1 == run.start
            && is_joint(byte(h, last.end))
            && let Some(&(_, (_, near, own))) =
                PAIRS.iter().find(|(a, (b, ..))| *a == last.bytes && *b == run.bytes)
        {
            score = score.max(weigh(h, Run { start: last.start, ..run }, near, own, address));
        }
        // `4g` and `5g`: the digit belongs to the word.
        if run.bytes == b"g"
            && let Some(start) = run.start.checked_sub(1)
            && matches!(byte(h, start), Some(b'4' | b'5'))
            && before(h, start).is_none_or(|b| matches!(b, b'.' | b'-' | b'_'))
        {
            score = score.max(weigh(h, Run { start, ..run }, 5, 3, address));
        }
        last = Some(run);
    }
    (score, fixed)
}

/// The score of a word by where it stands: next to a digit (at most one hyphen or underscore between them), or alone in
/// its label. `address`: the name holds an address, which may be in hexadecimal letters.
fn weigh(h: &[u8], word: Run<'_>, near: u8, own: u8, address: bool) -> u8 {
    let left = before(h, word.start);
    let right = byte(h, word.end);
    let next_left = if is_joint(left) { before(h, word.start.saturating_sub(1)) } else { left };
    let next_right = if is_joint(right) { byte(h, word.end + 1) } else { right };
    if is_digit(next_left) || is_digit(next_right) {
        return near;
    }
    let edge = |b: Option<u8>| b.is_none_or(|b| b == b'.');
    if !edge(left) || !edge(right) {
        return 0;
    }
    let label = |bytes: &mut dyn Iterator<Item = &u8>| {
        bytes.take_while(|&&b| b != b'.').any(u8::is_ascii_digit)
    };
    let beside = word
        .start
        .checked_sub(1)
        .and_then(|at| h.get(..at))
        .is_some_and(|l| label(&mut l.iter().rev()))
        || h.get(word.end + 1..).is_some_and(|r| label(&mut r.iter()));
    if beside || address { own } else { own.min(HARMLESS) }
}

/// Numbers from 0 to 255 of at most three digits, joined by one of `. - _ x`: the octets of the address in order or
/// reversed, three of them in order or reversed, or four numbers that are another address.
fn decimal(h: &[u8], own: Option<[u8; 4]>) -> Looks {
    let mut found = NONE;
    let mut chain = [0u8; 4];
    let mut len = 0usize;
    let mut end = 0;
    for run in runs(h, |b| b.is_ascii_digit()) {
        let joined =
            run.start == end + 1 && matches!(byte(h, end), Some(b'.' | b'-' | b'_' | b'x'));
        if !joined || len == 0 {
            found = best([found, foreign(len), NONE]);
            len = 0;
        }
        end = run.end;
        let Some(octet) = octet(run.bytes) else {
            found = best([found, foreign(len), NONE]);
            len = 0;
            continue;
        };
        chain.rotate_left(1);
        let [.., last] = &mut chain;
        *last = octet;
        len += 1;
        let Some([a, b, c, d]) = own else { continue };
        let [_, tail @ ..] = chain;
        if len >= 4 && (chain == [a, b, c, d] || chain == [d, c, b, a]) {
            return Looks { score: 4, rule: "embedded_decimal", octets: 4 };
        }
        let three = [[a, b, c], [b, c, d], [a, b, d], [a, c, d]];
        if len >= 3 && three.into_iter().any(|[x, y, z]| tail == [x, y, z] || tail == [z, y, x]) {
            found = Looks { score: 3, rule: "embedded_decimal", octets: 3 };
        }
    }
    best([found, foreign(len), NONE])
}

/// A chain of exactly four numbers is an address, if not this host's (translated, or given to another); a longer one is
/// a version or a date.
fn foreign(len: usize) -> Looks {
    if len == 4 { Looks { score: 3, rule: "foreign_address", octets: 0 } } else { NONE }
}

fn octet(digits: &[u8]) -> Option<u8> {
    if digits.len() > 3 {
        return None;
    }
    let value = digits.iter().fold(0u16, |n, b| n * 10 + u16::from(b - b'0'));
    u8::try_from(value).ok()
}

/// Up to 32 bytes written for comparison.
#[derive(Default)]
struct Short {
    bytes: [u8; 32],
    len: usize,
}

impl Short {
    fn push(&mut self, b: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = b;
            self.len += 1;
        }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// The octets in decimal one after the other, each with zeros up to three digits or plain.
    fn decimal(octets: &[u8], padded: bool) -> Self {
        let mut s = Self::default();
        for &o in octets {
            if padded || o >= 100 {
                s.push(b'0' + o / 100);
            }
            if padded || o >= 10 {
                s.push(b'0' + o / 10 % 10);
            }
            s.push(b'0' + o % 10);
        }
        s
    }

    /// Half-octets in hexadecimal.
    fn hex(nibbles: impl Iterator<Item = u8>) -> Self {
        let mut s = Self::default();
        for n in nibbles {
            s.push(if n < 10 { b'0' + n } else { b'a' + n - 10 });
        }
        s
    }
}

fn nibbles(octets: &[u8]) -> impl DoubleEndedIterator<Item = u8> {
    octets.iter().flat_map(|o| [o >> 4, o & 15])
}

/// Octets written as one number. Zero-padded they may stand anywhere in a run of digits; plain ones must be all of it
/// and at least 7 digits, as shorter numbers are serial numbers now and then.
fn digits(h: &[u8], [a, b, c, d]: [u8; 4]) -> Looks {
    let mut found = NONE;
    let orders: [&[u8]; 6] =
        [&[a, b, c, d], &[d, c, b, a], &[a, b, c], &[b, c, d], &[c, b, a], &[d, c, b]];
    for octets in orders {
        let whole = octets.len() == 4;
        let padded = Short::decimal(octets, true);
        let plain = Short::decimal(octets, false);
        let hit = runs(h, |b| b.is_ascii_digit()).any(|run| {
            let inside = whole && run.bytes.windows(padded.len).any(|w| w == padded.get());
            inside || run.bytes == padded.get() || (plain.len >= 7 && run.bytes == plain.get())
        });
        if hit {
            let (score, octets) = if whole { (4, 4) } else { (3, 3) };
            found = best([found, Looks { score, rule: "embedded_digits", octets }, NONE]);
        }
    }
    found
}

/// The address in hexadecimal: 8 digits in order or reversed by octets, or its last 6 or 7 digits as a number of their
/// own, also after `0x`.
fn hex(h: &[u8], octets: [u8; 4]) -> Looks {
    let [a, b, c, d] = octets;
    for order in [[a, b, c, d], [d, c, b, a]] {
        let wanted = Short::hex(nibbles(&order));
        // One without letters is a decimal number as well: it must not be cut out of a longer one.
        let decimal = wanted.get().iter().all(u8::is_ascii_digit);
        let hit = h.windows(wanted.len).enumerate().any(|(at, w)| {
            w == wanted.get()
                && !(decimal && (is_digit(before(h, at)) || is_digit(byte(h, at + wanted.len))))
        });
        if hit {
            return Looks { score: 4, rule: "embedded_hex", octets: 4 };
        }
    }
    let wanted = Short::hex(nibbles(&octets));
    if runs(h, |b| b.is_ascii_hexdigit())
        .any(|run| matches!(run.bytes.len(), 6 | 7) && wanted.get().ends_with(run.bytes))
    {
        return Looks { score: 3, rule: "embedded_hex", octets: 3 };
    }
    NONE
}

/// Parts of an IPv6 address: four or more of its groups joined by `. - _`, or half of it written out, in hexadecimal
/// digits without or with delimiters between them, also reversed digit by digit as below `ip6.arpa`.
fn v6(h: &[u8], addr: &[u8; 16]) -> Looks {
    let mut octets = 0;

    let groups = addr.as_chunks::<2>().0;
    let mut chain: [u16; 8] = [0; 8];
    let (mut len, mut end) = (0usize, 0);
    for run in runs(h, |b| b.is_ascii_hexdigit()) {
        if run.start != end + 1 || !matches!(byte(h, end), Some(b'.' | b'-' | b'_')) {
            len = 0;
        }
        end = run.end;
        if run.bytes.len() > 4 {
            len = 0;
            continue;
        }
        let value = run
            .bytes
            .iter()
            .fold(0, |n, &b| n << 4 | (b as char).to_digit(16).map_or(0, |d| d as u16));
        chain.rotate_left(1);
        let [.., last] = &mut chain;
        *last = value;
        len = (len + 1).min(8);
        for n in (4..=len).rev() {
            let tail = chain.get(8 - n..).unwrap_or(&[]);
            // Zeros and a single group match half of the world.
            let telling = tail.iter().filter(|&&g| g != 0).count() >= 2;
            let same = |w: &[[u8; 2]]| {
                let group = |g: &[u8; 2]| u16::from_be_bytes(*g);
                w.iter().map(group).eq(tail.iter().copied())
                    || w.iter().rev().map(group).eq(tail.iter().copied())
            };
            if telling && groups.windows(n).any(same) {
                octets = octets.max(2 * n as u8);
                break;
            }
        }
    }

    let mut bare = [0; NAME];
    let mut used = 0;
    for &b in h.iter().filter(|b| !matches!(b, b'.' | b'-' | b'_')) {
        if let Some(slot) = bare.get_mut(used) {
            *slot = b;
            used += 1;
        }
    }
    let bare = bare.get(..used).unwrap_or(&[]);
    let (first, last) = addr.split_at(8);
    for (part, worth) in [(&addr[..], 16), (first, 8), (last, 8)] {
        let forward = Short::hex(nibbles(part));
        let reversed = Short::hex(nibbles(part).rev());
        if bare.windows(forward.len).any(|w| w == forward.get() || w == reversed.get()) {
            octets = octets.max(worth);
        }
    }

    if octets >= 8 { Looks { score: 4, rule: "embedded_v6", octets } } else { NONE }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use alloc::vec::Vec;
    use core::net::IpAddr;

    use super::*;

    fn looks(name: &str, addr: &str) -> Looks {
        looks_dynamic(name.as_bytes(), Addr::from(addr.parse::<IpAddr>().unwrap()))
    }

    /// Name, address, score, rule, octets. The naming schemes are of real providers, the addresses are made up.
    #[rustfmt::skip] // a table
    const CASES: &[(&str, &str, u8, &str, u8)] = &[
        // Access lines: the address in decimal.
        ("c-73-12-34-56.hsd1.ca.comcast.net", "73.12.34.56", 4, "embedded_decimal", 4),
        ("C-73-12-34-56.HSD1.CA.Comcast.NET.", "73.12.34.56", 4, "embedded_decimal", 4),
        ("pool-71-12-34-56.nycmny.fios.verizon.net", "71.12.34.56", 5, "address_and_word", 4),
        ("cpe-24-12-34-56.socal.res.rr.com", "24.12.34.56", 5, "address_and_word", 4),
        ("ip-1-2-3-4.hsi.example.net", "1.2.3.4", 4, "embedded_decimal", 4),
        ("dsl-187-12-34-56-dyn.prod-infinitum.com.mx", "187.12.34.56", 5, "address_and_word", 4),
        ("dsl-1-2-3-4.isp.net", "1.2.3.4", 5, "address_and_word", 4),
        ("adsl-70-12-34-56.dsl.snantx.sbcglobal.net", "70.12.34.56", 5, "address_and_word", 4),
        ("4-3-2-1.cable.isp.net", "1.2.3.4", 5, "address_and_word", 4),
        ("1-2-3-4.dyn.isp.net", "1.2.3.4", 5, "address_and_word", 4),
        ("dyn.1-2-3-4.isp.net", "1.2.3.4", 5, "address_and_word", 4),
        ("dynamic-1-2-3-4.isp.com.br", "1.2.3.4", 5, "address_and_word", 4),
        ("187-12-34-56.user.veloxzone.com.br", "187.12.34.56", 4, "embedded_decimal", 4),
        ("177.12.34.56.dynamic.adsl.gvt.net.br", "177.12.34.56", 5, "address_and_word", 4),
        ("host-79-12-34-56.retail.telecomitalia.it", "79.12.34.56", 4, "embedded_decimal", 4),
        ("host56-34-dynamic.12-79-r.retail.telecomitalia.it", "79.12.34.56", 5, "access_word", 0),
        ("56.34.12.83.dynamic.jazztel.es", "83.12.34.56", 5, "address_and_word", 4),
        ("56.red-83-12-34.dynamicip.rima-tde.net", "83.12.34.56", 5, "address_and_word", 3),
        ("abts-north-dynamic-056.034.012.122.airtelbroadband.in", "122.12.34.56", 5, "address_and_word", 4),
        ("static-pool-071-012-034-056.isp.net", "71.12.34.56", 2, "static_name", 4),
        ("host-092-012-034-056.ewe-ip-backbone.de", "92.12.34.56", 4, "embedded_decimal", 4),
        ("1x2x3x4.ap.isp.ne.jp", "1.2.3.4", 4, "embedded_decimal", 4),
        ("1_2_3_4.isp.co.uk", "1.2.3.4", 4, "embedded_decimal", 4),
        ("cpc1-2-3-4.broadband.isp.net", "1.2.3.4", 5, "address_and_word", 4),
        ("ppp-12-34-56.revip2.asianet.co.th", "171.12.34.56", 5, "address_and_word", 3),
        ("ppp91-12-34-56.pppoe.mtu-net.ru", "91.12.34.56", 5, "address_and_word", 4),
        ("broadband-90-12-34-56.ip.moscow.rt.ru", "90.12.34.56", 5, "address_and_word", 4),
        ("lfbn-idf1-1-234-56.w86-12.abo.wanadoo.fr", "86.12.34.56", 3, "foreign_address", 0),
        ("176-12-34-56.pool.ukrtel.net", "176.12.34.56", 5, "address_and_word", 4),
        ("ec2-3-12-34-56.us-east-2.compute.amazonaws.com", "3.12.34.56", 4, "embedded_decimal", 4),
        ("56.34.12.3.bc.googleusercontent.com", "3.12.34.56", 4, "embedded_decimal", 4),
        ("56.34.12.3.in-addr.arpa", "3.12.34.56", 5, "address_and_word", 4),
        ("12-34-56.isp.net", "171.12.34.56", 3, "embedded_decimal", 3),
        ("56-34-12.isp.net", "171.12.34.56", 3, "embedded_decimal", 3),
        // In one number.
        ("p071012034056.isp.net", "71.12.34.56", 4, "embedded_digits", 4),
        ("x2056034012071.isp.net", "71.12.34.56", 4, "embedded_digits", 4),
        ("a71123456.isp.net", "71.12.34.56", 4, "embedded_digits", 4),
        ("a071012034.isp.net", "71.12.34.0", 3, "embedded_digits", 3),
        ("a1234.isp.net", "1.2.3.4", 0, "none", 0),
        // In hexadecimal.
        ("p5b0c2238.dip0.t-ipconnect.de", "91.12.34.56", 5, "address_and_word", 4),
        ("P5B0C2238.dip0.t-ipconnect.de", "91.12.34.56", 5, "address_and_word", 4),
        ("pd9e12345.dip.t-dialin.net", "217.225.35.69", 5, "address_and_word", 4),
        ("ip5f5a0c22.dynamic.kabel-deutschland.de", "95.90.12.34", 5, "address_and_word", 4),
        ("38220c5b.cm-1.dynamic.ziggo.nl", "91.12.34.56", 5, "address_and_word", 4),
        ("deadbeef.dyn.isp.net", "222.173.190.239", 5, "address_and_word", 4),
        ("cm-0x0c2238.isp.net", "91.12.34.56", 3, "embedded_hex", 3),
        ("cm-0c2238.isp.net", "91.12.34.56", 3, "embedded_hex", 3),
        ("cm-1c2238.isp.net", "91.12.34.56", 0, "none", 0),
        ("n10000001.isp.net", "16.0.0.1", 4, "embedded_hex", 4),
        ("n100000012.isp.net", "16.0.0.1", 0, "none", 0),
        // IPv6.
        ("2a02-810d-1234-5678-9abc-def0-1357-2468.dynamic.isp.de", "2a02:810d:1234:5678:9abc:def0:1357:2468", 5, "address_and_word", 16),
        ("p200300c123456789a123456789abcdef.dip0.t-ipconnect.de", "2003:c1:2345:6789:a123:4567:89ab:cdef", 5, "address_and_word", 16),
        ("p200300c12345678900aa11bb22cc33dd.dip0.t-ipconnect.de", "2003:c1:2345:6789:aa:11bb:22cc:33dd", 5, "address_and_word", 16),
        ("h-00aa11bb22cc33dd.isp.net", "2003:c1:2345:6789:aa:11bb:22cc:33dd", 4, "embedded_v6", 8),
        ("2003-c1-2345-6789.isp.net", "2003:c1:2345:6789:aa:11bb:22cc:33dd", 4, "embedded_v6", 8),
        ("33dd-22cc-11bb-aa-6789.isp.net", "2003:c1:2345:6789:aa:11bb:22cc:33dd", 4, "embedded_v6", 10),
        ("2003-c1-2345.isp.net", "2003:c1:2345:6789:aa:11bb:22cc:33dd", 0, "none", 0),
        ("d.d.3.3.c.c.2.2.b.b.1.1.a.a.0.0.isp.net", "2003:c1:2345:6789:aa:11bb:22cc:33dd", 4, "embedded_v6", 8),
        ("0-0-0-1.isp.net", "2001:db8::1", 3, "foreign_address", 0),
        // Another address, and words alone.
        ("host-10-0-0-5.isp.net", "1.2.3.4", 3, "foreign_address", 0),
        ("dyn-10-0-0-5.isp.net", "1.2.3.4", 5, "address_and_word", 0),
        ("v1.2.3.4.5.isp.net", "9.9.9.9", 0, "none", 0),
        ("n1-2-3-456.isp.net", "9.9.9.9", 0, "none", 0),
        ("dhcp123.isp.net", "9.9.9.9", 5, "access_word", 0),
        ("a12.dhcp.isp.net", "9.9.9.9", 5, "access_word", 0),
        ("dial-in-7.isp.net", "9.9.9.9", 5, "access_word", 0),
        ("dialup7.isp.net", "9.9.9.9", 5, "access_word", 0),
        ("cable-modem-77.isp.net", "9.9.9.9", 5, "access_word", 0),
        ("cablemodem77.isp.net", "9.9.9.9", 5, "access_word", 0),
        ("cable77.isp.net", "9.9.9.9", 4, "access_word", 0),
        ("4g-77.isp.net", "9.9.9.9", 5, "access_word", 0),
        ("unused-addr-77.isp.net", "9.9.9.9", 4, "access_word", 0),
        ("77.rev.isp.net", "9.9.9.9", 3, "access_word", 0),
        ("dsl-4711", "9.9.9.9", 5, "access_word", 0),
        ("web1.wireless.example.com", "9.9.9.9", 3, "access_word", 0),
        ("a-dyn-b.a1.isp.net", "9.9.9.9", 0, "none", 0),
        // Honest names.
        ("mail.example.org", "192.0.2.1", 0, "none", 0),
        ("mx1.example.org", "192.0.2.1", 0, "none", 0),
        ("mx1-2-3-4.example.org", "1.2.3.4", 2, "static_name", 4),
        ("smtp-out3.example.net", "192.0.2.1", 0, "none", 0),
        ("o1-2-3-4.outbound-mail.sendgrid.net", "1.2.3.4", 2, "static_name", 4),
        ("wrqvtvvn.outbound-mail.sendgrid.net", "1.2.3.4", 0, "none", 0),
        ("static.1-2-3-4.clients.your-server.de", "1.2.3.4", 2, "static_name", 4),
        ("static.4.3.2.1.clients.your-server.de", "1.2.3.4", 2, "static_name", 4),
        ("1-2-3-4.static.isp.net", "1.2.3.4", 2, "static_name", 4),
        ("1-2-3-4.business.isp.net", "1.2.3.4", 2, "static_name", 4),
        ("fixip-1-2-3-4.isp.net", "1.2.3.4", 2, "static_name", 4),
        ("a7-30.smtp-out.eu-west-1.amazonses.com", "54.240.7.30", 0, "none", 0),
        ("mail-pg0-f52.google.com", "74.125.83.52", 0, "none", 0),
        ("mail-ed1-x52a.google.com", "2a00:1450:4864:20::52a", 0, "none", 0),
        ("mail-eopbgr70045.outbound.protection.outlook.com", "40.107.7.45", 0, "none", 0),
        ("mta2.example.com", "192.0.2.1", 0, "none", 0),
        ("mta-70-12-34-56.sparkpostmail.com", "70.12.34.56", 2, "static_name", 4),
        ("mail134-12.atl141.mandrillapp.com", "198.2.134.12", 0, "none", 0),
        ("esa.hc1234-56.iphmx.com", "68.232.1.2", 0, "none", 0),
        ("hc1.example.com", "192.0.2.1", 0, "none", 0),
        ("vps-1a2b3c4d.vps.ovh.net", "51.1.2.3", 2, "access_word", 0),
        ("vps12345.example.com", "51.1.2.3", 2, "access_word", 0),
        ("vmi123456.contaboserver.net", "51.1.2.3", 0, "none", 0),
        ("srv01.example.de", "192.0.2.1", 0, "none", 0),
        ("server1.customer.example.de", "192.0.2.1", 1, "access_word", 0),
        ("lists.debian.org", "82.195.75.100", 0, "none", 0),
        ("m42-5.eu.mailgun.net", "192.0.42.5", 0, "none", 0),
        ("wireless.example.com", "192.0.2.1", 2, "access_word", 0),
        ("dyn.example.net", "192.0.2.1", 2, "access_word", 0),
        ("dsl.broadband.example.net", "192.0.2.1", 2, "access_word", 0),
        ("dyn.com", "192.0.2.1", 0, "none", 0),
        ("pool42.com", "192.0.2.1", 0, "none", 0),
        ("dynamics365.example.com", "192.0.2.1", 0, "none", 0),
        ("cablecar7.example.com", "192.0.2.1", 0, "none", 0),
        ("xn--dyn7-5qa.example.com", "192.0.2.1", 5, "access_word", 0),
        ("d\u{fc}dyn7.example.com", "192.0.2.1", 0, "none", 0),
        ("emailing-1-2-3-4.example.com", "1.2.3.4", 4, "embedded_decimal", 4),
        // Not names.
        ("", "192.0.2.1", 0, "none", 0),
        (".", "192.0.2.1", 0, "none", 0),
        ("192.0.2.1", "192.0.2.1", 0, "none", 0),
        ("[192.0.2.1]", "192.0.2.1", 0, "none", 0),
        ("ipv6:2001:db8::1", "2001:db8::1", 0, "none", 0),
        ("co.uk", "192.0.2.1", 0, "none", 0),
        ("localhost", "127.0.0.1", 0, "none", 0),
    ];

    #[test]
    fn naming_schemes() {
        let mut wrong = Vec::new();
        for &(name, addr, score, rule, octets) in CASES {
            let got = looks(name, addr);
            if got != (Looks { score, rule, octets }) {
                wrong.push((name, got, (score, rule, octets)));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_access_word_needs_a_digit() {
        for (word, ..) in WORDS {
            let word = core::str::from_utf8(word).unwrap();
            for name in
                [alloc::format!("{word}.isp.net"), alloc::format!("a-{word}-b.{word}.isp.net")]
            {
                assert!(looks(&name, "192.0.2.1").score <= HARMLESS, "{name}");
            }
        }
    }

    #[test]
    fn every_static_word_vetoes_as_a_token_only() {
        for word in STATIC {
            let word = core::str::from_utf8(word).unwrap();
            for name in [
                "{}.dyn-1-2-3-4.isp.net",
                "dyn-1-2-3-4.{}.isp.net",
                "dyn-1-2-3-4-{}.isp.net",
                "{}1-2-3-4-dyn.isp.net",
            ] {
                let name = name.replace("{}", word);
                assert_eq!(looks(&name, "1.2.3.4").rule, "static_name", "{name}");
            }
            let name = alloc::format!("q{word}q-dyn-1-2-3-4.{word}.net");
            assert_eq!(looks(&name, "1.2.3.4").score, 5, "{name}");
        }
    }

    struct Rng(u64);

    impl Rng {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, n: usize) -> usize {
            (self.next() % n as u64) as usize
        }
    }

    /// Against names written by the schemes the module lists, for any address.
    #[test]
    fn every_written_form_of_any_address_is_found() {
        let seed = 0x9e37_79b9_7f4a_7c15;
        let mut rng = Rng(seed);
        for _ in 0..2_000 {
            let [a, b, c, d] = (rng.next() as u32).to_be_bytes();
            let addr = Addr::v4([a, b, c, d]);
            let s = ['.', '-', '_', 'x'][rng.below(4)];
            for name in [
                alloc::format!("q{a}{s}{b}{s}{c}{s}{d}.isp.net"),
                alloc::format!("q{d}{s}{c}{s}{b}{s}{a}.isp.net"),
                alloc::format!("q{a:03}{s}{b:03}{s}{c:03}{s}{d:03}.isp.net"),
                alloc::format!("q{a:03}{b:03}{c:03}{d:03}.isp.net"),
                alloc::format!("q{d:03}{c:03}{b:03}{a:03}.isp.net"),
                alloc::format!("q{a:02x}{b:02x}{c:02x}{d:02x}.isp.net"),
                alloc::format!("q{d:02X}{c:02X}{b:02X}{a:02X}.isp.net"),
            ] {
                let got = looks_dynamic(name.as_bytes(), addr);
                assert_eq!(
                    (got.score, got.octets),
                    (4, 4),
                    "seed {seed:#x}: {name} {addr} {got:?}"
                );
            }
            let mut octets = [0u8; 16];
            octets.fill_with(|| rng.next() as u8);
            let addr = Addr::v6(octets);
            let g: Vec<u16> = octets.chunks(2).map(|w| u16::from_be_bytes([w[0], w[1]])).collect();
            let at = rng.below(5);
            for name in [
                alloc::format!(
                    "q{:x}-{:x}-{:x}-{:x}.isp.net",
                    g[at],
                    g[at + 1],
                    g[at + 2],
                    g[at + 3]
                ),
                alloc::format!("q{:04x}{:04x}{:04x}{:04x}.isp.net", g[4], g[5], g[6], g[7]),
            ] {
                let got = looks_dynamic(name.as_bytes(), addr);
                assert_eq!(
                    (got.score, got.octets),
                    (4, 8),
                    "seed {seed:#x}: {name} {addr} {got:?}"
                );
            }
        }
    }

    #[test]
    fn any_bytes_are_answered_within_bounds() {
        let seed = 0x2545_f491_4f6c_dd1d;
        let mut rng = Rng(seed);
        let parts: &[&[u8]] = &[
            b".",
            b"..",
            b"-",
            b"_",
            b"x",
            b"0x",
            b"1",
            b"256",
            b"007",
            b"dyn",
            b"dial",
            b"in",
            b"addr",
            b"cable",
            b"4g",
            b"static",
            b"mx",
            b"compute",
            b"amazonaws",
            b"com",
            b"arpa",
            b"xn--",
            b"\0",
            b"\xff",
            b"deadbeef",
        ];
        for round in 0..20_000 {
            let mut name = Vec::new();
            for _ in 0..rng.below(60) {
                match rng.below(4) {
                    0 => name.push(rng.next() as u8),
                    _ => name.extend_from_slice(parts[rng.below(parts.len())]),
                }
            }
            let mut octets = [0u8; 16];
            octets.fill_with(|| rng.next() as u8);
            let addr = if round % 2 == 0 {
                Addr::v6(octets)
            } else {
                Addr::v4([octets[0] & 1, octets[1] & 1, 7, 1])
            };
            let got = looks_dynamic(&name, addr);
            assert!(got.score <= 5 && got.octets <= 16, "seed {seed:#x} round {round}: {got:?}");
            assert!(
                (got.score == 0) == (got.rule == "none"),
                "seed {seed:#x} round {round}: {got:?} {name:?}"
            );
            assert!(name.len() <= NAME || got == NONE, "seed {seed:#x} round {round}: {got:?}");
            let mut upper = name.clone();
            upper.make_ascii_uppercase();
            assert_eq!(looks_dynamic(&upper, addr), got, "seed {seed:#x} round {round}: {name:?}");
        }
    }
}
