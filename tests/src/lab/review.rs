//! The sensor's lines against what everybody did.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::cast::{Actor, CAST};

/// What `event.severity` is for `medium`.
const MEDIUM: i64 = 47;

/// What was found of one actor.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Who.
    pub actor: &'static Actor,
    /// Its sessions.
    pub sessions: usize,
    /// Of each detection the worst severity, as a number and in words, and what was said.
    pub found: BTreeMap<String, (i64, String, String)>,
}

impl Verdict {
    /// Detections that should have been found.
    pub fn missed(&self) -> impl Iterator<Item = &'static str> {
        self.actor.found.iter().copied().filter(|id| !self.found.contains_key(*id))
    }

    /// Detections of medium severity or above that should not have been.
    pub fn wrong(&self) -> impl Iterator<Item = &str> {
        let rightly = |id: &&str| self.actor.found.contains(id) || self.actor.also.contains(id);
        let grave = self.found.iter().filter(|(_, (severity, ..))| *severity >= MEDIUM);
        grave.map(|(id, _)| id.as_str()).filter(move |id| !rightly(id))
    }

    /// Whether it was found for what it does and for nothing else.
    pub fn is_right(&self) -> bool {
        self.missed().next().is_none() && self.wrong().next().is_none()
    }
}

/// Everybody's verdict.
#[derive(Clone, Debug)]
pub struct Review {
    /// In the order of the cast.
    pub verdicts: Vec<Verdict>,
    /// Findings of medium severity or above about somebody who does not play.
    pub strangers: Vec<String>,
    sessions: usize,
    hidden: usize,
}

impl Review {
    /// From the lines of a run.
    ///
    /// # Errors
    /// Where a line is none.
    pub fn of(lines: &str) -> Result<Self, String> {
        let verdict = |actor| Verdict { actor, sessions: 0, found: BTreeMap::new() };
        let mut review = Self {
            verdicts: CAST.iter().map(verdict).collect(),
            strangers: Vec::new(),
            sessions: 0,
            hidden: 0,
        };
        for line in lines.lines() {
            let line = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
            review.take(&line);
        }
        Ok(review)
    }

    fn take(&mut self, line: &Value) {
        let text = |at: &str| line.pointer(at).and_then(Value::as_str).unwrap_or_default();
        let source = text("/source/ip");
        let severity = line.pointer("/event/severity").and_then(Value::as_i64).unwrap_or(0);
        let mut verdicts = self.verdicts.iter_mut();
        let verdict = verdicts.find(|verdict| verdict.actor.address().to_string() == source);
        match (text("/event/dataset"), verdict) {
            ("botlike.session", verdict) => {
                self.sessions += 1;
                self.hidden += usize::from(text("/smtp/visible") == "until_starttls");
                if let Some(verdict) = verdict {
                    verdict.sessions += 1;
                }
            }
            ("botlike.finding", Some(verdict)) => {
                let found = verdict.found.entry(text("/rule/id").to_owned()).or_default();
                if severity >= found.0 {
                    let words = text("/message").trim_start_matches(&format!("{source}: "));
                    let level = text("/botlike/finding/severity");
                    *found = (severity, level.to_owned(), words.to_owned());
                }
            }
            ("botlike.finding", None) if severity >= MEDIUM => {
                self.strangers.push(format!("{} of {source}", text("/rule/id")));
            }
            _ => {}
        }
    }

    /// Whether all is as it should be.
    pub fn is_right(&self) -> bool {
        self.strangers.is_empty() && self.verdicts.iter().all(Verdict::is_right)
    }

    /// Who was found for what, and who was left alone.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let (honest, bots): (Vec<_>, Vec<_>) =
            self.verdicts.iter().partition(|verdict| verdict.actor.is_honest());
        let (hidden, clear): (Vec<_>, Vec<_>) = bots.iter().partition(|verdict| verdict.actor.tls);
        for (title, group) in [
            ("Bots in the clear", clear),
            ("Bots under STARTTLS", hidden),
            ("Honest senders, who do nearly the same", honest.iter().collect()),
        ] {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{title}:\n");
            group.iter().for_each(|verdict| verdict.tell(&mut text));
        }
        for stranger in &self.strangers {
            let _ = writeln!(text, "  WRONG  somebody else was accused: {stranger}");
        }
        let right = |group: &[&Verdict]| group.iter().filter(|verdict| verdict.is_right()).count();
        let _ = writeln!(
            text,
            "\n{} of {} bots were found for what they do, and for nothing else; {} of {} honest senders were left alone.\n\
             {} sessions, {} of them under STARTTLS.",
            right(&bots),
            bots.len(),
            right(&honest),
            honest.len(),
            self.sessions,
            self.hidden,
        );
        text
    }
}

impl Verdict {
    fn tell(&self, text: &mut String) {
        let mark = match (self.is_right(), self.actor.is_honest()) {
            (false, _) => "WRONG",
            (true, false) => "found",
            (true, true) => "alone",
        };
        let found: Vec<String> = self
            .actor
            .found
            .iter()
            .filter_map(|id| self.found.get(*id).map(|(_, level, _)| format!("{id} ({level})")))
            .collect();
        let said = match (found.is_empty(), self.sessions) {
            (false, _) => found.join(", "),
            (true, 1) => "1 session".to_owned(),
            (true, count) => format!("{count} sessions"),
        };
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {mark}  {:<20} {:<62} {said}", self.actor.name, self.actor.does);
        for id in self.missed() {
            let _ = writeln!(text, "         missed: {id}");
        }
        for id in self.wrong() {
            let (_, level, words) = &self.found[id];
            let _ = writeln!(text, "         accused of {id} ({level}): {words}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(name: &str, id: &str, severity: i64) -> String {
        let actor = CAST.iter().find(|actor| actor.name == name).expect("an actor");
        serde_json::json!({
            "event": {"dataset": "botlike.finding", "severity": severity},
            "source": {"ip": actor.address().to_string()},
            "rule": {"id": id},
        })
        .to_string()
    }

    fn of<'a>(review: &'a Review, name: &str) -> &'a Verdict {
        review.verdicts.iter().find(|verdict| verdict.actor.name == name).expect("an actor")
    }

    #[test]
    fn the_wrong_reason_is_no_reason_and_honest_is_honest() {
        let lines = [
            finding("pregreet", "session.pregreet", 73),
            finding("localhost", "session.pregreet", 73),
            finding("bare ip", "helo.bare_ip", 25),
            finding("mail host", "helo.bare_ip", 25),
            finding("monitor", "session.empty_connect", 47),
        ];
        let review = Review::of(&lines.join("\n")).expect("lines");
        assert!(of(&review, "pregreet").is_right() && of(&review, "bare ip").is_right());
        let localhost = of(&review, "localhost");
        assert_eq!(localhost.missed().collect::<Vec<_>>(), ["helo.localhost"]);
        assert_eq!(localhost.wrong().collect::<Vec<_>>(), ["session.pregreet"]);
        assert!(of(&review, "mail host").is_right() && !of(&review, "monitor").is_right());
        assert!(!review.is_right());
    }
}
