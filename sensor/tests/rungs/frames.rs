//! What is sent is taken, as it was sent.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{SystemTime, UNIX_EPOCH};

use botlike::source::live::afpacket::{AfPacket, RING};
use botlike::source::live::libpcap::Libpcap;
use botlike::source::live::{Interest, Observe, Rung};
use botlike_core::wire::{LinkType, Parsed, parse};
use etherparse::PacketBuilder;

use crate::namespace::{Taken, ip, point, send, take_all, within};

pub(crate) fn interest() -> Interest {
    Interest { ports: vec![25, 2525], dns: true, syn: true }
}

fn rungs() -> Vec<Box<dyn Rung>> {
    vec![
        Box::new(AfPacket::open(&interest(), RING).expect("a ring")),
        Box::new(Libpcap::new(&interest(), RING)),
    ]
}

/// Without what the kernel says to its neighbours: libpcap's expression lets some of it pass.
fn of_the_test(all: Vec<Taken>) -> Vec<Taken> {
    all.into_iter().filter(|taken| taken.data[6..12] == [2, 0, 0, 0, 0, 1]).collect()
}

fn v4() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(
        [192, 0, 2, 1],
        [192, 0, 2, 2],
        64,
    )
}

fn v6() -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv6([1; 16], [2; 16], 64)
}

fn built<T>(step: etherparse::PacketBuilderStep<T>, payload: &[u8]) -> Vec<u8>
where
    etherparse::PacketBuilderStep<T>: Written,
{
    let mut frame = Vec::new();
    step.written(&mut frame, payload);
    frame
}

/// What can be written out: the builder has a method of its own for each protocol.
pub(crate) trait Written {
    fn written(self, frame: &mut Vec<u8>, payload: &[u8]);
}

impl Written for etherparse::PacketBuilderStep<etherparse::TcpHeader> {
    fn written(self, frame: &mut Vec<u8>, payload: &[u8]) {
        self.write(frame, payload).expect("memory");
    }
}

impl Written for etherparse::PacketBuilderStep<etherparse::UdpHeader> {
    fn written(self, frame: &mut Vec<u8>, payload: &[u8]) {
        self.write(frame, payload).expect("memory");
    }
}

/// The frame with VLAN tags before its type.
fn tagged(frame: &[u8], tags: &[u16]) -> Vec<u8> {
    let mut all = frame[..12].to_vec();
    for tag in tags {
        all.extend(tag.to_be_bytes());
        all.extend([0x20, 42]);
    }
    all.extend(&frame[12..]);
    all
}

