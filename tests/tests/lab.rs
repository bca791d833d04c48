//! The laboratory of bots: everybody is found for what they do and nobody else, and a recording of what the sensor saw
//! gives the lines that it gave.

#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use botlike::config::{Config, Format};
use botlike::run::{Destination, ReadOptions, read};
use botlike_tests::normal;
use botlike_tests::skip::{Kind, ran, skip};
use serde_json::Value;

#[test]
fn live_and_replayed_lines_are_equal_and_right() {
    const TEST: &str = "live_and_replayed_lines_are_equal_and_right";
    let program = Path::new(env!("CARGO_BIN_EXE_lab"));
    let folder = folder("lab");
    let recording = folder.join("recording.pcapng");
    let output = Command::new(program)
        .arg("run")
        .arg(&folder)
        .arg(program)
        .arg("record")
        .arg(&recording)
        .stdin(Stdio::null())
        .output()
        .expect("the laboratory's program");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(3) {
        return skip(Kind::Kernel, TEST, complained.trim());
    }
    ran(Kind::Kernel, TEST);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}\n{said}\n{complained}", output.status);

    let live = std::fs::read(folder.join("lines.jsonl")).expect("live lines");
    let (live, again) = (lines(&live), lines(&replay(&folder, recording)));
    for visible in ["plain", "until_starttls"] {
        let count = live.iter().filter(|line| text(line, "/smtp/visible") == visible).count();
        assert!(count > 100, "only {count} sessions were {visible}");
    }
    for (n, (live, again)) in live.iter().zip(&again).enumerate() {
        assert_eq!(live, again, "line {n}");
    }
    assert_eq!(live.len(), again.len(), "{:?}", live.get(again.len()).or(again.get(live.len())));
    // Said last: whoever looks for a wrong line wants to know first whether it can be had again.
    assert!(output.status.success(), "{said}\n{complained}");
}

#[test]
fn a_killed_laboratory_leaves_nothing() {
    const TEST: &str = "a_killed_laboratory_leaves_nothing";
    let program = Path::new(env!("CARGO_BIN_EXE_lab"));
    let folder = folder("lab-killed");
    let mut child = Command::new(program)
        .arg("run")
        .arg(&folder)
        .arg(program)
        .arg("record")
        .arg(folder.join("recording.pcapng"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the laboratory's program");
    let mark = folder.display().to_string();
    // Its inside, and the sensor: both know the folder, and so does the outside.
    while processes(&mark) < 3 {
        if let Some(status) = child.try_wait().expect("a child") {
            assert_eq!(status.code(), Some(3), "it ended before it could be killed");
            return skip(Kind::Kernel, TEST, "no namespaces");
        }
        sleep(Duration::from_millis(10));
    }
    ran(Kind::Kernel, TEST);
    child.kill().expect("it runs");
    child.wait().expect("a child");
    let start = Instant::now();
    while processes(&mark) > 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "its processes live on");
        sleep(Duration::from_millis(10));
    }
}

/// Processes that were told of this folder.
fn processes(folder: &str) -> usize {
    let all = std::fs::read_dir("/proc").expect("processes");
    let told = |entry: std::fs::DirEntry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|words| String::from_utf8_lossy(&words).contains(folder))
    };
    all.flatten()
        .filter(|entry| entry.path().join("cmdline").is_file())
        .map(told)
        .filter(|told| *told)
        .count()
}

/// A folder beside the laboratory's program.
fn folder(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_lab"));
    let folder = program.ancestors().nth(2).expect("target/PROFILE/lab").join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What `botlike read` writes.
fn replay(folder: &Path, recording: PathBuf) -> Vec<u8> {
    let output = folder.join("again.jsonl");
    let config = Config::load(&folder.join("lab.toml"), botlike::rules::ALL);
    let options = ReadOptions {
        captures: vec![recording],
        config: config.expect("the laboratory's configuration"),
        lines: Destination {
            output: Some(output.clone()),
            format: Some(Format::Json),
            ..Destination::default()
        },
        filter: None,
        progress: false,
        verbose: 0,
    };
    let outcome = read(&options).expect("a run");
    assert!(!outcome.failed, "the recording is whole");
    std::fs::read(output).expect("lines")
}

/// Without sequence numbers, and without what speaks of the sensor itself.
fn lines(bytes: &[u8]) -> Vec<Value> {
    let mut lines = normal::lines(bytes).expect("JSON lines");
    normal::for_golden(&mut lines, &[]);
    lines
}

fn text<'a>(line: &'a Value, at: &str) -> &'a str {
    line.pointer(at).and_then(Value::as_str).unwrap_or_default()
}
