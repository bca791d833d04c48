//! What a frame costs in the kernel probe: nanoseconds, as `BPF_PROG_TEST_RUN` measures them, less those of an empty program.
//!
//! `cargo run --release -p botlike --example probe_cost`, as root. Prints lines of a table in Markdown: what, the median of
//! some rounds, the least and the most. Frames longer than a page, which the test run does not take, are sent over the
//! loopback of a network namespace of its own; there the statistics of the kernel tell, less what they cost themselves.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use aya::maps::{HashMap, MapData, RingBuf};
use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType, TestRun, TestRunOptions};
use aya::sys::{Stats, enable_stats};
use aya::{Ebpf, EbpfLoader};
use botlike_ebpf::interest::port_words;
use botlike_ebpf::record::{OBSERVE_FULL, OBSERVE_METADATA};

static OBJECT: &[u8] = aya::include_bytes_aligned!("../probe/botlike.bpf.o");

/// Rounds of each figure.
const ROUNDS: usize = 15;
/// Bytes of the ring, so that a round does not fill it.
const RING: u32 = 256 << 20;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut bench = Bench::new()?;
    let empty = median(&mut (0..ROUNDS).map(|_| bench.empty()).collect::<Result<Vec<_>>>()?);
    println!("| what | median ns | least | most |\n|---|---:|---:|---:|");
    println!("| (the loop and an empty program, taken off below) | {empty:.1} | | |");
    let ack = 0x10;
    let rows: [(&str, Vec<u8>, u8); 7] = [
        ("of no interest: TCP, port 443, 1.5 KB", tcp4(443, ack, 1446), OBSERVE_FULL),
        ("of no interest: the same, IPv6", tcp6(443, ack, 1426), OBSERVE_FULL),
        ("of no interest: UDP, port 443, 1.2 KB", udp4(443, 1200), OBSERVE_FULL),
        ("headers of a SYN of another port", tcp4(443, 2, 0), OBSERVE_FULL),
        ("copied: 100 B", tcp4(25, ack, 46), OBSERVE_FULL),
        ("copied: 1.5 KB", tcp4(25, ack, 1446), OBSERVE_FULL),
        ("metadata, payload held back: 1.5 KB", tcp4(25, ack, 1446), OBSERVE_METADATA),
    ];
    for (what, frame, observe) in rows {
        let mut figures = Vec::new();
        for _ in 0..ROUNDS {
            figures.push(bench.run(&frame, observe)? - empty);
        }
        print(what, &mut figures);
    }
    let mut over_loopback = |len: usize, port: u16| -> Result<Vec<f64>> {
        (0..ROUNDS).map(|_| bench.over_loopback(&tcp4(port, ack, len - 54))).collect()
    };
    let nothing = median(&mut over_loopback(1500, 443)?);
    println!(
        "| (of no interest over the loopback with statistics, taken off below) | {nothing:.1} | | |"
    );
    for (what, len) in
        [("copied: 1.5 KB, over the loopback", 1500), ("copied: 64 KB, over the loopback", 65_549)]
    {
        let mut figures: Vec<f64> =
            over_loopback(len, 25)?.iter().map(|figure| figure - nothing).collect();
        print(what, &mut figures);
    }
    Ok(())
}

struct Bench {
    probe: Ebpf,
    ring: RingBuf<MapData>,
    interfaces: HashMap<MapData, u32, u8>,
    empty: OwnedFd,
    socket: Option<OwnedFd>,
}

impl Bench {
    fn new() -> Result<Self> {
        let (ports, on) = (port_words(&[25, 465, 587]), 1u32);
        let mut probe = EbpfLoader::new()
            .btf(None)
            .override_global("PORTS", &ports[..], true)
            .override_global("DNS", &on, true)
            .override_global("SYN", &on, true)
            .map_max_entries("EVENTS", RING)
            .load(OBJECT)?;
        program(&mut probe)?.load()?;
        let ring = RingBuf::try_from(probe.take_map("EVENTS").ok_or("no ring")?)?;
        let interfaces = HashMap::try_from(probe.take_map("INTERFACES").ok_or("no interfaces")?)?;
        Ok(Self { probe, ring, interfaces, empty: empty_program()?, socket: None })
    }

    /// A frame through the probe: nanoseconds a run.
    fn run(&mut self, frame: &[u8], observe: u8) -> Result<f64> {
        // The test run's device is the loopback of the first namespace.
        self.interfaces.insert(1, observe, 0)?;
        let options =
            TestRunOptions { data_in: Some(frame), repeat: 20_000, ..TestRunOptions::default() };
        let took = program(&mut self.probe)?.test_run(options)?.duration;
        self.drain();
        Ok(took.as_nanos() as f64)
    }

    /// An empty program.
    fn empty(&self) -> Result<f64> {
        let frame = tcp4(443, 0x10, 1446);
        let mut attr = TestRunAttr {
            prog_fd: self.empty.as_fd().as_raw_fd() as u32,
            data_size_in: frame.len() as u32,
            data_in: frame.as_ptr() as u64,
            repeat: 20_000,
            ..TestRunAttr::default()
        };
        bpf(10, &mut attr)?;
        Ok(f64::from(attr.duration))
    }

