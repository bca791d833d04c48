//! The client's side: commands, content, and what a gap in them means.

use core::mem;

use super::super::command::{self, Command};
use super::super::line::{Line, Lines, Piece};
use super::super::pending::{Asked, Pending};
use super::super::{CaptureState, DialogueSink, Foreign, HeloVerb, Place, Starttls, Visible};
use super::opening::{self, FirstBytes, Proxy, ProxyEnd, TlsLook};
use super::transactions::{Current, Stage};
use super::{Context, Dialogue, conduct};

/// What the next byte of the client belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A PROXY header, or the first command.
    Opening(Proxy),
    /// A command.
    Command,
    /// DATA was said, and 354 not seen: the next line tells whether content follows or another command.
    AfterData,
    /// The answer to an AUTH challenge.
    Secret,
    /// The content of DATA.
    Content,
    /// A chunk of BDAT.
    Chunk {
        /// Bytes that are to come.
        left: u64,
        /// The message ends with it.
        last: bool,
    },
    /// TLS.
    Tls,
}

/// The state of the client's side.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) lines: Lines,
    pub(super) mode: Mode,
    pub(super) first: FirstBytes,
    /// The place of the first byte, a PROXY header not counted.
    pub(super) first_place: Option<Place>,
    /// Offset behind what was read.
    pub(super) next: u64,
    /// After a gap: message text may be sent, or commands, or the answer to an AUTH challenge.
    pub(super) doubt: bool,
    /// A MAIL may have been said in a gap, and the transaction may still be open.
    pub(super) hidden_mail: bool,
    /// The last gap was shorter than any MAIL and began with a line.
    pub(super) short_gap: bool,
    /// The next line may be the end of one whose beginning was lost.
    pub(super) ragged: bool,
    /// The connection was joined in the middle, and nothing has yet told that it was at its beginning.
    late: bool,
    /// AUTH was said and not yet answered to the end: a line that is no command is a secret.
    pub(super) auth_open: bool,
    /// STARTTLS was answered with 220: the next bytes tell whether TLS follows.
    pub(super) judge_tls: bool,
    /// DATA was refused; the reply ended here in the server's stream.
    pub(super) refused: Option<u64>,
    /// Bytes missing right behind a DATA command.
    pub(super) after_data_gap: u64,
    /// The DATA that is waited for was in a gap that can have held nothing else.
    pub(super) data_supposed: bool,
    /// Where the first gap in the content being sent began.
    pub(super) body_gap: Option<u64>,
    /// What the client had received when it began to send the content.
    pub(super) body_acked: Option<u64>,
    /// The content being sent belongs to a DATA that was not seen and perhaps never was.
    pub(super) supposed: bool,
    /// What the client had received when it sent its last bytes.
    pub(super) acked: Option<u64>,
    /// What the client had received when it had sent its last command.
    pub(super) last_acked: Option<u64>,
    pub(super) conduct: conduct::Watch,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            lines: Lines::default(),
            mode: Mode::Opening(Proxy::default()),
            first: FirstBytes::default(),
            first_place: None,
            next: 0,
            doubt: false,
            hidden_mail: false,
            short_gap: false,
            ragged: false,
            late: false,
            auth_open: false,
            judge_tls: false,
            refused: None,
            after_data_gap: 0,
            data_supposed: false,
            body_gap: None,
            body_acked: None,
            supposed: false,
            acked: None,
            last_acked: None,
            conduct: conduct::Watch::default(),
        }
    }
}

impl Client {
    pub(super) fn reset(&mut self) {
        let mut lines = mem::take(&mut self.lines);
        lines.clear();
        *self = Self { lines, ..Self::default() };
    }

    /// The connection is joined in the middle.
    pub(super) fn join_late(&mut self) {
        self.mode = Mode::Command;
        self.first.end();
        self.doubt = true;
        self.hidden_mail = true;
        self.ragged = true;
        self.late = true;
    }

    /// The connection is at its beginning after all.
    pub(super) fn join_at_beginning(&mut self) {
        *self = Self { lines: mem::take(&mut self.lines), ..Self::default() };
    }

    pub(super) fn is_tls(&self) -> bool {
        self.mode == Mode::Tls
    }

    /// Whether everything up to here was seen.
    pub(super) fn is_in_order(&self) -> bool {
        !self.doubt && !self.late
    }

    /// Whether a command is being sent, or is to come.
    pub(super) fn is_in_commands(&self) -> bool {
        matches!(self.mode, Mode::Opening(_) | Mode::Command | Mode::AfterData | Mode::Secret)
    }
}

