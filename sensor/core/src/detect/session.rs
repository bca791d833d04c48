//! `session.*`: how the dialogue is conducted.

mod conduct;

use alloc::vec;

use super::distinct::Distinct;
use super::filter::Few;
use super::host::{
    Happening, MINUTES_10, is_empty_connect, is_end_of_client, is_idle_talk, is_reset_in_turn,
    is_submission,
};
use super::special::is_public;
use super::tuning::value_of;
use super::{
    Directions, Entry, Evidence, EvidenceValue, FlowCx, FlowEvent, HostCx, Level, Match, Needs,
    NotObservable, Role, Rule, Setting, Severity, Value, Weight, is_whole,
};
use crate::base::{HOUR, SECOND, Text};

pub(super) use conduct::{
    BARE_NEWLINE, DATA_BEFORE_354, ERROR_FLOOD, IGNORES_REJECTION, NON_SMTP_COMMAND, SMUGGLING_EOD,
    UNAUTHORISED_PIPELINING,
};

/// Client speaks before the greeting.
pub(super) static PREGREET: Entry = Entry {
    id: "session.pregreet",
    rev: 1,
    name: "Client speaks before the greeting",
    what: "The client's first bytes were sent before it had received any byte of the greeting: its own acknowledgement \
           number says so, wherever the sensor stands. A mail server waits; engines of bots that were written to save \
           time do not.",
    advice: "Outbound: look for the program that opened the connection, it is not a mail server. Inbound: limit the \
             client.",
    source: "RFC 5321 sections 3.1 and 4.3.1; Postfix postscreen PREGREET",
    attack: "T1071.003",
    needs: Needs::TCP.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "early",
        when: "the first payload acknowledges no byte of the greeting, or lies in the SYN",
        severity: Severity::High,
        weight: Weight::Behaviour { plane: "protocol", family: "session", strong: true },
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow { matches: pregreet, admits: |_, level| Some(level), sessions: None },
};

fn pregreet(cx: &FlowCx<'_>, event: FlowEvent<'_>) -> Option<Match> {
    let FlowEvent::Pregreet { first, in_syn, before_greeting } = event else { return None };
    let session = cx.session;
    // Guard G8; and of what begins in another protocol the client's greeting is no question of manners.
    if !is_whole(session)
        || session.server_packets == 0
        || session.flow.server.port == 465
        || is_other_protocol(first)
    {
        return None;
    }
    let mut shown = Text::new();
    shown.set(first, 100);
    let mut evidence = vec![Evidence { key: "first_bytes", value: EvidenceValue::Wire(shown) }];
    if in_syn {
        evidence.push(Evidence { key: "in_syn", value: EvidenceValue::Word("yes") });
    }
    if let Some(before) = before_greeting {
        evidence.push(Evidence { key: "before_greeting", value: EvidenceValue::Span(before) });
    }
    let verb = first.split(|b| !b.is_ascii_alphabetic()).next().unwrap_or_default();
    Some(Match { level: 0, value: value_of(verb), evidence })
}

/// TLS, HTTP, and the header that a load balancer puts first.
fn is_other_protocol(first: &[u8]) -> bool {
    const OTHERS: &[&[u8]] = &[
        b"\x16\x03",
        b"PROXY ",
        b"\r\n\r\n\0\r\nQUIT\n",
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"OPTIONS ",
        b"CONNECT ",
        b"SSH-",
    ];
    first.is_empty() || OTHERS.iter().any(|other| first.starts_with(other))
}

/// Client hangs up.
pub(super) static NO_QUIT: Entry = Entry {
    id: "session.no_quit",
    rev: 1,
    name: "Client hangs up without QUIT",
    what: "A large share of the host's sessions ended by its hanging up, without QUIT. Mail servers say QUIT; some \
           hundredths of a per cent of sessions end otherwise.",
    advice: "Look with the verdict which program it is; alone this asks for nothing.",
    source: "RFC 5321 section 4.1.1.10; catalogue, session.no_quit",
    attack: "",
    needs: Needs::PLAIN.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[
        Level {
            name: "most",
            when: "at least `percent_most` of at least `sessions_most` sessions in an hour",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "protocol", family: "session", strong: true },
        },
        Level {
            name: "many",
            when: "at least `percent` of at least `sessions` sessions in an hour",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "protocol", family: "session", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "sessions",
            default: Value::Count(20),
            doc: "The least number of sessions in an hour.",
        },
        Setting {
            key: "percent",
            default: Value::Percent(20),
            doc: "The share of them that counts.",
        },
        Setting {
            key: "sessions_most",
            default: Value::Count(50),
            doc: "The least number of sessions for the worse level.",
        },
        Setting {
            key: "percent_most",
            default: Value::Percent(80),
            doc: "The share of them for the worse level.",
        },
    ],
    rule: Rule::Host(no_quit),
};

