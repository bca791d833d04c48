//! Every key of the configuration, with its meaning: for the manual, and to judge unknown keys.

use std::borrow::Cow;
use std::fmt::Write;

use botlike_core::base::Limits;
use botlike_core::detect::Value;

use crate::emit::words;
use crate::rules::Entries;

/// The sections and what they are about.
pub const SECTIONS: &[(&str, &str)] = &[
    ("capture", "What is read and how."),
    ("network", "Which hosts are yours."),
    (
        "hosts",
        "What is known of hosts: one section for each address or network, `[hosts.\"192.0.2.0/24\"]`. Of several that fit an address the longest network holds.",
    ),
    ("domains", "Your domains. This version knows no keys here."),
    ("limits", "Caps and time-outs. What one of them cuts off is counted in the stats line."),
    ("detect", "Changes to a detection: `[detect.\"helo.bare_ip\"]`, the id in quotation marks."),
    ("dns", "Name service."),
    ("auth", "Mail authentication. This version knows no keys here."),
    ("feeds", "Lists of others. This version knows no keys here."),
    (
        "privacy",
        "How names of people are written: `\"clear\"`, `\"hash\"` (equal values stay equal, see `key`) or `\"drop\"`.",
    ),
    (
        "output",
        "Where lines go: one section for each place, `[output.NAME]`. With none, they go to standard output.",
    ),
    ("verdict", "The verdict over a host. This version knows no keys here."),
    (
        "ack",
        "A finding that is known and not to be told before a day: one `[[ack]]` for each, with all four keys.",
    ),
];

/// A key.
#[derive(Clone, Debug)]
pub struct KeyDoc {
    /// Its name.
    pub key: Cow<'static, str>,
    /// What its value looks like.
    pub value: &'static str,
    /// The default, as written in the file.
    pub default: Cow<'static, str>,
    /// What it does.
    pub doc: Cow<'static, str>,
}

const fn key(
    key: &'static str,
    value: &'static str,
    default: &'static str,
    doc: &'static str,
) -> KeyDoc {
    KeyDoc {
        key: Cow::Borrowed(key),
        value,
        default: Cow::Borrowed(default),
        doc: Cow::Borrowed(doc),
    }
}

const CAPTURE: &[KeyDoc] = &[
    key("name", "string", "", "What you call this sensor; `observer.name` on every line."),
    key(
        "ports",
        "list of ports",
        "[25]",
        "Server ports whose connections are followed. `--ports` goes before it.",
    ),
    key(
        "workers",
        "number",
        "1",
        "Worker threads. The lines are the same for any number. `--workers` goes before it.",
    ),
    key(
        "interfaces",
        "list of interfaces",
        "[]",
        "`watch`: interfaces, `*` stands for any characters. Empty: uplinks and the guests' interfaces, never a bridge beside its ports. `-i` goes before it.",
    ),
    key(
        "method",
        "word",
        "\"auto\"",
        "`watch`: `tcx` (eBPF), `af_packet` or `libpcap`; `auto` takes the first that works and says why the others do not.",
    ),
    key(
        "interests",
        "list of words",
        "[\"smtp\", \"dns\"]",
        "`watch`: what is taken: `smtp` (the ports above), `dns` (port 53), `syn` (headers of every SYN, SYN-ACK and RST).",
    ),
    key(
        "observe",
        "word",
        "\"auto\"",
        "`watch`: how far the sensor looks. `metadata`: greeting, first EHLO, capabilities and TLS hello; nothing from MAIL FROM on leaves the kernel. `full`: all of it. `auto`: metadata at guests' interfaces, all elsewhere.",
    ),
    key(
        "ring",
        "size",
        "\"16MiB\"",
        "`watch`: the ring between kernel and sensor. A larger one survives longer bursts.",
    ),
    key("stats", "span of time", "\"1m\"", "`watch`: a stats line is told this often."),
];

const NETWORK: &[KeyDoc] = &[
    key(
        "watched",
        "list of addresses and networks",
        "[]",
        "Your hosts: `network.direction` is seen from them. Empty: every client is judged as if it were yours.",
    ),
    key(
        "public",
        "list of addresses and networks",
        "[]",
        "Addresses under which your hosts appear outside when they are behind NAT; a HELO literal with one of them is right.",
    ),
];

const DNS: &[KeyDoc] = &[key(
    "resolvers",
    "list of addresses and networks",
    "[]",
    "Resolvers that your hosts are to use: `fanout.resolver_bypass` is judged by them. Empty: it is not judged.",
)];

