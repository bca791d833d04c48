//! `cargo xtask bench live`: what watching costs a mail host, beside no sensor and beside tcpdump.
//!
//! Bounded in count and time; namespaces and processes go with this program, however it ends.

mod bpf;
mod frames;
mod process;
mod report;
mod sensors;
mod statistics;
mod traffic;

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::process::Taken;
use self::report::{Live, Pair, Quiet, Size, Steady};
use self::sensors::{Lost, Sensor, Watching};
use self::statistics::Chance;
use super::lab::{Lab, Running};
use super::{captures, report as page};
use crate::run;

/// See [`traffic::mail_source`].
pub(super) fn mail_source(args: &[&str]) -> Result<()> {
    traffic::mail_source(args)
}

/// The whole of it, in seconds, what is built and fetched before not counted: after that it ends, with what it started.
const LIMIT: u32 = 15 * 60;
const QUICK_LIMIT: u32 = 2 * 60;
/// Messages a second at a fixed rate.
pub(super) const RATE: u32 = 1000;

/// How much is measured.
struct Plan {
    rounds: usize,
    /// Names, bytes, and messages in a round.
    sizes: [(&'static str, u32, u32); 2],
    /// Seconds at a fixed rate, and how often.
    steady: u32,
    repeats: usize,
    /// Seconds without traffic.
    quiet: u32,
    /// No round begins that would end later than so long after all began.
    until: Duration,
}

pub(super) fn main(args: &[&str]) -> Result<()> {
    let (mut rounds, mut quick, mut botlike) = (None, false, None);
    let mut seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let mut rest = args.iter();
    while let Some(&arg) = rest.next() {
        let mut next = || rest.next().copied();
        match arg {
            "--rounds" => {
                let number = next().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
                rounds = Some(number.context("--rounds needs a number")?);
            }
            "--seed" => {
                seed = next().and_then(|n| n.parse().ok()).context("--seed needs a number")?;
            }
            "--botlike" => botlike = Some(PathBuf::from(next().context("--botlike needs a file")?)),
            "--quick" => quick = true,
            _ => bail!("bench live does not know {arg:?}"),
        }
    }
    let plan = if quick {
        Plan {
            rounds: rounds.unwrap_or(2),
            sizes: [("5 KB", 5_000, 1_000), ("60 KB", 60_000, 400)],
            steady: 2,
            repeats: 1,
            quiet: 2,
            until: Duration::from_secs(100),
        }
    } else {
        Plan {
            rounds: rounds.unwrap_or(12),
            sizes: [("5 KB", 5_000, 10_000), ("60 KB", 60_000, 4_000)],
            steady: 10,
            repeats: 3,
            quiet: 10,
            until: Duration::from_secs(13 * 60),
        }
    };
    std::fs::create_dir_all(captures::folder())?;
    let botlike = botlike.map_or_else(run::release_botlike, Ok)?;
    for tool in ["ip", "smtp-sink", "smtp-source", "tcpdump"] {
        crate::tools::find(tool)?;
    }
    // SAFETY: alarm only sets a timer; its signal ends this process, and the kernel then ends those that it started.
    unsafe { libc::alarm(if quick { QUICK_LIMIT } else { LIMIT }) };
    eprintln!("bench: seed {seed}");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    if load.split_whitespace().next().and_then(|load| load.parse::<f64>().ok()) > Some(1.0) {
        eprintln!("bench: other processes keep this machine busy: figures are for trying out");
    }
    let command = ["cargo xtask bench live", &args.join(" ")].join(" ").trim().to_owned();
    let live = measure(&plan, &botlike, command, seed, quick);
    for kind in ["err", "jsonl", "out", "said"] {
        let _ = std::fs::remove_file(file(kind));
    }
    let live = live?;
    if quick {
        println!("{}", live.part());
        return Ok(());
    }
    page::renew(page::Part::Live, &live.part())
}

fn measure(plan: &Plan, botlike: &Path, command: String, seed: u64, quick: bool) -> Result<Live> {
    let begin = Instant::now();
    let lab = Lab::new(true)?;
    traffic::many_ports(&lab);
    let sink = captures::sink(&lab)?;
    let mut chance = Chance::new(seed);
    let mut bench = Bench { lab: &lab, sink: &sink, botlike, begin, sensors: Vec::new() };
    let missing = bench.find();
    let frames = if bench.sensors.contains(&Sensor::Tcx) {
        Some(frames::measure(&lab, botlike, quick)?)
    } else {
        None
    };
    let quiet = bench.quiet(plan)?;
    let steady = bench.steady(plan, &mut chance)?;
    let sizes = bench.rounds(plan, &mut chance)?;
    eprintln!("bench: {} s", begin.elapsed().as_secs());
    let versions = [
        run::output(std::process::Command::new(botlike).arg("--version")).unwrap_or_default(),
        crate::tools::find("tcpdump")?.version("--version"),
    ];
    Ok(Live {
        command,
        versions,
        seed,
        missing,
        sizes,
        steady,
        steady_seconds: plan.steady,
        quiet,
        frames,
    })
}

struct Bench<'a> {
    lab: &'a Lab,
    sink: &'a Running,
    botlike: &'a Path,
    begin: Instant,
    sensors: Vec<Sensor>,
}

impl Bench<'_> {
    fn start(&self, sensor: Sensor) -> Result<Watching> {
        Watching::start(self.lab, sensor, self.botlike, &[])
    }

