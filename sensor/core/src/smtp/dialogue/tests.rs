#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::Dialogue;
use crate::base::{Counters, Flow, Limits, Side, Stamp};
use crate::smtp::{
    CaptureState, Content, DialogueSink, Message, Place, Session, Starttls, Visible,
};

/// Bytes that one side sent at once, and what it had received of the other side.
#[derive(Clone, Debug)]
struct Block {
    side: Side,
    bytes: Vec<u8>,
    acked: u64,
    at: u64,
}

/// Reads a script. `C: text` and `S: text` are lines of client and server, CRLF is appended; `C| text` has nothing
/// appended. `\r`, `\n`, `\xHH` and `\\` are escapes. Lines of one side that follow each other are one block; `--` parts
/// blocks. `c:` and `c|` are sent by a client that has not received the server's last block.
fn script(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut sent = [0u64; 2];
    let mut apart = true;
    let mut last_client_acked = 0;
    for line in text.lines().map(str::trim_start).filter(|l| !l.is_empty()) {
        if line == "--" {
            apart = true;
            continue;
        }
        let (kind, rest) = line.split_at(2);
        let side = if kind.starts_with(['C', 'c']) { Side::Client } else { Side::Server };
        let mut bytes = unescape(rest.strip_prefix(' ').unwrap_or(rest));
        if kind.ends_with(':') {
            bytes.extend_from_slice(b"\r\n");
        }
        let at = blocks.len() as u64;
        let acked = match kind.starts_with('c') {
            true => last_client_acked,
            false => sent[side.other() as usize],
        };
        if side == Side::Client {
            last_client_acked = acked;
        }
        sent[side as usize] += bytes.len() as u64;
        match blocks.last_mut() {
            Some(last) if last.side == side && !apart => last.bytes.extend_from_slice(&bytes),
            _ => blocks.push(Block { side, bytes, acked, at }),
        }
        apart = false;
    }
    blocks
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.bytes();
    while let Some(b) = chars.next() {
        if b != b'\\' {
            out.push(b);
            continue;
        }
        match chars.next().unwrap() {
            b'r' => out.push(b'\r'),
            b'n' => out.push(b'\n'),
            b'x' => {
                let hex = [chars.next().unwrap(), chars.next().unwrap()];
                out.push(u8::from_str_radix(core::str::from_utf8(&hex).unwrap(), 16).unwrap());
            }
            other => out.push(other),
        }
    }
    out
}

#[derive(Default)]
struct Log {
    messages: Vec<(Message, String)>,
    content: BTreeMap<u32, Vec<u8>>,
    open: bool,
    greeted: Vec<u16>,
    helos: Vec<String>,
}

impl DialogueSink for Log {
    fn greeted(&mut self, _: Stamp, _: &Session, code: u16) {
        self.greeted.push(code);
    }

    fn helo(&mut self, _: Stamp, session: &Session) {
        self.helos.push(String::from_utf8_lossy(session.helo.as_bytes()).to_string());
    }

    fn content(&mut self, _: &Session, message: &mut Message, content: Content<'_>) -> bool {
        let kept = self.content.entry(message.number).or_default();
        match content {
            Content::Start => {
                assert!(!self.open, "content begins twice");
                self.open = true;
                kept.clear();
            }
            Content::Bytes(bytes) => {
                assert!(self.open && !bytes.is_empty());
                kept.extend_from_slice(bytes);
            }
            Content::Gap(len) => {
                assert!(self.open);
                kept.extend_from_slice(format!("<{len} missing>").as_bytes());
            }
            Content::End => {
                assert!(self.open, "content ends twice");
                self.open = false;
            }
        }
        true
    }

    fn message(&mut self, _: Stamp, _: &Session, message: &Message) {
        let content = self.content.remove(&message.number).unwrap_or_default();
        self.messages
            .push((message.clone(), String::from_utf8_lossy(&content).escape_debug().to_string()));
    }
}

