//! Writes captures: the classic format with nanosecond stamps.

use std::io::{self, Write};

use crate::frame::Frame;

/// Writes one capture.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Writes the file header (magic 0xa1b23c4d, version 2.4).
    pub fn new(mut out: W, link: u32) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        for field in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, link] {
            header.extend_from_slice(&field.to_le_bytes());
        }
        out.write_all(&header)?;
        Ok(Self { out })
    }

    /// Writes one frame.
    pub fn frame(&mut self, at: u64, data: &[u8], orig_len: u32) -> io::Result<()> {
        let mut header = [0; 16];
        let fields =
            [(at / 1_000_000_000) as u32, (at % 1_000_000_000) as u32, data.len() as u32, orig_len];
        for (place, field) in header.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        self.out.write_all(&header)?;
        self.out.write_all(data)
    }

    /// Flushes and gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// Writes frames of one link type into a file.
pub fn save(path: &std::path::Path, frames: &[Frame]) -> io::Result<()> {
    let link = frames.first().map_or(1, |f| f.link);
    let mut writer = Writer::new(io::BufWriter::new(std::fs::File::create(path)?), link)?;
    for frame in frames {
        writer.frame(frame.at, &frame.data, frame.orig_len)?;
    }
    writer.finish().map(drop)
}
