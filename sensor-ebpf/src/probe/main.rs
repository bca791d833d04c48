//! The probe: classifiers on TCX links that copy frames of interest into a ring, and let every frame pass.
//!
//! Four programs differ in direction and link layer alone. A frame of no interest is decided by a few loads from the packet
//! itself; everything else is read through helpers, which know packets that lie in pieces, too. What is copied is the
//! beginning of the frame: all of it, its headers, or what the gate lets through. Whatever happens, the answer is
//! `TCX_NEXT`; what is lost is counted where it is lost.
#![no_std]
#![no_main]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "the macros of aya make public items without a text"
)]

mod maps;
mod parse;
mod ring;

use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use botlike_ebpf::gate::{self, Payload, Scan, Side, State};
use botlike_ebpf::interest::Interest;
use botlike_ebpf::record::{Count, Header, LARGEST, OBSERVE_FULL};

use self::maps::{FLOWS, FlowKey, INTERFACES, count, forget};
use self::parse::{Packet, Seen};

/// The next program on the link, or the stack.
const TCX_NEXT: i32 = -1;

/// `BPF_NOEXIST`.
const ONLY_NEW: u64 = 1;

/// TCP flags, as in the header.
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// What arrives at an Ethernet device.
#[classifier]
pub fn botlike_in(ctx: TcContext) -> i32 {
    probe::<false>(&ctx, 0)
}

/// What leaves an Ethernet device.
#[classifier]
pub fn botlike_out(ctx: TcContext) -> i32 {
    probe::<false>(&ctx, Header::EGRESS)
}

/// What arrives at a device without a link layer.
#[classifier]
pub fn botlike_raw_in(ctx: TcContext) -> i32 {
    probe::<true>(&ctx, 0)
}

/// What leaves a device without a link layer.
#[classifier]
pub fn botlike_raw_out(ctx: TcContext) -> i32 {
    probe::<true>(&ctx, Header::EGRESS)
}

#[inline(always)]
fn probe<const RAW: bool>(ctx: &TcContext, flags: u16) -> i32 {
    if parse::is_foreign::<RAW>(ctx) {
        count(Count::Foreign);
    } else {
        take::<RAW>(ctx, flags);
    }
    TCX_NEXT
}

/// Looks closer, and copies what is of interest.
#[inline(always)]
fn take<const RAW: bool>(ctx: &TcContext, flags: u16) {
    let packet = match parse::packet::<RAW>(ctx) {
        Seen::Foreign => return count(Count::Foreign),
        Seen::Fragment => {
            count(Count::Fragments);
            return count(Count::Foreign);
        }
        Seen::Unreadable => return count(Count::Unreadable),
        Seen::Packet(packet) => packet,
    };
    count(match packet.interest {
        Interest::Smtp => Count::Smtp,
        Interest::Dns => Count::Dns,
        Interest::Syn => Count::Syn,
    });
    let all = ctx.len();
    let mut flags = flags;
    let wanted = match packet.interest {
        Interest::Dns => all,
        Interest::Syn => packet.payload,
        Interest::Smtp if observes_all(ctx) => all,
        Interest::Smtp => {
            let passed = passed(ctx, &packet);
            if passed < packet.payload_len {
                flags |= Header::HELD;
                count(Count::Held);
            }
            packet.payload + passed
        }
    };
    let wanted = if wanted < all { wanted } else { all };
    if wanted > LARGEST as u32 {
        flags |= Header::CUT;
        count(Count::Oversized);
    }
    ring::put(ctx, forget(wanted), flags);
}

#[inline(always)]
fn observes_all(ctx: &TcContext) -> bool {
    let index = maps::ifindex(ctx);
    // SAFETY: the program writes a whole byte, and it is read once.
    unsafe { INTERFACES.get(index) }.is_some_and(|observe| *observe == OBSERVE_FULL)
}

