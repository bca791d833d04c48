//! Generated captures of every format, cut and damaged everywhere; other people's captures against another reader.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A frame that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Owned {
    at: u64,
    link: LinkType,
    iface: u32,
    data: Vec<u8>,
    orig_len: u32,
}

/// What came out of reading.
#[derive(Debug, Default)]
struct Outcome {
    frames: Vec<Owned>,
    errors: Vec<SourceError>,
    lost: u64,
}

impl Outcome {
    fn of((mut captures, mut errors): (Captures, Vec<SourceError>)) -> Self {
        let mut frames = Vec::new();
        while let Some(Frame { at, link, iface, data, orig_len }) = captures.next() {
            assert!(orig_len as usize >= data.len());
            frames.push(Owned { at: at.as_nanos(), link, iface, data: data.to_vec(), orig_len });
        }
        assert!(captures.next().is_none(), "the end stays the end");
        errors.extend(captures.take_errors());
        assert!(captures.take_errors().is_empty());
        Self { frames, errors, lost: captures.lost() }
    }

    fn whole(self) -> Vec<Owned> {
        assert!(self.errors.is_empty(), "{}", self.errors[0]);
        self.frames
    }

    fn only_error(&self) -> &SourceError {
        assert_eq!(self.errors.len(), 1, "{:?}", self.errors);
        &self.errors[0]
    }
}

/// Gives bytes in pieces of 1 to `most`.
struct Pieces {
    bytes: Vec<u8>,
    given: usize,
    most: usize,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = if self.most == usize::MAX { self.most } else { self.given % self.most + 1 };
        let n = n.min(into.len()).min(self.bytes.len() - self.given);
        into[..n].copy_from_slice(&self.bytes[self.given..self.given + n]);
        self.given += n;
        Ok(n)
    }
}

fn input(name: &str, bytes: &[u8], most: usize) -> (PathBuf, Box<dyn Read + Send>) {
    (name.into(), Box::new(Pieces { bytes: bytes.to_vec(), given: 0, most }))
}

fn read(bytes: &[u8]) -> Outcome {
    Outcome::of(Captures::of(vec![input("capture", bytes, usize::MAX)], &Options::default()))
}

fn read_in_pieces(bytes: &[u8], most: usize) -> Outcome {
    Outcome::of(Captures::of(vec![input("capture", bytes, most)], &Options::default()))
}

/// A directory of the test's own, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "botlike-source-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn put16(big: bool, number: u16) -> [u8; 2] {
    if big { number.to_be_bytes() } else { number.to_le_bytes() }
}

fn put32(big: bool, number: u32) -> [u8; 4] {
    if big { number.to_be_bytes() } else { number.to_le_bytes() }
}

fn put64(big: bool, number: u64) -> [u8; 8] {
    if big { number.to_be_bytes() } else { number.to_le_bytes() }
}

/// A capture being made; remembers where each record or block ends, and whether a frame ends there.
#[derive(Clone, Default)]
struct Made {
    bytes: Vec<u8>,
    ends: Vec<(usize, bool)>,
    big: bool,
    modified: bool,
}

impl Made {
    fn pcap(magic: u32, big: bool, link: u32) -> Self {
        let mut made = Self { big, modified: magic == 0xa1b2_cd34, ..Self::default() };
        for field in
            [put32(big, magic), [0; 4], [0; 4], [0; 4], put32(big, 65_535), put32(big, link)]
        {
            made.bytes.extend(field);
        }
        made.bytes[4..6].copy_from_slice(&put16(big, 2));
        made.bytes[6..8].copy_from_slice(&put16(big, 4));
        made.ends.push((24, false));
        made
    }

    fn record(&mut self, seconds: u32, fraction: u32, data: &[u8], orig_len: u32) {
        for number in [seconds, fraction, data.len() as u32, orig_len] {
            self.bytes.extend(put32(self.big, number));
        }
        if self.modified {
            self.bytes.extend([2, 0, 0, 0, 8, 0, 4, 0]);
        }
        self.bytes.extend(data);
        self.ends.push((self.bytes.len(), true));
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let total = (body.len().next_multiple_of(4) + 12) as u32;
        self.bytes.extend(put32(self.big, kind));
        self.bytes.extend(put32(self.big, total));
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.bytes.extend(put32(self.big, total));
        self.ends.push((self.bytes.len(), matches!(kind, 2 | 3 | 6)));
    }

