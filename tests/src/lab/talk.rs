//! What scripts of senders and bots are written with: a guest, its connections, what it asks the name server.
//!
//! Nothing here knows the sensor, or reads SMTP beyond what a sender must: the code of a reply, and what was offered.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, UdpSocket};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::names::{self, Record};
use super::plan;
use super::tls::{self, Duplex};

const PATIENCE: Duration = Duration::from_secs(8);
/// So long an attempt is waited for that nobody answers.
const ATTEMPT: Duration = Duration::from_millis(250);
const REPLY_MAX: usize = 16 << 10;

/// A guest, as its script sees itself. The script runs in the guest's network.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// Its address.
    pub address: Ipv4Addr,
    /// It asks for STARTTLS where it is offered.
    pub tls: bool,
}

impl Guest {
    /// A connection to a server's port 25.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub fn call(&self, server: Ipv4Addr) -> io::Result<Talk> {
        self.call_port(server, 25)
    }

    /// A connection to a port.
    ///
    /// # Errors
    /// Where it cannot be had.
    pub fn call_port(&self, server: Ipv4Addr, port: u16) -> io::Result<Talk> {
        let tcp = self.connect(server, port, PATIENCE)?;
        Ok(Talk {
            wire: Box::new(tcp.try_clone()?),
            tcp,
            buffer: Vec::new(),
            offers: String::new(),
        })
    }

    /// One attempt, given up soon: whether somebody answered.
    pub fn knock(&self, server: Ipv4Addr) -> bool {
        self.connect(server, 25, ATTEMPT).is_ok()
    }

    fn connect(&self, server: Ipv4Addr, port: u16, patience: Duration) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddrV4::new(self.address, 0).into())?;
        socket.connect_timeout(&SocketAddrV4::new(server, port).into(), patience)?;
        let tcp = TcpStream::from(socket);
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        Ok(tcp)
    }

    /// A connection, greeted, and the name said; under TLS where the guest wants that and may.
    ///
    /// # Errors
    /// Where the server does not take the call.
    pub fn session(&self, server: Ipv4Addr, name: &str) -> io::Result<Talk> {
        let mut talk = self.call(server)?;
        talk.greeting()?;
        self.hello(&mut talk, name)?;
        Ok(talk)
    }

    /// EHLO, and STARTTLS with another EHLO where the guest wants that and may.
    ///
    /// # Errors
    /// Where the server does not take it.
    pub fn hello(&self, talk: &mut Talk, name: &str) -> io::Result<()> {
        let reply = talk.ehlo(name)?;
        if reply.code == 250 && self.tls && talk.offers("STARTTLS") {
            talk.starttls()?;
            talk.ehlo(name)?;
        }
        Ok(())
    }

    /// Asks the name server that guests are told to use.
    ///
    /// # Errors
    /// Where no answer comes.
    pub fn resolve(&self, name: &str, kind: u16) -> io::Result<Option<Record>> {
        self.resolve_at(plan::RESOLVER, name, kind)
    }

    /// Asks a name server; over TCP, if the answer is too long for a datagram.
    ///
    /// # Errors
    /// Where no answer comes.
    pub fn resolve_at(
        &self,
        server: Ipv4Addr,
        name: &str,
        kind: u16,
    ) -> io::Result<Option<Record>> {
        let socket = UdpSocket::bind(SocketAddrV4::new(self.address, 0))?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.connect(SocketAddr::from((server, 53)))?;
        let number = socket.local_addr()?.port();
        let query = names::query(number, name, kind);
        let mut buffer = [0; 1500];
        for _ in 0..3 {
            socket.send(&query)?;
            let Ok(len) = socket.recv(&mut buffer) else { continue };
            let answer = buffer.get(..len).unwrap_or_default();
            if !names::is_cut_short(answer) {
                return Ok(names::record(answer, kind));
            }
            let mut tcp = self.connect(server, 53, PATIENCE)?;
            tcp.write_all(&names::framed(&query))?;
            let mut len = [0; 2];
            tcp.read_exact(&mut len)?;
            let mut answer = vec![0; u16::from_be_bytes(len).into()];
            tcp.read_exact(&mut answer)?;
            return Ok(names::record(&answer, kind));
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Where mail for a domain goes, as a mail server finds it.
    ///
    /// # Errors
    /// Where there is no answer, or none that leads on.
    pub fn exchanger(&self, domain: &str) -> io::Result<Ipv4Addr> {
        let Some(Record::Name(host)) = self.resolve(domain, names::MX)? else {
            return Err(io::Error::other(format!("no exchanger of {domain}")));
        };
        match self.resolve(&host, names::A)? {
            Some(Record::Address(address)) => Ok(address),
            _ => Err(io::Error::other(format!("no address of {host}"))),
        }
    }
}

/// A server's answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its code.
    pub code: u16,
    /// All its lines.
    pub text: String,
}

