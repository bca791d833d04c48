//! What is known of a session and of a message: the facts that leave a dialogue.
//!
//! Nothing in here was not on the wire whole: what a gap touched is absent.

use alloc::vec::Vec;

use bitflags::bitflags;

use crate::base::{Flow, Nanos, Stamp, Text, TextList};

/// Which verb a client greeted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeloVerb {
    /// HELO.
    Helo,
    /// EHLO.
    Ehlo,
    /// LHLO (RFC 2033).
    Lhlo,
}

bitflags! {
    /// Extensions that a server offered in its last EHLO reply.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Capability: u32 {
        /// STARTTLS (RFC 3207).
        const STARTTLS = 1;
        /// PIPELINING (RFC 2920).
        const PIPELINING = 1 << 1;
        /// SIZE (RFC 1870).
        const SIZE = 1 << 2;
        /// 8BITMIME (RFC 6152).
        const EIGHT_BIT_MIME = 1 << 3;
        /// SMTPUTF8 (RFC 6531).
        const SMTPUTF8 = 1 << 4;
        /// CHUNKING (RFC 3030).
        const CHUNKING = 1 << 5;
        /// BINARYMIME (RFC 3030).
        const BINARYMIME = 1 << 6;
        /// DSN (RFC 3461).
        const DSN = 1 << 7;
        /// ENHANCEDSTATUSCODES (RFC 2034).
        const ENHANCED_STATUS_CODES = 1 << 8;
        /// AUTH (RFC 4954), in either spelling.
        const AUTH = 1 << 9;
        /// VRFY.
        const VRFY = 1 << 10;
        /// ETRN (RFC 1985).
        const ETRN = 1 << 11;
        /// HELP.
        const HELP = 1 << 12;
        /// XCLIENT.
        const XCLIENT = 1 << 13;
        /// XFORWARD.
        const XFORWARD = 1 << 14;
        /// Any other.
        const OTHER = 1 << 15;
    }

    /// What keeps a session from being whole; empty means `complete`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct CaptureState: u8 {
        /// Bytes are missing in the middle of a stream, or the source reported losses while the session was open.
        const GAP = 1;
        /// Only one direction was seen.
        const ONE_SIDED = 1 << 1;
        /// The start was not seen.
        const JOINED_LATE = 1 << 2;
        /// Packets were cut by the snap length.
        const SNAPLEN = 1 << 3;
        /// A cap of the sensor was hit.
        const LIMIT = 1 << 4;
    }
}

/// How much of a session could be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visible {
    /// The whole dialogue.
    #[default]
    Plain,
    /// Up to STARTTLS; a TLS record followed.
    UntilStarttls,
    /// TLS from the first byte.
    ImplicitTls,
    /// Packet headers only.
    Headers,
}

/// What became of STARTTLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Starttls {
    /// The client did not ask.
    #[default]
    Unused,
    /// Asked, no reply was seen.
    Unanswered,
    /// Asked and refused.
    Refused,
    /// Asked, accepted with 220, and TLS bytes followed.
    Established,
    /// Asked, accepted with 220, and plain bytes went on.
    AcceptedButPlain,
}

/// What ended a session, by the first that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client said QUIT.
    Quit,
    /// The client closed first.
    ClientFin,
    /// The server closed first.
    ServerFin,
    /// The client reset.
    ClientRst,
    /// The server reset.
    ServerRst,
    /// No packet for the idle time.
    Timeout,
    /// The flow table was full.
    Evicted,
    /// The input ended.
    EndOfCapture,
}

/// The client's attempts to authenticate. The secret is never here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Auth {
    /// AUTH commands.
    pub attempts: u32,
    /// Of those, answered with 5xx (4xx is the server's own trouble).
    pub failed: u32,
    /// Answered with 235.
    pub succeeded: bool,
    /// Mechanism of the last attempt, upper case.
    pub mechanism: Text,
}

/// What a client said that is no SMTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A request line of HTTP.
    Http,
    /// A TLS hello, unasked.
    Tls,
    /// The first line of SSH.
    Ssh,
    /// A connection request of RDP.
    Rdp,
    /// A field of a message header, where a command was due and no message text had been asked for.
    Header,
}

/// What a client went on in spite of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The command that was refused: `MAIL`, `RCPT` or `DATA`.
    pub command: &'static str,
    /// The code of the refusal.
    pub code: u16,
    /// What came next: `RCPT`, `DATA` or `message text`.
    pub next: &'static str,
}