impl Dialogue {
    pub(super) fn client_data<S: DialogueSink>(
        &mut self,
        mut piece: Piece<'_>,
        cx: &mut Context<'_, S>,
    ) {
        self.server_must_have_spoken(&piece.place, cx);
        self.client.acked = piece.place.acked;
        while !piece.bytes.is_empty() {
            match self.client.mode {
                Mode::Opening(proxy) => self.opening(proxy, &mut piece, cx),
                Mode::Command | Mode::AfterData | Mode::Secret => self.line(&mut piece, cx),
                Mode::Content => self.content(&mut piece, cx),
                Mode::Chunk { left, last } => self.chunk(left, last, &mut piece, cx),
                Mode::Tls => {
                    let bytes = piece.eat(usize::MAX);
                    self.client.first.keep(bytes, &mut self.session.first_bytes);
                }
            }
        }
        self.client.next = piece.place.offset;
    }

    /// The beginning of the stream: a PROXY header is skipped.
    fn opening<S: DialogueSink>(
        &mut self,
        mut proxy: Proxy,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_, S>,
    ) {
        let before = piece.place;
        self.client.first_place.get_or_insert(before);
        match proxy.read(piece) {
            ProxyEnd::More => self.client.mode = Mode::Opening(proxy),
            ProxyEnd::Found => {
                self.client.mode = Mode::Command;
                self.client.first_place = None;
            }
            ProxyEnd::Not(bytes) => {
                self.client.mode = Mode::Command;
                let place = self.client.first_place.unwrap_or(before);
                let mut replay = Piece { place, bytes };
                while !replay.bytes.is_empty() {
                    self.line(&mut replay, cx);
                }
            }
        }
    }

    /// Takes a line, or what there is of it.
    fn line<S: DialogueSink>(&mut self, piece: &mut Piece<'_>, cx: &mut Context<'_, S>) {
        self.client.first_place.get_or_insert(piece.place);
        if self.client.lines.len() < 3 && self.turns_to_tls(piece, cx) {
            return;
        }
        if self.client.mode == Mode::AfterData && self.long_line(piece, cx) {
            return;
        }
        let mut lines = mem::take(&mut self.client.lines);
        let before = piece.bytes;
        let line = lines.next(piece, cx.limits, cx.counters);
        if self.client.mode == Mode::Command {
            let eaten = before.len().saturating_sub(piece.bytes.len());
            self.client
                .first
                .keep(before.get(..eaten).unwrap_or_default(), &mut self.session.first_bytes);
        }
        if let Some(line) = line {
            self.client_line(&line, cx);
        }
        self.client.lines = lines;
    }

    /// Whether TLS begins with these bytes, or must have begun in a gap.
    fn turns_to_tls<S>(&mut self, piece: &Piece<'_>, cx: &mut Context<'_, S>) -> bool {
        let client = &self.client;
        let kept = client.lines.pending();
        let look = opening::tls(kept, piece.bytes, client.doubt);
        let hidden =
            client.judge_tls && client.doubt && piece.bytes.iter().copied().any(opening::is_binary);
        if look != TlsLook::Yes && !(hidden && look == TlsLook::No) {
            return false;
        }
        let first = piece.place.offset.saturating_sub(kept.len() as u64) == 0;
        let implicit = first && (!client.late || self.implicit_tls);
        self.encrypted(implicit, cx);
        true
    }

    /// Nothing but TLS is to come. `implicit`: from the first byte on.
    pub(super) fn encrypted<S>(&mut self, implicit: bool, cx: &mut Context<'_, S>) {
        self.session.visible = if implicit { Visible::ImplicitTls } else { Visible::UntilStarttls };
        if implicit && self.client.is_in_order() {
            self.session.conduct.foreign.get_or_insert(Foreign::Tls);
        }
        if self.session.starttls != Starttls::Unused || !implicit {
            self.session.starttls = Starttls::Established;
        }
        cx.counters.sessions_tls = cx.counters.sessions_tls.saturating_add(1);
        self.client.judge_tls = false;
        self.client.mode = Mode::Tls;
        self.client.lines.clear();
        self.pending.clear();
    }

    /// A line behind DATA that is longer than any command can be content only.
    fn long_line<S: DialogueSink>(&mut self, piece: &Piece<'_>, cx: &mut Context<'_, S>) -> bool {
        let fresh =
            memchr::memchr(b'\n', piece.bytes).map_or(piece.bytes.len(), |i| i.saturating_add(1));
        let len = self.client.lines.len().saturating_add(fresh as u64);
        if len <= cx.limits.line_bytes as u64
            || self.client.after_data_gap > 0
            || self.client.data_supposed
        {
            return false;
        }
        let first = self.client.lines.first().unwrap_or(piece.place);
        let byte = self.client.lines.pending().iter().chain(piece.bytes).next().copied();
        self.text_begins(first.acked, byte);
        self.content_without_354(first, cx);
        true
    }

