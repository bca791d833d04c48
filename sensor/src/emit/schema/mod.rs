//! The one table of fields: which keys lines have, of which type, on which lines, and what they mean.
//!
//! `botlike schema` (a JSON Schema, draft 2020-12, or an index template) and `docs/FIELDS.md` are made from it, and tests hold the encoder to
//! it in both directions. A key keeps its type and its meaning for ever; keys are only added. All together stay below
//! 200: more, and some stores stop indexing.

mod fields;
mod template;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use super::write::quoted;
use super::{Kind, SCHEMA};
pub use fields::{FIELDS, Field, Lines, Type, fields};
pub use template::index_template;

/// The JSON Schema of the lines, draft 2020-12.
pub fn json_schema() -> String {
    let mut out = format!(
        "{{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n  \"$id\": \"urn:botlike:lines:{SCHEMA}\",\n  \
         \"title\": \"A line of botlike\",\n  \"oneOf\": ["
    );
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let _ = write!(out, "{}\n    {{ \"$ref\": \"#/$defs/{}\" }}", comma(i), kind.name());
    }
    out.push_str("\n  ],\n  \"$defs\": {");
    let fields = fields();
    for (i, kind) in Kind::ALL.into_iter().enumerate() {
        let mine: Vec<(Vec<&str>, &Field)> = fields
            .iter()
            .filter(|(_, f)| f.may.has(kind))
            .map(|(name, f)| (name.split('.').collect(), f))
            .collect();
        let _ = write!(out, "{}\n    \"{}\": ", comma(i), kind.name());
        object(&mut out, kind, &mine, 0, 4);
    }
    out.push_str("\n  }\n}\n");
    out
}

const fn comma(i: usize) -> &'static str {
    if i == 0 { "" } else { "," }
}

/// The object that these fields have in common up to `depth`.
fn object(
    out: &mut String,
    kind: Kind,
    fields: &[(Vec<&str>, &Field)],
    depth: usize,
    indent: usize,
) {
    let mut keys: Vec<&str> = Vec::new();
    for (path, _) in fields {
        if !keys.contains(&path[depth]) {
            keys.push(path[depth]);
        }
    }
    let pad = " ".repeat(indent);
    let under = |key: &str| -> Vec<(Vec<&str>, &Field)> {
        fields.iter().filter(|(path, _)| path[depth] == key).cloned().collect()
    };
    let required: Vec<String> = keys
        .iter()
        .filter(|key| under(key).iter().any(|(_, f)| f.must.has(kind)))
        .map(|key| format!("\"{key}\""))
        .collect();
    let _ =
        write!(out, "{{\n{pad}  \"type\": \"object\",\n{pad}  \"additionalProperties\": false,\n");
    if !required.is_empty() {
        let _ = writeln!(out, "{pad}  \"required\": [{}],", required.join(", "));
    }
    let _ = write!(out, "{pad}  \"properties\": {{");
    for (i, key) in keys.iter().enumerate() {
        let _ = write!(out, "{}\n{pad}    \"{key}\": ", comma(i));
        let below = under(key);
        match below.as_slice() {
            [(path, f)] if path.len() == depth + 1 => value(out, kind, f),
            _ => object(out, kind, &below, depth + 1, indent + 4),
        }
    }
    let _ = write!(out, "\n{pad}  }}\n{pad}}}");
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")
}

/// The schema of one value, on one line.
fn value(out: &mut String, kind: Kind, f: &Field) {
    let schema = match f.kind {
        Type::Keyword if f.name == "event.dataset" => format!("\"const\": \"botlike.{}\"", kind.name()),
        Type::Keyword | Type::Text => "\"type\": \"string\"".into(),
        Type::Number => "\"type\": \"integer\", \"minimum\": 0".into(),
        Type::Boolean => "\"type\": \"boolean\"".into(),
        Type::Date => {
            r#""type": "string", "format": "date-time", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$""#.into()
        }
        Type::Ip => format!("\"type\": \"string\", {IP}"),
        Type::Word(words) => format!("\"enum\": [{}]", list(&words())),
        Type::Level(levels) => {
            format!("\"enum\": [{}]", levels().iter().map(u8::to_string).collect::<Vec<_>>().join(", "))
        }
        Type::Keywords(max) => items("\"type\": \"string\"", max),
        Type::Ips(max) => items(&format!("\"type\": \"string\", {IP}"), max),
        Type::Numbers(max) => items("\"type\": \"integer\", \"minimum\": 0", max),
        Type::Words(words) => items(&format!("\"enum\": [{}]", list(&words())), words().len()),
    };
    let _ = write!(out, "{{ {schema}, \"description\": {} }}", quoted(f.doc));
}

const IP: &str = r#""anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }]"#;

fn items(schema: &str, max: usize) -> String {
    format!("\"type\": \"array\", \"minItems\": 1, \"maxItems\": {max}, \"items\": {{ {schema} }}")
}

/// The page of the manual: `docs/FIELDS.md`.
pub fn manual() -> String {
    let fields = fields();
    let mut out = format!(
        "# The fields of the lines\n\n\
         One JSON object a line, UTF-8, keys of the Elastic Common Schema 8.17 and own ones under `smtp` and `botlike`. A key\n\
         that does not apply is absent, never null; it keeps its type for ever. Stamps are packet time, UTC. A line is at\n\
         most {} bytes long. `botlike schema` prints the same as a JSON Schema (number {SCHEMA}, {} keys).\n\n\
         `botlike man --chapter fields` prints this page.\n\n\
         Lines: **s**ession, **m**essage, **f**inding, s**t**ats, se**n**sor; a capital letter: always there.\n",
        super::LINE_MAX,
        fields.len(),
    );
    let mut section = "";
    for (name, f) in &fields {
        let top = match name.split('.').collect::<Vec<_>>().as_slice() {
            ["botlike", second @ ("finding" | "stats" | "sensor"), ..] => match *second {
                "finding" => "botlike.finding",
                "stats" => "botlike.stats",
                _ => "botlike.sensor",
            },
            ["ecs", ..] => "top",
            [top, _, ..] => FIELDS
                .iter()
                .filter_map(|f| f.name.split('.').next())
                .find(|t| t == top)
                .unwrap_or_default(),
            _ => "top",
        };
        if top != section {
            section = top;
            let _ = write!(
                out,
                "\n## {}\n\n| field | type | lines | meaning |\n|---|---|---|---|\n",
                match top {
                    "top" => "At the top",
                    other => other,
                }
            );
        }
        let lines: String = Kind::ALL
            .into_iter()
            .zip(['s', 'm', 'f', 't', 'n'])
            .filter(|(kind, _)| f.may.has(*kind))
            .map(|(kind, c)| if f.must.has(kind) { c.to_ascii_uppercase() } else { c })
            .collect();
        let kind = match f.kind {
            Type::Keyword => "keyword".into(),
            Type::Text => "text".into(),
            Type::Number => "number".into(),
            Type::Boolean => "boolean".into(),
            Type::Date => "date".into(),
            Type::Ip => "ip".into(),
            Type::Word(words) => ticked(&words()),
            Type::Level(levels) => {
                levels().iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
            }
            Type::Keywords(max) => format!("keywords, at most {max}"),
            Type::Ips(max) => format!("ips, at most {max}"),
            Type::Numbers(max) => format!("numbers, at most {max}"),
            Type::Words(words) => format!("some of {}", ticked(&words())),
        };
        let _ = writeln!(out, "| `{name}` | {kind} | {lines} | {} |", f.doc);
    }
    out
}

fn ticked(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
