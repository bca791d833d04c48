//! Dialogues cut at random, whole and damaged. A byte of [`SECRET`] stands for a secret: none may ever pass.

use std::string::String;
use std::vec::Vec;

use super::*;

/// Bytes of secrets, and of nothing else.
const SECRET: core::ops::Range<u8> = 0x80..0xf0;

/// xorshift64*: equal seeds give equal dialogues everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self((seed ^ 0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn secret(&mut self) -> Vec<u8> {
        (0..1 + self.below(12)).map(|_| SECRET.start + self.below(SECRET.len()) as u8).collect()
    }
}

#[derive(Clone, Debug)]
struct Piece {
    side: Side,
    seq: u32,
    ack: u32,
    bytes: Vec<u8>,
}

/// What one side says at a time, in its order.
type Said = Vec<(Side, Vec<u8>)>;

/// A dialogue: an opening, and then what must not pass.
fn dialogue(random: &mut Random) -> Said {
    let mut said = Vec::new();
    if !random.one_in(8) {
        said.push((Side::Server, b"220 mx.example ESMTP\r\n".to_vec()));
    }
    for _ in 0..random.below(4) {
        let end = random.pick(&["\r\n", "\n", "\r\r\n"]);
        let verb = random.pick(&["EHLO", "helo", "Lhlo", "NOOP", "RSET", "quit", "StartTLS"]);
        let rest = "x".repeat(*random.pick(&[&0, &1, &30, &400]));
        said.push((Side::Client, std::format!("{verb} {rest}{end}").into_bytes()));
        said.push((Side::Server, b"250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS\r\n".to_vec()));
    }
    // A server that was sent a TLS record says nothing in the clear any more.
    let tls = random.one_in(3);
    if tls {
        let mut hello = std::vec![0x16, 3, 1];
        let length = *random.pick(&[&0usize, &1, &300, &1650, &4091, &4092, &9000]);
        hello.extend_from_slice(&(length as u16).to_be_bytes());
        // What lies behind the cap is secret; the record's own bytes are not.
        hello.extend((0..length).map(|n| if n + 5 < usize::from(HELLO) { 1 } else { 0x99 }));
        hello.extend(random.secret());
        said.push((Side::Client, hello));
        said.push((Side::Server, std::vec![2; ANSWER as usize]));
        // How much of the answer passes is counted, not looked at.
        said.push((Side::Server, std::vec![3; 3000]));
    }
    // From here on everybody is accused of having a secret.
    for _ in 0..1 + random.below(6) {
        let secret = random.secret();
        let begin: &[u8] = random.pick::<[u8]>(&[
            b"MAIL FROM:<",
            b"mail ",
            b"RCPT TO:<",
            b"AUTH PLAIN ",
            b"DATA\r\nSubject: ",
            b"BDAT 9\r\n",
            b"GET /",
            b"XCLIENT ",
            b"starting",
            b"",
            b" ",
            b"E",
            b"EHL",
            b"STARTTL",
            b"STARTT ",
            b"STARTTLT",
            b"HELP",
            b"\r\n",
            b"\x16",
            b"\x16\x04",
            b"QUI\r\n",
            b"EHLO a\r",
            b"RSETT\rMAIL FROM:",
        ]);
        let mut line = begin.to_vec();
        line.extend(secret);
        line.extend_from_slice(random.pick(&["\r\n", "\n", ""]).as_bytes());
        if random.one_in(6) {
            line = [b"NOOP ".as_slice(), &[b'x'; LINE as usize - 5], &line].concat();
        }
        said.push((Side::Client, line));
        let secret = if tls { Vec::new() } else { random.secret() };
        said.push((Side::Server, [b"250 ".as_slice(), &secret, b"\r\n"].concat()));
    }
    said
}

