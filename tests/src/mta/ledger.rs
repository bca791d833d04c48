//! What truly happened: every transaction that came to the end of its content, written by the party that saw it
//! from inside, to be compared with what a sensor read from the wire.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Mutex;

/// One transaction whose content was sent and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The SMTP client.
    pub client: SocketAddrV4,
    /// The SMTP server's address.
    pub server: Ipv4Addr,
    /// The envelope's sender, empty for the null sender.
    pub from: String,
    /// Recipients that the server took.
    pub accepted: Vec<String>,
    /// Recipients that it refused in the same transaction.
    pub refused: Vec<String>,
    /// Its answer to the end of the content.
    pub code: u16,
}

/// A file of records that many threads write.
#[derive(Debug)]
pub struct Ledger(Mutex<BufWriter<File>>);

impl Ledger {
    /// Begins one.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(Mutex::new(BufWriter::new(File::create(path)?))))
    }

    /// Writes one record.
    pub fn write(&self, record: &Record) {
        let Ok(mut file) = self.0.lock() else { return };
        let _ = writeln!(
            file,
            "{}\t{}\t{}\t{}\t{}\t{}",
            record.client,
            record.server,
            record.from,
            record.accepted.join(" "),
            record.refused.join(" "),
            record.code
        );
    }

    /// Makes sure that all is on disk.
    pub fn flush(&self) {
        if let Ok(mut file) = self.0.lock() {
            let _ = file.flush();
        }
    }
}

/// The records in a file.
///
/// # Errors
/// When it cannot be read, or a line is not a record.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    let mut out = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        let record =
            parse(&line).ok_or_else(|| io::Error::other(format!("not a record: {line}")))?;
        out.push(record);
    }
    Ok(out)
}

fn parse(line: &str) -> Option<Record> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Some(Record {
        client: next()?.parse().ok()?,
        server: next()?.parse().ok()?,
        from: next()?.to_owned(),
        accepted: words(next()?),
        refused: words(next()?),
        code: next()?.parse().ok()?,
    })
}
