//! Finding, stats and sensor lines.

use botlike_core::base::{Counters, Stamp};
use botlike_core::detect::{Evidence, NotObservable, Weight};
use botlike_core::judge::Finding;

use super::super::id::{self, Subject};
use crate::source::live::{Observe, Places};

use super::super::{SCHEMA, Sensor, Stats, evidence, words, write};
use super::{EVIDENCE, Json, LIST, SHORT, STRING, flags, key, number, put, stamp, word};

impl Json {
    pub(super) fn finding(
        &mut self,
        out: &mut Vec<u8>,
        at: Stamp,
        f: &Finding,
        host_name: Option<&str>,
        tenant: Option<&str>,
    ) {
        let rule = self.style.rules.get(usize::from(f.entry)).copied();
        let level = rule.and_then(|rule| rule.levels.get(usize::from(f.level)));
        let alert = level.is_some_and(|level| level.weight == Weight::Conclusive);
        let id = rule.map_or("", |rule| rule.id);

        let mut evidence = core::mem::take(&mut self.evidence);
        evidence.clear();
        write::addr(&mut evidence, f.host);
        if let Some(name) = host_name {
            put(&mut evidence, " (");
            write::shown(&mut evidence, name.as_bytes(), ')', SHORT);
            put(&mut evidence, ")");
        }
        put(&mut evidence, ": ");
        put(&mut evidence, rule.map_or("an unknown rule", |rule| rule.name));
        put(&mut evidence, ": ");
        let sentence_end = evidence.len();
        self.pairs(&mut evidence, &f.evidence);
        if evidence.len() == sentence_end {
            evidence.truncate(sentence_end - 2);
        }
        self.evidence = evidence;

        self.open(
            out,
            at,
            true,
            if alert {
                r#","event":{"kind":"alert","category":["email","intrusion_detection"],"type":["info"],"action":""#
            } else {
                r#","event":{"kind":"event","category":["email","intrusion_detection"],"type":["info"],"action":""#
            },
        );
        put(out, words::finding_action(f.status));
        put(out, r#"","module":"botlike","dataset":"botlike.finding","id":""#);
        self.finding_id(out, f, id);
        out.push(b'"');
        self.sequence(out);
        number(out, "\"severity\":", u64::from(f.severity.number()));
        self.period(out, f.first_seen, f.last_seen);
        self.observer(out, f.flow.as_ref().map(|flow| flow.iface));
        if let Some(rule) = rule {
            put(out, ",\"rule\":{\"id\":\"");
            put(out, rule.id);
            out.push(b'"');
            for (name, text) in [
                ("\"name\":", rule.name),
                ("\"description\":", rule.what),
                ("\"reference\":", rule.source),
            ] {
                self.string(out, name, text.as_bytes(), STRING);
            }
            word(out, "\"category\":", rule.id.split('.').next().unwrap_or_default());
            put(out, ",\"version\":\"");
            write::number(out, u64::from(rule.rev));
            put(out, "\",\"ruleset\":\"core\"}");
        }
        match &f.flow {
            Some(flow) => self.endpoints(out, flow),
            None => {
                put(out, ",\"source\":{\"ip\":\"");
                write::addr(out, f.host);
                put(out, "\"}");
            }
        }
        self.host(out, Some(f.host), host_name);
        match &f.flow {
            Some(flow) => self.network(out, flow, f.direction),
            None => {
                put(out, r#","network":{"protocol":"smtp","direction":""#);
                put(out, words::direction(f.direction));
                out.push(b'"');
            }
        }
        put(out, "},\"botlike\":{");
        self.tenant(out, tenant);
        if let Some(flow) = &f.flow {
            key(out, "\"session_id\":\"");
            out.extend_from_slice(&self.names.of(flow, self.style.key.bytes()).session_id);
            out.push(b'"');
        }
        key(out, "\"finding\":{");
        word(out, "\"severity\":", f.severity.name());
        word(out, "\"status\":", words::status(f.status));
        put(out, ",\"key\":\"");
        put(out, id);
        out.push(b'|');
        write::addr(out, f.host);
        out.push(b'"');
        if let Some(level) = level {
            word(out, "\"level\":", level.name);
        }
        number(out, "\"count\":", f.count);
        stamp(out, "\"first_seen\":", f.first_seen);
        stamp(out, "\"last_seen\":", f.last_seen);
        let evidence = core::mem::take(&mut self.evidence);
        if evidence.len() > sentence_end {
            self.string(out, "\"evidence\":", &evidence[sentence_end..], EVIDENCE);
        }
        self.evidence = evidence;
        if let Some(rule) = rule {
            self.string(out, "\"advice\":", rule.advice.as_bytes(), STRING);
        }
        out.push(b'}');
        flags(
            out,
            "\"not_observable\":",
            words::NOT_OBSERVABLE
                .iter()
                .filter(|(flag, _)| f.not_observable.contains(*flag))
                .map(|(_, word): &(NotObservable, &'static str)| *word),
        );
        out.push(b'}');
        match &f.flow {
            Some(flow) => self.related(out, flow),
            None => {
                put(out, ",\"related\":{\"ip\":[\"");
                write::addr(out, f.host);
                put(out, "\"]}");
            }
        }
        out.push(b'}');
    }

    /// A finding has many lines in its life: what differs between them is in the id.
    fn finding_id(&mut self, out: &mut Vec<u8>, f: &Finding, rule: &str) {
        let mut name = core::mem::take(&mut self.scratch);
        name.clear();
        name.extend_from_slice(rule.as_bytes());
        name.push(0);
        name.extend_from_slice(f.host.octets());
        for part in [
            f.first_seen.as_nanos(),
            f.last_seen.as_nanos(),
            f.count,
            f.status as u64,
            u64::from(f.level),
        ] {
            name.extend_from_slice(&part.to_le_bytes());
        }
        write::hex(out, &id::event_id(self.style.key.bytes(), Subject::Named(&name)));
        self.scratch = name;
    }

    /// Evidence as one string of `key=value` pairs.
    fn pairs(&mut self, out: &mut Vec<u8>, pieces: &[Evidence]) {
        let mut scratch = core::mem::take(&mut self.scratch);
        evidence::pairs(out, pieces, &self.style, &mut scratch);
        self.scratch = scratch;
    }

    pub(super) fn stats(&mut self, out: &mut Vec<u8>, stats: &Stats<'_>) {
        self.open(
            out,
            stats.at,
            false,
            r#","event":{"kind":"metric","type":["info"],"action":"stats","module":"botlike","dataset":"botlike.stats""#,
        );
        self.sequence(out);
        self.observer(out, None);
        put(out, ",\"botlike\":{\"stats\":{");
        let counters: &Counters = stats.counters;
        for (name, value, _) in counters.list() {
            key(out, "\"");
            put(out, name);
            put(out, "\":");
            write::number(out, value);
        }
        put(out, "}}}");
    }

    fn places(&mut self, out: &mut Vec<u8>, places: &Places) {
        if let Some(rung) = places.rung {
            word(out, "\"rung\":", rung.name());
        }
        number(out, "\"interfaces_count\":", places.interfaces.len() as u64);
        for (i, (name, _)) in places.interfaces.iter().take(LIST).enumerate() {
            self.string(out, if i == 0 { "\"interfaces\":[" } else { "" }, name.as_bytes(), SHORT);
        }
        if !places.interfaces.is_empty() {
            out.push(b']');
        }
        let metadata = || places.interfaces.iter().filter(|(_, how)| *how == Observe::Metadata);
        number(out, "\"metadata_only_count\":", metadata().count() as u64);
        for (i, (name, _)) in metadata().take(LIST).enumerate() {
            self.string(
                out,
                if i == 0 { "\"metadata_only\":[" } else { "" },
                name.as_bytes(),
                SHORT,
            );
        }
        if metadata().next().is_some() {
            out.push(b']');
        }
    }

    pub(super) fn sensor(&mut self, out: &mut Vec<u8>, sensor: &Sensor<'_>) {
        let mut message = core::mem::take(&mut self.evidence);
        message.clear();
        super::super::sensor_sentence(&mut message, sensor, &self.style);
        self.evidence = message;
        self.open(
            out,
            sensor.at,
            true,
            if sensor.changed {
                r#","event":{"kind":"event","category":["process"],"type":["change"],"action":"sensor-changed","module":"botlike","dataset":"botlike.sensor""#
            } else {
                r#","event":{"kind":"event","category":["process"],"type":["start"],"action":"sensor-started","module":"botlike","dataset":"botlike.sensor""#
            },
        );
        self.sequence(out);
        self.observer(out, None);
        put(out, r#","botlike":{"sensor":{"schema":"#);
        write::number(out, SCHEMA);
        word(out, "\"mode\":", sensor.mode());
        if let Some(places) = sensor.places {
            self.places(out, places);
        }
        number(out, "\"rules\":", self.style.rules.len() as u64);
        put(out, ",\"config_hash\":\"");
        write::hex(out, &sensor.config_hash.to_be_bytes());
        out.push(b'"');
        number(out, "\"memory_bytes\":", sensor.memory);
        number(out, "\"watched_count\":", sensor.watched.len() as u64);
        for (i, network) in sensor.watched.iter().take(LIST).enumerate() {
            self.string(out, if i == 0 { "\"watched\":[" } else { "" }, network.as_bytes(), SHORT);
        }
        if !sensor.watched.is_empty() {
            out.push(b']');
        }
        number(out, "\"ports_count\":", sensor.ports.len() as u64);
        for (i, port) in sensor.ports.iter().take(LIST).enumerate() {
            number(out, if i == 0 { "\"ports\":[" } else { "" }, u64::from(*port));
        }
        if !sensor.ports.is_empty() {
            out.push(b']');
        }
        put(out, ",\"privacy\":{\"addresses\":\"");
        put(out, self.style.privacy.addresses.name());
        out.push(b'"');
        word(out, "\"local_parts\":", self.style.privacy.local_parts.name());
        word(out, "\"subjects\":", self.style.privacy.subjects.name());
        word(
            out,
            "\"key\":",
            if self.style.key.is_configured() { "configured" } else { "published" },
        );
        put(out, "}}}}");
    }
}
