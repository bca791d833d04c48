//! `botlike read` on captures that are whole.

use std::io::Write;
use std::process::Stdio;

use crate::kit::{Dir, botlike, command, demo, frames, hello, pcap, pcap_of, piped, tail, wait};
use crate::made::{Made, PCAP_VARIANTS, gzip, zstd};

#[test]
fn every_format_gives_the_same_lines() {
    let dir = Dir::new();
    let wanted = botlike(["read", &dir.file("plain", pcap(demo()))]).quietly(0).out;
    assert!(wanted.len() > 50_000);
    for (magic, big) in PCAP_VARIANTS {
        let file = dir.file("variant", pcap_of(demo(), magic, big));
        let run = botlike(["read", &file]).quietly(0);
        // The script's stamps are whole microseconds but for the segments of a flight.
        assert!(run.out == wanted || magic == 0xa1b2_3c4d, "{magic:x} {big}");
        assert_eq!(run.lines().len(), wanted.iter().filter(|b| **b == b'\n').count());
    }
    let mut ng = Made::default();
    ng.section(true);
    ng.interface(1, 0, &[(9, &[6])]);
    for f in demo() {
        ng.enhanced(0, f.at / 1000, &f.data, f.orig_len, &[]);
    }
    for (name, bytes) in [
        ("ng", ng.bytes.clone()),
        ("gz", gzip(&pcap(demo()))),
        ("zst", zstd(&ng.bytes)),
        ("twice", gzip(&zstd(&ng.bytes))),
    ] {
        assert!(botlike(["read", &dir.file(name, &bytes)]).quietly(0).out == wanted, "{name}");
        assert!(piped(["read", "-"], bytes).quietly(0).out == wanted, "{name} piped");
    }
}

#[test]
fn nanoseconds_are_kept() {
    let mut shifted = hello(1, "mail.example.org");
    shifted.iter_mut().for_each(|f| f.at += 999);
    let stamp = |bytes| piped(["read", "-"], bytes).quietly(0).of("session")[0].clone();
    let nano = stamp(pcap_of(&shifted, 0xa1b2_3c4d, false));
    assert_eq!(nano["event"]["duration"], stamp(pcap(&shifted))["event"]["duration"]);
    assert_ne!(nano["event"]["id"], stamp(pcap(&shifted))["event"]["id"]);
}

#[test]
fn interfaces_have_names_and_losses_make_sessions_partial() {
    let mut ng = Made::default();
    ng.section(false);
    ng.interface(1, 0, &[(2, b"tap-101"), (9, &[6])]);
    for (i, f) in hello(1, "mail.example.org").iter().enumerate() {
        ng.enhanced(0, f.at / 1000, &f.data, f.orig_len, &[]);
        if i == 3 {
            ng.statistics(0, &[(5, &7_u64.to_le_bytes())]);
        }
    }
    for workers in ["1", "2"] {
        let run = piped(["read", "--workers", workers, "-"], ng.bytes.clone()).quietly(0);
        let session = &run.of("session")[0];
        assert_eq!(session["observer"]["ingress"]["interface"]["name"], "tap-101", "{session}");
        assert_eq!(session["smtp"]["capture"], "partial", "{session}");
    }
}

#[test]
fn the_same_bytes_for_any_number_of_workers() {
    let dir = Dir::new();
    let file = dir.file("demo", pcap(demo()));
    let once = botlike(["read", &file]).quietly(0);
    for workers in ["1", "2", "4", "7"] {
        let again = botlike(["read", "--workers", workers, &file]).quietly(0);
        assert!(again.out == once.out, "{workers} workers");
    }
}

#[test]
fn several_captures_are_merged_by_time() {
    let dir = Dir::new();
    let one = dir.file("whole", pcap(demo()));
    let wanted = botlike(["read", &one]).quietly(0).out;
    let mut parts: [Vec<_>; 3] = Default::default();
    for (i, f) in demo().iter().enumerate() {
        parts[i % 3].push(f.clone());
    }
    let files: Vec<_> = (0..3).map(|i| dir.file(&format!("part{i}"), pcap(&parts[i]))).collect();
    // Frames of equal stamps keep the order of the files; the demo has such only within a connection's turn.
    let merged = botlike(["read", &files[2], &files[0], &files[1]]).quietly(0);
    let last = |out: &[u8]| String::from_utf8_lossy(out).lines().last().unwrap().to_owned();
    assert_eq!(last(&merged.out), last(&wanted));
    let merged = piped(["read", &files[0], "-", &files[2]], pcap(&parts[1])).quietly(0);
    assert_eq!(last(&merged.out), last(&wanted));
}

