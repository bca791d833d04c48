//! The generator against a deliberately stupid reference: what every variant of every case shows is what its script says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use botlike_tests::case::{Case, names};
use botlike_tests::packet::{Flags, LOOSE, Packet, Side};
use botlike_tests::variant::Variant;
use etherparse::{NetHeaders, PacketHeaders, TransportHeader};

/// What the packets of a connection's side carry, by offset: the first bytes win.
fn streams(packets: &[Packet], connections: usize) -> Vec<[BTreeMap<u32, u8>; 2]> {
    let mut first: Vec<[Option<u32>; 2]> = vec![[None; 2]; connections];
    let mut out = vec![<[BTreeMap<u32, u8>; 2]>::default(); connections];
    // The numbering starts where the plain capture's smallest acknowledged or sent byte is; found over all packets.
    for packet in packets {
        let Some(conn) = packet.conn.filter(|c| *c != LOOSE) else { continue };
        let side = usize::from(packet.from == Side::Server);
        let start = packet.seq.wrapping_add(u32::from(packet.flags.contains(Flags::SYN)));
        let known = first[conn as usize][side].get_or_insert(start);
        if (start.wrapping_sub(*known) as i32) < 0 && packet.payload != [0] && packet.span() > 0 {
            *known = start;
        }
    }
    for packet in packets {
        let Some(conn) = packet.conn.filter(|c| *c != LOOSE) else { continue };
        if packet.fixed && packet.payload == [0] {
            continue;
        }
        let side = usize::from(packet.from == Side::Server);
        let base = first[conn as usize][side].unwrap_or_default();
        let start = packet.seq.wrapping_add(u32::from(packet.flags.contains(Flags::SYN)));
        let shown = packet.snap.map_or(usize::MAX, |snap| snap.saturating_sub(54));
        for (i, byte) in packet.payload.iter().take(shown).enumerate() {
            let offset = start.wrapping_add(i as u32).wrapping_sub(base);
            out[conn as usize][side].entry(offset).or_insert(*byte);
        }
    }
    out
}

/// The bytes and the gaps between them, without where they began.
fn shape(stream: &BTreeMap<u32, u8>) -> Vec<(u32, u8)> {
    let base = stream.keys().next().copied().unwrap_or_default();
    stream.iter().map(|(offset, byte)| (offset - base, *byte)).collect()
}

#[test]
fn every_variant_carries_what_the_script_says() {
    for name in names() {
        let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        for variant in case.variants() {
            let packets = variant.packets(&case.played.packets, case.seed());
            let streams = streams(&packets, case.played.truth.len());
            for (conn, (shown, truth)) in streams.iter().zip(&case.played.truth).enumerate() {
                for side in 0..2 {
                    assert!(
                        shape(&shown[side]) == shape(&truth[side]),
                        "{name}: {}: connection {conn}, side {side} (seed {})",
                        variant.name(),
                        case.seed()
                    );
                }
            }
        }
    }
}

#[test]
fn stamps_never_go_back_but_where_the_script_says_so() {
    for name in names() {
        let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        for variant in case.variants() {
            let packets = variant.packets(&case.played.packets, case.seed());
            assert!(packets.is_sorted_by_key(|p| p.at), "{name}: {}", variant.name());
        }
    }
}

/// Who, to whom, sequence, acknowledgement, payload.
type Decoded = (SocketAddr, SocketAddr, u32, u32, Vec<u8>);

/// Decodes a frame that is neither cut nor a fragment.
fn decode(link: u32, data: &[u8]) -> Option<Decoded> {
    let ip = match link {
        1 => return headers(PacketHeaders::from_ethernet_slice(data).ok()?),
        113 => &data[16..],
        276 => &data[20..],
        101 => data,
        0 => &data[4..],
        _ => return None,
    };
    headers(PacketHeaders::from_ip_slice(ip).ok()?)
}

fn headers(found: PacketHeaders<'_>) -> Option<Decoded> {
    let (src, dst): (std::net::IpAddr, std::net::IpAddr) = match found.net? {
        NetHeaders::Ipv4(ip, _) => (ip.source.into(), ip.destination.into()),
        NetHeaders::Ipv6(ip, _) => (ip.source.into(), ip.destination.into()),
        NetHeaders::Arp(_) => return None,
    };
    let TransportHeader::Tcp(tcp) = found.transport? else { return None };
    let ends = ((src, tcp.source_port).into(), (dst, tcp.destination_port).into());
    Some((
        ends.0,
        ends.1,
        tcp.sequence_number,
        tcp.acknowledgment_number,
        found.payload.slice().to_vec(),
    ))
}

