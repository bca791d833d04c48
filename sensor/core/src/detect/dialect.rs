//! `dialect.*`: what a client's use of the protocol tells of the software.

use alloc::vec;

use super::distinct::Distinct;
use super::host::{Happening, is_plain_by_choice};
use super::{
    Directions, Entry, Evidence, EvidenceValue, HostCx, Level, Match, Needs, NotObservable, Rule,
    Setting, Severity, Value, Weight,
};
use crate::base::HOUR;

/// STARTTLS is never used.
pub(super) static IGNORES_STARTTLS: Entry = Entry {
    id: "dialect.ignores_starttls",
    rev: 1,
    name: "STARTTLS is offered and never used",
    what: "Many servers offered STARTTLS, and the host sent its mail in the clear to all of them. Mail servers use TLS \
           where it is offered; engines of bots, and libraries that nobody configured, do not.",
    advice: "Switch opportunistic TLS on (Postfix: smtp_tls_security_level = may). Large receivers refuse mail in the \
             clear.",
    source: "RFC 3207; RFC 7435; catalogue, dialect.ignores_starttls",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::PROCESS,
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "never",
            when: "not once in at least `sessions` sessions of a day with at least `servers` servers that offered it",
            severity: Severity::Medium,
            weight: Weight::Both {
                plane: "protocol",
                family: "tls_transport",
                strong: false,
                hygiene: 15,
            },
        },
        Level {
            name: "mail_host",
            when: "the same of a mail host: as delivered, some mail servers do not use TLS",
            severity: Severity::Low,
            weight: Weight::Hygiene(15),
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "sessions",
            default: Value::Count(20),
            doc: "The least number of sessions in which it was offered.",
        },
        Setting {
            key: "servers",
            default: Value::Count(10),
            doc: "The least number of servers that offered it.",
        },
    ],
    rule: Rule::Host(ignores_starttls),
};

fn ignores_starttls(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    if !is_plain_by_choice(session) {
        return None;
    }
    let [now, before] = cx.host.plain.halves();
    let sessions = now.total + before.total;
    let servers = Distinct::union([&now.servers, &before.servers]);
    if sessions < cx.settings.count(0) || servers < cx.settings.count(1) {
        return None;
    }
    let evidence = vec![
        Evidence { key: "offered", value: EvidenceValue::Count(sessions) },
        Evidence { key: "used", value: EvidenceValue::Count(0) },
        Evidence { key: "servers", value: EvidenceValue::Count(servers) },
    ];
    let level = if cx.host.is_mail_host(cx.role) { 1 } else { 0 };
    Some(Match { level, value: 0, evidence })
}
