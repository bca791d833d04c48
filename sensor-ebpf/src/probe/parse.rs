//! From a packet to its ports and the beginning of its payload.

use aya_ebpf::programs::TcContext;
use botlike_ebpf::interest::{Interest, of_dns, of_tcp};

use crate::maps::{dns, is_smtp, syn};

const TCP: u8 = 6;
const UDP: u8 = 17;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const ETHERNET: u32 = 14;
/// VLAN tags that are followed within the packet; one more may have been taken out by the kernel.
const TAGS: usize = 2;
/// Extension headers of IPv6 that are followed.
const EXTENSIONS: usize = 6;

/// A packet of interest.
pub(crate) struct Packet {
    pub(crate) interest: Interest,
    /// IPv4 as IPv4-mapped IPv6; network order.
    pub(crate) src: [u32; 4],
    pub(crate) dst: [u32; 4],
    pub(crate) ports: (u16, u16),
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    /// A part of a datagram.
    pub(crate) fragment: bool,
    /// Where the payload begins, from the beginning of the frame.
    pub(crate) payload: u32,
    pub(crate) payload_len: u32,
}

/// What a packet is.
pub(crate) enum Seen {
    Foreign,
    /// A later part of a UDP datagram, which may be DNS.
    Fragment,
    Unreadable,
    Packet(Packet),
}

/// The commonest packets of no interest, decided by a few loads. Says nothing that [`packet`] would not say.
#[inline(always)]
pub(crate) fn is_foreign<const RAW: bool>(ctx: &TcContext) -> bool {
    let link = if RAW { 0 } else { ETHERNET as usize };
    let (data, end) = (ctx.data(), ctx.data_end());
    // IPv4, and of TCP up to the flags.
    if data + link + 20 + 14 > end {
        return false;
    }
    let at = |offset: usize| (data + offset) as *const u8;
    // SAFETY: the comparison above, which the verifier checks, too.
    let (kind, first) = unsafe {
        let kind = if RAW { 0 } else { at(12).cast::<u16>().read_unaligned() };
        (u16::from_be(kind), *at(link))
    };
    let (protocol, transport) = if first == 0x45 && (RAW || kind == IPV4) {
        // SAFETY: as above.
        let fragment = unsafe { at(link + 6).cast::<u16>().read_unaligned() };
        if u16::from_be(fragment) & 0x3fff != 0 {
            return false;
        }
        // SAFETY: as above.
        (unsafe { *at(link + 9) }, link + 20)
    } else if first >> 4 == 6 && (RAW || kind == IPV6) {
        if data + link + 40 + 14 > end {
            return false;
        }
        // SAFETY: as above.
        (unsafe { *at(link + 6) }, link + 40)
    } else {
        return false;
    };
    // SAFETY: as above.
    let (src, dst, flags) = unsafe {
        (
            u16::from_be(at(transport).cast::<u16>().read_unaligned()),
            u16::from_be(at(transport + 2).cast::<u16>().read_unaligned()),
            *at(transport + 13),
        )
    };
    match protocol {
        TCP => of_tcp(is_smtp, dns(), syn(), (src, dst), flags).is_none(),
        UDP => !(dns() && of_dns((src, dst))),
        _ => false,
    }
}

/// Reads a packet through helpers, wherever its bytes lie.
#[inline(always)]
pub(crate) fn packet<const RAW: bool>(ctx: &TcContext) -> Seen {
    read::<RAW>(ctx).unwrap_or(Seen::Unreadable)
}

