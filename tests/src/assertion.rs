//! What must hold of a case's lines whatever its golden says, in lines that begin with `!`:
//!
//! ```text
//! ! message smtp.mail_from=alice@example.org smtp.outcome=accepted     at least one such line
//! ! 2 session smtp.close=quit                                          exactly two
//! ! no finding rule.id=helo.bare_ip                                    none
//! ! never secret                                                       the text stands in no line at all
//! ```
//!
//! A condition is `path=value`, `path!=value`, `path~part` (contains), `path` (is there) or `-path` (is absent). A value
//! that holds a space is written in double quotes. A list matches by any of its items, or as a whole when the value is
//! written as JSON (`smtp.rcpt_to=["a@b"]`).

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Count {
    Some,
    Exactly(usize),
}

/// One assertion, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    kind: String,
    count: Count,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Is(String, String),
    IsNot(String, String),
    Holds(String, String),
    There(String),
    Absent(String),
}

/// Reads an assertion.
pub fn parse(text: &str) -> Result<Assertion, String> {
    if let Some(secret) = text.strip_prefix("never ") {
        let conditions = vec![Condition::Holds(String::new(), secret.to_owned())];
        return Ok(Assertion { kind: "line".into(), count: Count::Exactly(0), conditions });
    }
    let mut words = words(text).into_iter();
    let mut word = words.next().ok_or("empty")?;
    let count = match word.as_str() {
        "no" => Count::Exactly(0),
        other => other.parse().map_or(Count::Some, Count::Exactly),
    };
    if count != Count::Some {
        word = words.next().ok_or("of what?")?;
    }
    if !["session", "message", "finding", "stats", "sensor", "line"].contains(&word.as_str()) {
        return Err(format!("`{word}` is no kind of line"));
    }
    let conditions = words.map(|w| condition(&w)).collect();
    Ok(Assertion { kind: word, count, conditions })
}

/// Splits at spaces outside double quotes; the quotes of a value are dropped, those of a JSON list are kept.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted, mut list) = (Vec::new(), String::new(), false, 0);
    for c in text.chars() {
        match c {
            '"' if list == 0 => quoted = !quoted,
            ' ' if !quoted && list == 0 => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
            }
            _ => {
                if !quoted && word.ends_with('=') && c == '[' {
                    list += 1;
                } else if list > 0 && c == ']' {
                    list -= 1;
                }
                word.push(c);
            }
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

fn condition(word: &str) -> Condition {
    if let Some(path) = word.strip_prefix('-') {
        return Condition::Absent(path.to_owned());
    }
    let end = word.find(['=', '!', '~']).unwrap_or(word.len());
    let (path, rest) = word.split_at(end);
    let path = path.to_owned();
    if let Some(value) = rest.strip_prefix("!=") {
        Condition::IsNot(path, value.to_owned())
    } else if let Some(value) = rest.strip_prefix('=') {
        Condition::Is(path, value.to_owned())
    } else if let Some(value) = rest.strip_prefix('~') {
        Condition::Holds(path, value.to_owned())
    } else {
        Condition::There(word.to_owned())
    }
}

/// The value at a dotted path.
pub fn at<'a>(line: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(line, |value, key| value.get(key))
}

fn is(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|i| is(i, wanted)) || is_json(value, wanted),
        other => is_json(other, wanted),
    }
}

fn is_json(value: &Value, wanted: &str) -> bool {
    serde_json::from_str::<Value>(wanted).is_ok_and(|w| w == *value)
}

fn holds(value: &Value, part: &str) -> bool {
    match value {
        Value::String(text) => text.contains(part),
        other => other.to_string().contains(part),
    }
}

impl Condition {
    fn met(&self, line: &Value) -> bool {
        match self {
            Self::Is(path, value) => at(line, path).is_some_and(|v| is(v, value)),
            Self::IsNot(path, value) => !at(line, path).is_some_and(|v| is(v, value)),
            Self::Holds(path, part) if path.is_empty() => line.to_string().contains(part),
            Self::Holds(path, part) => at(line, path).is_some_and(|v| holds(v, part)),
            Self::There(path) => at(line, path).is_some(),
            Self::Absent(path) => at(line, path).is_none(),
        }
    }
}

impl Assertion {
    /// `Err` says what was found instead.
    pub fn check(&self, lines: &[Value]) -> Result<(), String> {
        let dataset = format!("botlike.{}", self.kind);
        let of_kind: Vec<_> = lines
            .iter()
            .filter(|l| {
                self.kind == "line"
                    || at(l, "event.dataset").and_then(Value::as_str) == Some(&dataset)
            })
            .collect();
        let met = of_kind.iter().filter(|l| self.conditions.iter().all(|c| c.met(l))).count();
        let good = match self.count {
            Count::Some => met > 0,
            Count::Exactly(count) => met == count,
        };
        if good {
            return Ok(());
        }
        let mut why = format!("{met} lines of {} {} lines meet it", of_kind.len(), self.kind);
        if met == 0 {
            for line in of_kind.iter().take(8) {
                let unmet: Vec<_> = self
                    .conditions
                    .iter()
                    .filter(|c| !c.met(line))
                    .map(|c| c.found(line))
                    .collect();
                why.push_str(&format!("\n      a {} line has {}", self.kind, unmet.join(", ")));
            }
        }
        Err(why)
    }
}

impl Condition {
    fn found(&self, line: &Value) -> String {
        let (Self::Is(path, _)
        | Self::IsNot(path, _)
        | Self::Holds(path, _)
        | Self::There(path)
        | Self::Absent(path)) = self;
        match at(line, path) {
            Some(value) => format!("{path}={value}"),
            None => format!("no {path}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Value> {
        [
            r#"{"event":{"dataset":"botlike.session"},"smtp":{"helo":"a b","close":"quit","transactions":2}}"#,
            r#"{"event":{"dataset":"botlike.message"},"smtp":{"rcpt_to":["x@y","z@y"],"mail_from":"<>"}}"#,
        ]
        .iter()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
    }

    #[test]
    fn what_holds() {
        for text in [
            "session smtp.close=quit smtp.transactions=2",
            "1 session",
            "no finding",
            "session smtp.helo=\"a b\" -smtp.quit smtp.close!=timeout smtp.helo~b",
            "message smtp.rcpt_to=z@y smtp.mail_from=<>",
            "message smtp.rcpt_to=[\"x@y\",\"z@y\"]",
            "2 line event.dataset",
            "never secret word",
        ] {
            assert_eq!(parse(text).unwrap().check(&lines()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_does_not() {
        for text in [
            "session smtp.close=timeout",
            "2 session",
            "no session",
            "session -smtp.close",
            "session smtp.close!=quit",
            "finding",
            "message smtp.rcpt_to=y",
            "never a b",
        ] {
            assert!(parse(text).unwrap().check(&lines()).is_err(), "{text}");
        }
        assert!(parse("verdikt x=y").is_err());
    }
}
