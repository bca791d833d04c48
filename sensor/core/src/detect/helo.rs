//! `helo.*`: what the client calls itself. Most of these are facts of configuration, not of behaviour: they say what to
//! mend, and can never alone make a host a bot.

mod bots;
mod dialogue;
mod grammar;
mod persona;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::dynamic::{HARMLESS, looks_dynamic};
use super::host::{Happening, is_submission};
use super::name::{self, Lower};
use super::special::{is_public, same_neighbourhood, special_block};
use super::tuning::value_of;
use super::{
    Directions, Entry, Evidence, EvidenceValue, FlowCx, FlowEvent, HostCx, Level, Match, Needs,
    NotObservable, Rule, Setting, Severity, Subject, Value, Weight,
};
use crate::base::{DAY, HOUR, MINUTE, Text};
use crate::smtp::HeloVerb;

pub(super) use dialogue::{CHANGES_IN_SESSION, MISSING};
pub(super) use grammar::{RESERVED_SUFFIX, SYNTAX_INVALID};
pub(super) use persona::{DESKTOP_NAME, KNOWN_BOT, RANDOM_LABEL, VICTIM_NAME};

const SESSIONS: Setting = Setting {
    key: "sessions",
    default: Value::Count(2),
    doc: "In how many sessions of a host it must be seen.",
};

/// HELO argument is an address without brackets.
pub(super) static BARE_IP: Entry = Entry {
    id: "helo.bare_ip",
    rev: 1,
    name: "HELO is a bare IP address",
    what: "The HELO or EHLO argument is an IP address without the brackets that make it an address literal. Mail servers \
           name themselves; addresses without brackets come from libraries, devices and scripts that were never \
           configured, and from simple bots.",
    advice: "Set the host name of the mail server or library to the fully qualified name of the host.",
    source: "RFC 5321 sections 4.1.1.1 and 4.1.3",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::DNS,
    directions: Directions::all(),
    levels: &[Level {
        name: "bare",
        when: "the argument is an address in digits, also with - or x between them",
        severity: Severity::Low,
        weight: Weight::Hygiene(15),
    }],
    window: HOUR,
    settings: &[SESSIONS],
    rule: Rule::Flow {
        matches: |cx, event| {
            argument(cx, event).and_then(name::bare_ip)?;
            Some(helo_match(cx, Vec::new()))
        },
        admits: |subject, level| {
            (!is_submission(subject.session.flow.server.port)).then_some(level)
        },
        sessions: Some(0),
    },
};

/// Address literal that is not the sender's.
pub(super) static LITERAL_MISMATCH: Entry = Entry {
    id: "helo.literal_mismatch",
    rev: 1,
    name: "HELO address is not the sender's",
    what: "The HELO argument is a public address, and neither the address that the connection comes from nor one of its \
           neighbourhood (/24, /48). An address that is told wrong is a translation that nobody knows of, or a lie.",
    advice: "Look up which address the host has outside; find out which program behind it says another one.",
    source: "RFC 5321 section 4.1.3",
    attack: "T1036",
    needs: Needs::EARLY.union(Needs::INVENTORY),
    unseen: NotObservable::DNS,
    directions: Directions::all(),
    levels: &[Level {
        name: "mismatch",
        when: "literal or bare address is public and lies elsewhere than the source",
        severity: Severity::Medium,
        weight: Weight::Hygiene(25),
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let told = argument(cx, event).and_then(name::any_ip)?;
            let source = cx.session.flow.client.addr;
            let elsewhere = special_block(told).is_none() && !same_neighbourhood(told, source);
            elsewhere.then(|| helo_match(cx, vec![evidence("source", EvidenceValue::Addr(source))]))
        },
        admits: |subject, level| {
            // Behind a translation only the operator knows how the host appears outside (guard G6).
            let told = name::any_ip(subject.session.helo.as_bytes())?;
            let public = || subject.public.iter();
            let source_is_known = is_public(subject.session.flow.client.addr)
                || subject.outbound && public().len() > 0;
            let own = subject.outbound && public().any(|net| net.contains(told));
            let exempt = is_submission(subject.session.flow.server.port);
            (source_is_known && !own && !exempt).then_some(level)
        },
        sessions: None,
    },
};

