//! Where the client does not wait, does not listen, or does not speak SMTP: asked when a session is over.

use alloc::vec;
use alloc::vec::Vec;

use super::super::special::is_public;
use super::super::tuning::value_of;
use super::super::{
    Directions, Entry, Evidence, EvidenceValue, FlowCx, FlowEvent, Level, Match, Needs,
    NotObservable, Role, Rule, Setting, Severity, Subject, Value, Weight,
};
use crate::base::{HOUR, Text};
use crate::smtp::{Conduct, Foreign, HeloVerb, NEWLINE_BYTES, Session};

const STRONG: Weight = Weight::Behaviour { plane: "protocol", family: "session", strong: true };
const WEAK: Weight = Weight::Behaviour { plane: "protocol", family: "session", strong: false };

/// The conduct of a session that is over and of which nothing is missing (guard G8).
fn conduct<'a>(cx: &FlowCx<'a>, event: FlowEvent<'_>) -> Option<(&'a Session, &'a Conduct)> {
    let session = cx.session;
    let known = matches!(event, FlowEvent::Closed)
        && session.capture.is_empty()
        && session.server_packets > 0;
    known.then_some((session, &session.conduct))
}

fn found(level: u8, value: u64, evidence: Vec<Evidence>) -> Option<Match> {
    Some(Match { level, value, evidence })
}

fn count(key: &'static str, n: u32) -> Evidence {
    Evidence { key, value: EvidenceValue::Count(n.into()) }
}

fn word(key: &'static str, word: &'static str) -> Evidence {
    Evidence { key, value: EvidenceValue::Word(word) }
}

/// Guard G1: programs of one's own that send through a server of one's own, testers and monitors.
fn not_of_our_own(subject: &Subject<'_>, level: u8) -> Option<u8> {
    let own = subject.outbound && !is_public(subject.session.flow.server.addr);
    (!own && !subject.role.is_prober() && subject.role != Role::App).then_some(level)
}

/// Commands sent ahead.
pub(in super::super) static UNAUTHORISED_PIPELINING: Entry = Entry {
    id: "session.unauthorised_pipelining",
    rev: 1,
    name: "Client does not wait for replies",
    what: "The client sent commands before a byte of the reply to the one before had reached it, by its own \
           acknowledgement numbers, although the server had not offered PIPELINING or the client had greeted with HELO. \
           Mail servers wait; engines that were written to save time do not.",
    advice: "Identify the program that sends. On a mail server: enforce that clients wait.",
    source: "RFC 2920 section 3.1; Postfix postscreen COMMAND PIPELINING, smtpd_forbid_unauth_pipelining",
    attack: "",
    needs: Needs::PLAIN.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "ahead",
        when: "at least `occurrences` commands of a session",
        severity: Severity::High,
        weight: STRONG,
    }],
    window: HOUR,
    settings: &[Setting {
        key: "occurrences",
        default: Value::Count(2),
        doc: "Commands sent ahead in one session that count.",
    }],
    rule: Rule::Flow {
        matches: |cx, event| {
            let (session, conduct) = conduct(cx, event)?;
            if u64::from(conduct.ahead) < cx.settings.count(0).max(1) {
                return None;
            }
            let why = match session.helo_verb {
                Some(HeloVerb::Helo) => "greeted with HELO",
                None => "did not greet",
                Some(_) => "not offered",
            };
            let evidence = vec![
                count("commands", conduct.ahead),
                word("first", conduct.ahead_verb),
                word("pipelining", why),
            ];
            found(0, value_of(conduct.ahead_verb.as_bytes()), evidence)
        },
        admits: not_of_our_own,
        sessions: None,
    },
};

/// A refusal that is not heeded.
pub(in super::super) static IGNORES_REJECTION: Entry = Entry {
    id: "session.ignores_rejection",
    rev: 1,
    name: "Client goes on after a refusal",
    what: "The server refused for good, the refusal had reached the client, by its own acknowledgement number, and the \
           client went on as if it had been accepted: RCPT after a refused MAIL, DATA after all recipients were refused, \
           message text after a refused DATA. It does not read what it is told.",
    advice: "Identify the program that sends; no mail server does this.",
    source: "RFC 5321 sections 3.3 and 4.3.2; Postfix postscreen NON-SMTP COMMAND",
    attack: "",
    needs: Needs::PLAIN.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "goes_on",
        when: "what needed the refused command was sent after 5xx or 421 had been received",
        severity: Severity::High,
        weight: STRONG,
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let (_, conduct) = conduct(cx, event)?;
            let first = conduct.first_ignored?;
            let evidence = vec![
                word("refused", first.command),
                count("code", first.code.into()),
                word("next", first.next),
                count("times", conduct.ignored),
            ];
            found(0, value_of(first.next.as_bytes()), evidence)
        },
        admits: not_of_our_own,
        sessions: None,
    },
};