/// What of the streams is not handed over, and how they are handed over.
#[derive(Clone, Copy, Debug, Default)]
struct Wire {
    /// A part of one side's stream that is missing: offset, length.
    gaps: [Option<(u64, u64)>; 2],
    /// A side that is not seen at all.
    unseen: Option<Side>,
    /// The numbering of the unseen side is known from acknowledgements.
    acks: bool,
    /// The connection is joined before this block.
    skip: usize,
    late: bool,
}

const LIMITS: fn() -> Limits = Limits::default;

fn run_with(
    blocks: &[Block],
    wire: Wire,
    limits: &Limits,
    cut: &mut dyn FnMut() -> usize,
) -> (Session, Log, Counters) {
    let mut dialogue = Dialogue::new();
    let mut log = Log::default();
    let mut counters = Counters::default();
    // A pooled dialogue remembers nothing.
    dialogue.start(Flow::default(), false);
    let first = Place { at: Stamp::ZERO, offset: 0, acked: Some(0) };
    dialogue.data(Side::Client, first, b"MAIL FROM:<old>\r\nAUTH", limits, &mut counters, &mut log);
    dialogue.start(Flow::default(), false);
    let (mut log, mut counters) = (Log::default(), Counters::default());
    if wire.late {
        dialogue.session_mut().capture |= CaptureState::JOINED_LATE;
    }
    let mut offset = [0u64; 2];
    let mut base = [0u64; 2];
    for block in &blocks[..wire.skip] {
        base[block.side as usize] += block.bytes.len() as u64;
    }
    for block in &blocks[wire.skip..] {
        if wire.unseen == Some(block.side) {
            continue;
        }
        let at = Stamp::from_nanos(block.at);
        let me = block.side as usize;
        let mut rest = block.bytes.as_slice();
        while !rest.is_empty() {
            let other_known = wire.unseen.is_none() || wire.acks;
            let acked =
                other_known.then(|| block.acked.saturating_sub(base[block.side.other() as usize]));
            let place = Place { at, offset: offset[me], acked };
            let len = match wire.gaps[me] {
                Some((start, _)) if offset[me] < start => {
                    (start - offset[me]).min(rest.len() as u64)
                }
                Some((start, len)) if offset[me] < start + len => {
                    let missing = (start + len - offset[me]).min(rest.len() as u64);
                    dialogue.gap(block.side, place, missing, limits, &mut counters, &mut log);
                    rest = &rest[missing as usize..];
                    offset[me] += missing;
                    continue;
                }
                _ => rest.len() as u64,
            };
            let len = (len as usize).min(cut().max(1));
            dialogue.data(block.side, place, &rest[..len], limits, &mut counters, &mut log);
            rest = &rest[len..];
            offset[me] += len as u64;
        }
    }
    dialogue.close(Stamp::from_nanos(blocks.len() as u64), limits, &mut counters, &mut log);
    assert!(!log.open, "content did not end");
    (dialogue.session().clone(), log, counters)
}

fn run(blocks: &[Block], wire: Wire) -> (Session, Log, Counters) {
    run_with(blocks, wire, &LIMITS(), &mut || usize::MAX)
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_string()
}

/// A message in one line.
fn message_line((m, content): &(Message, String)) -> String {
    let to: Vec<String> = m.rcpt_to.iter().map(lossy).collect();
    let mut line = format!(
        "#{} <{}> -> {} +{} -{} {:?}",
        m.number,
        lossy(m.mail_from.as_bytes()),
        to.join(","),
        m.rcpt_accepted,
        m.rcpt_rejected,
        m.outcome
    );
    if let Some(code) = m.reply_code {
        write!(line, " {code}").unwrap();
    }
    write!(line, " {}B", m.size).unwrap();
    if !m.mail_parameters.is_empty() {
        write!(line, " [{}]", lossy(m.mail_parameters.as_bytes())).unwrap();
    }
    if m.bdat {
        line.push_str(" bdat");
    }
    if m.content_partial {
        line.push_str(" partial");
    }
    write!(line, " {content}").unwrap();
    line
}

