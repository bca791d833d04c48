//! From a packet into the ring.

use aya_ebpf::helpers::{bpf_ktime_get_boot_ns, bpf_skb_load_bytes};
use aya_ebpf::programs::TcContext;
use botlike_ebpf::record::{AWAKE, CLASSES, Count, Header, NAPS, SLEEPS};

use crate::maps::{EVENTS, READER, count, fill, forget, ifindex};

/// `BPF_RB_NO_WAKEUP` and `BPF_RB_FORCE_WAKEUP`.
const QUIETLY: u64 = 1;
const WAKING: u64 = 2;
/// `BPF_RB_AVAIL_DATA`.
const WAITING: u64 = 0;

/// A record of one of the sizes, of which `N` are data.
#[repr(C)]
struct Record<const N: usize> {
    header: Header,
    data: [u8; N],
}

/// Puts the first bytes of the packet into the ring, in the smallest record that holds them.
#[inline(always)]
pub(crate) fn put(ctx: &TcContext, wanted: u32, flags: u16) {
    const fn data(class: usize) -> usize {
        CLASSES[class] - Header::SIZE
    }
    let fits = |class: usize| wanted as usize <= data(class);
    if fits(0) {
        put_as::<{ data(0) }>(ctx, wanted, flags);
    } else if fits(1) {
        put_as::<{ data(1) }>(ctx, wanted, flags);
    } else if fits(2) {
        put_as::<{ data(2) }>(ctx, wanted, flags);
    } else if fits(3) {
        put_as::<{ data(3) }>(ctx, wanted, flags);
    } else if fits(4) {
        put_as::<{ data(4) }>(ctx, wanted, flags);
    } else if fits(5) {
        put_as::<{ data(5) }>(ctx, wanted, flags);
    } else {
        put_as::<{ data(6) }>(ctx, wanted, flags);
    }
}

#[inline(always)]
fn put_as<const N: usize>(ctx: &TcContext, wanted: u32, flags: u16) {
    // The compiler must not carry the number over from where its bounds are not known to the verifier.
    let wanted = forget(wanted);
    let len = if wanted > N as u32 { N as u32 } else { wanted };
    if len == 0 {
        return count(Count::Unreadable);
    }
    let Some(mut entry) = EVENTS.reserve::<Record<N>>(0) else {
        return count(Count::RingFull);
    };
    let record = entry.as_mut_ptr();
    let skb = ctx.skb.skb;
    // SAFETY: the record is ours until it is submitted and has room for `len` bytes; the context lives as long as the
    // program runs.
    let read = unsafe {
        let tagged = (*skb).vlan_present != 0;
        (&raw mut (*record).header).write(Header {
            time: bpf_ktime_get_boot_ns(),
            ifindex: ifindex(ctx),
            orig_len: ctx.len(),
            len,
            flags,
            tpid: if tagged { u16::from_be((*skb).vlan_proto as u16) } else { 0 },
            tci: (*skb).vlan_tci as u16,
            reserved: [0; 3],
        });
        bpf_skb_load_bytes(skb.cast(), 0, (&raw mut (*record).data).cast(), len)
    };
    if read != 0 {
        entry.discard(QUIETLY);
        return count(Count::Unreadable);
    }
    entry.submit(wake());
    count(Count::Copied);
}

/// Wakes the reader where it is to be woken.
#[inline(always)]
fn wake() -> u64 {
    let Some(reader) = READER.get_ptr_mut(0) else { return QUIETLY };
    // SAFETY: the map's memory stays; a race wakes the reader once too often.
    unsafe {
        let state = reader.read_volatile();
        if state == SLEEPS || (state == NAPS && EVENTS.query(WAITING) > fill()) {
            reader.write_volatile(AWAKE);
            return WAKING;
        }
    }
    QUIETLY
}
