//! `fanout.*`: the shape of the traffic. It needs headers only, so no encryption hides it.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write;

use super::distinct::Distinct;
use super::host::{HISTORY, Happening, MINUTES_10, Servers, is_submission};
use super::window::Window;
use super::{
    Directions, Entry, Evidence, EvidenceValue, HostCx, Level, Match, Needs, NotObservable, Rule,
    Setting, Severity, Value, Weight,
};
use crate::base::{Addr, HOUR, Nanos, Text};

mod dns;
mod rate;
mod reach;

pub(super) use dns::{MX_QUERY_NONMAILER, NO_DNS_BEFORE_CONNECT, RESOLVER_BYPASS};
pub(super) use rate::{CONN_RATE, FIRST_CONTACT_RATIO};
pub(super) use reach::{EGRESS_BLOCKED, PORT25_SWEEP, SYN_FAIL_RATIO};

/// Many servers.
pub(super) static DST_IPS: Entry = Entry {
    id: "fanout.dst_ips",
    rev: 1,
    name: "Many mail servers contacted",
    what: "A host that is no mail host tries to reach many different mail servers within a short time; or a mail host \
           far more than is its habit.",
    advice: "Isolate the host and find the program that sends. A mail host that is not known as one: give it its role.",
    source: "catalogue, fanout.dst_ips",
    attack: "T1496, T1071.003",
    needs: Needs::TCP,
    unseen: NotObservable::PROCESS.union(NotObservable::ROLE),
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "no_mail_host",
            when: "at least `servers_10m` servers in 10 minutes or `servers_1h` in an hour, and it is no mail host",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: true },
        },
        Level {
            name: "mail_host",
            when: "a mail host: in this hour at least three times the mean of its last 14 days, beyond mean and 4 MAD",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "traffic", family: "fanout", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "servers_10m",
            default: Value::Count(20),
            doc: "Servers within 10 minutes that are many.",
        },
        Setting {
            key: "servers_1h",
            default: Value::Count(100),
            doc: "Servers within an hour that are many.",
        },
    ],
    rule: Rule::Host(dst_ips),
};

fn dst_ips(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Opened { flow, .. } = happening else { return None };
    if cx.role.is_prober() || is_submission(flow.server.port) {
        return None;
    }
    if cx.host.is_mail_host(cx.role) {
        return off_baseline(cx);
    }
    let (short, long) = (count(&cx.host.tried_10m), count(&cx.host.tried_1h));
    let limits = (cx.settings.count(0), cx.settings.count(1));
    let (key, seen, limit, window): (_, _, _, Nanos) = if short >= limits.0 {
        ("dst_ips_10m", short, limits.0, MINUTES_10)
    } else if long >= limits.1 {
        ("dst_ips_1h", long, limits.1, HOUR)
    } else {
        return None;
    };
    let evidence = vec![
        Evidence { key, value: EvidenceValue::Count(seen) },
        Evidence { key: "limit", value: EvidenceValue::Count(limit) },
        Evidence { key: "window", value: EvidenceValue::Span(window) },
        Evidence { key: "sample", value: EvidenceValue::Words(sample(&cx.host.tried_1h)) },
    ];
    Some(Match { level: 0, value: cx.now.as_nanos() / HOUR, evidence })
}

/// A mail host's own habit decides; nothing is judged before there are 14 days of it.
fn off_baseline(cx: &HostCx<'_>) -> Option<Match> {
    let baseline = cx.host.baseline.as_deref()?;
    let seen = baseline.now();
    if baseline.before.len() < HISTORY || seen < cx.settings.count(1) {
        return None;
    }
    let n = baseline.before.len() as f64;
    let mean = baseline.before.iter().map(|&c| f64::from(c)).sum::<f64>() / n;
    if (seen as f64) < 3.0 * mean {
        return None;
    }
    let median = median(baseline.before.iter().map(|&c| f64::from(c)).collect());
    let mad =
        self::median(baseline.before.iter().map(|&c| libm::fabs(f64::from(c) - median)).collect());
    (seen as f64 > mean + 4.0 * mad).then(|| Match {
        level: 1,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "dst_ips_1h", value: EvidenceValue::Count(seen) },
            Evidence { key: "mean_1h", value: EvidenceValue::Count(libm::round(mean) as u64) },
            Evidence { key: "mad", value: EvidenceValue::Count(libm::round(mad) as u64) },
        ],
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn count(window: &Window<Servers>) -> u64 {
    let [now, before] = window.halves();
    Distinct::union([&now.all, &before.all])
}

fn sample(window: &Window<Servers>) -> String {
    let [now, before] = window.halves();
    addresses(before.sample.iter().chain(&now.sample))
}

/// At most five addresses.
fn addresses<'a>(addrs: impl Iterator<Item = &'a Addr>) -> String {
    let mut text = String::new();
    for (n, addr) in addrs.take(5).enumerate() {
        // Writing to a string does not fail.
        let _ = write!(text, "{}{addr}", if n > 0 { ", " } else { "" });
    }
    text
}

/// At most five names from the wire.
fn names<'a>(names: impl Iterator<Item = &'a Text>) -> Text {
    let mut text = Text::new();
    for (n, name) in names.take(5).enumerate() {
        if n > 0 {
            text.push(b", ", 400);
        }
        text.push(name.as_bytes(), 400);
    }
    text
}
