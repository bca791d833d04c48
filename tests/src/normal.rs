//! What may differ between lines that mean the same. This is the only place that says so.
//!
//! | where | what | why |
//! |---|---|---|
//! | always | `event.sequence`, `observer.version` | the place among lines that the golden leaves out; the release |
//! | always | lines of `botlike.stats` and `botlike.sensor` | counters of the run, unless the case asks (`lines:`) |
//! | bytes, duplicated, reordered, crossed | `*.packets` | more packets, or others before a session is told |
//! | vlan, qinq | `network.vlan` | the tags |
//! | sll, sll2, raw, null | `network.vlan` | some of these cannot carry the tag of a case that has one |
//! | points | `network.vlan` | one of the interfaces shows a tag |
//! | ipv6 | `network.type`, `network.community_id`, `event.id` and what names it | hashes of the tuple; the addresses themselves are mapped back |
//! | reordered, crossed | `event.id` and what names it | a hash of the first stamp: who came first may change |
//! | bytes, duplicated, reordered, crossed | times, by at most 100 ms; spans of time likewise | stamped by the packet that completed them; a hole is given up after so many packets |

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde_json::Value;

use crate::frame::map_v6;
use crate::packet::Packet;
use crate::variant::Variant;

/// By how much times may differ where packets change places, in nanoseconds: twice the window of the shuffle.
const TOLERANCE: u64 = 100_000_000;

/// Reads the lines of a run: each a JSON object, each ended.
pub fn lines(output: &[u8]) -> Result<Vec<Value>, String> {
    let text = std::str::from_utf8(output).map_err(|e| format!("not UTF-8: {e}"))?;
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    text.lines()
        .enumerate()
        .map(|(i, line)| match serde_json::from_str(line) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(format!("line {}: not an object: {line}", i + 1)),
            Err(error) => Err(format!("line {}: {error}: {line}", i + 1)),
        })
        .collect()
}

/// Leaves out what no golden holds.
pub fn for_golden(lines: &mut Vec<Value>, also: &[String]) {
    lines.retain(|line| match line.pointer("/event/dataset").and_then(Value::as_str) {
        Some("botlike.stats") => also.iter().any(|a| a == "stats"),
        Some("botlike.sensor") => also.iter().any(|a| a == "sensor"),
        _ => true,
    });
    for line in lines {
        remove(line, &["event", "sequence"]);
        remove(line, &["observer", "version"]);
    }
}

/// Takes away what this variant may change; done to the golden and to the lines alike.
pub fn for_variant(lines: &mut [Value], variant: Variant) {
    let mut ids = BTreeMap::new();
    for line in lines.iter_mut() {
        match variant {
            Variant::Bytes | Variant::Duplicated | Variant::Reordered | Variant::Crossed => {
                for part in ["source", "destination", "network"] {
                    remove(line, &[part, "packets"]);
                }
            }
            Variant::Ipv6 => {
                remove(line, &["network", "type"]);
                remove(line, &["network", "community_id"]);
            }
            Variant::Vlan
            | Variant::Qinq
            | Variant::Sll
            | Variant::Sll2
            | Variant::Raw
            | Variant::Null
            | Variant::Points => {
                remove(line, &["network", "vlan"]);
            }
            Variant::Plain => {}
        }
        if matches!(variant, Variant::Ipv6 | Variant::Reordered | Variant::Crossed) {
            // An attempt has no line of its own: its id only stands in findings.
            for place in ["/event/id", "/botlike/session_id"] {
                if let Some(id) = line.pointer(place).and_then(Value::as_str) {
                    let number = ids.len();
                    ids.entry(id.to_owned()).or_insert_with(|| format!("id {number}"));
                }
            }
        }
    }
    if !ids.is_empty() {
        lines.iter_mut().for_each(|line| rename(line, &ids));
    }
}

fn remove(line: &mut Value, path: &[&str]) {
    match path {
        [] => {}
        [key] => {
            if let Value::Object(map) = line {
                map.remove(*key);
            }
        }
        [key, rest @ ..] => {
            if let Some(inner) = line.get_mut(*key) {
                remove(inner, rest);
            }
        }
    }
}

fn rename(value: &mut Value, names: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            if let Some(name) = names.get(text) {
                text.clone_from(name);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|v| rename(v, names)),
        Value::Object(map) => map.values_mut().for_each(|v| rename(v, names)),
        _ => {}
    }
}

/// Where packets change places, takes over from the golden the times that are near enough.
pub fn align_times(expected: &[Value], lines: &mut [Value], variant: Variant) {
    if matches!(
        variant,
        Variant::Bytes | Variant::Reordered | Variant::Crossed | Variant::Duplicated
    ) {
        for (expected, line) in expected.iter().zip(lines) {
            align(expected, line);
        }
    }
}

