//! Captures made by an enemy: memory stays bounded, the run ends, and the counters say what was hit.

use std::fmt::Write;

use botlike_tests::frame::{Frame, Framer, Link};
use botlike_tests::packet::{Flags, Fragmented, Packet, Side};
use botlike_tests::random::Random;

use crate::kit::{Dir, Run, botlike, demo, framed, frames, pcap, piped, segment};

/// KiB. The largest that any of these needs is a third of it; the tables' worst case is far above.
const MOST: u64 = 300 << 10;

const CLIENT: [u8; 4] = [192, 0, 2, 66];

/// Reads the frames; it ends well, within its memory, and reads all.
#[track_caller]
fn survives(frames: &[Frame]) -> Run {
    let run = piped(["read", "-"], pcap(frames)).quietly(0);
    assert_eq!(run.counter("frames"), frames.len() as u64);
    assert!(run.peak < MOST, "{} KiB", run.peak);
    run
}

/// One side's bytes in a connection that was opened, in segments of this size, nothing acknowledged by the other.
fn flood(port: u16, bytes: &[u8], size: usize) -> Vec<Packet> {
    let syn = Packet { flags: Flags::SYN, ..segment(0, Side::Client, CLIENT, port, 999) };
    let answer = Packet {
        flags: Flags::SYN | Flags::ACK,
        ack: 1000,
        ..segment(1000, Side::Server, CLIENT, port, 4999)
    };
    let greeting = Packet {
        ack: 1000,
        payload: b"220 mx.example.net\r\n".to_vec(),
        ..segment(2000, Side::Server, CLIENT, port, 5000)
    };
    let pieces = bytes.chunks(size).enumerate().map(|(i, piece)| Packet {
        ack: 5020,
        payload: piece.to_vec(),
        ..segment(3000 + i as u64 * 1000, Side::Client, CLIENT, port, 1000 + (i * size) as u32)
    });
    [syn, answer, greeting].into_iter().chain(pieces).collect()
}

#[test]
fn a_flood_of_syns() {
    let mut random = Random::new(1);
    let mut random_syn = |i: u64| {
        let [a, b, c, d, p, q, ..] = random.number().to_be_bytes();
        let port = u16::from_be_bytes([p, q]) | 1024;
        Packet {
            flags: Flags::SYN,
            ..segment(i * 10_000, Side::Client, [a, b, c, d], port, i as u32)
        }
    };
    let packets: Vec<_> = (0..200_000).map(&mut random_syn).collect();
    let run = survives(&framed(&packets));
    assert!(run.counter("flows") > 199_000 && run.counter("hosts_evicted") > 100_000, "{run:?}");
}

#[test]
fn tags_without_end() {
    let mut frames = Vec::new();
    for depth in [1, 3, 100, 15_000] {
        for tail in [&[8, 0][..], &[0x81, 0], &[]] {
            let mut data = vec![2; 12];
            data.extend([0x81, 0, 0, 7].repeat(depth));
            data.extend(tail);
            frames.push(Frame { at: 1, link: 1, iface: 0, orig_len: data.len() as u32, data });
        }
    }
    let run = survives(&frames);
    assert_eq!(run.counter("malformed") + run.counter("not_ip"), frames.len() as u64);
}

#[test]
fn fragments_without_end() {
    let mut framer = Framer::new(Link::Ethernet);
    let mut frames = Vec::new();
    for i in 0..20_000u64 {
        let packet = Packet {
            payload: vec![b'x'; 600],
            fragmented: Some(Fragmented { size: 256, reversed: false }),
            ..segment(i * 1000, Side::Client, [192, 0, 2, (i % 250) as u8], 4000, i as u32)
        };
        let mut whole = Vec::new();
        framer.frames(&packet, &mut whole);
        // Each datagram lacks its last fragment.
        whole.pop();
        frames.append(&mut whole);
    }
    // And one datagram whose second fragment comes again and again, each time with other bytes.
    let again = frames[1].clone();
    for i in 0..20_000u32 {
        let mut frame = again.clone();
        frame.at = frames.last().map_or(0, |f| f.at) + 1;
        frame.data[40..44].copy_from_slice(&i.to_be_bytes());
        frames.push(frame);
    }
    let run = survives(&frames);
    assert!(run.counter("fragments") == frames.len() as u64);
    assert!(run.counter("fragments_dropped") > 30_000, "{}", run.counter("fragments_dropped"));
}

