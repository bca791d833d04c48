//! Packets to frames, in every link layer that the readers understand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header,
    SingleVlanHeader, TcpHeader, UdpHeader, VlanId,
};

use crate::packet::{Flags, Packet, Side};

/// A frame as a capture holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds since the epoch.
    pub at: u64,
    /// The link type's number in the tcpdump.org registry.
    pub link: u32,
    /// The interface.
    pub iface: u32,
    /// What was captured.
    pub data: Vec<u8>,
    /// How long it was on the wire.
    pub orig_len: u32,
}

/// What lies below IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Ethernet.
    Ethernet,
    /// Ethernet with one 802.1Q tag.
    Vlan,
    /// Ethernet with an 802.1ad and an 802.1Q tag.
    Qinq,
    /// Linux cooked, version 1.
    Sll,
    /// Linux cooked, version 2.
    Sll2,
    /// IP alone.
    Raw,
    /// BSD loopback.
    Null,
}

/// Builds frames; keeps the IP identification running.
#[derive(Debug)]
pub struct Framer {
    link: Link,
    identification: u16,
}

impl Framer {
    /// Frames of one link layer.
    pub fn new(link: Link) -> Self {
        Self { link, identification: 0x4000 }
    }

    /// The frames of a packet: one, or one of each fragment.
    pub fn frames(&mut self, packet: &Packet, out: &mut Vec<Frame>) {
        self.identification = self.identification.wrapping_add(1);
        let (protocol, datagram) = match packet.conn {
            Some(_) => (IpNumber::TCP, tcp(packet)),
            None => (IpNumber::UDP, udp(packet)),
        };
        let first = out.len();
        let size = packet.fragmented.map_or(usize::MAX, |f| f.size);
        let count = datagram.chunks(size.min(datagram.len().max(1))).count();
        for (number, piece) in datagram.chunks(size.min(datagram.len().max(1))).enumerate() {
            let more = number + 1 < count;
            let offset = if count > 1 { number * size / 8 } else { 0 };
            let (ether_type, ip) = self.ip(packet, protocol, piece, offset as u16, more);
            let mut data = self.below_ip(packet, ether_type);
            // The snap length is meant for bare Ethernet and IPv4: the same payload is captured under other headers.
            let headers = data.len() + ip.len() - piece.len();
            let snap =
                packet.snap.map_or(usize::MAX, |snap| (snap + headers).saturating_sub(14 + 20));
            data.extend_from_slice(&ip);
            let orig_len = data.len() as u32;
            data.truncate(snap);
            let at = packet.at.saturating_add_signed(packet.skew);
            out.push(Frame { at, link: self.number(), iface: packet.point, data, orig_len });
        }
        if packet.fragmented.is_some_and(|f| f.reversed)
            && let Some(pieces) = out.get_mut(first..)
        {
            pieces.reverse();
        }
    }

    fn number(&self) -> u32 {
        match self.link {
            Link::Ethernet | Link::Vlan | Link::Qinq => 1,
            Link::Sll => 113,
            Link::Sll2 => 276,
            Link::Raw => 101,
            Link::Null => 0,
        }
    }

