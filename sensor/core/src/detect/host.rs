//! What is known of a host: the bounded state that the rules of hosts read. It only counts; it judges nothing.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use foldhash::quality::FixedState;

use super::contacts::{Contacts, Open};
use super::distinct::Distinct;
use super::filter::Few;
use super::lookups::Lookups;
use super::name;
use super::special::is_public;
use super::window::Window;
use crate::base::{Addr, DAY, Flow, HOUR, Limits, MINUTE, Nanos, SECOND, Stamp, Text};
use crate::dns::Lookup;
use crate::smtp::{Capability, Close, Session, Starttls, Visible};

/// What a host is for, as its operator says (catalogue section 0.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A mail server.
    Mta,
    /// A gateway, or several hosts behind one address.
    Gateway,
    /// Sends newsletters and the like.
    Bulk,
    /// Runs mailing lists.
    List,
    /// Forwards mail.
    Forwarder,
    /// A mail server shared by customers.
    Hosting,
    /// An application that sends mail.
    App,
    /// Monitors mail servers.
    Monitor,
    /// Scans the Internet.
    Scanner,
    /// Not said.
    #[default]
    Unknown,
}

impl Role {
    /// Whether many mail servers are its work.
    pub const fn is_mail_host(self) -> bool {
        matches!(
            self,
            Self::Mta | Self::Gateway | Self::Bulk | Self::List | Self::Forwarder | Self::Hosting
        )
    }

    /// Whether connections without a word are its work.
    pub const fn is_prober(self) -> bool {
        matches!(self, Self::Monitor | Self::Scanner)
    }
}

/// Something that happened to a host as a client.
#[derive(Clone, Copy, Debug)]
pub enum Happening<'a> {
    /// It tried to connect, or a connection of it was joined in the middle.
    Opened {
        /// The connection.
        flow: &'a Flow,
        /// Fingerprint of the SYN, 0 where none was seen.
        stack: u32,
    },
    /// An attempt of it came to its end.
    Attempt {
        /// The connection.
        flow: &'a Flow,
        /// How.
        end: Reached,
    },
    /// A server greeted it with this code.
    Greeted {
        /// The connection.
        flow: &'a Flow,
        /// The code.
        code: u16,
    },
    /// It asked DNS something, or was answered.
    Dns {
        /// The question or answer.
        lookup: &'a Lookup,
        /// How often the source reported losses so far.
        losses: u64,
        /// Whether the operator names the server a resolver; `None` where none are named.
        known_resolver: Option<bool>,
    },
    /// It has kept silent for so long since the server's last reply.
    Held {
        /// The session so far.
        session: &'a Session,
        /// How long.
        idle: Nanos,
    },
    /// A session of it ended.
    Ended {
        /// The session.
        session: &'a Session,
        /// Whether it was held.
        held: bool,
    },
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// The handshake was completed.
    Yes,
    /// The server refused.
    Refused,
    /// Nothing came back.
    Silence,
}

/// Names that are remembered of a host.
const NAMES: usize = 16;
/// Servers of which the idle connections are counted.
const IDLE_SERVERS: usize = 16;
/// Servers of which sessions without a purpose are counted.
const LOOP_SERVERS: usize = 16;
/// SYN fingerprints that are remembered; three of them are a gateway (guard G6).
const STACKS: usize = 3;
/// Bytes of a name that are kept for evidence.
const NAME_BYTES: usize = 64;
/// Addresses that are kept for evidence.
const SAMPLES: usize = 5;
/// Hours of history of a mail host: 14 days.
pub(super) const HISTORY: usize = 14 * 24;

/// The windows of the catalogue.
pub(super) const MINUTES_10: Nanos = 10 * MINUTE;

/// A name that a host called itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Name {
    pub(super) hash: u64,
    pub(super) sample: Text,
    pub(super) count: u64,
    pub(super) last: Stamp,
}

/// Servers that a host tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers {
    pub(super) all: Distinct,
    pub(super) sample: Vec<Addr>,
}