const HOSTS: &[KeyDoc] = &[
    key(
        "role",
        "word",
        "\"unknown\"",
        "What it is for: `mta`, `gateway`, `bulk`, `list`, `forwarder`, `hosting`, `app`, `monitor`, `scanner` or `unknown`; a role changes thresholds.",
    ),
    key("name", "string", "", "`host.name` of its lines."),
    key("tenant", "string", "", "`botlike.tenant` of its lines."),
];

const DETECT: &[KeyDoc] = &[
    key("enabled", "true or false", "true", "Whether the detection is on."),
    key(
        "severity",
        "word",
        "",
        "One severity for all its levels: `info`, `low`, `medium`, `high` or `critical`.",
    ),
    key("window", "span of time", "", "A finding closes after so long without a hit."),
];

const PRIVACY: &[KeyDoc] = &[
    key(
        "addresses",
        "word",
        "\"clear\"",
        "Mail addresses as a whole, and header fields that consist of them.",
    ),
    key(
        "local_parts",
        "word",
        "\"clear\"",
        "The part of an address before the `@`; the domain stays.",
    ),
    key("subjects", "word", "\"clear\"", "Subjects and Message-IDs."),
    key(
        "key",
        "32 hexadecimal digits",
        "",
        "Key of hashes and of `event.id`. Without one a published key is used, and anybody can try values against the hashes; the sensor line says so. Sensors with one key give equal hashes.",
    ),
];

const OUTPUT: &[KeyDoc] = &[
    key(
        "file",
        "path",
        "",
        "The file; `read` writes it anew, `watch` appends and opens it again on HUP. Without it, standard output.",
    ),
    key(
        "format",
        "word",
        "",
        "`json` or `pretty`; by default readable on a terminal and JSON otherwise.",
    ),
    key(
        "lines",
        "list of words",
        "[\"session\", \"message\", \"finding\", \"stats\", \"sensor\"]",
        "Which lines.",
    ),
    key(
        "privacy",
        "word",
        "",
        "`clear`, `hash` or `drop` for all that `[privacy]` is about, instead of what stands there.",
    ),
];

const ACK: &[KeyDoc] = &[
    key("rule", "id of a detection", "", "Which detection."),
    key("host", "address or network", "", "Of which hosts."),
    key("until", "date", "", "The first day (UTC, packet time) on which it is told again."),
    key("reason", "string", "", "Why, for those who come after."),
];

/// What a limit is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Size,
    /// Time.
    Span,
}

/// What the limit of this name is a number of; `None` where there is none of the name.
pub fn limit_unit(name: &str) -> Option<Unit> {
    Limits::default().list().find(|(known, ..)| *known == name).map(|_| {
        if Limits::is_span(name) {
            Unit::Span
        } else if name.ends_with("_bytes") || name.ends_with("_total") {
            Unit::Size
        } else {
            Unit::Count
        }
    })
}

