//! Where the client does otherwise than the standard says.
//!
//! That a client did not wait is told by acknowledgement numbers alone: what it sends while it has received no byte more
//! than when it had sent the command before cannot rest on the reply to that command. An honest client cannot do that,
//! however the packets travel; one that does may go unseen where a packet of it was late. Nothing is said of what
//! follows a gap or was joined late.

use core::mem;

use super::super::command::{self, Command};
use super::super::line::{Line, Piece};
use super::super::newline;
use super::super::pending::{Asked, Pending};
use super::super::reply::Reply;
use super::super::{Capability, Conduct, FalseEnd, Foreign, HeloVerb, Ignored, Starttls, Visible};
use super::Dialogue;

/// Whether the client may send commands in groups (RFC 2920).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Groups {
    /// The server did not offer it.
    #[default]
    No,
    /// EHLO was said, and the answer has not come.
    Unanswered,
    /// The server offered it, or its answer was not seen whole.
    Yes,
}

/// A refusal that reached, or will reach, the client.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    transaction: u32,
    /// Of the last refusal for good.
    code: u16,
    /// Where the last reply ended in the server's stream.
    end: u64,
}

/// What has to be remembered of the dialogue to tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// What the client had received when it had sent the last command, if that was one for certain.
    asked: Option<u64>,
    /// The same of a DATA whose text has not begun.
    data: Option<u64>,
    /// Where 354 began in the server's stream.
    go_ahead: Option<u64>,
    /// What the client had received when it sent the first of a text for which no 354 was seen yet.
    text: Option<u64>,
    groups: Groups,
    /// Commands sent ahead before it was known whether they may be.
    unsure: u32,
    unsure_verb: &'static str,
    /// HELO was said and not answered; the last greeting was refused.
    helo_open: bool,
    helo_refused: bool,
    /// XCLIENT was said: the next name is that of somebody else.
    xclient: bool,
    mail_refused: Option<Refusal>,
    rcpt_refused: Option<Refusal>,
    /// What the client had received when it first went on after a refusal, where it may send commands in groups.
    went_on: Option<u64>,
    /// The code with which DATA was refused.
    pub(super) data_refused: u16,
    /// DATA or BDAT was said.
    text_asked: bool,
    errors: u32,
    unknown: u32,
    junk: u32,
}

impl Watch {
    /// A command was sent that will be answered, by a client that had received so much.
    pub(super) fn asked(&mut self, acked: Option<u64>) {
        self.asked = acked;
    }
}

/// A refusal that no later try will change, or with which the server leaves.
const fn is_final(code: u16) -> bool {
    code >= 500 || code == 421
}

impl Dialogue {
    /// A command, before it is acted upon.
    pub(super) fn look_at_command(&mut self, line: &Line<'_>, command: &Command<'_>) {
        let acked = self.client.conduct.asked.take();
        if !self.client.is_in_order() {
            return;
        }
        let verb = verb(line.text(), command);
        let conduct = &mut self.session.conduct;
        let watch = &mut self.client.conduct;
        if !command.is_certain() {
            let text = line.text();
            if !text.trim_ascii().is_empty() {
                watch.unknown = watch.unknown.saturating_add(1);
                conduct.unknown = conduct.unknown.max(watch.unknown);
            }
            // Text may have been taken for commands once there was text.
            let said = foreign(text).filter(|&f| f != Foreign::Header || !watch.text_asked);
            conduct.foreign = conduct.foreign.or(said);
            return;
        }
        watch.asked = line.end.acked;
        let leaves = self.session.said_421 || self.session.close.is_some();
        if acked.is_some() && acked == line.first.acked && !leaves {
            match watch.groups {
                Groups::Yes => {}
                Groups::No => sent_ahead(conduct, 1, verb),
                Groups::Unanswered => {
                    if watch.unsure == 0 {
                        watch.unsure_verb = verb;
                    }
                    watch.unsure = watch.unsure.saturating_add(1);
                }
            }
        }
        if !line.cut && newline::bare_in_line(line.raw) > 0 {
            conduct.bare_in_commands = conduct.bare_in_commands.saturating_add(1);
        }
        match command {
            Command::Mail(_) if self.session.commands == 0 => conduct.no_helo = true,
            Command::Helo(HeloVerb::Helo, _) => {
                watch.groups = Groups::No;
                sent_ahead(conduct, mem::take(&mut watch.unsure), watch.unsure_verb);
                watch.helo_open = true;
            }
            Command::Helo(..) => watch.groups = Groups::Unanswered,
            Command::Data | Command::Bdat { .. } => watch.text_asked = true,
            _ => {}
        }
        if matches!(verb, "NOOP" | "RSET" | "VRFY") {
            watch.junk = watch.junk.saturating_add(1);
            conduct.junk = conduct.junk.max(watch.junk);
        }
        watch.xclient |= verb == "XCLIENT";
    }

