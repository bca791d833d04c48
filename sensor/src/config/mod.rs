//! The configuration: a TOML file, read into settings as meant.
//!
//! Its sections are fixed; later versions only add keys. A key that this version does not know is an error, with its
//! place and the nearest key it knows: a setting that is silently ignored is worse than none. All errors of a file are
//! found in one go. Everything has a default, so no file at all is a good configuration.
//!
//! [`keys`] is the list of keys, from which `docs/CONFIGURATION.md` is made and against which unknown keys are judged.

pub mod keys;
mod reader;
mod values;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use botlike_core::base::{Limits, Nanos, SECOND, Stamp};
use botlike_core::detect::{self, Severity};
use siphasher::sip::SipHasher24;
use toml::de::{DeTable, DeValue};

use crate::emit::{self, Kind, Mode, Privacy};
use crate::rules::{Entries, Entry};
use reader::{Key, Reader, Value};

pub(crate) use reader::nearest;
pub use reader::{Fault, Faults};
pub use values::Net;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON lines.
    Json,
    /// One readable line per event.
    Pretty,
}

impl Format {
    const WORDS: [(Self, &'static str); 2] = [(Self::Json, "json"), (Self::Pretty, "pretty")];
}

/// What a host is for (catalogue section 0.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A mail server.
    Mta,
    /// A gateway, or several hosts behind one address.
    Gateway,
    /// Sends newsletters and the like.
    Bulk,
    /// Runs mailing lists.
    List,
    /// Forwards mail.
    Forwarder,
    /// A mail server shared by customers.
    Hosting,
    /// An application that sends mail.
    App,
    /// Monitors mail servers.
    Monitor,
    /// Scans the Internet.
    Scanner,
    /// Not said.
    Unknown,
}

impl Role {
    /// All, with their words.
    pub const WORDS: [(Self, &'static str); 10] = [
        (Self::Mta, "mta"),
        (Self::Gateway, "gateway"),
        (Self::Bulk, "bulk"),
        (Self::List, "list"),
        (Self::Forwarder, "forwarder"),
        (Self::Hosting, "hosting"),
        (Self::App, "app"),
        (Self::Monitor, "monitor"),
        (Self::Scanner, "scanner"),
        (Self::Unknown, "unknown"),
    ];
}

/// What the operator says of some addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Which ones.
    pub net: Net,
    /// What they are for.
    pub role: Role,
    /// `host.name` of their lines.
    pub name: Option<String>,
    /// `botlike.tenant` of their lines.
    pub tenant: Option<String>,
}

/// The value of a detection's setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A number of things.
    Count(u64),
    /// A span of time.
    Span(Nanos),
    /// A share in per cent.
    Percent(u8),
    /// A list of names.
    Names(Vec<String>),
}

/// What the operator changes about a detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detect {
    /// Its id.
    pub id: &'static str,
    /// Whether it is on.
    pub enabled: bool,
    /// The severity of all its levels.
    pub severity: Option<Severity>,
    /// A finding closes after so long without a hit.
    pub window: Option<Nanos>,
    /// Its settings by their keys.
    pub settings: Vec<(&'static str, Setting)>,
}

/// A finding that the operator knows of and does not want to see until a day (guard G12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The detection's id.
    pub rule: &'static str,
    /// Of which hosts.
    pub host: Net,
    /// Before this stamp.
    pub until: Stamp,
    /// Why, for those who come after.
    pub reason: String,
}

