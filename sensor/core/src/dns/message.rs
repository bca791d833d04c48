//! One message: its header, its first question, its records.

use super::kind;
use super::name::Name;
use crate::base::Addr;

/// The class of the Internet.
const INTERNET: u16 = 1;
const HEADER: usize = 12;

/// A message. What it holds besides the header is read when it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    /// Its number, the same in question and answer.
    pub id: u16,
    /// An answer, or else a question.
    pub response: bool,
    /// What kind of question; 0 is a common one.
    pub opcode: u8,
    /// Cut: the answer did not fit.
    pub truncated: bool,
    /// Whoever is asked shall ask others (RD).
    pub recursion_desired: bool,
    /// Whoever answers would ask others (RA).
    pub recursion_available: bool,
    /// What became of the question; 0 is well, 3 no such name.
    pub rcode: u8,
    /// The first question.
    pub question: Question<'a>,
    records: Records<'a>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name.
    pub name: Name<'a>,
    /// The type of record.
    pub kind: u16,
}

/// Where in a message a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who is responsible.
    Authority,
    /// What may help.
    Additional,
}

/// A record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it stands.
    pub section: Section,
    /// Whose it is.
    pub owner: Name<'a>,
    /// What it says.
    pub data: Data<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// An address: A or AAAA.
    Addr(Addr),
    /// A mail exchanger.
    Mx {
        /// Its preference; the least is tried first.
        preference: u16,
        /// Its name; the root where the domain takes no mail (RFC 7505).
        exchange: Name<'a>,
    },
    /// Another name of the owner.
    Cname(Name<'a>),
    /// Something else.
    Other,
}

impl<'a> Message<'a> {
    /// Reads a message with at least one question. `None`: it is none, or is cut off within header or question.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let h = bytes.first_chunk::<HEADER>()?;
        let count = |at: usize| {
            let pair = h.get(at..).and_then(|tail| tail.first_chunk::<2>());
            u16::from_be_bytes(pair.copied().unwrap_or_default())
        };
        let questions = count(4);
        let (name, after) = Name::read(bytes, HEADER)?;
        let (kind, class, mut next) = pair(bytes, after)?;
        // A bit of the class says something else in mDNS; here it is a class like any other.
        if questions == 0 || class != INTERNET {
            return None;
        }
        // Nobody asks more than one thing at a time; who does is read for the first.
        for _ in 1..questions.min(4) {
            let (_, after) = Name::read(bytes, next)?;
            next = pair(bytes, after)?.2;
        }
        let left = [count(6), count(8), count(10)];
        Some(Self {
            bytes,
            id: count(0),
            response: h[2] & 0x80 != 0,
            opcode: h[2] >> 3 & 0x0f,
            truncated: h[2] & 0x02 != 0,
            recursion_desired: h[2] & 0x01 != 0,
            recursion_available: h[3] & 0x80 != 0,
            rcode: h[3] & 0x0f,
            question: Question { name, kind },
            records: Records { bytes, next, left, broken: questions > 4 },
        })
    }

    /// Its records, in their order.
    pub fn records(&self) -> Records<'a> {
        self.records
    }

    /// How long it is.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is empty, which it never is.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Two numbers, and where what follows begins.
fn pair(bytes: &[u8], at: usize) -> Option<(u16, u16, usize)> {
    let &[a, b, c, d] = bytes.get(at..)?.first_chunk::<4>()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]), at.checked_add(4)?))
}

/// The records of a message. It ends before the first that makes no sense.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    next: usize,
    /// What the header says is still to come, by section.
    left: [u16; 3],
    broken: bool,
}

impl<'a> Records<'a> {
    /// Whether something is left that was not read: it was cut off, or makes no sense.
    pub fn has_rest(&self) -> bool {
        self.broken || self.left != [0; 3]
    }

    fn read(&self, section: Section) -> Option<(Record<'a>, usize)> {
        let (owner, after) = Name::read(self.bytes, self.next)?;
        let (kind, class, after) = pair(self.bytes, after)?;
        // Four bytes of time to live, and the length.
        let &[_, _, _, _, high, low] = self.bytes.get(after..)?.first_chunk::<6>()?;
        let from = after.checked_add(6)?;
        let to = from.checked_add(usize::from(u16::from_be_bytes([high, low])))?;
        let data = match (class, kind, self.bytes.get(from..to)?) {
            (INTERNET, kind::A, &[a, b, c, d]) => Data::Addr(Addr::v4([a, b, c, d])),
            (INTERNET, kind::AAAA, octets) => match octets.try_into() {
                Ok(octets) => Data::Addr(Addr::v6(octets)),
                Err(_) => Data::Other,
            },
            (INTERNET, kind::MX, &[high, low, ..]) => {
                let (exchange, end) = Name::read(self.bytes, from.checked_add(2)?)?;
                if end != to {
                    return None;
                }
                Data::Mx { preference: u16::from_be_bytes([high, low]), exchange }
            }
            (INTERNET, kind::CNAME, _) => {
                let (name, end) = Name::read(self.bytes, from)?;
                if end != to {
                    return None;
                }
                Data::Cname(name)
            }
            _ => Data::Other,
        };
        Some((Record { section, owner, data }, to))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        if self.broken {
            return None;
        }
        let [answers, authorities, additionals] = &mut self.left;
        let (section, left) = match (*answers, *authorities, *additionals) {
            (1.., ..) => (Section::Answer, answers),
            (0, 1.., _) => (Section::Authority, authorities),
            (0, 0, 1..) => (Section::Additional, additionals),
            (0, 0, 0) => return None,
        };
        *left = left.saturating_sub(1);
        match self.read(section) {
            Some((record, next)) => {
                self.next = next;
                Some(record)
            }
            None => {
                self.broken = true;
                None
            }
        }
    }
}
