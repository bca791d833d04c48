#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
//! A stream that goes in under any cut, order, duplication and loss comes out equal, with gaps of the right size at the
//! right place; checked against a reference that is too simple to be wrong.

use alloc::vec;
use alloc::vec::Vec;

use super::*;

/// Marks a byte that was given up.
const LOST: u16 = 256;

#[derive(Default)]
struct Out {
    streams: [Vec<u16>; 2],
    fins: [u32; 2],
    /// Every hand-over with the other side's length at that time, to check causality.
    order: Vec<(Side, Option<u64>, usize)>,
}

impl StreamSink for Out {
    fn data(&mut self, side: Side, place: Place, bytes: &[u8]) {
        assert_eq!(place.offset as usize, self.streams[side as usize].len());
        assert!(!bytes.is_empty());
        self.order.push((side, place.acked, self.streams[side.other() as usize].len()));
        self.streams[side as usize].extend(bytes.iter().map(|&b| u16::from(b)));
    }
    fn gap(&mut self, side: Side, place: Place, len: u64) {
        assert_eq!(place.offset as usize, self.streams[side as usize].len());
        assert!(len > 0);
        self.streams[side as usize].extend((0..len).map(|_| LOST));
    }
    fn fin(&mut self, side: Side, _: Stamp) {
        self.fins[side as usize] += 1;
    }
}

struct Rig {
    assembler: Assembler,
    limits: Limits,
    counters: Counters,
    reserve: Reserve,
    out: Out,
}

impl Rig {
    fn new() -> Self {
        Self {
            assembler: Assembler::new(),
            limits: Limits::default(),
            counters: Counters::default(),
            reserve: Reserve::default(),
            out: Out::default(),
        }
    }

    fn piece(&mut self, piece: Piece<'_>) {
        self.assembler.piece(
            piece,
            &self.limits,
            &mut self.counters,
            &mut self.reserve,
            &mut self.out,
        );
    }

    fn finish(&mut self) {
        self.assembler.finish(&mut self.counters, &mut self.reserve, &mut self.out);
        assert!(!self.assembler.is_holding());
        assert_eq!(self.reserve.held(), 0, "everything held went back to the reserve");
    }
}

fn client(seq: u32, payload: &[u8]) -> Piece<'_> {
    Piece {
        side: Side::Client,
        at: Stamp::ZERO,
        seq,
        ack: None,
        fin: false,
        payload,
        len: payload.len() as u32,
    }
}

fn text(out: &[u16]) -> alloc::string::String {
    out.iter().map(|&b| if b == LOST { '_' } else { b as u8 as char }).collect()
}

/// Pieces as (sequence number, bytes), and what must come out of them; `_` is a lost byte.
fn check(pieces: &[(u32, &str)], expected: &str) -> Counters {
    let mut rig = Rig::new();
    rig.assembler.start(Side::Client, 100);
    for (seq, bytes) in pieces {
        rig.piece(client(*seq, bytes.as_bytes()));
    }
    rig.finish();
    assert_eq!(text(&rig.out.streams[0]), expected);
    rig.counters
}

#[test]
fn order_and_overlap() {
    check(&[(100, "abc"), (103, "def")], "abcdef");
    check(&[(103, "def"), (100, "abc")], "abcdef");
    check(&[(106, "ghi"), (103, "def"), (100, "abc")], "abcdefghi");
    check(&[(100, "abc"), (100, "abcdef")], "abcdef");
    check(&[(100, "abc"), (101, "bcd")], "abcd");
    check(&[(100, "abc"), (106, "ghi")], "abc___ghi");
    check(&[(103, "def")], "___def");
    assert_eq!(check(&[(100, "abc"), (100, "abc")], "abc").retransmitted_bytes, 3);
    assert_eq!(check(&[(100, "abc"), (106, "ghi")], "abc___ghi").gap_bytes, 3);
}

#[test]
fn the_bytes_that_came_first_win_and_a_difference_is_counted() {
    assert_eq!(check(&[(100, "abc"), (100, "aXc")], "abc").overlaps_differing, 1);
    assert_eq!(check(&[(100, "abc"), (101, "bXdef")], "abcdef").overlaps_differing, 1);
    assert_eq!(check(&[(104, "ef"), (102, "cdXX"), (100, "ab")], "abcdef").overlaps_differing, 1);
    assert_eq!(check(&[(104, "ef"), (104, "XX"), (100, "abcd")], "abcdef").overlaps_differing, 1);
    assert_eq!(check(&[(100, "abc"), (99, "?")], "abc").overlaps_differing, 0, "before the start");
    assert_eq!(
        check(&[(100, "abc"), (102, "?")], "abc").overlaps_differing,
        0,
        "a keep-alive's byte is garbage"
    );
}

