//! How fast a host connects, and how many of its destinations are new.

use alloc::vec;

use super::{count, sample};
use crate::base::{DAY, HOUR, MINUTE, Nanos};
use crate::detect::distinct::Distinct;
use crate::detect::filter::Few;
use crate::detect::host::{Baseline, HISTORY, Happening, is_submission};
use crate::detect::{
    Directions, Entry, Evidence, EvidenceValue, HostCx, Level, Match, Needs, NotObservable, Role,
    Rule, Setting, Severity, Value, Weight,
};

/// Too fast.
pub(in crate::detect) static CONN_RATE: Entry = Entry {
    id: "fanout.conn_rate",
    rev: 1,
    name: "Connections far faster than its habit",
    what: "A host that is no mail host opens many connections to mail servers within a minute; or a mail host opens far \
           more than in any hour it is known for. Programs that send in bulk do not wait; one application that hands its \
           mail to one relay does not count, however fast it is.",
    advice: "Find the program that sends. A mail host: look at its queue; after an outage it may only be catching up.",
    source: "Postfix anvil(8), unit of 60 s; catalogue, fanout.conn_rate",
    attack: "T1496",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "flood",
            when: "no mail host: at least `connects_flood` SYNs in 60 seconds to at least `servers` servers",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "traffic", family: "rate", strong: true },
        },
        Level {
            name: "many",
            when: "no mail host: at least `connects` SYNs in 60 seconds to at least `servers` servers",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "traffic", family: "rate", strong: false },
        },
        Level {
            name: "mail_host",
            when: "a mail host of which a week is known: in this hour at least `connects_1h` SYNs and three times its \
                   busiest hour, and the cumulated deviation of the last day (CUSUM of the logarithm, k = 0.5 σ) is \
                   above 5 σ",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "traffic", family: "rate", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "connects",
            default: Value::Count(10),
            doc: "SYNs in 60 seconds that are many for a host that is no mail host.",
        },
        Setting {
            key: "connects_flood",
            default: Value::Count(60),
            doc: "SYNs in 60 seconds that are a flood for such a host.",
        },
        Setting {
            key: "servers",
            default: Value::Count(3),
            doc: "The least number of servers among them, 64 at most.",
        },
        Setting {
            key: "connects_1h",
            default: Value::Count(200),
            doc: "The least number of SYNs in an hour of a mail host.",
        },
    ],
    rule: Rule::Host(conn_rate),
};

fn conn_rate(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Opened { flow, stack: 1.. } = happening else { return None };
    if cx.role.is_prober() || is_submission(flow.server.port) {
        return None;
    }
    if cx.host.is_mail_host(cx.role) {
        return off_habit(cx);
    }
    let [now, before] = cx.host.contacts.as_deref()?.syns.halves();
    let syns = now.total + before.total;
    let servers = Few::union([&now.servers, &before.servers]);
    if syns < cx.settings.count(0) || servers < cx.settings.count(2) {
        return None;
    }
    let (level, limit) = match cx.settings.count(1) {
        flood if syns >= flood => (0, flood),
        _ => (1, cx.settings.count(0)),
    };
    Some(Match {
        level,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "connects", value: EvidenceValue::Count(syns) },
            Evidence { key: "limit", value: EvidenceValue::Count(limit) },
            Evidence { key: "servers", value: EvidenceValue::Count(servers) },
            Evidence { key: "window", value: EvidenceValue::Span(MINUTE) },
        ],
    })
}

/// Hours of which a mail host must be known.
const WARM: usize = HISTORY / 2;
/// The least deviation that is assumed: an even host is not accused of a ripple.
const LEAST_SIGMA: f64 = 0.25;

