//! Packets of this machine, as they pass.
//!
//! A [`Rung`] is one way of taking them: the eBPF probe (TCX), an AF_PACKET ring, libpcap. All do the same: they take
//! what is of [`Interest`] at the interfaces that they were told to watch, no more of a packet than the interface's
//! [`Observe`] allows, and count what they lose. They never block, delay or change a packet, and leave nothing in the
//! kernel when their process ends in any way.
//!
//! Kernel time becomes packet time here, once: a [`Frame`]'s `at` is wall-clock time.

#[cfg(target_os = "linux")]
pub mod afpacket;
#[cfg(target_os = "linux")]
pub mod interfaces;
#[cfg(target_os = "linux")]
mod ladder;
#[cfg(all(target_os = "linux", feature = "libpcap"))]
pub mod libpcap;
#[cfg(target_os = "linux")]
mod metadata;
#[cfg(target_os = "linux")]
pub mod tcx;

use std::fmt;
use std::io;
use std::time::Duration;

use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;

use super::Frame;

#[cfg(target_os = "linux")]
pub use self::ladder::Ladder;

/// A way of taking packets, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RungKind {
    /// eBPF programs on TCX links.
    Tcx,
    /// A ring of AF_PACKET, with a classic filter.
    AfPacket,
    /// libpcap.
    Libpcap,
}

impl RungKind {
    /// All, the best first.
    pub const ALL: [Self; 3] = [Self::Tcx, Self::AfPacket, Self::Libpcap];

    /// As written on the command line and in lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::AfPacket => "af_packet",
            Self::Libpcap => "libpcap",
        }
    }
}

/// What is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interest {
    /// `smtp`: TCP from and to these server ports.
    pub ports: Vec<u16>,
    /// `dns`: port 53, UDP and TCP.
    pub dns: bool,
    /// `syn`: headers of every TCP SYN, SYN-ACK and RST, whatever the port.
    pub syn: bool,
}

/// How far the sensor looks at what passes an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Observe {
    /// TCP, greeting, first EHLO, capabilities, TLS hello: what `botlike_ebpf::gate` lets through. Of the rest, headers.
    Metadata,
    /// All of it.
    Full,
}

impl Observe {
    /// As written in configuration and lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Full => "full",
        }
    }
}

/// An interface, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its link layer.
    pub link: LinkType,
    /// Whether it is a loopback: there each packet passes twice, and is taken as it arrives.
    pub loopback: bool,
}

/// A place where packets are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The number that its frames carry as `iface`: chosen by whoever attaches, never used again for another interface.
    pub number: u32,
    /// The interface.
    pub interface: Interface,
    /// How far to look.
    pub observe: Observe,
}

/// Why a rung, or an interface of it, cannot be used.
#[derive(Debug)]
pub struct RungError {
    /// What was tried, e.g. `load the probe` or `attach to eth0`.
    pub what: String,
    /// What the kernel said.
    pub error: io::Error,
    /// What would help, as a command where there is one; empty where nothing is known.
    pub help: String,
}

impl fmt::Display for RungError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.error)?;
        if !self.help.is_empty() {
            write!(f, "; {}", self.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for RungError {}

/// What was lost on the way, counted where it happened, since the rung began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The ring had no room: the reader was too slow.
    pub ring_full: u64,
    /// Packets that the kernel could not read or that were longer than the largest record.
    pub unreadable: u64,
    /// Packets that the kernel dropped before they reached the ring, where it tells.
    pub kernel: u64,
}

impl Losses {
    /// All of them.
    pub const fn sum(&self) -> u64 {
        self.ring_full + self.unreadable + self.kernel
    }
}

/// One way of taking packets.
pub trait Rung: Send {
    /// Which one.
    fn kind(&self) -> RungKind;

    /// Begins to take packets at a point.
    ///
    /// # Errors
    ///
    /// With what the kernel said, and what would help. Other points go on.
    fn attach(&mut self, point: &Point) -> Result<(), RungError>;

    /// Ends to take packets at the interface with this kernel number; nothing where it is not attached or gone.
    fn detach(&mut self, index: u32);

    /// Hands over what has come, oldest first as far as is known, at most some thousands at a time. Where nothing has
    /// come it waits, at most for `patience`.
    ///
    /// # Errors
    ///
    /// Where the rung as a whole is broken.
    fn take(
        &mut self,
        patience: Duration,
        each: &mut dyn FnMut(Frame<'_>),
    ) -> Result<(), RungError>;

    /// What was lost so far.
    fn losses(&mut self) -> Losses;
}

/// Opens a rung, with a ring of so many bytes between kernel and sensor.
///
/// # Errors
///
/// Where it does not work here, with what would help.
#[cfg(target_os = "linux")]
fn open_rung(kind: RungKind, interest: &Interest, bytes: u64) -> Result<Box<dyn Rung>, RungError> {
    let ring = usize::try_from(bytes).unwrap_or(usize::MAX);
    match kind {
        RungKind::AfPacket => Ok(Box::new(afpacket::AfPacket::open(interest, ring)?)),
        #[cfg(feature = "libpcap")]
        RungKind::Libpcap => Ok(Box::new(libpcap::Libpcap::new(interest, ring))),
        #[cfg(not(feature = "libpcap"))]
        RungKind::Libpcap => Err(RungError {
            what: "use libpcap".into(),
            error: io::ErrorKind::Unsupported.into(),
            help: "this program was built without it: build it with the feature `libpcap`".into(),
        }),
        RungKind::Tcx => {
            let options = tcx::Options { ring: bytes, ..tcx::Options::default() };
            Ok(Box::new(tcx::Tcx::load(interest, options)?))
        }
    }
}

/// What helps where a capability is missing.
#[cfg(target_os = "linux")]
fn needs(capability: &str, file: &str) -> String {
    format!(
        "it needs {capability}: run as root, or `setcap {file}+ep $(command -v botlike)`, or AmbientCapabilities={capability} in the unit"
    )
}

/// What a live source is: all rungs and interfaces together, or whatever a test puts in their place.
pub trait Live: Send {
    /// Hands over what has come since the last call; where nothing has, it waits, at most for `patience`. Time is told in
    /// each call.
    ///
    /// # Errors
    ///
    /// Where nothing can come any more.
    fn next(&mut self, patience: Duration, taker: &mut dyn Taker) -> Result<(), RungError>;

    /// What was lost so far.
    fn losses(&mut self) -> Losses;

    /// How and where packets are taken now.
    fn places(&self) -> Places;
}

/// Takes what a live source has.
pub trait Taker {
    /// From now on, frames of this number come from the interface of this name.
    fn interface(&mut self, number: u32, name: &str);
    /// A packet.
    fn frame(&mut self, frame: &Frame<'_>);
    /// So many packets were lost since this was said last.
    fn lost(&mut self, packets: u64);
    /// No frame that comes later is older than this, as far as is known.
    fn time(&mut self, at: Stamp);
    /// [`Live::places`] gives something else from now on.
    fn places(&mut self, places: &Places);
}

/// How and where packets are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The rung; `None` before there is one.
    pub rung: Option<RungKind>,
    /// The interfaces, each with how far the sensor looks there.
    pub interfaces: Vec<(String, Observe)>,
}
