//! What a tracked connection costs: captures with 10 000 and with 1 000 000 connections open at a time, made here.
//!
//! Only the difference of two runs is taken: connections opened, and the same ones followed by more packets of each in
//! turn. So start, output and end cancel out, and what is left is the cost of a packet of a connection that is known.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::measure::{self, median};
use super::{captures, pcap, peers};
use crate::run;

/// Few connections, and many.
const FEW: u32 = 10_000;
const MANY: u32 = 1_000_000;
/// Clients, each with an equal share of the connections.
const CLIENTS: u32 = 40;
/// Packets after the opening of all connections, the same number in both captures.
const MORE: u32 = 3_000_000;

/// What was measured, in medians.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flows {
    /// Bytes of resident memory for a connection more.
    pub(super) bytes: f64,
    /// Nanoseconds of processor time for a packet with few connections open.
    pub(super) few: f64,
    /// The same with many.
    pub(super) many: f64,
    /// Nanoseconds for reading a packet without looking at it (tcpdump), for scale.
    pub(super) copy: f64,
}

pub(super) fn measure(rounds: usize, quick: bool) -> Result<Flows> {
    let scale = if quick { 20 } else { 1 };
    let (few, many, more) = (FEW / scale, MANY / scale, MORE / scale);
    let folder = captures::folder();
    std::fs::create_dir_all(&folder)?;
    let have = |flows: u32, more: u32| -> Result<PathBuf> {
        let path = folder.join(format!("open-{flows}-{more}.pcap"));
        if !path.exists() {
            let draft = path.with_extension("draft");
            make(&draft, flows, more)?;
            std::fs::rename(&draft, &path)?;
        }
        Ok(path)
    };
    let paths = [have(few, 0)?, have(few, more)?, have(many, 0)?, have(many, more)?];
    let config = folder.join("flows.toml");
    std::fs::write(&config, format!("[limits]\nflows = {}\n", MANY + MANY / 8))?;
    let botlike = run::release_botlike()?;
    let tcpdump = crate::tools::find("tcpdump")?;
    let mut runs: [Vec<measure::Usage>; 4] = Default::default();
    let mut copies = Vec::new();
    for round in 1..=rounds {
        eprintln!("bench: flows, round {round} of {rounds}");
        for (path, runs) in paths.iter().zip(&mut runs) {
            let mut command = Command::new(&botlike);
            command.arg("read").arg(path).arg("-c").arg(&config).args([
                "--workers",
                "1",
                "--format",
                "json",
            ]);
            runs.push(measure::run(&mut command, &folder.join("flows.out"))?);
        }
        let mut copy = tcpdump.command();
        peers::tcpdump_copy(&mut copy, &paths[3]);
        copies.push(measure::run(&mut copy, &folder.join("flows.out"))?);
    }
    let cpu = |at: usize| median(runs[at].iter().map(|run| run.cpu));
    let peak = |at: usize| median(runs[at].iter().map(|run| run.peak));
    Ok(Flows {
        bytes: (peak(2) - peak(0)) * f64::from(1 << 20) / f64::from(many - few),
        few: (cpu(1) - cpu(0)) * 1e9 / f64::from(more),
        many: (cpu(3) - cpu(2)) * 1e9 / f64::from(more),
        copy: median(copies.iter().map(|run| run.cpu)) * 1e9 / f64::from(2 * many + more),
    })
}

/// Connections whose server answered and whose client said no more, then SYN-ACKs again and again, of each in turn.
///
/// Half-open ones, as a host makes them whose port 25 is blocked somewhere behind the sensor: they are tracked as all
/// others, and leave no line behind, so that the cost of printing a million lines does not hide that of tracking.
fn make(path: &Path, flows: u32, more: u32) -> Result<()> {
    eprintln!("bench: making {}", path.display());
    let mut writer = pcap::Writer::create(path)?;
    // A microsecond apart: 5 s in all, so that no time-out passes.
    let mut at = 1_700_000_000_000_000;
    let mut put = |flow: u32, answer: bool| {
        at += 1;
        writer.packet(at, &frame(flow, answer))
    };
    for flow in 0..flows {
        put(flow, false)?;
        put(flow, true)?;
    }
    for number in 0..more {
        put(number % flows, true)?;
    }
    writer.finish()
}

/// A SYN of the flow of this number, or its SYN-ACK. Checksums are left out: nobody here judges them.
fn frame(flow: u32, answer: bool) -> [u8; 54] {
    let mut frame = [0; 54];
    frame[12] = 8;
    frame[14..24].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
    // The same hosts in all captures, so that what is kept of a host cancels out too.
    let client = (0xc612_0000 + flow % CLIENTS).to_be_bytes();
    let server = [198, 19, 0, 25];
    let port = (1024 + u16::try_from(flow / CLIENTS).unwrap_or(0)).to_be_bytes();
    let (from, to) = if answer { (server, client) } else { (client, server) };
    frame[26..30].copy_from_slice(&from);
    frame[30..34].copy_from_slice(&to);
    let (from, to) = if answer { ([0, 25], port) } else { (port, [0, 25]) };
    frame[34..36].copy_from_slice(&from);
    frame[36..38].copy_from_slice(&to);
    frame[38..42].copy_from_slice(&flow.to_be_bytes());
    if answer {
        frame[42..46].copy_from_slice(&(flow + 1).to_be_bytes());
    }
    (frame[46], frame[47]) = (0x50, if answer { 0x12 } else { 0x02 });
    frame[48..50].copy_from_slice(&[0xff, 0xff]);
    frame
}