/// Cuts a dialogue into segments of at most `most` bytes. Neighbouring turns of the client are sent as one, sometimes.
fn cut(random: &mut Random, isn: u32, mut said: Said, most: usize) -> Vec<Piece> {
    if random.one_in(3) {
        // A pipelined group: all of the client first. Replies follow what they answer.
        said.sort_by_key(|(side, _)| *side == Side::Server);
    }
    let mut joined: Said = Vec::new();
    for (side, bytes) in said {
        match joined.last_mut() {
            Some((last, before)) if *last == side && random.one_in(2) => before.extend(bytes),
            _ => joined.push((side, bytes)),
        }
    }
    let (mut client, mut server) = (isn.wrapping_add(1), 77u32);
    let mut pieces = Vec::new();
    for (side, mut rest) in joined {
        while !rest.is_empty() {
            let longest = if random.one_in(3) { 3 } else { most };
            let bytes: Vec<u8> =
                rest.drain(..(1 + random.below(longest)).min(rest.len())).collect();
            let len = bytes.len() as u32;
            match side {
                Side::Client => {
                    pieces.push(Piece { side, seq: client, ack: server, bytes });
                    client = client.wrapping_add(len);
                }
                Side::Server => {
                    pieces.push(Piece { side, seq: server, ack: client, bytes });
                    server = server.wrapping_add(len);
                }
            }
        }
    }
    pieces
}

fn pass(state: &mut State, piece: &Piece) -> usize {
    let len = piece.bytes.len() as u32;
    let passed = gate(state, piece.side, piece.seq, piece.ack, &piece.bytes[..], len) as usize;
    assert!(passed <= piece.bytes.len());
    passed
}

/// How many bytes of the client pass, told from the whole stream at once.
fn stupid(client: &[u8]) -> (usize, bool) {
    let mut from = 0;
    loop {
        let rest = &client[from..];
        let text: String = rest.iter().map(|&b| b as char).collect::<String>().to_ascii_uppercase();
        if rest.first() == Some(&0x16) {
            if rest.get(1).is_some_and(|&b| b != 3) {
                return (from + 1, true);
            }
            if rest.len() < 5 {
                return (client.len(), false);
            }
            let record = 5 + usize::from(u16::from_be_bytes([rest[3], rest[4]]));
            return (from + record.min(usize::from(HELLO)).min(rest.len()), false);
        }
        let verbs = ["HELO", "EHLO", "LHLO", "NOOP", "RSET", "QUIT", "STARTTLS"];
        let Some(verb) = verbs.iter().find(|verb| text.starts_with(**verb)) else {
            let unfinished = verbs.iter().any(|verb| verb.starts_with(text.as_str()));
            if unfinished {
                return (client.len(), false);
            }
            let right = verbs
                .iter()
                .map(|verb| verb.chars().zip(text.chars()).take_while(|(a, b)| a == b).count())
                .max()
                .unwrap_or(0);
            let letters = text.chars().take_while(char::is_ascii_alphabetic).count().min(4);
            return (from + right.max(letters), true);
        };
        let mut at = verb.len();
        loop {
            if at == rest.len() {
                return (client.len(), false);
            }
            let lone = rest[at - 1] == b'\r' && !matches!(rest[at], b'\r' | b'\n');
            if at >= usize::from(LINE) || lone {
                return (from + at, true);
            }
            at += 1;
            if rest[at - 1] == b'\n' {
                break;
            }
        }
        from += at;
    }
}

