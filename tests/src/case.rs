//! Runs a case: plays its script in every variant and compares the lines.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::assertion;
use crate::normal::{self, AddressMap};
use crate::pcap;
use crate::player;
use crate::random::seed_of;
use crate::script::{self, Script};
use crate::variant::Variant;
use crate::wire::{self, Played};

/// What a case leaves out that is not compared with several workers.
const WORKERS: &str = "workers";

/// A case, read and played.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its directory's name: the behaviour.
    pub name: String,
    /// Its directory.
    pub path: PathBuf,
    /// Its script.
    pub script: Script,
    /// What the script became.
    pub played: Played,
}

/// The directory of this package.
pub fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all cases, in order. `BOTLIKE_CASE` leaves only those that contain it.
pub fn names() -> Vec<String> {
    let wanted = std::env::var("BOTLIKE_CASE").unwrap_or_default();
    let mut names: Vec<String> = fs::read_dir(home().join("cases"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok())
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.contains(&wanted))
        .collect();
    names.sort();
    names
}

impl Case {
    /// Reads and plays a case.
    pub fn load(name: &str) -> Result<Self, String> {
        let path = home().join("cases").join(name);
        let file = path.join("in.smtp");
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut script = script::parse(&text)?;
        if let Ok(config) = fs::read_to_string(path.join("config.toml")) {
            script.config.push_str(&config);
        }
        for (variant, _) in &script.without {
            if variant != WORKERS && !Variant::ALL.iter().any(|v| v.name() == variant) {
                return Err(format!("no variant is called {variant}"));
            }
        }
        let played = wire::play(&script)?;
        Ok(Self { name: name.to_owned(), path, script, played })
    }

    /// The variants in which it is played.
    pub fn variants(&self) -> impl Iterator<Item = Variant> {
        Variant::ALL
            .into_iter()
            .filter(|v| !self.script.without.iter().any(|(name, _)| name == v.name()))
    }

    /// The seed of its shuffles; `BOTLIKE_SEED` overrides it.
    pub fn seed(&self) -> u64 {
        std::env::var("BOTLIKE_SEED")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| seed_of(&self.name))
    }

    /// The lines of one variant, without what no golden holds, and the whole output.
    fn lines(&self, variant: Variant, workers: usize) -> Result<(Vec<Value>, Vec<u8>), String> {
        let config = match variant {
            Variant::Ipv6 => normal::config_v6(&self.script.config),
            _ => self.script.config.clone(),
        };
        let mut player = player::open(&config, workers)?;
        for frame in variant.frames(&self.played.packets, self.seed()) {
            player.frame(&frame);
        }
        let mut output = player.finish();
        if variant == Variant::Ipv6 {
            output = AddressMap::new(&self.played.packets).back(&output);
        }
        let mut lines = normal::lines(&output)?;
        normal::for_golden(&mut lines, &self.script.also);
        Ok((lines, output))
    }

    /// Plays it in every variant; `Err` is a report of everything that is wrong, for people.
    pub fn run(&self) -> Result<(), String> {
        let mut report = String::new();
        let golden = self.path.join("expect.jsonl");
        let (plain, output) =
            self.lines(Variant::Plain, 1).map_err(|e| format!("{}: plain: {e}\n", self.name))?;

        // The assertions come first: a golden that breaks one is never written.
        let mut held = true;
        for (line, text) in &self.script.assertions {
            let checked = assertion::parse(text).and_then(|a| a.check(&plain));
            if let Err(why) = checked {
                held = false;
                let _ = writeln!(
                    report,
                    "{}: in.smtp line {line}: does not hold: ! {text}\n    {why}",
                    self.name
                );
            }
        }
        let alone = self.script.without.iter().any(|(name, _)| name == WORKERS);
        for workers in [2, 4].into_iter().filter(|_| !alone) {
            let theirs = self.lines(Variant::Plain, workers)?.1;
            if theirs != output {
                let _ = writeln!(report, "{}: {workers} workers, other bytes than one:", self.name);
                if let (Ok(one), Ok(many)) = (normal::lines(&output), normal::lines(&theirs)) {
                    report.push_str(&difference(&one, &many));
                }
            }
        }
        if std::env::var_os("BOTLIKE_BLESS").is_some_and(|v| v == "1") {
            if held {
                let text: String = plain.iter().map(|l| format!("{l}\n")).collect();
                fs::write(&golden, text).map_err(|e| format!("{}: {e}", golden.display()))?;
            } else {
                report.push_str("    the golden was not written, for that reason\n");
            }
        }
        let expected = match fs::read(&golden) {
            Ok(bytes) => {
                normal::lines(&bytes).map_err(|e| format!("{}: {e}\n", golden.display()))?
            }
            Err(error) => return Err(format!("{report}{}: {error}\n", golden.display())),
        };
        for variant in self.variants() {
            let mut expected = expected.clone();
            let mut lines = match self.lines(variant, 1) {
                Ok((lines, _)) => lines,
                Err(error) => {
                    let _ = writeln!(report, "{}: {}: {error}", self.name, variant.name());
                    continue;
                }
            };
            normal::for_variant(&mut expected, variant);
            normal::for_variant(&mut lines, variant);
            normal::align_times(&expected, &mut lines, variant);
            if expected != lines {
                let seed = self.seed();
                let _ = writeln!(report, "{}: {} (seed {seed}):", self.name, variant.name());
                report.push_str(&difference(&expected, &lines));
                self.keep(variant, &mut report);
            }
        }
        if report.is_empty() { Ok(()) } else { Err(report) }
    }

    /// Writes the capture of a variant that failed, for whoever looks into it.
    fn keep(&self, variant: Variant, report: &mut String) {
        let dir = home().join("out");
        let file = dir.join(format!("{}.{}.pcap", self.name, variant.name()));
        let frames = variant.frames(&self.played.packets, self.seed());
        if fs::create_dir_all(&dir).and_then(|()| pcap::save(&file, &frames)).is_ok() {
            let _ = writeln!(
                report,
                "    its capture: tests/out/{}.{}.pcap",
                self.name,
                variant.name()
            );
        }
    }
}

