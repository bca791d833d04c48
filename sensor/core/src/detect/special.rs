//! Addresses of special purpose.
//!
//! The blocks of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190) and the multicast
//! ranges (RFC 5771, RFC 4291), by name. It says what a block is for, not whether a packet may come from there.

use crate::base::Addr;

/// A block: its first address, the length of its prefix in bits, its name.
type Block<const N: usize> = ([u8; N], u32, &'static str);

/// Longer prefixes come before the shorter ones that hold them.
const V4: &[Block<4>] = &[
    ([0, 0, 0, 0], 32, "0.0.0.0/32 (unspecified, RFC 1122)"),
    ([0, 0, 0, 0], 8, "0.0.0.0/8 (this network, RFC 791)"),
    ([10, 0, 0, 0], 8, "10.0.0.0/8 (RFC 1918)"),
    ([100, 64, 0, 0], 10, "100.64.0.0/10 (shared, RFC 6598)"),
    ([127, 0, 0, 0], 8, "127.0.0.0/8 (loopback, RFC 1122)"),
    ([169, 254, 0, 0], 16, "169.254.0.0/16 (link-local, RFC 3927)"),
    ([172, 16, 0, 0], 12, "172.16.0.0/12 (RFC 1918)"),
    ([192, 0, 0, 0], 29, "192.0.0.0/29 (IPv4 service continuity, RFC 7335)"),
    ([192, 0, 0, 8], 32, "192.0.0.8/32 (dummy address, RFC 7600)"),
    ([192, 0, 0, 9], 32, "192.0.0.9/32 (port control anycast, RFC 7723)"),
    ([192, 0, 0, 10], 32, "192.0.0.10/32 (TURN anycast, RFC 8155)"),
    ([192, 0, 0, 170], 31, "192.0.0.170/31 (NAT64 discovery, RFC 8880)"),
    ([192, 0, 0, 0], 24, "192.0.0.0/24 (protocol assignments, RFC 6890)"),
    ([192, 0, 2, 0], 24, "192.0.2.0/24 (documentation, RFC 5737)"),
    ([192, 31, 196, 0], 24, "192.31.196.0/24 (AS112, RFC 7535)"),
    ([192, 52, 193, 0], 24, "192.52.193.0/24 (AMT, RFC 7450)"),
    ([192, 88, 99, 0], 24, "192.88.99.0/24 (6to4 relay anycast, RFC 7526)"),
    ([192, 168, 0, 0], 16, "192.168.0.0/16 (RFC 1918)"),
    ([192, 175, 48, 0], 24, "192.175.48.0/24 (AS112, RFC 7534)"),
    ([198, 18, 0, 0], 15, "198.18.0.0/15 (benchmarking, RFC 2544)"),
    ([198, 51, 100, 0], 24, "198.51.100.0/24 (documentation, RFC 5737)"),
    ([203, 0, 113, 0], 24, "203.0.113.0/24 (documentation, RFC 5737)"),
    ([224, 0, 0, 0], 4, "224.0.0.0/4 (multicast, RFC 5771)"),
    ([255, 255, 255, 255], 32, "255.255.255.255/32 (broadcast, RFC 919)"),
    ([240, 0, 0, 0], 4, "240.0.0.0/4 (reserved, RFC 1112)"),
];

/// As [`V4`]. The mapped block `::ffff:0:0/96` is not here: an [`Addr`] in it is the IPv4 address.
const V6: &[Block<16>] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0]), 128, "::/128 (unspecified, RFC 4291)"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1]), 128, "::1/128 (loopback, RFC 4291)"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0]), 96, "::/96 (IPv4-compatible, RFC 4291)"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0]), 96, "64:ff9b::/96 (IPv4/IPv6 translation, RFC 6052)"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0]), 48, "64:ff9b:1::/48 (local translation, RFC 8215)"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0]), 64, "100::/64 (discard-only, RFC 6666)"),
    (v6([0x100, 0, 0, 1, 0, 0, 0, 0]), 64, "100:0:0:1::/64 (dummy prefix, RFC 9780)"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 32, "2001::/32 (Teredo, RFC 4380)"),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 1]), 128, "2001:1::1/128 (port control anycast, RFC 7723)"),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 2]), 128, "2001:1::2/128 (TURN anycast, RFC 8155)"),
    (v6([0x2001, 1, 0, 0, 0, 0, 0, 3]), 128, "2001:1::3/128 (DNS-SD anycast, RFC 9665)"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0]), 48, "2001:2::/48 (benchmarking, RFC 5180)"),
    (v6([0x2001, 3, 0, 0, 0, 0, 0, 0]), 32, "2001:3::/32 (AMT, RFC 7450)"),
    (v6([0x2001, 4, 0x112, 0, 0, 0, 0, 0]), 48, "2001:4:112::/48 (AS112, RFC 7535)"),
    (v6([0x2001, 0x10, 0, 0, 0, 0, 0, 0]), 28, "2001:10::/28 (ORCHID, deprecated, RFC 4843)"),
    (v6([0x2001, 0x20, 0, 0, 0, 0, 0, 0]), 28, "2001:20::/28 (ORCHIDv2, RFC 7343)"),
    (
        v6([0x2001, 0x30, 0, 0, 0, 0, 0, 0]),
        28,
        "2001:30::/28 (drone remote identification, RFC 9374)",
    ),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0]), 23, "2001::/23 (protocol assignments, RFC 2928)"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]), 32, "2001:db8::/32 (documentation, RFC 3849)"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0]), 16, "2002::/16 (6to4, RFC 3056)"),
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0]), 48, "2620:4f:8000::/48 (AS112, RFC 7534)"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0]), 20, "3fff::/20 (documentation, RFC 9637)"),
    (v6([0x5f00, 0, 0, 0, 0, 0, 0, 0]), 16, "5f00::/16 (segment routing, RFC 9602)"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0]), 7, "fc00::/7 (unique local, RFC 4193)"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0]), 10, "fe80::/10 (link-local, RFC 4291)"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0]), 10, "fec0::/10 (site-local, deprecated, RFC 3879)"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0]), 8, "ff00::/8 (multicast, RFC 4291)"),
];

