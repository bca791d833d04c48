//! The filter of the ring: what of all packets of this namespace is copied into it.
//!
//! A pure function of the interfaces watched and of the [`Interest`]. Of a packet on a watched SMTP port, or of DNS, all is
//! taken; of another port's SYN, SYN-ACK or RST the headers. A later fragment of TCP has no ports: it is taken, and user
//! space knows to which datagram it belongs. Later fragments of UDP are not: they are everything but DNS.

use libc::sock_filter;

use super::super::Interest;
use super::bpf::{Ask, Assembler, Label, Op};

/// "All of the packet": more than the longest.
pub(super) const WHOLE: u32 = 1 << 18;
/// VLAN tags that are followed, beside the one that the kernel took off.
const TAGS: u32 = 3;
/// Extension headers that are followed. Real packets have one or two; one with more is dropped by most routers.
const EXTENSIONS: usize = 6;

const TCP: u32 = 6;
const UDP: u32 = 17;
const FRAGMENT: u32 = 44;
const AUTH: u32 = 51;
/// Hop-by-hop, routing, destination, mobility: all of one form.
const EXTENSION: [u32; 4] = [0, 43, 60, 135];

/// Nothing is taken.
pub(super) const NOTHING: [sock_filter; 1] = [sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];

/// The filter for these interfaces (`None`: for all), by their numbers in order. `None` where the kernel would refuse it
/// for its length.
pub(super) fn program(interfaces: Option<&[u32]>, interest: &Interest) -> Option<Vec<sock_filter>> {
    let mut asm = Assembler::default();
    let labels = Labels {
        v4: asm.label(),
        v6: asm.label(),
        tcp: asm.label(),
        udp: asm.label(),
        headers: asm.label(),
        whole: asm.label(),
        drop: asm.label(),
    };
    if let Some(interfaces) = interfaces {
        let ours = asm.label();
        asm.ops(&[Op::Meta(libc::SKF_AD_IFINDEX)]);
        asm.among(&ranges(interfaces.iter().copied()), ours, labels.drop);
        asm.here(ours);
    }
    link_layers(&mut asm, &labels);
    internet(&mut asm, &labels, interest.dns);
    ports(&mut asm, &labels, interest);
    asm.finish()
}

struct Labels {
    /// An IPv4 packet begins at X.
    v4: Label,
    /// An IPv6 packet begins at X.
    v6: Label,
    /// A TCP header begins at X.
    tcp: Label,
    /// A UDP header begins at X.
    udp: Label,
    /// Everything up to the end of the TCP header at X.
    headers: Label,
    whole: Label,
    drop: Label,
}

/// From numbers in any order to ranges in order.
fn ranges(numbers: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if number <= last.saturating_add(1) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    ranges
}

/// The link layer, by the type of the interface's hardware.
fn link_layers(asm: &mut Assembler, labels: &Labels) {
    let (looped, ethernet, raw) = (asm.label(), asm.label(), asm.label());
    asm.ops(&[Op::Meta(libc::SKF_AD_HATYPE)]);
    asm.when(Ask::Is(u32::from(libc::ARPHRD_ETHER)), ethernet);
    asm.when(Ask::Is(u32::from(libc::ARPHRD_LOOPBACK)), looped);
    asm.when(Ask::Is(u32::from(libc::ARPHRD_NONE)), raw);
    asm.ask(Ask::Is(super::RAW_IP), raw, labels.drop);

    asm.here(raw);
    asm.ops(&[Op::SetX(0), Op::Byte(0), Op::And(0xf0)]);
    asm.when(Ask::Is(0x40), labels.v4);
    asm.ask(Ask::Is(0x60), labels.v6, labels.drop);

    // There each packet passes twice.
    asm.here(looped);
    asm.ops(&[Op::Meta(libc::SKF_AD_PKTTYPE)]);
    asm.ask(Ask::Is(u32::from(libc::PACKET_OUTGOING)), labels.drop, ethernet);

    asm.here(ethernet);
    for depth in 0..=TAGS {
        asm.ops(&[Op::Half(12 + 4 * depth), Op::SetX(14 + 4 * depth)]);
        asm.when(Ask::Is(0x0800), labels.v4);
        asm.when(Ask::Is(0x86dd), labels.v6);
        let inner = asm.label();
        if depth < TAGS {
            asm.when(Ask::Is(0x8100), inner);
            asm.when(Ask::Is(0x88a8), inner);
            asm.ask(Ask::Is(0x9100), inner, labels.drop);
            asm.here(inner);
        }
    }
    asm.go(labels.drop);
}