#[test]
fn lines_appear_while_it_reads() {
    for workers in ["1", "2"] {
        let mut child =
            command(["read", "--workers", workers, "-"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let lines = tail(&mut child);
        // The pipe stays open until the first session was told.
        stdin.write_all(&pcap(&hello(1, "mail.example.org"))).unwrap();
        assert!(lines.next().contains("botlike.sensor"));
        assert!(lines.next().contains("botlike.session"));
        stdin.write_all(&pcap(&hello(2, "mail.example.org"))[24..]).unwrap();
        assert!(lines.next().contains("botlike.session"));
        drop(stdin);
        assert!(lines.next().contains("botlike.stats"));
        wait(child).quietly(0);
    }
}

#[test]
fn ports_and_filter_choose() {
    let dir = Dir::new();
    let body = "S: 220 a\nC: EHLO mail.example.org\nS: 250 a\nC: QUIT\nS: 221 a\n~close S\n";
    let two = frames(&format!(
        "=== 192.0.2.1:4000 > 198.51.100.1:25\n{body}=== 192.0.2.2:4000 > 198.51.100.1:2525\n{body}"
    ));
    let file = dir.file("two", pcap(&two));
    let clients = |arguments: &[&str]| -> Vec<String> {
        let run = botlike(["read", &file].iter().chain(arguments)).quietly(0);
        let ip = |line: &serde_json::Value| line["source"]["ip"].as_str().unwrap().to_owned();
        run.of("session").iter().map(ip).collect()
    };
    assert_eq!(clients(&[]), ["192.0.2.1"]);
    assert_eq!(clients(&["--ports", "2525"]), ["192.0.2.2"]);
    assert_eq!(clients(&["--ports", "25,2525"]), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(clients(&["--ports", "25,2525", "--filter", "host 192.0.2.2"]), ["192.0.2.2"]);
}

#[test]
fn lines_go_where_they_are_sent_as_they_are_wanted() {
    let dir = Dir::new();
    let file = dir.file("demo", pcap(demo()));
    let json = botlike(["read", &file]).quietly(0);
    assert!(json.lines().len() > 50);
    assert!(botlike(["read", &file, "--format", "json"]).quietly(0).out == json.out);
    let pretty = botlike(["read", &file, "--format", "pretty"]).quietly(0);
    // Readable, one line each, and without colour where no terminal is.
    assert_eq!(pretty.text().lines().count(), json.lines().len());
    assert!(pretty.text().lines().all(|l| l.starts_with("2026-11-23 08:")));
    assert!(!pretty.out.contains(&0x1b));
    assert!(pretty.text().contains("  open at the end, seen 40 times\n"));
    let out = dir.path("out");
    assert!(botlike(["read", &file, "--output", &out]).quietly(0).out.is_empty());
    assert!(std::fs::read(&out).unwrap() == json.out);
    assert!(botlike(["read", &file, "-o", &out, "--format", "pretty"]).quietly(0).out.is_empty());
    assert!(std::fs::read(&out).unwrap() == pretty.out);
    let config = dir.file(
        "botlike.toml",
        format!("[output.findings]\nfile = {out:?}\nlines = [\"finding\"]\n"),
    );
    assert!(botlike(["read", &file, "-c", &config]).quietly(0).out.is_empty());
    let findings = std::fs::read_to_string(&out).unwrap();
    assert_eq!(findings.lines().count(), json.of("finding").len());
    assert!(botlike(["read", &file, "-c", &config, "-o", "-"]).quietly(0).out.len() > 50_000);
}

#[test]
fn fail_on_asks_for_a_severity() {
    let dir = Dir::new();
    let bad = dir.file("bad", pcap(demo()));
    let good = dir.file("good", pcap(&hello(1, "mail.example.org")));
    for (file, severity, code) in
        [(&bad, "info", 3), (&bad, "high", 3), (&bad, "critical", 0), (&good, "info", 0)]
    {
        let run = botlike(["read", file, "--fail-on", severity]).quietly(code);
        assert!(!run.of("session").is_empty());
    }
    // A run that failed says so first: what it did not read it cannot judge.
    let run = botlike(["read", &bad, "no-such-file", "--fail-on", "high"]);
    assert!(run.complaint().contains("no-such-file"));
}

#[test]
fn verbose_tells_the_counters_on_standard_error_only() {
    let dir = Dir::new();
    let file = dir.file("demo", pcap(demo()));
    let (plain, verbose) = (botlike(["read", &file]), botlike(["read", "-v", &file]));
    assert!(plain.out == verbose.out && plain.err.is_empty());
    let frames = format!("{} frames: ", demo().len());
    assert!(
        verbose.err.lines().any(|line| line.trim_start().starts_with(&frames)),
        "{}",
        verbose.err
    );
}
