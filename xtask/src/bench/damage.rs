//! What damage does to what is found: lossy, SYN-less and one-sided copies of the capture of small sessions, read by
//! botlike and by tshark.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{captures, pcap, peers};
use crate::{run, tools};

/// One packet of so many is left out.
const LOSS: u64 = 100;
/// The seeds of the lossy copies.
const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// What is left out of a copy.
#[derive(Clone, Copy)]
enum Damage {
    None,
    /// One packet in a hundred, by this seed.
    Loss(u64),
    /// Every packet with SYN.
    Syns,
    /// Every packet of the server.
    Server,
}

/// An envelope that was seen whole: the client's port, the reverse-path, the forward-paths.
type Envelope = (u16, String, Vec<String>);

/// What a program found in a capture.
#[derive(Default, Debug, PartialEq)]
struct Found {
    sessions: usize,
    envelopes: BTreeSet<Envelope>,
}

/// Compares, writes `docs/DAMAGE.md`, and says whether all holds that is promised.
pub(super) fn main(quick: bool) -> Result<bool> {
    let Some(capture) = captures::have(&["small"], quick)?.pop() else { bail!("no capture") };
    let botlike = run::release_botlike()?;
    let tshark = tools::find("tshark")?;
    let whole = (botlike_found(&botlike, &capture.path)?, tshark_found(&tshark, &capture.path)?);
    let mut rows = vec![Row::of(Damage::None, capture.shape.packets, &whole, &whole)];
    let damages = SEEDS.map(Damage::Loss).into_iter().chain([Damage::Syns, Damage::Server]);
    for damage in
        damages.take(if quick { 1 } else { usize::MAX }).chain(quick.then_some(Damage::Server))
    {
        eprintln!("damage: {}", damage.name());
        let copy = captures::folder().join("damaged.pcap");
        let packets = damage.copy(&capture.path, &copy)?;
        let found = (botlike_found(&botlike, &copy)?, tshark_found(&tshark, &copy)?);
        rows.push(Row::of(damage, packets, &found, &whole));
        std::fs::remove_file(copy)?;
    }
    let text = page(&rows, whole.0 == whole.1, &tshark.version("--version"));
    if quick {
        println!("{text}");
    } else {
        let path = run::root().join("docs/DAMAGE.md");
        std::fs::create_dir_all(run::root().join("docs"))?;
        std::fs::write(&path, text)?;
        println!("wrote docs/DAMAGE.md");
    }
    Ok(rows.iter().all(Row::holds))
}

impl Damage {
    fn name(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Loss(seed) => format!("1 % lost, seed {seed}"),
            Self::Syns => "no SYN, no SYN-ACK".to_owned(),
            Self::Server => "only the client's side".to_owned(),
        }
    }

    /// Writes the copy and returns how many packets are left.
    fn copy(self, from: &Path, to: &Path) -> Result<u64> {
        let mut reader = pcap::Reader::open(from)?;
        let mut writer = pcap::Writer::create(to)?;
        let mut left = 0;
        let mut random = match self {
            Self::Loss(seed) => Random::new(seed),
            _ => Random::new(0),
        };
        while let Some((header, frame)) = reader.next()? {
            let tcp = pcap::tcp(frame);
            let lost = match self {
                Self::None => false,
                Self::Loss(_) => random.next().is_multiple_of(LOSS),
                Self::Syns => tcp.is_some_and(|(_, _, flags)| flags & 0x02 != 0),
                Self::Server => tcp.is_some_and(|(from, _, _)| from == 25),
            };
            if !lost {
                writer.copy(header, frame)?;
                left += 1;
            }
        }
        writer.finish()?;
        Ok(left)
    }
}

/// splitmix64: every seed gives a good sequence, the same on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn lines_of(mut command: Command, each: &mut dyn FnMut(&str) -> Result<()>) -> Result<()> {
    // Both are noisy on standard error about what is no error here (running as root); what is one shows in the exit code.
    let errors = captures::folder().join("damage.err");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&errors)?);
    let mut child =
        command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            each(&String::from_utf8_lossy(&line?))?;
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "{:?} ended with {status}: {}",
            command.get_program(),
            std::fs::read_to_string(errors)?
        );
    }
    Ok(())
}