const fn v6(groups: [u16; 8]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h] = groups;
    core::net::Ipv6Addr::new(a, b, c, d, e, f, g, h).octets()
}

/// The special-purpose block that `addr` lies in, by its name, e.g. `10.0.0.0/8 (RFC 1918)`. The most specific block.
pub(super) fn special_block(addr: Addr) -> Option<&'static str> {
    match addr.as_v4() {
        Some(octets) => {
            let bits = u32::from_be_bytes(octets);
            let inside =
                |&&(base, len, _): &&Block<4>| (bits ^ u32::from_be_bytes(base)) >> (32 - len) == 0;
            V4.iter().find(inside).map(|&(_, _, name)| name)
        }
        None => {
            let bits = u128::from_be_bytes(*addr.octets());
            let inside = |&&(base, len, _): &&Block<16>| {
                (bits ^ u128::from_be_bytes(base)) >> (128 - len) == 0
            };
            V6.iter().find(inside).map(|&(_, _, name)| name)
        }
    }
}

/// Whether `addr` is of the host itself.
pub fn is_loopback(addr: Addr) -> bool {
    addr.ip().is_loopback()
}

/// Whether `addr` counts as public: not unspecified, RFC 1918, RFC 6598, loopback, link-local, unique local or
/// multicast (nor IPv4 broadcast). Documentation and benchmarking ranges count as public: captures that were
/// anonymised into them would lose every finding otherwise.
pub fn is_public(addr: Addr) -> bool {
    match addr.as_v4() {
        Some([0 | 10 | 127 | 224..=239, ..]) => false,
        Some([100, b, ..]) => b & 0xc0 != 64,
        Some([169, b, ..]) => b != 254,
        Some([172, b, ..]) => b & 0xf0 != 16,
        Some([192, b, ..]) => b != 168,
        Some(other) => other != [255; 4],
        None => {
            let [a, b, ..] = *addr.octets();
            let bits = u128::from_be_bytes(*addr.octets());
            let local = a & 0xfe == 0xfc || (a == 0xfe && b & 0x80 == 0x80);
            bits > 1 && !local && a != 0xff
        }
    }
}