#[test]
fn frames_decode_to_the_packets_they_were_made_of() {
    for name in names() {
        let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        for variant in case.variants() {
            // Not one frame each, or not of the packet's bytes.
            let odd = |p: &Packet| {
                p.conn.is_none() || p.snap.is_some() || p.fragmented.is_some() || !p.also.is_empty()
            };
            let packets: Vec<Packet> =
                case.played.packets.iter().filter(|p| !odd(p)).cloned().collect();
            let shown = variant.packets(&packets, case.seed());
            let frames = variant.frames(&packets, case.seed());
            if variant == Variant::Points {
                // Each packet as several interfaces show it: the same bytes, some of them tagged or translated.
                assert!(frames.len() >= shown.len(), "{name}: {}", variant.name());
                continue;
            }
            assert_eq!(frames.len(), shown.len(), "{name}: {}", variant.name());
            for (packet, frame) in shown.iter().zip(&frames) {
                let meant =
                    (packet.src, packet.dst, packet.seq, packet.ack, packet.payload.clone());
                assert!(
                    decode(frame.link, &frame.data) == Some(meant),
                    "{name}: {}: {packet:?}",
                    variant.name()
                );
                assert_eq!(frame.orig_len as usize, frame.data.len());
            }
        }
    }
}

/// Joined by hand: the pieces of a datagram in the order of their offsets make the datagram.
#[test]
fn fragments_join_to_the_packets_they_were_made_of() {
    let mut joined = 0;
    for name in names() {
        let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        for variant in [Variant::Plain, Variant::Ipv6, Variant::Qinq] {
            for packet in case.played.packets.iter().filter(|p| p.fragmented.is_some()) {
                let whole = Packet { fragmented: None, ..packet.clone() };
                let whole = variant.frames(&[whole], 0).remove(0).data;
                let frames = variant.frames(std::slice::from_ref(packet), 0);
                let (below, header, pieces) = match variant {
                    Variant::Plain => (14, 20, 20),
                    Variant::Qinq => (22, 20, 20),
                    _ => (14, 40, 48),
                };
                let mut parts: Vec<(u16, bool, &[u8])> = frames
                    .iter()
                    .map(|f| {
                        let at = if variant == Variant::Ipv6 { below + 42 } else { below + 6 };
                        let field = u16::from_be_bytes([f.data[at], f.data[at + 1]]);
                        let (offset, more) = match variant {
                            Variant::Ipv6 => (field & !7, field & 1 == 1),
                            _ => ((field & 0x1fff) * 8, field & 0x2000 != 0),
                        };
                        (offset, more, &f.data[below + pieces..])
                    })
                    .collect();
                parts.sort_unstable();
                assert!(
                    parts.len() > 1
                        && parts.iter().rev().skip(1).all(|p| p.1)
                        && !parts[parts.len() - 1].1
                );
                let mut datagram = Vec::new();
                for (offset, _, part) in parts {
                    assert_eq!(usize::from(offset), datagram.len(), "{name}: {}", variant.name());
                    datagram.extend_from_slice(part);
                }
                assert!(datagram == whole[below + header..], "{name}: {}", variant.name());
                joined += 1;
            }
        }
    }
    assert!(joined > 0, "no case has fragments");
}

/// How many packets come after one that acknowledges some of what they carry for the first time.
fn answered_too_early(packets: &[Packet]) -> usize {
    let mut highest: BTreeMap<(u32, bool), u32> = BTreeMap::new();
    let mut acked: BTreeMap<(u32, bool), u32> = BTreeMap::new();
    let mut count = 0;
    for packet in packets.iter().filter(|p| !p.fixed && !p.flags.contains(Flags::RST)) {
        let Some(conn) = packet.conn.filter(|c| *c != LOOSE) else { continue };
        let from = packet.from == Side::Server;
        if packet.flags.contains(Flags::SYN) {
            acked.remove(&(conn, from));
            highest.remove(&(conn, from));
        }
        let new =
            highest.get(&(conn, from)).is_none_or(|h| (packet.end().wrapping_sub(*h) as i32) > 0);
        if new {
            highest.insert((conn, from), packet.end());
            let early = |a: &u32| (a.wrapping_sub(packet.seq) as i32) > 0;
            count += usize::from(packet.span() > 0 && acked.get(&(conn, from)).is_some_and(early));
        }
        if packet.flags.contains(Flags::ACK) {
            let most = acked.entry((conn, !from)).or_insert(packet.ack);
            if (packet.ack.wrapping_sub(*most) as i32) > 0 {
                *most = packet.ack;
            }
        }
    }
    count
}

#[test]
fn nothing_is_answered_before_it_was_said_but_in_crossed() {
    let mut crossed = 0;
    for name in names() {
        let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let packets = &case.played.packets;
        let plain = answered_too_early(packets);
        let reordered = answered_too_early(&Variant::Reordered.packets(packets, case.seed()));
        assert!(
            reordered <= plain,
            "{name}: {reordered} packets, {plain} in the plain form (seed {})",
            case.seed()
        );
        crossed += answered_too_early(&Variant::Crossed.packets(packets, case.seed())) - plain;
    }
    assert!(crossed > 100, "only {crossed} packets crossed their answer");
}

#[test]
fn shuffles_repeat_and_do_shuffle() {
    let mut moved = [0, 0];
    for name in names() {
        let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (count, variant) in moved.iter_mut().zip([Variant::Reordered, Variant::Crossed]) {
            let one = variant.frames(&case.played.packets, case.seed());
            assert_eq!(one, variant.frames(&case.played.packets, case.seed()), "{name}");
            *count += usize::from(one != Variant::Plain.frames(&case.played.packets, case.seed()));
        }
    }
    assert!(moved.iter().all(|m| *m > 0), "cases changed by a shuffle: {moved:?}");
}
