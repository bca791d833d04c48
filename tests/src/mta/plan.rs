//! Who is who in the laboratory: addresses, names and habits. Everything else asks here.
//!
//! All addresses are of documentation and benchmarking ranges (RFC 5737, RFC 2544), all names under reserved ones
//! (RFC 2606).

use std::net::Ipv4Addr;

/// A mail server under observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mta {
    /// Postfix.
    Postfix,
    /// Exim, Debian's light daemon.
    Exim,
    /// OpenSMTPD.
    Opensmtpd,
}

impl Mta {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Postfix, Self::Exim, Self::Opensmtpd];

    /// Its name in file names and arguments.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postfix => "postfix",
            Self::Exim => "exim",
            Self::Opensmtpd => "opensmtpd",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mta| mta.name() == name)
    }

    /// The domain whose mail it receives.
    pub const fn domain(self) -> &'static str {
        match self {
            Self::Postfix => "granite.example.net",
            Self::Exim => "birch.example.org",
            Self::Opensmtpd => "ember.example.com",
        }
    }

    /// Its address.
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Postfix => Ipv4Addr::new(192, 0, 2, 10),
            Self::Exim => Ipv4Addr::new(192, 0, 2, 14),
            Self::Opensmtpd => Ipv4Addr::new(192, 0, 2, 18),
        }
    }

    /// The router's address on its link, a /30.
    pub const fn gateway(self) -> Ipv4Addr {
        match self {
            Self::Postfix => Ipv4Addr::new(192, 0, 2, 9),
            Self::Exim => Ipv4Addr::new(192, 0, 2, 13),
            Self::Opensmtpd => Ipv4Addr::new(192, 0, 2, 17),
        }
    }

    /// The name that the internet knows it by.
    pub fn public_name(self) -> String {
        format!("mail.{}", self.domain())
    }

    /// What its machine is called.
    pub fn hostname(self, scene: Scene) -> String {
        match (scene, self) {
            (Scene::Configured, _) => self.public_name(),
            (Scene::Unconfigured, Self::Exim) => "localhost.localdomain".to_owned(),
            (Scene::Unconfigured, _) => "debian".to_owned(),
        }
    }
}

/// How the laboratory is furnished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Servers with a proper host name, the whole volume.
    Configured,
    /// Machines that nobody gave a name; they send less.
    Unconfigured,
}

impl Scene {
    /// Its name in file names and arguments.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Unconfigured => "unconfigured",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Configured, Self::Unconfigured].into_iter().find(|scene| scene.name() == name)
    }

    /// Letters that each server's own users send.
    pub const fn outgoing(self) -> usize {
        match self {
            Self::Configured => 1250,
            Self::Unconfigured => 480,
        }
    }

    /// Letters that strangers send to each server.
    pub const fn incoming(self) -> usize {
        match self {
            Self::Configured => 1080,
            Self::Unconfigured => 1080,
        }
    }

    /// Seconds over which the letters are spread.
    pub const fn spread_seconds(self) -> u64 {
        match self {
            Self::Configured => 45,
            Self::Unconfigured => 40,
        }
    }

    /// Seconds after which the laboratory ends itself, whatever happens.
    pub const fn limit_seconds(self) -> u64 {
        match self {
            Self::Configured => 300,
            Self::Unconfigured => 280,
        }
    }
}

/// Receiving domains that speak plain SMTP, each at an address of its own.
pub const PLAIN_DOMAINS: usize = 130;
/// Receiving domains that offer STARTTLS, each at an address of its own.
pub const TLS_DOMAINS: usize = 20;
/// All receiving domains that can be reached.
pub const DOMAINS: usize = PLAIN_DOMAINS + TLS_DOMAINS;
/// Mailboxes of each server under observation: `user00` and on.
pub const USERS: usize = 20;
/// Strangers that send to the servers.
pub const PEERS: usize = 24;

/// The name server.
pub const DNS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// The TLS receivers' machine, on its link to the router.
pub const TLS_HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 22);
/// The router's address on that link.
pub const TLS_GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 21);
/// Its name.
pub const TLS_NAME: &str = "mx.harbour.example.net";
/// Networks of the plain receivers, and of the strangers and the name server: all local to the router.
pub const WORLD_NETS: [&str; 2] = ["198.18.0.0/16", "203.0.113.0/24"];
/// Network of the TLS receivers.
pub const TLS_NET: &str = "198.19.0.0/16";

/// A domain whose only mail exchanger swallows packets.
pub const DEAD_DOMAIN: &str = "dead.example";
/// Its address.
pub const DEAD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
/// A domain whose only mail exchanger refuses connections: nobody listens there.
pub const REFUSING_DOMAIN: &str = "refusing.example";
/// Its address, of the TLS receivers' machine.
pub const REFUSING: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 1);

/// Name of the `index`th receiving domain.
pub fn domain(index: usize) -> String {
    format!("d{index:03}.example")
}

/// The index in a domain's name.
pub fn domain_index(name: &str) -> Option<usize> {
    let digits = name.strip_prefix('d')?.strip_suffix(".example")?;
    digits.parse().ok().filter(|index| *index < DOMAINS && digits.len() == 3)
}

/// Address of the `index`th receiving domain's mail exchanger.
pub fn exchanger(index: usize) -> Ipv4Addr {
    let low = u8::try_from(index).unwrap_or(u8::MAX);
    if index < PLAIN_DOMAINS {
        Ipv4Addr::new(198, 18, low, 25)
    } else {
        Ipv4Addr::new(198, 19, low, 25)
    }
}

/// The index of the receiving domain at an address.
pub fn exchanger_index(address: Ipv4Addr) -> Option<usize> {
    let index = usize::from(address.octets()[2]);
    (index < DOMAINS && exchanger(index) == address).then_some(index)
}

/// Address of the `index`th stranger.
pub fn peer(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, 100u8.saturating_add(u8::try_from(index).unwrap_or(0)))
}

/// The domain of the `index`th stranger; its host is `mx.` this.
pub fn peer_domain(index: usize) -> String {
    const WORDS: [&str; 8] =
        ["alder", "brook", "cedar", "delta", "fjord", "grove", "heath", "inlet"];
    const ENDS: [&str; 3] = ["example.com", "example.net", "example.org"];
    let word = WORDS[index % WORDS.len()];
    format!("{word}{}.{}", ["", "side", "field"][index / WORDS.len() % 3], ENDS[index % ENDS.len()])
}

/// How a plain receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Habit {
    /// Knows EHLO; otherwise HELO only.
    pub esmtp: bool,
    /// Offers CHUNKING.
    pub chunking: bool,
    /// Offers PIPELINING.
    pub pipelining: bool,
    /// A greeting and replies of several lines.
    pub wordy: bool,
    /// Refuses a sender and recipient it has not met before with 450, for a while.
    pub greylist: bool,
    /// Greets its first callers with 421.
    pub busy_at_first: bool,
    /// Milliseconds before the greeting.
    pub greeting_delay: u64,
}

/// The habits of the `index`th plain receiver.
pub fn habit(index: usize) -> Habit {
    Habit {
        esmtp: index % 31 != 30,
        chunking: index % 4 == 1,
        pipelining: index % 5 != 3,
        wordy: index % 9 == 4,
        greylist: index % 6 == 2,
        busy_at_first: index % 43 == 12,
        greeting_delay: 3 + (index as u64 * 7) % 40,
    }
}
