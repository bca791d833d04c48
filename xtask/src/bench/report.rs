//! `docs/BENCHMARKS.md`: the prose is here, the figures come from the run.
//!
//! The page has two parts, and each is written by a run of its own, which leaves the other as it is.

use std::fmt::Write as _;

use anyhow::Result;

use super::captures::{self, Capture};
use super::flows::Flows;
use super::measure::{self, Usage, median};
use super::peers::{self, Peer};
use crate::run;

/// What was measured: for each capture, for each peer, its rounds; and how many sessions botlike found.
pub(super) struct Results<'a> {
    pub(super) command: String,
    pub(super) rounds: usize,
    pub(super) captures: &'a [Capture],
    pub(super) peers: &'a [Peer],
    pub(super) runs: Vec<Vec<Vec<Usage>>>,
    pub(super) flows: Option<Flows>,
}

/// Bytes of a tracked flow, MiB for 20 000 sessions, and the ratios, all of the design's "numbers to reach".
const FLOW_BYTES: f64 = 96.0;
const SESSIONS_MIB: f64 = 64.0;
const OF_TCPDUMP: f64 = 2.0;
const OF_SURICATA: f64 = 0.1;
/// "No slower per packet" is met within the spread of the measurement.
const SPREAD: f64 = 1.05;

/// Why a row is not reached: what the figures themselves do not say. To be gone over when they change.
const WHY_TCPDUMP: &str = "tcpdump copies and looks at nothing; here the dialogue is read and 2.6 kB of JSON a session are written";
const WHY_SURICATA: &str = "Suricata reads and tracks packets well too: what is left to save is parsing and logging, and both do that";
const WHY_MEMORY: &str = "";
const WHY_BYTES: &str =
    "the index grows by doubling, and its old half is given back only after the new one stands";
const WHY_TIME: &str =
    "the table of many is larger than the caches: a packet waits for memory two or three times";

/// What the page begins with.
const TITLE: &str = "# Benchmarks\n";

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Reading,
    Live,
}

impl Part {
    const ALL: [Self; 2] = [Self::Reading, Self::Live];

    const fn heading(self) -> &'static str {
        match self {
            Self::Reading => "## Reading captures",
            Self::Live => "## Watching a mail host",
        }
    }
}

/// Writes a part of the page anew.
pub(super) fn renew(part: Part, text: &str) -> Result<()> {
    let path = run::root().join("docs/BENCHMARKS.md");
    std::fs::create_dir_all(run::root().join("docs"))?;
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::write(&path, renewed(&before, part, text))?;
    println!("wrote docs/BENCHMARKS.md");
    Ok(())
}

/// The page with another text in one part; what stands under no part's heading goes.
fn renewed(page: &str, part: Part, text: &str) -> String {
    let mut renewed = TITLE.to_owned();
    for one in Part::ALL {
        let old: Vec<_> = page
            .lines()
            .skip_while(|line| *line != one.heading())
            .skip(1)
            .take_while(|line| !line.starts_with("## "))
            .collect();
        let old = old.join("\n");
        let text = if one == part { text } else { old.as_str() };
        if !text.trim().is_empty() {
            let _ = write!(renewed, "\n{}\n\n{}\n", one.heading(), text.trim());
        }
    }
    renewed
}

/// The table of numbers to reach.
pub(super) struct Targets(String);

impl Targets {
    pub(super) fn new() -> Self {
        Self("| what | reach | measured | reached | why |\n|---|---|---|---|---|\n".into())
    }