/// What differs, line by line; in lines that are of one kind, field by field.
fn difference(expected: &[Value], got: &[Value]) -> String {
    let mut out = String::new();
    let (mut e, mut g) = (expected.iter().peekable(), got.iter().peekable());
    let mut number = 0;
    loop {
        number += 1;
        match (e.peek(), g.peek()) {
            (None, None) => return out,
            (Some(a), Some(b)) if kind(a) == kind(b) => {
                let mut fields = Vec::new();
                differing("", a, b, &mut fields);
                for field in fields {
                    let _ = writeln!(out, "    line {number} ({}): {field}", kind(a));
                }
                e.next();
                g.next();
            }
            (Some(a), b) => {
                // The other side has this kind later: then what stands here is more than expected.
                let later = b.is_some() && g.clone().any(|l| kind(l) == kind(a));
                if later {
                    let _ = writeln!(
                        out,
                        "    line {number}: + {}",
                        g.next().map_or(String::new(), Value::to_string)
                    );
                } else {
                    let _ = writeln!(out, "    line {number}: - {a}");
                    e.next();
                }
            }
            (None, Some(b)) => {
                let _ = writeln!(out, "    line {number}: + {b}");
                g.next();
            }
        }
    }
}

/// Dataset, and for a finding its rule and status.
fn kind(line: &Value) -> String {
    let text = |path| assertion::at(line, path).and_then(Value::as_str).unwrap_or_default();
    [text("event.dataset"), text("rule.id"), text("botlike.finding.status")]
        .join(" ")
        .trim_end()
        .to_owned()
}

fn differing(path: &str, expected: &Value, got: &Value, out: &mut Vec<String>) {
    match (expected, got) {
        (Value::Object(a), Value::Object(b)) => {
            let join =
                |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, value) in a {
                match b.get(key) {
                    Some(other) => differing(&join(key), value, other, out),
                    None => out.push(format!("{} is {value}, got nothing", join(key))),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                out.push(format!("{} is nothing, got {value}", join(key)));
            }
        }
        (a, b) if a != b => out.push(format!("{path} is {a}, got {b}")),
        _ => {}
    }
}

/// Whether a directory holds a case.
pub fn exists(name: &str) -> bool {
    Path::new(&home()).join("cases").join(name).join("in.smtp").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Value> {
        normal::lines(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_difference_names_line_and_field() {
        let session =
            r#"{"event":{"dataset":"botlike.session"},"smtp":{"close":"quit","helo":"a"}}"#;
        let other =
            r#"{"event":{"dataset":"botlike.session"},"smtp":{"close":"timeout","quit":true}}"#;
        let message = r#"{"event":{"dataset":"botlike.message"}}"#;
        let report =
            difference(&lines(&format!("{session}\n")), &lines(&format!("{message}\n{other}\n")));
        assert_eq!(
            report,
            "    line 1: + {\"event\":{\"dataset\":\"botlike.message\"}}\n    \
             line 2 (botlike.session): smtp.close is \"quit\", got \"timeout\"\n    \
             line 2 (botlike.session): smtp.helo is \"a\", got nothing\n    \
             line 2 (botlike.session): smtp.quit is nothing, got true\n"
        );
        assert_eq!(difference(&lines(""), &lines("")), "");
        assert!(
            difference(&lines(&format!("{message}\n")), &lines("")).starts_with("    line 1: - ")
        );
    }
}
