//! Which command a reply answers.
//!
//! Replies come in the order of the commands (RFC 5321 section 4.1.1, RFC 2920 section 3.2), so without losses the oldest
//! command that waits is the one that is answered. After a loss this is not so: replies may have been missed (then the
//! oldest commands are *doubtful*: perhaps answered already), or commands may have been ([`Asked::Unheard`] stands for any
//! number of them). A reply is then given to a command only if it can be no other's: by its code, and because what the
//! client had received when it sent a command cannot answer it. Otherwise it is given to none.

use alloc::collections::VecDeque;

/// What waits for a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The connection itself.
    Greeting,
    /// EHLO or LHLO: answered with the list of extensions.
    Ehlo,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data {
        /// Content followed before an answer was seen.
        followed: bool,
    },
    /// BDAT.
    Bdat {
        /// The message ended with it.
        last: bool,
    },
    /// The end of DATA's content.
    EndOfData,
    /// AUTH, or the client's answer to a challenge.
    Auth,
    /// STARTTLS.
    Starttls,
    /// QUIT.
    Quit,
    /// Any other command.
    Other,
    /// Commands that were not seen, any number of them.
    Unheard,
}

impl Asked {
    /// Whether a server may answer this with that code.
    fn takes(self, code: u16) -> bool {
        match (self, code) {
            // What these codes answer, nothing else is answered with (RFC 5321 section 4.2.3, RFC 4954 section 6).
            (Self::Unheard, _) => true,
            (Self::Data { .. }, 354) | (Self::Auth, 334 | 235) | (Self::Quit, 221) => true,
            (Self::Greeting | Self::Starttls, 200..300) => code == 220,
            (_, 300..400 | 220 | 221 | 235) => false,
            (Self::Data { .. }, 200..300) => false,
            _ => true,
        }
    }

    /// Whether a client waits for the answer before it says more (RFC 2920 section 3.1).
    fn is_awaited(self) -> bool {
        matches!(
            self,
            Self::Ehlo | Self::Data { .. } | Self::EndOfData | Self::Auth | Self::Starttls
        )
    }
}

/// One command that waits for its reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// What was asked.
    pub(super) asked: Asked,
    /// The transaction it belongs to; 0: none.
    pub(super) transaction: u32,
    /// How much of the server's stream the client had received when it had sent this. For [`Asked::Unheard`]: how much
    /// was known to be sent when the loss was noticed.
    pub(super) acked: Option<u64>,
}

/// Whom a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This command; those before it in the queue are answered, it is not known how.
    To(Pending),
    /// Commands that were not seen.
    Unheard,
    /// One of several; it cannot be told which.
    Unclear,
    /// None that waits.
    None,
}

/// The commands that wait, oldest first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    items: VecDeque<Pending>,
    /// So many of the oldest may have been answered already.
    doubtful: usize,
    /// Where the last loss in the server's stream ended.
    lost_until: u64,
    /// Places taken by [`Asked::Unheard`].
    unheard: usize,
    /// Answered, it is not known how: to be taken with [`Queue::next_settled`].
    settled: usize,
}

/// More room than this is given back when a connection ends.
const KEEP: usize = 64;