/// Address that cannot be public.
pub(super) static LITERAL_PRIVATE: Entry = Entry {
    id: "helo.literal_private",
    rev: 1,
    name: "HELO address cannot be public",
    what: "The HELO argument is an address of a block that is not for the public Internet: private, loopback, link-local, \
           shared or documentation; and the server is a public one.",
    advice: "Set a public, fully qualified name as the host name of the mail server or library.",
    source: "RFC 5321 section 2.3.5; IANA special-purpose address registries",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::empty(),
    directions: Directions::all(),
    levels: &[Level {
        name: "private",
        when: "literal or bare address lies in a special-purpose block, the server is public",
        severity: Severity::Low,
        weight: Weight::Hygiene(20),
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let block = argument(cx, event).and_then(name::any_ip).and_then(special_block)?;
            Some(helo_match(cx, vec![evidence("block", EvidenceValue::Word(block))]))
        },
        admits: |subject, level| {
            // A host that really has such an address outside (6to4, or an anonymised capture) tells the truth.
            let source = subject.session.flow.client.addr;
            let told = name::any_ip(subject.session.helo.as_bytes())?;
            if told == source && is_public(source) {
                return None;
            }
            to_public_server(subject, level)
        },
        sessions: None,
    },
};

/// One label.
pub(super) static UNQUALIFIED: Entry = Entry {
    id: "helo.unqualified",
    rev: 1,
    name: "HELO is not fully qualified",
    what: "The HELO argument is a single label. A mail server says its fully qualified name; a bare host name is that of \
           a machine whose mail was never configured, or of a desktop.",
    advice: "Set myhostname (Postfix), primary_hostname (Exim) or the like to the fully qualified name of the host.",
    source: "RFC 5321 sections 2.3.5 and 4.1.1.1",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::DNS,
    directions: Directions::all(),
    levels: &[
        Level {
            name: "outbound",
            when: "a watched host says it to a public server",
            severity: Severity::Medium,
            weight: Weight::Hygiene(20),
        },
        Level {
            name: "inbound",
            when: "a client says it to a watched server",
            severity: Severity::Low,
            weight: Weight::Hygiene(10),
        },
    ],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let lower = Lower::new(argument(cx, event)?);
            let label = lower.as_bytes();
            let odd = label.is_empty()
                || label.contains(&b'.')
                || label.starts_with(b"[")
                || label.contains(&b':');
            if odd || name::bare_ip(label).is_some() || name::is_tld(label) || is_local_name(label)
            {
                return None;
            }
            Some(helo_match(cx, Vec::new()))
        },
        admits: |subject, level| {
            to_public_server(subject, level)?;
            Some(if subject.outbound { 0 } else { 1 })
        },
        sessions: None,
    },
};

/// An unconfigured default.
pub(super) static LOCALHOST: Entry = Entry {
    id: "helo.localhost",
    rev: 1,
    name: "HELO is localhost",
    what: "The HELO argument is the name of an unconfigured machine: localhost, localhost.localdomain or the like. \
           Receivers take it for a sign of an infected or misused host, and some list the address for it.",
    advice: "Set the host name. If the machine runs Windows, look for an infection first: bots of the Lethic kind say it.",
    source: "RFC 5321 section 2.3.5; abuseat.org namingproblems",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "default",
        when: "one of a fixed list of names, the server is public",
        severity: Severity::Medium,
        weight: Weight::Hygiene(40),
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let lower = Lower::new(argument(cx, event)?);
            is_local_name(lower.as_bytes()).then(|| helo_match(cx, Vec::new()))
        },
        admits: to_public_server,
        sessions: None,
    },
};

