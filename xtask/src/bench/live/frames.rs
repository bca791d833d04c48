//! What the probe takes for a frame in the kernel: of no interest, and copied.
//!
//! Frames of up to some kilobytes are given to the program of a sensor that runs (`BPF_PROG_TEST_RUN`), and what an empty
//! program takes is subtracted. That call takes no larger ones: for 64 KB bulk data pass the interface, and the kernel counts.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use super::super::lab::{End, Lab, Running, SERVER};
use super::super::measure::median;
use super::bpf::{self, Program, Statistics};
use super::sensors::{Sensor, Watching};

/// Runs of a frame of no interest at a time.
const MANY: u32 = 1_000_000;
/// Bytes that go into the ring in one go: a quarter of it, and then its reader gets time to empty it.
const BURST: u32 = 4 << 20;
const REST: Duration = Duration::from_millis(40);
/// A port of interest on which no mail server listens here, for bulk data.
const BULK: u16 = 587;
/// Bytes that TCP puts into one frame at most for an interface that leaves segmentation to hardware: 45 segments.
const FRAME: &str = "65160";

/// One row: nanoseconds for a frame.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) interest: bool,
    pub(super) nanos: f64,
    pub(super) how: &'static str,
}

pub(super) struct Frames {
    pub(super) rows: Vec<Row>,
    /// Lost meanwhile: then what was copied cost less than it should have.
    pub(super) lost: u64,
}

pub(super) fn measure(lab: &Lab, botlike: &Path, quick: bool) -> Result<Frames> {
    let ports = format!("25,{BULK}");
    let watching = Watching::start(lab, Sensor::Tcx, botlike, &["--ports", &ports])?;
    let program = Program::of(watching.pid(), "botlike_out")?;
    let goes = if quick { 3 } else { 15 };
    let namespace = lab.proc(End::Client, "ns/net");
    let foreign = "of no interest";
    let kinds = [
        Kind::new("TCP over IPv4, 100 B", foreign, frame(false, 6, 443, 100), false),
        Kind::new("TCP over IPv4, 1.5 KB", foreign, frame(false, 6, 443, 1514), false),
        Kind::new("TCP over IPv6, 1.5 KB", foreign, frame(true, 6, 443, 1514), false),
        Kind::new("UDP over IPv4, 1.5 KB", foreign, frame(false, 17, 443, 1514), false),
        Kind::new("SMTP, 100 B", "copied", frame(false, 6, 25, 100), true),
        Kind::new("SMTP, 1.5 KB", "copied", frame(false, 6, 25, 1514), true),
    ];
    let mut rows = bpf::in_namespace(&namespace, || small(&program, &kinds, goes))?;
    rows.push(bulk(lab, &program, if quick { 100 } else { 400 })?);
    watching.settle()?;
    let mut lost = watching.end()?.lost.sum();
    let watching = Watching::start(lab, Sensor::Metadata, botlike, &[])?;
    let program = Program::of(watching.pid(), "botlike_out")?;
    let what = "headers alone, with `metadata`";
    let kinds = [Kind::new("SMTP, 1.5 KB", what, frame(false, 6, 25, 1514), true)];
    rows.extend(bpf::in_namespace(&namespace, || small(&program, &kinds, goes))?);
    lost += watching.end()?.lost.sum();
    Ok(Frames { rows, lost })
}

struct Kind {
    what: String,
    frame: Vec<u8>,
    interest: bool,
}

impl Kind {
    fn new(what: &str, fate: &str, frame: Vec<u8>, interest: bool) -> Self {
        Self { what: format!("{what}, {fate}"), frame, interest }
    }
}

