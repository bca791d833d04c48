//! Several captures at once, and captures that come bit by bit.

use std::io::Write;

use super::made::*;
use super::*;

/// Captures may be read by a thread of their own.
const _: fn() = || {
    fn may_move<T: Send>() {}
    may_move::<Captures>();
};

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
fn of_many_files_few_are_open() {
    let scratch = Scratch::new();
    let seed = 0x5eed_0004;
    println!("seed {seed:#x}");
    let mut random = Random(seed);
    let mut paths = Vec::new();
    let mut reference = Vec::new();
    // A minute each, the next one beginning before the one before ends; not named in the order of their times.
    for file in 0..200_u32 {
        let begin = file * 37 % 200 * 60;
        let mut made = Made::pcap(0xa1b2_3c4d, false, 1);
        let mut at = begin;
        while at < begin + 70 {
            made.record(at, 0, &file.to_le_bytes(), 4);
            reference.push((at, file));
            at += 1 + random.below(20) as u32;
        }
        let bytes = if file % 3 == 0 { gzip(&made.bytes) } else { made.bytes };
        paths.push(scratch.file(&format!("{file}.pcap"), &bytes));
    }
    paths.push(scratch.file("empty.pcap", &Made::pcap(0xa1b2_3c4d, false, 1).bytes));
    paths.push(scratch.file("cut.pcap", &small_pcap(0xa1b2_3c4d, false).bytes[..30]));
    paths.push(scratch.file("text", b"text"));
    reference.sort_by_key(|&(at, file)| (at, file));
    let (mut captures, errors) = Captures::open(&paths, &Options::default());
    assert_eq!(errors.len(), 1);
    let mut ifaces = std::collections::HashMap::new();
    for (at, file) in reference {
        let frame = captures.next().unwrap();
        assert_eq!(
            (frame.at, frame.data),
            (Stamp::from_parts(at.into(), 0), &file.to_le_bytes()[..])
        );
        assert_eq!(*ifaces.entry(frame.iface).or_insert(file), file, "one interface for each file");
        let open = captures.slots.iter().filter(|slot| matches!(slot, Slot::Open(_))).count();
        assert!(open <= 3, "{open} files open");
    }
    assert!(captures.next().is_none());
    let errors = captures.take_errors();
    assert_eq!(errors.len(), 1);
    assert_eq!((errors[0].path(), errors[0].offset()), (scratch.0.join("cut.pcap").as_path(), 24));
    assert_eq!(captures.progress().read, captures.progress().total.unwrap());
}

#[test]
fn one_readable_file_among_many() {
    let scratch = Scratch::new();
    let mut paths: Vec<_> = (0..100).map(|n| scratch.0.join(n.to_string())).collect();
    paths.push(scratch.file("good.pcap", &small_pcap(0xa1b2_c3d4, false).bytes));
    let outcome = Outcome::of(Captures::open(&paths, &Options::default()));
    assert_eq!((outcome.frames.len(), outcome.errors.len()), (3, 100));
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