fn no_quit(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    if session.quit || !is_end_of_client(session) {
        return None;
    }
    let [now, before] = cx.host.ends.halves();
    let (total, without) = (now.total + before.total, now.without_quit + before.without_quit);
    let share = without * 100 / total.max(1);
    let level = if total >= cx.settings.count(2) && share >= cx.settings.percent(3) {
        0
    } else if total >= cx.settings.count(0) && share >= cx.settings.percent(1) {
        1
    } else {
        return None;
    };
    let evidence = vec![
        Evidence { key: "sessions", value: EvidenceValue::Count(total) },
        Evidence { key: "without_quit", value: EvidenceValue::Count(without) },
        Evidence {
            key: "share",
            value: EvidenceValue::Percent(u8::try_from(share).unwrap_or(100)),
        },
    ];
    Some(Match { level, value: 0, evidence })
}

/// The setting of [`HOLD_OPEN`] that the tracker wants to know.
pub(super) const IDLE: usize = 0;

/// Connections kept open.
pub(super) static HOLD_OPEN: Entry = Entry {
    id: "session.hold_open",
    rev: 1,
    name: "Connections are held open",
    what: "The host keeps its connections open and says nothing, a minute and more after the server's last reply. Mail \
           servers reuse a connection within seconds or say QUIT.",
    advice: "Close connections promptly.",
    source: "RFC 5321 section 4.5.3.2; catalogue, session.hold_open",
    attack: "T1499",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS,
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "parallel",
            when: "more than `parallel` idle connections to one server at the same time",
            severity: Severity::Low,
            weight: Weight::Behaviour { plane: "protocol", family: "session", strong: false },
        },
        Level {
            name: "median",
            when: "the median over at least `sessions` sessions of an hour is at least `idle`",
            severity: Severity::Low,
            weight: Weight::Behaviour { plane: "protocol", family: "session", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "idle",
            default: Value::Span(60 * SECOND),
            doc: "A client that is silent for so long holds its connection.",
        },
        Setting {
            key: "sessions",
            default: Value::Count(5),
            doc: "The least number of held sessions in an hour.",
        },
        Setting {
            key: "parallel",
            default: Value::Count(10),
            doc: "So many idle connections to one server may be.",
        },
    ],
    rule: Rule::Host(hold_open),
};

fn hold_open(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Held { session, idle } = happening else { return None };
    if cx.role.is_prober() {
        return None;
    }
    let [now, before] = cx.host.holds.halves();
    let (held, prompt) = (now.held + before.held, now.prompt + before.prompt);
    let server = session.flow.server.addr;
    let parallel =
        cx.host.idle_now.iter().find(|(addr, _)| *addr == server).map_or(0, |(_, n)| u64::from(*n));
    // The median of all sessions is at least `idle` when at least half of them were held so long.
    let level = if parallel > cx.settings.count(2) {
        0
    } else if held >= cx.settings.count(1) && held >= prompt {
        1
    } else {
        return None;
    };
    let evidence = vec![
        Evidence { key: "idle", value: EvidenceValue::Span(idle / SECOND * SECOND) },
        Evidence { key: "held", value: EvidenceValue::Count(held) },
        Evidence { key: "sessions", value: EvidenceValue::Count(held + prompt) },
        Evidence { key: "parallel", value: EvidenceValue::Count(parallel) },
        Evidence { key: "server", value: EvidenceValue::Addr(server) },
    ];
    Some(Match { level, value: 0, evidence })
}