#[test]
fn what_is_sent_is_taken() {
    within("what_is_sent_is_taken", || {
        ip("link add name a type veth peer name b");
        ip("link set dev a up");
        ip("link set dev b up");
        let mut fragment = built(v4().tcp(1, 2, 3, 4).ack(5), b"later part of a datagram");
        fragment[21] = 9;
        let plain = built(v4().tcp(40_000, 25, 1, 1).ack(1).psh(), b"EHLO one.example\r\n");
        let wanted = [
            built(v4().tcp(40_000, 25, 1, 1).syn(), b""),
            plain.clone(),
            built(v4().tcp(25, 40_000, 1, 1).ack(1), &[b'x'; 1400]),
            built(v6().tcp(40_000, 2525, 1, 1).ack(1), b"NOOP\r\n"),
            built(v4().udp(40_000, 53), b"a question"),
            built(v6().udp(53, 40_000), b"an answer"),
            built(v4().tcp(40_000, 53, 1, 1).ack(1), b"a long question"),
            built(v4().tcp(40_000, 80, 1, 1).syn(), b""),
            built(v6().tcp(80, 40_000, 1, 1).syn().ack(1), b""),
            built(v4().tcp(80, 40_000, 1, 1).rst(), b""),
            fragment,
            tagged(&plain, &[0x8100]),
            tagged(&plain, &[0x88a8, 0x8100]),
        ];
        let foreign = [
            built(v4().tcp(40_000, 80, 1, 1).ack(1), b"GET / HTTP/1.1"),
            built(v6().tcp(443, 40_000, 1, 1).ack(1), b"200"),
            built(v4().udp(40_000, 123), b"what time is it"),
        ];
        for mut rung in rungs() {
            let kind = rung.kind().name();
            // Both ends, each with its number: what leaves one arrives at the other.
            rung.attach(&point(4, "a", Observe::Full)).expect("attached");
            rung.attach(&point(9, "b", Observe::Full)).expect("attached");
            let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos();
            for frame in &foreign {
                send("a", std::slice::from_ref(frame));
            }
            send("a", &wanted);
            let all = of_the_test(take_all(&mut *rung));
            for number in [4, 9] {
                let taken: Vec<_> = all.iter().filter(|taken| taken.iface == number).collect();
                assert_eq!(taken.len(), wanted.len(), "{kind} {number}");
                for (taken, sent) in taken.iter().zip(&wanted) {
                    assert_eq!(&taken.data, sent, "{kind} {number}");
                    assert_eq!(taken.link, LinkType::Ethernet);
                    assert_eq!(taken.orig_len as usize, sent.len(), "{kind}");
                    let at = u128::from(taken.at.as_nanos());
                    assert!(at.abs_diff(before) < 60_000_000_000, "{kind} {at}");
                }
            }
            // Nothing of one that is not watched any more.
            rung.detach(point(4, "a", Observe::Full).interface.index);
            send("a", &wanted);
            let all = of_the_test(take_all(&mut *rung));
            assert_eq!(all.len(), wanted.len(), "{kind}");
            assert!(all.iter().all(|taken| taken.iface == 9), "{kind}");
            assert_eq!(rung.losses().sum(), 0, "{kind}");
        }
    });
}

#[test]
fn headers_only_of_a_foreign_syn() {
    within("headers_only_of_a_foreign_syn", || {
        ip("link add name a type veth peer name b");
        ip("link set dev a up");
        ip("link set dev b up");
        let mut rung = AfPacket::open(&interest(), RING).expect("a ring");
        rung.attach(&point(0, "b", Observe::Full)).expect("attached");
        let syn = built(v4().tcp(40_000, 443, 1, 1).syn(), b"early data");
        send("a", std::slice::from_ref(&syn));
        let all = take_all(&mut rung);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].data, syn[..54]);
        assert_eq!(all[0].orig_len as usize, syn.len());
    });
}

#[test]
fn a_megabyte_over_the_loopback_once_and_whole() {
    within("a_megabyte_over_the_loopback_once_and_whole", || {
        ip("link set dev lo up");
        for mut rung in rungs() {
            let kind = rung.kind().name();
            rung.attach(&point(0, "lo", Observe::Full)).expect("attached");
            let listener = TcpListener::bind("127.0.0.1:2525").expect("a port");
            let mut client = TcpStream::connect("127.0.0.1:2525").expect("a connection");
            let (mut server, _) = listener.accept().expect("a connection");
            let sent: Vec<u8> = (0..1u32 << 20).map(|n| (n % 251) as u8).collect();
            let from = client.local_addr().expect("an address").port();
            std::thread::scope(|scope| {
                scope.spawn(|| client.write_all(&sent).expect("it is read"));
                let mut got = vec![0; sent.len()];
                server.read_exact(&mut got).expect("all of it");
            });
            drop((client, server));
            let (mut bytes, mut first, mut largest) = (vec![0u8; sent.len()], None, 0);
            // What is sent again has another IP identification.
            let mut different = HashSet::new();
            for taken in take_all(&mut *rung) {
                let parsed = parse(taken.link, &taken.data, taken.orig_len, 0);
                let Parsed::Segment(segment) = parsed else { panic!("{kind}: {parsed:?}") };
                assert!(different.insert(taken.data.clone()), "{kind}: a packet came twice");
                if segment.src.port != from {
                    continue;
                }
                let first = *first.get_or_insert(segment.seq.wrapping_add(1));
                let at = segment.seq.wrapping_sub(first) as usize;
                if !segment.payload.is_empty() {
                    bytes[at..at + segment.payload.len()].copy_from_slice(segment.payload);
                    largest = largest.max(segment.payload.len());
                }
            }
            assert!(bytes == sent, "{kind}: what was sent");
            assert!(largest > 30_000, "{kind}: packets are whole, the largest {largest}");
            assert_eq!(rung.losses().sum(), 0, "{kind}");
        }
    });
}

