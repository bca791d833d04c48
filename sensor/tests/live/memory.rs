//! `observe = metadata`: nothing that is other people's is in the program's lines, nor anywhere in its memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::kit::{Folder, Watch, alone, count, lines, serve, talk, until};

/// Where nobody but the two ends of the connection should find them: recipient, sender, subject, body, user, password.
const PLANTED: [&str; 6] = [
    "tok3n-recipient-5b1c",
    "tok3n-sender-77fa",
    "tok3n-subject-e01d",
    "tok3n-body-93c6",
    "dG9rM24tdXNlci0yYjQ0",
    "dG9rM24tcGFzc3dvcmQtOGEx",
];

/// How often each of the planted words is in the memory of a process, and how many bytes could be read.
fn search(pid: u32) -> ([usize; 6], usize) {
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let (mut found, mut read) = ([0; 6], 0);
    let mut page = vec![0; 1 << 16];
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (fields.next(), fields.next()) else { continue };
        let (from, to) = range.split_once('-').unwrap();
        let bound = |text| u64::from_str_radix(text, 16).unwrap();
        let (mut at, end) = (bound(from), bound(to));
        if !rights.starts_with('r') {
            continue;
        }
        let mut carried: Vec<u8> = Vec::new();
        while at < end {
            let want = page.len().min(usize::try_from(end - at).unwrap());
            let Ok(n @ 1..) = memory.read_at(&mut page[..want], at) else {
                // Pages of devices cannot be read.
                at += want as u64;
                carried.clear();
                continue;
            };
            carried.extend_from_slice(&page[..n]);
            read += n;
            at += n as u64;
            for (count, word) in found.iter_mut().zip(PLANTED) {
                *count += carried.windows(word.len()).filter(|w| *w == word.as_bytes()).count();
            }
            // A word may lie across two reads; what is kept is shorter than any word, so none is counted twice.
            let keep = carried.len().min(PLANTED.iter().map(|w| w.len()).min().unwrap_or(1) - 1);
            carried.drain(..carried.len() - keep);
        }
    }
    (found, read)
}

fn session(observe: &str) -> ([usize; 6], String) {
    let folder = Folder::new(&format!("memory-{observe}"));
    let out = folder.file("lines");
    let server = serve();
    let arguments =
        ["-i", "lo", "--method", "tcx", "--observe", observe, "--output", out.to_str().unwrap()];
    let watch = Watch::start(&folder, &arguments);
    let [recipient, sender, subject, body, user, password] = PLANTED;
    let text = format!("Subject: {subject}\r\nTo: {recipient}@example.net\r\n\r\n{body}\r\n.");
    talk(
        server,
        &[
            "EHLO client.example.org",
            &format!("AUTH LOGIN {user}"),
            password,
            &format!("MAIL FROM:<{sender}@example.org>"),
            &format!("RCPT TO:<{recipient}@example.net>"),
            "DATA",
            &text,
            "QUIT",
        ],
    );
    until("the session's line", || count(&lines(&out), "session") == 1);
    let (found, read) = search(watch.pid());
    assert!(read > 1 << 20, "only {read} bytes of its memory could be read");
    assert_eq!(watch.stop().code(), Some(0));
    let session = lines(&out).into_iter().find(|l| l["event"]["dataset"] == "botlike.session");
    assert_eq!(session.unwrap()["smtp"]["helo"], "client.example.org");
    (found, fs::read_to_string(&out).unwrap())
}

#[test]
fn metadata_leaves_nothing_of_the_mail_in_lines_or_memory() {
    alone("metadata_leaves_nothing_of_the_mail_in_lines_or_memory", || {
        let (found, lines) = session("metadata");
        assert_eq!(found, [0; 6], "{PLANTED:?} in memory");
        assert!(PLANTED.iter().all(|word| !lines.contains(word)), "{lines}");
    });
}

/// The search itself: with a wider look it finds what is there.
#[test]
fn a_full_look_is_found_in_memory() {
    alone("a_full_look_is_found_in_memory", || {
        let (found, lines) = session("full");
        assert!(found[..4].iter().all(|count| *count > 0), "{found:?}");
        assert!(lines.contains(PLANTED[0]) && !lines.contains(PLANTED[5]), "{lines}");
    });
}
