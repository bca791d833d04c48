//! The table of fields.

use botlike_core::base::Counters;

use super::super::json::severities;
use super::super::{Kind, Mode, words};
use crate::source::live::RungKind;

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// A string to be matched as a whole.
    Keyword,
    /// A string to be read or searched.
    Text,
    /// A whole number, not negative.
    Number,
    /// True or false.
    Boolean,
    /// RFC 3339, UTC, microseconds.
    Date,
    /// An IPv4 or IPv6 address.
    Ip,
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// One of these numbers.
    Level(fn() -> Vec<u8>),
    /// A list of keywords with at most so many items.
    Keywords(usize),
    /// A list of addresses with at most so many items.
    Ips(usize),
    /// A list of numbers with at most so many items.
    Numbers(usize),
    /// A list of some of these words.
    Words(fn() -> Vec<&'static str>),
}

/// A key of the lines.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// With dots for nested objects.
    pub name: &'static str,
    /// Of its value.
    pub kind: Type,
    /// The lines it may stand on.
    pub may: Lines,
    /// The lines it always stands on.
    pub must: Lines,
    /// What it means, with units.
    pub doc: &'static str,
}

/// A set of kinds of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines(u8);

impl Lines {
    const NONE: Self = Self(0);
    const SESSION: Self = Self(1 << Kind::Session as u8);
    const MESSAGE: Self = Self(1 << Kind::Message as u8);
    const FINDING: Self = Self(1 << Kind::Finding as u8);
    const STATS: Self = Self(1 << Kind::Stats as u8);
    const SENSOR: Self = Self(1 << Kind::Sensor as u8);
    const MAIL: Self = Self::SESSION.and(Self::MESSAGE);
    const HOST: Self = Self::MAIL.and(Self::FINDING);
    const ALL: Self = Self::HOST.and(Self::STATS).and(Self::SENSOR);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether this kind is in it.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

const fn field(
    name: &'static str,
    kind: Type,
    may: Lines,
    must: Lines,
    doc: &'static str,
) -> Field {
    Field { name, kind, may, must, doc }
}

/// Flag tables to words.
macro_rules! listed {
    ($table:expr) => {
        Type::Words(|| $table.iter().map(|(_, word)| *word).collect())
    };
}

/// Every key but those of the counters, see [`fields`].
pub const FIELDS: &[Field] = {
    use Lines as L;
    use Type::{Boolean, Date, Ip, Ips, Keyword, Keywords, Level, Number, Numbers, Text, Word};
    const NONE: Lines = Lines::NONE;
    &[
        field(
            "@timestamp",
            Date,
            L::ALL,
            L::ALL,
            "Packet time of what the line tells, never the time of a clock. Of a closed finding: the deadline at which it closed. Of a session given up: that deadline.",
        ),
        field(
            "message",
            Text,
            L::FINDING.and(L::SENSOR),
            L::FINDING.and(L::SENSOR),
            "The line in one sentence.",
        ),
        field(
            "ecs.version",
            Word(|| vec!["8.17.0"]),
            L::ALL,
            L::ALL,
            "Version of the Elastic Common Schema.",
        ),
        field(
            "event.kind",
            Word(|| vec!["event", "alert", "metric"]),
            L::ALL,
            L::ALL,
            "`alert` only on a conclusive finding; `metric` on stats.",
        ),
        field(
            "event.category",
            Keywords(2),
            L::HOST.and(L::SENSOR),
            L::HOST.and(L::SENSOR),
            "Category of ECS.",
        ),
        field("event.type", Keywords(2), L::ALL, L::ALL, "Type of ECS."),
        field(
            "event.action",
            Word(|| {
                vec![
                    "smtp-session",
                    "smtp-message",
                    "finding-opened",
                    "finding-updated",
                    "finding-closed",
                    "finding-open-at-end",
                    "stats",
                    "sensor-started",
                    "sensor-changed",
                ]
            }),
            L::ALL,
            L::ALL,
            "What happened.",
        ),
        field("event.module", Word(|| vec!["botlike"]), L::ALL, L::ALL, "Always `botlike`."),
        field("event.dataset", Keyword, L::ALL, L::ALL, "Which kind of line it is."),
        field(
            "event.id",
            Keyword,
            L::HOST,
            L::HOST,
            "Keyed hash of the first stamp, the tuple and the transaction (of findings: rule, host, stamps, count, status): the same packets give the same id, so a replay overwrites and does not duplicate.",
        ),
        field(
            "event.sequence",
            Number,
            L::ALL,
            L::ALL,
            "Number of the line in its output, from 1: a hole is a lost line.",
        ),
        field(
            "event.severity",
            Level(|| severities().map(|(_, n)| n).collect()),
            L::FINDING,
            L::FINDING,
            "The severity as a number: info 10, low 25, medium 47, high 73, critical 99.",
        ),
        field(
            "event.start",
            Date,
            L::HOST,
            L::HOST,
            "First packet; of a message: MAIL; of a finding: the first hit.",
        ),
        field(
            "event.end",
            Date,
            L::HOST,
            L::HOST,
            "Last packet; of a message: the answer to the end of data or what ended it instead; of a finding: the last hit.",
        ),
        field("event.duration", Number, L::HOST, L::HOST, "From start to end, nanoseconds."),
        field(
            "event.outcome",
            Word(|| vec!["success", "failure", "unknown"]),
            L::MESSAGE,
            L::MESSAGE,
            "`smtp.outcome` in the words of ECS.",
        ),
        field("observer.type", Word(|| vec!["sensor"]), L::ALL, L::ALL, "Always `sensor`."),
        field("observer.product", Word(|| vec!["botlike"]), L::ALL, L::ALL, "Always `botlike`."),
        field("observer.version", Keyword, L::ALL, L::ALL, "Version of the program."),
        field(
            "observer.name",
            Keyword,
            L::ALL,
            NONE,
            "What the operator calls this sensor (`capture.name`).",
        ),
        field(
            "observer.ingress.interface.name",
            Keyword,
            L::HOST,
            NONE,
            "Interface of the first packet, as the capture names it.",
        ),
        field("rule.id", Keyword, L::FINDING, NONE, "Id of the detection, e.g. `helo.bare_ip`."),
        field("rule.name", Keyword, L::FINDING, NONE, "Its title."),
        field("rule.description", Text, L::FINDING, NONE, "What was seen, and why it matters."),
        field("rule.reference", Text, L::FINDING, NONE, "Where the detection comes from."),
        field("rule.category", Keyword, L::FINDING, NONE, "Its family: the id up to the dot."),
        field("rule.version", Keyword, L::FINDING, NONE, "Its revision."),
        field("rule.ruleset", Word(|| vec!["core"]), L::FINDING, NONE, "Always `core`."),
        field("source.ip", Ip, L::HOST, L::HOST, "The SMTP client."),
        field(
            "source.port",
            Number,
            L::HOST,
            L::MAIL,
            "Its port; of a finding: of the flow of the last hit.",
        ),
        field(
            "source.bytes",
            Number,
            L::SESSION,
            L::SESSION,
            "Payload bytes the client sent; retransmitted and missing ones not counted.",
        ),
        field("source.packets", Number, L::SESSION, L::SESSION, "Packets the client sent."),
        field("destination.ip", Ip, L::HOST, L::MAIL, "The SMTP server."),
        field("destination.port", Number, L::HOST, L::MAIL, "Its port."),
        field(
            "destination.bytes",
            Number,
            L::SESSION,
            L::SESSION,
            "Payload bytes the server sent, likewise.",
        ),
        field("destination.packets", Number, L::SESSION, L::SESSION, "Packets the server sent."),
        field("host.ip", Ips(1), L::FINDING, L::FINDING, "The host that the finding is about."),
        field("host.name", Keyword, L::HOST, NONE, "What the configuration calls the judged host."),
        field("network.transport", Word(|| vec!["tcp"]), L::HOST, L::MAIL, "Always `tcp`."),
        field("network.type", Word(|| vec!["ipv4", "ipv6"]), L::HOST, L::MAIL, "Version of IP."),
        field("network.protocol", Word(|| vec!["smtp"]), L::HOST, L::HOST, "Always `smtp`."),
        field(
            "network.direction",
            Word(|| words::DIRECTIONS.to_vec()),
            L::HOST,
            L::HOST,
            "Seen from the watched hosts; `unknown` where none are configured.",
        ),
        field(
            "network.community_id",
            Keyword,
            L::HOST,
            L::MAIL,
            "Community ID version 1, seed 0: the same in other tools, whichever direction they saw.",
        ),
        field("network.vlan.id", Keyword, L::HOST, NONE, "Outermost VLAN id of the first packet."),
        field("network.bytes", Number, L::SESSION, L::SESSION, "Payload bytes of both sides."),
        field("network.packets", Number, L::SESSION, L::SESSION, "Packets of both sides."),
        field(
            "email.from.address",
            Keywords(1),
            L::MESSAGE,
            NONE,
            "First address of the From field, decoded.",
        ),
        field("email.subject", Text, L::MESSAGE, NONE, "Subject, decoded (RFC 2047)."),
        field("email.message_id", Keyword, L::MESSAGE, NONE, "Message-ID, as sent, trimmed."),
        field(
            "smtp.tx",
            Number,
            L::MESSAGE,
            L::MESSAGE,
            "Number of the transaction in its session, from 0; partial ones count.",
        ),
        field("smtp.helo", Keyword, L::MAIL, NONE, "Last HELO or EHLO argument, as sent."),
        field(
            "smtp.helo_verb",
            Word(|| words::HELO_VERBS.to_vec()),
            L::MAIL,
            NONE,
            "The verb of it.",
        ),
        field("smtp.helo_count", Number, L::SESSION, NONE, "HELO, EHLO and LHLO commands."),
        field("smtp.esmtp", Boolean, L::SESSION, NONE, "The client greeted with EHLO or LHLO."),
        field("smtp.greeting_code", Number, L::SESSION, NONE, "Code of the server's greeting."),
        field(
            "smtp.greeting_delay_ms",
            Number,
            L::SESSION,
            NONE,
            "From the first packet to the first byte of the greeting, milliseconds.",
        ),
        field(
            "smtp.last_reply_code",
            Number,
            L::SESSION,
            NONE,
            "Code of the last reply that was seen.",
        ),
        field(
            "smtp.capabilities",
            listed!(words::CAPABILITIES),
            L::SESSION,
            NONE,
            "Extensions of the server's last EHLO reply that are known; `other` for any others.",
        ),
        field(
            "smtp.pipelining",
            Boolean,
            L::SESSION,
            NONE,
            "The server offered PIPELINING; absent where no EHLO was accepted.",
        ),
        field(
            "smtp.pipelined",
            Boolean,
            L::SESSION,
            NONE,
            "The client sent commands in groups although replies were pending.",
        ),
        field(
            "smtp.starttls_offered",
            Boolean,
            L::SESSION,
            NONE,
            "The server offered STARTTLS; absent where no EHLO was accepted.",
        ),
        field(
            "smtp.starttls",
            Word(|| words::STARTTLS.to_vec()),
            L::SESSION,
            NONE,
            "What became of STARTTLS.",
        ),
        field("smtp.auth.attempts", Number, L::SESSION, NONE, "AUTH commands."),
        field("smtp.auth.failed", Number, L::SESSION, NONE, "Of those, answered with 5xx."),
        field("smtp.auth.succeeded", Boolean, L::SESSION, NONE, "One was answered with 235."),
        field("smtp.auth.mechanism", Keyword, L::SESSION, NONE, "Mechanism of the last one."),
        field("smtp.commands", Number, L::SESSION, NONE, "Commands that were seen."),
        field("smtp.commands_unknown", Number, L::SESSION, NONE, "Of those, unknown or malformed."),
        field("smtp.errors_4xx", Number, L::SESSION, NONE, "Replies with a code of 400 to 499."),
        field("smtp.errors_5xx", Number, L::SESSION, NONE, "Replies with a code of 500 to 599."),
        field(
            "smtp.said_421",
            Boolean,
            L::SESSION,
            NONE,
            "True where the server said 421: that it closes.",
        ),
        field(
            "smtp.transactions",
            Number,
            L::SESSION,
            L::SESSION,
            "Transactions attempted: from MAIL to their end.",
        ),
        field(
            "smtp.messages",
            Number,
            L::SESSION,
            L::SESSION,
            "Of those, accepted with 2xx after the end of data.",
        ),
        field(
            "smtp.transactions_partial",
            Number,
            L::SESSION,
            L::SESSION,
            "Of those, lost to gaps; they have no message line.",
        ),
        field("smtp.quit", Boolean, L::SESSION, L::SESSION, "The client said QUIT."),
        field(
            "smtp.close",
            Word(|| words::CLOSES.to_vec()),
            L::SESSION,
            NONE,
            "What ended the session, by the first that was seen.",
        ),
        field(
            "smtp.visible",
            Word(|| words::VISIBLES.to_vec()),
            L::SESSION,
            L::SESSION,
            "How much of the dialogue could be read.",
        ),
        field(
            "smtp.capture",
            Word(|| vec!["complete", "partial"]),
            L::SESSION,
            L::SESSION,
            "Whether all packets of it were seen whole.",
        ),
        field(
            "smtp.capture_reason",
            listed!(words::CAPTURE_REASONS),
            L::SESSION,
            NONE,
            "Why it is partial.",
        ),
        field(
            "smtp.gap_bytes",
            Number,
            L::SESSION,
            L::SESSION,
            "Bytes known to be missing, both sides.",
        ),
        field(
            "smtp.overlap_differs",
            Boolean,
            L::SESSION,
            NONE,
            "True where a retransmission carried other bytes than the first transmission.",
        ),
        field(
            "smtp.mail_from",
            Keyword,
            L::MESSAGE,
            NONE,
            "Reverse-path without brackets, as sent; `<>` for the null sender.",
        ),
        field("smtp.mail_from_domain", Keyword, L::MESSAGE, NONE, "Its domain, lower case."),
        field("smtp.mail_parameters", Keyword, L::MESSAGE, NONE, "Parameters of MAIL, as sent."),
        field("smtp.rcpt_first", Keyword, L::MESSAGE, NONE, "The first forward-path."),
        field("smtp.rcpt_count", Number, L::MESSAGE, L::MESSAGE, "RCPT commands."),
        field("smtp.rcpt_accepted", Number, L::MESSAGE, L::MESSAGE, "Of those, answered with 2xx."),
        field(
            "smtp.rcpt_rejected",
            Number,
            L::MESSAGE,
            L::MESSAGE,
            "Of those, answered with 4xx or 5xx.",
        ),
        field(
            "smtp.outcome",
            Word(|| words::OUTCOMES.to_vec()),
            L::MESSAGE,
            L::MESSAGE,
            "What became of the transaction.",
        ),
        field(
            "smtp.reply_code",
            Number,
            L::MESSAGE,
            NONE,
            "The answer to the end of data, or the rejection of DATA or BDAT.",
        ),
        field(
            "smtp.size",
            Number,
            L::MESSAGE,
            L::MESSAGE,
            "Bytes of the message as sent; dot-stuffing and the final dot not counted, missing bytes counted.",
        ),
        field("smtp.bdat", Boolean, L::MESSAGE, L::MESSAGE, "Sent by BDAT (RFC 3030)."),
        field(
            "smtp.content_partial",
            Boolean,
            L::MESSAGE,
            L::MESSAGE,
            "A gap hit the content: header fields may be absent.",
        ),
        field(
            "smtp.header.complete",
            Boolean,
            L::MESSAGE,
            L::MESSAGE,
            "The header section was seen to its end.",
        ),
        field("smtp.header.from", Text, L::MESSAGE, NONE, "The From field, decoded."),
        field("smtp.header.to", Text, L::MESSAGE, NONE, "The To field, decoded."),
        field("smtp.header.date", Keyword, L::MESSAGE, NONE, "The Date field, as sent."),
        field("smtp.header.received_count", Number, L::MESSAGE, L::MESSAGE, "Received fields."),
        field(
            "smtp.rcpt_to",
            Keywords(50),
            L::MESSAGE,
            NONE,
            "Forward-paths without brackets, as sent; as many as the line has room for, at most 50.",
        ),
        field(
            "smtp.truncated",
            Boolean,
            L::MAIL,
            NONE,
            "True where a value of this line was longer than its limit and ends early.",
        ),
        field(
            "smtp.lossy",
            Boolean,
            L::MAIL,
            NONE,
            "True where bytes of this line were not UTF-8 and became U+FFFD.",
        ),
        field(
            "botlike.tenant",
            Keyword,
            L::HOST,
            NONE,
            "The tenant that the configuration gives the judged host.",
        ),
        field(
            "botlike.session_id",
            Keyword,
            L::MESSAGE.and(L::FINDING),
            L::MESSAGE,
            "`event.id` of the session line it belongs to; of a finding: of the last hit's.",
        ),
        field(
            "botlike.stack",
            Keyword,
            L::SESSION,
            NONE,
            "Fingerprint of the client's SYN, 8 hexadecimal digits.",
        ),
        field(
            "botlike.finding.severity",
            Word(|| severities().map(|(w, _)| w).collect()),
            L::FINDING,
            L::FINDING,
            "How bad it is for whoever reads it.",
        ),
        field(
            "botlike.finding.status",
            Word(|| words::STATUSES.to_vec()),
            L::FINDING,
            L::FINDING,
            "`closed`: no hit for the rule's window; `open_at_end`: the input ended while it was open.",
        ),
        field(
            "botlike.finding.key",
            Keyword,
            L::FINDING,
            L::FINDING,
            "Rule and host: lines with the same key are one finding's.",
        ),
        field(
            "botlike.finding.level",
            Keyword,
            L::FINDING,
            NONE,
            "Which of the rule's levels holds.",
        ),
        field("botlike.finding.count", Number, L::FINDING, L::FINDING, "Hits so far."),
        field("botlike.finding.first_seen", Date, L::FINDING, L::FINDING, "The first hit."),
        field("botlike.finding.last_seen", Date, L::FINDING, L::FINDING, "The last hit."),
        field(
            "botlike.finding.evidence",
            Text,
            L::FINDING,
            NONE,
            "What was seen, as `key=value` pairs; bytes of the wire in quotation marks, escaped.",
        ),
        field("botlike.finding.advice", Text, L::FINDING, NONE, "What to do."),
        field(
            "botlike.not_observable",
            listed!(words::NOT_OBSERVABLE),
            L::FINDING,
            NONE,
            "What could not be seen and would have helped to judge.",
        ),
        field("botlike.sensor.schema", Number, L::SENSOR, L::SENSOR, "Number of this schema."),
        field(
            "botlike.sensor.mode",
            Word(|| vec!["read", "watch"]),
            L::SENSOR,
            L::SENSOR,
            "Where packets come from: captures, or this machine's interfaces.",
        ),
        field(
            "botlike.sensor.rung",
            Word(|| RungKind::ALL.map(RungKind::name).to_vec()),
            L::SENSOR,
            NONE,
            "How packets are taken from interfaces.",
        ),
        field(
            "botlike.sensor.interfaces_count",
            Number,
            L::SENSOR,
            NONE,
            "Interfaces that are watched.",
        ),
        field("botlike.sensor.interfaces", Keywords(50), L::SENSOR, NONE, "The first of them."),
        field(
            "botlike.sensor.metadata_only_count",
            Number,
            L::SENSOR,
            NONE,
            "Those of them of which nothing from MAIL FROM on leaves the kernel.",
        ),
        field("botlike.sensor.metadata_only", Keywords(50), L::SENSOR, NONE, "The first of them."),
        field("botlike.sensor.rules", Number, L::SENSOR, L::SENSOR, "Detections in this version."),
        field(
            "botlike.sensor.config_hash",
            Keyword,
            L::SENSOR,
            L::SENSOR,
            "Hash of the configuration, 16 hexadecimal digits.",
        ),
        field(
            "botlike.sensor.memory_bytes",
            Number,
            L::SENSOR,
            L::SENSOR,
            "Bytes that tables and buffers take when every limit is reached at once.",
        ),
        field(
            "botlike.sensor.watched_count",
            Number,
            L::SENSOR,
            L::SENSOR,
            "Watched networks; 0: every client is judged as if it were watched.",
        ),
        field("botlike.sensor.watched", Keywords(50), L::SENSOR, NONE, "The first of them."),
        field("botlike.sensor.ports_count", Number, L::SENSOR, L::SENSOR, "Watched server ports."),
        field("botlike.sensor.ports", Numbers(50), L::SENSOR, NONE, "The first of them."),
        field(
            "botlike.sensor.privacy.addresses",
            Word(modes),
            L::SENSOR,
            L::SENSOR,
            "How mail addresses are written in this output.",
        ),
        field(
            "botlike.sensor.privacy.local_parts",
            Word(modes),
            L::SENSOR,
            L::SENSOR,
            "How their local parts are written.",
        ),
        field(
            "botlike.sensor.privacy.subjects",
            Word(modes),
            L::SENSOR,
            L::SENSOR,
            "How subjects and Message-IDs are written.",
        ),
        field(
            "botlike.sensor.privacy.key",
            Word(|| vec!["configured", "published"]),
            L::SENSOR,
            L::SENSOR,
            "The key of hashes and ids; `published` is the same everywhere, and values can be tried against it.",
        ),
        field("related.ip", Ips(2), L::HOST, L::HOST, "All addresses of the line."),
    ]
};

fn modes() -> Vec<&'static str> {
    Mode::ALL.iter().map(|(_, word)| *word).collect()
}

/// Every key: [`FIELDS`] and the counters.
pub fn fields() -> Vec<(String, Field)> {
    let counters = Counters::default();
    let counted = counters.list().map(|(name, _, doc)| {
        (
            format!("botlike.stats.{name}"),
            field(name, Type::Number, Lines::STATS, Lines::STATS, doc),
        )
    });
    let mut all: Vec<(String, Field)> = FIELDS.iter().map(|f| (f.name.to_owned(), *f)).collect();
    let related = all.len() - 1;
    all.splice(related..related, counted);
    all
}