impl Servers {
    fn add(&mut self, hash: u64, addr: Addr) {
        self.all.add(hash);
        if self.sample.len() < SAMPLES && !self.sample.contains(&addr) {
            self.sample.push(addr);
        }
    }
}

/// Attempts, and what became of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts {
    pub(super) total: u64,
    pub(super) refused: u64,
    pub(super) silent: u64,
    pub(super) failed_to: Distinct,
}

/// Sessions of which it is known how they ended, and those without QUIT.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends {
    pub(super) total: u64,
    pub(super) without_quit: u64,
}

/// Sessions that were held, and others.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    pub(super) held: u64,
    pub(super) prompt: u64,
}

/// Connections, and to how many servers.
#[derive(Clone, Debug, Default)]
pub(super) struct Connects {
    pub(super) total: u64,
    pub(super) servers: Distinct,
}

/// Sessions of which it is known how the client left, and those it reset while it was its turn.
#[derive(Clone, Debug, Default)]
pub(super) struct Resets {
    pub(super) total: u64,
    pub(super) reset: u64,
    pub(super) servers: Few,
}

/// Sessions with a server in which nothing was done, by server.
#[derive(Clone, Debug, Default)]
pub(super) struct Loops(Vec<(Addr, u64)>);

impl Loops {
    fn add(&mut self, server: Addr) {
        if let Some((_, count)) = self.0.iter_mut().find(|(addr, _)| *addr == server) {
            *count += 1;
        } else if self.0.len() < LOOP_SERVERS {
            self.0.push((server, 1));
        }
    }

    pub(super) fn of(&self, server: Addr) -> u64 {
        self.0.iter().find(|(addr, _)| *addr == server).map_or(0, |(_, count)| *count)
    }
}

/// Distinct servers of each hour, and connections, of a mail host.
#[derive(Clone, Debug, Default)]
pub(super) struct Baseline {
    hour: u64,
    now: Distinct,
    pub(super) before: Vec<u16>,
    /// Connections of this hour.
    pub(super) connects: u64,
    /// Connections of the hours before.
    pub(super) connects_before: Vec<u16>,
}

impl Baseline {
    fn add(&mut self, at: Stamp, hash: u64, syn: bool) {
        // A stamp just before the hour, after one just behind it, counts in the hour that began.
        let hour = at.as_nanos() / HOUR;
        if hour != self.hour && hour.wrapping_add(1) != self.hour {
            let gone = hour.saturating_sub(self.hour);
            if self.hour != 0 && (1..=HISTORY as u64).contains(&gone) {
                let done = u16::try_from(self.now()).unwrap_or(u16::MAX);
                let connects = u16::try_from(self.connects).unwrap_or(u16::MAX);
                let quiet = usize::try_from(gone - 1).unwrap_or(0);
                for (list, done) in
                    [(&mut self.before, done), (&mut self.connects_before, connects)]
                {
                    list.extend(core::iter::once(done).chain(core::iter::repeat_n(0, quiet)));
                    let over = list.len().saturating_sub(HISTORY);
                    list.drain(..over);
                }
            } else {
                // The first hour, or a stamp from elsewhere: history begins anew.
                self.before.clear();
                self.connects_before.clear();
            }
            self.hour = hour;
            self.now = Distinct::default();
            self.connects = 0;
        }
        self.now.add(hash);
        self.connects += u64::from(syn);
    }

    /// Servers of this hour.
    pub(super) fn now(&self) -> u64 {
        Distinct::union([&self.now, &Distinct::default()])
    }
}

/// What counting depends on, besides what happens.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What the operator says that the host is for.
    pub role: Role,
    /// It is watched, or judged as if it were; else it is a client of a watched server.
    pub outbound: bool,
    /// Keyed, and good in all bits.
    pub hasher: &'a FixedState,
    /// Caps.
    pub limits: &'a Limits,
}

