//! A writer of pcap files, for generators and tests.

use std::io::{self, Write};

use botlike_core::base::Stamp;
use botlike_core::wire::LinkType;

use super::pcap::{MAGIC_NANOS, MAX_FRAME};

/// Writes a pcap file: nanoseconds, little-endian, version 2.4, one link type. Give it a buffered writer.
pub struct PcapWriter<W: Write> {
    out: W,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    pub fn new(mut out: W, link: LinkType) -> io::Result<Self> {
        let number = match link {
            LinkType::Null => 0,
            LinkType::Ethernet => 1,
            LinkType::Raw => 101,
            LinkType::LinuxSll => 113,
            LinkType::LinuxSll2 => 276,
            LinkType::Other(number) => number,
        };
        let mut header = [0; 24];
        header[..4].copy_from_slice(&MAGIC_NANOS.to_le_bytes());
        header[4..6].copy_from_slice(&2_u16.to_le_bytes());
        header[6..8].copy_from_slice(&4_u16.to_le_bytes());
        header[16..20].copy_from_slice(&MAX_FRAME.to_le_bytes());
        header[20..].copy_from_slice(&number.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out })
    }

    /// Writes a frame that was `orig_len` bytes long on the wire.
    ///
    /// Fails when it is longer than 256 KiB or its time lies beyond the year 2106, which the format cannot hold.
    pub fn write(&mut self, at: Stamp, data: &[u8], orig_len: u32) -> io::Result<()> {
        let nanos = at.as_nanos();
        let seconds = u32::try_from(nanos / 1_000_000_000);
        let len = u32::try_from(data.len()).ok().filter(|&len| len <= MAX_FRAME);
        let (Ok(seconds), Some(len)) = (seconds, len) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a frame or a time too great for pcap",
            ));
        };
        let fraction = (nanos % 1_000_000_000) as u32;
        let mut header = [0; 16];
        for (at, number) in
            header.chunks_exact_mut(4).zip([seconds, fraction, len, orig_len.max(len)])
        {
            at.copy_from_slice(&number.to_le_bytes());
        }
        self.out.write_all(&header)?;
        self.out.write_all(data)
    }

    /// Flushes and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}