impl Queue {
    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.items.clear();
        self.items.shrink_to(KEEP);
        self.doubtful = 0;
        self.lost_until = 0;
        self.unheard = 0;
        self.settled = 0;
    }

    /// Appends a command. `false`: there was no room, and it counts as not seen.
    pub(super) fn push(&mut self, pending: Pending, cap: usize) -> bool {
        if self.items.len() < cap {
            self.items.push_back(pending);
            return true;
        }
        if let Some(last) = self.items.back_mut()
            && last.asked != Asked::Unheard
        {
            last.asked = Asked::Unheard;
            self.unheard = self.unheard.saturating_add(1);
        }
        false
    }

    /// Commands may be missing here; `server_sent` bytes of the server were known to be sent.
    pub(super) fn push_unheard(&mut self, server_sent: u64, cap: usize) {
        let unheard = Pending { asked: Asked::Unheard, transaction: 0, acked: Some(server_sent) };
        if let Some(last) = self.items.back_mut()
            && last.asked == Asked::Unheard
        {
            *last = unheard;
        } else if self.push(unheard, cap) {
            self.unheard = self.unheard.saturating_add(1);
        }
    }

    /// Bytes of the server are missing, up to `end`: whatever waits now may be answered.
    pub(super) fn server_gap(&mut self, end: u64) {
        self.doubtful = self.items.len();
        self.lost_until = end;
    }

    /// Whether nothing that is certain waits: no command but those that may have been answered.
    fn all_doubtful(&self) -> bool {
        self.items.iter().skip(self.doubtful).all(|p| p.asked == Asked::Unheard)
    }

    /// Whether a command is known to wait (the greeting apart).
    pub(super) fn is_waiting(&self) -> bool {
        self.items
            .iter()
            .skip(self.doubtful)
            .any(|p| !matches!(p.asked, Asked::Unheard | Asked::Greeting))
    }

    /// Whether commands that were not seen may still be answered.
    pub(super) fn has_unheard(&self) -> bool {
        self.unheard > 0
    }

    /// Whether such a thing waits.
    pub(super) fn has(&self, asked: Asked) -> bool {
        self.items.iter().any(|p| p.asked == asked)
    }

    /// Content follows the last DATA, and no answer to it was seen.
    pub(super) fn data_followed(&mut self) {
        if let Some(p) = self.items.iter_mut().rev().find(|p| matches!(p.asked, Asked::Data { .. }))
        {
            p.asked = Asked::Data { followed: true };
        }
    }

    /// Whether the oldest is a DATA that content followed, and that may be answered.
    pub(super) fn data_is_doubtful(&self) -> bool {
        self.doubtful > 0
            && self.items.front().is_some_and(|p| p.asked == Asked::Data { followed: true })
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// The command sent last.
    pub(super) fn last(&self) -> Option<Pending> {
        self.items.back().copied()
    }

    /// A command is sent by a client that had received `acked` bytes. If everything that waits may have been answered in a
    /// loss, and the client has received what came after the loss began, and it does wait for answers, then it has
    /// been answered.
    pub(super) fn client_sends(&mut self, acked: Option<u64>, client_waits: bool) {
        let Some(acked) = acked else { return };
        if self.items.is_empty() || !self.all_doubtful() {
            return;
        }
        let waits = client_waits
            || self.items.len() == 1
            || self.last().is_some_and(|p| p.asked.is_awaited());
        let seen = |p: &Pending| match p.asked {
            Asked::Unheard => p.acked.is_some_and(|at| acked > at),
            _ => acked >= self.lost_until,
        };
        if waits && self.items.iter().all(seen) {
            self.settled = self.items.len();
        }
    }

    /// Everything that waits is answered, it is not known how.
    pub(super) fn settle_all(&mut self) {
        self.settled = self.items.len();
    }

    /// Nobody has heard the server: when more than `cap` commands wait, the oldest is given up.
    pub(super) fn settle_above(&mut self, cap: usize) {
        if self.items.len() > cap {
            self.settled = 1;
            self.doubtful = self.items.len();
        }
    }

    /// The answer to this command has several replies: it goes on waiting.
    pub(super) fn again(&mut self, pending: Pending) {
        self.items.push_front(pending);
        self.doubtful = if self.doubtful > 0 { self.doubtful.saturating_add(1) } else { 0 };
    }

    /// The end of this transaction's data was no command for the server, or was many: any number of replies may come.
    pub(super) fn unhear(&mut self, transaction: u32) {
        for p in self
            .items
            .iter_mut()
            .filter(|p| p.asked == Asked::EndOfData && p.transaction == transaction)
        {
            p.asked = Asked::Unheard;
            self.unheard = self.unheard.saturating_add(1);
        }
    }

    /// Takes the next command that has been answered in an unknown way.
    pub(super) fn next_settled(&mut self) -> Option<Pending> {
        self.settled = self.settled.checked_sub(1)?;
        self.pop()
    }

    fn pop(&mut self) -> Option<Pending> {
        let pending = self.items.pop_front()?;
        self.doubtful = self.doubtful.saturating_sub(1);
        if pending.asked == Asked::Unheard {
            self.unheard = self.unheard.saturating_sub(1);
        }
        Some(pending)
    }

    /// Finds whom a reply answers that began at `start` in the server's stream. Before the answer is acted upon, those of
    /// [`Queue::next_settled`] are to be taken.
    pub(super) fn answer(&mut self, code: u16, start: u64) -> Answer {
        let fits = |p: &Pending| p.asked.takes(code) && p.acked.is_none_or(|acked| acked <= start);
        let mut first = None;
        let mut several = false;
        // Behind the first that is certainly waiting no reply can go.
        let mut reach = 0usize;
        for (i, pending) in self.items.iter().enumerate() {
            reach = i.saturating_add(1);
            if fits(pending) {
                several = first.is_some();
                first.get_or_insert(i);
            }
            // A server that answers a command has greeted before, or never will.
            let skipped = pending.asked == Asked::Unheard
                || (pending.asked == Asked::Greeting && !fits(pending));
            if (i >= self.doubtful && !skipped) || several {
                break;
            }
        }
        if several {
            return self.unclear(reach);
        }
        let index = match first {
            Some(index) => index,
            None => match self.elsewhere(code, start) {
                Some(index) => index,
                None => return self.misfit(start),
            },
        };
        self.settled = index;
        match self.items.get(index) {
            Some(p) if p.asked == Asked::Unheard => {
                self.settled = index;
                Answer::Unheard
            }
            Some(&pending) => {
                // Taken out here, behind those that are settled.
                let _ = self.items.remove(index);
                if index < self.doubtful {
                    self.doubtful = self.doubtful.saturating_sub(1);
                }
                Answer::To(pending)
            }
            None => Answer::None,
        }
    }

    /// The reply answered one of the first `reach` commands: the oldest is answered now, if not before, and each of the
    /// others may be.
    fn unclear(&mut self, reach: usize) -> Answer {
        // A loss of commands lets the replies reach one command further, up to the first that certainly waits.
        let certain = self
            .items
            .iter()
            .enumerate()
            .find(|(i, p)| *i >= self.doubtful && p.asked != Asked::Unheard)
            .map_or(self.items.len(), |(i, _)| i.saturating_add(1));
        self.doubtful = self.doubtful.max(reach).max(certain);
        if self.items.front().is_some_and(|p| p.asked != Asked::Unheard) {
            self.settled = 1;
        }
        Answer::Unclear
    }

    /// A code that only one kind of command is answered with finds it behind others, too: they were answered unseen.
    fn elsewhere(&self, code: u16, start: u64) -> Option<usize> {
        let unique = matches!(code, 354 | 334 | 235 | 221);
        let fits = |p: &Pending| {
            p.asked != Asked::Unheard
                && p.asked.takes(code)
                && p.acked.is_none_or(|acked| acked <= start)
        };
        unique.then(|| self.items.iter().position(fits)).flatten()
    }

    /// A server answered the oldest command in a way that no server should; or the reply is not an answer.
    fn misfit(&mut self, start: u64) -> Answer {
        match self.items.front() {
            Some(p) if self.doubtful > 0 || p.acked.is_some_and(|acked| acked > start) => {
                Answer::None
            }
            Some(p) if p.asked == Asked::Greeting => self.pop().map_or(Answer::None, Answer::To),
            Some(p) if p.asked != Asked::Unheard => {
                self.settled = 1;
                Answer::Unclear
            }
            _ => Answer::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(queue: &mut Queue, asked: Asked, acked: u64) {
        assert!(queue.push(Pending { asked, transaction: 0, acked: Some(acked) }, 100));
    }

    fn to(answer: Answer) -> Option<Asked> {
        match answer {
            Answer::To(pending) => Some(pending.asked),
            _ => None,
        }
    }

    fn settled(queue: &mut Queue) -> usize {
        core::iter::from_fn(|| queue.next_settled()).count()
    }

    #[test]
    fn without_losses_the_oldest_is_answered() {
        let mut queue = Queue::default();
        ask(&mut queue, Asked::Mail, 10);
        ask(&mut queue, Asked::Rcpt, 10);
        assert_eq!(to(queue.answer(250, 10)), Some(Asked::Mail));
        assert_eq!(to(queue.answer(550, 20)), Some(Asked::Rcpt));
        assert_eq!(queue.answer(250, 30), Answer::None);
    }

    #[test]
    fn what_was_received_before_a_command_does_not_answer_it() {
        let mut queue = Queue::default();
        ask(&mut queue, Asked::Mail, 10);
        assert_eq!(queue.answer(250, 9), Answer::None);
        assert_eq!(to(queue.answer(250, 10)), Some(Asked::Mail));
    }

    #[test]
    fn after_a_lost_reply_an_answer_is_given_to_one_or_to_none() {
        let mut queue = Queue::default();
        ask(&mut queue, Asked::Mail, 10);
        ask(&mut queue, Asked::Rcpt, 10);
        queue.server_gap(20);
        // MAIL's or RCPT's: MAIL has been answered now, in any case.
        assert_eq!(queue.answer(550, 20), Answer::Unclear);
        assert_eq!(settled(&mut queue), 1);
        // Nobody else is left.
        assert_eq!(to(queue.answer(250, 30)), Some(Asked::Rcpt));
    }

    #[test]
    fn a_code_of_its_own_brings_the_order_back() {
        let mut queue = Queue::default();
        for asked in [Asked::Mail, Asked::Rcpt, Asked::Data { followed: false }] {
            ask(&mut queue, asked, 10);
        }
        queue.server_gap(20);
        assert_eq!(to(queue.answer(354, 20)), Some(Asked::Data { followed: false }));
        assert_eq!(settled(&mut queue), 2);
    }

    #[test]
    fn a_client_that_waits_proves_what_was_answered() {
        let mut queue = Queue::default();
        ask(&mut queue, Asked::Mail, 10);
        queue.server_gap(20);
        queue.client_sends(Some(19), true);
        assert_eq!(settled(&mut queue), 0);
        queue.client_sends(Some(20), true);
        assert_eq!(settled(&mut queue), 1);
        // One that does not wait proves nothing of two commands.
        ask(&mut queue, Asked::Mail, 20);
        ask(&mut queue, Asked::Rcpt, 20);
        queue.server_gap(30);
        queue.client_sends(Some(30), false);
        assert_eq!(settled(&mut queue), 0);
    }

    #[test]
    fn a_full_queue_forgets_its_newest() {
        let mut queue = Queue::default();
        let pending = Pending { asked: Asked::Mail, transaction: 0, acked: None };
        assert!(queue.push(pending, 2) && queue.push(pending, 2));
        assert!(!queue.push(pending, 2));
        assert_eq!((queue.len(), queue.has_unheard()), (2, true));
        assert_eq!(to(queue.answer(250, 0)), Some(Asked::Mail));
        assert_eq!(queue.answer(250, 0), Answer::Unheard);
        assert_eq!(queue.answer(250, 0), Answer::Unheard);
    }
}
