//! The ring: memory that the kernel fills with packets, block by block (packet_mmap in the kernel's documentation,
//! `TPACKET_V3`).
//!
//! All that is unsafe about AF_PACKET is in this file.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use botlike_core::base::Stamp;
use libc::{c_int, c_void, sock_filter, tpacket_block_desc, tpacket3_hdr};

/// Bytes of a block, which holds whole packets: several of 64 KiB.
const BLOCK: usize = 256 << 10;
/// A block that has packets is handed over after so many milliseconds even if it is not full. An empty one never is: an
/// idle interface wakes nobody.
const RETIRE_MS: u32 = 40;
/// Room before each packet for the VLAN tag that the kernel took off.
const TAG: usize = 4;
/// Where the address of the interface lies behind a packet's header.
const ADDRESS: usize = size_of::<tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);

/// A packet in the ring, with its VLAN tag where it had one.
pub(super) struct Packet<'a> {
    /// The kernel's number of its interface.
    pub(super) index: u32,
    pub(super) at: Stamp,
    /// What of it was taken. It lies in the ring, where it can be overwritten.
    pub(super) data: &'a mut [u8],
    /// Its length on the wire.
    pub(super) orig_len: u32,
}

/// A packet socket and the memory that it shares with the kernel.
pub(super) struct Ring {
    socket: OwnedFd,
    map: NonNull<u8>,
    blocks: usize,
    /// The block that is filled next.
    next: usize,
    /// Packets for which there was no room, so far.
    full: u64,
    /// Packets whose record made no sense.
    unreadable: u64,
}

// SAFETY: the mapping belongs to this value alone, and can be used from any thread.
unsafe impl Send for Ring {}

