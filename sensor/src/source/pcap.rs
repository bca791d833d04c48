//! The pcap file format (draft-ietf-opsawg-pcap): a header of 24 bytes, then records.
//!
//! Read here: microseconds and nanoseconds, both byte orders, and the "modified" variant of Alexey Kuznetzov, whose record
//! headers have eight bytes more. Only versions 2.3 and 2.4: the older ones swap the two lengths of a record.

use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;

use super::error::Fault;
use super::input::{Buffer, Short};
use super::reader::{Parsed, Record, Shared};

/// Longest frame of a record; a longer one is corruption. The same figure as libpcap's and Wireshark's.
pub(super) const MAX_FRAME: u32 = 256 << 10;
/// Bytes of the file header.
const FILE_HEADER: usize = 24;
/// Bytes of a record header, without what a variant adds.
const RECORD_HEADER: usize = 16;

/// Microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;
/// Nanoseconds.
pub(super) const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
/// Microseconds, and record headers of 24 bytes.
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;

/// What the file header says of every record.
pub(super) struct Pcap {
    swapped: bool,
    /// Nanoseconds in a unit of the fraction.
    unit: u64,
    record_header: usize,
    number: u16,
    link: LinkType,
    iface: u32,
}

/// What a file that begins like pcap says by its magic number.
#[derive(Clone, Copy)]
pub(super) struct Magic {
    swapped: bool,
    number: u32,
}

/// `None`: this is not pcap.
pub(super) fn magic(head: &[u8]) -> Option<Magic> {
    let number = u32::from_le_bytes(*head.first_chunk()?);
    [Magic { swapped: false, number }, Magic { swapped: true, number: number.swap_bytes() }]
        .into_iter()
        .find(|magic| matches!(magic.number, MAGIC | MAGIC_NANOS | MAGIC_MODIFIED))
}

impl Pcap {
    /// Reads the file header.
    pub(super) fn open(
        buffer: &mut Buffer,
        magic: Magic,
        shared: &mut Shared,
    ) -> Result<Self, Fault> {
        let short = |short: Short| short.fault("the file header", FILE_HEADER);
        buffer.ensure(FILE_HEADER).map_err(short)?;
        let Magic { swapped, number } = magic;
        let head = buffer.rest();
        let version = (u16_at(head, 4, swapped), u16_at(head, 6, swapped));
        if !matches!(version, (2, 3 | 4)) {
            return Err(Fault::Unsupported(format!("pcap version {}.{}", version.0, version.1)));
        }
        // The upper half holds flags and the length of frame check sequences, which no reader of IP needs: the IP header
        // says where a packet ends.
        let link = u32_at(head, 20, swapped) as u16;
        buffer.consume(FILE_HEADER);
        Ok(Self {
            swapped,
            unit: if number == MAGIC_NANOS { 1 } else { 1_000 },
            record_header: if number == MAGIC_MODIFIED { RECORD_HEADER + 8 } else { RECORD_HEADER },
            number: link,
            link: LinkType::from_number(u32::from(link)),
            iface: shared.define(link, None)?,
        })
    }

    /// Looks at the record at the start of `rest`.
    #[inline]
    pub(super) fn parse(&self, rest: &[u8], record: &mut Record) -> Parsed {
        let Some(head) = rest.get(..self.record_header) else {
            return Parsed::Need(self.record_header, "a record header");
        };
        let len = u32_at(head, 8, self.swapped);
        if len > MAX_FRAME {
            return Parsed::Bad(Box::new(Fault::Corrupt(format!(
                "a record says that it holds {len} bytes, and none holds more than {MAX_FRAME}; \
                 this record or the one before is damaged"
            ))));
        }
        let whole = self.record_header + len as usize;
        if rest.len() < whole {
            return Parsed::Need(whole, "a record");
        }
        let seconds = u32_at(head, 0, self.swapped);
        let fraction = u32_at(head, 4, self.swapped);
        *record = Record {
            // Cannot overflow: 2^32 seconds and 2^32 milliseconds are 2^62 nanoseconds and a little.
            at: Stamp::from_nanos(
                u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit,
            ),
            link: self.link,
            number: self.number,
            iface: self.iface,
            start: self.record_header,
            len: len as usize,
            orig_len: u32_at(head, 12, self.swapped).max(len),
        };
        Parsed::Whole(whole)
    }
}

/// A number at `at`; the caller has seen that it is there.
#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize, swapped: bool) -> u32 {
    let number =
        bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u32::from_le_bytes(*b));
    if swapped { number.swap_bytes() } else { number }
}

/// A number at `at`; the caller has seen that it is there.
#[inline]
pub(super) fn u16_at(bytes: &[u8], at: usize, swapped: bool) -> u16 {
    let number =
        bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |b| u16::from_le_bytes(*b));
    if swapped { number.swap_bytes() } else { number }
}
