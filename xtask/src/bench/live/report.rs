//! The part of `docs/BENCHMARKS.md` about watching.

use std::fmt::Write as _;

use super::super::measure;
use super::super::report::Targets;
use super::frames::Frames;
use super::sensors::{Lost, Sensor, Told};
use super::statistics::Median;
use super::{RATE, sum, traffic};

/// One sensor while nothing passes: for a second.
pub(super) struct Quiet {
    pub(super) sensor: Sensor,
    pub(super) cpu: f64,
    pub(super) switches: f64,
    pub(super) resident: f64,
}

/// One sensor, or none, for some seconds at a fixed rate. Microseconds for a message.
pub(super) struct Steady {
    pub(super) sensor: Option<Sensor>,
    pub(super) repeat: usize,
    pub(super) sent: u32,
    pub(super) own: f64,
    pub(super) host: f64,
    pub(super) switches: f64,
    pub(super) resident: (f64, f64),
    pub(super) told: Told,
}

/// One sensor as much as goes, and none beside it. Messages a second.
pub(super) struct Pair {
    pub(super) sensor: Sensor,
    pub(super) alone: f64,
    pub(super) rate: f64,
    /// Of a processor.
    pub(super) cpu: f64,
    pub(super) switches: f64,
    pub(super) resident: (f64, f64),
    pub(super) told: Told,
}

/// Pairs with messages of one size.
pub(super) struct Size {
    pub(super) name: &'static str,
    pub(super) bytes: u32,
    pub(super) messages: u32,
    pub(super) pairs: Vec<Pair>,
}

/// All that was measured.
pub(super) struct Live {
    pub(super) command: String,
    /// Of botlike, and of tcpdump.
    pub(super) versions: [String; 2],
    pub(super) seed: u64,
    /// Those that cannot be had, and why.
    pub(super) missing: Vec<(Sensor, String)>,
    pub(super) sizes: Vec<Size>,
    pub(super) steady: Vec<Steady>,
    pub(super) steady_seconds: u32,
    pub(super) quiet: Vec<Quiet>,
    /// `None` without the probe.
    pub(super) frames: Option<Frames>,
}

/// Of the design's "numbers to reach".
const RATIO: f64 = 0.97;
const FOREIGN_NANOS: f64 = 10.0;
const METADATA_MIB: f64 = 64.0;

/// Why a row is not reached: what the figures themselves do not say. To be gone over when they change.
const WHY_RATIO: &str = "two cores that are both busy with sending and receiving: whatever a sensor takes, mail goes without; \
                         at a fixed rate it is a part of a core that is free";
const WHY_TCPDUMP: &str =
    "tcpdump copies into a void; here the dialogue is read and lines are written";
const WHY_LOSS: &str = "the workers were behind for longer than the ring holds";
const WHY_FOREIGN: &str = "the parts that each frame passes: two loads of its headers, one look at the ports, one counter";
const WHY_METADATA: &str = "";
const COULD_NOT: &str = "see the sensors";
const TOO_FEW: &str = "too few rounds for an interval";

impl Size {
    fn of(&self, sensor: Sensor) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.sensor == sensor)
    }

    fn ratio(&self, sensor: Sensor) -> Median {
        Median::of(&self.of(sensor).map(|pair| pair.rate / pair.alone).collect::<Vec<_>>())
    }

    /// What was sent while this sensor watched.
    fn sent(&self, sensor: Sensor) -> u64 {
        self.of(sensor).count() as u64 * u64::from(self.messages)
    }
}

fn middle(values: impl Iterator<Item = f64>) -> f64 {
    Median::of(&values.collect::<Vec<_>>()).median
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// The median, and the least and the most.
fn spread(values: impl Iterator<Item = f64>) -> String {
    let values: Vec<f64> = values.collect();
    let (least, most) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), v| (l.min(*v), m.max(*v)));
    format!("{:.1} ({least:.1}–{most:.1})", Median::of(&values).median)
}

/// What was lost, in words; "0" where nothing was.
fn losses(lost: Lost) -> String {
    let parts = [
        (lost.ring, "the ring was full"),
        (lost.kernel, "dropped by the kernel"),
        (lost.unreadable, "unreadable"),
        (lost.lines, "lines"),
    ];
    let said: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} ({what})"))
        .collect();
    if said.is_empty() { "0".into() } else { said.join(", ") }
}

impl Live {
    fn rounds(&self) -> usize {
        let of = |sensor| self.sizes.iter().map(move |size| size.of(sensor).count());
        Sensor::ALL.into_iter().flat_map(of).max().unwrap_or(0)
    }

