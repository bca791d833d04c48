//! The first stage: frames in, segments on watched ports out.

use alloc::vec::Vec;

use super::fragment::Fragments;
use super::ip::{self, Body, Carried};
use super::parse::{Other, Parsed, decode};
use super::points::Points;
use super::{LinkType, Segment, tcp};
use crate::base::{Counters, Limits, Ports, Stamp};

/// Takes frames and gives the segments on watched ports: decapsulation, port filter, datagrams put together, each packet
/// once though several interfaces show it.
#[derive(Debug)]
pub struct Front {
    ports: Ports,
    fragments: Fragments,
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
            fragments: Fragments::new(limits),
            joined: Vec::new(),
            points: Points::new(limits, 0),
            counters: Counters::default(),
        }
    }

    /// Hashes with this key what it remembers of flows.
    pub fn seeded(self, limits: &Limits, seed: u64) -> Self {
        Self { points: Points::new(limits, seed), ..self }
    }

    /// Nothing more comes from this interface: what it showed may now be shown by another.
    pub fn ended(&mut self, iface: u32) {
        self.points.end(iface);
    }

    /// What was counted so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes the next frame, of `orig_len` bytes on the wire. `None`: of no interest, and counted.
    ///
    /// A segment that came in fragments is given with the frame that completed it.
    #[inline]
    pub fn frame<'a>(
        &'a mut self,
        at: Stamp,
        link: LinkType,
        iface: u32,
        data: &'a [u8],
        orig_len: u32,
    ) -> Option<Segment<'a>> {
        self.counters.frames += 1;
        self.counters.frame_bytes += data.len() as u64;
        if link == LinkType::Ethernet && self.is_foreign(data) {
            self.counters.other_ports += 1;
            return None;
        }
        self.decode(at, link, iface, data, orig_len)
    }

    /// The commonest frame of no interest, decided by a few loads: untagged Ethernet, IPv4 without options, not a
    /// fragment, TCP between foreign ports. It says nothing that [`decode`] would not say.
    #[inline]
    fn is_foreign(&self, data: &[u8]) -> bool {
        let Some(h) = data.first_chunk::<38>() else {
            return false;
        };
        let total = u16::from_be_bytes([h[16], h[17]]);
        u32::from_be_bytes([h[12], h[13], h[14], 0]) == 0x0800_4500
            && u16::from_be_bytes([h[20], h[21]]) & 0x3fff == 0
            && h[23] == ip::TCP
            && (total == 0 || total >= 24)
            && !either(
                &self.ports,
                u16::from_be_bytes([h[34], h[35]]),
                u16::from_be_bytes([h[36], h[37]]),
            )
    }

    fn decode<'a>(
        &'a mut self,
        at: Stamp,
        link: LinkType,
        iface: u32,
        data: &'a [u8],
        orig_len: u32,
    ) -> Option<Segment<'a>> {
        let Self { ports, fragments, joined, points, counters } = self;
        let watched = |src, dst| either(ports, src, dst);
        let found = match decode(link, data, orig_len, iface, watched) {
            Parsed::Segment(segment) => Ok(segment),
            Parsed::Other(other) => Err(other),
            Parsed::Fragment(part) => {
                let head = fragments.push(at, &part, joined, counters)?;
                let body = Body { bytes: joined, len: joined.len() };
                match ip::extensions(head.v6, head.next, body) {
                    Ok((Carried::Tcp, body)) => {
                        tcp::segment(head.header, head.vlan, head.iface, body, watched)
                    }
                    // A fragment within a datagram of fragments.
                    Ok((Carried::Part(_), _)) => Err(Other::Malformed),
                    Err(other) => Err(other),
                }
            }
        };
        match found {
            Ok(segment) if points.passes_over(at, &segment, counters) => None,
            Ok(segment) => {
                counters.segments += 1;
                counters.snaplen_cut += u64::from(segment.payload.len() < segment.len as usize);
                Some(segment)
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
