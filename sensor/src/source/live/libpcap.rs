//! The last rung: libpcap, for a system where neither of the others works.
//!
//! One handle for each interface, all without blocking; whichever has packets first is read first, so that the order of
//! packets of two interfaces is only roughly that of their passing. What of Interest is, an expression of
//! pcap-filter(7) says; IPv6 packets with extension headers pass it all, and are sorted out later.

use std::fmt::Write as _;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;
use pcap::{Active, Capture, Error};

use super::metadata::Metadata;
use super::{Interest, Losses, Observe, Point, Rung, RungError, RungKind};
use crate::source::Frame;

/// More than the longest packet.
const WHOLE: i32 = 1 << 18;
/// Packets of one interface before the next one's turn.
const TURN: usize = 1024;

/// The rung.
pub struct Libpcap {
    interest: Interest,
    handles: Vec<Handle>,
    /// What detached handles lost.
    past: Losses,
    metadata: Metadata,
    /// Bytes of each handle's ring.
    ring: i32,
    /// A frame of metadata, since what may not be seen is overwritten.
    buffer: Vec<u8>,
}

struct Handle {
    point: Point,
    link: LinkType,
    capture: Capture<Active>,
}

impl Libpcap {
    /// Opens nothing yet; `ring` is what each interface's buffer will have, in bytes.
    pub fn new(interest: &Interest, ring: usize) -> Self {
        Self {
            interest: interest.clone(),
            handles: Vec::new(),
            past: Losses::default(),
            metadata: Metadata::new(interest),
            ring: i32::try_from(ring).unwrap_or(i32::MAX),
            buffer: Vec::new(),
        }
    }
}

/// What of Interest is, as an expression.
fn expression(interest: &Interest) -> String {
    let mut one = String::new();
    let mut or = |text: &str| {
        let joint = if one.is_empty() { "" } else { " or " };
        let _ = write!(one, "{joint}({text})");
    };
    for port in &interest.ports {
        or(&format!("tcp port {port}"));
    }
    if interest.dns {
        or("port 53");
    }
    if interest.syn {
        or("tcp[tcpflags] & (tcp-syn|tcp-rst) != 0");
        or("ip6[6] == 6 and ip6[53] & 6 != 0");
    }
    // Later fragments of TCP, and what stands behind IPv6 extension headers.
    or("ip[6:2] & 0x1fff != 0 and ip[9] == 6");
    for next in [0, 43, 44, 51, 60, 135] {
        or(&format!("ip6[6] == {next}"));
    }
    // "vlan" shifts what is behind it by one tag.
    format!("({one}) or (vlan and (({one}) or (vlan and ({one}))))")
}

fn as_io(error: &Error) -> io::Error {
    match error {
        Error::IoError(kind) => (*kind).into(),
        Error::ErrnoError(errno) => io::Error::from_raw_os_error(errno.0),
        other => io::Error::other(other.to_string()),
    }
}

/// Opens a handle for an interface.
fn open(point: &Point, expression: &str, ring: i32) -> Result<Handle, Error> {
    let mut capture = Capture::from_device(point.interface.name.as_str())?
        .snaplen(WHOLE)
        .promisc(false)
        .immediate_mode(true)
        .buffer_size(ring)
        .precision(pcap::Precision::Nano)
        .open()?
        .setnonblock()?;
    capture.filter(expression, true)?;
    // Of libpcap's own numbers, 12 is plain IP.
    let link = LinkType::from_number(capture.get_datalink().0.cast_unsigned());
    Ok(Handle { point: point.clone(), link, capture })
}

impl Handle {
    fn losses(&mut self) -> Losses {
        self.capture.stats().map_or(Losses::default(), |stats| Losses {
            ring_full: u64::from(stats.dropped),
            unreadable: 0,
            kernel: u64::from(stats.if_dropped),
        })
    }
}

impl Rung for Libpcap {
    fn kind(&self) -> RungKind {
        RungKind::Libpcap
    }

