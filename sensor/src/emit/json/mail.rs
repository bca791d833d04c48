//! Session and message lines.

use botlike_core::base::{MILLI, Stamp};
use botlike_core::judge::Direction;
use botlike_core::smtp::{Capability, HeloVerb, Message, Session, Visible};

use super::super::id::{self, Subject};
use super::super::privacy::{self, Mode};
use super::super::{LINE_MAX, words, write};
use super::{Json, LIST, SHORT, STRING, TAIL, boolean, flags, key, number, put, word};

impl Json {
    pub(super) fn session(
        &mut self,
        out: &mut Vec<u8>,
        at: Stamp,
        s: &Session,
        direction: Direction,
        host_name: Option<&str>,
        tenant: Option<&str>,
    ) {
        self.open(
            out,
            at,
            false,
            r#","event":{"kind":"event","category":["network"],"type":["connection","end"],"action":"smtp-session","module":"botlike","dataset":"botlike.session","id":""#,
        );
        out.extend_from_slice(&self.names.of(&s.flow, self.style.key.bytes()).session_id);
        out.push(b'"');
        self.sequence(out);
        self.period(out, s.flow.start, s.end);
        self.observer(out, Some(s.flow.iface));
        for (name, end, bytes, packets) in [
            (",\"source\":{\"ip\":\"", s.flow.client, s.client_bytes, s.client_packets),
            (",\"destination\":{\"ip\":\"", s.flow.server, s.server_bytes, s.server_packets),
        ] {
            put(out, name);
            write::addr(out, end.addr);
            put(out, "\",\"port\":");
            write::number(out, u64::from(end.port));
            put(out, ",\"bytes\":");
            write::number(out, bytes);
            put(out, ",\"packets\":");
            write::number(out, packets);
            out.push(b'}');
        }
        self.host(out, None, host_name);
        self.network(out, &s.flow, direction);
        number(out, "\"bytes\":", s.client_bytes.saturating_add(s.server_bytes));
        number(out, "\"packets\":", s.client_packets.saturating_add(s.server_packets));
        put(out, "},\"smtp\":{");
        self.session_smtp(out, s);
        if s.stack != 0 || tenant.is_some() {
            put(out, ",\"botlike\":{");
            self.tenant(out, tenant);
            if s.stack != 0 {
                key(out, "\"stack\":\"");
                write::hex(out, &s.stack.to_be_bytes());
                out.push(b'"');
            }
            out.push(b'}');
        }
        self.related(out, &s.flow);
        out.push(b'}');
    }