    /// HELO or EHLO is about to replace the name.
    pub(super) fn name_before(&mut self) {
        let session = &mut self.session;
        let refused = mem::take(&mut self.client.conduct.helo_refused);
        session.helo_before.clear();
        if !refused && !self.client.conduct.xclient && session.starttls == Starttls::Unused {
            mem::swap(&mut session.helo, &mut session.helo_before);
        }
    }

    /// RCPT, before it is acted upon.
    pub(super) fn look_at_recipient(&mut self, line: &Line<'_>, path: &[u8]) {
        let helo = self.session.helo.as_bytes();
        let name = helo.strip_suffix(b".").unwrap_or(helo);
        if let Some(at) = memchr::memrchr(b'@', path)
            && path.get(at.saturating_add(1)..).is_some_and(|d| d.eq_ignore_ascii_case(name))
            && !name.is_empty()
        {
            self.session.conduct.helo_is_recipient = true;
        }
        let serial = self.book.current_serial();
        self.went_on(self.client.conduct.mail_refused, serial, line, "MAIL", "RCPT");
    }

    /// DATA, before it is acted upon.
    pub(super) fn look_at_data(&mut self, line: &Line<'_>) {
        let watch = &mut self.client.conduct;
        watch.data = line.end.acked;
        watch.go_ahead = None;
        watch.text = None;
        let serial = self.book.current_serial();
        let Watch { mail_refused, rcpt_refused, .. } = self.client.conduct;
        if self.went_on(mail_refused, serial, line, "MAIL", "DATA") {
            return;
        }
        let all_refused = self.book.current().is_some_and(|t| {
            t.message.rcpt_rejected > 0 && t.message.rcpt_rejected == t.message.rcpt_to.total()
        });
        if all_refused {
            self.went_on(rcpt_refused, serial, line, "RCPT", "DATA");
        }
    }

    /// The text of a message although DATA was refused, and the client had received the refusal.
    pub(super) fn text_after_refusal(&mut self) {
        let code = self.client.conduct.data_refused;
        if is_final(code) && self.client.is_in_order() {
            self.ignored(Ignored { command: "DATA", code, next: "message text" });
        }
    }

    fn went_on(
        &mut self,
        refusal: Option<Refusal>,
        transaction: u32,
        line: &Line<'_>,
        command: &'static str,
        next: &'static str,
    ) -> bool {
        let Some(refusal) = refusal.filter(|r| r.transaction == transaction && transaction != 0)
        else {
            return false;
        };
        let knew = line.first.acked.is_some_and(|acked| acked >= refusal.end);
        let told = knew
            && is_final(refusal.code)
            && self.client.is_in_order()
            && self.is_no_rest_of_a_group(line);
        if told {
            self.ignored(Ignored { command, code: refusal.code, next });
        }
        told
    }

