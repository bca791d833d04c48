//! What is known of the connections that a host opens: how fast, where to, what became of them. It only counts.
//!
//! All of it is bounded: sets are exact up to a small size, the servers of which open connections are counted are
//! [`OPEN_SERVERS`], and the destinations of a month lie in a filter that is made when a host has had [`FEW`] of them.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use foldhash::quality::FixedState;

use super::distinct::Distinct;
use super::filter::{Bits, Few};
use super::host::{Attempts, MINUTES_10, Reached};
use super::name;
use super::special::is_public;
use super::window::Window;
use crate::base::{Addr, DAY, HOUR, Limits, MINUTE, Nanos, Stamp, Text};
use crate::smtp::Session;

/// Destinations of which a host's list is kept as it is; beyond that many the filter is made.
const FEW: usize = 16;
/// Servers of which the open connections are counted.
const OPEN_SERVERS: usize = 64;
/// Addresses and names that are kept for evidence.
const SAMPLES: usize = 5;
/// Bytes of a name that are kept for evidence.
const NAME_BYTES: usize = 64;
/// For so long a destination is remembered, at most; at least for half of it.
const MONTH: Nanos = 30 * DAY;
/// Addresses that lie at most so far from the one before are in order.
const NEAR: u128 = 8;

/// The SYNs of a minute, and to whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Syns {
    pub(super) total: u64,
    pub(super) servers: Few,
}

/// Attempts at public servers, and what became of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Foreign {
    pub(super) reached: u64,
    pub(super) refused: u64,
    pub(super) silent: u64,
    pub(super) servers: Few,
    pub(super) sample: Vec<Addr>,
}

/// Servers that were tried or reached, and those to whom something was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Swept {
    pub(super) all: Distinct,
    pub(super) spoken: Distinct,
}

/// Steps from one server to the next one tried, and those to a near address.
#[derive(Clone, Debug, Default)]
pub(super) struct Steps {
    pub(super) total: u64,
    pub(super) near: u64,
}

/// Receivers that greeted, and those that refused in their greeting.
#[derive(Clone, Debug, Default)]
pub(super) struct Greetings {
    /// Sessions with a greeting.
    pub(super) total: u64,
    /// Of those, refused for good (521, 554), and by which organisations.
    pub(super) refused: (u64, Few),
    /// Of those, refused or put off (421, 450), likewise.
    pub(super) any: (u64, Few),
    pub(super) sample: Vec<(u16, Text)>,
}

/// What is known of a host's connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts {
    pub(super) syns: Window<Syns>,
    pub(super) foreign: Window<Foreign>,
    pub(super) swept: Window<Swept>,
    pub(super) steps: Window<Steps>,
    /// Servers that had not been contacted before.
    pub(super) fresh: Window<Distinct>,
    pub(super) known: Known,
    pub(super) greetings: Window<Greetings>,
    last: Option<Addr>,
}

/// Sessions that are open, by server.
#[derive(Clone, Debug, Default)]
pub(super) struct Open(Vec<(Addr, u32)>);

impl Open {
    /// A server greeted: a session that will be told at its end.
    pub(super) fn greeted(&mut self, server: Addr) {
        if let Some((_, count)) = self.0.iter_mut().find(|(addr, _)| *addr == server) {
            *count = count.saturating_add(1);
        } else if self.0.len() < OPEN_SERVERS {
            self.0.push((server, 1));
        }
    }

    /// A session whose server had greeted ended.
    pub(super) fn left(&mut self, server: Addr) {
        if let Some((_, count)) = self.0.iter_mut().find(|(addr, _)| *addr == server) {
            *count = count.saturating_sub(1);
        }
        self.0.retain(|(_, count)| *count > 0);
    }

    /// Sessions with a server.
    pub(super) fn with(&self, server: Addr) -> u64 {
        let found = self.0.iter().find(|(addr, _)| *addr == server);
        found.map_or(0, |(_, count)| u64::from(*count))
    }
}

impl Contacts {
    /// It tried to connect (`syn`), or a connection of it was joined in the middle.
    pub(super) fn opened(
        &mut self,
        at: Stamp,
        server: Addr,
        hash: u64,
        syn: bool,
        limits: &Limits,
    ) {
        if self.known.meet(at, hash, limits.history_filter_bytes) {
            self.fresh.at(at, HOUR).add(hash);
        }
        if !syn {
            return;
        }
        let syns = self.syns.at(at, MINUTE);
        syns.total += 1;
        syns.servers.add(hash);
        if let Some(last) = self.last.replace(server)
            && last != server
        {
            let number = |addr: Addr| u128::from_be_bytes(*addr.octets());
            let steps = self.steps.at(at, MINUTES_10);
            steps.total += 1;
            steps.near += u64::from(number(last).abs_diff(number(server)) <= NEAR);
        }
    }

