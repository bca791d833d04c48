//! What a host asks DNS before it connects, and what it does not.

use alloc::vec;

use super::{addresses, names};
use crate::base::{DAY, HOUR, Nanos};
use crate::detect::filter::Few;
use crate::detect::host::{Happening, MINUTES_10, is_submission};
use crate::detect::{
    Directions, Entry, Evidence, EvidenceValue, HostCx, Level, Match, Needs, NotObservable, Role,
    Rule, Setting, Severity, Value, Weight,
};
use crate::dns::kind;

/// Asks where mail goes.
pub(in crate::detect) static MX_QUERY_NONMAILER: Entry = Entry {
    id: "fanout.mx_query_nonmailer",
    rev: 1,
    name: "A host that is no mail server asks for mail exchangers",
    what: "The host asked DNS for the mail exchangers of a domain and then connected to one of them, as a mail server \
           does; but it is none. Programs of users and applications hand their mail to a server of their own and never \
           ask for an MX record. Only asking for several is less: programs that check addresses do so, too.",
    advice: "Find the program that asks. A mail server that only sends: give it its role.",
    source: "Whyte, van Oorschot, Kranakis, Addressing SMTP-based mass-mailing activity (ACSAC 2006)",
    attack: "T1071.003",
    needs: Needs::DNS.union(Needs::TCP),
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "connects",
            when: "no mail host connects to port 25 of an address of a mail exchanger, within 60 seconds of the answers \
                   that named it; a host without a role, when its DNS has been seen for `observed`",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "host", family: "dns", strong: true },
        },
        Level {
            name: "asks",
            when: "no mail host and no application asks for those of at least `names` domains in 10 minutes, and is answered",
            severity: Severity::Low,
            weight: Weight::Behaviour { plane: "host", family: "dns", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "names",
            default: Value::Count(3),
            doc: "Domains within 10 minutes that are several, 64 at most.",
        },
        Setting {
            key: "observed",
            default: Value::Span(MINUTES_10),
            doc: "So long DNS of a host without a role must have been seen: a mail server that is unknown, as all are when \
                  the sensor starts, has time to be seen greeting.",
        },
    ],
    rule: Rule::Host(mx_query_nonmailer),
};

fn mx_query_nonmailer(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    // What a resolver asks it asks for others.
    if cx.role.is_prober()
        || cx.host.is_mail_host(cx.role)
        || cx.host.is_gateway(cx.role)
        || cx.host.resolves
    {
        return None;
    }
    let lookups = cx.host.lookups.as_deref()?;
    match happening {
        Happening::Opened { flow, stack: 1.. } if !is_submission(flow.server.port) => {
            if cx.role == Role::Unknown && lookups.seen_for(cx.now) < cx.settings.span(1) {
                return None;
            }
            let followed = lookups.followed.as_ref().filter(|f| f.addr == flow.server.addr)?;
            Some(Match {
                level: 0,
                value: cx.now.as_nanos() / HOUR,
                evidence: vec![
                    Evidence { key: "domain", value: EvidenceValue::Wire(followed.domain.clone()) },
                    Evidence { key: "server", value: EvidenceValue::Addr(followed.addr) },
                    Evidence { key: "after", value: EvidenceValue::Span(followed.after) },
                    Evidence { key: "resolver", value: EvidenceValue::Addr(followed.resolver) },
                ],
            })
        }
        Happening::Dns { lookup, .. }
            if lookup.response
                && lookup.kind == kind::MX
                && lookup.recursion_desired
                && cx.host.asked_anew
                && cx.role != Role::App =>
        {
            let [now, before] = lookups.asked.halves();
            let asked = Few::union([&now.names, &before.names]);
            if asked < cx.settings.count(0) {
                return None;
            }
            let mut evidence = vec![
                Evidence { key: "domains", value: EvidenceValue::Count(asked) },
                Evidence {
                    key: "sample",
                    value: EvidenceValue::Wire(names(before.sample.iter().chain(&now.sample))),
                },
                Evidence { key: "window", value: EvidenceValue::Span(MINUTES_10) },
            ];
            if let Some(resolver) = now.resolver.or(before.resolver) {
                evidence.push(Evidence { key: "resolver", value: EvidenceValue::Addr(resolver) });
            }
            Some(Match { level: 1, value: cx.now.as_nanos() / HOUR, evidence })
        }
        _ => None,
    }
}