fn small(program: &Program, kinds: &[Kind], goes: usize) -> Result<Vec<Row>> {
    // SAFETY: the name is a string that ends with a zero.
    let ifindex = unsafe { libc::if_nametoindex(c"wire0".as_ptr()) };
    let empty = Program::empty()?;
    let mut rows = Vec::new();
    for Kind { what, frame, interest } in kinds {
        // The two smallest sizes of records, with what the ring adds.
        let record = if frame.len() < 200 { 264 } else { 1672 };
        let times = if *interest { BURST / record } else { MANY };
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..goes {
            without.push(empty.run(frame, ifindex, MANY)?);
            with.push(program.run(frame, ifindex, times).context(what.clone())?);
            if *interest {
                sleep(REST);
            }
        }
        // A frame that is not copied takes always the same, unless something comes between.
        let least = |values: Vec<f64>| values.into_iter().fold(f64::INFINITY, f64::min);
        let typical = if *interest { median } else { least };
        let nanos = typical(with) - typical(without);
        let how = if *interest { "test runs, median" } else { "test runs, least" };
        rows.push(Row { what: what.clone(), interest: *interest, nanos, how });
    }
    Ok(rows)
}

/// Bulk data through the interface, in frames as large as it takes before they are cut into packets.
fn bulk(lab: &Lab, program: &Program, megabytes: u64) -> Result<Row> {
    let own = |args: &[&str]| -> Result<std::process::Command> {
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command.arg("bench").args(args);
        Ok(command)
    };
    let address = format!("{SERVER}:{BULK}");
    let _sink = lab.serve(&own(&["bulk-sink", &address])?, BULK)?;
    let statistics = Statistics::on()?;
    let (before, sent_before) = (program.ran()?, sent(lab)?);
    let source = own(&["bulk-source", &address, &megabytes.to_string(), FRAME])?;
    Running::start(&mut lab.inside(End::Client, &source))?.finish()?;
    let (after, sent_after) = (program.ran()?, sent(lab)?);
    // What the statistics' clock takes itself: an empty program shows it.
    let empty = Program::empty()?;
    empty.run(&frame(false, 6, 443, 100), 0, MANY)?;
    let clock = empty.ran()?.each();
    drop(statistics);
    let bytes = (sent_after.0 - sent_before.0) as f64 / (sent_after.1 - sent_before.1) as f64;
    Ok(Row {
        what: format!("bulk data on SMTP's ports, {:.0} KB on average, copied", bytes / 1000.0),
        interest: true,
        nanos: after.since(before).each() - clock,
        how: "frames that really pass, the kernel's statistics less their clock",
    })
}

/// Bytes and frames that left by the wire so far.
fn sent(lab: &Lab) -> Result<(u64, u64)> {
    let text = std::fs::read_to_string(lab.proc(End::Client, "net/dev"))?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("wire0:"));
    let mut fields = line.context("no wire0")?.split_whitespace().skip(8);
    let mut next = || fields.next().and_then(|field| field.parse().ok()).context("/proc/net/dev");
    Ok((next()?, next()?))
}

/// A frame of that length. Its checksums are left out: the probe judges none.
fn frame(six: bool, protocol: u8, port: u16, length: usize) -> Vec<u8> {
    let mut frame = vec![0; 12];
    let inner = length - 14;
    if six {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(u16::try_from(inner - 40).unwrap_or(0).to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        frame.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    } else {
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(u16::try_from(inner).unwrap_or(0).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 198, 18, 0, 10, 198, 18, 0, 25]);
    }
    frame.extend(40_000_u16.to_be_bytes());
    frame.extend(port.to_be_bytes());
    if protocol == 6 {
        // Sequence numbers, an ACK with data, a window.
        frame.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    } else {
        frame.extend(u16::try_from(inner - 20).unwrap_or(0).to_be_bytes());
        frame.extend([0, 0]);
    }
    frame.resize(length, b'a');
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_what_they_say() {
        for (six, protocol, header) in [(false, 6, 54), (true, 6, 74), (false, 17, 42)] {
            let frame = frame(six, protocol, 25, 1514);
            assert_eq!(frame.len(), 1514);
            assert_eq!(
                (frame[header - 1] == b'a', frame[header], frame[1513]),
                (false, b'a', b'a')
            );
            let at = if six { 54 } else { 34 };
            assert_eq!(frame[at + 2..at + 4], [0, 25]);
        }
    }
}
