//! Frames of every link layer, built and read once more by `etherparse`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use alloc::vec;
use alloc::vec::Vec;

use etherparse::{
    EtherType, IpAuthHeader, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header,
    Ipv4Options, Ipv6Extensions, Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader,
    Ipv6RoutingExtensions, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, LinuxSllPacketType,
    PacketBuilder, TcpHeader, TransportSlice, VlanId,
};

use super::parse::decode;
use super::*;
use crate::base::{Addr, Counters, Limits, Stamp};

pub(super) struct Random(pub(super) u64);

impl Random {
    /// The `round`th generator of a test.
    pub(super) fn of(seed: u64, round: u64) -> Self {
        let mut random = Self(seed ^ (round << 20 | round));
        random.below(1);
        random
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

const V4: ([u8; 4], [u8; 4]) = ([192, 0, 2, 1], [198, 51, 100, 2]);
const V6: ([u8; 16], [u8; 16]) = (
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
);
const PAYLOAD: &[u8] = b"EHLO mail.example\r\n";

fn tcp() -> TcpHeader {
    let mut h = TcpHeader::new(40000, 25, 0x0102_0304, 64_240);
    h.acknowledgment_number = 0x0506_0708;
    h.ack = true;
    h.psh = true;
    h.set_options_raw(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
    h
}

fn ip4() -> Vec<u8> {
    let mut out = vec![];
    PacketBuilder::ipv4(V4.0, V4.1, 63).tcp_header(tcp()).write(&mut out, PAYLOAD).unwrap();
    out
}

fn ip6() -> Vec<u8> {
    let mut out = vec![];
    PacketBuilder::ipv6(V6.0, V6.1, 63).tcp_header(tcp()).write(&mut out, PAYLOAD).unwrap();
    out
}

fn ip6_with(exts: Ipv6Extensions) -> Vec<u8> {
    let header =
        Ipv6Header { source: V6.0, destination: V6.1, hop_limit: 63, ..Ipv6Header::default() };
    let mut out = vec![];
    PacketBuilder::ip(IpHeaders::Ipv6(header, exts))
        .tcp_header(tcp())
        .write(&mut out, PAYLOAD)
        .unwrap();
    out
}

fn all_extensions() -> Ipv6Extensions {
    let raw = |len: usize| Ipv6RawExtHeader::new_raw(IpNumber(0), &vec![1; len]).unwrap();
    Ipv6Extensions {
        hop_by_hop_options: Some(raw(6)),
        destination_options: Some(raw(14)),
        routing: Some(Ipv6RoutingExtensions {
            routing: raw(22),
            final_destination_options: Some(raw(6)),
        }),
        // In one piece (RFC 6946).
        fragment: Some(Ipv6FragmentHeader::new(IpNumber(0), IpFragOffset::ZERO, false, 7)),
        auth: Some(IpAuthHeader::new(IpNumber(0), 1, 2, &[0; 12]).unwrap()),
    }
}

/// `head` and `tail` joined.
fn cat(head: &[u8], tail: &[u8]) -> Vec<u8> {
    [head, tail].concat()
}

fn ethernet(kind: u16, rest: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &kind.to_be_bytes(), rest].concat()
}

fn tag(id: u16, kind: u16, rest: &[u8]) -> Vec<u8> {
    [&(id | 0x2000).to_be_bytes()[..], &kind.to_be_bytes(), rest].concat()
}

fn sll(kind: u16, rest: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &kind.to_be_bytes(), rest].concat()
}

fn sll2(kind: u16, rest: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0], rest]
        .concat()
}

fn whole(link: LinkType, frame: &[u8]) -> Parsed<'_> {
    parse(link, frame, frame.len() as u32, 5)
}