/// What is not as in an empty session, in one line.
fn session_line(s: &Session) -> String {
    let mut line = String::new();
    if let Some(code) = s.greeting_code {
        write!(line, "{code} ").unwrap();
    }
    if let Some(verb) = s.helo_verb {
        write!(line, "{verb:?}={}*{} ", lossy(s.helo.as_bytes()), s.helo_count).unwrap();
    }
    if s.ehlo_accepted {
        let names: Vec<&str> = s.capabilities.iter_names().map(|(n, _)| n).collect();
        write!(line, "offers({}) ", names.join(",")).unwrap();
    }
    if s.starttls != Starttls::Unused {
        write!(line, "{:?} ", s.starttls).unwrap();
    }
    if s.visible != Visible::Plain {
        write!(line, "{:?} ", s.visible).unwrap();
    }
    if s.auth.attempts > 0 || s.auth.succeeded {
        let a = &s.auth;
        write!(
            line,
            "auth({} {} -{} {}) ",
            lossy(a.mechanism.as_bytes()),
            a.attempts,
            a.failed,
            a.succeeded
        )
        .unwrap();
    }
    write!(line, "c{}", s.commands).unwrap();
    for (name, n) in [
        ("unknown", s.commands_unknown),
        ("4xx", s.errors_4xx),
        ("5xx", s.errors_5xx),
        ("t", s.transactions),
        ("m", s.messages),
        ("lost", s.transactions_partial),
    ] {
        if n > 0 {
            write!(line, " {name}{n}").unwrap();
        }
    }
    if let Some(code) = s.last_reply_code {
        write!(line, " last{code}").unwrap();
    }
    for (name, set) in [("quit", s.quit), ("421", s.said_421), ("pipelined", s.pipelined)] {
        if set {
            write!(line, " {name}").unwrap();
        }
    }
    line
}

struct Case {
    name: &'static str,
    script: &'static str,
    session: &'static str,
    messages: &'static [&'static str],
}

mod cases;

