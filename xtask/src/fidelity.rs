//! `cargo xtask fidelity`: what botlike and tshark read in the same captures, compared, into `docs/FIDELITY.md`.
//!
//! Every difference is a row: file, stream, field, both values. Who is right, and by which section of which document, is
//! a person's judgement and stands in `tests/fidelity.tsv`; a difference without one, one in which tshark is right, and a
//! judgement without its difference fail the command.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{run, tools};

/// The ports that both look at.
const PORTS: [u16; 5] = [25, 465, 587, 2525, 8240];

/// Where the judgements stand.
const JUDGEMENTS: &str = "tests/fidelity.tsv";

/// Where the table goes.
const PAGE: &str = "docs/FIDELITY.md";

/// What one of the two read in a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reading {
    helo: Option<String>,
    greeting: Option<u16>,
    last_reply: Option<u16>,
    /// Of each transaction whose DATA or BDAT was sent: the envelope, and the answer to the end of data.
    messages: Vec<(String, Option<u16>)>,
}

impl Reading {
    fn fields(&self) -> Vec<(String, String)> {
        let code = |code: Option<u16>| code.map_or("–".to_owned(), |code| code.to_string());
        let mut fields = vec![
            ("HELO".to_owned(), self.helo.clone().unwrap_or_else(|| "–".to_owned())),
            ("greeting".to_owned(), code(self.greeting)),
            ("last reply".to_owned(), code(self.last_reply)),
            ("messages".to_owned(), self.messages.len().to_string()),
        ];
        for (n, (envelope, answer)) in self.messages.iter().enumerate() {
            fields.push((format!("envelope {n}"), envelope.clone()));
            fields.push((format!("answer {n}"), code(*answer)));
        }
        fields
    }
}

/// Connections of a file by their two ends, client first; those between the same ends in order.
type Readings = BTreeMap<String, Vec<Reading>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Difference {
    file: String,
    stream: String,
    field: String,
    ours: String,
    theirs: String,
}

