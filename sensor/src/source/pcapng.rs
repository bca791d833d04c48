//! The pcapng file format (draft-ietf-opsawg-pcapng): blocks, in sections that have a byte order and interfaces each.
//!
//! Read here: section headers, interface descriptions (name, resolution and offset of time, snap length), enhanced, simple
//! and obsolete packet blocks, and interface statistics (packets dropped). All other blocks are passed over whatever
//! their length, without being held. A simple packet block has no time: it takes that of the packet before.

use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;

use super::error::Fault;
use super::input::{Buffer, Short};
use super::pcap::{MAX_FRAME, u16_at, u32_at};
use super::reader::{Parsed, Record, Shared};

/// Longest block that is held at once: a packet of [`MAX_FRAME`] bytes with its options, or a description. A longer one
/// of these is corruption.
pub(super) const MAX_BLOCK: u32 = 1 << 20;
/// Different interfaces in a file.
const MAX_INTERFACES: usize = 1 << 14;
/// Bytes of an interface name that are kept.
const MAX_NAME: usize = 128;

/// A block's type. This one reads the same in both byte orders.
pub(super) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;

/// Bytes of a block without a body: type, length, length again.
const EMPTY_BLOCK: usize = 12;

/// How a time stamp becomes nanoseconds.
#[derive(Clone, Copy)]
enum Scale {
    Multiply(u64),
    Divide(u64),
    /// Units of 2^-n seconds.
    Binary(u32),
}

struct Interface {
    link: LinkType,
    number: u16,
    iface: u32,
    snaplen: u32,
    scale: Scale,
    /// Seconds added to every stamp.
    offset: i64,
    /// Drops that packets told of, each since the packet before.
    drops_by_packets: u64,
    /// Drops that statistics told of, in all.
    drops_by_statistics: u64,
    /// How many of them were handed on.
    drops_told: u64,
}

/// The state of the section that is being read.
pub(super) struct Pcapng {
    swapped: bool,
    interfaces: Vec<Interface>,
    /// Numbers of the interfaces of the section before: one that has the same place, link type and name keeps its number.
    before: Vec<u32>,
    /// Interfaces that got a number of their own.
    defined: usize,
    /// Where the block starts that was being passed over.
    skipping: Option<u64>,
}

impl Pcapng {
    /// Before the first section header.
    pub(super) fn new() -> Self {
        Self {
            swapped: false,
            interfaces: Vec::new(),
            before: Vec::new(),
            defined: 0,
            skipping: None,
        }
    }

    /// Where the block starts that could not be passed over.
    pub(super) fn skipping(&self) -> Option<u64> {
        self.skipping
    }

    /// Looks at the block at the start of `rest`.
    #[inline]
    pub(super) fn parse(&self, rest: &[u8], record: &mut Record) -> Parsed {
        let Some(head) = rest.get(..EMPTY_BLOCK) else {
            return Parsed::Need(EMPTY_BLOCK, "a block header");
        };
        let kind = u32_at(head, 0, self.swapped);
        let header = match kind {
            ENHANCED_PACKET | OBSOLETE_PACKET => 28,
            SIMPLE_PACKET => 12,
            _ => return Parsed::Other,
        };
        let total = u32_at(head, 4, self.swapped);
        if total > MAX_BLOCK || (total as usize) < header + 4 || !total.is_multiple_of(4) {
            return bad_length(total);
        }
        let total = total as usize;
        let Some(block) = rest.get(..total) else {
            return Parsed::Need(total, "a packet block");
        };
        if u32_at(block, total - 4, self.swapped) as usize != total {
            return bad_trailer();
        }
        if kind == SIMPLE_PACKET {
            let Some(interface) = self.interfaces.first() else { return no_interface(0) };
            let orig_len = u32_at(block, 8, self.swapped);
            let snaplen = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
            let len = orig_len.min(snaplen).min((total - 16) as u32);
            if len > MAX_FRAME {
                return bad_packet(len);
            }
            *record = Record {
                at: record.at,
                start: 12,
                len: len as usize,
                orig_len,
                ..interface.record()
            };
            return Parsed::Whole(total);
        }
        let id = if kind == ENHANCED_PACKET {
            u32_at(block, 8, self.swapped)
        } else {
            u32::from(u16_at(block, 8, self.swapped))
        };
        let Some(interface) = self.interfaces.get(id as usize) else { return no_interface(id) };
        let ticks = u64::from(u32_at(block, 12, self.swapped)) << 32
            | u64::from(u32_at(block, 16, self.swapped));
        let len = u32_at(block, 20, self.swapped);
        if len > MAX_FRAME || len as usize > total - header - 4 {
            return bad_packet(len);
        }
        let orig_len = u32_at(block, 24, self.swapped).max(len);
        *record = Record {
            at: interface.stamp(ticks),
            start: header,
            len: len as usize,
            orig_len,
            ..interface.record()
        };
        Parsed::Whole(total)
    }