/// From the IP header at X to the TCP or UDP header.
fn internet(asm: &mut Assembler, labels: &Labels, dns: bool) {
    let (first, chain) = (asm.label(), asm.label());
    asm.here(labels.v4);
    let later = asm.label();
    asm.ops(&[Op::HalfAtX(6)]);
    asm.ask(Ask::Any(0x1fff), later, first);
    asm.here(later);
    asm.ops(&[Op::ByteAtX(9)]);
    asm.when(Ask::Is(TCP), labels.whole);
    asm.ask(Ask::Is(AUTH), labels.whole, labels.drop);
    asm.here(first);
    asm.ops(&[Op::ByteAtX(9), Op::Keep]);
    asm.ops(&[Op::ByteAtX(0), Op::And(0x0f), Op::Left(2), Op::AddX, Op::ToX, Op::Kept]);
    asm.go(chain);

    asm.here(labels.v6);
    asm.ops(&[Op::ByteAtX(6), Op::Keep, Op::FromX, Op::Add(40), Op::ToX, Op::Kept]);

    // A: which header begins at X.
    asm.here(chain);
    for _ in 0..EXTENSIONS {
        let (next, auth, extension, fragment) =
            (asm.label(), asm.label(), asm.label(), asm.label());
        asm.when(Ask::Is(TCP), labels.tcp);
        if dns {
            asm.when(Ask::Is(UDP), labels.udp);
        }
        for kind in EXTENSION {
            asm.when(Ask::Is(kind), extension);
        }
        asm.when(Ask::Is(FRAGMENT), fragment);
        asm.ask(Ask::Is(AUTH), auth, labels.drop);

        asm.here(auth);
        asm.ops(&[Op::ByteAtX(0), Op::Keep]);
        asm.ops(&[Op::ByteAtX(1), Op::Add(2), Op::Left(2), Op::AddX, Op::ToX]);
        asm.go(next);

        asm.here(fragment);
        let (later, first) = (asm.label(), asm.label());
        asm.ops(&[Op::HalfAtX(2)]);
        asm.ask(Ask::Any(0xfff8), later, first);
        asm.here(later);
        asm.ops(&[Op::ByteAtX(0)]);
        for kind in [TCP, AUTH, 43, 60] {
            asm.when(Ask::Is(kind), labels.whole);
        }
        asm.ask(Ask::Is(135), labels.whole, labels.drop);
        asm.here(first);
        asm.ops(&[Op::ByteAtX(0), Op::Keep, Op::FromX, Op::Add(8), Op::ToX]);
        asm.go(next);

        asm.here(extension);
        asm.ops(&[Op::ByteAtX(0), Op::Keep]);
        asm.ops(&[Op::ByteAtX(1), Op::Add(1), Op::Left(3), Op::AddX, Op::ToX]);
        asm.here(next);
        asm.ops(&[Op::Kept]);
    }
    asm.go(labels.drop);
}

/// What the ports and flags at X say.
fn ports(asm: &mut Assembler, labels: &Labels, interest: &Interest) {
    let dns = interest.dns.then_some(53);
    let watched = ranges(interest.ports.iter().map(|port| u32::from(*port)).chain(dns));
    asm.here(labels.tcp);
    for at in [0, 2] {
        let other = asm.label();
        asm.ops(&[Op::HalfAtX(at)]);
        asm.among(&watched, labels.whole, other);
        asm.here(other);
    }
    if interest.syn {
        // SYN or RST.
        asm.ops(&[Op::ByteAtX(13)]);
        asm.ask(Ask::Any(0x06), labels.headers, labels.drop);
    } else {
        asm.go(labels.drop);
    }
    asm.here(labels.udp);
    asm.ops(&[Op::HalfAtX(0)]);
    asm.when(Ask::Is(53), labels.whole);
    asm.ops(&[Op::HalfAtX(2)]);
    asm.ask(Ask::Is(53), labels.whole, labels.drop);

    asm.here(labels.headers);
    asm.ops(&[Op::ByteAtX(12), Op::And(0xf0), Op::Right(2), Op::AddX, Op::TakeA]);
    asm.here(labels.whole);
    asm.ops(&[Op::Take(WHOLE)]);
    asm.here(labels.drop);
    asm.ops(&[Op::Take(0)]);
}
