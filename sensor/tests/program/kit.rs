//! Runs the program, bounded in time, and makes the captures that it reads.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use botlike_tests::frame::{Frame, Framer, Link};
use botlike_tests::packet::{Flags, Packet, Side};
use botlike_tests::variant::Variant;
use botlike_tests::{script, wire};
use serde_json::Value;

use crate::made::Made;

/// Nothing here takes a tenth of it; a hang must not last for ever.
const PATIENCE: Duration = Duration::from_secs(180);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
    /// Most memory it had, in KiB; 0 where that cannot be known.
    pub(crate) peak: u64,
}

impl Run {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// Its lines as JSON.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Those of one dataset.
    pub(crate) fn of(&self, dataset: &str) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["event"]["dataset"] == format!("botlike.{dataset}"));
        lines
    }

    /// A counter of the stats line.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let stats = self.of("stats");
        assert_eq!(stats.len(), 1, "{self:?}");
        stats[0]["botlike"]["stats"][name].as_u64().unwrap_or_else(|| panic!("{name} in {stats:?}"))
    }

    /// It ended like this, and said nothing on standard error.
    #[track_caller]
    pub(crate) fn quietly(self, code: i32) -> Self {
        assert_eq!((self.code, self.err.as_str()), (Some(code), ""));
        self
    }

    /// It failed with exactly one line on standard error; that line.
    #[track_caller]
    pub(crate) fn complaint(&self) -> &str {
        let one = self.err.strip_suffix('\n').unwrap_or_else(|| panic!("{self:?}"));
        assert!(self.code == Some(1) && !one.contains('\n'), "{self:?}");
        one
    }
}

/// The program, with clean surroundings.
pub(crate) fn command<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_botlike"));
    command.args(arguments).env_remove("NO_COLOR").env("COLUMNS", "100");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program.
pub(crate) fn botlike<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Run {
    wait(command(arguments).spawn().unwrap())
}

/// Runs the program with this on its standard input.
pub(crate) fn piped<A: AsRef<OsStr>>(
    arguments: impl IntoIterator<Item = A>,
    input: Vec<u8>,
) -> Run {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whether the program reads all of it is its own affair.
    let feeder = thread::spawn(move || stdin.write_all(&input).is_ok());
    let run = wait(child);
    let _ = feeder.join();
    run
}

/// Waits for the end of a child, with all that it still says.
pub(crate) fn wait(mut child: Child) -> Run {
    fn all(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut from) = from {
                from.read_to_end(&mut bytes).unwrap();
            }
            bytes
        })
    }
    let (out, err) = (all(child.stdout.take()), all(child.stderr.take()));
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let (until, mut peak) = (Instant::now() + PATIENCE, 0);
    let code = loop {
        // Its high-water mark only grows; a burst between the last look and the end stays unseen, so bounds are wide.
        peak = high_water(&status).max(peak);
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it does not end");
        }
        thread::sleep(Duration::from_millis(2));
    };
    let err = String::from_utf8(err.join().unwrap()).unwrap();
    Run { code, out: out.join().unwrap(), err, peak }
}

/// The lines of a run that goes on, for as long as somebody wants them: its pipe breaks when they are dropped and one
/// more comes.
pub(crate) fn tail(child: &mut Child) -> Tail {
    let out = BufReader::new(child.stdout.take().unwrap());
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    Tail(lines)
}

/// See [`tail`].
pub(crate) struct Tail(mpsc::Receiver<String>);

impl Tail {
    /// The next line, which must come although the input has not ended.
    #[track_caller]
    pub(crate) fn next(&self) -> String {
        self.0.recv_timeout(PATIENCE).expect("a line before the end of the input")
    }
}

fn high_water(status: &Path) -> u64 {
    let text = fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

/// A directory that goes when the test ends.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("program-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Writes a file into it; its path.
    pub(crate) fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        File::create(&path).unwrap().write_all(bytes.as_ref()).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    /// The path of a file in it that is not there yet.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().unwrap()
    }
}

impl Deref for Dir {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The frames of a script without its first line.
pub(crate) fn frames(body: &str) -> Vec<Frame> {
    let script = script::parse(&format!("# a test\n{body}")).unwrap_or_else(|e| panic!("{e}"));
    let played = wire::play(&script).unwrap_or_else(|e| panic!("{e}"));
    Variant::Plain.frames(&played.packets, 0)
}

/// The frames of the capture that the demo replays: sessions in the clear and under TLS, messages, many findings.
pub(crate) fn demo() -> &'static [Frame] {
    static DEMO: OnceLock<Vec<Frame>> = OnceLock::new();
    DEMO.get_or_init(|| {
        let text = include_str!("../../../tests/demo.smtp");
        frames(text.split_once('\n').unwrap().1)
    })
}

/// An honest session of a client that says this name, without mail, on one server's port 25 at a minute past eight.
pub(crate) fn hello(minute: u32, name: &str) -> Vec<Frame> {
    frames(&format!(
        "client: 192.0.2.10:{}\n@08:{minute:02}:00\nS: 220 mx.example.net\nC: EHLO {name}\nS: 250 mx.example.net\n\
         C: QUIT\nS: 221 bye\n~close S\n",
        40_000 + minute
    ))
}

/// The classic format: its magic tells the unit of its stamps, and whether its records are the modified ones.
pub(crate) fn pcap_of(frames: &[Frame], magic: u32, big: bool) -> Vec<u8> {
    let mut made = Made::pcap(magic, big, frames.first().map_or(1, |f| f.link));
    let unit = if magic == 0xa1b2_3c4d { 1 } else { 1000 };
    for f in frames {
        let fraction = (f.at % 1_000_000_000 / unit) as u32;
        made.record((f.at / 1_000_000_000) as u32, fraction, &f.data, f.orig_len);
    }
    made.bytes
}

/// The usual capture: microseconds, little-endian.
pub(crate) fn pcap(frames: &[Frame]) -> Vec<u8> {
    pcap_of(frames, 0xa1b2_c3d4, false)
}

/// A segment as nobody's stack would send it.
pub(crate) fn segment(at: u64, from: Side, client: [u8; 4], port: u16, seq: u32) -> Packet {
    let client = (client, port).into();
    let server = ([198, 51, 100, 25], 25).into();
    let (src, dst) = if from == Side::Client { (client, server) } else { (server, client) };
    Packet {
        at: 1_795_000_000_000_000_000 + at,
        from,
        seq,
        flags: Flags::ACK,
        window: 64_240,
        ..Packet::between(src, dst)
    }
}

/// Packets as Ethernet frames.
pub(crate) fn framed(packets: &[Packet]) -> Vec<Frame> {
    let mut framer = Framer::new(Link::Ethernet);
    let mut out = Vec::new();
    packets.iter().for_each(|packet| framer.frames(packet, &mut out));
    out
}
