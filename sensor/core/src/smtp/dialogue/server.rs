//! The server's side: replies, and what they say of the commands.

use core::mem;

use super::super::line::{Line, Lines, Piece};
use super::super::pending::{Answer, Asked, Pending};
use super::super::reply::{self, Replies, Reply};
use super::super::{CaptureState, Conduct, DialogueSink, Place, Starttls};
use super::client::Mode;
use super::conduct::Watch;
use super::opening::{self, TlsLook};
use super::transactions::{End, Stage};
use super::{Context, Dialogue};
use crate::base::Stamp;

/// The state of the server's side.
#[derive(Debug, Default)]
pub(super) struct Server {
    lines: Lines,
    replies: Replies,
    /// Offset behind what was read or lost.
    pub(super) next: u64,
    /// Any byte of it was seen.
    pub(super) heard: bool,
    /// Offset behind the last reply that was read to its end.
    pub(super) replied_until: u64,
    /// The next line may be the end of one whose beginning was lost; the loss ended here.
    ragged: Option<u64>,
    /// Bytes were lost since the content being sent began.
    pub(super) lost_in_content: bool,
}

impl Server {
    pub(super) fn reset(&mut self) {
        let mut lines = mem::take(&mut self.lines);
        lines.clear();
        *self = Self { lines, ..Self::default() };
    }

    /// The connection is joined in the middle.
    pub(super) fn join_late(&mut self) {
        self.replies.gap();
        self.ragged = Some(0);
    }
}

impl Dialogue {
    pub(super) fn server_data<S: DialogueSink>(
        &mut self,
        mut piece: Piece<'_>,
        cx: &mut Context<'_, S>,
    ) {
        self.server.heard = true;
        self.look_at_plain_answer(&piece);
        let end = piece.place.offset.saturating_add(piece.bytes.len() as u64);
        while !piece.bytes.is_empty()
            && !self.client.is_tls()
            && !self.server_turns_to_tls(&piece, cx)
        {
            let mut lines = mem::take(&mut self.server.lines);
            if let Some(line) = lines.next(&mut piece, cx.limits, cx.counters) {
                self.server.next = line.end.offset;
                self.server_line(&line, cx);
            }
            self.server.lines = lines;
        }
        self.server.next = end;
    }

    /// Whether the server speaks TLS although the client was not seen to: its hello was lost.
    fn server_turns_to_tls<S>(&mut self, piece: &Piece<'_>, cx: &mut Context<'_, S>) -> bool {
        let kept = self.server.lines.pending();
        let first = piece.place.offset.saturating_sub(kept.len() as u64) == 0;
        let unseen = self.client.first_place.is_none() && !first;
        let expected = self.client.doubt || self.client.judge_tls || unseen;
        if !expected || self.server.lines.len() >= 3 {
            return false;
        }
        if opening::tls(kept, piece.bytes, true) != TlsLook::Yes {
            return false;
        }
        self.encrypted(first && self.implicit_tls, cx);
        self.server.lines.clear();
        true
    }

    /// A proxy granted the client's CONNECT (RFC 9110 section 9.3.6): the greeting is still to come, and what was said
    /// so far was said to the proxy.
    fn tunnel_opens<S>(&mut self, line: &Line<'_>, cx: &mut Context<'_, S>) -> bool {
        let session = &mut self.session;
        let asked = session.first_bytes.as_bytes().starts_with(b"CONNECT ")
            && session.commands == session.commands_unknown;
        if line.first.offset != 0 || !asked || !reply::grants_tunnel(line.text()) {
            return false;
        }
        session.pipelined = false;
        session.conduct = Conduct::default();
        self.client.conduct = Watch::default();
        self.pending.clear();
        let greeting = Pending { asked: Asked::Greeting, transaction: 0, acked: None };
        self.pending.push(greeting, cx.limits.pending_commands.max(2));
        true
    }

    fn server_line<S: DialogueSink>(&mut self, line: &Line<'_>, cx: &mut Context<'_, S>) {
        let text = line.text();
        if self.tunnel_opens(line, cx) {
            return;
        }
        if self.session.banner.is_empty() && self.session.greeting_code.is_none() {
            let word = reply::greeting_name(text);
            self.session.banner.set(word.unwrap_or_default(), cx.limits.helo_bytes);
        }
        if let Some(end) = self.server.ragged.take() {
            // The end of a lost line may look like a reply. This one begins a reply if a client that had received just
            // what was lost went on to speak, or if it greets before the client has spoken.
            let spoken = self.client.acked == Some(end) && self.client.next > 0;
            let greets = self.session.capture.contains(CaptureState::JOINED_LATE)
                && end == 0
                && self.client.next == 0
                && text.starts_with(b"220");
            if line.first.offset != end || !(spoken || greets) {
                // Whether it was a reply or the end of one, it belongs to what is lost.
                self.server.lost_in_content = true;
                return self.pending.server_gap(line.end.offset);
            }
            self.server.replies.set_clean();
            if greets {
                self.client.join_at_beginning();
                self.pending.clear();
                let greeting = Pending { asked: Asked::Greeting, transaction: 0, acked: None };
                self.pending.push(greeting, cx.limits.pending_commands.max(2));
            }
        }
        if let Some(reply) =
            self.server.replies.line(text, line.first, line.end, cx.limits.reply_lines)
        {
            cx.counters.replies_cut += u64::from(reply.cut);
            self.reply(&reply, cx);
            self.server.replied_until = reply.end.offset;
        }
    }