/// Connections without a word.
pub(super) static EMPTY_CONNECT: Entry = Entry {
    id: "session.empty_connect",
    rev: 1,
    name: "Connections without a word",
    what: "The host connects to many mail servers and leaves without a byte: it looks for servers, or for a way out.",
    advice: "The host scans for SMTP; find the program that does.",
    source: "catalogue, session.empty_connect; Postfix postscreen HANGUP",
    attack: "T1046",
    needs: Needs::TCP.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "many",
        when: "at least `connections` in 10 minutes to at least `servers` servers",
        severity: Severity::Medium,
        weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: false },
    }],
    window: HOUR,
    settings: &[
        Setting {
            key: "connections",
            default: Value::Count(20),
            doc: "The least number of connections in 10 minutes.",
        },
        Setting {
            key: "servers",
            default: Value::Count(10),
            doc: "The least number of servers they go to.",
        },
    ],
    rule: Rule::Host(empty_connect),
};

fn empty_connect(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    if !is_empty_connect(session) || cx.role.is_prober() {
        return None;
    }
    let [now, before] = cx.host.empty.halves();
    let total = now.total + before.total;
    let servers = Distinct::union([&now.servers, &before.servers]);
    if total < cx.settings.count(0) || servers < cx.settings.count(1) {
        return None;
    }
    let evidence = vec![
        Evidence { key: "connections", value: EvidenceValue::Count(total) },
        Evidence { key: "servers", value: EvidenceValue::Count(servers) },
        Evidence { key: "window", value: EvidenceValue::Span(MINUTES_10) },
        Evidence { key: "server", value: EvidenceValue::Addr(session.flow.server.addr) },
    ];
    Some(Match { level: 0, value: 0, evidence })
}

/// Client aborts.
pub(super) static RST_CLOSE: Entry = Entry {
    id: "session.rst_close",
    rev: 1,
    name: "Client aborts with RST while it is its turn",
    what: "A large share of the host's sessions ended by its RST, with the server's last words unanswered, and without QUIT \
           or FIN before. A program that hangs up like this does not read what it is told.",
    advice: "Look with the verdict which program it is; alone this asks for nothing.",
    source: "Beverly, Sollins, Exploiting transport-level characteristics of spam (CEAS 2008)",
    attack: "",
    needs: Needs::TCP.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::all(),
    levels: &[Level {
        name: "many",
        when: "at least `percent` of at least `sessions` sessions in an hour, with at least `servers` servers",
        severity: Severity::Low,
        weight: Weight::Behaviour { plane: "protocol", family: "tls_transport", strong: false },
    }],
    window: HOUR,
    settings: &[
        Setting {
            key: "sessions",
            default: Value::Count(20),
            doc: "The least number of sessions in an hour.",
        },
        Setting {
            key: "percent",
            default: Value::Percent(50),
            doc: "The share of them that counts.",
        },
        Setting {
            key: "servers",
            default: Value::Count(5),
            doc: "The least number of servers, 64 at most, of a client of yours: health checks abort so, but go to few.",
        },
    ],
    rule: Rule::Host(rst_close),
};

fn rst_close(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, held: false } = happening else { return None };
    // A client that is seen at its servers only is seen with few.
    let servers_wanted = if cx.outbound { cx.settings.count(2) } else { 1 };
    if cx.role.is_prober() || !is_reset_in_turn(session) {
        return None;
    }
    let [now, before] = cx.host.resets.halves();
    let (total, reset) = (now.total + before.total, now.reset + before.reset);
    let servers = Few::union([&now.servers, &before.servers]);
    if total < cx.settings.count(0)
        || reset * 100 < total * cx.settings.percent(1)
        || servers < servers_wanted
    {
        return None;
    }
    Some(Match {
        level: 0,
        value: 0,
        evidence: vec![
            Evidence { key: "sessions", value: EvidenceValue::Count(total) },
            Evidence { key: "reset", value: EvidenceValue::Count(reset) },
            Evidence { key: "servers", value: EvidenceValue::Count(servers) },
            Evidence { key: "window", value: EvidenceValue::Span(HOUR) },
        ],
    })
}