/// Bytes inside a message that are not the end of data, and that some servers take for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FalseEnd {
    /// The bytes, with their escapes.
    pub sequence: &'static str,
    /// Bytes of the message before its end.
    pub offset: u64,
    /// The command that the bytes behind it look like.
    pub command: Option<&'static str>,
}

/// What a client did otherwise than the standard says. Everything is counted of what was seen only; where a gap may have
/// hidden what would excuse it, [`Session::capture`] says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// The first command was MAIL.
    pub no_helo: bool,
    /// A recipient's domain was the HELO argument.
    pub helo_is_recipient: bool,
    /// Commands that were sent before a byte of the reply to the one before had reached the client, although the server
    /// had not offered PIPELINING, or was greeted with HELO.
    pub ahead: u32,
    /// The verb of the first of them.
    pub ahead_verb: &'static str,
    /// DATA commands whose text was sent before a byte of the reply to DATA had reached the client.
    pub early_text: u32,
    /// How often the client went on after a refusal for good that had reached it.
    pub ignored: u32,
    /// The first such time.
    pub first_ignored: Option<Ignored>,
    /// What it said first that is no SMTP.
    pub foreign: Option<Foreign>,
    /// A TLS hello was answered in the clear.
    pub plain_answer: bool,
    /// The most replies of 500 to 504 to commands that belong to no transaction, between two accepted messages.
    pub errors: u32,
    /// The most lines that are no command, likewise.
    pub unknown: u32,
    /// The most NOOP, RSET and VRFY commands, likewise.
    pub junk: u32,
    /// Commands with an LF without CR, or a CR without LF.
    pub bare_in_commands: u32,
    /// The same in the first [`NEWLINE_BYTES`] of the texts of DATA.
    pub bare_in_text: u32,
    /// The first false end of data in a text that went on behind it; one that a command follows comes before others.
    pub false_end: Option<FalseEnd>,
}

/// Bytes of each DATA text in which every newline is looked at: who writes bare ones does so from the first line on.
pub const NEWLINE_BYTES: usize = 2048;

/// One SMTP connection, from its first packet to its end. While it is open the same struct is its state so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Who, with whom, since when.
    pub flow: Flow,
    /// Its last packet, or the deadline at which it was given up.
    pub end: Stamp,
    /// Packets the client sent.
    pub client_packets: u64,
    /// Packets the server sent.
    pub server_packets: u64,
    /// Payload bytes the client sent, retransmissions and losses not counted.
    pub client_bytes: u64,
    /// Payload bytes the server sent, likewise.
    pub server_bytes: u64,
    /// What ended it; `None` while it is open.
    pub close: Option<Close>,
    /// Whether the client said QUIT.
    pub quit: bool,
    /// How much could be read.
    pub visible: Visible,
    /// What was missing.
    pub capture: CaptureState,
    /// Bytes known to be missing in both directions.
    pub gap_bytes: u64,
    /// An overlap carried other bytes than those seen first.
    pub overlap_differs: bool,
    /// Code of the greeting.
    pub greeting_code: Option<u16>,
    /// From the first packet to the first byte of the greeting.
    pub greeting_delay: Option<Nanos>,
    /// Code of the last reply.
    pub last_reply_code: Option<u16>,
    /// The last HELO or EHLO argument, as sent.
    pub helo: Text,
    /// The verb of it.
    pub helo_verb: Option<HeloVerb>,
    /// HELO, EHLO and LHLO commands.
    pub helo_count: u32,
    /// Whether an EHLO was answered with 250, so that `capabilities` is the server's list.
    pub ehlo_accepted: bool,
    /// The server's last list.
    pub capabilities: Capability,
    /// What became of STARTTLS.
    pub starttls: Starttls,
    /// Authentication.
    pub auth: Auth,
    /// Commands of the client, unknown ones included, message content and AUTH answers not.
    pub commands: u32,
    /// Of those, unknown or malformed.
    pub commands_unknown: u32,
    /// Replies with a code of 400 to 499.
    pub errors_4xx: u32,
    /// Replies with a code of 500 to 599.
    pub errors_5xx: u32,
    /// A reply of 421 was seen (the server says that it closes).
    pub said_421: bool,
    /// Whether commands were sent in groups although replies were pending.
    pub pipelined: bool,
    /// MAIL…end attempted.
    pub transactions: u32,
    /// Of those, accepted with 2xx after the end of data.
    pub messages: u32,
    /// Of those, lost to gaps.
    pub transactions_partial: u32,
    /// The first bytes of the client (at most 100), for evidence. Empty if it never sent any.
    pub first_bytes: Text,
    /// The host name in the server's greeting: its first word, also where it refused. Empty before there was one.
    pub banner: Text,
    /// The argument of the HELO or EHLO before the last; empty if there was none or the server refused it.
    pub helo_before: Text,
    /// What the client did otherwise than the standard says.
    pub conduct: Conduct,
    /// How long the client had been silent, it being its turn, when it closed its side; 0 where it did not, or not then.
    pub idle_at_fin: Nanos,
    /// The client reset the connection while it was its turn: the server's last bytes were not answered.
    pub reset_in_turn: bool,
    /// Fingerprint of the client's SYN (TTL class, window, options); 0 where no SYN was seen.
    pub stack: u32,
}