#[test]
fn numbers_wrap() {
    let mut rig = Rig::new();
    rig.assembler.start(Side::Client, u32::MAX - 1);
    rig.piece(client(1, b"def"));
    rig.piece(client(u32::MAX - 1, b"abc"));
    rig.finish();
    assert_eq!(text(&rig.out.streams[0]), "abcdef");
}

#[test]
fn a_reply_waits_for_the_command_that_it_acknowledges() {
    let mut rig = Rig::new();
    rig.assembler.start(Side::Client, 100);
    rig.assembler.start(Side::Server, 500);
    let reply = Piece {
        side: Side::Server,
        at: Stamp::ZERO,
        seq: 500,
        ack: Some(106),
        fin: false,
        payload: b"250",
        len: 3,
    };
    rig.piece(reply);
    assert!(rig.out.streams[1].is_empty(), "the command was not seen yet");
    rig.piece(client(100, b"EHLO\r\n"));
    assert_eq!(text(&rig.out.streams[1]), "250");
    // And when it never comes, it is given up, and the reply follows it.
    let reply = Piece { seq: 503, ack: Some(110), payload: b"354", ..reply };
    rig.piece(reply);
    for _ in 1..PATIENCE_ACKNOWLEDGED {
        assert_eq!(text(&rig.out.streams[1]), "250");
        rig.piece(Piece { payload: b"", len: 0, seq: 506, ..reply });
    }
    assert_eq!(text(&rig.out.streams[0]), "EHLO\r\n____");
    assert_eq!(text(&rig.out.streams[1]), "250354");
}

#[test]
fn a_hole_is_given_up_when_the_cap_is_hit() {
    let mut rig = Rig::new();
    rig.limits.reorder_bytes = 10;
    rig.assembler.start(Side::Client, 0);
    rig.piece(client(4, b"aaaa"));
    rig.piece(client(8, b"bbbb"));
    assert!(rig.out.streams[0].is_empty());
    rig.piece(client(12, b"cccc"));
    assert_eq!(text(&rig.out.streams[0]), "____aaaabbbbcccc");
    assert_eq!(rig.counters.reorder_full, 1);
}

#[test]
fn a_cut_packet_is_a_gap_at_its_end() {
    let mut rig = Rig::new();
    rig.assembler.start(Side::Client, 0);
    rig.piece(Piece { len: 5, ..client(0, b"ab") });
    rig.piece(client(5, b"fg"));
    rig.finish();
    assert_eq!(text(&rig.out.streams[0]), "ab___fg");
}

#[test]
fn fins_are_said_once_and_in_order() {
    let mut rig = Rig::new();
    rig.assembler.start(Side::Client, 0);
    rig.piece(Piece { fin: true, ..client(3, b"de") });
    assert_eq!(rig.out.fins, [0, 0]);
    rig.piece(client(0, b"abc"));
    assert_eq!(rig.out.fins, [1, 0]);
    rig.piece(Piece { fin: true, ..client(3, b"de") });
    rig.piece(Piece { fin: true, ..client(5, b"") });
    assert_eq!(rig.out.fins, [1, 0]);
    // A FIN that was lost, but acknowledged, is not a missing byte.
    let mut rig = Rig::new();
    rig.assembler.start(Side::Client, 0);
    rig.assembler.start(Side::Server, 50);
    rig.piece(client(0, b"QUIT"));
    rig.piece(Piece { side: Side::Server, seq: 50, ack: Some(5), fin: true, ..client(0, b"") });
    rig.finish();
    assert_eq!((rig.out.fins, rig.counters.gap_bytes), ([1, 1], 0));
}

