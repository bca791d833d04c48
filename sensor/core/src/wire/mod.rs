//! Floor 1: borrowed views of link layers, VLAN tags, IP, TCP and, of UDP, DNS.
//!
//! A frame is either a TCP segment, or a datagram of DNS, or it is something else, or it was cut short: never a panic, never an allocation but
//! for fragments. Checksums are not judged: offload makes them wrong on the host that sends. Lengths are those of the IP
//! header, so that Ethernet padding is left out; where that header says 0 (segmentation offload, RFC 2675) the packet goes
//! to the end of its frame. A length that points past the frame's end counts as cut by the capture.
//!
//! [`parse`] is the pure view of one frame; [`Front`] adds what needs memory: the watched ports, the counters, the
//! fragments that wait for the rest of their datagram, and which interface each flow belongs to.

mod fragment;
mod front;
mod ip;
mod link;
mod parse;
mod points;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

pub use front::Front;
pub use parse::{Fragment, Other, Parsed, parse};
pub use tcp::{TcpOption, TcpOptions};

use bitflags::bitflags;

use crate::base::Endpoint;

/// The link layer of a frame, by the numbers of the tcpdump.org registry that the readers understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// BSD loopback (0, and 108 in network order): a four-byte address family in either byte order.
    Null,
    /// Ethernet (1), with any number of VLAN tags up to a small cap.
    Ethernet,
    /// Raw IP (12, 14, 101, 228, 229): the version nibble tells which.
    Raw,
    /// Linux cooked capture v1 (113).
    LinuxSll,
    /// Linux cooked capture v2 (276).
    LinuxSll2,
    /// Any other: its frames are counted and passed over.
    Other(u32),
}

impl LinkType {
    /// From the number in a capture's header.
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            other => Self::Other(other),
        }
    }
}

bitflags! {
    /// The flags of a TCP header (RFC 9293 section 3.1).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct TcpFlags: u8 {
        /// No more data from the sender.
        const FIN = 0x01;
        /// Synchronise sequence numbers.
        const SYN = 0x02;
        /// Reset the connection.
        const RST = 0x04;
        /// Push.
        const PSH = 0x08;
        /// The acknowledgement field is significant.
        const ACK = 0x10;
        /// Urgent pointer is significant.
        const URG = 0x20;
    }
}

/// A TCP segment as it lay in one frame (or in a datagram put together from fragments).
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Who sent it.
    pub src: Endpoint,
    /// To whom.
    pub dst: Endpoint,
    /// Sequence number of the first byte (of the SYN where there is one).
    pub seq: u32,
    /// Acknowledgement number; significant with [`TcpFlags::ACK`].
    pub ack: u32,
    /// Flags.
    pub flags: TcpFlags,
    /// Window as in the header, not scaled.
    pub window: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The TCP options as they lay in the header.
    pub options: &'a [u8],
    /// The payload bytes that were captured.
    pub payload: &'a [u8],
    /// The payload's length on the wire, more than `payload.len()` where the snap length cut it.
    pub len: u32,
    /// The outermost VLAN id, 0 when untagged.
    pub vlan: u16,
    /// The interface, as the source numbers them.
    pub iface: u32,
}

/// Port of DNS.
pub const DNS_PORT: u16 = 53;

/// What may be DNS: a UDP datagram, or a TCP segment with payload, from or to its port.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub src: Endpoint,
    /// To whom.
    pub dst: Endpoint,
    /// The payload bytes that were captured.
    pub payload: &'a [u8],
    /// The payload's length on the wire, more than `payload.len()` where the snap length cut it.
    pub len: u32,
    /// It is a segment of TCP: messages have their lengths before them, and may be cut anywhere.
    pub over_tcp: bool,
    /// The outermost VLAN id, 0 when untagged.
    pub vlan: u16,
    /// The interface, as the source numbers them.
    pub iface: u32,
}

/// What a [`Front`] lets through.
#[derive(Clone, Copy, Debug)]
pub enum Packet<'a> {
    /// A TCP segment on a watched port.
    Segment(Segment<'a>),
    /// DNS, where it is of interest.
    Dns(Datagram<'a>),
}

impl<'a> From<Segment<'a>> for Datagram<'a> {
    fn from(segment: Segment<'a>) -> Self {
        let Segment { src, dst, payload, len, vlan, iface, .. } = segment;
        Self { src, dst, payload, len, over_tcp: true, vlan, iface }
    }
}
