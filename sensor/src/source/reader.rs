//! One capture: its format, and the record that it stands at.

use std::path::{Path, PathBuf};

use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;

use super::Frame;
use super::error::{Fault, SourceError};
use super::filter::Filter;
use super::input::{Buffer, Raw, Short, looks_like};
use super::pcap::{self, Pcap};
use super::pcapng::{Pcapng, SECTION_HEADER};

/// Bytes looked at to say what a file is that is no capture.
const SAMPLE: usize = 512;

/// What all captures of a run have in common.
#[derive(Default)]
pub(super) struct Shared {
    /// Link type and name of each interface.
    interfaces: Vec<(u16, Option<Box<str>>)>,
    /// Drops reported and not yet fetched.
    pub(super) lost: u64,
    pub(super) filter: Option<Filter>,
}

impl Shared {
    /// Gives an interface its number.
    pub(super) fn define(&mut self, number: u16, name: Option<Box<str>>) -> Result<u32, Fault> {
        if let Some(filter) = &mut self.filter {
            filter.prepare(number).map_err(Fault::Filter)?;
        }
        let iface = self.interfaces.len() as u32;
        self.interfaces.push((number, name));
        Ok(iface)
    }

    /// Whether `iface` is of that link type and name.
    pub(super) fn is(&self, iface: u32, number: u16, name: Option<&str>) -> bool {
        self.interfaces
            .get(iface as usize)
            .is_some_and(|(n, known)| *n == number && known.as_deref() == name)
    }

    pub(super) fn name(&self, iface: u32) -> Option<&str> {
        self.interfaces.get(iface as usize)?.1.as_deref()
    }
}

/// Where a frame lies, and what is said of it.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) at: Stamp,
    pub(super) link: LinkType,
    /// Number of the link type.
    pub(super) number: u16,
    pub(super) iface: u32,
    /// First byte of the frame: counted from the start of the record when parsed, of the buffer when delivered.
    pub(super) start: usize,
    pub(super) len: usize,
    pub(super) orig_len: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            at: Stamp::ZERO,
            link: LinkType::Null,
            number: 0,
            iface: 0,
            start: 0,
            len: 0,
            orig_len: 0,
        }
    }
}

/// What lies at the start of the unconsumed bytes.
pub(super) enum Parsed {
    /// A record with a frame, so many bytes long.
    Whole(usize),
    /// So many bytes are needed for what is named.
    Need(usize, &'static str),
    /// A block without a frame.
    Other,
    /// It cannot be.
    Bad(Box<Fault>),
}

impl Short {
    /// The fault that it is when `need` bytes of `what` are not there.
    pub(super) fn fault(self, what: &'static str, need: usize) -> Fault {
        match self {
            Self::End(have) => Fault::Truncated { what, need: need as u64, have: have as u64 },
            Self::Failed(fault) => fault,
        }
    }
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

impl Format {
    #[inline]
    fn parse(&self, rest: &[u8], record: &mut Record) -> Parsed {
        match self {
            Self::Pcap(pcap) => pcap.parse(rest, record),
            Self::Pcapng(pcapng) => pcapng.parse(rest, record),
        }
    }
}

/// A capture being read.
pub(super) struct Reader {
    path: PathBuf,
    buffer: Buffer,
    format: Format,
    record: Record,
}

impl Reader {
    /// Finds out the format and reads the file header.
    pub(super) fn open(
        path: &Path,
        raw: Raw,
        size: usize,
        shared: &mut Shared,
    ) -> Result<Self, SourceError> {
        let mut buffer =
            Buffer::new(raw, size).map_err(|fault| SourceError::new(path, 0, None, fault))?;
        match Self::format(&mut buffer, shared) {
            Ok(format) => {
                Ok(Self { path: path.to_owned(), buffer, format, record: Record::default() })
            }
            Err(fault) => Err(SourceError::new(path, 0, buffer.packing(), fault)),
        }
    }

