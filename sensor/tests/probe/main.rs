//! The probe in the kernel: frames put on interfaces of a namespace, and what comes out of the ring.
#![cfg(target_os = "linux")]

mod dialogue;
mod kit;
mod process;

use std::io::Write;

use botlike::source::live::tcx::Options;
use botlike::source::live::{Observe, Rung};
use botlike_core::wire::LinkType;
use botlike_ebpf::record::Count;
use botlike_tests::frame::Link;
use botlike_tests::packet::{Flags, Fragmented, Packet};
use botlike_tests::skip::{Kind, skip};

use kit::{Sender, alone, frames, holds, interest, load, point, take, tcp, tun, udp};

const HERE: &str = "10.0.0.1:40000";
const HERE6: &str = "[2001:db8::1]:40000";

/// One packet for each interest and family, and how much of its frame is to be taken: all, or so many bytes.
fn of_interest() -> Vec<(Packet, Option<usize>)> {
    let fragmented =
        |packet| Packet { fragmented: Some(Fragmented { size: 512, reversed: false }), ..packet };
    let body = vec![b'x'; 1300];
    let data = Flags::ACK | Flags::PSH;
    vec![
        (tcp(HERE, "192.0.2.1:25", Flags::SYN, 1, b""), None),
        (tcp("192.0.2.1:25", HERE, data, 1, b"220 hello\r\n"), None),
        (tcp(HERE, "192.0.2.1:587", data, 1, &body), None),
        (tcp(HERE6, "[2001:db8::2]:25", data, 1, b"EHLO host.example\r\n"), None),
        (tcp("[2001:db8::2]:465", HERE6, Flags::ACK, 1, b""), None),
        (udp(HERE, "192.0.2.53:53", b"a question"), None),
        (udp("[2001:db8::53]:53", HERE6, &body), None),
        (tcp(HERE, "192.0.2.53:53", data, 1, b"a question"), None),
        (tcp(HERE, "192.0.2.1:443", Flags::SYN, 1, b""), None),
        (tcp("192.0.2.1:443", HERE, Flags::SYN | Flags::ACK, 1, b""), None),
        // Of other ports the headers only.
        (tcp("192.0.2.1:443", HERE, Flags::RST | Flags::ACK, 1, b"secret"), Some(14 + 20 + 20)),
        (tcp("[2001:db8::2]:443", HERE6, Flags::RST, 1, b"secret"), Some(14 + 40 + 20)),
        (fragmented(tcp(HERE, "192.0.2.1:25", data, 1, &body)), None),
        (fragmented(tcp(HERE6, "[2001:db8::2]:25", data, 1, &body)), None),
    ]
}

fn of_no_interest() -> Vec<Packet> {
    let data = Flags::ACK | Flags::PSH;
    vec![
        tcp(HERE, "192.0.2.1:443", data, 1, b"secret"),
        tcp("[2001:db8::2]:443", HERE6, data, 1, b"secret"),
        tcp(HERE, "192.0.2.1:24", data | Flags::FIN, 1, b""),
        tcp(HERE, "192.0.2.1:26", data, 1, b""),
        udp(HERE, "192.0.2.1:25", b"not TCP"),
        udp(HERE6, "[2001:db8::2]:443", b"secret"),
    ]
}

#[test]
fn frames_are_taken_as_they_were_sent() {
    alone("frames_are_taken_as_they_were_sent", || {
        let mut rung = load(&interest(), Options::default()).unwrap();
        let (va, vb) = (point("va", Observe::Full), point("vb", Observe::Full));
        rung.attach(&va).unwrap();
        rung.attach(&vb).unwrap();
        let sender = Sender::new(va.number);
        let began = now();
        for link in [Link::Ethernet, Link::Vlan, Link::Qinq] {
            for (packet, cut) in of_interest() {
                let tags = match link {
                    Link::Vlan => 4,
                    Link::Qinq => 8,
                    _ => 0,
                };
                let sent = frames(link, &packet);
                for frame in &sent {
                    sender.send(frame);
                }
                // Each leaves one end and arrives at the other.
                let taken = take(&mut rung, sent.len() * 2);
                for end in [&va, &vb] {
                    let at_end: Vec<_> = taken.iter().filter(|t| t.iface == end.number).collect();
                    assert_eq!(at_end.len(), sent.len(), "{link:?} {packet:?}");
                    for (taken, frame) in at_end.iter().zip(&sent) {
                        let len = cut.map_or(frame.len(), |cut| cut + tags);
                        assert_eq!(taken.data, frame[..len], "{link:?} {packet:?}");
                        assert_eq!(taken.orig_len as usize, frame.len());
                        assert_eq!(taken.link, LinkType::Ethernet);
                        assert!(taken.at >= began - 1_000_000 && taken.at <= now() + 1_000_000);
                    }
                }
            }
        }
        assert_eq!(rung.losses().sum(), 0);
        let counts = rung.counts();
        assert_eq!(counts.get(Count::Foreign), 0, "{counts:?}");
    });
}

