//! How the client greets.

use alloc::vec;

use super::super::host::is_submission;
use super::super::name::Lower;
use super::super::{
    Directions, Entry, EvidenceValue, FlowEvent, Level, Match, Needs, NotObservable, Role, Rule,
    Severity, Weight, is_whole,
};
use super::{evidence, helo_match};
use crate::base::HOUR;
use crate::smtp::Capability;

/// Two names in one session.
pub(in super::super) static CHANGES_IN_SESSION: Entry = Entry {
    id: "helo.changes_in_session",
    rev: 1,
    name: "HELO changes within a session",
    what: "The client greeted twice in one session, by two different names, although the first was taken. Mail servers \
           greet again after STARTTLS, or with HELO after EHLO was not understood, and by the same name.",
    advice: "Find out which program it is.",
    source: "RFC 5321 section 4.1.4",
    attack: "",
    needs: Needs::PLAIN,
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "changes",
        when: "the second name differs, whatever the case of letters; before STARTTLS, without XCLIENT, the first not \
               refused",
        severity: Severity::Medium,
        weight: Weight::Behaviour { plane: "protocol", family: "session", strong: false },
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let session = cx.session;
            let (before, now) = (&session.helo_before, &session.helo);
            let known = !before.is_empty() && !now.is_empty() && !before.is_cut() && !now.is_cut();
            // A server that takes XCLIENT has proxies before it: those greet for themselves and then for others.
            let proxied = session.capabilities.contains(Capability::XCLIENT);
            if !matches!(event, FlowEvent::Helo) || !known || proxied || !is_whole(session) {
                return None;
            }
            let [a, b] = [before, now].map(|name| Lower::new(name.as_bytes()));
            (a.as_bytes() != b.as_bytes()).then(|| {
                helo_match(cx, vec![evidence("before", EvidenceValue::Wire(before.clone()))])
            })
        },
        admits: |subject, level| {
            let exempt =
                is_submission(subject.session.flow.server.port) || subject.role.is_prober();
            (!exempt).then_some(level)
        },
        sessions: None,
    },
};

/// No greeting at all.
pub(in super::super) static MISSING: Entry = Entry {
    id: "helo.missing",
    rev: 1,
    name: "MAIL without HELO",
    what: "The first command of the session was MAIL. Every client has to greet first; engines that were written in haste \
           leave it out.",
    advice: "Mend or replace the client: it must say EHLO or HELO before MAIL.",
    source: "RFC 5321 section 4.1.4; Postfix postscreen_helo_required",
    attack: "",
    needs: Needs::PLAIN.union(Needs::WHOLE),
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[Level {
        name: "missing",
        when: "the first command is MAIL, the connection was seen from its start",
        severity: Severity::Low,
        weight: Weight::Behaviour { plane: "protocol", family: "session", strong: false },
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let session = cx.session;
            let missing = matches!(event, FlowEvent::Closed) && session.conduct.no_helo;
            (missing && session.capture.is_empty() && session.greeting_code.is_some()).then(|| {
                Match {
                    level: 0,
                    value: 0,
                    evidence: vec![evidence("first_command", EvidenceValue::Word("MAIL"))],
                }
            })
        },
        admits: |subject, level| {
            let exempt = matches!(subject.role, Role::App | Role::Monitor | Role::Scanner);
            (!exempt).then_some(level)
        },
        sessions: None,
    },
};