    fn format(buffer: &mut Buffer, shared: &mut Shared) -> Result<Format, Fault> {
        if let Err(Short::Failed(fault)) = buffer.ensure(4) {
            return Err(fault);
        }
        if let Some(magic) = pcap::magic(buffer.rest()) {
            return Pcap::open(buffer, magic, shared).map(Format::Pcap);
        }
        if buffer.rest().starts_with(&SECTION_HEADER.to_le_bytes()) {
            buffer.ensure(12).map_err(|short| short.fault("a section header", 28))?;
            let mut pcapng = Pcapng::new();
            match pcapng.other(buffer, shared) {
                // Four such bytes may as well be something else.
                Err(Fault::Corrupt(_)) => {}
                result => return result.map(|()| Format::Pcapng(pcapng)),
            }
        }
        // What there is tells enough, be it short.
        let _ = buffer.ensure(SAMPLE);
        Err(Fault::NotACapture(looks_like(buffer.rest(), buffer.packing())))
    }

    /// Goes to the next frame that the filter lets pass; `false` at the end.
    #[inline]
    pub(super) fn advance(&mut self, shared: &mut Shared) -> Result<bool, SourceError> {
        loop {
            match self.format.parse(self.buffer.rest(), &mut self.record) {
                Parsed::Whole(total) => {
                    if let Format::Pcapng(pcapng) = &mut self.format {
                        let block = self.buffer.rest().get(..total).unwrap_or_default();
                        pcapng.account(block, &self.record, shared);
                    }
                    self.record.start += self.buffer.consume(total);
                    match &shared.filter {
                        Some(filter) if !filter.matches(self.record.number, self.frame().data) => {}
                        _ => return Ok(true),
                    }
                }
                parsed => {
                    if !self.slow(parsed, shared)? {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// All that is not a record whole in the buffer; `false` at the end.
    #[cold]
    #[inline(never)]
    fn slow(&mut self, parsed: Parsed, shared: &mut Shared) -> Result<bool, SourceError> {
        let result = match parsed {
            Parsed::Whole(_) => Ok(()),
            Parsed::Need(need, what) => match self.buffer.ensure(need) {
                Err(Short::End(0)) => return Ok(false),
                result => result.map_err(|short| short.fault(what, need)),
            },
            Parsed::Other => match &mut self.format {
                Format::Pcapng(pcapng) => pcapng.other(&mut self.buffer, shared),
                Format::Pcap(_) => Ok(()),
            },
            Parsed::Bad(fault) => Err(*fault),
        };
        result.map(|()| true).map_err(|fault| {
            let skipping = match &self.format {
                Format::Pcapng(pcapng) => pcapng.skipping(),
                Format::Pcap(_) => None,
            };
            let offset = skipping.unwrap_or_else(|| self.buffer.offset());
            SourceError::new(&self.path, offset, self.buffer.packing(), fault)
        })
    }

    /// The frame that [`advance`](Self::advance) went to.
    #[inline]
    pub(super) fn frame(&self) -> Frame<'_> {
        let Record { at, link, iface, start, len, orig_len, .. } = self.record;
        Frame { at, link, iface, data: self.buffer.slice(start, len), orig_len }
    }

    /// Time of that frame.
    #[inline]
    pub(super) fn at(&self) -> Stamp {
        self.record.at
    }

    /// Whether the next [`advance`](Self::advance) finds a frame without reading.
    pub(super) fn buffered(&self, shared: &Shared) -> bool {
        let mut rest = self.buffer.rest();
        let mut record = self.record;
        while let Parsed::Whole(total) = self.format.parse(rest, &mut record) {
            let Some(filter) = &shared.filter else { return true };
            let frame = rest.get(record.start..record.start + record.len).unwrap_or_default();
            if filter.matches(record.number, frame) {
                return true;
            }
            rest = rest.get(total..).unwrap_or_default();
        }
        false
    }

    pub(super) fn raw(&self) -> &Raw {
        self.buffer.raw()
    }
}