/// Text that is not waited for.
pub(in super::super) static DATA_BEFORE_354: Entry = Entry {
    id: "session.data_before_354",
    rev: 1,
    name: "Message text before it was asked for",
    what: "The client sent the text of a message before a byte of the reply to DATA had reached it, by its own \
           acknowledgement number. Even with PIPELINING a client has to wait here.",
    advice: "Identify the program that sends; scripts that write all in one go do this, mail servers do not.",
    source: "RFC 5321 section 3.3; RFC 2920 section 3.1",
    attack: "",
    needs: Needs::PLAIN.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "early",
        when: "in at least `sessions` sessions",
        severity: Severity::High,
        weight: STRONG,
    }],
    window: HOUR,
    settings: &[Setting {
        key: "sessions",
        default: Value::Count(2),
        doc: "In how many sessions of a host it must be seen.",
    }],
    rule: Rule::Flow {
        matches: |cx, event| {
            let (_, conduct) = conduct(cx, event)?;
            let evidence = vec![count("messages", conduct.early_text)];
            (conduct.early_text > 0).then_some(Match { level: 0, value: 0, evidence })
        },
        admits: not_of_our_own,
        sessions: Some(0),
    },
};

/// Other protocols.
pub(in super::super) static NON_SMTP_COMMAND: Entry = Entry {
    id: "session.non_smtp_command",
    rev: 1,
    name: "Client does not speak SMTP",
    what: "To a server that greeted as a mail server the client said a request of HTTP, SSH or RDP, a TLS hello that \
           nobody asked for, or fields of a message header as commands. It scans, is used as a proxy, or does not listen.",
    advice: "Outbound: the host is a proxy or scans; find the program. Inbound: nothing, the Internet is full of it.",
    source: "Postfix smtpd_forbidden_commands; Postfix postscreen NON-SMTP COMMAND",
    attack: "T1090, T1046",
    needs: Needs::EARLY.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[
        Level {
            name: "outbound",
            when: "a watched host says it",
            severity: Severity::High,
            weight: STRONG,
        },
        Level {
            name: "tls",
            when: "a watched host begins with TLS on port 25, as user agents do that try their settings",
            severity: Severity::Low,
            weight: WEAK,
        },
        Level {
            name: "inbound",
            when: "a client says it to a watched server",
            severity: Severity::Low,
            weight: Weight::Info,
        },
    ],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let (session, conduct) = conduct(cx, event)?;
            let foreign = conduct.foreign?;
            let plain = session.greeting_code.is_some();
            let (level, said, known) = match foreign {
                Foreign::Http => (0, "HTTP", plain),
                Foreign::Ssh => (0, "SSH", plain),
                Foreign::Rdp => (0, "RDP", plain),
                Foreign::Header => (0, "a message header", plain),
                // On other ports it may be what the server wants.
                Foreign::Tls => {
                    let answered = plain || conduct.plain_answer;
                    (1, "a TLS hello", answered && session.flow.server.port == 25)
                }
            };
            let mut evidence = vec![word("said", said)];
            if foreign != Foreign::Tls {
                let mut shown = Text::new();
                shown.set(session.first_bytes.as_bytes(), 100);
                evidence.push(Evidence { key: "first_bytes", value: EvidenceValue::Wire(shown) });
            }
            known.then_some(Match { level, value: value_of(said.as_bytes()), evidence })
        },
        admits: |subject, level| {
            let level = if subject.outbound { level } else { 2 };
            (!subject.role.is_prober()).then_some(level)
        },
        sessions: None,
    },
};

