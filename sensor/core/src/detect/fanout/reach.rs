//! What becomes of a host's attempts: whether they succeed, and whether anything is said.

use alloc::vec;

use super::{addresses, count};
use crate::base::HOUR;
use crate::detect::contacts::Contacts;
use crate::detect::distinct::Distinct;
use crate::detect::filter::Few;
use crate::detect::host::{Happening, MINUTES_10, is_submission};
use crate::detect::{
    Directions, Entry, Evidence, EvidenceValue, HostCx, Level, Match, Needs, NotObservable, Rule,
    Setting, Severity, Value, Weight,
};

/// Attempts that fail.
pub(in crate::detect) static SYN_FAIL_RATIO: Entry = Entry {
    id: "fanout.syn_fail_ratio",
    rev: 2,
    name: "Connections to mail servers fail",
    what: "Most of the host's attempts to reach mail servers come to nothing, and they go to many. Engines of bots work \
           through lists of addresses that were mail servers once; a mail server asks the name service first. Where not \
           one attempt succeeds, see fanout.egress_blocked instead.",
    advice: "Find the program that tries, and where it has its list from.",
    source: "catalogue, fanout.syn_fail_ratio",
    attack: "T1046, T1496",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS.union(NotObservable::DNS),
    directions: Directions::OUT,
    levels: &[Level {
        name: "many_fail",
        when: "at least `percent` of at least `attempts` in 10 minutes failed, to at least `servers` servers, and a public \
                   mail server was reached within the hour",
        severity: Severity::High,
        weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: true },
    }],
    window: HOUR,
    settings: &[
        Setting {
            key: "attempts",
            default: Value::Count(30),
            doc: "The least number of attempts in 10 minutes.",
        },
        Setting {
            key: "percent",
            default: Value::Percent(50),
            doc: "The share of them that counts.",
        },
        Setting {
            key: "servers",
            default: Value::Count(20),
            doc: "The least number of servers that were not reached.",
        },
    ],
    rule: Rule::Host(syn_fail_ratio),
};

fn syn_fail_ratio(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Attempt { flow, .. } = happening else { return None };
    if cx.role.is_prober() || is_submission(flow.server.port) {
        return None;
    }
    let [now, before] = cx.host.attempts.halves();
    let total = now.total + before.total;
    let (refused, silent) = (now.refused + before.refused, now.silent + before.silent);
    let failed = refused + silent;
    if failed == total && is_shut_out(cx) {
        return None;
    }
    if total < cx.settings.count(0) || failed * 100 < total * cx.settings.percent(1) {
        return None;
    }
    let servers = Distinct::union([&now.failed_to, &before.failed_to]);
    (servers >= cx.settings.count(2)).then(|| Match {
        level: 0,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "attempts", value: EvidenceValue::Count(total) },
            Evidence { key: "refused", value: EvidenceValue::Count(refused) },
            Evidence { key: "unanswered", value: EvidenceValue::Count(silent) },
            Evidence { key: "servers", value: EvidenceValue::Count(servers) },
            Evidence { key: "window", value: EvidenceValue::Span(MINUTES_10) },
        ],
    })
}

/// Whether public servers were tried within the hour and none was reached.
fn is_shut_out(cx: &HostCx<'_>) -> bool {
    let Some(contacts) = &cx.host.contacts else { return false };
    let halves = contacts.foreign.halves();
    halves.iter().all(|f| f.reached == 0) && halves.iter().any(|f| f.refused + f.silent > 0)
}

/// The way out is closed, and it is tried.
pub(in crate::detect) static EGRESS_BLOCKED: Entry = Entry {
    id: "fanout.egress_blocked",
    rev: 1,
    name: "Port 25 is blocked for this host, and it tries to get out",
    what: "The host tried many foreign mail servers within the hour and reached none: somebody, its hoster in most cases, \
           blocks port 25. The commonest tenant has no mail to send and no reason to try; what tries anyway is in most \
           cases a bot, and its attempts are the best evidence there is where nothing is ever said. A mail server that \
           is set up behind such a block looks alike, but tries fewer.",
    advice: "Ask whether the host should send mail at all. If not, find the program that tries. If it should, give it a \
             smart host, or lift the block. If everything else fails as well, the network was down.",
    source: "M3AAWG, Managing Port 25; catalogue, fanout.syn_fail_ratio",
    attack: "T1496, T1071.003",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE).union(NotObservable::DNS),
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "dropped",
            when: "no mail host: at least `attempts` at `servers` public servers in an hour, none succeeded, and most \
                   were never answered",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: true },
        },
        Level {
            name: "refused",
            when: "the same, and at least half of them were answered by RST",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: true },
        },
        Level {
            name: "mail_host",
            when: "the same of a mail host: its mail does not get out",
            severity: Severity::Low,
            weight: Weight::Info,
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "attempts",
            default: Value::Count(15),
            doc: "The least number of attempts in an hour; the SYNs of one attempt count once.",
        },
        Setting {
            key: "servers",
            default: Value::Count(10),
            doc: "The least number of public servers among them, 64 at most. One message to a large provider makes a mail \
                  server try five.",
        },
    ],
    rule: Rule::Host(egress_blocked),
};

