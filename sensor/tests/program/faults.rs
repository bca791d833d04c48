//! Bad input: what is reported, what is still read, and how it ends.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use crate::kit::{Dir, botlike, command, demo, hello, pcap, piped, tail, wait};
use crate::made::{Made, gzip, zstd};

/// The lines that the first `frames` frames of the demo give.
fn lines_of(frames: usize) -> Vec<u8> {
    piped(["read", "-"], pcap(&demo()[..frames])).quietly(0).out
}

#[test]
fn a_truncated_capture_is_read_to_where_it_ends() {
    let dir = Dir::new();
    let whole = pcap(demo());
    let mut record = 24;
    for (number, frame) in demo().iter().enumerate() {
        // In every hundredth record: within its header, and one byte short.
        if number % 100 == 7 {
            for keep in [record + 5, record + 16 + frame.data.len() - 1] {
                let file = dir.file("cut", &whole[..keep]);
                let run = botlike(["read", &file]);
                let complaint = run.complaint();
                assert!(
                    complaint.starts_with(&format!(
                        "botlike: {file}: byte {record}: the capture ends inside"
                    )),
                    "{complaint}"
                );
                assert!(run.out == lines_of(number), "{number}");
                for workers in ["2", "4"] {
                    let other = botlike(["read", "--workers", workers, &file]);
                    assert!(other.out == run.out && other.err == run.err && other.code == Some(1));
                }
            }
        }
        record += 16 + frame.data.len();
    }
}

#[test]
fn a_corrupt_capture_is_read_to_the_fault() {
    let dir = Dir::new();
    let (before, after) = demo().split_at(600);
    let mut broken = pcap(before);
    let fault = broken.len();
    broken.extend([0xff; 16]);
    broken.extend(&pcap(after)[24..]);
    let file = dir.file("corrupt", &broken);
    let run = botlike(["read", &file]);
    assert!(run.complaint().starts_with(&format!("botlike: {file}: byte {fault}: corrupt: ")));
    assert!(run.out == lines_of(600));

    let mut ng = Made::default();
    ng.section(false);
    ng.interface(1, 0, &[(9, &[6])]);
    before.iter().for_each(|f| ng.enhanced(0, f.at / 1000, &f.data, f.orig_len, &[]));
    let fault = ng.bytes.len();
    ng.bytes.extend([6, 0, 0, 0, 7, 0, 0, 0]);
    let run = piped(["read", "-"], ng.bytes);
    let complaint = run.complaint();
    assert!(
        complaint.starts_with(&format!("botlike: standard input: byte {fault}: ")),
        "{complaint}"
    );
    assert!(run.out == lines_of(600));
}

#[test]
fn damaged_compression_is_told_as_such() {
    let whole = pcap(demo());
    for (name, packed) in [("gzip", gzip(&whole)), ("zstd", zstd(&whole))] {
        let run = piped(["read", "-"], packed[..packed.len() * 2 / 3].to_vec());
        let complaint = run.complaint();
        assert!(complaint.starts_with("botlike: standard input: byte "), "{complaint}");
        assert!(
            complaint.contains(name) && complaint.contains("damaged or end early"),
            "{complaint}"
        );
        assert!(run.of("session").len() > 5 && run.of("stats").len() == 1, "{name}");
    }
}

#[test]
fn what_is_no_capture_is_one_line() {
    let dir = Dir::new();
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("text", b"Received: from nobody\n"),
        ("bytes", &[0, 1, 2, 3, 4, 5, 6, 7, 0xa1, 0xb2, 0xc3, 0xd4]),
        ("magic alone", &[0xd4, 0xc3, 0xb2, 0xa1]),
        ("packed text", &gzip(b"hello")),
    ] {
        let file = dir.file(name, bytes);
        let run = botlike(["read", &file]);
        assert!(run.complaint().starts_with(&format!("botlike: {file}: ")), "{run:?}");
        assert!(run.out.is_empty(), "{run:?}");
    }
    for path in ["no/such/file", env!("CARGO_TARGET_TMPDIR")] {
        let run = botlike(["read", path]);
        assert!(run.complaint().starts_with(&format!("botlike: {path}: cannot be opened: ")));
        assert!(run.out.is_empty());
    }
    let run = botlike(["read", "--filter", "hots 1", &dir.file("good", pcap(demo()))]);
    assert!(run.complaint().starts_with("botlike: filter expression: ") && run.out.is_empty());
}

