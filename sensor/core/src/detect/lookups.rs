//! What is known of the DNS questions of a host and of their answers: which mail exchangers it asked for, and which
//! addresses it can know. Kept only of hosts of which DNS was seen. It only counts.

use alloc::vec::Vec;
use core::hash::BuildHasher;

use foldhash::quality::FixedState;

use super::filter::{Bits, Few};
use super::host::MINUTES_10;
use super::window::Window;
use crate::base::{Addr, DAY, HOUR, Limits, Nanos, SECOND, Stamp, Text};
use crate::dns::{Lookup, kind};

/// From the answer about a mail exchanger to the question for its address, and from that answer to the connection.
const FOLLOWED: Nanos = 60 * SECOND;
/// Names of mail exchangers, and addresses of them, that are waited for.
const AWAITED: usize = 32;
/// Names that are kept for evidence.
const SAMPLES: usize = 4;
/// Bytes of a name that are kept.
const NAME_BYTES: usize = 64;
/// Messages by which one that comes again is known: a copy in the capture, or a question that was asked again.
const RECENT: usize = 32;
/// Addresses are remembered for so long, at least half of it: no cache keeps an answer for more than a day.
const CACHED: Nanos = 2 * DAY;

/// Names of which the mail exchangers were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) names: Few,
    pub(super) sample: Vec<Text>,
    pub(super) resolver: Option<Addr>,
}

/// Questions for mail exchangers to others than the known resolvers.
#[derive(Clone, Debug, Default)]
pub(super) struct Bypass {
    pub(super) total: u64,
    pub(super) sample: Vec<Text>,
    pub(super) resolver: Option<Addr>,
}

/// A server that was contacted although no answer had named it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unnamed {
    hash: u64,
    pub(super) addr: Addr,
    /// For how long DNS had been seen then.
    pub(super) seen_for: Nanos,
}

/// A connection to a mail exchanger that was asked for just before.
#[derive(Clone, Debug)]
pub(super) struct Followed {
    pub(super) addr: Addr,
    pub(super) domain: Text,
    pub(super) resolver: Addr,
    pub(super) after: Nanos,
}

/// Something that may follow: a question for a name, or a connection to an address.
#[derive(Clone, Debug)]
struct Awaited {
    hash: u64,
    at: Stamp,
    domain: Text,
    resolver: Addr,
}

/// What is known of a host's DNS.
#[derive(Clone, Debug)]
pub(super) struct Lookups {
    since: Stamp,
    recent: [u64; RECENT],
    next: usize,
    losses: u64,
    pub(super) answers: Window<u64>,
    /// Answers that were not read to their end, and losses.
    pub(super) holes: Window<u64>,
    named: Window<Bits>,
    pub(super) unnamed: Window<Vec<Unnamed>>,
    pub(super) asked: Window<Asked>,
    pub(super) bypass: Window<Bypass>,
    exchanges: Vec<Awaited>,
    addrs: Vec<Awaited>,
    /// What the last connection followed.
    pub(super) followed: Option<Followed>,
}

impl Lookups {
    pub(super) fn new(at: Stamp, losses: u64) -> Self {
        Self {
            since: at,
            recent: [0; RECENT],
            next: 0,
            losses,
            answers: Window::default(),
            holes: Window::default(),
            named: Window::default(),
            unnamed: Window::default(),
            asked: Window::default(),
            bypass: Window::default(),
            exchanges: Vec::new(),
            addrs: Vec::new(),
            followed: None,
        }
    }

    /// For how long DNS has been seen.
    pub(super) fn seen_for(&self, at: Stamp) -> Nanos {
        at.since(self.since)
    }

    /// Takes in a question or an answer; whether it is a new one. `foreign`: it went to none of the known resolvers.
    pub(super) fn note(
        &mut self,
        at: Stamp,
        lookup: &Lookup,
        losses: u64,
        foreign: bool,
        hasher: &FixedState,
        limits: &Limits,
    ) -> bool {
        if losses != self.losses {
            self.losses = losses;
            *self.holes.at(at, HOUR) += 1;
        }
        let name = lookup.name.as_bytes();
        let key =
            (lookup.client.port, lookup.server.addr, lookup.id, lookup.response, lookup.kind, name);
        let hash = hasher.hash_one(key);
        if self.recent.contains(&hash) {
            return false;
        }
        if let Some(slot) = self.recent.get_mut(self.next) {
            *slot = hash;
        }
        self.next = (self.next + 1) % RECENT;
        if lookup.response {
            self.answer(at, lookup, hasher, limits);
        } else if lookup.kind == kind::MX && lookup.recursion_desired && foreign {
            let bypass = self.bypass.at(at, MINUTES_10);
            bypass.total += 1;
            bypass.resolver = Some(lookup.server.addr);
            sample(&mut bypass.sample, name);
        }
        true
    }

