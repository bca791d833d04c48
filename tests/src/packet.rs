//! A TCP packet as a case means it, before it becomes a frame.

use std::net::SocketAddr;

use crate::dns;

pub use botlike_core::base::Side;
pub use botlike_core::wire::TcpFlags as Flags;

/// How a packet's IP datagram is cut into fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragmented {
    /// Payload bytes of each fragment, a multiple of 8.
    pub size: usize,
    /// The last fragment comes first.
    pub reversed: bool,
}

/// The connection of segments that belong to none: DNS over TCP.
pub const LOOSE: u32 = u32::MAX;

/// One packet on the wire.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Where it stands in time, in nanoseconds since the epoch; packets are played in this order.
    pub at: u64,
    /// What is added to `at` for the stamp that the capture shows (wrong clocks).
    pub skew: i64,
    /// The connection, counted over the script; `None` for a datagram that is no TCP.
    pub conn: Option<u32>,
    /// Who sent it.
    pub from: Side,
    /// Its address.
    pub src: SocketAddr,
    /// To whom.
    pub dst: SocketAddr,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Flags.
    pub flags: Flags,
    /// Window.
    pub window: u16,
    /// TTL or hop limit.
    pub ttl: u8,
    /// TCP options, padded to a multiple of four bytes.
    pub options: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
    /// Cut into fragments.
    pub fragmented: Option<Fragmented>,
    /// Only so many bytes of the frame were captured.
    pub snap: Option<usize>,
    /// VLAN id.
    pub vlan: Option<u16>,
    /// The DNS message that is its payload.
    pub dns: Option<dns::Message>,
    /// The interface that it was captured at.
    pub point: u32,
    /// Other interfaces that show it, too, some with other ends (source and destination).
    pub also: Vec<(u32, Option<[SocketAddr; 2]>)>,
    /// Part of a form that variants must leave as it is (a keep-alive, a probe, an overlap).
    pub fixed: bool,
}

impl Packet {
    /// A TCP packet of a client without anything that is special about it.
    pub fn between(src: SocketAddr, dst: SocketAddr) -> Self {
        Self {
            at: 0,
            skew: 0,
            conn: Some(0),
            from: Side::Client,
            src,
            dst,
            seq: 0,
            ack: 0,
            flags: Flags::default(),
            window: 64_000,
            ttl: 64,
            options: Vec::new(),
            payload: Vec::new(),
            fragmented: None,
            snap: None,
            vlan: None,
            dns: None,
            point: 0,
            also: Vec::new(),
            fixed: false,
        }
    }

    /// The sequence space that it takes.
    pub fn span(&self) -> u32 {
        let flags =
            u32::from(self.flags.contains(Flags::SYN)) + u32::from(self.flags.contains(Flags::FIN));
        self.payload.len() as u32 + flags
    }

    /// The sequence number after it.
    pub fn end(&self) -> u32 {
        self.seq.wrapping_add(self.span())
    }

    /// Whether it carries payload and nothing that opens, closes or must stay as it is.
    pub fn is_plain_data(&self) -> bool {
        !self.payload.is_empty() && !self.fixed && !self.flags.intersects(Flags::SYN | Flags::RST)
    }
}
