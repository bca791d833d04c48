//! The rung of the eBPF probe: TCX links in both directions, and a ring.
//!
//! The probe's object is part of this program (`sensor/probe`). It promises: nothing is pinned, so that the kernel takes
//! everything back when this process ends, in whichever way; packets pass whatever the probe does; every frame that is lost
//! is counted where it is lost. It refuses: kernels without TCX (before 6.6), since the older way outlives a killed process.
//!
//! The reader sleeps until a record comes while nothing happens. While something does, it naps for some milliseconds between
//! two batches, and the probe wakes it early only where the ring fills.

mod clock;
mod help;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use aya::maps::{Array, HashMap as KernelMap, MapData, MapInfo, PerCpuArray, RingBuf};
use aya::programs::tc::{SchedClassifierLinkId, TcAttachOptions};
use aya::programs::{LinkOrder, SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfLoader};
use botlike_core::wire::LinkType;
use botlike_ebpf::interest::port_words;
use botlike_ebpf::record::{
    AWAKE, COUNTS, Count, Counts, Header, NAPS, OBSERVE_FULL, OBSERVE_METADATA, SLEEPS,
};

use self::clock::Clock;
use super::super::Frame;
use super::{Interest, Losses, Observe, Point, Rung, RungError, RungKind};

/// The probe, built by `cargo xtask probe`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../../probe/botlike.bpf.o");

/// How long the reader naps between two batches at most.
const NAP: Duration = Duration::from_millis(10);
/// Records that are handed over at a time.
const BATCH: usize = 4096;
/// Bytes in the ring above which a napping reader is woken, where the ring is large enough.
const FILL: u64 = 1 << 20;
/// The smallest ring that is made: it holds a few of the largest records.
const SMALLEST_RING: u64 = 256 << 10;
/// The largest ring that the kernel's 32 bits can name.
const LARGEST_RING: u64 = 1 << 31;

/// What is set when the probe is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of the ring; rounded up to a power of two.
    pub ring: u64,
    /// Connections that the gate follows on interfaces with `observe = metadata`.
    pub flows: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { ring: 16 << 20, flows: 1 << 15 }
    }
}

/// The probe in the kernel, and its reader.
pub struct Tcx {
    probe: Ebpf,
    ring: RingBuf<MapData>,
    reader: Array<MapData, u32>,
    interfaces: KernelMap<MapData, u32, u8>,
    counters: PerCpuArray<MapData, [u64; COUNTS]>,
    epoll: OwnedFd,
    clock: Clock,
    points: HashMap<u32, Attached>,
    pace: Pace,
    /// A frame whose tag is put back.
    tagged: Vec<u8>,
}

/// A point, and what holds the programs there.
struct Attached {
    point: Point,
    /// Empty when it was detached: records of it may still lie in the ring.
    links: Vec<(&'static str, SchedClassifierLinkId)>,
}

/// What the last batch was like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// There was nothing.
    Idle,
    /// It emptied the ring.
    Busy,
    /// It was full: more is there.
    Full,
}

impl Tcx {
    /// Loads the probe.
    ///
    /// # Errors
    ///
    /// Where the kernel refuses it, with what would help.
    pub fn load(interest: &Interest, options: Options) -> Result<Self, RungError> {
        Self::load_object(OBJECT, interest, options)
    }