#[test]
fn every_link_layer_leads_to_the_segment() {
    let (p4, p6) = (ip4(), ip6());
    let options = {
        let mut header = Ipv4Header::new(0, 63, IpNumber(0), V4.0, V4.1).unwrap();
        header.options = Ipv4Options::try_from(&[7u8, 7, 4, 0, 0, 0, 0, 0][..]).unwrap();
        let auth = IpAuthHeader::new(IpNumber(0), 1, 2, &[0; 12]).unwrap();
        let mut out = vec![];
        PacketBuilder::ip(IpHeaders::Ipv4(header, Ipv4Extensions { auth: Some(auth) }))
            .tcp_header(tcp())
            .write(&mut out, PAYLOAD)
            .unwrap();
        out
    };
    let mobility = {
        // Mobility, then a routing header, then TCP.
        let mut out = p6.clone();
        out[6] = 135;
        out.splice(40..40, [43, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]);
        let len = (out.len() - 40) as u16;
        out[4..6].copy_from_slice(&len.to_be_bytes());
        out
    };
    let mut built = vec![];
    PacketBuilder::ethernet2([1; 6], [2; 6])
        .double_vlan(VlanId::try_new(100).unwrap(), VlanId::try_new(200).unwrap())
        .ipv4(V4.0, V4.1, 63)
        .tcp_header(tcp())
        .write(&mut built, PAYLOAD)
        .unwrap();
    let mut built_sll = vec![];
    PacketBuilder::linux_sll(LinuxSllPacketType::OUTGOING, 6, [0; 8])
        .ipv6(V6.0, V6.1, 63)
        .tcp_header(tcp())
        .write(&mut built_sll, PAYLOAD)
        .unwrap();
    let mut deep = tag(9, 0x0800, &p4);
    for _ in 1..8 {
        deep = tag(1, 0x8100, &deep);
    }
    use LinkType::{Ethernet, LinuxSll, LinuxSll2, Null, Raw};
    let cases: Vec<(&str, LinkType, Vec<u8>, u16)> = vec![
        ("ethernet v4", Ethernet, ethernet(0x0800, &p4), 0),
        ("ethernet v6", Ethernet, ethernet(0x86dd, &p6), 0),
        ("802.1Q", Ethernet, ethernet(0x8100, &tag(0x123, 0x0800, &p4)), 0x123),
        ("802.1ad", Ethernet, ethernet(0x88a8, &tag(7, 0x8100, &tag(9, 0x86dd, &p6))), 7),
        ("old QinQ", Ethernet, ethernet(0x9100, &tag(7, 0x8100, &tag(9, 0x0800, &p4))), 7),
        ("built QinQ", Ethernet, built, 100),
        ("eight tags", Ethernet, ethernet(0x8100, &deep), 1),
        ("padding", Ethernet, cat(&ethernet(0x0800, &p4), &[0; 20]), 0),
        ("padding v6", Ethernet, cat(&ethernet(0x86dd, &p6), &[0; 20]), 0),
        ("options, AH", Raw, options, 0),
        ("extensions", Raw, ip6_with(all_extensions()), 0),
        ("mobility", Raw, mobility, 0),
        ("cooked v4", LinuxSll, sll(0x0800, &p4), 0),
        ("cooked v6", LinuxSll, built_sll, 0),
        ("cooked tagged", LinuxSll, sll(0x8100, &tag(5, 0x0800, &p4)), 5),
        ("cooked v2 v4", LinuxSll2, sll2(0x0800, &p4), 0),
        ("cooked v2 v6", LinuxSll2, sll2(0x86dd, &p6), 0),
        ("raw v4", Raw, p4.clone(), 0),
        ("raw v6", Raw, p6.clone(), 0),
        ("null v4 little", Null, cat(&[2, 0, 0, 0], &p4), 0),
        ("null v4 big", Null, cat(&[0, 0, 0, 2], &p4), 0),
        ("null v6 Linux", Null, cat(&[10, 0, 0, 0], &p6), 0),
        ("null v6 Windows", Null, cat(&[23, 0, 0, 0], &p6), 0),
        ("null v6 OpenBSD", Null, cat(&[0, 0, 0, 24], &p6), 0),
        ("null v6 FreeBSD", Null, cat(&[28, 0, 0, 0], &p6), 0),
        ("null v6 Darwin", Null, cat(&[0, 0, 0, 30], &p6), 0),
    ];
    let (a4, a6) = ((Addr::v4(V4.0), Addr::v4(V4.1)), (Addr::v6(V6.0), Addr::v6(V6.1)));
    for (name, link, frame, vlan) in &cases {
        let Parsed::Segment(s) = whole(*link, frame) else {
            panic!("{name}: {:?}", whole(*link, frame));
        };
        let (src, dst) = if s.src.addr.is_v4() { a4 } else { a6 };
        assert_eq!(
            (s.src.addr, s.src.port, s.dst.addr, s.dst.port),
            (src, 40000, dst, 25),
            "{name}"
        );
        assert_eq!(
            (s.seq, s.ack, s.window, s.ttl),
            (0x0102_0304, 0x0506_0708, 64_240, 63),
            "{name}"
        );
        assert_eq!(s.flags, TcpFlags::ACK | TcpFlags::PSH, "{name}");
        assert_eq!((s.payload, s.len as usize), (PAYLOAD, PAYLOAD.len()), "{name}");
        assert_eq!((s.options.len(), s.vlan, s.iface), (12, *vlan, 5), "{name}");
    }
}