    /// The drops that the packet block `block` tells of, which [`parse`](Self::parse) found whole.
    #[inline]
    pub(super) fn account(&mut self, block: &[u8], record: &Record, shared: &mut Shared) {
        let options = (record.start + record.len).next_multiple_of(4);
        // Most writers add no options; without them only an obsolete packet block can tell of drops.
        if block.len() > options + 4 || u32_at(block, 0, self.swapped) == OBSOLETE_PACKET {
            self.account_drops(block, options, shared);
        }
    }

    #[inline(never)]
    fn account_drops(&mut self, block: &[u8], options: usize, shared: &mut Shared) {
        let swapped = self.swapped;
        let (id, drops) = match u32_at(block, 0, swapped) {
            ENHANCED_PACKET => {
                let options = block.get(options..block.len() - 4).unwrap_or_default();
                let drops = Options { rest: options, swapped }.find(|(code, _)| *code == 4);
                (
                    u32_at(block, 8, swapped),
                    drops.and_then(|(_, value)| u64_of(value, swapped)).unwrap_or(0),
                )
            }
            // 0xffff: unknown.
            OBSOLETE_PACKET => match u16_at(block, 10, swapped) {
                u16::MAX => return,
                drops => (u32::from(u16_at(block, 8, swapped)), u64::from(drops)),
            },
            _ => return,
        };
        if let Some(interface) = self.interfaces.get_mut(id as usize) {
            interface.drops_by_packets = interface.drops_by_packets.saturating_add(drops);
            interface.tell(shared);
        }
    }

    /// Reads a block that holds no packet and is there with its first twelve bytes.
    #[cold]
    pub(super) fn other(&mut self, buffer: &mut Buffer, shared: &mut Shared) -> Result<(), Fault> {
        let head = buffer.rest();
        let kind = u32_at(head, 0, self.swapped);
        if kind == SECTION_HEADER {
            self.swapped = match u32_at(head, 8, false) {
                BYTE_ORDER => false,
                other if other.swap_bytes() == BYTE_ORDER => true,
                _ => {
                    return Err(Fault::Corrupt(
                        "a section header without a valid byte-order magic".into(),
                    ));
                }
            };
        }
        let total = u32_at(head, 4, self.swapped);
        let (what, least, most) = match kind {
            SECTION_HEADER => ("a section header", 28, u32::MAX),
            INTERFACE_DESCRIPTION => ("an interface description", 20, MAX_BLOCK),
            INTERFACE_STATISTICS => ("an interface statistics block", 24, MAX_BLOCK),
            _ => ("a block", EMPTY_BLOCK as u32, u32::MAX),
        };
        if total < least || total > most || !total.is_multiple_of(4) {
            return Err(length_fault(total));
        }
        match kind {
            SECTION_HEADER => {
                buffer.ensure(16).map_err(|short| short.fault(what, total as usize))?;
                let version = u16_at(buffer.rest(), 12, self.swapped);
                if version != 1 {
                    return Err(Fault::Unsupported(format!("pcapng version {version}")));
                }
                self.before = self.interfaces.drain(..).map(|interface| interface.iface).collect();
            }
            INTERFACE_DESCRIPTION | INTERFACE_STATISTICS => {
                let total = total as usize;
                buffer.ensure(total).map_err(|short| short.fault(what, total))?;
                let block = buffer.rest().get(..total).unwrap_or_default();
                if u32_at(block, total - 4, self.swapped) as usize != total {
                    return Err(trailer_fault());
                }
                let body = block.get(8..total - 4).unwrap_or_default();
                if kind == INTERFACE_DESCRIPTION {
                    self.describe(body, shared)?;
                } else {
                    self.statistics(body, shared)?;
                }
                buffer.consume(total);
                return Ok(());
            }
            _ => {}
        }
        self.pass_over(what, total, buffer)
    }

