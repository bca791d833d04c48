//! Values as people write them: spans of time, sizes, networks.

use std::fmt;
use std::net::IpAddr;

use botlike_core::base::{Addr, DAY, HOUR, MICRO, MILLI, MINUTE, Nanos, SECOND};

/// A network: an address and how many of its leading bits count. IPv4 networks count from the mapped form, so that one
/// comparison serves both.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Net {
    addr: Addr,
    bits: u8,
}

impl Net {
    /// From an address (one host) or an address, a slash and a length. Bits of the host part must be zero, since a set
    /// one is a slip of the hand more often than not.
    ///
    /// # Errors
    ///
    /// In words, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (addr, length) = match text.split_once('/') {
            Some((addr, length)) => (addr, Some(length)),
            None => (text, None),
        };
        let ip: IpAddr = addr
            .parse()
            .map_err(|_| format!("{text:?} is neither an address nor a network (CIDR)"))?;
        let (offset, most) = if ip.is_ipv4() { (96, 32) } else { (0, 128) };
        let length = match length {
            None => most,
            Some(length) => match length.parse::<u8>() {
                Ok(n) if n <= most => n,
                _ => {
                    return Err(format!(
                        "{text:?}: the length of the network is a number up to {most}"
                    ));
                }
            },
        };
        let net = Self { addr: ip.into(), bits: offset + length };
        if net.masked(net.addr) != *net.addr.octets() {
            return Err(format!(
                "{text:?} has bits set beyond its length; the network is {}",
                Self { addr: Addr::v6(net.masked(net.addr)), ..net }
            ));
        }
        Ok(net)
    }

    /// Its first address.
    pub const fn addr(&self) -> Addr {
        self.addr
    }

    /// How many leading bits of the 128 (IPv4 in its mapped form) belong to the network.
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether the address lies in it.
    pub fn contains(&self, addr: Addr) -> bool {
        self.masked(addr) == *self.addr.octets()
    }

    fn masked(&self, addr: Addr) -> [u8; 16] {
        let kept = match self.bits {
            0 => 0,
            bits => u128::MAX << (128 - u32::from(bits)),
        };
        (u128::from_be_bytes(*addr.octets()) & kept).to_be_bytes()
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, most) =
            if self.addr.is_v4() { (self.bits - 96, 32) } else { (self.bits, 128) };
        if length == most {
            write!(f, "{}", self.addr)
        } else {
            write!(f, "{}/{length}", self.addr)
        }
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The number before a unit.
fn counted(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A span of time: a whole number and `us`, `ms`, `s`, `m`, `h` or `d`.
pub(super) fn span(text: &str) -> Option<Nanos> {
    counted(
        text,
        &[("us", MICRO), ("ms", MILLI), ("s", SECOND), ("m", MINUTE), ("h", HOUR), ("d", DAY)],
    )
}

/// A size: a whole number and `B`, `KiB`, `MiB`, `GiB`.
pub(super) fn size(text: &str) -> Option<u64> {
    counted(text, &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_what_they_say() {
        for (text, shown) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("192.0.2.1/32", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
            ("::1", "::1"),
        ] {
            assert_eq!(Net::parse(text).map(|n| n.to_string()), Ok(shown.to_owned()));
        }
        for text in
            ["", "192.0.2", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/", "eth0", "2001:db8::/129"]
        {
            assert!(Net::parse(text).is_err(), "{text}");
        }
        let error = Net::parse("192.0.2.77/24").unwrap_err();
        assert!(error.ends_with("the network is 192.0.2.0/24"), "{error}");
    }

    #[test]
    fn membership_does_not_cross_families() {
        let inside = |net: &str, addr: &str| {
            Net::parse(net).unwrap().contains(addr.parse::<IpAddr>().unwrap().into())
        };
        assert!(inside("192.0.2.0/24", "192.0.2.255"));
        assert!(!inside("192.0.2.0/24", "192.0.3.0"));
        assert!(inside("0.0.0.0/0", "255.255.255.255"));
        assert!(!inside("0.0.0.0/0", "2001:db8::1"));
        assert!(inside("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!inside("2001:db8::/32", "2001:db9::1"));
    }

    #[test]
    fn spans_and_sizes_have_units() {
        assert_eq!(span("10m"), Some(10 * MINUTE));
        assert_eq!(span("300 ms"), Some(300 * MILLI));
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1B"), Some(1));
        for text in
            ["", "10", "m", "1.5h", "-1s", "10 minutes", "99999999999999999999s", "9999999999999h"]
        {
            assert_eq!(span(text), None, "{text}");
            assert_eq!(size(text), None, "{text}");
        }
    }
}
