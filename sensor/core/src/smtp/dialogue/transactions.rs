//! Transactions: from MAIL to the answer to the end of data.
//!
//! Several can be open at once, for a client may begin the next before the last is answered. At most one of them, the
//! newest, is *current*: commands and content belong to it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::super::command::Path;
use super::super::line::Line;
use super::super::{Close, Content, DialogueSink, HeloVerb, Message, Outcome};
use super::{Context, Dialogue};
use crate::base::Stamp;

/// How far a transaction has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// MAIL, and perhaps RCPT.
    #[default]
    Envelope,
    /// DATA was said.
    Asked,
    /// Content comes.
    Content,
    /// The content ended, the answer is awaited.
    Ended,
}

/// What ended a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The answer to the end of data.
    Answer(u16),
    /// That answer was not seen.
    Unseen,
    /// The client did not go on with it.
    Left,
}

/// One transaction.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) serial: u32,
    pub(super) message: Message,
    pub(super) stage: Stage,
    /// MAIL was refused.
    pub(super) mail_refused: bool,
    /// DATA, BDAT or the content was refused with this code before it ended.
    pub(super) refused: Option<u16>,
    /// Another MAIL was said, not yet answered: a server refuses it and stays with this one (RFC 5321 section 4.1.4).
    suspended: bool,
    /// Message text may have been taken for commands; what the client had then received.
    doubt: Option<u64>,
    /// A transaction may have been open when MAIL was said, so that it counts only if MAIL was answered with 2xx.
    unsure: bool,
    /// More content is wanted by the sink.
    wanted: bool,
    /// The sink was told that content begins, and not yet that it ended.
    told: bool,
    /// Content came, or 354.
    began: bool,
    /// 354 came, or BDAT was used.
    asked_for: bool,
    /// Recipients whose answer to the end of data (RFC 2033) has not come.
    answers: u32,
}

impl Transaction {
    /// Message text may have been taken for commands; what the client had then received.
    pub(super) fn set_doubt(&mut self, acked: Option<u64>) {
        self.doubt = Some(acked.unwrap_or(u64::MAX));
    }

    /// Whether content was sent although there is no recipient, and no 354 was seen.
    pub(super) fn is_unwanted(&self) -> bool {
        !self.asked_for && self.message.rcpt_to.total() == 0
    }
}

/// To what commands and content belong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Current {
    /// No transaction.
    #[default]
    None,
    /// One that a gap has hit; it is counted.
    Lost,
    /// The newest in the book.
    Open,
}

/// The transactions of a connection that are not settled, oldest first.
#[derive(Debug, Default)]
pub(super) struct Book {
    open: VecDeque<Transaction>,
    spare: Vec<Transaction>,
    pub(super) current: Current,
    serial: u32,
}

impl Book {
    pub(super) fn clear(&mut self) {
        while let Some(transaction) = self.open.pop_front() {
            self.recycle(transaction);
        }
        self.current = Current::None;
        self.serial = 0;
    }

    /// How many are open.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// The transaction to which commands and content belong.
    pub(super) fn current(&mut self) -> Option<&mut Transaction> {
        match self.current {
            Current::Open => self.open.back_mut(),
            Current::None | Current::Lost => None,
        }
    }

    /// Its number; 0 where there is none.
    pub(super) fn current_serial(&mut self) -> u32 {
        self.current().map_or(0, |t| t.serial)
    }

    fn find(&self, serial: u32) -> Option<usize> {
        self.open.iter().position(|t| t.serial == serial)
    }

    pub(super) fn get(&mut self, serial: u32) -> Option<&mut Transaction> {
        self.open.iter_mut().find(|t| t.serial == serial)
    }

    fn take(&mut self, serial: u32) -> Option<Transaction> {
        let index = self.find(serial)?;
        if self.current == Current::Open && index.saturating_add(1) == self.open.len() {
            self.current = Current::None;
        }
        self.open.remove(index)
    }

    fn recycle(&mut self, transaction: Transaction) {
        // One is enough for a client that waits for answers.
        if self.spare.len() < 2 {
            self.spare.push(transaction);
        }
    }
}