    fn pass_over(
        &mut self,
        what: &'static str,
        total: u32,
        buffer: &mut Buffer,
    ) -> Result<(), Fault> {
        self.skipping = Some(buffer.offset());
        let body = u64::from(total) - 4;
        let need = total as usize;
        buffer.skip(body).map_err(|(had, short)| match short {
            Short::End(_) => Fault::Truncated { what, need: u64::from(total), have: had },
            short @ Short::Failed(_) => short.fault(what, need),
        })?;
        buffer.ensure(4).map_err(|short| match short {
            Short::End(more) => {
                Fault::Truncated { what, need: u64::from(total), have: body + more as u64 }
            }
            short @ Short::Failed(_) => short.fault(what, need),
        })?;
        if u32_at(buffer.rest(), 0, self.swapped) != total {
            return Err(trailer_fault());
        }
        buffer.consume(4);
        self.skipping = None;
        Ok(())
    }

    fn describe(&mut self, body: &[u8], shared: &mut Shared) -> Result<(), Fault> {
        let swapped = self.swapped;
        let number = u16_at(body, 0, swapped);
        let snaplen = u32_at(body, 4, swapped);
        let (mut name, mut scale, mut offset) = (None, Scale::Multiply(1_000), 0);
        for (code, value) in (Options { rest: body.get(8..).unwrap_or_default(), swapped }) {
            match code {
                2 => name = Some(name_of(value)),
                9 => scale = value.first().map_or(scale, |&resolution| Scale::of(resolution)),
                14 => offset = u64_of(value, swapped).unwrap_or(0) as i64,
                _ => {}
            }
        }
        let place = self.interfaces.len();
        let known = self
            .before
            .get(place)
            .copied()
            .filter(|&iface| shared.is(iface, number, name.as_deref()));
        let iface = match known {
            Some(iface) => iface,
            // Bounds those of a section, too: each is new or keeps the number of another one of the section before.
            None if self.defined >= MAX_INTERFACES => {
                return Err(Fault::Corrupt(format!("more than {MAX_INTERFACES} interfaces")));
            }
            None => {
                self.defined += 1;
                shared.define(number, name)?
            }
        };
        self.interfaces.push(Interface {
            link: LinkType::from_number(u32::from(number)),
            number,
            iface,
            snaplen,
            scale,
            offset,
            drops_by_packets: 0,
            drops_by_statistics: 0,
            drops_told: 0,
        });
        Ok(())
    }

    fn statistics(&mut self, body: &[u8], shared: &mut Shared) -> Result<(), Fault> {
        let id = u32_at(body, 0, self.swapped);
        let interface = self.interfaces.get_mut(id as usize).ok_or_else(|| interface_fault(id))?;
        let mut drops = 0_u64;
        for (code, value) in
            (Options { rest: body.get(12..).unwrap_or_default(), swapped: self.swapped })
        {
            // Dropped by the interface, dropped by the operating system.
            if matches!(code, 5 | 7) {
                drops = drops.saturating_add(u64_of(value, self.swapped).unwrap_or(0));
            }
        }
        interface.drops_by_statistics = interface.drops_by_statistics.max(drops);
        interface.tell(shared);
        Ok(())
    }
}

