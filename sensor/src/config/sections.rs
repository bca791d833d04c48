//! The sections of the file, one after the other.

use botlike_core::base::{SECOND, Stamp};
use botlike_core::detect::{self, Severity};
use toml::de::{DeTable, DeValue};

use super::reader::{Key, Reader, Value, nearest};
use super::{Ack, Config, Detect, Format, Host, Interests, Net, OutputConfig, Role, Setting, keys};
use crate::emit::{self, Kind, Mode, Privacy};
use crate::rules::{Entries, Entry};
use crate::source::live::{Observe, RungKind};

impl Config {
    pub(super) fn capture<'s>(&mut self, r: &mut Reader<'s>, key: &str, value: &Value<'s>) -> bool {
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
            "interfaces" => {
                let what = "a list of interfaces such as [\"eth0\", \"tap*\"]";
                if let Some(names) = r.list(value, what, |r, v| r.name(v)) {
                    self.interfaces = names;
                }
            }
            "method" => {
                let mut words = vec![(None, "auto")];
                words.extend(RungKind::ALL.map(|rung| (Some(rung), rung.name())));
                if let Some(method) = r.word(value, &words) {
                    self.method = method;
                }
            }
            "interests" => {
                let what = "a list of smtp, dns and syn";
                if let Some(list) = r.list(value, what, |r, v| r.word(v, &Interests::WORDS)) {
                    if !list.contains(&Interests::Smtp) {
                        r.expected(value, "smtp among them");
                    }
                    self.interests = list;
                }
            }
            "observe" => {
                let words = [
                    (None, "auto"),
                    (Some(Observe::Metadata), Observe::Metadata.name()),
                    (Some(Observe::Full), Observe::Full.name()),
                ];
                if let Some(observe) = r.word(value, &words) {
                    self.observe = observe;
                }
            }
            "ring" => match r.size(value) {
                Some(size) if !(1 << 18..=1 << 30).contains(&size) => {
                    r.expected(value, "a size from \"256KiB\" to \"1GiB\"");
                }
                Some(size) => self.ring = size.next_power_of_two(),
                None => {}
            },
            "stats" => match r.span(value) {
                Some(span) if span < SECOND => r.expected(value, "a second or more"),
                Some(span) => self.stats_every = span,
                None => {}
            },
            _ => return false,
        }
        true
    }

    pub(super) fn network<'s>(&mut self, r: &mut Reader<'s>, key: &str, value: &Value<'s>) -> bool {
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

    pub(super) fn dns<'s>(&mut self, r: &mut Reader<'s>, key: &str, value: &Value<'s>) -> bool {
        if key != "resolvers" {
            return false;
        }
        if let Some(nets) = r.list(value, "a list of addresses and networks", |r, v| r.net(v)) {
            self.resolvers = nets;
        }
        true
    }

    pub(super) fn hosts<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>) {
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
                        if let Some(role) = r.word(value, &super::ROLES) {
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

    pub(super) fn limits(&mut self, r: &mut Reader<'_>, key: &str, value: &Value<'_>) -> bool {
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

    pub(super) fn detects<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>, rules: Entries) {
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

    pub(super) fn privacy(&mut self, r: &mut Reader<'_>, key: &str, value: &Value<'_>) -> bool {
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

    pub(super) fn outputs<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>) {
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

    pub(super) fn acks<'s>(&mut self, r: &mut Reader<'s>, value: &Value<'s>, rules: Entries) {
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
pub(super) fn section<'s>(
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
pub(super) fn midnight(year: u64, month: u64, day: u64) -> Stamp {
    // Days before the month in a year that begins in March, see `emit::write::civil`.
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.saturating_sub(1), month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Stamp::from_nanos(days.saturating_sub(719_468).saturating_mul(86_400 * SECOND))
}