/// Name of an access line.
pub(super) static DYNAMIC_PATTERN: Entry = Entry {
    id: "helo.dynamic_pattern",
    rev: 1,
    name: "HELO looks like an access line",
    what: "The HELO argument looks as providers name the lines of their customers by rule: it holds the address of the \
           host, or a word for an access network beside a number. Such hosts should send through their provider; bots \
           on them send directly.",
    advice: "A mail server: ask for a reverse name of its own and use it. An end user's line: it should not send \
             directly; look what on it does.",
    source: "catalogue section 3; draft-msullivan-dnsop-generic-naming-schemes",
    attack: "T1584.005",
    needs: Needs::EARLY,
    unseen: NotObservable::DNS,
    directions: Directions::all(),
    levels: &[Level {
        name: "dynamic",
        when: "the classifier's score is at least the limit",
        severity: Severity::Medium,
        weight: Weight::Hygiene(35),
    }],
    window: HOUR,
    settings: &[Setting {
        key: "score",
        default: Value::Count(4),
        doc: "The classifier's score (0 to 5) that counts.",
    }],
    rule: Rule::Flow {
        matches: |cx, event| {
            // An address alone, however it is written, is not a name that holds one: `helo.bare_ip` says it.
            let name = argument(cx, event).filter(|helo| name::any_ip(helo).is_none())?;
            // Without a digit there is no address in it, unless in hexadecimal letters, and a word alone is harmless.
            if cx.settings.count(0) > HARMLESS.into() && !may_hold_an_address(name) {
                return None;
            }
            let looks = looks_dynamic(name, cx.session.flow.client.addr);
            (u64::from(looks.score) >= cx.settings.count(0)).then(|| {
                let more = vec![
                    evidence("rule", EvidenceValue::Word(looks.rule)),
                    evidence("score", EvidenceValue::Count(looks.score.into())),
                    evidence("octets", EvidenceValue::Count(looks.octets.into())),
                ];
                helo_match(cx, more)
            })
        },
        admits: |subject, level| {
            (!is_submission(subject.session.flow.server.port)).then_some(level)
        },
        sessions: None,
    },
};

/// Several names from one address.
pub(super) static VARIES_PER_IP: Entry = Entry {
    id: "helo.varies_per_ip",
    rev: 1,
    name: "HELO changes",
    what: "One address calls itself by names of several organisations within a short time. A mail server has one name; \
           several engines, or one that makes its names up, have many.",
    advice: "Find the process behind each name, and isolate the one that is not the mail server. Names that are meant \
             go to `allow`.",
    source: "catalogue, helo.varies_per_ip; RFC 5321 section 4.1.4",
    attack: "T1584.005",
    needs: Needs::EARLY,
    unseen: NotObservable::DNS.union(NotObservable::PROCESS),
    directions: Directions::all(),
    levels: &[
        Level {
            name: "many",
            when: "at least `names_10m` names in 10 minutes or `names_24h` in a day",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: true },
        },
        Level {
            name: "some",
            when: "at least `names_weak` names in 10 minutes, or many from a gateway",
            severity: Severity::Low,
            weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "names_10m",
            default: Value::Count(3),
            doc: "Names within 10 minutes that are many.",
        },
        Setting {
            key: "names_24h",
            default: Value::Count(5),
            doc: "Names within a day that are many.",
        },
        Setting {
            key: "names_weak",
            default: Value::Count(2),
            doc: "Names within 10 minutes that are worth a word.",
        },
        Setting {
            key: "allow",
            default: Value::Names(&[]),
            doc: "Names that this host may use besides its own.",
        },
    ],
    rule: Rule::Host(varies),
};

