//! `botlike rules` and `botlike explain`: the list of detections, and one of them in full.

use std::fmt::Write;

use botlike_core::detect::{Level, Needs, Severity, Weight};

use crate::config::{keys, nearest};
use crate::emit::words;
use crate::emit::write::quoted;
use crate::rules::{Entries, Entry};

/// Columns that text is wrapped at.
const WIDTH: usize = 88;

fn worst(rule: &Entry) -> Option<Severity> {
    rule.levels.iter().map(|level| level.severity).max()
}

/// One line for each detection: id, severity of its worst level, name.
pub(super) fn table(rules: Entries) -> String {
    let width = rules.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    let mut out = String::new();
    for rule in rules {
        let severity = worst(rule).map_or("", Severity::name);
        let _ = writeln!(out, "{:width$}  {severity:8}  {}", rule.id, rule.name);
    }
    out
}

/// The same, and more, for programs.
pub(super) fn json(rules: Entries) -> String {
    let mut out = String::from("[");
    for (i, rule) in rules.iter().enumerate() {
        out.push_str(if i == 0 { "\n" } else { ",\n" });
        let _ = write!(
            out,
            "  {{\"id\":{},\"version\":\"{}\",\"name\":{},\"description\":{},\"advice\":{},\"reference\":{},\"attack\":{},\"window_s\":{},\"levels\":[",
            quoted(rule.id),
            rule.rev,
            quoted(rule.name),
            quoted(rule.what),
            quoted(rule.advice),
            quoted(rule.source),
            quoted(rule.attack),
            rule.window / botlike_core::base::SECOND,
        );
        for (i, level) in rule.levels.iter().enumerate() {
            let _ = write!(
                out,
                "{}{{\"name\":{},\"severity\":{},\"when\":{}}}",
                if i == 0 { "" } else { "," },
                quoted(level.name),
                quoted(level.severity.name()),
                quoted(level.when)
            );
        }
        out.push_str("],\"settings\":[");
        for (i, setting) in rule.settings.iter().enumerate() {
            let _ = write!(
                out,
                "{}{{\"key\":{},\"default\":{},\"meaning\":{}}}",
                if i == 0 { "" } else { "," },
                quoted(setting.key),
                quoted(&keys::default_text(&setting.default)),
                quoted(setting.doc)
            );
        }
        out.push_str("]}");
    }
    out.push_str(if rules.is_empty() { "]\n" } else { "\n]\n" });
    out
}

/// Everything about one detection; an error in words where there is none of that id.
pub(super) fn explain(rules: Entries, id: &str) -> Result<String, String> {
    let Some(rule) = rules.iter().find(|rule| rule.id == id) else {
        let hint = match nearest(id, rules.iter().map(|rule| rule.id)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "`botlike rules` lists them".to_owned(),
        };
        return Err(format!("there is no detection {id:?}; {hint}"));
    };
    let mut out = format!("{}  {}  (revision {})\n\n", rule.id, rule.name, rule.rev);
    wrapped(&mut out, "", rule.what);
    out.push_str("\nLevels\n");
    for level in rule.levels {
        let head = format!("  {} ({}; {})", level.name, level.severity.name(), weight(level));
        let _ = writeln!(out, "{head}");
        wrapped(&mut out, "    ", level.when);
    }
    out.push_str("\nWhat to do\n");
    wrapped(&mut out, "  ", rule.advice);
    let _ =
        write!(out, "\nNeeds    {}\nWindow   {}\n", needs(rule.needs), words::span(rule.window));
    if !rule.attack.is_empty() {
        let _ = writeln!(out, "ATT&CK   {}", rule.attack);
    }
    out.push_str("\nSource\n");
    wrapped(&mut out, "  ", rule.source);
    let _ = write!(out, "\nSettings: in the configuration, below [detect.\"{}\"]\n", rule.id);
    for key in keys::of("detect") {
        let default = match &*key.key {
            "window" => format!("\"{}\"", words::span(rule.window)),
            "severity" => "(that of each level)".to_owned(),
            _ => key.default.to_string(),
        };
        setting(&mut out, &key.key, &default, &key.doc);
    }
    for s in rule.settings {
        setting(&mut out, s.key, &keys::default_text(&s.default), s.doc);
    }
    Ok(out)
}

fn setting(out: &mut String, key: &str, default: &str, doc: &str) {
    wrapped(out, "  ", &format!("{key} = {default}"));
    wrapped(out, "    ", doc);
}

fn weight(level: &Level) -> String {
    let behaviour = |plane: &str, family: &str, strong: bool| {
        format!("{} evidence, {plane}/{family}", if strong { "strong" } else { "weak" })
    };
    let points = |tenths: u16| format!("{}.{} hygiene points", tenths / 10, tenths % 10);
    match level.weight {
        Weight::Hygiene(tenths) => points(tenths),
        Weight::Behaviour { plane, family, strong } => behaviour(plane, family, strong),
        Weight::Both { plane, family, strong, hygiene } => {
            format!("{}, {}", behaviour(plane, family, strong), points(hygiene))
        }
        Weight::Info => "information".to_owned(),
        Weight::Conclusive => "conclusive".to_owned(),
    }
}

fn needs(needs: Needs) -> String {
    let all: Vec<&str> = [
        (Needs::PLAIN, "the plain dialogue"),
        (Needs::EARLY, "its early part (up to STARTTLS)"),
        (Needs::TCP, "TCP headers"),
        (Needs::INVENTORY, "the inventory of hosts"),
        (Needs::DNS, "DNS of the host, on the wire"),
        (Needs::HISTORY, "some days of history"),
        (Needs::WHOLE, "both directions from the start, without gaps"),
    ]
    .into_iter()
    .filter(|(flag, _)| needs.contains(*flag))
    .map(|(_, word)| word)
    .collect();
    all.join(", ")
}

/// Appends text in lines of at most [`WIDTH`] columns, each after `indent`.
fn wrapped(out: &mut String, indent: &str, text: &str) {
    let mut column = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            column = 0;
        }
        if column == 0 {
            out.push_str(indent);
            column = indent.len();
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::samples::RULES;

    #[test]
    fn the_table_has_the_worst_severity() {
        assert_eq!(table(RULES), "test.fanout  critical  Many mail servers contacted\n");
    }

    #[test]
    fn the_list_is_json() {
        let list: serde_json::Value = serde_json::from_str(&json(RULES)).unwrap();
        assert_eq!(list[0]["id"], "test.fanout");
        assert_eq!(list[0]["levels"][1]["severity"], "critical");
        assert_eq!(list[0]["settings"][1]["default"], "\"1h\"");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&json(&[])).unwrap(),
            serde_json::json!([])
        );
    }

    #[test]
    fn an_entry_is_explained_in_full() {
        let text = explain(RULES, "test.fanout").unwrap();
        for piece in [
            "test.fanout  Many mail servers contacted  (revision 3)",
            "  many (high; strong evidence, traffic/fanout)\n    more than `limit` in an hour",
            "  proof (critical; conclusive)",
            "Window   1h",
            "ATT&CK   T1071.003",
            "[detect.\"test.fanout\"]",
            "  limit = 120\n    Servers in an hour.",
            "  window = \"1h\"",
        ] {
            assert!(text.contains(piece), "{piece:?} in {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn an_unknown_id_gets_the_nearest() {
        assert_eq!(
            explain(RULES, "test.fanot").unwrap_err(),
            "there is no detection \"test.fanot\"; did you mean \"test.fanout\"?"
        );
        assert_eq!(
            explain(RULES, "x").unwrap_err(),
            "there is no detection \"x\"; `botlike rules` lists them"
        );
    }
}
