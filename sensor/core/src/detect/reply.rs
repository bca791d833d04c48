//! `reply.*`: what receivers say.

use alloc::string::String;
use alloc::vec;
use core::fmt::Write;

use super::contacts::{Greetings, is_refusal};
use super::filter::Few;
use super::host::{Happening, is_submission};
use super::special::is_public;
use super::{
    Directions, Entry, Evidence, EvidenceValue, HostCx, Level, Match, Needs, NotObservable, Rule,
    Setting, Severity, Value, Weight,
};
use crate::base::HOUR;

/// Refused before a word.
pub(super) static BANNER_REFUSAL: Entry = Entry {
    id: "reply.banner_refusal",
    rev: 1,
    name: "Receivers refuse the host in their greeting",
    what: "Several receivers answered the host's connections with a refusal instead of a greeting: they know its address, \
           and have decided before it could say a word. It is readable whatever is encrypted later.",
    advice: "The reputation of the address is gone: look for the cause first (what does the host send?), then for the \
             lists that name it, and only then ask to be taken off.",
    source: "RFC 5321 section 3.1, RFC 7504; catalogue, reply.banner_refusal",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::PROCESS,
    directions: Directions::OUT,
    levels: &[
        Level {
            name: "refused",
            when: "at least `organisations` refuse with 521 or 554 in an hour, in at least `percent` of its \
                   sessions",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "reaction", family: "reply", strong: true },
        },
        Level {
            name: "put_off",
            when: "the same with 421 and 450, which a server that is busy says, too",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "reaction", family: "reply", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "organisations",
            default: Value::Count(3),
            doc: "Receivers that refuse within an hour, 64 at most; told apart by the domain in their greeting, or else \
                  by their /24 or /48.",
        },
        Setting {
            key: "percent",
            default: Value::Percent(10),
            doc: "The share of sessions that were refused: who writes to hundreds of receivers meets some that are down or busy.",
        },
    ],
    rule: Rule::Host(banner_refusal),
};

fn banner_refusal(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    let server = session.flow.server;
    if cx.role.is_prober()
        || !session.greeting_code.is_some_and(is_refusal)
        || is_submission(server.port)
        || !is_public(server.addr)
    {
        return None;
    }
    let [now, before] = cx.host.contacts.as_deref()?.greetings.halves();
    let total = now.total + before.total;
    let sum = |a: &(u64, Few), b: &(u64, Few)| (a.0 + b.0, Few::union([&a.1, &b.1]));
    let enough = |(sessions, organisations): (u64, u64)| {
        organisations >= cx.settings.count(0)
            && sessions * 100 >= total.saturating_mul(cx.settings.percent(1))
    };
    let refused = sum(&now.refused, &before.refused);
    let any = sum(&now.any, &before.any);
    let (level, (sessions, organisations)) = if enough(refused) {
        (0, refused)
    } else if enough(any) {
        (1, any)
    } else {
        return None;
    };
    Some(Match {
        level,
        value: cx.now.as_nanos() / HOUR,
        evidence: vec![
            Evidence { key: "organisations", value: EvidenceValue::Count(organisations) },
            Evidence { key: "refused", value: EvidenceValue::Count(sessions) },
            Evidence { key: "sessions", value: EvidenceValue::Count(total) },
            Evidence { key: "greetings", value: EvidenceValue::Words(greetings(now, before)) },
            Evidence { key: "window", value: EvidenceValue::Span(HOUR) },
        ],
    })
}

/// Codes and who said them. The names were checked to be names.
fn greetings(now: &Greetings, before: &Greetings) -> String {
    let mut text = String::new();
    for (n, (code, name)) in before.sample.iter().chain(&now.sample).take(5).enumerate() {
        let _ = write!(text, "{}{code}", if n > 0 { ", " } else { "" });
        if !name.is_empty() {
            let _ = write!(text, " {}", name.as_bytes().escape_ascii());
        }
    }
    text
}