impl Interface {
    #[inline]
    fn record(&self) -> Record {
        Record { link: self.link, number: self.number, iface: self.iface, ..Record::default() }
    }

    #[inline]
    fn stamp(&self, ticks: u64) -> Stamp {
        let nanos = match self.scale {
            Scale::Multiply(by) => ticks.saturating_mul(by),
            Scale::Divide(by) => ticks / by,
            Scale::Binary(shift) => {
                let nanos = (u128::from(ticks) * 1_000_000_000) >> shift;
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
        };
        if self.offset == 0 {
            return Stamp::from_nanos(nanos);
        }
        let nanos = i128::from(nanos) + i128::from(self.offset) * 1_000_000_000;
        Stamp::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    /// Hands on the drops that were not yet. Packets and statistics may tell of the same ones: the greater sum is true.
    fn tell(&mut self, shared: &mut Shared) {
        let drops = self.drops_by_packets.max(self.drops_by_statistics);
        shared.lost = shared.lost.saturating_add(drops - self.drops_told);
        self.drops_told = drops;
    }
}

impl Scale {
    /// From the value of `if_tsresol`: a negative power of ten, or of two where the highest bit is set.
    fn of(resolution: u8) -> Self {
        let power = u32::from(resolution & 0x7f);
        if resolution & 0x80 != 0 {
            return Self::Binary(power);
        }
        match power {
            0..=9 => Self::Multiply(10_u64.pow(9 - power)),
            // Past that, any count of units is less than a nanosecond: 2^64 units of 2^-127 seconds are, too.
            _ => 10_u64.checked_pow(power - 9).map_or(Self::Binary(127), Self::Divide),
        }
    }
}

/// The options of a block, up to the first that is not whole.
struct Options<'a> {
    rest: &'a [u8],
    swapped: bool,
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_at_checked(4)?;
        let code = u16_at(head, 0, self.swapped);
        let len = usize::from(u16_at(head, 2, self.swapped));
        if code == 0 {
            return None;
        }
        let value = rest.get(..len)?;
        self.rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    }
}

fn u64_of(value: &[u8], swapped: bool) -> Option<u64> {
    let number = u64::from_le_bytes(*value.first_chunk()?);
    Some(if swapped { number.swap_bytes() } else { number })
}

/// A name, UTF-8 and bounded; it may be padded with zeros.
fn name_of(value: &[u8]) -> Box<str> {
    let value = value.split(|&b| b == 0).next().unwrap_or_default();
    let mut name = String::from_utf8_lossy(value.get(..MAX_NAME).unwrap_or(value)).into_owned();
    name.truncate(name.floor_char_boundary(MAX_NAME));
    name.into_boxed_str()
}

#[cold]
fn bad_length(total: u32) -> Parsed {
    Parsed::Bad(Box::new(length_fault(total)))
}

#[cold]
fn bad_trailer() -> Parsed {
    Parsed::Bad(Box::new(trailer_fault()))
}

#[cold]
fn bad_packet(len: u32) -> Parsed {
    Parsed::Bad(Box::new(Fault::Corrupt(format!(
        "a packet of {len} bytes, more than its block or a frame can hold"
    ))))
}

#[cold]
fn no_interface(id: u32) -> Parsed {
    Parsed::Bad(Box::new(interface_fault(id)))
}

fn length_fault(total: u32) -> Fault {
    Fault::Corrupt(format!("a block that says it is {total} bytes long, which it cannot be"))
}

fn trailer_fault() -> Fault {
    Fault::Corrupt("the lengths at the start and at the end of a block differ".into())
}

fn interface_fault(id: u32) -> Fault {
    Fault::Corrupt(format!("interface {id}, which the section does not describe"))
}
