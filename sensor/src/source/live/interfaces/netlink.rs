//! Interfaces as rtnetlink(7) tells them.
//!
//! Of a message some ten attributes are read and all others passed over, known or not: a parser of whole messages refuses
//! an interface for one attribute that a newer kernel writes in another way. A notification is not believed either; it
//! only says that it is time to list again. So one that was lost (`ENOBUFS`) costs nothing, and a burst costs one list.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::{NetlinkBuffer, NlaBuffer, NlasIterator};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::super::RungError;
use super::{Change, Kind, Link, difference};

/// Bytes of one read: more than the kernel puts into one answer.
const BUFFER: usize = 64 << 10;
/// Reads of one dump; 64 KiB hold some 30 interfaces at least.
const MAX_READS: usize = 1 << 14;
/// A dump that changed while it was made is asked for again, so often.
const MAX_TRIES: usize = 8;
/// Notifications that are passed over before one list.
const MAX_DRAINED: usize = 1 << 14;

/// Length of a netlink message's header.
const HEADER: usize = 16;
/// `RTEXT_FILTER_SKIP_STATS`: an interface without its statistics.
const SKIP_STATS: u32 = 1 << 3;
/// `IFLA_INFO_KIND` within `IFLA_LINKINFO`.
const INFO_KIND: u16 = 1;

/// The interfaces of the calling thread's network namespace, by number.
///
/// # Errors
///
/// Where the kernel does not tell: no netlink socket, or it is forbidden.
pub fn list() -> Result<Vec<Link>, RungError> {
    query().map_err(|error| failed("list the interfaces", error))
}

fn failed(what: &str, error: io::Error) -> RungError {
    let help = match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT) => "RestrictAddressFamilies= of the unit must name AF_NETLINK",
        Some(libc::EPERM | libc::EACCES) => "the sandbox must allow AF_NETLINK sockets",
        _ => "",
    };
    RungError { what: what.to_owned(), error, help: help.to_owned() }
}

fn query() -> io::Result<Vec<Link>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut error = io::ErrorKind::Interrupted.into();
    for _ in 0..MAX_TRIES {
        match dump_all(&socket) {
            // It changed meanwhile.
            Err(again) if again.kind() == io::ErrorKind::Interrupted => error = again,
            done => return done,
        }
    }
    Err(error)
}

fn dump_all(socket: &Socket) -> io::Result<Vec<Link>> {
    let mut links = Vec::new();
    let mut addresses = Vec::new();
    dump(socket, libc::RTM_GETLINK, libc::RTM_NEWLINK, 1, &mut |body| links.extend(link(body)))?;
    dump(socket, libc::RTM_GETADDR, libc::RTM_NEWADDR, 2, &mut |body| {
        addresses.extend(address(body));
    })?;
    links.sort_unstable_by_key(|link| link.index);
    links.dedup_by_key(|link| link.index);
    addresses.sort_unstable();
    addresses.dedup();
    for (index, address) in addresses {
        if let Ok(at) = links.binary_search_by_key(&index, |link| link.index) {
            links[at].addresses.push(address);
        }
    }
    Ok(links)
}

/// Asks for everything of a kind; `each` gets the bodies of the answers. `Interrupted` where the kernel says that the
/// answer is not of one moment.
fn dump(
    socket: &Socket,
    ask: u16,
    answer: u16,
    sequence: u32,
    each: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    // Header, `struct ifinfomsg` (longer than `ifaddrmsg`, which the kernel takes too), `IFLA_EXT_MASK`.
    let mut request = [0u8; HEADER + 16 + 8];
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    request[..4].copy_from_slice(&(HEADER as u32 + 24).to_ne_bytes());
    request[4..6].copy_from_slice(&ask.to_ne_bytes());
    request[6..8].copy_from_slice(&flags.to_ne_bytes());
    request[8..12].copy_from_slice(&sequence.to_ne_bytes());
    request[32..34].copy_from_slice(&8u16.to_ne_bytes());
    request[34..36].copy_from_slice(&libc::IFLA_EXT_MASK.to_ne_bytes());
    request[36..].copy_from_slice(&SKIP_STATS.to_ne_bytes());
    socket.send(&request, 0)?;

    let mut buffer = Vec::with_capacity(BUFFER);
    let mut changed = false;
    for _ in 0..MAX_READS {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        for message in messages(&buffer).filter(|message| message.sequence_number() == sequence) {
            changed |= message.flags() & libc::NLM_F_DUMP_INTR as u16 != 0;
            match i32::from(message.message_type()) {
                libc::NLMSG_DONE if changed => return Err(io::ErrorKind::Interrupted.into()),
                libc::NLMSG_DONE => return Ok(()),
                libc::NLMSG_ERROR => {
                    let code =
                        message.payload().first_chunk().map_or(0, |b| i32::from_ne_bytes(*b));
                    return Err(io::Error::from_raw_os_error(-code));
                }
                kind if kind == i32::from(answer) => each(message.payload()),
                _ => {}
            }
        }
    }
    Err(io::Error::other("the kernel's answer does not end"))
}

/// The messages in what was read.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(bytes).ok()?;
        let length = (message.length() as usize).max(HEADER).next_multiple_of(4);
        bytes = bytes.get(length..).unwrap_or_default();
        Some(message)
    })
}

