//! The index template for Elasticsearch and OpenSearch: the same table of fields, as mappings.

use std::fmt::Write;

use super::super::SCHEMA;
use super::{Field, Type, comma, fields, quoted};

/// A composable index template (Elasticsearch 7.14, OpenSearch 2.12 and later) for a data stream such as
/// `logs-botlike-default`. What a later version adds is kept, and not indexed until its template is there.
pub fn index_template() -> String {
    let mut out = format!(
        r#"{{
  "index_patterns": ["logs-botlike*-*"],
  "data_stream": {{}},
  "priority": 250,
  "version": {SCHEMA},
  "_meta": {{ "description": "Lines of botlike, number {SCHEMA} of their schema. `botlike schema --format index-template` prints this." }},
  "template": {{
    "settings": {{ "index": {{ "mapping": {{ "total_fields": {{ "limit": 400 }} }} }} }},
    "mappings": {{
      "dynamic": false,
      "date_detection": false,
"#
    );
    let fields = fields();
    let all: Vec<(Vec<&str>, &Field)> =
        fields.iter().map(|(name, field)| (name.split('.').collect(), field)).collect();
    out.push_str("      ");
    properties(&mut out, &all, 0, 6);
    out.push_str("\n    }\n  }\n}\n");
    out
}

/// The properties that these fields have up to `depth`.
fn properties(out: &mut String, fields: &[(Vec<&str>, &Field)], depth: usize, indent: usize) {
    let mut keys: Vec<&str> = Vec::new();
    for (path, _) in fields {
        if !keys.contains(&path[depth]) {
            keys.push(path[depth]);
        }
    }
    let pad = " ".repeat(indent);
    out.push_str("\"properties\": {");
    for (i, key) in keys.iter().enumerate() {
        let below: Vec<(Vec<&str>, &Field)> =
            fields.iter().filter(|(path, _)| path[depth] == *key).cloned().collect();
        let _ = write!(out, "{}\n{pad}  {}: {{ ", comma(i), quoted(key));
        match below.as_slice() {
            [(path, field)] if path.len() == depth + 1 => out.push_str(mapping(field.kind)),
            _ => properties(out, &below, depth + 1, indent + 2),
        }
        out.push_str(" }");
    }
    let _ = write!(out, "\n{pad}}}");
}

/// A list is mapped as what is in it.
const fn mapping(kind: Type) -> &'static str {
    match kind {
        Type::Keyword | Type::Word(_) | Type::Keywords(_) | Type::Words(_) => {
            r#""type": "keyword", "ignore_above": 1024"#
        }
        Type::Text => r#""type": "match_only_text""#,
        Type::Number | Type::Level(_) | Type::Numbers(_) => r#""type": "long""#,
        Type::Boolean => r#""type": "boolean""#,
        Type::Date => r#""type": "date""#,
        Type::Ip | Type::Ips(_) => r#""type": "ip""#,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn leaves(properties: &Value, path: &str, into: &mut Vec<(String, String)>) {
        for (key, value) in properties.as_object().unwrap() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match (value.get("properties"), value.get("type")) {
                (Some(below), None) => leaves(below, &path, into),
                (None, Some(kind)) => into.push((path, kind.as_str().unwrap().to_owned())),
                _ => panic!("{path}: both an object and a value, or neither"),
            }
        }
    }

    #[test]
    fn every_field_is_mapped_as_its_type_and_nothing_else() {
        let template: Value = serde_json::from_str(&index_template()).unwrap();
        let mut mapped = Vec::new();
        leaves(&template["template"]["mappings"]["properties"], "", &mut mapped);
        let mut table: Vec<(String, String)> = fields()
            .into_iter()
            .map(|(name, field)| {
                let kind = match format!("{:?}", field.kind).split('(').next().unwrap() {
                    "Keyword" | "Keywords" | "Word" | "Words" => "keyword",
                    "Text" => "match_only_text",
                    "Number" | "Numbers" | "Level" => "long",
                    "Boolean" => "boolean",
                    "Date" => "date",
                    "Ip" | "Ips" => "ip",
                    other => panic!("{name}: {other} is new"),
                };
                (name, kind.to_owned())
            })
            .collect();
        mapped.sort();
        table.sort();
        assert_eq!(mapped, table);
        let kind = |name: &str| mapped.iter().find(|(n, _)| n == name).unwrap().1.as_str();
        assert_eq!(
            ["@timestamp", "source.ip", "source.port", "rule.id", "message", "smtp.quit"].map(kind),
            ["date", "ip", "long", "keyword", "match_only_text", "boolean"]
        );
    }
}
