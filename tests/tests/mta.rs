//! Three real mail servers, each sending and receiving hundreds of letters, must not look like bots.
//!
//! The captures come from the laboratory in [`botlike_tests::mta`], and with them its ledgers: what truly was sent.
//! An unconfigured `read` of each, and `watch` on each server's own link while it happened, must find every message that went over the wire in plain, no other, and no finding of
//! severity medium or above; of servers on machines without a host name, only those that `mta/allowed.txt` names.

#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use botlike_tests::mta::attempts::attempts;
use botlike_tests::mta::ledger::{self, Record};
use botlike_tests::mta::plan::{self, Mta, Scene};
use botlike_tests::mta::{Outcome, Refusal, run, skip};
use serde_json::Value;

/// One laboratory at a time.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn configured_servers_look_honest() {
    examine(
        Scene::Configured,
        &BTreeSet::new(),
        Least { sent: 1000, received: 1000, receivers: 120 },
    );
}

#[test]
fn servers_without_a_host_name_are_told_so_and_nothing_else() {
    let allowed = include_str!("../mta/allowed.txt");
    let allowed = allowed
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split('\t').next());
    examine(
        Scene::Unconfigured,
        &allowed.collect(),
        Least { sent: 300, received: 1000, receivers: 120 },
    );
}

/// How much must have passed, for each server.
#[derive(Clone, Copy)]
struct Least {
    sent: usize,
    received: usize,
    receivers: usize,
}

fn examine(scene: Scene, allowed: &BTreeSet<&str>, least: Least) {
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let outcome = match run(&folder(), Path::new(env!("CARGO_BIN_EXE_mta-lab")), scene) {
        Ok(outcome) => outcome,
        Err(Refusal::Skip(why)) => return skip("mta", &why),
        Err(Refusal::Failed(why)) => panic!("the laboratory failed: {why}"),
    };
    botlike_tests::skip::ran(botlike_tests::skip::Kind::Mta, scene.name());
    let truth = Truth::read(&outcome);
    for (mta, capture) in &outcome.captures {
        truth.is_rich(*mta, least);
        let tried = attempts(capture, mta.address()).expect("a capture of the laboratory");
        for exchanger in (0..plan::DOMAINS).map(plan::exchanger).chain([plan::DEAD, plan::REFUSING])
        {
            assert!(tried.contains_key(&exchanger), "{} never called {exchanger}", mta.name());
        }
        assert_eq!(
            outcome.count(&format!("dropped.{}", mta.name())),
            0,
            "the capture of {} has losses",
            mta.name()
        );
    }
    assert!(outcome.count("greylisted") > 0, "nothing was greylisted");
    for (mta, capture) in &outcome.captures {
        let lines = parsed(&read_capture(capture));
        truth.agrees(*mta, &lines);
        no_accusation(*mta, &lines, allowed);
    }
    for (mta, path) in &outcome.lines {
        let lines = std::fs::read_to_string(path).expect("the lines of watch");
        let lines = parsed(&lines.lines().map(str::to_owned).collect::<Vec<_>>());
        lost_nothing(*mta, &lines);
        truth.agrees(*mta, &lines);
        no_accusation(*mta, &lines, allowed);
    }
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// The last line of a live run counts what was lost: nothing.
fn lost_nothing(mta: Mta, lines: &[Value]) {
    let last = lines.last().expect("lines");
    assert_eq!(text(last, "/event/dataset"), "botlike.stats", "{}: the last line", mta.name());
    for counter in ["lost_ring", "lost_unreadable", "lost_kernel", "lines_lost"] {
        let count = last.pointer(&format!("/botlike/stats/{counter}"));
        assert_eq!(count.and_then(Value::as_u64), Some(0), "{}: {counter}", mta.name());
    }
}

/// `target/mta`, beside the program that the test runs.
fn folder() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_mta-lab"));
    let target = program.ancestors().nth(2).expect("target/PROFILE/mta-lab");
    target.join("mta")
}

/// The lines of an unconfigured `read`.
fn read_capture(path: &Path) -> Vec<String> {
    let (lines, failed) = botlike_tests::player::read(&[path.to_owned()], 1).expect("it is read");
    assert!(!failed, "{} is a whole capture", path.display());
    String::from_utf8(lines).expect("UTF-8").lines().map(str::to_owned).collect()
}

/// No finding of severity medium or above but the allowed ones.
fn no_accusation(mta: Mta, lines: &[Value], allowed: &BTreeSet<&str>) {
    let wrong: Vec<String> = lines
        .iter()
        .filter(|line| text(line, "/event/dataset") == "botlike.finding")
        .filter(|line| {
            matches!(text(line, "/botlike/finding/severity"), "medium" | "high" | "critical")
        })
        .filter(|line| !allowed.contains(text(line, "/rule/id")))
        .map(|line| format!("{} of {}: {line}", text(line, "/rule/id"), text(line, "/source/ip")))
        .collect();
    assert!(wrong.is_empty(), "{} was accused:\n{}", mta.name(), wrong.join("\n"));
}