    /// One line, wherever commands are sent.
    fn client_line<S: DialogueSink>(&mut self, line: &Line<'_>, cx: &mut Context<'_, S>) {
        if self.client.mode == Mode::Secret {
            self.client.mode = Mode::Command;
            return self.ask(Asked::Auth, 0, line.end, cx);
        }
        let text = line.text();
        let command = match command::parse(text) {
            // A path from a line that was cut may not be whole.
            Command::Mail(_) | Command::Rcpt(_) if line.cut => Command::Malformed,
            command => command,
        };
        let mut behind_data = false;
        if self.client.mode == Mode::AfterData {
            behind_data = self.pending.has(Asked::Data { followed: false });
            if self.client.data_supposed {
                self.data_was_not(line.first.at, cx);
            } else if mem::take(&mut self.client.after_data_gap) > 0 {
                // The content may have been in the gap, with more behind it.
                self.lose_transaction(line.first.at, cx);
            } else if !command.is_certain() {
                let knows = |end: u64| line.first.acked.is_none_or(|acked| acked >= end);
                let told = self.client.refused.is_some_and(knows);
                if !told || command::is_header_field(text) {
                    if told {
                        self.text_after_refusal();
                    } else {
                        self.text_begins(line.first.acked, text.first().copied());
                    }
                    self.content_without_354(line.first, cx);
                    if self.body_bytes(line.raw, cx).is_some() {
                        self.end_of_data(line.end, cx);
                    }
                    return;
                }
            }
            self.client.mode = Mode::Command;
        }
        if !command.is_certain() && self.is_no_command(line, cx) {
            return;
        }
        if self.client.late && line.first.offset == 0 && matches!(command, Command::Helo(..)) {
            self.client.doubt = false;
            self.pending.settle_all();
            self.settle_unknown(line.end.at, cx);
        }
        self.client.ragged = false;
        if mem::take(&mut self.client.short_gap) && matches!(command, Command::Mail(_)) {
            // The gap ended where this line begins, so no other MAIL was in it.
            self.client.hidden_mail = false;
        }
        if mem::take(&mut self.client.judge_tls) {
            self.session.starttls = Starttls::AcceptedButPlain;
        }
        if !matches!(command, Command::Unknown | Command::Malformed) {
            self.client.auth_open = false;
        }
        self.command(line, command, behind_data, cx);
    }

    /// A line that is no command for certain is something else after AUTH and after a gap.
    fn is_no_command<S: DialogueSink>(&mut self, line: &Line<'_>, cx: &mut Context<'_, S>) -> bool {
        let client = &mut self.client;
        let ragged = mem::take(&mut client.ragged);
        client.short_gap = false;
        if client.auth_open {
            if !client.doubt {
                self.ask(Asked::Auth, 0, line.end, cx);
            }
            return true;
        }
        if !client.doubt {
            return false;
        }
        if client.judge_tls {
            client.ragged = true;
        } else if !ragged {
            // Message text, by all appearances: its DATA was lost. If it is not, the server's next reply will tell.
            self.body.start();
            client.body_gap = Some(line.first.offset);
            client.body_acked = line.first.acked;
            client.supposed = self.book.current == Current::None;
            client.mode = Mode::Content;
            if self.book.current == Current::Open {
                self.lose_transaction(line.first.at, cx);
            }
            if self.body_bytes(line.raw, cx).is_some() {
                self.end_of_data(line.end, cx);
            }
        }
        true
    }

