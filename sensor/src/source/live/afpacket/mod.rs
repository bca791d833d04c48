//! Packets from a ring of AF_PACKET.
//!
//! One socket and one ring for all interfaces, with a filter that asks for the interface first. A ring for each interface
//! would take memory for each of a hypervisor's hundreds of taps, and lose the order between them, by which a reply
//! follows its command; a socket bound to one interface also ends in an error when that goes. Here attaching and
//! detaching is another filter, put in the place of the last one in one step, and an interface that goes is simply silent.
//! The price: the filter's first few instructions run for the packets of interfaces that are not watched, too.
//!
//! It promises: nothing passes that was not asked for, also not at the start (the socket is made deaf, gets a filter that
//! takes nothing, and only then hears); of an interface of [`Observe::Metadata`] what may not be seen is overwritten in
//! the ring, before anybody looks. It sets nothing on an interface, not even promiscuous mode.

mod bpf;
mod filter;
mod ring;
#[cfg(test)]
mod tests;

use std::ffi::CStr;
use std::io;
use std::time::Duration;

use botlike_core::wire::LinkType;

use super::metadata::Metadata;
use super::{Interest, Losses, Observe, Point, Rung, RungError, RungKind};
use crate::source::Frame;

use self::ring::Ring;

/// `ARPHRD_RAWIP`.
const RAW_IP: u32 = 519;

/// Bytes of the ring, if nothing else is configured.
pub const RING: usize = 16 << 20;

/// Packets after which [`Rung::take`] returns.
const MANY: usize = 4096;

/// The rung.
pub struct AfPacket {
    ring: Ring,
    interest: Interest,
    /// By the kernel's number.
    points: Vec<Point>,
    metadata: Metadata,
}

impl AfPacket {
    /// Makes a ring of about so many bytes; it takes nothing yet.
    ///
    /// # Errors
    ///
    /// With what is missing: the right, the family of sockets, memory.
    pub fn open(interest: &Interest, bytes: usize) -> Result<Self, RungError> {
        let ring = Ring::open(bytes, &filter::NOTHING).map_err(|(what, error)| {
            let help = help(&error);
            RungError { what: what.to_owned(), error, help }
        })?;
        Ok(Self {
            ring,
            interest: interest.clone(),
            points: Vec::new(),
            metadata: Metadata::new(interest),
        })
    }

    /// Connections of which the gate of [`Observe::Metadata`] forgot how far they are, so that no payload of them passes.
    pub fn forgotten(&self) -> u64 {
        self.metadata.forgotten()
    }

    /// Sets the filter for the points that there are.
    fn refilter(&self) -> io::Result<()> {
        if self.points.is_empty() {
            return self.ring.filter(&filter::NOTHING);
        }
        let indexes: Vec<u32> = self.points.iter().map(|point| point.interface.index).collect();
        if let Some(program) = filter::program(Some(&indexes), &self.interest) {
            match self.ring.filter(&program) {
                // Longer than net.core.optmem_max allows, or than the kernel takes.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EINVAL)) => {
                }
                done => return done,
            }
        }
        // The packets of others are then passed over here.
        let program = filter::program(None, &self.interest).ok_or(io::ErrorKind::InvalidInput)?;
        self.ring.filter(&program)
    }
}

fn help(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => super::needs("CAP_NET_RAW", "cap_net_raw"),
        Some(libc::EAFNOSUPPORT) => {
            "RestrictAddressFamilies= of the unit must name AF_PACKET, and the kernel needs CONFIG_PACKET (modprobe af_packet)".to_owned()
        }
        Some(libc::ENOMEM) => "there is no memory for the ring".to_owned(),
        _ => String::new(),
    }
}

/// Whether an interface of this number and name is there.
pub(super) fn present(point: &Point) -> io::Result<()> {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: room for the longest name.
    let found = unsafe { libc::if_indextoname(point.interface.index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        // The call says ENXIO.
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    match CStr::from_bytes_until_nul(&name) {
        Ok(now) if now.to_bytes() == point.interface.name.as_bytes() => Ok(()),
        Ok(now) => Err(io::Error::other(format!("it is called {} now", now.to_string_lossy()))),
        Err(_) => Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
}

/// Checks what every rung asks of a point.
pub(super) fn check(point: &Point) -> Result<(), RungError> {
    let name = &point.interface.name;
    let refuse = |error, help: &str| {
        Err(RungError { what: format!("attach to {name}"), error, help: help.to_owned() })
    };
    if !matches!(point.interface.link, LinkType::Ethernet | LinkType::Raw) {
        let link = point.interface.link;
        let error = io::Error::new(
            io::ErrorKind::Unsupported,
            format!("its link layer ({link:?}) is neither Ethernet nor plain IP"),
        );
        return refuse(error, "watch the interface that carries it");
    }
    match present(point) {
        Ok(()) => Ok(()),
        Err(error) => refuse(error, "`ip -br link` lists the interfaces of this network namespace"),
    }
}

impl Rung for AfPacket {
    fn kind(&self) -> RungKind {
        RungKind::AfPacket
    }

    fn attach(&mut self, point: &Point) -> Result<(), RungError> {
        check(point)?;
        let index = point.interface.index;
        let before = self.points.clone();
        match self.points.binary_search_by_key(&index, |point| point.interface.index) {
            Ok(at) => self.points[at] = point.clone(),
            Err(at) => self.points.insert(at, point.clone()),
        }
        self.refilter().map_err(|error| {
            self.points = before;
            let help = match error.raw_os_error() {
                Some(libc::ENOMEM) => "raise net.core.optmem_max",
                _ => "",
            };
            RungError {
                what: format!("attach to {}", point.interface.name),
                error,
                help: help.to_owned(),
            }
        })
    }

    fn detach(&mut self, index: u32) {
        let before = self.points.len();
        self.points.retain(|point| point.interface.index != index);
        if self.points.len() < before {
            // If it fails the old one stays, and what comes of that interface is passed over.
            let _ = self.refilter();
        }
    }

    fn take(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), RungError> {
        let Self { ring, points, metadata, .. } = self;
        let mut take = |packet: ring::Packet<'_>| {
            let found = points.binary_search_by_key(&packet.index, |point| point.interface.index);
            let Some(point) = found.ok().and_then(|at| points.get(at)) else {
                // Of one that is not watched, or not any more.
                packet.data.fill(0);
                return;
            };
            let mut data = &*packet.data;
            if point.observe == Observe::Metadata {
                match metadata.allow(point, packet.data, packet.orig_len) {
                    Some(allowed) => data = allowed,
                    None => return,
                }
            }
            each(Frame {
                at: packet.at,
                link: point.interface.link,
                iface: point.number,
                data,
                orig_len: packet.orig_len.max(data.len() as u32),
            });
        };
        let broken = |error| RungError {
            what: "read the packet ring".to_owned(),
            error,
            help: String::new(),
        };
        let mut taken = 0;
        for waited in [false, true] {
            while taken < MANY
                && let Some(count) = ring.block(&mut take)
            {
                taken += count;
            }
            if taken > 0 || waited {
                break;
            }
            ring.wait(patience).map_err(broken)?;
        }
        Ok(())
    }

    fn losses(&mut self) -> Losses {
        let (ring_full, unreadable) = self.ring.losses();
        Losses { ring_full, unreadable: unreadable + self.metadata.fragments(), kernel: 0 }
    }
}
