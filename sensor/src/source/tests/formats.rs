//! What is right is read as it is meant.

use super::made::*;
use super::*;

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
        let outcome = Outcome::of(Captures::open(std::slice::from_ref(&path), &Options::default()));
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