#[test]
fn what_is_no_segment_says_why() {
    let (p4, p6) = (ip4(), ip6());
    let with = |packet: &[u8], at: usize, value: u8| {
        let mut p = packet.to_vec();
        p[at] = value;
        p
    };
    let mut too_deep = tag(9, 0x0800, &p4);
    for _ in 0..8 {
        too_deep = tag(1, 0x8100, &too_deep);
    }
    let chain = |count: usize| {
        let mut out = with(&p6, 6, 60);
        for i in 0..count {
            let next = if i == 0 { 6 } else { 60 };
            out.splice(40..40, [next, 0, 0, 0, 0, 0, 0, 0]);
        }
        let len = (out.len() - 40) as u16;
        out[4..6].copy_from_slice(&len.to_be_bytes());
        out
    };
    assert!(matches!(whole(Raw, &chain(16)), Parsed::Segment(_)));
    let second_hop_by_hop = with(&with(&chain(2), 40, 0), 48, 6);
    use super::Other::{Malformed, NotIp, NotTcp};
    use LinkType::{Ethernet, LinuxSll, LinuxSll2, Null, Raw};
    let cases: Vec<(&str, LinkType, Vec<u8>, Other)> = vec![
        ("empty", Ethernet, vec![], Malformed),
        ("runt", Ethernet, vec![0; 13], Malformed),
        ("arp", Ethernet, ethernet(0x0806, &[0; 28]), NotIp),
        ("802.3", Ethernet, ethernet(0x0026, &[0; 38]), NotIp),
        ("cut tag", Ethernet, ethernet(0x8100, &[0, 1, 8]), Malformed),
        ("nine tags", Ethernet, ethernet(0x8100, &too_deep), NotIp),
        ("v6 said to be v4", Ethernet, ethernet(0x0800, &p6), Malformed),
        ("v4 said to be v6", Ethernet, ethernet(0x86dd, &p4), Malformed),
        ("no packet", Ethernet, ethernet(0x0800, &[]), Malformed),
        ("raw nothing", Raw, vec![], Malformed),
        ("raw junk", Raw, vec![0x95; 60], NotIp),
        ("null other", Null, cat(&[7, 0, 0, 0], &p4), NotIp),
        ("null runt", Null, vec![2, 0, 0], Malformed),
        ("cooked runt", LinuxSll, vec![0; 15], Malformed),
        ("cooked v2 runt", LinuxSll2, vec![0; 19], Malformed),
        ("unknown link", LinkType::Other(147), ethernet(0x0800, &p4), NotIp),
        ("udp", Raw, with(&p4, 9, 17), NotTcp),
        ("udp v6", Raw, with(&p6, 6, 17), NotTcp),
        ("no next header", Raw, with(&p6, 6, 59), NotTcp),
        ("header length 4", Raw, with(&p4, 0, 0x44), Malformed),
        ("options cut", Raw, with(&p4[..30], 0, 0x4f), Malformed),
        ("total below header", Raw, with(&with(&p4, 2, 0), 3, 19), Malformed),
        ("total cuts ports", Raw, with(&with(&p4, 2, 0), 3, 23), Malformed),
        ("total cuts TCP", Raw, with(&with(&p4, 2, 0), 3, 39), Malformed),
        ("data offset 4", Raw, with(&p4, 32, 0x40), Malformed),
        ("data offset beyond", Raw, with(&with(&p4, 3, 44), 32, 0xf0), Malformed),
        ("seventeen extensions", Raw, chain(17), Malformed),
        ("hop-by-hop later", Raw, second_hop_by_hop, Malformed),
        ("extension cut", Raw, with(&chain(1)[..44], 6, 60), Malformed),
    ];
    for (name, link, frame, expected) in &cases {
        match whole(*link, frame) {
            Parsed::Other(other) => assert_eq!(other, *expected, "{name}"),
            parsed => panic!("{name}: {parsed:?}"),
        }
    }
}

#[test]
fn a_cut_payload_keeps_its_length() {
    for (packet, headers) in [(ip4(), 20 + 32), (ip6(), 40 + 32)] {
        for kept in headers..=packet.len() {
            let cut = &packet[..kept];
            let Parsed::Segment(s) = parse(LinkType::Raw, cut, packet.len() as u32, 0) else {
                panic!("{kept}");
            };
            assert_eq!((s.payload, s.len as usize), (&PAYLOAD[..kept - headers], PAYLOAD.len()));
            // Of a capture whose header lies about the length on the wire the IP header tells it.
            let Parsed::Segment(s) = parse(LinkType::Raw, cut, 0, 0) else {
                panic!("{kept}");
            };
            assert_eq!((s.payload.len(), s.len as usize), (kept - headers, PAYLOAD.len()));
        }
        // Options cut: the header's length is known.
        let Parsed::Segment(s) =
            parse(LinkType::Raw, &packet[..headers - 5], packet.len() as u32, 0)
        else {
            panic!();
        };
        assert_eq!((s.options.len(), s.payload.len(), s.len as usize), (7, 0, PAYLOAD.len()));
    }
}

