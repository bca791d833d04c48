//! What may not be seen is nowhere in this process, the ring included.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use botlike::source::live::afpacket::{AfPacket, RING};
use botlike::source::live::libpcap::Libpcap;
use botlike::source::live::{Observe, Rung};

use crate::frames::interest;
use crate::namespace::{ip, point, take_all, within};

/// What is looked for, spelled so that it is not itself found: each letter is one less.
const SEEN: &[u8] = b"gnomdqrhffns-rddm-dwzlokd";
const SECRET: &[u8] = b"oknsdqbkzmmdr-sgd-sqdzrtqd";
/// Another, for the test that runs at the same time in the same memory.
const SECRET_OF_LIBPCAP: &[u8] = b"zmnsgdq-sqdzrtqd-zksnfdsgdq";

fn spelled(word: &[u8]) -> impl Iterator<Item = u8> {
    word.iter().map(|letter| letter + 1)
}

/// The mappings of this process that have a word, by their names.
fn mappings_with(word: &[u8]) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let mut memory = File::open("/proc/self/mem").expect("memory");
    let mut found = Vec::new();
    let mut page = vec![0u8; 1 << 16];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, mode) = (words.next().expect("a range"), words.next().expect("a mode"));
        let (from, to) = range.split_once('-').expect("a range");
        let hex = |text| u64::from_str_radix(text, 16).expect("a number");
        let (mut from, to) = (hex(from), hex(to));
        if !mode.starts_with('r') || line.contains("[v") {
            continue;
        }
        let mut has = false;
        while from < to && !has {
            let length = ((to - from) as usize).min(page.len());
            // The end of a read may cut the word: the next begins before it.
            let step = if length == page.len() { length - 64 } else { length };
            if memory.seek(SeekFrom::Start(from)).is_ok()
                && memory.read_exact(&mut page[..length]).is_ok()
            {
                let first = word[0] + 1;
                has = page[..length]
                    .windows(word.len())
                    .any(|window| window[0] == first && window.iter().copied().eq(spelled(word)));
            }
            from += step as u64;
        }
        // What was read here is in `page` as well.
        page.fill(0);
        if has {
            found.push(line.to_owned());
        }
    }
    found
}

/// Another process says something to a server in this one that never reads.
fn talk(port: u16, secret: &[u8]) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
    let octal = |word: &[u8]| spelled(word).map(|b| format!("\\{b:03o}")).collect::<String>();
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; read -r line <&3; printf 'EHLO {}\\r\\n' >&3; sleep 0.2; \
         printf 'MAIL FROM:<{}@a.example>\\r\\nDATA\\r\\nSubject: {}\\r\\n' >&3; sleep 0.2",
        octal(SEEN),
        octal(secret),
        octal(secret)
    );
    let mut child = Command::new("bash").arg("-c").arg(script).spawn().expect("bash");
    let (mut server, _) = listener.accept().expect("a connection");
    server.write_all(b"220 mx\r\n").expect("it is read");
    assert!(child.wait().expect("it ends").success());
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn the_envelope_of_others_is_nowhere_in_memory() {
    within("the_envelope_of_others_is_nowhere_in_memory", || {
        ip("link set dev lo up");
        let mut rung = AfPacket::open(&interest(), RING).expect("a ring");
        rung.attach(&point(0, "lo", Observe::Metadata)).expect("attached");
        talk(25, SECRET);
        let all = take_all(&mut rung);
        let seen: Vec<u8> = spelled(SEEN).collect();
        assert!(all.iter().any(|taken| taken.data.windows(seen.len()).any(|w| w == seen)));
        let sent = all.iter().map(|taken| taken.orig_len).sum::<u32>();
        let bytes = all.iter().map(|taken| taken.data.len() as u32).sum::<u32>();
        assert!(sent - bytes > 60, "{bytes} of {sent} were handed over");
        let ring = |lines: &[String]| lines.iter().any(|line| line.contains("socket:["));
        let found = mappings_with(SEEN);
        assert!(ring(&found), "the ring is searched, and has what may pass: {found:?}");
        assert!(mappings_with(SECRET).is_empty());

        // The same at an interface of one's own: there it is found, so that the search can fail.
        rung.attach(&point(1, "lo", Observe::Full)).expect("attached");
        talk(2525, SECRET);
        take_all(&mut rung);
        assert!(ring(&mappings_with(SECRET)));
    });
}

#[test]
fn libpcap_hands_over_no_envelope_either() {
    within("libpcap_hands_over_no_envelope_either", || {
        ip("link set dev lo up");
        let mut rung = Libpcap::new(&interest(), RING);
        rung.attach(&point(0, "lo", Observe::Metadata)).expect("attached");
        talk(25, SECRET_OF_LIBPCAP);
        let has = |data: &[u8], word: &[u8]| {
            data.windows(word.len()).any(|window| window.iter().copied().eq(spelled(word)))
        };
        let all = take_all(&mut rung);
        assert!(all.iter().any(|taken| has(&taken.data, SEEN)));
        assert!(!all.iter().any(|taken| has(&taken.data, SECRET_OF_LIBPCAP)));
    });
}
