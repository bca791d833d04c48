//! A network namespace with a pair of interfaces, frames put on them, and the probe that takes them.

use std::ffi::CString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use botlike::source::live::tcx::{Options, Tcx};
use botlike::source::live::{Interest, Interface, Observe, Point, Rung, RungError};
use botlike_core::wire::LinkType;
use botlike_tests::frame::{Framer, Link};
use botlike_tests::packet::{Flags, Packet};
use botlike_tests::skip::{self, Kind};

/// Nothing here takes a tenth of it; a hang must not last for ever.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `test` in a thread with a network namespace of its own, in which `va` and `vb` are the two ends of a veth pair.
/// The namespace ends with the thread. Where the machine does not grant one, the test is skipped.
pub(crate) fn alone(name: &'static str, test: impl FnOnce() + Send + 'static) {
    let done = thread::spawn(move || {
        if let Err(error) = enter() {
            return skip::skip(Kind::Kernel, name, &format!("a network namespace: {error}"));
        }
        if let Err(error) = load(&interest(), Options::default())
            && matches!(error.error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS))
        {
            return skip::skip(Kind::Kernel, name, &error.to_string());
        }
        skip::ran(Kind::Kernel, name);
        test();
    });
    if let Err(panic) = done.join() {
        std::panic::resume_unwind(panic);
    }
}

fn enter() -> io::Result<()> {
    // SAFETY: no memory is passed; only this thread is concerned.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } < 0 {
        return Err(io::Error::last_os_error());
    }
    ip("link set lo up")?;
    ip("link add va type veth peer name vb")?;
    // Nothing but what a test sends: no neighbour discovery of IPv6, no router solicitation.
    ip("link set va up arp off addrgenmode none")?;
    ip("link set vb up arp off addrgenmode none")
}

/// Calls ip(8) in this thread's namespace.
pub(crate) fn ip(arguments: &str) -> io::Result<()> {
    let done = Command::new("ip").args(arguments.split(' ')).stdin(Stdio::null()).output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "ip {arguments}: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    )))
}

/// All interests.
pub(crate) fn interest() -> Interest {
    Interest { ports: vec![25, 465, 587], dns: true, syn: true }
}

/// Loads the probe that is to be tested: the one that `BOTLIKE_PROBE` names, or this program's.
pub(crate) fn load(interest: &Interest, options: Options) -> Result<Tcx, RungError> {
    match std::env::var_os("BOTLIKE_PROBE") {
        Some(path) => Tcx::load_object(&std::fs::read(path).unwrap(), interest, options),
        None => Tcx::load(interest, options),
    }
}

/// The point at an interface of this namespace; its number is that of the interface.
pub(crate) fn point(name: &str, observe: Observe) -> Point {
    let text = CString::new(name).unwrap();
    // SAFETY: the text ends in a zero.
    let index = unsafe { libc::if_nametoindex(text.as_ptr()) };
    assert_ne!(index, 0, "{name}: {}", io::Error::last_os_error());
    let link = if name.starts_with("tun") { LinkType::Raw } else { LinkType::Ethernet };
    let interface = Interface { index, name: name.into(), link, loopback: name == "lo" };
    Point { number: index, interface, observe }
}

/// A frame as the rung handed it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) iface: u32,
    pub(crate) link: LinkType,
    pub(crate) at: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) orig_len: u32,
}

/// Takes frames until there are `count`, and whatever more is there then.
pub(crate) fn take(rung: &mut Tcx, count: usize) -> Vec<Taken> {
    let mut taken = Vec::new();
    let began = Instant::now();
    loop {
        let before = taken.len();
        let patience = Duration::from_millis(if before < count { 100 } else { 20 });
        rung.take(patience, &mut |frame| {
            taken.push(Taken {
                iface: frame.iface,
                link: frame.link,
                at: frame.at.as_nanos(),
                data: frame.data.to_vec(),
                orig_len: frame.orig_len,
            });
        })
        .unwrap();
        if (taken.len() >= count && taken.len() == before) || began.elapsed() > PATIENCE {
            return taken;
        }
    }
}

/// Sends whole frames out of an interface.
pub(crate) struct Sender {
    socket: OwnedFd,
    to: libc::sockaddr_ll,
}