#[test]
fn what_is_whole_passes_as_far_as_it_may_and_no_further() {
    let (mut hellos, mut answers) = (0, 0);
    for seed in 0..1_500 {
        let mut random = Random::new(seed);
        let isn = *random.pick(&[&0u32, &7, &(u32::MAX - 40), &u32::MAX]);
        let said = dialogue(&mut random);
        let pieces = cut(&mut random, isn, said, WINDOW as usize);
        let client: Vec<u8> = of(&pieces, Side::Client).concat();
        let (end, _) = stupid(&client);
        let mut state = State::opened(isn);
        let (mut seen, mut passed, mut answered) = (0, 0, 0);
        for piece in &pieces {
            let got = pass(&mut state, piece);
            match piece.side {
                Side::Client => {
                    let want = end.saturating_sub(seen).min(piece.bytes.len());
                    assert_eq!(
                        got,
                        want,
                        "seed {seed} at {seen}: {:?} {}",
                        piece.side,
                        piece.bytes.escape_ascii()
                    );
                    seen += piece.bytes.len();
                    passed += got;
                }
                Side::Server => {
                    let (_, shut) = stupid(&client[..seen]);
                    let tls = client.get(..seen).is_some_and(begins_tls);
                    let want = match (shut, tls) {
                        (true, _) => 0,
                        (false, false) => piece.bytes.len(),
                        (false, true) => (ANSWER as usize - answered).min(piece.bytes.len()),
                    };
                    assert_eq!(
                        got,
                        want,
                        "seed {seed} at {seen}: {:?} {}",
                        piece.side,
                        piece.bytes.escape_ascii()
                    );
                    answered += if tls { got } else { 0 };
                }
            }
            assert!(!tells(&piece.bytes[..got]), "seed {seed}: {piece:?}");
        }
        assert_eq!(passed, end, "seed {seed}");
        hellos += usize::from(passed >= usize::from(HELLO));
        answers += usize::from(answered == ANSWER as usize);
    }
    assert!(hellos > 20 && answers > 20, "{hellos} {answers}");
}

/// Whether a line of this stream that may pass begins a TLS record.
fn begins_tls(client: &[u8]) -> bool {
    let (end, shut) = stupid(client);
    !shut && client[..end].split(|&b| b == b'\n').any(|line| line.first() == Some(&0x16))
}

fn tells(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| SECRET.contains(byte))
}

fn of(pieces: &[Piece], side: Side) -> Vec<Vec<u8>> {
    pieces.iter().filter(|piece| piece.side == side).map(|piece| piece.bytes.clone()).collect()
}

#[test]
fn no_secret_passes_however_the_pieces_come() {
    let mut passed = 0;
    for seed in 0..10_000 {
        let mut random = Random::new(seed);
        let isn = *random.pick(&[&0u32, &(u32::MAX - 40)]);
        let said = dialogue(&mut random);
        let most = *random.pick(&[&20usize, &600, &70_000]);
        let mut pieces = cut(&mut random, isn, said, most);
        for _ in 0..1 + random.below(4) {
            let at = random.below(pieces.len());
            let to = random.below(pieces.len());
            match random.below(5) {
                // Lost, doubled, out of order.
                0 => drop(pieces.remove(at)),
                1 => pieces.insert(to, pieces[at].clone()),
                2 => pieces.swap(at, to),
                // Sent again with what follows it, or a part of it.
                3 => {
                    if let Some(more) = pieces.get(at + 1).filter(|p| p.side == pieces[at].side) {
                        let mut both = pieces[at].clone();
                        both.bytes.extend(more.bytes.clone());
                        both.ack = more.ack;
                        pieces.insert(to.max(at), both);
                    }
                }
                _ => {
                    let mut part = pieces[at].clone();
                    let from = random.below(part.bytes.len());
                    part.bytes.drain(..from);
                    part.seq = part.seq.wrapping_add(from as u32);
                    pieces.insert(to, part);
                }
            }
            if pieces.is_empty() {
                break;
            }
        }
        let mut state = State::opened(isn);
        for piece in &pieces {
            let got = pass(&mut state, piece);
            passed += got;
            assert!(!tells(&piece.bytes[..got]), "seed {seed}: {piece:?}");
        }
        // Nothing of a connection whose SYN was not seen.
        let mut unknown = State::default();
        for piece in &pieces {
            assert_eq!(pass(&mut unknown, piece), 0, "seed {seed}: {piece:?}");
        }
    }
    assert!(passed > 1 << 20, "{passed}");
}