/// Whether two addresses are of one family and share their first 24 bits (IPv4) or 48 bits (IPv6).
pub(super) fn same_neighbourhood(a: Addr, b: Addr) -> bool {
    match (a.as_v4(), b.as_v4()) {
        (Some([a, b, c, _]), Some([d, e, f, _])) => [a, b, c] == [d, e, f],
        (None, None) => a.octets().first_chunk::<6>() == b.octets().first_chunk::<6>(),
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use core::net::IpAddr;

    use super::*;

    fn addr(text: &str) -> Addr {
        Addr::from(text.parse::<IpAddr>().unwrap())
    }

    /// Address, start of the block's name ("" for none), whether it is public.
    const CASES: &[(&str, &str, bool)] = &[
        ("0.0.0.0", "0.0.0.0/32", false),
        ("0.1.2.3", "0.0.0.0/8", false),
        ("1.0.0.0", "", true),
        ("9.255.255.255", "", true),
        ("10.0.0.0", "10.0.0.0/8 (RFC 1918)", false),
        ("10.255.255.255", "10.0.0.0/8", false),
        ("11.0.0.0", "", true),
        ("100.63.255.255", "", true),
        ("100.64.0.0", "100.64.0.0/10", false),
        ("100.127.255.255", "100.64.0.0/10", false),
        ("100.128.0.0", "", true),
        ("126.255.255.255", "", true),
        ("127.0.0.1", "127.0.0.0/8", false),
        ("128.0.0.0", "", true),
        ("169.253.255.255", "", true),
        ("169.254.0.1", "169.254.0.0/16", false),
        ("169.255.0.0", "", true),
        ("172.15.255.255", "", true),
        ("172.16.0.0", "172.16.0.0/12", false),
        ("172.31.255.255", "172.16.0.0/12", false),
        ("172.32.0.0", "", true),
        ("192.0.0.1", "192.0.0.0/29", true),
        ("192.0.0.11", "192.0.0.0/24", true),
        ("192.0.0.171", "192.0.0.170/31", true),
        ("192.0.1.0", "", true),
        ("192.0.2.255", "192.0.2.0/24", true),
        ("192.88.99.1", "192.88.99.0/24", true),
        ("192.167.255.255", "", true),
        ("192.168.0.0", "192.168.0.0/16", false),
        ("192.169.0.0", "", true),
        ("198.17.255.255", "", true),
        ("198.18.0.0", "198.18.0.0/15", true),
        ("198.19.255.255", "198.18.0.0/15", true),
        ("198.20.0.0", "", true),
        ("198.51.100.7", "198.51.100.0/24", true),
        ("203.0.113.7", "203.0.113.0/24", true),
        ("223.255.255.255", "", true),
        ("224.0.0.1", "224.0.0.0/4", false),
        ("239.255.255.255", "224.0.0.0/4", false),
        ("240.0.0.1", "240.0.0.0/4", true),
        ("255.255.255.254", "240.0.0.0/4", true),
        ("255.255.255.255", "255.255.255.255/32", false),
        ("::", "::/128", false),
        ("::1", "::1/128", false),
        ("::2", "::/96", true),
        ("::ffff:10.1.2.3", "10.0.0.0/8", false),
        ("64:ff9b::1.2.3.4", "64:ff9b::/96", true),
        ("64:ff9b:0:0:0:1::", "", true),
        ("64:ff9b:1:2::3", "64:ff9b:1::/48", true),
        ("100::1", "100::/64", true),
        ("100:0:0:2::1", "", true),
        ("2001::1", "2001::/32", true),
        ("2001:1::2", "2001:1::2/128", true),
        ("2001:2::1", "2001:2::/48", true),
        ("2001:2:1::1", "2001::/23", true),
        ("2001:1ff::", "2001::/23", true),
        ("2001:200::", "", true),
        ("2001:db7:ffff::", "", true),
        ("2001:db8::1", "2001:db8::/32", true),
        ("2001:db9::", "", true),
        ("2002:102:304::1", "2002::/16", true),
        ("2a00:1450::1", "", true),
        ("3ffe:ffff::", "", true),
        ("3fff:fff::1", "3fff::/20", true),
        ("3fff:1000::", "", true),
        ("fbff::", "", true),
        ("fc00::1", "fc00::/7", false),
        ("fdff::1", "fc00::/7", false),
        ("fe00::", "", true),
        ("fe7f::", "", true),
        ("fe80::1", "fe80::/10", false),
        ("febf::1", "fe80::/10", false),
        ("fec0::1", "fec0::/10", false),
        ("ff02::1", "ff00::/8", false),
    ];

    #[test]
    fn blocks_and_publicity_at_their_edges() {
        for &(text, block, public) in CASES {
            let got = special_block(addr(text));
            assert_eq!(got.is_some(), !block.is_empty(), "{text}: {got:?}");
            assert!(got.unwrap_or("").starts_with(block), "{text}: {got:?}");
            assert_eq!(is_public(addr(text)), public, "{text}");
        }
    }

    #[test]
    fn every_block_is_reached_by_its_first_address_and_carries_its_own_prefix() {
        for &(base, len, name) in V4 {
            let at = Addr::v4(base);
            let written = alloc::format!("{at}/{len} ");
            assert!(name.starts_with(&written), "{name}");
            assert!(V4.iter().any(|&(.., n)| special_block(at) == Some(n)), "{name}");
            assert_eq!(
                u32::from_be_bytes(base).checked_shl(len).unwrap_or(0),
                0,
                "{name}: bits below the prefix"
            );
        }
        for &(base, len, name) in V6 {
            let written = alloc::format!("{}/{len} ", Addr::v6(base));
            assert!(name.starts_with(&written), "{name}");
            assert_eq!(
                u128::from_be_bytes(base).checked_shl(len).unwrap_or(0),
                0,
                "{name}: bits below the prefix"
            );
        }
    }

    #[test]
    fn a_longer_prefix_comes_before_the_one_that_holds_it() {
        for (i, &(base, len, name)) in V4.iter().enumerate() {
            for &(other, wider, outer) in V4.iter().take(i) {
                let apart =
                    (u32::from_be_bytes(base) ^ u32::from_be_bytes(other)) >> (32 - wider) != 0;
                assert!(apart || wider > len, "{name} is hidden by {outer}");
            }
        }
        for (i, &(base, len, name)) in V6.iter().enumerate() {
            for &(other, wider, outer) in V6.iter().take(i) {
                let apart =
                    (u128::from_be_bytes(base) ^ u128::from_be_bytes(other)) >> (128 - wider) != 0;
                assert!(apart || wider > len, "{name} is hidden by {outer}");
            }
        }
    }

    #[test]
    fn neighbours() {
        for (a, b, near) in [
            ("192.0.2.1", "192.0.2.254", true),
            ("192.0.2.1", "192.0.3.1", false),
            ("192.0.2.1", "::ffff:192.0.2.9", true),
            ("192.0.2.1", "::192.0.2.1", false),
            ("2001:db8:1:2::1", "2001:db8:1:ffff::1", true),
            ("2001:db8:1::1", "2001:db8:2::1", false),
        ] {
            assert_eq!(same_neighbourhood(addr(a), addr(b)), near, "{a} {b}");
        }
    }
}
