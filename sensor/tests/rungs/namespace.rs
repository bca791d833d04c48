//! A network namespace for a test, and what is in it.

use std::process::Command;
use std::thread;
use std::time::Duration;

use botlike::source::live::interfaces::{self, Link};
use botlike::source::live::{Observe, Point, Rung};
use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;
use botlike_tests::skip::{Kind, ran, skip};

/// Runs a test in a new namespace, or says why it cannot.
pub(crate) fn within(test: &'static str, body: impl FnOnce() + Send + 'static) {
    let done = thread::spawn(move || {
        // SAFETY: no pointers. It concerns this thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            let error = std::io::Error::last_os_error();
            return skip(Kind::Kernel, test, &format!("no network namespace: {error}"));
        }
        if let Err(error) = Command::new("ip").arg("-V").output() {
            return skip(Kind::Kernel, test, &format!("no ip(8): {error}"));
        }
        ran(Kind::Kernel, test);
        body();
    });
    if let Err(panic) = done.join() {
        std::panic::resume_unwind(panic);
    }
}

/// `ip` with these words.
pub(crate) fn ip(words: &str) {
    let output = Command::new("ip").args(words.split_whitespace()).output().expect("ip runs");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The interface of this name.
pub(crate) fn link(name: &str) -> Link {
    let links = interfaces::list().expect("netlink");
    links.into_iter().find(|link| link.name == name).expect("the interface")
}

pub(crate) fn point(number: u32, name: &str, observe: Observe) -> Point {
    Point { number, interface: link(name).interface().expect("a known link layer"), observe }
}

/// A frame as it was handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) at: Stamp,
    pub(crate) link: LinkType,
    pub(crate) iface: u32,
    pub(crate) data: Vec<u8>,
    pub(crate) orig_len: u32,
}

/// What a rung hands over until nothing more comes for a while.
pub(crate) fn take_all(rung: &mut dyn Rung) -> Vec<Taken> {
    let mut all = Vec::new();
    let mut quiet = 0;
    for _ in 0..1000 {
        let before = all.len();
        rung.take(Duration::from_millis(50), &mut |frame| {
            all.push(Taken {
                at: frame.at,
                link: frame.link,
                iface: frame.iface,
                data: frame.data.to_vec(),
                orig_len: frame.orig_len,
            });
        })
        .expect("it goes on");
        // Longer than a block of the ring waits to be full.
        quiet = if all.len() == before { quiet + 1 } else { 0 };
        if quiet == 4 {
            break;
        }
    }
    all
}

/// Puts frames onto an interface.
pub(crate) fn send(name: &str, frames: &[Vec<u8>]) {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "{}", std::io::Error::last_os_error());
    // SAFETY: a struct of numbers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_ifindex = link(name).index.cast_signed();
    for frame in frames {
        // SAFETY: both pointers with the lengths of what they point to.
        let sent = unsafe {
            libc::sendto(
                fd,
                frame.as_ptr().cast(),
                frame.len(),
                0,
                (&raw const address).cast(),
                size_of_val(&address) as u32,
            )
        };
        assert_eq!(sent, frame.len() as isize, "{}", std::io::Error::last_os_error());
    }
    // SAFETY: opened above, closed once.
    unsafe { libc::close(fd) };
}