impl Sender {
    pub(crate) fn new(index: u32) -> Self {
        // SAFETY: no memory is passed; the descriptor belongs to nobody else.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: zeroes are an address.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = index as i32;
        to.sll_halen = 6;
        Self { socket, to }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: both are read only, as long as they are said to be.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const self.to).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        assert_eq!(sent, frame.len() as isize, "{}", io::Error::last_os_error());
    }
}

/// A tun device: what is written to it arrives at the interface.
pub(crate) fn tun(name: &str) -> io::Result<std::fs::File> {
    let mut device = std::fs::File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: zeroes are a request; the call reads and writes it only.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
        if libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &request) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    device.flush()?;
    Ok(device)
}

/// A TCP packet.
pub(crate) fn tcp(src: &str, dst: &str, flags: Flags, seq: u32, payload: &[u8]) -> Packet {
    let (src, dst): (SocketAddr, SocketAddr) = (src.parse().unwrap(), dst.parse().unwrap());
    Packet { seq, flags, payload: payload.to_vec(), ..Packet::between(src, dst) }
}

/// A UDP datagram.
pub(crate) fn udp(src: &str, dst: &str, payload: &[u8]) -> Packet {
    Packet { conn: None, ..tcp(src, dst, Flags::empty(), 0, payload) }
}

/// The frames of a packet.
pub(crate) fn frames(link: Link, packet: &Packet) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    Framer::new(link).frames(packet, &mut out);
    out.into_iter().map(|frame| frame.data).collect()
}

/// Whether the bytes stand anywhere in there.
pub(crate) fn holds(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// All of the kernel's memory that the probe writes: the ring and its tables, each with its name.
pub(crate) fn memory(rung: &Tcx) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for info in rung.maps().unwrap() {
        let name = info.name_as_str().unwrap_or_default().to_owned();
        let fd = info.fd().unwrap();
        let raw = fd.as_fd().as_raw_fd();
        let memory = match info.map_type().unwrap() {
            aya::maps::MapType::RingBuf => ring_memory(raw, info.max_entries() as usize),
            _ => table_memory(raw, info.key_size() as usize, info.value_size() as usize),
        };
        assert!(!memory.is_empty(), "{name}");
        found.push((name, memory));
    }
    assert!(found.len() >= 5, "{}", found.len());
    found
}

fn ring_memory(fd: i32, size: usize) -> Vec<u8> {
    let page = 4096;
    // SAFETY: a new mapping, read only, of as many bytes as are then copied; behind the producer's page lie the data.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            page + size,
            libc::PROT_READ,
            libc::MAP_SHARED,
            fd,
            page as i64,
        );
        assert_ne!(at, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        let data = std::slice::from_raw_parts(at.cast::<u8>().add(page), size).to_vec();
        libc::munmap(at, page + size);
        data
    }
}

/// Keys and values of a table, as bpf(2) hands them out.
fn table_memory(fd: i32, key_size: usize, value_size: usize) -> Vec<u8> {
    #[repr(C, align(8))]
    struct Element {
        fd: u32,
        pad: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    const LOOKUP: libc::c_int = 1;
    const NEXT: libc::c_int = 4;
    // On each processor a value of its own, in tables that have that.
    let room = value_size.next_multiple_of(8) * 1024;
    let (mut key, mut next, mut value) =
        (vec![0u8; key_size], vec![0u8; key_size], vec![0u8; room]);
    let mut memory = Vec::new();
    let mut first = true;
    let call = |command: libc::c_int, key: u64, value: u64| {
        let mut element = Element { fd: fd as u32, pad: 0, key, value, flags: 0 };
        // SAFETY: the buffers are as long as the kernel takes them for, and longer.
        unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut element, size_of::<Element>()) }
    };
    loop {
        let from = if first { 0 } else { key.as_ptr() as u64 };
        if call(NEXT, from, next.as_mut_ptr() as u64) < 0 {
            return memory;
        }
        first = false;
        key.copy_from_slice(&next);
        memory.extend_from_slice(&key);
        if call(LOOKUP, key.as_ptr() as u64, value.as_mut_ptr() as u64) == 0 {
            memory.extend_from_slice(&value[..room.min(value_size.next_multiple_of(8) * 64)]);
        }
    }
}