#[test]
fn nonsense_numbers_make_no_hole() {
    let mut rig = Rig::new();
    rig.assembler.start(Side::Client, 0);
    rig.piece(client(0, b"a"));
    rig.piece(client(0x7000_0000, b"b"));
    rig.piece(client(0x9000_0000, b"b"));
    rig.finish();
    assert_eq!(text(&rig.out.streams[0]), "a");
    assert_eq!(rig.counters.malformed, 2);
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// A dialogue is a list of turns; each is cut into segments whose acknowledgements are right.
fn segments(
    random: &mut Random,
    streams: &[Vec<u8>; 2],
    turns: &[(Side, usize)],
) -> Vec<(Side, usize, usize, usize)> {
    let mut sent = [0usize; 2];
    let mut all = Vec::new();
    for &(side, len) in turns {
        let end = (sent[side as usize] + len).min(streams[side as usize].len());
        while sent[side as usize] < end {
            let n = 1 + random.below(end - sent[side as usize]).min(40);
            let from = sent[side as usize];
            all.push((side, from, from + n, sent[side.other() as usize]));
            sent[side as usize] += n;
        }
    }
    all
}

/// What must come out when every segment in `seen` arrived in some order: each byte that any of them carries.
fn reference(
    len: usize,
    side: Side,
    seen: &[(Side, usize, usize, usize)],
    bytes: &[u8],
) -> Vec<u16> {
    let mut out = vec![LOST; len];
    for &(s, from, to, _) in seen {
        if s == side {
            for i in from..to {
                out[i] = u16::from(bytes[i]);
            }
        }
    }
    out
}

#[test]
fn any_cut_order_duplication_and_loss() {
    for seed in 1..3000u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let streams: [Vec<u8>; 2] = core::array::from_fn(|_| {
            (0..1 + random.below(400)).map(|_| b'a' + random.below(26) as u8).collect()
        });
        let turns: Vec<(Side, usize)> = (0..20)
            .map(|i| (if i % 2 == 0 { Side::Server } else { Side::Client }, random.below(60)))
            .collect();
        let mut seen = segments(&mut random, &streams, &turns);
        let loses = seed % 3 == 0;
        if loses {
            seen.retain(|_| random.below(10) != 0);
        }
        for _ in 0..random.below(4) {
            if let Some(&s) = seen.get(random.below(seen.len())) {
                let at = random.below(seen.len());
                seen.insert(at, s);
            }
        }
        // Packets overtake others by a few places, as on a real path.
        for _ in 0..random.below(10) {
            let i = random.below(seen.len());
            let j = (i + random.below(4)).min(seen.len().saturating_sub(1));
            if i < j {
                seen[i..=j].rotate_left(1);
            }
        }
        let bases = [random.next() as u32, random.next() as u32];
        let mut rig = Rig::new();
        rig.assembler.start(Side::Client, bases[0]);
        rig.assembler.start(Side::Server, bases[1]);
        for &(side, from, to, acked) in &seen {
            rig.piece(Piece {
                side,
                at: Stamp::ZERO,
                seq: bases[side as usize].wrapping_add(from as u32),
                ack: Some(bases[side.other() as usize].wrapping_add(acked as u32)),
                fin: false,
                payload: &streams[side as usize][from..to],
                len: (to - from) as u32,
            });
        }
        rig.finish();
        for side in [Side::Client, Side::Server] {
            let ours = &rig.out.streams[side as usize];
            let theirs = reference(ours.len(), side, &seen, &streams[side as usize]);
            assert_eq!(text(ours), text(&theirs), "seed {seed}, {side:?}");
            let last = seen.iter().filter(|s| s.0 == side).map(|s| s.2).max().unwrap_or(0);
            assert!(ours.len() >= last, "seed {seed}, {side:?}: the end is missing");
        }
        for (side, acked, had) in &rig.out.order {
            // One more is what a FIN looks like that was not seen: at the very end it is taken for that.
            assert!(
                acked.unwrap() as usize <= *had + 1,
                "seed {seed}: {side:?} was heard before what it answers"
            );
        }
        assert_eq!(rig.counters.overlaps_differing, 0, "seed {seed}");
        if !loses {
            assert_eq!(rig.counters.gaps, 0, "seed {seed}");
        }
    }
}

#[test]
fn hostile_pieces_stay_within_the_caps() {
    for seed in 1..200u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut rig = Rig::new();
        rig.limits.reorder_bytes = 2000;
        rig.limits.reorder_segments = 20;
        rig.limits.reorder_total = 3000;
        let payload = [b'x'; 700];
        for _ in 0..400 {
            let side = if random.below(2) == 0 { Side::Client } else { Side::Server };
            let n = random.below(700);
            let wild = random.below(20) == 0;
            let seq = if wild { random.next() as u32 } else { random.below(20_000) as u32 };
            let ack = (random.below(3) > 0)
                .then(|| if wild { random.next() as u32 } else { random.below(20_000) as u32 });
            rig.piece(Piece {
                side,
                at: Stamp::ZERO,
                seq,
                ack,
                fin: random.below(50) == 0,
                payload: &payload[..n],
                len: (n + if random.below(30) == 0 { 100 } else { 0 }) as u32,
            });
            let Assembler { held, held_bytes, .. } = &rig.assembler;
            assert!(*held_bytes <= 2000 && held.len() <= 20, "seed {seed}");
            let taken: usize = held.iter().map(|h| HELD + h.bytes.capacity()).sum();
            assert!(rig.reserve.held() == taken && taken <= 3000, "seed {seed}: {taken}");
        }
        rig.finish();
    }
}