fn egress_blocked(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Attempt { flow, .. } = happening else { return None };
    if cx.role.is_prober() || is_submission(flow.server.port) || !is_shut_out(cx) {
        return None;
    }
    let [now, before] = cx.host.contacts.as_deref()?.foreign.halves();
    let (refused, silent) = (now.refused + before.refused, now.silent + before.silent);
    let servers = Few::union([&now.servers, &before.servers]);
    if refused + silent < cx.settings.count(0) || servers < cx.settings.count(1) {
        return None;
    }
    let level = match cx.host.is_mail_host(cx.role) {
        true => 2,
        false => u8::from(refused >= silent),
    };
    Some(Match {
        level,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "attempts", value: EvidenceValue::Count(refused + silent) },
            Evidence { key: "unanswered", value: EvidenceValue::Count(silent) },
            Evidence { key: "refused", value: EvidenceValue::Count(refused) },
            Evidence { key: "servers", value: EvidenceValue::Count(servers) },
            Evidence { key: "reached", value: EvidenceValue::Count(0) },
            Evidence { key: "window", value: EvidenceValue::Span(HOUR) },
            Evidence {
                key: "sample",
                value: EvidenceValue::Words(addresses(before.sample.iter().chain(&now.sample))),
            },
        ],
    })
}

/// A scan.
pub(in crate::detect) static PORT25_SWEEP: Entry = Entry {
    id: "fanout.port25_sweep",
    rev: 1,
    name: "Sweep for mail servers",
    what: "The host looks for mail servers: it contacts many addresses and says nothing to nearly all of them, or goes \
           through them in the order of their numbers.",
    advice: "Isolate the host and find the program that scans. A scanner of your own: give it its role.",
    source: "catalogue, fanout.port25_sweep",
    attack: "T1046, T1595.001",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "silent",
            when: "at least `servers` in 10 minutes, some of them reached, and nothing was said to at least `percent`",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: true },
        },
        Level {
            name: "in_order",
            when: "no mail host: at least `servers` tried in 10 minutes, and at least `percent` of the steps lead to an \
                   address that lies next to the one before, at most 8 apart",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: true },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "servers",
            default: Value::Count(50),
            doc: "The least number of addresses in 10 minutes.",
        },
        Setting {
            key: "percent",
            default: Value::Percent(80),
            doc: "The share of silent ones, or of steps in order.",
        },
    ],
    rule: Rule::Host(port25_sweep),
};

fn port25_sweep(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let flow = match happening {
        Happening::Opened { flow, stack: 1.. } => flow,
        Happening::Attempt { flow, end } if *end != crate::detect::Reached::Yes => flow,
        Happening::Ended { session, .. } if session.client_bytes == 0 => &session.flow,
        _ => return None,
    };
    if cx.role.is_prober() || is_submission(flow.server.port) {
        return None;
    }
    let (least, percent) = (cx.settings.count(0), cx.settings.percent(1));
    let (level, servers, key, seen) = if matches!(happening, Happening::Opened { .. }) {
        let [now, before] = cx.host.contacts.as_deref()?.steps.halves();
        let (steps, near) = (now.total + before.total, now.near + before.near);
        let servers = count(&cx.host.tried_10m);
        if cx.host.is_mail_host(cx.role)
            || servers < least
            || steps.saturating_add(1) < least
            || near * 100 < steps * percent
        {
            return None;
        }
        (1, servers, "in_order", near)
    } else {
        let [now, before] = cx.host.contacts.as_deref()?.swept.halves();
        let all = Distinct::union([&now.all, &before.all]);
        let spoken = Distinct::union([&now.spoken, &before.spoken]);
        let silent = all.saturating_sub(spoken);
        // Where nothing is reached at all nothing can be said: `fanout.egress_blocked`.
        if all < least || silent * 100 < all * percent || !Contacts::any_reached(&cx.host.attempts)
        {
            return None;
        }
        (0, all, "silent", silent)
    };
    Some(Match {
        level,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "servers", value: EvidenceValue::Count(servers) },
            Evidence { key, value: EvidenceValue::Count(seen) },
            Evidence { key: "window", value: EvidenceValue::Span(MINUTES_10) },
            Evidence {
                key: "sample",
                value: EvidenceValue::Words(super::sample(&cx.host.tried_10m)),
            },
        ],
    })
}
