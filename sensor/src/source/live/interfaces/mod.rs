//! The interfaces of this network namespace: which there are, how they come and go, and which to watch.
//!
//! It promises: [`list`] is what the kernel says now; a [`Watcher`] tells every difference between two lists, in an order
//! in which a removal comes before what takes its name; [`suitable`] is a pure function that gives a reason, in words,
//! for each interface that it takes or leaves. It refuses: to change anything, and to look into other namespaces.

mod choice;
mod netlink;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use botlike_core::wire::LinkType;

use super::Interface;

pub use self::choice::{Choice, UnknownInterface, suitable};
pub use self::netlink::{Watcher, list};

/// What an interface is made of, as far as that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A device, or what a driver shows as one (virtio, Xen).
    Device,
    /// The loopback.
    Loopback,
    /// One end of a pair; the other is mostly in a container.
    Veth,
    /// Ethernet to a process: a virtual machine.
    Tap,
    /// IP to a process: a tunnel.
    Tun,
    /// A bridge, of the kernel or of Open vSwitch.
    Bridge,
    /// A bond or team: its slaves are one link.
    Bond,
    /// A VLAN of another interface.
    Vlan,
    /// More hardware addresses on another interface.
    Macvlan,
    /// The same, to a process: a virtual machine.
    Macvtap,
    /// More IP addresses on another interface.
    Ipvlan,
    /// A virtual router's table: what passes it passes its slaves.
    Vrf,
    /// Sends into nothing.
    Dummy,
    /// A copy that traffic control makes.
    Ifb,
    /// Any other, by the kernel's name for it.
    Other(String),
}

impl Kind {
    /// As lines for people write it.
    pub fn name(&self) -> &str {
        match self {
            Self::Device => "device",
            Self::Loopback => "loopback",
            Self::Veth => "veth",
            Self::Tap => "tap",
            Self::Tun => "tun",
            Self::Bridge => "bridge",
            Self::Bond => "bond",
            Self::Vlan => "vlan",
            Self::Macvlan => "macvlan",
            Self::Macvtap => "macvtap",
            Self::Ipvlan => "ipvlan",
            Self::Vrf => "vrf",
            Self::Dummy => "dummy",
            Self::Ifb => "ifb",
            Self::Other(name) => name,
        }
    }
}

/// An interface of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What its owner calls it (`ip link set … alias`); empty where nothing is set.
    pub alias: String,
    /// What it is.
    pub kind: Kind,
    /// The bridge, bond or the like that it is part of.
    pub master: Option<u32>,
    /// The interface below it (of a VLAN, macvlan), or the other end (of a veth), where that is in this namespace.
    pub lower: Option<u32>,
    /// Whether what is below, or the other end, is in another namespace.
    pub elsewhere: bool,
    /// Whether it is up, as its owner wants it; a cable may still be missing.
    pub up: bool,
    /// The hardware type (`ARPHRD_…`).
    pub hardware: u16,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl Link {
    /// Its link layer as packets of it begin; `None` where that is not understood.
    pub fn link_type(&self) -> Option<LinkType> {
        link_type(self.hardware)
    }

    /// Whether it is the loopback.
    pub fn is_loopback(&self) -> bool {
        self.kind == Kind::Loopback
    }

    /// As a rung takes it; `None` where its link layer is not understood.
    pub fn interface(&self) -> Option<Interface> {
        Some(Interface {
            index: self.index,
            name: self.name.clone(),
            link: self.link_type()?,
            loopback: self.is_loopback(),
        })
    }
}

/// What packets of a hardware type begin with, as an AF_PACKET socket gives them.
pub(super) fn link_type(hardware: u16) -> Option<LinkType> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(LinkType::Ethernet),
        // `ARPHRD_RAWIP` (519) is what modems and some tunnels say.
        libc::ARPHRD_NONE | 519 => Some(LinkType::Raw),
        _ => None,
    }
}

/// The addresses of this machine: what `watch` judges when nothing else is configured. Loopback addresses are not among
/// them.
pub fn addresses(links: &[Link]) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = links
        .iter()
        .flat_map(|link| link.addresses.iter().copied())
        .filter(|address| !address.is_loopback())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It came.
    Added(Link),
    /// It went, or went to another namespace.
    Removed(Link),
    /// It has another name, state, master, alias or other addresses.
    Changed {
        /// As it was.
        old: Link,
        /// As it is.
        new: Link,
    },
}

/// What leads from one list to the other, both in the order of their numbers: first what went, then what changed, then
/// what came, so that no two interfaces have one name at a time.
fn difference(old: &[Link], new: &[Link]) -> Vec<Change> {
    let find = |links: &[Link], index: u32| {
        links.binary_search_by_key(&index, |link| link.index).ok().map(|at| links[at].clone())
    };
    let mut changes: Vec<Change> = old
        .iter()
        .filter(|link| find(new, link.index).is_none())
        .map(|link| Change::Removed(link.clone()))
        .collect();
    changes.extend(old.iter().filter_map(|old| {
        let new = find(new, old.index).filter(|new| new != old)?;
        Some(Change::Changed { old: old.clone(), new })
    }));
    changes.extend(
        new.iter()
            .filter(|link| find(old, link.index).is_none())
            .map(|link| Change::Added(link.clone())),
    );
    changes
}