#[test]
fn a_line_without_end() {
    let mut packets = flood(4001, &vec![b'A'; 64 << 10], 1400);
    packets.extend(flood(4002, &vec![b'A'; 8 << 20], 1400));
    let run = survives(&framed(&packets));
    assert_eq!(run.counter("lines_cut"), 2);
    assert_eq!(run.of("session").len(), 2);
}

#[test]
fn recipients_without_end() {
    let mut script = String::from(
        "S: 220 mx.example.net\nC: EHLO a.example.org\nS: 250 mx\nC: MAIL FROM:<a@example.org>\nS: 250 ok\n",
    );
    for round in 0..1000 {
        for i in 0..100 {
            let _ = writeln!(script, "C: RCPT TO:<user{}@example.net>", round * 100 + i);
        }
        script.push_str(&"S: 250 ok\n".repeat(100));
    }
    script.push_str("C: DATA\nS: 354 go\nC> Subject: a\\r\\n\\r\\nb\\r\\n.\\r\\nS: 250 ok\nC: QUIT\nS: 221 bye\n~close S\n".replace("\\nS:", "\nS:").as_str());
    let run = survives(&frames(&script));
    let messages = run.of("message");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["smtp"]["rcpt_count"], 100_000);
    assert_eq!(messages[0]["smtp"]["rcpt_accepted"], 100_000);
    assert_eq!(run.counter("recipients_cut"), 100_000 - 50);
    assert!(run.text().lines().all(|line| line.len() < 32 << 10));
}

#[test]
fn a_header_section_of_ten_megabytes() {
    let mut script = String::from(
        "S: 220 mx.example.net\nC: EHLO a.example.org\nS: 250 mx\nC: MAIL FROM:<a@example.org>\nS: 250 ok\n\
         C: RCPT TO:<b@example.net>\nS: 250 ok\nC: DATA\nS: 354 go\nC: Subject: seen\n",
    );
    for field in 0..162 {
        let _ = writeln!(script, "C> X-{field}: \\{{65000*h}}\\r\\n");
    }
    script.push_str("C:\nC: body\nC: .\nS: 250 ok\nC: QUIT\nS: 221 bye\n~close S\n");
    let run = survives(&frames(&script));
    let message = &run.of("message")[0];
    assert_eq!(message["email"]["subject"], "seen");
    assert!(message["smtp"]["size"].as_u64().unwrap() > 10 << 20, "{message}");
    assert_eq!((run.counter("headers_cut"), run.of("session").len()), (1, 1));
}

#[test]
fn holes_without_end() {
    let mut packets = Vec::new();
    for port in 0..100 {
        // Every second segment of one byte is missing, in 4000 of them; and all of it backwards for every other flow.
        let mut flow = flood(5000 + port, &[b'x'; 8000], 1);
        flow = flow
            .into_iter()
            .enumerate()
            .filter(|(i, _)| *i < 3 || i % 2 == 0)
            .map(|(_, p)| p)
            .collect();
        if port % 2 == 0 {
            flow[3..].reverse();
        }
        packets.append(&mut flow);
    }
    let run = survives(&framed(&packets));
    assert!(
        run.counter("reorder_full") > 100 && run.counter("gaps") > 100_000,
        "{:?}",
        run.of("stats")
    );
    assert_eq!(run.of("session").len(), 100);
}