    fn reply<S: DialogueSink>(&mut self, reply: &Reply, cx: &mut Context<'_, S>) {
        let session = &mut self.session;
        session.last_reply_code = Some(reply.code);
        match reply.code {
            400..500 => session.errors_4xx = session.errors_4xx.saturating_add(1),
            500.. => session.errors_5xx = session.errors_5xx.saturating_add(1),
            _ => {}
        }
        session.said_421 |= reply.code == 421;
        let late = session.capture.contains(CaptureState::JOINED_LATE);
        if late
            && reply.code == 220
            && reply.first.offset == 0
            && !self.pending.has(Asked::Starttls)
        {
            // A client that was seen to speak first, or else the greeting would not come now.
            let greeting = Pending { asked: Asked::Greeting, transaction: 0, acked: None };
            return self.settle(greeting, Some(reply), reply.end.at, cx);
        }
        if self.client.mode == Mode::Content
            && self.client.body_gap.is_some()
            && reply.code != 354
            && self.pending.data_is_doubtful()
        {
            // It answers DATA, or the end of data that was in the gap.
            self.pending.settle_all();
            self.settle_unknown(reply.end.at, cx);
        }
        let answer = self.pending.answer(reply.code, reply.first.offset);
        self.settle_unknown(reply.end.at, cx);
        match answer {
            Answer::To(pending) => {
                self.settle(pending, Some(reply), reply.end.at, cx);
                if !self.pending.has_unheard() && self.client.is_in_commands() {
                    self.client.doubt = false;
                }
            }
            Answer::Unheard | Answer::Unclear | Answer::None => {
                if self.client.mode == Mode::Content {
                    self.reply_in_content(reply, cx);
                } else if answer == Answer::Unheard {
                    self.answer_unheard(reply, cx);
                }
                if answer == Answer::None {
                    cx.counters.replies_unmatched = cx.counters.replies_unmatched.saturating_add(1);
                }
            }
        }
    }

    /// What a reply to a command that was not seen says of that command.
    fn answer_unheard<S: DialogueSink>(&mut self, reply: &Reply, cx: &mut Context<'_, S>) {
        match reply.code {
            354 if self.client.is_in_commands() => {
                self.lose_transaction(reply.end.at, cx);
                self.unseen_transaction(cx);
                self.client.after_data_gap = 0;
                self.pending.settle_all();
                self.settle_unknown(reply.end.at, cx);
                self.content_after_354(0, cx);
                self.client.body_gap = Some(self.client.next);
                self.server.lost_in_content = false;
            }
            334 if self.client.is_in_commands() => {
                self.client.mode = Mode::Secret;
                self.client.hidden_mail = false;
            }
            235 => {
                self.session.auth.succeeded = true;
                self.client.hidden_mail = false;
            }
            _ => {}
        }
    }

    /// A reply came while content is being sent, and no command waits for one.
    fn reply_in_content<S: DialogueSink>(&mut self, reply: &Reply, cx: &mut Context<'_, S>) {
        let reached = |offset: u64| reply.end.acked.is_none_or(|acked| acked > offset);
        if reply.code == 354 {
            return;
        }
        if self.client.body_gap.is_some_and(reached) {
            let end =
                if self.server.lost_in_content { End::Unseen } else { End::Answer(reply.code) };
            return self.content_ended_unseen(end, reply.first.offset, &reply.end, cx);
        }
        let all_received = reply.end.acked.is_none_or(|acked| acked >= self.client.next);
        if let Some(loose) = self.body.loose_end()
            && all_received
        {
            // This server takes a dot between bare LFs for the end of data.
            let serial = self.book.current_serial();
            if let Some(t) = self.book.current() {
                t.message.size = loose.size;
            }
            self.finish_content(cx);
            let end = match loose.empty_lines && self.server.lost_in_content {
                true => End::Unseen,
                false => End::Answer(reply.code),
            };
            self.end_transaction(serial, end, reply.end.at, cx);
            self.client.mode = Mode::Command;
        } else if reply.code >= 400
            && let Some(t) = self.book.current()
        {
            // It refuses before it has read the end.
            t.refused.get_or_insert(reply.code);
        }
    }

