//! Link layers: from a frame to the IP packet in it.

use super::{LinkType, Other};

/// Tags of 802.1Q and QinQ that are followed; real networks use two.
const MAX_TAGS: usize = 8;

/// Length of the Linux cooked header v1.
const SLL: usize = 16;
/// Length of the Linux cooked header v2.
const SLL2: usize = 20;

/// Which IP the link layer announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
    /// Not said: the version nibble tells.
    Nibble,
}

/// An IP packet as the link layer carries it, padding included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network<'a> {
    pub(super) version: Version,
    pub(super) ip: &'a [u8],
    /// The outermost VLAN id, 0 when untagged.
    pub(super) vlan: u16,
}

/// Takes the link layer off.
#[inline]
pub(super) fn network(link: LinkType, data: &[u8]) -> Result<Network<'_>, Other> {
    match link {
        LinkType::Ethernet => {
            let Some((&[.., a, b], rest)) = data.split_first_chunk::<14>() else {
                return Err(Other::Malformed);
            };
            ethertype(u16::from_be_bytes([a, b]), rest)
        }
        LinkType::LinuxSll => {
            let Some((&[.., a, b], rest)) = data.split_first_chunk::<SLL>() else {
                return Err(Other::Malformed);
            };
            ethertype(u16::from_be_bytes([a, b]), rest)
        }
        LinkType::LinuxSll2 => {
            let Some((&[a, b, ..], rest)) = data.split_first_chunk::<SLL2>() else {
                return Err(Other::Malformed);
            };
            ethertype(u16::from_be_bytes([a, b]), rest)
        }
        LinkType::Raw => Ok(Network { version: Version::Nibble, ip: data, vlan: 0 }),
        LinkType::Null => null(data),
        LinkType::Other(_) => Err(Other::NotIp),
    }
}

/// Follows VLAN tags from an ethertype to IP.
#[inline]
fn ethertype(mut kind: u16, mut rest: &[u8]) -> Result<Network<'_>, Other> {
    let mut vlan = 0;
    for depth in 0..=MAX_TAGS {
        match kind {
            0x0800 => return Ok(Network { version: Version::V4, ip: rest, vlan }),
            0x86dd => return Ok(Network { version: Version::V6, ip: rest, vlan }),
            0x8100 | 0x88a8 | 0x9100 => {
                let Some((&[t, i, a, b], inner)) = rest.split_first_chunk::<4>() else {
                    return Err(Other::Malformed);
                };
                if depth == 0 {
                    vlan = u16::from_be_bytes([t, i]) & 0x0fff;
                }
                kind = u16::from_be_bytes([a, b]);
                rest = inner;
            }
            _ => return Err(Other::NotIp),
        }
    }
    Err(Other::NotIp)
}

/// BSD loopback. The family is written in the byte order of the host that captured (or in network order), and the systems
/// never agreed on a number for IPv6.
fn null(data: &[u8]) -> Result<Network<'_>, Other> {
    let Some((&family, ip)) = data.split_first_chunk::<4>() else {
        return Err(Other::Malformed);
    };
    let little = u32::from_le_bytes(family);
    let family = if little > 0xffff { u32::from_be_bytes(family) } else { little };
    let version = match family {
        2 => Version::V4,
        // Linux 10, Windows 23, NetBSD and OpenBSD 24, FreeBSD 28, Darwin 30.
        10 | 23 | 24 | 28 | 30 => Version::V6,
        _ => return Err(Other::NotIp),
    };
    Ok(Network { version, ip, vlan: 0 })
}