/// A message as both sides can name it: client, its port, server, sender, recipients taken.
type Name = (String, u64, String, String, Vec<String>);

/// What the laboratory's own parties saw.
struct Truth {
    sent: Vec<Record>,
    received: Vec<Record>,
}

impl Truth {
    fn read(outcome: &Outcome) -> Self {
        let read = |path: &Path| ledger::read(path).expect("a ledger");
        Self { sent: read(&outcome.sent), received: read(&outcome.received) }
    }

    /// Transactions of a server with parties that keep a ledger, those that it sent first.
    fn of(&self, mta: Mta) -> [Vec<&Record>; 2] {
        let taken = |record: &&Record| record.code < 300;
        let sent =
            self.sent.iter().filter(|record| *record.client.ip() == mta.address()).filter(taken);
        let received =
            self.received.iter().filter(|record| record.server == mta.address()).filter(taken);
        [sent.collect(), received.collect()]
    }

    /// That enough happened for the test to say anything.
    fn is_rich(&self, mta: Mta, least: Least) {
        let [sent, received] = self.of(mta);
        let receivers: BTreeSet<Ipv4Addr> = sent.iter().map(|record| record.server).collect();
        let name = mta.name();
        println!(
            "{name}: {} sent in plain to {} addresses, {} received",
            sent.len(),
            receivers.len(),
            received.len()
        );
        assert!(sent.len() >= least.sent, "{name} sent {}", sent.len());
        assert!(received.len() >= least.received, "{name} received {}", received.len());
        assert!(receivers.len() >= least.receivers, "{name} sent to {} addresses", receivers.len());
        assert!(
            sent.iter().any(|record| record.accepted.len() > 1),
            "{name} sent nothing to several recipients"
        );
        assert!(
            received.iter().any(|record| !record.refused.is_empty()),
            "{name} refused no unknown user"
        );
        let greylisting = |record: &&&Record| {
            plan::exchanger_index(record.server).is_some_and(|n| plan::habit(n).greylist)
        };
        assert!(sent.iter().filter(greylisting).count() > 0, "nothing of {name} passed a greylist");
    }

    /// That the accepted messages that were read are those that were exchanged.
    fn agrees(&self, mta: Mta, lines: &[Value]) {
        let known = |ip: &str| {
            let ip: Ipv4Addr = ip.parse().expect("an address");
            plan::exchanger_index(ip).is_some() || (0..plan::PEERS).any(|n| plan::peer(n) == ip)
        };
        let mut balance: BTreeMap<Name, i64> = BTreeMap::new();
        for record in self.of(mta).into_iter().flatten() {
            *balance.entry(name_of(record)).or_default() += 1;
        }
        let mut accepted = 0;
        for line in lines.iter().filter(|line| text(line, "/event/dataset") == "botlike.message") {
            if text(line, "/smtp/outcome") != "accepted" {
                continue;
            }
            accepted += 1;
            let (client, server) = (text(line, "/source/ip"), text(line, "/destination/ip"));
            if known(client) || known(server) {
                *balance.entry(name_of_line(line, &self.refused(client, server))).or_default() -= 1;
            }
        }
        let wrong: Vec<String> = balance
            .iter()
            .filter(|(_, count)| **count != 0)
            .map(|(name, count)| {
                format!("{} {name:?}", if *count > 0 { "not read:" } else { "never sent:" })
            })
            .collect();
        let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            wrong.is_empty(),
            "{}: {} of {accepted} messages:\n{shown}",
            mta.name(),
            wrong.len()
        );
    }

    /// Recipients that were refused in transactions between two addresses.
    fn refused(&self, client: &str, server: &str) -> BTreeSet<&str> {
        self.sent
            .iter()
            .chain(&self.received)
            .filter(|record| {
                record.client.ip().to_string() == client && record.server.to_string() == server
            })
            .flat_map(|record| record.refused.iter().map(String::as_str))
            .collect()
    }
}

fn name_of(record: &Record) -> Name {
    let mut accepted = record.accepted.clone();
    accepted.sort();
    let from = if record.from.is_empty() { "<>".to_owned() } else { record.from.clone() };
    (
        record.client.ip().to_string(),
        record.client.port().into(),
        record.server.to_string(),
        from,
        accepted,
    )
}

/// A line names all recipients that were tried; those refused are counted only.
fn name_of_line(line: &Value, refused: &BTreeSet<&str>) -> Name {
    let number = |at: &str| line.pointer(at).and_then(Value::as_u64).unwrap_or(0);
    let all = line.pointer("/smtp/rcpt_to").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut to: Vec<String> = all.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if number("/smtp/rcpt_rejected") > 0 {
        to.retain(|to| !refused.contains(to.as_str()));
    }
    to.sort();
    let field = |at: &str| text(line, at).to_owned();
    (
        field("/source/ip"),
        number("/source/port"),
        field("/destination/ip"),
        field("/smtp/mail_from"),
        to,
    )
}

fn text<'a>(line: &'a Value, at: &str) -> &'a str {
    line.pointer(at).and_then(Value::as_str).unwrap_or_default()
}
