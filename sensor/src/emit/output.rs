//! Where lines go: whole lines, in large writes, and what happens when that fails.

use std::io::{ErrorKind, Write};
use std::time::Duration;
use std::{fmt, io, thread};

use botlike_core::base::Stamp;
use botlike_core::detect::Severity;
use botlike_core::judge::{Event, EventSink};

use super::spool::{Again, Spool};
use super::{Encoder, Kind, Line};

/// Lines are written when so many bytes of them wait.
const BATCH: usize = 64 << 10;

/// Why lines were lost.
#[derive(Debug)]
pub struct Failure {
    /// Of the output, as in the configuration.
    pub name: String,
    /// The first error.
    pub error: io::Error,
    /// Lines lost so far.
    pub lines: u64,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.lines == 1 { "" } else { "s" };
        write!(f, "{}: {}; {} line{plural} lost", self.name, self.error, self.lines)
    }
}

/// Writes whole lines, in large writes.
///
/// A reader that left (a broken pipe) ends the run quietly: see [`Pen::closed`]. Any other failed write is kept as one
/// [`Failure`]: its lines are counted, those after it are tried again, so that a disk that has room again gets whole
/// lines.
pub(super) struct Pen {
    name: String,
    writer: Box<dyn Write + Send>,
    closed: bool,
    /// A failed write left the beginning of a line.
    torn: bool,
    failure: Option<Failure>,
}

impl Pen {
    pub(super) fn new(name: impl Into<String>, writer: Box<dyn Write + Send>) -> Self {
        Self { name: name.into(), writer, closed: false, torn: false, failure: None }
    }

    /// Writes all of it, and leaves the buffer empty.
    pub(super) fn write(&mut self, buffer: &mut Vec<u8>) {
        if self.closed || buffer.is_empty() {
            buffer.clear();
            return;
        }
        let mended = self.torn;
        if mended {
            // The lines that follow shall be whole ones.
            buffer.insert(0, b'\n');
        }
        let mut rest: &[u8] = buffer;
        let mut error = None;
        while !rest.is_empty() {
            match self.writer.write(rest) {
                Ok(0) => error = Some(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.torn = rest[n - 1] != b'\n';
                    rest = &rest[n..];
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // Somebody made the pipe or terminal non-blocking; reading a file waits for its output.
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(1))
                }
                Err(e) => error = Some(e),
            }
            if error.is_some() {
                break;
            }
        }
        let error = error.or_else(|| self.writer.flush().err());
        if let Some(error) = error {
            if error.kind() == ErrorKind::BrokenPipe {
                self.closed = true;
            } else {
                let ends = rest.iter().filter(|b| **b == b'\n').count() as u64;
                let lost = ends - u64::from(mended && rest.len() == buffer.len());
                let name = &self.name;
                self.failure
                    .get_or_insert_with(|| Failure { name: name.clone(), error, lines: 0 })
                    .lines += lost;
            }
        }
        buffer.clear();
    }

    /// Writes to this from now on.
    pub(super) fn replace(&mut self, writer: Box<dyn Write + Send>) {
        self.writer = writer;
        self.torn = false;
        self.closed = false;
    }

    /// Whether the reader left.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    pub(super) fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    pub(super) fn lost(&self) -> u64 {
        self.failure.as_ref().map_or(0, |failure| failure.lines)
    }
}

/// Where the lines of an output are written: in this thread, or in one of its own.
enum Way {
    Here(Pen),
    Apart(Spool),
}

/// One place where lines go.
pub struct Output {
    encoder: Box<dyn Encoder>,
    way: Way,
    kinds: u8,
    buffer: Vec<u8>,
}

impl Output {
    /// Lines of this encoder to this writer; `name` is for messages.
    pub fn new(
        name: impl Into<String>,
        encoder: Box<dyn Encoder>,
        writer: Box<dyn Write + Send>,
    ) -> Self {
        Self::by(encoder, Way::Here(Pen::new(name, writer)))
    }

