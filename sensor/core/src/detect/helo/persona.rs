//! Names that somebody takes who is no mail server: the receiver's own, made-up ones, those of known bots and of desktops.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::super::host::{Happening, is_submission};
use super::super::name::{self, Lower};
use super::super::random::looks_random;
use super::super::special::{is_public, same_neighbourhood};
use super::super::tuning::value_of;
use super::super::{
    Directions, Entry, EvidenceValue, HostCx, Level, Match, Needs, NotObservable, Rule, Setting,
    Severity, Value, Weight,
};
use super::bots::{KNOWN, VERSION};
use super::{argument, evidence, helo_match, shown};
use crate::base::HOUR;

/// The name of whom it talks to.
pub(in super::super) static VICTIM_NAME: Entry = Entry {
    id: "helo.victim_name",
    rev: 1,
    name: "HELO is the receiver's own name",
    what: "The client introduces itself as the server it talks to: by its address, or by the name in its greeting; or, \
           again and again, as the domain of whoever the mail is for. Bots do it in the hope that a receiver trusts \
           its own name. A single recipient's domain says nothing: many hosts are called like the domain whose mail \
           they hand on to another provider.",
    advice: "Outbound: look for malware on the host. Inbound: refuse your own names from strangers. Hosts of your own that \
             share one name belong to `watched` and their role to the inventory.",
    source: "SpamAssassin HELO_AS_VICTIM; sendmail block_bad_helo",
    attack: "T1036",
    needs: Needs::PLAIN.union(Needs::INVENTORY),
    unseen: NotObservable::DNS.union(NotObservable::PROCESS).union(NotObservable::ROLE),
    directions: Directions::all(),
    levels: &[
        Level {
            name: "server",
            when: "a watched host says the address or the greeting's name of a public server elsewhere",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: true },
        },
        Level {
            name: "inbound",
            when: "a client elsewhere says it to a watched server",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: true },
        },
        Level {
            name: "recipients",
            when: "in an hour the names were the recipients' domains of at least `domains` different domains",
            severity: Severity::Medium,
            weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: false },
        },
    ],
    window: HOUR,
    settings: &[Setting {
        key: "domains",
        default: Value::Count(5),
        doc: "Recipients' domains of which the host took the name within an hour.",
    }],
    rule: Rule::Host(victim_name),
};

fn victim_name(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    let (client, server) = (session.flow.client.addr, session.flow.server.addr);
    // Guards: own hosts, mail hosts with a second one of the same name, and what may be the server itself, seen from
    // behind a translation or by another of its addresses.
    let apart = is_public(client) && is_public(server) && !same_neighbourhood(client, server);
    let exempt =
        cx.internal || cx.role.is_mail_host() || is_submission(session.flow.server.port) || !apart;
    if exempt || session.helo.is_empty() || session.helo.is_cut() {
        return None;
    }
    let helo = session.helo.as_bytes();
    let lower = Lower::new(helo);
    let banner = Lower::new(session.banner.as_bytes());
    let is_address = name::any_ip(helo) == Some(server);
    let is_name = session.greeting_code == Some(220)
        && lower.as_bytes() == banner.as_bytes()
        && name::is_in_public_dns(lower.as_bytes());
    let mut seen = vec![evidence("helo", EvidenceValue::Wire(session.helo.clone()))];
    let level = if is_address || is_name {
        seen.push(evidence("server", EvidenceValue::Addr(server)));
        if is_name {
            seen.push(evidence("greeting", EvidenceValue::Wire(session.banner.clone())));
        }
        u8::from(!cx.outbound)
    } else {
        let victims = &cx.host.victims;
        let lately = victims.iter().filter(|(_, last)| cx.now.since(*last) < HOUR).count() as u64;
        if !session.conduct.helo_is_recipient || lately < cx.settings.count(0) {
            return None;
        }
        seen.push(evidence("domains", EvidenceValue::Count(lately)));
        2
    };
    Some(Match { level, value: value_of(helo), evidence: seen })
}

