//! No allocation on the hot path: when the pools have grown, frames of like sessions make none, from the front to the
//! facts. (What the judge keeps of a host grows with the hosts; it is not on the path of a packet.)

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use botlike_core::base::{Counters, Limits, Ports, SECOND, Stamp};
use botlike_core::detect::Tuning;
use botlike_core::tracker::{Fact, FactSink, Input, Key, Settings, Tracker};
use botlike_core::wire::{Front, LinkType, Packet};
use botlike_tests::frame::Frame;
use botlike_tests::variant::Variant;
use botlike_tests::{script, wire};

/// The system's allocator; counts on the threads that ask for it.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator unchanged; the counter is a plain thread-local without a
// destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts facts and forgets them.
#[derive(Default)]
struct Forget {
    sessions: u64,
    messages: u64,
    hits: u64,
    lookups: u64,
}

impl FactSink for Forget {
    fn fact(&mut self, _: Stamp, _: Key, fact: Fact<'_>) {
        match fact {
            Fact::Session { .. } => self.sessions += 1,
            Fact::Message { .. } => self.messages += 1,
            Fact::Hit { .. } => self.hits += 1,
            Fact::Dns { .. } => self.lookups += 1,
            _ => {}
        }
    }
}

/// What an honest mail host does: one session in the clear with two messages, pipelined, encoded headers, a long body; one
/// with chunks; one under TLS; one that is refused; an attempt that is; the questions before them; and traffic of no
/// interest.
const TURN: &str = "\
~dns 192.0.2.10:40008 > 198.51.100.53 MX example.net = MX 10 mx.example.net; MX 20 mx2.example.net; mx.example.net A 198.51.100.25
~dns 192.0.2.10:40009 > 198.51.100.53 tcp A mx2.example.net = CNAME m.example.com; m.example.com A 198.51.100.26
=== 192.0.2.10:40001 > 198.51.100.25:25
S: 220-mx.example.net ESMTP
S: 220 speak
C: EHLO mx1.example.org
S: 250-mx.example.net
S: 250-PIPELINING
S: 250-AUTH PLAIN LOGIN
S: 250 SIZE 10000000
C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
S: 235 2.7.0 ok
C: MAIL FROM:<alice@example.org> SIZE=9000
C: RCPT TO:<bob@example.net>
C: RCPT TO:<carol@example.net>
C: DATA
S: 250 ok
S: 250 ok
S: 550 no such user
S: 354 go
C> Received: from a by b;\\r\\n Mon, 23 Nov 2026 08:00:30 +0000\\r\\n
C> From: =?utf-8?q?Zeitung_f=C3=BCr_alle?= <alice@example.org>\\r\\nTo: bob@example.net\\r\\n
C> Subject: =?utf-8?b?TmV1aWdrZWl0ZW4gZsO8ciBIZXJic3Q=?=\\r\\nMessage-ID: <1@example.org>\\r\\n\\r\\n
C> \\{900*a line }\\r\\n..dot\\r\\n.\\r\\n
S: 250 2.0.0 queued
C: MAIL FROM:<>
S: 250 ok
C: RCPT TO:<bob@example.net>
S: 451 later
C: RSET
S: 250 ok
C: QUIT
S: 221 bye
~close S
=== 192.0.2.10:40002 > 198.51.100.26:25
S: 220 mx.example.net ESMTP
C: EHLO mx1.example.org
S: 250-mx.example.net
S: 250 CHUNKING
C: MAIL FROM:<alice@example.org>
S: 250 ok
C: RCPT TO:<bob@example.net>
S: 250 ok
C: BDAT 29
C> Subject: in chunks\\r\\n\\r\\nabcdef
S: 250 ok
C: BDAT 4 LAST
C> abcd
S: 250 ok
C: QUIT
S: 221 bye
~close C
=== 192.0.2.10:40003 > 198.51.100.27:25
S: 220 mx.example.net ESMTP
C: EHLO mx1.example.org
S: 250-mx.example.net
S: 250 STARTTLS
C: STARTTLS
S: 220 go
~tls C hello mx.example.net
~tls S server-hello
~tls C data 5000
~tls S data 300
~close C
=== 192.0.2.10:40004 > 198.51.100.28:25
S: 554 no
C: QUIT
S: 221 bye
~rst C
=== 192.0.2.10:40005 > 198.51.100.29:25
~syn-refused
=== 192.0.2.10:40006 > 198.51.100.30:25
S: 220 mx.example.net ESMTP
C: EHLO mx1.example.org
S: 250 mx.example.net
~gap S 40
C: MAIL FROM:<alice@example.org>
S: 250 ok
C: QUIT
S: 221 bye
~close S
=== 192.0.2.10:40007 > 198.51.100.31:443
~tls C hello www.example.net
~super
~tls S data 9000
~close C
";