#[test]
fn offload_leaves_the_length_to_the_frame() {
    let big = vec![b'x'; 65_000];
    let mut p4 = vec![];
    PacketBuilder::ipv4(V4.0, V4.1, 63).tcp_header(tcp()).write(&mut p4, &big).unwrap();
    let mut p6 = vec![];
    PacketBuilder::ipv6(V6.0, V6.1, 63).tcp_header(tcp()).write(&mut p6, &big).unwrap();
    for packet in [&p4, &p6] {
        let Parsed::Segment(s) = whole(LinkType::Raw, packet) else { panic!() };
        assert_eq!((s.payload.len(), s.len), (65_000, 65_000));
    }
    p4[2..4].copy_from_slice(&[0, 0]);
    p6[4..6].copy_from_slice(&[0, 0]);
    for (packet, header) in [(&p4, 52), (&p6, 72)] {
        let Parsed::Segment(s) = whole(LinkType::Raw, packet) else { panic!() };
        assert_eq!((s.payload.len(), s.len), (65_000, 65_000));
        let Parsed::Segment(s) =
            parse(LinkType::Raw, &packet[..header + 10], packet.len() as u32, 0)
        else {
            panic!()
        };
        assert_eq!((s.payload.len(), s.len), (10, 65_000));
    }
    // A jumbogram says its length in a hop-by-hop option (RFC 2675); it ends with its frame.
    let mut jumbo = p6.clone();
    jumbo[6] = 0;
    jumbo.splice(40..40, [6, 0, 0xc2, 4, 0, 0, 0xfe, 0x30]);
    let Parsed::Segment(s) = whole(LinkType::Raw, &jumbo) else { panic!() };
    assert_eq!(s.len, 65_000);
}

/// A random frame: link, bytes.
fn frame(random: &mut Random) -> (LinkType, Vec<u8>) {
    let mut transport = tcp();
    if random.below(2) == 0 {
        transport = TcpHeader::new(random.below(65536) as u16, random.below(65536) as u16, 1, 2);
        transport.syn = true;
        transport.set_options_raw(&vec![1; random.below(11) * 4]).unwrap();
    }
    let len = random.below(60);
    let payload = random.bytes(len);
    let headers = if random.below(2) == 0 {
        let mut header =
            Ipv4Header::new(0, random.below(256) as u8, IpNumber(0), V4.0, V4.1).unwrap();
        header.options = Ipv4Options::try_from(&vec![1u8; random.below(11) * 4][..]).unwrap();
        if random.below(5) == 0 {
            header.more_fragments = random.below(2) == 0;
            header.fragment_offset = IpFragOffset::try_new(random.below(8192) as u16).unwrap();
        }
        let auth =
            (random.below(4) == 0).then(|| IpAuthHeader::new(IpNumber(0), 1, 2, &[0; 8]).unwrap());
        IpHeaders::Ipv4(header, Ipv4Extensions { auth })
    } else {
        let header = Ipv6Header {
            source: V6.0,
            destination: V6.1,
            hop_limit: random.below(256) as u8,
            ..Ipv6Header::default()
        };
        let mut exts = all_extensions();
        if random.below(2) == 0 {
            exts.hop_by_hop_options = None;
        }
        if random.below(2) == 0 {
            exts.destination_options = None;
        }
        if random.below(2) == 0 {
            exts.routing = None;
        }
        if random.below(2) == 0 {
            exts.auth = None;
        }
        match random.below(4) {
            0 => {}
            1 => {
                let at = IpFragOffset::try_new(random.below(8192) as u16).unwrap();
                let more = random.below(2) == 0;
                exts.fragment = Some(Ipv6FragmentHeader::new(IpNumber(0), at, more, 9));
            }
            _ => exts.fragment = None,
        }
        IpHeaders::Ipv6(header, exts)
    };
    let kind = if matches!(headers, IpHeaders::Ipv4(..)) { 0x0800 } else { 0x86dd };
    let mut packet = vec![];
    let step = PacketBuilder::ip(headers);
    if random.below(6) == 0 {
        step.udp(53, 25).write(&mut packet, &payload).unwrap();
    } else {
        step.tcp_header(transport).write(&mut packet, &payload).unwrap();
    }
    let mut kind = kind;
    for _ in 0..random.below(4).saturating_sub(1) {
        packet = tag(random.below(4096) as u16, kind, &packet);
        kind = [0x8100, 0x88a8, 0x9100][random.below(3)];
    }
    let tagged = !matches!(kind, 0x0800 | 0x86dd);
    let (link, mut frame) = match random.below(if tagged { 3 } else { 5 }) {
        0 => (LinkType::Ethernet, ethernet(kind, &packet)),
        1 => (LinkType::LinuxSll, sll(kind, &packet)),
        2 => (LinkType::LinuxSll2, sll2(kind, &packet)),
        3 => (LinkType::Null, cat(&[if kind == 0x0800 { 2 } else { 28 }, 0, 0, 0], &packet)),
        _ => (LinkType::Raw, packet),
    };
    if random.below(3) == 0 && link != LinkType::Raw {
        frame.extend(vec![0; random.below(20)]);
    }
    (link, frame)
}