/// Knows addresses that nobody told it.
pub(in crate::detect) static NO_DNS_BEFORE_CONNECT: Entry = Entry {
    id: "fanout.no_dns_before_connect",
    rev: 1,
    name: "Connects to mail servers that no DNS answer named",
    what: "The host contacts public mail servers whose addresses stood in no DNS answer to it within the last day, while \
           its other DNS is seen. Such addresses come from a list that somebody sends: from whoever commands a bot, or \
           from the user of a proxy.",
    advice: "Find the program that connects. If mail's names are resolved in a way that cannot be seen here (DNS over \
             HTTPS or TLS, another address of the host), switch this off for it.",
    source: "inverse of Whyte et al. 2006; catalogue, fanout.no_dns_before_connect",
    attack: "T1071.003, T1573",
    needs: Needs::DNS.union(Needs::TCP).union(Needs::HISTORY),
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::OUT,
    levels: &[Level {
        name: "unnamed",
        when: "at least `servers` such servers in an hour, in which the host had at least `answers` DNS answers and none \
               was lost or cut; DNS was seen before for `warmup`, of a mail host for a day",
        severity: Severity::High,
        weight: Weight::Behaviour { plane: "host", family: "dns", strong: true },
    }],
    window: HOUR,
    settings: &[
        Setting {
            key: "servers",
            default: Value::Count(10),
            doc: "Servers in an hour that no answer named, 64 at most.",
        },
        Setting {
            key: "answers",
            default: Value::Count(50),
            doc: "DNS answers in an hour by which the host's ordinary DNS counts as seen.",
        },
        Setting {
            key: "warmup",
            default: Value::Span(2 * HOUR),
            doc: "DNS must have been seen for so long before a connection counts: what was answered before may be cached.",
        },
    ],
    rule: Rule::Host(no_dns_before_connect),
};

/// A mail host's own resolver may cache an answer for so long.
const MAIL_HOST_WARM: Nanos = DAY;

fn no_dns_before_connect(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Opened { flow, stack: 1.. } = happening else { return None };
    if cx.role.is_prober() || cx.host.is_gateway(cx.role) || is_submission(flow.server.port) {
        return None;
    }
    let lookups = cx.host.lookups.as_deref()?;
    let sum = |[now, before]: [&u64; 2]| now.saturating_add(*before);
    if sum(lookups.answers.halves()) < cx.settings.count(1) || sum(lookups.holes.halves()) > 0 {
        return None;
    }
    let warm = match cx.host.is_mail_host(cx.role) {
        true => cx.settings.span(2).max(MAIL_HOST_WARM),
        false => cx.settings.span(2),
    };
    let unnamed = lookups.unnamed(warm);
    ((unnamed.len() as u64) >= cx.settings.count(0)).then(|| Match {
        level: 0,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "servers", value: EvidenceValue::Count(unnamed.len() as u64) },
            Evidence {
                key: "answers_1h",
                value: EvidenceValue::Count(sum(lookups.answers.halves())),
            },
            Evidence { key: "sample", value: EvidenceValue::Words(addresses(unnamed.iter())) },
        ],
    })
}

/// Asks others than it should.
pub(in crate::detect) static RESOLVER_BYPASS: Entry = Entry {
    id: "fanout.resolver_bypass",
    rev: 1,
    name: "Mail exchangers are asked for at a foreign resolver",
    what: "The host asks a resolver that is none of yours for mail exchangers. Bots bring their own resolver, because the \
           one of the network may log, or lie to them. Judged only where `[dns] resolvers` says which are yours.",
    advice: "Find the program that asks, or add the resolver to `[dns] resolvers`. Let DNS out from your resolvers only.",
    source: "catalogue, fanout.resolver_bypass",
    attack: "T1071.004",
    needs: Needs::DNS.union(Needs::INVENTORY),
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::OUT,
    levels: &[Level {
        name: "foreign",
        when: "at least `questions` for MX records in 10 minutes to resolvers that are not among yours, each with \
               recursion desired: a resolver of one's own asks without",
        severity: Severity::Medium,
        weight: Weight::Behaviour { plane: "host", family: "dns", strong: false },
    }],
    window: HOUR,
    settings: &[Setting {
        key: "questions",
        default: Value::Count(5),
        doc: "Questions in 10 minutes that are many.",
    }],
    rule: Rule::Host(resolver_bypass),
};

fn resolver_bypass(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Dns { lookup, known_resolver: Some(false), .. } = happening else { return None };
    let asks = !lookup.response && lookup.kind == kind::MX && lookup.recursion_desired;
    if cx.role.is_prober() || !asks || !cx.host.asked_anew {
        return None;
    }
    let [now, before] = cx.host.lookups.as_deref()?.bypass.halves();
    let total = now.total + before.total;
    if total < cx.settings.count(0) {
        return None;
    }
    let mut evidence = vec![
        Evidence { key: "questions", value: EvidenceValue::Count(total) },
        Evidence {
            key: "sample",
            value: EvidenceValue::Wire(names(before.sample.iter().chain(&now.sample))),
        },
        Evidence { key: "window", value: EvidenceValue::Span(MINUTES_10) },
    ];
    if let Some(resolver) = now.resolver.or(before.resolver) {
        evidence.push(Evidence { key: "resolver", value: EvidenceValue::Addr(resolver) });
    }
    Some(Match { level: 0, value: cx.now.as_nanos() / HOUR, evidence })
}
