//! What the probe keeps, and what it was told at load.

use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::programs::TcContext;
use botlike_ebpf::gate::State;
use botlike_ebpf::interest::PORT_WORDS;
use botlike_ebpf::record::{COUNTS, Count};

use crate::parse::Packet;

/// Bitmap of the ports of `smtp`. Set at load, as are the others here.
#[unsafe(no_mangle)]
static PORTS: [u64; PORT_WORDS] = [0; PORT_WORDS];
/// Whether `dns` is of interest.
#[unsafe(no_mangle)]
static DNS: u32 = 0;
/// Whether `syn` is of interest.
#[unsafe(no_mangle)]
static SYN: u32 = 0;
/// Bytes waiting in the ring above which a reader that naps is woken.
#[unsafe(no_mangle)]
static FILL: u64 = 1 << 20;

/// Records.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(16 << 20, 0);
/// Whether the reader sleeps.
#[map]
pub(crate) static READER: Array<u32> = Array::with_max_entries(1, 0);
/// Interfaces, and how far to look there.
#[map]
pub(crate) static INTERFACES: HashMap<u32, u8> = HashMap::with_max_entries(4096, 0);
/// Connections that the gate follows; the one that was not seen for longest makes room.
#[map]
pub(crate) static FLOWS: LruHashMap<FlowKey, State> = LruHashMap::with_max_entries(1 << 15, 0);
/// Room for one number.
#[map]
static NUMBER: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);
/// What is counted.
#[map]
static COUNTERS: PerCpuArray<[u64; COUNTS]> = PerCpuArray::with_max_entries(1, 0);

/// A connection at an interface.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct FlowKey {
    client: [u32; 4],
    server: [u32; 4],
    ports: [u16; 2],
    ifindex: u32,
}

impl FlowKey {
    /// Where the client sent the packet.
    #[inline(always)]
    pub(crate) fn client(ctx: &TcContext, packet: &Packet) -> Self {
        Self {
            client: packet.src,
            server: packet.dst,
            ports: [packet.ports.0, packet.ports.1],
            ifindex: ifindex(ctx),
        }
    }

    /// Where the server sent it.
    #[inline(always)]
    pub(crate) fn server(ctx: &TcContext, packet: &Packet) -> Self {
        Self {
            client: packet.dst,
            server: packet.src,
            ports: [packet.ports.1, packet.ports.0],
            ifindex: ifindex(ctx),
        }
    }
}

/// The interface that the packet passes.
#[inline(always)]
pub(crate) fn ifindex(ctx: &TcContext) -> u32 {
    // SAFETY: the kernel hands in a context that lives as long as the program runs.
    unsafe { (*ctx.skb.skb).ifindex }
}

#[inline(always)]
pub(crate) fn is_smtp(port: u16) -> bool {
    // SAFETY: a port shifted by six is below the array's length. Volatile, since the loader writes what the compiler knows
    // to be zero.
    let word = unsafe { PORTS.as_ptr().add(usize::from(port >> 6)).read_volatile() };
    word >> (port & 63) & 1 == 1
}

#[inline(always)]
pub(crate) fn dns() -> bool {
    // SAFETY: as above.
    unsafe { (&raw const DNS).read_volatile() != 0 }
}

#[inline(always)]
pub(crate) fn syn() -> bool {
    // SAFETY: as above.
    unsafe { (&raw const SYN).read_volatile() != 0 }
}

#[inline(always)]
pub(crate) fn fill() -> u64 {
    // SAFETY: as above.
    unsafe { (&raw const FILL).read_volatile() }
}

/// The same number, of which the verifier has forgotten where it comes from. It follows a number whose bounds it must prove
/// back through all that led to it, and would look at each way through the headers apart.
#[inline(always)]
pub(crate) fn forget(number: u32) -> u32 {
    let Some(room) = NUMBER.get_ptr_mut(0) else { return 0 };
    // SAFETY: this processor's own value; nothing interrupts a classifier with another one.
    unsafe {
        room.write_volatile(number);
        room.read_volatile()
    }
}

#[inline(always)]
pub(crate) fn count(count: Count) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        // SAFETY: this processor's own values; nothing interrupts a classifier with another one.
        unsafe { (*counters)[count as usize] += 1 };
    }
}
