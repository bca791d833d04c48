//! What can be wrong with a capture, in words that name the file, the place and what helps.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A capture that could not be opened or read to its end. All frames before the fault were delivered.
///
/// Shown as one line: file, byte offset, what is wrong, what helps.
#[derive(Debug)]
pub struct SourceError {
    path: PathBuf,
    offset: u64,
    packed: Option<&'static str>,
    fault: Fault,
}

/// What is wrong.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// The file cannot be opened.
    Open(io::Error),
    /// The operating system failed to read.
    Read(io::Error),
    /// The compressed data are damaged or end early.
    Unpack(io::Error),
    /// Neither pcap nor pcapng; what it looks like instead, where that can be told.
    NotACapture(&'static str),
    /// The capture ends inside a header, a record or a block.
    Truncated {
        /// What is not whole, e.g. "a record header".
        what: &'static str,
        /// How many bytes it needs.
        need: u64,
        /// How many were left.
        have: u64,
    },
    /// A value that cannot be right.
    Corrupt(String),
    /// A version of a format that is not supported.
    Unsupported(String),
    /// The filter expression cannot be used.
    Filter(String),
}

impl SourceError {
    pub(super) fn new(
        path: &Path,
        offset: u64,
        packed: Option<&'static str>,
        fault: Fault,
    ) -> Self {
        Self { path: path.to_owned(), offset, packed, fault }
    }

    /// The file, `-` for standard input; empty when the fault is of no file (a wrong filter expression).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Byte offset of the record or block that is at fault. For compressed captures it counts unpacked bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What is wrong.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }
}

/// The path, with control characters made harmless and standard input called by its name.
struct Name<'a>(&'a Path);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Path::new("-") {
            return f.write_str("standard input");
        }
        let text = self.0.to_string_lossy();
        text.chars().try_for_each(|c| {
            if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") }
        })
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.as_os_str().is_empty() {
            write!(f, "{}: ", Name(&self.path))?;
        }
        match &self.fault {
            Fault::Open(error) => return write!(f, "cannot be opened: {error}"),
            Fault::NotACapture(looks) => return write!(f, "not a capture: {looks}"),
            Fault::Filter(error) => return write!(f, "filter expression: {error}"),
            Fault::Read(_)
            | Fault::Unpack(_)
            | Fault::Truncated { .. }
            | Fault::Corrupt(_)
            | Fault::Unsupported(_) => {}
        }
        write!(f, "byte {}", self.offset)?;
        if let Some(packing) = self.packed {
            write!(f, " of the unpacked {packing} data")?;
        }
        f.write_str(": ")?;
        match &self.fault {
            Fault::Read(error) => write!(f, "reading failed: {error}; all before was read"),
            Fault::Unpack(error) => write!(
                f,
                "the compressed data are damaged or end early ({error}); all before was read; make the file again, or copy \
                 it again"
            ),
            Fault::Truncated { what, need, have } => write!(
                f,
                "the capture ends inside {what} ({have} of {need} bytes); all before was read; was it still being written, \
                 or not wholly copied?"
            ),
            Fault::Corrupt(what) => {
                write!(
                    f,
                    "corrupt: {what}; all before was read; a tool that repairs captures may save what follows"
                )
            }
            Fault::Unsupported(what) => {
                write!(f, "{what} is not supported; convert the file to pcap or pcapng")
            }
            Fault::Open(_) | Fault::NotACapture(_) | Fault::Filter(_) => Ok(()),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Open(error) | Fault::Read(error) | Fault::Unpack(error) => Some(error),
            _ => None,
        }
    }
}