/// What is known of a host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Seen answering 220 on port 25.
    pub(super) greeted: bool,
    pub(super) stacks: Vec<u32>,
    pub(super) names: Vec<Name>,
    pub(super) tried_10m: Window<Servers>,
    pub(super) tried_1h: Window<Servers>,
    pub(super) baseline: Option<Box<Baseline>>,
    pub(super) attempts: Window<Attempts>,
    pub(super) ends: Window<Ends>,
    pub(super) holds: Window<Holds>,
    pub(super) idle_now: Vec<(Addr, u32)>,
    pub(super) empty: Window<Connects>,
    pub(super) plain: Window<Connects>,
    /// Names it took that were the recipient's domain, and when last.
    pub(super) victims: Vec<(u64, Stamp)>,
    pub(super) resets: Window<Resets>,
    pub(super) loops: Window<Loops>,
    pub(super) open: Open,
    /// Of hosts that are watched only.
    pub(super) contacts: Option<Box<Contacts>>,
    pub(super) lookups: Option<Box<Lookups>>,
    /// Seen answering DNS questions as a resolver does: what it asks, it asks for others.
    pub(super) resolves: bool,
    /// The last DNS message was a new one.
    pub(super) asked_anew: bool,
}

impl Host {
    /// It was seen answering 220 on port 25: a mail server runs there.
    pub fn note_greeting(&mut self) {
        self.greeted = true;
    }

    /// It was seen answering questions of others, as a resolver does.
    pub fn note_resolver(&mut self) {
        self.resolves = true;
    }

    /// Whether many mail servers are its work, as far as is known.
    pub fn is_mail_host(&self, role: Role) -> bool {
        role.is_mail_host() || self.greeted
    }

    /// Whether its SYNs come from so many different stacks that there are several devices behind its address.
    pub(super) fn is_gateway(&self, role: Role) -> bool {
        role == Role::Gateway || self.stacks.len() >= STACKS
    }

    /// Counts what happened. Only of watched clients and clients of watched servers.
    pub fn note(&mut self, at: Stamp, happening: &Happening<'_>, terms: &Terms<'_>) {
        let Terms { hasher, limits, outbound, .. } = *terms;
        match *happening {
            Happening::Opened { flow, stack } => self.note_opened(at, flow, stack, terms),
            Happening::Dns { lookup, losses, known_resolver } => {
                let lookups =
                    self.lookups.get_or_insert_with(|| Box::new(Lookups::new(at, losses)));
                let foreign = known_resolver == Some(false);
                self.asked_anew = lookups.note(at, lookup, losses, foreign, hasher, limits);
            }
            Happening::Greeted { flow, .. } => self.open.greeted(flow.server.addr),
            Happening::Attempt { flow, .. } if is_submission(flow.server.port) => {}
            Happening::Attempt { flow, end } => {
                let hash = hasher.hash_one(flow.server.addr);
                if outbound {
                    let contacts = self.contacts.get_or_insert_default();
                    contacts.attempt(at, flow.server.addr, hash, end);
                }
                let attempts = self.attempts.at(at, MINUTES_10);
                attempts.total += 1;
                match end {
                    Reached::Yes => return,
                    Reached::Refused => attempts.refused += 1,
                    Reached::Silence => attempts.silent += 1,
                }
                attempts.failed_to.add(hash);
            }
            Happening::Held { session, .. } => {
                self.holds.at(at, HOUR).held += 1;
                let server = session.flow.server.addr;
                if let Some((_, count)) = self.idle_now.iter_mut().find(|(addr, _)| *addr == server)
                {
                    *count += 1;
                } else if self.idle_now.len() < IDLE_SERVERS {
                    self.idle_now.push((server, 1));
                }
            }
            Happening::Ended { session, held } => self.note_ended(at, session, held, terms),
        }
    }