    /// Starts each sensor once. Returns those that cannot be had, and why.
    fn find(&mut self) -> Vec<(Sensor, String)> {
        let mut missing = Vec::new();
        for sensor in Sensor::ALL {
            match self.start(sensor).and_then(Watching::end) {
                Ok(_) => self.sensors.push(sensor),
                Err(error) => {
                    eprintln!("bench: without {}: {error:#}", sensor.name());
                    missing.push((sensor, format!("{error:#}")));
                }
            }
        }
        missing
    }

    /// Every sensor while nothing passes.
    fn quiet(&self, plan: &Plan) -> Result<Vec<Quiet>> {
        let mut all = Vec::new();
        for &sensor in &self.sensors {
            eprintln!("bench: {}, idle", sensor.name());
            let watching = self.start(sensor)?;
            let (before, begin) = (watching.taken()?, Instant::now());
            sleep(Duration::from_secs(u64::from(plan.quiet)));
            let (taken, seconds) = (watching.taken()?.since(before), begin.elapsed().as_secs_f64());
            let resident = watching.resident().0;
            watching.end()?;
            all.push(Quiet {
                sensor,
                cpu: taken.cpu / seconds,
                switches: taken.switches as f64 / seconds,
                resident,
            });
        }
        Ok(all)
    }

    /// Every sensor and none, in another order each time, at a fixed rate.
    fn steady(&self, plan: &Plan, chance: &mut Chance) -> Result<Vec<Steady>> {
        let mut all = Vec::new();
        let mut kinds: Vec<_> = self.sensors.iter().copied().map(Some).collect();
        kinds.push(None);
        for repeat in 0..plan.repeats {
            for sensor in chance.shuffled(&kinds) {
                eprintln!(
                    "bench: {RATE} messages/s, {} of {}, {}",
                    repeat + 1,
                    plan.repeats,
                    sensor.map_or("no sensor", Sensor::name)
                );
                let watching = sensor.map(|sensor| self.start(sensor)).transpose()?;
                let taken = || -> Result<Taken> {
                    watching.as_ref().map_or(Ok(Taken::default()), Watching::taken)
                };
                let (before, sink_before) = (taken()?, traffic::receiver(self.sink)?);
                let (sender, sent) =
                    traffic::steadily(self.lab, plan.sizes[0].1, RATE, plan.steady)?;
                // Work that a sensor puts off belongs to the messages, too.
                let pause = Instant::now();
                if let Some(watching) = &watching {
                    watching.settle()?;
                }
                let seconds = sender.wall + pause.elapsed().as_secs_f64();
                let own = taken()?.since(before);
                let sink = traffic::receiver(self.sink)?.since(sink_before);
                let resident = watching.as_ref().map_or((0.0, 0.0), Watching::resident);
                let told = watching.map(Watching::end).transpose()?.unwrap_or_default();
                all.push(Steady {
                    sensor,
                    repeat,
                    sent,
                    own: own.cpu * 1e6 / f64::from(sent),
                    host: (sender.cpu + sink.cpu) * 1e6 / f64::from(sent),
                    switches: own.switches as f64 / seconds,
                    resident,
                    told,
                });
            }
        }
        Ok(all)
    }

    /// As much as goes, each sensor beside none, first this or first that.
    fn rounds(&self, plan: &Plan, chance: &mut Chance) -> Result<Vec<Size>> {
        let mut sensors = self.sensors.clone();
        sensors.retain(|sensor| *sensor != Sensor::Metadata);
        let mut sizes: Vec<Size> = plan
            .sizes
            .iter()
            .map(|(name, bytes, messages)| Size {
                name,
                bytes: *bytes,
                messages: *messages,
                pairs: Vec::new(),
            })
            .collect();
        // What is new costs more: page cache, routes, the receiver's memory.
        for size in &sizes {
            traffic::saturate(self.lab, size.bytes, size.messages)?;
        }
        let mut longest = Duration::ZERO;
        for round in 1..=plan.rounds {
            let begin = Instant::now();
            if self.begin.elapsed() + longest > plan.until {
                eprintln!("bench: no time for more than {} rounds", round - 1);
                break;
            }
            eprintln!("bench: round {round} of {}", plan.rounds);
            for size in &mut sizes {
                for sensor in chance.shuffled(&sensors) {
                    let pair = self.pair(size, sensor, chance.coin())?;
                    size.pairs.push(pair);
                }
            }
            longest = longest.max(begin.elapsed());
        }
        Ok(sizes)
    }

    fn pair(&self, size: &Size, sensor: Sensor, sensor_first: bool) -> Result<Pair> {
        let alone = || -> Result<f64> {
            let usage = traffic::saturate(self.lab, size.bytes, size.messages)?;
            Ok(f64::from(size.messages) / usage.wall)
        };
        let before = if sensor_first { None } else { Some(alone()?) };
        let watching = self.start(sensor)?;
        let taken = watching.taken()?;
        let usage = traffic::saturate(self.lab, size.bytes, size.messages)?;
        watching.settle()?;
        let own = watching.taken()?.since(taken);
        let resident = watching.resident();
        let told = watching.end()?;
        let rate = f64::from(size.messages) / usage.wall;
        let alone = before.map_or_else(alone, Ok)?;
        Ok(Pair {
            sensor,
            alone,
            rate,
            cpu: own.cpu / usage.wall,
            switches: own.switches as f64 / usage.wall,
            resident,
            told,
        })
    }
}

/// A file for what a process says; two runs at a time must not share it.
fn file(kind: &str) -> PathBuf {
    captures::folder().join(format!("live-{}.{kind}", std::process::id()))
}

/// All that these lost.
fn sum(losses: impl Iterator<Item = Lost>) -> Lost {
    let mut all = Lost::default();
    losses.for_each(|lost| all.add(lost));
    all
}