/// `cargo xtask fidelity [--check]`; `--check` writes nothing.
pub(crate) fn main(arguments: &[&str]) -> Result<ExitCode> {
    let check = match arguments {
        [] => false,
        ["--check"] => true,
        _ => bail!("usage: cargo xtask fidelity [--check]"),
    };
    let root = run::root();
    let Some(captures) = captures(&root) else {
        println!("skipped: captures: no folder ../shared/captures");
        return Ok(ExitCode::SUCCESS);
    };
    let botlike = run::release_botlike()?;
    let tshark = tools::find("tshark").context("tshark is needed to compare with")?;
    let mut differences = Vec::new();
    let mut counts = Vec::new();
    for path in &captures {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = ours(&botlike, path).with_context(|| file.clone())?;
        let theirs = theirs(&tshark, path).with_context(|| file.clone())?;
        counts.push((file.clone(), total(&ours), total(&theirs)));
        compare(&file, &ours, &theirs, &mut differences);
    }
    let judgements = judgements(&root.join(JUDGEMENTS))?;
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for d in &differences {
        let key = (d.file.clone(), d.stream.clone(), d.field.clone());
        match judgements.get(&key) {
            None => wrong.push(format!(
                "no judgement: {}\t{}\t{}\tours: {}\ttheirs: {}",
                d.file, d.stream, d.field, d.ours, d.theirs
            )),
            Some((right, _)) if right == "tshark" => {
                wrong.push(format!("tshark is right: {} {} {}", d.file, d.stream, d.field))
            }
            Some(_) => {}
        }
        seen.insert(key);
    }
    for key in judgements.keys().filter(|key| !seen.contains(*key)) {
        wrong.push(format!("a judgement without its difference: {}\t{}\t{}", key.0, key.1, key.2));
    }
    let page = page(&counts, &differences, &judgements, &tshark.version("--version"));
    if !check {
        fs::write(root.join(PAGE), page).with_context(|| format!("cannot write {PAGE}"))?;
    }
    println!(
        "{} captures, {} differences, {} unsettled",
        counts.len(),
        differences.len(),
        wrong.len()
    );
    for line in &wrong {
        println!("{line}");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn captures(root: &Path) -> Option<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(root.join("../shared/captures"))
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"))
        .collect();
    files.sort();
    Some(files)
}

fn ours(botlike: &Path, path: &Path) -> Result<Readings> {
    let ports = PORTS.map(|p| p.to_string()).join(",");
    let out = std::process::Command::new(botlike)
        .args(["read", "--format", "json", "--ports", &ports])
        .arg(path)
        .output()
        .context("cannot start botlike")?;
    let mut readings = Readings::new();
    let mut messages: BTreeMap<String, Vec<(String, Option<u16>)>> = BTreeMap::new();
    for line in String::from_utf8(out.stdout)?.lines() {
        let line: Value = serde_json::from_str(line)?;
        let text = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let number = |pointer: &str| line.pointer(pointer).and_then(Value::as_u64);
        let code = |pointer: &str| number(pointer).and_then(|n| u16::try_from(n).ok());
        let end = |side: &str| {
            format!(
                "{}:{}",
                text(&format!("/{side}/ip")).unwrap_or_default(),
                number(&format!("/{side}/port")).unwrap_or(0)
            )
        };
        let stream = || format!("{} {}", end("source"), end("destination"));
        match text("/event/dataset").as_deref() {
            Some("botlike.message") => {
                let recipients: Vec<String> = line
                    .pointer("/smtp/rcpt_to")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .map(|rcpt| rcpt.as_str().unwrap_or_default().to_owned())
                    .collect();
                let count = number("/smtp/rcpt_count").unwrap_or(0);
                let envelope = envelope(
                    &text("/smtp/mail_from").unwrap_or_default(),
                    &recipients,
                    usize::try_from(count).unwrap_or(usize::MAX),
                );
                messages.entry(stream()).or_default().push((envelope, code("/smtp/reply_code")));
            }
            Some("botlike.session") => {
                let stream = stream();
                let messages = messages.remove(&stream).unwrap_or_default();
                // A connection in which nobody said a word of SMTP has no counterpart in tshark's view.
                let reading = Reading {
                    // HELO without an argument is no name.
                    helo: text("/smtp/helo").filter(|h| !h.is_empty()),
                    greeting: code("/smtp/greeting_code"),
                    last_reply: code("/smtp/last_reply_code"),
                    messages,
                };
                readings.entry(stream).or_default().push(reading);
            }
            _ => {}
        }
    }
    Ok(readings)
}

/// One row of tshark: a frame that it calls SMTP.
fn theirs(tshark: &tools::Tool, path: &Path) -> Result<Readings> {
    const FIELDS: [&str; 9] = [
        "tcp.stream",
        "ip.src",
        "ipv6.src",
        "tcp.srcport",
        "ip.dst",
        "ipv6.dst",
        "tcp.dstport",
        "smtp.command_line",
        "smtp.response.code",
    ];
    let mut command = tshark.command();
    command.arg("-r").arg(path).args([
        "-o",
        "tcp.desegment_tcp_streams:TRUE",
        "-T",
        "fields",
        "-E",
        "separator=\u{1}",
        "-E",
        "aggregator=\u{2}",
        "-Y",
        "smtp",
    ]);
    for port in PORTS.iter().filter(|p| **p != 465) {
        command.args(["-d", &format!("tcp.port=={port},smtp")]);
    }
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let out = command.output().context("cannot start tshark")?;
    let mut streams: BTreeMap<u64, (String, Transcript)> = BTreeMap::new();
    for row in String::from_utf8_lossy(&out.stdout).lines() {
        let fields: Vec<&str> = row.split('\u{1}').collect();
        let [stream, src4, src6, sport, dst4, dst6, dport, commands, codes] = fields[..] else {
            continue;
        };
        // Of a packet in a packet, the inner one is meant.
        let last = |text: &str| text.split('\u{2}').next_back().unwrap_or_default().to_owned();
        let src = format!("{}:{}", last(if src4.is_empty() { src6 } else { src4 }), last(sport));
        let dst = format!("{}:{}", last(if dst4.is_empty() { dst6 } else { dst4 }), last(dport));
        let Ok(stream) = last(stream).parse() else { continue };
        let to_server = PORTS.iter().any(|p| last(dport) == p.to_string());
        let (_, transcript) = streams.entry(stream).or_insert_with(|| {
            (
                if to_server { format!("{src} {dst}") } else { format!("{dst} {src}") },
                Transcript::default(),
            )
        });
        let items = |text: &str| -> Vec<String> {
            text.split('\u{2}').filter(|item| !item.is_empty()).map(str::to_owned).collect()
        };
        for line in items(commands) {
            transcript.command(bare(&line));
        }
        for code in items(codes) {
            transcript.code(code.parse().unwrap_or(0));
        }
    }
    let mut readings = Readings::new();
    for (ends, transcript) in streams.into_values() {
        readings.entry(ends).or_default().push(transcript.reading());
    }
    Ok(readings)
}

/// The commands and codes of a connection as tshark tells them, each code with the command that it answers.
#[derive(Default)]
struct Transcript {
    greeting: Option<u16>,
    last_reply: Option<u16>,
    said: Vec<Said>,
    /// Which of them wait for a code, oldest first.
    waiting: VecDeque<usize>,
}

/// A command and its answers.
struct Said {
    line: String,
    answer: Option<u16>,
    /// Behind a 354: the answer to the end of data.
    end: Option<u16>,
}

impl Transcript {
    fn command(&mut self, line: &str) {
        self.waiting.push_back(self.said.len());
        self.said.push(Said { line: line.to_owned(), answer: None, end: None });
    }

    /// Codes come in the order of the commands (RFC 5321 section 4.1.1, RFC 2920 section 3.2).
    fn code(&mut self, code: u16) {
        let is_first = self.last_reply.replace(code).is_none();
        // A server greets before it answers, with one of these (RFC 5321 sections 3.1, 3.8 and 4.3.2).
        if is_first && (self.waiting.is_empty() || matches!(code, 220 | 421 | 554)) {
            self.greeting = Some(code);
            return;
        }
        let is_data =
            |&n: &usize| self.said.get(n).is_some_and(|s| s.line.eq_ignore_ascii_case("DATA"));
        if code == 354
            && let Some(before) = self.waiting.iter().position(is_data)
        {
            // Nothing else is answered so (RFC 5321 section 4.2.3): tshark left out replies.
            self.waiting.drain(..before);
        }
        let Some(said) = self.waiting.front().and_then(|&n| self.said.get_mut(n)) else { return };
        match (said.answer, code) {
            // A challenge (RFC 4954 section 4): the answer to AUTH is still to come.
            (None, 334) => return,
            (None, 354) => {
                said.answer = Some(code);
                return;
            }
            (None, _) => said.answer = Some(code),
            (Some(_), _) => said.end = Some(code),
        }
        self.waiting.pop_front();
    }

    /// What a server made of the commands.
    fn reading(&self) -> Reading {
        let mut reading =
            Reading { greeting: self.greeting, last_reply: self.last_reply, ..Reading::default() };
        let mut transaction: Option<Transaction> = None;
        for said in &self.said {
            let refused = said.answer.filter(|code| *code >= 400);
            let (verb, rest) = said.line.split_once([' ', '\t']).unwrap_or((&said.line, ""));
            let line = said.line.to_ascii_uppercase();
            match verb.to_ascii_uppercase().as_str() {
                "HELO" | "EHLO" => {
                    reading.helo = Some(rest.trim().to_owned()).filter(|h| !h.is_empty());
                    transaction = None;
                }
                "RSET" => transaction = None,
                // A refused MAIL begins nothing, and leaves what was begun (RFC 5321 sections 3.3 and 4.1.4).
                _ if line.starts_with("MAIL FROM") && refused.is_none() => {
                    transaction = Some(Transaction::from(path(&said.line)));
                }
                _ if line.starts_with("RCPT TO") => {
                    if let Some(transaction) = &mut transaction {
                        transaction.recipients.push(path(&said.line));
                        transaction.served += usize::from(said.answer.is_some_and(|c| c < 400));
                    }
                }
                // Without a recipient that was accepted a refused DATA was none (RFC 5321 section 3.3).
                "DATA"
                    if transaction.as_ref().is_some_and(|t| refused.is_none() || t.served > 0) =>
                {
                    let envelope = transaction.take().map_or_else(String::new, |t| t.envelope());
                    reading.messages.push((envelope, refused.or(said.end)));
                }
                "BDAT" => {
                    let Some(last) = is_last_chunk(rest) else { continue };
                    let Some(open) = &mut transaction else { continue };
                    let number = *open.message.get_or_insert(reading.messages.len());
                    if number == reading.messages.len() {
                        reading.messages.push((open.envelope(), None));
                    }
                    if let Some((_, answer @ None)) = reading.messages.get_mut(number) {
                        *answer = if last { said.answer } else { refused };
                    }
                    if last {
                        transaction = None;
                    }
                }
                _ => {}
            }
        }
        reading
    }
}

/// An envelope that is being said.
#[derive(Default)]
struct Transaction {
    from: String,
    recipients: Vec<String>,
    /// How many of them were accepted.
    served: usize,
    /// The message whose chunks are being sent.
    message: Option<usize>,
}

impl Transaction {
    fn from(from: String) -> Self {
        Self { from, ..Self::default() }
    }

    fn envelope(&self) -> String {
        envelope(&self.from, &self.recipients, self.recipients.len())
    }
}

/// The arguments of a BDAT that announces a chunk (RFC 3030 section 2): whether it is the last. `None`: it announces none.
fn is_last_chunk(arguments: &str) -> Option<bool> {
    let mut words = arguments.split_whitespace();
    let size = words.next()?;
    if !size.bytes().all(|b| b.is_ascii_digit()) || size.parse::<u64>().is_err() {
        return None;
    }
    match (words.next(), words.next()) {
        (None, _) => Some(false),
        (Some(word), None) if word.eq_ignore_ascii_case("LAST") => Some(true),
        _ => None,
    }
}

/// So many recipients botlike names; it counts them all.
const RECIPIENTS: usize = 50;

fn envelope(from: &str, recipients: &[String], count: usize) -> String {
    let mut text = from.to_owned();
    for recipient in recipients.iter().take(RECIPIENTS) {
        text.push(' ');
        text.push_str(recipient);
    }
    if count > RECIPIENTS {
        let _ = write!(text, " … {count} in all");
    }
    text
}

/// A command without the end of its line, which tshark writes with escapes.
fn bare(line: &str) -> &str {
    let end = ["\\r", "\\n", "\r", "\n"].iter().find_map(|end| line.strip_suffix(end));
    end.map_or(line, bare)
}

/// The path of a MAIL or RCPT line: what stands between the brackets, or the first word where there are none.
fn path(line: &str) -> String {
    let rest = line.split_once(':').map_or("", |(_, rest)| rest).trim_start();
    match rest.strip_prefix('<').and_then(|r| r.split_once('>')) {
        Some(("", _)) => "<>".to_owned(),
        Some((path, _)) => path.to_owned(),
        None => rest.split_whitespace().next().unwrap_or_default().to_owned(),
    }
}

fn total(readings: &Readings) -> (usize, usize) {
    let all = || readings.values().flatten();
    (all().count(), all().map(|r| r.messages.len()).sum())
}

fn compare(file: &str, ours: &Readings, theirs: &Readings, out: &mut Vec<Difference>) {
    let streams: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for stream in streams {
        let none = Vec::new();
        let (ours, theirs) =
            (ours.get(stream).unwrap_or(&none), theirs.get(stream).unwrap_or(&none));
        // Connections without a word of SMTP are sessions for us and nothing for tshark.
        let silent = |r: &&Reading| **r != Reading::default();
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (ours.iter().filter(silent).collect(), theirs.iter().filter(silent).collect());
        for n in 0..ours.len().max(theirs.len()) {
            let name = if n == 0 { stream.clone() } else { format!("{stream} #{}", n + 1) };
            let (a, b) = (fields(ours.get(n).copied()), fields(theirs.get(n).copied()));
            let both = ours.get(n).is_some() && theirs.get(n).is_some();
            for field in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                // Of a connection that only one of them knows, that is all there is to say.
                if !both && field != "session" {
                    continue;
                }
                let value = |of: &BTreeMap<String, String>| {
                    of.get(field).cloned().unwrap_or_else(|| "–".to_owned())
                };
                let (ours, theirs) = (value(&a), value(&b));
                if ours != theirs {
                    out.push(Difference {
                        file: file.to_owned(),
                        stream: name.clone(),
                        field: field.clone(),
                        ours,
                        theirs,
                    });
                }
            }
        }
    }
}

