//! One frame as a pure function of its bytes.

use super::ip::{self, Body, Carried, Header, Part};
use super::{Datagram, LinkType, Segment, link, tcp, udp};
use crate::base::Addr;

/// What a frame is.
#[derive(Clone, Copy, Debug)]
pub enum Parsed<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A UDP datagram from or to the port of DNS.
    Datagram(Datagram<'a>),
    /// A part of a datagram that carries TCP or UDP as far as its header tells.
    Fragment(Fragment<'a>),
    /// Something else.
    Other(Other),
}

/// Why a frame is of no interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// IP, but neither TCP nor DNS over UDP.
    NotTcp,
    /// TCP between ports that are not watched.
    OtherPort,
    /// Headers cut off, or headers that make no sense.
    Malformed,
}

/// A part of an IP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    /// Sender.
    pub src: Addr,
    /// Receiver.
    pub dst: Addr,
    /// Whether it is IPv6.
    pub v6: bool,
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// The protocol, or the header number that the datagram's fragmentable part begins with.
    pub next: u8,
    /// Where in the datagram it lies, in bytes.
    pub offset: u32,
    /// Whether more follows.
    pub more: bool,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The outermost VLAN id, 0 when untagged.
    pub vlan: u16,
    /// The interface, as the source numbers them.
    pub iface: u32,
    /// The bytes that were captured.
    pub payload: &'a [u8],
    /// Their length on the wire.
    pub len: u32,
}

/// Reads a frame. `orig_len` is its length on the wire; a value below `data.len()` is taken for that.
pub fn parse(link: LinkType, data: &[u8], orig_len: u32, iface: u32) -> Parsed<'_> {
    decode(link, data, orig_len, iface, true, |_, _| true)
}

/// [`parse`], but a segment between ports that are not `watched` is [`Other::OtherPort`], and without `dns` UDP is
/// [`Other::NotTcp`].
#[inline]
pub(super) fn decode(
    link: LinkType,
    data: &[u8],
    orig_len: u32,
    iface: u32,
    dns: bool,
    watched: impl Fn(u16, u16) -> bool,
) -> Parsed<'_> {
    let network = match link::network(link, data) {
        Ok(network) => network,
        Err(other) => return Parsed::Other(other),
    };
    let missing = (orig_len as usize).saturating_sub(data.len());
    let (header, carried, body) =
        match ip::packet(network.version, network.ip, network.ip.len().saturating_add(missing)) {
            Ok(packet) => packet,
            Err(other) => return Parsed::Other(other),
        };
    match carried {
        Carried::Tcp => match tcp::segment(header, network.vlan, iface, body, watched) {
            Ok(segment) => Parsed::Segment(segment),
            Err(other) => Parsed::Other(other),
        },
        Carried::Udp if !dns => Parsed::Other(Other::NotTcp),
        Carried::Udp => match udp::datagram(header, network.vlan, iface, body) {
            Ok(datagram) => Parsed::Datagram(datagram),
            Err(other) => Parsed::Other(other),
        },
        Carried::Part(part) if part.next == ip::UDP && !dns => Parsed::Other(Other::NotTcp),
        Carried::Part(part) => Parsed::Fragment(fragment(header, part, network.vlan, iface, body)),
    }
}

fn fragment<'a>(header: Header, part: Part, vlan: u16, iface: u32, body: Body<'a>) -> Fragment<'a> {
    Fragment {
        src: header.src,
        dst: header.dst,
        v6: part.v6,
        id: part.id,
        next: part.next,
        offset: part.offset,
        more: part.more,
        ttl: header.ttl,
        vlan,
        iface,
        payload: body.bytes,
        len: u32::try_from(body.len).unwrap_or(u32::MAX),
    }
}
