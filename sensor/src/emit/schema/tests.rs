use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{Encoder, Json, LINE_MAX, Mode, Privacy, Style, samples};
use super::*;

fn lines(privacy: Privacy) -> Vec<(Kind, String)> {
    let mut json = Json::new(Style { privacy, observer: Some("mx1".into()), ..samples::style() });
    json.interface(0, "eth0");
    let mut all = Vec::new();
    samples::each(|line| {
        let mut out = Vec::new();
        json.encode(line, &mut out);
        assert!(out.len() <= LINE_MAX, "{} bytes", out.len());
        let text = String::from_utf8(out).unwrap();
        assert!(text.ends_with('\n'));
        assert!(!text.trim_end_matches('\n').chars().any(char::is_control), "{text}");
        all.push((line.kind(), text));
    });
    all
}

fn all_privacies() -> impl Iterator<Item = Privacy> {
    let modes = Mode::ALL.map(|(mode, _)| mode);
    modes.into_iter().flat_map(move |addresses| {
        modes.into_iter().flat_map(move |local_parts| {
            modes.into_iter().map(move |subjects| Privacy { addresses, local_parts, subjects })
        })
    })
}

fn leaves(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, into);
            }
        }
        _ => {
            into.insert(path.to_owned());
        }
    }
}

#[test]
fn every_line_fits_the_schema() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let one = |kind: Kind| {
        let mut own = schema.clone();
        own["oneOf"] = serde_json::json!([{ "$ref": format!("#/$defs/{}", kind.name()) }]);
        jsonschema::options().should_validate_formats(true).build(&own).unwrap()
    };
    let validators = Kind::ALL.map(one);
    let whole = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for privacy in all_privacies() {
        for (kind, line) in lines(privacy) {
            let value: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            if let Err(error) = validators[kind as usize].validate(&value) {
                panic!("{error} at {}: {line}", error.instance_path());
            }
            assert!(whole.is_valid(&value), "{line}");
        }
    }
}

#[test]
fn the_schema_refuses_what_is_not_in_it() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let whole = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let (_, line) = lines(Privacy::default()).swap_remove(0);
    let good: Value = serde_json::from_str(&line).unwrap();
    assert!(whole.is_valid(&good));
    for (pointer, key, value) in [
        ("", "extra", Value::from(1)),
        ("/smtp", "extra", Value::from(1)),
        ("/smtp", "helo", Value::Null),
        ("/smtp", "close", Value::from("slammed")),
        ("/source", "ip", Value::from("192.0.2.999")),
        ("/event", "dataset", Value::from("botlike.message")),
        ("/event", "start", Value::from("2026-11-23T08:15:00Z")),
        ("/event", "duration", Value::from(-1)),
    ] {
        let mut bad = good.clone();
        bad.pointer_mut(pointer).unwrap()[key] = value;
        assert!(!whole.is_valid(&bad), "{pointer} {key}");
    }
}

#[test]
fn every_field_of_the_table_is_written_and_stands_where_it_says() {
    let mut seen: Vec<BTreeSet<String>> = vec![BTreeSet::new(); Kind::ALL.len()];
    let mut always: Vec<Option<BTreeSet<String>>> = vec![None; Kind::ALL.len()];
    for (kind, line) in lines(Privacy::default()) {
        let mut of_line = BTreeSet::new();
        leaves(&serde_json::from_str(&line).unwrap(), "", &mut of_line);
        let always = &mut always[kind as usize];
        *always = Some(always.as_ref().map_or_else(|| of_line.clone(), |a| a & &of_line));
        seen[kind as usize].extend(of_line);
    }
    for kind in Kind::ALL {
        let table: BTreeSet<String> =
            fields().into_iter().filter(|(_, f)| f.may.has(kind)).map(|(name, _)| name).collect();
        assert_eq!(seen[kind as usize], table, "{kind:?}");
        for (name, f) in fields() {
            if f.must.has(kind) {
                assert!(always[kind as usize].as_ref().unwrap().contains(&name), "{kind:?} {name}");
            }
        }
    }
}

#[test]
fn there_are_fewer_than_200_and_none_twice() {
    let names: Vec<String> = fields().into_iter().map(|(name, _)| name).collect();
    assert!(names.len() < 200, "{}", names.len());
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    for (name, f) in fields() {
        assert!(f.doc.ends_with('.') && !f.doc.contains('|'), "{name}: {}", f.doc);
        assert!(
            !names.iter().any(|other| other.starts_with(&format!("{name}."))),
            "{name} is an object, too"
        );
    }
}

#[test]
fn nothing_hidden_is_shown() {
    for privacy in all_privacies() {
        for (_, line) in lines(privacy) {
            if privacy.addresses != Mode::Clear || privacy.local_parts != Mode::Clear {
                for local in
                    ["bounce@", "billing@", "<a@", "first\":\"a@", "to\":[\"a@", "helo\":\"a@"]
                {
                    assert!(!line.contains(local), "{privacy:?}: {line}");
                }
            }
            if privacy.addresses != Mode::Clear {
                assert!(!line.contains("example."), "{privacy:?}: {line}");
            }
            if privacy.subjects != Mode::Clear {
                assert!(!line.contains("4471") && !line.contains("5f1.77"), "{privacy:?}: {line}");
            }
        }
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    assert_eq!(lines(Privacy::default()), lines(Privacy::default()));
}