impl Dialogue {
    /// MAIL was said.
    pub(super) fn begin_transaction<S: DialogueSink>(
        &mut self,
        line: &Line<'_>,
        path: Path<'_>,
        doubt: bool,
        unsure: bool,
        cx: &mut Context<'_, S>,
    ) -> u32 {
        let mut unsure = unsure;
        let before = self.book.current().map(|t| (t.serial, t.stage, t.mail_refused));
        match before {
            Some((_, Stage::Envelope | Stage::Asked, false)) => {
                self.drop_suspended(line.end.at, cx);
                if let Some(t) = self.book.current() {
                    t.suspended = true;
                }
                unsure = true;
            }
            Some((serial, ..)) => self.end_transaction(serial, End::Left, line.end.at, cx),
            None => {}
        }
        while self.book.open.len() >= cx.limits.waiting_transactions.max(2) {
            let Some(oldest) = self.book.open.front().map(|t| t.serial) else { break };
            cx.counters.transactions_early = cx.counters.transactions_early.saturating_add(1);
            self.end_transaction(oldest, End::Unseen, line.end.at, cx);
        }
        let mut t = self.book.spare.pop().unwrap_or_default();
        let mut message = core::mem::take(&mut t.message);
        message.reset();
        self.book.serial = self.book.serial.wrapping_add(1).max(1);
        message.number = self.session.transactions;
        message.start = line.first.at;
        message.mail_from.set(path.path, cx.limits.path_bytes);
        message.mail_parameters.set(path.parameters, cx.limits.path_bytes);
        t = Transaction { serial: self.book.serial, message, unsure, ..Transaction::default() };
        if doubt {
            t.set_doubt(line.end.acked);
        }
        self.session.transactions = self.session.transactions.saturating_add(1);
        self.book.open.push_back(t);
        self.book.current = Current::Open;
        self.book.serial
    }

    /// A gap has hit the current transaction.
    pub(super) fn lose_transaction<S: DialogueSink>(&mut self, at: Stamp, cx: &mut Context<'_, S>) {
        let serial = self.book.current_serial();
        if let Some(mut t) = self.book.take(serial) {
            self.end_content(&mut t, cx);
            self.count_partial(cx);
            self.book.recycle(t);
            self.book.current = Current::Lost;
        }
        self.drop_suspended(at, cx);
    }

    /// Something belongs to a transaction whose MAIL was lost.
    pub(super) fn unseen_transaction<S>(&mut self, cx: &mut Context<'_, S>) {
        if self.book.current == Current::None {
            self.session.transactions = self.session.transactions.saturating_add(1);
            self.count_partial(cx);
            self.book.current = Current::Lost;
        }
    }

    fn count_partial<S>(&mut self, cx: &mut Context<'_, S>) {
        self.session.transactions_partial = self.session.transactions_partial.saturating_add(1);
        cx.counters.transactions_partial = cx.counters.transactions_partial.saturating_add(1);
    }

    /// The client does not go on with the current transaction: RSET, HELO, QUIT, or the connection ended.
    pub(super) fn leave_transaction<S: DialogueSink>(
        &mut self,
        at: Stamp,
        cx: &mut Context<'_, S>,
    ) {
        self.drop_suspended(at, cx);
        let serial = self.book.current_serial();
        self.end_transaction(serial, End::Left, at, cx);
        self.book.current = Current::None;
    }