    fn note_opened(&mut self, at: Stamp, flow: &Flow, stack: u32, terms: &Terms<'_>) {
        let Terms { role, outbound, hasher, limits } = *terms;
        if stack != 0 && self.stacks.len() < STACKS && !self.stacks.contains(&stack) {
            self.stacks.push(stack);
        }
        if is_submission(flow.server.port) {
            return;
        }
        let hash = hasher.hash_one(flow.server.addr);
        self.tried_10m.at(at, MINUTES_10).add(hash, flow.server.addr);
        self.tried_1h.at(at, HOUR).add(hash, flow.server.addr);
        if self.is_mail_host(role) {
            self.baseline.get_or_insert_default().add(at, hash, stack != 0);
        }
        if outbound {
            let contacts = self.contacts.get_or_insert_default();
            contacts.opened(at, flow.server.addr, hash, stack != 0, limits);
        }
        if stack != 0
            && let Some(lookups) = &mut self.lookups
        {
            let addr = flow.server.addr;
            lookups.opened(at, addr, is_public(addr), hasher);
        }
    }

    fn note_ended(&mut self, at: Stamp, session: &Session, held: bool, terms: &Terms<'_>) {
        let Terms { outbound, hasher, .. } = *terms;
        let server = session.flow.server.addr;
        let hash = hasher.hash_one(server);
        if held {
            if let Some((_, count)) = self.idle_now.iter_mut().find(|(addr, _)| *addr == server) {
                *count = count.saturating_sub(1);
            }
            self.idle_now.retain(|(_, count)| *count > 0);
        } else if session.greeting_code.is_some() {
            self.holds.at(at, HOUR).prompt += 1;
        }
        if !session.helo.is_empty() && !is_submission(session.flow.server.port) {
            self.note_name(at, session.helo.as_bytes(), hasher);
            if session.conduct.helo_is_recipient {
                self.note_victim(at, session.helo.as_bytes(), hasher);
            }
        }
        if session.greeting_code.is_some() {
            self.open.left(server);
        }
        if outbound && !is_submission(session.flow.server.port) {
            let contacts = self.contacts.get_or_insert_default();
            if session.greeting_code.is_some() && is_public(server) {
                contacts.was_greeted(at, session, hasher);
            }
            if session.client_bytes > 0 || is_empty_connect(session) {
                contacts.ended(at, hash, session.client_bytes > 0);
            }
        }
        if is_left_by_client(session) && !held {
            let resets = self.resets.at(at, HOUR);
            resets.total += 1;
            if is_reset_in_turn(session) {
                resets.reset += 1;
                resets.servers.add(hash);
            }
        }
        if is_idle_talk(session) {
            self.loops.at(at, MINUTES_10).add(server);
        }
        if is_end_of_client(session) {
            let ends = self.ends.at(at, HOUR);
            ends.total += 1;
            ends.without_quit += u64::from(!session.quit);
        }
        if is_empty_connect(session) {
            let empty = self.empty.at(at, MINUTES_10);
            empty.total += 1;
            empty.servers.add(hash);
        }
        if session.starttls != Starttls::Unused || session.visible == Visible::ImplicitTls {
            self.plain.clear();
        } else if is_plain_by_choice(session) {
            let plain = self.plain.at(at, DAY);
            plain.total += 1;
            plain.servers.add(hash);
        }
    }

    fn note_victim(&mut self, at: Stamp, helo: &[u8], hasher: &FixedState) {
        let hash = hasher.hash_one(name::Lower::new(helo).as_bytes());
        self.victims.retain(|(known, last)| *known != hash && last.since(at) < MINUTES_10);
        if self.victims.len() >= NAMES {
            self.victims.remove(0);
        }
        self.victims.push((hash, at));
    }

