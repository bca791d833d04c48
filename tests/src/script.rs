//! Reads the scripts of the cases; the format is described in `tests/cases/README.md`.
//!
//! What is not understood is an error with its line, never passed over.

use std::net::SocketAddr;

use crate::packet::Side;

/// A script, read and expanded.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The first line: what the case is for.
    pub purpose: String,
    /// The lines that begin with `!`, each with its line number.
    pub assertions: Vec<(usize, String)>,
    /// Variants left out, each with its reason.
    pub without: Vec<(String, String)>,
    /// The configuration, TOML.
    pub config: String,
    /// Other event kinds whose lines stand in the golden (`stats`, `sensor`).
    pub also: Vec<String>,
    /// When it starts: nanoseconds since the epoch.
    pub start: u64,
    /// What happens, each with its line number.
    pub items: Vec<(usize, Item)>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A connection begins to be described.
    Connection {
        /// The SMTP client.
        client: SocketAddr,
        /// The SMTP server.
        server: SocketAddr,
    },
    /// A side writes.
    Data {
        /// Who.
        side: Side,
        /// Before it received the other side's last flight.
        early: bool,
        /// What.
        bytes: Vec<u8>,
    },
    /// Time passes.
    Wait(u64),
    /// The time of day is this, in nanoseconds since midnight of the start's day.
    At(u64),
    /// `~word arguments`.
    Do {
        /// The word.
        word: String,
        /// Its arguments, escapes not resolved.
        arguments: String,
    },
}

/// Reads a script.
pub fn parse(text: &str) -> Result<Script, String> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        lines.push((index + 1, line.to_owned()));
    }
    let mut script =
        Script { start: stamp("2026-11-23T08:00:00Z").unwrap_or_default(), ..Script::default() };
    let mut ends: [SocketAddr; 2] =
        [SocketAddr::from(([192, 0, 2, 10], 41322)), SocketAddr::from(([198, 51, 100, 25], 25))];
    let Some((_, first)) = lines.first() else { return Err("an empty script".into()) };
    script.purpose = first
        .strip_prefix("# ")
        .ok_or("line 1: the purpose is missing (`# in one line`)")?
        .trim()
        .to_owned();
    let mut rest = lines.into_iter().skip(1).peekable();
    while let Some((number, line)) = rest.peek() {
        let at = |what: String| format!("line {number}: {what}");
        if let Some(assertion) = line.strip_prefix("! ") {
            script.assertions.push((*number, assertion.trim().to_owned()));
        } else if let Some((key, value)) = header(line) {
            let value = value.trim();
            match key {
                "variants" => {
                    for part in value.split("; ") {
                        let (names, reason) = part
                            .split_once(" because ")
                            .ok_or_else(|| at("no reason given".into()))?;
                        for name in names.split_whitespace() {
                            let name = name
                                .strip_prefix('-')
                                .ok_or_else(|| at(format!("`{name}`: write -{name}")))?;
                            script.without.push((name.to_owned(), reason.trim().to_owned()));
                        }
                    }
                }
                "config" => {
                    script.config.push_str(value);
                    script.config.push('\n');
                }
                "lines" => script.also.extend(value.split_whitespace().map(str::to_owned)),
                "start" => {
                    script.start = stamp(value).ok_or_else(|| at(format!("no stamp: {value}")))?
                }
                "client" => ends[0] = value.parse().map_err(|e| at(format!("{value}: {e}")))?,
                "server" => ends[1] = value.parse().map_err(|e| at(format!("{value}: {e}")))?,
                _ => return Err(at(format!("unknown key `{key}`"))),
            }
        } else if !(line.starts_with('#') || line.trim().is_empty()) {
            break;
        }
        rest.next();
    }
    let body: Vec<_> = rest.collect();
    let body = expand(&body, 0)?;
    if !body
        .first()
        .is_some_and(|(_, line)| ["===", "~udp", "~dns"].iter().any(|w| line.starts_with(w)))
    {
        script.items.push((0, Item::Connection { client: ends[0], server: ends[1] }));
    }
    for (number, line) in body {
        if let Some(item) = item(&line, &mut ends).map_err(|e| format!("line {number}: {e}"))? {
            script.items.push((number, item));
        }
    }
    Ok(script)
}

/// `key: value` of the header; a line of a side is none.
fn header(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    (key.len() > 1 && key.bytes().all(|b| b.is_ascii_lowercase())).then_some((key, value))
}

