//! The filter, run on frames by a small interpreter.

use botlike_core::wire::LinkType;
use etherparse::{IpNumber, Ipv6RawExtHeader, PacketBuilder};
use libc::sock_filter;

use super::bpf::{Ask, Assembler, Op};
use super::filter::{WHOLE, program};
use super::*;
use crate::source::live::Interface;

/// What the kernel knows of a packet beside its bytes.
#[derive(Clone, Copy)]
struct Meta {
    index: u32,
    hardware: u32,
    kind: u32,
}

const ETHERNET: Meta = Meta { index: 7, hardware: 1, kind: 0 };
const LOOPBACK: Meta = Meta { index: 7, hardware: 772, kind: 0 };
const RAW: Meta = Meta { index: 7, hardware: 65_534, kind: 0 };

/// Runs a program, as socket(7) and the kernel's document on filters describe it. A load beyond the packet takes nothing.
fn run(program: &[sock_filter], packet: &[u8], meta: Meta) -> u32 {
    let (mut a, mut x, mut kept, mut at) = (0u32, 0u32, 0u32, 0usize);
    for _ in 0..=program.len() {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let load = |from: u32, bytes: usize| {
            let from = from as usize;
            packet.get(from..from + bytes).map(|b| b.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
        };
        let jump = |yes: bool| if yes { usize::from(jt) } else { usize::from(jf) };
        let loaded = match code {
            0x20 => match k.wrapping_sub(libc::SKF_AD_OFF as u32) as i32 {
                libc::SKF_AD_IFINDEX => Some(meta.index),
                libc::SKF_AD_HATYPE => Some(meta.hardware),
                libc::SKF_AD_PKTTYPE => Some(meta.kind),
                _ => panic!("load of {k:#x}"),
            },
            0x28 => load(k, 2),
            0x30 => load(k, 1),
            0x48 => load(x.wrapping_add(k), 2),
            0x50 => load(x.wrapping_add(k), 1),
            0x60 => Some(kept),
            _ => Some(a),
        };
        match loaded {
            Some(value) => a = value,
            None => return 0,
        }
        match code {
            0x20 | 0x28 | 0x30 | 0x48 | 0x50 | 0x60 => assert!(code != 0x60 || k == 0),
            0x01 => x = k,
            0x02 => kept = a,
            0x54 => a &= k,
            0x64 => a <<= k,
            0x74 => a >>= k,
            0x04 => a = a.wrapping_add(k),
            0x0c => a = a.wrapping_add(x),
            0x87 => a = x,
            0x07 => x = a,
            0x05 => at += k as usize,
            0x15 => at += jump(a == k),
            0x25 => at += jump(a > k),
            0x35 => at += jump(a >= k),
            0x45 => at += jump(a & k != 0),
            0x06 => return k,
            0x16 => return a,
            _ => panic!("code {code:#x}"),
        }
    }
    panic!("it does not end");
}

fn interest() -> Interest {
    Interest { ports: vec![25, 587, 2525, 465], dns: true, syn: true }
}

fn filter(interest: &Interest) -> Vec<sock_filter> {
    program(Some(&[3, 7, 8, 9, 100]), interest).expect("short enough")
}

const V6: ([u8; 16], [u8; 16]) = ([0x20; 16], [0x21; 16]);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flags {
    Syn,
    SynAck,
    Rst,
    Data,
}

/// Packets of both versions, without link layer.
fn tcp(ports: (u16, u16), flags: Flags, payload: &[u8]) -> [Vec<u8>; 2] {
    [
        PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64).tcp(ports.0, ports.1, 1, 1),
        PacketBuilder::ipv6(V6.0, V6.1, 64).tcp(ports.0, ports.1, 1, 1),
    ]
    .map(|builder| {
        let builder = match flags {
            Flags::Syn => builder.syn(),
            Flags::SynAck => builder.syn().ack(1),
            Flags::Rst => builder.rst(),
            Flags::Data => builder.ack(1).psh(),
        };
        let builder = builder
            .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1460)])
            .expect("room");
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).expect("memory");
        packet
    })
}

fn udp(ports: (u16, u16)) -> [Vec<u8>; 2] {
    [
        PacketBuilder::ipv4([192, 0, 2, 1], [198, 51, 100, 1], 64).udp(ports.0, ports.1),
        PacketBuilder::ipv6(V6.0, V6.1, 64).udp(ports.0, ports.1),
    ]
    .map(|builder| {
        let mut packet = Vec::new();
        builder.write(&mut packet, b"payload").expect("memory");
        packet
    })
}

