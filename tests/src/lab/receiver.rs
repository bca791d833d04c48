//! Servers that take mail, each in its own way.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::plan::{self, Auth, Habit};
use super::tls::{self, Duplex};

/// So long who is not known is put off.
const GREYLISTED: Duration = Duration::from_millis(2500);
const LINE_MAX: usize = 8 << 10;
const CONTENT_MAX: usize = 1 << 20;
/// Commands that are not understood before the server hangs up.
const ERRORS_MAX: usize = 200;

/// A server at an address.
pub struct Receiver {
    habit: Habit,
    met: Mutex<HashMap<IpAddr, Instant>>,
}

impl Receiver {
    /// Serves an address from threads of the calling thread's network.
    ///
    /// # Errors
    /// Where the port cannot be had.
    pub fn start(address: Ipv4Addr, port: u16, habit: Habit) -> io::Result<()> {
        let listener = TcpListener::bind(SocketAddrV4::new(address, port))?;
        let receiver: &'static Self =
            Box::leak(Box::new(Self { habit, met: Mutex::new(HashMap::new()) }));
        thread::Builder::new().stack_size(plan::STACK).spawn(move || {
            for tcp in listener.incoming().flatten() {
                // What a caller breaks off is the caller's affair.
                let _ = thread::Builder::new()
                    .stack_size(plan::STACK)
                    .spawn(move || Call::new(receiver, tcp).and_then(|mut call| call.dialogue()));
            }
        })?;
        Ok(())
    }

    /// Since when the caller is known.
    fn known(&self, caller: IpAddr) -> Option<Duration> {
        let mut met = self.met.lock().ok()?;
        let now = Instant::now();
        match met.get(&caller) {
            Some(first) => Some(now - *first),
            None => {
                met.insert(caller, now);
                None
            }
        }
    }
}

/// One connection.
struct Call {
    receiver: &'static Receiver,
    tcp: TcpStream,
    wire: Box<dyn Duplex>,
    buffer: Vec<u8>,
    secret: bool,
    from: bool,
    to: usize,
}

impl Call {
    fn new(receiver: &'static Receiver, tcp: TcpStream) -> io::Result<Self> {
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
        tcp.set_write_timeout(Some(Duration::from_secs(10)))?;
        let wire = Box::new(tcp.try_clone()?);
        Ok(Self { receiver, tcp, wire, buffer: Vec::new(), secret: false, from: false, to: 0 })
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.wire.write_all(format!("{text}\r\n").as_bytes())?;
        self.wire.flush()
    }

    /// A line with its end; nothing at the end of the connection.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.drain(..=end).collect()));
            }
            let mut some = [0; 4096];
            let len = self.wire.read(&mut some)?;
            if len == 0 || self.buffer.len() > LINE_MAX {
                return Ok(None);
            }
            self.buffer.extend_from_slice(&some[..len]);
        }
    }

    fn dialogue(&mut self) -> io::Result<()> {
        let habit = &self.receiver.habit;
        let host = &habit.name;
        let known = self.receiver.known(self.tcp.peer_addr()?.ip());
        sleep(habit.delay);
        if habit.refusing {
            self.say(&format!("554 {host} ESMTP: your address is on our list"))?;
            // Until the caller has understood.
            while self.line()?.is_some() {
                self.say("503 5.5.1 not here")?;
            }
            return Ok(());
        }
        if habit.busy && known.is_none() {
            return self.say(&format!("421 {host} is busy, try again later"));
        }
        self.say(&format!("220 {host} ESMTP"))?;
        let mut errors = 0;
        while let Some(line) = self.line()? {
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    (self.from, self.to) = (false, 0);
                    let offers = self.offers();
                    self.say(&offers)?;
                }
                "HELO" => self.say(&format!("250 {host}"))?,
                "STARTTLS" if habit.starttls && !self.secret => {
                    self.say("220 2.0.0 go ahead")?;
                    self.buffer.clear();
                    self.wire = tls::server(self.tcp.try_clone()?)?;
                    self.secret = true;
                }
                "AUTH" if habit.auth != Auth::No => self.auth(argument)?,
                "MAIL" => {
                    (self.from, self.to) = (true, 0);
                    self.say("250 2.1.0 Ok")?;
                }
                "RCPT" if !self.from => self.say("503 5.5.1 MAIL first")?,
                "RCPT" if habit.strict || argument.contains("<unknown") => {
                    self.say("550 5.1.1 no such user here")?;
                }
                "RCPT" if habit.greylisting && known.is_none_or(|known| known < GREYLISTED) => {
                    self.say("451 4.7.1 greylisted, try again in some seconds")?;
                }
                "RCPT" => {
                    self.to += 1;
                    self.say("250 2.1.5 Ok")?;
                }
                "DATA" if self.to == 0 => self.say("554 5.5.1 no valid recipients")?,
                "DATA" => self.content()?,
                "RSET" => {
                    (self.from, self.to) = (false, 0);
                    self.say("250 2.0.0 Ok")?;
                }
                "NOOP" => self.say("250 2.0.0 Ok")?,
                "QUIT" => {
                    self.say("221 2.0.0 bye")?;
                    self.wire.farewell();
                    return Ok(());
                }
                _ => {
                    errors += 1;
                    if errors > ERRORS_MAX {
                        return self.say("421 4.7.0 too many errors");
                    }
                    self.say("500 5.5.2 command not recognized")?;
                }
            }
        }
        Ok(())
    }

    fn offers(&self) -> String {
        let habit = &self.receiver.habit;
        let mut text = format!("250-{}\r\n", habit.name);
        let auth = habit.auth == Auth::Refuses || habit.auth == Auth::Accepts && self.secret;
        for (offered, word) in [
            (habit.pipelining, "PIPELINING"),
            (habit.starttls && !self.secret, "STARTTLS"),
            (auth, "AUTH LOGIN PLAIN"),
        ] {
            if offered {
                text.push_str(&format!("250-{word}\r\n"));
            }
        }
        text.push_str("250 SIZE 10240000");
        text
    }

    fn auth(&mut self, argument: &str) -> io::Result<()> {
        if argument.eq_ignore_ascii_case("login") {
            for question in ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"] {
                self.say(&format!("334 {question}"))?;
                if self.line()?.is_none() {
                    return Ok(());
                }
            }
        }
        if self.receiver.habit.auth == Auth::Accepts {
            return self.say("235 2.7.0 welcome");
        }
        self.say("535 5.7.8 authentication failed")
    }

    /// The content ends at a dot between two CRLF, and at nothing else.
    fn content(&mut self) -> io::Result<()> {
        self.say("354 end with <CR><LF>.<CR><LF>")?;
        let (mut size, mut after_crlf) = (0, true);
        while let Some(line) = self.line()? {
            if after_crlf && line == b".\r\n" {
                (self.from, self.to) = (false, 0);
                return self.say("250 2.0.0 Ok: queued");
            }
            after_crlf = line.ends_with(b"\r\n");
            size += line.len();
            if size > CONTENT_MAX {
                break;
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