    /// The same with another object, for tests of one that was just built.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_object(
        object: &[u8],
        interest: &Interest,
        options: Options,
    ) -> Result<Self, RungError> {
        let failed = |error: &(dyn std::error::Error + 'static)| help::load(error);
        let size = options.ring.clamp(SMALLEST_RING, LARGEST_RING).next_power_of_two();
        let ports = port_words(&interest.ports);
        let fill = FILL.min(size / 4);
        let mut probe = EbpfLoader::new()
            // No type of the kernel is used, so that its BTF need not be read.
            .btf(None)
            .override_global("PORTS", &ports[..], true)
            .override_global("DNS", &u32::from(interest.dns), true)
            .override_global("SYN", &u32::from(interest.syn), true)
            .override_global("FILL", &fill, true)
            .map_max_entries("EVENTS", u32::try_from(size).unwrap_or(1 << 31))
            .map_max_entries("FLOWS", options.flows.max(1))
            .load(object)
            .map_err(|error| failed(&error))?;
        for name in names(LinkType::Ethernet) {
            program(&mut probe, name)
                .and_then(|program| program.load().map_err(|error| failed(&error)))?;
        }
        let ring = RingBuf::try_from(map(&mut probe, "EVENTS")?).map_err(|e| failed(&e))?;
        let reader = Array::try_from(map(&mut probe, "READER")?).map_err(|e| failed(&e))?;
        let interfaces =
            KernelMap::try_from(map(&mut probe, "INTERFACES")?).map_err(|e| failed(&e))?;
        let counters =
            PerCpuArray::try_from(map(&mut probe, "COUNTERS")?).map_err(|e| failed(&e))?;
        let epoll = edges(&ring).map_err(|error| RungError {
            what: "wait for the probe's ring".into(),
            error,
            help: String::new(),
        })?;
        Ok(Self {
            probe,
            ring,
            reader,
            interfaces,
            counters,
            epoll,
            clock: Clock::new(),
            points: HashMap::new(),
            pace: Pace::Idle,
            tagged: Vec::new(),
        })
    }

    /// What the probe counted so far.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        if let Ok(values) = self.counters.get(&0, 0) {
            values.iter().for_each(|value| counts.add(value));
        }
        counts
    }

    /// The maps of the loaded probe, as the kernel knows them: for whoever wants to see that nothing is in them.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell.
    pub fn maps(&self) -> Result<Vec<MapInfo>, RungError> {
        let failed = |error: &(dyn std::error::Error + 'static)| help::load(error);
        let program = self.probe.program(names(LinkType::Ethernet)[0]);
        let info = program.and_then(|program| program.info().ok());
        let ids = info.and_then(|info| info.map_ids().ok()?).unwrap_or_default();
        ids.into_iter().map(|id| MapInfo::from_id(id).map_err(|e| failed(&e))).collect()
    }

    /// Hands over what lies in the ring, at most a batch.
    fn drain(&mut self, each: &mut dyn FnMut(Frame<'_>)) -> usize {
        self.clock.refresh();
        let mut taken = 0;
        while taken < BATCH {
            let Some(record) = self.ring.next() else { break };
            taken += 1;
            let Some((header, data)) = Header::read(&record) else { continue };
            let Some(Attached { point, .. }) = self.points.get(&header.ifindex) else { continue };
            let mut frame = Frame {
                at: self.clock.stamp(header.time),
                link: point.interface.link,
                iface: point.number,
                data,
                orig_len: header.orig_len.max(header.len),
            };
            if header.tpid != 0
                && point.interface.link == LinkType::Ethernet
                && let Some((addresses, rest)) = data.split_at_checked(12)
            {
                self.tagged.clear();
                self.tagged.extend_from_slice(addresses);
                self.tagged.extend_from_slice(&header.tpid.to_be_bytes());
                self.tagged.extend_from_slice(&header.tci.to_be_bytes());
                self.tagged.extend_from_slice(rest);
                frame.data = &self.tagged;
                frame.orig_len = frame.orig_len.saturating_add(4);
            }
            each(frame);
        }
        self.pace = match taken {
            0 => Pace::Idle,
            BATCH => Pace::Full,
            _ => Pace::Busy,
        };
        if taken < BATCH {
            self.points.retain(|_, attached| !attached.links.is_empty());
        }
        taken
    }

    /// Tells the probe when to wake this thread.
    fn set_reader(&mut self, state: u32) -> Result<(), RungError> {
        self.reader.set(0, state, 0).map_err(|error| RungError {
            what: "tell the probe to wake the reader".into(),
            error: help::cause(&error),
            help: String::new(),
        })
    }

    /// Waits until the probe wakes, or until the time is over.
    fn wait(&self, at_most: Duration) -> Result<(), RungError> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // Rounded up, so that a short time does not become none.
        let millis = at_most.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
        // SAFETY: one event may be written where one lies.
        let woken = unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), &mut event, 1, millis) };
        if woken < 0 {
            let error = io::Error::last_os_error();
            // A signal: whoever called looks what it was.
            if error.kind() != io::ErrorKind::Interrupted {
                let what = "wait for the probe's ring".into();
                return Err(RungError { what, error, help: String::new() });
            }
        }
        Ok(())
    }
}

impl Rung for Tcx {
    fn kind(&self) -> RungKind {
        RungKind::Tcx
    }