/// A place where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// Its name in the configuration.
    pub name: String,
    /// The file; standard output where there is none.
    pub file: Option<PathBuf>,
    /// How lines look; readable on a terminal and JSON otherwise where it is not said.
    pub format: Option<Format>,
    /// Which lines.
    pub lines: Vec<Kind>,
    /// What is hidden.
    pub privacy: Privacy,
}

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Config {
    /// `observer.name`.
    pub name: Option<String>,
    /// Server ports that are watched, rising.
    pub ports: Vec<u16>,
    /// Worker threads; 1: everything in one thread.
    pub workers: usize,
    /// Watched hosts; none: every client is judged as if it were watched.
    pub watched: Vec<Net>,
    /// Addresses under which watched hosts appear outside (NAT).
    pub public: Vec<Net>,
    /// What is known of hosts; the first that fits holds, longer networks stand before shorter ones.
    pub hosts: Vec<Host>,
    /// Caps and time-outs.
    pub limits: Limits,
    /// Changes to detections.
    pub detect: Vec<Detect>,
    /// What outputs hide unless they say otherwise.
    pub privacy: Privacy,
    /// The key of ids and hashes.
    pub key: emit::Key,
    /// Where lines go; none: to standard output.
    pub outputs: Vec<OutputConfig>,
    /// What is known already.
    pub acks: Vec<Ack>,
    /// A hash of the file's text.
    pub hash: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: None,
            ports: vec![25],
            workers: 1,
            watched: Vec::new(),
            public: Vec::new(),
            hosts: Vec::new(),
            limits: Limits::default(),
            detect: Vec::new(),
            privacy: Privacy::default(),
            key: emit::Key::default(),
            outputs: Vec::new(),
            acks: Vec::new(),
            hash: hash(""),
        }
    }
}

/// A file of at most 1 MiB; a larger one is no configuration.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    const MOST: u64 = 1 << 20;
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other("larger than 1 MiB: not a configuration"));
    }
    Ok(bytes)
}

fn hash(text: &str) -> u64 {
    SipHasher24::new_with_key(&emit::PUBLISHED_KEY).hash(text.as_bytes())
}