    fn section(&mut self, big: bool) {
        self.big = big;
        let mut body = put32(big, 0x1a2b_3c4d).to_vec();
        body.extend(put16(big, 1));
        body.extend(put16(big, 0));
        body.extend(put64(big, u64::MAX));
        body.extend(self.options(&[(4, b"a tool")]));
        self.block(0x0a0d_0d0a, &body);
    }

    fn options(&self, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend(put16(self.big, *code));
            bytes.extend(put16(self.big, value.len() as u16));
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            bytes.extend([0; 4]);
        }
        bytes
    }

    fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) {
        let mut body = put16(self.big, link).to_vec();
        body.extend([0; 2]);
        body.extend(put32(self.big, snaplen));
        body.extend(self.options(options));
        self.block(1, &body);
    }

    fn enhanced(
        &mut self,
        iface: u32,
        ticks: u64,
        data: &[u8],
        orig_len: u32,
        options: &[(u16, &[u8])],
    ) {
        let mut body = Vec::new();
        for number in [iface, (ticks >> 32) as u32, ticks as u32, data.len() as u32, orig_len] {
            body.extend(put32(self.big, number));
        }
        body.extend(data);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(self.options(options));
        self.block(6, &body);
    }

    fn obsolete(&mut self, iface: u16, drops: u16, ticks: u64, data: &[u8], orig_len: u32) {
        let mut body = put16(self.big, iface).to_vec();
        body.extend(put16(self.big, drops));
        for number in [(ticks >> 32) as u32, ticks as u32, data.len() as u32, orig_len] {
            body.extend(put32(self.big, number));
        }
        body.extend(data);
        self.block(2, &body);
    }

    fn simple(&mut self, orig_len: u32, data: &[u8]) {
        let mut body = put32(self.big, orig_len).to_vec();
        body.extend(data);
        self.block(3, &body);
    }

    fn statistics(&mut self, iface: u32, options: &[(u16, &[u8])]) {
        let mut body = put32(self.big, iface).to_vec();
        body.extend([0; 8]);
        body.extend(self.options(options));
        self.block(5, &body);
    }
}

const PCAP_VARIANTS: [(u32, bool); 6] = [
    (0xa1b2_c3d4, false),
    (0xa1b2_c3d4, true),
    (0xa1b2_3c4d, false),
    (0xa1b2_3c4d, true),
    (0xa1b2_cd34, false),
    (0xa1b2_cd34, true),
];

/// Three records; the second has its time before the first, the last is empty.
fn small_pcap(magic: u32, big: bool) -> Made {
    let mut made = Made::pcap(magic, big, 1);
    made.record(1_700_000_000, 999_999, b"first frame", 1514);
    made.record(1_699_999_999, 0, b"x", 1);
    made.record(u32::MAX, 7, b"", 0);
    made
}

/// Two sections of different byte order with all kinds of blocks.
fn small_pcapng() -> Made {
    let mut made = Made::default();
    made.section(false);
    made.interface(1, 0, &[(2, b"eth0"), (9, &[9])]);
    made.interface(113, 65_535, &[(2, b"any\0pad"), (9, &[6])]);
    made.enhanced(0, 1_700_000_000_000_000_001, b"nano", 60, &[]);
    made.block(4, b"names, of no interest");
    made.enhanced(
        1,
        1_700_000_000_000_002,
        b"micros",
        6,
        &[(1, b"a comment"), (4, &5_u64.to_le_bytes())],
    );
    made.simple(9, b"simple, of which nine"[..9].as_ref());
    made.statistics(
        1,
        &[(4, &100_u64.to_le_bytes()), (5, &3_u64.to_le_bytes()), (7, &4_u64.to_le_bytes())],
    );
    made.section(true);
    made.interface(1, 4, &[(2, b"eth0"), (9, &[0x80 | 10])]);
    made.interface(101, 0, &[(2, b"tun0"), (14, &(-3600_i64).to_be_bytes())]);
    made.enhanced(0, 1_700_000_000 << 10 | 512, b"half", 4, &[]);
    made.obsolete(1, 2, 1_700_003_600_000_000, b"obsolete", 8);
    made.obsolete(1, u16::MAX, 1_700_003_600_000_001, b"unknown drops", 13);
    made.simple(100, b"cut!");
    made.block(0x4000_0001, &[0xff; 1000]);
    made
}

fn frame(at: u64, link: LinkType, iface: u32, data: &[u8], orig_len: u32) -> Owned {
    Owned { at, link, iface, data: data.to_vec(), orig_len }
}