/// Says hello, listens, leaves, and comes again.
pub(super) static HELO_QUIT_LOOP: Entry = Entry {
    id: "session.helo_quit_loop",
    rev: 1,
    name: "EHLO, nothing, and again",
    what: "The host comes to one server again and again, says EHLO, reads what the server offers and leaves: no mail, no \
           AUTH, no STARTTLS. Bots that guess passwords look so for servers that offer AUTH.",
    advice: "Outbound: find the program that asks. Inbound: limit the client. A monitor of your own: give it its role.",
    source: "catalogue, session.helo_quit_loop",
    attack: "T1595, T1110",
    needs: Needs::EARLY.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::all(),
    levels: &[
        Level {
            name: "outbound",
            when: "a client of yours: at least `sessions` such sessions in 10 minutes with one public server",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "protocol", family: "session", strong: true },
        },
        Level {
            name: "inbound",
            when: "the same by a client of your server",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "host", family: "account", strong: false },
        },
    ],
    window: HOUR,
    settings: &[Setting {
        key: "sessions",
        default: Value::Count(20),
        doc: "Such sessions with one server in 10 minutes. A monitor that looks once a minute makes ten.",
    }],
    rule: Rule::Host(helo_quit_loop),
};

fn helo_quit_loop(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    let server = session.flow.server.addr;
    // Load balancers ask the servers behind them every other second.
    let near = cx.outbound && !is_public(server);
    if cx.role.is_prober() || near || !is_idle_talk(session) {
        return None;
    }
    let sessions = cx.host.loops.halves().iter().map(|loops| loops.of(server)).sum::<u64>();
    (sessions >= cx.settings.count(0)).then(|| Match {
        level: u8::from(!cx.outbound),
        value: 0,
        evidence: vec![
            Evidence { key: "sessions", value: EvidenceValue::Count(sessions) },
            Evidence { key: "helo", value: EvidenceValue::Wire(session.helo.clone()) },
            Evidence { key: "window", value: EvidenceValue::Span(MINUTES_10) },
        ],
    })
}

/// Too many at a time.
pub(super) static CONCURRENCY: Entry = Entry {
    id: "session.concurrency",
    rev: 1,
    name: "Many sessions with one server at a time",
    what: "The host holds so many sessions with one server at the same time as no careful sender does: Postfix opens at \
           most 20 to one destination, others fewer. Receivers count and refuse.",
    advice: "Lower the concurrency for each destination. A host that is no mail server: find the program that sends.",
    source: "Postfix default_destination_concurrency_limit, default_process_limit; catalogue, session.concurrency",
    attack: "T1499",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::all(),
    levels: &[
        Level {
            name: "most",
            when: "at least `most` at a time with one server; a mail host at least `mail_host`",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "traffic", family: "rate", strong: true },
        },
        Level {
            name: "many",
            when: "no mail host: at least `sessions` at a time with one server",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "traffic", family: "rate", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "sessions",
            default: Value::Count(20),
            doc: "Sessions at a time that are many for a host that is no mail host.",
        },
        Setting {
            key: "most",
            default: Value::Count(100),
            doc: "Sessions at a time that are far too many for such a host.",
        },
        Setting {
            key: "mail_host",
            default: Value::Count(150),
            doc: "The same for a mail host: Postfix, as it is installed, sends over 100 at most, and domains with one \
                  provider share its servers.",
        },
    ],
    rule: Rule::Host(concurrency),
};

fn concurrency(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Greeted { flow, .. } = happening else { return None };
    // Whose clients or customers are many (guard G1).
    let many = matches!(cx.role, Role::Bulk | Role::List | Role::Hosting | Role::Gateway);
    // Of a client that is not ours only what is far too much counts: it may be a provider.
    let mail_host = cx.host.is_mail_host(cx.role) || !cx.outbound;
    if cx.role.is_prober() || many || is_submission(flow.server.port) {
        return None;
    }
    let open = cx.host.open.with(flow.server.addr);
    let most = if mail_host { cx.settings.count(2) } else { cx.settings.count(1) };
    let (level, limit) = if open >= most {
        (0, most)
    } else if !mail_host && open >= cx.settings.count(0) {
        (1, cx.settings.count(0))
    } else {
        return None;
    };
    Some(Match {
        level,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "open", value: EvidenceValue::Count(open) },
            Evidence { key: "limit", value: EvidenceValue::Count(limit) },
            Evidence { key: "server", value: EvidenceValue::Addr(flow.server.addr) },
        ],
    })
}