/// Writes out `repeat N {` … `}`; inner blocks count `j`, `k` where the outer one counts `i`.
fn expand(lines: &[(usize, String)], depth: usize) -> Result<Vec<(usize, String)>, String> {
    let name = ['i', 'j', 'k'].get(depth).copied().ok_or("blocks nest too deep")?;
    let mut out = Vec::new();
    let mut rest = lines.iter();
    while let Some((number, line)) = rest.next() {
        let Some(count) = line.strip_prefix("repeat ").and_then(|l| l.strip_suffix('{')) else {
            out.push((*number, line.clone()));
            continue;
        };
        let count: u64 = count.trim().parse().map_err(|e| format!("line {number}: {e}"))?;
        let (mut open, mut block) = (1, Vec::new());
        for inner in rest.by_ref() {
            if inner.1.starts_with("repeat ") && inner.1.ends_with('{') {
                open += 1;
            } else if inner.1 == "}" {
                open -= 1;
            }
            if open == 0 {
                break;
            }
            block.push(inner.clone());
        }
        if open != 0 {
            return Err(format!("line {number}: the block does not end"));
        }
        for i in 1..=count {
            let one: Result<Vec<_>, String> = block
                .iter()
                .map(|(n, l)| {
                    Ok((*n, substitute(l, name, i).map_err(|e| format!("line {n}: {e}"))?))
                })
                .collect();
            out.extend(expand(&one?, depth + 1)?);
        }
    }
    Ok(out)
}

/// Replaces `{i}`, `{i+3}`, `{i*2%7+1}`: from left to right, without precedence.
fn substitute(line: &str, name: char, i: u64) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        rest = after;
        let formula = after
            .split_once('}')
            .and_then(|(inside, after)| Some((inside.strip_prefix(name)?, after)));
        match formula {
            Some((formula, after))
                if formula.chars().next().is_none_or(|c| "+-*/%".contains(c)) =>
            {
                let value = evaluate(formula, i)
                    .ok_or_else(|| format!("{{{name}{formula}}} has no value"))?;
                out.push_str(&value.to_string());
                rest = after;
            }
            _ => out.push('{'),
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn evaluate(formula: &str, i: u64) -> Option<u64> {
    let mut rest = formula;
    let mut value = i;
    while let Some(operator) = rest.chars().next() {
        let operand = rest.get(1..)?;
        let digits = operand.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = operand[..digits].parse().ok()?;
        value = match operator {
            '+' => value.checked_add(number)?,
            '-' => value.checked_sub(number)?,
            '*' => value.checked_mul(number)?,
            '/' => value.checked_div(number)?,
            '%' => value.checked_rem(number)?,
            _ => return None,
        };
        rest = &operand[digits..];
    }
    Some(value)
}

fn item(line: &str, ends: &mut [SocketAddr; 2]) -> Result<Option<Item>, String> {
    if let Some(rest) = line.strip_prefix("===") {
        let rest = rest.trim();
        if rest.is_empty() {
            let port = ends[0].port();
            ends[0].set_port(port.wrapping_add(1).max(1024));
        } else {
            let (client, server) = rest.split_once('>').ok_or("expected `=== client > server`")?;
            for (end, text) in ends.iter_mut().zip([client.trim(), server.trim()]) {
                *end = text.parse().map_err(|e| format!("{text}: {e}"))?;
            }
        }
        return Ok(Some(Item::Connection { client: ends[0], server: ends[1] }));
    }
    let side = match line.as_bytes().first() {
        Some(b'C') => Some(Side::Client),
        Some(b'S') => Some(Side::Server),
        _ => None,
    };
    if let (Some(side), Some(mark)) = (side, line.as_bytes().get(1)) {
        let text = line[2..].strip_prefix(' ').unwrap_or(&line[2..]);
        let whole = || [text.as_bytes(), b"\r\n"].concat();
        let data = |early, bytes| Ok(Some(Item::Data { side, early, bytes }));
        return match (mark, line.as_bytes().get(2)) {
            (b':', None | Some(b' ')) => data(false, whole()),
            (b'!', None | Some(b' ')) => data(true, whole()),
            (b'>', None | Some(b' ')) => data(false, unescape(text)?),
            (b'>', Some(b'!')) => data(true, unescape(line[3..].trim_start())?),
            _ => Err(format!("not understood: {line}")),
        };
    }
    if let Some(span) = line.strip_prefix('+') {
        return Ok(Some(Item::Wait(
            self::span(span.trim()).ok_or_else(|| format!("no span: {span}"))?,
        )));
    }
    if let Some(time) = line.strip_prefix('@') {
        return Ok(Some(Item::At(
            time_of_day(time.trim()).ok_or_else(|| format!("no time: {time}"))?,
        )));
    }
    if let Some(rest) = line.strip_prefix('~') {
        let (word, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        return Ok(Some(Item::Do {
            word: word.to_owned(),
            arguments: arguments.trim().to_owned(),
        }));
    }
    if line.starts_with('#') || line.trim().is_empty() {
        return Ok(None);
    }
    Err(format!("not understood: {line}"))
}

/// Resolves `\r \n \t \0 \\ \xHH` and `\{N*text}` (the text, itself escaped, N times).
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.extend_from_slice(before.as_bytes());
        let kind = after.chars().next().ok_or("a lone backslash at the end")?;
        rest = &after[kind.len_utf8()..];
        match kind {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            '0' => out.push(0),
            '\\' => out.push(b'\\'),
            'x' => {
                let digits = rest.get(..2).ok_or("\\x wants two digits")?;
                out.push(u8::from_str_radix(digits, 16).map_err(|e| format!("\\x{digits}: {e}"))?);
                rest = &rest[2..];
            }
            '{' => {
                let (inside, after) = rest.split_once('}').ok_or("\\{ does not end")?;
                let (count, text) = inside.split_once('*').ok_or("expected \\{N*text}")?;
                let count: usize = count.parse().map_err(|e| format!("{count}: {e}"))?;
                out.extend_from_slice(&unescape(text)?.repeat(count));
                rest = after;
            }
            other => return Err(format!("unknown escape \\{other}")),
        }
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(out)
}

/// `250ms`, `10s`, `2m`, `1h`, `1d`, `5us`, `7ns`; a fraction is allowed.
pub fn span(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let unit = match &text[digits..] {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000_u64,
        "d" => 86_400_000_000_000,
        _ => return None,
    };
    decimal(&text[..digits], unit)
}

fn decimal(text: &str, unit: u64) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let mut value = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let mut weight = unit;
    for digit in part.bytes() {
        weight /= 10;
        value =
            value.checked_add(u64::from(digit.checked_sub(b'0').filter(|d| *d < 10)?) * weight)?;
    }
    Some(value)
}

