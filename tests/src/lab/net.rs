//! The network: a host with taps to its guests and an uplink to the rest of the internet.
//!
//! The host is where the laboratory's first thread lives. Each other place is a network namespace that a thread of the
//! same process entered; it has no name, and is gone with the process.

use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use super::netlink::{self, Way};
use super::plan::{self, Tap};

/// Work that is done in a namespace.
type Work = Box<dyn FnOnce() + Send>;

/// A namespace, with the thread that holds it open and starts what runs in it.
#[derive(Debug)]
pub struct Place {
    work: Sender<Work>,
    namespace: File,
}

impl Place {
    /// A new namespace with nothing but a loopback.
    ///
    /// # Errors
    /// In words, where the kernel grants none.
    pub fn new() -> Result<Self, String> {
        let (work, todo) = channel::<Work>();
        let (opened, ready) = channel();
        thread::spawn(move || {
            let _ = opened.send(enter());
            todo.into_iter().for_each(|work| work());
        });
        let entered = ready.recv().map_err(|error| error.to_string())?;
        let place = Self {
            work,
            namespace: entered.map_err(|error| format!("a network namespace: {error}"))?,
        };
        place.within(|| netlink::up("lo"))?;
        Ok(place)
    }

    /// Starts a thread in the namespace.
    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        let _ = self.work.send(Box::new(move || {
            // A thread that cannot be had is missed by whoever waits for its work.
            let _ = thread::Builder::new().stack_size(plan::STACK).spawn(work);
        }));
    }

    /// Does something in the namespace and waits for it.
    ///
    /// # Errors
    /// Those of the work.
    pub fn within<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let (done, wait) = channel();
        let _ = self.work.send(Box::new(move || {
            let _ = done.send(work());
        }));
        wait.recv().map_err(|_| "a thread of the laboratory broke down".to_owned())?
    }
}

/// Leaves the namespace that the thread was born in.
fn enter() -> io::Result<File> {
    // SAFETY: unshare takes a number and touches no memory; a network namespace is a thread's own affair.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    File::open("/proc/thread-self/ns/net")
}

/// All places.
#[derive(Debug)]
pub struct Net {
    /// The guests behind each tap.
    pub guests: Vec<(&'static Tap, Place)>,
    /// The rest of the internet.
    pub outside: Place,
}

impl Net {
    /// Lays the wires. The calling thread is on the host.
    ///
    /// # Errors
    /// In words.
    pub fn build() -> Result<Self, String> {
        netlink::up("lo")?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
            .map_err(|error| format!("/proc/sys/net/ipv4/ip_forward: {error}"))?;
        let mut guests = Vec::new();
        for tap in &plan::TAPS {
            let place = Place::new()?;
            netlink::veth(tap.name, "eth0", place.namespace.as_fd())?;
            netlink::address(tap.name, tap.gateway(), plan::TAP_PREFIX)?;
            netlink::up(tap.name)?;
            place.within(|| {
                for host in tap.addresses() {
                    netlink::address("eth0", host, plan::TAP_PREFIX)?;
                }
                netlink::up("eth0")?;
                netlink::route(Ipv4Addr::UNSPECIFIED, 0, Way::By(tap.gateway()))
            })?;
            if tap.blocked {
                netlink::block(tap.net, plan::TAP_PREFIX, 25)?;
            }
            guests.push((tap, place));
        }
        let outside = Place::new()?;
        netlink::veth(plan::UPLINK, "eth0", outside.namespace.as_fd())?;
        netlink::address(plan::UPLINK, plan::UPLINK_HERE, 30)?;
        netlink::up(plan::UPLINK)?;
        netlink::route(Ipv4Addr::UNSPECIFIED, 0, Way::By(plan::UPLINK_THERE))?;
        outside.within(|| {
            netlink::address("eth0", plan::UPLINK_THERE, 30)?;
            netlink::up("eth0")?;
            netlink::route(Ipv4Addr::UNSPECIFIED, 0, Way::By(plan::UPLINK_HERE))?;
            for (net, prefix) in plan::OUTSIDE {
                netlink::route(net, prefix, Way::Here)?;
            }
            let (net, prefix) = plan::VOID;
            netlink::route(net, prefix, Way::Nowhere)
        })?;
        Ok(Self { guests, outside })
    }

    /// The place of the guests behind a tap.
    pub fn behind(&self, name: &str) -> Option<&Place> {
        self.guests.iter().find(|(tap, _)| tap.name == name).map(|(_, place)| place)
    }
}