/// Why a configuration could not be read.
#[derive(Debug)]
pub enum ConfigError {
    /// The file itself could not be read.
    Unreadable(PathBuf, io::Error),
    /// It is wrong.
    Wrong(Faults),
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Wrong(faults) => faults.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads a file; `rules` are the detections it may refer to.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read, or with everything that is wrong in it.
    pub fn load(path: &Path, rules: Entries) -> Result<Self, ConfigError> {
        let bytes =
            bounded(path).map_err(|error| ConfigError::Unreadable(path.to_owned(), error))?;
        let file = path.display().to_string();
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
                let mut reader = Reader::new(&file, &good);
                reader.fault(good.len()..good.len(), "bytes that are not UTF-8");
                return Err(ConfigError::Wrong(reader.finish()));
            }
        };
        Self::parse(&file, text, rules).map_err(ConfigError::Wrong)
    }

    /// Reads a text; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// With everything that is wrong in it.
    pub fn parse(file: &str, text: &str, rules: Entries) -> Result<Self, Faults> {
        let mut reader = Reader::new(file, text);
        let document = reader.document();
        let mut config = Self { hash: hash(text), ..Self::default() };
        let mut outputs = Vec::new();
        for (key, value) in document.get_ref() {
            match &**key.get_ref() {
                "capture" => {
                    section(&mut reader, "capture", value, |r, k, v| config.capture(r, k, v))
                }
                "network" => {
                    section(&mut reader, "network", value, |r, k, v| config.network(r, k, v))
                }
                "hosts" => config.hosts(&mut reader, value),
                "limits" => section(&mut reader, "limits", value, |r, k, v| config.limits(r, k, v)),
                "detect" => config.detects(&mut reader, value, rules),
                "privacy" => {
                    section(&mut reader, "privacy", value, |r, k, v| config.privacy(r, k, v))
                }
                "output" => outputs.push(value),
                "ack" => config.acks(&mut reader, value, rules),
                name @ ("domains" | "dns" | "auth" | "feeds" | "verdict") => {
                    section(&mut reader, name, value, |_, _, _| false);
                }
                _ => reader.unknown(key, "the file", keys::SECTIONS.iter().map(|(name, _)| *name)),
            }
        }
        // After [privacy], which is their default.
        for value in outputs {
            config.outputs(&mut reader, value);
        }
        config.hosts.sort_by_key(|host| std::cmp::Reverse(host.net.bits()));
        if reader.is_good() { Ok(config) } else { Err(reader.finish()) }
    }

    fn capture<'s>(&mut self, r: &mut Reader<'s>, key: &str, value: &Value<'s>) -> bool {
        match key {
            "name" => self.name = r.name(value),
            "ports" => {
                let what = "a list of ports such as [25, 587]";
                if let Some(ports) =
                    r.list(value, what, |r, v| r.number(v, 1..65_536, "a port from 1 to 65535"))
                {
                    if ports.is_empty() && value.get_ref().as_array().is_some_and(|a| a.is_empty())
                    {
                        r.expected(value, "at least one port");
                    }
                    self.ports = ports.into_iter().filter_map(|p| u16::try_from(p).ok()).collect();
                    self.ports.sort_unstable();
                    self.ports.dedup();
                }
            }
            "workers" => {
                if let Some(n) = r.number(value, 1..257, "a number of threads from 1 to 256") {
                    self.workers = n as usize;
                }
            }
            _ => return false,
        }
        true
    }

    fn network<'s>(&mut self, r: &mut Reader<'s>, key: &str, value: &Value<'s>) -> bool {
        let list = match key {
            "watched" => &mut self.watched,
            "public" => &mut self.public,
            _ => return false,
        };
        if let Some(nets) = r.list(value, "a list of addresses and networks", |r, v| r.net(v)) {
            *list = nets;
        }
        true
    }

    fn hosts<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>) {
        let Some(table) = r.table(value, "a section such as [hosts.\"192.0.2.0/24\"]") else {
            return;
        };
        for (key, value) in table {
            let net = match Net::parse(key.get_ref()) {
                Ok(net) => net,
                Err(message) => {
                    r.fault(key.span(), message);
                    continue;
                }
            };
            if self.hosts.iter().any(|host| host.net == net) {
                r.fault(
                    key.span(),
                    format!("{net} has its section already, written in another way"),
                );
                continue;
            }
            let mut host = Host { net, role: Role::Unknown, name: None, tenant: None };
            section(r, "hosts", value, |r, key, value| {
                match key {
                    "role" => {
                        if let Some(role) = r.word(value, &Role::WORDS) {
                            host.role = role;
                        }
                    }
                    "name" => host.name = r.name(value),
                    "tenant" => host.tenant = r.name(value),
                    _ => return false,
                }
                true
            });
            self.hosts.push(host);
        }
    }

    fn limits(&mut self, r: &mut Reader<'_>, key: &str, value: &Value<'_>) -> bool {
        let Some(unit) = keys::limit_unit(key) else { return false };
        let number = match unit {
            keys::Unit::Span => r.span(value),
            keys::Unit::Size => r.size(value),
            // Limits are kept in 32 bits, some of them.
            keys::Unit::Count => r.number(value, 1..1 << 32, "a whole number from 1 to 4294967295"),
        };
        match number {
            Some(0) => r.expected(value, "more than nothing"),
            Some(n) => {
                self.limits.set(key, n);
            }
            None => {}
        }
        true
    }

    fn detects<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>, rules: Entries) {
        let Some(table) = r.table(value, "a section such as [detect.\"helo.bare_ip\"]") else {
            return;
        };
        for (key, value) in table {
            let Some(rule) = rule(r, key, key.get_ref(), rules, value.get_ref().as_table()) else {
                continue;
            };
            let mut detect = Detect {
                id: rule.id,
                enabled: true,
                severity: None,
                window: None,
                settings: Vec::new(),
            };
            let Some(table) = r.table(value, "a table of settings") else { continue };
            for (key, value) in table {
                match &**key.get_ref() {
                    "enabled" => {
                        if let Some(enabled) = r.boolean(value) {
                            detect.enabled = enabled;
                        }
                    }
                    "severity" => {
                        detect.severity = r.word(value, &Severity::ALL.map(|s| (s, s.name())))
                    }
                    "window" => detect.window = r.span(value),
                    name => match rule.settings.iter().find(|s| s.key == name) {
                        Some(s) => detect.settings.extend(setting(r, s, value).map(|v| (s.key, v))),
                        None => r.unknown(
                            key,
                            &format!("[detect.\"{}\"]", rule.id),
                            ["enabled", "severity", "window"]
                                .into_iter()
                                .chain(rule.settings.iter().map(|s| s.key)),
                        ),
                    },
                }
            }
            self.detect.push(detect);
        }
    }

    fn privacy(&mut self, r: &mut Reader<'_>, key: &str, value: &Value<'_>) -> bool {
        let mode = match key {
            "addresses" => &mut self.privacy.addresses,
            "local_parts" => &mut self.privacy.local_parts,
            "subjects" => &mut self.privacy.subjects,
            "key" => {
                let what = "32 hexadecimal digits in quotation marks";
                match value.get_ref().as_str().and_then(hexadecimal) {
                    Some(bytes) => self.key = emit::Key::configured(bytes),
                    // The value is a secret: it is not repeated.
                    None => r.fault(value.span(), format!("expected {what}")),
                }
                return true;
            }
            _ => return false,
        };
        if let Some(found) = r.word(value, &Mode::ALL) {
            *mode = found;
        }
        true
    }

    fn outputs<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>) {
        let Some(table) = r.table(value, "a section such as [output.findings]") else { return };
        for (key, value) in table {
            let mut output = OutputConfig {
                name: key.get_ref().to_string(),
                file: None,
                format: None,
                lines: Kind::ALL.to_vec(),
                privacy: self.privacy,
            };
            section(r, "output", value, |r, key, value| {
                match key {
                    "file" => match r.string(value, "a path in quotation marks") {
                        Some("") => r.expected(value, "a path"),
                        Some(path) => output.file = Some(path.into()),
                        None => {}
                    },
                    "format" => output.format = r.word(value, &Format::WORDS),
                    "lines" => {
                        let words = Kind::ALL.map(|kind| (kind, kind.name()));
                        if let Some(lines) =
                            r.list(value, "a list of kinds of lines", |r, v| r.word(v, &words))
                        {
                            output.lines = lines;
                        }
                    }
                    "privacy" => {
                        if let Some(mode) = r.word(value, &Mode::ALL) {
                            output.privacy = Privacy::all(mode);
                        }
                    }
                    _ => return false,
                }
                true
            });
            self.outputs.push(output);
        }
    }

    fn acks<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>, rules: Entries) {
        let Some(items) =
            r.list(value, "tables that begin with [[ack]]", |_, value| Some(value.clone()))
        else {
            return;
        };
        for item in items {
            let (mut about, mut host, mut until, mut reason) = (None, None, None, None);
            let before = r.is_good();
            section(r, "ack", &item, |r, key, value| {
                match key {
                    "rule" => {
                        if let Some(id) = r.string(value, "the id of a detection") {
                            match rules.iter().find(|rule| rule.id == id) {
                                Some(rule) => about = Some(rule.id),
                                None => unknown_rule(r, value.span(), id, rules),
                            }
                        }
                    }
                    "host" => host = r.net(value),
                    "until" => match value
                        .get_ref()
                        .as_datetime()
                        .filter(|d| d.time.is_none())
                        .and_then(|d| d.date)
                    {
                        Some(date) => {
                            until =
                                Some(midnight(date.year.into(), date.month.into(), date.day.into()))
                        }
                        None => r.expected(value, "a date such as 2027-03-01"),
                    },
                    "reason" => reason = r.name(value),
                    _ => return false,
                }
                true
            });
            match (about, host, until, reason) {
                (Some(rule), Some(host), Some(until), Some(reason)) => {
                    self.acks.push(Ack { rule, host, until, reason });
                }
                _ if before && r.is_good() => {
                    r.fault(item.span(), "an [[ack]] says rule, host, until and reason, all four");
                }
                _ => {}
            }
        }
    }
}