impl Ring {
    /// A ring of some `bytes` that takes nothing yet. `Err` says what was tried.
    pub(super) fn open(
        bytes: usize,
        filter: &[sock_filter],
    ) -> Result<Self, (&'static str, io::Error)> {
        // SAFETY: no pointers. Protocol 0: nothing is received before `bind`.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(("open a packet socket", io::Error::last_os_error()));
        }
        // SAFETY: a descriptor that nobody else has.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let version = libc::tpacket_versions::TPACKET_V3 as c_int;
        set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version)
            .and_then(|()| {
                set(&socket, libc::SOL_PACKET, libc::PACKET_RESERVE, &(TAG as libc::c_uint))
            })
            .map_err(|error| ("make a packet ring", error))?;
        let (map, blocks) = map(&socket, bytes).map_err(|error| ("make a packet ring", error))?;
        let ring = Self { socket, map, blocks, next: 0, full: 0, unreadable: 0 };
        ring.filter(filter).map_err(|error| ("set the packet filter", error))?;
        ring.bind().map_err(|error| ("bind the packet socket", error))?;
        Ok(ring)
    }

    /// From now on receives from all interfaces what the filter lets through.
    fn bind(&self) -> io::Result<()> {
        // SAFETY: a plain struct of numbers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a whole address of that length.
        let done = unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                ptr::from_ref(&address).cast(),
                size_of_val(&address) as libc::socklen_t,
            )
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Puts a filter in the place of the last one, in one step.
    pub(super) fn filter(&self, program: &[sock_filter]) -> io::Result<()> {
        let program = libc::sock_fprog {
            len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
            // The kernel reads only.
            filter: program.as_ptr().cast_mut(),
        };
        set(&self.socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// Waits until there is a block to be read, at most so long; a signal ends it too.
    pub(super) fn wait(&self, patience: Duration) -> io::Result<()> {
        let mut poll = libc::pollfd {
            fd: self.socket.as_raw_fd(),
            events: libc::POLLIN | libc::POLLERR,
            revents: 0,
        };
        let millis = c_int::try_from(patience.as_nanos().div_ceil(1_000_000)).unwrap_or(c_int::MAX);
        // SAFETY: one whole `pollfd`.
        if unsafe { libc::poll(&raw mut poll, 1, millis) } < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        if poll.revents & libc::POLLERR != 0 {
            let code: c_int = get(&self.socket, libc::SOL_SOCKET, libc::SO_ERROR)?;
            if code != 0 {
                return Err(io::Error::from_raw_os_error(code));
            }
        }
        Ok(())
    }

    /// Hands over the packets of the next block and gives it back to the kernel; `None` where it is not there yet.
    pub(super) fn block(&mut self, each: &mut dyn FnMut(Packet<'_>)) -> Option<usize> {
        // SAFETY: `next < blocks`, so that the block lies in the mapping, which lives as long as `self`.
        let block = unsafe { self.map.add(self.next * BLOCK) };
        let desc = block.cast::<tpacket_block_desc>();
        // SAFETY: a block begins with its descriptor, and the kernel's half of the protocol on this field is atomic.
        let status = unsafe { AtomicU32::from_ptr(&raw mut (*desc.as_ptr()).hdr.bh1.block_status) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // SAFETY: the block is ours until its status says otherwise, and this is the only reference into it.
        let (count, first) = unsafe {
            let head = &raw const (*desc.as_ptr()).hdr.bh1;
            ((*head).num_pkts as usize, (*head).offset_to_first_pkt as usize)
        };
        // SAFETY: as above. The status word, of which a reference is kept, lies before what is written to: packets begin
        // behind the descriptor, which `read` checks.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block.as_ptr(), BLOCK) };
        let mut at = first;
        for done in 0..count {
            match read(bytes, at) {
                Some((packet, next)) => {
                    each(packet);
                    at += next;
                }
                None => {
                    // The kernel does not write such a thing; where it does, nothing behind it can be found.
                    self.unreadable += (count - done) as u64;
                    break;
                }
            }
        }
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks;
        Some(count)
    }

    /// Packets for which the ring had no room, and those that could not be read, so far.
    pub(super) fn losses(&mut self) -> (u64, u64) {
        // Reading them sets the kernel's counters back to zero.
        let stats: io::Result<libc::tpacket_stats_v3> =
            get(&self.socket, libc::SOL_PACKET, libc::PACKET_STATISTICS);
        if let Ok(stats) = stats {
            self.full += u64::from(stats.tp_drops);
        }
        (self.full, self.unreadable)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: what `map` made, once. Nothing refers to it any more: packets borrow from `self`.
        unsafe { libc::munmap(self.map.as_ptr().cast::<c_void>(), self.blocks * BLOCK) };
    }
}

/// Makes the ring and maps it: as large as asked for, or as memory allows.
fn map(socket: &OwnedFd, bytes: usize) -> io::Result<(NonNull<u8>, usize)> {
    let mut blocks = (bytes / BLOCK).clamp(4, 1 << 12);
    let request = |blocks: usize| libc::tpacket_req3 {
        tp_block_size: BLOCK as u32,
        tp_block_nr: blocks as u32,
        // Of no meaning in this version, but the kernel checks them.
        tp_frame_size: 2048,
        tp_frame_nr: (BLOCK / 2048 * blocks) as u32,
        tp_retire_blk_tov: RETIRE_MS,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    loop {
        match set(socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request(blocks)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && blocks > 4 => blocks /= 2,
            done => break done?,
        }
    }
    // SAFETY: a new mapping, anywhere.
    let map = unsafe {
        libc::mmap(
            ptr::null_mut(),
            blocks * BLOCK,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            socket.as_raw_fd(),
            0,
        )
    };
    if map == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok((NonNull::new(map.cast()).ok_or(io::ErrorKind::OutOfMemory)?, blocks))
}

/// The packet whose record begins at `at` in a block, and how far it is to the next.
fn read(block: &mut [u8], at: usize) -> Option<(Packet<'_>, usize)> {
    if at < size_of::<tpacket_block_desc>() {
        return None;
    }
    let record = block.get_mut(at..)?;
    let head = record.get(..ADDRESS + size_of::<libc::sockaddr_ll>())?;
    // SAFETY: as many bytes as both structs need, of which every value is allowed.
    let (head, address) = unsafe {
        (
            head.as_ptr().cast::<tpacket3_hdr>().read_unaligned(),
            head.as_ptr().add(ADDRESS).cast::<libc::sockaddr_ll>().read_unaligned(),
        )
    };
    let mut orig_len = head.tp_len;
    let mut from = usize::from(head.tp_mac);
    let to = from + head.tp_snaplen as usize;
    if to > record.len() || from < ADDRESS + size_of::<libc::sockaddr_ll>() + TAG {
        return None;
    }
    if head.tp_status & libc::TP_STATUS_VLAN_VALID != 0 && to - from >= 12 {
        let tpid = if head.tp_status & libc::TP_STATUS_VLAN_TPID_VALID == 0 {
            libc::ETH_P_8021Q as u16
        } else {
            head.hv1.tp_vlan_tpid
        };
        // The tag's place is behind both addresses, which move into the room before the packet.
        record.copy_within(from..from + 12, from - TAG);
        record[from + 8..from + 10].copy_from_slice(&tpid.to_be_bytes());
        record[from + 10..from + 12].copy_from_slice(&(head.hv1.tp_vlan_tci as u16).to_be_bytes());
        from -= TAG;
        orig_len = orig_len.saturating_add(TAG as u32);
    }
    let packet = Packet {
        index: address.sll_ifindex.cast_unsigned(),
        at: Stamp::from_parts(u64::from(head.tp_sec), head.tp_nsec),
        data: &mut record[from..to],
        orig_len,
    };
    // The last record of a block says 0.
    Some((packet, head.tp_next_offset as usize))
}

fn set<T>(socket: &OwnedFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    // SAFETY: a whole value of that length, read only; what it points to lives as long as the call.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `T` is a number or a struct of numbers.
fn get<T: Copy>(socket: &OwnedFd, level: c_int, name: c_int) -> io::Result<T> {
    // SAFETY: all callers ask for plain numbers, for which zeroes are a value.
    let mut value: T = unsafe { std::mem::zeroed() };
    let mut length = size_of::<T>() as libc::socklen_t;
    // SAFETY: room for a whole value, and its length.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_mut(&mut value).cast(),
            &raw mut length,
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}