#[test]
fn all_variants_of_pcap() {
    for (magic, big) in PCAP_VARIANTS {
        let unit = if magic == 0xa1b2_3c4d { 1 } else { 1000 };
        let frames = read(&small_pcap(magic, big).bytes).whole();
        let expected = [
            frame(
                1_700_000_000_000_000_000 + 999_999 * unit,
                LinkType::Ethernet,
                0,
                b"first frame",
                1514,
            ),
            frame(1_699_999_999_000_000_000, LinkType::Ethernet, 0, b"x", 1),
            frame(u64::from(u32::MAX) * 1_000_000_000 + 7 * unit, LinkType::Ethernet, 0, b"", 0),
        ];
        assert_eq!(frames, expected, "magic {magic:x} big {big}");
    }
}

#[test]
fn flags_beside_the_link_type_are_passed_over() {
    let mut made = Made::pcap(0xa1b2_c3d4, true, 0x4400_0001);
    made.record(1, 2, b"frame", 3);
    let frames = read(&made.bytes).whole();
    // A length on the wire below that of the bytes there cannot be.
    assert_eq!(frames, [frame(1_000_002_000, LinkType::Ethernet, 0, b"frame", 5)]);
}

#[test]
fn pcapng_with_everything() {
    let outcome = read(&small_pcapng().bytes);
    // Of eth0: none. Of any: 5 told by a packet, 7 by the statistics, the same ones. Of tun0: 2.
    assert_eq!(outcome.lost, 7 + 2);
    let base = 1_700_000_000_000_000_000;
    let expected = [
        frame(base + 1, LinkType::Ethernet, 0, b"nano", 60),
        frame(base + 2_000, LinkType::LinuxSll, 1, b"micros", 6),
        frame(base + 2_000, LinkType::Ethernet, 0, b"simple, o", 9),
        frame(base + 500_000_000, LinkType::Ethernet, 0, b"half", 4),
        frame(base, LinkType::Raw, 2, b"obsolete", 8),
        frame(base + 1_000, LinkType::Raw, 2, b"unknown drops", 13),
        frame(base + 1_000, LinkType::Ethernet, 0, b"cut!", 100),
    ];
    assert_eq!(outcome.whole(), expected);
}

#[test]
fn interfaces_have_names() {
    let mut bytes = small_pcapng().bytes;
    // The same sections again keep the numbers; without a name there is none.
    bytes.extend(small_pcapng().bytes);
    let inputs =
        vec![input("a", &bytes, 99), input("b", &small_pcap(0xa1b2_c3d4, false).bytes, 99)];
    let (mut captures, errors) = Captures::of(inputs, &Options::default());
    assert!(errors.is_empty());
    while captures.next().is_some() {}
    let names: Vec<_> =
        (0..6).map(|iface| captures.interface_name(iface).map(str::to_owned)).collect();
    // Interface 0 is that of the pcap file: the interfaces of pcapng are met while reading.
    assert_eq!(
        names,
        [
            None,
            Some("eth0".into()),
            Some("any".into()),
            Some("tun0".into()),
            Some("any".into()),
            Some("tun0".into())
        ]
    );
    assert_eq!(captures.interface_name(6), None);
}

#[test]
fn resolutions_of_time() {
    for (resolution, ticks, expected) in [
        (0, 3, 3_000_000_000),
        (6, 3, 3_000),
        (9, 3, 3),
        (12, 3_999, 3),
        (127, u64::MAX, 0),
        (0, u64::MAX, u64::MAX),
        (0x80, 3, 3_000_000_000),
        (0x80 | 20, 1 << 19, 500_000_000),
        (0x80 | 127, u64::MAX, 0),
    ] {
        let mut made = Made::default();
        made.section(false);
        made.interface(1, 0, &[(9, &[resolution])]);
        made.enhanced(0, ticks, b"", 0, &[]);
        assert_eq!(
            read(&made.bytes).whole()[0].at,
            expected,
            "resolution {resolution}, ticks {ticks}"
        );
    }
}