#[test]
fn behaviours() {
    let mut wrong = String::new();
    for case in cases::CASES {
        let (session, log, _) = run(&script(case.script), Wire::default());
        let messages: Vec<String> = log.messages.iter().map(message_line).collect();
        if session_line(&session) != case.session || messages != case.messages {
            writeln!(wrong, "--- {}\n        session: \"{}\",", case.name, session_line(&session))
                .unwrap();
            for m in &messages {
                writeln!(wrong, "            r\"{m}\",").unwrap();
            }
            writeln!(wrong, "    expected {}\n    {:#?}", case.session, case.messages).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn cuts_change_nothing() {
    for (i, case) in cases::CASES.iter().enumerate() {
        let blocks = script(case.script);
        for wire in [
            Wire::default(),
            Wire { unseen: Some(Side::Server), ..Wire::default() },
            Wire { unseen: Some(Side::Server), acks: true, ..Wire::default() },
            Wire { unseen: Some(Side::Client), ..Wire::default() },
            Wire { late: true, ..Wire::default() },
            Wire { gaps: [Some((25, 40)), None], ..Wire::default() },
            Wire { gaps: [None, Some((30, 60))], ..Wire::default() },
        ] {
            let (session, whole, _) = run(&blocks, wire);
            let (bytewise, one_by_one, _) = run_with(&blocks, wire, &LIMITS(), &mut || 1);
            assert_eq!(session, bytewise, "{}: byte by byte", case.name);
            assert_eq!(whole.messages, one_by_one.messages, "{}: byte by byte", case.name);
            assert_eq!((&whole.helos, &whole.greeted), (&one_by_one.helos, &one_by_one.greeted));
            for round in 0..20u64 {
                let seed = 0xb071_1ce5 + round * 7919 + i as u64;
                let mut next = random(seed);
                let (other, log, _) =
                    run_with(&blocks, wire, &LIMITS(), &mut || (next() % 12) as usize);
                assert_eq!(session, other, "{}: seed {seed:#x}", case.name);
                assert_eq!(whole.messages, log.messages, "{}: seed {seed:#x}", case.name);
            }
        }
    }
}

/// The envelope, which no loss may change.
fn envelope(m: &Message) -> (Vec<u8>, Vec<u8>, Vec<Vec<u8>>) {
    (
        m.mail_from.as_bytes().to_vec(),
        m.mail_parameters.as_bytes().to_vec(),
        m.rcpt_to.iter().map(<[u8]>::to_vec).collect(),
    )
}

/// Every message of a damaged run is one of the undamaged, each once; what is said of its answers is true.
fn is_honest(damaged: &[(Message, String)], whole: &[(Message, String)], what: &str) {
    let mut rest: Vec<&Message> = whole.iter().map(|(m, _)| m).collect();
    for (m, _) in damaged {
        let Some(true_one) =
            rest.iter().position(|w| envelope(w) == envelope(m)).map(|i| rest.remove(i))
        else {
            panic!(
                "{what}: an envelope that was not sent: {}",
                message_line(&(m.clone(), String::new()))
            );
        };
        assert!(
            m.reply_code.is_none() || m.reply_code == true_one.reply_code,
            "{what}: answered {:?}, truly {:?}: {}",
            m.reply_code,
            true_one.reply_code,
            message_line(&(m.clone(), String::new()))
        );
        assert!(
            m.rcpt_accepted <= true_one.rcpt_accepted && m.rcpt_rejected <= true_one.rcpt_rejected,
            "{what}"
        );
    }
}

fn streams(blocks: &[Block]) -> [u64; 2] {
    let mut len = [0; 2];
    for b in blocks {
        len[b.side as usize] += b.bytes.len() as u64;
    }
    len
}

#[test]
fn a_gap_anywhere_says_nothing_untrue() {
    for case in cases::CASES {
        let blocks = script(case.script);
        let (session, whole, _) = run(&blocks, Wire::default());
        for side in [Side::Client, Side::Server] {
            let len = streams(&blocks)[side as usize];
            for start in 0..len {
                for size in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, len] {
                    let mut gaps = [None; 2];
                    gaps[side as usize] = Some((start, size));
                    let (damaged, log, _) = run(&blocks, Wire { gaps, ..Wire::default() });
                    let what =
                        format!("{}: {size} bytes missing at {start} of {side:?}", case.name);
                    is_honest(&log.messages, &whole.messages, &what);
                    assert!(damaged.messages <= session.messages, "{what}");
                    let helos: Vec<_> =
                        log.helos.iter().filter(|h| !whole.helos.contains(h)).collect();
                    assert!(helos.is_empty(), "{what}: {helos:?}");
                }
            }
        }
    }
}

#[test]
fn two_gaps_say_nothing_untrue() {
    for (i, case) in cases::CASES.iter().enumerate() {
        if case.script.contains("LHLO") {
            // Without LHLO nothing tells that there are several answers to one end of data.
            continue;
        }
        let blocks = script(case.script);
        let (_, whole, _) = run(&blocks, Wire::default());
        let len = streams(&blocks);
        let mut next = random(0x2_9a95 + i as u64);
        let rounds = 3000;
        for _ in 0..rounds {
            let mut pick = |side: Side| {
                let len = len[side as usize].max(1);
                Some((next() % len, 1 + next() % 60))
            };
            let gaps = [pick(Side::Client), pick(Side::Server)];
            let (_, log, _) = run(&blocks, Wire { gaps, ..Wire::default() });
            is_honest(&log.messages, &whole.messages, &format!("{}: {gaps:?}", case.name));
        }
    }
}

#[test]
fn joined_anywhere_says_nothing_untrue() {
    for case in cases::CASES {
        let blocks = script(case.script);
        let (_, whole, _) = run(&blocks, Wire::default());
        for skip in 0..blocks.len() {
            for (unseen, acks) in
                [(None, false), (Some(Side::Server), true), (Some(Side::Server), false)]
            {
                let wire = Wire { skip, late: true, unseen, acks, ..Wire::default() };
                let (_, log, _) = run(&blocks, wire);
                let what = format!("{}: joined at block {skip}, unseen {unseen:?}", case.name);
                is_honest(&log.messages, &whole.messages, &what);
            }
        }
    }
}

/// A gap that takes one whole block, and what is left.
#[test]
fn a_lost_block_costs_what_it_hits() {
    let blocks = script(
        r"
        S: 220 hi
        C: EHLO m
        S: 250-mx
        S: 250 SIZE
        C: MAIL FROM:<a@b>
        S: 250 ok
        C: RCPT TO:<c@d>
        S: 250 ok
        C: DATA
        S: 354 go
        C: Subject: x
        C: text
        --
        C: more
        --
        C: last
        C: .
        S: 250 queued
        C: MAIL FROM:<e@f>
        S: 250 ok
        C: RCPT TO:<g@h>
        S: 550 no
        C: RCPT TO:<i@j>
        S: 250 ok
        C: DATA
        S: 354 go
        C: Subject: y
        C: .
        S: 451 later
        C: QUIT
        S: 221 bye",
    );
    let mut got = String::new();
    for lost in 0..blocks.len() {
        let side = blocks[lost].side;
        let start: u64 =
            blocks[..lost].iter().filter(|b| b.side == side).map(|b| b.bytes.len() as u64).sum();
        let mut gaps = [None; 2];
        gaps[side as usize] = Some((start, blocks[lost].bytes.len() as u64));
        let (session, log, _) = run(&blocks, Wire { gaps, ..Wire::default() });
        writeln!(got, "{side:?} {:?}: {}", lossy(&blocks[lost].bytes), session_line(&session))
            .unwrap();
        for m in &log.messages {
            writeln!(got, "    {}", message_line(m)).unwrap();
        }
    }
    assert_eq!(got, include_str!("tests/lost_blocks.txt"));
}

/// Words of the alphabet of SMTP, to be strung together at random.
const WORDS: &[&[u8]] = &[
    b"EHLO x\r\n",
    b"HELO \r\n",
    b"LHLO x\r\n",
    b"MAIL FROM:<a@b>\r\n",
    b"MAIL FROM:<>\r\n",
    b"RCPT TO:<c@d>\r\n",
    b"DATA\r\n",
    b"BDAT 5\r\n",
    b"BDAT 3 LAST\r\n",
    b"BDAT 0 LAST\r\n",
    b"BDAT 18446744073709551615\r\n",
    b"RSET\r\n",
    b"QUIT\r\n",
    b"AUTH LOGIN\r\n",
    b"AUTH PLAIN c2VjcmV0\r\n",
    b"c2VjcmV0\r\n",
    b"STARTTLS\r\n",
    b"NOOP\r\n",
    b".\r\n",
    b"\r\n",
    b"\n",
    b"\n.\n",
    b"..\r\n",
    b"Subject: x\r\n",
    b"\x16\x03\x01",
    b"PROXY ",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"220 x\r\n",
    b"220-x\r\n",
    b"250 x\r\n",
    b"250-STARTTLS\r\n",
    b"334 x\r\n",
    b"235 x\r\n",
    b"354 x\r\n",
    b"421 x\r\n",
    b"451 x\r\n",
    b"500 x\r\n",
    b"554 x\r\n",
    b"221 x\r\n",
    b"xyz",
    b"\0\xff",
];

/// Takes anything, and notes what it was told.
#[derive(Default)]
struct Count {
    messages: u32,
    open: u32,
}

impl DialogueSink for Count {
    fn greeted(&mut self, _: Stamp, _: &Session, _: u16) {}

    fn helo(&mut self, _: Stamp, _: &Session) {}

    fn content(&mut self, _: &Session, _: &mut Message, content: Content<'_>) -> bool {
        match content {
            Content::Start => self.open += 1,
            Content::End => self.open -= 1,
            _ => assert!(self.open > 0),
        }
        self.open < 3
    }

    fn message(&mut self, _: Stamp, _: &Session, _: &Message) {
        self.messages += 1;
    }
}

#[test]
fn random_dialogues_do_no_harm() {
    let limits = Limits {
        pending_commands: 7,
        waiting_transactions: 3,
        line_bytes: 40,
        ..Limits::default()
    };
    let mut dialogue = Dialogue::new();
    let mut messages = 0;
    for seed in 1..6000u64 {
        let mut next = random(seed * 0x9e37_79b9);
        let mut counters = Counters::default();
        let mut sink = Count::default();
        dialogue.start(Flow::default(), next() % 9 < 1);
        if next() % 9 < 1 {
            dialogue.session_mut().capture |= CaptureState::JOINED_LATE;
        }
        let mut offset = [0u64; 2];
        for _ in 0..next() % 120 {
            let side = if next() % 2 < 1 { Side::Client } else { Side::Server };
            let acked = match next() % 8 {
                0 => None,
                1 => Some(next() % 300),
                _ => Some(offset[side.other() as usize]),
            };
            let place =
                Place { at: Stamp::from_nanos(next() % 9), offset: offset[side as usize], acked };
            if next() % 12 < 1 {
                let len = if next() % 20 < 1 { u64::MAX - next() % 9 } else { next() % 30 };
                dialogue.gap(side, place, len, &limits, &mut counters, &mut sink);
                offset[side as usize] = offset[side as usize].saturating_add(len);
                continue;
            }
            let mut bytes = Vec::new();
            for _ in 0..=next() % 4 {
                match next() % 20 {
                    0 => bytes.extend((0..next() % 50).map(|_| next_byte(&mut next))),
                    _ => bytes.extend_from_slice(WORDS[(next() % WORDS.len() as u64) as usize]),
                }
            }
            dialogue.data(side, place, &bytes, &limits, &mut counters, &mut sink);
            offset[side as usize] = offset[side as usize].saturating_add(bytes.len() as u64);
            assert!(dialogue.pending.len() <= limits.pending_commands + 1, "seed {seed}");
            assert!(dialogue.book.len() <= limits.waiting_transactions, "seed {seed}");
        }
        dialogue.close(Stamp::ZERO, &limits, &mut counters, &mut sink);
        assert_eq!(sink.open, 0, "seed {seed}: content did not end");
        let s = dialogue.session();
        assert!(s.messages <= sink.messages, "seed {seed}");
        assert!(s.transactions_partial <= s.transactions, "seed {seed}");
        messages += sink.messages;
    }
    assert!(messages > 300, "the words make dialogues: {messages} messages");
}

fn next_byte(next: &mut impl FnMut() -> u64) -> u8 {
    (next() & 0xff) as u8
}

/// A secret is nowhere, whatever of the dialogue is lost.
#[test]
fn no_secret_is_kept() {
    for text in [
        r"
        C: AUTH PLAIN c2VjcmV0c2VjcmV0
        S: 220 hi
        C: EHLO m",
        r"
        S: 220 hi
        C: EHLO m
        S: 250 AUTH LOGIN
        C: auth LOGIN
        S: 334 VXNlcm5hbWU6
        C: c2VjcmV0c2VjcmV0
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0c2VjcmV0
        S: 235 ok
        C: MAIL FROM:<a@b>",
        r"
        C:  AUTH c2VjcmV0c2VjcmV0
        C: c2VjcmV0c2VjcmV0",
    ] {
        let blocks = script(text);
        let len = streams(&blocks);
        for side in [Side::Client, Side::Server] {
            for start in 0..len[side as usize] {
                for size in [0, 1, 2, 5, 10, 20, 40] {
                    for late in [false, true] {
                        let mut gaps = [None; 2];
                        gaps[side as usize] = Some((start, size));
                        let wire = Wire { gaps, late, ..Wire::default() };
                        let (session, log, _) = run_with(&blocks, wire, &LIMITS(), &mut || 3);
                        let all = format!("{session:?} {:?} {:?}", log.messages, log.helos);
                        let shown = lossy(session.first_bytes.as_bytes());
                        // As bytes, Debug prints numbers: `c2Vj` is 99, 50, 86, 106.
                        for secret in ["c2Vj", "ZWNy", "99, 50, 86, 106", "86, 106, 99, 109"] {
                            assert!(
                                !all.contains(secret) && !shown.contains(secret),
                                "{wire:?} {shown}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_first_bytes_are_kept() {
    for (text, kept) in [
        ("C| EHLO ylmf-pc\\r\\nMAIL", "EHLO ylmf-pc\r\nMAIL"),
        ("C: GET / HTTP/1.1\nC: Authorization: Basic c2Vj", "GET / HTTP/1.1\r\nAuth"),
        ("C: MAIL FROM:<a@b>\nC: DATA\nC: Subject: x", "MAIL FROM:<a@b>\r\nDATA\r\n"),
        ("C: PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nC: EHLO m", "EHLO m\r\n"),
        ("C: PROXIES", "PROXIES\r\n"),
    ] {
        for step in 1..20 {
            let (session, ..) = run_with(&script(text), Wire::default(), &LIMITS(), &mut || step);
            assert_eq!(lossy(session.first_bytes.as_bytes()), kept, "step {step}");
        }
    }
}

/// Each cap holds, and its counter shows that it was hit.
#[test]
fn caps_are_counted() {
    let mut text = String::from("S: 220 hi\nC: EHLO m\nS: 250 mx\n");
    for i in 0..6 {
        text.push_str("C: MAIL FROM:<a@b>\n");
        for n in 0..5 {
            writeln!(text, "C: RCPT TO:<{n}@{i}.example>").unwrap();
        }
        text.push_str("C: DATA\nC: Subject: x\nC: .\n");
    }
    writeln!(text, "C: NOOP {}", "x".repeat(200)).unwrap();
    let limits = Limits {
        waiting_transactions: 4,
        recipients: 3,
        pending_commands: 20,
        line_bytes: 100,
        path_bytes: 7,
        ..Limits::default()
    };
    let (session, log, counters) = run_with(&script(&text), Wire::default(), &limits, &mut || 50);
    assert_eq!(log.messages.len(), 6);
    assert_eq!(counters.transactions_early, 2);
    assert!(counters.pending_overflow > 0 && session.capture.contains(CaptureState::LIMIT));
    assert_eq!(counters.lines_cut, 1);
    let kept: Vec<&[u8]> = log.messages[0].0.rcpt_to.iter().collect();
    assert_eq!(kept, [&b"0@0.exa"[..], b"1@0.exa", b"2@0.exa"]);
    assert_eq!(log.messages[0].0.rcpt_to.total(), 5);
}

/// Nothing is kept for a server that is never heard but the last few commands.
#[test]
fn one_side_alone_is_bounded() {
    let mut text = String::from("C: EHLO m\n");
    for i in 0..500 {
        writeln!(
            text,
            "--\nC: MAIL FROM:<{i}@b>\n--\nC: RCPT TO:<c@d>\n--\nC: DATA\n--\nC: x\nC: ."
        )
        .unwrap();
    }
    let wire = Wire { unseen: Some(Side::Server), ..Wire::default() };
    let (session, log, counters) = run_with(&script(&text), wire, &LIMITS(), &mut || 9);
    assert_eq!((session.transactions, log.messages.len()), (500, 500));
    assert_eq!((counters.pending_overflow, counters.transactions_early), (0, 0));
}
