//! Gaps in the client's bytes: what each one costs.
//!
//! In content it costs content. Among commands it costs the transaction that was open, for RCPT, RSET or a whole other
//! transaction may have been in it; and until the dialogue is clear again, what looks like commands may be message text.

use super::super::pending::Asked;
use super::super::{DialogueSink, Place};
use super::client::Mode;
use super::transactions::{Current, End, Stage};
use super::{Context, Dialogue};
use crate::base::Stamp;

impl Dialogue {
    pub(super) fn client_gap<S: DialogueSink>(
        &mut self,
        place: Place,
        len: u64,
        cx: &mut Context<'_, S>,
    ) {
        let end = place.offset.saturating_add(len);
        self.client.next = end;
        self.client.first.end();
        match self.client.mode {
            Mode::Tls => {}
            Mode::Content => {
                self.client.lines.clear();
                self.client.body_gap.get_or_insert(place.offset);
                self.body.gap(len);
                self.content_gap(len, cx);
            }
            Mode::Chunk { left, last } => {
                self.content_gap(len.min(left), cx);
                self.chunk_eaten(left.saturating_sub(len), last, cx);
                if len > left {
                    self.commands_lost(place, cx);
                }
            }
            Mode::AfterData if self.client.refused.is_none() && !self.client.data_supposed => {
                // Content, if the server's answer to DATA says so.
                self.client.lines.clear();
                self.client.after_data_gap = self.client.after_data_gap.saturating_add(len);
                self.doubt(cx);
            }
            Mode::Opening(_) | Mode::Command | Mode::AfterData | Mode::Secret => {
                if self.client.lines.pending().starts_with(&[0x16]) {
                    return self.encrypted(place.offset < 3, cx);
                }
                if self.may_be_data(len) {
                    return self.suppose_data(place, cx);
                }
                // What is shorter than any MAIL has none in it, unless it ends one that had begun.
                const SHORTEST_MAIL: u64 = b"MAIL FROM:x\n".len() as u64;
                let short = !self.client.hidden_mail
                    && self.book.current == Current::None
                    && self.client.mode == Mode::Command
                    && !self.client.lines.is_open()
                    && len < SHORTEST_MAIL;
                self.client.mode = Mode::Command;
                self.commands_lost(place, cx);
                self.client.short_gap = short;
            }
        }
    }

    /// A gap of this length, where a command is due, holds DATA if it holds only one command and 354 comes: no other
    /// that is so short, and no two, are answered so. Then the envelope is whole.
    pub(super) fn may_be_data(&mut self, len: u64) -> bool {
        const SHORTEST: u64 = b"DATA\n".len() as u64;
        const TWO: u64 = 2 * SHORTEST;
        let in_order =
            self.client.mode == Mode::Command && !self.client.doubt && !self.client.lines.is_open();
        let whole = self
            .book
            .current()
            .is_some_and(|t| t.stage == Stage::Envelope && t.message.rcpt_to.total() > 0);
        in_order && whole && (SHORTEST..TWO).contains(&len)
    }

    /// Waits for what the server says to what was in the gap.
    pub(super) fn suppose_data<S: DialogueSink>(&mut self, place: Place, cx: &mut Context<'_, S>) {
        let serial = self.book.current_serial();
        if let Some(t) = self.book.current() {
            t.stage = Stage::Asked;
        }
        self.client.data_supposed = true;
        self.client.refused = None;
        self.client.after_data_gap = 0;
        self.client.mode = Mode::AfterData;
        self.ask(Asked::Data { followed: false }, serial, Place { acked: None, ..place }, cx);
    }

    /// It was no DATA that was in the gap, or nobody knows.
    pub(super) fn data_was_not<S: DialogueSink>(&mut self, at: Stamp, cx: &mut Context<'_, S>) {
        self.client.data_supposed = false;
        self.client.mode = Mode::Command;
        self.lose_transaction(at, cx);
        self.doubt(cx);
    }

    /// Any commands may have been said in a gap.
    pub(super) fn commands_lost<S: DialogueSink>(&mut self, place: Place, cx: &mut Context<'_, S>) {
        self.client.lines.clear();
        self.client.data_supposed = false;
        let serial = self.book.current_serial();
        match self.book.current().map(|t| (t.stage, t.refused)) {
            Some((Stage::Content, _)) => {
                // Between the chunks of BDAT: it is the content that is not whole.
                if let Some(t) = self.book.current() {
                    t.message.content_partial = true;
                }
                self.end_transaction(serial, End::Unseen, place.at, cx);
                self.book.current = Current::Lost;
            }
            Some((Stage::Asked, Some(_))) => self.end_transaction(serial, End::Left, place.at, cx),
            Some(_) => self.lose_transaction(place.at, cx),
            None => {}
        }
        self.doubt(cx);
    }

    pub(super) fn doubt<S>(&mut self, cx: &mut Context<'_, S>) {
        self.client.doubt = true;
        self.client.hidden_mail = true;
        self.client.ragged = true;
        self.pending.push_unheard(self.server.next, cx.limits.pending_commands);
    }
}