    fn attach(&mut self, point: &Point) -> Result<(), RungError> {
        super::afpacket::check(point)?;
        let expression = expression(&self.interest);
        let handle = open(point, &expression, self.ring).map_err(|error| {
            let text = error.to_string();
            // libpcap says it in words.
            let rights = ["permi", "not permitted", "CAP_NET_RAW"];
            let help = if rights.iter().any(|word| text.contains(word)) {
                super::needs("CAP_NET_RAW", "cap_net_raw")
            } else {
                String::new()
            };
            RungError {
                what: format!("open {} with libpcap", point.interface.name),
                error: as_io(&error),
                help,
            }
        })?;
        self.detach(point.interface.index);
        self.handles.push(handle);
        Ok(())
    }

    fn detach(&mut self, index: u32) {
        for handle in &mut self.handles {
            if handle.point.interface.index == index {
                let lost = handle.losses();
                self.past.ring_full += lost.ring_full;
                self.past.kernel += lost.kernel;
            }
        }
        self.handles.retain(|handle| handle.point.interface.index != index);
    }

    fn take(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), RungError> {
        for waited in [false, true] {
            let Self { handles, metadata, buffer, .. } = self;
            let mut taken = 0;
            let mut gone = Vec::new();
            for Handle { point, link, capture } in handles {
                for _ in 0..TURN {
                    let packet = match capture.next_packet() {
                        Ok(packet) => packet,
                        Err(Error::TimeoutExpired) => break,
                        Err(_) => {
                            // The interface is gone or down. If it is there again, somebody attaches it again.
                            gone.push(point.interface.index);
                            break;
                        }
                    };
                    taken += 1;
                    let header = packet.header;
                    let at = Stamp::from_parts(
                        u64::try_from(header.ts.tv_sec).unwrap_or(0),
                        // Nanoseconds, as was asked for.
                        u32::try_from(header.ts.tv_usec).unwrap_or(0),
                    );
                    let mut data = packet.data;
                    if point.observe == Observe::Metadata {
                        buffer.clear();
                        buffer.extend_from_slice(packet.data);
                        match metadata.allow(point, buffer, header.len) {
                            Some(allowed) => data = allowed,
                            None => continue,
                        }
                    }
                    each(Frame {
                        at,
                        link: *link,
                        iface: point.number,
                        data,
                        orig_len: header.len,
                    });
                }
            }
            for index in gone {
                self.detach(index);
            }
            if taken > 0 || waited {
                break;
            }
            wait(&self.handles, patience).map_err(|error| RungError {
                what: "wait for packets".to_owned(),
                error,
                help: String::new(),
            })?;
        }
        Ok(())
    }

    fn losses(&mut self) -> Losses {
        let mut all = self.past;
        for handle in &mut self.handles {
            let lost = handle.losses();
            all.ring_full += lost.ring_full;
            all.kernel += lost.kernel;
        }
        all.unreadable = self.metadata.fragments();
        all
    }
}

/// Waits until one of them has packets, at most so long; a signal ends it too.
fn wait(handles: &[Handle], patience: Duration) -> io::Result<()> {
    let mut polls: Vec<libc::pollfd> = handles
        .iter()
        .map(|handle| libc::pollfd {
            fd: handle.capture.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let millis = i32::try_from(patience.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
    // SAFETY: as many whole `pollfd` as are said; none is allowed, too.
    let done = unsafe { libc::poll(polls.as_mut_ptr(), polls.len() as libc::nfds_t, millis) };
    if done < 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interest_is_an_expression_that_libpcap_takes() {
        for (dns, syn) in [(false, false), (true, false), (false, true), (true, true)] {
            let interest = Interest { ports: vec![25, 465, 587, 2525], dns, syn };
            for dlt in [1, 12] {
                let text = expression(&interest);
                // Plain IP has no VLAN, which a handle of the kernel's forgives and a dead one does not.
                let text =
                    if dlt == 12 { text.split(" or (vlan").next().unwrap_or(&text) } else { &text };
                let dead = Capture::dead(pcap::Linktype(dlt)).expect("a dead handle");
                dead.compile(text, true).unwrap_or_else(|error| panic!("{error}: {text}"));
            }
        }
    }
}