/// Names that nobody made.
pub(in super::super) static RANDOM_LABEL: Entry = Entry {
    id: "helo.random_label",
    rev: 1,
    name: "HELO names are made up at random",
    what: "Within an hour the host called itself by several names of different organisations whose labels look drawn at \
           random: letter pairs that names hardly have, or letters and digits in turn. Hexadecimal and hyphenated \
           labels, as clouds give them, do not count, nor do many labels of one organisation.",
    advice: "Isolate the host and find the process that says these names.",
    source: "catalogue, helo.random_label; letter pairs of eleven European languages and of package names",
    attack: "T1568.002",
    needs: Needs::EARLY,
    unseen: NotObservable::DNS.union(NotObservable::PROCESS),
    directions: Directions::all(),
    levels: &[
        Level {
            name: "many",
            when: "at least `names` such names in an hour",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: true },
        },
        Level {
            name: "gateway",
            when: "the same from a gateway",
            severity: Severity::Low,
            weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: false },
        },
    ],
    window: HOUR,
    settings: &[
        Setting {
            key: "names",
            default: Value::Count(3),
            doc: "Names of different organisations that look random.",
        },
        Setting {
            key: "length",
            default: Value::Count(8),
            doc: "The least length of a label that can look random.",
        },
    ],
    rule: Rule::Host(random_label),
};

fn random_label(cx: &HostCx<'_>, happening: &Happening<'_>) -> Option<Match> {
    let Happening::Ended { session, .. } = happening else { return None };
    if session.helo.is_empty() || is_submission(session.flow.server.port) {
        return None;
    }
    let length = usize::try_from(cx.settings.count(1)).unwrap_or(usize::MAX);
    if !is_random_name(session.helo.as_bytes(), length) {
        return None;
    }
    let lately = cx.host.names.iter().filter(|n| cx.now.since(n.last) < HOUR);
    let mut random: Vec<_> =
        lately.filter(|n| is_random_name(n.sample.as_bytes(), length)).collect();
    if (random.len() as u64) < cx.settings.count(0) {
        return None;
    }
    random.sort_by_key(|n| (core::cmp::Reverse(n.last), n.hash));
    let seen = vec![
        evidence("names_1h", EvidenceValue::Count(random.len() as u64)),
        evidence("names", EvidenceValue::Wire(shown(random.iter().map(|n| &n.sample)))),
    ];
    let level = u8::from(cx.host.is_gateway(cx.role));
    Some(Match { level, value: value_of(session.helo.as_bytes()), evidence: seen })
}

/// Whether the first label, or the one of the organisation, looks random.
fn is_random_name(name: &[u8], length: usize) -> bool {
    if name::any_ip(name).is_some() {
        return false;
    }
    let lower = Lower::new(name);
    let first = |name: &[u8]| {
        let label = name.split(|&b| b == b'.').next().unwrap_or_default();
        label.len() >= length && looks_random(label)
    };
    let name = lower.as_bytes();
    first(name) || name::organisation(name).is_some_and(first)
}

/// Names of known bots and tools.
pub(in super::super) static KNOWN_BOT: Entry = Entry {
    id: "helo.known_bot",
    rev: 1,
    name: "HELO is that of a known bot or tool",
    what: "The HELO argument is on a list of strings that malware and tools of abuse are known to say. Only those that \
           nothing honest says count in full.",
    advice: "Inbound: block the client at the firewall. Outbound: the host is infected, or runs such a tool.",
    source: "utcc.utoronto.ca cks 2015-04-29; SpamAssassin HELO_FRIEND, HELO_OEM, RATWARE_HELO_DM; rspamd RCVD_HELO_USER",
    attack: "T1110, T1584.005",
    needs: Needs::EARLY,
    unseen: NotObservable::PROCESS,
    directions: Directions::all(),
    levels: &[
        Level {
            name: "certain",
            when: "nothing else is known to say it",
            severity: Severity::High,
            weight: Weight::Behaviour { plane: "protocol", family: "dialect", strong: true },
        },
        Level {
            name: "perhaps",
            when: "a machine may also be called so; said to a public server that is none for submission",
            severity: Severity::Low,
            weight: Weight::Behaviour { plane: "protocol", family: "dialect", strong: false },
        },
    ],
    window: HOUR,
    settings: &[Setting {
        key: "ignore",
        default: Value::Names(&[]),
        doc: "Names that are not to be looked for.",
    }],
    rule: Rule::Flow {
        matches: |cx, event| {
            let lower = Lower::new(argument(cx, event)?);
            let name = lower.as_bytes();
            let known = KNOWN.iter().find(|known| known.is(name))?;
            let is_ignored = |i: &String| i.as_bytes().eq_ignore_ascii_case(name);
            if cx.settings.names(0).iter().any(is_ignored) {
                return None;
            }
            let more = vec![
                evidence("rule", EvidenceValue::Word(known.pattern)),
                evidence("of", EvidenceValue::Word(known.of)),
                evidence("list", EvidenceValue::Word(VERSION)),
            ];
            Some(Match { level: u8::from(!known.certain), ..helo_match(cx, more) })
        },
        admits: |subject, level| match level {
            0 => Some(0),
            _ => super::to_public_server(subject, level),
        },
        sessions: None,
    },
};