/// Cut everywhere: the frames before are there, and the fault is named where the record starts that is not whole.
fn check_cuts(made: &Made, frames: &[Owned]) {
    for cut in 4..=made.bytes.len() {
        for outcome in [read(&made.bytes[..cut]), read_in_pieces(&made.bytes[..cut], 7)] {
            let whole = made.ends.iter().filter(|(end, is_frame)| *is_frame && *end <= cut).count();
            assert_eq!(outcome.frames, frames[..whole], "cut at {cut}");
            let start =
                made.ends.iter().map(|(end, _)| *end).filter(|end| *end <= cut).max().unwrap_or(0);
            if start == cut {
                assert!(outcome.errors.is_empty(), "cut at {cut}: {:?}", outcome.errors);
                continue;
            }
            let error = outcome.only_error();
            assert_eq!(error.offset(), start as u64, "cut at {cut}");
            let Fault::Truncated { need, have, .. } = error.fault() else {
                panic!("cut at {cut}: {error}")
            };
            assert_eq!(*have, (cut - start) as u64, "cut at {cut}: {error}");
            assert!(need > have, "cut at {cut}: {error}");
        }
    }
    for cut in 0..4 {
        let outcome = read(&made.bytes[..cut]);
        assert!(matches!(outcome.only_error().fault(), Fault::NotACapture(_)), "cut at {cut}");
    }
}

#[test]
fn cut_at_every_byte() {
    for (magic, big) in PCAP_VARIANTS {
        let made = small_pcap(magic, big);
        check_cuts(&made, &read(&made.bytes).whole());
    }
    let made = small_pcapng();
    check_cuts(&made, &read(&made.bytes).whole());
}

#[test]
fn any_damage_leaves_what_is_before_it() {
    let seed = 0x5eed_0001;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let mut bases: Vec<Made> =
        PCAP_VARIANTS.iter().map(|&(magic, big)| small_pcap(magic, big)).collect();
    bases.push(small_pcapng());
    let frames: Vec<_> = bases.iter().map(|made| read(&made.bytes).whole()).collect();
    for round in 0..20_000 {
        let which = random.below(bases.len());
        let made = &bases[which];
        let mut bytes = made.bytes.clone();
        let mut first = bytes.len();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = match random.below(4) {
                0 => 0xff,
                1 => 0,
                2 => bytes[at] ^ 1 << random.below(8),
                _ => random.next() as u8,
            };
            first = first.min(at);
        }
        let outcome = read(&bytes);
        assert!(outcome.errors.len() <= 1);
        let whole = made.ends.iter().filter(|(end, is_frame)| *is_frame && *end <= first).count();
        assert!(outcome.frames.len() >= whole, "round {round}: {bytes:x?}");
        assert_eq!(outcome.frames[..whole], frames[which][..whole], "round {round}: {bytes:x?}");
        if let Some(error) = outcome.errors.first() {
            let start = made
                .ends
                .iter()
                .map(|(end, _)| *end)
                .filter(|end| *end <= first)
                .max()
                .unwrap_or(0);
            assert!(error.offset() >= start as u64, "round {round}: {error} of {bytes:x?}");
        }
    }
}

#[test]
fn corrupt_lengths_name_the_record() {
    let mut made = small_pcap(0xa1b2_c3d4, false);
    let start = made.bytes.len() as u64;
    made.bytes.extend([0; 8]);
    made.bytes.extend((256_u32 * 1024 + 1).to_le_bytes());
    made.bytes.extend([0; 1000]);
    let outcome = read(&made.bytes);
    assert_eq!(outcome.frames.len(), 3);
    assert_eq!(outcome.only_error().offset(), start);
    assert!(matches!(outcome.only_error().fault(), Fault::Corrupt(_)));

    // The greatest frame that is none, in a buffer that is smaller than some.
    let mut made = Made::pcap(0xa1b2_c3d4, false, 1);
    made.record(1, 0, &vec![7; 256 << 10], 256 << 10);
    made.record(2, 0, b"after", 5);
    let inputs = vec![input("a", &made.bytes, 70_000), input("b", &made.bytes, usize::MAX)];
    let frames = Outcome::of(Captures::of(inputs, &Options::default())).whole();
    assert_eq!(
        frames.iter().map(|frame| frame.data.len()).collect::<Vec<_>>(),
        [256 << 10, 256 << 10, 5, 5]
    );
}