/// What `etherparse` says of a frame; `None` where it cannot take the link layer, or takes more than we do.
fn oracle(link: LinkType, data: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    let kind =
        |at: usize| Some(EtherType(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?])));
    let packet = match link {
        LinkType::Ethernet => LaxSlicedPacket::from_ethernet(data).ok()?,
        LinkType::LinuxSll => LaxSlicedPacket::from_ether_type(kind(14)?, data.get(16..)?),
        LinkType::LinuxSll2 => LaxSlicedPacket::from_ether_type(kind(0)?, data.get(20..)?),
        LinkType::Null => {
            // It does not read the family.
            let family = data.get(..4)?;
            let version = data.get(4)? >> 4;
            if !matches!((family, version), ([2, 0, 0, 0], 4) | ([28, 0, 0, 0], 6)) {
                return None;
            }
            LaxSlicedPacket::from_ip(data.get(4..)?).ok()?
        }
        LinkType::Other(_) => return None,
        LinkType::Raw => LaxSlicedPacket::from_ip(data).ok()?,
    };
    let tags = packet.link_exts.len();
    let macsec = packet.link_exts.iter().any(|e| matches!(e, LaxLinkExtSlice::Macsec(_)));
    (!macsec && tags < LaxSlicedPacket::LINK_EXTS_CAP).then_some(packet)
}

/// Compares with the oracle. `why` says what the frame is when they disagree.
fn agree(link: LinkType, data: &[u8], orig_len: u32, why: &dyn core::fmt::Debug) {
    let ours = parse(link, data, orig_len, 0);
    // Never more than there is, and nothing cut that is not said to be.
    if let Parsed::Segment(s) = &ours {
        assert!(s.payload.len() <= s.len as usize && s.options.len() <= 40, "{why:?}");
    }
    let Some(theirs) = oracle(link, data) else {
        return;
    };
    let (ip_payload, source, destination, ttl, length_lies) = match &theirs.net {
        Some(LaxNetSlice::Ipv4(v4)) => {
            let h = v4.header();
            let total = usize::from(h.total_len());
            // A total length below the header's is no packet for us, and a whim for them.
            let lies = total != 0 && total < h.slice().len();
            (v4.payload(), Addr::v4(h.source()), Addr::v4(h.destination()), h.ttl(), lies)
        }
        Some(LaxNetSlice::Ipv6(v6)) => {
            let h = v6.header();
            (v6.payload(), Addr::v6(h.source()), Addr::v6(h.destination()), h.hop_limit(), false)
        }
        _ => {
            assert!(matches!(ours, Parsed::Other(_)), "{why:?}: {ours:?}");
            return;
        }
    };
    // It does not go on behind a mobility header.
    if ip_payload.ip_number == IpNumber::MOBILITY_HEADER {
        return;
    }
    if length_lies {
        assert!(matches!(ours, Parsed::Other(_)), "{why:?}: {ours:?}");
        return;
    }
    if ip_payload.fragmented {
        assert!(!matches!(ours, Parsed::Segment(_)), "{why:?}: {ours:?}");
    }
    match (&ours, &theirs.transport) {
        (Parsed::Segment(s), Some(TransportSlice::Tcp(t))) => {
            assert_eq!((s.src.addr, s.dst.addr, s.ttl), (source, destination, ttl), "{why:?}");
            assert_eq!(
                (s.src.port, s.dst.port),
                (t.source_port(), t.destination_port()),
                "{why:?}"
            );
            assert_eq!((s.seq, s.ack), (t.sequence_number(), t.acknowledgment_number()), "{why:?}");
            assert_eq!((s.window, s.options), (t.window_size(), t.options()), "{why:?}");
            assert_eq!(s.payload, t.payload(), "{why:?}");
            let bits = [t.fin(), t.syn(), t.rst(), t.psh(), t.ack(), t.urg()];
            let flags = bits.iter().enumerate().fold(0, |all, (i, &set)| all | u8::from(set) << i);
            assert_eq!(s.flags.bits(), flags, "{why:?}");
            let tag = theirs.link_exts.first().and_then(|e| match e {
                LaxLinkExtSlice::Vlan(v) => Some(v.vlan_identifier().value()),
                LaxLinkExtSlice::Macsec(_) => None,
            });
            assert_eq!(s.vlan, tag.unwrap_or(0), "{why:?}");
            if !ip_payload.incomplete && orig_len as usize == data.len() {
                assert_eq!(s.len as usize, s.payload.len(), "{why:?}");
            }
        }
        // They want the options whole.
        (Parsed::Segment(s), _) => {
            assert!(s.payload.is_empty() && s.options.len() < 40, "{why:?}: {ours:?}");
            assert!(data.ends_with(s.options), "{why:?}: {ours:?}");
        }
        (Parsed::Datagram(d), Some(TransportSlice::Udp(u))) => {
            assert_eq!((d.src.addr, d.dst.addr), (source, destination), "{why:?}");
            assert_eq!(
                (d.src.port, d.dst.port),
                (u.source_port(), u.destination_port()),
                "{why:?}"
            );
            assert!(u.payload().starts_with(d.payload), "{why:?}");
        }
        (Parsed::Datagram(_), _) => panic!("{why:?}: {ours:?}, but no datagram for them"),
        (_, Some(TransportSlice::Tcp(_))) => panic!("{why:?}: {ours:?}, but a segment for them"),
        (Parsed::Fragment(f), _) => {
            assert!(ip_payload.fragmented, "{why:?}: {ours:?}");
            if !f.v6 {
                // Theirs may have taken the authentication header off.
                assert!(f.payload.ends_with(ip_payload.payload), "{why:?}: {ours:?}");
            }
        }
        (Parsed::Other(_), _) => {}
    }
}

