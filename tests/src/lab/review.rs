//! The sensor's lines against what everybody did.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use super::cast::{Actor, CAST};

/// What was found of one actor.
#[derive(Debug)]
pub struct Verdict {
    /// Who.
    pub actor: &'static Actor,
    /// Its sessions.
    pub sessions: usize,
    /// Sessions of which the sensor saw the beginning only, for TLS.
    pub hidden: usize,
    /// The worst severity of each detection, and its message.
    pub found: BTreeMap<String, (i64, String, String)>,
}

/// What `event.severity` is for `medium`.
const MEDIUM: i64 = 47;

impl Verdict {
    /// Detections that should have been found; those that this sensor does not have are not asked for.
    pub fn missed<'a>(
        &'a self,
        known: &'a BTreeSet<String>,
    ) -> impl Iterator<Item = &'static str> + 'a {
        self.actor
            .found
            .iter()
            .copied()
            .filter(|id| known.contains(*id) && !self.found.contains_key(*id))
    }

    /// Detections of medium severity or above that should not have been.
    pub fn wrong(&self) -> impl Iterator<Item = &str> {
        self.found
            .iter()
            .filter(|(_, (severity, ..))| *severity >= MEDIUM)
            .map(|(id, _)| id.as_str())
            .filter(|id| !self.actor.found.contains(id) && !self.actor.also.contains(id))
    }
}

/// Everybody's, from the lines of a run.
///
/// # Errors
/// Where a line is none.
pub fn verdicts(lines: &str) -> Result<(Vec<Verdict>, Vec<String>), String> {
    let mut verdicts: Vec<_> = CAST
        .iter()
        .map(|actor| Verdict { actor, sessions: 0, hidden: 0, found: BTreeMap::new() })
        .collect();
    // Findings of medium severity or above about nobody who plays.
    let mut strangers = Vec::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let text = |at: &str| line.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let source = text("/source/ip");
        let verdict =
            verdicts.iter_mut().find(|verdict| verdict.actor.address().to_string() == source);
        let severity = line.pointer("/event/severity").and_then(Value::as_i64).unwrap_or(0);
        match (text("/event/dataset"), verdict) {
            ("botlike.session", Some(verdict)) => {
                verdict.sessions += 1;
                verdict.hidden += usize::from(text("/smtp/visible") == "until_starttls");
            }
            ("botlike.finding", Some(verdict)) => {
                let found = verdict.found.entry(text("/rule/id").to_owned()).or_default();
                if severity >= found.0 {
                    let words = text("/message").trim_start_matches(&format!("{source}: "));
                    let level = text("/botlike/finding/severity").to_owned();
                    *found = (severity, level, words.to_owned());
                }
            }
            ("botlike.finding", None) if severity >= MEDIUM => {
                strangers.push(format!("{} of {source}", text("/rule/id")));
            }
            _ => {}
        }
    }
    Ok((verdicts, strangers))
}

/// What is told in the end, and whether all is as it should be.
pub fn summary(
    verdicts: &[Verdict],
    strangers: &[String],
    known: &BTreeSet<String>,
) -> (String, bool) {
    let (mut text, mut right) = (String::new(), true);
    let (honest, bots): (Vec<_>, Vec<_>) =
        verdicts.iter().partition(|verdict| verdict.actor.is_honest());
    // Writing to a string does not fail.
    let _ = writeln!(text, "\nBots, and what they were found for:\n");
    for verdict in &bots {
        let missed: Vec<_> = verdict.missed(known).collect();
        let wrong: Vec<_> = verdict.wrong().collect();
        let unknown: Vec<_> =
            verdict.actor.found.iter().filter(|id| !known.contains(**id)).collect();
        let good = missed.is_empty() && wrong.is_empty();
        right &= good;
        let mark = match (good, unknown.len() == verdict.actor.found.len()) {
            (false, _) => "WRONG",
            (true, true) => "  -  ",
            (true, false) => "found",
        };
        let _ = writeln!(
            text,
            "  {mark}  {:<20} {:<14} {}",
            verdict.actor.name,
            verdict.actor.address().to_string(),
            verdict.actor.does
        );
        let mut found: Vec<_> = verdict.found.iter().collect();
        found.sort_by_key(|(_, (severity, ..))| -severity);
        for (id, (_, level, words)) in found {
            let for_this = verdict.actor.found.contains(&id.as_str());
            let _ = writeln!(
                text,
                "         {} {level:<8} {id:<32} {}",
                if for_this { "*" } else { " " },
                shortened(words)
            );
        }
        for id in missed {
            let _ = writeln!(text, "         ! MISSED   {id}");
        }
        for id in wrong {
            let _ = writeln!(text, "         ! NOT SO   {id}");
        }
        for id in unknown {
            let _ = writeln!(text, "           (this botlike has no {id})");
        }
    }
    let _ = writeln!(text, "\nHonest, and left alone:\n");
    for verdict in &honest {
        let wrong: Vec<_> = verdict.wrong().collect();
        right &= wrong.is_empty();
        let _ = writeln!(
            text,
            "  {}  {:<20} {:<14} {}",
            if wrong.is_empty() { "alone" } else { "WRONG" },
            verdict.actor.name,
            verdict.actor.address().to_string(),
            verdict.actor.does
        );
        for (id, (_, level, words)) in &verdict.found {
            let accused = wrong.contains(&id.as_str());
            let _ = writeln!(
                text,
                "         {} {level:<8} {id:<32} {}",
                if accused { "! ACCUSED " } else { " " },
                shortened(words)
            );
        }
    }
    for stranger in strangers {
        right = false;
        let _ = writeln!(text, "  WRONG  a stranger was accused: {stranger}");
    }
    let count = |which: &[&Verdict], good: &dyn Fn(&Verdict) -> bool| {
        which.iter().filter(|verdict| good(verdict)).count()
    };
    let sessions: usize = verdicts.iter().map(|verdict| verdict.sessions).sum();
    let hidden: usize = verdicts.iter().map(|verdict| verdict.hidden).sum();
    let _ = writeln!(
        text,
        "\n{} of {} bots were found for what they do, {} of {} honest senders were left alone; {sessions} sessions, \
         {hidden} of them under STARTTLS.",
        count(&bots, &|verdict| verdict.missed(known).next().is_none()
            && verdict.wrong().next().is_none()),
        bots.len(),
        count(&honest, &|verdict| verdict.wrong().next().is_none()),
        honest.len(),
    );
    (text, right)
}

/// Not longer than a wide terminal.
fn shortened(words: &str) -> String {
    const ROOM: usize = 90;
    match words.char_indices().nth(ROOM) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}