#[test]
fn the_readable_among_several_are_read() {
    let dir = Dir::new();
    let (one, two) = (
        dir.file("one", pcap(&hello(1, "a.example.org"))),
        dir.file("two", pcap(&hello(2, "b.example.org"))),
    );
    let text = dir.file("text", "no capture");
    let missing = dir.path("missing");
    let run = botlike(["read", &one, &text, &missing, &two]);
    assert_eq!((run.code, run.of("session").len()), (Some(1), 2));
    let complaints: Vec<_> = run.err.lines().collect();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains(&text) && complaints[1].contains(&missing), "{complaints:?}");
}

#[test]
fn a_capture_without_packets_is_no_fault() {
    let run = piped(["read", "-"], pcap(&[])).quietly(0);
    assert!(run.out.is_empty());
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let dir = Dir::new();
    // Far more than pipes hold, so that it must notice.
    let mut many = Vec::new();
    for round in 0..60u64 {
        many.extend(demo().iter().cloned().map(|mut f| {
            f.at += round * 3_600_000_000_000;
            f
        }));
    }
    let file = dir.file("many", pcap(&many));
    for workers in ["1", "2", "4"] {
        let mut child = command(["read", "--workers", workers, &file]).spawn().unwrap();
        let lines = tail(&mut child);
        assert!(lines.next().contains("botlike.sensor"));
        drop(lines);
        wait(child).quietly(0);
    }
    // And what prints only a page.
    let mut child = command(["schema"]).spawn().unwrap();
    drop(child.stdout.take());
    wait(child).quietly(0);
}

