//! The commands beside `read`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use botlike_tests::variant::Variant;
use botlike_tests::{script, wire};
use jsonschema::{Draft, Validator};
use serde_json::Value;

use crate::kit::{Dir, botlike, command, demo, pcap, piped};

fn rules() -> Vec<Value> {
    let run = botlike(["rules", "--format", "json"]).quietly(0);
    serde_json::from_str(run.text()).unwrap()
}

#[test]
fn rules_lists_what_explain_explains() {
    let table = botlike(["rules"]).quietly(0);
    let ids: Vec<String> = rules().iter().map(|rule| rule["id"].as_str().unwrap().into()).collect();
    assert!(ids.len() >= 14 && ids.iter().any(|id| id == "helo.bare_ip"));
    assert!(table.text().lines().map(|line| line.split(' ').next().unwrap()).eq(&ids));
    for id in &ids {
        let run = botlike(["explain", id]).quietly(0);
        for head in [id, "\nLevels\n", "\nWhat to do\n", "\nWindow ", "\nSource\n", "\nSettings: "]
        {
            assert!(run.text().contains(head), "{head:?} in {}", run.text());
        }
        assert!(run.text().lines().all(|line| line.chars().count() <= 100), "{}", run.text());
        // What it offers as a setting is taken.
        let dir = Dir::new();
        let (_, settings) = run.text().split_once("\nSettings: ").unwrap();
        let mut config = format!("[detect.\"{id}\"]\n");
        for line in settings.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   ")) {
            if !line.contains("(that of each level)") {
                config.push_str(line.trim());
                config.push('\n');
            }
        }
        let check = botlike(["check", "-c", &dir.file("c.toml", &config)]);
        assert_eq!((check.code, check.err.as_str()), (Some(0), ""), "{config}");
    }
}

#[test]
fn an_unknown_detection_has_a_nearest() {
    let run = botlike(["explain", "helo.bareip"]);
    assert!(run.complaint().ends_with("did you mean \"helo.bare_ip\"?"), "{run:?}");
    assert!(botlike(["explain", "zzz"]).complaint().contains("`botlike rules` lists them"));
}

#[test]
fn the_schema_holds_for_every_line_of_the_program() {
    let schema: Value = serde_json::from_str(botlike(["schema"]).quietly(0).text()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::meta::is_valid(&schema));
    let validator = jsonschema::options().with_draft(Draft::Draft202012).build(&schema).unwrap();
    let mut datasets = BTreeSet::new();
    let mut check = |run: &crate::kit::Run| {
        for line in run.lines() {
            valid(&validator, &line);
            datasets.insert(line["event"]["dataset"].as_str().unwrap().to_owned());
        }
    };
    check(&piped(["read", "-"], pcap(demo())).quietly(0));
    let dir = Dir::new();
    let privacy = dir.file("c.toml", "[privacy]\naddresses = \"hash\"\nsubjects = \"drop\"\n");
    check(&piped(["read", "-c", &privacy, "-"], pcap(demo())).quietly(0));
    // Everything that the project has a case for.
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut scripts = 0;
    for case in fs::read_dir(cases).unwrap() {
        let Ok(text) = fs::read_to_string(case.unwrap().path().join("in.smtp")) else { continue };
        let script = script::parse(&text).unwrap();
        let frames = Variant::Plain.frames(&wire::play(&script).unwrap().packets, 0);
        let config = dir.file("case.toml", &script.config);
        check(&piped(["read", "-c", &config, "-"], pcap(&frames)).quietly(0));
        scripts += 1;
    }
    assert!(scripts > 50, "{scripts}");
    assert_eq!(datasets.len(), 5, "{datasets:?}");
    // A schema that takes everything would be none.
    let broken = serde_json::json!({"event": {"dataset": "botlike.session"}, "smtp": {"helo": 5}});
    assert!(!validator.is_valid(&broken));
}

fn valid(validator: &Validator, line: &Value) {
    let faults: Vec<_> =
        validator.iter_errors(line).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:?} in {line}");
}

#[test]
fn completions_know_the_commands() {
    for (shell, head) in
        [("bash", "_botlike()"), ("zsh", "#compdef botlike"), ("fish", "complete -c botlike")]
    {
        let run = botlike(["completions", shell]).quietly(0);
        assert!(run.text().contains(head), "{shell}");
        for word in ["read", "explain", "fail-on", "critical", "no-progress"] {
            assert!(run.text().contains(word), "{word} for {shell}");
        }
    }
    assert_eq!(botlike(["completions", "cmd.com"]).code, Some(2));
}

#[test]
fn manual_pages_are_written() {
    let page = botlike(["man"]).quietly(0);
    assert!(page.text().contains(".TH botlike 1") && page.text().contains("Exit codes"));
    let dir = Dir::new();
    assert!(botlike(["man", "--dir", &dir.path("")]).quietly(0).out.is_empty());
    for name in ["botlike.1", "botlike-read.1", "botlike-explain.1"] {
        assert!(fs::read_to_string(dir.join(name)).unwrap().contains(".SH NAME"), "{name}");
    }
    let run = botlike(["man", "--dir", "no/such/place"]);
    assert!(run.complaint().starts_with("botlike: no/such/place: "), "{run:?}");
}

#[test]
fn help_and_version_are_answers() {
    let run = botlike(["--version"]).quietly(0);
    assert_eq!(run.text(), concat!("botlike ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = botlike(["--help"]).quietly(0);
    for word in ["read", "check", "rules", "explain", "schema", "completions", "man", "Exit codes:"]
    {
        assert!(help.text().contains(word), "{word}");
    }
    for command in ["read", "check", "rules", "explain", "schema", "completions", "man"] {
        let help = botlike([command, "--help"]).quietly(0);
        assert!(help.text().contains(&format!("Usage: botlike {command}")), "{command}");
        assert!(help.text().lines().all(|line| line.chars().count() <= 100), "{command}");
    }
}

#[test]
fn colour_and_progress_are_for_terminals() {
    let dir = Dir::new();
    let file = dir.file("demo", pcap(demo()));
    let run = crate::kit::wait(
        command(["read", "--format", "pretty", &file])
            .env("TERM", "xterm-256color")
            .env("CLICOLOR_FORCE", "1")
            .spawn()
            .unwrap(),
    )
    .quietly(0);
    assert!(!run.out.contains(&0x1b));
}