/// The packet as the interfaces show it: Ethernet with up to three tags, loopback, plain IP; with the length before it.
fn framed(ip: &[u8]) -> Vec<(usize, Vec<u8>, Meta)> {
    let kind: [u8; 2] = if ip[0] >> 4 == 4 { [0x08, 0] } else { [0x86, 0xdd] };
    let mut all = vec![(0, ip.to_vec(), RAW)];
    for tags in [&[][..], &[0x8100], &[0x88a8, 0x8100], &[0x9100, 0x8100, 0x8100]] {
        let mut frame = vec![2; 12];
        for tag in tags {
            frame.extend(u16::to_be_bytes(*tag));
            frame.extend([0, 42]);
        }
        frame.extend(kind);
        let before = frame.len();
        frame.extend(ip);
        all.push((before, frame.clone(), ETHERNET));
        if tags.is_empty() {
            all.push((before, frame, LOOPBACK));
        }
    }
    all
}

#[test]
fn interests_are_taken_and_nothing_else() {
    let wanted = interest();
    for (ports, flags) in [
        ((40_000, 25), Flags::Data),
        ((25, 40_000), Flags::Data),
        ((40_000, 465), Flags::Syn),
        ((587, 40_000), Flags::SynAck),
        ((40_000, 2525), Flags::Rst),
        ((40_000, 53), Flags::Data),
        ((53, 40_000), Flags::SynAck),
        ((40_000, 80), Flags::Syn),
        ((80, 40_000), Flags::SynAck),
        ((80, 40_000), Flags::Rst),
        ((40_000, 80), Flags::Data),
        ((40_000, 24), Flags::Data),
        ((40_000, 26), Flags::Data),
        ((8080, 2526), Flags::Data),
    ] {
        for without in ["", "dns", "syn"] {
            let wanted = Interest {
                dns: wanted.dns && without != "dns",
                syn: wanted.syn && without != "syn",
                ..wanted.clone()
            };
            let program = filter(&wanted);
            for ip in tcp(ports, flags, b"a payload") {
                let headers = ip.len() - b"a payload".len();
                for (before, frame, meta) in framed(&ip) {
                    let is = |port: u16| ports.0 == port || ports.1 == port;
                    let expected =
                        if wanted.ports.iter().any(|port| is(*port)) || (is(53) && wanted.dns) {
                            WHOLE
                        } else if wanted.syn && flags != Flags::Data {
                            (before + headers) as u32
                        } else {
                            0
                        };
                    let taken = run(&program, &frame, meta);
                    assert_eq!(taken, expected, "{ports:?} {flags:?} without {without} {before}");
                }
            }
        }
    }
    for (ports, dns) in [((4000, 53), true), ((53, 4000), true), ((4000, 25), false)] {
        for ip in udp(ports) {
            for (_, frame, meta) in framed(&ip) {
                let taken = run(&filter(&wanted), &frame, meta);
                assert_eq!(taken > 0, dns, "{ports:?}");
                let without = Interest { dns: false, ..wanted.clone() };
                assert_eq!(run(&filter(&without), &frame, meta), 0);
            }
        }
    }
}

#[test]
fn only_interfaces_that_are_watched() {
    let (program, all) = (filter(&interest()), program(None, &interest()).expect("short"));
    let ip = &tcp((40_000, 25), Flags::Data, b"x")[0];
    let (_, frame, meta) = &framed(ip)[1];
    for index in 0..120 {
        let meta = Meta { index, ..*meta };
        let watched = [3, 7, 8, 9, 100].contains(&index);
        assert_eq!(run(&program, frame, meta) > 0, watched, "{index}");
        assert!(run(&all, frame, meta) > 0, "{index}");
    }
    // A hardware type that is not understood.
    assert_eq!(run(&program, frame, Meta { hardware: 512, ..*meta }), 0);
}

#[test]
fn each_packet_of_the_loopback_once() {
    let ip = &tcp((40_000, 25), Flags::Data, b"x")[0];
    let (_, frame, _) = &framed(ip)[1];
    let leaving = u32::from(libc::PACKET_OUTGOING);
    assert_eq!(run(&filter(&interest()), frame, Meta { kind: leaving, ..LOOPBACK }), 0);
    assert_eq!(run(&filter(&interest()), frame, Meta { kind: leaving, ..ETHERNET }), WHOLE);
}

#[test]
fn later_fragments_of_tcp_are_taken() {
    let program = filter(&interest());
    for (ip, expected) in [(&tcp((9, 9), Flags::Data, b"x")[0], WHOLE), (&udp((53, 53))[0], 0)] {
        let mut ip = ip.clone();
        ip[7] = 100;
        for (_, frame, meta) in framed(&ip) {
            assert_eq!(run(&program, &frame, meta), expected);
        }
        // The first one has ports.
        (ip[6], ip[7]) = (0x20, 0);
        for (_, frame, meta) in framed(&ip) {
            let taken = run(&program, &frame, meta);
            assert_eq!(taken, if expected == 0 { WHOLE } else { 0 });
        }
    }
}