    /// MAIL was answered.
    pub(super) fn mail_answered<S: DialogueSink>(
        &mut self,
        serial: u32,
        code: Option<u16>,
        at: Stamp,
        cx: &mut Context<'_, S>,
    ) {
        let suspended = self.book.open.iter().any(|t| t.suspended);
        match code {
            Some(400..) => {
                let Some(t) = self.book.get(serial) else { return };
                t.mail_refused = true;
                let is_current = self.book.current_serial() == serial;
                let nothing_more =
                    self.book.get(serial).is_some_and(|t| t.message.rcpt_to.total() == 0);
                if suspended
                    && is_current
                    && nothing_more
                    && let Some(t) = self.book.take(serial)
                {
                    self.book.recycle(t);
                    if let Some(older) = self.book.open.back_mut() {
                        older.suspended = false;
                        self.book.current = Current::Open;
                    }
                } else {
                    self.drop_suspended(at, cx);
                }
            }
            Some(_) => {
                self.client.hidden_mail = false;
                if let Some(t) = self.book.get(serial) {
                    t.unsure = false;
                }
                self.drop_suspended(at, cx);
            }
            None if suspended => {
                // Which of the two the server went on with is not known.
                self.drop_suspended(at, cx);
                if self.book.current_serial() == serial {
                    self.lose_transaction(at, cx);
                }
            }
            None => {}
        }
    }

    fn drop_suspended<S: DialogueSink>(&mut self, at: Stamp, cx: &mut Context<'_, S>) {
        while let Some(serial) = self.book.open.iter().find(|t| t.suspended).map(|t| t.serial) {
            self.end_transaction(serial, End::Left, at, cx);
        }
    }

    /// Content of the current transaction begins, or is about to. `acked`: what the client had received when it sent the
    /// first of it; `None` when the server's 354 says it.
    pub(super) fn begin_content<S: DialogueSink>(
        &mut self,
        serial: u32,
        acked: Option<Option<u64>>,
        cx: &mut Context<'_, S>,
    ) {
        let Some(t) = self.book.get(serial) else { return };
        // Message text cannot make the server speak: where it spoke, these are commands.
        let confirmed = match (acked, t.doubt) {
            (None, _) => true,
            (Some(acked), Some(then)) => acked.is_some_and(|acked| acked > then),
            (Some(_), None) => true,
        };
        if confirmed {
            t.doubt = None;
        }
        t.began = true;
        t.asked_for |= acked.is_none() || t.message.bdat;
        if t.stage == Stage::Envelope || t.stage == Stage::Asked {
            t.stage = Stage::Content;
        }
        if !t.told && t.stage == Stage::Content {
            t.told = true;
            t.wanted = cx.sink.content(&self.session, &mut t.message, Content::Start);
        }
    }

    /// Bytes of content as the author wrote them.
    pub(super) fn content_bytes<S: DialogueSink>(&mut self, bytes: &[u8], cx: &mut Context<'_, S>) {
        if let Some(t) = self.book.current() {
            t.message.size = t.message.size.saturating_add(bytes.len() as u64);
            if t.wanted {
                t.wanted = cx.sink.content(&self.session, &mut t.message, Content::Bytes(bytes));
            }
        }
    }

    /// Bytes of DATA as sent. Some: the content ended behind so many of them.
    pub(super) fn body_bytes<S: DialogueSink>(
        &mut self,
        bytes: &[u8],
        cx: &mut Context<'_, S>,
    ) -> Option<usize> {
        let session = &self.session;
        match self.book.current() {
            Some(t) => {
                let Transaction { message, wanted, .. } = t;
                let end = self.body.feed(bytes, |slice| {
                    if *wanted {
                        *wanted = cx.sink.content(session, message, Content::Bytes(slice));
                    }
                });
                t.message.size = self.body.size();
                end
            }
            None => self.body.feed(bytes, |_| ()),
        }
    }

    /// Bytes of content are missing.
    pub(super) fn content_gap<S: DialogueSink>(&mut self, len: u64, cx: &mut Context<'_, S>) {
        if let Some(t) = self.book.current() {
            t.message.content_partial = true;
            t.message.size = t.message.size.saturating_add(len);
            if t.told {
                cx.sink.content(&self.session, &mut t.message, Content::Gap(len));
            }
        }
    }

    /// The content of the current transaction ended.
    pub(super) fn finish_content<S: DialogueSink>(&mut self, cx: &mut Context<'_, S>) {
        let serial = self.book.current_serial();
        let lmtp = self.session.helo_verb == Some(HeloVerb::Lhlo);
        if let Some(t) = self.book.get(serial) {
            t.stage = Stage::Ended;
            let recipients = t.message.rcpt_to.total().saturating_sub(t.message.rcpt_rejected);
            t.answers = if lmtp { recipients } else { 1 };
            if t.told {
                t.told = false;
                cx.sink.content(&self.session, &mut t.message, Content::End);
            }
        }
        self.book.current = Current::None;
    }