#[test]
fn one_direction_alone_shows_nothing_that_answers_the_other() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let said = dialogue(&mut random);
        let pieces = cut(&mut random, 9, said, 600);
        let mut state = State::opened(9);
        for piece in pieces.iter().filter(|piece| piece.side == Side::Server) {
            let got = pass(&mut state, piece);
            assert!(got == 0 || piece.ack == 10, "seed {seed}: {piece:?}");
        }
    }
}

fn client(state: &mut State, seq: u32, bytes: &[u8]) -> u32 {
    gate(state, Side::Client, seq, 0, bytes, bytes.len() as u32)
}

#[test]
fn an_old_part_sent_again_with_a_new_one_is_looked_at_and_kept_back() {
    let mut state = State::opened(0);
    assert_eq!(client(&mut state, 1, b"EHLO a"), 6);
    // The old part has other bytes this time.
    assert_eq!(client(&mut state, 1, b"\xff\xff\xff\xff\xff\xff\r\nNO"), 0);
    assert_eq!(client(&mut state, 11, b"OP\r\n"), 4, "the new part was understood");
    assert_eq!(client(&mut state, 15, b"MAIL FROM"), 4);
    assert!(state.is_shut());
}

#[test]
fn a_long_segment_shuts_at_the_end_of_the_window() {
    let mut state = State::opened(0);
    let lines = b"NOOP\r\n".repeat(300);
    assert_eq!(client(&mut state, 1, &lines), WINDOW);
    assert!(state.is_shut());
    assert_eq!(gate(&mut state, Side::Server, 1, 1, &b"250"[..], 3), 0);
}

#[test]
fn what_was_not_captured_shuts() {
    let mut state = State::opened(0);
    assert_eq!(gate(&mut state, Side::Client, 1, 0, &b"EHLO"[..], 30), 4);
    assert!(state.is_shut());
}

#[test]
fn a_second_syn_counts_when_the_server_agrees() {
    let mut state = State::opened(0);
    assert_eq!(client(&mut state, 1, b"MAIL FROM:"), 4);
    // The first SYN once more.
    state.syn(0);
    assert_eq!(client(&mut state, 11, b"RSET\r\n"), 0);
    // A SYN in the middle of a body, which the server does not take for one.
    state.syn(16);
    assert_eq!(client(&mut state, 17, b"RSET\r\n"), 0);
    state.syn_ack(99);
    assert_eq!(client(&mut state, 17, b"RSET\r\n"), 0);
    // A new connection between the same ports.
    state.syn(5000);
    state.syn_ack(5001);
    assert_eq!(client(&mut state, 5001, b"RSET\r\n"), 6);
    // The server's SYN-ACK once more does not open it again.
    assert_eq!(client(&mut state, 5007, b"DATA\r\n"), 4);
    state.syn_ack(5001);
    assert_eq!(client(&mut state, 5001, b"RSET\r\n"), 0);
}

#[test]
fn a_state_is_small_and_has_no_gaps() {
    assert!(size_of::<State>() <= 32);
    assert_eq!(size_of::<State>(), size_of::<Client>() + 12);
}

#[test]
fn the_reply_to_quit_passes_when_it_acknowledges_a_fin() {
    let server = |state: &mut State, ack| gate(state, Side::Server, 9, ack, &b"221 bye\r\n"[..], 9);
    let mut state = State::opened(0);
    assert_eq!(client(&mut state, 1, b"QUIT\r\n"), 6);
    assert_eq!(server(&mut state, 7), 9);
    assert_eq!(server(&mut state, 8), 0, "a byte that was not seen");
    state.fin(7);
    state.fin(7);
    assert_eq!(server(&mut state, 8), 9);
    assert_eq!(server(&mut state, 9), 0);
}

#[test]
fn a_hole_shuts_for_ever() {
    let mut state = State::opened(0);
    assert_eq!(client(&mut state, 1, b"NOOP\r\n"), 6);
    assert_eq!(client(&mut state, 8, b"OOP\r\n"), 0);
    assert!(state.is_shut());
    assert_eq!(client(&mut state, 7, b"N"), 0);
    assert_eq!(client(&mut state, 13, b"NOOP\r\n"), 0);
}