fn botlike_found(program: &PathBuf, capture: &Path) -> Result<Found> {
    let mut command = Command::new(program);
    command.arg("read").arg(capture).args(["--format", "json"]);
    let mut found = Found::default();
    lines_of(command, &mut |line| {
        let line: Value = serde_json::from_str(line).context("a line is not JSON")?;
        match line.pointer("/event/dataset").and_then(Value::as_str) {
            Some("botlike.session") => found.sessions += 1,
            Some("botlike.message") => {
                let text = |value: &Value| value.as_str().map(str::to_owned);
                let port = line
                    .pointer("/source/port")
                    .and_then(Value::as_u64)
                    .and_then(|port| u16::try_from(port).ok());
                let from = line.pointer("/smtp/mail_from").and_then(text);
                let to = line.pointer("/smtp/rcpt_to").and_then(Value::as_array);
                let (Some(port), Some(from), Some(to)) = (port, from, to) else {
                    bail!("a message without envelope: {line}")
                };
                found.envelopes.insert((port, from, to.iter().filter_map(text).collect()));
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}

fn tshark_found(tool: &tools::Tool, capture: &Path) -> Result<Found> {
    let mut streams = BTreeMap::<u32, Stream>::new();
    lines_of(peers::tshark(tool, capture), &mut |line| {
        let fields: Vec<_> = line.split('\t').collect();
        let [stream, from, to, command, parameter, _code] = fields[..] else { return Ok(()) };
        let stream = streams.entry(stream.parse()?).or_default();
        stream.port = if from == "25" { to } else { from }.parse()?;
        stream.said(command, parameter);
        Ok(())
    })?;
    let sessions = streams.len();
    let envelopes = streams.into_values().flat_map(|stream| stream.whole).collect();
    Ok(Found { sessions, envelopes })
}

/// A stream as tshark's fields show it. smtp-source sends one command a packet; a stream may still have several envelopes,
/// where a port was used again and what lay between two connections is missing.
#[derive(Default)]
struct Stream {
    port: u16,
    from: Option<String>,
    to: Vec<String>,
    whole: Vec<Envelope>,
}

impl Stream {
    fn said(&mut self, command: &str, parameter: &str) {
        let path = |prefix: &str| {
            let (before, path) = parameter.split_at_checked(prefix.len())?;
            before
                .eq_ignore_ascii_case(prefix)
                .then(|| path.trim().trim_matches(['<', '>']).to_owned())
        };
        match command.to_ascii_uppercase().as_str() {
            "MAIL" => (self.from, self.to) = (path("FROM:"), Vec::new()),
            "RCPT" => self.to.extend(path("TO:")),
            "DATA" => {
                let to = std::mem::take(&mut self.to);
                self.whole.extend(
                    self.from.take().filter(|_| !to.is_empty()).map(|from| (self.port, from, to)),
                );
            }
            _ => {}
        }
    }
}

struct Row {
    damage: String,
    packets: u64,
    sessions: (usize, usize),
    envelopes: (usize, usize),
    /// Envelopes that are not those of the whole capture.
    wrong: (usize, usize),
}

impl Row {
    fn of(damage: Damage, packets: u64, found: &(Found, Found), whole: &(Found, Found)) -> Self {
        // The truth is what is in the whole capture by either program: where they differ there, the page says so.
        let wrong =
            |found: &Found, whole: &Found| found.envelopes.difference(&whole.envelopes).count();
        Self {
            damage: damage.name(),
            packets,
            sessions: (found.0.sessions, found.1.sessions),
            envelopes: (found.0.envelopes.len(), found.1.envelopes.len()),
            wrong: (wrong(&found.0, &whole.0), wrong(&found.1, &whole.1)),
        }
    }

    fn holds(&self) -> bool {
        self.sessions.0 >= self.sessions.1
            && self.envelopes.0 >= self.envelopes.1
            && self.wrong.0 == 0
    }
}

fn page(rows: &[Row], agree: bool, tshark: &str) -> String {
    let mut page = String::from(
        "# What damage does\n\nMade by `cargo xtask bench damage`, which also says how each copy is made: the capture of 20 000 \
         sessions of\n`docs/BENCHMARKS.md`, with one packet in a hundred left out at random (splitmix64 from the seed), without \
         any packet\nthat has SYN, and without the server's packets.\n\n",
    );
    let _ = write!(
        page,
        "A *session* is a session line of botlike, or a TCP stream in which tshark shows SMTP. An *envelope* is whole when \
         its MAIL,\nits RCPT and its DATA were seen: a message line of botlike, or the three in one stream of tshark's. \
         *Wrong* is an\nenvelope that the same program does not find on that connection in the whole capture. Promised: never \
         fewer sessions or\nenvelopes than tshark, and none wrong.\n\ntshark is {tshark} In the whole capture both find {}.\n\n",
        if agree {
            "the same sessions and envelopes, to the letter"
        } else {
            "different ones: the figures below stand on sand"
        },
    );
    page.push_str("| damage | packets left | sessions: botlike | tshark | whole envelopes: botlike | tshark | wrong: botlike | tshark | holds |\n");
    page.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---|\n");
    for row in rows {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.damage,
            row.packets,
            row.sessions.0,
            row.sessions.1,
            row.envelopes.0,
            row.envelopes.1,
            row.wrong.0,
            row.wrong.1,
            if row.holds() { "yes" } else { "**no**" }
        );
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_whole_or_none() {
        let found = |said: &[(&str, &str)]| {
            let mut stream = Stream { port: 4711, ..Stream::default() };
            said.iter().for_each(|(command, parameter)| stream.said(command, parameter));
            stream.whole
        };
        let envelope = |from: &str, to: &[&str]| {
            (4711, from.to_owned(), to.iter().map(|&to| to.to_owned()).collect())
        };
        let first = [
            ("MAIL", "FROM:<a@example.org>"),
            ("rcpt", "TO:<b@example.net>"),
            ("RCPT", "TO:<c@example.net>"),
            ("DATA", ""),
        ];
        assert_eq!(found(&first), [envelope("a@example.org", &["b@example.net", "c@example.net"])]);
        let second =
            [("MAIL", "FROM:<d@example.org>"), ("RCPT", "TO:<e@example.net>"), ("DATA", "")];
        let both = [
            envelope("a@example.org", &["b@example.net", "c@example.net"]),
            envelope("d@example.org", &["e@example.net"]),
        ];
        assert_eq!(found(&[&first[..], &second].concat()), both);
        assert_eq!(found(&second[..2]), []);
        assert_eq!(found(&second[1..]), []);
        assert_eq!(found(&[second[0], second[2]]), []);
    }

    #[test]
    fn about_one_packet_in_a_hundred_is_lost() {
        for seed in SEEDS {
            let mut random = Random::new(seed);
            let lost = (0..100_000).filter(|_| random.next().is_multiple_of(LOSS)).count();
            assert!((800..1200).contains(&lost), "{lost} with seed {seed}");
        }
    }
}
