//! The receivers of the laboratory's internet: one listener for all plain domains, one thread for each connection.
//! Which domain it is, and so how it behaves ([`plan::Habit`]), follows from the address that was called.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::ledger::{Ledger, Record};
use super::plan::{self, Habit};

/// Longest line taken, more than any server here sends (RFC 5321 §4.5.3.1.6 grants 1000).
const LINE_MAX: u64 = 8192;
/// Largest content taken.
const CONTENT_MAX: usize = 4 << 20;
/// Connections served at once.
const CONNECTIONS_MAX: usize = 900;
/// How long a greylisted triple must wait.
const GREYLIST_DELAY: Duration = Duration::from_secs(4);
/// How long a busy receiver is busy, from its first caller on.
const BUSY: Duration = Duration::from_secs(6);

/// What all receivers share.
#[derive(Debug)]
pub struct Receivers {
    ledger: Ledger,
    /// When a (client, sender, recipient) was first met.
    met: Mutex<HashMap<(Ipv4Addr, String, String), Instant>>,
    /// When a (client, domain) called first.
    called: Mutex<HashMap<(Ipv4Addr, usize), Instant>>,
    /// Connections open now.
    open: AtomicUsize,
    /// Messages taken.
    taken: AtomicUsize,
    /// Recipients put off by greylisting.
    put_off: AtomicUsize,
}

impl Receivers {
    /// Receivers that write what they took to `ledger`.
    pub fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            met: Mutex::default(),
            called: Mutex::default(),
            open: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            put_off: AtomicUsize::new(0),
        }
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Messages taken so far.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Recipients put off by greylisting so far.
    pub fn put_off(&self) -> usize {
        self.put_off.load(Ordering::Relaxed)
    }

    /// The ledger.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Serves until the process ends.
    pub fn serve(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { continue };
            if self.open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS_MAX {
                self.open.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            let receivers = Arc::clone(self);
            let served = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
                // What a caller breaks off is the caller's affair.
                let _ = Call::answer(&receivers, stream);
                receivers.open.fetch_sub(1, Ordering::Relaxed);
            });
            if served.is_err() {
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn greylisted(&self, client: Ipv4Addr, from: &str, to: &str) -> bool {
        let Ok(mut met) = self.met.lock() else { return false };
        let first =
            *met.entry((client, from.to_owned(), to.to_owned())).or_insert_with(Instant::now);
        let early = first.elapsed() < GREYLIST_DELAY;
        if early {
            self.put_off.fetch_add(1, Ordering::Relaxed);
        }
        early
    }

    fn busy(&self, client: Ipv4Addr, index: usize) -> bool {
        let Ok(mut called) = self.called.lock() else { return false };
        called.entry((client, index)).or_insert_with(Instant::now).elapsed() < BUSY
    }
}

/// One connection.
struct Call<'a> {
    receivers: &'a Receivers,
    reader: BufReader<TcpStream>,
    habit: Habit,
    host: String,
    index: usize,
    client: SocketAddrV4,
    server: Ipv4Addr,
    from: Option<String>,
    accepted: Vec<String>,
    refused: Vec<String>,
    content: Vec<u8>,
}