#[test]
fn frames_of_no_interest_are_counted_and_not_taken() {
    alone("frames_of_no_interest_are_counted_and_not_taken", || {
        let mut rung = load(&interest(), Options::default()).unwrap();
        let va = point("va", Observe::Full);
        rung.attach(&va).unwrap();
        let sender = Sender::new(va.number);
        let mut sent = 0;
        for link in [Link::Ethernet, Link::Vlan, Link::Qinq] {
            for frame in of_no_interest().iter().flat_map(|packet| frames(link, packet)) {
                sender.send(&frame);
                sent += 1;
            }
        }
        assert_eq!(take(&mut rung, 0), []);
        let counts = rung.counts();
        assert_eq!(counts.get(Count::Foreign), sent, "{counts:?}");
        assert_eq!(counts.get(Count::Copied), 0, "{counts:?}");
    });
}

#[test]
fn interests_that_are_off_are_of_no_interest() {
    alone("interests_that_are_off_are_of_no_interest", || {
        let mut interest = interest();
        (interest.dns, interest.syn) = (false, false);
        let mut rung = load(&interest, Options::default()).unwrap();
        let va = point("va", Observe::Full);
        rung.attach(&va).unwrap();
        let sender = Sender::new(va.number);
        for packet in [
            udp(HERE, "192.0.2.53:53", b"a question to be long enough"),
            tcp(HERE, "192.0.2.53:53", Flags::SYN, 1, b""),
            tcp(HERE, "192.0.2.1:443", Flags::SYN, 1, b""),
            tcp(HERE, "192.0.2.1:25", Flags::SYN, 1, b""),
        ] {
            frames(Link::Ethernet, &packet).iter().for_each(|frame| sender.send(frame));
        }
        assert_eq!(take(&mut rung, 1).len(), 1);
        assert_eq!(rung.counts().get(Count::Foreign), 3);
    });
}

#[test]
fn packets_of_64_kibibytes_are_taken_whole() {
    alone("packets_of_64_kibibytes_are_taken_whole", || {
        let mut rung = load(&interest(), Options::default()).unwrap();
        let lo = point("lo", Observe::Full);
        rung.attach(&lo).unwrap();
        let sender = Sender::new(lo.number);
        // About each size of a record, and the longest there is.
        for len in [100, 223, 224, 225, 1632, 1633, 4321, 9184, 9185, 17_377, 33_760, 65_549] {
            let payload: Vec<u8> = (0..len - 54).map(|n: usize| (n % 251) as u8).collect();
            let sent = frames(Link::Ethernet, &tcp(HERE, "192.0.2.1:25", Flags::ACK, 1, &payload));
            sender.send(&sent[0]);
            let taken = take(&mut rung, 1);
            // On a loopback each packet passes twice, and is taken as it arrives.
            assert_eq!(taken.len(), 1);
            assert_eq!((taken[0].data.len(), taken[0].orig_len as usize), (len, len));
            assert!(taken[0].data == sent[0], "{len}");
        }
        assert_eq!(rung.losses().sum(), 0);
    });
}

#[test]
fn devices_without_a_link_layer_are_read() {
    alone("devices_without_a_link_layer_are_read", || {
        let mut device = tun("tun7").unwrap();
        kit::ip("link set tun7 up addrgenmode none").unwrap();
        let mut rung = load(&interest(), Options::default()).unwrap();
        let point = point("tun7", Observe::Full);
        rung.attach(&point).unwrap();
        for (packet, cut) in of_interest() {
            let sent = frames(Link::Raw, &packet);
            for frame in &sent {
                device.write_all(frame).unwrap();
            }
            let taken = take(&mut rung, sent.len());
            assert_eq!(taken.len(), sent.len(), "{packet:?}");
            for (taken, frame) in taken.iter().zip(&sent) {
                let len = cut.map_or(frame.len(), |cut| cut - 14);
                assert_eq!(taken.data, frame[..len], "{packet:?}");
                assert_eq!((taken.iface, taken.link), (point.number, LinkType::Raw));
            }
        }
        for packet in of_no_interest() {
            device.write_all(&frames(Link::Raw, &packet)[0]).unwrap();
        }
        assert_eq!(take(&mut rung, 0), []);
    });
}