    /// The same in a thread of its own, so that nobody waits for the writer; `again` opens it once more, where it is a
    /// file.
    pub fn apart(
        name: impl Into<String>,
        encoder: Box<dyn Encoder>,
        writer: Box<dyn Write + Send>,
        again: Option<Again>,
    ) -> Self {
        let name = name.into();
        Self::by(encoder, Way::Apart(Spool::start(name.clone(), Pen::new(name, writer), again)))
    }

    fn by(encoder: Box<dyn Encoder>, way: Way) -> Self {
        Self { encoder, way, kinds: u8::MAX, buffer: Vec::with_capacity(BATCH + super::LINE_MAX) }
    }

    /// Takes only lines of these kinds.
    #[must_use]
    pub fn only(mut self, kinds: &[Kind]) -> Self {
        self.kinds = kinds.iter().fold(0, |mask, kind| mask | 1 << *kind as u8);
        self
    }

    /// Takes one line; it is written with the others of its batch. Who waits for more input flushes before.
    pub fn line(&mut self, line: &Line<'_>) {
        if self.kinds & 1 << line.kind() as u8 == 0 || self.closed() {
            return;
        }
        self.encoder.encode(line, &mut self.buffer);
        if self.buffer.len() >= BATCH {
            self.flush();
        }
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        match &mut self.way {
            _ if self.buffer.is_empty() => {}
            Way::Here(pen) => pen.write(&mut self.buffer),
            Way::Apart(spool) => spool.take(&mut self.buffer),
        }
    }

    /// Writes what waits and ends.
    pub fn finish(&mut self) {
        self.flush();
        if let Way::Apart(spool) = &mut self.way {
            spool.finish();
        }
    }

    /// Opens the file again.
    pub fn reopen(&mut self) {
        self.flush();
        if let Way::Apart(spool) = &self.way {
            spool.reopen();
        }
    }

    /// Whether the reader left.
    pub fn closed(&self) -> bool {
        match &self.way {
            Way::Here(pen) => pen.closed(),
            Way::Apart(spool) => spool.closed(),
        }
    }

    /// What went wrong, if anything did. An output in a thread of its own says so itself.
    pub fn failure(&self) -> Option<&Failure> {
        match &self.way {
            Way::Here(pen) => pen.failure(),
            Way::Apart(_) => None,
        }
    }

    /// Lines lost so far.
    pub fn lost(&self) -> u64 {
        match &self.way {
            Way::Here(pen) => pen.lost(),
            Way::Apart(spool) => spool.lost(),
        }
    }
}

/// All places where lines go. Takes what the judge says, and remembers the worst finding.
#[derive(Default)]
pub struct Outputs {
    outputs: Vec<Output>,
    worst: Option<Severity>,
    lines: u64,
}

impl Outputs {
    /// These outputs.
    pub fn new(outputs: Vec<Output>) -> Self {
        Self { outputs, worst: None, lines: 0 }
    }

    /// Gives a line to all.
    pub fn line(&mut self, line: &Line<'_>) {
        self.lines += 1;
        if let Line::Event(_, Event::Finding { finding, .. }) = line {
            self.worst = self.worst.max(Some(finding.severity));
        }
        for output in &mut self.outputs {
            output.line(line);
        }
    }

    /// From now on, the interface that the source numbers `iface` has this name.
    pub fn interface(&mut self, iface: u32, name: &str) {
        for output in &mut self.outputs {
            output.encoder.interface(iface, name);
        }
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        self.outputs.iter_mut().for_each(Output::flush);
    }

    /// Writes what waits and ends.
    pub fn finish(&mut self) {
        self.outputs.iter_mut().for_each(Output::finish);
    }

    /// Opens files again: somebody moved them away.
    pub fn reopen(&mut self) {
        self.outputs.iter_mut().for_each(Output::reopen);
    }

    /// Lines lost so far, of all outputs.
    pub fn lost(&self) -> u64 {
        self.outputs.iter().map(Output::lost).sum()
    }

    /// Whether nobody reads any more: there are outputs, and the readers of all of them left.
    pub fn closed(&self) -> bool {
        !self.outputs.is_empty() && self.outputs.iter().all(Output::closed)
    }

    /// What went wrong, one for each output.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.outputs.iter().filter_map(Output::failure)
    }

    /// The severity of the worst finding.
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// Lines told so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }
}

