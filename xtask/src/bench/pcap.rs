//! Classic pcap files, as tcpdump writes them on this machine: enough to count, thin out and make captures.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};

const MAGIC: u32 = 0xa1b2_c3d4;
const ETHERNET: u32 = 1;
/// 2.4: two numbers of two bytes each, in the byte order of the machine.
const VERSION: u32 = if cfg!(target_endian = "little") { 4 << 16 | 2 } else { 2 << 16 | 4 };

/// Reads packets one after the other.
pub(super) struct Reader {
    file: BufReader<File>,
    packet: Vec<u8>,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut file = BufReader::with_capacity(1 << 18, file);
        let mut header = [0; 24];
        file.read_exact(&mut header)?;
        if header[..4] != MAGIC.to_ne_bytes() || header[20..] != ETHERNET.to_ne_bytes() {
            bail!(
                "{} is not a microsecond Ethernet pcap of this machine's byte order",
                path.display()
            );
        }
        Ok(Self { file, packet: Vec::new() })
    }

    /// The next packet: its 16 bytes of header, and the frame.
    pub(super) fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.packet.resize(16, 0);
        match self.file.read_exact(&mut self.packet) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let length = u32::from_ne_bytes(self.packet[8..12].try_into()?) as usize;
        if length > 1 << 20 {
            bail!("a packet of {length} bytes");
        }
        self.packet.resize(16 + length, 0);
        self.file.read_exact(&mut self.packet[16..])?;
        Ok(Some(self.packet.split_at(16)))
    }
}

/// Writes packets.
pub(super) struct Writer {
    file: BufWriter<File>,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        for word in [MAGIC, VERSION, 0, 0, 1 << 18, ETHERNET] {
            file.write_all(&word.to_ne_bytes())?;
        }
        Ok(Self { file })
    }

    /// A packet as the reader gave it.
    pub(super) fn copy(&mut self, header: &[u8], frame: &[u8]) -> Result<()> {
        self.file.write_all(header)?;
        Ok(self.file.write_all(frame)?)
    }

    /// A packet at so many microseconds.
    pub(super) fn packet(&mut self, micros: u64, frame: &[u8]) -> Result<()> {
        let length = u32::try_from(frame.len())?;
        for word in
            [u32::try_from(micros / 1_000_000)?, u32::try_from(micros % 1_000_000)?, length, length]
        {
            self.file.write_all(&word.to_ne_bytes())?;
        }
        Ok(self.file.write_all(frame)?)
    }

    /// Everything is written when this returns.
    pub(super) fn finish(mut self) -> Result<()> {
        Ok(self.file.flush()?)
    }
}

/// The TCP ports and flags of an untagged IPv4 frame; `None` for any other.
pub(super) fn tcp(frame: &[u8]) -> Option<(u16, u16, u8)> {
    if frame.get(12..14)? != [8, 0] || *frame.get(23)? != 6 {
        return None;
    }
    let tcp = frame.get(14 + usize::from(frame.get(14)? & 15) * 4..)?;
    let port = |at: usize| Some(u16::from_be_bytes(tcp.get(at..at + 2)?.try_into().ok()?));
    Some((port(0)?, port(2)?, *tcp.get(13)?))
}

/// What a capture has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Shape {
    pub(super) packets: u64,
    /// Bytes of frames.
    pub(super) bytes: u64,
    /// Of these, bytes of frames from or to TCP port 25.
    pub(super) smtp_bytes: u64,
    /// SYNs without ACK to port 25.
    pub(super) sessions: u64,
}

impl Shape {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        let mut shape = Self::default();
        while let Some((_, frame)) = reader.next()? {
            shape.packets += 1;
            shape.bytes += frame.len() as u64;
            if let Some((from, to, flags)) = tcp(frame)
                && (from == 25 || to == 25)
            {
                shape.smtp_bytes += frame.len() as u64;
                shape.sessions += u64::from(flags & 0x12 == 0x02);
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let path = std::env::temp_dir().join(format!("botlike-xtask-{}.pcap", std::process::id()));
        let mut syn = vec![0; 54];
        (syn[12], syn[14], syn[23], syn[37], syn[47]) = (8, 0x45, 6, 25, 0x02);
        let mut writer = Writer::create(&path).unwrap();
        writer.packet(1_700_000_000_000_001, &syn).unwrap();
        writer.packet(1_700_000_000_000_002, &[0; 60]).unwrap();
        writer.finish().unwrap();
        let shape = Shape::of(&path).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let (header, frame) = reader.next().unwrap().unwrap();
        assert_eq!((&header[4..8], frame), (&1_u32.to_ne_bytes()[..], &syn[..]));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(shape, Shape { packets: 2, bytes: 114, smtp_bytes: 54, sessions: 1 });
        assert_eq!(tcp(&syn), Some((0, 25, 2)));
    }
}