    /// The part of the page, without its heading.
    pub(super) fn part(&self) -> String {
        let rounds = self.rounds();
        let mut text = format!(
            "Made by `{}` (seed {}): {}. {}. {rounds} rounds; the machine is shared with nothing that is measured, but is a \
             small virtual one. Nothing here is a test.\n\n",
            self.command,
            self.seed,
            measure::machine(),
            capital(&traffic::method()),
        );
        let _ = write!(
            text,
            "### Numbers to reach when watching\n\nThose of the design that concern live use. In brackets: where the true median \
             lies with a probability of 95 % at least (sign test).\n\n{}\n",
            self.targets()
        );
        text.push_str("### Sensors\n\n");
        for sensor in Sensor::ALL {
            let version = &self.versions[usize::from(!sensor.is_botlike())];
            let _ = write!(text, "- **{}**: {}, {}", sensor.name(), version.trim(), sensor.how());
            if let Some((_, why)) = self.missing.iter().find(|(missing, _)| *missing == sensor) {
                let _ = write!(text, "; could not be had: {why}");
            }
            text.push('\n');
        }
        text.push_str("\n### As much as goes\n\n");
        text.push_str(
            "Each sensor in turn beside no sensor, which of the two comes first by chance; the ratio is that of the pair.\n",
        );
        for size in &self.sizes {
            text.push_str(&Self::size(size));
        }
        text.push_str(&self.steadily());
        text.push_str(&self.idle());
        text.push_str(&self.in_kernel());
        text
    }

    fn size(size: &Size) -> String {
        let alone = middle(size.pairs.iter().map(|pair| pair.alone));
        let mut text = format!(
            "\n#### Messages of {}, {} in a round\n\nWithout a sensor: {alone:.0} messages/s (median).\n\n\
             | sensor | messages/s | × no sensor | of a core | switches/s | MiB | lost | messages told | of |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            size.name, size.messages,
        );
        for sensor in [Sensor::Tcx, Sensor::AfPacket, Sensor::Tcpdump] {
            if size.of(sensor).next().is_none() {
                continue;
            }
            let told = if sensor.sees_messages() {
                size.of(sensor).map(|pair| pair.told.messages).sum::<u64>().to_string()
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "| {} | {:.0} | {} | {:.1} % | {:.0} | {:.1} | {} | {told} | {} |",
                sensor.name(),
                middle(size.of(sensor).map(|pair| pair.rate)),
                size.ratio(sensor),
                100.0 * middle(size.of(sensor).map(|pair| pair.cpu)),
                middle(size.of(sensor).map(|pair| pair.switches)),
                most(size.of(sensor).map(|pair| pair.resident.1)),
                losses(sum(size.of(sensor).map(|pair| pair.told.lost))),
                size.sent(sensor),
            );
        }
        text
    }