impl EventSink for Outputs {
    fn event(&mut self, at: Stamp, event: Event<'_>) {
        self.line(&Line::Event(at, event));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use botlike_core::base::Counters;

    use super::super::Stats;
    use super::*;

    /// Lines of 30 bytes, so that the tests know where one ends.
    struct Fixed;

    impl Encoder for Fixed {
        fn encode(&mut self, _: &Line<'_>, out: &mut Vec<u8>) {
            out.extend_from_slice(b"a line of thirty bytes, whole\n");
        }
        fn interface(&mut self, _: u32, _: &str) {}
    }

    /// Takes what it is told to take, then fails.
    #[derive(Clone, Default)]
    struct Disk {
        bytes: Arc<Mutex<Vec<u8>>>,
        plan: Arc<Mutex<Vec<io::Result<usize>>>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut plan = self.plan.lock().unwrap();
            let n = if plan.is_empty() { bytes.len() } else { plan.remove(0)?.min(bytes.len()) };
            self.bytes.lock().unwrap().extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(plan: Vec<io::Result<usize>>, batches: &[usize]) -> (Output, String) {
        let disk = Disk { plan: Arc::new(Mutex::new(plan)), ..Disk::default() };
        let mut output = Output::new("test", Box::new(Fixed), Box::new(disk.clone()));
        let counters = Counters::default();
        for lines in batches {
            for _ in 0..*lines {
                output.line(&Line::Stats(Stats { at: Stamp::ZERO, counters: &counters }));
            }
            output.flush();
        }
        let text = String::from_utf8(disk.bytes.lock().unwrap().clone()).unwrap();
        (output, text)
    }

    #[test]
    fn short_writes_and_interruptions_do_not_matter() {
        let (output, text) = run(vec![Ok(7), Err(ErrorKind::Interrupted.into()), Ok(1)], &[2, 1]);
        assert_eq!(text, "a line of thirty bytes, whole\n".repeat(3));
        assert!(output.failure().is_none() && !output.closed());
    }

    #[test]
    fn a_full_disk_is_counted_once_and_later_lines_are_whole() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let (output, text) = run(vec![Ok(40), Err(full()), Err(full())], &[3, 1, 1]);
        let failure = output.failure().unwrap();
        assert_eq!(
            (failure.lines, failure.name.as_str(), failure.error.kind()),
            (3, "test", ErrorKind::StorageFull)
        );
        assert_eq!(
            text,
            "a line of thirty bytes, whole\na line of \na line of thirty bytes, whole\n"
        );
        assert!(
            failure.to_string().starts_with("test: ")
                && failure.to_string().ends_with("; 3 lines lost")
        );
        assert!(!output.closed());
    }

    #[test]
    fn a_reader_that_left_ends_it_quietly() {
        let (output, text) = run(vec![Ok(30), Err(ErrorKind::BrokenPipe.into())], &[1, 1, 5]);
        assert_eq!(text, "a line of thirty bytes, whole\n");
        assert!(output.closed() && output.failure().is_none());
    }

    #[test]
    fn an_output_takes_only_its_kinds() {
        let disk = Disk::default();
        let mut output = Output::new("test", Box::new(Fixed), Box::new(disk.clone()))
            .only(&[Kind::Sensor, Kind::Finding]);
        super::super::samples::each(|line| output.line(line));
        output.flush();
        let mut wanted = 0;
        super::super::samples::each(|line| {
            wanted += usize::from(matches!(line.kind(), Kind::Sensor | Kind::Finding))
        });
        assert!(wanted > 2);
        assert_eq!(disk.bytes.lock().unwrap().len(), 30 * wanted);
    }

    #[test]
    fn the_worst_finding_is_remembered() {
        let mut outputs = Outputs::default();
        assert_eq!((outputs.worst(), outputs.closed()), (None, false));
        super::super::samples::each(|line| outputs.line(line));
        assert_eq!(outputs.worst(), Some(Severity::Critical));
    }

    #[test]
    fn lines_go_out_in_batches() {
        let (_, text) = run(vec![], &[10_000]);
        assert_eq!(text.len(), 300_000);
    }
}