#[test]
fn a_full_ring_is_counted_and_traffic_goes_on() {
    alone("a_full_ring_is_counted_and_traffic_goes_on", || {
        let options = Options { ring: 256 << 10, ..Options::default() };
        let mut rung = load(&interest(), options).unwrap();
        let (va, vb) = (point("va", Observe::Full), point("vb", Observe::Full));
        rung.attach(&va).unwrap();
        rung.attach(&vb).unwrap();
        let sender = Sender::new(va.number);
        let sent = 1000;
        let frame =
            frames(Link::Ethernet, &tcp(HERE, "192.0.2.1:25", Flags::ACK, 1, &[b'x'; 1300]));
        for _ in 0..sent {
            sender.send(&frame[0]);
        }
        let taken = take(&mut rung, 1).len() as u64;
        let counts = rung.counts();
        // Each was looked at on both ends: the ring kept none from passing.
        assert_eq!(counts.get(Count::Smtp), sent * 2);
        assert_eq!(counts.get(Count::Copied), taken);
        assert_eq!(rung.losses().ring_full, sent * 2 - taken);
        assert!(taken >= 100 && taken < sent, "{taken}");
        // And there is room again.
        sender.send(&frame[0]);
        assert_eq!(take(&mut rung, 2).len(), 2);
    });
}