#[test]
fn pcapng_that_cannot_be() {
    let mut base = Made::default();
    base.section(false);
    base.interface(1, 0, &[]);
    let at = base.bytes.len() as u64;
    let cases: [(&str, &dyn Fn(&mut Made)); 8] = [
        ("no such interface", &|made| made.enhanced(1, 0, b"", 0, &[])),
        ("no such interface of statistics", &|made| made.statistics(7, &[])),
        ("a frame longer than its block", &|made| {
            made.enhanced(0, 0, b"four", 4, &[]);
            let len = at as usize + 20;
            made.bytes[len] = 9;
        }),
        ("lengths that differ", &|made| {
            made.block(99, b"");
            *made.bytes.iter_mut().nth_back(3).unwrap() = 16;
        }),
        ("a length below the least", &|made| {
            made.bytes.extend([6, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0])
        }),
        ("a length that is no multiple of four", &|made| {
            made.bytes.extend([9, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0])
        }),
        ("a packet block over a mebibyte", &|made| {
            made.bytes.extend([6, 0, 0, 0, 4, 0, 16, 0, 0, 0, 0, 0])
        }),
        ("a section without byte order", &|made| made.block(0x0a0d_0d0a, &[0; 16])),
    ];
    for (name, damage) in cases {
        let mut made = base.clone();
        damage(&mut made);
        let outcome = read(&made.bytes);
        assert!(
            matches!(outcome.only_error().fault(), Fault::Corrupt(_)),
            "{name}: {}",
            outcome.only_error()
        );
        assert_eq!(outcome.only_error().offset(), at, "{name}");
    }
}