fn fields(reading: Option<&Reading>) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> =
        reading.map(Reading::fields).unwrap_or_default().into_iter().collect();
    fields.insert("session".to_owned(), if reading.is_some() { "yes" } else { "no" }.to_owned());
    fields
}

/// A file, and how many sessions and messages we and they found in it.
type Count = (String, (usize, usize), (usize, usize));

type Judgements = BTreeMap<(String, String, String), (String, String)>;

fn judgements(path: &Path) -> Result<Judgements> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut all = Judgements::new();
    for (n, line) in
        text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let [file, stream, field, right, why] = line.split('\t').collect::<Vec<_>>()[..] else {
            bail!(
                "{JUDGEMENTS}:{}: five columns are needed: file, stream, field, who is right, why",
                n + 1
            );
        };
        if !["botlike", "both", "tshark"].contains(&right) {
            bail!("{JUDGEMENTS}:{}: who is right is botlike, both or tshark, not {right:?}", n + 1);
        }
        let key = (file.to_owned(), stream.to_owned(), field.to_owned());
        if all.insert(key, (right.to_owned(), why.to_owned())).is_some() {
            bail!("{JUDGEMENTS}:{}: judged twice", n + 1);
        }
    }
    Ok(all)
}

fn page(
    counts: &[Count],
    differences: &[Difference],
    judgements: &Judgements,
    version: &str,
) -> String {
    let cell = |text: &str| text.replace('|', "\\|").chars().take(60).collect::<String>();
    let mut page = String::from(
        "# Fidelity\n\nWhat botlike and tshark read in the same public captures: sessions, HELO names, envelopes and reply \
         codes. Made by\n`cargo xtask fidelity`; who is right is judged in `tests/fidelity.tsv`. *both* means that the two \
         answer different\nquestions and neither is wrong.\n\n",
    );
    let _ = writeln!(page, "Compared with: {}.\n", version.trim_end_matches('.'));
    page.push_str("## Differences\n\n| file | stream | field | botlike | tshark | right | why |\n|---|---|---|---|---|---|---|\n");
    for d in differences {
        let key = (d.file.clone(), d.stream.clone(), d.field.clone());
        let (right, why) =
            judgements.get(&key).cloned().unwrap_or(("not judged".into(), String::new()));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {right} | {why} |",
            d.file,
            d.stream,
            d.field,
            cell(&d.ours),
            cell(&d.theirs)
        );
    }
    page.push_str("\n## Files\n\nSessions are connections; of ours some have no word of SMTP in them.\n\n| file | sessions | theirs | messages | theirs |\n|---|---|---|---|---|\n");
    for (file, ours, theirs) in counts {
        let _ =
            writeln!(page, "| {file} | {} | {} | {} | {} |", ours.0, theirs.0, ours.1, theirs.1);
    }
    page
}
