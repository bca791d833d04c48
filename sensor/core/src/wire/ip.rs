//! IPv4 and IPv6: from a packet to the TCP segment, the UDP datagram or the fragment in it.

use etherparse::{IpAuthHeaderSlice, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice};

use super::Other;
use super::link::Version;
use crate::base::Addr;

/// Extension headers of one packet that are followed. Linux accepts more, nobody sends more.
const MAX_EXTENSIONS: usize = 16;

pub(super) const HOP_BY_HOP: u8 = 0;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTH: u8 = 51;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;

/// Bytes of which some may not have been captured: `bytes.len() <= len`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    pub(super) bytes: &'a [u8],
    /// Length on the wire.
    pub(super) len: usize,
}

impl<'a> Body<'a> {
    /// The first `len` of `bytes`; what is missing of them was not captured.
    fn new(bytes: &'a [u8], len: usize) -> Self {
        Self { bytes: bytes.get(..len).unwrap_or(bytes), len }
    }

    /// Without its first `count` bytes, all of which were captured.
    fn skip(self, count: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(count..)?, len: self.len.checked_sub(count)? })
    }
}

/// The header fields that matter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) src: Addr,
    pub(super) dst: Addr,
    pub(super) ttl: u8,
}

/// A part of a datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) v6: bool,
    pub(super) id: u32,
    /// What the whole datagram begins with: a protocol, or an IPv6 extension header.
    pub(super) next: u8,
    /// In bytes.
    pub(super) offset: u32,
    pub(super) more: bool,
}

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub(super) enum Carried {
    Tcp,
    Udp,
    Part(Part),
}

/// Reads an IP packet of `wire` bytes on the wire, padding behind it included.
#[inline]
pub(super) fn packet(
    version: Version,
    ip: &[u8],
    wire: usize,
) -> Result<(Header, Carried, Body<'_>), Other> {
    let nibble = match ip.first() {
        Some(first) => first >> 4,
        None => return Err(Other::Malformed),
    };
    match (version, nibble) {
        (Version::V4 | Version::Nibble, 4) => v4(ip, wire),
        (Version::V6 | Version::Nibble, 6) => v6(ip, wire),
        (Version::Nibble, _) => Err(Other::NotIp),
        _ => Err(Other::Malformed),
    }
}

/// IPv4 (RFC 791 section 3.1).
#[inline]
fn v4(ip: &[u8], wire: usize) -> Result<(Header, Carried, Body<'_>), Other> {
    let Some((h, rest)) = ip.split_first_chunk::<20>() else {
        return Err(Other::Malformed);
    };
    let header_len = usize::from(h[0] & 0x0f) * 4;
    let total = match u16::from_be_bytes([h[2], h[3]]) {
        0 => wire,
        total => usize::from(total),
    };
    if header_len < 20 || total < header_len {
        return Err(Other::Malformed);
    }
    if h[9] != TCP && h[9] != UDP && h[9] != AUTH {
        return Err(Other::NotTcp);
    }
    let Some(rest) = rest.get(header_len - 20..) else {
        return Err(Other::Malformed);
    };
    let header = Header {
        src: Addr::v4([h[12], h[13], h[14], h[15]]),
        dst: Addr::v4([h[16], h[17], h[18], h[19]]),
        ttl: h[8],
    };
    let body = Body::new(rest, total - header_len);
    let field = u16::from_be_bytes([h[6], h[7]]);
    if field & 0x3fff != 0 {
        let part = Part {
            v6: false,
            id: u32::from(u16::from_be_bytes([h[4], h[5]])),
            next: h[9],
            offset: u32::from(field & 0x1fff) * 8,
            more: field & 0x2000 != 0,
        };
        return Ok((header, Carried::Part(part), body));
    }
    if h[9] == TCP {
        return Ok((header, Carried::Tcp, body));
    }
    if h[9] == UDP {
        return Ok((header, Carried::Udp, body));
    }
    let (carried, body) = extensions(false, h[9], body)?;
    Ok((header, carried, body))
}

/// IPv6 (RFC 8200 section 3).
#[inline]
fn v6(ip: &[u8], wire: usize) -> Result<(Header, Carried, Body<'_>), Other> {
    let Some((h, rest)) = ip.split_first_chunk::<40>() else {
        return Err(Other::Malformed);
    };
    let len = match u16::from_be_bytes([h[4], h[5]]) {
        0 => wire.saturating_sub(40),
        len => usize::from(len),
    };
    let address = |at: usize| {
        let octets = h.get(at..).and_then(|tail| tail.first_chunk::<16>());
        Addr::v6(octets.copied().unwrap_or_default())
    };
    let header = Header { src: address(8), dst: address(24), ttl: h[7] };
    let body = Body::new(rest, len);
    if h[6] == TCP {
        return Ok((header, Carried::Tcp, body));
    }
    let (carried, body) = extensions(true, h[6], body)?;
    Ok((header, carried, body))
}

/// Follows the chain of extension headers from the header number `next` on; of IPv4, the authentication header only.
///
/// The order of RFC 8200 section 4.1 is not asked for, but that hop-by-hop options come first. A fragment header of a
/// datagram in one piece is passed over (RFC 6946).
pub(super) fn extensions(
    v6: bool,
    mut next: u8,
    mut body: Body<'_>,
) -> Result<(Carried, Body<'_>), Other> {
    for depth in 0..=MAX_EXTENSIONS {
        let (after, length) = match next {
            TCP => return Ok((Carried::Tcp, body)),
            UDP => return Ok((Carried::Udp, body)),
            AUTH => {
                let h = IpAuthHeaderSlice::from_slice(body.bytes).map_err(|_| Other::Malformed)?;
                (h.next_header().0, h.slice().len())
            }
            FRAGMENT if v6 => {
                let h = Ipv6FragmentHeaderSlice::from_slice(body.bytes)
                    .map_err(|_| Other::Malformed)?;
                if h.is_fragmenting_payload() {
                    let part = Part {
                        v6,
                        id: h.identification(),
                        next: h.next_header().0,
                        offset: u32::from(h.fragment_offset().value()) * 8,
                        more: h.more_fragments(),
                    };
                    if !may_lead_on(part.next) {
                        return Err(Other::NotTcp);
                    }
                    let body = body.skip(h.slice().len()).ok_or(Other::Malformed)?;
                    return Ok((Carried::Part(part), body));
                }
                (h.next_header().0, h.slice().len())
            }
            HOP_BY_HOP if depth > 0 => return Err(Other::Malformed),
            HOP_BY_HOP | ROUTING | DESTINATION | MOBILITY if v6 => {
                let h =
                    Ipv6RawExtHeaderSlice::from_slice(body.bytes).map_err(|_| Other::Malformed)?;
                (h.next_header().0, h.slice().len())
            }
            _ => return Err(Other::NotTcp),
        };
        body = body.skip(length).ok_or(Other::Malformed)?;
        next = after;
    }
    Err(Other::Malformed)
}

/// Whether a datagram that begins with this header number can carry TCP or UDP.
fn may_lead_on(next: u8) -> bool {
    matches!(next, TCP | UDP | AUTH | ROUTING | DESTINATION | MOBILITY)
}
