//! Bytes of a capture: opened, unpacked, and held in one buffer that is used again and again.
//!
//! A file is read with large `read`s into a buffer of [`BUFFER`] bytes, never mapped: a mapped file that shrinks kills the
//! program, and a fault per page costs more than the copy. The buffer grows only for a record larger than itself, and
//! what may be asked of it is capped by the formats ([`MAX_BLOCK`](super::pcapng::MAX_BLOCK)). Compression is told by
//! magic bytes, two layers deep; it is unpacked as it is read, so that a decompression bomb costs time and no memory.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::error::Fault;

/// Bytes asked of `read` at a time when one file is read. Measured on a warm capture of 488 MB, milliseconds of processor
/// time in `read`: 45 at 32 KiB, 38 at 128 KiB, 35 at 256 KiB, 30 at 512 KiB, 24 at 1 MiB. More than half a second-level
/// cache (1 MiB there) would push out the tables of the stages that follow.
pub(super) const BUFFER: usize = 512 << 10;
/// Bytes of compressed data read at a time, at most.
const PACKED_BUFFER: usize = 64 << 10;
/// Layers of compression that are looked through.
const MAX_LAYERS: usize = 2;
/// Bytes that tell a format.
const MAGIC: usize = 4;
/// Largest window of a zstd frame: what `zstd -d` accepts without asking (2^27 = 128 MiB).
const ZSTD_WINDOW_LOG: u32 = 27;

/// Where raw bytes come from. Keeps count of them.
pub(super) struct Raw {
    inner: Box<dyn Read + Send>,
    /// Bytes read so far.
    pub(super) read: u64,
    /// Bytes in all; `None` for pipes and devices.
    pub(super) total: Option<u64>,
}

impl Raw {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = if path == Path::new("-") {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                return Err(io::Error::other(
                    "it is a terminal; give a file, or pipe a capture into it",
                ));
            }
            // A descriptor of our own: without the lock and the small buffer of `Stdin`.
            File::from(stdin.as_fd().try_clone_to_owned()?)
        } else {
            File::open(path)?
        };
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let total = metadata.is_file().then_some(metadata.len());
        Ok(Self { inner: Box::new(file), read: 0, total })
    }

    pub(super) fn new(inner: Box<dyn Read + Send>) -> Self {
        Self { inner, read: 0, total: None }
    }
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(into)?;
        self.read = self.read.saturating_add(n as u64);
        Ok(n)
    }
}

/// A stream whose first bytes were taken to look at and are given back first.
struct Peeked {
    magic: [u8; MAGIC],
    given: usize,
    taken: usize,
    inner: Stream,
}

impl Read for Peeked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let head = self.magic.get(self.given..self.taken).unwrap_or_default();
        if head.is_empty() {
            return self.inner.read(into);
        }
        let n = head.len().min(into.len());
        into[..n].copy_from_slice(&head[..n]);
        self.given += n;
        Ok(n)
    }
}

type Packed = BufReader<Peeked>;

enum Stream {
    Raw(Raw),
    Peeked(Box<Peeked>),
    Gzip(Box<MultiGzDecoder<Packed>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, Packed>>),
}

impl Stream {
    fn raw(&self) -> &Raw {
        match self {
            Self::Raw(raw) => raw,
            Self::Peeked(peeked) => peeked.inner.raw(),
            Self::Gzip(gzip) => gzip.get_ref().get_ref().inner.raw(),
            Self::Zstd(zstd) => zstd.get_ref().get_ref().inner.raw(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Raw(raw) => raw.read(into),
            Self::Peeked(peeked) => peeked.read(into),
            Self::Gzip(gzip) => gzip.read(into),
            Self::Zstd(zstd) => zstd.read(into),
        }
    }
}

/// The bytes of one capture.
///
/// `data[start..end]` is read and not yet consumed. Consumed bytes stay in place until the next [`ensure`](Self::ensure)
/// that has to read, so a frame may be borrowed from them.
pub(super) struct Buffer {
    stream: Stream,
    packing: Option<&'static str>,
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset in the unpacked stream of `data[0]`.
    base: u64,
    ended: bool,
}

impl Buffer {
    /// Finds out about compression; blocks until four bytes were read.
    pub(super) fn new(raw: Raw, size: usize) -> Result<Self, Fault> {
        let packed_size = size.min(PACKED_BUFFER);
        let mut stream = Stream::Raw(raw);
        let mut packing = None;
        for layer in 0..=MAX_LAYERS {
            let (magic, taken) = peek(&mut stream).map_err(|error| fault(packing, error))?;
            let peeked = Peeked { magic, given: 0, taken, inner: stream };
            stream = match packing_of(&magic[..taken]) {
                Some("gzip") if layer < MAX_LAYERS => {
                    packing = Some("gzip");
                    Stream::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(
                        PACKED_BUFFER,
                        peeked,
                    ))))
                }
                Some("zstd") if layer < MAX_LAYERS => {
                    packing = Some("zstd");
                    let packed = BufReader::with_capacity(packed_size, peeked);
                    let mut decoder =
                        zstd::stream::read::Decoder::with_buffer(packed).map_err(Fault::Unpack)?;
                    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(Fault::Unpack)?;
                    Stream::Zstd(Box::new(decoder))
                }
                _ => {
                    stream = Stream::Peeked(Box::new(peeked));
                    break;
                }
            };
        }
        Ok(Self { stream, packing, data: vec![0; size], start: 0, end: 0, base: 0, ended: false })
    }

    /// How the capture is compressed.
    pub(super) fn packing(&self) -> Option<&'static str> {
        self.packing
    }

    pub(super) fn raw(&self) -> &Raw {
        self.stream.raw()
    }

    /// Offset of the next byte in the unpacked capture.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// What is read and not yet consumed.
    #[inline]
    pub(super) fn rest(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    /// Consumed or unconsumed bytes by their place in the buffer.
    #[inline]
    pub(super) fn slice(&self, start: usize, len: usize) -> &[u8] {
        &self.data[start..start + len]
    }

    /// Consumes `len` bytes of [`rest`](Self::rest); the place of the first one, for [`slice`](Self::slice).
    #[inline]
    pub(super) fn consume(&mut self, len: usize) -> usize {
        let at = self.start;
        self.start = (at + len).min(self.end);
        at
    }

    /// Reads until `len` unconsumed bytes are there; how many there are if the stream ends first.
    #[inline]
    pub(super) fn ensure(&mut self, len: usize) -> Result<(), Short> {
        if self.end - self.start >= len { Ok(()) } else { self.fill(len) }
    }

    #[cold]
    #[inline(never)]
    fn fill(&mut self, len: usize) -> Result<(), Short> {
        self.data.copy_within(self.start..self.end, 0);
        self.base += self.start as u64;
        self.end -= self.start;
        self.start = 0;
        if self.data.len() < len {
            self.data.resize(len.next_power_of_two(), 0);
        }
        while self.end < len {
            if self.ended {
                return Err(Short::End(self.end));
            }
            match self.stream.read(&mut self.data[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Short::Failed(fault(self.packing, error))),
            }
        }
        Ok(())
    }

    /// Passes over `len` bytes without holding them; how many there were if the stream ends first.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), (u64, Short)> {
        let mut left = len;
        loop {
            let n = left.min((self.end - self.start) as u64);
            self.start += n as usize;
            left -= n;
            if left == 0 {
                return Ok(());
            }
            self.ensure(1).map_err(|short| (len - left, short))?;
        }
    }
}