#[test]
fn two_sensors_see_the_same() {
    alone("two_sensors_see_the_same", || {
        let va = point("va", Observe::Full);
        let sender = Sender::new(va.number);
        let mut rungs = [0, 1].map(|_| load(&interest(), Options::default()).unwrap());
        rungs.iter_mut().for_each(|rung| rung.attach(&va).unwrap());
        let sent: Vec<_> =
            of_interest().iter().flat_map(|(packet, _)| frames(Link::Ethernet, packet)).collect();
        sent.iter().for_each(|frame| sender.send(frame));
        let [mut one, mut other] = rungs.each_mut().map(|rung| take(rung, sent.len()));
        one.iter_mut().chain(&mut other).for_each(|taken| taken.at = 0);
        assert_eq!(one.len(), sent.len());
        assert_eq!(one, other);
        // One that ends, or lets go of the interface, takes nothing from the other.
        let [first, mut second] = rungs;
        drop(first);
        sender.send(&sent[0]);
        assert_eq!(take(&mut second, 1).len(), 1);
        second.detach(va.number);
        sender.send(&sent[0]);
        assert_eq!(take(&mut second, 0), []);
        second.attach(&va).unwrap();
        sender.send(&sent[0]);
        assert_eq!(take(&mut second, 1).len(), 1);
    });
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

#[test]
fn metadata_lets_no_secret_into_the_ring() {
    alone("metadata_lets_no_secret_into_the_ring", || {
        let mut rung = load(&interest(), Options::default()).unwrap();
        let mut lo = point("lo", Observe::Metadata);
        rung.attach(&lo).unwrap();
        // A dialogue as real stacks carry it, over both families.
        for address in ["127.0.0.1:25", "[::1]:587"] {
            dialogue::talk(address);
        }
        let taken = take(&mut rung, 20);
        assert_eq!(rung.losses().sum(), 0);
        for family in [2usize, 10] {
            let of_family: Vec<u8> = taken
                .iter()
                .filter(|taken| (taken.data[12] == 0x86) == (family == 10))
                .flat_map(|taken| taken.data.clone())
                .collect();
            // What metadata is for is there.
            for whole in dialogue::OPEN {
                assert!(holds(&of_family, whole.as_bytes()), "{family}: {whole:?}");
            }
        }
        for secret in dialogue::SECRETS {
            for taken in &taken {
                assert!(!holds(&taken.data, secret.as_bytes()), "{secret}: {taken:?}");
            }
            // Nor anywhere else in what the probe keeps: not behind the end of a record, not in a table.
            for (name, memory) in kit::memory(&rung) {
                assert!(!holds(&memory, secret.as_bytes()), "{secret} is in {name}");
            }
        }
        assert!(rung.counts().get(Count::Held) > 0);

        // The same is all there where all may be seen.
        lo.observe = Observe::Full;
        rung.attach(&lo).unwrap();
        dialogue::talk("127.0.0.1:25");
        let all: Vec<u8> = take(&mut rung, 20).into_iter().flat_map(|taken| taken.data).collect();
        for secret in dialogue::SECRETS {
            assert!(holds(&all, secret.as_bytes()), "{secret}");
        }
        assert!(kit::memory(&rung).iter().any(|(_, memory)| holds(memory, b"hidden-subject")));
    });
}

#[test]
fn metadata_shows_no_payload_of_what_began_before() {
    alone("metadata_shows_no_payload_of_what_began_before", || {
        let mut rung = load(&interest(), Options::default()).unwrap();
        let va = point("va", Observe::Metadata);
        rung.attach(&va).unwrap();
        let sender = Sender::new(va.number);
        let data = Flags::ACK | Flags::PSH;
        let send = |packet: Packet| {
            frames(Link::Ethernet, &packet).iter().for_each(|frame| sender.send(frame));
        };
        // No SYN was seen; then one was, of a connection whose packets come in fragments.
        send(tcp(HERE, "192.0.2.1:25", data, 1, b"EHLO host.example\r\n"));
        send(tcp("192.0.2.1:25", HERE, data, 1, b"250 mx.example\r\n"));
        send(tcp(HERE, "192.0.2.2:25", Flags::SYN, 0, b""));
        send(Packet {
            fragmented: Some(Fragmented { size: 64, reversed: false }),
            ..tcp(HERE, "192.0.2.2:25", data, 1, &b"EHLO host.example\r\n".repeat(9))
        });
        send(tcp(HERE, "192.0.2.2:25", data, 172, b"EHLO host.example\r\n"));
        let taken = take(&mut rung, 4 + 3);
        assert_eq!(taken.len(), 7);
        for taken in taken {
            assert!(
                !holds(&taken.data, b"host.example") && !holds(&taken.data, b"mx."),
                "{taken:?}"
            );
        }
    });
}

#[test]
fn nothing_is_left_when_its_process_is_killed() {
    alone("nothing_is_left_when_its_process_is_killed", || {
        let mut watch = process::Watch::root("va");
        let held = watch.holds();
        let counts = (held.programs.len(), held.maps.len() >= 5, held.links.len());
        assert_eq!(counts, (2, true, 2), "{held:?}");
        let left = held.left();
        assert_eq!((left.programs.len(), left.links.len()), (2, 2), "all of it is seen");
        watch.kill();
        held.is_taken_down();
    });
}

#[test]
fn the_capabilities_of_the_unit_are_enough() {
    const NAME: &str = "the_capabilities_of_the_unit_are_enough";
    if !process::can_be_another() {
        return skip(Kind::Kernel, NAME, "no setpriv(1)");
    }
    alone(NAME, || {
        let mut watch = process::Watch::unit("va");
        let held = watch.holds();
        assert_eq!((held.programs.len(), held.links.len()), (2, 2), "{held:?}");
        watch.kill();
        held.is_taken_down();
    });
}

#[test]
fn an_interface_that_vanishes_ends_nothing() {
    alone("an_interface_that_vanishes_ends_nothing", || {
        let mut rung = load(&interest(), Options::default()).unwrap();
        let (va, lo) = (point("va", Observe::Full), point("lo", Observe::Full));
        rung.attach(&va).unwrap();
        rung.attach(&lo).unwrap();
        kit::ip("link del va").unwrap();
        assert_eq!(take(&mut rung, 0), []);
        let error = rung.attach(&va).unwrap_err();
        assert_eq!(error.error.raw_os_error(), Some(libc::ENXIO), "{error}");
        assert!(error.to_string().contains("not there any more"), "{error}");
        rung.detach(va.number);
        let sender = Sender::new(lo.number);
        sender.send(&frames(Link::Ethernet, &tcp(HERE, "192.0.2.1:25", Flags::ACK, 1, b""))[0]);
        assert_eq!(take(&mut rung, 1).len(), 1);
    });
}

#[test]
fn an_idle_reader_sleeps_and_is_woken_by_the_next_record() {
    alone("an_idle_reader_sleeps_and_is_woken_by_the_next_record", || {
        let mut rung = load(&interest(), Options::default()).unwrap();
        let va = point("va", Observe::Full);
        rung.attach(&va).unwrap();
        let sender = Sender::new(va.number);
        let frame =
            frames(Link::Ethernet, &tcp(HERE, "192.0.2.1:25", Flags::ACK, 1, b"")).remove(0);
        // One that nobody wakes would sleep far longer than the test may take.
        let for_ever = std::time::Duration::from_secs(3600);
        for _ in 0..3 {
            let before = sleeps();
            let waker = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                    sender.send(&frame);
                });
                let mut taken = 0;
                while taken == 0 {
                    rung.take(for_ever, &mut |_| taken += 1).unwrap();
                }
                sleeps() - before
            });
            assert!(waker <= 10, "{waker} times awake for one record");
        }
    });
}

/// How often this thread went to sleep.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.unwrap().trim().parse().unwrap()
}