/// The catalogue's CUSUM over hours. The gate of three times the busiest hour comes first: the difference between night
/// and noon, or between Sunday and Monday, would otherwise look like a change.
fn off_habit(cx: &HostCx<'_>) -> Option<Match> {
    let baseline: &Baseline = cx.host.baseline.as_deref()?;
    let (seen, before) = (baseline.connects, &baseline.connects_before);
    if before.len() < WARM || seen < cx.settings.count(3) {
        return None;
    }
    let busiest = before.iter().copied().max().map_or(0, u64::from);
    if seen < busiest.saturating_mul(3) {
        return None;
    }
    let (n, logs) = (before.len() as f64, || before.iter().map(|&c| libm::log1p(f64::from(c))));
    let mean = logs().sum::<f64>() / n;
    let variance = logs().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    let sigma = libm::sqrt(variance).max(LEAST_SIGMA);
    let day = logs().skip(before.len().saturating_sub(24)).chain([libm::log1p(seen as f64)]);
    let sum = day.fold(0.0, |sum: f64, x| libm::fmax(0.0, sum + x - mean - 0.5 * sigma));
    (sum > 5.0 * sigma).then(|| Match {
        level: 2,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "connects_1h", value: EvidenceValue::Count(seen) },
            Evidence { key: "busiest_hour", value: EvidenceValue::Count(busiest) },
            Evidence {
                key: "deviations",
                value: EvidenceValue::Count(libm::round(sum / sigma) as u64),
            },
        ],
    })
}

/// Nearly all new.
pub(in crate::detect) static FIRST_CONTACT_RATIO: Entry = Entry {
    id: "fanout.first_contact_ratio",
    rev: 1,
    name: "Nearly all destinations are new",
    what: "Of the mail servers that the host contacted within the hour nearly all are ones it had not contacted in the \
           month before. Who writes to people writes to the same places again and again; who works through a list of \
           addresses does not.",
    advice: "Look for a program or an account that sends to a list. A host that has just begun a new service, or a \
             newsletter: give it its role.",
    source: "catalogue, fanout.first_contact_ratio",
    attack: "",
    needs: Needs::TCP.union(Needs::HISTORY),
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::OUT,
    levels: &[Level {
        name: "new",
        when: "at least `percent` of at least `servers` servers in an hour are new, to a host that has been known for \
               `history`, and to a mail host with at least `known` destinations",
        severity: Severity::Medium,
        weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: false },
    }],
    window: HOUR,
    settings: &[
        Setting {
            key: "servers",
            default: Value::Count(50),
            doc: "The least number of servers in an hour.",
        },
        Setting { key: "percent", default: Value::Percent(80), doc: "The share of new ones." },
        Setting {
            key: "history",
            default: Value::Span(7 * DAY),
            doc: "For so long a host must have been known. A new server, or a sensor just started, is never judged.",
        },
        Setting {
            key: "known",
            default: Value::Count(200),
            doc: "Destinations that a mail host must have had: before that it has no habit.",
        },
    ],
    rule: Rule::Host(first_contact_ratio),
};

fn first_contact_ratio(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Opened { flow, .. } = happening else { return None };
    // Whose work it is to write to strangers (guard G1).
    let strangers = matches!(
        cx.role,
        Role::Bulk | Role::List | Role::Forwarder | Role::Hosting | Role::Gateway
    );
    if cx.role.is_prober() || strangers || is_submission(flow.server.port) {
        return None;
    }
    let contacts = cx.host.contacts.as_deref()?;
    let known = &contacts.known;
    let age: Nanos = cx.now.since(known.since?);
    let [now, before] = contacts.fresh.halves();
    let (all, fresh) = (count(&cx.host.tried_1h), Distinct::union([now, before]));
    let habit =
        !cx.host.is_mail_host(cx.role) || known.count.saturating_sub(fresh) >= cx.settings.count(3);
    if age < cx.settings.span(2)
        || !habit
        || cx.host.is_gateway(cx.role)
        || all < cx.settings.count(0)
        || fresh.saturating_mul(100) < all.saturating_mul(cx.settings.percent(1))
    {
        return None;
    }
    Some(Match {
        level: 0,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "dst_ips_1h", value: EvidenceValue::Count(all) },
            Evidence { key: "new", value: EvidenceValue::Count(fresh.min(all)) },
            Evidence { key: "known_for", value: EvidenceValue::Span(age) },
            Evidence { key: "sample", value: EvidenceValue::Words(sample(&cx.host.tried_1h)) },
        ],
    })
}