fn varies(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    let alone = cx.host.names.len() < 2;
    if alone || session.helo.is_empty() || is_submission(session.flow.server.port) {
        return None;
    }
    let allowed = |sample: &Text| {
        let lower = Lower::new(sample.as_bytes());
        let identity = name::identity(sample.as_bytes(), &lower);
        cx.settings.names(3).iter().any(|a| {
            let allowed = Lower::new(a.as_bytes());
            name::identity(a.as_bytes(), &allowed) == identity
        })
    };
    let names = || cx.host.names.iter().filter(|n| !allowed(&n.sample));
    let short = names().filter(|n| cx.now.since(n.last) < 10 * MINUTE).count() as u64;
    let long = names().filter(|n| cx.now.since(n.last) < DAY).count() as u64;
    let many = short >= cx.settings.count(0) || long >= cx.settings.count(1);
    let gateway = cx.host.is_gateway(cx.role);
    // Behind a gateway several mail servers are nothing odd (guard G6).
    let level = match (many, short >= cx.settings.count(2)) {
        (true, _) if !gateway => 0,
        (true, _) | (_, true) => 1,
        _ => return None,
    };
    let mut list: Vec<_> = names().collect();
    list.sort_by_key(|n| (core::cmp::Reverse(n.last), n.hash));
    let shown = shown(list.iter().map(|name| &name.sample));
    let mut seen = vec![
        evidence("names_10m", EvidenceValue::Count(short)),
        evidence("names_24h", EvidenceValue::Count(long)),
        evidence("names", EvidenceValue::Wire(shown)),
    ];
    if gateway {
        seen.push(evidence(
            "subject",
            EvidenceValue::Words(String::from("a device behind this address")),
        ));
    }
    Some(Match { level, value: value_of(session.helo.as_bytes()), evidence: seen })
}

/// The first few of several names.
fn shown<'a>(names: impl Iterator<Item = &'a Text>) -> Text {
    let mut shown = Text::new();
    for (n, name) in names.take(5).enumerate() {
        if n > 0 {
            shown.push(b", ", 256);
        }
        shown.push(name.as_bytes(), 256);
    }
    shown
}

/// The argument of the greeting that was just read.
fn argument<'a>(cx: &FlowCx<'a>, event: FlowEvent<'_>) -> Option<&'a [u8]> {
    let is_greeting = matches!(event, FlowEvent::Helo) && !cx.session.helo.is_cut();
    is_greeting.then(|| cx.session.helo.as_bytes())
}

fn helo_match(cx: &FlowCx<'_>, more: Vec<Evidence>) -> Match {
    let helo = &cx.session.helo;
    let verb = match cx.session.helo_verb {
        Some(HeloVerb::Helo) | None => "HELO",
        Some(HeloVerb::Ehlo) => "EHLO",
        Some(HeloVerb::Lhlo) => "LHLO",
    };
    let mut seen = vec![
        evidence("helo", EvidenceValue::Wire(helo.clone())),
        evidence("verb", EvidenceValue::Word(verb)),
    ];
    seen.extend(more);
    Match { level: 0, value: value_of(helo.as_bytes()), evidence: seen }
}

fn may_hold_an_address(name: &[u8]) -> bool {
    let mut letters = 0;
    name.iter().any(|b| {
        letters = if b.is_ascii_hexdigit() { letters + 1 } else { 0 };
        b.is_ascii_digit() || letters >= 6
    })
}

fn evidence(key: &'static str, value: EvidenceValue) -> Evidence {
    Evidence { key, value }
}

/// Guards: not to a machine of the same network, and not user agents at a submission port (G2).
fn to_public_server(subject: &Subject<'_>, level: u8) -> Option<u8> {
    let server = subject.session.flow.server;
    (is_public(server.addr) && !is_submission(server.port)).then_some(level)
}

/// Names that machines have which nobody named.
fn is_local_name(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"localhost",
        b"localhost.localdomain",
        b"localhost4",
        b"localhost4.localdomain4",
        b"localhost6",
        b"localhost6.localdomain6",
        b"localhost.local",
        b"localdomain",
        b"ip6-localhost",
        b"localhost.localhost",
    ];
    NAMES.contains(&name)
}