/// `08:01:00.5`; hours, minutes and seconds may be larger than a clock shows.
fn time_of_day(text: &str) -> Option<u64> {
    let mut parts = text.split(':');
    let hours = decimal(parts.next()?, 3_600_000_000_000)?;
    let minutes = decimal(parts.next()?, 60_000_000_000)?;
    let seconds = decimal(parts.next()?, 1_000_000_000)?;
    parts.next().is_none().then_some(hours + minutes + seconds)
}

/// `2026-11-23T08:00:00Z` in nanoseconds since the epoch.
pub fn stamp(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut parts = date.split('-').map(|p| p.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    // Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    u64::try_from(days).ok()?.checked_mul(86_400_000_000_000)?.checked_add(time_of_day(time)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_and_spans() {
        assert_eq!(stamp("1970-01-02T00:00:01.5Z"), Some(86_401_500_000_000));
        assert_eq!(stamp("2026-11-23T08:00:00Z"), Some(1_795_420_800_000_000_000));
        assert_eq!(stamp("2024-02-29T00:00:00Z"), Some(1_709_164_800_000_000_000));
        assert_eq!(span("250ms"), Some(250_000_000));
        assert_eq!(span("1.5s"), Some(1_500_000_000));
        assert_eq!(span("5"), None);
        assert_eq!(time_of_day("25:00:00"), Some(90_000_000_000_000));
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\r\n\x00\\\{3*xy}").unwrap(), b"a\r\n\0\\xyxyxy");
        assert!(unescape(r"\q").is_err());
        assert!(unescape(r"\x0").is_err());
    }

    #[test]
    fn blocks_count_and_nest() {
        let text = "# p\nrepeat 2 {\n=== 192.0.2.{i}:{i+1000} > 198.51.100.1:25\nrepeat 2 {\nC: {i} {j*2+1} {x}\n}\n}\n";
        let script = parse(text).unwrap();
        let said: Vec<_> = script
            .items
            .iter()
            .filter_map(|(_, i)| match i {
                Item::Data { bytes, .. } => Some(String::from_utf8_lossy(bytes).trim().to_owned()),
                _ => None,
            })
            .collect();
        assert_eq!(said, ["1 3 {x}", "1 5 {x}", "2 3 {x}", "2 5 {x}"]);
        assert!(
            matches!(&script.items[3].1, Item::Connection { client, .. } if client.to_string() == "192.0.2.2:1002")
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for text in [
            "no purpose",
            "# p\nX: hello",
            "# p\ncolour: red",
            "# p\nrepeat 2 {\nC: x",
            "# p\nC;x",
            "# p\n+5 parsecs",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(
            parse("# p\nvariants: -ipv6\nC: x").is_err(),
            "a variant left out without a reason"
        );
    }
}