/// Names that machines on desks get in the factory.
pub(in super::super) static DESKTOP_NAME: Entry = Entry {
    id: "helo.desktop_name",
    rev: 1,
    name: "HELO is the name of a desktop or telephone",
    what: "The host calls itself as Windows, macOS, Android or an iPhone names a machine by itself, to a public mail server \
           on port 25. Such machines hand mail to their provider; one that sends directly runs something else.",
    advice: "Identify the machine behind the address and what on it sends.",
    source: "catalogue, helo.desktop_name",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::PROCESS,
    directions: Directions::OUT,
    levels: &[Level {
        name: "desktop",
        when: "DESKTOP-…, LAPTOP-…, WIN-…, …-PC, …s-MacBook…, android-…, iPhone",
        severity: Severity::Medium,
        weight: Weight::Behaviour { plane: "protocol", family: "helo_dyn", strong: false },
    }],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: |cx, event| {
            let lower = Lower::new(argument(cx, event)?);
            let name = lower.as_bytes();
            let (label, suffix) = match name.iter().position(|&b| b == b'.') {
                Some(dot) => name.split_at_checked(dot)?,
                None => (name, &[][..]),
            };
            // Under a public suffix somebody gave it a name on purpose.
            let unnamed = suffix.is_empty() || !name::is_in_public_dns(name);
            (unnamed && is_desktop(label)).then(|| helo_match(cx, Vec::new()))
        },
        admits: |subject, level| {
            let server = subject.session.flow.server;
            (subject.outbound && server.port == 25 && is_public(server.addr)).then_some(level)
        },
        sessions: None,
    },
};

/// A label in lower case as a factory gives it.
fn is_desktop(label: &[u8]) -> bool {
    let windows = ["desktop-", "laptop-", "win-"].iter().any(|prefix| {
        label.strip_prefix(prefix.as_bytes()).is_some_and(|rest| {
            (7..=11).contains(&rest.len()) && rest.iter().all(u8::is_ascii_alphanumeric)
        })
    });
    let android = label
        .strip_prefix(b"android-")
        .is_some_and(|id| !id.is_empty() && id.iter().all(u8::is_ascii_hexdigit));
    let pc = label.len() > 3 && label.ends_with(b"-pc");
    let telephone = label == b"iphone" || label.ends_with(b"s-iphone");
    let mac = memchr::memmem::find(label, b"s-macbook").is_some_and(|at| at > 0);
    windows || android || pc || telephone || mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_the_factory() {
        for (label, expected) in [
            ("desktop-1a2b3c4", true),
            ("desktop-1a2b3c", false),
            ("laptop-abcdefghijk", true),
            ("laptop-abcdefghijkl", false),
            ("win-0123456789a", true),
            ("win-mail-1", false),
            ("hans-pc", true),
            ("-pc", false),
            ("mail-pci", false),
            ("annas-macbook-pro", true),
            ("s-macbook", false),
            ("android-1f2e3d", true),
            ("android-", false),
            ("android-mail", false),
            ("iphone", true),
            ("annas-iphone", true),
            ("iphones", false),
            ("winston-01", false),
        ] {
            assert_eq!(is_desktop(label.as_bytes()), expected, "{label}");
        }
    }
}