    fn steadily(&self) -> String {
        let mut text = format!(
            "\n### At {RATE} messages a second\n\nMessages of {}, {} s, medians of {} (least to most). Microseconds of processor time for a \
             message: the sensor's own, and what the sending and the receiving process take more than without a sensor (the \
             probe, or the copy for a packet socket, runs on their time).\n\n\
             | sensor | own µs | mail host's µs more | switches/s | MiB | lost | told | of |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|\n",
            self.sizes.first().map_or("", |size| size.name),
            self.steady_seconds,
            self.steady.iter().map(|steady| steady.repeat + 1).max().unwrap_or(0),
        );
        let alone = |repeat| {
            let mut all = self.steady.iter();
            all.find(|one| one.sensor.is_none() && one.repeat == repeat)
                .map_or(f64::NAN, |one| one.host)
        };
        for sensor in Sensor::ALL {
            let of = || self.steady.iter().filter(|steady| steady.sensor == Some(sensor));
            if of().next().is_none() {
                continue;
            }
            let told = match sensor {
                Sensor::Tcpdump => String::new(),
                Sensor::Metadata => {
                    format!("{} sessions", of().map(|one| one.told.sessions).sum::<u64>())
                }
                _ => format!("{} messages", of().map(|one| one.told.messages).sum::<u64>()),
            };
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.0} | {:.1} | {} | {told} | {} |",
                sensor.name(),
                spread(of().map(|one| one.own)),
                spread(of().map(|one| one.host - alone(one.repeat))),
                middle(of().map(|one| one.switches)),
                most(of().map(|one| one.resident.1)),
                losses(sum(of().map(|one| one.told.lost))),
                of().map(|one| u64::from(one.sent)).sum::<u64>(),
            );
        }
        let of = || self.steady.iter().filter(|steady| steady.sensor.is_none());
        let _ = writeln!(
            text,
            "\nWithout a sensor sender and receiver take {:.0} µs a message.",
            middle(of().map(|one| one.host))
        );
        let slow = self.steady.iter().map(|one| one.sent).min().unwrap_or(0);
        if slow < RATE * self.steady_seconds / 100 * 95 {
            let _ = writeln!(
                text,
                "The machine did not reach the rate: once {slow} messages were sent instead of {}.",
                RATE * self.steady_seconds
            );
        }
        text
    }

    fn idle(&self) -> String {
        let mut text = String::from(
            "\n### While nothing passes\n\n| sensor | ms of processor time a second | switches/s | MiB |\n|---|---:|---:|---:|\n",
        );
        for quiet in &self.quiet {
            let _ = writeln!(
                text,
                "| {} | {:.3} | {:.1} | {:.1} |",
                quiet.sensor.name(),
                1000.0 * quiet.cpu,
                quiet.switches,
                quiet.resident
            );
        }
        text
    }

    fn in_kernel(&self) -> String {
        let Some(frames) = &self.frames else { return String::new() };
        let mut text = String::from(
            "\n### The probe, for a frame\n\nThe program of a sensor that runs, with its reader. Test runs (`BPF_PROG_TEST_RUN`) are \
             given less what an empty program takes; they bear no frames larger than a page.\n\n| frame | ns | measured by |\n|---|---:|---|\n",
        );
        for row in &frames.rows {
            let _ = writeln!(text, "| {} | {:.1} | {} |", row.what, row.nanos, row.how);
        }
        if frames.lost > 0 {
            let _ = writeln!(
                text,
                "\n{} frames were lost in it, so that what is copied costs more than stands here.",
                frames.lost
            );
        }
        text
    }

    fn targets(&self) -> String {
        let mut targets = Targets::new();
        for size in &self.sizes {
            let tcpdump = size.ratio(Sensor::Tcpdump);
            for sensor in [Sensor::Tcx, Sensor::AfPacket] {
                let ratio = size.ratio(sensor);
                let what =
                    format!("messages of {}, {}, of no sensor's rate", size.name, sensor.name());
                if ratio.median.is_nan() {
                    targets.row(&what, "interval reaches 0.97", String::new(), None, COULD_NOT);
                    continue;
                }
                let high = ratio.ends().1;
                let whole = ratio.interval.is_some();
                let measured = |reached| if whole { reached } else { None };
                let why = |why| if whole { why } else { TOO_FEW };
                targets.row(
                    &what,
                    "interval reaches 0.97",
                    format!("{ratio}"),
                    measured(Some((high >= RATIO, high / RATIO))),
                    why(WHY_RATIO),
                );
                let low = tcpdump.ends().0;
                targets.row(
                    &what,
                    "interval not below tcpdump's",
                    format!("tcpdump: {tcpdump}"),
                    measured(Some((high >= low, high / low))),
                    why(WHY_TCPDUMP),
                );
            }
        }
        for sensor in [Sensor::Tcx, Sensor::AfPacket] {
            let lost = sum(self.sizes.iter().flat_map(|size| size.of(sensor)).map(|p| p.told.lost));
            let sent: u64 = self.sizes.iter().map(|size| size.sent(sensor)).sum();
            let told: u64 =
                self.sizes.iter().flat_map(|size| size.of(sensor)).map(|p| p.told.messages).sum();
            let what = format!("loss at the highest rate, {}", sensor.name());
            if sent == 0 {
                targets.row(&what, "none", String::new(), None, COULD_NOT);
                continue;
            }
            let measured = format!("{} lost; {told} of {sent} messages told", losses(lost));
            let whole = lost.sum() == 0 && told == sent;
            // What is missing cannot be told as a factor of nothing: the part that was told is.
            let by =
                if whole { 1.0 } else { told.min(sent.saturating_sub(1)) as f64 / sent as f64 };
            targets.row(&what, "none", measured, Some((whole, by)), WHY_LOSS);
        }
        let limit =
            |value: Option<f64>, limit: f64| value.map(|value| (value <= limit, limit / value));
        let foreign = self.frames.as_ref().map(|frames| {
            most(frames.rows.iter().filter(|row| !row.interest).map(|row| row.nanos))
        });
        targets.row(
            "a frame of no interest, in the kernel",
            "≤ 10 ns",
            foreign.map_or_else(String::new, |nanos| format!("{nanos:.1} ns (the dearest kind)")),
            limit(foreign, FOREIGN_NANOS),
            WHY_FOREIGN,
        );
        let metadata = self.steady.iter().filter(|one| one.sensor == Some(Sensor::Metadata));
        let metadata = metadata.map(|one| one.resident.1).reduce(f64::max);
        targets.row(
            "memory with `metadata`, resident",
            "≤ 64 MiB",
            metadata.map_or_else(String::new, |mib| format!("{mib:.1} MiB")),
            limit(metadata, METADATA_MIB),
            WHY_METADATA,
        );
        targets.text()
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