/// Number and value of the attributes.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(|attribute| {
        let attribute: NlaBuffer<&[u8]> = attribute.ok()?;
        let length = usize::from(attribute.length());
        Some((attribute.kind(), attribute.into_inner().get(4..length)?))
    })
}

fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// An interface, from the body of `RTM_NEWLINK`: `struct ifinfomsg` and attributes.
fn link(body: &[u8]) -> Option<Link> {
    let (&head, rest) = body.split_first_chunk::<16>()?;
    let flags = u32::from_ne_bytes([head[8], head[9], head[10], head[11]]) as i32;
    let mut link = Link {
        index: u32::from_ne_bytes([head[4], head[5], head[6], head[7]]),
        name: String::new(),
        alias: String::new(),
        kind: Kind::Device,
        master: None,
        lower: None,
        elsewhere: false,
        up: flags & libc::IFF_UP != 0,
        hardware: u16::from_ne_bytes([head[2], head[3]]),
        addresses: Vec::new(),
    };
    let mut kind = String::new();
    for (attribute, value) in attributes(rest) {
        match attribute {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_IFALIAS => link.alias = text(value),
            libc::IFLA_MASTER => link.master = number(value),
            libc::IFLA_LINK => link.lower = number(value),
            libc::IFLA_LINK_NETNSID => link.elsewhere = true,
            libc::IFLA_LINKINFO => {
                kind = attributes(value)
                    .find(|(attribute, _)| *attribute == INFO_KIND)
                    .map_or_else(String::new, |(_, value)| text(value));
            }
            _ => {}
        }
    }
    // Where the other end is elsewhere, its number is one of that namespace.
    link.lower = link.lower.filter(|lower| *lower != 0 && *lower != link.index && !link.elsewhere);
    link.kind = match kind.as_str() {
        _ if flags & libc::IFF_LOOPBACK != 0 => Kind::Loopback,
        "" => Kind::Device,
        "veth" => Kind::Veth,
        "tun" if link.hardware == libc::ARPHRD_ETHER => Kind::Tap,
        "tun" => Kind::Tun,
        "bridge" | "openvswitch" => Kind::Bridge,
        "bond" | "team" => Kind::Bond,
        "vlan" => Kind::Vlan,
        "macvlan" => Kind::Macvlan,
        "macvtap" | "ipvtap" => Kind::Macvtap,
        "ipvlan" => Kind::Ipvlan,
        "vrf" => Kind::Vrf,
        "dummy" => Kind::Dummy,
        "ifb" => Kind::Ifb,
        _ => Kind::Other(kind),
    };
    (!link.name.is_empty()).then_some(link)
}

/// An address and its interface, from the body of `RTM_NEWADDR`: `struct ifaddrmsg` and attributes.
fn address(body: &[u8]) -> Option<(u32, IpAddr)> {
    let (&head, rest) = body.split_first_chunk::<8>()?;
    let index = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]);
    let ip = |value: &[u8]| match i32::from(head[0]) {
        libc::AF_INET => Some(IpAddr::from(<[u8; 4]>::try_from(value).ok()?)),
        libc::AF_INET6 => Some(IpAddr::from(<[u8; 16]>::try_from(value).ok()?)),
        _ => None,
    };
    let (mut local, mut other) = (None, None);
    for (attribute, value) in attributes(rest) {
        match attribute {
            libc::IFA_LOCAL => local = ip(value),
            // On a line between two points that of the other end, if the local one is told as well.
            libc::IFA_ADDRESS => other = ip(value),
            _ => {}
        }
    }
    Some((index, local.or(other)?))
}

/// Tells how the interfaces change.
#[derive(Debug)]
pub struct Watcher {
    socket: Socket,
    links: Vec<Link>,
    changes: VecDeque<Change>,
}

impl Watcher {
    /// Lists the interfaces and begins to watch: nothing between both is missed.
    ///
    /// # Errors
    ///
    /// As [`list`].
    pub fn new() -> Result<Self, RungError> {
        let socket = subscribe().map_err(|error| failed("watch the interfaces", error))?;
        Ok(Self { socket, links: list()?, changes: VecDeque::new() })
    }

    /// The interfaces, all changes that were told or wait to be told included.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The next change; `None` where nothing changed. It does not wait: [`as_fd`](AsFd::as_fd) is readable when there may
    /// be one.
    ///
    /// # Errors
    ///
    /// Where the kernel does not tell. Later calls may succeed, and then tell what was missed.
    pub fn next_change(&mut self) -> Result<Option<Change>, RungError> {
        if self.changes.is_empty()
            && self.drain().map_err(|error| failed("watch the interfaces", error))?
        {
            let links = list()?;
            self.changes = difference(&self.links, &links).into();
            self.links = links;
        }
        Ok(self.changes.pop_front())
    }

    /// Passes over what came, and says whether anything did. What comes meanwhile is for the next call.
    fn drain(&self) -> io::Result<bool> {
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut some = false;
        for _ in 0..MAX_DRAINED {
            buffer.clear();
            match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => some = true,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => break,
                    Some(libc::ENOBUFS | libc::EINTR) => some = true,
                    _ => return Err(error),
                },
            }
        }
        Ok(some)
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn subscribe() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
    socket.bind(&SocketAddr::new(0, groups as u32))?;
    Ok(socket)
}