/// A connection, from the caller's side. Dropped, it is closed; nothing is said first.
pub struct Talk {
    tcp: TcpStream,
    wire: Box<dyn Duplex>,
    buffer: Vec<u8>,
    offers: String,
}

impl Talk {
    /// Sends bytes as they are, in one write.
    ///
    /// # Errors
    /// Where the connection is broken.
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.write_all(bytes.as_ref())?;
        self.wire.flush()
    }

    /// Waits for a reply.
    ///
    /// # Errors
    /// Where the server hangs up, or says nothing for long.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut text = String::new();
        loop {
            let line = self.line()?;
            let last = line.as_bytes().get(3) != Some(&b'-');
            text.push_str(&line);
            if last {
                let code = line.get(..3).and_then(|code| code.parse().ok());
                let code = code.ok_or_else(|| io::Error::other(format!("no reply: {line}")))?;
                return Ok(Reply { code, text });
            }
            text.push('\n');
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let mut some = [0; 4096];
            let len = self.wire.read(&mut some)?;
            if len == 0 || self.buffer.len() > REPLY_MAX {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer.extend_from_slice(&some[..len]);
        }
    }

    /// Waits for the greeting; only 220 is one.
    ///
    /// # Errors
    /// Where it is none.
    pub fn greeting(&mut self) -> io::Result<()> {
        let reply = self.reply()?;
        if reply.code == 220 { Ok(()) } else { Err(io::Error::other(reply.text)) }
    }

    /// A command and its reply.
    ///
    /// # Errors
    /// As [`Talk::reply`].
    pub fn ask(&mut self, command: &str) -> io::Result<Reply> {
        self.say(format!("{command}\r\n"))?;
        self.reply()
    }

    /// EHLO; what is offered is remembered.
    ///
    /// # Errors
    /// As [`Talk::reply`].
    pub fn ehlo(&mut self, name: &str) -> io::Result<Reply> {
        let reply = self.ask(&format!("EHLO {name}"))?;
        self.offers = reply.text.to_ascii_uppercase();
        Ok(reply)
    }

    /// Whether the last reply to EHLO had this word.
    pub fn offers(&self, word: &str) -> bool {
        self.offers.contains(word)
    }

    /// STARTTLS, and the handshake.
    ///
    /// # Errors
    /// Where the server does not want to, or does something else.
    pub fn starttls(&mut self) -> io::Result<()> {
        let reply = self.ask("STARTTLS")?;
        if reply.code != 220 {
            return Err(io::Error::other(reply.text));
        }
        self.wire = tls::client(self.tcp.try_clone()?, "receivers.laboratory.example")?;
        Ok(())
    }

    /// A letter, command after command: the last reply.
    ///
    /// # Errors
    /// As [`Talk::reply`].
    pub fn letter(&mut self, from: &str, to: &[&str], text: &str) -> io::Result<Reply> {
        let mut reply = self.ask(&format!("MAIL FROM:<{from}>"))?;
        if reply.code != 250 {
            return Ok(reply);
        }
        let mut taken = 0;
        for to in to {
            reply = self.ask(&format!("RCPT TO:<{to}>"))?;
            taken += usize::from(reply.code == 250);
        }
        if taken == 0 {
            return Ok(reply);
        }
        reply = self.ask("DATA")?;
        if reply.code != 354 {
            return Ok(reply);
        }
        self.say(text)?;
        self.reply()
    }

    /// QUIT, its answer, and the end.
    ///
    /// # Errors
    /// As [`Talk::reply`].
    pub fn quit(mut self) -> io::Result<()> {
        self.ask("QUIT")?;
        self.wire.farewell();
        Ok(())
    }

    /// Breaks the connection off: the other side gets a reset.
    ///
    /// # Errors
    /// Where the kernel does not want to.
    pub fn reset(self) -> io::Result<()> {
        SockRef::from(&self.tcp).set_linger(Some(Duration::ZERO))
    }
}

/// A message ready to be sent, its end included.
pub fn text(from: &str, to: &str, subject: &str) -> String {
    let domain = from.split_once('@').map_or("", |(_, domain)| domain);
    format!(
        "From: <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: Mon, 23 Nov 2026 08:00:00 +0000\r\n\
         Message-ID: <{:08x}@{domain}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
         Good day,\r\n\r\nthis is about {subject}.\r\n.\r\n",
        std::process::id() ^ subject.len() as u32 ^ to.len() as u32,
    )
}