#[test]
fn etherparse_sees_the_same() {
    let seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut segments = 0;
    for round in 0..4000 {
        let random = &mut Random::of(seed, round);
        let (link, frame) = frame(random);
        segments += usize::from(matches!(whole(link, &frame), Parsed::Segment(_)));
        for kept in 0..=frame.len() {
            let why = (seed, round, link, kept, "cut");
            agree(link, &frame[..kept], frame.len() as u32, &why);
        }
        for change in 0..20 {
            let mut changed = frame.clone();
            for _ in 0..=random.below(3) {
                let at = random.below(changed.len());
                changed[at] = random.below(256) as u8;
            }
            agree(link, &changed, changed.len() as u32, &(seed, round, link, change, &changed));
        }
    }
    assert!(segments > 1500, "{segments}");
}

#[test]
fn garbage_is_a_value() {
    let seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut front = Front::new(&[25], &Limits::default());
    for round in 0..20_000 {
        let random = &mut Random::of(seed, round);
        let link = LinkType::from_number([0, 1, 12, 113, 276, 108, 147][random.below(7)]);
        let len = random.below(120);
        let mut data = random.bytes(len);
        // Often enough IP at least.
        if let Some(first) = data.get_mut(random.below(24)) {
            *first = [0x45, 0x60, 6, 44][random.below(4)];
        }
        let orig_len = [0, len as u32, u32::MAX][random.below(3)];
        agree(link, &data, orig_len, &(seed, round));
        front.frame(Stamp::from_nanos(round), link, 0, &data, orig_len);
    }
    assert_eq!(front.counters().frames, 20_000);
}

#[test]
fn the_short_way_says_what_the_long_way_says() {
    let seed = 0xd1b5_4a32_d192_ed03_u64;
    let mut foreign = 0;
    for round in 0..3000 {
        let random = &mut Random::of(seed, round);
        let (link, mut frame) = frame(random);
        if random.below(2) == 0 {
            let at = random.below(frame.len());
            frame[at] = random.below(256) as u8;
        }
        let kept = if random.below(2) == 0 { frame.len() } else { random.below(frame.len()) };
        let (cut, orig_len) = (&frame[..kept], frame.len() as u32);
        let mut front = Front::new(&[25], &Limits::default());
        let got = front.frame(Stamp::ZERO, link, 0, cut, orig_len).is_some();
        let expected = decode(link, cut, orig_len, 0, false, |a, b| a == 25 || b == 25);
        let c = front.counters();
        let counted = [c.segments, c.not_ip, c.not_tcp, c.other_ports, c.malformed, c.fragments];
        let index = match expected {
            Parsed::Segment(_) => 0,
            Parsed::Other(Other::NotIp) => 1,
            Parsed::Other(Other::NotTcp) => 2,
            Parsed::Other(Other::OtherPort) => 3,
            Parsed::Other(Other::Malformed) => 4,
            Parsed::Fragment(_) => 5,
            Parsed::Datagram(_) => panic!("seed {seed:#x} round {round}: {expected:?}"),
        };
        assert_eq!(got, index == 0, "seed {seed:#x} round {round}");
        // A datagram of one fragment is whole at once only by a changed byte; it is counted twice then.
        assert_eq!(counted[index], 1, "seed {seed:#x} round {round} {counted:?} {expected:?}");
        foreign += usize::from(index == 3);
    }
    assert!(foreign > 200, "{foreign}");
}

#[test]
fn a_length_without_room_for_ports_is_malformed() {
    for (total, malformed) in [(0, 0), (1, 1), (19, 1), (20, 1), (23, 1), (24, 0), (39, 0)] {
        let mut frame = ethernet(0x0800, &ip4());
        frame[16..18].copy_from_slice(&[0, total]);
        let mut front = Front::new(&[587], &Limits::default());
        let len = frame.len() as u32;
        assert!(front.frame(Stamp::ZERO, LinkType::Ethernet, 0, &frame, len).is_none());
        let c = front.counters();
        assert_eq!((c.malformed, c.other_ports), (malformed, 1 - malformed), "{total}");
    }
}

