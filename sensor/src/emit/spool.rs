//! An output in a thread of its own: whoever captures packets never waits for a disk, a pipe or its reader.
//!
//! Promises: [`Spool::take`] returns at once; what waits is bounded by [`QUEUE_BYTES`], and lines that find no room are
//! counted and told of once on standard error; lines are whole, or not there at all. A file is opened again when it is
//! asked for: whoever rotates it renames it first.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::output::Pen;

/// Bytes of lines that may wait for their output.
pub const QUEUE_BYTES: u64 = 8 << 20;
/// How long the end of a run waits for what an output has not written yet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens a file once more.
pub type Again = Box<dyn FnMut() -> io::Result<Box<dyn Write + Send>> + Send>;

enum Work {
    Lines(Vec<u8>, u64),
    Reopen,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bytes and lines that wait.
    bytes: AtomicU64,
    lines: AtomicU64,
    lost: AtomicU64,
    closed: AtomicBool,
    /// It was told that lines are lost, and they still are.
    told: AtomicBool,
}

/// Lines on their way to an output.
pub(super) struct Spool {
    name: String,
    // Bounded by what it carries, not by how many.
    queue: Option<Sender<Work>>,
    shared: Arc<Shared>,
    done: Receiver<()>,
}

impl Spool {
    /// Starts the thread; `again` opens the file once more, where it is one.
    pub(super) fn start(name: String, mut pen: Pen, mut again: Option<Again>) -> Self {
        let (queue, work) = unbounded();
        let (finished, done) = bounded::<()>(1);
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        let title = name.clone();
        thread::spawn(move || {
            for work in work {
                match work {
                    Work::Lines(mut bytes, lines) => {
                        let size = bytes.len() as u64;
                        let before = pen.lost();
                        pen.write(&mut bytes);
                        let lost = pen.lost() - before;
                        state.lost.fetch_add(lost, Ordering::Relaxed);
                        if lost == 0 {
                            state.told.store(false, Ordering::Relaxed);
                        } else if let Some(failure) = pen.failure()
                            && !state.told.swap(true, Ordering::Relaxed)
                        {
                            complain(&title, &format!("{}; lines are lost", failure.error));
                        }
                        state.closed.store(pen.closed(), Ordering::Relaxed);
                        state.bytes.fetch_sub(size, Ordering::Relaxed);
                        state.lines.fetch_sub(lines, Ordering::Relaxed);
                    }
                    Work::Reopen => match again.as_mut().map(|open| open()) {
                        Some(Ok(writer)) => pen.replace(writer),
                        Some(Err(error)) => {
                            complain(
                                &title,
                                &format!("cannot open it again: {error}; the old file goes on"),
                            );
                        }
                        None => {}
                    },
                }
            }
            drop(finished);
        });
        Self { name, queue: Some(queue), shared, done }
    }

    /// Takes whole lines, and leaves the buffer empty.
    pub(super) fn take(&self, buffer: &mut Vec<u8>) {
        let lines = buffer.iter().filter(|b| **b == b'\n').count() as u64;
        let size = buffer.len() as u64;
        let full = self.shared.bytes.load(Ordering::Relaxed) + size > QUEUE_BYTES;
        match &self.queue {
            Some(queue) if !full && !self.closed() => {
                self.shared.bytes.fetch_add(size, Ordering::Relaxed);
                self.shared.lines.fetch_add(lines, Ordering::Relaxed);
                let capacity = buffer.capacity();
                let bytes = std::mem::replace(buffer, Vec::with_capacity(capacity));
                // Fails only if the thread panicked, which says so itself.
                let _ = queue.send(Work::Lines(bytes, lines));
            }
            _ => {
                buffer.clear();
                if self.closed() {
                    return;
                }
                self.shared.lost.fetch_add(lines, Ordering::Relaxed);
                if !self.shared.told.swap(true, Ordering::Relaxed) {
                    complain(&self.name, "whoever takes the lines is too slow; lines are lost");
                }
            }
        }
    }

    pub(super) fn reopen(&self) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(Work::Reopen);
        }
    }

    pub(super) fn closed(&self) -> bool {
        self.shared.closed.load(Ordering::Relaxed)
    }

    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Writes what waits; a reader that does not take it is not waited for without end.
    pub(super) fn finish(&mut self) {
        if self.queue.take().is_none() {
            return;
        }
        if self.done.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let waiting = self.shared.lines.load(Ordering::Relaxed);
            self.shared.lost.fetch_add(waiting, Ordering::Relaxed);
            complain(
                &self.name,
                "whoever takes the lines is too slow to wait for at the end; lines are lost",
            );
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.finish();
    }
}

fn complain(name: &str, what: &str) {
    // Nobody is left to be told if standard error fails.
    let _ = writeln!(io::stderr(), "botlike: {name}: {what}");
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A reader that takes nothing before it is let go.
    struct Stalled {
        gate: Receiver<()>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stalled {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.gate.recv();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_reader_costs_lines_and_nobody_waits() {
        let (open, gate) = unbounded::<()>();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let pen = Pen::new("x", Box::new(Stalled { gate, taken: Arc::clone(&taken) }));
        let mut spool = Spool::start("x".into(), pen, None);
        let batch = "a line of 32 bytes, with its end\n".repeat(2000);
        let batches = QUEUE_BYTES as usize / batch.len() + 10;
        for _ in 0..batches {
            spool.take(&mut batch.clone().into_bytes());
        }
        let lost = spool.lost();
        assert!(lost >= 10 * 2000 && lost.is_multiple_of(2000), "{lost}");
        drop(open);
        spool.finish();
        let taken = taken.lock().unwrap();
        let lines = taken.iter().filter(|b| **b == b'\n').count() as u64;
        assert_eq!(lines + spool.lost(), batches as u64 * 2000);
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let first = Arc::new(Mutex::new(Vec::new()));
        let second = Arc::new(Mutex::new(Vec::new()));
        let to = |taken: &Arc<Mutex<Vec<u8>>>| {
            Box::new(Kept(Arc::clone(taken))) as Box<dyn Write + Send>
        };
        let later = to(&second);
        let mut later = Some(later);
        let again: Again = Box::new(move || later.take().ok_or_else(|| io::Error::other("once")));
        let mut spool = Spool::start("x".into(), Pen::new("x", to(&first)), Some(again));
        spool.take(&mut b"one\n".to_vec());
        spool.reopen();
        spool.take(&mut b"two\n".to_vec());
        // The second time it fails: the file that is open stays.
        spool.reopen();
        spool.take(&mut b"three\n".to_vec());
        spool.finish();
        assert_eq!(*first.lock().unwrap(), b"one\n");
        assert_eq!(*second.lock().unwrap(), b"two\nthree\n");
    }

    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
