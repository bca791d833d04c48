//! `cargo xtask demo`: the laboratory of bots with the sensor in it, and in short who was found for what.
//!
//! Bots, honest senders, receivers and the host they meet at live in namespaces of their own, so nothing of the machine
//! is touched. A machine that grants none is told why, and gets a capture replayed that the project makes itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{run, setup};

/// What `lab run` ends with where the machine does not grant namespaces.
const REFUSED: i32 = 3;

pub(crate) fn main() -> Result<ExitCode> {
    let start = Instant::now();
    setup::compiler()?;
    let folder = run::target().join("demo");
    std::fs::create_dir_all(&folder)?;
    eprintln!("demo: building botlike and its laboratory (some minutes the first time)");
    let program = build()?;
    let built = start.elapsed().as_secs();
    eprintln!(
        "demo: built in {built} s; bots and honest senders meet receivers now, for half a minute"
    );
    let lab = program.with_file_name("lab");
    let mut command = Command::new(&lab);
    command.arg("run").arg(&folder).arg(&program).arg("watch").stdin(Stdio::null());
    let status = command.status().with_context(|| format!("cannot run {}", lab.display()))?;
    match status.code() {
        Some(code @ (0 | 1)) => {
            where_things_lie(&folder, &program);
            let seconds = start.elapsed().as_secs();
            println!("\nAll of it took {seconds} s, {built} of them to build.");
            Ok(if code == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some(REFUSED) => {
            println!(
                "The laboratory needs namespaces of Linux, which this machine does not grant here: see above; as root \
                 it may.\nInstead, a capture that the project makes itself is replayed."
            );
            replay(&folder, &program)
        }
        _ => bail!("{} ended with {status}", lab.display()),
    }
}

/// Builds what the demo runs and returns where `botlike` lies, with the rest beside it.
///
/// As the tests are built, so that those need not build it again, and without libpcap, so that it need not be there.
fn build() -> Result<PathBuf> {
    let mut command = run::cargo();
    command.args(["build", "--no-default-features", "--package", "botlike", "--bin", "botlike"]);
    command.args(["--package", "botlike-tests", "--bin", "lab", "--bin", "botlike-demo-capture"]);
    run::run(&mut command)?;
    Ok(run::target().join("debug").join("botlike"))
}

fn where_things_lie(folder: &Path, program: &Path) {
    let show = |name: &str| folder.join(name).display().to_string();
    println!("\nEvery line:    {} (to read), {} (JSON)", show("lines.txt"), show("lines.jsonl"));
    println!("Configuration: {}", show("lab.toml"));
    println!("Your own host: sudo {} watch", program.display());
}

/// What the demo is where there is no laboratory.
fn replay(folder: &Path, program: &Path) -> Result<ExitCode> {
    let capture = folder.join("demo.pcap");
    run::run(Command::new(program.with_file_name("botlike-demo-capture")).arg(&capture))?;
    let read = |format: &str, name: &str| -> Result<String> {
        let path = folder.join(name);
        let mut command = Command::new(program);
        command.arg("read").arg(&capture).args(["--format", format]);
        command.stdout(
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?,
        );
        run::run(&mut command)?;
        Ok(std::fs::read_to_string(path)?)
    };
    read("pretty", "lines.txt")?;
    let summary = Summary::of(&read("json", "lines.jsonl")?)?;

    print!("{}", summary.text());
    let show = |name: &str| folder.join(name).display().to_string();
    println!("\nThe capture: {}", show("demo.pcap"));
    println!("Every line:  {} (to read), {} (JSON)", show("lines.txt"), show("lines.jsonl"));
    println!("Your own:    {} read FILE.pcap", program.display());
    Ok(ExitCode::SUCCESS)
}

/// A host that said something, and what was found of it.
#[derive(Default)]
struct Host {
    sessions: usize,
    messages: usize,
    helos: BTreeSet<String>,
    /// Per rule: the worst severity as a number and in words, the rule's name, the last line in words.
    findings: BTreeMap<String, (i64, String, String)>,
}

#[derive(Default)]
struct Summary {
    hosts: BTreeMap<IpAddr, Host>,
}

impl Summary {
    fn of(lines: &str) -> Result<Self> {
        let mut summary = Self::default();
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).context("a line is not JSON")?;
            let text = |path: &str| line.pointer(path).and_then(Value::as_str);
            let Some(ip) = text("/source/ip").and_then(|ip| ip.parse::<IpAddr>().ok()) else {
                continue;
            };
            let host = summary.hosts.entry(ip).or_default();
            match text("/event/dataset") {
                Some("botlike.session") => {
                    host.sessions += 1;
                    host.helos.extend(text("/smtp/helo").map(str::to_owned));
                }
                Some("botlike.message") => host.messages += 1,
                Some("botlike.finding") => {
                    let severity =
                        line.pointer("/event/severity").and_then(Value::as_i64).unwrap_or(0);
                    let found = host
                        .findings
                        .entry(text("/rule/id").unwrap_or("?").to_owned())
                        .or_default();
                    if severity >= found.0 {
                        let words = text("/message").or_else(|| text("/rule/name")).unwrap_or("");
                        let level = text("/botlike/finding/severity").unwrap_or("?");
                        *found = (severity, level.to_owned(), in_short(words, ip));
                    }
                }
                _ => {}
            }
        }
        Ok(summary)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let (found, clean): (Vec<_>, Vec<_>) =
            self.hosts.iter().partition(|(_, host)| !host.findings.is_empty());
        text.push_str(&format!(
            "\n{} of {} sending hosts were found for something:\n",
            found.len(),
            self.hosts.len()
        ));
        for (ip, host) in found {
            text.push_str(&format!("\n  {ip}  {}\n", host.traffic()));
            let mut findings: Vec<_> = host.findings.iter().collect();
            findings.sort_by_key(|(_, found)| -found.0);
            for (rule, (_, severity, words)) in findings {
                text.push_str(&format!("    {severity:<8} {rule:<26} {words}\n"));
            }
        }
        text.push_str("\nLeft alone:\n");
        for (ip, host) in clean {
            text.push_str(&format!("  {ip}  {}\n", host.traffic()));
        }
        text
    }
}