/// An IPv6 packet of TCP with these headers before: number and bytes.
fn extended(headers: &[(u8, Vec<u8>)], ports: (u16, u16)) -> Vec<u8> {
    let plain = &tcp(ports, Flags::Data, b"x")[1];
    let mut packet = plain[..40].to_vec();
    packet[6] = headers.first().map_or(6, |(kind, _)| *kind);
    for (at, (_, bytes)) in headers.iter().enumerate() {
        let mut bytes = bytes.clone();
        bytes[0] = headers.get(at + 1).map_or(6, |(kind, _)| *kind);
        packet.extend(bytes);
    }
    packet.extend(&plain[40..]);
    packet
}

#[test]
fn extension_headers_are_followed() {
    let program = filter(&interest());
    let raw = |len: usize| {
        let header = Ipv6RawExtHeader::new_raw(IpNumber::TCP, &vec![1; len]).expect("a length");
        let mut bytes = Vec::new();
        header.write(&mut bytes).expect("memory");
        bytes
    };
    let auth = vec![0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9, 8, 8, 8, 8, 7, 7, 7, 7];
    let fragment = |field: u16| {
        let [a, b] = field.to_be_bytes();
        vec![0, 0, a, b, 0, 0, 0, 9]
    };
    let chains: Vec<Vec<(u8, Vec<u8>)>> = vec![
        vec![],
        vec![(0, raw(6))],
        vec![(60, raw(14)), (43, raw(22)), (135, raw(6))],
        vec![(51, auth.clone())],
        vec![(44, fragment(0))],
        vec![(44, fragment(1)), (60, raw(6)), (51, auth.clone())],
    ];
    for chain in &chains {
        for (ports, expected) in [((9, 25), WHOLE), ((9, 9), 0)] {
            let ip = extended(chain, ports);
            for (_, frame, meta) in framed(&ip) {
                assert_eq!(run(&program, &frame, meta), expected, "{chain:?} {ports:?}");
            }
        }
    }
    // A later fragment is taken whatever lies where ports would be.
    let later = extended(&[(44, fragment(8))], (9, 9));
    assert_eq!(run(&program, &later, RAW), WHOLE);
    let too_many = extended(&vec![(60, raw(6)); 7], (9, 25));
    assert_eq!(run(&program, &too_many, RAW), 0);
}

#[test]
fn a_packet_cut_anywhere_is_no_trouble() {
    let program = filter(&interest());
    for ip in tcp((40_000, 25), Flags::Data, b"").into_iter().chain(udp((53, 4))) {
        for (_, frame, meta) in framed(&ip) {
            for length in 0..frame.len() {
                let _ = run(&program, &frame[..length], meta);
            }
        }
    }
}

#[test]
fn jumps_reach_however_far() {
    // Every 10th number: no two make a range, and the far ends are more than 255 instructions away.
    let numbers: Vec<u32> = (0..300).map(|n| n * 10 + 3).collect();
    let program = program(Some(&numbers), &interest()).expect("short enough");
    assert!(program.len() > 600 && program.len() < 2500, "{}", program.len());
    let ip = &tcp((40_000, 25), Flags::Data, b"x")[0];
    let (_, frame, meta) = &framed(ip)[1];
    for index in 0..3100 {
        let watched = numbers.contains(&index);
        assert_eq!(run(&program, frame, Meta { index, ..*meta }) > 0, watched, "{index}");
    }
    let many: Vec<u32> = (0..4000).map(|n| n * 10).collect();
    assert!(filter::program(Some(&many), &interest()).is_none());
}

#[test]
fn a_program_without_its_label_is_none() {
    let mut asm = Assembler::default();
    let nowhere = asm.label();
    asm.ask(Ask::Is(1), nowhere, nowhere);
    asm.ops(&[Op::Take(0)]);
    assert!(asm.finish().is_none());
    // Nor one that goes back.
    let mut asm = Assembler::default();
    let back = asm.label();
    asm.here(back);
    asm.ops(&[Op::SetX(0)]);
    asm.go(back);
    assert!(asm.finish().is_none());
}

#[test]
fn what_cannot_be_attached_is_refused_with_the_reason() {
    let point = |name: &str, index, link| Point {
        number: 0,
        interface: Interface { index, name: name.into(), link, loopback: false },
        observe: Observe::Full,
    };
    let error = check(&point("nosuch0", 999_999, LinkType::Ethernet)).expect_err("none");
    assert_eq!(error.error.raw_os_error(), Some(libc::ENODEV));
    assert!(error.to_string().starts_with("cannot attach to nosuch0: "), "{error}");
    let error = check(&point("wlan0", 1, LinkType::Other(105))).expect_err("a strange one");
    assert!(error.to_string().contains("Other(105)"), "{error}");
    let error = check(&point("lo1", 1, LinkType::Ethernet)).expect_err("renamed");
    assert!(error.to_string().contains("it is called lo now"), "{error}");
    assert!(check(&point("lo", 1, LinkType::Ethernet)).is_ok());
}
