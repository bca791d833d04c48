//! The configuration that packages bring is right, and so is everything that it offers.

use crate::kit::{Dir, botlike};

const CONFIG: &str = include_str!("../../../deploy/botlike.toml");

/// With the settings that are offered in it (`#name = …`, `#[section]`) switched on.
fn switched_on() -> String {
    let offered = |line: &str| {
        let rest = line.strip_prefix('#')?;
        rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()).then(|| rest.to_owned())
    };
    CONFIG.lines().map(|line| offered(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[test]
fn it_is_right_as_it_is_and_with_all_that_it_offers() {
    let dir = Dir::new();
    let all = switched_on();
    assert!(
        all.matches(" = ").count() > CONFIG.lines().filter(|l| !l.starts_with('#')).count() / 3
    );
    assert!(all.contains("\n[[ack]]\n") && all.contains("\nmethod = \"auto\"\n"), "{all}");
    for (name, text) in [("as-it-is", CONFIG), ("all", &all)] {
        let run = botlike(["check", "--config", &dir.file(name, text)]).quietly(0);
        assert_eq!(run.text(), "ok\n", "{name}");
    }
    let wrong = all.replace("method = \"auto\"", "method = \"magic\"");
    let run = botlike(["check", "--config", &dir.file("wrong", wrong)]);
    assert!(run.complaint().contains("found \"magic\""), "{}", run.complaint());
}

#[test]
fn what_it_says_of_defaults_is_true() {
    let manual = botlike(["man", "--chapter", "configuration"]).quietly(0);
    for (key, value) in [
        ("ports", "[25]"),
        ("method", "\"auto\""),
        ("observe", "\"auto\""),
        ("stats", "\"1m\""),
        ("addresses", "\"clear\""),
        ("local_parts", "\"clear\""),
        ("subjects", "\"clear\""),
    ] {
        assert!(CONFIG.contains(&format!("\n#{key} = {value}\n")), "{key}");
        let row = manual.text().lines().find(|line| line.starts_with(&format!("| `{key}` |")));
        assert!(row.is_some_and(|row| row.contains(&format!("| `{value}` |"))), "{key}: {row:?}");
    }
}

/// Those who rotate and ship the lines mean the file that the configuration writes, and the index that the template is for.
#[test]
fn the_files_beside_it_agree() {
    let vector = include_str!("../../../deploy/vector/botlike.yaml");
    let fluent_bit = include_str!("../../../deploy/fluent-bit/botlike.yaml");
    let rotation = include_str!("../../../deploy/systemd/botlike.logrotate");
    let unit = include_str!("../../../deploy/systemd/botlike.service");
    let file = "/var/log/botlike/botlike.jsonl";
    assert!(CONFIG.contains(&format!("\nfile = \"{file}\"\nformat = \"json\"\n")));
    assert!(vector.contains(&format!("include: [{file}]")));
    assert!(fluent_bit.contains(&format!("path: {file}\n")));
    assert!(
        rotation.contains("/var/log/botlike/*.jsonl {")
            && unit.contains("\nLogsDirectory=botlike\n")
    );
    // Renamed, then told by a signal: a copy that is cut loses lines.
    let orders = rotation.lines().filter(|line| !line.starts_with('#'));
    assert!(!orders.clone().any(|line| line.contains("copytruncate")));
    assert!(orders.clone().any(|line| line.contains("--signal=HUP")));
    // What they read is what the lines have.
    for text in [vector, fluent_bit] {
        assert!(text.contains("\"@timestamp\"") && !text.contains('\t'));
    }
    let template = botlike(["schema", "--format", "index-template"]).quietly(0);
    assert!(
        template.text().contains("\"logs-botlike*-*\"")
            && template.text().contains("\"@timestamp\"")
    );
    assert!(fluent_bit.contains("index: logs-botlike-default\n"));
    assert!(vector.contains("type: logs, dataset: botlike, namespace: default"));
}