#[test]
fn an_interface_that_goes_ends_nothing() {
    within("an_interface_that_goes_ends_nothing", || {
        for mut rung in rungs() {
            let kind = rung.kind().name();
            ip("link add name a type veth peer name b");
            ip("link set dev a up");
            ip("link set dev b up");
            ip("link add name c type veth peer name d");
            ip("link set dev c up");
            ip("link set dev d up");
            let gone = point(0, "b", Observe::Full);
            rung.attach(&gone).expect("attached");
            rung.attach(&point(1, "d", Observe::Full)).expect("attached");
            ip("link del dev a");
            let frame = built(v4().tcp(40_000, 25, 1, 1).ack(1), b"NOOP\r\n");
            send("c", std::slice::from_ref(&frame));
            let all = of_the_test(take_all(&mut *rung));
            assert_eq!(all.len(), 1, "{kind}");
            assert_eq!(all[0].iface, 1, "{kind}");
            let error = rung.attach(&gone).expect_err("it is not there");
            assert_eq!(error.error.raw_os_error(), Some(libc::ENODEV), "{kind}: {error}");
            rung.detach(gone.interface.index);
            // Another of that name.
            ip("link add name a type veth peer name b");
            ip("link set dev a up");
            ip("link set dev b up");
            rung.attach(&point(2, "b", Observe::Full)).expect("attached");
            send("a", std::slice::from_ref(&frame));
            assert_eq!(of_the_test(take_all(&mut *rung)).len(), 1, "{kind}");
            ip("link del dev a");
            ip("link del dev c");
        }
    });
}

#[test]
fn three_hundred_interfaces_have_a_filter() {
    within("three_hundred_interfaces_have_a_filter", || {
        ip("link add name a type veth peer name b");
        ip("link set dev a up");
        ip("link set dev b up");
        let mut rung = AfPacket::open(&interest(), RING).expect("a ring");
        for number in 0..150 {
            ip(&format!("link add name v{number} type veth peer name w{number}"));
            if number % 3 == 0 {
                rung.attach(&point(number, &format!("v{number}"), Observe::Full))
                    .expect("attached");
            }
            rung.attach(&point(1000 + number, &format!("w{number}"), Observe::Full))
                .expect("attached");
        }
        rung.attach(&point(7, "b", Observe::Full)).expect("attached");
        send("a", &[built(v4().tcp(40_000, 25, 1, 1).ack(1), b"NOOP\r\n")]);
        let all = take_all(&mut rung);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].iface, 7);
    });
}

#[test]
fn without_the_right_it_says_which() {
    within("without_the_right_it_says_which", || {
        // CAP_NET_RAW is 13. SAFETY: version 3 takes two sets of three numbers; it concerns this thread alone.
        let done = unsafe {
            let header = [0x2008_0522u32, 0];
            let mut sets = [0u32; 6];
            assert_eq!(libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()), 0);
            sets[0] &= !(1 << 13);
            libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr())
        };
        assert_eq!(done, 0);
        let error = AfPacket::open(&interest(), RING).err().expect("it is forbidden");
        assert_eq!(error.error.raw_os_error(), Some(libc::EPERM));
        let text = error.to_string();
        assert!(text.starts_with("cannot open a packet socket: "), "{text}");
        assert!(text.contains("setcap cap_net_raw+ep"), "{text}");
        assert!(text.contains("AmbientCapabilities=CAP_NET_RAW"), "{text}");
        let mut rung = Libpcap::new(&interest(), RING);
        let error = rung.attach(&point(0, "lo", Observe::Full)).expect_err("it is forbidden");
        assert!(error.to_string().contains("setcap cap_net_raw+ep"), "{error}");
    });
}
