//! Who has which address, and how receivers behave.

use std::net::Ipv4Addr;
use std::time::Duration;

/// Stack of a thread.
pub const STACK: usize = 256 << 10;
/// The laboratory ends itself after this time.
pub const LIMIT: Duration = Duration::from_secs(150);
/// So long the actors may take.
pub const PLAY: Duration = Duration::from_secs(60);

/// A wire from the host to guests.
#[derive(Debug)]
pub struct Tap {
    /// The host's interface.
    pub name: &'static str,
    /// The network behind it, [`TAP_PREFIX`] bits long.
    pub net: Ipv4Addr,
    /// The host drops what goes to port 25 from here.
    pub blocked: bool,
}

/// Length of a tap's network.
pub const TAP_PREFIX: u8 = 26;

/// Guests of the host, by what they are.
pub const TAPS: [Tap; 4] = [
    Tap { name: "tap-mail", net: Ipv4Addr::new(192, 0, 2, 0), blocked: false },
    Tap { name: "tap-bots", net: Ipv4Addr::new(192, 0, 2, 64), blocked: false },
    Tap { name: "tap-tls", net: Ipv4Addr::new(192, 0, 2, 128), blocked: false },
    Tap { name: "tap-shut", net: Ipv4Addr::new(192, 0, 2, 192), blocked: true },
];

impl Tap {
    /// The host's address on the tap.
    pub fn gateway(&self) -> Ipv4Addr {
        self.host(1)
    }

    /// A guest's address, 2 to 62.
    pub fn host(&self, number: u8) -> Ipv4Addr {
        let [a, b, c, d] = self.net.octets();
        Ipv4Addr::new(a, b, c, d + number)
    }

    /// Those of all guests.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        (2..63).map(|number| self.host(number))
    }
}

/// The host's wire to the internet.
pub const UPLINK: &str = "uplink";
/// Its two ends.
pub const UPLINK_HERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 253);
/// The internet's.
pub const UPLINK_THERE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);

/// Networks whose addresses all answer: some servers, the rest closed ports.
pub const OUTSIDE: [(Ipv4Addr, u8); 3] = [
    (Ipv4Addr::new(198, 18, 0, 0), 16),
    (Ipv4Addr::new(198, 19, 0, 0), 16),
    (Ipv4Addr::new(198, 51, 100, 0), 25),
];
/// A network that nothing comes back from.
pub const VOID: (Ipv4Addr, u8) = (Ipv4Addr::new(203, 0, 113, 0), 24);

/// The name server that guests are told to use.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 53);
/// Somebody else's.
pub const FOREIGN_RESOLVER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 54);
/// Where users hand in their mail, port 587.
pub const SUBMISSION: Ipv4Addr = Ipv4Addr::new(198, 18, 200, 25);
/// Strangers that send to the guests.
pub const STRANGERS: [Ipv4Addr; 3] = [
    Ipv4Addr::new(198, 51, 100, 61),
    Ipv4Addr::new(198, 51, 100, 62),
    Ipv4Addr::new(198, 51, 100, 63),
];

/// Receivers: an address and a domain each.
pub const RECEIVERS: u8 = 84;

/// Accept all, in the clear.
pub const PLAIN: std::ops::Range<u8> = 0..24;
/// Offer STARTTLS.
pub const TLS: std::ops::Range<u8> = 24..52;
/// Put off whom they do not know.
pub const GREYLISTING: std::ops::Range<u8> = 52..56;
/// Have no user of any name.
pub const STRICT: std::ops::Range<u8> = 56..60;
/// Refuse with their first line.
pub const REFUSING: std::ops::Range<u8> = 60..66;
/// Do not offer PIPELINING.
pub const SIMPLE: std::ops::Range<u8> = 66..72;
/// Let a caller wait for the greeting.
pub const SLOW: std::ops::Range<u8> = 72..76;
/// Say 421 to a first call.
pub const BUSY: std::ops::Range<u8> = 76..80;
/// Offer AUTH and know no password; STARTTLS, too.
pub const AUTH: std::ops::Range<u8> = 80..84;

/// A receiver's address.
pub fn receiver(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, index, 25)
}

/// Its domain. Of three organisations: there are no more names that are both public by their form and nobody's.
pub fn domain(index: u8) -> String {
    let organisations = ["example.com", "example.net", "example.org"];
    format!("r{index:02}.{}", organisations[usize::from(index) % organisations.len()])
}

/// Its name.
pub fn exchanger(index: u8) -> String {
    format!("mx.{}", domain(index))
}

/// An address of a network in which few have an open port 25.
pub fn swept(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 19, 9, index)
}

/// Those of it that do.
pub const OPEN: [u8; 4] = [3, 24, 25, 61];

/// An address whose port 25 is closed.
pub fn closed(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 19, 7, index)
}

/// How a receiver behaves.
#[derive(Clone, Debug)]
pub struct Habit {
    /// Its name.
    pub name: String,
    /// Its caller waits so long for the greeting.
    pub delay: Duration,
    /// Offers PIPELINING.
    pub pipelining: bool,
    /// Offers STARTTLS.
    pub starttls: bool,
    /// Offers AUTH.
    pub auth: Auth,
    /// Puts off whom it does not know.
    pub greylisting: bool,
    /// Has no user of any name.
    pub strict: bool,
    /// Refuses with its first line.
    pub refusing: bool,
    /// Says 421 to a first call.
    pub busy: bool,
}

/// What a server does with passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// It does not offer AUTH.
    No,
    /// None is right.
    Refuses,
    /// All are right.
    Accepts,
}

impl Habit {
    /// Takes everything.
    pub fn plain(name: String) -> Self {
        Self {
            name,
            delay: Duration::from_millis(30),
            pipelining: true,
            starttls: false,
            auth: Auth::No,
            greylisting: false,
            strict: false,
            refusing: false,
            busy: false,
        }
    }

    /// That of a receiver.
    pub fn of(index: u8) -> Self {
        let plain = Self::plain(exchanger(index));
        Self {
            // Time enough to talk before the greeting, also on a busy machine.
            delay: match index {
                _ if SLOW.contains(&index) => Duration::from_millis(400),
                _ if AUTH.contains(&index) => Duration::from_millis(200),
                _ => plain.delay,
            },
            pipelining: !SIMPLE.contains(&index),
            starttls: TLS.contains(&index) || AUTH.contains(&index),
            auth: if AUTH.contains(&index) { Auth::Refuses } else { Auth::No },
            greylisting: GREYLISTING.contains(&index),
            strict: STRICT.contains(&index),
            refusing: REFUSING.contains(&index),
            busy: BUSY.contains(&index),
            ..plain
        }
    }

    /// The submission server's.
    pub fn submission() -> Self {
        Self {
            starttls: true,
            auth: Auth::Accepts,
            ..Self::plain("submit.provider.example.com".to_owned())
        }
    }
}
