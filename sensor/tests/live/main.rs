//! `botlike watch` on real interfaces, good days and bad ones.
#![cfg(target_os = "linux")]

mod kit;
mod memory;

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use kit::{Folder, LETTER, Watch, alone, command, count, lines, run, serve, talk, until};

/// The methods that work without more than the kernel.
const METHODS: [&str; 3] = ["tcx", "af_packet", "libpcap"];

#[test]
fn what_passes_is_told_by_each_method() {
    for method in METHODS {
        alone("what_passes_is_told_by_each_method", move || {
            let folder = Folder::new(method);
            let out = folder.file("lines");
            let server = serve();
            let path = out.to_str().unwrap();
            let watch = Watch::start(&folder, &["-i", "lo", "--method", method, "--output", path]);
            talk(server, LETTER);
            until("the session's line", || count(&lines(&out), "session") == 1);
            assert!(
                watch.said().contains(&format!("watching lo by {method}\n")),
                "{}",
                watch.said()
            );
            assert_eq!(watch.stop().code(), Some(0));
            let lines = lines(&out);
            let first = &lines[0]["botlike"]["sensor"];
            assert_eq!((&first["mode"], &first["rung"]), (&"watch".into(), &method.into()));
            assert_eq!(count(&lines, "message"), 1, "each packet is taken once: {lines:?}");
            let message =
                lines.iter().find(|l| l["event"]["dataset"] == "botlike.message").unwrap();
            assert_eq!(message["smtp"]["mail_from"], "sender@example.org");
            assert_eq!(message["smtp"]["outcome"], "accepted");
            assert_eq!(message["observer"]["ingress"]["interface"]["name"], "lo");
            let stats = &lines.last().unwrap()["botlike"]["stats"];
            for lost in ["lost_ring", "lost_kernel", "lost_unreadable", "lines_lost", "gaps"] {
                assert_eq!(stats[lost], 0, "{lost}: {stats}");
            }
        });
    }
}

#[test]
fn what_is_open_is_told_at_the_end() {
    alone("what_is_open_is_told_at_the_end", || {
        let folder = Folder::new("end");
        let out = folder.file("lines");
        let server = serve();
        let watch = Watch::start(&folder, &["-i", "lo", "--output", out.to_str().unwrap()]);
        let open = std::net::TcpStream::connect(server).unwrap();
        (&open).read_exact(&mut [0; 4]).unwrap();
        talk(server, &["EHLO localhost", "NOOP"]);
        assert_eq!(watch.stop().code(), Some(0));
        let lines = lines(&out);
        let ends: Vec<_> = lines.iter().map(|l| &l["smtp"]["close"]).collect();
        assert!(ends.contains(&&"end_of_capture".into()), "{lines:?}");
        assert_eq!(lines.last().unwrap()["event"]["dataset"], "botlike.stats");
        let open: Vec<_> = lines
            .iter()
            .filter(|l| l["event"]["dataset"] == "botlike.finding")
            .map(|l| &l["botlike"]["finding"]["status"])
            .collect();
        if let Some(last) = open.last() {
            assert_eq!(**last, "open_at_end");
        }
    });
}

#[test]
fn a_file_that_was_moved_away_is_opened_again_on_hup() {
    alone("a_file_that_was_moved_away_is_opened_again_on_hup", || {
        let folder = Folder::new("hup");
        let (out, old) = (folder.file("lines"), folder.file("lines.1"));
        let server = serve();
        let watch = Watch::start(&folder, &["-i", "lo", "--output", out.to_str().unwrap()]);
        talk(server, LETTER);
        until("the first session", || count(&lines(&out), "session") == 1);
        fs::rename(&out, &old).unwrap();
        watch.signal(libc::SIGHUP);
        until("a new file", || out.exists());
        talk(server, LETTER);
        until("the second session", || count(&lines(&out), "session") == 1);
        assert_eq!(watch.stop().code(), Some(0));
        assert_eq!(count(&lines(&old), "session"), 1);
        assert_eq!(count(&lines(&old), "stats"), 0);
    });
}

#[test]
fn a_file_is_appended_to() {
    alone("a_file_is_appended_to", || {
        let folder = Folder::new("append");
        let out = folder.file("lines");
        for runs in 1..=2 {
            let watch = Watch::start(&folder, &["-i", "lo", "--output", out.to_str().unwrap()]);
            assert_eq!(watch.stop().code(), Some(0));
            assert_eq!(count(&lines(&out), "sensor"), runs);
        }
    });
}

#[test]
fn a_reader_that_takes_nothing_holds_up_nobody() {
    alone("a_reader_that_takes_nothing_holds_up_nobody", || {
        let folder = Folder::new("stalled");
        let server = serve();
        let mut stalled = command(&folder, &["-i", "lo", "--format", "json"]);
        // A pipe whose other end, held by the process, is not read.
        stalled.stdout(Stdio::piped());
        let watch = Watch::of(stalled, &folder);
        for _ in 0..200 {
            talk(server, LETTER);
        }
        // It ends although what it has to say does not fit into the pipe.
        let status = watch.stop();
        assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    });
}

#[test]
fn an_unknown_interface_is_named_with_the_nearest() {
    alone("an_unknown_interface_is_named_with_the_nearest", || {
        let folder = Folder::new("unknown");
        let (code, said) = run(command(&folder, &["-i", "l0"]), &folder);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("\"l0\"") && said.contains("did you mean \"lo\"?"), "{said}");
    });
}

#[test]
fn missing_rights_are_named_with_what_grants_them() {
    alone("missing_rights_are_named_with_what_grants_them", || {
        let folder = Folder::new("rights");
        let mut nobody = command(&folder, &["-i", "lo"]);
        nobody.uid(65_534).gid(65_534);
        let (code, said) = run(nobody, &folder);
        assert_eq!(code, Some(1), "{said}");
        for (rung, right) in [("tcx", "CAP_BPF"), ("af_packet", "CAP_NET_RAW")] {
            let line = said.lines().find(|line| line.starts_with(&format!("botlike: {rung}: ")));
            let line = line.unwrap_or_else(|| panic!("{rung} in {said}"));
            assert!(line.contains("os error") && line.contains(right), "{line}");
        }
    });
}

#[test]
fn nothing_stays_in_the_kernel_when_it_is_killed() {
    alone("nothing_stays_in_the_kernel_when_it_is_killed", || {
        let folder = Folder::new("killed");
        let ids = || -> Vec<(u32, String)> {
            let programs = aya::programs::loaded_programs().flatten();
            programs.map(|p| (p.id(), p.name_as_str().unwrap_or_default().to_owned())).collect()
        };
        let before = ids();
        let watch = Watch::start(&folder, &["-i", "lo", "--method", "tcx"]);
        let fresh: Vec<_> = ids().into_iter().filter(|id| !before.contains(id)).collect();
        assert!(!fresh.is_empty(), "no program was loaded");
        watch.signal(libc::SIGKILL);
        // The kernel takes them down after the process, not with it.
        until("its programs are gone", || ids().iter().all(|id| !fresh.contains(id)));
    });
}