    /// Whether a command was certainly written after the reply was received that it acknowledges. Of a group that was
    /// written before, the network stack may hold back the rest until something was acknowledged, and send it with the
    /// reply's acknowledgement (RFC 9293 section 3.7.4, RFC 5681). So where groups are allowed, only a client counts that
    /// never sent any, the second time that it goes on.
    fn is_no_rest_of_a_group(&mut self, line: &Line<'_>) -> bool {
        let watch = &mut self.client.conduct;
        if watch.groups == Groups::No {
            return true;
        }
        let before = watch.went_on;
        watch.went_on = before.or(line.first.acked);
        !self.session.pipelined && before.is_some_and(|before| line.first.acked > Some(before))
    }

    fn ignored(&mut self, ignored: Ignored) {
        let conduct = &mut self.session.conduct;
        conduct.ignored = conduct.ignored.saturating_add(1);
        conduct.first_ignored.get_or_insert(ignored);
    }

    /// The first byte of a text behind DATA, sent by a client that had received so much.
    pub(super) fn text_begins(&mut self, acked: Option<u64>, byte: Option<u8>) {
        let in_order = self.client.is_in_order();
        let watch = &mut self.client.conduct;
        let (Some(data), Some(acked)) = (watch.data.take(), acked) else { return };
        // An empty line may be no more than a newline too many behind DATA.
        if matches!(byte, None | Some(b'\r' | b'\n')) || !in_order {
            return;
        }
        if acked == data || watch.go_ahead.is_some_and(|start| acked <= start) {
            self.early_text();
        } else {
            watch.text = Some(acked);
        }
    }

    fn early_text(&mut self) {
        let conduct = &mut self.session.conduct;
        conduct.early_text = conduct.early_text.saturating_add(1);
    }

    /// The end of data was read.
    pub(super) fn look_at_text(&mut self) {
        if !self.client.is_in_order() {
            return;
        }
        let conduct = &mut self.session.conduct;
        conduct.bare_in_text = conduct.bare_in_text.saturating_add(self.body.bare_newlines());
        let is_attack = |end: &FalseEnd| end.command.is_some();
        if let Some(end) = self.body.false_end()
            && conduct.false_end.is_none_or(|before| !is_attack(&before) && is_attack(&end))
        {
            conduct.false_end = Some(end);
        }
    }

    /// What a command was answered, before it is acted upon.
    pub(super) fn look_at_reply(&mut self, pending: Pending, reply: Option<&Reply>) {
        let watch = &mut self.client.conduct;
        let conduct = &mut self.session.conduct;
        let Some(reply) = reply else {
            if pending.asked == Asked::Ehlo {
                watch.groups = Groups::Yes;
            }
            return;
        };
        let code = reply.code;
        let transaction = pending.transaction;
        let refusal = Refusal { transaction, code, end: reply.end.offset };
        match (pending.asked, code) {
            (Asked::Ehlo, 200..300) => {
                let offered = reply.capabilities.contains(Capability::PIPELINING);
                watch.groups = if offered || !reply.whole { Groups::Yes } else { Groups::No };
                let unsure = mem::take(&mut watch.unsure);
                if watch.groups == Groups::No {
                    sent_ahead(conduct, unsure, watch.unsure_verb);
                }
            }
            (Asked::Ehlo, 400..) => {
                watch.groups = Groups::No;
                watch.helo_refused = true;
                sent_ahead(conduct, mem::take(&mut watch.unsure), watch.unsure_verb);
            }
            (Asked::Mail, 400..) => {
                watch.mail_refused = Some(refusal);
                watch.went_on = None;
            }
            (Asked::Rcpt, 400..) => {
                let before = watch.rcpt_refused.filter(|r| r.transaction == transaction);
                let code = match before {
                    Some(before) if is_final(before.code) => before.code,
                    _ => code,
                };
                watch.rcpt_refused = Some(Refusal { code, ..refusal });
            }
            (Asked::Data { .. }, 354) => {
                watch.go_ahead = Some(reply.first.offset);
                if watch.text.take().is_some_and(|acked| acked <= reply.first.offset) {
                    return self.early_text();
                }
            }
            (Asked::EndOfData | Asked::Bdat { last: true }, 200..300) => {
                // As servers do that limit them: what delivers mail may make mistakes.
                watch.errors = 0;
                watch.unknown = 0;
                watch.junk = 0;
            }
            (Asked::Other, _) if mem::take(&mut watch.helo_open) => {
                watch.helo_refused = code >= 400;
            }
            _ => {}
        }
        // What belongs to a transaction is refused for its content, or because one of a group was.
        let of_transaction = matches!(
            pending.asked,
            Asked::Mail
                | Asked::Rcpt
                | Asked::Data { .. }
                | Asked::Bdat { .. }
                | Asked::EndOfData
                | Asked::Greeting
        );
        if (500..=504).contains(&code) && !of_transaction {
            watch.errors = watch.errors.saturating_add(1);
            conduct.errors = conduct.errors.max(watch.errors);
        }
    }

