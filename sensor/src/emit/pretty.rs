//! One readable line per event, for people.
//!
//! What lay on the wire is shown with every control, format and bidirectional character written out, and quoted where it
//! stands among our words: nobody can steer the reader's terminal, nor make bytes look like a line of ours. Colour comes
//! only when told.

use std::io::Write;

use botlike_core::base::{Endpoint, Flow, Stamp};
use botlike_core::detect::Severity;
use botlike_core::judge::{Direction, Event, Finding, Status};
use botlike_core::smtp::{Message, Outcome, Session, Starttls, Visible};

use super::evidence::pairs;
use super::{Encoder, Interfaces, Line, Stats, Style, privacy, words, write};

/// Most bytes that one value of the wire takes.
const ROOM: usize = 120;

/// The encoder for people.
#[derive(Debug)]
pub struct Pretty {
    style: Style,
    colour: bool,
    interfaces: Interfaces,
    scratch: Vec<u8>,
}

/// The colours used, as SGR parameters.
#[derive(Clone, Copy)]
enum Paint {
    Dim,
    Bold,
    Green,
    Yellow,
    Red,
    Alarm,
}

impl Paint {
    const fn code(self) -> &'static [u8] {
        match self {
            Self::Dim => b"\x1b[2m",
            Self::Bold => b"\x1b[1m",
            Self::Green => b"\x1b[32m",
            Self::Yellow => b"\x1b[33m",
            Self::Red => b"\x1b[31m",
            Self::Alarm => b"\x1b[1;31m",
        }
    }

    const fn of(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Dim,
            Severity::Low => Self::Green,
            Severity::Medium => Self::Yellow,
            Severity::High => Self::Red,
            Severity::Critical => Self::Alarm,
        }
    }
}

impl Pretty {
    /// An encoder of this style, with colour or without.
    pub fn new(style: Style, colour: bool) -> Self {
        Self { style, colour, interfaces: Interfaces::default(), scratch: Vec::new() }
    }
}

impl Encoder for Pretty {
    fn encode(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        match line {
            Line::Event(at, Event::Session { session, direction, host_name, tenant }) => {
                self.head(out, *at, Paint::Dim, "session");
                self.flow(out, &session.flow, *direction, *host_name, *tenant);
                self.session(out, session);
            }
            Line::Event(at, Event::Message { session, message, direction, host_name, tenant }) => {
                self.head(out, *at, Paint::Bold, "message");
                self.flow(out, &session.flow, *direction, *host_name, *tenant);
                self.message(out, message);
            }
            Line::Event(at, Event::Finding { finding, host_name, tenant }) => {
                self.head(out, *at, Paint::of(finding.severity), finding.severity.name());
                self.finding(out, finding, *host_name, *tenant);
            }
            Line::Stats(stats) => {
                self.head(out, stats.at, Paint::Dim, "stats");
                Self::stats(out, stats);
            }
            Line::Sensor(sensor) => {
                self.head(out, sensor.at, Paint::Dim, "sensor");
                let mut sentence = Vec::new();
                super::sensor_sentence(&mut sentence, sensor, &self.style);
                write::shown(out, &sentence, '\0', 4096);
            }
        }
        out.push(b'\n');
    }

    fn interface(&mut self, iface: u32, name: &str) {
        self.interfaces.set(iface, name);
    }
}

/// Appends our own words. Writing to a vector cannot fail.
macro_rules! say {
    ($out:expr, $($arg:tt)*) => {{ let _ = write!($out, $($arg)*); }};
}

fn endpoint(out: &mut Vec<u8>, end: Endpoint) {
    let v6 = !end.addr.is_v4();
    if v6 {
        out.push(b'[');
    }
    write::addr(out, end.addr);
    if v6 {
        out.push(b']');
    }
    out.push(b':');
    write::number(out, u64::from(end.port));
}

/// A value of the wire, in the marks given.
fn wire(out: &mut Vec<u8>, bytes: &[u8], open: char, close: char) {
    say!(out, "{open}");
    let whole = write::shown(out, bytes, close, ROOM);
    say!(out, "{}{close}", if whole { "" } else { "…" });
}

impl Pretty {
    fn painted(&self, out: &mut Vec<u8>, paint: Paint, text: &str) {
        if self.colour {
            out.extend_from_slice(paint.code());
        }
        out.extend_from_slice(text.as_bytes());
        if self.colour {
            out.extend_from_slice(b"\x1b[0m");
        }
    }