#[test]
fn what_waits_in_many_connections_is_bounded_together() {
    let dir = Dir::new();
    let config = dir.file("c.toml", "[limits]\nreorder_total = \"1MiB\"\n");
    // Behind a hole of one byte each: 2000 segments of 60 000 bytes, and as many of one.
    let behind_a_hole = |size: usize, port: u16| {
        let mut flow = flood(port, &vec![b'x'; size], size);
        for packet in &mut flow[3..] {
            packet.seq += 1;
        }
        flow
    };
    let large: Vec<_> = (0..2000).flat_map(|i| behind_a_hole(60_000, 10_000 + i)).collect();
    let small: Vec<_> = (0..20_000).flat_map(|i| behind_a_hole(1, 10_000 + i)).collect();
    for packets in [large, small] {
        let run = piped(["read", "-c", &config, "-"], pcap(&framed(&packets))).quietly(0);
        assert!(run.counter("reorder_full") > 1000, "{:?}", run.of("stats"));
        // Connections that are open take 2 KiB or so, each.
        assert!(run.peak < 120 << 10, "{} KiB", run.peak);
    }
}

#[test]
fn random_bytes() {
    let mut random = Random::new(7);
    let mut bytes =
        |most: u64| -> Vec<u8> { (0..random.below(most)).map(|_| random.number() as u8).collect() };
    let mut frames = Vec::new();
    for port in 0..200 {
        let mut flow = flood(6000 + port, &bytes(20_000), 500);
        let noise: Vec<_> = bytes(20_000)
            .chunks(700)
            .enumerate()
            .map(|(i, piece)| Packet {
                ack: 1000,
                payload: piece.to_vec(),
                ..segment(
                    3500 + i as u64 * 1000,
                    Side::Server,
                    CLIENT,
                    6000 + port,
                    5020 + i as u32 * 700,
                )
            })
            .collect();
        flow.extend(noise);
        flow.sort_by_key(|p| p.at);
        frames.append(&mut framed(&flow));
    }
    let sessions = survives(&frames);
    assert!(sessions.of("session").len() == 200 && sessions.counter("commands_unknown") > 200);
    // The same frames with one byte of their headers changed, and noise that never was a frame.
    let mut broken = frames;
    for frame in &mut broken {
        let place = (random.below(54) as usize).min(frame.data.len() - 1);
        frame.data[place] = random.number() as u8;
        if random.one_in(3) {
            frame.data = (0..random.below(200)).map(|_| random.number() as u8).collect();
            frame.orig_len = frame.data.len() as u32;
        }
    }
    survives(&broken);
}

/// Connections that hit every cap when caps are low, and none when they are not.
fn rich() -> Vec<Frame> {
    let mut script = String::new();
    for i in 0..4 {
        let _ = writeln!(
            script,
            "=== 192.0.2.{}:{} > 198.51.100.25:25\n@08:00:0{i}\nS: 220-mx.example.net\nS: 220-welcome\nS: 220 speak\n\
             C: EHLO pc-{i}.home\nS: 250-mx.example.net\nS: 250-PIPELINING\nS: 250 CHUNKING",
            i + 1,
            40_000 + i
        );
    }
    script.push_str(
        "=== 192.0.2.9:40009 > 198.51.100.25:25\n@08:00:05\nS: 220 mx\nC: EHLO mail.example.org\nS: 250 mx\n",
    );
    for i in 0..4 {
        let _ = writeln!(
            script,
            "C: MAIL FROM:<sender@example.org>\nC: RCPT TO:<one@example.net>\nC: RCPT TO:<two@example.net>\nC: BDAT 27 LAST\nC> Subject: a subject {i}\\r\\n\\r\\nabc"
        );
    }
    for _ in 0..4 {
        script.push_str("S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 250 ok\n");
    }
    // A message whose content comes in fragments, and then in segments of which the first is ten packets late.
    script.push_str(
        "C: MAIL FROM:<sender@example.org>\nS: 250 ok\nC: RCPT TO:<one@example.net>\nS: 250 ok\nC: DATA\nS: 354 go\n\
         ~frag 256\nC> Subject: long\\r\\n\\r\\n\\{700*abc}\\r\\n\n+1ms\n\
         ~cut 10 10 10 10 10 10 10 10 10 15\n~order 2 3 4 5 6 7 8 9 10 1\nC> \\{100*x}\\r\\n.\\r\\n\nS: 250 ok\n\
         C: QUIT\nS: 221 bye\n~close S\n",
    );
    let mut frames = frames(&script);
    // Fragments of two datagrams, interleaved.
    let fragment = |ident: u8| {
        let packet = Packet {
            payload: vec![b'y'; 400],
            fragmented: Some(Fragmented { size: 256, reversed: false }),
            ..segment(0, Side::Client, [192, 0, 2, 100 + ident], 4100, 7)
        };
        framed(&[packet])
    };
    let at = frames.last().map_or(0, |f| f.at);
    let (one, two) = (fragment(1), fragment(2));
    for (i, mut frame) in
        [one[0].clone(), two[0].clone(), one[1].clone(), two[1].clone()].into_iter().enumerate()
    {
        frame.at = at + 1_000_000 * (i as u64 + 1);
        frames.push(frame);
    }
    frames
}

