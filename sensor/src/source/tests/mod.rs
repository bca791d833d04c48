//! Generated captures of every format, cut and damaged everywhere; other people's captures against another reader.

mod faults;
mod formats;
mod made;
mod merge;

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    at: u64,
    link: LinkType,
    iface: u32,
    data: Vec<u8>,
    orig_len: u32,
}

/// What came out of reading.
#[derive(Debug, Default)]
struct Outcome {
    frames: Vec<Owned>,
    errors: Vec<SourceError>,
    lost: u64,
}

impl Outcome {
    fn of((mut captures, mut errors): (Captures, Vec<SourceError>)) -> Self {
        let mut frames = Vec::new();
        while let Some(Frame { at, link, iface, data, orig_len }) = captures.next() {
            assert!(orig_len as usize >= data.len());
            frames.push(Owned { at: at.as_nanos(), link, iface, data: data.to_vec(), orig_len });
        }
        assert!(captures.next().is_none(), "the end stays the end");
        errors.extend(captures.take_errors());
        assert!(captures.take_errors().is_empty());
        Self { frames, errors, lost: captures.lost() }
    }

    fn whole(self) -> Vec<Owned> {
        assert!(self.errors.is_empty(), "{}", self.errors[0]);
        self.frames
    }

    fn only_error(&self) -> &SourceError {
        assert_eq!(self.errors.len(), 1, "{:?}", self.errors);
        &self.errors[0]
    }
}

/// Gives bytes in pieces of 1 to `most`.
struct Pieces {
    bytes: Vec<u8>,
    given: usize,
    most: usize,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = if self.most == usize::MAX { self.most } else { self.given % self.most + 1 };
        let n = n.min(into.len()).min(self.bytes.len() - self.given);
        into[..n].copy_from_slice(&self.bytes[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

fn input(name: &str, bytes: &[u8], most: usize) -> (PathBuf, Box<dyn Read + Send>) {
    (name.into(), Box::new(Pieces { bytes: bytes.to_vec(), given: 0, most }))
}

fn read(bytes: &[u8]) -> Outcome {
    Outcome::of(Captures::of(vec![input("capture", bytes, usize::MAX)], &Options::default()))
}

fn read_in_pieces(bytes: &[u8], most: usize) -> Outcome {
    Outcome::of(Captures::of(vec![input("capture", bytes, most)], &Options::default()))
}

/// A directory of the test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "botlike-source-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn frame(at: u64, link: LinkType, iface: u32, data: &[u8], orig_len: u32) -> Owned {
    Owned { at, link, iface, data: data.to_vec(), orig_len }
}