/// Why [`Buffer::ensure`] could not do it.
pub(super) enum Short {
    /// The stream ended with so many bytes unconsumed.
    End(usize),
    /// It could not be read.
    Failed(Fault),
}

fn fault(packing: Option<&'static str>, error: io::Error) -> Fault {
    // The decoders report damage as these kinds; anything else comes from the file below them.
    let damage = matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    ) || (error.kind() == io::ErrorKind::Other && error.raw_os_error().is_none());
    if packing.is_some() && damage { Fault::Unpack(error) } else { Fault::Read(error) }
}

fn peek(stream: &mut Stream) -> io::Result<([u8; MAGIC], usize)> {
    let mut magic = [0; MAGIC];
    let mut taken = 0;
    while taken < MAGIC {
        match stream.read(&mut magic[taken..]) {
            Ok(0) => break,
            Ok(n) => taken += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((magic, taken))
}

/// The compression that a file's first bytes tell: RFC 1952 section 2.3.1, RFC 8878 sections 3.1.1 and 3.1.2 (a skippable
/// frame may come first).
fn packing_of(magic: &[u8]) -> Option<&'static str> {
    match *magic {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Some("zstd"),
        _ => None,
    }
}

/// What a file that is no capture looks like, for the message.
pub(super) fn looks_like(head: &[u8], packing: Option<&'static str>) -> &'static str {
    match (head, packing) {
        ([], None) => return "the file is empty",
        ([], Some(_)) => return "compressed, and empty inside",
        _ => {}
    }
    if packing_of(head.get(..MAGIC).unwrap_or(head)).is_some() {
        return "compressed more than twice; unpack it first";
    }
    let known: [(&[u8], &'static str); 13] = [
        (b"\xfd7zXZ\0", "it is compressed with xz; unpack it first"),
        (b"BZh", "it is compressed with bzip2; unpack it first"),
        (b"\x04\x22\x4d\x18", "it is compressed with lz4; unpack it first"),
        (b"PK\x03\x04", "it is a zip archive; unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it first"),
        (b"Rar!", "it is a rar archive; unpack it first"),
        (b"snoop\0\0\0", "it is a snoop capture; convert it to pcap"),
        (b"GMBU", "it is a Network Monitor capture; convert it to pcap"),
        (b"RTSS", "it is a Network Monitor capture; convert it to pcap"),
        (b"TRSNIFF data", "it is a Sniffer capture; convert it to pcap"),
        (b"\x7fELF", "it is a program"),
        (b"%PDF", "it is a PDF"),
        (b"\x7f\xfe\x34\x12", "it is a memory image"),
    ];
    if let Some((_, what)) = known.iter().find(|(magic, _)| head.starts_with(magic)) {
        return what;
    }
    if head.get(257..262) == Some(b"ustar") {
        return "it is a tar archive; unpack it first";
    }
    let sample = &head[..head.len().min(256)];
    let text =
        sample.iter().all(|&b| matches!(b, b'\t' | b'\n' | b'\r' | 0x1b | 0x20..=0x7e | 0x80..));
    match (text, packing) {
        (true, Some(_)) => "compressed text",
        (true, None) => "it looks like text",
        (false, Some(_)) => "compressed, with an unknown format inside",
        (false, None) => "unknown format",
    }
}
