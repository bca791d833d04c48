//! An honest SMTP client: it waits for the greeting, says its own name, pipelines only where that is offered, tries
//! again later what was put off, and says QUIT.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::ledger::{Ledger, Record};
use super::letters::Letter;

/// Who sends, from where, to which server.
#[derive(Clone, Debug)]
pub struct Client {
    /// The name in EHLO.
    pub name: String,
    /// The address it calls from; the system's choice if unspecified.
    pub source: Ipv4Addr,
    /// The server.
    pub server: SocketAddrV4,
    /// Whether it groups commands when PIPELINING is offered.
    pub pipelines: bool,
}

/// What became of a session's letters.
#[derive(Debug, Default)]
pub struct Report {
    /// Letters taken by the server.
    pub taken: usize,
    /// Letters refused for good.
    pub refused: usize,
    /// Letters to be tried again.
    pub put_off: Vec<Letter>,
}

impl Client {
    /// One session for these letters. A letter whose fate is not known counts as put off.
    pub fn send(&self, letters: Vec<Letter>, ledger: Option<&Ledger>) -> Report {
        let mut report = Report::default();
        let mut waiting = letters.into_iter();
        let mut current = None;
        if self.session(&mut waiting, &mut current, &mut report, ledger).is_err() {
            report.put_off.extend(current);
        }
        report.put_off.extend(waiting);
        report
    }

    fn session(
        &self,
        letters: &mut impl Iterator<Item = Letter>,
        current: &mut Option<Letter>,
        report: &mut Report,
        ledger: Option<&Ledger>,
    ) -> io::Result<()> {
        let stream = self.connect()?;
        let SocketAddr::V4(local) = stream.local_addr()? else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let mut line = Dialogue(BufReader::new(stream));
        if line.reply()?.0 != 220 {
            return line.quit();
        }
        let (code, offers) = line.ask(&format!("EHLO {}\r\n", self.name))?;
        if code != 250 {
            return line.quit();
        }
        let pipelines =
            self.pipelines && offers.iter().any(|offer| offer.eq_ignore_ascii_case("PIPELINING"));
        for letter in letters {
            let letter = current.insert(letter);
            let (code, accepted, refused) = line.letter(letter, pipelines)?;
            if let (Some(ledger), true) = (ledger, !accepted.is_empty()) {
                ledger.write(&Record {
                    client: local,
                    server: *self.server.ip(),
                    from: letter.from.clone(),
                    accepted,
                    refused,
                    code,
                });
            }
            match (code, current.take()) {
                (200..=299, _) => report.taken += 1,
                (500..=599, _) => report.refused += 1,
                (_, letter) => report.put_off.extend(letter),
            }
        }
        line.quit()
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if !self.source.is_unspecified() {
            socket.bind(&SocketAddrV4::new(self.source, 0).into())?;
        }
        socket.connect_timeout(&SocketAddr::V4(self.server).into(), Duration::from_secs(20))?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        socket.set_write_timeout(Some(Duration::from_secs(30)))?;
        socket.set_tcp_nodelay(true)?;
        Ok(socket.into())
    }
}

struct Dialogue(BufReader<TcpStream>);

impl Dialogue {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    fn ask(&mut self, command: &str) -> io::Result<(u16, Vec<String>)> {
        self.put(command.as_bytes())?;
        self.reply()
    }

    /// A reply's code and the text of its lines.
    fn reply(&mut self) -> io::Result<(u16, Vec<String>)> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.by_ref().take(4096).read_line(&mut line)?;
            let line = line.trim_end();
            let code = line
                .get(..3)
                .and_then(|code| code.parse().ok())
                .ok_or(io::ErrorKind::InvalidData)?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok((code, lines));
            }
            if lines.len() > 100 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// Sends one letter: the code that settled it, and the recipients taken and refused.
    fn letter(
        &mut self,
        letter: &Letter,
        pipelines: bool,
    ) -> io::Result<(u16, Vec<String>, Vec<String>)> {
        let mail = format!("MAIL FROM:<{}>\r\n", letter.from);
        let rcpt = letter.to.iter().map(|to| format!("RCPT TO:<{to}>\r\n"));
        let mut last = 0;
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        let mut sort = |code: u16, to: &String| {
            last = code;
            if code < 300 { accepted.push(to.clone()) } else { refused.push(to.clone()) }
        };
        let mail_code;
        let data_code;
        if pipelines {
            let group: String =
                std::iter::once(mail).chain(rcpt).chain(["DATA\r\n".to_owned()]).collect();
            self.put(group.as_bytes())?;
            mail_code = self.reply()?.0;
            for to in &letter.to {
                sort(self.reply()?.0, to);
            }
            data_code = self.reply()?.0;
        } else {
            mail_code = self.ask(&mail)?.0;
            if mail_code >= 300 {
                return Ok((mail_code, accepted, refused));
            }
            for (to, command) in letter.to.iter().zip(rcpt) {
                sort(self.ask(&command)?.0, to);
            }
            if accepted.is_empty() {
                self.ask("RSET\r\n")?;
                return Ok((last, accepted, refused));
            }
            data_code = self.ask("DATA\r\n")?.0;
        }
        if data_code != 354 {
            // The transaction is still open where only its recipients were refused.
            self.ask("RSET\r\n")?;
            let code = if mail_code >= 300 { mail_code } else { last.max(data_code) };
            return Ok((code, Vec::new(), refused));
        }
        if accepted.is_empty() {
            // RFC 2920 §3.1: DATA was taken although no recipient was; the content is then empty.
            self.ask(".\r\n")?;
            return Ok((last, accepted, refused));
        }
        let mut content = Vec::with_capacity(letter.text.len() + 64);
        for line in letter.text.split_inclusive(|byte| *byte == b'\n') {
            if line.starts_with(b".") {
                content.push(b'.');
            }
            content.extend_from_slice(line);
        }
        content.extend_from_slice(b".\r\n");
        self.put(&content)?;
        Ok((self.reply()?.0, accepted, refused))
    }

    /// Says QUIT, hears the answer and waits for the server to close.
    fn quit(&mut self) -> io::Result<()> {
        // The letters are settled: what goes wrong now changes nothing.
        if self.ask("QUIT\r\n").is_ok() {
            let _ = io::copy(&mut self.0.by_ref().take(4096), &mut io::sink());
        }
        Ok(())
    }
}