    fn head(&self, out: &mut Vec<u8>, at: Stamp, paint: Paint, word: &str) {
        let mut time = Vec::with_capacity(27);
        write::stamp(&mut time, at);
        // Milliseconds are enough to read, and a space is easier on the eye than a T.
        time.truncate(23);
        time[10] = b' ';
        self.painted(out, Paint::Dim, &String::from_utf8_lossy(&time));
        out.push(b' ');
        self.painted(out, paint, &format!("{word:<8}"));
        out.push(b' ');
    }

    fn names(&self, out: &mut Vec<u8>, host_name: Option<&str>, tenant: Option<&str>) {
        for name in [host_name, tenant].into_iter().flatten() {
            out.push(b' ');
            wire(out, name.as_bytes(), '(', ')');
        }
    }

    fn flow(
        &self,
        out: &mut Vec<u8>,
        flow: &Flow,
        direction: Direction,
        host_name: Option<&str>,
        tenant: Option<&str>,
    ) {
        endpoint(out, flow.client);
        out.extend_from_slice(" → ".as_bytes());
        endpoint(out, flow.server);
        if direction != Direction::Unknown {
            say!(out, " {}", words::direction(direction));
        }
        if let Some(name) = self.interfaces.get(flow.iface) {
            say!(out, " on ");
            write::shown(out, name.as_bytes(), '\0', ROOM);
        }
        if flow.vlan != 0 {
            say!(out, " vlan {}", flow.vlan);
        }
        self.names(out, host_name, tenant);
    }

    fn session(&mut self, out: &mut Vec<u8>, s: &Session) {
        if let Some(code) = s.greeting_code {
            say!(out, "  greeted {code}");
        }
        if let Some(verb) = s.helo_verb {
            say!(out, "  {} ", words::helo_verb(verb));
            let shown =
                self.style.privacy.perhaps(&self.style.key, s.helo.as_bytes(), &mut self.scratch);
            match shown {
                Some(helo) => wire(out, helo, '"', '"'),
                None => say!(out, "hidden"),
            }
        }
        match s.visible {
            Visible::UntilStarttls => say!(out, "  STARTTLS"),
            Visible::ImplicitTls => say!(out, "  TLS from the start"),
            Visible::Headers => say!(out, "  headers only"),
            Visible::Plain => match s.starttls {
                Starttls::Unused => {}
                Starttls::Unanswered => say!(out, "  STARTTLS unanswered"),
                Starttls::Refused => say!(out, "  STARTTLS refused"),
                Starttls::Established => say!(out, "  STARTTLS"),
                Starttls::AcceptedButPlain => say!(out, "  STARTTLS accepted, but plain"),
            },
        }
        if s.transactions > 0 {
            say!(out, "  {}/{} accepted", s.messages, s.transactions);
        }
        if s.transactions_partial > 0 {
            say!(out, "  {} lost to gaps", s.transactions_partial);
        }
        for (count, class) in [(s.errors_4xx, "4xx"), (s.errors_5xx, "5xx")] {
            if count > 0 {
                say!(out, "  {count}×{class}");
            }
        }
        if s.auth.attempts > 0 {
            say!(out, "  AUTH {} tried, {} failed", s.auth.attempts, s.auth.failed);
        }
        if let Some(code) = s.last_reply_code {
            say!(out, "  last {code}");
        }
        if let Some(close) = s.close {
            say!(out, "  {}", words::close(close).replace('_', " "));
        }
        say!(out, "  {}", words::span(s.end.since(s.flow.start) / 1_000_000 * 1_000_000));
        if !s.capture.is_empty() {
            let reasons: Vec<&str> = words::CAPTURE_REASONS
                .iter()
                .filter(|(flag, _)| s.capture.contains(*flag))
                .map(|(_, word)| *word)
                .collect();
            say!(out, "  partial: {}", reasons.join(", "));
            if s.gap_bytes > 0 {
                say!(out, ", {} bytes missing", s.gap_bytes);
            }
        }
    }