#[test]
fn hostile_counts_are_bounded() {
    let mut made = Made::default();
    made.section(false);
    for _ in 0..20_000 {
        made.interface(1, 0, &[]);
    }
    assert!(matches!(read(&made.bytes).only_error().fault(), Fault::Corrupt(_)));

    // Different names in endless sections; a long one is cut at a character.
    let mut made = Made::default();
    for n in 0..20_000 {
        made.section(n % 2 == 0);
        made.interface(1, 0, &[(2, format!("{n:0127}\u{e9}").as_bytes())]);
    }
    let (mut captures, _) =
        Captures::of(vec![input("a", &made.bytes, usize::MAX)], &Options::default());
    assert!(captures.next().is_none());
    assert_eq!(captures.take_errors().len(), 1);
    assert_eq!(captures.interface_name(0).unwrap().len(), 127);
    assert_eq!(captures.interface_name(20_000), None);

    // A block of four gibibytes that is not there is passed over without being held.
    let mut made = Made::default();
    made.section(false);
    made.bytes.extend([99, 0, 0, 0, 0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let outcome = read(&made.bytes);
    let Fault::Truncated { need, have, .. } = outcome.only_error().fault() else { panic!() };
    assert_eq!((*need, *have), (0xffff_fffc, 12));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_captures() {
    let plain = small_pcapng().bytes;
    let frames = read(&plain).whole();
    let (head, tail) = plain.split_at(101);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    for (name, bytes) in [
        ("gzip", gzip(&plain)),
        ("zstd", zstd(&plain)),
        ("two gzip members", [gzip(head), gzip(tail)].concat()),
        ("two zstd frames", [zstd(head), zstd(tail)].concat()),
        ("a skippable frame first", [&skippable[..], &zstd(&plain)].concat()),
        ("gzip in zstd", zstd(&gzip(&plain))),
        ("zstd in gzip", gzip(&zstd(&plain))),
    ] {
        assert_eq!(read(&bytes).whole(), frames, "{name}");
        assert_eq!(read_in_pieces(&bytes, 5).whole(), frames, "{name} in pieces");
    }
    let error = read(&gzip(&gzip(&gzip(&plain))));
    assert!(error.only_error().to_string().contains("more than twice"), "{}", error.only_error());
}

#[test]
fn compressed_data_that_end_early() {
    let mut made = Made::pcap(0xa1b2_c3d4, false, 1);
    let mut random = Random(0x5eed_0002);
    for n in 0..2_000 {
        let data: Vec<u8> = (0..100).map(|_| random.next() as u8).collect();
        made.record(n, 0, &data, 100);
    }
    let frames = read(&made.bytes).whole();
    for packed in [gzip(&made.bytes), zstd(&made.bytes)] {
        let outcome = read(&packed[..packed.len() - 5_000]);
        let error = outcome.only_error();
        assert!(matches!(error.fault(), Fault::Unpack(_)), "{error}");
        assert!(error.to_string().contains("unpacked"), "{error}");
        // zstd unpacks blocks of up to 128 KiB: what came of the last one is lost.
        assert!(outcome.frames.len() > 500, "{}", outcome.frames.len());
        assert_eq!(outcome.frames, frames[..outcome.frames.len()]);
        assert_eq!(error.offset(), 24 + 116 * outcome.frames.len() as u64);

        let mut damaged = packed.clone();
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0x55);
        let outcome = read(&damaged);
        assert_eq!(outcome.errors.len(), 1);
    }
}

#[test]
fn a_decompression_bomb_streams() {
    let mut bomb = Made::default();
    bomb.section(false);
    bomb.bytes.extend([99, 0, 0, 0]);
    let total = 64_u32 << 20;
    bomb.bytes.extend(total.to_le_bytes());
    bomb.bytes.resize(bomb.bytes.len() + total as usize - 12, 0);
    bomb.bytes.extend(total.to_le_bytes());
    bomb.interface(1, 0, &[]);
    bomb.enhanced(0, 5, b"after", 5, &[]);
    for packed in [gzip(&bomb.bytes), zstd(&bomb.bytes)] {
        assert!(packed.len() < 1 << 20);
        let (mut captures, _) =
            Captures::of(vec![input("bomb", &packed, usize::MAX)], &Options::default());
        assert_eq!(captures.next().unwrap().data, b"after");
        assert_eq!(captures.progress(), Progress { read: packed.len() as u64, total: None });
    }
}

#[test]
fn a_pipe_is_read_as_it_comes() {
    let made = small_pcap(0xa1b2_c3d4, false);
    for pack in [<[u8]>::to_vec, gzip, zstd] as [fn(&[u8]) -> Vec<u8>; 3] {
        let (reader, mut writer) = io::pipe().unwrap();
        // The first two records, then the rest only when these were seen: members of their own, where it is packed.
        let (second, third) = (made.ends[2].0, made.ends[3].0);
        writer.write_all(&pack(&made.bytes[..second])).unwrap();
        let (mut captures, errors) =
            Captures::of(vec![("-".into(), Box::new(reader))], &Options::default());
        assert!(errors.is_empty());
        assert_eq!(captures.next().unwrap().data, b"first frame");
        assert!(captures.buffered(), "the second record came with the first");
        assert_eq!(captures.next().unwrap().data, b"x");
        assert!(!captures.buffered(), "the third was not written");
        writer.write_all(&pack(&made.bytes[second..third])).unwrap();
        assert_eq!(captures.next().unwrap().data, b"");
        drop(writer);
        assert!(captures.next().is_none());
        assert!(captures.take_errors().is_empty());
        assert_eq!(captures.progress().total, None);
    }
}

#[test]
fn merged_by_time() {
    let seed = 0x5eed_0003;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    for _ in 0..200 {
        let files = 1 + random.below(6);
        let mut inputs = Vec::new();
        let mut reference = Vec::new();
        for file in 0..files {
            let mut made = Made::pcap(0xa1b2_3c4d, file % 2 == 0, 1);
            let mut at = 0;
            for n in 0..random.below(30) {
                at += random.below(4) as u32;
                let data = [file as u8, n as u8];
                made.record(at, 0, &data, 2);
                reference.push((at, file, data));
            }
            inputs.push(input(&file.to_string(), &made.bytes, 1 + random.below(50)));
        }
        // Stable: at equal times by file, then by place in the file.
        reference.sort_by_key(|(at, file, _)| (*at, *file));
        let frames = Outcome::of(Captures::of(inputs, &Options::default())).whole();
        assert_eq!(
            frames.iter().map(|frame| &frame.data[..]).collect::<Vec<_>>(),
            reference.iter().map(|(_, _, data)| &data[..]).collect::<Vec<_>>()
        );
        for frame in frames {
            assert_eq!(frame.iface, u32::from(frame.data[0]), "one interface for each file");
        }
    }
}

#[test]
fn a_faulty_file_ends_and_the_others_go_on() {
    let scratch = Scratch::new();
    let made = small_pcap(0xa1b2_c3d4, false);
    let good = scratch.file("good.pcap", &made.bytes);
    let cut = scratch.file("cut.pcap", &made.bytes[..made.ends[2].0 + 5]);
    let text = scratch.file("notes.txt", b"these are notes\n");
    let gone = scratch.0.join("gone.pcap");
    let paths = [gone.clone(), good, text.clone(), cut.clone(), scratch.0.clone()];
    let (mut captures, errors) = Captures::open(&paths, &Options::default());
    let names: Vec<_> = errors.iter().map(SourceError::path).collect();
    assert_eq!(names, [gone.as_path(), &text, &scratch.0]);
    assert_eq!(captures.progress().total, Some((made.bytes.len() + made.ends[2].0 + 5) as u64));
    let mut frames = 0;
    while captures.next().is_some() {
        frames += 1;
    }
    assert_eq!(frames, 3 + 2);
    let errors = captures.take_errors();
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].path(), errors[0].offset()), (cut.as_path(), made.ends[2].0 as u64));
    assert_eq!(captures.progress().read, captures.progress().total.unwrap());
}