#[test]
fn ports_are_watched_on_either_end() {
    let (limits, p4) = (Limits::default(), ip4());
    let take = |ports: &[u16], packet: &[u8]| {
        let mut front = Front::new(ports, &limits);
        let len = packet.len() as u32;
        let some = front.frame(Stamp::ZERO, LinkType::Raw, 0, packet, len).is_some();
        (some, front.counters().other_ports)
    };
    assert_eq!(take(&[25], &p4), (true, 0));
    assert_eq!(take(&[587, 25], &p4), (true, 0));
    assert_eq!(take(&[40000], &p4), (true, 0));
    assert_eq!(take(&[587], &p4), (false, 1));
    assert_eq!(take(&[], &p4), (false, 1));
    let every: Vec<u16> = (0..=u16::MAX).filter(|p| *p != 25 && *p != 40000).collect();
    assert_eq!(take(&every, &p4), (false, 1));
}

/// Cuts an IP packet into fragments of `size` bytes of what lies behind the header.
fn fragments(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let v6 = packet[0] >> 4 == 6;
    let (header, body) = packet.split_at(if v6 { 40 } else { 20 });
    let count = body.len().div_ceil(size);
    let mut out = vec![];
    for (i, piece) in body.chunks(size).enumerate() {
        let (more, at) = (i + 1 < count, (i * size) as u16);
        let mut h = header.to_vec();
        if v6 {
            h[4..6].copy_from_slice(&(piece.len() as u16 + 8).to_be_bytes());
            let next = core::mem::replace(&mut h[6], 44);
            h.extend([next, 0]);
            h.extend((at | u16::from(more)).to_be_bytes());
            h.extend([0, 0, 0, 77]);
        } else {
            h[2..4].copy_from_slice(&(piece.len() as u16 + 20).to_be_bytes());
            h[4..6].copy_from_slice(&[0, 77]);
            h[6..8].copy_from_slice(&((at / 8) | u16::from(more) << 13).to_be_bytes());
        }
        out.push(cat(&h, piece));
    }
    out
}

#[test]
fn a_segment_comes_out_of_its_fragments() {
    let limits = Limits::default();
    // Hop-by-hop options are never part of what is cut.
    let late = Ipv6Extensions { fragment: None, hop_by_hop_options: None, ..all_extensions() };
    for packet in [ip4(), ip6(), ip6_with(late)] {
        for size in [8, 16, 24, 48] {
            for (ports, found) in [(25, true), (26, false)] {
                let mut front = Front::new(&[ports], &limits);
                let mut parts = fragments(&packet, size);
                parts.reverse();
                let count = parts.len();
                for (i, part) in parts.iter().enumerate() {
                    let part = ethernet(if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 }, part);
                    let at = Stamp::from_nanos(i as u64);
                    let got = front.frame(at, LinkType::Ethernet, 3, &part, part.len() as u32);
                    assert_eq!(got.is_some(), found && i + 1 == count, "{size} {i}");
                    if let Some(Packet::Segment(s)) = got {
                        assert_eq!((s.payload, s.len as usize), (PAYLOAD, PAYLOAD.len()));
                        assert_eq!((s.dst.port, s.ttl, s.iface, s.options.len()), (25, 63, 3, 12));
                    }
                }
                let c = front.counters();
                assert_eq!((c.fragments, c.fragments_joined), (count as u64, 1));
                assert_eq!((c.segments, c.other_ports), (u64::from(found), u64::from(!found)));
                assert_eq!((c.fragments_dropped, c.malformed), (0, 0));
            }
        }
    }
}

#[test]
fn fragments_within_fragments_are_refused() {
    // A datagram of fragments that begins with another fragment header.
    let mut inner = ip6_with(Ipv6Extensions::default());
    inner[6] = 44;
    inner.splice(40..40, [6, 0, 0, 1, 0, 0, 0, 1]);
    let mut front = Front::new(&[25], &Limits::default());
    for (i, part) in fragments(&inner, 40).iter().enumerate() {
        // The outer header says destination options, so that it may lead to TCP; the empty ones lead to the inner one.
        let mut part = part.clone();
        part[40] = 60;
        if i == 0 {
            part.splice(48..48, [44, 0, 1, 4, 0, 0, 0, 0]);
            let len = (part.len() - 40) as u16;
            part[4..6].copy_from_slice(&len.to_be_bytes());
        } else {
            let at = u16::from_be_bytes([part[42], part[43]]) + 8;
            part[42..44].copy_from_slice(&at.to_be_bytes());
        }
        let len = part.len() as u32;
        assert!(front.frame(Stamp::ZERO, LinkType::Raw, 0, &part, len).is_none());
    }
    assert_eq!((front.counters().fragments_joined, front.counters().malformed), (1, 1));
}

#[test]
fn a_cut_payload_is_counted() {
    let p4 = ip4();
    let mut front = Front::new(&[25], &Limits::default());
    front.frame(Stamp::ZERO, LinkType::Raw, 0, &p4[..60], p4.len() as u32);
    front.frame(Stamp::ZERO, LinkType::Raw, 0, &p4, p4.len() as u32);
    let expected = Counters {
        frames: 2,
        frame_bytes: 60 + p4.len() as u64,
        segments: 2,
        snaplen_cut: 1,
        ..Counters::default()
    };
    assert_eq!(front.counters(), &expected);
}