    /// The content was not taken as such: the envelope is still being said.
    pub(super) fn reopen_transaction(&mut self, serial: u32) {
        if let Some(t) = self.book.get(serial) {
            t.stage = Stage::Envelope;
            t.began = false;
            t.message.size = 0;
            self.book.current = Current::Open;
        }
    }

    fn end_content<S: DialogueSink>(&mut self, t: &mut Transaction, cx: &mut Context<'_, S>) {
        if core::mem::take(&mut t.told) {
            cx.sink.content(&self.session, &mut t.message, Content::End);
        }
    }

    /// The end of data was answered. `false`: another answer is to come.
    pub(super) fn data_answered<S: DialogueSink>(
        &mut self,
        serial: u32,
        code: Option<u16>,
        at: Stamp,
        cx: &mut Context<'_, S>,
    ) -> bool {
        if let Some(t) = self.book.get(serial)
            && t.answers > 1
            && let Some(code) = code
        {
            t.answers = t.answers.saturating_sub(1);
            // One recipient of LMTP that is served makes the transaction an accepted one.
            if t.message.reply_code.is_none_or(|before| before >= 400) {
                t.message.reply_code = Some(code);
            }
            return false;
        }
        self.end_transaction(serial, code.map_or(End::Unseen, End::Answer), at, cx);
        true
    }

    /// Takes a transaction out of the book, and says it if there is something to say.
    pub(super) fn end_transaction<S: DialogueSink>(
        &mut self,
        serial: u32,
        end: End,
        at: Stamp,
        cx: &mut Context<'_, S>,
    ) {
        let Some(mut t) = self.book.take(serial) else { return };
        self.end_content(&mut t, cx);
        let left = self.client_left();
        let message = &mut t.message;
        message.end = at;
        let code = match end {
            // Where it was not seen that the text was asked for, this may answer a line of it as a command.
            End::Answer(500..=504) if !t.asked_for => None,
            End::Answer(code) => match message.reply_code {
                Some(before) if before < 400 => Some(before),
                _ => Some(code),
            },
            End::Unseen | End::Left => message.reply_code.filter(|&code| code < 400),
        };
        (message.outcome, message.reply_code) = match (t.refused, code, end) {
            (Some(code), ..) | (None, Some(code @ 400..), _) => (Outcome::Rejected, Some(code)),
            (None, Some(code @ 200..300), _) => (Outcome::Accepted, Some(code)),
            (None, _, End::Left) if left && t.stage != Stage::Ended && !message.content_partial => {
                (Outcome::Aborted, None)
            }
            _ => (Outcome::Unanswered, None),
        };
        let refused = t.refused.is_some() && t.message.rcpt_accepted > 0;
        let to_somebody = t.asked_for || t.message.rcpt_to.total() > 0;
        let said = (t.began && to_somebody) || refused;
        if said && (t.doubt.is_some() || t.unsure) {
            self.count_partial(cx);
        } else if said {
            if t.message.outcome == Outcome::Accepted {
                self.session.messages = self.session.messages.saturating_add(1);
            }
            cx.sink.message(at, &self.session, &t.message);
        }
        self.book.recycle(t);
    }

    /// Whether it was the client that ended what was open, and not the sensor's sight.
    fn client_left(&self) -> bool {
        !matches!(self.session.close, Some(Close::EndOfCapture | Close::Evicted))
    }

    /// The connection ended.
    pub(super) fn close_transactions<S: DialogueSink>(
        &mut self,
        at: Stamp,
        cx: &mut Context<'_, S>,
    ) {
        while let Some(serial) = self.book.open.front().map(|t| t.serial) {
            self.end_transaction(serial, End::Left, at, cx);
        }
        self.book.current = Current::None;
    }
}