    fn answer(&mut self, at: Stamp, lookup: &Lookup, hasher: &FixedState, limits: &Limits) {
        *self.answers.at(at, HOUR) += 1;
        *self.holes.at(at, HOUR) += u64::from(lookup.partial);
        let named = self.named.at(at, CACHED);
        for addr in lookup.addrs.iter().chain(&lookup.other_addrs) {
            named.add(hasher.hash_one(addr), limits.dns_filter_bytes);
        }
        let name = lookup.name.as_bytes();
        let resolver = lookup.server.addr;
        if lookup.kind == kind::MX && lookup.recursion_desired {
            let asked = self.asked.at(at, MINUTES_10);
            asked.names.add(hasher.hash_one(name));
            asked.resolver = Some(resolver);
            sample(&mut asked.sample, name);
            // A domain without mail exchangers is its own (RFC 5321 section 5.1).
            let own = (lookup.rcode == 0 && lookup.exchanges.total() == 0).then_some(name);
            for exchange in lookup.exchanges.iter().chain(own).filter(|name| !name.is_empty()) {
                let hash = hasher.hash_one(exchange);
                await_it(&mut self.exchanges, at, hash, name, resolver);
            }
            for addr in &lookup.addrs {
                await_it(&mut self.addrs, at, hasher.hash_one(addr), name, resolver);
            }
        } else if !lookup.addrs.is_empty() {
            let hash = hasher.hash_one(name);
            if let Some(exchange) = take(&mut self.exchanges, at, hash, false) {
                for addr in &lookup.addrs {
                    let domain = exchange.domain.as_bytes();
                    await_it(&mut self.addrs, at, hasher.hash_one(addr), domain, resolver);
                }
            }
        }
    }

    /// The host opens a connection; `public`: to a public address.
    pub(super) fn opened(&mut self, at: Stamp, server: Addr, public: bool, hasher: &FixedState) {
        let hash = hasher.hash_one(server);
        self.followed = take(&mut self.addrs, at, hash, true).map(|awaited| Followed {
            addr: server,
            after: at.since(awaited.at),
            resolver: awaited.resolver,
            domain: awaited.domain,
        });
        self.turn(at);
        let seen_for = self.seen_for(at);
        let unnamed = self.unnamed.at(at, HOUR);
        if public
            && unnamed.len() < Few::MOST
            && !self.named.halves().iter().any(|bits| bits.has(hash))
            && !unnamed.iter().any(|one| one.hash == hash)
        {
            unnamed.push(Unnamed { hash, addr: server, seen_for });
        }
    }

    /// Brings the windows to `at`.
    fn turn(&mut self, at: Stamp) {
        self.answers.at(at, HOUR);
        self.holes.at(at, HOUR);
        self.unnamed.at(at, HOUR);
        self.named.at(at, CACHED);
    }

    /// Servers within the hour that no answer had named, of those that were contacted when DNS had been seen for so long.
    pub(super) fn unnamed(&self, warm: Nanos) -> Vec<Addr> {
        let [now, before] = self.unnamed.halves();
        let mut hashes: Vec<u64> = Vec::new();
        let mut addrs = Vec::new();
        for one in before.iter().chain(now).filter(|one| one.seen_for >= warm) {
            if !hashes.contains(&one.hash) {
                hashes.push(one.hash);
                addrs.push(one.addr);
            }
        }
        addrs
    }
}

fn sample(samples: &mut Vec<Text>, name: &[u8]) {
    let cut = name.get(..NAME_BYTES).unwrap_or(name);
    if samples.len() < SAMPLES && !samples.iter().any(|one| one.as_bytes() == cut) {
        let mut text = Text::new();
        text.set(name, NAME_BYTES);
        samples.push(text);
    }
}

/// Notes what may follow; the oldest gives way where there are too many.
fn await_it(list: &mut Vec<Awaited>, at: Stamp, hash: u64, domain: &[u8], resolver: Addr) {
    list.retain(|one| at.since(one.at) <= FOLLOWED && one.hash != hash);
    if list.len() >= AWAITED {
        list.remove(0);
    }
    let mut text = Text::new();
    text.set(domain, NAME_BYTES);
    list.push(Awaited { hash, at, domain: text, resolver });
}

/// What was waited for and came in time.
fn take(list: &mut Vec<Awaited>, at: Stamp, hash: u64, once: bool) -> Option<Awaited> {
    let place = list
        .iter()
        .position(|one| one.hash == hash && at >= one.at && at.since(one.at) <= FOLLOWED)?;
    if once { Some(list.remove(place)) } else { list.get(place).cloned() }
}
