//! The public captures: read without a panic, to valid lines, to the same bytes however many workers read them.

use std::path::PathBuf;

use botlike_tests::case::home;
use botlike_tests::normal;
use botlike_tests::player;
use botlike_tests::skip::{Kind, ran, skip};

/// The captures, in order; none where the machine has none. Says so, once for the test that asks.
fn captures(test: &str) -> Vec<PathBuf> {
    let dir = home().join("../../shared/captures");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng" || e == "cap"))
        .collect();
    found.sort();
    match found.is_empty() {
        true => skip(Kind::Captures, test, "../shared/captures holds none"),
        false => ran(Kind::Captures, test),
    }
    found
}

#[test]
fn every_capture_is_read_to_valid_lines_and_the_same_bytes() {
    let mut wrong = Vec::new();
    for path in captures("every_capture_is_read_to_valid_lines_and_the_same_bytes") {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = [path];
        let read = |workers| std::panic::catch_unwind(|| player::read(&file, workers));
        let once = match read(1) {
            Ok(Ok(once)) => once,
            Ok(Err(error)) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
            Err(_) => {
                wrong.push(format!("{name}: a panic"));
                continue;
            }
        };
        match normal::lines(&once.0) {
            Ok(lines) => {
                let odd = lines.iter().find(|l| {
                    let dataset =
                        l.pointer("/event/dataset").and_then(|d| d.as_str()).unwrap_or_default();
                    !["session", "message", "finding", "stats", "sensor"]
                        .iter()
                        .any(|kind| dataset.strip_prefix("botlike.") == Some(kind))
                });
                if let Some(line) = odd {
                    wrong.push(format!("{name}: not one of our lines: {line}"));
                }
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
        for workers in [1, 2, 4] {
            match read(workers) {
                Ok(again) if again.as_ref() == Ok(&once) => {}
                Ok(_) => wrong
                    .push(format!("{name}: {workers} workers: other bytes than the first time")),
                Err(_) => wrong.push(format!("{name}: {workers} workers: a panic")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn several_captures_are_read_as_one_input() {
    let files: Vec<_> =
        captures("several_captures_are_read_as_one_input").into_iter().take(12).collect();
    if files.is_empty() {
        return;
    }
    let once = player::read(&files, 1).unwrap_or_else(|e| panic!("{e}"));
    normal::lines(&once.0).unwrap_or_else(|e| panic!("{e}"));
    for workers in [1, 2, 4] {
        assert!(player::read(&files, workers).as_ref() == Ok(&once), "{workers} workers");
    }
}