/// The keys of a section.
pub fn of(section: &str) -> Vec<KeyDoc> {
    match section {
        "capture" => CAPTURE.to_vec(),
        "network" => NETWORK.to_vec(),
        "dns" => DNS.to_vec(),
        "hosts" => HOSTS.to_vec(),
        "detect" => DETECT.to_vec(),
        "privacy" => PRIVACY.to_vec(),
        "output" => OUTPUT.to_vec(),
        "ack" => ACK.to_vec(),
        "limits" => Limits::default()
            .list()
            .filter_map(|(name, value, doc)| {
                let (kind, default) = match limit_unit(name)? {
                    Unit::Count => ("number", value.to_string()),
                    Unit::Size => ("size", format!("\"{}\"", words::size(value))),
                    Unit::Span => ("span of time", format!("\"{}\"", words::span(value))),
                };
                Some(KeyDoc {
                    key: name.into(),
                    value: kind,
                    default: default.into(),
                    doc: doc.into(),
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The default of a detection's setting, as written in the file.
pub(crate) fn default_text(value: &Value) -> String {
    match value {
        Value::Count(n) => n.to_string(),
        Value::Span(nanos) => format!("\"{}\"", words::span(*nanos)),
        Value::Percent(share) => share.to_string(),
        Value::Names(names) => format!("{names:?}"),
    }
}

/// The page of the manual: `docs/CONFIGURATION.md`.
pub fn manual(rules: Entries) -> String {
    let mut out = String::from(
        "# Configuration\n\n\
         `botlike read -c FILE` reads a TOML file; `botlike check -c FILE` says whether it is right, with line and column of\n\
         everything that is not. No file is needed: every key has a default. A key that this version does not know is an\n\
         error. The sections are these and stay; later versions only add keys.\n\n\
         A span of time is a string: a whole number and `us`, `ms`, `s`, `m`, `h` or `d`, as in `\"10m\"`. A size is a string:\n\
         a whole number and `B`, `KiB`, `MiB` or `GiB`, as in `\"64MiB\"`. A network is an address, a slash and a length\n\
         (`\"192.0.2.0/24\"`), or an address alone.\n\n\
         `botlike man --chapter configuration` prints this page.\n",
    );
    for (name, doc) in SECTIONS {
        let title = match *name {
            "hosts" => "[hosts.\"ADDRESS or NETWORK\"]".to_owned(),
            "detect" => "[detect.\"ID\"]".to_owned(),
            "output" => "[output.NAME]".to_owned(),
            "ack" => "[[ack]]".to_owned(),
            name => format!("[{name}]"),
        };
        let _ = write!(out, "\n## `{title}`\n\n{doc}\n");
        let keys = of(name);
        if keys.is_empty() {
            continue;
        }
        out.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for k in keys {
            let default =
                if k.default.is_empty() { String::new() } else { format!("`{}`", k.default) };
            let _ = writeln!(out, "| `{}` | {} | {default} | {} |", k.key, k.value, k.doc);
        }
        if *name == "detect" {
            settings(&mut out, rules);
        }
    }
    out
}

fn settings(out: &mut String, rules: Entries) {
    if rules.iter().all(|rule| rule.settings.is_empty()) {
        return;
    }
    out.push_str(
        "\nBesides, each has its own; `botlike explain ID` says more.\n\n| detection | key | default | meaning |\n|---|---|---|---|\n",
    );
    for rule in rules {
        for s in rule.settings {
            let _ = writeln!(
                out,
                "| `{}` | `{}` | `{}` | {} |",
                rule.id,
                s.key,
                default_text(&s.default),
                s.doc
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::emit::samples::RULES;

    /// A good value for each kind of value.
    fn sample(k: &KeyDoc) -> &'static str {
        match (k.value, &*k.key) {
            ("string" | "path", _) => "\"x\"",
            ("list of ports", _) => "[2525]",
            ("number", _) => "3",
            ("list of addresses and networks", _) => "[\"192.0.2.1\"]",
            ("address or network", _) => "\"192.0.2.1\"",
            ("word", "role") => "\"mta\"",
            ("word", "severity") => "\"high\"",
            ("word", "method") => "\"af_packet\"",
            ("word", "observe") => "\"metadata\"",
            ("word", "format") => "\"pretty\"",
            ("word", _) => "\"drop\"",
            ("true or false", _) => "false",
            ("span of time", _) => "\"77s\"",
            ("size", "ring") => "\"1MiB\"",
            ("size", _) => "\"77KiB\"",
            ("32 hexadecimal digits", _) => "\"00000000000000000000000000000001\"",
            ("list of words", "interests") => "[\"smtp\", \"syn\"]",
            ("list of interfaces", _) => "[\"tap*\"]",
            ("list of words", _) => "[\"stats\"]",
            ("id of a detection", _) => "\"test.fanout\"",
            ("date", _) => "2027-01-01",
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_documented_key_is_read_and_changes_something() {
        for (section, _) in SECTIONS {
            for k in of(section) {
                let head = match *section {
                    "hosts" => "[hosts.\"192.0.2.1\"]".to_owned(),
                    "detect" => "[detect.\"test.fanout\"]".to_owned(),
                    "output" => "[output.x]".to_owned(),
                    "ack" => continue,
                    name => format!("[{name}]"),
                };
                let read = |text: &str| {
                    let config =
                        Config::parse("x", text, RULES).unwrap_or_else(|f| panic!("{text}: {f}"));
                    format!("{:?}", Config { hash: 0, ..config })
                };
                let with = read(&format!("{head}\n{} = {}\n", k.key, sample(&k)));
                assert_ne!(with, read(&format!("{head}\n")), "{section}.{}", k.key);
                if !k.default.is_empty() {
                    let default = read(&format!("{head}\n{} = {}\n", k.key, k.default));
                    assert_eq!(
                        default,
                        read(&format!("{head}\n")),
                        "{section}.{}: its default",
                        k.key
                    );
                }
            }
        }
        let ack: String = ACK.iter().map(|k| format!("{} = {}\n", k.key, sample(k))).collect();
        assert_eq!(
            Config::parse("x", &format!("[[ack]]\n{ack}"), RULES).map(|c| c.acks.len()),
            Ok(1)
        );
    }

    #[test]
    fn the_manual_has_every_key() {
        let page = manual(RULES);
        for (section, _) in SECTIONS {
            for k in of(section) {
                assert!(page.contains(&format!("| `{}` |", k.key)), "{}", k.key);
                assert!(k.doc.ends_with('.') && !k.doc.contains('|'), "{}", k.key);
            }
        }
        assert!(page.contains("| `test.fanout` | `within` | `\"1h\"` | The hour. |"), "{page}");
    }
}