#[test]
fn a_reader_that_leaves_is_noticed_although_more_input_may_come() {
    for workers in ["1", "2"] {
        let mut child =
            command(["read", "--workers", workers, "-"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let lines = tail(&mut child);
        stdin.write_all(&pcap(&hello(1, "mail.example.org"))).unwrap();
        assert!(lines.next().contains("botlike.sensor"));
        drop(lines);
        // Nobody reads; with each session that follows it can find out. Standard input is never closed.
        for minute in 2..60 {
            if stdin.write_all(&pcap(&hello(minute, "mail.example.org"))[24..]).is_err() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
            if child.try_wait().unwrap().is_some() {
                break;
            }
        }
        let run = wait(child).quietly(0);
        drop(stdin);
        assert!(run.out.is_empty());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_once() {
    let dir = Dir::new();
    let file = dir.file("demo", pcap(demo()));
    let lines = lines_of(demo().len()).iter().filter(|b| **b == b'\n').count();
    let run = botlike(["read", &file, "--output", "/dev/full"]);
    let complaint = run.complaint();
    assert!(complaint.starts_with("botlike: --output: No space left on device"), "{complaint}");
    assert!(complaint.ends_with(&format!("; {lines} lines lost")), "{complaint}");
    for arguments in [&["read", &file][..], &["rules"], &["schema"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = wait(command(arguments).stdout(full).spawn().unwrap());
        assert!(run.complaint().starts_with("botlike: standard output: No space left"), "{run:?}");
    }
    // The lines of one output are lost, those of the other are not.
    let out = dir.path("out");
    let config = dir.file(
        "c.toml",
        format!("[output.full]\nfile = \"/dev/full\"\n[output.good]\nfile = {out:?}\n"),
    );
    let run = botlike(["read", &file, "-c", &config]);
    assert!(run.complaint().starts_with("botlike: full: "), "{run:?}");
    // But for the hash of the configuration in the first line, and the lines that were lost in the last.
    let (good, wanted) = (std::fs::read_to_string(&out).unwrap(), lines_of(demo().len()));
    let wanted = String::from_utf8(wanted).unwrap();
    let middle = |text: &str| {
        let lines: Vec<String> = text.lines().skip(1).map(str::to_owned).collect();
        lines[..lines.len() - 1].to_vec()
    };
    assert_eq!(middle(&good), middle(&wanted));
    assert!(!good.contains("\"lines_lost\":0") && wanted.contains("\"lines_lost\":0"));
}

#[test]
fn a_capture_is_never_overwritten() {
    let dir = Dir::new();
    let bytes = pcap(&hello(1, "mail.example.org"));
    let file = dir.file("capture", &bytes);
    let link = dir.path("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let config = dir.file("c.toml", format!("[output.one]\nfile = {link:?}\n"));
    for arguments in [
        &["read", &file, "-o", &file][..],
        &["read", &file, "-o", &link],
        &["read", &file, "-c", &config],
    ] {
        let run = botlike(arguments);
        assert!(run.complaint().contains("is one of the captures"), "{run:?}");
        assert!(std::fs::read(&file).unwrap() == bytes);
    }
}

#[test]
fn an_output_that_cannot_be_made_is_named() {
    let dir = Dir::new();
    let file = dir.file("capture", pcap(&hello(1, "mail.example.org")));
    let run = botlike(["read", &file, "-o", "no/such/place"]);
    assert!(run.complaint().starts_with("botlike: no/such/place: "), "{run:?}");
}

#[test]
fn wrong_configurations_are_told_with_their_place() {
    let dir = Dir::new();
    let config = dir.file(
        "wrong.toml",
        "[netwrok]\nwatched = []\n[limits]\nflows = \"x\"\n[detect.\"helo.bareip\"]\nenabled = true\n",
    );
    let capture = dir.file("capture", pcap(&hello(1, "mail.example.org")));
    for arguments in [&["check", "-c", &config][..], &["read", &capture, "-c", &config]] {
        let run = botlike(arguments);
        assert_eq!((run.code, run.out.len()), (Some(1), 0));
        let faults: Vec<_> = run.err.lines().collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        for (fault, (place, words)) in faults.iter().zip([
            ("1:2", "did you mean \"network\"?"),
            ("4:9", "found \"x\""),
            ("5:9", "did you mean \"helo.bare_ip\"?"),
        ]) {
            assert!(
                fault.starts_with(&format!("{config}:{place}: ")) && fault.contains(words),
                "{fault}"
            );
        }
    }
    let run = botlike(["check", "-c", &dir.file("syntax.toml", "[limits]\nflows = = 3\n")]);
    assert!(run.complaint().contains("syntax.toml:2:9: "), "{run:?}");
    let run = botlike(["check", "-c", "no/such.toml"]);
    assert!(run.complaint().starts_with("botlike: no/such.toml: "), "{run:?}");
    let run = botlike(["check", "-c", &dir.file("good.toml", "[limits]\nflows = 10\n")]).quietly(0);
    assert_eq!(run.text(), "ok\n");
}

#[test]
fn wrong_usage_is_two() {
    for arguments in [
        &[][..],
        &["rea"],
        &["read"],
        &["read", "--ports", "0", "x"],
        &["read", "--workers", "0", "x"],
        &["read", "--format", "xml", "x"],
        &["read", "--fail-on", "bad", "x"],
        &["check"],
        &["explain"],
    ] {
        let run = botlike(arguments);
        assert_eq!((run.code, run.out.len()), (Some(2), 0), "{arguments:?}");
        assert!(run.err.contains("Usage: botlike") || run.err.contains("--help"), "{}", run.err);
    }
}

#[test]
fn standard_input_is_read_once() {
    let run = piped(["read", "-", "-"], pcap(&hello(1, "mail.example.org")));
    assert!(run.complaint().contains("standard input") && run.of("session").len() == 1, "{run:?}");
}

#[test]
fn a_pipe_that_breaks_off_is_a_truncated_capture() {
    let mut bytes = pcap(demo());
    bytes.truncate(bytes.len() - 3);
    let mut sink = Vec::new();
    bytes.as_slice().read_to_end(&mut sink).unwrap();
    let run = piped(["read", "-"], sink);
    assert!(run.complaint().starts_with("botlike: standard input: byte "));
    assert!(run.out == lines_of(demo().len() - 1));
}