#[test]
fn every_cap_has_its_counter() {
    let dir = Dir::new();
    let (rich, demo) = (dir.file("rich", pcap(&rich())), dir.file("demo", pcap(demo())));
    let table = [
        ("flows = 2", &rich, "flows_evicted"),
        ("sessions = 2", &rich, "sessions_refused"),
        ("reorder_bytes = \"20B\"", &rich, "reorder_full"),
        ("reorder_segments = 2", &rich, "reorder_full"),
        ("reorder_total = \"500B\"", &rich, "reorder_full"),
        ("reorder_packets = 3", &rich, "gaps"),
        ("fragment_datagrams = 1", &rich, "fragments_dropped"),
        ("fragment_bytes = \"300B\"", &rich, "fragments_dropped"),
        ("fragment_pieces = 1", &rich, "fragments_dropped"),
        ("fragment_timeout = \"1ms\"", &rich, "fragments_dropped"),
        ("line_bytes = \"10B\"", &rich, "lines_cut"),
        ("reply_lines = 2", &rich, "replies_cut"),
        ("pending_commands = 3", &rich, "pending_overflow"),
        ("waiting_transactions = 2", &rich, "transactions_early"),
        ("helo_bytes = \"4B\"", &rich, "values_cut"),
        ("path_bytes = \"4B\"", &rich, "values_cut"),
        ("recipients = 1", &rich, "recipients_cut"),
        ("header_bytes = \"5B\"", &rich, "headers_cut"),
        ("field_bytes = \"3B\"", &rich, "values_cut"),
        ("hosts = 2", &demo, "hosts_evicted"),
        ("findings = 2", &demo, "findings_dropped"),
    ];
    let plain: Vec<_> =
        [&rich, &demo].map(|file| (file, botlike(["read", file]).quietly(0))).into();
    let mut missed = Vec::new();
    for (limit, file, counter) in table {
        let before = plain.iter().find(|(name, _)| *name == file).unwrap().1.counter(counter);
        assert_eq!(before, 0, "{counter} without {limit}");
        let config = dir.file("c.toml", format!("[limits]\n{limit}\n"));
        for workers in ["1", "2"] {
            let run = botlike(["read", file, "-c", &config, "--workers", workers]).quietly(0);
            if run.counter(counter) == 0 {
                missed.push((limit, counter, workers));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:?}");
    // A limit that is new has to come here.
    let named =
        |name: &str| table.iter().any(|(limit, ..)| limit.starts_with(&format!("{name} =")));
    let times = ["handshake_timeout", "idle_timeout", "linger", "host_timeout", "point_silence"];
    // What several interfaces must show, and records of DNS, are tested in core; a filter that is too small takes more for known.
    let elsewhere = [
        "point_flows",
        "point_handshakes",
        "dns_records",
        "dns_filter_bytes",
        "history_filter_bytes",
    ];
    for (name, ..) in botlike_core::base::Limits::default().list() {
        let known = named(name) || times.contains(&name) || elsewhere.contains(&name);
        assert!(known, "{name}");
    }
}