    fn attach(&mut self, point: &Point) -> Result<(), RungError> {
        let index = point.interface.index;
        let fail = |error: io::Error| help::attach(&point.interface.name, error);
        if !matches!(point.interface.link, LinkType::Ethernet | LinkType::Raw) {
            return Err(fail(io::Error::new(
                io::ErrorKind::Unsupported,
                "its link layer is neither Ethernet nor bare IP",
            )));
        }
        let observe = match point.observe {
            Observe::Metadata => OBSERVE_METADATA,
            Observe::Full => OBSERVE_FULL,
        };
        // Attached: how far to look changes without a packet being missed.
        if let Some(attached) = self.points.get_mut(&index)
            && !attached.links.is_empty()
            && attached.point.interface == point.interface
            && attached.point.observe != point.observe
        {
            attached.point = point.clone();
            return self
                .interfaces
                .insert(index, observe, 0)
                .map_err(|error| fail(help::cause(&error)));
        }
        self.detach(index);
        self.interfaces.insert(index, observe, 0).map_err(|error| fail(help::cause(&error)))?;
        let attached = Attached { point: point.clone(), links: Vec::new() };
        self.points.insert(index, attached);
        let [arriving, leaving] = names(point.interface.link);
        let mut ways = vec![(arriving, TcAttachType::Ingress)];
        if !point.interface.loopback {
            ways.push((leaving, TcAttachType::Egress));
        }
        for (name, way) in ways {
            match link(&mut self.probe, name, index, way) {
                Ok(id) => {
                    if let Some(attached) = self.points.get_mut(&index) {
                        attached.links.push((name, id));
                    }
                }
                Err(Refused::Load(error)) => {
                    self.detach(index);
                    return Err(error);
                }
                Err(Refused::Attach(error)) => {
                    self.detach(index);
                    return Err(fail(error));
                }
            }
        }
        Ok(())
    }

    fn detach(&mut self, index: u32) {
        let Some(attached) = self.points.get_mut(&index) else { return };
        for (name, id) in attached.links.drain(..) {
            if let Ok(program) = program(&mut self.probe, name) {
                // The interface may have taken the link with it.
                let _ = program.detach(id);
            }
        }
        let _ = self.interfaces.remove(&index);
    }

    fn take(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), RungError> {
        let began = Instant::now();
        if self.pace == Pace::Busy && !patience.is_zero() {
            self.set_reader(NAPS)?;
            self.wait(NAP.min(patience))?;
        }
        if self.drain(each) > 0 || patience.is_zero() {
            return Ok(());
        }
        self.set_reader(SLEEPS)?;
        // What came before the probe knew.
        if self.drain(each) == 0 {
            self.wait(patience.saturating_sub(began.elapsed()))?;
            self.drain(each);
        }
        self.set_reader(AWAKE)
    }

    fn losses(&mut self) -> Losses {
        let counts = self.counts();
        Losses {
            ring_full: counts.get(Count::RingFull),
            unreadable: counts.get(Count::Unreadable) + counts.get(Count::Oversized),
            kernel: 0,
        }
    }
}

/// The programs for what arrives and for what leaves.
const fn names(link: LinkType) -> [&'static str; 2] {
    match link {
        LinkType::Raw => ["botlike_raw_in", "botlike_raw_out"],
        _ => ["botlike_in", "botlike_out"],
    }
}

fn program<'a>(probe: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, RungError> {
    probe
        .program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| help::missing("program", name))
}

fn map(probe: &mut Ebpf, name: &str) -> Result<aya::maps::Map, RungError> {
    probe.take_map(name).ok_or_else(|| help::missing("map", name))
}

/// Why a link was not made.
enum Refused {
    Load(RungError),
    Attach(io::Error),
}

/// Attaches a program to the interface with this number in this network namespace, before all that are there.
fn link(
    probe: &mut Ebpf,
    name: &str,
    index: u32,
    way: TcAttachType,
) -> Result<SchedClassifierLinkId, Refused> {
    let program = program(probe, name).map_err(Refused::Load)?;
    if program.fd().is_err() {
        program.load().map_err(|error| Refused::Load(help::load(&error)))?;
    }
    // The library asks for a name, which may have changed since it was listed, and may change while it looks.
    for _ in 0..3 {
        let before = interface_name(index).map_err(Refused::Attach)?;
        let options = TcAttachOptions::TcxOrder(LinkOrder::first());
        let id = program
            .attach_with_options(&before, way, options)
            .map_err(|error| Refused::Attach(help::cause(&error)))?;
        if interface_name(index).is_ok_and(|after| after == before) {
            return Ok(id);
        }
        let _ = program.detach(id);
    }
    Err(Refused::Attach(io::Error::other("its name changes all the time")))
}

/// The name of an interface.
fn interface_name(index: u32) -> io::Result<String> {
    let mut name = [0 as libc::c_char; libc::IF_NAMESIZE];
    // SAFETY: the buffer is as long as the call demands.
    if unsafe { libc::if_indextoname(index, name.as_mut_ptr()) }.is_null() {
        return Err(io::Error::last_os_error());
    }
    let bytes: Vec<u8> = name.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// An epoll that tells of wake-ups of the ring alone: not of records that came quietly.
fn edges(ring: &RingBuf<MapData>) -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: 0 };
    // SAFETY: both descriptors are open, and the event is read only.
    let added = unsafe { libc::epoll_ctl(fd, libc::EPOLL_CTL_ADD, ring.as_raw_fd(), &mut event) };
    if added < 0 { Err(io::Error::last_os_error()) } else { Ok(epoll) }
}