#[test]
fn what_is_not_a_capture_is_said_in_one_line() {
    let mut tar = vec![0; 512];
    tar[..4].copy_from_slice(b"file");
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, says) in [
        (&b""[..], "empty"),
        (b"hello\nworld\n", "text"),
        (b"\n\r\r\nlines of text", "text"),
        (b"\x7fELF\x02\x01", "program"),
        (b"\xfd7zXZ\0\0", "xz"),
        (&tar, "tar"),
        (b"\x00\x01\x02\x03\x04", "unknown"),
        (&gzip(b"hello"), "compressed text"),
        (&gzip(b""), "empty inside"),
        (&zstd(b"\x00\x01\x02\x03\x04"), "unknown format inside"),
    ] {
        let outcome = read(bytes);
        let line = outcome.only_error().to_string();
        assert!(
            line.contains("not a capture") && line.contains(says) && !line.contains('\n'),
            "{says}: {line}"
        );
        assert!(line.starts_with("capture: "), "{line}");
    }
    let mut old = small_pcap(0xa1b2_c3d4, false).bytes;
    old[6] = 2;
    assert!(read(&old).only_error().to_string().contains("pcap version 2.2"));
}

#[test]
fn a_name_cannot_write_to_the_terminal() {
    let gone = Path::new("/nonexistent/\u{1b}[31m\nname");
    let (_, errors) = Captures::open(&[gone.into()], &Options::default());
    let line = errors[0].to_string();
    assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
}

#[test]
fn a_failing_read_is_told_once() {
    struct Failing(usize, Vec<u8>);
    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0 == self.1.len() {
                return Err(io::Error::from_raw_os_error(5));
            }
            let n = into.len().min(self.1.len() - self.0);
            into[..n].copy_from_slice(&self.1[self.0..self.0 + n]);
            self.0 += n;
            Ok(n)
        }
    }
    let made = small_pcap(0xa1b2_c3d4, false);
    for bytes in [made.bytes.clone(), gzip(&made.bytes[..50])] {
        let input: Box<dyn Read + Send> = Box::new(Failing(0, bytes));
        let outcome =
            Outcome::of(Captures::of(vec![("bad disk".into(), input)], &Options::default()));
        assert!(matches!(outcome.only_error().fault(), Fault::Read(_)), "{}", outcome.only_error());
    }
}

#[test]
fn what_the_writer_writes_is_read() {
    for link in
        [LinkType::Null, LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll, LinkType::LinuxSll2]
    {
        let mut writer = PcapWriter::new(Vec::new(), link).unwrap();
        writer.write(Stamp::from_nanos(1_700_000_000_123_456_789), b"frame", 1500).unwrap();
        assert!(writer.write(Stamp::MAX, b"frame", 5).is_err());
        assert!(writer.write(Stamp::ZERO, &vec![0; 256 * 1024 + 1], 5).is_err());
        let frames = read(&writer.finish().unwrap()).whole();
        assert_eq!(frames, [frame(1_700_000_000_123_456_789, link, 0, b"frame", 1500)]);
    }
}

#[cfg(feature = "libpcap")]
#[test]
fn filtered() {
    // A UDP and a TCP packet to port 25, as raw IP and as Ethernet.
    let packet = |protocol: u8| {
        let mut ip =
            vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        ip.extend([0x30, 0x39, 0, 25]);
        ip.resize(40, 0);
        ip
    };
    let ether = |protocol| [&[2; 12][..], &[8, 0], &packet(protocol)].concat();
    let mut made = Made::default();
    made.section(false);
    made.interface(1, 0, &[]);
    made.interface(101, 0, &[]);
    for n in 0..4 {
        made.enhanced(0, n, &ether(17), 54, &[]);
        made.enhanced(0, n, &ether(6), 54, &[]);
        made.enhanced(1, n, &packet(17), 40, &[]);
        made.enhanced(1, n, &packet(6), 40, &[]);
    }
    made.enhanced(1, 9, &packet(17), 40, &[]);
    let filtered = |expression: &str| {
        let options = Options { filter: Some(expression.into()) };
        Captures::of(vec![input("a", &made.bytes, usize::MAX)], &options)
    };
    let frames = Outcome::of(filtered("tcp port 25")).whole();
    assert_eq!(frames.len(), 8);
    assert!(frames.iter().all(|frame| frame.data == ether(6) || frame.data == packet(6)));

    // What the filter drops is no frame that could be had without reading.
    let (mut captures, _) = filtered("tcp port 25");
    for n in 0..8 {
        assert!(captures.next().is_some());
        assert_eq!(captures.buffered(), n < 7);
    }

    let (mut captures, errors) = filtered("tcp prot 25");
    assert!(captures.next().is_none());
    assert_eq!(errors.len(), 1);
    let line = errors[0].to_string();
    assert!(
        line.contains("filter") && line.contains("tcp prot 25") && !line.contains('\n'),
        "{line}"
    );

    // Right, but not for an interface of this capture: that is where it ends.
    let outcome = Outcome::of(filtered("ether src 02:02:02:02:02:02"));
    assert!(matches!(outcome.only_error().fault(), Fault::Filter(_)), "{}", outcome.only_error());
}