impl Session {
    /// Begins another session and keeps the memory.
    pub fn reset(&mut self, flow: Flow) {
        let texts = [
            &mut self.helo,
            &mut self.helo_before,
            &mut self.auth.mechanism,
            &mut self.first_bytes,
            &mut self.banner,
        ];
        let [helo, helo_before, mechanism, first_bytes, banner] = texts.map(|text| {
            text.clear();
            core::mem::take(text)
        });
        let auth = Auth { mechanism, ..Auth::default() };
        *self = Self { flow, helo, helo_before, auth, first_bytes, banner, ..Self::default() };
    }
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx to the end of data.
    Accepted,
    /// 4xx or 5xx to DATA, BDAT or the end of data.
    Rejected,
    /// No answer was seen.
    #[default]
    Unanswered,
    /// The client left, or sent RSET or a new HELO, before the end of data.
    Aborted,
}

/// One transaction whose envelope was whole and whose DATA or BDAT began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its place in the session, from 0, partial ones counted.
    pub number: u32,
    /// When MAIL was sent.
    pub start: Stamp,
    /// When it ended: the answer to the end of data, or what ended it instead.
    pub end: Stamp,
    /// Reverse-path without brackets, as sent; empty bytes for the null sender.
    pub mail_from: Text,
    /// Parameters of MAIL (`SIZE=… BODY=…`), as sent.
    pub mail_parameters: Text,
    /// Forward-paths without brackets, as sent; capped, the counts are not.
    pub rcpt_to: TextList,
    /// RCPT commands answered with 4xx or 5xx.
    pub rcpt_rejected: u32,
    /// RCPT commands answered with 2xx.
    pub rcpt_accepted: u32,
    /// What became of it.
    pub outcome: Outcome,
    /// The answer to the end of data, or the rejection of DATA or BDAT.
    pub reply_code: Option<u16>,
    /// Bytes of the message as sent (dot-stuffing and the final dot line not counted; missing bytes of gaps counted).
    pub size: u64,
    /// Sent by BDAT.
    pub bdat: bool,
    /// A gap hit the content: header fields may be absent.
    pub content_partial: bool,
    /// The header section was seen to its end.
    pub header_complete: bool,
    /// From, decoded: the whole field, UTF-8.
    pub from: Text,
    /// The first address in From.
    pub from_address: Text,
    /// To, decoded.
    pub to: Text,
    /// Subject, decoded.
    pub subject: Text,
    /// Date, as sent.
    pub date: Text,
    /// Message-ID, as sent, trimmed.
    pub message_id: Text,
    /// Received fields.
    pub received_count: u32,
    /// Which of the fields above occurred (an empty one did, too), by their bytes: F(rom) T(o) S(ubject) D(ate) M(essage-ID).
    pub fields_seen: Vec<u8>,
}

impl Message {
    /// Begins another message and keeps the memory.
    pub fn reset(&mut self) {
        let mut old = core::mem::take(self);
        for text in [
            &mut old.mail_from,
            &mut old.mail_parameters,
            &mut old.from,
            &mut old.from_address,
            &mut old.to,
            &mut old.subject,
            &mut old.date,
            &mut old.message_id,
        ] {
            text.clear();
        }
        old.rcpt_to.clear();
        old.fields_seen.clear();
        *self = Self {
            mail_from: old.mail_from,
            mail_parameters: old.mail_parameters,
            rcpt_to: old.rcpt_to,
            from: old.from,
            from_address: old.from_address,
            to: old.to,
            subject: old.subject,
            date: old.date,
            message_id: old.message_id,
            fields_seen: old.fields_seen,
            ..Self::default()
        };
    }

    /// How many of its values were cut by limits.
    pub fn values_cut(&self) -> u32 {
        let texts = [
            &self.mail_from,
            &self.mail_parameters,
            &self.from,
            &self.to,
            &self.subject,
            &self.date,
            &self.message_id,
        ];
        let cut = texts.into_iter().map(|text| u32::from(text.is_cut())).sum::<u32>();
        cut.saturating_add(self.rcpt_to.cut())
    }
}
