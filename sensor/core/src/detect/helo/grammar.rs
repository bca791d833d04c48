//! Names that no mail server can have outside.

use alloc::string::String;
use alloc::vec;

use super::super::host::is_submission;
use super::super::name::{self, Lower};
use super::super::{
    Directions, Entry, EvidenceValue, FlowCx, FlowEvent, Level, Match, Needs, NotObservable, Rule,
    Setting, Severity, Value, Weight,
};
use super::{argument, evidence, helo_match, is_local_name, to_public_server};
use crate::base::HOUR;
use crate::smtp::Capability;

/// Name under a suffix that no public DNS has.
pub(in super::super) static RESERVED_SUFFIX: Entry = Entry {
    id: "helo.reserved_suffix",
    rev: 1,
    name: "HELO ends in a name that cannot be public",
    what: "The HELO argument ends in .local, .lan, .internal or another suffix that no public DNS has.",
    advice: "Set the name that the mail server says outside (in Exchange: on the send connector).",
    source: "RFC 6761, RFC 6762, RFC 8375",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::empty(),
    directions: Directions::all(),
    levels: &[Level {
        name: "reserved",
        when: "one of `suffixes`, the server is public",
        severity: Severity::Low,
        weight: Weight::Hygiene(20),
    }],
    window: HOUR,
    settings: &[Setting {
        key: "suffixes",
        default: Value::Names(&[
            "local",
            "lan",
            "home",
            "home.arpa",
            "localdomain",
            "internal",
            "intranet",
            "intra",
            "corp",
            "priv",
            "test",
            "example",
            "invalid",
            "in-addr.arpa",
        ]),
        doc: "Suffixes that are not public.",
    }],
    rule: Rule::Flow {
        matches: |cx, event| {
            let lower = Lower::new(argument(cx, event)?);
            let name = lower.as_bytes();
            let under = |suffix: &String| {
                name.strip_suffix(suffix.as_bytes()).is_some_and(|above| above.ends_with(b"."))
            };
            if name.starts_with(b"[") || is_local_name(name) {
                return None;
            }
            let suffix = cx.settings.names(0).iter().find(|suffix| under(suffix))?;
            let told = EvidenceValue::Words(suffix.clone());
            Some(helo_match(cx, vec![evidence("suffix", told)]))
        },
        admits: to_public_server,
        sessions: None,
    },
};

/// Name that breaks the grammar.
pub(in super::super) static SYNTAX_INVALID: Entry = Entry {
    id: "helo.syntax_invalid",
    rev: 1,
    name: "HELO breaks the grammar",
    what: "The HELO argument is neither a host name nor an address literal: it is missing or too long, or holds what no \
           name holds. Strict receivers answer 501; binary rubbish comes from scanners.",
    advice: "Set a host name of letters, digits, hyphens and dots.",
    source: "RFC 5321 section 4.1.2; RFC 1123 section 2.1",
    attack: "",
    needs: Needs::EARLY,
    unseen: NotObservable::empty(),
    directions: Directions::all(),
    levels: &[
        Level {
            name: "invalid",
            when: "empty, too long, with a space, a quote, %, control or 8-bit bytes or other signs, a hyphen at the end \
                   of a label, an empty label, a dot at the end, or brackets around no address",
            severity: Severity::Low,
            weight: Weight::Hygiene(10),
        },
        Level {
            name: "underscore",
            when: "nothing but underscores is wrong, as in the names of Windows machines",
            severity: Severity::Low,
            weight: Weight::Hygiene(5),
        },
    ],
    window: HOUR,
    settings: &[],
    rule: Rule::Flow {
        matches: syntax_invalid,
        admits: |subject, level| {
            (!is_submission(subject.session.flow.server.port)).then_some(level)
        },
        sessions: None,
    },
};