    /// Frames that arrive at the loopback: nanoseconds a run, with what the statistics cost.
    fn over_loopback(&mut self, frame: &[u8]) -> Result<f64> {
        if self.socket.is_none() {
            self.socket = Some(loopback()?);
            self.interfaces.insert(1, OBSERVE_FULL, 0)?;
            let order = TcAttachOptions::TcxOrder(LinkOrder::first());
            program(&mut self.probe)?.attach_with_options("lo", TcAttachType::Ingress, order)?;
        }
        let Some(socket) = &self.socket else { return Err("no socket".into()) };
        let statistics = enable_stats(Stats::RunTime)?;
        let told = |probe: &mut Ebpf| -> Result<(Duration, u64)> {
            let info = program(probe)?.info()?;
            Ok((info.run_time(), info.run_count()))
        };
        let before = told(&mut self.probe)?;
        for _ in 0..2_000 {
            send(socket, frame)?;
        }
        let after = told(&mut self.probe)?;
        drop(statistics);
        self.drain();
        let runs = after.1.saturating_sub(before.1).max(1);
        Ok((after.0 - before.0).as_nanos() as f64 / runs as f64)
    }

    fn drain(&mut self) {
        while self.ring.next().is_some() {}
    }
}

fn program(probe: &mut Ebpf) -> Result<&mut SchedClassifier> {
    Ok(probe.program_mut("botlike_in").ok_or("no program")?.try_into()?)
}

fn print(what: &str, figures: &mut [f64]) {
    let middle = median(figures);
    let (least, most) = (figures.first().unwrap_or(&0.0), figures.last().unwrap_or(&0.0));
    println!("| {what} | {middle:.1} | {least:.1} | {most:.1} |");
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn ethernet(kind: u16) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&kind.to_be_bytes());
    frame
}

fn tcp(port: u16, flags: u8, len: usize) -> Vec<u8> {
    let mut segment = vec![0; 20 + len];
    segment[..2].copy_from_slice(&40_000u16.to_be_bytes());
    segment[2..4].copy_from_slice(&port.to_be_bytes());
    (segment[12], segment[13]) = (0x50, flags);
    segment
}

fn ip4(protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = ethernet(0x0800);
    let total = (20 + body.len()) as u16;
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&total.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend_from_slice(body);
    frame
}

fn tcp4(port: u16, flags: u8, len: usize) -> Vec<u8> {
    ip4(6, &tcp(port, flags, len))
}

fn tcp6(port: u16, flags: u8, len: usize) -> Vec<u8> {
    let body = tcp(port, flags, len);
    let mut frame = ethernet(0x86dd);
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&(body.len() as u16).to_be_bytes());
    frame.extend_from_slice(&[6, 64]);
    frame.extend_from_slice(&[0x20; 32]);
    frame.extend_from_slice(&body);
    frame
}

fn udp4(port: u16, len: usize) -> Vec<u8> {
    let mut body = vec![0; 8 + len];
    body[2..4].copy_from_slice(&port.to_be_bytes());
    ip4(17, &body)
}

/// What bpf(2) takes for `BPF_PROG_TEST_RUN`.
#[repr(C)]
#[derive(Default)]
struct TestRunAttr {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    more: [u64; 4],
}

/// What it takes for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    kind: u32,
    instructions: u32,
    at: u64,
    license: u64,
    log: [u64; 2],
}

fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<i64> {
    // SAFETY: the structure is one that the command takes, and what it points to lives through the call.
    let done =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done) }
}

/// `r0 = -1; exit`.
fn empty_program() -> io::Result<OwnedFd> {
    let code: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];
    let license = c"MIT";
    let mut attr = LoadAttr {
        kind: 3,
        instructions: 2,
        at: code.as_ptr() as u64,
        license: license.as_ptr() as u64,
        ..LoadAttr::default()
    };
    let fd = bpf(5, &mut attr)?;
    // SAFETY: the descriptor was just made and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Enters a network namespace and brings its loopback up: a socket that sends frames.
fn loopback() -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed, but a request that lives through the call; the descriptor belongs to nobody else.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNET) < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = OwnedFd::from_raw_fd(fd);
        let mut request: libc::ifreq = std::mem::zeroed();
        (request.ifr_name[0], request.ifr_name[1]) = (b'l' as libc::c_char, b'o' as libc::c_char);
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        if libc::ioctl(fd, libc::SIOCSIFFLAGS, &request) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(socket)
    }
}

fn send(socket: &OwnedFd, frame: &[u8]) -> io::Result<()> {
    // SAFETY: zeroes are an address; both are read only, as long as they are said to be.
    let sent = unsafe {
        let mut to: libc::sockaddr_ll = std::mem::zeroed();
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = 1;
        libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            0,
            (&raw const to).cast(),
            size_of::<libc::sockaddr_ll>() as u32,
        )
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
