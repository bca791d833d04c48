//! What a HELO argument is: an address literal, a bare address, or a name; and where a name's organisation begins.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::str;

use psl::{List, Psl as _};

use crate::base::Addr;

/// The longest name that is looked at (RFC 1035 section 2.3.4).
const NAME: usize = 255;

/// A name in lower case without its final dot, on the stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lower {
    bytes: [u8; NAME],
    len: usize,
}

impl Lower {
    /// From the bytes of a name; what is beyond 255 octets is cut.
    pub(super) fn new(name: &[u8]) -> Self {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let mut lower = Self { bytes: [0; NAME], len: name.len().min(NAME) };
        for (to, from) in lower.bytes.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        lower
    }

    /// The name.
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// An address literal of RFC 5321 section 4.1.3: `[192.0.2.1]` or `[IPv6:2001:db8::1]` (and the common slip of leaving the
/// tag out).
pub(super) fn literal(arg: &[u8]) -> Option<Addr> {
    if !arg.starts_with(b"[") {
        return None;
    }
    address(arg.strip_prefix(b"[")?.strip_suffix(b"]")?)
}

/// An address that is not in brackets: as text, or four numbers with `-` or `x` between them.
pub(super) fn bare_ip(arg: &[u8]) -> Option<Addr> {
    let arg = arg.strip_suffix(b".").unwrap_or(arg);
    // Most names are told from an address by their first letters.
    let is_digit = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b'-' | b':' | b'x' | b'X');
    if !arg.iter().take(5).all(is_digit) {
        return None;
    }
    address(arg).or_else(|| quad(arg, b'-')).or_else(|| quad(arg, b'x')).or_else(|| quad(arg, b'X'))
}

/// Either of the two, unless the argument is a name.
pub(super) fn any_ip(arg: &[u8]) -> Option<Addr> {
    literal(arg).or_else(|| bare_ip(arg))
}

/// An address as text, of either version.
fn address(text: &[u8]) -> Option<Addr> {
    if let Some(v4) = quad(text, b'.') {
        return Some(v4);
    }
    let text = match text.split_at_checked(5) {
        Some((tag, rest)) if tag.eq_ignore_ascii_case(b"ipv6:") => rest,
        _ => text,
    };
    let v6: Ipv6Addr = str::from_utf8(text).ok()?.parse().ok()?;
    Some(Addr::v6(v6.octets()))
}

/// Four decimal numbers below 256, leading zeros allowed.
fn quad(text: &[u8], separator: u8) -> Option<Addr> {
    let mut parts = text.split(|&b| b == separator);
    let mut octets = [0u8; 4];
    for octet in &mut octets {
        *octet = number(parts.next()?)?;
    }
    parts.next().is_none().then(|| Addr::from(core::net::IpAddr::V4(Ipv4Addr::from(octets))))
}

/// A decimal number of one to three digits below 256.
pub(super) fn number(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() || digits.len() > 3 {
        return None;
    }
    digits.iter().try_fold(0u8, |n, &d| {
        let d = d.is_ascii_digit().then(|| d - b'0')?;
        n.checked_mul(10)?.checked_add(d)
    })
}

/// The public suffix and the label before it (`mail.example.co.uk` → `example.co.uk`), by the public suffix list with
/// its private part. `None` where the name is itself a suffix or a single label. The name must be in lower case.
pub(super) fn organisation(name: &[u8]) -> Option<&[u8]> {
    List.domain(name).map(|d| d.trim().as_bytes())
}

/// Whether a single label is a top-level domain.
pub(super) fn is_tld(label: &[u8]) -> bool {
    List.suffix(label).is_some_and(|s| s.is_known() && s.as_bytes() == label)
}

/// Whether a name is one of an organisation under a suffix that the public DNS has. The name must be in lower case.
pub(super) fn is_in_public_dns(name: &[u8]) -> bool {
    List.domain(name).is_some_and(|d| d.suffix().is_known())
}

/// What counts as one identity where HELO names are compared: the organisation of a name, an address or a name without
/// organisation as it is.
pub(super) fn identity<'a>(arg: &[u8], lower: &'a Lower) -> &'a [u8] {
    let name = lower.as_bytes();
    if any_ip(arg).is_some() { name } else { organisation(name).unwrap_or(name) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn literals_and_bare_addresses() {
        for (arg, is_literal, is_bare) in [
            ("[192.0.2.1]", Some("192.0.2.1"), None),
            ("[IPv6:2001:db8::1]", Some("2001:db8::1"), None),
            ("[ipv6:2001:DB8::1]", Some("2001:db8::1"), None),
            ("[2001:db8::1]", Some("2001:db8::1"), None),
            ("[192.0.2.1", None, None),
            ("[192.0.2.256]", None, None),
            ("[mail.example]", None, None),
            ("[]", None, None),
            ("192.0.2.1", None, Some("192.0.2.1")),
            ("192.0.2.1.", None, Some("192.0.2.1")),
            ("192.000.002.001", None, Some("192.0.2.1")),
            ("192-0-2-1", None, Some("192.0.2.1")),
            ("192x0x2x1", None, Some("192.0.2.1")),
            ("192-0.2-1", None, None),
            ("192.0.2", None, None),
            ("192.0.2.1.5", None, None),
            ("2001:db8::1", None, Some("2001:db8::1")),
            ("::ffff:192.0.2.1", None, Some("192.0.2.1")),
            ("1-2-3-4.example.com", None, None),
            ("mail.example.com", None, None),
            ("", None, None),
        ] {
            let text = |a: Option<Addr>| a.map(|a| a.to_string());
            assert_eq!(text(literal(arg.as_bytes())).as_deref(), is_literal, "{arg}");
            assert_eq!(text(bare_ip(arg.as_bytes())).as_deref(), is_bare, "{arg}");
        }
    }

    #[test]
    fn organisations() {
        for (name, org) in [
            ("mail.example.com", Some("example.com")),
            ("a.b.example.co.uk", Some("example.co.uk")),
            ("example.com", Some("example.com")),
            ("com", None),
            ("desktop-1", None),
            ("ec2-192-0-2-1.compute-1.amazonaws.com", None),
            ("1.2.0.192.in-addr.arpa", Some("192.in-addr.arpa")),
            ("pc.office.lan", Some("office.lan")),
            ("..", None),
            (".com", None),
        ] {
            assert_eq!(
                organisation(name.as_bytes()).map(|o| str::from_utf8(o).unwrap()),
                org,
                "{name}"
            );
        }
        for (name, public) in [
            ("mail.example.com", true),
            ("example.co.uk", true),
            ("co.uk", false),
            ("mail.office.local", false),
            ("localhost", false),
            ("", false),
        ] {
            assert_eq!(is_in_public_dns(name.as_bytes()), public, "{name}");
        }
        assert!(is_tld(b"com") && !is_tld(b"mailserver") && !is_tld(b"local") && !is_tld(b""));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut random = 0x2545_f491_4f6c_dd1du64;
        for round in 0..20_000 {
            let mut name = [0u8; 40];
            for b in &mut name {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                *b = *b"..--[]:x019afzA\xc3\x00".get((random % 17) as usize).unwrap();
            }
            let name = &name[..round % 40];
            let lower = Lower::new(name);
            let _ = (any_ip(name), identity(name, &lower), is_tld(lower.as_bytes()));
        }
    }
}
