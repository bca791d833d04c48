//! The content of a message: where it begins, what of it goes where, and where it ends.
//!
//! It begins with 354; or, where that was not seen, with text behind DATA. It ends with CRLF.CRLF, with the bytes that
//! BDAT announced, or, where the end was in a gap, with the server's answer to it.

use core::mem;

use super::super::DialogueSink;
use super::super::Place;
use super::super::line::Piece;
use super::super::pending::Asked;
use super::client::Mode;
use super::transactions::End;
use super::{Context, Dialogue};

impl Dialogue {
    /// Text follows a DATA that was not answered with 354, as far as was seen.
    pub(super) fn content_without_354<S: DialogueSink>(
        &mut self,
        first: Place,
        cx: &mut Context<'_, S>,
    ) {
        let serial = self.book.current_serial();
        self.begin_content(serial, Some(first.acked), cx);
        self.pending.data_followed();
        self.pending.client_sends(first.acked, !self.session.pipelined);
        self.settle_unknown(first.at, cx);
        self.server.lost_in_content = self.pending.data_is_doubtful();
        self.client.body_acked = first.acked;
        self.body.start();
        self.client.body_gap = None;
        self.client.supposed = false;
        self.client.first.end();
        self.client.mode = Mode::Content;
    }

    /// The server asked for the content of this transaction, before any of it was seen.
    pub(super) fn content_after_354<S: DialogueSink>(
        &mut self,
        serial: u32,
        cx: &mut Context<'_, S>,
    ) {
        self.begin_content(serial, None, cx);
        self.client.data_supposed = false;
        if self.client.mode == Mode::Command {
            // What was taken for commands behind DATA was text to the server.
            self.pending.clear();
        }
        self.body.start();
        self.client.body_gap = None;
        self.client.body_acked = None;
        self.client.supposed = false;
        self.client.first.end();
        self.client.mode = Mode::Content;
        let missing = mem::take(&mut self.client.after_data_gap);
        if missing > 0 {
            self.client.body_gap = Some(self.client.next.saturating_sub(missing));
            self.body.gap(missing);
            self.content_gap(missing, cx);
        }
    }

    pub(super) fn content<S: DialogueSink>(
        &mut self,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_, S>,
    ) {
        if self.client.lines.is_open() {
            // 354 came, or the text was too long for a line, when a line had begun. It has no end, so no end of data.
            let mut lines = mem::take(&mut self.client.lines);
            if let Some(first) = lines.first() {
                self.text_begins(first.acked, lines.pending().first().copied());
            }
            self.body_bytes(lines.pending(), cx);
            lines.clear();
            self.client.lines = lines;
        }
        if self.client.body_acked.is_none() {
            self.client.body_acked = piece.place.acked;
            self.text_begins(piece.place.acked, piece.bytes.first().copied());
        }
        match self.body_bytes(piece.bytes, cx) {
            Some(end) => {
                piece.eat(end);
                self.end_of_data(piece.place, cx);
            }
            None => {
                piece.eat(usize::MAX);
            }
        }
    }

    /// CRLF.CRLF was read.
    pub(super) fn end_of_data<S: DialogueSink>(&mut self, place: Place, cx: &mut Context<'_, S>) {
        let serial = self.book.current_serial();
        let refused = self.book.current().is_some_and(|t| t.refused.is_some());
        let unwanted = self.book.current().is_some_and(|t| t.is_unwanted());
        if mem::take(&mut self.client.supposed) {
            self.unseen_transaction(cx);
        }
        self.look_at_text();
        self.finish_content(cx);
        self.client.mode = Mode::Command;
        self.client.body_gap = None;
        self.client.last_acked = place.acked;
        self.client.conduct.asked(place.acked);
        if unwanted {
            // DATA without a recipient is refused (RFC 5321 section 3.3), and the transaction stays open.
            self.reopen_transaction(serial);
            self.pending.push_unheard(self.server.next, cx.limits.pending_commands);
        } else if refused {
            // A server that refused reads the text as commands and answers line by line, or once, or not at all.
            self.end_transaction(serial, End::Left, place.at, cx);
            self.pending.push_unheard(self.server.next, cx.limits.pending_commands);
        } else {
            self.ask(Asked::EndOfData, serial, place, cx);
        }
    }

    pub(super) fn chunk<S: DialogueSink>(
        &mut self,
        left: u64,
        last: bool,
        piece: &mut Piece<'_>,
        cx: &mut Context<'_, S>,
    ) {
        let bytes = piece.eat(usize::try_from(left).unwrap_or(usize::MAX));
        self.content_bytes(bytes, cx);
        self.chunk_eaten(left.saturating_sub(bytes.len() as u64), last, cx);
    }

    pub(super) fn chunk_eaten<S: DialogueSink>(
        &mut self,
        left: u64,
        last: bool,
        cx: &mut Context<'_, S>,
    ) {
        self.client.mode = Mode::Chunk { left, last };
        if left == 0 {
            self.client.mode = Mode::Command;
            if last {
                self.finish_content(cx);
            }
        }
    }

    /// Content with a gap is being sent, and the client has received something of the server that we have not: that can
    /// only be the answer to the end of data, which was in the gap.
    pub(super) fn server_must_have_spoken<S: DialogueSink>(
        &mut self,
        place: &Place,
        cx: &mut Context<'_, S>,
    ) {
        if self.client.mode != Mode::Content || self.client.body_gap.is_none() {
            return;
        }
        let since = self.server.replied_until.max(self.client.body_acked.unwrap_or(0));
        if place.acked.is_some_and(|acked| acked > since) {
            self.content_ended_unseen(End::Unseen, since, place, cx);
        }
    }

    /// The content ended in a gap. What follows are commands.
    pub(super) fn content_ended_unseen<S: DialogueSink>(
        &mut self,
        end: End,
        since: u64,
        place: &Place,
        cx: &mut Context<'_, S>,
    ) {
        // Only what the server said is no refusal of a command can have been content.
        if mem::take(&mut self.client.supposed) && !matches!(end, End::Answer(500..)) {
            self.unseen_transaction(cx);
        }
        let serial = self.book.current_serial();
        self.finish_content(cx);
        self.end_transaction(serial, end, place.at, cx);
        self.pending.settle_all();
        self.settle_unknown(place.at, cx);
        self.pending.push_unheard(since, cx.limits.pending_commands);
        self.client.mode = Mode::Command;
        self.client.body_gap = None;
        self.client.doubt = true;
        self.client.hidden_mail = true;
        self.client.ragged = true;
    }
}
