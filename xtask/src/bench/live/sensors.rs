//! The sensors that are compared: started, waited for, ended, and what they then say of themselves.

use std::fs::File;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::lab::{End, Lab, Running};
use super::process::{self, Taken};
use crate::tools;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sensor {
    Tcx,
    AfPacket,
    Metadata,
    Tcpdump,
}

impl Sensor {
    pub(super) const ALL: [Self; 4] = [Self::Tcx, Self::AfPacket, Self::Metadata, Self::Tcpdump];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tcx => "botlike, TCX",
            Self::AfPacket => "botlike, AF_PACKET",
            Self::Metadata => "botlike, TCX, `metadata`",
            Self::Tcpdump => "tcpdump",
        }
    }

    pub(super) const fn how(self) -> &'static str {
        match self {
            Self::Tcx => {
                "`botlike watch -i wire0 --observe full --method tcx --format json -o FILE`"
            }
            Self::AfPacket => "the same with `--method af_packet`",
            Self::Metadata => "the same with `--method tcx --observe metadata`",
            Self::Tcpdump => "`tcpdump -i wire0 -w /dev/null 'port 25'`",
        }
    }

    /// Whether it sees messages, rather than connections alone.
    pub(super) const fn sees_messages(self) -> bool {
        matches!(self, Self::Tcx | Self::AfPacket)
    }

    pub(super) const fn is_botlike(self) -> bool {
        !matches!(self, Self::Tcpdump)
    }
}

/// What a sensor lost, by its own count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) ring: u64,
    pub(super) kernel: u64,
    pub(super) unreadable: u64,
    pub(super) lines: u64,
}

impl Lost {
    pub(super) const fn sum(self) -> u64 {
        self.ring + self.kernel + self.unreadable + self.lines
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.ring += other.ring;
        self.kernel += other.kernel;
        self.unreadable += other.unreadable;
        self.lines += other.lines;
    }
}

/// What a sensor told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) lost: Lost,
    pub(super) sessions: u64,
    pub(super) messages: u64,
}

/// A sensor that runs on the mail host.
pub(super) struct Watching {
    sensor: Sensor,
    running: Running,
    out: PathBuf,
    said: PathBuf,
}

impl Watching {
    /// Starts it, and waits until it watches.
    pub(super) fn start(lab: &Lab, sensor: Sensor, botlike: &Path, more: &[&str]) -> Result<Self> {
        let (out, said) = (super::file("jsonl"), super::file("said"));
        // Lines are appended.
        let _ = std::fs::remove_file(&out);
        let (mut command, ready) = match sensor {
            Sensor::Tcpdump => {
                let mut tcpdump = tools::find("tcpdump")?.command();
                // Its own user might not be there.
                tcpdump.args(["-Z", "root", "-i", "wire0", "-w", "/dev/null", "port 25"]);
                (tcpdump, "listening on")
            }
            _ => {
                let mut watch = Command::new(botlike);
                let observe = if sensor == Sensor::Metadata { "metadata" } else { "full" };
                let method = if sensor == Sensor::AfPacket { "af_packet" } else { "tcx" };
                watch.args(["watch", "-i", "wire0", "--observe", observe, "--method", method]);
                watch.args(["--format", "json", "-o"]).arg(&out);
                (watch, "watching wire0")
            }
        };
        command.args(more);
        let mut inside = lab.inside(End::Client, &command);
        inside.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
        let mut running = Running::start(&mut inside)?;
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&said)?;
            if text.contains(ready) {
                break;
            }
            if Instant::now() > patience || running.ended()? {
                let said = if text.trim().is_empty() { "it says nothing" } else { text.trim() };
                bail!("{} does not watch: {said}", sensor.name());
            }
            sleep(Duration::from_millis(5));
        }
        // What is done once at the start, and not for a packet.
        sleep(Duration::from_millis(200));
        Ok(Self { sensor, running, out, said })
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub(super) fn taken(&self) -> Result<Taken> {
        Taken::by(self.pid()).with_context(|| self.sensor.name())
    }

    /// Waits until what passed is read and told: until it takes no processor any more, or for some seconds.
    pub(super) fn settle(&self) -> Result<()> {
        let mut before = self.taken()?.cpu;
        for _ in 0..20 {
            sleep(Duration::from_millis(250));
            let now = self.taken()?.cpu;
            if now - before < 0.005 {
                break;
            }
            before = now;
        }
        Ok(())
    }

    pub(super) fn resident(&self) -> (f64, f64) {
        process::resident(self.pid())
    }

    /// Ends it in order.
    pub(super) fn end(mut self) -> Result<Told> {
        self.running.signal(libc::SIGINT);
        let status = self.running.wait(Duration::from_secs(30))?;
        let said = std::fs::read_to_string(&self.said)?;
        let status = status.with_context(|| format!("{} does not end", self.sensor.name()))?;
        if !status.success() {
            bail!("{} ended with {status}: {}", self.sensor.name(), said.trim());
        }
        let told = if self.sensor.is_botlike() {
            told(&self.out).with_context(|| format!("what {} told", self.sensor.name()))?
        } else {
            Told { lost: Lost { kernel: dropped(&said)?, ..Lost::default() }, ..Told::default() }
        };
        let _ = std::fs::remove_file(&self.out);
        let _ = std::fs::remove_file(&self.said);
        Ok(told)
    }
}

/// Counts lines, and reads the last one of botlike.stats.
fn told(lines: &Path) -> Result<Told> {
    let mut told = Told::default();
    let mut last = None;
    for line in std::io::BufReader::new(File::open(lines)?).lines() {
        let line = line?;
        told.sessions += u64::from(line.contains("\"dataset\":\"botlike.session\""));
        told.messages += u64::from(line.contains("\"dataset\":\"botlike.message\""));
        if line.contains("\"dataset\":\"botlike.stats\"") {
            last = Some(line);
        }
    }
    let last = last.context("there is no line of botlike.stats")?;
    told.lost = lost(&last)?;
    Ok(told)
}

/// A counter that is not there counted nothing; but then all of `stats` must not be missing.
fn lost(line: &str) -> Result<Lost> {
    let line: serde_json::Value = serde_json::from_str(line)?;
    let stats = line["botlike"]["stats"].as_object().context("a stats line without counters")?;
    let count = |name: &str| stats.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0);
    Ok(Lost {
        ring: count("lost_ring"),
        kernel: count("lost_kernel"),
        unreadable: count("lost_unreadable"),
        lines: count("lines_lost"),
    })
}

/// What tcpdump says that the kernel dropped.
fn dropped(said: &str) -> Result<u64> {
    let line = said.lines().find_map(|line| line.strip_suffix(" packets dropped by kernel"));
    line.and_then(|count| count.parse().ok())
        .with_context(|| format!("tcpdump said {:?}", said.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_read() {
        let line = "{\"botlike\":{\"stats\":{\"frames\":7,\"lost_ring\":1,\"lost_kernel\":2,\"lines_lost\":4}}}";
        let read = lost(line).unwrap();
        assert_eq!(read, Lost { ring: 1, kernel: 2, unreadable: 0, lines: 4 });
        assert_eq!(read.sum(), 7);
        assert!(lost("{}").is_err() && lost("").is_err());
        let said = "listening on wire0\n18 packets captured\n20 packets received by filter\n3 packets dropped by kernel\n";
        assert_eq!(dropped(said).unwrap(), 3);
        assert!(dropped("listening on wire0\n").is_err());
    }
}