    fn message(&mut self, out: &mut Vec<u8>, m: &Message) {
        let (privacy, key) = (self.style.privacy, self.style.key);
        out.extend_from_slice(b"  ");
        if m.mail_from.is_empty() {
            out.extend_from_slice(b"<>");
        } else {
            match privacy.address(&key, m.mail_from.as_bytes(), &mut self.scratch) {
                Some(path) => wire(out, path, '<', '>'),
                None => say!(out, "<hidden>"),
            }
        }
        out.extend_from_slice(" → ".as_bytes());
        match m.rcpt_to.iter().next() {
            Some(first) => match privacy.address(&key, first, &mut self.scratch) {
                Some(path) => wire(out, path, '<', '>'),
                None => say!(out, "<hidden>"),
            },
            None => say!(out, "nobody"),
        }
        if m.rcpt_to.total() > 1 {
            say!(out, " +{}", m.rcpt_to.total() - 1);
        }
        if m.rcpt_rejected > 0 {
            say!(out, " ({} refused)", m.rcpt_rejected);
        }
        out.extend_from_slice(b"  ");
        let paint = match m.outcome {
            Outcome::Accepted => Paint::Green,
            Outcome::Rejected => Paint::Red,
            Outcome::Unanswered | Outcome::Aborted => Paint::Yellow,
        };
        self.painted(out, paint, words::outcome(m.outcome));
        if let Some(code) = m.reply_code {
            say!(out, " {code}");
        }
        say!(out, "  {} bytes", m.size);
        if !m.subject.is_empty()
            && let Some(subject) =
                privacy::whole(privacy.subjects, &key, m.subject.as_bytes(), &mut self.scratch)
        {
            out.extend_from_slice(b"  ");
            wire(out, subject, '"', '"');
        }
        if m.content_partial {
            say!(out, "  content partial");
        }
    }

    fn finding(
        &mut self,
        out: &mut Vec<u8>,
        f: &Finding,
        host_name: Option<&str>,
        tenant: Option<&str>,
    ) {
        write::addr(out, f.host);
        self.names(out, host_name, tenant);
        out.extend_from_slice(b"  ");
        match self.style.rules.get(usize::from(f.entry)) {
            Some(rule) => {
                self.painted(out, Paint::Bold, rule.id);
                say!(out, " {}", rule.name);
            }
            None => say!(out, "an unknown rule"),
        }
        out.extend_from_slice(b"  ");
        let mut scratch = core::mem::take(&mut self.scratch);
        pairs(out, &f.evidence, &self.style, &mut scratch);
        self.scratch = scratch;
        let status = match f.status {
            Status::Open => return,
            Status::Update => "again",
            Status::Closed => "closed",
            Status::OpenAtEnd => "open at the end",
        };
        match f.count {
            1 => say!(out, "  {status}, seen once"),
            count => say!(out, "  {status}, seen {count} times"),
        }
    }

    fn stats(out: &mut Vec<u8>, stats: &Stats<'_>) {
        let mut first = true;
        for (name, value, _) in stats.counters.list() {
            if value > 0 {
                say!(out, "{}{name}={value}", if first { "" } else { " " });
                first = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_line_is_one_line_and_holds_no_control_character() {
        for colour in [false, true] {
            let mut pretty = Pretty::new(samples::style(), colour);
            pretty.interface(0, "eth0\x1b[2J");
            let mut lines = 0;
            samples::each(|line| {
                let mut out = Vec::new();
                pretty.encode(line, &mut out);
                let text = String::from_utf8(out).unwrap();
                let text = text.strip_suffix('\n').unwrap();
                let ours = if colour {
                    ["2", "1", "32", "33", "31", "1;31", "0"]
                        .iter()
                        .fold(text.to_owned(), |text, code| {
                            text.replace(&format!("\x1b[{code}m"), "")
                        })
                } else {
                    text.to_owned()
                };
                assert!(!ours.chars().any(write::is_unsafe_to_show), "{ours:?}");
                lines += 1;
            });
            assert!(lines > 8);
        }
    }

    #[test]
    fn a_message_reads_well() {
        let mut pretty = Pretty::new(samples::style(), false);
        let mut all = String::new();
        samples::each(|line| {
            let mut out = Vec::new();
            pretty.encode(line, &mut out);
            all.push_str(&String::from_utf8(out).unwrap());
        });
        assert!(
            all.contains(
                "2026-11-23 08:15:07.003 message  192.0.2.77:50122 → 198.51.100.25:25 outbound (vm-101) (acme)  \
                 <bounce@example.com> → <a@example.net> +1 (1 refused)  rejected 554  21877 bytes  \"Invoice \\\"4471\\\"\"\n"
            ),
            "{all}"
        );
        assert!(
            all.contains(
                "2026-11-23 08:16:00.120 high     192.0.2.77 (vm-101) (acme)  test.fanout Many mail servers contacted  \
                 dst_ips=388 limit=120 within=1h\n"
            ),
            "{all}"
        );
    }
}