/// Reads a table whose keys `take` knows; `false` from it means that it does not know one.
fn section<'s>(
    r: &mut Reader<'s>,
    name: &str,
    value: &Value<'s>,
    mut take: impl FnMut(&mut Reader<'s>, &str, &Value<'s>) -> bool,
) {
    let Some(table) = r.table(value, "a table of settings") else { return };
    for (key, value) in table {
        if !take(r, key.get_ref(), value) {
            r.unknown(key, &format!("[{name}]"), keys::of(name).iter().map(|k| k.key.as_ref()));
        }
    }
}

fn rule(
    r: &mut Reader<'_>,
    key: &Key<'_>,
    id: &str,
    rules: Entries,
    below: Option<&DeTable<'_>>,
) -> Option<&'static Entry> {
    if let Some(rule) = rules.iter().find(|rule| rule.id == id) {
        return Some(rule);
    }
    // [detect.helo.bare_ip] is a table in a table: the dot belongs inside quotation marks.
    let dotted = below
        .into_iter()
        .flatten()
        .filter(|(_, value)| matches!(value.get_ref(), DeValue::Table(_)))
        .map(|(second, _)| format!("{id}.{}", second.get_ref()))
        .find(|full| rules.iter().any(|rule| rule.id == full));
    match dotted {
        Some(full) => r.fault(
            key.span(),
            format!("the id of a detection stands in quotation marks: [detect.\"{full}\"]"),
        ),
        None => unknown_rule(r, key.span(), id, rules),
    }
    None
}