    fn note_name(&mut self, at: Stamp, helo: &[u8], hasher: &FixedState) {
        let lower = name::Lower::new(helo);
        let hash = hasher.hash_one(name::identity(helo, &lower));
        // What a stamp from elsewhere left would be "just now" for as long as that stamp lies ahead.
        self.names.retain(|n| n.last.since(at) < MINUTES_10);
        if let Some(known) = self.names.iter_mut().find(|n| n.hash == hash) {
            known.count += 1;
            known.last = at;
            return;
        }
        let mut fresh = Name { hash, count: 1, last: at, ..Name::default() };
        // The organisation is at the end of a name.
        let end = helo.len().saturating_sub(NAME_BYTES);
        fresh.sample.set(helo.get(end..).unwrap_or_default(), NAME_BYTES);
        if self.names.len() < NAMES {
            self.names.push(fresh);
        } else if let Some(oldest) = self.names.iter_mut().min_by_key(|n| n.last) {
            *oldest = fresh;
        }
    }
}

/// Whether it was on the client to say QUIT, and it is known whether it did. Guards G8 and G9: a server that closes first,
/// or says that it will, is the reason why QUIT was not said.
pub(super) fn is_end_of_client(session: &Session) -> bool {
    is_ended_by_client(session)
        && session.visible == Visible::Plain
        && !session.said_421
        && session.commands > 0
        && !is_let_go(session)
}

/// How long a connection lay idle that was kept to be used again. Postfix's smtp_connection_cache_time_limit is 2 s.
const KEPT: Nanos = SECOND;

/// Whether the client had delivered, kept the connection for more mail, and let it go when there was none: Postfix's cache
/// of connections closes what it gives up without QUIT.
fn is_let_go(session: &Session) -> bool {
    session.messages > 0 && session.idle_at_fin >= KEPT
}

/// Whether the client left a server that was willing without a byte.
pub(super) fn is_empty_connect(session: &Session) -> bool {
    let refused = session.greeting_code.is_some_and(|code| code >= 400);
    is_ended_by_client(session)
        && session.client_bytes == 0
        && !refused
        && !is_submission(session.flow.server.port)
}

/// Whether it was on the client to end the session well, and it is known how it did: neither did the server refuse it nor
/// say, as far as can be read, that it closes. Of TLS from the first byte not even the greeting is seen.
pub(super) fn is_left_by_client(session: &Session) -> bool {
    is_ended_by_client(session)
        && matches!(session.visible, Visible::Plain | Visible::UntilStarttls)
        && !session.said_421
        && session.greeting_code.is_some_and(|code| code < 400)
}

/// Whether the client aborted while the server's last word was still unanswered. What follows a FIN or QUIT does not
/// count: such a session has another end.
pub(super) fn is_reset_in_turn(session: &Session) -> bool {
    is_left_by_client(session) && session.close == Some(Close::ClientRst) && session.reset_in_turn
}

/// Whether the client said its name to a server that was willing, asked for nothing, and left.
pub(super) fn is_idle_talk(session: &Session) -> bool {
    is_left_by_client(session)
        && session.visible == Visible::Plain
        && !session.helo.is_empty()
        && session.transactions == 0
        && session.auth.attempts == 0
        && session.starttls == Starttls::Unused
        && session.errors_4xx == 0
        && session.errors_5xx == 0
}

/// Whether the client used the server for something, was offered STARTTLS, and did not ask for it.
pub(super) fn is_plain_by_choice(session: &Session) -> bool {
    session.capture.is_empty()
        && session.starttls == Starttls::Unused
        && session.visible == Visible::Plain
        && session.ehlo_accepted
        && session.capabilities.contains(Capability::STARTTLS)
        && (session.transactions > 0 || session.auth.attempts > 0)
}

/// Whether the session was seen whole and the client ended it.
fn is_ended_by_client(session: &Session) -> bool {
    session.capture.is_empty()
        && matches!(session.close, Some(Close::Quit | Close::ClientFin | Close::ClientRst))
}

/// Ports of submission (guard G2): their clients are user agents, of which the HELO says nothing; and who talks to many
/// submission servers sends for many accounts, not to many receivers.
pub(super) const fn is_submission(port: u16) -> bool {
    matches!(port, 465 | 587 | 2525)
}