    fn command<S: DialogueSink>(
        &mut self,
        line: &Line<'_>,
        command: Command<'_>,
        behind_data: bool,
        cx: &mut Context<'_, S>,
    ) {
        let at = line.end.at;
        self.look_at_command(line, &command);
        let same_flight = self.session.commands > 0
            && matches!((self.client.last_acked, line.first.acked), (Some(last), Some(now)) if last == now);
        if same_flight || (self.server.heard && self.pending.is_waiting()) {
            self.session.pipelined = true;
        }
        self.client.last_acked = line.end.acked;
        self.session.commands = self.session.commands.saturating_add(1);
        self.pending.client_sends(line.first.acked, !self.session.pipelined);
        self.settle_unknown(at, cx);
        let mut asked = (Asked::Other, 0);
        match command {
            Command::Helo(verb, argument) => {
                self.leave_transaction(at, cx);
                self.client.hidden_mail = false;
                self.name_before();
                self.session.helo.set(argument, cx.limits.helo_bytes);
                self.session.helo_verb = Some(verb);
                self.session.helo_count = self.session.helo_count.saturating_add(1);
                if verb != HeloVerb::Helo {
                    asked.0 = Asked::Ehlo;
                }
            }
            Command::Mail(path) => {
                let doubt = self.client.doubt || behind_data;
                let unsure = self.client.hidden_mail && (self.server.heard || self.client.late);
                asked = (Asked::Mail, self.begin_transaction(line, path, doubt, unsure, cx));
            }
            Command::Rcpt(path) => {
                if self.client.doubt {
                    self.unseen_transaction(cx);
                }
                self.look_at_recipient(line, path.path);
                if let Some(t) = self.book.current()
                    && matches!(t.stage, Stage::Envelope | Stage::Asked)
                {
                    t.stage = Stage::Envelope;
                    t.refused = None;
                    if behind_data {
                        t.set_doubt(line.end.acked);
                    }
                    t.message.rcpt_to.push(path.path, cx.limits.path_bytes, cx.limits.recipients);
                }
                asked = (Asked::Rcpt, self.book.current_serial());
            }
            Command::Data => {
                if self.client.doubt {
                    self.unseen_transaction(cx);
                }
                self.look_at_data(line);
                if let Some(t) = self.book.current() {
                    t.stage = Stage::Asked;
                    t.refused = None;
                }
                self.client.refused = None;
                self.client.after_data_gap = 0;
                self.client.mode = Mode::AfterData;
                self.client.first.end();
                asked = (Asked::Data { followed: false }, self.book.current_serial());
            }
            Command::Bdat { size, last } => {
                if self.client.doubt {
                    self.unseen_transaction(cx);
                }
                self.client.first.end();
                let serial = self.book.current_serial();
                if let Some(t) = self.book.current() {
                    t.message.bdat = true;
                }
                self.begin_content(serial, Some(line.first.acked), cx);
                self.ask(Asked::Bdat { last }, serial, line.end, cx);
                return self.chunk_eaten(size, last, cx);
            }
            Command::Rset => {
                self.leave_transaction(at, cx);
                self.client.hidden_mail = false;
            }
            Command::Quit => {
                self.session.quit = true;
                self.leave_transaction(at, cx);
                asked.0 = Asked::Quit;
            }
            Command::Auth(mechanism) => {
                let auth = &mut self.session.auth;
                auth.attempts = auth.attempts.saturating_add(1);
                auth.mechanism
                    .set(command::mechanism(mechanism).unwrap_or_default(), cx.limits.helo_bytes);
                self.client.auth_open = true;
                asked.0 = Asked::Auth;
            }
            Command::Starttls => {
                self.session.starttls = Starttls::Unanswered;
                asked.0 = Asked::Starttls;
            }
            Command::Other => {}
            Command::Malformed | Command::Unknown => {
                self.session.commands_unknown = self.session.commands_unknown.saturating_add(1);
                cx.counters.commands_unknown = cx.counters.commands_unknown.saturating_add(1);
                if line.text().trim_ascii().is_empty() {
                    // Some servers answer an empty line, others do not.
                    return self.pending.push_unheard(self.server.next, cx.limits.pending_commands);
                }
            }
        }
        self.ask(asked.0, asked.1, line.end, cx);
        if matches!(command, Command::Helo(..)) {
            cx.sink.helo(at, &self.session);
        }
    }

    /// A reply is due.
    pub(super) fn ask<S: DialogueSink>(
        &mut self,
        asked: Asked,
        transaction: u32,
        end: Place,
        cx: &mut Context<'_, S>,
    ) {
        let pending = Pending { asked, transaction, acked: end.acked };
        if !self.pending.push(pending, cx.limits.pending_commands.max(2)) {
            cx.counters.pending_overflow = cx.counters.pending_overflow.saturating_add(1);
            self.session.capture |= CaptureState::LIMIT;
        }
        if !self.server.heard {
            self.pending.settle_above(UNHEARD_PENDING);
            self.settle_unknown(end.at, cx);
        }
    }

    /// No more bytes will come: a QUIT that lacks only its end is one.
    pub(super) fn client_close(&mut self) {
        let pending = self.client.lines.pending();
        let quit = command::parse(pending) == Command::Quit;
        if self.session.commands == 0 && self.client.is_in_order() {
            // Not every protocol has lines.
            let foreign = conduct::foreign(pending).filter(|&f| f != Foreign::Header);
            self.session.conduct.foreign = self.session.conduct.foreign.or(foreign);
        }
        if quit && self.client.mode == Mode::Command && !self.client.doubt {
            self.session.quit = true;
            self.session.commands = self.session.commands.saturating_add(1);
        }
    }
}

/// So many commands are remembered of a client whose server was never heard.
const UNHEARD_PENDING: usize = 32;