/// A packet with one byte changed.
fn changed(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}

/// A packet of UDP from a client's port to port 53, or of another one.
fn udp(v6: bool, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let mut out = if v6 { ip6()[..40].to_vec() } else { ip4()[..20].to_vec() };
    let len = (payload.len() + 8) as u16;
    out.extend(ports.0.to_be_bytes());
    out.extend(ports.1.to_be_bytes());
    out.extend(len.to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    if v6 {
        out[4..6].copy_from_slice(&len.to_be_bytes());
        out[6] = 17;
    } else {
        out[2..4].copy_from_slice(&(len + 20).to_be_bytes());
        out[9] = 17;
    }
    out
}

#[test]
fn dns_is_let_through_where_it_is_of_interest() {
    let limits = Limits::default();
    let text = [7; 100];
    for v6 in [false, true] {
        for (ports, is_dns) in [((4000, 53), true), ((53, 4000), true), ((4000, 5353), false)] {
            for (dns, interest) in [(true, is_dns), (false, false)] {
                let packet = udp(v6, ports, &text);
                let frame = ethernet(if v6 { 0x86dd } else { 0x0800 }, &packet);
                let mut whole = Front::new(&[25], &limits);
                let mut parts = Front::new(&[25], &limits);
                if dns {
                    (whole, parts) = (whole.with_dns(&[25]), parts.with_dns(&[25]));
                }
                let got = whole.frame(Stamp::ZERO, LinkType::Ethernet, 1, &frame, 0);
                assert_eq!(got.is_some(), interest, "{ports:?} {dns}");
                if let Some(Packet::Dns(d)) = got {
                    assert_eq!((d.payload, d.len, d.over_tcp), (&text[..], 100, false));
                    assert_eq!((d.src.port, d.dst.port, d.iface), (ports.0, ports.1, 1));
                }
                let counted = [whole.counters().dns_packets, whole.counters().not_tcp];
                assert_eq!(counted, [u64::from(interest), u64::from(!interest)], "{ports:?} {dns}");
                // The last part first.
                let mut joined = 0;
                for part in fragments(&packet, 48).iter().rev() {
                    let len = part.len() as u32;
                    let got = parts.frame(Stamp::ZERO, LinkType::Raw, 1, part, len);
                    if let Some(Packet::Dns(d)) = got {
                        assert_eq!(d.payload, text);
                        joined += 1;
                    }
                }
                assert_eq!(joined, u64::from(interest), "{ports:?} {dns}");
            }
        }
    }
}

#[test]
fn datagrams_are_cut_at_their_ends_and_never_beyond() {
    let limits = Limits::default();
    let take = |packet: &[u8]| {
        let mut front = Front::new(&[25], &limits).with_dns(&[25]);
        let got = front.frame(Stamp::ZERO, LinkType::Raw, 0, packet, packet.len() as u32);
        let payload = got.map(|packet| match packet {
            Packet::Dns(d) => (d.payload.len(), d.len as usize),
            Packet::Segment(s) => panic!("{s:?}"),
        });
        (payload, front.counters().malformed)
    };
    let packet = udp(false, (4000, 53), &[1; 40]);
    let length = |len: u8| changed(&changed(&packet, 24, 0), 25, len);
    assert_eq!(take(&packet), (Some((40, 40)), 0));
    assert_eq!(take(&length(18)), (Some((10, 10)), 0));
    assert_eq!(take(&length(0)), (Some((40, 40)), 0));
    assert_eq!(take(&length(7)), (None, 1));
    assert_eq!(take(&length(49)), (None, 1));
    assert_eq!(take(&packet[..50]), (Some((22, 40)), 0));
    assert_eq!(take(&packet[..27]), (None, 1));
}

#[test]
fn dns_over_tcp_is_dns_and_a_watched_port_is_not() {
    let limits = Limits::default();
    let mut packet = ip4();
    packet[22..24].copy_from_slice(&53u16.to_be_bytes());
    let take = |front: Front, packet: &[u8]| {
        let mut front = front;
        let got = front.frame(Stamp::ZERO, LinkType::Raw, 0, packet, packet.len() as u32);
        match got {
            Some(Packet::Dns(d)) => {
                assert_eq!((d.payload, d.over_tcp), (PAYLOAD, true));
                'd'
            }
            Some(Packet::Segment(_)) => 's',
            None => '-',
        }
    };
    let front = |ports: &[u16]| Front::new(ports, &limits);
    assert_eq!(take(front(&[25]).with_dns(&[25]), &packet), 'd');
    assert_eq!(take(front(&[25]), &packet), '-');
    assert_eq!(take(front(&[53]).with_dns(&[53]), &packet), 's');
    // A bare acknowledgement says nothing.
    let bare = changed(&changed(&packet[..52], 2, 0), 3, 52);
    assert_eq!(take(front(&[25]).with_dns(&[25]), &bare), '-');
}
