//! What leaves the first stage: who asked whom what, and what was answered as far as mail goes.

use alloc::vec::Vec;

use super::{Data, Message, Name, Section, kind};
use crate::base::{Addr, Endpoint, Limits, Text, TextList};
use crate::wire::DNS_PORT;

/// Bytes of a name that are kept; no name is longer.
const NAME_BYTES: usize = 255;

/// A question or an answer, bounded by limits. Its memory is kept from one to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Who asked.
    pub client: Endpoint,
    /// Who was asked.
    pub server: Endpoint,
    /// The number of the question.
    pub id: u16,
    /// An answer, or else a question.
    pub response: bool,
    /// Whoever is asked shall ask others (RD).
    pub recursion_desired: bool,
    /// Whoever answered would ask others (RA).
    pub recursion_available: bool,
    /// What became of the question; 0 is well, 3 no such name.
    pub rcode: u8,
    /// The name that was asked for, in lower case.
    pub name: Text,
    /// The type that was asked for.
    pub kind: u16,
    /// Addresses of what was asked for; where that was MX, addresses of the mail exchangers.
    pub addrs: Vec<Addr>,
    /// Other addresses in the answer.
    pub other_addrs: Vec<Addr>,
    /// Mail exchangers, in lower case.
    pub exchanges: TextList,
    /// Not all of the answer was read: it was cut, makes no sense, or is beyond a limit.
    pub partial: bool,
}

impl Lookup {
    /// Reads a message that went from `src` to `dst`, after what was there before is forgotten. `false`: it is no common
    /// question or answer, and nothing is to be made of it.
    pub fn read(&mut self, bytes: &[u8], src: Endpoint, dst: Endpoint, limits: &Limits) -> bool {
        self.clear();
        let Some(message) = Message::read(bytes) else { return false };
        (self.client, self.server) = if message.response { (dst, src) } else { (src, dst) };
        let Some(name) = message.question.name.plain() else { return false };
        if message.opcode != 0 || self.server.port != DNS_PORT {
            return false;
        }
        self.id = message.id;
        self.response = message.response;
        self.recursion_desired = message.recursion_desired;
        self.recursion_available = message.recursion_available;
        self.rcode = message.rcode;
        self.name.set(name.as_bytes(), NAME_BYTES);
        self.kind = message.question.kind;
        if self.response {
            self.answers(&message, limits);
        }
        true
    }

    fn answers(&mut self, message: &Message<'_>, limits: &Limits) {
        let mut records = message.records();
        for record in records.by_ref().take(limits.dns_records) {
            match record.data {
                Data::Addr(addr) => {
                    let asked = match (record.section, self.kind) {
                        (Section::Answer, kind::A | kind::AAAA) => true,
                        (_, kind::MX) => self.is_exchange(record.owner),
                        _ => false,
                    };
                    let list = if asked { &mut self.addrs } else { &mut self.other_addrs };
                    list.push(addr);
                }
                Data::Mx { exchange, .. } if record.section == Section::Answer => {
                    if let Some(name) = exchange.plain() {
                        self.exchanges.push(name.as_bytes(), NAME_BYTES, limits.dns_records);
                    }
                }
                _ => {}
            }
        }
        self.partial = message.truncated || records.has_rest();
    }

    fn is_exchange(&self, owner: Name<'_>) -> bool {
        owner.plain().is_some_and(|name| self.exchanges.iter().any(|one| one == name.as_bytes()))
    }

    fn clear(&mut self) {
        let Self { name, addrs, other_addrs, exchanges, .. } = self;
        name.clear();
        addrs.clear();
        other_addrs.clear();
        exchanges.clear();
        self.partial = false;
    }
}
