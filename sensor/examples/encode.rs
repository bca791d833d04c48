//! What a line costs: `cargo run --release --example encode`.
//!
//! Encodes 20 000 message and 20 000 session lines of different flows, as a capture of 20 000 sessions gives them, and
//! beside it lets `serde_json` write the same lines from trees that are built already, with stamps, ids and addresses
//! formatted before: the least that the library could take.

use std::hint::black_box;
use std::time::{Duration, Instant};

use botlike::emit::{Encoder, Json, Line, Pretty, Style};
use botlike_core::base::{Addr, Endpoint, Flow, MILLI, Stamp};
use botlike_core::judge::{Direction, Event};
use botlike_core::smtp::{Capability, Close, HeloVerb, Message, Outcome, Session};

const FLOWS: u32 = 20_000;
const ROUNDS: usize = 7;

fn session() -> Session {
    let mut s = Session {
        client_packets: 17,
        server_packets: 15,
        client_bytes: 4510,
        server_bytes: 480,
        close: Some(Close::Quit),
        quit: true,
        greeting_code: Some(220),
        greeting_delay: Some(3 * MILLI),
        last_reply_code: Some(221),
        helo_verb: Some(HeloVerb::Ehlo),
        helo_count: 1,
        ehlo_accepted: true,
        capabilities: Capability::PIPELINING | Capability::EIGHT_BIT_MIME | Capability::SMTPUTF8,
        commands: 5,
        transactions: 1,
        messages: 1,
        stack: 0x1234_5678,
        ..Session::default()
    };
    s.helo.set(b"mail.example.org", 255);
    s
}

fn message() -> Message {
    let mut m = Message {
        rcpt_accepted: 1,
        outcome: Outcome::Accepted,
        reply_code: Some(250),
        size: 4096,
        header_complete: true,
        received_count: 1,
        ..Message::default()
    };
    m.mail_from.set(b"sender@example.org", 320);
    m.rcpt_to.push(b"recipient@example.net", 320, 50);
    m.from.set("Jörg <sender@example.org>".as_bytes(), 1024);
    m.from_address.set(b"sender@example.org", 1024);
    m.to.set(b"recipient@example.net", 1024);
    m.subject.set(b"An ordinary subject of ordinary length", 1024);
    m.date.set(b"Mon, 23 Nov 2026 08:15:00 +0000", 1024);
    m.message_id.set(b"<20261123081500.4F1B2@mail.example.org>", 1024);
    m
}

fn best(mut run: impl FnMut()) -> Duration {
    let time = |run: &mut dyn FnMut()| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..ROUNDS).map(|_| time(&mut run)).min().unwrap_or_default()
}

/// Gives batches of lines to `take`, as an output does, and returns how many bytes they were.
fn encode(encoder: &mut dyn Encoder, mut take: impl FnMut(&[u8])) -> usize {
    let (mut s, mut m) = (session(), message());
    let (mut out, mut bytes) = (Vec::with_capacity(80 << 10), 0);
    for i in 0..FLOWS {
        let [_, b, c, d] = i.to_be_bytes();
        let start = Stamp::from_parts(1_795_421_700 + u64::from(i) / 100, i % 100 * 10_000_000);
        s.flow = Flow {
            client: Endpoint { addr: Addr::v4([10, b, c, d]), port: 1024 + (i % 60_000) as u16 },
            server: Endpoint { addr: Addr::v4([192, 0, 2, 25]), port: 25 },
            start,
            first_frame: u64::from(i),
            ..Flow::default()
        };
        s.end = start.plus(50 * MILLI);
        (m.start, m.end) = (start, s.end);
        let direction = Direction::Unknown;
        let (host_name, tenant) = (None, None);
        let message = Event::Message { session: &s, message: &m, direction, host_name, tenant };
        encoder.encode(&Line::Event(s.end, message), &mut out);
        let session = Event::Session { session: &s, direction, host_name, tenant };
        encoder.encode(&Line::Event(s.end, session), &mut out);
        if out.len() >= 64 << 10 || i + 1 == FLOWS {
            bytes += out.len();
            take(&out);
            out.clear();
        }
    }
    bytes
}

fn main() {
    let mut json = Json::new(Style::default());
    let mut bytes = 0;
    let ours = best(|| {
        bytes = encode(&mut json, |batch| {
            black_box(batch.first());
        })
    });
    let lines = 2 * FLOWS;
    let report = |name: &str, time: Duration, bytes: usize| {
        let each = time.as_nanos() / u128::from(lines);
        println!(
            "{name:40} {:6.1} ms for {lines} lines, {each} ns and {} bytes each",
            time.as_secs_f64() * 1e3,
            bytes / lines as usize
        );
    };
    report("Json", ours, bytes);

    let mut trees: Vec<serde_json::Value> = Vec::new();
    encode(&mut json, |batch| {
        let lines = batch.split(|b| *b == b'\n').filter(|l| !l.is_empty());
        trees.extend(lines.filter_map(|l| serde_json::from_slice(l).ok()));
    });
    let (mut theirs_out, mut theirs_bytes) = (Vec::with_capacity(80 << 10), 0);
    let theirs = best(|| {
        theirs_bytes = 0;
        for tree in &trees {
            if serde_json::to_writer(&mut theirs_out, tree).is_ok() {
                theirs_out.push(b'\n');
            }
            if theirs_out.len() >= 64 << 10 {
                theirs_bytes += theirs_out.len();
                theirs_out.clear();
            }
        }
        theirs_bytes += theirs_out.len();
        black_box(theirs_out.first());
        theirs_out.clear();
    });
    report("serde_json, from trees built before", theirs, theirs_bytes);

    let mut pretty = Pretty::new(Style::default(), true);
    let readable = best(|| {
        bytes = encode(&mut pretty, |batch| {
            black_box(batch.first());
        })
    });
    report("Pretty", readable, bytes);
}