const TURN_TAKES: u64 = 12 * SECOND;

struct Sensor {
    front: Front,
    tracker: Tracker,
    number: u64,
}

impl Sensor {
    fn new() -> Self {
        let limits = Limits::default();
        Self {
            front: Front::new(&[25], &limits).with_dns(&[25]),
            tracker: Tracker::new(Settings {
                limits,
                tuning: Tuning::default(),
                ports: Ports::new(&[25]),
                hold_after: 60 * SECOND,
                seed: 1,
            }),
            number: 0,
        }
    }

    /// Plays the turn once more: later, and from other ports.
    fn play(&mut self, frames: &mut [Frame], turn: u64, sink: &mut Forget) {
        for frame in frames {
            self.number += 1;
            let at = Stamp::from_nanos(frame.at + turn * TURN_TAKES);
            let port = if frame.data.get(26..29) == Some(&[192, 0, 2]) { 34 } else { 36 };
            // The last digit stays, so that the connections of a turn are still as many.
            if let Some([high, low]) = frame.data.get_mut(port..port + 2) {
                let number = u16::from_be_bytes([*high, *low]);
                let digit = number % 10;
                [*high, *low] = (10_000 + (turn % 5000) as u16 * 10 + digit).to_be_bytes();
            }
            let link = LinkType::from_number(frame.link);
            let number = self.number;
            let input = match self.front.frame(at, link, frame.iface, &frame.data, frame.orig_len) {
                Some(Packet::Segment(segment)) => Input::Frame { number, segment },
                Some(Packet::Dns(datagram)) => Input::Dns { number, datagram },
                None => continue,
            };
            self.tracker.push(at, input, sink);
        }
    }

    fn counters(&self) -> Counters {
        let mut counters = self.tracker.counters();
        counters.add(self.front.counters());
        counters
    }
}

#[test]
fn like_sessions_allocate_nothing() {
    let script = script::parse(&format!("# a turn\n{TURN}")).unwrap_or_else(|e| panic!("{e}"));
    let played = wire::play(&script).unwrap_or_else(|e| panic!("{e}"));
    for variant in [
        Variant::Plain,
        Variant::Bytes,
        Variant::Reordered,
        Variant::Crossed,
        Variant::Duplicated,
        Variant::Points,
    ] {
        let mut frames = variant.frames(&played.packets, 5);
        // In tagged frames the ports that a turn changes lie elsewhere.
        frames.retain(|frame| frame.iface % 3 != 1);
        let (mut sensor, mut sink) = (Sensor::new(), Forget::default());
        for turn in 0..100 {
            sensor.play(&mut frames, turn, &mut sink);
        }
        let warm = sensor.counters();
        let sessions = sink.sessions;
        let before = ALLOCATIONS.get();
        for turn in 100..600 {
            sensor.play(&mut frames, turn, &mut sink);
        }
        let allocations = ALLOCATIONS.get() - before;
        let counters = sensor.counters();
        assert_eq!(allocations, 0, "{variant:?}: {} frames", counters.frames - warm.frames);
        assert_eq!(counters.copies > warm.copies, variant == Variant::Points, "{variant:?}");
        // It did see all of it.
        assert!(sink.sessions - sessions > 500 * 4, "{variant:?}: {}", sink.sessions);
        assert!(
            sink.messages >= 600 * 2 && sink.hits == 0,
            "{variant:?}: {} {}",
            sink.messages,
            sink.hits
        );
        assert!(sink.lookups >= 600 * 4, "{variant:?}: {}", sink.lookups);
        assert_eq!((counters.flows_evicted, counters.reorder_full), (0, 0), "{variant:?}");
        if matches!(variant, Variant::Reordered | Variant::Crossed) {
            assert!(counters.segments_reordered > warm.segments_reordered, "{variant:?}");
        }
    }
}

/// The counter counts: what makes the test above worth something.
#[test]
fn an_allocation_is_counted() {
    let before = ALLOCATIONS.get();
    let text = std::hint::black_box(String::from("one"));
    assert_eq!(ALLOCATIONS.get() - before, 1, "{text}");
}
