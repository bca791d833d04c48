//! What is known of the connections that a host opens: how fast, where to, what became of them. It only counts.
//!
//! All of it is bounded: sets are exact up to a small size, the servers of which open connections are counted are
//! [`OPEN_SERVERS`], and the destinations of a month lie in a filter that is made when a host has had [`FEW`] of them.

use alloc::vec::Vec;

use super::distinct::Distinct;
use super::filter::{Bits, Few};
use super::host::{Attempts, MINUTES_10, Reached};
use super::special::is_public;
use super::window::Window;
use crate::base::{Addr, DAY, HOUR, Limits, MINUTE, Nanos, Stamp};

/// Destinations of which a host's list is kept as it is; beyond that many the filter is made.
const FEW: usize = 16;
/// Servers of which the open connections are counted.
const OPEN_SERVERS: usize = 64;
/// Addresses that are kept for evidence.
const SAMPLES: usize = 5;
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
    last: Option<Addr>,
    /// Sessions that are open, by server.
    open: Vec<(Addr, u32)>,
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

    /// A server greeted it: a session that will be told at its end.
    pub(super) fn greeted(&mut self, server: Addr) {
        if let Some((_, count)) = self.open.iter_mut().find(|(addr, _)| *addr == server) {
            *count = count.saturating_add(1);
        } else if self.open.len() < OPEN_SERVERS {
            self.open.push((server, 1));
        }
    }

    /// A session whose server had greeted ended.
    pub(super) fn left(&mut self, server: Addr) {
        if let Some((_, count)) = self.open.iter_mut().find(|(addr, _)| *addr == server) {
            *count = count.saturating_sub(1);
        }
        self.open.retain(|(_, count)| *count > 0);
    }

    /// Sessions with a server that are open.
    pub(super) fn open(&self, server: Addr) -> u64 {
        let found = self.open.iter().find(|(addr, _)| *addr == server);
        found.map_or(0, |(_, count)| u64::from(*count))
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