impl Host {
    fn traffic(&self) -> String {
        let count = |number, what| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let mut helos: Vec<_> = self.helos.iter().take(3).map(String::as_str).collect();
        if self.helos.len() > 3 {
            helos.push("…");
        }
        let said = if helos.is_empty() {
            "no HELO".to_owned()
        } else {
            format!("HELO {}", helos.join(", "))
        };
        format!("{}, {}, {said}", count(self.sessions, "session"), count(self.messages, "message"))
    }
}

/// The words of a finding without the host, which stands above them, and not longer than a wide terminal.
fn in_short(words: &str, host: IpAddr) -> String {
    const ROOM: usize = 120;
    let words = words.strip_prefix(&format!("{host}: ")).unwrap_or(words);
    match words.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_found_and_who_was_not() {
        let lines = r#"{"event":{"dataset":"botlike.session"},"source":{"ip":"192.0.2.1"},"smtp":{"helo":"pc"}}
{"event":{"dataset":"botlike.session"},"source":{"ip":"192.0.2.2"},"smtp":{"helo":"mx.example.org"}}
{"event":{"dataset":"botlike.finding","severity":25},"source":{"ip":"192.0.2.1"},"rule":{"id":"helo.unqualified"},"message":"192.0.2.1: said pc","botlike":{"finding":{"severity":"low"}}}
"#;
        let text = Summary::of(lines).unwrap().text();
        let (found, alone) = text.split_once("Left alone").unwrap();
        assert!(
            found.contains("1 of 2")
                && found.contains("192.0.2.1")
                && found.contains("  said pc\n"),
            "{text}"
        );
        assert!(
            alone.contains("192.0.2.2")
                && alone.contains("mx.example.org")
                && !alone.contains("192.0.2.1 "),
            "{text}"
        );
    }
}