#[cfg(not(feature = "libpcap"))]
#[test]
fn a_filter_needs_libpcap() {
    let options = Options { filter: Some("tcp".into()) };
    let made = small_pcap(0xa1b2_c3d4, false);
    let outcome = Outcome::of(Captures::of(vec![input("a", &made.bytes, usize::MAX)], &options));
    assert!(outcome.frames.is_empty());
    assert!(outcome.only_error().to_string().contains("libpcap"));
}

/// What `pcap-parser` finds: seconds and fraction as in the file, bytes, and whether it came to the end.
fn oracle(bytes: &[u8]) -> (Vec<(u64, Vec<u8>, u32)>, bool) {
    use pcap_parser::{Block, PcapBlockOwned, PcapError};
    let mut reader = pcap_parser::create_reader(1 << 20, bytes).unwrap();
    let mut frames = Vec::new();
    let (mut unit, mut interfaces) = (1, Vec::new());
    loop {
        match reader.next() {
            Ok((len, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => {
                        unit = if header.is_nanosecond_precision() { 1 } else { 1000 }
                    }
                    PcapBlockOwned::Legacy(record) => {
                        let at = u64::from(record.ts_sec) * 1_000_000_000
                            + u64::from(record.ts_usec) * unit;
                        frames.push((
                            at,
                            record.data[..record.caplen as usize].to_vec(),
                            record.origlen,
                        ));
                    }
                    PcapBlockOwned::NG(Block::SectionHeader(_)) => interfaces.clear(),
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        interfaces.push((
                            interface.ts_resolution().unwrap(),
                            interface.ts_offset() as u64,
                        ));
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        let (resolution, offset) = interfaces[packet.if_id as usize];
                        let (seconds, fraction) = packet.decode_ts(offset, resolution);
                        let nanos = u64::from(fraction) * (1_000_000_000 / resolution);
                        let at = u64::from(seconds) * 1_000_000_000 + nanos;
                        frames.push((
                            at,
                            packet.data[..packet.caplen as usize].to_vec(),
                            packet.origlen,
                        ));
                    }
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(len);
            }
            Err(PcapError::Eof) => return (frames, true),
            Err(PcapError::Incomplete(_)) => {
                if reader.reader_exhausted() {
                    return (frames, false);
                }
                reader.refill().unwrap();
            }
            Err(_) => return (frames, false),
        }
    }
}

#[test]
fn other_peoples_captures_against_another_reader() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let Ok(directory) = fs::read_dir(&captures) else {
        println!("skipped: captures ({} is not there)", captures.display());
        return;
    };
    let mut files = 0;
    for entry in directory {
        let path = entry.unwrap().path();
        if !path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            continue;
        }
        files += 1;
        let bytes = fs::read(&path).unwrap();
        let (expected, whole) = oracle(&bytes);
        let outcome = Outcome::of(Captures::open(&[path.clone()], &Options::default()));
        let frames: Vec<_> =
            outcome.frames.iter().map(|f| (f.at, f.data.clone(), f.orig_len)).collect();
        assert!(
            frames == expected,
            "{}: {} frames, {} there",
            path.display(),
            frames.len(),
            expected.len()
        );
        assert_eq!(outcome.errors.is_empty(), whole, "{}: {:?}", path.display(), outcome.errors);
        for packed in [gzip(&bytes), zstd(&bytes)] {
            assert!(read(&packed).frames == outcome.frames, "{}", path.display());
        }
        if path.ends_with("OISF__smtp-to-comma.pcap") {
            // Three bytes were edited into record 18; what follows it is no record header.
            assert_eq!((frames.len(), outcome.only_error().offset()), (18, 3695));
        }
    }
    assert!(files > 50, "{files} captures");
}
