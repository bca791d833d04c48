//! The first stage: frames in, segments on watched ports and DNS out.

use alloc::vec::Vec;

use super::fragment::Fragments;
use super::ip::{self, Body, Carried};
use super::parse::{Other, Parsed, decode};
use super::points::Points;
use super::{DNS_PORT, LinkType, Packet, tcp, udp};
use crate::base::{Counters, Limits, Ports, Stamp};

/// Takes frames and gives the segments on watched ports, and DNS where that is of interest: decapsulation, port filter,
/// datagrams put together, each packet once though several interfaces show it.
#[derive(Debug)]
pub struct Front {
    ports: Ports,
    /// Those ports, and that of DNS where it is of interest.
    wanted: Ports,
    dns: bool,
    fragments: Fragments,
    /// Apart, so that a flood of large datagrams does not push out the parts of segments.
    udp_fragments: Fragments,
    /// The datagram that was put together last.
    joined: Vec<u8>,
    points: Points,
    counters: Counters,
}

impl Front {
    /// A front that watches these server ports.
    pub fn new(ports: &[u16], limits: &Limits) -> Self {
        Self {
            ports: Ports::new(ports),
            wanted: Ports::new(ports),
            dns: false,
            fragments: Fragments::new(limits),
            udp_fragments: Fragments::new(limits),
            joined: Vec::new(),
            points: Points::new(limits, 0),
            counters: Counters::default(),
        }
    }

    /// Lets DNS through, too. A port that is watched stays one of SMTP.
    pub fn with_dns(self, ports: &[u16]) -> Self {
        let wanted: Vec<u16> = ports.iter().copied().chain([DNS_PORT]).collect();
        Self { wanted: Ports::new(&wanted), dns: true, ..self }
    }

    /// Hashes with this key what it remembers of flows.
    pub fn seeded(self, limits: &Limits, seed: u64) -> Self {
        Self { points: Points::new(limits, seed), ..self }
    }

    /// Lets what several interfaces show through as often as they show it. Of captures in several files nobody knows
    /// whether they are copies of each other or, dealt out packet by packet, the parts of one.
    pub fn with_copies(mut self) -> Self {
        self.points.tell_nothing_apart();
        self
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes the next frame, of `orig_len` bytes on the wire. `None`: of no interest, and counted.
    ///
    /// What came in fragments is given with the frame that completed it.
    #[inline]
    pub fn frame<'a>(
        &'a mut self,
        at: Stamp,
        link: LinkType,
        iface: u32,
        data: &'a [u8],
        orig_len: u32,
    ) -> Option<Packet<'a>> {
        self.counters.frames += 1;
        self.counters.frame_bytes += data.len() as u64;
        if link == LinkType::Ethernet
            && let Some(protocol) = self.foreign(data)
        {
            let tcp = protocol == ip::TCP;
            self.counters.other_ports += u64::from(tcp);
            self.counters.not_tcp += u64::from(!tcp);
            return None;
        }
        self.decode(at, link, iface, data, orig_len)
    }

    /// The commonest frame of no interest, decided by a few loads: untagged Ethernet, IPv4 without options, not a
    /// fragment, TCP or UDP between foreign ports. It says nothing that [`decode`] would not say. Gives the protocol.
    #[inline]
    fn foreign(&self, data: &[u8]) -> Option<u8> {
        let h = data.first_chunk::<38>()?;
        let total = u16::from_be_bytes([h[16], h[17]]);
        let (src, dst) = (u16::from_be_bytes([h[34], h[35]]), u16::from_be_bytes([h[36], h[37]]));
        let foreign = u32::from_be_bytes([h[12], h[13], h[14], 0]) == 0x0800_4500
            && u16::from_be_bytes([h[20], h[21]]) & 0x3fff == 0
            && (total == 0 || total >= 24)
            && match h[23] {
                ip::TCP => !either(&self.wanted, src, dst),
                ip::UDP => !(self.dns && udp::is_dns(src, dst)),
                _ => false,
            };
        foreign.then_some(h[23])
    }

    fn decode<'a>(
        &'a mut self,
        at: Stamp,
        link: LinkType,
        iface: u32,
        data: &'a [u8],
        orig_len: u32,
    ) -> Option<Packet<'a>> {
        let Self { ports, wanted, dns, fragments, udp_fragments, joined, points, counters } = self;
        let watched = |src, dst| either(wanted, src, dst);
        let found = match decode(link, data, orig_len, iface, *dns, watched) {
            Parsed::Segment(segment) => Ok(Packet::Segment(segment)),
            Parsed::Datagram(datagram) => Ok(Packet::Dns(datagram)),
            Parsed::Other(other) => Err(other),
            Parsed::Fragment(part) => {
                let fragments = if part.next == ip::UDP { udp_fragments } else { fragments };
                let head = fragments.push(at, &part, joined, counters)?;
                let body = Body { bytes: joined, len: joined.len() };
                match ip::extensions(head.v6, head.next, body) {
                    Ok((Carried::Tcp, body)) => {
                        tcp::segment(head.header, head.vlan, head.iface, body, watched)
                            .map(Packet::Segment)
                    }
                    Ok((Carried::Udp, body)) if *dns => {
                        udp::datagram(head.header, head.vlan, head.iface, body).map(Packet::Dns)
                    }
                    Ok((Carried::Udp, _)) => Err(Other::NotTcp),
                    // A fragment within a datagram of fragments.
                    Ok((Carried::Part(_), _)) => Err(Other::Malformed),
                    Err(other) => Err(other),
                }
            }
        };
        match found {
            Ok(Packet::Segment(segment)) if points.passes_over(at, &segment, counters) => None,
            Ok(Packet::Dns(datagram)) if points.passes_over_datagram(at, &datagram, counters) => {
                None
            }
            Ok(Packet::Segment(segment)) if either(ports, segment.src.port, segment.dst.port) => {
                counters.segments += 1;
                counters.snaplen_cut += u64::from(segment.payload.len() < segment.len as usize);
                Some(Packet::Segment(segment))
            }
            // On the port of DNS; without payload it says nothing.
            Ok(Packet::Segment(segment)) if segment.len == 0 => None,
            Ok(packet) => {
                let datagram = match packet {
                    Packet::Segment(segment) => segment.into(),
                    Packet::Dns(datagram) => datagram,
                };
                counters.dns_packets += 1;
                counters.snaplen_cut += u64::from(datagram.payload.len() < datagram.len as usize);
                Some(Packet::Dns(datagram))
            }
            Err(other) => {
                *match other {
                    Other::NotIp => &mut counters.not_ip,
                    Other::NotTcp => &mut counters.not_tcp,
                    Other::OtherPort => &mut counters.other_ports,
                    Other::Malformed => &mut counters.malformed,
                } += 1;
                None
            }
        }
    }
}

#[inline]
fn either(ports: &Ports, a: u16, b: u16) -> bool {
    ports.contains(a) || ports.contains(b)
}