    /// A command is answered: with a reply, or in a way that was not seen.
    pub(super) fn settle<S: DialogueSink>(
        &mut self,
        pending: Pending,
        reply: Option<&Reply>,
        at: Stamp,
        cx: &mut Context<'_, S>,
    ) {
        let code = reply.map(|r| r.code);
        let serial = pending.transaction;
        self.look_at_reply(pending, reply);
        match (pending.asked, code) {
            (Asked::Greeting, Some(code)) => {
                self.session.greeting_code = Some(code);
                if let Some(first) = reply.map(|r| r.first)
                    && first.offset == 0
                    && !self.session.capture.contains(CaptureState::JOINED_LATE)
                {
                    self.session.greeting_delay = Some(first.at.since(self.session.flow.start));
                }
                cx.sink.greeted(at, &self.session, code);
            }
            (Asked::Ehlo, Some(200..300)) => {
                if let Some(reply) = reply.filter(|r| r.whole) {
                    self.session.ehlo_accepted = true;
                    self.session.capabilities = reply.capabilities;
                }
            }
            (Asked::Mail, code) => self.mail_answered(serial, code, at, cx),
            (Asked::Rcpt, Some(code)) => {
                if let Some(t) = self.book.get(serial) {
                    let count = match code {
                        400.. => &mut t.message.rcpt_rejected,
                        _ => &mut t.message.rcpt_accepted,
                    };
                    *count = count.saturating_add(1);
                }
            }
            (Asked::Data { followed: true }, Some(354)) => self.begin_content(serial, None, cx),
            (Asked::Data { followed: false }, Some(354)) => {
                self.server.lost_in_content = false;
                self.content_after_354(serial, cx);
            }
            (Asked::Data { .. }, _) if self.client.data_supposed => self.data_was_not(at, cx),
            (Asked::Data { followed: true }, Some(400..))
                if self.server.lost_in_content && self.client.mode == Mode::Content =>
            {
                // Perhaps it answers what a server reads behind an end of data that it alone has seen.
            }
            (Asked::Data { .. }, Some(code @ 400..)) => {
                self.data_refused(serial, code, reply.map(|r| r.end), cx)
            }
            (Asked::Bdat { last }, code) => {
                if let (Some(t), Some(code @ 400..)) = (self.book.get(serial), code) {
                    t.refused.get_or_insert(code);
                }
                if last {
                    self.data_answered(serial, code, at, cx);
                }
            }
            (Asked::EndOfData, code) => {
                let answered = self.data_answered(serial, code, at, cx);
                if !answered {
                    self.pending.again(pending);
                }
            }
            (Asked::Auth, Some(code)) => self.auth_answered(code),
            (Asked::Starttls, Some(220)) => self.client.judge_tls = true,
            (Asked::Starttls, Some(400..)) => self.session.starttls = Starttls::Refused,
            _ => {}
        }
    }

    fn auth_answered(&mut self, code: u16) {
        let answered_ahead = self.pending.has(Asked::Auth);
        if matches!(code, 235 | 334) {
            // Not within a transaction (RFC 4954 section 4).
            self.client.hidden_mail = false;
        }
        match code {
            334 if !answered_ahead && self.client.mode == Mode::Command => {
                self.client.auth_open = true;
                self.client.mode = Mode::Secret;
            }
            334 => {}
            code => {
                self.client.auth_open &= answered_ahead;
                let auth = &mut self.session.auth;
                auth.succeeded |= code == 235;
                if code >= 500 {
                    auth.failed = auth.failed.saturating_add(1);
                }
            }
        }
    }

    fn data_refused<S: DialogueSink>(
        &mut self,
        serial: u32,
        code: u16,
        place: Option<Place>,
        cx: &mut Context<'_, S>,
    ) {
        let Some(place) = place else { return };
        let mut lost = false;
        if self.client.mode == Mode::AfterData {
            self.client.refused = Some(place.offset);
            self.client.conduct.data_refused = code;
            if mem::take(&mut self.client.after_data_gap) > 0 {
                // What the client said behind DATA was not content, then; but it is lost.
                self.client.mode = Mode::Command;
                lost = true;
            }
        }
        let Some(t) = self.book.get(serial) else { return };
        t.refused = Some(code);
        if lost {
            self.end_transaction(serial, End::Left, place.at, cx);
        } else if t.stage == Stage::Ended {
            // The text was sent unasked, to its end: the server answers it as it likes.
            self.end_transaction(serial, End::Left, place.at, cx);
            self.pending.unhear(serial);
        }
    }

    /// `len` bytes of the server are missing.
    pub(super) fn server_gap(&mut self, place: Place, len: u64) {
        let end = place.offset.saturating_add(len);
        self.server.next = end;
        self.server.lines.clear();
        self.server.replies.gap();
        self.server.ragged = Some(end);
        self.server.lost_in_content = true;
        self.pending.server_gap(end);
    }
}