/// How much of the payload the gate lets through.
#[inline(always)]
fn passed(ctx: &TcContext, packet: &Packet) -> u32 {
    if packet.fragment {
        return 0;
    }
    let syn = packet.flags & SYN != 0;
    if syn && packet.flags & ACK != 0 {
        if let Some(state) = FLOWS.get_ptr_mut(FlowKey::server(ctx, packet)) {
            // SAFETY: the map keeps a value's memory while the program runs; the gate bears two writers.
            unsafe { (*state).syn_ack(packet.ack) };
        }
        return 0;
    }
    if syn {
        let key = FlowKey::client(ctx, packet);
        match FLOWS.get_ptr_mut(&key) {
            // SAFETY: as above.
            Some(state) => unsafe { (*state).syn(packet.seq) },
            None => {
                if FLOWS.insert(&key, State::opened(packet.seq), ONLY_NEW).is_err() {
                    count(Count::FlowsLost);
                }
            }
        }
    }
    let fin = packet.flags & FIN != 0;
    if packet.payload_len == 0 && !fin {
        return 0;
    }
    let side = if maps::is_smtp(packet.ports.1) {
        FLOWS.get_ptr_mut(FlowKey::client(ctx, packet)).map(|state| (state, Side::Client))
    } else {
        None
    };
    let side = match side {
        None if maps::is_smtp(packet.ports.0) => {
            FLOWS.get_ptr_mut(FlowKey::server(ctx, packet)).map(|state| (state, Side::Server))
        }
        side => side,
    };
    let Some((state, side)) = side else { return 0 };
    let seq = packet.seq.wrapping_add(syn as u32);
    let payload = InPacket { ctx, offset: packet.payload };
    // SAFETY: as above.
    let passed =
        gate::gate(unsafe { &mut *state }, side, seq, packet.ack, &payload, packet.payload_len);
    if fin && side == Side::Client {
        // SAFETY: as above.
        unsafe { (*state).fin(seq.wrapping_add(packet.payload_len)) };
    }
    if passed < packet.payload_len { passed } else { packet.payload_len }
}

/// A payload in its packet. It is read byte by byte: nothing of it stays in a map.
struct InPacket<'a> {
    ctx: &'a TcContext,
    offset: u32,
}

/// What a walk over the payload needs.
struct Walk {
    skb: *const aya_ebpf::cty::c_void,
    offset: u32,
    scan: Scan,
}

impl Payload for InPacket<'_> {
    #[inline(always)]
    fn scan(&self, from: u32, count: u32, scan: &mut Scan) {
        let mut walk = Walk {
            skb: self.ctx.skb.skb.cast(),
            offset: self.offset.wrapping_add(from),
            scan: *scan,
        };
        // SAFETY: the function takes what it is given, and the kernel calls it `count` times at most, before this returns.
        unsafe {
            aya_ebpf::helpers::bpf_loop(
                forget(count),
                walk_step as *mut aya_ebpf::cty::c_void,
                (&raw mut walk).cast(),
                0,
            );
        }
        *scan = walk.scan;
    }
}

/// One byte of a walk: 0 to go on, 1 to stop.
unsafe extern "C" fn walk_step(index: u64, walk: *mut Walk) -> u64 {
    let mut byte = 0u8;
    // SAFETY: `walk` is what `scan` gave, and the kernel hands it on.
    let walk = unsafe { &mut *walk };
    // SAFETY: one byte is written to a variable of one byte.
    let read = unsafe {
        aya_ebpf::helpers::bpf_skb_load_bytes(
            walk.skb,
            walk.offset.wrapping_add(index as u32),
            (&raw mut byte).cast(),
            1,
        )
    };
    u64::from(read != 0 || !walk.scan.step(byte))
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing here panics; the verifier would refuse the loop.
    loop {}
}

/// No helper that is called here is open to programs under the GPL only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 18] = *b"MIT OR Apache-2.0\0";