fn unknown_rule(r: &mut Reader<'_>, at: std::ops::Range<usize>, id: &str, rules: Entries) {
    let hint = match nearest(id, rules.iter().map(|rule| rule.id)) {
        Some(near) => format!("; did you mean {near:?}?"),
        None => "; `botlike rules` lists them".to_owned(),
    };
    r.fault(at, format!("unknown detection {id:?}{hint}"));
}

fn setting<'s>(r: &mut Reader<'s>, s: &detect::Setting, value: &Value<'s>) -> Option<Setting> {
    match s.default {
        detect::Value::Count(_) => {
            r.number(value, 0..1 << 53, "a whole number").map(Setting::Count)
        }
        detect::Value::Span(_) => r.span(value).map(Setting::Span),
        detect::Value::Percent(_) => r
            .number(value, 0..101, "a share in per cent, from 0 to 100")
            .map(|n| Setting::Percent(n as u8)),
        detect::Value::Names(_) => {
            r.list(value, "a list of names", |r, v| r.name(v)).map(Setting::Names)
        }
    }
}

fn hexadecimal(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, i) in bytes.iter_mut().zip((0..32).step_by(2)) {
        *byte = u8::from_str_radix(text.get(i..i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// The beginning of a day, UTC.
fn midnight(year: u64, month: u64, day: u64) -> Stamp {
    // Days before the month in a year that begins in March, see `emit::write::civil`.
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Stamp::from_nanos(days.saturating_sub(719_468).saturating_mul(86_400 * SECOND))
}

#[cfg(test)]
mod tests {
    use botlike_core::base::{HOUR, MINUTE};

    use super::*;
    use crate::emit::samples::RULES;

    fn good(text: &str) -> Config {
        Config::parse("x.toml", text, RULES).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn faults(text: &str) -> Vec<String> {
        match Config::parse("x.toml", text, RULES) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn everything_at_once() {
        let config = good(
            r#"
            [capture]
            name = "mx1"
            ports = [587, 25, 25]
            workers = 4
            [network]
            watched = ["192.0.2.0/24", "2001:db8::1"]
            public = ["198.51.100.7"]
            [hosts."192.0.2.0/24"]
            tenant = "acme"
            [hosts."192.0.2.77"]
            role = "mta"
            name = "vm-101"
            [domains]
            [limits]
            flows = 1000
            idle_timeout = "5m"
            reorder_total = "1MiB"
            [detect."test.fanout"]
            enabled = false
            severity = "low"
            window = "2h"
            limit = 7
            within = "10m"
            share = 5
            names = ["a", "b"]
            [dns]
            [auth]
            [feeds]
            [privacy]
            local_parts = "hash"
            key = "000102030405060708090a0b0c0d0e0F"
            [verdict]
            [output.all]
            [output.siem]
            file = "lines.json"
            format = "json"
            lines = ["finding", "sensor"]
            privacy = "drop"
            [[ack]]
            rule = "test.fanout"
            host = "192.0.2.77"
            until = 2026-11-23
            reason = "known"
            "#,
        );
        assert_eq!(
            (config.name.as_deref(), config.workers, config.ports),
            (Some("mx1"), 4, vec![25, 587])
        );
        assert_eq!(
            format!("{:?} {:?}", config.watched, config.public),
            "[192.0.2.0/24, 2001:db8::1] [198.51.100.7]"
        );
        let hosts: Vec<_> =
            config.hosts.iter().map(|h| (h.net.to_string(), h.role, h.tenant.is_some())).collect();
        assert_eq!(
            hosts,
            [("192.0.2.77".into(), Role::Mta, false), ("192.0.2.0/24".into(), Role::Unknown, true)]
        );
        assert_eq!((config.limits.flows, config.limits.idle_timeout), (1000, 5 * MINUTE));
        assert_eq!(config.limits.reorder_total, 1 << 20);
        assert_eq!(
            config.detect,
            [Detect {
                id: "test.fanout",
                enabled: false,
                severity: Some(Severity::Low),
                window: Some(2 * HOUR),
                settings: vec![
                    ("limit", Setting::Count(7)),
                    ("names", Setting::Names(vec!["a".into(), "b".into()])),
                    ("share", Setting::Percent(5)),
                    ("within", Setting::Span(10 * MINUTE)),
                ],
            }]
        );
        assert_eq!(config.key, emit::Key::configured(core::array::from_fn(|i| i as u8)));
        let [all, siem] = config.outputs.as_slice() else { panic!("{:?}", config.outputs) };
        assert_eq!((all.privacy.local_parts, all.lines.len(), all.format), (Mode::Hash, 5, None));
        assert_eq!(
            (siem.privacy, siem.lines.len(), siem.format),
            (Privacy::all(Mode::Drop), 2, Some(Format::Json))
        );
        assert_eq!(config.acks[0].until, Stamp::from_parts(1_795_392_000, 0));
    }

    #[test]
    fn nothing_is_a_good_configuration() {
        let config = good("");
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    /// One fault a line: the text, and what is said of it.
    #[test]
    fn faults_have_their_place_and_the_nearest_key() {
        for (text, said) in [
            (
                "[captrue]\n",
                "x.toml:1:2: unknown key \"captrue\" in the file; did you mean \"capture\"?",
            ),
            (
                "[capture]\nprots = [25]\n",
                "x.toml:2:1: unknown key \"prots\" in [capture]; did you mean \"ports\"?",
            ),
            (
                "[capture]\nxyzzy = 1\n",
                "x.toml:2:1: unknown key \"xyzzy\" in [capture]; known: name, ports, workers",
            ),
            (
                "[dns]\nserver = 1\n",
                "x.toml:2:1: unknown key \"server\" in [dns]; this version knows no keys there",
            ),
            (
                "[capture]\nports = 25\n",
                "x.toml:2:9: expected a list of ports such as [25, 587], found 25",
            ),
            (
                "[capture]\nports = []\n",
                "x.toml:2:9: expected at least one port, found a value of type array",
            ),
            (
                "[capture]\nports = [25, 70000]\n",
                "x.toml:2:14: expected a port from 1 to 65535, found 70000",
            ),
            (
                "[capture]\nname = \"a\\nb\"\n",
                "x.toml:2:8: expected a name of 1 to 200 bytes without control characters, found \"a\\nb\"",
            ),
            (
                "[network]\nwatched = [\"eth0\"]\n",
                "x.toml:2:12: \"eth0\" is neither an address nor a network (CIDR)",
            ),
            (
                "[hosts.\"192.0.2.0/24\"]\nrole = \"mtx\"\n",
                "x.toml:2:8: expected one of \"mta\", \"gateway\", \"bulk\", \"list\", \"forwarder\", \"hosting\", \"app\", \"monitor\", \"scanner\", \"unknown\", found \"mtx\"; did you mean \"mta\"?",
            ),
            (
                "[hosts.\"192.0.2.1\"]\n[hosts.\"192.0.2.1/32\"]\n",
                "x.toml:2:8: 192.0.2.1 has its section already, written in another way",
            ),
            (
                "[limits]\nflow = 1\n",
                "x.toml:2:1: unknown key \"flow\" in [limits]; did you mean \"flows\"?",
            ),
            (
                "[limits]\nflows = 0\n",
                "x.toml:2:9: expected a whole number from 1 to 4294967295, found 0",
            ),
            (
                "[limits]\nidle_timeout = 10\n",
                "x.toml:2:16: expected a span of time such as \"10m\" (us, ms, s, m, h, d), found 10",
            ),
            (
                "[limits]\nidle_timeout = \"0s\"\n",
                "x.toml:2:16: expected more than nothing, found \"0s\"",
            ),
            (
                "[limits]\nreorder_total = \"1 MB\"\n",
                "x.toml:2:17: expected a size such as \"64MiB\" (B, KiB, MiB, GiB), found \"1 MB\"",
            ),
            (
                "[detect.\"test.fanuot\"]\n",
                "x.toml:1:9: unknown detection \"test.fanuot\"; did you mean \"test.fanout\"?",
            ),
            ("[detect.\"x\"]\n", "x.toml:1:9: unknown detection \"x\"; `botlike rules` lists them"),
            (
                "[detect.test.fanout]\nlimit = 1\n",
                "x.toml:1:9: the id of a detection stands in quotation marks: [detect.\"test.fanout\"]",
            ),
            (
                "[detect.\"test.fanout\"]\nlimits = 1\n",
                "x.toml:2:1: unknown key \"limits\" in [detect.\"test.fanout\"]; did you mean \"limit\"?",
            ),
            (
                "[detect.\"test.fanout\"]\nshare = 101\n",
                "x.toml:2:9: expected a share in per cent, from 0 to 100, found 101",
            ),
            (
                "[privacy]\nkey = \"geheim\"\n",
                "x.toml:2:7: expected 32 hexadecimal digits in quotation marks",
            ),
            (
                "[output.a]\nlines = [\"findings\"]\n",
                "x.toml:2:10: expected one of \"session\", \"message\", \"finding\", \"stats\", \"sensor\", found \"findings\"; did you mean \"finding\"?",
            ),
            (
                "[[ack]]\nrule = \"test.fanout\"\n",
                "x.toml:1:1: an [[ack]] says rule, host, until and reason, all four",
            ),
            (
                "[[ack]]\nuntil = \"soon\"\n",
                "x.toml:2:9: expected a date such as 2027-03-01, found \"soon\"",
            ),
            ("capture = 1\n", "x.toml:1:11: expected a table of settings, found 1"),
        ] {
            assert_eq!(faults(text), [said], "{text}");
        }
    }

    #[test]
    fn all_faults_are_told_in_order() {
        let found =
            faults("[capture]\nprots = 1\nname = 2\n[nonsense]\n[limits]\nflows = \"many\"\n");
        let places: Vec<&str> = found.iter().map(|f| f.split(": ").next().unwrap()).collect();
        assert_eq!(places, ["x.toml:2:1", "x.toml:3:8", "x.toml:4:2", "x.toml:6:9"]);
        let syntax = faults("[capture]\nports = [25\nname = \"x\"\n[dsn]\n");
        assert!(syntax.len() >= 2, "{syntax:?}");
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(
            faults("[capture]\n\"é\" = 1\n# é\n[\"é\".x]\n")[0].split(": ").next(),
            Some("x.toml:2:1")
        );
        assert_eq!(
            faults("capture = { name = \"éé\", prots = 1 }\n"),
            ["x.toml:1:26: unknown key \"prots\" in [capture]; did you mean \"ports\"?"]
        );
    }

    #[test]
    fn files_that_are_no_text_are_told_of() {
        let dir = std::env::temp_dir().join(format!("botlike-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let load = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            std::fs::write(&path, bytes).unwrap();
            Config::load(&path, RULES)
                .map(|_| ())
                .map_err(|e| e.to_string().replace(&*dir.to_string_lossy(), ""))
        };
        assert_eq!(load("good", b"[capture]\n"), Ok(()));
        assert_eq!(
            load("bytes", b"[capture]\nname = \"\xff\"\n"),
            Err("/bytes:2:9: bytes that are not UTF-8".into())
        );
        assert_eq!(
            load("large", &[b'\n'; (1 << 20) + 1]),
            Err("/large: larger than 1 MiB: not a configuration".into())
        );
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(Config::load(&dir, RULES), Err(ConfigError::Unreadable(..))));
    }

    #[test]
    fn hostile_files_are_errors_only() {
        for text in [
            "[".repeat(10_000),
            "a=".repeat(5000),
            "[[[[".into(),
            "a = [".repeat(5000),
            "\0\u{1}".into(),
        ] {
            assert!(!faults(&text).is_empty());
        }
    }

    #[test]
    fn midnights_are_those_of_the_calendar() {
        for days in (0..80_000).step_by(17) {
            let (year, month, day) = emit::write::civil(days);
            assert_eq!(midnight(year, month, day).as_nanos(), days * 86_400 * SECOND);
        }
    }
}