    /// `reached`: whether, and how many times better than needed; `None` where it was not measured.
    pub(super) fn row(
        &mut self,
        what: &str,
        reach: &str,
        measured: String,
        reached: Option<(bool, f64)>,
        why: &str,
    ) {
        let (reached, why) = match reached {
            None => ("not measured".to_owned(), why),
            // Nothing is better than what cannot be bettered.
            Some((true, 1.0)) => ("yes".to_owned(), ""),
            Some((true, by)) => (format!("yes, {by:.2} times better"), ""),
            Some((false, by)) => (format!("**no**, by a factor of {:.2}", 1.0 / by), why),
        };
        let _ = writeln!(self.0, "| {what} | {reach} | {measured} | {reached} | {why} |");
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

impl Results<'_> {
    fn median(&self, capture: usize, peer: &str, of: impl Fn(&Usage) -> f64) -> Option<f64> {
        let at = self.peers.iter().position(|one| one.name == peer)?;
        let runs = &self.runs[capture][at];
        (!runs.is_empty()).then(|| median(runs.iter().map(of)))
    }

    fn cpu(&self, capture: usize, peer: &str) -> Option<f64> {
        self.median(capture, peer, |run| run.cpu)
    }

    /// The part of the page about reading, without its heading.
    pub(super) fn part(&self) -> String {
        let mut page = format!(
            "Made by `{}`: {}. Programs take turns, {} rounds, medians; every capture is in the page cache \
             before.\nThe machine is shared with nothing that is measured, but is a small virtual one: figures of two runs differ \
             by some per\ncent, ratios by less. Nothing here is a test.\n\n",
            self.command,
            measure::machine(),
            self.rounds
        );
        let _ = write!(
            page,
            "### Numbers to reach\n\nThose of the design that concern reading.\n\n{}\n",
            self.targets()
        );
        let _ = write!(page, "### Programs\n\n");
        for peer in self.peers {
            let _ = writeln!(page, "- **{}**: {}", peer.name, peer.how);
        }
        let _ = write!(
            page,
            "\n### Captures\n\nMade by `cargo xtask bench captures`: {}.\n",
            captures::method()
        );
        for at in 0..self.captures.len() {
            page.push_str(&self.capture(at));
        }
        page
    }

    fn capture(&self, at: usize) -> String {
        let Capture { recipe, shape, .. } = &self.captures[at];
        let foreign = 100.0 - 100.0 * shape.smtp_bytes as f64 / shape.bytes as f64;
        let mut text = format!(
            "\n#### {}: {}\n\n{} packets, {:.1} MB, {} SMTP sessions; {foreign:.1} % of the bytes are not SMTP.\n\n\
             | program | CPU s | least to most | × tcpdump | × botlike | wall s | peak MiB | packets/s | sessions/s |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
            recipe.name,
            recipe.what,
            shape.packets,
            shape.bytes as f64 / 1e6,
            shape.sessions
        );
        for (peer, runs) in self.peers.iter().zip(&self.runs[at]) {
            let (Some(cpu), Some(wall)) =
                (self.cpu(at, peer.name), self.median(at, peer.name, |run| run.wall))
            else {
                let _ = writeln!(text, "| {} | could not be had | | | | | | | |", peer.name);
                continue;
            };
            let least = runs.iter().map(|run| run.cpu).fold(f64::INFINITY, f64::min);
            let most = runs.iter().map(|run| run.cpu).fold(0.0, f64::max);
            let times = |of: &str| {
                self.cpu(at, of).map_or_else(String::new, |of| format!("{:.2}", cpu / of))
            };
            let peak = median(runs.iter().map(|run| run.peak));
            let _ = writeln!(
                text,
                "| {} | {cpu:.3} | {least:.3}–{most:.3} | {} | {} | {wall:.3} | {peak:.1} | {:.0} | {:.0} |",
                peer.name,
                times(peers::TCPDUMP),
                times(peers::BOTLIKE),
                shape.packets as f64 / wall,
                shape.sessions as f64 / wall
            );
        }
        text
    }

    fn targets(&self) -> String {
        let mut targets = Targets::new();
        let limit = |value: f64, limit: f64| Some((value <= limit, limit / value));
        for (at, capture) in self.captures.iter().enumerate() {
            let name = capture.recipe.name;
            let own = self.cpu(at, peers::BOTLIKE).unwrap_or(f64::NAN);
            if let Some(tcpdump) = self.cpu(at, peers::TCPDUMP) {
                let ratio = own / tcpdump;
                let what = format!("CPU seconds, `{name}`, of tcpdump's");
                targets.row(
                    &what,
                    "≤ 2",
                    format!("{ratio:.2}"),
                    limit(ratio, OF_TCPDUMP),
                    WHY_TCPDUMP,
                );
            }
            for peer in [peers::SURICATA, peers::SURICATA_NO_MIME] {
                let what = format!("CPU seconds, `{name}`, of those of {peer}");
                let Some(cpu) = self.cpu(at, peer) else {
                    targets.row(&what, "≤ 1/10", String::new(), None, "Suricata could not be had");
                    continue;
                };
                // A floor that no reader of the same file gets under by much.
                let floor = self.cpu(at, peers::TCPDUMP).filter(|copy| cpu / 10.0 < *copy);
                let why = floor.map_or_else(
                    || WHY_SURICATA.to_owned(),
                    |copy| format!("a tenth is {:.3} s; tcpdump takes {copy:.3} s to read and copy the file", cpu / 10.0),
                );
                targets.row(
                    &what,
                    "≤ 1/10",
                    format!("1/{:.1}", cpu / own),
                    limit(own / cpu, OF_SURICATA),
                    &why,
                );
            }
            if name == "small"
                && let Some(peak) = self.median(at, peers::BOTLIKE, |run| run.peak)
            {
                let what = "memory while reading 20 000 sessions";
                targets.row(
                    what,
                    "≤ 64 MiB",
                    format!("{peak:.1} MiB"),
                    limit(peak, SESSIONS_MIB),
                    WHY_MEMORY,
                );
            }
        }
        if let Some(flows) = self.flows {
            let what = "1 000 000 tracked flows, bytes each";
            targets.row(
                what,
                "≤ 96",
                format!("{:.0}", flows.bytes),
                limit(flows.bytes, FLOW_BYTES),
                WHY_BYTES,
            );
            let what = "1 000 000 tracked flows, time per packet, of that with 10 000";
            let measured = format!(
                "{:.0} ns of {:.0} ns (tcpdump: {:.0} ns)",
                flows.many, flows.few, flows.copy
            );
            targets.row(what, "≤ 1", measured, limit(flows.many / flows.few, SPREAD), WHY_TIME);
        }
        targets.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_renewed_and_the_other_is_left() {
        let both = "# Benchmarks\n\n## Reading captures\n\nread\n\n### More\n\n## Watching a mail host\n\nwatched\n";
        assert_eq!(renewed(both, Part::Live, "anew\n"), both.replace("watched", "anew"));
        assert_eq!(renewed(both, Part::Reading, "anew"), both.replace("read\n\n### More", "anew"));
        let first = renewed("", Part::Live, "watched\n\n");
        assert_eq!(first, "# Benchmarks\n\n## Watching a mail host\n\nwatched\n");
        assert_eq!(renewed(&first, Part::Reading, "read\n\n### More"), both);
    }

    #[test]
    fn rows_say_by_how_much() {
        let mut targets = Targets::new();
        targets.row("a", "≤ 2", "1".into(), Some((true, 2.0)), "because");
        targets.row("b", "≤ 2", "4".into(), Some((false, 0.5)), "because");
        targets.row("c", "none", "0".into(), Some((true, 1.0)), "because");
        targets.row("d", "≤ 2", String::new(), None, "could not be had");
        let text = targets.text();
        let rows: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| a | ≤ 2 | 1 | yes, 2.00 times better |  |",
                "| b | ≤ 2 | 4 | **no**, by a factor of 2.00 | because |",
                "| c | none | 0 | yes |  |",
                "| d | ≤ 2 |  | not measured | could not be had |",
            ]
        );
    }
}