    /// An attempt of it came to its end.
    pub(super) fn attempt(&mut self, at: Stamp, server: Addr, hash: u64, end: Reached) {
        if end != Reached::Yes {
            self.swept.at(at, MINUTES_10).all.add(hash);
        }
        if !is_public(server) {
            return;
        }
        let foreign = self.foreign.at(at, HOUR);
        match end {
            Reached::Yes => foreign.reached += 1,
            Reached::Refused => foreign.refused += 1,
            Reached::Silence => foreign.silent += 1,
        }
        if end != Reached::Yes {
            foreign.servers.add(hash);
            if foreign.sample.len() < SAMPLES && !foreign.sample.contains(&server) {
                foreign.sample.push(server);
            }
        }
    }

    /// A session ended; `spoke`: the client said something, or else it left in silence a server that was willing.
    pub(super) fn ended(&mut self, at: Stamp, hash: u64, spoke: bool) {
        let swept = self.swept.at(at, MINUTES_10);
        swept.all.add(hash);
        if spoke {
            swept.spoken.add(hash);
        }
    }

    /// A session with a public server ended that had greeted.
    pub(super) fn was_greeted(&mut self, at: Stamp, session: &Session, hasher: &FixedState) {
        let server = session.flow.server;
        let greetings = self.greetings.at(at, HOUR);
        greetings.total += 1;
        let Some(code) = session.greeting_code.filter(|code| is_refusal(*code)) else { return };
        let lower = name::Lower::new(session.banner.as_bytes());
        let organisation = name::organisation(lower.as_bytes()).filter(|_| {
            name::any_ip(lower.as_bytes()).is_none()
                // An enhanced status code is none.
                && lower.as_bytes().iter().any(u8::is_ascii_alphabetic)
                && lower.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(b))
        });
        let hash = match organisation {
            Some(name) => hasher.hash_one(name),
            None => hasher.hash_one(network(server.addr)),
        };
        let refused = matches!(code, 521 | 554).then_some(&mut greetings.refused);
        for (sessions, organisations) in refused.into_iter().chain([&mut greetings.any]) {
            *sessions += 1;
            organisations.add(hash);
        }
        let shown = organisation.unwrap_or_default();
        if greetings.sample.len() < SAMPLES
            && !greetings.sample.iter().any(|(c, name)| *c == code && name.as_bytes() == shown)
        {
            let mut text = Text::new();
            text.set(shown, NAME_BYTES);
            greetings.sample.push((code, text));
        }
    }

    /// What became of attempts in the last 10 minutes: whether any succeeded.
    pub(super) fn any_reached(attempts: &Window<Attempts>) -> bool {
        attempts.halves().iter().any(|a| a.total > a.refused + a.silent)
    }
}

/// The servers that a host has contacted, in the last month.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    few: Vec<u64>,
    many: Window<Bits>,
    is_many: bool,
    /// When it was first seen to contact one.
    pub(super) since: Option<Stamp>,
    /// How many there were.
    pub(super) count: u64,
}

impl Known {
    /// Takes in a contact; whether it is the first with that server.
    fn meet(&mut self, at: Stamp, hash: u64, bytes: usize) -> bool {
        // A stamp before the first is from elsewhere, or that one was: history begins anew, and nobody is judged by it.
        if self.since.is_none_or(|since| at < since) {
            self.since = Some(at);
        }
        self.many.at(at, MONTH);
        let known = if self.is_many {
            self.many.halves().iter().any(|bits| bits.has(hash))
        } else {
            self.few.contains(&hash)
        };
        self.count += u64::from(!known);
        if self.is_many {
            self.many.at(at, MONTH).add(hash, bytes);
        } else if !known {
            self.few.push(hash);
            if self.few.len() >= FEW {
                let bits = self.many.at(at, MONTH);
                core::mem::take(&mut self.few).into_iter().for_each(|h| bits.add(h, bytes));
                self.is_many = true;
            }
        }
        !known
    }
}

/// Whether a greeting of this code refuses the client (RFC 5321 section 3.1, RFC 7504).
pub(super) const fn is_refusal(code: u16) -> bool {
    matches!(code, 421 | 450 | 521 | 554)
}

/// What stands for an organisation that does not say its name: the /24 or /48 of an address.
fn network(addr: Addr) -> [u8; 16] {
    let mut octets = *addr.octets();
    let kept = if addr.is_v4() { 15 } else { 6 };
    octets.iter_mut().skip(kept).for_each(|octet| *octet = 0);
    octets
}