    /// Bytes of the server: whether it answers a TLS hello in the clear.
    pub(super) fn look_at_plain_answer(&mut self, piece: &Piece<'_>) {
        let first = piece.place.offset == 0;
        if first && self.client.is_tls() && self.session.visible == Visible::ImplicitTls {
            let digit = piece.bytes.first().is_some_and(u8::is_ascii_digit);
            self.session.conduct.plain_answer = digit;
        }
    }
}

fn sent_ahead(conduct: &mut Conduct, commands: u32, verb: &'static str) {
    if conduct.ahead == 0 && commands > 0 {
        conduct.ahead_verb = verb;
    }
    conduct.ahead = conduct.ahead.saturating_add(commands);
}

/// The name of a command.
fn verb(line: &[u8], command: &Command<'_>) -> &'static str {
    match command {
        Command::Helo(HeloVerb::Helo, _) => "HELO",
        Command::Helo(HeloVerb::Ehlo, _) => "EHLO",
        Command::Helo(HeloVerb::Lhlo, _) => "LHLO",
        Command::Mail(_) => "MAIL",
        Command::Rcpt(_) => "RCPT",
        Command::Data => "DATA",
        Command::Bdat { .. } => "BDAT",
        Command::Rset => "RSET",
        Command::Quit => "QUIT",
        Command::Auth(_) => "AUTH",
        Command::Starttls => "STARTTLS",
        Command::Other => command::other_verb(line),
        Command::Malformed | Command::Unknown => "",
    }
}

/// What a line is that is no command.
pub(super) fn foreign(line: &[u8]) -> Option<Foreign> {
    const METHODS: [&[u8]; 6] = [b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT"];
    const COOKIE: &[u8] = b"Cookie: mstshash=";
    let method = line.split(|&b| b == b' ').next().unwrap_or_default();
    if method.len() < line.len() && METHODS.contains(&method) {
        return Some(Foreign::Http);
    }
    if line.starts_with(b"SSH-") {
        return Some(Foreign::Ssh);
    }
    // The header of a connection request (ISO 8073 in RFC 1006): version 3, reserved 0, length, and the request's code.
    let request = matches!(line, [3, 0, 0, _, _, 0xe0, ..]);
    if request || memchr::memmem::find(line, COOKIE).is_some() {
        return Some(Foreign::Rdp);
    }
    command::is_header_field(line).then_some(Foreign::Header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols() {
        for (line, expected) in [
            (&b"GET / HTTP/1.1"[..], Some(Foreign::Http)),
            (b"CONNECT mx.example.net:25 HTTP/1.0", Some(Foreign::Http)),
            (b"OPTIONS *", Some(Foreign::Http)),
            (b"GET", None),
            (b"GETX /", None),
            (b"SSH-2.0-Go", Some(Foreign::Ssh)),
            (b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0", Some(Foreign::Rdp)),
            (b"\x03\0\0\x2b&\xe0\0\0\0\0\0Cookie: mstshash=hello", Some(Foreign::Rdp)),
            (b"\x03\0\0", None),
            (b"Subject: hello", Some(Foreign::Header)),
            (b"XYZZY plugh", None),
            (b"", None),
        ] {
            assert_eq!(foreign(line), expected, "{line:?}");
        }
    }
}
