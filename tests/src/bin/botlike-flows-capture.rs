//! `botlike-flows-capture N OUT.pcap`: N connections with handshake and greeting that stay open, all within four minutes,
//! so that N are tracked at once. For measuring the flow table; written to disk as fast as it takes them.

use std::fs::File;
use std::io::{self, BufWriter};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use botlike_tests::frame::{Framer, Link};
use botlike_tests::packet::{Flags, Packet, Side};
use botlike_tests::{pcap, script};

/// All begin within this, in nanoseconds: less than the time after which a connection is given up.
const SPREAD: u64 = 240_000_000_000;
/// Clients and servers; each client has its own 1/4096 of the connections.
const CLIENTS: u64 = 4096;
const SERVERS: u64 = 1024;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (Some(count), Some(path), 2) = (
        arguments.first().and_then(|n| n.to_str()).and_then(|n| n.parse::<u64>().ok()),
        arguments.get(1),
        arguments.len(),
    ) else {
        eprintln!("usage: botlike-flows-capture N OUT.pcap");
        return ExitCode::from(2);
    };
    match write(count, Path::new(path)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("botlike-flows-capture: {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// The frames of one connection as (nanoseconds after its start, bytes). Addresses, ports and sequence numbers are written
/// over in place for the others; checksums are left as they are, as on a host that offloads them.
fn pattern() -> Vec<(u64, Vec<u8>)> {
    let client = SocketAddr::from(([0, 0, 0, 0], 0));
    let server = SocketAddr::from(([0, 0, 0, 0], 25));
    let packet = |from: Side, at, seq, ack, flags, payload: &[u8], options: &[u8]| Packet {
        at,
        skew: 0,
        conn: Some(0),
        from,
        src: if from == Side::Client { client } else { server },
        dst: if from == Side::Client { server } else { client },
        seq,
        ack,
        flags,
        window: 64_240,
        ttl: 64,
        options: options.to_vec(),
        payload: payload.to_vec(),
        fragmented: None,
        snap: None,
        vlan: None,
        point: 0,
        also: Vec::new(),
        dns: None,
        fixed: false,
    };
    let options = [2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 0, 0];
    let greeting = b"220 mx.example.net ESMTP\r\n";
    let packets = [
        packet(Side::Client, 0, 0, 0, Flags::SYN, b"", &options),
        packet(Side::Server, 1_000, 0, 1, Flags::SYN | Flags::ACK, b"", &options),
        packet(Side::Client, 2_000, 1, 1, Flags::ACK, b"", &[]),
        packet(Side::Server, 3_000, 1, 1, Flags::ACK | Flags::PSH, greeting, &[]),
    ];
    let mut framer = Framer::new(Link::Ethernet);
    let mut frames = Vec::new();
    packets.iter().for_each(|p| framer.frames(p, &mut frames));
    frames.into_iter().map(|f| (f.at, f.data)).collect()
}

fn write(count: u64, path: &Path) -> io::Result<()> {
    let mut out = pcap::Writer::new(BufWriter::with_capacity(1 << 20, File::create(path)?), 1)?;
    let mut frames = pattern();
    let start = script::stamp("2026-11-23T08:00:00Z").unwrap_or_default();
    for i in 0..count {
        let begins = start + (u128::from(SPREAD) * u128::from(i) / u128::from(count.max(1))) as u64;
        let client =
            Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(10, 0, 0, 0)) + (i % CLIENTS) as u32)
                .octets();
        let server =
            Ipv4Addr::from_bits(u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (i * 7 % SERVERS) as u32)
                .octets();
        // Every pair of client and server counts its ports from 1024 upwards.
        let port = (1024 + (i / CLIENTS) % 64_000) as u16;
        let isn = (i as u32).wrapping_mul(2_654_435_761);
        for (number, (after, data)) in frames.iter_mut().enumerate() {
            let from_client = number % 2 == 0;
            let (src, dst) = if from_client { (client, server) } else { (server, client) };
            let own = if from_client { isn } else { !isn };
            let (seq, ack) = match number {
                0 => (own, 0),
                1 => (own, isn.wrapping_add(1)),
                2 => (own.wrapping_add(1), (!isn).wrapping_add(1)),
                _ => (own.wrapping_add(1), isn.wrapping_add(1)),
            };
            // Ethernet 14, IPv4 20: addresses at 26 and 30, TCP from 34.
            data[26..30].copy_from_slice(&src);
            data[30..34].copy_from_slice(&dst);
            let place = if from_client { 34 } else { 36 };
            data[place..place + 2].copy_from_slice(&port.to_be_bytes());
            data[38..42].copy_from_slice(&seq.to_be_bytes());
            data[42..46].copy_from_slice(&ack.to_be_bytes());
            out.frame(begins + *after, data, data.len() as u32)?;
        }
    }
    out.finish().map(drop)
}
