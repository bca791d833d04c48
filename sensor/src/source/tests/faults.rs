//! What is wrong costs what follows it and nothing else.

use super::made::*;
use super::*;

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
    type Damage<'a> = &'a dyn Fn(&mut Made);
    let cases: [(&str, Damage<'_>); 9] = [
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
        ("lengths of a packet that differ", &|made| {
            made.enhanced(0, 0, b"four", 4, &[]);
            *made.bytes.iter_mut().nth_back(3).unwrap() += 4;
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