fn syntax_invalid(cx: &FlowCx<'_>, event: FlowEvent<'_>) -> Option<Match> {
    if !matches!(event, FlowEvent::Helo) {
        return None;
    }
    let session = cx.session;
    let helo = &session.helo;
    let class = if helo.full_len() > LONGEST {
        "longer than 255 octets"
    } else if helo.is_cut() {
        return None;
    } else {
        wrong_with(helo.as_bytes())?
    };
    // With SMTPUTF8 a client may take a name outside of ASCII for one that it may say.
    let told = session.capabilities.contains(Capability::SMTPUTF8);
    if class == EIGHT_BIT && told && core::str::from_utf8(helo.as_bytes()).is_ok() {
        return None;
    }
    let level = u8::from(class == UNDERSCORE);
    Some(Match { level, ..helo_match(cx, vec![evidence("class", EvidenceValue::Word(class))]) })
}

/// Octets of the longest name (RFC 1035 section 2.3.4).
const LONGEST: u32 = 255;
/// Octets of the longest label.
const LABEL: usize = 63;
const EIGHT_BIT: &str = "8-bit bytes";
const UNDERSCORE: &str = "underscore";

/// What is wrong with a name, the worst first.
fn wrong_with(name: &[u8]) -> Option<&'static str> {
    if name.is_empty() {
        return Some("empty");
    }
    if name::any_ip(name).is_some() {
        return None;
    }
    type Class = (&'static str, fn(&u8) -> bool);
    const BYTES: [Class; 7] = [
        ("control bytes", u8::is_ascii_control),
        (EIGHT_BIT, |b| !b.is_ascii()),
        ("space", |b| *b == b' '),
        ("quote", |b| matches!(b, b'"' | b'\'' | b'`')),
        ("percent", |b| *b == b'%'),
        ("brackets around no address", |b| matches!(b, b'[' | b']')),
        ("a sign that no name holds", |b| {
            !b.is_ascii_alphanumeric() && !matches!(b, b'.' | b'-' | b'_')
        }),
    ];
    if let Some((class, _)) = BYTES.iter().find(|(_, is)| name.iter().any(is)) {
        return Some(class);
    }
    if name.ends_with(b".") {
        return Some("dot at the end");
    }
    let labels = || name.split(|&b| b == b'.');
    if labels().any(<[u8]>::is_empty) {
        return Some("empty label");
    }
    if labels().any(|label| label.len() > LABEL) {
        return Some("label longer than 63 octets");
    }
    if labels().any(|label| label.starts_with(b"-") || label.ends_with(b"-")) {
        return Some("hyphen at the end of a label");
    }
    name.contains(&b'_').then_some(UNDERSCORE)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn classes() {
        let long: Vec<u8> = [b"a".repeat(LABEL), b".example.org".to_vec()].concat();
        let longer: Vec<u8> = [b"a".repeat(LABEL + 1), b".example.org".to_vec()].concat();
        for (name, class) in [
            (&b"mail.example.org"[..], None),
            (b"a", None),
            (b"xn--mnchen-3ya.example.org", None),
            (b"192.0.2.1", None),
            (b"2001:db8::1", None),
            (b"[192.0.2.1]", None),
            (b"[IPv6:2001:db8::1]", None),
            (&long, None),
            (&longer, Some("label longer than 63 octets")),
            (b"", Some("empty")),
            (b"mail.example.org.", Some("dot at the end")),
            (b"mail..example.org", Some("empty label")),
            (b".example.org", Some("empty label")),
            (b"-mail.example.org", Some("hyphen at the end of a label")),
            (b"mail-.example.org", Some("hyphen at the end of a label")),
            (b"my mail", Some("space")),
            (b"\"mail\"", Some("quote")),
            (b"%hostname%", Some("percent")),
            (b"[192.0.2.1", Some("brackets around no address")),
            (b"[]", Some("brackets around no address")),
            (b"<mail>", Some("a sign that no name holds")),
            (b"a\x01b", Some("control bytes")),
            ("münchen.example".as_bytes(), Some(EIGHT_BIT)),
            (b"my_pc", Some(UNDERSCORE)),
            (b"my_pc.", Some("dot at the end")),
        ] {
            assert_eq!(wrong_with(name), class, "{:?}", core::str::from_utf8(name));
        }
    }
}