/// Errors without end.
pub(in super::super) static ERROR_FLOOD: Entry = Entry {
    id: "session.error_flood",
    rev: 1,
    name: "Many bad or useless commands",
    what: "Within one session, and without delivering a message in between, the client sent many lines that are no \
           command, got many commands refused as wrong, or sent NOOP, RSET and VRFY without end. Recipients and \
           senders that are refused do not count here.",
    advice: "Identify the program that sends; on a mail server, limit errors of a session.",
    source: "Postfix smtpd_soft_error_limit, smtpd_hard_error_limit, smtpd_junk_command_limit",
    attack: "T1499",
    needs: Needs::PLAIN.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "flood",
        when: "at least `errors` replies of 500 to 504, or `unknown` lines, or more than `junk` such commands",
        severity: Severity::Medium,
        weight: WEAK,
    }],
    window: HOUR,
    settings: &[
        Setting {
            key: "errors",
            default: Value::Count(10),
            doc: "Replies of 500 to 504 to commands outside of a transaction.",
        },
        Setting { key: "unknown", default: Value::Count(20), doc: "Lines that are no command." },
        Setting {
            key: "junk",
            default: Value::Count(100),
            doc: "So many NOOP, RSET and VRFY may be.",
        },
    ],
    rule: Rule::Flow {
        matches: |cx, event| {
            let (_, conduct) = conduct(cx, event)?;
            let [errors, unknown, junk] =
                [conduct.errors, conduct.unknown, conduct.junk].map(u64::from);
            let many = errors >= cx.settings.count(0).max(1)
                || unknown >= cx.settings.count(1).max(1)
                || junk > cx.settings.count(2);
            let evidence = || {
                vec![
                    count("errors", conduct.errors),
                    count("unknown", conduct.unknown),
                    count("junk", conduct.junk),
                ]
            };
            many.then(|| Match { level: 0, value: 0, evidence: evidence() })
        },
        admits: not_of_our_own,
        sessions: None,
    },
};

/// Newlines that are none.
pub(in super::super) static BARE_NEWLINE: Entry = Entry {
    id: "session.bare_newline",
    rev: 1,
    name: "Lines do not end with CRLF",
    what: "The client ended commands or lines of a message by LF alone, or sent a CR alone. Many scripts and devices do; \
           servers differ in what they make of it, and that is what smuggling lives on. Of each text the first 2048 \
           bytes are looked at.",
    advice: "Mend the client: a line ends with CRLF.",
    source: "RFC 5321 section 2.3.8; Postfix postscreen BARE NEWLINE, smtpd_forbid_bare_newline",
    attack: "",
    needs: Needs::PLAIN,
    unseen: NotObservable::empty(),
    directions: Directions::all(),
    levels: &[Level {
        name: "bare",
        when: "an LF without CR or a CR without LF in a command or a text",
        severity: Severity::Low,
        weight: Weight::Hygiene(10),
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let (_, conduct) = conduct(cx, event)?;
            let evidence = || {
                vec![
                    count("commands", conduct.bare_in_commands),
                    count("text", conduct.bare_in_text),
                ]
            };
            let any = conduct.bare_in_commands > 0 || conduct.bare_in_text > 0;
            any.then(|| Match { level: 0, value: 0, evidence: evidence() })
        },
        admits: |_, level| Some(level),
        sessions: None,
    },
};

// What the explanation says.
const _: () = assert!(NEWLINE_BYTES == 2048);

/// Ends of data that only some servers see.
pub(in super::super) static SMUGGLING_EOD: Entry = Entry {
    id: "session.smuggling_eod",
    rev: 1,
    name: "A false end of data inside a message",
    what: "A message held a dot between newlines of which one is not CRLF, and went on behind it. Some servers take that \
           for the end of the message, and read what follows as commands in the name of whoever handed it to them. Where \
           a command follows, it is an attempt.",
    advice: "On the mail server: let only CRLF.CRLF end a message, and refuse bare newlines. Outbound: find who handed in the \
             message.",
    source: "SEC Consult 2023, SMTP smuggling; CVE-2023-51764, CVE-2023-51765, CVE-2023-51766",
    attack: "T1672",
    needs: Needs::PLAIN.union(Needs::WHOLE),
    unseen: NotObservable::empty(),
    directions: Directions::all(),
    levels: &[
        Level {
            name: "attack",
            when: "the bytes behind it are a command",
            severity: Severity::Medium,
            weight: WEAK,
        },
        Level {
            name: "notice",
            when: "they are not",
            severity: Severity::Info,
            weight: Weight::Info,
        },
    ],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let (_, conduct) = conduct(cx, event)?;
            let end = conduct.false_end?;
            let mut evidence = vec![
                word("sequence", end.sequence),
                Evidence { key: "offset", value: EvidenceValue::Count(end.offset) },
            ];
            evidence.extend(end.command.map(|command| word("command", command)));
            found(u8::from(end.command.is_none()), value_of(end.sequence.as_bytes()), evidence)
        },
        admits: |_, level| Some(level),
        sessions: None,
    },
};
