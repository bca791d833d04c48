//! Every case, in every variant, against its golden.
//!
//! `BOTLIKE_BLESS=1 cargo test -p botlike-tests --test cases` writes the goldens anew, where the assertions hold;
//! `BOTLIKE_CASE=part` plays only cases whose name contains the part.

use botlike_tests::assertion;
use botlike_tests::case::{Case, exists, names};
use botlike_tests::pcap;
use botlike_tests::player::{BOUND, detections, read};
use botlike_tests::variant::Variant;

#[test]
fn every_case_in_every_variant() {
    let names = names();
    assert!(!names.is_empty(), "no case was found");
    let mut failed = Vec::new();
    for name in &names {
        let outcome =
            Case::load(name).map_err(|e| format!("{name}: {e}\n")).and_then(|case| match BOUND {
                true => case.run(),
                false => Ok(()),
            });
        if let Err(report) = outcome {
            failed.push(report);
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {} cases failed:\n{}",
        failed.len(),
        names.len(),
        failed.join("")
    );
}

/// Each detection has a case that fires it and an honest sender that does not, and both say so in their assertions.
#[test]
fn every_detection_has_a_case_and_a_near_miss() {
    let mut missing = Vec::new();
    let ids = detections();
    assert!(!ids.is_empty());
    for id in &ids {
        for (name, fires) in [((*id).to_owned(), true), (format!("{id}.near_miss"), false)] {
            if !exists(&name) {
                missing.push(format!("{name}: no such case"));
                continue;
            }
            let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
            let said = case.script.assertions.iter().any(|(_, text)| {
                let text = text.as_str();
                match fires {
                    true => {
                        !text.starts_with("no ") && text.contains(&format!("finding rule.id={id} "))
                    }
                    false => text == "no finding" || text == format!("no finding rule.id={id}"),
                }
            });
            if !said {
                missing.push(format!("{name}: no assertion says whether {id} is found"));
            }
        }
    }
    // A case named after a detection that is not in the list tests nothing.
    for name in names() {
        let named: Vec<&str> = name.split('.').take(2).collect();
        if named.len() == 2 && !ids.contains(&named.join(".").as_str()) {
            missing.push(format!("{name}: no detection is called {}", named.join(".")));
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

/// Every assertion can be read, whether a sensor is bound or not.
#[test]
fn every_assertion_is_understood() {
    for name in names() {
        let case = Case::load(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!case.script.assertions.is_empty(), "{name}: asserts nothing");
        for (line, text) in &case.script.assertions {
            if let Err(error) = assertion::parse(text) {
                panic!("{name}: line {line}: {error}");
            }
        }
    }
}

/// A capture that was begun anew in the middle of a session, in another file: the same lines as in one.
#[test]
fn a_capture_in_several_files_reads_as_one() {
    let dir = std::env::temp_dir().join(format!("botlike-rotated-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let case = Case::load("accepted_message").unwrap_or_else(|e| panic!("{e}"));
    let frames = Variant::Plain.frames(&case.played.packets, 0);
    let save = |name: &str, frames: &[_]| {
        let path = dir.join(name);
        pcap::save(&path, frames).expect("a file");
        path
    };
    let (whole, failed) = read(&[save("whole.pcap", &frames)], 1).expect("lines");
    assert!(!failed && !whole.is_empty());
    for cut in 1..frames.len() {
        let (one, two) = frames.split_at(cut);
        let parts = [save("one.pcap", one), save("two.pcap", two)];
        let (lines, failed) = read(&parts, 1).expect("lines");
        let sessions = |lines: &[u8]| {
            let text = String::from_utf8_lossy(lines).into_owned();
            let lines = text.lines().filter(|line| !line.contains("botlike.stats"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((sessions(&lines), failed), (sessions(&whole), false), "cut before {cut}");
    }
    std::fs::remove_dir_all(&dir).expect("it was made above");
}