impl<'a> Call<'a> {
    fn answer(receivers: &'a Receivers, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        let (SocketAddr::V4(client), SocketAddr::V4(local)) =
            (stream.peer_addr()?, stream.local_addr()?)
        else {
            return Ok(());
        };
        let Some(index) = plan::exchanger_index(*local.ip()) else { return Ok(()) };
        let mut call = Self {
            receivers,
            reader: BufReader::with_capacity(16 << 10, stream),
            habit: plan::habit(index),
            host: format!("mx.{}", plan::domain(index)),
            index,
            client,
            server: *local.ip(),
            from: None,
            accepted: Vec::new(),
            refused: Vec::new(),
            content: Vec::new(),
        };
        call.dialogue()
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.reader.get_mut().write_all(format!("{text}\r\n").as_bytes())
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        self.reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    fn reset(&mut self) {
        self.from = None;
        self.accepted.clear();
        self.refused.clear();
        self.content.clear();
    }

    fn dialogue(&mut self) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(self.habit.greeting_delay));
        let host = self.host.clone();
        if self.habit.busy_at_first && self.receivers.busy(*self.client.ip(), self.index) {
            return self.say(&format!("421 4.3.2 {host} too busy, try again later"));
        }
        if self.habit.wordy {
            self.say(&format!(
                "220-{host} ESMTP\r\n220-Mail to {host} is logged.\r\n220 Go ahead"
            ))?;
        } else {
            self.say(&format!("220 {host} ESMTP ready"))?;
        }
        while let Some(line) = self.line()? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" if self.habit.esmtp => {
                    self.reset();
                    self.say(&capabilities(&host, self.habit))?;
                }
                "HELO" => {
                    self.reset();
                    self.say(&format!("250 {host}"))?;
                }
                "MAIL" => {
                    self.reset();
                    self.from = path(argument);
                    self.say(if self.from.is_some() {
                        "250 2.1.0 Ok"
                    } else {
                        "501 5.5.4 Syntax"
                    })?;
                }
                "RCPT" => self.recipient(argument)?,
                "DATA" if self.accepted.is_empty() => self.say("554 5.5.1 No valid recipients")?,
                "DATA" => self.data()?,
                "BDAT" if self.habit.chunking => self.chunk(argument)?,
                "RSET" => {
                    self.reset();
                    self.say("250 2.0.0 Ok")?;
                }
                "NOOP" => self.say("250 2.0.0 Ok")?,
                "QUIT" => return self.say("221 2.0.0 Bye"),
                _ => self.say("502 5.5.2 Command not recognized")?,
            }
        }
        Ok(())
    }

    fn recipient(&mut self, argument: &str) -> io::Result<()> {
        let (Some(from), Some(to)) = (self.from.clone(), path(argument)) else {
            return self.say("503 5.5.1 Need MAIL and a path");
        };
        if to.starts_with("unknown") {
            self.refused.push(to);
            return self.say("550 5.1.1 No such user here");
        }
        if self.habit.greylist && self.receivers.greylisted(*self.client.ip(), &from, &to) {
            self.refused.push(to);
            return self.say("450 4.7.1 Greylisted, please try again in a few seconds");
        }
        self.accepted.push(to);
        self.say("250 2.1.5 Ok")
    }

    fn data(&mut self) -> io::Result<()> {
        self.say("354 End data with <CR><LF>.<CR><LF>")?;
        loop {
            let mut line = Vec::new();
            self.reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
            if line.is_empty() || self.content.len() > CONTENT_MAX {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line == b".\r\n" {
                return self.settle();
            }
            self.content.extend_from_slice(&line);
        }
    }

    fn chunk(&mut self, argument: &str) -> io::Result<()> {
        let mut words = argument.split_whitespace();
        let size = words.next().and_then(|size| size.parse::<usize>().ok());
        let Some(size) = size.filter(|size| *size <= CONTENT_MAX) else {
            return self.say("501 5.5.4 Bad chunk size");
        };
        let start = self.content.len();
        self.content.resize(start + size, 0);
        let chunk = self.content.get_mut(start..).unwrap_or_default();
        self.reader.read_exact(chunk)?;
        if self.accepted.is_empty() {
            return self.say("554 5.5.1 No valid recipients");
        }
        match words.next() {
            Some(word) if word.eq_ignore_ascii_case("last") => self.settle(),
            _ => self.say("250 2.0.0 Chunk taken"),
        }
    }

    /// The answer to the end of the content.
    fn settle(&mut self) -> io::Result<()> {
        let strict = self.accepted.iter().any(|to| to.starts_with("strict"));
        let code = if strict { 554 } else { 250 };
        self.receivers.ledger.write(&Record {
            client: self.client,
            server: self.server,
            from: self.from.clone().unwrap_or_default(),
            accepted: self.accepted.clone(),
            refused: self.refused.clone(),
            code,
        });
        self.reset();
        if strict {
            return self.say("554 5.7.1 Message refused by policy");
        }
        let number = self.receivers.taken.fetch_add(1, Ordering::Relaxed);
        self.say(&format!("250 2.0.0 Ok: queued as {number:08X}"))
    }
}

fn capabilities(host: &str, habit: Habit) -> String {
    let mut out = format!("250-{host}\r\n250-SIZE 10240000\r\n250-8BITMIME\r\n");
    for (offered, word) in
        [(habit.pipelining, "PIPELINING"), (habit.chunking, "CHUNKING"), (habit.wordy, "HELP")]
    {
        if offered {
            out.push_str("250-");
            out.push_str(word);
            out.push_str("\r\n");
        }
    }
    out.push_str("250 ENHANCEDSTATUSCODES");
    out
}

/// The path in the argument of MAIL or RCPT, without its brackets.
fn path(argument: &str) -> Option<String> {
    let inside = argument.split_once('<')?.1.split_once('>')?.0;
    Some(inside.to_owned())
}