    fn session_smtp(&mut self, out: &mut Vec<u8>, s: &Session) {
        self.helo(out, s);
        if let Some(verb) = s.helo_verb {
            number(out, "\"helo_count\":", u64::from(s.helo_count));
            boolean(out, "\"esmtp\":", !matches!(verb, HeloVerb::Helo));
        }
        if let Some(code) = s.greeting_code {
            number(out, "\"greeting_code\":", u64::from(code));
        }
        if let Some(delay) = s.greeting_delay {
            number(out, "\"greeting_delay_ms\":", delay / MILLI);
        }
        if let Some(code) = s.last_reply_code {
            number(out, "\"last_reply_code\":", u64::from(code));
        }
        if s.ehlo_accepted {
            let listed = s.capabilities;
            flags(
                out,
                "\"capabilities\":",
                words::CAPABILITIES
                    .iter()
                    .filter(|(flag, _)| listed.contains(*flag))
                    .map(|(_, word)| *word),
            );
            boolean(out, "\"pipelining\":", listed.contains(Capability::PIPELINING));
            boolean(out, "\"starttls_offered\":", listed.contains(Capability::STARTTLS));
        }
        let dialogue = matches!(s.visible, Visible::Plain | Visible::UntilStarttls);
        if dialogue {
            word(out, "\"starttls\":", words::starttls(s.starttls));
            boolean(out, "\"pipelined\":", s.pipelined);
        }
        if s.visible == Visible::Plain || s.auth.attempts > 0 {
            put(out, ",\"auth\":{\"attempts\":");
            write::number(out, u64::from(s.auth.attempts));
            if s.auth.attempts > 0 {
                number(out, "\"failed\":", u64::from(s.auth.failed));
                boolean(out, "\"succeeded\":", s.auth.succeeded);
                if !s.auth.mechanism.is_empty() {
                    self.loss.cut |= s.auth.mechanism.is_cut();
                    self.perhaps(out, "\"mechanism\":", s.auth.mechanism.as_bytes(), SHORT);
                }
            }
            out.push(b'}');
        }
        if dialogue {
            number(out, "\"commands\":", u64::from(s.commands));
            number(out, "\"commands_unknown\":", u64::from(s.commands_unknown));
            number(out, "\"errors_4xx\":", u64::from(s.errors_4xx));
            number(out, "\"errors_5xx\":", u64::from(s.errors_5xx));
        }
        if s.said_421 {
            boolean(out, "\"said_421\":", true);
        }
        number(out, "\"transactions\":", u64::from(s.transactions));
        number(out, "\"messages\":", u64::from(s.messages));
        number(out, "\"transactions_partial\":", u64::from(s.transactions_partial));
        boolean(out, "\"quit\":", s.quit);
        if let Some(close) = s.close {
            word(out, "\"close\":", words::close(close));
        }
        word(out, "\"visible\":", words::visible(s.visible));
        word(out, "\"capture\":", if s.capture.is_empty() { "complete" } else { "partial" });
        flags(
            out,
            "\"capture_reason\":",
            words::CAPTURE_REASONS
                .iter()
                .filter(|(flag, _)| s.capture.contains(*flag))
                .map(|(_, word)| *word),
        );
        number(out, "\"gap_bytes\":", s.gap_bytes);
        if s.overlap_differs {
            boolean(out, "\"overlap_differs\":", true);
        }
        self.close_smtp(out);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one event")]
    pub(super) fn message(
        &mut self,
        out: &mut Vec<u8>,
        at: Stamp,
        s: &Session,
        m: &Message,
        direction: Direction,
        host_name: Option<&str>,
        tenant: Option<&str>,
    ) {
        let start = out.len();
        self.open(
            out,
            at,
            false,
            r#","event":{"kind":"event","category":["email"],"type":["info"],"action":"smtp-message","module":"botlike","dataset":"botlike.message","id":""#,
        );
        write::hex(out, &id::event_id(self.style.key.bytes(), Subject::Message(&s.flow, m.number)));
        out.push(b'"');
        self.sequence(out);
        self.period(out, m.start, m.end);
        word(out, "\"outcome\":", words::ecs_outcome(m.outcome));
        self.observer(out, Some(s.flow.iface));
        self.endpoints(out, &s.flow);
        self.host(out, None, host_name);
        self.network(out, &s.flow, direction);
        out.push(b'}');
        self.email(out, m);
        put(out, ",\"smtp\":{\"tx\":");
        write::number(out, u64::from(m.number));
        self.helo(out, s);
        self.envelope(out, m);
        word(out, "\"outcome\":", words::outcome(m.outcome));
        if let Some(code) = m.reply_code {
            number(out, "\"reply_code\":", u64::from(code));
        }
        number(out, "\"size\":", m.size);
        boolean(out, "\"bdat\":", m.bdat);
        boolean(out, "\"content_partial\":", m.content_partial);
        self.header(out, m);
        self.recipients(out, m, start);
        self.close_smtp(out);
        put(out, ",\"botlike\":{");
        self.tenant(out, tenant);
        key(out, "\"session_id\":\"");
        out.extend_from_slice(&self.names.of(&s.flow, self.style.key.bytes()).session_id);
        put(out, "\"}");
        self.related(out, &s.flow);
        out.push(b'}');
    }

    fn email(&mut self, out: &mut Vec<u8>, m: &Message) {
        let start = out.len();
        put(out, ",\"email\":{");
        let empty = out.len();
        if !m.from_address.is_empty() {
            key(out, "\"from\":{");
            let before = out.len();
            self.loss.cut |= m.from_address.is_cut();
            self.address(out, "\"address\":[", m.from_address.as_bytes(), STRING);
            if out.len() > before {
                put(out, "]}");
            } else {
                out.truncate(before - "\"from\":{".len());
            }
        }
        for (name, text) in [("\"subject\":", &m.subject), ("\"message_id\":", &m.message_id)] {
            if !text.is_empty() {
                self.loss.cut |= text.is_cut();
                self.guarded(out, name, text.as_bytes(), STRING, |style, value, scratch| {
                    privacy::whole(style.privacy.subjects, &style.key, value, scratch)
                });
            }
        }
        if out.len() == empty {
            out.truncate(start);
        } else {
            out.push(b'}');
        }
    }

    fn envelope(&mut self, out: &mut Vec<u8>, m: &Message) {
        self.loss.cut |= m.values_cut() > 0;
        if m.mail_from.is_empty() {
            word(out, "\"mail_from\":", "<>");
        } else {
            let path = m.mail_from.as_bytes();
            self.address(out, "\"mail_from\":", path, STRING);
            // A cut path has lost its end, and so its domain.
            if self.style.privacy.addresses == Mode::Clear
                && !m.mail_from.is_cut()
                && let Some(at) = path.iter().rposition(|b| *b == b'@')
            {
                let mut scratch = core::mem::take(&mut self.scratch);
                scratch.clear();
                scratch.extend(path[at + 1..].iter().map(u8::to_ascii_lowercase));
                self.string(out, "\"mail_from_domain\":", &scratch, STRING);
                self.scratch = scratch;
            }
        }
        if !m.mail_parameters.is_empty() {
            // AUTH= and ENVID= may hold addresses.
            self.perhaps(out, "\"mail_parameters\":", m.mail_parameters.as_bytes(), STRING);
        }
        if let Some(first) = m.rcpt_to.iter().next() {
            self.address(out, "\"rcpt_first\":", first, STRING);
        }
        number(out, "\"rcpt_count\":", u64::from(m.rcpt_to.total()));
        number(out, "\"rcpt_accepted\":", u64::from(m.rcpt_accepted));
        number(out, "\"rcpt_rejected\":", u64::from(m.rcpt_rejected));
    }

    fn header(&mut self, out: &mut Vec<u8>, m: &Message) {
        put(out, ",\"header\":{\"complete\":");
        put(out, if m.header_complete { "true" } else { "false" });
        for (name, text) in [("\"from\":", &m.from), ("\"to\":", &m.to)] {
            if !text.is_empty() {
                self.loss.cut |= text.is_cut();
                self.guarded(out, name, text.as_bytes(), STRING, |style, value, scratch| {
                    style.privacy.mixed(&style.key, value, scratch)
                });
            }
        }
        if !m.date.is_empty() {
            self.loss.cut |= m.date.is_cut();
            self.perhaps(out, "\"date\":", m.date.as_bytes(), SHORT);
        }
        number(out, "\"received_count\":", u64::from(m.received_count));
        out.push(b'}');
    }

    /// The list of recipients, as many as the line has room for.
    fn recipients(&mut self, out: &mut Vec<u8>, m: &Message, line_start: usize) {
        let mut open = false;
        for path in m.rcpt_to.iter().take(LIST) {
            let room = LINE_MAX.saturating_sub(out.len() - line_start + TAIL);
            let (before, cut) = (out.len(), core::mem::take(&mut self.loss.cut));
            self.address(out, if open { "" } else { "\"rcpt_to\":[" }, path, room.min(STRING));
            if room < STRING && self.loss.cut {
                out.truncate(before);
                self.loss.cut = cut;
                break;
            }
            self.loss.cut |= cut;
            open |= out.len() > before;
        }
        if open {
            out.push(b']');
        }
    }
}