fn align(expected: &Value, got: &mut Value) {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            for (key, got) in got {
                let Some(expected) = expected.get(key) else { continue };
                let near = match (key.as_str(), expected, &*got) {
                    ("duration", Value::Number(a), Value::Number(b)) => {
                        near(a.as_u64(), b.as_u64(), 1)
                    }
                    (key, Value::Number(a), Value::Number(b)) if key.ends_with("_ms") => {
                        near(a.as_u64(), b.as_u64(), 1_000_000)
                    }
                    (_, Value::String(a), Value::String(b)) => {
                        near(crate::script::stamp(a), crate::script::stamp(b), 1)
                    }
                    _ => false,
                };
                if near {
                    *got = expected.clone();
                } else {
                    align(expected, got);
                }
            }
        }
        (Value::Array(expected), Value::Array(got)) => {
            expected.iter().zip(got).for_each(|(e, g)| align(e, g))
        }
        _ => {}
    }
}

fn near(a: Option<u64>, b: Option<u64>, unit: u64) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a.abs_diff(b).saturating_mul(unit) <= TOLERANCE)
}

/// The addresses of a case and their stand-ins.
#[derive(Clone, Debug)]
pub struct AddressMap {
    /// Longest stand-in first, so that none is found within another.
    pairs: Vec<(String, String)>,
}

impl AddressMap {
    /// Of all IPv4 addresses that the packets have.
    pub fn new(packets: &[Packet]) -> Self {
        let mut addrs = BTreeSet::new();
        for packet in packets {
            for end in [packet.src, packet.dst] {
                if let std::net::IpAddr::V4(v4) = end.ip() {
                    addrs.insert(v4);
                }
            }
        }
        let mut pairs: Vec<_> =
            addrs.into_iter().map(|a| (map_v6(a).to_string(), a.to_string())).collect();
        pairs.sort_by_key(|(v6, _)| std::cmp::Reverse(v6.len()));
        Self { pairs }
    }

    /// Writes the IPv4 addresses back into what was printed.
    pub fn back(&self, output: &[u8]) -> Vec<u8> {
        let mut text = String::from_utf8_lossy(output).into_owned();
        for (v6, v4) in &self.pairs {
            text = text.replace(v6.as_str(), v4);
        }
        text.into_bytes()
    }
}

/// The configuration for the mapped addresses: networks and addresses in it are mapped alike.
pub fn config_v6(config: &str) -> String {
    let mut out = String::new();
    for (i, part) in config.split('"').enumerate() {
        if i > 0 {
            out.push('"');
        }
        let (addr, bits) =
            part.split_once('/').map_or((part, None), |(a, b)| (a, b.parse::<u32>().ok()));
        match addr.parse::<Ipv4Addr>() {
            Ok(addr) => {
                out.push_str(&map_v6(addr).to_string());
                if let Some(bits) = bits {
                    out.push_str(&format!("/{}", bits + 96));
                }
            }
            Err(_) => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_mapped_in_the_configuration() {
        let config = "[network]\nwatched = [\"192.0.2.0/24\", \"10.0.0.1\"]\nname = \"mx\"\n";
        let mapped = "[network]\nwatched = [\"2001:db8:4::c000:200/120\", \"fd00:4::a00:1\"]\nname = \"mx\"\n";
        assert_eq!(config_v6(config), mapped);
    }

    #[test]
    fn near_times_are_equal_and_far_ones_are_not() {
        let expected: Value = serde_json::from_str(
            r#"{"@timestamp":"2026-11-23T08:00:00.100000Z","event":{"duration":5}}"#,
        )
        .unwrap();
        let mut near: Value = serde_json::from_str(
            r#"{"@timestamp":"2026-11-23T08:00:00.150000Z","event":{"duration":9}}"#,
        )
        .unwrap();
        let mut far: Value = serde_json::from_str(
            r#"{"@timestamp":"2026-11-23T08:00:00.300000Z","event":{"duration":5}}"#,
        )
        .unwrap();
        align(&expected, &mut near);
        align(&expected, &mut far);
        assert_eq!(near, expected);
        assert_ne!(far, expected);
    }

    #[test]
    fn only_whole_lines_of_json_are_lines() {
        assert_eq!(lines(b"").unwrap().len(), 0);
        assert_eq!(lines(b"{}\n{}\n").unwrap().len(), 2);
        for bad in [&b"{}"[..], b"{}\n1\n", b"{]\n", b"\xff\n"] {
            assert!(lines(bad).is_err());
        }
    }
}