    fn ip(
        &self,
        packet: &Packet,
        protocol: IpNumber,
        piece: &[u8],
        offset: u16,
        more: bool,
    ) -> (EtherType, Vec<u8>) {
        let fragment_offset = IpFragOffset::try_new(offset).unwrap_or_default();
        let fragment = more || offset > 0;
        match (packet.src.ip(), packet.dst.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut header = Ipv4Header {
                    identification: self.identification,
                    dont_fragment: !fragment,
                    more_fragments: more,
                    fragment_offset,
                    time_to_live: packet.ttl,
                    protocol,
                    source: src.octets(),
                    destination: dst.octets(),
                    total_len: u16::try_from(piece.len() + 20).unwrap_or(0),
                    ..Ipv4Header::default()
                };
                header.header_checksum = header.calc_header_checksum();
                (EtherType::IPV4, [header.to_bytes().as_slice(), piece].concat())
            }
            (src, dst) => {
                let header = Ipv6Header {
                    payload_length: u16::try_from(piece.len() + if fragment { 8 } else { 0 })
                        .unwrap_or(0),
                    next_header: if fragment {
                        IpNumber::IPV6_FRAGMENTATION_HEADER
                    } else {
                        protocol
                    },
                    hop_limit: packet.ttl,
                    source: v6(src).octets(),
                    destination: v6(dst).octets(),
                    ..Ipv6Header::default()
                };
                let mut out = header.to_bytes().to_vec();
                if fragment {
                    let identification = u32::from(self.identification);
                    out.extend_from_slice(
                        &Ipv6FragmentHeader::new(protocol, fragment_offset, more, identification)
                            .to_bytes(),
                    );
                }
                out.extend_from_slice(piece);
                (EtherType::IPV6, out)
            }
        }
    }

    fn below_ip(&self, packet: &Packet, ether_type: EtherType) -> Vec<u8> {
        // Locally administered addresses; the side's number is the last octet.
        let mac = |side: Side| [2, 0, 0, 0, 0, if side == Side::Client { 1 } else { 2 }];
        let mut tags: Vec<(EtherType, u16)> = Vec::new();
        match self.link {
            Link::Vlan => tags.push((EtherType::VLAN_TAGGED_FRAME, 100)),
            Link::Qinq => tags.push((EtherType::PROVIDER_BRIDGING, 200)),
            _ => {}
        }
        if self.link == Link::Qinq {
            tags.push((EtherType::VLAN_TAGGED_FRAME, 100));
        }
        if let Some(id) = packet.vlan {
            tags.push((EtherType::VLAN_TAGGED_FRAME, id));
        }
        match self.link {
            Link::Ethernet | Link::Vlan | Link::Qinq => {
                let outermost = tags.first().map_or(ether_type, |t| t.0);
                let header = Ethernet2Header {
                    source: mac(packet.from),
                    destination: mac(packet.from.other()),
                    ether_type: outermost,
                };
                let mut out = header.to_bytes().to_vec();
                for (i, (_, id)) in tags.iter().enumerate() {
                    let tag = SingleVlanHeader {
                        vlan_id: VlanId::try_new(*id).unwrap_or_default(),
                        ether_type: tags.get(i + 1).map_or(ether_type, |t| t.0),
                        ..SingleVlanHeader::default()
                    };
                    out.extend_from_slice(&tag.to_bytes());
                }
                out
            }
            // Packet type 4 (sent by us) of the client, 0 (to us) of the server; ARPHRD_ETHER; an address of 6 bytes.
            Link::Sll => {
                let kind = if packet.from == Side::Client { 4 } else { 0 };
                let mut out = vec![0, kind, 0, 1, 0, 6];
                out.extend_from_slice(&mac(packet.from));
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(&ether_type.0.to_be_bytes());
                out
            }
            Link::Sll2 => {
                let kind = if packet.from == Side::Client { 4 } else { 0 };
                let mut out = ether_type.0.to_be_bytes().to_vec();
                out.extend_from_slice(&[0, 0, 0, 0, 0, 2, 0, 1, kind, 6]);
                out.extend_from_slice(&mac(packet.from));
                out.extend_from_slice(&[0, 0]);
                out
            }
            Link::Raw => Vec::new(),
            Link::Null => {
                let family: u32 = if ether_type == EtherType::IPV4 { 2 } else { 30 };
                family.to_le_bytes().to_vec()
            }
        }
    }
}

/// The IPv6 address that stands for an IPv4 one: unique local for a private one, else documentation.
pub fn map_v6(addr: Ipv4Addr) -> Ipv6Addr {
    let [a, b, c, d] = addr.octets();
    let low = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
    if addr.is_loopback() {
        Ipv6Addr::LOCALHOST
    } else if addr.is_private() {
        Ipv6Addr::new(0xfd00, 4, 0, 0, 0, 0, low[0], low[1])
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 4, 0, 0, 0, low[0], low[1])
    }
}

fn v6(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(v4) => map_v6(v4),
        IpAddr::V6(v6) => v6,
    }
}

fn tcp(packet: &Packet) -> Vec<u8> {
    let has = |flag| packet.flags.contains(flag);
    let mut header =
        TcpHeader::new(packet.src.port(), packet.dst.port(), packet.seq, packet.window);
    header.acknowledgment_number = packet.ack;
    header.fin = has(Flags::FIN);
    header.syn = has(Flags::SYN);
    header.rst = has(Flags::RST);
    header.psh = has(Flags::PSH);
    header.ack = has(Flags::ACK);
    let _ = header.set_options_raw(&packet.options);
    header.checksum = match (packet.src.ip(), packet.dst.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            header.calc_checksum_ipv4_raw(src.octets(), dst.octets(), &packet.payload).unwrap_or(0)
        }
        (src, dst) => header
            .calc_checksum_ipv6_raw(v6(src).octets(), v6(dst).octets(), &packet.payload)
            .unwrap_or(0),
    };
    [header.to_bytes().as_slice(), &packet.payload].concat()
}

fn udp(packet: &Packet) -> Vec<u8> {
    let header = UdpHeader {
        source_port: packet.src.port(),
        destination_port: packet.dst.port(),
        length: (packet.payload.len() + 8) as u16,
        checksum: 0,
    };
    [header.to_bytes().as_slice(), &packet.payload].concat()
}