#[inline(always)]
fn read<const RAW: bool>(ctx: &TcContext) -> Option<Seen> {
    let mut at = 0;
    let kind = if RAW {
        match load::<u8>(ctx, 0)? >> 4 {
            4 => IPV4,
            6 => IPV6,
            _ => return Some(Seen::Foreign),
        }
    } else {
        at = ETHERNET;
        let mut kind = u16::from_be(load(ctx, 12)?);
        for _ in 0..TAGS {
            if !matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
                break;
            }
            kind = u16::from_be(load(ctx, at + 2)?);
            at += 4;
        }
        kind
    };
    let mut packet = Packet {
        interest: Interest::Smtp,
        src: [0; 4],
        dst: [0; 4],
        ports: (0, 0),
        seq: 0,
        ack: 0,
        flags: 0,
        fragment: false,
        payload: 0,
        payload_len: 0,
    };
    // Where the datagram ends; padding follows on Ethernet.
    let (protocol, mut end, later);
    match kind {
        IPV4 => {
            let header: [u32; 5] = load(ctx, at)?;
            let first = u32::from_be(header[0]);
            let words = first >> 24 & 15;
            if first >> 28 != 4 || words < 5 {
                return Some(Seen::Foreign);
            }
            let fragment = u32::from_be(header[1]) & 0x3fff;
            protocol = (u32::from_be(header[2]) >> 16) as u8;
            packet.src = [0, 0, 0xffff_u32.to_be(), header[3]];
            packet.dst = [0, 0, 0xffff_u32.to_be(), header[4]];
            packet.fragment = fragment != 0;
            later = fragment & 0x1fff != 0;
            // 0: segmentation offload of more than 64 KiB.
            let total = first & 0xffff;
            end = if total == 0 { u32::MAX } else { at + total };
            at += words * 4;
        }
        IPV6 => {
            let header: [u32; 10] = load(ctx, at)?;
            let second = u32::from_be(header[1]);
            packet.src = [header[2], header[3], header[4], header[5]];
            packet.dst = [header[6], header[7], header[8], header[9]];
            let length = second >> 16;
            end = if length == 0 { u32::MAX } else { at + 40 + length };
            at += 40;
            let mut next = (second >> 8) as u8;
            let mut offset = false;
            for _ in 0..EXTENSIONS {
                match next {
                    // Hop-by-hop, routing, destination options, mobility, HIP, shim6.
                    0 | 43 | 60 | 135 | 139 | 140 => {
                        let [following, length]: [u8; 2] = load(ctx, at)?;
                        next = following;
                        at += (u32::from(length) + 1) * 8;
                    }
                    // Authentication header.
                    51 => {
                        let [following, length]: [u8; 2] = load(ctx, at)?;
                        next = following;
                        at += (u32::from(length) + 2) * 4;
                    }
                    44 => {
                        let [following, _, high, low]: [u8; 4] = load(ctx, at)?;
                        next = following;
                        at += 8;
                        packet.fragment = high != 0 || low & 0xf9 != 0;
                        offset = high != 0 || low & 0xf8 != 0;
                        if offset {
                            break;
                        }
                    }
                    _ => break,
                }
            }
            protocol = next;
            later = offset;
        }
        _ => return Some(Seen::Foreign),
    }
    let all = ctx.len();
    if end > all {
        end = all;
    }
    if later {
        packet.payload = at;
        packet.payload_len = end.saturating_sub(at);
        return Some(match protocol {
            TCP => Seen::Packet(packet),
            UDP if dns() => Seen::Fragment,
            _ => Seen::Foreign,
        });
    }
    match protocol {
        TCP => {
            // Too short a first fragment has no flags; nobody honest sends one.
            let Some(header) = load::<[u32; 4]>(ctx, at) else { return Some(Seen::Foreign) };
            let ports = u32::from_be(header[0]);
            let fourth = u32::from_be(header[3]);
            packet.ports = ((ports >> 16) as u16, ports as u16);
            packet.seq = u32::from_be(header[1]);
            packet.ack = u32::from_be(header[2]);
            packet.flags = (fourth >> 16) as u8;
            let length = fourth >> 28;
            let Some(interest) = of_tcp(is_smtp, dns(), syn(), packet.ports, packet.flags) else {
                return Some(Seen::Foreign);
            };
            packet.interest = interest;
            // A header of less than five words is none: nothing of it is payload.
            packet.payload = at + if length < 5 { 20 } else { length * 4 };
            packet.payload_len = if length < 5 { 0 } else { end.saturating_sub(packet.payload) };
            Some(Seen::Packet(packet))
        }
        UDP => {
            let Some(ports) = load::<u32>(ctx, at) else { return Some(Seen::Foreign) };
            let ports = u32::from_be(ports);
            packet.ports = ((ports >> 16) as u16, ports as u16);
            packet.interest = Interest::Dns;
            Some(if dns() && of_dns(packet.ports) { Seen::Packet(packet) } else { Seen::Foreign })
        }
        _ => Some(Seen::Foreign),
    }
}

/// Reads a value at an offset of the packet.
#[inline(always)]
fn load<T: Copy>(ctx: &TcContext, offset: u32) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the kernel writes as many bytes as the value has, or fails; every `T` here is plain numbers.
    unsafe {
        let read = aya_ebpf::helpers::bpf_skb_load_bytes(
            ctx.skb.skb.cast(),
            offset,
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
        );
        if read == 0 { Some(value.assume_init()) } else { None }
    }
}
